"""A persistent pipeline of Apertium programs: one sentence in, a NUL, one sentence out, a NUL.

Every program of a mode is started with ``-z``, which makes it flush at a NUL. (``apertium -z`` itself does not work
like this: its deformatter waits for the end of the input.) The programs form one process group and are restarted when
one of them dies. When this process is gone, their input closes and they end. One that is stuck in a sentence would not,
so a shell waits for that case and kills the group.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import regex

from curate.errors import ModelError

# The characters of Apertium's stream format.
_RESERVED = regex.compile(r"[\\^$/@<>\[\]{}]")
_ESCAPED = regex.compile(r"\\(.)", regex.S)
_NOT_DIGITS = regex.compile(r"\D")
_READ = 65_536
_TOGETHER = 64
_GUARD = 'read -r line || kill -s KILL -- "-$1" 2>/dev/null'
"""Exits on a line of input; if the pipe closes without one, kills the group."""
_TAIL = 600
_LIVE: weakref.WeakSet[Pipeline] = weakref.WeakSet()


def escape(text: str) -> str:
    """A sentence in the stream format, with a temporary full stop so that the tagger sees its end."""
    return _RESERVED.sub(r"\\\g<0>", text.replace("\0", " ")) + ".[]"


def unescape(text: str) -> str:
    """The sentence of an answer in the stream format."""
    text = text.rstrip("\n")
    # Some modes drop the empty superblank ("[]"), none the full stop.
    text = text.removesuffix("[]").removesuffix(".")
    return _ESCAPED.sub(r"\1", text)


class PipelineError(Exception):
    """The programs died or did not answer in time."""


class _TooManyError(PipelineError):
    """Answers can no longer be assigned to sentences."""


class Pipeline:
    """The programs of one direction; thread-safe, one batch at a time."""

    def __init__(
        self, name: str, commands: Sequence[Sequence[str]], environment: Mapping[str, str], *, deadline: float
    ) -> None:
        """
        Args:
            name: the mode, for errors.
            commands: program and arguments of each stage.
            deadline: seconds that one sentence may take before the programs count as stuck.
        """
        self.name = name
        self._commands = [list(command) for command in commands]
        self._environment = dict(environment)
        self._deadline = deadline
        self._processes: list[subprocess.Popen[bytes]] = []
        self._guard: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._buffer = b""
        self._owner = self._number = 0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the pipeline
        self.starts = 0

    # ------------------------------------------------------------------------------------------------------- processes
    def _start(self) -> None:
        self._stop()
        self._errors.seek(0)
        self._errors.truncate()
        self._buffer = b""
        self._owner = os.getpid()
        group = 0
        before: int = subprocess.PIPE
        try:
            for command in self._commands:
                process = subprocess.Popen(
                    command,
                    stdin=before,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    env=self._environment,
                    process_group=group,
                )
                if before != subprocess.PIPE:
                    os.close(before)
                assert process.stdout is not None
                before = os.dup(process.stdout.fileno())
                if len(self._processes) + 1 < len(self._commands):
                    process.stdout.close()
                self._processes.append(process)
                if not group:
                    group = process.pid
                    self._guard = subprocess.Popen(
                        ["/bin/sh", "-c", _GUARD, "guard", str(group)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        start_new_session=True,
                    )
            os.close(before)
        except OSError as error:
            self._stop()
            raise ModelError(f"Apertium's mode {self.name} cannot be started: {error}") from error
        os.set_blocking(self._in, False)
        self.starts += 1
        _LIVE.add(self)

    @property
    def _in(self) -> int:
        stdin = self._processes[0].stdin
        assert stdin is not None
        return stdin.fileno()

    @property
    def _out(self) -> int:
        stdout = self._processes[-1].stdout
        assert stdout is not None
        return stdout.fileno()

    def _running(self) -> bool:
        # A fork of this process must not talk to its parent's programs.
        return (
            bool(self._processes) and self._owner == os.getpid() and all(one.poll() is None for one in self._processes)
        )

    def _stop(self) -> None:
        mine = self._owner == os.getpid()
        for process in self._processes:
            for stream in (process.stdin, process.stdout):
                if stream is not None and not stream.closed:
                    with contextlib.suppress(OSError):
                        stream.close()
        if mine and self._processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._processes[0].pid, signal.SIGKILL)
            for process in self._processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(OSError):
                if mine:
                    self._guard.stdin.write(b"done\n")
                self._guard.stdin.close()
            if mine:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._guard.wait(5)
        self._processes, self._guard = [], None

    def close(self) -> None:
        """Ends the programs; the next translation starts them again."""
        with self._lock:
            self._stop()

    def _tail(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _TAIL))
        return self._errors.read().decode(errors="replace").strip()

    def _why(self, what: str) -> str:
        time.sleep(0.02)  # the first to die may not have been reaped yet
        dead = [
            f"{Path(command[0]).name} ended with {process.returncode}"
            for command, process in zip(self._commands, self._processes, strict=False)
            if process.poll() is not None
        ]
        tail = self._tail()
        return "; ".join([what, *dead[:2], *([f"it said: {tail}"] if tail else [])])

    # ----------------------------------------------------------------------------------------------------- translation
    def translate(self, sentences: Sequence[str], got: Callable[[int, str], None]) -> None:
        """Sends all sentences and reports each translation, in order.

        Raises:
            PipelineError: a program died or a sentence took too long; translations reported before are valid.
            ModelError: a program cannot be started.
        """
        with self._lock:
            if not self._running():
                self._start()
            try:
                for start in range(0, len(sentences), _TOGETHER):
                    self._checked(sentences[start : start + _TOGETHER], start, got)
            except BaseException:
                # Half an answer is still in the pipes: nobody may read it as another's.
                self._stop()
                raise

    def _checked(self, sentences: Sequence[str], start: int, got: Callable[[int, str], None]) -> None:
        """Sends a number after the sentences. If it is not the last answer, answers may belong to other sentences."""
        self._number = self._number % 9_000 + 1
        number, answers = str(self._number + 1_000), []
        try:
            self._exchange([*sentences, number], lambda _, text: answers.append(text))
        except _TooManyError:
            answers.clear()
            raise
        else:
            last = answers.pop()
            if number not in _NOT_DIGITS.sub("", last):
                answers.clear()
                raise PipelineError(self._why(f"it answered more than it was asked ('{last[:40]}' for {number})"))
        finally:
            for place, text in enumerate(answers[: len(sentences)]):
                got(start + place, text)

    def _exchange(self, sentences: Sequence[str], got: Callable[[int, str], None]) -> None:
        waiting = memoryview("".join(escape(one) + "\0" for one in sentences).encode())
        answered = 0
        deadline = time.monotonic() + self._deadline
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            if waiting:
                selector.register(self._in, selectors.EVENT_WRITE)
            while answered < len(sentences):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise PipelineError(self._why(f"no answer within {self._deadline:g} seconds"))
                for key, _ in selector.select(min(left, 1.0)):
                    if key.fd == self._out:
                        data = os.read(self._out, _READ)
                        if not data:
                            raise PipelineError(self._why("it ended before it had answered"))
                        *whole, self._buffer = (self._buffer + data).split(b"\0")
                        for answer in whole:
                            if answered == len(sentences):
                                raise _TooManyError(self._why("it answered more than it was asked"))
                            got(answered, unescape(answer.decode(errors="replace")))
                            answered += 1
                            deadline = time.monotonic() + self._deadline
                    else:
                        try:
                            waiting = waiting[os.write(self._in, waiting[:_READ]) :]
                        except BlockingIOError:
                            continue
                        except OSError as error:
                            raise PipelineError(self._why(f"it takes no more input ({error.strerror})")) from error
                        if not waiting:
                            selector.unregister(self._in)
        if self._buffer.strip():
            raise _TooManyError(self._why("it answered more than it was asked"))


@atexit.register
def _stop_all() -> None:
    for pipeline in list(_LIVE):
        pipeline.close()
