"""A text is compared sign by sign without blanks and punctuation, and every sign knows which characters of the text it
came from.

Signs are folded grapheme by grapheme with the rules of :mod:`filters.duplicates.normalize`, so that a hit in
full-width, upper-case or vocalised writing is found, and is told as a place in the text as it stands. Words, single
characters of scripts without blanks, numbers and operators are *units*: what is matched or not, and what may not be
exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.text import segmentation as units_of_text
from filters.duplicates.normalize import Sameness

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SAME = Sameness(
    whitespace="collapse",
    punctuation="ignore",
    digits="fold",
    diacritics="ignore",
    quotes="fold",
    joiners="ignore",
    html="strip",
)
"""What does not count when an item is looked for."""
_EACH = Sameness(whitespace="collapse", digits="fold", diacritics="ignore", quotes="fold", joiners="ignore")
_DOTTED = frozenset({"tr", "az", "gag", "crh"})
_ENTITY = regex.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_GROUPED = regex.compile(r"(?<=\p{Nd})[,'’٬，](?=\p{Nd}{3}(?!\p{Nd}))")
_NUMERALS = frozenset("〇零二两兩三四五六七八九十百千万萬亿億")
_PIECES = regex.compile(r"[A-Za-z]+(?![\p{M}\u200d])|\X")
_CUT, _WORD, _SINGLE, _DIGIT, _SIGN, _JOIN = range(6)
# A minus is an operator before a figure, unless it stands behind a word or figure like a hyphen (7-day, 1990-95).
_MINUS = regex.compile(r"(?<![\p{L}\p{N}])[-−](?=\p{Nd})|(?<=\p{Nd}\s+)[-−](?=\s+\p{Nd})")


@dataclass(frozen=True)
class Signs:
    """The signs of one text."""

    letters: str
    """Folded signs, one code point each, all joined."""
    starts: Places
    """For each sign the place of its grapheme in the text, in code points."""
    ends: Places
    """Where that grapheme ends."""
    units: Places
    """For each sign the number of its unit, from 0 up."""
    figures: Flags
    """Whether the sign belongs to a number or is an operator or currency."""

    def __len__(self) -> int:
        return len(self.letters)

    @cached_property
    def bounds(self) -> Places:
        """Where each unit begins among the signs (units + 1)."""
        if not len(self.units):
            return np.zeros(1, np.int64)
        return np.concatenate([[0], np.flatnonzero(np.diff(self.units)) + 1, [len(self.units)]]).astype(np.int64)

    @cached_property
    def words(self) -> list[str]:
        """The units as texts."""
        at = self.bounds.tolist()
        return [self.letters[start:end] for start, end in pairwise(at)]

    def without(self, spans: Sequence[tuple[int, int]]) -> Signs:
        """The signs outside of some places of the text."""
        keep = np.ones(len(self), bool)
        for start, end in spans:
            keep &= (self.ends <= start) | (self.starts >= end)
        letters = "".join(sign for sign, kept in zip(self.letters, keep.tolist(), strict=True) if kept)
        # What a place parted is no longer one unit; numbers of units are the same from 0 up.
        units = np.cumsum(np.concatenate([[0], np.diff(self.units[keep]) != 0])) if keep.any() else self.units[:0]
        return Signs(letters, self.starts[keep], self.ends[keep], units.astype(np.int64), self.figures[keep])


@lru_cache(maxsize=65_536)
def _folded(grapheme: str, dotted: bool) -> tuple[tuple[str, int], ...]:
    """The signs of a grapheme with their sorts."""
    tag = pl.Series(["tr" if dotted else "en"])
    clean = _EACH.clean(pl.Series([grapheme]), tag)[0]
    found = []
    table = units_of_text.script_table()
    for sign in clean:
        if regex.match(r"\p{Nd}", sign):
            sort = _DIGIT
        elif regex.match(r"[\p{No}\p{Nl}]", sign):
            sort = _SIGN
        elif regex.match(r"[\p{L}\p{M}]", sign):
            sort = _SINGLE if table[ord(sign)] in _single_scripts() else _WORD
        elif sign in "'":
            sort = _JOIN
        elif regex.match(r"(?V1)[\p{Sm}\p{Sc}%‰#@&*/\\--[|~⁓]]", sign):
            sort = _SIGN
        elif regex.match(r"\p{S}", sign):
            sort = _SINGLE
        else:
            sort = _CUT
        found.append((sign, sort))
    return tuple(found)


@lru_cache(maxsize=1)
def _single_scripts() -> frozenset[int]:
    from curate.rows import languages

    names = languages.script_names()
    return frozenset(names.index(name) + 2 for name in units_of_text.UNSPACED if name in names and name != "Hangul")


def make_signs(one: str, language: str) -> Signs:
    """The signs of a text in its language.

    Entities (``&quot;``) count as blanks; the case of i is Turkish where the language is.
    """
    if "&" in one:
        one = _ENTITY.sub(lambda match: " " * len(match[0]), one)
    dotted = language.split("-", 1)[0] in _DOTTED
    left_out = {match.start() for match in _GROUPED.finditer(one)}
    minus = {match.start() for match in _MINUS.finditer(one)}
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    units: list[int] = []
    figures: list[bool] = []
    unit, before, cut = -1, _CUT, True
    for match in _PIECES.finditer(one):
        at, end = match.span()
        if at in left_out:
            continue
        piece = match[0]
        if piece.isascii() and piece.isalpha() and not (dotted and "I" in piece):
            # A run of plain letters, the most frequent case: nothing to fold but case.
            if cut or before != _WORD:
                unit += 1
            letters.append(piece.lower())
            starts.extend(range(at, end))
            ends.extend(range(at + 1, end + 1))
            units.extend([unit] * (end - at))
            figures.extend([False] * (end - at))
            before, cut = _WORD, False
            continue
        pieces = (("-", _SIGN),) if at in minus else _folded(piece, dotted)
        for number, (sign, sort) in enumerate(pieces):
            if sort == _JOIN:
                continue
            if sort == _CUT:
                cut = True
                continue
            if cut or sort == _SIGN or (sort != before) or (sort == _SINGLE and number == 0):
                unit += 1
            letters.append(sign)
            starts.append(at)
            ends.append(end)
            units.append(unit)
            figures.append(sort in (_DIGIT, _SIGN) or sign in _NUMERALS)
            before, cut = sort, False
    return Signs(
        "".join(letters),
        np.array(starts, np.int64),
        np.array(ends, np.int64),
        np.array(units, np.int64),
        np.array(figures, bool),
    )


def word_count(texts: pl.Series) -> npt.NDArray[np.float64]:
    """How many words each text has; in scripts without blanks, how many of five Latin letters it says as much as (a
    Chinese character as much as three). A number is a word."""
    letters = units_of_text.letter_weights(texts)["letters"].to_numpy() / 5
    figures = texts.str.count_matches(r"\p{Nd}+").to_numpy()
    units = units_of_text.units(texts)
    words: npt.NDArray[np.float64] = np.maximum(letters + figures, np.diff(units.offsets) - units.singles).astype(
        np.float64
    )
    return words
