"""Builds request bodies of Anthropic's Messages API and reads its responses; no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import regex

from curate.errors import ContextWindowError, ModelError, QuotaExceededError
from curate.models.anthropic.schema import narrowed
from curate.models.endpoint.wire import (
    ErrorReport,
    MalformedAnswer,
    Reply,
    RequestBody,
    Usage,
    Wire,
    WireOptions,
    body_key,
    count,
    error_report,
    json_text,
    largest_response,
    merged,
    uninvited,
    unknown_end,
)
from curate.models.generation.structured_output import fit_for_wire
from curate.models.generation.turns import (
    ToolCall,
    Turn,
    arguments_of,
    declared_tools,
    split_system,
    turns_of,
    with_schema,
)
from curate.steps.models import Finish, Request, Sampling

VERSION = "2023-06-01"
"""The version of the protocol, sent with every request; 2026-10-21 takes no sampling parameters from any model."""
ANSWER_TOOL = "answer"
"""The tool that the model must call with a JSON answer, with ``structured: tool``."""
RESERVED = frozenset(
    {"messages", "system", "model", "max_tokens", "stream", "tools", "tool_choice", "stop_sequences", "container"}
)
_UNKNOWN = ("min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")
_FINISH: Mapping[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "refusal": "filtered",
}
# These concern all requests, but come as errors of one.
_NO_CREDIT = regex.compile(
    r"credit balance is too low|reached your specified .{0,20}API usage limits", regex.IGNORECASE
)
_SPENT = frozenset(
    {
        "billing_error",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_spend_limit_reached",
    }
)
_NO_SAMPLING = regex.compile(
    r"`?(temperature|top_p|top_k)`?:? (?:is deprecated for this model|extra inputs are not permitted)", regex.IGNORECASE
)
_ONE_OF_TWO = regex.compile(r"temperature.{1,9}top_p.{1,9}cannot both be specified", regex.IGNORECASE)
_NO_PREFILL = regex.compile(r"does not support assistant message prefill", regex.IGNORECASE)
_EXPIRY = regex.compile(r"anthropic-ratelimit-(.+)-reset")


@dataclass(frozen=True)
class AnthropicOptions(WireOptions):
    """The settings of this protocol."""

    structured: Literal["json_schema", "tool", "prompt", "none"] = "json_schema"
    prefill: bool = False
    """Whether the model continues an assistant turn."""


def sampling_problems(sampling: Sampling) -> list[str]:
    """What the protocol does not take of a sampling."""
    problems = [
        f"'{name}' is unknown to Anthropic's models; leave it out"
        for name in _UNKNOWN
        if getattr(sampling, name) is not None
    ]
    if sampling.temperature is not None and sampling.temperature > 1:
        problems.append(f"Anthropic's models take a temperature of 0 to 1, not {sampling.temperature:g}")
    if sampling.seed:
        problems.append("Anthropic's models take no seed; leave 'seed' out (samples differ by themselves)")
    if any(not text.strip() for text in sampling.stop):
        problems.append("Anthropic's models take no 'stop' of whitespace only")
    return problems


class AnthropicWire(Wire):
    """The Messages API."""

    protocol: ClassVar[str] = "Anthropic-compatible"
    options: AnthropicOptions

    # ------------------------------------------------------------------------------------------------------- requests
    def build(self, request: Request) -> RequestBody:
        options, sampling = self.options, self.options.sampling(request)
        if problems := sampling_problems(sampling):
            raise ModelError("; ".join(problems))
        if request.top_logprobs or request.prompt_logprobs:
            raise ModelError("Anthropic's models give no log-probabilities")
        turns = turns_of(request)
        body: dict[str, Any] = {"model": options.model, "max_tokens": sampling.max_tokens}
        tools = [_tool(one.name, one.description, one.parameters) for one in declared_tools(request)]
        forced = False
        if request.schema is not None and options.structured != "none":
            schema = narrowed(request.schema) if options.structured == "json_schema" else None
            if schema is not None:
                body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
            elif options.structured == "tool" and not tools:
                forced = True
                tools = [_tool(ANSWER_TOOL, "Give the answer.", _of_object(request.schema))]
                body["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL}
            else:
                turns = with_schema(turns, request.schema)
        system, turns = split_system(turns)
        if turns and turns[-1].role == "assistant" and not options.prefill:
            raise ModelError("Claude from 4.6 on continues no assistant turn; if this model does, set 'prefill: true'")
        if system:
            body["system"] = system
        body["messages"] = _messages(turns)
        for name in ("temperature", "top_p", "top_k"):
            if (value := getattr(sampling, name)) is not None:
                body[name] = value
        if sampling.stop:
            body["stop_sequences"] = [fit_for_wire(text) for text in sampling.stop]
        if tools:
            body["tools"] = tools
        body = merged(body, options.extra_body)
        kind = "answer tool" if forced else "messages"
        key = body_key(kind, body, request.sample)
        size = largest_response(sampling.max_tokens)
        return RequestBody(key, kind, body, max_bytes=size, tools=bool(tools) and not forced)

    def path(self, body: RequestBody) -> str:
        return "/messages"

    # ------------------------------------------------------------------------------------------------------ responses
    def embedded_error(self, raw: Any) -> Any:
        if isinstance(raw, dict) and (raw.get("type") == "error" or raw.get("error")):
            return raw.get("error") or raw
        return None

    def begun(self, raw: Any) -> bool:
        return bool(raw.get("content"))

    def check_shape(self, kind: str, raw: Any) -> None:
        if not isinstance(raw, dict):
            raise MalformedAnswer(f"the answer is a JSON {type(raw).__name__}, not an object")
        content = raw.get("content")
        if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
            raise MalformedAnswer("the answer has no 'content' of blocks")
        if not isinstance(raw.get("stop_reason"), str | None) or not isinstance(raw.get("usage"), dict | None):
            raise MalformedAnswer("'stop_reason' or 'usage' of the answer is of the wrong type")

    def read(self, body: RequestBody, raw: Any) -> Reply:
        blocks = raw["content"]
        reason = str(raw.get("stop_reason") or "").strip().lower()
        finish: Finish = _FINISH.get(reason, "stop")
        text = "".join(_texts(blocks, "text"))
        calls = tuple(
            ToolCall(str(block.get("id") or f"call_{place}"), name, json_text(block.get("input") or {}))
            for place, block in enumerate(blocks)
            if block.get("type") == "tool_use" and isinstance(name := block.get("name"), str) and name
        )
        problem = remark = ""
        if body.kind == "answer tool":
            given = next((call for call in calls if call.name == ANSWER_TOOL), None)
            # Where nothing was called, the text may still be JSON.
            text, calls = (given.arguments, ()) if given else (text, ())
        if finish == "filtered":
            details = raw.get("stop_details")
            told = details if isinstance(details, dict) else {}
            problem = str(told.get("explanation") or told.get("category") or "") or "refused by the model's safeguards"
        elif calls and not body.tools:
            finish, problem = "failed", uninvited(calls[0].name)
        elif reason not in _FINISH and text.strip():
            remark = unknown_end("stop_reason", reason or None)
        thoughts = "\n\n".join(filter(None, (one.strip() for one in _texts(blocks, "thinking"))))
        return Reply(text, finish, thoughts, calls, problem, remark, _usage(raw), raw.get("model"))

    def report_error(self, problem: Any, headers: Mapping[str, str]) -> ErrorReport:
        report = error_report(problem)
        error = problem.get("error") if isinstance(problem, dict) else None
        details = error.get("details") if isinstance(error, dict) else None
        code = str((details.get("error_code") if isinstance(details, dict) else "") or report.code)
        report = report._replace(retry_after=_until_reset(headers))
        if code in _SPENT or _NO_CREDIT.search(report.message):
            return report._replace(kind=QuotaExceededError, remedy="the quota is used up")
        if found := _NO_SAMPLING.search(report.message):
            where = "the model" if found[1].lower() == "temperature" else "'sampling'"
            remedy = f"the model takes no '{found[1]}'; set '{found[1]}: null' in {where}"
            return report._replace(kind=ModelError, remedy=remedy)
        if _ONE_OF_TWO.search(report.message):
            remedy = (
                "the model takes one of the two; set 'temperature: null' in the model, or 'top_p: null' in 'sampling'"
            )
            return report._replace(kind=ModelError, remedy=remedy)
        if _NO_PREFILL.search(report.message):
            return report._replace(kind=ModelError, remedy="the model continues no assistant turn; leave 'prefill' out")
        if report.code == "request_too_large":
            return report._replace(kind=ContextWindowError, remedy="the request is too large")
        return report


def _messages(turns: list[Turn]) -> list[dict[str, Any]]:
    """The turns as messages; results of tools that follow each other are one user turn, as the protocol asks."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        if turn.role == "tool":
            result = {"type": "tool_result", "tool_use_id": _id(turn.answers), "content": turn.content}
            last = messages[-1] if messages else None
            if last is not None and last["role"] == "user" and isinstance(last["content"], list):
                last["content"].append(result)
            else:
                messages.append({"role": "user", "content": [result]})
        elif turn.calls:
            blocks: list[dict[str, Any]] = [{"type": "text", "text": turn.content}] if turn.content.strip() else []
            blocks += [
                {"type": "tool_use", "id": _id(call.id), "name": call.name, "input": arguments_of(call)}
                for call in turn.calls
            ]
            messages.append({"role": turn.role, "content": blocks})
        else:
            messages.append({"role": turn.role, "content": turn.content})
    return messages


def _id(given: str) -> str:
    """An id with the characters that the protocol allows."""
    return regex.sub(r"[^A-Za-z0-9_-]", "_", given)


def _tool(name: str, description: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    told = {"description": description} if description else {}
    return {"name": name, **told, "input_schema": {"type": "object", **parameters}}


def _of_object(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a tool's input, which must be an object.

    Raises:
        ModelError: the answer is to be something else.
    """
    if schema.get("type") != "object":
        raise ModelError("'structured: tool' can give JSON objects only; use 'json_schema' or 'prompt' for this schema")
    return schema


def _texts(blocks: list[dict[str, Any]], kind: str) -> list[str]:
    found = (block.get(kind) for block in blocks if block.get("type") == kind)
    return [one for one in found if isinstance(one, str)]


def _usage(raw: Mapping[str, Any]) -> Usage | None:
    """The tokens of a call; those written to or read from the server's cache are counted apart by the protocol."""
    usage = raw.get("usage")
    if not isinstance(usage, dict):
        return None
    cached = count(usage.get("cache_read_input_tokens"))
    prompt = count(usage.get("input_tokens")) + count(usage.get("cache_creation_input_tokens")) + cached
    return Usage(prompt, count(usage.get("output_tokens")), cached)


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until the last of the exhausted limits that the headers name is replenished."""
    waits = []
    for name, value in headers.items():
        found = _EXPIRY.fullmatch(name.lower())
        if found and headers.get(f"anthropic-ratelimit-{found[1]}-remaining", "").strip() == "0":
            try:
                waits.append((datetime.fromisoformat(value.strip()) - datetime.now(UTC)).total_seconds())
            except (ValueError, TypeError):
                continue
    return max(0.0, max(waits)) if waits else None
