"""Remembers digests of large files, so that weights of many gigabytes are not read at every plan.

Path, size, modification time and digest are stored in the user's cache folder (``$XDG_CACHE_HOME/polycurate``), for all
stores of this user. It only saves time: where it cannot be written or read, files are read again.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from curate.caches import open_sound
from curate.files import stamp

LARGE = 32 * 1024 * 1024
"""Minimum file size for an entry, in bytes."""
_SETTLED = 3.0
"""Minimum age of a modification in seconds: within the resolution of the timestamp a file could change unnoticed."""
_SCHEMA = "CREATE TABLE IF NOT EXISTS stamped (path TEXT PRIMARY KEY, state TEXT, digest TEXT) WITHOUT ROWID"


def notes() -> Path:
    """The file with the entries."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "polycurate" / "digests.sqlite"


def remembered(path: Path, state: os.stat_result, compute: Callable[[Path], str]) -> str:
    """The digest of a file, from an entry if there is one for its present state.

    Args:
        path: absolute, without symbolic links.
        state: of the file, taken before it is read.
        compute: reads the file.
    """
    if state.st_size < LARGE:
        return compute(path)
    now = stamp(state)
    try:
        with closing(_open()) as connection:
            row = connection.execute("SELECT state, digest FROM stamped WHERE path = ?", (str(path),)).fetchone()
    except (sqlite3.Error, OSError, RuntimeError, UnicodeError):
        return compute(path)
    if row is not None and row[0] == str(now):
        return str(row[1])
    digest = compute(path)
    after = path.stat()
    if stamp(after) == now and time.time() - max(after.st_mtime, after.st_ctime) > _SETTLED:
        try:
            with closing(_open()) as connection:
                connection.execute("INSERT OR REPLACE INTO stamped VALUES (?, ?, ?)", (str(path), str(now), digest))
        except (sqlite3.Error, OSError, RuntimeError, UnicodeError):
            pass
    return digest


def _open() -> sqlite3.Connection:
    file = notes()
    file.parent.mkdir(parents=True, exist_ok=True)
    return open_sound(file, lambda connection: connection.execute(_SCHEMA).close(), "model files are read again")
