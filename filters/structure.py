"""Checks calls of tools against the row's tools and results, and media references against their places in the texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jsonschema
import orjson
import polars as pl

from curate.rows import extras_in, message_columns
from curate.rows.kinds import MEDIA
from curate.steps import Rows

TOOL_DEFECTS = ("unknown", "arguments", "schema", "unanswered", "result")
Turn = Mapping[str, Any]


def structure(rows: Rows) -> dict[str, pl.Series]:
    """``tools`` and ``media`` of each row: the first defect, or null. Rows without calls, results and references are
    not looked at one by one."""
    columns = message_columns(rows.kind)
    used = extras_in(rows.table.select([*columns, "tools", *MEDIA]))
    defects: list[str | None] = [None] * len(rows)
    if used & {"tool_calls", "tool_call_id", "tools"}:
        names = [*columns, "tools"]
        for place, row in enumerate(rows.table.select(names).to_pylist()):
            defects[place] = _tool_defect([row[name] for name in columns], row["tools"])
    media: list[str | None] = [None] * len(rows)
    if used & set(MEDIA):
        for place, row in enumerate(rows.table.select([*columns, *MEDIA]).to_pylist()):
            media[place] = _media_defect([row[name] for name in columns], row)
    return {"tools": pl.Series(defects, dtype=pl.String), "media": pl.Series(media, dtype=pl.String)}


def _tool_defect(columns: Sequence[Sequence[Turn]], tools: str | None) -> str | None:
    """The first defect of the calls in a row. Each answer of a preference continues the prompt."""
    prompt, *answers = columns
    known = _tools(tools) if tools is not None else None
    for turns in [[*prompt, *answer] for answer in answers] or [list(prompt)]:
        defect = _defect(turns, known)
        if defect is not None:
            return defect
    return None


def _defect(turns: Sequence[Turn], known: Mapping[str, Any] | None) -> str | None:
    open_calls: list[str] = []
    for turn in turns:
        if turn["role"] == "tool":
            if not open_calls:
                # Without any call in the conversation, the call may be a text.
                if turn["tool_call_id"] or any(one["tool_calls"] for one in turns):
                    return "result"
                continue
            if (called := turn["tool_call_id"]) and any(open_calls):
                if called not in open_calls:
                    return "result"
                open_calls.remove(called)
            else:
                open_calls.pop(0)
            continue
        if open_calls:
            return "unanswered"
        for call in turn["tool_calls"] or ():
            if (defect := _call_defect(call["function"], known)) is not None:
                return defect
            open_calls.append(call["id"])
    return None


def _call_defect(function: Mapping[str, str], known: Mapping[str, Any] | None) -> str | None:
    try:
        arguments = orjson.loads(function["arguments"])
    except ValueError:
        return "arguments"
    if not isinstance(arguments, dict):
        return "arguments"
    if known is None:
        return None
    if function["name"] not in known:
        return "unknown"
    validator = known[function["name"]]
    try:
        return None if validator is None or validator.is_valid(arguments) else "schema"
    except Exception:  # noqa: BLE001 - a schema that refers to what is not there, or to itself
        return None


@lru_cache(maxsize=1024)
def _tools(tools: str) -> dict[str, Any]:
    """Name → validator of its arguments; None if the tool has no usable schema."""
    known: dict[str, Any] = {}
    try:
        listed = orjson.loads(tools)
    except ValueError:  # of a plug-in's source: no call can fit them
        return known
    for tool in listed if isinstance(listed, list) else [listed]:
        function = tool.get("function", tool) if isinstance(tool, dict) else {}
        if isinstance(function, dict) and isinstance(name := function.get("name"), str):
            known[name] = _validator(function.get("parameters"))
    return known


def _validator(parameters: Any) -> Any:
    if not isinstance(parameters, dict) or not parameters:
        return None
    cls = jsonschema.validators.validator_for(parameters, default=jsonschema.Draft202012Validator)
    try:
        cls.check_schema(parameters)
    except (jsonschema.SchemaError, RecursionError):
        return None
    return cls(parameters)


def _media_defect(columns: Sequence[Sequence[Turn]], row: Mapping[str, Any]) -> str | None:
    for name in MEDIA:
        mark = f"<{name[:-1]}>"
        places = sum(turn["content"].count(mark) for turns in columns for turn in turns)
        if row[name] is not None and places != len(row[name]):
            return f"{places} places for {len(row[name])} {name}"
    return None
