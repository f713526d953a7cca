"""Folded characters of a text, without whitespace and punctuation, with their positions in the original.

Graphemes are folded by the rules of :mod:`filters.duplicates.normalize`, so that a hit in full-width, upper-case or
vocalised writing is found and reported as a place in the original text. Words, single characters of scripts without
spaces, numbers and operators are *units*: they match as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.text import segmentation as units_of_text
from filters.duplicates.normalize import Normalization

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SAME = Normalization(
    whitespace="collapse",
    punctuation="ignore",
    digits="fold",
    diacritics="ignore",
    quotes="fold",
    joiners="ignore",
    html="strip",
)
"""The normalisation used to find items."""
_EACH = Normalization(whitespace="collapse", digits="fold", diacritics="ignore", quotes="fold", joiners="ignore")
_DOTTED = frozenset({"tr", "az", "gag", "crh"})
_ENTITY = regex.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_GROUPED = regex.compile(r"(?<=\p{Nd})[,'’٬，](?=\p{Nd}{3}(?!\p{Nd}))")
_NUMERALS = frozenset("〇零二两兩三四五六七八九十百千万萬亿億")
_PIECES = regex.compile(r"[A-Za-z]+(?![\p{M}\u200d])|\X")
_CUT, _WORD, _SINGLE, _DIGIT, _SIGN, _JOIN = range(6)
_DECIMAL, _NUMERAL, _LETTER, _SYMBOL = map(regex.compile, (r"\p{Nd}", r"[\p{No}\p{Nl}]", r"[\p{L}\p{M}]", r"\p{S}"))
_OPERATOR = regex.compile(r"(?V1)[\p{Sm}\p{Sc}%‰#@&*/\\--[|~⁓]]")
# A minus before a digit is an operator, unless it follows a word or digit like a hyphen (7-day, 1990-95).
_MINUS = regex.compile(r"(?<![\p{L}\p{N}])[-−](?=\p{Nd})|(?<=\p{Nd}\s+)[-−](?=\s+\p{Nd})")


# 1. a 2. b, (1) a (2) b, 1: a 2: b, ① a ② b; in scripts without spaces also directly after a letter.
_MARKER = regex.compile(
    r"(?V1)(?<=^|[\s[\p{P}--[(（\[]]>\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}])(?<!\p{Nd}\p{P})"
    r"(?:[(（\[]?(\p{Nd}{1,2})[.):：、）\]．](?!\p{Nd})|([①-⑳]))(?:(?=\s*[^\s\p{Nd}])|(?<=[)）\]])(?=\s+\S))"
)
_MAY_HAVE_MARKERS = r"\p{Nd}[.):：、）\]．]|①"
_MARKERS = regex.compile(_MAY_HAVE_MARKERS)


def without_markers(one: str) -> str:
    """The text with spaces in place of the markers of a numbered list, in the text or in its lines.

    Only 1, 2, 3 … in this order are markers, two or more of them: a lone *2.* may be a number.
    """
    runs: list[list[tuple[int, int]]] = []
    for match in _MARKER.finditer(one):
        value = int(match[1]) if match[1] else ord(match[2]) - ord("①") + 1
        if runs and value == len(runs[-1]) + 1:
            runs[-1].append(match.span())
        elif value == 1:
            runs.append([match.span()])
    for start, end in (span for run in runs if len(run) > 1 for span in run):
        one = f"{one[:start]}{' ' * (end - start)}{one[end:]}"
    return one


def plain(texts: pl.Series) -> pl.Series:
    """Each text without the markers of numbered lists."""
    worth = texts.str.contains(_MAY_HAVE_MARKERS).fill_null(False).to_list()
    if not any(worth):
        return texts
    given = zip(texts.to_list(), worth, strict=True)
    return pl.Series(texts.name, [without_markers(one) if look else one for one, look in given], dtype=pl.String)


@dataclass(frozen=True)
class Characters:
    """The folded characters of one text."""

    letters: str
    """Folded characters, one code point each, joined."""
    starts: Places
    """For each character the start of its grapheme in the text, in code points."""
    ends: Places
    """Where that grapheme ends."""
    units: Places
    """For each character the number of its unit, from 0 up."""
    numeric: Flags
    """Whether the character belongs to a number, or is an operator or currency."""

    def __len__(self) -> int:
        return len(self.letters)

    @cached_property
    def bounds(self) -> Places:
        """Where each unit begins among the characters (units + 1)."""
        if not len(self.units):
            return np.zeros(1, np.int64)
        return np.concatenate([[0], np.flatnonzero(np.diff(self.units)) + 1, [len(self.units)]]).astype(np.int64)

    @cached_property
    def words(self) -> list[str]:
        """The units as texts."""
        at = self.bounds.tolist()
        return [self.letters[start:end] for start, end in pairwise(at)]

    def without(self, spans: Sequence[tuple[int, int]]) -> Characters:
        """The characters outside of some places of the text."""
        keep = np.ones(len(self), bool)
        for start, end in spans:
            keep &= (self.ends <= start) | (self.starts >= end)
        letters = "".join(sign for sign, kept in zip(self.letters, keep.tolist(), strict=True) if kept)
        # A unit split by a place is no longer one unit; renumber from 0.
        units = np.cumsum(np.concatenate([[0], np.diff(self.units[keep]) != 0])) if keep.any() else self.units[:0]
        return Characters(letters, self.starts[keep], self.ends[keep], units.astype(np.int64), self.numeric[keep])


_Folded = tuple[tuple[str, int], ...]
_FOLDED: dict[tuple[str, bool], _Folded] = {}
"""Grapheme, and whether i is Turkish → its characters with their classes."""
_MOST_FOLDED = 1 << 17


def learn(graphemes: Iterable[str], language: str) -> None:
    """Folds graphemes, many at once, for texts in a language that will be read; one at a time it takes 2 ms each."""
    dotted = _is_dotted(language)
    if len(_FOLDED) > _MOST_FOLDED:
        _FOLDED.clear()
    new = [one for one in dict.fromkeys(graphemes) if (one, dotted) not in _FOLDED]
    if new:
        tags = pl.Series(["tr" if dotted else "en"] * len(new))
        clean = _EACH.clean(pl.Series(new, dtype=pl.String), tags).to_list()
        _FOLDED.update(
            ((one, dotted), tuple((sign, _class_of(sign)) for sign in signs))
            for one, signs in zip(new, clean, strict=True)
        )


def _is_dotted(language: str) -> bool:
    return language.split("-", 1)[0] in _DOTTED


@lru_cache(maxsize=65_536)
def _class_of(sign: str) -> int:
    if _DECIMAL.match(sign):
        return _DIGIT
    if _NUMERAL.match(sign):
        return _SIGN
    if _LETTER.match(sign):
        return _SINGLE if units_of_text.script_table()[ord(sign)] in _single_scripts() else _WORD
    if sign == "'":
        return _JOIN
    if _OPERATOR.match(sign):
        return _SIGN
    return _SINGLE if _SYMBOL.match(sign) else _CUT


@lru_cache(maxsize=1)
def _single_scripts() -> frozenset[int]:
    from curate.rows import languages

    names = languages.script_names()
    return frozenset(names.index(name) + 2 for name in units_of_text.UNSPACED if name in names and name != "Hangul")


def characters_of(one: str, language: str) -> Characters:
    """The folded characters of a text in its language.

    Entities (``&quot;``) and the markers of numbered lists count as whitespace; the case of i is Turkish where the
    language is.
    """
    if _MARKERS.search(one):
        one = without_markers(one)
    if "&" in one:
        one = _ENTITY.sub(lambda match: " " * len(match[0]), one)
    dotted = _is_dotted(language)
    left_out = {match.start() for match in _GROUPED.finditer(one)}
    minus = {match.start() for match in _MINUS.finditer(one)}
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    units: list[int] = []
    numeric: list[bool] = []
    unit, before, cut = -1, _CUT, True
    matches = list(_PIECES.finditer(one))
    learn((match[0] for match in matches if not (match[0].isascii() and match[0].isalpha() and not dotted)), language)
    for match in matches:
        at, end = match.span()
        if at in left_out:
            continue
        piece = match[0]
        if piece.isascii() and piece.isalpha() and not (dotted and "I" in piece):
            # A run of ASCII letters, the most frequent case: only case is folded.
            if cut or before != _WORD:
                unit += 1
            letters.append(piece.lower())
            starts.extend(range(at, end))
            ends.extend(range(at + 1, end + 1))
            units.extend([unit] * (end - at))
            numeric.extend([False] * (end - at))
            before, cut = _WORD, False
            continue
        pieces = (("-", _SIGN),) if at in minus else _FOLDED[piece, dotted]
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
            numeric.append(sort in (_DIGIT, _SIGN) or sign in _NUMERALS)
            before, cut = sort, False
    return Characters(
        "".join(letters),
        np.array(starts, np.int64),
        np.array(ends, np.int64),
        np.array(units, np.int64),
        np.array(numeric, bool),
    )


def word_count(texts: pl.Series) -> npt.NDArray[np.float64]:
    """The number of words of each text; in scripts without spaces, in words of five Latin letters (a Chinese character
    is three letters). A number is a word."""
    letters = units_of_text.letter_weights(texts)["letters"].to_numpy() / 5
    numeric = texts.str.count_matches(r"\p{Nd}+").to_numpy()
    units = units_of_text.units(texts)
    words: npt.NDArray[np.float64] = np.maximum(letters + numeric, np.diff(units.offsets) - units.singles).astype(
        np.float64
    )
    return words
