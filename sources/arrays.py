"""Reads a JSON array of any size element by element, in memory bounded by one element of limited size.

Elements are parsed by the standard library's scanner instead of a streaming parser in C: yajl writes ``?`` for half a
surrogate pair and refuses NaN and long integers, where a bad row with its reason is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TextIO

from curate.steps import FailedRow, SourceError
from sources.reading import MAX_ROW, Progress, guarded, open_text, record_of, too_long
from sources.records import RAW, Record, raw_text
from sources.written import DECODER, Twice

_BLOCK = 1 << 20
_BLANK = re.compile(r"[ \t\r\n\ufeff]*")
_LOOK_AHEAD = 64
"""A parse error this near the end of the buffer may only be caused by missing input."""
_NEXT = re.compile(r'["{}\[\]]')
_STRING_END = re.compile(r'["\\]')
_SCALAR_END = re.compile(r"[,\]}\s]")
_IN_STRINGS = ("Invalid control character", "Invalid \\escape", "Invalid \\uXXXX escape")
"""Errors inside one text of an element, whose end is known nevertheless."""
KEY = "@key"
"""The column with an element's key, if the elements are the values of an object."""


class Odd(ValueError):
    """An element that cannot be read; the elements after it can."""


class Cursor:
    """A position in a JSON text of which only a window is in memory.

    Args:
        limit: characters of the longest value that is read.
    """

    def __init__(self, file: TextIO, progress: Progress, limit: int = MAX_ROW) -> None:
        self.file, self.progress, self.limit = file, progress, limit
        self.text, self.at, self.done = "", 0, False

    def _more(self, size: int = 0) -> bool:
        """Reads more; false at the end of the file."""
        if self.done:
            return False
        block = self.file.read(size or _BLOCK)
        self.done = not block
        self.text, self.at = self.text[self.at :] + block, 0
        return not self.done

    def peek(self) -> str:
        """The next non-whitespace character; empty at the end of the file."""
        while True:
            match = _BLANK.match(self.text, self.at)
            assert match is not None
            self.at = match.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                return ""

    def take(self, expected: str) -> None:
        """Consumes one expected character."""
        character = self.peek()
        if character != expected:
            raise self.error(
                f"'{expected}' was expected, not {character!r}"
                if character
                else "the file ends too early; fetch it again"
            )
        self.at += 1

    def value(self) -> tuple[Any, int]:
        """The value at the cursor and its length in characters.

        Raises:
            Odd: it cannot be read; :meth:`skip` passes it.
            SourceError: the text is not JSON, or ends.
        """
        size = _BLOCK
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                short = error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - _LOOK_AHEAD
                if short and len(self.text) - self.at > self.limit:
                    raise Odd(too_long(self.limit)) from None
                if short and not self.done:
                    self._more(min(size, max(_BLOCK, self.limit)))
                    size *= 2
                    continue
                if error.msg.startswith(_IN_STRINGS):
                    raise Odd(f"not JSON: {error.msg}, {error.pos - self.at} characters after its beginning") from None
                if error.pos >= len(self.text.rstrip()) or error.msg.startswith("Unterminated string"):
                    raise self.error("the file ends too early; fetch it again") from None
                raise self.error(
                    f"the JSON is broken: {error.msg}, {error.pos - self.at} characters after the element's beginning"
                ) from None
            except RecursionError:
                raise Odd("nested too deeply to be read") from None
            except Twice as error:
                raise Odd(str(error)) from None
            except ValueError:  # Python's own limit
                raise Odd("an integer of more than 4,300 digits") from None
            if end == len(self.text) and not self.done:
                self._more(size)
                continue
            length = end - self.at
            if length > self.limit:
                raise Odd(too_long(self.limit))
            self.at = end
            return value, length

    def element(self) -> tuple[Any, int] | tuple[Odd, str]:
        """The value at the cursor with its length; or the error, and the value's beginning."""
        try:
            return self.value()
        except Odd as error:
            begin = self.text[self.at : self.at + RAW]
            try:
                self.skip()
            except SourceError as end:
                raise SourceError(f"{end} (the element that it ends in is {error})") from None
            return error, begin

    def skip(self) -> None:
        """Skips one value of any content without holding it.

        Raises:
            SourceError: the file ends before it does.
        """
        if self.peek() not in ("{", "[", '"'):
            self._find(_SCALAR_END)
            return
        depth = 0
        while True:
            match = self._find(_NEXT)
            if match is None:
                raise self.error("the file ends too early; fetch it again")
            self.at = match.end()
            if match[0] == '"':
                self._skip_string()
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match[0], 0)
            if depth <= 0:
                return

    def _skip_string(self) -> None:
        while (match := self._find(_STRING_END)) is not None and match[0] == "\\":
            self.at = match.end()
            if self.at < len(self.text) or self._more():
                self.at += 1
        if match is None:
            raise self.error("the file ends too early; fetch it again")
        self.at = match.end()

    def _find(self, what: re.Pattern[str]) -> re.Match[str] | None:
        """Moves the cursor to the next match; the text before it is discarded."""
        while (match := what.search(self.text, self.at)) is None:
            self.at = len(self.text)
            if not self._more():
                return None
        self.at = match.start()
        return match

    def error(self, what: str) -> SourceError:
        return SourceError(f"{self.progress}: {what}")


Element = tuple[Any, int | str, str | None]
"""A value with its length (or an :class:`Odd` with its beginning), and its key if it is a value of an object."""


def walk(cursor: Cursor, path: list[str], seen: list[str]) -> Iterator[Element]:
    """The elements of the array at a path.

    Args:
        path: keys to descend; ``[]`` descends into every element of an array, ``*`` into every value of an object (at
            the end: these are the elements).
        seen: keys met on the way, for errors.
    """
    first = cursor.peek()
    if path and path[0] != "[]":
        if first != "{":
            raise cursor.error(f"'rows' looks for the key '{path[0]}' where there is no object")
        cursor.take("{")
        while cursor.peek() != "}":
            try:
                key, _ = cursor.value()
            except Odd as error:
                raise cursor.error(f"a key is {error}") from None
            if len(seen) < 1000:
                seen.append(str(key))
            cursor.take(":")
            if path == ["*"]:
                yield *cursor.element(), str(key)
            elif path[0] in (key, "*"):
                yield from walk(cursor, path[1:], seen)
            else:
                cursor.skip()
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
                yield *cursor.element(), None
            if cursor.peek() == "]":
                break
            cursor.take(",")
    cursor.take("]")


def json_array(
    path: Path, name: str, encoding: str | None, rows: str | None, limit: int = MAX_ROW
) -> Iterator[Record | FailedRow]:
    """The records of a JSON array, or of consecutive objects over several lines each.

    Args:
        rows: the path of the array: keys separated by dots, ``[]`` after one whose elements are descended into, ``*``
            for every value of an object.
        limit: characters of the longest element that is read.

    Raises:
        SourceError: there is no array, or the JSON is broken or truncated.
    """
    progress = Progress(name, word="row")
    steps = [] if rows is None else [part for key in rows.split(".") for part in _split(key)]
    with guarded(progress), open_text(path, encoding) as file:
        cursor = Cursor(file, progress, limit)
        seen: list[str] = []
        number = -1
        elements = _objects(cursor, name) if rows is None and cursor.peek() == "{" else walk(cursor, steps, seen)
        for number, (value, size, key) in enumerate(elements):
            if isinstance(value, Odd):
                yield FailedRow(f"row {number}", str(value), raw_text(size))
            else:
                if key is not None and isinstance(value, dict):
                    value = {KEY: key, **value}
                yield record_of(value, number, int(size), value, f"row {number}")
            progress.at = number
        if cursor.peek():
            raise cursor.error(
                "more text follows the end of the JSON; concatenated files must be listed one by one; if every line "
                "is an object, use 'use: jsonl'"
            )
        if number < 0 and steps and not set(steps) - {"[]", "*"} <= set(seen):
            near = get_close_matches(str(rows), seen, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            keys = ", ".join(dict.fromkeys(seen[:40])) or "none"
            raise SourceError(f"{name} has no array at '{rows}'{hint}; its keys are {keys}")


def _split(key: str) -> list[str]:
    bare = key.rstrip("[]")
    return ([bare] if bare else []) + ["[]"] * key[len(bare) :].count("[]")


def _objects(cursor: Cursor, name: str) -> Iterator[Element]:
    """The objects of a text with several of them, each over several lines.

    Raises:
        SourceError: it is one object, or has an object on every line.
    """
    begin, start = cursor.text[cursor.at : cursor.at + _BLOCK], cursor.text[cursor.at : cursor.at + RAW]
    first: Element
    try:
        value, size = cursor.value()
        first = value, size, None
        keys = {
            key: "[" if isinstance(inner, list) else "{" if isinstance(inner, dict) else ""
            for key, inner in value.items()
        }
    except Odd as error:
        first, size = (error, start, None), _BLOCK
        keys = _keys(cursor)
    if cursor.peek() == "{":
        if "\n" not in begin[:size].rstrip("\n"):
            raise SourceError(f"{name} is not one JSON array but an object on every line; use 'use: jsonl'")
        yield first
        while cursor.peek() == "{":
            yield *cursor.element(), None
        return
    arrays = [key for key, inner in keys.items() if inner == "["]
    if arrays:
        where = " or ".join(f"rows: {key}" for key in arrays[:5])
        raise SourceError(f"{name} is one object; name the array that has the rows: {where}")
    if len(keys) > 1 and all(inner == "{" for inner in keys.values()):
        shown = ", ".join(f"'{key}'" for key in list(keys)[:3])
        raise SourceError(
            f"{name} is one object whose values are objects ({shown} …): if each is a row, set \"rows: '*'\" (its key "
            f"becomes the column '{KEY}')"
        )
    raise SourceError(f"{name} is one object without an array; set where its rows are, for example 'rows: data'")


def _keys(cursor: Cursor) -> dict[str, str]:
    """The first keys of an object that cannot be read completely, each with the first character of its value.

    The cursor stops at the first array, or after the object.
    """
    keys: dict[str, str] = {}
    cursor.take("{")
    while cursor.peek() == '"':
        key = str(cursor.element()[0])
        cursor.take(":")
        if len(keys) < 20:
            keys[key] = cursor.peek()
        if cursor.peek() == "[":
            return {**keys, key: "["}
        cursor.skip()
        if cursor.peek() == ",":
            cursor.take(",")
    cursor.take("}")
    return keys
