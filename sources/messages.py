"""Reads conversations in any known notation as a list of (role, content) with four roles.

Supported are ShareGPT (``from``/``value``), OpenAI (``role``/``content``, content as text or parts), LangChain
(``type``/``content``), an object of two lists, transcripts, and history pairs. Content that a row cannot keep but that
would change the training (tool calls, images, turns excluded from training) makes it a bad row; other losses are
counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from sources.templates import MISSING
from sources.values import BadValue, strict_text
from sources.written import load_text

Turn = tuple[str, str]
Turns = list[Turn]


class Excluded(Turn):
    """A turn that its author excluded from training; ``why`` gives the field and position."""

    why: str


ROLES: Mapping[str, str] = MappingProxyType(
    {"user": "user", "human": "user", "prompter": "user",
     "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
     "ai": "assistant",
     "system": "system", "developer": "system",
     "tool": "tool", "function": "tool", "observation": "tool", "tool_response": "tool", "function_response": "tool"}
)  # fmt: skip
_CALLING_ROLES = ("function_call", "tool_call", "tool_calls")
_ROLE_KEYS = ("role", "from")
_TYPES = ("human", "ai", "system", "tool", "function")
"""LangChain's values of ``type``, used instead of a role."""
_CONTENT_KEYS = ("content", "value", "text")
_CALLS = ("tool_calls", "function_call")
_MEDIA = ("images", "image", "videos", "video", "audios", "audio", "files", "file", "attachments")
_WEIGHTS = ("weight", "loss_weight", "loss_mask", "train", "trainable", "loss")
_TEXT_PARTS = ("text", "input_text", "output_text")
_THOUGHTS = ("thinking", "reasoning", "redacted_thinking")
_CALL_PARTS = ("tool_call", "tool_calls", "function_call", "tool_use", "tool_result", "function_response")
_NOT_KEPT = "rows do not keep yet; as text it would be trained on"


def given(value: Any) -> bool:
    """Whether a field has content: not null, and not an empty text, list or object (also written as text)."""
    return value is not None and value not in ("", "[]", "{}", "null") and value != [] and value != {}


def is_excluded(message: Mapping[str, Any]) -> str | None:
    """The field by which a message's author excluded it from training."""
    for key in _WEIGHTS:
        value = message.get(key)
        if value is False or (isinstance(value, (int, float)) and value == 0) or value in ("0", "false", "False"):
            return key
    detail = message.get("train_detail")
    if isinstance(detail, list) and any(isinstance(one, dict) and one.get("train") is False for one in detail):
        return "train_detail"
    return None


# ---------------------------------------------------------------------------------------------------------- transcripts
_TRANSCRIPTS = (
    (re.compile(r"\s*Human:"), re.compile(r"(?:^\s*|\n\n)(Human|Assistant):")),
    (re.compile(r"\s*### Human:"), re.compile(r"### (Human|Assistant):")),
)
_STRICT = "\n\nHuman:"
_MESSAGES = re.compile(r"\s*\[\s*\{\s*['\"](?:role|from|content|value)['\"]\s*:")
"""How messages inside a text begin."""


def transcript(text: str) -> list[tuple[str, str]] | None:
    """The turns of a conversation in one text, each after ``Human:`` or ``Assistant:``; None if it is not one."""
    if "Assistant:" not in text:
        return None
    for begin, mark in _TRANSCRIPTS:
        if begin.match(text):
            pieces = mark.split(text)
            roles = ["user" if who == "Human" else "assistant" for who in pieces[1::2]]
            turns = list(zip(roles, pieces[2::2], strict=True))
            if "assistant" in roles:
                return turns
    return None


def is_message(value: Any) -> bool:
    """Whether a value looks like one message."""
    if not isinstance(value, dict):
        return False
    role = any(isinstance(value.get(key), str) for key in _ROLE_KEYS) or value.get("type") in _TYPES
    return role and bool({*_CONTENT_KEYS, "data", "parts", *_CALLS} & value.keys())


def is_columns(value: Any) -> bool:
    """Whether a value is a conversation as an object of lists: one of roles, one of contents."""
    if not isinstance(value, dict):
        return False
    lists = [key for key in (*_ROLE_KEYS, *_CONTENT_KEYS) if isinstance(value.get(key), list)]
    return any(key in _ROLE_KEYS for key in lists) and any(key in _CONTENT_KEYS for key in lists)


class Reader:
    """Reads the conversations of one source.

    Args:
        clean: applied to every text (normal form, whitespace); raises BadValue for invalid text.
        skip_parts: whether message parts that are not text are skipped (because an attribute keeps them).
        roles: a source's own role names → ours; they override the known names.
        text: converts a value that is not text.
    """

    def __init__(
        self,
        clean: Callable[[str], str],
        *,
        skip_parts: bool = False,
        roles: Mapping[str, str] | None = None,
        text: Callable[[Any], str] = strict_text,
    ) -> None:
        self.clean = clean
        self.skip_parts = skip_parts
        self.own = {name.strip().lower(): role for name, role in (roles or {}).items()}
        self.roles = {**ROLES, **self.own}
        self.text = text
        self.messages = 0
        """How many messages were read."""
        self.excluded = False
        """Whether the author excluded any turn from training."""
        self.noted: list[str] = []
        """Fields of messages that said something and were not used."""
        self.spared: list[str] = []
        """Columns that were not used, because the conversation says the same of itself."""

    def read(self, value: Any, target: str, default: str | None = None, *, parse: bool = False) -> Turns:
        """The turns of a value: a list of messages, one message, or (with ``default``) a text of that role.

        Args:
            target: what the value is for, in error messages.
            default: the role of a plain text; None if only messages are allowed.
            parse: whether a text must be a transcript or the JSON of messages (as in CSV files); otherwise it is read
                as one only if it can be nothing else.

        Raises:
            BadValue: it is none of these.
        """
        if isinstance(value, str):
            return self._of_text(value, target, default, parse=parse)
        if value is MISSING:
            raise BadValue(f"{target}: the row has no such column")
        if value is None:
            if default is not None:
                return [(default, "")]
            raise BadValue(f"{target} is null where a list of messages was expected")
        if isinstance(value, dict):
            if not is_columns(value):
                turn = self.message(value, target)
                if turn[0] == "tool":
                    raise BadValue(f"{target} is a tool's result, and no turn before it has the call as text")
                return [turn]
            value = self._columns(value, target)
        if isinstance(value, list):
            if not value:
                raise BadValue(f"{target} is an empty list of messages")
            return self._checked(value, target)
        if default is not None and isinstance(value, (int, float)):
            return [(default, self.clean(self.text(value)))]
        raise BadValue(f"{target} is a {type(value).__name__} where text or messages were expected")

    def _of_text(self, value: str, target: str, default: str | None, *, parse: bool) -> Turns:
        begin = value[:64].lstrip()[:1]
        if begin in ("[", "{"):
            try:
                parsed = load_text(value)
            except ValueError as error:
                if default is None or _MESSAGES.match(value):
                    raise BadValue(f"{target} is a text where a list of messages was expected ({error})") from None
                parsed = None
            if isinstance(parsed, (list, dict)) and (parse or self._must_be_messages(parsed)):
                return self.read(parsed, target, default)
        elif (parse or value.startswith(_STRICT)) and (turns := transcript(value)) is not None:
            if turns[-1][0] == "assistant" and not turns[-1][1].strip():
                turns = turns[:-1]  # the empty slot for the answer
            return [(role, self.clean(text.removeprefix(" "))) for role, text in turns]
        if default is not None:
            return [(default, self.clean(value))]
        raise BadValue(f"{target} is a text where a list of messages was expected")

    def _must_be_messages(self, value: Any) -> bool:
        """Whether the content of a text can only be messages: an answer may be JSON of something else."""
        if is_columns(value):
            return True
        messages = value if isinstance(value, list) else [value]
        roles = [one.get("role", one.get("from", one.get("type"))) for one in messages if is_message(one)]
        known = {*self.roles, *_CALLING_ROLES}
        return len(roles) == len(messages) > 0 and all(str(role).strip().lower() in known for role in roles)

    def trained(self, turns: Turns) -> Turns:
        """Turns for training.

        Raises:
            BadValue: the author excluded one of them from training.
        """
        for turn in turns if self.excluded else ():
            if isinstance(turn, Excluded):
                raise BadValue(f"{turn.why}, which rows do not keep yet; it would be trained on")
        return turns

    def _columns(self, value: Mapping[str, Any], target: str) -> list[dict[str, Any]]:
        """The messages of an object of lists."""
        lists = {key: one for key, one in value.items() if isinstance(one, list)}
        lengths = {key: len(one) for key, one in lists.items()}
        if len(set(lengths.values())) > 1:
            raise BadValue(
                f"{target} has lists of different lengths ({', '.join(f'{key}: {n}' for key, n in lengths.items())})"
            )
        if not next(iter(lengths.values())):
            raise BadValue(f"{target} is an empty list of messages")
        return [dict(zip(lists, one, strict=True)) for one in zip(*lists.values(), strict=True)]

    def _checked(self, messages: Sequence[Any], target: str) -> Turns:
        turns: Turns = []
        for i, one in enumerate(messages):
            if type(one) is dict and len(one) == 2 and type(content := one.get("content")) is str:
                ours = self.roles.get(role) if type(role := one.get("role")) is str else None
                if ours is not None and ours != "tool":
                    self.messages += 1
                    turns.append((ours, self.clean(content)))
                    continue
            turn = self.message(one, f"{target}[{i}]")
            if turn[0] == "tool" and (not turns or turns[-1][0] not in ("assistant", "tool") or not turns[-1][1]):
                raise BadValue(f"{target}[{i}] is a tool's result, and no turn before it has the call as text")
            turns.append(turn)
        return turns

    def message(self, value: Any, where: str) -> Turn:
        """One message."""
        if not isinstance(value, dict):
            raise BadValue(f"{where} is a {type(value).__name__} where a message was expected")
        self.messages += 1
        if isinstance(data := value.get("data"), dict) and value.get("type") in _TYPES:
            value = {**data, "type": value["type"]}
        role_key, ours = self._role(value, where)
        self._refuse(value, where)
        content_key = next((key for key in _CONTENT_KEYS if value.get(key) is not None), None)
        if content_key is None and not any(key in value for key in _CONTENT_KEYS):
            raise BadValue(f"{where} is a message without 'content' or 'value'")
        text = self.content(value[content_key], where, ours) if content_key is not None else ""
        for key, one in value.items():
            if key not in (role_key, content_key) and given(one):
                self.noted.append(key)
        turn = (ours, self.clean(text))
        if ours == "assistant" and (why := is_excluded(value)) is not None:
            turn = Excluded(turn)
            self.excluded = True
            turn.why = f"{where} is left out of training by its author ('{why}')"
        return turn

    def _role(self, value: Mapping[str, Any], where: str) -> tuple[str, str]:
        """The key of a message's role, and our name of the role."""
        key = next((key for key in _ROLE_KEYS if value.get(key) is not None), None)
        if (
            key is None
            and isinstance(kind := value.get("type"), str)
            and (kind in _TYPES or kind.strip().lower() in self.own)
        ):
            key = "type"
        if key is None:
            raise BadValue(
                f"{where} is a message without 'role' or 'from'; it has {', '.join(map(str, value))[:200] or 'nothing'}"
            )
        role = value[key]
        if not isinstance(role, str):
            raise BadValue(f"{where} has a role that is a {type(role).__name__}, not a text")
        name = role.strip().lower()
        ours = self.roles.get(name)
        if ours is None and name in _CALLING_ROLES:
            raise BadValue(f"{where} is a call of a tool (role '{name}'), which {_NOT_KEPT}")
        if ours is None:
            near = get_close_matches(name, self.roles, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            raise BadValue(
                f"{where} has the unknown role '{role[:60]}'{hint}; say what it is, such as 'roles: {{{role[:60]}: "
                f"assistant}}' "
                f"(known are {', '.join(ROLES)})"
            )
        return key, ours

    def _refuse(self, value: Mapping[str, Any], where: str) -> None:
        """Refuses content that a row cannot keep and whose loss would change the training."""
        more = value.get("additional_kwargs")
        for key in _CALLS:
            if given(value.get(key)) or (isinstance(more, dict) and given(more.get(key))):
                raise BadValue(f"{where} calls a tool ('{key}'), which {_NOT_KEPT}")
        if given(value.get("tool_call_id")):
            raise BadValue(f"{where} answers a call of a tool ('tool_call_id'), which rows do not keep yet")
        if given(value.get("refusal")):
            raise BadValue(f"{where} refuses ('refusal') in place of an answer, which rows do not keep")
        for key in _MEDIA:
            if given(value.get(key)) and not self.skip_parts:
                raise BadValue(
                    f"{where} has '{key}', and rows keep text only; carry the column along in 'attributes' to skip it"
                )

    def content(self, content: Any, where: str, role: str) -> str:
        """The text of a message's content: a text, or the joined texts of its parts."""
        if isinstance(content, str):
            return content
        if isinstance(content, list):
            return "".join([self.part(part, f"{where}, part {i}") for i, part in enumerate(content)])
        if isinstance(content, dict):
            if isinstance(content.get("type"), str):
                return self.part(content, where)
            if role != "tool":
                raise BadValue(f"{where} has an object as content where text was expected")
            return self.text(content)  # a tool result as an object instead of its JSON
        return self.text(content)

    def part(self, part: Any, where: str) -> str:
        """The text of one part of a content."""
        if isinstance(part, str):
            return part
        if not isinstance(part, dict):
            raise BadValue(f"{where} is a {type(part).__name__} where text was expected")
        kind = part.get("type", "text")
        if kind in _CALL_PARTS:
            raise BadValue(f"{where} is a call of a tool or its result ('{kind}'), which {_NOT_KEPT}")
        if kind in _THOUGHTS:
            self.noted.append(f"content.{kind}")
            return ""
        if kind in _TEXT_PARTS:
            key = next((key for key in ("text", "value", "content") if part.get(key) is not None), None)
            text = part[key] if key is not None else ""
            if isinstance(text, str):
                for name, one in part.items():
                    if name not in (key, "type") and given(one):
                        self.noted.append(f"content.{name}")
                return text
        elif self.skip_parts and kind != "refusal":
            return ""
        raise BadValue(
            f"{where} is of type '{str(kind)[:60]}', which has no text; carry the column along in 'attributes' to "
            "skip such parts"
        )

    def history(self, value: Any, target: str) -> Turns:
        """Earlier turns: messages, or pairs of user and assistant texts."""
        if value is None or value is MISSING or value in ("", []):
            return []
        if isinstance(value, str):
            try:
                value = load_text(value)
            except ValueError as error:
                raise BadValue(f"{target} is a text where pairs or messages were expected ({error})") from None
            if not isinstance(value, (list, dict)):
                raise BadValue(f"{target} is a text where pairs or messages were expected")
        if isinstance(value, list) and all(isinstance(pair, list) for pair in value):
            turns: Turns = []
            for i, pair in enumerate(value):
                if len(pair) != 2:
                    raise BadValue(f"{target}[{i}] has {len(pair)} elements where [user, assistant] was expected")
                if any(isinstance(one, (list, dict)) for one in pair):
                    raise BadValue(f"{target}[{i}] has a list or an object where the text of a turn was expected")
                turns += [
                    (role, self.clean(self.text(one))) for role, one in zip(("user", "assistant"), pair, strict=True)
                ]
            return turns
        return self.read(value, target)


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
