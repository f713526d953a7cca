"""An executor does tasks somewhere and yields their results as they come; ``local`` is processes on this machine.

Workers are spawned (never forked: threads of Arrow and Polars do not survive a fork), die with their parent, and each
keeps its models from task to task.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any, Protocol

from curate.engine.perform import perform
from curate.engine.work import Setting, Task
from curate.errors import ExecutorError

Report = Callable[[str, int], None]


class Executor(Protocol):
    """Where tasks are done."""

    def run(self, tasks: Sequence[Task], report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yields (index of the task, its result) as they finish; calls ``report(stage, rows)`` on progress."""
        ...

    def close(self) -> None:
        """Ends all workers."""
        ...


class InlineExecutor:
    """Does tasks one after another in this process (one worker, notebooks, debugging)."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def run(self, tasks: Sequence[Task], report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, task in enumerate(tasks):
            yield index, perform(self._setting, task, lambda rows, stage=task.stage: report(stage, rows))  # type: ignore[misc]

    def close(self) -> None:
        return


class LocalExecutor:
    """Processes on this machine, started when first needed."""

    def __init__(self, setting: Setting, workers: int) -> None:
        self._setting = setting
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._inline = InlineExecutor(setting)
        self._listener: threading.Thread | None = None
        self._report: Report = lambda stage, rows: None

    def run(self, tasks: Sequence[Task], report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
        # One task for an idle machine is not worth the second that a new process takes to import everything.
        if self._pool is None and len(tasks) < 2:
            yield from self._inline.run(tasks, report)
            return
        self._report = report
        pool = self._start()
        waiting = list(enumerate(tasks))
        running: dict[Future[dict[str, Any]], int] = {}
        try:
            while waiting or running:
                # Few more than there are workers: a failed build stops soon, and memory holds few results.
                while waiting and len(running) < self._workers + 1:
                    index, task = waiting.pop(0)
                    running[pool.submit(_perform, self._setting, task)] = index
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    index = running.pop(future)
                    yield index, future.result()
        except BrokenProcessPool:
            stages = sorted({tasks[index].stage for index in running.values()})
            raise ExecutorError(f"a worker process died while working on {', '.join(stages) or 'nothing'}; if the machine ran out of "
                                "memory, set 'run: {workers: …}' lower") from None  # fmt: skip
        finally:
            for future in running:
                future.cancel()

    def _start(self) -> ProcessPoolExecutor:
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")
            queue = spawn.SimpleQueue()
            self._listener = threading.Thread(target=self._listen, args=(queue,), name="curate-progress", daemon=True)
            self._listener.start()
            self._queue = queue
            self._pool = ProcessPoolExecutor(self._workers, mp_context=spawn, initializer=_prepare, initargs=(queue,))
        return self._pool

    def _listen(self, queue: Any) -> None:
        while (said := queue.get()) is not None:
            self._report(*said)

    def close(self) -> None:
        if self._pool is not None:
            processes = list((self._pool._processes or {}).values())
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            for process in processes:
                process.join(10)
            self._queue.put(None)
            self._pool = None


_SAY: Any = None


def _prepare(queue: Any) -> None:
    """First thing in a worker: die with the parent, leave the keyboard to it, one thread a library."""
    global _SAY
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _SAY = queue
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def _perform(setting: Setting, task: Task) -> dict[str, Any]:
    return perform(setting, task, lambda rows: _SAY.put((task.stage, rows)) if _SAY is not None else None)
