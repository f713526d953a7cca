"""Shows progress: a bar with rate and time left in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from typing import IO, Any, Literal, Protocol

from curate.notebook import in_notebook
from curate.terminal import unguarded, visible


class Progress(Protocol):
    """Who is told."""

    def begin(self, stage: str, rows: int) -> None:
        """A stage starts; ``rows`` are expected (0: unknown)."""
        ...

    def advance(self, stage: str, rows: int) -> None: ...

    def end(self, stage: str) -> None: ...

    def say(self, message: str) -> None: ...


class SilentProgress:
    """Tells nobody."""

    def begin(self, stage: str, rows: int) -> None:
        return

    def advance(self, stage: str, rows: int) -> None:
        return

    def end(self, stage: str) -> None:
        return

    def say(self, message: str) -> None:
        return


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class PlainProgress:
    """One line when a stage begins and ends, one every ``every`` seconds between, and a warning when nothing moves."""

    def __init__(self, stream: IO[str] | None = None, every: float = 10.0, stuck: float = 120.0) -> None:
        self._stream = stream or sys.stderr
        self._every, self._stuck = every, stuck
        self._lock = threading.Lock()
        self._stages: dict[str, dict[str, float]] = {}
        self._moved = time.monotonic()
        self._watch: threading.Thread | None = None

    def begin(self, stage: str, rows: int) -> None:
        now = time.monotonic()
        with self._lock:
            self._stages[stage] = {"rows": rows, "done": 0, "since": now, "told": now}
            self._moved = now
        if self._watch is None:
            self._watch = threading.Thread(target=self._look, name="curate-watch", daemon=True)
            self._watch.start()

    def advance(self, stage: str, rows: int) -> None:
        now = time.monotonic()
        with self._lock:
            self._moved = now
            about = self._stages.get(stage)
            if about is None:
                return
            about["done"] += rows
            if now - about["told"] >= self._every:
                about["told"] = now
                self._line(stage, about, now)

    def _line(self, stage: str, about: dict[str, float], now: float) -> None:
        rate = about["done"] / max(1e-9, now - about["since"])
        text = f"{stage}: {int(about['done']):,}"
        if about["rows"]:
            left = max(0.0, about["rows"] - about["done"]) / rate if rate else 0
            text += f" of {int(about['rows']):,} rows, {rate:,.0f}/s, {_duration(left)} left"
        else:
            text += f" rows, {rate:,.0f}/s"
        print(text, file=self._stream, flush=True)

    def end(self, stage: str) -> None:
        now = time.monotonic()
        with self._lock:
            about = self._stages.pop(stage, None)
        if about is not None:
            took = now - about["since"]
            rate = f", {about['done'] / took:,.0f}/s" if took > 0 and about["done"] else ""
            print(f"{stage}: {int(about['done']):,} rows in {took:.1f} s{rate}", file=self._stream, flush=True)

    def say(self, message: str) -> None:
        print(message, file=self._stream, flush=True)

    def _look(self) -> None:
        while True:
            time.sleep(5)
            with self._lock:
                still, quiet = list(self._stages), time.monotonic() - self._moved
            if still and quiet > self._stuck:
                print(
                    f"no row finished for {_duration(quiet)}; in flight: {', '.join(still)}",
                    file=self._stream,
                    flush=True,
                )
                with self._lock:
                    self._moved = time.monotonic()


class TerminalProgress:
    """Bars, by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(file=unguarded(sys.stderr)),
        )
        self._tasks: dict[str, Any] = {}
        self._since: dict[str, float] = {}

    def begin(self, stage: str, rows: int) -> None:
        if not self._tasks:
            self._bars.start()
        self._since[stage] = time.monotonic()
        self._tasks[stage] = self._bars.add_task(visible(stage), total=rows or None, rate="")

    def advance(self, stage: str, rows: int) -> None:
        task = self._tasks.get(stage)
        if task is not None:
            self._bars.advance(task, rows)
            done = self._bars.tasks[self._bars.task_ids.index(task)].completed
            self._bars.update(task, rate=f"{done / max(1e-9, time.monotonic() - self._since[stage]):,.0f} rows/s")

    def end(self, stage: str) -> None:
        task = self._tasks.pop(stage, None)
        if task is not None:
            done = self._bars.tasks[self._bars.task_ids.index(task)].completed
            self._bars.update(task, total=done or 1, completed=done or 1)
        if not self._tasks:
            self._bars.stop()
            self._bars = type(self._bars)(*self._bars.columns, console=self._bars.console)

    def say(self, message: str) -> None:
        self._bars.console.print(visible(message), markup=False, highlight=False)


def progress_or_default(progress: Progress | Literal[False] | None) -> Progress:
    """Who is told: by default bars on a terminal, lines in a notebook, nobody elsewhere; ``False`` is nobody."""
    if progress is None:
        if in_notebook():
            return PlainProgress(sys.stdout)
        return TerminalProgress() if sys.stderr is not None and sys.stderr.isatty() else SilentProgress()
    return progress or SilentProgress()


def default_progress() -> Progress:
    """Bars on a terminal, lines elsewhere."""
    return TerminalProgress() if sys.stderr.isatty() else PlainProgress()
