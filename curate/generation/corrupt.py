"""``corrupt``: damages a text at random, word by word, so that a model can be trained to restore it.

Words of scripts without spaces are graphemes here, since no lexicon is asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import exp
from random import Random
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import Field, model_validator

from curate.catalog.params import Share
from curate.data_files import DataFile
from curate.generation.common.derived_rows import derive_rows, in_order, random_numbers, unchanged_rows
from curate.rows import Kind, answer_field, required_columns, unknown_fields
from curate.rows.fields import field_place
from curate.steps import Context, RowBatch, Rows, RowStep
from curate.text.code_blocks import code_blocks
from curate.text.markup import spans
from curate.text.sentences import ABBREVIATIONS
from curate.text.words import tokens

Interval = tuple[int, int]


class Corrupt(RowStep):
    """Damages a field of each row: words move, are left out, replaced by others of the same text, or masked.

    Code, addresses, markup, formulas, numbers with units and placeholders stay as they are. The result depends on the
    dataset's seed and the row only. Score: ``corrupt``, the share of words (0 to 1) that were moved, left out, replaced
    or masked. Attribute: ``corrupt.original``, the text before (of several turns, the last one, which alone is
    damaged). A row in which nothing changed, as in a very short one, stays as it is; a warning counts them.
    """

    tag: ClassVar[str] = "corrupt"
    package_data: ClassVar[tuple[DataFile, ...]] = (ABBREVIATIONS,)
    summary: ClassVar[str] = (
        "a text damaged at random (words moved, left out, replaced, masked), to learn to restore it"
    )

    field: str | None = None
    """The field to damage. Default: the source side of a pair, the text of a document, the prompt of a conversation."""
    shuffle: Annotated[int, Field(ge=0, le=100)] = 0
    """How far a word may move, in words (Lample et al. 2018); 0: not at all."""
    drop: Share = 0.0
    """The share of words left out."""
    replace: Share = 0.0
    """The share of words replaced by another word of the text."""
    mask: Share = 0.0
    """The share of words masked."""
    span: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Mean length of a masked span in words, drawn from a Poisson distribution and at least 1; each span gets one mask
    (Lewis et al. 2020, BART: 3). 0: each word is masked by itself."""
    mask_text: str = "<mask>"
    """The mask; ``{number}`` counts from 0 (``<extra_id_{number}>``)."""

    @model_validator(mode="after")
    def _does_something(self) -> Corrupt:
        if not (self.shuffle or self.drop or self.replace or self.mask):
            raise ValueError("give one of 'shuffle', 'drop', 'replace' and 'mask'; all are 0")
        if self.span and not self.mask:
            raise ValueError("span: needs 'mask', the share of words that are masked")
        return self

    def check(self, kind: Kind) -> list[str]:
        return unknown_fields(kind, [self.field] if self.field else None, "field")

    def languages_after(self, kind: Kind, languages: frozenset[str] | None) -> frozenset[str] | None:
        return languages

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        if not len(rows):
            return
        name = self.field or {Kind.PARALLEL: "source", Kind.SFT: "prompt", Kind.PREFERENCE: "prompt"}.get(
            rows.kind, "prompt" if rows.kind is Kind.UNPAIRED else answer_field(rows.kind)
        )
        texts = [turns[-1] if turns else "" for turns in rows.turns(name).to_list()]
        tags = rows.field_language(name).to_list()
        numbers = random_numbers(context.seed, rows.ids, self.tag, context.draw)
        made = [self.damaged(*one) for one in zip(texts, tags, numbers, strict=True)]
        changed = [place for place, (new, _) in enumerate(made) if new != texts[place]]
        if len(changed) < len(rows):
            context.warn(f"corrupt: nothing changed in {len(rows) - len(changed):,} of {len(rows):,} rows")
        values: dict[str, list[Any]] = {column: [] for column in required_columns(rows.kind)}
        payloads = rows.table.select(list(values)).to_pylist()
        for place in changed:
            row = _with_text(rows.kind, payloads[place], name, made[place][0])
            for column in values:
                values[column].append(row[column])
        new = derive_rows(
            rows.kind,
            rows,
            changed,
            values,
            [rows.language[place] for place in changed],
            step=self.tag,
            scores=[{"score": made[place][1]} for place in changed],
            attributes=[{"original": texts[place]} for place in changed],
        )
        stay = {*range(len(rows))}.difference(changed)
        yield in_order(unchanged_rows(rows), stay, new, changed)

    # -------------------------------------------------------------------------------------------------------- one text
    def damaged(self, text: str, language: str, seed: int) -> tuple[str, float]:
        """A text damaged, and the share of its words that were."""
        found = _free_words(text, language)
        if not found:
            return text, 0.0
        random = Random(seed)
        words: list[str | None] = [text[start:end] for start, end in found]
        gaps = [text[0 : found[0][0]], *(text[one[1] : two[0]] for one, two in pairwise(found)), text[found[-1][1] :]]
        touched = [False] * len(words)
        # A word does not move over protected text: order is changed within runs of words with blanks between them.
        order = self._order(gaps, random)
        moved = [words[place] for place in order]
        touched = [place != old for place, old in enumerate(order)]
        words = list(moved)
        vocabulary = sorted({word for word in words if word})
        for place in _drawn(len(words), self.replace, random):
            if len(vocabulary) > 1:  # another one than its own, which is left out of the count
                other = random.randrange(len(vocabulary) - 1)
                other += other >= bisect_left(vocabulary, words[place] or "")
                words[place], touched[place] = vocabulary[other], True
        for place in _drawn(len(words), self.drop, random):
            words[place], touched[place] = None, True
        self._mask(words, gaps, touched, random)
        return _joined(words, gaps), sum(touched) / len(touched)

    def _order(self, gaps: Sequence[str], random: Random) -> list[int]:
        count = len(gaps) - 1
        if not self.shuffle:
            return list(range(count))
        order: list[int] = []
        start = 0
        for end in range(1, count + 1):
            if end == count or gaps[end].strip():
                keys = [(place + random.uniform(0, self.shuffle + 1), place) for place in range(start, end)]
                order += [place for _, place in sorted(keys)]
                start = end
        return order

    def _mask(self, words: list[str | None], gaps: Sequence[str], touched: list[bool], random: Random) -> None:
        """Masks words or spans. Spans that touch are one; none goes over protected text or a word that is gone."""
        wanted = _rounded(self.mask * len(words), random)
        masked: set[int] = set()
        for start in random.sample(range(len(words)), len(words)) if wanted else ():
            length = max(1, _poisson(self.span, random)) if self.span else 1
            for place in range(start, min(start + length, len(words))):
                if len(masked) == wanted or words[place] is None or (place > start and gaps[place].strip()):
                    break
                masked.add(place)
        number = 0
        for place in sorted(masked):
            touched[place] = True
            if self.span and place - 1 in masked and not gaps[place].strip():
                words[place] = None
            else:
                words[place] = self.mask_text.replace("{number}", str(number))
                number += 1


def _free_words(text: str, language: str) -> list[Interval]:
    """The words outside protected spans, in order."""
    blocked = sorted([*code_blocks([text])[0], *((one.start, one.end) for one in spans(text, language=language))])
    free: list[Interval] = []
    at = 0
    for start, end, _ in tokens(text, language):
        while at < len(blocked) and blocked[at][1] <= start:
            at += 1
        if at >= len(blocked) or blocked[at][0] >= end:
            free.append((start, end))
    return free


def _drawn(count: int, share: float, random: Random) -> list[int]:
    """Places drawn at random: as many as the share says, the rest of a word by chance."""
    return sorted(random.sample(range(count), min(count, _rounded(share * count, random))))


def _rounded(number: float, random: Random) -> int:
    return int(number) + (random.random() < number - int(number))


def _poisson(mean: float, random: Random) -> int:
    """A draw from a Poisson distribution (Knuth, The Art of Computer Programming, vol. 2, 3.4.1)."""
    limit, count, product = exp(-mean), 0, random.random()
    while product > limit:
        count, product = count + 1, product * random.random()
    return count


def _joined(words: Sequence[str | None], gaps: Sequence[str]) -> str:
    """Words with what stands between them; where a word is gone, its blank goes with it."""
    parts = [gaps[0]]
    for word, gap in zip(words, gaps[1:], strict=True):
        if word is None:
            gap = gap.lstrip() if not parts[-1] or parts[-1][-1:].isspace() else gap
        else:
            parts.append(word)
        parts.append(gap)
    return "".join(parts)


def _with_text(kind: Kind, row: dict[str, Any], name: str, text: str) -> dict[str, Any]:
    """The row with another text in the last turn of a field."""
    column, roles = field_place(kind, name)
    if isinstance(row[column], str):
        return {**row, column: text}
    turns = list(row[column])
    last = max(place for place, turn in enumerate(turns) if roles is None or turn["role"] in roles)
    turns[last] = {**turns[last], "content": text}
    return {**row, column: turns}
