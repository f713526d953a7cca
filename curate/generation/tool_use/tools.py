"""Checks a model's calls against a row's tools, and the JSON Schemas of what the models of ``tool_use`` reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from curate.generation.common.requests import InvalidResponse
from curate.rows.tools import Tools, tools_of


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


def made_tools(described_tools: Sequence[Mapping[str, Any]]) -> str:
    """Tools that a model wrote, as a row holds them: a JSON array in OpenAI's form.

    Raises:
        InvalidResponse: a name occurs twice, or parameters are no JSON Schema of an object.
    """
    text = orjson.dumps([{"type": "function", "function": one} for one in described_tools]).decode()
    tools = tools_of(text)
    if len(tools.functions) < len(described_tools):
        raise InvalidResponse("two tools have the same name")
    for name in tools.unchecked():
        raise InvalidResponse(f"the parameters of '{name}' are no JSON Schema")
    for name, function in tools.functions.items():
        parameters = function["parameters"]
        properties = parameters.get("properties")
        if parameters.get("type") != "object" or not isinstance(properties, dict):
            raise InvalidResponse(
                f"the parameters of '{name}' must be a JSON Schema of type 'object' with 'properties'"
            )
        if missing := [one for one in parameters.get("required", ()) if one not in properties]:
            raise InvalidResponse(f"'{name}' requires {', '.join(missing)}, which its properties lack")
    return text


MADE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "tools": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,63}$"},
                    "description": {"type": "string", "minLength": 1},
                    "parameters": {"type": "object"},
                },
                "required": ["name", "description", "parameters"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["tools"],
    "additionalProperties": False,
}
"""The JSON Schema of tools made from a description."""
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
