"""A question becomes exactly one JSON body, and that body is its name in the answer cache; a raw answer becomes an :class:`Answer`.

Pure functions, no network: what is asked (:func:`question_of`), whether an answer has the shape the protocol promises
(:func:`check_shape`), whether it may be kept (:func:`may_keep`), and what it says (:func:`parse`). Because raw answers are kept
and read again, everything in :func:`parse` may change without asking anybody twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import regex

from curate.backends import Answer, Finish, Request, TokenLogprob
from curate.errors import ModelError
from curate.models.answers import question_key
from curate.models.chat import without_system
from curate.models.seeds import effective_seed
from curate.models.structured import compile_schema, fit_for_wire

Dialect = Literal["vllm", "llamacpp", "openai"]
Structured = Literal["json_schema", "json_object", "prompt", "none"]

LEAST_LOGPROB = -9999.0
"""Stands for the logarithm of 0, as vLLM writes it; JSON has no infinity."""
_FINISH: Mapping[str, Finish] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop", "length": "length",
    "max_tokens": "length", "model_length": "length", "content_filter": "filtered", "safety": "filtered", "refusal": "filtered",
}  # fmt: skip
_THOUGHT = regex.compile(r"\s*<think(?:ing)?>(.*?)(?:</think(?:ing)?>\s*|\z)", regex.DOTALL)
_END_OF_THOUGHT = regex.compile(r"</think(?:ing)?>\s*")
_OWN_KEYS = frozenset({"messages", "prompt", "model", "stream", "n", "best_of", "response_format", "logprobs", "top_logprobs", "echo"})  # fmt: skip


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


@dataclass(frozen=True)
class Question:
    """A request as it goes over the wire."""

    key: bytes
    """Its name in the answer cache."""
    kind: Literal["chat", "completions", "score"]
    body: Mapping[str, Any]
    continued: str = ""
    """The turn that the answer continues, which some servers repeat."""

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
    body |= _sampling(request, manner)
    if request.schema is not None:
        body |= _response_format(request.schema, manner)
    if request.top_logprobs:
        if manner.endpoint == "chat":
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        else:
            body["logprobs"] = request.top_logprobs
    body |= manner.extra_body
    return Question(_key(manner.endpoint, body, request.sample), manner.endpoint, body, continued)


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
    return Question(_key("score", body, 0), "score", body)


def _key(kind: str, body: Mapping[str, Any], sample: int) -> bytes:
    return question_key([kind, {name: value for name, value in body.items() if name != "model"}, sample])


def _with_schema(turns: list[tuple[str, str]], schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    text = fit_for_wire(orjson.dumps(schema).decode())
    told = "Answer with one JSON value and nothing else: no explanation, no code fence. It must satisfy this JSON Schema:\n"
    last = max((index for index, (role, _) in enumerate(turns) if role == "user"), default=None)
    if last is None:
        return [("system", told + text), *turns]
    return [*turns[:last], ("user", f"{turns[last][1]}\n\n{told}{text}"), *turns[last + 1 :]]


def _continuation(manner: Manner) -> dict[str, Any]:
    if manner.dialect == "openai":
        raise ModelError(
            "this server continues no assistant turn ('dialect: openai'); where it does, say 'dialect: vllm' or 'llamacpp'"
        )
    return {"add_generation_prompt": False, "continue_final_message": True} if manner.dialect == "vllm" else {}


def _sampling(request: Request, manner: Manner) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {"temperature": sampling.temperature, manner.max_tokens_field: sampling.max_tokens}
    for name in ("top_p", "presence_penalty", "frequency_penalty"):
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    for name in ("top_k", "min_p", "repetition_penalty"):
        if (value := getattr(sampling, name)) is None:
            continue
        if manner.dialect == "openai":
            raise ModelError(
                f"'{name}' is unknown to servers of 'dialect: openai'; leave it out, or say 'dialect: vllm' or 'llamacpp'"
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
    choice = choices[0]
    if kind == "completions":
        if not isinstance(choice.get("text"), str):
            raise MalformedAnswer("the answer's first choice has no 'text'")
    else:
        message = choice.get("message")
        if not isinstance(message, dict) or not isinstance(message.get("content"), str | list | None):
            raise MalformedAnswer("the answer's first choice has no 'message' with a 'content'")
    if choice.get("finish_reason") in ("abort", "error"):
        raise MalformedAnswer(f"the server gave up (finish_reason: {choice['finish_reason']})")
    if not isinstance(choice.get("finish_reason"), str | None) or not isinstance(raw.get("usage"), dict | None):
        raise MalformedAnswer("'finish_reason' or 'usage' of the answer is of the wrong type")


def finish_of(kind: str, raw: Any) -> Finish:
    """How a raw answer ended; ``failed`` for a reason that is not known."""
    if kind == "score":
        return "stop"
    choice = raw["choices"][0]
    message = choice.get("message") or {}
    if message.get("refusal"):
        return "filtered"
    reason = choice.get("finish_reason")
    return "stop" if reason is None else _FINISH.get(reason.lower(), "failed")


def may_keep(kind: str, raw: Any) -> bool:
    """Whether an answer is one: whole or cut off; what was withheld or failed is asked again another time."""
    return finish_of(kind, raw) in ("stop", "length")


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
    choice = raw["choices"][0]
    return len(_text(choice.get("text") or (choice.get("message") or {}).get("content")).encode(errors="replace"))


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
    text = _text(choice["text"] if question.kind == "completions" else message.get("content"))
    thought = message.get("reasoning_content") or message.get("reasoning")
    reasoning = thought if isinstance(thought, str) else ""
    if question.continued and manner.dialect == "llamacpp":
        text = text.removeprefix(question.continued)
    if manner.reasoning == "split" and not reasoning:
        text, reasoning = split_thought(text)
    finish = finish_of(question.kind, raw)
    known = Answer(text, finish, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, reasoning=reasoning)
    if finish == "filtered":
        return known.mended(problem=str(message.get("refusal") or "withheld by the server's content filter")[:500])
    if finish == "failed":
        return known.mended(problem=f"it ended for an unknown reason: {choice.get('finish_reason')}")
    if request.top_logprobs:
        logprobs = _logprobs(choice.get("logprobs"))
        if not logprobs and text:
            return known.mended(finish="failed", problem="the server sent no log-probabilities")
        known = known.mended(logprobs=logprobs)
    if request.schema is not None and finish == "stop":
        value, problem = compile_schema(request.schema).read(text)
        return known.mended(finish="invalid", problem=problem) if problem else known.mended(value=value)
    return known


def _text(content: Any) -> str:
    """A content that may be a list of parts as one text."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def split_thought(text: str) -> tuple[str, str]:
    """An answer without the ``<think>`` block at its beginning (opened by it or by the template), and the block."""
    opened = _THOUGHT.match(text)
    if opened:
        return text[opened.end() :], opened[1].strip()
    closed = _END_OF_THOUGHT.search(text)
    if closed and not regex.search(r"<think(?:ing)?>", text[: closed.start()]):
        return text[closed.end() :], text[: closed.start()].strip()
    return text, ""


def _logprobs(found: Any) -> tuple[TokenLogprob, ...]:
    """Both forms: the chat endpoint's list of tokens, the completions endpoint's parallel lists."""
    if not isinstance(found, dict):
        return ()
    content = found.get("content")
    if isinstance(content, list):
        return tuple(
            TokenLogprob(str(one.get("token", "")), _logarithm(one.get("logprob")), _best(one.get("top_logprobs")))
            for one in content
            if isinstance(one, dict)
        )
    return _parallel(found)


def _parallel(found: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    tokens, values = found.get("tokens"), found.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        return ()
    tops = found.get("top_logprobs")
    tops = tops if isinstance(tops, list) and len(tops) == len(tokens) else [None] * len(tokens)
    return tuple(
        TokenLogprob(str(token), _logarithm(value), _best(top))
        for token, value, top in zip(tokens, values, tops, strict=True)
    )


def _best(tops: Any) -> tuple[tuple[str, float], ...]:
    if isinstance(tops, dict):
        pairs = [(str(token), _logarithm(value)) for token, value in tops.items()]
    elif isinstance(tops, list):
        pairs = [(str(one.get("token", "")), _logarithm(one.get("logprob"))) for one in tops if isinstance(one, dict)]
    else:
        return ()
    return tuple(sorted(pairs, key=lambda pair: -pair[1]))


def _logarithm(value: Any) -> float:
    if not isinstance(value, int | float) or value != value:
        return LEAST_LOGPROB
    return max(LEAST_LOGPROB, min(0.0, float(value)))


def _parse_score(raw: Mapping[str, Any], request: Request, prompt_tokens: int) -> Answer:
    """The tokens from where the last turn begins up to the end of the prompt."""
    choice = raw["scored"]["choices"][0]
    tokens = _parallel(choice.get("logprobs") or {})
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
