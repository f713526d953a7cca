"""Where a step's rules draw the line is asked of the step itself: one score of a real row is moved until the verdict
turns.

So the lines in the charts are those that decided, by language and whatever the rule looks like; nothing is guessed from
the names of parameters, but for steps that decide over all rows at once and have no rules to ask.
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

from curate.catalog.params import Mark, PerLanguage, Reference
from curate.errors import CurateError
from curate.rows import Kind
from curate.steps import Registry, ScoreStep, Step

_GRID = 65
_HALVINGS = 60
_TRIED = 6


@dataclass(frozen=True)
class Limit:
    """Rows with a score below (or above) this are dropped."""

    score: str
    language: str
    reason: str
    side: Literal["below", "above"]
    """Which rows go."""
    value: float
    alone: bool = True
    """Whether the score decides by itself; if not, other findings have to agree."""


@dataclass(frozen=True)
class Asked:
    """A row that the rules are tried on."""

    language: str
    scores: Mapping[str, float]
    attributes: Mapping[str, str]
    step: str = ""
    """What dropped it, and why."""
    reason: str = ""


def owner(score: str, labels: Sequence[str]) -> str | None:
    """The label of the step that gave a score; None if it came with the row."""
    fits = [label for label in labels if score == label or score.startswith(f"{label}.")]
    return max(fits, key=len) if fits else None


def limits(
    recipe: Sequence[Mapping[str, Any]],
    rows: Sequence[Asked],
    ranges: Mapping[str, tuple[float, float]],
    kinds: Sequence[Kind],
    registry: Registry,
) -> list[Limit]:
    """Every threshold of a version's steps, by score and language.

    Args:
        recipe: the steps, as the manifest tells them.
        rows: some rows in each language.
        ranges: least and greatest value of each score.
        kinds: the kinds of rows that steps may have seen.
    """
    found: list[Limit] = []
    for step in recipe:
        label = step["label"]
        params = _restored(step, registry)
        mine = {name: ends for name, ends in ranges.items() if owner(name, [one["label"] for one in recipe]) == label}
        if isinstance(params, ScoreStep):
            for kind in kinds:
                try:
                    some = list(_swept(params, label, kind, rows, mine))
                # What a rule may do with a row that it never saw is the rule's affair: no line is drawn then.
                except (pl.exceptions.PolarsError, CurateError, ValueError, TypeError, KeyError, AttributeError):
                    continue
                found += some
                break
        else:
            found += _named(step["params"], label, rows, mine)
    return found


def _restored(step: Mapping[str, Any], registry: Registry) -> Any:
    """The step with the parameters of the recipe; None if it is not installed or cannot be had without what it
    names."""
    try:
        cls = registry.get("step", step["step"])
    except (KeyError, CurateError):
        return None
    if getattr(cls, "version", None) != step["version"] or not issubclass(cls, Step):
        return None
    given = {name: value for name, value in step["params"].items() if name in cls.model_fields}
    named = {name for kind in Reference for name in cls.references(kind)}
    missing = [name for name, field in cls.model_fields.items() if field.is_required() and name not in given]
    if not set(missing) <= named:
        return None
    for filler in ("unnamed", ("unnamed",)):
        try:
            return cls(**given, **dict.fromkeys(missing, filler))
        except (ValueError, CurateError, OSError):
            continue
    return None


def _swept(
    step: ScoreStep, label: str, kind: Kind, rows: Sequence[Asked], ranges: Mapping[str, tuple[float, float]]
) -> Iterator[Limit]:
    columns = step.columns(kind)
    verdicts = step.verdicts(kind)
    hints = sorted(set(_numbers(step.model_dump(mode="json", include=set(step.marked(Mark.DECISION))))))
    for column, dtype in columns.items():
        name = label if column == "score" else f"{label}.{column}"
        rules = {reason: rule for reason, rule in verdicts.items() if column in rule.meta.root_names()}
        if dtype != pa.float64() or name not in ranges or not rules:
            continue
        grid = _grid(ranges[name], hints)
        for reason, rule in rules.items():
            # Any rows of a language, and those that this rule has dropped: where it looks at several scores, only they
            # turn.
            some: list[Asked] = []
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
            found: dict[tuple[str, Literal["below", "above"], float], bool] = {}
            for (language, by_this, side, value), count in votes.items():
                if 2 * count >= taken[language, by_this]:
                    key = (language, side, value)
                    found[key] = found.get(key, False) or not by_this
            for language, side, value in sorted(found):
                yield Limit(name, language, reason, side, value, found[language, side, value])


def _turns(
    rule: pl.Expr,
    columns: Mapping[str, pa.DataType],
    label: str,
    column: str,
    rows: Sequence[Asked],
    grid: np.ndarray[Any, Any],
) -> Iterator[tuple[int, Literal["below", "above"], float]]:
    """Where the verdict on each of these rows turns while one column moves: place of the row, which side goes,
    value."""

    def dropped(values: np.ndarray[Any, Any], places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Of each value, for the row at that place."""
        moved = [rows[place] for place in places]
        frame: dict[str, pl.Series] = {"language": pl.Series([row.language for row in moved], dtype=pl.String)}
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
    turned = np.argwhere(gone[:, 1:] != gone[:, :-1])
    place, low, high = turned[:, 0], grid[turned[:, 1]], grid[turned[:, 1] + 1]
    below = gone[turned[:, 0], turned[:, 1]]
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


def _numbers(given: Any) -> Iterator[float]:
    if isinstance(given, Mapping):
        for inner in given.values():
            yield from _numbers(inner)
    elif isinstance(given, list | tuple):
        for inner in given:
            yield from _numbers(inner)
    elif isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given):
        yield float(given)


def _named(
    params: Mapping[str, Any], label: str, rows: Sequence[Asked], ranges: Mapping[str, tuple[float, float]]
) -> Iterator[Limit]:
    """Of a step without rules: a parameter called like the score that it is about (``similarity`` of duplicates)."""
    for name in ranges:
        given = params.get(name.removeprefix(f"{label}."))
        if isinstance(given, bool) or not isinstance(given, int | float | dict):
            continue
        by = PerLanguage(given) if not isinstance(given, dict) else PerLanguage(given.get("default"), given)
        for language in sorted({row.language for row in rows}):
            if isinstance(value := by[language], int | float):
                yield Limit(name, language, name.removeprefix(f"{label}."), "above", float(value))
