"""A number said in a text is said in its translation: in other digits, with other separators, in words where it is small, but said."""

from __future__ import annotations

import unicodedata

import regex

from curate.rows import languages

_SPELLED_OUT = 12
_NUMBER = regex.compile(r"\p{Nd}+(?:[.,٫٬:'’/·-]\p{Nd}+)*")
_GROUPED = regex.compile(r"(?<=\p{Nd})[\s\u00a0\u202f\u2009](?=\p{Nd}{3}(?!\p{Nd}))")
_PARTS = regex.compile(r"\D+")
_MYRIADS = regex.compile(r"[万萬億亿만억兆조千百천]|लाख|करोड़|लाखों|লাখ|লক্ষ|কোটি|هزار|میلیون|laki|lakh|crore")
_ORDINAL = regex.compile(r"(?:st|nd|rd|th|º|ª|er?|ème|te[nrs]?)\b")
_AFTERNOON = regex.compile(
    r"\s*(?:p\.?\s?m\.?\b|P\.?M\.?\b|午後|下午|오후|in the (?:afternoon|evening))", regex.IGNORECASE
)
_ROMAN = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))  # fmt: skip


def _ascii(text: str) -> str:
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def _numbers(text: str) -> set[str]:
    """Every number of a text as bare digits, whole and in its parts."""
    found: set[str] = set()
    for variant in {text, _GROUPED.sub("", text)}:
        for match in _NUMBER.finditer(variant):
            digits = _ascii(match[0])
            parts = _PARTS.split(digits)
            found.update(_bare(part) for part in parts)
            found.add(_bare("".join(parts)))
    return found


def _bare(digits: str) -> str:
    return digits.lstrip("0") or "0"


def lost_numbers(source: str, target: str, language: str = languages.UNKNOWN) -> list[str]:
    """The numbers of a text that its translation has not, in any digits and with any separators.

    Numbers up to 12 may be spelled out (three or more of them may not), centuries may be Roman, hours may be counted to
    24, thousands may be counted in myriads or lakhs, years in Thai may be Buddhist.
    """
    if not any(char.isdecimal() for char in source):
        return []
    there = _numbers(target)
    lost: list[str] = []
    small: list[str] = []
    grouped = _GROUPED.sub("", source)
    for match in _NUMBER.finditer(grouped):
        digits = _ascii(match[0])
        parts = _PARTS.split(digits)
        whole = _bare("".join(parts))
        if whole in there or all(_bare(part) in there for part in parts):
            continue
        value = int(whole) if len(whole) <= 12 else 0
        if len(parts) == 1 and value <= _SPELLED_OUT and len(whole) <= 2:
            small.append(match[0])
        elif not _said_otherwise(value, whole, grouped[match.end() : match.end() + 24], target, there, language):
            lost.append(match[0])
    return list(dict.fromkeys(lost)) or (list(dict.fromkeys(small)) if len(set(small)) >= 3 else [])


def _said_otherwise(value: int, whole: str, after: str, target: str, there: set[str], language: str) -> bool:
    if value >= 100 and _MYRIADS.search(target):
        return True
    if value <= 100 and _ORDINAL.match(after):  # the 19th century
        return True
    hour = value if value <= 12 else value // 100
    if _AFTERNOON.match(after) and (str(hour + 12) in there or str(value + 1200) in there):
        return True
    if after[:1] == "s" and whole[-2:] in there:  # the 1980s, die 80er
        return True
    if value in range(20, 100, 10) and any(len(one) == 4 and one.endswith(whole) for one in there):
        return True  # los años 70, the 1970s
    if languages.base(language) == "th" and str(value + 543) in there:
        return True
    # 1.50 and 1,5; 20.0 and 20
    if whole.rstrip("0") and whole.rstrip("0") in {one.rstrip("0") for one in there if one != "0"}:
        return True
    return 0 < value < 40 and regex.search(rf"\b{_roman(value)}\b", target) is not None


def _roman(value: int) -> str:
    said = ""
    for size, sign in _ROMAN:
        said += sign * (value // size)
        value %= size
    return said
