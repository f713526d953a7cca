"""Maps the columns of a file to rows of a kind: one compiled mapping that fills Arrow columns row by row.

A row that cannot be made is a :class:`~curate.steps.FailedRow` with its position and reason; the other rows continue.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate.errors import described
from curate.rows import Kind, schema
from curate.rows.kinds import MAKERS, MEDIA
from curate.steps import FailedRow, RowBatch, SourceError, Unit
from curate.unused import Unused
from sources.columns import column
from sources.conversations.messages import Reader
from sources.conversations.notations import given
from sources.conversations.public_sets import KEYS, NEEDED, expand
from sources.detection import DetectedSchema
from sources.payloads import Payloads, cleaner, language_of, number_of, optional_language_of
from sources.records import BATCH_BYTES, BATCH_ROWS, UNREAD, Need, Record, raw_text
from sources.templates import (
    LINE,
    MISSING,
    PSEUDO,
    ROW,
    UNIT,
    Get,
    Row,
    Template,
    check_columns,
    parse,
    printable,
)
from sources.values import BadValue, as_key, as_text, strict_text, without_nulls
from sources.written import load_text

_TALK = (Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED, Kind.PROMPT)
_TOOLS = ("tools", "functions")
_CALLS = ("tool_calls", "function_call")


@dataclass(frozen=True)
class Spec:
    """Everything needed to convert the columns of a source to rows."""

    form: DetectedSchema
    language: str
    source_language: str
    prompt_language: str | None
    license: str
    group: str
    """Namespace of group ids."""
    key: str | None = None
    id: str | None = None
    scores: Mapping[str, str] | None = None
    attributes: Mapping[str, str] | None = None
    empty: frozenset[str] = frozenset()
    nfc: bool = True
    strip: bool = True
    only: Mapping[str, frozenset[str]] | None = None
    limit: int | None = None
    roles: Mapping[str, str] | None = None
    padded: bool = False
    """Whether objects have keys that are null only because other objects of the file have them (Arrow)."""


class Mapper:
    """Makes the rows of one unit.

    Args:
        lines: whether positions in the unit are lines (from 1) or rows (from 0).
        taken: the columns of a row that are used under another name.
        hint: advice for a missing column, from the first rows.
    """

    def __init__(
        self,
        spec: Spec,
        name: str,
        unit: Unit,
        *,
        lines: bool,
        taken: Callable[[Row], Collection[str]] = lambda row: (),
        hint: Callable[[Sequence[Row]], str] = lambda rows: "",
    ) -> None:
        self.spec, self.name, self.unit, self.lines, self.taken, self.hint = spec, name, unit, lines, taken, hint
        form = spec.form
        columns = {target: parse(text) for target, text in form.columns.items()}
        beside = self._beside_conversations(columns) if form.kind in _TALK else {}
        columns = {target: template for target, template in columns.items() if target not in beside}
        attributes = {key: parse(text) for key, text in (spec.attributes or {}).items()}
        scores = {key: parse(text) for key, text in (spec.scores or {}).items()}
        key_text = spec.key if spec.key is not None else KEYS.get(form.name)
        single = {key: parse(text) for key, text in (("key", key_text), ("id", spec.id)) if text is not None}
        single |= {
            key: parse(text) for key, text in (("language", spec.language), ("license", spec.license)) if "{" in text
        }
        spoken = form.source_language or spec.source_language
        if form.kind is Kind.PARALLEL:
            if "source_language" in columns:
                single["source_language"] = columns.pop("source_language")
            elif "{" in spoken:
                single["source_language"] = parse(spoken)
        asked = spec.prompt_language
        if asked is not None and "{" in asked:
            single["prompt_language"] = parse(asked)
        only = {key: parse(key if "{" in key else f"{{{key}}}") for key in spec.only or {}}
        more = [template for templates in beside.values() for template in templates]
        self.templates = [
            *columns.values(),
            *more,
            *attributes.values(),
            *scores.values(),
            *single.values(),
            *only.values(),
        ]
        named = [column for template in self.templates for column in template.columns]
        self.pseudo = {column.name for column in named} & set(PSEUDO)
        inside = {column.root for column in named if len(column.path) > 1} - {column.name for column in named}
        self.inside = {root: {str(column.path[1]) for column in named if column.root == root} for root in inside}
        """Columns of which only some keys are used."""
        self.used = {name for column in named for name in (column.name, column.root)}
        carried = {column.root for template in attributes.values() for column in template.columns}
        messages = {column.root for template in columns.values() for column in template.columns}
        self.watched = [name for name in _CALLS if name not in self.used] if form.kind in _TALK else []
        """Columns next to a conversation without which it would be another."""
        others = [template for template in self.templates if template not in scores.values()]
        digits = {name for template in others for column in template.columns for name in (column.name, column.root)}
        required = {column.root for column in named if not column.optional}
        of_form = NEEDED.get(form.name, ())
        self.used |= set(of_form)
        names = [name for name in (*self.used, *self.watched) if not name.startswith("@") or name in PSEUDO]
        self.needed = {name: Need(name in digits, name in required or name in of_form) for name in names}
        """The columns that are needed."""

        text = _padded(strict_text) if spec.padded else strict_text
        self.text = _padded(as_text) if spec.padded else as_text
        clean = cleaner(nfc=spec.nfc, strip=spec.strip)
        self.key_clean = cleaner(nfc=True, strip=True)
        self.reader = Reader(clean, skip_parts=bool(carried & messages), roles=spec.roles, text=text)
        self.clean = clean
        self.get: dict[str, Get] = {key: template.getter(spec.empty) for key, template in single.items()}
        self.scores = [(key, template.getter(spec.empty)) for key, template in scores.items()]
        self.attributes = [(key, template.getter(spec.empty, self.text)) for key, template in attributes.items()]
        self.only = [(only[key].getter(), allowed) for key, allowed in (spec.only or {}).items()]

        payloads = Payloads(columns, self.reader, spec.empty, told=form.told, beside=beside)
        of, prompted = self.get.get("source_language"), self.get.get("prompt_language")
        self.payload = payloads.build(
            form.kind,
            (lambda row: spoken) if of is None else lambda row: language_of(of(row)),
            (lambda row: asked) if prompted is None else lambda row: optional_language_of(prompted(row)),
        )
        self._beside: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}

    def _beside_conversations(self, columns: Mapping[str, Template]) -> dict[str, list[Template]]:
        """The columns of tools and media: those that the templates name, else those of the usual names that are not
        used otherwise (an attribute may carry them along instead)."""
        carried = {column.root for text in (self.spec.attributes or {}).values() for column in parse(text).columns}
        taken = carried | {column.root for template in columns.values() for column in template.columns}
        usual = {"tools": _TOOLS, **{name: (name,) for name in MEDIA}}
        return {
            target: [columns[target]]
            if target in columns
            else [parse(f"{{{name}?}}") for name in names if name not in taken]
            for target, names in usual.items()
        }

    # ---------------------------------------------------------------------------------------------------------- batches
    def run(self, records: Iterator[Record | FailedRow], sample: Collection[int] | None = None) -> Iterator[RowBatch]:
        """The rows of a unit in batches of at most 2,000 rows or 16 MiB of text.

        Args:
            sample: the numbers of the records to take (see :meth:`draw`); None for all.

        Raises:
            SourceError: none of the first rows has a column that a template names.
        """
        rows: list[tuple[int, dict[str, Any]]] = []
        bad: list[FailedRow] = []
        unchecked: list[dict[str, Any]] | None = []
        size, looked, chosen = 0, 0, 0
        limit = self.spec.limit if sample is None else len(sample)
        for number, record, selected in self._selected(records):
            if not isinstance(record, FailedRow) and unchecked is not None:
                unchecked.append(record[1])
                looked += record[2]
                if len(unchecked) >= BATCH_ROWS or looked >= BATCH_BYTES:
                    self._check(unchecked)
                    unchecked = None
            failed = record if isinstance(record, FailedRow) else selected if isinstance(selected, FailedRow) else None
            if (failed is None and not selected) or (sample is not None and number not in sample):
                continue
            chosen += 1
            if failed is not None:
                bad.append(failed)
            elif not isinstance(record, FailedRow):
                rows.append((record[0], record[1]))
                size += record[2]
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

    def draw(self, records: Iterator[Record | FailedRow], count: int, seed: int) -> frozenset[int]:
        """The numbers of a seeded sample of the records that :meth:`run` would take, unreadable ones included.

        Those whose keyed hash of unit and number is smallest, so that records added at the end change the sample only
        where they enter it.
        """
        key = hashlib.blake2b(f"{seed}:{self.unit.name}".encode(), digest_size=32).digest()
        kept: list[tuple[int, int]] = []  # a heap, the largest hash first
        for number, _, selected in self._selected(records):
            if not selected:
                continue
            data = number.to_bytes(8, "big")
            entry = (-int.from_bytes(hashlib.blake2b(data, digest_size=8, key=key).digest(), "big"), -number)
            if len(kept) < count:
                heapq.heappush(kept, entry)
            elif entry > kept[0]:
                heapq.heapreplace(kept, entry)
        return frozenset(-number for _, number in kept)

    def _selected(
        self, records: Iterator[Record | FailedRow]
    ) -> Iterator[tuple[int, Record | FailedRow, bool | FailedRow]]:
        """Each record with its number and whether ``only`` selects it, or why that cannot be told."""
        index, last = -1, -1
        for number, record in enumerate(expand(self.spec.form.name, records)):
            if isinstance(record, FailedRow):
                index += 1
                yield number, record, True
                continue
            place, row, _ = record
            if place != last:  # two directions of one pair have the same position
                index, last = index + 1, place
            if self.pseudo:
                row.update({ROW: index, LINE: place if self.lines else None, UNIT: self.unit.name})
            selected: bool | FailedRow
            try:
                selected = not self.only or self._chosen(row)
            except BadValue as error:
                selected = FailedRow(self._where(place), f"'only' has {error}", _shown(row))
            yield number, record, selected

    def _check(self, rows: list[dict[str, Any]] | None) -> None:
        """Stops if none of the first rows has a column that a template names."""
        if rows:
            problem = check_columns(self.templates, rows, self.unit.name)
            if problem:
                raise SourceError(problem + self.hint(rows))

    def _chosen(self, row: Row) -> bool:
        for get, allowed in self.only:
            value = get(row)
            if (as_key(value) if value is not MISSING else "") not in allowed:
                return False
        return True

    def make(self, rows: Iterable[tuple[int, dict[str, Any]]], bad: Sequence[FailedRow]) -> RowBatch:
        """Rows without ids, and the rows that could not be made."""
        spec, reader = self.spec, self.reader
        failed = [FailedRow(row.where, raw_text(row.reason), row.raw) for row in bad]
        unused = Unused()
        fields = [field for field in schema(spec.form.kind) if field.name not in ("id", "lineage")]
        columns = [column(field.name, field.type) for field in fields]
        fills: list[Callable[[Any], None]] = [column.add for column in columns]
        *fills, languages, groups, scores, attributes = fills
        licenses, ids = list[str](), list[str]()
        language, license_, key, name = (self.get.get(part) for part in ("language", "license", "key", "id"))
        prefix = f"{self.unit.name}{':' if self.lines else '#'}"
        for place, row in rows:
            before = reader.messages
            try:
                extra, watched = self._extra_columns(row)
                if watched:
                    self._watch(row, watched)
                made = self.payload(row)
                spoken = language_of(language(row)) if language is not None else spec.language
                licence = self._license(license_(row)) if license_ is not None else spec.license
                joined = self._text(key(row), "key") if key is not None else ""
                called = self._text(name(row), "id") if name is not None else ""
                rated = self._scores(row) if self.scores else ()
                noted = self._attributes(row) if self.attributes else ()
            except Exception as error:  # noqa: BLE001 - any error in a row makes one bad row; the others continue
                known = isinstance(error, BadValue)
                reason = str(error) if known else f"cannot be read ({described(error)})"
                failed.append(FailedRow(self._where(place), raw_text(reason), _shown(row)))
                reader.messages = before
                reader.noted.clear()
                reader.spared.clear()
                continue
            if extra or self.inside or reader.noted or reader.spared:
                self._count(row, extra, unused)
            for fill, value in zip(fills, made, strict=True):
                fill(value)
            languages(spoken)
            groups(f"{spec.group}:{joined}" if joined else "")
            scores(rated)
            attributes(noted)
            ids.append(called or f"{prefix}{place}")
            licenses.append(licence)
        unused.rows, unused.messages, reader.messages = len(ids), reader.messages, 0
        arrays = [column.array() for column in columns]
        return RowBatch(self._table(arrays, fields, ids, licenses), tuple(failed), unused)

    def _scores(self, row: Row) -> list[tuple[str, float]]:
        return [(score, number) for score, get in self.scores if (number := number_of(get(row), score)) is not None]

    def _attributes(self, row: Row) -> list[tuple[str, str]]:
        return [(what, text) for what, get in self.attributes if (text := self._note(get(row), what))]

    def _table(self, arrays: list[pa.Array], fields: list[pa.Field], ids: list[str], licenses: list[str]) -> pa.Table:
        """Adds the lineage to the columns."""
        field = schema(self.spec.form.kind).field("lineage")
        count = len(ids)
        nothing = pa.array([0] * (count + 1), pa.int32())
        parents_type = field.type.field("parents").type
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
            fields=list(field.type),
        )
        return pa.Table.from_arrays([*arrays, origin], schema=pa.schema([*fields, field]))

    def _where(self, place: int) -> str:
        return f"{'line' if self.lines else 'row'} {place}"

    def _extra_columns(self, row: Row) -> tuple[list[str], list[str]]:
        """The unused columns of a row, and those that must be empty."""
        names = tuple(row)
        columns = self._beside.get(names)
        if columns is None:
            if len(self._beside) >= 1_000:  # every row has different columns
                self._beside.clear()
            taken = {*self.used, *self.taken(row)}
            extra = [name for name in names if name not in taken and not name.startswith("@")]
            columns = self._beside[names] = extra, [name for name in self.watched if name in row]
        return columns

    def _count(self, row: Row, extra: Iterable[str], unused: Unused) -> None:
        """Counts unused columns and message fields of a row."""
        unused_columns = [*self.reader.spared, *(name for name in extra if given(row[name]))]
        for root, keys in self.inside.items():
            value = row.get(root)
            if isinstance(value, dict):
                unused_columns += [f"{root}.{key}" for key, inner in value.items() if key not in keys and given(inner)]
        for names, counts in ((unused_columns, unused.columns), (self.reader.noted, unused.fields)):
            for name in map(printable, names):
                if name in counts or len(counts) < Unused.MOST:
                    counts[name] = counts.get(name, 0) + 1
        self.reader.noted.clear()
        self.reader.spared.clear()

    def _watch(self, row: Row, watched: Iterable[str]) -> None:
        """Refuses a row whose conversation depends on more than its text."""
        for name in watched:
            value = row.get(name)
            if given(value) and _is_described(value):
                raise BadValue(
                    f"the row has calls of tools (column '{name}'), and no message that they belong to; map them by "
                    "columns.response, or carry the column along in 'attributes' to keep the row without them"
                )

    def _text(self, value: Any, what: str) -> str:
        if value is None or value is MISSING:
            return ""
        if type(value) is int:
            return str(value)
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
            return self.clean(self.text(value))
        except BadValue as error:
            raise BadValue(f"attribute '{what}' has {error}") from None


def _padded(text: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: text(without_nulls(value))


def _shown(row: Row) -> str:
    return raw_text({name: value for name, value in row.items() if name not in PSEUDO and value is not UNREAD})


def _is_described(value: Any) -> bool:
    """Whether a value is more than names: objects, or texts that contain some."""
    if isinstance(value, str):
        try:
            value = load_text(value)
        except ValueError:
            return "{" in value
    found = value if isinstance(value, list) else [value]
    return any(isinstance(one, dict) or (isinstance(one, str) and "{" in one) for one in found)
