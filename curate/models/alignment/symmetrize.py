"""Merges the links of two alignment directions: common links are kept, others added next to them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Literal

Symmetry = Literal[
    "intersection", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and", "forward", "backward"
]
Link = tuple[int, int]
_NEAR = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def symmetrize(
    forward: AbstractSet[Link], backward: AbstractSet[Link], sources: int, targets: int, how: Symmetry
) -> tuple[Link, ...]:
    """The joined links, sorted.

    ``grow-diag`` (Koehn et al. 2005) begins with the links of both directions and adds neighbours out of either that
    give a link to a unit without one; ``-final`` then adds links of either direction for units still without,
    ``-final-and`` only where both units are.

    Args:
        forward: (source, target) links of one direction, backward: of the other.
        sources: number of units on the source side; targets: on the target side.
    """
    if how == "forward":
        return tuple(sorted(forward))
    if how == "backward":
        return tuple(sorted(backward))
    if how == "union":
        return tuple(sorted({*forward, *backward}))
    links = {*forward} & {*backward}
    if how == "intersection":
        return tuple(sorted(links))
    either = {*forward, *backward}
    here, there = [False] * sources, [False] * targets
    for i, j in links:
        here[i] = there[j] = True
    waiting = sorted(links)
    while waiting:
        found: list[Link] = []
        for i, j in waiting:
            for down, right in _NEAR:
                near = (i + down, j + right)
                if near in either and near not in links and not (here[near[0]] and there[near[1]]):
                    links.add(near)
                    here[near[0]] = there[near[1]] = True
                    found.append(near)
        waiting = sorted(found)
    if how in ("grow-diag-final", "grow-diag-final-and"):
        for direction in (forward, backward):
            for i, j in sorted(direction):
                if (not here[i] and not there[j]) if how.endswith("and") else not (here[i] and there[j]):
                    links.add((i, j))
                    here[i] = there[j] = True
    return tuple(sorted(links))
