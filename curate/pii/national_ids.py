"""Finds national ids, verified by their checksum and often a birth date.

Checksums are those published by the issuing offices. Formats that many other numbers share also need a keyword nearby.
Ids without a checksum are found only if their format is rare otherwise (US social security numbers).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others (ISO/IEC 7812-1)."""
    total = 0
    for place, sign in enumerate(reversed(digits)):
        value = int(sign) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _day(day: str | int, month: str | int) -> bool:
    return 1 <= int(day) <= 31 and 1 <= int(month) <= 12


_VERHOEFF = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PERMUTED = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def _verhoeff(digits: str) -> bool:
    check = 0
    for place, sign in enumerate(reversed(digits)):
        check = int(_VERHOEFF[check][int(_PERMUTED[place % 8][int(sign)])])
    return check == 0


def _iso7064_11_10(digits: str) -> bool:
    rest = 10
    for sign in digits[:-1]:
        rest = ((int(sign) + rest) % 10 or 10) * 2 % 11
    return (11 - rest) % 10 == int(digits[-1])


def _cpf(d: str) -> bool:
    first = _weighted(d[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = _weighted(d[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(d)) > 1 and d[9:] == f"{first}{second}"


def _pesel(d: str) -> bool:
    return _day(d[4:6], int(d[2:4]) % 20) and -_weighted(d[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 == int(d[10])


def _cnp(d: str) -> bool:
    return (
        d[0] in "12345678"
        and _day(d[5:7], d[3:5])
        and _weighted(d, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11 % 10 == int(d[12])
    )


def _egn(d: str) -> bool:
    return _day(d[4:6], int(d[2:4]) % 20) and _weighted(d, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(d[9])


def _jmbg(d: str) -> bool:
    rest = 11 - _weighted(d, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return _day(d[:2], d[2:4]) and d[4] in "90" and (0 if rest > 9 else rest) == int(d[12])


def _codice(c: str) -> bool:
    odd = dict(
        zip(
            "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            (
                1,
                0,
                5,
                7,
                9,
                13,
                15,
                17,
                19,
                21,
                1,
                0,
                5,
                7,
                9,
                13,
                15,
                17,
                19,
                21,
                2,
                4,
                18,
                20,
                11,
                3,
                6,
                8,
                12,
                14,
                16,
                10,
                22,
                25,
                24,
                23,
            ),
            strict=True,
        )
    )
    total = sum(
        odd[sign] if place % 2 == 0 else (int(sign) if sign.isdigit() else ord(sign) - 65)
        for place, sign in enumerate(c[:15])
    )
    return chr(65 + total % 26) == c[15]


def _dni(c: str) -> bool:
    number = {"X": "0", "Y": "1", "Z": "2"}.get(c[0], c[0]) + c[1:8]
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == c[8]


def _nir(c: str) -> bool:
    digits = c[:13].replace("2A", "19").replace("2B", "18")
    return 1 <= int(c[3:5]) <= 12 and digits.isdigit() and 97 - int(digits) % 97 == int(c[13:])


def _belgian(d: str) -> bool:
    return _day(d[4:6], d[2:4]) and any(97 - int(lead + d[:9]) % 97 == int(d[9:]) for lead in ("", "2"))


def _hetu(c: str) -> bool:
    return _day(c[:2], c[2:4]) and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(c[:6] + c[7:10]) % 31] == c[10]


def _norwegian(d: str) -> bool:
    first, second = (
        11 - _weighted(d, weights) % 11 for weights in ((3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))
    )
    return _day(int(d[:2]) % 40, d[2:4]) and (first % 11, second % 11) == (int(d[9]), int(d[10]))


def _baltic(d: str) -> bool:
    rest = _weighted(d, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if rest == 10:
        rest = _weighted(d, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return d[0] in "3456" and _day(d[5:7], d[3:5]) and rest == int(d[10])


def _chinese(c: str) -> bool:
    total = _weighted(c, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    return c[6:8] in ("18", "19", "20") and _day(c[12:14], c[10:12]) and "10X98765432"[total % 11] == c[17]


def _taiwanese(c: str) -> bool:
    lead = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(c[0]) + 10
    return _weighted(f"{lead}{c[1:]}", (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def _hong_kong(c: str) -> bool:
    head = [36 if sign == " " else int(sign, 36) for sign in c[:-7].rjust(2)]
    values = [*head, *map(int, c[-7:-1]), int(c[-1], 11)]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def _korean(d: str) -> bool:
    return _day(d[4:6], d[2:4]) and (11 - _weighted(d, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10 == int(d[12])


def _my_number(d: str) -> bool:
    rest = (
        sum(int(digit) * (place + 1 if place <= 6 else place - 5) for place, digit in enumerate(reversed(d[:11]), 1))
        % 11
    )
    return (0 if rest <= 1 else 11 - rest) == int(d[11])


def _turkish(d: str) -> bool:
    odd, even = sum(map(int, d[0:9:2])), sum(map(int, d[1:8:2]))
    return d[0] != "0" and (odd * 7 - even) % 10 == int(d[9]) and sum(map(int, d[:10])) % 10 == int(d[10])


def _iranian(d: str) -> bool:
    rest = _weighted(d, range(10, 1, -1)) % 11
    return len(set(d)) > 1 and (rest if rest < 2 else 11 - rest) == int(d[9])


def _thai(d: str) -> bool:
    return (11 - _weighted(d, range(13, 1, -1)) % 11) % 10 == int(d[12])


def _snils(d: str) -> bool:
    return int(d[:9]) > 1001998 and _weighted(d, range(9, 0, -1)) % 101 % 100 == int(d[9:])


def _inn(d: str) -> bool:
    first = _weighted(d, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    return first == int(d[10]) and _weighted(d, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10 == int(d[11])


def _cuil(d: str) -> bool:
    return (11 - _weighted(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11 == int(d[10])


def _rut(c: str) -> bool:
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(c[:-1])))
    return "0123456789K0"[11 - total % 11 if total % 11 else 11] == c[-1]


def _curp(c: str) -> bool:
    letters = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(letters.index(sign) * (18 - place) for place, sign in enumerate(c[:17]))
    return _day(c[8:10], c[6:8]) and -total % 10 == int(c[17])


def _south_african(d: str) -> bool:
    return _day(d[4:6], d[2:4]) and d[10] in "012" and luhn(d)


def _nhs(d: str) -> bool:
    return (11 - _weighted(d, range(10, 1, -1)) % 11) % 11 == int(d[9])


def _swedish(d: str) -> bool:
    short = d[-10:]
    return _day(int(short[4:6]) % 60, short[2:4]) and luhn(short)


def _czech(d: str) -> bool:
    return (
        _day(d[4:6], int(d[2:4]) % 50 % 20)
        and len(d) == 10
        and (int(d) % 11 == 0 or (int(d[:9]) % 11 == 10 and d[9] == "0"))
    )


def _german_tax(d: str) -> bool:
    most = max(d[:10].count(sign) for sign in set(d[:10]))
    return d[0] != "0" and most in (2, 3) and _iso7064_11_10(d)


def _ssn(d: str) -> bool:
    # 078-05-1120 and 219-09-9999 stood in advertisements; 987-65-432x is for advertisements.
    return (
        d[:3] not in ("000", "666")
        and d[0] != "9"
        and d[3:5] != "00"
        and d[5:] != "0000"
        and d not in ("078051120", "219099999", "123456789")
    )


def _nif(d: str) -> bool:
    rest = 11 - _weighted(d, range(9, 1, -1)) % 11
    return d[0] in "1235689" and (0 if rest > 9 else rest) == int(d[8])


def _bsn(d: str) -> bool:
    return d != "000000000" and (_weighted(d, range(9, 1, -1)) - int(d[8])) % 11 == 0


def _tfn(d: str) -> bool:
    return _weighted(d, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def _any(_: str) -> bool:
    return True


@dataclass(frozen=True)
class _Id:
    country: str
    shape: re.Pattern[str]
    right: Callable[[str], bool]
    cue: re.Pattern[str] | None = None
    """Keyword that must occur shortly before it, if many other numbers have this format."""


def _id(country: str, shape: str, right: Callable[[str], bool], cue: str = "") -> _Id:
    return _Id(
        country,
        re.compile(rf"(?<![A-Za-z0-9_.,+/-])(?:{shape})(?![A-Za-z0-9_/]|[.,-]\d)"),
        right,
        re.compile(rf"(?:{cue})[^\n]{{0,24}}$", re.I) if cue else None,
    )


_IDS = (
    _id("ES", r"(?:[XYZ]-?\d{7}|\d{8})[ -]?[A-Z]", _dni),
    _id("IT", r"[A-Z]{6}\d{2}[ABCDEHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", _codice),
    _id("FR", r"[12] ?\d{2} ?[01]\d ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", _nir),
    _id("BE", r"\d{2}\.[01]\d\.[0-3]\d-\d{3}\.\d{2}", _belgian),
    _id("FI", r"[0-3]\d[01]\d{3}[-+A-FU-Y]\d{3}[0-9A-Y]", _hetu),
    _id("SE", r"(?:19|20)?\d{2}[01]\d[0-9]\d[-+]\d{4}", _swedish),
    _id("PL", r"\d{11}", _pesel, r"pesel|numer ewidencyjny"),
    _id("RO", r"[1-8]\d{12}", _cnp),
    _id("CZ", r"\d{6}/\d{4}", _czech),
    _id("BG", r"\d{10}", _egn, "егн|egn|единен граждански"),
    _id("RS", r"[0-3]\d[01]\d[90]\d{8}", _jmbg),
    _id("HR", r"\d{11}", _iso7064_11_10, r"oib|osobni identifikacijski"),
    _id("NO", r"[0-7]\d[01]\d{3} ?\d{5}", _norwegian),
    _id("EE", r"[3-6]\d{2}[01]\d[0-3]\d{5}", _baltic),
    _id(
        "DE",
        r"\d{2} ?\d{3} ?\d{3} ?\d{3}",
        _german_tax,
        r"steuer-?(?:id|identifikationsnummer|nummer)|idnr|identifikationsnummer",
    ),
    _id("NL", r"\d{9}", _bsn, r"bsn|burgerservicenummer|sofinummer"),
    _id("PT", r"\d{3} ?\d{3} ?\d{3}", _nif, r"nif|contribuinte"),
    _id("DK", r"[0-3]\d[01]\d{3}-\d{4}", lambda d: _day(d[:2], d[2:4]), r"cpr|personnummer"),
    _id("GR", r"[0-3]\d[01]\d{8}", lambda d: _day(d[:2], d[2:4]) and luhn(d), "αμκα|amka"),
    _id("GB", r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", _any),
    _id("GB", r"\d{3} ?\d{3} ?\d{4}", _nhs, r"\bnhs\b"),
    _id("US", r"\d{3}-\d{2}-\d{4}", _ssn),
    _id("US", r"\d{9}|\d{3} \d{2} \d{4}", _ssn, r"\bssn\b|social security"),
    _id("CA", r"\d{3}([ -]?)\d{3}\1\d{3}", luhn, r"\bsin\b|social insurance|assurance sociale"),
    _id("BR", r"\d{3}\.\d{3}\.\d{3}-\d{2}", _cpf),
    _id("BR", r"\d{11}", _cpf, r"\bcpf\b"),
    _id("AR", r"(?:2[0347]|3[034])-\d{8}-\d", _cuil),
    _id("CL", r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", _rut),
    _id("MX", r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d", _curp),
    _id("ZA", r"\d{2}[01]\d[0-3]\d{5}[012]\d{2}", _south_african),
    _id("TR", r"[1-9]\d{10}", _turkish, r"t\.?c\.?|kimlik|tckn"),
    _id("IL", r"\d{9}", luhn, "ת\\.?ז|תעודת זהות|teudat"),
    _id("IR", r"\d{3}-?\d{6}-?\d", _iranian, "کد ملی|کدملی|شماره ملی"),
    _id("TH", r"\d-\d{4}-\d{5}-\d{2}-\d", _thai),
    _id("TH", r"\d{13}", _thai, "บัตรประชาชน|ประจำตัวประชาชน"),
    _id("RU", r"\d{3}-\d{3}-\d{3}[ -]\d{2}", _snils),
    _id("RU", r"\d{12}", _inn, "инн"),
    _id("CN", r"[1-8]\d{5}(?:18|19|20)\d{2}[01]\d[0-3]\d{4}[\dXx]", _chinese),
    _id("TW", r"[A-Z][1289]\d{8}", _taiwanese),
    _id("HK", r"[A-Z]{1,2}\d{6}\([0-9A]\)", _hong_kong),
    _id("KR", r"\d{2}[01]\d[0-3]\d-[1-8]\d{6}", _korean),
    _id("JP", r"\d{4}([ -]?)\d{4}\1\d{4}", _my_number, "マイナンバー|個人番号|my number"),
    _id("IN", r"(?<!\d[ -])[2-9]\d{3}[ -]\d{4}[ -]\d{4}(?![ -]\d)", _verhoeff),
    _id("IN", r"[2-9]\d{11}", _verhoeff, "aadhaar|aadhar|आधार|ஆதார்|ఆధార్|আধার"),
    _id("IN", r"[A-Z]{3}[PCHFATBLJG][A-Z]\d{4}[A-Z]", _any, r"\bpan\b|पैन"),
    _id("AU", r"\d{3} ?\d{3} ?\d{3}", _tfn, r"\btfn\b|tax file"),
    _id("SA", r"[12]\d{9}", luhn, "هوية|الإقامة|iqama"),
)


def find(text: str, regions: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, str, str]]:
    """Start, end, country (ISO 3166) and value of each id in a text with ASCII digits.

    Args:
        regions: parts of the text that may contain numbers.
    """
    for known in _IDS:
        for match in (one for start, end in regions for one in known.shape.finditer(text, start, end + 2)):
            value = re.sub(r"[^0-9A-ZÑ]" if known.country != "FI" else r"[^0-9A-Z+-]", "", match[0].upper())
            if known.cue is not None and not known.cue.search(text[max(0, match.start() - 60) : match.start()]):
                continue
            if known.right(value):
                yield match.start(), match.end(), known.country, value
