"""Remembers requests to models that got no usable answer, so that a later build knows which to send again.

Requests are noted here by :func:`curate.generation.common.requests.ask`, and stored with the result of the task. A
request that was lost because a server was in trouble is sent again by the next build; one that failed for good only
with ``curate build --retry-failed``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from curate.steps.models import Completion


@dataclass
class Unanswered:
    """What one task asked in vain."""

    retry: bool = False
    """Whether what failed for good is asked again (``curate build --retry-failed``)."""
    finishing: bool = False
    """Whether models answer from their caches only (``curate build --finish``)."""
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the run before was refused for good, by the digest of the question."""
    lost: set[str] = field(default_factory=set)
    """Rows whose answers were lost in passing, by id."""
    failed: set[str] = field(default_factory=set)
    """Rows without a usable answer for good, by id."""
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What was refused for good in this run, as ``known``."""
    errors: Counter[str] = field(default_factory=Counter)
    """Rows without a usable answer because a request failed, by the class of the error."""
    remarks: dict[str, None] = field(default_factory=dict)
    """What the user should know of the way models answered."""

    def note(self, row: str, *, transient: bool, error: str = "") -> None:
        """A row has no usable answer.

        Args:
            error: the class of the error, of those in :mod:`curate.errors`, where a request failed.
        """
        if error and row not in self.lost | self.failed:
            self.errors[error] += 1
        (self.lost if transient else self.failed).add(row)

    def recall(self, key: str) -> Completion | None:
        """The refusal that a question got in the run before, if it is not to be asked again."""
        told = None if self.retry else self.known.get(key)
        if told is None:
            return None
        self.refused[key] = dict(told)
        return Completion("", told["finish"], problem=told["problem"], error=told["error"], cached=True)

    def refuse(self, key: str, answer: Completion) -> None:
        """A question was refused for good."""
        self.refused[key] = {"finish": answer.finish, "problem": answer.problem, "error": answer.error}

    @property
    def not_asked(self) -> set[str]:
        """The rows that lack an answer because the build is to finish without it, by id."""
        return self.lost if self.finishing else set()

    @property
    def counts(self) -> dict[str, Any]:
        """How many rows were ``lost`` and how many ``failed``, and by which ``errors``, for the task's result;
        zeros are left out."""
        told = {
            "lost": len(self.lost - self.not_asked),
            "failed": len(self.failed - self.lost),
            "errors": dict(self.errors),
        }
        return {name: count for name, count in told.items() if count}


_CURRENT: ContextVar[Unanswered | None] = ContextVar("unanswered", default=None)


@contextmanager
def noting(unanswered: Unanswered) -> Iterator[None]:
    """Within it, :func:`current` is this one."""
    token = _CURRENT.set(unanswered)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Unanswered:
    """Where to note what is asked in vain; outside of a task, nowhere that anybody looks."""
    return _CURRENT.get() or Unanswered()
