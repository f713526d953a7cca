"""Chooses few-shot examples for a row from a pool of answered rows.

An example is never the row itself or its translation, it is in the requested language, and the choice does not depend
on the other rows of the batch.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from curate.generation.common.conversations import question_and_answer
from curate.generation.common.derived_rows import random_numbers
from curate.generation.instruct.diversity import Overlaps, grams
from curate.steps import Rows
from curate.steps.models import Encoder
from curate.text.segmentation import scramble

Choice = Literal["random", "nearest", "first"]


@dataclass(frozen=True)
class Example:
    """An answered question."""

    id: str
    group_id: str
    language: str
    prompt: str
    response: str


@dataclass(frozen=True)
class ExamplePool:
    """The examples in one language."""

    examples: Sequence[Example]
    encoder: Encoder | None = None

    @cached_property
    def bits(self) -> npt.NDArray[np.uint64]:
        """64 bits of each example's id."""
        return np.array([int(one.id[:16], 16) for one in self.examples], np.uint64)

    @cached_property
    def _vectors(self) -> npt.NDArray[np.float32]:
        assert self.encoder is not None
        return self.encoder.encode([one.prompt for one in self.examples])

    @cached_property
    def _overlaps(self) -> Overlaps:
        return Overlaps([grams(one.prompt) for one in self.examples])

    def near(self, text: str, vector: npt.NDArray[np.float32] | None) -> npt.NDArray[np.floating]:
        """How close each example's question is: by cosine with an encoder, else by shared n-grams."""
        return self._overlaps.dice(grams(text)) if vector is None else np.asarray(self._vectors @ vector)


class Examples:
    """Pools of examples by language."""

    def __init__(
        self,
        batches: Iterable[Rows],
        seed: int,
        pool: int,
        encoder: Encoder | None = None,
        *,
        longest: int = 1_000_000,
        first: bool = False,
        answered: Callable[[Rows], list[tuple[str, str] | None]] = question_and_answer,
    ) -> None:
        """Keeps ``pool`` examples of each language, chosen by the seed and independent of the order of rows.

        Args:
            longest: maximum length of question and answer together, in characters.
            first: keep the first ones instead.
            answered: (question, answer) of each row, None if a row is not an example.
        """
        self._encoder = encoder
        heaps: dict[str, list[tuple[int, int, Example]]] = {}
        place = 0
        for rows in batches:
            if not len(rows):
                continue
            languages, groups = rows.language.to_list(), rows.table["group_id"].to_pylist()
            priority = random_numbers(seed, rows.ids, "examples")
            for index, pair in enumerate(answered(rows)):
                if pair is None or len(pair[0]) + len(pair[1]) > longest:
                    continue
                place += 1
                example = Example(str(rows.ids[index]), groups[index], languages[index], *pair)
                heap = heaps.setdefault(languages[index], [])
                entry = (0 if first else -priority[index], -place, example)
                if len(heap) < pool:
                    heapq.heappush(heap, entry)
                elif entry > heap[0]:
                    heapq.heapreplace(heap, entry)
        # In the order of their rows.
        self._pools: Mapping[str, ExamplePool] = {
            language: ExamplePool([one for _, _, one in sorted(heap, key=lambda entry: -entry[1])], encoder)
            for language, heap in sorted(heaps.items())
        }

    def __len__(self) -> int:
        return sum(len(pool.examples) for pool in self._pools.values())

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have examples."""
        return tuple(self._pools)

    def of(self, language: str) -> Sequence[Example]:
        """The examples in a language, in the order of their rows."""
        pool = self._pools.get(language)
        return pool.examples if pool is not None else ()

    def shuffled(self, language: str, number: int) -> npt.NDArray[np.int64]:
        """The places of the examples in a language, in an order that depends on a 64-bit number and their ids."""
        return np.argsort(scramble(self._pools[language].bits ^ np.uint64(number)), kind="stable")

    def vectors(self, texts: Sequence[str], choice: Choice) -> Sequence[npt.NDArray[np.float32] | None]:
        """The vectors of texts for ``draw``, encoded together."""
        if choice != "nearest" or self._encoder is None:
            return [None] * len(texts)
        return list(self._encoder.encode(texts))

    def draw(
        self,
        k: int,
        choice: Choice,
        *,
        language: str,
        text: str,
        row_id: str,
        group_id: str,
        seed: int,
        vector: npt.NDArray[np.float32] | None = None,
    ) -> list[Example]:
        """Up to ``k`` examples in a language for a row that asks ``text``; the nearest one last, next to the question.

        Random examples depend on the row's id and the example's, so a new example in the pool changes few draws.
        """
        pool = self._pools.get(language)
        if pool is None or k == 0:
            return []
        order: Sequence[int] | npt.NDArray[np.int64] = range(len(pool.examples))
        if choice == "nearest":
            order = np.argsort(-np.round(pool.near(text, vector), 6), kind="stable")
        elif choice == "random":
            order = self.shuffled(language, random_numbers(seed, [row_id], "draw")[0])
        examples: list[Example] = []
        for place in order:
            one = pool.examples[place]
            if one.id != row_id and one.prompt != text and not (group_id and one.group_id == group_id):
                examples.append(one)
                if len(examples) == k:
                    break
        return examples[::-1] if choice == "nearest" else examples
