"""Near-duplicate pairs by characters: MinHash candidates, exact similarity, and vetoes for what was substituted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.duplicates import minhash
from filters.duplicates.columns import SummaryColumns
from filters.duplicates.files import Files
from filters.duplicates.minhash import BandTable, Measure, Pairs, Places
from filters.duplicates.near import UniqueTexts
from filters.duplicates.substitutions import Vetoes

# Texts with typing errors share few shingles: more and longer bands of the same signature are needed.
_TURNS: Mapping[Measure, int] = {"jaccard": 1, "edits": 4}


def pairs(
    columns: SummaryColumns,
    unique: UniqueTexts,
    similarity: float,
    measure: Measure,
    sizes: Mapping[str, int],
    bands: tuple[int, int] | None,
    files: Files,
    vetoes: Vetoes,
) -> Iterator[Pairs]:
    """The pairs of unique texts in one block that are similar in every field, and between which nothing is vetoed.

    Args:
        bands: (bands, numbers a band); None: chosen by the similarity.
    """

    def veto(left: Places, right: Places) -> npt.NDArray[np.bool_]:
        same = [one[left] == one[right] for one in (columns.numbers, columns.negation)]
        languages = [columns.languages[code] for code in columns.language[left].tolist()]
        vetoed = np.zeros(len(left), bool)
        for one in columns.texts:
            a, b = (one.take(pa.array(side)).to_pylist() for side in (left, right))
            vetoed |= vetoes.of(a, b, languages, *same)
        return vetoed

    chosen = bands or minhash.bands(minhash.min_jaccard(similarity, measure), columns.data.shape[1], _TURNS[measure])
    table = BandTable(
        columns.data,
        columns.texts,
        unique.rows,
        columns.block,
        *chosen,
        files,
        columns.facts.fixed,
        (columns.numbers, columns.number_count) if vetoes.numbers else None,
    )
    return minhash.similar_pairs(table, similarity, measure, sizes, veto if vetoes.any else None)
