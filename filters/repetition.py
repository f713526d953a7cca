"""Repetition and loops: how much of a text consists of repeated long pieces.

Lengths are counted in units, because they depend on the script. A unit is a word where words are separated, and one
character in Han, kana, Hangul, Thai, Lao, Khmer, Myanmar and the other scripts of
:data:`curate.text.segmentation.UNSPACED`. Numbers count as words, punctuation is ignored, and so is case.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.text import segmentation as text

_PRIME = np.uint64(0x100000001B3)
WORDS, CHARACTERS = 8, 16
"""Length of a long piece in units, for texts of words and for texts of characters (8 English words are about 15 Han
characters)."""
LETTERS = 24
"""A long piece of words has at least this many letters, which excludes notes, digits and regular expressions."""
SHORTEST = 4
"""A text shorter than this many long pieces is never repetitive."""
LEAST = 4
"""A loop needs this many units that equal those one period before."""
PERIODS = 100
"""The longest repeated piece, in units, that is searched for loops."""
_MANY = 250_000
"""Texts with more units are processed by themselves, one part at a time."""


def repetition(texts: pl.Series) -> pl.DataFrame:
    """Measures repetition and loops of each text.

    ``repetition``: with n = 8 units for texts that are mostly words and 16 for texts that are mostly single characters,
    the share of units that lie in a window of n units (of at least 24 letters, for words) which already occurred
    earlier in the text. It is the share of the text that would disappear if every long piece were said once. A text
    said twice has 0.5, ten times 0.9; a song with a refrain 0.3 to 0.45. Texts under 4·n units have 0. Measuring
    repeated n-grams follows Rae et al. 2021 (*Gopher*, table A1), where n is 5 to 10 words in every language and the
    first occurrence counts as well.

    ``loop``: how many times in direct succession the most repeated piece of 1 to 100 units occurs; 1 if nothing is
    repeated: ``ha ha ha ha ha`` has 5, a sentence given four times running 4. A piece has at least two letters, so
    eight zeros have 4; fewer than four repeated units (``bye bye``) do not count.
    """
    parts = [pl.DataFrame(schema={"repetition": pl.Float64, "loop": pl.Float64})]
    for batch in text.batches(texts):
        units = text.units(batch)
        if len(batch) == 1 and len(units.hashes) > _MANY:
            share, loop = _one_share(units), _one_loop(units)
        else:
            share, loop = np.zeros(len(batch)), np.ones(len(batch))
            again, some, keys = _with_repeats(units)
            share[again], loop[again] = _repeated_share(some), _longest_loop(some, keys)
        parts.append(pl.DataFrame({"repetition": share.round(4), "loop": loop}))
    return pl.concat(parts)


def _windows(hashes: npt.NDArray[np.uint64], size: npt.NDArray[np.int64] | int) -> npt.NDArray[np.uint64]:
    """A hash of the ``size`` units starting at each unit (at the end: of those left)."""
    longest = int(np.max(size, initial=0))
    mixed = np.zeros(len(hashes), np.uint64)
    for step in range(min(longest, len(hashes))):
        if isinstance(size, int):
            mixed *= _PRIME
            mixed[: len(hashes) - step] += hashes[step:]
        else:
            part = mixed * _PRIME
            part[: len(hashes) - step] += hashes[step:]
            mixed = np.where(step < size, part, mixed)
    return mixed


def _seen_before(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Whether an equal key occurs earlier."""
    return ~pl.Series(keys).is_first_distinct().to_numpy()


def _with_repeats(
    units: text.Units,
) -> tuple[npt.NDArray[np.int64], text.Units, npt.NDArray[np.uint64]]:
    """The texts that have a window of :data:`LEAST` units twice, their units, and the hashes of those windows.

    Any repetition, and any loop, repeats such windows; most texts have none.
    """
    counts = np.diff(units.offsets)
    salt = text.scramble(np.arange(1, len(counts) + 1, dtype=np.uint64))
    keys = text.scramble(_windows(units.hashes, LEAST) ^ np.repeat(salt, counts))
    again = text.row_sums(_seen_before(keys), units.offsets) > 0
    chosen = np.repeat(again, counts)
    offsets = np.concatenate([[0], np.cumsum(counts[again])])
    some = text.Units(units.hashes[chosen], offsets, units.singles[again], units.lengths[chosen])
    return np.flatnonzero(again), some, keys[chosen]


def _repeated_share(units: text.Units) -> npt.NDArray[np.float64]:
    counts = np.diff(units.offsets)
    size = np.where(units.singles * 2 > counts, CHARACTERS, WORDS)
    rows = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(units.hashes)) - units.offsets[rows]
    sizes = size[rows]
    fits = (position + sizes <= counts[rows]) & (counts >= SHORTEST * size)[rows]
    letters = np.concatenate([[0], np.cumsum(units.lengths, dtype=np.int64)])
    ends = np.minimum(np.arange(len(sizes)) + sizes, len(sizes))
    fits &= (sizes == CHARACTERS) | (letters[ends] - letters[:-1] >= LETTERS)
    starts = np.flatnonzero(fits)
    salt = text.scramble(rows[starts].astype(np.uint64) + np.uint64(1))
    again = starts[_seen_before(text.scramble(_windows(units.hashes, sizes)[starts] ^ salt))]
    change = np.zeros(len(units.hashes) + 1, np.int64)
    np.add.at(change, again, 1)
    np.add.at(change, again + sizes[again], -1)
    covered = np.cumsum(change[:-1]) > 0
    return np.divide(
        text.row_sums(covered, units.offsets).astype(np.float64), counts, out=np.zeros(len(counts)), where=counts > 0
    )


def _longest_loop(units: text.Units, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    counts = np.diff(units.offsets)
    rows = np.repeat(np.arange(len(counts)), counts)
    looping, periods = _possible_loops(keys, rows)
    chosen = np.isin(rows, looping)
    hashes, rows, lengths = units.hashes[chosen], rows[chosen], units.lengths[chosen]
    longest = np.ones(len(counts))
    for period in periods:
        same = (hashes[period:] == hashes[:-period]) & (rows[period:] == rows[:-period])
        begins, lasting = _runs(same, lengths, period)
        np.maximum.at(longest, rows[begins], lasting // period + 1.0)
    return longest


def _possible_loops(
    keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], list[int]]:
    """The rows that may have a loop, and the periods that loops may have, from the windows of :data:`LEAST` units.

    What is said twice in succession, p units each time, has p - 3 windows that equal those p before.
    """
    order = np.argsort(keys, kind="stable")
    found = [np.zeros(0, np.int64)]
    # Equal keys are beside each other in this order: first the nearest two, then those with one between them, …
    for step in range(1, PERIODS + 1):
        later, earlier = order[step:], order[:-step]
        near = (keys[later] == keys[earlier]) & (later - earlier <= PERIODS)
        if not near.any():
            break
        found.append(rows[later[near]] * (PERIODS + 1) + (later - earlier)[near])
    pairs, counts = np.unique(np.concatenate(found), return_counts=True)
    enough = pairs[counts > pairs % (PERIODS + 1) - LEAST]
    return np.unique(enough // (PERIODS + 1)), np.unique(enough % (PERIODS + 1)).tolist()


def _runs(
    same: npt.NDArray[np.bool_], lengths: npt.NDArray[np.uint8], period: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where units start to equal those one period before, and for how long, if long enough."""
    if period == 1:
        same &= lengths[1:] > 1
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).view(np.int8)))
    begins, lasting = edges[::2], edges[1::2] - edges[::2]
    return begins[lasting >= LEAST], lasting[lasting >= LEAST]


# ---------------------------------------------------------------------------------------------- one long text by itself
def _repeats(
    keys: npt.NDArray[np.uint64], among: npt.NDArray[np.bool_]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Positions of keys that occurred before, each with its nearest earlier one; one part of all keys at a time."""
    parts = min(-(-len(keys) // _MANY), 2**16)
    part_of = np.zeros(len(keys), np.uint16)
    for start in range(0, len(keys), _MANY):
        part_of[start : start + _MANY] = text.scramble(keys[start : start + _MANY]) % np.uint64(parts)
    for part in range(parts):
        places = np.flatnonzero((part_of == part) & among)
        order = np.argsort(keys[places], kind="stable")
        places = places[order]
        equal = keys[places[1:]] == keys[places[:-1]]
        yield places[1:][equal], places[:-1][equal]


def _one_share(units: text.Units) -> npt.NDArray[np.float64]:
    """:func:`_repeated_share` for a single text, in a quarter of the memory."""
    count = len(units.hashes)
    size = CHARACTERS if units.singles[0] * 2 > count else WORDS
    if count < SHORTEST * size:
        return np.zeros(1)
    keys = _windows(units.hashes, size)[: count - size + 1]
    fits = np.ones(len(keys), bool)
    if size == WORDS:
        letters = np.zeros(len(keys), np.uint8)  # a unit has 20 at most
        for step in range(size):
            letters += units.lengths[step : step + len(keys)]
        fits = letters >= LETTERS
    again = np.zeros(len(keys), bool)
    for later, _ in _repeats(keys, fits):
        again[later] = True
    covered = np.zeros(count, bool)
    for step in range(size):
        covered[step : step + len(keys)] |= again
    return np.array([np.count_nonzero(covered) / count])


def _one_loop(units: text.Units) -> npt.NDArray[np.float64]:
    """:func:`_longest_loop` for a single text, in a quarter of the memory."""
    hashes, longest = units.hashes, 1.0
    keys = _windows(hashes, LEAST)
    if any((later - earlier <= PERIODS).any() for later, earlier in _repeats(keys, np.ones(len(keys), bool))):
        del keys
        for period in range(1, min(PERIODS, len(hashes) - 1) + 1):
            _, lasting = _runs(hashes[period:] == hashes[:-period], units.lengths, period)
            longest = max(longest, int(lasting.max(initial=0)) // period + 1.0)
    return np.array([longest])
