"""Takes rows apart into named texts, and puts them together again with new ones, as the same or another kind of row.

``prompt`` is the last user turn; ``response``, ``chosen``, ``rejected``, ``completion`` are the last turn of that
answer. A rewriting step sees and replaces one turn; all others stay. Calls of tools are seen as text
(:func:`curate.rows.message_text`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from curate.generation.common.conversations import CHATS, PROMPT_COLUMN, Turn
from curate.generation.common.requests import InvalidResponse, clean
from curate.rows import Kind, message_text
from curate.rows.kinds import ROLES
from curate.steps import Rows

_ANSWERS: MappingProxyType[Kind, tuple[str, ...]] = MappingProxyType(
    {Kind.SFT: ("response",), Kind.PREFERENCE: ("chosen", "rejected"), Kind.UNPAIRED: ("completion",), Kind.PROMPT: ()}
)
_PLAIN: MappingProxyType[Kind, tuple[str, ...]] = MappingProxyType(
    {Kind.PARALLEL: ("source", "target"), Kind.DOCUMENT: ("text",)}
)
PREFIXES = ("attribute.", "score.")
TEXT = "'"
"""The first part of a path that is no path, but the value itself."""


def texts_of_kind(kind: Kind) -> tuple[str, ...]:
    """The texts of this kind of row that a template can have (besides languages, attributes and scores)."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    return ("prompt", *_ANSWERS[kind], "system", "conversation")


def targets_of_kind(kind: Kind) -> tuple[str, ...]:
    """The fields that can be set in this kind of row (besides attributes and scores)."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    return (
        "prompt",
        *_ANSWERS[kind],
        "system",
        *(["label"] if kind is Kind.UNPAIRED else []),
        *(["messages"] if kind is Kind.SFT else []),
    )


def needed_by_kind(kind: Kind) -> tuple[str, ...]:
    """The fields that this kind of row must have."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    return ("prompt", *_ANSWERS[kind], *(["label"] if kind is Kind.UNPAIRED else []))


def carried(before: Kind, after: Kind) -> frozenset[str]:
    """The fields that are copied to a row of another kind: those with the same name in both."""
    if before is after:
        return frozenset(targets_of_kind(before))
    return (frozenset(targets_of_kind(before)) & frozenset(targets_of_kind(after))) - {"messages"}


@dataclass
class Item:
    """A row in parts."""

    kind: Kind
    system: str | None = None
    earlier: list[Turn] = field(default_factory=list)
    """The turns between the system turn and the last user turn."""
    prompt: str | None = None
    asked: Turn = field(default_factory=dict)
    """The last user turn as it is in the row; its text is ``prompt``."""
    answers: dict[str, list[Turn]] = field(default_factory=dict)
    label: bool | None = None
    plain: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    """New ones only."""
    scores: dict[str, float] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A text by its name in templates; empty if the row has none."""
        if name in self.plain:
            return self.plain[name]
        if name == "system":
            return self.system or ""
        if name == "prompt":
            return self.prompt or ""
        if name == "conversation":
            every = [*self.earlier, *([{"role": "user", "content": self.prompt}] if self.prompt is not None else [])]
            every += self.answers.get("response", [])
            return "\n\n".join(f"{turn['role']}: {message_text(turn)}" for turn in every)
        turns = self.answers.get(name, [])
        return message_text(turns[-1]) if turns else ""

    def calls(self, name: str) -> bool:
        """Whether the last turn of an answer calls tools."""
        turns = self.answers.get(name, [])
        return bool(turns and turns[-1].get("tool_calls"))

    def as_kind(self, kind: Kind) -> Item:
        """A copy to become a row of that kind, with the fields that are copied."""
        if kind is self.kind:
            return Item(
                kind,
                self.system,
                deepcopy(self.earlier),
                self.prompt,
                self.asked,
                deepcopy(self.answers),
                self.label,
                dict(self.plain),
            )
        taken = carried(self.kind, kind)
        new = Item(kind)
        if "prompt" in taken:
            new.system, new.earlier = self.system, deepcopy(self.earlier)
            new.prompt, new.asked = self.prompt, self.asked
        new.answers = {name: deepcopy(turns) for name, turns in self.answers.items() if name in taken}
        new.plain = {name: text for name, text in self.plain.items() if name in taken}
        return new

    def put(self, name: str, value: Any) -> None:
        """Sets a text, the label, the messages, an attribute or a score.

        Raises:
            InvalidResponse: the value has the wrong type.
        """
        if name.startswith("attribute."):
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            self.attributes[name.removeprefix("attribute.")] = clean(text)
        elif name.startswith("score."):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidResponse(f"'{name}' must be a number, not {_short(value)}")
            self.scores[name.removeprefix("score.")] = float(value)
        elif name == "label":
            if not isinstance(value, bool):
                raise InvalidResponse(f"'label' must be true or false, not {_short(value)}")
            self.label = value
        elif name == "messages":
            self._put_messages(value)
        else:
            self._put_text(name, _text(name, value))

    def _put_text(self, name: str, text: str) -> None:
        if self.kind in _PLAIN:
            self.plain[name] = text
        elif name == "system":
            self.system = text
        elif name == "prompt":
            self.prompt = text
        else:
            turns = self.answers.setdefault(name, [])
            if turns and turns[-1]["role"] == "assistant":
                turns[-1]["content"] = text
            else:
                turns.append({"role": "assistant", "content": text})

    def _put_messages(self, value: Any) -> None:
        if not isinstance(value, list) or not value:
            raise InvalidResponse(f"'messages' must be a list of turns, not {_short(value)}")
        turns = []
        for turn in value:
            if not isinstance(turn, Mapping) or turn.get("role") not in ROLES or "content" not in turn:
                raise InvalidResponse(
                    f'a turn must be {{"role": …, "content": …}} with a role of {", ".join(ROLES)}, not {_short(turn)}'
                )
            turns.append({"role": str(turn["role"]), "content": _text("content", turn["content"])})
        if all(turn["role"] != "user" for turn in turns) or turns[-1]["role"] != "assistant":
            raise InvalidResponse("'messages' must have a user turn and end with an assistant turn")
        parts = take_apart(Kind.SFT, {"messages": turns})
        self.system, self.earlier, self.prompt, self.answers = parts.system, parts.earlier, parts.prompt, parts.answers
        self.asked = parts.asked

    def payload(self) -> dict[str, Any]:
        """The columns of the row.

        Raises:
            InvalidResponse: something is missing or empty.
        """
        for name in needed_by_kind(self.kind):
            if name == "label":
                if self.label is None:
                    raise InvalidResponse("there is no 'label'")
            elif not self.text(name).strip():
                raise InvalidResponse(f"'{name}' is empty")
        if self.kind in _PLAIN:
            return dict(self.plain)
        head = [
            *([{"role": "system", "content": self.system}] if self.system else []),
            *self.earlier,
            {**self.asked, "role": "user", "content": self.prompt or ""},
        ]
        if self.kind is Kind.SFT:
            return {"messages": [*head, *self.answers["response"]]}
        columns: dict[str, Any] = {"prompt": head, **{name: self.answers[name] for name in _ANSWERS[self.kind]}}
        return {**columns, "label": self.label} if self.kind is Kind.UNPAIRED else columns


def take_apart(kind: Kind, row: Mapping[str, Any]) -> Item:
    """The parts of a row, given as its columns."""
    if kind not in CHATS:
        return Item(kind, plain={name: row[name] for name in _PLAIN[kind]})
    turns = [dict(turn) for turn in row[PROMPT_COLUMN[kind]]]
    last = max((place for place, turn in enumerate(turns) if turn["role"] == "user"), default=-1)
    head, tail = (turns[:last], turns[last + 1 :]) if last >= 0 else ([], turns)
    asked = turns[last] if last >= 0 else {}
    item = Item(kind, prompt=asked.get("content"), asked=asked)
    if last < 0 and tail and tail[0]["role"] == "system":
        head, tail = tail[:1], tail[1:]
    if head and head[0]["role"] == "system":
        item.system = head.pop(0)["content"]
    item.earlier = head
    if kind is Kind.SFT:
        item.answers["response"] = tail
    else:
        item.answers = {name: [dict(turn) for turn in row[name]] for name in _ANSWERS[kind]}
    if kind is Kind.UNPAIRED:
        item.label = bool(row["label"])
    return item


def take_rows_apart(rows: Rows) -> Iterable[tuple[Item, dict[str, str]]]:
    """The parts of each row, and its attributes and scores by their names in templates."""
    for batch in rows.table.to_batches(256):
        for row in batch.to_pylist():
            beside = {f"attribute.{one['name']}": one["value"] for one in row["attributes"]}
            beside |= {f"score.{one['name']}": f"{one['value']:g}" for one in row["scores"]}
            yield take_apart(rows.kind, row), beside


# ---------------------------------------------------------------------------------------------------------------- paths
def split_path(path: str) -> tuple[str, ...]:
    """The parts of ``answer.items.0.text`` or ``answer/items/0/text`` (JSON pointer: ``~1`` is a slash, ``~0`` a
    tilde); of a text in single quotes, :data:`TEXT` and the text."""
    if len(path) > 2 and path[0] == path[-1] == "'":
        return TEXT, path[1:-1]
    if "/" in path:
        return tuple(part.replace("~1", "/").replace("~0", "~") for part in path.split("/"))
    return tuple(path.split("."))


def follow(value: Any, parts: Sequence[str], shown: str) -> Any:
    """The value at the end of a path in a JSON value.

    Raises:
        InvalidResponse: there is none.
    """
    for part in parts:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise InvalidResponse(f"there is no '{part}' in it, where '{shown}' should be")
    return value


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, list | Mapping):
        raise InvalidResponse(f"'{name}' must be a text, not {_short(value)}")
    return clean(value if isinstance(value, str) else orjson.dumps(value).decode())


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode("utf-8", "replace") if not isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
