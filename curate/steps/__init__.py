"""Base classes of sources, steps, models and outputs, and the registry of installed ones."""

from curate.errors import SourceError, StepError
from curate.steps.base import (
    CatalogFacts,
    Context,
    FailedRow,
    GatherStep,
    GlobalStep,
    RowBatch,
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
    "CatalogFacts",
    "Context",
    "Encoder",
    "FailedRow",
    "GatherStep",
    "GlobalStep",
    "Identified",
    "LanguageIdentifier",
    "Model",
    "Registry",
    "RowBatch",
    "RowStep",
    "Rows",
    "ScoreStep",
    "Source",
    "SourceError",
    "Step",
    "StepError",
    "Unit",
]
