"""``align``: finds which words of a sentence pair are translations of each other, and keeps them with the pair.

The aligner gets all pairs of two languages at once (a statistical one learns from them). Words of scripts without
spaces are those of a dictionary, as in ``lexicon``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa

from curate.catalog.params import AlignerName, RowsName
from curate.data_files import DataFile
from curate.generation.common.derived_rows import derive_rows, with_remarks
from curate.generation.lexicon.counts import Side, Vocabulary, components, is_word
from curate.generation.lexicon.pairs import Pair, aligner_for, entries_of, language_pairs, rows_of
from curate.rows import Kind
from curate.steps import Context, DatasetStep, RowBatch, Rows
from curate.steps.models import Aligner, Alignment
from curate.text.sentences import ABBREVIATIONS
from curate.text.words import Lexicon

_CHUNK = 500_000
"""Sentence pairs aligned at a time; a statistical aligner learns from each chunk by itself."""


class Align(DatasetStep):
    """Links the words of each sentence pair that are translations of each other.

    With ``into: attributes`` a pair keeps its texts and scores, and gets the attributes ``align.source_words`` and
    ``align.target_words`` (its words with spaces between them), ``align.links`` (``0-0 1-2``: places of linked words,
    from 0, as in Pharaoh's format) and ``align.scores`` (of each link, 0 to 1), and the scores ``align`` (their mean)
    and ``align.linked`` (share of words with a link). With ``into: rows`` each link becomes a row with the two words as
    source and target, the sentences as attributes ``align.source`` and ``align.target``, and the score ``align`` of the
    link; with a dictionary also ``align.in_dictionary`` (``true`` or ``false``). A statistical aligner is sure of words
    that it saw once or twice, so its scores say less of these.
    """

    tag: ClassVar[str] = "align"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS,)
    summary: ClassVar[str] = "links between the words of sentence pairs, as attributes or as rows of two words"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.PARALLEL})

    model: AlignerName = "systran-align"
    """The word aligner."""
    dictionary: RowsName | None = None
    """Parallel rows whose entries (in either direction) the aligner gets too. For languages written without spaces they
    also define the words; without them only characters can be aligned."""
    into: Literal["attributes", "rows"] = "attributes"
    """Where links go. As ``rows``, words linked among themselves are one phrase if they are neighbours; numbers, words
    that are the same on both sides, and repetitions in a pair make no row."""

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        """Yields the rows of one language pair after another, each in their order.

        Raises:
            StepError: the dictionary has rows of another kind, or the model is no aligner.
        """
        for pair in language_pairs(rows):
            yield from _Aligned(self, pair, context).made(rows)


class _Aligned:
    """The rows of one language pair with their links."""

    def __init__(self, step: Align, pair: Pair, context: Context) -> None:
        self.step, self.pair, self.context = step, pair, context
        found = [] if step.dictionary is None else entries_of(pair, step.dictionary, step.tag, context)
        self.entries = [(source, target) for _, source, target in found]
        sides = zip(pair, ([one[side] for one in self.entries] for side in (0, 1)), strict=True)
        self.left, self.right = (Vocabulary(language, Lexicon(words)) for language, words in sides)
        self.listed = {self._folded(*entry) for entry in self.entries}
        self.missed: Counter[str] = Counter()

    def made(self, rows: Iterable[Rows]) -> Iterator[pa.Table]:
        aligner = aligner_for(self.step.tag, self.step.model, (self.left, self.right), self.context)
        # The rows are read twice, so that a chunk's sentences need not be held besides its words.
        again = rows_of(self.pair, rows)
        here, there, tables = Side(self.left), Side(self.right), 0
        for table in rows_of(self.pair, rows):
            self._add(here, there, zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True))
            tables += 1
            if len(here) >= _CHUNK:
                yield from self._chunk(aligner, here, there, (next(again) for _ in range(tables)))
                here, there, tables = Side(self.left), Side(self.right), 0
        yield from self._chunk(aligner, here, there, again)
        for what, count in sorted(self.missed.items()):
            self.context.warn(f"align: {count:,} {what} ({'-'.join(self.pair)})")

    def _add(self, here: Side, there: Side, texts: Iterable[tuple[str, str]]) -> None:
        for source, target in texts:
            here.add(self.left.units(source))
            there.add(self.right.units(target))

    def _chunk(self, aligner: Aligner, here: Side, there: Side, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        if not len(here):
            return
        self._add(here, there, self.entries)
        alignments = aligner.align(here, there)
        start = 0
        for table in tables:
            mine = alignments[start : start + table.num_rows]
            for number, one in enumerate(mine, start):
                self.missed["pairs have no word on one side"] += not here[number] or not there[number]
                self.missed["pairs have words but no link"] += bool(here[number] and there[number] and not one.links)
            part = Rows(Kind.PARALLEL, table.drop_columns(["place"]))
            write = self._with_links if self.step.into == "attributes" else self._link_rows
            yield write(part, mine, here, there, start)
            start += table.num_rows
            self.context.advance(0)
        self.missed = +self.missed

    def _with_links(self, part: Rows, found: Sequence[Alignment], here: Side, there: Side, start: int) -> pa.Table:
        scores: list[dict[str, float]] = []
        attributes: list[dict[str, str]] = []
        for number, one in enumerate(found, start):
            sides = (here.spelled(number), there.spelled(number))
            linked = sum(len({link[side] for link in one.links}) for side in (0, 1))
            scores.append(
                {"score": float(np.mean(one.scores)), "linked": linked / sum(map(len, sides))} if one.links else {}
            )
            attributes.append(
                {
                    "source_words": " ".join(sides[0]),
                    "target_words": " ".join(sides[1]),
                    "links": " ".join(f"{i}-{j}" for i, j in one.links),
                    "scores": " ".join(f"{score:.3f}" for score in one.scores),
                }
            )
        model = self.context.model_name(self.step.model)
        return with_remarks(part, step=self.step.tag, model=model, scores=scores, attributes=attributes)

    def _link_rows(self, part: Rows, found: Sequence[Alignment], here: Side, there: Side, start: int) -> pa.Table:
        texts = (part.table["source"].to_pylist(), part.table["target"].to_pylist())
        places, words, scores = list[int](), list[tuple[str, str]](), list[float]()
        for place, one in enumerate(found):
            for (source, target), score in self._phrases(one, here, there, start + place).items():
                places.append(place)
                words.append((source, target))
                scores.append(score)
        values: dict[str, list[Any]] = {
            "source_language": [self.pair[0]] * len(places),
            "source": [source for source, _ in words],
            "target": [target for _, target in words],
        }
        return derive_rows(
            Kind.PARALLEL,
            part,
            places,
            values,
            [self.pair[1]] * len(places),
            step=self.step.tag,
            model=self.context.model_name(self.step.model),
            scores=[{"score": score} for score in scores],
            attributes=[
                {"source": texts[0][place], "target": texts[1][place], **self._listed(*pair)}
                for place, pair in zip(places, words, strict=True)
            ],
        )

    def _listed(self, source: str, target: str) -> dict[str, str]:
        """Whether the dictionary, if there is one, has two words."""
        if self.step.dictionary is None:
            return {}
        return {"in_dictionary": str(self._folded(source, target) in self.listed).lower()}

    def _folded(self, source: str, target: str) -> tuple[str, str]:
        return self.left.fold(source), self.right.fold(target)

    def _phrases(self, found: Alignment, here: Side, there: Side, number: int) -> dict[tuple[str, str], float]:
        """Words or phrases of a pair that are linked to each other only, with the mean score of their links."""
        score_of = dict(zip(found.links, found.scores, strict=True))
        phrases: dict[tuple[str, str], float] = {}
        used = 0
        for i, k, j, m in components(found.links):
            inside = [link for link in found.links if i <= link[0] <= k and j <= link[1] <= m]
            used += len(inside)
            source, target = here.text(number, i, k), there.text(number, j, m)
            if source is None or target is None:
                self.missed["links are between words that are no neighbours and make no row"] += len(inside)
            elif not (is_word(source) and is_word(target)) or self.left.fold(source) == self.right.fold(target):
                self.missed["links of numbers or of equal words make no row"] += len(inside)
            else:
                phrases.setdefault((source, target), float(np.mean([score_of[link] for link in inside])))
        if gaps := len(found.links) - used:
            self.missed["links are between words that are no neighbours and make no row"] += gaps
        return phrases


__all__ = ["Align"]
