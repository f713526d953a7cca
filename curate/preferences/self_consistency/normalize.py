"""Two short answers are one if they differ in nothing but case, punctuation, blanks, vowel points and the form of digits."""

from __future__ import annotations

import unicodedata

import polars as pl
import regex

from curate.rows import languages
from curate.text import segmentation as text
from curate.text.numbers import decimal_digit

# A point or comma between digits, a minus before them, currency and per cent make another answer.
_DROPPED = regex.compile(
    r"(?V1)(?<![0-9])[.,]|[.,](?![0-9])|(?<![^\s(=])-(?![0-9])|(?<=[^\s(=])-|[[\p{P}\p{S}\p{C}]--[.,\-%+<>=/°\p{Sc}]]"
)
_JOINERS = regex.compile(r"[\u200c\u200d]")
_BLANK = regex.compile(r"\s+")
_DOTTED = frozenset({"tr", "az"})
_POINTED = regex.compile(r"[\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u08d3-\u08ff]")


def normal(given: str, language: str) -> str:
    """The normal form of a short answer: NFKC, case folded as the language does, digits as 0 to 9, no punctuation, single blanks."""
    if given.isascii():
        shown = given.casefold() if languages.base(language) not in _DOTTED else _dotted(given)
        return _BLANK.sub(" ", _DROPPED.sub(" ", shown)).strip()
    shown = unicodedata.normalize("NFKC", given)
    if _POINTED.search(shown):
        shown = str(text.strip_marks(pl.Series([shown]))[0])
    shown = _dotted(shown) if languages.base(language) in _DOTTED else shown.casefold()
    shown = "".join(map(decimal_digit, _JOINERS.sub("", shown)))
    # Case folding may undo the composition that the normal form has.
    return unicodedata.normalize("NFC", _BLANK.sub(" ", _DROPPED.sub(" ", shown)).strip())


def _dotted(shown: str) -> str:
    return shown.replace("İ", "i").replace("I", "ı").casefold()
