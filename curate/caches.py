"""Shares the SQLite caches between machines: each machine writes its own files, which are merged after the build.

SQLite's write-ahead log needs memory shared by all its users, which machines on a network file system lack. So a worker
on a cluster writes below ``cache/nodes/<machine>/`` and only reads ``cache/`` itself, which nothing writes meanwhile.
:func:`settle` merges all files when no worker runs: after a build, or before the next one if it died.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import socket
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

_LOG = logging.getLogger("curate.engine")

_NODES = "nodes"
_BATCH = 500
"""Keys looked up at once."""
ANSWERS = (
    "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value BLOB NOT NULL, at INTEGER NOT NULL DEFAULT"
    " (unixepoch()), sum BLOB) WITHOUT ROWID"
)
"""The schema of a response cache (:mod:`curate.models.cache.responses`)."""
# How the files that models keep become one; each table list is one layout (curate.models.cache.responses,
# curate.models.cache.embeddings).
_BRING_ANSWERS = "INSERT INTO main.answers (key, value, at, sum) SELECT key, value, at, sum FROM {}.answers WHERE true"
_MERGES: dict[frozenset[str], tuple[str, ...]] = {
    # The first answer to a question stays, unless another one was asked for: its time is negative.
    frozenset({"answers"}): (
        _BRING_ANSWERS.format("node")
        + " ON CONFLICT DO UPDATE SET value = excluded.value, at = excluded.at, sum = excluded.sum WHERE"
        " excluded.at < 0",
    ),
    frozenset({"meta", "vectors", "used"}): (
        "INSERT OR IGNORE INTO main.vectors (key, vector, crc) SELECT key, vector, crc FROM node.vectors",
        (
            "INSERT INTO main.used SELECT v.id, u.day FROM node.used u JOIN node.vectors n ON n.id = u.id JOIN"
            " main.vectors v ON v.key = n.key WHERE true ON CONFLICT DO UPDATE SET day = max(day, excluded.day)"
        ),
    ),
}
# What builds spent (curate.engine.budget). A build that two machines worked on, one after the other, counts as the one
# that spent more: what both spent is not counted twice.
_MERGES[frozenset({"builds", "spent"})] = (
    "INSERT INTO main.builds (build, started, finished) SELECT build, started, finished FROM node.builds WHERE true"
    " ON CONFLICT DO UPDATE SET finished = coalesce(finished, excluded.finished)",
    "INSERT INTO main.spent SELECT * FROM node.spent WHERE true ON CONFLICT DO UPDATE SET"
    " calls = max(calls, excluded.calls), prompt_tokens = max(prompt_tokens, excluded.prompt_tokens),"
    " completion_tokens = max(completion_tokens, excluded.completion_tokens), money = max(money, excluded.money)",
)
_CHECKS = {"answers": "sum BLOB", "vectors": "crc INTEGER"}
"""The checksum column, added to files of older versions."""
_TOUCHED = (
    "INSERT INTO main.used SELECT v.id, t.day FROM node.touched t JOIN main.vectors v ON v.key = t.key"
    " WHERE true ON CONFLICT DO UPDATE SET day = max(day, excluded.day)",
)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the statements inside, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def write_ahead(connection: sqlite3.Connection, deadline: float = 120.0) -> None:
    """Lets others read while one writes. A killed process loses nothing; a power cut may lose the last values, which
    are then made again, never the file."""
    deadline += time.monotonic()
    while True:
        try:
            # The switch needs the file for itself and does not wait by itself when others switch at that moment.
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous=NORMAL")


class Cache:
    """What a model has found out, in one SQLite file that the processes of a machine share; where several machines
    work, also the main file, which nothing writes during a build.

    A subclass has the statements, and decides what an error costs.
    """

    schema: ClassVar[str]
    """SQL that creates the tables."""
    table: ClassVar[str]
    """The table whose rows have checksums."""
    select: ClassVar[str]
    """The columns of a look-up and where they are; ``{check}`` is the checksum."""

    def __init__(
        self, folder: Path, file: Path, *, deadline: float = 120.0, meta: Mapping[str, str] | None = None
    ) -> None:
        """
        Args:
            folder: the store's cache, or a machine's own part of it.
            deadline: seconds to wait for another process that is writing.
            meta: what the table ``meta`` says in a file of this model and version.
        """
        self._meta = dict(meta or {})
        self.file = file
        self._lock = threading.Lock()
        self._deadline = deadline
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        base = base_of(folder)
        self._base_file = base / file.relative_to(folder) if base is not None else None
        self._base: sqlite3.Connection | None = None
        """The cache before this build, where several machines work."""

    def _connect(self) -> sqlite3.Connection:
        return _opened(self.file, self._set_up, self._deadline)

    def _open(self) -> sqlite3.Connection:
        """The connection; a new one in a forked process, because none may cross a fork."""
        if self._connection is None or self._owner != os.getpid():
            self.file.parent.mkdir(parents=True, exist_ok=True)
            connection = self._connect()
            try:
                self._base = read_settled(self._base_file, self.table) if self._base_file is not None else None
                if self._base is not None:
                    self._check(self._base, str(self._base_file))
            except BaseException:
                connection.close()
                raise
            self._connection, self._owner = connection, os.getpid()
        return self._connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        write_ahead(connection, self._deadline)
        # One transaction: another process must see all of it or nothing.
        with transaction(connection):
            for statement in self.schema.split(";"):
                connection.execute(statement)
            if self._meta:
                connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", self._meta.items())
        self._check(connection, "it")
        add_checks(connection, self.table)

    def _check(self, connection: sqlite3.Connection, name: str) -> None:
        if self._meta and dict(_meta(connection, "main")) != self._meta:
            raise sqlite3.DatabaseError(f"{name} was made by another version or for another model")

    def _rows(self, connection: sqlite3.Connection | None, keys: Sequence[bytes]) -> Iterator[tuple[Any, ...]]:
        """The rows of these keys; none without a file."""
        if connection is None or not keys:
            return
        column = _CHECKS[self.table].partition(" ")[0]
        select = self.select.format(check=column if has_checks(connection, self.table) else "NULL")
        for start in range(0, len(keys), _BATCH):
            part = keys[start : start + _BATCH]
            marks = ",".join("?" * len(part))
            yield from connection.execute(f"SELECT {select} WHERE key IN ({marks})", part).fetchall()

    def _close(self) -> None:
        if self._connection is not None and self._owner == os.getpid():
            self._connection.close()
            if self._base is not None:
                self._base.close()
        self._connection = self._base = None

    def close(self) -> None:
        """Closes the file; the next call opens it again."""
        with self._lock:
            self._close()


def machine() -> str:
    """Identifies a running kernel; only processes with the same one may share an SQLite file."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def node_folder(cache: Path, name: str) -> Path:
    """The folder for the files of one machine's processes."""
    return cache / _NODES / name


def has_nodes(cache: Path) -> bool:
    """Whether machines have files of their own: several are working, or were until they were killed."""
    return (cache / _NODES).is_dir()


def base_of(folder: Path) -> Path | None:
    """The main cache for a machine's own folder; None for any other folder."""
    return folder.parent.parent if folder.parent.name == _NODES else None


def read_settled(file: Path, table: str) -> sqlite3.Connection | None:
    """Opens a file that nothing writes, without locks; None if it or its table is missing.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    if not file.is_file():
        return None
    place = f"file:{quote(str(file.resolve()))}?mode=ro&immutable=1"
    connection = sqlite3.connect(place, uri=True, check_same_thread=False, isolation_level=None)
    try:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()  # a process was killed before it had made anything of it
    return None


def settle(cache: Path) -> None:
    """Merges the machines' files into the main cache; only while no worker runs.

    An unreadable file gives a warning and stays where it is.
    """
    nodes = cache / _NODES
    for node in sorted(nodes.iterdir()) if nodes.is_dir() else ():
        for file in sorted(node.rglob("*.sqlite")):
            try:
                bring(file, cache / file.relative_to(node))
            except (sqlite3.Error, OSError) as error:
                _LOG.warning(f"{file} cannot be brought into the cache ({error}); delete it if this comes again")
        if not any(path.is_file() for path in node.rglob("*")):
            shutil.rmtree(node, ignore_errors=True)
    with contextlib.suppress(OSError):
        nodes.rmdir()


def has_checks(connection: sqlite3.Connection, table: str, schema: str = "main") -> bool:
    """Whether a table has a checksum column."""
    column = _CHECKS[table].partition(" ")[0]
    found = connection.execute("SELECT 1 FROM pragma_table_info(?, ?) WHERE name = ?", (table, schema, column))
    return found.fetchone() is not None


def add_checks(connection: sqlite3.Connection, table: str, schema: str = "main") -> None:
    """Adds an empty checksum column to a table of an older version."""
    if not has_checks(connection, table, schema):
        try:
            connection.execute(f"ALTER TABLE {schema}.{table} ADD COLUMN {_CHECKS[table]}")
        except sqlite3.OperationalError:  # another process was faster
            if not has_checks(connection, table, schema):
                raise


def empty_logs(cache: Path) -> None:
    """Applies the logs that killed processes left, so that :func:`read_settled` sees all data."""
    for file in [*cache.glob("*.sqlite-wal"), *cache.glob("answers/*.sqlite-wal")]:
        try:
            _checkpoint(file.with_name(file.name.removesuffix("-wal")))
        except sqlite3.Error as error:
            _LOG.warning(f"{file} cannot be read ({error})")


def _checkpoint(file: Path) -> None:
    with closing(sqlite3.connect(file, timeout=120, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def bring(file: Path, target: Path) -> None:
    """Merges one machine's file into the main one, or moves it there if there is none.

    Raises:
        sqlite3.Error: one of them cannot be read.
    """
    _checkpoint(file)
    with closing(sqlite3.connect(file, timeout=120, isolation_level=None)) as connection:
        tables = frozenset(
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        )
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
        _remove(file)
        return
    merges = _MERGES.get(tables - {"touched"})
    if merges is None:
        return  # a plug-in's own: it is found there again by the next build that works on this machine
    with closing(sqlite3.connect(target, timeout=120, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS node", (str(file),))
        if "meta" in tables and _meta(connection, "main") != _meta(connection, "node"):
            raise sqlite3.DatabaseError("it is of another model than the file of its name")
        for table in tables & _CHECKS.keys():
            add_checks(connection, table, "main")
            add_checks(connection, table, "node")
        with transaction(connection):
            for statement in (*merges, *(_TOUCHED if "touched" in tables else ())):
                connection.execute(statement)
        connection.execute("PRAGMA main.wal_checkpoint(TRUNCATE)")
    _remove(file)


def open_sound(file: Path, set_up: Callable[[sqlite3.Connection], None], lost: str) -> sqlite3.Connection:
    """Opens an SQLite file for writing. A damaged one is moved aside, with a warning, and a new one started with the
    responses that could be recovered.

    Args:
        set_up: creates the tables, and reads enough to verify them.
        lost: what is lost with the file, for the warning.

    Raises:
        sqlite3.Error, OSError: it cannot be opened for another reason (locked, disk full).
    """
    try:
        return _opened(file, set_up)
    except sqlite3.DatabaseError as error:
        if not is_damage(error, file):
            raise
        aside, why = move_aside(file), error
    connection = _opened(file, set_up)
    kept = salvage(aside, connection)
    rest = f" ({kept:,} could be kept)" if kept else ""
    _LOG.warning(f"{file} is damaged ({why}); it was moved to {aside.name}: {lost}{rest}")
    return connection


def _opened(file: Path, set_up: Callable[[sqlite3.Connection], None], deadline: float = 120.0) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=deadline, check_same_thread=False, isolation_level=None)
    try:
        set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Recovers the responses of a damaged file into another one: from its start up to the damage, and from its end.

    Returns:
        Their number.
    """
    kept = 0
    with (
        contextlib.suppress(sqlite3.Error, OSError),
        tempfile.TemporaryDirectory(dir=damaged.parent, prefix=".tmp-") as folder,
    ):
        connection.execute("SELECT 1 FROM answers LIMIT 0")
        copy = Path(shutil.copy(damaged, folder))
        _measure_anew(copy)
        with closing(sqlite3.connect(copy, isolation_level=None)) as old:
            columns = "key, value, at, sum" if has_checks(old, "answers") else "key, value, at, NULL"
            for order in ("ASC", "DESC"):
                with contextlib.suppress(sqlite3.Error):
                    rows = old.execute(f"SELECT {columns} FROM answers ORDER BY key {order}")
                    while row := rows.fetchone():
                        added = connection.execute(
                            "INSERT OR IGNORE INTO answers (key, value, at, sum) VALUES (?, ?, ?, ?)", row
                        )
                        kept += added.rowcount
    return kept


def _measure_anew(file: Path) -> None:
    """Corrects the length in the header of a truncated file; otherwise SQLite reads nothing of it."""
    with file.open("r+b") as opened:
        head = opened.read(100)
        page = int.from_bytes(head[16:18]) or 4096
        opened.truncate(file.stat().st_size // (65536 if page == 1 else page) * (65536 if page == 1 else page))
        # The length in the header counts only if these two numbers are equal.
        opened.seek(92)
        opened.write((int.from_bytes(head[24:28]) ^ 1).to_bytes(4))


def salvage_file(damaged: Path, file: Path) -> int:
    """Recovers responses into a new file, which is created only if there are any."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(ANSWERS)
        kept = salvage(damaged, connection)
    if not kept:
        file.unlink()
    return kept


def is_damage(error: sqlite3.Error, file: Path) -> bool:
    """Whether an error means that the file is damaged, not that it is locked or the disk full."""
    return not isinstance(error, sqlite3.OperationalError) or _no_file(file) or "disk image" in str(error)


def _no_file(file: Path) -> bool:
    """Whether a folder, a pipe or a link to itself is in the place of a file. A link to nothing may lead to a disk
    that is not there just now."""
    try:
        return not stat.S_ISREG(file.stat().st_mode)
    except OSError as error:
        return error.errno == errno.ELOOP


def move_aside(file: Path) -> Path:
    """Moves a damaged file with its logs aside, in the same folder."""
    target = file.with_name(f"{file.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}")
    file.rename(target)
    for log in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            file.with_name(file.name + log).rename(target.with_name(target.name + log))
    return target


def find_damaged(files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """The damaged ones of these SQLite files (which may be missing), with the problem."""
    for file in files:
        if not os.path.lexists(file):
            continue
        try:
            if _no_file(file):
                raise sqlite3.DatabaseError("something else is in its place")
            with closing(sqlite3.connect(file, timeout=120, isolation_level=None)) as connection:
                told = [line for (line,) in connection.execute("PRAGMA integrity_check(1)")]
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                continue  # somebody is at work with it
            yield file, str(error)
        except sqlite3.Error as error:
            yield file, str(error)
        else:
            if told != ["ok"]:
                yield file, told[0]


def _remove(file: Path) -> None:
    for path in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        path.unlink(missing_ok=True)


def _meta(connection: sqlite3.Connection, which: str) -> list[tuple[str, str]]:
    return connection.execute(f"SELECT name, value FROM {which}.meta ORDER BY name").fetchall()
