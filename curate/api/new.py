"""From data files, or the demo data, to a first catalog."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import BuildError
from curate.steps import Registry

if TYPE_CHECKING:
    from curate.new import NewCatalog


def new_catalog(
    *files: str | Path,
    folder: str | Path = ".",
    parameters: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> NewCatalog:
    """Writes a short commented catalog for data files: form, kind, languages and licence are found out from names, the
    first 200 rows of each file and what lies beside it.

    Args:
        files: files, folders, patterns, URLs or archives.
        folder: that of the new ``catalog.yaml``, which must not be there yet.
        parameters: parameters of the sources that are not to be guessed, such as ``{"language": "sw"}``.

    Raises:
        SourceError: there is no such file, or its form or language cannot be told; the message says what to set.
        CatalogError: the given parameters do not fit.
        BuildError: there is a catalog already, or it cannot be written.
    """
    from curate.new import new_catalog as write

    return write([str(one) for one in files], Path(folder), parameters, registry)


def new_demo(folder: str | Path = ".") -> Path:
    """Writes the quick start: ``catalog.yaml``, ``catalog-llm.yaml`` and the ``data/`` that they read.

    Args:
        folder: theirs, made if it is not there.

    Returns:
        The file ``catalog.yaml``.

    Raises:
        BuildError: one of them is there already, or cannot be written.
    """
    from curate.api.recipes import HOME

    folder = Path(folder)
    names = ("data", "catalog-llm.yaml", "catalog.yaml")
    for name in names:
        if (folder / name).exists():
            raise BuildError(f"{folder / name} is there already; name another folder (--folder)")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copytree(HOME / name, folder / name) if name == "data" else shutil.copy(HOME / name, folder)
    except OSError as error:
        raise BuildError(f"cannot write the quick start to {folder}: {error}") from None
    return folder / "catalog.yaml"
