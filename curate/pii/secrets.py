"""Finds secrets: vendors' keys by prefix and length (and checksum, if any), private keys, tokens, passwords in URLs.

Placeholders (``YOUR_API_KEY``, ``xxxx``, ``EXAMPLE``) are ignored, as are strings with too little Shannon entropy for a
random key.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KINDS = ("api_key", "private_key", "jwt", "password")


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret with its position and vendor."""

    kind: str
    start: int
    end: int
    value: str
    detail: str


# Any secret has one of these; looked for in whole columns first (Rust syntax).
GATE = (
    r"(?:AKIA|ASIA|AIza|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_|glpat-|xox[abeoprs]-|hooks\.slack\.com|[sr]k_live_|sk-|hf_"
    r"|SG\.|npm_|pypi-|dop_v1_|shpat_|shpss_|dapi|GOCSPX-|AccountKey=|:AA|ya29\.|"
    r"key-|SK[0-9a-f]{8}|eyJ|-----BEGIN|dckr_pat_|gsk_|r8_|lin_api_|nvapi-|xai-|AGE-SECRET|figd_|PMAK-|sq0|EAAA"
    r"|rubygems_|whsec_|tfp_|pul-|atlasv1|ATATT)|://[^\s/@:]+:[^\s/@]+@"
    r"|(?i:api[_-]?key|secret|token|passw|pwd)[A-Za-z_\x22']{0,12}\s{0,3}[:=]"
)  # fmt: skip
_EDGE = r"(?<![A-Za-z0-9_-])"
_STOP = r"(?![A-Za-z0-9_-])"


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    return (
        -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values()) if value else 0.0
    )


_NONE = re.compile(
    r"example|your|placeholder|insert|replace|dummy|sample|changeme|redacted|<|>|\*{3}|\.{3}|x{5}|0{8}|123456|abcdef"
    r"|fake|xxxx",
    re.I,
)


def _random(least: float) -> Callable[[str], bool]:
    return lambda value: not _NONE.search(value) and entropy(value) >= least


_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def crc_is_right(value: str) -> bool:
    """Whether the last six characters are the base-62 CRC-32 of those between prefix and checksum (GitHub, npm)."""
    body = value.partition("_")[2]
    number, rest = zlib.crc32(body[:-6].encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        rest = _BASE62[digit] + rest
    return rest == body[-6:]


def _google(value: str) -> bool:
    return not _NONE.search(value) and entropy(value) >= 3.5


_VENDORS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = tuple(
    (vendor, re.compile(_EDGE + shape + _STOP), right)
    for vendor, shape, right in (
        ("aws", r"(?:AKIA|ASIA)[A-Z2-7]{16}", _random(3.0)), ("github", r"gh[pousr]_[A-Za-z0-9]{36}", crc_is_right),
        ("github", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}", _random(4.0)),
        ("npm", r"npm_[A-Za-z0-9]{36}", crc_is_right), ("gitlab", r"glpat-[A-Za-z0-9_-]{20,}", _random(3.2)), ("slack",
        r"xox[abeoprs]-[0-9A-Za-z-]{20,}", _random(3.0)),
        ("stripe", r"[sr]k_live_[0-9A-Za-z]{24,}", _random(3.5)), ("stripe", r"whsec_[A-Za-z0-9+/]{32,}", _random(3.5)),
        ("google", r"AIza[0-9A-Za-z_-]{35}", _google), ("google", r"GOCSPX-[A-Za-z0-9_-]{28}", _google),
        ("google", r"ya29\.[A-Za-z0-9_-]{40,}", _google), ("anthropic", r"sk-ant-[a-z0-9]{2,12}-[A-Za-z0-9_-]{60,}",
        _random(4.0)), ("openai", r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}",
        _random(4.0)),
        ("openai", r"sk-(?:proj-|svcacct-|admin-)[A-Za-z0-9_-]{40,}", _random(4.0)), ("openrouter",
        r"sk-or-v1-[0-9a-f]{64}", _random(3.2)), ("hugging face", r"hf_[A-Za-z]{34}", _random(3.8)),
        ("sendgrid", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", _random(4.0)), ("twilio", r"SK[0-9a-f]{32}",
        _random(3.0)), ("mailgun", r"key-[0-9a-f]{32}", _random(3.0)), ("telegram", r"\d{8,10}:AA[A-Za-z0-9_-]{33}",
        _random(3.8)),
        ("pypi", r"pypi-AgE[A-Za-z0-9_-]{50,}", _random(3.5)), ("digitalocean", r"do[opr]_v1_[0-9a-f]{64}",
        _random(3.0)), ("shopify", r"shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32}", _random(3.0)), ("databricks",
        r"dapi[0-9a-f]{32}(?:-\d)?", _random(3.0)),
        ("docker", r"dckr_pat_[A-Za-z0-9_-]{27}", _random(3.5)), ("groq", r"gsk_[A-Za-z0-9]{52}", _random(4.0)),
        ("replicate", r"r8_[A-Za-z0-9]{37}", _random(4.0)), ("nvidia", r"nvapi-[A-Za-z0-9_-]{60,}", _random(4.0)),
        ("xai", r"xai-[A-Za-z0-9]{80}", _random(4.0)), ("linear", r"lin_api_[A-Za-z0-9]{40}", _random(4.0)), ("figma",
        r"figd_[A-Za-z0-9_-]{40}", _random(3.8)), ("postman", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}", _random(3.0)),
        ("rubygems", r"rubygems_[0-9a-f]{48}", _random(3.0)), ("square",
        r"(?:sq0[a-z]{3}-[A-Za-z0-9_-]{22,43}|EAAA[A-Za-z0-9_-]{60})", _random(4.0)), ("atlassian",
        r"ATATT3[A-Za-z0-9_=-]{100,}", _random(4.0)),
        ("age", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}", _random(3.5)),
    )
)  # fmt: skip
_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_JWT = re.compile(_EDGE + r"(eyJ[A-Za-z0-9_-]{10,})\.(eyJ[A-Za-z0-9_-]{4,})\.([A-Za-z0-9_-]{16,})")
_URL = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://([^\s/@:'\x22<>]{1,64}):([^\s/@'\x22<>]{1,128})@[\w.-]+")
_WEBHOOK = re.compile(r"https://hooks\.slack\.com/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{24}")
_AZURE = re.compile(r"AccountKey=([A-Za-z0-9+/]{86}==)")
_ASSIGNED = re.compile(
    r"(?i:(?:api[_-]?key|secret(?:[_-]?(?:access)?[_-]?key)?|access[_-]?token|auth[_-]?token|client[_-]?secret|passw"
    r"(?:or)?d|pwd)[\x22']?)\s{0,3}[:=]\s{0,3}([\x22'`]?)([A-Za-z0-9+/=_.!@#$%^&*-]{12,128})\1(?![A-Za-z0-9])"
)
_EASY = frozenset(
    [
        "password",
        "passwd",
        "pass",
        "secret",
        "user",
        "pwd",
        "test",
        "admin",
        "root",
        "example",
        "changeme",
        "pw",
        "mypassword",
        "yourpassword",
        "hunter2",
        "postgres",
        "mysql",
        "guest",
        "token",
        "letmein",
    ]
)


def find(text: str) -> Iterator[Hit]:
    """The secrets of a text, the most certain first."""
    for begin in _BEGIN.finditer(text):
        end = _END.search(text, begin.end())
        inside = text[begin.end() : end.start() if end else begin.end() + 4000]
        if len(re.sub(r"[^A-Za-z0-9+/]", "", inside)) >= 64 and not re.search(r"\.\.\.|…|<[^>]*>", inside):
            stop = end.end() if end else begin.end()
            yield Hit("private_key", begin.start(), stop, re.sub(r"\s", "", text[begin.start() : stop]), "")
    for vendor, pattern, right in _VENDORS:
        for match in pattern.finditer(text):
            if right(match[0]):
                yield Hit("api_key", match.start(), match.end(), match[0], vendor)
    for match in _WEBHOOK.finditer(text):
        if not _NONE.search(match[0]):
            yield Hit("api_key", match.start(), match.end(), match[0], "slack")
    for match in _AZURE.finditer(text):
        yield Hit("api_key", match.start(1), match.end(1), match[1], "azure")
    for match in _JWT.finditer(text):
        if _is_jwt(match[1]):
            yield Hit("jwt", match.start(), match.end(), match[0], "")
    for match in _URL.finditer(text):
        word = match[2]
        if (
            word.lower() not in _EASY
            and not _NONE.search(word)
            and not re.fullmatch(r"[$%{\[(].*|\d{1,5}|[A-Z_]+", word)
        ):
            yield Hit("password", match.start(2), match.end(2), word, "url")
    for match in _ASSIGNED.finditer(text):
        word = match[2]
        mixed = bool(re.search(r"\d", word)) and bool(re.search(r"[A-Za-z]", word))
        if (
            mixed
            and entropy(word) >= 3.3
            and not _NONE.search(word)
            and not re.match(r"(?:os|process|config|settings|self|env|getenv|System)\b", word)
        ):
            yield Hit("password", match.start(2), match.end(2), word, "assignment")


def _is_jwt(head: str) -> bool:
    try:
        told = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(told, dict) and "alg" in told
