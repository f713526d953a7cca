"""A SQLite file has writers on one machine only: what other machines find out stands in files of their own until a
build is over.

SQLite's write-ahead log needs memory that all its users share, which machines on a network file system do not. So a
worker on a cluster writes below ``cache/nodes/<machine>/`` and only reads what stands in ``cache/`` itself; nobody
writes that meanwhile. :func:`settle` brings all of it together when no worker runs: after a build, or before the next
where one died.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_NODES = "nodes"
ANSWERS = (
    "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value BLOB NOT NULL, at INTEGER NOT NULL DEFAULT"
    " (unixepoch()), sum BLOB) WITHOUT ROWID"
)
"""The layout of a file of answers (:mod:`curate.models.cache.responses`)."""
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
_CHECKS = {"answers": "sum BLOB", "vectors": "crc INTEGER"}
"""The column that says whether a row is what was written, in files of older versions too."""
_TOUCHED = (
    "INSERT INTO main.used SELECT v.id, t.day FROM node.touched t JOIN main.vectors v ON v.key = t.key"
    " WHERE true ON CONFLICT DO UPDATE SET day = max(day, excluded.day)",
)


def machine() -> str:
    """What two processes have in common that may use one SQLite file: a running kernel."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def node_folder(cache: Path, name: str) -> Path:
    """Where the processes of one machine keep what they find out."""
    return cache / _NODES / name


def has_nodes(cache: Path) -> bool:
    """Whether machines keep something for themselves: several work at this moment, or did until they were killed."""
    return (cache / _NODES).is_dir()


def base_of(folder: Path) -> Path | None:
    """The cache that a machine's own folder stands in; None for a cache that is nobody's own."""
    return folder.parent.parent if folder.parent.name == _NODES else None


def read_settled(file: Path, table: str) -> sqlite3.Connection | None:
    """A file that nobody writes while it is read, without locks; None where there is none, or none with that table.

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
    """Brings together what machines kept for themselves; only while no worker runs.

    A file that cannot be read is a warning, and stays where it is.
    """
    nodes = cache / _NODES
    for node in sorted(nodes.iterdir()) if nodes.is_dir() else ():
        for file in sorted(node.rglob("*.sqlite")):
            try:
                _bring(file, cache / file.relative_to(node))
            except (sqlite3.Error, OSError) as error:
                warnings.warn(
                    f"{file} cannot be brought into the cache ({error}); delete it if this comes again",
                    RuntimeWarning,
                    stacklevel=2,
                )
        if not any(path.is_file() for path in node.rglob("*")):
            shutil.rmtree(node, ignore_errors=True)
    with contextlib.suppress(OSError):
        nodes.rmdir()


def has_checks(connection: sqlite3.Connection, table: str, schema: str = "main") -> bool:
    """Whether a table has its column of checksums."""
    column = _CHECKS[table].partition(" ")[0]
    found = connection.execute("SELECT 1 FROM pragma_table_info(?, ?) WHERE name = ?", (table, schema, column))
    return found.fetchone() is not None


def add_checks(connection: sqlite3.Connection, table: str, schema: str = "main") -> None:
    """Gives a table of an older version its column of checksums, empty."""
    if not has_checks(connection, table, schema):
        try:
            connection.execute(f"ALTER TABLE {schema}.{table} ADD COLUMN {_CHECKS[table]}")
        except sqlite3.OperationalError:  # another process was faster
            if not has_checks(connection, table, schema):
                raise


def empty_logs(cache: Path) -> None:
    """Writes what killed processes left in logs into the files themselves, so that :func:`read_settled` sees all of
    it."""
    for file in [*cache.glob("*.sqlite-wal"), *cache.glob("answers/*.sqlite-wal")]:
        try:
            _checkpoint(file.with_name(file.name.removesuffix("-wal")))
        except sqlite3.Error as error:
            warnings.warn(f"{file} cannot be read ({error})", RuntimeWarning, stacklevel=2)


def _checkpoint(file: Path) -> None:
    with closing(sqlite3.connect(file, timeout=120, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _bring(file: Path, target: Path) -> None:
    """One machine's file into the one that all read, or in its place where there is none."""
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
        connection.execute("BEGIN IMMEDIATE")
        for statement in (*merges, *(_TOUCHED if "touched" in tables else ())):
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA main.wal_checkpoint(TRUNCATE)")
    _remove(file)


def open_sound(file: Path, set_up: Callable[[sqlite3.Connection], None], lost: str) -> sqlite3.Connection:
    """Opens an SQLite file that this machine may write; a damaged one is moved beside it, with a warning, and a new one
    begun with the answers of models that could be read.

    Args:
        set_up: makes the tables, and reads enough to see that they are whole.
        lost: what is lost with it, for the warning.

    Raises:
        sqlite3.Error, OSError: it cannot be opened for another reason: somebody holds it, the disk is full.
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
    warnings.warn(
        f"{file} is damaged ({why}); it was moved to {aside.name}: {lost}{rest}", RuntimeWarning, stacklevel=3
    )
    return connection


def _opened(file: Path, set_up: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=120, check_same_thread=False, isolation_level=None)
    try:
        set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def salvage(damaged: Path, connection: sqlite3.Connection) -> int:
    """Takes the answers that can be read in a damaged file over into another one: from its beginning up to the damage,
    and from its end.

    Returns:
        How many.
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
    """Makes SQLite take a file that was cut for as long as it is: it looks no further where header and file differ in
    length.
    """
    with file.open("r+b") as opened:
        head = opened.read(100)
        page = int.from_bytes(head[16:18]) or 4096
        opened.truncate(file.stat().st_size // (65536 if page == 1 else page) * (65536 if page == 1 else page))
        # The length in the header counts only if these two numbers are equal.
        opened.seek(92)
        opened.write((int.from_bytes(head[24:28]) ^ 1).to_bytes(4))


def salvage_file(damaged: Path, file: Path) -> int:
    """The same into a new file, which is only there if something could be kept."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(ANSWERS)
        kept = salvage(damaged, connection)
    if not kept:
        file.unlink()
    return kept


def is_damage(error: sqlite3.Error, file: Path) -> bool:
    """Whether an error says that the file is not what SQLite wrote, and not that it is busy or the disk full."""
    return not isinstance(error, sqlite3.OperationalError) or file.is_dir() or "disk image" in str(error)


def move_aside(file: Path) -> Path:
    """Moves a damaged file with its logs out of the way, beside where it was."""
    target = file.with_name(f"{file.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}")
    file.rename(target)
    for log in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            file.with_name(file.name + log).rename(target.with_name(target.name + log))
    return target


def find_damaged(files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Those of some SQLite files (which may be missing) that are damaged, and what is wrong with them."""
    for file in files:
        if not file.exists():
            continue
        try:
            if not file.is_file():
                raise sqlite3.DatabaseError("a folder is in its place")
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
