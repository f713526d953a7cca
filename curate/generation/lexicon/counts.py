"""Counts word pairs of two languages in little memory: words are numbers, pairs are sorted arrays."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.rows import languages
from curate.text.segmentation import UNSPACED
from curate.text.words import Fold, Lexicon, fold_of, is_run, spans, tokens

_NOUNS = frozenset({"de", "lb", "gsw", "nds", "bar", "ksh", "pfl", "frr"})
_DIGIT = regex.compile(r"\p{N}")
_LETTERS = regex.compile(r"\p{L}")
_STOPS = frozenset('.!?…:;\n"“”„«»。！？।؟۔')
ADJACENT, SPACE, APART = 0, 1, 2
"""What comes before a unit: nothing, one space, anything else."""
LONGEST_RUN = 6
"""Maximum length in characters of a word in unspaced text without a lexicon."""


class Vocabulary:
    """The words of one side: their spellings, lookup keys and frequencies."""

    def __init__(self, language: str, lexicon: Lexicon | None) -> None:
        self.language = language
        self.unspaced = any(
            name in UNSPACED and name not in ("Hangul", "Tibetan") for name in languages.letters(language)
        )
        self.lexicon = lexicon
        self.fold: Fold = fold_of(language)
        self.keys: list[str] = []
        self._key_numbers: dict[str, int] = {}
        self._spellings: dict[str, int] = {}
        self._texts: list[str] = []
        self._key_of, self._weight = array("i"), array("q")

    @property
    def by_character(self) -> bool:
        """Whether units are characters, because there is no lexicon."""
        return self.unspaced and not self.lexicon

    def number(self, spelling: str, weight: int = 1) -> int:
        """The number of a spelling."""
        known = self._spellings.get(spelling)
        if known is None:
            key = self.fold(spelling)
            key_number = self._key_numbers.setdefault(key, len(self.keys))
            if key_number == len(self.keys):
                self.keys.append(key)
            known = self._spellings[spelling] = len(self._texts)
            self._texts.append(spelling)
            self._key_of.append(key_number)
            self._weight.append(0)
        self._weight[known] += weight
        return known

    def key(self, spelling: int) -> int:
        """The number of the key of a spelling."""
        return self._key_of[spelling]

    def spelling(self, number: int) -> str:
        """The spelling of that number."""
        return self._texts[number]

    def key_numbers(self, spellings: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """The numbers of the keys of many spellings."""
        return np.array(self._key_of, np.int64)[spellings] if len(spellings) else np.empty(0, np.int64)

    def units(self, text: str) -> list[tuple[int, int]]:
        """The units of a text: the number of the spelling, and what comes before it."""
        units: list[tuple[int, int]] = []
        done, sentence_start = 0, True
        cut = None if self.by_character else self.lexicon
        for start, end, _ in tokens(text, self.language, cut) if self.unspaced else spans(text, self.language):
            gap = text[done:start]
            sentence_start = sentence_start or any(sign in _STOPS for sign in gap)
            before = APART
            if units and (not gap or gap.isspace()) and len(gap) <= 1:
                before = SPACE if gap else ADJACENT
            # A capital at the start of a sentence is no evidence for the word's spelling.
            word = text[start:end]
            weight = 0 if sentence_start and word[:1].isupper() else 1
            units.append((self.number(word, weight), before))
            done, sentence_start = end, False
        return units

    def written(self) -> list[str]:
        """The most frequent spelling of each key."""
        best = [""] * len(self.keys)
        most = [-1] * len(self.keys)
        for spelling, owner, weight in zip(self._texts, self._key_of, self._weight, strict=True):
            # Of equals, the one without capitals, then the first.
            here = (weight << 1) + spelling.islower()
            if here > most[owner]:
                most[owner], best[owner] = here, spelling
        if languages.base(self.language) not in _NOUNS:
            for owner, spelling in enumerate(best):
                if most[owner] <= 1 and spelling[:1].isupper() and not spelling[1:2].isupper():
                    best[owner] = spelling[:1].lower() + spelling[1:]
        return best


class Side(Sequence[Sequence[str]]):
    """One side of many pairs for an aligner: lists of keys, made on demand."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.flat, self.gaps, self.ends = array("i"), array("b"), array("q", [0])

    def add(self, units: Sequence[tuple[int, int]]) -> None:
        self.flat.extend(number for number, _ in units)
        self.gaps.extend(gap for _, gap in units)
        self.ends.append(len(self.flat))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, place: Any) -> Any:
        if not 0 <= place < len(self):
            raise IndexError(place)
        keys, key = self.vocabulary.keys, self.vocabulary.key
        return [keys[key(number)] for number in self.flat[self.ends[place] : self.ends[place + 1]]]

    def __iter__(self) -> Iterator[Sequence[str]]:
        return (self[place] for place in range(len(self)))

    def key_numbers(self) -> npt.NDArray[np.int64]:
        """The key numbers of all units of all pairs."""
        return self.vocabulary.key_numbers(np.array(self.flat, np.int32))

    def spelled(self, place: int) -> list[str]:
        """The units of a pair as they are spelled."""
        return [self.vocabulary.spelling(number) for number in self.flat[self.ends[place] : self.ends[place + 1]]]

    def text(self, place: int, first: int, last: int) -> str | None:
        """Units first to last of a pair as one text; None if anything but a space is between them."""
        begin = self.ends[place]
        text: list[str] = []
        for unit in range(first, last + 1):
            gap = self.gaps[begin + unit]
            if unit > first and gap == APART:
                return None
            text += [" "] if unit > first and gap == SPACE else []
            text.append(self.vocabulary.spelling(self.flat[begin + unit]))
        return "".join(text)

    def phrase(self, place: int, first: int, last: int) -> int | None:
        """The key number of units first to last of a pair as one phrase; None if anything but a space is between
        them."""
        text = self.text(place, first, last)
        return None if text is None else self.vocabulary.key(self.vocabulary.number(text))


class Counts:
    """Pairs of key numbers, their counts, and the first row of each."""

    def __init__(self) -> None:
        self.keys: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self.counts: npt.NDArray[np.float64] = np.empty(0, np.float64)
        self.first: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def add(
        self, left: Sequence[int], right: Sequence[int], rows: Sequence[int], weights: Sequence[float] | None = None
    ) -> None:
        """Adds pairs; ``rows`` has the row of each."""
        keys = (np.asarray(left, np.int64) << 32) | np.asarray(right, np.int64)
        fresh = np.ones(len(keys)) if weights is None else np.asarray(weights, np.float64)
        keys = np.concatenate([self.keys, keys])
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        self.counts = np.bincount(inverse, np.concatenate([self.counts, fresh]), len(unique)).astype(np.float64)
        self.first = np.concatenate([self.first, np.asarray(rows, np.int64)])[first]
        self.keys = unique

    def frame(self) -> pl.DataFrame:
        """``s``, ``t``, ``count``, ``first``."""
        return pl.DataFrame(
            {"s": self.keys >> 32, "t": self.keys & 0xFFFFFFFF, "count": self.counts, "first": self.first}
        )


def components(links: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """The first and last unit on both sides of each group of units that are linked among themselves only.

    Groups with a gap on one side are not phrases and are left out.
    """
    here: dict[int, list[int]] = {}
    there: dict[int, list[int]] = {}
    for i, j in links:
        here.setdefault(i, []).append(j)
        there.setdefault(j, []).append(i)
    seen: set[int] = set()
    for begin in here:
        if begin in seen:
            continue
        left, right, waiting = {begin}, set[int](), [begin]
        while waiting:
            for j in here[waiting.pop()]:
                if j not in right:
                    right.add(j)
                    fresh = [i for i in there[j] if i not in left]
                    left.update(fresh)
                    waiting += fresh
        seen |= left
        if max(left) - min(left) < len(left) and max(right) - min(right) < len(right):
            yield min(left), max(left), min(right), max(right)


def is_word(text: str) -> bool:
    """Whether a text is a word: letters, and no digits (Han characters may be digits)."""
    return bool(_LETTERS.search(text)) and not (_DIGIT.search(text) and not is_run(text))
