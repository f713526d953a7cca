"""A protected span is a stretch of a text that is in no human language and must come out of every translation as it
went in.

Spans are found once, on the source; whoever translates either never sees them (markers in their place) or is held to
them afterwards (:func:`differences`). Blocks of program text are found line by line, with the same patterns as the
filters' masks (:mod:`curate.text.code_blocks`); everything else by the expressions of :mod:`curate.text.markup`.
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
    """The spans, and beside them the terms of a glossary that stand in the text, longest first, as whole words."""
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
    """Whether a term stands in a text as a whole word, in any case."""
    return _term(term).search(text) is not None


# ------------------------------------------------------------------------------------------------------------- markers
# Of 20 forms tried on real text this one survives the packaged neural models best: see docs/translate.md.
MARKER = "%X{}"
_MARKER = regex.compile(r"%\s?[Xx]\s?(\d+)")


def marked(text: str, found: Sequence[Span]) -> str:
    """The text with a marker for each span, numbered from 1."""
    parts, done = [], 0
    for number, span in enumerate(found, 1):
        before, after = _glued(text, span)
        # A marker that runs into a digit or a letter would be another word.
        parts += [text[done : span.start], " " if before else "", MARKER.format(number), " " if after else ""]
        done = span.end
    return "".join([*parts, text[done:]])


def _glued(text: str, span: Span) -> tuple[bool, bool]:
    """Whether a letter or digit stands right before a span, and right after."""
    before, after = text[span.start - 1 : span.start] if span.start else "", text[span.end : span.end + 1]
    return before.isalnum() and before.isascii(), after.isalnum() and after.isascii()


def restored(translation: str, text: str, found: Sequence[Span]) -> str | None:
    """The translation of a marked text with the spans back in their places; None unless each marker came once."""
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
        # The blanks that were put in for the marker's sake go again.
        parts.append(part[:-1] if before and part.endswith(" ") else part)
        parts.append(text[span.start : span.end] if span.said is None else span.said)
        done = match.end() + (after and translation[match.end() : match.end() + 1] == " ")
    return "".join([*parts, translation[done:]])


def differences(source: str, target: str, found: Sequence[Span]) -> list[str]:
    """What is lost or doubled of the spans, in words: empty where all are in the target as often as in the source."""
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
    """Whether a span is a single sign that a translation may well say otherwise (``<`` as *less than*)."""
    return len(literal) == 1 or literal in ("<=", ">=", "->", "{}")


def shown(text: str, length: int = 40) -> str:
    """A text cut short for a message."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
