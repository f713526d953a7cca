"""Finds which rows belong side by side, from a few numbers of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from curate.catalog.params import PerLanguage
from curate.rows.ids import hash_texts
from curate.text.segmentation import salted, scramble

Places = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint64]
_CANDIDATES = 1 << 21
"""Pairs that are looked at together."""


@dataclass
class Side:
    """The numbers of the rows of one side, filled batch by batch."""

    tags: list[str]
    """Every language of both sides."""
    _keys: list[Bits] = field(default_factory=list)
    _given: list[Marks] = field(default_factory=list)
    _ids: list[Bits] = field(default_factory=list)
    _languages: list[npt.NDArray[np.int32]] = field(default_factory=list)

    def add(self, keys: Sequence[str | None], ids: Sequence[str], languages: Sequence[str]) -> None:
        """Adds rows: what they are joined by (None: nothing), their ids and languages."""
        self._keys.append(_bits(["" if key is None else key for key in keys]))
        self._given.append(np.array([bool(key) for key in keys], bool))
        self._ids.append(np.array([int(one[:16], 16) for one in ids], np.uint64))
        for tag in dict.fromkeys(languages):
            if tag not in self.tags:
                self.tags.append(tag)
        number = {tag: place for place, tag in enumerate(self.tags)}
        self._languages.append(np.array([number[tag] for tag in languages], np.int32))

    def close(self) -> None:
        """Puts all batches together."""
        self.key = np.concatenate([*self._keys, np.empty(0, np.uint64)])
        self.given = np.concatenate([*self._given, np.empty(0, bool)])
        self.id = np.concatenate([*self._ids, np.empty(0, np.uint64)])
        self.language = np.concatenate([*self._languages, np.empty(0, np.int32)])

    def __len__(self) -> int:
        return len(self.key)


def _bits(texts: Sequence[str]) -> Bits:
    return np.frombuffer(b"".join(hash_texts(texts, 8)), np.uint64) if texts else np.empty(0, np.uint64)


@dataclass
class Matches:
    """Which rows are side by side, in order of the first, and why others are not."""

    left: Places
    right: Places
    missed: Mapping[str, Counter[str]]
    """Reason → language → rows of the first side that have no partner."""


@dataclass(frozen=True)
class Matcher:
    """How partners are chosen; see :class:`curate.generation.join.step.Join`."""

    pairs: Sequence[tuple[str, str]] | None = None
    weights: Sequence[float] | None = None
    per_row: int | None = None
    own: bool = False
    """Whether both sides are the same rows; none is its own partner."""
    seed: int = 0

    def match(self, left: Side, right: Side) -> Matches:
        """All partners."""
        order = np.flatnonzero(right.given)
        order = order[np.argsort(right.key[order], kind="stable")]
        keys = right.key[order]
        first, last = np.searchsorted(keys, left.key), np.searchsorted(keys, left.key, side="right")
        last = np.where(left.given, last, first)
        sides = self._sides(left.tags)
        drawn = None if sides is None or self.weights is None else self._drawn(left, right, sides)
        lefts, rights = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        partners, allowed = np.zeros(len(left), bool), np.zeros(len(left), bool)
        for rows in _pieces(last - first):
            counts = (last - first)[rows]
            one = np.repeat(rows, counts)
            offset = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
            other = order[np.repeat(first[rows], counts) + offset]
            if self.own:
                one, other = one[one != other], other[one != other]
            partners[one] = True
            if sides is not None:
                fits = np.zeros(len(one), bool)
                for number, (mine, theirs) in enumerate(sides):
                    fit = mine[left.language[one]] & theirs[right.language[other]]
                    allowed[one[fit]] = True
                    fits |= fit if drawn is None else fit & (drawn[one] == number)
                one, other = one[fits], other[fits]
            one, other = self._few(left, right, one, other)
            lefts.append(one)
            rights.append(other)
        made = np.concatenate(lefts)
        return Matches(made, np.concatenate(rights), self._missed(left, partners, allowed, made))

    def _few(self, left: Side, right: Side, one: Places, other: Places) -> tuple[Places, Places]:
        """At most ``per_row`` partners of each row, drawn by the seed and both ids; in order."""
        if self.per_row is None:
            return one, other
        chance = salted(left.id[one] ^ scramble(right.id[other]), "join", self.seed)
        order = np.lexsort((other, chance, one))
        one, other = one[order], other[order]
        start = np.searchsorted(one, one)
        few = np.arange(len(one)) - start < self.per_row
        one, other = one[few], other[few]
        order = np.lexsort((other, one))
        return one[order], other[order]

    def _sides(self, tags: Sequence[str]) -> list[tuple[Marks, Marks]] | None:
        """For each pair of languages, which languages of rows may be on either side."""
        if self.pairs is None:
            return None
        return [
            (np.array([covers(a, tag) for tag in tags], bool), np.array([covers(b, tag) for tag in tags], bool))
            for a, b in self.pairs
        ]

    def _drawn(self, left: Side, right: Side, sides: list[tuple[Marks, Marks]]) -> Places:
        """The pair that is drawn for each row's key among those that its rows can make; -1 where they can make none.

        Each pair has an exponential clock with its weight as rate, and the first to ring is drawn: in proportion to
        the weights, whichever pairs a key has.
        """
        keys = np.unique(left.key[left.given])
        clocks = np.full((len(keys), len(sides)), np.inf)
        drawing = zip(self.pairs or (), sides, self.weights or (), strict=True)
        for number, (pair, (mine, theirs), weight) in enumerate(drawing):
            one = left.given & mine[left.language]
            other = right.given & theirs[right.language]
            there = np.intersect1d(left.key[one], right.key[other])
            if self.own:  # two rows, not one that could be on both sides
                found, count = np.unique(left.key[one | other], return_counts=True)
                there = np.intersect1d(there, found[count > 1])
            chance = (salted(there, "join", self.seed, *pair).astype(np.float64) + 0.5) / 2.0**64
            clocks[np.searchsorted(keys, there), number] = -np.log(chance) / weight
        rung = np.where(np.isfinite(clocks).any(axis=1), clocks.argmin(axis=1), -1)
        drawn = np.full(len(left), -1, np.int64)
        drawn[left.given] = rung[np.searchsorted(keys, left.key[left.given])]
        return drawn

    def _missed(self, left: Side, partners: Marks, allowed: Marks, made: Places) -> dict[str, Counter[str]]:
        done = np.zeros(len(left), bool)
        done[made] = True
        reasons = {
            "have nothing to be joined by": ~left.given,
            "have no partner": left.given & ~partners,
            "have no partner in the languages of 'pairs'": partners & ~allowed & ~done,
            "are not in the pair of languages that was drawn": allowed & ~done,
        }
        missed = {}
        for reason, marks in reasons.items():
            if marks.any():
                numbers, counts = np.unique(left.language[marks], return_counts=True)
                missed[reason] = Counter(
                    {left.tags[number]: count for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)}
                )
        return missed


def covers(tag: str, language: str) -> bool:
    """Whether a tag is that language or a more general form of it (``zh`` of ``zh-Hant``)."""
    return PerLanguage[bool](None, {tag: True})[language] is not None


def together(side: Side, most: int | None) -> list[Places]:
    """The rows with the same key, in order, in groups of at most ``most``; groups in order of their first rows."""
    rows = np.flatnonzero(side.given)
    if not len(rows):
        return []
    _, first, group = np.unique(side.key[rows], return_index=True, return_inverse=True)
    order = np.argsort(first[group], kind="stable")
    rows, heads = rows[order], first[group][order]
    ends = np.flatnonzero(heads[1:] != heads[:-1]) + 1
    whole = np.split(rows, ends)
    return whole if most is None else [one[at : at + most] for one in whole for at in range(0, len(one), most)]


def _pieces(counts: Places) -> Iterator[Places]:
    """Runs of rows with at most so many candidates together, or of one row."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + _CANDIDATES, side="right")))
        yield np.arange(start, end)
        start = end
