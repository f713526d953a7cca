"""Removes erased rows from a shard before any step reads it.

Only shards that hold such rows change; all others keep their content, and with it everything that was computed from
them. Answers of
models are kept by what was asked, so rows that stay cost no call.
"""

from __future__ import annotations

from collections.abc import Sequence

from curate.engine.planning.runner import TaskRunner
from curate.engine.store.fingerprint import digest
from curate.engine.store.shards import Shard
from curate.engine.tasks.task import Task


def without_forgotten(
    runner: TaskRunner, stage: str, shards: Sequence[Shard], source: str | None = None
) -> list[Shard] | None:
    """These shards without the rows that the catalog says must be forgotten; None while that is not known (a plan).

    Args:
        source: the source they were read from: what was left out while it was read is not looked for. In shards
            that a step made no
            row of any source is.
    """
    forgotten = runner.context.catalog.forgotten
    left_out = forgotten.of.values() if source is None else [forgotten.of.get(source, frozenset())]
    rows = sorted(forgotten.rows.difference(*left_out))
    if not rows or not shards:
        return list(shards)
    label = f"{stage} forgetting"
    recipe = {"action": "forget", "version": 1, "rows": digest(rows)}
    tasks = []
    for shard in shards:
        full = {**recipe, "input": [shard.digest, shard.places]}
        payload = {"shard": shard.path, "rows": rows}
        tasks.append(Task("forget", label, "forget", digest(full), full, shard.rows, payload))
    results = runner.run_tasks({label: ("forget", recipe, tasks)})[label]
    left: list[Shard] = []
    for shard, task, result in zip(shards, tasks, results, strict=True):
        if result is None:
            return None
        left += (
            [shard]
            if result["same"]
            else [Shard.from_json(one, f"work/{task.step}/{task.key}") for one in result["shards"]]
        )
    return left
