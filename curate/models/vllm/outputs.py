"""Converts outputs of vLLM to raw JSON, which is cached, and raw JSON to answers; without importing vLLM."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from curate.models.generation.answers import checked, separate_reasoning
from curate.models.generation.logprobs import LEAST_LOGPROB
from curate.steps.models import Completion, Request, TokenLogprob

_FINISH = {"stop": "stop", "length": "length", "repetition": "length"}
_KEPT = frozenset(
    ("$defs", "$ref", "additionalProperties", "anyOf", "const", "definitions", "enum", "items", "maxItems", "minItems",
     "prefixItems", "properties", "required", "type")
)  # fmt: skip
_NAMED = frozenset(("$defs", "definitions", "properties"))


def relax_schema(schema: Any) -> Any:
    """The schema without keywords that some grammar compilers lack; whatever satisfies the schema satisfies it too."""
    if isinstance(schema, list):
        return [relax_schema(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    relaxed: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _NAMED and isinstance(value, Mapping):
            relaxed[name] = {key: relax_schema(one) for key, one in value.items()}
        elif name in ("const", "enum", "required", "type"):
            relaxed[name] = value
        elif name in _KEPT:
            relaxed[name] = relax_schema(value)
    if "patternProperties" in schema and "additionalProperties" in relaxed:
        relaxed["additionalProperties"] = True  # those that the patterns allow are not known any more
    return relaxed


class PendingRequest:
    """A request in flight."""

    __slots__ = ("key", "number", "request", "size", "start", "ticket")

    def __init__(self, number: str, key: bytes, request: Request, start: int, size: int, ticket: int | None) -> None:
        self.number, self.key, self.request = number, key, request
        self.start, self.size, self.ticket = start, size, ticket


def failure(problem: str) -> dict[str, Any]:
    return {"text": "", "finish": "failed", "problem": problem, "prompt_tokens": 0, "completion_tokens": 0}


def raw_of(output: Any, pending: PendingRequest) -> dict[str, Any]:
    """The engine's output as JSON."""
    completion = output.outputs[0]
    if pending.request.prompt_logprobs:
        logprobs = output.prompt_logprobs
        if logprobs is None or len(logprobs) != pending.size:
            return failure("vLLM gave no log-probabilities of the prompt")
        # The first token has no context, so it has no log-probability.
        places = range(max(1, pending.start), pending.size)
        scored = [
            _scored(logprobs[place], output.prompt_token_ids[place], pending.request.top_logprobs) for place in places
        ]
        return {
            "text": "",
            "finish": "stop",
            "prompt_tokens": pending.size,
            "completion_tokens": 0,
            "logprobs": scored,
        }
    finish = _FINISH.get(str(completion.finish_reason))
    if finish is None:
        return failure(f"vLLM gave it up (finish_reason: {completion.finish_reason})")
    raw = {
        "text": completion.text,
        "finish": finish,
        "prompt_tokens": pending.size,
        "completion_tokens": len(completion.token_ids),
    }
    if pending.request.top_logprobs:
        if completion.logprobs is None or len(completion.logprobs) != len(completion.token_ids):
            return failure("vLLM gave no log-probabilities")
        pairs = zip(completion.logprobs, completion.token_ids, strict=True)
        raw["logprobs"] = [_scored(place, token, pending.request.top_logprobs) for place, token in pairs]
    return raw


def _scored(place: Mapping[int, Any], token: int, most: int) -> list[Any]:
    """A token with its log-probability and the most likely tokens at its position."""
    own = place[token]
    best = sorted(place.values(), key=lambda one: -_logarithm(one.logprob))[:most]
    return [
        own.decoded_token or "",
        _logarithm(own.logprob),
        [[one.decoded_token or "", _logarithm(one.logprob)] for one in best],
    ]


def _logarithm(value: float) -> float:
    """A log-probability that JSON can hold: finite, and at most 0 in spite of rounding."""
    return LEAST_LOGPROB if math.isnan(value) else max(LEAST_LOGPROB, min(0.0, float(value)))


def read(raw: Mapping[str, Any], request: Request, *, split: bool, cached: bool) -> Completion:
    """The answer in raw JSON; with ``split``, without reasoning."""
    answer = Completion(
        raw["text"],
        raw["finish"],
        problem=raw.get("problem", ""),
        prompt_tokens=raw["prompt_tokens"],
        completion_tokens=raw["completion_tokens"],
        logprobs=tuple(
            TokenLogprob(token, logprob, tuple((other, value) for other, value in top))
            for token, logprob, top in raw.get("logprobs", ())
        ),
        cached=cached,
    )
    if request.prompt_logprobs or answer.finish == "failed":
        return answer
    cut = answer.finish == "length"
    text, reasoning = separate_reasoning(answer.text, "", split=split, cut=cut, schema=request.schema is not None)
    logprobs = answer.logprobs
    return checked(answer.replace(text=text, reasoning=reasoning, transient=is_empty(raw)), request, lambda: logprobs)


def is_empty(raw: Mapping[str, Any]) -> bool:
    """Whether an answer is complete and empty; it is not cached."""
    return raw["finish"] == "stop" and not raw["text"].strip() and "logprobs" not in raw
