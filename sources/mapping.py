"""Columns of a file become rows of a kind: one compiled mapping, filled row by row into Arrow columns.

What a row cannot give is a :class:`~curate.steps.BadRow` with its place and reason; the other rows go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate.rows import Kind, payload, schema
from curate.rows.kinds import ATTRIBUTES, MAKERS, MESSAGE, MESSAGES, SCORES
from curate.steps import BadRow, NewRows, SourceError, Unit
from sources.detection import Form
from sources.messages import Reader
from sources.payloads import Payloads, cleaner, language_of, number_of
from sources.templates import (
    LINE,
    MISSING,
    PSEUDO,
    ROW,
    UNIT,
    BadValue,
    Get,
    Row,
    as_key,
    as_text,
    check_columns,
    parse,
)

BATCH_ROWS = 2_000
BATCH_BYTES = 16 * 1024 * 1024
RAW = 2_000
"""Characters of a bad row's raw text that are kept."""

Record = tuple[int, dict[str, Any], int]
"""Place in the unit (line from 1, or row from 0), values by column, size in bytes or characters."""


def raw_text(value: Any) -> str:
    """What is kept of a row that could not be read: its text, cut, safe to store."""
    if isinstance(value, bytes):
        value = value[: 4 * RAW].decode("utf-8", "backslashreplace")
    if not isinstance(value, str):
        try:
            value = as_text(value)
        except BadValue:
            value = repr(value)
    text: str = value[:RAW]
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")[:RAW]


# ------------------------------------------------------------------------------------------------------------ Arrow columns
class _Lists:
    """A list column, filled row by row as flat lists of its two fields."""

    def __init__(self, dtype: pa.DataType, second: pa.DataType) -> None:
        self.dtype, self.second = dtype, second
        self.offsets, self.left, self.right = [0], list[str](), list[Any]()

    def add(self, pairs: Sequence[tuple[str, Any]]) -> None:
        for left, right in pairs:
            self.left.append(left)
            self.right.append(right)
        self.offsets.append(len(self.left))

    def array(self) -> pa.Array:
        inner = self.dtype.value_type
        struct = pa.StructArray.from_arrays(
            [pa.array(self.left, pa.string()), pa.array(self.right, self.second)],
            fields=[inner.field(0), inner.field(1)],
        )
        return pa.ListArray.from_arrays(pa.array(self.offsets, pa.int32()), struct, type=self.dtype)


class _Plain:
    def __init__(self, dtype: pa.DataType) -> None:
        self.dtype, self.values = dtype, list[Any]()

    def add(self, value: Any) -> None:
        self.values.append(value)

    def array(self) -> pa.Array:
        return pa.array(self.values, self.dtype)


def _column(dtype: pa.DataType) -> _Lists | _Plain:
    if dtype == MESSAGES:
        assert dtype.value_type == MESSAGE
        return _Lists(dtype, pa.string())
    if dtype == SCORES:
        return _Lists(dtype, pa.float64())
    return _Lists(dtype, pa.string()) if dtype == ATTRIBUTES else _Plain(dtype)


@dataclass(frozen=True)
class Spec:
    """All that turns the columns of a source into its rows."""

    form: Form
    language: str
    source_language: str
    license: str
    group: str
    """Name space of group ids."""
    key: str | None = None
    id: str | None = None
    scores: Mapping[str, str] | None = None
    attributes: Mapping[str, str] | None = None
    empty: frozenset[str] = frozenset()
    nfc: bool = True
    strip: bool = True
    only: Mapping[str, frozenset[str]] | None = None
    limit: int | None = None


class Mapper:
    """Makes rows of one unit.

    Args:
        lines: whether places in the unit are lines (from 1) or rows (from 0).
    """

    def __init__(self, spec: Spec, name: str, unit: Unit, *, lines: bool) -> None:
        self.spec, self.name, self.unit, self.lines = spec, name, unit, lines
        form = spec.form
        columns = {target: parse(text) for target, text in form.columns.items()}
        attributes = {key: parse(text) for key, text in (spec.attributes or {}).items()}
        for text in form.attributes:
            attributes.setdefault(text.removesuffix("?"), parse(text))
        scores = {key: parse(text) for key, text in (spec.scores or {}).items()}
        single = {key: parse(text) for key, text in (("key", spec.key), ("id", spec.id)) if text is not None}
        single |= {
            key: parse(text) for key, text in (("language", spec.language), ("license", spec.license)) if "{" in text
        }
        spoken = form.source_language or spec.source_language
        if form.kind is Kind.PARALLEL:
            if "source_language" in columns:
                single["source_language"] = columns.pop("source_language")
            elif "{" in spoken:
                single["source_language"] = parse(spoken)
        only = {key: parse(key if "{" in key else f"{{{key}}}") for key in spec.only or {}}
        self.templates = [*columns.values(), *attributes.values(), *scores.values(), *single.values(), *only.values()]
        self.pseudo = {column.name for template in self.templates for column in template.columns} & set(PSEUDO)

        carried = {column.root for template in attributes.values() for column in template.columns}
        messages = {column.root for template in columns.values() for column in template.columns}
        clean = cleaner(nfc=spec.nfc, strip=spec.strip)
        self.key_clean = cleaner(nfc=True, strip=True)
        reader = Reader(clean, skip_parts=bool(carried & messages))
        self.clean = clean
        self.get: dict[str, Get] = {key: template.getter(spec.empty) for key, template in single.items()}
        self.scores = [(key, template.getter(spec.empty)) for key, template in scores.items()]
        self.attributes = [(key, template.getter(spec.empty)) for key, template in attributes.items()]
        self.only = [(only[key].getter(), allowed) for key, allowed in (spec.only or {}).items()]

        if "source_language" in self.get:
            of = self.get["source_language"]
            self.payload = Payloads(columns, reader, spec.empty).build(form.kind, lambda row: language_of(of(row)))
        else:
            self.payload = Payloads(columns, reader, spec.empty).build(form.kind, lambda row: spoken)

    # ------------------------------------------------------------------------------------------------------------ batches
    def run(self, records: Iterator[Record | BadRow]) -> Iterator[NewRows]:
        """The rows of a unit in batches of at most 2,000 rows or 16 MiB of text.

        Raises:
            SourceError: a column that a template names is in none of the first rows.
        """
        rows: list[tuple[int, dict[str, Any]]] = []
        bad: list[BadRow] = []
        unchecked: list[dict[str, Any]] | None = []
        size, looked, chosen, limit = 0, 0, 0, self.spec.limit
        index, last = -1, -1
        for record in records:
            if isinstance(record, BadRow):
                bad.append(record)
                chosen += 1
                index += 1
            else:
                place, row, weight = record
                if place != last:  # two directions of one pair are at one place
                    index, last = index + 1, place
                if self.pseudo:
                    row.update({ROW: index, LINE: place if self.lines else None, UNIT: self.unit.name})
                if unchecked is not None:
                    unchecked.append(row)
                    looked += weight
                    if len(unchecked) >= BATCH_ROWS or looked >= BATCH_BYTES:
                        self._check(unchecked)
                        unchecked = None
                if not self.only or self._chosen(row):
                    rows.append((place, row))
                    size += weight
                    chosen += 1
            full = limit is not None and chosen >= limit
            if full or len(rows) + len(bad) >= BATCH_ROWS or size >= BATCH_BYTES:
                self._check(unchecked)
                unchecked = None
                yield self.make(rows, bad)
                rows, bad, size = [], [], 0
            if full:
                break
        self._check(unchecked)
        if rows or bad:
            yield self.make(rows, bad)

    def _check(self, rows: list[dict[str, Any]] | None) -> None:
        """Stops if a column that a template names is in none of the first rows."""
        if rows:
            problem = check_columns(self.templates, rows, self.unit.name)
            if problem:
                raise SourceError(problem)

    def _chosen(self, row: Row) -> bool:
        for get, allowed in self.only:
            value = get(row)
            if (as_key(value) if value is not MISSING else "") not in allowed:
                return False
        return True

    def make(self, rows: Iterable[tuple[int, dict[str, Any]]], bad: Sequence[BadRow]) -> NewRows:
        """Rows without ids, and those that could not be made."""
        spec, form = self.spec, self.spec.form
        failed = list(bad)
        kinds = payload(form.kind)
        columns = {name: _column(dtype) for name, dtype in kinds.items()}
        fills = [column.add for column in columns.values()]
        scores, attributes = _Lists(SCORES, pa.float64()), _Lists(ATTRIBUTES, pa.string())
        languages, licenses, groups, ids = list[str](), list[str](), list[str](), list[str]()
        language, license_, key, name = (self.get.get(part) for part in ("language", "license", "key", "id"))
        prefix = f"{self.unit.name}{':' if self.lines else '#'}"
        for place, row in rows:
            try:
                made = self.payload(row)
                spoken = language_of(language(row)) if language is not None else spec.language
                licence = self._license(license_(row)) if license_ is not None else spec.license
                joined = self._text(key(row), "key") if key is not None else ""
                called = self._text(name(row), "id") if name is not None else ""
                rated = [
                    (score, number) for score, get in self.scores if (number := number_of(get(row), score)) is not None
                ]
                noted = [(what, text) for what, get in self.attributes if (text := self._note(get(row), what))]
            except BadValue as error:
                where = f"{'line' if self.lines else 'row'} {place}"
                shown = {column: value for column, value in row.items() if column not in PSEUDO}
                failed.append(BadRow(where, raw_text(str(error)), raw_text(shown)))
                continue
            for fill, value in zip(fills, made, strict=True):
                fill(value)
            languages.append(spoken)
            licenses.append(licence)
            groups.append(f"{spec.group}:{joined}" if joined else "")
            ids.append(called or f"{prefix}{place}")
            scores.add(rated)
            attributes.add(noted)
        return NewRows(self._table(columns, languages, groups, ids, licenses, scores, attributes), tuple(failed))

    def _table(self, columns: Mapping[str, _Lists | _Plain], languages: list[str], groups: list[str], ids: list[str],
               licenses: list[str], scores: _Lists, attributes: _Lists) -> pa.Table:  # fmt: skip
        target = schema(self.spec.form.kind)
        count = len(ids)
        lineage = target.field("lineage").type
        nothing = pa.array([0] * (count + 1), pa.int32())
        parents_type = lineage.field("parents").type
        parents = pa.ListArray.from_arrays(nothing, pa.array([], pa.string()), type=parents_type)
        makers = pa.ListArray.from_arrays(nothing, pa.array([], MAKERS.value_type), type=MAKERS)
        origin = pa.StructArray.from_arrays(
            [
                pa.repeat(pa.scalar(self.name, pa.string()), count),
                pa.array(ids, pa.string()),
                pa.array(licenses, pa.string()),
                parents,
                makers,
            ],
            fields=list(lineage),
        )
        arrays = {name: column.array() for name, column in columns.items()}
        arrays |= {"language": pa.array(languages, pa.string()), "group_id": pa.array(groups, pa.string()),
                   "scores": scores.array(), "attributes": attributes.array(), "lineage": origin}  # fmt: skip
        fields = [field for field in target if field.name != "id"]
        return pa.Table.from_arrays([arrays[field.name] for field in fields], schema=pa.schema(fields))

    def _text(self, value: Any, what: str) -> str:
        if value is None or value is MISSING:
            return ""
        try:
            return self.key_clean(as_key(value))
        except BadValue as error:
            raise BadValue(f"{what} has {error}") from None

    def _license(self, value: Any) -> str:
        text = self._text(value, "license")
        if not text:
            raise BadValue("the row has no licence; 'unknown' is a value, nothing is not")
        return text

    def _note(self, value: Any, what: str) -> str:
        if value is None or value is MISSING:
            return ""
        try:
            return self.clean(as_text(value))
        except BadValue as error:
            raise BadValue(f"attribute '{what}' has {error}") from None
