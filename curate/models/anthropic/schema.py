"""Narrows a JSON Schema to what Anthropic's constrained decoding takes; answers are validated against the whole one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
_SAME = frozenset({"type", "enum", "const", "required", "title", "description"})
# Left to the description and to validation: the decoder cannot keep to them.
_LOOSENED = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minItems",
        "maxItems",
        "uniqueItems",
    }
)
_SILENT = frozenset({"$schema", "$id", "$comment", "default", "examples", "deprecated"})


class _Inexpressible(Exception):
    """The decoder has nothing that means the same."""


def narrowed(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema in the decoder's dialect; None if it has no equivalent there (open objects, references, ``oneOf`` …).

    Objects are closed, which only excludes keys that nothing asks for. Bounds of numbers, texts and lists become part
    of the description.
    """
    try:
        return _narrowed(schema)
    except _Inexpressible:
        return None


def _narrowed(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise _Inexpressible
    found: dict[str, Any] = {}
    loosened: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _SAME:
            found[name] = value
        elif name in _LOOSENED:
            exact = (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1))
            (found if exact else loosened)[name] = value
        elif name in ("anyOf", "allOf") and isinstance(value, list):
            found[name] = [_narrowed(one) for one in value]
        elif name == "items":
            found[name] = _narrowed(value)
        elif name == "properties" and isinstance(value, Mapping):
            found[name] = {key: _narrowed(one) for key, one in value.items()}
        elif name == "additionalProperties":
            if value is not False:
                raise _Inexpressible
        elif name not in _SILENT:
            raise _Inexpressible
    kinds = found.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        if "properties" not in found:
            raise _Inexpressible
        found["additionalProperties"] = False
    elif "properties" in found:
        raise _Inexpressible
    if not found.keys() & {"type", "enum", "const", "anyOf", "allOf"}:
        raise _Inexpressible
    if loosened:
        told = orjson.dumps(loosened).decode()
        found["description"] = f"{found['description']}\n\n{told}" if found.get("description") else told
    return found
