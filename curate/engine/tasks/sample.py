"""The task that samples rows of a shard; items are drawn by digest, so translations of one item stay together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.store.shards import read_parquet, write_shard
from curate.engine.tasks.task import TaskContext
from curate.rows.ids import hash_texts


def sample_shard(work: TaskContext, folder: Path) -> dict[str, Any]:
    """The rows of a shard whose item falls into the part, or whose id is among those wanted."""
    table = work.shard()
    if "ids" in work.payload:
        left = table.filter(pc.is_in(table["id"], pa.array(work.payload["ids"], pa.string())))
    else:
        low, high = work.payload["part"]
        numbers = item_numbers(table["group_id"])
        left = table.filter(pa.array((numbers >= low) & (numbers < high)))
    work.advance(table.num_rows)
    shards = [write_shard(left, folder / "rows-00000.parquet", "rows-00000.parquet").to_json()] if left.num_rows else []
    return {"shards": shards}


def item_numbers(groups: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Items as numbers from 0 to 1, evenly spread."""
    hashed = b"".join(hash_texts((f"sample:{one}" for one in groups.to_pylist()), 8))
    found: npt.NDArray[np.float64] = np.frombuffer(hashed, ">u8") / 2.0**64
    return found


def count_parts(shards: Sequence[Path], parts: Sequence[tuple[float, float]]) -> list[int]:
    """How many rows of some shards are in each part."""
    counts = np.zeros(len(parts), np.int64)
    for shard in shards:
        numbers = item_numbers(read_parquet(shard, columns=["group_id"])["group_id"])
        counts += [int(((numbers >= low) & (numbers < high)).sum()) for low, high in parts]
    return [int(count) for count in counts]
