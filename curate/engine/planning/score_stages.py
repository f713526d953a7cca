"""Stages that score rows and decide about them, row by row (score steps) or over all of them (global steps)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq

from curate.catalog import StepUse
from curate.engine.planning.partition import Partition
from curate.engine.planning.runner import TaskRunner
from curate.engine.store.columns import Columns
from curate.engine.store.fingerprint import digest, step_recipe
from curate.engine.tasks.task import Task
from curate.steps import Model


def score_rows(
    runner: TaskRunner, use: StepUse, pieces: Sequence[Partition | None], seed: int, ancestors: Sequence[str]
) -> tuple[list[Partition | None], list[Any]]:
    if not pieces:
        return [], []
    step, models, stage = use.params, runner.models_of(use.params), f"{runner.record.name}/{use.label}"
    told = step_recipe("score", step, models, decisions=True)
    recipe, known = runner.step_recipe("score", use, models, decisions=False)
    fitted = None
    if known and step.requires_fit:
        fitted = _fit(runner, use, pieces, models, recipe, seed, ancestors)
        known = fitted is not None
        if fitted is not None and (
            figures := step.diagnostics(pq.read_table(runner.context.store.checked(fitted["path"])))
        ):
            runner.record.audits[use.label] = figures
    exclusive = runner.is_exclusive(models)
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
            "alive": piece.kept,
            "version": step.version,
        }
        payload = {
            **runner.payload(use, models, piece.kind, 0, ancestors),
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
                piece.rows_kept,
                payload,
                exclusive,
            )
        )
    results = runner.run_tasks({stage: ("score", told, tasks)})[stage]
    return _attach_columns(use, pieces, tasks, results), [result for result in results if result]


def _fit(
    runner: TaskRunner,
    use: StepUse,
    pieces: Sequence[Partition | None],
    models: Mapping[str, Model],
    recipe: dict[str, Any],
    seed: int,
    ancestors: Sequence[str],
) -> dict[str, Any] | None:
    stage = f"{runner.record.name}/{use.label} sample"
    sampling = {**recipe, "action": "sample", "seed": seed}
    tasks: list[Task | None] = []
    for piece in pieces:
        if piece is None:
            tasks.append(None)
            continue
        full = {**sampling, "kind": piece.kind.value, "input": piece.shard.digest, "alive": piece.kept}
        tasks.append(
            Task(
                "sample",
                stage,
                f"{use.name}-sample",
                digest(full),
                full,
                piece.rows_kept,
                {**runner.payload(use, models, piece.kind, seed, ancestors), **piece.place()},
                runner.is_exclusive(models),
            )
        )
    samples = runner.run_tasks({stage: ("sample", sampling, tasks)})[stage]
    if None in samples:
        return None
    fit_stage, fitting = f"{runner.record.name}/{use.label} fit", {**recipe, "action": "fit", "seed": seed}
    full = {**fitting, "inputs": [sample["digest"] for sample in samples if sample]}
    paths = [
        f"work/{task.step}/{task.key}/{sample['path']}"
        for task, sample in zip(tasks, samples, strict=True)
        if task and sample
    ]
    kind = next(piece.kind for piece in pieces if piece)
    task = Task(
        "fit",
        fit_stage,
        f"{use.name}-fit",
        digest(full),
        full,
        0,
        {**runner.payload(use, models, kind, seed, ancestors), "samples": paths},
        runner.is_exclusive(models),
    )
    result = runner.run_tasks({fit_stage: ("fit", fitting, [task])})[fit_stage][0]
    return result and {"path": f"work/{task.step}/{task.key}/{result['path']}", "digest": result["digest"]}


def decide_globally(
    runner: TaskRunner, use: StepUse, pieces: Sequence[Partition | None], seed: int, ancestors: Sequence[str]
) -> tuple[list[Partition | None], list[Any]]:
    step, models, stage = use.params, runner.models_of(use.params), f"{runner.record.name}/{use.label}"
    recipe, complete = runner.step_recipe("summarize", use, models, decisions=False)
    exclusive = runner.is_exclusive(models)
    summing: list[Task | None] = []
    for piece in pieces:
        if piece is None or not complete:
            summing.append(None)
            continue
        full = {**recipe, "kind": piece.kind.value, "input": piece.shard.digest}
        summing.append(
            Task(
                "summarize",
                f"{stage} summaries",
                f"{step.tag}-summary",
                digest(full),
                full,
                piece.shard.rows,
                {**runner.payload(use, models, piece.kind, 0, ancestors), **piece.place(), "columns": []},
                exclusive,
            )
        )
    summaries = runner.run_tasks({f"{stage} summaries": ("summarize", recipe, summing)})[f"{stage} summaries"]
    told = {**runner.step_recipe("settle", use, models, decisions=True)[0], "seed": seed}
    whole: Task | None = None
    if pieces and None not in summaries and None not in pieces:
        known = [piece for piece in pieces if piece is not None]
        full = {
            **told,
            "inputs": [
                [
                    summary["digest"],
                    piece.kept,
                    piece.shard.digest,
                    *_looked_at(step, piece),
                    *([piece.origin] if step.reads_origin else []),
                ]
                for summary, piece in zip(summaries, known, strict=True)
                if summary
            ],
        }
        shards = [
            {
                "path": piece.shard.path,
                "rows": piece.shard.rows,
                "columns": [one.to_json() for one in piece.columns],
                "origin": piece.origin,
                "summary": f"work/{task.step}/{task.key}/{summary['path']}",
            }
            for piece, task, summary in zip(known, summing, summaries, strict=True)
            if task and summary
        ]
        payload = {**runner.payload(use, models, known[0].kind, seed, ancestors), "shards": shards}
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
    result = runner.run_tasks({stage: ("decide", told, [whole])})[stage][0]
    if result is None or whole is None:
        return [None] * len(pieces), []
    outputs: list[dict[str, Any] | None] = list(result["outputs"])
    return _attach_columns(use, pieces, [whole] * len(pieces), outputs), result["outputs"]


def _attach_columns(
    use: StepUse,
    pieces: Sequence[Partition | None],
    tasks: Sequence[Task | None],
    results: Sequence[dict[str, Any] | None],
) -> list[Partition | None]:
    after: list[Partition | None] = []
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


def _looked_at(step: Any, piece: Partition) -> list[list[str]]:
    """What earlier steps found that a global step asks for (``reads``); nothing, for most."""
    asked = [
        one
        for one in piece.columns
        if any(name == one.label or name.startswith(f"{one.label}.") for name in step.reads)
    ]
    return [[one.label, one.digest] for one in asked]
