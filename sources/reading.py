"""Bytes of a file become text, lines and records; whatever the compression or encoding, an end that comes too early is an error.

A row that cannot be read is one :class:`~curate.steps.BadRow`; a file that cannot be read on is a
:class:`~curate.steps.SourceError` that says how far it was read. Memory stays at one line, whatever the file's size.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO, cast

import orjson

from curate.steps import BadRow, SourceError
from sources.mapping import Record, raw_text

MAX_RECORD = 256 * 1024 * 1024
"""Bytes or characters of one line or element beyond which a file is not what it is said to be."""
_BLOCK = 1 << 20
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = {
    ".gz": re.compile(rb"\x1f\x8b"),
    ".xz": re.compile(rb"\xfd7zXZ\0"),
    ".bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    ".zst": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}
_BEGINNING = {".gz": b"\x1f\x8b\x08", ".xz": b"\xfd7z", ".bz2": b"BZh", ".zst": b"\x28\xb5\x2f"}


@dataclass
class Progress:
    """How far a file has been read."""

    name: str
    at: int = 0
    word: str = "line"

    def __str__(self) -> str:
        return f"{self.name}, after {self.word} {self.at}" if self.at else f"{self.name}, at the beginning"


@contextmanager
def guarded(progress: Progress) -> Iterator[None]:
    """Turns what libraries raise while reading into one sentence with the file and the place reached."""
    from pyarrow import ArrowException

    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise SourceError(
            f"{progress}: the compressed data is cut off or damaged ({error}); fetch the file again"
        ) from error
    except UnicodeError as error:
        raise SourceError(f"{progress}: {_undecodable(error)}; say the right 'encoding:'") from error
    except (OSError, ArrowException) as error:
        what = str(error) or type(error).__name__
        if "compressed stream" in what or "decompress" in what:
            what = f"the compressed data is cut off or damaged ({what}); fetch the file again"
        raise SourceError(f"{progress}: {what}") from error


def _undecodable(error: UnicodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"bytes that are not {error.encoding} ({error.reason})"
    return f"text in the wrong encoding ({error})"


def open_bytes(path: Path) -> BinaryIO:
    """The uncompressed bytes of a file; gzip, Zstandard, bzip2 and xz are known by their first bytes.

    Raises:
        SourceError: it is empty though its name says it is compressed, or is an archive.
    """
    file = path.open("rb")
    head = file.peek(16)[:16]
    suffix = path.suffix.lower()
    if head[:4] == b"PK\x03\x04":
        file.close()
        raise SourceError(f"{path.name} is a ZIP archive; unpack it and give the file inside")
    if not head and suffix in _MAGIC:
        file.close()
        raise SourceError(f"{path.name} is empty, which no compressed file is; fetch it again")
    packed = next((one for one, magic in _MAGIC.items() if magic.match(head)), None)
    if packed is None and len(head) < 10 and suffix in _MAGIC and _BEGINNING[suffix].startswith(head[:3]):
        packed = suffix  # cut off inside its first bytes
    if packed is None:
        return file
    file.close()
    if packed == ".zst":
        import pyarrow as pa

        return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(path), compression="zstd"), _BLOCK))
    opener: Any = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}[packed]
    return cast(BinaryIO, opener(path, "rb"))


def encoding_of(file: BinaryIO, name: str, encoding: str | None) -> tuple[str, bytes]:
    """The encoding of an opened file, and the first bytes that were read to tell it.

    A byte order mark goes before ``encoding``, which goes before UTF-8.

    Raises:
        SourceError: the bytes look like UTF-16 or UTF-32 but have no byte order mark.
    """
    head = file.read(4)
    for mark, found in _BOMS:
        if head.startswith(mark):
            return found, head
    if encoding is not None:
        return encoding, head
    if len(head) >= 2 and head[:2].count(0) == 1:
        order = "le" if head[1] == 0 else "be"
        raise SourceError(f"{name} looks like UTF-16 without a byte order mark; say 'encoding: utf-16-{order}'")
    return "utf-8", head


class _Joined(io.RawIOBase):
    """A stream with the bytes put back that were read to tell its encoding."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self.head, self.file = head, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.head:
            count = min(len(self.head), len(buffer))
            buffer[:count], self.head = self.head[:count], self.head[count:]
            return count
        data = self.file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.file.close()
        super().close()


def open_text(path: Path, encoding: str | None = None) -> TextIO:
    """The text of a file, line ends as they are. Bytes that the encoding does not allow become surrogates, which no
    text may hold, so that each is found and named in its row."""
    file = open_bytes(path)
    try:
        found, head = encoding_of(file, path.name, encoding)
    except BaseException:
        file.close()
        raise
    wide = found.startswith(("utf-16", "utf-32"))
    joined = io.BufferedReader(_Joined(head, file), _BLOCK)
    return io.TextIOWrapper(joined, found, errors="surrogatepass" if wide else "surrogateescape", newline="\n")


def lines(file: TextIO, progress: Progress) -> Iterator[str]:
    """The lines of a text without their ends. Only line feeds end a line (U+2028 and the like are text)."""
    while True:
        line = file.readline(MAX_RECORD)
        if not line:
            return
        if len(line) >= MAX_RECORD:
            raise SourceError(
                f"{progress}: the next line is longer than {MAX_RECORD >> 20} MiB; this is no file of lines"
            )
        progress.at += 1
        if progress.at == 1 and line.startswith("\ufeff"):
            line = line[1:]
        yield line.removesuffix("\n").removesuffix("\r")


# --------------------------------------------------------------------------------------------------------------- JSON lines
def load_json(text: str | bytes) -> Any:
    """The value of one JSON text, with the NaN that Python writes; a lone surrogate stays for the mapping to find.

    Raises:
        ValueError: it is not JSON; the message says what is wrong and where in the line.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        # ``surrogateescape`` keeps a bad byte inside its one value; a column that nobody asks for may hold it.
        return json.loads(text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deeply") from None


def record_of(value: Any, place: int, size: int, raw: Any, where: str) -> Record | BadRow:
    """The record of a value, which must be an object."""
    if isinstance(value, dict):
        return place, value, size
    kind = {list: "a list", str: "a text", type(None): "null", bool: "a truth value"}.get(type(value), "a number")
    return BadRow(where, f"{kind} where an object was expected", raw_text(raw))


def json_lines(path: Path, name: str, encoding: str | None) -> Iterator[Record | BadRow]:
    """The records of a JSON Lines file; blank lines are passed over.

    Raises:
        SourceError: the file is a JSON array, or cannot be read on.
    """
    progress = Progress(name)
    with guarded(progress):
        file = open_bytes(path)
        try:
            found, _ = encoding_of(file, name, encoding)
        finally:
            file.close()
        plain = codecs.lookup(found).name in ("utf-8", "utf-8-sig", "ascii")
        source: IO[Any] = open_bytes(path) if plain else open_text(path, encoding)
        with source:
            blank, feed = (b"", b"\n") if plain else ("", "\n")
            number = 0
            while line := source.readline(MAX_RECORD):
                number += 1
                if len(line) >= MAX_RECORD and not line.endswith(feed):
                    raise SourceError(
                        f"{progress}: the next line is longer than {MAX_RECORD >> 20} MiB; this is no JSON Lines file"
                    )
                if number == 1:
                    line = _first(line, name)
                text = line.strip()
                if text == blank:
                    continue
                try:
                    try:
                        value = orjson.loads(text)
                    except orjson.JSONDecodeError:
                        value = load_json(text)
                except ValueError as error:
                    yield BadRow(f"line {number}", str(error), raw_text(text))
                else:
                    yield (
                        (number, value, len(text))
                        if type(value) is dict
                        else record_of(value, number, len(text), text, f"line {number}")
                    )
                progress.at = number


def _first(line: Any, name: str) -> Any:
    """The first line without its byte order mark, if it is not the beginning of an array."""
    line = line.removeprefix(codecs.BOM_UTF8) if isinstance(line, bytes) else line.removeprefix("\ufeff")
    text = line.strip()
    if text[:1] in (b"[", "["):
        try:
            value = load_json(text)
        except ValueError:
            value = [{}]
        if isinstance(value, list) and (not value or isinstance(value[0], dict)):
            raise SourceError(f"{name} begins with '[': it is one JSON array, not JSON Lines; say 'use: json'")
    return line


# ---------------------------------------------------------------------------------------------------------- delimited text
@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written."""

    delimiter: str
    quote: str | None
    """None: quotes are text, and every line is a row."""
    header: bool | tuple[str, ...]
    skip: int = 0


def _names(cells: Sequence[str], progress: Progress) -> list[str]:
    names = [cell.strip() or f"column_{i}" for i, cell in enumerate(cells)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(
            f"{progress.name}: the header names {', '.join(twice)} more than once; give 'header: [names]' and 'skip: 1'"
        )
    return names


def delimited(path: Path, name: str, encoding: str | None, dialect: Dialect) -> Iterator[Record | BadRow]:
    """The records of a CSV or TSV file, cells as text; the place is the line on which a record begins.

    Raises:
        SourceError: there is no header, a name stands twice in it, a quote is never closed, or the file is damaged.
    """
    progress = Progress(name)
    with guarded(progress), open_text(path, encoding) as file:
        names: list[str] | None = list(dialect.header) if isinstance(dialect.header, tuple) else None
        if names is not None:
            names = _names(names, progress)
        empty = True
        for line, cells, raw in _cells(file, progress, dialect):
            empty = False
            if isinstance(cells, str):
                yield BadRow(f"line {line}", cells, raw_text(raw))
                continue
            if names is None:
                if dialect.header is True:
                    names = _names(cells, progress)
                    continue
                names = [str(i) for i in range(len(cells))]
            if len(cells) != len(names):
                reason = f"{len(cells)} cells where {'the header has' if dialect.header else 'the first line has'} {len(names)}"
                yield BadRow(f"line {line}", reason, raw_text(dialect.delimiter.join(cells)))
                continue
            yield line, dict(zip(names, cells, strict=True)), sum(map(len, cells))
        if empty and dialect.header is True:
            raise SourceError(f"{name} is empty: not even a header; give 'header: [names]' if it has none")


def _cells(file: TextIO, progress: Progress, dialect: Dialect) -> Iterator[tuple[int, list[str] | str, str]]:
    """Line, cells (or what is wrong with them) and raw text of each record that is not blank."""
    source = lines(file, progress)
    for _ in range(dialect.skip):
        next(source, None)
    if dialect.quote is None:
        for text in source:
            if text:
                yield progress.at, text.split(dialect.delimiter), text
        return
    # The module's own limit is one for the whole process; ours is larger, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD))
    reader = csv.reader(
        (f"{text}\n" for text in source), delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True
    )
    while True:
        begin = progress.at + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error) or "larger than" in str(error):
                raise SourceError(
                    f"{progress.name}, line {begin}: a quote is opened and never closed; say 'quoting: none' if quotes are text"
                ) from None
            yield begin, f"wrong quoting: {error}", ""
            continue
        if cells:
            yield begin, cells, ""
