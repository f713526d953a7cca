"""Named text fields of rows, with the same names for all kinds that have them.

They are ``prompt`` and ``response`` of a conversation, ``source`` and ``target`` of a pair, ``text`` of a document.
Steps use field names and need to know nothing of columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson
import polars as pl
import pyarrow as pa

from curate.rows.extras import extras_in
from curate.rows.kinds import Kind

# field → (column, roles or None for all)
_CHATS: MappingProxyType[Kind, dict[str, tuple[str, tuple[str, ...] | None]]] = MappingProxyType(
    {
        Kind.SFT: {"prompt": ("messages", ("user",)), "response": ("messages", ("assistant",)),
                   "system": ("messages", ("system",)), "messages": ("messages", None)},
        Kind.PREFERENCE: {"prompt": ("prompt", ("user",)), "system": ("prompt", ("system",)), "history": ("prompt",
        None),
                          "chosen": ("chosen", None), "rejected": ("rejected", None)},
        Kind.UNPAIRED: {"prompt": ("prompt", ("user",)), "system": ("prompt", ("system",)), "history": ("prompt", None),
                        "completion": ("completion", None)},
        Kind.PROMPT: {"prompt": ("prompt", ("user",)), "system": ("prompt", ("system",)), "history": ("prompt", None)},
    }
)  # fmt: skip
_PLAIN: MappingProxyType[Kind, tuple[str, ...]] = MappingProxyType(
    {Kind.PARALLEL: ("source", "target"), Kind.DOCUMENT: ("text",)}
)
_MAIN: MappingProxyType[Kind, tuple[str, ...]] = MappingProxyType(
    {Kind.SFT: ("prompt", "response"), Kind.PREFERENCE: ("prompt", "chosen", "rejected"), Kind.UNPAIRED: ("prompt",
    "completion"),
     Kind.PROMPT: ("prompt",), Kind.PARALLEL: ("source", "target"), Kind.DOCUMENT: ("text",)}
)  # fmt: skip
_ANSWER: MappingProxyType[Kind, str] = MappingProxyType(
    {Kind.SFT: "response", Kind.PREFERENCE: "chosen", Kind.UNPAIRED: "completion", Kind.PROMPT: "prompt",
    Kind.PARALLEL: "target",
     Kind.DOCUMENT: "text"}
)  # fmt: skip


ASKED = ("prompt", "system", "history")
"""Fields of what stands before an answer."""


def field_names(kind: Kind) -> tuple[str, ...]:
    """All fields of rows of this kind."""
    return tuple(_CHATS[kind]) if kind in _CHATS else _PLAIN[kind]


def unknown_fields(kind: Kind, names: Iterable[str] | None, parameter: str = "fields") -> list[str]:
    """The error message for names that are not fields of this kind."""
    known = field_names(kind)
    return [
        f"{parameter}: {kind} rows have no field '{name}'; they have {', '.join(known)}"
        for name in names or ()
        if name not in known
    ]


def main_fields(kind: Kind) -> tuple[str, ...]:
    """The fields that together make the item; the default input of filters."""
    return _MAIN[kind]


def field_place(kind: Kind, field: str) -> tuple[str, tuple[str, ...] | None]:
    """The column of a field, and the roles of its turns (None: all turns, or a column of plain text).

    Raises:
        KeyError: rows of this kind have no such field.
    """
    if field in _PLAIN.get(kind, ()):
        return field, None
    return _CHATS[kind][field]


def answer_field(kind: Kind) -> str:
    """The field whose language is the row's ``language``."""
    return _ANSWER[kind]


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a message with its calls of tools behind it, each as ``name({"argument": value})`` on a line of its
    own. Equal calls have equal text, whatever the order of their arguments."""
    calls = message.get("tool_calls")
    if not calls:
        return str(message["content"])
    lines = [f"{one['function']['name']}({_arguments(one['function']['arguments'])})" for one in calls]
    return "\n".join([*([message["content"]] if message["content"] else []), *lines])


def _arguments(written: str) -> str:
    try:
        return orjson.dumps(orjson.loads(written), option=orjson.OPT_SORT_KEYS).decode()
    except ValueError:
        return written


def field_text(kind: Kind, table: pa.Table, field: str, *, calls: bool = False) -> pl.Series:
    """The text of a field, one string per row (``""`` if the row has no such turn).

    Several turns are joined by a blank line.

    Args:
        calls: include calls of tools, as :func:`message_text` writes them.

    Raises:
        KeyError: rows of this kind have no such field.
    """
    turns = field_turns(kind, table, field, calls=calls)
    return turns.list.join("\n\n").rename(field)


def field_turns(kind: Kind, table: pa.Table, field: str, *, calls: bool = False) -> pl.Series:
    """The turns of a field, a list of strings per row; a plain field is a list of one."""
    if field in _PLAIN.get(kind, ()):
        plain = pl.Series(field, table[field].combine_chunks() if table.num_rows else [], dtype=pl.String)
        return plain.reshape((-1, 1)).cast(pl.List(pl.String)) if len(plain) else plain.cast(pl.List(pl.String))
    if field not in _CHATS.get(kind, {}):
        raise KeyError(f"a {kind} row has no field '{field}'; it has {', '.join(field_names(kind))}")
    column, roles = _CHATS[kind][field]
    messages = message_parts(table, column, ("role", "content"))
    element = pl.element()
    if roles is not None:
        element = element.filter(element.struct.field("role").is_in(list(roles)))
    turns = messages.list.eval(element.struct.field("content")).rename(field)
    if not calls or "tool_calls" not in extras_in(table.select([column])):
        return turns
    texts = [
        [message_text(turn) for turn in row or () if roles is None or turn["role"] in roles]
        for row in table[column].to_pylist()
    ]
    return pl.Series(field, texts, dtype=pl.List(pl.String))


def message_parts(table: pa.Table, column: str, parts: Sequence[str]) -> pl.Series:
    """Some parts of the messages in a column, a list of structs per row."""
    messages = table[column].combine_chunks()
    if messages.null_count:
        whole = pl.Series(column, pl.from_arrow(messages))
        return whole.list.eval(pl.struct(pl.element().struct.field(name) for name in parts))
    # All parts of a message take thirty times as long to convert as its role and content.
    inner = messages.flatten()
    some = pa.StructArray.from_arrays([inner.field(name) for name in parts], list(parts))
    import pyarrow.compute as pc  # a tenth of a second, which a check of a catalog need not wait

    offsets = pc.subtract(messages.offsets, messages.offsets[0])
    return pl.Series(column, pl.from_arrow(pa.ListArray.from_arrays(offsets, some)))


def field_language(kind: Kind, table: pa.Table, field: str) -> pl.Series:
    """The expected language of a field: the row's, except for the source side of a pair and for what is said before
    an answer in another language."""
    if field in ASKED:
        return prompt_language(table).rename("language")
    column = "source_language" if kind is Kind.PARALLEL and field == "source" else "language"
    return pl.Series("language", table[column].combine_chunks() if table.num_rows else [], dtype=pl.String)


def prompt_language(table: pa.Table) -> pl.Series:
    """The language of each row's prompt: that of the row, unless it has another ``prompt_language``."""
    names = [name for name in ("prompt_language", "language") if name in table.column_names]
    columns = [pl.Series(table[name].combine_chunks() if table.num_rows else [], dtype=pl.String) for name in names]
    return pl.select(pl.coalesce(columns)).to_series().rename("prompt_language")


def latest_value(lists: pl.Series, name: str) -> pl.Series:
    """The last value with this name in each row's list of names and values (``scores``, ``attributes``); null if
    there is none."""
    if not len(lists):
        return pl.Series(name, [], dtype=pl.Null)
    named = pl.element().filter(pl.element().struct.field("name") == name).struct.field("value")
    return lists.list.eval(named).list.last().rename(name)


def prompt_field(kind: Kind) -> str | None:
    """The field that comes before the answer: the prompt of a conversation, the source side of a pair; None for
    documents."""
    return "source" if kind is Kind.PARALLEL else "prompt" if kind in _CHATS else None


def parents_of(row: Mapping[str, Any]) -> list[str]:
    """The ids of the rows that a row was made of or has texts of, without its own."""
    return [one for one in row["lineage"]["parents"] if one != row["id"]]
