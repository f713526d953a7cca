"""Prices, usage counters, and the estimate of a call's maximum cost in tokens and money.

Before the first answers nothing is known of a server's tokens, so each byte of UTF-8 counts as one (there cannot be
more, but for the template's marks); afterwards the dearest answer so far says how many tokens a byte may be, with half
as much again to spare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from curate.catalog.params import Params

_TEMPLATE_TOKENS = 64
_MIN_OBSERVATIONS = 20
_MARGIN = 1.5


class Price(Params):
    """Price of a million tokens, in one currency for the whole catalog."""

    input: Annotated[float, Field(ge=0)] = 0.0
    """For a million prompt tokens."""
    output: Annotated[float, Field(ge=0)] = 0.0
    """For a million completion tokens."""
    cached: Annotated[float, Field(ge=0)] | None = None
    """For a million prompt tokens in the server's own cache; by default as ``input``."""

    def of(self, prompt: int, completion: int, cached: int = 0) -> float:
        """The price of a call."""
        cached = min(cached, prompt)
        input_price = (prompt - cached) * self.input + cached * (self.input if self.cached is None else self.cached)
        return (input_price + completion * self.output) / 1e6

    def times(self, share: float) -> Price:
        """The price where all of it is charged at a share."""
        cached = None if self.cached is None else self.cached * share
        return Price(input=self.input * share, output=self.output * share, cached=cached)


@dataclass
class Usage:
    """Calls, tokens and money of one loaded model in this process."""

    calls: int = 0
    """Attempts, including failed ones."""
    answers: int = 0
    """Responses from the server."""
    cached: int = 0
    """Responses from the cache."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0


class CostEstimator:
    """Estimates the maximum cost of calls and learns from their actual cost."""

    def __init__(self, price: Price, longest: int | None) -> None:
        """Starts without observations.

        Args:
            longest: the context length in tokens, if it is known: no call can cost more.
        """
        self.price = price
        self._longest = longest
        self._observations = 0
        self._most_per_byte = 0.0

    def estimate(self, size: int, max_tokens: int) -> tuple[int, float]:
        """The maximum cost of a call: tokens, money.

        Args:
            size: bytes of UTF-8 of the prompt.
        """
        ratio = 1.0 if self._observations < _MIN_OBSERVATIONS else min(1.0, self._most_per_byte * _MARGIN)
        prompt = int(size * ratio) + _TEMPLATE_TOKENS
        if self._longest is not None:
            prompt = min(prompt, self._longest)
            max_tokens = min(max_tokens, self._longest)
        return prompt + max_tokens, self.price.of(prompt, max_tokens)

    def learn(self, size: int, prompt_tokens: int) -> None:
        """Records that a prompt of ``size`` bytes had so many tokens."""
        self._observations += 1
        self._most_per_byte = max(self._most_per_byte, max(0, prompt_tokens - _TEMPLATE_TOKENS) / max(1, size))
