"""Leaving words out: without any of its words a translation is farther from the item; another question is as near, or
nearer, without the word that makes it another.

This is the sign that separates questions about one topic (*When was it founded?*, *Who founded it?*), for which whole
vectors and vectors of single words are too coarse. In scripts without spaces, a few characters stand for a word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

Floats = npt.NDArray[np.float64]
Encode = Callable[[list[str]], Any]
FEATURES = tuple(f"{side}, {what}" for side in ("item", "text") for what in ("nearest", "mean", "least"))
_TOKEN = regex.compile(r"\p{Nd}+|[\p{L}\p{M}']+")
_WINDOWS = (
    (regex.compile(r"\p{Han}|\p{Hiragana}|\p{Katakana}"), 2),
    (regex.compile(r"\p{Thai}|\p{Lao}|\p{Khmer}|\p{Myanmar}"), 5),
)
# Of longer texts only the start is compared, and so many words are left out, spread evenly.
_CHARS, _MOST = 400, 24
# A word whose absence hardly moves the text itself says nothing about the other.
_LEAST_MOVED = 0.05


def shortened(text: str) -> list[str]:
    """The text without each of its words in turn."""
    spans: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text):
        size = next((size for script, size in _WINDOWS if script.search(match[0])), len(match[0]))
        spans += [(at, min(at + size, match.end())) for at in range(match.start(), match.end(), size)]
    step = max(1.0, len(spans) / _MOST)
    chosen = [spans[int(number * step)] for number in range(min(len(spans), _MOST))]
    return [text[:start] + text[end:] for start, end in chosen]


def compare(pairs: Sequence[tuple[str, str]], encode: Encode) -> Floats:
    """:data:`FEATURES` of each pair (text, item): how much nearer the other side is without a word of this one, for the
    word where it is nearest, on average (words weighing by how much they move their own text), and the least share of
    that move."""
    cut = [(text[:_CHARS], item[:_CHARS]) for text, item in pairs]
    parts = {side: shortened(side) for pair in cut for side in pair}
    every = list(dict.fromkeys([*parts, *(one for some in parts.values() for one in some)]))
    vectors = np.asarray(encode(every), np.float32) if every else np.zeros((0, 1), np.float32)
    place = {one: number for number, one in enumerate(every)}

    def side(one: str, other: str) -> tuple[float, float, float]:
        if not parts[one]:
            return 0.0, 0.0, 0.0
        whole, target = vectors[place[one]], vectors[place[other]]
        without = vectors[[place[part] for part in parts[one]]]
        nearer = (without @ target - whole @ target).astype(np.float64)
        moved = np.maximum(0.0, 1 - (without @ whole).astype(np.float64))
        mean = float(nearer @ moved / moved.sum()) if moved.sum() > 0 else 0.0
        return float(nearer.max()), mean, float((-nearer / (moved + _LEAST_MOVED)).min())

    # Rounded, because a product's last bits depend on the batch.
    return np.round(np.array([[*side(item, text), *side(text, item)] for text, item in cut]).reshape(-1, 6), 4)
