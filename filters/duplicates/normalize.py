"""Text normalisation for deduplication; each step can be switched off.

The order is fixed: markup, invisible characters, Unicode form, joiners, case, digits, diacritics, quotes, punctuation,
Unicode form again (folding can undo it), whitespace. Case folding depends on the language, because Turkish folds
differently.
"""

from __future__ import annotations

import html
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.text import segmentation as text

# Languages that write a dotless and a dotted i as two letters, in both cases.
_DOTTED = frozenset({"tr", "az", "gag", "crh"})
_APOSTROPHES = "'\u2018\u2019\u02bc\uff07"
_APOSTROPHE_AND_MARK = rf"[{_APOSTROPHES}][\p{{M}}\u1160-\u11ff]"
# All but punctuation that changes the meaning: C# and C, @name and name, 5% and 5, AT&T, a*b, and/or.
_PUNCTUATION = r"(?V1)[\p{P}--[#@%&*/\\\uff03\uff20\uff05\uff06\uff0a\uff0f\uff3c]]+"
# Quotation marks, apostrophes and dashes of all shapes; two single ones are one double.
_QUOTES = (
    ("[\u2018\u2019\u201a\u201b\u2039\u203a\u02bc\u02bb\u02b9\u2032\u00b4\u0060\uff07\u05f3]", "'"),
    ("[\u201c\u201d\u201e\u201f\u00ab\u00bb\u300c\u300d\u300e\u300f\u301d-\u301f\u2033\uff02\u05f4]|''", '"'),
    ("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]", "-"),
)
_TOUCHED_BY_QUOTES = (
    "[\u0060\u00ab\u00b4\u00bb\u02b9-\u02bc\u05f3\u05f4\u2010-\u201f\u2032\u2033\u2039\u203a\u2212"
    "\u300c-\u300f\u301d-\u301f\ufe58\ufe63\uff02\uff07\uff0d]|''"
)
# Joiners and variation selectors: noise in most scripts, spelling in Persian and the Indic ones.
_JOINERS = "[\u034f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]"
# A tag is formatting if it comes as a pair or is a line break; a single <b> is part of the text.
_BREAKS = regex.compile(r"<!--.*?-->|</?(?:br|p|hr|wbr|div|span|li|ul|ol)\b(?:\s[^<>]*)?/?>", regex.I | regex.S)
_PAIR = regex.compile(r"<([a-z][a-z0-9]{0,11})\b(?:\s[^<>]*)?>([^<>]*)</\1\s*>", regex.I)
_DEEPEST = 6
_BETWEEN = "\uffff"


@cache
def _digits() -> dict[int, int]:
    return {
        point: ord(str(unicodedata.digit(chr(point))))
        for point in range(128, sys.maxunicode + 1)
        if unicodedata.category(chr(point)) == "Nd"
    }


@dataclass(frozen=True)
class Normalization:
    """Which differences are ignored when two texts are compared; see :class:`filters.duplicates.step.Duplicates`."""

    unicode: Literal["nfkc", "nfc", "none"] = "nfkc"
    case: Literal["fold", "keep"] = "fold"
    whitespace: Literal["collapse", "remove", "keep"] = "collapse"
    punctuation: Literal["keep", "ignore"] = "keep"
    digits: Literal["keep", "fold"] = "keep"
    diacritics: Literal["keep", "ignore"] = "keep"
    quotes: Literal["keep", "fold"] = "keep"
    joiners: Literal["keep", "ignore"] = "keep"
    html: Literal["keep", "strip"] = "keep"

    def normalize(self, texts: pl.Series, language: pl.Series) -> pl.Series:
        """The normal form of each text in its language; ``""`` only for a text without visible characters."""
        return self.finish(self.clean(texts, language))

    def clean(self, texts: pl.Series, language: pl.Series) -> pl.Series:
        """The first part of normalisation: everything but punctuation and whitespace."""
        if self.html == "strip":
            texts = _only(texts, "[<&]", lambda part: pl.Series([strip_html(one) for one in part], dtype=pl.String))
        if self.whitespace != "keep":
            texts = texts.str.replace_all(text.INVISIBLE, "")
        texts = self._unicode(texts)
        if self.joiners == "ignore":
            texts = texts.str.replace_all(_JOINERS, "")
        if self.case == "fold":
            texts = self._folded(texts, language)
        if self.digits == "fold":
            texts = _only(
                texts,
                r"[\p{Nd}--[0-9]]",
                lambda part: pl.Series([one.translate(_digits()) for one in part], dtype=pl.String),
            )
        if self.diacritics == "ignore":
            texts = text.strip_marks(texts)
        if self.quotes == "fold":
            texts = _only(texts, _TOUCHED_BY_QUOTES, _fold_quotes)
        return texts

    def finish(self, texts: pl.Series) -> pl.Series:
        """The second part of normalisation, for texts from :meth:`clean`."""
        if self.punctuation == "keep":
            return self._whitespace(texts)
        texts = self._unicode(texts)
        bare = _without_punctuation(texts, collapse=self.whitespace == "collapse")
        # Only a mark behind an apostrophe that is gone can make another character than before.
        joined = texts.str.contains(_APOSTROPHE_AND_MARK)
        bare = self._whitespace(bare) if self.whitespace == "remove" or joined.any() else self._spaces(bare)
        nothing = ~bare.str.contains(r"\S")
        if not nothing.any():
            return bare
        return bare.clone().scatter(nothing.arg_true(), self._whitespace(texts.filter(nothing)))

    def _folded(self, texts: pl.Series, language: pl.Series) -> pl.Series:
        dotted = language.str.extract(r"^([a-z]+)", 1).is_in(list(_DOTTED)).to_list()
        originals = texts.to_list()
        if any(dotted):
            originals = [
                one.replace("I", "ı").replace("İ", "i") if special else one
                for one, special in zip(originals, dotted, strict=True)
            ]
        # One call for all texts is many times faster; case folding neither adds nor removes the noncharacter between.
        folded = _BETWEEN.join(originals).casefold().split(_BETWEEN) if originals else []
        if len(folded) != len(originals):
            folded = [one.casefold() for one in originals]
        return pl.Series(folded, dtype=pl.String)

    def _unicode(self, texts: pl.Series) -> pl.Series:
        if self.unicode == "none":
            return texts
        # ASCII texts, the most frequent case, are already normal; testing for them is many times cheaper.
        form = self.unicode
        return _only(texts, "[^\\x00-\\x7f]", lambda part: part.str.normalize("NFKC" if form == "nfkc" else "NFC"))

    def _whitespace(self, texts: pl.Series) -> pl.Series:
        return self._unicode(self._spaces(texts))

    def _spaces(self, texts: pl.Series) -> pl.Series:
        if self.whitespace == "keep":
            return texts
        if self.whitespace == "remove":
            return texts.str.replace_all(r"\s+", "")
        spaced = _only(texts, r"\s{2,}|[\s--\x20]", lambda part: part.str.replace_all(r"\s+", " "))
        return spaced.str.strip_chars(" ")


def strip_html(one: str) -> str:
    """The text as a browser shows it: entities decoded, breaks as line breaks, paired tags and comments removed.

    A tag without its partner stays: it may be what the text is about.
    """
    one = html.unescape(one)
    if "<" not in one:
        return one
    one = _BREAKS.sub("\n", one)
    for _ in range(_DEEPEST):
        one, count = _PAIR.subn(r"\2", one)
        if not count:
            break
    return one


def _only(texts: pl.Series, pattern: str, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Applies ``change`` to the texts that match the pattern; the others are unchanged."""
    touched = texts.str.contains(pattern)
    count = touched.sum()
    if not count:
        return texts
    if count == len(texts):
        return change(texts)
    # A copy, because scatter() writes into the series it is called on.
    return texts.clone().scatter(touched.arg_true(), change(texts.filter(touched)))


def _fold_quotes(texts: pl.Series) -> pl.Series:
    for shapes, plain in _QUOTES:
        texts = texts.str.replace_all(shapes, plain)
    return texts


_DROPPED, _SEPARATOR, _DIGIT = 1, 2, 4
# Characters at a time that stay in the processor's cache.
_AT_ONCE = 1 << 16


@cache
def _punctuation_table() -> npt.NDArray[np.uint8]:
    """What happens to each code point: apostrophes are dropped, punctuation separates, digits keep the character before
    them."""
    table = np.zeros(sys.maxunicode + 1, np.uint8)
    everything = "".join(map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1))))
    points = np.frombuffer(everything.encode("utf-32-le"), np.uint32)
    for pattern, flag in ((_PUNCTUATION, _SEPARATOR), (r"\p{N}+", _DIGIT), (f"[{_APOSTROPHES}]", _DROPPED)):
        for match in regex.finditer(pattern, everything):
            table[points[match.start() : match.end()]] = flag
    return table


def _without_punctuation(texts: pl.Series, *, collapse: bool) -> pl.Series:
    """The texts with a blank for punctuation; ``collapse``: with one blank where several would follow each other."""
    # An apostrophe joins (don't = dont); other punctuation separates (well-known = well known).
    parts = [
        pl.Series(dtype=pl.String),
        *(_bare(batch, collapse) for batch in text.batches(texts, _AT_ONCE)),
    ]
    return pl.concat(parts)


def _bare(texts: pl.Series, collapse: bool) -> pl.Series:
    points, offsets = text.code_points(texts)
    flags = _punctuation_table()[points]
    there = flags != _DROPPED
    kept, flags = points[there], flags[there]
    ends = np.concatenate([[0], np.cumsum(there)])[offsets]
    next_digit = np.zeros(len(kept), bool)
    next_digit[:-1] = flags[1:] == _DIGIT
    lasts = ends[1:][np.diff(ends) > 0] - 1
    next_digit[lasts] = False  # what follows is another text
    signs = np.where((flags == _SEPARATOR) & ~next_digit, np.uint32(0x20), kept)
    if collapse:
        blank = signs == 0x20
        there = ~blank
        there[1:] |= ~blank[:-1]
        there[ends[:-1][np.diff(ends) > 0]] = True  # what comes before is another text
        signs, ends = signs[there], np.concatenate([[0], np.cumsum(there)])[ends]
    whole = signs.tobytes().decode("utf-32-le")
    at = ends.tolist()
    return pl.Series([whole[start:end] for start, end in pairwise(at)], dtype=pl.String)
