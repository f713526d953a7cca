"""What speaks for a target and a source being translations of each other, cheap enough to ask for many pairs: their
lengths, the numbers and Latin words that both have, and an encoder's vectors if there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from curate.text import segmentation
from curate.text.numbers import WORTH_A_LOOK, mentions

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
SIDES = ("left", "right")
MAX_CHARS = 2_000
"""Longer texts are cut to this length."""
_DIMENSIONS = 64
_TOKENS = 24
# Tokens that are the same in every script: numbers, and words in Latin letters that may be names.
_LATIN = r"\b\p{Latin}[\p{Latin}\p{Nd}-]{3,}"
_LEAST_SPREAD, _MOST_SPREAD = 0.15, 0.6
"""Bounds of the standard deviation of the log length ratio of true pairs."""
_MOST = np.float32(4.0)
_LEAST = -1.5
"""In a search over all shifts a row counts no less, because only a part of the rows may have moved that far."""
_OUTSIDE = -1.0
"""Fit of a row whose source would be before the first or after the last: somewhat worse than no source at all."""
_AROUND = np.array([-23, -19, -17, -13, -11, 11, 13, 17, 19, 23])
_CLEAR = 3.0
"""Standard errors of a mean."""
_STEEP = 6.0
"""Nats between the cosine of unrelated texts and that of translations."""
_SAMPLE = 256
_RARE = 8
"""Tokens in no more rows of each side point at a shift."""
_LEAST_VOTES = 3


def features(
    texts: tuple[pl.Series, pl.Series], tags: tuple[Sequence[str | None], Sequence[str | None]], encoder: Any
) -> pa.Table:
    """What is kept of each row for :class:`Evidence`.

    Args:
        texts: sources and targets.
        tags: their languages.
        encoder: a sentence encoder, used where it knows both languages; or None.
    """
    if encoder is not None:
        known = {tag: tag is not None and encoder.supports(tag) for tag in {*tags[0], *tags[1]}}
        both = [known[one] and known[other] for one, other in zip(*tags, strict=True)]
    columns: dict[str, pa.Array] = {}
    for side, mine, languages in zip(SIDES, texts, tags, strict=True):
        sizes = np.log1p(segmentation.letter_weights(mine)["letters"].to_numpy()).astype(np.float32)
        columns[f"{side}_size"] = pa.array(sizes)
        columns[f"{side}_signs"] = pa.array(_tokens(mine, languages), pa.list_(pa.uint32()))
        if encoder is not None:
            # An empty text has the zero vector, which says nothing.
            wanted = [one if encoded else "" for one, encoded in zip(mine.to_list(), both, strict=True)]
            vectors = list(_project(encoder.encode(wanted))) if wanted else []
            columns[f"{side}_vector"] = pa.array(vectors, pa.list_(pa.float16(), _DIMENSIONS))
    return pa.table(columns)


def _tokens(texts: pl.Series, tags: Sequence[str | None]) -> list[list[int]]:
    """Tokens that may be the same on both sides: values of numbers, words in Latin letters, as 32-bit digests."""
    words = texts.str.extract_all(_LATIN).to_list()
    numbers = texts.str.contains(WORTH_A_LOOK).to_list()
    digests = []
    for one, tag, latin, look in zip(texts.to_list(), tags, words, numbers, strict=True):
        tokens = {word.casefold() for word in latin}
        if look:
            tokens |= {
                f"{value:g}" if isinstance(value, float) else value
                for mention in mentions(one, tag or "und")
                for value in mention.values
            }
        digests.append(
            sorted(
                int.from_bytes(blake2b(sign.encode(), digest_size=4).digest(), "big")
                for sign in sorted(tokens)[:_TOKENS]
            )
        )
    return digests


def _project(vectors: Floats) -> npt.NDArray[np.float16]:
    """Vectors in few dimensions, by fixed random directions; cosines stay within about 0.1."""
    if vectors.shape[1] <= _DIMENSIONS:
        small = np.zeros((len(vectors), _DIMENSIONS), np.float32)
        small[:, : vectors.shape[1]] = vectors
    else:
        directions = np.random.default_rng(20261121).standard_normal((vectors.shape[1], _DIMENSIONS)).astype(np.float32)
        small = vectors @ directions
    return np.asarray(_unit(small), np.float16)


def _unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return unit


class Evidence:
    """The evidence of one file's rows, in nats over chance: positive if a target and a source fit."""

    def __init__(self, table: pa.Table) -> None:
        self.rows = table.num_rows
        self._left, self._right = (table[f"{side}_size"].to_numpy().astype(np.float32) for side in SIDES)
        spread = max(float(np.std(self._right)), 0.05) if self.rows else 1.0
        self._chance = ((self._right - self._right.mean()) / spread) ** 2 / 2 + np.log(spread)
        self._scatter = _MOST_SPREAD
        self._usual = 0.0
        self.rescale(np.arange(self.rows))
        self._vectors = _centred(table) if "left_vector" in table.column_names else None
        if self._vectors is not None:
            self._calibrate(*self._vectors)
        self._signs = _Signs(table)

    def rescale(self, partner: Integers) -> float:
        """Measures how far lengths of translations scatter, at these pairs of a target and its source (-1: none).

        Returns:
            How much it differs from before, as a share.
        """
        rows = np.flatnonzero(partner >= 0)
        if not len(rows):
            return 0.0
        before, ratio = self._scatter, self._right[rows] - self._left[partner[rows]]
        self._usual = float(np.median(ratio))
        # Most pairs are aligned, and the median ignores the others.
        scatter = 1.5 * float(np.median(np.abs(ratio - self._usual)))
        self._scatter = float(np.clip(scatter, _LEAST_SPREAD, _MOST_SPREAD))
        return abs(self._scatter - before) / before

    def _calibrate(self, left: Floats, right: Floats) -> None:
        """Finds the cosines of unrelated texts and of the nearest ones, which are different for each encoder."""
        some = np.linspace(0, self.rows - 1, min(self.rows, _SAMPLE)).astype(np.int64)
        cosines = right[some] @ left.T
        self._far = float(np.median(cosines))
        self._near = max(float(np.median(cosines.max(axis=1))), self._far + 0.1)

    # ------------------------------------------------------------------------------------------------------- asked for
    def fit(self, first: int, end: int, shift: int) -> Floats:
        """How well each of these targets fits the source ``shift`` rows further on."""
        fits: Floats = self.fits(first, end, np.array([shift]))[0]
        return fits

    def fits(self, first: int, end: int, shifts: Integers) -> Floats:
        """The same for several shifts: shape (shifts, rows)."""
        rows = np.arange(first, end)
        there = rows + shifts[:, None]
        inside = (there >= 0) & (there < self.rows)
        there = there.clip(0, self.rows - 1)
        found = self._by_length(rows, self._left[there])
        if self._vectors is not None:
            found += self._by_meaning(np.einsum("ijk,jk->ij", self._vectors[0][there], self._vectors[1][rows]))
        found += np.minimum(self._signs.shared(rows, there), 2 * _MOST)
        found[~inside] = _OUTSIDE
        return found

    def every_shift(self, rows: Integers) -> Floats:
        """The sum over these rows for all shifts, without signs: place ``rows - 1`` is a shift of 0."""
        total = np.full(2 * self.rows - 1, _LEAST * len(rows), np.float32)
        for row in rows.tolist():
            fits = self._by_length(row, self._left)
            if self._vectors is not None:
                fits = fits + self._by_meaning(self._vectors[0] @ self._vectors[1][row])
            start = self.rows - 1 - row
            total[start : start + self.rows] += np.maximum(fits, _LEAST) - _LEAST
        return total

    def belongs(self, first: int, end: int, shift: int) -> bool:
        """Whether these targets fit the sources ``shift`` rows further on clearly better than those around them, even
        if worse than chance: free translations do."""
        lead = self.fit(first, end, shift) - self.fits(first, end, shift + _AROUND).mean(axis=0)
        return bool(lead.mean() * np.sqrt(len(lead)) > _CLEAR * max(float(lead.std()), 0.1))

    def varies(self, first: int, end: int) -> bool:
        """Whether the texts are unlike enough to tell a wrong order from a right one."""
        # Texts that could not be encoded have the zero vector.
        encoded = self._vectors is not None and bool(self._vectors[0].any() and self._vectors[1][first:end].any())
        return encoded or float(np.std(self._right[first:end])) > self._scatter

    def votes(self, block: int) -> Iterator[tuple[int, int, float]]:
        """(block of rows, shift, nats) of the shifts that rare tokens point at."""
        return self._signs.votes(block)

    def _by_length(self, rows: Integers | int, left: Floats) -> Floats:
        away = (self._right[rows] - left - np.float32(self._usual)) / np.float32(self._scatter)
        nats = self._chance[rows] - (away**2 / 2 + np.float32(np.log(self._scatter)))
        return _bounded(nats)

    def _by_meaning(self, cosines: Floats) -> Floats:
        middle, width = (self._near + self._far) / 2, self._near - self._far
        # Texts that could not be encoded have the zero vector.
        nats = np.where(cosines == 0, 0, (cosines - middle) * (_STEEP / width))
        return _bounded(nats)


def _bounded(nats: npt.NDArray[np.floating]) -> Floats:
    bounded: Floats = np.clip(nats, -_MOST, _MOST).astype(np.float32)
    return bounded


def _centred(table: pa.Table) -> tuple[Floats, Floats]:
    """The vectors of both sides around the mean of their side, so that what a language adds to each does not count."""
    found = []
    for side in SIDES:
        flat = table[f"{side}_vector"].combine_chunks().flatten().to_numpy()
        vectors = np.array(flat, np.float32).reshape(table.num_rows, _DIMENSIONS)
        there = np.flatnonzero(vectors.any(axis=1))
        if len(there) > 1:
            vectors[there] -= vectors[there].mean(axis=0)
        found.append(_unit(vectors))
    return found[0], found[1]


class _Signs:
    """Which rows have which tokens."""

    def __init__(self, table: pa.Table) -> None:
        self.rows = table.num_rows
        left, right = (_exploded(table[f"{side}_signs"]) for side in SIDES)
        counts = left.group_by("sign").agg(pl.len().alias("left"))
        counts = counts.join(right.group_by("sign").agg(pl.len().alias("right")), on="sign").sort("sign")
        counts = counts.with_row_index("number", offset=0).with_columns(
            weight=(self.rows / pl.col("left")).log() - 1.0, number=pl.col("number").cast(pl.Int64)
        )
        counts = counts.filter(pl.col("weight") > 0)
        self._left = left.join(counts, on="sign")
        mine = right.join(counts, on="sign").sort("row", "number")
        self._right = mine
        self._starts = np.searchsorted(mine["row"].to_numpy(), np.arange(self.rows + 1))
        self._numbers, self._weights = mine["number"].to_numpy(), mine["weight"].to_numpy().astype(np.float32)
        self._known = np.unique(self._left["number"].to_numpy() * self.rows + self._left["row"].to_numpy())

    def shared(self, rows: Integers, there: Integers) -> Floats:
        """The weight of the tokens that each row's target shares with the sources: shape of ``there``."""
        found = np.zeros(there.shape, np.float32)
        start, end = self._starts[rows[0]], self._starts[rows[-1] + 1]
        if start == end or not len(self._known):
            return found
        at = np.repeat(np.arange(len(rows)), np.diff(self._starts[rows[0] : rows[-1] + 2]))
        wanted = self._numbers[start:end] * self.rows + there[:, at]
        places = np.searchsorted(self._known, wanted).clip(0, len(self._known) - 1)
        shift, entry = np.nonzero(self._known[places] == wanted)
        np.add.at(found, (shift, at[entry]), self._weights[start:end][entry])
        return found

    def votes(self, block: int) -> Iterator[tuple[int, int, float]]:
        rare = (pl.col("left") <= _RARE) & (pl.col("right") <= _RARE)
        pairs = self._left.filter(rare).join(self._right.filter(rare).select("sign", there="row"), on="sign")
        votes = pairs.with_columns(block=pl.col("there") // block, shift=pl.col("row") - pl.col("there"))
        votes = votes.group_by("block", "shift").agg(pl.col("weight").sum(), rows=pl.col("there").n_unique())
        votes = votes.filter(pl.col("rows") >= _LEAST_VOTES).sort("block", "shift")
        yield from votes.select("block", "shift", "weight").iter_rows()


def _exploded(signs: pa.ChunkedArray) -> pl.DataFrame:
    """The tokens of all rows, one a row."""
    lists = pl.Series("sign", signs.combine_chunks(), dtype=pl.List(pl.UInt32))
    return (
        lists.to_frame().with_row_index("row").select(pl.col("row").cast(pl.Int64), "sign").explode("sign").drop_nulls()
    )
