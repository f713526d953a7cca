"""Reads raw responses of OpenAI's protocol.

:func:`check_shape` validates one, :func:`read_reply` and :func:`parse_score` say what it means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from curate.models.endpoint.wire import MalformedAnswer, Reply, Usage, count, json_text, uninvited, unknown_end
from curate.models.generation.logprobs import parallel_logprobs, token_logprobs
from curate.models.generation.reasoning import field_thoughts
from curate.models.generation.turns import ToolCall
from curate.steps.models import Completion, Finish, Request

_FINISH: Mapping[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "filtered",
    "safety": "filtered",
    "refusal": "filtered",
    "recitation": "filtered",
    "blocklist": "filtered",
    "prohibited_content": "filtered",
    "spii": "filtered",
    "sensitive": "filtered",
    "guardrail_intervened": "filtered",
}
_GAVE_UP = frozenset(
    {"abort", "aborted", "error", "cancelled", "canceled", "timeout", "insufficient_system_resource", "network_error"}
)
_TOOLS = frozenset({"tool_calls", "function_call", "tool_use"})


def embedded_error(raw: Any) -> Any:
    """The error inside a response with status 200, of the whole or of its choice; None if there is none."""
    if not isinstance(raw, dict):
        return None
    choices = raw.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if error := choice.get("error"):
        return error
    error = raw.get("error")
    if error and (not choice or not isinstance(error, dict) or error.get("message")):
        return error
    return raw if raw.get("object") == "error" else None


def check_shape(kind: str, raw: Any) -> None:
    """Validates the structure of a raw response.

    Raises:
        MalformedAnswer: it is something else, written by a proxy or an overloaded server.
    """
    if kind == "score":
        return
    if not isinstance(raw, dict):
        raise MalformedAnswer(f"the answer is a JSON {type(raw).__name__}, not an object")
    choices = raw.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise MalformedAnswer("the answer has no 'choices'")
    if embedded_error(raw) is not None:
        raise MalformedAnswer("the answer holds an error")
    choice = choices[0]
    if kind == "completions":
        if not isinstance(choice.get("text"), str):
            raise MalformedAnswer("the answer's first choice has no 'text'")
    else:
        message = choice.get("message")
        if not isinstance(message, dict) or not isinstance(message.get("content"), str | list | None):
            raise MalformedAnswer("the answer's first choice has no 'message' with a 'content'")
    if not isinstance(choice.get("finish_reason"), str | None) or not isinstance(raw.get("usage"), dict | None):
        raise MalformedAnswer("'finish_reason' or 'usage' of the answer is of the wrong type")
    if _reason(choice) in _GAVE_UP:
        raise MalformedAnswer(f"the server gave up (finish_reason: {choice['finish_reason']})")


def read_reply(kind: str, raw: Any, *, tools: bool = False) -> Reply:
    """What a raw response says; ``failed`` if it calls a tool instead of answering, unless ``tools`` were given.

    An unknown or missing reason for its end counts as complete.
    """
    if kind == "score":
        return Reply("", "stop", usage=_usage(raw["scored"]), textless=True)
    choice = raw["choices"][0]
    message = choice.get("message") or {}
    text, reason = _content(choice), _reason(choice)
    finish: Finish = _FINISH.get(reason, "stop")
    calls, problem, remark = _calls(message) if tools else (), "", ""
    if message.get("refusal"):
        finish, problem = "filtered", str(message["refusal"])
    elif not calls and (reason in _TOOLS or (_tool(message) and not text.strip())):
        finish, problem = "failed", uninvited(_tool(message))
    if reason not in _FINISH and reason not in _TOOLS and text.strip():
        remark = unknown_end("finish_reason", choice.get("finish_reason"))
    return Reply(
        text,
        finish,
        field_thoughts(message),
        calls,
        problem,
        remark,
        _usage(raw),
        raw.get("model"),
        lambda: token_logprobs(choice.get("logprobs")),
    )


def _reason(choice: Mapping[str, Any]) -> str:
    return str(choice.get("finish_reason") or "").strip().lower()


def _tool(message: Mapping[str, Any]) -> str:
    """The name of the tool that the response calls; empty if none."""
    calls = message.get("tool_calls")
    call = calls[0] if isinstance(calls, list) and calls else message.get("function_call")
    if not isinstance(call, dict):
        return ""
    about = call.get("function", call)
    name = about.get("name") if isinstance(about, dict) else None
    return name[:100] if isinstance(name, str) and name else "?"


def _calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls of a message that have a name."""
    given = message.get("tool_calls")
    found = []
    for place, one in enumerate(given if isinstance(given, list) else ()):
        function = one.get("function") if isinstance(one, dict) else None
        if isinstance(function, dict) and isinstance(name := function.get("name"), str) and name:
            arguments = function.get("arguments")
            # Ollama sends an object, not its text.
            text = arguments if isinstance(arguments, str) else json_text(arguments or {})
            found.append(ToolCall(str(one.get("id") or f"call_{place}"), name, text or "{}"))
    return tuple(found)


def _usage(raw: Mapping[str, Any]) -> Usage | None:
    """The tokens of a call; None if the server reports none."""
    usage = raw.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(count(usage.get("prompt_tokens")), count(usage.get("completion_tokens")), count(cached))


def _content(choice: Mapping[str, Any]) -> str:
    text = choice.get("text")
    return _text(text if isinstance(text, str) else (choice.get("message") or {}).get("content"))


def _text(content: Any) -> str:
    """The text of a content, which may be a list of parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def parse_score(raw: Mapping[str, Any], request: Request) -> Completion:
    """The tokens of the last turn, up to the end of the prompt."""
    usage = _usage(raw["scored"])
    prompt_tokens = usage.prompt if usage else 0
    choice = raw["scored"]["choices"][0]
    tokens = parallel_logprobs(choice.get("logprobs") or {})
    end = prompt_tokens or len(tokens)
    start = raw.get("start")
    if start is None:  # the place in the text: counted from its end, because a template may put marks before it
        rest = len(request.messages[-1][1])
        start = end
        while start > 0 and rest > 0:
            start -= 1
            rest -= len(tokens[start].token) if start < len(tokens) else 0
    scored = tokens[max(1, start) : end]  # nothing comes before the very first token, so nothing says how likely it was
    known = Completion("", "stop", prompt_tokens=prompt_tokens, logprobs=scored)
    if not scored:
        return known.replace(finish="failed", problem="the server does not repeat its prompt with log-probabilities")
    return known
