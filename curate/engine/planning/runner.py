"""Stages turn inputs with known content into tasks with known keys: a plan looks the keys up, a build also does what is missing.

Data goes one way: source units → row shards (→ linked to their parents) → column shards step by step → parts → version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from curate.catalog import Catalog, Reference, StepUse
from curate.engine.executors.local import Executor
from curate.engine.planning.plan import Plan, StagePlan, reasons
from curate.engine.progress import Progress
from curate.engine.store.columns import ALL, Columns
from curate.engine.store.fingerprint import digest, step_recipe
from curate.engine.store.shards import Cuts, Shard
from curate.engine.store.store import FileDigests, Store
from curate.engine.tasks.task import Task, kept_scores, pack
from curate.errors import BuildError, DamagedError, from_record
from curate.rows import Kind
from curate.steps import GatherStep, GlobalStep, Model, RowStep, ScoreStep


@dataclass(frozen=True)
class Piece:
    """A row shard with the column shards beside it, on its way through a dataset's steps."""

    kind: Kind
    shard: Shard
    columns: tuple[Columns, ...] = ()
    draw: int = 0
    """How often its rows were drawn as candidates before (``target:``)."""
    wanted: tuple[str, ...] | None = None
    """The languages still wanted when its rows were drawn; None: all."""

    @property
    def alive(self) -> str:
        return self.columns[-1].alive if self.columns else ALL

    @property
    def rows_alive(self) -> int:
        return self.columns[-1].rows_alive if self.columns else self.shard.rows

    def place(self) -> dict[str, Any]:
        """Where a task finds it."""
        return {"shard": self.shard.path, "columns": [one.to_json() for one in self.columns]}

    def to_json(self) -> dict[str, Any]:
        return {**self.place(), "shard": self.shard.to_json()}


@dataclass
class Runner:
    """Looks results up and, unless it only plans, makes the missing ones."""

    store: Store
    catalog: Catalog
    registry: Any
    progress: Progress
    executor: Executor | None
    """None: plan only."""
    digests: FileDigests
    cuts: Cuts
    plan: Plan = field(default_factory=Plan)
    dataset: str = ""
    old: Mapping[str, Any] = field(default_factory=dict)
    """Stages of the last finished build of this dataset."""
    stages: dict[str, Any] = field(default_factory=dict)
    """Stages of this build: id → {recipe, inputs}."""
    used: dict[str, None] = field(default_factory=dict)
    """Folders below ``work/`` that this build stands on."""
    warnings: dict[tuple[str, str], None] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    """Folders with rows that could not be made."""
    bad_digests: dict[str, str] = field(default_factory=dict)
    """What is in them; results of older versions of curate do not say, and never change."""
    audits: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What steps found out about themselves, by the label of the step."""
    build: str = ""
    """Number of this build in the ledger."""
    part: tuple[float, float] | None = None
    """Only items whose number lies between these are built, as a sample (see :mod:`curate.engine.planning.estimate`)."""
    whole: frozenset[str] = frozenset()
    """Sources of which every row is needed all the same."""
    tables: Mapping[str, Sequence[Shard] | None] = field(default_factory=dict)
    """The sources and datasets that steps look into; None: not known yet."""
    mended: dict[str, None] = field(default_factory=dict)
    """What of the store was damaged and is made again, a line each."""
    retry_failed: bool = False
    """Whether questions to models that failed for good are asked again."""
    tried: set[tuple[str, str]] = field(default_factory=set)
    """The results (step, key) that this build made: what was lost in them is for the next one."""

    # ------------------------------------------------------------------------------------------------------------ tasks
    def do(
        self, groups: Mapping[str, tuple[str, dict[str, Any], Sequence[Task | None]]]
    ) -> dict[str, list[dict[str, Any] | None]]:
        """The results of all tasks of some stages, which may run side by side.

        Args:
            groups: stage id → (action, recipe without inputs, tasks; None where an input is not known yet).
        """
        results: dict[str, list[dict[str, Any] | None]] = {}
        missing: list[tuple[str, int, Task]] = []
        for stage, (action, recipe, tasks) in groups.items():
            damaged: list[str] = []
            found = [None if task is None else self.result(task.step, task.key, damaged) for task in tasks]
            again = {
                index: rows for index, task in enumerate(tasks) if (rows := self._to_ask_again(task, found[index]))
            }
            found = [None if index in again else result for index, result in enumerate(found)]
            results[stage] = found
            lacking = [(stage, index, replace(task, again=index in again)) for index, (task, result) in enumerate(zip(tasks, found, strict=True))
                       if task is not None and result is None]  # fmt: skip
            inputs = [task.key for task in tasks if task is not None]
            why = _why_again(list(again.values()))
            if len(lacking) > len(again) or None in tasks:
                rescored = None
                if action == "score" and None not in tasks:
                    rescored = sum(self._unscored(task) for _, _, task in lacking)
                    action = "score" if rescored else "re-decide"
                before = self.old.get(stage)
                told = recipe
                if None in tasks and before and "tables" in before["recipe"]:
                    told = {"tables": before["recipe"]["tables"], **recipe}  # not known yet is no difference
                why += damaged or reasons(before, told, inputs, waits=None in tasks, rescored=rescored)
            self.plan.stages.append(
                StagePlan(self.dataset, stage, action, reuse=sum(result is not None for result in found), run=len(lacking),
                          waits=sum(task is None for task in tasks), rows=sum(task.rows for _, _, task in lacking), reasons=why)
            )  # fmt: skip
            self.stages[stage] = {"recipe": recipe, "inputs": inputs}
            missing += lacking
            for task in tasks:
                if task is not None:
                    self.used[f"{task.step}/{task.key}"] = None
                    if "score_key" in task.payload:
                        self.used[f"{task.step}/{task.payload['score_key']}"] = None
        if missing and self.executor is not None:
            self._run(missing, results)
        for stage, found in results.items():
            for result in found:
                for warning in (result or {}).get("warnings", ()):
                    self.warnings[stage, warning] = None
            if lost := sum(int(result.get("lost", 0)) for result in found if result):
                self.warnings[
                    stage,
                    f"{lost:,} {'rows' if lost > 1 else 'row'} failed because a server was in trouble; the next build asks again",
                ] = None
        return results

    def result(self, step: str, key: str, why: list[str] | None = None) -> dict[str, Any] | None:
        """A kept result; one that is damaged is none, and in a build is set aside and said.

        Args:
            why: gets a line for a damaged one.
        """
        try:
            return self.store.result(step, key)
        except DamagedError as error:
            if why is not None:
                why.append(f"{error.path.name} of its result is damaged ({error.why})")
            if self.executor is not None:
                self.set_aside(self.store.work(step, key), error)
            return None

    def set_aside(self, folder: Path, error: DamagedError) -> None:
        """Moves a damaged result or version out of the way, so that it is made again."""
        inside = error.path.relative_to(self.store.root)
        where = self.store.set_aside(folder).relative_to(self.store.root)
        self.mended[f"{inside} was damaged ({error.why}); it was moved to {where} and is made again"] = None

    def _run(self, missing: Sequence[tuple[str, int, Task]], results: dict[str, list[dict[str, Any] | None]]) -> None:
        assert self.executor is not None
        expected: dict[str, int] = {}
        for stage, _, task in missing:
            expected[stage] = expected.get(stage, 0) + task.rows
        left = {stage: sum(other == stage for other, _, _ in missing) for stage in expected}
        for stage, rows in expected.items():
            self.progress.begin(stage, rows)
        for index, result in self.executor.run([task for _, _, task in missing], self.progress.advance):
            stage, place, task = missing[index]
            if "error" in result:
                if result["kind"] == "DamagedError":
                    raise DamagedError(Path(result["path"]), result["why"])
                trace = f"\n{result['trace']}" if result.get("trace") else ""
                shard = f" (shard {task.payload['shard']})" if "shard" in task.payload else ""
                raise from_record(result, f"{stage}{shard}: {result['error']}{trace}")
            results[stage][place] = result
            self.tried.add((task.step, task.key))
            left[stage] -= 1
            if not left[stage]:
                self.progress.end(stage)

    def _to_ask_again(self, task: Task | None, result: Mapping[str, Any] | None) -> tuple[int, int] | None:
        """For how many rows of a result models have to be asked again: lost in passing, failed for good; None if for none."""
        if task is None or result is None or (task.step, task.key) in self.tried:
            return None
        found = (int(result.get("lost", 0)), int(result.get("failed", 0)) if self.retry_failed else 0)
        return found if any(found) else None

    def _unscored(self, task: Task) -> int:
        """How many rows of a score task have no kept score."""
        import numpy as np

        from curate.engine.store.columns import read_alive

        path = kept_scores(self.store.work(task.step, task.payload["score_key"]))
        if path is None:
            return task.rows
        kept = pq.read_table(path)
        scored = np.asarray(kept["scored"].combine_chunks().to_numpy(zero_copy_only=False), bool)
        if self.retry_failed and "failed" in kept.column_names:
            scored &= ~np.asarray(kept["failed"].combine_chunks().to_numpy(zero_copy_only=False), bool)
        alive = read_alive(self.store.root, [Columns(**value) for value in task.payload["columns"]], len(scored))
        return int((alive & ~scored).sum())

    def models_of(self, params: Any) -> dict[str, Model]:
        """The models that a step names: the catalog's, else the installed one of that name with its defaults."""
        return {name: bound_model(self.catalog, self.registry, name)
                for names in params.named(Reference.MODEL).values() for name in names}  # fmt: skip

    def step_recipe(
        self, action: str, use: StepUse, models: Mapping[str, Model], *, decisions: bool
    ) -> tuple[dict[str, Any], bool]:
        """The recipe of a step, and whether it is complete: the content of what the step looks into may not be known yet."""
        recipe = step_recipe(action, use.params, models, decisions=decisions)
        for parameter, names in use.params.named(Reference.ROWS).items():
            if not names:
                continue
            if any(self.tables.get(name) is None for name in names):
                return recipe, False
            content = [[[shard.digest, shard.places] for shard in self.tables[name] or ()] for name in names]
            recipe.setdefault("tables", {})[parameter] = digest(content)
        return recipe, True

    def _packed(self, models: Mapping[str, Model]) -> dict[str, Any]:
        return {name: {**pack(model), "models": self._packed(self.models_of(model))} for name, model in models.items()}

    def is_exclusive(self, models: Mapping[str, Model]) -> bool:
        """Whether a task with these models must run in the one process for servers and devices."""
        return any(model.exclusive or self.is_exclusive(self.models_of(model)) for model in models.values())

    def payload(
        self, use: StepUse, models: Mapping[str, Model], kind: Kind, seed: int, ancestors: Sequence[str]
    ) -> dict[str, Any]:
        """What every task of a step carries: the step, its models, the seed, where the rows are that it may look at."""
        names = [name for listed in use.params.named(Reference.ROWS).values() for name in listed]
        return {
            "step": pack(use.params),
            "label": use.label,
            "models": self._packed(models),
            "kind": kind.value,
            "seed": seed,
            "ancestors": list(ancestors),
            "tables": {name: [shard.path for shard in self.tables.get(name) or ()] for name in names},
        }

    # ------------------------------------------------------------------------------------------------------------ steps
    def apply(
        self, use: StepUse, pieces: Sequence[Piece | None], seed: int, ancestors: Sequence[str]
    ) -> tuple[list[Piece | None], list[Any]]:
        """One step on all pieces: the pieces after it, and each task's result (row steps: made rows by language)."""
        if isinstance(use.params, ScoreStep):
            return self._score(use, pieces, seed, ancestors)
        if isinstance(use.params, GlobalStep):
            return self._settle(use, pieces, seed, ancestors)
        if isinstance(use.params, RowStep | GatherStep):
            from curate.engine.planning.row_stages import gather_rows, make_rows

            return (make_rows if isinstance(use.params, RowStep) else gather_rows)(self, use, pieces, seed, ancestors)
        raise BuildError(f"{use.mark}: {use.name} is no step that a dataset can use")

    def _score(
        self, use: StepUse, pieces: Sequence[Piece | None], seed: int, ancestors: Sequence[str]
    ) -> tuple[list[Piece | None], list[Any]]:
        if not pieces:
            return [], []
        step, models, stage = use.params, self.models_of(use.params), f"{self.dataset}/{use.label}"
        told = step_recipe("score", step, models, decisions=True)
        recipe, known = self.step_recipe("score", use, models, decisions=False)
        fitted = None
        if known and step.fits:
            fitted = self._fit(use, pieces, models, recipe, seed, ancestors)
            known = fitted is not None
            if fitted is not None and (figures := step.audits(pq.read_table(self.store.checked(fitted["path"])))):
                self.audits[use.label] = figures
        exclusive = self.is_exclusive(models)
        tasks: list[Task | None] = []
        for piece in pieces:
            if piece is None or not known:
                tasks.append(None)
                continue
            score = {
                **recipe,
                "kind": piece.kind.value,
                "input": piece.shard.digest,
                "fitted": fitted["digest"] if fitted else None,
            }
            score_key = digest(score)
            full = {
                "action": "decide",
                "score": score_key,
                "decision": step.decision(),
                "alive": piece.alive,
                "version": step.version,
            }
            payload = {
                **self.payload(use, models, piece.kind, 0, ancestors),
                **piece.place(),
                "score_key": score_key,
                "fitted": fitted["path"] if fitted else None,
            }
            tasks.append(
                Task(
                    "score",
                    stage,
                    step.tag,
                    digest(full),
                    {**full, "recipe": score},
                    piece.rows_alive,
                    payload,
                    exclusive,
                )
            )
        results = self.do({stage: ("score", told, tasks)})[stage]
        return self._beside(use, pieces, tasks, results), [result for result in results if result]

    def _fit(self, use: StepUse, pieces: Sequence[Piece | None], models: Mapping[str, Model], recipe: dict[str, Any], seed: int,
             ancestors: Sequence[str]) -> dict[str, Any] | None:  # fmt: skip
        stage = f"{self.dataset}/{use.label} sample"
        sampling = {**recipe, "action": "sample", "seed": seed}
        tasks: list[Task | None] = []
        for piece in pieces:
            if piece is None:
                tasks.append(None)
                continue
            full = {**sampling, "kind": piece.kind.value, "input": piece.shard.digest, "alive": piece.alive}
            tasks.append(Task("sample", stage, f"{use.name}-sample", digest(full), full, piece.rows_alive,
                              {**self.payload(use, models, piece.kind, seed, ancestors), **piece.place()}, self.is_exclusive(models)))  # fmt: skip
        samples = self.do({stage: ("sample", sampling, tasks)})[stage]
        if None in samples:
            return None
        fit_stage, fitting = f"{self.dataset}/{use.label} fit", {**recipe, "action": "fit", "seed": seed}
        full = {**fitting, "inputs": [sample["digest"] for sample in samples if sample]}
        paths = [
            f"work/{task.step}/{task.key}/{sample['path']}"
            for task, sample in zip(tasks, samples, strict=True)
            if task and sample
        ]
        kind = next(piece.kind for piece in pieces if piece)
        task = Task("fit", fit_stage, f"{use.name}-fit", digest(full), full, 0,
                    {**self.payload(use, models, kind, seed, ancestors), "samples": paths}, self.is_exclusive(models))  # fmt: skip
        result = self.do({fit_stage: ("fit", fitting, [task])})[fit_stage][0]
        return result and {"path": f"work/{task.step}/{task.key}/{result['path']}", "digest": result["digest"]}

    def _settle(
        self, use: StepUse, pieces: Sequence[Piece | None], seed: int, ancestors: Sequence[str]
    ) -> tuple[list[Piece | None], list[Any]]:
        step, models, stage = use.params, self.models_of(use.params), f"{self.dataset}/{use.label}"
        recipe, complete = self.step_recipe("summarize", use, models, decisions=False)
        exclusive = self.is_exclusive(models)
        summing: list[Task | None] = []
        for piece in pieces:
            if piece is None or not complete:
                summing.append(None)
                continue
            full = {**recipe, "kind": piece.kind.value, "input": piece.shard.digest}
            summing.append(Task("summarize", f"{stage} summaries", f"{step.tag}-summary", digest(full), full, piece.shard.rows,
                                {**self.payload(use, models, piece.kind, 0, ancestors), **piece.place(), "columns": []}, exclusive))  # fmt: skip
        summaries = self.do({f"{stage} summaries": ("summarize", recipe, summing)})[f"{stage} summaries"]
        told = {**self.step_recipe("settle", use, models, decisions=True)[0], "seed": seed}
        whole: Task | None = None
        if pieces and None not in summaries and None not in pieces:
            known = [piece for piece in pieces if piece is not None]
            full = {
                **told,
                "inputs": [
                    [summary["digest"], piece.alive, piece.shard.digest, *_looked_at(step, piece)]
                    for summary, piece in zip(summaries, known, strict=True)
                    if summary
                ],
            }
            shards = [{"path": piece.shard.path, "rows": piece.shard.rows, "columns": [one.to_json() for one in piece.columns],
                       "summary": f"work/{task.step}/{task.key}/{summary['path']}"}
                      for piece, task, summary in zip(known, summing, summaries, strict=True) if task and summary]  # fmt: skip
            payload = {**self.payload(use, models, known[0].kind, seed, ancestors), "shards": shards}
            whole = Task(
                "settle",
                stage,
                step.tag,
                digest(full),
                full,
                sum(piece.shard.rows for piece in known),
                payload,
                exclusive,
            )
        if not pieces:
            return [], []
        result = self.do({stage: ("decide", told, [whole])})[stage][0]
        if result is None or whole is None:
            return [None] * len(pieces), []
        outputs: list[dict[str, Any] | None] = list(result["outputs"])
        return self._beside(use, pieces, [whole] * len(pieces), outputs), result["outputs"]

    def _beside(self, use: StepUse, pieces: Sequence[Piece | None], tasks: Sequence[Task | None],
                results: Sequence[dict[str, Any] | None]) -> list[Piece | None]:  # fmt: skip
        after: list[Piece | None] = []
        for piece, task, result in zip(pieces, tasks, results, strict=True):
            if piece is None or task is None or result is None:
                after.append(None)
                continue
            columns = Columns(
                f"work/{task.step}/{task.key}/{result['path']}",
                use.label,
                result["digest"],
                result["alive"],
                result["rows_alive"],
            )
            after.append(replace(piece, columns=(*piece.columns, columns)))
        return after


def _looked_at(step: Any, piece: Piece) -> list[list[str]]:
    """What earlier steps found that a global step asks for (``reads``); nothing, for most."""
    asked = [
        one
        for one in piece.columns
        if any(name == one.label or name.startswith(f"{one.label}.") for name in step.reads)
    ]
    return [[one.label, one.digest] for one in asked]


def bound_model(catalog: Catalog, registry: Any, name: str) -> Model:
    """A model by its name in the catalog (else the installed one of that name), with those at hand that it is made of."""
    model: Model = catalog.models.get(name) or registry.get("model", name)()
    below = {inner: bound_model(catalog, registry, inner)
             for inners in model.named(Reference.MODEL).values() for inner in inners}  # fmt: skip
    return model.with_models(below) if below else model


def shards_in(task: Task, result: dict[str, Any]) -> list[Shard]:
    return [Shard.from_json(value, f"work/{task.step}/{task.key}") for value in result["shards"]]


def shards_of(tasks: Sequence[Task], results: Sequence[dict[str, Any] | None]) -> list[Shard] | None:
    """The row shards of some finished tasks in order; None if one is not finished."""
    if None in results:
        return None
    return [shard for task, result in zip(tasks, results, strict=True) if result for shard in shards_in(task, result)]


def _why_again(rows: Sequence[tuple[int, int]]) -> list[str]:
    lost, failed = sum(lost for lost, _ in rows), sum(failed for _, failed in rows)
    told = [
        (lost, "failed because a server was in trouble; asked again"),
        (failed, "failed for good; asked again (--retry-failed)"),
    ]
    return [f"{count:,} {'rows' if count > 1 else 'row'} {what}" for count, what in told if count]


Warn = Callable[[str], None]
