"""Reports what a build does while it runs: to its progress, as log records, and as OpenTelemetry spans and counters.

Spans and counters go to the providers that the program has configured (``opentelemetry-instrument curate build``, or
code that calls curate); without OpenTelemetry in the process nothing is imported and nothing is measured.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from curate.engine.progress import Progress
from curate.errors import CurateError

_log = logging.getLogger("curate.engine")
_COUNTERS = {
    "rows": ("curate.rows", "Rows that finished stages were given"),
    "calls": ("curate.model.calls", "Model calls that were paid"),
    "prompt_tokens": ("curate.model.prompt_tokens", "Tokens of prompts"),
    "completion_tokens": ("curate.model.completion_tokens", "Tokens of answers"),
    "money": ("curate.model.money", "Money spent on model calls, in the currency of the models' prices"),
}
Spending = Mapping[str, int | float]
"""``calls``, ``prompt_tokens``, ``completion_tokens``, ``money``; empty where no model was paid."""


@contextmanager
def span(name: str, **attributes: str | int | float) -> Iterator[None]:
    """An OpenTelemetry span around a part of a build; an error that leaves it is recorded on it."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        yield
        return
    with trace.get_tracer("curate").start_as_current_span(name, attributes=_named(attributes)):
        yield


@dataclass
class _Stage:
    tasks: int
    rows: int
    begun: float
    span: Any


class StageEvents:
    """The stages of a dataset that run side by side.

    Args:
        dataset: its name.
        progress: who is told.
        spending: what a stage has spent in this build since it last ended.
    """

    def __init__(self, dataset: str, progress: Progress, spending: Callable[[str], Spending]) -> None:
        self._dataset, self._progress, self._spending = dataset, progress, spending
        self._running: dict[str, _Stage] = {}

    def begin(self, stage: str, tasks: int, rows: int) -> None:
        """A stage begins; so many tasks have to run, on so many rows."""
        about = {"dataset": self._dataset, "stage": stage, "tasks": tasks, "rows": rows}
        trace = sys.modules.get("opentelemetry.trace")
        opened = trace.get_tracer("curate").start_span("curate stage", attributes=_named(about)) if trace else None
        self._running[stage] = _Stage(tasks, rows, time.perf_counter(), opened)
        _log.info("stage begins", extra=about)
        self._progress.begin(stage, rows)

    def task_ends(self, stage: str) -> None:
        """One of its tasks is done; with the last one the stage is."""
        running = self._running[stage]
        running.tasks -= 1
        if running.tasks:
            return
        del self._running[stage]
        spent = self._spending(stage)
        about = {"dataset": self._dataset, "stage": stage, "rows": running.rows}
        seconds = round(time.perf_counter() - running.begun, 3)
        _log.info("stage ends", extra={**about, "seconds": seconds, **spent})
        for what, amount in {"rows": running.rows, **spent}.items():
            _count(what, amount, {"dataset": self._dataset, "stage": stage})
        if running.span is not None:
            running.span.set_attributes(_named(spent))
            running.span.end()
        self._progress.end(stage)

    def fail(self, error: CurateError) -> None:
        """The stages that still run end here."""
        for stage, running in self._running.items():
            _log.error("stage failed", extra={"dataset": self._dataset, "stage": stage, "error": type(error).__name__})
            if running.span is not None:
                running.span.record_exception(error)
                running.span.set_status(sys.modules["opentelemetry.trace"].StatusCode.ERROR, type(error).__name__)
                running.span.end()
            self._progress.end(stage)
        self._running.clear()


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"curate.{name}": value for name, value in attributes.items()}


def _count(what: str, amount: float, attributes: Mapping[str, str]) -> None:
    if "opentelemetry.metrics" in sys.modules:
        _counter(what).add(amount, _named(attributes))


@functools.cache
def _counter(what: str) -> Any:
    name, description = _COUNTERS[what]
    return sys.modules["opentelemetry.metrics"].get_meter("curate").create_counter(name, description=description)
