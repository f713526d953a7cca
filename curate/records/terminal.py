"""Records for a terminal: labels on the left, wrapped texts beside them, nothing that could move the cursor."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator

import regex

from curate.records.marks import Mark
from curate.records.record import Entry, Record
from curate.terminal import visible

_LABEL = 22
"""Cells of the longest label that texts stand beside; longer ones get a line of their own."""
_INDENT = 4
_NARROWEST = 20
_WORDS = regex.compile(r"\s+|\S+")
_CLUSTER = regex.compile(r"\X")
_MARKS = {Mark.REMOVED: ("[-", "-]"), Mark.ADDED: ("{+", "+}"), Mark.NOTE: ("(", ")")}


def plain(records: Iterable[Record], width: int | None = None) -> str:
    r"""Records as lines of text, with a blank line between them.

    Control characters and marks of writing direction are written out (``\x1b``, ``\u202e``). Removed words are in
    ``[-…-]``, added ones in ``{+…+}``, remarks in parentheses.

    Args:
        width: cells in a line; by default those of the terminal, at most 120.
    """
    cells = width or min(shutil.get_terminal_size().columns, 120)
    return "\n\n".join("\n".join(_lines(record, cells)) for record in records)


def _lines(record: Record, width: int) -> Iterator[str]:
    from rich.cells import cell_len

    if record.title:
        yield from wrapped(_safe(record.title), width)
    labels = [cell_len(_safe(one.label)) for one in record.entries if isinstance(one, Entry)]
    column = max((length for length in labels if length <= _LABEL), default=0)
    room = max(_NARROWEST, width - column - _INDENT)
    for one in record.entries:
        if isinstance(one, Record):
            yield from (f"  {line}" for line in _lines(one, max(_NARROWEST, width - 2)))
            continue
        label = _safe(one.label)
        lines = list(wrapped(text_of(one), room))
        if cell_len(label) > column:
            yield f"  {label}"
            label = ""
        for line in lines:
            yield f"  {label}{' ' * (column - cell_len(label))}  {line}".rstrip()
            label = ""


def text_of(entry: Entry) -> str:
    """An entry's text with its marks and remarks, safe to be written to a terminal."""
    parts = []
    for mark, text in entry.text:
        before, after = _MARKS.get(mark, ("", ""))
        parts.append(f"{before}{_safe(text)}{after}")
        if mark is Mark.NOTE:
            parts[-1] = f" {parts[-1]} "
    return "".join(parts).strip() or "(empty)"


def _safe(text: str) -> str:
    # A tab would shift what stands after it.
    return visible(text.replace("\r\n", "\n").replace("\t", "\\t"))


def wrapped(text: str, width: int) -> Iterator[str]:
    """The lines of a text, each at most so many cells wide; words and graphemes stay whole, except that a word wider
    than a line is cut between graphemes."""
    from rich.cells import cell_len

    for paragraph in text.split("\n"):
        line, used = "", 0
        for word in _WORDS.findall(paragraph):
            cells = cell_len(word)
            if used + cells <= width:
                line, used = line + word, used + cells
                continue
            if word.isspace():
                yield line.rstrip()
                line, used = "", 0
                continue
            if used and cells <= width:
                yield line.rstrip()
                line, used = word, cells
                continue
            for cluster in _CLUSTER.findall(word):
                cells = cell_len(cluster)
                if used + cells > width and line:
                    yield line.rstrip()
                    line, used = "", 0
                line, used = line + cluster, used + cells
        yield line.rstrip()
