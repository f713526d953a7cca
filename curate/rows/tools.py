"""The tools that a row's conversation may call: their functions, and whether arguments fit them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson


class Tools:
    """The tools of a row.

    Args:
        text: JSON array of tools in OpenAI's form. What is no JSON, or no function, is no tool.
    """

    def __init__(self, text: str) -> None:
        try:
            listed = orjson.loads(text)
        except ValueError:
            listed = []
        self.functions: dict[str, Mapping[str, Any]] = {}
        """Name → the function: name, description, parameters."""
        for tool in listed if isinstance(listed, list) else [listed]:
            function = tool.get("function", tool) if isinstance(tool, dict) else None
            if isinstance(function, dict) and isinstance(name := function.get("name"), str):
                self.functions[name] = function
        self._validators = {name: _validator(one.get("parameters")) for name, one in self.functions.items()}

    def unchecked(self) -> list[str]:
        """The names of the functions whose arguments nothing checks: their parameters are no usable JSON Schema."""
        return [name for name, validator in self._validators.items() if validator is None]

    def error(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """The first ``jsonschema.ValidationError`` of a call's arguments.

        None if they fit, or if the tool has no usable schema to check them by.
        """
        validator = self._validators[name]
        try:
            return None if validator is None else next(iter(validator.iter_errors(arguments)), None)
        except Exception:  # noqa: BLE001 - a schema that refers to what is not there, or to itself
            return None


@lru_cache(maxsize=1024)
def tools_of(text: str) -> Tools:
    """The tools of a row; see :class:`Tools`."""
    return Tools(text)


def _validator(parameters: Any) -> Any:
    if not isinstance(parameters, dict) or not parameters:
        return None
    import jsonschema

    cls = jsonschema.validators.validator_for(parameters, default=jsonschema.Draft202012Validator)
    try:
        cls.check_schema(parameters)
    except (jsonschema.SchemaError, RecursionError):
        return None
    return cls(parameters)
