"""Parses JSON exactly: no number loses digits, and duplicate keys are errors.

``orjson`` is twenty times faster than the standard library, but reads ``1.10`` as 1.1, long integers as floats, and of
two equal keys the last. Each line is checked for these cases and only then parsed again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from typing import Any

import orjson

from sources.values import Number

LONGEST_LITERAL = 4 * 1024 * 1024
"""Longer Python literals (in characters) are not read."""
_NUMBER = re.compile(
    rb"[\[:,]\s*(-?\d+(?:\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)|-?\d{19,})(?=\s*[,\]}])",
)
_COLON = re.compile(rb"\\u003[aA]")


class Twice(ValueError):
    """A key occurs twice in one object: which value is meant is unknown."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Twice(f"the key {key[:60]!r} stands twice in one object")
            seen.add(key)
    return made


def _float(text: str) -> float:
    value = float(text)
    return value if orjson.dumps(value) == text.encode() else Number(text)


DECODER = json.JSONDecoder(parse_float=_float, object_pairs_hook=_object)
"""Reads JSON with all digits, and NaN; duplicate keys raise :class:`Twice`."""


def load_json(text: str | bytes) -> Any:
    """The exact value of one JSON text; a lone surrogate stays for the mapping to find.

    Raises:
        ValueError: it is not JSON, or a key occurs twice; the message says what is wrong and where in the line.
    """
    try:
        # ``surrogateescape`` keeps a bad byte inside its value; an unused column may contain one.
        return DECODER.decode(text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deeply") from None


def load_line(line: bytes | str, columns: Collection[str] | None) -> Any:
    """The value of a line of JSON, exact in these columns (None: in all).

    Raises:
        ValueError: as in :func:`load_json`.
    """
    if isinstance(line, str):
        try:
            line = line.encode()
        except UnicodeEncodeError:
            return load_json(line)
    try:
        value = orjson.loads(line)
        # An overwritten key loses its colon; all other colons are written again.
        if line.count(b":") != orjson.dumps(value).count(b":") or type(value) is not dict:
            return load_json(line)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return load_json(line)
    if b"\\u003" in line and _COLON.search(line):
        return load_json(line)
    for name, inner in value.items():
        kind = type(inner)
        if kind is str or kind is int or not (columns is None or name in columns):
            continue
        # Only numbers beyond 64-bit integers can have lost digits; they are floats now.
        if kind is float or ((kind is dict or kind is list) and _float_inside(inner)):
            exact = all(orjson.dumps(orjson.loads(one)) == one for one in _NUMBER.findall(line))
            return value if exact else load_json(line)
    return value


def _float_inside(value: Any) -> bool:
    for inner in value.values() if type(value) is dict else value:
        kind = type(inner)
        if kind is float or ((kind is dict or kind is list) and _float_inside(inner)):
            return True
    return False


# ------------------------------------------------------------------------------------------------ lists written as text
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\\n]|\\[^\n])*'|"(?:[^"\\\n]|\\[^\n])*")"""
    r"""|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)(?![\w.])|(?P<word>None|True|False)\b|(?P<mark>[\[\]{}(),:]))\s*"""
)
_ESCAPE = re.compile(r"""\\(?:([\\'"nrt])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))""")
_PLAIN = {"n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"None": "null", "True": "true", "False": "false", "(": "[", ")": "]"}
_PYTHON = re.compile(r"[\[{(,:]\s*(?:[a-z]{0,2}'|None\b|True\b|False\b|\w+\()")
"""What is in Python's words for a list or an object and never in JSON's."""


def load_text(text: str) -> Any:
    """The list or object that a text holds: JSON, or what ``str()`` makes of one in Python, numpy's arrays of objects
    included.

    Raises:
        ValueError: it is neither; the message says why.
    """
    try:
        return load_json(text)
    except ValueError as error:
        reason = error
    try:
        if len(text) > LONGEST_LITERAL:
            raise ValueError(f"it is longer than {LONGEST_LITERAL >> 20} MiB")
        return load_json("".join(_as_json(text)))
    except ValueError as error:
        if not _PYTHON.search(text, 0, 1_000):
            raise reason from None
        raise ValueError(f"this is Python, not JSON, and cannot be read: {error}") from None


def _as_json(text: str) -> Iterable[str]:
    """A literal of lists, objects, texts, numbers, None, True and False, token by token as JSON; nothing is evaluated.

    Python would join two texts side by side and numpy leaves out commas, so only objects and lists may follow each
    other without one.
    """
    at, before = 0, ""
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{text[at : at + 20].strip()!r} at character {at + 1} is no list, object, text or number")
        at = match.end()
        if (string := match["string"]) is not None:
            token = json.dumps(_ESCAPE.sub(_unescaped, string[1:-1]) if "\\" in string else string[1:-1])
        else:
            token = match["number"] or match["word"] or match["mark"]
            token = _WORDS.get(token, token)
        if token in ("[", "{") and before in ("]", "}"):
            yield ","
        yield token
        before = token


def _unescaped(match: re.Match[str]) -> str:
    plain, byte, short, long, other = match.groups()
    if other is not None:
        raise ValueError(f"'\\{other}' is no escape")
    return _PLAIN.get(plain, plain) if plain is not None else chr(int(byte or short or long, 16))
