"""Near-duplicate pairs by characters: MinHash candidates, exact similarity, and a veto for differing words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.duplicates import edits, minhash
from filters.duplicates.minhash import BandTable, Measure, Pairs, Places
from filters.duplicates.near import SummaryColumns, UniqueTexts

# Texts with typing errors share few shingles: more and longer bands of the same signature are needed.
_TURNS: Mapping[Measure, int] = {"jaccard": 1, "edits": 4}


def pairs(
    columns: SummaryColumns,
    unique: UniqueTexts,
    similarity: float,
    measure: Measure,
    sizes: Mapping[str, int],
    bands: tuple[int, int] | None,
    memory: int,
    *,
    words: bool,
    negation: bool,
) -> Pairs:
    """The pairs of unique texts in one block that are similar in every field.

    Args:
        bands: (bands, numbers a band); None: chosen by the similarity.
        memory: bytes for the keys of the bands.
        words: for edits, whether texts that differ in a whole word are not a pair.
        negation: whether texts that differ in a negating word are not a pair.
    """

    def veto(left: Places, right: Places) -> npt.NDArray[np.bool_]:
        vetoed = np.zeros(len(left), bool)
        negated = (
            np.flatnonzero(columns.negation[left] != columns.negation[right]) if negation else np.zeros(0, np.int64)
        )
        for one in columns.texts:
            if words and measure == "edits":
                vetoed |= edits.other_words(_texts(one, left), _texts(one, right))
            if len(negated):
                a, b = _texts(one, left[negated]), _texts(one, right[negated])
                languages = [columns.languages[code] for code in columns.language[left[negated]].tolist()]
                vetoed[negated] |= edits.flipped(a, b, languages)
        return vetoed

    chosen = bands or minhash.bands(minhash.min_jaccard(similarity, measure), columns.data.shape[1], _TURNS[measure])
    rows = unique.rows
    fixed = columns.facts.fixed
    table = BandTable(
        columns.data, columns.texts, rows, columns.block[rows], *chosen, None if fixed is None else fixed[rows], memory
    )
    return minhash.similar_pairs(table, similarity, measure, sizes, veto)


def _texts(column: pa.Array, rows: Places) -> list[str]:
    texts: list[str] = column.take(pa.array(rows)).to_pylist()
    return texts
