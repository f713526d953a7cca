"""The digest of a large file is found out once: weights of many gigabytes are not read again at every plan.

A note of path, size, time of change and digest is kept in the user's cache folder (``$XDG_CACHE_HOME/polycurate``), for
all stores of this user. It saves time and nothing else: where it cannot be written or read, files are read again.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

LARGE = 32 * 1024 * 1024
"""Bytes from which on a note is worth its while."""
_SETTLED = 3.0
"""Seconds a file must have been left alone: time of change has a grain, within which it could change unnoticed."""
_SCHEMA = "CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, inode INTEGER, digest TEXT) WITHOUT ROWID"


def notes() -> Path:
    """The file with the notes."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "polycurate" / "digests.sqlite"


def remembered(path: Path, state: os.stat_result, compute: Callable[[Path], str]) -> str:
    """The digest of a file, from the notes where they know it as it is now.

    Args:
        path: absolute, without symbolic links.
        state: of the file, taken before it is read.
        compute: reads it.
    """
    if state.st_size < LARGE:
        return compute(path)
    now = (state.st_size, state.st_mtime_ns, state.st_ino)
    try:
        with closing(_open()) as connection:
            row = connection.execute(
                "SELECT size, changed, inode, digest FROM digests WHERE path = ?", (str(path),)
            ).fetchone()
    except (sqlite3.Error, OSError, RuntimeError, UnicodeError):
        return compute(path)
    if row is not None and tuple(row[:3]) == now:
        return str(row[3])
    digest = compute(path)
    after = path.stat()
    if (after.st_size, after.st_mtime_ns, after.st_ino) == now and time.time() - after.st_mtime > _SETTLED:
        try:
            with closing(_open()) as connection:
                connection.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?)", (str(path), *now, digest))
        except (sqlite3.Error, OSError, RuntimeError, UnicodeError):
            pass
    return digest


def _open() -> sqlite3.Connection:
    file = notes()
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, timeout=5, isolation_level=None)
    connection.execute(_SCHEMA)
    return connection
