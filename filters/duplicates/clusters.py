"""Of rows that are alike one stays: which, is said by an order; who belongs together, by the pairs found and a rule of
linkage.

``star``: a row goes only for one that it is itself like. ``connected``: whatever hangs together, however long the
chain. Both are walks over the pairs in the order of who stays first: neither the order of the pairs nor the cut of the
shards enters.
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


# ------------------------------------------------------------------------------------------------------------ who stays
class ByScore(BaseModel):
    """``{score: grade, order: greatest}``: a score of an earlier step, or one that rows carry from their source."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    score: Annotated[str, Field(min_length=1)]
    """Its name. A row without it comes last."""
    order: Literal["greatest", "least"] = "greatest"
    """Which end is the better one."""


class BySource(BaseModel):
    """``{sources: [books, web]}``: the most trusted source first."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of sources; those not named come last."""

    @model_validator(mode="after")
    def _once(self) -> BySource:
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("sources: a source is named twice")
        return self


Criterion = Literal["first", "longest", "shortest", "best"] | ByScore | BySource


@dataclass(frozen=True)
class Facts:
    """What is known of all rows for the choice, one entry a row."""

    chars: Places
    """Characters of the compared fields."""
    source: npt.NDArray[np.int32]
    """Index into ``sources``."""
    sources: tuple[str, ...]
    scores: dict[str, npt.NDArray[np.float64]]
    """Of each score that is asked for, NaN where a row has none."""
    fixed: npt.NDArray[np.bool_] | None = None
    """Rows that stay whatever comes (an existing version)."""


def ranks(facts: Facts, criteria: Sequence[Criterion]) -> Places:
    """The place of each row in the order of who stays first; ties by the order of the rows."""
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
            break  # first: nothing after it can count
    if facts.fixed is not None:
        keys.insert(0, ~facts.fixed)
    count = len(facts.chars)
    order = np.lexsort(tuple(reversed(keys))) if keys else np.arange(count)
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    return rank


# -------------------------------------------------------------------------------------------------------------- linkage
def components(count: int, left: Places, right: Places) -> Places:
    """For each of ``count`` things the least number that it hangs together with (itself, if alone)."""
    label = np.arange(count)
    a, b = left, right
    while len(a):
        # Every root takes the least root it touches; then all paths are made short. The number of roots falls at least
        # by half each time, but for chains, which pointer jumping shortens as fast.
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
    """For each row the number of the row that it goes for; its own number if it stays.

    Args:
        rank: from :func:`ranks`.
        left: the first row of each pair.
        right: the second.
        fixed: rows that never go.
    """
    if linkage == "connected":
        # Numbered by rank, the least number of a component is the row that stays.
        order = np.argsort(rank)
        stays = order[components(len(rank), rank[left], rank[right])[rank]]
    else:
        stays = _stars(rank, left, right, fixed)
    if fixed is not None:
        stays[fixed] = np.flatnonzero(fixed)
    return stays


def _stars(rank: Places, left: Places, right: Places, fixed: npt.NDArray[np.bool_] | None) -> Places:
    """In the order of rank: a row stays unless it is like one that stays already; it goes for the first of those."""
    stays = np.arange(len(rank))
    if not len(left):
        return stays
    earlier = rank[left] < rank[right]
    first, second = np.where(earlier, left, right), np.where(earlier, right, left)
    by = np.lexsort((rank[first], rank[second]))
    first, second = first[by].tolist(), second[by].tolist()
    gone: dict[int, int] = {}
    never = set(np.flatnonzero(fixed).tolist()) if fixed is not None else frozenset()
    # All pairs of one row come together, after all pairs of the rows before it: its first centre is the first that
    # stays.
    for one, other in zip(first, second, strict=True):
        if one not in gone and other not in gone and other not in never:
            gone[other] = one
    if gone:
        stays[list(gone)] = list(gone.values())
    return stays


# -------------------------------------------------------------------------------------------------------------- verdict
def names(ids: list[str]) -> pa.Array:
    """Ids as a column of texts."""
    return pa.array(ids, pa.string())


def verdict(
    rows: int,
    at: Places,
    cluster: list[str],
    original: list[str | None],
    similarity: npt.NDArray[np.float64],
    size: Places,
    drop: bool,
) -> dict[str, pa.Array]:
    """The decision for a shard of so many rows, given those of them (at these places) that are in groups.

    Args:
        cluster: of each row in a group, the group's name.
        original: the id of the row it goes for, None for the row that stays.
        similarity: to that row; NaN for the row that stays.
        size: rows in the group.
        drop: whether duplicates go, or are only marked.
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
