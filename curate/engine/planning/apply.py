"""Runs one step of a dataset on all partitions, by the kind of step that it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curate.catalog import StepUse
from curate.engine.planning.partition import Partition
from curate.engine.planning.row_stages import gather_rows, make_rows
from curate.engine.planning.runner import TaskRunner
from curate.engine.planning.score_stages import decide_globally, score_rows
from curate.errors import BuildError
from curate.steps import DatasetStep, GlobalStep, RowStep, ScoreStep

_STAGES = ((ScoreStep, score_rows), (GlobalStep, decide_globally), (RowStep, make_rows), (DatasetStep, gather_rows))


def apply_step(
    runner: TaskRunner, use: StepUse, partitions: Sequence[Partition | None], seed: int, ancestors: Sequence[str]
) -> tuple[list[Partition | None], list[Any]]:
    """The partitions after the step, and each task's result (row steps: each new shard)."""
    for kind, run in _STAGES:
        if isinstance(use.params, kind):
            return run(runner, use, partitions, seed, ancestors)
    raise BuildError(f"{use.mark}: {use.name} is no step that a dataset can use")
