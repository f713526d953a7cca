"""Runs tasks in worker processes on this machine.

Workers are spawned (never forked: threads of Arrow and Polars do not survive a fork), die with their parent, and each
keeps its models from task to task.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any

from curate.engine.executors.base import Report
from curate.engine.tasks.context import close_models
from curate.engine.tasks.run import run_task
from curate.engine.tasks.task import Task, WorkerConfig
from curate.errors import ExecutorError
from curate.logs import open_log, show_warnings


class InlineExecutor:
    """Does tasks one after another in this process (one worker, notebooks, debugging)."""

    def __init__(self, setting: WorkerConfig) -> None:
        self._setting = setting

    def run(self, tasks: Sequence[Task], report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
        for index, task in enumerate(tasks):
            yield index, run_task(self._setting, task, lambda rows, stage=task.stage: report(stage, rows))  # type: ignore[misc]

    def close(self) -> None:
        close_models()


class LocalExecutor:
    """Processes on this machine, started when first needed."""

    def __init__(self, setting: WorkerConfig, workers: int) -> None:
        self._setting = setting
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._single: ProcessPoolExecutor | None = None
        """The one process that talks to servers and devices, so that limits, budgets and GPUs have one owner."""
        self._inline = InlineExecutor(setting)
        self._listener: threading.Thread | None = None
        self._report: Report = lambda stage, rows: None
        self._begun = False

    def run(self, tasks: Sequence[Task], report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
        # One task for an idle machine is not worth the second that a new process takes to import everything.
        if self._pool is None and len(tasks) < 2 and not any(task.exclusive for task in tasks):
            yield from self._inline.run(tasks, report)
            return
        self._report = report
        waiting = {
            lane: deque(index for index, task in enumerate(tasks) if task.exclusive is lane) for lane in (True, False)
        }
        running: dict[Future[dict[str, Any]], int] = {}
        try:
            while any(waiting.values()) or running:
                for lane, most in ((True, 2), (False, self._workers + 1)):
                    # Few more than there are workers: a failed build stops soon, and memory holds few results.
                    while waiting[lane] and sum(tasks[index].exclusive is lane for index in running.values()) < most:
                        index = waiting[lane].popleft()
                        running[self._start(exclusive=lane).submit(_run_task, self._setting, tasks[index])] = index
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    index = running.pop(future)
                    yield index, future.result()
        except BrokenProcessPool:
            if not self._begun:
                raise ExecutorError(
                    "the worker processes died before they began; a script that builds keeps its calls below "
                    "'if __name__ == \"__main__\":', since each worker imports it again"
                ) from None
            stages = sorted({tasks[index].stage for index in running.values()})
            raise ExecutorError(
                f"a worker process died while working on {', '.join(stages) or 'nothing'}; if the machine ran out of "
                "memory, set 'run: {workers: …}' lower"
            ) from None
        finally:
            for future in running:
                future.cancel()

    def _start(self, *, exclusive: bool) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        if self._listener is None:
            self._queue = spawn.SimpleQueue()
            self._listener = threading.Thread(
                target=self._listen, args=(self._queue,), name="curate-progress", daemon=True
            )
            self._listener.start()
        if exclusive:
            if self._single is None:
                self._single = ProcessPoolExecutor(
                    1, mp_context=spawn, initializer=_prepare, initargs=(self._queue, True)
                )
            return self._single
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=spawn, initializer=_prepare, initargs=(self._queue, False)
            )
        return self._pool

    def _listen(self, queue: Any) -> None:
        while (said := queue.get()) is not None:
            if said[0] == _BEGUN:
                self._begun = True
            else:
                self._report(*said)

    def close(self) -> None:
        self._inline.close()
        for pool in (self._single, self._pool):
            if pool is None:
                continue
            # Before the pool tells them to go: a process that goes by itself would not close what it holds.
            processes = list((pool._processes or {}).values())
            for process in processes:
                process.terminate()
            for process in processes:
                process.join(10)
                if process.is_alive():
                    process.kill()
            pool.shutdown(wait=False, cancel_futures=True)
        if self._listener is not None:
            self._queue.put(None)
        self._single = self._pool = self._listener = None


_SAY: Any = None
_BEGUN = ""
"""What a worker says first, where later the stage stands."""


def _prepare(queue: Any, exclusive: bool) -> None:
    """First thing in a worker: die with the parent, leave the keyboard to it; who holds servers ends them before it
    goes."""
    global _SAY
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if exclusive:
        signal.signal(signal.SIGTERM, _leave)
    show_warnings()
    open_log()
    _SAY = queue
    queue.put((_BEGUN, 0))
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _leave(*_: Any) -> None:
    close_models()
    os._exit(0)


def _watch(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def _run_task(setting: WorkerConfig, task: Task) -> dict[str, Any]:
    return run_task(setting, task, lambda rows: _SAY.put((task.stage, rows)) if _SAY is not None else None)
