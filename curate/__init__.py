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
    from curate.api.built import Dataset, dataset
    from curate.api.catalog import Catalog, DatasetSteps, load_catalog
    from curate.api.datasets import build, calibrate, check, diff, estimate, forget, plan, schema
    from curate.api.languages import languages
    from curate.api.looking import diff_rows, head, preview, why
    from curate.api.new import new_catalog, new_demo
    from curate.api.outputs import card, export, publish, report
    from curate.api.recording import record
    from curate.api.review import review_export, review_import, review_thresholds
    from curate.api.store import audits, open_store, query
    from curate.catalog import CatalogError
    from curate.engine.dataset import Built
    from curate.engine.planning.plan import Plan
    from curate.errors import (
        AuthenticationError,
        BudgetError,
        BuildError,
        ContextWindowError,
        CurateError,
        DatasetsFailedError,
        DiskFullError,
        ExecutorError,
        ExportError,
        ModelError,
        NotRecordedError,
        PublishError,
        QueryError,
        QuotaExceededError,
        RateLimitError,
        RecipeError,
        ServerTimeoutError,
        ServerUnavailableError,
        SourceError,
        StepError,
        StoreError,
    )
    from curate.steps.functions import filter

check_packages()

_MODULES = {
    "curate.api.datasets": (
        "build",
        "calibrate",
        "check",
        "diff",
        "estimate",
        "forget",
        "plan",
        "schema",
    ),
    "curate.api.catalog": ("Catalog", "DatasetSteps", "load_catalog"),
    "curate.api.built": ("Dataset", "dataset"),
    "curate.api.languages": ("languages",),
    "curate.api.looking": ("diff_rows", "head", "preview", "why"),
    "curate.api.new": ("new_catalog", "new_demo"),
    "curate.api.outputs": ("card", "export", "publish", "report"),
    "curate.api.recording": ("record",),
    "curate.api.review": ("review_export", "review_import", "review_thresholds"),
    "curate.api.store": ("audits", "open_store", "query"),
    "curate.catalog": ("CatalogError",),
    "curate.engine.dataset": ("Built",),
    "curate.engine.planning.plan": ("Plan",),
    "curate.errors": (
        "AuthenticationError",
        "BudgetError",
        "BuildError",
        "ContextWindowError",
        "CurateError",
        "DatasetsFailedError",
        "DiskFullError",
        "ExecutorError",
        "ExportError",
        "ModelError",
        "NotRecordedError",
        "PublishError",
        "QueryError",
        "QuotaExceededError",
        "RateLimitError",
        "RecipeError",
        "ServerTimeoutError",
        "ServerUnavailableError",
        "SourceError",
        "StepError",
        "StoreError",
    ),
    "curate.steps.functions": ("filter",),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Loads the public names when they are first used, so that ``import curate`` stays instant."""
    if name not in _PLACES:
        raise AttributeError(f"module 'curate' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "AuthenticationError",
    "BudgetError",
    "BuildError",
    "Built",
    "Catalog",
    "CatalogError",
    "ContextWindowError",
    "CurateError",
    "Dataset",
    "DatasetSteps",
    "DatasetsFailedError",
    "DiskFullError",
    "ExecutorError",
    "ExportError",
    "ModelError",
    "NotRecordedError",
    "Plan",
    "PublishError",
    "QueryError",
    "QuotaExceededError",
    "RateLimitError",
    "RecipeError",
    "ServerTimeoutError",
    "ServerUnavailableError",
    "SourceError",
    "StepError",
    "StoreError",
    "__version__",
    "audits",
    "build",
    "calibrate",
    "card",
    "check",
    "dataset",
    "diff",
    "diff_rows",
    "estimate",
    "export",
    "filter",
    "forget",
    "head",
    "languages",
    "load_catalog",
    "new_catalog",
    "new_demo",
    "open_store",
    "plan",
    "preview",
    "publish",
    "query",
    "record",
    "report",
    "review_export",
    "review_import",
    "review_thresholds",
    "schema",
    "why",
]
