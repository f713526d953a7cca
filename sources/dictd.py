"""Reads dictd dictionaries: an index (headword, offset, length in base-64 digits) into one text of short prose entries.

The format of an entry is a convention; this is FreeDict's. The first line is the headword with pronunciation and part
of speech. Senses follow, numbered or not, with comma-separated translations; indented lines are examples and notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import regex

from curate.steps import FailedRow, SourceError
from sources.reading import Progress, guarded, lines, open_bytes, open_text, too_long
from sources.records import raw_text

MAX_TEXT = 2 << 30
"""Larger unpacked dictionaries (in bytes) are refused."""
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
    """A parsed entry."""

    heads: tuple[str, ...]
    """The headword and its spelling variants."""
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
        digit_value = _DIGITS.get(ord(digit))
        if digit_value is None:
            raise ValueError(f"'{digit}' is not a base-64 digit")
        value = value * 64 + digit_value
    return value


def text_of(index: Path) -> Path:
    """The text file of an index: the same name with ``.dict.dz`` or ``.dict``.

    Raises:
        SourceError: there is none.
    """
    for suffix in (".dict.dz", ".dict", ".dict.gz"):
        text = index.with_name(index.name.removesuffix(".index") + suffix)
        if text.is_file():
            return text
    raise SourceError(
        f"{index.name} has no text file next to it: {index.name.removesuffix('.index')}.dict.dz (or .dict)"
    )


def read_entries(
    index: Path, text: Path, name: str, glosses: bool | None, limit: int, warn: Callable[[str], None] | None
) -> Iterator[tuple[int, str, Entry] | FailedRow]:
    """Line in the index, headword, and entry; an entry shared by several headwords is returned once.

    Args:
        glosses: whether a line after the translations of a sense explains them in the source language (as in WikDict's
            dictionaries); None: inferred from the dictionary's own description.
        limit: bytes of the longest entry that is read.

    Raises:
        SourceError: the text is damaged, or one of the files is not a dictionary.
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
            if isinstance(line, FailedRow):
                yield line
                continue
            if not line:
                continue
            cells = line.split("\t")
            if len(cells) not in (3, 4):
                yield FailedRow(f"line {place}", f"{len(cells)} cells where an index has 3 or 4", raw_text(line))
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
                yield FailedRow(
                    f"line {place}", f"the entry is not UTF-8 ({error.reason})", raw_text(data[start : start + length])
                )
                continue
            except ValueError as error:
                yield FailedRow(f"line {place}", str(error), raw_text(line))
                continue
            if not entry.heads:
                yield FailedRow(f"line {place}", "the entry has no headword", raw_text(body))
                continue
            good += 1
            empty += not entry.senses
            yield place, cells[-1] if len(cells) == 4 else cells[0], entry
    if empty and warn is not None:
        warn(
            f"{name}: {empty:,} of {good:,} entries have no translation (cross-references, explanations) and were "
            "skipped"
        )


def _whole(text: Path) -> bytes:
    progress = Progress(text.name, word="byte")
    with guarded(progress), open_bytes(text) as file:
        data = file.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise SourceError(f"{text.name} unpacks to more than {MAX_TEXT >> 30} GiB, too much for a dictionary")
    return data


def parse(body: str, *, glosses: bool = False) -> Entry:
    """Parses an entry: headwords without pronunciation and labels, senses, translated examples."""
    first, *rest = body.split("\n")
    word_class = _WORD_CLASS.search(first)
    bare = _TAG.sub(" ", _PRONUNCIATION.sub(" ", _TAG.sub(" ", first)))
    heads = tuple(dict.fromkeys(head for part in _COMMA.split(bare) if (head := _clean(part))))
    senses: dict[int, list[str]] = {}
    examples: list[tuple[str, str]] = []
    sense, has_translations = 1, False
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
            # With glosses, a number alone on a line is a sense without translations: its gloss follows.
            sense, has_translations = int(match[1]), glosses
            line = line[match.end() :]
        elif glosses and has_translations:
            continue
        found_targets = [
            target for part in _COMMA.split(_translations(line)) if (target := _clean(part)) and _LETTER.search(target)
        ]
        has_translations = has_translations or bool(found_targets)
        senses.setdefault(sense, []).extend(found_targets)
    translated = ((which, tuple(dict.fromkeys(targets))) for which, targets in senses.items() if targets)
    return Entry(heads, word_class[1] if word_class else "", tuple(translated), tuple(examples))


def _translations(line: str) -> str:
    """A line of translations without labels, remarks and the phrases after a full stop."""
    line = _NEXT_SENSE.sub("", _TAG.sub(" ", line))
    while (shorter := _PARENTHESIS.sub(" ", line)) != line:
        line = shorter
    stop = _FULL_STOP.search(line)
    return line[: stop.start()] if stop else line


def _clean(text: str) -> str:
    return _BLANKS.sub(" ", text.replace("~", " ")).strip().rstrip(".;:,").strip()
