"""Finds spans that are language-independent: placeholders, markup, code, addresses, formulas, symbols.

All patterns take linear time on any text. Code blocks are found line by line in :mod:`curate.text.code_blocks`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.rows import languages

Floats = npt.NDArray[np.float64]
Protectable = Literal["code", "inline_code", "url", "email", "latex", "markup", "placeholder", "symbol"]
PROTECTABLE: tuple[Protectable, ...] = (
    "code",
    "inline_code",
    "url",
    "email",
    "latex",
    "markup",
    "placeholder",
    "symbol",
)
# Scripts without spaces follow an address at once.
_END = (
    r"\s<>\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    r"\x22'（）【】「」『』《》，。、！？；：।؟，۔"
)
_PATTERNS: MappingProxyType[str, str] = MappingProxyType(
    {
        "backticks": r"(?<!`)```++[^`\n][^\n]{0,2000}?```++|``[^\n]{1,2000}?``|`[^`\n]+`",
        # Objects within a line.
        "json": r"\{\s*\x22[\w $.-]{1,60}\x22\s*:[^{}\n]{0,2000}(?:\{[^{}\n]{0,1000}\}[^{}\n]{0,1000}){0,8}\}",
        "url": rf"(?<![A-Za-z0-9])(?:https?|ftp|file)://[^{_END}]+|\b(?:mailto|tel|data|magnet):[^{_END}]{{3,}}|"
               rf"(?<![A-Za-z0-9])www\.[^{_END}]+"
               rf"|(?<![\w.-])(?:[A-Za-z0-9-]{{1,63}}+\.){{1,8}}(?:com|org|net|edu|gov|io|info|ai|dev|app|co|uk|de|fr"
               rf"|cn|jp|ru|br|in)\b(?:/[^{_END}]*)?"
               r"|(?<![\w/.])(?:~|\.{1,2})?/(?:[\w.-]++/)+[\w.-]*+",
        "email": r"(?<![A-Za-z0-9_.%+-])[A-Za-z0-9_.%+-]{1,64}+@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}",
        "latex": r"\$\$[^$]{1,4000}\$\$|(?s:\\\[.{1,2000}?\\\])|(?s:\\\(.{1,2000}?\\\))"
                 r"|\$[^\s$][^$\n]{0,300}?[\\^_=][^$\n]{0,300}\$"
                 r"|(?s:\\begin\{(?:equation|align|gather|math|matrix|pmatrix|bmatrix|cases"
                 r"|array)\*?\}.{1,4000}?\\end\{\w{1,20}\*?\})"
                 r"|\\[A-Za-z]{2,20}(?:\{[^{}\n]{0,200}\}){0,3}",
        "markup": r"!?\[(?=[^\[\]\n]{1,300}\]\([^()\s]{1,2000}\))|\]\([^()\s]{1,2000}\)|(?s:<!--.{0,2000}?-->)"
                  r"|</?[A-Za-z][A-Za-z0-9:-]{0,40}(?:\s[^<>\n]{0,2000})?/?>|&(?:[A-Za-z]{2,10}|#[0-9]{1,7}"
                  r"|#[xX][0-9A-Fa-f]{1,6});",
        "placeholder": r"\{\{[^{}\n]{1,200}\}\}|\{%[^{}\n]{1,200}%\}|\$\{[^{}\n]{1,200}\}|\{[\w.:!-]{0,60}\}"
                       r"|%\([A-Za-z_]\w{0,60}\)[sdifrgex]|%(?:\d{1,2}\$)?[-+0#]?\d{0,3}(?:\.\d{0,3})?(?:ll?|hh?"
                       r"|z)?[sdifux](?![A-Za-z0-9_])|%%"
                       r"|<[A-Z][A-Z0-9_]{1,60}>|<\|[^|<>\n]{1,60}\|>(?:(?:system|user|assistant|tool)(?!\w))?"
                       r"|\[/?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\]|(?<!\w)%X\d+|\bPLACEHOLDER_\d+|\\[nrt](?!\w)",
    }
)  # fmt: skip
# Signs that small translators have no word for: pictures, arrows, operators, dingbats, boxes. With a letter, digit or
# bracket beside them they are part of a token (x^2, C#, #tag, @name, user_name, a→b), which goes as a whole.
_BESIDE = r"[A-Za-z0-9_\[\]().,:+*/=-]"
_SYMBOL = (
    r"(?<![\w@#])[@#][\p{L}_][\w.-]*+|(?<!\w)[A-Za-z][A-Za-z0-9]*+(?:_++[A-Za-z0-9]++)++(?!\w)|(?<!\w)_++[A-Za-z]\w*+"
    r"|\b[A-Za-z]#(?!\w)"
    r"|(?<!\w)[A-Za-z_][\w.]{0,60}+\(\)"
    rf"|(?:(?<!{_BESIDE}){_BESIDE}{{1,40}})?[\^~\\{{}}×÷±≤≥≠≈∞√∑∏∫∂∇πΔ←→↑↓⇒⇔∈∉∪∩∀∃²³]+(?:{_BESIDE}{{1,40}}(?<![.,:]))?"
    r"|[<>]=?|&&|::+|[\p{So}\p{Co}\p{Extended_Pictographic}\u200d\ufe0f\U0001F3FB-\U0001F3FF--[0-9*#©®™°]]+"
)
# A look for a sign that must be there first: most texts have none, and that is far cheaper.
_SIGNS = {
    name: regex.compile(f"(?V1){pattern}")
    for name, pattern in (
        ("backticks", "`"), ("json", r"\{\s*\x22"), ("latex", r"[$\\]"), ("url", r"\w\.\w|://|\w:\w|/\w"), ("email",
        "@"), ("markup", r"[<&]|\]\("), ("placeholder", r"[{%<\[\\]|PLACEHOLDER"),
        ("symbol", r"&&|::|[@#_<>\^~\\{}×÷±≤≥≠≈∞√∑∏∫∂∇πΔ←→↑↓⇒⇔∈∉∪∩∀∃²³]|\(\)"
                   r"|[\p{So}\p{Co}\p{Extended_Pictographic}--[0-9*#©®™°]]"),
    )
}  # fmt: skip
_LOOSE = frozenset(".,;:!?'\"»”’)]")
Interval = tuple[int, int]
_WINDOW = 8_000
_ORDER = ("backticks", "json", "latex", "url", "email", "markup", "placeholder", "symbol")


@dataclass(frozen=True, slots=True)
class Span:
    """A span that a translation keeps unchanged."""

    start: int
    end: int
    kind: str
    """One of :data:`PROTECTABLE`, or ``foreign`` (letters of another script) or ``term`` (of a glossary)."""
    said: str | None = None
    """Its translation, if it differs from the text (a glossary's term)."""


# -------------------------------------------------------------------------------------------------------------- inline
@lru_cache(maxsize=256)
def _expression(what: tuple[str, ...]) -> regex.Pattern[str] | None:
    known = {**_PATTERNS, "symbol": _SYMBOL}
    parts = [f"(?P<{name}>{known[name]})" for name in _ORDER if name in what]
    return regex.compile("(?V1)" + "|".join(parts)) if parts else None


@lru_cache(maxsize=512)
def _foreign(language: str) -> regex.Pattern[str] | None:
    """Runs of letters in a script that is neither Latin nor the language's own; None if its script is unknown."""
    own = languages.letters(language)
    if not own:
        return None
    scripts = {"Latin", "Common", "Inherited", *own} | ({"Bopomofo", "Hiragana", "Katakana"} if "Han" in own else set())
    known = "".join(rf"\p{{Script={name}}}" for name in sorted(scripts))
    letter = rf"[[\p{{L}}\p{{M}}]--[{known}]]"
    return regex.compile(rf"(?V1){letter}+(?:[\p{{Zs}}\p{{P}}--[\n]]{{1,3}}{letter}+)*")


def spans(text: str, what: Collection[str] = PROTECTABLE, language: str = languages.UNKNOWN) -> list[Span]:
    """The protected spans of a text, in order and without overlaps.

    Args:
        what: kinds of :data:`PROTECTABLE` (``inline_code`` is ``backticks`` and ``json``, which can be requested
            separately); ``code`` means blocks, which :func:`curate.text.code_blocks.code_blocks` finds.
        language: of the text; with ``symbol``, letters of a script foreign to it (except Latin) are protected too.
    """
    wanted = {*what, "backticks", "json"} if "inline_code" in what else set(what)
    found: list[Span] = []
    for first, last in _windows(text):
        window = text if last - first == len(text) else text[first:last]
        expression = _expression(tuple(name for name in _ORDER if name in wanted and _SIGNS[name].search(window)))
        for match in expression.finditer(window) if expression else ():
            start, end = match.span()
            kind = {"backticks": "inline_code", "json": "inline_code"}.get(match.lastgroup or "", match.lastgroup or "")
            if kind in ("url", "email", "symbol") and window[start] not in "(:":
                end = _tight(window, start, end)
            if end > start:
                found.append(Span(first + start, first + end, kind))
    if "symbol" in what and not text.isascii() and (foreign := _foreign(language)):
        taken = [(span.start, span.end) for span in found]
        found += [
            Span(*match.span(), "foreign")
            for match in foreign.finditer(text)
            if is_free(taken, match.start(), match.end())
        ]
        found.sort(key=lambda span: span.start)
    return found


def _windows(text: str) -> Iterator[Interval]:
    """Windows of bounded length, split at spaces, because the engine's look-ahead scans the rest at every match."""
    start = 0
    while len(text) - start > _WINDOW:
        space = max(text.rfind(" ", start + 1, start + _WINDOW), text.rfind("\n", start + 1, start + _WINDOW))
        end = space if space > start else start + _WINDOW
        yield start, end
        start = end
    yield start, len(text)


def _tight(text: str, start: int, end: int) -> int:
    """The end of an address or token without the sentence's punctuation; a closing bracket that was opened inside
    belongs to it."""
    while end - start > 1 and text[end - 1] in _LOOSE:
        if text[end - 1] in ")]":
            opening = "(" if text[end - 1] == ")" else "["
            if text.count(opening, start, end) >= text.count(text[end - 1], start, end):
                break
        end -= 1
    return end


def is_free(taken: Sequence[Interval], start: int, end: int) -> bool:
    """Whether none of these ordered spans overlaps this one."""
    place = bisect_right(taken, (start, end))
    return (place == 0 or taken[place - 1][1] <= start) and (place == len(taken) or taken[place][0] >= end)


# ---------------------------------------------------------------------------------------------------------------- kept
_FENCED = regex.compile(r"```[^`]*+```")
_KEPT = ("backticks", "latex", "url", "email", "markup", "placeholder")
# Looked for first; nothing of the above can be without one of these.
_SIGN = r"[`@{}<>$\\%&]|://|www\.|PLACEHOLDER|\[/?[A-Z]|\]\(|\w\.\w|\w:\w|/\w"


def kept(source: pl.Series, target: pl.Series) -> Floats:
    """Share (0 to 1) of the placeholders, markup, code, formulas and addresses of either side that the other side
    has too; nan if neither has any."""
    result = np.full(len(source), np.nan)
    look = (source.str.contains(_SIGN) | target.str.contains(_SIGN)).fill_null(False)
    at = np.flatnonzero(look.to_numpy())
    sides = (side.gather(at).fill_null("").to_list() for side in (source, target))
    for row, before, after in zip(at.tolist(), *sides, strict=True):
        ours, theirs = _marks(before), _marks(after)
        if whole := max(ours.total(), theirs.total()):
            result[row] = (ours & theirs).total() / whole
    return result


def _marks(text: str) -> Counter[str]:
    """The protected spans of a text as strings, without whitespace and final punctuation."""
    found = _FENCED.findall(text) if "```" in text else []
    text = _FENCED.sub(" ", text) if found else text
    found += [text[span.start : span.end] for span in spans(text, _KEPT)]
    return Counter("".join(one.split()).rstrip(".,;:") for one in found)
