"""The kinds of rows and their fixed Arrow schemas.

The payload has the form that trainers read unchanged (TRL's explicit-prompt conversational form). All kinds also have
the columns ``id``, ``language``, ``group_id``, ``scores``, ``attributes`` and ``lineage``.

Conversations have optional parts (:data:`EXTRAS`): fields of messages such as ``tool_calls``, and columns such as
``tools``. In memory they are always there, and null where a row has none. In the files of a version they exist only if
a row of the version has them, so that plain conversations stay ``{role, content}``: trainers treat data with a column
``images``, or a message with a field ``tool_calls``, differently.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


class Kind(enum.StrEnum):
    """The purpose of a row."""

    SFT = "sft"
    PREFERENCE = "preference"
    UNPAIRED = "unpaired"
    PARALLEL = "parallel"
    DOCUMENT = "document"
    PROMPT = "prompt"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class FunctionCall(_Model):
    """The function that a call names, and its arguments."""

    name: str
    arguments: str
    """A JSON object, as the model wrote it."""


class ToolCall(_Model):
    """A call of a tool, in OpenAI's form."""

    id: str
    """What the tool's result names in ``tool_call_id``; empty if the calls have no ids."""
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(_Model):
    """One turn of a conversation."""

    role: Role
    content: str
    """The text; empty in a message that only calls tools."""
    tool_calls: tuple[ToolCall, ...] | None = None
    """The calls of an assistant's message."""
    tool_call_id: str | None = None
    """The call that a tool's message answers."""
    name: str | None = None
    """The speaker, or the function that a tool's message comes from."""
    reasoning: str | None = None
    """The thoughts before an assistant's answer."""
    weight: int | None = None
    """0: the message is context only and not trained on. Null: trained on, if its role is."""


class Score(_Model):
    """A number that a step or the source assigned to the row."""

    name: str
    value: float


class Attribute(_Model):
    """A text that a step or the source assigned to the row (a label, a passed-through column as text or JSON)."""

    name: str
    value: str


class Maker(_Model):
    """A step that took part in making the row."""

    step: str
    model: str = ""
    """Model identity (name@revision), empty if no model was involved."""
    prompt_hash: str = ""
    key: str = ""
    """Key of that step's stored result: the recipe that made the row."""


class Lineage(_Model):
    """The origin of a row."""

    source: str
    """Name of the source in the catalog."""
    source_id: str
    """The row's place in the source: ``file:line`` or ``file#row``, or the value of the source's ``id`` column."""
    license: str
    """SPDX-like licence identifier, or ``unknown``."""
    parents: tuple[str, ...] = ()
    """Ids of the rows that it was made from."""
    makers: tuple[Maker, ...] = ()


class _Row(_Model):
    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    language: str
    """BCP-47 tag of the answer (the target side, the text)."""
    group_id: str
    """Shared by one item in all its languages."""
    scores: tuple[Score, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    lineage: Lineage


class _Conversation(_Row):
    tools: str | None = None
    """The tools that may be called: a JSON array of ``{type, function: {name, description, parameters}}``."""
    images: tuple[str, ...] | None = None
    """Paths, URLs or ids of the images that ``<image>`` in the texts stands for, in order."""
    audios: tuple[str, ...] | None = None
    """The same for ``<audio>``."""
    videos: tuple[str, ...] | None = None
    """The same for ``<video>``."""
    prompt_language: str | None = None
    """BCP-47 tag of the prompt, only where it is another than ``language``. Never given for rows of kind ``prompt``."""


class SftRow(_Conversation):
    """A conversation to imitate."""

    messages: tuple[Message, ...]


class PreferenceRow(_Conversation):
    """Two answers to one prompt, the first one better."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]


class UnpairedRow(_Conversation):
    """An answer with a thumb up or down."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    label: bool


class ParallelRow(_Row):
    """A sentence (or document) and its translation; ``language`` is the target's."""

    source_language: str
    source: str
    target: str


class DocumentRow(_Row):
    """Running text."""

    text: str


class PromptRow(_Conversation):
    """A prompt without an answer yet."""

    prompt: tuple[Message, ...]


Row = SftRow | PreferenceRow | UnpairedRow | ParallelRow | DocumentRow | PromptRow
ROW_TYPES: MappingProxyType[Kind, type[_Row]] = MappingProxyType(
    {Kind.SFT: SftRow, Kind.PREFERENCE: PreferenceRow, Kind.UNPAIRED: UnpairedRow, Kind.PARALLEL: ParallelRow,
     Kind.DOCUMENT: DocumentRow, Kind.PROMPT: PromptRow}
)  # fmt: skip


def _field(name: str, dtype: pa.DataType, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, dtype, nullable=nullable)


def _list(dtype: pa.DataType) -> pa.DataType:
    return pa.list_(_field("element", dtype))


STRING = pa.string()
STRINGS = _list(STRING)
FUNCTION = pa.struct([_field("name", STRING), _field("arguments", STRING)])
TOOL_CALLS = _list(pa.struct([_field("id", STRING), _field("type", STRING), _field("function", FUNCTION)]))
MESSAGE_EXTRAS: Mapping[str, pa.DataType] = MappingProxyType(
    {"tool_calls": TOOL_CALLS, "tool_call_id": STRING, "name": STRING, "reasoning": STRING, "weight": pa.int8()}
)
ROW_EXTRAS: Mapping[str, pa.DataType] = MappingProxyType(
    {"tools": STRING, "images": STRINGS, "audios": STRINGS, "videos": STRINGS, "prompt_language": STRING}
)
EXTRAS: tuple[str, ...] = (*MESSAGE_EXTRAS, *ROW_EXTRAS)
"""The optional parts of conversations: fields of messages, then columns of rows."""
PLACEHOLDERS: Mapping[str, str] = MappingProxyType({"images": "<image>", "audios": "<audio>", "videos": "<video>"})
"""Column of media → the placeholder of one of its entries in a text."""
MEDIA: tuple[str, ...] = tuple(PLACEHOLDERS)
"""Columns of what is not text."""
SCORES = _list(pa.struct([_field("name", STRING), _field("value", pa.float64())]))
ATTRIBUTES = _list(pa.struct([_field("name", STRING), _field("value", STRING)]))
MAKERS = _list(pa.struct([_field(name, STRING) for name in ("step", "model", "prompt_hash", "key")]))
LINEAGE = pa.struct(
    [_field("source", STRING), _field("source_id", STRING), _field("license", STRING), _field("parents", _list(STRING)),
     _field("makers", MAKERS)]
)  # fmt: skip


@lru_cache(maxsize=256)
def _messages(extras: frozenset[str]) -> pa.DataType:
    fields = [_field(name, dtype, nullable=True) for name, dtype in MESSAGE_EXTRAS.items() if name in extras]
    return _list(pa.struct([_field("role", STRING), _field("content", STRING), *fields]))


MESSAGES = _messages(frozenset(EXTRAS))
"""Messages with every optional field."""


def messages_type(extras: Iterable[str] = ()) -> pa.DataType:
    """The Arrow type of a list of messages with these optional fields (see :data:`EXTRAS`)."""
    return _messages(frozenset(extras))


_CHATS: MappingProxyType[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.SFT: ("messages",),
        Kind.PREFERENCE: ("prompt", "chosen", "rejected"),
        Kind.UNPAIRED: ("prompt", "completion"),
        Kind.PROMPT: ("prompt",),
    }
)
_PLAIN: MappingProxyType[Kind, Mapping[str, pa.DataType]] = MappingProxyType(
    {
        Kind.UNPAIRED: {"label": pa.bool_()},
        Kind.PARALLEL: {"source_language": STRING, "source": STRING, "target": STRING},
        Kind.DOCUMENT: {"text": STRING},
    }
)
COMMON = ("id", "language", "group_id", "scores", "attributes", "lineage")


def message_columns(kind: Kind) -> tuple[str, ...]:
    """The columns that hold messages; none for pairs and documents."""
    return _CHATS.get(kind, ())


def required_columns(kind: Kind) -> tuple[str, ...]:
    """The payload columns that every row of the kind has, in order."""
    return (*message_columns(kind), *_PLAIN.get(kind, ()))


def payload(kind: Kind, extras: Iterable[str] = EXTRAS) -> dict[str, pa.DataType]:
    """The payload columns of a kind, in order; they identify a row.

    Args:
        extras: the optional parts that are included; by default all.
    """
    extras = frozenset(extras)
    columns: dict[str, pa.DataType] = dict.fromkeys(message_columns(kind), _messages(extras))
    columns |= _PLAIN.get(kind, {})
    return columns | ({name: ROW_EXTRAS[name] for name in ROW_EXTRAS if name in extras} if kind in _CHATS else {})


def schema(kind: Kind, extras: Iterable[str] = EXTRAS) -> pa.Schema:
    """The Arrow schema of rows of this kind; only optional parts are nullable.

    Args:
        extras: the optional parts that are included; by default all.
    """
    return _schema(kind, frozenset(extras))


@lru_cache(maxsize=256)
def _schema(kind: Kind, extras: frozenset[str]) -> pa.Schema:
    return pa.schema(
        [
            _field("id", STRING),
            *(_field(name, dtype, nullable=name in ROW_EXTRAS) for name, dtype in payload(kind, extras).items()),
            _field("language", STRING),
            _field("group_id", STRING),
            _field("scores", SCORES),
            _field("attributes", ATTRIBUTES),
            _field("lineage", LINEAGE),
        ]
    )


def kind_of(names: Any) -> Kind:
    """The kind whose payload columns are all among ``names``; the one with most columns wins.

    Raises:
        ValueError: no kind matches.
    """
    fits = [kind for kind in Kind if set(required_columns(kind)) <= set(names)]
    if not fits:
        raise ValueError(f"these columns make no row of a known kind: {', '.join(map(str, names))}")
    return max(fits, key=lambda kind: len(required_columns(kind)))
