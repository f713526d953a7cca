"""Clusters of duplicates: which rows belong together (linkage), and which row of a cluster is kept (ranking).

``star``: a row is dropped only if it is similar to the kept row itself. ``connected``: all transitively linked rows
form one cluster. Both process the pairs in ranking order, so neither the order of the pairs nor the sharding matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

Places = npt.NDArray[np.int64]
Linkage = Literal["star", "connected"]


# -------------------------------------------------------------------------------------------------------------- ranking
class ByScore(BaseModel):
    """``{score: grade, order: greatest}``: a score of an earlier step, or one that rows bring from their source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: Annotated[str, Field(min_length=1)]
    """The score's name. A row without it ranks last."""
    order: Literal["greatest", "least"] = "greatest"
    """Which end is better."""


class BySource(BaseModel):
    """``{sources: [books, web]}``: the most trusted source first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of sources; sources not listed rank last."""

    @model_validator(mode="after")
    def _once(self) -> BySource:
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("sources: a source is named twice")
        return self


Criterion = Literal["first", "longest", "shortest", "best"] | ByScore | BySource


@dataclass(frozen=True)
class Facts:
    """What the ranking needs of all rows, one entry a row."""

    chars: Places
    """Characters of the compared fields."""
    source: npt.NDArray[np.int32]
    """Index into ``sources``."""
    sources: tuple[str, ...]
    scores: dict[str, npt.NDArray[np.float64]]
    """The requested scores; NaN where a row has none."""
    fixed: npt.NDArray[np.bool_] | None = None
    """Rows that are always kept (an existing version)."""


def ranks(facts: Facts, criteria: Sequence[Criterion]) -> Places:
    """The rank of each row: the lower, the rather it is kept; ties by the order of the rows."""
    keys: list[npt.NDArray[Any]] = []
    for one in criteria:
        if isinstance(one, ByScore):
            values = facts.scores[one.score]
            signed = np.where(np.isnan(values), np.inf, -values if one.order == "greatest" else values)
            keys.append(signed)
        elif isinstance(one, BySource):
            places = [one.sources.index(name) if name in one.sources else len(one.sources) for name in facts.sources]
            keys.append(np.array([*places, 0])[facts.source])
        elif one in ("longest", "shortest"):
            keys.append(-facts.chars if one == "longest" else facts.chars)
        else:
            break  # first: later criteria have no ties to break
    if facts.fixed is not None:
        keys.insert(0, ~facts.fixed)
    count = len(facts.chars)
    order = np.lexsort(tuple(reversed(keys))) if keys else np.arange(count)
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    return rank


# -------------------------------------------------------------------------------------------------------------- linkage
def components(count: int, left: Places, right: Places) -> Places:
    """For each of ``count`` nodes the smallest number in its connected component (itself, if isolated)."""
    label = np.arange(count)
    a, b = left, right
    while len(a):
        # Every root takes the smallest root it touches; then all paths are compressed. Each round at least halves the
        # number of roots, except in chains, which pointer jumping shortens as fast.
        la, lb = label[a], label[b]
        apart = la != lb
        a, b, la, lb = a[apart], b[apart], la[apart], lb[apart]
        if not len(a):
            break
        high, low = np.maximum(la, lb), np.minimum(la, lb)
        np.minimum.at(label, high, low)
        while True:
            shorter = label[label]
            if (shorter == label).all():
                break
            label = shorter
    return label


def link(
    rank: Places, left: Places, right: Places, linkage: Linkage, fixed: npt.NDArray[np.bool_] | None = None
) -> Places:
    """For each row the number of the row it is dropped for; its own number if it is kept.

    Args:
        rank: from :func:`ranks`.
        left: the first row of each pair.
        right: the second.
        fixed: rows that are never dropped.
    """
    if linkage == "connected":
        # Numbered by rank, the smallest number of a component is the kept row.
        order = np.argsort(rank)
        stays = order[components(len(rank), rank[left], rank[right])[rank]]
    else:
        stays = _stars(rank, left, right, fixed)
    if fixed is not None:
        stays[fixed] = np.flatnonzero(fixed)
    return stays


def _stars(rank: Places, left: Places, right: Places, fixed: npt.NDArray[np.bool_] | None) -> Places:
    """In ranking order: a row is kept unless it is similar to a kept row; it is dropped for the first of those."""
    stays = np.arange(len(rank))
    if not len(left):
        return stays
    earlier = rank[left] < rank[right]
    first, second = np.where(earlier, left, right), np.where(earlier, right, left)
    by = np.lexsort((rank[first], rank[second]))
    first, second = first[by].tolist(), second[by].tolist()
    gone: dict[int, int] = {}
    never = set(np.flatnonzero(fixed).tolist()) if fixed is not None else frozenset()
    # All pairs of a row are consecutive, after all pairs of the rows before it: its centre is the first kept one.
    for one, other in zip(first, second, strict=True):
        if one not in gone and other not in gone and other not in never:
            gone[other] = one
    if gone:
        stays[list(gone)] = list(gone.values())
    return stays


# ------------------------------------------------------------------------------------------------------------- decision
def names(ids: list[str]) -> pa.Array:
    """Ids as a column of texts."""
    return pa.array(ids, pa.string())


def decision(
    rows: int,
    at: Places,
    cluster: list[str],
    original: list[str | None],
    similarity: npt.NDArray[np.float64],
    size: Places,
    drop: bool,
) -> dict[str, pa.Array]:
    """The decision for a shard of ``rows`` rows.

    Args:
        at: the positions of the rows that are in clusters.
        cluster: the cluster's name, for each of these rows.
        original: the id of the row it is dropped for, None for the kept row.
        similarity: to that row; NaN for the kept row.
        size: rows in the cluster.
        drop: whether duplicates are dropped, or only marked.
    """
    gone = np.zeros(rows, bool)
    gone[at] = [one is not None for one in original]
    whole_size, whole_similarity = np.ones(rows), np.full(rows, np.nan)
    whole_size[at], whole_similarity[at] = size, similarity
    clusters, originals = np.full(rows, None, dtype=object), np.full(rows, None, dtype=object)
    clusters[at], originals[at] = cluster, original
    keep = ~gone if drop else np.ones(rows, bool)
    return {
        "keep": pa.array(keep),
        "reason": pa.array([None if stays else "duplicate" for stays in keep.tolist()], pa.string()),
        "cluster_id": pa.array(clusters, pa.string()),
        "duplicate_of": pa.array(originals, pa.string()),
        "similarity": pa.array(whole_similarity, mask=np.isnan(whole_similarity)),
        "size": pa.array(whole_size),
    }
