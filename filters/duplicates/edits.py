"""Edit similarity: the share of characters that need no change.

The distance counts replaced, missing, added and transposed characters (optimal string alignment). Characters are
graphemes: a letter with its marks counts once. "a dog" and "a cat" differ in three letters, "is" and "is not" in four,
which no count of letters separates from typing errors: :mod:`filters.duplicates.substitutions` compares the words.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.text import segmentation as text

_WHITESPACE = r"[\s\x1c-\x1f]+"


def similarity(
    texts: pl.Series, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], enough: float = 0.0
) -> npt.NDArray[np.float64]:
    """1 - distance / characters of the longer text, for pairs of texts by their numbers. One below ``enough`` is not
    exact, but below.

    A space counts in the length of a text, but adding or removing one is no edit.
    """
    from rapidfuzz.distance import OSA

    joined = texts.str.replace_all(_WHITESPACE, "")
    characters: list[str | list[str]] = joined.to_list()
    for number in (joined.str.len_bytes() != joined.str.len_chars()).arg_true().to_list():
        characters[number] = text.graphemes(joined[number])
    bare = np.fromiter(map(len, characters), np.int64, len(characters))
    whole = bare + texts.str.count_matches(" ", literal=True).to_numpy()
    longer = np.maximum(np.maximum(whole[left], whole[right]), 1)
    # More edits than this are too many; one more for what rounding may do.
    most = ((1 - enough) * longer).astype(np.int64) + 1
    # As many are needed as one text has more characters.
    distance = np.abs(bare[left] - bare[right])
    close = np.flatnonzero(distance <= most)
    pairs = zip(left[close].tolist(), right[close].tolist(), most[close].tolist(), strict=True)
    distance[close] = np.fromiter(
        (OSA.distance(characters[a], characters[b], score_cutoff=limit) for a, b, limit in pairs), np.int64, len(close)
    )
    share: npt.NDArray[np.float64] = 1 - distance / longer
    return share
