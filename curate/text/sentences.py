"""Splits a text into sentences and gaps, without losing a character.

One pattern has the sentence-ending marks of all scripts. The meaning of a full stop depends on the language
(abbreviations, initials, ordinals) and on what follows. Thai and Lao have no such mark and are split at spaces, into
segments long enough to be understood. (sentencex 1.0 splits no Thai, Khmer or Tibetan, and after "usw." and "т.е."
wrongly.) It always holds that ``"".join(one.text + one.gap for one in split(text)) ==
text``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import regex

from curate.data_files import DataFile
from curate.rows import languages

Interval = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence (or part of one) and the gap after it."""

    text: str
    gap: str
    """Whitespace after it."""


_CLOSERS = r"[”’»›」』）】〉》〕\)\]\}]"
_QUOTES = r"[\x22'*_]"
# Marks after which no space is needed.
_STRONG = r"[。！？｡।॥۔؟។៕။።፧།༎᠃᠉։᙮᱾᱿꯫꘎꘏߹߸܀܁܂᭞᭟꧈꧉𑁇𑁈]|፡፡"
_WEAK = r"[.!?…‥]"
_BREAK = r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]"
_ENDS = regex.compile(
    rf"(?V1)(?P<break>{_BREAK}[\s\p{{Z}}]*)"
    rf"|(?P<strong>(?:{_STRONG})(?:{_STRONG}|{_WEAK}|{_CLOSERS}|{_QUOTES}(?=[\s\p{{Z}}]|$))*)"
    rf"|(?P<weak>{_WEAK}+(?:{_CLOSERS}|{_QUOTES})*)(?=[\s\p{{Z}}]|$|[\p{{Han}}\p{{Hiragana}}\p{{Katakana}}])"
    rf"|(?P<own>[;:](?=[\s\p{{Z}}]))|(?P<space>[ \u00a0\u3000]+)"
)
_SPACES = regex.compile(r"[\s\p{Z}]*")
_LOWER = regex.compile(r"[\x22'“‘«¿¡(\[*_]{0,3}\p{Ll}")
_UPPER = regex.compile(r"[\x22'“‘«¿¡(\[*_]{0,3}[\p{Lu}\p{Lt}]")
_LAST = regex.compile(r"[\p{L}\p{M}\p{N}.\-’']{1,20}$")
_INITIAL = regex.compile(r"(?:\p{Lu}\p{M}*\.)*\p{Lu}\p{M}*")
_ACRONYM = regex.compile(r"(?:\p{L}\p{M}*\.)+\p{L}\p{M}*")
_NUMBER = regex.compile(r"\p{Nd}{1,2}")
# "am 3. Mai": a number with a full stop is an ordinal there.
_ORDINALS = frozenset({"de", "gsw", "lb", "nds", "da", "nb", "nn", "fo", "is", "fi", "et", "lv", "lt", "pl", "cs", "sk",
"sl", "hr", "bs", "sr", "hu", "tr", "eu", "hsb", "dsb", "se"})  # fmt: skip
_BY_SPACES = frozenset({"Thai", "Laoo", "Lana", "Tavt", "Talu"})
_PHRASE = 60
# Full stops that are other languages' semicolons and colons.
_OWN = {"el": ";", "hy": ":", "hyw": ":"}


ABBREVIATIONS = DataFile("curate.text", "data/abbreviations.yaml")


def _lexicon() -> Mapping[str, Any]:
    found: Mapping[str, Any] = ABBREVIATIONS.yaml()
    return found


@lru_cache(maxsize=512)
def _abbreviations(language: str) -> tuple[frozenset[str], frozenset[str]]:
    script = languages.script(language) if language != languages.UNKNOWN else "Latn"
    given = [_lexicon()["any"].get(script, {}), _lexicon().get(languages.base(language), {})]
    never, maybe = (frozenset(str(word) for one in given for word in one.get(name, ())) for name in ("never", "maybe"))
    return never, maybe - never


def split(text: str, language: str = languages.UNKNOWN, keep: Sequence[Interval] = ()) -> list[Sentence]:
    """The sentences of a text; joined with their gaps they are the text. The first may be empty before leading
    whitespace.

    Args:
        language: of the text; it determines abbreviations, ordinals and scripts without marks.
        keep: start and end of spans (in order) that are not split.
    """
    if not text:
        return []
    base = languages.base(language)
    own = _OWN.get(base, "")
    by_spaces = languages.script(language) in _BY_SPACES if language != languages.UNKNOWN else False
    starts = [start for start, _ in keep]
    found: list[Sentence] = []
    start = 0
    first = _SPACES.match(text)
    if first and first.end():
        found.append(Sentence("", first[0]))
        start = first.end()
    for match in _ENDS.finditer(text, start):
        end = match.end()
        if match.lastgroup == "break":
            gap = _gap_before(text, match.start(), start)
            end = match.end()
        else:
            place = bisect_right(starts, end - 1) - 1
            if place >= 0 and end < keep[place][1]:
                continue
            if not _ends(text, match, start, language, own, by_spaces):
                continue
            if match.lastgroup == "space":
                gap = match.start()
            else:
                gap = end
                space = _SPACES.match(text, end)
                end = space.end() if space else end
        if gap < start:  # a break inside the gap before
            continue
        found.append(Sentence(text[start:gap], text[gap:end]))
        start = end
    if start < len(text):
        core = text[start:].rstrip()
        found.append(Sentence(core, text[start + len(core) :]))
    return found


def _gap_before(text: str, place: int, start: int) -> int:
    while place > start and text[place - 1].isspace():
        place -= 1
    return place


def _ends(text: str, match: regex.Match[str], start: int, language: str, own: str, by_spaces: bool) -> bool:
    """Whether a sentence ends with this mark."""
    kind, end = match.lastgroup, match.end()
    if kind == "strong":
        return True
    if kind == "own":
        return match[0] == own
    if kind == "space":
        around = text[match.start() - 1 : match.start()] + text[end : end + 1]
        return by_spaces and match.start() - start >= _PHRASE and len(around) == 2 and not around.isascii()
    space = _SPACES.match(text, end)
    following = space.end() if space else end
    if following >= len(text):
        return True
    if _LOWER.match(text, following):
        return False
    if match[0] != ".":
        return True
    return not _abbreviated(text, match.start(), start, following, language)


def _abbreviated(text: str, dot: int, start: int, following: int, language: str) -> bool:
    """Whether the full stop at ``dot`` belongs to the preceding word."""
    last = _LAST.search(text, max(start, dot - 20), dot)
    if last is None:
        return False
    word = last[0].lstrip("-’'.")
    never, maybe = _abbreviations(language)
    lowered = word.lower()
    if lowered in never:
        return True
    capital = _UPPER.match(text, following) is not None
    if lowered in maybe:
        # Of a capital letter nothing follows in scripts without them.
        return not capital and text[following].isalnum()
    if _NUMBER.fullmatch(word):
        # A number alone is a list's; elsewhere "am 3. Mai".
        return last.start() == start or languages.base(language) in _ORDINALS
    if len(word) == 1 and _INITIAL.fullmatch(word):
        return capital and word != "I"
    return bool(_ACRONYM.fullmatch(word)) and "." in word and not capital


# ------------------------------------------------------------------------------------------------------- long pieces
_CLAUSE = regex.compile(r"[,;:–—](?=[\s\p{Z}])|[，、；：،؛၊፣፤፥·]|(?<=[\p{L}\p{M}])(?=[\s\p{Z}][(\[«“])")


def chop(text: str, longest: int, keep: Sequence[Interval] = ()) -> list[Sentence]:
    """A sentence in segments of at most ``longest`` characters: split after a clause, otherwise at a space, otherwise
    between characters.

    Graphemes and spans of ``keep`` are not split (which may make a segment longer).
    """
    if longest < 1:
        raise ValueError("a piece has at least one character")
    pieces: list[Sentence] = []
    start = 0
    while len(text) - start > longest:
        low, high = start + max(1, longest // 3), start + longest
        cuts = [match.end() for match in _CLAUSE.finditer(text, low, high) if _free(keep, match.end())]
        cut = cuts[-1] if cuts else _space(text, low, high, keep) or _space(text, start + 1, low, keep)
        if not cut:
            cut = _character(text, start, high, keep)
        gap = _SPACES.match(text, cut)
        end = gap.end() if gap else cut
        pieces.append(Sentence(text[start:cut], text[cut:end]))
        start = end
    if start < len(text):
        pieces.append(Sentence(text[start:], ""))
    return pieces


def _free(keep: Sequence[Interval], cut: int) -> bool:
    return not any(start < cut < end for start, end in keep)


def _space(text: str, low: int, high: int, keep: Sequence[Interval]) -> int:
    for place in range(min(high, len(text) - 1), low - 1, -1):
        if text[place].isspace() and not text[place - 1].isspace() and _free(keep, place):
            return place
    return 0


def _character(text: str, start: int, high: int, keep: Sequence[Interval]) -> int:
    """The last grapheme boundary at or before ``high``; after it if a protected span is in the way."""
    for begin, end in keep:
        if begin < high < end:
            high = begin if begin > start else end
            break
    if high >= len(text):
        return len(text)
    # Wide enough for any cluster that is meant: longer ones are an attack and are cut.
    low = max(start, high - 64)
    last = low
    for match in regex.finditer(r"\X", text, pos=low, endpos=min(len(text), high + 64)):
        if match.end() > high:
            break
        last = match.end()
    return last if last > start else high


# ------------------------------------------------------------------------------------------------------------- joining
_CJK = frozenset({"Hans", "Hant", "Hani", "Jpan", "Hira", "Kana", "Bopo"})
_UNSPACED_ENDS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}。！？，、；：」』）】”’…]$")
_CLOSED = regex.compile(r"[.!?…,;:。！？।॥؟۔።።།，、；：][\x22'”’»」』）)\]*_]*$")


def between(gap: str, before: str, after: str, source: str, target: str) -> str:
    """The gap between two translated sentences, given the gap between the originals.

    A line break, a tab, or several spaces stay. A single space is removed if the target language writes none (Chinese,
    Japanese), and added if only the source writes none.
    """
    if not before or not after or (gap and gap not in (" ", "\u00a0", "\u3000")):
        return gap
    if languages.script(target) in _CJK:
        return "" if _UNSPACED_ENDS.search(before) else gap
    if not gap and languages.script(source) in _CJK:
        return " " if _CLOSED.search(before) or (before[-1].isalnum() and after[0].isalnum()) else ""
    return " " if gap == "\u3000" else gap
