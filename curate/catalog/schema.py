"""The JSON Schema of a catalog, made from the same parameter classes that validate it, so an editor and ``curate check`` agree."""

from __future__ import annotations

from typing import Any

from curate.catalog.files import SECTIONS
from curate.catalog.model import NAME_PATTERN, Budget, DatasetConfig, Names, RunConfig
from curate.catalog.params import Params

_VARIABLE = {"type": "string", "pattern": r"\$\{[^{}]+\}"}


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
            definitions[f"{what}:{name}"] = parameters(names.get(what, name), use={"const": name})
        return {"type": "object", "required": ["use"], "properties": {"use": {"enum": known}}, "allOf": branches}

    def listed(what: str, about: str) -> None:
        known = {name: parameters(names.get(what, name), **{"as": {"type": "string", "pattern": NAME_PATTERN, "description": about}})
                 for name in names.names(what)}  # fmt: skip
        definitions.update({f"{what}:{name}": schema for name, schema in known.items()})
        # One without required parameters may stand alone: `- shape`, or `shape:` with nothing after it.
        definitions[what] = {
            "anyOf": [
                {"enum": [name for name, schema in known.items() if "required" not in schema]},
                {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
                 "properties": {name: {"$ref": f"#/$defs/{what}:{name}"} if "required" in schema
                                else {"anyOf": [{"$ref": f"#/$defs/{what}:{name}"}, {"type": "null"}]} for name, schema in known.items()}},
            ]
        }  # fmt: skip

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
    dataset["properties"]["from"] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
                                     "description": "A source, a dataset, or a list of them."}  # fmt: skip

    def named(value: dict[str, Any]) -> dict[str, Any]:
        return {"type": ["object", "null"], "additionalProperties": value, "propertyNames": {"pattern": NAME_PATTERN}}

    properties = {
        "version": {"const": 1},
        "include": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "variables": {"type": ["object", "null"]},
        "languages": {"type": ["object", "null"]},
        "models": named(used("model")),
        "sources": named(used("source")),
        "datasets": named(dataset),
        "run": parameters(RunConfig),
        "budget": parameters(Budget),
    }
    assert set(properties) == set(SECTIONS)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "curate catalog", "type": "object",
            "required": ["version"], "properties": properties, "additionalProperties": False, "$defs": definitions}  # fmt: skip
    _sort_choices(whole)
    return whole


def _sort_choices(schema: Any) -> None:
    """Puts choices in alphabetical order: ``typing`` takes two literals of the same choices for one, in the order of whichever module was
    loaded first."""
    if isinstance(schema, dict):
        if all(isinstance(one, str) for one in schema.get("enum", [0])):
            schema["enum"] = sorted(schema["enum"])
        for value in schema.values():
            _sort_choices(value)
    elif isinstance(schema, list):
        for value in schema:
            _sort_choices(value)


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
    about = {key: inner[key] for key in ("description", "default", "title") if key in inner}
    return {"anyOf": [inner, _VARIABLE], **about}
