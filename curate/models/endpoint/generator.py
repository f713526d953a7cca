"""The :class:`curate.steps.models.Generator` for models behind HTTP endpoints, whatever their protocol.

It serves a batch of requests: cached responses are looked up, the other requests sent, and all responses parsed.
Callers may be in any thread; the requests run concurrently on the process's event loop. Raw responses are cached
before they are parsed, so that a crash or a changed parser repeats no request.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from curate.errors import ContentFilterError, CurateError, ModelError
from curate.models.cache.responses import AnswerCache, AnswerWriter
from curate.models.endpoint.batch_dispatcher import BatchDispatcher
from curate.models.endpoint.batches import PRICE_SHARE, BatchInterface, BatchRecords
from curate.models.endpoint.dispatcher import Job, RequestDispatcher, RequestResult
from curate.models.endpoint.http import LOOP, Endpoint
from curate.models.endpoint.pricing import CostEstimator, Price, Usage
from curate.models.endpoint.wire import MalformedAnswer, RequestBody, Wire
from curate.models.generation.structured_output import compile_schema
from curate.models.generation.turns import prompt_size
from curate.models.loading.supported import Supported
from curate.steps.models import Completion, Done, Finish, Ledger, Request

_LIVENESS_INTERVAL = 1.0
"""Seconds after which a waiting caller checks that the event loop is still alive."""
_GATHER = 0.01
"""Seconds a caller lets results accumulate: waking up for each costs the loop more than parsing it."""


class EndpointGenerator:
    """A loaded text-generation model behind an HTTP endpoint."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        endpoint: Endpoint | Callable[[], Endpoint],
        *,
        cache: Path | None,
        identity: Mapping[str, Any],
        price: Price | None = None,
        languages: Sequence[str] | None = None,
        context_length: int | None = None,
        capabilities: Mapping[str, bool] | None = None,
        max_failed: float = 0.5,
        batches: BatchInterface | None = None,
    ) -> None:
        """Opens the cache and sends nothing.

        Args:
            name: ``name@revision``.
            endpoint: the server, or a function that starts it, called before the first request that is not cached.
            identity: everything besides the body that answers depend on; it names the cache file.
            capabilities: ``structured``, ``logprobs``, ``prompt_logprobs``, ``tools``: what the server can do.
            batches: the batch interface that requests go through. Without a cache, where a batch could not be found
                again, they do not.
        """
        self.name = name
        self.context_length = context_length
        self.capabilities = dict(capabilities or {})
        self.spent = Usage()
        """Calls, tokens and money so far."""
        self._wire = wire
        self._endpoint = endpoint
        self._answers = AnswerCache(cache, name, identity)
        self._writer = AnswerWriter(self._answers)
        self.batched = batches is not None and cache is not None
        """Whether requests wait for a batch interface, so that it is best to send many at once."""
        self._dispatcher_class: Callable[..., RequestDispatcher] = RequestDispatcher
        if batches is not None and cache is not None:
            records = BatchRecords(cache, self._answers.file)
            self._dispatcher_class = partial(BatchDispatcher, interface=batches, records=records)
        self._estimator = CostEstimator((price or Price()).times(PRICE_SHARE if self.batched else 1.0), context_length)
        self._max_failed = max_failed
        self._supported = None if languages is None else Supported(languages)
        self._ledger: Ledger | None = None
        self._dispatcher: RequestDispatcher | None = None
        self._lock = threading.Lock()

    # -------------------------------------------------------------------------------------------------------- interface
    def supports(self, language: str) -> bool:
        """Whether the catalog lists this language, or lists none."""
        return self._supported is None or language in self._supported

    def set_budget(self, ledger: Ledger | None) -> None:
        """Sets the ledger in which later calls are reserved and settled; None for none."""
        self._ledger = ledger
        if self._dispatcher is not None:
            self._dispatcher.ledger = ledger

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """The answer to each request, in order; see :class:`curate.steps.models.Generator`.

        Raises:
            ModelError: the server is unreachable, rejects the key, too many requests failed, or a request needs
                log-probabilities that the catalog does not declare (``logprobs``, ``prompt_logprobs``).
            BudgetError: the budget is spent; calls in flight were awaited, and their answers cached.
        """
        report = done or (lambda count: None)
        bodies = [self._body(request) for request in requests]
        answers: list[Completion | None] = [None] * len(requests)
        missing: dict[bytes, list[int]] = {}
        """Request key → indices of the requests with it."""
        for index, body in enumerate(bodies):
            missing.setdefault(body.key, []).append(index)
        fresh = {body.key for body, request in zip(bodies, requests, strict=True) if request.fresh}
        for indices, found in self._cached(requests, bodies, missing, fresh):
            for index, answer in zip(indices, found, strict=True):
                answers[index] = answer
            self.spent.cached += len(indices)
            report(len(indices))
        if missing:
            self._send(requests, bodies, list(missing.values()), answers, report, fresh)
        return [answer for answer in answers if answer is not None]

    def kept(self, requests: Sequence[Request]) -> list[Completion | None]:
        """The cached answer to each request, in order; None where there is none. Sends nothing."""
        bodies = [self._body(request) for request in requests]
        answers: list[Completion | None] = [None] * len(requests)
        missing: dict[bytes, list[int]] = {}
        for index, body in enumerate(bodies):
            missing.setdefault(body.key, []).append(index)
        for indices, found in self._cached(requests, bodies, missing):
            for index, answer in zip(indices, found, strict=True):
                answers[index] = answer
        return answers

    def close(self) -> None:
        """Closes the connections and the cache file."""
        self._drop_dispatcher()
        with suppress(CurateError):
            self._writer.flush()
        self._answers.close()

    # --------------------------------------------------------------------------------------------------------- internal
    def _cached(
        self,
        requests: Sequence[Request],
        bodies: Sequence[RequestBody],
        missing: dict[bytes, list[int]],
        fresh: Collection[bytes] = (),
    ) -> Iterator[tuple[list[int], list[Completion]]]:
        """The indices of requests with a usable cached response, and their answers; removed from ``missing``."""
        for key, raw in self._answers.get(missing.keys() - set(fresh)).items():
            body = bodies[missing[key][0]]
            try:
                self._wire.check_shape(body.kind, raw)
            except MalformedAnswer:  # cached by an older, less strict version
                continue
            reply = self._wire.read(body, raw)
            if not reply.cacheable:
                continue
            indices = missing.pop(key)
            yield (
                indices,
                [
                    self._wire.parse(bodies[index], raw, requests[index], reply).replace(cached=True)
                    for index in indices
                ],
            )

    def _body(self, request: Request) -> RequestBody:
        if request.top_logprobs and not self.capabilities.get("logprobs"):
            raise ModelError(
                f"{self.name} is not known to give log-probabilities; if its server does, set 'logprobs: true'"
            )
        if request.prompt_logprobs and not self.capabilities.get("prompt_logprobs"):
            raise ModelError(
                f"{self.name} is not known to give log-probabilities of a prompt; if its server does (vLLM), set"
                " 'prompt_logprobs: true'"
            )
        if request.schema is not None:
            compile_schema(request.schema)
        return self._wire.build(request)

    def _send(
        self,
        requests: Sequence[Request],
        bodies: Sequence[RequestBody],
        groups: Sequence[Sequence[int]],
        answers: list[Completion | None],
        report: Done,
        fresh: Collection[bytes],
    ) -> None:
        """Sends one request per group of equal ones and fills in their answers."""
        jobs: list[Any] = []
        for group in groups:
            request, body = requests[group[0]], bodies[group[0]]
            size = prompt_size(request)
            max_tokens = 1 if request.prompt_logprobs else request.sampling.max_tokens
            jobs.append(Job(len(jobs), body, size, max_tokens, body.key in fresh))
        try:
            with closing(self._results(jobs)) as batches:
                for results in batches:
                    for job, result in results:
                        for number, index in enumerate(groups[job]):
                            answer = self._answer(bodies[index], result, requests[index])
                            if result.remark:
                                answer = answer.replace(remarks=(*answer.remarks, result.remark))
                            answers[index] = answer.replace(cached=result.shared or number > 0)
                    report(sum(len(groups[job]) for job, _ in results))
        finally:
            self._writer.flush()

    def _answer(self, body: RequestBody, result: RequestResult, request: Request) -> Completion:
        failure = result.failure
        if failure is not None:
            finish: Finish = "filtered" if isinstance(failure, ContentFilterError) else "failed"
            error = type(failure).__name__
            return Completion("", finish, problem=result.message, transient=failure.transient, error=error)
        return self._wire.parse(body, result.raw, request, result.reply)

    def _drop_dispatcher(self) -> None:
        """Closes the connections; the next request opens new ones, at the endpoint of that time."""
        with self._lock:
            dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            with suppress(Exception):
                LOOP.submit(dispatcher.close()).result(10)

    def _ready(self) -> RequestDispatcher:
        with self._lock:
            if self._dispatcher is None:
                endpoint = self._endpoint() if callable(self._endpoint) else self._endpoint
                self._dispatcher = self._dispatcher_class(
                    self.name, endpoint, self._wire, self._estimator, self.spent, self._writer, self._max_failed
                )
                self._dispatcher.ledger = self._ledger
            return self._dispatcher

    def _results(self, jobs: Sequence[Job]) -> Generator[list[tuple[int, RequestResult]], None, None]:
        """The results in batches as they arrive; closing the generator cancels the requests in flight."""
        dispatcher = self._ready()
        arrived: queue.SimpleQueue[tuple[int, RequestResult] | None] = queue.SimpleQueue()
        work: Future[None] = LOOP.submit(dispatcher.run(jobs, lambda index, result: arrived.put((index, result))))
        work.add_done_callback(lambda _: arrived.put(None))
        left = len(jobs)
        try:
            while True:
                try:
                    batch = [arrived.get(timeout=_LIVENESS_INTERVAL)]
                except queue.Empty:
                    LOOP.check()
                    continue
                while not arrived.empty():
                    batch.append(arrived.get())
                if results := [one for one in batch if one is not None]:
                    yield results
                if batch[-1] is None:  # nothing is delivered after the work is done
                    break
                left -= len(results)
                if left:
                    time.sleep(_GATHER)
            work.result()
        finally:
            if not work.done():
                work.cancel()
