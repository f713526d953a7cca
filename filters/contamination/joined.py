"""The fields of a row as one text, in which a hit may cross from one field into the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

JOIN = "\n\n"
"""Between messages and between fields."""


def edges_of(turns: Sequence[Sequence[str]]) -> list[int]:
    """Where messages and fields end in the joined text: a hit that crosses an edge counts as split."""
    edges, at = [], 0
    for field in turns:
        for turn in field:
            at += len(turn) + len(JOIN)
            edges.append(at - len(JOIN))
        at += 0 if field else len(JOIN)
    return edges[:-1]


def in_fields(spans: Sequence[tuple[int, int]], names: Sequence[str], texts: Sequence[str]) -> list[list[Any]]:
    """Converts places in the joined text to places in its fields."""
    places, begin = [], 0
    for name, one in zip(names, texts, strict=True):
        for start, end in spans:
            first, last = max(start, begin), min(end, begin + len(one))
            if first < last:
                places.append([name, first - begin, last - begin])
        begin += len(one) + len(JOIN)
    return places
