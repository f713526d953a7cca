"""The language step over identifiers that abstain, or that name a group of close languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from curate.rows import Kind
from curate.steps.models import Identified
from filters.language import Language

DANISH = "Vi gik en lang tur langs vandet, og bagefter drak vi varm kakao i køkkenet."


class Says:
    """An identifier that says one thing of all texts."""

    def __init__(self, *said: tuple[str, float]) -> None:
        self._said = said

    def identify(self, texts: Sequence[str], k: int = 1) -> Identified:
        tags, values = [tag for tag, _ in self._said[:k]], [value for _, value in self._said[:k]]
        return Identified([list(tags) for _ in texts], [list(values) for _ in texts])

    def supports(self, language: str) -> bool:
        return language in ("da", "nb", "sv", "en", "hi")


def _row(language: str, text: str = DANISH) -> dict[str, Any]:
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    return {"messages": turns, "language": language}


def test_a_group_s_name_means_its_members(work_context: Callable[..., Any], make: Any, decided: Any) -> None:
    rows = make(Kind.SFT, [_row("da"), _row("nb"), _row("sv")])
    step = Language(model="says")
    context = work_context(models={"says": Says(("gmq", 0.9), ("sv", 0.05))})
    scores = step.score(rows, context, None)
    assert scores["score"].to_list() == [0.9, 0.9, 0.05]
    assert scores["found"].to_list() == ["gmq"] * 3
    assert decided(step, rows, context) == [None, None, "language"]


def test_a_group_s_name_is_not_contradicted_by_the_script_of_its_members(
    work_context: Callable[..., Any], make: Any
) -> None:
    rows = make(Kind.SFT, [_row("hi", "बच्चे कल नदी के किनारे देर तक खेलते रहे और फिर घर लौट आए।")])
    scores = Language(model="says").score(rows, work_context(models={"says": Says(("inc", 0.8))}), None)
    assert scores["score"].to_list() == [0.8]


@pytest.mark.parametrize(("policy", "reason"), [("keep", None), ("drop", "abstained")])
def test_an_identifier_that_abstains_says_so(
    work_context: Callable[..., Any], make: Any, decided: Any, policy: Any, reason: str | None
) -> None:
    rows = make(Kind.SFT, [_row("da")])
    step = Language(model="says", abstain=policy)
    context = work_context(models={"says": Says()})
    scores = step.score(rows, context, None)
    assert scores["score"].to_list() == [None]
    assert scores["abstained"].to_list() == ["unclear"]
    assert decided(step, rows, context) == [reason]
