"""``keep``: keeps the rows that meet conditions on what they already have: scores, attributes, languages, sources, and
the other rows of their item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from curate.catalog.params import Decision, LanguageTag, PerLanguage
from curate.catalog.suggestions import nearest
from curate.rows import Kind
from curate.rows.fields import latest_value, prompt_field
from curate.rows.ids import hash_texts
from curate.rows.kinds import ATTRIBUTES, SCORES
from curate.steps import CatalogFacts, Context, GlobalStep, Rows, StepError

_KEPT = 0


class _Condition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ScoreRange(_Condition):
    """``{min: 0.5, max: {default: 0.9, sw: 0.8}}``: the values of a score that are kept, both ends included."""

    min: PerLanguage[float] | None = None
    """Minimum, for all languages or for each."""
    max: PerLanguage[float] | None = None
    """Maximum, for all languages or for each."""

    @model_validator(mode="after")
    def _has_an_end(self) -> ScoreRange:
        if self.min is None and self.max is None:
            raise ValueError("write 'min', 'max' or both")
        for tag in {*(self.min or ()), *(self.max or ()), "und"}:
            low, high = _of(self.min, tag), _of(self.max, tag)
            if low is not None and high is not None and low > high:
                raise ValueError(f"no score is at least {low:g} and at most {high:g}")
        return self


class ExceptTexts(_Condition):
    """``{not: [a, b]}``: all values but these."""

    values: Annotated[tuple[str, ...], BeforeValidator(lambda value: _listed(value)), Field(alias="not", min_length=1)]
    """The values that are dropped."""


class ExceptLanguages(_Condition):
    """``{not: [de, fr]}``: all languages but these."""

    values: Annotated[
        tuple[LanguageTag, ...], BeforeValidator(lambda value: _listed(value)), Field(alias="not", min_length=1)
    ]
    """The languages that are dropped."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _of(limit: PerLanguage[float] | None, tag: str) -> float | None:
    return None if limit is None else limit[tag]


Texts = Annotated[Annotated[tuple[str, ...], Field(min_length=1)] | ExceptTexts, BeforeValidator(_listed)]
Languages = Annotated[
    Annotated[tuple[LanguageTag, ...], Field(min_length=1)] | ExceptLanguages, BeforeValidator(_listed)
]


class Conditions(_Condition):
    """Conditions that a row meets together, one alternative of ``any``; what each means is said of :class:`Keep`."""

    scores: dict[str, ScoreRange] = Field(default_factory=dict)
    """Score → the values that are kept."""
    attributes: dict[str, Texts] = Field(default_factory=dict)
    """Attribute → the values that are kept, or dropped."""
    language: Languages | None = None
    """The languages that are kept, or ``{not: […]}``."""
    prompt_language: Languages | None = None
    """The same for the language of the prompt."""
    source: Texts | None = None
    """The sources whose rows are kept, or ``{not: […]}``."""

    @model_validator(mode="after")
    def _says_something(self) -> Conditions:
        if not any((self.scores, self.attributes, self.language, self.prompt_language, self.source)):
            raise ValueError("there is no condition; write scores, attributes, language, prompt_language or source")
        return self


class Keep(GlobalStep):
    """Keeps the rows that meet all conditions; a row's reason in ``rejected`` is the first that it does not meet.

    A row without a score is not assessed by the condition on it; the step warns of how many there are. A row without an
    attribute has no value: no list contains it. Raises a :class:`~curate.errors.StepError` if no row has the score.
    """

    tag: ClassVar[str] = "keep"
    summary: ClassVar[str] = "Rows by conditions on scores, attributes, languages, sources and complete items."

    scores: Decision[dict[str, ScoreRange]] = Field(default_factory=dict)
    """Score → the values that are kept: ``{self_consistency.agreement: {max: 0.4}}``."""
    attributes: Decision[dict[str, Texts]] = Field(default_factory=dict)
    """Attribute → the values that are kept, ``[a, b]``, or dropped, ``{not: [a, b]}``."""
    language: Decision[Languages | None] = None
    """The languages that are kept, or ``{not: […]}``. A tag also stands for its more specific forms (``zh`` for
    ``zh-Hant``)."""
    prompt_language: Decision[Languages | None] = None
    """The same for the language of the prompt, or of the source side of a pair."""
    source: Decision[Texts | None] = None
    """The sources whose rows are kept, or ``{not: […]}``."""
    any: Decision[tuple[Conditions, ...]] = ()
    """Alternatives, of which a row has to meet one: ``[{scores: {judge: {min: 7}}}, {source: [people]}]``. Each may
    have all conditions above."""
    complete: Decision[Annotated[tuple[LanguageTag, ...], Field(min_length=1)] | None] = None
    """Keep only items (``group_id``) that have, after the other conditions, a row in each of these languages: exactly
    one, the first. Rows in other languages are dropped."""
    unassessed: Decision[Literal["keep", "drop"]] = "keep"
    """What to do with a row that lacks a score."""

    @property
    def untried(self) -> str:
        return "a condition may be on any score or attribute; the page of scores shows which rows a range has"

    @model_validator(mode="after")
    def _says_something(self) -> Keep:
        conditions = (self.scores, self.attributes, self.language, self.prompt_language, self.source)
        if not any((*conditions, self.any, self.complete)):
            raise ValueError(
                "there is no condition; write scores, attributes, language, prompt_language, source, any or complete"
            )
        if self.complete is not None and len(set(self.complete)) < len(self.complete):
            raise ValueError("complete: a language is named twice")
        return self

    @property
    def _sets(self) -> list[Keep | Conditions]:
        """Its own conditions, and those of each alternative."""
        return [self, *self.any]

    @property
    def _scores(self) -> list[str]:
        return list(dict.fromkeys(name for one in self._sets for name in one.scores))

    @property
    def _attributes(self) -> list[str]:
        return list(dict.fromkeys(name for one in self._sets for name in one.attributes))

    @property
    def reads(self) -> tuple[str, ...]:
        return (*self._scores, *self._attributes)

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """Which attributes are read decides what the summaries hold; by which values rows are kept does not."""
        return {**super().identity(decisions=decisions), "reads": sorted(self._attributes)}

    def check(self, kind: Kind) -> list[str]:
        asked = any(one.prompt_language is not None for one in self._sets)
        return [] if not asked or prompt_field(kind) is not None else [f"prompt_language: {kind} rows have no prompt"]

    def check_models(self, facts: CatalogFacts) -> list[str]:
        problems = super().check_models(facts)
        for what, names, there in (
            ("score", self._scores, facts.scores),
            ("attribute", self._attributes, facts.attributes),
        ):
            for name in names:
                said, certain = there.problem(name, what)
                if certain:
                    problems.append(f"{what}s: {said}")
                elif said:
                    facts.note(f"keep: {said}; it must be in the rows")
        return problems

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        if languages is None:
            return None

        def kept(tag: str, one: Keep | Conditions) -> bool:
            return one.language is None or _is_kept(tag, one.language)

        return frozenset(
            tag
            for tag in languages
            if kept(tag, self)
            and (not self.any or any(kept(tag, one) for one in self.any))
            and (self.complete is None or _listed_as(tag, self.complete) is not None)
        )

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {}

    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        groups = hash_texts(rows.table["group_id"].to_pylist(), 8)
        lineage = rows.table["lineage"].combine_chunks() if len(rows) else None
        field = prompt_field(rows.kind)
        prompts = rows.language if field is None else rows.field_language(field)
        attributes = [
            [one for one in own if one["name"] in self._attributes] for own in rows.table["attributes"].to_pylist()
        ]
        return pa.table(
            {
                "item": pa.array(np.frombuffer(b"".join(groups), np.uint64), pa.uint64()),
                "language": pa.array(rows.language.to_list(), pa.string()),
                "prompt_language": pa.array(prompts.to_list(), pa.string()),
                "source": pa.array([], pa.string()) if lineage is None else lineage.field("source").cast(pa.string()),
                "scores": rows.table["scores"].combine_chunks() if len(rows) else pa.array([], SCORES),
                "attributes": pa.array(attributes, ATTRIBUTES),
            }
        )

    # -------------------------------------------------------------------------------------------------------- decision
    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        reasons: dict[str | None, int] = {None: _KEPT}
        codes: list[npt.NDArray[np.int32]] = []
        lacking, there = Counter[str](), set[str]()
        items: list[npt.NDArray[np.uint64]] = []
        languages: list[npt.NDArray[np.int16]] = []
        for path in summaries:
            frame = pl.DataFrame(pl.from_arrow(pq.read_table(path)))
            there |= _score_names(frame) if self._scores else set()
            reason = self._reasons(frame, lacking)
            codes.append(np.array([reasons.setdefault(one, len(reasons)) for one in reason.to_list()], np.int32))
            if self.complete is not None:
                items.append(frame["item"].to_numpy())
                listed = {tag: _listed_as(tag, self.complete) for tag in frame["language"].unique().to_list()}
                places = {tag: -1 if one is None else self.complete.index(one) for tag, one in listed.items()}
                languages.append(np.array([places[tag] for tag in frame["language"].to_list()], np.int16))
        rows = sum(len(one) for one in codes)
        self._tell(rows, lacking, there, context)
        if self.complete is not None and rows:
            self._complete(codes, np.concatenate(items), np.concatenate(languages), reasons)
        texts = np.array(list(reasons), object)
        for one in codes:
            yield pa.table({"keep": pa.array(one == _KEPT), "reason": pa.array(texts[one], pa.string())})

    def _reasons(self, frame: pl.DataFrame, lacking: Counter[str]) -> pl.Series:
        """The first condition that each row does not meet, in words; null where it meets all."""
        scores = {f"score {name}": latest_value(frame["scores"], name).cast(pl.Float64) for name in self._scores}
        lacking.update({name: values.null_count() for name, values in zip(self._scores, scores.values(), strict=True)})
        texts = [latest_value(frame["attributes"], name).cast(pl.String) for name in self._attributes]
        frame = frame.with_columns(
            **scores, **{f"attribute {name}": values for name, values in zip(self._attributes, texts, strict=True)}
        )
        reason = _first(self._rules(self, frame))
        if self.any:
            others = [_first(self._rules(one, frame)) for one in self.any]
            # A row that meets an alternative has no reason from it, and then there is none from all.
            reason = pl.coalesce(reason, pl.concat_str(others, separator=", and "))
        # Not select: without any rule the expression is a constant, which would be one row.
        return frame.with_columns(reason=reason)["reason"]

    def _rules(self, given: Keep | Conditions, frame: pl.DataFrame) -> list[tuple[pl.Expr, pl.Expr]]:
        """Whether a row breaks each condition, and how that is said."""
        rules: list[tuple[pl.Expr, pl.Expr]] = []
        for name, kept in given.scores.items():
            column = f"score {name}"
            if self.unassessed == "drop":
                rules.append((pl.col(column).is_null(), pl.lit(f"no score '{name}'")))
            for limit, word in ((kept.min, "below"), (kept.max, "above")):
                if limit is not None:
                    bound = limit.expr()
                    broken = pl.col(column) < bound if word == "below" else pl.col(column) > bound
                    rules.append((broken, pl.format("{} {} {}", pl.lit(name), pl.lit(word), bound)))
        for name, wanted in given.attributes.items():
            rules += _text_rules(f"attribute {name}", f"attribute {name}", wanted)
        if given.source is not None:
            rules += _text_rules("source", "source", given.source)
        for column, languages in (("language", given.language), ("prompt_language", given.prompt_language)):
            if languages is not None:
                out = [tag for tag in frame[column].unique().to_list() if not _is_kept(tag, languages)]
                rules.append((pl.col(column).is_in(out), pl.concat_str([pl.lit(f"{column} "), pl.col(column)])))
        return rules

    def _tell(self, rows: int, lacking: Mapping[str, int], there: set[str], context: Context) -> None:
        for name, count in lacking.items():
            if rows and count == rows:
                raise StepError(
                    f"keep: no row has the score '{name}'{nearest(name, sorted(there))}; there are "
                    f"{', '.join(sorted(there)) or 'none'}"
                )
            if count:
                done = "kept" if self.unassessed == "keep" else "dropped"
                context.warn(
                    f"keep: {count:,} of {rows:,} rows have no score '{name}' and are not assessed by it: {done}"
                )

    def _complete(
        self,
        codes: Sequence[npt.NDArray[np.int32]],
        item: npt.NDArray[np.uint64],
        language: npt.NDArray[np.int16],
        reasons: dict[str | None, int],
    ) -> None:
        """Sets the codes of rows whose item is not complete, or which their item does not need."""
        assert self.complete is not None
        code = np.concatenate(codes)

        def drop(rows: npt.NDArray[np.int64], reason: str) -> None:
            if len(rows):
                code[rows] = reasons.setdefault(reason, len(reasons))

        drop(np.flatnonzero((code == _KEPT) & (language < 0)), "its language is not in 'complete'")
        kept = np.flatnonzero(code == _KEPT)
        # By item, then language, then place: the first of equal ones is the first in order.
        order = kept[np.lexsort((kept, language[kept], item[kept]))]
        same = np.zeros(len(order), bool)
        same[1:] = (item[order][1:] == item[order][:-1]) & (language[order][1:] == language[order][:-1])
        drop(order[same], "another row of its item in its language")
        order = order[~same]
        _, inverse, counts = np.unique(item[order], return_inverse=True, return_counts=True)
        drop(order[counts[inverse] < len(self.complete)], "its item is not in all languages")
        start = 0
        for one in codes:
            one[:] = code[start : start + len(one)]
            start += len(one)


def _first(rules: Sequence[tuple[pl.Expr, pl.Expr]]) -> pl.Expr:
    """How the first rule that a row breaks is said; null if it breaks none."""
    expression = pl.lit(None, dtype=pl.String)
    for broken, reason in reversed(rules):
        expression = pl.when(broken).then(reason).otherwise(expression)
    return expression


def _text_rules(column: str, what: str, wanted: Any) -> list[tuple[pl.Expr, pl.Expr]]:
    value = pl.col(column)
    if isinstance(wanted, ExceptTexts):
        return [(value.is_in(wanted.values), pl.concat_str([pl.lit(f"{what} "), value]))]
    return [
        (value.is_null(), pl.lit(f"no {what}")),
        (~value.is_in(wanted), pl.lit(f"{what} is none of those kept")),
    ]


def _is_kept(tag: str, wanted: Any) -> bool:
    if isinstance(wanted, ExceptLanguages):
        return _listed_as(tag, wanted.values) is None
    return _listed_as(tag, wanted) is not None


def _listed_as(tag: str, listed: Sequence[str]) -> str | None:
    """The language of a list that stands for a tag: itself or the nearest more general one."""
    return PerLanguage[str](None, {one: one for one in listed})[tag]


def _score_names(frame: pl.DataFrame) -> set[str]:
    names = frame["scores"].explode().drop_nulls()
    return set(names.struct.field("name").unique().to_list()) if len(names) else set()


__all__ = ["ExceptLanguages", "ExceptTexts", "Keep", "ScoreRange"]
