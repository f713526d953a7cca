"""Reads delimited text (CSV, TSV) as spreadsheets and databases write it, with their extensions.

If a file is not written as the source says, the error names the parameter to set.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curate.steps import FailedRow, SourceError
from sources.reading import MAX_ROW, Progress, Text, guarded, lines, open_text, too_long
from sources.records import Record, raw_text

_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_NAMES = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar"}


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written."""

    delimiter: str
    quote: str | None
    """None: quotes are text, and every line is a row."""
    header: bool | tuple[str, ...]
    skip: int = 0
    fixed: bool = False
    """Whether the source has no parameter ``delimiter`` (``use: tsv``)."""

    def other(self, text: str) -> str:
        """Advice if a text is one cell but would be several with another delimiter; else empty."""
        delimiter = max(_NAMES, key=text.count)
        if self.delimiter in text or delimiter not in text:
            return ""
        shown = '"\\t"' if delimiter == "\t" else f'"{delimiter}"'
        parameter = f"'delimiter: {shown}'"
        if self.fixed:
            parameter = "'use: csv'" if delimiter == "," else f"'use: csv' and {parameter}"
        return f"; if a {_NAMES[delimiter]} separates the cells, use {parameter}"


def header_of(path: Path, name: str, encoding: str | None, dialect: Dialect, limit: int = MAX_ROW) -> list[str]:
    """The column names of a file, whether or not it has rows; none if only rows could tell."""
    if isinstance(dialect.header, tuple):
        return list(dialect.header)
    if not dialect.header:
        return []
    names: list[str] = []
    for _ in _records(path, name, encoding, dialect, limit, names):
        break
    return names


def delimited(
    path: Path, name: str, encoding: str | None, dialect: Dialect, limit: int = MAX_ROW
) -> Iterator[Record | FailedRow]:
    """The records of a CSV or TSV file, cells as text; the position is the line on which a record begins.

    Args:
        limit: characters of the longest record that is read.

    Raises:
        SourceError: there is no header, it has a name twice, a quote is never closed, or the file is damaged.
    """
    return _records(path, name, encoding, dialect, limit, [])


def _records(
    path: Path, name: str, encoding: str | None, dialect: Dialect, limit: int, names: list[str]
) -> Iterator[Record | FailedRow]:
    """Like :func:`delimited`; adds the column names to ``names`` before the first record."""
    progress = Progress(name)
    with guarded(progress), open_text(path, encoding) as file:
        dialect = _with_separator(path, encoding, dialect)
        if isinstance(dialect.header, tuple):
            names += _checked(dialect.header, progress, "")
        empty = True
        for line, cells in _cells(file, progress, dialect, limit):
            empty = False
            if isinstance(cells, FailedRow):
                if dialect.header is True and not names:
                    raise SourceError(f"{name}, {cells.where}: the header cannot be read: it is {cells.reason}")
                yield cells
                continue
            if not names:
                if dialect.header is True:
                    names += _checked(cells, progress, dialect.other(dialect.delimiter.join(cells)))
                    continue
                names += [str(i) for i in range(len(cells))]
            if len(cells) != len(names):
                reason = (
                    f"{len(cells)} cells where "
                    f"{'the header has' if dialect.header else 'the first line has'} {len(names)}"
                )
                raw = dialect.delimiter.join(cells)
                yield FailedRow(f"line {line}", reason + _advice(cells, raw, dialect, len(names)), raw_text(raw))
            elif cells == names and dialect.header is True:
                raw = dialect.delimiter.join(cells)
                yield FailedRow(f"line {line}", "the header again, as in concatenated files", raw_text(raw))
            else:
                yield line, dict(zip(names, cells, strict=True)), sum(map(len, cells))
        if empty and dialect.header is True:
            raise SourceError(f"{name} is empty, without a header; set 'header: [names]' if it has none")


def _with_separator(path: Path, encoding: str | None, dialect: Dialect) -> Dialect:
    """The dialect with the delimiter from the file's first line (``sep=;``), as Excel reads and writes it."""
    if dialect.skip:
        return dialect
    with open_text(path, encoding) as file:
        match = _SEPARATOR.fullmatch(file.readline(20).removeprefix("\ufeff").rstrip("\r\n"))
    return replace(dialect, delimiter=match[1], skip=1) if match and match[1] != dialect.quote else dialect


def _checked(cells: Sequence[str], progress: Progress, other: str) -> list[str]:
    """The names of a header.

    Raises:
        SourceError: they are not in the file's encoding, are one name that another delimiter would split, or repeat.
    """
    for cell in cells:
        try:
            cell.encode()
        except UnicodeEncodeError:
            shown = raw_text(cell)[:60]
            raise SourceError(
                f"{progress.name}: the header's '{shown}' is in another encoding; set 'encoding: …', such as cp1252, "
                "cp1251 or gb18030"
            ) from None
    names = [cell.strip() or f"column_{i}" for i, cell in enumerate(cells)]
    if len(names) == 1 and other:
        raise SourceError(f"{progress.name}: its header is the one column '{names[0]}'{other}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(
            f"{progress.name}: the header has {', '.join(twice)} more than once; set 'header: [names]' and 'skip: 1'"
        )
    return names


def _advice(cells: Sequence[str], raw: str, dialect: Dialect, names: int) -> str:
    """Which parameter may fix a row with the wrong number of cells."""
    if len(cells) == 1 and (other := dialect.other(raw)):
        return other
    if names == 1 and dialect.header is True:
        return "; if other lines precede the header, set 'skip: …'"
    if dialect.quote is None and any(cell.startswith('"') != cell.endswith('"') for cell in cells):
        return "; if cells are quoted, set 'quoting: standard'"
    return ""


class _Record:
    """State of the record that the csv module is reading."""

    def __init__(self, quote: str, limit: int) -> None:
        self.quote, self.limit = quote, limit
        self.lines: list[str] = []
        self.size, self.passed, self.long = 0, 0, False

    def begin(self) -> None:
        self.lines.clear()
        self.long = False

    def quotes(self, text: str) -> None:
        """Counts the quotes in text that the csv module does not see."""
        self.passed += text.count(self.quote)

    def feed(self, source: Iterator[str | FailedRow]) -> Iterator[str]:
        """The lines for the csv module; of a too long record only its beginning and its end."""
        for line in source:
            if type(line) is str:
                self.size = self.size + len(line) if self.lines else len(line)
                if self.size <= self.limit:
                    self.lines.append(line)
                    yield f"{line}\n"
                    continue
                self.quotes(line)
            self.long = True  # quotes in a single too long line are counted already
            inside = sum(one.count(self.quote) for one in self.lines)
            while (inside + self.passed) % 2:
                more = next(source, None)
                if more is None:
                    raise csv.Error("unexpected end of data")
                if isinstance(more, str):
                    self.quotes(more)
            self.passed = 0
            yield f"{self.quote}\n" if inside % 2 else "\n"


def _cells(file: Text, progress: Progress, dialect: Dialect, limit: int) -> Iterator[tuple[int, list[str] | FailedRow]]:
    """Line and cells (or the error) of each record that is not blank."""
    if dialect.quote is None:
        for number, line in enumerate(lines(file, progress, limit), 1):
            if number <= dialect.skip:
                continue
            if isinstance(line, FailedRow):
                yield number, line
            elif line:
                yield number, line.split(dialect.delimiter)
        return
    record = _Record(dialect.quote, limit)
    source = lines(file, progress, limit, record.quotes)
    for _ in range(dialect.skip):
        next(source, None)
    record.passed = 0
    # The csv module's limit is global to the process; ours is larger, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), limit + 1))
    reader = csv.reader(record.feed(source), delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)
    while True:
        begin = progress.at + 1
        record.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise SourceError(
                    f"{progress.name}, line {begin}: a quote is opened and never closed; set 'quoting: none' if "
                    "quotes are text"
                ) from None
            reason = f"wrong quoting: {error}; set 'quoting: none' if quotes are text"
            yield begin, FailedRow(f"line {begin}", too_long(limit) if record.long else reason, "")
            continue
        if record.long:
            yield begin, FailedRow(f"line {begin}", too_long(limit), raw_text(dialect.delimiter.join(cells)))
        elif cells:
            yield begin, cells
