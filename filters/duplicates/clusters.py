"""Clusters of duplicates: which rows belong together (linkage), and which row of a cluster is kept (ranking).

``star``: a row is dropped only if it is similar to the kept row itself. ``connected``: all transitively linked rows
form one cluster. Both process the links in ranking order, so neither the order in which they are found nor the sharding
matters.
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
# Links that are worked on at once.
_LINKS = 1 << 20


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


def ranked(facts: Facts, criteria: Sequence[Criterion]) -> Places | None:
    """The rows in order, those first that are rather kept; ties by the order of the rows. None: as they are.

    Takes 16 bytes a row of memory, and 8 for each criterion.
    """
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
    return np.lexsort(tuple(reversed(keys))) if keys else None


@dataclass(frozen=True)
class Ranking:
    """The texts in the order of their best rows: rows that are always kept first, then those that are rather kept."""

    place: Places
    """The place of each text."""
    best: Places
    """The best row of the text at each place."""
    first: Places
    """The first row of the text at each place, which stands for it where texts are compared."""


# -------------------------------------------------------------------------------------------------------------- linkage
def connect(label: Places, left: Places, right: Places) -> None:
    """Joins components by these pairs: ``label`` has the smallest number in each node's component, and gets it anew."""
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
        changed = True
        while changed:
            changed = False
            for start in range(0, len(label), _LINKS):
                here = label[start : start + _LINKS]
                shorter = label[here]
                if (shorter != here).any():
                    label[start : start + _LINKS] = shorter
                    changed = True


def link(centre: Places, links: npt.NDArray[np.uint64], linkage: Linkage, never: int = 0) -> Places:
    """Writes for each text the one that its cluster keeps (itself, if that is it); all by their places in the ranking.

    Args:
        centre: gets the result, one entry a text.
        links: pairs of similar texts, in order: the later place in the upper half of each number, the earlier in the
            lower.
        never: so many texts at the start are always kept.
    """
    count = len(centre)
    for start in range(0, count, _LINKS):
        centre[start : start + _LINKS] = np.arange(start, min(count, start + _LINKS))
    gone = np.zeros(count, bool)
    for start in range(0, len(links), _LINKS):
        some = links[start : start + _LINKS]
        earlier, later = (some & np.uint64(0xFFFFFFFF)).astype(np.int64), (some >> np.uint64(32)).astype(np.int64)
        if linkage == "connected":
            connect(centre, earlier, later)
        else:
            _stars(centre, gone, earlier, later, never)
    centre[:never] = range(never)
    return centre


def _stars(centre: Places, gone: npt.NDArray[np.bool_], earlier: Places, later: Places, never: int) -> None:
    """In ranking order: a text is kept unless it is similar to a kept text; it is dropped for the first of those."""
    # All links of a text are consecutive, after all links of the texts before it: its centre is the first kept one.
    open_ = (later >= never) & ~gone[later] & ~gone[earlier]
    earlier, later = earlier[open_], later[open_]
    flags, kept = memoryview(gone.data), memoryview(centre.data)  # single entries of these are read faster
    for one, other in zip(earlier.tolist(), later.tolist(), strict=True):
        if not flags[one] and not flags[other]:
            flags[other] = True
            kept[other] = one


# ------------------------------------------------------------------------------------------------------------- decision
def hexadecimal(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> pa.Array:
    """Numbers of 128 bits in two halves as texts of 32 digits: ids."""
    digits = np.stack([high, low], axis=1).astype(">u8").tobytes().hex().encode()
    ends = np.arange(len(high) + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(len(high), pa.py_buffer(ends), pa.py_buffer(digits))


def decision(
    rows: int,
    at: Places,
    cluster: pa.Array,
    original: pa.Array,
    kept: npt.NDArray[np.bool_],
    similarity: npt.NDArray[np.float64],
    size: Places,
    drop: bool,
) -> dict[str, pa.Array]:
    """The decision for a shard of ``rows`` rows.

    Args:
        at: the positions of the rows that are in clusters.
        cluster: the cluster's name, for each of these rows.
        original: the id of the row that the cluster keeps.
        kept: whether it is the row itself.
        similarity: to that row; NaN for the kept row.
        size: rows in the cluster.
        drop: whether duplicates are dropped, or only marked.
    """
    gone = np.zeros(rows, bool)
    gone[at] = ~kept
    whole_size, whole_similarity = np.ones(rows), np.full(rows, np.nan)
    whole_size[at], whole_similarity[at] = size, similarity
    member = np.full(rows, -1)
    member[at] = np.arange(len(at))
    dropped = gone if drop else np.zeros(rows, bool)
    return {
        "keep": pa.array(~dropped),
        "reason": pa.array(["duplicate"]).take(pa.array(np.zeros(rows, np.int64), mask=~dropped)),
        "cluster_id": cluster.take(pa.array(member, mask=member < 0)),
        "duplicate_of": original.take(pa.array(member, mask=~gone)),
        "similarity": pa.array(whole_similarity, mask=np.isnan(whole_similarity)),
        "size": pa.array(whole_size),
    }
