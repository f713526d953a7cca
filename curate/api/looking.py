"""Looking at rows: a few taken through a dataset's steps, those of a version, and all that is known of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from curate.api.datasets import as_catalog
from curate.catalog import Catalog
from curate.catalog.suggestions import nearest
from curate.errors import BuildError
from curate.steps import Registry

if TYPE_CHECKING:
    from curate.engine.followed import Preview
    from curate.engine.progress import Progress


def preview(
    catalog: Catalog | str | Path = "catalog.yaml",
    dataset: str | None = None,
    *,
    rows: int = 5,
    calls: int = 0,
    progress: Progress | None = None,
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
    known = ", ".join(loaded.datasets) or "none"
    if dataset is None:
        if len(loaded.datasets) != 1:
            raise BuildError(
                f"{loaded.file.name} has {len(loaded.datasets)} datasets; name the one to preview ({known})"
            )
        [dataset] = loaded.datasets
    if dataset not in loaded.datasets:
        raise BuildError(f"no dataset is called '{dataset}'{nearest(dataset, loaded.datasets)} (known: {known})")
    if rows < 1 or calls < 0:
        raise BuildError(f"a preview needs at least 1 row and 0 calls, not {rows} and {calls}")
    return preview_dataset(loaded, registry, dataset, rows=rows, calls=calls, progress=progress)
