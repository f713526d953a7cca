"""Stages that make rows: the key of a task covers everything its rows depend on; failed rows are quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from curate.catalog import StepUse
from curate.engine.planning.erasure import without_forgotten
from curate.engine.planning.partition import Partition, shards_in
from curate.engine.planning.runner import TaskRunner
from curate.engine.store.fingerprint import digest
from curate.engine.tasks.task import Task
from curate.errors import BuildError, error_class


def make_rows(
    runner: TaskRunner, use: StepUse, pieces: Sequence[Partition | None], seed: int, ancestors: Sequence[str]
) -> tuple[list[Partition | None], list[Any]]:
    """A row step on every piece."""
    step, models, stage = use.params, runner.models_of(use.params), f"{runner.record.name}/{use.label}"
    recipe, complete = runner.step_recipe("make", use, models, decisions=False)
    recipe |= {"label": use.label, "cuts": runner.context.chunk_limits.recipe(), "seed": seed}
    tasks: list[Task | None] = []
    for piece in pieces:
        if piece is None or not complete:
            tasks.append(None)
            continue
        full = {**recipe, "kind": piece.kind.value, "input": _content(piece)}
        if piece.draw:
            full["draw"] = piece.draw
        if piece.wanted is not None:
            full["wanted"] = list(piece.wanted)
        payload = {
            **runner.payload(use, models, piece.kind, seed, ancestors),
            **piece.place(),
            "draw": piece.draw,
            "wanted": full.get("wanted"),
        }
        tasks.append(
            Task("make", stage, step.tag, digest(full), full, piece.rows_kept, payload, runner.is_exclusive(models))
        )
    results = runner.run_tasks({stage: ("make", recipe, tasks)})[stage]
    after: list[Partition | None] = []
    for piece, task, result in zip(pieces, tasks, results, strict=True):
        if piece is None or task is None or result is None:
            after.append(None)
        else:
            made = step.makes(piece.kind)
            shards = without_forgotten(runner, stage, shards_in(task, result))
            after += (
                [None]
                if shards is None
                else [Partition(made, shard, (), piece.draw, piece.wanted, piece.origin) for shard in shards]
            )
    _check_bad(runner, use, tasks, results)
    return after, _made(results)


def gather_rows(
    runner: TaskRunner, use: StepUse, pieces: Sequence[Partition | None], seed: int, ancestors: Sequence[str]
) -> tuple[list[Partition | None], list[Any]]:
    """A dataset step on all pieces together."""
    step, models, stage = use.params, runner.models_of(use.params), f"{runner.record.name}/{use.label}"
    recipe, complete = runner.step_recipe("gather", use, models, decisions=False)
    recipe |= {"label": use.label, "cuts": runner.context.chunk_limits.recipe(), "seed": seed}
    known = [piece for piece in pieces if piece is not None]
    task: Task | None = None
    if known and len(known) == len(pieces) and complete:
        kind = known[0].kind
        full = {**recipe, "kind": kind.value, "inputs": [_content(piece) for piece in known]}
        draw = max(piece.draw for piece in known)
        if draw:
            full["draw"] = draw
        payload = {
            **runner.payload(use, models, kind, seed, ancestors),
            "pieces": [piece.to_json() for piece in known],
            "draw": draw,
        }
        rows = sum(piece.rows_kept for piece in known)
        task = Task("gather", stage, step.tag, digest(full), full, rows, payload, runner.is_exclusive(models))
    if not pieces:
        return [], []
    results = runner.run_tasks({stage: ("gather", recipe, [task])})[stage]
    if task is None or results[0] is None:
        return [None], []
    _check_bad(runner, use, [task], results)
    made = step.makes(known[0].kind)
    shards = without_forgotten(runner, stage, shards_in(task, results[0]))
    return ([None] if shards is None else [Partition(made, shard) for shard in shards]), _made(results)


def _content(piece: Partition) -> list[Any]:
    # Scores beside the rows are merged into what the step sees, so their names and content count; and the rows go on
    # with their places, so these count too.
    return [piece.shard.digest, piece.shard.places, [[one.label, one.digest] for one in piece.columns]]


def _made(results: Sequence[dict[str, Any] | None]) -> list[Any]:
    return [shard for result in results if result for shard in result["shards"]]


def _check_bad(
    runner: TaskRunner, use: StepUse, tasks: Sequence[Task | None], results: Sequence[dict[str, Any] | None]
) -> None:
    done = [(task, result) for task, result in zip(tasks, results, strict=True) if task and result]
    not_asked = sum(sum(result.get("not_asked", {}).values()) for _, result in done)
    bad, rows = sum(result["bad_rows"] for _, result in done), sum(task.rows for task, _ in done) - not_asked
    runner.record.failed += [f"work/{task.step}/{task.key}" for task, result in done if result["bad"]]
    runner.record.failed_digests |= {
        f"work/{task.step}/{task.key}": result["bad_digest"] for task, result in done if "bad_digest" in result
    }
    most = use.params.max_error_rate
    asks = any(task.exclusive for task, _ in done)
    if bad and bad / max(1, rows) > most:
        examples = "\n  ".join(example for _, result in done for example in result["bad_examples"][:3])
        raise _error_of(done, bad)(
            f"{use.mark}: step '{use.label}' failed on {bad:,} of {rows:,} rows ({bad / max(1, rows):.1%}, "
            f"allowed: {most:.1%}){'; its answers are cached, so building again repeats no request' if asks else ''}: "
            f"fix the cause, or raise max_error_rate{_again(done)}\n  {examples}"
        )
    if bad:
        runner.warn(
            f"{runner.record.name}/{use.label}",
            f"{bad:,} of {rows:,} rows failed; they are in the dataset's quarantined table, with the reason"
            f"{' and the raw answer' if asks else ''}",
        )


def _error_of(done: Sequence[tuple[Task, dict[str, Any]]], bad: int) -> type[BuildError]:
    """The class of the error that most of the rows failed with; BuildError if there is none."""
    errors = sum((Counter(result.get("errors", {})) for _, result in done), Counter[str]())
    code, rows = errors.most_common(1)[0] if errors else ("", 0)
    return error_class(code) if rows > bad / 2 else BuildError


def _again(done: Sequence[tuple[Task, dict[str, Any]]]) -> str:
    """What to do about answers that a further build would not ask for by itself."""
    return (
        "; 'curate build --retry-failed' asks again for what failed for good"
        if any(result.get("failed") for _, result in done)
        else ""
    )
