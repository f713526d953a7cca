"""Reads files: decompression, encodings, lines and JSON Lines records, with bounded memory.

An unreadable row is one :class:`~curate.steps.FailedRow`; an unreadable file is a :class:`~curate.steps.SourceError` that
says how far it was read. A truncated file is always an error. Memory is bounded by one row of limited size, whatever
the file's size.
"""  # noqa: E501

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from curate.files import regular
from curate.steps import FailedRow, SourceError
from sources.archives import HEAD, archive_error
from sources.compression import SUFFIXES, compression, decompressed
from sources.members import opened
from sources.records import Record, raw_text
from sources.written import load_json, load_line

MAX_ROW = 16 * 1024 * 1024
"""Default limit of a row's bytes; larger rows are quarantined unread."""
_BLOCK = 1 << 20
_LOOK = 1 << 16
"""Bytes examined to detect a file's encoding and line ends."""
_INSIDE = (" ", "\t", '"', "}", b" ", b"\t", b'"', b"}")
"""How a line begins inside an object."""
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


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
    """Converts exceptions of libraries to one sentence with the file and the position reached."""
    from pyarrow import ArrowException

    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise SourceError(
            f"{progress}: the compressed data is truncated or damaged ({error}); fetch the file again"
        ) from error
    except UnicodeError as error:
        raise SourceError(f"{progress}: {_undecodable(error)}; set the right 'encoding:'") from error
    except (OSError, ArrowException) as error:
        what = str(error) or type(error).__name__
        if "compressed stream" in what or "decompress" in what:
            what = f"the compressed data is truncated or damaged ({what}); fetch the file again"
        raise SourceError(f"{progress}: {what}") from error


def _undecodable(error: UnicodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"bytes that are not {error.encoding} ({error.reason})"
    return f"text in the wrong encoding ({error})"


def open_bytes(path: Path) -> BinaryIO:
    """The uncompressed bytes of a file; gzip, Zstandard, bzip2 and xz are detected by their first bytes.

    Raises:
        SourceError: it is empty although its name says compressed, or is an archive, or compressed twice.
        OSError: the file does not exist, or is not a regular file.
    """
    member = opened(path)
    if member is not None:
        return _unpacked_member(member, path)
    with regular(path).open("rb") as file:
        head = file.read(HEAD)
    suffix = path.suffix.lower()
    if not head and suffix in SUFFIXES:
        raise SourceError(f"{path.name} is empty, so it is not a compressed file; fetch it again")
    packed = compression(head, suffix)

    def reopen() -> BinaryIO:
        return path.open("rb") if packed is None else decompressed(path, packed)

    if packed is not None:
        with reopen() as unpacked:
            head = unpacked.read(HEAD)
        if compression(head) is not None:
            raise SourceError(f"{path.name} is compressed twice; unpack it once and use the file inside")
    problem = archive_error(head, path, reopen, packed=packed is not None)
    if problem is not None:
        raise SourceError(problem)
    return reopen()


class _Above(io.BufferedReader):
    """A stream that closes with it the one that it is read from."""

    def __init__(self, stream: BinaryIO, below: BinaryIO) -> None:
        super().__init__(cast(io.RawIOBase, stream), _BLOCK)
        self.below = below

    def close(self) -> None:
        super().close()
        self.below.close()


def _unpacked_member(member: BinaryIO, path: Path) -> BinaryIO:
    """The uncompressed bytes of a member of an archive, which may be a compressed file itself."""
    file = cast(io.BufferedReader, member)
    try:
        packed = compression(file.peek(HEAD)[:HEAD])
        if packed is not None:
            file = _Above(decompressed(member, packed), member)
            if compression(file.peek(HEAD)[:HEAD]) is not None:
                raise SourceError(f"{path.name} is compressed twice; unpack it once and use the file inside")
        if archive_error(file.peek(HEAD)[:HEAD], path, io.BytesIO, packed=True) is not None:
            raise SourceError(f"{path.name} is an archive inside an archive; unpack the outer one")
    except BaseException:
        file.close()
        raise
    return cast(BinaryIO, file)


def encoding_of(head: bytes, name: str, encoding: str | None) -> str:
    """The encoding of a file that begins with these bytes.

    A byte order mark overrides ``encoding``; the default is UTF-8.

    Raises:
        SourceError: the bytes look like UTF-16 or UTF-32 but have no byte order mark.
    """
    for mark, detected in _BOMS:
        if head.startswith(mark):
            return detected
    if encoding is not None:
        return encoding
    # In UTF-16 one byte of each ASCII character is zero, always on the same side; few others have a zero on the other.
    even, odd = head[:4096:2].count(0), head[1:4096:2].count(0)
    if max(even, odd) > max(1, 4 * min(even, odd), len(head[:4096]) // 20):
        guess = "utf-16-le" if odd > even else "utf-16-be"
        raise SourceError(f"{name} looks like UTF-16 without a byte order mark; set 'encoding: {guess}'")
    return "utf-8"


class _Joined(io.RawIOBase):
    """A stream with the bytes put back that were read to detect its encoding."""

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


class Text(io.TextIOWrapper):
    """A file opened as text."""

    ends = "\n"
    """The character that ends a line."""


def open_text(path: Path, encoding: str | None = None) -> Text:
    """Opens a file as text, with unchanged line ends.

    Bytes that the encoding does not allow become surrogates, which no text may contain, so that each is found and
    reported in its row. A line feed ends a line; in a file that begins without line feeds but with carriage returns
    (old spreadsheets), carriage returns do.
    """
    file = open_bytes(path)
    try:
        head = file.read(_LOOK)
        detected = encoding_of(head, path.name, encoding)
        begin = head.decode(detected, "ignore")
    except BaseException:
        file.close()
        raise
    wide = codecs.lookup(detected).name.startswith(("utf-16", "utf-32"))
    joined = io.BufferedReader(_Joined(head, file), _BLOCK)
    ends = "\r" if "\r" in begin and "\n" not in begin else "\n"
    text = Text(joined, detected, errors="surrogatepass" if wide else "surrogateescape", newline=ends)
    text.ends = ends
    return text


def too_long(limit: int) -> str:
    """The error message for a row beyond its limit."""
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit:,} bytes"
    return f"longer than {size}; if this is intended, raise 'max_row_bytes'"


def lines(
    file: Text, progress: Progress, limit: int, passed: Callable[[str], object] | None = None
) -> Iterator[str | FailedRow]:
    """The lines of a text without their ends (U+2028 and the like are text).

    A line of more than ``limit`` characters is a bad row; it is skipped piece by piece, and each piece is passed to
    ``passed``.
    """
    while line := file.readline(limit + 2):
        progress.at += 1
        if len(line) > limit and len(line.rstrip("\r\n")) > limit:
            bad = FailedRow(f"line {progress.at}", too_long(limit), raw_text(line[:_LOOK]))
            while line:
                if passed is not None:
                    passed(line)
                line = "" if line[-1] == file.ends else file.readline(_BLOCK)
            yield bad
            continue
        if line.startswith("\ufeff"):  # at the beginning, and where files were concatenated
            line = line[1:]
        yield line.removesuffix("\n").removesuffix("\r")


# ----------------------------------------------------------------------------------------------------------- JSON lines
def record_of(value: Any, place: int, size: int, raw: Any, where: str) -> Record | FailedRow:
    """The record of a value, which must be an object."""
    if isinstance(value, dict):
        return place, value, size
    kind = {list: "a list", str: "a text", type(None): "null", bool: "a truth value"}.get(type(value), "a number")
    return FailedRow(where, f"{kind} where an object was expected", raw_text(raw))


def json_lines(
    path: Path, name: str, encoding: str | None, limit: int = MAX_ROW, columns: Collection[str] | None = None
) -> Iterator[Record | FailedRow]:
    """The records of a JSON Lines file; blank lines are skipped.

    Args:
        limit: bytes (characters, if the encoding is not UTF-8) of the longest line that is read.
        columns: those in which the digits of numbers matter; None for all.

    Raises:
        SourceError: the file is one JSON value over several lines, or cannot be read further.
    """
    progress = Progress(name)
    with guarded(progress), _lines_of(path, name, encoding, limit, progress) as source:
        number, first, opened = 0, True, False
        for line in source:
            number += 1
            if isinstance(line, FailedRow):
                yield line
                continue
            if first or opened:
                if opened and line[:1] in _INSIDE:
                    raise SourceError(
                        f"{name}: its first line begins an object that continues over several lines, but JSON Lines "
                        "has one object a line; use 'use: json', which reads such objects in sequence (with "
                        "'rows: …' where one holds the rows)"
                    )
                opened = first and line.lstrip()[:1] in ("{", b"{")
                if first and line.lstrip()[:1] in ("[", b"["):
                    _refuse_array(line, name)
            text = line.strip()
            if not text:
                continue
            first = False
            try:
                value = load_line(text, columns)
            except ValueError as error:
                yield FailedRow(f"line {number}", str(error), raw_text(text))
            else:
                opened = False
                if type(value) is dict:
                    yield number, value, len(text)
                else:
                    yield record_of(value, number, len(text), text, f"line {number}")
            progress.at = number


def _refuse_array(line: str | bytes, name: str) -> None:
    """Stops at a first line that is an array of objects, or begins one."""
    try:
        value = load_json(line)
    except ValueError:
        value = [{}]
    if not value or isinstance(value[0], dict):
        raise SourceError(f"{name} begins with '[': it is one JSON array, not JSON Lines; use 'use: json'")


@contextmanager
def _lines_of(
    path: Path, name: str, encoding: str | None, limit: int, progress: Progress
) -> Iterator[Iterable[bytes | str | FailedRow]]:
    """The lines of a file: as bytes for UTF-8, which is fastest."""
    with open_text(path, encoding) as text:
        if codecs.lookup(text.encoding).name not in ("utf-8", "utf-8-sig", "ascii") or text.ends != "\n":
            yield lines(text, Progress(name), limit)
            return
    with open_bytes(path) as file:
        yield _byte_lines(file, limit)


def _byte_lines(file: BinaryIO, limit: int) -> Iterator[bytes | FailedRow]:
    number = 0
    while line := file.readline(limit + 2):
        number += 1
        if len(line) > limit and len(line.rstrip(b"\r\n")) > limit:
            yield FailedRow(f"line {number}", too_long(limit), raw_text(line[:_LOOK]))
            while line and not line.endswith(b"\n"):
                line = file.readline(_BLOCK)
            continue
        # A byte order mark may be at the beginning, and where files were concatenated.
        yield line.removeprefix(codecs.BOM_UTF8)
