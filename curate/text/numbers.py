"""Parses numbers in text, as the set of values that each may have.

``1.234`` is 1234 or 1.234. Digits of all scripts, all separators, and counting in thousands, myriads and lakhs are
supported. Number words and scales are data (``data/number_words.yaml``). :mod:`curate.text.number_match` compares
numbers.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import regex

from curate.data_files import DataFile
from curate.rows import languages

NUMBER_WORDS = DataFile("curate.text", "data/number_words.yaml")
# .5 is 0.5; the figures of m² and O₂ written on the line are no numbers.
_SEPARATED = regex.compile(
    r"(?<![0-9.,\p{L}])\.[0-9]+(?![0-9.])|(?<!\b[kcm]?m(?=[23]\b))(?<!\b[CH]?O(?=2\b))[0-9]+(?:(?:[.,'’٫٬·]|，"
    r"(?=[0-9]{3}(?![0-9]))|[  \u00a0\u202f\u2009](?=[0-9]{3}(?![0-9])))[0-9]+)*"
)
_ALONE = regex.compile(r"[0-9]+")
HAN_DIGITS = {char: value for value, char in enumerate("〇一二三四五六七八九")} | {
    "零": 0, "两": 2, "兩": 2, "壹": 1, "贰": 2, "貳": 2,
"叁": 3, "肆": 4, "伍": 5,
               "陆": 6, "柒": 7, "捌": 8, "玖": 9, "廿": 20, "卅": 30}  # fmt: skip
HAN_UNITS = {"十": 10, "百": 100, "千": 1000, "拾": 10, "佰": 100, "仟": 1000}
HAN_MYRIADS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12}
_HAN = regex.compile(f"[{''.join((*HAN_DIGITS, *HAN_UNITS, *HAN_MYRIADS))}]{{2,}}")
_FRACTIONS = {char: unicodedata.numeric(char) for char in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
_HOURS = regex.compile(r"(?:[01]?[0-9]|2[0-4])\.[0-5][0-9]")
_MONTH = regex.compile(r"\s?(?:月|월|เดือน)|[./-][0-9]{1,2}[./-][0-9]{2,4}|[./-][0-9]{4}")
_FOREIGN_DIGIT = regex.compile(r"(?V1)[[\p{Nd}]--[0-9]]|[．٫٬]")
_LONG = 15
WORTH_A_LOOK = rf"\p{{Nd}}|[{''.join((*HAN_DIGITS, *HAN_UNITS, *HAN_MYRIADS))}]{{2}}"
Values = frozenset[float | str]


@dataclass(frozen=True, slots=True)
class Mention:
    """A number in a text."""

    text: str
    values: Values
    small: int | None
    """Its value if it is whole, without separators, and below 100; otherwise None."""
    month: bool
    """Whether it may be a month's number, which other languages may write as a name."""
    hours: Values = frozenset()
    """Hours and minutes if it may be a time: 9.30 is 9:30 in many languages."""


@dataclass(frozen=True)
class NumberWords:
    """The number words of one language."""

    patterns: tuple[tuple[int, regex.Pattern[str]], ...]
    scales: dict[str, int]
    scale: regex.Pattern[str]
    decimal: str


@cache
def number_words(language: str) -> NumberWords | None:
    """The number words of a language; None if there is no list."""
    given = NUMBER_WORDS.yaml()["languages"].get(languages.base(language))
    return None if given is None else _compiled(language, given)


def _compiled(language: str, given: dict[str, Any]) -> NumberWords:
    joined = bool(given.get("joined"))
    spelled = [*enumerate(given["words"]), *((20 + 10 * step, word) for step, word in enumerate(given["ten"]))]
    patterns = []
    for value, said in spelled:
        patterns.append(
            (value, regex.compile(str(said) if joined else rf"(?i)(?<![\p{{L}}\p{{M}}])(?:{said})(?![\p{{L}}\p{{M}}])"))
        )
    scales = {str(word).casefold(): int(size) for word, size in given["scales"].items()}
    return NumberWords(tuple(patterns), scales, _scale_pattern(scales, joined), given["decimal"])


def _scale_pattern(scales: dict[str, int], joined: bool) -> regex.Pattern[str]:
    signs = "|".join(
        sorted(
            map(regex.escape, {*map(str, NUMBER_WORDS.yaml()["signs"]), *(word for word in scales if joined)}),
            key=lambda word: (-len(word), word),
        )
    )
    words = "|".join(sorted(map(regex.escape, scales), key=lambda word: (-len(word), word))) or r"[^\s\S]"
    # A word must end there; a sign of an unspaced script need not. 66 de milioane.
    return regex.compile(rf"(?i)[\s\u00a0-]{{0,2}}(?|({signs})|(?:de )?({words})(?![\p{{L}}\p{{M}}]))")


@cache
def _plain_scale() -> regex.Pattern[str]:
    return _scale_pattern({}, True)


@cache
def _sign_sizes() -> dict[str, int]:
    return {str(sign): int(size) for sign, size in NUMBER_WORDS.yaml()["signs"].items()}


def plain_digits(text: str) -> str:
    """The text with all scripts' digits as 0 to 9 and narrow separators; the length stays."""
    if text.isascii() or not _FOREIGN_DIGIT.search(text):
        return text
    return "".join(_plain(char) for char in text)


@cache
def decimal_digit(sign: str) -> str:
    """A decimal digit of any script as 0 to 9; other characters unchanged."""
    return str(unicodedata.decimal(sign)) if sign.isdecimal() else sign


@cache
def _plain(sign: str) -> str:
    return {"．": ".", "٫": ".", "٬": ","}.get(sign, decimal_digit(sign))


def han_value(text: str) -> float | None:
    """The value of Han numerals (二十五 → 25, 一九九八 → 1998, 三万二千 → 32000); None if they are no number."""
    if not any(char in HAN_UNITS or char in HAN_MYRIADS for char in text):
        return float("".join(str(HAN_DIGITS[char]) for char in text)) if len(text) <= _LONG else None
    total = section = 0
    digit: int | None = None
    for char in text:
        if char in HAN_DIGITS:
            if digit not in (None, 0):
                return None
            digit = HAN_DIGITS[char]
        elif char in HAN_UNITS:
            section += (1 if digit is None else digit) * HAN_UNITS[char]
            digit = None
        else:
            total = (
                (total + section + (digit or 0)) * HAN_MYRIADS[char]
                if total + section + (digit or 0)
                else HAN_MYRIADS[char]
            )
            section, digit = 0, None
    return float(total + section + (digit or 0))


def _readings(digits: str, decimal: str | None) -> Values:
    """The possible values of digits with separators: groups of three (or of two, as in India) or decimals."""
    digits = digits.replace("，", ",")
    if digits.startswith("."):
        return frozenset({round(float(digits), 9)} if len(digits) <= _LONG else {digits})
    parts = regex.split(r"[^0-9]", digits)
    if len(parts) == 1:
        return frozenset({_value(digits)})
    signs = regex.findall(r"[^0-9]", digits)
    found: set[float | str] = set()
    grouped = all(len(part) == 3 for part in parts[1:]) or (
        len(parts[-1]) == 3 and all(len(part) == 2 for part in parts[1:-1])
    )
    grouped = grouped and len(parts[0]) <= 3 and parts[0] != "0" and len(set(signs)) == 1
    if grouped:
        found.add(_value("".join(parts)))
    if len(parts) == 2 and signs[0] in ".,·":
        # Three digits after a sign that the language groups with are a group.
        if not grouped or decimal is None or signs[0] == decimal:
            found.add(round(float(f"{parts[0]}.{parts[1]}"), 9) if len(digits) <= _LONG else digits)
    elif len(set(signs[:-1])) == 1 and signs[-1] != signs[0] and all(len(part) in (2, 3) for part in parts[1:-1]):
        found.add(round(float("".join(parts[:-1]) + "." + parts[-1]), 9) if len(digits) <= _LONG else digits)
    return frozenset(found)


def _value(digits: str) -> float | str:
    """A whole number, as text if it is too long for an integer."""
    bare = digits.lstrip("0") or "0"
    return float(bare) if len(bare) <= _LONG else bare


def mentions(text: str, language: str = languages.UNKNOWN, bare: bool = False) -> list[Mention]:
    """All numbers of a text in digits or at least two Han numerals, in order.

    Args:
        bare: whether a number before a word for thousands or millions may also stand for itself, because the other
            language's words for them are unknown.
    """
    known = number_words(language)
    plain = plain_digits(text)
    found: list[Mention] = []
    pattern = known.scale if known else _plain_scale()
    done = 0
    for match in _SEPARATED.finditer(plain):
        if match.start() < done:
            continue
        digits = match[0]
        readings = _readings(digits, known.decimal if known else None)
        if not readings:  # a date, a version, a list: each number by itself
            for part in _ALONE.finditer(digits):
                found.append(Mention(part[0], frozenset({_value(part[0])}), _small(part[0]), len(part[0]) <= 2))
            continue
        values = set(readings)
        end = match.end()
        if end < len(plain) and plain[end] in _FRACTIONS:
            values = {value + _FRACTIONS[plain[end]] for value in readings if isinstance(value, float)} or values
        scaled = pattern.match(plain, end)
        if scaled is not None:
            word = scaled[1].casefold()
            size = (known.scales.get(word) if known else None) or _sign_sizes().get(scaled[1], 1)
            after = plain[scaled.end() : scaled.end() + 1]
            # 1億2000万 is one number
            scales: set[float | str] = {round(value * size, 6) for value in readings if isinstance(value, float)}
            # 25 cents, 5 m
            doubtful = size <= 100 or (len(word) <= 2 and word.isalpha() and word.isascii())
            values = {*scales, *values} if bare or doubtful or not scales else scales
            if after.isdigit() and (rest := _SEPARATED.match(plain, scaled.end())):
                inner = pattern.match(plain, rest.end())
                factor = (
                    ((known.scales.get(inner[1].casefold()) if known else None) or _sign_sizes().get(inner[1], 1))
                    if inner
                    else 1
                )
                rests = [value for value in _readings(rest[0], None) if isinstance(value, float)]
                if factor < size or (rests and max(rests) < size):
                    values |= {
                        one * size + other * factor for one in readings if isinstance(one, float) for other in rests
                    }
                    done = inner.end() if inner else rest.end()
        clock = frozenset(map(_value, digits.split("."))) if _HOURS.fullmatch(digits) else frozenset()
        found.append(
            Mention(
                digits,
                frozenset(values),
                _small(digits),
                len(digits) <= 2
                and (_MONTH.match(plain, end) is not None or plain[: match.start()].endswith("tháng ")),
                clock,
            )
        )
    if not plain.isascii():
        for match in _HAN.finditer(plain):
            before = plain[match.start() - 1 : match.start()]
            if before.isdigit():  # 3万2千: counted with its digits
                continue
            if (value := han_value(match[0])) is not None:
                found.append(Mention(match[0], frozenset({value}), int(value) if value < 100 else None, False))
    return found


def _small(digits: str) -> int | None:
    return int(digits) if digits.isdigit() and len(digits) <= 2 else None


def spelled(value: int, text: str, words: NumberWords | None) -> bool | None:
    """Whether a text contains a number in words; None if unknown."""
    if words is None:
        return None
    tens, ones = value - value % 10, value % 10
    for number, pattern in words.patterns:
        if number == value and pattern.search(text):
            return True
    if value > 20 and ones:
        parts = [
            any(number == one and pattern.search(text) for number, pattern in words.patterns) for one in (tens, ones)
        ]
        return all(parts)
    return False


def said_in_words(value: int, text: str, language: str) -> int:
    """How often a text contains a small number in words; 0 without a list."""
    words = number_words(language)
    return sum(len(pattern.findall(text)) for number, pattern in words.patterns if number == value) if words else 0
