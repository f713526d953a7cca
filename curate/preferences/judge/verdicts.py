"""The verdicts of judges on rows, by the method of the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from curate.preferences.judge import reference
from curate.preferences.judge.params import JudgeParams
from curate.preferences.judge.rendering import Item
from curate.preferences.judge.requests import Judged, JudgeRequests
from curate.rows import Kind
from curate.steps import Context


def judge_items(
    step: JudgeParams, items: Sequence[Item], kind: Kind, judges: Callable[[Item], Sequence[str]], context: Context
) -> Judged:
    """(place, judge) → verdict, for the judges that ``judges`` names for each item."""
    if step.method == "reference":
        return reference.compare(step, items, judges, context)
    return JudgeRequests(step, kind, context).judge(items, judges)
