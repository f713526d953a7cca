"""Maps error responses to the classes of :mod:`curate.errors`, with the server's own message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

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
from curate.models.endpoint.rate_limit import retry_after
from curate.models.endpoint.wire import ErrorReport, Wire
from curate.models.generation.structured_output import read_json

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
# Some servers have no code for it and report it in the message only.
_TOO_LONG = regex.compile(
    r"maximum context length|context (?:length|window|size)|max_model_len|longer than the maximum model length"
    r"|(?:prompt|input|request) is too (?:long|large)|too many (?:input )?tokens"
    r"|exceeds? (?:the (?:available )?)?context"
    r"|token count .{0,40}exceeds the maximum",
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
_MAX_MESSAGE = 500
_MAX_EXCERPT = 80


def classify_response(
    status: int, headers: Mapping[str, str], body: bytes, place: str, redact: Redact, wire: Wire
) -> ModelError:
    """The error of a response with an HTTP status other than 200.

    Args:
        place: the address, without credentials.
        redact: removes credentials from the server's message.
    """
    return _error(status, headers, _report(body, headers, redact, wire), place, redact, wire)


def classify_error_body(
    problem: Any, headers: Mapping[str, str], place: str, redact: Redact, wire: Wire, *, begun: bool
) -> ModelError:
    """The error inside a response with status 200.

    Args:
        problem: a mapping with a message and a code, or a text.
        begun: whether the response also has a part of an answer, so that the request was not at fault.
    """
    report = wire.report_error(problem, headers)
    code = report.code
    status = report.status or _status_of(code)
    if code in _FILTERED or code in _CONTEXT or (status is not None and not (begun and status < 500)):
        return _error(status or 400, headers, report, place, redact, wire, shown=200)
    text = _describe(redact, f"an error from {place}", report.message, code)
    if not begun and _TOO_LONG.search(report.message):
        return ContextWindowError(f"the context is too long: {text}")
    # Whether a retry would help is unknown: it is left to the next build.
    return ServerError(text, load=False, again=begun)


def not_json(headers: Mapping[str, str], body: bytes, place: str, redact: Redact, problem: str) -> ServerError:
    """The error for a response with status 200 that is not JSON."""
    text = body[:4_000].decode(errors="replace").strip()
    excerpt = redact(" ".join(text.split()))[:_MAX_EXCERPT]
    kind = headers.get("content-type", "").lower()
    if "text/event-stream" in kind or regex.match(r"(?:data|event|id|retry): ?", text):
        return ServerError(
            f"{place} sent an event stream, which was not requested (a proxy that sets 'stream'?): it begins"
            f" {excerpt!r}",
            load=False,
            again=False,
        )
    if "text/html" in kind or regex.match(r"<(?:!doctype\s+html|html)\b", text, regex.IGNORECASE):
        return ServerError(
            f"{place} sent an HTML page in place of an answer (a login page, a proxy?): it begins {excerpt!r}",
            load=False,
        )
    return ServerError(f"a garbled answer from {place}: {problem}; it begins {excerpt!r}", load=False)


def display_url(url: str) -> str:
    """An address without user, password and query, for messages."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _error(
    status: int,
    headers: Mapping[str, str],
    report: ErrorReport,
    place: str,
    redact: Redact,
    wire: Wire,
    shown: int = 0,
) -> ModelError:
    error = _classify(report.status or status, headers, report, place, redact, wire, shown or status)
    error.status = report.status or status
    return error


def _classify(
    status: int, headers: Mapping[str, str], report: ErrorReport, place: str, redact: Redact, wire: Wire, shown: int
) -> ModelError:
    """
    Args:
        shown: the HTTP status that was sent.
    """
    message, code = report.message, report.code
    what = f"HTTP {shown} from {place}" if shown != 200 else f"an error from {place} (HTTP 200, code {status})"
    text = _describe(redact, what, message, "")
    lowered = message.lower()
    if report.kind is not None:
        return report.kind(f"{report.remedy}: {text}" if report.remedy else text)
    if status == 402 or code in _QUOTA or (status in (403, 429) and any(word in message for word in _QUOTA)):
        return QuotaExceededError(f"the quota is used up: {text}")
    if code in _FILTERED or (status == 403 and "moderation" in lowered):
        return ContentFilterError(text)
    if code in _CONTEXT or (status in (400, 413, 422) and _TOO_LONG.search(message)):
        return ContextWindowError(f"the context is too long: {text}")
    if status in (401, 403, 407):
        return AuthenticationError(f"the server refuses the key ('api_key'): {text}")
    if status == 404:
        return AddressError(f"the server has no such model or path ('model', 'url'): {text}")
    if status in (301, 302, 303, 307, 308):
        where = redact(display_url(headers.get("location", "?")))
        return AddressError(f"the server is elsewhere ({where}); change 'url': {text}")
    if status == 405:
        return AddressError(f"this is no address of an {wire.protocol} server ('url'): {text}")
    if status not in _TRANSIENT:
        return BadRequestError(text)
    wait = retry_after(headers.get("retry-after"))
    if (short := headers.get("retry-after-ms", "")).isdecimal():
        wait = int(short) / 1000
    wait = report.retry_after if wait is None else wait
    if status == 429:
        return RateLimitError(text, retry_after=wait, counts=False)
    kind = ServerTimeoutError if status in _TIMEOUTS else ServerUnavailableError if status >= 500 else ServerError
    return kind(text, retry_after=wait, load=status not in (409, 425), counts=wait is None)


def _report(body: bytes, headers: Mapping[str, str], redact: Redact, wire: Wire) -> ErrorReport:
    """What the body of an error says."""
    try:
        return wire.report_error(read_json(body), headers)
    except ValueError:
        text = " ".join(body[:4_000].decode(errors="replace").split())
        if text and ("text/html" in headers.get("content-type", "").lower() or text[:1] == "<"):
            # A part of a secret at the cut would not be known any more.
            return ErrorReport(f"an HTML page, which begins {redact(text)[:_MAX_EXCERPT]!r}")
        return ErrorReport(text)


def _status_of(code: str) -> int | None:
    """The HTTP status that a code stands for; None for an unknown one."""
    if code.isascii() and code.isdecimal() and len(code) == 3:
        return int(code) if 400 <= int(code) < 600 else None
    if regex.fullmatch(r"4\d{4}", code):  # FastChat's own numbers for what is wrong with a request
        return _FASTCHAT.get(code, 400)
    return 402 if code in _QUOTA else _STATUS.get(code.lower())


def _describe(redact: Redact, what: str, message: str, code: str) -> str:
    text = redact(" ".join(message.split()))[:_MAX_MESSAGE]
    return what + (f" (code {redact(code)[:60]})" if code else "") + (f": {text}" if text else "")
