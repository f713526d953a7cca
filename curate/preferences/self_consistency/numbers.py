"""A number in an answer has one value: what its digits, signs and scale words say in that language; where the signs leave a second reading
open (``1,234`` in German), that is told too, and the votes decide.

Values are exact (fractions), so that equal answers are equal texts. :mod:`curate.text.numbers` reads numbers leniently, for comparing two
sides; here each must be read as somebody meant it.
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
    groups_with_blanks,
    percent_pattern,
    words_of,
)
from curate.rows import languages
from curate.text.numbers import HAN_DIGITS, HAN_MYRIADS, HAN_UNITS, NUMBER_WORDS, decimal_digit, han_value, number_words
from curate.text.segmentation import INVISIBLE

Percent = Literal["unit", "share"]
Sign = Literal[".", ","]
_LONG = 60
_MOST_POWER = 40
_MOST_BASE = 1000
_HAN_LANGUAGES = frozenset({"zh", "ja", "yue", "wuu", "hak", "nan", "lzh", "cdo", "gan", "hsn", languages.UNKNOWN})
_INVISIBLE = regex.compile(regex.sub(r"\\x\{([0-9A-F]+)\}", lambda found: chr(int(found[1], 16)), INVISIBLE))
_FOREIGN = regex.compile(r"(?V1)[\p{Nd}--[0-9]]")
_GROUP_BLANKS = "\u00a0\u202f\u2009"
_DIGITS = r"[0-9]+(?:(?:[.,٫٬'’．]|，(?=[0-9]{{3}}(?![0-9]))|[{blanks}](?=[0-9]{{3}}(?![0-9])))[0-9]+)*"
_TOKENS = {
    blanks: regex.compile(
        rf"(?:(?<![\p{{L}}0-9.,])[.٫](?=[0-9]))?{_DIGITS.format(blanks=_GROUP_BLANKS + (' ' if blanks else ''))}"
    )
    for blanks in (True, False)
}
_VULGAR = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5), "⅗": (3, 5), "⅘": (4, 5),
           "⅙": (1, 6), "⅚": (5, 6), "⅐": (1, 7), "⅛": (1, 8), "⅜": (3, 8), "⅝": (5, 8), "⅞": (7, 8), "⅑": (1, 9), "⅒": (1, 10)}  # fmt: skip
_VULGAR_ALONE = regex.compile(rf"(?<![0-9/])(?<![0-9][ ])[{''.join(_VULGAR)}]")
_VULGAR_BEHIND = regex.compile(rf" ?([{''.join(_VULGAR)}])")
_OVER = regex.compile(r" ?[/⁄∕] ?([0-9]{1,30})(?![0-9.,]*[0-9]| ?[/⁄∕])")
_MIXED = regex.compile(r" ([0-9]{1,30})[/⁄∕]([0-9]{1,30})(?![0-9.,]*[0-9]|[/⁄∕])")
_SIGN, _RUN = regex.compile(r"[^0-9]"), regex.compile(r"[0-9]+")
_CLOCK = regex.compile(r":[0-9]{1,2}(?![0-9])")
_NEXT = {joined: regex.compile(rf" {'?' if joined else ''}([0-9]+(?:[.,][0-9]+)*)") for joined in (True, False)}
_RAISED = regex.compile(r"\^(?:\{([1-9])\}|([1-9])(?![0-9]))")
_EXPONENT = regex.compile(r"[eE]([+-]?[0-9]{1,3})(?![\p{L}0-9])")
_POWER = regex.compile(
    r" ?(?:[×✕·*]|x(?= ?10)|\\times|\\cdot) ?10 ?(?:\^ ?\{? ?([-−+]?[0-9]{1,3}) ?\}?|([⁻⁺]?[⁰¹²³⁴-⁹]{1,3}))"
)
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_CURRENCY = r"(?:[A-Z]{0,3}\p{Sc}\s?)?"
_MINUS = regex.compile(
    rf"(?:^|(?<=[^\p{{L}}\p{{M}}\p{{N}}\])）】}}%.,*]))(?<![0-9)][ ])[-−–‒﹣－]{_CURRENCY}$|(?<=[=:(（≈][ ]?)[-−–‒﹣－] ?{_CURRENCY}$"
)
_PLAIN_MINUS_BEFORE = regex.compile(r"[0-9\p{L}\p{M})\]]\s*$")
_NAMED = regex.compile(r"(?<![\p{L}\p{M}])[A-Za-z]$|[_^]\{?$")
_H = "".join((*HAN_DIGITS, *HAN_UNITS, *HAN_MYRIADS))
_D = "".join(HAN_DIGITS)
_HAN = regex.compile(
    rf"(?P<of>百)?(?P<first>[{_H}]+|[0-9]+(?=分[之の]))(?P<over>分[之の])(?P<second>[{_H}]+(?:[点點][{_D}]+)?|[0-9]+(?:\.[0-9]+)?)"
    rf"|(?P<whole>[{_H}]+)(?:[点點](?P<decimals>[{_D}]+))?"
)
_HAN_WORDS = frozenset({"万一", "千万", "万万", "一一", "萬一", "千萬", "三三两两", "百千"})
_HAN_BEHIND = regex.compile(r"[样樣般些定致共起直旦时時]|分(?![之の])")
_ETHIOPIC = regex.compile(r"[\u1369-\u137C]+")
_FRAC = regex.compile(r"\\[dtc]?frac\s*(?:\{\s*(-?[0-9.,]+)\s*\}|([0-9]))\s*(?:\{\s*([0-9.,]+)\s*\}|([0-9]))")
_LATEX_BLANK = regex.compile(r"\\[,;!: ]|\{,\}|~")
_SCALE_LEAST = 1000


@dataclass(frozen=True)
class Style:
    """How numbers are written."""

    language: str
    decimal: Sign
    blanks: bool
    """Whether plain blanks group."""
    percent: Percent = "unit"
    """``unit``: 50 % is 50, ``share``: it is 0.5."""
    digits: int | None = None
    """Decimals that values are rounded to."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it stands in a text."""

    start: int
    end: int
    value: str
    """Whole, with a point, or as a fraction in lowest terms: ``18``, ``-2.5``, ``1/3``."""
    other: str = ""
    """What it may also mean; mostly empty."""
    weak: bool = False
    """Whether it may be no number at all (Han numerals, which are parts of many words)."""


def style_of(language: str, decimal: Sign | None = None, percent: Percent = "unit", digits: int | None = None) -> Style:
    """How numbers are written in a language, or with that decimal sign."""
    sign: Sign = decimal or ("," if decimal_sign(language) == "," else ".")
    return Style(language, sign, groups_with_blanks(language), percent, digits)


def tidy(text: str) -> str:
    """The text as numbers are looked for in it: digits of all scripts as 0 to 9, no invisible signs, no emphasis, LaTeX blanks and simple
    fractions resolved."""
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
        if _FOREIGN.search(text):
            text = "".join(map(decimal_digit, text))
    if "\\" in text or "{,}" in text:
        text = _FRAC.sub(lambda found: f" {found[1] or found[2]}/{found[3] or found[4]}", text)
        text = _LATEX_BLANK.sub(
            lambda found: "," if found[0] == "{,}" else "\u2009" if found[0] == "\\," else " ", text
        )
    return text.replace("**", "")


def numbers(text: str, style: Style) -> list[Number]:
    """Every number of a tidy text, in order."""
    found = [*_with_digits(text, style)]
    if not text.isascii():
        taken = [(one.start, one.end) for one in found]
        others = [*_vulgar(text, style), *_ethiopic(text, style)]
        if languages.base(style.language) in _HAN_LANGUAGES:
            others += _han(text, style)
        for one in others:
            wider = [(start, end) for start, end in taken if start < one.end and one.start < end]
            if all(
                one.start <= start and end <= one.end and (one.start, one.end) != (start, end) for start, end in wider
            ):
                found = [each for each in found if (each.start, each.end) not in wider]
                found.append(one)
        found.sort(key=lambda one: one.start)
    return found


def parse(text: str, style: Style) -> Number | None:
    """The number that a short text is, whatever unit stands around it; None where there is none, or more than one."""
    found = numbers(tidy(text), style)
    strong = [one for one in found if not one.weak] or found
    return strong[0] if len(strong) == 1 else None


def written(value: Fraction, digits: int | None = None) -> str:
    """A value as text, one text a value; rounded half to even where ``digits`` says so."""
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
    whole = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    return f"{'-' if value < 0 else ''}{whole[:-places]}.{whole[-places:]}"


# ----------------------------------------------------------------------------------------------------------------- digits
def _with_digits(text: str, style: Style) -> Iterator[Number]:
    decimal = _own_sign(text, style)
    scale = _scales(style.language)
    done = 0
    for match in _TOKENS[style.blanks].finditer(text):
        start = match.start()
        if start < done or _NAMED.search(text, max(0, start - 3), start):
            continue
        if len(match[0]) > _LONG:
            continue
        readings = _readings(match[0], decimal)
        if not readings:  # a date, a version, a list
            for part in _RUN.finditer(match[0]):
                yield Number(start + part.start(), start + part.end(), written(Fraction(int(part[0])), style.digits))
            continue
        begin, sign = _signed(text, start, style.language)
        end, values = match.end(), readings
        if (clock := _CLOCK.match(text, end)) and text[start:end].isdigit():
            # 9:30, 3:2: neither of the two numbers
            done = clock.end()
            yield Number(start, done, f"{int(match[0])}:{clock[0][1:]}")
            continue
        end, values = _more(text, start, end, values, match[0].isdigit())
        end, values = _scaled(text, end, values, scale, decimal, style.blanks)
        if percent := percent_pattern().match(text, end):
            end = percent.end()
            values = [value / 100 for value in values] if style.percent == "share" else values
        told = list(dict.fromkeys(written(sign * value, style.digits) for value in values))
        done = end
        yield Number(begin, end, told[0], told[1] if len(told) > 1 else "")


def _readings(token: str, decimal: Sign) -> list[Fraction]:
    """What digits with signs between them may mean, the likelier first; empty if they are no one number."""
    token = token.replace("，", ",").replace("．", ".")
    if token.isdigit():
        return [Fraction(int(token))]
    if token[0] in ".٫":
        return [Fraction(f"0.{token[1:]}")] if token[1:].isdigit() else []
    parts, signs = _SIGN.split(token), _SIGN.findall(token)
    last, kinds = signs[-1], set(signs)
    grouped = _is_grouped(parts)
    if kinds == {"٬"} or kinds <= set("'’ " + _GROUP_BLANKS):
        return [Fraction(int("".join(parts)))] if grouped else []
    whole = Fraction("".join(parts[:-1]) + "." + parts[-1])
    if last == "٫" or (len(kinds) > 1 and last in ".,"):
        inner = signs[:-1]
        fits = last not in inner and len(set(inner)) <= 1 and (not inner or _is_grouped(parts[:-1]))
        return [whole] if fits else []
    if len(kinds) > 1:
        return []
    if len(signs) > 1:
        return [Fraction(int("".join(parts)))] if grouped else []
    if len(parts[1]) != 3 or len(parts[0]) > 3 or parts[0].startswith("0"):
        return [whole]
    as_group = Fraction(int("".join(parts)))
    # 70,000 is hardly ever 70, whatever the language: where a comma is the decimal sign, many write as in English all the same.
    if last == decimal and (parts[1] != "000" or last == "."):
        return [whole, as_group]
    return [as_group, whole]


def _is_grouped(parts: list[str]) -> bool:
    """Groups of three, or as in India of two before the last three."""
    if not 1 <= len(parts[0]) <= 3 or (parts[0].startswith("0") and len(parts) > 1):
        return False
    return all(len(part) == 3 for part in parts[1:]) or (
        len(parts[-1]) == 3 and len(parts[0]) <= 2 and all(len(part) == 2 for part in parts[1:-1])
    )


_SURE = regex.compile(
    r"[0-9]{1,3}(?:([.,])[0-9]{3})+([.,])[0-9]+(?![0-9.,]*[0-9])|[0-9]{1,3}(?:([.,])[0-9]{3}){2,}(?![0-9.,]*[0-9])"
)


def _own_sign(text: str, style: Style) -> Sign:
    """The decimal sign that the text itself shows beyond doubt (1,234.50; 1.234.567), else the language's."""
    shown: set[Sign] = set()
    for match in _SURE.finditer(text):
        group, decimal, run = match[1], match[2], match[3]
        if group is not None and group != decimal:
            shown.add("." if decimal == "." else ",")
        elif run is not None:
            shown.add("," if run == "." else ".")
    return shown.pop() if len(shown) == 1 else style.decimal


def _signed(text: str, start: int, language: str) -> tuple[int, int]:
    """Where the number begins with its sign, and the sign."""
    before = text[max(0, start - 24) : start]
    if match := _MINUS.search(before):
        return start - len(before) + match.start(), -1
    if (match := words_of(language).minus.search(before)) and match[0].strip():
        ahead = before[: match.start()]
        # «it is minus 5», but not «10 apples minus 5»
        if not _PLAIN_MINUS_BEFORE.search(ahead) or (
            regex.search(r"[\p{L}\p{M}]\s+$", ahead) and not regex.search(r"[0-9]", ahead)
        ):
            return start - len(before) + match.start(), -1
    return start, 1


def _more(text: str, start: int, end: int, values: list[Fraction], whole: bool) -> tuple[int, list[Fraction]]:
    """A fraction, a power of ten."""
    if whole:
        if (match := _MIXED.match(text, end)) and int(match[2]) and int(match[1]) < int(match[2]):
            return match.end(), [value + Fraction(int(match[1]), int(match[2])) for value in values]
        if (match := _RAISED.match(text, end)) and values[0] <= _MOST_BASE:
            return match.end(), [value ** int(match[1] or match[2]) for value in values]
        if (match := _OVER.match(text, end)) and int(match[1]) and text[start - 1 : start] not in tuple("/⁄∕"):
            return match.end(), [value / int(match[1]) for value in values]
    if (match := _VULGAR_BEHIND.match(text, end)) is not None:
        return match.end(), [value + Fraction(*_VULGAR[match[1]]) for value in values]
    if match := _EXPONENT.match(text, end) or _POWER.match(text, end):
        power = (match[1] or (match[2] if match.re is _POWER else "")).replace("−", "-").translate(_SUPERSCRIPT)
        if abs(int(power)) <= _MOST_POWER:
            return match.end(), [value * Fraction(10) ** int(power) for value in values]
    return end, values


@cache
def _scales(language: str) -> tuple[regex.Pattern[str], dict[str, int]]:
    """Words and signs for thousands and more, and their sizes."""
    signs = {str(sign): int(size) for sign, size in NUMBER_WORDS.yaml()["signs"].items()}
    known = number_words(language)
    own = known.scales if known is not None else {}
    english = number_words("en")
    words = {**(english.scales if english is not None else {}), **own}
    # «5 m» are metres, «25 cents» no hundreds.
    words = {
        word: size for word, size in words.items() if size >= _SCALE_LEAST and not (word.isascii() and len(word) < 3)
    }
    sizes = {**words, **signs}

    def either(given: dict[str, int]) -> str:
        return "|".join(map(regex.escape, sorted(given, key=lambda word: (-len(word), word)))) or "(?!)"

    pattern = rf"(?i)[ \u00a0-]?(?:({either(signs)})|(?:de )?({either(words)})(?![\p{{L}}\p{{M}}])|(k)(?![\p{{L}}\p{{M}}\p{{N}}]))"
    return regex.compile(pattern), {word.casefold(): size for word, size in sizes.items()}


def _scaled(
    text: str,
    end: int,
    values: list[Fraction],
    scale: tuple[regex.Pattern[str], dict[str, int]],
    decimal: Sign,
    blanks: bool,
) -> tuple[int, list[Fraction]]:
    """Thousands and more, and what is counted beyond them: 1億2000万, 2 लाख 50 हज़ार, 3万2千."""
    pattern, sizes = scale
    match = pattern.match(text, end)
    if match is None or (match[3] and text[end] not in "kK"):
        return end, values
    size = 1000 if match[3] else sizes[(match[1] or match[2]).casefold()]
    # A scale decides a doubt: 1.234 million has decimals.
    first = values[-1] if len(values) > 1 and values[-1] < values[0] else values[0]
    total, left, end = first * size, size, match.end()
    while left > 1:
        joined = match is not None and match[1] is not None
        rest = _NEXT[joined].match(text, end)
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
        if match["whole"] is not None and (match["whole"] in _HAN_WORDS or _HAN_BEHIND.match(text, match.end())):
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
    whole, _, decimals = regex.sub("點", "点", match["second"]).partition("点")
    above = Fraction(whole) if whole[0].isascii() else _han_value(whole, decimals)
    below = Fraction(int(match["first"])) if match["first"][0].isascii() else _han_value(match["first"], None)
    if match["of"]:
        return None
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
