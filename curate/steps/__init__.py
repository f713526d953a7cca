"""Base classes of sources, steps, models and outputs, and the registry of installed ones."""

from curate.errors import SourceError, StepError
from curate.steps.base import (
    DatasetStep,
    GlobalStep,
    RowStep,
    ScoreStep,
    Source,
    Step,
    Unit,
)
from curate.steps.context import CatalogFacts, Context
from curate.steps.models import Encoder, Identified, LanguageIdentifier, Model
from curate.steps.registry import Registry
from curate.steps.rows import FailedRow, RowBatch, Rows

__all__ = [
    "CatalogFacts",
    "Context",
    "DatasetStep",
    "Encoder",
    "FailedRow",
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
