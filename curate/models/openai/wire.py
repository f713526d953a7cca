"""A question becomes exactly one JSON body, and that body is its name in the answer cache; a raw answer becomes an
:class:`Answer`.

Pure functions, no network: what is asked (:func:`question_of`), whether an answer has the shape the protocol promises
(:func:`check_shape`), whether it may be kept (:func:`may_keep`), and what it says (:func:`parse`). Because raw answers
are kept and read again, everything in :func:`parse` may change without asking anybody twice.
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
THOUGHTS_ONLY = "it holds thoughts only, and no answer"
_LEAST_BYTES = 1 << 20
_TOKEN_BYTES = 64
"""Of JSON for each token: more than any script needs, escaped as it may be."""
_LOGPROB_BYTES = 512
_OWN_KEYS = frozenset(
    {"messages", "prompt", "model", "stream", "n", "best_of", "response_format", "logprobs", "top_logprobs", "echo"}
)


@dataclass(frozen=True)
class Manner:
    """How a server wants to be asked: all that shapes a body besides the request."""

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
    """In place of the sampling's own, unless it is ``sampling``; None sends none."""
    names: tuple[str, ...] = ()
    """The names that the model may go by in its answers; none: they are not looked at."""


@dataclass(frozen=True)
class Question:
    """A request as it goes over the wire."""

    key: bytes
    """Its name in the answer cache."""
    kind: Literal["chat", "completions", "score"]
    body: Mapping[str, Any]
    continued: str = ""
    """The turn that the answer continues, which some servers repeat."""
    most_bytes: int = 256 << 20
    """The most that an answer with so many tokens can need."""

    @property
    def data(self) -> bytes:
        """The body as JSON."""
        return orjson.dumps(self.body)


class MalformedAnswer(Exception):
    """What came back is not what the protocol promises."""


def unknown_keys(extra_body: Mapping[str, Any]) -> list[str]:
    """Keys of an ``extra_body`` that would change what is asked or the form of the answer."""
    return sorted(_OWN_KEYS & set(extra_body))


# ------------------------------------------------------------------------------------------------------------ question
def question_of(request: Request, manner: Manner) -> Question:
    """The body for a request, and its key.

    Raises:
        ModelError: this kind of server cannot be asked that.
    """
    turns = [(role, fit_for_wire(content)) for role, content in request.messages]
    sampling = request.sampling
    if manner.temperature != "sampling":
        sampling = sampling.model_copy(update={"temperature": manner.temperature})
    if not turns:
        raise ModelError(f"a request for row {request.row or '?'} has no messages")
    if not manner.system_role:
        turns = without_system(turns)
    if request.prompt_logprobs:
        return _score_question(turns, request, manner)
    if request.schema is not None and manner.structured in ("json_object", "prompt"):
        turns = _with_schema(turns, request.schema)
    continued = turns[-1][1] if turns[-1][0] == "assistant" else ""
    body: dict[str, Any] = {"model": manner.model}
    if manner.endpoint == "chat":
        body["messages"] = [{"role": role, "content": content} for role, content in turns]
        if turns[-1][0] == "assistant":
            body |= _continuation(manner)
    else:
        body["prompt"], continued = "\n\n".join(content for _, content in turns), ""
    body |= _sampling(request, sampling, manner)
    if request.schema is not None:
        body |= _response_format(request.schema, manner)
    if request.top_logprobs:
        if manner.endpoint == "chat":
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        else:
            body["logprobs"] = request.top_logprobs
    body |= manner.extra_body
    most = body.get(manner.max_tokens_field)
    tokens = most if isinstance(most, int) else sampling.max_tokens
    each = _TOKEN_BYTES + (_LOGPROB_BYTES * (1 + request.top_logprobs) if request.top_logprobs else 0)
    size = _LEAST_BYTES + tokens * each
    return Question(_key(manner.endpoint, body, request.sample), manner.endpoint, body, continued, size)


def _score_question(turns: list[tuple[str, str]], request: Request, manner: Manner) -> Question:
    """Log-probabilities of the last turn: asked of the completions endpoint, which alone can repeat its prompt."""
    if not turns[-1][1]:
        raise ModelError(
            f"the last turn of a request for row {request.row or '?'} is empty: it has no log-probabilities"
        )
    body: dict[str, Any] = {"model": manner.model}
    if manner.endpoint == "chat":
        body["messages"] = [{"role": role, "content": content} for role, content in turns]
    else:
        before = "".join(content + "\n\n" for _, content in turns[:-1])
        body |= {"prompt": before + turns[-1][1], "start": len(before)}
    body |= {"logprobs": max(1, request.top_logprobs), "extra": dict(manner.extra_body)}
    # Each byte of the prompt may be a token, and comes back with its log-probabilities.
    size = sum(len(content.encode()) for _, content in turns)
    most = 2 * _LEAST_BYTES + size * (_TOKEN_BYTES + _LOGPROB_BYTES * (1 + max(1, request.top_logprobs)))
    return Question(_key("score", body, 0), "score", body, most_bytes=most)


def _key(kind: str, body: Mapping[str, Any], sample: int) -> bytes:
    return question_key([kind, {name: value for name, value in body.items() if name != "model"}, sample])


def _with_schema(turns: list[tuple[str, str]], schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    text = fit_for_wire(orjson.dumps(schema).decode())
    told = (
        "Answer with one JSON value and nothing else: no explanation, no code fence. It must satisfy this JSON"
        " Schema:\n"
    )
    last = max((index for index, (role, _) in enumerate(turns) if role == "user"), default=None)
    if last is None:
        return [("system", told + text), *turns]
    return [*turns[:last], ("user", f"{turns[last][1]}\n\n{told}{text}"), *turns[last + 1 :]]


def _continuation(manner: Manner) -> dict[str, Any]:
    if manner.dialect == "openai":
        raise ModelError(
            "this server continues no assistant turn ('dialect: openai'); where it does, say 'dialect: vllm' or"
            " 'llamacpp'"
        )
    return {"add_generation_prompt": False, "continue_final_message": True} if manner.dialect == "vllm" else {}


def _sampling(request: Request, sampling: Sampling, manner: Manner) -> dict[str, Any]:
    body: dict[str, Any] = {} if sampling.temperature is None else {"temperature": sampling.temperature}
    body[manner.max_tokens_field] = sampling.max_tokens
    for name in ("top_p", "presence_penalty", "frequency_penalty"):
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    for name in ("top_k", "min_p", "repetition_penalty"):
        if (value := getattr(sampling, name)) is None:
            continue
        if manner.dialect == "openai":
            raise ModelError(
                f"'{name}' is unknown to servers of 'dialect: openai'; leave it out, or say 'dialect: vllm' or"
                " 'llamacpp'"
            )
        renamed = manner.dialect == "llamacpp" and name == "repetition_penalty"
        body["repeat_penalty" if renamed else name] = value
    if sampling.stop:
        body["stop"] = [fit_for_wire(text) for text in sampling.stop]
    seed = effective_seed(sampling, request.messages, request.sample)
    if seed is not None and manner.seeds:
        body["seed"] = seed
    return body


def _response_format(schema: Mapping[str, Any], manner: Manner) -> dict[str, Any]:
    if manner.structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    if manner.structured != "json_schema":
        return {}
    if manner.endpoint == "completions" and manner.dialect == "llamacpp":
        return {"json_schema": dict(schema)}  # its completions endpoint knows no response_format
    # OpenAI refuses 'strict' for schemas with optional or open properties; others constrain the answer either way.
    strict = manner.dialect != "openai" or _is_closed(schema)
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
def error_in(raw: Any) -> Any:
    """The error that an answer with status 200 carries, of the whole or of its choice; None where there is none."""
    if not isinstance(raw, dict):
        return None
    choices = raw.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if found := choice.get("error"):
        return found
    found = raw.get("error")
    if found and (not choice or not isinstance(found, dict) or found.get("message")):
        return found
    return raw if raw.get("object") == "error" else None


def check_shape(kind: str, raw: Any) -> None:
    """Whether a raw answer can be read at all.

    Raises:
        MalformedAnswer: it cannot; a proxy or an overloaded server wrote something else.
    """
    if kind == "score":
        return
    if not isinstance(raw, dict):
        raise MalformedAnswer(f"the answer is a JSON {type(raw).__name__}, not an object")
    choices = raw.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise MalformedAnswer("the answer has no 'choices'")
    if error_in(raw) is not None:
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
    """How a raw answer ended; ``failed`` where a tool is called in place of an answer.

    A reason that is not known, or none, is taken for a whole answer.
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
    """Whether an answer ended by itself and says nothing at all, not even a thought: a server does that in trouble."""
    if kind == "score" or finish_of(kind, raw) != "stop":
        return False
    choice = raw["choices"][0]
    return not _content(choice).strip() and not field_thoughts(choice.get("message") or {})


def may_keep(kind: str, raw: Any) -> bool:
    """Whether an answer is one: whole or cut off; what is empty, was withheld or failed is no answer."""
    return finish_of(kind, raw) in ("stop", "length") and not is_empty(kind, raw)


def _reason(choice: Mapping[str, Any]) -> str:
    return str(choice.get("finish_reason") or "").strip().lower()


def _tool(message: Mapping[str, Any]) -> str:
    """The name of the tool that is called; empty where none is."""
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
    """Tokens asked, answered, and of those asked the ones the server had at hand; None if it does not say."""
    usage = (raw.get("scored") if kind == "score" else raw).get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached)


def text_size(kind: str, raw: Any) -> int:
    """Bytes of the answer's text, where the server does not count tokens."""
    if kind == "score":
        return 0
    return len(_content(raw["choices"][0]).encode(errors="replace"))


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0


def parse(question: Question, raw: Any, request: Request, manner: Manner) -> Answer:
    """What a raw answer says; ``invalid`` if it is not what the request's schema asks for.

    Raises:
        ModelError: the schema is none.
    """
    prompt_tokens, completion_tokens, _ = usage_of(question.kind, raw) or (0, 0, 0)
    if question.kind == "score":
        return _parse_score(raw, request, prompt_tokens)
    choice = raw["choices"][0]
    message = choice.get("message") or {}
    text = _content(choice)
    if question.continued and manner.dialect == "llamacpp":
        text = text.removeprefix(question.continued)
    finish = finish_of(question.kind, raw)
    text, reasoning = read_thoughts(
        text,
        field_thoughts(message),
        split=manner.reasoning == "split",
        cut=finish == "length",
        schema=request.schema is not None,
    )
    served = other_model(raw.get("model"), manner.names) if manner.names else ""
    known = Answer(
        text,
        finish,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        reasoning=reasoning,
        transient=is_empty(question.kind, raw),
        served=served,
        remarks=_remarks(choice, manner.names[0] if manner.names else "", served),
    )
    if finish == "filtered":
        told = str(message.get("refusal") or "withheld by the server's content filter")[:500]
        return known.mended(problem=told, error=ContentFilterError.__name__)
    if finish == "failed":
        tool = _tool(message)
        told = f"it calls a tool{f' ({tool})' if tool not in ('', '?') else ''} in place of an answer"
        return known.mended(problem=told, error=BadRequestError.__name__)
    return finished(known, request, lambda: token_logprobs(choice.get("logprobs")))


def read_thoughts(text: str, told: str, *, split: bool, cut: bool, schema: bool) -> tuple[str, str]:
    """An answer's text and its thoughts.

    Args:
        told: thoughts that the server tells apart.
        split: whether thoughts are taken out of the text.
        schema: whether JSON was asked for: what is JSON as a whole holds no thoughts but as its own texts.
    """
    if not split or (schema and text.lstrip()[:1] in ("{", "[") and _is_json(text)):
        return text, told
    text, found = split_thoughts(text, cut=cut)
    return text, "\n\n".join(filter(None, (told, found)))


def finished(known: Answer, request: Request, logprobs: Callable[[], tuple[TokenLogprob, ...]]) -> Answer:
    """An answer that ended by itself or was cut off, checked against all that was asked for."""
    if request.top_logprobs:
        found = logprobs()
        if not found and known.text:
            return known.mended(
                finish="failed", problem="the server sent no log-probabilities", error=BadRequestError.__name__
            )
        known = known.mended(logprobs=found)
    if known.finish != "stop":
        return known
    if not known.text.strip() and known.reasoning:
        return known.mended(finish="invalid", problem=THOUGHTS_ONLY)
    if request.schema is not None:
        value, problem = compile_schema(request.schema).read(known.text)
        return known.mended(finish="invalid", problem=problem) if problem else known.mended(value=value)
    return known


def _remarks(choice: Mapping[str, Any], asked: str, served: str) -> tuple[str, ...]:
    found = []
    reason = choice.get("finish_reason")
    if _reason(choice) not in _FINISH and _reason(choice) not in _TOOLS and _content(choice).strip():
        shown = (
            "does not say why answers ended"
            if reason is None
            else f"ended answers for an unknown reason (finish_reason: {str(reason)[:60]!r})"
        )
        found.append(f"the server {shown}; they are taken as whole")
    if served:
        found.append(
            f"'{asked}' was asked, and the server says that '{served}' answered; rows are signed with both names"
        )
    return tuple(found)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _text(content: Any) -> str:
    """A content that may be a list of parts as one text."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _parse_score(raw: Mapping[str, Any], request: Request, prompt_tokens: int) -> Answer:
    """The tokens from where the last turn begins up to the end of the prompt."""
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
        return known.mended(finish="failed", problem="the server does not repeat its prompt with log-probabilities")
    return known
