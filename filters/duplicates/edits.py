"""Edit similarity: recognises typing errors, and distinguishes them from changed words.

The distance counts replaced, missing, added and transposed characters (optimal string alignment). Characters are
graphemes: a letter with its marks counts once. Changed words need a check of their own: "a dog" and "a cat" differ in
three letters, "is" and "is not" in four, which no count of letters separates from typing errors. So words are compared
too, in scripts that separate them.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.text import segmentation as text
from filters.duplicates import mismatch_veto

Flags = npt.NDArray[np.bool_]
_UNSPACED = "".join(rf"\p{{Script={name}}}" for name in text.UNSPACED if name != "Hangul")
# Words of scripts with spaces between words.
_WORDS = regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}']--[{_UNSPACED}]]+")
# A word is replaced, not mistyped, if at least half of its letters are changed. Two texts differ in words if most of
# all changes are in replaced words: random errors in ten of a hundred characters occasionally hit one short word twice.
_MISTYPED, _MOST, _SHORTEST = 0.5, 0.75, 3
_LONGEST_WORDS = 400


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


def other_words(left: Sequence[str], right: Sequence[str]) -> Flags:
    """Whether each pair differs in whole words rather than in letters."""
    return np.fromiter((_has_other_word(a, b) for a, b in zip(left, right, strict=True)), bool, len(left))


def _changes(left: str, right: str) -> list[tuple[list[str], list[str]]]:
    """The differing words of either side, aligned; empty for texts with very many words."""
    a, b = _WORDS.findall(left), _WORDS.findall(right)
    if a == b or len(a) + len(b) > _LONGEST_WORDS:
        return []
    codes = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return [(a[a1:a2], b[b1:b2]) for kind, a1, a2, b1, b2 in codes if kind != "equal"]


def _has_other_word(left: str, right: str) -> bool:
    from rapidfuzz.distance import Levenshtein

    changes = Levenshtein.editops(left, right)
    replaced = np.array([at for kind, at, _ in changes if kind == "replace"], np.int64)
    touched = np.array([at for _, at, _ in changes], np.int64)
    strange = 0
    for match in _WORDS.finditer(left) if len(replaced) else ():
        start, end = match.span()
        # A word that is merely missing on the other side has few replaced letters or none.
        inside = int(((touched >= start) & (touched < end)).sum())
        other = int(((replaced >= start) & (replaced < end)).sum())
        if end - start >= _SHORTEST and inside > _MISTYPED * (end - start) and 2 * other >= inside:
            strange += inside
    return strange > 0 and strange >= _MOST * len(changes)


def flipped(left: Sequence[str], right: Sequence[str], languages: Sequence[str]) -> Flags:
    """Whether each pair, which differs in negating words, contradicts itself.

    A mistyped negating word (nto) does not contradict; in scripts without spaces every difference counts.
    """
    return np.fromiter((_is_flipped(*each) for each in zip(left, right, languages, strict=True)), bool, len(left))


def _is_flipped(left: str, right: str, language: str) -> bool:
    from rapidfuzz.distance import OSA

    changes = _changes(left, right) if mismatch_veto.has_words(language) else []
    if not changes:
        return True
    for one, other in changes:
        sides = [mismatch_veto.negators(side, language) for side in (one, other)]
        if sides[0] == sides[1]:
            continue
        first, second = "".join(one), "".join(other)
        if OSA.distance(first, second) > _MISTYPED * max(len(first), len(second)) or not first or not second:
            return True
        # Joined with a neighbour (cannot, can not) or mistyped: most letters of the span are unchanged.
        words = {word for side in sides for word in side}
        if any(OSA.distance(first, second) >= len(word) for word in words):
            return True
    return False
