"""Finds national ids: by how they are written and a keyword nearby where other numbers look the same, then verified.

Check digits and birth dates are those of python-stdnum. Ids without a checksum are found only if their format is rare
otherwise (US social security numbers).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType


@cache
def _module(name: str) -> ModuleType:
    """A module of python-stdnum; imported when the first number of its kind is met."""
    return import_module(f"stdnum.{name}")


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others (ISO/IEC 7812-1)."""
    return bool(_module("luhn").is_valid(digits))


def _valid(*names: str) -> Callable[[str], bool]:
    """Whether one of these modules of python-stdnum takes the number."""
    return lambda value: any(_module(name).is_valid(value) for name in names)


def _any(_: str) -> bool:
    return True


def _day(day: str | int, month: str | int) -> bool:
    return 1 <= int(day) <= 31 and 1 <= int(month) <= 12


# Ours, because python-stdnum's answer depends on today's date, and a kept result must not change with it.
def _belgian(d: str) -> bool:
    return _day(d[4:6], d[2:4]) and any(97 - int(lead + d[:9]) % 97 == int(d[9:]) for lead in ("", "2"))


def _swedish(d: str) -> bool:
    # A coordination number has 60 added to the day.
    return _day(int(d[-6:-4]) % 60, d[-8:-6]) and luhn(d[-10:])


def _norwegian(d: str) -> bool:
    # A D number has 40 added to the day.
    number = _module("no.fodselsnummer")
    check = number.calc_check_digit1(d) + number.calc_check_digit2(d)
    return _day(int(d[:2]) % 40, d[2:4]) and bool(check == d[9:])


def _danish(d: str) -> bool:
    return _day(d[:2], d[2:4])


def _south_african(d: str) -> bool:
    return _day(d[4:6], d[2:4]) and d[10] in "012" and luhn(d)


# With less than all of python-stdnum's checks, because it refuses numbers that people have: of registration offices
# younger than the holder or than its list, of people without Thai nationality, of sex X, and temporary ones.
def _chinese(c: str) -> bool:
    return _day(c[12:14], c[10:12]) and bool(_module("cn.ric").calc_check_digit(c) == c[17])


def _thai(d: str) -> bool:
    return bool(_module("th.pin").calc_check_digit(d) == d[12])


def _mexican(c: str) -> bool:
    return _day(c[8:10], c[6:8]) and bool(_module("mx.curp").calc_check_digit(c) == c[17])


def _finnish(c: str) -> bool:
    return bool(_module("fi.hetu").is_valid(c, allow_temporary=True))


# Not in python-stdnum.
def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _taiwanese(c: str) -> bool:
    lead = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(c[0]) + 10
    return _weighted(f"{lead}{c[1:]}", (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def _hong_kong(c: str) -> bool:
    head = [36 if sign == " " else int(sign, 36) for sign in c[:-7].rjust(2)]
    values = [*head, *map(int, c[-7:-1]), int(c[-1], 11)]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def _iranian(d: str) -> bool:
    rest = _weighted(d, range(10, 1, -1)) % 11
    return (rest if rest < 2 else 11 - rest) == int(d[9])


def _snils(d: str) -> bool:
    return int(d[:9]) > 1001998 and _weighted(d, range(9, 0, -1)) % 101 % 100 == int(d[9:])


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
    _id("ES", r"(?:[XYZ]-?\d{7}|\d{8})[ -]?[A-Z]", _valid("es.dni", "es.nie")),
    _id("IT", r"[A-Z]{6}\d{2}[ABCDEHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", _valid("it.codicefiscale")),
    _id("FR", r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", _valid("fr.nir")),
    _id("BE", r"\d{2}\.[01]\d\.[0-3]\d-\d{3}\.\d{2}", _belgian),
    _id("FI", r"[0-3]\d[01]\d{3}[-+A-FU-Y]\d{3}[0-9A-Y]", _finnish),
    _id("SE", r"(?:19|20)?\d{2}[01]\d[0-9]\d[-+]\d{4}", _swedish),
    _id("PL", r"\d{11}", _valid("pl.pesel"), r"pesel|numer ewidencyjny"),
    _id("RO", r"[1-8]\d{12}", _valid("ro.cnp")),
    _id("CZ", r"\d{6}/\d{4}", _valid("cz.rc")),
    _id("BG", r"\d{10}", _valid("bg.egn"), "егн|egn|единен граждански"),
    _id("RS", r"[0-3]\d[01]\d[90]\d{8}", _valid("si.emso")),
    _id("HR", r"\d{11}", _valid("hr.oib"), r"oib|osobni identifikacijski"),
    _id("NO", r"[0-7]\d[01]\d{3} ?\d{5}", _norwegian),
    _id("EE", r"[3-6]\d{2}[01]\d[0-3]\d{5}", _valid("ee.ik")),
    _id(
        "DE",
        r"\d{2} ?\d{3} ?\d{3} ?\d{3}",
        _valid("de.idnr"),
        r"steuer-?(?:id|identifikationsnummer|nummer)|idnr|identifikationsnummer",
    ),
    _id("NL", r"\d{9}", _valid("nl.bsn"), r"bsn|burgerservicenummer|sofinummer"),
    _id("PT", r"\d{3} ?\d{3} ?\d{3}", _valid("pt.nif"), r"nif|contribuinte"),
    _id("DK", r"[0-3]\d[01]\d{3}-\d{4}", _danish, r"cpr|personnummer"),
    _id("GR", r"[0-3]\d[01]\d{8}", _valid("gr.amka"), "αμκα|amka"),
    _id("GB", r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", _any),
    _id("GB", r"\d{3} ?\d{3} ?\d{4}", _valid("gb.nhs"), r"\bnhs\b"),
    _id("US", r"(?!123-45-6789)\d{3}-\d{2}-\d{4}", _valid("us.ssn")),
    _id("US", r"(?!123 ?45 ?6789)(?:\d{9}|\d{3} \d{2} \d{4})", _valid("us.ssn"), r"\bssn\b|social security"),
    _id("CA", r"\d{3}([ -]?)\d{3}\1\d{3}", _valid("ca.sin"), r"\bsin\b|social insurance|assurance sociale"),
    _id("BR", r"\d{3}\.\d{3}\.\d{3}-\d{2}", _valid("br.cpf")),
    _id("BR", r"\d{11}", _valid("br.cpf"), r"\bcpf\b"),
    _id("AR", r"(?:2[0347]|3[034])-\d{8}-\d", _valid("ar.cuit")),
    _id("CL", r"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", _valid("cl.rut")),
    _id("MX", r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d", _mexican),
    _id("ZA", r"\d{2}[01]\d[0-3]\d{5}[012]\d{2}", _south_african),
    _id("TR", r"[1-9]\d{10}", _valid("tr.tckimlik"), r"t\.?c\.?|kimlik|tckn"),
    _id("IL", r"\d{9}", _valid("il.idnr"), "ת\\.?ז|תעודת זהות|teudat"),
    _id("IR", r"\d{3}-?\d{6}-?\d", _iranian, "کد ملی|کدملی|شماره ملی"),
    _id("TH", r"\d-\d{4}-\d{5}-\d{2}-\d", _thai),
    _id("TH", r"\d{13}", _thai, "บัตรประชาชน|ประจำตัวประชาชน"),
    _id("RU", r"\d{3}-\d{3}-\d{3}[ -]\d{2}", _snils),
    _id("RU", r"\d{12}", _valid("ru.inn"), "инн"),
    _id("CN", r"[1-8]\d{5}(?:18|19|20)\d{2}[01]\d[0-3]\d{4}[\dXx]", _chinese),
    _id("TW", r"[A-Z][1289]\d{8}", _taiwanese),
    _id("HK", r"[A-Z]{1,2}\d{6}\([0-9A]\)", _hong_kong),
    _id("KR", r"\d{2}[01]\d[0-3]\d-[1-8]\d{6}", _valid("kr.rrn")),
    _id("JP", r"\d{4}([ -]?)\d{4}\1\d{4}", _valid("jp.in_"), "マイナンバー|個人番号|my number"),
    _id("IN", r"(?<!\d[ -])[2-9]\d{3}[ -]\d{4}[ -]\d{4}(?![ -]\d)", _valid("in_.aadhaar")),
    _id("IN", r"[2-9]\d{11}", _valid("in_.aadhaar"), "aadhaar|aadhar|आधार|ஆதார்|ఆధార్|আধার"),
    _id("IN", r"[A-Z]{3}[PCHFATBLJG][A-Z]\d{4}[A-Z]", _valid("in_.pan"), r"\bpan\b|पैन"),
    _id("AU", r"\d{3} ?\d{3} ?\d{3}", _valid("au.tfn"), r"\btfn\b|tax file"),
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
            # 111.111.111-11 and the like are placeholders, though the digits add up.
            if len(set(value)) > 1 and known.right(value):
                yield match.start(), match.end(), known.country, value
