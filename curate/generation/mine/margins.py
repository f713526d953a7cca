"""Margin scores of candidate pairs, and the choice of pairs.

Artetxe and Schwenk 2019, *Margin-based Parallel Corpus Mining with Multilingual Sentence Embeddings* (ACL). With
NN_k(x) the k nearest texts to x on the other side (the partner among them), and

    near(x, y) = Σ_{z ∈ NN_k(x)} cos(x, z) / 2k + Σ_{z ∈ NN_k(y)} cos(y, z) / 2k

``ratio`` is cos(x, y) / near(x, y), ``distance`` is cos(x, y) - near(x, y), ``absolute`` is cos(x, y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from curate.vectors.knn import Nearest

Score = Literal["ratio", "distance", "absolute"]
Direction = Literal["max", "intersection", "both", "forward", "backward"]
Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Minimum of the neighbours' mean, so that a text without close neighbours does not divide by nothing.
_FLOOR = 0.05


@dataclass(frozen=True)
class Pairs:
    """Pairs of places on the left and on the right, by left place, then by score, best first."""

    left: Numbers
    right: Numbers
    score: Floats
    cosine: Floats

    def __len__(self) -> int:
        return len(self.left)

    def take(self, which: Numbers | Flags) -> Pairs:
        """A selection of the pairs."""
        return Pairs(self.left[which], self.right[which], self.score[which], self.cosine[which])

    def ranks(self) -> Numbers:
        """The rank of each pair by score: 1 for the best."""
        ranks = np.zeros(len(self), np.int64)
        ranks[np.lexsort((self.right, self.left, -self.score))] = np.arange(1, len(self) + 1)
        return ranks


def margin(cosine: Floats, near: Floats, score: Score) -> Floats:
    """The score of pairs, from their cosine and the mean cosine of both to their neighbours; five decimals."""
    if score == "ratio":
        return np.round(cosine / np.maximum(near, _FLOOR), 5)
    return np.round(cosine - near if score == "distance" else cosine, 5)


class Candidates:
    """The neighbours on both sides with their margins; pairs can be excluded."""

    def __init__(self, forward: Nearest, backward: Nearest, score: Score) -> None:
        means = forward.mean(), backward.mean()
        self._forward = _Side(forward, means, score)
        self._backward = _Side(backward, means[::-1], score)

    def forbid_lengths(self, own: npt.NDArray[np.float32], other: npt.NDArray[np.float32], most: float) -> None:
        """Excludes pairs whose lengths (one per text) differ by more than a factor of ``most``."""
        for side, here, far in ((self._forward, own, other), (self._backward, other, own)):
            longer = np.maximum(here[:, None], far[side.places])
            shorter = np.minimum(here[:, None], far[side.places])
            side.score[(longer + _SLACK) > most * (shorter + _SLACK)] = -np.inf

    def forbid_equal(self, own: Numbers, other: Numbers) -> None:
        """Excludes pairs with the same number on both sides."""
        for side, here, there in ((self._forward, own, other), (self._backward, other, own)):
            side.score[here[:, None] == there[side.places]] = -np.inf

    def choose(self, direction: Direction) -> Pairs:
        """The pairs, each once.

        ``forward``: the best for each left text. ``backward``: the best for each right text. ``both``: the union.
        ``intersection``: pairs that are best for both. ``max``: the union, best first, each text in one pair only.
        """
        forward = self._forward.best()
        other = self._backward.best()
        backward = Pairs(other.right, other.left, other.score, other.cosine)
        if direction in ("forward", "backward"):
            return _ordered(forward if direction == "forward" else backward)
        left, right, score, cosine = (
            np.concatenate([getattr(forward, name), getattr(backward, name)])
            for name in ("left", "right", "score", "cosine")
        )
        _, first, count = np.unique(np.stack([left, right], axis=1), axis=0, return_index=True, return_counts=True)
        pairs = Pairs(left, right, score, cosine).take(first[count == 2] if direction == "intersection" else first)
        return _ordered(pairs if direction != "max" else _one_to_one(pairs))


# Letters added to both lengths: short texts vary more than long ones.
_SLACK = 10.0


class _Side:
    def __init__(self, nearest: Nearest, means: tuple[Floats, ...], score: Score) -> None:
        exists = nearest.places >= 0
        self.places = np.where(exists, nearest.places, 0).astype(np.int64)
        self.cosine = np.where(exists, nearest.cosines, 0).astype(np.float64)
        near = (means[0][:, None] + means[1][self.places]) / 2 if len(means[1]) else np.zeros(self.cosine.shape)
        self.score = np.where(exists, margin(self.cosine, near, score), -np.inf)

    def best(self) -> Pairs:
        """The best candidate of each text that has one; of equal scores the nearest."""
        at = np.arange(len(self.score))
        choice = np.argmax(self.score, axis=1) if len(at) else at
        pairs = Pairs(at, self.places[at, choice], self.score[at, choice], self.cosine[at, choice])
        return pairs.take(np.isfinite(pairs.score))


def _ordered(pairs: Pairs) -> Pairs:
    return pairs.take(np.lexsort((pairs.right, -pairs.score, pairs.left)))


def _one_to_one(pairs: Pairs) -> Pairs:
    order = np.lexsort((pairs.right, pairs.left, -pairs.score))
    lefts: set[int] = set()
    rights: set[int] = set()
    kept = []
    for place, left, right in zip(order.tolist(), pairs.left[order].tolist(), pairs.right[order].tolist(), strict=True):
        if left not in lefts and right not in rights:
            lefts.add(left)
            rights.add(right)
            kept.append(place)
    return pairs.take(np.asarray(kept, np.int64))
