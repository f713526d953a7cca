"""Tells texts in a language that no identifier knows, by their letters: such a text gets the name of a language that it
shares few triples of letters with.

For each language the data have its distinctive triples of letters, with how much more frequent they are in it than in
all languages of its script (logarithms), and the mean over ordinary texts in it (``usual``). A text whose mean is far
below that, and whose label few identifiers agree on, is in an unknown language. The weights of this evidence were
fitted on languages and texts apart from those of the measurement (``benchmarks/language_unknown.py fit``); they are
data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.models.langid import language_data as data
from curate.models.langid.ensemble_scoring import split_words
from curate.rows import languages

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
BUCKETS = 1 << 15
STEP = 0.25
"""Unit of the values in the data."""
LEAST_TRIPLES = 8
"""Fewer, those of one or two words, tell nothing."""
_CHARS = 400
_BLANK = ord(" ")
_MOST_ODD, _MOST_AGREEING, _USUAL_LENGTH = 6.0, 3, 25


def find_triples(texts: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
    """The buckets of all triples of letters in texts, given as words, and for each the place of its text.

    A word begins and ends with a blank; no triple spans two words.
    """
    lines = [f" {' '.join(words)[:_CHARS]} " for words in texts]
    sizes = np.fromiter(map(len, lines), np.int64, len(lines))
    points = np.frombuffer("".join(lines).encode("utf-32-le", "surrogatepass"), np.uint32)
    if len(points) < 3:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    own = np.repeat(np.arange(len(lines)), sizes)[:-2]
    inside = (points[1:-1] != _BLANK) & (own == np.repeat(np.arange(len(lines)), sizes)[2:])
    return bucket(points[:-2], points[1:-1], points[2:])[inside], own[inside]


def bucket(first: npt.NDArray[np.uint32], second: npt.NDArray[np.uint32], third: npt.NDArray[np.uint32]) -> Ints:
    """The bucket of each triple of code points, a hash."""
    mixed = first * np.uint32(0x9E3779B1) + second * np.uint32(0x85EBCA77) + third * np.uint32(0xC2B2AE3D)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    buckets: Ints = (mixed >> np.uint32(17)).astype(np.int64)
    return buckets


class Triples:
    """What triples of letters are usual in each language."""

    def __init__(self, languages: Mapping[str, Mapping[str, Any]]) -> None:
        self._row = {tag: row for row, tag in enumerate(languages)}
        self._usual = np.asarray([one["usual"] for one in languages.values()], np.float32)
        self._values = np.empty((len(languages), BUCKETS), np.int8)
        for row, one in enumerate(languages.values()):
            self._values[row] = one["absent"]
            for level, letters in one["triples"].items():
                points = np.frombuffer(letters.encode("utf-32-le"), np.uint32).reshape(-1, 3)
                self._values[row, bucket(points[:, 0], points[:, 1], points[:, 2])] = int(level)

    def __contains__(self, tag: str) -> bool:
        return tag in self._row

    def oddness(self, texts: Sequence[Sequence[str]], tags: Sequence[str]) -> tuple[Floats, Ints]:
        """How much rarer the triples of each text are than usual in a language, and their number.

        Args:
            texts: the words of each text.
            tags: the language of each text; one of :meth:`__contains__`.
        """
        buckets, own = find_triples(texts)
        rows = np.asarray([self._row[tag] for tag in tags], np.int64)
        numbers = np.bincount(own, minlength=len(texts))
        sums = np.bincount(own, self._values[rows[own], buckets], minlength=len(texts))
        means = STEP * sums / np.maximum(numbers, 1)
        return (self._usual[rows] - means).astype(np.float32), numbers


@cache
def shipped() -> Triples:
    """The triples of the shipped data."""
    return Triples(data.triples()["languages"])


def gather_evidence(
    texts: Sequence[str],
    labels: Sequence[str],
    shares: Floats,
    said: Sequence[Sequence[str]],
    knows: npt.NDArray[np.bool_],
    usual: Triples | None = None,
) -> tuple[Ints, Floats]:
    """The places of the texts that can be checked, and for each the evidence, (B, 10).

    Args:
        labels: the label of each text; ``shares`` their probabilities.
        said: what each identifier called each text; empty for nothing.
        knows: (B, M): which identifiers have the label.
    """
    usual = usual or shipped()
    at = np.asarray([place for place, label in enumerate(labels) if label in usual], np.int64)
    if not len(at):
        return at, np.zeros((0, len(data.triples()["weights"])), np.float32)
    odd, numbers = usual.oddness([split_words(texts[place]) for place in at], [labels[place] for place in at])
    names = np.asarray([[_agrees(labels[place], name) for name in said[place]] for place in at], bool)
    agreeing = np.minimum(names.sum(axis=1), _MOST_AGREEING)
    dissenting = (knows[at] & ~names).sum(axis=1)
    odd = np.clip(odd, -_MOST_ODD, _MOST_ODD)
    length = np.log(np.maximum(numbers, 1) / _USUAL_LENGTH)
    likely = np.clip(shares[at], 1e-4, 1 - 1e-4)
    columns = (
        odd,
        odd * length,
        length,
        agreeing,
        agreeing == _MOST_AGREEING,
        dissenting,
        odd * agreeing,
        odd * (agreeing == _MOST_AGREEING),
        np.log(likely / (1 - likely)),
        np.ones(len(at)),
    )
    enough = numbers >= LEAST_TRIPLES
    return at[enough], np.stack([np.asarray(column, np.float32) for column in columns], axis=1)[enough]


@lru_cache(maxsize=65_536)
def _agrees(label: str, said: str) -> bool:
    return bool(said) and (label == said or languages.accepts(label, said))


def probabilities(
    texts: Sequence[str],
    labels: Sequence[str],
    shares: Floats,
    said: Sequence[Sequence[str]],
    knows: npt.NDArray[np.bool_],
) -> Floats:
    """The probability of each text to be in a language that no identifier knows, with the arguments of
    :func:`gather_evidence`; 0 for a label without triples in the data."""
    found = np.zeros(len(texts), np.float32)
    at, given = gather_evidence(texts, labels, shares, said, knows)
    found[at] = 1 / (1 + np.exp(-(given @ np.asarray(data.triples()["weights"], np.float32))))
    return found
