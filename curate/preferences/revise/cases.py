"""A case is one answer on its way from the first version to the last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from curate.generation.common.requests import RequestResult
from curate.preferences.revise.error_injection_rules import Fault


@dataclass(slots=True)
class Case:
    """One answer on its way."""

    place: int
    language: str
    prompt: tuple[dict[str, str], ...]
    first: str
    """The answer that is wrong, or may be."""
    good: str | None = None
    """The chosen answer of a preference row."""
    current: str = ""
    rounds: list[tuple[str, str]] = field(default_factory=list)
    """(critique, corrected answer)"""
    fault: Fault | None = None
    fine: str = ""
    """What was said of an answer in which nothing was found wrong."""
    settled: bool = False
    problem: str = ""
    raw: str = ""
    cut: bool = False
    served: str = ""
    """The model that corrected it, or thought of the error, where the server names another one than was asked."""

    @property
    def live(self) -> bool:
        """Whether there is something left to ask."""
        return not self.settled and not self.problem

    def fails(self, one: RequestResult[Any, Any]) -> None:
        """Nothing can be made of it any more."""
        self.problem = one.problem
        self.raw = one.answer.text or one.answer.reasoning
        self.cut = one.trouble == "length"


@dataclass(frozen=True, slots=True)
class Key:
    """What a question is about, and whom it goes to."""

    case: int
    who: str
    part: int = 0
