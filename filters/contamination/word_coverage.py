"""Word coverage: a translation has a counterpart for each word of the item; another question lacks one or two.

Sentence vectors do not separate the two. So pairs that are near as a whole are compared word by word with the same
encoder: each word of the item with the nearest word of the text, rare words weighing more (the recall of BERTScore,
Zhang et al. 2020, with vectors of single words). In scripts without spaces, character n-grams stand for words.
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
    """The distinct words of a text, or character n-grams where words are not separated; and whether there are
    n-grams."""
    words: dict[str, None] = {}
    windows = False
    for match in _TOKEN.finditer(text):
        one = match.group().casefold()
        sizes = next((sizes for script, sizes in _WINDOWS if script.match(one)), ())
        if not sizes:
            words[one] = None
            continue
        windows = True
        chars = regex.findall(r"\X", one)
        for size in sizes:
            words.update(dict.fromkeys("".join(chars[at : at + size]) for at in range(max(1, len(chars) - size + 1))))
    return list(words)[:_MOST], windows


def compare(pairs: Sequence[tuple[str, str]], rarity: Callable[[str], float], encode: Encode) -> Floats:
    """:data:`FEATURES` of each pair (text, item): the mean over the item's words, weighted by rarity; the mean of its
    three worst words; the coverage of the text's words in the item (for n-grams the best third).

    Args:
        rarity: of a word of the items, 0 to 1.
        encode: texts → unit vectors.
    """
    split = [(tokens(text), tokens(item)[0]) for text, item in pairs]
    every = list(dict.fromkeys(word for (mine, _), theirs in split for word in (*mine, *theirs)))
    vectors = np.asarray(encode(every), np.float32) if every else np.zeros((0, 1), np.float32)
    place: Mapping[str, int] = {word: number for number, word in enumerate(every)}
    features = np.zeros((len(pairs), len(FEATURES)))
    for number, ((mine, windows), theirs) in enumerate(split):
        if not mine or not theirs:
            continue
        cosines = np.clip(vectors[[place[one] for one in mine]] @ vectors[[place[one] for one in theirs]].T, 0, 1)
        weights = np.array([0.1 + rarity(one) for one in theirs])
        best, back = cosines.max(axis=0), np.sort(cosines.max(axis=1))
        back = back[-max(1, len(back) // 3) :] if windows else back[:_LEAST]
        features[number] = (best @ weights / weights.sum(), np.sort(best)[:_LEAST].mean(), back.mean())
    # Rounded, because a product's last bits depend on the batch.
    return np.round(features, 4)
