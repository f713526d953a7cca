"""Models by the names that a catalog gives them."""

from __future__ import annotations

from typing import Any

from curate.catalog import Catalog, Reference
from curate.steps import Model


def bound_model(catalog: Catalog, registry: Any, name: str) -> Model:
    """A model by its name in the catalog (else the installed one of that name), with those at hand that it is made
    of."""
    model: Model = catalog.models.get(name) or registry.get("model", name)()
    below = {
        inner: bound_model(catalog, registry, inner)
        for inners in model.named(Reference.MODEL).values()
        for inner in inners
    }
    return model.with_models(below) if below else model
