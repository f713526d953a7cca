"""A reader takes a conversation only in the order that it knows; what it would skip or misread is refused here, with
the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from curate.models.generation.chat_template import without_system

Turn = dict[str, str]
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


class Misread(Exception):
    """A row that the reader would skip or misread; the text is the reason."""


def with_system(turns: Sequence[Turn], system: System, added: str | None) -> list[Turn]:
    """The turns as the system message shall be treated.

    Args:
        system: ``keep`` it, ``drop`` it, or ``merge`` it into the user turn that follows.
        added: the system message of conversations that have none.
    """
    found = list(turns)
    if added is not None and not any(turn["role"] == "system" for turn in found):
        found.insert(0, {"role": "system", "content": added})
    if system == "drop":
        found = [turn for turn in found if turn["role"] != "system"]
    if system == "merge" and any(turn["role"] == "system" for turn in found):
        merged = without_system([(turn["role"], turn["content"]) for turn in found])
        found = [{"role": role, "content": content} for role, content in merged]
    return found


def split_system(turns: Sequence[Turn], *, empty: bool = True) -> tuple[str | None, list[Turn]]:
    """The system message, if it comes first, and what follows.

    Args:
        empty: whether the reader tells an empty one from none.

    Raises:
        Misread: there is a later one, or an empty one.
    """
    system: str | None = None
    rest = list(turns)
    if rest and rest[0]["role"] == "system":
        system = rest.pop(0)["content"]
        if not system and not empty:
            raise Misread(SYSTEM_EMPTY)
    if any(turn["role"] == "system" for turn in rest):
        raise Misread(SYSTEM_LATE)
    return system, rest


def need_no_tools(turns: Sequence[Turn]) -> None:
    """Refuses tool messages."""
    if any(turn["role"] == "tool" for turn in turns):
        raise Misread(TOOL)


def need_alternation(turns: Sequence[Turn], *, ends_with: Literal["assistant", "prompt"]) -> None:
    """Refuses turns (without the system message) that are not the user's (or a tool's) and the assistant's by turns."""
    if not turns:
        raise Misread(PROMPT_EMPTY if ends_with == "prompt" else NO_TURNS)
    if turns[0]["role"] != "user":
        raise Misread(BEGINS)
    for place, turn in enumerate(turns):
        if (turn["role"] == "assistant") != (place % 2 == 1):
            raise Misread(ALTERNATION)
    last = turns[-1]["role"]
    if ends_with == "assistant" and last != "assistant":
        raise Misread(ENDS)
    if ends_with == "prompt" and last == "assistant":
        raise Misread(PROMPT_ENDS)


def need_trained(turns: Sequence[Turn]) -> None:
    """Refuses conversations in which nothing would be learned: no assistant message has text."""
    if not turns:
        raise Misread(NO_TURNS)
    if not any(turn["role"] == "assistant" and turn["content"] for turn in turns):
        raise Misread(NO_ANSWER)


def need_prompt(turns: Sequence[Turn]) -> None:
    """Refuses a prompt that no answer can follow."""
    if not turns:
        raise Misread(PROMPT_EMPTY)
    if turns[-1]["role"] not in ("user", "tool"):
        raise Misread(PROMPT_ENDS)


def need_answer(turns: Sequence[Turn], *, single: bool = False) -> None:
    """Refuses what is no answer; with ``single``, also one of several messages."""
    if not turns or turns[0]["role"] != "assistant" or turns[-1]["role"] != "assistant":
        raise Misread(ANSWER_ROLE)
    if single and len(turns) != 1:
        raise Misread(ANSWER_LONG)


def need_text(row: dict[str, Any]) -> dict[str, Any]:
    """A document's row as it is; refuses one without text."""
    if not row["text"]:
        raise Misread(TEXT_EMPTY)
    return row


def need_pair(row: dict[str, Any], *, single: bool = False) -> None:
    """Refuses two answers that are not two answers, or the same."""
    for side in ("chosen", "rejected"):
        need_answer(row[side], single=single)
    if row["chosen"] == row["rejected"]:
        raise Misread(EQUAL)
