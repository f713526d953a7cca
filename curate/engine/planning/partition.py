"""The rows of a dataset on their way through its steps, shard by shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curate.engine.store.columns import ALL, Columns
from curate.engine.store.shards import Shard
from curate.engine.tasks.task import Task
from curate.rows import Kind


@dataclass(frozen=True)
class Partition:
    """A row shard with the column shards beside it, on its way through a dataset's steps."""

    kind: Kind
    shard: Shard
    columns: tuple[Columns, ...] = ()
    draw: int = 0
    """How often its rows were drawn as candidates before (``target:``)."""
    wanted: tuple[str, ...] | None = None
    """The languages still wanted when its rows were drawn; None: all."""
    origin: str = ""
    """The source or dataset in ``from`` that its rows came from; empty if from several."""
    entered: int = 0
    """How many of the dataset's steps had run when its rows were made; 0 for rows that were read."""

    @property
    def kept(self) -> str:
        return self.columns[-1].kept if self.columns else ALL

    @property
    def rows_kept(self) -> int:
        return self.columns[-1].rows_kept if self.columns else self.shard.rows

    def place(self) -> dict[str, Any]:
        """Where a task finds it."""
        return {"shard": self.shard.path, "columns": [one.to_json() for one in self.columns]}

    def to_json(self) -> dict[str, Any]:
        return {**self.place(), "shard": self.shard.to_json()}


def shards_in(task: Task, result: dict[str, Any]) -> list[Shard]:
    return [Shard.from_json(value, f"work/{task.step}/{task.key}") for value in result["shards"]]


def shards_of(tasks: Sequence[Task], results: Sequence[dict[str, Any] | None]) -> list[Shard] | None:
    """The row shards of some finished tasks in order; None if one is not finished."""
    if None in results:
        return None
    return [shard for task, result in zip(tasks, results, strict=True) if result for shard in shards_in(task, result)]
