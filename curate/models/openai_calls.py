"""One question to one endpoint ends in a raw answer, in a failure of that question alone, or in the end of the line; never in waiting.

Trouble that passes (no connection, a cut one, no answer in time, 408/409/425/429/5xx, garbled bodies) is tried again after a
jittered pause; what concerns every question alike (the key, the quota, a model that is not there) stops the line; any other
refusal is this question's own failure. All HTTP of the process runs on one event loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import orjson
import regex

from curate.errors import ModelError
from curate.models.openai_wire import MalformedAnswer, Question, check_shape
from curate.models.pacing import Pace, backoff, retry_after
from curate.models.secret import strike_out
from curate.models.structured import read_json

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
LARGEST_ANSWER = 256 << 20
"""Bytes of a body after which an answer counts as garbled."""
_TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 529, 530})
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "quota_exceeded", "insufficient_credits", "insufficient_balance")  # fmt: skip
_FILTERED = ("content_filter", "content_policy_violation", "moderation_blocked", "content_policy")
_VERSIONED = regex.compile(r"/(v\d+\w*|openai)(/|$)")
_LOOPBACK = regex.compile(r"^(localhost|127(\.\d+){3}|::1|0\.0\.0\.0)$")


# --------------------------------------------------------------------------------------------------------------- the loop
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


# ----------------------------------------------------------------------------------------------------------- the endpoint
@dataclass(frozen=True)
class Endpoint:
    """Where to ask, and with how much patience."""

    base: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    concurrency: int = 64
    start_concurrency: int = 8
    timeout: float = 300.0
    """Seconds for one attempt, from the first byte sent to the last byte received."""
    retries: int = 6
    patience: float = 1800.0
    """Seconds for all attempts at one question, pauses included."""
    first_pause: float = 0.5
    alive: Callable[[], bool] | None = None
    """Whether the server is still there, where that can be told without asking it."""

    @property
    def root(self) -> str:
        """The address without its ``/v1``, where ``/tokenize`` is."""
        return regex.sub(r"/v\d+$", "", self.base)

    def redact(self, text: str) -> str:
        """The text without anything that was given as a credential."""
        words = [word for value in self.headers.values() for word in value.split()]
        return strike_out(text, [word for word in words if len(word) >= 8])


def base_address(url: str) -> str:
    """The address below which ``/chat/completions`` is, from what a user gives: with or without ``/v1``, or the whole path.

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


def public(url: str) -> str:
    """An address as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def pace_of(endpoint: Endpoint) -> Pace:
    """The pace that everybody who asks there shares; to be called on the loop."""
    pace = PACES.get(endpoint.base)
    if pace is None:
        pace = PACES[endpoint.base] = Pace(endpoint.start_concurrency, endpoint.concurrency)
    pace.allow(endpoint.concurrency)
    return pace


def open_client(endpoint: Endpoint) -> httpx2.AsyncClient:
    """A client for one endpoint; deadlines are ours."""
    import httpx2

    parts = urlsplit(endpoint.base)
    here = bool(_LOOPBACK.match(parts.hostname or ""))
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


# -------------------------------------------------------------------------------------------------------------- the trouble
class Refused(Exception):
    """This question will never be answered; others may."""

    def __init__(self, message: str, *, filtered: bool = False) -> None:
        super().__init__(message)
        self.filtered = filtered
        """Whether it was its content that was refused."""


class Trouble(Exception):
    """It did not work this time."""

    def __init__(self, message: str, *, wait: float | None = None, load: bool = True, counts: bool = True, away: bool = False) -> None:  # fmt: skip
        super().__init__(message)
        self.wait = wait
        """Seconds the server asked to wait."""
        self.load = load
        """Whether it is a complaint about the load."""
        self.counts = counts
        """Whether it uses up one of the retries; being told to come later does not."""
        self.away = away
        """Whether nobody is there at all."""


def judge(status: int, headers: Mapping[str, str], body: bytes, place: str) -> Exception:
    """What an HTTP status other than 200 means."""
    message, code = _told(body)
    shown = f"HTTP {status} from {place}" + (f": {message}" if message else "")
    quota = status == 402 or code in _QUOTA or (status in (403, 429) and any(word in message for word in _QUOTA))
    if quota:
        return ModelError(f"the quota is used up: {shown}")
    if code in _FILTERED or (status == 403 and "moderation" in message.lower()):
        return Refused(shown, filtered=True)
    if status in (401, 403, 407):
        return ModelError(f"the server refuses the key ('api_key'): {shown}")
    if status == 404:
        return ModelError(f"the server has no such model or path ('model', 'url'): {shown}")
    if status in (301, 302, 303, 307, 308):
        return ModelError(f"the server is elsewhere ({public(headers.get('location', '?'))}); change 'url': {shown}")
    if status == 405:
        return ModelError(f"this is no address of an OpenAI-compatible server ('url'): {shown}")
    if status in _TRANSIENT:
        wait = retry_after(headers.get("retry-after"))
        if (short := headers.get("retry-after-ms", "")).isdecimal():
            wait = int(short) / 1000
        return Trouble(shown, wait=wait, load=status not in (409, 425), counts=status != 429 and wait is None)
    return Refused(shown)


def _told(body: bytes) -> tuple[str, str]:
    """The message and the code in an error's body."""
    try:
        found = read_json(body)
    except ValueError:
        return " ".join(body[:2000].decode(errors="replace").split())[:300], ""
    error = found.get("error", found) if isinstance(found, dict) else found
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error.get("msg") or orjson.dumps(error).decode()
        return str(message)[:500], str(error.get("code") or error.get("type") or "")
    return str(error)[:500], ""


# --------------------------------------------------------------------------------------------------------------- an attempt
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
            Trouble, Refused, ModelError: as :func:`judge` says.
        """
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                if question.kind == "score":
                    found = await self._score(question.body)
                    return found, found
                path = "/chat/completions" if question.kind == "chat" else "/completions"
                return await self._post(self._address(path), question.data, question.kind)
        except TimeoutError:
            raise Trouble(f"no answer within {self.endpoint.timeout:g} s") from None

    def _address(self, path: str, base: str | None = None) -> str:
        address, mark, query = (base or self.endpoint.base).partition("?")
        return address + path + mark + query

    async def _post(self, address: str, data: bytes, kind: str = "") -> tuple[Any, Any]:
        import httpx2

        try:
            async with self._client.stream("POST", address, content=data) as response:
                body = await _read(response)
                status, headers = response.status_code, response.headers
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise Trouble(f"no connection to {public(address)}: {_named(error)}", away=True) from None
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise Trouble(f"the connection to {public(address)} was cut: {_named(error)}", load=False) from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
            raise ModelError(f"{public(address)} cannot be asked: {error}") from error
        if status != 200:
            raise self._redacted(judge(status, headers, body, public(address)))
        kept: Any = orjson.Fragment(body)
        try:
            raw = orjson.loads(body)
        except ValueError:
            try:  # lone surrogates, which orjson refuses
                raw = kept = read_json(body)
            except ValueError as error:
                raise Trouble(f"a garbled answer from {public(address)}: {error}", load=False) from None
        if isinstance(raw, dict) and raw.get("error") and not raw.get("choices"):  # some gateways say 200 first
            code = raw["error"].get("code") if isinstance(raw["error"], dict) else None
            raise self._redacted(judge(code if isinstance(code, int) else 500, headers, body, public(address)))
        if kind:
            try:
                check_shape(kind, raw)
            except MalformedAnswer as error:
                raise Trouble(f"{error} ({public(address)})", load=False) from None
        return raw, kept

    def _redacted(self, error: Exception) -> Exception:
        error.args = (self.endpoint.redact(str(error)),)
        return error

    async def _score(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The prompt repeated with log-probabilities; for chats the server's own tokens and template are asked for first."""
        extra = dict(body["extra"])
        template = {name: extra.pop(name) for name in ("chat_template", "chat_template_kwargs") if name in extra}
        start: int | None = None
        if "messages" in body:
            prompt, start = await self._tokens(body, template)
        else:
            prompt = body["prompt"]
        asked = {"model": body["model"], "prompt": prompt, "max_tokens": 1, "temperature": 0, "echo": True}
        asked |= {"logprobs": body["logprobs"], **extra}
        scored, _ = await self._post(self._address("/completions"), orjson.dumps(asked), "completions")
        return {"scored": scored, "start": start}

    async def _tokens(self, body: Mapping[str, Any], template: Mapping[str, Any]) -> tuple[list[int], int]:
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
            found, _ = await self._post(address, orjson.dumps(asked))
            tokens = found.get("tokens") if isinstance(found, dict) else None
            if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
                raise ModelError(f"{public(address)} tells no tokens of a chat: prompt_logprobs need vLLM's /tokenize")
            lists.append(tokens)
        whole, probe = lists
        return whole, next((place for place, pair in enumerate(zip(whole, probe, strict=False)) if pair[0] != pair[1]),
                           min(len(whole), len(probe)))  # fmt: skip


async def _read(response: httpx2.Response) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > LARGEST_ANSWER:
            raise Trouble(f"an answer of more than {LARGEST_ANSWER >> 20} MiB", load=False)
    return b"".join(parts)


def _named(error: Exception) -> str:
    return str(error) or type(error).__name__


def pause_before(trouble: Trouble, tries: int, endpoint: Endpoint) -> float:
    """Seconds to wait before trying again."""
    own = backoff(tries, endpoint.first_pause)
    return own if trouble.wait is None else trouble.wait + own * 0.2
