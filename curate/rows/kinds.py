"""The kinds of rows and their fixed Arrow schemas.

The payload has the form that trainers read unchanged (TRL's explicit-prompt conversational form). All kinds also have
the columns ``id``, ``language``, ``group_id``, ``scores``, ``attributes`` and ``lineage``.
"""

from __future__ import annotations

import enum
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


class Message(_Model):
    """One turn of a conversation."""

    role: Role
    content: str


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


class SftRow(_Row):
    """A conversation to imitate."""

    messages: tuple[Message, ...]


class PreferenceRow(_Row):
    """Two answers to one prompt, the first one better."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]


class UnpairedRow(_Row):
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


class PromptRow(_Row):
    """A prompt without an answer yet."""

    prompt: tuple[Message, ...]


Row = SftRow | PreferenceRow | UnpairedRow | ParallelRow | DocumentRow | PromptRow
ROW_TYPES: MappingProxyType[Kind, type[_Row]] = MappingProxyType(
    {Kind.SFT: SftRow, Kind.PREFERENCE: PreferenceRow, Kind.UNPAIRED: UnpairedRow, Kind.PARALLEL: ParallelRow,
     Kind.DOCUMENT: DocumentRow, Kind.PROMPT: PromptRow}
)  # fmt: skip


def _field(name: str, dtype: pa.DataType) -> pa.Field:
    return pa.field(name, dtype, nullable=False)


def _list(dtype: pa.DataType) -> pa.DataType:
    return pa.list_(_field("element", dtype))


STRING = pa.string()
MESSAGE = pa.struct([_field("role", STRING), _field("content", STRING)])
MESSAGES = _list(MESSAGE)
SCORES = _list(pa.struct([_field("name", STRING), _field("value", pa.float64())]))
ATTRIBUTES = _list(pa.struct([_field("name", STRING), _field("value", STRING)]))
MAKERS = _list(pa.struct([_field(name, STRING) for name in ("step", "model", "prompt_hash", "key")]))
LINEAGE = pa.struct(
    [_field("source", STRING), _field("source_id", STRING), _field("license", STRING), _field("parents", _list(STRING)),
     _field("makers", MAKERS)]
)  # fmt: skip

_PAYLOADS: MappingProxyType[Kind, dict[str, pa.DataType]] = MappingProxyType(
    {
        Kind.SFT: {"messages": MESSAGES},
        Kind.PREFERENCE: {"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES},
        Kind.UNPAIRED: {"prompt": MESSAGES, "completion": MESSAGES, "label": pa.bool_()},
        Kind.PARALLEL: {"source_language": STRING, "source": STRING, "target": STRING},
        Kind.DOCUMENT: {"text": STRING},
        Kind.PROMPT: {"prompt": MESSAGES},
    }
)
COMMON = ("id", "language", "group_id", "scores", "attributes", "lineage")


def payload(kind: Kind) -> dict[str, pa.DataType]:
    """The payload columns of a kind, in order; they identify a row."""
    return dict(_PAYLOADS[kind])


def schema(kind: Kind) -> pa.Schema:
    """The Arrow schema of a row shard of this kind; no field is nullable."""
    return pa.schema(
        [
            _field("id", STRING),
            *(_field(name, dtype) for name, dtype in _PAYLOADS[kind].items()),
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
    fits = [kind for kind, columns in _PAYLOADS.items() if set(columns) <= set(names)]
    if not fits:
        raise ValueError(f"these columns make no row of a known kind: {', '.join(map(str, names))}")
    return max(fits, key=lambda kind: len(_PAYLOADS[kind]))
