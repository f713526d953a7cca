"""The process in which a store's SQL runs: it knows the files it was given and nothing else, and ends with its parent,
or when nobody asks it anything for a minute.

It is started by its path and imports nothing of curate, so that it is ready soon. A request is a frame on standard
input: eight
bytes with the length, then JSON. Answers go to what was standard output, with a letter before the length: ``R``
ready, ``B`` a
piece of an Arrow stream, ``E`` an error (JSON), ``.`` the end of an answer.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.path[:] = sys.argv[1].split("\n")  # `python -I -S` has the standard library only; these are the parent's places


class _NoPandas:
    """pyarrow looks for pandas when it is imported, and that takes longer than all the rest."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


if __name__ == "__main__":
    sys.meta_path.insert(0, _NoPandas())

import base64
import contextlib
import io
import json
import os
import queue
import re
import resource
import select
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

OVER_MEMORY = 77
"""Exit code of a worker that ended itself because a query held too much memory."""
_LOOK = 0.05
_IDLE = 60.0
"""Seconds without a request after which it ends."""
_BATCH_ROWS, _BATCH_BYTES = 4096, 2_000_000
_ROOM = 128 << 20
"""Bytes that an ordinary query needs besides those that DuckDB counts: batches on their way in and out, gaps in the
heap."""
_LONGEST = 2000
"""Characters of a message."""
_ALLOWED = ("SELECT", "EXPLAIN")
_AS_TEXT = re.compile(
    r"INTERVAL|UNION|BIGNUM|BIT|TIME WITH TIME ZONE|VARIANT|GEOMETRY|MAP\((?:STRUCT|MAP|DECIMAL\([^)]*\)\[|[^,()]*\[)"
)
"""Types that Arrow or Polars cannot hold; they are answered as DuckDB writes them."""
_NO_MEMORY = re.compile(r"Out of Memory|bad_alloc|bad allocation|Allocation failure|alloc of size")


# ------------------------------------------------------------------------------------------------------------------- files  # noqa: E501
class _Damaged(Exception):
    """A file is not what its manifest says."""


class Files(pads.Dataset):  # type: ignore[misc]
    """Parquet files that DuckDB reads as one table, a small batch at a time: Arrow's own scan decodes several row
    groups at once,
    which are gigabytes where texts are long, and DuckDB's limit does not count them.

    Args:
        schema: of the table; columns that a file lacks are null.
        parts: for each file its path, bytes, rows, and columns with one value for all its rows.
        damaged: gets (path, reason) of a file that cannot be read.
    """

    def __init__(self, schema: pa.Schema, parts: Sequence[Any], damaged: list[tuple[str, str]]) -> None:
        self._schema, self._parts, self._damaged = schema, parts, damaged

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_: Any) -> _Scan:
        """What DuckDB calls: it takes for granted that ``filter`` is applied."""
        return _Scan(self, columns, filter)

    def batches(self, columns: Sequence[str], condition: Any) -> Iterator[pa.RecordBatch]:
        """All rows for which ``condition`` holds, with these columns."""
        # A condition may be on columns that are not asked for.
        said = "" if condition is None else str(condition)
        tested = pa.schema([field for field in self._schema if field.name in said])
        whole = pa.schema([field for field in self._schema if field.name in columns or field.name in said])
        for part in self._parts:
            # Looking for one row among many, few files are read with all columns.
            if condition is None or any(one.filter(condition).num_rows for one in self._sound(tested, *part)):
                for batch in self._sound(whole, *part):
                    yield (batch if condition is None else batch.filter(condition)).select(columns)

    def _sound(self, schema: pa.Schema, path: str, *about: Any) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._read(schema, path, *about)
        except MemoryError:
            raise
        except Exception as error:
            missing = isinstance(error, FileNotFoundError)
            self._damaged.append((path, "it is gone" if missing else " ".join(str(error).split())))
            raise

    def _read(
        self, schema: pa.Schema, path: str, size: int, rows: int, constants: Mapping[str, str]
    ) -> Iterator[pa.RecordBatch]:
        if (found := os.stat(path).st_size) != size:  # noqa: PTH116
            raise _Damaged(f"it has {found:,} bytes where {size:,} were written")
        with pq.ParquetFile(path, buffer_size=1 << 20, page_checksum_verification=True) as file:
            groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
            if file.metadata.num_rows != rows:
                raise _Damaged(f"it has {file.metadata.num_rows:,} rows where {rows:,} were written")
            heaviest = max((one.total_byte_size / max(1, one.num_rows) for one in groups), default=1.0)
            wanted = int(min(_BATCH_ROWS, max(16.0, _BATCH_BYTES / max(1.0, heaviest))))
            there = [name for name in schema.names if name in file.schema_arrow.names]
            for batch in file.iter_batches(wanted, columns=there, use_threads=False):
                arrays = []
                for field in schema:
                    if field.name in constants:
                        arrays.append(pa.repeat(pa.scalar(constants[field.name], field.type), batch.num_rows))
                    elif field.name in there:
                        arrays.append(batch.column(field.name).cast(field.type))
                    else:
                        arrays.append(pa.nulls(batch.num_rows, field.type))
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


class _Scan:
    def __init__(self, files: Files, columns: Sequence[str] | None, condition: Any) -> None:
        self._files, self._condition = files, condition
        self._columns = files.schema.names if columns is None else list(columns)

    def to_reader(self) -> pa.RecordBatchReader:
        schema = pa.schema([self._files.schema.field(name) for name in self._columns])
        return pa.RecordBatchReader.from_batches(schema, self._files.batches(self._columns, self._condition))


# -----------------------------------------------------------------------------------------------------------------
# queries
class _Refused(Exception):
    """A statement that may not run."""


class _Engine:
    """DuckDB in memory: no files, no network, no settings."""

    def __init__(self, memory: int, threads: int | None) -> None:
        config: dict[str, Any] = {
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "memory_limit": f"{memory}B",
            "temp_directory": "",
            **({"threads": str(threads)} if threads else {}),
        }
        self.damaged: list[tuple[str, str]] = []
        self.whole = True
        """Whether it can be asked again."""
        self._connection = duckdb.connect(":memory:", config=config)
        for macro in ("score", "attribute"):
            self._connection.execute(
                f"CREATE MACRO {macro}(s, n) AS list_extract(list_filter(s, lambda x: x.name = n), 1).value"
            )
        self._connection.execute("SET lock_configuration = true")
        self._connection.execute("SELECT 1").fetchall()  # starts its threads

    def close(self) -> None:
        """Lets go of all that it holds."""
        self._connection.close()

    def define(self, view: Mapping[str, Any]) -> None:
        """Makes a table of files, or of the rows that are given."""
        columns = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(view["columns"])))
        rows = view["rows"]
        source = pa.Table.from_pylist(rows, columns) if rows else Files(columns, view["files"], self.damaged)
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(view['schema'])}")
        self._connection.execute(f"SET schema = '{_quoted(view['schema'])}'")
        self._connection.from_arrow(source).create_view(view["name"])
        self._connection.execute("SET schema = 'main'")

    def check(self, sql: str) -> None:
        """Whether it is one statement that only reads.

        Raises:
            _Refused: it is not.
        """
        statements = duckdb.extract_statements(sql)
        if not statements:
            raise _Refused("there is no statement")
        if len(statements) != 1:
            raise _Refused(f"one statement at a time; this has {len(statements)}")
        kind = statements[0].type.name
        if kind == "MULTI":
            raise _Refused("PIVOT needs its values listed here: PIVOT … ON language IN ('en', 'sw') USING …")
        if kind not in _ALLOWED:
            raise _Refused(f"only reading is allowed (SELECT, WITH, FROM, DESCRIBE, SUMMARIZE, EXPLAIN), not {kind}")
        if kind == "EXPLAIN" and (inner := _explained(sql)) != "SELECT":
            raise _Refused(f"EXPLAIN is for statements that read, not for {inner}")

    def answer(self, sql: str) -> pa.RecordBatchReader:
        """The answer to a checked statement, while it is computed."""
        relation = self._connection.sql(sql)
        types = [str(one) for one in relation.types]
        if any(map(_AS_TEXT.search, types)):
            relation = relation.project(
                ", ".join(
                    f"#{place}::VARCHAR AS {_quoted(name)}" if _AS_TEXT.search(one) else f"#{place} AS {_quoted(name)}"
                    for place, (name, one) in enumerate(zip(relation.columns, types, strict=True), 1)
                )
            )
        names = ("to_arrow_reader", "fetch_record_batch", "fetch_arrow_reader")  # now, in DuckDB 1.4, in 1.3
        return next(getattr(relation, name) for name in names if hasattr(relation, name))(_BATCH_ROWS)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """A transaction that changes nothing."""
        self._connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            yield
        finally:
            try:
                self._connection.execute("ROLLBACK")
            except duckdb.Error:
                self.whole = False


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _explained(sql: str) -> str:
    """The type of the statement behind ``EXPLAIN``, ``EXPLAIN ANALYZE`` or ``EXPLAIN (…)``: ANALYZE runs it."""
    written = sql.encode()
    tokens = [(place, kind.name) for place, kind in duckdb.tokenize(sql)]
    ends = [place for place, _ in tokens[1:]] + [len(written)]
    words = [
        (place, written[place:end].strip())
        for (place, kind), end in zip(tokens, ends, strict=True)
        if kind != "comment"
    ][1:]
    while words:
        rest = written[words[0][0] :].decode()
        if words[0][1].upper() in (b"ANALYZE", b"ANALYSE", b"VERBOSE"):
            words = words[1:]
        elif words[0][1][:1] != b"(" or _types(rest):
            return " and ".join(_types(rest)) or "nothing"
        else:  # options
            depth = 1
            while depth and (words := words[1:]):
                depth += words[0][1].count(b"(") - words[0][1].count(b")")
            words = words[1:]
    return "nothing"


def _types(sql: str) -> list[str]:
    try:
        return [str(one.type.name) for one in duckdb.extract_statements(sql)]
    except duckdb.Error:
        return []


# ----------------------------------------------------------------------------------------------------------------
# requests
class _Out(io.RawIOBase):
    """Where an Arrow stream is written to: what was written since the last frame becomes the next one."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe, self._parts = pipe, list[bytes]()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._parts.append(bytes(content))
        return len(self._parts[-1])

    def send(self, letter: bytes, content: bytes | None = None) -> None:
        """Sends a frame with this content, or with what was written."""
        parts = self._parts if content is None else [content]
        self._pipe.write(letter + sum(map(len, parts)).to_bytes(8, "big"))
        for part in parts:
            self._pipe.write(part)
        self._pipe.flush()
        self._parts = []


def _serve(engine: _Engine, request: Mapping[str, Any], out: _Out) -> tuple[bytes, bytes]:
    """Answers one request; gives the last frame of the answer."""
    engine.damaged.clear()
    try:
        for view in request["views"]:
            engine.define(view)
        engine.check(request["sql"])
        with engine.reading(), engine.answer(request["sql"]) as reader, pa.ipc.new_stream(out, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
                out.send(b"B")
        out.send(b"B")
    except BrokenPipeError:
        os._exit(0)
    except _Refused as error:
        return b"E", json.dumps({"kind": "wrong", "message": str(error)}).encode()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent tells it
        message = "\n".join(line for line in str(error).splitlines() if line.strip()) or type(error).__name__
        if "max_expression_depth" in message:  # nobody can set that here
            message = "nested too deeply: at most 1,000 expressions or subqueries may stand inside each other"
        kind = _kind(engine, error)
        engine.whole &= kind in ("wrong", "unknown", "damaged")
        about = {"kind": kind, "message": message[:_LONGEST], "files": engine.damaged}
        return b"E", json.dumps(about).encode()
    return b".", b""


def _kind(engine: _Engine, error: Exception) -> str:
    # An error while the answer is streamed comes through Arrow, by its message only.
    if isinstance(error, MemoryError | duckdb.OutOfMemoryException) or _NO_MEMORY.search(str(error)):
        return "memory"
    if engine.damaged:
        return "damaged"
    if isinstance(error, duckdb.CatalogException):
        return "unknown"
    fatal = isinstance(error, duckdb.FatalException | duckdb.InternalException) or not isinstance(error, duckdb.Error)
    return "failed" if fatal else "wrong"


def _listen(
    source: IO[bytes],
    requests: queue.SimpleQueue[bytes],
    busy: threading.Event,
    idle: threading.Event,
    most: int,
) -> None:
    """Takes requests; ends this process when its parent is gone, when a query makes it hold more than ``most`` bytes,
    or when it has been idle for long."""
    while True:
        if busy.is_set():
            if not select.select([source], [], [], _LOOK)[0]:
                if _held() > most:
                    os._exit(OVER_MEMORY)
                continue
        elif not select.select([source], [], [], _IDLE)[0]:
            if idle.is_set():
                os._exit(0)
            continue
        head = source.read(8)
        content = source.read(int.from_bytes(head, "big"))
        if len(head) < 8 or len(content) < int.from_bytes(head, "big"):
            os._exit(0)
        busy.set()
        requests.put(content)


def _held() -> int:
    """Bytes of memory that this process holds; where there is no /proc, the most that it ever held."""
    with contextlib.suppress(OSError):
        return _pages(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _pages(which: int) -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - twenty times a second
        return int(file.read().split()[which]) * os.sysconf("SC_PAGE_SIZE")


def _limit(memory: int) -> None:
    """From here on allocations that go far beyond ``memory`` bytes fail, and no core is dumped."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # macOS has no /proc and takes no notice of this limit; there `_listen` looks after it alone.
    with contextlib.suppress(OSError, ValueError):
        # Memory that was given back keeps its addresses for a while, so there are more addresses than bytes.
        most = _pages(0) + 2 * (memory + _ROOM)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(memory: int, threads: int | None) -> None:
    """Answers requests until the parent is gone."""
    source = open(0, "rb")  # noqa: SIM115
    out = _Out(open(os.dup(1), "wb"))  # noqa: PTH123, SIM115
    os.dup2(2, 1)  # whatever a library prints is no answer
    engine = _Engine(memory, threads)
    requests, busy, idle = queue.SimpleQueue[bytes](), threading.Event(), threading.Event()
    least = _held()
    most = least + memory + _ROOM
    threading.Thread(target=_listen, args=(source, requests, busy, idle, most), daemon=True).start()
    _limit(memory)
    out.send(b"R", b"")
    while True:
        idle.set()
        request = json.loads(requests.get())
        idle.clear()
        if request["anew"]:
            engine.close()
            if _held() > least + _ROOM // 2:  # what queries left there would count as the next one's
                os._exit(0)
            engine = _Engine(memory, threads)
        last = _serve(engine, request, out)
        busy.clear()  # before the parent may send the next request
        out.send(*last)
        if not engine.whole:
            os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[2]), int(sys.argv[3]) or None)
