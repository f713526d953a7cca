"""Detects near-duplicate instructions by character n-grams, which work in every script.

The measure is the Dice coefficient of the sets of character n-grams of the normalised texts (NFKC, case folded, Arabic
and Hebrew points dropped; letters, marks and digits only, whitespace collapsed): ``2·|A∩B| / (|A|+|B|)``, 1 for equal
sets. n is 2 for Han, kana, Hangul and the other scripts written without spaces, and 4 for the rest, so that an n-gram
is part of a word everywhere. Self-Instruct (Wang et al. 2023) used ROUGE-L over words split at spaces, for which a
Chinese sentence is one word. Texts that are equal after normalising are found whatever the limit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.text.segmentation import UNSPACED, scramble, strip_marks

Grams = npt.NDArray[np.uint32]
_KEPT = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_SHORT, _LONG = 2, 4
_LONGEST = 20_000


@cache
def _unspaced() -> regex.Pattern[str]:
    return regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in UNSPACED) + "]")


def normalized(text: str) -> str:
    """The normalised text: letters, marks and digits, with single spaces between runs; at most 20,000 characters."""
    kept = " ".join(_KEPT.findall(unicodedata.normalize("NFKC", text[:_LONGEST]).casefold()))
    return kept if kept.isascii() else str(strip_marks(pl.Series([kept]))[0])


def grams(text: str) -> Grams:
    """The n-grams of a text: a sorted array of 32-bit hashes, each once; empty if the text has no letters or digits."""
    return _grams(normalized(text))


def _grams(plain: str) -> Grams:
    if not plain:
        return np.zeros(0, np.uint32)
    # A space at both ends: the start of a word gets an n-gram of its own, and the shortest text has one.
    points = np.frombuffer(f" {plain} ".encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    if plain.isascii() or not _unspaced().search(plain):
        return np.unique(_rolled(points, min(_LONG, len(points)), None))
    single = np.frombuffer(f" {_unspaced().sub(chr(1), plain)} ".encode("utf-32-le", "replace"), np.uint32) == 1
    parts = [_rolled(points, _LONG, ~_any_within(single, _LONG)), _rolled(points, _SHORT, _any_within(single, _SHORT))]
    return np.unique(np.concatenate(parts))


def _any_within(flags: npt.NDArray[np.bool_], n: int) -> npt.NDArray[np.bool_]:
    """Whether any of the n characters from each place on is flagged."""
    count = len(flags) - n + 1
    if count <= 0:
        return np.zeros(0, np.bool_)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(flags, n).any(axis=1), np.bool_)


def _rolled(points: npt.NDArray[np.uint64], n: int, keep: npt.NDArray[np.bool_] | None) -> Grams:
    count = len(points) - n + 1
    if count <= 0:
        return np.zeros(0, np.uint32)
    mixed = np.zeros(count, np.uint64)
    for offset in range(n):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + points[offset : offset + count] + np.uint64(1)
    hashed = (scramble(mixed + np.uint64(n)) >> np.uint64(32)).astype(np.uint32)
    return hashed if keep is None else hashed[keep]


def dice(left: Grams, right: Grams) -> float:
    """``2·|A∩B| / (|A|+|B|)``, in [0, 1]; 0 if either is empty."""
    if not len(left) or not len(right):
        return 0.0
    return 2 * len(np.intersect1d(left, right, assume_unique=True)) / (len(left) + len(right))


class Overlaps:
    """Compares one set with many at once, by an index from n-grams to sets."""

    def __init__(self, sets: Sequence[Grams]) -> None:
        self.sets = sets
        self._sizes = np.array([len(one) for one in sets], np.int64)
        every = np.concatenate([*sets, np.zeros(0, np.uint32)])
        order = np.argsort(every, kind="stable")
        self._grams = every[order]
        self._places = np.repeat(np.arange(len(sets), dtype=np.int32), self._sizes)[order]

    def dice(self, one: Grams) -> npt.NDArray[np.float64]:
        """The :func:`dice` of one set with each of them."""
        first, last = (np.searchsorted(self._grams, one, side=side) for side in ("left", "right"))
        hits = [self._places[start:end] for start, end in zip(first, last, strict=True) if end > start]
        shared = np.bincount(np.concatenate([*hits, np.zeros(0, np.int32)]), minlength=len(self._sizes))
        return 2 * shared / np.maximum(1, self._sizes + len(one))


@dataclass(frozen=True)
class Near:
    """The most similar known text."""

    id: str
    similarity: float


class Known:
    """The known texts, searchable by similarity.

    They are kept in blocks that double in size, so that adding is cheap and a search costs time by the n-grams that
    texts share, not by the number of texts: about 1 ms beside 10,000 instructions, 4 ms beside 45,000.
    """

    def __init__(self, limit: float) -> None:
        """Searches for similarities of ``limit`` (0 to 1) or more."""
        self._limit = limit
        self._ids: list[str] = []
        self._exact: dict[str, int] = {}
        self._blocks: list[Overlaps] = []
        self._waiting: list[Grams] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, text: str, name: str) -> None:
        """Adds a text under a name; one without letters or digits is only compared exactly."""
        plain = normalized(text)
        self._exact.setdefault(plain or text.strip(), len(self._ids))
        self._ids.append(name)
        self._waiting.append(_grams(plain))

    def nearest(self, text: str) -> Near | None:
        """The most similar text within the limit (or equal after normalising), the earliest of equals."""
        plain = normalized(text)
        same = self._exact.get(plain or text.strip())
        if same is not None:
            return Near(self._ids[same], 1.0)
        query = _grams(plain)
        if not len(query) or self._limit >= 1:
            return None
        self._index_pending()
        best: Near | None = None
        start = 0
        for block in self._blocks:
            similarities = block.dice(query)
            place = int(similarities.argmax())
            if similarities[place] >= self._limit and (best is None or similarities[place] > best.similarity):
                best = Near(self._ids[start + place], float(similarities[place]))
            start += len(similarities)
        return best

    def _index_pending(self) -> None:
        """Indexes added texts as a block, merged with blocks that are no larger."""
        if self._waiting:
            sets = self._waiting
            self._waiting = []
            while self._blocks and len(self._blocks[-1].sets) <= len(sets):
                sets = [*self._blocks.pop().sets, *sets]
            self._blocks.append(Overlaps(sets))
