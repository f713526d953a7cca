"""Parses log-probabilities of responses, in both formats of OpenAI's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.steps.models import TokenLogprob

LEAST_LOGPROB = -9999.0
"""Stands for the logarithm of 0, as vLLM writes it; JSON has no infinity."""


def token_logprobs(found: Any) -> tuple[TokenLogprob, ...]:
    """Parses both formats: the chat endpoint's list of tokens, the completions endpoint's parallel lists."""
    if not isinstance(found, dict):
        return ()
    content = found.get("content")
    if isinstance(content, list):
        return tuple(
            TokenLogprob(str(one.get("token", "")), _logarithm(one.get("logprob")), _best(one.get("top_logprobs")))
            for one in content
            if isinstance(one, dict)
        )
    return parallel_logprobs(found)


def parallel_logprobs(found: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
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
