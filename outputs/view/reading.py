"""Reads a version's rows for the pages by SQL (:mod:`curate.sql`, with its limits): which rows fit a filter, how many
there are of each language, source, step and reason, one row with its relatives, the columns of a score.

Only what a page shows is held: of a million rows the ids of one page, and for a threshold the numbers of one score.
"""

from __future__ import annotations

import math
import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from curate.catalog.suggestions import nearest
from curate.engine.store.store import Store
from curate.preferences.review.labels_file import CHOICES, VERDICTS
from curate.rows import Kind
from curate.rows.kinds import kind_of, message_columns
from curate.sql import Database, Limits
from curate.sql.tables import quoted
from curate.steps.outputs import Version
from outputs.report.data import TRIED, File, files_of
from outputs.report.rows import look_up, related
from outputs.view.server import NotFound

if TYPE_CHECKING:
    import polars as pl

PAGE = 50
STATES = ("kept", "dropped", "quarantined")
LABELS = ("", "any", "none", *VERDICTS, *CHOICES)
_REMEMBERED = 64
_SIBLINGS = 24
_NAMES_FROM = 20_000
"""Rows at the beginning that are looked at for the names of scores."""
_ID = re.compile(r"[0-9a-f]{6,32}")
_TABLES = {"kept": "", "dropped": ".rejected", "quarantined": ".quarantined"}


@dataclass(frozen=True)
class Filter:
    """Which rows to show; what is empty does not restrict."""

    state: str = "kept"
    language: str = ""
    source: str = ""
    step: str = ""
    reason: str = ""
    score: str = ""
    min: str = ""
    max: str = ""
    text: str = ""
    label: str = ""
    """``any``, ``none``, or a verdict or choice of whoever labels here."""
    order: str = ""
    """``random``: by id, which is a digest of the row; otherwise that of the files."""
    region: str = ""
    """Of the map: a cluster, or a rectangle (see :meth:`outputs.view.embedding_map.EmbeddingMap.inside`)."""
    labelled: tuple[str, ...] = ()
    """The rows that ``label`` means (with ``none``: the others)."""
    inside: frozenset[str] = frozenset()
    """The rows in ``region``."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filter:
        """The filter that an address names.

        Raises:
            NotFound: ``state`` is no state, or an end of the score's range is no number.
        """
        asked: dict[str, Any] = {name: query.get(name, str(default)).strip() for name, default in _ASKED.items()}
        found = cls(**asked)
        for name, known in (("state", STATES), ("order", ("", "random")), ("label", LABELS)):
            if (chosen := getattr(found, name)) not in known:
                raise NotFound(f"{name}: '{chosen}'{nearest(chosen, known)} (known: {', '.join(filter(None, known))})")
        for name in ("min", "max"):
            if (given := getattr(found, name)) and not _is_number(given):
                raise NotFound(f"{name}: '{given}' is no number")
        return found

    def address(self, **changes: Any) -> str:
        """The query of an address that names this filter."""
        changed = replace(self, **changes)
        given = {name: getattr(changed, name) for name in _ASKED}
        return urlencode({name: value for name, value in given.items() if value and (name, value) != ("state", "kept")})

    @property
    def counted(self) -> bool:
        """Whether the counts by language, source, step and reason tell how many rows fit."""
        return not self.text and not self.label and not self.region and not (self.score and (self.min or self.max))


_ASKED: Mapping[str, Any] = {one.name: one.default for one in fields(Filter) if one.name not in ("labelled", "inside")}
"""What an address may name, and what holds without it."""


class Reader:
    """The rows of one store. Queries run one after the other; answers that many pages need are remembered.

    Args:
        limits: of each query.
    """

    def __init__(self, store: Store, limits: Limits | None = None) -> None:
        self.store = store
        self._limits = limits or Limits(seconds=60)
        self._lock = threading.RLock()
        self._database: Database | None = None
        self._known: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._making: dict[tuple[Any, ...], threading.RLock] = {}

    def close(self) -> None:
        """Ends the process in which queries run."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def version(self, name: str) -> ReadVersion:
        """A version by ``name`` or ``name@ref``.

        Raises:
            StoreError: there is none.
        """
        dataset, _, ref = name.partition("@")
        version = self.store.resolve(dataset, ref or "latest")
        found: ReadVersion = self.remembered(
            ("version", dataset, version, ref),
            lambda: ReadVersion(self, _about(self.store, dataset, version, ref or "latest")),
        )
        return found

    def query(self, sql: str, *tables: str) -> pl.DataFrame:
        """The answer to a SELECT.

        Args:
            tables: the tables it reads; if one came up since the database was opened, it is opened anew.
        """
        with self._lock:
            if self._database is None or not set(tables) <= set(self._database.names):
                self.close()
                self._database = Database(self.store, self._limits)
            return self._database.query(sql)

    def remembered(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What ``make`` gives, from memory if it was asked for not long ago.

        It is made once, and what else is asked for does not wait for it.
        """
        with self._lock:
            making = self._making.setdefault(key, threading.RLock())
        with making:
            try:
                with self._lock:
                    if key in self._known:
                        self._known.move_to_end(key)
                        return self._known[key]
                made = make()
                with self._lock:
                    self._known[key] = made
                    while len(self._known) > _REMEMBERED:
                        self._known.popitem(last=False)
            finally:
                self._making.pop(key, None)
            return made


def _about(store: Store, dataset: str, version: str, ref: str) -> Version:
    """A version with the recipe of its latest build, as :func:`outputs.card.card.about`, without reading its files."""
    manifest = dict(store.check_version(dataset, version))
    entry = store.refs(dataset).get(ref, {})
    manifest |= {key: entry[key] for key in ("recipe", "description", "audits") if key in entry}
    return Version(dataset, version, store.dataset(dataset) / version, manifest)


class ReadVersion:
    """A version of which rows are read."""

    def __init__(self, reader: Reader, version: Version) -> None:
        self.reader, self.version = reader, version
        self.name = f"{version.name}@{version.version}"
        self.base = "/" + quote(self.name, safe="")
        """What addresses of its pages begin with."""
        self.labels: tuple[str, ...] = tuple(step["label"] for step in version.manifest["recipe"]["steps"])

    def table(self, state: str) -> str:
        """The table of rows in this state, as it is written in SQL."""
        return quoted(self.name) + _TABLES[state]

    def row_address(self, row: str) -> str:
        """The address of the page of a row."""
        return f"{self.base}/row/{row}"

    def ask(self, sql: str) -> pl.DataFrame:
        """The answer to a SELECT over this version's tables."""
        return self.reader.query(sql, self.table("kept"))

    @cached_property
    def files(self) -> list[File]:
        return files_of(self.version)

    @cached_property
    def counts(self) -> list[tuple[str, str, str, str, int]]:
        """Language, source, step, reason and number of rows; step and reason are empty for kept rows."""
        parts = [
            f"SELECT language, lineage.source AS source, '' AS step, '' AS reason, count(*) AS n "
            f"FROM {self.table('kept')} GROUP BY ALL",
            f"SELECT language, lineage.source AS source, step, reason, count(*) AS n "
            f"FROM {self.table('dropped')} GROUP BY ALL",
        ]
        found = self.ask(" UNION ALL ".join(f"({part})" for part in parts))
        order = {label: place for place, label in enumerate(self.labels)}
        return sorted(found.rows(), key=lambda one: (order.get(one[2], -1), -one[4], one[:4]))

    def scores(self, state: str) -> list[str]:
        """Names of scores of kept or dropped rows, in the order of the steps; rare ones that only later rows have may
        be missing."""
        rows = f"SELECT scores FROM {self.table(state)} LIMIT {_NAMES_FROM}"
        sql = f"SELECT DISTINCT name FROM (SELECT unnest(scores).name AS name FROM ({rows}))"
        names = self.reader.remembered((sql,), lambda: self.ask(sql))["name"].to_list()
        order = {label: place for place, label in enumerate(self.labels)}
        return sorted(names, key=lambda name: (order.get(name.split(".")[0], -1), name))

    def count(self, given: Filter) -> int:
        """How many rows fit."""
        if given.state == "quarantined" and not given.text:
            return int(self.version.manifest["quarantined"])
        if given.state != "quarantined" and given.counted:
            return sum(
                number
                for language, source, step, reason, number in self.counts
                if (given.state == "dropped") == bool(step)
                and given.language in ("", language)
                and given.source in ("", source)
                and (not step or (given.step in ("", step) and given.reason in ("", reason)))
            )
        sql = f"SELECT count(*) AS n FROM {self.table(given.state)}{self._where(given)}"
        return int(self.reader.remembered((sql,), lambda: self.ask(sql))["n"][0])

    def page(self, given: Filter, page: int) -> list[dict[str, Any]]:
        """The rows of a page (from 1) in the order of the files, with ``kind`` and ``split``.

        Of quarantined rows: what could not be read, as ``source``, ``unit``, ``place``, ``reason``, ``raw``.
        """
        start = (page - 1) * PAGE
        some = f"LIMIT {PAGE} OFFSET {start}"
        if given.state == "quarantined":
            return self.ask(f"SELECT * FROM {self.table('quarantined')}{self._where(given)} {some}").to_dicts()
        order = "ORDER BY id " if given.order else ""
        sql = f"SELECT id FROM {self.table(given.state)}{self._where(given)} {order}{some}"
        ids = self.reader.remembered((sql,), lambda: self.ask(sql))["id"].to_list()
        rows = self.rows(ids, given.state)
        return [rows[one] for one in ids]

    def rows(self, ids: Sequence[str], state: str, without: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
        """Rows by id, in this state.

        Args:
            without: columns that are not needed.
        """
        if not ids:
            return {}
        columns = f"* EXCLUDE ({', '.join(without)})" if without else "*"
        sql = f"SELECT {columns} FROM {self.table(state)} WHERE id IN ({', '.join(map(literal, ids))})"
        return {row["id"]: row for row in map(_with_kind, self.ask(sql).to_dicts())}

    def row(self, row: str) -> dict[str, Any]:
        """The row of this id, or of the only id that begins so; with ``outside`` a row that one of the version's was
        made of.

        Raises:
            NotFound: there is none, or there are several.
        """
        if not _ID.fullmatch(row):
            raise NotFound(f"'{row[:64]}' is no row id: 32 hexadecimal digits, of which the first 6 are enough")
        told = f"id = {literal(row)}" if len(row) == 32 else f"starts_with(id, {literal(row)})"
        for state in ("kept", "dropped"):
            found = self.ask(f"SELECT * FROM {self.table(state)} WHERE {told} LIMIT 2").to_dicts()
            if len({one["id"] for one in found}) > 1:
                raise NotFound(f"several ids begin with '{row}'; give more of it")
            if found:
                return _with_kind(found[0])
        if outside := look_up(self.reader.store, self.version, self.files, [row]).get(row):
            return {**outside, "outside": True}
        raise NotFound(f"'{self.version.name}' has no row {row}, neither kept nor dropped")

    def some(self, language: str) -> list[dict[str, Any]]:
        """Language, scores and attributes of a few kept rows in a language."""
        sql = (
            f"SELECT language, scores, attributes FROM {self.table('kept')} "
            f"WHERE language = {literal(language)} LIMIT {TRIED}"
        )
        found: list[dict[str, Any]] = self.reader.remembered((sql,), lambda: self.ask(sql).to_dicts())
        return found

    def siblings(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The other rows of the same item, kept before dropped: its translations and its other answers."""
        found: list[dict[str, Any]] = []
        for state in ("kept", "dropped"):
            sql = (
                f"SELECT * FROM {self.table(state)} WHERE group_id = {literal(row['group_id'])} "
                f"AND id <> {literal(row['id'])} LIMIT {_SIBLINGS}"
            )
            found += map(_with_kind, self.ask(sql).to_dicts())
        return found[:_SIBLINGS]

    def relatives(self, row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Its parents, what it is a duplicate of, and what these were made of, as far as the store has them."""
        return look_up(self.reader.store, self.version, self.files, related([row]))

    def _where(self, given: Filter) -> str:
        told = []
        if given.state == "quarantined":
            if given.text:
                told.append(" OR ".join(has(column, given.text) for column in ("raw", "reason", "source", "place")))
        else:
            for column, value in (("language", given.language), ("lineage.source", given.source)):
                if value:
                    told.append(f"{column} = {literal(value)}")
            for column, value in (("step", given.step), ("reason", given.reason)):
                if value and given.state == "dropped":
                    told.append(f"{column} = {literal(value)}")
            if given.score:
                value = f"score(scores, {literal(given.score)})"
                told += [
                    f"{value} {sign} {float(end)!r}" for sign, end in ((">=", given.min), ("<=", given.max)) if end
                ]
            if given.label:
                ids = ", ".join(map(literal, given.labelled)) or "''"
                told.append(f"id {'NOT IN' if given.label == 'none' else 'IN'} ({ids})")
            if given.region:
                told.append(f"id IN ({', '.join(map(literal, sorted(given.inside))) or literal('')})")
            if given.text:
                told.append(self._holds(given.text, given.state))
        return " WHERE " + " AND ".join(f"({one})" for one in told) if told else ""

    def _holds(self, text: str, state: str) -> str:
        """That a text of the row has this one in it (in whatever case and composition), or its id begins with it."""
        kinds = {self.version.kind} if state == "kept" else {file.kind for file in self.files if not file.split}
        parts = [has("lineage.source_id", text)]
        columns: dict[str, None] = {}
        for kind in sorted(kinds):
            for column in message_columns(kind):
                columns[f"array_to_string(list_transform({column}, lambda m: m.content), chr(10))"] = None
            plain = {Kind.PARALLEL: ("source", "target"), Kind.DOCUMENT: ("text",)}.get(kind, ())
            columns |= dict.fromkeys(plain)
        parts += [has(column, text) for column in columns]
        if _ID.fullmatch(text.lower()):
            parts.append(f"starts_with(id, {literal(text.lower())})")
        return " OR ".join(f"coalesce(({part}), false)" for part in parts)


def literal(text: str) -> str:
    """A text as it is written in SQL."""
    return "'" + text.replace("'", "''") + "'"


def has(column: str, text: str) -> str:
    """That a column has a text in it, in whatever case, composed (NFC) or decomposed (NFD).

    Texts are not normalised themselves: that takes three times as long as all the rest.
    """
    forms = dict.fromkeys(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    if text.lower() == text.upper():
        return " OR ".join(f"contains({column}, {literal(form)})" for form in forms)
    return " OR ".join(f"contains(lower({column}), lower({literal(form)}))" for form in forms)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _with_kind(row: dict[str, Any]) -> dict[str, Any]:
    there = {name: value for name, value in row.items() if value is not None}
    return {"split": "", **there, "kind": kind_of(there)}
