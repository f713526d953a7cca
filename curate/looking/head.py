"""The first rows of a version: kept, rejected or quarantined ones, of all languages or one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.catalog.suggestions import nearest
from curate.engine.store.store import Store
from curate.errors import StoreError
from curate.records import Entry, Record, row_record
from curate.records.shown import Shown
from curate.rows import present
from curate.rows.languages import InvalidLanguage, normalize

Part = Literal["kept", "rejected", "quarantined"]
_BATCH = 256


@dataclass
class SomeRows(Shown):
    """Some rows of a version."""

    version: str
    """``name@version``."""
    part: Part
    rows: list[dict[str, Any]]
    """As in the version's files; kept ones with their ``split``."""
    total: int
    """How many such rows the version has, of all languages."""

    @property
    def title(self) -> str:
        return f"{self.version}: {len(self.rows):,} of {self.total:,} {self.part} rows"

    def records(self) -> list[Record]:
        if self.part == "quarantined":
            found = [
                Record(
                    ", ".join(part for part in (row["source"], row["unit"], row["place"]) if part),
                    (Entry.of("reason", row["reason"]), Entry.of("raw text", row["raw"], "und")),
                )
                for row in self.rows
            ]
        else:
            found = [row_record(row, row.get("split", "")) for row in self.rows]
        return [*found, Record(self.title)]


def first_rows(store: Store, name: str, *, rows: int = 5, part: Part = "kept", language: str | None = None) -> SomeRows:
    """The first rows of a version, in its order.

    Args:
        name: ``name`` or ``name@ref``.
        language: only rows in this language and its more special forms (``zh`` for ``zh-Hant``).

    Raises:
        StoreError: there is no such version, or none of its rows is in this language.
        DamagedError: one of its files is not what was written.
    """
    dataset, _, ref = name.partition("@")
    version = store.resolve(dataset, ref or "latest")
    manifest = store.manifest(dataset, version)
    files = [file for file in manifest["files"] if _part(file["part"]) == part]
    tag = None
    if language is not None:
        tag = _tag(language, part)
        there = sorted({one for file in files for one in file["languages"]})
        if not any(_within(one, tag) for one in there):
            raise StoreError(
                f"{dataset}@{version} has no {part} rows in '{language}'{nearest(tag, there)}; it has "
                f"{', '.join(there) or 'none'}"
            )
    found: list[dict[str, Any]] = []
    for file in files:
        path = store.checked(f"datasets/{dataset}/{version}/{file['path']}")
        for row in _rows(path, tag):
            found.append({**row, "split": file["part"]} if part == "kept" else row)
            if len(found) == rows:
                break
        if len(found) == rows:
            break
    return SomeRows(f"{dataset}@{version}", part, found, sum(file["rows"] for file in files))


def _part(name: str) -> Part:
    return "rejected" if name == "rejected" else "quarantined" if name == "quarantined" else "kept"


def _tag(language: str, part: Part) -> str:
    if part == "quarantined":
        raise StoreError("what could not be read or made has no language; leave --language out")
    try:
        return normalize(language)
    except InvalidLanguage as error:
        raise StoreError(f"--language: {error}") from None


def _within(language: str, tag: str) -> bool:
    return language == tag or language.startswith(f"{tag}-")


def _rows(path: Any, tag: str | None) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH):
            table = pa.Table.from_batches([batch])
            if tag is not None:
                known = [one for one in pc.unique(table["language"]).to_pylist() if _within(one, tag)]
                table = table.filter(pc.is_in(table["language"], pa.array(known, pa.string())))
            yield from (present(row) for row in table.to_pylist())
