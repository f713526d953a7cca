"""A prompt is a template filled in one pass: what comes from a row is data inside fences, and can never become template or role.

Templates are data (YAML beside this module, or the user's own text in a catalog) with ``{name}`` as the only syntax
(``{{`` and ``}}`` for braces). A value is put in once and not looked at again, so braces in it mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from curate.errors import StepError
from curate.generation.making import hash_of

_PART = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|[{}]")


@dataclass(frozen=True)
class Prompt:
    """Turns with holes: ((role, text), …)."""

    name: str
    turns: tuple[tuple[str, str], ...]

    @property
    def holes(self) -> frozenset[str]:
        """The names that must be given."""
        return frozenset(name for _, text in self.turns for name in _holes(text))

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of its text, for lineage."""
        return hash_of(self.turns)

    def fill(self, values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """The messages. Turns that are blank once filled are left out (an optional system turn)."""
        filled = [(role, _fill(text, values)) for role, text in self.turns]
        return tuple((role, text) for role, text in filled if text.strip())


def load_prompt(name: str) -> Prompt:
    """A shipped prompt, by its name (``respond/persona``).

    Raises:
        StepError: there is none of that name.
    """
    return _shipped(name)


@cache
def _shipped(name: str) -> Prompt:
    path = files("curate.generation").joinpath("prompts_data", f"{name}.yaml")
    if not path.is_file():
        raise StepError(f"no prompt is called '{name}'")
    return own_prompt(name, yaml.safe_load(path.read_text("utf-8")))


def own_prompt(name: str, given: str | Iterable[Mapping[str, Any]]) -> Prompt:
    """A prompt from a text (one user turn) or a list of ``{role: text}`` or ``{role, content}``.

    Raises:
        StepError: a role is unknown, or a brace stands alone; the message shows where.
    """
    turns = [("user", given)] if isinstance(given, str) else [_turn(one) for one in given]
    for role, text in turns:
        if role not in ("system", "user", "assistant"):
            raise StepError(f"prompt '{name}': unknown role '{role}'; there are system, user, assistant")
        for match in _PART.finditer(text):
            if match[0] in "{}":
                raise StepError(f"prompt '{name}': a single '{match[0]}' near '{text[max(0, match.start() - 20) : match.end() + 20]}'; "
                                "write {{ and }} for braces, {name} for a value")  # fmt: skip
    return Prompt(name, tuple(turns))


def _turn(one: Mapping[str, Any]) -> tuple[str, str]:
    if set(one) == {"role", "content"}:
        return str(one["role"]), str(one["content"])
    if len(one) != 1:
        raise StepError(f"a turn is 'role: text', not {dict(one)!r}")
    role, text = next(iter(one.items()))
    return str(role), str(text)


def fence(text: str, name: str = "text") -> str:
    """The text between ``<name …>`` and ``</name …>`` lines that cannot stand in it, so it cannot end itself.

    The mark depends on the text alone: equal texts make equal prompts.
    """
    mark = name
    number = 0
    while re.search(rf"<\s*/?\s*{re.escape(mark)}\b", text, re.IGNORECASE):
        number += 1
        mark = f"{name}-{hash_of(text, number)[:6]}"
    return f"<{mark}>\n{text}\n</{mark}>"


def _holes(text: str) -> list[str]:
    return [match[1] for match in _PART.finditer(text) if match[1]]


def _fill(text: str, values: Mapping[str, str]) -> str:
    def put(match: re.Match[str]) -> str:
        if match[1]:
            if match[1] not in values:
                raise StepError(
                    f"the prompt asks for '{{{match[1]}}}', which nobody gives; there are {', '.join(values)}"
                )
            return values[match[1]]
        return match[0][0]

    return _PART.sub(put, text)
