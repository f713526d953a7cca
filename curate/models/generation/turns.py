"""The turns of a request with their calls of tools, before a protocol writes them down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from curate.errors import ModelError
from curate.models.generation.structured_output import fit_for_wire
from curate.steps.models import Request


class ToolCall(NamedTuple):
    """A call of a tool."""

    id: str
    name: str
    arguments: str
    """JSON text."""

    def row_form(self) -> dict[str, Any]:
        """The call as rows keep it, which is OpenAI's form."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


class Turn(NamedTuple):
    """A message of a request."""

    role: str
    content: str
    calls: tuple[ToolCall, ...] = ()
    """The tools that an assistant's turn calls."""
    answers: str = ""
    """The id of the call that a ``tool`` turn answers."""
    name: str = ""
    """The speaker, or the function that a result comes from."""


class Tool(NamedTuple):
    """A tool that may be called."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of its arguments."""


def turns_of(request: Request) -> list[Turn]:
    """The turns of a request, with what no encoding can represent replaced.

    Raises:
        ModelError: there are none, or a call is not as rows keep it.
    """
    if not request.messages:
        raise ModelError(f"a request for row {request.row or '?'} has no messages")
    turns = [Turn(role, fit_for_wire(content)) for role, content in request.messages]
    if not any(request.parts):
        return turns
    waiting: list[ToolCall] = []
    """Calls without a result so far: datasets often leave ids out, and results follow in the order of the calls."""
    made = 0
    for place, turn in enumerate(turns):
        parts = request.parts[place] if place < len(request.parts) else {}
        calls = tuple(_call(one, request) for one in parts.get("tool_calls") or ())
        calls = tuple(call if call.id else call._replace(id=f"call_{made + n}") for n, call in enumerate(calls))
        made += len(calls)
        waiting += calls
        answers, name = str(parts.get("tool_call_id") or ""), str(parts.get("name") or "")
        if turn.role == "tool":
            answered = next((call for call in waiting if answers in ("", call.id)), None)
            if answered is not None:
                waiting.remove(answered)
                answers, name = answered.id, name or answered.name
        turns[place] = turn._replace(calls=calls, answers=answers, name=name)
    return turns


def tools_of(request: Request) -> list[dict[str, Any]]:
    """The tools of a request in OpenAI's form.

    Raises:
        ModelError: they are not the JSON array that rows keep.
    """
    if not request.tools:
        return []
    try:
        tools = orjson.loads(request.tools)
    except ValueError as error:
        raise ModelError(f"the tools of row {request.row or '?'} are not JSON: {error}") from None
    if not isinstance(tools, list) or not all(isinstance(one, dict) and _named(one.get("function")) for one in tools):
        raise ModelError(f"the tools of row {request.row or '?'} are no JSON array of {{type, function: {{name, …}}}}")
    return tools


def declared_tools(request: Request) -> list[Tool]:
    """The tools of a request in parts, for protocols with a form of their own.

    Raises:
        ModelError: they are not the JSON array that rows keep.
    """
    functions = [one["function"] for one in tools_of(request)]
    return [
        Tool(
            one["name"],
            str(one.get("description") or ""),
            one.get("parameters") or {"type": "object", "properties": {}},
        )
        for one in functions
    ]


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """The arguments of a call as an object, for protocols that take no text.

    Raises:
        ModelError: they are no JSON object.
    """
    try:
        arguments = orjson.loads(call.arguments or "{}")
    except ValueError as error:
        raise ModelError(f"the arguments of a call of '{call.name}' are not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise ModelError(f"the arguments of a call of '{call.name}' are no JSON object")
    return arguments


def prompt_size(request: Request) -> int:
    """Bytes of UTF-8 of all that a request says."""
    size = sum(len(content.encode(errors="replace")) for _, content in request.messages)
    if request.tools or request.parts:
        size += len(request.tools.encode(errors="replace"))
        size += sum(len(str(parts).encode(errors="replace")) for parts in request.parts if parts)
    return size


def without_system(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with system turns prepended to the next user turn, or as a user turn if none follows."""
    found: list[Turn] = []
    waiting: list[str] = []
    for turn in turns:
        if turn.role == "system":
            waiting.append(turn.content)
            continue
        if waiting and turn.role == "user":
            turn, waiting = turn._replace(content="\n\n".join([*waiting, turn.content])), []
        elif waiting:
            found.append(Turn("user", "\n\n".join(waiting)))
            waiting = []
        found.append(turn)
    return [*found, *([Turn("user", "\n\n".join(waiting))] if waiting else [])]


def split_system(turns: Sequence[Turn]) -> tuple[str, list[Turn]]:
    """The system turns at the beginning as one text, and the other turns; later system turns go into user turns."""
    first = next((place for place, turn in enumerate(turns) if turn.role != "system"), len(turns))
    system = "\n\n".join(turn.content for turn in turns[:first])
    return (system, without_system(turns[first:])) if first < len(turns) else ("", [Turn("user", system)])


def with_schema(turns: Sequence[Turn], schema: Mapping[str, Any]) -> list[Turn]:
    """The turns with a schema as an instruction in the last user turn, for servers without constrained decoding."""
    text = fit_for_wire(orjson.dumps(schema).decode())
    instruction = (
        "Answer with one JSON value and nothing else: no explanation, no code fence. It must satisfy this JSON"
        " Schema:\n"
    )
    last = max((index for index, turn in enumerate(turns) if turn.role == "user"), default=None)
    if last is None:
        return [Turn("system", instruction + text), *turns]
    told = turns[last]._replace(content=f"{turns[last].content}\n\n{instruction}{text}")
    return [*turns[:last], told, *turns[last + 1 :]]


def _call(one: Mapping[str, Any], request: Request) -> ToolCall:
    function = one.get("function")
    if not _named(function):
        raise ModelError(f"a call of a tool in a request for row {request.row or '?'} has no function with a name")
    assert isinstance(function, Mapping)
    return ToolCall(str(one.get("id") or ""), function["name"], str(function.get("arguments") or "{}"))


def _named(function: Any) -> bool:
    return isinstance(function, Mapping) and isinstance(function.get("name"), str) and bool(function["name"])
