"""Runs a dataset's steps in order; with a target, in rounds of further candidates until enough rows are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from curate.catalog import DatasetSpec, StepUse, Target
from curate.engine.funnel import Funnel
from curate.engine.planning.apply import apply_step
from curate.engine.planning.partition import Partition, shards_in
from curate.engine.planning.runner import StepTrace, TaskRunner
from curate.engine.representation import READ, Representation
from curate.engine.store.fingerprint import digest
from curate.engine.store.shards import Shard, read_parquet
from curate.engine.tasks.task import Task
from curate.engine.tasks.trim import TakeN
from curate.errors import BudgetError
from curate.rows import Kind
from curate.rows.kinds import kind_of
from curate.steps import DatasetStep, RowStep

_MOST_ROUNDS = 100
_GRID = 2_048


@dataclass
class PipelineState:
    """Where pieces got to."""

    pieces: list[Partition | None]
    ancestors: list[str]
    funnel: Funnel = field(default_factory=lambda: Funnel(prompts=Funnel()))
    superseded: list[Partition] = field(default_factory=list)
    """Partitions whose rows a later step made others of; what was dropped before is told with the version."""
    alarms: list[str] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """Whether every result is there."""
        return None not in self.pieces

    def languages(self) -> dict[str, int]:
        """Rows that came through, by language."""
        if self.funnel.steps and self.funnel.steps[-1][0] not in self.funnel.made:
            return {language: counts.get("kept", 0) for language, counts in self.funnel.steps[-1][1].items()}
        found: dict[str, int] = {}
        for piece in self.pieces:
            for language, count in (piece.shard.languages if piece else {}).items():
                found[language] = found.get(language, 0) + count
        return found

    def representation(self, identifying: Sequence[str], parts: Sequence[Mapping[str, Any]]) -> Representation:
        """Who is in the dataset after each step, put together from what the tasks counted that wrote it.

        Args:
            identifying: see :func:`identifying_scores`.
        """
        steps = [READ, *(label for label, _ in self.funnel.steps)]
        counted = Representation(steps, list(self.funnel.made), list(identifying))
        for part in parts:
            for entered, counts in zip(part["entered"], part["counts"], strict=True):
                counted.add(entered, counts)
        return counted


def identifying_scores(steps: Sequence[StepUse]) -> list[str]:
    """The scores of languages that steps give (``Step.identifies``), in order: under the label of the step, of one that
    makes rows under its tag."""
    found = [use for use in steps if use.params.identifies]
    return [use.params.tag if isinstance(use.params, RowStep) else use.label for use in found]


def kind_after(steps: Sequence[StepUse], kind: Kind) -> Kind:
    """The kind that rows have after all steps."""
    for use in steps:
        kind = use.params.makes(kind) if isinstance(use.params, RowStep | DatasetStep) else kind
    return kind


def run_steps(
    runner: TaskRunner,
    steps: Sequence[StepUse],
    pieces: Sequence[Partition | None],
    seed: int,
    ancestors: Sequence[str],
) -> PipelineState:
    """All steps on all pieces."""
    state = PipelineState(list(pieces), list(ancestors))
    runner.record.failed = []
    asked = state.funnel.prompts
    assert asked is not None
    runner.record.trail = [StepTrace(None, state.pieces)]
    for piece in pieces:
        if piece is not None:
            state.funnel.add_read(piece.shard.languages)
            asked.add_read(piece.shard.prompts)
    for use in steps:
        before, failed = state.pieces, len(runner.record.failed)
        state.pieces, counts = apply_step(runner, use, before, seed, state.ancestors)
        if (left := runner.record.not_asked.get(f"{runner.record.name}/{use.label}")) is not None:
            state.funnel.not_asked[use.label] = left.languages
        runner.record.trail.append(StepTrace(use, state.pieces, runner.record.failed[failed:]))
        if not isinstance(use.params, RowStep | DatasetStep):
            state.funnel.add_step(use.label, counts)
            if never := _never_assessed(runner, use, state.funnel, before):
                runner.warn(f"{runner.record.name}/{use.label}", _none_assessed(never))
            continue
        state.superseded += [piece for piece in before if piece is not None]
        entered = len(state.funnel.steps) + 1
        state.pieces = [piece and replace(piece, entered=entered) for piece in state.pieces]
        fresh = [piece.shard.path for piece in state.pieces if piece is not None]
        looked = [shard.path for name in _looked(use) for shard in runner.record.tables.get(name) or ()]
        state.ancestors = list(dict.fromkeys([*state.ancestors, *looked, *fresh]))
        state.funnel.add_made(use.label, [made["languages"] for made in counts])
        asked.add_made(use.label, [made.get("prompts", {}) for made in counts])
    return state


def _none_assessed(never: Mapping[str, int]) -> str:
    """What is said of languages, with their rows, in which a step could assess none."""
    most = sorted(never, key=lambda tag: (-never[tag], tag))
    listed = ", ".join(f"{tag} ({never[tag]:,})" for tag in most)
    where = most[0] if len(most) == 1 else f"{len(most)} languages"
    told = f"none of the {sum(never.values()):,} rows in {where} could be assessed"
    return told if len(most) == 1 else f"{told}: {listed}"


def _never_assessed(
    runner: TaskRunner, use: StepUse, funnel: Funnel, pieces: Sequence[Partition | None]
) -> dict[str, int]:
    """Language → rows, of the languages in which a step could assess none, and should have.

    Originals have nothing to be compared with, and nobody misses it as long as others are compared with them.
    """
    never = funnel.never_assessed(use.label)
    seen = {
        language
        for label, counts in funnel.steps
        if label == use.label
        for language, found in counts.items()
        if sum(found.values())
    }
    if not never or not getattr(use.params, "compares", False) or seen == never.keys():
        return never
    having: set[str] = set()
    for piece in pieces:
        if piece is not None:
            path = runner.context.store.checked(piece.shard.path)
            if kind_of(pq.read_schema(path).names) is Kind.PARALLEL:
                return never  # its sides are compared
            frame = pl.DataFrame(pl.from_arrow(read_parquet(path, columns=["id", "language", "lineage"])))
            parent = pl.col("lineage").struct.field("parents").list.first()
            having |= set(frame.filter(parent != pl.col("id"))["language"])
    return {language: rows for language, rows in never.items() if language in having}


def _looked(use: StepUse) -> list[str]:
    from curate.catalog import Reference

    return [name for names in use.params.named(Reference.ROWS).values() for name in names]


def run_until_target(
    runner: TaskRunner, spec: DatasetSpec, shards: Sequence[Shard], kind: Kind, ancestors: Sequence[str]
) -> PipelineState:
    """Takes candidates through the steps, round after round, until the target is reached or candidates or budget
    are at an end.

    Each round's candidates are shards of their own, so that the next round finds everything before it done. What comes
    out depends on the catalog and the rows only (and on the budget, where that ends it; the alarm says so).
    """
    target = spec.target
    assert target is not None
    steps = [*spec.steps, StepUse("target", "target", TakeN(rows=target.rows, per=target.per), spec.mark)]
    total = sum(shard.rows for shard in shards)
    most = target.candidates or total
    drawn, number = 0, 0
    slices: list[Partition | None] = []
    state = PipelineState([], list(ancestors))
    wanted: tuple[str, ...] | None = None
    if not total:
        return run_steps(runner, steps, [], spec.seed, ancestors)
    size = min(most, target.first or _first(target))
    while True:
        slices += _take(runner, shards, kind, drawn, size, wanted, number)
        drawn += size
        number += 1
        before = state
        try:
            state = run_steps(runner, steps, slices, spec.seed, ancestors)
        except BudgetError as error:
            if number == 1:
                raise
            before.alarms.append(
                f"target: the budget ended after {drawn - size:,} candidates; "
                f"{_state(target, before.languages())}; {error}"
            )
            return before
        if not state.known:
            return state
        reached = state.languages()
        missing = _missing(target, reached)
        if not missing:
            return state
        if drawn >= most or number >= _MOST_ROUNDS or runner.record.not_asked:
            why = f"{number} rounds were made"
            if runner.record.not_asked:
                why = "answers are missing (--finish)"
            elif drawn >= most:
                why = "all candidates were tried"
            state.alarms.append(f"target: not reached: {why} ({drawn:,}); {_state(target, reached)}")
            return state
        if target.per == "language":
            wanted = tuple(sorted(missing))
        # As many as the worst language needs at the rate of acceptance so far, and a tenth more; at most four times
        # what was drawn.
        need = max(lacking * drawn / max(1, reached.get(language, 0)) for language, lacking in missing.items())
        size = min(most - drawn, max(1, min(math.ceil(1.1 * need), 4 * drawn)))


def _first(target: Target) -> int:
    values = [value for value in (target.rows.default, *target.rows.values.values()) if value is not None]
    return max(1, max(values, default=1))


def _missing(target: Target, reached: Mapping[str, int]) -> dict[str, int]:
    """How many rows each language (``*`` for all together) still lacks."""
    if target.per == "dataset":
        lacking = (target.rows.default or 0) - sum(reached.values())
        return {"*": lacking} if lacking > 0 else {}
    languages = target.languages or tuple(sorted({*reached, *target.rows}))
    lack = {language: (target.rows[language] or 0) - reached.get(language, 0) for language in languages}
    return {language: lacking for language, lacking in lack.items() if lacking > 0}


def _state(target: Target, reached: Mapping[str, int]) -> str:
    if target.per == "dataset":
        return f"{sum(reached.values()):,} of {target.rows.default:,} rows"
    languages = target.languages or tuple(sorted({*reached, *target.rows}))
    return ", ".join(
        f"{language} {reached.get(language, 0):,} of {target.rows[language] or 0:,}" for language in languages
    )


def _take(
    runner: TaskRunner,
    shards: Sequence[Shard],
    kind: Kind,
    first: int,
    count: int,
    wanted: tuple[str, ...] | None,
    number: int,
) -> list[Partition | None]:
    """The candidates from ``first`` on, counted through all shards and, at their end, from the beginning again."""
    total = sum(shard.rows for shard in shards)
    stage = f"{runner.record.name}/candidates"
    recipe: dict[str, Any] = {"action": "take", "version": 1, "kind": kind.value}
    tasks: list[Task | None] = []
    draws: list[int] = []
    place, end = first, first + count
    while place < end:
        draw, inside = divmod(place, total)
        for shard in shards:
            if inside < shard.rows:
                break
            inside -= shard.rows
        # Cut at round numbers too, so that a greater target finds most of a smaller one's work done.
        rows = min(shard.rows - inside, end - place, _GRID - place % _GRID)
        full = {**recipe, "input": [shard.digest, shard.places], "first": inside, "rows": rows}
        payload = {"kind": kind.value, "shard": shard.path, "first": inside, "rows": rows}
        tasks.append(Task("take", stage, "take", digest(full), full, rows, payload))
        draws.append(draw)
        place += rows
    results = runner.run_tasks({stage: ("take", recipe, tasks)})[stage]
    pieces: list[Partition | None] = []
    for task, result, draw in zip(tasks, results, draws, strict=True):
        if task is None or result is None:
            pieces.append(None)
        else:
            pieces += [
                replace(Partition(kind, one), draw=draw, wanted=wanted if number else None)
                for one in shards_in(task, result)
            ]
    return pieces
