"""Turns values of a catalog into what classes and messages need: validation errors into sentences, relative paths into
absolute ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from curate.catalog.docstrings import documented
from curate.catalog.document import Document, Problem
from curate.catalog.document import Path as Place
from curate.catalog.model import at_home
from curate.catalog.params import Params
from curate.catalog.suggestions import nearest


def rooted(values: dict[str, Any], folder: Path, paths: Collection[str] = ()) -> dict[str, Any]:
    """Relative paths of a source, model or step, made absolute from the catalog's folder.

    ``path``, ``…_path`` and the fields that a class names in ``path_fields`` hold files (also in lists and
    mappings); in other
    keys of sources and models only a text that starts with ``./`` or ``../`` does.
    """

    def root(value: Any, sure: bool) -> Any:
        if isinstance(value, list):
            return [root(item, sure) for item in value]
        if isinstance(value, dict) and sure:
            return {key: root(item, sure) for key, item in value.items()}
        if not isinstance(value, str) or "://" in value or value.startswith("${"):
            return value
        return str(folder / at_home(value)) if sure or value.startswith(("./", "../")) else value

    return {
        key: root(value, key == "path" or key.endswith("_path") or key in paths)
        if key not in ("columns", "attributes", "scores")
        else value
        for key, value in values.items()
    }


def explain(details: ErrorDetails, model: type[Params], document: Document, place: Place) -> Problem:
    """One pydantic error as a sentence a catalog's author can act on."""
    # Union members and validator names that pydantic puts into the location are no part of the document.
    location = [part for part in details["loc"] if (*place, part) in document.marks or isinstance(part, str | int)]
    where: Place = place
    shown: list[str] = []
    for part in location:
        if (*where, part) in document.marks:
            where = (*where, part)
            shown.append(str(part))
        elif len(shown) == 0:
            shown.append(str(part))
    mark, key = document.mark(where), ".".join(shown)
    if details["type"] == "extra_forbidden":
        word = str(details["loc"][-1])
        inside = _inside(model, details["loc"][:-1])
        known = [field.alias or name for name, field in inside.model_fields.items()]
        return Problem(mark, f"unknown key '{word}'{nearest(word, known)} (known: {', '.join(known)})")
    if details["type"] == "missing":
        name = str(details["loc"][-1])
        inside = documented(_inside(model, details["loc"][:-1]))
        field = next((field for other, field in inside.model_fields.items() if name in (other, field.alias)), None)
        text = " ".join((field.description or "").split()) if field is not None else ""
        about = f": {text.partition('. ')[0].rstrip('.')}" if text else ""
        return Problem(mark, f"'{name}' is missing{about}")
    message = details["msg"].removeprefix("Value error, ")
    given = details.get("input")
    if details["type"] == "model_type":
        message = "parameters are a mapping, 'name: value', indented below"
    elif details["type"] == "string_type" and isinstance(given, int | float):
        message += f"; put quotes around {given}"
    elif details["type"] in ("literal_error", "enum") and isinstance(given, str):
        message += nearest(given, re.findall(r"'([^']+)'", str(details.get("ctx", {}).get("expected", ""))))
    return Problem(mark, f"{key}: {message}" if key else message)


def _inside(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel]:
    """The parameters that a place within those of ``model`` belongs to; ``model`` itself where there are none of
    their own."""
    for part in location:
        field = next((field for name, field in model.model_fields.items() if part in (name, field.alias)), None)
        if field is None:
            continue  # a member of a union, an index: no field's name
        model = _nested(field.annotation) or model
    return model


def _nested(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _nested(inner)) is not None), None)


def circle(below: Mapping[str, Iterable[str]], name: str) -> tuple[str, ...]:
    """A circle of names that starts from one of them; empty if there is none.

    Args:
        below: name → the names that it is made of.
    """
    done: set[str] = set()

    def visit(one: str, inside: tuple[str, ...]) -> tuple[str, ...]:
        if one in inside:
            return (*inside[inside.index(one) :], one)
        for inner in below[one] if one in below and one not in done else ():
            found = visit(inner, (*inside, one))
            if found:
                return found
        done.add(one)
        return ()

    return visit(name, ())
