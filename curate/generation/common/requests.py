"""Sends requests to language models and parses the answers; used by every step that calls one.

Many requests run at once. Each answer is parsed against its contract. An invalid answer is requested again with the
complaint; if it stays invalid, the row is quarantined with the raw answer.

A step gives the requests (:class:`LLMRequest`) and a function that parses an answer, which returns a value or raises
:class:`InvalidResponse`. The model caches raw answers before they are parsed, so a changed parser needs no new request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from curate.catalog.suggestions import nearest
from curate.errors import StepError
from curate.generation.common.prompts import Prompt, disarm, language_name, load_prompt
from curate.models.cache.responses import question_key
from curate.rows.languages import UNKNOWN
from curate.steps import Context
from curate.steps.models import Completion, Generator, Request
from curate.unanswered import Unanswered, current

K = TypeVar("K")
V = TypeVar("V")
RETRY = "asking/retry"
"""The shipped prompt of the second try; steps that ask name it in ``shipped()``."""
Trouble = Literal["", "broken", "length", "filtered", "failed"]

_MOST = 4_096
_CHARACTERS = 16_000_000
_BATCHED = 16
"""How many times as much a window has for a model that answers in batches, each of which may take hours."""
_SHOWN = 4_000
_COMPLAINT = 500


class InvalidResponse(Exception):
    """An answer that cannot be used. The message is the complaint, for the model and the user.

    Args:
        again: whether a second request, with the complaint, may help.
    """

    def __init__(self, complaint: str, *, again: bool = True, trouble: Trouble = "broken") -> None:
        super().__init__(complaint)
        self.again = again
        self.trouble: Trouble = trouble


@dataclass(frozen=True, slots=True)
class LLMRequest(Generic[K]):
    """A request, the model that gets it, and a key for the result."""

    key: K
    """Returned with the result; may be anything."""
    request: Request
    generator: Generator


@dataclass(frozen=True, slots=True)
class RequestResult(Generic[K, V]):
    """The last answer to a request, and what was parsed from it."""

    key: K
    answer: Completion
    """The last answer."""
    value: V | None
    """The parsed value; None if there is a problem."""
    problem: str = ""
    """Why nothing could be parsed: the reason under which the row is quarantined."""
    trouble: Trouble = ""
    """``broken``: the last answer breaks the contract. ``length``: cut off. ``filtered``: withheld by the server.
    ``failed``: no answer."""
    tries: int = 1
    """Number of requests made."""
    transient: bool = False
    """Whether the server failed, so that the next build asks again."""


def ask(
    requests: Iterable[LLMRequest[K]],
    read: Callable[[K, Completion], V],
    *,
    retries: int = 1,
    tick: Callable[[int], None] | None = None,
    most: int = _MOST,
    characters: int = _CHARACTERS,
) -> Iterator[list[RequestResult[K, V]]]:
    """Yields the result of each request, in order, one window at a time.

    A window ends at ``most`` requests or ``characters`` characters of prompts, whichever comes first: enough to keep a
    server busy, and a bound on memory. Requests to several models run at the same time. Failures are recorded in
    :mod:`curate.unanswered`, so that the next build asks again where a server failed.

    Args:
        read: parses an answer that is ``stop``, ``length`` or ``invalid``; raises :class:`InvalidResponse` (see
            :func:`ensure_complete`).
        retries: how often an invalid answer is requested again, with the complaint.
        tick: called with the number of requests just finished, from any thread.

    Raises:
        ModelError: a model cannot go on.
    """
    retry, unanswered = load_prompt(RETRY), current()
    for window in _windows(requests, most, characters):
        answers = _answers(window, tick, unanswered)
        results = [_read(read, request.key, answer) for request, answer in zip(window, answers, strict=True)]
        if unanswered.retry:
            _ask_afresh(window, results, read, unanswered)
        latest = list(window)
        for tries in range(2, retries + 2):
            again = [place for place, (_, again) in enumerate(results) if again]
            if not again:
                break
            for place in again:
                result = results[place][0]
                repeated = _with_complaint(window[place].request, result.answer, result.problem, retry)
                latest[place] = replace(latest[place], request=repeated)
            answers = _answers([latest[place] for place in again], None, unanswered)
            for place, answer in zip(again, answers, strict=True):
                result, more = _read(read, window[place].key, answer)
                # The problem is the first answer, not the lack of a second one.
                if result.trouble == "failed":
                    result, more = replace(results[place][0], transient=result.transient), False
                results[place] = (replace(result, tries=tries), more)
        for request, (result, _) in zip(window, results, strict=True):
            unanswered.remarks |= dict.fromkeys(result.answer.remarks)
            if result.trouble:
                unanswered.note(request.request.row, transient=result.transient, error=result.answer.error)
        yield [result for result, _ in results]


def ensure_complete(answer: Completion, *, cut: bool = False) -> None:
    """Refuses an answer that does not satisfy the schema or was cut off (with ``cut`` only if it calls tools).

    Raises:
        InvalidResponse: the answer is incomplete or invalid.
    """
    if answer.finish == "invalid":
        raise InvalidResponse(answer.problem or "it is not what the schema asks for")
    if answer.finish == "length" and (answer.problem or not cut):
        after = f" after {answer.completion_tokens} tokens" if answer.completion_tokens else ""
        raise InvalidResponse(
            answer.problem or f"cut off{after}",
            again=False,
            trouble="length",
        )


def clean(text: str) -> str:
    """Returns the text, if it can be stored.

    Raises:
        InvalidResponse: it has half a surrogate pair or a NUL, which no text in a row may have.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidResponse("it contains half a surrogate pair, which is no character") from None
    if "\0" in text:
        raise InvalidResponse("it contains a NUL character")
    return text


def _windows(requests: Iterable[LLMRequest[K]], most: int, characters: int) -> Iterator[list[LLMRequest[K]]]:
    window: list[LLMRequest[K]] = []
    size = 0
    for request in requests:
        window.append(request)
        size += sum(len(text) for _, text in request.request.messages)
        times = _BATCHED if getattr(request.generator, "batched", False) else 1
        if len(window) >= most * times or size >= characters * times:
            yield window
            window, size = [], 0
    if window:
        yield window


def _ask_afresh(
    window: list[LLMRequest[K]],
    results: list[tuple[RequestResult[K, V], bool]],
    read: Callable[[K, Completion], V],
    unanswered: Unanswered,
) -> None:
    """Asks again for cached answers that cannot be used."""
    places = [place for place, (result, _) in enumerate(results) if result.trouble and result.answer.cached]
    for place in places:
        window[place] = replace(window[place], request=replace(window[place].request, fresh=True))
    answers = _answers([window[place] for place in places], None, unanswered) if places else []
    for place, answer in zip(places, answers, strict=True):
        results[place] = _read(read, window[place].key, answer)


def _answers(
    window: Sequence[LLMRequest[Any]], tick: Callable[[int], None] | None, unanswered: Unanswered
) -> list[Completion]:
    groups: dict[Hashable, list[int]] = {}
    answers: list[Completion | None] = [None] * len(window)
    for place, request in enumerate(window):
        if unanswered.known:
            answers[place] = unanswered.recall(_digest(request.generator, request.request))
        if answers[place] is None:
            groups.setdefault(id(request.generator), []).append(place)
        elif tick is not None:
            tick(1)

    def run(places: list[int]) -> None:
        generator = window[places[0]].generator
        new = generator.generate([window[place].request for place in places], tick)
        for place, answer in zip(places, new, strict=True):
            answers[place] = answer
            if answer.finish in ("failed", "filtered") and not answer.transient:
                unanswered.refuse(_digest(generator, window[place].request), answer)

    if len(groups) == 1:
        run(next(iter(groups.values())))
    elif groups:
        with ThreadPoolExecutor(len(groups), "ask") as pool:
            for future in [pool.submit(run, places) for places in groups.values()]:
                future.result()
    return [answer for answer in answers if answer is not None]


def _digest(generator: Generator, request: Request) -> str:
    """32 hexadecimal digits that identify a request to a model."""
    turns, schema = [list(turn) for turn in request.messages], None if request.schema is None else dict(request.schema)
    content = [turns, request.sampling.model_dump(mode="json"), request.sample, schema]
    if request.tools or any(request.parts):
        content.append([request.tools, [dict(parts) for parts in request.parts]])
    return question_key([getattr(generator, "name", ""), *content, request.top_logprobs, request.prompt_logprobs]).hex()


def _read(read: Callable[[K, Completion], V], key: K, answer: Completion) -> tuple[RequestResult[K, V], bool]:
    """The parsed result, and whether a retry may help."""
    if answer.finish in ("failed", "filtered"):
        problem = "no answer" if answer.finish == "failed" else "withheld by the server"
        if answer.problem:
            problem = f"{problem}: {answer.problem}"
        trouble: Trouble = "failed" if answer.finish == "failed" else "filtered"
        return RequestResult(key, answer, None, problem, trouble, transient=answer.transient), False
    try:
        return RequestResult(key, answer, read(key, answer)), False
    except InvalidResponse as invalid:
        problem = str(invalid)[:_COMPLAINT]
        return RequestResult(key, answer, None, problem, invalid.trouble, transient=answer.transient), invalid.again


def _with_complaint(request: Request, answer: Completion, problem: str, retry: Prompt) -> Request:
    """The request with the answer it got and the complaint. A prefix that the answer had to continue starts that
    answer."""
    messages = list(request.messages)
    prefix = messages.pop()[1] if messages and messages[-1][0] == "assistant" else ""
    response = disarm(prefix + answer.text)[:_SHOWN].encode("utf-8", "replace").decode()
    complaint = retry.fill({"problem": disarm(problem)})
    if response.strip():
        messages += [("assistant", response), *complaint]
    elif messages and messages[-1][0] == "user":  # two user turns in a row are refused by many chat templates
        messages[-1] = ("user", messages[-1][1] + "\n\n" + "\n\n".join(text for _, text in complaint))
    else:
        messages += complaint
    if prefix:
        messages.append(("assistant", prefix))
    return replace(request, messages=tuple(messages))


class RowProgress:
    """Reports finished rows, given finished requests: several requests make one row."""

    def __init__(self, context: Context, per_row: int) -> None:
        self._context, self._per_row = context, max(1, per_row)
        self._requests = self._reported = 0
        self._lock = threading.Lock()

    def __call__(self, requests: int) -> None:
        with self._lock:
            self._requests += requests
            rows = self._requests // self._per_row - self._reported
            if rows > 0:
                self._reported += rows
                self._context.advance(rows)


def check_languages(
    context: Context, step: str, models: Iterable[str], languages: Iterable[str], *, strict: bool
) -> None:
    """Warns (or, with ``strict``, stops) if a model is asked for a language that it is not known to support.

    Raises:
        StepError: ``strict``, and there is one.
    """
    for name in models:
        generator = context.model(name)
        for language in sorted(set(languages)):
            if language == UNKNOWN or generator.supports(language):
                continue
            message = f"{step}: the model '{name}' is not known to support {language_name(language)} ({language})"
            if strict:
                raise StepError(
                    f"{message}; use another model, add the language to its 'languages', or set strict: false"
                )
            context.warn(f"{message}; it is asked anyway")


def unknown_keys(where: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Problems with names that are not among the known ones."""
    known = list(known)
    return [
        f"{where}: there is no '{name}'{nearest(name, known)}; there are {', '.join(known)}"
        for name in names
        if name not in known
    ]


def schema_problems(where: str, schema: Mapping[str, Any] | None) -> list[str]:
    """Problems with a JSON Schema for answers."""
    if schema is None:
        return []
    import jsonschema
    from jsonschema.validators import validator_for

    try:
        validator_for(schema, default=jsonschema.Draft202012Validator).check_schema(schema)
    except jsonschema.SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        return [f"{where}: not a JSON Schema (at {place}): {error.message}"]
    return []
