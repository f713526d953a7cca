"""Adds the optional parts of conversations to a table, and removes those that no row has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson
import pyarrow as pa

from curate.rows.kinds import EXTRAS, MESSAGE_EXTRAS, MESSAGES, ROW_EXTRAS, Kind, messages_type

_COLUMNS = ("messages", "prompt", "chosen", "rejected", "completion")
_OPTIONAL = frozenset(EXTRAS)


def _is_messages(dtype: pa.DataType) -> bool:
    """Whether a column holds messages, with whatever optional fields."""
    if not pa.types.is_list(dtype) or not pa.types.is_struct(dtype.value_type):
        return False
    names = [field.name for field in dtype.value_type]
    return names[:2] == ["role", "content"] and _OPTIONAL.issuperset(names[2:])


def _one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        combined = combined.chunk(0) if combined.num_chunks == 1 else pa.concat_arrays(combined.chunks)
    return combined


def _with_fields(column: pa.Array, dtype: pa.DataType) -> pa.Array:
    """The same messages with exactly the fields of ``dtype``; absent ones are null."""
    import pyarrow.compute as pc

    inner = column.values
    there = {field.name for field in inner.type}
    fields = [
        inner.field(field.name) if field.name in there else pa.nulls(len(inner), field.type)
        for field in dtype.value_type
    ]
    struct = pa.StructArray.from_arrays(fields, fields=list(dtype.value_type))
    if column.offset == 0 and column.null_count == 0:
        return pa.ListArray.from_arrays(column.offsets, struct, type=dtype)
    flat = pa.ListArray.from_arrays(
        pa.array(pc.subtract(column.offsets, column.offsets[0])),
        struct.slice(column.offsets[0].as_py(), column.offsets[-1].as_py() - column.offsets[0].as_py()),
        type=dtype,
    )
    return flat if column.null_count == 0 else pc.if_else(column.is_valid(), flat, pa.scalar(None, dtype))


def widen(table: pa.Table) -> pa.Table:
    """The table with every optional part, null where a row has none; a table without messages is unchanged."""
    columns = [name for name in _COLUMNS if name in table.column_names and _is_messages(table.schema.field(name).type)]
    if not columns:
        return table
    for name in columns:
        if table.schema.field(name).type != MESSAGES:
            at = table.column_names.index(name)
            field = table.schema.field(name).with_type(MESSAGES)
            table = table.set_column(at, field, _with_fields(_one(table[name]), MESSAGES))
    last = table.column_names.index(columns[-1]) + 1
    last += "label" in table.column_names and table.column_names.index("label") == last
    for name, dtype in ROW_EXTRAS.items():
        if name not in table.column_names:
            table = table.add_column(last, pa.field(name, dtype), pa.nulls(table.num_rows, dtype))
        last = table.column_names.index(name) + 1
    return table


def extras_in(table: pa.Table) -> frozenset[str]:
    """The optional parts that a row of the table has."""
    found = {name for name in EXTRAS if name in table.column_names and table[name].null_count < table.num_rows}
    for name in _COLUMNS:
        if name in table.column_names and _is_messages(table.schema.field(name).type):
            for chunk in table[name].chunks:
                inner = chunk.flatten()
                found |= {
                    field.name
                    for index, field in enumerate(inner.type)
                    if field.name in _OPTIONAL and inner.field(index).null_count < len(inner)
                }
    return frozenset(found)


def narrow(table: pa.Table, extras: Collection[str] = ()) -> pa.Table:
    """The table without optional parts other than ``extras``."""
    kept = frozenset(extras) & _OPTIONAL
    drop = [name for name in table.column_names if name in _OPTIONAL and name not in kept]
    if drop:
        table = table.drop_columns(drop)
    dtype = messages_type(kept)
    for name in _COLUMNS:
        if name in table.column_names and _is_messages(table.schema.field(name).type):
            field = table.schema.field(name)
            if field.type != dtype:
                at = table.column_names.index(name)
                table = table.set_column(at, field.with_type(dtype), _with_fields(_one(table[name]), dtype))
    return table


def canonical(kind: Kind, table: pa.Table) -> pa.Table:
    """The table with one form of an absent part: empty texts and lists, weights other than 0, and the language of a
    prompt that is that of the row, become null."""
    import pyarrow.compute as pc

    used = extras_in(table)
    if "prompt_language" in used:
        at, field = table.column_names.index("prompt_language"), table.schema.field("prompt_language")
        asked = _one(table["prompt_language"])
        same = pc.equal(asked, _one(table["language"])) if kind is not Kind.PROMPT else True
        table = table.set_column(at, field, pc.if_else(same, pa.scalar(None, field.type), asked))
        used = extras_in(table)
    for name in (name for name in table.column_names if name in used):
        at, field = table.column_names.index(name), table.schema.field(name)
        table = table.set_column(at, field, _absent_as_null(name, _one(table[name])))
    if used.isdisjoint(MESSAGE_EXTRAS):
        return table
    for name in _COLUMNS:
        if name in table.column_names and _is_messages(table.schema.field(name).type):
            at, field = table.column_names.index(name), table.schema.field(name)
            column = _one(table[name])
            inner = column.values
            fields = [_absent_as_null(part.name, inner.field(index)) for index, part in enumerate(inner.type)]
            struct = pa.StructArray.from_arrays(fields, fields=list(inner.type))
            whole = pa.ListArray.from_arrays(column.offsets, struct, type=field.type)
            table = table.set_column(at, field, whole)
    return table


def _absent_as_null(name: str, values: pa.Array) -> pa.Array:
    if name not in _OPTIONAL or values.null_count == len(values):
        return values
    import pyarrow.compute as pc

    if pa.types.is_list(values.type):
        absent = pc.equal(pc.list_value_length(values), 0)
    else:
        absent = pc.not_equal(values, 0) if name == "weight" else pc.equal(values, "")
    return pc.if_else(pc.fill_null(absent, False), pa.scalar(None, values.type), values)


def present(value: Any) -> Any:
    """Rows as Python values, without the optional parts that they do not have."""
    if isinstance(value, dict):
        return {name: present(one) for name, one in value.items() if one is not None}
    return [present(one) for one in value] if isinstance(value, list) else value


def extra_bytes(table: pa.Table) -> list[bytes] | None:
    """The optional parts of each row as canonical JSON, empty for a row that has none; None if no row has any."""
    used = extras_in(table)
    if not used:
        return None
    columns = [name for name in table.column_names if name in used]
    chats = [name for name in _COLUMNS if name in table.column_names and _is_messages(table.schema.field(name).type)]
    values: list[bytes] = []
    for row in table.select([*columns, *chats]).to_pylist():
        parts = {name: row[name] for name in columns if row[name] is not None}
        for name in chats:
            said = [
                [at, {key: value for key, value in turn.items() if key in used and value is not None}]
                for at, turn in enumerate(row[name])
            ]
            if given := [one for one in said if one[1]]:
                parts[name] = given
        values.append(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS) if parts else b"")
    return values
