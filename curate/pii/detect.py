"""Finds personal data and secrets: by pattern, then verified by a check digit, length or other property.

A pattern alone is weak evidence. An IBAN has a length per country and a remainder of 1, a card number a Luhn digit, a
national id a birth date and a checksum. Matches that fail verification are ignored, as are example values
(``example.org``, ``192.0.2.7``, ``+1 202 555 0123``, published test cards). Digits of all scripts and full-width
letters are read as ASCII; positions are code points of the original text.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from curate.data_files import DataFile
from curate.pii import national_ids as private_ids
from curate.pii import secrets

PRIVATE = ("email", "phone", "iban", "card", "ip", "national_id")
"""Kinds of personal data."""
SECRET = secrets.KINDS
"""Kinds of secrets."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A match in a text."""

    kind: str
    """One of :data:`PRIVATE` and :data:`SECRET`."""
    start: int
    end: int
    """First code point, and the one after the last."""
    value: str
    """The normalised value, without separators: two findings with the same value are the same thing."""
    detail: str = ""
    """The country or vendor, if known."""


# Looked for in whole columns first; a text without any of these has nothing of the kind, and most have none.
_GATE = (
    r"[@＠]|[(\[] ?at ?[)\]]|\p{Nd}(?:[ \u{a0}\u{202f}().\-‐‑–/]{0,3}\p{Nd}){6}|\p{Nd}{1,3}(?:[.．]\p{Nd}{1,3}){3}"
    r"|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]"
    r"|[A-Z0-9]{2}[0-9]{2}[ ]?[A-Z0-9]{4}|[A-Z]{3,6}[0-9]{2}|[A-Z]{1,2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2}"
)
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—−﹣－"), "-")
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f\u3000"), " ")


@cache
def _table() -> dict[int, str]:
    """Maps every digit and full-width ASCII character to ASCII, one code point to one."""
    table = {
        point: str(unicodedata.digit(chr(point)))
        for point in range(0x110000)
        if unicodedata.category(chr(point)) == "Nd"
    }
    return {**{0xFF00 + low: chr(0x20 + low) for low in range(1, 95)}, **table, **_DASHES, **_SPACES}


def plain(text: str) -> str:
    """The text with ASCII digits, dashes, spaces and letters instead of their look-alikes; the length stays the
    same."""
    return text if text.isascii() else text.translate(_table())


def find_all(texts: pl.Series, kinds: Collection[str] = (*PRIVATE, *SECRET)) -> list[list[Finding]]:
    """The findings of these kinds in each text, in order, without overlaps; none for null.

    Raises:
        KeyError: there is no such kind.
    """
    for kind in kinds:
        if kind not in PRIVATE and kind not in SECRET:
            raise KeyError(f"no kind of private text is called '{kind}'; there are {', '.join((*PRIVATE, *SECRET))}")
    found: list[list[Finding]] = [[] for _ in range(len(texts))]
    gates = []
    if any(kind in PRIVATE for kind in kinds):
        gates.append(texts.str.contains(_GATE))
    if any(kind in SECRET for kind in kinds):
        gates.append(texts.str.contains(secrets.GATE))
    if not gates:
        return found
    look = gates[0].fill_null(False)
    for gate in gates[1:]:
        look = look | gate.fill_null(False)
    at = look.arg_true()
    for row, text in zip(at.to_list(), texts.gather(at).to_list(), strict=True):
        found[row] = find(text, kinds)
    return found


def find(text: str, kinds: Collection[str] = (*PRIVATE, *SECRET)) -> list[Finding]:
    """The findings in one text; see :func:`find_all`."""
    same = plain(text)
    hits: list[Finding] = []
    # The order is that of trust: what a stronger proof has taken, a weaker one does not get.
    hits += (
        Finding(hit.kind, hit.start, hit.end, hit.value, hit.detail) for hit in secrets.find(same) if hit.kind in kinds
    )
    # Numbers have six digits at least, wherever they stand.
    digits = sum(map(same.count, "0123456789"))
    for kind, look in _LOOKERS.items():
        if kind in kinds and (digits > 5 or kind == "email" or (kind == "ip" and ":" in same)):
            hits += look(same)
    return _apart(hits)


def _apart(hits: Sequence[Finding]) -> list[Finding]:
    kept: list[Finding] = []
    for hit in hits:
        if all(hit.end <= other.start or other.end <= hit.start for other in kept):
            kept.append(hit)
    return sorted(kept, key=lambda hit: hit.start)


# --------------------------------------------------------------------------------------------------------------- email
# Letters of scripts with spaces; in the others a word may stand right before or after an address.
_SPACED = r"[^\W\d_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
_EMAIL = re.compile(
    rf"(?<![A-Za-z0-9_.%+/-])([A-Za-z0-9_.%+'-]{{1,64}}|{_SPACED}(?:{_SPACED}|[\d.+-]){{0,63}})@"
    rf"((?:(?:{_SPACED}|\d)(?:(?:{_SPACED}|[\d-]){{0,61}}(?:{_SPACED}|\d))?\.){{1,6}}(?:xn--[a-z0-9-]{{2,59}}"
    rf"|[A-Za-z]{{2,24}}|{_SPACED}{{2,24}}))(?![A-Za-z0-9_@-]|{_SPACED})"
)
_SPELT = re.compile(
    r"(?<![A-Za-z0-9_.])([A-Za-z0-9_.+-]{2,64}) ?[(\[] ?at ?[)\]] ?([A-Za-z0-9-]{2,63}) ?(?:[(\[] ?dot ?[)\]]|\.)"
    r" ?([A-Za-z]{2,12})(?!\w)",
    re.I,
)
_CLITIC = re.compile("^[\u0590-\u08ff]+(?=[A-Za-z0-9])")
_SPELT_SIGN = re.compile(r"[(\[] ?at ?[)\]]", re.I)
_RESERVED = re.compile(
    r"(?:^|\.)(?:example\.(?:com|org|net|edu)|[\w-]+\.(?:example|test|invalid|localhost|local)|(?:email|domain"
    r"|yourdomain|company|yourcompany|mydomain|mycompany)\.com)$"
)
_NO_DOMAIN = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "py", "html", "txt"})


def _emails(text: str) -> Iterator[Finding]:
    for match in _EMAIL.finditer(text) if "@" in text else ():
        # Arabic and Hebrew write "to" and "and" onto the next word.
        local, domain = _CLITIC.sub("", match[1]).lstrip(".'"), match[2].lower()
        if (
            not local
            or ".." in match[1]
            or _RESERVED.search(domain)
            or domain.rpartition(".")[2] in _NO_DOMAIN
            or local == "git"
        ):
            continue
        # A password in an address of the web is a secret, not a mailbox.
        if "://" in text[max(0, match.start() - 80) : match.start()].rpartition(" ")[2]:
            continue
        yield Finding("email", match.end(1) - len(local), match.end(), f"{local}@{domain}".lower())
    for match in _SPELT.finditer(text) if _SPELT_SIGN.search(text) else ():
        domain = f"{match[2]}.{match[3]}".lower()
        if not _RESERVED.search(domain):
            yield Finding("email", match.start(), match.end(), f"{match[1]}@{domain}".lower())


# --------------------------------------------------------------------------------------------------------------- phone
@dataclass(frozen=True)
class _Phones:
    national: tuple[tuple[str, re.Pattern[str]], ...]
    cue: re.Pattern[str]


PHONES = DataFile("curate.pii", "phones.yaml")


@cache
def _phones() -> _Phones:
    data: dict[str, Any] = PHONES.yaml()
    # In scripts with spaces a cue is a word, with an ending perhaps.
    listed = sorted((re.escape(cue).replace("_", r"\s") for cue in data["cues"].split()), key=len, reverse=True)
    words = "|".join(cue for cue in listed if re.match(_SPACED, cue))
    signs = "|".join(cue for cue in listed if not re.match(_SPACED, cue))
    national = tuple(
        (country, re.compile(rf"(?<![A-Za-z0-9_.,+/#$€£=-])(?<!\d )(?:{shape})(?![A-Za-z0-9_/]|[ .,-]\d)"))
        for country, shapes in data["national"].items()
        for shape in shapes
    )
    return _Phones(national, re.compile(rf"(?:(?<!\w)(?:{words})\w{{0,3}}(?!\w)|{signs})[^\d\n]{{0,16}}$", re.I))


_INTERNATIONAL = re.compile(
    r"(?<![A-Za-z0-9_+])(?<!\d[ .-])(?:\+|00(?=[1-9]))\d(?:[ .()/-]{0,3}\d){6,16}(?![A-Za-z0-9_]|[.,]\d)"
)
_NUMBER = re.compile(r"(?<![A-Za-z0-9_+.,/-])\(?\d(?:[ .()/-]{0,3}\d){5,14}(?![A-Za-z0-9_/]|[.,-]\d)")
_DIGITS = re.compile(r"\D+")
# Where a number can be at all: upper case letters and digits with separators, six digits among them.
_REGION = re.compile(r"[+(A-Z0-9][A-Z0-9 .()/+-]{4,}[A-Z0-9)xk]?")


def _regions(text: str) -> list[tuple[int, int]]:
    found = ((match.start(), match.end()) for match in _REGION.finditer(text))
    return [(start, end) for start, end in found if sum(sign.isdigit() for sign in text[start:end]) > 5]


_FICTION = re.compile(r"^1?(?:[2-9]\d\d55501\d\d|555\d{7})$")
# Dates, spans of years, addresses of machines.
_OTHER = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}|\d{4}-\d{2,4}|(?:\d{1,3}\.){3}\d{1,3}")
_COUNTING = ("01234567890123456789", "98765432109876543210")


def _points_at_somebody(digits: str) -> bool:
    """Whether a number is a real one, not a placeholder: 555-0123, 123-456-7890, all digits equal."""
    return len(set(digits)) > 2 and not _FICTION.match(digits) and not any(digits in row for row in _COUNTING)


def _international(written: str) -> tuple[str, str] | None:
    """Calling code and the digits that follow it; None if the country has no numbers of that length."""
    import phonenumbers

    # (0) is said at home only.
    digits = _DIGITS.sub("", written.replace("(0)", "")).removeprefix("" if written[0] == "+" else "00")
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return None
    # Ranges of numbers in use change every week, lengths hardly ever.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return str(number.country_code), phonenumbers.national_significant_number(number)


def _phone_numbers(text: str) -> Iterator[Finding]:
    known = _phones()
    # Two signs more, for what may not follow a number.
    regions = [(start, end + 2) for start, end in _regions(text)]
    for match in (one for region in regions for one in _INTERNATIONAL.finditer(text, *region)):
        number = _international(match[0])
        if number is None:
            continue
        code, rest = number
        plausible = _points_at_somebody(rest) and not _FICTION.match(code + rest)
        # Without a plus sign two zeros may begin anything.
        if plausible and (
            match[0][0] == "+"
            or re.search(r"[ -]", match[0])
            or known.cue.search(text[max(0, match.start() - 40) : match.start()])
        ):
            yield Finding("phone", match.start(), match.end(), f"+{code}{rest}", code)
    # Not by phonenumbers: its matcher takes any ten digits for a number of some country, and a hundred times the time.
    for country, pattern in known.national:
        for match in (one for region in regions for one in pattern.finditer(text, *region)):
            digits = _DIGITS.sub("", match[0])
            if _points_at_somebody(digits):
                yield Finding("phone", match.start(), match.end(), digits, country)
    for match in (one for region in regions for one in _NUMBER.finditer(text, *region)):
        before = text[max(0, match.start() - 40) : match.start()]
        digits = _DIGITS.sub("", match[0])
        if known.cue.search(before) and _points_at_somebody(digits) and not _OTHER.fullmatch(match[0]):
            yield Finding("phone", match.start(), match.end(), digits)


# -------------------------------------------------------------------------------------------------------- iban, card
_IBAN = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30})(?![a-z0-9])")


def _ibans(text: str) -> Iterator[Finding]:
    for match in _IBAN.finditer(text):
        # Words that follow a space may have been taken along: an IBAN ends where it is right.
        for end in range(match.start() + 15, match.end() + 1):
            if text[end - 1] not in " -" and (end == len(text) or not text[end].isalnum()):
                value = re.sub("[ -]", "", text[match.start() : end])
                if iban_is_right(value):
                    yield Finding("iban", match.start(), end, value, value[:2])
                    break


def iban_is_right(value: str) -> bool:
    """Whether an IBAN without spaces has a remainder of 1 (ISO 7064, mod 97-10) and its country's length and order of
    letters and digits."""
    from stdnum import iban

    return bool(iban.is_valid(value, check_country=False))


_CARD = re.compile(
    r"(?<![A-Za-z0-9_.,$€£+-])(?<!\d )(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -]?)\d{6}\2\d{4,5})(?![A-Za-z0-9_]|["
    r" .,-]\d)"
)
_ISSUERS = (
    ("visa", re.compile(r"4(?:\d{12}|\d{15}|\d{18})")),
    ("mastercard", re.compile(r"(?:5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12})")),
    ("amex", re.compile(r"3[47]\d{13}")),
    ("discover", re.compile(r"6(?:011|5\d\d|4[4-9]\d)\d{12}")),
    ("jcb", re.compile(r"35(?:2[89]|[3-8]\d)\d{12}")),
    ("diners", re.compile(r"3(?:0[0-5]|[68]\d)\d{11}")),
    ("unionpay", re.compile(r"62\d{14,17}")),
    ("mir", re.compile(r"220[0-4]\d{12}")),
    ("maestro", re.compile(r"(?:50|5[6-8]|6[37])\d{14}")),
    ("rupay", re.compile(r"(?:60|81|82|508)\d{13,14}")),
    ("troy", re.compile(r"9792\d{12}")),
)
# Numbers that payment services publish for trying things out.
_TEST_CARDS = frozenset(
    [
        "4111111111111111",
        "4242424242424242",
        "4012888888881881",
        "4000056655665556",
        "5555555555554444",
        "5105105105105100",
        "2223003122003222",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "6011000990139424",
        "30569309025904",
        "38520000023237",
        "3530111333300000",
        "3566002020360505",
    ]
)


def _cards(text: str) -> Iterator[Finding]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        issuer = next((name for name, pattern in _ISSUERS if pattern.fullmatch(digits)), None)
        if issuer and digits not in _TEST_CARDS and len(set(digits)) > 3 and private_ids.luhn(digits):
            yield Finding("card", match.start(), match.end(), digits, issuer)


# ------------------------------------------------------------------------------------------------------------------ ip
_IPV4 = re.compile(r"(?<![A-Za-z0-9_.+-])(?:\d{1,3}\.){3}\d{1,3}(?![A-Za-z0-9_-]|\.\d)")
_IPV6 = re.compile(
    r"(?<![A-Za-z0-9_:.])(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4}){1,7}(?![A-Za-z0-9_:])|(?<![A-Za-z0-9_:.])"
    r"(?:[0-9A-Fa-f]{1,4}:){1,6}:(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,5})?(?![A-Za-z0-9_:])"
)
_IP_CUE = re.compile(r"\bip(?:v4)?\b[^\n]{0,24}$", re.I)
_VERSION = re.compile(
    r"(?:\bv|version|ver\.?|release|build|firmware|driver|版本|バージョン|версия|версии|§|section|chapter|figure|\bsec\.?"
    r"|kapitel|abschnitt|chapitre)"
    r" ?[:#]? ?$",
    re.I,
)
# Resolvers and masks that stand in every handbook.
_PUBLIC = frozenset("8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 208.67.222.222 208.67.220.220 4.2.2.2 4.2.2.1".split())  # noqa: SIM905


def _addresses(text: str) -> Iterator[Finding]:
    for match in (*_IPV4.finditer(text), *_IPV6.finditer(text)):
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            continue
        before = text[max(0, match.start() - 40) : match.start()]
        if not address.is_global or address.is_multicast or str(address) in _PUBLIC or _VERSION.search(before):
            continue
        # 2.1.3.1 is a section or a release unless somebody says otherwise.
        if address.version == 4 and max(address.packed) < 32 and not _IP_CUE.search(before):
            continue
        if address.version == 6 and (match[0].count(":") < 3 or str(address).startswith("2001:db8:")):
            continue
        yield Finding("ip", match.start(), match.end(), str(address), f"v{address.version}")


def _national_ids(text: str) -> Iterator[Finding]:
    for start, end, country, value in private_ids.find(text, _regions(text)):
        yield Finding("national_id", start, end, value, country)


_LOOKERS: dict[str, Callable[[str], Iterator[Finding]]] = {
    "email": _emails,
    "iban": _ibans,
    "national_id": _national_ids,
    "card": _cards,
    "ip": _addresses,
    "phone": _phone_numbers,
}
