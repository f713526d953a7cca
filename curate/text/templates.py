"""The template language of catalogs: text with ``{name}`` in it, and ``{{`` and ``}}`` for braces.

A template is read once; braces inside a value that is put in have no meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import regex

_PART = regex.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


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


def fill(text: str, value: Callable[[str], str], name: str = r"[^{}]*") -> str:
    """The text with the value of each name in its place."""
    return "".join(literal + ("" if one is None else value(one)) for literal, one in parse(text, name))
