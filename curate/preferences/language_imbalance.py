"""``language_imbalance``: prefers the translated answer of a model's dominant language to its direct answer in another
one.

A model's answer in its best language, translated, is mostly better than what it writes in another language. The
candidates are a model's own answers to one item in several languages and their translations, made by the steps before
(``respond`` on parallel prompts, then ``translate: {fields: [response]}``). In every other language the translated
answer of the dominant one is chosen over the direct answer; mirrored, the dominant language's direct answer over the
translated one. Language Imbalance Driven Rewarding, Yang et al. 2024 (arXiv 2410.08964).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from curate.catalog.params import LanguageTag, PerLanguage
from curate.generation.common.derived_rows import all_licenses, derive_rows
from curate.preferences.pair.candidates import TRANSLATE, candidates, last_step
from curate.preferences.pair.merge import PlacedPair, RowIndex, RowView, join_pairs
from curate.preferences.pair.pairless import Pairless
from curate.preferences.pair.rules import CandidatePair, Rule
from curate.rows import Kind
from curate.rows.ids import finish
from curate.rows.languages import base
from curate.steps import Context, DatasetStep, RowBatch, Rows


class LanguageImbalance(DatasetStep):
    """Makes preference rows from the quality gap between a model's dominant language and its others.

    Prompt and language are those of the direct answer. Attributes: ``language_imbalance.side`` (``other``: the
    translated answer is chosen; ``mirrored``: the direct answer in the dominant language is),
    ``language_imbalance.answered_by``, ``language_imbalance.round``. Scores: ``language_imbalance.length_ratio`` and,
    with ``by``, ``language_imbalance.margin``. Parents: the chosen and the rejected row.
    """

    tag: ClassVar[str] = "language_imbalance"
    version: ClassVar[int] = 3
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT})
    summary: ClassVar[str] = "preference rows: the dominant language's answer, translated, over the model's direct one"

    dominant: LanguageTag = "en"
    """The language that the model knows best."""
    mirrored: bool = True
    """Whether to make rows in the dominant language too; they need its answers in other languages, translated into
    it."""
    same_model: bool = True
    """Whether both answers must come from one model; otherwise the pair says something about models too. Answers that
    no model made count as one model's."""
    by: str | None = None
    """A score that must be higher for the chosen answer; by default nothing is compared."""
    min_margin: PerLanguage[Annotated[float, Field(ge=0)]] = PerLanguage(0.0)
    """Minimum difference of that score."""
    max_length_ratio: PerLanguage[Annotated[float, Field(ge=1)]] | None = None
    """Maximum ratio of the lengths of the two answers."""
    per_prompt: PositiveInt = 1
    """Maximum number of pairs per item and language, if there are several answers."""
    round: Annotated[int, Field(ge=1)] = 1
    """The training round. It is recorded, and another round draws other pairs where there is a choice."""

    def makes(self, kind: Kind) -> Kind:
        return Kind.PREFERENCE

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        languages, answered = _origins(rows)
        view = RowView(self.by, self.by is None, self._keys, lambda part: self._sides(part, languages), self.tag)
        index = RowIndex.of(rows, view, context)
        if index.keys and not any(one.translated for entries in index.keys.values() for one in entries):
            context.warn(
                "language_imbalance: no answer is a translation; put "
                f"'translate: {{to: […, {self.dominant}], fields: [response]}}' before it"
            )
        pairs: list[CandidatePair] = []
        pairless = Pairless(self.tag)
        for language, entries in index.prompts(most=64):
            rule = Rule(
                "all" if self.by is None else "best_worst",
                self.by is not None,
                self.min_margin[language] or 0.0,
                most=None,
                max_ratio=None if self.max_length_ratio is None else self.max_length_ratio[language],
                reuse=True,
            )
            good = [
                pair
                for pair in rule.pairs(entries)
                if pair.chosen.translated != pair.rejected.translated and self._same_author(pair, answered)
            ]
            if self.by is None:
                good.sort(key=lambda pair: (self._shuffled(pair.chosen.chance), self._shuffled(pair.rejected.chance)))
            if not good:
                pairless.add(language, entries, rule)
            pairs += good[: self.per_prompt]
        pairless.tell(index, context)
        for part, some in join_pairs(rows, pairs, context):
            yield self._rows(part, some, [answered[one.pair.chosen.place] for one in some])

    def _shuffled(self, chance: int) -> int:
        """Another order for each round: multiplication by an odd number is a permutation of 64-bit numbers."""
        return chance * (2 * self.round - 1) % 2**64

    def _same_author(self, pair: CandidatePair, answered: list[str]) -> bool:
        return not self.same_model or answered[pair.chosen.place] == answered[pair.rejected.place]

    @staticmethod
    def _keys(rows: Rows) -> list[bytes]:
        """Answers to one item in one language compete, whatever their prompt: a translated answer has another
        prompt."""
        begun = hashlib.blake2b(digest_size=16, person=b"curate-imbalance")
        return [
            finish(begun, f"{language}\0{group}".encode())
            for language, group in zip(rows.language.to_list(), rows.table["group_id"].to_pylist(), strict=True)
        ]

    def _sides(self, rows: Rows, languages: dict[str, str]) -> list[tuple[bool, bool]]:
        sides = []
        for language, lineage in zip(rows.language.to_list(), rows.table["lineage"].to_pylist(), strict=True):
            origin = _origin(lineage, languages)
            at_home = base(language) == base(self.dominant)
            if origin is None:  # a direct answer
                sides.append((at_home and self.mirrored, not at_home))
            else:
                sides.append((not at_home and base(origin) == base(self.dominant), at_home and self.mirrored))
        return sides

    def _rows(self, part: Rows, pairs: list[PlacedPair], answered: list[str]) -> pa.Table:
        every, ids = candidates(part), part.ids.to_list()
        licenses = [one["license"] for one in part.table["lineage"].to_pylist()]
        # The direct answer's row has the prompt in this language; a translated answer's row may have it in the other.
        direct = [one.rejected if one.pair.chosen.translated else one.chosen for one in pairs]
        scores, attributes = [], []
        for one, by in zip(pairs, answered, strict=True):
            row_scores = {"length_ratio": round(one.pair.ratio, 4)}
            if not np.isnan(one.pair.chosen.score + one.pair.rejected.score):
                row_scores["margin"] = round(one.pair.margin, 6)
            scores.append(row_scores)
            side = "other" if one.pair.chosen.translated else "mirrored"
            attributes.append({"side": side, "answered_by": by, "round": str(self.round)})
        values: dict[str, Any] = {
            "prompt": [list(every[place].prompt) for place in direct],
            "chosen": [list(every[one.chosen].turns) for one in pairs],
            "rejected": [list(every[one.rejected].turns) for one in pairs],
        }
        return derive_rows(
            Kind.PREFERENCE,
            part,
            [one.chosen for one in pairs],
            values,
            [str(part.language[one.chosen]) for one in pairs],
            step=self.tag,
            more_parents=[[ids[one.rejected]] for one in pairs],
            scores=scores,
            attributes=attributes,
            licenses=[all_licenses(licenses[one.chosen], licenses[one.rejected]) for one in pairs],
        )


def _origins(rows: Iterable[Rows]) -> tuple[dict[str, str], list[str]]:
    """The language of each row by id, and the model that answered each row (before any translation)."""
    languages: dict[str, str] = {}
    answered: list[str] = []
    for part in rows:
        languages.update(zip(part.ids.to_list(), part.language.to_list(), strict=True))
        for lineage in part.table["lineage"].to_pylist():
            by = [maker["model"] for maker in lineage["makers"] if maker["model"] and maker["step"] != TRANSLATE]
            answered.append(by[-1] if by else "")
    return languages, answered


def _origin(lineage: dict[str, Any], languages: dict[str, str]) -> str | None:
    """The language that the answer was translated from; None for a direct answer."""
    if last_step(lineage) != TRANSLATE:
        return None
    return next((languages[parent] for parent in lineage["parents"] if parent in languages), "")
