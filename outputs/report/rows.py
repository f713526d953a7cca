"""Rows of a version by their places or ids, and what their texts are.

Parents and originals are looked up in the cached results of the version, as far as the store still has them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.engine.store.remote.fetch import bring_all
from curate.engine.store.store import Store
from curate.errors import CurateError
from curate.rows import Kind, message_text, schema
from curate.rows.fields import field_text as text_of
from curate.rows.fields import parents_of
from curate.rows.kinds import MEDIA, kind_of
from curate.steps.outputs import Version
from outputs.report.data import File

PARENTS = 8
"""Rows of each generation that are shown beside a row; others are counted."""
_GENERATIONS = 3
_BATCH = 4_096


def fetch(files: Sequence[File], places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], dict[str, Any]]:
    """(number of the file, position in it) → the row as in its file, with ``kind`` and ``split``."""
    rows_of: dict[int, set[int]] = {}
    for number, row in places:
        rows_of.setdefault(number, set()).add(row)
    rows_found: dict[tuple[int, int], dict[str, Any]] = {}
    for number, rows in rows_of.items():
        file = files[number]
        with pq.ParquetFile(file.path) as opened:
            start = 0
            for group in range(opened.num_row_groups):
                size = opened.metadata.row_group(group).num_rows
                if any(start <= row < start + size for row in rows):
                    at = start
                    for batch in opened.iter_batches(_BATCH, row_groups=[group]):
                        mine = sorted(row for row in rows if at <= row < at + batch.num_rows)
                        if mine:
                            taken = batch.take(pa.array([row - at for row in mine])).to_pylist()
                            rows_found |= {
                                (number, row): {**one, "kind": file.kind, "split": file.split}
                                for row, one in zip(mine, taken, strict=True)
                            }
                        at += batch.num_rows
                start += size
    return rows_found


def texts(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Label, text and language of all texts of a row."""
    kind, language = row["kind"], row["language"]
    if kind is Kind.PARALLEL:
        yield "source", row["source"], row["source_language"]
        yield "target", row["target"], language
    elif kind is Kind.DOCUMENT:
        yield "text", row["text"], language
    else:
        for column in ("messages", "prompt", "chosen", "rejected", "completion"):
            for turn in row.get(column) or ():
                label = turn["role"] if column in ("messages", "prompt") else f"{column}: {turn['role']}"
                if turn.get("reasoning"):
                    yield f"{label} (reasoning)", turn["reasoning"], language
                yield label, message_text(turn), language
        if row.get("tools"):
            yield "tools", row["tools"], "en"
        for name in MEDIA:
            if row.get(name):
                yield name, "\n".join(row[name]), "en"
        if "label" in row and row["label"] is not None:
            yield "label", "good" if row["label"] else "bad", "en"


def first_words(row: Mapping[str, Any]) -> tuple[str, str]:
    """The text that identifies a row in a list: the first that is not a system message, and its language."""
    candidates = [(one, language) for label, one, language in texts(row) if label != "system" and one.strip()]
    return candidates[0] if candidates else ("", row["language"])


def field_text(row: Mapping[str, Any], name: str) -> str:
    """The text of a field as steps see it: messages separated by an empty line."""
    kind = row["kind"]
    flat = {column.name: [row.get(column.name)] for column in schema(kind)}
    return str(text_of(kind, pa.table(flat, schema=schema(kind)), name)[0])


# ------------------------------------------------------------------------------------------------------------ relatives
def related(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ids of these rows' parents and of the rows they were dropped for, once each."""
    found: dict[str, None] = {}
    for row in rows:
        found |= dict.fromkeys(parents_of(row)[:PARENTS])
        found |= dict.fromkeys(one["value"] for one in row["attributes"] if one["name"].endswith(".duplicate_of"))
    return list(found)


def look_up(store: Store, version: Version, files: Sequence[File], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows by id, and the rows these were made of, three generations up: among the version's own, else among its
    results."""
    found: dict[str, dict[str, Any]] = {}
    missing = set(ids)
    paths = list(dict.fromkeys([*(file.path for file in files), *_results(store, version.manifest, set())]))
    for _ in range(_GENERATIONS):
        if not missing:
            break
        fresh = _find(paths, missing)
        found |= fresh
        missing = set(related(fresh.values())) - found.keys()
    return found


def _results(store: Store, manifest: Mapping[str, Any], seen: set[str]) -> Iterator[Path]:
    """Files of rows that a version stands on, and what the datasets stand on that it was made of."""
    for result in reversed(manifest.get("results", [])):
        folder = store.work(*result.split("/", 1))
        bring_all(folder, "rows-*.parquet")
        yield from sorted(folder.glob("rows-*.parquet"))
    for source in manifest.get("sources", []):
        name, version = source.get("name", ""), str(source.get("version") or "")
        if source.get("use") == "dataset" and version and f"{name}@{version}" not in seen:
            seen.add(f"{name}@{version}")
            folder = store.dataset(name) / version
            bring_all(folder)
            yield from sorted(folder.glob("data/*.parquet"))
            yield from sorted(folder.glob("rejected/*.parquet"))
            with contextlib.suppress(CurateError):  # a version that was removed since has left its rows here
                yield from _results(store, store.manifest(name, version), seen)


def _find(paths: Iterable[Path], ids: set[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    left = set(ids)
    for path in paths:
        if not left:
            break
        try:
            with pq.ParquetFile(path) as opened:
                found |= _in(opened, left)
        except (OSError, pa.ArrowException, ValueError):
            continue  # a result that somebody swept away meanwhile is one more that the store has not got
        left -= found.keys()
    return found


def _in(opened: pq.ParquetFile, ids: set[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    kind = kind_of(opened.schema_arrow.names)
    for group in range(opened.num_row_groups):
        named = pl.Series(opened.read_row_group(group, columns=["id"])["id"])
        if named.is_in(list(ids)).any():
            for batch in opened.iter_batches(_BATCH, row_groups=[group]):
                mine = pl.Series(batch.column("id")).is_in(list(ids))
                for row in batch.filter(pa.array(mine.to_list())).to_pylist() if mine.any() else ():
                    found.setdefault(row["id"], {**row, "kind": kind, "split": ""})
    return found
