"""The Python API of what has been built: opens a store and queries it, without loading what builds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.catalog.store_urls import is_url, working_copy
from curate.catalog.suggestions import nearest
from curate.engine.store.lock import refresh
from curate.engine.store.store import Store
from curate.errors import BuildError, StoreError

if TYPE_CHECKING:
    import polars as pl

    from curate.catalog import Catalog


def open_store(store: str | Path | Store | None = None, catalog: Catalog | str | Path = "catalog.yaml") -> Store:
    """A store by its folder or URL, or by the catalog that uses it; of that only ``run:`` has to be right. Of one
    behind a URL the working copy is brought up to date.

    Raises:
        StoreError: a URL cannot be a store's, or the store behind it cannot be reached.
    """
    if isinstance(store, Store):
        return store
    root = _root_of(store, catalog)
    refresh(root)
    return Store(root)


def _root_of(store: str | Path | None, catalog: Catalog | str | Path) -> Path:
    if isinstance(store, str) and is_url(store):
        try:
            return working_copy(store)
        except ValueError as error:
            raise StoreError(str(error)) from None
    if store is not None:
        return Path(store)
    if not isinstance(catalog, str | Path):
        return catalog.store
    if not Path(catalog).exists():
        return Path(".curate")
    from curate.catalog import find_store

    return find_store(Path(catalog))


def query(
    sql: str,
    *,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
    seconds: float = 60.0,
    memory: str = "2GB",
) -> pl.DataFrame:
    """Answers one reading SQL statement over the finished versions.

    Args:
        sql: see :mod:`curate.sql` for the tables.
        store: a store's folder; by default that of the catalog, or ``.curate`` here if there is no catalog.
        seconds: time limit.
        memory: memory limit, ``500MB``, ``2GB``.

    SQL runs in a process that the first call starts (a few tenths of a second) and the next ones use again.

    Raises:
        QueryError: refused, wrong, over a limit, or a version that it reads is damaged.
    """
    from curate.sql import Database, Limits

    with Database(open_store(store, catalog), Limits(seconds, memory)) as database:
        return database.query(sql)


def audits(
    *names: str, store: str | Path | Store | None = None, catalog: Catalog | str | Path = "catalog.yaml"
) -> pl.DataFrame:
    """What steps found out about themselves in the latest builds of these datasets (all, if none is named): one row
    a figure.

    Columns: dataset, step, subject (a judge), model, language, figure, value, low, high (95 % interval), rows,
        limit, refused, note.

    Raises:
        BuildError: a dataset is unknown.
    """
    opened = open_store(store, catalog)
    for name in names:
        if name not in opened.datasets():
            known = ", ".join(opened.datasets()) or "none yet"
            raise BuildError(f"no dataset is called '{name}'{nearest(name, opened.datasets())} (built: {known})")
    found = query("SELECT * FROM curate.audits ORDER BY ALL", store=opened)
    return found.filter(found["dataset"].is_in(list(names))) if names else found
