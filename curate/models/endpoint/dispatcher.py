"""Sends a batch of requests to one endpoint concurrently, with retries, budget and circuit breaker.

It knows request bodies and raw responses only, and runs on the process's event loop
(:mod:`curate.models.endpoint.http`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

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
from curate.models.endpoint.http import Endpoint, EndpointClient, pause_before
from curate.models.endpoint.pricing import CostEstimator, Usage
from curate.models.endpoint.wire import Reply, RequestBody, Wire
from curate.models.endpoint.wire import Usage as CallUsage
from curate.steps.models import Ledger

T = TypeVar("T")
WINDOW, MIN_WINDOW = 50, 20
"""The circuit breaker looks at the last 50 requests, once 20 have ended: at most the share ``max_failed`` of them may
have failed for good."""


@dataclass(frozen=True)
class Job:
    """A request to send."""

    index: int
    body: RequestBody
    size: int
    """Bytes of UTF-8 of the prompt; 0 if it is not known."""
    max_tokens: int
    fresh: bool = False
    """Whether the response replaces a cached one."""


@dataclass(frozen=True)
class RequestResult:
    """A raw response, or the failure of a request."""

    raw: Any = None
    reply: Reply | None = None
    """What the raw response says."""
    failure: RequestError | None = None
    message: str = ""
    """The failure's message, with the number of attempts."""
    shared: bool = False
    """Whether an identical request was in flight and its response was used."""
    remark: str = ""
    """What the user should know of how it was sent."""


Deliver = Callable[[int, RequestResult], None]


class _Run:
    """The state of one batch."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self.error: BaseException | None = None
        self.attempting: set[asyncio.Task[None]] = set()

    def stop(self, error: BaseException) -> None:
        self.error = self.error or error
        self.stopped.set()


class RequestDispatcher:
    """Sends requests to one endpoint; all methods but the constructor run on the event loop."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        wire: Wire,
        estimator: CostEstimator,
        usage: Usage,
        writer: AnswerWriter,
        max_failed: float,
    ) -> None:
        """Connects to nothing yet.

        Args:
            name: ``name@revision``, for the ledger and for errors.
        """
        self.name = name
        self.endpoint = endpoint
        self.wire = wire
        self.ledger: Ledger | None = None
        self.usage = usage
        self._estimator = estimator
        self._writer = writer
        self._max_failed = max_failed
        self._client: EndpointClient | None = None
        self._pending: dict[bytes, asyncio.Future[RequestResult | None]] = {}
        """Request key → its result, for requests in flight."""
        self._recent: deque[tuple[str, RequestError | None]] = deque(maxlen=WINDOW)
        """Of the last requests, the message (empty for a success) and the error."""
        self._reserved = 0
        self._in_flight = 0
        self._settled: asyncio.Event | None = None

    async def run(self, jobs: Sequence[Job], deliver: Deliver) -> None:
        """Sends all requests and delivers each result as it arrives.

        Raises:
            ModelError, BudgetError: the batch was stopped; requests in flight were awaited.
        """
        run = _Run()
        queue = iter(jobs)
        count = min(len(jobs), self._connected().limiter.most)
        workers = [asyncio.create_task(self._work(queue, run, deliver)) for _ in range(count)]
        all_workers = asyncio.gather(*workers)
        all_workers.add_done_callback(lambda done: done.cancelled() or done.exception())  # raised below, not twice
        stopper = asyncio.create_task(run.stopped.wait())
        try:
            first: set[asyncio.Future[Any]] = {all_workers, stopper}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if run.error is not None:
                for worker in set(workers) - run.attempting:
                    worker.cancel()
                # Requests in flight will be charged for, so their responses are awaited and cached.
                await asyncio.wait(workers, timeout=self.endpoint.timeout + 5)
        finally:
            stopper.cancel()
            for worker in workers:
                worker.cancel()
            ended = await asyncio.gather(*workers, return_exceptions=True)
            all_workers.cancel()
        defects = [one for one in ended if isinstance(one, Exception)]
        if defects:
            raise defects[0]
        if isinstance(run.error, ModelError):
            run.error.model = run.error.model or self.name
        if run.error is not None:
            raise run.error

    def _connected(self) -> EndpointClient:
        if self._client is None:
            self._client = EndpointClient(self.endpoint, self.wire)
        return self._client

    async def close(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    # ------------------------------------------------------------------------------------------------------- one worker
    async def _work(self, queue: Iterator[Job], run: _Run, deliver: Deliver) -> None:
        for job in queue:
            if run.error is not None:
                return
            try:
                result = await self._send_once(job, run)
                if result is None:
                    return
                deliver(job.index, result)
                self._check_failure_rate(result)
            except CurateError as error:
                run.stop(error)
                return

    async def _send_once(self, job: Job, run: _Run) -> RequestResult | None:
        """As :meth:`_send`, but an identical request in flight is awaited instead of sent again."""
        key = job.body.key
        while (other := self._pending.get(key)) is not None:
            await asyncio.wait([other])
            if not other.cancelled() and (result := other.result()) is not None:
                return replace(result, shared=True)
            if run.error is not None:
                return None
        own = self._pending[key] = asyncio.get_running_loop().create_future()
        result = None
        try:
            result = await self._send(job, run)
        finally:
            self._pending.pop(key, None)
            own.set_result(result)
        return result

    async def _send(self, job: Job, run: _Run) -> RequestResult | None:
        """Tries until there is a response, a final failure, or the run was stopped (None)."""
        try:
            return await self._retry(lambda: self._attempt(job, run), lambda: run.error is not None)
        except RequestError as error:
            if isinstance(error, ConnectError) or self._server_is_gone():
                raise
            return RequestResult(failure=error, message=str(error))

    async def _retry(self, attempt: Callable[[], Awaitable[T]], stopped: Callable[[], bool] | None = None) -> T | None:
        """Tries until there is a result, or until it was stopped (None).

        Raises:
            ServerError: the last one, with the number of attempts; the retries or the deadline are used up.
            ModelError: it makes no sense to try again.
        """
        loop = asyncio.get_running_loop()
        started, tries, counted = loop.time(), 0, 0
        while True:
            try:
                return await attempt()
            except ServerError as error:
                if self._server_is_gone():
                    raise ServerUnavailableError(f"{self.name}: {error}; its server is gone") from None
                tries += 1
                counted += error.counts
                pause = pause_before(error, tries, self.endpoint)
                left = started + self.endpoint.deadline - loop.time() - pause
                if counted > self.endpoint.retries or left <= 0 or not error.again:
                    # No durations: equal outcomes have equal messages.
                    message = f"{error} (tried {tries} times)" if error.again else str(error)
                    if isinstance(error, ConnectError):
                        message = f"{self.name}: {message}; is the server running, and 'url' right?"
                    raise error.with_message(message) from None
                if stopped is not None and stopped():
                    return None
                await asyncio.sleep(pause)

    def _server_is_gone(self) -> bool:
        return self.endpoint.alive is not None and not self.endpoint.alive()

    async def _attempt(self, job: Job, run: _Run) -> RequestResult | None:
        assert self._client is not None
        client = self._client
        reservation = await self._reserve(job)
        spent, cost = (0, 0), 0.0
        try:
            ticket = await client.limiter.acquire()
            overloaded: bool | None = None
            task = asyncio.current_task()
            assert task is not None
            try:
                await self._disk_has_caught_up()
                if run.error is not None:
                    return None
                run.attempting.add(task)
                self._in_flight += 1
                self.usage.calls += 1
                raw, cacheable = await client.attempt(job.body)
                overloaded = False
            except ServerError as error:
                overloaded = True if error.load else None
                if error.retry_after is not None:
                    client.limiter.pause(error.retry_after)
                raise
            finally:
                if task in run.attempting:
                    run.attempting.discard(task)
                    self._in_flight -= 1
                client.limiter.release(ticket, overloaded=overloaded)
            result, spent, cost = self._received(job, raw, cacheable)
            return result
        finally:
            self._settle(reservation, spent, cost)

    def _received(self, job: Job, raw: Any, cacheable: Any) -> tuple[RequestResult, tuple[int, int], float]:
        """Caches and counts a response; returns it with its tokens (prompt, completion) and its cost."""
        reply = self.wire.read(job.body, raw)
        if reply.cacheable:
            self._writer.put(job.body.key, cacheable, replace=job.fresh)
        estimate = CallUsage(job.size // 3 + 1, len(reply.text.encode(errors="replace")) // 3 + 1)
        prompt, completion, cached = reply.usage or estimate
        if job.size:
            self._estimator.learn(job.size, prompt)
        cost = self._estimator.price.of(prompt, completion, cached)
        self.usage.answers += 1
        self.usage.prompt_tokens += prompt
        self.usage.completion_tokens += completion
        self.usage.money += cost
        return RequestResult(raw, reply), (prompt, completion), cost

    # ------------------------------------------------------------------------------------------------------- the budget
    async def _reserve(self, job: Job) -> int | None:
        """A reservation in the ledger; waits while calls in flight may still cost less than they reserved."""
        if self.ledger is None:
            return None
        tokens, money = self._estimator.estimate(job.size, job.max_tokens)
        if self._settled is None:
            self._settled = asyncio.Event()
        while True:
            try:
                reservation = self.ledger.reserve(self.name, tokens, money)
            except BudgetError:
                if not self._reserved:
                    raise
                self._settled.clear()
                await self._settled.wait()
            else:
                self._reserved += 1
                return reservation

    def _settle(self, reservation: int | None, spent: tuple[int, int], cost: float) -> None:
        if reservation is None or self.ledger is None:
            return
        self._reserved -= 1
        try:
            self.ledger.settle(reservation, *spent, cost)
        finally:
            if self._settled is not None:
                self._settled.set()

    async def _disk_has_caught_up(self) -> None:
        """Waits for a slow disk, so that a kill loses at most twice ``concurrency`` responses."""
        while self._writer.backlog + self._in_flight >= 2 * self.endpoint.concurrency and not self._writer.failed:
            await asyncio.sleep(0.001)

    # -------------------------------------------------------------------------------------------------- circuit breaker
    def _check_failure_rate(self, result: RequestResult) -> None:
        """Stops the batch when too many of the last requests failed for good, or when responses cannot be cached.

        Raises:
            ModelError: too many failed; of the class of more than half of the failures, if there is one.
            DiskFullError, ModelError: responses cannot be cached.
        """
        if self._writer.failed:
            self._writer.flush()
        self._recent.append(outcome_of(result))
        count = len(self._recent)
        if count >= MIN_WINDOW and sum(bool(text) for text, _ in self._recent) > self._max_failed * count:
            outcomes = list(self._recent)
            self._recent.clear()
            raise self._too_many_failed(outcomes, f"of the last {count} requests failed for good, so no more are sent")

    def _too_many_failed(self, outcomes: Sequence[tuple[str, RequestError | None]], what: str) -> ModelError:
        failures = [(text, error) for text, error in outcomes if text]
        examples = list(dict.fromkeys(text for text, _ in reversed(failures)))[:3]
        summary = (
            f"{self.name}: {len(failures)} {what}"
            f" ('max_failed' allows a share of {self._max_failed:g}). The last errors: " + " | ".join(examples)
        )
        kind, number = Counter(type(error) for _, error in failures).most_common(1)[0]
        last = next((error for _, error in reversed(failures) if type(error) is kind), None)
        return last.with_message(summary) if last and number > len(failures) / 2 else ModelError(summary)


def outcome_of(result: RequestResult) -> tuple[str, RequestError | None]:
    """For the circuit breaker, the message of a failure (empty for a success) and the error."""
    if result.reply is not None and result.reply.finish == "failed":
        return result.reply.problem, result.failure
    return "" if isinstance(result.failure, ContentFilterError) else result.message, result.failure
