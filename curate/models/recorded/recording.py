"""The file of a recording: a request to a language model and its answer in each line of JSON, ``.zst`` if compressed.

A line says of the request as much as must be the same: ``messages`` always, the other fields where they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from pydantic import Field, ValidationError

from curate.catalog.params import Params
from curate.errors import ModelError
from curate.files import regular
from curate.models.cache.responses import question_key
from curate.models.generation.answers import checked
from curate.models.generation.structured_output import fit_for_wire
from curate.steps.models import Completion, Finish, Request, Sampling, TokenLogprob


class Message(Params):
    """A message of a request."""

    role: str
    """``system``, ``user``, ``assistant`` or ``tool``."""
    content: str = ""
    """Its text."""
    tool_calls: list[dict[str, Any]] | None = None
    """The tools that it calls."""
    tool_call_id: str | None = None
    """The id of the call that it answers."""
    name: str | None = None
    """Who says it."""


class Token(Params):
    """A token of an answer."""

    token: str
    """Its text."""
    logprob: float
    """Its natural logarithm of the probability."""
    top: list[tuple[str, float]] = Field(default_factory=list)
    """The most likely tokens at its place."""


class Record(Params):
    """A line of a recording."""

    model: str | None = None
    """``name`` or ``name@revision`` of the model; if left out, any."""
    messages: list[Message] = Field(min_length=1)
    """The messages of the request."""
    sample: int = Field(default=0, ge=0)
    """The number of the sample, where a step asks several times."""
    sampling: Sampling | None = None
    """The sampling parameters, those left out with their defaults; if left out, any."""
    structure: dict[str, Any] | None = Field(default=None, alias="schema")
    """The JSON Schema of the answer; if left out, any. The answer is checked against the request's."""
    tools: list[Any] | None = None
    """The tools that may be called; if left out, any."""
    top_logprobs: int | None = Field(default=None, ge=0)
    """How many tokens' log-probabilities the request asks for; if left out, any number."""
    prompt_logprobs: bool | None = None
    """Whether it asks for the log-probabilities of its last message; if left out, either."""
    answer: Any = None
    """The text, or the JSON value where a step asks for JSON; null if there is none yet."""
    finish: Finish = "stop"
    """``stop``; ``length``: cut off; ``filtered``, ``failed``: there is none; ``invalid``: it cannot be used."""
    problem: str = ""
    """Why it is ``filtered``, ``failed`` or ``invalid``."""
    error: str = ""
    """The class of the error (of ``curate.errors``) of a request that failed."""
    reasoning: str = ""
    """The thoughts before it."""
    tool_calls: list[dict[str, Any]] = Field(default_factory=list)
    """The tools that it calls."""
    logprobs: list[Token] = Field(default_factory=list)
    """The log-probabilities of its tokens."""
    served: str = ""
    """The model that the server named, if another one than was asked for."""
    prompt_tokens: int = Field(default=0, ge=0)
    """Tokens of the request."""
    completion_tokens: int = Field(default=0, ge=0)
    """Tokens of the answer."""

    @property
    def answered(self) -> bool:
        """Whether it has an answer, be it that there is none for good."""
        return self.answer is not None or self.finish in ("filtered", "failed") or bool(self.tool_calls)

    def conditions(self) -> dict[str, Any]:
        """What it says of the request besides messages and sample."""
        given = {
            "model": self.model,
            "sampling": self.sampling,
            "schema": self.structure,
            "tools": self.tools,
            "top_logprobs": self.top_logprobs,
            "prompt_logprobs": self.prompt_logprobs,
        }
        return {name: value for name, value in given.items() if value is not None}

    def response(self) -> dict[str, Any]:
        """What it says of the answer."""
        request = {"messages", "sample", "structure", *self.conditions()}
        return self.model_dump(mode="json", exclude=request)

    def to(self, request: Request) -> Completion:
        """The answer, as the model gave it to this request."""
        given = self.answer
        text = given if isinstance(given, str) else "" if given is None else orjson.dumps(given).decode()
        tokens = tuple(TokenLogprob(one.token, one.logprob, tuple(one.top)) for one in self.logprobs)
        answer = Completion(
            text,
            self.finish,
            problem=self.problem,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            reasoning=self.reasoning,
            cached=True,
            error=self.error,
            served=self.served,
            tool_calls=tuple(self.tool_calls),
        )
        if request.prompt_logprobs:
            return answer.replace(logprobs=tokens)
        return checked(answer, request, lambda: tokens) if self.finish in ("stop", "length") else answer


@dataclass
class Recording:
    """The records of a file, to be looked up."""

    path: Path
    records: list[Record] = field(default_factory=list)
    _places: dict[bytes, list[int]] = field(default_factory=dict)
    """Key of messages and sample → places of the records, those with most conditions first."""

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Reads a file.

        Raises:
            ModelError: it cannot be read, a line is no record, or two lines answer one request differently.
        """
        found, lines = cls(path), dict[int, int]()
        for number, line in _lines(path):
            try:
                record = Record.model_validate(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise ModelError(f"{path}:{number}: not JSON: {error}") from None
            except ValidationError as error:
                raise ModelError(f"{path}:{number}: {_explained(error)}") from None
            other = found._add(record)
            if other is not None:
                raise ModelError(f"{path}:{number}: line {lines[other]} has another answer to this request; keep one")
            lines[len(found.records) - 1] = number
        return found

    def find(self, model: str, request: Request) -> Record | None:
        """The record of a request, the one with most conditions if several fit; None if there is none."""
        about = describe(model, request)
        for place in self._places.get(_key(about["messages"], request.sample), ()):
            if _fits(self.records[place], model, request, about):
                return self.records[place]
        return None

    def add(self, record: Record) -> None:
        """Adds a record; one of a request that is there already changes nothing."""
        self._add(record)

    def _add(self, record: Record) -> int | None:
        """Adds a record; returns the place of one with the same request and another answer."""
        messages = [one.model_dump(exclude_none=True) for one in record.messages]
        places = self._places.setdefault(_key(messages, record.sample), [])
        conditions = record.conditions()
        for place in places:
            other = self.records[place]
            if other.conditions() == conditions:
                if not other.answered:
                    self.records[place] = record
                    return None
                return place if record.answered and other.response() != record.response() else None
        self.records.append(record)
        places.append(len(self.records) - 1)
        places.sort(key=lambda place: -len(self.records[place].conditions()))
        return None


def describe(model: str, request: Request) -> dict[str, Any]:
    """A request as a line of a recording has it, with all that an answer depends on."""
    messages = []
    for place, (role, content) in enumerate(request.messages):
        parts = request.parts[place] if place < len(request.parts) else {}
        parts = {name: parts[name] for name in ("tool_calls", "tool_call_id", "name") if parts.get(name)}
        messages.append({"role": role, "content": fit_for_wire(content), **orjson.loads(orjson.dumps(parts))})
    about: dict[str, Any] = {"model": model, "messages": messages, "sample": request.sample}
    about["sampling"] = request.sampling.model_dump(mode="json", exclude_defaults=True)
    about["schema"] = None if request.schema is None else dict(request.schema)
    about["tools"] = orjson.loads(request.tools) if request.tools else None
    about |= {"top_logprobs": request.top_logprobs or None, "prompt_logprobs": request.prompt_logprobs or None}
    return {name: value for name, value in about.items() if value is not None and (name, value) != ("sample", 0)}


def line_of(model: str, request: Request, answer: Completion | None) -> bytes:
    """The line of a request and its answer, or of one that has none yet."""
    about = describe(model, request)
    if answer is None:
        about["answer"] = None
    else:
        about["answer"] = fit_for_wire(answer.text)
        told: Mapping[str, Any] = {
            "finish": "" if answer.finish == "stop" else answer.finish,
            "problem": answer.problem,
            "error": answer.error,
            "reasoning": answer.reasoning,
            "tool_calls": list(answer.tool_calls),
            "logprobs": [{"token": one.token, "logprob": one.logprob, "top": one.top} for one in answer.logprobs],
            "served": answer.served,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
        }
        about |= {name: value for name, value in told.items() if value}
    return orjson.dumps(about)


def write(path: Path, lines: Iterable[bytes]) -> None:
    """Writes a file anew; it is there as a whole or not at all.

    Raises:
        ModelError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with pa.output_stream(part, compression=_compression(path)) as file:
            file.writelines(line + b"\n" for line in lines)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ModelError(f"{path} cannot be written: {error.strerror or error}") from None


def raw_lines(path: Path) -> list[bytes]:
    """The lines of a file that are not blank.

    Raises:
        ModelError: it cannot be read.
    """
    return [line for _, line in _lines(path)]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with pa.input_stream(regular(path), compression=_compression(path)) as file:
            data = file.read()
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read ({error.strerror or error}); 'curate record {path.name}' writes it out of the"
            " kept answers of a build"
        ) from None
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            yield number, line


def _compression(path: Path) -> str | None:
    return "zstd" if path.suffix == ".zst" else None


def _key(messages: Sequence[Mapping[str, Any]], sample: int) -> bytes:
    return question_key([list(map(dict, messages)), sample])


def _fits(record: Record, model: str, request: Request, about: Mapping[str, Any]) -> bool:
    for name, value in record.conditions().items():
        if name == "model":
            same = value == (model if "@" in value else model.partition("@")[0])
        elif name == "sampling":
            same = value == request.sampling
        elif name in ("top_logprobs", "prompt_logprobs"):
            same = value == getattr(request, name)
        else:
            same = value == (about.get(name) or type(value)())
        if not same:
            return False
    return True


def _explained(error: ValidationError) -> str:
    from curate.catalog.suggestions import nearest

    said = []
    for one in error.errors():
        place = ".".join(map(str, one["loc"]))
        if one["type"] == "extra_forbidden":
            known = [field.alias or name for name, field in Record.model_fields.items()]
            near = nearest(str(one["loc"][-1]), known) if len(one["loc"]) == 1 else ""
            said.append(f"a record has no '{place}'{near}")
        else:
            said.append(f"{place}: {one['msg']}")
    return "; ".join(said)
