"""A query sees finished versions as tables, and nothing else: DuckDB in memory, no files, no network, no settings, limits on time and memory.

``name`` is a dataset's latest version, ``name.rejected`` what was dropped and why, ``name.quarantined`` what could not be
read, ``"name@ref"`` another version; ``curate.datasets``, ``curate.funnel``, ``curate.sources`` and ``curate.audits`` tell about them. The
tables reach DuckDB as Arrow datasets, so the files' own names are never readable from SQL.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads

from curate.engine.build import parse_bytes
from curate.engine.funnel import Funnel
from curate.engine.store import Store
from curate.engine.work import BAD_SCHEMA
from curate.errors import QueryError
from curate.rows import Kind, schema

_ALLOWED = {"SELECT", "EXPLAIN"}
_AS_TEXT = ("INTERVAL", "UNION", "BIGNUM", "BIT", "TIME WITH TIME ZONE", "VARIANT", "GEOMETRY")
"""Types that Arrow or Polars cannot hold; they are answered as DuckDB writes them."""
_BATCH = 50_000


@dataclass(frozen=True)
class Limits:
    """What one query may use."""

    seconds: float = 60.0
    memory: str = "2GB"
    threads: int | None = None


class Database:
    """Read-only SQL over the versions in a store. Use as a context manager, or :meth:`close` it."""

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        if not self._limits.seconds > 0:
            raise QueryError(f"the time limit must be more than 0 seconds, not {self._limits.seconds:g}")
        try:
            self._bytes = parse_bytes(self._limits.memory)
        except ValueError as error:
            raise QueryError(f"the memory limit: {error}") from None
        config: dict[str, Any] = {
            "enable_external_access": "false", "autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
            "python_enable_replacements": "false", "memory_limit": f"{self._bytes}B", "temp_directory": "",
        }  # fmt: skip
        if self._limits.threads:
            config["threads"] = str(self._limits.threads)
        self._connection = duckdb.connect(":memory:", config=config)
        self._names: list[str] = []
        self._count = 0
        self._tables(store)
        self._connection.execute(
            "CREATE MACRO score(s, n) AS list_extract(list_filter(s, lambda x: x.name = n), 1).value"
        )
        self._connection.execute(
            "CREATE MACRO attribute(a, n) AS list_extract(list_filter(a, lambda x: x.name = n), 1).value"
        )
        self._connection.execute("SET lock_configuration = true")

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    @property
    def names(self) -> list[str]:
        """All tables, as they are written in SQL."""
        return list(self._names)

    # ---------------------------------------------------------------------------------------------------------- tables
    def _tables(self, store: Store) -> None:
        about: list[dict[str, Any]] = []
        funnels: list[dict[str, Any]] = []
        sources: list[dict[str, Any]] = []
        audits: list[dict[str, Any]] = []
        datasets = store.datasets()
        taken = set(datasets)
        for name in datasets:
            refs = {ref: str(value["version"]) for ref, value in store.refs(name).items()}
            shown = {**{version: version for version in store.versions(name)}, **refs}
            # SQL reads a hyphen as a minus: `alpaca_multi` is there for `"alpaca-multi"`.
            plain = name.replace("-", "_")
            aliases = [name] if plain in taken else [name, plain]
            taken.add(plain)
            for ref, version in shown.items():
                folder = store.dataset(name) / version
                manifest = store.manifest(name, version)
                kind = Kind(manifest["kind"])
                views = {"": self._data(folder, manifest, kind), "rejected": self._rejected(folder, manifest, kind),
                         "quarantined": self._view(folder, manifest, "quarantined/", BAD_SCHEMA)}  # fmt: skip
                for alias in aliases:
                    for title in (f"{alias}@{ref}", *([alias] if ref == "latest" else [])):
                        self._define(title, views)
                if ref != version:
                    about.append({"dataset": name, "ref": ref, "version": version, "kind": manifest["kind"], "rows": manifest["rows"],
                                  "rejected": manifest["rejected"], "quarantined": manifest["quarantined"], "created_at": manifest["created_at"]})  # fmt: skip
                if ref == "latest":
                    funnels += _funnel_rows(name, Funnel.from_json(manifest["funnel"]))
                    sources += _source_rows(name, manifest)
                    told = store.refs(name)[ref].get("audits", manifest.get("audits", {}))
                    audits += [
                        {"dataset": name, "step": step, **one} for step, listed in told.items() for one in listed
                    ]
        self._connection.execute("CREATE SCHEMA curate")
        self._register("curate.datasets", pa.Table.from_pylist(about, _ABOUT))
        self._register("curate.funnel", pa.Table.from_pylist(funnels, _FUNNEL))
        self._register("curate.sources", pa.Table.from_pylist(sources, _SOURCES))
        self._register("curate.audits", pa.Table.from_pylist(audits, _AUDITS))

    def _data(self, folder: Path, manifest: dict[str, Any], kind: Kind) -> str:
        parts = []
        for split, value in manifest["splits"].items():
            view = self._dataset([folder / path for path in value["files"]], schema(kind))
            parts.append(f"SELECT *, '{split}' AS split FROM {view}")
        if not parts:
            parts = [f"SELECT *, '' AS split FROM {self._dataset([], schema(kind))}"]
        return " UNION ALL BY NAME ".join(parts)

    def _rejected(self, folder: Path, manifest: dict[str, Any], kind: Kind) -> str:
        """Rejects may be of an earlier kind (before a step that makes other rows): columns that a kind lacks are null."""
        kinds = sorted(
            {
                file["path"].split("/")[1].split("-")[0]
                for file in manifest["files"]
                if file["path"].startswith("rejected/")
            }
        ) or [kind.value]
        selects = []
        for one in kinds:
            target = schema(Kind(one)).append(pa.field("step", pa.string())).append(pa.field("reason", pa.string()))
            selects.append(self._view(folder, manifest, f"rejected/{one}-", target))
        return " UNION ALL BY NAME ".join(selects)

    def _view(self, folder: Path, manifest: dict[str, Any], prefix: str, target: pa.Schema) -> str:
        return f"SELECT * FROM {self._dataset([folder / file['path'] for file in manifest['files'] if file['path'].startswith(prefix)], target)}"

    def _dataset(self, paths: Sequence[Path], target: pa.Schema) -> str:
        self._count += 1
        name = f"__curate_{self._count}"
        self._connection.register(
            name,
            pads.dataset([str(path) for path in paths], schema=target, format="parquet")
            if paths
            else target.empty_table(),
        )
        return name

    def _define(self, title: str, views: dict[str, str]) -> None:
        self._connection.execute(f"CREATE SCHEMA {_quoted(title)}")
        for name, sql in views.items():
            target = f"{_quoted(title)}.{name}" if name else f"main.{_quoted(title)}"
            self._connection.execute(f"CREATE VIEW {target} AS {sql}")
            self._names.append(f"{_quoted(title)}.{name}" if name else _quoted(title))

    def _register(self, title: str, table: pa.Table) -> None:
        self._count += 1
        name = f"__curate_{self._count}"
        self._connection.register(name, table)
        self._connection.execute(f"CREATE VIEW {title} AS SELECT * FROM {name}")
        self._names.append(title)

    # --------------------------------------------------------------------------------------------------------- queries
    def query(self, sql: str) -> pl.DataFrame:
        """The answer to one SELECT (or WITH, FROM, DESCRIBE, SUMMARIZE, EXPLAIN …).

        Raises:
            QueryError: it is no single reading statement, it is wrong, or it went over a limit.
        """
        try:
            statements = duckdb.extract_statements(sql)
        except duckdb.Error as error:
            raise QueryError(_first_lines(error)) from None
        if len(statements) != 1:
            raise QueryError(f"one statement at a time; this has {len(statements)}")
        if statements[0].type.name == "MULTI":
            raise QueryError("PIVOT needs its values listed here: PIVOT … ON language IN ('en', 'sw') USING …")
        if statements[0].type.name not in _ALLOWED:
            raise QueryError(
                f"only reading is allowed (SELECT, WITH, FROM, DESCRIBE, SUMMARIZE, EXPLAIN), not {statements[0].type.name}"
            )
        timer = threading.Timer(min(self._limits.seconds, threading.TIMEOUT_MAX), self._connection.interrupt)
        timer.daemon = True
        # EXPLAIN ANALYZE runs what it explains: read-only, so that it changes no view either.
        self._connection.execute("BEGIN TRANSACTION READ ONLY")
        timer.start()
        try:
            return self._answer(sql)
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise QueryError(self._told(error)) from None
        finally:
            timer.cancel()
            timer.join()  # it holds the connection, which must be gone before the interpreter is
            self._connection.execute("ROLLBACK")

    def _answer(self, sql: str) -> pl.DataFrame:
        """The whole answer, counted while it comes: DuckDB's own limit ends where the answer leaves it."""
        relation = self._connection.sql(sql)
        types = [str(one) for one in relation.types]
        if any(word in one for one in types for word in _AS_TEXT):
            relation = relation.project(", ".join(
                f"#{place}::VARCHAR AS {_quoted(name)}" if any(word in one for word in _AS_TEXT) else f"#{place} AS {_quoted(name)}"
                for place, (name, one) in enumerate(zip(relation.columns, types, strict=True), 1)
            ))  # fmt: skip
        batches, size = [], 0
        with relation.to_arrow_reader(_BATCH) as reader:  # closed before the transaction ends
            for batch in reader:
                size += batch.nbytes
                if size > self._bytes:
                    raise duckdb.OutOfMemoryException("the answer")
                batches.append(batch)
            table = pa.Table.from_batches(batches, reader.schema)
        return pl.DataFrame(pl.from_arrow(table.rename_columns(_unique(table.column_names))))

    def _told(self, error: Exception) -> str:
        message = _first_lines(error)
        # An error while the answer is streamed comes through Arrow, by its message only.
        if isinstance(error, duckdb.InterruptException) or "INTERRUPT Error" in message:
            return f"stopped after {self._limits.seconds:g} s; ask for less, or raise --timeout"
        if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory Error" in message:
            return f"the query needs more than {self._limits.memory}; ask for less, or raise --memory"
        return self._hint(message)

    def _hint(self, message: str) -> str:
        if "does not exist" in message and "Table" in message:
            return f"{message}\nthere are: {', '.join(name for name in self._names if '@' not in name)}"
        return message


_STRING, _INT = pa.string(), pa.int64()
_ABOUT = pa.schema([("dataset", _STRING), ("ref", _STRING), ("version", _STRING), ("kind", _STRING), ("rows", _INT), ("rejected", _INT),
                    ("quarantined", _INT), ("created_at", _STRING)])  # fmt: skip
_FUNNEL = pa.schema(
    [
        ("dataset", _STRING),
        ("position", _INT),
        ("step", _STRING),
        ("language", _STRING),
        ("reason", _STRING),
        ("rows", _INT),
    ]
)
_SOURCES = pa.schema(
    [
        ("dataset", _STRING),
        ("source", _STRING),
        ("license", _STRING),
        ("kind", _STRING),
        ("unit", _STRING),
        ("rows", _INT),
        ("bad", _INT),
    ]
)

_AUDITS = pa.schema(
    [
        ("dataset", _STRING),
        ("step", _STRING),
        ("subject", _STRING),
        ("model", _STRING),
        ("language", _STRING),
        ("figure", _STRING),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("rows", _INT),
        ("limit", pa.float64()),
        ("refused", pa.bool_()),
        ("note", _STRING),
    ]
)


def _funnel_rows(name: str, funnel: Funnel) -> Iterator[dict[str, Any]]:
    for language, count in funnel.read.items():
        yield {"dataset": name, "position": 0, "step": "read", "language": language, "reason": "kept", "rows": count}
    for position, (step, languages) in enumerate(funnel.steps, 1):
        for language, reasons in languages.items():
            for reason, count in reasons.items():
                yield {
                    "dataset": name,
                    "position": position,
                    "step": step,
                    "language": language,
                    "reason": reason,
                    "rows": count,
                }


def _source_rows(name: str, manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for source in manifest["sources"]:
        for unit in source.get("units", []):
            yield {"dataset": name, "source": source["name"], "license": source["license"], "kind": source["kind"], "unit": unit["name"],
                   "rows": unit["rows"], "bad": unit["bad"]}  # fmt: skip


def _unique(names: Sequence[str]) -> list[str]:
    """``id, id`` → ``id, id_1``: a join may give one name twice, a table may not."""
    found: list[str] = []
    for name in names:
        number, new = 0, name
        while new in found or (number and new in names):
            number += 1
            new = f"{name}_{number}"
        found.append(new)
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_lines(error: Exception) -> str:
    return "\n".join(line for line in str(error).splitlines() if line.strip())
