"""Between taking the lock of a working copy and giving it back: the store behind the URL is held, read and written."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from curate.catalog.store_urls import ABOUT
from curate.engine.store.remote.head import read_head
from curate.engine.store.remote.lease import Lease
from curate.engine.store.remote.pull import pull
from curate.engine.store.remote.push import push
from curate.engine.store.remote.working_copy import UNSENT, WorkingCopy
from curate.errors import StoreError
from curate.files import exclusively

_LOG = logging.getLogger("curate.engine")
SEND = 60.0
"""Seconds between two times that finished results are sent while a build runs."""
_SESSIONS: dict[Path, Session] = {}


def is_working_copy(root: Path) -> bool:
    """Whether a store's folder is the working copy of one behind a URL."""
    return (root / ABOUT).is_file()


def session_of(root: Path) -> Session | None:
    """The session of this process in a working copy."""
    return _SESSIONS.get(root.resolve())


def is_at_work(name: str) -> bool:
    """Whether this process has a session of this name."""
    return any(session.name == name for session in _SESSIONS.values())


class Session:
    """The right to change a store behind a URL; what is finished is sent from time to time, and all at the end.

    Raises:
        StoreError: somebody else works in it, or it cannot be used.
    """

    def __init__(
        self, root: Path, me: Mapping[str, Any], is_dead: Callable[[Mapping[str, Any]], bool], wait: float
    ) -> None:
        self.name = str(me["id"])
        self._copy = WorkingCopy(root)
        self._lease = Lease(self._copy.objects, me, is_dead)
        self._stop = threading.Event()
        head = self._lease.acquire(wait)
        try:
            with exclusively(root / "remote" / "lock"):
                for lost in pull(self._copy, head, caches=True):
                    _LOG.warning(lost)
                self._copy.tidy()
        except BaseException:
            with contextlib.suppress(StoreError):
                self._lease.release()
            raise
        self._thread = threading.Thread(target=self._send, name="curate-send", daemon=True)
        self._thread.start()
        _SESSIONS[self._copy.root] = self

    @property
    def versioned(self) -> bool:
        """Whether the bucket keeps old versions of objects."""
        return self._copy.objects.versioned

    def check(self) -> None:
        """Whether nobody has taken over.

        Raises:
            StoreError: somebody has.
        """
        self._lease.check()

    def sweep(self, *, erased: bool = False) -> None:
        """At the end, deletes what is not needed any more behind the URL too.

        Args:
            erased: rows were erased: other machines must not bring them back.
        """
        note = self._copy.root / "remote" / ("erased" if erased else "sweep")
        note.touch()  # should this end before it is done, the next session does it

    def _send(self) -> None:
        while not self._stop.wait(SEND):
            try:
                push(self._copy, self._lease, caches=False)
            except (StoreError, OSError) as error:
                _LOG.info(f"finished results could not be sent yet: {error}")

    def end(self, error: BaseException | None) -> None:
        """Sends what is new and lets others in.

        Args:
            error: what the command ended with; then trouble here is only a warning.

        Raises:
            StoreError: it could not be sent.
        """
        self._stop.set()
        self._thread.join()
        del _SESSIONS[self._copy.root]
        try:
            self._lease.check()
        except StoreError:
            self._lease.stop()
            if error is None:
                raise
            return  # a build has said so already
        try:
            try:
                with exclusively(self._copy.root / "remote" / "lock"):
                    notes = [self._copy.root / "remote" / name for name in UNSENT]
                    notes[0].touch()
                    erased, swept = (note.exists() for note in notes[1:])
                    push(self._copy, self._lease, caches=True, sweep=swept or erased, erased=erased)
                    for note in notes:
                        note.unlink(missing_ok=True)
            finally:
                self._lease.release()
        except (StoreError, OSError) as trouble:
            self._lease.stop()
            said = (
                f"{trouble}. Not everything was sent to {self._copy.objects.url}; what was finished is kept in "
                f"{self._copy.root}, and the next build on this machine sends it"
            )
            if error is None:
                raise StoreError(said) from trouble
            _LOG.warning(said)


def refresh_copy(root: Path, is_held: Callable[[], bool], *, caches: bool) -> None:
    """Brings a working copy up to date to read it; not while a process of this machine holds its lock.

    Args:
        caches: also the caches of models.

    Raises:
        StoreError: the store cannot be reached.
    """
    for last in (False, False, True):
        with exclusively(root / "remote" / "lock"):
            if is_held():
                return
            copy = WorkingCopy(root)
            found = read_head(copy.objects)
            if found is None:
                return
            lost, failure = list[str](), None
            try:
                lost = pull(copy, found.head, caches=caches)
            except StoreError as error:
                failure = error
            if lost or failure:
                now = read_head(copy.objects)
                if not last and now is not None and now.head.index != found.head.index:
                    continue  # what is gone was replaced at this moment
            if failure:
                raise failure
            for one in lost:
                _LOG.warning(one)
            return
