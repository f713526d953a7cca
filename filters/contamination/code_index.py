"""Finds benchmark items in the code of rows, by literals, names and shape that few items have."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import regex

from filters.contamination.code import Program, Span, description, information, is_program, program
from filters.contamination.semantic import likelihood

Floats = npt.NDArray[np.float64]
FEATURES = ("literals", "name", "shape", "part of the shape", "words", "margin")
"""What a pair of an item and a row is judged by; where their meanings are not near ``margin`` is left out."""
_KINDS = ("literals", "names", "shape")
# What more items have tells none of them.
_COMMON = 20
_MOST_CANDIDATES = 8
# The weight of what one item has alone.
_RARE = 5.0
# A name of two words is one of many: a word weighs at most so much, and a name only what is beyond the least.
_WORD_OF_A_NAME, _LEAST_NAME, _MOST_NAME = 3.0, 5.0, 15.0
_MOST_SHAPE = 80.0
_MOST_LITERALS, _SHORT_DESCRIPTION = 8.0, 25.0
# What an item and a text must have in common to be compared.
_LEAST = {"literals": 0.8, "names": _LEAST_NAME, "shape": 15.0}
_WORD = regex.compile(r"[\p{L}\p{M}]{3,}")


@dataclass(frozen=True)
class CodeMatch:
    """An item that the code of a row may be."""

    item: int
    """Its row in the item table."""
    features: Floats
    """:data:`FEATURES`."""
    span: Span
    """From the first to the last place in the text that has something of it."""
    chance: float = 0.0
    """The probability that the code is this item."""


class CodeIndex:
    """The items that are programs, each once: in the first of the preferred languages that it has.

    Args:
        items: as in :func:`filters.contamination.items.make_table`.
        preferred: languages.
    """

    def __init__(self, items: pa.Table, preferred: Sequence[str]) -> None:
        table = items.select(["benchmark", "item", "language", "text", "code"]).to_pydict()
        rank = {tag: place for place, tag in enumerate(preferred)}
        having_code = [number for number, one in enumerate(table["code"]) if one is not None]
        having_code.sort(key=lambda number: (rank.get(table["language"][number], len(rank)), number))
        self.keys = list(zip(table["benchmark"], table["item"], strict=True))
        """Benchmark and item of each row of the table."""
        self._programs: dict[int, Program] = {}
        chosen = dict.fromkeys(self.keys[number] for number in having_code)
        self._words: dict[int, frozenset[str]] = {}
        self._having: dict[str, dict[object, list[int]]] = {kind: defaultdict(list) for kind in _KINDS}
        for number in having_code:
            made = program(table["code"][number])
            if self.keys[number] not in chosen or made is None:
                continue
            del chosen[self.keys[number]]
            self._programs[number] = made
            told = table["text"][number]
            self._words[number] = _words((description(told) if is_program(told) else "") or told)
            for kind in _KINDS:
                for one in getattr(made, kind):
                    self._having[kind][one].append(number)
        self._often = Counter(
            word for made in self._programs.values() for word in {w for name in made.names for w in name.split()}
        )
        self._words_often = Counter(word for words in self._words.values() for word in words)
        self._shapes = {number: self._weight("shape", made.shape) for number, made in self._programs.items()}

    def __len__(self) -> int:
        return len(self._programs)

    def best(self, text: str, margins: Mapping[tuple[str, str], float]) -> CodeMatch | None:
        """The item that the code of a text most likely is.

        Args:
            margins: how much nearer in meaning the text is to some items than to others, by benchmark and item. What
                the prompt of an item not among them says is no evidence: it may say nothing.
        """
        best: CodeMatch | None = None
        for one in self.matches(text, margins):
            features = one.features[None, :] if one.features[-1] > 0 else one.features[None, :-1]
            chance = float(likelihood(features, "code" if one.features[-1] > 0 else "code alone")[0])
            if best is None or chance > best.chance:
                best = replace(one, chance=round(chance, 4))
        return best

    def matches(self, text: str, margins: Mapping[tuple[str, str], float]) -> list[CodeMatch]:
        """The items that share something rare with the code of a text."""
        mine = program(text)
        if mine is None:
            return []
        worth = {kind: self._shared(kind, getattr(mine, kind)) for kind in _KINDS}
        # Each by itself: a word of a name and an addition are in any program.
        shares: dict[int, float] = defaultdict(float)
        for kind in _KINDS:
            for number, value in worth[kind].items():
                shares[number] = max(shares[number], value / _LEAST[kind])
        likely = sorted((number for number in shares if shares[number] >= 1), key=lambda number: -shares[number])
        likely = likely[:_MOST_CANDIDATES]
        words = _words(text) if likely else frozenset[str]()
        return [self._match(number, mine, words, margins.get(self.keys[number], 0.0)) for number in likely]

    def _shared(self, kind: str, some: Iterable[object]) -> Mapping[int, float]:
        """For each item how much what it has in common is worth."""
        total: dict[int, float] = defaultdict(float)
        for one in some:
            having = self._having[kind].get(one, ())
            if len(having) <= _COMMON:
                worth = self._worth(kind, one)
                for number in having:
                    total[number] += worth
        return total

    def _match(self, number: int, mine: Program, words: frozenset[str], margin: float) -> CodeMatch:
        item = self._programs[number]
        common = {kind: [one for one in getattr(mine, kind) if one in getattr(item, kind)] for kind in _KINDS}
        literals = sum(self._worth("literals", one) for one in common["literals"])
        name = max((self._worth("names", one) for one in common["names"]), default=0.0)
        shape = self._weight("shape", common["shape"])
        of_item = shape / max(1.0, self._shapes[number])
        of_row = shape / max(1.0, self._weight("shape", mine.shape))
        told = self._words[number]
        total = sum(self._rarity(self._words_often[word]) for word in told)
        said = sum(self._rarity(self._words_often[word]) for word in told & words)
        enough = min(1.0, shape / _MOST_SHAPE)
        places = [getattr(mine, kind)[one] for kind in _KINDS for one in common[kind]]
        return CodeMatch(
            number,
            np.array(
                [
                    min(_MOST_LITERALS, literals) / 2,
                    min(_MOST_NAME, max(0.0, name - _LEAST_NAME)) / 5,
                    enough * math.sqrt(of_item * of_row),
                    enough * of_item,
                    said / max(_SHORT_DESCRIPTION, total),
                    margin,
                ]
            ),
            (min(start for start, _ in places), max(end for _, end in places)),
        )

    def _worth(self, kind: str, one: object) -> float:
        if kind == "names":
            return sum(min(_WORD_OF_A_NAME, self._rarity(self._often[word])) for word in str(one).split())
        if kind == "literals":
            return _information(one) / max(1, len(self._having[kind].get(one, ())))
        return self._rarity(len(self._having[kind].get(one, ())))

    def _weight(self, kind: str, some: Iterable[object]) -> float:
        return sum(self._worth(kind, one) for one in some)

    def _rarity(self, often: int) -> float:
        """Between 0, of what all items have, and ``_RARE``, however few items there are."""
        return _RARE * max(0.0, 1 - math.log(max(1, often)) / math.log(len(self._programs) + 2))


@lru_cache(maxsize=65_536)
def _information(literals: tuple[str, ...]) -> float:
    return information(literals)


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))


_INDEXES: dict[tuple[str, tuple[str, ...]], CodeIndex] = {}


def code_index_of(items: pa.Table, preferred: Sequence[str]) -> CodeIndex:
    """The index of some items, made once a process."""
    key = (items["digest"][0].as_py() if items.num_rows else "", tuple(preferred))
    if key not in _INDEXES:
        if len(_INDEXES) >= 2:
            _INDEXES.clear()
        _INDEXES[key] = CodeIndex(items, preferred)
    return _INDEXES[key]
