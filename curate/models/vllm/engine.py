"""The :class:`curate.steps.models.Generator` for vLLM's offline engine.

Requests enter the engine as slots become free. Each raw answer is cached when it is complete, so that a killed build
loses only the answers being generated. Schema, reasoning and finish are read from the raw answer every time.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

from curate.errors import BudgetError, ModelError
from curate.models.cache.responses import AnswerCache, question_key
from curate.models.generation.chat_template import ChatTemplate, RefusedChat
from curate.models.generation.seeds import effective_seed
from curate.models.generation.structured_output import compile_schema
from curate.models.vllm.outputs import PendingRequest, failure, is_empty, raw_of, read, relax_schema
from curate.steps.models import Completion, Done, Ledger, Request

_SAMPLING = ("top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")


class VllmGenerator:
    """A loaded engine. Calls from several threads run one after the other."""

    def __init__(
        self,
        engine: Any,
        chat: ChatTemplate,
        cache: AnswerCache,
        *,
        name: str,
        split: bool,
        supports: Callable[[str], bool],
    ) -> None:
        """
        Args:
            engine: a ``vllm.LLM``.
            cache: the cache of raw answers.
            name: ``name@revision``, for the ledger and errors.
            split: whether reasoning is removed from answers.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        self._llm: Any = engine
        self._core: Any = engine.llm_engine
        self._chat = chat
        self._cache = cache
        self._split = split
        self.name = name
        self.capabilities = dict.fromkeys(("structured", "logprobs", "prompt_logprobs"), True)
        self._supports = supports
        self._params, self._structured, self._final = (
            SamplingParams,
            StructuredOutputsParams,
            RequestOutputKind.FINAL_ONLY,
        )
        self._refusals = _refusals()
        self._wrap = _wrapper()
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._asked = 0
        self._broken = ""
        config = self._core.vllm_config
        self.longest: int = int(config.model_config.max_model_len)
        """Context window in tokens."""
        # Enough requests that a free slot is filled at once, few enough for memory.
        self._most = 2 * int(getattr(config.scheduler_config, "max_num_seqs", 0) or 256)
        own = _own_defaults(config.model_config)
        self._defaults = {name: value for name, value in own.items() if name in _SAMPLING}
        self._temperature = own.get("temperature")

    def supports(self, language: str) -> bool:
        """Whether the catalog lists this language, or lists none."""
        return self._supports(language)

    def set_budget(self, ledger: Ledger | None) -> None:
        """Sets the ledger in which tokens are counted; they cost no money."""
        self._ledger = ledger

    def close(self) -> None:
        """Ends the engine and frees the device; later requests fail."""
        with self._lock:
            core, self._llm, self._core = self._core, None, None
            self._broken = self._broken or "it was closed"
            self._cache.close()
            shutdown = getattr(getattr(core, "engine_core", None), "shutdown", None)
            if shutdown is not None:
                shutdown()

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """An answer to each request, in order; see :class:`curate.steps.models.Generator`.

        At temperature 0 all samples of a question are one answer. A prompt that is too long, a template that refuses
        the turns, parameters or a schema that vLLM refuses: that request fails, and is pending again another time.

        Raises:
            ModelError: the engine died, or a schema is not a JSON Schema.
            BudgetError: the budget is spent; requests in flight are finished and cached before.
        """
        with self._lock:
            for request in requests:
                if request.tools or any(request.parts):
                    raise ModelError("'vllm' passes no tools to the model; serve it, and use the model 'openai'")
                if request.schema is not None:
                    compile_schema(request.schema)
            keys = [self._key(request) for request in requests]
            times = Counter(keys)
            fresh = {key for key, request in zip(keys, requests, strict=True) if request.fresh}
            raws = {key: raw for key, raw in self._cache.get(times.keys() - fresh).items() if not is_empty(raw)}
            kept = frozenset(raws)
            if kept and done is not None:
                done(sum(times[key] for key in kept))
            missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in kept}
            with closing(self._ask(missing)) as answers:
                for found in answers:
                    whole = {key: raw for key, raw in found.items() if raw["finish"] != "failed" and not is_empty(raw)}
                    self._cache.put(whole, fresh)
                    raws |= found
                    if done is not None:
                        done(sum(times[key] for key in found))
        return [
            read(raws[key], request, split=self._split, cached=key in kept)
            for key, request in zip(keys, requests, strict=True)
        ]

    def kept(self, requests: Sequence[Request]) -> list[Completion | None]:
        """The cached answer to each request, in order; None where there is none. Asks the engine nothing."""
        keys = [self._key(request) for request in requests]
        raws = self._cache.get(set(keys))
        return [
            read(raws[key], request, split=self._split, cached=True)
            if key in raws and not is_empty(raws[key])
            else None
            for key, request in zip(keys, requests, strict=True)
        ]

    # -------------------------------------------------------------------------------------------------- what is pending
    def _key(self, request: Request) -> bytes:
        """The request's cache key, of everything that the answer depends on and nothing else."""
        sampling: Any = None
        sample = 0
        if not request.prompt_logprobs:
            given = request.sampling.model_dump(mode="json")
            if request.sampling.temperature == 0:
                given = {
                    name: value for name, value in given.items() if name not in ("seed", "top_p", "top_k", "min_p")
                }
            else:
                sample = request.sample
            sampling = {name: value for name, value in given.items() if value is not None}
        schema = dict(request.schema) if request.schema is not None and not request.prompt_logprobs else None
        return question_key(
            [request.messages, sampling, sample, schema, request.top_logprobs, bool(request.prompt_logprobs)]
        )

    def _ask(self, missing: Mapping[bytes, Request]) -> Generator[dict[bytes, dict[str, Any]], None, None]:
        """Raw answers, in batches as they become complete."""
        waiting = deque(missing.items())
        in_flight: dict[str, PendingRequest] = {}
        short = False  # whether the budget has no room while reservations are at their maximum cost
        try:
            while waiting or in_flight:
                failed: dict[bytes, dict[str, Any]] = {}
                while waiting and not short and len(in_flight) < self._most and len(failed) < self._most:
                    try:
                        pending = self._add(*waiting[0])
                    except BudgetError:
                        if not in_flight:
                            raise
                        short = True
                        break
                    key, _ = waiting.popleft()
                    if isinstance(pending, PendingRequest):
                        in_flight[pending.number] = pending
                    else:
                        failed[key] = pending
                whole = failed or self._step(in_flight)
                if whole:
                    short = False
                    yield whole
        finally:
            # After any error the next call must find an idle engine.
            self._give_up(in_flight)

    def _add(self, key: bytes, request: Request) -> PendingRequest | dict[str, Any]:
        """Adds a request to the engine; returns a raw failure if it cannot be added."""
        if self._broken:
            raise ModelError(f"the engine of {self.name} no longer answers: {self._broken}")
        try:
            prompt = (self._chat.last_turn if request.prompt_logprobs else self._chat.answer)(request.messages)
        except RefusedChat as error:
            return failure(str(error))
        size = len(prompt.tokens)
        if size >= self.longest:
            return failure(
                f"the prompt has {size:,} tokens, which leaves none of {self.longest:,} for an answer; cut the text, or"
                " raise 'max_model_len' if the model allows it"
            )
        if request.prompt_logprobs and prompt.start >= size:
            return failure("the last turn is empty: it has no log-probabilities")
        most = 0 if request.prompt_logprobs else min(request.sampling.max_tokens, self.longest - size)
        ticket = None if self._ledger is None else self._ledger.reserve(self.name, size + most, 0.0)
        self._asked += 1
        pending = PendingRequest(str(self._asked), key, request, prompt.start, size, ticket)
        problem = ""
        try:
            # Parts of a schema without a grammar are left to the validation of the answer.
            for schema in (
                [request.schema] if request.schema is None else [request.schema, relax_schema(request.schema)]
            ):
                try:
                    params = self._parameters(request, schema)
                    self._core.add_request(pending.number, self._wrap(prompt.tokens), params)
                    return pending
                except self._refusals as error:
                    problem = problem or _refusal(error)
        except BaseException:
            self._settle(pending, 0, 0)
            raise
        self._settle(pending, 0, 0)
        return failure(problem)

    def _parameters(self, request: Request, schema: Any) -> Any:
        given: dict[str, Any] = {"output_kind": self._final}
        if request.prompt_logprobs:
            return self._params(
                output_kind=self._final, temperature=0.0, max_tokens=1, prompt_logprobs=request.top_logprobs
            )
        sampling = request.sampling
        temperature = self._temperature if sampling.temperature is None else sampling.temperature
        given |= self._defaults | ({} if temperature is None else {"temperature": temperature})
        given |= {name: getattr(sampling, name) for name in _SAMPLING if getattr(sampling, name) is not None}
        given["max_tokens"] = sampling.max_tokens
        given["seed"] = effective_seed(sampling, request.messages, request.sample)
        if sampling.stop:
            given["stop"] = list(sampling.stop)
        if request.top_logprobs:
            given["logprobs"] = request.top_logprobs
        if schema is not None:
            given["structured_outputs"] = self._structured(json=dict(schema))
        return self._params(**given)

    # --------------------------------------------------------------------------------------------------- what is said
    def _step(self, in_flight: dict[str, PendingRequest]) -> dict[bytes, dict[str, Any]]:
        try:
            outputs = self._core.step()
        except Exception as error:
            self._broken = _refusal(error)
            raise ModelError(
                f"the engine of {self.name} died: {self._broken}; complete answers are cached. If memory ran out,"
                " lower 'max_num_seqs', 'max_model_len' or 'gpu_memory_utilization', then build again"
            ) from error
        whole: dict[bytes, dict[str, Any]] = {}
        for output in outputs:
            pending = in_flight.get(str(output.request_id))
            if pending is None or not output.finished:
                continue
            del in_flight[pending.number]
            raw = whole[pending.key] = raw_of(output, pending)
            self._settle(pending, raw["prompt_tokens"], raw["completion_tokens"])
        return whole

    def _give_up(self, in_flight: dict[str, PendingRequest]) -> None:
        if not in_flight:
            return
        for pending in in_flight.values():
            self._settle(pending, 0, 0)
        if self._core is not None and not self._broken:
            self._core.abort_request(list(in_flight))
        in_flight.clear()

    def _settle(self, pending: PendingRequest, prompt_tokens: int, completion_tokens: int) -> None:
        if pending.ticket is not None and self._ledger is not None:
            self._ledger.settle(pending.ticket, prompt_tokens, completion_tokens, 0.0)


def _refusal(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__


def _refusals() -> tuple[type[Exception], ...]:
    """The errors that vLLM raises for a rejected request; the classes came with version 0.2x."""
    import vllm.exceptions

    names = ("VLLMClientError", "VLLMValidationError")
    own = [getattr(vllm.exceptions, name) for name in names if hasattr(vllm.exceptions, name)]
    return (ValueError, TypeError, *own)


def _wrapper() -> Callable[[list[int]], Any]:
    """Wraps tokens for the engine: rendered input in new versions, a prompt in old ones."""
    import vllm.inputs

    if hasattr(vllm.inputs, "tokens_input"):
        return vllm.inputs.tokens_input  # type: ignore[no-any-return]
    return lambda tokens: {"prompt_token_ids": tokens}


def _own_defaults(model_config: Any) -> dict[str, Any]:
    """The sampling parameters of the model's ``generation_config.json``."""
    find = getattr(model_config, "get_diff_sampling_param", None)
    return {} if find is None else dict(find() or {})
