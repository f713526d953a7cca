"""The nearest of the other side, both ways: exactly whatever the blocks, nearly by a graph."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import StepError
from curate.vectors import knn as neighbours


def unit(draw: np.random.Generator, count: int, width: int = 16) -> np.ndarray:
    vectors = draw.standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 6), st.integers(0, 99))
def test_exact_search_finds_what_sorting_everything_finds(left, right, k, seed):
    draw = np.random.default_rng(seed)
    x, y = unit(draw, left), unit(draw, right)
    for found, cosines in zip(neighbours.exact(x, y, k), (x @ y.T, y @ x.T), strict=True):
        best = -np.sort(-cosines, axis=1)[:, :k]
        assert found.places.shape == (len(cosines), k)
        np.testing.assert_allclose(found.cosines[:, : best.shape[1]], best, atol=1e-6)
        assert (found.places[:, best.shape[1] :] == -1).all()
        rows = np.arange(len(cosines))[:, None]
        np.testing.assert_allclose(cosines[rows, found.places[:, : best.shape[1]]], best, atol=1e-6)


def test_neither_memory_nor_threads_change_a_bit():
    draw = np.random.default_rng(1)
    x, y = unit(draw, 2500), unit(draw, 5000)
    one = neighbours.exact(x, y, 4, memory=1 << 30, threads=1)
    other = neighbours.exact(x, y, 4, memory=1, threads=3)
    for a, b in zip(one, other, strict=True):
        assert a.places.tobytes() == b.places.tobytes()
        assert a.cosines.tobytes() == b.cosines.tobytes()


def test_equal_vectors_are_taken_in_order_of_place():
    x = np.tile(np.asarray([[1, 0]], np.float32), (3, 1))
    y = np.tile(np.asarray([[1, 0]], np.float32), (6, 1))
    found, _ = neighbours.exact(x, y, 2)
    assert found.places.tolist() == [[0, 1]] * 3


def test_zero_vectors_are_near_nothing_and_break_nothing():
    x = np.zeros((3, 4), np.float32)
    found, back = neighbours.exact(x, unit(np.random.default_rng(0), 5, 4), 2)
    assert (found.cosines == 0).all()
    assert (back.mean() == 0).all()


def test_progress_reaches_one():
    shares: list[float] = []
    draw = np.random.default_rng(2)
    neighbours.exact(unit(draw, 1500), unit(draw, 9000), 2, memory=1, done=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_the_graph_finds_nearly_all_and_the_same_each_time():
    pytest.importorskip("faiss")
    draw = np.random.default_rng(3)
    base = unit(draw, 8, 64)
    hidden = draw.standard_normal((1500, 8)).astype(np.float32)
    x, y = (hidden @ base + 0.3 * draw.standard_normal((1500, 64)).astype(np.float32) for _ in range(2))
    x, y = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (x, y))
    true, found, again = (
        neighbours.exact(x, y, 4),
        neighbours.approximate(x, y, 4),
        neighbours.approximate(x, y, 4, threads=2),
    )
    for a, b, c in zip(true, found, again, strict=True):
        assert (
            np.mean([len(set(i) & set(j)) / 4 for i, j in zip(a.places.tolist(), b.places.tolist(), strict=True)])
            > 0.97
        )
        assert b.places.tobytes() == c.places.tobytes()


def test_the_graph_copes_with_fewer_vectors_than_neighbours():
    pytest.importorskip("faiss")
    draw = np.random.default_rng(4)
    found, back = neighbours.approximate(unit(draw, 2), unit(draw, 3), 4)
    assert sorted(found.places[0].tolist()) == [-1, 0, 1, 2]
    assert (back.places >= 0).sum() == 6


def test_several_graphs_find_what_one_does(monkeypatch):
    pytest.importorskip("faiss")
    draw = np.random.default_rng(5)
    x, y = unit(draw, 200, 8), unit(draw, 600, 8)
    one = neighbours.approximate(x, y, 4)[0]
    monkeypatch.setattr(neighbours, "_GRAPH", 250)
    assert (neighbours.approximate(x, y, 4)[0].places == one.places).mean() > 0.98


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    draw = np.random.default_rng(6)
    with pytest.raises(StepError, match=r"polycurate\[mine\].*neighbours: exact"):
        neighbours.approximate(unit(draw, 2), unit(draw, 2), 1)


def test_the_graph_is_chosen_where_both_sides_are_large():
    assert neighbours.choose(1000, 50_000_000) == "approximate"
    assert neighbours.choose(100_000, 100_000) == "exact"
