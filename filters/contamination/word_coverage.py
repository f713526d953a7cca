"""A translation has a counterpart for each word of the item; another question about the same thing lacks that of one or
two.

Sentence vectors of both are near each other. So what comes near as a whole is compared word by word with the same
encoder: each word of the item with the word of the text that is nearest to it, rare words counting more (the recall of
BERTScore, Zhang et al. 2020, with vectors of words by themselves). Where no blanks part words, runs of some signs stand
for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

Floats = npt.NDArray[np.float64]
Encode = Callable[[list[str]], Any]
FEATURES = ("words", "least words", "words back")
_TOKEN = regex.compile(r"\p{Nd}+|[\p{L}\p{M}]+")
_WINDOWS = (
    (regex.compile(r"\p{Han}|\p{Hiragana}|\p{Katakana}"), (2, 3, 4)),
    (regex.compile(r"\p{Thai}|\p{Lao}|\p{Khmer}|\p{Myanmar}"), (3, 4, 5, 6, 8)),
)
_MOST = 400
_LEAST = 3


def tokens(text: str) -> tuple[list[str], bool]:
    """The different words of a text, or runs of signs that may be some; whether they are such runs."""
    found: dict[str, None] = {}
    windows = False
    for match in _TOKEN.finditer(text):
        one = match.group().casefold()
        sizes = next((sizes for script, sizes in _WINDOWS if script.match(one)), ())
        if not sizes:
            found[one] = None
            continue
        windows = True
        signs = regex.findall(r"\X", one)
        for size in sizes:
            found.update(dict.fromkeys("".join(signs[at : at + size]) for at in range(max(1, len(signs) - size + 1))))
    return list(found)[:_MOST], windows


def compare(pairs: Sequence[tuple[str, str]], rarity: Callable[[str], float], encode: Encode) -> Floats:
    """:data:`FEATURES` of each pair (text, item): the mean of the item's words by rarity; the mean of the three that
    have least; how well the text's words are in the item, of runs the best third.

    Args:
        rarity: of a word of the items, 0 to 1.
        encode: texts → unit vectors.
    """
    split = [(tokens(text), tokens(item)[0]) for text, item in pairs]
    every = list(dict.fromkeys(word for (mine, _), theirs in split for word in (*mine, *theirs)))
    vectors = np.asarray(encode(every), np.float32) if every else np.zeros((0, 1), np.float32)
    place: Mapping[str, int] = {word: number for number, word in enumerate(every)}
    found = np.zeros((len(pairs), len(FEATURES)))
    for number, ((mine, windows), theirs) in enumerate(split):
        if not mine or not theirs:
            continue
        cosines = np.clip(vectors[[place[one] for one in mine]] @ vectors[[place[one] for one in theirs]].T, 0, 1)
        weights = np.array([0.1 + rarity(one) for one in theirs])
        best, back = cosines.max(axis=0), np.sort(cosines.max(axis=1))
        back = back[-max(1, len(back) // 3) :] if windows else back[:_LEAST]
        found[number] = (best @ weights / weights.sum(), np.sort(best)[:_LEAST].mean(), back.mean())
    # Rounded, for a product's last bits depend on what is encoded and multiplied together.
    return np.round(found, 4)
