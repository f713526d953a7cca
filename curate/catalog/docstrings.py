"""Reads the descriptions of parameters from the docstrings below them, when they are asked for: reading them with every
class would take a sixth of a command's start."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


@cache
def documented(model: type[M]) -> type[M]:
    """The same class, after its fields, and those of the classes inside them, have got their descriptions."""
    known = [_docstrings(base.__module__).get(base.__qualname__) for base in model.__mro__]
    changed = False
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            documented(inner)
            changed = True
        if field.description is None:
            own = next((one for one in known if one is not None and name in one), {})
            field.description = own.get(name)
            changed = changed or field.description is not None
    if changed:
        model.model_rebuild(force=True)
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The classes of parameters anywhere inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


@cache
def _docstrings(module: str) -> dict[str, dict[str, str | None]]:
    """Qualified name of each class of a module → its annotated names with the docstrings below them."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):  # made by hand, built in
        return {}
    found: dict[str, dict[str, str | None]] = {}

    def visit(node: ast.AST, inside: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                found[f"{inside}{child.name}"] = _below(child)
                visit(child, f"{inside}{child.name}.")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                visit(child, f"{inside}{child.name}.<locals>.")
            else:
                visit(child, inside)

    visit(tree, "")
    return found


def _below(node: ast.ClassDef) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            found[statement.target.id] = inspect.cleandoc(said) if isinstance(said, str) else None
    return found
