"""The numbers and negations of texts, as digests: texts in which these are equal need no look at them.

A number comes with its signs, operators and currencies. Two texts with as many numbers, but others, are never
compared: a thousand sums made from one template cost nothing. Where one has more,
:mod:`filters.duplicates.substitutions` decides.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl
import regex

from curate.text import negation
from curate.text.numbers import HAN_DIGITS, HAN_MYRIADS, HAN_UNITS, decimal_digit

Digests = npt.NDArray[np.uint64]
# Negating words, by language.
negations = negation.words_in

# Numerals that are letters; a lone 一 (one) is not counted, because it is mostly an article.
_HAN = "".join(sign for sign in (*HAN_DIGITS, *HAN_UNITS, *HAN_MYRIADS) if sign != "一")
HAN = _HAN
"""Han numerals, for a character class."""
# Digit group separators (1,000 = 1 000 = 1000), only before exactly three digits.
GROUPS = regex.compile(r"(?<=\p{Nd})(?:[,'’٬]|\s+)(?=\p{Nd}{3}(?!\p{Nd}))")
SIGN = r"(?<![\p{L}\p{N}])[-−](?=\p{Nd})"
OTHER_NUMERALS = rf"[\p{{No}}\p{{Nl}}]|[{_HAN}]|一(?=\s*[一{_HAN}])|(?<=[一{_HAN}]\s*)一"
# A sign is an operator between operands or before a figure: not at the start of a quoted line, nor in an arrow.
OPERATOR = (
    r"(?<=[\p{Nd})]\s*)[-*/^](?=\s*[\p{Nd}(])|(?:(?<=[\p{L}\p{N}\p{Sc})\]%]\s*)|(?<=[<>=]))"
    r"(?![|~⁓]|=>|(?<=[-=])>)\p{Sm}|(?![|~⁓])\p{Sm}(?=\s?\p{Nd})|\p{Sc}|[%‰٪]|#(?=\p{L})"
)
_NUMBERS = regex.compile(
    rf"(?V1){SIGN}|\p{{Nd}}+|{OTHER_NUMERALS}|(?<=\p{{Nd}})[.,:/^*-](?=\p{{Nd}})|{OPERATOR}|(?<=\p{{L}})(?:\+\+|\#)"
)
_WORTH_A_LOOK = rf"[\p{{N}}\p{{Sm}}\p{{Sc}}%‰٪#{_HAN}]|一\s*一"
# No number begins, ends or lies in what is between two letters here, and to one beside it any letter is the same.
_LETTERS = r"[\p{L}--\p{Han}](?:[\s.,;:!?'\x22’]*[\p{L}--\p{Han}])+"
_HAS_DIGITS = regex.compile(r"\p{Nd}[\p{Nd}.,:'’٫٬\u00a0\u202f]*")


def numbers(texts: pl.Series) -> list[str]:
    """The numbers of each text in order, separated by spaces; digits of all scripts are equal, and ``1,000`` equals
    ``1000``.

    Operators, currencies and per cent signs are included: 3 + 4 is not 3 - 4, $5 is not €5.
    """
    worth = texts.str.contains(_WORTH_A_LOOK).fill_null(False)
    found = [""] * len(texts)
    shorter = texts.filter(worth).str.replace_all(_LETTERS, "a").to_list()
    for row, one in zip(worth.arg_true().to_list(), shorter, strict=True):
        found[row] = _numbers_in(one)
    return found


def _numbers_in(one: str) -> str:
    if not one.isascii():
        one = "".join(map(plain_digit, one))
    return " ".join(_NUMBERS.findall(GROUPS.sub("", one)))


@cache
def plain_digit(sign: str) -> str:
    """A character, digits of all scripts as those of ASCII."""
    return "-" if sign == "−" else decimal_digit(sign)


def counts(fields: list[list[str]]) -> npt.NDArray[np.uint64]:
    """How many numbers each row has, over several fields."""
    return np.array([sum(one.count(" ") + bool(one) for one in row) for row in zip(*fields, strict=True)], np.uint64)


def digests(fields: list[list[str]]) -> Digests:
    """One digest for each row over several fields; 0 where all fields are empty."""
    known: dict[tuple[str, ...], int] = {}
    numbers = []
    for row in zip(*fields, strict=True):
        if row not in known:
            joined = "\0".join(row)
            whole = blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=8, person=b"curate-guard").digest()
            known[row] = int.from_bytes(whole, "little") | 1 if any(row) else 0
        numbers.append(known[row])
    return np.array(numbers, np.uint64)


def digits(texts: pl.Series) -> list[str]:
    """The digits of each text, number by number, sorted and without separators (3.5 = 3,5 = 35).

    A translation keeps these, whatever thousands and decimal separators its language uses.
    """
    worth = texts.str.contains(r"\p{Nd}").fill_null(False).to_list()
    result = []
    for one, look in zip(texts.to_list(), worth, strict=True):
        if not look:
            result.append("")
            continue
        plain = one if one.isascii() else "".join(map(plain_digit, one))
        result.append(" ".join(sorted(regex.sub(r"\P{Nd}", "", hit) for hit in _HAS_DIGITS.findall(plain))))
    return result
