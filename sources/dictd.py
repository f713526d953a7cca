"""A dictd dictionary is an index (headword, offset, length in base-64 digits) into one text, an entry being a few lines
of prose.

What those lines mean is custom, not format: this is the custom of FreeDict's dictionaries. The first line is the
headword with pronunciation and part of speech; then come senses, numbered or not, whose translations stand between
commas; deeper lines are examples and notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import regex

from curate.steps import BadRow, SourceError
from sources.mapping import raw_text
from sources.reading import Progress, guarded, lines, open_bytes, open_text, too_long

MAX_TEXT = 2 << 30
"""Bytes of an unpacked dictionary beyond which it is not what it is said to be."""
_DIGITS = {
    ord(digit): value for value, digit in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_ABOUT = regex.compile(r"00-?database")
_PRONUNCIATION = regex.compile(r"(?:(?<=\s)|^)(?://.*?//|/[^/\n]+/)(?=[\s,<\[]|$)")
_TAG = regex.compile(r"<[^<>\n]*>|\[[^\[\]\n]*\]|\{[^{}\n]*\}")
_WORD_CLASS = regex.compile(r"<([^<>/\n]{1,24})>")
_PARENTHESIS = regex.compile(r"\([^()\n]*\)|（[^（）\n]*）")
_SENSE = regex.compile(r"\s*(\d{1,3})\.(?:\s+|$)")
_NEXT_SENSE = regex.compile(r"\s\d{1,2}\.\s*$")
_NOTE = regex.compile(r"\s+\p{L}[\p{L} ]{1,20}:(?:\s|$)")
_EXAMPLE = regex.compile(r"\s+\"(.+?)\"\s*(?:-\s+(.+?))?\s*$")
_COMMA = regex.compile(r"\s*(?:[,;](?=\s|$)|[،؛、；，])\s*")
_FULL_STOP = regex.compile(r"(?<=\p{L}{4})\.\s+(?=\S)")
_BLANKS = regex.compile(r"[\s\p{Z}]+")
_LETTER = regex.compile(r"\p{L}")


@dataclass(frozen=True)
class Entry:
    """What one entry says."""

    heads: tuple[str, ...]
    """The headword and its other spellings."""
    word_class: str
    senses: tuple[tuple[int, tuple[str, ...]], ...]
    """Number of the sense (from 1) and its translations."""
    examples: tuple[tuple[str, str], ...]
    """Phrases with their translations."""


def number(digits: str) -> int:
    """The value of base-64 digits, most significant first.

    Raises:
        ValueError: it is empty or has another character.
    """
    value = 0
    if not digits:
        raise ValueError("a number is missing")
    for digit in digits:
        found = _DIGITS.get(ord(digit))
        if found is None:
            raise ValueError(f"'{digit}' is no base-64 digit")
        value = value * 64 + found
    return value


def text_of(index: Path) -> Path:
    """The text file that belongs to an index: the same name with ``.dict.dz`` or ``.dict``.

    Raises:
        SourceError: there is none.
    """
    for suffix in (".dict.dz", ".dict", ".dict.gz"):
        found = index.with_name(index.name.removesuffix(".index") + suffix)
        if found.is_file():
            return found
    raise SourceError(f"{index.name} has no text beside it: {index.name.removesuffix('.index')}.dict.dz (or .dict)")


def read_entries(
    index: Path, text: Path, name: str, glosses: bool | None, limit: int, warn: Callable[[str], None] | None
) -> Iterator[tuple[int, str, Entry] | BadRow]:
    """Line in the index, headword there, and entry; an entry that several headwords share comes once.

    Args:
        glosses: whether a line after the translations of a sense explains them in the source language (as WikDict's
            dictionaries do); None: told by what the dictionary says of itself.
        limit: bytes of the longest entry that is read.

    Raises:
        SourceError: the text is damaged, or one of the files is no dictionary.
    """
    data = _whole(text)
    progress = Progress(name)
    seen: set[int] = set()
    empty = good = 0
    if glosses is None:
        glosses = b"WikDict" in data[:16384]
    with guarded(progress), open_text(index) as file:
        for line in lines(file, progress, limit):
            place = progress.at
            if isinstance(line, BadRow):
                yield line
                continue
            if not line:
                continue
            cells = line.split("\t")
            if len(cells) not in (3, 4):
                yield BadRow(f"line {place}", f"{len(cells)} cells where an index has 3 or 4", raw_text(line))
                continue
            if _ABOUT.match(cells[0]):
                continue
            try:
                start, length = number(cells[1]), number(cells[2])
                if start + length > len(data):
                    raise ValueError(f"it points {start + length - len(data):,} bytes beyond the end of {text.name}")
                if length > limit:
                    raise ValueError(f"the entry is {too_long(limit)}")
                if start in seen:
                    continue
                seen.add(start)
                body = data[start : start + length].decode()
                entry = parse(body, glosses=glosses)
            except UnicodeDecodeError as error:
                yield BadRow(
                    f"line {place}", f"the entry is not UTF-8 ({error.reason})", raw_text(data[start : start + length])
                )
                continue
            except ValueError as error:
                yield BadRow(f"line {place}", str(error), raw_text(line))
                continue
            if not entry.heads:
                yield BadRow(f"line {place}", "the entry has no headword", raw_text(body))
                continue
            good += 1
            empty += not entry.senses
            yield place, cells[-1] if len(cells) == 4 else cells[0], entry
    if empty and warn is not None:
        warn(
            f"{name}: {empty:,} of {good:,} entries give no translation (they refer to others or explain) and were "
            "passed over"
        )


def _whole(text: Path) -> bytes:
    progress = Progress(text.name, word="byte")
    with guarded(progress), open_bytes(text) as file:
        data = file.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise SourceError(f"{text.name} unpacks to more than {MAX_TEXT >> 30} GiB; this is no dictionary")
    return data


def parse(body: str, *, glosses: bool = False) -> Entry:
    """What an entry says: its headwords cleaned of pronunciation and labels, its senses, its translated examples."""
    first, *rest = body.split("\n")
    word_class = _WORD_CLASS.search(first)
    bare = _TAG.sub(" ", _PRONUNCIATION.sub(" ", _TAG.sub(" ", first)))
    heads = tuple(dict.fromkeys(head for part in _COMMA.split(bare) if (head := _clean(part))))
    senses: dict[int, list[str]] = {}
    examples: list[tuple[str, str]] = []
    sense, said = 1, False
    for line in rest:
        if not line.strip():
            continue
        if match := _EXAMPLE.match(line):
            if match[2]:
                examples.append((_clean(match[1]), _clean(match[2])))
            continue
        if _NOTE.match(line) or line.startswith("      "):
            continue
        if match := _SENSE.match(line):
            # With glosses, a number that stands alone is a sense without translations: its gloss follows.
            sense, said = int(match[1]), glosses
            line = line[match.end() :]
        elif glosses and said:
            continue
        found = [
            target for part in _COMMA.split(_translations(line)) if (target := _clean(part)) and _LETTER.search(target)
        ]
        said = said or bool(found)
        senses.setdefault(sense, []).extend(found)
    told = ((which, tuple(dict.fromkeys(targets))) for which, targets in senses.items() if targets)
    return Entry(heads, word_class[1] if word_class else "", tuple(told), tuple(examples))


def _translations(line: str) -> str:
    """A line of translations without labels, remarks and the phrases that follow a full stop."""
    line = _NEXT_SENSE.sub("", _TAG.sub(" ", line))
    while (shorter := _PARENTHESIS.sub(" ", line)) != line:
        line = shorter
    stop = _FULL_STOP.search(line)
    return line[: stop.start()] if stop else line


def _clean(text: str) -> str:
    return _BLANKS.sub(" ", text.replace("~", " ")).strip().rstrip(".;:,").strip()
