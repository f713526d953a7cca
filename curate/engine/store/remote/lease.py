"""Who may change a store behind a URL: its name stands in the head, which it writes anew now and then.

Clocks of machines are not compared. How old the last sign of life is, the server's clock says; and whoever is
overtaken finds another head than the one it wrote, so that none of its writes is done.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from curate.engine.store.remote.head import Head, State, read_head, swap_head
from curate.engine.store.remote.objects import Conflict, Objects
from curate.errors import StoreError

BEAT = 20.0
"""Seconds between two signs of life."""
DEAD = 90.0
"""Seconds without one after which somebody else may take over."""


class Lease:
    """The right to change a store; taken by :meth:`acquire`, until :meth:`release`.

    Args:
        me: what the others are told, with a word (``id``) that nobody else has.
        is_dead: whether a holder is known to be dead without waiting: a process of this machine that has ended.
    """

    def __init__(self, objects: Objects, me: Mapping[str, Any], is_dead: Callable[[Mapping[str, Any]], bool]) -> None:
        self._objects, self._me, self._is_dead = objects, dict(me), is_dead
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._state: State | None = None
        self._lost = ""

    @property
    def head(self) -> Head:
        """What the head says."""
        assert self._state is not None
        return self._state.head

    def acquire(self, wait: float) -> Head:
        """Takes the right to change the store.

        Args:
            wait: seconds to wait for somebody else to end.

        Raises:
            StoreError: somebody else works in it, or it cannot be used.
        """
        until = time.monotonic() + wait
        while True:
            found = read_head(self._objects)
            if found is None:
                self._objects.require_conditions()
            holder = found.head.holder if found else None
            if found is None or holder is None or self._is_dead(holder) or self._is_silent(found):
                with contextlib.suppress(Conflict):  # somebody else was faster
                    self._state = swap_head(self._objects, found, holder=self._me)
                    break
            elif time.monotonic() >= until:
                raise StoreError(
                    f"another build works in {self._objects.url} ({_named(holder)}); wait for it, or use --wait "
                    f"SECONDS. If it was killed, its place is free {DEAD:.0f} s after its last sign of life"
                )
            time.sleep(min(1.0, max(0.05, until - time.monotonic())))
        self._thread = threading.Thread(target=self._beat, name="curate-lease", daemon=True)
        self._thread.start()
        return self.head

    def _is_silent(self, found: State) -> bool:
        return found.written is not None and (self._objects.now() - found.written).total_seconds() > DEAD

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            # Where the server is away for a while, the next one may be in time; others can only take over by writing.
            with contextlib.suppress(StoreError):
                self._write()

    def commit(self, **changes: Any) -> None:
        """Changes the head.

        Raises:
            StoreError: somebody else has taken over, or it cannot be written.
        """
        self._write(**changes)
        self.check()

    def check(self) -> None:
        """Whether nobody has taken over.

        Raises:
            StoreError: somebody has.
        """
        if self._lost:
            raise StoreError(
                f"{self._lost} has taken over {self._objects.url}, because this process gave no sign of life for "
                f"{DEAD:.0f} s; what was finished is kept on this machine, and the next build here goes on from there"
            )

    def _write(self, **changes: Any) -> None:
        with self._writing:
            if self._lost:
                return
            assert self._state is not None
            try:
                self._state = swap_head(self._objects, self._state, **changes)
            except Conflict:
                found = read_head(self._objects)
                holder = (found.head.holder if found else None) or {}
                if found is not None and holder.get("id") == self._me["id"]:  # a write of ours, whose answer was lost
                    self._state = swap_head(self._objects, found, **changes)
                else:
                    self._lost = _named(holder)

    def release(self) -> None:
        """Lets others in.

        Raises:
            StoreError: it cannot be told to them; they wait until it counts as dead.
        """
        self.stop()
        self._write(holder=None)

    def stop(self) -> None:
        """Gives no sign of life any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()


def _named(holder: Mapping[str, Any]) -> str:
    return f"process {holder.get('pid')} on {holder.get('host')}" if holder else "another process"
