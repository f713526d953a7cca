"""Reads translation memories (TMX) unit by unit, in constant memory.

Each unit is cut out of the text and parsed by itself, so an error in one (a character that XML does not allow, a lone
``&``, an unclosed tag) affects that unit only. The text around the units is parsed as one document without them.
Entities declared in the file are refused, external ones too; a document type declaration as such is allowed, because
most memories have one.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from curate.rows.languages import InvalidLanguage, base, normalize, script
from curate.steps import FailedRow, SourceError
from sources.reading import Progress, encoding_of, guarded, open_bytes, too_long
from sources.records import RAW, Record, raw_text

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_CODES = frozenset({"bpt", "ept", "ph", "it", "ut"})
"""Elements whose text is markup of the original document, not language."""
MAX_VARIANTS = 16
"""With more variants of one language it is not a translation unit."""
_BLOCK = 1 << 16
_TU = r"(?:[\w.-]{1,40}:)?tu"
_OUTSIDE = re.compile(rf"<!--|<!\[CDATA\[|</{_TU}\s*>|<{_TU}(?=[\s/>])")
"""What begins or ends a unit, and what may contain such text."""
_INSIDE = re.compile(rf"{_OUTSIDE.pattern}|</(?:[\w.-]{{1,40}}:)?body\s*>")
_EMPTY = re.compile(rf"<{_TU}(?:\s[^<>]*)?/>")
_LONGEST_MARK = 64
_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_ILLEGAL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def read_units(
    path: Path, name: str, source_language: str, target_language: str, limit: int, warn: Callable[[str], None] | None
) -> Iterator[Record | FailedRow]:
    """The pairs of a translation memory; the position is the number of the unit, from 0.

    Units that lack one of the languages are skipped and counted in a warning.

    Args:
        limit: characters of the longest unit that is read.

    Raises:
        SourceError: the text around the units is not well-formed XML or not TMX, or no unit is in both languages.
    """
    languages: Counter[str] = Counter()
    usable = lacking = 0
    cutter = _Cutter(name, limit)
    for number, (text, problem) in enumerate(cutter.units(path)):
        element = None if problem else cutter.parse(text)
        if not isinstance(element, Element):
            yield FailedRow(f"row {number}", problem or f"the unit is not XML: {element}", raw_text(text))
            usable += 1
            continue
        records, present = _unit(element, number, source_language, target_language)
        languages.update(present)
        yield from records
        usable, lacking = usable + bool(records), lacking + (not records)
    if not usable and lacking:
        there = ", ".join(f"{code} ({count:,})" for code, count in languages.most_common(12))
        raise SourceError(
            f"{name} has no unit in both {source_language} and {target_language}; its languages are {there or 'none'}"
        )
    if lacking and warn is not None:
        warn(
            f"{name}: {lacking:,} of {usable + lacking:,} units lack {source_language} or {target_language} and were "
            "skipped"
        )


class _Document:
    """The text around the units, parsed as one document; of each unit only the line ends remain."""

    def __init__(self, name: str) -> None:
        from defusedxml.ElementTree import DefusedXMLParser

        self.name = name
        self.parser = DefusedXMLParser(target=self, forbid_dtd=False)
        self.root = ""
        self.spaces: dict[str, str] = {}
        """The name spaces that the document declares before its first unit."""
        self.line, self.left_out = 1, 0

    def start_ns(self, prefix: str, uri: str) -> None:
        self.spaces[prefix] = uri

    def start(self, tag: str, attributes: Any) -> None:
        local = tag.rpartition("}")[2]
        if not self.root and local != "tmx":
            raise SourceError(f"{self.name} is not a translation memory: its root element is <{local}>, not <tmx>")
        self.root = local

    def end(self, tag: str) -> None:
        """Nothing is kept."""

    def data(self, text: str) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing was kept."""

    def leave_out(self, text: str) -> None:
        """A unit, of which only the line ends count."""
        count = text.count("\n")
        self.line, self.left_out = self.line + count, self.left_out + count

    def feed(self, text: str) -> None:
        """Parses more text.

        Raises:
            SourceError: the XML is broken, or declares entities.
        """
        if text:
            whole = "\n" * self.left_out + _ILLEGAL.sub("?", text)
            self.line, self.left_out = self.line + text.count("\n"), 0
            self._run(lambda: self.parser.feed(whole))

    def finish(self) -> None:
        """The end of the file.

        Raises:
            SourceError: it comes too early.
        """
        self.feed("\n" if self.left_out else "")
        self._run(self.parser.close)

    def _run(self, what: Callable[[], object]) -> None:
        from defusedxml import DefusedXmlException

        try:
            what()
        except ParseError as error:
            raise self.broken(error.position[0], error.position[1] + 1, error.msg) from error
        except DefusedXmlException as error:
            raise SourceError(
                f"{self.name}: the document declares entities ({type(error).__name__}), which are refused; replace "
                "them with text"
            ) from error

    def broken(self, line: int, column: int, what: str) -> SourceError:
        return SourceError(f"{self.name}, line {line}, column {column}: the XML is broken or cut off ({what})")


class _Cutter:
    """Cuts units out of a text of which only a window is in memory."""

    def __init__(self, name: str, limit: int) -> None:
        self.name, self.limit = name, limit
        self.document = _Document(name)
        self.text, self.at, self.done = "", 0, False

    def units(self, path: Path) -> Iterator[tuple[str, str]]:
        """Each unit's text and, if it need not be parsed, what is wrong with it."""
        progress = Progress(self.name, word="unit")
        with guarded(progress), open_bytes(path) as file:
            head = file.read(_BLOCK)
            self.read, self.decode = file.read, _decoder(head, self.name)
            self.text = self.decode(head).removeprefix("\ufeff")
            while (mark := self._next()) is not None:
                if mark.startswith("<!"):
                    self._through("-->" if mark == "<!--" else "]]>")
                elif mark.startswith("</"):
                    self.at += len(mark)
                    yield mark, "the end of a unit without a beginning"
                else:
                    yield self._unit()
                    progress.at += 1
            self.document.finish()

    def parse(self, text: str) -> Element | str:
        """A unit as an element, or what is wrong with it."""
        illegal = _ILLEGAL.search(text)
        if illegal is not None:
            code = ord(illegal[0])
            if 0xDC80 <= code <= 0xDCFF:
                return f"a byte that the encoding does not allow (0x{code - 0xDC00:02x}, character {illegal.start()})"
            return f"the character U+{code:04X}, which XML does not allow (character {illegal.start()})"
        spaces = "".join(
            f' xmlns{":" if prefix else ""}{prefix}="{uri}"' for prefix, uri in self.document.spaces.items()
        )
        try:
            # Inside an element nothing can be declared, so nothing is expanded.
            parsed = fromstring(f"<tmx{spaces}>{text}</tmx>")  # noqa: S314
        except ParseError as error:
            return str(error).partition(":")[0]
        return parsed[0] if len(parsed) == 1 else "the unit is not closed"

    # ----------------------------------------------------------------------------------------------------------- window
    def _more(self) -> bool:
        """Reads more; false at the end of the file."""
        if self.done:
            return False
        block = self.read(_BLOCK)
        self.done = not block
        self.text, self.at = self.text[self.at :] + self.decode(block, self.done), 0
        return True

    def _next(self) -> str | None:
        """Passes all text before the next mark to the document and returns the mark; None at the end."""
        while True:
            match = _OUTSIDE.search(self.text, self.at)
            if match is not None:
                end = match.start()
            else:  # a mark may be cut off at the end of the window
                end = (
                    len(self.text) if self.done else max(self.at, self.text.rfind("<", len(self.text) - _LONGEST_MARK))
                )
            self.document.feed(self.text[self.at : end])
            self.at = end
            if match is not None:
                return match[0]
            if not self._more():
                return None

    def _through(self, end: str) -> None:
        """Passes a comment or the like to the document."""
        start = self.at + 4
        while (closing := self.text.find(end, start)) < 0:
            self.document.feed(self.text[self.at : -2])
            self.at = max(self.at, len(self.text) - 2)
            if not self._more():
                return
            start = 0
        self.document.feed(self.text[self.at : closing + len(end)])
        self.at = closing + len(end)

    def _find(self, text: str, look: int) -> int:
        """The distance of a text from the cursor, if it is within reach; else -1."""
        while (start := self.text.find(text, self.at + look)) < 0:
            if len(self.text) - self.at > self.limit or not self._more():
                return -1
        return start - self.at

    def _unit(self) -> tuple[str, str]:
        """The unit at the cursor, and an error if it is too long."""
        begin, look = "", 3  # from the cursor on
        self._find(">", look)
        empty = _EMPTY.match(self.text, self.at)
        if empty is not None:
            self.at = empty.end()
            return empty[0], ""
        while True:
            match = _INSIDE.search(self.text, self.at + look)
            if match is not None and match[0].startswith("<!"):
                opened = match.end() - self.at
                closed = self._find("-->" if match[0] == "<!--" else "]]>", opened)
                look = closed + 3 if closed >= 0 else opened  # an unclosed one is left to the parser
                continue
            if match is not None:
                if match[0].startswith("</") and "body" in match[0]:
                    break
                end = match.end() if match[0].startswith("</") else match.start()
                text = self.text[self.at : end]
                self.document.leave_out(text)
                self.at = end
                return (begin, too_long(self.limit)) if begin or len(text) > self.limit else (text, "")
            look = max(look, len(self.text) - self.at - _LONGEST_MARK)
            if len(self.text) - self.at > self.limit:
                begin = begin or self.text[self.at : self.at + RAW]
                self.document.leave_out(self.text[self.at : self.at + look])
                self.at += look
                look = 0
            if not self._more():
                break
        raise self.document.broken(self.document.line, 1, "a unit is never closed")


def _decoder(head: bytes, name: str) -> Callable[..., str]:
    """A decoder for a file that begins with these bytes; bytes that the encoding does not allow become surrogates."""
    declared = _DECLARED.search(head[:1024])
    encoding = encoding_of(head, name, declared[1].decode() if declared else None)
    try:
        wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
        return codecs.getincrementaldecoder(encoding)("surrogatepass" if wide else "surrogateescape").decode
    except LookupError:
        raise SourceError(f"{name} declares the unknown encoding '{encoding}'") from None


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _unit(
    unit: Element, number: int, source_language: str, target_language: str
) -> tuple[list[Record | FailedRow], list[str]]:
    """The records of one unit (none if it lacks a language), and its languages."""
    variants: list[tuple[str, str]] = []
    row: dict[str, Any] = {"tuid": unit.get("tuid"), "props": {}, "note": None}
    for child in unit:
        tag = _local(child)
        if tag == "prop":
            row["props"][child.get("type") or ""] = (child.text or "").strip()
        elif tag == "note":
            row["note"] = (child.text or "").strip()
        elif tag == "tuv":
            code = child.get(_LANG) or child.get("lang") or ""
            text = "".join(piece for segment in child if _local(segment) == "seg" for piece in _text(segment))
            variants.append((code, text))
    codes = [code for code, _ in variants]
    sources, targets = _matching(variants, source_language), _matching(variants, target_language)
    if not sources or not targets:
        return [], codes
    if len(sources) > MAX_VARIANTS or len(targets) > MAX_VARIANTS:
        reason = (
            f"{len(sources)} variants in {source_language} and {len(targets)} in {target_language}, more "
            f"than {MAX_VARIANTS}"
        )
        return [FailedRow(f"row {number}", reason, raw_text([text for _, text in variants]))], codes
    pairs = dict.fromkeys(product(sources, targets))
    return [(number, {**row, "source": left, "target": right}, len(left) + len(right)) for left, right in pairs], codes


def _text(element: Element) -> Iterator[str]:
    """The text of a segment without markup codes, but with the translatable pieces (``sub``) inside them."""
    if _local(element) not in _CODES and element.text:
        yield element.text
    for child in element:
        yield from _text(child)
        if child.tail and _local(element) not in _CODES:
            yield child.tail


def _matching(variants: list[tuple[str, str]], language: str) -> list[str]:
    """The texts in a language: those with exactly this tag, else those that differ only by a region that one side
    omits."""
    tags: list[tuple[str, str]] = []
    for code, text in variants:
        try:
            tags.append((normalize(code), text))
        except InvalidLanguage:
            continue
    exact = [text for tag, text in tags if tag == language]
    return exact or [text for tag, text in tags if _near(tag, language)]


def _near(tag: str, language: str) -> bool:
    if base(tag) != base(language) or script(tag) != script(language):
        return False
    here, there = _region(tag), _region(language)
    return not here or not there or here == there


def _region(tag: str) -> str:
    return next((part for part in tag.split("-")[1:] if len(part) == 2 or part.isdigit()), "")
