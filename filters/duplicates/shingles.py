"""Shingles: overlapping sequences of graphemes (a letter with all its marks is one, in every script).

The length of a shingle depends on the script of its first grapheme: a Chinese character carries as much as a word of
three letters. Whitespace is ignored, so no word boundaries are needed. A text has as many shingles as graphemes: those
at its end are shorter, and a text of one grapheme has one. All operations work on whole columns.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.rows import languages
from curate.text import segmentation as text

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

ALPHABETIC = 5
# Shorter where a grapheme carries more (syllables, words); Thai and similar scripts write words of two to four
# graphemes with marks.
SIZES: Mapping[str, int] = MappingProxyType(
    {
        "Han": 3,
        "Hiragana": 3,
        "Katakana": 3,
        "Bopomofo": 3,
        "Hangul": 3,
        "Yi": 3,
        "Ethiopic": 3,
        "Vai": 3,
        "Cherokee": 3,
        "Canadian_Aboriginal": 3,
        "Cuneiform": 3,
        "Egyptian_Hieroglyphs": 3,
        **dict.fromkeys(
            (
                "Thai",
                "Lao",
                "Khmer",
                "Myanmar",
                "Tibetan",
                "Devanagari",
                "Bengali",
                "Gurmukhi",
                "Gujarati",
                "Oriya",
                "Tamil",
                "Telugu",
                "Kannada",
                "Malayalam",
                "Sinhala",
                "Javanese",
                "Balinese",
            ),
            4,
        ),
    }
)
_LONGEST = 8
# Characters at a time that stay in the processor's cache.
_BATCH = 1 << 16
_CODE_POINTS = sys.maxunicode + 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Shingles:
    """The shingles of many texts, repetitions included."""

    hashes: Hashes
    """64 bits a shingle, all texts concatenated, in reading order."""
    offsets: Places
    """Where each text's shingles begin (n+1)."""

    def joined(self, others: list[Shingles]) -> Shingles:
        """The shingles of several fields of each row together; those of different fields are never equal."""
        every = [self, *others]
        if len(every) == 1:
            return self
        counts = np.stack([np.diff(one.offsets) for one in every])
        offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=0))]).astype(np.int64)
        hashes = np.empty(offsets[-1], np.uint64)
        before = np.cumsum(counts, axis=0) - counts
        for number, one in enumerate(every):
            at = np.repeat(offsets[:-1] + before[number] - one.offsets[:-1], counts[number]) + np.arange(
                len(one.hashes)
            )
            hashes[at] = text.scramble(one.hashes + np.uint64(number)) if number else one.hashes
        return Shingles(hashes, offsets)


@cache
def _extends() -> npt.NDArray[np.bool_]:
    """Code points that extend the grapheme before them (Grapheme_Cluster_Break Extend, SpacingMark, ZWJ)."""
    everything = "".join(map(chr, (*range(0xD800), *range(0xE000, _CODE_POINTS))))
    points = np.frombuffer(everything.encode("utf-32-le"), np.uint32)
    table = np.zeros(_CODE_POINTS, bool)
    for match in regex.finditer(r"[\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}]+", everything):
        table[points[match.start() : match.end()]] = True
    return table


@cache
def _pictures() -> npt.NDArray[np.bool_]:
    """Code points that a joiner merges with the pictograph before them (Extended_Pictographic)."""
    table = np.zeros(_CODE_POINTS, bool)
    everything = "".join(map(chr, (*range(0xA0, 0xD800), *range(0xE000, 0x20000))))
    for match in regex.finditer(r"\p{Extended_Pictographic}", everything):
        table[ord(match[0])] = True
    return table


@lru_cache(maxsize=4)
def _sizes(overrides: tuple[tuple[str, int], ...]) -> npt.NDArray[np.uint8]:
    """The shingle length for each code point that begins one."""
    chosen = {**SIZES, **{name: size for name, size in overrides if name != "default"}}
    usual = dict(overrides).get("default", ALPHABETIC)
    by_script = np.full(2 + len(languages.script_names()), usual, np.uint8)
    for number, name in enumerate(languages.script_names(), 2):
        by_script[number] = chosen.get(name, usual)
    return by_script[text.script_table()]


def check_sizes(sizes: Mapping[str, int]) -> list[str]:
    """What is wrong with sizes by script."""
    known = {*languages.script_names(), "default"}
    return [
        *(
            f"shingle: unknown script '{name}'; write its Unicode name, such as Latin or Han, or default"
            for name in sizes
            if name not in known
        ),
        *(
            f"shingle: {name}: {size} is not between 1 and {_LONGEST}"
            for name, size in sizes.items()
            if not 1 <= size <= _LONGEST
        ),
    ]


def shingles(texts: pl.Series, sizes: Mapping[str, int] = MappingProxyType({})) -> Shingles:
    """The shingles of each text; an empty text has none.

    Args:
        texts: normal forms; whitespace in them is skipped.
        sizes: graphemes in a shingle, by Unicode name of a script; ``default`` is for all scripts not named.
    """
    chosen = tuple(sorted(sizes.items()))
    hashes: list[Hashes] = [np.zeros(0, np.uint64)]
    counts: list[Places] = [np.zeros(1, np.int64)]
    for batch in text.batches(texts, _BATCH):
        hashed, count = _of_batch(batch, chosen)
        hashes.append(hashed)
        counts.append(count)
    return Shingles(np.concatenate(hashes), np.cumsum(np.concatenate(counts)))


def _of_batch(texts: pl.Series, sizes: tuple[tuple[str, int], ...]) -> tuple[Hashes, Places]:
    """The hashes of a batch of texts, and how many each text has."""
    points, offsets = text.code_points(texts)
    rows = len(texts)
    if not len(points):
        return np.zeros(0, np.uint64), np.zeros(rows, np.int64)
    blank = _blank()[points]
    if blank.any():
        seen = np.concatenate([[0], np.cumsum(~blank)])
        points, offsets = points[~blank], seen[offsets]
    units = points.astype(np.uint64) + np.uint64(1)
    bases = points
    clings = _extends()[points]
    if clings.any():
        begins = ~clings
        begins[1:] &= (points[:-1] != 0x200D) | ~_pictures()[
            points[1:]
        ]  # pictographs joined by a joiner are one grapheme
        begins[offsets[:-1][np.diff(offsets) > 0]] = True
        starts = np.flatnonzero(begins)
        # A grapheme of several code points: hash each with its position, so that the order of marks counts.
        within = np.arange(len(points)) - np.repeat(starts, np.diff(np.append(starts, len(points))))
        mixed = np.where(within > 0, text.scramble(units * _GOLDEN + within.astype(np.uint64)), units)
        units = np.add.reduceat(mixed, starts) if len(starts) else units[:0]
        bases, offsets = points[starts], np.searchsorted(starts, offsets)
    lengths = np.diff(offsets)
    if not len(units):
        return np.zeros(0, np.uint64), lengths.astype(np.int64)
    size = _sizes(sizes)[bases]
    longest = int(size.max())
    # Zeros between the texts stand for graphemes beyond their ends.
    places = np.arange(len(units)) + np.repeat(np.arange(rows) * (longest - 1), lengths)
    padded = np.zeros(int(places[-1]) + longest, np.uint64)
    padded[places] = units
    whole = len(padded) - longest + 1
    hashes = np.empty(len(units), np.uint64)
    hashed, shifted = np.zeros(whole, np.uint64), np.empty(whole, np.uint64)
    with np.errstate(over="ignore"):
        for number in range(longest):
            hashed ^= padded[number : number + whole]
            hashed *= _GOLDEN
            np.right_shift(hashed, np.uint64(29), out=shifted)
            hashed ^= shifted
            ready = size == number + 1
            if ready.all():
                hashes = hashed[places]
            elif ready.any():
                hashes[ready] = hashed[places[ready]]
    return text.scramble(hashes), lengths.astype(np.int64)


@cache
def _blank() -> npt.NDArray[np.bool_]:
    table = np.zeros(_CODE_POINTS, bool)
    table[[point for point in range(0x3001) if chr(point).isspace()]] = True
    return table


def jaccard(flat: Shingles, left: Places, right: Places) -> npt.NDArray[np.float64]:
    """The exact Jaccard similarity of the sets of shingles of pairs of texts; 1 for two texts without any.

    Args:
        flat: the shingles of the texts.
        left: the first text of each pair, an index into the texts.
        right: the second.
    """
    result = np.empty(len(left), np.float64)
    counts = np.diff(flat.offsets)
    ends = np.cumsum(counts[left] + counts[right])
    start = 0
    while start < len(left):
        done = ends[start - 1] if start else 0
        end = min(len(left), max(start + 1, int(np.searchsorted(ends, done + _AT_ONCE, "right"))), start + (1 << 22))
        result[start:end] = _jaccard(flat, counts, left[start:end], right[start:end])
        start = end
    return result


_AT_ONCE = 8_000_000
# 42 bits of the hash and 22 of the pair: two shingles of a pair collide once in 10^12 times.
_BITS = np.uint64(42)


def _jaccard(flat: Shingles, counts: Places, left: Places, right: Places) -> npt.NDArray[np.float64]:
    pairs = len(left)
    sizes, keys = [], []
    for side in (left, right):
        count = counts[side]
        owner = np.repeat(np.arange(pairs, dtype=np.uint64), count)
        first = np.cumsum(count) - count
        at = np.repeat(flat.offsets[side] - first, count) + np.arange(len(owner))
        key = np.sort((owner << _BITS) | (flat.hashes[at] >> np.uint64(22)))
        key = key[np.concatenate([[True], key[1:] != key[:-1]])] if len(key) else key
        sizes.append(np.bincount((key >> _BITS).astype(np.int64), minlength=pairs))
        keys.append(key)
    both = np.sort(np.concatenate(keys), kind="stable")
    common = both[1:][both[1:] == both[:-1]]
    shared = np.bincount((common >> _BITS).astype(np.int64), minlength=pairs).astype(np.float64)
    union = sizes[0] + sizes[1] - shared
    return np.divide(shared, union, out=np.ones(pairs), where=union > 0)
