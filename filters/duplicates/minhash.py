"""MinHash with locality-sensitive hashing: finds candidate pairs, then verifies them by their exact similarity.

A signature (MinHash, Broder 1997) is a few hundred numbers; two signatures agree in about as many as the texts share
shingles. Bands of r numbers (Leskovec et al., *Mining of Massive Datasets*, ch. 3) select the pairs worth comparing:
two texts of Jaccard similarity s share a band with probability 1 - (1 - s^r)^b. Signatures, keys and texts are
memory-mapped; only the keys of one band and the pairs found are held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curate.errors import StepError
from curate.text import segmentation as text
from filters.duplicates import edits
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
_PAIRS = 1 << 21
_CHUNK = 1 << 16
_ESTIMATE = 4.0
# Bands that are compared at once with the earlier ones.
_BANDS = 16


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
        made[start : start + len(offsets) - 1] = np.array(matrix.to_rows(), np.uint32).astype(np.uint16)
    return made


@cache
def _multipliers(rows: int) -> Hashes:
    spread: Hashes = text.scramble(np.arange(1, rows + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(
        1
    )
    return spread


def band_keys(part: Signatures, block: Hashes) -> Hashes:
    """A key of each row for one band: equal where the band's numbers and the block are equal."""
    with np.errstate(over="ignore"):
        # A sum of products with odd numbers is a poor hash by itself; mixed twice it is good.
        mixed = text.scramble(part.astype(np.uint64) + np.uint64(1)) * _multipliers(part.shape[1])
        keys: Hashes = text.scramble(mixed.sum(axis=1, dtype=np.uint64) ^ block)
    return keys


# ----------------------------------------------------------------------------------------------------------- candidates
@dataclass(frozen=True)
class BandTable:
    """All texts to be compared, by number, with what is on disk for each."""

    signatures: Signatures
    """Of all rows, memory-mapped."""
    texts: tuple[pa.Array, ...]
    """The normal form of each field of all rows, memory-mapped."""
    rows: Places
    """The row of each text, among signatures and texts."""
    block: Hashes
    """The block of each text: only texts of the same block are compared."""
    bands: int
    width: int
    """Numbers in a band."""
    fixed: npt.NDArray[np.bool_] | None = None
    """Texts that need no comparison among themselves (an existing version)."""
    numbers: tuple[Hashes, Hashes] | None = None
    """Digest and count of each text's numbers: texts with as many, but others, are not compared."""
    memory: int = 1 << 28
    """Bytes that keys may take."""
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

    def keys(self, bands: range) -> Hashes:
        """The keys of some bands, shape (bands, texts)."""
        keys = np.empty((len(bands), len(self.rows)), np.uint64)
        for start in range(0, len(self.rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            made = self.signatures[self.rows[part]]
            for number, band in enumerate(bands):
                keys[number, part] = band_keys(made[:, self.positions[band]], self.block[part])
        return keys


def candidates(table: BandTable) -> Iterator[tuple[int, Places, Places]]:
    """(band, left, right): the pairs that share a band, left before right, in chunks; a pair may share several."""
    texts = max(1, len(table.rows))
    # 24 bytes a text to sort one band, eight for each band's keys.
    at_once = int(np.clip((table.memory - 24 * texts) // (8 * texts), 1, table.bands))
    for first in range(0, table.bands, at_once):
        some = range(first, min(table.bands, first + at_once))
        for band, keys in zip(some, table.keys(some), strict=True):
            yield from ((band, *piece) for piece in _meetings(band, keys, table))


def _meetings(band: int, keys: Hashes, table: BandTable) -> Iterator[tuple[Places, Places]]:
    order = np.argsort(keys)
    keys = keys[order]
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
        end = max(begin + 1, int(np.searchsorted(total, done + _PAIRS, "right")))
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


def _crowd_pairs(crowd: Places, table: BandTable) -> Iterator[tuple[Places, Places]]:
    """Pairs of a large bucket: each text with its next ones in the order of signatures, and with the first ones."""
    made = np.asarray(table.signatures[table.rows[crowd]])
    # Two orders by content, texts with the same numbers beside each other: independent of the order of the data, and
    # few similar texts are far apart in both.
    half = made.shape[1] // 2
    for turned in (made, np.roll(made, half, axis=1)):
        numbers = () if table.numbers is None else (table.numbers[0][crowd],)
        ranked = crowd[np.lexsort((crowd, *turned[:, : min(24, made.shape[1])].T[::-1], *numbers))]
        for step in range(1, _NEIGHBOURS // 2 + 1):
            yield from _kept(ranked[:-step], ranked[step:], table)
    for one in np.sort(crowd)[: _NEIGHBOURS // 4].tolist():
        others = crowd[crowd != one]
        yield from _kept(np.full(len(others), one), others, table)


def _kept(left: Places, right: Places, table: BandTable) -> Iterator[tuple[Places, Places]]:
    if table.fixed is not None and len(left):
        needed = ~(table.fixed[left] & table.fixed[right])
        left, right = left[needed], right[needed]
    if table.numbers is not None and len(left):
        digest, count = table.numbers
        needed = (digest[left] == digest[right]) | (count[left] != count[right])
        left, right = left[needed], right[needed]
    if len(left):
        yield np.minimum(left, right), np.maximum(left, right)


# --------------------------------------------------------------------------------------------------------- verification
Veto = Callable[[Places, Places], npt.NDArray[np.bool_]]


def similar_pairs(
    table: BandTable, similarity: float, measure: Measure, sizes: Mapping[str, int], veto: Veto | None = None
) -> Pairs:
    """All candidate pairs whose exact similarity is at least ``similarity`` in every field.

    Args:
        veto: marks similar pairs that are nevertheless not duplicates.
    """
    left_over = similarity**5
    expected = similarity if measure == "jaccard" else left_over / (2 - left_over)
    # A pair at the threshold is estimated this far below it once in thirty thousand times.
    spare = expected - _ESTIMATE * float(np.sqrt(max(expected * (1 - expected), 1e-4) / table.signatures.shape[1]))
    parts: list[Pairs] = []
    held: list[Places] = []
    waiting = 0
    for band, left, right in candidates(table):
        for start in range(0, len(left), _CHUNK):
            a, b = left[start : start + _CHUNK], right[start : start + _CHUNK]
            new = _promising(table, band, a, b, spare)
            held.append(np.stack([a[new], b[new]]))
            waiting += int(new.sum())
        if waiting > _PAIRS // 4:
            parts.append(_verify(table, held, similarity, measure, sizes, veto))
            held, waiting = [], 0
    parts.append(_verify(table, held, similarity, measure, sizes, veto))
    return Pairs.joined(parts)


def _promising(table: BandTable, band: int, left: Places, right: Places, least: float) -> npt.NDArray[np.bool_]:
    """The pairs whose signatures agree often enough, and that were not compared in an earlier band."""
    agree = table.signatures[table.rows[left]] == table.signatures[table.rows[right]]
    good = np.flatnonzero(np.count_nonzero(agree, axis=1) / agree.shape[1] >= least)
    met = np.zeros(len(good), bool)
    crowded = [earlier for earlier in table.crowded if earlier < band]
    usual = np.setdiff1d(np.arange(band), crowded)
    for start in range(0, len(usual), _BANDS):
        open_ = np.flatnonzero(~met)
        positions = table.positions[usual[start : start + _BANDS]]
        met[open_] = agree[good[open_]][:, positions].all(axis=2).any(axis=1)
    for earlier in crowded:
        # Not every pair of a crowded bucket was compared.
        again = np.flatnonzero(~met)
        again = again[agree[np.ix_(good[again], table.positions[earlier])].all(axis=1)]
        at = left[good[again]]
        keys = band_keys(table.signatures[table.rows[at]][:, table.positions[earlier]], table.block[at])
        met[again] = ~np.isin(keys, np.array(table.crowded[earlier], np.uint64))
    good = good[~met]
    new = np.zeros(len(left), bool)
    new[good] = True
    return new


def _verify(
    table: BandTable,
    held: list[Places],
    similarity: float,
    measure: Measure,
    sizes: Mapping[str, int],
    veto: Veto | None,
) -> Pairs:
    if not held:
        return Pairs.joined([])
    pairs = np.concatenate(held, axis=1)
    # A crowded bucket was searched in several orders and may give a pair more than once.
    packed = np.unique((pairs[0].astype(np.uint64) << np.uint64(32)) | pairs[1].astype(np.uint64))
    left, right = (packed >> np.uint64(32)).astype(np.int64), (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    scores = min_similarity(table.texts, table.rows[left], table.rows[right], measure, sizes, similarity)
    good = np.flatnonzero(scores >= similarity)
    if veto is not None and len(good):
        good = good[~veto(table.rows[left[good]], table.rows[right[good]])]
    return Pairs(left[good], right[good], scores[good])


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
        similarity[there] = np.minimum(similarity[there], compare(one, left[there], right[there], measure, sizes))
    return similarity


def compare(
    texts: pa.Array, left: Places, right: Places, measure: Measure, sizes: Mapping[str, int]
) -> npt.NDArray[np.float64]:
    """The similarity of the texts of each pair: 1 for two empty texts, 0 for an empty text and another."""
    if not len(left):
        return np.zeros(0)
    rows, at = np.unique(np.concatenate([left, right]), return_inverse=True)
    column = pl.Series("text", texts.take(pa.array(rows)), dtype=pl.String)
    first, second = at[: len(left)], at[len(left) :]
    if measure == "jaccard":
        return jaccard(shingles(column, sizes), first, second)
    return edits.similarity(column, first, second)


class Files:
    """Arrays too large for memory: written once to files in a folder, then memory-mapped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """A new array on disk."""
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.lib.format.open_memmap(self._folder / f"{name}.npy", "w+", dtype, shape)

    def texts(self, name: str) -> TextFile:
        """A new text column on disk."""
        return TextFile(self._folder / f"{name}.arrow")


class TextFile:
    """A text column that is written batch by batch, then memory-mapped."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._path = path
        self._ends: list[Places] = [np.zeros(1, np.int64)]
        self._size = 0

    def write(self, texts: pa.Array) -> None:
        """Appends texts."""
        if not len(texts):
            return
        whole = pa.concat_arrays([texts.cast(pa.large_string())])  # a slice has the offsets of the whole
        offsets = np.frombuffer(whole.buffers()[1], np.int64, len(whole) + 1, whole.offset * 8)
        data = whole.buffers()[2]
        if data is not None:
            self._file.write(memoryview(data)[offsets[0] : offsets[-1]])
        self._ends.append(offsets[1:] - offsets[0] + self._size)
        self._size = int(self._ends[-1][-1])

    def done(self) -> pa.Array:
        """The finished column, as one array over the mapped file."""
        self._file.close()
        offsets = np.concatenate(self._ends)
        data = np.memmap(self._path, np.uint8, "r") if self._size else np.zeros(0, np.uint8)
        return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
