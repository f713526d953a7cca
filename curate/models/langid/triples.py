"""Letters of languages: which triples of letters are how much more frequent in a language than in all of its script.

The data have the most distinctive triples of each language, with a logarithm, and the mean over ordinary texts in it
(``usual``); ``benchmarks/language_unknown.py fit`` counts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curate.models.langid import language_data as data

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
BUCKETS = 1 << 15
STEP = 0.25
"""Unit of the values in the data."""
_CHARS = 400
_BLANK = ord(" ")
_SHORT = 40
_MOST_AGAINST = 20.0


class Found(NamedTuple):
    """The triples of letters of some texts."""

    buckets: Ints
    own: Ints
    """For each triple the place of its text."""
    numbers: Ints
    """For each text the number of its triples."""


def find_triples(texts: Sequence[Sequence[str]]) -> Found:
    """All triples of letters in texts, given as words.

    A word begins and ends with a blank; no triple spans two words.
    """
    lines = [f" {' '.join(words)[:_CHARS]} " for words in texts]
    sizes = np.fromiter(map(len, lines), np.int64, len(lines))
    points = np.frombuffer("".join(lines).encode("utf-32-le", "surrogatepass"), np.uint32)
    if len(points) < 3:
        return Found(*(np.zeros(size, np.int64) for size in (0, 0, len(texts))))
    own = np.repeat(np.arange(len(lines)), sizes)[:-2]
    inside = (points[1:-1] != _BLANK) & (own == np.repeat(np.arange(len(lines)), sizes)[2:])
    own = own[inside]
    return Found(
        bucket(points[:-2], points[1:-1], points[2:])[inside],
        own,
        np.bincount(own, minlength=len(texts)).astype(np.int64),
    )


def bucket(first: npt.NDArray[np.uint32], second: npt.NDArray[np.uint32], third: npt.NDArray[np.uint32]) -> Ints:
    """The bucket of each triple of code points, a hash."""
    mixed = first * np.uint32(0x9E3779B1) + second * np.uint32(0x85EBCA77) + third * np.uint32(0xC2B2AE3D)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    buckets: Ints = (mixed >> np.uint32(17)).astype(np.int64)
    return buckets


class Triples:
    """What triples of letters are usual in each language."""

    def __init__(self, languages: Mapping[str, Mapping[str, Any]]) -> None:
        self._row = {tag: row for row, tag in enumerate(languages)}
        self._usual = np.asarray([one["usual"] for one in languages.values()], np.float32)
        self._values = np.empty((len(languages), BUCKETS), np.int8)
        for row, one in enumerate(languages.values()):
            self._values[row] = one["absent"]
            for level, letters in one["triples"].items():
                points = np.frombuffer(letters.encode("utf-32-le"), np.uint32).reshape(-1, 3)
                self._values[row, bucket(points[:, 0], points[:, 1], points[:, 2])] = int(level)

    def __contains__(self, tag: str) -> bool:
        return tag in self._row

    def oddness(self, found: Found, tags: Sequence[str]) -> Floats:
        """How much rarer the triples of each text are than usual in a language.

        Args:
            tags: the language of each text; 0 for one of which there are no triples.
        """
        rows = np.asarray([self._row.get(tag, -1) for tag in tags], np.int64)
        own = rows[found.own]
        values = np.where(own >= 0, self._values[own, found.buckets], 0)
        sums = np.bincount(found.own, values, minlength=len(tags))
        means = STEP * sums / np.maximum(found.numbers, 1)
        return np.where(rows >= 0, self._usual[rows] - means, 0.0).astype(np.float32)

    def support(self, found: Found, tags: Sequence[str], scores: Floats) -> Floats:
        """What the triples of short texts say for each language, the best at 0; 0 for texts of over eight words or so.

        In a long text the identifiers have enough to go by. A language without triples gets the mean of the others.

        Args:
            tags: the languages, the columns of ``scores``.
            scores: (B, L), -inf for a language that is no candidate.
        """
        added = np.zeros_like(scores)
        rows = np.asarray([self._row.get(tag, -1) for tag in tags], np.int64)
        possible = np.isfinite(scores) & (rows >= 0)
        ends = np.cumsum(found.numbers)
        for text in np.flatnonzero((found.numbers > 0) & (found.numbers <= _SHORT)).tolist():
            candidates = np.flatnonzero(possible[text])
            if len(candidates) > 1:
                mine = found.buckets[ends[text] - found.numbers[text] : ends[text]]
                sums = STEP * self._values[rows[candidates][:, None], mine].sum(axis=1, dtype=np.float32)
                sums = np.maximum(sums - sums.max(), -_MOST_AGAINST)
                added[text] = sums.mean()
                added[text, candidates] = sums
        return added


@cache
def shipped() -> Triples:
    """The triples of the shipped data."""
    return Triples(data.triples()["languages"])
