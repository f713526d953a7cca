"""What a row asks and what it answers, as turns: the same for every kind of conversation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curate.generation.common.prompts import disarm
from curate.generation.common.requests import Broken
from curate.rows import Kind
from curate.steps import Rows

Turn = dict[str, str]
CHATS = frozenset({Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED, Kind.PROMPT})
PROMPT_COLUMN = {Kind.SFT: "messages", Kind.PREFERENCE: "prompt", Kind.UNPAIRED: "prompt", Kind.PROMPT: "prompt"}
ANSWER_COLUMN = {Kind.PREFERENCE: "chosen", Kind.UNPAIRED: "completion"}


@dataclass(frozen=True, slots=True)
class Open:
    """A conversation that waits for an answer."""

    turns: tuple[Turn, ...]
    """Up to the last user turn."""
    begun: str = ""
    """The beginning of the answer, where the prompt itself gives one."""

    @property
    def last(self) -> str:
        """What is asked."""
        return self.turns[-1]["content"]

    @property
    def system(self) -> str | None:
        """The text of the first turn, if it is a system turn."""
        return self.turns[0]["content"] if self.turns[0]["role"] == "system" else None

    def request(self) -> list[tuple[str, str]]:
        """(role, content), role markers disarmed."""
        return [(turn["role"], disarm(turn["content"])) for turn in self.turns]


def open_conversation(kind: Kind, turns: Sequence[Turn]) -> Open:
    """The conversation, its last answer taken off.

    Raises:
        ValueError: nothing is asked, or by a turn that cannot be asked again; the message says which.
    """
    left = [dict(turn) for turn in turns]
    begun = ""
    if kind is Kind.SFT:
        while left and left[-1]["role"] not in ("user", "tool"):
            left.pop()
    elif left and left[-1]["role"] == "assistant":
        begun = left.pop()["content"]
    if any(turn["role"] == "tool" for turn in left):
        raise ValueError("a conversation with tool turns cannot be asked again without its tools")
    if not left or left[-1]["role"] != "user":
        raise ValueError("there is no user turn to answer")
    if not left[-1]["content"].strip():
        raise ValueError("the user turn to answer is empty")
    return Open(tuple(left), begun)


def question_and_answer(rows: Rows) -> list[tuple[str, str] | None]:
    """The last user turn and its answer, for each row; None where there is not both. Thumbs-down answers are none."""
    if rows.kind not in (Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED):
        return [None] * len(rows)
    prompts = rows.table[PROMPT_COLUMN[rows.kind]].to_pylist()
    answers: list[Any] = rows.table[ANSWER_COLUMN[rows.kind]].to_pylist() if rows.kind in ANSWER_COLUMN else prompts
    good = rows.table["label"].to_pylist() if rows.kind is Kind.UNPAIRED else [True] * len(rows)
    found: list[tuple[str, str] | None] = []
    for prompt, answer, is_good in zip(prompts, answers, good, strict=True):
        asked = next((turn["content"] for turn in reversed(prompt) if turn["role"] == "user"), "")
        said = answer[-1]["content"] if answer and answer[-1]["role"] == "assistant" else ""
        found.append((asked, said) if is_good and asked.strip() and said.strip() else None)
    return found


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
    """What was thought aloud at the start of an answer, and the answer.

    A chat template may have opened the thoughts already: then only the closing tag is there.

    Raises:
        Broken: the thoughts have no end, so there is no answer.
    """
    opening, closing = tags
    found = re.match(rf"\s*(?:{re.escape(opening)})", text)
    rest = text[found.end() :] if found else text
    thoughts, closed, answer = rest.partition(closing)
    if closed and (found or opening not in thoughts):
        return thoughts.strip(), answer.lstrip("\r\n ")
    if found:
        raise Broken(f"it ends before its thoughts do: there is no {closing}, and no answer after it")
    return "", text
