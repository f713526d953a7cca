"""The task that joins rows with the columns of the steps: kept rows by split, rejected rows with step and reason."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.engine.store.columns import Columns, merge_scores, read_kept
from curate.engine.store.shards import Shard, count_languages, count_prompts, read_parquet, read_shard, write_parquet
from curate.engine.tasks.count_rows import count_rows
from curate.engine.tasks.task import TaskContext
from curate.rows import content_digest, narrow
from curate.rows.ids import row_digests


def assign_splits(groups: Sequence[str], splits: dict[str, float], seed: int) -> list[str]:
    """The split of each row by its group: rows of one group, in whatever language, always fall together.

    The digest of seed and group, as a number in [0, 1), is looked up in the cumulated shares, so a new row moves no
    other.
    """
    names = list(splits)
    if len(names) == 1:
        return names * len(groups)
    bounds = np.cumsum(list(splits.values()))[:-1]
    start = hashlib.blake2b(f"split:{seed}:".encode(), digest_size=8)
    chosen: dict[str, str] = {}
    for group in groups:
        if group not in chosen:
            digest = start.copy()
            digest.update(group.encode("utf-8", "surrogatepass"))
            chosen[group] = names[
                int(np.searchsorted(bounds, int.from_bytes(digest.digest(), "big") / 2**64, side="right"))
            ]
    return [chosen[group] for group in groups]


def write_part(work: TaskContext, folder: Path) -> dict[str, Any]:
    """A run of neighbouring pieces: kept rows by split, rejected rows, and for each piece whose rows were left by which
    step."""
    root = work.store.root
    splits: dict[str, float] = work.payload["splits"]
    kept: dict[str, list[pa.Table]] = {name: [] for name in splits}
    rejected: list[pa.Table] = []
    counts = []
    for piece in work.payload["pieces"]:
        table = read_shard(root, Shard(**piece["shard"]))
        columns = [Columns(**value) for value in piece["columns"]]
        beside = [(one.label, read_parquet(root / one.path)) for one in columns]
        merged = merge_scores(table, beside)
        kept_mask = read_kept(root, columns, table.num_rows)
        counts.append(count_rows(merged, beside, work.payload["identifying"]))
        if not piece["superseded"]:
            rows = merged.filter(pa.array(kept_mask))
            by_group = assign_splits(rows["group_id"].to_pylist(), splits, work.payload["seed"])
            place = pl.Series(by_group, dtype=pl.String)
            for label, table in beside:
                if label == work.payload.get("assigned_by"):
                    said = pl.Series(table["split"].filter(pa.array(kept_mask)).to_pylist(), dtype=pl.String)
                    place = said.fill_null(place)
            for name in splits:
                kept[name].append(rows.filter(pa.array((place == name).to_list(), pa.bool_())))
        dropped = merged.filter(pa.array(~kept_mask))
        if dropped.num_rows:
            rejected.append(_with_reason(dropped, [(label, one.filter(pa.array(~kept_mask))) for label, one in beside]))
        work.advance(table.num_rows)
    extras = work.payload["extras"]
    result: dict[str, Any] = {"data": {}, "rejected": None, "counts": counts}
    for name, tables in kept.items():
        table = pa.concat_tables(tables) if tables else None
        if table is not None and table.num_rows:
            result["data"][name] = _write(narrow(table, extras), folder, f"data-{name}")
    if rejected:
        result["rejected"] = _write(narrow(pa.concat_tables(rejected), extras), folder, "rejected")
    return result


def _with_reason(dropped: pa.Table, columns: Sequence[tuple[str, pa.Table]]) -> pa.Table:
    frame = pl.DataFrame(
        {name: [None] * dropped.num_rows for name in ("step", "reason")}, dict.fromkeys(("step", "reason"), pl.String)
    )
    for label, table in columns:
        left = (~pl.Series(table["keep"].combine_chunks())).fill_null(False)
        reason = pl.Series(table["reason"].combine_chunks())
        frame = frame.with_columns(
            step=pl.when(left).then(pl.lit(label)).otherwise("step"),
            reason=pl.when(left).then(reason).otherwise("reason"),
        )
    for name in frame.columns:
        field = pa.field(name, pa.string(), nullable=False)
        dropped = dropped.append_column(field, frame[name].to_arrow().cast(pa.string()))
    return dropped


def _write(table: pa.Table, folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.parquet"
    write_parquet(table, path)
    (folder / f"{name}.digests").write_bytes(b"".join(row_digests(table)))
    asked = count_prompts(table)
    licenses = pl.Series(table["lineage"].combine_chunks().field("license")).value_counts()
    return {
        "path": path.name,
        "digests": f"{name}.digests",
        "rows": table.num_rows,
        "digest": content_digest(table),
        "places": content_digest(table, places=True),
        "languages": count_languages(table),
        "licenses": dict(sorted(licenses.rows())),
        **({"prompts": asked} if asked else {}),
    }
