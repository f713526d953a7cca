"""The tools of a row: their names, their schemas, and whether a call fits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jsonschema
import orjson

from curate.generation.common.requests import InvalidResponse


class Tools:
    """The tools of a row.

    Args:
        text: JSON array of tools in OpenAI's form.

    Raises:
        ValueError: it names no function.
    """

    def __init__(self, text: str) -> None:
        self.functions: dict[str, Mapping[str, Any]] = {}
        for tool in orjson.loads(text):
            function = tool.get("function", tool) if isinstance(tool, dict) else None
            if isinstance(function, dict) and isinstance(function.get("name"), str):
                self.functions[function["name"]] = function
        if not self.functions:
            raise ValueError("its tools have no function")
        self.text = orjson.dumps(list(self.functions.values()), option=orjson.OPT_INDENT_2).decode()
        self._validators = {name: _validator(one.get("parameters")) for name, one in self.functions.items()}

    def describe(self, name: str) -> str:
        """The description of one tool."""
        return orjson.dumps(self.functions[name], option=orjson.OPT_INDENT_2).decode()

    def check(self, calls: Sequence[Mapping[str, Any]]) -> None:
        """Checks the names and the arguments of calls.

        Raises:
            InvalidResponse: a tool does not exist, or does not allow the arguments; the message says what is wrong.
        """
        for call in calls:
            name = call["name"]
            if name not in self.functions:
                raise InvalidResponse(f"there is no tool '{name}'; there are {', '.join(self.functions)}")
            if (validator := self._validators[name]) is None:
                continue
            error = next(iter(validator.iter_errors(call["arguments"])), None)
            if error is not None:
                place = "/".join(map(str, error.absolute_path))
                raise InvalidResponse(
                    f"the arguments of '{name}' are wrong{f' at {place}' if place else ''}: {error.message}"
                )


@lru_cache(maxsize=1024)
def tools_of(text: str) -> Tools:
    """The tools of a row; see :class:`Tools`."""
    return Tools(text)


def _validator(parameters: Any) -> Any:
    if not isinstance(parameters, dict) or not parameters:
        return None
    cls = jsonschema.validators.validator_for(parameters, default=jsonschema.Draft202012Validator)
    try:
        cls.check_schema(parameters)
    except (jsonschema.SchemaError, RecursionError):
        return None
    return cls(parameters)


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
