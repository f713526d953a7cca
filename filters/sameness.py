"""Texts are the same when their normal forms are equal; each step towards the normal form can be switched.

The order is fixed: Unicode form, case, digits, marks, punctuation, Unicode form again (folding can undo it), blanks. What
is said here about case is by language, because it is not the same in Turkish.
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Literal

import polars as pl
import regex

from curate.rows import text

# Languages that write a dotless and a dotted i as two letters, in both cases.
_DOTTED = frozenset({"tr", "az", "gag", "crh"})
# Punctuation that changes what is meant: C# and C, @name and name, 5% and 5, AT&T, a*b, and/or.
_APOSTROPHES = "'\u2018\u2019\u02bc\uff07"
_PUNCTUATION = regex.compile(r"(?V1)[\p{P}--[#@%&*/\\\uff03\uff20\uff05\uff06\uff0a\uff0f\uff3c]](?!\p{N})")


@cache
def _digits() -> dict[int, int]:
    return {
        point: ord(str(unicodedata.digit(chr(point))))
        for point in range(128, sys.maxunicode + 1)
        if unicodedata.category(chr(point)) == "Nd"
    }


@dataclass(frozen=True)
class Sameness:
    """What does not count when two texts are compared; see :class:`filters.duplicates.Duplicates` for the meanings."""

    unicode: Literal["nfkc", "nfc", "none"] = "nfkc"
    case: Literal["fold", "keep"] = "fold"
    blanks: Literal["collapse", "remove", "keep"] = "collapse"
    punctuation: Literal["keep", "ignore"] = "keep"
    digits: Literal["keep", "fold"] = "keep"
    marks: Literal["keep", "ignore"] = "keep"

    def normalize(self, texts: pl.Series, language: pl.Series) -> pl.Series:
        """The normal form of each text, in its language; ``""`` only for a text in which nothing is seen."""
        texts = self._unicode(texts)
        if self.case == "fold":
            dotted = language.str.extract(r"^([a-z]+)", 1).is_in(list(_DOTTED)).to_list()
            folded = [
                (one.replace("I", "ı").replace("İ", "i") if special else one).casefold()
                for one, special in zip(texts.to_list(), dotted, strict=True)
            ]
            texts = pl.Series(folded, dtype=pl.String)
        if self.digits == "fold":
            texts = pl.Series([one.translate(_digits()) for one in texts.to_list()], dtype=pl.String)
        if self.marks == "ignore":
            texts = text.strip_marks(texts)
        if self.punctuation == "ignore":
            texts = self._unicode(texts)
            bare = self._blanks(pl.Series([_without_punctuation(one) for one in texts.to_list()], dtype=pl.String))
            whole = self._blanks(texts)
            frame = pl.DataFrame({"bare": bare, "whole": whole})
            return frame.select(pl.when(pl.col("bare").str.contains(r"\S")).then("bare").otherwise("whole")).to_series()
        return self._blanks(texts)

    def _unicode(self, texts: pl.Series) -> pl.Series:
        if self.unicode == "none":
            return texts
        return texts.str.normalize("NFKC" if self.unicode == "nfkc" else "NFC")

    def _blanks(self, texts: pl.Series) -> pl.Series:
        if self.blanks == "keep":
            return self._unicode(texts)
        seen = texts.str.replace_all(text.INVISIBLE, "")
        if self.blanks == "remove":
            return self._unicode(seen.str.replace_all(r"\s+", ""))
        return self._unicode(seen.str.replace_all(r"\s+", " ").str.strip_chars(" "))


def _without_punctuation(one: str) -> str:
    # An apostrophe joins (don't = dont); any other sign parts (well-known = well known).
    for sign in _APOSTROPHES:
        one = one.replace(sign, "")
    return _PUNCTUATION.sub(" ", one)
