"""Rows are near copies when enough of their signs are the same, and no word tells them apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.duplicates import edits, minhash
from filters.duplicates.minhash import Board, Measure, Pairs, Places
from filters.duplicates.near import Distinct, Gathered

# Texts with typing errors have few shingles in common: more bands of the same signature, and longer ones.
_TURNS: Mapping[Measure, int] = {"jaccard": 1, "edits": 4}


def pairs(
    found: Gathered,
    things: Distinct,
    similarity: float,
    measure: Measure,
    sizes: Mapping[str, int],
    bands: tuple[int, int] | None,
    memory: int,
    *,
    words: bool,
    negation: bool,
) -> Pairs:
    """The pairs of different texts in one block that are alike in every field.

    Args:
        bands: (bands, numbers a band); None: chosen by the similarity.
        memory: bytes for the keys of the bands.
        words: for edits, whether texts that differ in a word rather than in letters are no pair.
        negation: whether texts that differ in a negating word are no pair.
    """

    def veto(left: Places, right: Places) -> npt.NDArray[np.bool_]:
        vetoed = np.zeros(len(left), bool)
        turned = np.flatnonzero(found.negation[left] != found.negation[right]) if negation else np.zeros(0, np.int64)
        for one in found.texts:
            if words and measure == "edits":
                vetoed |= edits.other_words(_texts(one, left), _texts(one, right))
            if len(turned):
                a, b = _texts(one, left[turned]), _texts(one, right[turned])
                languages = [found.languages[code] for code in found.language[left[turned]].tolist()]
                vetoed[turned] |= edits.flipped(a, b, languages)
        return vetoed

    chosen = bands or minhash.bands(minhash.least_jaccard(similarity, measure), found.data.shape[1], _TURNS[measure])
    rows = things.rows
    fixed = found.facts.fixed
    board = Board(
        found.data, found.texts, rows, found.block[rows], *chosen, None if fixed is None else fixed[rows], memory
    )
    return minhash.alike(board, similarity, measure, sizes, veto)


def _texts(column: pa.Array, rows: Places) -> list[str]:
    told: list[str] = column.take(pa.array(rows)).to_pylist()
    return told
