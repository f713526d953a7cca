"""Every number that a catalog may hold has bounds, and a value beyond them is an error that says which are allowed."""

from __future__ import annotations

import types
import typing
from typing import Any

import annotated_types
import pytest
from pydantic import BaseModel, ValidationError

from curate.catalog.model import Budget, DatasetConfig, RayConfig, RayPlace, RunConfig, Target
from curate.steps import Registry

OF_CATALOGS = {
    "run": RunConfig,
    "run.ray": RayConfig,
    "run.ray.worker": RayPlace,
    "budget": Budget,
    "target": Target,
    "dataset": DatasetConfig,
}
FREE = {
    "seed": "any whole number is a seed",
    "sampling.seed": "any whole number is a seed",
    "converse.user_sampling.seed": "any whole number is a seed",
    "tool_use.user_sampling.seed": "any whole number is a seed",
    "only": "values of the data",
    "compose.into": "a score of the new row may be any number",
    "judge.min": "the scale is the prompt's",
    "join.into": "a score of the new row may be any number",
    "keep.scores.min": "the scale is the score's",
    "keep.scores.max": "the scale is the score's",
    "keep.any.scores.min": "the scale is the score's",
    "keep.any.scores.max": "the scale is the score's",
    "labels.min": "the scale is the form's",
    "labels.min_rating": "the scale is the form's",
    "mine.min": "a ratio or a difference of cosines, as 'score' says",
    "pair.good": "a reward model's scale",
    "pair.bad": "a reward model's scale",
    "reward.min": "a reward model's scale",
    "reward.max": "a reward model's scale",
}
"""Numbers that have no least value, and why: by field, or by part and field."""


def numbers(annotation: Any, marks: list[Any], path: tuple[str, ...], seen: frozenset[type]):
    """(path, what stands on it) of every number in a type."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        inner, *more = typing.get_args(annotation)
        yield from numbers(inner, [*marks, *more], path, seen)
    elif annotation in (int, float):
        yield path, marks
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in seen:
            for name, field in annotation.model_fields.items():
                yield from numbers(
                    field.annotation, list(field.metadata), (*path, field.alias or name), seen | {annotation}
                )
    else:
        for inner in typing.get_args(annotation):
            yield from numbers(inner, marks if origin in (typing.Union, types.UnionType) else [], path, seen)


def bounded(marks: list[Any]) -> bool:
    every = [one for mark in marks for one in getattr(mark, "metadata", [mark])]
    return any(isinstance(one, annotated_types.Ge | annotated_types.Gt | annotated_types.Interval) for one in every)


def parts() -> dict[str, type[BaseModel]]:
    registry = Registry.installed()
    found = {
        f"{what} {name}": registry.get(what, name)
        for what in ("source", "step", "model", "output")
        for name in registry.names(what)
    }
    return {**found, **OF_CATALOGS}


@pytest.mark.parametrize("part", parts())
def test_every_number_has_a_least_value_or_a_reason_to_have_none(part):
    name = part.partition(" ")[2] or part
    for path, marks in numbers(parts()[part], [], (), frozenset()):
        field = ".".join(path)
        assert bounded(marks) or field in FREE or f"{name}.{field}" in FREE, f"{part}: {field} has no bounds"


def test_no_reason_is_for_a_number_that_is_gone():
    every = {
        (part.partition(" ")[2] or part, ".".join(path))
        for part, model in parts().items()
        for path, _ in numbers(model, [], (), frozenset())
    }
    assert {name for name in FREE if "." in name and name != "sampling.seed"} <= {
        f"{part}.{field}" for part, field in every
    }
    assert {name for name in FREE if "." not in name or name == "sampling.seed"} <= {field for _, field in every}


@pytest.mark.parametrize(
    ("part", "given", "allowed"),
    [
        ("run", {"workers": 0}, "greater than or equal to 1"),
        ("run", {"threads": -1}, "greater than or equal to 1"),
        ("run", {"memory": "0GB"}, "no memory at all"),
        ("run", {"memory": "-1GB"}, "match"),
        ("run", {"alarm": 0}, "greater than 1"),
        ("budget", {"calls": -1}, "greater than or equal to 0"),
        ("target", {"rows": -1}, "greater than or equal to 0"),
        ("target", {"rows": {"sw": -5}}, "greater than or equal to 0"),
        ("target", {"rows": 1, "candidates": 0}, "greater than or equal to 1"),
        ("step shape", {"max_chars": -1}, "greater than or equal to 0"),
        ("step shape", {"min_turns": {"default": 2, "th": -2}}, "greater than or equal to 0"),
        ("step shape", {"max_repetition": 1.5}, "less than or equal to 1"),
        ("step language", {"min": 1.01}, "less than or equal to 1"),
        ("step language", {"min_letters": -3}, "greater than or equal to 0"),
        ("step quality", {"max_symbols": {"zh": -0.1}}, "greater than or equal to 0"),
        ("step quality", {"max_run": -1}, "greater than or equal to 0"),
        ("step translation_quality", {"max_missing_sentence": -1}, "greater than or equal to 0"),
        ("step similarity", {"min": {"sw": -1.5}}, "greater than or equal to -1"),
        ("step duplicates", {"shingle": 0}, "greater than 0"),
        ("step duplicates", {"shingle": {"Han": -2}}, "greater than 0"),
        ("step contamination", {"part": -1.0}, "greater than or equal to 0"),
    ],
)
def test_a_number_out_of_bounds_is_an_error_that_says_what_is_allowed(part, given, allowed):
    with pytest.raises(ValidationError) as caught:
        parts()[part].model_validate(given)
    assert allowed in str(caught.value)
