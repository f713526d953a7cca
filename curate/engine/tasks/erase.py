"""The task that takes forgotten rows out of a shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from curate.engine.store.shards import write_shard
from curate.engine.tasks.task import TaskContext


def forget(work: TaskContext, folder: Path) -> dict[str, Any]:
    """A shard without forgotten rows; no shard where there are none, for then the shard itself goes on."""
    table = work.shard()
    ids = pl.Series(table["id"].combine_chunks())
    gone = ids.is_in(pl.Series(sorted(work.payload["rows"]), dtype=pl.String).implode())
    work.advance(table.num_rows)
    if not gone.any():
        return {"same": True, "shards": []}
    left = table.filter(pa.array((~gone).to_list(), pa.bool_()))
    shards = [write_shard(left, folder / "rows-00000.parquet", "rows-00000.parquet").to_json()] if left.num_rows else []
    return {"same": False, "shards": shards}
