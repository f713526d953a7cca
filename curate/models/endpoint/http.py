"""The HTTP client: one event loop per process, endpoints, and single attempts.

An attempt ends in a raw response or an error of :mod:`curate.errors`: a :class:`ServerError` for what may pass (no
connection, cut connection, timeout, 408/409/425/429/5xx, malformed bodies), another :class:`RequestError` for a refused
request, any other :class:`ModelError` for what concerns all requests (key, quota, unknown model). All HTTP of the
process runs on one event loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import orjson
import regex

from curate.errors import (
    AnswerTooLargeError,
    ConnectError,
    ModelError,
    ServerError,
    ServerTimeoutError,
)
from curate.models.endpoint.errors import classify_error_body, classify_response, not_json
from curate.models.endpoint.errors import display_url as display_url
from curate.models.endpoint.rate_limit import AdaptiveConcurrencyLimiter, backoff
from curate.models.endpoint.wire import MalformedAnswer, RequestBody, Wire
from curate.models.generation.structured_output import read_json
from curate.redact import Redactor, secrets_of_header, secrets_of_url

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
LARGEST_ANSWER = 256 << 20
"""Maximum size of a body in bytes, whatever was requested."""
_LARGEST = 1 << 30
"""Maximum size in bytes of what is said about a batch, with all its answers where they are part of that."""
_PART = 64 << 10
_VERSIONED = regex.compile(r"/(v\d+\w*|openai)(/|$)")
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
_LOOPBACK = regex.compile(r"^(localhost|127(\.\d+){3}|::1|0\.0\.0\.0)$")


# ---------------------------------------------------------------------------------------------------------- the loop
class _Loop:
    """The event loop of this process, in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = 0
        self._thread: threading.Thread | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._owner != os.getpid():  # threads do not survive a fork
                self._loop, self._owner = asyncio.new_event_loop(), os.getpid()
                LIMITERS.clear()
                self._thread = threading.Thread(target=self._loop.run_forever, name="curate-http", daemon=True)
                self._thread.start()
            return self._loop

    def check(self) -> None:
        """Raises ModelError if the thread is gone, so that callers do not wait for ever."""
        if self._thread is None or not self._thread.is_alive():
            raise ModelError("the thread that sends requests is gone; this process is about to end")

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self.get())


LIMITERS: dict[str, AdaptiveConcurrencyLimiter] = {}
"""Base address → the limiter of that endpoint; accessed on the loop only."""
LOOP = _Loop()


# ------------------------------------------------------------------------------------------------------ the endpoint
@dataclass(frozen=True)
class Endpoint:
    """A server's address, headers and limits."""

    base: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    concurrency: int = 64
    start_concurrency: int = 8
    timeout: float = 300.0
    """Seconds for one attempt, from the first byte sent to the last byte received."""
    retries: int = 6
    deadline: float = 1800.0
    """Seconds for all attempts of one request, including pauses."""
    first_pause: float = 0.5
    alive: Callable[[], bool] | None = None
    """Tells whether the server process is alive, where that is known without a request."""

    @property
    def root(self) -> str:
        """The address without ``/v1``, for ``/tokenize``."""
        address, mark, query = self.base.partition("?")
        return regex.sub(r"/v\d+$", "", address) + mark + query

    @cached_property
    def redact(self) -> Redactor:
        """Removes the credentials of headers and address from texts."""
        headers = (secret for name, value in self.headers.items() for secret in secrets_of_header(value, name))
        return Redactor([*headers, *secrets_of_url(self.base)])


def base_address(url: str, version: str = "v1", paths: str = r"/(chat/)?completions/?$") -> str:
    """The address below which a protocol's paths are, from what a user gives: with or without its version, or with a
    whole path.

    Args:
        version: of the protocol, as in paths.
        paths: a regular expression for the end of a whole path.

    Raises:
        ModelError: it is not an HTTP address.
    """
    parts = urlsplit(url.strip())
    try:
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound:
        raise ModelError(f"'{display_url(url)}' is not the address of a server; it looks like http://localhost:8000/v1")
    path = regex.sub(paths, "", parts.path).rstrip("/")
    if not _VERSIONED.search(path):
        path += f"/{version}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def limiter_of(endpoint: Endpoint) -> AdaptiveConcurrencyLimiter:
    """The limiter that all users of this endpoint share; called on the loop only."""
    limiter = LIMITERS.get(endpoint.base)
    if limiter is None:
        limiter = LIMITERS[endpoint.base] = AdaptiveConcurrencyLimiter(endpoint.start_concurrency, endpoint.concurrency)
    limiter.raise_limit(endpoint.concurrency)
    return limiter


def open_client(endpoint: Endpoint) -> httpx2.AsyncClient:
    """An HTTP client for one endpoint, without timeouts of its own.

    Raises:
        ModelError: the environment names an unusable proxy.
    """
    import httpx2

    parts = urlsplit(endpoint.base)
    here = bool(_LOOPBACK.match(parts.hostname or ""))
    try:
        return httpx2.AsyncClient(
            headers={"Content-Type": "application/json", "Accept": "application/json", **endpoint.headers},
            timeout=httpx2.Timeout(None, connect=min(15.0, endpoint.timeout)),
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=endpoint.concurrency, keepalive_expiry=4.0
            ),
            trust_env=not here,  # a proxy for the world is none for this machine
            verify=not (
                here and parts.scheme == "http"
            ),  # reading certificates that nobody shows takes a tenth of a second
            follow_redirects=False,
        )
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        named = [(name, value) for name in _PROXIES if (value := os.environ.get(name) or os.environ.get(name.lower()))]
        if not named:
            raise
        host = parts.hostname or "the server's host"
        shown = ", ".join(f"{name}={display_url(value)}" for name, value in named)
        redact = Redactor(secret for _, value in named for secret in secrets_of_url(value))
        needed = (
            "a SOCKS proxy needs the package socksio: pip install 'httpx2[socks]'"
            if isinstance(error, ImportError)
            else redact(_named(error))
        )
        raise ModelError(
            f"the proxy that the environment names cannot be used ({shown}): {needed}; or leave it out for this server"
            f" with NO_PROXY={host}"
        ) from None


# -------------------------------------------------------------------------------------------------------- an attempt
class EndpointClient:
    """The HTTP client of one endpoint, with its limiter; used on the loop only."""

    def __init__(self, endpoint: Endpoint, wire: Wire) -> None:
        self.endpoint = endpoint
        self.wire = wire
        self.limiter = limiter_of(endpoint)
        self._client = open_client(endpoint)

    async def close(self) -> None:
        await self._client.aclose()

    async def attempt(self, request: RequestBody) -> tuple[Any, Any]:
        """Sends a request once; returns the raw response (JSON) and its cacheable form (the same, or its bytes).

        Raises:
            RequestError: this request failed.
            ModelError: all requests will fail, as :func:`classify_response` says.
        """
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                return await self.wire.send(request, self.post)
        except TimeoutError:
            raise ServerTimeoutError(f"no answer within {self.endpoint.timeout:g} s") from None

    async def post(self, path: str, data: bytes, most: int, kind: str = "", *, rooted: bool = False) -> tuple[Any, Any]:
        """Sends a body and returns the raw response (JSON) and its cacheable form.

        Args:
            most: maximum size of the response in bytes.
            kind: which of the protocol's requests it is; the response is validated as that.
            rooted: whether the path is below the address without the version of the protocol.
        """
        async with self._open("POST", path, data, rooted=rooted) as (response, place):
            body = await _read(response, min(most, LARGEST_ANSWER), place)
        return self.accept(response.status_code, response.headers, body, place, kind)

    async def call(self, method: str, path: str, data: bytes | None = None, **headers: str) -> Any:
        """The JSON value that a request returns which asks the model nothing: about files, about batches.

        Raises:
            ModelError: as :meth:`attempt`.
        """
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                async with self._open(method, path, data, headers=headers) as (response, place):
                    body = await _read(response, _LARGEST, place)
        except TimeoutError:
            raise ServerTimeoutError(f"no answer within {self.endpoint.timeout:g} s") from None
        return self._parse(response.status_code, response.headers, body, place)[0]

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        """The lines of a file on the server, without empty ones."""
        # A large file may take longer than one attempt: the time is for each part.
        async with self._open("GET", path, headers={"Accept": "*/*"}, part=self.endpoint.timeout) as (response, place):
            if response.status_code != 200:
                body = await _read(response, LARGEST_ANSWER, place)
                self._parse(response.status_code, response.headers, body, place)
            rest = bytearray()
            async for part in response.aiter_bytes(_PART):
                *whole, last = part.split(b"\n")
                for piece in whole:
                    if line := bytes(rest + piece).strip():
                        yield line
                    rest.clear()
                rest += last
                if len(rest) > LARGEST_ANSWER:
                    raise AnswerTooLargeError(f"a line of more than {LARGEST_ANSWER >> 20} MiB from {place}")
            if line := bytes(rest).strip():
                yield line

    def accept(self, status: int, headers: Mapping[str, str], body: bytes, place: str, kind: str) -> tuple[Any, Any]:
        """The raw response (JSON) and its cacheable form out of a status and a body; see :meth:`post`.

        Raises:
            ModelError: it is an error.
        """
        redact = self.endpoint.redact
        raw, kept = self._parse(status, headers, body, place)
        if (problem := self.wire.embedded_error(raw)) is not None:
            # Some gateways send status 200 before the model has answered.
            raise classify_error_body(problem, headers, place, redact, self.wire, begun=self.wire.begun(raw))
        if kind:
            try:
                self.wire.check_shape(kind, raw)
            except MalformedAnswer as error:
                raise ServerError(f"{redact(str(error))} ({place})", load=False) from None
        return raw, kept

    def _parse(self, status: int, headers: Mapping[str, str], body: bytes, place: str) -> tuple[Any, Any]:
        redact = self.endpoint.redact
        body = redact.body(body)
        if status != 200:
            raise classify_response(status, headers, body, place, redact, self.wire)
        kept: Any = orjson.Fragment(body)
        try:
            raw = orjson.loads(body)
        except ValueError:
            try:  # lone surrogates, which orjson refuses
                raw = kept = read_json(body)
            except ValueError as error:
                raise not_json(headers, body, place, redact, str(error)) from None
        if redact and b"\\u" in body and (clean := redact.escaped(raw)) is not raw:
            raw = kept = clean
        return raw, kept

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        *,
        rooted: bool = False,
        headers: Mapping[str, str] | None = None,
        part: float | None = None,
    ) -> AsyncIterator[tuple[httpx2.Response, str]]:
        """A response whose body is not read yet, and the address without credentials, for messages.

        Args:
            part: seconds to wait for each part of it.
        """
        import httpx2

        base, mark, query = (self.endpoint.root if rooted else self.endpoint.base).partition("?")
        address = base + path + (f"{'&' if '?' in path else mark}{query}" if mark else "")
        redact, place = self.endpoint.redact, display_url(address)
        try:
            limit = httpx2.USE_CLIENT_DEFAULT if part is None else httpx2.Timeout(part)
            async with self._client.stream(method, address, content=data, headers=headers, timeout=limit) as response:
                yield response, place
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            raise ConnectError(f"no connection to {place}: {redact(_named(error))}") from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise ServerError(f"the connection to {place} was cut: {redact(_named(error))}", load=False) from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
            raise ModelError(f"{place} cannot be asked: {redact(str(error))}") from None


async def _read(response: httpx2.Response, most: int, place: str) -> bytes:
    """The body; one that is longer than possible is abandoned before it fills the memory."""
    length = response.headers.get("content-length", "")
    parts, size = [], int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0
    if size <= most:
        size = 0
        async for part in response.aiter_bytes(_PART):
            parts.append(part)
            size += len(part)
            if size > most:
                break
    if size > most:
        raise AnswerTooLargeError(
            f"an answer of more than {most / (1 << 20):.3g} MiB from {place}: more than the requested tokens can have"
        )
    return b"".join(parts)


def _named(error: Exception) -> str:
    return str(error) or type(error).__name__


def pause_before(error: ServerError, tries: int, endpoint: Endpoint) -> float:
    """Seconds to wait before the next attempt."""
    own = backoff(tries, endpoint.first_pause)
    return own if error.retry_after is None else error.retry_after + own * 0.2
