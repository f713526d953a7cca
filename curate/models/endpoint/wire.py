"""The interface of a protocol: request bodies and the meaning of raw responses.

A :class:`Wire` makes the JSON body, which is also the cache key, and reads a raw response into a :class:`Reply`, whose
terms are the same for all protocols. It knows no network. Raw responses are cached, so reading may change without
repeating a request.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import orjson

from curate.errors import BadRequestError, ContentFilterError, ModelError
from curate.models.cache.responses import question_key
from curate.models.generation.answers import checked, separate_reasoning
from curate.models.generation.turns import ToolCall
from curate.models.loading.served import other_model
from curate.steps.models import Completion, Finish, Request, Sampling, TokenLogprob

MIN_BYTES = 1 << 20
TOKEN_BYTES = 64
"""Bytes of JSON per token: more than any script needs, even escaped."""
LOGPROB_BYTES = 512


@dataclass(frozen=True)
class WireOptions:
    """The settings that shape a body besides the request, and the reading of responses."""

    model: str
    """The server's name of the model."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    temperature: float | Literal["sampling"] | None = "sampling"
    """Overrides the request's temperature unless it is ``sampling``; None sends none."""
    reasoning: Literal["split", "keep"] = "split"
    """Whether reasoning in the text is removed from it."""
    names: tuple[str, ...] = ()
    """Names that responses may give for the model; empty: not checked."""

    def sampling(self, request: Request) -> Sampling:
        """The sampling of a request with the model's own temperature."""
        return with_temperature(request.sampling, self.temperature)


def with_temperature(sampling: Sampling, own: float | Literal["sampling"] | None) -> Sampling:
    """A sampling with a model's own temperature; see :class:`WireOptions`."""
    return sampling if own == "sampling" else sampling.model_copy(update={"temperature": own})


@dataclass(frozen=True)
class RequestBody:
    """The JSON body of a request, and its cache key."""

    key: bytes
    """Its key in the response cache."""
    kind: str
    """Which of the protocol's requests it is."""
    body: Mapping[str, Any]
    continued: str = ""
    """The turn that the answer continues; some servers repeat it."""
    max_bytes: int = 256 << 20
    """Maximum size of a response with so many tokens."""
    tools: bool = False
    """Whether the model may call tools."""

    @property
    def data(self) -> bytes:
        """The body as JSON."""
        return orjson.dumps(self.body)


class MalformedAnswer(Exception):
    """A response does not follow the protocol."""


class Usage(NamedTuple):
    """The tokens of a call."""

    prompt: int
    completion: int
    cached: int = 0
    """Of the prompt's, those from the server's cache."""


@dataclass(frozen=True)
class Reply:
    """What a raw response says."""

    text: str
    finish: Finish
    """Never ``invalid``."""
    thoughts: str = ""
    """Reasoning from fields of its own."""
    calls: tuple[ToolCall, ...] = ()
    problem: str = ""
    """The reason, for ``filtered`` and ``failed``."""
    remark: str = ""
    """What is strange about a usable response."""
    usage: Usage | None = None
    model: Any = None
    """The model that the server names."""
    logprobs: Callable[[], tuple[TokenLogprob, ...]] = tuple
    textless: bool = False
    """Whether no text is expected."""

    @property
    def empty(self) -> bool:
        """Whether it is complete and has nothing in it, which is a sign of server trouble."""
        nothing = not (self.textless or self.text.strip() or self.thoughts or self.calls)
        return self.finish == "stop" and nothing

    @property
    def cacheable(self) -> bool:
        """Whether it is complete or truncated; empty, filtered and failed ones are not cached."""
        return self.finish in ("stop", "length") and not self.empty


class ErrorReport(NamedTuple):
    """What the body of an error says."""

    message: str
    code: str = ""
    """The server's own name for it."""
    status: int | None = None
    """The HTTP status that it stands for, where the server sends a less specific one."""
    retry_after: float | None = None
    """Seconds to wait, if the body names them."""
    kind: type[ModelError] | None = None
    """The class of the error, where neither status nor code tells."""
    remedy: str = ""
    """What to do, with ``kind``."""


class Post(Protocol):
    """Sends a body and returns the raw response (JSON) and its cacheable form; see
    :meth:`curate.models.endpoint.http.EndpointClient.post`."""

    def __call__(
        self, path: str, data: bytes, most: int, kind: str = "", *, rooted: bool = False
    ) -> Awaitable[tuple[Any, Any]]: ...


class Wire(ABC):
    """A protocol, with the settings that shape its requests."""

    protocol: ClassVar[str]
    """Its name, for messages."""

    def __init__(self, options: WireOptions) -> None:
        self.options = options

    # ------------------------------------------------------------------------------------------------------- requests
    @abstractmethod
    def build(self, request: Request) -> RequestBody:
        """The body of a request, with its cache key.

        Raises:
            ModelError: this kind of server does not support it.
        """

    @abstractmethod
    def path(self, body: RequestBody) -> str:
        """The path of a request, below the base address."""

    async def send(self, body: RequestBody, post: Post) -> tuple[Any, Any]:
        """Sends a request; returns the raw response and its cacheable form."""
        return await post(self.path(body), body.data, body.max_bytes, body.kind)

    # ------------------------------------------------------------------------------------------------------ responses
    @abstractmethod
    def embedded_error(self, raw: Any) -> Any:
        """The error inside a response with status 200; None if there is none."""

    @abstractmethod
    def begun(self, raw: Any) -> bool:
        """Whether a response with an error also has a part of an answer, so that the request was not at fault."""

    @abstractmethod
    def check_shape(self, kind: str, raw: Any) -> None:
        """Validates the structure of a raw response.

        Raises:
            MalformedAnswer: it is something else, written by a proxy or an overloaded server.
        """

    @abstractmethod
    def read(self, body: RequestBody, raw: Any) -> Reply:
        """What a raw response says, whose shape was checked."""

    def report_error(self, problem: Any, headers: Mapping[str, str]) -> ErrorReport:
        """What the JSON body of an error, or an error inside a response, says."""
        return error_report(problem)

    def parse(self, body: RequestBody, raw: Any, request: Request, reply: Reply | None = None) -> Completion:
        """The answer in a raw response; ``invalid`` if it does not match the request's schema.

        Args:
            reply: what :meth:`read` said of the response, if it was read already.

        Raises:
            ModelError: the schema is not a JSON Schema.
        """
        reply = reply or self.read(body, raw)
        text, reasoning = separate_reasoning(
            reply.text,
            reply.thoughts,
            split=self.options.reasoning == "split",
            cut=reply.finish == "length",
            schema=request.schema is not None,
        )
        names = self.options.names
        served = other_model(reply.model, names) if names else ""
        usage = reply.usage or Usage(0, 0)
        known = Completion(
            text,
            reply.finish,
            prompt_tokens=usage.prompt,
            completion_tokens=usage.completion,
            reasoning=reasoning,
            transient=reply.empty,
            served=served,
            remarks=self._remarks(reply, served),
        )
        if reply.finish == "filtered":
            problem = (reply.problem or "withheld by the server's content filter")[:500]
            return known.replace(problem=problem, error=ContentFilterError.__name__)
        if reply.finish == "failed":
            return known.replace(problem=reply.problem[:500], error=BadRequestError.__name__)
        if reply.calls and reply.finish == "length":
            # Its last call may be incomplete, and without its calls its text is another answer.
            name = reply.calls[-1].name
            known = known.replace(problem=f"cut off while it calls a tool ({name[:100]})")
        elif reply.calls:
            if broken := next((call.name for call in reply.calls if not _is_object(call.arguments)), None):
                return known.replace(finish="invalid", problem=f"the arguments of its call of '{broken}' are not JSON")
            known = known.replace(tool_calls=tuple(call.row_form() for call in reply.calls))
        return checked(known, request, reply.logprobs)

    def _remarks(self, reply: Reply, served: str) -> tuple[str, ...]:
        remarks = [reply.remark] if reply.remark else []
        if served:
            remarks.append(
                f"'{self.options.names[0]}' was requested, but the server reports '{served}'; rows record both names"
            )
        return tuple(remarks)


def uninvited(name: str) -> str:
    """The problem of a response that calls a tool although none was given."""
    named = f" ({name[:100]})" if name not in ("", "?") else ""
    return f"it calls a tool{named} in place of an answer"


def unknown_end(field_name: str, reason: Any) -> str:
    """The remark on a response that ended for a reason that is not known, or not said (None)."""
    shown = (
        f"ended answers for an unknown reason ({field_name}: {str(reason)[:60]!r})"
        if reason is not None
        else "does not say why answers ended"
    )
    return f"the server {shown}; they are taken as complete"


def error_report(problem: Any) -> ErrorReport:
    """What an error in the usual form says: a mapping with message and code, perhaps inside ``error``, or a text."""
    error = problem.get("error") or problem if isinstance(problem, dict) else problem
    if not isinstance(error, dict):
        return ErrorReport(str(error))
    message = error.get("message") or error.get("detail") or error.get("msg") or json_text(error)
    code = error.get("code")
    # A number that is no HTTP status is less specific than the name in 'type'.
    if code in (None, "") or (isinstance(code, int) and not 100 <= code < 600 and isinstance(error.get("type"), str)):
        code = error.get("type") or code or ""
    return ErrorReport(str(message), str(code).strip())


def body_key(kind: str, body: Mapping[str, Any], sample: int) -> bytes:
    """The cache key of a body: all of it but the server's own name for the model."""
    return question_key([kind, {name: value for name, value in body.items() if name != "model"}, sample])


def largest_response(tokens: int, top_logprobs: int = 0) -> int:
    """Maximum size in bytes of a response with so many tokens."""
    return MIN_BYTES + tokens * (TOKEN_BYTES + (LOGPROB_BYTES * (1 + top_logprobs) if top_logprobs else 0))


def merged(body: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """A body with more fields; objects that are in both are merged, so that ``extra`` may add to one."""
    whole = dict(body)
    for name, value in extra.items():
        own = whole.get(name)
        whole[name] = {**own, **value} if isinstance(own, Mapping) and isinstance(value, Mapping) else value
    return whole


def json_text(value: Any) -> str:
    """The JSON text of a value from a response, which may have whole numbers beyond 64 bits."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value)


def count(value: Any) -> int:
    """A number of tokens in a response; 0 if it is none."""
    return int(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except ValueError:
        return False
