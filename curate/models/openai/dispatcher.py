"""Many questions go to one endpoint side by side, as many at once as it bears; each comes back once, and trouble for
all ends the line.

The work on the event loop behind a batch of questions: places, attempts, pauses, the budget, the storm rule. It knows
questions and raw answers, and nothing of rows.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from curate.errors import (
    BudgetError,
    ConnectError,
    ContentFilterError,
    CurateError,
    ModelError,
    RequestError,
    ServerError,
    ServerUnavailableError,
)
from curate.models.cache.responses import AnswerWriter
from curate.models.openai.http import Endpoint, Line, pause_before
from curate.models.openai.pricing import Meter, Tally
from curate.models.openai.wire import Question, finish_of, may_keep, text_size, usage_of
from curate.steps.models import Ledger

WINDOW, FEWEST = 50, 20
"""Of so many last questions (once so many have ended) no greater share than ``max_failed`` may have failed for good."""


@dataclass(frozen=True)
class Job:
    """A question to ask."""

    index: int
    question: Question
    size: int
    """Bytes of UTF-8 that are asked."""
    max_tokens: int
    fresh: bool = False
    """Whether the answer takes the place of one that is kept."""


@dataclass(frozen=True)
class Outcome:
    """What came of a question."""

    raw: Any = None
    failure: RequestError | None = None
    """Why there is no answer."""
    told: str = ""
    """The same for people, with how often it was tried."""
    shared: bool = False
    """Whether somebody else asked the very same at the same time."""


Deliver = Callable[[int, Outcome], None]


class _Run:
    """One batch under way."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self.error: BaseException | None = None
        self.attempting: set[asyncio.Task[None]] = set()

    def stop(self, error: BaseException) -> None:
        self.error = self.error or error
        self.stopped.set()


class Asker:
    """Asks one endpoint; all of it but the constructor runs on the loop."""

    def __init__(
        self, name: str, endpoint: Endpoint, meter: Meter, tally: Tally, writer: AnswerWriter, max_failed: float
    ) -> None:
        """As the catalog says.

        Args:
            name: ``name@revision``, for the ledger and in errors.
        """
        self.name = name
        self.endpoint = endpoint
        self.ledger: Ledger | None = None
        self.tally = tally
        self._meter = meter
        self._writer = writer
        self._max_failed = max_failed
        self._line: Line | None = None
        self._asked: dict[bytes, asyncio.Future[Outcome | None]] = {}
        self._last: deque[tuple[str, RequestError | None]] = deque(maxlen=WINDOW)
        self._reserved = 0
        self._under_way = 0
        self._settled: asyncio.Event | None = None

    async def run(self, jobs: Sequence[Job], deliver: Deliver) -> None:
        """Asks all of them and delivers each outcome as it comes.

        Raises:
            ModelError, BudgetError: the line was stopped; what was under way then was still waited for.
        """
        run = _Run()
        queue = iter(jobs)
        if self._line is None:
            self._line = Line(self.endpoint)
        count = min(len(jobs), self._line.pace.most)
        workers = [asyncio.create_task(self._work(queue, run, deliver)) for _ in range(count)]
        everybody = asyncio.gather(*workers)
        stopper = asyncio.create_task(run.stopped.wait())
        try:
            both: set[asyncio.Future[Any]] = {everybody, stopper}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if run.error is not None:
                for worker in set(workers) - run.attempting:
                    worker.cancel()
                # What is under way will be paid for: its answer is worth waiting for.
                await asyncio.wait(workers, timeout=self.endpoint.timeout + 5)
        finally:
            stopper.cancel()
            for worker in workers:
                worker.cancel()
            ended = await asyncio.gather(*workers, return_exceptions=True)
            everybody.cancel()
        defects = [one for one in ended if isinstance(one, Exception)]
        if defects:
            raise defects[0]
        if isinstance(run.error, ModelError):
            run.error.model = run.error.model or self.name
        if run.error is not None:
            raise run.error

    async def close(self) -> None:
        """Closes the connections."""
        if self._line is not None:
            line, self._line = self._line, None
            await line.close()

    # ------------------------------------------------------------------------------------------------------- one worker
    async def _work(self, queue: Iterator[Job], run: _Run, deliver: Deliver) -> None:
        for job in queue:
            if run.error is not None:
                return
            try:
                outcome = await self._ask_once(job, run)
            except ModelError as error:
                run.stop(error)
                return
            if outcome is None:
                return
            deliver(job.index, outcome)
            try:
                self._watch(outcome)
            except CurateError as error:
                run.stop(error)
                return

    async def _ask_once(self, job: Job, run: _Run) -> Outcome | None:
        """As :meth:`_ask`, but one who asks what is being asked already waits for that answer."""
        key = job.question.key
        while (other := self._asked.get(key)) is not None:
            await asyncio.wait([other])
            if not other.cancelled() and (outcome := other.result()) is not None:
                return replace(outcome, shared=True)
            if run.error is not None:
                return None
        mine = self._asked[key] = asyncio.get_running_loop().create_future()
        outcome = None
        try:
            outcome = await self._ask(job, run)
        finally:
            self._asked.pop(key, None)
            mine.set_result(outcome)
        return outcome

    async def _ask(self, job: Job, run: _Run) -> Outcome | None:
        """Tries until there is an answer, a failure for good, or the run was stopped (None)."""
        loop = asyncio.get_running_loop()
        begun, tries, counted = loop.time(), 0, 0
        while True:
            try:
                raw = await self._attempt(job, run)
                return None if raw is None else Outcome(raw)
            except ServerError as trouble:
                alive = self.endpoint.alive
                if alive is not None and not alive():
                    raise ServerUnavailableError(f"{self.name}: {trouble}; its server is gone") from None
                tries += 1
                counted += trouble.counts
                pause = pause_before(trouble, tries, self.endpoint)
                left = begun + self.endpoint.deadline - loop.time() - pause
                if counted > self.endpoint.retries or left <= 0 or not trouble.again:
                    # No seconds: an outcome that is the same is told in the same words.
                    told = f"{trouble} (tried {tries} times)" if trouble.again else str(trouble)
                    if isinstance(trouble, ConnectError):
                        message = f"{self.name}: {told}; is the server running, and 'url' right?"
                        raise trouble.with_message(message) from None
                    return Outcome(failure=trouble, told=told)
                if run.error is not None:
                    return None
                await asyncio.sleep(pause)
            except RequestError as error:
                return Outcome(failure=error, told=str(error))

    async def _attempt(self, job: Job, run: _Run) -> Any:
        assert self._line is not None
        line = self._line
        number = await self._reserve(job)
        spent, cost = (0, 0), 0.0
        try:
            ticket = await line.pace.acquire()
            trouble: bool | None = None
            task = asyncio.current_task()
            assert task is not None
            try:
                await self._written()
                if run.error is not None:
                    return None
                run.attempting.add(task)
                self._under_way += 1
                self.tally.calls += 1
                raw, kept = await line.attempt(job.question)
                trouble = False
            except ServerError as error:
                trouble = True if error.load else None
                if error.retry_after is not None:
                    line.pace.pause(error.retry_after)
                raise
            finally:
                if task in run.attempting:
                    run.attempting.discard(task)
                    self._under_way -= 1
                line.pace.release(ticket, trouble=trouble)
            kind = job.question.kind
            if may_keep(kind, raw):
                self._writer.put(job.question.key, kept, replace=job.fresh)
            prompt, completion, held = usage_of(kind, raw) or (job.size // 3 + 1, text_size(kind, raw) // 3 + 1, 0)
            self._meter.learn(job.size, prompt)
            spent, cost = (prompt, completion), self._meter.price.of(prompt, completion, held)
            self.tally.answers += 1
            self.tally.prompt_tokens += prompt
            self.tally.completion_tokens += completion
            self.tally.money += cost
            return raw
        finally:
            self._settle(number, spent, cost)

    # ------------------------------------------------------------------------------------------------------ the budget
    async def _reserve(self, job: Job) -> int | None:
        """A number from the ledger; waits while calls under way may still turn out cheaper than reckoned."""
        if self.ledger is None:
            return None
        tokens, money = self._meter.estimate(job.size, job.max_tokens)
        if self._settled is None:
            self._settled = asyncio.Event()
        while True:
            try:
                number = self.ledger.reserve(self.name, tokens, money)
            except BudgetError:
                if not self._reserved:
                    raise
                self._settled.clear()
                await self._settled.wait()
            else:
                self._reserved += 1
                return number

    def _settle(self, number: int | None, spent: tuple[int, int], cost: float) -> None:
        if number is None or self.ledger is None:
            return
        self._reserved -= 1
        try:
            self.ledger.settle(number, *spent, cost)
        finally:
            if self._settled is not None:
                self._settled.set()

    async def _written(self) -> None:
        """Waits while a slow disk has so much left to write that a kill would lose more than twice ``concurrency``
        calls.
        """
        while self._writer.backlog + self._under_way >= 2 * self.endpoint.concurrency and not self._writer.failed:
            await asyncio.sleep(0.001)

    # ------------------------------------------------------------------------------------------------------- the storm
    def _watch(self, outcome: Outcome) -> None:
        """Raises ModelError when too many of the last questions failed for good, or answers cannot be kept.

        If more than half of them failed in the same way, it is raised as the class of that failure.
        """
        if self._writer.failed:
            self._writer.flush()
        failure = "" if isinstance(outcome.failure, ContentFilterError) else outcome.told
        if outcome.failure is None and "choices" in outcome.raw and finish_of("chat", outcome.raw) == "failed":
            failure = "a tool is called in place of an answer"
        self._last.append((failure, outcome.failure))
        failures = [(text, error) for text, error in self._last if text]
        if len(self._last) >= FEWEST and len(failures) > self._max_failed * len(self._last):
            texts = list(dict.fromkeys(text for text, _ in reversed(failures)))[:3]
            count = len(self._last)
            self._last.clear()
            message = (
                f"{self.name}: {len(failures)} of the last {count} questions failed for good, so no more are asked "
                f"('max_failed' allows a share of {self._max_failed:g}). The last errors: " + " | ".join(texts)
            )
            kind, number = Counter(type(error) for _, error in failures).most_common(1)[0]
            last = next((error for _, error in reversed(failures) if type(error) is kind), None)
            raise last.with_message(message) if last and number > len(failures) / 2 else ModelError(message)
