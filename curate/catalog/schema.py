"""The JSON Schema of a catalog, made from the same parameter classes that validate it, so an editor and ``curate
check`` agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from curate.catalog.docstrings import documented
from curate.catalog.files import SECTIONS
from curate.catalog.loops import FOR
from curate.catalog.model import NAME_PATTERN, Budget, DatasetConfig, Names, RunConfig
from curate.catalog.params import Params

_VARIABLE = {"type": "string", "pattern": r"\$\{[^{}]+\}"}
_LOOPED = rf"{NAME_PATTERN}|\$\{{"
"""Of names that may have ``${name}`` in them."""
_FOR = {
    "description": "Makes several entries: ``${name}`` in the name and the values is one of these.",
    "anyOf": [
        {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [{"type": "array"}, _VARIABLE]}},
        {"type": "array", "minItems": 1, "items": {"type": "object", "minProperties": 1}},
        _VARIABLE,
    ],
}


def catalog_schema(names: Names) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) for catalogs with the installed sources, steps and models."""
    definitions: dict[str, Any] = {}

    def parameters(model: type[Params], **extra: Any) -> dict[str, Any]:
        schema = model.model_json_schema(ref_template="#/$defs/{model}", by_alias=True)
        for name, inner in schema.pop("$defs", {}).items():
            definitions[name] = inner
        properties = {**extra, **{key: _or_variable(value) for key, value in schema.get("properties", {}).items()}}
        required = [key for key in extra if key == "use"] + schema.get("required", [])
        made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            made["required"] = required
        about = getattr(model, "summary", "") or schema.get("description", "")
        if about:
            made["description"] = about
        return made

    def used(what: str) -> dict[str, Any]:
        known = names.names(what)
        branches = [
            {
                "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
                "then": {"$ref": f"#/$defs/{what}:{name}"},
            }
            for name in known
        ]
        for name in known:
            loop = {FOR: _FOR} if what == "source" else {}
            definitions[f"{what}:{name}"] = parameters(names.get(what, name), use={"const": name}, **loop)
        return {"type": "object", "required": ["use"], "properties": {"use": {"enum": known}}, "allOf": branches}

    def listed(what: str, about: str) -> None:
        known = {
            name: parameters(
                names.get(what, name), **{"as": {"type": "string", "pattern": NAME_PATTERN, "description": about}}
            )
            for name in names.names(what)
        }
        definitions.update({f"{what}:{name}": schema for name, schema in known.items()})
        # One without required parameters may stand alone: `- shape`, or `shape:` with nothing after it.
        definitions[what] = {
            "anyOf": [
                {"enum": [name for name, schema in known.items() if "required" not in schema]},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": False,
                    "properties": {
                        name: {"$ref": f"#/$defs/{what}:{name}"}
                        if "required" in schema
                        else {"anyOf": [{"$ref": f"#/$defs/{what}:{name}"}, {"type": "null"}]}
                        for name, schema in known.items()
                    },
                },
            ]
        }

    listed("step", "name of its scores and reasons")
    listed("output", "name of its folder")
    dataset = parameters(DatasetConfig)
    for what in ("step", "output"):
        about = dataset["properties"][f"{what}s"].get("description", "")
        dataset["properties"][f"{what}s"] = {
            "type": "array",
            "items": {"$ref": f"#/$defs/{what}"},
            "description": about,
        }
    dataset["properties"]["from"] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        "description": documented(DatasetConfig).model_fields["from_"].description,
    }

    dataset["properties"][FOR] = _FOR

    def named(value: dict[str, Any], pattern: str = NAME_PATTERN) -> dict[str, Any]:
        return {"type": ["object", "null"], "additionalProperties": value, "propertyNames": {"pattern": pattern}}

    files = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    properties = {
        "version": {"const": 1},
        "include": files,
        "plugins": {**files, "description": "Python files beside the catalog with steps of your own: code that runs."},
        "variables": {"type": ["object", "null"]},
        "languages": {"type": ["object", "null"]},
        "models": named(used("model")),
        "sources": named(used("source"), _LOOPED),
        "datasets": named(dataset, _LOOPED),
        "run": parameters(RunConfig),
        "budget": parameters(Budget),
    }
    assert set(properties) == set(SECTIONS)
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "curate catalog",
        "type": "object",
        "required": ["version"],
        "properties": properties,
        "additionalProperties": False,
        "$defs": definitions,
    }
    _tidy(whole)
    return _shared(whole)


_ABOUT = ("description", "default")
_WORTH_SHARING = 60
"""Characters of a schema that stands in several places; a shorter one is as short as a reference."""


def _shared(whole: dict[str, Any]) -> dict[str, Any]:
    """The same schema, where whatever stands in several places is defined once; what is said about it stays at its
    place."""
    counts: Counter[str] = Counter()

    def keys(schema: dict[str, Any]) -> tuple[str, str]:
        """With and without what is said about it."""
        bare = {key: value for key, value in schema.items() if key not in _ABOUT}
        return json.dumps(schema, sort_keys=True), json.dumps(bare, sort_keys=True)

    def count(schema: dict[str, Any]) -> None:
        full, bare = keys(schema)
        counts[full] += 1
        counts[bare] += bare != full
        if counts[full] == 1:
            for inner in _inner(schema):
                count(inner)

    def define(text: str, schema: dict[str, Any]) -> dict[str, Any]:
        if text not in names:
            names[text] = f"shared:{len(names) + 1}"
            definitions[names[text]] = _with_inner(schema, share)
        return {"$ref": f"#/$defs/{names[text]}"}

    def share(schema: dict[str, Any]) -> dict[str, Any]:
        full, bare = keys(schema)
        if counts[full] > 1 and len(full) >= _WORTH_SHARING:
            return define(full, schema)
        if counts[bare] > 1 and len(bare) >= _WORTH_SHARING:
            about = {key: schema[key] for key in _ABOUT if key in schema}
            return {**define(bare, {key: value for key, value in schema.items() if key not in _ABOUT}), **about}
        return _with_inner(schema, share)

    names: dict[str, str] = {}
    definitions: dict[str, Any] = {}
    given = whole.pop("$defs")
    for schema in [whole, *given.values()]:
        count(schema)
    made = _with_inner(whole, share)
    definitions |= {name: _with_inner(schema, share) for name, schema in given.items()}
    return {**made, "$defs": definitions}


_ONE = ("items", "additionalProperties", "propertyNames", "if", "then", "else", "not")
_SEVERAL = ("anyOf", "oneOf", "allOf", "prefixItems")


def _inner(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schemas inside a schema."""
    for key, value in schema.items():
        if key in _ONE and isinstance(value, dict):
            yield value
        elif key in _SEVERAL:
            yield from (one for one in value if isinstance(one, dict))
        elif key in ("properties", "patternProperties"):
            yield from (one for one in value.values() if isinstance(one, dict))


def _with_inner(schema: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _ONE and isinstance(value, dict):
            made[key] = change(value)
        elif key in _SEVERAL:
            made[key] = [change(one) if isinstance(one, dict) else one for one in value]
        elif key in ("properties", "patternProperties"):
            made[key] = {name: change(one) if isinstance(one, dict) else one for name, one in value.items()}
        else:
            made[key] = value
    return made


def written(schema: Any, indent: int = 0) -> str:
    """JSON with whatever fits into a line of 160 characters in one, and sorted keys, so that a file of it is short
    and its changes few."""
    line = json.dumps(schema, ensure_ascii=False, sort_keys=True)
    if len(line) + indent <= 160 or not isinstance(schema, dict | list) or not schema:
        return line
    margin = " " * (indent + 1)
    if isinstance(schema, list):
        inside = [f"{margin}{written(value, indent + 1)}" for value in schema]
        return "[\n" + ",\n".join(inside) + f"\n{' ' * indent}]"
    inside = [
        f"{margin}{json.dumps(key, ensure_ascii=False)}: {written(value, indent + 1)}"
        for key, value in sorted(schema.items())
    ]
    return "{\n" + ",\n".join(inside) + f"\n{' ' * indent}}}"


def _tidy(schema: Any, *, names: bool = False) -> None:
    """Takes out titles, which only repeat names, and puts choices in alphabetical order: ``typing`` takes two
    literals of the same choices
    for one, in the order of whichever module was loaded first.

    Args:
        names: the keys are names of properties or definitions, not words of JSON Schema.
    """
    if isinstance(schema, dict):
        if not names and all(isinstance(one, str) for one in schema.get("enum", [0])):
            schema["enum"] = sorted(schema["enum"])
        if not names and "version" not in schema.get("properties", ()):
            schema.pop("title", None)
        for key, value in schema.items():
            _tidy(value, names=not names and key in ("properties", "patternProperties", "$defs"))
    elif isinstance(schema, list):
        for value in schema:
            _tidy(value)


def _or_variable(schema: Any) -> dict[str, Any]:
    """The schema of a value, or a text with ``${...}`` in its place, at every depth."""
    if not isinstance(schema, dict):
        return schema  # type: ignore[no-any-return]
    inner = {
        key: _or_variable(value) if key in ("items", "additionalProperties") else value for key, value in schema.items()
    }
    if "anyOf" in inner:
        inner["anyOf"] = [_or_variable(value) for value in inner["anyOf"]]
    free_text = inner.get("type") == "string" and "pattern" not in inner and "enum" not in inner
    if free_text or "anyOf" in inner or inner.get("type") == "object" or "$ref" in inner:
        if "anyOf" in inner and _VARIABLE not in inner["anyOf"]:
            inner["anyOf"] = [*inner["anyOf"], _VARIABLE]
        return inner
    about = {key: inner.pop(key) for key in _ABOUT if key in inner}
    inner.pop("title", None)
    return {"anyOf": [inner, _VARIABLE], **about}
