"""Builds request bodies and parses responses of OpenAI's protocol; no network.

:func:`build_request` makes the JSON body, which is also the cache key. :func:`check_shape` validates a raw response,
:func:`is_cacheable` decides whether it may be cached, and :func:`parse` makes an :class:`Answer` of it. Raw responses
are cached, so :func:`parse` may change without repeating a request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from curate.errors import BadRequestError, ContentFilterError, ModelError
from curate.models.cache.responses import question_key
from curate.models.generation.chat_template import without_system
from curate.models.generation.logprobs import LEAST_LOGPROB as LEAST_LOGPROB
from curate.models.generation.logprobs import parallel_logprobs, token_logprobs
from curate.models.generation.reasoning import field_thoughts, split_thoughts
from curate.models.generation.seeds import effective_seed
from curate.models.generation.structured_output import compile_schema, fit_for_wire
from curate.models.loading.served import other_model
from curate.steps.models import Answer, Finish, Request, Sampling, TokenLogprob

Dialect = Literal["vllm", "llamacpp", "openai"]
Structured = Literal["json_schema", "json_object", "prompt", "none"]

_FINISH: Mapping[str, Finish] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop", "length": "length",
    "max_tokens": "length", "model_length": "length", "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "filtered", "safety": "filtered", "refusal": "filtered", "recitation": "filtered",
    "blocklist": "filtered",
    "prohibited_content": "filtered", "spii": "filtered", "sensitive": "filtered", "guardrail_intervened": "filtered",
}  # fmt: skip
_GAVE_UP = frozenset(
    {"abort", "aborted", "error", "cancelled", "canceled", "timeout", "insufficient_system_resource", "network_error"}
)
_TOOLS = frozenset({"tool_calls", "function_call", "tool_use"})
REASONING_ONLY = "it holds thoughts only, and no answer"
_MIN_BYTES = 1 << 20
_TOKEN_BYTES = 64
"""Bytes of JSON per token: more than any script needs, even escaped."""
_LOGPROB_BYTES = 512
_OWN_KEYS = frozenset(
    {"messages", "prompt", "model", "stream", "n", "best_of", "response_format", "logprobs", "top_logprobs", "echo"}
)


@dataclass(frozen=True)
class RequestOptions:
    """The settings that shape a body besides the request."""

    model: str
    endpoint: Literal["chat", "completions"] = "chat"
    dialect: Dialect = "vllm"
    structured: Structured = "json_schema"
    system_role: bool = True
    seeds: bool = True
    max_tokens_field: str = "max_tokens"
    reasoning: Literal["split", "keep"] = "split"
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    temperature: float | Literal["sampling"] | None = "sampling"
    """Overrides the request's temperature unless it is ``sampling``; None sends none."""
    names: tuple[str, ...] = ()
    """Names that responses may give for the model; empty: not checked."""


@dataclass(frozen=True)
class ChatRequestBody:
    """The JSON body of a request, and its cache key."""

    key: bytes
    """Its key in the response cache."""
    kind: Literal["chat", "completions", "score"]
    body: Mapping[str, Any]
    continued: str = ""
    """The turn that the answer continues; some servers repeat it."""
    max_bytes: int = 256 << 20
    """Maximum size of a response with so many tokens."""

    @property
    def data(self) -> bytes:
        """The body as JSON."""
        return orjson.dumps(self.body)


class MalformedAnswer(Exception):
    """A response does not follow the protocol."""


def reserved_keys(extra_body: Mapping[str, Any]) -> list[str]:
    """Keys of an ``extra_body`` that would override the request or the form of the response."""
    return sorted(_OWN_KEYS & set(extra_body))


# ------------------------------------------------------------------------------------------------------------ question
def build_request(request: Request, options: RequestOptions) -> ChatRequestBody:
    """The body of a request, with its cache key.

    Raises:
        ModelError: this kind of server does not support it.
    """
    turns = [(role, fit_for_wire(content)) for role, content in request.messages]
    sampling = request.sampling
    if options.temperature != "sampling":
        sampling = sampling.model_copy(update={"temperature": options.temperature})
    if not turns:
        raise ModelError(f"a request for row {request.row or '?'} has no messages")
    if not options.system_role:
        turns = without_system(turns)
    if request.prompt_logprobs:
        return _score_request(turns, request, options)
    if request.schema is not None and options.structured in ("json_object", "prompt"):
        turns = _with_schema(turns, request.schema)
    continued = turns[-1][1] if turns[-1][0] == "assistant" else ""
    body: dict[str, Any] = {"model": options.model}
    if options.endpoint == "chat":
        body["messages"] = [{"role": role, "content": content} for role, content in turns]
        if turns[-1][0] == "assistant":
            body |= _continuation(options)
    else:
        body["prompt"], continued = "\n\n".join(content for _, content in turns), ""
    body |= _sampling(request, sampling, options)
    if request.schema is not None:
        body |= _response_format(request.schema, options)
    if request.top_logprobs:
        if options.endpoint == "chat":
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        else:
            body["logprobs"] = request.top_logprobs
    body |= options.extra_body
    most = body.get(options.max_tokens_field)
    tokens = most if isinstance(most, int) else sampling.max_tokens
    each = _TOKEN_BYTES + (_LOGPROB_BYTES * (1 + request.top_logprobs) if request.top_logprobs else 0)
    size = _MIN_BYTES + tokens * each
    return ChatRequestBody(_key(options.endpoint, body, request.sample), options.endpoint, body, continued, size)


def _score_request(turns: list[tuple[str, str]], request: Request, options: RequestOptions) -> ChatRequestBody:
    """Requests log-probabilities of the last turn, from the completions endpoint, as only that echoes prompts."""
    if not turns[-1][1]:
        raise ModelError(
            f"the last turn of a request for row {request.row or '?'} is empty: it has no log-probabilities"
        )
    body: dict[str, Any] = {"model": options.model}
    if options.endpoint == "chat":
        body["messages"] = [{"role": role, "content": content} for role, content in turns]
    else:
        before = "".join(content + "\n\n" for _, content in turns[:-1])
        body |= {"prompt": before + turns[-1][1], "start": len(before)}
    body |= {"logprobs": max(1, request.top_logprobs), "extra": dict(options.extra_body)}
    # Each byte of the prompt may be a token, and comes back with its log-probabilities.
    size = sum(len(content.encode()) for _, content in turns)
    most = 2 * _MIN_BYTES + size * (_TOKEN_BYTES + _LOGPROB_BYTES * (1 + max(1, request.top_logprobs)))
    return ChatRequestBody(_key("score", body, 0), "score", body, max_bytes=most)


def _key(kind: str, body: Mapping[str, Any], sample: int) -> bytes:
    return question_key([kind, {name: value for name, value in body.items() if name != "model"}, sample])


def _with_schema(turns: list[tuple[str, str]], schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    text = fit_for_wire(orjson.dumps(schema).decode())
    instruction = (
        "Answer with one JSON value and nothing else: no explanation, no code fence. It must satisfy this JSON"
        " Schema:\n"
    )
    last = max((index for index, (role, _) in enumerate(turns) if role == "user"), default=None)
    if last is None:
        return [("system", instruction + text), *turns]
    return [*turns[:last], ("user", f"{turns[last][1]}\n\n{instruction}{text}"), *turns[last + 1 :]]


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
    for name in ("top_k", "min_p", "repetition_penalty"):
        if (value := getattr(sampling, name)) is None:
            continue
        if options.dialect == "openai":
            raise ModelError(
                f"'{name}' is unknown to servers of 'dialect: openai'; leave it out, or set 'dialect: vllm' or"
                " 'llamacpp'"
            )
        renamed = options.dialect == "llamacpp" and name == "repetition_penalty"
        body["repeat_penalty" if renamed else name] = value
    if sampling.stop:
        body["stop"] = [fit_for_wire(text) for text in sampling.stop]
    seed = effective_seed(sampling, request.messages, request.sample)
    if seed is not None and options.seeds:
        body["seed"] = seed
    return body


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


# -------------------------------------------------------------------------------------------------------------- answer
def embedded_error(raw: Any) -> Any:
    """The error inside a response with status 200, of the whole or of its choice; None if there is none."""
    if not isinstance(raw, dict):
        return None
    choices = raw.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if error := choice.get("error"):
        return error
    error = raw.get("error")
    if error and (not choice or not isinstance(error, dict) or error.get("message")):
        return error
    return raw if raw.get("object") == "error" else None


def check_shape(kind: str, raw: Any) -> None:
    """Validates the structure of a raw response.

    Raises:
        MalformedAnswer: it is something else, written by a proxy or an overloaded server.
    """
    if kind == "score":
        return
    if not isinstance(raw, dict):
        raise MalformedAnswer(f"the answer is a JSON {type(raw).__name__}, not an object")
    choices = raw.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise MalformedAnswer("the answer has no 'choices'")
    if embedded_error(raw) is not None:
        raise MalformedAnswer("the answer holds an error")
    choice = choices[0]
    if kind == "completions":
        if not isinstance(choice.get("text"), str):
            raise MalformedAnswer("the answer's first choice has no 'text'")
    else:
        message = choice.get("message")
        if not isinstance(message, dict) or not isinstance(message.get("content"), str | list | None):
            raise MalformedAnswer("the answer's first choice has no 'message' with a 'content'")
    if not isinstance(choice.get("finish_reason"), str | None) or not isinstance(raw.get("usage"), dict | None):
        raise MalformedAnswer("'finish_reason' or 'usage' of the answer is of the wrong type")
    if _reason(choice) in _GAVE_UP:
        raise MalformedAnswer(f"the server gave up (finish_reason: {choice['finish_reason']})")


def finish_of(kind: str, raw: Any) -> Finish:
    """How a raw response ended; ``failed`` if it calls a tool instead of answering.

    An unknown or missing reason counts as complete.
    """
    if kind == "score":
        return "stop"
    choice = raw["choices"][0]
    message = choice.get("message") or {}
    if message.get("refusal"):
        return "filtered"
    if _reason(choice) in _TOOLS or (_tool(message) and not _content(choice).strip()):
        return "failed"
    return _FINISH.get(_reason(choice), "stop")


def is_empty(kind: str, raw: Any) -> bool:
    """Whether a complete response has neither text nor reasoning, which is a sign of server trouble."""
    if kind == "score" or finish_of(kind, raw) != "stop":
        return False
    choice = raw["choices"][0]
    return not _content(choice).strip() and not field_thoughts(choice.get("message") or {})


def is_cacheable(kind: str, raw: Any) -> bool:
    """Whether a response is complete or truncated; empty, filtered and failed ones are not cached."""
    return finish_of(kind, raw) in ("stop", "length") and not is_empty(kind, raw)


def _reason(choice: Mapping[str, Any]) -> str:
    return str(choice.get("finish_reason") or "").strip().lower()


def _tool(message: Mapping[str, Any]) -> str:
    """The name of the tool that the response calls; empty if none."""
    calls = message.get("tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else message.get("function_call")
    if not isinstance(call, dict):
        return ""
    about = call.get("function", call)
    name = about.get("name") if isinstance(about, dict) else None
    return name[:100] if isinstance(name, str) and name else "?"


def _content(choice: Mapping[str, Any]) -> str:
    text = choice.get("text")
    return _text(text if isinstance(text, str) else (choice.get("message") or {}).get("content"))


def usage_of(kind: str, raw: Any) -> tuple[int, int, int] | None:
    """Prompt tokens, completion tokens, and prompt tokens from the server's cache; None if it reports none."""
    usage = (raw.get("scored") if kind == "score" else raw).get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached)


def text_size(kind: str, raw: Any) -> int:
    """Bytes of the answer's text, for servers that report no token counts."""
    if kind == "score":
        return 0
    return len(_content(raw["choices"][0]).encode(errors="replace"))


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0


def parse(question: ChatRequestBody, raw: Any, request: Request, options: RequestOptions) -> Answer:
    """The answer in a raw response; ``invalid`` if it does not match the request's schema.

    Raises:
        ModelError: the schema is not a JSON Schema.
    """
    prompt_tokens, completion_tokens, _ = usage_of(question.kind, raw) or (0, 0, 0)
    if question.kind == "score":
        return _parse_score(raw, request, prompt_tokens)
    choice = raw["choices"][0]
    message = choice.get("message") or {}
    text = _content(choice)
    if question.continued and options.dialect == "llamacpp":
        text = text.removeprefix(question.continued)
    finish = finish_of(question.kind, raw)
    text, reasoning = separate_reasoning(
        text,
        field_thoughts(message),
        split=options.reasoning == "split",
        cut=finish == "length",
        schema=request.schema is not None,
    )
    served = other_model(raw.get("model"), options.names) if options.names else ""
    known = Answer(
        text,
        finish,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        reasoning=reasoning,
        transient=is_empty(question.kind, raw),
        served=served,
        remarks=_remarks(choice, options.names[0] if options.names else "", served),
    )
    if finish == "filtered":
        problem = str(message.get("refusal") or "withheld by the server's content filter")[:500]
        return known.replace(problem=problem, error=ContentFilterError.__name__)
    if finish == "failed":
        tool = _tool(message)
        problem = f"it calls a tool{f' ({tool})' if tool not in ('', '?') else ''} in place of an answer"
        return known.replace(problem=problem, error=BadRequestError.__name__)
    return checked(known, request, lambda: token_logprobs(choice.get("logprobs")))


def separate_reasoning(text: str, field: str, *, split: bool, cut: bool, schema: bool) -> tuple[str, str]:
    """An answer's text and its reasoning.

    Args:
        field: reasoning from a field of the response.
        split: whether reasoning is removed from the text.
        schema: whether JSON was requested; text that is JSON as a whole is left as it is.
    """
    if not split or (schema and text.lstrip()[:1] in ("{", "[") and _is_json(text)):
        return text, field
    text, inline = split_thoughts(text, cut=cut)
    return text, "\n\n".join(filter(None, (field, inline)))


def checked(answer: Answer, request: Request, logprobs: Callable[[], tuple[TokenLogprob, ...]]) -> Answer:
    """A complete or truncated answer, checked for log-probabilities, text and schema."""
    if request.top_logprobs:
        tokens = logprobs()
        if not tokens and answer.text:
            return answer.replace(
                finish="failed", problem="the server sent no log-probabilities", error=BadRequestError.__name__
            )
        answer = answer.replace(logprobs=tokens)
    if answer.finish != "stop":
        return answer
    if not answer.text.strip() and answer.reasoning:
        return answer.replace(finish="invalid", problem=REASONING_ONLY)
    if request.schema is not None:
        value, problem = compile_schema(request.schema).read(answer.text)
        return answer.replace(finish="invalid", problem=problem) if problem else answer.replace(value=value)
    return answer


def _remarks(choice: Mapping[str, Any], requested: str, served: str) -> tuple[str, ...]:
    remarks = []
    reason = choice.get("finish_reason")
    if _reason(choice) not in _FINISH and _reason(choice) not in _TOOLS and _content(choice).strip():
        shown = (
            "does not say why answers ended"
            if reason is None
            else f"ended answers for an unknown reason (finish_reason: {str(reason)[:60]!r})"
        )
        remarks.append(f"the server {shown}; they are taken as complete")
    if served:
        remarks.append(f"'{requested}' was requested, but the server reports '{served}'; rows record both names")
    return tuple(remarks)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _text(content: Any) -> str:
    """The text of a content, which may be a list of parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _parse_score(raw: Mapping[str, Any], request: Request, prompt_tokens: int) -> Answer:
    """The tokens of the last turn, up to the end of the prompt."""
    choice = raw["scored"]["choices"][0]
    tokens = parallel_logprobs(choice.get("logprobs") or {})
    end = prompt_tokens or len(tokens)
    start = raw.get("start")
    if start is None:  # the place in the text: counted from its end, because a template may put marks before it
        rest = len(request.messages[-1][1])
        start = end
        while start > 0 and rest > 0:
            start -= 1
            rest -= len(tokens[start].token) if start < len(tokens) else 0
    scored = tokens[max(1, start) : end]  # nothing comes before the very first token, so nothing says how likely it was
    known = Answer("", "stop", prompt_tokens=prompt_tokens, logprobs=scored)
    if not scored:
        return known.replace(finish="failed", problem="the server does not repeat its prompt with log-probabilities")
    return known
