"""Checks that a row's tools can be given to a model, and that the model's calls fit them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from curate.errors import ModelError
from curate.generation.common.conversations import OpenConversation
from curate.generation.common.requests import clean
from curate.generation.tool_use.tools import check_calls
from curate.models.generation.turns import arguments_of, tools_of, turns_of
from curate.rows import tools as row_tools
from curate.steps.models import Completion, Generator, Request


def takes_tools(generator: Generator) -> bool:
    """Whether a model is given tools in its protocol's own form."""
    return bool(getattr(generator, "capabilities", {}).get("tools"))


def check_tools(conversation: OpenConversation, tools: str, row: str) -> None:
    """Checks that the tools of a row and the calls in its conversation can be sent in every protocol.

    Args:
        row: its id, for the message.

    Raises:
        ValueError: they are not in the form that rows keep.
    """
    request = Request(tuple(conversation.request()), tools=tools, parts=tuple(conversation.parts()), row=row)
    try:
        tools_of(request)
        for turn in turns_of(request):
            for call in turn.calls:
                arguments_of(call)
    except ModelError as error:
        raise ValueError(str(error)) from None


def allowed_calls(tools: str, answer: Completion) -> tuple[Mapping[str, Any], ...]:
    """The calls of an answer.

    Raises:
        InvalidResponse: the tools do not allow one of them.
    """
    functions = [call["function"] for call in answer.tool_calls]
    said = [{"name": clean(one["name"]), "arguments": orjson.loads(clean(one["arguments"]))} for one in functions]
    check_calls(row_tools.tools_of(tools), said)
    return answer.tool_calls
