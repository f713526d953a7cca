"""A global step at work, without an engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.steps import Rows


def settle(step: Any, shards: Sequence[Rows], context: Any, folder: Path) -> list[dict[str, Any]]:
    """What a global step decides of each row, shard by shard through files, as the engine has it."""
    folder.mkdir(parents=True, exist_ok=True)
    context.scratch = folder / "scratch"
    paths = []
    for number, rows in enumerate(shards):
        paths.append(folder / f"{number}.parquet")
        pq.write_table(step.summarize(rows, context), paths[-1])
    tables = list(step.decide(paths, context))
    assert [len(table) for table in tables] == [len(rows) for rows in shards]
    found: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    return found
