"""Semantic duplicate pairs, within a language and across languages, by the vectors of an encoder.

Within a language all pairs of a block (same numbers, same negations) are compared. Across languages each row is
compared with its nearest neighbours in the other language, by cosine and by the ratio margin (Artetxe and Schwenk
2019), which measures whether the two are nearer to each other than to the rest, and optionally only if each is the
other's nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from curate.steps import Encoder
from curate.vectors import knn
from filters.calibration.encoders import Encoders, at_most_one, on_scale
from filters.duplicates.clusters import Places
from filters.duplicates.columns import SummaryColumns
from filters.duplicates.minhash import Pairs
from filters.duplicates.near import UniqueTexts

Search = Literal["auto", "exact", "approximate"]
Vectors = npt.NDArray[np.float32]
_ROWS, _COLUMNS = 1024, 8192
# Above this many rows in a block a graph is searched instead of all pairs.
_MANY = 150_000
_NEAREST = 32
_SMALL = 64
# Neighbours within this cosine of the nearest count as equally near: two translations of one sentence.
_TIE = 0.02


def _vectors(columns: SummaryColumns, rows: Places) -> Vectors:
    """The rows' vectors, fields concatenated, so that a product is the sum of the fields' cosines."""
    return np.asarray(columns.data[rows], np.float32)


@dataclass(frozen=True)
class Spaces:
    """The vectors of rows, each pair of languages in the space of the encoder that is for it."""

    columns: SummaryColumns
    fields: int
    encoders: Encoders
    """A summary has the vectors of all of them side by side, with all fields each."""

    def encoder(self, one: int, other: int) -> Encoder | None:
        """The encoder for two languages, by their numbers; None if none knows both."""
        if not self.encoders.common:
            # A prompt may be in another language than the row.
            return self.encoders.only
        return self.encoders.find(self.columns.languages[one], self.columns.languages[other])

    def vectors(self, rows: Places, one: int, other: int) -> Vectors:
        """The rows' vectors for this pair of languages: shape (rows, fields, dimensions)."""
        encoder = self.encoder(one, other)
        place = self.encoders.place(self.columns.languages[one], self.columns.languages[other]) or 0
        assert encoder is not None
        sizes = [each.dimensions for each in self.encoders.each()]
        first, size = self.fields * sum(sizes[:place]), sizes[place]
        made = np.asarray(self.columns.data[rows, first : first + self.fields * size], np.float32)
        return on_scale(encoder, made.reshape(-1, size)).reshape(len(rows), self.fields, -1)

    def cosines(self, left: Places, right: Places) -> npt.NDArray[np.float64]:
        """The lowest cosine over the fields of each pair of rows; a field that is empty in both rows does not count."""
        least = np.zeros(len(left))
        spoken = self.columns.language
        for one, other in np.unique(np.stack([spoken[left], spoken[right]], axis=1), axis=0).tolist():
            encoder = self.encoder(one, other)
            if encoder is None:
                continue
            every = np.flatnonzero((spoken[left] == one) & (spoken[right] == other))
            for start in range(0, len(every), _COLUMNS):
                at = every[start : start + _COLUMNS]
                a, b = (self.vectors(side[at], one, other) for side in (left, right))
                each = at_most_one(encoder, np.einsum("ijk,ijk->ij", a, b, dtype=np.float64))
                each[~a.any(axis=2) & ~b.any(axis=2)] = 1.0
                least[at] = each.min(axis=1)
        return least


def within(
    spaces: Spaces,
    unique: UniqueTexts,
    threshold: Callable[[Places, Places], npt.NDArray[np.float64]],
    least: float,
    search: Search,
    threads: int,
) -> Pairs:
    """All pairs in one block whose cosine reaches the threshold in every field."""
    columns, fields, rows = spaces.columns, spaces.fields, unique.rows
    usable = np.flatnonzero(columns.assessed[rows])
    order = usable[np.argsort(columns.block[rows[usable]], kind="stable")]
    blocks = columns.block[rows[order]]
    starts = (
        np.flatnonzero(np.concatenate([[True], blocks[1:] != blocks[:-1]])) if len(blocks) else np.zeros(0, np.int64)
    )
    sizes = np.diff(np.append(starts, len(order)))
    parts = [
        _checked(spaces, unique, *_small(order, starts, sizes), threshold),
    ]
    for start, size in zip(starts[sizes > _SMALL].tolist(), sizes[sizes > _SMALL].tolist(), strict=True):
        members = order[start : start + size]
        far = search == "approximate" or (search == "auto" and size > _MANY)
        for left, right in (_graph if far else _products)(columns, rows[members], fields, least, threads):
            parts.append(_checked(spaces, unique, members[left], members[right], threshold))
    return Pairs.joined(parts)


def _small(order: Places, starts: Places, sizes: Places) -> tuple[Places, Places]:
    left, right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for size in np.unique(sizes[(sizes > 1) & (sizes <= _SMALL)]).tolist():
        at = starts[sizes == size]
        first, second = np.triu_indices(size, 1)
        left.append(order[(at[:, None] + first).ravel()])
        right.append(order[(at[:, None] + second).ravel()])
    return np.concatenate(left), np.concatenate(right)


def _products(columns: SummaryColumns, rows: Places, fields: int, least: float, threads: int) -> Any:
    """Every pair, block by block, whose sum of cosines over the fields allows the minimum in each of them."""
    from threadpoolctl import threadpool_limits

    spare = 1e-4
    with threadpool_limits(threads, user_api="blas"):
        for first in range(0, len(rows), _ROWS):
            block = _vectors(columns, rows[first : first + _ROWS])
            for second in range(first - first % _COLUMNS, len(rows), _COLUMNS):
                other = _vectors(columns, rows[second : second + _COLUMNS])
                a, b = np.nonzero(block @ other.T >= fields * least - spare - (fields - 1) * (1 - least))
                a, b = a + first, b + second
                yield a[a < b], b[a < b]


def _graph(columns: SummaryColumns, rows: Places, fields: int, least: float, threads: int) -> Any:
    vectors = _vectors(columns, rows) / np.float32(np.sqrt(fields))
    nearest, _ = knn.approximate(vectors, vectors, _NEAREST, threads=threads)
    a = np.repeat(np.arange(len(rows)), nearest.places.shape[1])
    b = nearest.places.ravel().astype(np.int64)
    good = (b >= 0) & (a != b) & (nearest.cosines.ravel() >= least - 1e-3)
    a, b = a[good], b[good]
    packed = np.unique((np.minimum(a, b) << 32) | np.maximum(a, b))
    yield packed >> 32, packed & 0xFFFFFFFF


def _checked(
    spaces: Spaces,
    unique: UniqueTexts,
    left: Places,
    right: Places,
    threshold: Callable[[Places, Places], npt.NDArray[np.float64]],
) -> Pairs:
    """The pairs that reach their threshold."""
    if not len(left):
        return Pairs.joined([])
    a, b = unique.rows[left], unique.rows[right]
    cosine = spaces.cosines(a, b)
    good = cosine >= threshold(a, b)
    fixed = spaces.columns.facts.fixed
    if fixed is not None:
        good &= ~(fixed[a] & fixed[b])
    return Pairs(left[good], right[good], cosine[good])


def between(
    spaces: Spaces,
    unique: UniqueTexts,
    threshold: Callable[[Places, Places], npt.NDArray[np.float64]],
    *,
    margin: float,
    k: int,
    siblings: bool,
    numbers: bool,
    search: Search,
    threads: int,
    memory: int,
    mutual: bool = True,
) -> Pairs:
    """All pairs of different languages that are near enough, and nearer than their neighbours.

    Args:
        margin: minimum ratio of the cosine to the mean cosine of both to their ``k`` nearest in the other language.
        siblings: whether rows of one group count too.
        numbers: whether two texts that both have digits must have the same.
        mutual: whether each must be the other's nearest of all its candidates.
    """
    columns, rows = spaces.columns, unique.rows
    usable = np.flatnonzero(columns.assessed[rows])
    by_language: Mapping[int, Places] = {
        int(code): usable[columns.language[rows[usable]] == code] for code in np.unique(columns.language[rows[usable]])
    }
    parts = [Pairs.joined([])]
    for one, other in combinations(sorted(by_language), 2):
        a, b = by_language[one], by_language[other]
        if spaces.encoder(one, other) is None:
            continue
        x, y = (
            spaces.vectors(rows[side], one, other).reshape(len(side), -1) / np.float32(np.sqrt(spaces.fields))
            for side in (a, b)
        )
        # A row of which this encoder does not know the prompt's language has no vector of it.
        a, x, b, y = a[x.any(axis=1)], x[x.any(axis=1)], b[y.any(axis=1)], y[y.any(axis=1)]
        if not len(a) or not len(b):
            continue
        # More than the margin needs, because a row's own sibling may be among them.
        if search == "approximate" or (search == "auto" and knn.choose(len(a), len(b)) == "approximate"):
            forth, back = knn.approximate(x, y, k + 2, threads=threads)
        else:
            forth, back = knn.exact(x, y, k + 2, memory=memory // 4, threads=threads)
        groups = columns.group[rows[a]], columns.group[rows[b]]
        near_a = _mean_to_nearest(forth, groups[0], groups[1], k, siblings)
        near_b = _mean_to_nearest(back, groups[1], groups[0], k, siblings)
        left = np.repeat(np.arange(len(a)), forth.places.shape[1])
        right = forth.places.ravel().astype(np.int64)
        more_right = np.repeat(np.arange(len(b)), back.places.shape[1])
        more_left = back.places.ravel().astype(np.int64)
        left, right = np.concatenate([left, more_left]), np.concatenate([right, more_right])
        ok = (left >= 0) & (right >= 0)
        packed = np.unique((left[ok] << 32) | right[ok])
        left, right = packed >> 32, packed & 0xFFFFFFFF
        ok = np.ones(len(left), bool) if siblings else groups[0][left] != groups[1][right]
        blocks = columns.block[rows[a]], columns.block[rows[b]]
        ok &= blocks[0][left] == blocks[1][right]
        if numbers:
            digits = columns.digits[rows[a]][left], columns.digits[rows[b]][right]
            ok &= (digits[0] == digits[1]) | (digits[0] == 0) | (digits[1] == 0)
        left, right = left[ok], right[ok]
        cosine = np.einsum("ij,ij->i", x[left], y[right], dtype=np.float64)
        mean = (near_a[left] + near_b[right]) / 2
        good = cosine >= margin * mean
        if mutual:
            good &= _nearest(left, right, cosine, len(a), len(b))
        parts.append(_checked(spaces, unique, a[left[good]], b[right[good]], threshold))
    return Pairs.joined(parts)


def _nearest(
    left: Places, right: Places, cosine: npt.NDArray[np.float64], lefts: int, rights: int
) -> npt.NDArray[np.bool_]:
    """The pairs in which each side is the other's nearest, or equally near."""
    near = np.ones(len(left), bool)
    for side, count in ((left, lefts), (right, rights)):
        best = np.full(count, -np.inf)
        np.maximum.at(best, side, cosine)
        near &= cosine >= best[side] - _TIE
    return near


def _mean_to_nearest(
    nearest: knn.Nearest, mine: npt.NDArray[np.uint64], theirs: npt.NDArray[np.uint64], k: int, siblings: bool
) -> npt.NDArray[np.float64]:
    """The mean cosine of each row to its k nearest in the other language, without its siblings."""
    there = nearest.places >= 0
    if not siblings:
        there &= theirs[nearest.places] != mine[:, None]
    there &= np.cumsum(there, axis=1) <= k
    total = np.where(there, nearest.cosines, 0).sum(axis=1, dtype=np.float64)
    mean: npt.NDArray[np.float64] = total / np.maximum(there.sum(axis=1), 1)
    return mean


def parse_pairs(pairs: Mapping[str, float]) -> dict[frozenset[str], float]:
    """Converts ``{en/zh: 0.6}`` to thresholds of two-language sets.

    Raises:
        ValueError: a key is not two languages separated by a slash.
    """
    from curate.rows.languages import InvalidLanguage, normalize

    thresholds = {}
    for key, value in pairs.items():
        sides = key.split("/")
        try:
            both = frozenset(normalize(side.strip()) for side in sides)
        except InvalidLanguage as error:
            raise ValueError(f"pairs: {key}: {error}") from None
        if len(sides) != 2 or len(both) != 2:
            raise ValueError(f"pairs: '{key}' should be two languages separated by a slash, such as en/zh")
        thresholds[both] = value
    return thresholds
