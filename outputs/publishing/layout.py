"""The file layout of a publication: Parquet files in one folder for each language, named so that globs find each split.

Rows have all columns of the store, in order. With one language, or on request, the version's own files are used;
otherwise files are rewritten with the same bytes every time, so that an upload can be resumed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.engine.store.shards import COMPRESSION
from curate.errors import PublishError
from curate.rows import Kind, narrow, schema
from curate.steps.outputs import Version

DEFAULT = "default"
_OPEN_AT_ONCE = 128
_GROUP_BYTES = 32 * 1024 * 1024
_HELD_BYTES = 192 * 1024 * 1024
_FILE_BYTES = 400 * 1024 * 1024
_SPLIT = re.compile(r"\w+(\.\w+)*")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,80}")


@dataclass(frozen=True)
class Item:
    """A file to publish."""

    path: str
    """Its path, with ``/``."""
    size: int
    """In bytes."""
    sha256: str
    content: Path | bytes
    """The local file, or its content."""
    rows: int | None = None

    @classmethod
    def of(cls, path: str, content: bytes) -> Item:
        """A small file."""
        return cls(path, len(content), hashlib.sha256(content).hexdigest(), content)

    def read(self) -> bytes:
        """Its content."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@dataclass(frozen=True)
class Config:
    """A configuration of ``datasets``: files under one name, by split."""

    name: str
    splits: Mapping[str, int]
    """Split → rows."""
    folder: str
    """The folder of its files; may contain one ``*``."""

    def pattern(self, split: str) -> str:
        """The files of a split."""
        return f"{self.folder}/{split}-*.parquet"

    @property
    def rows(self) -> int:
        return sum(self.splits.values())


@dataclass(frozen=True)
class Layout:
    """The file layout of a version."""

    configs: tuple[Config, ...]
    """The configuration with all rows first."""
    parted: bool
    """Whether each language has a folder."""
    places: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Language (pair of languages) → split → rows."""


def keys(kind: Kind) -> list[str]:
    """The columns that decide a row's configuration."""
    return ["source_language", "language"] if kind is Kind.PARALLEL else ["language"]


def plan_layout(version: Version, per_language: bool | None = None) -> Layout:
    """The layout of a version; reads only its language columns.

    Args:
        per_language: a configuration for each language (for parallel rows each pair, ``en-sw``). Default: if there are
            several.

    Raises:
        PublishError: it has no rows, or a split has an invalid name.
    """
    about = version.manifest["splits"]
    if not version.manifest["rows"]:
        raise PublishError(f"'{version.name}' has no rows to publish")
    for split in about:
        if not _SPLIT.fullmatch(split):
            raise PublishError(
                f"a split called '{split}' cannot be loaded by 'datasets': letters, digits and '_' only; rename it in "
                "the catalog"
            )
    totals = {split: int(one["rows"]) for split, one in about.items()}
    places: dict[str, dict[str, int]] = {}
    for split, one in about.items():
        counts = _pairs(version, one["files"]) if version.kind is Kind.PARALLEL else one["languages"]
        for name, rows in counts.items():
            if not _FOLDER.fullmatch(name):
                raise PublishError(f"'{name}' is not a language tag, so it cannot name a folder")
            places.setdefault(name, {})[split] = rows
    ordered = dict(sorted(places.items(), key=lambda pair: (-sum(pair[1].values()), pair[0])))
    parted = len(places) > 1 if per_language is None else per_language
    if not parted:
        return Layout((Config(DEFAULT, totals, "data"),), False, ordered)
    each = tuple(Config(name, counts, f"data/{name}") for name, counts in ordered.items())
    return Layout((Config(DEFAULT, totals, "data/*"), *each), True, ordered)


def _pairs(version: Version, files: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for path in files:
        frame = (
            pl.scan_parquet(version.folder / path, glob=False).group_by("source_language", "language").len().collect()
        )
        for source, target, rows in frame.iter_rows():
            counts[f"{source}-{target}"] = counts.get(f"{source}-{target}", 0) + rows
    return counts


def source_languages(version: Version) -> list[str]:
    """The languages of source sides; empty except for parallel rows."""
    if version.kind is not Kind.PARALLEL:
        return []
    tags: set[str] = set()
    for about in version.manifest["splits"].values():
        for path in about["files"]:
            frame = (
                pl.scan_parquet(version.folder / path, glob=False).select(pl.col("source_language").unique()).collect()
            )
            tags.update(frame["source_language"].to_list())
    return sorted(tags)


# ---------------------------------------------------------------------------------------------------------------- files
def files(version: Version, layout: Layout, folder: Path) -> list[Item]:
    """The data files of a version in this layout, in order.

    Args:
        folder: for files that must be written; keep it until they are sent.
    """
    if not layout.parted:
        known = {one["path"]: one for one in version.manifest["files"]}
        items = []
        for path in (path for about in version.manifest["splits"].values() for path in about["files"]):
            one = known[path]
            items.append(Item(path, one["bytes"], one["sha256"], version.folder / path, one["rows"]))
        return items
    written = _divided(version, list(layout.places), keys(version.kind), folder)
    return sorted((item for _, _, items in written for item in items), key=lambda item: item.path)


def by_language(version: Version, languages: Sequence[str], folder: Path) -> Iterator[Version]:
    """The rows of each language as a version of its own, whose files are written to ``folder``; the version's files are
    read once (for every 128 languages)."""
    named: dict[str, dict[str, list[str]]] = {language: {} for language in languages}
    for split, language, items in _divided(version, languages, ["language"], folder):
        named[language][split] = [item.path for item in items]
    for language in languages:
        splits = {
            split: {**about, "rows": about["languages"].get(language, 0), "files": named[language][split]}
            for split, about in version.manifest["splits"].items()
        }
        counts = {"splits": splits, "rows": version.manifest["languages"][language]}
        yield replace(version, folder=folder, manifest={**version.manifest, **counts})


def _divided(
    version: Version, names: Sequence[str], columns: Sequence[str], folder: Path
) -> Iterator[tuple[str, str, list[Item]]]:
    """(split, name, files) of the rows with each name, which is the values of some columns with hyphens between."""
    for split in version.splits:
        for start in range(0, len(names), _OPEN_AT_ONCE):
            part = _part(version, split, names[start : start + _OPEN_AT_ONCE], columns, folder)
            for name, items in part.items():
                yield split, name, items


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Writer:
    """The files of one language and split; starts a new file when one is full, and writes a row group when enough rows
    are there."""

    def __init__(self, folder: Path, inner: str, target: pa.Schema) -> None:
        self.folder, self.inner, self.target = folder, inner, target
        self.held: list[pa.Table] = []
        self.size = self.number = self.rows = 0
        self.writer: pq.ParquetWriter | None = None
        self.path = folder
        self.items: list[Item] = []

    def add(self, table: pa.Table) -> None:
        self.held.append(table)
        self.size += table.nbytes
        if self.size >= _GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self.held:
            return
        table = pa.concat_tables(self.held).combine_chunks()
        self.held, self.size = [], 0
        if self.writer is None:
            self.path = self.folder / f"{self.inner}-{self.number:05d}.parquet"
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = pq.ParquetWriter(self.path, self.target, use_dictionary=["language"], **COMPRESSION)
        self.writer.write_table(table, row_group_size=max(1, table.num_rows))
        self.rows += table.num_rows
        if self.path.stat().st_size >= _FILE_BYTES:
            self.end()

    def end(self) -> None:
        self.flush()
        if self.writer is not None:
            self.writer.close()
            self.writer = None
            name = f"{self.inner}-{self.number:05d}.parquet"
            self.items.append(Item(name, self.path.stat().st_size, digest(self.path), self.path, self.rows))
            self.number, self.rows = self.number + 1, 0


def _part(
    version: Version, split: str, names: Sequence[str], columns: Sequence[str], folder: Path
) -> dict[str, list[Item]]:
    target = schema(version.kind, version.extras)
    writers = {name: _Writer(folder, f"data/{name}/{split}", target) for name in names}
    for rows in version.rows(split):
        for name, table in _by_key(narrow(rows.table, version.extras), columns):
            if name in writers:
                writers[name].add(table)
        while sum(writer.size for writer in writers.values()) > _HELD_BYTES:
            max(writers.values(), key=lambda writer: writer.size).flush()
    for writer in writers.values():
        writer.end()
    return {name: writer.items for name, writer in writers.items()}


def _by_key(table: pa.Table, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each language, in order."""
    frame = pl.DataFrame({name: pl.Series(table[name].combine_chunks()) for name in columns})
    named = frame.select(key=pl.concat_str(columns, separator="-")).with_row_index()
    for part in named.partition_by("key", maintain_order=True):
        yield str(part["key"][0]), table.take(pa.array(part["index"].to_numpy()))


def header(layout: Layout, about: str) -> list[dict[str, Any]]:
    """The ``configs`` of a card's header.

    Args:
        about: identifies these rows: ``datasets`` caches a folder by its last name and this header, and would return
            the rows of an earlier version.
    """
    return [
        {
            "config_name": config.name,
            "description": about,
            **({"default": True} if config.name == DEFAULT and len(layout.configs) > 1 else {}),
            "data_files": [{"split": split, "path": config.pattern(split)} for split in config.splits],
        }
        for config in layout.configs
    ]
