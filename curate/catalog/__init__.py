"""Catalog: the YAML grammar, parameters and their JSON Schema."""

from curate.catalog.document import CatalogError, Mark, Problem
from curate.catalog.load import find_store, load_catalog
from curate.catalog.model import Budget, Catalog, DatasetSpec, Names, RunConfig, StepUse, Target
from curate.catalog.params import (
    Decision,
    LanguageTag,
    ModelName,
    Params,
    PerLanguage,
    Reference,
    RowsName,
    Runtime,
    SourceName,
)
from curate.catalog.schema import catalog_schema

__all__ = [
    "Budget",
    "Catalog",
    "CatalogError",
    "DatasetSpec",
    "Decision",
    "LanguageTag",
    "Mark",
    "ModelName",
    "Names",
    "Params",
    "PerLanguage",
    "Problem",
    "Reference",
    "RowsName",
    "RunConfig",
    "Runtime",
    "SourceName",
    "StepUse",
    "Target",
    "catalog_schema",
    "find_store",
    "load_catalog",
]
