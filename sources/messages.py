"""Every way of writing a conversation becomes one: a list of (role, content) with our four roles.

ShareGPT (``from``/``value``), OpenAI (``role``/``content``, content as text or as parts, tool calls) and pairs of a history
are read; nothing is dropped on the way without being said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from sources.templates import MISSING, BadValue, as_text

Turn = tuple[str, str]
Turns = list[Turn]

ROLES: Mapping[str, str] = MappingProxyType(
    {"user": "user", "human": "user", "prompter": "user",
     "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant", "function_call": "assistant",
     "tool_call": "assistant",
     "system": "system", "developer": "system",
     "tool": "tool", "function": "tool", "observation": "tool", "tool_response": "tool", "function_response": "tool"}
)  # fmt: skip
_ROLE_KEYS = ("role", "from")
_CONTENT_KEYS = ("content", "value", "text")


def compact(value: Any) -> str:
    """A value as JSON in one line, every script written as it is."""
    return value if isinstance(value, str) else as_text(value)


class Reader:
    """Reads conversations of one source.

    Args:
        clean: what is done to every text (normal form, blanks at the ends); raises BadValue for text that is none.
        skip_parts: whether message parts that are not text are left out (because an attribute carries them along).
    """

    def __init__(self, clean: Callable[[str], str], *, skip_parts: bool = False) -> None:
        self.clean = clean
        self.skip_parts = skip_parts

    def read(self, value: Any, target: str, default: str | None = None, *, parse: bool = False) -> Turns:
        """The turns of a value: a list of messages, one message, or (with ``default``) a text of that role.

        Args:
            target: what the value is for, as said in errors.
            default: the role of a plain text; None if only messages will do.
            parse: whether a text may be the JSON of a list of messages (as CSV files have it).

        Raises:
            BadValue: it is none of these.
        """
        if isinstance(value, str):
            if parse and value.lstrip()[:1] in ("[", "{"):
                try:
                    parsed = orjson.loads(value)
                except orjson.JSONDecodeError:
                    parsed = None
                if isinstance(parsed, (list, dict)):
                    return self.read(parsed, target, default)
            if default is not None:
                return [(default, self.clean(value))]
            raise BadValue(f"{target} is a text where a list of messages was expected")
        if value is MISSING:
            raise BadValue(f"{target}: the row has no such column")
        if value is None:
            if default is not None:
                return [(default, "")]
            raise BadValue(f"{target} is null where a list of messages was expected")
        if isinstance(value, dict):
            return [self.message(value, target)]
        if isinstance(value, list):
            if not value:
                raise BadValue(f"{target} is an empty list of messages")
            return [self.message(one, f"{target}[{i}]") for i, one in enumerate(value)]
        if default is not None and isinstance(value, (int, float)):
            return [(default, self.clean(as_text(value)))]
        raise BadValue(f"{target} is a {type(value).__name__} where text or messages were expected")

    def message(self, value: Any, where: str) -> Turn:
        """One message."""
        if not isinstance(value, dict):
            raise BadValue(f"{where} is a {type(value).__name__} where a message was expected")
        role = next((value[key] for key in _ROLE_KEYS if value.get(key) is not None), None)
        if role is None:
            raise BadValue(
                f"{where} is a message without 'role' or 'from'; it has {', '.join(map(str, value)) or 'nothing'}"
            )
        ours = ROLES.get(role.strip().lower() if isinstance(role, str) else role)
        if ours is None:
            raise BadValue(f"{where} has the unknown role '{role}'; known are {', '.join(ROLES)}")
        content = next((value[key] for key in _CONTENT_KEYS if value.get(key) is not None), None)
        text = self.content(content, where)
        calls = value.get("tool_calls") or value.get("function_call")
        if calls:
            text = f"{text}\n{compact(calls)}" if text.strip() else compact(calls)
        elif content is None and not any(key in value for key in _CONTENT_KEYS):
            raise BadValue(f"{where} is a message without 'content' or 'value'")
        return ours, self.clean(text)

    def content(self, content: Any, where: str) -> str:
        """The text of a message's content: a text, or parts of which the texts are joined."""
        if isinstance(content, str):
            return content
        if content is None:
            return ""
        if isinstance(content, list):
            texts = [self.part(part, f"{where}, part {i}") for i, part in enumerate(content)]
            return "".join(texts)
        if isinstance(content, dict):
            # A function's arguments or result, given as an object instead of its JSON.
            return compact(content)
        return as_text(content)

    def part(self, part: Any, where: str) -> str:
        """The text of one part of a content."""
        if isinstance(part, str):
            return part
        if isinstance(part, dict):
            kind = part.get("type", "text")
            if kind in ("text", "input_text", "output_text"):
                text = next((part[key] for key in ("text", "value", "content") if part.get(key) is not None), "")
                if isinstance(text, str):
                    return text
            elif kind in ("tool_call", "tool_calls", "function_call"):
                return compact(
                    next((part[key] for key in ("value", "content", kind) if part.get(key) is not None), part)
                )
            elif self.skip_parts:
                return ""
            raise BadValue(
                f"{where} is of type '{kind}', which has no text; carry the column along in 'attributes' to skip such parts"
            )
        raise BadValue(f"{where} is a {type(part).__name__} where text was expected")

    def history(self, value: Any, target: str) -> Turns:
        """Earlier turns: messages, or pairs of what the user and the assistant said."""
        if value is None or value is MISSING or value == "" or value == []:
            return []
        if isinstance(value, str):
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                raise BadValue(f"{target} is a text where pairs or messages were expected") from None
        if isinstance(value, list) and all(isinstance(pair, list) for pair in value):
            turns: Turns = []
            for i, pair in enumerate(value):
                if len(pair) != 2:
                    raise BadValue(f"{target}[{i}] has {len(pair)} elements where [user, assistant] was expected")
                turns += [("user", self.clean(as_text(pair[0]))), ("assistant", self.clean(as_text(pair[1])))]
            return turns
        return self.read(value, target)


def with_system(turns: Turns, system: str) -> Turns:
    """The conversation with a system message in front; one that it has already stays alone."""
    return turns if not system or (turns and turns[0][0] == "system") else [("system", system), *turns]


def split_pair(chosen: Turns, rejected: Turns) -> tuple[Turns, Turns, Turns]:
    """Prompt, chosen and rejected of two full conversations: the prompt is what both begin with.

    Each answer keeps at least its last message, so that two equal conversations still have answers.

    Raises:
        BadValue: they have nothing in common at the start, or the answers do not begin with the assistant.
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
