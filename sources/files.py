"""File sources: JSON Lines, JSON arrays, CSV, TSV and Parquet, plain or compressed; each file is one unit."""

from __future__ import annotations

import codecs
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, BinaryIO, ClassVar, Literal, cast

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from curate.catalog.params import Runtime
from curate.files import regular
from curate.steps import Context, FailedRow, SourceError, Unit
from sources.arrays import json_array
from sources.arrow import batch_records, decoders_of, features_of, lacks
from sources.base import Tabular
from sources.delimited import Dialect, delimited, header_of
from sources.members import opened, size
from sources.paths import resolve, units
from sources.reading import Progress, guarded, json_lines, open_bytes
from sources.records import BATCH_BYTES, BATCH_ROWS, Need, Record
from sources.templates import Row


def known_encoding(name: str) -> str:
    """Python's name of a text encoding.

    Raises:
        PydanticCustomError: the encoding is unknown.
    """
    try:
        info = codecs.lookup(name)
        if "a".encode(info.name) and not getattr(info, "_is_text_encoding", True):
            raise LookupError
    except (LookupError, TypeError):
        message = f"'{name}' is not a text encoding; known are utf-8, utf-16, latin-1, cp1252, gb18030, shift_jis, …"
        raise PydanticCustomError("encoding", "{message}", {"message": message}) from None
    return info.name


Encoding = Annotated[str, AfterValidator(known_encoding), Field(examples=["cp1252", "gb18030", "utf-16"])]


class Files(Tabular):
    """A source of files."""

    path: Runtime[str | list[str]]
    """A file, a folder (its files with a matching suffix at any depth), a pattern such as ``data/*.jsonl.gz``, a URL
    (``s3://``, ``hf://``, ``https://`` …; also of a folder or a pattern, where its files can be listed), an archive
    (``data.zip``, ``data.tar.gz``) or members of it (``data.zip/train/*.jsonl``), or a list."""

    suffixes: ClassVar[tuple[str, ...]]

    def units(self) -> Sequence[Unit]:
        return units(resolve(self.path, self.suffixes))

    @abstractmethod
    def records(
        self, unit: Unit, columns: Mapping[str, Need] | None, context: Context | None
    ) -> Iterator[Record | FailedRow]: ...


class TextFiles(Files):
    """A source of text files."""

    encoding: Encoding | None = None
    """Encoding of files without a byte order mark. Default: UTF-8."""


class JsonLines(TextFiles):
    """JSON Lines: one object a line; blank lines are skipped."""

    tag: ClassVar[str] = "jsonl"
    summary: ClassVar[str] = "rows from JSON Lines files (.jsonl, .ndjson; also .gz, .zst, .bz2, .xz)"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".jsonlines")
    lines: ClassVar[bool] = True

    def records(
        self, unit: Unit, columns: Mapping[str, Need] | None, context: Context | None
    ) -> Iterator[Record | FailedRow]:
        exact = None if columns is None else {name for name, need in columns.items() if need.digits}
        return json_lines(unit.files[0], unit.name, self.encoding, self.max_row_bytes, exact)

    def hint(self, rows: Sequence[Row]) -> str:
        values = list(rows[0].values()) if len(rows) == 1 else []
        if len(values) > 1 and all(isinstance(value, dict) for value in values):
            return ". It is one object of objects: if each is a row, set 'use: json' and \"rows: '*'\""
        return ""


class JsonArray(TextFiles):
    """A JSON array of objects, at the top level or inside an object; read element by element."""

    tag: ClassVar[str] = "json"
    summary: ClassVar[str] = "rows from JSON files that are, or hold, one array (.json; also .gz, .zst, .bz2, .xz)"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    rows: Annotated[str, Field(min_length=1)] | None = None
    """The path of the array, if it is not at the top level: ``data``, ``results.items``, or ``data[].paragraphs`` for
    the arrays inside the elements of another. ``*`` makes every value of an object a row; its key is the column
    ``@key``."""

    def records(
        self, unit: Unit, columns: Mapping[str, Need] | None, context: Context | None
    ) -> Iterator[Record | FailedRow]:
        return json_array(unit.files[0], unit.name, self.encoding, self.rows, self.max_row_bytes)


Character = Annotated[str, Field(min_length=1, max_length=1)]


class Delimited(TextFiles):
    """Delimited text."""

    lines: ClassVar[bool] = True

    header: bool | list[Annotated[str, Field(min_length=1)]] = True
    """Whether the first line has the column names; a list gives the names of a file without such a line. Without names
    the columns are called 0, 1, 2 …"""
    quote: Character = '"'
    """The quote character around cells with the delimiter or line breaks; doubled inside."""
    skip: Annotated[int, Field(ge=0)] = 0
    """Lines to skip at the beginning."""

    @abstractmethod
    def dialect(self) -> Dialect:
        """How the files are written."""

    def records(
        self, unit: Unit, columns: Mapping[str, Need] | None, context: Context | None
    ) -> Iterator[Record | FailedRow]:
        return delimited(unit.files[0], unit.name, self.encoding, self.dialect(), self.max_row_bytes)

    def column_names(self, unit: Unit) -> Sequence[str]:
        return header_of(unit.files[0], unit.name, self.encoding, self.dialect(), self.max_row_bytes)

    def hint(self, rows: Sequence[Row]) -> str:
        names = list(rows[0]) if rows and self.header is True else []
        if any(name.startswith("column_") for name in names):
            return ". If other lines precede the header, set 'skip: …'"
        if any(len(name) > 60 or name.isdigit() for name in names):
            return ". If the first line is a row and no header, give 'header: [names]'"
        return ""

    def _dialect(self, delimiter: str, quoting: str, *, fixed: bool = False) -> Dialect:
        header = tuple(self.header) if isinstance(self.header, list) else self.header
        return Dialect(delimiter, self.quote if quoting == "standard" else None, header, self.skip, fixed)


class Csv(Delimited):
    """Comma-separated values."""

    tag: ClassVar[str] = "csv"
    summary: ClassVar[str] = "rows from CSV files (.csv; also .gz, .zst, .bz2, .xz)"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)

    delimiter: Character = ","
    """The character between cells."""
    quoting: Literal["standard", "none"] = "standard"
    """``standard``: quoted cells may hold delimiters and line ends; ``none``: a quote is text and each line is a
    row."""

    @model_validator(mode="after")
    def _distinct(self) -> Csv:
        if self.delimiter == self.quote and self.quoting == "standard":
            raise PydanticCustomError("dialect", "'delimiter' and 'quote' are the same character")
        return self

    def dialect(self) -> Dialect:
        return self._dialect(self.delimiter, self.quoting)


class Tsv(Delimited):
    """Tab-separated values; unless told otherwise, a quote is text like any other."""

    tag: ClassVar[str] = "tsv"
    summary: ClassVar[str] = "rows from TSV files (.tsv, .tab; also .gz, .zst, .bz2, .xz)"
    suffixes: ClassVar[tuple[str, ...]] = (".tsv", ".tab")

    quoting: Literal["standard", "none"] = "none"
    """``none``: a quote is text and each line is a row; ``standard``: as in CSV (what spreadsheets write)."""

    def dialect(self) -> Dialect:
        return self._dialect("\t", self.quoting, fixed=True)


class Parquet(Files):
    """Parquet files; only the needed columns are converted."""

    tag: ClassVar[str] = "parquet"
    summary: ClassVar[str] = "rows from Parquet files"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")
    padded: ClassVar[bool] = True

    def records(
        self, unit: Unit, columns: Mapping[str, Need] | None, context: Context | None
    ) -> Iterator[Record | FailedRow]:
        progress = Progress(unit.name, word="row")
        with guarded(progress), _opened(unit) as file:
            names = file.schema_arrow.names
            if twice := {name for name in names if names.count(name) > 1}:
                raise SourceError(f"{unit.name} has more than one column called {', '.join(sorted(twice))}")
            whole = lacks(columns, names)
            about: Any = file.metadata
            heaviest = max(
                (
                    about.row_group(i).total_byte_size / max(1, about.row_group(i).num_rows)
                    for i in range(about.num_row_groups)
                ),
                default=1.0,
            )
            rows = int(max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, int(heaviest)))))
            decoders = decoders_of(features_of(file.schema_arrow))
            for batch in file.iter_batches(rows):
                yield from batch_records(batch, progress.at, None if whole else columns, decoders, self.max_row_bytes)
                progress.at += batch.num_rows
                whole = False

    def column_names(self, unit: Unit) -> Sequence[str]:
        with guarded(Progress(unit.name)), _opened(unit) as file:
            names: list[str] = file.schema_arrow.names
            return names


def _opened(unit: Unit) -> Any:
    """Opens a Parquet file.

    Raises:
        SourceError: it is not a Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = unit.files[0]
    if (member := opened(path)) is not None:
        with guarded(Progress(unit.name)), member:
            # Its end must be read first.
            return pq.ParquetFile(pa.PythonFile(_spooled(member, size(path), unit.name), "r"))
    try:
        return pq.ParquetFile(regular(path))
    except pa.ArrowInvalid as error:
        open_bytes(path).close()  # says so if it is an archive
        raise SourceError(f"{unit.name} is not a Parquet file, or is truncated ({error})") from error


def _spooled(member: BinaryIO, length: int, name: str) -> BinaryIO:
    """A temporary file, without a name, of a member of an archive."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if length > free:
        raise SourceError(f"{name} has {length:,} bytes, but {tempfile.gettempdir()} only {free:,}; unpack the archive")
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the reader of Parquet closes it
    shutil.copyfileobj(member, file, 1 << 20)
    file.seek(0)
    return cast(BinaryIO, file)
