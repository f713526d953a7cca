"""Checks of conversations for trainers: a conversation that the reader would skip or misread is refused with a
reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

Turn = dict[str, Any]
"""A message without the optional parts that it does not have."""
System = Literal["keep", "drop", "merge"]

NO_TURNS = "no messages"
NO_ANSWER = "no assistant message with text"
SYSTEM_LATE = "a system message that is not the first"
SYSTEM_EMPTY = "an empty system message, which the reader takes for none"
TOOL = "a tool message, which the reader has no place for"
ALTERNATION = "user and assistant do not take turns"
BEGINS = "does not begin with a user message"
ENDS = "does not end with an assistant message"
PROMPT_EMPTY = "the prompt is empty"
PROMPT_ENDS = "the prompt does not end with a user or tool message"
ANSWER_ROLE = "an answer does not begin and end with an assistant message"
ANSWER_LONG = "an answer of several messages, of which the reader takes one"
ANSWER_EMPTY = "an empty answer, which turns the label round"
EQUAL = "chosen and rejected are the same"
PREFIX = "one answer begins with the whole other"
MULTI = "several user turns, of which the reader takes one"
TEXT_EMPTY = "empty text"


class UnsupportedRow(Exception):
    """A row that the reader would skip or misread; the text is the reason."""


def with_system(turns: Sequence[Turn], system: System, added: str | None) -> list[Turn]:
    """The turns with the system message processed.

    Args:
        system: ``keep`` it, ``drop`` it, or ``merge`` it into the user turn that follows.
        added: a system message for conversations without one.
    """
    result = list(turns)
    if added is not None and not any(turn["role"] == "system" for turn in result):
        result.insert(0, {"role": "system", "content": added})
    if system == "drop":
        result = [turn for turn in result if turn["role"] != "system"]
    return _merged(result) if system == "merge" else result


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with system messages at the beginning of the user turn that follows, or as one if none does."""
    result: list[Turn] = []
    waiting: list[str] = []
    for turn in turns:
        if turn["role"] == "system":
            waiting.append(turn["content"])
            continue
        if waiting and turn["role"] == "user":
            turn = {**turn, "content": "\n\n".join([*waiting, turn["content"]])}
        elif waiting:
            result.append({"role": "user", "content": "\n\n".join(waiting)})
        waiting = []
        result.append(turn)
    return [*result, *([{"role": "user", "content": "\n\n".join(waiting)}] if waiting else [])]


def split_system(turns: Sequence[Turn], *, empty: bool = True) -> tuple[str | None, list[Turn]]:
    """The system message, if it comes first, and the other turns.

    Args:
        empty: whether the reader distinguishes an empty one from none.

    Raises:
        UnsupportedRow: there is a later one, or an empty one.
    """
    system: str | None = None
    rest = list(turns)
    if rest and rest[0]["role"] == "system":
        system = rest.pop(0)["content"]
        if not system and not empty:
            raise UnsupportedRow(SYSTEM_EMPTY)
    if any(turn["role"] == "system" for turn in rest):
        raise UnsupportedRow(SYSTEM_LATE)
    return system, rest


def need_no_tools(turns: Sequence[Turn]) -> None:
    """Refuses tool messages."""
    if any(turn["role"] == "tool" for turn in turns):
        raise UnsupportedRow(TOOL)


def need_alternation(turns: Sequence[Turn], *, ends_with: Literal["assistant", "prompt"]) -> None:
    """Refuses turns (without the system message) that do not alternate between the user (or a tool) and the
    assistant."""
    if not turns:
        raise UnsupportedRow(PROMPT_EMPTY if ends_with == "prompt" else NO_TURNS)
    if turns[0]["role"] != "user":
        raise UnsupportedRow(BEGINS)
    for place, turn in enumerate(turns):
        if (turn["role"] == "assistant") != (place % 2 == 1):
            raise UnsupportedRow(ALTERNATION)
    last = turns[-1]["role"]
    if ends_with == "assistant" and last != "assistant":
        raise UnsupportedRow(ENDS)
    if ends_with == "prompt" and last == "assistant":
        raise UnsupportedRow(PROMPT_ENDS)


def need_trained(turns: Sequence[Turn]) -> None:
    """Refuses conversations without anything to learn: no assistant message has text or calls, or all have weight 0."""
    if not turns:
        raise UnsupportedRow(NO_TURNS)
    learned = [turn for turn in turns if turn["role"] == "assistant" and turn.get("weight") != 0]
    if not any(turn["content"] or turn.get("tool_calls") for turn in learned):
        raise UnsupportedRow(NO_ANSWER)


def need_prompt(turns: Sequence[Turn]) -> None:
    """Refuses a prompt that no answer can follow."""
    if not turns:
        raise UnsupportedRow(PROMPT_EMPTY)
    if turns[-1]["role"] not in ("user", "tool"):
        raise UnsupportedRow(PROMPT_ENDS)


def need_answer(turns: Sequence[Turn], *, single: bool = False) -> None:
    """Refuses a value that is not an answer; with ``single``, also an answer of several messages."""
    if not turns or turns[0]["role"] != "assistant" or turns[-1]["role"] != "assistant":
        raise UnsupportedRow(ANSWER_ROLE)
    if single and len(turns) != 1:
        raise UnsupportedRow(ANSWER_LONG)


def need_text(row: dict[str, Any]) -> dict[str, Any]:
    """A document's row, unchanged; refuses one without text."""
    if not row["text"]:
        raise UnsupportedRow(TEXT_EMPTY)
    return row


def need_pair(row: dict[str, Any], *, single: bool = False) -> None:
    """Refuses answers that are invalid or equal."""
    for side in ("chosen", "rejected"):
        need_answer(row[side], single=single)
    if row["chosen"] == row["rejected"]:
        raise UnsupportedRow(EQUAL)
