"""Finds everything derived from given rows, by the lineage of all rows in a store.

A step may put texts of other rows beside a row (``retrieve``, ``negatives``). Such a row keeps its id, which then
stands among its parents before theirs, so one id has several copies, of which some repeat a forgotten text and others
do not. What is followed here is therefore copies, not ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import polars as pl

from curate.engine.store.store import Store
from curate.erase.select import files, read

_ID = 32
_MAKERS = ("step", "model", "prompt_hash")
_COLUMNS = {"id": pl.String, "parents": pl.String, "makers": pl.String, "source": pl.String, "place": pl.UInt64}


@dataclass(frozen=True)
class Descent:
    """All copies of rows, and which were made of which."""

    copies: pl.DataFrame
    """``id``, ``parents`` (joined), ``makers`` (a line for each step) and ``source``
    of each copy; ``place`` is that of its origin in the source."""
    unreadable: tuple[Path, ...] = ()
    """Files that are damaged: what only they know is not known."""

    @classmethod
    def of(cls, store: Store) -> Descent:
        """Reads ids and lineage of every row shard and version."""
        frames, unreadable = [pl.DataFrame(schema=_COLUMNS)], []
        for path in files(store, "rows-*.parquet", "data/*.parquet", "rejected/*.parquet"):
            frame = read(path, "id", "lineage")
            if frame is None:
                unreadable.append(path)
            else:
                frames.append(frame.select("id", *lineage_columns()).unique())
        return cls(pl.concat(frames).unique(), tuple(unreadable))

    @property
    def ids(self) -> set[str]:
        """All that there are, also those that are only known as parents."""
        return {*self.copies["id"].to_list(), *self._edges["parent"].to_list()}

    def source(self, row: str) -> str:
        """The source that a row was read from; empty for one that was made."""
        return self._sources.get(row, "")

    def of_sources(self, sources: Sequence[str]) -> list[str]:
        """The rows that were read from these sources."""
        return [row for row, source in self._sources.items() if source in sources]

    def below(self, rows: Iterable[str]) -> frozenset[str]:
        """The names (see :func:`name_of`) of all copies that were made of these rows, or of what was made of them, or
        have a text of theirs beside them."""
        named = pl.Series(sorted(set(rows)), dtype=pl.String).implode()
        roots = self._numbered.filter(pl.col("id").is_in(named))["at"]
        direct = self._edges.filter(pl.col("parent").is_in(named))["at"]
        linked = self._links.filter(pl.col("from").is_in(roots.implode()))["at"]
        found = self._closed(pl.concat([direct, linked]).unique(), self._links, "from", "at")
        return frozenset(
            name_of(*one) for one in self.copies[found.to_list()].select("id", "parents", "makers").iter_rows()
        )

    def above(self, rows: Iterable[str]) -> frozenset[str]:
        """These rows and all that they were made of; a row whose text only stands beside another is none of that."""
        named = set(rows)
        at = self._numbered.filter(pl.col("id").is_in(pl.Series(sorted(named), dtype=pl.String).implode()))["at"]
        found = self._closed(at, self._links.filter(~pl.col("beside")), "at", "from").implode()
        parents = self._edges.filter(pl.col("at").is_in(found) & ~pl.col("beside"))["parent"]
        return frozenset({*named, *parents, *self._numbered.filter(pl.col("at").is_in(found))["id"]})

    @staticmethod
    def _closed(fresh: pl.Series, links: pl.DataFrame, here: str, there: str) -> pl.Series:
        found = fresh
        while len(fresh):
            step = links.filter(pl.col(here).is_in(fresh.implode()))[there].unique()
            fresh = step.filter(~step.is_in(found.implode()))
            found = pl.concat([found, fresh])
        return found

    @cached_property
    def _sources(self) -> dict[str, str]:
        fresh = self.copies.filter(pl.col("makers") == "")
        return dict(zip(fresh["id"].to_list(), fresh["source"].to_list(), strict=True))

    @cached_property
    def _numbered(self) -> pl.DataFrame:
        return self.copies.with_row_index("at")

    @cached_property
    def _edges(self) -> pl.DataFrame:
        """``at``: the number of a made copy; ``parent``: an id; ``main``: whether the copy was made of it by the last
        step; ``beside``: whether its text only stands beside."""
        # The parent of a row that was read is its original in another source: nothing that it was made of.
        made = self._numbered.filter(pl.col("makers") != "").with_columns(pl.col("parents").str.split(" "))
        nth = pl.int_ranges(pl.col("parents").list.len()).alias("nth")
        every = made.select("at", "id", "place", "makers", pl.col("parents").alias("parent"), nth)
        every = every.explode("parent", "nth").filter(pl.col("parent") != "")
        own = pl.col("nth").filter(pl.col("parent") == pl.col("id")).first().over("at")
        main = pl.col("nth") == pl.coalesce(own, pl.lit(0))
        return every.with_columns(main=main, beside=(pl.col("nth") > own).fill_null(False)).drop("id", "nth")

    @cached_property
    def _links(self) -> pl.DataFrame:
        """``at`` was made of ``from``, both numbers of copies, or has its text ``beside`` it."""
        copies = self._numbered.select(pl.col("id").alias("parent"), pl.col("at").alias("from"), theirs="makers")
        every = self._edges.join(copies, on="parent").filter(pl.col("from") != pl.col("at"))
        before = pl.col("makers").str.replace(r"\n?[^\n]*$", "")
        main = every.filter("main").with_columns(exact=pl.col("theirs") == before)
        # Where the very copy is cleared away, any other one may be it.
        main = main.filter(pl.col("exact") | ~pl.col("exact").any().over("at"))
        # What the same step made is nothing that it read.
        others = every.filter(~pl.col("main") & (pl.col("theirs") != pl.col("makers")))
        # Of an old version what lay between may be cleared away: then a made row hangs on the row that was read at
        # its place.
        origins = self._numbered.filter(pl.col("makers") == "").select("place", pl.col("at").alias("from"))
        broken = self._edges.join(main.select("at"), on="at", how="anti").filter("main")
        parts = [main, others, broken.join(origins, on="place")]
        return pl.concat([part.select("at", "from", "beside") for part in parts]).unique()


def lineage_columns() -> list[pl.Expr]:
    """``parents``, ``makers``, ``source`` and ``place`` out of the lineage of rows."""
    lineage = pl.col("lineage").struct
    maker = pl.concat_str([pl.element().struct.field(name).fill_null("") for name in _MAKERS], separator="\t")
    return [
        lineage.field("parents").list.join(" ").fill_null("").alias("parents"),
        lineage.field("makers").list.eval(maker).list.join("\n").fill_null("").alias("makers"),
        lineage.field("source").fill_null("").alias("source"),
        pl.struct(lineage.field("source"), lineage.field("source_id")).hash().alias("place"),
    ]


def name_of(row: str, parents: str, makers: str) -> str:
    """The name of a copy of a row: its id, and a digest of what it was made of and how."""
    return row + blake2b(f"{parents}\n{makers}".encode(), digest_size=8).hexdigest()


def id_of(name: str) -> str:
    """The row's id in the name of a copy."""
    return name[:_ID]
