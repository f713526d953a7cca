"""A protected span is a stretch of a text that is in no human language and must come out of every translation as it went in.

Spans are found once, on the source; whoever translates either never sees them (markers in their place) or is held to
them afterwards (:func:`differences`). Blocks of program text are found line by line, with the same patterns as the
filters' masks (:mod:`curate.generation.program_text`); everything else by expressions that cost no more than the text's length, whatever the text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import regex

from curate.generation.program_text import code_blocks as code_blocks
from curate.rows import languages

Protectable = Literal["code", "inline_code", "url", "email", "latex", "markup", "placeholder", "symbol"]
PROTECTABLE: tuple[Protectable, ...] = (
    "code", "inline_code", "url", "email", "latex", "markup", "placeholder", "symbol",
)  # fmt: skip
_END = r"\s<>\x22'（）【】「」『』《》，。、！？；：।؟，۔"
_PATTERNS: MappingProxyType[str, str] = MappingProxyType(
    {
        # Between backticks, and JSON objects within a line.
        "inline_code": r"(?<!`)```++[^`\n][^\n]{0,2000}?```++|``[^\n]{1,2000}?``|`[^`\n]+`"
                       r"|\{\s*\x22[\w $.-]{1,60}\x22\s*:[^{}\n]{0,2000}(?:\{[^{}\n]{0,1000}\}[^{}\n]{0,1000}){0,8}\}",
        "url": rf"\b(?:https?|ftp|file)://[^{_END}]+|\b(?:mailto|tel|data|magnet):[^{_END}]{{3,}}|\bwww\.[^{_END}]+"
               rf"|(?<![\w.-])(?:[A-Za-z0-9-]{{1,63}}+\.){{1,8}}(?:com|org|net|edu|gov|io|info|ai|dev|app|co|uk|de|fr|cn|jp|ru|br|in)\b(?:/[^{_END}]*)?"
               r"|(?<![\w/.])(?:~|\.{1,2})?/(?:[\w.-]++/)+[\w.-]*+",
        "email": r"(?<![\w.%+-])[A-Za-z0-9_.%+-]{1,64}+@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}",
        "latex": r"\$\$[^$]{1,4000}\$\$|(?s:\\\[.{1,2000}?\\\])|(?s:\\\(.{1,2000}?\\\))|\$[^\s$][^$\n]{0,300}?[\\^_=][^$\n]{0,300}\$"
                 r"|(?s:\\begin\{(?:equation|align|gather|math|matrix|pmatrix|bmatrix|cases|array)\*?\}.{1,4000}?\\end\{\w{1,20}\*?\})"
                 r"|\\[A-Za-z]{2,20}(?:\{[^{}\n]{0,200}\}){0,3}",
        "markup": r"!?\[(?=[^\[\]\n]{1,300}\]\([^()\s]{1,2000}\))|\]\([^()\s]{1,2000}\)|(?s:<!--.{0,2000}?-->)|</?[A-Za-z][A-Za-z0-9:-]{0,40}(?:\s[^<>\n]{0,2000})?/?>|&(?:[A-Za-z]{2,10}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});",
        "placeholder": r"\{\{[^{}\n]{1,200}\}\}|\{%[^{}\n]{1,200}%\}|\$\{[^{}\n]{1,200}\}|\{[\w.:!-]{0,60}\}|%\([A-Za-z_]\w{0,60}\)[sdifrgex]|%(?:\d{1,2}\$)?[sdi](?!\w)"
                       r"|%[.]?\d{0,3}f(?!\w)|<[A-Z][A-Z0-9_]{1,60}>|<\|[^|<>\n]{1,60}\|>(?:(?:system|user|assistant|tool)(?!\w))?|\[/?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\]|(?<!\w)%X\d+|\bPLACEHOLDER_\d+",
    }
)  # fmt: skip
# Signs that small translators have no word for: pictures, arrows, operators, dingbats, boxes. With a letter, digit or
# bracket beside them they are part of a token (x^2, C#, #tag, @name, user_name, a→b), which goes as a whole.
_BESIDE = r"[A-Za-z0-9_\[\]().,:+*/=-]"
_SYMBOL = (
    r"(?<![\w@#])[@#][\p{L}_][\w.-]*+|(?<!\w)[A-Za-z][A-Za-z0-9]*+(?:_++[A-Za-z0-9]++)++(?!\w)|(?<!\w)_++[A-Za-z]\w*+|\b[A-Za-z]#(?!\w)"
    r"|(?<!\w)[A-Za-z_][\w.]{0,60}+\(\)"
    rf"|(?:(?<!{_BESIDE}){_BESIDE}{{1,40}})?[\^~\\{{}}×÷±≤≥≠≈∞√∑∏∫∂∇πΔ←→↑↓⇒⇔∈∉∪∩∀∃²³]+(?:{_BESIDE}{{1,40}}(?<![.,:]))?"
    r"|[<>]=?|&&|::+|[\p{So}\p{Co}\p{Extended_Pictographic}\u200d\ufe0f\U0001F3FB-\U0001F3FF--[0-9*#©®™°]]+"
)
# A look for a sign that must be there first: most texts have none, and that is far cheaper.
_SIGNS = {
    name: regex.compile(f"(?V1){pattern}")
    for name, pattern in (
        ("inline_code", r"`|\{\s*\x22"), ("latex", r"[$\\]"), ("url", r"\w\.\w|://|\w:\w|/\w"), ("email", "@"), ("markup", r"[<&]|\]\("), ("placeholder", r"[{%<\[]|PLACEHOLDER"),
        ("symbol", r"&&|::|[@#_<>\^~\\{}×÷±≤≥≠≈∞√∑∏∫∂∇πΔ←→↑↓⇒⇔∈∉∪∩∀∃²³]|\(\)|[\p{So}\p{Co}\p{Extended_Pictographic}--[0-9*#©®™°]]"),
    )
}  # fmt: skip
_LOOSE = frozenset(".,;:!?'\"»”’)]")
Interval = tuple[int, int]
_WINDOW = 8_000
_ORDER = ("inline_code", "latex", "url", "email", "markup", "placeholder", "symbol")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch that stays as it is."""

    start: int
    end: int
    kind: str
    """One of :data:`PROTECTABLE`, or ``foreign`` (letters of another script) or ``term`` (of a glossary)."""
    said: str | None = None
    """What stands there in the translation, where that is not the text itself (a glossary's term)."""


# ----------------------------------------------------------------------------------------------------------------- inline
@lru_cache(maxsize=256)
def _expression(what: tuple[str, ...]) -> regex.Pattern[str] | None:
    known = {**_PATTERNS, "symbol": _SYMBOL}
    parts = [f"(?P<{name}>{known[name]})" for name in _ORDER if name in what]
    return regex.compile("(?V1)" + "|".join(parts)) if parts else None


@lru_cache(maxsize=512)
def _foreign(language: str) -> regex.Pattern[str] | None:
    """Runs of letters in a script that is neither Latin nor the language's own; None where its script is not known."""
    own = languages.letters(language)
    if not own:
        return None
    scripts = {"Latin", "Common", "Inherited", *own} | ({"Bopomofo", "Hiragana", "Katakana"} if "Han" in own else set())
    known = "".join(rf"\p{{Script={name}}}" for name in sorted(scripts))
    letter = rf"[[\p{{L}}\p{{M}}]--[{known}]]"
    return regex.compile(rf"(?V1){letter}+(?:[\p{{Zs}}\p{{P}}--[\n]]{{1,3}}{letter}+)*")


def spans(text: str, what: Collection[str] = PROTECTABLE, language: str = languages.UNKNOWN) -> list[Span]:
    """The protected stretches inside a text, in order, none touching the inside of another.

    Args:
        what: kinds of :data:`PROTECTABLE`; ``code`` means blocks, which :func:`curate.generation.program_text.code_blocks` finds.
        language: of the text; letters of a script foreign to it (not Latin ones) are protected too if ``symbol`` is.
    """
    found: list[Span] = []
    for first, last in _windows(text):
        window = text if last - first == len(text) else text[first:last]
        expression = _expression(tuple(name for name in _ORDER if name in what and _SIGNS[name].search(window)))
        for match in expression.finditer(window) if expression else ():
            start, end = match.span()
            kind = match.lastgroup or ""
            if kind in ("url", "email", "symbol") and window[start] not in "(:":
                end = _tight(window, start, end)
            if end > start:
                found.append(Span(first + start, first + end, kind))
    if "symbol" in what and not text.isascii() and (foreign := _foreign(language)):
        taken = [(span.start, span.end) for span in found]
        found += [
            Span(*match.span(), "foreign")
            for match in foreign.finditer(text)
            if _free(taken, match.start(), match.end())
        ]
        found.sort(key=lambda span: span.start)
    return found


def _windows(text: str) -> Iterator[Interval]:
    """Stretches of a bounded length, cut at blanks: the engine's look-ahead costs the rest of the text at every match."""
    start = 0
    while len(text) - start > _WINDOW:
        blank = max(text.rfind(" ", start + 1, start + _WINDOW), text.rfind("\n", start + 1, start + _WINDOW))
        end = blank if blank > start else start + _WINDOW
        yield start, end
        start = end
    yield start, len(text)


def _tight(text: str, start: int, end: int) -> int:
    """Where an address or token ends, without what ends the sentence; a closing bracket that was opened inside belongs to it."""
    while end - start > 1 and text[end - 1] in _LOOSE:
        if text[end - 1] in ")]":
            opening = "(" if text[end - 1] == ")" else "["
            if text.count(opening, start, end) >= text.count(text[end - 1], start, end):
                break
        end -= 1
    return end


def _free(taken: Sequence[Interval], start: int, end: int) -> bool:
    place = bisect_right(taken, (start, end))
    return (place == 0 or taken[place - 1][1] <= start) and (place == len(taken) or taken[place][0] >= end)


def with_terms(text: str, found: list[Span], terms: Iterable[tuple[str, str]]) -> list[Span]:
    """The spans, and beside them the terms of a glossary that stand in the text, longest first, as whole words."""
    taken = [(span.start, span.end) for span in found]
    for term, said in sorted(terms, key=lambda pair: -len(pair[0])):
        for match in _term(term).finditer(text):
            if _free(taken, match.start(), match.end()):
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


# ---------------------------------------------------------------------------------------------------------------- markers
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
