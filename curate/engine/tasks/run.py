"""Runs a task: calls its action in a folder that is committed as a whole or not at all."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from curate.caches import node_folder
from curate.engine.budget import open_ledger
from curate.engine.store.store import Store
from curate.engine.tasks import erase, output_files, sample
from curate.engine.tasks import row_tasks as rowwork
from curate.engine.tasks import task as work
from curate.engine.tasks.context import WorkerContext
from curate.engine.tasks.task import Task, TaskContext, Tick, WorkerConfig, load_params
from curate.errors import CurateError, DamagedError, is_disk_full, message_of, to_record
from curate.redact import Redactor, secrets_of, secrets_of_environment
from curate.rows.languages import UNKNOWN
from curate.unanswered import Unanswered, noting

ACTIONS: dict[str, Callable[[TaskContext, Path], dict[str, Any]]] = {
    "read": work.read,
    "link": work.link,
    "sample": work.sample,
    "fit": work.fit,
    "score": work.score,
    "summarize": work.summarize,
    "settle": work.settle,
    "make": rowwork.make,
    "gather": rowwork.gather,
    "take": rowwork.take,
    "part": output_files.write_part,
    "forget": erase.forget,
    "pick": sample.sample_shard,
}


_REFUSED = "refused.json"
"""In the folder of a result: the questions that models refused for good, so that the next run does not ask them
again."""


def run_task(setting: WorkerConfig, task: Task, tick: Tick) -> dict[str, Any]:
    """Does a task and returns its result; a failure comes back as ``{"error": …}`` with the stage's name."""
    started = time.perf_counter()
    store = Store(Path(setting.root))
    final = store.work(task.step, task.key)
    redact = Redactor(environment=setting.environment)
    try:
        known = {}
        if task.again and (final / _REFUSED).exists():
            known = orjson.loads(store.checked(f"work/{task.step}/{task.key}/{_REFUSED}").read_bytes())
        unanswered = Unanswered(setting.retry_failed, setting.finish, known)
        with ExitStack() as held:
            models = {name: load_params(spec) for name, spec in task.payload.get("models", {}).items()}
            redact = _redactor(setting, task, models)
            ledger = (
                open_ledger(Path(setting.root), setting.build, setting.budget, task.stage) if task.exclusive else None
            )
            context = WorkerContext(
                store.root,
                models,
                threads=setting.threads,
                memory=setting.memory,
                scratch=lambda: held.enter_context(store.scratch()),
                ancestors=task.payload.get("ancestors", ()),
                seed=task.payload.get("seed", 0),
                draw=task.payload.get("draw", 0),
                wanted=task.payload.get("wanted"),
                tables=task.payload.get("tables", {}),
                ledger=ledger,
                tick=tick,
                cache=node_folder(store.root / "cache", setting.node) if setting.node else None,
                unanswered=unanswered,
                redact=redact,
                recording=Path(setting.recording) if setting.recording else None,
                finish=setting.finish,
            )
            at_hand = TaskContext(store, setting, task, context, tick)

            for path in _inputs(task.payload):
                store.checked(path)

            def fill(folder: Path) -> dict[str, Any]:
                with noting(unanswered):
                    made = ACTIONS[task.action](at_hand, folder)
                for remark in unanswered.remarks:
                    context.warn(f"{task.step}: {remark}")
                if unanswered.refused:
                    (folder / _REFUSED).write_bytes(orjson.dumps(unanswered.refused))
                return {
                    "recipe": task.recipe,
                    "key": task.key,
                    **({"not_asked": {UNKNOWN: len(unanswered.not_asked)}} if unanswered.not_asked else {}),
                    **made,
                    **unanswered.counts,
                    "warnings": [redact(warning) for warning in context.warnings],
                    "seconds": round(time.perf_counter() - started, 3),
                    "loading": round(context.loading, 3),
                    "accelerators": context.accelerators,
                }

            return store.commit(final, fill, replace=task.again)
    except DamagedError as error:
        return {
            "error": str(error),
            "kind": "DamagedError",
            "path": str(error.path),
            "why": error.why,
            "stage": task.stage,
        }
    except Exception as error:  # noqa: BLE001 - told to the main process, which raises it with the stage's name
        expected = isinstance(error, CurateError | OSError) or is_disk_full(error)
        return {
            "error": redact(message_of(error)) or type(error).__name__,
            "kind": type(error).__name__,
            "stage": task.stage,
            "trace": None if expected else redact(traceback.format_exc()),
            **to_record(error),
        }


_NO_INPUTS = frozenset({"step", "models", "unit", "ancestors", "tables"})
"""What a payload tells besides the files that an action reads; of ancestors and tables those are checked that are
looked at."""


def _inputs(payload: Any) -> Iterator[str]:
    """The files of the store, by their paths below its root, that a task reads."""
    if isinstance(payload, Mapping):
        for key, value in payload.items():
            if key not in _NO_INPUTS:
                yield from _inputs(value)
    elif isinstance(payload, list | tuple):
        for value in payload:
            yield from _inputs(value)
    elif isinstance(payload, str) and payload.startswith(("work/", "datasets/")):
        yield payload


def _redactor(setting: WorkerConfig, task: Task, models: dict[str, Any]) -> Redactor:
    """Strikes out what is secret in the parameters of a task, and in the environment."""
    step = load_params(task.payload["step"]) if "step" in task.payload else None
    given = [*secrets_of(list(models.values())), *secrets_of(step), *secrets_of_environment()]
    return Redactor(given, sure=True, environment=setting.environment)
