"""MinHash with locality-sensitive hashing: finds candidate pairs, then verifies them by their exact similarity.

A signature (MinHash, Broder 1997) is a few hundred numbers; two signatures agree in about as many as the texts share
shingles. Bands of r numbers (Leskovec et al., *Mining of Massive Datasets*, ch. 3) select the pairs worth comparing:
two texts of Jaccard similarity s share a band with probability 1 - (1 - s^r)^b. Signatures, keys and texts are in
files; a part of the keys of one band and some candidates are held in memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curate.errors import StepError
from curate.text import segmentation as text
from filters.duplicates import edits
from filters.duplicates.files import Files
from filters.duplicates.shingles import Shingles, jaccard, shingles

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Signatures = npt.NDArray[np.uint16]
Measure = Literal["jaccard", "edits"]

SEED = 42
# The library returns lists of Python integers; small batches stay in the processor's cache.
_ROWS = 128
# Bands are chosen for this probability to share one at the threshold; above the threshold it quickly reaches 1.
_MEET = 0.94
# If more rows share a band, each is compared only with this many neighbours in the order of signatures.
CROWD, _NEIGHBOURS = 128, 32
# Candidates that are held at once, and those of them whose signatures are compared at once: they stay in the cache.
_PAIRS, _COMPARED = 1 << 22, 1 << 11
_CHUNK = 1 << 16
# Bytes of text that are compared at once.
_BYTES = 1 << 22
# Bytes that sorting a text by its key in a band takes.
_SORT = 48
_ESTIMATE = 4.0
# Bands that are compared at once with the earlier ones.
_BANDS = 16
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF, _LOWER = np.uint64(32), np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows and their similarity."""

    left: Places
    right: Places
    similarity: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.left)

    @classmethod
    def joined(cls, parts: list[Pairs]) -> Pairs:
        """All pairs of the parts."""
        empty = cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        every = [empty, *parts]
        return cls(*(np.concatenate([getattr(one, name) for one in every]) for name in ("left", "right", "similarity")))


def bands(similarity: float, num_perm: int, most: int = 1) -> tuple[int, int]:
    """(bands, numbers a band): the longest bands that two texts of this similarity share with a probability of 94 %.

    0.8 gives 16 bands of 8 of 128 numbers, 0.5 gives 42 of 3. With ``most`` above 1 the numbers are shuffled and cut
    that many times: the same signature gives more bands, which may be longer, and far fewer rows are compared in vain.
    """
    for rows in range(min(num_perm, 64), 1, -1):
        count = num_perm // rows * most
        if 1 - (1 - similarity**rows) ** count >= _MEET:
            return count, rows
    return num_perm, 1


def min_jaccard(similarity: float, measure: Measure) -> float:
    """The Jaccard similarity down to which pairs must be compared.

    For ``edits`` it is the share of five-character shingles that survives scattered changes, two thirds as many as
    allowed: p = s^5 on each side, and p / (2 - p) of all. (Changes that cluster leave far more.)
    """
    if measure == "jaccard":
        return similarity
    left: float = (1 - (1 - similarity) * 2 / 3) ** 5
    return left / (2 - left)


def signatures(flat: Shingles, num_perm: int) -> Signatures:
    """A signature of each row's set of shingles, shape (rows, num_perm): the lower 16 bits of each minimum hash, which
    agree by chance once in 65,536 times.

    Raises:
        StepError: rensa is not installed.
    """
    try:
        from rensa import RMinHash
    except ImportError:
        raise StepError("method: minhash needs a package: pip install 'rensa>=0.5,<0.6'") from None
    rows = len(flat.offsets) - 1
    made = np.empty((rows, num_perm), np.uint16)
    for start in range(0, rows, _ROWS):
        offsets = flat.offsets[start : start + _ROWS + 1]
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            flat.hashes[offsets[0] : offsets[-1]], (offsets - offsets[0]).astype(np.uint64), num_perm, SEED
        )
        numbers = b"".join(array("I", row) for row in matrix.to_rows())  # numpy takes twice as long
        made[start : start + len(offsets) - 1] = np.frombuffer(numbers, np.uintc).reshape(-1, num_perm)
    return made


def band_keys(numbers: Hashes, block: Hashes) -> Hashes:
    """A key of each row for one band: equal where the band's numbers and the block are equal.

    Args:
        numbers: those of the band, shape (width, rows).
    """
    keys = block
    with np.errstate(over="ignore"):
        for start in range(0, len(numbers), 4):
            four = numbers[start].copy()
            for place, one in enumerate(numbers[start + 1 : start + 4], 1):
                four |= one << np.uint64(16 * place)
            keys = text.scramble(keys * _GOLDEN + four)
    return keys


# ----------------------------------------------------------------------------------------------------------- candidates
@dataclass(frozen=True)
class BandTable:
    """All texts to be compared, by number, with what is on disk for each."""

    signatures: Signatures
    """Of all rows."""
    texts: tuple[pa.Array, ...]
    """The normal form of each field of all rows."""
    rows: Places
    """The row of each text, among signatures and texts."""
    block: Hashes
    """The block of each row: only texts of the same block are compared."""
    bands: int
    width: int
    """Numbers in a band."""
    files: Files
    fixed: npt.NDArray[np.bool_] | None = None
    """Rows that need no comparison among themselves (an existing version)."""
    numbers: tuple[Hashes, Hashes] | None = None
    """Digest and count of each row's numbers: texts with as many, but others, are not compared."""
    crowded: dict[int, list[np.uint64]] = field(default_factory=dict)
    """Band → keys of the buckets in which not every pair was compared; filled during the search."""

    @cached_property
    def positions(self) -> Places:
        """The positions in a signature that make each band, shape (bands, width)."""
        whole = self.signatures.shape[1]
        each = whole // self.width
        turns = range(-(-self.bands // each))
        orders = [np.random.default_rng(turn).permutation(whole) if turn else np.arange(whole) for turn in turns]
        return np.concatenate([one[: each * self.width].reshape(each, self.width) for one in orders])[: self.bands]

    def write_keys(self, bands: range, keys: Hashes) -> None:
        """Writes the keys of some bands to an array of shape (bands, texts)."""
        for start in range(0, len(self.rows), _COMPARED):
            part = slice(start, start + _COMPARED)
            rows = self.rows[part]
            made, block = self.signatures[rows].T.astype(np.uint64), self.block[rows]
            for number, band in enumerate(bands):
                keys[number, part] = band_keys(made[self.positions[band]], block)


def candidates(table: BandTable) -> Iterator[tuple[int, Hashes]]:
    """(band, pairs) that share a band, in chunks; a pair may share several. A pair is one number: the text that comes
    first in its upper half, the other in its lower one."""
    texts = len(table.rows)
    at_once = int(np.clip(table.files.memory // (8 * max(1, texts)), 1, table.bands))
    keys = table.files.array("keys", (at_once, texts), np.uint64)
    parts = max(1, -(-texts * _SORT // table.files.memory))
    for first in range(0, table.bands, at_once):
        some = range(first, min(table.bands, first + at_once))
        table.write_keys(some, keys)
        for number, band in enumerate(some):
            for part in range(parts):
                members = np.arange(texts) if parts == 1 else _members(keys[number], part, parts)
                yield from ((band, piece) for piece in _meetings(band, keys[number][members], members, table))
        table.files.release()


def _members(keys: Hashes, part: int, parts: int) -> Places:
    """The texts with keys in a part of all of them."""
    starts = range(0, len(keys), _CHUNK)
    return np.concatenate([np.flatnonzero(keys[at : at + _CHUNK] % np.uint64(parts) == part) + at for at in starts])


def _meetings(band: int, keys: Hashes, members: Places, table: BandTable) -> Iterator[Hashes]:
    order = np.argsort(keys)
    keys, order = keys[order], members[order]
    new = np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, bool)
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(keys)))
    several = sizes > 1
    starts, sizes = starts[several], sizes[several]
    usual = sizes <= CROWD
    pairs = sizes * (sizes - 1) // 2
    total = np.cumsum(np.where(usual, pairs, 0))
    begin = 0
    while begin < len(starts):
        done = total[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(total, done + _PAIRS // 4, "right")))
        at, size = starts[begin:end][usual[begin:end]], sizes[begin:end][usual[begin:end]]
        yield from _kept(*_all_pairs(at, size, order), table)
        begin = end
    for start, size in zip(starts[~usual].tolist(), sizes[~usual].tolist(), strict=True):
        table.crowded.setdefault(band, []).append(keys[start])
        yield from _crowd_pairs(order[start : start + size], table)


def _all_pairs(starts: Places, sizes: Places, order: Places) -> tuple[Places, Places]:
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes):
        at = starts[sizes == size]
        first, second = np.triu_indices(int(size), 1)
        left.append(order[(at[:, None] + first).ravel()])
        right.append(order[(at[:, None] + second).ravel()])
    return np.concatenate(left), np.concatenate(right)


def _crowd_pairs(crowd: Places, table: BandTable) -> Iterator[Hashes]:
    """Pairs of a large bucket: each text with its next ones in the order of signatures, and with the first ones."""
    crowd = np.sort(crowd)
    rows = table.rows[crowd]
    # Two orders by content, texts with the same numbers beside each other: independent of the order of the data, and
    # few similar texts are far apart in both.
    whole = np.arange(table.signatures.shape[1])
    for turned in (whole, np.roll(whole, len(whole) // 2)):
        made = table.signatures[rows][:, turned[:24]]
        numbers = () if table.numbers is None else (table.numbers[0][rows],)
        ranked = crowd[np.lexsort((crowd, *made.T[::-1], *numbers))]
        for step in range(1, _NEIGHBOURS // 2 + 1):
            yield from _kept(ranked[:-step], ranked[step:], table)
    for one in crowd[: _NEIGHBOURS // 4].tolist():
        others = crowd[crowd != one]
        yield from _kept(np.full(len(others), one), others, table)


def _kept(left: Places, right: Places, table: BandTable) -> Iterator[Hashes]:
    needed = np.ones(len(left), bool)
    if table.fixed is not None or table.numbers is not None:
        one, other = table.rows[left], table.rows[right]
        if table.fixed is not None:
            needed &= ~(table.fixed[one] & table.fixed[other])
        if table.numbers is not None:
            digest, count = table.numbers
            needed &= (digest[one] == digest[other]) | (count[one] != count[other])
        left, right = left[needed], right[needed]
    if len(left):
        yield (np.minimum(left, right).astype(np.uint64) << _HALF) | np.maximum(left, right).astype(np.uint64)


# --------------------------------------------------------------------------------------------------------- verification
Veto = Callable[[Places, Places], npt.NDArray[np.bool_]]


def similar_pairs(
    table: BandTable, similarity: float, measure: Measure, sizes: Mapping[str, int], veto: Veto | None = None
) -> Iterator[Pairs]:
    """All candidate pairs whose exact similarity is at least ``similarity`` in every field; a few may come twice.

    Args:
        veto: marks similar pairs that are nevertheless not duplicates.
    """
    left_over = similarity**5
    expected = similarity if measure == "jaccard" else left_over / (2 - left_over)
    # A pair at the threshold is estimated this far below it once in thirty thousand times.
    spare = expected - _ESTIMATE * float(np.sqrt(max(expected * (1 - expected), 1e-4) / table.signatures.shape[1]))
    for pairs in _promising(table, spare):
        left, right = (pairs >> _HALF).astype(np.int64), (pairs & _LOWER).astype(np.int64)
        for start, end in _by_length(table, left, right):
            one, other = left[start:end], right[start:end]
            scores = min_similarity(table.texts, table.rows[one], table.rows[other], measure, sizes, similarity)
            good = np.flatnonzero(scores >= similarity)
            if veto is not None and len(good):
                good = good[~veto(table.rows[one[good]], table.rows[other[good]])]
            yield Pairs(one[good], other[good], scores[good])


def _by_length(table: BandTable, left: Places, right: Places) -> Iterator[tuple[int, int]]:
    """Cuts pairs into runs whose texts are of limited length together."""
    size = np.zeros(len(left), np.int64)
    for one in table.texts:
        ends = np.frombuffer(one.buffers()[1], np.int64)
        for side in (table.rows[left], table.rows[right]):
            size += ends[side + 1] - ends[side]
    total = np.cumsum(size)
    start = 0
    while start < len(left):
        done = total[start - 1] if start else 0
        end = min(start + _CHUNK, max(start + 1, int(np.searchsorted(total, done + _BYTES, "right"))))
        yield start, min(end, len(left))
        start = end


def _promising(table: BandTable, least: float) -> Iterator[Hashes]:
    """The candidates whose signatures agree often enough, once each but for some of large buckets."""
    held: list[Hashes] = []
    waiting = since = 0
    for band, pairs in candidates(table):
        held.append(pairs)
        waiting += len(pairs)
        if waiting >= _PAIRS:
            yield _agreeing(table, since, _once(held), least)
            held, waiting, since = [], 0, band
            table.files.release()
    if held:
        yield _agreeing(table, since, _once(held), least)


def _once(parts: list[Hashes]) -> Hashes:
    """All different numbers, in order."""
    every = np.concatenate(parts)
    every.sort()  # np.unique looks each up in a table, which takes several times as long
    once: Hashes = every[np.concatenate([[True], every[1:] != every[:-1]])]
    return once


def _agreeing(table: BandTable, band: int, pairs: Hashes, least: float) -> Hashes:
    """The pairs whose signatures agree often enough, and that were not compared in a band before this one."""
    new = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), _COMPARED):
        some = pairs[start : start + _COMPARED]
        rows = table.rows[(some >> _HALF).astype(np.int64)]
        agree = table.signatures[rows] == table.signatures[table.rows[(some & _LOWER).astype(np.int64)]]
        good = np.flatnonzero(np.count_nonzero(agree, axis=1) / agree.shape[1] >= least)
        new[start + good] = ~_met(table, band, agree[good], rows[good])
    return pairs[new]


def _met(table: BandTable, band: int, agree: npt.NDArray[np.bool_], rows: Places) -> npt.NDArray[np.bool_]:
    """Which pairs were compared in a band before this one, by where their signatures agree; ``rows``: the left ones."""
    met: npt.NDArray[np.bool_] = np.zeros(len(rows), bool)
    crowded = [earlier for earlier in table.crowded if earlier < band]
    usual = np.setdiff1d(np.arange(band), crowded)
    for start in range(0, len(usual), _BANDS):
        open_ = np.flatnonzero(~met)
        positions = table.positions[usual[start : start + _BANDS]]
        met[open_] = np.any(np.all(agree[open_][:, positions], axis=2), axis=1)
    for earlier in crowded:
        # Not every pair of a crowded bucket was compared.
        again = np.flatnonzero(~met)
        again = again[agree[np.ix_(again, table.positions[earlier])].all(axis=1)]
        at = rows[again]
        numbers = table.signatures[at][:, table.positions[earlier]].T.astype(np.uint64)
        keys = band_keys(numbers, table.block[at])
        met[again] = ~np.isin(keys, np.array(table.crowded[earlier], np.uint64))
    return met


def min_similarity(
    texts: Sequence[pa.Array],
    left: Places,
    right: Places,
    measure: Measure,
    sizes: Mapping[str, int],
    enough: float = 0.0,
) -> npt.NDArray[np.float64]:
    """The similarity of each pair in its least similar field; fields after one below ``enough`` are skipped."""
    similarity = np.ones(len(left))
    for one in texts:
        there = np.flatnonzero(similarity >= enough)
        similarity[there] = np.minimum(
            similarity[there], compare(one, left[there], right[there], measure, sizes, enough)
        )
    return similarity


def compare(
    texts: pa.Array,
    left: Places,
    right: Places,
    measure: Measure,
    sizes: Mapping[str, int],
    enough: float = 0.0,
) -> npt.NDArray[np.float64]:
    """The similarity of the texts of each pair: 1 for two empty texts, 0 for an empty text and another. One below
    ``enough`` is not exact, but below."""
    if not len(left):
        return np.zeros(0)
    rows, at = np.unique(np.concatenate([left, right]), return_inverse=True)
    column = pl.Series("text", texts.take(pa.array(rows)), dtype=pl.String)
    first, second = at[: len(left)], at[len(left) :]
    if measure == "jaccard":
        return jaccard(shingles(column, sizes), first, second)
    return edits.similarity(column, first, second, enough)
