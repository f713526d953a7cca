"""A version is the join of rows and kept columns, written once: data by split, rejects with step and reason, unreadable rows.

Parts are made by workers and cached like any result; a version is a folder of links to parts with a manifest, and its
name is the digest of its rows in order, however they are cut.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.engine.store.columns import Columns, merge_scores, read_alive
from curate.engine.store.integrity import file_digest
from curate.engine.store.shards import Shard, count_languages, read_shard, write_parquet
from curate.engine.store.store import Store
from curate.engine.tasks.task import BAD_SCHEMA, Work
from curate.rows import Kind, content_digest
from curate.rows.ids import row_digests

ID_LENGTH = 20


def assign_splits(groups: Sequence[str], splits: dict[str, float], seed: int) -> list[str]:
    """The split of each row by its group: rows of one group, in whatever language, always fall together.

    The digest of seed and group, as a number in [0, 1), is looked up in the cumulated shares, so a new row moves no other.
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


def part(work: Work, folder: Path) -> dict[str, Any]:
    """A run of neighbouring pieces: kept rows by split, rejected rows."""
    root = work.store.root
    splits: dict[str, float] = work.payload["splits"]
    kept: dict[str, list[pa.Table]] = {name: [] for name in splits}
    rejected: list[pa.Table] = []
    for piece in work.payload["pieces"]:
        table = read_shard(root, Shard(**piece["shard"]))
        columns = [Columns(**value) for value in piece["columns"]]
        beside = [(one.label, pq.read_table(root / one.path)) for one in columns]
        merged = merge_scores(table, beside)
        alive = read_alive(root, columns, table.num_rows)
        if not piece["superseded"]:
            rows = merged.filter(pa.array(alive))
            by_group = assign_splits(rows["group_id"].to_pylist(), splits, work.payload["seed"])
            place = pl.Series(by_group, dtype=pl.String)
            for label, table in beside:
                if label == work.payload.get("assigned_by"):
                    said = pl.Series(table["split"].filter(pa.array(alive)).to_pylist(), dtype=pl.String)
                    place = said.fill_null(place)
            for name in splits:
                kept[name].append(rows.filter(pa.array((place == name).to_list(), pa.bool_())))
        dropped = merged.filter(pa.array(~alive))
        if dropped.num_rows:
            rejected.append(_with_reason(dropped, [(label, one.filter(pa.array(~alive))) for label, one in beside]))
        work.tick(table.num_rows)
    result: dict[str, Any] = {"data": {}, "rejected": None}
    for name, tables in kept.items():
        table = pa.concat_tables(tables) if tables else None
        if table is not None and table.num_rows:
            result["data"][name] = _write(table, folder, f"data-{name}")
    if rejected:
        result["rejected"] = _write(pa.concat_tables(rejected), folder, "rejected")
    return result


def _with_reason(dropped: pa.Table, columns: Sequence[tuple[str, pa.Table]]) -> pa.Table:
    steps: list[str | None] = [None] * dropped.num_rows
    reasons: list[str | None] = [None] * dropped.num_rows
    for label, table in columns:
        for index, (keep, reason) in enumerate(
            zip(table["keep"].to_pylist(), table["reason"].to_pylist(), strict=True)
        ):
            if keep is False:
                steps[index], reasons[index] = label, reason
    return dropped.append_column(
        pa.field("step", pa.string(), nullable=False), pa.array(steps, pa.string())
    ).append_column(pa.field("reason", pa.string(), nullable=False), pa.array(reasons, pa.string()))


def _write(table: pa.Table, folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.parquet"
    write_parquet(table, path)
    (folder / f"{name}.digests").write_bytes(b"".join(row_digests(table)))
    licenses = pl.Series(table["lineage"].combine_chunks().field("license")).value_counts()
    return {"path": path.name, "digests": f"{name}.digests", "rows": table.num_rows,
            "digest": content_digest(table), "places": content_digest(table, places=True), "languages": count_languages(table),
            "licenses": dict(sorted(licenses.rows()))}  # fmt: skip


def version_digest(
    store: Store, kind: Kind, parts: Sequence[tuple[str, dict[str, Any]]], splits: Sequence[str], bad: str
) -> str:
    """The name of a version: digest of its rows split by split in order, of its rejects, of its unreadable rows."""
    whole = hashlib.blake2b(f"curate-version-1:{kind}:{bad}".encode(), digest_size=32)
    for split in splits:
        whole.update(f"\0split {split}\0".encode())
        for folder, part in parts:
            if split in part["data"]:
                whole.update(store.checked(f"{folder}/{part['data'][split]['digests']}").read_bytes())
    whole.update(b"\0rejected\0")
    for folder, part in parts:
        if part["rejected"]:
            whole.update(store.checked(f"{folder}/{part['rejected']['digests']}").read_bytes())
    return whole.hexdigest()[:ID_LENGTH]


def bad_rows(store: Store, folders: Sequence[str]) -> pa.Table:
    """All unreadable rows of a dataset's sources."""
    tables = [pq.read_table(store.checked(f"{folder}/bad.parquet")).cast(BAD_SCHEMA) for folder in folders]
    return pa.concat_tables(tables) if tables else BAD_SCHEMA.empty_table()


def fill_version(
    store: Store, folder: Path, parts: Sequence[tuple[str, dict[str, Any]]], bad: pa.Table
) -> Iterator[dict[str, Any]]:
    """Puts a version's files into a folder and tells what each is."""
    numbers: dict[str, int] = {}
    for source, part in parts:
        named = [(split, f"data/{split}-{{:05d}}.parquet", about) for split, about in part["data"].items()]
        if part["rejected"]:
            named.append(("rejected", f"rejected/{part['kind']}-{{:05d}}.parquet", part["rejected"]))
        for name, pattern, about in named:
            number = numbers.get(pattern, 0)
            numbers[pattern] = number + 1
            path = folder / pattern.format(number)
            path.parent.mkdir(exist_ok=True)
            _link(store.checked(f"{source}/{about['path']}"), path)
            size, sha256 = part["files"][about["path"]]
            told = {key: about[key] for key in ("rows", "digest", "places", "languages", "licenses")}
            yield {"path": pattern.format(number), "part": name, "bytes": size, "sha256": sha256, **told}
    if bad.num_rows:
        path = folder / "quarantined" / "00000.parquet"
        path.parent.mkdir()
        write_parquet(bad, path)
        yield {"path": "quarantined/00000.parquet", "part": "quarantined", "rows": bad.num_rows, "bytes": path.stat().st_size,
               "sha256": file_digest(path), "digest": content_digest(bad)}  # fmt: skip


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)  # the same bytes, once on disk: neither side is ever changed
    except OSError:
        shutil.copyfile(source, target)
