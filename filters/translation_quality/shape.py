"""Lengths, scripts, copies and repetition of two texts, computed on whole columns and for every script.

Lengths are counted in Latin letters and divided by the usual ratio of the two languages
(:mod:`curate.text.length_ratio`), so 1 is the expected length for every language pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.rows import languages
from curate.text import segmentation as text
from curate.text.length_ratio import usual_length
from filters.repetition import repetition

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
SMOOTHING = 8.0
LEAST_LETTERS = 12.0
# How far true pairs scatter around the usual ratio: variance of the logarithm = _FLOOR + _PER_LETTER / letters.
_FLOOR, _PER_LETTER = 0.01, 1.2
WINDOW_WORDS, WINDOW_CHARACTERS = 3, 8
_SAYS_SOMETHING = r"(?s)\p{Lo}\p{M}*\p{Lo}|\b\p{Ll}{4,}|(?:\b\p{Ll}{2,}\b.*?){3}"
_NO_MARKS = frozenset({"Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Lana", "Java", "Bali"})
_PRIME = np.uint64(0x100000001B3)


@dataclass(frozen=True)
class Lengths:
    """Length ratios of both sides."""

    ratio: Floats
    """Target over source over the usual ratio; NaN where the texts are too short."""
    deviation: Floats
    """The logarithm of the ratio in standard deviations of true pairs of this length."""
    script: Floats
    """Share (0 to 1) of the target's letters in its language's script; NaN where there are few letters."""


def lengths(
    source: pl.Series, target: pl.Series, tags: tuple[pl.Series, pl.Series], own: Mapping[tuple[str, str], float]
) -> Lengths:
    """Lengths and scripts of both sides.

    Args:
        own: length ratios measured in the data, for languages without a known ratio.
    """
    before = text.letter_weights(source, tags[0])
    counts = text.script_counts(target)
    after = text.letter_weights(target, tags[1], counts)
    first, second = (frame["letters"].to_numpy().astype(np.float64) for frame in (before, after))
    pairs = list(zip(*(side.to_list() for side in tags), strict=True))
    known = {pair: expected(pair, own) for pair in set(pairs)}
    expected_letters = first * np.asarray([known[pair] for pair in pairs], np.float64)
    ratio = (second + SMOOTHING) / (expected_letters + SMOOTHING)
    enough = np.maximum(first, second) >= LEAST_LETTERS
    size = np.maximum((expected_letters + second) / 2, 1.0)
    deviation = np.log(ratio) / np.sqrt(_FLOOR + _PER_LETTER / size)
    share = after["share"].to_numpy().copy()
    # Simplified or traditional is checked by the step `language`; here any Han characters are Chinese.
    chinese = (
        tags[1]
        .is_in([tag for tag in tags[1].unique().to_list() if tag is not None and languages.letters(tag) == ("Han",)])
        .to_numpy()
    )
    if chinese.any():
        han = counts[chinese, 2 + languages.script_names().index("Han")] * 3.0
        share[chinese] = np.divide(han, second[chinese], out=np.full(len(han), np.nan), where=second[chinese] > 0)
    return Lengths(
        np.where(enough, ratio, np.nan),
        np.where(enough, deviation, np.nan),
        np.where(second >= LEAST_LETTERS, share, np.nan),
    )


def expected(pair: tuple[str | None, str | None], own: Mapping[tuple[str, str], float]) -> float:
    """Letters of the second language per letter of the first: the known ratio, or the one measured in the data; NaN
    without a language."""
    if pair[0] is None or pair[1] is None:
        return np.nan
    here, there = usual_length(pair[0]), usual_length(pair[1])
    if here is None or there is None:
        return own.get((pair[0], pair[1]), (there or 1.0) / (here or 1.0))
    return there / here


def has_marks(tag: str) -> bool:
    """Whether a language ends its sentences with punctuation marks."""
    return languages.script(tag) not in _NO_MARKS


def sentence_counts(split: tuple[pl.Series, pl.Series], marks: Flags) -> tuple[Floats, Floats]:
    """The number of sentences with letters on both sides; NaN where a side's language writes no marks."""
    counts = []
    for pieces in split:
        count = pieces.list.eval(pl.element().str.contains(r"\p{L}\p{M}*\p{L}|[\p{Han}\p{Hangul}]")).list.sum()
        counts.append(np.where(marks, count.fill_null(0).to_numpy().astype(np.float64), np.nan))
    return counts[0], counts[1]


# --------------------------------------------------------------------------------------------------------------- copies
def copied(source: pl.Series, target: pl.Series, comparable: Flags) -> tuple[Floats, Floats]:
    """The share (0 to 1) of the target's units that occur in the source in the same order, and the reverse.

    Units are words (characters in unspaced scripts); a sequence of three words, or eight characters, that is the same
    on both sides counts as copied. A shorter text counts as one sequence if it has two words. Numbers do not count. NaN
    for a source of names only (no word of four lower-case letters and no three of two, in scripts that have them),
    which is rightly copied, and where the languages are not comparable.
    """
    shares = [np.full(len(source), np.nan), np.full(len(source), np.nan)]
    at = np.flatnonzero(comparable & source.str.contains(_SAYS_SOMETHING).fill_null(False).to_numpy())
    if not len(at):
        return shares[0], shares[1]
    units = [text.units(side.gather(at).fill_null("").str.replace_all(r"\p{N}+", " ")) for side in (target, source)]
    keys, starts, sizes, _rows = zip(*(_sequences(side) for side in units), strict=True)
    for number in (0, 1):
        there = pl.Series(keys[number]).is_in(pl.Series(keys[1 - number]).implode()).to_numpy()
        counts = np.diff(units[number].offsets)
        change = np.zeros(len(units[number].hashes) + 1, np.int64)
        np.add.at(change, starts[number][there], 1)
        np.add.at(change, starts[number][there] + sizes[number][there], -1)
        covered = text.row_sums(np.cumsum(change[:-1]) > 0, units[number].offsets).astype(np.float64)
        share = np.divide(covered, counts, out=np.full(len(counts), np.nan), where=counts >= 2)
        shares[number][at] = share
    return shares[0], shares[1]


def _sequences(
    units: text.Units,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Key, start, size and row of every sequence; keys of different rows differ."""
    counts = np.diff(units.offsets)
    size = np.minimum(np.where(units.singles * 2 > counts, WINDOW_CHARACTERS, WINDOW_WORDS), np.maximum(counts, 1))
    rows = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(units.hashes)) - units.offsets[rows]
    fits = (position + size[rows] <= counts[rows]) & (counts[rows] >= 2)
    starts = np.flatnonzero(fits)
    rows = rows[starts]
    longest = int(size.max(initial=1))
    padded = np.concatenate([units.hashes, np.zeros(longest, np.uint64)])
    mixed = np.zeros(len(starts), np.uint64)
    with np.errstate(over="ignore"):
        for step in range(longest):
            mixed = np.where(step < size[rows], mixed * _PRIME + padded[starts + step], mixed)
        keys = text.scramble(mixed ^ text.scramble(rows.astype(np.uint64) + np.uint64(1)))
    return keys, starts, size[rows], rows


def are_comparable(tags: tuple[Sequence[str | None], Sequence[str | None]]) -> Flags:
    """Where a copy would be a fault: the two sides are in different languages."""
    known: dict[tuple[str | None, str | None], bool] = {}
    for pair in set(zip(*tags, strict=True)):
        one, other = pair
        known[pair] = (
            one is not None
            and other is not None
            and languages.UNKNOWN not in pair
            and not (
                languages.base(one) == languages.base(other)
                or languages.accepts(one, other)
                or {languages.base(one), languages.base(other)} <= {"zh", "yue", "wuu", "lzh"}
            )
        )
    return np.asarray([known[pair] for pair in zip(*tags, strict=True)], bool)


# ---------------------------------------------------------------------------------------------------------------- loops
def loops(source: pl.Series, target: pl.Series) -> tuple[Floats, Floats]:
    """How often the target repeats one piece in succession, over how often the source does (at least 1); and its share
    of repetition, less the source's."""
    before, after = repetition(source.fill_null("")), repetition(target.fill_null(""))
    times = after["loop"].to_numpy() / np.maximum(before["loop"].to_numpy(), 1.0)
    share = after["repetition"].to_numpy() - before["repetition"].to_numpy()
    return np.maximum(times, 1.0), np.maximum(share, 0.0)
