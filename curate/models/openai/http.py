"""One question to one endpoint ends in a raw answer, in a failure of that question alone, or in the end of the line;
never in waiting.

Trouble that passes (no connection, a cut one, no answer in time, 408/409/425/429/5xx, garbled bodies) is tried again
after a jittered pause; what concerns every question alike (the key, the quota, a model that is not there) stops the
line; any other refusal is this question's own failure. All HTTP of the process runs on one event loop in a thread of
its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
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
from curate.models.generation.structured_output import read_json
from curate.models.openai.errors import judge, judge_told, not_json
from curate.models.openai.errors import public as public
from curate.models.openai.rate_limit import Pace, backoff
from curate.models.openai.wire import MalformedAnswer, Question, check_shape, error_in
from curate.redact import Redactor, secrets_of_header, secrets_of_url

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
LARGEST_ANSWER = 256 << 20
"""Bytes of a body that are read at most, whatever was asked for."""
_PART = 64 << 10
_VERSIONED = regex.compile(r"/(v\d+\w*|openai)(/|$)")
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
_LOOPBACK = regex.compile(r"^(localhost|127(\.\d+){3}|::1|0\.0\.0\.0)$")


# ---------------------------------------------------------------------------------------------------------- the loop
class _Loop:
    """The event loop of this process, in a thread that lives as long as the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner = 0
        self._thread: threading.Thread | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._owner != os.getpid():  # threads do not survive a fork
                self._loop, self._owner = asyncio.new_event_loop(), os.getpid()
                PACES.clear()
                self._thread = threading.Thread(target=self._loop.run_forever, name="curate-http", daemon=True)
                self._thread.start()
            return self._loop

    def check(self) -> None:
        """Raises ModelError when the thread is gone, so that nobody waits for what will never come."""
        if self._thread is None or not self._thread.is_alive():
            raise ModelError("the thread that talks to servers is gone; this process is about to end")

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self.get())


PACES: dict[str, Pace] = {}
"""The pace of each endpoint, by its base address; touched on the loop only."""
LOOP = _Loop()


# ------------------------------------------------------------------------------------------------------ the endpoint
@dataclass(frozen=True)
class Endpoint:
    """Where to ask, and with how much deadline."""

    base: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    concurrency: int = 64
    start_concurrency: int = 8
    timeout: float = 300.0
    """Seconds for one attempt, from the first byte sent to the last byte received."""
    retries: int = 6
    deadline: float = 1800.0
    """Seconds for all attempts at one question, pauses included."""
    first_pause: float = 0.5
    alive: Callable[[], bool] | None = None
    """Whether the server is still there, where that can be told without asking it."""

    @property
    def root(self) -> str:
        """The address without its ``/v1``, where ``/tokenize`` is."""
        address, mark, query = self.base.partition("?")
        return regex.sub(r"/v\d+$", "", address) + mark + query

    @cached_property
    def redact(self) -> Redactor:
        """Strikes out whatever was given as a credential: in headers, in the address."""
        headers = (secret for name, value in self.headers.items() for secret in secrets_of_header(value, name))
        return Redactor([*headers, *secrets_of_url(self.base)])


def base_address(url: str) -> str:
    """The address below which ``/chat/completions`` is, from what a user gives: with or without ``/v1``, or the whole
    path.

    Raises:
        ModelError: it is no HTTP address.
    """
    parts = urlsplit(url.strip())
    try:
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound:
        raise ModelError(f"'{public(url)}' is no address of a server; it looks like http://localhost:8000/v1")
    path = regex.sub(r"/(chat/)?completions/?$", "", parts.path).rstrip("/")
    if not _VERSIONED.search(path):
        path += "/v1"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def pace_of(endpoint: Endpoint) -> Pace:
    """The pace that everybody who asks there shares; to be called on the loop."""
    pace = PACES.get(endpoint.base)
    if pace is None:
        pace = PACES[endpoint.base] = Pace(endpoint.start_concurrency, endpoint.concurrency)
    pace.allow(endpoint.concurrency)
    return pace


def open_client(endpoint: Endpoint) -> httpx2.AsyncClient:
    """A client for one endpoint; deadlines are ours.

    Raises:
        ModelError: the environment names a proxy that cannot be used.
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
        shown = ", ".join(f"{name}={public(value)}" for name, value in named)
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
class Line:
    """The way to one endpoint: a client, the pace, and single attempts. Lives on the loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.pace = pace_of(endpoint)
        self._client = open_client(endpoint)

    async def close(self) -> None:
        await self._client.aclose()

    async def attempt(self, question: Question) -> tuple[Any, Any]:
        """The raw answer (JSON), and what to keep of it (the same, or its bytes).

        Raises:
            RequestError: there is none to this question, or not this time.
            ModelError: no question will be answered, as :func:`judge` says.
        """
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                if question.kind == "score":
                    found = await self._score(question.body, question.most_bytes)
                    return found, found
                path = "/chat/completions" if question.kind == "chat" else "/completions"
                return await self._post(self._address(path), question.data, question.most_bytes, question.kind)
        except TimeoutError:
            raise ServerTimeoutError(f"no answer within {self.endpoint.timeout:g} s") from None

    def _address(self, path: str, base: str | None = None) -> str:
        address, mark, query = (base or self.endpoint.base).partition("?")
        return address + path + mark + query

    async def _post(self, address: str, data: bytes, most: int, kind: str = "") -> tuple[Any, Any]:
        import httpx2

        redact, place = self.endpoint.redact, public(address)
        try:
            async with self._client.stream("POST", address, content=data) as response:
                body = redact.body(await _read(response, most, place))
                status, headers = response.status_code, response.headers
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            raise ConnectError(f"no connection to {place}: {redact(_named(error))}") from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise ServerError(f"the connection to {place} was cut: {redact(_named(error))}", load=False) from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
            raise ModelError(f"{place} cannot be asked: {redact(str(error))}") from None
        if status != 200:
            raise judge(status, headers, body, place, redact)
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
        if (problem := error_in(raw)) is not None:
            # Some gateways say 200 before they know what becomes of it.
            raise judge_told(problem, headers, place, redact, begun=bool(raw.get("choices")))
        if kind:
            try:
                check_shape(kind, raw)
            except MalformedAnswer as error:
                raise ServerError(f"{redact(str(error))} ({place})", load=False) from None
        return raw, kept

    async def _score(self, body: Mapping[str, Any], most: int) -> dict[str, Any]:
        """The prompt repeated with log-probabilities; for chats the server's own tokens and template are asked for
        first.
        """
        extra = dict(body["extra"])
        template = {name: extra.pop(name) for name in ("chat_template", "chat_template_kwargs") if name in extra}
        start: int | None = None
        if "messages" in body:
            prompt, start = await self._tokens(body, template, most)
        else:
            prompt = body["prompt"]
        asked = {"model": body["model"], "prompt": prompt, "max_tokens": 1, "temperature": 0, "echo": True}
        asked |= {"logprobs": body["logprobs"], **extra}
        scored, _ = await self._post(self._address("/completions"), orjson.dumps(asked), most, "completions")
        return {"scored": scored, "start": start}

    async def _tokens(self, body: Mapping[str, Any], template: Mapping[str, Any], most: int) -> tuple[list[int], int]:
        """The tokens of a chat that ends inside its last turn, and how many of them come before that turn's text.

        Found by asking for the same chat with another last turn: as far as both agree, the text has not begun.
        """
        *before, last = body["messages"]
        other = {**last, "content": "A" if last["content"].startswith("0") else "0"}
        lists = []
        for turns in ([*before, last], [*before, other]):
            asked = {"model": body["model"], "messages": turns, "add_generation_prompt": False}
            asked |= {"continue_final_message": True, **template}
            address = self._address("/tokenize", self.endpoint.root)
            found, _ = await self._post(address, orjson.dumps(asked), most)
            tokens = found.get("tokens") if isinstance(found, dict) else None
            if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
                raise ModelError(f"{public(address)} tells no tokens of a chat: prompt_logprobs need vLLM's /tokenize")
            lists.append(tokens)
        whole, probe = lists
        return whole, next(
            (place for place, pair in enumerate(zip(whole, probe, strict=False)) if pair[0] != pair[1]),
            min(len(whole), len(probe)),
        )


async def _read(response: httpx2.Response, most: int, place: str) -> bytes:
    """The body; one that is longer than it can be is left, and its connection closed, before it fills the memory."""
    most = min(most, LARGEST_ANSWER)
    told = response.headers.get("content-length", "")
    parts, size = [], int(told) if told.isascii() and told.isdecimal() and len(told) < 20 else 0
    if size <= most:
        size = 0
        async for part in response.aiter_bytes(_PART):
            parts.append(part)
            size += len(part)
            if size > most:
                break
    if size > most:
        raise AnswerTooLargeError(
            f"an answer of more than {most / (1 << 20):.3g} MiB from {place}: more than the tokens that were asked for"
            " can have"
        )
    return b"".join(parts)


def _named(error: Exception) -> str:
    return str(error) or type(error).__name__


def pause_before(trouble: ServerError, tries: int, endpoint: Endpoint) -> float:
    """Seconds to wait before trying again."""
    own = backoff(tries, endpoint.first_pause)
    return own if trouble.retry_after is None else trouble.retry_after + own * 0.2
