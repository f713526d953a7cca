"""The words in descriptions of tools: what the tool and its parameters are for, not names, types or values."""

from __future__ import annotations

import json  # and not orjson, which makes whole numbers beyond 64 bits floats
from collections.abc import Iterator, Sequence
from typing import Any


def is_data(text: str) -> bool:
    """Whether a tool's result is a JSON object or list, which is not translated as a text."""
    if text[:64].lstrip()[:1] not in ("{", "["):
        return False
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False


def descriptions(tools: str) -> list[str]:
    """The descriptions in a row's tools, in order: of each tool, then of its parameters and theirs.

    Args:
        tools: JSON array of tools in OpenAI's form.
    """
    try:
        value = json.loads(tools)
    except ValueError:  # of a plug-in's source
        return []
    return [place["description"] for place in _places(value)]


def with_descriptions(tools: str, texts: Sequence[str]) -> str:
    """The tools with other descriptions, as many and in the same order."""
    value = json.loads(tools)
    for place, text in zip(_places(value), texts, strict=True):
        place["description"] = text
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _places(tools: Any) -> Iterator[dict[str, Any]]:
    """The objects that have a description."""
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if isinstance(function, dict):
            if _described(function):
                yield function
            yield from _below(function.get("parameters"))


def _below(schema: Any) -> Iterator[dict[str, Any]]:
    """The same in a JSON Schema. A property that is called ``description`` is a property."""
    if not isinstance(schema, dict):
        return
    if _described(schema):
        yield schema
    for key in ("properties", "$defs", "definitions", "patternProperties"):
        inner = schema.get(key)
        for one in inner.values() if isinstance(inner, dict) else ():
            yield from _below(one)
    for key in ("items", "additionalProperties", "not"):
        yield from _below(schema.get(key))
    for key in ("anyOf", "allOf", "oneOf", "prefixItems"):
        inner = schema.get(key)
        for one in inner if isinstance(inner, list) else ():
            yield from _below(one)


def _described(value: dict[str, Any]) -> bool:
    return isinstance(value.get("description"), str) and bool(value["description"].strip())
