"""Chooses the executor that a catalog asks for."""

from __future__ import annotations

from curate.catalog import RunConfig
from curate.cpus import available_cpus
from curate.engine.executors.base import Executor
from curate.engine.executors.local import InlineExecutor, LocalExecutor
from curate.engine.tasks.task import WorkerConfig


def choose_executor(run: RunConfig, setting: WorkerConfig) -> Executor:
    """The executor that ``run:`` asks for; nothing is started before there is work."""
    if run.executor == "ray":
        from curate.engine.executors.ray import RayExecutor

        return RayExecutor(setting, run)
    workers = run.workers or available_cpus()
    return InlineExecutor(setting) if workers == 1 else LocalExecutor(setting, workers)
