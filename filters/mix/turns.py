"""Deals items to languages by turns, so that mixtures are nested with every item in its language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def turns(weights: Sequence[float], count: int) -> Iterator[int]:
    """Whose turn it is, ``count`` times: each part's turns are in proportion to its weight, at any time to
    within fewer than there are parts.

    Nested: a turn belongs to whom it would belong without the last part, or to the last part.
    """
    parts = range(len(weights))
    shares = [[weight / sum(weights[: last + 1]) for weight in weights[: last + 1]] for last in parts]
    had = [[0] * (last + 1) for last in parts]
    for number in range(1, count + 1):
        whose = 0
        for last in parts[1:]:
            share, turns_of = shares[last], had[last]
            # Whoever lacks more of its share; of equals the earlier one.
            if share[last] * number - turns_of[last] > share[whose] * number - turns_of[whose] + 1e-9:
                whose = last
            turns_of[whose] += 1
        yield whose


def deal(
    held: npt.NDArray[np.bool_],
    order: Counts,
    parts: Sequence[int],
    weights: npt.NDArray[np.float64],
    limits: Counts,
    count: int,
    *,
    fill: bool,
) -> tuple[Counts, set[int]]:
    """The language of each item, or -1; and the languages that had a turn when others had taken all their items.

    Args:
        held: which item is in which language, shape (items, languages).
        order: the items in order of selection.
        parts: the languages that take turns, in their order.
        limits: the most items of each language.
        count: the number of turns.
        fill: whether a turn of a language that has no item left goes to another one.
    """
    chosen = np.full(len(held), -1, np.int64)
    # Items that few languages have come first, because other languages have alternatives.
    scarce = order[np.argsort(held.sum(axis=1)[order], kind="stable")]
    left = {part: iter(scarce[held[scarce, part]]) for part in parts}
    got = dict.fromkeys(parts, 0)
    robbed: set[int] = set()

    def take(part: int) -> bool:
        if got[part] >= limits[part]:
            return False
        for one in left[part]:
            if chosen[one] < 0:
                chosen[one] = part
                got[part] += 1
                return True
        robbed.add(part)
        return False

    total = float(weights[list(parts)].sum())
    for number, turn in enumerate(turns([float(weights[part]) for part in parts], count), 1):
        if take(parts[turn]) or not fill:
            continue
        lacking = sorted(parts, key=lambda part: got[part] - weights[part] / total * number)
        if not any(take(part) for part in lacking):
            break
    return chosen, robbed
