"""Reads numbers in answers exactly, in the notation of their language.

Where the notation leaves a second reading open (``1,234`` in German), both are returned, and the votes decide. Values
are fractions, so that equal answers are equal texts. :mod:`curate.text.numbers` reads numbers leniently, to compare two
sides; here each number must be read as it was meant. They share numerals and scale words, not the parser: there a
number is the set of all its readings, without sign, fraction, power or per cent; here it is one, with its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

import regex

from curate.preferences.self_consistency.answer_phrases import (
    decimal_sign,
    groups_with_spaces,
    percent_pattern,
    phrases_of,
)
from curate.rows import languages
from curate.text.numbers import HAN_DIGITS, HAN_MYRIADS, HAN_UNITS, NUMBER_WORDS, decimal_digit, han_value, number_words
from curate.text.segmentation import INVISIBLE

Percent = Literal["unit", "share"]
Sign = Literal[".", ","]
_MAX_DIGITS = 60
_MAX_POWER_OF_TEN = 40
_MAX_POWER_BASE = 1000
_MIN_SCALE = 1000
"""The smallest scale word: «25 cents» is not 2500."""
_HAN_LANGUAGES = frozenset({"zh", "ja", "yue", "wuu", "hak", "nan", "lzh", "cdo", "gan", "hsn", languages.UNKNOWN})

# Normalising (tidy).
_INVISIBLE = regex.compile(regex.sub(r"\\x\{([0-9A-F]+)\}", lambda match: chr(int(match[1], 16)), INVISIBLE))
_OTHER_DIGIT = regex.compile(r"(?V1)[\p{Nd}--[0-9]]")
_LATEX_FRACTION = regex.compile(r"\\[dtc]?frac\s*(?:\{\s*(-?[0-9.,]+)\s*\}|([0-9]))\s*(?:\{\s*([0-9.,]+)\s*\}|([0-9]))")
_LATEX_SPACE = regex.compile(r"\\[,;!: ]|\{,\}|~")

# Digits with separators: 1,234.5; 1 234,5; ١٬٢٣٤٫٥; 1'234; .5. Whether a plain space groups depends on the language.
_GROUP_SPACES = "\u00a0\u202f\u2009"
_DIGITS = r"[0-9]+(?:(?:[.,٫٬'’．]|，(?=[0-9]{{3}}(?![0-9]))|[{spaces}](?=[0-9]{{3}}(?![0-9])))[0-9]+)*"
_TOKENS = {
    spaces: regex.compile(
        rf"(?:(?<![\p{{L}}0-9.,])[.٫](?=[0-9]))?{_DIGITS.format(spaces=_GROUP_SPACES + (' ' if spaces else ''))}"
    )
    for spaces in (True, False)
}
_SEPARATOR, _DIGIT_RUN = regex.compile(r"[^0-9]"), regex.compile(r"[0-9]+")
# Notation beyond doubt: 1,234.50 (decimal sign in group 2) or 1.234.567 (separator in group 3).
_UNAMBIGUOUS = regex.compile(
    r"[0-9]{1,3}(?:([.,])[0-9]{3})+([.,])[0-9]+(?![0-9.,]*[0-9])|[0-9]{1,3}(?:([.,])[0-9]{3}){2,}(?![0-9.,]*[0-9])"
)
# What comes before digits that are part of a name: x1, a_2, x^{3.
_NAME_BEFORE = regex.compile(r"(?<![\p{L}\p{M}])[A-Za-z]$|[_^]\{?$")
# A minus before a number, with a currency sign between: -5, −$5, =-5; not 10-5.
_CURRENCY = r"(?:[A-Z]{0,3}\p{Sc}\s?)?"
_MINUS = regex.compile(
    rf"(?:^|(?<=[^\p{{L}}\p{{M}}\p{{N}}\])）】}}%.,*]))(?<![0-9)][ ])[-−–‒﹣－]{_CURRENCY}$"
    rf"|(?<=[=:(（≈][ ]?)[-−–‒﹣－] ?{_CURRENCY}$"
)
_OPERAND_BEFORE = regex.compile(r"[0-9\p{L}\p{M})\]]\s*$")

# What may follow digits.
_CLOCK = regex.compile(r":[0-9]{1,2}(?![0-9])")  # 9:30
_MIXED_FRACTION = regex.compile(r" ([0-9]{1,30})[/⁄∕]([0-9]{1,30})(?![0-9.,]*[0-9]|[/⁄∕])")  # 1 1/2
_DENOMINATOR = regex.compile(r" ?[/⁄∕] ?([0-9]{1,30})(?![0-9.,]*[0-9]| ?[/⁄∕])")  # 3/4
_POWER = regex.compile(r"\^(?:\{([1-9])\}|([1-9])(?![0-9]))")  # 2^5
_EXPONENT = regex.compile(r"[eE]([+-]?[0-9]{1,3})(?![\p{L}0-9])")  # 1e6
_POWER_OF_TEN = regex.compile(  # × 10^3, · 10³
    r" ?(?:[×✕·*]|x(?= ?10)|\\times|\\cdot) ?10 ?(?:\^ ?\{? ?([-−+]?[0-9]{1,3}) ?\}?|([⁻⁺]?[⁰¹²³⁴-⁹]{1,3}))"
)
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
# The next number after a scale word: 2 लाख 50 हज़ार; without a space after a sign: 1億2000.
_NEXT_NUMBER = {joined: regex.compile(rf" {'?' if joined else ''}([0-9]+(?:[.,][0-9]+)*)") for joined in (True, False)}

# Vulgar fractions, alone or after a whole number: ¾, 1½.
_VULGAR = {
    "½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5),
    "⅙": (1, 6), "⅚": (5, 6), "⅐": (1, 7), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅑": (1, 9),
    "⅒": (1, 10),
}  # fmt: skip
_VULGAR_ALONE = regex.compile(rf"(?<![0-9/])(?<![0-9][ ])[{''.join(_VULGAR)}]")
_VULGAR_AFTER = regex.compile(rf" ?([{''.join(_VULGAR)}])")

# Han numerals: 三分之一 and 百分之五十 (fractions), 三百二十 and 三点一四 (numbers).
_HAN_NUMERAL = "".join((*HAN_DIGITS, *HAN_UNITS, *HAN_MYRIADS))
_HAN_DIGIT = "".join(HAN_DIGITS)
_HAN = regex.compile(
    rf"(?P<of>百)?(?P<first>[{_HAN_NUMERAL}]+|[0-9]+(?=分[之の]))(?P<over>分[之の])"
    rf"(?P<second>[{_HAN_NUMERAL}]+(?:[点點][{_HAN_DIGIT}]+)?|[0-9]+(?:\.[0-9]+)?)"
    rf"|(?P<whole>[{_HAN_NUMERAL}]+)(?:[点點](?P<decimals>[{_HAN_DIGIT}]+))?"
)
_HAN_WORDS = frozenset({"万一", "千万", "万万", "一一", "萬一", "千萬", "三三两两", "百千"})
_HAN_WORD_AFTER = regex.compile(r"[样樣般些定致共起直旦时時]|分(?![之の])")  # 一样, 一定 are words
_ETHIOPIC = regex.compile(r"[\u1369-\u137C]+")


@dataclass(frozen=True)
class Style:
    """The notation of numbers."""

    language: str
    decimal: Sign
    spaces: bool
    """Whether plain spaces group digits."""
    percent: Percent = "unit"
    """Whether 50 % is 50 (``unit``) or 0.5 (``share``)."""
    digits: int | None = None
    """Decimals that values are rounded to."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text."""

    start: int
    end: int
    value: str
    """An integer, a decimal with a point, or a fraction in lowest terms: ``18``, ``-2.5``, ``1/3``."""
    other: str = ""
    """Another possible reading; mostly empty."""
    weak: bool = False
    """Whether it may not be a number (Han numerals are parts of many words)."""


def style_of(language: str, decimal: Sign | None = None, percent: Percent = "unit", digits: int | None = None) -> Style:
    """The notation of a language, or with the given decimal sign."""
    sign: Sign = decimal or ("," if decimal_sign(language) == "," else ".")
    return Style(language, sign, groups_with_spaces(language), percent, digits)


def tidy(text: str) -> str:
    """Prepares a text for reading numbers: digits of all scripts as 0 to 9, no invisible characters, no emphasis, LaTeX
    spaces and simple fractions resolved."""
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
        if _OTHER_DIGIT.search(text):
            text = "".join(map(decimal_digit, text))
    if "\\" in text or "{,}" in text:
        text = _LATEX_FRACTION.sub(lambda match: f" {match[1] or match[2]}/{match[3] or match[4]}", text)
        text = _LATEX_SPACE.sub(
            lambda match: "," if match[0] == "{,}" else "\u2009" if match[0] == "\\," else " ", text
        )
    return text.replace("**", "")


def numbers(text: str, style: Style) -> list[Number]:
    """Every number of a tidy text, in order. Of overlapping ones the wider counts."""
    result = [*_with_digits(text, style)]
    if not text.isascii():
        taken = [(one.start, one.end) for one in result]
        others = [*_vulgar(text, style), *_ethiopic(text, style)]
        if languages.base(style.language) in _HAN_LANGUAGES:
            others += _han(text, style)
        for one in others:
            overlaps = [(start, end) for start, end in taken if start < one.end and one.start < end]
            if all(
                one.start <= start and end <= one.end and (one.start, one.end) != (start, end)
                for start, end in overlaps
            ):
                result = [each for each in result if (each.start, each.end) not in overlaps]
                result.append(one)
        result.sort(key=lambda one: one.start)
    return result


def parse(text: str, style: Style) -> Number | None:
    """The number of a short text, without its unit; None if there is none, or more than one."""
    every = numbers(tidy(text), style)
    strong = [one for one in every if not one.weak] or every
    return strong[0] if len(strong) == 1 else None


def written(value: Fraction, digits: int | None = None) -> str:
    """A value as text, always the same; rounded half to even if ``digits`` is set."""
    if digits is not None:
        value = round(value, digits)
    if value.denominator == 1:
        return str(value.numerator)
    rest, power = value.denominator, 0
    while rest % 10 == 0:
        rest, power = rest // 10, power + 1
    twos = fives = 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = power + max(twos, fives)
    shown = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    return f"{'-' if value < 0 else ''}{shown[:-places]}.{shown[-places:]}"


# --------------------------------------------------------------------------------------------------------------- digits
def _with_digits(text: str, style: Style) -> Iterator[Number]:
    decimal = _decimal_sign_of(text, style)
    scale = _scales(style.language)
    done = 0
    for match in _TOKENS[style.spaces].finditer(text):
        start = match.start()
        if start < done or _NAME_BEFORE.search(text, max(0, start - 3), start):
            continue
        if len(match[0]) > _MAX_DIGITS:
            continue
        values = _readings(match[0], decimal)
        if not values:  # a date, a version, a list
            for part in _DIGIT_RUN.finditer(match[0]):
                yield Number(start + part.start(), start + part.end(), written(Fraction(int(part[0])), style.digits))
            continue
        begin, sign = _signed(text, start, style.language)
        end = match.end()
        if (clock := _CLOCK.match(text, end)) and text[start:end].isdigit():
            # 9:30, 3:2: one value, not two numbers
            done = clock.end()
            yield Number(start, done, f"{int(match[0])}:{clock[0][1:]}")
            continue
        end, values = _with_fraction_or_power(text, start, end, values, match[0].isdigit())
        end, values = _scaled(text, end, values, scale, decimal)
        if percent := percent_pattern().match(text, end):
            end = percent.end()
            values = [value / 100 for value in values] if style.percent == "share" else values
        texts = list(dict.fromkeys(written(sign * value, style.digits) for value in values))
        done = end
        yield Number(begin, end, texts[0], texts[1] if len(texts) > 1 else "")


def _readings(token: str, decimal: Sign) -> list[Fraction]:
    """The possible values of digits with separators, the likelier first; empty if they are not one number."""
    token = token.replace("，", ",").replace("．", ".")
    if token.isdigit():
        return [Fraction(int(token))]
    if token[0] in ".٫":
        return [Fraction(f"0.{token[1:]}")] if token[1:].isdigit() else []
    parts, signs = _SEPARATOR.split(token), _SEPARATOR.findall(token)
    last, kinds = signs[-1], set(signs)
    grouped = _is_grouped(parts)
    if kinds == {"٬"} or kinds <= set("'’ " + _GROUP_SPACES):
        return [Fraction(int("".join(parts)))] if grouped else []
    with_decimals = Fraction("".join(parts[:-1]) + "." + parts[-1])
    if last == "٫" or (len(kinds) > 1 and last in ".,"):
        inner = signs[:-1]
        fits = last not in inner and len(set(inner)) <= 1 and (not inner or _is_grouped(parts[:-1]))
        return [with_decimals] if fits else []
    if len(kinds) > 1:
        return []
    if len(signs) > 1:
        return [Fraction(int("".join(parts)))] if grouped else []
    if len(parts[1]) != 3 or len(parts[0]) > 3 or parts[0].startswith("0"):
        return [with_decimals]
    as_group = Fraction(int("".join(parts)))
    # 70,000 is hardly ever 70: where a comma is the decimal sign, many still write as in English.
    if last == decimal and (parts[1] != "000" or last == "."):
        return [with_decimals, as_group]
    return [as_group, with_decimals]


def _is_grouped(parts: list[str]) -> bool:
    """Whether the parts are groups of three, or, as in India, of two before the last three."""
    if not 1 <= len(parts[0]) <= 3 or (parts[0].startswith("0") and len(parts) > 1):
        return False
    return all(len(part) == 3 for part in parts[1:]) or (
        len(parts[-1]) == 3 and len(parts[0]) <= 2 and all(len(part) == 2 for part in parts[1:-1])
    )


def _decimal_sign_of(text: str, style: Style) -> Sign:
    """The decimal sign that the text shows beyond doubt (1,234.50; 1.234.567), else the language's."""
    shown: set[Sign] = set()
    for match in _UNAMBIGUOUS.finditer(text):
        group, decimal, run = match[1], match[2], match[3]
        if group is not None and group != decimal:
            shown.add("." if decimal == "." else ",")
        elif run is not None:
            shown.add("," if run == "." else ".")
    return shown.pop() if len(shown) == 1 else style.decimal


def _signed(text: str, start: int, language: str) -> tuple[int, int]:
    """The start of the number with its sign, and the sign."""
    before = text[max(0, start - 24) : start]
    if match := _MINUS.search(before):
        return start - len(before) + match.start(), -1
    if (match := phrases_of(language).minus.search(before)) and match[0].strip():
        ahead = before[: match.start()]
        # «it is minus 5», but not «10 apples minus 5»
        if not _OPERAND_BEFORE.search(ahead) or (
            regex.search(r"[\p{L}\p{M}]\s+$", ahead) and not regex.search(r"[0-9]", ahead)
        ):
            return start - len(before) + match.start(), -1
    return start, 1


def _with_fraction_or_power(
    text: str, start: int, end: int, values: list[Fraction], is_integer: bool
) -> tuple[int, list[Fraction]]:
    """Reads a fraction or a power after a number."""
    if is_integer:
        if (match := _MIXED_FRACTION.match(text, end)) and int(match[2]) and int(match[1]) < int(match[2]):
            return match.end(), [value + Fraction(int(match[1]), int(match[2])) for value in values]
        if (match := _POWER.match(text, end)) and values[0] <= _MAX_POWER_BASE:
            return match.end(), [value ** int(match[1] or match[2]) for value in values]
        if (match := _DENOMINATOR.match(text, end)) and int(match[1]) and text[start - 1 : start] not in tuple("/⁄∕"):
            return match.end(), [value / int(match[1]) for value in values]
    if (match := _VULGAR_AFTER.match(text, end)) is not None:
        return match.end(), [value + Fraction(*_VULGAR[match[1]]) for value in values]
    if match := _EXPONENT.match(text, end) or _POWER_OF_TEN.match(text, end):
        digits = match[1] or (match[2] if match.re is _POWER_OF_TEN else "")
        power = int(digits.replace("−", "-").translate(_SUPERSCRIPT))
        if abs(power) <= _MAX_POWER_OF_TEN:
            return match.end(), [value * Fraction(10) ** power for value in values]
    return end, values


@cache
def _scales(language: str) -> tuple[regex.Pattern[str], dict[str, int]]:
    """A pattern for words and signs of thousands and more, and their values."""
    signs = {str(sign): int(size) for sign, size in NUMBER_WORDS.yaml()["signs"].items()}
    words: dict[str, int] = {}
    for known in (number_words("en"), number_words(language)):
        words |= known.scales if known is not None else {}
    # «5 m» are metres, «25 cents» not hundreds.
    words = {
        word: size for word, size in words.items() if size >= _MIN_SCALE and not (word.isascii() and len(word) < 3)
    }
    sizes = {**words, **signs}

    def either(names: dict[str, int]) -> str:
        return "|".join(map(regex.escape, sorted(names, key=lambda word: (-len(word), word)))) or "(?!)"

    pattern = (
        rf"(?i)[ \u00a0-]?(?:({either(signs)})|(?:de )?({either(words)})(?![\p{{L}}\p{{M}}])"
        r"|(k)(?![\p{L}\p{M}\p{N}]))"
    )
    return regex.compile(pattern), {word.casefold(): size for word, size in sizes.items()}


def _scaled(
    text: str,
    end: int,
    values: list[Fraction],
    scale: tuple[regex.Pattern[str], dict[str, int]],
    decimal: Sign,
) -> tuple[int, list[Fraction]]:
    """Reads scale words and signs after a number, with the numbers after them: 1億2000万, 2 लाख 50 हज़ार, 3万2千."""
    pattern, sizes = scale
    match = pattern.match(text, end)
    if match is None or (match[3] and text[end] not in "kK"):
        return end, values
    size = 1000 if match[3] else sizes[(match[1] or match[2]).casefold()]
    # A scale word resolves the ambiguity: 1.234 million has decimals.
    first = values[-1] if len(values) > 1 and values[-1] < values[0] else values[0]
    total, left, end = first * size, size, match.end()
    while left > 1:
        joined = match is not None and match[1] is not None
        rest = _NEXT_NUMBER[joined].match(text, end)
        if rest is None or not (more := _readings(rest[1], decimal)):
            break
        match = pattern.match(text, rest.end())
        if match is not None and not match[3]:
            size = sizes[(match[1] or match[2]).casefold()]
            if size >= left:
                break
            total, left, end = total + more[0] * size, size, match.end()
            continue
        # 12万3456, 5 lakh 500
        if joined and rest[0][0] != " " and more[0] < left and more[0].denominator == 1:
            total, end = total + more[0], rest.end()
        break
    return end, [total]


# ------------------------------------------------------------------------------------------------------- other numerals
def _vulgar(text: str, style: Style) -> Iterator[Number]:
    for match in _VULGAR_ALONE.finditer(text):
        begin, sign = _signed(text, match.start(), style.language)
        yield Number(begin, match.end(), written(sign * Fraction(*_VULGAR[match[0]]), style.digits))


def _ethiopic(text: str, style: Style) -> Iterator[Number]:
    for match in _ETHIOPIC.finditer(text):
        total = part = 0
        for char in match[0]:
            at = ord(char) - 0x1369
            if at < 18:
                part += at + 1 if at < 9 else (at - 8) * 10
            elif char == "\u137b":
                part = max(part, 1) * 100
            else:
                total, part = (total + max(part, 1)) * 10_000, 0
        yield Number(match.start(), match.end(), written(Fraction(total + part), style.digits))


def _han(text: str, style: Style) -> Iterator[Number]:
    for match in _HAN.finditer(text):
        if match["whole"] is not None and (match["whole"] in _HAN_WORDS or _HAN_WORD_AFTER.match(text, match.end())):
            continue
        before = text[match.start() - 1 : match.start()]
        if before.isdigit():  # 3百万 was read with its digits
            continue
        if (value := _han_number(match, style)) is None:
            continue
        begin, sign = _signed(text, match.start(), style.language)
        yield Number(begin, match.end(), written(sign * value, style.digits), weak=match["over"] is None)


def _han_number(match: regex.Match[str], style: Style) -> Fraction | None:
    if match["over"] is None:
        return _han_value(match["whole"], match["decimals"])
    if match["of"]:
        return None
    whole, _, decimals = regex.sub("點", "点", match["second"]).partition("点")
    above = Fraction(whole) if whole[0].isascii() else _han_value(whole, decimals)
    below = Fraction(int(match["first"])) if match["first"][0].isascii() else _han_value(match["first"], None)
    if above is None or not below:
        return None
    return above if below == 100 and style.percent == "unit" else above / below


def _han_value(whole: str, decimals: str | None) -> Fraction | None:
    value = han_value(whole) if len(whole) <= 15 else None
    if value is None:
        return None
    if not decimals:
        return Fraction(value)
    places = "".join(str(HAN_DIGITS[char]) for char in decimals if HAN_DIGITS[char] < 10)
    return Fraction(int(value)) + Fraction(int(places or 0), 10 ** max(1, len(places)))
