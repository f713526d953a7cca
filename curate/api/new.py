"""From data files to a first catalog."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.steps import Registry

if TYPE_CHECKING:
    from curate.new import NewCatalog


def new_catalog(
    *files: str | Path,
    to: str | Path = ".",
    parameters: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> NewCatalog:
    """Writes a short commented catalog for data files: form, kind, languages and licence are found out from names, the
    first 200 rows of each file and what lies beside it.

    Args:
        files: files, folders, patterns, URLs or archives.
        to: the folder of the new ``catalog.yaml``, which must not be there yet.
        parameters: parameters of the sources that are not to be guessed, such as ``{"language": "sw"}``.

    Raises:
        SourceError: there is no such file, or its form or language cannot be told; the message says what to set.
        CatalogError: the given parameters do not fit.
        BuildError: there is a catalog already, or it cannot be written.
    """
    from curate.new import new_catalog as write

    return write([str(one) for one in files], Path(to), parameters, registry)
