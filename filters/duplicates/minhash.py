"""Rows whose signatures agree in one band of several are compared; what counts is the exact similarity, never the
estimate.

A signature (MinHash, Broder 1997) is a few hundred numbers, two of which agree about as often as the shingles of two
texts do. Bands of r numbers (Leskovec et al., *Mining of Massive Datasets*, ch. 3) put together the rows worth
comparing: two of Jaccard similarity s meet with probability 1 - (1 - s^r)^b. Signatures, keys and texts lie in files
that are mapped, not read: what is held in memory is one band's keys and the pairs found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
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
# Lists of Python's own integers are what the library gives; few at a time stay in the processor's cache.
_ROWS = 128
# The probability to meet that bands are chosen for, at the threshold itself; above it, it goes to 1 at once.
_MEET = 0.94
# Above so many rows that share a band, each is compared with so many neighbours in the order of signatures only.
CROWD, _NEIGHBOURS = 128, 32
_PAIRS = 1 << 21
_CHUNK = 1 << 16
_ESTIMATE = 4.0


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows and how alike they are."""

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
    """(bands, numbers a band): the longest bands in which two texts of this similarity still meet 94 times in 100.

    0.8 gives 16 bands of 8 of 128 numbers, 0.5 gives 42 of 3. With ``most`` above 1 the numbers are shuffled and cut so
    many times: the same signature gives more bands, which may be longer, and far fewer rows are compared for nothing.
    """
    for rows in range(min(num_perm, 64), 1, -1):
        count = num_perm // rows * most
        if 1 - (1 - similarity**rows) ** count >= _MEET:
            return count, rows
    return num_perm, 1


def least_jaccard(similarity: float, measure: Measure) -> float:
    """The Jaccard similarity down to which pairs have to be looked at.

    For ``edits`` it is what is left of shingles of five signs when signs are changed here and there, two thirds as many
    as allowed: p = s^5 of them on each side, and p / (2 - p) of all. (Changes that stand together leave far more.)
    """
    if measure == "jaccard":
        return similarity
    left: float = (1 - (1 - similarity) * 2 / 3) ** 5
    return left / (2 - left)


def signatures(flat: Shingles, num_perm: int) -> Signatures:
    """A signature of each row's set of shingles, shape (rows, num_perm); the lower 16 bits of each least hash, which
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
    """A key of each row for one band, its numbers given: equal where the band and the block are equal."""
    with np.errstate(over="ignore"):
        # A sum of products with odd numbers is no good hash by itself; twice mixed it is.
        mixed = text.scramble(part.astype(np.uint64) + np.uint64(1)) * _multipliers(part.shape[1])
        keys: Hashes = text.scramble(mixed.sum(axis=1, dtype=np.uint64) ^ block)
    return keys


# ----------------------------------------------------------------------------------------------------------- candidates
@dataclass(frozen=True)
class Board:
    """All things to be compared, by number: what lies on disk of each."""

    signatures: Signatures
    """Of all rows, mapped from a file."""
    texts: tuple[pa.Array, ...]
    """The normal form of each field of all rows, mapped from a file."""
    rows: Places
    """Where each thing to compare stands among signatures and texts."""
    block: Hashes
    """Of each thing: only those of one block are compared."""
    bands: int
    width: int
    """Numbers a band."""
    fixed: npt.NDArray[np.bool_] | None = None
    """Things that need no comparison among themselves (an existing version)."""
    memory: int = 1 << 28
    """Bytes that keys may take."""
    crowded: dict[int, list[np.uint64]] = field(default_factory=dict)
    """Band → keys of the buckets in which not every pair was looked at; filled on the way."""

    def numbers_of(self, band: int) -> Places:
        """Which numbers of a signature make a band."""
        whole = self.signatures.shape[1]
        turn, place = divmod(band, whole // self.width)
        order = np.arange(whole) if turn == 0 else np.random.default_rng(turn).permutation(whole)
        chosen: Places = order[place * self.width : (place + 1) * self.width]
        return chosen

    def keys(self, bands: range) -> Hashes:
        """The keys of some bands, shape (bands, things)."""
        keys = np.empty((len(bands), len(self.rows)), np.uint64)
        for start in range(0, len(self.rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            made = self.signatures[self.rows[part]]
            for number, band in enumerate(bands):
                keys[number, part] = band_keys(made[:, self.numbers_of(band)], self.block[part])
        return keys


def candidates(board: Board) -> Iterator[tuple[int, Places, Places]]:
    """(band, left, right): the pairs that meet in a band, left before right, in pieces; a pair may meet in several."""
    things = max(1, len(board.rows))
    # 24 bytes a thing to put one band in order, eight for each band's keys.
    at_once = int(np.clip((board.memory - 24 * things) // (8 * things), 1, board.bands))
    for first in range(0, board.bands, at_once):
        some = range(first, min(board.bands, first + at_once))
        for band, keys in zip(some, board.keys(some), strict=True):
            yield from ((band, *piece) for piece in _meetings(band, keys, board))


def _meetings(band: int, keys: Hashes, board: Board) -> Iterator[tuple[Places, Places]]:
    order = np.argsort(keys, kind="stable")
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
        yield from _kept(*_all_pairs(at, size, order), board)
        begin = end
    for start, size in zip(starts[~usual].tolist(), sizes[~usual].tolist(), strict=True):
        board.crowded.setdefault(band, []).append(keys[start])
        yield from _in_a_crowd(order[start : start + size], board)


def _all_pairs(starts: Places, sizes: Places, order: Places) -> tuple[Places, Places]:
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes):
        at = starts[sizes == size]
        first, second = np.triu_indices(int(size), 1)
        left.append(order[(at[:, None] + first).ravel()])
        right.append(order[(at[:, None] + second).ravel()])
    return np.concatenate(left), np.concatenate(right)


def _in_a_crowd(crowd: Places, board: Board) -> Iterator[tuple[Places, Places]]:
    """Of very many in one bucket: each with its next ones in the order of signatures, and with the first ones."""
    made = np.asarray(board.signatures[board.rows[crowd]])
    # By content, from two sides: the order of the data does not enter, and neighbours in neither order are rare.
    half = made.shape[1] // 2
    for turned in (made, np.roll(made, half, axis=1)):
        ranked = crowd[np.lexsort((crowd, *turned[:, : min(24, made.shape[1])].T[::-1]))]
        for step in range(1, _NEIGHBOURS // 2 + 1):
            yield from _kept(ranked[:-step], ranked[step:], board)
    for one in np.sort(crowd)[: _NEIGHBOURS // 4].tolist():
        others = crowd[crowd != one]
        yield from _kept(np.full(len(others), one), others, board)


def _kept(left: Places, right: Places, board: Board) -> Iterator[tuple[Places, Places]]:
    if board.fixed is not None and len(left):
        needed = ~(board.fixed[left] & board.fixed[right])
        left, right = left[needed], right[needed]
    if len(left):
        yield np.minimum(left, right), np.maximum(left, right)


# --------------------------------------------------------------------------------------------------------- verification
Veto = Callable[[Places, Places], npt.NDArray[np.bool_]]


def alike(
    board: Board, similarity: float, measure: Measure, sizes: Mapping[str, int], veto: Veto | None = None
) -> Pairs:
    """All candidate pairs of things whose exact similarity is at least ``similarity`` in every field.

    Args:
        veto: of pairs of rows that are alike enough, which are none all the same.
    """
    left_over = similarity**5
    expected = similarity if measure == "jaccard" else left_over / (2 - left_over)
    # An estimate so far below does not happen to a pair at the threshold but once in thirty thousand times.
    spare = expected - _ESTIMATE * float(np.sqrt(max(expected * (1 - expected), 1e-4) / board.signatures.shape[1]))
    parts: list[Pairs] = []
    held: list[Places] = []
    waiting = 0
    for band, left, right in candidates(board):
        for start in range(0, len(left), _CHUNK):
            a, b = left[start : start + _CHUNK], right[start : start + _CHUNK]
            new = _promising(board, band, a, b, spare)
            held.append(np.stack([a[new], b[new]]))
            waiting += int(new.sum())
        if waiting > _PAIRS // 4:
            parts.append(_verify(board, held, similarity, measure, sizes, veto))
            held, waiting = [], 0
    parts.append(_verify(board, held, similarity, measure, sizes, veto))
    return Pairs.joined(parts)


def _promising(board: Board, band: int, left: Places, right: Places, least: float) -> npt.NDArray[np.bool_]:
    """Those pairs whose signatures agree often enough, and that were not looked at in an earlier band."""
    agree = board.signatures[board.rows[left]] == board.signatures[board.rows[right]]
    good = np.flatnonzero(agree.mean(axis=1) >= least)
    for earlier in range(band):
        if not len(good):
            break
        numbers = board.numbers_of(earlier)
        met = agree[np.ix_(good, numbers)].all(axis=1)
        if (crowds := board.crowded.get(earlier)) and met.any():
            at = left[good]
            keys = band_keys(board.signatures[board.rows[at]][:, numbers], board.block[at])
            met &= ~np.isin(keys, np.array(crowds, np.uint64))
        good = good[~met]
    new = np.zeros(len(left), bool)
    new[good] = True
    return new


def _verify(
    board: Board, held: list[Places], similarity: float, measure: Measure, sizes: Mapping[str, int], veto: Veto | None
) -> Pairs:
    if not held:
        return Pairs.joined([])
    pairs = np.concatenate(held, axis=1)
    # A crowded bucket was looked at in several orders and may give a pair more than once.
    packed = np.unique((pairs[0].astype(np.uint64) << np.uint64(32)) | pairs[1].astype(np.uint64))
    left, right = (packed >> np.uint64(32)).astype(np.int64), (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    found = least(board.texts, board.rows[left], board.rows[right], measure, sizes, similarity)
    good = np.flatnonzero(found >= similarity)
    if veto is not None and len(good):
        good = good[~veto(board.rows[left[good]], board.rows[right[good]])]
    return Pairs(left[good], right[good], found[good])


def least(
    texts: Sequence[pa.Array],
    left: Places,
    right: Places,
    measure: Measure,
    sizes: Mapping[str, int],
    enough: float = 0.0,
) -> npt.NDArray[np.float64]:
    """How alike the rows of each pair are in the field in which they are least alike; fields after one that is below
    ``enough`` are not looked at."""
    found = np.ones(len(left))
    for one in texts:
        there = np.flatnonzero(found >= enough)
        found[there] = np.minimum(found[there], compare(one, left[there], right[there], measure, sizes))
    return found


def compare(
    texts: pa.Array, left: Places, right: Places, measure: Measure, sizes: Mapping[str, int]
) -> npt.NDArray[np.float64]:
    """How alike the texts of each pair are; two empty ones are alike, an empty one and another are not at all."""
    if not len(left):
        return np.zeros(0)
    rows, at = np.unique(np.concatenate([left, right]), return_inverse=True)
    given = pl.Series("text", texts.take(pa.array(rows)), dtype=pl.String)
    first, second = at[: len(left)], at[len(left) :]
    if measure == "jaccard":
        return jaccard(shingles(given, sizes), first, second)
    return edits.similarity(given, first, second)


class Files:
    """Arrays too large for memory, in files of a folder that are written once and then mapped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """A new array on disk."""
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.lib.format.open_memmap(self._folder / f"{name}.npy", "w+", dtype, shape)

    def texts(self, name: str) -> TextFile:
        """A new column of texts on disk."""
        return TextFile(self._folder / f"{name}.arrow")


class TextFile:
    """A column of texts that is written batch by batch and then mapped."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._path = path
        self._ends: list[Places] = [np.zeros(1, np.int64)]
        self._size = 0

    def write(self, texts: pa.Array) -> None:
        """Adds some texts."""
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
        """The column, one array over the mapped file; no more can be added."""
        self._file.close()
        offsets = np.concatenate(self._ends)
        data = np.memmap(self._path, np.uint8, "r") if self._size else np.zeros(0, np.uint8)
        return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
