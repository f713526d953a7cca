"""Two texts that differ in a number or in a "not" do not say the same, however alike they are in everything else.

What is compared is a digest of all numbers of a text in their order (with signs, operators and currencies), and one of
its negating words. Both are equalities, so that rows with other numbers are never even looked at together: a thousand
sums made from one template cost nothing.
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
# The words that tell two texts of one language apart, and what is asked of them.
has_words, negations, negators = negation.stands_alone, negation.words_in, negation.negators

# Numerals that are letters: one is left out where it stands alone, for there it is mostly the article.
_HAN = "".join(sign for sign in (*HAN_DIGITS, *HAN_UNITS, *HAN_MYRIADS) if sign != "一")
# Between digits these group (1,000 = 1 000 = 1000), but only before exactly three of them.
_GROUPS = regex.compile(r"(?<=\p{Nd})(?:[,'’٬]|\s+)(?=\p{Nd}{3}(?!\p{Nd}))")
_FIGURES = regex.compile(
    rf"(?V1)(?<![\p{{L}}\p{{N}}])[-−](?=\p{{Nd}})|\p{{Nd}}+|[\p{{No}}\p{{Nl}}]|[{_HAN}]|一(?=\s*[一{_HAN}])|(?<=[一{_HAN}]\s*)一|(?<=\p{{Nd}})[.,:/^*-](?=\p{{Nd}})"
    r"|(?<=[\p{Nd})]\s*)[-*/^](?=\s*[\p{Nd}(])|[\p{Sm}--[|~⁓]]|\p{Sc}|[%‰٪]|#(?=\p{L})|(?<=\p{L})(?:\+\+|#)"
)
_WORTH_A_LOOK = rf"[\p{{N}}\p{{Sm}}\p{{Sc}}%‰٪#{_HAN}]"
_HAS_DIGITS = regex.compile(r"\p{Nd}[\p{Nd}.,:'’٫٬\u00a0\u202f]*")


def numbers(texts: pl.Series) -> list[str]:
    """The figures of each text in order, separated by blanks; digits of all scripts are the same, and so is ``1,000``
    to ``1000``. Operators, currencies and per cent signs are figures too: 3 + 4 is not 3 - 4, $5 not €5."""
    worth = texts.str.contains(_WORTH_A_LOOK).fill_null(False).to_list()
    return [_figures(one) if look else "" for one, look in zip(texts.to_list(), worth, strict=True)]


def _figures(one: str) -> str:
    if not one.isascii():
        one = "".join(map(_plain, one))
    return " ".join(_FIGURES.findall(_GROUPS.sub("", one)))


@cache
def _plain(sign: str) -> str:
    return "-" if sign == "−" else decimal_digit(sign)


def digests(found: list[list[str]]) -> Digests:
    """One number for each row of several fields' findings; 0 where nothing was found in any field."""
    known: dict[tuple[str, ...], int] = {}
    numbers = []
    for row in zip(*found, strict=True):
        if row not in known:
            told = "\0".join(row)
            whole = blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8, person=b"curate-guard").digest()
            known[row] = int.from_bytes(whole, "little") | 1 if any(row) else 0
        numbers.append(known[row])
    return np.array(numbers, np.uint64)


def digits(texts: pl.Series) -> list[str]:
    """The digits of each text, number by number, sorted and without any sign inside (3.5 = 3,5 = 35): what a
    translation keeps whatever its language writes between thousands or before decimals."""
    worth = texts.str.contains(r"\p{Nd}").fill_null(False).to_list()
    found = []
    for one, look in zip(texts.to_list(), worth, strict=True):
        if not look:
            found.append("")
            continue
        plain = one if one.isascii() else "".join(map(_plain, one))
        found.append(" ".join(sorted(regex.sub(r"\P{Nd}", "", hit) for hit in _HAS_DIGITS.findall(plain))))
    return found
