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
from typing import Any, Literal

import pyarrow as pa

from curate.rows.pandas_later import put_off

put_off()

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


class Kind(enum.StrEnum):
    """The purpose of a row."""

    SFT = "sft"
    """A conversation to imitate."""
    PREFERENCE = "preference"
    """Two answers to one prompt, the first one better."""
    UNPAIRED = "unpaired"
    """An answer with a thumb up or down."""
    PARALLEL = "parallel"
    """A sentence (or document) and its translation; ``language`` is the target's."""
    DOCUMENT = "document"
    """Running text."""
    PROMPT = "prompt"
    """A prompt without an answer yet."""


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
