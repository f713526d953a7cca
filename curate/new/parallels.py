"""Finds files whose rows are translations of each other: by a column with the same keys, or by their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.new.similar import aligned, compared
from curate.new.sniff import LEAST, Sniffed
from curate.rows import Kind
from curate.rows.languages import base
from sources.templates import ROW

_SHARED = 0.9
"""The share of the first keys that both files must have."""


@dataclass(frozen=True)
class Translation:
    """How the rows of a source belong to those of another."""

    original: str
    """Name of the source that they translate."""
    key: str
    """The template of both."""
    sure: bool
    """Whether it is more than a guess; a guess is written as a comment."""
    why: str


def find_translations(sources: Mapping[str, Sequence[Sniffed]]) -> dict[str, Translation]:
    """Name of a source → how its rows translate those of another one of them; English, or else the first, is the
    original.

    Args:
        sources: name → its files.
    """
    one_language = {
        name: files
        for name, files in sources.items()
        if files[0].kind is not Kind.PARALLEL and len(files[0].tags) == 1 and "key" not in files[0].params
    }
    ordered = sorted(one_language, key=lambda name: base(one_language[name][0].tags[0]) != "en")
    found: dict[str, Translation] = {}
    for at, name in enumerate(ordered):
        for other in ordered[:at]:
            told = None if other in found else _translation(other, one_language[other], one_language[name])
            if told is not None:
                found[name] = told
                break
    return found


def _translation(name: str, original: Sequence[Sniffed], files: Sequence[Sniffed]) -> Translation | None:
    first, other = original[0], files[0]
    languages = first.tags[0], other.tags[0]
    if first.kind is not other.kind or base(languages[0]) == base(languages[1]):
        return None
    for column in other.keys:
        theirs = {key for file in original for key in file.keys.get(column, ())}
        own = [key for file in files for key in file.keys.get(column, ())]
        shared = sum(key in theirs for key in own)
        if shared < max(LEAST, _SHARED * min(len(own), len(theirs))):
            continue
        why = (
            f"{shared:,} of the first {len(own):,} rows have a '{column}' that is in {Path(first.found.path).name} too"
        )
        if not all(key.isdecimal() for key in own):
            return Translation(name, f"{{{column}}}", True, why)
        return _by_place(name, f"{{{column}}}", why, first, other)  # numbers that run from 1 are in any file
    if len(original) == len(files) == 1 and first.length and first.length == other.length:
        why = f"{first.length:,} rows, as many as {Path(first.found.path).name} has"
        return _by_place(name, f"{{{ROW}}}", why, first, other)
    return None


def _by_place(name: str, key: str, why: str, first: Sniffed, other: Sniffed) -> Translation | None:
    """Rows of the same number: sure if the encoder finds that they mean the same, nothing if it finds they do not."""
    if not compared(first.tags[0], other.tags[0]):
        return Translation(name, key, False, f"{why}: see whether these are translations")
    if not aligned(first.texts, other.texts):
        return None
    return Translation(name, key, True, f"{why}, and the first ones mean the same")
