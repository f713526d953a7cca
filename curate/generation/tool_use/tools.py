"""Checks a model's calls against a row's tools, and the JSON Schemas of what the models of ``tool_use`` reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from curate.generation.common.requests import InvalidResponse
from curate.rows.tools import Tools


def described(function: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """A function, or several, as a model is shown them."""
    return orjson.dumps(function, option=orjson.OPT_INDENT_2).decode()


def check_calls(tools: Tools, calls: Sequence[Mapping[str, Any]]) -> None:
    """Checks the names and the arguments of calls.

    Raises:
        InvalidResponse: a tool does not exist, or does not allow the arguments; the message says what is wrong.
    """
    for call in calls:
        name = call["name"]
        if name not in tools.functions:
            raise InvalidResponse(f"there is no tool '{name}'; there are {', '.join(tools.functions)}")
        error = tools.error(name, call["arguments"])
        if error is not None:
            place = "/".join(map(str, error.absolute_path))
            at = f" at {place}" if place else ""
            raise InvalidResponse(f"the arguments of '{name}' are wrong{at}: {error.message}")


REPLY: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "calls": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            },
        },
        "answer": {"type": "string"},
    },
    "required": ["calls", "answer"],
    "additionalProperties": False,
}
"""The JSON Schema of an assistant's step."""
RETURNED: Mapping[str, Any] = {"type": "object", "properties": {"result": {}}, "required": ["result"]}
"""The JSON Schema of a simulated result."""
