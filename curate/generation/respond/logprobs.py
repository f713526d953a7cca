"""The most likely tokens of an answer as the text of an attribute, for training by distillation, and back.

The text is JSON: ``of`` (a digest of the answer that it is about), ``tokens`` and ``logprobs`` (one for each token of
the answer), and ``top`` (for each token the most likely ones at its place and their log-probabilities in turn).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from curate.rows.ids import hash_texts
from curate.steps.models import TokenLogprob

NAME = "logprobs"
"""Of the attribute, after the label of the step."""
_DIGITS = 4


@dataclass(frozen=True)
class AnswerLogprobs:
    """The tokens of an answer with their log-probabilities, and the most likely ones at each place, best first."""

    tokens: list[str]
    logprobs: list[float]
    top_tokens: list[list[str]]
    top_logprobs: list[list[float]]


def write_logprobs(answer: str, tokens: Sequence[TokenLogprob], most: int) -> str:
    """The attribute's text.

    Args:
        answer: the answer as it is in the row.
        most: the number of tokens that are kept at each place.
    """
    top: list[list[Any]] = [
        [part for token, value in one.top[:most] for part in (_clean(token), round(value, _DIGITS))] for one in tokens
    ]
    value = {
        "of": _digest(answer),
        "tokens": [_clean(one.token) for one in tokens],
        "logprobs": [round(one.logprob, _DIGITS) for one in tokens],
        "top": top,
    }
    return orjson.dumps(value).decode()


def read_logprobs(text: str, answer: str) -> AnswerLogprobs | None:
    """What an attribute says; None if it is about another answer than this.

    Raises:
        ValueError: it is no such text.
    """
    try:
        value = orjson.loads(text)
        top = value["top"]
        found = AnswerLogprobs(
            value["tokens"], value["logprobs"], [one[::2] for one in top], [one[1::2] for one in top]
        )
        if not len(found.tokens) == len(found.logprobs) == len(top):
            raise ValueError("its lists are of different length")
        return found if value["of"] == _digest(answer) else None
    except (KeyError, TypeError, orjson.JSONDecodeError) as error:
        raise ValueError(f"not written by respond ({error})") from None


def _digest(answer: str) -> str:
    [digest] = hash_texts([answer], 8)
    return digest.hex()


def _clean(token: str) -> str:
    """A token of half a letter may be a lone surrogate, which no file takes."""
    return token.encode("utf-8", "replace").decode()
