"""Catalog: the YAML grammar, parameters and their JSON Schema."""

from curate.catalog.document import CatalogError, Mark, Problem
from curate.catalog.load import load_catalog
from curate.catalog.model import Catalog, Dataset, Names, RunConfig, StepUse
from curate.catalog.params import Decision, LanguageTag, ModelName, Params, PerLanguage, Reference, Runtime, SourceName
from curate.catalog.schema import catalog_schema

__all__ = [
    "Catalog", "CatalogError", "Dataset", "Decision", "LanguageTag", "Mark", "ModelName", "Names", "Params", "PerLanguage",
    "Problem", "Reference", "RunConfig", "Runtime", "SourceName", "StepUse", "catalog_schema", "load_catalog",
]  # fmt: skip
