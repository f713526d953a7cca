"""Chooses pairs from the candidates of one prompt: the better one first, undecided pairs never.

Nothing here depends on rows: a candidate is numbers (score, length, allowed sides) and a digest of its answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Choose = Literal["best_worst", "best_random", "best_rest", "neighbours", "threshold", "all"]


_ROUNDING = 1e-9  # 1.4 is 0.4 more than 1.0, whatever binary fractions say


@dataclass(frozen=True, slots=True)
class Entry:
    """One candidate."""

    place: int
    """Its place among all rows."""
    score: float
    length: int
    """Length of its answer in characters, without marks."""
    text: bytes
    """Digest of its answer's plain form: equal answers make no pair."""
    chance: int
    """A number from the seed and the row's id, which decides between equal scores."""
    may_win: bool = True
    may_lose: bool = True
    translated: bool = False


@dataclass(frozen=True, slots=True)
class CandidatePair:
    """A better and a worse candidate."""

    chosen: Entry
    rejected: Entry

    @property
    def margin(self) -> float:
        """By how much the chosen one is better; 0 without scores."""
        difference = self.chosen.score - self.rejected.score
        return 0.0 if math.isnan(difference) else difference

    @property
    def ratio(self) -> float:
        """How many times longer the chosen answer is."""
        return max(1, self.chosen.length) / max(1, self.rejected.length)


@dataclass(frozen=True)
class Rule:
    """How pairs are made from the candidates of a prompt; see :class:`curate.preferences.pair.step.Pair`."""

    choose: Choose
    scored: bool
    min_margin: float = 0.0
    good: float | None = None
    bad: float | None = None
    most: int | None = None
    max_ratio: float | None = None
    translated: Literal["any", "same", "never_chosen"] = "any"
    reuse: bool = False

    def allows(self, chosen: Entry, rejected: Entry) -> bool:
        """Whether these two may be a pair in this order."""
        if not chosen.may_win or not rejected.may_lose or chosen.text == rejected.text:
            return False
        if self.scored and not (
            chosen.score > rejected.score and chosen.score - rejected.score >= self.min_margin - _ROUNDING
        ):
            return False
        if self.choose == "threshold" and (
            (self.good is not None and chosen.score < self.good) or (self.bad is not None and rejected.score > self.bad)
        ):
            return False
        if self.max_ratio is not None:
            pair = CandidatePair(chosen, rejected)
            if max(pair.ratio, 1 / pair.ratio) > self.max_ratio:
                return False
        if self.translated == "same":
            return chosen.translated == rejected.translated
        return self.translated == "any" or not (chosen.translated and not rejected.translated)

    def pairs(self, entries: Sequence[Entry]) -> list[CandidatePair]:
        """The pairs of one prompt's candidates, in any order."""
        # Equal scores are ordered by chance: neither the order of models nor the length may decide which is best.
        ranked = sorted(entries, key=lambda one: (-one.score if self.scored else 0.0, one.chance, one.place))
        return list(self._limited(_ORDERS[self.choose](self, ranked)))

    def _limited(self, pairs: Iterator[CandidatePair]) -> Iterator[CandidatePair]:
        used: set[int] = set()
        count = 0
        alone = self.choose in ("best_worst", "threshold") and not self.reuse
        for pair in pairs:
            if self.most is not None and count >= self.most:
                return
            if alone and {pair.chosen.place, pair.rejected.place} & used:
                continue
            used |= {pair.chosen.place, pair.rejected.place}
            count += 1
            yield pair


def _widest(rule: Rule, ranked: Sequence[Entry]) -> Iterator[CandidatePair]:
    pairs = [CandidatePair(a, b) for a in ranked for b in ranked if a is not b and rule.allows(a, b)]
    yield from sorted(pairs, key=lambda one: (-one.margin, one.chosen.chance, one.rejected.chance))


def _best_random(rule: Rule, ranked: Sequence[Entry]) -> Iterator[CandidatePair]:
    for best in ranked:
        others = [one for one in ranked if one is not best and rule.allows(best, one)]
        if others:
            yield from (CandidatePair(best, one) for one in sorted(others, key=lambda one: (one.chance, one.place)))
            return


def _best_rest(rule: Rule, ranked: Sequence[Entry]) -> Iterator[CandidatePair]:
    for best in ranked:
        others = [CandidatePair(best, one) for one in ranked if one is not best and rule.allows(best, one)]
        if others:
            yield from reversed(others)
            return


def _neighbours(rule: Rule, ranked: Sequence[Entry]) -> Iterator[CandidatePair]:
    """Each with the next worse one that it may be paired with."""
    for number, one in enumerate(ranked):
        for other in ranked[number + 1 :]:
            if rule.allows(one, other):
                yield CandidatePair(one, other)
                break


def _all(rule: Rule, ranked: Sequence[Entry]) -> Iterator[CandidatePair]:
    in_order = sorted(ranked, key=lambda one: one.place)
    for number, one in enumerate(in_order):
        for other in in_order[number + 1 :]:
            yield from (CandidatePair(a, b) for a, b in ((one, other), (other, one)) if rule.allows(a, b))


_ORDERS: dict[Choose, Callable[[Rule, Sequence[Entry]], Iterator[CandidatePair]]] = {
    "best_worst": _widest,
    "threshold": _widest,
    "best_random": _best_random,
    "best_rest": _best_rest,
    "neighbours": _neighbours,
    "all": _all,
}


def balanced(pairs: Sequence[CandidatePair], languages: Sequence[str], chances: Sequence[int]) -> list[int]:
    """The places of pairs to keep so that, in each language, length does not predict the better answer.

    Pairs are binned by their ratio of lengths (in steps of a quarter of the base-2 logarithm); each bin keeps as many
    pairs with the longer answer chosen as with the shorter. Pairs of equal length are kept.
    """
    steps: dict[tuple[str, int], tuple[list[int], list[int]]] = {}
    kept = []
    for place, (pair, language) in enumerate(zip(pairs, languages, strict=True)):
        if pair.chosen.length == pair.rejected.length:
            kept.append(place)
            continue
        step = int(np.floor(abs(math.log2(pair.ratio)) * 4))
        sides = steps.setdefault((language, step), ([], []))
        sides[pair.ratio < 1].append(place)
    for sides in steps.values():
        stay = min(map(len, sides))
        for side in sides:
            kept += sorted(side, key=lambda place: (chances[place], place))[:stay]
    return sorted(kept)
