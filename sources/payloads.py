"""Converts a row's values to the payload of its kind: cleaned texts, conversations, verdicts and numbers."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from curate.rows import Kind
from curate.rows.kinds import MEDIA
from curate.rows.languages import InvalidLanguage, from_name, normalize
from sources.conversations.media import references
from sources.conversations.messages import Reader
from sources.conversations.notations import given
from sources.conversations.tools import tools_text
from sources.conversations.turns import Turns, split_answer, split_pair
from sources.templates import MISSING, Get, Row, Template
from sources.values import BadValue, as_key, as_text, is_nan

Payload = Callable[[Row], tuple[Any, ...]]

_OPENERS = frozenset("[{ \t\n\r")
"""The first character of a text that may be messages, as JSON, Python or a transcript."""
_VERDICTS = {
    **dict.fromkeys(
        (
            "true",
            "1",
            "yes",
            "accepted",
            "accept",
            "chosen",
            "good",
            "desirable",
            "liked",
            "like",
            "thumbs_up",
            "upvote",
        ),
        True,
    ),
    **dict.fromkeys(
        (
            "false",
            "0",
            "no",
            "rejected",
            "reject",
            "bad",
            "undesirable",
            "disliked",
            "dislike",
            "thumbs_down",
            "downvote",
        ),
        False,
    ),
}


def cleaner(*, nfc: bool, strip: bool) -> Callable[[str], str]:
    """The function applied to every text. It raises BadValue for text that Unicode does not allow, and for NUL."""

    def clean(text: str) -> str:
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                code = ord(text[error.start])
                if 0xDC80 <= code <= 0xDCFF:
                    raise BadValue(
                        f"a byte that the encoding does not allow (0x{code - 0xDC00:02x}, character {error.start}); "
                        "if the file is not UTF-8, set 'encoding', such as cp1252, cp1251 or gb18030"
                    ) from None
                raise BadValue(f"half of a surrogate pair (U+{code:04X}, character {error.start})") from None
            if nfc:
                text = unicodedata.normalize("NFC", text)
        if "\0" in text:
            raise BadValue(f"a NUL character (character {text.index(chr(0))})")
        return text.strip() if strip else text

    return clean


def optional_language_of(value: Any) -> str | None:
    """The canonical tag of a value; None if it is empty."""
    return None if _is_empty(value) else language_of(value)


def _is_empty(value: Any) -> bool:
    return value is None or value is MISSING or is_nan(value) or (isinstance(value, str) and not value.strip())


def language_of(value: Any) -> str:
    """The canonical tag of a value."""
    if _is_empty(value):
        raise BadValue("the row's language is empty; write 'und' where it is unknown")
    if not isinstance(value, str):
        raise BadValue(f"the row's language is {raw(value)}, not a tag such as 'sw'")
    try:
        return normalize(value)
    except InvalidLanguage as error:
        if (named := from_name(value)) is not None:
            return named
        raise BadValue(str(error)) from None


def raw(value: Any) -> str:
    """A value as shown in a reason."""
    try:
        return as_text(value)[:40]
    except BadValue as error:
        return str(error)


def verdict_of(value: Any) -> bool | None:
    """The verdict of a value: true/false, 1/0, yes/no, accepted/rejected and the like, in any case; None for anything
    else."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, (str, int, float)):
        return None
    try:
        return _VERDICTS.get(as_key(value).lower().replace(" ", "_"))
    except BadValue:
        return None


def label_of(value: Any) -> bool:
    """The verdict of a value.

    Raises:
        BadValue: :func:`verdict_of` does not recognise it.
    """
    verdict = verdict_of(value)
    if verdict is None:
        shown = "" if value is MISSING else raw(value)
        raise BadValue(f"label is {shown!r} where true or false (or 1, 0, yes, no, accepted, rejected) was expected")
    return verdict


def _listed(value: Any, column: str) -> list[str]:
    return [] if value is MISSING else references(value, column)


def number_of(value: Any, name: str) -> float | None:
    """The number of a score; None for null and empty."""
    if value is None or value is MISSING or is_nan(value):
        return None
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise BadValue(f"score '{name}' is {text[:40]!r} where a number was expected") from None
        if is_nan(value):
            return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("inf")
    if isinstance(value, bool) or number in (float("inf"), float("-inf")):
        raise BadValue(f"score '{name}' is {raw(value)} where a finite number was expected")
    return number


# ------------------------------------------------------------------------------------------------------------- payloads
class Payloads:
    """Makes the function that gives a row's payload columns, in the order of :func:`curate.rows.payload`.

    Args:
        told: whether the catalog says the templates, or they were detected.
        beside: the columns of tools and media of conversations; the first that a row has is taken.
    """

    def __init__(
        self,
        columns: Mapping[str, Template],
        reader: Reader,
        empty: frozenset[str],
        *,
        told: bool,
        beside: Mapping[str, Sequence[Template]] = MappingProxyType({}),
    ) -> None:
        text = reader.text if told else self._plain
        self.get: dict[str, Get] = {target: template.getter(empty, text) for target, template in columns.items()}
        self.reader = reader
        self.system = self.optional("system") if "system" in columns else None
        self.beside = {
            target: [
                (template.columns[0].name if template.columns else target, template.getter(empty)) for template in each
            ]
            for target, each in beside.items()
        }
        self.system_columns = [column.root for column in columns["system"].columns] if "system" in columns else []

    def _plain(self, value: Any) -> str:
        """The text of a value in a template that nobody wrote: no list and no object, which only a catalog may ask for
        as JSON."""
        if isinstance(value, (list, dict)):
            raise BadValue(f"{'a list' if isinstance(value, list) else 'an object'} where text was expected")
        return self.reader.text(value)

    def _with_system(self, turns: Callable[[Row], Turns]) -> Callable[[Row], Turns]:
        """Conversations with their system message in front."""
        return turns if self.system is None else lambda row: self._behind_system(turns(row), row)

    def _behind_system(self, turns: Turns, row: Row) -> Turns:
        """A conversation with the row's system message in front; one that it has already stays alone."""
        said = self.system(row).removeprefix("SYSTEM: ") if self.system is not None else ""  # Glaive's mark
        if not said:
            return turns
        if turns and turns[0][0] == "system":
            if turns[0][1] != said:
                self.reader.spared += self.system_columns
            return turns
        return [("system", said), *turns]

    def _whole(self, turns: Turns) -> Turns:
        """The turns with calls and results as such, if the conversation has tools (see :meth:`Reader.structured`)."""
        tools = self.reader.tools is not None or any(turn[0] == "tool" for turn in turns)
        return self.reader.structured(turns, "the conversation", tools=tools)

    def _conversation(self, payload: Payload, prompt_language: Callable[[Row], str | None]) -> Payload:
        """The payload with the optional columns after it: tools, media, the language of the prompt."""
        reader, beside = self.reader, self.beside

        def conversation(row: Row) -> tuple[Any, ...]:
            reader.tools, reader.media = None, {}
            for name, get in beside["tools"]:
                value = get(row)
                if value is not MISSING and value is not None and (tools := tools_text(value, reader.text)) is not None:
                    reader.tools = reader.clean(tools)
                    break
                if value is not MISSING and given(value):
                    reader.spared.append(name)
            made = payload(row)
            media = (self._media(row, column) for column in MEDIA)
            return (*made, reader.tools, *media, prompt_language(row))

        return conversation

    def _media(self, row: Row, column: str) -> list[str] | None:
        inside = self.reader.media.get(column, [])
        outside = [one for name, get in self.beside[column] for one in _listed(get(row), name)]
        if inside and outside and inside != outside:
            raise BadValue(f"the messages have other {column} than the row's column")
        return [self.reader.clean(one) for one in inside or outside] or None

    def text(self, target: str, *, paragraphs: bool = False) -> Callable[[Row], str]:
        """A plain text; with ``paragraphs`` a list of texts is one text with blank lines between."""
        get, clean, text_of = self.get[target], self.reader.clean, self.reader.text

        def text(row: Row) -> str:
            try:
                value = get(row)
            except BadValue as error:
                raise BadValue(f"{target} has {error}") from None
            if type(value) is not str:
                if value is MISSING:
                    raise BadValue(f"{target}: the row has no such column")
                if paragraphs and isinstance(value, list) and value and all(isinstance(one, str) for one in value):
                    value = "\n\n".join(value)
                elif isinstance(value, (list, dict)):
                    raise BadValue(
                        f"{target} is {'a list' if isinstance(value, list) else 'an object'} where text was expected"
                    )
            try:
                return clean(value if type(value) is str else text_of(value))
            except BadValue as error:
                raise BadValue(f"{target} has {error}") from None

        return text

    def optional(self, target: str) -> Callable[[Row], str]:
        get, text = self.get[target], self.text(target)
        return lambda row: "" if get(row) is MISSING else text(row)

    def turns(self, target: str, default: str | None, *, parse: bool = False) -> Callable[[Row], Turns]:
        get, read = self.get[target], self.reader.read
        clean = self.reader.clean

        def turns(row: Row) -> Turns:
            try:
                value = get(row)
                if type(value) is str and default is not None and not parse and value[:1] not in _OPENERS:
                    return [(default, clean(value))]
                return read(value, target, default, parse=parse)
            except BadValue as error:
                reason = str(error)
                raise BadValue(reason if reason.startswith(target) else f"{target} has {reason}") from None

        return turns

    def before(self) -> Callable[[Row], Turns]:
        """History and prompt, without the system message."""
        prompt = self.turns("prompt", "user") if "prompt" in self.get else lambda row: []
        if "history" not in self.get:
            return prompt
        history, read = self.get["history"], self.reader.history
        return lambda row: read(history(row), "history") + prompt(row)

    def build(
        self, kind: Kind, source_language: Callable[[Row], str], prompt_language: Callable[[Row], str | None]
    ) -> Payload:
        """The function for one kind."""
        if kind is Kind.DOCUMENT:
            text = self.text("text", paragraphs=True)
            return lambda row: (text(row),)
        if kind is Kind.PARALLEL:
            return self._pairs(source_language)
        return self._conversation(self._talk(kind), prompt_language)

    def _talk(self, kind: Kind) -> Payload:
        before = self.before()
        if kind is Kind.PROMPT:
            prompt = self._with_system(before)
            return lambda row: (self._whole(prompt(row)),)
        if kind is Kind.SFT:
            if "messages" in self.get:
                whole = self._with_system(self.turns("messages", None, parse=True))
            else:
                response = self.turns("response", "assistant")
                whole = self._with_system(lambda row: before(row) + response(row))
            return lambda row: (self._whole(whole(row)),)
        return self._verdicts(before) if kind is Kind.UNPAIRED else self._preferences(before)

    def _pairs(self, source_language: Callable[[Row], str]) -> Payload:
        source, target = self.text("source"), self.text("target")

        def pair(row: Row) -> tuple[str, str, str]:
            left, right = source(row), target(row)
            if not left or not right:
                raise BadValue(f"the {'target' if left else 'source'} side is empty")
            return source_language(row), left, right

        return pair

    def _verdicts(self, before: Callable[[Row], Turns]) -> Payload:
        label = self.get["label"]
        if "prompt" in self.get:
            asked, completion = self._with_system(before), self.turns("completion", "assistant")
            return lambda row: (self._whole(asked(row)), self._whole(completion(row)), label_of(label(row)))
        whole = self.turns("completion", None, parse=True)

        def verdict(row: Row) -> tuple[Turns, Turns, bool]:
            prompt, answer = split_answer(self._whole(whole(row)))
            return self._behind_system(prompt, row), answer, label_of(label(row))

        return verdict

    def _preferences(self, before: Callable[[Row], Turns]) -> Payload:
        implicit = "prompt" not in self.get
        default = None if implicit else "assistant"
        chosen, rejected = (self.turns(side, default, parse=implicit) for side in ("chosen", "rejected"))
        reader = self.reader

        def preference(row: Row) -> tuple[Turns, Turns, Turns]:
            prompt = [] if implicit else before(row)
            better, media = chosen(row), reader.media
            if implicit:
                reader.media = {}
                worse = rejected(row)
                if reader.media != media:
                    raise BadValue("chosen and rejected have other images, sounds or videos")
                prompt, better, worse = split_pair(better, worse)
            else:
                worse = rejected(row)
                if better[0][0] != "assistant" or worse[0][0] != "assistant":
                    # Full conversations next to a prompt column that only repeats their beginning.
                    shared, better, worse = split_pair(better, worse)
                    asked = [text for role, text in shared if role == "user"]
                    if [text for role, text in prompt if role == "user"] not in (asked, asked[:1], asked[-1:]):
                        raise BadValue(
                            "chosen and rejected are conversations that begin with something else than the prompt"
                        )
                    prompt = shared
            prompt = self._whole(self._behind_system(prompt, row))
            return prompt, self._whole(better), self._whole(worse)

        return preference
