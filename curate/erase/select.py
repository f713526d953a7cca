"""Which rows are to be forgotten: by id, by condition, by source, by the line of a file; and all that was made of
them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.engine.store.store import Store
from curate.errors import BuildError, QueryError, StoreError
from curate.rows import widen
from curate.rows.ids import line_id
from curate.sql import Database, Limits

_MOST = 1_000_000
_ID = re.compile(r"[0-9a-f]{32}")
_LINE = re.compile(r"(?P<unit>.+):(?:line )?(?P<place>[^:]+)")


@dataclass(frozen=True)
class Tree:
    """What was made of what, by all rows of a store: those of versions and those on the way to them."""

    edges: pl.DataFrame
    """``id``, ``parent`` (null where there is none), ``source`` of each row that was read (empty: it was made)."""
    unreadable: tuple[Path, ...] = ()
    """Files that are damaged: what only they know is not known."""

    @classmethod
    def of(cls, store: Store) -> Tree:
        """Reads ids and lineage of every row shard and version."""
        place = pl.struct("source", "source_id").hash().alias("place")
        frames = [pl.DataFrame(schema={"id": pl.String, "parent": pl.String, "source": pl.String, "place": pl.UInt64})]
        unreadable = []
        lineage = pl.col("lineage").struct
        for path in files(store, "rows-*.parquet", "data/*.parquet", "rejected/*.parquet"):
            frame = read(path, "id", "lineage")
            if frame is None:
                unreadable.append(path)
                continue
            parts = [lineage.field(name) for name in ("source", "source_id", "parents", "makers")]
            frame = frame.select("id", *parts).with_columns(place, made=pl.col("makers").list.len() > 0)
            # The parent of a row that was read is its original in another source: nothing that it was made of.
            fresh = frame.filter(~pl.col("made")).select(
                "id", pl.lit(None, pl.String).alias("parent"), "source", "place"
            )
            grown = frame.filter("made").select(
                "id", pl.col("parents").alias("parent"), pl.lit("").alias("source"), "place"
            )
            frames += [fresh.unique(), grown.explode("parent").unique()]
        every = pl.concat(frames).unique()
        # Of an old version what lay between may be cleared away: then a made row hangs on the row that was read at
        # its place.
        known = pl.col("parent").is_in(every["id"].implode()) & (pl.col("parent") != pl.col("id"))
        broken = every.filter(pl.col("parent").is_not_null() & ~known)
        origins = every.filter(pl.col("source") != "").select(pl.col("id").alias("origin"), "place")
        bridged = broken.join(origins, on="place").select("id", pl.col("origin").alias("parent"), "source")
        return cls(pl.concat([every.drop("place"), bridged]).unique(), tuple(unreadable))

    @property
    def ids(self) -> set[str]:
        """All that there are, also those that are only known as parents."""
        return {*self.edges["id"].to_list(), *self.edges["parent"].drop_nulls().to_list()}

    def source(self, row: str) -> str:
        """The source that a row was read from; empty for one that was made."""
        return self._sources.get(row, "")

    def of_sources(self, sources: Sequence[str]) -> list[str]:
        """The rows that were read from these sources."""
        return [row for row, source in self._sources.items() if source in sources]

    @cached_property
    def _sources(self) -> dict[str, str]:
        read = self.edges.filter(pl.col("source") != "")
        return dict(zip(read["id"].to_list(), read["source"].to_list(), strict=True))

    def below(self, rows: Iterable[str]) -> frozenset[str]:
        """These and everything that was made of them."""
        return self._closed(rows, "parent", "id")

    def above(self, rows: Iterable[str]) -> frozenset[str]:
        """These and everything that they were made of."""
        return self._closed(rows, "id", "parent")

    def _closed(self, rows: Iterable[str], here: str, there: str) -> frozenset[str]:
        found = set(rows)
        fresh = found
        while fresh:
            wanted = pl.Series(sorted(fresh), dtype=pl.String).implode()
            step = self.edges.filter(pl.col(here).is_in(wanted))[there].drop_nulls()
            fresh = set(step.to_list()) - found
            found |= fresh
        return frozenset(found)


def files(store: Store, *patterns: str) -> Iterator[Path]:
    """The files of all results and versions, whether described or not, that one of these patterns fits."""
    for folder in [*store.root.glob("work/*/[!.]*"), *store.root.glob("datasets/*/[!.]*")]:
        for pattern in patterns:
            yield from folder.glob(pattern)


def read(path: Path, *columns: str) -> pl.DataFrame | None:
    """A file of the store (all its columns, unless some are named); None if it is damaged."""
    try:
        return pl.DataFrame(pl.from_arrow(pq.read_table(path, columns=list(columns) or None)))
    except Exception:  # noqa: BLE001 - whatever Arrow says of a damaged file
        return None


def quarantined(path: Path) -> pl.DataFrame | None:
    """What could not be read or made, of one file: its columns, and ``id``: of the row that nothing was made of, or
    of the line; None if
    it is damaged."""
    frame = read(path, "source", "unit", "place", "reason", "raw")
    if frame is None:
        return None
    ids = [
        place if _ID.fullmatch(place) else line_id(source, raw)
        for source, place, raw in frame.select("source", "place", "raw").iter_rows()
    ]
    return frame.with_columns(pl.Series("id", ids, pl.String))


def all_quarantined(paths: Iterable[Path]) -> pl.DataFrame:
    """The same of several files, but for those that are damaged."""
    empty = pl.DataFrame(schema=dict.fromkeys(("source", "unit", "place", "reason", "raw", "id"), pl.String))
    return pl.concat([empty, *(frame for path in paths if (frame := quarantined(path)) is not None)]).unique()


def find_lines(bad: pl.DataFrame, lines: Iterable[str]) -> dict[str, str]:
    """Lines that could not be read, by ``FILE:LINE`` (the end of the file's name is enough): id → source.

    Raises:
        StoreError: there is no such line.
    """
    read = bad.filter(pl.col("unit") != "").select("source", "unit", pl.col("place").str.strip_prefix("line "), "id")
    found: dict[str, str] = {}
    for line in lines:
        named = _LINE.fullmatch(line)
        unit, place = (named["unit"], named["place"]) if named else (line, "")
        here = read.filter(
            (pl.col("place") == place) & ((pl.col("unit") == unit) | pl.col("unit").str.ends_with(f"/{unit}"))
        )
        if not here.height:
            known = read.filter((pl.col("unit") == unit) | pl.col("unit").str.ends_with(f"/{unit}"))
            there = (
                f"; unreadable there are {', '.join(known['place'].unique().sort()[:12])}"
                if known.height
                else "; SELECT unit, place FROM NAME.quarantined lists them"
            )
            raise StoreError(f"no line that could not be read is called '{line}' (FILE:LINE){there}")
        found |= dict(here.select("id", "source").iter_rows())
    return found


def find_rows(store: Store, name: str, version: str, where: str) -> dict[str, str]:
    """The rows of a version for which a SQL condition holds: kept and rejected ones, those of which nothing could
    be made, and what
    could not be read (columns ``unit``, ``place``, ``reason``, ``raw``).

    Returns:
        Id → source, for what was read and is no row; else empty.

    Raises:
        QueryError: the condition is no SQL, fits none of these tables, or takes too long.
        BuildError: it holds for too many rows.
    """
    quoted = name.replace('"', '""')
    bad = all_quarantined((store.dataset(name) / version).glob("quarantined/*.parquet"))
    found: dict[str, str] = {}
    errors: list[QueryError] = []
    with store.scratch() as scratch:
        asked = [f'"{quoted}@{version}"', f'"{quoted}@{version}".rejected']
        extra = {"failed lines": _write(bad.to_arrow(), scratch / "lines.parquet")} if bad.height else {}
        for kind, table in _rows_of(store, bad).items():
            extra[f"failed {kind}"] = _write(table, scratch / f"{kind}.parquet")
        with Database(store, Limits(600.0, "4GB"), more=extra) as database:
            for table_name in [*asked, *(f'"{one}"' for one in extra)]:
                try:
                    ids = database.query(f"SELECT id FROM {table_name} WHERE ({where})")["id"].cast(pl.String).to_list()
                except QueryError as error:
                    errors.append(error)
                    continue
                if len(found) + len(ids) > _MOST:
                    raise BuildError(
                        f"the condition holds for more than {_MOST:,} rows, which are a matter for a filter or "
                        "another source"
                    )
                found |= dict.fromkeys(ids, "")
    if len(errors) == len(asked) + len(extra):
        raise errors[0]
    lines = bad.filter((pl.col("unit") != "") & pl.col("id").is_in(pl.Series(list(found), dtype=pl.String).implode()))
    return found | dict(lines.select("id", "source").iter_rows())


def _rows_of(store: Store, bad: pl.DataFrame) -> dict[str, pa.Table]:
    """The rows of which nothing could be made, by kind, so far as they still lie in the store."""
    from curate.rows.kinds import kind_of

    wanted = pl.Series(bad.filter(pl.col("unit") == "")["id"].unique().sort())
    found: dict[str, dict[str, pa.Table]] = {}
    for path in files(store, "rows-*.parquet") if len(wanted) else ():
        ids = read(path, "id")
        if ids is not None and (mask := ids["id"].is_in(wanted.implode())).any():
            table = widen(pq.read_table(path)).filter(pa.array(mask.to_list(), pa.bool_()))
            found.setdefault(str(kind_of(table.column_names)), {})[str(path)] = table
    return {kind: pa.concat_tables(tables.values()) for kind, tables in found.items()}


def _write(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path)
    return path
