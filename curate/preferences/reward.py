"""``reward``: scores answers by a reward model, after translation if the model does not know their language.

Answers in a language X may be scored directly (multilingual base models transfer some of what was learnt from English
preferences to other languages), or after translation into the model's language (reward transfer). Which is better
depends on the language; a parameter selects it. What the model does not know and nothing translates is not assessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import PositiveInt, model_validator

from curate.catalog.params import Amount, Decision, LanguageTag, PerLanguage, RewardModelName, TranslatorName
from curate.data_files import DataFile
from curate.generation.common.conversations import not_shown
from curate.generation.common.prompts import disarm
from curate.generation.translate.checks import Limits
from curate.generation.translate.rows import prepare, same_language
from curate.generation.translate.sentences import Sentences
from curate.rows import Kind, message_text
from curate.steps import Context, Rows, ScoreStep, StepError
from curate.steps.models import RewardModel, Translator
from curate.text.boilerplate import COMMENTARY
from curate.text.length_ratio import LENGTHS
from curate.text.numbers import NUMBER_WORDS
from curate.text.placeholders import PROTECTABLE
from curate.text.sentences import ABBREVIATIONS

Turns = tuple[tuple[str, str], ...]
_ROLES = frozenset({"system", "user", "assistant"})
_SIDES: Mapping[Kind, tuple[tuple[str, str, str | None], ...]] = {
    Kind.SFT: (("score", "messages", None),),
    Kind.UNPAIRED: (("score", "prompt", "completion"),),
    Kind.PREFERENCE: (("chosen", "prompt", "chosen"), ("rejected", "prompt", "rejected")),
}
_DIGITS = 4


class Reward(ScoreStep):
    """Scores the last answer of each row by a reward model.

    Scores: ``score``; for preference rows ``chosen`` and ``rejected``, and ``score`` is their difference. Attributes:
    ``unassessed`` (why there is no score: ``language``, ``translation``, ``no answer``, ``media`` that the model is not
    shown, ``turns`` of other roles, ``too long``) and ``translated`` (the translator of what the model saw).
    """

    tag: ClassVar[str] = "reward"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS, COMMENTARY, LENGTHS, NUMBER_WORDS)
    version: ClassVar[int] = 2
    kinds: ClassVar[frozenset[Kind]] = frozenset(_SIDES)
    summary: ClassVar[str] = (
        "scores of a reward model, for answers in their own language or translated into its language"
    )

    model: RewardModelName
    """The reward model."""
    translator: TranslatorName | None = None
    """A translator, for ``translate_to``."""
    translate_to: LanguageTag | None = None
    """The language that prompt and answer are translated into before they are scored."""
    translate: Literal["always", "unsupported"] = "always"
    """For ``translate_to``: translate all rows in other languages, or only those in languages that the reward model
    does not know."""
    max_chars: PositiveInt = 100_000
    """Maximum length of a conversation in characters; longer ones are not assessed (``too long``)."""
    strict: bool = False
    """Whether a language that can neither be scored nor translated stops the build. Otherwise it is a warning, and no
    score."""
    min: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Minimum score of an answer (for preference rows: of the chosen one), by language. Scores of two models, or of two
    languages, are not on one scale."""
    max: Decision[PerLanguage[float]] = PerLanguage[float]()
    """Maximum score of an answer, or of the chosen one."""
    min_margin: Decision[PerLanguage[Amount]] = PerLanguage[float]()
    """For preference rows: minimum lead of the chosen answer."""
    reversed: Decision[Literal["drop", "keep"]] = "drop"
    """What to do with preference rows whose rejected answer has the higher score."""
    unassessed: Decision[Literal["keep", "drop"]] = "keep"
    """What to do with rows without a score."""

    @model_validator(mode="after")
    def _fits_together(self) -> Reward:
        if self.translator is not None and self.translate_to is None:
            raise ValueError("translator needs 'translate_to' beside it")
        if self.translate_to is not None and self.translator is None:
            raise ValueError("translate_to needs 'translator' beside it")
        return self

    def check(self, kind: Kind) -> list[str]:
        if self.min_margin != PerLanguage[float]() and kind is not Kind.PREFERENCE:
            return [f"min_margin: {kind} rows have one answer; it is for preference rows ('min' is for one answer)"]
        return []

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        scores = ("score", "chosen", "rejected") if kind is Kind.PREFERENCE else ("score",)
        translated = {"translated": pa.string()} if self.translator is not None else {}
        return {**dict.fromkeys(scores, pa.float64()), "unassessed": pa.string(), **translated}

    # ------------------------------------------------------------------------------------------------------------ score
    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        model: RewardModel = context.model(self.model)
        if not isinstance(model, RewardModel):
            raise StepError(f"reward: the model '{self.model}' is not a reward model; use one with 'use: reward'")
        sides = _SIDES[rows.kind]
        why = ["media" if unseen is not None else None for unseen in not_shown(rows, tools=False)]
        if any(why):
            context.warn(
                "reward: rows with images, audios or videos, which the model is not shown, have no score (attribute "
                "'unassessed': media)"
            )
        conversations = [self._conversations(rows, prompt, answer, why) for _, prompt, answer in sides]
        sources = self._sources(rows, model, why, context)
        by = self._translated(rows, conversations, sources, why, context)
        values = {
            name: self._scores(model, turns, why, context)
            for (name, _, _), turns in zip(sides, conversations, strict=True)
        }
        for place, total in enumerate(np.sum([*values.values()], axis=0)):
            if why[place] is None and np.isnan(total):
                why[place] = "too long"
        if rows.kind is Kind.PREFERENCE:
            values["score"] = values["chosen"] - values["rejected"]
        # Four digits: the rest depends on which conversations were in a batch together.
        frame = pl.DataFrame(
            {
                name: pl.Series(np.where(np.isnan(one), np.nan, one), nan_to_null=True, dtype=pl.Float64).round(_DIGITS)
                for name, one in values.items()
            }
        )
        texts = {"unassessed": pl.Series(why, dtype=pl.String), "translated": pl.Series(by, dtype=pl.String)}
        return frame.with_columns(**texts).select([*self.columns(rows.kind)])

    @staticmethod
    def _conversations(rows: Rows, prompt: str, answer: str | None, why: list[str | None]) -> list[Turns]:
        """The conversation to score, one per row."""
        starts = rows.table[prompt].to_pylist()
        answers: list[Any] = rows.table[answer].to_pylist() if answer else [[] for _ in starts]
        conversations: list[Turns] = []
        for place, (turns, more) in enumerate(zip(starts, answers, strict=True)):
            conversation: Turns = tuple((turn["role"], message_text(turn)) for turn in [*turns, *more])
            is_answered = len(conversation) > 1 and conversation[-1][0] == "assistant" and conversation[-1][1].strip()
            if not is_answered:
                why[place] = why[place] or "no answer"
            elif any(role not in _ROLES for role, _ in conversation):
                why[place] = why[place] or "turns"
            conversations.append(conversation)
        return conversations

    def _sources(self, rows: Rows, model: RewardModel, why: list[str | None], context: Context) -> list[str]:
        """The language each row is translated from; empty for rows that are scored directly."""
        known: dict[str, str | None] = {}
        lost: set[str] = set()
        sources: list[str] = []
        for place, language in enumerate(rows.language.to_list()):
            if language not in known:
                known[language] = self._source(language, model, context)
            source = known[language]
            if source is None and why[place] is None:
                why[place] = "language"
                lost.add(language)
            sources.append(source or "")
        for language in sorted(lost):
            message = f"reward: '{self.model}' does not know {language}"
            if self.translator is not None:
                message += f" and '{self.translator}' does not translate it into {self.translate_to}"
            if self.strict:
                raise StepError(f"{message}; use other models, or write 'strict: false' to leave such rows unscored")
            # The same words for every shard, so that they are said once.
            context.warn(f"{message}: its rows are not assessed")
        return sources

    def _source(self, language: str, model: RewardModel, context: Context) -> str | None:
        """The language to translate from; empty to score directly, None if neither is possible."""
        known = model.supports(language)
        if self.translate_to is None or self.translator is None:
            return "" if known else None
        if same_language(language, self.translate_to) or (self.translate == "unsupported" and known):
            return ""
        translator = context.model(self.translator)
        if not isinstance(translator, Translator):
            raise StepError(
                f"reward: '{self.translator}' is not a translator; use one, or translate rows with the step "
                "'translate' first"
            )
        return language if translator.supports(language, self.translate_to) else None

    def _translated(
        self,
        rows: Rows,
        conversations: list[list[Turns]],
        sources: Sequence[str],
        why: list[str | None],
        context: Context,
    ) -> list[str | None]:
        """Replaces what the model cannot read by translations; returns the translator of each row."""
        by: list[str | None] = [None] * len(rows)
        if self.translator is None or self.translate_to is None:
            return by
        translator: Translator = context.model(self.translator)
        asked = rows.prompt_language.to_list()
        places = [place for place, source in enumerate(sources) if source and why[place] is None]
        texts: dict[str, dict[str, None]] = {}
        for place in places:
            for role, content in (turn for side in conversations for turn in side[place]):
                texts.setdefault(sources[place] if role == "assistant" else asked[place], {})[content] = None
        made = {tag: self._into(translator, tag, list(some)) for tag, some in sorted(texts.items())}
        for place in places:
            by[place] = translator.maker(sources[place], self.translate_to)
            for side in conversations:
                new = [
                    (role, made[sources[place] if role == "assistant" else asked[place]][content])
                    for role, content in side[place]
                ]
                if any(text is None for _, text in new):
                    why[place] = "translation"
                side[place] = tuple((role, text or "") for role, text in new)
        return by

    def _into(self, translator: Translator, source: str, texts: Sequence[str]) -> dict[str, str | None]:
        """The translations of texts in a language; None for what cannot be translated. A prompt may be in the model's
        language already."""
        assert self.translate_to is not None
        if same_language(source, self.translate_to):
            return {text: text for text in texts}
        if not translator.supports(source, self.translate_to):
            return dict.fromkeys(texts)
        engine = Sentences(
            translator, source, self.translate_to, protect=PROTECTABLE, limits=Limits(frozenset(), None, None)
        )
        made = engine.translate(prepare(texts, PROTECTABLE, [source] * len(texts)))
        return {text: None if one.problems else one.text for text, one in zip(texts, made, strict=True)}

    def _scores(
        self, model: RewardModel, turns: Sequence[Turns], why: list[str | None], context: Context
    ) -> npt.NDArray[np.float64]:
        """One number per row; NaN if it is not assessed."""
        for place, one in enumerate(turns):
            if why[place] is None and sum(len(content) for _, content in one) > self.max_chars:
                why[place] = "too long"
        places = [place for place, problem in enumerate(why) if problem is None]
        scores = np.full(len(turns), np.nan)
        if places:
            # Text of a row must not be read as a role marker.
            scores[places] = model.score([[(role, disarm(text)) for role, text in turns[place]] for place in places])
        return scores

    # --------------------------------------------------------------------------------------------------------- verdicts
    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        answer = "chosen" if kind is Kind.PREFERENCE else "score"
        reasons: dict[str, pl.Expr] = {}
        if kind is Kind.PREFERENCE and self.reversed == "drop":
            reasons["reversed"] = pl.col("score") < 0
        if kind is Kind.PREFERENCE:
            reasons["small margin"] = pl.col("score") < self.min_margin.expr()
        reasons["reward"] = pl.col(answer) < self.min.expr()
        reasons["too good"] = pl.col(answer) > self.max.expr()
        if self.unassessed == "drop":
            reasons["unassessed"] = pl.col("score").is_null()
        return reasons
