"""``tool_use``: calls fit the tools, results follow the calls, and cases without a call have none."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from pydantic import ValidationError

from curate.generation.tool_use import ToolUse
from curate.rows import Kind
from filters.shape import Shape

WEATHER = {
    "name": "hali_ya_hewa",
    "description": "Hali ya hewa ya mji",
    "parameters": {
        "type": "object",
        "properties": {"mji": {"type": "string"}, "siku": {"type": "integer", "minimum": 0}},
        "required": ["mji"],
        "additionalProperties": False,
    },
}
TIME = {"name": "saa", "parameters": {"type": "object", "properties": {"mji": {"type": "string"}}}}
TOOLS = json.dumps([{"type": "function", "function": one} for one in (WEATHER, TIME)], ensure_ascii=False)
ASK = [{"role": "user", "content": "Kesho Pemba kutakuwaje?"}]


def call(name="hali_ya_hewa", **arguments):
    return {"name": name, "arguments": arguments}


def step(*calls, answer=""):
    return {"calls": list(calls), "answer": answer}


@pytest.fixture
def rows(make):
    return make(Kind.PROMPT, [{"prompt": ASK, "language": "sw", "tools": TOOLS}])


@pytest.fixture
def play(bench, gathered):
    def run(rows, models, **given):
        made = ToolUse(**{"assistant": "a", "user": "u", "simulator": "t", **given})
        assert not made.check(rows.kind)
        context = bench(models)
        return *gathered(Kind.SFT, made.make(rows, context)), context

    return run


def assistant(*steps):
    """A model that says one step after the other, by how many of its own it sees."""

    def say(request):
        said = sum(role == "assistant" for role, _ in request.messages)
        return steps[min(said, len(steps) - 1)]

    return say


def simulator(request):
    return {"result": {"joto": 31, "kwa": request.messages[-1][1].count("<call>")}}


def test_a_request_becomes_calls_results_and_an_answer(rows, play, scripted, make, bench):
    calling, tools = (
        scripted(assistant(step(call(mji="Pemba"), call("saa", mji="Pemba")), step(answer="Jua."))),
        scripted(simulator),
    )
    (row,), bad, context = play(rows, {"a": calling, "t": tools, "u": None})
    assert not bad and row["tools"] == TOOLS and row["language"] == "sw"
    result = json.dumps({"joto": 31, "kwa": 1}, separators=(",", ":"))
    assert row["messages"] == [
        *ASK,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "hali_ya_hewa", "arguments": '{"mji":"Pemba"}'},
                },
                {"id": "call_2", "type": "function", "function": {"name": "saa", "arguments": '{"mji":"Pemba"}'}},
            ],
        },
        {"role": "tool", "content": result, "tool_call_id": "call_1", "name": "hali_ya_hewa"},
        {"role": "tool", "content": result, "tool_call_id": "call_2", "name": "saa"},
        {"role": "assistant", "content": "Jua."},
    ]
    assert row["scores"] == {"tool_use.calls": 2.0} and row["attributes"]["tool_use.simulator"] == "t@test"
    assert row["lineage"]["makers"][0]["model"] == "a@test" and context.ticks == 1
    # The second result is made up with the first one in sight; the answer with both.
    assert "<tool>" in tools.requests[1].messages[-1][1] and "Hali ya hewa" in tools.requests[0].messages[-1][1]
    assert calling.requests[1].messages[-1][1].count("<result>") == 2
    kept = make(Kind.SFT, [{"messages": row["messages"], "language": "sw", "tools": TOOLS}])
    assert Shape().score(kept, bench(), None)["tools"].to_list() == [None]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (step(call("mvua", mji="x")), "there is no tool 'mvua'; there are hali_ya_hewa, saa"),
        (step(call(mji=3)), "arguments of 'hali_ya_hewa' are wrong at mji: 3 is not of type"),
        (step(call(siku=1)), "'mji' is a required property"),
        (step(call(mji="x"), answer="Jua."), "either 'calls' or 'answer'"),
        (step(), "either 'calls' or 'answer'"),
        ("no json", "Expecting value"),
    ],
)
def test_a_step_that_does_not_fit_is_asked_again_with_the_complaint(rows, play, scripted, wrong, complaint):
    def say(request):
        if len(request.messages) <= 2:
            return wrong
        return step(answer="Jua.") if "<result>" in request.messages[-1][1] else step(call(mji="Pemba"))

    model = scripted(say)
    (row,), bad, _ = play(rows, {"a": model, "t": scripted(simulator), "u": None})
    assert not bad and row["scores"]["tool_use.calls"] == 1.0
    if wrong != "no json":
        assert complaint in model.requests[1].messages[-1][1]
    made, bad, _ = play(rows, {"a": scripted(lambda request: wrong), "t": scripted(simulator), "u": None}, retries=1)
    assert not made and bad[0].reason.startswith("assistant: ")


def test_calls_go_on_over_steps_up_to_the_limit(rows, play, scripted):
    steps = [step(call(mji=f"mji {number}")) for number in range(5)]
    (row,), _, _ = play(
        rows, {"a": scripted(assistant(*steps[:2], step(answer="Sawa."))), "t": scripted(simulator), "u": None}
    )
    calls = [one["id"] for turn in row["messages"] for one in turn.get("tool_calls", ())]
    assert calls == ["call_1", "call_2"] and [turn["role"] for turn in row["messages"]] == [
        "user", "assistant", "tool", "assistant", "tool", "assistant"
    ]  # fmt: skip
    made, bad, _ = play(
        rows, {"a": scripted(assistant(*steps)), "t": scripted(simulator), "u": None}, steps=2, retries=0
    )
    assert not made and "tools were called in 2 steps already" in bad[0].reason


def test_requests_are_written_for_each_case_and_the_cases_are_kept_to(make, play, scripted):
    cases = {
        "exactly one": "single",
        "several calls at once": "parallel",
        "None of the tools": "no_tool",
        "leaves out": "missing",
    }

    def write(request):
        system = request.messages[0][1]
        (case,) = [name for words, name in cases.items() if words in system]
        assert "Swahili" in system and "hali_ya_hewa" in request.messages[-1][1]
        return f"{case} {request.sample}: {request.messages[0][1].count('mada')}"

    def say(request):
        asked = next(text for role, text in request.messages if role == "user")
        if "<result>" in request.messages[-1][1]:
            return step(answer="Sawa.")
        if asked.startswith("parallel"):
            return step(call(mji="a"), call(mji="b"))
        return step(call(mji="a")) if asked.startswith("single") else step(answer="Mji gani?")

    topics = [[{"role": "user", "content": f"mada {number}"}] for number in range(120)]
    rows = make(Kind.PROMPT, [{"prompt": one, "language": "sw", "tools": TOOLS} for one in topics])
    given = {"start": "user", "parallel": 0.25, "no_tool": 0.25, "missing": 0.25}
    made, bad, _ = play(rows, {"a": scripted(say), "t": scripted(simulator), "u": scripted(write)}, **given)
    assert not bad and len(made) == 120
    found = Counter(row["attributes"]["tool_use.case"] for row in made)
    assert all(15 <= found[case] <= 45 for case in cases.values()), found
    for row in made:
        case = row["attributes"]["tool_use.case"]
        assert row["messages"][0]["content"].startswith(case)
        assert row["scores"]["tool_use.calls"] == {"single": 1, "parallel": 2}.get(case, 0)
    # A model that calls where it should not is told so, and gives no row if it goes on.
    calling = scripted(lambda request: step(call(mji="a")))
    made, bad, _ = play(rows, {"a": calling, "t": scripted(simulator), "u": scripted(write)}, start="user", no_tool=1.0)
    assert not made and {row.reason for row in bad} == {
        "assistant: no tool can do what is asked; answer without a call"
    }


def test_rows_without_usable_tools_are_quarantined(make, play):
    rows = make(
        Kind.PROMPT,
        [
            {"prompt": ASK, "language": "sw"},
            {"prompt": ASK, "language": "sw", "tools": '[{"type": "web_search"}]'},
            {"prompt": ASK, "language": "sw", "tools": TOOLS, "images": ["a.png"]},
        ],
    )
    made, bad, _ = play(rows, {"a": None, "t": None, "u": None})
    assert not made and sorted(row.reason for row in bad) == [
        "it has images, which the model is not shown",
        "it has no tools",
        "its tools have no function",
    ]


def maker(*replies):
    """A model that makes these tools, one reply after the other, and then results."""
    left = list(replies)

    def say(request):
        return left.pop(0) if "Write the tools." in request.messages[1][1] else {"result": "sawa"}

    return say


def test_tools_are_made_from_a_description_and_then_used(make, play, scripted):
    domain = [{"name": "domain", "value": "usafiri wa treni <description>"}]
    rows = make(
        Kind.PROMPT,
        [
            {"prompt": ASK, "language": "sw", "attributes": domain},
            {"prompt": ASK, "language": "sw", "attributes": domain, "tools": TOOLS},
        ],
    )
    calling = scripted(
        lambda request: step(answer="Jua.") if "<result>" in request.messages[-1][1] else step(call(mji="Pemba"))
    )
    making = scripted(maker({"tools": [WEATHER]}))
    made, bad, _ = play(rows, {"a": calling, "t": making, "u": None}, tools="Tools for {attribute.domain}")
    assert not bad and len(made) == 2
    assert json.loads(made[0]["tools"]) == [{"type": "function", "function": WEATHER}] and made[1]["tools"] == TOOLS
    assert [row["attributes"].get("tool_use.tools") for row in made] == ["t@test", None]
    assert [row["messages"][1]["tool_calls"][0]["function"]["name"] for row in made] == ["hali_ya_hewa"] * 2
    # The row's text is fenced: it cannot close the fence.
    asked = making.requests[0].messages[-1][1]
    mark = asked.partition(">")[0].removeprefix("<")
    assert asked.startswith(f"<{mark}>\nTools for usafiri wa treni") and asked.count(f"</{mark}>") == 1
    assert mark != "description"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"tools": [WEATHER, WEATHER]}, "two tools have the same name"),
        ({"tools": [{**WEATHER, "parameters": {"type": "mji"}}]}, "parameters of 'hali_ya_hewa' are no JSON Schema"),
        ({"tools": [{**WEATHER, "parameters": {}}]}, "parameters of 'hali_ya_hewa' are no JSON Schema"),
        ({"tools": [{**WEATHER, "parameters": {"type": "array"}}]}, "of type 'object' with 'properties'"),
        (
            {"tools": [{**WEATHER, "parameters": {"type": "object", "properties": {}, "required": ["x"]}}]},
            "'hali_ya_hewa' requires x, which its properties lack",
        ),
        ({"tools": []}, ""),
        ({"tools": [{**WEATHER, "name": "hali ya hewa"}]}, ""),
    ],
)
def test_tools_that_are_none_are_asked_for_again_and_then_quarantined(make, play, scripted, wrong, complaint):
    rows = make(Kind.PROMPT, [{"prompt": ASK, "language": "sw"}])
    calling = scripted(assistant(step(answer="Mji gani?")))
    making = scripted(maker(wrong, {"tools": [WEATHER]}))
    (row,), bad, _ = play(rows, {"a": calling, "t": making, "u": None}, tools="{prompt}", retries=1)
    assert not bad and json.loads(row["tools"])[0]["function"] == WEATHER
    assert complaint in making.requests[1].messages[-1][1]
    making = scripted(maker(wrong, wrong))
    made, bad, _ = play(rows, {"a": calling, "t": making, "u": None}, tools="{prompt}", retries=1)
    assert not made and [row.reason.partition(": ")[0] for row in bad] == ["simulator"]
    assert complaint in bad[0].reason and len(calling.requests) == 1


def test_descriptions_are_checked_and_must_not_be_empty(make, play):
    rows = make(Kind.PROMPT, [{"prompt": ASK, "language": "sw", "attributes": [{"name": "domain", "value": " "}]}])
    for given, reason in (
        ("{attribute.domain}", "it has no tools, and the description of those to make is empty"),
        ("{attribute.topic}", "topic"),
    ):
        made, bad, _ = play(rows, {"a": None, "t": None, "u": None}, tools=given)
        assert not made and reason in bad[0].reason
    (problem,) = ToolUse(assistant="a", tools="{promt}").check(Kind.PROMPT)
    assert problem.startswith("tools") and "prompt" in problem


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"start": "user", "parallel": 0.6, "no_tool": 0.6}, "together at most 1"),
        ({"no_tool": 0.1}, "need 'start: user'"),
        ({"n": 2, "sampling": {"temperature": 0}, "user_sampling": {"temperature": 0}}, "would all be the same"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(given, problem):
    with pytest.raises(ValidationError, match=problem):
        ToolUse.model_validate({"assistant": "a", **given})
