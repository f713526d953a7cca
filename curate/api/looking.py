"""Looking at rows: a few taken through a dataset's steps, those of a version, and all that is known of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from curate.api.datasets import as_catalog
from curate.api.store import open_store
from curate.catalog import Catalog
from curate.engine.progress import progress_or_default
from curate.errors import BuildError
from curate.steps import Registry

if TYPE_CHECKING:
    from curate.engine.followed import Preview
    from curate.engine.progress import Progress
    from curate.engine.store.store import Store
    from curate.looking import ChangedRows, Explanation, SomeRows


def preview(
    catalog: Catalog | str | Path = "catalog.yaml",
    dataset: str | None = None,
    *,
    rows: int = 5,
    calls: int = 0,
    progress: Progress | Literal[False] | None = None,
    registry: Registry | None = None,
) -> Preview:
    """Takes a few rows of a dataset's sources through its steps; the result prints as records, in notebooks as HTML.

    Of each file the first 1,000 rows are read (of what steps look into, and of the originals of translations, all), and
    the rows are chosen among them, in as many languages as there are. Nothing is added to the store but answers of
    models, which a build then finds.

    Args:
        catalog: a catalog or its file.
        dataset: its name; may be left out if the catalog has only one.
        rows: how many rows to follow.
        calls: the most calls of language models to make; the preview ends before a step that needs more, and says so.

    Raises:
        BuildError: the dataset is unknown, a source cannot be read, or a step failed.
        CatalogError: something is wrong with the catalog.
    """
    from curate.engine.preview import preview_dataset

    registry = registry or Registry.installed()
    loaded = as_catalog(catalog, registry)
    if dataset is None:
        if len(loaded.datasets) != 1:
            known = ", ".join(loaded.datasets) or "none"
            raise BuildError(
                f"{loaded.file.name} has {len(loaded.datasets)} datasets; name the one to preview ({known})"
            )
        [dataset] = loaded.datasets
    _check_rows(rows)
    if calls < 0:
        raise BuildError(f"calls: {calls} is less than 0")
    return preview_dataset(loaded, registry, dataset, rows=rows, calls=calls, progress=progress_or_default(progress))


def head(
    name: str,
    *,
    rows: int = 5,
    part: Literal["kept", "rejected", "quarantined"] = "kept",
    language: str | None = None,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
) -> SomeRows:
    """The first rows of a version; the result prints as records, in notebooks as HTML.

    Args:
        name: ``name`` or ``name@ref``.
        part: the rows that were kept, those that a step dropped, or what could not be read or made.
        language: only rows in this language and its more special forms (``zh`` for ``zh-Hant``).

    Raises:
        BuildError: fewer than 1 row is asked for.
        StoreError: there is no such version, or none of these rows is in this language.
    """
    from curate.looking import first_rows

    _check_rows(rows)
    return first_rows(open_store(store, catalog), name, rows=rows, part=part, language=language)


def why(
    row: str,
    *,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
    registry: Registry | None = None,
) -> Explanation:
    """Everything that a store knows about a row; the result prints as records, in notebooks as HTML.

    That is: in which versions it is kept or dropped, with the scores and thresholds of each step; its place in its
    source; its parents, what was made of it and the other rows of its item; the benchmark item or the duplicate that a
    step found.

    Args:
        row: its id, the beginning of it that no other row has, or its place in a source, such as ``en.jsonl:12``.

    Raises:
        StoreError: there is no such row, or more than one.
    """
    from curate.looking import explain_row

    return explain_row(open_store(store, catalog), row, registry or Registry.installed())


def diff_rows(
    first: str,
    second: str | None = None,
    *,
    rows: int = 20,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
) -> ChangedRows:
    """Rows that two versions do not share, texts of one place beside each other with changed words marked.

    Args:
        first: ``name`` or ``name@ref``; alone, it is compared with the version before it.
        second: the newer one; it may be of another dataset.
        rows: how many to show.

    Raises:
        BuildError: fewer than 1 row is asked for.
        StoreError: there is no such version.
    """
    from curate.looking import changed_rows

    _check_rows(rows)
    return changed_rows(open_store(store, catalog), first, second, rows=rows)


def _check_rows(rows: int) -> None:
    if rows < 1:
        raise BuildError(f"rows: {rows} is less than 1")
