"""Docstrings are plain text with code between double backticks; here they become Markdown in which nothing else is
markup."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

_CODE = re.compile(r"``(.+?)``|:\w+:`~?([^`]+)`|`([^`]+)`", re.S)
_ITEM = re.compile(r"^\s*(?:[*-]|\d+\.) ")


def first_sentence(part: type) -> str:
    return " ".join((inspect.getdoc(part) or "").split("\n\n")[0].split())


def code(text: str) -> str:
    """Text as code, whatever is in it."""
    text = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def inline(text: str) -> str:
    """One line of a docstring as Markdown: code stays code, and nothing else means anything."""
    parts, end = [], 0
    for match in _CODE.finditer(text):
        parts += [_plain(text[end : match.start()]), code(match[1] or match[3] or match[2].rsplit(".", 1)[-1])]
        end = match.end()
    return " ".join("".join([*parts, _plain(text[end:])]).split())


def prose(text: str) -> str:
    """A docstring as Markdown: paragraphs, and lists where lines begin with a mark."""
    made = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        lines: list[str] = []
        for line in block.split("\n"):
            if lines and not _ITEM.match(line):
                lines[-1] += f" {line.strip()}"
            else:
                lines.append(line.strip())
        made.append("\n".join(f"* {inline(line[2:])}" if line[:2] in ("* ", "- ") else inline(line) for line in lines))
    return "\n\n".join(made)


def _plain(text: str) -> str:
    return re.sub(r"([\\*_\[\]{}#|~])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;")).replace(
        "\\|", "&#124;"
    )


def type_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a value may be, in words: ``number 0 to 1 or null``, ```keep` or `drop```, ``list of language tag``."""
    return " or ".join(dict.fromkeys(_types(schema, definitions))) or "anything"


def _types(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        found = definitions.get(name, {})
        if found.get("type") == "object" and found.get("properties"):
            return [f"[{_plain(found.get('title', name))}](#{found.get('title', name).lower()})"]
        return _types(found, definitions)
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            each = schema[alternatives]
            by_language = [one for one in each if _is_by_language(one, each)]
            told = [word for one in each if one not in by_language for word in _types(one, definitions)]
            return [*told, *(["a mapping of language tags to these"] if by_language else [])]
    if "enum" in schema:
        return [code(str(one)) for one in schema["enum"]]
    if "const" in schema:
        return [code(str(schema["const"]))]
    match schema.get("type"):
        case "array":
            inner = " or ".join(dict.fromkeys(_types(schema.get("items", {}), definitions)))
            return [f"list of {inner}" if inner else "list"]
        case "object":
            values = schema.get("additionalProperties")
            inner = " or ".join(dict.fromkeys(_types(values, definitions))) if isinstance(values, dict) else ""
            return [f"mapping to {inner}" if inner else "mapping"]
        case "integer" | "number" as sort:
            return [f"{'whole number' if sort == 'integer' else 'number'}{_range(schema)}"]
        case "boolean":
            return ["true or false"]
        case "null":
            return ["null"]
        case "string":
            return ["language tag" if "BCP-47" in schema.get("description", "") else "text"]
    return []


def _is_by_language(schema: Mapping[str, Any], beside: list[Any]) -> bool:
    """Whether it is what a ``PerLanguage`` becomes: a mapping to values like the one that stands beside it."""
    return schema.get("minProperties") == 1 and schema.get("additionalProperties") in beside


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" {low:g} to {high:g}"
    told = [
        f"{word} {value:g}"
        for word, value in (("from", low), ("over", above), ("to", high), ("under", below))
        if value is not None
    ]
    return f" {' '.join(told)}" if told else ""
