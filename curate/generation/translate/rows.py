"""Selects the texts of a row to translate, and builds the translated row; roles, order and other turns are
unchanged."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.generation.translate.tools import descriptions, is_data, with_descriptions
from curate.rows import Kind, languages, payload, unknown_fields
from curate.steps import Rows
from curate.text.code_blocks import code_blocks
from curate.text.placeholders import Span, spans
from curate.text.sentences import Interval

_ROLE_FIELDS = {"prompt": "user", "response": "assistant", "system": "system"}
_ANSWERS = {
    Kind.SFT: ("messages", "assistant"),
    Kind.PREFERENCE: ("chosen", "assistant"),
    Kind.UNPAIRED: ("completion", "assistant"),
    Kind.PROMPT: ("prompt", "user"),
}
_CHAT_COLUMNS = {
    Kind.SFT: ("messages",),
    Kind.PREFERENCE: ("prompt", "chosen", "rejected"),
    Kind.UNPAIRED: ("prompt", "completion"),
    Kind.PROMPT: ("prompt",),
}
_WHOLE = ("messages", "history", "chosen", "rejected", "completion")


Slot = tuple[str, int, str]
"""The place of a text: column, turn, and ``content`` or ``reasoning``; or ``tools``, the number of a description, and
``description``."""


@dataclass(frozen=True)
class Prepared:
    """A text with its protected spans."""

    text: str
    blocks: tuple[Interval, ...]
    """Program code and other protected spans of several lines: never shown to a translator."""
    spans: tuple[Span, ...]
    """All protected spans, blocks too, in order."""


@dataclass
class Translation:
    """The translation of a text."""

    text: str
    problems: list[str] = field(default_factory=list)
    """Why it cannot be used."""
    notes: list[str] = field(default_factory=list)
    """Problems that were fixed, or are too small to refuse it."""
    raw: str = ""
    """The unusable answer."""
    ratio: float | None = None
    """Length divided by the usual length for the language pair."""
    served: str = ""
    """The model that answered, if the server names another one than requested."""


@dataclass(frozen=True, slots=True)
class BackTranslation:
    """The back-translation of a row."""

    text: str
    score: float | None
    """Similarity to the original."""


@dataclass
class Job:
    """The translation of one row into one language."""

    place: int
    row_id: str
    group_id: str
    source: str
    target: str
    slots: list[Slot]
    """The place of each text."""
    texts: list[Prepared]
    made: list[Translation] = field(default_factory=list)
    """One for each text."""
    back: BackTranslation | None = None

    @property
    def problems(self) -> list[str]:
        return list(dict.fromkeys(what for one in self.made for what in one.problems))

    @property
    def notes(self) -> list[str]:
        return list(dict.fromkeys(what for one in self.made for what in one.notes))

    @property
    def served(self) -> str:
        """The model that answered, if the server names another one than requested."""
        return next((one.served for one in self.made if one.served), "")

    @property
    def nothing(self) -> bool:
        """Whether no text changed, because there is nothing to translate."""
        return all(one.text == prepared.text for one, prepared in zip(self.made, self.texts, strict=True))


def wrong_fields(kind: Kind, fields: Sequence[str] | None) -> list[str]:
    """Problems with the ``fields`` of a translation."""
    problems = unknown_fields(kind, fields)
    if kind is Kind.PARALLEL and fields is not None and len(set(fields)) > 1:
        problems.append("fields: of a parallel row one side is translated, 'source' (the default) or 'target'")
    return problems


@dataclass(frozen=True)
class Selection:
    """The turns of a kind of row that are translated."""

    kind: Kind
    columns: Mapping[str, frozenset[str]]
    """The roles in each column; a plain column has none."""
    tools: bool = False
    """Whether the descriptions of tools are translated too."""

    @classmethod
    def of(cls, kind: Kind, fields: Sequence[str] | None, roles: Collection[str], *, tools: bool = False) -> Selection:
        """The selection by parameters."""
        allowed = frozenset(roles)
        if kind is Kind.DOCUMENT:
            return cls(kind, {"text": frozenset()})
        if kind is Kind.PARALLEL:
            return cls(kind, {(fields or ("source",))[0]: frozenset()})
        columns: dict[str, frozenset[str]] = {}
        for name in fields or ():
            column = name if name in _CHAT_COLUMNS[kind] and name in _WHOLE else _CHAT_COLUMNS[kind][0]
            selected = allowed if name in _WHOLE else frozenset({_ROLE_FIELDS[name]}) & allowed
            columns[column] = columns.get(column, frozenset()) | selected
        return cls(kind, columns if fields is not None else dict.fromkeys(_CHAT_COLUMNS[kind], allowed), tools)

    @property
    def answers(self) -> bool:
        """Whether the texts in the row's language are translated."""
        if self.kind not in _ANSWERS:
            return True
        column, role = _ANSWERS[self.kind]
        return role in self.columns.get(column, ())

    @property
    def asks(self) -> bool:
        """Whether the prompt of a conversation is translated."""
        return self.kind in _ANSWERS and "user" in self.columns.get(_CHAT_COLUMNS[self.kind][0], ())

    def language_of(self, rows: Rows) -> list[str]:
        """The language of the selected texts of each row; of texts on both sides, that of the answer."""
        if self.kind in _ANSWERS and not self._answers_among:
            return rows.prompt_language.to_list()
        name = "source_language" if self.kind is Kind.PARALLEL and "source" in self.columns else "language"
        return list(rows.table[name].to_pylist())

    @property
    def _answers_among(self) -> bool:
        return any(column != "prompt" and "assistant" in roles for column, roles in self.columns.items())

    def mixed(self, row: Mapping[str, Any]) -> str:
        """Why the selected texts of a row cannot be translated together; empty if they can."""
        asked = row.get("prompt_language")
        if asked is None or not (self.asks and self._answers_among):
            return ""
        return f"its prompt is in {asked} and its answer in {row['language']}: translate one side at a time ('fields')"

    def texts(self, row: Mapping[str, Any]) -> tuple[list[Slot], list[str]]:
        """The place of each text to translate, and the texts; empty ones are skipped."""
        slots: list[Slot] = []
        texts: list[str] = []
        for column, roles in self.columns.items():
            turns = row[column] if roles or self.kind in _ANSWERS else [{"role": "", "content": row[column]}]
            for turn, message in enumerate(turns):
                if (roles and message["role"] not in roles) or (not roles and self.kind in _ANSWERS):
                    continue
                if message["role"] == "tool" and is_data(message["content"]):
                    continue
                for part in ("reasoning", "content"):
                    if (text := message.get(part)) and text.strip():
                        slots.append((column, turn, part))
                        texts.append(text)
        for number, text in enumerate(descriptions(row["tools"]) if self.tools and row["tools"] else ()):
            slots.append(("tools", number, "description"))
            texts.append(text)
        return slots, texts

    def payload(self, row: Mapping[str, Any], job: Job) -> dict[str, Any]:
        """The payload of the new row."""
        values = {name: row[name] for name in payload(self.kind)}
        translated = {slot: made.text for slot, made in zip(job.slots, job.made, strict=True)}
        if self.kind is Kind.PARALLEL:
            if "source" in self.columns:
                return {**values, "target": translated.get(("source", 0, "content"), row["source"])}
            return {
                **values,
                "source": translated.get(("target", 0, "content"), row["target"]),
                "source_language": job.target,
            }
        for column in self.columns:
            if isinstance(values[column], list):
                values[column] = [
                    {
                        **message,
                        **{
                            part: translated[column, turn, part]
                            for part in ("content", "reasoning")
                            if (column, turn, part) in translated
                        },
                    }
                    for turn, message in enumerate(values[column])
                ]
            else:
                values[column] = translated.get((column, 0, "content"), values[column])
        if "prompt_language" in values:
            values["prompt_language"] = job.target if self.asks else row["prompt_language"] or row["language"]
        if told := [text for (column, _, _), text in translated.items() if column == "tools"]:
            values["tools"] = with_descriptions(values["tools"], told)
        return values

    def new_language(self, row: Mapping[str, Any], job: Job) -> str:
        """The language of the new row's answer."""
        if self.kind is Kind.PARALLEL and "target" in self.columns:
            return str(row["language"])
        return job.target if self.answers else str(row["language"])


def same_language(one: str, other: str) -> bool:
    """Whether a text needs no translation into the other language: one language in one script, and not two regions."""
    if one == other:
        return True
    if languages.base(one) != languages.base(other) or languages.script(one) != languages.script(other):
        return False
    return "-" not in one or "-" not in other or one.startswith(f"{other}-") or other.startswith(f"{one}-")


def prepare(texts: Sequence[str], what: Collection[str], tags: Sequence[str]) -> list[Prepared]:
    """Finds the protected spans of each text, given its language."""
    blocks = code_blocks(texts) if "code" in what else [[] for _ in texts]
    inline = [name for name in what if name != "code"]
    prepared = []
    for text, code, tag in zip(texts, blocks, tags, strict=True):
        loose = [one for one in spans(text, inline, tag) if not _touches(code, one)] if inline else []
        tall = [(one.start, one.end) for one in loose if "\n" in text[one.start : one.end]]
        every = sorted([*loose, *(Span(start, end, "code") for start, end in code)], key=lambda one: one.start)
        prepared.append(Prepared(text, tuple(sorted([*code, *tall])), tuple(every)))
    return prepared


def _touches(blocks: Sequence[Interval], one: Span) -> bool:
    at = bisect_right(blocks, one.start, key=lambda block: block[0])
    return (at > 0 and blocks[at - 1][1] > one.start) or (at < len(blocks) and blocks[at][0] < one.end)
