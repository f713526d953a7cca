"""Builds request bodies of Gemini's ``generateContent`` and reads its responses; no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import orjson
import regex

from curate.errors import AuthenticationError, ModelError, QuotaExceededError
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
    json_text,
    largest_response,
    merged,
    uninvited,
    unknown_end,
)
from curate.models.generation.logprobs import token_logprobs
from curate.models.generation.seeds import effective_seed
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
from curate.steps.models import Finish, Request, Sampling, TokenLogprob

RESERVED = frozenset({"contents", "systemInstruction", "tools", "model", "cachedContent"})
RESERVED_CONFIG = frozenset(
    {
        "candidateCount",
        "maxOutputTokens",
        "stopSequences",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "responseLogprobs",
        "logprobs",
    }
)
MOST_STOPS = 5
MOST_LOGPROBS = 20
_UNKNOWN = ("min_p", "repetition_penalty")
_NAMES: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
_FINISH: Mapping[str, Finish] = {
    "STOP": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "filtered",
    "RECITATION": "filtered",
    "LANGUAGE": "filtered",
    "BLOCKLIST": "filtered",
    "PROHIBITED_CONTENT": "filtered",
    "SPII": "filtered",
    "ESCALATION": "filtered",
    "MODEL_ARMOR": "filtered",
    "IMAGE_SAFETY": "filtered",
    "IMAGE_PROHIBITED_CONTENT": "filtered",
    "IMAGE_RECITATION": "filtered",
    "OTHER": "failed",
    "PUP_LIMITED_DISABLED": "failed",
    "MALFORMED_FUNCTION_CALL": "failed",
    "UNEXPECTED_TOOL_CALL": "failed",
    "TOO_MANY_TOOL_CALLS": "failed",
    "MISSING_THOUGHT_SIGNATURE": "failed",
    "IMAGE_OTHER": "failed",
    "NO_IMAGE": "failed",
}
_STATUS: Mapping[str, int] = {
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "SERVICE_DISABLED"})
# Signatures that come with calls are not in rows; this value tells the server not to look for one.
_NO_SIGNATURE = "skip_thought_signature_validator"


@dataclass(frozen=True)
class GeminiOptions(WireOptions):
    """The settings of this protocol."""

    structured: Literal["json_schema", "json_object", "prompt", "none"] = "json_schema"
    seeds: bool = True


def request_problems(sampling: Sampling, top_logprobs: int = 0) -> list[str]:
    """What the protocol does not take of a request."""
    problems = [
        f"'{name}' is unknown to Gemini; leave it out" for name in _UNKNOWN if getattr(sampling, name) is not None
    ]
    if sampling.temperature is not None and sampling.temperature > 2:
        problems.append(f"Gemini takes a temperature of 0 to 2, not {sampling.temperature:g}")
    if len(sampling.stop) > MOST_STOPS:
        problems.append(f"Gemini takes up to {MOST_STOPS} 'stop' texts, not {len(sampling.stop)}")
    if top_logprobs > MOST_LOGPROBS:
        problems.append(f"Gemini gives the log-probabilities of up to {MOST_LOGPROBS} tokens, not {top_logprobs}")
    return problems


class GeminiWire(Wire):
    """``models.generateContent``."""

    protocol: ClassVar[str] = "Gemini"
    options: GeminiOptions

    # ------------------------------------------------------------------------------------------------------- requests
    def build(self, request: Request) -> RequestBody:
        options, sampling = self.options, self.options.sampling(request)
        if problems := request_problems(sampling, request.top_logprobs):
            raise ModelError("; ".join(problems))
        if request.prompt_logprobs:
            raise ModelError("Gemini gives no log-probabilities of prompts")
        turns = turns_of(request)
        config: dict[str, Any] = {
            written: value for name, written in _NAMES.items() if (value := getattr(sampling, name)) is not None
        }
        config["maxOutputTokens"] = sampling.max_tokens
        if sampling.stop:
            config["stopSequences"] = [fit_for_wire(text) for text in sampling.stop]
        seed = effective_seed(sampling, request.messages, request.sample)
        if seed is not None and options.seeds:
            config["seed"] = seed
        if request.top_logprobs:
            config |= {"responseLogprobs": True, "logprobs": request.top_logprobs}
        if request.schema is not None and options.structured != "none":
            if options.structured != "json_schema":
                turns = with_schema(turns, request.schema)
            if options.structured != "prompt":
                config["responseMimeType"] = "application/json"
            if options.structured == "json_schema":
                config["responseJsonSchema"] = dict(request.schema)
        system, turns = split_system(turns)
        if turns and turns[-1].role == "assistant":
            raise ModelError("Gemini continues no assistant turn; leave 'prefix' out, or use a model that does")
        body: dict[str, Any] = {"contents": _contents(turns), "generationConfig": config}
        if system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        tools = declared_tools(request)
        if tools:
            declared = [
                {"name": one.name, "description": one.description, "parametersJsonSchema": one.parameters}
                for one in tools
            ]
            body["tools"] = [{"functionDeclarations": declared}]
        body = merged(body, options.extra_body)
        size = largest_response(sampling.max_tokens, request.top_logprobs)
        key = body_key("generate", body, request.sample)
        return RequestBody(key, "generate", body, max_bytes=size, tools=bool(tools))

    def path(self, body: RequestBody) -> str:
        return f"{self.model_path()}:generateContent"

    def model_path(self) -> str:
        """The path of the model."""
        # The name of a tuned model has its own folder.
        name = self.options.model
        return f"/{quote(name if '/' in name else f'models/{name}')}"

    # ------------------------------------------------------------------------------------------------------ responses
    def embedded_error(self, raw: Any) -> Any:
        if isinstance(raw, list) and len(raw) == 1:
            raw = raw[0]
        return raw["error"] if isinstance(raw, dict) and raw.get("error") else None

    def begun(self, raw: Any) -> bool:
        return isinstance(raw, dict) and bool(raw.get("candidates"))

    def check_shape(self, kind: str, raw: Any) -> None:
        if not isinstance(raw, dict):
            raise MalformedAnswer(f"the answer is a JSON {type(raw).__name__}, not an object")
        if not isinstance(raw.get("usageMetadata"), dict | None):
            raise MalformedAnswer("'usageMetadata' of the answer is of the wrong type")
        if _block_reason(raw):
            return
        candidates = raw.get("candidates")
        if not isinstance(candidates, list) or not candidates or not isinstance(candidates[0], dict):
            raise MalformedAnswer("the answer has no 'candidates'")
        content = candidates[0].get("content") or {}
        parts = content.get("parts") if isinstance(content, dict) else "?"
        if not isinstance(parts, list | None) or not all(isinstance(part, dict) for part in parts or ()):
            raise MalformedAnswer("the answer's first candidate has no 'content' of parts")
        reason = candidates[0].get("finishReason")
        if not isinstance(reason, str | None):
            raise MalformedAnswer("'finishReason' of the answer is of the wrong type")
        if reason == "MALFORMED_RESPONSE":
            raise MalformedAnswer(f"the server gave up (finishReason: {reason})")

    def read(self, body: RequestBody, raw: Any) -> Reply:
        usage, model = _usage(raw), raw.get("modelVersion")
        if blocked := _block_reason(raw):
            return Reply("", "filtered", problem=f"the prompt was blocked ({blocked})", usage=usage, model=model)
        candidate = raw["candidates"][0]
        parts = (candidate.get("content") or {}).get("parts") or ()
        reason = str(candidate.get("finishReason") or "").strip().upper()
        finish: Finish = _FINISH.get(reason, "stop")
        text = "".join(_texts(parts, thought=False))
        calls = tuple(
            ToolCall(str(call.get("id") or f"call_{place}"), name, json_text(call.get("args") or {}))
            for place, call in enumerate(part["functionCall"] for part in parts if _is_call(part))
            if isinstance(name := call.get("name"), str) and name
        )
        problem = remark = ""
        if finish in ("filtered", "failed"):
            told = candidate.get("finishMessage")
            problem = f"finishReason: {reason}" + (f": {told}" if isinstance(told, str) and told else "")
        elif calls and not body.tools:
            finish, problem = "failed", uninvited(calls[0].name)
        elif reason not in _FINISH and text.strip():
            remark = unknown_end("finishReason", reason or None)
        thoughts = "".join(_texts(parts, thought=True)).strip()
        found = candidate.get("logprobsResult")
        return Reply(text, finish, thoughts, calls, problem, remark, usage, model, lambda: _logprobs(found))

    def report_error(self, problem: Any, headers: Mapping[str, str]) -> ErrorReport:
        if isinstance(problem, list) and len(problem) == 1:
            problem = problem[0]
        error = problem.get("error") or problem if isinstance(problem, dict) else problem
        if not isinstance(error, dict):
            return ErrorReport(str(error))
        name, message = str(error.get("status") or ""), str(error.get("message") or json_text(error))
        given = error.get("details")
        details = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
        wait = next((_seconds(one["retryDelay"]) for one in details if "retryDelay" in one), None)
        report = ErrorReport(message, name or str(error.get("code") or ""), _STATUS.get(name), wait)
        if any(one.get("reason") in _KEY_REASONS for one in details) or "API key not valid" in message:
            return report._replace(kind=AuthenticationError, remedy="the server refuses the key ('api_key')")
        if name == "FAILED_PRECONDITION":  # the place or the account may not use the service at all
            return report._replace(kind=AuthenticationError, remedy="the server refuses this account or place")
        if _STATUS.get(name) == 429 and (_of_a_day(details) or "prepayment credits are depleted" in message.lower()):
            return report._replace(kind=QuotaExceededError, remedy="the quota is used up")
        return report


def _contents(turns: list[Turn]) -> list[dict[str, Any]]:
    """The turns as contents; turns of one role that follow each other are one, as the protocol asks of results."""
    contents: list[dict[str, Any]] = []
    for turn in turns:
        role = "model" if turn.role == "assistant" else "user"
        parts = _parts(turn)
        if contents and contents[-1]["role"] == role and turn.role == "tool":
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    return contents


def _parts(turn: Turn) -> list[dict[str, Any]]:
    if turn.role == "tool":
        given = {"id": turn.answers} if turn.answers else {}
        return [{"functionResponse": {**given, "name": turn.name, "response": _result(turn.content)}}]
    parts: list[dict[str, Any]] = [{"text": turn.content}] if turn.content or not turn.calls else []
    for place, call in enumerate(turn.calls):
        part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name, "args": arguments_of(call)}}
        if not place:
            part["thoughtSignature"] = _NO_SIGNATURE
        parts.append(part)
    return parts


def _result(content: str) -> dict[str, Any]:
    """The result of a tool as an object: its own, or one with the text."""
    try:
        value = orjson.loads(content)
    except ValueError:
        return {"output": content}
    return value if isinstance(value, dict) else {"output": value}


def _texts(parts: Any, *, thought: bool) -> list[str]:
    found = (part.get("text") for part in parts if bool(part.get("thought")) is thought)
    return [one for one in found if isinstance(one, str)]


def _is_call(part: Mapping[str, Any]) -> bool:
    return isinstance(part.get("functionCall"), dict)


def _block_reason(raw: Mapping[str, Any]) -> str:
    """Why the prompt was blocked; empty if it was not."""
    feedback = raw.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    return str(reason)[:60] if reason and not raw.get("candidates") else ""


def _usage(raw: Mapping[str, Any]) -> Usage | None:
    """The tokens of a call; thoughts are charged as part of the answer."""
    usage = raw.get("usageMetadata")
    if not isinstance(usage, dict):
        return None
    prompt = count(usage.get("promptTokenCount")) + count(usage.get("toolUsePromptTokenCount"))
    completion = count(usage.get("candidatesTokenCount")) + count(usage.get("thoughtsTokenCount"))
    return Usage(prompt, completion, count(usage.get("cachedContentTokenCount")))


def _logprobs(found: Any) -> tuple[TokenLogprob, ...]:
    if not isinstance(found, dict):
        return ()
    chosen, tops = found.get("chosenCandidates"), found.get("topCandidates")
    if not isinstance(chosen, list) or not all(isinstance(one, dict) for one in chosen):
        return ()
    each = tops if isinstance(tops, list) and len(tops) == len(chosen) else [None] * len(chosen)
    content = []
    for one, top in zip(chosen, each, strict=True):
        best = top.get("candidates") if isinstance(top, dict) else None
        others = [_named(other) for other in best if isinstance(other, dict)] if isinstance(best, list) else []
        content.append({**_named(one), "top_logprobs": others})
    return token_logprobs({"content": content})


def _named(candidate: Mapping[str, Any]) -> dict[str, Any]:
    return {"token": candidate.get("token", ""), "logprob": candidate.get("logProbability")}


def _seconds(value: Any) -> float | None:
    """The seconds of a duration as the protocol writes it: ``34.5s``."""
    found = regex.fullmatch(r"(\d{1,9}(?:\.\d*)?)s", value) if isinstance(value, str) else None
    return float(found[1]) if found else None


def _of_a_day(details: list[dict[str, Any]]) -> bool:
    """Whether a limit of a day is exhausted, so that waiting for the next minute does not help."""
    violations = (one for detail in details for one in detail.get("violations") or () if isinstance(one, dict))
    return any("PerDay" in str(one.get("quotaId") or "") for one in violations)
