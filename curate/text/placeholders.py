"""Protects spans that every translation must keep unchanged.

Spans are found once, in the source. A translator either gets markers instead of them, or its translation is checked
afterwards (:func:`differences`). Code blocks are found line by line, with the patterns of the filters' masks
(:mod:`curate.text.code_blocks`), everything else by :mod:`curate.text.markup`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import regex

from curate.text.code_blocks import code_blocks as code_blocks
from curate.text.markup import PROTECTABLE as PROTECTABLE
from curate.text.markup import Protectable as Protectable
from curate.text.markup import Span as Span
from curate.text.markup import is_free
from curate.text.markup import spans as spans


def with_terms(text: str, found: list[Span], terms: Iterable[tuple[str, str]]) -> list[Span]:
    """The spans, and the glossary terms that the text contains, longest first, as whole words."""
    taken = [(span.start, span.end) for span in found]
    for term, said in sorted(terms, key=lambda pair: -len(pair[0])):
        for match in _term(term).finditer(text):
            if is_free(taken, match.start(), match.end()):
                found.append(Span(match.start(), match.end(), "term", said))
                taken.append(match.span())
                taken.sort()
    return sorted(found, key=lambda span: span.start)


@lru_cache(maxsize=65_536)
def _term(term: str) -> regex.Pattern[str]:
    spaced = r"\s+".join(map(regex.escape, term.split()))
    unspaced = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
    before = rf"(?<![[\w]--[{unspaced}]])" if not regex.match(rf"[{unspaced}]", term) else ""
    after = rf"(?![[\w]--[{unspaced}]])" if not regex.search(rf"[{unspaced}]$", term) else ""
    return regex.compile(f"(?V1i){before}{spaced}{after}")


def has_term(text: str, term: str) -> bool:
    """Whether a text contains a term as a whole word, in any case."""
    return _term(term).search(text) is not None


# ------------------------------------------------------------------------------------------------------------- markers
# Of 20 forms tried on real text this one survives the packaged neural models best: see docs/translate.md.
MARKER = "%X{}"
_MARKER = regex.compile(r"%\s?[Xx]\s?(\d+)")


def marked(text: str, found: Sequence[Span]) -> str:
    """The text with a numbered marker for each span, from 1."""
    parts, done = [], 0
    for number, span in enumerate(found, 1):
        before, after = _glued(text, span)
        # A marker that runs into a digit or a letter would be another word.
        parts += [text[done : span.start], " " if before else "", MARKER.format(number), " " if after else ""]
        done = span.end
    return "".join([*parts, text[done:]])


def _glued(text: str, span: Span) -> tuple[bool, bool]:
    """Whether a letter or digit precedes a span directly, and whether one follows it."""
    before, after = text[span.start - 1 : span.start] if span.start else "", text[span.end : span.end + 1]
    return before.isalnum() and before.isascii(), after.isalnum() and after.isascii()


def restored(translation: str, text: str, found: Sequence[Span]) -> str | None:
    """The translation with the spans restored; None unless each marker occurs exactly once."""
    if not found:
        return translation
    seen = [int(number) for number in _MARKER.findall(translation)]
    if sorted(seen) != list(range(1, len(found) + 1)):
        return None
    parts, done = [], 0
    for match in _MARKER.finditer(translation):
        span = found[int(match[1]) - 1]
        before, after = _glued(text, span)
        part = translation[done : match.start()]
        # The spaces that were put in for the marker's sake go again.
        parts.append(part[:-1] if before and part.endswith(" ") else part)
        parts.append(text[span.start : span.end] if span.said is None else span.said)
        done = match.end() + (after and translation[match.end() : match.end() + 1] == " ")
    return "".join([*parts, translation[done:]])


def differences(source: str, target: str, found: Sequence[Span]) -> list[str]:
    """Describes missing and duplicated spans; empty if all occur as often in the target as in the source."""
    problems = []
    for literal in dict.fromkeys(source[span.start : span.end] for span in found if span.said is None):
        if span_is_trivial(literal):
            continue
        before, after = source.count(literal), target.count(literal)
        if after < before:
            problems.append(
                f"'{shown(literal)}' is missing"
                if not after
                else f"'{shown(literal)}' is there {after} times, not {before}"
            )
        elif after > before:
            problems.append(f"'{shown(literal)}' is there {after} times, not {before}")
    return problems


def span_is_trivial(literal: str) -> bool:
    """Whether a span is a single character that a translation may express in words (``<`` as *less than*)."""
    return len(literal) == 1 or literal in ("<=", ">=", "->", "{}")


def shown(text: str, length: int = 40) -> str:
    """A text truncated for a message."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
