"""Parses JSON answers and validates them against their schema, whatever the server promised.

Validation is by JSON Schema 2020-12 (or the draft that ``$schema`` names). A reference to another document is an error,
never a download.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import orjson
import regex

from curate.errors import ModelError

_FENCE = regex.compile(r"```[ \t]*(?:json|JSON)?[ \t]*\r?\n?(.*?)```", regex.DOTALL)
_START = regex.compile(r"[\[{]")
_MOST_STARTS = 40
_SURROGATE = regex.compile(r"[\ud800-\udfff]")


class Schema:
    """A JSON Schema ready to check values."""

    def __init__(self, schema: Any) -> None:
        """Compiles it.

        Raises:
            ModelError: it is no valid schema.
        """
        import jsonschema
        from jsonschema.validators import validator_for
        from referencing import Registry

        kind = validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema)
        except jsonschema.SchemaError as error:
            where = "/".join(map(str, error.absolute_path)) or "its top"
            raise ModelError(
                f"the schema that answers shall satisfy is no JSON Schema (at {where}): {error.message}"
            ) from error
        self._validator = kind(schema, registry=Registry())

    def problem(self, value: Any) -> str:
        """The problem of a value; empty if there is none."""
        from referencing.exceptions import Unresolvable

        try:
            error = next(iter(self._validator.iter_errors(value)), None)
        except Unresolvable as unresolved:
            raise ModelError(f"the schema refers to {unresolved.ref!r}, which is not in it") from unresolved
        except RecursionError:
            return "nested too deeply"
        if error is None:
            return ""
        where = "/".join(map(str, error.absolute_path))
        return f"{where}: {error.message}"[:300] if where else str(error.message)[:300]

    def read(self, text: str) -> tuple[Any, str]:
        """The value in an answer, and its problem (empty if there is none).

        The value is the whole answer, otherwise the content of a code fence, otherwise the first JSON object or list
        inside that matches the schema.
        """
        first = ""
        for found, value in _candidates(text):
            problem = self.problem(value) if found else "no JSON"
            if found and not problem:
                return value, ""
            first = first or problem
        return None, f"not what the schema asks for: {first}" if first else "not JSON"


@lru_cache(maxsize=256)
def _compiled(schema: bytes) -> Schema:
    return Schema(orjson.loads(schema))


def compile_schema(schema: Any) -> Schema:
    """Compiles a schema, once for equal ones.

    Raises:
        ModelError: it is not a valid JSON Schema.
    """
    try:
        data = orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise ModelError(f"the schema that answers shall satisfy is not JSON: {error}") from error
    return _compiled(data)


def _candidates(text: str) -> list[tuple[bool, Any]]:
    """Candidates for the JSON in an answer, the most likely first: (whether it was parsed, value)."""
    stripped = text.strip().removeprefix("\ufeff")
    whole = _load(stripped)
    if whole[0]:
        return [whole]
    found = [one for one in (_load(match[1].strip()) for match in _FENCE.finditer(stripped)) if one[0]]
    decoder = json.JSONDecoder(parse_constant=_refuse)
    position, tries = 0, 0
    while tries < _MOST_STARTS and (start := _START.search(stripped, position)):
        tries += 1
        try:
            value, position = decoder.raw_decode(stripped, start.start())
            found.append((True, _without_surrogates(value)))
        except (ValueError, RecursionError):  # Python 3.12 and later read what nobody can walk through
            position = max(position, start.end())
    return found


def _load(text: str) -> tuple[bool, Any]:
    try:
        return True, orjson.loads(text)
    except ValueError:
        pass
    if "\\u" not in text and not _SURROGATE.search(text):
        return False, None
    try:  # orjson refuses lone surrogates, written or escaped
        return True, _without_surrogates(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return False, None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def fit_for_wire(text: str) -> str:
    """The text with each lone surrogate replaced by U+FFFD, since no encoding can represent one."""
    return text if text.isascii() or not _SURROGATE.search(text) else _SURROGATE.sub("\ufffd", text)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return fit_for_wire(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {fit_for_wire(key): _without_surrogates(item) for key, item in value.items()}
    return value


def read_json(data: bytes) -> Any:
    """Parses JSON from a server, including lone surrogates.

    Raises:
        ValueError: it is not JSON, or truncated.
    """
    try:
        return orjson.loads(data)
    except ValueError:
        try:
            return _without_surrogates(json.loads(data))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
