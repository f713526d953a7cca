"""Agreement of two raters: Cohen's κ and rank correlation, with bootstrap intervals over whole items.

Everything is seeded and depends on the numbers alone, so an audit of the same verdicts gives the same result on every
run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Weights = Literal["none", "linear", "quadratic"]
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic with its 95 % bootstrap interval; nan where it is undefined."""

    value: float
    low: float
    high: float
    n: int
    """Number of observations."""


def cohen_kappa(
    a: Sequence[Any] | Array, b: Sequence[Any] | Array, weights: Weights = "none", labels: Sequence[Any] | None = None
) -> float:
    """Agreement of two raters beyond chance (Cohen 1960; weighted: Cohen 1968).

    κ = 1 - Σ w·observed / Σ w·expected, with w = 0 for the same label and 1 for another (``none``), or the distance of
    two labels, plain or squared. 1 is full agreement, 0 what chance gives, below 0 worse than chance.

    Args:
        a: a label of each item, by one rater.
        b: the same, by the other.
        labels: all labels, in order (weights use their places, not their values); by default those that occur.

    Returns:
        κ; nan if there are no items, or if both raters give the same single label to everything.

    Raises:
        ValueError: the raters rated different numbers of items, or a label is not in ``labels``.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} ratings of one rater, {len(b)} of the other")
    if not len(a):
        return float("nan")
    known = sorted({*_plain(a), *_plain(b)}) if labels is None else list(labels)
    place = {label: number for number, label in enumerate(known)}
    try:
        one, two = (np.array([place[label] for label in _plain(side)], np.int64) for side in (a, b))
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is none of the labels {known}") from None
    count = len(known)
    observed = np.bincount(one * count + two, minlength=count * count).reshape(count, count) / len(one)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    distance = np.abs(np.subtract.outer(np.arange(count), np.arange(count))).astype(np.float64)
    weight = {"none": (distance > 0).astype(np.float64), "linear": distance, "quadratic": distance**2}[weights]
    by_chance = float((weight * expected).sum())
    return float("nan") if by_chance == 0 else 1 - float((weight * observed).sum()) / by_chance


def ranks(values: Sequence[float] | Array) -> Floats:
    """The rank of each value, from 1, with equal values at their mean rank."""
    array = np.asarray(values, np.float64)
    order = np.argsort(array, kind="stable")
    ordered = array[order]
    first = np.searchsorted(ordered, ordered, "left")
    last = np.searchsorted(ordered, ordered, "right")
    result = np.empty(len(array), np.float64)
    result[order] = (first + last + 1) / 2
    return result


def spearman(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """Spearman's rank correlation with ties at their mean rank; nan for fewer than two items or if one side is
    constant."""
    if len(x) != len(y):
        raise ValueError(f"{len(x)} values on one side, {len(y)} on the other")
    if len(x) < 2:
        return float("nan")
    one, two = (ranks(side) - (len(x) + 1) / 2 for side in (x, y))
    spread = float(np.sqrt((one @ one) * (two @ two)))
    return float("nan") if spread == 0 else float(np.clip((one @ two) / spread, -1, 1))


def mean(values: Array) -> float:
    """The mean; nan for no values."""
    return float(np.mean(values)) if len(values) else float("nan")


def bootstrap(
    statistic: Callable[..., float],
    *columns: Sequence[Any] | Array,
    seed: int,
    groups: Sequence[Any] | None = None,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Interval:
    """A statistic over items with its percentile bootstrap interval (Efron 1979).

    Args:
        statistic: a function of the columns.
        columns: one entry per item.
        groups: items of one group (pairs that share a prompt) are resampled together, since they are not independent.
        resamples: number of resamples, with replacement, of as many groups as there are.

    Returns:
        The statistic of all items; low and high are nan if fewer than two groups or resamples give a number.
    """
    arrays = [np.asarray(column) for column in columns]
    size = len(arrays[0]) if arrays else 0
    value = statistic(*arrays) if size else float("nan")
    keys = range(size) if groups is None else groups
    members: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        members.setdefault(key, []).append(place)
    undefined = Interval(value, float("nan"), float("nan"), size)
    if len(members) < 2 or np.isnan(value):
        return undefined
    every = [np.array(places, np.int64) for places in members.values()]
    single = all(len(places) == 1 for places in every)
    flat = np.concatenate(every)
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        drawn = generator.integers(0, len(every), len(every))
        rows = flat[drawn] if single else np.concatenate([every[one] for one in drawn])
        values.append(statistic(*(array[rows] for array in arrays)))
    defined = np.array(values)[~np.isnan(values)]
    if len(defined) < 2:
        return undefined
    low, high = np.quantile(defined, ((1 - level) / 2, (1 + level) / 2))
    return Interval(value, float(low), float(high), size)


def _plain(labels: Sequence[Any] | Array) -> list[Any]:
    return list(labels.tolist()) if isinstance(labels, np.ndarray) else list(labels)
