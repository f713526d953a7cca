"""To forget is to write down what must never be there again, to build without it, and to say where it still lies.

The list lies beside the catalog (:mod:`curate.catalog.forgotten`); building leaves it out from the first shard on
(:mod:`curate.engine.forgetting`); older versions hold it until they are purged.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from curate.catalog import Catalog
from curate.catalog.document import nearest
from curate.catalog.forgotten import remember_to_forget
from curate.engine.store import Store
from curate.errors import BuildError, StoreError
from curate.sql import Database, Limits

_MOST = 1_000_000


@dataclass(frozen=True)
class Erased:
    """What was written down to be forgotten."""

    rows: int
    """Row ids named by this call."""
    added: int
    """Lines that the list did not have yet."""
    datasets: tuple[str, ...]
    """Datasets whose latest version holds such rows: to be built again."""
    holding: dict[str, int]
    """``name@version`` → rows: all versions that hold such rows."""
    gone: frozenset[str]
    """Ids of these rows and of all that was made of them, however many steps later."""


def erase(catalog: Catalog, store: Store, name: str | None = None, *, rows: Sequence[str] = (), sources: Sequence[str] = (), where: str | None = None,
          origins: bool = False, reason: str = "") -> Erased:  # fmt: skip
    """Writes down rows and sources to be forgotten.

    Args:
        name: ``name`` or ``name@ref``, for ``where``.
        rows: ids of rows, of whatever dataset or source.
        sources: names of sources of the catalog.
        where: a SQL condition on the rows of ``name``, kept and rejected ones.
        origins: also the rows that those were made from, and so all that was made from these.
        reason: kept with the list.

    Raises:
        BuildError: a source is unknown, or nothing is named.
        StoreError: no such version, or an id that no version holds.
        QueryError: the condition is wrong.
    """
    for source in sources:
        if source not in catalog.sources:
            raise BuildError(
                f"no source is called '{source}'{nearest(source, catalog.sources)} (known: {', '.join(catalog.sources)})"
            )
    named = list(dict.fromkeys(rows))
    if where is not None:
        if name is None:
            raise BuildError("a condition needs a dataset: curate forget NAME --where '…'")
        dataset, _, ref = name.partition("@")
        named += find_rows(store, dataset, store.resolve(dataset, ref or "latest"), where)
    if not named and not sources:
        raise BuildError("nothing to forget: name rows, sources, or a condition that holds for some rows")
    tree = Tree.of(store)
    if unknown := sorted(set(rows) - tree.ids):
        raise StoreError(f"no row of this store is called {unknown[0]}" + (f" (nor {len(unknown) - 1} more)" if len(unknown) > 1 else "")
                         + "; ids are those of the column 'id' or among lineage.parents")  # fmt: skip
    every = tree.above(named) if origins else frozenset(named)
    gone = tree.below(every)
    lies = holding(store, gone, sources)
    added = remember_to_forget(
        catalog.file.parent, rows={one: tree.source(one) for one in every}, sources=sources, reason=reason
    )
    latest = {
        dataset: str(about["latest"]["version"])
        for dataset in store.datasets()
        if "latest" in (about := store.refs(dataset))
    }
    again = tuple(
        dataset for dataset, version in latest.items() if f"{dataset}@{version}" in lies and dataset in catalog.datasets
    )
    return Erased(len(every), added, again, lies, gone)


@dataclass(frozen=True)
class Tree:
    """What was made of what, by all rows of a store: those of versions and those on the way to them."""

    edges: pl.DataFrame
    """``id``, ``parent`` (null where there is none), ``source`` of each row that was read (empty: it was made)."""

    @classmethod
    def of(cls, store: Store) -> Tree:
        """Reads ids and lineage of every row shard and version."""
        frames = [pl.DataFrame(schema={"id": pl.String, "parent": pl.String, "source": pl.String})]
        lineage = pl.col("lineage").struct
        made = lineage.field("makers").list.len() > 0
        for path in [*store.root.glob("work/*/[!.]*/rows-*.parquet"), *store.root.glob("datasets/*/[!.]*/data/*.parquet"),
                     *store.root.glob("datasets/*/[!.]*/rejected/*.parquet")]:  # fmt: skip
            frame = pl.read_parquet(path, columns=["id", "lineage"])
            read = frame.filter(~made).select(
                "id", pl.lit(None, pl.String).alias("parent"), lineage.field("source").alias("source")
            )
            # The parent of a row that was read is its original in another source: nothing that it was made of.
            grown = frame.filter(made).select(
                "id", lineage.field("parents").alias("parent"), pl.lit("").alias("source")
            )
            frames += [read.unique(), grown.explode("parent").unique()]
        return cls(pl.concat(frames).unique())

    @property
    def ids(self) -> set[str]:
        """All that there are, also those that are only known as parents."""
        return {*self.edges["id"].to_list(), *self.edges["parent"].drop_nulls().to_list()}

    def source(self, row: str) -> str:
        """The source that a row was read from; empty for one that was made."""
        return self._sources.get(row, "")

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


def find_rows(store: Store, name: str, version: str, where: str) -> list[str]:
    """The ids of the rows of a version, kept and rejected, for which a SQL condition holds.

    Raises:
        QueryError: the condition is no SQL, or takes too long.
        BuildError: it holds for too many rows.
    """
    quoted = name.replace('"', '""')
    with Database(store, Limits(600.0, "4GB")) as database:
        found = [
            database.query(f'SELECT id FROM "{quoted}@{version}"{part} WHERE ({where})') for part in ("", ".rejected")
        ]
    whole = pl.concat([one.cast({"id": pl.String}) for one in found])
    if whole.height > _MOST:
        raise BuildError(
            f"the condition holds for {whole.height:,} rows; more than {_MOST:,} are a matter for a filter or another source"
        )
    return whole["id"].unique(maintain_order=True).to_list()


def holding(store: Store, rows: frozenset[str], sources: Sequence[str]) -> dict[str, int]:
    """``name@version`` → rows, kept and rejected, that are among these or come from these sources."""
    found: dict[str, int] = {}
    wanted = pl.Series(sorted(rows), dtype=pl.String).implode()
    for name in store.datasets():
        for version in store.versions(name):
            manifest, folder = store.manifest(name, version), store.dataset(name) / version
            count = 0
            for file in manifest["files"]:
                if file["part"] != "quarantined":
                    frame = pl.read_parquet(folder / file["path"], columns=["id", "lineage"])
                    source = pl.col("lineage").struct.field("source")
                    count += frame.filter(pl.col("id").is_in(wanted) | source.is_in(list(sources))).height
            if count:
                found[f"{name}@{version}"] = count
    return found


def purge(store: Store, versions: Iterable[str]) -> None:
    """Removes these versions with their names, published ones too: what must be forgotten does not stay as a record. Those that are the latest
    of a dataset stay.

    Raises:
        StoreError: one cannot be removed.
    """
    for one in versions:
        name, _, version = one.partition("@")
        refs = {ref for ref, about in store.refs(name).items() if str(about["version"]) == version}
        if "latest" in refs:
            continue
        try:
            for ref in refs:
                (store.dataset(name) / "refs" / f"{ref}.json").unlink()
            shutil.rmtree(store.dataset(name) / version)
        except OSError as error:
            raise StoreError(f"{one} cannot be removed: {error.strerror or error}") from error
