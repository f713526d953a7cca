"""How far two raters agree: Cohen's κ, rank correlation, and how sure one can be of either, by resampling whole items.

Everything is seeded and depends on the numbers alone, so that an audit of the same verdicts says the same on every run.
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
    """A figure with its 95 % bootstrap interval; nan where it cannot be told."""

    value: float
    low: float
    high: float
    n: int
    """How many observations it stands on."""


def cohen_kappa(
    a: Sequence[Any] | Array, b: Sequence[Any] | Array, weights: Weights = "none", labels: Sequence[Any] | None = None
) -> float:
    """Agreement of two raters beyond chance (Cohen 1960; weighted: Cohen 1968).

    κ = 1 - Σ w·observed / Σ w·expected, with w = 0 for the same label and 1 for another (``none``), or the distance of two
    labels, plain or squared. 1 is full agreement, 0 what chance gives, below 0 worse than chance.

    Args:
        a: a label of each item, by one rater.
        b: the same, by the other.
        labels: all labels there are, in order (their places, not their values, are what weights are taken of); by default those that occur.

    Returns:
        κ; nan where there are no items, or where both raters give one and the same label to everything.

    Raises:
        ValueError: the raters did not rate equally many items, or a label is none of ``labels``.
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
    """The rank of each value from 1 on, equal values at their mean rank."""
    given = np.asarray(values, np.float64)
    order = np.argsort(given, kind="stable")
    ordered = given[order]
    first = np.searchsorted(ordered, ordered, "left")
    last = np.searchsorted(ordered, ordered, "right")
    found = np.empty(len(given), np.float64)
    found[order] = (first + last + 1) / 2
    return found


def spearman(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """Spearman's rank correlation, ties at their mean rank; nan for fewer than two items or where one side is constant."""
    if len(x) != len(y):
        raise ValueError(f"{len(x)} values on one side, {len(y)} on the other")
    if len(x) < 2:
        return float("nan")
    one, two = (ranks(side) - (len(x) + 1) / 2 for side in (x, y))
    spread = float(np.sqrt((one @ one) * (two @ two)))
    return float("nan") if spread == 0 else float(np.clip((one @ two) / spread, -1, 1))


def mean(values: Array) -> float:
    """The mean; nan of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def bootstrap(
    figure: Callable[..., float],
    *columns: Sequence[Any] | Array,
    seed: int,
    groups: Sequence[Any] | None = None,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Interval:
    """A figure over some items with its percentile bootstrap interval (Efron 1979).

    Args:
        figure: what is computed from the columns.
        columns: one entry an item.
        groups: items of one group (pairs that share a prompt) are drawn together, since they do not vary by themselves.
        resamples: how often is drawn, with replacement, as many groups as there are.

    Returns:
        The figure of all items; low and high are nan where fewer than two groups or resamples give a number.
    """
    arrays = [np.asarray(column) for column in columns]
    size = len(arrays[0]) if arrays else 0
    value = figure(*arrays) if size else float("nan")
    keys = range(size) if groups is None else groups
    members: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        members.setdefault(key, []).append(place)
    nothing = Interval(value, float("nan"), float("nan"), size)
    if len(members) < 2 or np.isnan(value):
        return nothing
    every = [np.array(places, np.int64) for places in members.values()]
    single = all(len(places) == 1 for places in every)
    flat = np.concatenate(every)
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = generator.integers(0, len(every), len(every))
        rows = flat[drawn] if single else np.concatenate([every[one] for one in drawn])
        found.append(figure(*(array[rows] for array in arrays)))
    told = np.array(found)[~np.isnan(found)]
    if len(told) < 2:
        return nothing
    low, high = np.quantile(told, ((1 - level) / 2, (1 + level) / 2))
    return Interval(value, float(low), float(high), size)


def _plain(labels: Sequence[Any] | Array) -> list[Any]:
    return list(labels.tolist()) if isinstance(labels, np.ndarray) else list(labels)
