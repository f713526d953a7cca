"""Two instructions are the same if one says little that the other does not, counted in pieces that every script has.

The measure is the Dice coefficient of the sets of character n-grams of the normalised texts (NFKC, case folded, Arabic and
Hebrew points dropped, letters, marks and digits only, blanks collapsed): ``2·|A∩B| / (|A|+|B|)``, 1 for equal sets. n goes by script:
2 for Han, kana, Hangul and the other scripts written without blanks, 4 for the rest, so that a piece is about a word's
part everywhere. Self-Instruct (Wang et al. 2023) used ROUGE-L over words split at blanks, which finds one "word" in a Chinese
sentence. Exactly equal normalised texts are found whatever the limit.
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
    """What is compared: letters, marks and digits in one form, with single blanks between runs; at most 20,000 characters."""
    kept = " ".join(_KEPT.findall(unicodedata.normalize("NFKC", text[:_LONGEST]).casefold()))
    return kept if kept.isascii() else str(strip_marks(pl.Series([kept]))[0])


def grams(text: str) -> Grams:
    """The n-grams of a text: a sorted array of 32-bit hashes, each once; empty if the text has no letters or digits."""
    return _grams(normalized(text))


def _grams(plain: str) -> Grams:
    if not plain:
        return np.zeros(0, np.uint32)
    # A blank at both ends: the start of a word is a piece of its own, and the shortest text has one.
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
    """Sets to compare one other set with, all at once: for each piece the sets that have it."""

    def __init__(self, sets: Sequence[Grams]) -> None:
        self.sets = sets
        self._sizes = np.array([len(one) for one in sets], np.int64)
        every = np.concatenate([*sets, np.zeros(0, np.uint32)])
        order = np.argsort(every, kind="stable")
        self._grams = every[order]
        self._places = np.repeat(np.arange(len(sets), dtype=np.int32), self._sizes)[order]

    def dice(self, one: Grams) -> npt.NDArray[np.float64]:
        """The :func:`dice` of one with each of them."""
        first, last = (np.searchsorted(self._grams, one, side=side) for side in ("left", "right"))
        hits = [self._places[start:end] for start, end in zip(first, last, strict=True) if end > start]
        shared = np.bincount(np.concatenate([*hits, np.zeros(0, np.int32)]), minlength=len(self._sizes))
        return 2 * shared / np.maximum(1, self._sizes + len(one))


@dataclass(frozen=True)
class Near:
    """What is most like a text."""

    id: str
    similarity: float


class Known:
    """The texts there are already, and what each new one is most like among them.

    They lie in blocks that double in size, so that adding is cheap and a look costs the pieces that two texts have in common,
    not the number of texts: about 1 ms beside 10,000 instructions, 4 ms beside 45,000.
    """

    def __init__(self, limit: float) -> None:
        """For similarities of ``limit`` (0 to 1) or more; texts that are less alike are not told."""
        self._limit = limit
        self._ids: list[str] = []
        self._exact: dict[str, int] = {}
        self._blocks: list[Overlaps] = []
        self._waiting: list[Grams] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, text: str, name: str) -> None:
        """Makes a text known under a name; one without letters or digits is known exactly only."""
        plain = normalized(text)
        self._exact.setdefault(plain or text.strip(), len(self._ids))
        self._ids.append(name)
        self._waiting.append(_grams(plain))

    def nearest(self, text: str) -> Near | None:
        """The most similar text that reaches the limit (or is equal after normalising), the earliest of equals."""
        plain = normalized(text)
        same = self._exact.get(plain or text.strip())
        if same is not None:
            return Near(self._ids[same], 1.0)
        wanted = _grams(plain)
        if not len(wanted) or self._limit >= 1:
            return None
        self._settle()
        best: Near | None = None
        start = 0
        for block in self._blocks:
            found = block.dice(wanted)
            place = int(found.argmax())
            if found[place] >= self._limit and (best is None or found[place] > best.similarity):
                best = Near(self._ids[start + place], float(found[place]))
            start += len(found)
        return best

    def _settle(self) -> None:
        """Puts what was added into a block, and blocks that are no larger together."""
        if self._waiting:
            sets = self._waiting
            self._waiting = []
            while self._blocks and len(self._blocks[-1].sets) <= len(sets):
                sets = [*self._blocks.pop().sets, *sets]
            self._blocks.append(Overlaps(sets))
