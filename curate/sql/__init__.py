"""A query sees finished versions as tables, and nothing else: DuckDB in a process of its own, no files, no network,
no settings, limits
on time and memory.

``name`` is a dataset's latest version, ``name.rejected`` what was dropped and why, ``name.quarantined`` what could
not be
read, ``"name@ref"`` another version; ``curate.datasets``, ``curate.funnel``,
``curate.representation``, ``curate.sources`` and ``curate.audits`` tell about them.
The process (:mod:`curate.sql.worker`) may use so much memory and no more, and is killed when an answer takes too
long: a single call
of a function such as ``repeat`` or ``regexp_matches`` heeds no limit of DuckDB's.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import signal
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from curate.engine.resources import parse_bytes
from curate.engine.store.store import Store
from curate.errors import QueryError
from curate.sql.process import Ended, Process, TimeOver
from curate.sql.tables import Tables

if TYPE_CHECKING:
    import polars as pl

_OUT_OF_MEMORY = (77, -signal.SIGKILL, -signal.SIGABRT)
"""How a worker ends that got no more memory: by itself, by the system, by a library that gives up."""
_LEAST_MEMORY = 16_000_000


@dataclass(frozen=True)
class Limits:
    """What one query may use."""

    seconds: float = 60.0
    memory: str = "2GB"
    threads: int | None = None


class Database:
    """Read-only SQL over the versions in a store, one query at a time. Use as a context manager, or :meth:`close` it.

    Args:
        more: Parquet files that are tables of these names too.

    Raises:
        QueryError: a limit is no limit.
    """

    def __init__(self, store: Store, limits: Limits | None = None, *, more: Mapping[str, Path] | None = None) -> None:
        self._limits = limits or Limits()
        if not self._limits.seconds > 0:
            raise QueryError(f"the time limit must be more than 0 seconds, not {self._limits.seconds:g}")
        if self._limits.threads is not None and self._limits.threads < 1:
            raise QueryError(f"the number of threads must be at least 1, not {self._limits.threads}")
        try:
            self._bytes = parse_bytes(self._limits.memory)
        except ValueError as error:
            raise QueryError(f"the memory limit: {error}") from None
        if self._bytes < _LEAST_MEMORY:
            raise QueryError(f"the memory limit must be at least 16MB, not {self._limits.memory}")
        self._process = Process.take(self._bytes, self._limits.threads)
        self._tables = Tables(store, more or {})
        self._defined: set[str] = set()
        self._busy = False

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the process, which the next database may take."""
        if self._busy:
            self._process.kill()
        else:
            self._process.release()
        self._process = Process(self._bytes, self._limits.threads)  # another one, if it is asked again

    @property
    def names(self) -> list[str]:
        """All tables, as they are written in SQL."""
        return self._tables.names

    def query(self, sql: str) -> pl.DataFrame:
        """The answer to one SELECT (or WITH, FROM, DESCRIBE, SUMMARIZE, EXPLAIN …).

        Raises:
            QueryError: it is no single reading statement, it is wrong, it went over a limit, or a version that it
                reads is damaged.
        """
        import polars as pl

        batches, size = [], 0
        with contextlib.closing(self.batches(sql)) as answer:
            for batch in answer:
                size += batch.nbytes
                if size > self._bytes:
                    raise QueryError(self._too_large())
                batches.append(batch)
        return pl.DataFrame(pl.from_arrow(pa.Table.from_batches(batches)))

    def batches(self, sql: str) -> Generator[pa.RecordBatch]:
        """The same answer piece by piece, for one that is larger than memory: at least one batch, columns with
        names of their own.

        The time limit counts the time that the query takes, not that of the caller between two batches.
        """
        if self._busy:
            raise QueryError("this database is still answering another query; close that, or open another database")
        for what, place in (("a NUL character", sql.find("\0")), ("half of a surrogate pair", _half(sql))):
            if place >= 0:
                raise QueryError(f"the query has {what} at its character {place + 1:,}; SQL cannot hold that")
        self._busy = True
        frames = self._frames(sql)
        try:
            with pa.ipc.open_stream(pa.PythonFile(_Pipe(frames), mode="r")) as reader:
                names = _unique(reader.schema.names)
                columns = pa.schema([field.with_name(name) for field, name in zip(reader.schema, names, strict=True)])
                some = False
                for batch in reader:
                    some = True
                    yield pa.RecordBatch.from_arrays(batch.columns, schema=columns)
                if not some:
                    yield pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in columns], schema=columns)
            for _ in frames:  # the frame that ends the answer
                pass
        finally:
            frames.close()
            self._busy = False

    def _frames(self, sql: str) -> Generator[bytes]:
        """The bytes of the answer as an Arrow stream.

        Raises:
            QueryError: as :meth:`query`.
        """
        needed = self._tables.needed(sql)
        self._tables.bring(needed, sql)
        patience, sent = 1, False
        while True:
            if self._process.renewed():
                self._defined.clear()
            fresh = [title for title in needed if title not in self._defined]
            request = {"views": [view for title in fresh for view in self._tables.views(title)], "sql": sql}
            error: dict[str, Any] = {}
            letter = b""
            try:
                for letter, content in self._process.ask(request, self._limits.seconds):
                    if letter == b"B":
                        sent = True
                        yield content
                    elif letter == b"E":
                        error = json.loads(content)
            except TimeOver:
                raise QueryError(
                    f"stopped after {self._limits.seconds:g} s; ask for less, or raise --timeout"
                ) from None
            except Ended as ended:
                # Nobody had asked it anything for a while, and it ended when this request came.
                if ended.code == 0 and patience and not letter:
                    patience -= 1
                    continue
                raise QueryError(self._ended(ended.code)) from None
            self._defined.update(fresh)
            if not error:
                return
            if error["kind"] in ("memory", "failed"):
                self._process.kill()
            every = self._tables.needed("show tables")
            if error["kind"] == "unknown" and not self._defined.issuperset(every):
                needed = every  # the statement may put a name together
                continue
            if (
                error["kind"] == "damaged"
                and not sent
                and self._tables.bring_missing(path for path, _ in error["files"])
            ):
                continue
            raise QueryError(self._told(error, sql)) from None

    def _told(self, error: dict[str, Any], sql: str) -> str:
        if error["kind"] == "memory":
            return self._too_large()
        if error["kind"] == "damaged":
            return "\n".join(self._tables.damage(path, reason) for path, reason in error["files"])
        if error["kind"] == "unknown":
            return self._tables.missing(error["message"], sql)
        return str(error["message"]) + _absent(str(error["message"]))

    def _too_large(self) -> str:
        return f"the query needs more than {self._limits.memory}; ask for less, or raise --memory"

    def _ended(self, code: int) -> str:
        if code in _OUT_OF_MEMORY:
            return self._too_large()
        if code in (-signal.SIGSEGV, -signal.SIGBUS):
            return f"DuckDB crashed at this query: it is nested too deeply, or needs more than {self._limits.memory}"
        return (
            f"the process for queries ended (exit code {code}); does `{sys.executable} -c 'import duckdb, "
            "pyarrow'` work?"
        )


class _Pipe(io.RawIOBase):
    """What a generator gives, to be read as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int) -> bytes:  # type: ignore[override]
        parts, left = [], size
        while left:
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
            parts.append(self._rest[:left])
            self._rest = self._rest[left:]
            left -= len(parts[-1])
        return b"".join(parts)


def _half(text: str) -> int:
    """Where half of a surrogate pair stands; -1 if nowhere."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return -1


def _unique(names: Sequence[str]) -> list[str]:
    """``id, id`` → ``id, id_1``: a join may give one name twice, a table may not."""
    found: dict[str, None] = {}
    numbers: dict[str, int] = {}
    every = set(names)
    for name in names:
        number = numbers.get(name, 0)
        new = f"{name}_{number}" if number else name
        while new in found or (number and new in every):
            number += 1
            new = f"{name}_{number}"
        numbers[name] = number + 1
        found[new] = None
    return list(found)


def _absent(message: str) -> str:
    """What to say of an optional part of rows that no row of a version has, so that its files have no such column."""
    from curate.rows.kinds import EXTRAS

    found = re.search(r'(?:Could not find key|Referenced column) "(\w+)"', message)
    if found is None or found[1] not in EXTRAS:
        return ""
    return f"\nno row of this version has '{found[1]}'; columns and fields for it exist only where a row does"
