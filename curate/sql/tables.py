"""The tables of a store: every version under its names, and tables about all datasets; a damaged version has none."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.catalog.suggestions import nearest
from curate.engine.funnel import Funnel, split_languages
from curate.engine.representation import COLUMNS, representation_of
from curate.engine.store.remote.fetch import absent, bring_all
from curate.engine.store.store import Store
from curate.errors import DamagedError, StoreError

# Statements that list tables must find all of them.
_LISTING = re.compile(r"\b(show|describe)\b|^\W*desc\b|information_schema|duckdb_|pg_|sqlite_|pragma")
_DESCRIBING = re.compile(r"\W*(show|describe|desc)\b")
_LONG = 1_000_000
View = dict[str, Any]


class Tables:
    """The tables of a store as it is now. Of a version nothing is read before a statement may need it."""

    def __init__(self, store: Store, more: Mapping[str, Path] | None = None) -> None:
        self._store, self._more = store, more or {}
        self._versions: dict[str, tuple[str, str]] = {}
        """Name in SQL → dataset, version."""
        self._refs: list[tuple[str, str, str]] = []
        self._reasons: dict[str, str] = {}
        """Name in SQL → why there is no such table."""
        self._manifests: dict[tuple[str, str], Mapping[str, Any]] = {}
        datasets = store.datasets()
        taken = set(datasets)
        for name in datasets:
            # SQL reads a hyphen as a minus: `alpaca_multi` is there for `"alpaca-multi"`.
            plain = name.replace("-", "_")
            aliases = [name] if plain in taken else [name, plain]
            taken.add(plain)
            refs = {ref: str(about["version"]) for ref, about in store.refs(name).items()}
            for ref, error in store.damaged_refs(name).items():
                for alias in aliases:
                    self._reasons |= {f"{alias}@{ref}": str(error)} | ({alias: str(error)} if ref == "latest" else {})
            self._refs += [(name, ref, version) for ref, version in refs.items()]
            for ref, version in ({version: version for version in store.versions(name)} | refs).items():
                for alias in aliases:
                    self._versions[f"{alias}@{ref}"] = name, version
                    if ref == "latest":
                        self._versions[alias] = name, version

    @property
    def names(self) -> list[str]:
        """All tables, as they are written in SQL."""
        versions = [f"{quoted(title)}{part}" for title in self._versions for part in ("", ".rejected", ".quarantined")]
        return [*versions, *(f"curate.{name}" for name in _ABOUT)]

    def needed(self, sql: str) -> list[str]:
        """The names of tables that a statement may mention (``curate`` for those about all); more than it does
        mention, never fewer
        unless it puts a name together."""
        every = [*self._versions, *self._more, "curate"]
        lower = sql.lower()
        if self.lists(sql):
            return every
        return [title for title in every if title in lower]

    def bring(self, titles: Iterable[str], sql: str) -> None:
        """Fetches the files that a working copy lacks of those of these tables that a statement names; none for one
        that only describes them.

        Raises:
            StoreError: the store behind its URL cannot be reached.
        """
        lower = sql.lower()
        if _DESCRIBING.match(lower):
            return
        for name, version in {self._versions[one] for one in titles if one in self._versions and one in lower}:
            bring_all(self._store.dataset(name) / version)

    def lists(self, sql: str) -> bool:
        """Whether a statement may be about tables and not about their rows."""
        return len(sql) > _LONG or _LISTING.search(sql.lower()) is not None

    def views(self, title: str) -> list[View]:
        """What the worker needs to make the tables of that name; none if the version is damaged."""
        if title == "curate":
            return [_view("curate", name, _ABOUT[name], rows=rows) for name, rows in self._about().items()]
        if title in self._more:
            import pyarrow.parquet as pq

            with pq.ParquetFile(self._more[title]) as file:
                about = [
                    str(self._more[title].absolute()),
                    self._more[title].stat().st_size,
                    file.metadata.num_rows,
                    {},
                ]
                return [_view("main", title, file.schema_arrow, [about])]
        name, version = self._versions[title]
        try:
            manifest = self._manifest(name, version)
            folder = (self._store.dataset(name) / version).absolute()
            data, rejected, bad, kinds = list[Any](), list[Any](), list[Any](), set[str]()
            for file in manifest["files"]:
                top, _, rest = file["path"].partition("/")
                about = [str(folder / file["path"]), int(file["bytes"]), int(file["rows"])]
                if top == "data":
                    data.append([*about, {"split": file["part"]}])
                elif top == "rejected":
                    kinds.add(rest.split("-")[0])
                    rejected.append([*about, {}])
                elif top == "quarantined":
                    bad.append([*about, {}])
            # Loads Polars and the kinds of rows: not for a statement that reads no version.
            from curate.engine.store.shards import QUARANTINED
            from curate.rows import Kind, schema

            kind, extras = Kind(manifest["kind"]), manifest.get("extras", ())
            return [
                _view("main", title, schema(kind, extras).append(pa.field("split", pa.string())), data),
                _view(title, "rejected", _of_kinds(kinds or {manifest["kind"]}, extras), rejected),
                _view(title, "quarantined", QUARANTINED, bad),
            ]
        except DamagedError as error:
            self._reasons[title] = str(error)
        except StoreError:
            self._reasons[title] = str(
                DamagedError(self._store.dataset(name) / version / "manifest.json", "it is gone")
            )
        return []

    def _manifest(self, name: str, version: str) -> Mapping[str, Any]:
        if (name, version) not in self._manifests:
            self._manifests[name, version] = self._store.manifest(name, version)
        return self._manifests[name, version]

    def bring_missing(self, paths: Iterable[str]) -> bool:
        """Fetches the versions of files that a statement did not find; whether one is here now."""
        missing = [one for one in map(Path, paths) if not one.exists() and absent(one) is not None]
        for folder in {one.parents[1] for one in missing}:
            bring_all(folder)
        return any(one.exists() for one in missing)

    # -------------------------------------------------------------------------------------------------------------
    # errors
    def damage(self, path: str, reason: str) -> str:
        """What to say of a version with a file that cannot be read."""
        return str(DamagedError(Path(path), reason))

    def missing(self, message: str, sql: str) -> str:
        """DuckDB's message that there is no such table, with why there is none or what there is."""
        first = message.splitlines()[0]
        found = re.search(r'with name "?(.+?)"? does not exist', first)
        lower, wanted = sql.lower(), found[1].lower() if found else ""
        damaged = [title for title in self._reasons if title in lower]
        if damaged:
            title = max(damaged, key=len)
            return self._reasons[title] if title == wanted else f"{first}\n{self._reasons[title]}"
        if "Table" not in first:
            return message
        near = nearest(wanted, [title for title in self._versions if "@" not in title or "@" in wanted])
        return f"{first}{near}\nthere are: {', '.join(name for name in self.names if '@' not in name)}"

    # --------------------------------------------------------------------------------------------------------------
    # about
    def _about(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of the tables of the schema ``curate``; of a damaged version only its name is told."""
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _ABOUT}
        for name, ref, version in self._refs:
            row: dict[str, Any] = {"dataset": name, "ref": ref, "version": version}
            try:
                manifest = self._manifest(name, version)
                told = {key: manifest[key] for key in ("kind", "rows", "rejected", "quarantined", "created_at")}
                if ref == "latest":
                    rows["funnel"] += list(_funnel_rows(name, Funnel.from_json(manifest["funnel"])))
                    rows["representation"] += [{"dataset": name, **row} for row in _represented(manifest)]
                    rows["sources"] += list(_source_rows(name, manifest))
                    audits = self._store.refs(name)[ref].get("audits", manifest.get("audits", {}))
                    rows["audits"] += [
                        {"dataset": name, "step": step, **one} for step, listed in audits.items() for one in listed
                    ]
            except StoreError:
                told = {}
            rows["datasets"].append(row | told)
        return rows


def quoted(name: str) -> str:
    """A name as it is written in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _view(place: str, name: str, columns: pa.Schema, files: Sequence[Any] = (), rows: Sequence[Any] = ()) -> View:
    sent = base64.b64encode(columns.serialize()).decode()
    return {"schema": place, "name": name, "columns": sent, "files": files, "rows": rows}


def _of_kinds(kinds: Iterable[str], extras: Sequence[str]) -> pa.Schema:
    """The columns of rejects, which may be of an earlier kind (before a step that makes other rows)."""
    from curate.rows import Kind, schema

    fields: dict[str, pa.Field] = {}
    for kind in sorted(kinds):
        for field in [*schema(Kind(kind), extras), pa.field("step", pa.string()), pa.field("reason", pa.string())]:
            fields.setdefault(field.name, field.with_nullable(True))
    return pa.schema(fields.values())


_STRING, _INT, _REAL = pa.string(), pa.int64(), pa.float64()
_ABOUT = {
    "datasets": pa.schema(
        [
            ("dataset", _STRING),
            ("ref", _STRING),
            ("version", _STRING),
            ("kind", _STRING),
            ("rows", _INT),
            ("rejected", _INT),
            ("quarantined", _INT),
            ("created_at", _STRING),
        ]
    ),
    "funnel": pa.schema(
        [
            ("dataset", _STRING),
            ("position", _INT),
            ("step", _STRING),
            ("language", _STRING),
            ("prompt_language", _STRING),
            ("reason", _STRING),
            ("rows", _INT),
        ]
    ),
    "representation": pa.schema(
        [("dataset", _STRING), *((name, _INT if type_ is int else _STRING) for name, type_ in COLUMNS.items())]
    ),
    "sources": pa.schema(
        [
            ("dataset", _STRING),
            ("source", _STRING),
            ("license", _STRING),
            ("kind", _STRING),
            ("unit", _STRING),
            ("rows", _INT),
            ("bad", _INT),
        ]
    ),
    "audits": pa.schema(
        [
            ("dataset", _STRING),
            ("step", _STRING),
            ("subject", _STRING),
            ("model", _STRING),
            ("language", _STRING),
            ("figure", _STRING),
            ("value", _REAL),
            ("low", _REAL),
            ("high", _REAL),
            ("rows", _INT),
            ("limit", _REAL),
            ("refused", pa.bool_()),
            ("note", _STRING),
        ]
    ),
}
"""The tables about all versions."""


def _funnel_rows(name: str, funnel: Funnel) -> Iterator[dict[str, Any]]:
    """Rows whose prompt is in another language apart, so that all rows of a language, step and reason are the sum."""
    asked = Funnel() if funnel.prompts is None else funnel.prompts
    stages = [("read", _kept(funnel.read), _kept(asked.read))]
    prompts = dict(asked.steps)
    stages += [(step, languages, prompts.get(step, {})) for step, languages in funnel.steps]
    for position, (step, languages, apart) in enumerate(stages):
        counts: dict[tuple[str, str | None, str], int] = {}
        for language, reasons in languages.items():
            counts |= {(language, None, reason): count for reason, count in reasons.items()}
        for both, reasons in apart.items():
            language, prompt = split_languages(both)
            for reason, count in reasons.items():
                counts[language, prompt, reason] = count
                counts[language, None, reason] -= count
        for (one, other, reason), count in counts.items():
            if count:
                row = {"language": one, "prompt_language": other, "reason": reason, "rows": count}
                yield {"dataset": name, "position": position, "step": step, **row}


def _kept(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    return {language: {"kept": count} for language, count in counts.items()}


def _represented(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = representation_of(manifest)
    yield from found.rows() if found is not None else [{"step": "not recorded"}]


def _source_rows(name: str, manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for source in manifest["sources"]:
        for unit in source.get("units", []):  # a dataset among them has none, and no licence of its own
            yield {
                "dataset": name,
                "source": source["name"],
                "license": source["license"],
                "kind": source["kind"],
                "unit": unit["name"],
                "rows": unit["rows"],
                "bad": unit["bad"],
            }
