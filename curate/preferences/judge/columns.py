"""What all judges said of a row becomes its columns: the mean of those who gave a verdict, and beside it how far they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from curate.preferences.judge.parsing import Verdict
from curate.preferences.judge.rendering import Item
from curate.preferences.judge.requests import Judged, compact
from curate.rows import Kind

if TYPE_CHECKING:
    from curate.preferences.judge.step import Judge

RESERVED = frozenset({"score", "chosen", "rejected", "judges", "spread", "consistency", "first_wins", "unjudged", "verdicts",
                      "reasons", "problem", "prompt_hash"})  # fmt: skip
_DECIMALS = 6


def columns(step: Judge, kind: Kind) -> Mapping[str, pa.DataType]:
    """The columns for rows of a kind."""
    scores = ["score"]
    attributes = ["unjudged", "verdicts"]
    if step.method == "pairwise":
        scores += ["consistency", "first_wins"]
    elif kind is Kind.PREFERENCE:
        scores += ["chosen", "rejected"]
    if step.method != "reference":
        attributes += ["reasons", "problem", "prompt_hash"]
    return {**dict.fromkeys([*scores, "judges", "spread", *_criteria(step, kind)], pa.float64()), **dict.fromkeys(attributes, pa.string())}  # fmt: skip


def _criteria(step: Judge, kind: Kind) -> dict[str, tuple[str, str]]:
    """Column → (side, criterion), where there are several."""
    if step.method != "direct" or len(rubric := step.criteria(kind)) < 2:
        return {}
    sides = ("chosen", "rejected") if kind is Kind.PREFERENCE else ("answer",)
    return {
        one.name if side == "answer" else f"{side}_{one.name}": (side, one.name) for side in sides for one in rubric
    }


def frame(
    step: Judge,
    kind: Kind,
    items: Sequence[Item],
    judged: Judged,
    judges: Callable[[Item], Sequence[str]],
    hashes: Sequence[str] | None,
) -> pl.DataFrame:
    """One row of :func:`columns` an item."""
    wanted = columns(step, kind)
    criteria = _criteria(step, kind)
    rows: list[dict[str, Any]] = []
    for at, item in enumerate(items):
        asked = {name: judged[at, name] for name in judges(item) if (at, name) in judged}
        row = _row(step, item, asked, criteria, allowed=bool(judges(item)))
        if hashes is not None:
            row["prompt_hash"] = hashes[at] if asked and not item.same else None
        rows.append(row)
    types = {name: pl.String() if dtype == pa.string() else pl.Float64() for name, dtype in wanted.items()}
    return pl.DataFrame(
        {name: pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in types.items()}
    )


def _row(
    step: Judge, item: Item, asked: Mapping[str, Verdict], criteria: Mapping[str, tuple[str, str]], *, allowed: bool
) -> dict[str, Any]:
    usable = {name: one for name, one in asked.items() if one.score is not None}
    row: dict[str, Any] = {"judges": float(len(usable))}
    problems = [f"{name}: {one.problem}" for name, one in asked.items() if one.problem]
    reasons = [f"{name}: {one.reason}" for name, one in asked.items() if one.reason]
    row["problem"] = "\n".join(problems) or None
    row["reasons"] = "\n".join(reasons) or None
    if item.why_not:
        return {**row, "judges": 0.0, "unjudged": item.why_not}
    if not allowed:
        return {**row, "unjudged": "refused"}
    row["verdicts"] = compact({name: _told(step, one) for name, one in asked.items()})
    if not usable:
        return {**row, "unjudged": "failed" if step.method != "reference" else "language"}
    scores = [one.score for one in usable.values() if one.score is not None]
    row["score"] = _mean(scores)
    row["spread"] = round(max(scores) - min(scores), _DECIMALS) if len(scores) > 1 else None
    ordered = [one.consistent for one in usable.values() if one.consistent is not None]
    row["consistency"] = _mean(ordered) if ordered else None
    decided = sum(one.decided for one in usable.values())
    row["first_wins"] = round(sum(one.first for one in usable.values()) / decided, _DECIMALS) if decided else None
    if all(one.sides for one in usable.values()):
        for side in item.answers:
            row[side] = _mean([one.sides[side] for one in usable.values()])
        for name, (side, criterion) in criteria.items():
            row[name] = _mean([one.criteria[side][criterion] for one in usable.values()])
    return row


def _told(step: Judge, one: Verdict) -> Any:
    """What a judge said: the labels of both orders (probabilities: how far the first shown was preferred), or its levels."""
    if one.said:
        if step.scoring == "logprobs" and one.orders is not None:
            return [round(number, 4) for number in one.orders]
        return list(one.said)
    found = {side: one.criteria.get(side, value) for side, value in one.sides.items()}
    return found.get("answer", found) if found else None


def _mean(values: Sequence[float]) -> float:
    # The sum of floats depends on their order; verdicts of equal judges must not differ in a last digit.
    return round(sum(sorted(values)) / len(values), _DECIMALS)
