"""What a call may cost at most is reckoned before it is made, what it did cost afterwards; both in tokens and in money.

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
_ENOUGH = 20
_SPARE = 1.5


class Price(Params):
    """What a million tokens cost, in one currency for the whole catalog."""

    input: Annotated[float, Field(ge=0)] = 0.0
    """For a million tokens asked."""
    output: Annotated[float, Field(ge=0)] = 0.0
    """For a million tokens answered."""
    cached: Annotated[float, Field(ge=0)] | None = None
    """For a million tokens asked that the server still had from before; by default as ``input``."""

    def of(self, prompt: int, completion: int, cached: int = 0) -> float:
        """The price of a call."""
        held = min(cached, prompt)
        dear = (prompt - held) * self.input + held * (self.input if self.cached is None else self.cached)
        return (dear + completion * self.output) / 1e6


@dataclass
class Tally:
    """What was spent by one loaded model in this process."""

    calls: int = 0
    """Attempts that reached for the server, those in vain too."""
    answers: int = 0
    """Answers that came from the server."""
    kept: int = 0
    """Answers that were known already."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0


class Meter:
    """Estimates calls and learns from what they cost."""

    def __init__(self, price: Price, longest: int | None) -> None:
        """As the catalog says.

        Args:
            longest: the context length in tokens, if it is known: no call can cost more.
        """
        self.price = price
        self._longest = longest
        self._seen = 0
        self._dearest = 0.0

    def estimate(self, size: int, max_tokens: int) -> tuple[int, float]:
        """The most that a call may cost: tokens, money.

        Args:
            size: bytes of UTF-8 that are asked.
        """
        ratio = 1.0 if self._seen < _ENOUGH else min(1.0, self._dearest * _SPARE)
        prompt = int(size * ratio) + _TEMPLATE_TOKENS
        if self._longest is not None:
            prompt = min(prompt, self._longest)
            max_tokens = min(max_tokens, self._longest)
        return prompt + max_tokens, self.price.of(prompt, max_tokens)

    def learn(self, size: int, prompt_tokens: int) -> None:
        """A call of so many bytes had so many tokens."""
        self._seen += 1
        self._dearest = max(self._dearest, max(0, prompt_tokens - _TEMPLATE_TOKENS) / max(1, size))
