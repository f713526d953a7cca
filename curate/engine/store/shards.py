"""Row shards: immutable Parquet files of rows in a canonical order, split at places that the rows themselves decide.

A cut is made after a row whose id's first bits are zero, so one inserted row moves one cut and changes one shard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.rows import Kind, content_digest, extras_in, narrow, schema, widen

COMPRESSION: dict[str, Any] = {"compression": "zstd", "compression_level": 3, "write_page_checksum": True}

QUARANTINED = pa.schema([(name, pa.string()) for name in ("source", "unit", "place", "reason", "raw")])
"""Columns of what could not be read or made."""


@dataclass(frozen=True)
class ChunkLimits:
    """Where shards may end."""

    least: int = 8_192
    """Rows a shard has at least (but for the last)."""
    mean: int = 8_192
    """Beyond ``least``, one row in so many ends a shard; a power of two."""
    most: int = 32_768
    """Rows a shard has at most."""
    most_bytes: int = 96 << 20
    """Bytes of Arrow data after which a shard ends, whatever its rows."""

    def recipe(self) -> list[int]:
        """What enters the key of everything that is cut."""
        return [self.least, self.mean, self.most, self.most_bytes]


@dataclass(frozen=True)
class Shard:
    """A row shard in the store."""

    path: str
    """Relative to the store."""
    rows: int
    bytes: int
    digest: str
    """Content digest without places (see :class:`curate.rows.ContentDigest`): what keys are made of."""
    places: str
    """Content digest with places: what versions are made of."""
    languages: dict[str, int]
    extras: tuple[str, ...] = ()
    """The optional parts that its rows have (:data:`curate.rows.kinds.EXTRAS`)."""
    prompts: dict[str, int] = field(default_factory=dict)
    """Rows whose prompt is in another language, by both (:func:`count_prompts`)."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any], folder: str = "") -> Shard:
        return cls(**{**value, "path": f"{folder}/{value['path']}" if folder else value["path"]})


def write_parquet(table: pa.Table, path: Path) -> None:
    """Writes a table with the settings used everywhere."""
    pq.write_table(
        table, path, use_dictionary=["language"] if "language" in table.column_names else False, **COMPRESSION
    )


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The table in a file, all of it or these columns; :func:`pyarrow.parquet.read_table` takes twice as long where
    it is small."""
    with pq.ParquetFile(path, pre_buffer=True) as file:
        table = file.read(columns)
    return table if columns is None else table.select(columns)


def write_shard(table: pa.Table, path: Path, name: str) -> Shard:
    """Writes rows as one shard."""
    write_parquet(table, path)
    return Shard(
        name,
        table.num_rows,
        path.stat().st_size,
        content_digest(table),
        content_digest(table, places=True),
        count_languages(table),
        tuple(sorted(extras_in(table))),
        count_prompts(table),
    )


def count_languages(table: pa.Table) -> dict[str, int]:
    """Language → rows, most first."""
    if not table.num_rows:
        return {}
    return _counted(pl.Series("language", table["language"].combine_chunks()))


def count_prompts(table: pa.Table) -> dict[str, int]:
    """Both languages, as ``sw (prompt en)`` → rows, of rows whose prompt is in another language; most first."""
    return _counted(both_languages(table).drop_nulls())


def both_languages(table: pa.Table) -> pl.Series:
    """``sw (prompt en)`` of each row whose prompt is in another language, null for all others."""
    if "prompt_language" not in table.column_names or table["prompt_language"].null_count == table.num_rows:
        return pl.Series("language", [None] * table.num_rows, dtype=pl.String)
    frame = pl.DataFrame(pl.from_arrow(table.select(["language", "prompt_language"])))
    return frame.select(language=pl.format("{} (prompt {})", "language", "prompt_language")).to_series()


def _counted(values: pl.Series) -> dict[str, int]:
    counts = values.value_counts(sort=True)
    return dict(
        sorted(
            zip(counts["language"].to_list(), counts["count"].to_list(), strict=True),
            key=lambda pair: (-pair[1], pair[0]),
        )
    )


def read_shard(root: Path, shard: Shard, columns: list[str] | None = None) -> pa.Table:
    """The rows of a shard."""
    return widen(read_parquet(root / shard.path, columns))


def cut(tables: Iterable[pa.Table], chunk_limits: ChunkLimits) -> Iterator[pa.Table]:
    """Joins and cuts tables of rows into shards; at most one shard is held in memory."""
    held: list[pa.Table] = []
    rows = size = 0
    mask = np.uint64(chunk_limits.mean - 1)
    for table in tables:
        start = 0
        ends = np.flatnonzero((_first_bits(table) & mask) == 0) if table.num_rows else np.empty(0, np.int64)
        # Optional parts that no row has take memory, and must not move a cut.
        per_row = narrow(table, extras_in(table)).nbytes / max(1, table.num_rows)
        while start < table.num_rows:
            by_bytes = max(1, int((chunk_limits.most_bytes - size) / per_row) if per_row else chunk_limits.most)
            limit = min(start + chunk_limits.most - rows, start + by_bytes)
            first = max(start, start + chunk_limits.least - rows - 1)
            candidates = ends[(ends >= first) & (ends < limit)]
            end = int(candidates[0]) + 1 if len(candidates) else min(limit, table.num_rows)
            full = bool(len(candidates)) or end == limit
            piece = table.slice(start, end - start)
            held.append(piece)
            rows, size, start = rows + piece.num_rows, size + int(piece.num_rows * per_row), end
            if full:
                yield pa.concat_tables(held).combine_chunks()
                held, rows, size = [], 0, 0
    if rows:
        yield pa.concat_tables(held).combine_chunks()


def _first_bits(table: pa.Table) -> np.ndarray[Any, np.dtype[np.uint64]]:
    ids = pl.Series("id", table["id"].combine_chunks()).str.slice(0, 15)
    return ids.str.to_integer(base=16).to_numpy().astype(np.uint64)


def empty(kind: Kind) -> pa.Table:
    """No rows, in the kind's schema."""
    return schema(kind).empty_table()
