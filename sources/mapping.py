"""Columns of a file become rows of a kind: one compiled mapping, filled row by row into Arrow columns.

What a row cannot give is a :class:`~curate.steps.BadRow` with its place and reason; the other rows go on.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate.rows import Kind, payload, schema
from curate.rows.kinds import ATTRIBUTES, MAKERS, MESSAGE, MESSAGES, SCORES
from curate.rows.languages import InvalidLanguage, normalize
from curate.steps import BadRow, SourceError, SourceRows, Unit
from sources.detection import Form
from sources.messages import Reader, Turns, split_answer, split_pair, with_system
from sources.templates import (
    LINE,
    MISSING,
    PSEUDO,
    ROW,
    UNIT,
    BadValue,
    Get,
    Row,
    Template,
    as_key,
    as_text,
    check_columns,
    is_nan,
    parse,
)

BATCH_ROWS = 2_000
BATCH_BYTES = 16 * 1024 * 1024
RAW = 2_000
"""Characters of a bad row's raw text that are kept."""

Record = tuple[int, dict[str, Any], int]
"""Place in the unit (line from 1, or row from 0), values by column, size in bytes or characters."""
Payload = Callable[[Row], tuple[Any, ...]]

_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})


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


def cleaner(*, nfc: bool, strip: bool) -> Callable[[str], str]:
    """What is done to every text. It raises BadValue for text that Unicode does not allow, and for NUL."""

    def clean(text: str) -> str:
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                code = ord(text[error.start])
                if 0xDC80 <= code <= 0xDCFF:
                    raise BadValue(
                        f"a byte that the encoding does not allow (0x{code - 0xDC00:02x}, character {error.start})"
                    ) from None
                raise BadValue(f"half of a surrogate pair (U+{code:04X}, character {error.start})") from None
            if nfc:
                text = unicodedata.normalize("NFC", text)
        if "\0" in text:
            raise BadValue(f"a NUL character (character {text.index(chr(0))})")
        return text.strip() if strip else text

    return clean


def language_of(value: Any) -> str:
    """The canonical tag of a value."""
    if not isinstance(value, str) or not value.strip():
        raise BadValue("the row's language is empty; write 'und' where it is unknown")
    try:
        return normalize(value)
    except InvalidLanguage as error:
        raise BadValue(str(error)) from None


def label_of(value: Any) -> bool:
    """The verdict of a value: true/false, 1/0, yes/no, in any case; nothing else."""
    if isinstance(value, bool):
        return value
    text = as_key(value).lower() if value is not None and value is not MISSING else ""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise BadValue(f"label is {text!r} where true or false (or 1, 0, yes, no) was expected")


def number_of(value: Any, name: str) -> float | None:
    """The number of a score; None for null and empty."""
    if value is None or value is MISSING or is_nan(value):
        return None
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise BadValue(f"score '{name}' is {text[:40]!r} where a number was expected") from None
        if is_nan(value):
            return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("inf")
    if isinstance(value, bool) or number in (float("inf"), float("-inf")):
        raise BadValue(f"score '{name}' is {as_text(value)[:40]} where a finite number was expected")
    return number


# ----------------------------------------------------------------------------------------------------------------- payloads
class Payloads:
    """Makes the function that gives a row's payload columns, in the order of :func:`curate.rows.payload`."""

    def __init__(self, columns: Mapping[str, Template], reader: Reader, empty: frozenset[str]) -> None:
        self.get: dict[str, Get] = {target: template.getter(empty) for target, template in columns.items()}
        self.reader = reader

    def text(self, target: str) -> Callable[[Row], str]:
        get, clean = self.get[target], self.reader.clean

        def text(row: Row) -> str:
            value = get(row)
            if type(value) is not str:
                if value is MISSING:
                    raise BadValue(f"{target}: the row has no such column")
                if isinstance(value, (list, dict)):
                    raise BadValue(
                        f"{target} is {'a list' if isinstance(value, list) else 'an object'} where text was expected"
                    )
                value = as_text(value)
            try:
                return clean(value)
            except BadValue as error:
                raise BadValue(f"{target} has {error}") from None

        return text

    def optional(self, target: str) -> Callable[[Row], str]:
        if target not in self.get:
            return lambda row: ""
        get, text = self.get[target], self.text(target)
        return lambda row: "" if get(row) is MISSING else text(row)

    def turns(self, target: str, default: str | None, *, parse: bool = False) -> Callable[[Row], Turns]:
        get, read = self.get[target], self.reader.read
        clean = self.reader.clean

        def turns(row: Row) -> Turns:
            value = get(row)
            try:
                if type(value) is str and default is not None and not parse:
                    return [(default, clean(value))]
                return read(value, target, default, parse=parse)
            except BadValue as error:
                reason = str(error)
                raise BadValue(reason if reason.startswith(target) else f"{target} has {reason}") from None

        return turns

    def before(self) -> Callable[[Row], Turns]:
        """History and prompt, without the system message."""
        prompt = self.turns("prompt", "user") if "prompt" in self.get else None
        history, read = self.get.get("history"), self.reader.history

        def before(row: Row) -> Turns:
            turns = read(history(row), "history") if history is not None else []
            return turns + prompt(row) if prompt is not None else turns

        return before

    def build(self, kind: Kind, source_language: Callable[[Row], str]) -> Payload:
        """The function for one kind."""
        if kind is Kind.DOCUMENT:
            text = self.text("text")
            return lambda row: (text(row),)
        if kind is Kind.PARALLEL:
            return self._pairs(source_language)
        system, before = self.optional("system"), self.before()
        if kind is Kind.PROMPT:
            return lambda row: (with_system(before(row), system(row)),)
        if kind is Kind.SFT:
            if "messages" in self.get:
                messages = self.turns("messages", None, parse=True)
                return lambda row: (with_system(messages(row), system(row)),)
            response = self.turns("response", "assistant")
            return lambda row: (with_system(before(row) + response(row), system(row)),)
        if kind is Kind.UNPAIRED:
            return self._verdicts(system, before)
        return self._preferences(system, before)

    def _pairs(self, source_language: Callable[[Row], str]) -> Payload:
        source, target = self.text("source"), self.text("target")

        def pair(row: Row) -> tuple[str, str, str]:
            left, right = source(row), target(row)
            if not left or not right:
                raise BadValue(f"the {'target' if left else 'source'} side is empty")
            return source_language(row), left, right

        return pair

    def _verdicts(self, system: Callable[[Row], str], before: Callable[[Row], Turns]) -> Payload:
        label = self.get["label"]
        if "prompt" in self.get:
            completion = self.turns("completion", "assistant")
            return lambda row: (with_system(before(row), system(row)), completion(row), label_of(label(row)))
        whole = self.turns("completion", None, parse=True)

        def verdict(row: Row) -> tuple[Turns, Turns, bool]:
            prompt, answer = split_answer(whole(row))
            return with_system(prompt, system(row)), answer, label_of(label(row))

        return verdict

    def _preferences(self, system: Callable[[Row], str], before: Callable[[Row], Turns]) -> Payload:
        implicit = "prompt" not in self.get
        default = None if implicit else "assistant"
        chosen, rejected = (self.turns(side, default, parse=implicit) for side in ("chosen", "rejected"))

        def preference(row: Row) -> tuple[Turns, Turns, Turns]:
            better, worse = chosen(row), rejected(row)
            if implicit:
                prompt, better, worse = split_pair(better, worse)
                return with_system(prompt, system(row)), better, worse
            prompt = before(row)
            if better[0][0] != "assistant" or worse[0][0] != "assistant":
                # Full conversations beside a prompt column that only repeats their beginning.
                shared, better, worse = split_pair(better, worse)
                asked = [text for role, text in shared if role == "user"]
                if [text for role, text in prompt if role == "user"] not in (asked, asked[:1], asked[-1:]):
                    raise BadValue(
                        "chosen and rejected are conversations that begin with something else than the prompt"
                    )
                prompt = shared
            return with_system(prompt, system(row)), better, worse

        return preference


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
    def run(self, records: Iterator[Record | BadRow]) -> Iterator[SourceRows]:
        """The rows of a unit in batches of at most 2,000 rows or 16 MiB of text.

        Raises:
            SourceError: a column that a template names is in none of the first rows.
        """
        rows: list[tuple[int, dict[str, Any]]] = []
        bad: list[BadRow] = []
        unchecked: list[dict[str, Any]] | None = []
        size, looked, chosen, limit = 0, 0, 0, self.spec.limit
        for index, record in enumerate(records):
            if isinstance(record, BadRow):
                bad.append(record)
                chosen += 1
            else:
                place, row, weight = record
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

    def make(self, rows: Iterable[tuple[int, dict[str, Any]]], bad: Sequence[BadRow]) -> SourceRows:
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
        return SourceRows(self._table(columns, languages, groups, ids, licenses, scores, attributes), tuple(failed))

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
