"""Reversible transliteration of Indic scripts: each letter has one Latin spelling, and each spelling one letter.

ISO 15919 is implemented here with tables of our own: the uniform reading (ē and ō long in every script, ṁ for
anusvara), and its colon wherever two spellings would run together (``a:i`` for अइ, ``k:h`` for क्ह). The same colon
marks what the standard leaves open: a Malayalam chillu or a Bengali khanda ta inside a word, a conjunct of two equal
letters in Gurmukhi (where addak marks doubling). A virama at the end of a Malayalam word is the half-u that it stands
for, ŭ. Joiners, which only change a letter's shape, are dropped. The ASCII schemes and IAST come from
indic-transliteration; its ISO 15919 (2.3) has க as gha and ব as va, knows no ê, ô, æ nor many letters with nukta, and
writes अइ and ऐ alike.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cache, lru_cache
from types import MappingProxyType

import regex

from curate.errors import StepError

SCHEMES = ("iso15919", "iast", "itrans", "hk", "slp1", "velthuis", "wx")
SCRIPTS: MappingProxyType[str, str] = MappingProxyType({
    "Devanagari": "devanagari", "Bengali": "bengali", "Gurmukhi": "gurmukhi", "Gujarati": "gujarati", "Oriya": "oriya",
    "Tamil": "tamil", "Telugu": "telugu", "Kannada": "kannada", "Malayalam": "malayalam", "Sinhala": "sinhala",
})  # fmt: skip
"""Unicode name of a script → its name in indic-transliteration."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Nine Unicode blocks have the same layout: one table of offsets from their starts.
_BLOCKS = MappingProxyType({
    "Devanagari": 0x900, "Bengali": 0x980, "Gurmukhi": 0xA00, "Gujarati": 0xA80, "Oriya": 0xB00, "Tamil": 0xB80,
    "Telugu": 0xC00, "Kannada": 0xC80, "Malayalam": 0xD00,
})  # fmt: skip
_CONSONANTS = _words(
    "k kh g gh ṅ c ch j jh ñ ṭ ṭh ḍ ḍh ṇ t th d dh n ṉ p ph b bh m y r ṟ l ḷ ḻ v ś ṣ s h"
)  # from 0x15 on
_VOWELS = MappingProxyType({
    0x06: "ā", 0x07: "i", 0x08: "ī", 0x09: "u", 0x0A: "ū", 0x0B: "r̥", 0x0C: "l̥", 0x0D: "ê", 0x0E: "e", 0x0F: "ē",
    0x10: "ai", 0x11: "ô", 0x12: "o", 0x13: "ō", 0x14: "au", 0x60: "r̥̄", 0x61: "l̥̄",
})  # fmt: skip
_SIGNS = MappingProxyType(
    {**{vowel + 0x38: latin for vowel, latin in _VOWELS.items() if vowel < 0x60}, 0x44: "r̥̄", 0x62: "l̥", 0x63: "l̥̄"}
)
_MARKS = MappingProxyType({0x01: "m̐", 0x02: "ṁ", 0x03: "ḥ", 0x3D: "’"})
_NUKTA = MappingProxyType({
    "k": "q", "kh": "k͟h", "g": "ġ", "j": "z", "jh": "ž", "ḍ": "ṛ", "ḍh": "ṛh", "ph": "f", "y": "ẏ", "s": "ś", "l": "ḷ",
    "c": "ċ",
})  # fmt: skip
_SINHALA = _words(
    "k kh g gh ṅ n̆g c ch j jh ñ jñ n̆j ṭ ṭh ḍ ḍh ṇ n̆ḍ t th d dh n . n̆d p ph b bh m m̆b y r . l . . v ś ṣ s h ḷ f"
)  # from U+0D9A on
_SINHALA_VOWELS = _words("a ā æ ǣ i ī u ū r̥ r̥̄ l̥ l̥̄ e ē ai o ō au")  # from U+0D85 on
_SINHALA_SIGNS = MappingProxyType({
    0xDCF: "ā", 0xDD0: "æ", 0xDD1: "ǣ", 0xDD2: "i", 0xDD3: "ī", 0xDD4: "u", 0xDD6: "ū", 0xDD8: "r̥", 0xDF2: "r̥̄",
    0xDDF: "l̥", 0xDF3: "l̥̄", 0xDD9: "e", 0xDDA: "ē", 0xDDB: "ai", 0xDDC: "o", 0xDDD: "ō", 0xDDE: "au",
})  # fmt: skip
_JOINERS = regex.compile("[\u200c\u200d]")
# Before Unicode 4.1 and 5.1 these letters were written with virama and joiner.
_DEAD = MappingProxyType({"ണ": "ൺ", "ന": "ൻ", "ര": "ർ", "ല": "ൽ", "ള": "ൾ", "ക": "ൿ", "ত": "ৎ"})
_OLD_DEAD = regex.compile("([ണനരലളകത])(?:(?<=[ണനരലളക])\u0d4d|(?<=ত)\u09cd)\u200d")
_ADDAK, _HALF_U, _APART, _STACKED = "ੱ", "ŭ", ":", "::"


@dataclass
class _Table:
    """The spellings of one script."""

    script: str
    virama: str
    consonants: dict[str, str] = field(default_factory=dict)
    vowels: dict[str, str] = field(default_factory=dict)
    signs: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    dead: dict[str, str] = field(default_factory=dict)
    """Letters that never have a vowel (chillus, khanda ta), with the spelling of the consonant."""
    usual: frozenset[str] = frozenset()
    """Spellings of dead letters that are more frequent before a consonant than the consonant with a virama."""
    also: dict[str, str] = field(default_factory=dict)
    """Letters that are transliterated like others, and converted back to those."""

    def close(self) -> _Table:
        self.native = {
            "C": _inverse(self.consonants),
            "V": _inverse(self.vowels),
            "S": _inverse(self.signs),
            "M": _inverse(self.marks),
            "D": _inverse(self.dead),
        }
        spellings = {
            *self.consonants.values(),
            *self.vowels.values(),
            *self.signs.values(),
            *self.marks.values(),
            "a",
            _APART,
        }
        if self.script == "Malayalam":
            spellings.add(_HALF_U)
        self.pattern = regex.compile("|".join(map(regex.escape, sorted(spellings, key=lambda one: (-len(one), one)))))
        letters = sorted({*self.consonants, *self.also}, key=lambda one: (-len(one), one))
        self.letter = regex.compile("|".join(map(regex.escape, letters)))
        return self

    def split(self, latin: str) -> list[str]:
        """Splits a Latin word into spellings, longest match first; other characters are parts of their own."""
        parts, at = [], 0
        while at < len(latin):
            match = self.pattern.match(latin, at)
            parts.append(match[0] if match else latin[at])
            at += len(parts[-1])
        return parts


def _inverse(spellings: dict[str, str]) -> dict[str, str]:
    inverse: dict[str, str] = {}
    for native, latin in spellings.items():
        inverse.setdefault(latin, native)
    return inverse


@cache
def _table(script: str, language: str) -> _Table:
    if script == "Sinhala":
        table = _Table(script, "\u0dca")
        table.consonants = {chr(0xD9A + at): latin for at, latin in enumerate(_SINHALA) if latin != "."}
        table.vowels = {chr(0xD85 + at): latin for at, latin in enumerate(_SINHALA_VOWELS)}
        table.signs = {chr(point): latin for point, latin in _SINHALA_SIGNS.items()}
        table.marks = {"\u0d82": "ṁ", "\u0d83": "ḥ"}
        return table.close()
    start = _BLOCKS[script]
    table = _Table(script, chr(start + 0x4D))

    def exists(offset: int) -> bool:
        return unicodedata.category(chr(start + offset)) != "Cn"

    table.consonants = {chr(start + 0x15 + at): latin for at, latin in enumerate(_CONSONANTS) if exists(0x15 + at)}
    table.vowels = {chr(start + 0x05): "a", **{chr(start + at): latin for at, latin in _VOWELS.items() if exists(at)}}
    table.signs = {chr(start + at): latin for at, latin in _SIGNS.items() if exists(at)}
    table.marks = {chr(start + at): latin for at, latin in _MARKS.items() if exists(at)}
    if exists(0x3C):
        taken = {*table.consonants.values()}
        for native, latin in list(table.consonants.items()):
            if latin in _NUKTA and _NUKTA[latin] not in taken:
                table.consonants[unicodedata.normalize("NFC", native + chr(start + 0x3C))] = _NUKTA[latin]
    _own_letters(table, language)
    return table.close()


def _own_letters(table: _Table, language: str) -> None:
    """Adds the letters that a script has beside the common layout."""
    if table.script == "Devanagari":
        table.vowels["ॐ"] = "oṃ"
    elif table.script == "Bengali":
        table.dead["ৎ"] = "t"
        table.consonants["ৱ"] = "w"
        if language == "as":
            table.consonants["ৰ"] = table.consonants.pop("র")
            table.also["র"] = "r"
        else:
            table.also["ৰ"] = "r"
    elif table.script == "Gurmukhi":
        table.consonants["ੜ"] = "ṛ"
        table.also["ਡ਼"] = table.consonants.pop("ਡ਼")
        table.consonants["ਸ਼"], table.consonants["ਲ਼"] = "ś", "ḷ"
        table.marks["ੰ"] = "ṃ"
    elif table.script == "Oriya":
        table.consonants["ୟ"], table.consonants["ୱ"] = "ẏ", "w"
        table.also["ଯ଼"] = table.consonants.pop("ଯ଼")
    elif table.script == "Tamil":
        table.marks["ஃ"] = "ḵ"
    elif table.script == "Kannada":
        table.consonants["ೞ"] = "ḻ"
    elif table.script == "Malayalam":
        table.dead = {"ൺ": "ṇ", "ൻ": "n", "ർ": "r", "ൽ": "l", "ൾ": "ḷ", "ൿ": "k"}
        table.usual = frozenset({"r"})
        # The length mark alone is how au is written today; the two-part sign is the older form.
        del table.signs["ൌ"]
        table.signs["ൗ"] = "au"


# ----------------------------------------------------------------------------------------------------------------- both
def plain(word: str) -> str:
    """The word in the form that can be restored: composed (NFC), without joiners, a Malayalam chillu as one letter."""
    word = unicodedata.normalize("NFC", word)
    if "\u200d" in word:
        word = _OLD_DEAD.sub(lambda match: _DEAD[match[1]], word)
    return _JOINERS.sub("", word)


@lru_cache(maxsize=1 << 17)
def to_latin(word: str, script: str, scheme: str, language: str = "und") -> str:
    """Transliterates a word (letters and marks of one script) into Latin letters.

    Args:
        script: Unicode name, one of :data:`SCRIPTS`.
        scheme: one of :data:`SCHEMES`.
        language: base of the language tag; Assamese has letters of its own.

    Raises:
        StepError: indic-transliteration, which has all schemes but ISO 15919, is not installed.
    """
    if scheme != "iso15919":
        return _by_library(_composed(plain(word)), SCRIPTS[script], scheme)
    table = _table(script, "as" if language == "as" and script == "Bengali" else "")
    return _join(table, _spell(table, plain(word)))


@lru_cache(maxsize=1 << 17)
def from_latin(latin: str, script: str, scheme: str, language: str = "und") -> str:
    """Reverses :func:`to_latin`."""
    if scheme != "iso15919":
        return unicodedata.normalize("NFC", _by_library(latin, scheme, SCRIPTS[script]))
    table = _table(script, "as" if language == "as" and script == "Bengali" else "")
    return unicodedata.normalize("NFC", _read(table, table.split(unicodedata.normalize("NFC", latin))))


_Piece = tuple[str, str]
"""Kind (``C``onsonant, its ``a``, ``S``ign, ``V``owel, ``M``ark, ``D``ead letter, ``:``, or other), and spelling."""


def _spell(table: _Table, word: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    at = 0
    while at < len(word):
        match = table.letter.match(word, at)
        if match:
            at = _spell_consonant(table, word, match[0], match.end(), pieces)
            continue
        char, at = word[at], at + 1
        if char in table.vowels:
            if pieces and pieces[-1][0] in "CD":
                pieces.append((_APART, _APART))
            pieces.append(("V", table.vowels[char]))
        elif char in table.dead:
            at = _spell_dead(table, word, table.dead[char], at, pieces)
        elif char == _ADDAK and (match := table.letter.match(word, at)):
            pieces.append(("G", _first_of_two(table.consonants[match[0]])))
        else:
            pieces.append(("M", table.marks[char]) if char in table.marks else ("?", table.signs.get(char, char)))
    return pieces


def _spell_consonant(table: _Table, word: str, letter: str, at: int, pieces: list[_Piece]) -> int:
    latin = table.consonants.get(letter) or table.also[letter]
    if table.script == "Gurmukhi" and pieces and pieces[-1] == ("C", _first_of_two(latin)):
        pieces.append((_APART, _APART))
    pieces.append(("C", latin))
    if at < len(word) and word[at] in table.signs:
        pieces.append(("S", table.signs[word[at]]))
        return at + 1
    if at >= len(word) or word[at] != table.virama:
        pieces.append(("a", "a"))
        return at
    following = table.letter.match(word, at + 1)
    if following is None and table.script == "Malayalam":
        pieces.append(("U", _HALF_U))
    elif following is None and latin in table.dead.values():
        pieces.append((_APART, _STACKED))
    elif following is not None and latin in table.usual:
        pieces.append((_APART, _APART))
    return at + 1


def _spell_dead(table: _Table, word: str, latin: str, at: int, pieces: list[_Piece]) -> int:
    pieces.append(("D", latin))
    if word[at : at + 1] == table.virama:
        pieces.append((_APART, _STACKED))
        return at + 1
    following = table.letter.match(word, at)
    if following and latin not in table.usual:
        after = table.consonants.get(following[0]) or table.also[following[0]]
        one_letter = table.split(latin + after) != [latin, after]
        # "k:h" stands for the two letters stacked, as opposed to the letter "kh".
        pieces.append((_APART, _APART * 3 if one_letter else _APART))
    return at


def _first_of_two(latin: str) -> str:
    """The spelling of the first half of a doubled letter: ``k`` for ``kh``."""
    return latin[:-1] if len(latin) > 1 and latin.endswith("h") else latin


def _join(table: _Table, pieces: list[_Piece]) -> str:
    parts: list[str] = []
    for place, (kind, latin) in enumerate(pieces):
        before = pieces[place - 1] if place else None
        if before and _APART not in (kind, before[0]) and table.split(before[1] + latin) != [before[1], latin]:
            parts.append(_APART)
        parts.append(latin)
    return unicodedata.normalize("NFC", "".join(parts))


def _read(table: _Table, spellings: list[str]) -> str:
    native = table.native
    parts: list[str] = []
    for place, latin in enumerate(spellings):
        before = spellings[place - 1] if place else ""
        after = spellings[place + 1] if place + 1 < len(spellings) else ""
        if latin in native["C"]:
            parts.append(_read_consonant(table, latin, spellings[place + 1 : place + 4]))
        elif latin == "a" and before in native["C"]:
            continue
        elif before in native["C"] and latin in native["S"]:
            parts.append(native["S"][latin])
        elif latin in native["V"]:
            parts.append(native["V"][latin])
        elif latin in native["M"]:
            parts.append(native["M"][latin])
        elif latin == _HALF_U and table.script == "Malayalam" and before in native["C"]:
            parts.append(table.virama)
        elif latin != _APART or not (before == _APART or (before and after)):
            parts.append(latin)
    return "".join(parts)


def _read_consonant(table: _Table, latin: str, after: list[str]) -> str:
    """The letter, with its virama if no vowel follows."""
    letters, dead = table.native["C"], table.native["D"].get(latin)
    following = after[0] if after else ""
    if following in table.native["S"] or following == "a" or following == _HALF_U:
        return letters[latin]
    if following in letters:
        if table.script == "Gurmukhi" and latin == _first_of_two(following):
            return _ADDAK
        return dead if dead and latin in table.usual else letters[latin] + table.virama
    if following == _APART and dead:
        if after[:3] == [_APART] * 3:
            return dead
        if after[1:2] == [_APART]:
            return (dead if len(after) > 2 else letters[latin]) + table.virama
        apart = len(after) > 1 and after[1] in letters
        if apart and (latin in table.usual or table.split(latin + after[1]) != [latin, after[1]]):
            return letters[latin] + table.virama
        return dead
    return dead or letters[latin] + table.virama


# -------------------------------------------------------------------------------------------------------------- library
@cache
def _compositions() -> dict[str, str]:
    """Letter and nukta → the precomposed character, which NFC decomposes and the library needs."""
    pairs = {unicodedata.normalize("NFD", chr(point)): chr(point) for point in range(0x900, 0xE00)}
    return {
        pair: whole for pair, whole in pairs.items() if len(pair) == 2 and unicodedata.normalize("NFC", whole) == pair
    }


def _composed(word: str) -> str:
    for pair, whole in _compositions().items():
        if pair in word:
            word = word.replace(pair, whole)
    return word


def _by_library(word: str, before: str, after: str) -> str:
    try:
        from indic_transliteration import sanscript
    except ImportError:
        raise StepError(
            "romanise: this scheme needs a package: pip install 'polycurate[romanise]'; or use 'scheme: iso15919'"
        ) from None
    return str(sanscript.transliterate(word, before, after))
