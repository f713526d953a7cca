"""Normalises short answers: equal up to case, punctuation, whitespace, vowel points and the form of digits."""

from __future__ import annotations

import unicodedata

import polars as pl
import regex

from curate.rows import languages
from curate.text import segmentation as text
from curate.text.numbers import decimal_digit

# A point or comma between digits, a minus before them, currency and per cent signs distinguish answers.
_DROPPED = regex.compile(
    r"(?V1)(?<![0-9])[.,]|[.,](?![0-9])|(?<![^\s(=])-(?![0-9])|(?<=[^\s(=])-"
    r"|[[\p{P}\p{S}\p{C}]--[.,\-%+<>=/°\p{Sc}]]"
)
_JOINERS = regex.compile(r"[\u200c\u200d]")
_WHITESPACE = regex.compile(r"\s+")
_DOTTED = frozenset({"tr", "az"})
_POINTED = regex.compile(r"[\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u08d3-\u08ff]")


def normal(answer: str, language: str) -> str:
    """The normal form of a short answer: NFKC, case folded as in the language, digits as 0 to 9, no punctuation, single
    spaces."""
    if answer.isascii():
        folded = answer.casefold() if languages.base(language) not in _DOTTED else _dotted(answer)
        return _WHITESPACE.sub(" ", _DROPPED.sub(" ", folded)).strip()
    folded = unicodedata.normalize("NFKC", answer)
    if _POINTED.search(folded):
        folded = str(text.strip_marks(pl.Series([folded]))[0])
    folded = _dotted(folded) if languages.base(language) in _DOTTED else folded.casefold()
    folded = "".join(map(decimal_digit, _JOINERS.sub("", folded)))
    # Case folding may decompose characters again.
    return unicodedata.normalize("NFC", _WHITESPACE.sub(" ", _DROPPED.sub(" ", folded)).strip())


def _dotted(answer: str) -> str:
    return answer.replace("İ", "i").replace("I", "ı").casefold()
