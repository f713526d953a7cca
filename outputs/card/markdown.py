"""Escapes text from the data as Markdown that renders as exactly that text: no markup, links, broken tables or
reordering.

Text with right-to-left letters is put between isolates (U+2068 … U+2069), so that it cannot reorder what is around it;
direction characters are removed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

_DIRECTION = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_MARKUP = re.compile(r"([\\`*_{}\[\]()#!|~$<>&@])")
_LINE_START = re.compile(r"^()([-+](?=[\s-]|$)|=+(?=\s*$)|\d{1,9}[.)](?=\s|$))")
_ADDRESS = re.compile(r"(?i)(?<=[a-z])(://|(?<=\bwww)\.)")
_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_LONGEST = 600


def plain(text: Any, most: int = _LONGEST) -> str:
    """A text on one line, without control and direction characters, cut to ``most`` characters."""
    known = (
        " " if (sort := unicodedata.category(sign)) == "Cc" else "" if sort in ("Cs", "Cn", "Co") else sign
        for sign in str(text).translate(_DIRECTION)
    )
    flat = " ".join("".join(known).split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def isolated(text: str) -> str:
    """Adds isolates to a text with right-to-left letters."""
    if any(unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT for sign in text):
        return f"\u2068{text}\u2069"
    return text


def prose(text: Any, most: int = _LONGEST) -> str:
    """A text as Markdown that renders as exactly that text, on one line."""
    flat = _MARKUP.sub(r"\\\1", plain(text, most)).replace(r"\<", "&lt;").replace(r"\>", "&gt;").replace(r"\&", "&amp;")
    flat = _LINE_START.sub(lambda match: f"{match[1]}{match[2][:-1]}\\{match[2][-1]}", flat)
    return isolated(_ADDRESS.sub(lambda match: match[1].replace("/", "\\/", 1) if "/" in match[1] else "\\.", flat))


def code(text: Any, most: int = _LONGEST) -> str:
    """A text as inline code, in tables too."""
    flat = plain(text, most).replace("|", "\\|")
    if not flat:
        return ""
    longest = max((len(run) for run in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if flat[0] == "`" or flat[-1] == "`" else ""
    return isolated(f"{fence}{pad}{flat}{pad}{fence}")


def value(parameter: Any, most: int = 160) -> str:
    """A parameter's value as inline code; as JSON if it is not text."""
    return code(parameter if isinstance(parameter, str) else orjson.dumps(parameter).decode(), most)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> list[str]:
    """A table of cells that are already Markdown.

    Args:
        numbers: positions of right-aligned columns.
    """
    right = set(numbers)
    body = [list(row) for row in rows]
    marks = ["---:" if place in right else "---" for place in range(len(header))]
    return [f"| {' | '.join(cells)} |" for cells in (list(header), marks, *body)]


def block(text: str, language: str = "") -> list[str]:
    """A code block with a fence that its text cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *text.splitlines(), fence]
