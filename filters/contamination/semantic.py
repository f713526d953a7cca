"""Translations and paraphrases of items: near in meaning, nearer than other items, of similar length, with the same
numbers.

The cosine alone also connects similar questions about one subject. A small logistic model combines it with the ratio
margin (Artetxe and Schwenk 2019), the lengths, the numbers and the rare words in common; what it finds likely enough is
compared word by word. Differing numbers rule a hit out.
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
from filters.contamination import left_out, word_coverage
from filters.contamination.code import description, is_program
from filters.contamination.normalize import without_markers
from filters.contamination.question_type import ask_differently, question_types
from filters.contamination.word_coverage import tokens
from filters.duplicates import mismatch_veto

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

FLOOR = 0.4
"""Lower cosines are never a hit."""
DOUBTFUL = 0.2
"""Pairs with a higher sentence-level probability are also compared word by word."""
FEATURES = ("cosine", "margin", "length", "common numbers", "missing numbers", "other numbers", "names")
WORD_FEATURES = (
    *FEATURES,
    *word_coverage.FEATURES,
    *left_out.FEATURES,
    "same question type",
    "same language",
    "information",
)
""":data:`FEATURES` and those of the comparison word by word."""
# Words that carry information, each counted by its rarity, of which more say nothing.
_ENOUGH = 6.0
_NEAREST = 9
_USUAL_MARGIN = 1.8
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
class MeaningMatch:
    """The item that a passage is most likely a translation of."""

    item: int
    """Its row in the item table."""
    cosine: float
    margin: float
    score: float
    """The probability that it is a translation, by the logistic model (0 to 1)."""
    passage: Passage


def passages(row: int, field: str, language: str, one: str, most: int) -> list[Passage]:
    """The parts of a text that may be an item: the whole, its lines, and the questions in them, at most ``most``; and
    what a program in it is to do."""
    places: dict[tuple[int, int], None] = {}
    ends = _trimmed(one, 0, len(one))
    if ends is None:
        return []
    places[ends] = None
    told = description(one) if is_program(one) else ""
    lines = [place for match in _LINE.finditer(one) if (place := _trimmed(one, *match.span())) is not None]
    if len(lines) <= 4 * most:
        places.update(dict.fromkeys(lines))
        for start, end in lines:
            for match in _SENTENCE.finditer(one, start, end):
                place = _trimmed(one, *match.span())
                if place is not None and _QUESTION.search(one[slice(*place)]):
                    places[place] = None
    # The whole first, then the last parts: the question is usually there.
    order = [ends, *sorted((place for place in places if place != ends), key=lambda place: -place[0])]
    found = [Passage(row, field, language, start, end, one[start:end]) for start, end in order[:most]]
    return [Passage(row, field, language, *ends, told), *found] if told else found


def _trimmed(one: str, start: int, end: int) -> tuple[int, int] | None:
    part = one[start:end]
    start, end = start + len(part) - len(part.lstrip()), end - (len(part) - len(part.rstrip()))
    return (start, end) if end > start else None


Candidate = tuple[Passage, int, Floats, bool]
"""A passage, the number of a vector near it, :data:`FEATURES`, whether numbers differ."""
WEIGHTS = DataFile("filters.contamination", "data/contamination_weights.yaml")


@cache
def _weights() -> Mapping[str, Any]:
    return dict(WEIGHTS.yaml())


def likelihood(features: Floats, stage: str = "sentence") -> Floats:
    """The probability of each row of :data:`FEATURES`; in the stage ``words``, of :data:`WORD_FEATURES`; in the stages
    ``code`` and ``code alone``, of :data:`filters.contamination.code_index.FEATURES`."""
    weights = _weights()[stage]
    z = ((features - np.array(weights["mean"])) / np.array(weights["deviation"])) @ np.array(
        weights["weight"]
    ) + weights["bias"]
    chance: Floats = 1 / (1 + np.exp(-np.clip(z, -40, 40)))
    return chance


class MeaningIndex:
    """The items that have a vector, prepared for comparison."""

    def __init__(self, items: pa.Table) -> None:
        column = items["vector"].combine_chunks()
        self.places = np.flatnonzero(np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool))
        flat = column.drop_null()
        width = len(flat[0]) if len(flat) else 1
        self.vectors: Vectors = np.asarray(flat.flatten().to_numpy(), np.float32).reshape(-1, width)
        texts = items["text"].take(pa.array(self.places)).to_pylist()
        self.languages = items["language"].take(pa.array(self.places)).to_pylist()
        keys = list(zip(items["benchmark"].to_pylist(), items["item"].to_pylist(), strict=True))
        self.keys = [keys[place] for place in self.places.tolist()]
        """Benchmark and item of each vector."""
        programs = {key for key, code in zip(keys, items["code"].to_pylist(), strict=True) if code is not None}
        self.is_program = [key in programs for key in self.keys]
        self.lengths = _lengths(texts)
        self.numbers = _numbers(texts)
        self.spelled = [_spelled(one, tag) for one, tag in zip(texts, self.languages, strict=True)]
        self.texts = texts
        self.question_types = [question_types(one, tag) for one, tag in zip(texts, self.languages, strict=True)]
        self.words = [_words(one) for one in texts]
        self._spoken = Counter(word for one in texts for word in tokens(one)[0])
        self._often = Counter(word for words in self.words for word in words)
        self.shortest = float(self.lengths.min(initial=np.inf)) / 3
        self.longest = float(self.lengths.max(initial=0)) * 3

    def __len__(self) -> int:
        return len(self.places)

    def candidates(self, parts: Sequence[Passage], encoder: Encoder) -> list[Candidate]:
        """All passages near an item."""
        if not parts or not len(self):
            return []
        lengths = _lengths([one.text for one in parts])
        usable = np.flatnonzero((lengths >= self.shortest) & (lengths <= self.longest))
        candidates: list[Candidate] = []
        for begin in range(0, len(usable), _BLOCK):
            block = usable[begin : begin + _BLOCK]
            some = [parts[number] for number in block.tolist()]
            vectors = encoder.encode([one.text for one in some])
            # Rounded, because a product's last bits depend on the batch.
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
                        candidates.append((one, item, features, differ))
        return candidates

    def rarity(self, word: str) -> float:
        """How few items have a word (0 to 1)."""
        return 1 - float(np.log(self._spoken.get(word, 1)) / np.log(len(self) + 2))

    def word_by_word(self, candidates: Sequence[tuple[Passage, int, Floats]], encoder: Encoder) -> Floats:
        """:data:`WORD_FEATURES` of some candidates."""
        pairs = [(one.text, self.texts[item]) for one, item, _ in candidates]
        about = []
        for one, item, _ in candidates:
            asked = self.question_types[item] & question_types(one.text, one.language)
            same = base(self.languages[item]) == base(one.language)
            information = sum(0.1 + self.rarity(word) for word in tokens(self.texts[item])[0])
            about.append([float(bool(asked)), float(same), min(_ENOUGH, information)])
        return np.hstack(
            [
                np.stack([features for _, _, features in candidates]),
                word_coverage.compare(pairs, self.rarity, encoder.encode),
                left_out.compare(pairs, encoder.encode),
                np.array(about),
            ]
        )

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
        # The same question in another benchmark does not count as a neighbour.
        others = others[self.vectors[others] @ self.vectors[item] < _SAME][: _NEAREST - 5]
        # Of few items there are no neighbours to be nearer than: the rest is as far as usual.
        around = float(np.mean([*row[others], *[row[item] / _USUAL_MARGIN] * (_NEAREST - 5 - len(others))]))
        mine = self.numbers[item]
        long = [{one for one in each if len(one) > 1} for each in (mine, digits)]
        # Only across languages: there shared words are names and loans.
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

    def best(self, candidates: Sequence[Candidate], encoder: Encoder, *, distinct: bool) -> dict[int, MeaningMatch]:
        """The likeliest item of each row that comes near one.

        Args:
            distinct: rule out items with other numbers.
        """
        candidates = [
            one
            for one in candidates
            # What a program is to do is asked for in many ways: only its code tells (code_index).
            if not self.is_program[one[1]]
            and not ask_differently(self.question_types[one[1]], question_types(one[0].text, one[0].language))
        ]
        if distinct:
            # Discard a passage if a passage nearer to the same item has other numbers.
            out: dict[tuple[int, int], float] = {}
            for passage, item, features, differ in candidates:
                if differ:
                    key = (passage.row, item)
                    out[key] = max(out.get(key, 0.0), float(features[0]))
            candidates = [one for one in candidates if not one[3] and one[2][0] > out.get((one[0].row, one[1]), 0.0)]
        if not candidates:
            return {}
        chances = np.round(likelihood(np.stack([features for _, _, features, _ in candidates])), 4)
        near = np.flatnonzero(chances >= DOUBTFUL)
        if len(near):
            closer = self.word_by_word([candidates[at][:3] for at in near.tolist()], encoder)
            chances[near] = np.round(likelihood(closer, "words"), 4)
        best: dict[int, MeaningMatch] = {}
        for (passage, item, features, _), chance in zip(candidates, chances.tolist(), strict=True):
            known = best.get(passage.row)
            if known is None or chance > known.score:
                best[passage.row] = MeaningMatch(
                    int(self.places[item]), float(features[0]), float(features[1]), chance, passage
                )
        return best


def _lengths(texts: Sequence[str]) -> Floats:
    lengths: Floats = np.maximum(1.0, text.letter_weights(pl.Series(texts, dtype=pl.String))["letters"].to_numpy())
    return lengths


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
    """The digits of each text, number by number, without list markers: 80 000 is one number, and 8万 is 80000."""
    plain = [_MYRIAD.sub(lambda match: _TIMES[match[1]], _GROUPED.sub("", without_markers(one))) for one in texts]
    return [Counter(one.split()) for one in mismatch_veto.digits(pl.Series(plain, dtype=pl.String))]


def _differ(mine: Counter[str], theirs: Counter[str], spelled: Counter[str] | None) -> bool:
    """Whether one text has numbers that replace the other's, or only the item has some.

    A translation may spell out numbers that the item writes with digits, and the other way round. Where the item's
    spelled-out numbers are known, additional numbers are a difference too.
    """
    other = theirs - mine
    if bool(mine - theirs) and (bool(other) or (not theirs and mine.total() > 1)):
        return True
    return spelled is not None and bool(mine or spelled) and bool(other - spelled - Counter({"1": 99}))


# Numbers that English sums spell out; half and twice are often a 2 in other languages.
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
    """The numbers that a text spells out; None where they are unknown for its language."""
    if base(language) != "en":
        return None
    numbers: Counter[str] = Counter()
    for word in regex.findall(r"[a-z]+", one.casefold()):
        if word in _SPELLED:
            # Counted twice, because a word may give its number more than once, as in two-thirds (2/3).
            numbers[_SPELLED[word]] += 2
    return numbers


def _words(one: str) -> frozenset[str]:
    return frozenset(word.casefold()[:6] for word in _WORD.findall(one))
