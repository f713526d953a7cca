"""A batch of requests is looked up, the rest asked, and everything read: the :class:`curate.steps.models.Generator` of
every OpenAI-compatible server.

Batch-first outside, for callers in any thread; side by side on the process's event loop inside. Raw answers are kept
before they are read, so reading them again, after a crash or with other eyes, asks nobody.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from curate.errors import ContentFilterError, CurateError, ModelError
from curate.models.cache.responses import AnswerCache, AnswerWriter
from curate.models.generation.structured_output import compile_schema
from curate.models.loading.supported import Supported
from curate.models.openai.dispatcher import Asker, Job, Outcome
from curate.models.openai.http import LOOP, Endpoint
from curate.models.openai.pricing import Meter, Price, Tally
from curate.models.openai.wire import MalformedAnswer, Manner, Question, check_shape, may_keep, parse, question_of
from curate.steps.models import Answer, Done, Finish, Ledger, Request

_LOOK = 1.0
"""Seconds after which a waiting caller looks whether the work behind is still alive."""
_GATHER = 0.01
"""Seconds a caller lets outcomes gather before it reads them: to be woken for each costs the loop more than the
reading.
"""


class Claims(dict[str, bool]):
    """What the catalog says that a server can do: ``structured``, ``logprobs``, ``prompt_logprobs``."""


class OpenAIGenerator:
    """A loaded text-generation model behind an OpenAI-compatible server."""

    def __init__(
        self,
        name: str,
        manner: Manner,
        endpoint: Endpoint | Callable[[], Endpoint],
        *,
        cache: Path | None,
        identity: Mapping[str, Any],
        price: Price | None = None,
        languages: Sequence[str] | None = None,
        context_length: int | None = None,
        claims: Mapping[str, bool] | None = None,
        max_failed: float = 0.5,
    ) -> None:
        """As the catalog says; nothing is asked yet.

        Args:
            name: ``name@revision``.
            endpoint: where to ask, or what finds that out when something has to be asked for the first time.
            identity: all that makes answers to the same body differ; it names the file of kept answers.
        """
        self.name = name
        self.context_length = context_length
        self.claims = Claims(claims or {})
        self.claims_structured = self.claims.get("structured", False)
        self.claims_logprobs = self.claims.get("logprobs", False)
        self.claims_prompt_logprobs = self.claims.get("prompt_logprobs", False)
        self.spent = Tally()
        """What this loaded model asked and was answered so far."""
        self._manner = manner
        self._endpoint = endpoint
        self._answers = AnswerCache(cache, name, identity)
        self._writer = AnswerWriter(self._answers)
        self._meter = Meter(price or Price(), context_length)
        self._max_failed = max_failed
        self._supported = None if languages is None else Supported(languages)
        self._ledger: Ledger | None = None
        self._asker: Asker | None = None
        self._lock = threading.Lock()

    # ------------------------------------------------------------------------------------------------- what others see
    def supports(self, language: str) -> bool:
        """Whether the catalog names this language, or none at all."""
        return self._supported is None or language in self._supported

    def charge_to(self, ledger: Ledger | None) -> None:
        """From now on every call is reserved and settled there; None: nobody counts."""
        self._ledger = ledger
        if self._asker is not None:
            self._asker.ledger = ledger

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Answer]:
        """An answer to each request, in order; see :class:`curate.steps.models.Generator`.

        Raises:
            ModelError: the server is away, the key is refused, failures come in a storm, a request asks for what the
                catalog does not claim (``logprobs``, ``prompt_logprobs``).
            BudgetError: the budget is spent; calls under way were still waited for, and their answers are kept.
        """
        tell = done or (lambda count: None)
        questions = [self._question(request) for request in requests]
        answers: list[Answer | None] = [None] * len(requests)
        places: dict[bytes, list[int]] = {}
        for place, question in enumerate(questions):
            places.setdefault(question.key, []).append(place)
        fresh = {question.key for question, request in zip(questions, requests, strict=True) if request.fresh}
        for key, raw in self._answers.get(places.keys() - fresh).items():
            mine = places[key]
            try:
                check_shape(questions[mine[0]].kind, raw)
            except MalformedAnswer:  # kept by an older version that was less strict
                continue
            if not may_keep(questions[mine[0]].kind, raw):
                continue
            del places[key]
            for place in mine:
                answers[place] = parse(questions[place], raw, requests[place], self._manner).mended(cached=True)
            self.spent.kept += len(mine)
            tell(len(mine))
        if places:
            self._ask_rest(requests, questions, list(places.values()), answers, tell, fresh)
        return [answer for answer in answers if answer is not None]

    def close(self) -> None:
        """Closes connections and the file of kept answers."""
        self._drop_asker()
        with suppress(CurateError):
            self._writer.flush()
        self._answers.close()

    # ----------------------------------------------------------------------------------------------------- the insides
    def _question(self, request: Request) -> Question:
        if request.top_logprobs and not self.claims_logprobs:
            raise ModelError(
                f"{self.name} is not known to give log-probabilities; if its server does, say 'logprobs: true'"
            )
        if request.prompt_logprobs and not self.claims_prompt_logprobs:
            raise ModelError(
                f"{self.name} is not known to give log-probabilities of a prompt; if its server does (vLLM), say"
                " 'prompt_logprobs: true'"
            )
        if request.schema is not None:
            compile_schema(request.schema)
        return question_of(request, self._manner)

    def _ask_rest(
        self,
        requests: Sequence[Request],
        questions: Sequence[Question],
        groups: Sequence[Sequence[int]],
        answers: list[Answer | None],
        tell: Done,
        fresh: Collection[bytes],
    ) -> None:
        jobs: list[Any] = []
        for group in groups:
            request = requests[group[0]]
            size = sum(len(content.encode(errors="replace")) for _, content in request.messages)
            most = 1 if request.prompt_logprobs else request.sampling.max_tokens
            jobs.append(Job(len(jobs), questions[group[0]], size, most, questions[group[0]].key in fresh))
        try:
            with closing(self._outcomes(jobs)) as outcomes:
                for arrived in outcomes:
                    for index, outcome in arrived:
                        for number, place in enumerate(groups[index]):
                            known = outcome.shared or number > 0
                            answers[place] = self._read(questions[place], outcome, requests[place]).mended(cached=known)
                    tell(sum(len(groups[index]) for index, _ in arrived))
        finally:
            self._writer.flush()

    def _read(self, question: Question, outcome: Outcome, request: Request) -> Answer:
        failure = outcome.failure
        if failure is not None:
            finish: Finish = "filtered" if isinstance(failure, ContentFilterError) else "failed"
            return Answer("", finish, problem=outcome.told, transient=failure.transient, error=type(failure).__name__)
        return parse(question, outcome.raw, request, self._manner)

    def _drop_asker(self) -> None:
        """Forgets the endpoint: the next question looks for it anew."""
        with self._lock:
            asker, self._asker = self._asker, None
        if asker is not None:
            with suppress(Exception):
                LOOP.submit(asker.close()).result(10)

    def _ready(self) -> Asker:
        with self._lock:
            if self._asker is None:
                endpoint = self._endpoint() if callable(self._endpoint) else self._endpoint
                self._asker = Asker(self.name, endpoint, self._meter, self.spent, self._writer, self._max_failed)
                self._asker.ledger = self._ledger
            return self._asker

    def _outcomes(self, jobs: Sequence[Job]) -> Generator[list[tuple[int, Outcome]], None, None]:
        """The outcomes as they come, some at a time; whoever stops listening cancels what is still under way."""
        asker = self._ready()
        arrived: queue.SimpleQueue[tuple[int, Outcome] | None] = queue.SimpleQueue()
        work: Future[None] = LOOP.submit(asker.run(jobs, lambda index, outcome: arrived.put((index, outcome))))
        work.add_done_callback(lambda _: arrived.put(None))
        left = len(jobs)
        try:
            while True:
                try:
                    found = [arrived.get(timeout=_LOOK)]
                except queue.Empty:
                    LOOP.check()
                    continue
                while not arrived.empty():
                    found.append(arrived.get())
                if outcomes := [one for one in found if one is not None]:
                    yield outcomes
                if found[-1] is None:  # nothing is delivered after the work is done
                    break
                left -= len(outcomes)
                if left:
                    time.sleep(_GATHER)
            work.result()
        finally:
            if not work.done():
                work.cancel()
