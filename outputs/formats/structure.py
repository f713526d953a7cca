"""The optional parts of conversations for trainers: calls and tools as objects, media in texts, weights, and the
reasons for which a row is left out.

A conversation with structure has messages of different keys, and calls of different arguments. Arrow gives all of them
the keys of all; where a trainer reads objects they are therefore columns of JSON (``arrow.json``, which ``datasets``
4.7 reads as ``Json``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import pyarrow as pa
from pyarrow import types

from curate.rows.kinds import MEDIA, MESSAGE_EXTRAS, PLACEHOLDERS, ROW_EXTRAS
from outputs.formats.turns import Turn, UnsupportedRow

JSON = pa.json_()
OBJECTS = pa.list_(pa.field("element", JSON, nullable=False))
"""A list of objects, each with only its own keys."""

LEFT_OUT: Mapping[str, str] = {
    "tool_calls": "a call of a tool, which the reader has no place for",
    "tool_call_id": "the id of a call, which the reader has no place for",
    "name": "the name of a speaker, which the reader has no place for",
    "reasoning": "reasoning, which the reader has no place for",
    "weight": "a message of weight 0, which the reader would train on",
    "tools": "tools, which the reader has no place for",
    "images": "images, which the reader has no place for",
    "audios": "sound, which the reader has no place for",
    "videos": "videos, which the reader has no place for",
}
"""Optional part → why a row that has it is left out."""
ARGUMENTS = "the arguments of a call are not a JSON object"
TOOLS = "the tools are not a JSON array of functions"
INEXACT = "a number in a call that the reader's JSON reader changes"
BESIDE = "a call beside text, which the reader has no place for"
RESULTS = "several results of tools in a row, of which the reader takes one"
COUNT = "not as many places in the texts as images, sounds or videos"
MARKS = "a mark of reasoning or calls inside reasoning or a call"
NOTED: Mapping[str, str] = {
    "name": "names of speakers",
    "tool_call_id": "ids of calls",
    "reasoning": "reasoning",
}
"""What may be left out of a message with a note."""


# ---------------------------------------------------------------------------------------------------------------- parts
def parts_of(row: Mapping[str, Any], messages: Collection[str]) -> set[str]:
    """The optional parts that a row has.

    Args:
        messages: the columns of messages.
    """
    found = {name for name in ROW_EXTRAS if name in row}
    for column in messages:
        for turn in row[column]:
            found.update(turn)
            if any(call["id"] for call in turn.get("tool_calls", ())):
                found.add("tool_call_id")
    return found - {"role", "content"}


def without(row: dict[str, Any], parts: Collection[str], messages: Collection[str]) -> dict[str, Any]:
    """The row without these optional parts."""
    kept = {name: value for name, value in row.items() if name not in parts or name not in ROW_EXTRAS}
    drop = {name for name in parts if name in MESSAGE_EXTRAS}
    for column in messages if drop else ():
        kept[column] = [{name: value for name, value in turn.items() if name not in drop} for turn in row[column]]
    return kept


# --------------------------------------------------------------------------------------------------------- calls, tools
def _reject(value: str) -> Any:
    raise ValueError(f"{value} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _number(text: str) -> float:
    found = float(text)
    return found if found - found == 0 else _reject(text)


def parse(text: str) -> Any:
    """JSON whose value is beyond doubt.

    Raises:
        ValueError: it is not JSON, has a key twice, a number beyond floats, or half of a character.
    """
    found = json.loads(text, object_pairs_hook=_unique, parse_constant=_reject, parse_float=_number)
    dump(found).encode()
    return found


def dump(value: Any) -> str:
    """A value as JSON, with all letters unescaped and blanks as in most data of calls."""
    return json.dumps(value, ensure_ascii=False)


def _packed(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def arguments_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call as an object.

    Raises:
        UnsupportedRow: they are not a JSON object.
    """
    try:
        found = parse(call["function"]["arguments"])
    except (ValueError, RecursionError):
        raise UnsupportedRow(ARGUMENTS) from None
    if not isinstance(found, dict):
        raise UnsupportedRow(ARGUMENTS)
    return found


@lru_cache(maxsize=64)
def _tools(text: str) -> tuple[dict[str, Any], ...] | None:
    try:
        found = parse(text)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(found, list) and all(
        isinstance(tool, dict) and isinstance(tool.get("function"), dict) and tool["function"].get("name")
        for tool in found
    )
    return tuple(found) if whole else None


def tools_of(row: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The tools of a row as objects; None if it has none.

    Raises:
        UnsupportedRow: they are not an array of functions.
    """
    if "tools" not in row:
        return None
    found = _tools(row["tools"])
    if found is None:
        raise UnsupportedRow(TOOLS)
    return list(found)


def spoken(turn: Turn, reasoning: str = "reasoning_content") -> dict[str, Any]:
    """A message as chat templates read it: arguments are objects, ids only where there are some.

    Args:
        reasoning: the field for reasoning.
    """
    message: dict[str, Any] = {"role": turn["role"], "content": turn["content"]}
    if "reasoning" in turn:
        message[reasoning] = turn["reasoning"]
    if "tool_calls" in turn:
        message["tool_calls"] = [
            {
                **({"id": call["id"]} if call["id"] else {}),
                "type": "function",
                "function": {"name": call["function"]["name"], "arguments": arguments_of(call)},
            }
            for call in turn["tool_calls"]
        ]
    return message | {name: turn[name] for name in ("tool_call_id", "name", "weight") if name in turn}


def need_single_results(turns: Sequence[Turn]) -> None:
    """Refuses results of tools that follow each other."""
    if any(one["role"] == other["role"] == "tool" for one, other in pairwise(turns)):
        raise UnsupportedRow(RESULTS)


def need_exact(value: Any) -> None:
    """Refuses numbers that ``datasets`` changes when it reads or writes objects: it keeps ten digits after the point,
    reads some floats imprecisely, and no integer beyond 64 bits."""
    numbers = [one for one in _numbers(value) if isinstance(one, float) or not -(2**63) <= one < 2**64]
    if numbers and not all(_exact(one) for one in numbers):
        raise UnsupportedRow(INEXACT)


def _numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@lru_cache(maxsize=4_096, typed=True)
def _exact(value: float) -> bool:
    # With these datasets reads and writes objects.
    from pandas.io.json import ujson_dumps, ujson_loads  # type: ignore[import-untyped]

    try:
        return bool(ujson_loads(dump(value)) == value == ujson_loads(ujson_dumps(value)))
    except (ValueError, OverflowError):
        return False


# ---------------------------------------------------------------------------------------------------------------- media
_PLACEHOLDER = re.compile("(" + "|".join(PLACEHOLDERS.values()) + ")")


def pieces(text: str) -> list[str]:
    """A text, cut at the places of media, which are pieces of their own."""
    return [piece for piece in _PLACEHOLDER.split(text) if piece]


def need_places(row: Mapping[str, Any], turns: Sequence[Turn]) -> None:
    """Refuses media that do not have a place each in the texts of these turns, if there are any."""
    if not any(name in row for name in MEDIA):
        return
    text = "\0".join(turn["content"] for turn in turns)
    if any(text.count(PLACEHOLDERS[name]) != len(row.get(name, ())) for name in MEDIA):
        raise UnsupportedRow(COUNT)


# ------------------------------------------------------------------------------------------------------ columns of JSON
def is_json(dtype: pa.DataType) -> bool:
    """Whether a column holds objects, or lists of them."""
    return bool(dtype == JSON or (types.is_list(dtype) and dtype.value_type == JSON))


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; objects become JSON."""
    objects = [field.name for field in schema if is_json(field.type)]
    if not objects:
        return pa.Table.from_pylist(list(rows), schema=schema)
    arrays = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        arrays.append(_json(values, field.type) if field.name in objects else pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _json(values: list[Any], dtype: pa.DataType) -> pa.Array:
    if dtype == JSON:
        texts = pa.array([None if value is None else _packed(value) for value in values], pa.string())
        return pa.ExtensionArray.from_storage(JSON, texts)
    lists = pa.array(
        [None if value is None else [_packed(one) for one in value] for value in values], pa.list_(pa.string())
    )
    inner = pa.ExtensionArray.from_storage(JSON, lists.values)
    mask = lists.is_null() if lists.null_count else None
    return pa.ListArray.from_arrays(lists.offsets, inner, type=dtype, mask=mask)


def declared(schema: pa.Schema) -> list[dict[str, Any]]:
    """The features of a README's header from which ``datasets`` knows the columns of JSON files."""
    return [{"name": field.name, **_feature(field.type)} for field in schema]


def _feature(dtype: pa.DataType) -> dict[str, Any]:
    if types.is_list(dtype):
        inner = _feature(dtype.value_type)
        return {"list": inner.get("dtype") or inner.get("struct") or inner}
    if types.is_struct(dtype):
        return {"struct": declared(pa.schema(list(dtype)))}
    return {"dtype": "json" if dtype == JSON else {"double": "float64"}.get(str(dtype), str(dtype))}
