"""Base classes of sources, steps, models and outputs, and the registry of installed ones."""

from curate.errors import SourceError, StepError
from curate.steps.base import (
    BadRow,
    CatalogFacts,
    Context,
    GatherStep,
    GlobalStep,
    NewRows,
    Rows,
    RowStep,
    ScoreStep,
    Source,
    Step,
    Unit,
)
from curate.steps.models import Encoder, Identified, LanguageIdentifier, Model
from curate.steps.registry import Registry

__all__ = [
    "BadRow",
    "CatalogFacts",
    "Context",
    "Encoder",
    "GatherStep",
    "GlobalStep",
    "Identified",
    "LanguageIdentifier",
    "Model",
    "NewRows",
    "Registry",
    "RowStep",
    "Rows",
    "ScoreStep",
    "Source",
    "SourceError",
    "Step",
    "StepError",
    "Unit",
]
