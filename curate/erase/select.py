"""Selects the rows to erase: by id, condition, source, or line of a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.engine.store.shards import read_parquet
from curate.engine.store.store import Store
from curate.errors import BuildError, QueryError, StoreError
from curate.rows import widen
from curate.rows.ids import line_id
from curate.sql import Database, Limits

_MOST = 1_000_000
_ID = re.compile(r"[0-9a-f]{32}")
_LINE = re.compile(r"(?P<unit>.+):(?:line )?(?P<place>[^:]+)")


def files(store: Store, *patterns: str) -> Iterator[Path]:
    """The files of all results and versions, whether described or not, that one of these patterns fits."""
    for folder in [*store.root.glob("work/*/[!.]*"), *store.root.glob("datasets/*/[!.]*")]:
        for pattern in patterns:
            yield from folder.glob(pattern)


def read(path: Path, *columns: str) -> pl.DataFrame | None:
    """A file of the store (all its columns, unless some are named); None if it is damaged."""
    try:
        return pl.DataFrame(pl.from_arrow(read_parquet(path, columns=list(columns) or None)))
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
            table = widen(read_parquet(path)).filter(pa.array(mask.to_list(), pa.bool_()))
            found.setdefault(str(kind_of(table.column_names)), {})[str(path)] = table
    return {kind: pa.concat_tables(tables.values()) for kind, tables in found.items()}


def _write(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path)
    return path
