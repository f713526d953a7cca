"""Asking is the same for every step: many questions under way at once, each answer read against its contract, one more try with
the complaint told, and what still cannot be used kept apart with the raw answer.

A step says what to ask (:class:`Question`) and how to read an answer (a function that returns a value or raises
:class:`Broken`). Reading comes after the answers are kept by the model, so an edited reader asks nothing again.
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
from curate.steps.models import Answer, Generator, Request
from curate.unanswered import Unanswered, current

K = TypeVar("K")
V = TypeVar("V")
RETRY = "asking/retry"
"""The shipped prompt of the second try; steps that ask name it in ``shipped()``."""
Trouble = Literal["", "broken", "length", "filtered", "failed"]

_MOST = 4_096
_CHARACTERS = 16_000_000
_SHOWN = 4_000
_COMPLAINT = 500


class Broken(Exception):
    """An answer that cannot be used; the message is the complaint, written for the model and for the user alike.

    Args:
        again: whether asking once more, with the complaint, may help.
    """

    def __init__(self, complaint: str, *, again: bool = True, trouble: Trouble = "broken") -> None:
        super().__init__(complaint)
        self.again = again
        self.trouble: Trouble = trouble


@dataclass(frozen=True, slots=True)
class Question(Generic[K]):
    """A request, whom it goes to, and what it is about."""

    key: K
    """Comes back with the outcome; never looked at."""
    request: Request
    generator: Generator


@dataclass(frozen=True, slots=True)
class Outcome(Generic[K, V]):
    """What came of a question."""

    key: K
    answer: Answer
    """The last one."""
    value: V | None
    """What was read; None if there is trouble."""
    problem: str = ""
    """Why nothing could be read: the reason under which the row is kept apart."""
    trouble: Trouble = ""
    """``broken``: it breaks the contract, the second answer too; ``length``: cut off; ``filtered``: withheld by the server;
    ``failed``: no answer at all."""
    tries: int = 1
    """How often it was asked."""
    transient: bool = False
    """Whether the trouble is the server's, so that the next build asks again."""


def ask(
    questions: Iterable[Question[K]],
    read: Callable[[K, Answer], V],
    *,
    retries: int = 1,
    tick: Callable[[int], None] | None = None,
    most: int = _MOST,
    characters: int = _CHARACTERS,
) -> Iterator[list[Outcome[K, V]]]:
    """The outcome of each question, in order, a window at a time.

    A window is ``most`` questions or ``characters`` characters of prompts, whichever is reached first: enough to keep a
    server busy, and no more than that in memory. Several generators are asked at the same time. What ends in trouble is noted
    (:mod:`curate.unanswered`), so that the next build asks again for what was lost because a server was in trouble.

    Args:
        read: the value of an answer that is ``stop``, ``length`` or ``invalid``; raises :class:`Broken` (see :func:`whole`).
        retries: how often a broken answer is asked for again, with the complaint.
        tick: told how many questions were just finished, from any thread.

    Raises:
        ModelError: a generator cannot go on.
    """
    retry, noted = load_prompt(RETRY), current()
    for window in _windows(questions, most, characters):
        answers = _answers(window, tick, noted)
        outcomes = [_read(read, question.key, answer) for question, answer in zip(window, answers, strict=True)]
        if noted.retry:
            _afresh(window, outcomes, read, noted)
        asked = window
        for tries in range(2, retries + 2):
            again = [place for place, (_, again) in enumerate(outcomes) if again]
            if not again:
                break
            asked = list(asked)
            for place in again:
                outcome = outcomes[place][0]
                asked[place] = replace(
                    asked[place], request=_with_complaint(window[place].request, outcome.answer, outcome.problem, retry)
                )
            answers = _answers([asked[place] for place in again], None, noted)
            for place, answer in zip(again, answers, strict=True):
                outcome, more = _read(read, window[place].key, answer)
                # The first answer, not the lack of a second one, is what is wrong.
                if outcome.trouble == "failed":
                    outcome, more = replace(outcomes[place][0], transient=outcome.transient), False
                outcomes[place] = (replace(outcome, tries=tries), more)
        for question, (outcome, _) in zip(window, outcomes, strict=True):
            noted.remarks |= dict.fromkeys(outcome.answer.remarks)
            if outcome.trouble:
                noted.note(question.request.row, transient=outcome.transient)
        yield [outcome for outcome, _ in outcomes]


def whole(answer: Answer, *, cut: bool = False) -> None:
    """Refuses an answer that is not what the schema asks for, or (unless ``cut``) one that was cut off.

    Raises:
        Broken: so it is.
    """
    if answer.finish == "invalid":
        raise Broken(answer.problem or "it is not what the schema asks for")
    if answer.finish == "length" and not cut:
        raise Broken(
            f"cut off after {answer.completion_tokens} tokens" if answer.completion_tokens else "cut off",
            again=False,
            trouble="length",
        )


def clean(text: str) -> str:
    """The text, if it can be stored.

    Raises:
        Broken: it holds half a surrogate pair or a NUL, which no text in a row may.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Broken("it contains half a surrogate pair, which is no character") from None
    if "\0" in text:
        raise Broken("it contains a NUL character")
    return text


def _windows(questions: Iterable[Question[K]], most: int, characters: int) -> Iterator[list[Question[K]]]:
    window: list[Question[K]] = []
    size = 0
    for question in questions:
        window.append(question)
        size += sum(len(text) for _, text in question.request.messages)
        if len(window) >= most or size >= characters:
            yield window
            window, size = [], 0
    if window:
        yield window


def _afresh(
    window: list[Question[K]],
    outcomes: list[tuple[Outcome[K, V], bool]],
    read: Callable[[K, Answer], V],
    noted: Unanswered,
) -> None:
    """Asks again for answers that were kept and are of no use."""
    places = [place for place, (outcome, _) in enumerate(outcomes) if outcome.trouble and outcome.answer.cached]
    for place in places:
        window[place] = replace(window[place], request=replace(window[place].request, fresh=True))
    answers = _answers([window[place] for place in places], None, noted) if places else []
    for place, answer in zip(places, answers, strict=True):
        outcomes[place] = _read(read, window[place].key, answer)


def _answers(window: Sequence[Question[Any]], tick: Callable[[int], None] | None, noted: Unanswered) -> list[Answer]:
    groups: dict[Hashable, list[int]] = {}
    answers: list[Answer | None] = [None] * len(window)
    for place, question in enumerate(window):
        if noted.known:
            answers[place] = noted.recall(_digest(question.generator, question.request))
        if answers[place] is None:
            groups.setdefault(id(question.generator), []).append(place)
        elif tick is not None:
            tick(1)

    def run(places: list[int]) -> None:
        generator = window[places[0]].generator
        found = generator.generate([window[place].request for place in places], tick)
        for place, answer in zip(places, found, strict=True):
            answers[place] = answer
            if answer.finish in ("failed", "filtered") and not answer.transient:
                noted.refuse(_digest(generator, window[place].request), answer)

    if len(groups) == 1:
        run(next(iter(groups.values())))
    elif groups:
        with ThreadPoolExecutor(len(groups), "ask") as pool:
            for future in [pool.submit(run, places) for places in groups.values()]:
                future.result()
    return [answer for answer in answers if answer is not None]


def _digest(generator: Generator, request: Request) -> str:
    """32 hexadecimal digits that stand for a question to a model."""
    turns, schema = [list(turn) for turn in request.messages], None if request.schema is None else dict(request.schema)
    asked = [turns, request.sampling.model_dump(mode="json"), request.sample, schema]
    return question_key([getattr(generator, "name", ""), *asked, request.top_logprobs, request.prompt_logprobs]).hex()


def _read(read: Callable[[K, Answer], V], key: K, answer: Answer) -> tuple[Outcome[K, V], bool]:
    """What an answer comes to, and whether it is worth asking again."""
    if answer.finish in ("failed", "filtered"):
        said = "no answer" if answer.finish == "failed" else "withheld by the server"
        problem = f"{said}: {answer.problem}" if answer.problem else said
        trouble: Trouble = "failed" if answer.finish == "failed" else "filtered"
        return Outcome(key, answer, None, problem, trouble, transient=answer.transient), False
    try:
        return Outcome(key, answer, read(key, answer)), False
    except Broken as broken:
        told = str(broken)[:_COMPLAINT]
        return Outcome(key, answer, None, told, broken.trouble, transient=answer.transient), broken.again


def _with_complaint(request: Request, answer: Answer, problem: str, retry: Prompt) -> Request:
    """The request, the answer it got, and what is wrong with it. A beginning that was to be continued begins that answer."""
    messages = list(request.messages)
    begun = messages.pop()[1] if messages and messages[-1][0] == "assistant" else ""
    said = disarm(begun + answer.text)[:_SHOWN].encode("utf-8", "replace").decode()
    complaint = retry.fill({"problem": disarm(problem)})
    if said.strip():
        messages += [("assistant", said), *complaint]
    elif messages and messages[-1][0] == "user":  # two user turns in a row are refused by many chat templates
        messages[-1] = ("user", messages[-1][1] + "\n\n" + "\n\n".join(text for _, text in complaint))
    else:
        messages += complaint
    if begun:
        messages.append(("assistant", begun))
    return replace(request, messages=tuple(messages))


class Ticks:
    """Rows done, out of questions done: several questions make one row."""

    def __init__(self, context: Context, per_row: int) -> None:
        self._context, self._per_row = context, max(1, per_row)
        self._questions = self._told = 0
        self._lock = threading.Lock()

    def __call__(self, questions: int) -> None:
        with self._lock:
            self._questions += questions
            rows = self._questions // self._per_row - self._told
            if rows > 0:
                self._told += rows
                self._context.tick(rows)


def check_languages(context: Context, step: str, named: Iterable[str], wanted: Iterable[str], *, strict: bool) -> None:
    """Warns (or, with ``strict``, stops) where a model is asked for a language that the catalog says it does not know.

    Raises:
        StepError: ``strict``, and there is one.
    """
    for name in named:
        generator = context.model(name)
        for language in sorted(set(wanted)):
            if language == UNKNOWN or generator.supports(language):
                continue
            said = f"{step}: the model '{name}' is not said to know {language_name(language)} ({language})"
            if strict:
                raise StepError(
                    f"{said}; choose another model, add the language to its 'languages', or set strict: false"
                )
            context.warn(f"{said}; its answers are made all the same")


def unknown_keys(where: str, given: Iterable[str], known: Iterable[str]) -> list[str]:
    """What to say of names that are not among those known."""
    known = list(known)
    return [
        f"{where}: there is no '{name}'{nearest(name, known)}; there are {', '.join(known)}"
        for name in given
        if name not in known
    ]


def schema_problems(where: str, schema: Mapping[str, Any] | None) -> list[str]:
    """What is wrong with a JSON Schema that answers shall satisfy."""
    if schema is None:
        return []
    import jsonschema
    from jsonschema.validators import validator_for

    try:
        validator_for(schema, default=jsonschema.Draft202012Validator).check_schema(schema)
    except jsonschema.SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        return [f"{where}: no JSON Schema (at {place}): {error.message}"]
    return []
