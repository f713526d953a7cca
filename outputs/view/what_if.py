"""What another value of a threshold would change: the step's own rules, with the other value, over the scores that the
version's rows have.

A row goes if a rule that the threshold governs would drop it, and comes if it was dropped by such a rule and no rule of
the step would drop it any more. Steps behind this one have not seen rows that come: what they would do is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.catalog.params import Mark, PerLanguage
from curate.catalog.suggestions import nearest
from curate.errors import CurateError, ExportError
from curate.rows import Kind
from curate.sql.tables import quoted
from curate.steps import Registry, ScoreStep
from outputs.report.thresholds import restored
from outputs.view.reading import ReadVersion, literal
from outputs.view.server import NotFound

BINS = 60
EXAMPLES = 5
_TRIED = ((0.123456789, 0.234567891), (123456789, 223456789), (12, 13))
"""Pairs of values by which a parameter is found in the rules: a share, a large number, a small whole one."""


@dataclass(frozen=True)
class Threshold:
    """A parameter that decides by scores."""

    step: ScoreStep
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
        value = getattr(self.step, self.name)
        return value if isinstance(value, PerLanguage) else PerLanguage(value)

    @property
    def by_language(self) -> bool:
        """Whether it may differ by language."""
        return isinstance(getattr(self.step, self.name), PerLanguage)

    def score(self, column: str) -> str:
        """The name that a column has among the scores of a row."""
        return self.label if column == "score" else f"{self.label}.{column}"

    def moved(self, value: float | None, language: str = "") -> Threshold:
        """The same with another value in a language; without one, for all languages that have none of their own.

        Raises:
            ExportError: the step does not take it.
        """
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


def _with(step: ScoreStep, name: str, value: Any) -> ScoreStep:
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
        for name in type(step).model_fields if isinstance(step, ScoreStep) else ():
            if name not in step.marked(Mark.DECISION):
                continue
            for kind in kinds:
                if (governed := _governed(step, name, kind)) is not None:
                    if all(governed):
                        found.append(Threshold(step, recipe["label"], name, kind, *governed))
                    break
    return found


def _governed(step: ScoreStep, name: str, kind: Kind) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The reasons whose rules differ between two values of the parameter, and the numbers that these rules use; None if
    it takes no numbers, or the step no rows of this kind."""
    present = getattr(step, name)
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


def _rules(step: ScoreStep, reasons: Sequence[str], kind: Kind) -> list[pl.Expr]:
    rules = step.drop_rules(kind)
    return [rules[reason] for reason in reasons if reason in rules]


def find(found: Sequence[Threshold], key: str) -> Threshold:
    """The threshold of this key.

    Raises:
        NotFound: there is none.
    """
    for one in found:
        if one.key == key:
            return one
    raise NotFound(f"no threshold is called '{key}'{nearest(key, [one.key for one in found])}")


@dataclass(frozen=True)
class Move:
    """What a moved threshold would change."""

    by_language: pl.DataFrame
    """Language, ``kept`` and ``dropped`` (by the rules that it governs) now, ``go``, ``come``."""
    kept_side: list[tuple[str, float, bool]]
    """Rows next to the threshold that would be kept, nearest first: id, score, whether that is a change."""
    dropped_side: list[tuple[str, float, bool]]
    later: tuple[str, ...]
    """Steps that have not seen the rows that come."""
    astray: int
    """Rows for which the rules do not say what the version says."""


class WhatIf:
    """The scores that one threshold decides by, of all rows that have them.

    Args:
        threshold: as the version has it.
    """

    def __init__(self, read: ReadVersion, threshold: Threshold) -> None:
        self.read, self.threshold = read, threshold
        self._kept = self._asked("kept")
        everything = self._asked("dropped")
        mine = (pl.col("step") == threshold.label) & pl.col("reason").is_in(threshold.reasons)
        self._others = everything.filter(~mine)
        self._dropped = self._candidates() if everything.filter(mine).height else self._kept.clear()
        self._present = self._decide(threshold)
        self.astray = int(self._present[0].sum()) + int(self._present[1].sum())

    def _asked(self, state: str) -> pl.DataFrame:
        """Id, language, step and reason of every row, and the columns that the rules use."""
        one = self.threshold
        rules = _rules(one.moved(_some(one)).step, one.reasons, one.kind)
        used = {name for rule in rules for name in rule.meta.root_names()}
        parts = [
            "id",
            "language",
            self._prompts,
            *(["step", "reason"] if state == "dropped" else ["'' AS step", "'' AS reason"]),
        ]
        for name, dtype in one.step.columns(one.kind).items():
            if name in used:
                read = "score(scores, " if dtype == pa.float64() else "attribute(attributes, "
                parts.append(f"{read}{literal(one.score(name))}) AS {quoted(name)}")
        return self.read.ask(f"SELECT {', '.join(parts)} FROM {self.read.table(state)}")

    @property
    def _prompts(self) -> str:
        """The language of prompts, by which rules may decide; files have the column only if it says something."""
        has = "prompt_language" in self.read.version.manifest.get("extras", ())
        return f"{'coalesce(prompt_language, language)' if has else 'language'} AS prompt_language"

    def _candidates(self) -> pl.DataFrame:
        """Rows that a governed rule dropped, with all that the step found about them."""
        step = self.threshold
        reasons = ", ".join(map(literal, step.reasons))
        rows = self.read.ask(
            f"SELECT id, language, {self._prompts}, scores, attributes FROM {self.read.table('dropped')} "
            f"WHERE step = {literal(step.label)} AND reason IN ({reasons})"
        ).with_row_index("place")
        frame = rows.select("place", "id", "language", "prompt_language")
        for column, dtype in (("scores", pl.Float64), ("attributes", pl.String)):
            columns = {
                step.score(name): name
                for name, kind in step.step.columns(step.kind).items()
                if (kind == pa.float64()) == (column == "scores")
            }
            flat = rows.select("place", column).explode(column).drop_nulls(column).unnest(column)
            wide = flat.filter(pl.col("name").is_in(list(columns))).pivot(
                on="name", on_columns=list(columns), index="place", values="value", aggregate_function="last"
            )
            wide = wide.select("place", *(pl.col(name).cast(dtype).alias(to) for name, to in columns.items()))
            frame = frame.join(wide, on="place", how="left", maintain_order="left")
        return frame.drop("place")

    def _decide(self, threshold: Threshold) -> tuple[pl.Series, pl.Series]:
        """Of the kept rows those that would go, of the dropped ones those that would come."""
        every = threshold.step.drop_rules(threshold.kind)
        rules = [every[reason] for reason in threshold.reasons if reason in every]
        go = self._kept.select(_any(rules).alias("go"))["go"] if self._kept.height else pl.Series("go", [], pl.Boolean)
        stay = (
            self._dropped.select(_any(list(every.values())).alias("stay"))["stay"]
            if self._dropped.height
            else pl.Series("stay", [], pl.Boolean)
        )
        return go, ~stay

    def move(self, value: float | None, language: str = "", column: str = "") -> Move:
        """What another value would change.

        Args:
            language: in which; in all that have no value of their own, unless given.
            column: the step's number by which rows are next to the threshold.

        Raises:
            ExportError: the step does not take it.
        """
        new = self.threshold.moved(value, language)
        go, come = self._decide(new)
        kept = self._kept.with_columns(go.alias("moves"), pl.lit(True).alias("was"))
        dropped = self._dropped.with_columns(come.alias("moves"), pl.lit(False).alias("was"))
        counted = (
            pl.concat([one.select("language", "was", "moves") for one in (kept, dropped)])
            .group_by("language")
            .agg(
                pl.col("was").sum().alias("kept"),
                (~pl.col("was")).sum().alias("dropped"),
                (pl.col("was") & pl.col("moves")).sum().alias("go"),
                (~pl.col("was") & pl.col("moves")).sum().alias("come"),
            )
            .sort("kept", "language", descending=[True, False])
        )
        name = column or self.threshold.columns[0]
        near = pl.concat([one.select("id", "language", "was", "moves", name) for one in (kept, dropped)]).with_columns(
            (pl.col("was") ^ pl.col("moves")).alias("stays"),
            # Without a limit nothing is next to it: then rows that move are shown.
            (pl.lit(0.0) if value is None else (pl.col(name) - value).abs()).alias("away"),
        )
        near = near.filter(pl.col("language").is_in(self._spoken(language)) & pl.col(name).is_finite())
        near = near.filter("moves") if value is None else near
        sides = [
            near.filter(pl.col("stays") == side)
            .bottom_k(EXAMPLES, by=["away", "id"])
            .sort("away", "id")
            .select("id", name, "moves")
            .rows()
            for side in (True, False)
        ]
        return Move(counted, sides[0], sides[1], self._later(), self.astray)

    def _spoken(self, language: str) -> list[str]:
        """The languages of rows for which another value in a language would hold."""
        here = changed(self.threshold.present, math.nan, language)
        known = pl.concat([one["language"] for one in (self._kept, self._dropped, self._others)]).unique().to_list()
        return [one for one in known if here[one] is math.nan]

    def _later(self) -> tuple[str, ...]:
        return self.read.labels[self.read.labels.index(self.threshold.label) + 1 :]

    def histogram(
        self, column: str = "", language: str = ""
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
        """Edges of the bins, and in each rows kept, dropped by the rules it governs, dropped otherwise; the outermost
        bins include all beyond. None if no row has the score."""
        name = column or self.threshold.columns[0]
        frames = []
        for frame in (self._kept, self._dropped, self._others):
            mine = frame if not language else frame.filter(pl.col("language").is_in(self._spoken(language)))
            values = mine[name].drop_nulls() if mine.height else pl.Series([], dtype=pl.Float64)
            frames.append(values.filter(values.is_finite()).to_numpy())
        whole = np.concatenate(frames)
        if not len(whole):
            return None
        low, high = np.quantile(whole, [0.005, 0.995])
        inside = [one for one in _values(self.threshold.present) if whole.min() <= one <= whole.max()]
        low, high = min([low, *inside]), max([high, *inside])
        if bool((whole % 1 == 0).all()) and high - low < BINS:
            edges = np.arange(math.floor(low) - 0.5, math.floor(high) + 1)
        else:
            edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
        counts = np.stack([np.histogram(np.clip(one, edges[0], edges[-1]), edges)[0] for one in frames], axis=1)
        return edges, counts


def _some(threshold: Threshold) -> float | None:
    """A value that makes the rules be there: one that the step has, else any that it takes."""
    present = _values(threshold.present)
    if present:
        return present[0]
    for pair in _TRIED:
        try:
            threshold.moved(pair[0])
        except ExportError:
            continue
        return pair[0]
    return None


def _values(values: PerLanguage[Any]) -> list[float]:
    given = [values.default, *values.values.values()]
    return [float(one) for one in given if isinstance(one, int | float) and not isinstance(one, bool)]


def _any(rules: Sequence[pl.Expr]) -> pl.Expr:
    # One row for each, also where a rule says the same of all.
    none = pl.col("language").is_null() & pl.lit(False)
    return pl.any_horizontal(none, *(rule.fill_null(False) for rule in rules)).fill_null(False)


def describe(values: PerLanguage[Any]) -> Mapping[str, Any]:
    """Language (``""``: the others) → value."""
    return {"": values.default, **values.values}
