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


def _characters(one: str) -> str | list[str]:
    bare = "".join(one.split())
    return bare if bare.isascii() else text.graphemes(bare)


def similarity(texts: pl.Series, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """1 - distance / characters of the longer text, for pairs of texts by their numbers.

    A space counts in the length of a text, but adding or removing one is no edit.
    """
    from rapidfuzz.distance import OSA

    strings = texts.to_list()
    characters = [_characters(one) for one in strings]
    lengths = [len(split) + one.count(" ") for split, one in zip(characters, strings, strict=True)]
    pairs = zip(left.tolist(), right.tolist(), strict=True)
    return np.fromiter(
        (1 - OSA.distance(characters[a], characters[b]) / max(lengths[a], lengths[b], 1) for a, b in pairs),
        np.float64,
        len(left),
    )
