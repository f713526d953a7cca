"""Romanises a text piece by piece; Latin text and text in no language stays unchanged.

Words in Indic scripts are transliterated reversibly (:mod:`curate.generation.romanise.indic`), everything else by
uroman (Hermjakob, May and Knight 2018, *Out-of-the-box Universal Romanization Tool*, ACL). uroman does not read across
spaces, so each piece between spaces is romanised once and cached: words repeat, and it is slow.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

import regex

from curate.errors import StepError
from curate.generation.romanise import indic
from curate.rows import languages

Scheme = Literal["auto", "uroman", "iso15919", "iast", "itrans", "hk", "slp1", "velthuis", "wx"]
Digits = Literal["latin", "native"]
Interval = tuple[int, int]

_MISSING = "romanise: uroman is not installed: pip install 'polycurate[romanise]'"
# One alternative for each script with a reversible scheme; words contain joiners and common marks.
_IN_WORD = r"\p{Script=%s}\p{Inherited}\u200c\u200d"
_INDIC = "|".join(
    rf"(?P<{name}>[\p{{Script={name}}}&&[\p{{L}}\p{{M}}]][[{_IN_WORD % name}]&&[\p{{L}}\p{{M}}\u200c\u200d]]*)"
    for name in indic.SCRIPTS
)
_REST = (
    r"(?P<latin>[\p{Latin}--[\uff21-\uff3a\uff41-\uff5a]][\p{Latin}\p{Inherited}]*)"
    r"|(?P<digits>[\p{Nd}--[0-9]]+)"
)


def _pieces(named: str) -> regex.Pattern[str]:
    """The named alternatives, and ``other`` for anything else without spaces between them."""
    unnamed = regex.sub(r"\?P<\w+>", "?:", named)
    return regex.compile(rf"(?V1){named}|(?P<other>(?:(?!{unnamed})[^\s\p{{Z}}])+)")


_BY_WORDS = _pieces(f"{_INDIC}|{_REST}")
_WHOLE = _pieces(_REST)
_INDIC_LETTER = regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in indic.SCRIPTS) + "]")
_FOREIGN = regex.compile(r"(?V1)[\p{L}--[\p{Latin}]]|[\uff21-\uff3a\uff41-\uff5a]")
_LETTERS = regex.compile(r"\p{L}+")
_HAN = regex.compile(r"[\p{Han}]")
_BLANK = regex.compile(r"[\s\p{Z}]")
# Marks of unspaced scripts, across which nothing is read, and after which uroman writes a space.
_CUT = regex.compile(r"(?<=[。！？，、；：・…」』）》])")
_LONGEST = 400
_EDGES = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»“”„‘’…–—"


@dataclass(frozen=True)
class Romanised:
    """A romanised text with its counts."""

    text: str
    native: int = 0
    """Characters of words with a reversible scheme."""
    returned: int = 0
    """Characters of these that are the same after converting back."""
    letters: int = 0
    """Letters outside protected spans, afterwards."""
    left: int = 0
    """Letters of these that are not Latin."""
    changed: bool = False
    """Whether there was anything to romanise."""
    universal: bool = False
    """Whether uroman was used."""


def foreign(text: str, protected: Sequence[Interval] = ()) -> int:
    """The number of letters outside the protected spans that are not Latin."""
    return sum(1 for match in _FOREIGN.finditer(text) if not _inside(protected, match.start()))


def has_han(text: str, protected: Sequence[Interval] = ()) -> bool:
    """Whether there is a Han character outside the protected spans."""
    return any(not _inside(protected, match.start()) for match in _HAN.finditer(text))


def _inside(protected: Sequence[Interval], place: int) -> bool:
    return any(start <= place < end for start, end in protected)


def romanise(text: str, language: str, scheme: Scheme, digits: Digits, protected: Sequence[Interval] = ()) -> Romanised:
    """Romanises a text.

    Args:
        language: tag of the text; uroman has rules for some languages.
        scheme: ``auto`` uses ISO 15919 for Indic scripts and uroman for the others.
        digits: whether digits of other scripts become 0 to 9.
        protected: start and end of spans that stay unchanged, in order.
    """
    parts: list[str] = []
    native = returned = letters = left = 0
    changed = universal = False
    done = 0
    for start, end in (*protected, (len(text), len(text))):
        piece = _stretch(text, done, start, language, scheme, digits)
        parts += [piece.text, text[start:end]]
        native, returned = native + piece.native, returned + piece.returned
        letters, left, changed = letters + piece.letters, left + piece.left, changed or piece.changed
        universal = universal or piece.universal
        done = end
    return Romanised("".join(parts), native, returned, letters, left, changed, universal)


def _stretch(text: str, start: int, end: int, language: str, scheme: Scheme, digits: Digits) -> Romanised:
    if text.isascii():
        return Romanised(text[start:end], letters=sum(len(run) for run in _LETTERS.findall(text, start, end)))
    by_words = scheme != "uroman"
    uroman, used = scheme in ("auto", "uroman"), False
    # Punctuation is treated like the words around it: Indic schemes keep it, uroman writes it in Latin.
    marks = uroman and (not by_words or _INDIC_LETTER.search(text) is None)
    base = languages.base(language)
    parts: list[str] = []
    native = returned = 0
    at, changed = start, False
    for match in (_BY_WORDS if by_words else _WHOLE).finditer(text, start, end):
        if match.start() > at:
            parts.append(_blanks(text[at : match.start()]))
        kind, piece, at = match.lastgroup, match[0], match.end()
        if kind is not None and kind in indic.SCRIPTS:
            written, back = _there_and_back(piece, kind, "iso15919" if scheme == "auto" else scheme, base)
            native, returned, changed = native + len(indic.plain(piece)), returned + back, True
            parts.append(written)
        elif kind == "digits" and digits == "latin":
            parts.append("".join(str(unicodedata.digit(one)) for one in piece))
        elif kind == "other" and uroman and not piece.isascii() and (marks or _FOREIGN.search(piece)):
            if _FOREIGN.search(piece):
                used = changed = True
            within = [part for part in _CUT.split(piece) if part]
            for place, part in enumerate(within):
                followed = place + 1 < len(within) or (at < len(text) and not _BLANK.match(text, at))
                parts.append(_fitted(_without_edges(part, language), parts, followed))
        else:
            parts.append(piece)
    parts.append(_blanks(text[at:end]))
    made = unicodedata.normalize("NFC", "".join(parts))
    runs = _LETTERS.findall(made)
    return Romanised(
        made, native, returned, sum(map(len, runs)), sum(len(_FOREIGN.findall(run)) for run in runs), changed, used
    )


def _blanks(whitespace: str) -> str:
    """Keeps line breaks, tabs and plain spaces; any other space, such as an ideographic one, becomes a plain one."""
    return whitespace if whitespace.isascii() else regex.sub(r"\p{Zs}", " ", whitespace)


def _fitted(romanised: str, before: Sequence[str], more: bool) -> str:
    """Removes the space that uroman writes after 、 and the like, except between words."""
    last = next((part for part in reversed(before) if part), " ")
    if last[-1].isspace():
        romanised = romanised.lstrip(" ")
    return romanised if more else romanised.rstrip(" ")


# ----------------------------------------------------------------------------------------------------------- reversible
def _there_and_back(word: str, script: str, scheme: str, language: str) -> tuple[str, int]:
    """A word in Latin letters, and how many of its characters are the same after converting back."""
    latin = indic.to_latin(word, script, scheme, language)
    there, back = indic.plain(word), indic.from_latin(latin, script, scheme, language)
    return latin, len(there) if there == back else _common(there, back)


@lru_cache(maxsize=1 << 14)
def _common(one: str, other: str) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for char in one:
        before = 0
        for at, its in enumerate(other, 1):
            before, row[at] = row[at], before + 1 if char == its else max(row[at], row[at - 1])
    return row[-1]


# ------------------------------------------------------------------------------------------------------------ universal
def _without_edges(piece: str, language: str) -> str:
    """Romanises a piece without the punctuation around it, so that the cache has each word once."""
    core = piece.strip(_EDGES)
    if not core:
        return piece
    start = piece.index(core)
    return piece[:start] + _universal(core, language) + piece[start + len(core) :]


@lru_cache(maxsize=1 << 18)
def _universal(piece: str, language: str) -> str:
    """Romanises a piece without spaces with uroman."""
    if len(piece) > _LONGEST:
        return "".join(_universal(part, language) for part in _shorter(piece))
    code = None if language == languages.UNKNOWN else languages.iso639_3(language)
    lattice = _lattice()(piece, uroman=_uroman(), lcode=code)
    lattice.pick_tibetan_vowel_edge()
    lattice.prep_braille()
    lattice.add_romanization()
    if not _HAN.search(piece):
        # A Han numeral is treated as a word: 一个人 is yigeren, where uroman would write 1geren.
        lattice.add_numbers(_uroman())
        lattice.add_braille_numbers()
    lattice.add_rom_fall_back_singles()
    return str(lattice.edge_path_to_surf(lattice.best_rom_edge_path(0, len(piece))))


def _shorter(piece: str) -> list[str]:
    """Parts of a very long piece, cut between graphemes."""
    parts, part = [], ""
    for cluster in regex.findall(r"\X", piece):
        if part and len(part) + len(cluster) > _LONGEST:
            parts.append(part)
            part = ""
        part += cluster[:_LONGEST]
    return [*parts, part]


@cache
def _uroman() -> Any:
    try:
        from uroman import Uroman
    except ImportError:
        raise StepError(_MISSING) from None
    # Its own cache is not used: it cuts at full stops, this one at spaces.
    return Uroman(cache_size=0)


@cache
def _lattice() -> Any:
    try:
        from uroman.uroman import Lattice
    except ImportError:
        raise StepError(_MISSING) from None
    return Lattice
