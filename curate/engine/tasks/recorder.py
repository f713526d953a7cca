"""Replaces a language model to record each request with its cached answer; nothing is sent.

It is there for `curate record`, which builds a dataset again to learn what its steps ask.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from curate.errors import NotRecordedError
from curate.steps.models import Completion, Done, Request, Sampling, TokenLogprob


class Recorder:
    """A loaded language model that gives kept answers only.

    A model that has no ``kept`` (one in the build's own process) is asked.
    """

    def __init__(self, generator: Any, name: str, folder: Path) -> None:
        """
        Args:
            name: ``name@revision`` of the model.
            folder: where a file for each process and model is written.
        """
        self._generator, self._name = generator, name
        self._file = folder / f"{os.getpid()}-{id(self)}.jsonl"
        self._lock = threading.Lock()

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """The kept answer to each request, in order; ``failed`` where there is none."""
        kept = getattr(self._generator, "kept", self._generator.generate)(requests)
        lines = [
            json.dumps([self._name, _plain(request), None if answer is None else asdict(answer)]) + "\n"
            for request, answer in zip(requests, kept, strict=True)
        ]
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.writelines(lines)
        if done is not None:
            done(len(requests))
        none = Completion("", "failed", problem="there is no kept answer", error=NotRecordedError.__name__)
        return [answer or none for answer in kept]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


def recorded(folder: Path) -> list[tuple[str, Request, Completion | None]]:
    """What recorders wrote: (``name@revision``, request, kept answer), as often as it was asked, model by model."""
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            name, request, answer = json.loads(line)
            found.append((name, _request(request), None if answer is None else _answer(answer)))
    return sorted(found, key=lambda one: one[0])


def _plain(request: Request) -> dict[str, Any]:
    given = {one.name: getattr(request, one.name) for one in fields(request)}
    schema = None if request.schema is None else dict(request.schema)
    return {
        **given,
        "sampling": request.sampling.model_dump(mode="json"),
        "schema": schema,
        "parts": [dict(part) for part in request.parts],
    }


def _request(given: dict[str, Any]) -> Request:
    return Request(
        **{
            **given,
            "messages": tuple((role, content) for role, content in given["messages"]),
            "sampling": Sampling(**given["sampling"]),
            "parts": tuple(given["parts"]),
        }
    )


def _answer(given: dict[str, Any]) -> Completion:
    tokens = [
        TokenLogprob(one["token"], one["logprob"], tuple((token, value) for token, value in one["top"]))
        for one in given["logprobs"]
    ]
    return Completion(
        **{
            **given,
            "logprobs": tuple(tokens),
            "tool_calls": tuple(given["tool_calls"]),
            "remarks": tuple(given["remarks"]),
        }
    )
