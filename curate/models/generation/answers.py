"""Makes an answer from a response: separates reasoning, attaches log-probabilities, validates the schema."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from curate.errors import BadRequestError
from curate.models.generation.reasoning import split_thoughts
from curate.models.generation.structured_output import compile_schema
from curate.steps.models import Completion, Request, TokenLogprob

REASONING_ONLY = "it holds thoughts only, and no answer"


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


def checked(answer: Completion, request: Request, logprobs: Callable[[], tuple[TokenLogprob, ...]]) -> Completion:
    """A complete or truncated answer, checked for log-probabilities, text and schema."""
    if request.top_logprobs:
        tokens = logprobs()
        if not tokens and answer.text:
            return answer.replace(
                finish="failed", problem="the server sent no log-probabilities", error=BadRequestError.__name__
            )
        answer = answer.replace(logprobs=tokens)
    if answer.finish != "stop" or answer.tool_calls:
        return answer
    if not answer.text.strip() and answer.reasoning:
        return answer.replace(finish="invalid", problem=REASONING_ONLY)
    if request.schema is not None:
        value, problem = compile_schema(request.schema).read(answer.text)
        return answer.replace(finish="invalid", problem=problem) if problem else answer.replace(value=value)
    return answer


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True
