"""Compares the numbers of two texts by their values.

Numbers that may be written without digits (an article for 1, a word for a small number in a language without a list, a
month's name) count neither for nor against agreement.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.rows import languages
from curate.text.numbers import WORTH_A_LOOK, Mention, mentions, number_words, said_in_words, spelled
from curate.text.units import Quantity, converts, quantities

_ROMAN = regex.compile(r"(?<![\p{L}\p{N}])(?=[IVXLC])(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?![\p{L}\p{N}])")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_CLOCK = regex.compile(r"\p{Nd}:\p{Nd}{2}|時|点|點|시 ")
_SMALL = 12
_AFTERNOON = regex.compile(
    r"(?i)\b(?:p\.? ?m\b|in the (?:afternoon|evening)|noon|at night)|午後|下午|晚上|오후|오전|午前|上午|de la"
    r" (?:tarde|noche)|du soir|après-midi|uhr|μ\.?μ|مساء|शाम|दोपहर|रात|вечера|дня|บ่าย|ทุ่ม|chiều|tối"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """The comparison of two sides' numbers."""

    matched: int
    lost: tuple[str, ...]
    """Numbers of the source without a counterpart."""
    added: tuple[str, ...]
    """Numbers of the target without a counterpart."""


def _roman(text: str) -> set[float]:
    found = set()
    for match in _ROMAN.finditer(text):
        if match[0]:
            numbers = [_ROMAN_VALUES[char] for char in match[0]]
            found.add(
                float(sum(-one if one < two else one for one, two in zip(numbers, [*numbers[1:], 0], strict=True)))
            )
    return found


def _otherwise(mention: Mention, text: str, language: str, others: set[float | str], afternoon: bool) -> bool | None:
    """Whether a number without a counterpart is expressed otherwise; None if it need not be."""
    value = max((one for one in mention.values if isinstance(one, float)), default=None)
    if value is None:
        return False
    small = mention.small
    if small is not None:
        said = spelled(small, text, number_words(language))
        if said or (said is None and small <= _SMALL) or small in (0, 1) or (mention.month and small <= 12):
            return None
        if float(small) in _roman(text):
            return None
    if afternoon and value in (15, 30, 45):
        return None  # a quarter past, half past
    if afternoon and value <= 24 and (value + 12 in others or value - 12 in others):
        return True
    if any(other in (value + 543, value - 543) for other in others if isinstance(other, float)) and value > 1000:
        return True  # the years of the Buddhist era
    # the 1980s are the 80s; '98 is 1998
    if 1000 <= value <= 2100 and value == int(value) and value % 100 in others:
        return True
    if value < 100 and any(
        isinstance(other, float) and 1000 <= other <= 2100 and other % 100 == value for other in others
    ):
        return True
    if (
        value >= 100
        and len(mention.values) > 1
        and not any(isinstance(other, float) and other >= 13 for other in others)
    ):
        return None  # 15万 against a hundred and fifty thousand
    if value >= 100 and value in {10.0**power for power in range(2, 13)}:  # a thousand, one million, 百万: in words
        return None
    return None if value < 2 and value != int(value) else False  # half, one and a half


_MARKER = regex.compile(
    r"(?m)(?:^[^\S\n]*|(?<=\s)(?=\())(\(?)(\p{Nd}{1,2})(?(?<=\(\p{Nd}{1,2})\)|[.)．、])(?=\s|\p{Han})"
)


def without_list_markers(text: str) -> str:
    """The text without the numbers of its list items: at least two, each 0, 1 or one more than the last, at the starts
    of lines (``1.``, ``2)``) or in brackets (``(1)``). The other side may have bullets or words there."""
    markers = list(_MARKER.finditer(text))
    numbers = [int(one[2]) for one in markers]
    if len(numbers) < 2 or any(two not in (0, 1, one + 1) for one, two in zip([0, *numbers], numbers, strict=False)):
        return text
    for one in reversed(markers):
        text = f"{text[: one.start(1)]}{' ' * (one.end() - one.start(1))}{text[one.end() :]}"
    return text


def compare(
    source: str, target: str, source_language: str = languages.UNKNOWN, target_language: str = languages.UNKNOWN
) -> Compared | None:
    """Compares the numbers of two texts; None if neither has any.

    Numbers of list items count for nothing. A repeated number needs one counterpart only, and some need none with
    digits: translations correctly say «it» or «half». But if one side has a number that the other lacks, it is matched
    with such a number.
    """
    source, target = without_list_markers(source), without_list_markers(target)
    left = mentions(source, source_language, bare=number_words(target_language) is None)
    right = mentions(target, target_language, bare=number_words(source_language) is None)
    if not left and not right:
        return None
    timed = any(pattern.search(text) for text in (source, target) for pattern in (_AFTERNOON, _CLOCK))
    # What a language says for thousands and millions is not known of all.
    loose = number_words(source_language) is None or number_words(target_language) is None
    one = _Side(left, source, source_language)
    other = _Side(right, target, target_language)
    lost, excused = _without(one, other, timed, loose)
    added, uncalled = _without(other, one, timed, loose)
    if added and not lost:
        lost = excused[:1] or _oftener(one, other)
    elif lost and not added:
        added = uncalled[:1] or _oftener(other, one)
    return Compared(len(left) - len(lost), lost, added)


class _Side:
    """The numbers of one text."""

    def __init__(self, found: Sequence[Mention], text: str, language: str) -> None:
        self.mentions, self.text, self.language = found, text, language
        self.values: set[float | str] = set().union(*(one.values | one.hours for one in found))
        self._digits: Counter[float | str] = Counter()
        self._words: dict[int, int] = {}
        self._own: set[int] | None = None

    @cached_property
    def quantities(self) -> dict[str, list[Quantity]]:
        """The readings of its numbers with units."""
        return quantities(self.mentions, self.text)

    @cached_property
    def measured(self) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """The same by what is measured: units and values."""
        every = [each for some in self.quantities.values() for each in some]
        return {
            of: (np.array([one.unit for one in mine]), np.array([one.value for one in mine]))
            for of in {one.of for one in every}
            for mine in [[one for one in every if one.of == of]]
        }

    def own_units(self, other: _Side) -> set[int]:
        """The units of numbers that the other side has not."""
        if self._own is None:
            mine = (one for one in self.mentions if one.values.isdisjoint(other.values))
            self._own = {each.unit for one in mine for each in self.quantities.get(one.text, ())}
        return self._own

    def times(self, mention: Mention) -> int:
        """How often this side has another number, in digits or, if small, in words."""
        if not self._digits:
            self._digits.update(value for one in self.mentions for value in one.values)
        small = mention.small
        if small is not None and small > 1 and small not in self._words:
            self._words[small] = said_in_words(small, self.text, self.language)
        return max((self._digits[value] for value in mention.values), default=0) + self._words.get(small or 0, 0)


def _without(one: _Side, other: _Side, timed: bool, loose: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The numbers of one side missing on the other: certain ones, and possible ones."""
    missing: dict[str, None] = {}
    excused: dict[str, None] = {}
    for each in one.mentions:
        if (
            not each.values.isdisjoint(other.values)
            or (timed and each.hours and each.hours <= other.values)
            or (loose and _scaled(each, other.values))
            or _converted(each, one, other)
        ):
            continue
        said = _otherwise(each, other.text, other.language, other.values, timed)
        if said is False:
            missing[each.text] = None
        # An article says 1, whatever it is there for.
        elif (
            said is None
            and not each.month
            and (
                each.small is None
                or each.small < 2
                or not spelled(each.small, other.text, number_words(other.language))
            )
        ):
            excused[each.text] = None
    return tuple(missing), tuple(excused)


def _converted(mention: Mention, one: _Side, other: _Side) -> bool:
    """Whether the other side says the same in another unit."""
    mine = one.quantities.get(mention.text, ())
    # What the other side says in the same unit, and this side does not, is another number and no conversion.
    if not mine or not other.quantities or any(each.unit in other.own_units(one) for each in mine):
        return False
    return any(converts(each, *other.measured[each.of]) for each in mine if each.of in other.measured)


def _oftener(one: _Side, other: _Side) -> tuple[str, ...]:
    """A number that one side has more often than the other, which has it too."""
    return tuple(itertools.islice((each.text for each in one.mentions if one.times(each) > other.times(each) > 0), 1))


_SCALES = tuple(10.0**power for power in range(2, 13))


def _scaled(mention: Mention, others: set[float | str]) -> bool:
    """Whether a number occurs on the other side in hundreds, thousands or more."""
    values = [value for value in mention.values if isinstance(value, float) and value]
    return any(
        round(value * size, 6) in others or round(value / size, 6) in others for value in values for size in _SCALES
    )


def compared(
    source: pl.Series, target: pl.Series, languages_: tuple[Sequence[str], Sequence[str]]
) -> list[Compared | None]:
    """:func:`compare` for each pair; pairs without digits cost nothing."""
    look = (source.str.contains(WORTH_A_LOOK) | target.str.contains(WORTH_A_LOOK)).fill_null(False).to_list()
    return [
        compare(one or "", other or "", first, second) if worth else None
        for one, other, first, second, worth in zip(source.to_list(), target.to_list(), *languages_, look, strict=True)
    ]
