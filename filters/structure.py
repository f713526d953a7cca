"""Checks calls of tools against the row's tools and results, and media references against their places in the texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from curate.rows import extras_in, message_columns
from curate.rows.kinds import PLACEHOLDERS
from curate.rows.tools import Tools, tools_of
from curate.steps import Rows

TOOL_DEFECTS = ("unknown", "arguments", "schema", "unanswered", "result")
Turn = Mapping[str, Any]


def structure(rows: Rows) -> dict[str, pl.Series]:
    """``tools`` and ``media`` of each row: the first defect, or null. Rows without calls, results and references are
    not looked at one by one."""
    columns = message_columns(rows.kind)
    used = extras_in(rows.table.select([*columns, "tools", *PLACEHOLDERS]))
    defects: list[str | None] = [None] * len(rows)
    if used & {"tool_calls", "tool_call_id", "tools"}:
        names = [*columns, "tools"]
        for place, row in enumerate(rows.table.select(names).to_pylist()):
            defects[place] = _tool_defect([row[name] for name in columns], row["tools"])
    media: list[str | None] = [None] * len(rows)
    if used & set(PLACEHOLDERS):
        for place, row in enumerate(rows.table.select([*columns, *PLACEHOLDERS]).to_pylist()):
            media[place] = _media_defect([row[name] for name in columns], row)
    return {"tools": pl.Series(defects, dtype=pl.String), "media": pl.Series(media, dtype=pl.String)}


def _tool_defect(columns: Sequence[Sequence[Turn]], tools: str | None) -> str | None:
    """The first defect of the calls in a row. Each answer of a preference continues the prompt."""
    prompt, *answers = columns
    known = tools_of(tools) if tools is not None else None
    for turns in [[*prompt, *answer] for answer in answers] or [list(prompt)]:
        defect = _defect(turns, known)
        if defect is not None:
            return defect
    return None


def _defect(turns: Sequence[Turn], known: Tools | None) -> str | None:
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


def _call_defect(function: Mapping[str, str], known: Tools | None) -> str | None:
    try:
        arguments = orjson.loads(function["arguments"])
    except ValueError:
        return "arguments"
    if not isinstance(arguments, dict):
        return "arguments"
    if known is None:
        return None
    if function["name"] not in known.functions:
        return "unknown"
    return None if known.error(function["name"], arguments) is None else "schema"


def _media_defect(columns: Sequence[Sequence[Turn]], row: Mapping[str, Any]) -> str | None:
    for name, mark in PLACEHOLDERS.items():
        places = sum(turn["content"].count(mark) for turns in columns for turn in turns)
        if row[name] is not None and places != len(row[name]):
            return f"{places} places for {len(row[name])} {name}"
    return None
