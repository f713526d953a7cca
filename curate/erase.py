"""To forget is to write down what must never be there again, to build without it, and to say where it still lies.

The list lies beside the catalog (:mod:`curate.catalog.forgotten`); building leaves it out from the first shard on
(:mod:`curate.engine.forgetting`); older versions hold it until they are purged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from curate.catalog import Catalog
from curate.catalog.document import nearest
from curate.catalog.forgotten import read_forgotten, remember_to_forget
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
    found = list(dict.fromkeys(rows))
    above: list[str] = []
    if where is not None:
        if name is None:
            raise BuildError("a condition needs a dataset: curate forget NAME --where '…'")
        dataset, _, ref = name.partition("@")
        ids, parents = find_rows(store, dataset, store.resolve(dataset, ref or "latest"), where)
        found += ids
        above += parents
    if not found and not sources:
        raise BuildError("nothing to forget: name rows, sources, or a condition that holds for some rows")
    every = frozenset([*found, *(above if origins else ())])
    lies = holding(store, every, frozenset(sources))
    of = _origins(store, every)
    if rows and (unknown := sorted(set(rows) - set(of))):
        raise StoreError(f"no version holds a row {unknown[0]}" + (f" (nor {len(unknown) - 1} more)" if len(unknown) > 1 else "")
                         + "; ids are those of the column 'id' or among lineage.parents")  # fmt: skip
    added = remember_to_forget(catalog.file.parent, rows=of, sources=sources, reason=reason)
    latest = {
        dataset: str(about["latest"]["version"])
        for dataset in store.datasets()
        if "latest" in (about := store.refs(dataset))
    }
    again = tuple(
        dataset for dataset, version in latest.items() if f"{dataset}@{version}" in lies and dataset in catalog.datasets
    )
    return Erased(len(every), added, again, lies)


def still_held(catalog: Catalog, store: Store) -> dict[str, int]:
    """The versions that hold anything of the whole list, with how many rows."""
    listed, _ = read_forgotten(catalog.file.parent)
    return holding(store, listed.rows, listed.sources) if listed else {}


def _origins(store: Store, rows: frozenset[str]) -> dict[str, str]:
    """Of those ids that some version holds, as a row or as the parent of one: the source it is a row of; empty if it was made."""
    wanted = pl.Series(sorted(rows), dtype=pl.String).implode()
    of: dict[str, str] = {}
    for name in store.datasets():
        for version in store.versions(name):
            for file in store.manifest(name, version)["files"]:
                if file["part"] == "quarantined":
                    continue
                lineage = pl.col("lineage").struct
                frame = pl.read_parquet(store.dataset(name) / version / file["path"], columns=["id", "lineage"]).select(
                    "id", source=lineage.field("source"), parents=lineage.field("parents"), made=lineage.field("makers").list.len() > 0,
                    depth=lineage.field("makers").list.len(),
                )  # fmt: skip
                for row in frame.filter(pl.col("id").is_in(wanted)).iter_rows(named=True):
                    of[row["id"]] = "" if row["made"] else row["source"]
                above = frame.explode("parents").filter(pl.col("parents").is_in(wanted))
                for row in above.iter_rows(named=True):
                    # The parent of a row with one maker is of the source that the row names; of others it may have been made.
                    of.setdefault(row["parents"], row["source"] if row["depth"] == 1 else "")
    return of


def find_rows(store: Store, name: str, version: str, where: str) -> tuple[list[str], list[str]]:
    """The ids of the rows of a version, kept and rejected, for which a SQL condition holds, and the ids of their first parents.

    Raises:
        QueryError: the condition is no SQL, or takes too long.
        BuildError: it holds for too many rows.
    """
    quoted = name.replace('"', '""')
    with Database(store, Limits(600.0, "4GB")) as database:
        found = [
            database.query(f'SELECT id, lineage.parents AS parents FROM "{quoted}@{version}"{part} WHERE ({where})')
            for part in ("", ".rejected")
        ]
    whole = pl.concat([one.cast({"id": pl.String, "parents": pl.List(pl.String)}) for one in found])
    if whole.height > _MOST:
        raise BuildError(
            f"the condition holds for {whole.height:,} rows; more than {_MOST:,} are a matter for a filter or another source"
        )
    parents = whole["parents"].explode().drop_nulls()
    return whole["id"].unique(maintain_order=True).to_list(), parents.unique(maintain_order=True).to_list()


def holding(store: Store, rows: frozenset[str], sources: frozenset[str]) -> dict[str, int]:
    """``name@version`` → rows, kept and rejected, that are among these, were made of them, or come from these sources."""
    found: dict[str, int] = {}
    wanted = pl.Series(sorted(rows), dtype=pl.String)
    for name in store.datasets():
        for version in store.versions(name):
            manifest, folder = store.manifest(name, version), store.dataset(name) / version
            count = 0
            for file in manifest["files"]:
                if file["part"] != "quarantined":
                    frame = pl.read_parquet(folder / file["path"], columns=["id", "lineage"])
                    lineage = pl.col("lineage").struct
                    count += frame.filter(
                        pl.col("id").is_in(wanted.implode())
                        | lineage.field("parents").list.eval(pl.element().is_in(wanted.implode())).list.any()
                        | lineage.field("source").is_in(sorted(sources))
                    ).height
            if count:
                found[f"{name}@{version}"] = count
    return found


def purge(store: Store, versions: Mapping[str, int]) -> list[str]:
    """Takes away these versions' names, so that ``gc`` removes them; those that are the latest of a dataset stay.

    Returns:
        Those that stay.

    Raises:
        StoreError: a ref cannot be removed.
    """
    left = []
    for one in versions:
        name, _, version = one.partition("@")
        refs = {ref for ref, about in store.refs(name).items() if str(about["version"]) == version}
        if "latest" in refs:
            left.append(one)
            continue
        for ref in refs:
            try:
                (store.dataset(name) / "refs" / f"{ref}.json").unlink()
            except OSError as error:
                raise StoreError(f"{name}@{ref} cannot be removed: {error.strerror or error}") from error
    return left
