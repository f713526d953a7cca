"""The template language of catalogs: text with ``{name}`` in it, and ``{{`` and ``}}`` for braces.

A template is read once; braces inside a value that is put in have no meaning. A name may be a path into objects and
lists: ``turns[0].content``, ``turns[-1]``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import regex

_PART = regex.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_INDEXED = regex.compile(r"([^\[\]]+)((?:\[-?[0-9]{1,9}\])+)")
# Brackets are common in the headers of tables ("price [EUR]"); only what can have been meant as an index is a mistake.
_MISTAKEN = regex.compile(r"[^\[\]\s](?:\[[-+\s0-9:,*]*(?:\]|$)|\[[^\]]*$)|^\[[-+\s0-9:,*]*\]")


class UnpairedBraceError(ValueError):
    """A brace without its other half, or around something that cannot be a name."""

    def __init__(self, brace: str, place: int) -> None:
        super().__init__(f"a single '{brace}' at character {place + 1}")
        self.brace = brace
        self.place = place


@lru_cache(maxsize=1024)
def parse(text: str, name: str = r"[^{}]*") -> tuple[tuple[str, str | None], ...]:
    """Each name with the literal text before it; the text after the last one has None.

    Args:
        name: a regular expression that names match.

    Raises:
        UnpairedBraceError: a brace is unpaired.
    """
    pieces: list[tuple[str, str | None]] = []
    literal, done = "", 0
    for match in _PART.finditer(text):
        literal += text[done : match.start()]
        done = match.end()
        if match[0] in ("{{", "}}"):
            literal += match[0][0]
        elif match[1] is not None and regex.fullmatch(name, match[1]):
            pieces.append((literal, match[1]))
            literal = ""
        else:
            raise UnpairedBraceError(match[0][0], match.start())
    if literal or done < len(text):
        pieces.append((literal + text[done:], None))
    return tuple(pieces)


def path(name: str) -> tuple[str | int, ...]:
    """The steps of a name: a text for a key (or, of digits, the place in a list), a number for the place in a list.

    Raises:
        ValueError: an index is malformed.
    """
    steps: list[str | int] = []
    for part in name.split("."):
        if match := _INDEXED.fullmatch(part):
            steps += [match[1], *(int(index) for index in match[2][1:-1].split("]["))]
        elif _MISTAKEN.search(part):
            raise ValueError(
                f"'{name}' has a malformed index; an index is a whole number in brackets after a name, such as "
                "turns[0], or turns[-1] for the last"
            )
        else:
            steps.append(part)
    return tuple(steps)


def fill(text: str, value: Callable[[str], str], name: str = r"[^{}]*") -> str:
    """The text with the value of each name in its place."""
    return "".join(literal + ("" if one is None else value(one)) for literal, one in parse(text, name))
