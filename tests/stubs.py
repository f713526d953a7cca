"""What editors and type checkers know of components: `python -m tests.stubs` writes ``curate/api/components.pyi`` out
of the parameters of all installed ones, a test compares it."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.api.catalog import argument
from curate.catalog.params import Params
from curate.steps import Registry

STUB = Path(__file__).resolve().parents[1] / "curate" / "api" / "components.pyi"
OURS = ("curate", "sources", "filters", "outputs")
HEAD = '''"""What components.py offers, with the parameters of all components that come with curate. Written by
`python -m tests.stubs`; do not edit it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, overload

'''
_SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "array": "list"}


def stub(registry: Registry) -> str:
    """The whole file."""
    lines = [HEAD, "class CatalogMethods:\n"]
    for what in ("source", "model"):
        for name in _ours(registry, what):
            lines += ["    @overload\n", *_method(registry.get(what, name), what, "name: str, use", name)]
    lines.append("    def _add(self, section: str, name: str, values: dict[str, Any]) -> Self: ...\n")
    lines.append("\nclass DatasetMethods:\n")
    for name in _ours(registry, "step"):
        lines += _method(registry.get("step", name), name.replace("-", "_"), "", name)
    for name in _ours(registry, "output"):
        lines += ["    @overload\n", *_method(registry.get("output", name), "output", "output", name)]
    lines.append("    def step(self, step: str, /, **parameters: Any) -> Self:\n")
    lines.append('        """Adds a step by its name, such as one of a plug-in that editors do not know."""\n\n')
    lines.append("    def _append(self, what: str, name: str, parameters: dict[str, Any]) -> Self: ...\n")
    return "".join(lines)


def _ours(registry: Registry, what: str) -> list[str]:
    """Those that come with curate, whatever else is installed here."""
    return [name for name in registry.names(what) if registry.get(what, name).__module__.split(".")[0] in OURS]


def _method(part: type[Params], method: str, first: str, tag: str) -> Iterator[str]:
    """A method with the parameters of one component; ``first`` is the argument that names it."""
    schema = part.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    required = schema.get("required", [])
    properties = dict(sorted(schema.get("properties", {}).items(), key=lambda one: one[0] not in required))
    yield f"    def {argument(method)}(\n        self,\n"
    if first:
        yield f"        {first}: Literal[{_text(tag)}],\n        /,\n"
    if properties or not first:
        yield "        *,\n"
    for key, value in properties.items():
        paths = key == "path" or key.endswith("_path") or key in part.path_fields
        default = "" if key in required else f" = {_default(value)}"
        yield f"        {argument(key)}: {_type(value, definitions, paths)}{default},\n"
    if method not in ("source", "model"):
        yield "        as_: str = ...,\n"
    yield "    ) -> Self:\n"
    yield f'        """{_sentence(part.summary or part.__doc__ or "")}\n\n        Args:\n'
    for key, value in properties.items():
        yield from _wrapped(f"{argument(key)}: {_sentence(value.get('description', ''))}")
    if method not in ("source", "model"):
        yield from _wrapped(f"as_: {'name of its scores and reasons' if not first else 'name of its folder'}.")
    yield '        """\n\n'


def _wrapped(text: str) -> list[str]:
    lines = textwrap.wrap(text, 104, break_long_words=False, break_on_hyphens=False)
    return [f"            {'    ' if at else ''}{line}\n" for at, line in enumerate(lines)]


def _sentence(text: str) -> str:
    """The first sentence of a docstring."""
    plain = " ".join(text.split("\n\n")[0].split())
    found = re.match(r".*?[^.][.](?=\s+[^a-z0-9]|$)", plain)
    return (found[0] if found else plain).replace("\\", "\\\\").replace('"""', "'''")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _default(value: dict[str, Any]) -> str:
    default = value.get("default", ...)
    return _text(default) if isinstance(default, str | int | float | bool | None) else "..."


def _type(schema: dict[str, Any], definitions: dict[str, Any], paths: bool = False) -> str:
    """What may be given for a value with this JSON Schema."""
    return " | ".join(dict.fromkeys(_types(schema, definitions, paths)))


def _types(schema: dict[str, Any], definitions: dict[str, Any], paths: bool) -> Iterator[str]:
    if "$ref" in schema:
        yield from _types(definitions[schema["$ref"].rpartition("/")[2]], definitions, paths)
    elif "anyOf" in schema or "oneOf" in schema:
        for inner in schema.get("anyOf") or schema["oneOf"]:
            yield from _types(inner, definitions, paths)
    elif "allOf" in schema and len(schema["allOf"]) == 1:
        yield from _types(schema["allOf"][0], definitions, paths)
    elif "enum" in schema or "const" in schema:
        yield f"Literal[{', '.join(map(_text, schema.get('enum') or [schema['const']]))}]"
    elif schema.get("type") == "array":
        items = [schema["items"]] if "items" in schema else schema.get("prefixItems", [])
        found = dict.fromkeys(one for item in items for one in _types(item, definitions, paths))
        yield f"Sequence[{' | '.join(found) or 'Any'}]"
    elif schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        named = schema.get("properties")
        value = _type(inner, definitions, paths) if isinstance(inner, dict) and not named else "Any"
        yield f"Mapping[str, {'Any' if 'Mapping' in value else value}]"
    elif isinstance(schema.get("type"), str):
        yield _SIMPLE[schema["type"]]
        if paths and schema["type"] == "string":
            yield "Path"
    else:
        yield "Any"


def write() -> None:
    """Writes the stub anew."""
    STUB.write_text(stub(Registry.installed()), encoding="utf-8")


if __name__ == "__main__":
    write()
