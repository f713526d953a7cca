"""The state of one answer, from its first version to the last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from curate.generation.common.requests import RequestResult
from curate.preferences.revise.error_injection_rules import InjectedError


@dataclass(slots=True)
class Case:
    """The state of one answer."""

    place: int
    language: str
    prompt: tuple[dict[str, str], ...]
    first: str
    """The answer that may be wrong (for ``inject``: the version with the error)."""
    good: str | None = None
    """The chosen answer of a preference row."""
    current: str = ""
    rounds: list[tuple[str, str]] = field(default_factory=list)
    """(critique, corrected answer)"""
    error: InjectedError | None = None
    fine: str = ""
    """The critic's text about an answer in which nothing was found wrong."""
    settled: bool = False
    problem: str = ""
    raw: str = ""
    cut: bool = False
    served: str = ""
    """The model that corrected it or invented the error, if the server names another one than requested."""

    @property
    def live(self) -> bool:
        """Whether more requests are needed."""
        return not self.settled and not self.problem

    def fails(self, one: RequestResult[Any, Any]) -> None:
        """Records that the row failed."""
        self.problem = one.problem
        self.raw = one.answer.text or one.answer.reasoning
        self.cut = one.trouble == "length"


@dataclass(frozen=True, slots=True)
class Key:
    """The subject of a request, and the model that gets it."""

    case: int
    model: str
    part: int = 0
