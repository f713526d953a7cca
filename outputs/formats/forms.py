"""Base class of the outputs: rows are rendered one by one, or skipped with a reason; everything else goes into
``meta``.

Shared by all outputs: files, ``meta``, system messages, the record of skipped rows, the README.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
from pydantic import PositiveInt, PrivateAttr

from curate.catalog.suggestions import nearest
from curate.errors import ExportError
from curate.rows import Kind, message_columns, narrow, payload, present
from curate.rows.kinds import ROW_EXTRAS
from curate.steps import Rows
from curate.steps.outputs import Output, Version, Written
from outputs.formats.files import Compression, Format, SplitFiles, digest_of, relative
from outputs.formats.readme import UsageGuide, write_readme
from outputs.formats.structure import LEFT_OUT, NOTED, declared, is_json, parts_of, table_of, without
from outputs.formats.turns import System, Turn, UnsupportedRow, with_system

MetaField = Literal[
    "id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"
]
DATA = "data"
BESIDE = "rows"
SPLIT, INDEX = "_split", "_index"
"""What :meth:`ExportFormat.render` receives in addition to the row: its split, and its place among the rows written there."""  # noqa: E501
_BATCH = 4_096
_STRING = pa.string()
_META: Mapping[str, pa.DataType] = dict.fromkeys(
    ("id", "language", "prompt_language", "group_id", "source", "source_id", "license", "version"), _STRING
) | {"parents": pa.list_(pa.field("element", _STRING, nullable=False))}
_SCORES = pa.list_(pa.struct([("name", _STRING), ("value", pa.float64())]))
_ATTRIBUTES = pa.list_(pa.struct([("name", _STRING), ("value", _STRING)]))
_LABELS = frozenset({"prompt_language"})
"""Optional parts that are about a row, as ``language`` is: they go into ``meta``."""
_CHATS = (Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED, Kind.PROMPT)


class ExportFormat(Output):
    """Base class of all outputs."""

    formats: ClassVar[tuple[Format, ...]] = ("parquet", "jsonl", "json")
    """The file formats that the reader supports."""
    packed_json: ClassVar[bool] = True
    """Whether it reads gzipped JSON."""
    reader: ClassVar[str] = ""
    """Its display name."""

    format: Format = "parquet"
    """Parquet has types; for ``jsonl`` (a row a line) and ``json`` (one array) readers guess them."""
    compression: Compression | None = None
    """Default: ``zstd`` for Parquet and ``none`` for JSON. JSON may be ``gzip`` if the reader supports it."""
    rows_per_file: PositiveInt | None = 250_000
    """Maximum rows of a file; null: each split is one file."""
    meta: tuple[MetaField, ...] = ("id", "language", "source", "source_id", "license", "version")
    """The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no such column."""
    meta_in: Literal["column", "file"] = "column"
    """``column``: ``meta`` in each row. ``file``: in ``rows/<split>.jsonl``, line by line as the data, for readers that
    reject unknown columns."""
    scores: tuple[str, ...] = ()
    """Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any suffix."""
    attributes: tuple[str, ...] = ()
    """Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix."""
    system: System = "keep"
    """System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that follows (for models
    whose template does not support them)."""
    add_system: str | None = None
    """A system message for conversations without one. Default: none."""
    _extras: frozenset[str] = PrivateAttr(default=frozenset())
    _dropped: dict[str, int] = PrivateAttr(default_factory=dict)
    _features: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    # ------------------------------------------------------------------------------------------------ what a form says
    @abstractmethod
    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        """The columns, besides ``meta``, for rows of this kind."""

    @abstractmethod
    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        """A row in the reader's format. ``row`` has the payload's columns (with system messages processed) and those of
        :meth:`needs`.

        Raises:
            UnsupportedRow: the reader would skip or misread it.
        """

    def needs(self, kind: Kind) -> tuple[str, ...]:
        """Columns besides the payload that :meth:`render` uses."""
        return ()

    def keeps(self, kind: Kind) -> frozenset[str]:
        """The optional parts of conversations (tool calls, tools, reasoning, weights, media …) that :meth:`render`
        writes. Rows with other parts are left out."""
        return frozenset()

    def drops(self, kind: Kind) -> frozenset[str]:
        """The optional parts that are not written, which a note tells; the rows are."""
        return frozenset({"name", "tool_call_id"}) - self.keeps(kind)

    def trained(self, kind: Kind, row: Mapping[str, Any]) -> list[Turn]:
        """The messages that the reader trains on if they are the assistant's; those of weight 0 must not be among
        them. By default all of a conversation, and the answers to a prompt."""
        columns = [name for name in message_columns(kind) if name != "prompt"]
        return [turn for name in columns for turn in row[name]]

    def has(self, *parts: str) -> bool:
        """Whether the version has rows with one of these optional parts."""
        return not self._extras.isdisjoint(parts)

    @property
    def features(self) -> list[dict[str, Any]]:
        """The columns as ``datasets`` must be told them to read the files, if it must be."""
        return self._features

    @abstractmethod
    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        """Writes the reader's configuration; returns usage instructions."""

    def begin(self) -> None:
        """Called before the first row.

        Raises:
            ExportError: something required is missing.
        """

    # -------------------------------------------------------------------------------------------------------- for all
    def check(self, kind: Kind) -> list[str]:
        problems = []
        if kind is Kind.PARALLEL and kind not in self.kinds:
            problems.append(
                "parallel rows are sentence pairs, not conversations: read them as conversations in the source "
                "(kind: sft, columns: {prompt: …, response: …}), or write them with the output 'parquet'"
            )
        if self.format not in self.formats:
            problems.append(f"format: {self.reader} reads {' or '.join(self.formats)}, not {self.format}")
        allowed = ("none", *(("gzip",) if self.packed_json else ()))
        if self.format != "parquet" and self.compression not in (None, *allowed):
            problems.append(
                f"compression: {self.format} for {self.reader} is {' or '.join(allowed)}, not {self.compression}"
            )
        if kind not in _CHATS and (self.system != "keep" or self.add_system is not None):
            problems.append(f"system, add_system: {kind} rows have no messages")
        return problems

    def write(self, version: Version, folder: Path) -> Written:
        """Writes the data below ``data/``, the reader's configuration and ``README.md``.

        Raises:
            ExportError: no row can be written.
        """
        self._extras, self._dropped = frozenset(version.extras) - _LABELS, {}
        self.begin()
        written = Written()
        seen: dict[str, set[str]] = {"scores": set(), "attributes": set()}
        self.write_data(version, folder, written, seen)
        if not any(written.rows.values()):
            raise ExportError(f"{version.name}: no rows to write{_why(written)}")
        self._tell_missing(seen, written)
        self._tell_dropped(written)
        written.digest = digest_of(written.files, folder)
        guide = self.configure(version, folder, written)
        written.files += relative(write_readme(self, version, folder, written, guide), folder)
        return written

    def write_data(self, version: Version, folder: Path, written: Written, seen: dict[str, set[str]]) -> None:
        """Writes the rows, and notes files, numbers of rows, and the names of scores and attributes."""
        schema = self._schema(version.kind)
        column = self.meta_in == "column" or "meta" not in schema.names
        data = schema if column else schema.remove(schema.get_field_index("meta"))
        objects = self.format != "parquet" and any(is_json(field.type) for field in data)
        self._features = declared(data) if objects else []
        for split in version.splits:
            files = SplitFiles(folder / DATA, split, data, self.format, self.compression, self.rows_per_file)
            beside = SplitFiles(folder / BESIDE, split, schema, "jsonl", "none", None)
            try:
                for table in self._tables(version, split, schema, written, seen):
                    files.write(table.select(data.names))
                    if data is not schema:
                        beside.write(_flat(table["meta"]))
            except BaseException:
                files.abandon()
                beside.abandon()
                raise
            written.files += relative([*files.close(), *beside.close()], folder)
            written.rows[split] = files.rows
            self._tell(split, files, version, written)

    def spread(self, split: str, written: Written) -> list[str]:
        """The files of a split, relative to the export's folder, in order."""
        return [name for name in written.files if re.fullmatch(rf"{DATA}/{re.escape(split)}(?:/\d+)?\.[a-z.]+", name)]

    def place(self, split: str, written: Written) -> str:
        """The file of a split, or the folder of its files."""
        files = self.spread(split, written)
        return files[0] if len(files) == 1 else f"{DATA}/{split}"

    def train_and_test(self, version: Version, written: Written) -> tuple[str, str | None]:
        """The split to train on and the one to test on, if any: ``train`` and ``validation`` or ``test`` by name, else
        the first two with rows."""
        full = [split for split in version.splits if written.rows[split]]
        train = "train" if "train" in full else full[0]
        others = [split for split in full if split != train]
        named = [split for split in ("validation", "valid", "dev", "eval", "test") if split in others]
        return train, next(iter([*named, *others]), None)

    def _schema(self, kind: Kind) -> pa.Schema:
        columns = self.columns(kind)
        fields = [pa.field(name, dtype, nullable=name in ROW_EXTRAS) for name, dtype in columns.items()]
        meta = [pa.field(name, _META[name], nullable=False) for name in self.meta]
        meta += [pa.field("scores", _SCORES, nullable=False)] if self.scores else []
        meta += [pa.field("attributes", _ATTRIBUTES, nullable=False)] if self.attributes else []
        return pa.schema([*fields, *([pa.field("meta", pa.struct(meta), nullable=False)] if meta else [])])

    def _tables(
        self, version: Version, split: str, schema: pa.Schema, written: Written, seen: dict[str, set[str]]
    ) -> Iterator[pa.Table]:
        kind = version.kind
        names = [*(name for name in payload(kind) if name not in _LABELS), *self.needs(kind)]
        plain = pa.schema([field for field in schema if field.name != "meta"])
        index = 0
        for rows in version.rows(split, _BATCH):
            ids = rows.table["id"].to_pylist()
            rendered: list[dict[str, Any]] = []
            kept: list[int] = []
            given = narrow(rows.table.select(names), version.extras)
            read = given.to_pylist()
            # What the reader gets is compared with what was read, whatever a format does to its rows.
            for place, row in enumerate(map(present if self._extras else _copy, read)):
                row |= {SPLIT: split, INDEX: index + len(kept)}
                try:
                    row, dropped = self._held(kind, row) if self._extras else (row, ())
                    rendered.append(self.render(kind, self._treated(kind, row)))
                    kept.append(place)
                    for part in dropped:
                        self._dropped[part] = self._dropped.get(part, 0) + 1
                except UnsupportedRow as misread:
                    written.skip(str(misread), ids[place])
            table = _unchanged(rendered, read, kept, given, plain) or table_of(rendered, plain)
            if "meta" in schema.names:
                part = rows.table if len(kept) == len(rows) else rows.table.take(pa.array(kept, pa.int64()))
                meta = self._meta(Rows(kind, part), version, schema.field("meta").type, seen)
                table = table.append_column(schema.field("meta"), meta)
            index += len(kept)
            yield table

    def _held(self, kind: Kind, row: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """The row without the parts that the reader does not get, and those that a note must tell.

        Raises:
            UnsupportedRow: it has a part that the reader has no place for.
        """
        columns = message_columns(kind)
        lost = parts_of(row, columns) - self.keeps(kind)
        dropped = lost & self.drops(kind)
        for part in LEFT_OUT:
            if part in lost - dropped and (
                part != "weight" or any(turn.get("weight") == 0 for turn in self.trained(kind, row))
            ):
                raise UnsupportedRow(LEFT_OUT[part])
        return without(row, lost, columns) if lost else row, dropped

    def _treated(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        column = "messages" if kind is Kind.SFT else "prompt"
        if kind in _CHATS and (self.system != "keep" or self.add_system is not None):
            row[column] = with_system(row[column], self.system, self.add_system)
        return row

    def _meta(self, rows: Rows, version: Version, dtype: pa.StructType, seen: dict[str, set[str]]) -> pa.Array:
        table = rows.table.combine_chunks()
        lineage = _one(table["lineage"])
        arrays: list[pa.Array] = []
        for field in dtype:
            name = field.name
            if name in ("id", "language", "group_id"):
                arrays.append(_one(table[name]))
            elif name == "prompt_language":
                arrays.append(pa.array(rows.prompt_language.to_list(), _STRING))
            elif name == "version":
                arrays.append(pa.array([f"{version.name}@{version.version}"] * len(rows), _STRING))
            elif name in ("scores", "attributes"):
                arrays.append(_named(table, name, getattr(self, name), seen[name], field.type))
            else:
                arrays.append(pa.array(lineage.field(name).to_pylist(), field.type))
        return pa.StructArray.from_arrays(arrays, fields=list(dtype))

    def _tell(self, split: str, files: SplitFiles, version: Version, written: Written) -> None:
        if not files.rows:
            written.notes.append(f"the split '{split}' has no rows, so it has no file")
        dates = sorted(name for name, so in files.dates.items() if so and not name.startswith("meta."))
        if dates:
            written.notes.append(
                f"{split}: every text of {', '.join(dates)} looks like a date, and readers that infer types "
                "(such as datasets) will convert it; use format: parquet"
            )

    def _tell_missing(self, seen: Mapping[str, set[str]], written: Written) -> None:
        for what in ("scores", "attributes"):
            names = seen[what]
            for name in getattr(self, what):
                if not any(_fits(other, name) for other in names):
                    written.notes.append(f"{what}: no row has '{name}'{nearest(name, sorted(names))}")

    def _tell_dropped(self, written: Written) -> None:
        for part, count in sorted(self._dropped.items()):
            written.notes.append(f"{count:,} rows are without their {NOTED[part]}: {self.reader} has no place for them")


def _why(written: Written) -> str:
    if not written.skipped:
        return ": the version is empty"
    reasons = (f"{reason} ({count:,}, e.g. {written.examples[reason][0]})" for reason, count in written.skipped.items())
    return f"; {sum(written.skipped.values()):,} were skipped: " + "; ".join(reasons)


def _copy(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without optional parts, and its messages, as objects of their own."""
    return {
        name: [dict(one) if isinstance(one, dict) else one for one in value] if isinstance(value, list) else value
        for name, value in row.items()
    }


def _unchanged(
    rendered: Sequence[Mapping[str, Any]],
    read: Sequence[Mapping[str, Any]],
    kept: Sequence[int],
    given: pa.Table,
    schema: pa.Schema,
) -> pa.Table | None:
    """The rows as they were read, if no column of them was changed: they need not be made of Python objects again."""
    if not all(
        field.name in given.schema.names and field.type == given.schema.field(field.name).type for field in schema
    ):
        return None
    if any(
        made[name] != read[place][name] for place, made in zip(kept, rendered, strict=True) for name in schema.names
    ):
        return None
    some = given.select(schema.names)
    return (some if len(kept) == len(read) else some.take(pa.array(kept, pa.int64()))).cast(schema)


def _one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def _flat(column: pa.ChunkedArray) -> pa.Table:
    """A struct column as a table."""
    return pa.Table.from_struct_array(column)


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _named(table: pa.Table, column: str, patterns: Sequence[str], seen: set[str], dtype: pa.DataType) -> pa.Array:
    """The selected scores or attributes of each row; the names of all are added to ``seen``."""
    values = pl.from_arrow(table.select([column])).get_column(column)  # type: ignore[union-attr]
    seen.update(values.explode().drop_nulls().struct.field("name").unique().to_list() if values.len() else [])
    selected = [name for name in sorted(seen) if any(_fits(name, pattern) for pattern in patterns)]
    element = pl.element()
    kept = values.list.eval(element.filter(element.struct.field("name").is_in(selected)))
    return pa.array(kept.to_list(), dtype)


def unfit(name: str, value: str | None, kind: Kind, fits: Mapping[Kind, Sequence[str]]) -> list[str]:
    """The problem if a parameter selects a use that rows of this kind do not support."""
    known = fits.get(kind, ())
    if value is None or value in known:
        return []
    return [f"{name}: {kind} rows support {' or '.join(known) or 'none'}, not {value}"]


def score_of(row: Mapping[str, Any], name: str) -> float | None:
    """The value of a row's score; None if it has none."""
    return next((float(score["value"]) for score in row["scores"] if score["name"] == name), None)


def attribute_of(row: Mapping[str, Any], name: str) -> str | None:
    """The value of a row's attribute; None if it has none."""
    return next((str(one["value"]) for one in row["attributes"] if one["name"] == name), None)


def conversation(row: Mapping[str, Any]) -> list[Turn]:
    """The messages of an SFT row."""
    return list(row["messages"])
