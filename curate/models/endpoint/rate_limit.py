"""Limits the concurrent requests to an endpoint by additive increase and multiplicative decrease, as TCP does.

Chiu and Jain (1989). Until the first overload the limit grows by one per response, afterwards by one per round of
responses. An overload halves it, once for all requests that were in flight. ``Retry-After`` pauses all requests. Each
endpoint has one :class:`AdaptiveConcurrencyLimiter` per process; it belongs to one event loop and needs no lock.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_PAUSE = 600.0
"""Seconds; a longer ``Retry-After`` is cut to this."""


class AdaptiveConcurrencyLimiter:
    """The number of requests that may be in flight at one endpoint."""

    def __init__(self, start: int, most: int) -> None:
        self.most = max(1, most)
        self.limit = float(min(max(1, start), self.most))
        self.in_flight = 0
        self.decreases = 0
        """How often the limit was halved."""
        self._slow_start = True
        self._paused_until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def raise_limit(self, most: int) -> None:
        """Raises the maximum: of several models at the same endpoint the greatest ``concurrency`` counts."""
        self.most = max(self.most, most)

    async def acquire(self) -> int:
        """Waits for a free slot; returns the ticket for :meth:`release`."""
        if self.in_flight < int(self.limit) and not self._waiting:
            self.in_flight += 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.in_flight -= 1
                    self._wake()
                raise
        try:
            while (rest := self._paused_until - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(rest)
        except asyncio.CancelledError:
            self.in_flight -= 1
            self._wake()
            raise
        return self.decreases

    def release(self, ticket: int, *, overloaded: bool | None) -> None:
        """Frees the slot.

        Args:
            overloaded: whether the endpoint reported overload (429, 5xx, timeout); None if the result says nothing
                about its load.
        """
        if overloaded and ticket == self.decreases:
            self.decreases += 1
            self.limit = max(1.0, self.limit / 2)
            self._slow_start = False
        elif overloaded is False and self.in_flight >= int(self.limit) and self.limit < self.most:
            self.limit = min(self.most, self.limit + (1.0 if self._slow_start else 1.0 / self.limit))
        self.in_flight -= 1
        self._wake()

    def pause(self, seconds: float) -> None:
        """Starts no request for this long."""
        until = asyncio.get_running_loop().time() + min(seconds, LONGEST_PAUSE)
        self._paused_until = max(self._paused_until, until)

    def _wake(self) -> None:
        while self._waiting and self.in_flight < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds of a ``Retry-After`` header (RFC 9110: seconds or an HTTP date); None if it has none."""
    if not value:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if seconds == seconds and seconds != float("inf") else None


def backoff(tries: int, first: float, most: float = 60.0) -> float:
    """Seconds before retry number ``tries``: exponential, with a jitter between half and the whole of it."""
    whole: float = min(most, first * 2 ** min(tries - 1, 16))
    return whole * random.uniform(0.5, 1.0)
