"""k nearest neighbours between two sets of vectors, in both directions at once; exact, or approximate for large sets.

Exact search multiplies blocks of vectors and keeps the best k of each row and column. Vectors may be on disk; memory
holds one block and the neighbours. Approximate search uses faiss' HNSW (Malkov and Yashunin 2018), built by one thread
so that equal vectors give an equal graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.errors import StepError

Vectors = npt.NDArray[np.float32]
Places = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

# Fixed sizes, so that neither memory nor threads can change the last bit of a product.
_ROWS, _COLUMNS = 1024, 4096
# A graph over more vectors would not fit beside the rest: there are several then, and each is searched.
_GRAPH = 262_144
_LINKS, _BUILD, _SEARCH = 32, 80, 128
# Pairs of texts above which the graph is clearly faster; so many exact products take about seven minutes of two cores.
_MANY = 2e10


@dataclass(frozen=True)
class Nearest:
    """The nearest texts of the other side for each text of one side."""

    cosines: Vectors
    """Cosines, best first, shape (texts, k); ``-inf`` if there are fewer."""
    places: Places
    """Indices on the other side; -1 if there are fewer."""

    def mean(self) -> npt.NDArray[np.float64]:
        """The mean cosine of the neighbours; 0 if there are none."""
        there = self.places >= 0
        total = np.where(there, self.cosines, 0).sum(axis=1, dtype=np.float64)
        mean: npt.NDArray[np.float64] = total / np.maximum(there.sum(axis=1), 1)
        return mean


def choose(left: int, right: int) -> str:
    """``exact`` or ``approximate``, by the sizes of the two sides."""
    return "approximate" if left * right > _MANY else "exact"


# --------------------------------------------------------------------------------------------------------------- exact
class _Best:
    """The best k of every row so far; ties go to the lower index, so that the order of work has no effect."""

    def __init__(self, count: int, k: int) -> None:
        self.k = k
        self.cosines = np.full((count, k), -np.inf, np.float32)
        self.places = np.full((count, k), -1, np.int32)

    def candidates(self, products: Vectors, first: int) -> tuple[Places, Places, Vectors]:
        """The (row, column, cosine) of a block that may be among the best of the rows from ``first`` on."""
        least = self.cosines[first : first + len(products), -1]
        if products.shape[1] > self.k and np.isneginf(least).any():
            # Nothing is known yet of these rows: no more than the k best of the block itself can count.
            least = np.maximum(least, np.partition(products, -self.k, axis=1)[:, -self.k])
        rows, columns = np.nonzero(products >= least[:, None])
        return rows.astype(np.int32), columns.astype(np.int32), products[rows, columns]

    def add(self, rows: Places, places: Places, cosines: Vectors) -> None:
        """Adds candidates."""
        if not len(rows):
            return
        touched, local = np.unique(rows, return_inverse=True)
        row = np.concatenate([np.repeat(np.arange(len(touched)), self.k), local])
        cosine = np.concatenate([self.cosines[touched].ravel(), cosines])
        place = np.concatenate([self.places[touched].ravel(), places])
        order = np.lexsort((place, -cosine, row))
        begins = np.searchsorted(row[order], np.arange(len(touched)))
        kept = order[begins[:, None] + np.arange(self.k)]
        self.cosines[touched], self.places[touched] = cosine[kept], place[kept]

    def found(self) -> Nearest:
        return Nearest(self.cosines, self.places)


def exact(
    left: Vectors,
    right: Vectors,
    k: int,
    *,
    memory: int = 1 << 30,
    threads: int = 1,
    done: Callable[[float], None] | None = None,
) -> tuple[Nearest, Nearest]:
    """The exact k nearest of ``right`` for each of ``left``, and the other way round.

    Args:
        left: unit-length vectors (n, d); an array, or one mapped from a file.
        right: the same, (m, d).
        memory: bytes for blocks of vectors. It changes how often ``right`` is read, never the result.
        threads: number of blocks multiplied at once.
        done: called with the share (0 to 1) that is done.

    Returns:
        ``k`` neighbours each; fewer (see :class:`Nearest`) if the other side has fewer.
    """
    rows, columns = _Best(len(left), k), _Best(len(right), k)
    width = max(1, left.shape[1]) * 4
    at_once = max(1, memory // 2 // (width * _ROWS)) * _ROWS

    def multiply(task: tuple[int, int, Vectors, Vectors]) -> tuple[Places, Places, Vectors]:
        first, second, block, other = task
        products = block @ other.T
        row, column, cosine = rows.candidates(products, first)
        rows.add(row + np.int32(first), column + np.int32(second), cosine)
        column, row, cosine = columns.candidates(np.ascontiguousarray(products.T), second)
        return column + np.int32(second), row + np.int32(first), cosine

    with _one_thread_each(), ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(left), at_once):
            held = np.ascontiguousarray(left[start : start + at_once])
            for second in range(0, len(right), _COLUMNS):
                other = np.ascontiguousarray(right[second : second + _COLUMNS])
                tasks = [(start + at, second, held[at : at + _ROWS], other) for at in range(0, len(held), _ROWS)]
                # In waves: what one has found spares the next most of its candidates.
                for wave in range(0, len(tasks), threads):
                    for found in pool.map(multiply, tasks[wave : wave + threads]):
                        columns.add(*found)
                if done is not None:
                    ready = start * len(right) + len(held) * min(second + _COLUMNS, len(right))
                    done(ready / (len(left) * len(right)))
    return rows.found(), columns.found()


def _one_thread_each() -> AbstractContextManager[object]:
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


# --------------------------------------------------------------------------------------------------------- approximate
def approximate(
    left: Vectors,
    right: Vectors,
    k: int,
    *,
    threads: int = 1,
    done: Callable[[float], None] | None = None,
) -> tuple[Nearest, Nearest]:
    """The approximate k nearest, in the form of :func:`exact`; a graph takes about 2.4 GB per million 512-dimensional
    vectors.

    Raises:
        StepError: faiss is not installed.
    """
    report = done or (lambda _share: None)
    first = _search(left, right, k, threads, lambda share: report(share / 2))
    return first, _search(right, left, k, threads, lambda share: report(0.5 + share / 2))


def _search(queries: Vectors, pool: Vectors, k: int, threads: int, done: Callable[[float], None]) -> Nearest:
    faiss = _faiss()
    best = _Best(len(queries), k)
    before = faiss.omp_get_max_threads()
    try:
        for start in range(0, len(pool), _GRAPH):
            faiss.omp_set_num_threads(1)  # several would link the vectors in the order in which they happen to finish
            graph = faiss.IndexHNSWFlat(pool.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
            graph.hnsw.efConstruction, graph.hnsw.efSearch = _BUILD, max(_SEARCH, 2 * k)
            for block in _blocks(pool[start : start + _GRAPH]):
                graph.add(block)
            faiss.omp_set_num_threads(threads)
            at = 0
            for block in _blocks(queries):
                cosines, places = graph.search(block, min(k, graph.ntotal))
                there = places >= 0
                rows = np.nonzero(there)[0].astype(np.int32) + np.int32(at)
                best.add(rows, places[there].astype(np.int32) + np.int32(start), cosines[there])
                at += len(block)
            done(min(start + _GRAPH, len(pool)) / len(pool))
    finally:
        faiss.omp_set_num_threads(before)
    return best.found()


def _blocks(vectors: Vectors) -> Iterator[Vectors]:
    for start in range(0, len(vectors), _COLUMNS):
        yield np.ascontiguousarray(vectors[start : start + _COLUMNS], np.float32)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise StepError(
            "approximate neighbours need a package: pip install 'polycurate[mine]'; or write 'neighbours: exact'"
        ) from None
    return faiss
