"""Finds the thresholds of a step by probing it: one score of a real row is varied until the decision changes.

So the lines in the charts are those that decided, by language and for any kind of rule. Only steps that decide over all
rows at once have no rules to probe; there a parameter of the score's name is taken.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import ValidationError

from curate.catalog.params import Mark, PerLanguage, Reference
from curate.errors import CurateError
from curate.rows import Kind
from curate.steps import Registry, ScoreStep, Step

_GRID = 65
_HALVINGS = 60
_TRIED = 6


@dataclass(frozen=True)
class Limit:
    """A threshold: rows with a score below (or above) it are dropped."""

    score: str
    language: str
    reason: str
    side: Literal["below", "above"]
    """Which rows are dropped."""
    value: float
    alone: bool = True
    """Whether the score decides by itself; if not, other scores must agree."""


@dataclass(frozen=True)
class ProbedRow:
    """A row that the rules are tried on."""

    language: str
    scores: Mapping[str, float]
    attributes: Mapping[str, str]
    step: str = ""
    """The step that dropped it, and the reason."""
    reason: str = ""
    prompt_language: str | None = None
    """Only where it is another than ``language``."""


def owner(score: str, labels: Sequence[str]) -> str | None:
    """The label of the step that wrote a score; None if it came with the row."""
    fits = [label for label in labels if score == label or score.startswith(f"{label}.")]
    return max(fits, key=len) if fits else None


def limits(
    recipe: Sequence[Mapping[str, Any]],
    rows: Sequence[ProbedRow],
    ranges: Mapping[str, tuple[float, float]],
    kinds: Sequence[Kind],
    registry: Registry,
) -> list[Limit]:
    """Every threshold of a version's steps, by score and language.

    Args:
        recipe: the steps, from the manifest.
        rows: some rows in each language.
        ranges: minimum and maximum of each score.
        kinds: the kinds of rows that steps may have seen.
    """
    thresholds: list[Limit] = []
    for step in recipe:
        label = step["label"]
        params = restored(step, registry)
        mine = {name: ends for name, ends in ranges.items() if owner(name, [one["label"] for one in recipe]) == label}
        if isinstance(params, ScoreStep):
            for kind in kinds:
                try:
                    some = list(_swept(params, label, kind, rows, mine))
                # A rule may fail on a row it was not made for: then it has no threshold.
                except (pl.exceptions.PolarsError, CurateError, ValueError, TypeError, KeyError, AttributeError):
                    continue
                thresholds += some
                break
        else:
            thresholds += _named(step["params"], label, rows, mine)
    return thresholds


def restored(step: Mapping[str, Any], registry: Registry) -> Any:
    """The step with those parameters of the recipe that its rules are made of; None if it is not installed or needs
    something it names."""
    try:
        cls = registry.get("step", step["step"])
    except (KeyError, CurateError):
        return None
    if getattr(cls, "version", None) != step["version"] or not issubclass(cls, Step):
        return None
    params = {name: value for name, value in step["params"].items() if name in cls.model_fields}
    named = {name for kind in Reference for name in cls.references(kind)}
    missing = [name for name, field in cls.model_fields.items() if field.is_required() and name not in params]
    if not set(missing) <= named:
        return None
    for filler in ("unnamed", ("unnamed",)):
        given = {**params, **dict.fromkeys(missing, filler)}
        try:
            return cls(**given)
        except ValidationError as error:
            # A recipe has the digest of some parameters (packs); rules are made of the others.
            wrong = {str(one["loc"][0]) for one in error.errors() if one["loc"]} - cls.marked(Mark.DECISION)
        except (ValueError, CurateError, OSError):
            continue
        try:
            return cls(**{name: value for name, value in given.items() if name not in wrong})
        except (ValueError, CurateError, OSError):
            continue
    return None


def _swept(
    step: ScoreStep, label: str, kind: Kind, rows: Sequence[ProbedRow], ranges: Mapping[str, tuple[float, float]]
) -> Iterator[Limit]:
    columns = step.columns(kind)
    verdicts = step.drop_rules(kind)
    hints = sorted(set(_numbers(step.model_dump(mode="json", include=set(step.marked(Mark.DECISION))))))
    for column, dtype in columns.items():
        name = label if column == "score" else f"{label}.{column}"
        rules = {reason: rule for reason, rule in verdicts.items() if column in rule.meta.root_names()}
        if dtype != pa.float64() or name not in ranges or not rules:
            continue
        grid = _grid(ranges[name], hints)
        for reason, rule in rules.items():
            # Any rows of a language, and rows that this rule dropped: if it uses several scores, only these change.
            some: list[ProbedRow] = []
            taken: Counter[tuple[str, bool]] = Counter()
            for row in rows:
                mine = (row.language, (row.step, row.reason) == (label, reason))
                if name in row.scores and taken[mine] < _TRIED:
                    taken[mine] += 1
                    some.append(row)
            votes: Counter[tuple[str, bool, Literal["below", "above"], float]] = Counter()
            for place, side, value in _turns(rule, columns, label, column, some, grid) if some else ():
                row = some[place]
                votes[row.language, (row.step, row.reason) == (label, reason), side, value] += 1
            agreed: dict[tuple[str, Literal["below", "above"], float], bool] = {}
            for (language, by_this, side, value), count in votes.items():
                if 2 * count >= taken[language, by_this]:
                    key = (language, side, value)
                    agreed[key] = agreed.get(key, False) or not by_this
            for language, side, value in sorted(agreed):
                yield Limit(name, language, reason, side, value, agreed[language, side, value])


def _turns(
    rule: pl.Expr,
    columns: Mapping[str, pa.DataType],
    label: str,
    column: str,
    rows: Sequence[ProbedRow],
    grid: np.ndarray[Any, Any],
) -> Iterator[tuple[int, Literal["below", "above"], float]]:
    """Where the decision on each of these rows changes as one column varies: position of the row, dropped side,
    value."""

    def dropped(values: np.ndarray[Any, Any], places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Of each value, for the row at that place."""
        moved = [rows[place] for place in places]
        spoken = {
            "language": [row.language for row in moved],
            "prompt_language": [row.prompt_language or row.language for row in moved],
        }
        frame = {name: pl.Series(tags, dtype=pl.String) for name, tags in spoken.items()}
        for name, dtype in columns.items():
            full = label if name == "score" else f"{label}.{name}"
            if name == column:
                frame[name] = pl.Series(values, dtype=pl.Float64)
            elif dtype == pa.float64():
                frame[name] = pl.Series([row.scores.get(full) for row in moved], dtype=pl.Float64)
            else:
                frame[name] = pl.Series([row.attributes.get(full) for row in moved], dtype=pl.String)
        gone = pl.DataFrame(frame).select(rule.alias("gone"))["gone"].cast(pl.Boolean).fill_null(False).to_numpy()
        return np.broadcast_to(gone, len(values))

    wide = len(grid)
    gone = dropped(np.tile(grid, len(rows)), np.repeat(np.arange(len(rows)), wide)).reshape(len(rows), wide)
    changes = np.argwhere(gone[:, 1:] != gone[:, :-1])
    place, low, high = changes[:, 0], grid[changes[:, 1]], grid[changes[:, 1] + 1]
    below = gone[changes[:, 0], changes[:, 1]]
    for _ in range(_HALVINGS if len(place) else 0):
        middle = (low + high) / 2
        open_ = (middle > low) & (middle < high)
        if not open_.any():
            break
        same = dropped(middle, place) == below
        low, high = np.where(open_ & same, middle, low), np.where(open_ & ~same, middle, high)
    for at, row in enumerate(place.tolist()):
        yield row, "below" if below[at] else "above", float(f"{(low[at] + high[at]) / 2:.9g}")


def _grid(ends: tuple[float, float], hints: Sequence[float]) -> np.ndarray[Any, Any]:
    low, high = ends
    inside = [near for hint in hints for near in (np.nextafter(hint, -math.inf), hint, np.nextafter(hint, math.inf))]
    wide = max(high - low, abs(high), 1e-6)
    return np.unique(np.concatenate([np.linspace(low - wide * 0.01, high + wide * 0.01, _GRID), inside]))


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield float(value)


def _named(
    params: Mapping[str, Any], label: str, rows: Sequence[ProbedRow], ranges: Mapping[str, tuple[float, float]]
) -> Iterator[Limit]:
    """For a step without rules: a parameter with the score's name (``similarity`` of duplicates)."""
    for name in ranges:
        parameter = params.get(name.removeprefix(f"{label}."))
        if isinstance(parameter, bool) or not isinstance(parameter, int | float | dict):
            continue
        by = (
            PerLanguage(parameter)
            if not isinstance(parameter, dict)
            else PerLanguage(parameter.get("default"), parameter)
        )
        for language in sorted({row.language for row in rows}):
            if isinstance(value := by[language], int | float):
                yield Limit(name, language, name.removeprefix(f"{label}."), "above", float(value))
