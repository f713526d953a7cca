"""Builds request bodies of OpenAI's protocol; no network.

:func:`build_request` makes the JSON body, which is also the cache key. :class:`OpenAIWire` is the protocol as the
engine room sees it; :mod:`curate.models.openai.replies` reads responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import orjson
import regex

from curate.errors import ModelError
from curate.models.endpoint.wire import (
    LOGPROB_BYTES,
    MIN_BYTES,
    TOKEN_BYTES,
    ErrorReport,
    Post,
    Reply,
    RequestBody,
    Wire,
    WireOptions,
    body_key,
    error_report,
    largest_response,
)
from curate.models.generation.seeds import effective_seed
from curate.models.generation.structured_output import fit_for_wire
from curate.models.generation.turns import Turn, tools_of, turns_of, with_schema, without_system
from curate.models.openai.replies import check_shape, embedded_error, parse_score, read_reply
from curate.steps.models import Completion, Request, Sampling

Dialect = Literal["vllm", "llamacpp", "openai"]
Structured = Literal["json_schema", "json_object", "prompt", "none"]

EXTENSIONS = ("top_k", "min_p", "repetition_penalty")
"""Sampling parameters that only extensions of the protocol know."""
# These concern all requests, but come as errors of one.
_REMEDIES: Mapping[str, str] = {
    "temperature": "set 'temperature: null' in the model",
    "top_p": "set 'top_p: null' in 'sampling'",
    "presence_penalty": "set 'presence_penalty: null' in 'sampling'",
    "frequency_penalty": "set 'frequency_penalty: null' in 'sampling'",
    "max_tokens": "set 'max_tokens_field: max_completion_tokens' in the model",
    "max_completion_tokens": "set 'max_tokens_field: max_tokens' in the model",
    "seed": "set 'seeds: false' in the model",
    "response_format": "set 'structured: prompt' in the model",
}
_UNSUPPORTED = regex.compile(
    r"unsupported (?:parameter|value)s?:? *\[?['\"`](\w+)['\"`]"
    r"|['\"`](\w+)['\"`]\]? (?:is not supported|is unsupported|is deprecated|does not support)",
    regex.IGNORECASE,
)
_OWN_KEYS = frozenset(
    {"messages", "prompt", "model", "stream", "n", "best_of", "response_format", "logprobs", "top_logprobs", "echo"}
)


@dataclass(frozen=True)
class RequestOptions(WireOptions):
    """The settings of this protocol."""

    endpoint: Literal["chat", "completions"] = "chat"
    dialect: Dialect = "vllm"
    structured: Structured = "json_schema"
    system_role: bool = True
    seeds: bool = True
    max_tokens_field: str = "max_tokens"


def reserved_keys(extra_body: Mapping[str, Any]) -> list[str]:
    """Keys of an ``extra_body`` that would override the request or the form of the response."""
    return sorted(_OWN_KEYS & set(extra_body))


# ------------------------------------------------------------------------------------------------------------ question
def build_request(request: Request, options: RequestOptions) -> RequestBody:
    """The body of a request, with its cache key.

    Raises:
        ModelError: this kind of server does not support it.
    """
    turns = turns_of(request)
    sampling = options.sampling(request)
    if not options.system_role:
        turns = without_system(turns)
    if request.prompt_logprobs:
        return _score_request(turns, request, options)
    if request.schema is not None and options.structured in ("json_object", "prompt"):
        turns = with_schema(turns, request.schema)
    continued = turns[-1].content if turns[-1].role == "assistant" else ""
    body: dict[str, Any] = {"model": options.model}
    tools = tools_of(request)
    if options.endpoint == "chat":
        body["messages"] = list(map(_message, turns))
        if turns[-1].role == "assistant":
            body |= _continuation(options)
    elif tools or any(turn.calls or turn.answers for turn in turns):
        raise ModelError("tools need the chat endpoint: 'endpoint: completions' has no form for them")
    else:
        body["prompt"], continued = "\n\n".join(turn.content for turn in turns), ""
    body |= _sampling(request, sampling, options)
    if request.schema is not None:
        body |= _response_format(request.schema, options)
    if request.top_logprobs:
        if options.endpoint == "chat":
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        else:
            body["logprobs"] = request.top_logprobs
    if tools:
        if "tools" in options.extra_body:
            raise ModelError("the request has tools, and 'extra_body' has others: leave them out of 'extra_body'")
        body["tools"] = tools
    body |= options.extra_body
    most = body.get(options.max_tokens_field)
    size = largest_response(most if isinstance(most, int) else sampling.max_tokens, request.top_logprobs)
    key = body_key(options.endpoint, body, request.sample)
    return RequestBody(key, options.endpoint, body, continued, size, bool(tools))


def _message(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.calls:
        message["tool_calls"] = [call.row_form() for call in turn.calls]
    if turn.answers:
        message["tool_call_id"] = turn.answers
    if turn.name:
        message["name"] = turn.name
    return message


def _score_request(turns: list[Turn], request: Request, options: RequestOptions) -> RequestBody:
    """Requests log-probabilities of the last turn, from the completions endpoint, as only that echoes prompts."""
    if not turns[-1].content:
        raise ModelError(
            f"the last turn of a request for row {request.row or '?'} is empty: it has no log-probabilities"
        )
    body: dict[str, Any] = {"model": options.model}
    if options.endpoint == "chat":
        body["messages"] = list(map(_message, turns))
    else:
        before = "".join(turn.content + "\n\n" for turn in turns[:-1])
        body |= {"prompt": before + turns[-1].content, "start": len(before)}
    body |= {"logprobs": max(1, request.top_logprobs), "extra": dict(options.extra_body)}
    # Each byte of the prompt may be a token, and comes back with its log-probabilities.
    size = sum(len(turn.content.encode()) for turn in turns)
    most = 2 * MIN_BYTES + size * (TOKEN_BYTES + LOGPROB_BYTES * (1 + max(1, request.top_logprobs)))
    return RequestBody(body_key("score", body, 0), "score", body, max_bytes=most)


def _continuation(options: RequestOptions) -> dict[str, Any]:
    if options.dialect == "openai":
        raise ModelError(
            "this server continues no assistant turn ('dialect: openai'); if it does, set 'dialect: vllm' or 'llamacpp'"
        )
    return {"add_generation_prompt": False, "continue_final_message": True} if options.dialect == "vllm" else {}


def _sampling(request: Request, sampling: Sampling, options: RequestOptions) -> dict[str, Any]:
    body: dict[str, Any] = {} if sampling.temperature is None else {"temperature": sampling.temperature}
    body[options.max_tokens_field] = sampling.max_tokens
    for name in ("top_p", "presence_penalty", "frequency_penalty"):
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    for name in EXTENSIONS:
        if (value := getattr(sampling, name)) is None:
            continue
        if options.dialect == "openai":
            raise ModelError(unknown_to_openai(name))
        renamed = options.dialect == "llamacpp" and name == "repetition_penalty"
        body["repeat_penalty" if renamed else name] = value
    if sampling.stop:
        body["stop"] = [fit_for_wire(text) for text in sampling.stop]
    seed = effective_seed(sampling, request.messages, request.sample)
    if seed is not None and options.seeds:
        body["seed"] = seed
    return body


def unknown_to_openai(name: str) -> str:
    """The problem of a sampling parameter that only extensions of the protocol know."""
    return f"'{name}' is unknown to servers of 'dialect: openai'; leave it out, or set 'dialect: vllm' or 'llamacpp'"


def _response_format(schema: Mapping[str, Any], options: RequestOptions) -> dict[str, Any]:
    if options.structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    if options.structured != "json_schema":
        return {}
    if options.endpoint == "completions" and options.dialect == "llamacpp":
        return {"json_schema": dict(schema)}  # its completions endpoint knows no response_format
    # OpenAI refuses 'strict' for schemas with optional or open properties; others constrain the answer either way.
    strict = options.dialect != "openai" or _is_closed(schema)
    named = {"name": "answer", "schema": dict(schema), "strict": strict}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _is_closed(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(map(_is_closed, schema))
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and (
        schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties)
    ):
        return False
    return all(map(_is_closed, schema.values()))


class OpenAIWire(Wire):
    """OpenAI's protocol, with its extensions in vLLM and llama.cpp."""

    protocol: ClassVar[str] = "OpenAI-compatible"
    options: RequestOptions

    def build(self, request: Request) -> RequestBody:
        return build_request(request, self.options)

    def path(self, body: RequestBody) -> str:
        return "/chat/completions" if body.kind == "chat" else "/completions"

    async def send(self, body: RequestBody, post: Post) -> tuple[Any, Any]:
        if body.kind == "score":
            response = await _score(body, post)
            return response, response
        return await super().send(body, post)

    def embedded_error(self, raw: Any) -> Any:
        return embedded_error(raw)

    def begun(self, raw: Any) -> bool:
        return bool(raw.get("choices"))

    def check_shape(self, kind: str, raw: Any) -> None:
        check_shape(kind, raw)

    def report_error(self, problem: Any, headers: Mapping[str, str]) -> ErrorReport:
        report = error_report(problem)
        if (found := _UNSUPPORTED.search(report.message)) and (remedy := _REMEDIES.get(found[1] or found[2])):
            return report._replace(kind=ModelError, remedy=f"the model does not take it: {remedy}")
        return report

    def read(self, body: RequestBody, raw: Any) -> Reply:
        reply = read_reply(body.kind, raw, tools=body.tools)
        if body.continued and self.options.dialect == "llamacpp":
            reply = replace(reply, text=reply.text.removeprefix(body.continued))
        return reply

    def parse(self, body: RequestBody, raw: Any, request: Request, reply: Reply | None = None) -> Completion:
        return parse_score(raw, request) if body.kind == "score" else super().parse(body, raw, request, reply)


# ----------------------------------------------------------------------------------------- log-probabilities of prompts
async def _score(request: RequestBody, post: Post) -> dict[str, Any]:
    """Requests log-probabilities of the prompt; for chats, the server's own tokens first."""
    body, most = request.body, request.max_bytes
    extra = dict(body["extra"])
    template = {name: extra.pop(name) for name in ("chat_template", "chat_template_kwargs") if name in extra}
    start: int | None = None
    if "messages" in body:
        prompt, start = await _tokens(body, template, most, post)
    else:
        prompt = body["prompt"]
    payload = {"model": body["model"], "prompt": prompt, "max_tokens": 1, "temperature": 0, "echo": True}
    payload |= {"logprobs": body["logprobs"], **extra}
    scored, _ = await post("/completions", orjson.dumps(payload), most, "completions")
    return {"scored": scored, "start": start}


async def _tokens(body: Mapping[str, Any], template: Mapping[str, Any], most: int, post: Post) -> tuple[list[int], int]:
    """The tokens of a chat that ends inside its last turn, and the number of tokens before that turn's text.

    The number is that of the leading tokens that the chat shares with the same chat with another last turn.
    """
    *before, last = body["messages"]
    other = {**last, "content": "A" if last["content"].startswith("0") else "0"}
    lists = []
    for turns in ([*before, last], [*before, other]):
        payload = {"model": body["model"], "messages": turns, "add_generation_prompt": False}
        payload |= {"continue_final_message": True, **template}
        response, _ = await post("/tokenize", orjson.dumps(payload), most, rooted=True)
        tokens = response.get("tokens") if isinstance(response, dict) else None
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise ModelError("the server returns no tokens of a chat: prompt_logprobs need vLLM's /tokenize")
        lists.append(tokens)
    whole, probe = lists
    return whole, next(
        (place for place, pair in enumerate(zip(whole, probe, strict=False)) if pair[0] != pair[1]),
        min(len(whole), len(probe)),
    )
