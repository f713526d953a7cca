"""What a server says in place of an answer becomes one of the errors in :mod:`curate.errors`, with the server's own
words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
import regex

from curate.errors import (
    AddressError,
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextWindowError,
    ModelError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    ServerTimeoutError,
    ServerUnavailableError,
)
from curate.models.generation.structured_output import read_json
from curate.models.openai.rate_limit import retry_after

Redact = Callable[[str], str]
_TIMEOUTS = frozenset({408, 504, 522, 524})
_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 529, 530})
_QUOTA = (
    "insufficient_quota",
    "billing_hard_limit_reached",
    "quota_exceeded",
    "insufficient_credits",
    "insufficient_balance",
)
_FILTERED = frozenset({"content_filter", "content_policy_violation", "moderation_blocked", "content_policy"})
_CONTEXT = frozenset({"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded", "40303"})
# Servers that know no code of its own for it say it in words only.
_TOO_LONG = regex.compile(
    r"maximum context length|context (?:length|window|size)|max_model_len|longer than the maximum model length"
    r"|(?:prompt|input|request) is too (?:long|large)|too many (?:input )?tokens|exceeds the (?:available )?context",
    regex.IGNORECASE,
)
_STATUS: Mapping[str, int] = {
    "invalid_api_key": 401,
    "incorrect_api_key": 401,
    "authentication_error": 401,
    "unauthorized": 401,
    "authenticationerror": 401,
    "permission_denied": 403,
    "permission_error": 403,
    "forbidden": 403,
    "permissiondeniederror": 403,
    "model_not_found": 404,
    "not_found": 404,
    "not_found_error": 404,
    "notfounderror": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limited": 429,
    "too_many_requests": 429,
    "ratelimiterror": 429,
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "bad_request": 400,
    "invalid_request": 400,
    "server_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "internalservererror": 500,
    "api_error": 500,
    "bad_gateway": 502,
    "upstream_error": 502,
    "overloaded_error": 503,
    "overloaded": 503,
    "service_unavailable": 503,
    "unavailable": 503,
    "timeout": 504,
    "timeout_error": 504,
    "gateway_timeout": 504,
}
_FASTCHAT: Mapping[str, int] = {
    "40101": 401,
    "40102": 401,
    "40103": 403,
    "40301": 404,
    "42901": 429,
    "42902": 402,
    "42903": 503,
}
_SHOWN = 500
_FIRST = 80


def judge(status: int, headers: Mapping[str, str], body: bytes, place: str, redact: Redact) -> ModelError:
    """What an HTTP status other than 200 means.

    Args:
        place: the address, as it may be shown.
        redact: strikes credentials out of what the server says.
    """
    message, code = _told(body, headers)
    return _judged(status, headers, message, code, place, redact)


def judge_told(told: Any, headers: Mapping[str, str], place: str, redact: Redact, *, begun: bool) -> ModelError:
    """What an error means that came with status 200.

    Args:
        told: the error: a mapping with a message and a code, or a text.
        begun: whether there is a part of an answer beside it, so that it was no fault of the question.
    """
    message, code = _words(told)
    status = _status_of(code)
    if code in _FILTERED or code in _CONTEXT or (status is not None and not (begun and status < 500)):
        return _judged(status or 400, headers, message, code, place, redact, shown=200)
    shown = _shown(redact, f"an error from {place}", message, code)
    if not begun and _TOO_LONG.search(message):
        return ContextWindowError(f"the context is too long: {shown}")
    # Nothing says whether asking once more would help: the next build does.
    return ServerError(shown, load=False, again=begun)


def not_json(headers: Mapping[str, str], body: bytes, place: str, redact: Redact, problem: str) -> ServerError:
    """What a body with status 200 means that is no JSON."""
    text = body[:4_000].decode(errors="replace").strip()
    first = redact(" ".join(text.split()))[:_FIRST]
    kind = headers.get("content-type", "").lower()
    if "text/event-stream" in kind or regex.match(r"(?:data|event|id|retry): ?", text):
        return ServerError(
            f"{place} sent a stream of events, which was not asked for (a proxy that sets 'stream'?): it begins"
            f" {first!r}",
            load=False,
            again=False,
        )
    if "text/html" in kind or regex.match(r"<(?:!doctype\s+html|html)\b", text, regex.IGNORECASE):
        return ServerError(
            f"{place} sent an HTML page in place of an answer (a login page, a proxy?): it begins {first!r}", load=False
        )
    return ServerError(f"a garbled answer from {place}: {problem}; it begins {first!r}", load=False)


def public(url: str) -> str:
    """An address as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _judged(
    status: int, headers: Mapping[str, str], message: str, code: str, place: str, redact: Redact, shown: int = 0
) -> ModelError:
    error = _classified(status, headers, message, code, place, redact, shown)
    error.status = status
    return error


def _classified(
    status: int, headers: Mapping[str, str], message: str, code: str, place: str, redact: Redact, shown: int
) -> ModelError:
    what = f"an error from {place} (HTTP 200, code {status})" if shown else f"HTTP {status} from {place}"
    said = _shown(redact, what, message, "")
    lowered = message.lower()
    if status == 402 or code in _QUOTA or (status in (403, 429) and any(word in message for word in _QUOTA)):
        return QuotaExceededError(f"the quota is used up: {said}")
    if code in _FILTERED or (status == 403 and "moderation" in lowered):
        return ContentFilterError(said)
    if code in _CONTEXT or (status in (400, 413, 422) and _TOO_LONG.search(message)):
        return ContextWindowError(f"the context is too long: {said}")
    if status in (401, 403, 407):
        return AuthenticationError(f"the server refuses the key ('api_key'): {said}")
    if status == 404:
        return AddressError(f"the server has no such model or path ('model', 'url'): {said}")
    if status in (301, 302, 303, 307, 308):
        where = redact(public(headers.get("location", "?")))
        return AddressError(f"the server is elsewhere ({where}); change 'url': {said}")
    if status == 405:
        return AddressError(f"this is no address of an OpenAI-compatible server ('url'): {said}")
    if status not in _TRANSIENT:
        return BadRequestError(said)
    wait = retry_after(headers.get("retry-after"))
    if (short := headers.get("retry-after-ms", "")).isdecimal():
        wait = int(short) / 1000
    if status == 429:
        return RateLimitError(said, retry_after=wait, counts=False)
    kind = ServerTimeoutError if status in _TIMEOUTS else ServerUnavailableError if status >= 500 else ServerError
    return kind(said, retry_after=wait, load=status not in (409, 425), counts=wait is None)


def _told(body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
    """The message and the code in an error's body."""
    try:
        return _words(read_json(body))
    except ValueError:
        text = " ".join(body[:4_000].decode(errors="replace").split())
        if text and ("text/html" in headers.get("content-type", "").lower() or text[:1] == "<"):
            return f"an HTML page, which begins {text[:_FIRST]!r}", ""
        return text, ""


def _words(found: Any) -> tuple[str, str]:
    error = found.get("error") or found if isinstance(found, dict) else found
    if not isinstance(error, dict):
        return str(error), ""
    message = error.get("message") or error.get("detail") or error.get("msg") or orjson.dumps(error).decode()
    code = error.get("code")
    # A number that is no HTTP status says less than the name beside it.
    if code in (None, "") or (isinstance(code, int) and not 100 <= code < 600 and isinstance(error.get("type"), str)):
        code = error.get("type") or code or ""
    return str(message), str(code).strip()


def _status_of(code: str) -> int | None:
    """The HTTP status that a code stands for; None for one that is not known."""
    if code.isascii() and code.isdecimal() and len(code) == 3:
        return int(code) if 400 <= int(code) < 600 else None
    if regex.fullmatch(r"4\d{4}", code):  # FastChat's own numbers for what is wrong with a request
        return _FASTCHAT.get(code, 400)
    return 402 if code in _QUOTA else _STATUS.get(code.lower())


def _shown(redact: Redact, what: str, message: str, code: str) -> str:
    said = redact(" ".join(message.split()))[:_SHOWN]
    return what + (f" (code {redact(code)[:60]})" if code else "") + (f": {said}" if said else "")
