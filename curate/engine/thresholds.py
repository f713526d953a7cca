"""The thresholds that a step applies to a row, by the row's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from curate.catalog import PerLanguage
from curate.catalog.params import Mark
from curate.steps import ScoreStep


def thresholds(step: type[Any], params: Mapping[str, Any], language: str) -> dict[str, float]:
    """The numbers among a score step's decision parameters that hold for a language; none for other steps.

    Args:
        step: the class of the step.
        params: its parameters as JSON, as ``step.decision()`` or a manifest gives them.
    """
    found: dict[str, float] = {}
    if not issubclass(step, ScoreStep):
        return found
    for name, field in step.model_fields.items():
        if Mark.DECISION not in field.metadata or name not in params or name == "max_error_rate":
            continue
        value = params[name]
        if isinstance(value, Mapping) and _by_language(field.annotation):
            value = PerLanguage(value.get("default"), {tag: one for tag, one in value.items() if tag != "default"})[
                language
            ]
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
    return found


def _by_language(annotation: Any) -> bool:
    return get_origin(annotation) is PerLanguage or any(_by_language(one) for one in get_args(annotation))
