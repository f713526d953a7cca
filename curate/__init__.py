"""Build, query and publish multilingual SFT and preference datasets from a declarative catalog.

>>> import curate
>>> catalog = curate.load_catalog("catalog.yaml")
>>> print(curate.plan(catalog))
>>> built = curate.build(catalog)
>>> curate.query("SELECT language, count(*) FROM everyday GROUP BY 1")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curate._version import __version__
from curate.guard import check_packages

if TYPE_CHECKING:
    from curate.api import (
        Built,
        Catalog,
        Plan,
        audits,
        build,
        calibrate,
        card,
        check,
        diff,
        estimate,
        export,
        forget,
        load_catalog,
        plan,
        publish,
        query,
        report,
        schema,
    )
    from curate.api.review import review_export, review_import
    from curate.catalog import CatalogError
    from curate.errors import BuildError, CurateError, ExportError, PublishError, QueryError, StoreError

check_packages()

_PLACES = {
    **dict.fromkeys(("Built", "Catalog", "Plan", "audits", "build", "calibrate", "card", "check", "diff", "estimate", "export", "forget", "load_catalog", "plan", "publish", "query", "report", "schema"), "curate.api"),
    **dict.fromkeys(("BuildError", "CurateError", "ExportError", "PublishError", "QueryError", "StoreError"), "curate.errors"),
    **dict.fromkeys(("review_export", "review_import"), "curate.api.review"),
    "CatalogError": "curate.catalog",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loads the public names when they are first used, so that ``import curate`` stays instant."""
    if name not in _PLACES:
        raise AttributeError(f"module 'curate' has no attribute '{name}'")
    from importlib import import_module

    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])


__all__ = [
    "BuildError", "Built", "Catalog", "CatalogError", "CurateError", "ExportError", "Plan", "PublishError", "QueryError", "StoreError", "__version__", "audits", "build", "calibrate", "card",
    "check", "diff", "estimate", "export", "forget", "load_catalog", "plan", "publish", "query", "report", "review_export", "review_import", "schema",
]  # fmt: skip
