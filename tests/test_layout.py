"""Vectors in a plane: neighbours stay neighbours, groups are found, and it is the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from curate.vectors.layout import laid_out


def groups(count: int, size: int, dimensions: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around some centres, and the centre of each."""
    random = np.random.default_rng(7)
    centres = random.standard_normal((count, dimensions))
    of = np.repeat(np.arange(count), size)
    vectors = centres[of] + 0.4 * random.standard_normal((count * size, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), of


def same_group(points: np.ndarray, of: np.ndarray) -> float:
    """The share of points whose five nearest ones are all of their group."""
    away = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    np.fill_diagonal(away, np.inf)
    return float((of[np.argsort(away, axis=1)[:, :5]] == of[:, None]).all(axis=1).mean())


@pytest.mark.parametrize("landmarks", [600, 150])
def test_neighbours_stay_neighbours(landmarks: int) -> None:
    vectors, of = groups(20, 30)
    made = laid_out(vectors, landmarks=landmarks)
    assert made.points.min() >= 0 and made.points.max() <= 1
    assert same_group(made.points, of) > 0.9
    # The two best directions alone keep far fewer of them.
    flat = vectors - vectors.mean(axis=0)
    assert same_group(flat @ np.linalg.svd(flat, full_matrices=False)[2][:2].T, of) < 0.6


def test_clusters_are_numbered_by_size_and_the_typical_ones_are_theirs() -> None:
    vectors, of = groups(3, 40)
    vectors, of = vectors[:110], of[:110]  # 40, 40, 30
    made = laid_out(vectors, typical=2)
    sizes = np.bincount(made.clusters)
    assert (np.diff(sizes) <= 0).all() and sizes.sum() == 110
    assert len(made.typical) == len(sizes)
    for number, some in enumerate(made.typical):
        assert len(some) == 2 and (made.clusters[some] == number).all()
        assert len(set(of[made.clusters == number])) == 1  # no cluster has rows of two groups


def test_it_is_the_same_every_time() -> None:
    vectors, _ = groups(5, 20)
    one, other = laid_out(vectors, landmarks=50), laid_out(vectors, landmarks=50)
    assert np.array_equal(one.points, other.points) and np.array_equal(one.clusters, other.clusters)


@pytest.mark.parametrize("n", [1, 2, 3, 20])
@pytest.mark.parametrize("same", [True, False])
def test_few_and_equal_vectors(n: int, same: bool) -> None:
    vectors = np.eye(max(n, 2), dtype=np.float32)[:n] if not same else np.ones((n, 4), np.float32) / 2
    made = laid_out(vectors)
    assert made.points.shape == (n, 2) and np.isfinite(made.points).all()
    assert sorted(set(made.clusters.tolist())) == list(range(len(made.typical)))
    assert all(len(some) for some in made.typical)
