"""What the engine said is kept as JSON before anybody reads it; what it means is read from that, each time anew.

Pure functions, without vLLM.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from curate.models.openai.wire import LEAST_LOGPROB, checked, separate_reasoning
from curate.steps.models import Answer, Request, TokenLogprob

_FINISH = {"stop": "stop", "length": "length", "repetition": "length"}
_KEPT = frozenset(
    ("$defs", "$ref", "additionalProperties", "anyOf", "const", "definitions", "enum", "items", "maxItems", "minItems",
    "prefixItems",
     "properties", "required", "type")
)  # fmt: skip
_NAMED = frozenset(("$defs", "definitions", "properties"))


def loosened(schema: Any) -> Any:
    """A schema with nothing in it but what every grammar compiler knows; whatever satisfies the schema satisfies it
    too.
    """
    if isinstance(schema, list):
        return [loosened(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _NAMED and isinstance(value, Mapping):
            found[name] = {key: loosened(one) for key, one in value.items()}
        elif name in ("const", "enum", "required", "type"):
            found[name] = value
        elif name in _KEPT:
            found[name] = loosened(value)
    if "patternProperties" in schema and "additionalProperties" in found:
        found["additionalProperties"] = True  # those that the patterns allow are not known any more
    return found


class Asked:
    """A question under way."""

    __slots__ = ("key", "number", "request", "size", "start", "ticket")

    def __init__(self, number: str, key: bytes, request: Request, start: int, size: int, ticket: int | None) -> None:
        self.number, self.key, self.request = number, key, request
        self.start, self.size, self.ticket = start, size, ticket


def failure(problem: str) -> dict[str, Any]:
    return {"text": "", "finish": "failed", "problem": problem, "prompt_tokens": 0, "completion_tokens": 0}


def raw_of(output: Any, asked: Asked) -> dict[str, Any]:
    """What the engine said, as JSON."""
    said = output.outputs[0]
    if asked.request.prompt_logprobs:
        given = output.prompt_logprobs
        if given is None or len(given) != asked.size:
            return failure("vLLM gave no log-probabilities of the prompt")
        # Nothing comes before the very first token, so nothing says how likely it was.
        places = range(max(1, asked.start), asked.size)
        scored = [_scored(given[place], output.prompt_token_ids[place], asked.request.top_logprobs) for place in places]
        return {
            "text": "",
            "finish": "stop",
            "prompt_tokens": asked.size,
            "completion_tokens": 0,
            "logprobs": scored,
        }
    finish = _FINISH.get(str(said.finish_reason))
    if finish is None:
        return failure(f"vLLM gave it up (finish_reason: {said.finish_reason})")
    raw = {
        "text": said.text,
        "finish": finish,
        "prompt_tokens": asked.size,
        "completion_tokens": len(said.token_ids),
    }
    if asked.request.top_logprobs:
        if said.logprobs is None or len(said.logprobs) != len(said.token_ids):
            return failure("vLLM gave no log-probabilities")
        pairs = zip(said.logprobs, said.token_ids, strict=True)
        raw["logprobs"] = [_scored(place, token, asked.request.top_logprobs) for place, token in pairs]
    return raw


def _scored(place: Mapping[int, Any], token: int, most: int) -> list[Any]:
    """A token of the text with its log-probability and the likeliest tokens in its place."""
    own = place[token]
    best = sorted(place.values(), key=lambda one: -_logarithm(one.logprob))[:most]
    return [
        own.decoded_token or "",
        _logarithm(own.logprob),
        [[one.decoded_token or "", _logarithm(one.logprob)] for one in best],
    ]


def _logarithm(value: float) -> float:
    """JSON has no infinity, and rounding makes some values a little more than 0."""
    return LEAST_LOGPROB if math.isnan(value) else max(LEAST_LOGPROB, min(0.0, float(value)))


def read(raw: Mapping[str, Any], request: Request, *, split: bool, cached: bool) -> Answer:
    """What a raw answer says; ``split``: thoughts are no part of it."""
    answer = Answer(
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
    text, thought = separate_reasoning(answer.text, "", split=split, cut=cut, schema=request.schema is not None)
    logprobs = answer.logprobs
    return checked(answer.replace(text=text, reasoning=thought, transient=is_empty(raw)), request, lambda: logprobs)


def is_empty(raw: Mapping[str, Any]) -> bool:
    """Whether an answer ended by itself and says nothing; it is not kept."""
    return raw["finish"] == "stop" and not raw["text"].strip() and "logprobs" not in raw
