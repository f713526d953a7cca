"""Two texts are one with typing errors when few signs have to be changed, and when these are letters here and there.

The distance counts replaced, missing, added and exchanged signs (optimal string alignment); signs are graphemes, so
that a letter with its marks counts once. A changed word is another matter: "a dog" and "a cat" are three letters apart,
"is" and "is not" four, and no count of letters tells that from carelessness. So words are looked at too, where they can
be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.text import segmentation as text
from filters.duplicates import guards

Flags = npt.NDArray[np.bool_]
_UNSPACED = "".join(rf"\p{{Script={name}}}" for name in text.UNSPACED if name != "Hangul")
# Words of scripts that have blanks between them.
_WORDS = regex.compile(rf"(?V1)[[\p{{L}}\p{{M}}']--[{_UNSPACED}]]+")
# A word is another one, not a mistyped one, if half of its letters or more are changed; and mistyping does not explain
# it if most of all changes are in such words (ten signs in a hundred changed at random hit one short word twice now and
# then).
_MISTYPED, _MOST, _SHORTEST = 0.5, 0.75, 3
_LONGEST_WORDS = 400


def _signs(one: str) -> str | list[str]:
    bare = "".join(one.split())
    return bare if bare.isascii() else text.graphemes(bare)


def similarity(texts: pl.Series, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """1 - distance / signs of the longer text, for pairs of texts by their numbers.

    A blank is a sign of a text's length, but to add or leave out one is no change.
    """
    from rapidfuzz.distance import OSA

    given = texts.to_list()
    signs = [_signs(one) for one in given]
    lengths = [len(found) + one.count(" ") for found, one in zip(signs, given, strict=True)]
    pairs = zip(left.tolist(), right.tolist(), strict=True)
    return np.fromiter(
        (1 - OSA.distance(signs[a], signs[b]) / max(lengths[a], lengths[b], 1) for a, b in pairs), np.float64, len(left)
    )


def other_words(left: Sequence[str], right: Sequence[str]) -> Flags:
    """Whether what tells each pair apart are words rather than letters."""
    return np.fromiter((_has_other_word(a, b) for a, b in zip(left, right, strict=True)), bool, len(left))


def _changes(left: str, right: str) -> list[tuple[list[str], list[str]]]:
    """The words of either side that the other has not in their place; nothing for texts of very many words."""
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
        # A word that is only missing on the other side leaves no replaced letter, or few of them.
        inside = int(((touched >= start) & (touched < end)).sum())
        other = int(((replaced >= start) & (replaced < end)).sum())
        if end - start >= _SHORTEST and inside > _MISTYPED * (end - start) and 2 * other >= inside:
            strange += inside
    return strange > 0 and strange >= _MOST * len(changes)


def flipped(left: Sequence[str], right: Sequence[str], languages: Sequence[str]) -> Flags:
    """Whether one of each pair, which differ in their negating words, says the contrary of the other.

    A negating word that is only mistyped (nto) says the same still; in scripts without blanks every difference counts.
    """
    return np.fromiter((_is_flipped(*each) for each in zip(left, right, languages, strict=True)), bool, len(left))


def _is_flipped(left: str, right: str, language: str) -> bool:
    from rapidfuzz.distance import OSA

    changes = _changes(left, right) if guards.has_words(language) else []
    if not changes:
        return True
    for one, other in changes:
        sides = [guards.negators(side, language) for side in (one, other)]
        if sides[0] == sides[1]:
            continue
        first, second = "".join(one), "".join(other)
        if OSA.distance(first, second) > _MISTYPED * max(len(first), len(second)) or not first or not second:
            return True
        # Run together with their neighbours (cannot, can not) or mistyped: most letters of the piece are there.
        words = {word for side in sides for word in side}
        if any(OSA.distance(first, second) >= len(word) for word in words):
            return True
    return False
