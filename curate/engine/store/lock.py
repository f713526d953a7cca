"""The store's lock, a file with its owner's name and a heartbeat: one build at a time.

A lock whose process is dead (on this machine) or whose heart has not beaten for half a minute (elsewhere) is taken
over. The lock of a working copy is also the right to change the store behind the URL
(:mod:`curate.engine.store.remote.lease`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from curate.caches import machine
from curate.engine.store.remote.session import Session, is_at_work, is_working_copy, refresh_copy, session_of
from curate.errors import CurateError, DiskFullError, StoreError, is_disk_full
from curate.files import regular

_HELD: dict[tuple[str, int], int] = {}
"""How often a thread of this process holds a lock, by the lock's file: who holds it may take it again."""
_BEAT = 5.0
_DEAD = 30.0


class StoreLock:
    """Holds the lock of a store while the ``with`` block runs; a thread that holds it already may take it again within.
    That the disk is full becomes an error that names the store.

    Args:
        root: the store's folder.
        wait: seconds to wait for another build to end.
    """

    def __init__(self, root: Path, *, wait: float = 0.0) -> None:
        self._path = root / "lock.json"
        self._wait = wait
        self._stop = threading.Event()
        self._session: Session | None = None
        self._me = {"pid": os.getpid(), "host": socket.gethostname(), "born": _born(os.getpid()), "since": time.time()}

    def __enter__(self) -> StoreLock:
        try:
            return self._enter()
        except OSError as error:
            self._raise_if_full(error)
            raise

    def _enter(self) -> StoreLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._held = (str(self._path.resolve()), threading.get_ident())
        if self._held in _HELD:
            _HELD[self._held] += 1
            return self
        until = time.monotonic() + self._wait
        while not self._try():
            if time.monotonic() >= until:
                owner = self._owner() or {}
                raise StoreError(
                    f"another build works in {self._path.parent} (process {owner.get('pid')} on {owner.get('host')}); "
                    "wait for it, or use --wait SECONDS"
                )
            time.sleep(0.2)
        self._thread = threading.Thread(target=self._beat, name="curate-lock", daemon=True)
        self._thread.start()
        try:
            if is_working_copy(self._path.parent):
                me = {**self._me, "machine": machine(), "id": uuid.uuid4().hex}
                self._session = Session(self._path.parent, me, _is_dead_here, max(0.0, until - time.monotonic()))
        except BaseException:
            self._free()
            raise
        _HELD[self._held] = 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)
        self._raise_if_full(error)

    def _raise_if_full(self, error: BaseException | None) -> None:
        if is_disk_full(error) and not isinstance(error, CurateError):
            why = getattr(error, "strerror", None) or f"the disk is full ({error})"
            raise DiskFullError(f"{self._path.parent}: {why}; what was finished is kept") from error

    def _leave(self, error: BaseException | None) -> None:
        _HELD[self._held] -= 1
        if _HELD[self._held]:
            return
        del _HELD[self._held]
        try:
            if self._session is not None:
                self._session.end(error)
        finally:
            self._free()

    def is_held(self) -> bool:
        """Whether a living process holds it."""
        owner = self._owner()
        return owner is not None and not self._is_dead(owner)

    def _free(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._mine():
            self._path.unlink(missing_ok=True)

    def _try(self) -> bool:
        return self._take() or (self._clear_if_dead() and self._take())

    def _take(self) -> bool:
        mine = self._temporary("mine")
        mine.write_bytes(orjson.dumps(self._me))
        try:
            os.link(mine, self._path)  # atomic, and whole from the first moment
            return True
        except (FileExistsError, FileNotFoundError):
            return False
        finally:
            mine.unlink(missing_ok=True)

    def _clear_if_dead(self) -> bool:
        """Removes the lock of a dead owner; whether the lock is free now."""
        owner = self._owner()
        if owner is None:
            return True
        if not self._is_dead(owner):
            return False
        # Renaming first makes sure that of several who saw it dead only one clears it.
        aside = self._temporary("dead")
        try:
            self._path.rename(aside)
        except FileNotFoundError:
            return True
        cleared = _read(aside) == owner
        if not cleared:  # someone alive got it in between: give it back
            with contextlib.suppress(FileExistsError):
                os.link(aside, self._path)
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        aside.unlink(missing_ok=True)
        return cleared

    def _is_dead(self, owner: dict[str, object]) -> bool:
        if owner.get("host") == self._me["host"]:
            pid = owner.get("pid")
            return not isinstance(pid, int) or pid <= 0 or _born(pid) != owner.get("born")
        try:
            return self._now() - self._path.stat().st_mtime > _DEAD
        except FileNotFoundError:
            return False

    def _now(self) -> float:
        """The time of the file server, which the heartbeat has too: the clocks of two hosts may differ, and one may be
        set back."""
        fresh = self._temporary("now")
        try:
            fresh.touch()
            os.utime(fresh)  # as the heartbeat does
            return fresh.stat().st_mtime
        finally:
            fresh.unlink(missing_ok=True)

    def _temporary(self, what: str) -> Path:
        """A file of this thread; by the process in its name the store knows which were left by the dead."""
        name = f".tmp-lock.{what}.{threading.get_ident()}-{os.getpid()}-{socket.gethostname()}"
        return self._path.with_name(name)

    def _owner(self) -> dict[str, object] | None:
        return _read(self._path)

    def _mine(self) -> bool:
        return self._owner() == self._me

    def _beat(self) -> None:
        while not self._stop.wait(_BEAT):
            with contextlib.suppress(FileNotFoundError):
                os.utime(self._path)


def check_lock(root: Path) -> None:
    """Whether the store that this process works in is still its own.

    Raises:
        StoreError: another machine has taken it over.
    """
    session = session_of(root)
    if session is not None:
        session.check()


def sweep(root: Path, *, erased: bool = False) -> None:
    """Lets a store behind a URL be rid of what is gone from its working copy, when the lock is given back.

    Args:
        erased: rows were erased: other machines must not bring them back.
    """
    session = session_of(root)
    if session is not None:
        session.sweep(erased=erased)


def refresh(root: Path, *, caches: bool = False) -> None:
    """Brings a working copy up to date, before it is read; nothing for other stores.

    Args:
        caches: also the caches of models.

    Raises:
        StoreError: the store cannot be reached.
    """
    if is_working_copy(root):
        refresh_copy(root, StoreLock(root).is_held, caches=caches)


def changing(root: Path) -> contextlib.AbstractContextManager[object]:
    """Around a small change that needs no lock in a folder: one behind a URL is held meanwhile.

    Raises:
        StoreError: somebody else works in it.
    """
    return StoreLock(root) if is_working_copy(root) else contextlib.nullcontext()


def _is_dead_here(holder: Mapping[str, Any]) -> bool:
    """Whether the holder of a store is a process of this machine that has ended, or this one, which could not say that
    it was done."""
    if holder.get("host") != socket.gethostname() or holder.get("machine") != machine():
        return False
    pid = holder.get("pid")
    if not isinstance(pid, int) or _born(pid) != holder.get("born"):
        return True
    return pid == os.getpid() and not is_at_work(str(holder.get("id")))


def _read(path: Path) -> dict[str, object] | None:
    """Whose lock it is; None where there is none. What is no lock at all is nobody's, and so may be taken over."""
    try:
        found = orjson.loads(regular(path).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError):
        found = None
    return found if isinstance(found, dict) and "host" in found else {"pid": 0, "host": socket.gethostname()}


def _born(pid: int) -> str | None:
    """When a process began (so that a reused process number is not taken for its dead owner); None if it is not
    alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return None
    except (OSError, IndexError):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "alive"
    return "alive"
