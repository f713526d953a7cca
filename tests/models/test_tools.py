"""Tools go to models in every protocol, and their calls come back in the form that rows have."""

from __future__ import annotations

import json

import pytest
from questions import ask
from servers.llm import FaultServer, Reply

from curate.errors import ModelError
from curate.models.anthropic.model import Anthropic
from curate.models.gemini.model import Gemini
from curate.models.openai.model import OpenAI
from curate.models.openai.wire import RequestOptions, build_request
from curate.steps.models import Request, Sampling

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = json.dumps(
    [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": PARAMETERS}}]
)
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}
ASKED = (("user", "Weather in Ulm?"),)
TALK = Request(
    (*ASKED, ("assistant", "Let me look."), ("tool", "rain"), ("tool", '{"t": 3}'), ("user", "And tomorrow?")),
    tools=TOOLS,
    parts=(
        {},
        {"tool_calls": [CALL, {**CALL, "id": "c.2"}]},
        {"tool_call_id": "c1", "name": "weather"},
        {"tool_call_id": "c.2"},
    ),
)
MODELS = [OpenAI, Anthropic, Gemini]


def body(kind, request):
    return json.loads(kind(url="http://a", model="m").wire().build(request).data)


def calling(kind, *, text="", arguments="{}"):
    """A response that calls a tool."""
    if kind is Anthropic:
        block = {"type": "tool_use", "id": "x1", "name": "weather", "input": json.loads(arguments)}
        return Reply(finish="tool_use", choice={"content": [{"type": "text", "text": text}, block]})
    if kind is Gemini:
        part = {"functionCall": {"name": "weather", "args": json.loads(arguments)}}
        return Reply(choice={"content": {"parts": [{"text": text}, part]}})
    call = {"id": "x1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
    return Reply(text, finish="tool_calls", message={"tool_calls": [call]})


def load(kind, server, cache=None):
    return kind(url=server.url, model="m", retries=0).load(cache=cache, threads=1)


def test_openais_form():
    told = body(OpenAI, TALK)
    assert told["tools"] == json.loads(TOOLS)
    assert told["messages"][1] == {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [CALL, {**CALL, "id": "c.2"}],
    }
    assert told["messages"][2] == {"role": "tool", "content": "rain", "tool_call_id": "c1", "name": "weather"}


def test_anthropics_form():
    told = body(Anthropic, TALK)
    assert told["tools"] == [{"name": "weather", "description": "d", "input_schema": PARAMETERS}]
    assert told["messages"][1]["content"] == [
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}},
        {"type": "tool_use", "id": "c_2", "name": "weather", "input": {"city": "Ulm"}},
    ]
    assert told["messages"][2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "rain"},
            {"type": "tool_result", "tool_use_id": "c_2", "content": '{"t": 3}'},
        ],
    }


def test_geminis_form():
    told = body(Gemini, TALK)
    declared = {"name": "weather", "description": "d", "parametersJsonSchema": PARAMETERS}
    assert told["tools"] == [{"functionDeclarations": [declared]}]
    first, second = told["contents"][1]["parts"][1:]
    assert first["functionCall"] == {"id": "c1", "name": "weather", "args": {"city": "Ulm"}}
    assert "thoughtSignature" in first and "thoughtSignature" not in second
    assert told["contents"][2]["parts"] == [
        {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "rain"}}},
        {"functionResponse": {"id": "c.2", "name": "weather", "response": {"t": 3}}},
    ]


@pytest.mark.parametrize("kind", MODELS)
def test_calls_come_back_as_rows_have_them_and_are_kept(kind, tmp_path):
    request = Request(ASKED, tools=TOOLS)
    with FaultServer(lambda body, times: calling(kind, text="One moment.", arguments='{"city":"Ulm"}')) as server:
        (answer,) = load(kind, server, tmp_path).generate([request])
        (again,) = load(kind, server, tmp_path).generate([request])
        assert len(server.calls) == 1 and again.cached and again.tool_calls == answer.tool_calls
    (call,) = answer.tool_calls
    assert answer.ok and answer.text == "One moment." and call["id"] and call["type"] == "function"
    assert call["function"] == {"name": "weather", "arguments": '{"city":"Ulm"}'}


@pytest.mark.parametrize("kind", MODELS)
def test_a_call_without_text_is_an_answer_and_needs_to_satisfy_no_schema(kind):
    with FaultServer(lambda body, times: calling(kind)) as server:
        (answer,) = load(kind, server).generate([Request(ASKED, tools=TOOLS, schema=PARAMETERS)])
    assert answer.ok and len(answer.tool_calls) == 1 and answer.value is None


@pytest.mark.parametrize("kind", MODELS)
def test_a_call_that_nobody_allowed_is_no_answer(kind):
    with FaultServer(lambda body, times: calling(kind)) as server:
        (answer,) = load(kind, server).generate([ask("a")])
    assert answer.finish == "failed" and "calls a tool (weather)" in answer.problem


def test_arguments_that_are_no_json_are_invalid():
    with FaultServer(lambda body, times: calling(OpenAI, arguments='{"city":')) as server:
        (answer,) = load(OpenAI, server).generate([Request(ASKED, tools=TOOLS)])
    assert answer.finish == "invalid" and "weather" in answer.problem and not answer.tool_calls


@pytest.mark.parametrize("kind", MODELS)
def test_ids_that_datasets_leave_out_are_given_in_order(kind):
    bare = {"type": "function", "function": CALL["function"]}
    request = Request(
        (*ASKED, ("assistant", ""), ("tool", "rain"), ("tool", "sun")),
        tools=TOOLS,
        parts=({}, {"tool_calls": [bare, bare]}),
    )
    told = json.dumps(body(kind, request))
    assert told.count('"call_0"') == told.count('"call_1"') == 2


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("tools", ["{", '{"a": 1}', '["x"]', '[{"type": "function"}]'])
def test_tools_that_are_none_are_an_error(kind, tools):
    with pytest.raises(ModelError, match="the tools of row r"):
        body(kind, Request(ASKED, tools=tools, row="r"))


def test_keys_of_requests_without_tools_are_those_of_earlier_versions():
    key = build_request(Request((("user", "Hello"),), Sampling(temperature=0.7, top_p=0.9)), RequestOptions("m")).key
    assert key.hex() == "41b04b172d17f16d81b925ddcc553388"
    with_tools = build_request(Request((("user", "Hello"),), tools=TOOLS), RequestOptions("m"))
    assert with_tools.key != build_request(Request((("user", "Hello"),)), RequestOptions("m")).key


def test_base_models_take_no_tools():
    with pytest.raises(ModelError, match="chat endpoint"):
        OpenAI(url="http://a", model="m", endpoint="completions").wire().build(TALK)
