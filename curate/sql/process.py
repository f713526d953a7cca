"""Starts the process in which SQL runs or takes the one that was left, sends it requests, and kills it when an answer
takes too long."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.errors import QueryError

_WORKER = Path(__file__).with_name("worker.py")
_START = 120.0
"""Seconds that the process may take to get ready; no query's time."""
_LONGEST_WAIT = 86_400.0
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ", "LANG", "LC_ALL", "TMPDIR")
# Few heaps, none that hoards, and few threads: the limit counts addresses, whether they are used or not.
_FRUGAL = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}


class TimeOver(Exception):
    """The answer took too long; the process was killed."""


class Ended(Exception):
    """The process ended; :attr:`code` is its exit code, below 0 a signal's number."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Process:
    """The process in which SQL runs, started when it is taken, and again when it is asked after it ended.

    Args:
        memory: bytes that a query may use.
        threads: of DuckDB; by default one a core.
    """

    def __init__(self, memory: int, threads: int | None) -> None:
        places = "\n".join(dict.fromkeys(os.path.abspath(place) for place in sys.path))  # noqa: PTH100 - '' is a place too
        settings = [places, str(memory), str(threads or 0)]
        self._command = sys.executable, "-I", "-S", "-X", "utf8", str(_WORKER), *settings
        self._environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _FRUGAL
        self._way = self._command, *self._environment.items()
        self._running: subprocess.Popen[bytes] | None = None
        self._end: Callable[[], object] = lambda: None
        self._owner = 0
        self._ready = False
        self._anew = False
        """Whether the next request is the first of another owner, who sees nothing of the one before."""

    @classmethod
    def take(cls, memory: int, threads: int | None) -> Process:
        """The process that :meth:`release` left, if it was started in the same way; a new one otherwise."""
        wanted = cls(memory, threads)
        left = _LEFT.pop(wanted._way, None)
        if left is not None and left._owner == os.getpid():  # not in a fork of the process whose child it is
            left._anew = True
            return left
        wanted._start()
        return wanted

    def release(self) -> None:
        """Leaves the process to who takes one next; it ends by itself if nobody does for a minute."""
        running = self._running is not None and self._running.poll() is None
        if not (self._ready and running) or self._way in _LEFT:
            self.kill()
            return
        for way in list(_LEFT)[: 1 - _MOST_LEFT]:
            if oldest := _LEFT.pop(way, None):
                oldest.kill()
        _LEFT[self._way] = self

    def _start(self) -> None:
        try:
            self._running = subprocess.Popen(
                self._command,
                bufsize=0,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise QueryError(f"the process for queries cannot be started with {sys.executable}: {error}") from None
        self._ready = self._anew = False
        self._owner = os.getpid()
        self._end = weakref.finalize(self, _end, self._running, self._owner)

    def renewed(self) -> bool:
        """Starts it if it ended, and says whether: what it was told before is gone then."""
        if self._running is not None and self._running.poll() is None:
            return False
        self.kill()
        self._start()
        return True

    def kill(self) -> None:
        """Ends it at once."""
        self._end()
        self._running = None

    def ask(self, request: Mapping[str, Any], seconds: float) -> Iterator[tuple[bytes, bytes]]:
        """Sends a request; gives the frames of the answer as they come, the last one (``.`` or ``E``) included.

        Args:
            request: see :mod:`curate.sql.worker`.
            seconds: how long to wait for frames, all together; what is done between them does not count.

        Raises:
            TimeOver: that was not enough.
            Ended: the process died, or (code 0) ended by itself.
        """
        letter = b""
        try:
            if not self._ready:
                self._frame(_START)
                self._ready = True
            content = json.dumps({**request, "anew": self._anew}).encode()
            self._anew = False
            self._write(len(content).to_bytes(8, "big") + content)
            while letter not in (b".", b"E"):
                began = time.monotonic()
                letter, content = self._frame(seconds)
                seconds -= time.monotonic() - began
                yield letter, content
        finally:
            if letter not in (b".", b"E"):  # the rest of the answer would be taken for the next one
                self.kill()

    def _write(self, content: bytes) -> None:
        assert self._running is not None and self._running.stdin is not None
        left = memoryview(content)
        try:
            while left:
                left = left[self._running.stdin.write(left) :]
        except BrokenPipeError:
            raise Ended(self._running.wait()) from None

    def _frame(self, seconds: float) -> tuple[bytes, bytes]:
        until = time.monotonic() + seconds
        head = self._read(9, until)
        return head[:1], self._read(int.from_bytes(head[1:], "big"), until)

    def _read(self, length: int, until: float) -> bytes:
        assert self._running is not None and self._running.stdout is not None
        pipe, content, done = self._running.stdout, bytearray(length), 0
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while done < length:
                left = min(until - time.monotonic(), _LONGEST_WAIT)
                if left <= 0 or not selector.select(left):
                    if until > time.monotonic():
                        continue
                    raise TimeOver
                got = pipe.readinto(memoryview(content)[done:])  # type: ignore[attr-defined]
                if not got:
                    raise Ended(self._running.wait())
                done += got
        return bytes(content)


_LEFT: dict[tuple[Any, ...], Process] = {}
"""How it was started → a process that nobody uses: starting one takes longer than most queries."""
_MOST_LEFT = 2


def _end(running: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:  # a fork of the process whose child it is
        return
    running.kill()
    for pipe in (running.stdin, running.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    running.wait()
