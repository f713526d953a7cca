"""The interface of executors, which run tasks and yield their results as they finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from curate.engine.tasks.task import Task

Report = Callable[[str, int], None]


class Executor(Protocol):
    """Where tasks are done."""

    def run(self, tasks: Sequence[Task], report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields (index of the task, its result) as they finish; calls ``report(stage, rows)`` on progress."""
        ...

    def close(self) -> None:
        """Ends all workers."""
        ...
