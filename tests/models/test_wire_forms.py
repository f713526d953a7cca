"""Requests become bodies of Anthropic's and Gemini's protocols, and raw answers become answers, without a server."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ModelError
from curate.models.anthropic.model import Anthropic
from curate.models.anthropic.schema import narrowed
from curate.models.endpoint.wire import MalformedAnswer
from curate.models.gemini.model import Gemini
from curate.steps.models import Request, Sampling

HELLO = (("user", "Hello"),)
TALK = (("system", "Be brief."), ("user", "Hi"), ("assistant", "Yes?"), ("system", "Be kind."), ("user", "Go"))
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
WARM = Sampling(temperature=0.7, top_p=0.9, top_k=40, max_tokens=5, stop=("END",))


def anthropic(**more):
    return Anthropic(model="m", **more).wire()


def gemini(**more):
    return Gemini(model="m", **more).wire()


def body(wire, request):
    return json.loads(wire.build(request).data)


def said(*blocks, reason="end_turn", **more):
    return {"type": "message", "content": list(blocks), "stop_reason": reason, "model": "m", **more}


def text(told):
    return {"type": "text", "text": told}


def candidate(*parts, reason="STOP", **more):
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": reason, **more}]}


def read(wire, raw, request=None):
    request = request or Request(HELLO)
    made = wire.build(request)
    wire.check_shape(made.kind, raw)
    return wire.parse(made, raw, request)


# ------------------------------------------------------------------------------------------------------------ requests
def test_anthropics_body():
    assert body(anthropic(), Request(TALK, WARM)) == {
        "model": "m",
        "max_tokens": 5,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Be kind.\n\nGo"},
        ],
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["END"],
    }
    assert body(anthropic(), Request((("system", "Only this."),)))["messages"] == [
        {"role": "user", "content": "Only this."}
    ]


def test_geminis_body():
    told = body(gemini(), Request(TALK, WARM))
    assert isinstance(told["generationConfig"].pop("seed"), int)
    assert told == {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Yes?"}]},
            {"role": "user", "parts": [{"text": "Be kind.\n\nGo"}]},
        ],
        "generationConfig": {
            "temperature": 0.7,
            "topP": 0.9,
            "topK": 40,
            "maxOutputTokens": 5,
            "stopSequences": ["END"],
        },
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }
    assert "seed" not in body(gemini(), Request(HELLO))["generationConfig"]
    assert "seed" not in body(gemini(seeds=False), Request(HELLO, WARM))["generationConfig"]


def test_more_fields_are_merged_into_objects_and_may_not_override_the_request():
    effort = anthropic(extra_body={"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}})
    told = body(effort, Request(HELLO, schema=SCHEMA))
    assert told["output_config"]["effort"] == "low" and told["output_config"]["format"]["type"] == "json_schema"
    thoughts = gemini(extra_body={"generationConfig": {"thinkingConfig": {"includeThoughts": True}}})
    config = body(thoughts, Request(HELLO))["generationConfig"]
    assert config["thinkingConfig"] and config["maxOutputTokens"] == 1024
    for kind, extra, named in (
        (Anthropic, {"messages": []}, "messages"),
        (Anthropic, {"output_config": {"format": {}}}, "output_config.format"),
        (Gemini, {"contents": []}, "contents"),
        (Gemini, {"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
    ):
        with pytest.raises(ValueError, match=f"may not set {named}"):
            kind(model="m", extra_body=extra)


@pytest.mark.parametrize("make", [anthropic, gemini])
def test_the_key_is_all_that_is_asked_but_the_name_of_the_model(make):
    def key(request, **more):
        return make(**more).build(request).key

    base = Request(HELLO)
    assert key(base) == key(base, served_as="alias") == key(Request(HELLO, row="r"))
    others = {
        key(Request(HELLO, sample=1)),
        key(Request((("system", "Hello"), *HELLO))),
        key(Request(HELLO, Sampling(max_tokens=5))),
        key(Request(HELLO, schema=SCHEMA)),
        key(base, temperature=None),
        key(base, extra_body={"x": 1}),
        key(Request(HELLO, tools='[{"type": "function", "function": {"name": "f"}}]')),
    }
    assert len(others) == 7 and key(base) not in others


def test_a_schema_goes_the_providers_own_way():
    request = Request(HELLO, schema=SCHEMA)
    sent = body(anthropic(), request)["output_config"]["format"]["schema"]
    assert sent["additionalProperties"] is False and "minimum" not in sent["properties"]["a"]
    forced = body(anthropic(structured="tool"), request)
    assert forced["tool_choice"] == {"type": "tool", "name": "answer"} and forced["tools"][0]["input_schema"] == SCHEMA
    config = body(gemini(), request)["generationConfig"]
    assert config["responseMimeType"] == "application/json" and config["responseJsonSchema"] == SCHEMA
    loose = body(gemini(structured="json_object"), request)
    assert "responseJsonSchema" not in loose["generationConfig"] and "JSON Schema" in str(loose["contents"])
    for make in (anthropic, gemini):
        assert "JSON Schema" in str(body(make(structured="prompt"), request))
        assert "integer" not in str(body(make(structured="none"), request))
    open_object = {"type": "object", "additionalProperties": {"type": "string"}}
    told = body(anthropic(), Request(HELLO, schema=open_object))
    assert "output_config" not in told and "JSON Schema" in told["messages"][0]["content"]
    with pytest.raises(ModelError, match="JSON objects only"):
        body(anthropic(structured="tool"), Request(HELLO, schema={"type": "array", "items": {}}))


LEAVES = st.sampled_from(
    [
        {"type": "integer", "minimum": 0, "maximum": 3},
        {"type": "string", "pattern": "^a", "maxLength": 3},
        {"type": "boolean"},
        {"enum": ["a", 1, None]},
        {"type": "string", "format": "date"},
        {"type": ["string", "null"], "description": "d"},
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda one: {"type": "array", "items": one, "maxItems": 2}, inner),
        st.builds(lambda one, two: {"anyOf": [one, two]}, inner, inner),
        st.builds(lambda one: {"type": "object", "properties": {"a": one}, "required": ["a"]}, inner),
    ),
    max_leaves=5,
)
VALUES = st.recursive(
    st.sampled_from([0, 9, "a", "abcd", None, True, 1, "2026-01-01"]),
    lambda inner: st.lists(inner, max_size=3) | st.fixed_dictionaries({"a": inner}),
    max_leaves=5,
)


@given(SCHEMAS, VALUES)
def test_what_satisfies_a_schema_satisfies_the_narrowed_one(schema, value):
    sent = narrowed(schema)
    assert sent is not None
    jsonschema.Draft202012Validator.check_schema(sent)
    if jsonschema.Draft202012Validator(schema).is_valid(value):
        assert jsonschema.Draft202012Validator(sent).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        {"oneOf": [{"type": "string"}]},
        {"type": "array", "items": True},
        {},
        {"properties": {"a": {"type": "string"}}},
    ],
)
def test_what_has_no_equivalent_is_not_narrowed(schema):
    assert narrowed(schema) is None


def test_a_prefix_is_continued_where_the_model_does():
    prefixed = Request((("user", "Count"), ("assistant", "One,")))
    made = body(anthropic(prefill=True), prefixed)
    assert made["messages"][-1] == {"role": "assistant", "content": "One,"}
    assert read(anthropic(prefill=True), said(text(" two")), prefixed).text == " two"


@pytest.mark.parametrize("make", [anthropic, gemini])
@given(
    messages=st.lists(st.tuples(st.sampled_from(["system", "user"]), st.text(st.characters())), min_size=1, max_size=4)
)
def test_any_text_can_be_asked(make, messages):
    json.loads(make().build(Request(tuple(messages))).data)


# ------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize(
    ("reason", "finish", "kept"),
    [
        ("end_turn", "stop", True),
        ("stop_sequence", "stop", True),
        (None, "stop", True),
        ("max_tokens", "length", True),
        ("model_context_window_exceeded", "length", True),
        ("refusal", "filtered", False),
    ],
)
def test_how_anthropics_answer_ended(reason, finish, kept):
    raw = said(text("x"), reason=reason)
    assert read(anthropic(), raw).finish == finish
    assert anthropic().read(anthropic().build(Request(HELLO)), raw).cacheable is kept


@pytest.mark.parametrize(
    ("reason", "finish", "kept"),
    [
        ("STOP", "stop", True),
        ("MAX_TOKENS", "length", True),
        *(
            (reason, "filtered", False)
            for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")
        ),
        ("OTHER", "failed", False),
        ("NEW_REASON", "stop", True),
    ],
)
def test_how_geminis_answer_ended(reason, finish, kept):
    raw = candidate({"text": "x"}, reason=reason)
    answer = read(gemini(), raw)
    assert answer.finish == finish and (not answer.problem or reason in answer.problem)
    assert gemini().read(gemini().build(Request(HELLO)), raw).cacheable is kept
    assert bool(answer.remarks) is (reason == "NEW_REASON")


def test_thoughts_are_no_part_of_the_answer():
    thinking = {"type": "thinking", "thinking": "Let me see.", "signature": "s"}
    hidden = {"type": "redacted_thinking", "data": "x"}
    claude = read(anthropic(), said(thinking, hidden, text("Ye"), text("s.")))
    google = read(gemini(), candidate({"text": "Let me see.", "thought": True}, {"text": "Ye"}, {"text": "s."}))
    for answer in (claude, google):
        assert (answer.text, answer.reasoning, answer.finish) == ("Yes.", "Let me see.", "stop")
    only = read(gemini(), candidate({"text": "hm", "thought": True}))
    assert only.finish == "invalid" and "thoughts only" in only.problem
    assert read(anthropic(), said()).transient and read(gemini(), candidate()).transient


def test_tokens_are_counted_as_they_are_charged():
    usage = {
        "input_tokens": 1,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 300,
        "output_tokens": 4,
    }
    made = anthropic().build(Request(HELLO))
    assert anthropic().read(made, said(text("x"), usage=usage)).usage == (321, 4, 300)
    spent = {
        "promptTokenCount": 321,
        "cachedContentTokenCount": 300,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 50,
    }
    raw = {**candidate({"text": "x"}), "usageMetadata": spent}
    assert gemini().read(gemini().build(Request(HELLO)), raw).usage == (321, 54, 300)


def test_a_forced_tool_gives_the_answer():
    request = Request(HELLO, schema=SCHEMA)
    block = {"type": "tool_use", "id": "t", "name": "answer", "input": {"a": 1}}
    answer = read(anthropic(structured="tool"), said(block, reason="tool_use"), request)
    assert (answer.value, answer.finish, answer.tool_calls) == ({"a": 1}, "stop", ())
    assert read(anthropic(structured="tool"), said(text('{"a": 2}')), request).value == {"a": 2}


def test_refusals_are_told():
    details = {"type": "refusal", "category": "bio", "explanation": "It could do harm."}
    assert read(anthropic(), said(reason="refusal", stop_details=details)).problem == "It could do harm."
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    answer = read(gemini(), blocked)
    assert answer.finish == "filtered" and "PROHIBITED_CONTENT" in answer.problem and answer.prompt_tokens == 3


def test_geminis_log_probabilities():
    request = Request(HELLO, top_logprobs=2)
    found = {
        "chosenCandidates": [{"token": "Yes", "logProbability": -0.1}],
        "topCandidates": [
            {"candidates": [{"token": "No", "logProbability": -3.0}, {"token": "Yes", "logProbability": -0.1}]}
        ],
    }
    config = body(gemini(logprobs=True), request)["generationConfig"]
    assert config["responseLogprobs"] is True and config["logprobs"] == 2
    (token,) = read(gemini(logprobs=True), candidate({"text": "Yes"}, logprobsResult=found), request).logprobs
    assert (token.token, token.logprob, token.top) == ("Yes", -0.1, (("Yes", -0.1), ("No", -3.0)))
    assert read(gemini(logprobs=True), candidate({"text": "Yes"}), request).finish == "failed"


LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "text",
                    "thinking",
                    "name",
                    "input",
                    "parts",
                    "content",
                    "functionCall",
                    "thought",
                    "args",
                    "finishReason",
                    "stop_reason",
                    "usage",
                    "chosenCandidates",
                    "token",
                    "explanation",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(LOOSE, LOOSE, LOOSE)
def test_whatever_has_the_shape_can_be_read(content, usage, more):
    request = Request(HELLO, schema=SCHEMA)
    raws = [
        (anthropic(), {"content": content, "usage": usage, "stop_reason": "end_turn", "stop_details": more}),
        (anthropic(), {"content": [content], "stop_reason": "refusal", "stop_details": more, "model": more}),
        (gemini(), {"candidates": [{"content": content, "logprobsResult": more}], "usageMetadata": usage}),
        (gemini(), {"candidates": [{"content": {"parts": [content]}}], "promptFeedback": more}),
    ]
    for wire, raw in raws:
        made = wire.build(request)
        try:
            wire.check_shape(made.kind, raw)
        except MalformedAnswer:
            continue
        wire.parse(made, raw, request)


@given(LOOSE)
def test_any_error_can_be_read(problem):
    for wire in (anthropic(), gemini()):
        wire.report_error(problem, {})
        wire.report_error({"error": problem}, {})
        wire.report_error({"error": {"details": [problem], "message": problem}}, {})
