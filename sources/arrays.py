"""A JSON array of any size is read element by element, so that memory stays at one element.

The elements are parsed by the standard library's scanner, not by a streaming parser in C: yajl writes ``?`` for half a
surrogate pair and refuses NaN and long integers, where a bad row with its reason is wanted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TextIO

from curate.steps import BadRow, SourceError
from sources.mapping import Record
from sources.reading import MAX_RECORD, Progress, guarded, open_text, record_of

_BLOCK = 1 << 20
_BLANK = re.compile(r"[ \t\r\n\ufeff]*")
_LOOK_AHEAD = 64
"""A parse that fails this near the end of the buffer may only lack the rest of the file."""


class Cursor:
    """A place in a JSON text of which only a window is in memory."""

    def __init__(self, file: TextIO, progress: Progress) -> None:
        self.file, self.progress = file, progress
        self.text, self.at, self.done = "", 0, False
        self.decode = json.JSONDecoder().raw_decode

    def _more(self, size: int = _BLOCK) -> bool:
        """Reads on; false at the end of the file."""
        if self.done:
            return False
        block = self.file.read(size)
        self.done = not block
        self.text, self.at = self.text[self.at :] + block, 0
        return not self.done

    def peek(self) -> str:
        """The next character that is not blank; empty at the end of the file."""
        while True:
            match = _BLANK.match(self.text, self.at)
            assert match is not None
            self.at = match.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                return ""

    def take(self, wanted: str) -> None:
        """Passes one character."""
        found = self.peek()
        if found != wanted:
            raise self.error(
                f"'{wanted}' was expected, not {found!r}" if found else "the file ends too early; fetch it again"
            )
        self.at += 1

    def value(self) -> tuple[Any, int]:
        """The value at the cursor and how many characters it takes."""
        size = _BLOCK
        self.peek()
        while True:
            try:
                value, end = self.decode(self.text, self.at)
            except json.JSONDecodeError as error:
                short = error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - _LOOK_AHEAD
                if short and len(self.text) - self.at > MAX_RECORD:
                    raise self.error(
                        f"the next element is longer than {MAX_RECORD >> 20} MiB, or a quote is never closed"
                    ) from None
                if short and not self.done:
                    self._more(size)
                    size *= 2
                    continue
                if error.pos >= len(self.text.rstrip()) or error.msg.startswith("Unterminated string"):
                    raise self.error("the file ends too early; fetch it again") from None
                raise self.error(
                    f"the JSON is broken: {error.msg}, {error.pos - self.at} characters after the element's beginning"
                ) from None
            except RecursionError:
                raise self.error("the next element is nested too deeply to be read") from None
            if end == len(self.text) and not self.done:
                self._more(size)
                continue
            length = end - self.at
            self.at = end
            return value, length

    def error(self, what: str) -> SourceError:
        return SourceError(f"{self.progress}: {what}")


def walk(cursor: Cursor, path: list[str], seen: list[str]) -> Iterator[tuple[Any, int]]:
    """The elements of the array at a path, each with its length in characters.

    Args:
        path: keys to go down; ``[]`` goes into every element of an array.
        seen: keys that were met on the way, for errors.
    """
    first = cursor.peek()
    if path and path[0] != "[]":
        if first != "{":
            raise cursor.error(f"'rows' looks for the key '{path[0]}' where there is no object")
        cursor.take("{")
        while cursor.peek() != "}":
            key, _ = cursor.value()
            seen.append(str(key))
            cursor.take(":")
            if key == path[0]:
                yield from walk(cursor, path[1:], seen)
            else:
                cursor.value()
            if cursor.peek() != "}":
                cursor.take(",")
        cursor.take("}")
        return
    if first != "[":
        raise cursor.error("there is no array here" if first else "the file is empty or ends too early")
    cursor.take("[")
    if cursor.peek() != "]":
        while True:
            if path:
                yield from walk(cursor, path[1:], seen)
            else:
                yield cursor.value()
            if cursor.peek() == "]":
                break
            cursor.take(",")
    cursor.take("]")


def json_array(path: Path, name: str, encoding: str | None, rows: str | None) -> Iterator[Record | BadRow]:
    """The records of a JSON array.

    Args:
        rows: where the array is: keys with dots between them, ``[]`` after one whose elements are to be gone into.

    Raises:
        SourceError: there is no array, or the JSON is broken or cut off.
    """
    progress = Progress(name, word="row")
    steps = [] if rows is None else [part for key in rows.split(".") for part in _split(key)]
    with guarded(progress), open_text(path, encoding) as file:
        cursor = Cursor(file, progress)
        if rows is None and cursor.peek() == "{":
            raise SourceError(_object(cursor, name))
        seen: list[str] = []
        number = -1
        for number, (value, size) in enumerate(walk(cursor, steps, seen)):
            yield record_of(value, number, size, value, f"row {number}")
            progress.at = number
        if cursor.peek():
            raise cursor.error("more text follows the end of the JSON; if every line is an object, say 'use: jsonl'")
        if number < 0 and steps and not set(steps) - {"[]"} <= set(seen):
            near = get_close_matches(str(rows), seen, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            keys = ", ".join(dict.fromkeys(seen)) or "none"
            raise SourceError(f"{name} has no array at '{rows}'{hint}; its keys are {keys}")


def _split(key: str) -> list[str]:
    bare = key.rstrip("[]")
    return ([bare] if bare else []) + ["[]"] * key[len(bare) :].count("[]")


def _object(cursor: Cursor, name: str) -> str:
    """What to say of a file that begins with an object."""
    try:
        value, _ = cursor.value()
        more = cursor.peek()
    except SourceError:
        return f"{name} begins with an object; say where its array is, for instance 'rows: data', or 'use: jsonl' if every line is an object"
    if more == "{":
        return f"{name} is not one JSON array but an object on every line; say 'use: jsonl'"
    arrays = [key for key, inner in value.items() if isinstance(inner, list)] if isinstance(value, dict) else []
    if arrays:
        return f"{name} is one object; say which array in it has the rows: {' or '.join(f'rows: {key}' for key in arrays[:5])}"
    return f"{name} is one object without an array; say where its rows are, for instance 'rows: data'"
