"""Sentence alignment: finds sentences of one side without a counterpart on the other.

The cheapest alignment in order is computed twice, by dynamic programming: with unaligned sentences allowed, and
without. One sentence may align with up to four consecutive ones, or two with two. The lengths of Gale and Church (1993)
and, with an encoder, cosines give the cost of each pair. The extra cost of leaving no sentence unaligned is the
evidence for a missing sentence, in nats.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.text import segmentation as text

Floats = npt.NDArray[np.float64]
LONGEST = 40
"""With more sentences nothing is aligned."""
MOST = 12.0
_SENTENCE_LETTERS = 12.0
# (sentences of the source, of the target): the base cost of each kind of bead.
_BEADS = {(1, 1): 0.1, (1, 2): 2.5, (2, 1): 2.5, (2, 2): 4.5, (1, 3): 5.0, (3, 1): 5.0, (1, 4): 7.0, (4, 1): 7.0}
# The base cost of an unaligned sentence; it is not part of the evidence.
_LEFT_OVER = 6.0
# How far true sentence pairs scatter around the usual length ratio: wider than whole texts.
_FLOOR, _PER_LETTER = 0.03, 1.6
_DEAREST_LENGTH = 4.0
# Cosines of sentences that mean the same: mean and standard deviation.
_COSINE, _SPREAD, _DEAREST_COSINE = 0.72, 0.12, 4.0


def split(sentences: pl.Series) -> list[list[str]]:
    """Each text's sentences (lists); very short ones are merged with the one before."""
    result = []
    for pieces in sentences.to_list():
        joined: list[str] = []
        for one in pieces:
            if joined and _worth(one) < _SENTENCE_LETTERS:
                joined[-1] += " " + one
            else:
                joined.append(one)
        result.append(joined[:64])
    return result


def _worth(one: str) -> float:
    """The approximate length of a text in Latin letters."""
    return len(one) if one.isascii() else sum(3 if char > "\u2e80" else 1 for char in one)


def windows(pieces: Sequence[str]) -> list[str]:
    """All sentences, and all pairs of consecutive ones."""
    return [*pieces, *(f"{one} {other}" for one, other in itertools.pairwise(pieces))]


Bead = tuple[int, int]
"""How many sentences of each side are aligned with each other."""


@dataclass(frozen=True)
class SentenceAlignment:
    """The alignment of two sides' sentences."""

    missing_sentence: float
    """How much more it costs (nats, 0 to 12) to align all sentences than to leave some unaligned, taking both as
    equally likely; NaN where there are too many sentences."""
    beads: tuple[Bead, ...] = ()
    """The aligned groups in order, with no sentence unaligned; empty where unknown."""


def align(
    pieces: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    usual: Sequence[float],
    vectors: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> list[SentenceAlignment]:
    """Aligns each pair's sentences.

    Args:
        usual: for each pair, letters of the target per letter of the source; NaN where unknown, and nothing is aligned.
        vectors: unit vectors of all sentences.
    """
    alignments = [SentenceAlignment(float("nan"))] * len(usual)
    rows = [row for row, sides in enumerate(zip(*pieces, strict=True)) if all(sides) and not np.isnan(usual[row])]
    several = [row for row in rows if len(pieces[0][row]) + len(pieces[1][row]) > 2]
    distinct = {
        one: number
        for number, one in enumerate(dict.fromkeys(one for row in several for side in pieces for one in side[row]))
    }
    letters = text.letter_weights(pl.Series(list(distinct), dtype=pl.String))["letters"].to_numpy().astype(np.float64)
    for row in rows:
        alignments[row] = SentenceAlignment(0.0, ((1, 1),))
    for row in several:
        sides = pieces[0][row], pieces[1][row]
        sizes = [letters[[distinct[one] for one in side]] for side in sides]
        known = None
        if vectors is not None:
            each = [np.stack([vectors[one] for one in side]).astype(np.float64) for side in sides]
            known = each[0], each[1]
        alignments[row] = align_sizes((sizes[0], sizes[1]), usual[row], known)
    return alignments


def align_sizes(
    sizes: tuple[Floats, Floats], usual: float, vectors: tuple[Floats, Floats] | None = None
) -> SentenceAlignment:
    """Aligns one pair's sentences.

    Args:
        sizes: letters of each side's sentences.
        usual: letters of the target per letter of the source.
        vectors: unit vectors of each side's sentences.
    """
    rows, columns = len(sizes[0]), len(sizes[1])
    if not min(rows, columns) or max(rows, columns) > LONGEST:
        return SentenceAlignment(float("nan"))
    costs = {bead: (_costs(bead, sizes, usual, vectors) + dear).tolist() for bead, dear in _BEADS.items()}
    nothing = float("inf")
    whole = [[nothing] * (columns + 1) for _ in range(rows + 1)]
    left = [[nothing] * (columns + 1) for _ in range(rows + 1)]
    steps: dict[Bead, Bead] = {}
    whole[0][0] = 0.0
    for i in range(rows + 1):
        for j in range(columns + 1):
            for (up, back), cost in costs.items():
                if i >= up and j >= back:
                    here = cost[i - up][j - back]
                    if whole[i - up][j - back] + here < whole[i][j]:
                        whole[i][j] = whole[i - up][j - back] + here
                        steps[i, j] = up, back
                    left[i][j] = min(left[i][j], left[i - up][j - back] + here)
            for up, back in ((1, 0), (0, 1)):
                if i >= up and j >= back:
                    before = min(whole[i - up][j - back], left[i - up][j - back])
                    left[i][j] = min(left[i][j], before + _LEFT_OVER)
    if whole[rows][columns] == nothing:
        return SentenceAlignment(float("nan"))
    beads: list[Bead] = []
    i, j = rows, columns
    while i or j:
        beads.append(steps[i, j])
        i, j = i - beads[-1][0], j - beads[-1][1]
    evidence = min(max(whole[rows][columns] - left[rows][columns] + _LEFT_OVER, 0.0), MOST)
    return SentenceAlignment(evidence, tuple(reversed(beads)))


def aligned_texts(
    pieces: tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]],
    alignments: Sequence[SentenceAlignment],
    whole: tuple[pl.Series, pl.Series],
) -> tuple[pl.Series, pl.Series]:
    """The aligned groups as texts: two lists of equal length for each pair, with the whole texts where nothing was
    aligned."""
    sides: tuple[list[list[str]], list[list[str]]] = ([], [])
    for row, one in enumerate(alignments):
        for number, side in enumerate(sides):
            if not one.beads:
                side.append([whole[number][row] or ""])
                continue
            ends = list(itertools.accumulate(bead[number] for bead in one.beads))
            starts = [0, *ends[:-1]]
            side.append([" ".join(pieces[number][row][start:end]) for start, end in zip(starts, ends, strict=True)])
    return pl.Series(sides[0], dtype=pl.List(pl.String)), pl.Series(sides[1], dtype=pl.List(pl.String))


def _costs(
    bead: tuple[int, int], sizes: tuple[Floats, Floats], usual: float, vectors: tuple[Floats, Floats] | None
) -> Floats:
    """The cost of each bead of a kind, by its first sentences."""
    first, second = (_sums(side, wide) for side, wide in zip(sizes, bead, strict=True))
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    expected = first[:, None] * usual
    ratio = np.log((second[None, :] + 8.0) / (expected + 8.0))
    variance = _FLOOR + _PER_LETTER / np.maximum((expected + second[None, :]) / 2, 1.0)
    costs = np.minimum(ratio**2 / variance / 2, _DEAREST_LENGTH)
    if vectors is not None:
        sides = [_unit(_sums(side, wide)) for side, wide in zip(vectors, bead, strict=True)]
        short = np.maximum(_COSINE - sides[0] @ sides[1].T, 0.0) / _SPREAD
        costs = costs + np.minimum(short**2 / 2, _DEAREST_COSINE)
    return costs


def _sums(side: Floats, wide: int) -> Floats:
    """Sums of ``wide`` consecutive sentences."""
    if wide > len(side):
        return side[:0]
    return np.asarray(np.sum([side[at : len(side) - wide + 1 + at] for at in range(wide)], axis=0), np.float64)


def _unit(side: Floats) -> Floats:
    return np.asarray(side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9), np.float64)
