"""``${...}`` is replaced in one pass over the values: dotted names by the catalog's variables, CAPITALS by the
environment.

Every place that took something from the environment is remembered, because only runtime fields may.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.catalog.document import Document, Path, Problem
from curate.catalog.suggestions import nearest

_USE = re.compile(r"\$(\$)?\{([^{}]*)\}")
_ENVIRONMENT = re.compile(r"^([A-Z_][A-Z0-9_]*)(?::-(.*))?$", re.S)
_MOST_LOOKUPS, _DEEPEST = 100_000, 50
_LONG = 8
"""Characters from which on a value does not stand in a message by chance."""
_VARIABLE = re.compile(r"^[A-Za-z][\w-]*(\.[\w-]+)+$")


@dataclass
class Substitution:
    """Replaces the variables of one document."""

    variables: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    from_environment: dict[Path, str] = field(default_factory=dict)
    """Path → name of the environment variable read there."""
    used: dict[str, str] = field(default_factory=dict)
    """Name of an environment variable that was read → its value."""
    missing: dict[Path, str] = field(default_factory=dict)
    """Path → name of an environment variable that is not set."""
    problems: list[Problem] = field(default_factory=list)
    scope: Mapping[str, Any] = field(default_factory=dict)
    """What ``${name}`` stands for inside an entry with ``for:`` (:mod:`curate.catalog.loops`)."""
    _lookups: int = 0

    def apply(self, document: Document, value: Any, path: Path = ()) -> Any:
        """The value with every ``${...}`` replaced; a list inside a list is spliced in."""
        if isinstance(value, dict):
            return {key: self.apply(document, item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            items: list[Any] = []
            for index, item in enumerate(value):
                new = self.apply(document, item, (*path, index))
                spliced = isinstance(item, str) and isinstance(new, list)
                items.extend(new if spliced else [new])
            return items
        return self._text(document, value, path, ()) if isinstance(value, str) else value

    def _text(self, document: Document, text: str, path: Path, inside: tuple[str, ...]) -> Any:
        whole = _USE.fullmatch(text)
        if whole and not whole[1]:
            return self._look_up(document, whole[2].strip(), path, inside)

        def replace(match: re.Match[str]) -> str:
            if match[1]:
                return match[0][1:]
            value = self._look_up(document, match[2].strip(), path, inside)
            if isinstance(value, list | dict):
                self._problem(
                    document, path, f"${{{match[2]}}} is a {type(value).__name__}; inside a text only single values fit"
                )
                return ""
            return str(value)

        return _USE.sub(replace, text)

    def _look_up(self, document: Document, name: str, path: Path, inside: tuple[str, ...]) -> Any:
        # Variables that name each other twice double at every level, as aliases do.
        self._lookups += 1
        if self._lookups > _MOST_LOOKUPS or len(inside) >= _DEEPEST:
            if self._lookups <= _MOST_LOOKUPS + 1:
                self._problem(document, path, "variables unfold without end; write the values out")
            self._lookups = max(self._lookups, _MOST_LOOKUPS + 1)
            return ""
        if name in self.scope:
            return self.scope[name]
        environment = _ENVIRONMENT.match(name)
        if environment:
            variable, default = environment[1], environment[2]
            self.from_environment[path] = variable
            if variable in self.environment:
                self.used[variable] = self.environment[variable]
                return self.environment[variable]
            if default is not None:
                return default
            self.missing[path] = variable
            return f"${{{variable}}}"
        if not _VARIABLE.match(name):
            self._problem(
                document,
                path,
                f"'${{{name}}}' is neither a variable (languages.x, variables.x), a name of 'for:' nor an"
                f" ENVIRONMENT_NAME{nearest(name, self.scope)}",
            )
            return ""
        if name in inside:
            self._problem(document, path, f"variables refer to each other in a circle: {' → '.join([*inside, name])}")
            return ""
        value: Any = self.variables
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                near = nearest(name, self._names())
                self._problem(document, path, f"there is no variable '{name}'{near}")
                return ""
            value = value[part]
        return self._inner(document, value, path, (*inside, name))

    def _inner(self, document: Document, value: Any, path: Path, inside: tuple[str, ...]) -> Any:
        if isinstance(value, str):
            return self._text(document, value, path, inside)
        if isinstance(value, list):
            return [self._inner(document, item, path, inside) for item in value]
        if isinstance(value, dict):
            return {key: self._inner(document, item, path, inside) for key, item in value.items()}
        return value

    def _names(self) -> list[str]:
        return [
            f"{top}.{name}" for top, inner in self.variables.items() if isinstance(inner, Mapping) for name in inner
        ]

    def _problem(self, document: Document, path: Path, message: str) -> None:
        self.problems.append(Problem(document.mark(path), message))


def hidden(
    problem: Problem,
    used: Mapping[str, str],
    documents: Sequence[Document],
    from_environment: Mapping[tuple[int, Path], str],
) -> Problem:
    """A problem with ``${NAME}`` in place of what came from the environment: it may be secret.

    Args:
        used: name of an environment variable → its value.
        from_environment: (id of a document, path) → name of the environment variable read there.
    """
    message = problem.message
    for name, value in sorted(used.items(), key=lambda pair: (-len(pair[1]), pair)):
        # A short value may stand in a message by chance; it is meant where its own line is.
        here = len(value) >= _LONG or any(
            variable == name and problem.mark in [document.mark(place[:end]) for end in range(1, len(place) + 1)]
            for document in documents
            for (owner, place), variable in from_environment.items()
            if owner == id(document)
        )
        for form in sorted({value, value.strip(), repr(value)[1:-1]} - {""}, key=len, reverse=True) if here else ():
            edge = ("", "") if len(form) >= _LONG else (r"(?<!\w)", r"(?!\w)")
            message = re.sub(edge[0] + re.escape(form) + edge[1], f"${{{name}}}", message)
    return Problem(problem.mark, message)
