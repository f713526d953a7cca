"""The thresholds of a version that can be tried on the scores that its rows have: parameters of steps, the rules that
each governs, the columns that these use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from curate.catalog.params import Mark, PerLanguage
from curate.catalog.suggestions import nearest
from curate.errors import CurateError, ExportError
from curate.rows import Kind
from curate.sql.tables import quoted
from curate.steps import GlobalStep, Registry, ScoreStep
from outputs.report.thresholds import restored
from outputs.view.reading import ReadVersion, literal
from outputs.view.server import NotFound

_TRIED = ((0.123456789, 0.234567891), (123456789, 223456789), (12, 13))
"""Pairs of values by which a parameter is found in the rules: a share, a large number, a small whole one."""


@dataclass(frozen=True)
class Threshold:
    """A parameter that decides by scores."""

    step: ScoreStep | GlobalStep
    label: str
    """Of the step."""
    name: str
    kind: Kind
    """Of the rows that the step saw."""
    reasons: tuple[str, ...]
    """The rules that it governs."""
    columns: tuple[str, ...]
    """The step's numbers that these rules use; the first is the one of the chart."""

    @property
    def key(self) -> str:
        """How it is named in addresses."""
        return f"{self.label}.{self.name}"

    @property
    def present(self) -> PerLanguage[Any]:
        """The values of the version."""
        value = self.step.in_force(self.name)
        return value if isinstance(value, PerLanguage) else PerLanguage(value)

    @property
    def by_language(self) -> bool:
        """Whether it may differ by language."""
        return isinstance(self.step.in_force(self.name), PerLanguage)

    @property
    def upwards(self) -> bool:
        """Whether only values above that of the version can be tried: a step that compares rows with each other keeps
        nothing of pairs below it."""
        return isinstance(self.step, GlobalStep) and self.step.compares_pairs

    def score(self, column: str) -> str:
        """The name that a column has among the scores of a row."""
        return self.label if column == "score" else f"{self.label}.{column}"

    def moved(self, value: float | None, language: str = "") -> Threshold:
        """The same with another value in a language; without one, for all languages that have none of their own.

        Raises:
            ExportError: the step does not take it, or what rows keep does not tell what it would do.
        """
        now = self.present[language] if language else self.present.default
        if self.upwards and now is not None and (value is None or value < now):
            raise ExportError(
                f"{self.name}: below {now:g} it cannot be tried, since nothing is kept of pairs of rows that are less "
                "similar; build with that value"
            )
        return Threshold(
            _with(self.step, self.name, changed(self.present, value, language) if self.by_language else value),
            self.label, self.name, self.kind, self.reasons, self.columns,
        )  # fmt: skip


def changed(values: PerLanguage[Any], value: float | None, language: str) -> PerLanguage[Any]:
    """The values with another one in a language, or (without a language) as the default."""
    return (
        PerLanguage(values.default, {**values.values, language: value})
        if language
        else PerLanguage(value, values.values)
    )


def _with(step: ScoreStep | GlobalStep, name: str, value: Any) -> ScoreStep | GlobalStep:
    given = {field: getattr(step, field) for field in type(step).model_fields if field in step.model_fields_set}
    if isinstance(value, PerLanguage):
        value = value.dump(whole=True)
    try:
        return type(step)(**{**given, name: value})
    except (ValueError, CurateError) as error:
        first = error.errors()[0]["msg"] if hasattr(error, "errors") else str(error)
        raise ExportError(f"{name}: {first}") from None


def thresholds(read: ReadVersion, registry: Registry) -> list[Threshold]:
    """The thresholds of a version's steps, in order; without those that cannot be tried on the scores alone."""
    kinds = list(dict.fromkeys([*(file.kind for file in read.files), read.version.kind]))
    found = []
    for recipe in read.version.manifest["recipe"]["steps"]:
        step = restored(recipe, registry)
        for name in type(step).model_fields if isinstance(step, ScoreStep | GlobalStep) else ():
            if name not in step.marked(Mark.DECISION):
                continue
            for kind in kinds:
                if (governed := _governed(step, name, kind)) is not None:
                    if all(governed):
                        found.append(Threshold(step, recipe["label"], name, kind, *governed))
                    break
    return found


@dataclass(frozen=True)
class Untried:
    """A parameter that decides and cannot be tried."""

    label: str
    name: str
    value: str
    why: str


def untried(read: ReadVersion, registry: Registry, tried: Sequence[Threshold]) -> list[Untried]:
    """The parameters of a version's steps that decide, are not as they are by default, and cannot be tried."""
    found = []
    for recipe in read.version.manifest["recipe"]["steps"]:
        step = restored(recipe, registry)
        if not isinstance(step, ScoreStep | GlobalStep):
            continue
        known = {one.name for one in tried if one.label == recipe["label"]}
        given = step.model_dump(mode="json", exclude_defaults=True)
        for name in [name for name in step.marked(Mark.DECISION) if name in given and name not in known]:
            why = (
                step.untried
                if isinstance(step, GlobalStep)
                else "it is no number that a score of the row is compared with"
            )
            found.append(Untried(recipe["label"], name, str(given[name]), why))
    return found


def _governed(step: ScoreStep | GlobalStep, name: str, kind: Kind) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The reasons whose rules differ between two values of the parameter, and the numbers that these rules use; None if
    it takes no numbers, or the step no rows of this kind."""
    present = step.in_force(name)
    if isinstance(present, bool | str) or not isinstance(present, int | float | PerLanguage | None):
        return None
    for pair in _TRIED:
        try:
            rules, others = (_with(step, name, value).drop_rules(kind) for value in pair)
            numbers = [column for column, dtype in step.columns(kind).items() if dtype == pa.float64()]
        except (CurateError, ValueError, TypeError, KeyError, AttributeError):
            continue
        reasons = tuple(one for one in rules if one in others and str(rules[one]) != str(others[one]))
        used = {column for reason in reasons for column in rules[reason].meta.root_names()}
        return reasons, tuple(column for column in numbers if column in used)
    return None


def rules_of(threshold: Threshold) -> list[pl.Expr]:
    """The rules that a threshold governs."""
    rules = threshold.step.drop_rules(threshold.kind)
    return [rules[reason] for reason in threshold.reasons if reason in rules]


def find(found: Sequence[Threshold], key: str) -> Threshold:
    """The threshold of this key.

    Raises:
        NotFound: there is none.
    """
    for one in found:
        if one.key == key:
            return one
    raise NotFound(f"no threshold is called '{key}'{nearest(key, [one.key for one in found])}")


def _some(threshold: Threshold) -> float | None:
    """A value that makes the rules be there: one that the step has, else any that it takes."""
    present = values_of(threshold.present)
    if present:
        return present[0]
    for pair in _TRIED:
        try:
            threshold.moved(pair[0])
        except ExportError:
            continue
        return pair[0]
    return None


def values_of(values: PerLanguage[Any]) -> list[float]:
    """The numbers among the values of all languages."""
    given = [values.default, *values.values.values()]
    return [float(one) for one in given if isinstance(one, int | float) and not isinstance(one, bool)]


def any_of(rules: Sequence[pl.Expr]) -> pl.Expr:
    """Whether any rule drops a row."""
    # One row for each, also where a rule says the same of all.
    none = pl.col("language").is_null() & pl.lit(False)
    return pl.any_horizontal(none, *(rule.fill_null(False) for rule in rules)).fill_null(False)


def columns_of(read: ReadVersion, threshold: Threshold) -> str:
    """Id and language of rows, and the columns that the rules of a threshold use, as they are written in SQL."""
    used = {name for rule in rules_of(threshold.moved(_some(threshold))) for name in rule.meta.root_names()}
    parts = ["id", "language", prompts_of(read)]
    for name, dtype in threshold.step.columns(threshold.kind).items():
        if name in used:
            values = "score(scores, " if dtype == pa.float64() else "attribute(attributes, "
            parts.append(f"{values}{literal(threshold.score(name))}) AS {quoted(name)}")
    return ", ".join(parts)


def prompts_of(read: ReadVersion) -> str:
    """The language of prompts, by which rules may decide; files have the column only if it says something."""
    has = "prompt_language" in read.version.manifest.get("extras", ())
    return f"{'coalesce(prompt_language, language)' if has else 'language'} AS prompt_language"


def describe(values: PerLanguage[Any]) -> Mapping[str, Any]:
    """Language (``""``: the others) → value."""
    return {"": values.default, **values.values}
