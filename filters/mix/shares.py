"""How many rows each part of a mixture gets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def allot(rows: int | None, weights: npt.NDArray[np.float64], limits: Counts, short: str = "fill") -> Counts:
    """How many rows each part gets.

    Args:
        rows: total; None: as many as there are.
        weights: ≥ 0.
        limits: the maximum of each part.
        short: ``fill``: what a part cannot take goes to the others by their weights; ``shrink``: the total is reduced
            until all shares are met; ``short``, ``error``: parts that cannot take their share stay short.

    Returns:
        Whole numbers, at most ``limits``; fractions are given by largest remainder, ties to the first.
    """
    count = len(weights)
    quotas = np.zeros(count)
    weights = weights / (weights.max(initial=0.0) or 1.0)
    live = (weights > 1e-12) & (limits > 0)
    if not live.any():
        return np.zeros(count, np.int64)
    total = float(weights.sum())
    size = float(limits.sum()) if rows is None else float(rows)
    if short == "shrink":
        # A part without rows would make the total 0; it is reported and excluded.
        total = float(weights[live].sum())
        with np.errstate(over="ignore"):
            size = min(size, float((limits[live] * total / weights[live]).min()))
    if short == "fill":
        left = min(size, float(limits.sum()))
        while live.any() and left > 1e-9:
            share = left * (weights / weights[live].sum())
            full = live & (quotas + share >= limits)
            if not full.any():
                quotas[live] += share[live]
                break
            left -= float((limits[full] - quotas[full]).sum())
            quotas[full] = limits[full]
            live &= ~full
    else:
        quotas = np.minimum(size * (weights / total), limits) * live
    return _whole(quotas, limits, short)


def _whole(wanted: npt.NDArray[np.float64], limits: Counts, short: str) -> Counts:
    found = np.floor(wanted + 1e-9).astype(np.int64)
    missing = round(float(wanted.sum())) - int(found.sum())
    for at in np.argsort(-(wanted - found), kind="stable").tolist():
        if missing <= 0:
            break
        if found[at] < limits[at] and wanted[at] > 0:
            found[at] += 1
            missing -= 1
    return found
