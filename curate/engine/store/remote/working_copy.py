"""The working copy of a store behind a URL: which files it has, and which are as they are there."""

from __future__ import annotations

import shutil
import sqlite3
import time
import uuid
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import orjson

from curate.engine.store.integrity import file_digest
from curate.engine.store.remote.fetch import KNOWN, Entry, Known, known, objects_of

_NOTES = ("store.json", "erasure.json", "state/*.json", "publish/*/*.json", "datasets/*/refs/*.json")
"""Small files that may change; they are always here."""
_LEFT = 86_400.0
"""Seconds after which a half fetched file counts as left behind."""
UNSENT = ("unsent", "erased", "sweep")
"""Files below ``remote/`` that are there from the end of a command until what it changed has been sent."""
DESCRIPTIONS = {"work": "result.json", "datasets": "manifest.json"}
"""What describes a result and a version."""


class WorkingCopy:
    """A working copy, while its lock is held."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.objects = objects_of(self.root)

    def stamp(self, path: str, digest: str) -> tuple[str, int, int]:
        """What a file here looks like now, with the digest of its bytes there."""
        about = (self.root / path).stat()
        return digest, about.st_size, about.st_mtime_ns

    def same(self, now: Known, path: str) -> bool:
        """Whether a file is as it was when it was the same as there."""
        stamp = now.stamps.get(path)
        with suppress(FileNotFoundError):
            return stamp is not None and self.stamp(path, stamp[0]) == stamp
        return False

    def units(self) -> dict[str, bool]:
        """Results and versions that are here, and whether they have a description."""
        found = {}
        for top, name in DESCRIPTIONS.items():
            for folder in self.root.glob(f"{top}/*/[!.]*"):
                if folder.name != "refs" and folder.is_dir():
                    found[folder.relative_to(self.root).as_posix()] = (folder / name).is_file()
        return found

    def notes(self) -> list[str]:
        """Small files that may change."""
        found = [path for pattern in _NOTES for path in sorted(self.root.glob(pattern)) if path.is_file()]
        inside = [path.relative_to(self.root) for path in found]
        return [path.as_posix() for path in inside if not any(part.startswith(".") for part in path.parts)]

    def caches(self) -> list[str]:
        """Caches that all machines share, and what was spent."""
        cache = self.root / "cache"
        files = [path for path in cache.rglob("*") if path.is_file()] if cache.is_dir() else []
        found = [path.relative_to(self.root).as_posix() for path in [self.root / "spending.sqlite", *files]]
        return sorted(path for path in found if is_shared(path) and (self.root / path).is_file())

    def save(self, now: Known) -> None:
        """Writes down what is known now."""
        temporary = self.root / "remote" / f".tmp-{uuid.uuid4().hex}"
        temporary.write_bytes(orjson.dumps(asdict(now)))
        temporary.replace(self.root / KNOWN)

    def tidy(self) -> None:
        """Removes what killed processes left half fetched."""
        for path in (self.root / "remote").glob(".tmp-*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _LEFT:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def unchanged(self, now: Known, path: str) -> bool:
        """The same of a cache, which may have a log beside it."""
        log = self.root / f"{path}-wal"
        return self.same(now, path) and not (log.exists() and log.stat().st_size)

    def holds(self, path: str, entry: Entry) -> bool:
        """Whether a file here has these bytes."""
        return file_digest(self.root / path) == entry[1]

    def remove(self, now: Known, path: str) -> None:
        """Removes a file, a result or a version from here."""
        for one in (path, *(f"{path}/{name}" for name in known(self.root).files.get(path, ()))):
            now.stamps.pop(one, None)
        place = self.root / path
        if place.is_dir():
            aside = place.with_name(f".tmp-gone-{place.name}")
            place.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        for name in (place, Path(f"{place}-wal"), Path(f"{place}-shm")):
            with suppress(OSError):
                name.unlink(missing_ok=True)

    def entry(self, now: Known, path: str) -> Entry:
        """Size and digest of a file, which is read if it was changed."""
        if not self.same(now, path):
            now.stamps[path] = self.stamp(path, file_digest(self.root / path))
        digest, size, _ = now.stamps[path]
        return size, digest


def is_shared(path: str) -> bool:
    """Whether a file is a cache that all machines share, or what was spent."""
    if path == "spending.sqlite":
        return True
    top, _, name = path.partition("/")
    return (
        top == "cache"
        and name != "files.json"
        and not name.startswith("nodes/")
        and not any(part.startswith(".") for part in name.split("/"))
        and not name.endswith(("-wal", "-shm", "-journal"))
        and ".damaged-" not in name
    )


def checkpoint(path: Path) -> None:
    """Writes what stands in the log of an SQLite file into the file."""
    if path.suffix == ".sqlite" and Path(f"{path}-wal").exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
