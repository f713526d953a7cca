"""Files become rows: JSON Lines, JSON arrays, CSV, TSV and parquet, one file a unit, plain or compressed."""

from __future__ import annotations

import codecs
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from curate.catalog.params import Runtime
from curate.steps import BadRow, Context, SourceError, Unit
from sources.arrays import json_array
from sources.base import Tabular
from sources.mapping import BATCH_BYTES, BATCH_ROWS, Record
from sources.paths import find, units
from sources.reading import Dialect, Progress, delimited, guarded, json_lines


def known_encoding(name: str) -> str:
    """The name of a text encoding as Python has it.

    Raises:
        PydanticCustomError: there is none.
    """
    try:
        info = codecs.lookup(name)
        if "a".encode(info.name) and not getattr(info, "_is_text_encoding", True):
            raise LookupError
    except (LookupError, TypeError):
        message = f"'{name}' is no text encoding; known are utf-8, utf-16, latin-1, cp1252, gb18030, shift_jis, …"
        raise PydanticCustomError("encoding", "{message}", {"message": message}) from None
    return info.name


Encoding = Annotated[str, AfterValidator(known_encoding)]


class Files(Tabular):
    """A source of files."""

    path: Runtime[str | list[str]]
    """A file, a folder (its files of the right suffix at any depth), a pattern such as ``data/*.jsonl.gz``, or a list."""

    suffixes: ClassVar[tuple[str, ...]]

    def units(self) -> Sequence[Unit]:
        return units(find(self.path, self.suffixes))

    @abstractmethod
    def records(
        self, unit: Unit, columns: frozenset[str] | None, context: Context | None
    ) -> Iterator[Record | BadRow]: ...


class TextFiles(Files):
    """A source of text files."""

    encoding: Encoding | None = None
    """Encoding of files without a byte order mark; the default is UTF-8."""


class JsonLines(TextFiles):
    """JSON Lines: one object a line; blank lines are passed over."""

    tag: ClassVar[str] = "jsonl"
    summary: ClassVar[str] = "rows from JSON Lines files (.jsonl, .ndjson; also .gz, .zst, .bz2, .xz)"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".jsonlines")
    lines: ClassVar[bool] = True

    def records(self, unit: Unit, columns: frozenset[str] | None, context: Context | None) -> Iterator[Record | BadRow]:
        return json_lines(unit.files[0], unit.name, self.encoding)


class JsonArray(TextFiles):
    """A JSON array of objects, at the top or inside an object; read element by element."""

    tag: ClassVar[str] = "json"
    summary: ClassVar[str] = "rows from JSON files that are, or hold, one array (.json; also .gz, .zst, .bz2, .xz)"
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    rows: Annotated[str, Field(min_length=1)] | None = None
    """Where the array is, if not at the top: ``data``, ``results.items``, or ``data[].paragraphs`` for the arrays inside
    the elements of another."""

    def records(self, unit: Unit, columns: frozenset[str] | None, context: Context | None) -> Iterator[Record | BadRow]:
        return json_array(unit.files[0], unit.name, self.encoding, self.rows)


Character = Annotated[str, Field(min_length=1, max_length=1)]


class Delimited(TextFiles):
    """Delimited text."""

    lines: ClassVar[bool] = True

    header: bool | list[Annotated[str, Field(min_length=1)]] = True
    """Whether the first line names the columns; a list gives the names of a file that has no such line. Without names
    columns are called 0, 1, 2 …"""
    quote: Character = '"'
    """The character around cells that contain the delimiter or line ends; doubled inside."""
    skip: Annotated[int, Field(ge=0)] = 0
    """Lines to pass over before anything else."""

    @abstractmethod
    def dialect(self) -> Dialect:
        """How the files are written."""

    def records(self, unit: Unit, columns: frozenset[str] | None, context: Context | None) -> Iterator[Record | BadRow]:
        return delimited(unit.files[0], unit.name, self.encoding, self.dialect())

    def _dialect(self, delimiter: str, quoting: str) -> Dialect:
        header = tuple(self.header) if isinstance(self.header, list) else self.header
        return Dialect(delimiter, self.quote if quoting == "standard" else None, header, self.skip)


class Csv(Delimited):
    """Comma-separated values."""

    tag: ClassVar[str] = "csv"
    summary: ClassVar[str] = "rows from CSV files (.csv; also .gz, .zst, .bz2, .xz)"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)

    delimiter: Character = ","
    """The character between cells."""
    quoting: Literal["standard", "none"] = "standard"
    """``standard``: quoted cells may hold delimiters and line ends; ``none``: a quote is text and each line is a row."""

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
        return self._dialect("\t", self.quoting)


class Parquet(Files):
    """Parquet files; only the columns that are needed are read."""

    tag: ClassVar[str] = "parquet"
    summary: ClassVar[str] = "rows from parquet files"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    def records(self, unit: Unit, columns: frozenset[str] | None, context: Context | None) -> Iterator[Record | BadRow]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        progress = Progress(unit.name, word="row")
        with guarded(progress):
            try:
                file = pq.ParquetFile(unit.files[0])
            except pa.ArrowInvalid as error:
                raise SourceError(f"{unit.name} is no parquet file, or is cut off ({error})") from error
            with file:
                names = file.schema_arrow.names
                wanted = names if columns is None else [name for name in names if name in columns]
                # The first rows come whole where a column is missing, so that an error can name those that exist.
                whole = columns is not None and any(
                    name.partition(".")[0] not in names for name in columns if not name.startswith("@")
                )
                about: Any = file.metadata
                heaviest = max((about.row_group(i).total_byte_size / max(1, about.row_group(i).num_rows) for i in range(about.num_row_groups)),
                               default=1.0)  # fmt: skip
                size = int(max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, int(heaviest)))))
                number = 0
                for batch in file.iter_batches(size, columns=wanted):
                    if whole:
                        batch, whole = next(file.iter_batches(size)), False
                    weight = batch.nbytes // max(1, batch.num_rows)
                    for row in batch.to_pylist():
                        yield number, row, weight
                        number += 1
                    progress.at = number
