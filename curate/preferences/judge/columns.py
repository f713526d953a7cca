"""Turns the verdicts of all judges on a row into its columns: their mean, their spread, and the details."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from curate.preferences.judge.params import JudgeParams
from curate.preferences.judge.parsing import Verdict
from curate.preferences.judge.rendering import Item
from curate.preferences.judge.requests import Judged, compact
from curate.rows import Kind

_DECIMALS = 6


def frame(
    step: JudgeParams,
    kind: Kind,
    items: Sequence[Item],
    judged: Judged,
    judges: Callable[[Item], Sequence[str]],
    hashes: Sequence[str] | None,
) -> pl.DataFrame:
    """One row of :meth:`JudgeParams.columns` per item."""
    dtypes = step.columns(kind)
    criteria = step.criterion_columns(kind)
    rows: list[dict[str, Any]] = []
    for at, item in enumerate(items):
        verdicts = {name: judged[at, name] for name in judges(item) if (at, name) in judged}
        row = _row(step, item, verdicts, criteria, allowed=bool(judges(item)))
        if hashes is not None:
            row["prompt_hash"] = hashes[at] if verdicts and not item.same else None
        rows.append(row)
    types = {name: pl.String() if dtype == pa.string() else pl.Float64() for name, dtype in dtypes.items()}
    return pl.DataFrame(
        {name: pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in types.items()}
    )


def _row(
    step: JudgeParams,
    item: Item,
    verdicts: Mapping[str, Verdict],
    criteria: Mapping[str, tuple[str, str]],
    *,
    allowed: bool,
) -> dict[str, Any]:
    usable = {name: one for name, one in verdicts.items() if one.score is not None}
    row: dict[str, Any] = {"judges": float(len(usable))}
    problems = [f"{name}: {one.problem}" for name, one in verdicts.items() if one.problem]
    reasons = [f"{name}: {one.reason}" for name, one in verdicts.items() if one.reason]
    row["problem"] = "\n".join(problems) or None
    row["reasons"] = "\n".join(reasons) or None
    if item.why_not:
        return {**row, "judges": 0.0, "unjudged": item.why_not}
    if not allowed:
        return {**row, "unjudged": "refused"}
    row["verdicts"] = compact({name: _detail(step, one) for name, one in verdicts.items()})
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


def _detail(step: JudgeParams, one: Verdict) -> Any:
    """The labels of both orders (with probabilities: how far the first shown was preferred), or the levels of a
    verdict."""
    if one.labels:
        if step.scoring == "logprobs" and one.orders is not None:
            return [round(number, 4) for number in one.orders]
        return list(one.labels)
    levels = {side: one.criteria.get(side, value) for side, value in one.sides.items()}
    return levels.get("answer", levels) if levels else None


def _mean(values: Sequence[float]) -> float:
    # The sum of floats depends on their order; sorting makes the mean independent of the order of judges.
    return round(sum(sorted(values)) / len(values), _DECIMALS)
