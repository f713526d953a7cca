"""A score agrees with a judge as far as it puts what he calls bad below what he calls good: areas, ranks, and how sure
they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SEED = 20261121
RESAMPLES = 500


def area(low: Floats, high: Floats) -> float:
    """The probability that a value of ``high`` is above one of ``low`` (AUC); ties count half."""
    ordered = np.sort(low)
    below, upto = np.searchsorted(ordered, high, "left"), np.searchsorted(ordered, high, "right")
    return float((below + upto).sum() / 2 / (len(low) * len(high)))


def interval(low: Floats, high: Floats, *, paired: bool = False) -> tuple[float, float, float]:
    """AUC and its 95 % bootstrap interval; ``paired`` draws the two values of an item together."""
    generator = np.random.default_rng(SEED)
    found = []
    for _ in range(RESAMPLES):
        first = generator.integers(0, len(low), len(low))
        second = first if paired else generator.integers(0, len(high), len(high))
        found.append(area(low[first], high[second]))
    lower, upper = np.quantile(found, (0.025, 0.975))
    return area(low, high), float(lower), float(upper)


def auc(low: Sequence[float] | Floats, high: Sequence[float] | Floats, *, paired: bool = False) -> str:
    """``.710 (.690 to .730)``; values that were not assessed are left out."""
    one, two = np.asarray(low, float), np.asarray(high, float)
    if paired:
        there = ~np.isnan(one) & ~np.isnan(two)
        one, two = one[there], two[there]
    else:
        one, two = one[~np.isnan(one)], two[~np.isnan(two)]
    if len(one) < 2 or len(two) < 2:
        return "–"
    return "{:.3f} ({:.3f} to {:.3f})".format(*interval(one, two, paired=paired))


def auc_within(score: Floats, is_low: Flags, other: Floats, parts: int = 10) -> str:
    """The AUC among rows that are nearly equal in ``other`` (in the same of so many equal parts): what the score adds
    to it.
    """
    there = ~np.isnan(score)
    score, is_low, other = score[there], is_low[there], other[there]
    part = np.searchsorted(np.quantile(other, np.linspace(0, 1, parts + 1)[1:-1]), other, "right")

    def pooled(rows: npt.NDArray[np.int64]) -> float:
        right, whole = 0.0, 0
        for number in range(parts):
            inside = rows[part[rows] == number]
            low, high = score[inside[is_low[inside]]], score[inside[~is_low[inside]]]
            if len(low) and len(high):
                right += area(low, high) * len(low) * len(high)
                whole += len(low) * len(high)
        return right / whole if whole else float("nan")

    generator = np.random.default_rng(SEED)
    found = [pooled(generator.integers(0, len(score), len(score))) for _ in range(RESAMPLES)]
    lower, upper = np.quantile(found, (0.025, 0.975))
    return f"{pooled(np.arange(len(score))):.3f} ({lower:.3f} to {upper:.3f})"


def spearman(one: Floats, two: Floats) -> float:
    """Rank correlation, ties at their mean rank."""
    there = ~np.isnan(one) & ~np.isnan(two)
    ranks = [pl.Series(side[there]).rank("average").to_numpy() for side in (one, two)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def share(flags: Flags | Sequence[bool]) -> str:
    """A share in per cent."""
    return f"{100 * float(np.mean(flags)):.1f}" if len(flags) else "–"


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> None:
    """Prints a Markdown table."""
    print(
        f"\n#### {title}\n" + (f"\n{note}\n" if note else "") + f"\n| {' | '.join(header)} |\n|{'---|' * len(header)}"
    )
    for row in rows:
        print(
            "| " + " | ".join(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row) + " |",
            flush=True,
        )
