"""Looks up the results of tasks by their keys; a build also runs the tasks whose results are missing.

Data goes one way: source units → row shards (→ joined to their parents) → column shards, step by step → output
files → version.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from curate.catalog import Catalog, Reference, StepUse
from curate.engine.budget import spent
from curate.engine.events import StageEvents
from curate.engine.executors.base import Executor
from curate.engine.planning.models import bound_model
from curate.engine.planning.partition import Partition
from curate.engine.planning.plan import Plan, StagePlan, reasons
from curate.engine.progress import Progress
from curate.engine.store.columns import Columns, kept_scores, read_kept
from curate.engine.store.fingerprint import digest, step_recipe
from curate.engine.store.lock import check_lock
from curate.engine.store.shards import ChunkLimits, Shard, read_parquet
from curate.engine.store.store import FileDigests, Store
from curate.engine.tasks.task import Task, serialize_params
from curate.errors import CurateError, DamagedError, from_record
from curate.rows import Kind
from curate.steps import Model

_log = logging.getLogger("curate.engine")

Stages = Mapping[str, tuple[str, dict[str, Any], Sequence[Task | None]]]
"""Stage → (action, recipe without inputs, tasks; None where an input is not known yet)."""
Results = list[dict[str, Any] | None]


@dataclass(frozen=True)
class BuildContext:
    """What stays the same for all datasets of a build."""

    store: Store
    catalog: Catalog
    registry: Any
    progress: Progress
    executor: Executor | None
    """None: plan only."""
    digests: FileDigests
    chunk_limits: ChunkLimits
    build: str = ""
    """Number of this build in the ledger."""
    sample: tuple[float, float] | frozenset[str] | None = None
    """Only items whose number lies between these (see :mod:`curate.engine.tasks.sample`), or only rows with these ids,
    are built; None: all."""
    unsampled_sources: frozenset[str] = frozenset()
    """Sources of which every row is needed all the same."""
    retry_failed: bool = False
    """Whether questions to models that failed for good are asked again."""
    keep_going: bool = False
    """Whether a dataset that fails leaves the others to be built."""
    wanted: str = ""
    until: str = ""
    """The label of the last step of the dataset ``wanted`` that is run, and no version of it is written; empty: all
    are run."""


@dataclass(frozen=True)
class StepTrace:
    """What there was after a step."""

    use: StepUse | None
    """None: before the first step."""
    partitions: Sequence[Partition | None]
    failed: Sequence[str] = ()
    """Folders with rows that it could not make."""


@dataclass(frozen=True)
class NotAsked:
    """What a stage of a build that was finished early left out."""

    languages: dict[str, int]
    """Language → rows that models were not asked about."""
    rows: int
    """All rows that the stage saw."""


@dataclass
class DatasetRecord:
    """What the build of one dataset stands on, and what it has to report."""

    name: str = ""
    previous: Mapping[str, Any] = field(default_factory=dict)
    """Stages of the last finished build."""
    tables: Mapping[str, Sequence[Shard] | None] = field(default_factory=dict)
    """Side inputs: the sources and datasets that steps read besides their rows; None: not known yet."""
    stages: dict[str, Any] = field(default_factory=dict)
    """Stages of this build: id → {recipe, inputs}."""
    used: dict[str, None] = field(default_factory=dict)
    """Folders below ``work/`` that this build stands on."""
    warnings: dict[tuple[str, str], None] = field(default_factory=dict)
    """(stage, message), in order."""
    failed: list[str] = field(default_factory=list)
    """Folders with rows that could not be made."""
    failed_digests: dict[str, str] = field(default_factory=dict)
    """Their content; results of older versions of curate do not have it, and never change."""
    not_asked: dict[str, NotAsked] = field(default_factory=dict)
    """Stage → the rows that it left out, since the build was to finish without the answers they lack."""
    audits: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What steps measured about their models, by the label of the step."""
    trail: list[StepTrace] = field(default_factory=list)
    """The rows before the first step and after each that is done, for who follows them; only of the last round, where
    candidates go on until a target is reached."""


class TaskRunner:
    """Looks results up and, unless it only plans, makes the missing ones."""

    def __init__(self, context: BuildContext, mended: dict[str, None] | None = None) -> None:
        self.context = context
        self.record = DatasetRecord()
        self.plan = Plan()
        self.mended = {} if mended is None else mended
        """What of the store was damaged and is made again, a line each."""
        self._tried: set[tuple[str, str]] = set()
        """The results (step, key) that this build made: what was lost in them is for the next one."""

        self._reported: dict[str, dict[str, int | float]] = {}
        """Stage → what it had spent when it last ended."""
        self._batched: dict[str, list[str]] = {}
        """Stage → its models that are asked through a batch interface."""

    def begin(self, record: DatasetRecord) -> None:
        """From now on tasks are those of another dataset."""
        self.record = record

    @property
    def planning(self) -> bool:
        """Whether nothing may run."""
        return self.context.executor is None

    def warn(self, stage: str, message: str) -> None:
        """A warning that goes with the version, said once."""
        if (stage, message) not in self.record.warnings and not self.planning:
            _log.warning(message, extra={"dataset": self.record.name, "stage": stage})
        self.record.warnings[stage, message] = None

    # ------------------------------------------------------------------------------------------------------------ tasks
    def run_tasks(self, stages: Stages) -> dict[str, Results]:
        """The results of all tasks of some stages, which may run side by side."""
        results: dict[str, Results] = {}
        missing: list[tuple[str, int, Task]] = []
        for stage, (action, recipe, tasks) in stages.items():
            results[stage], lacking = self._look_up(stage, action, recipe, tasks)
            missing += [(stage, index, task) for index, task in lacking]
        if missing and not self.planning:
            self._run(missing, results)
        for stage, of_stage in results.items():
            for result in of_stage:
                for warning in (result or {}).get("warnings", ()):
                    self.warn(stage, warning)
            self._tell_lost(stage, stages[stage][2], of_stage)
        return results

    def _tell_lost(self, stage: str, tasks: Sequence[Task | None], results: Results) -> None:
        """Warns of rows whose answers a server lost, and notes those that were not asked about."""
        done = [(task, result) for task, result in zip(tasks, results, strict=True) if task and result]
        languages: Counter[str] = Counter()
        for _, result in done:
            languages.update(result.get("not_asked", {}))
        if languages:
            self.record.not_asked[stage] = NotAsked(dict(languages), sum(task.rows for task, _ in done))
        if lost := sum(int(result.get("lost", 0)) for _, result in done):
            self.warn(stage, f"{_rows(lost)} failed because a server was in trouble; the next build asks again")

    def _look_up(
        self, stage: str, action: str, recipe: dict[str, Any], tasks: Sequence[Task | None]
    ) -> tuple[Results, list[tuple[int, Task]]]:
        """The cached results of a stage, and the tasks that have to run; adds the stage to plan and record."""
        damaged: list[str] = []
        cached = [None if task is None else self.result(task.step, task.key, damaged) for task in tasks]
        again = {index: lost for index, task in enumerate(tasks) if (lost := self._to_ask_again(task, cached[index]))}
        cached = [None if index in again else result for index, result in enumerate(cached)]
        lacking = [
            (index, replace(task, again=index in again))
            for index, (task, result) in enumerate(zip(tasks, cached, strict=True))
            if task is not None and result is None
        ]
        inputs = [task.key for task in tasks if task is not None]
        waits = None in tasks
        why = _why_again(list(again.values()))
        if len(lacking) > len(again) or waits:
            rescored = None
            if action == "score" and not waits:
                rescored = sum(self._unscored(task) for _, task in lacking)
                action = "score" if rescored else "apply thresholds"
            before = self.record.previous.get(stage)
            shown = recipe
            if waits and before and "tables" in before["recipe"]:
                shown = {"tables": before["recipe"]["tables"], **recipe}  # not known yet is no difference
            why += damaged or reasons(before, shown, inputs, waits=waits, rescored=rescored)
        if (lacking or waits) and action != "apply thresholds":
            why += [f"model '{name}' is asked by batch" for name in self._batched.get(stage, ())]
        reuse = sum(result is not None for result in cached)
        rows = sum(task.rows for _, task in lacking)
        self.plan.stages.append(
            StagePlan(
                self.record.name,
                stage,
                action,
                reuse=reuse,
                run=len(lacking),
                waits=tasks.count(None),
                rows=rows,
                reasons=why,
            )
        )
        self.record.stages[stage] = {"recipe": recipe, "inputs": inputs}
        for task in tasks:
            if task is not None:
                self.record.used[f"{task.step}/{task.key}"] = None
                if "score_key" in task.payload:
                    self.record.used[f"{task.step}/{task.payload['score_key']}"] = None
        return cached, lacking

    def result(self, step: str, key: str, why: list[str] | None = None) -> dict[str, Any] | None:
        """A kept result; one that is damaged is none, and in a build is set aside and said.

        Args:
            why: gets a line for a damaged one.
        """
        try:
            return self.context.store.result(step, key)
        except DamagedError as error:
            if why is not None:
                why.append(f"{error.path.name} of its result is damaged ({error.why})")
            if not self.planning:
                self.set_aside(self.context.store.work(step, key), error)
            return None

    def set_aside(self, folder: Path, error: DamagedError) -> None:
        """Moves a damaged result or version out of the way, so that it is made again."""
        inside = error.path.relative_to(self.context.store.root)
        where = self.context.store.set_aside(folder).relative_to(self.context.store.root)
        message = f"{inside} was damaged ({error.why}); it was moved to {where} and is made again"
        _log.warning(message, extra={"dataset": self.record.name})
        self.mended[message] = None

    def _run(self, missing: Sequence[tuple[str, int, Task]], results: dict[str, Results]) -> None:
        executor = self.context.executor
        assert executor is not None
        events = StageEvents(self.record.name, self.context.progress, self._spent_on)
        for stage in dict.fromkeys(stage for stage, _, _ in missing):
            tasks = [task for other, _, task in missing if other == stage]
            events.begin(stage, len(tasks), sum(task.rows for task in tasks))
        try:
            for index, result in executor.run([task for _, _, task in missing], self.context.progress.advance):
                stage, place, task = missing[index]
                if "error" in result:
                    raise _task_error(stage, task, result)
                results[stage][place] = result
                check_lock(self.context.store.root)
                self._tried.add((task.step, task.key))
                events.task_ends(stage)
        except CurateError as error:
            events.fail(error)
            raise

    def _spent_on(self, stage: str) -> dict[str, int | float]:
        """Calls, tokens and money of a stage in this build since it last ended, models together (with a target it ends
        once a round); nothing where no model was paid."""
        paid = spent(self.context.store.root, self.context.build, self.record.name)
        of_stage = [one for one in paid if one["stage"] == stage]
        if not of_stage:
            return {}
        names = ("calls", "prompt_tokens", "completion_tokens", "money")
        total = {name: sum(one[name] for one in of_stage) for name in names}
        before = self._reported.get(stage, {})
        self._reported[stage] = total
        return {name: value - before.get(name, 0) for name, value in total.items()}

    def _to_ask_again(self, task: Task | None, result: Mapping[str, Any] | None) -> tuple[int, int, int] | None:
        """For how many rows of a result models have to be asked again: lost in passing, failed for good, not asked
        before; None if for none."""
        if task is None or result is None or (task.step, task.key) in self._tried:
            return None
        not_asked = sum(result.get("not_asked", {}).values())
        failed = int(result.get("failed", 0)) if self.context.retry_failed else 0
        found = (int(result.get("lost", 0)), failed, not_asked)
        return found if any(found) else None

    def _unscored(self, task: Task) -> int:
        """How many rows of a score task have no kept score."""
        path = kept_scores(self.context.store.work(task.step, task.payload["score_key"]))
        if path is None:
            return task.rows
        kept = read_parquet(path)
        scored = np.asarray(kept["scored"].combine_chunks().to_numpy(zero_copy_only=False), bool)
        if self.context.retry_failed and "failed" in kept.column_names:
            scored &= ~np.asarray(kept["failed"].combine_chunks().to_numpy(zero_copy_only=False), bool)
        columns = [Columns(**value) for value in task.payload["columns"]]
        for one in columns[-1:]:
            self.context.store.checked(one.path)
        kept = read_kept(self.context.store.root, columns, len(scored))
        return int((kept & ~scored).sum())

    def models_of(self, params: Any) -> dict[str, Model]:
        """The models that a step names: the catalog's, else the installed one of that name with its defaults."""
        return {
            name: bound_model(self.context.catalog, self.context.registry, name)
            for names in params.named(Reference.MODEL).values()
            for name in names
        }

    def step_recipe(
        self, action: str, use: StepUse, models: Mapping[str, Model], *, decisions: bool
    ) -> tuple[dict[str, Any], bool]:
        """The recipe of a step, and whether it is complete: the content of what the step looks into may not be
        known yet."""
        self._batched[f"{self.record.name}/{use.label}"] = [name for name, model in models.items() if model.batched]
        recipe = step_recipe(action, use.params, models, decisions=decisions)
        for parameter, names in use.params.named(Reference.ROWS).items():
            if not names:
                continue
            if any(self.record.tables.get(name) is None for name in names):
                return recipe, False
            content = [[[shard.digest, shard.places] for shard in self.record.tables[name] or ()] for name in names]
            recipe.setdefault("tables", {})[parameter] = digest(content)
        return recipe, True

    def _packed(self, models: Mapping[str, Model]) -> dict[str, Any]:
        return {
            name: {**serialize_params(model), "models": self._packed(self.models_of(model))}
            for name, model in models.items()
        }

    def is_exclusive(self, models: Mapping[str, Model]) -> bool:
        """Whether a task with these models must run in the one process for servers and devices."""
        return any(model.exclusive or self.is_exclusive(self.models_of(model)) for model in models.values())

    def payload(
        self, use: StepUse, models: Mapping[str, Model], kind: Kind, seed: int, ancestors: Sequence[str]
    ) -> dict[str, Any]:
        """What every task of a step carries: the step, its models, the seed, where the rows are that it may look at."""
        names = [name for listed in use.params.named(Reference.ROWS).values() for name in listed]
        return {
            "step": serialize_params(use.params),
            "label": use.label,
            "models": self._packed(models),
            "kind": kind.value,
            "seed": seed,
            "ancestors": list(ancestors),
            "tables": {name: [shard.path for shard in self.record.tables.get(name) or ()] for name in names},
        }


def _task_error(stage: str, task: Task, result: Mapping[str, Any]) -> CurateError:
    """The error of a task, as the class it had in the worker, with its stage and shard."""
    if result["kind"] == "DamagedError":
        return DamagedError(Path(result["path"]), result["why"])
    trace = f"\n{result['trace']}" if result.get("trace") else ""
    shard = f" (shard {task.payload['shard']})" if "shard" in task.payload else ""
    return from_record(result, f"{stage}{shard}: {result['error']}{trace}")


def _why_again(rows: Sequence[tuple[int, int, int]]) -> list[str]:
    told = (
        "failed because a server was in trouble; asked again",
        "failed for good; asked again (--retry-failed)",
        "not asked yet (--finish)",
    )
    totals = [sum(one[place] for one in rows) for place in range(len(told))]
    return [f"{_rows(count)} {what}" for count, what in zip(totals, told, strict=True) if count]


def _rows(count: int) -> str:
    return f"{count:,} {'rows' if count > 1 else 'row'}"
