"""A translation or paraphrase of an item is near it in meaning, nearer than other items are, and as long, with the same
numbers.

The cosine alone brings together whatever is asked in one manner about one subject. A small logistic model weighs it
with the ratio margin (Artetxe and Schwenk 2019), the lengths, the numbers and the rare words that both have; numbers
that one has in place of the other's rule a hit out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import regex

from curate.data_files import DataFile
from curate.rows.languages import base
from curate.steps import Encoder
from curate.text import segmentation as text
from filters.contamination.question_type import asked, other_asked
from filters.contamination.word_coverage import compare, tokens
from filters.duplicates import guards

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

FLOOR = 0.4
"""Cosines below are no hit with any weights."""
DOUBTFUL = 0.3
"""What is likelier than that by the sentence is compared word by word."""
FEATURES = ("cosine", "margin", "length", "common numbers", "missing numbers", "other numbers", "names")
_NEAREST = 9
_TRIED = 3
_SAME = 0.9
_BLOCK = 1024
_QUESTION = regex.compile(r"[?？؟;]\s*$|[ๆฯ]?ไหม\s*$")
_LINE = regex.compile(r"[^\n]+")
_SENTENCE = regex.compile(r"[^.!?。！？؟।]+(?:[.!?。！？؟।]+[\"'”’」)]*|$)")
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]{3,}")


@dataclass(frozen=True)
class Passage:
    """A part of a row that may be an item."""

    row: int
    field: str
    language: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Meant:
    """The item that a passage is likeliest a translation of."""

    item: int
    """Its row in the table of items."""
    cosine: float
    margin: float
    score: float
    """How likely it is a translation, by the logistic model (0 to 1)."""
    passage: Passage


def passages(row: int, field: str, language: str, one: str, most: int) -> list[Passage]:
    """The parts of a text that may be an item: the whole, its lines, and in them the questions; no more than
    ``most``."""
    found: dict[tuple[int, int], None] = {}
    ends = _trimmed(one, 0, len(one))
    if ends is None:
        return []
    found[ends] = None
    lines = [place for match in _LINE.finditer(one) if (place := _trimmed(one, *match.span())) is not None]
    if len(lines) <= 4 * most:
        found.update(dict.fromkeys(lines))
        for start, end in lines:
            for match in _SENTENCE.finditer(one, start, end):
                place = _trimmed(one, *match.span())
                if place is not None and _QUESTION.search(one[slice(*place)]):
                    found[place] = None
    # The whole first, then what stands last: there the question is.
    order = [ends, *sorted((place for place in found if place != ends), key=lambda place: -place[0])]
    return [Passage(row, field, language, start, end, one[start:end]) for start, end in order[:most]]


def _trimmed(one: str, start: int, end: int) -> tuple[int, int] | None:
    part = one[start:end]
    start, end = start + len(part) - len(part.lstrip()), end - (len(part) - len(part.rstrip()))
    return (start, end) if end > start else None


WEIGHTS = DataFile("filters.contamination", "data/contamination_weights.yaml")


@cache
def _weights() -> Mapping[str, Any]:
    return dict(WEIGHTS.yaml())


def likelihood(features: Floats, stage: str = "sentence") -> Floats:
    """The probability of each row of :data:`FEATURES`; in the stage ``words``, followed by those of
    :mod:`filters.contamination.word_coverage`."""
    told = _weights()[stage]
    z = ((features - np.array(told["mean"])) / np.array(told["deviation"])) @ np.array(told["weight"]) + told["bias"]
    chance: Floats = 1 / (1 + np.exp(-np.clip(z, -40, 40)))
    return chance


class Meanings:
    """The items that have a vector, ready to be compared with."""

    def __init__(self, items: pa.Table) -> None:
        column = items["vector"].combine_chunks()
        self.places = np.flatnonzero(np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool))
        flat = column.drop_null()
        width = len(flat[0]) if len(flat) else 1
        self.vectors: Vectors = np.asarray(flat.flatten().to_numpy(), np.float32).reshape(-1, width)
        texts = items["text"].take(pa.array(self.places)).to_pylist()
        self.languages = items["language"].take(pa.array(self.places)).to_pylist()
        self.lengths = _lengths(texts)
        self.numbers = _numbers(texts)
        self.spelled = [_spelled(one, tag) for one, tag in zip(texts, self.languages, strict=True)]
        self.texts = texts
        self.asked = [asked(one, tag) for one, tag in zip(texts, self.languages, strict=True)]
        self.words = [_words(one) for one in texts]
        self._spoken = Counter(word for one in texts for word in tokens(one)[0])
        self._often = Counter(word for words in self.words for word in words)
        self.shortest = float(self.lengths.min(initial=np.inf)) / 3
        self.longest = float(self.lengths.max(initial=0)) * 3

    def __len__(self) -> int:
        return len(self.places)

    def candidates(self, found: Sequence[Passage], encoder: Encoder) -> list[tuple[Passage, int, Floats, bool]]:
        """(passage, number of the vector, :data:`FEATURES`, whether numbers differ) of all that come near an item."""
        if not found or not len(self):
            return []
        lengths = _lengths([one.text for one in found])
        usable = np.flatnonzero((lengths >= self.shortest) & (lengths <= self.longest))
        told: list[tuple[Passage, int, Floats, bool]] = []
        for begin in range(0, len(usable), _BLOCK):
            block = usable[begin : begin + _BLOCK]
            some = [found[number] for number in block.tolist()]
            vectors = encoder.encode([one.text for one in some])
            # Rounded, for a product's last bits depend on what is multiplied together.
            cosines = np.round(vectors @ self.vectors.T, 4)
            near = np.flatnonzero(cosines.max(axis=1) >= FLOOR)
            numbers = _numbers([some[place].text for place in near.tolist()])
            for place, digits in zip(near.tolist(), numbers, strict=True):
                one, row = some[place], cosines[place]
                words = _words(one.text)
                best = np.argsort(-row, kind="stable")[: 4 * _NEAREST]
                for item in best[:_TRIED].tolist():
                    if row[item] >= FLOOR:
                        features = self._features(
                            row, best, item, float(lengths[block[place]]), digits, words, one.language
                        )
                        mine = self.numbers[item]
                        differ = _differ(mine, digits, self.spelled[item])
                        told.append((one, item, features, differ))
        return told

    def rarity(self, word: str) -> float:
        """How few items have a word (0 to 1)."""
        return 1 - float(np.log(self._spoken.get(word, 1)) / np.log(len(self) + 2))

    def word_by_word(self, told: Sequence[tuple[Passage, int, Floats]], encoder: Encoder) -> Floats:
        """The features of some candidates, with those of their words."""
        pairs = [(one.text, self.texts[item]) for one, item, _ in told]
        return np.hstack([np.stack([features for _, _, features in told]), compare(pairs, self.rarity, encoder.encode)])

    def _features(
        self,
        row: Vectors,
        best: npt.NDArray[np.int64],
        item: int,
        length: float,
        digits: Counter[str],
        words: frozenset[str],
        language: str,
    ) -> Floats:
        others = best[best != item]
        # The same question in another benchmark is no neighbour to be told apart from.
        others = others[self.vectors[others] @ self.vectors[item] < _SAME][: _NEAREST - 5]
        around = float(row[others].mean()) if len(others) else 0.0
        mine = self.numbers[item]
        long = [{one for one in each if len(one) > 1} for each in (mine, digits)]
        # In one language all words are alike; across two, only names and loans.
        shared = frozenset[str]() if base(self.languages[item]) == base(language) else self.words[item] & words
        rare = sum(min(7.0, float(np.log((len(self) + 1) / self._often[word]))) for word in shared)
        return np.array(
            [
                row[item],
                min(2.5, float(row[item]) / max(0.05, around)),
                abs(float(np.log(length / self.lengths[item]))),
                min(3, len(mine & digits)),
                min(3, len(long[0] - set(digits))),
                min(3, len(long[1] - set(mine))),
                min(15.0, rare) / 5,
            ],
            np.float64,
        )

    def best(self, found: Sequence[Passage], encoder: Encoder, *, distinct: bool) -> dict[int, Meant]:
        """The likeliest item of each row that comes near one.

        Args:
            distinct: rule out items with other numbers.
        """
        told = [
            one
            for one in self.candidates(found, encoder)
            if not other_asked(self.asked[one[1]], asked(one[0].text, one[0].language))
        ]
        if distinct:
            # A part of a text is no item that a larger part is nearer to and differs from in numbers.
            out: dict[tuple[int, int], float] = {}
            for passage, item, features, differ in told:
                if differ:
                    key = (passage.row, item)
                    out[key] = max(out.get(key, 0.0), float(features[0]))
            told = [one for one in told if not one[3] and one[2][0] > out.get((one[0].row, one[1]), 0.0)]
        if not told:
            return {}
        chances = np.round(likelihood(np.stack([features for _, _, features, _ in told])), 4)
        # Of a text in the item's language its words are compared by signs.
        near = [
            at
            for at, (one, item, _, _) in enumerate(told)
            if chances[at] >= DOUBTFUL and base(one.language) != base(self.languages[item])
        ]
        if near:
            closer = self.word_by_word([told[at][:3] for at in near], encoder)
            chances[near] = np.round(likelihood(closer, "words"), 4)
        best: dict[int, Meant] = {}
        for (passage, item, features, _), chance in zip(told, chances.tolist(), strict=True):
            known = best.get(passage.row)
            if known is None or chance > known.score:
                best[passage.row] = Meant(
                    int(self.places[item]), float(features[0]), float(features[1]), chance, passage
                )
        return best


def _lengths(texts: Sequence[str]) -> Floats:
    found: Floats = np.maximum(1.0, text.letter_weights(pl.Series(texts, dtype=pl.String))["letters"].to_numpy())
    return found


_GROUPED = regex.compile(r"(?<=\p{Nd})\s(?=\p{Nd}{3}(?!\p{Nd}))")
_TIMES = {
    "百": "00",
    "千": "000",
    "万": "0000",
    "萬": "0000",
    "만": "0000",
    "億": "00000000",
    "亿": "00000000",
    "억": "00000000",
}
_MYRIAD = regex.compile(rf"(?<=\p{{Nd}})\s?([{''.join(_TIMES)}])")


def _numbers(texts: Sequence[str]) -> list[Counter[str]]:
    """The digits of each text, number by number: 80 000 is one, and 8万 is 80000."""
    plain = [_MYRIAD.sub(lambda match: _TIMES[match[1]], _GROUPED.sub("", one)) for one in texts]
    return [Counter(one.split()) for one in guards.digits(pl.Series(plain, dtype=pl.String))]


def _differ(mine: Counter[str], theirs: Counter[str], spelled: Counter[str] | None) -> bool:
    """Whether one has numbers in place of the other's, or only the item has some. A translation may write with letters
    what the item writes with digits, and the other way round; where it is known what the item spells out, no other
    number may come in either."""
    other = theirs - mine
    if bool(mine - theirs) and (bool(other) or (not theirs and mine.total() > 1)):
        return True
    return spelled is not None and bool(mine or spelled) and bool(other - spelled - Counter({"1": 99}))


# What English sums spell out; half and twice are often a 2 elsewhere.
_SPELLED = {
    **{
        word: str(number)
        for number, word in enumerate(
            [
                "zero",
                "one",
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
                "twelve",
                "thirteen",
                "fourteen",
                "fifteen",
                "sixteen",
                "seventeen",
                "eighteen",
                "nineteen",
                "twenty",
            ]
        )
    },
    **{
        word: str(10 * number)
        for number, word in enumerate(
            ["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred"], 3
        )
    },
    "half": "2",
    "twice": "2",
    "double": "2",
    "pair": "2",
    "pairs": "2",
    "couple": "2",
    "both": "2",
    "third": "3",
    "thirds": "3",
    "triple": "3",
    "thrice": "3",
    "quarter": "4",
    "quarters": "4",
    "fourth": "4",
    "fifth": "5",
    "dozen": "12",
    "week": "7",
    "year": "12",
    "hour": "60",
    "minute": "60",
}


def _spelled(one: str, language: str) -> Counter[str] | None:
    """The numbers that a text writes with letters; None where that is not known of its language."""
    if base(language) != "en":
        return None
    found: Counter[str] = Counter()
    for word in regex.findall(r"[a-z]+", one.casefold()):
        if word in _SPELLED:
            # A word may be said with its number more than once, as in two-thirds (2/3).
            found[_SPELLED[word]] += 2
    return found


def _words(one: str) -> frozenset[str]:
    return frozenset(word.casefold()[:6] for word in _WORD.findall(one))
