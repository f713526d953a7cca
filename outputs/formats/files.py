"""Writes the files of a split: one file, or a folder of files with equal row counts, streamed.

Parquet is read without guessing. JSON has no types: readers that infer them (Arrow's JSON reader, so ``datasets``)
convert a field whose texts all look like dates. Such fields are reported.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Literal

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Format = Literal["parquet", "jsonl", "json"]
Compression = Literal["zstd", "snappy", "gzip", "none"]
# Line breaks for Python's str.splitlines and some editors, but ordinary characters in JSON.
_BREAKS = {"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_BREAK = re.compile("[\u0085\u2028\u2029]".encode().decode())
_DATE = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}(?::\d{2}(?::\d{2}(?:\.\d+)?)?)?)?(?:Z|[+-]\d{2}:?\d{2})?$"


def dump_line(value: Any) -> bytes:
    """A value as one line of JSON in UTF-8, unescaped except for characters that some readers take for line ends."""
    line = orjson.dumps(value)
    if b"\xc2\x85" in line or b"\xe2\x80\xa8" in line or b"\xe2\x80\xa9" in line:
        line = _BREAK.sub(lambda match: _BREAKS[match[0]], line.decode()).encode()
    return line


class SplitFiles:
    """The files of one split below ``folder``: ``<split>.<ending>``, or ``<split>/00000.<ending>`` … if there are
    several.

    Args:
        rows_per_file: maximum rows of a file; None: all rows in one.
        keep_empty: write a file even without rows (``datasets`` cannot read one, so by default there is none).
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        schema: pa.Schema,
        format: Format,
        compression: Compression | None,
        rows_per_file: int | None,
        keep_empty: bool = False,
    ) -> None:
        self.rows = 0
        self.dates: dict[str, bool] = {}
        """Field → whether each of its texts so far looked like a date."""
        self._folder, self._split, self._schema, self._format = folder, split, schema, format
        self._compression: Compression = compression or ("zstd" if format == "parquet" else "none")
        self._most, self._keep_empty = rows_per_file, keep_empty
        self._ending = f".{format}" + (".gz" if format != "parquet" and self._compression == "gzip" else "")
        self._files: list[Path] = []
        self._open: _Writer | None = None
        self._in_file = 0

    def write(self, table: pa.Table) -> None:
        """Adds rows."""
        while table.num_rows:
            if self._open is None or self._in_file == self._most:
                self._next()
            assert self._open is not None
            room = table.num_rows if self._most is None else self._most - self._in_file
            part, table = table.slice(0, room), table.slice(room)
            self._open.write(part)
            self._in_file += part.num_rows
            self.rows += part.num_rows

    def close(self) -> list[Path]:
        """The paths of the written files, in order."""
        if not self._files and self._keep_empty:
            self._next()
        if self._open is not None:
            self._open.close()
            self._open = None
        if len(self._files) == 1:
            single = self._folder / f"{self._split}{self._ending}"
            self._files[0].rename(single)
            self._files[0].parent.rmdir()
            self._files = [single]
        return self._files

    def abandon(self) -> None:
        """Closes open files, whose content is invalid."""
        if self._open is not None:
            self._open.abandon()

    def _next(self) -> None:
        if self._open is not None:
            self._open.close()
        path = self._folder / self._split / f"{len(self._files):05d}{self._ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files.append(path)
        self._in_file = 0
        if self._format == "parquet":
            self._open = _ParquetWriter(path, self._schema, self._compression)
        else:
            self._open = _JsonWriter(path, self._compression == "gzip", self._format == "json", self.dates)


class _Writer:
    def write(self, table: pa.Table) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def abandon(self) -> None:
        raise NotImplementedError


class _ParquetWriter(_Writer):
    def __init__(self, path: Path, schema: pa.Schema, compression: Compression) -> None:
        self._file = pq.ParquetWriter(path, schema, compression=compression)

    def write(self, table: pa.Table) -> None:
        self._file.write_table(table)

    def close(self) -> None:
        self._file.close()

    abandon = close


class _JsonWriter(_Writer):
    """Lines, or with ``array`` one array with a row on each line."""

    def __init__(self, path: Path, packed: bool, array: bool, dates: dict[str, bool]) -> None:
        # Without time and name in the header, so that equal rows give equal bytes.
        self._raw = path.open("wb")
        self._file: IO[bytes] = (
            gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0) if packed else self._raw  # type: ignore[assignment]
        )
        self._array, self._first, self._dates = array, True, dates

    def write(self, table: pa.Table) -> None:
        for name in table.column_names:
            for chunk in table[name].chunks:
                _note_dates(chunk, name, self._dates)
        optional = [field.name for field in table.schema if field.name != "meta" and _has_optional(field)]
        for row in table.to_pylist():
            for name in optional:
                row[name] = _bare(row[name], table.schema.field(name).type)
                if row[name] is None:
                    del row[name]
            if self._array:
                self._file.write(b"[\n" if self._first else b",\n")
                self._first = False
            self._file.write(dump_line(row))
            if not self._array:
                self._file.write(b"\n")

    def close(self) -> None:
        if self._array:
            self._file.write(b"[]\n" if self._first else b"\n]\n")
        self.abandon()

    def abandon(self) -> None:
        self._file.close()
        self._raw.close()


def _note_dates(column: pa.Array, name: str, dates: dict[str, bool]) -> None:
    if pa.types.is_struct(column.type):
        for field, values in zip(column.type, column.flatten(), strict=True):
            _note_dates(values, f"{name}.{field.name}", dates)
    elif pa.types.is_list(column.type):
        _note_dates(column.flatten(), name, dates)
    elif pa.types.is_string(column.type) and len(column) and dates.get(name, True):
        dates[name] = bool(pc.all(pc.match_substring_regex(column, _DATE)).as_py())


def _has_optional(field: pa.Field) -> bool:
    """Whether a column holds objects, or what may be absent."""
    dtype = field.type
    inner = [dtype.value_field] if pa.types.is_list(dtype) else list(dtype) if pa.types.is_struct(dtype) else []
    return field.nullable or dtype == pa.json_() or any(map(_has_optional, inner))


def _bare(value: Any, dtype: pa.DataType) -> Any:
    """A value as plain JSON: objects as they are, without fields that are absent."""
    if value is None:
        return None
    if dtype == pa.json_():
        return orjson.Fragment(value)
    if pa.types.is_list(dtype):
        return [_bare(one, dtype.value_type) for one in value]
    if pa.types.is_struct(dtype):
        return {field.name: _bare(value[field.name], field.type) for field in dtype if value[field.name] is not None}
    return value


def digest_of(files: Iterable[str], folder: Path) -> str:
    """SHA-256 over the names and the bytes of these files below a folder."""
    digest = hashlib.sha256()
    for name in files:
        with (folder / name).open("rb") as file:
            digest.update(f"{name}\0".encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def relative(paths: Iterable[Path], folder: Path) -> list[str]:
    """The paths below a folder, with slashes on every system."""
    return [path.relative_to(folder).as_posix() for path in paths]
