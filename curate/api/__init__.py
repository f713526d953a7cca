"""The Python API: what `import curate` offers and each command calls."""

from curate.api.datasets import (
    audits,
    build,
    calibrate,
    check,
    diff,
    estimate,
    forget,
    load_catalog,
    models,
    open_store,
    plan,
    probe_models,
    query,
    rebuild,
    schema,
)
from curate.api.outputs import card, export, publish, report
from curate.catalog import Catalog
from curate.engine.dataset import Built
from curate.engine.planning.plan import Plan

__all__ = [
    "Built",
    "Catalog",
    "Plan",
    "audits",
    "build",
    "calibrate",
    "card",
    "check",
    "diff",
    "estimate",
    "export",
    "forget",
    "load_catalog",
    "models",
    "open_store",
    "plan",
    "probe_models",
    "publish",
    "query",
    "rebuild",
    "report",
    "schema",
]
