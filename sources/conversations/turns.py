"""A turn of a conversation as (role, content), with its optional parts where it has some; splits conversations."""

from __future__ import annotations

from typing import Any

from sources.values import BadValue

Turn = tuple[str, str]
Turns = list[Turn]


class Structured(Turn):
    """A turn with optional parts: ``tool_calls``, ``tool_call_id``, ``name``, ``reasoning``, ``weight``."""

    extras: dict[str, Any]

    def __new__(cls, role: str, content: str, extras: dict[str, Any]) -> Structured:
        made = super().__new__(cls, (role, content))
        made.extras = extras
        return made

    def __eq__(self, other: object) -> bool:
        return tuple.__eq__(self, other) is True and self.extras == getattr(other, "extras", {})

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = Turn.__hash__


def with_text(turn: Turn, content: str) -> Turn:
    """The turn with another text."""
    return Structured(turn[0], content, turn.extras) if isinstance(turn, Structured) else (turn[0], content)


def split_pair(chosen: Turns, rejected: Turns) -> tuple[Turns, Turns, Turns]:
    """Prompt, chosen and rejected of two full conversations: the prompt is their common beginning.

    Each answer keeps at least its last message, so that two equal conversations still have answers.

    Raises:
        BadValue: they have no common beginning, or the answers do not begin with the assistant.
    """
    common = 0
    for left, right in zip(chosen[:-1], rejected[:-1], strict=False):
        if left != right:
            break
        common += 1
    while common and (chosen[common][0] != "assistant" or rejected[common][0] != "assistant"):
        common -= 1
    if not common:
        raise BadValue("chosen and rejected have no prompt in common; map it by columns.prompt")
    return chosen[:common], chosen[common:], rejected[common:]


def split_answer(turns: Turns) -> tuple[Turns, Turns]:
    """Prompt and completion of a conversation: the completion is its last message, which must be the assistant's.

    Raises:
        BadValue: it is not.
    """
    if len(turns) < 2 or turns[-1][0] != "assistant":
        raise BadValue("the conversation does not end with an answer of the assistant to something")
    return turns[:-1], turns[-1:]
