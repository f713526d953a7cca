"""Reads conversations in any known notation as a list of (role, content) with four roles.

Supported are ShareGPT (``from``/``value``), OpenAI (``role``/``content``, content as text or parts), Anthropic (content
blocks), LangChain (``type``/``content``), an object of two lists, transcripts, and history pairs. Calls of tools,
reasoning, names and weights stay with their turn (:class:`Structured`), images and the like become references. Content
that a row cannot keep but that would change the training makes it a bad row; other losses are counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from curate.rows.kinds import PLACEHOLDERS
from sources.conversations.media import COLUMNS, PARTS, part_reference, references
from sources.conversations.notations import (
    CALL_PARTS,
    CALLING_ROLES,
    CALLS,
    CONTENT_KEYS,
    FILES,
    MEDIA,
    REASONING,
    RESULT_PARTS,
    ROLE_KEYS,
    ROLES,
    TEXT_PARTS,
    THOUGHTS,
    TYPES,
    WEIGHTS,
    given,
    is_columns,
    is_excluded,
    is_message,
    is_partly_excluded,
)
from sources.conversations.tools import calls_of, described_in_system, is_calls, responses, written_calls
from sources.conversations.transcripts import transcript
from sources.conversations.turns import Structured, Turn, Turns, with_text
from sources.templates import MISSING
from sources.values import BadValue, strict_text
from sources.written import load_text

_STRICT = "\n\nHuman:"
_MESSAGES = re.compile(r"\s*\[\s*\{\s*['\"](?:role|from|content|value)['\"]\s*:")
"""How messages inside a text begin."""


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
        self.tools: str | None = None
        """The tools of the row that is being read: a JSON array."""
        self.media: dict[str, list[str]] = {}
        """The references of the row that is being read, by column."""
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
        if default == "assistant" and isinstance(value, (dict, list)) and is_calls(value):
            return [Structured("assistant", "", {"tool_calls": calls_of(value, target, self.text)})]
        if isinstance(value, dict):
            if not is_columns(value):
                return self._checked([value], target, one=True)
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
        known = {*self.roles, *CALLING_ROLES}
        return len(roles) == len(messages) > 0 and all(str(role).strip().lower() in known for role in roles)

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

    def _checked(self, messages: Sequence[Any], target: str, *, one: bool = False) -> Turns:
        turns: Turns = []
        for i, message in enumerate(messages):
            if type(message) is dict and len(message) == 2 and type(content := message.get("content")) is str:
                ours = self.roles.get(role) if type(role := message.get("role")) is str else None
                if ours is not None and ours != "tool":
                    self.messages += 1
                    turns.append((ours, self.clean(content)))
                    continue
            turns += self.message(message, target if one else f"{target}[{i}]")
        return turns

    def message(self, value: Any, where: str) -> Turns:
        """One message: one turn, or several where results of tools are parts of it."""
        if not isinstance(value, dict):
            raise BadValue(f"{where} is a {type(value).__name__} where a message was expected")
        self.messages += 1
        if isinstance(data := value.get("data"), dict) and value.get("type") in TYPES:
            value = {**data, "type": value["type"]}
        role_key, ours, calling = self._role(value, where)
        self._refuse(value, where)
        content_key = next((key for key in CONTENT_KEYS if value.get(key) is not None), None)
        extras, used = self._extras(value, where, ours)
        if content_key is None and not any(key in value for key in CONTENT_KEYS) and "tool_calls" not in extras:
            raise BadValue(f"{where} is a message without 'content' or 'value'")
        content = value[content_key] if content_key is not None else ""
        before: Turns = []
        if calling:
            extras["tool_calls"], content = calls_of(content, where, self.text), ""
        text = self.content(content, where, ours, extras, before)
        for key, one in value.items():
            if key not in (role_key, content_key, *used) and given(one):
                self.noted.append(key)
        text = self._placed(self.clean(text), value, where)
        if ours == "assistant" and is_excluded(value) is not None:
            extras["weight"] = 0
        if before and not text.strip() and not extras:
            return before
        return [*before, Structured(ours, text, extras) if extras else (ours, text)]

    def _extras(self, value: Mapping[str, Any], where: str, role: str) -> tuple[dict[str, Any], list[str]]:
        """The optional parts of a message outside of its content, and the fields that they come from."""
        extras: dict[str, Any] = {}
        used: list[str] = []
        more = value.get("additional_kwargs")
        for fields in (value, more if isinstance(more, dict) else {}):
            for key in CALLS:
                if given(calls := fields.get(key)):
                    used += [key, *(["additional_kwargs"] if fields is more else [])]
                    if "tool_calls" not in extras:
                        extras["tool_calls"] = calls_of(calls, where, self.text)
        if "tool_calls" in extras and role != "assistant":
            raise BadValue(f"{where} calls a tool, and its role is {role}")
        if role == "tool" and given(called := value.get("tool_call_id")):
            extras["tool_call_id"] = self.clean(self.text(called))
            used.append("tool_call_id")
        if isinstance(name := value.get("name"), str) and name.strip():
            extras["name"] = self.clean(name)
            used.append("name")
        for key in REASONING if role == "assistant" else ():
            if isinstance(thoughts := value.get(key), str) and thoughts.strip():
                extras["reasoning"] = self.clean(thoughts)
                used.append(key)
                break
        used += [key for key in WEIGHTS if role == "assistant" and is_excluded({key: value.get(key)})]
        used += [key for key in MEDIA if given(value.get(key)) and not self.skip_parts]
        return extras, used

    def _placed(self, text: str, value: Mapping[str, Any], where: str) -> str:
        """The text of a message with a placeholder in front for each image and the like that a field of the message
        names and its text has no placeholder for."""
        if self.skip_parts:
            return text
        front = ""
        for column, names in COLUMNS.items():
            found = [
                one for name in names if given(value.get(name)) for one in references(value[name], f"{where}.{name}")
            ]
            if found:
                self.media.setdefault(column, []).extend(found)
                front += PLACEHOLDERS[column] * max(0, len(found) - text.count(PLACEHOLDERS[column]))
        return front + text

    def _role(self, value: Mapping[str, Any], where: str) -> tuple[str, str, bool]:
        """The key of a message's role, our name of the role, and whether its content is a call of a tool."""
        key = next((key for key in ROLE_KEYS if value.get(key) is not None), None)
        if (
            key is None
            and isinstance(kind := value.get("type"), str)
            and (kind in TYPES or kind.strip().lower() in self.own)
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
        if ours is None and name in CALLING_ROLES:
            return key, "assistant", True
        if ours is None:
            near = get_close_matches(name, self.roles, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            raise BadValue(
                f"{where} has the unknown role '{role[:60]}'{hint}; say what it is, such as 'roles: {{{role[:60]}: "
                f"assistant}}' "
                f"(known are {', '.join(ROLES)})"
            )
        return key, ours, False

    def _refuse(self, value: Mapping[str, Any], where: str) -> None:
        """Refuses content that a row cannot keep and whose loss would change the training."""
        if given(value.get("refusal")):
            raise BadValue(f"{where} refuses ('refusal') in place of an answer, which rows do not keep")
        if is_partly_excluded(value):
            raise BadValue(f"{where} is partly left out of training by its author ('train_detail'); rows keep 'weight'")
        for key in FILES:
            if given(value.get(key)) and not self.skip_parts:
                raise BadValue(
                    f"{where} has '{key}', which rows do not keep; carry the column along in 'attributes' to skip it"
                )

    def content(
        self,
        content: Any,
        where: str,
        role: str,
        extras: dict[str, Any] | None = None,
        before: Turns | None = None,
    ) -> str:
        """The text of a message's content: a text, or the joined texts of its parts.

        Args:
            extras: gets the calls and the reasoning among the parts.
            before: gets the results of tools among the parts, as turns.
        """
        if isinstance(content, str):
            return content
        extras, before = {} if extras is None else extras, [] if before is None else before
        if isinstance(content, list):
            return "".join(
                [self.part(part, f"{where}, part {i}", role, extras, before) for i, part in enumerate(content)]
            )
        if isinstance(content, dict):
            if isinstance(content.get("type"), str):
                return self.part(content, where, role, extras, before)
            if role != "tool":
                raise BadValue(f"{where} has an object as content where text was expected")
            return self.text(content)  # a tool result as an object instead of its JSON
        return self.text(content)

    def part(self, part: Any, where: str, role: str, extras: dict[str, Any], before: Turns) -> str:
        """The text of one part of a content."""
        if isinstance(part, str):
            return part
        if not isinstance(part, dict):
            raise BadValue(f"{where} is a {type(part).__name__} where text was expected")
        kind = part.get("type", "text")
        if kind in CALL_PARTS:
            if role != "assistant":
                raise BadValue(f"{where} calls a tool ('{kind}'), and the role is {role}")
            extras.setdefault("tool_calls", []).extend(calls_of(part, where, self.text))
            return ""
        if kind in RESULT_PARTS:
            before.append(self._result(part, where))
            return ""
        if kind in THOUGHTS and role == "assistant":
            thoughts = next((part[key] for key in (kind, "text", "content") if isinstance(part.get(key), str)), "")
            if thoughts.strip():
                earlier = f"{extras['reasoning']}\n\n" if "reasoning" in extras else ""
                extras["reasoning"] = earlier + self.clean(thoughts)
            return ""
        if kind == "redacted_thinking" or kind in THOUGHTS:
            self.noted.append(f"content.{kind}")
            return ""
        if kind in PARTS and not self.skip_parts:
            column = PARTS[kind]
            found = part_reference(part, kind, where)
            if found is not None:
                self.media.setdefault(column, []).append(found)
            return PLACEHOLDERS[column]
        if kind in TEXT_PARTS:
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

    def _result(self, part: Mapping[str, Any], where: str) -> Turn:
        """A tool's result that is a part of a message, as a turn."""
        key = next((one for one in ("content", "output", "response") if part.get(one) is not None), None)
        text = self.content(part[key], where, "tool") if key is not None else ""
        called = next((part[one] for one in ("tool_use_id", "call_id", "id") if given(part.get(one))), None)
        extras = {"tool_call_id": self.clean(self.text(called))} if called is not None else {}
        if isinstance(name := part.get("name"), str) and name:
            extras["name"] = self.clean(name)
        if part.get("is_error"):
            self.noted.append("content.is_error")
        return Structured("tool", self.clean(text), extras) if extras else ("tool", self.clean(text))

    def structured(self, turns: Turns, where: str, *, tools: bool) -> Turns:
        """The turns with calls that are written in their texts as calls, and results in tags as results.

        Applies only if the conversation has tools: described beside it (``tools``) or in its system message.

        Raises:
            BadValue: a result comes before any call.
        """
        if turns and turns[0][0] == "system":
            described = described_in_system(turns[0][1], self.text)
            if described is not None:
                self.tools, rest = self.tools or described[0], described[1]
                self.noted.append("system (instructions for tool calls; the tools are in 'tools')")
                turns = [with_text(turns[0], rest), *turns[1:]] if rest else turns[1:]
                tools = True
        return [made for turn in turns for made in self._structured(turn, where)] if tools else turns

    def _structured(self, turn: Turn, where: str) -> Turns:
        role, content = turn
        if role == "assistant":
            found = written_calls(content, where, self.text)
            if found is not None:
                extras = dict(turn.extras) if isinstance(turn, Structured) else {}
                extras["tool_calls"] = [*extras.get("tool_calls", ()), *found[1]]
                return [Structured(role, found[0], extras)]
            if "<tool_call>" in content or "<functioncall>" in content:
                self.noted.append("content (a call that cannot be read, kept as text)")
        if role in ("user", "tool") and (results := responses(content)) is not None:
            return [("tool", one) for one in results]
        return [turn]

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
