"""Questions and answers of a row as turns, the same for every kind of conversation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curate.generation.common.prompts import disarm
from curate.generation.common.requests import InvalidResponse
from curate.rows import Kind
from curate.rows.kinds import MEDIA
from curate.steps import Rows

Turn = dict[str, Any]
CHATS = frozenset({Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED, Kind.PROMPT})
PROMPT_COLUMN = {Kind.SFT: "messages", Kind.PREFERENCE: "prompt", Kind.UNPAIRED: "prompt", Kind.PROMPT: "prompt"}
_PARTS = ("tool_calls", "tool_call_id", "name")
ANSWER_COLUMN = {Kind.PREFERENCE: "chosen", Kind.UNPAIRED: "completion"}


@dataclass(frozen=True, slots=True)
class OpenConversation:
    """A conversation that waits for an answer."""

    turns: tuple[Turn, ...]
    """Up to the last user turn, or the results of tools after it."""
    begun: str = ""
    """The beginning of the answer, if the prompt has one."""

    @property
    def asked(self) -> int:
        """The place of the last user turn."""
        return max(place for place, turn in enumerate(self.turns) if turn["role"] == "user")

    @property
    def last(self) -> str:
        """The text of the last user turn."""
        return str(self.turns[self.asked]["content"])

    @property
    def system(self) -> str | None:
        """The text of the first turn, if it is a system turn."""
        return self.turns[0]["content"] if self.turns[0]["role"] == "system" else None

    def request(self) -> list[tuple[str, str]]:
        """(role, content), role markers disarmed."""
        return [(turn["role"], disarm(turn["content"])) for turn in self.turns]

    def parts(self) -> list[dict[str, Any]]:
        """For each turn its calls of tools, or the call that it answers and its name."""
        return [{name: turn[name] for name in _PARTS if turn.get(name)} for turn in self.turns]


def open_conversation(kind: Kind, turns: Sequence[Turn], *, tools: bool = False) -> OpenConversation:
    """The conversation without its last answer.

    Args:
        tools: whether the model is given the row's tools, so that turns may call them and answer the calls.

    Raises:
        ValueError: there is no user turn to answer, or one that cannot be asked again; the message says which.
    """
    left = [dict(turn) for turn in turns]
    begun = ""
    if kind is Kind.SFT:
        while left and left[-1]["role"] not in ("user", "tool"):
            left.pop()
    elif left and left[-1]["role"] == "assistant":
        last = left.pop()
        if last.get("tool_calls"):
            raise ValueError("it ends with calls of tools that have no result")
        begun = last["content"]
    if not tools and any(turn["role"] == "tool" or turn.get("tool_calls") for turn in left):
        raise ValueError("a conversation with tool turns cannot be asked again without its tools")
    asked = next((turn for turn in reversed(left) if turn["role"] == "user"), None)
    if asked is None or left[-1]["role"] not in ("user", "tool"):
        raise ValueError("there is no user turn to answer")
    if not asked["content"].strip():
        raise ValueError("the user turn to answer is empty")
    return OpenConversation(tuple(left), begun)


def not_shown(rows: Rows, *, tools: bool = True) -> list[str | None]:
    """For each row what a model that is asked in text would miss: its tools, or its images and the like.

    Args:
        tools: whether a list of tools counts. Calls are shown as text (:func:`curate.rows.message_text`).
    """
    reasons: list[str | None] = [None] * len(rows)
    for name in (*(("tools",) if tools else ()), *MEDIA):
        if name in rows.table.column_names and rows.table[name].null_count < len(rows):
            for place, value in enumerate(rows.table[name].to_pylist()):
                if value is not None and reasons[place] is None:
                    reasons[place] = f"it has {name}, which the model is not shown"
    return reasons


def question_and_answer(rows: Rows) -> list[tuple[str, str] | None]:
    """The last user turn and its answer of each row; None where one is missing, or is about images and the like, which
    no prompt shows. Answers labelled as bad count as missing."""
    if rows.kind not in (Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED):
        return [None] * len(rows)
    prompts = rows.table[PROMPT_COLUMN[rows.kind]].to_pylist()
    answers: list[Any] = rows.table[ANSWER_COLUMN[rows.kind]].to_pylist() if rows.kind in ANSWER_COLUMN else prompts
    good = rows.table["label"].to_pylist() if rows.kind is Kind.UNPAIRED else [True] * len(rows)
    good = [one and unseen is None for one, unseen in zip(good, not_shown(rows, tools=False), strict=True)]
    pairs: list[tuple[str, str] | None] = []
    for prompt, turns, is_good in zip(prompts, answers, good, strict=True):
        question = next((turn["content"] for turn in reversed(prompt) if turn["role"] == "user"), "")
        answer = turns[-1]["content"] if turns and turns[-1]["role"] == "assistant" else ""
        pairs.append((question, answer) if is_good and question.strip() and answer.strip() else None)
    return pairs


def last_prompts(rows: Rows) -> list[str]:
    """The last user turn of each conversation, or the text of each document; empty where there is none."""
    if rows.kind is Kind.DOCUMENT:
        return list(rows.table["text"].to_pylist())
    if rows.kind is Kind.PARALLEL:
        return list(rows.table["source"].to_pylist())
    return [
        next((turn["content"] for turn in reversed(turns) if turn["role"] == "user"), "")
        for turns in rows.table[PROMPT_COLUMN[rows.kind]].to_pylist()
    ]


def split_reasoning(text: str, tags: tuple[str, str]) -> tuple[str, str]:
    """The reasoning at the start of an answer, and the answer.

    The chat template may already have opened the reasoning: then there is only the closing tag.

    Raises:
        InvalidResponse: the reasoning has no end, so there is no answer.
    """
    opening, closing = tags
    opened = re.match(rf"\s*(?:{re.escape(opening)})", text)
    rest = text[opened.end() :] if opened else text
    reasoning, closed, answer = rest.partition(closing)
    if closed and (opened or opening not in reasoning):
        return reasoning.strip(), answer.lstrip("\r\n ")
    if opened:
        raise InvalidResponse(f"it ends before its thoughts do: there is no {closing}, and no answer after it")
    return "", text
