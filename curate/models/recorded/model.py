"""``recorded``: answers out of a file in place of a server, so that a dataset can be built again by anybody."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from curate.catalog.params import LanguageTag, Role, Runtime
from curate.errors import ModelError, NotRecordedError
from curate.models.loading.hub import digest_file
from curate.models.loading.supported import Supported
from curate.models.recorded.recording import Recording
from curate.steps.models import Completion, Done, Model, Request, Sampling

_SHOWN = 160
"""Characters of a request in a message."""


class Recorded(Model):
    """A language model whose answers are in a file that `curate record` wrote, or a person."""

    use: ClassVar[str] = "recorded"
    role: ClassVar[Role | None] = Role.GENERATOR
    summary: ClassVar[str] = "answers out of a file that `curate record` wrote, or a person"

    path: Runtime[Path]
    """The recording (``.jsonl``, or ``.jsonl.zst``), identified by its content."""
    model: Annotated[str, Field(min_length=1)]
    """Name of the model that gave the answers, as rows record it."""
    revision: str = ""
    """Its version."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages the model supports; by default unspecified, and all are allowed."""

    def name_and_revision(self) -> str:
        """``model@revision``; ``model@unknown`` if the catalog has no revision."""
        return f"{self.model}@{self.revision or 'unknown'}"

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The digest of the recording.

        Raises:
            ModelError: there is no such file.
        """
        return {"recording": self._digest()}

    def _digest(self) -> str:
        path = self.path.expanduser()
        if not path.is_file():
            raise ModelError(
                f"there is no recording {path}; 'curate record {path.name} DATASET' writes one, with the requests"
                " that have no answer yet"
            )
        return digest_file(path)

    def request_problems(self, sampling: Sampling, *, top_logprobs: int = 0) -> list[str]:
        """What is wrong with the recording; which requests it answers is known when they are made."""
        try:
            _read(self.path.expanduser(), self._digest())
        except ModelError as error:
            return [str(error)]
        return []

    def knows_language(self, language: str) -> bool | None:
        return None if self.languages is None else language in Supported(self.languages)

    @property
    def exclusive(self) -> bool:
        """True: one process holds the answers."""
        return True

    def load(self, *, cache: Path | None, threads: int) -> RecordedGenerator:
        """Reads the recording.

        Raises:
            ModelError: it cannot be read; the message has the line.
        """
        return RecordedGenerator(
            self.name_and_revision(), _read(self.path.expanduser(), self._digest()), self.languages
        )


@lru_cache(maxsize=4)
def _read(path: Path, digest: str) -> Recording:
    """The recording in a file, read once for each content."""
    return Recording.read(path)


class RecordedGenerator:
    """A loaded recording."""

    def __init__(self, name: str, recording: Recording, languages: Sequence[str] | None) -> None:
        self.name = name
        self._recording = recording
        self._supported = None if languages is None else Supported(languages)

    def supports(self, language: str) -> bool:
        """Whether the catalog lists this language, or lists none."""
        return self._supported is None or language in self._supported

    def kept(self, requests: Sequence[Request]) -> list[Completion | None]:
        """The recorded answer to each request, in order; None where there is none."""
        found = [self._recording.find(self.name, request) for request in requests]
        return [
            record.to(request) if record is not None and record.answered else None
            for record, request in zip(found, requests, strict=True)
        ]

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """The recorded answer to each request, in order.

        Raises:
            NotRecordedError: a request has no answer in the file.
        """
        answers = self.kept(requests)
        missing = [request for request, answer in zip(requests, answers, strict=True) if answer is None]
        if missing:
            first = missing[0]
            role, content = next((turn for turn in reversed(first.messages) if turn[0] == "user"), first.messages[-1])
            shown = content if len(content) <= _SHOWN else f"{content[:_SHOWN]}…"
            path = self._recording.path
            raise NotRecordedError(
                f"{path.name} has no answer of {self.name} to {len(missing):,} of {len(requests):,} requests; the first"
                f" is for row {first.row or '?'} ({role}: «{shown}», sample {first.sample}). 'curate record"
                f" {path.name}' adds the requests without an answer to the file, to be filled in"
            )
        if done is not None:
            done(len(requests))
        return [answer for answer in answers if answer is not None]
