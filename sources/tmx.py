"""A translation memory is read one unit at a time and forgotten again, so that its size does not matter.

Entities that a file declares are refused, external ones too; a document type declaration as such is allowed, since most
memories have one.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from curate.rows.languages import InvalidLanguage, base, normalize, script
from curate.steps import BadRow, SourceError
from sources.mapping import Record, raw_text
from sources.reading import Progress, guarded, open_bytes

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_CODES = frozenset({"bpt", "ept", "ph", "it", "ut"})
"""Elements whose own text is markup of the original document, not language."""
MAX_VARIANTS = 16
"""Variants of one language in a unit beyond which it is no translation unit."""


def read_units(path: Path, name: str, source_language: str, target_language: str,
               warn: Callable[[str], None] | None) -> Iterator[Record | BadRow]:  # fmt: skip
    """The pairs of a translation memory; the place is the number of the unit, from 0.

    Units that lack one of the languages are passed over and, if there are any, counted in a warning.

    Raises:
        SourceError: it is no well-formed XML, no TMX, or has no unit in both languages.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    progress = Progress(name, word="unit")
    languages: Counter[str] = Counter()
    found = lacking = 0
    with guarded(progress), open_bytes(path) as file:
        try:
            events = iterparse(
                io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file, ("start", "end"), forbid_dtd=False
            )
            holder: list[Element] = []
            number = -1
            for event, element in events:
                tag = _local(element)
                if event == "start":
                    if not holder and tag != "tmx":
                        raise SourceError(f"{name} is no translation memory: its root element is <{tag}>, not <tmx>")
                    holder.append(element)
                    continue
                holder.pop()
                if tag == "header":
                    element.clear()
                if tag != "tu":
                    continue
                number += 1
                progress.at = number
                records, present = _unit(element, number, source_language, target_language)
                languages.update(present)
                yield from records
                found, lacking = found + bool(records), lacking + (not records)
                if holder:
                    holder[-1].clear()  # the body: forget this unit and what stood before it
        except ParseError as error:
            line, column = error.position
            raise SourceError(
                f"{name}, line {line}, column {column + 1}: the XML is broken or cut off ({error.msg})"
            ) from error
        except DefusedXmlException as error:
            raise SourceError(
                f"{name}: the document declares entities ({type(error).__name__}), which are refused; replace them by text"
            ) from error
    if not found and lacking:
        there = ", ".join(f"{code} ({count:,})" for code, count in languages.most_common(12))
        raise SourceError(
            f"{name} has no unit in both {source_language} and {target_language}; its languages are {there or 'none'}"
        )
    if lacking and warn is not None:
        warn(
            f"{name}: {lacking:,} of {found + lacking:,} units lack {source_language} or {target_language} and were passed over"
        )


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _unit(
    unit: Element, number: int, source_language: str, target_language: str
) -> tuple[list[Record | BadRow], list[str]]:
    """The records of one unit, none if it lacks a language; and the languages it has."""
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
        reason = f"{len(sources)} variants in {source_language} and {len(targets)} in {target_language}, more than {MAX_VARIANTS}"
        return [BadRow(f"row {number}", reason, raw_text([text for _, text in variants]))], codes
    pairs = dict.fromkeys(product(sources, targets))
    return [(number, {**row, "source": left, "target": right}, len(left) + len(right)) for left, right in pairs], codes


def _text(element: Element) -> Iterator[str]:
    """The text of a segment: markup codes left out, but for the translatable pieces (``sub``) inside them."""
    if _local(element) not in _CODES and element.text:
        yield element.text
    for child in element:
        yield from _text(child)
        if child.tail and _local(element) not in _CODES:
            yield child.tail


def _matching(variants: list[tuple[str, str]], wanted: str) -> list[str]:
    """The texts in a language: those of exactly this tag, else those that differ only by a region one side leaves open."""
    tags: list[tuple[str, str]] = []
    for code, text in variants:
        try:
            tags.append((normalize(code), text))
        except InvalidLanguage:
            continue
    exact = [text for tag, text in tags if tag == wanted]
    return exact or [text for tag, text in tags if _near(tag, wanted)]


def _near(tag: str, wanted: str) -> bool:
    if base(tag) != base(wanted) or script(tag) != script(wanted):
        return False
    here, there = _region(tag), _region(wanted)
    return not here or not there or here == there


def _region(tag: str) -> str:
    return next((part for part in tag.split("-")[1:] if len(part) == 2 or part.isdigit()), "")
