"""Lays vectors out in a plane so that neighbours stay neighbours, and groups them: the same for the same vectors.

Some vectors (landmarks) are placed first: each is drawn to its nearest neighbours and pushed away from random others,
with the forces of UMAP (McInnes, Healy and Melville 2018) for the curve 1 / (1 + d²). The others are placed between
their nearest landmarks and then moved by the same forces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

LANDMARKS = 4_000
_DIMENSIONS, _NEIGHBOURS, _PUSHES = 48, 12, 6
_EPOCHS, _EPOCHS_AFTER = 200, 25
_BLOCK = 1_024
_LARGEST = 4.0
"""How far one force may move a point in a step."""
_ROUNDS = 15


@dataclass(frozen=True)
class Layout:
    """Vectors in a plane."""

    points: Vectors
    """Shape (n, 2), from 0 to 1."""
    clusters: Places
    """The cluster of each vector, from 0; the largest first."""
    typical: list[Places]
    """Of each cluster the vectors nearest to its centre, nearest first."""


def laid_out(vectors: Vectors, *, landmarks: int = LANDMARKS, typical: int = 3) -> Layout:
    """The layout of unit-length vectors.

    Args:
        landmarks: how many are laid out among all others.
        typical: how many of each cluster are named.
    """
    random = np.random.default_rng(0)
    flat = _principal(vectors)
    n = len(flat)
    chosen = np.sort(random.permutation(n)[:landmarks])
    among = _spread(flat[chosen, :2])
    left, right, weights = _edges(flat[chosen], flat[chosen], itself=True)
    among = _moved(among, (left, right, weights), _EPOCHS, 1.0, random)
    points = np.empty((n, 2), np.float32)
    points[chosen] = among
    others = np.setdiff1d(np.arange(n), chosen, assume_unique=True)
    if len(others):
        one, two, near = _edges(flat[others], flat[chosen])
        total = np.bincount(one, near, len(others))
        for axis in (0, 1):
            points[others, axis] = np.bincount(one, near * among[two, axis], len(others)) / total
        edges = (
            np.concatenate([chosen[left], others[one]]),
            np.concatenate([chosen[right], chosen[two]]),
            np.concatenate([weights, near]),
        )
        points = _moved(points, edges, _EPOCHS_AFTER, 0.3, random)
    return Layout(_framed(points), *_clusters(flat, typical, random))


def _principal(vectors: Vectors) -> Vectors:
    """The vectors in their principal directions; the sign of each direction is that of its largest part."""
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    values, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    directions = directions[:, np.argsort(-values, kind="stable")[:_DIMENSIONS]]
    largest = np.abs(directions).argmax(axis=0)
    directions *= np.sign(directions[largest, np.arange(directions.shape[1])])
    flat = (centred @ directions).astype(np.float32)
    missing = max(0, 2 - flat.shape[1])
    return np.pad(flat, ((0, 0), (0, missing)))


def _spread(flat: Vectors) -> Vectors:
    return 10 * flat / max(float(flat.std()), 1e-9)


def _edges(of: Vectors, to: Vectors, *, itself: bool = False) -> tuple[Places, Places, npt.NDArray[np.float64]]:
    """From each vector to its nearest ones, with weights that fall from 1 with the distance beyond the nearest.

    Args:
        itself: whether both are the same, and none is its own neighbour.
    """
    k = min(_NEIGHBOURS, len(to) - itself)
    if k < 1:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    squares = (to**2).sum(axis=1)
    right = np.empty((len(of), k), np.int64)
    far = np.empty((len(of), k))
    for start in range(0, len(of), _BLOCK):
        block = of[start : start + _BLOCK]
        away = squares - 2 * (block @ to.T) + (block**2).sum(axis=1)[:, None]
        if itself:
            away[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        near = np.argpartition(away, k - 1, axis=1)[:, :k]
        right[start : start + len(block)] = near
        far[start : start + len(block)] = np.sqrt(np.maximum(np.take_along_axis(away, near, axis=1), 0))
    beyond = far - far.min(axis=1, keepdims=True)
    weights = np.exp(-beyond / np.maximum(beyond.mean(axis=1, keepdims=True), 1e-9))
    return np.repeat(np.arange(len(of)), k), right.ravel(), weights.ravel()


def _moved(
    points: Vectors,
    edges: tuple[Places, Places, npt.NDArray[np.float64]],
    epochs: int,
    first: float,
    random: np.random.Generator,
) -> Vectors:
    """The points after so many rounds of forces, of which the first is the strongest."""
    left, right, weights = edges
    n = len(points)
    if n < 2:
        return points
    x, y = points.T.astype(np.float64)
    for epoch in range(epochs):
        right_x, right_y = x[left] - x[right], y[left] - y[right]
        pull = 2 * weights / (1 + right_x * right_x + right_y * right_y)
        other = random.integers(0, n, (_PUSHES, n))
        apart_x, apart_y = x - x[other], y - y[other]
        square = apart_x * apart_x + apart_y * apart_y
        push = 2 / ((0.001 + square) * (1 + square))
        size = first * (1 - epoch / epochs)
        for axis, away, apart in ((x, right_x, apart_x), (y, right_y, apart_y)):
            pulled = np.clip(away * pull, -_LARGEST, _LARGEST)
            step = np.clip(apart * push, -_LARGEST, _LARGEST).sum(axis=0)
            step += np.bincount(right, pulled, n) - np.bincount(left, pulled, n)
            # Points that many others count among their nearest would fly: a step is no longer than that of one force.
            axis += size * np.clip(0.25 * step, -_LARGEST, _LARGEST)
    return np.stack([x, y], axis=1).astype(np.float32)


def _framed(points: Vectors) -> Vectors:
    """The points in a square from 0 to 1, in each direction halfway between their places and their ranks: a few that
    are far away do not make the rest small, and dense parts get room."""
    low, high = points.min(axis=0), points.max(axis=0)
    places = (points - low) / np.maximum(high - low, 1e-9)
    ranks = np.stack([_ranks(points[:, axis]) for axis in (0, 1)], axis=1)
    framed: Vectors = (0.02 + 0.96 * (places + ranks) / 2).astype(np.float32)
    return framed


def _ranks(values: Vectors) -> npt.NDArray[np.float64]:
    """From 0 to 1; equal values have one rank."""
    different, of = np.unique(values, return_inverse=True)
    return of / max(len(different) - 1, 1)


def _clusters(flat: Vectors, typical: int, random: np.random.Generator) -> tuple[Places, list[Places]]:
    """Clusters by k-means, begun from points that are far from each other."""
    n = len(flat)
    k = max(1, min(n, 24, round(np.sqrt(n / 12))))
    squares = (flat**2).sum(axis=1)
    centres = flat[[random.integers(n)]]
    for _ in range(k - 1):
        nearest = _away(flat, squares, centres).min(axis=1)
        total = nearest.sum()
        one = int(np.searchsorted(np.cumsum(nearest), random.random() * total)) if total > 0 else 0
        centres = np.concatenate([centres, flat[[min(one, n - 1)]]])
    for _ in range(_ROUNDS):
        of = _away(flat, squares, centres).argmin(axis=1)
        for one in range(k):
            if (mine := of == one).any():
                centres[one] = flat[mine].mean(axis=0)
    away = _away(flat, squares, centres)
    of = away.argmin(axis=1)
    sizes = np.bincount(of, minlength=k)
    order = np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]
    number = np.empty(k, np.int64)
    number[order] = np.arange(len(order))
    named = []
    for one in order.tolist():
        mine = np.flatnonzero(of == one)
        named.append(mine[np.argsort(away[mine, one], kind="stable")[:typical]])
    return number[of], named


def _away(flat: Vectors, squares: Vectors, centres: Vectors) -> Vectors:
    """The square of the distance of each vector from each centre."""
    away: Vectors = np.maximum(squares[:, None] - 2 * (flat @ centres.T) + (centres**2).sum(axis=1), 0)
    return away
