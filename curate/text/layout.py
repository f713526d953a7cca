"""Separates a text's layout (indents, list marks, headings, tables, blank lines, code) from the text to translate.

:func:`by_line` is for sentence translators and gives line bodies. :func:`by_paragraph` is for language models, which
translate better with context, and gives paragraphs. The pieces of both, joined, are the original text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import regex

from curate.rows import languages
from curate.text.sentences import Interval, chop, split

_PREFIX = regex.compile(
    r"[\s\p{Zs}]*+(?:>[ \t]?)*+(?:#{1,6}[ \t]+)?"
    r"(?:(?:[-*+•‣◦▪▸►●○·–—✓✔✗☐☑→»]|\p{So})[ \t]+|[-•]\s?(?=\p{L})|\(?\p{Nd}{1,3}(?:\.\p{Nd}{1,2})*(?:[.):]|\.\))["
    r" \t]+|\(?[A-Za-z][.)][ \t]+"
    r"|[①-⑳⓪-⓿]\s*|\p{Nd}{1,3}[、．）]\s*|[（(]\p{Nd}{1,3}[）)]\s*|[一二三四五六七八九十]{1,3}、)*+(?:\[[ xX]\][ \t]+)?"
)
_ANY_LETTER = regex.compile(r"\p{L}")
_CELL = regex.compile(r"\\?\|")
_TERMINAL = regex.compile(r"[.!?…:;。！？।॥؟۔።:|][\x22'”’»」』）)\]*_`]*$")
_LOWER = regex.compile(r"\p{Ll}")
_WRAPPED = 50
# Begins at a line's end: spaces before it would be walked again from each of them.
_PARAGRAPH = regex.compile(r"(?:\r\n|\n|\r)(?:[ \t\u3000]*+(?:\r\n|\n|\r))++")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text."""

    text: str
    translated: bool
    """Whether it is to be translated; otherwise it stays unchanged."""
    breaks: tuple[tuple[float, str], ...] = ()
    """Line breaks inside a hard-wrapped sentence: relative position and the original characters."""

    @property
    def source(self) -> str:
        """The text to translate, without the breaks of hard-wrapped lines; from :func:`by_line` always one line."""
        if not self.breaks:
            return self.text
        return regex.sub(r"[ \t]*(?:\r\n|\n|\r)[ \t]*", " ", self.text)

    def laid_out(self, translation: str) -> str:
        """The translation with line breaks at about the original positions."""
        if not self.breaks:
            return translation
        places, least = [], 0
        for share, gap in self.breaks:
            wish = round(share * len(translation))
            near = [
                place
                for place in (translation.find(" ", max(wish, least)), translation.rfind(" ", least, wish))
                if place > least
            ]
            if near:
                place = min(near, key=lambda one: abs(one - wish))
                places.append((place, gap))
                least = place + 1
        for place, gap in reversed(places):
            translation = translation[:place] + gap + translation[place + 1 :]
        return translation


def by_line(
    text: str, blocks: Sequence[Interval], keep: Sequence[Interval] = (), *, unwrap: bool = True
) -> list[Piece]:
    """Splits a text into line bodies and table cells to translate, and everything between to keep.

    Args:
        blocks: start and end of spans to keep whole (code), in order.
        keep: start and end of spans in which ``|`` does not separate table cells.
        unwrap: join lines of a hard-wrapped sentence (at least 50 characters, and the next line begins in lower case).
    """
    pieces: list[Piece] = []
    for start, end, kept in _regions(len(text), blocks):
        if kept:
            pieces.append(Piece(text[start:end], False))
            continue
        lines = text[start:end].splitlines(keepends=True)
        index, position = 0, start
        while index < len(lines):
            prefix, body, suffix = _parts(lines[index])
            if prefix:
                pieces.append(Piece(prefix, False))
            last = index
            if unwrap and "|" not in body:
                while last + 1 < len(lines) and _goes_on(lines[last], lines[last + 1]):
                    last += 1
            if last > index:
                pieces.append(_wrapped(lines[index : last + 1], len(prefix)))
                suffix = _parts(lines[last])[2]
            else:
                pieces += _cells(body, position + len(prefix), keep)
            if suffix:
                pieces.append(Piece(suffix, False))
            position += sum(map(len, lines[index : last + 1]))
            index = last + 1
    return pieces


def _regions(length: int, blocks: Sequence[Interval]) -> list[tuple[int, int, bool]]:
    regions, done = [], 0
    for start, end in blocks:
        if start > done:
            regions.append((done, start, False))
        regions.append((start, end, True))
        done = end
    if done < length:
        regions.append((done, length, False))
    return regions


def _parts(line: str) -> tuple[str, str, str]:
    """Indent and marks, body, trailing whitespace with the line's end."""
    core = line.rstrip()
    prefix = _PREFIX.match(core)
    cut = prefix.end() if prefix else 0
    if cut >= len(core) or not _ANY_LETTER.search(core, cut):
        return line, "", ""
    return core[:cut], core[cut:], line[len(core) :]


def _goes_on(line: str, following: str) -> bool:
    core = line.rstrip()
    if len(core) < _WRAPPED or _TERMINAL.search(core) or line[len(core) :].count("\n") != 1:
        return False
    indent, body, _ = _parts(following)
    return bool(body) and not indent.strip() and "|" not in body and _LOWER.match(body) is not None


def _wrapped(lines: Sequence[str], prefix: int) -> Piece:
    first, last = lines[0][prefix:], lines[-1].rstrip()
    inner = [first, *lines[1:-1], last]
    text = "".join(inner)
    breaks, position = [], 0
    for line, following in pairwise(inner):
        core = line.strip()
        position += len(core) + 1
        gap = line[len(line.rstrip()) :] + following[: len(following) - len(following.lstrip())]
        breaks.append((position, gap))
    whole = max(1, position + len(inner[-1].strip()))
    return Piece(text, True, tuple((place / whole, gap) for place, gap in breaks))


def _cells(body: str, position: int, keep: Sequence[Interval]) -> list[Piece]:
    """The cells of a table row; any other body is one piece."""
    if not body:
        return []
    if body.count("|") < 2 and not body.startswith("|"):
        return [Piece(body, True)]
    pieces: list[Piece] = []
    done = 0
    borders = [
        match for match in _CELL.finditer(body) if match[0] == "|" and not inside(keep, position + match.start())
    ]
    for match in [*borders, None]:
        cell = body[done : match.start()] if match else body[done:]
        core = cell.strip()
        if not core or not _ANY_LETTER.search(core):
            pieces.append(Piece(cell, False))
        else:
            start = cell.index(core)
            pieces += [Piece(cell[:start], False), Piece(core, True), Piece(cell[start + len(core) :], False)]
        if match:
            pieces.append(Piece("|", False))
            done = match.end()
    return [piece for piece in pieces if piece.text]


def inside(intervals: Sequence[Interval], place: int) -> bool:
    """Whether a position is inside one of these disjoint, ordered spans."""
    at = bisect_right(intervals, place, key=lambda one: one[0]) - 1
    return at >= 0 and place < intervals[at][1]


def by_paragraph(text: str, blocks: Sequence[Interval], longest: int, language: str = languages.UNKNOWN) -> list[Piece]:
    """Splits a text into paragraphs to translate; blank lines, outer whitespace and code to keep.

    A paragraph longer than ``longest`` characters is split at line breaks, then between sentences, then at clauses.
    """
    pieces: list[Piece] = []
    for start, end, kept in _regions(len(text), blocks):
        if kept:
            pieces.append(Piece(text[start:end], False))
            continue
        region, done = text[start:end], 0
        for match in [*_PARAGRAPH.finditer(region), None]:
            pieces += _paragraph(region[done : match.start()] if match else region[done:], longest, language)
            if match:
                pieces.append(Piece(match[0], False))
                done = match.end()
    return pieces


def _paragraph(text: str, longest: int, language: str) -> list[Piece]:
    core = text.strip()
    if not core or not _ANY_LETTER.search(core):
        return [Piece(text, False)] if text else []
    start = text.index(core)
    pieces = [Piece(text[:start], False)] if start else []
    for part in _short(core, longest, language):
        inner = part.strip()
        if not inner or not _ANY_LETTER.search(inner):
            pieces.append(Piece(part, False))
            continue
        begin = part.index(inner)
        pieces += [Piece(part[:begin], False), Piece(inner, True), Piece(part[begin + len(inner) :], False)]
    pieces.append(Piece(text[start + len(core) :], False))
    return [piece for piece in pieces if piece.text]


def _short(text: str, longest: int, language: str) -> list[str]:
    """The text in as few parts as possible of at most about ``longest`` characters."""
    if len(text) <= longest:
        return [text]
    units: list[str] = []
    for line in text.splitlines(keepends=True):
        if len(line) <= longest:
            units.append(line)
            continue
        for sentence in split(line, language):
            whole = sentence.text + sentence.gap
            units += [whole] if len(whole) <= longest else [one.text + one.gap for one in chop(whole, longest)]
    parts = [""]
    for unit in units:
        if parts[-1] and len(parts[-1]) + len(unit) > longest:
            parts.append("")
        parts[-1] += unit
    return [part for part in parts if part]


def same_lines(source: str, translation: str) -> str | None:
    """A paragraph's translation with each line's indent, list mark and trailing whitespace from the source.

    None if the number of lines differs, or the source's list marks (or table cells) are missing.
    """
    before, after = source.split("\n"), translation.strip("\r\n").split("\n")
    if len(before) != len(after):
        return None
    lines = []
    for old, new in zip(before, after, strict=True):
        prefix, body, suffix = _parts(old)
        if not body:
            if bool(old.strip()) != bool(new.strip()) or (old.strip() and _ANY_LETTER.search(new)):
                return None
            lines.append(old)
            continue
        made, core, _ = _parts(new)
        if not core or (prefix.strip() and not made.strip()) or old.count("|") != new.count("|"):
            return None
        lines.append(prefix + core + suffix)
    return "\n".join(lines)
