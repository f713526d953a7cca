"""What differs between two texts, word by word; in scripts without spaces, grapheme by grapheme."""

from __future__ import annotations

from enum import StrEnum

import regex

from curate.rows.languages import UNKNOWN
from curate.text.words import RUN, pieces

LONGEST = 2_000
"""Characters of a text that are compared and shown; longer texts are cut."""
ALIKE = 0.3
"""Texts that share fewer of their words than this are shown unmarked."""
_BEFORE = 80
_CLUSTER = regex.compile(r"\X")


class Mark(StrEnum):
    """What became of a piece of text."""

    SAME = ""
    REMOVED = "-"
    ADDED = "+"
    NOTE = "note"
    """No text of the row, but a remark about it, such as how much is not shown."""


Pieces = tuple[tuple[Mark, str], ...]


def cut(text: str, most: int = LONGEST) -> Pieces:
    """The text, cut after ``most`` characters at the end of a grapheme, with a remark of how much is not shown."""
    if len(text) <= most:
        return ((Mark.SAME, text),)
    shown = _whole(text, most)
    return ((Mark.SAME, shown), (Mark.NOTE, f"… {len(text) - len(shown):,} more characters"))


def _whole(text: str, most: int) -> str:
    """The first graphemes of a text, at most so many characters; at least one grapheme."""
    window = text[: most + 64]  # a grapheme that begins before the cut ends in it, unless it is absurdly long
    end = 0
    for found in _CLUSTER.finditer(window):
        if found.end() > most and end:
            break
        end = min(found.end(), len(window))
    return window[:end]


def marked(old: str, new: str, language: str = UNKNOWN) -> Pieces:
    """Both texts in one, with what was removed and added marked.

    Of long texts the part around the first difference is compared; remarks say how much is the same before it, and how
    much is not shown after it.

    Args:
        language: of both texts; it decides where words end.
    """
    if old == new:
        return cut(new)
    same = _common(old, new)
    start = same - _BEFORE if same > LONGEST // 2 else 0
    found: list[tuple[Mark, str]] = []
    if start:
        found.append((Mark.NOTE, f"{start:,} characters the same …"))
        old, new = old[start:], new[start:]
    shown = [_whole(text, LONGEST) for text in (old, new)]
    found += differences(shown[0], shown[1], language)
    rest = [len(text) - len(part) for text, part in zip((old, new), shown, strict=True)]
    if any(rest):
        found.append((Mark.NOTE, f"… not shown: {rest[0]:,} more characters before, {rest[1]:,} after the change"))
    return tuple(found)


def differences(old: str, new: str, language: str = UNKNOWN) -> list[tuple[Mark, str]]:
    """Both texts in one, whole, with what was removed and added marked."""
    from rapidfuzz.distance import Indel

    left, right = (_words(text, language) for text in (old, new))
    found: list[tuple[Mark, str]] = []
    gone: list[str] = []
    here: list[str] = []
    for step in Indel.opcodes(left, right):
        if step.tag != "equal":
            gone += left[step.src_start : step.src_end]
            here += right[step.dest_start : step.dest_end]
            continue
        found += _changed(gone, here)
        gone, here = [], []
        found.append((Mark.SAME, "".join(right[step.dest_start : step.dest_end])))
    return found + _changed(gone, here)


def _common(old: str, new: str) -> int:
    """How many characters at the beginning are the same; by halving, since texts may be very long."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if old[low:middle] == new[low:middle] else (low, middle - 1)
    return low


def _changed(gone: list[str], here: list[str]) -> list[tuple[Mark, str]]:
    return [(mark, "".join(words)) for mark, words in ((Mark.REMOVED, gone), (Mark.ADDED, here)) if words]


def _words(text: str, language: str) -> list[str]:
    return [
        part
        for piece, kind in pieces(text, language)
        for part in (_CLUSTER.findall(piece) if kind == RUN or not kind else [piece])
    ]


def likeness(old: str, new: str, language: str = UNKNOWN) -> float:
    """Which share of the words (0 to 1) the beginnings of two texts have in common, in order."""
    from rapidfuzz.distance import Indel

    left, right = (
        [word for word in _words(_whole(text, LONGEST), language) if not word.isspace()] for text in (old, new)
    )
    return float(Indel.normalized_similarity(left, right))
