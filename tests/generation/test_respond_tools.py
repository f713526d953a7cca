"""Rows with tools are sent with them in every protocol's own form, and the model's calls are in the new rows."""

from __future__ import annotations

import dataclasses
import json

import pytest
from servers.llm import FaultServer, Reply

from curate.generation.respond.step import Respond
from curate.models.anthropic.model import Anthropic
from curate.models.gemini.model import Gemini
from curate.models.openai.model import OpenAI
from curate.rows import Kind
from curate.rows.tools import tools_of
from curate.steps.models import Completion

PARAMETERS = {"type": "object", "properties": {"mji": {"type": "string"}}, "required": ["mji"]}
TOOLS = json.dumps(
    [{"type": "function", "function": {"name": "hali_ya_hewa", "description": "水", "parameters": PARAMETERS}}]
)
MODELS = [OpenAI, Anthropic, Gemini]


def call(arguments='{"mji": "Ulm"}', id="c1", name="hali_ya_hewa"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


ASKED = {"role": "user", "content": "مرحبا، كيف الطقس؟"}
CALLING = {"role": "assistant", "content": "Let me look.", "tool_calls": [call()]}
RESULT = {"role": "tool", "content": '{"joto": 31}', "tool_call_id": "c1", "name": "hali_ya_hewa"}


def in_protocol(body, calls, text=""):
    """A reply with calls, given as (name, arguments as an object)."""
    if "contents" in body:
        parts = [{"functionCall": {"name": name, "args": given}} for name, given in calls]
        return Reply(choice={"content": {"parts": [*([{"text": text}] if text else []), *parts]}})
    if "input_schema" in json.dumps(body["tools"]):
        blocks = [
            {"type": "tool_use", "id": f"x{n}", "name": name, "input": one} for n, (name, one) in enumerate(calls)
        ]
        said = [{"type": "text", "text": text}] if text else []
        return Reply(finish="tool_use", choice={"content": [*said, *blocks]})
    told = [call(json.dumps(given), f"x{n}", name) for n, (name, given) in enumerate(calls)]
    return Reply(text, finish="tool_calls", message={"tool_calls": told})


@pytest.fixture
def respond(make, bench, gathered, tmp_path):
    """The rows and failures of ``respond`` for some rows, with a model of that kind at that server."""

    def answered(kind, server, rows, of=Kind.PROMPT, **more):
        model = kind(url=server.url, model="m", retries=0).load(cache=tmp_path, threads=1)
        context = bench({"m": model})
        return gathered(Kind.SFT, Respond(model="m", **more).make(make(of, rows), context))

    return answered


@pytest.mark.parametrize("kind", MODELS)
def test_calls_of_the_model_are_in_the_row_as_rows_keep_them(kind, respond):
    rows = [{"prompt": [ASKED], "language": "ar", "tools": TOOLS}, {"prompt": [ASKED], "language": "ar"}]

    def answer(body, times):
        both = [("hali_ya_hewa", {"mji": "उल्म"}), ("hali_ya_hewa", {"mji": "乌尔姆"})]
        return in_protocol(body, both, "لحظة") if "tools" in body else Reply("حار")

    with FaultServer(answer) as server:
        made, bad = respond(kind, server, rows)
        again, _ = respond(kind, server, rows)
        assert len(server.calls) == 2, "the tools are part of the key, and both answers are cached"
    assert not bad and [row["messages"] for row in again] == [row["messages"] for row in made]
    with_tools, plain = sorted(made, key=lambda row: "tools" not in row)
    assert with_tools["tools"] == TOOLS and with_tools["messages"][0] == ASKED
    said = with_tools["messages"][-1]
    assert said["content"] == "لحظة" and [one["function"]["name"] for one in said["tool_calls"]] == ["hali_ya_hewa"] * 2
    assert [json.loads(one["function"]["arguments"]) for one in said["tool_calls"]] == [
        {"mji": "उल्म"},
        {"mji": "乌尔姆"},
    ]
    assert len({one["id"] for one in said["tool_calls"]}) == 2 and {one["type"] for one in said["tool_calls"]} == {
        "function"
    }
    assert plain["messages"][-1] == {"role": "assistant", "content": "حار"} and "tools" not in plain


@pytest.mark.parametrize("kind", MODELS)
def test_a_call_without_text_is_an_answer(kind, respond):
    with FaultServer(lambda body, times: in_protocol(body, [("hali_ya_hewa", {"mji": "Ulm"})])) as server:
        (row,), bad = respond(kind, server, [{"prompt": [ASKED], "language": "ar", "tools": TOOLS}])
    assert not bad and row["messages"][-1]["content"] == "" and len(row["messages"][-1]["tool_calls"]) == 1


@pytest.mark.parametrize("kind", MODELS)
def test_an_answer_that_is_cut_off_while_it_calls_tools_is_never_kept_without_its_calls(kind, respond):
    cut = {OpenAI: "length", Anthropic: "max_tokens", Gemini: "MAX_TOKENS"}[kind]

    def answer(body, times):
        reply = in_protocol(body, [("hali_ya_hewa", {"mji": "Ulm"})], "Let me look.") if "tools" in body else Reply("ح")
        return dataclasses.replace(reply, finish=cut)

    rows = [{"prompt": [ASKED], "language": "ar", "tools": TOOLS}, {"prompt": [ASKED], "language": "ar"}]
    with FaultServer(answer) as server:
        (kept,), (lost,) = respond(kind, server, rows, on_length="keep")
    assert kept["messages"][-1]["content"] == "ح" and kept["attributes"]["respond.finish"] == "length"
    assert lost.reason == "cut off while it calls a tool (hali_ya_hewa)" and "Let me look." in lost.raw


@pytest.mark.parametrize("kind", MODELS)
def test_a_conversation_that_ends_with_results_is_answered_from_there(kind, respond):
    talk = [{"role": "system", "content": "Be brief."}, ASKED, CALLING, RESULT]
    rows = [{"messages": [*talk, {"role": "assistant", "content": "old"}], "language": "ar", "tools": TOOLS}]
    with FaultServer(lambda body, times: Reply("31")) as server:
        (row,), bad = respond(kind, server, rows, Kind.SFT, prompt="<<{prompt}>>", system="S", system_over=True)
    assert not bad and row["messages"] == [*talk, {"role": "assistant", "content": "31"}]
    (body,) = server.calls
    sent = json.dumps(body, ensure_ascii=False)
    assert f"<<{ASKED['content']}>>" in sent and "Let me look." in sent and "Be brief" not in sent and "old" not in sent
    if kind is OpenAI:
        assert body["messages"][2:] == [CALLING, RESULT] and body["tools"] == json.loads(TOOLS)
    elif kind is Anthropic:
        assert body["tools"][0]["input_schema"] == PARAMETERS
        assert body["messages"][2]["content"] == [
            {"type": "tool_result", "tool_use_id": "c1", "content": '{"joto": 31}'}
        ]
    else:
        assert body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"] == PARAMETERS
        assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == {"joto": 31}


@pytest.mark.parametrize("kind", MODELS)
def test_calls_that_the_tools_do_not_allow_are_asked_for_again(kind, respond):
    wrong = [[("mvua", {})], [("hali_ya_hewa", {"mji": 4})], [("hali_ya_hewa", {"mji": "Ulm"})]]

    def answer(body, times):
        return in_protocol(body, wrong[min(len(server.calls) - 1, 2)])

    with FaultServer(answer) as server:
        (row,), bad = respond(kind, server, [{"prompt": [ASKED], "language": "ar", "tools": TOOLS}], retries=2)
        assert not bad and row["attributes"]["respond.tries"] == "3"
        second, third = (json.dumps(body) for body in server.calls[1:])
        assert "there is no tool 'mvua'; there are hali_ya_hewa" in second and "wrong at mji" in third
        _, (lost,) = respond(kind, server, [{"prompt": [ASKED], "language": "en", "tools": TOOLS}], retries=0)
    assert lost.reason.startswith("there is no tool 'mvua'"), "the first answer is cached"


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": [ASKED], "tools": "["}, "are not JSON"),
        ({"prompt": [ASKED], "tools": '[{"type": "function"}]'}, "are no JSON array of"),
        ({"prompt": [ASKED, {**CALLING, "tool_calls": [call("[1]")]}, RESULT], "tools": TOOLS}, "are no JSON object"),
        ({"prompt": [ASKED, CALLING], "tools": TOOLS}, "ends with calls of tools that have no result"),
        ({"prompt": [ASKED, CALLING, RESULT]}, "without its tools"),
        ({"prompt": [CALLING, RESULT], "tools": TOOLS}, "no user turn"),
    ],
)
def test_what_cannot_be_sent_is_quarantined_and_other_rows_are_answered(kind, row, reason, respond):
    with FaultServer(lambda body, times: Reply("fine")) as server:
        made, (bad,) = respond(kind, server, [{**row, "language": "en"}, {"prompt": [ASKED], "language": "en"}])
    assert reason in bad.reason and len(made) == 1 and len(server.calls) == 1


def test_a_model_that_takes_no_tools_is_not_asked_beside_one_that_does(make, bench, scripted, gathered):
    able = scripted(lambda request: Completion("", "stop", tool_calls=(call(),)))
    able.capabilities = {"tools": True}
    models = {"able": able, "plain": scripted(lambda request: "guess")}
    rows = make(Kind.PROMPT, [{"prompt": [ASKED], "language": "en", "tools": TOOLS}])
    (row,), (bad,) = gathered(Kind.SFT, Respond(model=("able", "plain")).make(rows, bench(models)))
    assert row["attributes"]["respond.model"] == "able@test" and not models["plain"].requests
    assert bad.reason == "it has tools, which the model 'plain' is not shown"
    assert able.requests[0].tools == TOOLS and tools_of(able.requests[0].tools).functions


def test_a_schema_for_answers_is_no_schema_for_calls(respond):
    schema = {"type": "object", "properties": {"t": {"type": "integer"}}, "required": ["t"]}
    replies = {True: [("hali_ya_hewa", {"mji": "Ulm"})], False: []}

    def answer(body, times):
        calling = "Ulm" in json.dumps(body["messages"])
        return in_protocol(body, replies[calling]) if calling else Reply('{"t": 4}')

    rows = [
        {"prompt": [{"role": "user", "content": text}], "language": "de", "tools": TOOLS} for text in ("Ulm?", "Bonn?")
    ]
    with FaultServer(answer) as server:
        made, bad = respond(OpenAI, server, rows, response_format=schema)
    last = [row["messages"][-1] for row in made]
    assert not bad and {one["content"] for one in last} == {"", '{"t":4}'}
