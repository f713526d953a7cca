"""Sends requests through a provider's batch interface: submits, waits for hours where needed, collects.

The id of a batch is on disk before anything is waited for. A build that asks for the same answers again, after a kill
or an error, finds its batch there and collects it. What concerns a whole batch (no connection, a refused key, a limit
on batches) stops the build; what concerns one request fails that request, as when it is sent by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from curate.errors import (
    AddressError,
    BudgetError,
    ConnectError,
    ContextWindowError,
    CurateError,
    ModelError,
    RequestError,
    ServerError,
    ServerTimeoutError,
)
from curate.models.endpoint.batches import Batch, BatchInterface, BatchRecord, BatchRecords, BatchResult
from curate.models.endpoint.dispatcher import MIN_WINDOW, Deliver, Job, RequestDispatcher, RequestResult, outcome_of
from curate.models.endpoint.errors import classify_error_body, display_url
from curate.models.endpoint.wire import RequestBody, json_text

FIRST_POLL, LONGEST_POLL = 2.0, 60.0
"""Seconds before the second look at a batch, and at most between two."""
_ENVELOPE = 1_000
"""Bytes of a submission around its requests, at most."""
_LOG = logging.getLogger("curate.models")


class _UnknownError(ServerError):
    """Nobody knows whether a submission has succeeded."""


class BatchDispatcher(RequestDispatcher):
    """Sends requests to one endpoint in batches; all methods but the constructor run on the event loop."""

    def __init__(self, *given: Any, interface: BatchInterface, records: BatchRecords) -> None:
        """As :class:`RequestDispatcher`, with the protocol's batch interface and the records of its batches."""
        super().__init__(*given)
        self._interface = interface
        self._records = records
        self._one_at_a_time = asyncio.Lock()
        self._reservations: dict[str, int | None] = {}
        """Key of a request → its reservation in the ledger."""

    async def run(self, jobs: Sequence[Job], deliver: Deliver) -> None:
        """Submits all requests and delivers each batch's results when it has ended.

        Raises:
            ModelError, BudgetError: it cannot go on; batches that were submitted are collected by the next build.
        """
        async with self._one_at_a_time:
            try:
                await self._run(jobs, deliver)
            except ModelError as error:
                error.model = error.model or self.name
                raise
            finally:
                for reservation in self._reservations.values():
                    self._settle(reservation, (0, 0), 0.0)
                self._reservations.clear()

    async def _run(self, jobs: Sequence[Job], deliver: Deliver) -> None:
        asked = {job.body.key.hex(): job for job in jobs}
        running = await self._resumed(asked)
        submitted = {key for record in running for key in record.keys}
        for key in submitted:
            self._hold(asked.get(key), key, paid=True)
        left = deque(key for key in asked if key not in submitted)
        while left or running:
            running += await self._submit_all(left, asked, deliver, waiting=bool(running))
            if running:
                record, batch = await self._first_ended(running)
                running.remove(record)
                await self._collect(record, batch, asked, deliver)

    # ------------------------------------------------------------------------------------------------------ submitting
    async def _submit_all(
        self, left: deque[str], asked: dict[str, Job], deliver: Deliver, *, waiting: bool
    ) -> list[BatchRecord]:
        """Submits what is left, as far as the budget allows while others are under way."""
        made: list[BatchRecord] = []
        room = self._interface.most_bytes - _ENVELOPE
        while left:
            keys: list[str] = []
            items: list[bytes] = []
            size = 0
            afford = True
            while left and afford and len(keys) < self._interface.most_requests:
                job = asked[left[0]]
                item = self._interface.item(left[0], job.body)
                if len(item) > room:
                    message = f"a request of {len(item):,} bytes is too large for a batch ({room:,} bytes)"
                    left.popleft()
                    deliver(job.index, RequestResult(failure=ContextWindowError(message), message=message))
                    continue
                if size + len(item) > room:
                    break
                afford = self._hold(job, left[0], wait=bool(keys or made or waiting))
                if afford:
                    keys.append(left.popleft())
                    items.append(item)
                    size += len(item) + 1
            if keys:
                made.append(await self._submit(keys, items))
            if not afford:
                break
        return made

    def _hold(self, job: Job | None, key: str, *, paid: bool = False, wait: bool = False) -> bool:
        """Reserves the maximum cost of a request; with ``wait``, returns False where the budget does not allow it
        before others are settled, which mostly cost less than reserved.

        Raises:
            BudgetError: the budget does not allow it.
        """
        if self.ledger is None:
            return True
        tokens, money = (0, 0.0) if job is None else self._estimator.estimate(job.size, job.max_tokens)
        try:
            self._reservations[key] = self.ledger.reserve(self.name, tokens, money, paid=paid)
        except BudgetError:
            if not wait:
                raise
            return False
        self._reserved += 1
        return True

    async def _submit(self, keys: Sequence[str], items: Sequence[bytes]) -> BatchRecord:
        self.usage.calls += len(keys)
        record = self._records.add(keys, display_url(self.endpoint.base))
        try:
            given = await self._retry(lambda: self._once(items, record.name))
        except _UnknownError:
            raise  # the next build looks for it
        except ModelError as error:
            self._records.remove(record)
            if isinstance(error, AddressError):
                raise error.with_message(f"{error}; has this server a batch interface ('batch: true')?") from None
            raise
        assert given is not None
        # Nothing is awaited between the server's answer and the disk.
        record = self._records.identify(record, given)
        _LOG.info("batch submitted", extra={"batch": given, "model": self.name, "requests": len(keys)})
        return record

    async def _once(self, items: Sequence[bytes], name: str) -> str:
        """Submits a batch; tried again only where the server has said that it made none.

        Raises:
            _UnknownError: nobody knows whether it made one.
        """
        try:
            return await self._interface.submit(items, name, self._connected())
        except ServerError as error:
            if error.status is not None or isinstance(error, ConnectError):
                raise
            raise _UnknownError(
                f"{self.name}: it is not known whether the server made a batch of {len(items):,} requests, so they are"
                f" not sent again at once: {error}; build again: curate looks for it first",
                again=False,
            ) from None

    async def _resumed(self, asked: dict[str, Job]) -> list[BatchRecord]:
        """The batches of earlier builds that have an answer to one of these requests."""
        records = self._records.open()
        known, found = {record.id for record in records}, []
        for record in records:
            if asked.keys().isdisjoint(record.keys):
                continue
            if not record.id:  # its build ended before the server's answer
                given = await self._retry(partial(self._interface.find, record, known, self._connected()))
                if given is None:
                    self._records.remove(record)
                    continue
                record = self._records.identify(record, given)
            found.append(record)
        return found

    # --------------------------------------------------------------------------------------------------------- waiting
    async def _first_ended(self, running: Sequence[BatchRecord]) -> tuple[BatchRecord, Batch]:
        pause = FIRST_POLL
        while True:
            for record in running:
                batch = await self._of(record, lambda record=record: self._poll(record))
                if batch.state != "running":
                    return record, batch
            await asyncio.sleep(pause)
            pause = min(LONGEST_POLL, pause * 1.5)

    async def _poll(self, record: BatchRecord) -> Batch:
        return await self._interface.poll(record.id, self._connected())

    async def _of(self, record: BatchRecord, attempt: Any) -> Any:
        """What the server says of a batch.

        Raises:
            AddressError: it does not know the batch.
        """
        try:
            return await self._retry(attempt)
        except AddressError as error:
            raise error.with_message(
                f"{self.name}: the server does not have batch {record.id} or its results ({len(record.keys):,}"
                f" requests, submitted {record.submitted} to {record.server}): {error}; if they are gone for good,"
                f" delete {record.file} and build again: the requests are sent anew"
            ) from None

    # ------------------------------------------------------------------------------------------------------ collecting
    async def _collect(self, record: BatchRecord, batch: Batch, asked: dict[str, Job], deliver: Deliver) -> None:
        if batch.state == "failed":
            self._records.remove(record)
            raise self._refused(record, batch)
        found, strange = await self._of(record, lambda: self._results(record, batch))
        remark = f"{strange:,} results of batch {record.id} could not be read; they are left out" if strange else ""
        kind = next(job.body.kind for key, job in asked.items() if key in record.keys)
        results: list[tuple[int, RequestResult]] = []
        costs: list[tuple[str, tuple[int, int], float]] = []
        stop: CurateError | None = None
        for key in record.keys:
            # A request that nobody asks for now: its answer is cached for later.
            job = asked.get(key) or Job(-1, RequestBody(bytes.fromhex(key), kind, {}), 0, 0)
            try:
                raw, cacheable = self._answer(record, batch, found.get(key), job)
                result, spent, cost = self._received(job, raw, cacheable)
                if job.index < 0:
                    self._writer.put(job.body.key, cacheable)
                costs.append((key, spent, cost))
            except RequestError as error:
                result = RequestResult(failure=error, message=str(error))
            except ModelError as error:
                stop = stop or error
                continue
            if job.index >= 0:
                results.append((job.index, replace(result, remark=remark)))
        await asyncio.to_thread(self._writer.flush)
        for key, spent, cost in costs:
            self._settle(self._reservations.pop(key, None), spent, cost)
        for key in record.keys:
            self._settle(self._reservations.pop(key, None), (0, 0), 0.0)
        self._records.remove(record)
        for index, result in results:
            deliver(index, result)
        if stop is not None:
            raise stop
        outcomes = [outcome_of(result) for _, result in results]
        if len(outcomes) >= MIN_WINDOW and sum(bool(text) for text, _ in outcomes) > self._max_failed * len(outcomes):
            raise self._too_many_failed(outcomes, f"of the {len(outcomes):,} requests of batch {record.id} failed")

    def _refused(self, record: BatchRecord, batch: Batch) -> ModelError:
        """The error of a batch that was refused as a whole."""
        place = f"batch {record.id} of {len(record.keys):,} requests at {record.server}"
        error = classify_error_body(batch.problem, {}, place, self.endpoint.redact, self.wire, begun=False)
        return error.with_message(f"{self.name}: the batch was refused, and none of it was charged: {error}")

    async def _results(self, record: BatchRecord, batch: Batch) -> tuple[dict[str, BatchResult], int]:
        """The results by key, and the number of those that belong to no request."""
        known, found, strange = set(record.keys), {}, 0
        async for result in self._interface.results(batch, record.keys, self._connected()):
            if result is None or result.key not in known:
                strange += 1
            else:
                found[result.key] = result
        return found, strange

    def _answer(self, record: BatchRecord, batch: Batch, result: BatchResult | None, job: Job) -> tuple[Any, Any]:
        """The raw response to a request and its cacheable form.

        Raises:
            RequestError: it has none.
            ModelError: an error that concerns all requests.
        """
        lost = batch.state if result is None else result.lost
        if lost == "expired":
            raise ServerTimeoutError("the batch expired before this request was answered", load=False)
        if lost == "cancelled":
            raise ServerError("the batch was cancelled before this request was answered", load=False)
        if result is None:
            raise ServerError(f"the results of batch {record.id} have none for this request", load=False)
        data = json_text(result.value).encode()
        return self._connected().accept(result.status, {}, data, f"a batch at {record.server}", job.body.kind)
