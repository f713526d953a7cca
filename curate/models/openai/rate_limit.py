"""How many questions an endpoint gets at once is what it bears: fewer at once when it complains, slowly more while it
does not.

Additive increase, multiplicative decrease, as TCP does (Chiu and Jain 1989): before the first complaint one more for
every answer, afterwards one more for every round of answers; a complaint halves, once for all questions that were under
way when it came. ``Retry-After`` holds everybody back. One :class:`Pace` an endpoint, shared by all who ask it in this
process; it belongs to one event loop and needs no lock.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_PAUSE = 600.0
"""Seconds; a server that wants to be left alone for longer is asked again after this."""


class Pace:
    """The number of questions that may be under way at one endpoint."""

    def __init__(self, start: int, most: int) -> None:
        self.most = max(1, most)
        self.limit = float(min(max(1, start), self.most))
        self.under_way = 0
        self.cuts = 0
        """How often it was halved."""
        self._untroubled = True
        self._paused_until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def allow(self, most: int) -> None:
        """Somebody else with a limit of his own asks the same endpoint: the greatest limit counts."""
        self.most = max(self.most, most)

    async def acquire(self) -> int:
        """Waits for a place; gives the ticket that :meth:`release` wants back."""
        if self.under_way < int(self.limit) and not self._waiting:
            self.under_way += 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.under_way -= 1
                    self._wake()
                raise
        try:
            while (rest := self._paused_until - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(rest)
        except asyncio.CancelledError:
            self.under_way -= 1
            self._wake()
            raise
        return self.cuts

    def release(self, ticket: int, *, trouble: bool | None) -> None:
        """Gives the place back.

        Args:
            trouble: whether the endpoint complained (429, 5xx, no answer in time); None if that says nothing about its
                load.
        """
        if trouble and ticket == self.cuts:
            self.cuts += 1
            self.limit = max(1.0, self.limit / 2)
            self._untroubled = False
        elif trouble is False and self.under_way >= int(self.limit) and self.limit < self.most:
            self.limit = min(self.most, self.limit + (1.0 if self._untroubled else 1.0 / self.limit))
        self.under_way -= 1
        self._wake()

    def pause(self, seconds: float) -> None:
        """Nobody begins a question for so long."""
        until = asyncio.get_running_loop().time() + min(seconds, LONGEST_PAUSE)
        self._paused_until = max(self._paused_until, until)

    def _wake(self) -> None:
        while self._waiting and self.under_way < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self.under_way += 1
                turn.set_result(None)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a ``Retry-After`` header asks to wait (RFC 9110: seconds or an HTTP date); None if it says
    nothing.
    """
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
    """Seconds to wait before trying again for the ``tries``-th time: doubled each time, between half and the whole of
    it by chance.
    """
    whole: float = min(most, first * 2 ** min(tries - 1, 16))
    return whole * random.uniform(0.5, 1.0)
