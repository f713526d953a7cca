"""Steps keep what a conversation has besides texts, and say where they cannot."""

from __future__ import annotations

import json

import numpy as np
import pytest
from plain import plain

from curate.generation.common.conversations import question_and_answer
from curate.generation.converse import Converse
from curate.generation.redact import Redact
from curate.generation.respond.step import Respond
from curate.generation.rewrite.step import Rewrite
from curate.generation.romanise.step import Romanise
from curate.generation.tool_use import ToolUse
from curate.generation.translate.step import Translate
from curate.preferences.judge.rendering import contents
from curate.preferences.judge.step import Judge
from curate.preferences.pair.candidates import prompt_keys
from curate.preferences.pair.step import Pair
from curate.preferences.revise.step import Revise
from curate.preferences.reward import Reward
from curate.rows import Kind, field_text, message_text
from curate.steps.models import Completion
from filters.duplicates.step import Duplicates

TOOLS = json.dumps([{"type": "function", "function": {"name": "hali_ya_hewa", "parameters": {"type": "object"}}}])


def call(arguments, name="hali_ya_hewa", id="c1"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


CALLING = {"role": "assistant", "content": "", "tool_calls": [call('{"mji": "Mombasa"}')], "reasoning": "I must look."}
RESULT = {"role": "tool", "content": '{"joto": 31}', "tool_call_id": "c1", "name": "hali_ya_hewa"}
TALK = [
    {"role": "user", "content": "How warm is it?", "name": "Asha"},
    CALLING,
    RESULT,
    {"role": "assistant", "content": "It is warm.", "weight": 0},
]


@pytest.fixture
def rows(make):
    return make(
        Kind.SFT,
        [
            {"messages": TALK, "language": "en", "tools": TOOLS, "images": ["a.png"]},
            {"messages": TALK, "language": "en"},
        ],
    )


class Length:
    """A reward model that likes long answers."""

    def score(self, conversations, done=None):
        return np.array([len(one[-1][1]) for one in conversations], np.float32)

    def supports(self, language):
        return True


class Upper:
    """A translator into capitals."""

    longest = 200

    def supports(self, source, target):
        return True

    def translate(self, sentences, source, target, done=None):
        return [one.upper() for one in sentences]

    def maker(self, source, target):
        return "upper@1"


def test_translations_keep_calls_results_names_weights_tools_and_media(rows, bench, gathered):
    step = Translate(to=["sw"], model="m", checks=())
    made, bad = gathered(Kind.SFT, step.make(rows, bench({"m": Upper()})))
    made = [row for row in made if row["language"] == "sw"]
    assert not bad and made[0]["messages"] == [
        {**TALK[0], "content": "HOW WARM IS IT?"},
        {**CALLING, "reasoning": "I MUST LOOK."},
        RESULT,
        {**TALK[3], "content": "IT IS WARM."},
    ]
    assert (made[0]["tools"], made[0]["images"]) == (TOOLS, ["a.png"])
    assert "tools" not in made[1] and "images" not in made[1]
    step = Translate(to=["sw"], model="m", checks=(), roles=("tool",))
    made, _ = gathered(Kind.SFT, step.make(rows, bench({"m": Upper()})))
    last = next(row for row in made if row["lineage"]["makers"])
    assert [turn["content"] for turn in last["messages"]][:2] == ["How warm is it?", ""]
    assert last["messages"][1] == CALLING


def test_descriptions_of_tools_are_translated_if_asked_and_data_never_is(make, bench, gathered):
    parameters = {
        "type": "object",
        "description": "where",
        "properties": {
            "description": {"type": "string", "description": "what it is", "enum": ["sun", "rain"]},
            "days": {
                "type": "array",
                "items": {"anyOf": [{"type": "integer", "description": "a day"}, {"type": "null"}]},
            },
        },
    }
    tools = json.dumps(
        [{"type": "function", "function": {"name": "sky", "description": "the sky", "parameters": parameters}}]
    )
    talk = [*TALK[:2], {**RESULT, "content": "[1, 2]"}, {**RESULT, "content": "very warm"}, TALK[3]]
    rows = make(Kind.SFT, [{"messages": talk, "language": "en", "tools": tools}])
    step = Translate(to=["sw"], model="m", checks=(), roles=("user", "tool"), tool_descriptions=True)
    made, bad = gathered(Kind.SFT, step.make(rows, bench({"m": Upper()})))
    row = next(row for row in made if row["lineage"]["makers"])
    assert not bad and [turn["content"] for turn in row["messages"]][2:4] == ["[1, 2]", "VERY WARM"]
    said = row["tools"]
    for text in ("where", "what it is", "a day", "the sky"):
        said = said.replace(f'"{text.upper()}"', f'"{text}"')
    assert json.loads(said) == json.loads(tools) and row["tools"] != tools


def test_a_row_in_another_script_keeps_its_calls(make, bench, gathered):
    talk = [{"role": "user", "content": "नाम क्या है?"}, CALLING, RESULT, {"role": "assistant", "content": "कमल।"}]
    made, _ = gathered(
        Kind.SFT, Romanise().make(make(Kind.SFT, [{"messages": talk, "language": "hi", "tools": TOOLS}]), bench())
    )
    assert made[1]["messages"][1:3] == [CALLING, RESULT] and made[1]["tools"] == TOOLS
    assert made[1]["messages"][0]["content"] == "nāma kyā hai?"


def test_personal_data_in_arguments_and_reasoning_is_replaced(make, bench, gathered):
    arguments = '{"to": "asha@barua.co.ke", "n": 3, "cc": ["asha@barua.co.ke", {"x": "habari"}]}'
    talk = [
        {"role": "user", "content": "Mwandikie asha@barua.co.ke"},
        {"role": "assistant", "content": "", "tool_calls": [call(arguments)], "reasoning": "Ni asha@barua.co.ke."},
        {"role": "tool", "content": "sent to juma@barua.co.ke", "tool_call_id": "c1"},
        {"role": "assistant", "content": "Tayari."},
    ]
    hidden = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [call(arguments)]}]
    rows = make(Kind.SFT, [{"messages": one, "language": "sw"} for one in (talk, hidden, TALK)])
    made, _ = gathered(Kind.SFT, Redact().make(rows, bench()))
    assert "barua.co.ke" not in json.dumps(made)
    one = made[0]["messages"][1]
    assert json.loads(one["tool_calls"][0]["function"]["arguments"]) == {
        "to": "[EMAIL_1]",
        "n": 3,
        "cc": ["[EMAIL_1]", {"x": "habari"}],
    }
    assert one["reasoning"] == "Ni [EMAIL_1]." and made[0]["messages"][2]["content"] == "sent to [EMAIL_2]"
    assert made[2]["messages"] == TALK  # what has nothing to replace stays byte for byte


def test_what_is_not_replaced_in_arguments_stays_as_written(make, bench, gathered):
    written = '{"to":  "juma@barua.co.ke", "n": 12345678901234567890123, "price": 1.10, "a@barua.co.ke": [1e2, null]}'
    talk = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [call(written)]}]
    made, _ = gathered(Kind.SFT, Redact().make(make(Kind.SFT, [{"messages": talk, "language": "sw"}]), bench()))
    arguments = made[0]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert arguments == written.replace("juma@barua.co.ke", "[EMAIL_1]")


def test_calls_have_one_text_whatever_the_order_of_their_arguments():
    one, other = (
        {"role": "assistant", "content": "Ngoja.", "tool_calls": [call(a), call("{oops", "siku")]}
        for a in ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}')
    )
    assert message_text(one) == message_text(other) == 'Ngoja.\nhali_ya_hewa({"a":1,"b":[2]})\nsiku({oops)'


def test_rows_with_other_calls_are_no_duplicates(make):
    def talk(*calls):
        return [{"role": "user", "content": "Hali?"}, {"role": "assistant", "content": "", "tool_calls": list(calls)}]

    talks = [
        talk(call('{"a": 1, "b": 2}')),
        talk(call('{"b":2,"a":1}')),
        talk(call('{"a": 2, "b": 2}')),
        talk(call("{}", "b")),
    ]
    rows = make(Kind.SFT, [{"messages": one, "language": "sw"} for one in talks])
    texts = field_text(Kind.SFT, rows.table, "response", calls=True).to_list()
    assert texts[0] == texts[1] and len(set(texts)) == 3
    summary = Duplicates(method="exact").summarize(rows, None)
    assert len(set(zip(summary["high"].to_pylist(), summary["low"].to_pylist(), strict=True))) == 3
    assert field_text(Kind.SFT, rows.table, "response").to_list() == [""] * 4


def test_judges_see_calls(rows):
    ((prompt, answers, _, _), *_) = contents(rows)
    assert prompt[1] == ("assistant", 'hali_ya_hewa({"mji":"Mombasa"})') and answers == {"answer": "It is warm."}


def test_a_model_is_not_asked_without_the_tools_or_the_images(make, bench, scripted, gathered):
    ask = [{"role": "user", "content": "Nini hiki?"}]
    rows = make(
        Kind.PROMPT,
        [
            {"prompt": ask, "language": "sw", "tools": TOOLS},
            {"prompt": ask, "language": "sw", "images": ["a.png"]},
            {"prompt": TALK[:3], "language": "sw"},
            {"prompt": ask, "language": "sw"},
        ],
    )
    made, bad = gathered(Kind.SFT, Respond(model="m").make(rows, bench({"m": scripted(lambda request: "Sijui.")})))
    assert len(made) == 1 and sorted(row.reason for row in bad) == [
        "a conversation with tool turns cannot be asked again without its tools",
        "it has images, which the model is not shown",
        "it has tools, which the model is not shown",
    ]


def test_reasoning_may_stay_with_the_message(make, bench, scripted, gathered):
    rows = make(Kind.PROMPT, [{"prompt": [{"role": "user", "content": "Ngapi?"}], "language": "sw"}])
    model = scripted(lambda request: Completion("<think>Mbili na mbili</think>Nne.", "stop"))
    made, _ = gathered(Kind.SFT, Respond(model="m", reasoning="message").make(rows, bench({"m": model})))
    assert made[0]["messages"][-1] == {"role": "assistant", "content": "Nne.", "reasoning": "Mbili na mbili"}
    made, _ = gathered(Kind.SFT, Respond(model="m").make(rows, bench({"m": model})))
    assert made[0]["messages"][-1] == {"role": "assistant", "content": "Nne."}


def test_pairs_keep_calls_and_reasoning_of_both_answers(make, bench, gathered):
    prompt = [{"role": "user", "content": "Hali ya hewa?"}]
    other = {**CALLING, "tool_calls": [call('{"mji": "Nairobi"}')]}
    rows = make(
        Kind.SFT,
        [
            {
                "messages": [*prompt, answer],
                "language": "sw",
                "tools": TOOLS,
                "scores": [{"name": "judge", "value": value}],
            }
            for answer, value in ((CALLING, 5.0), (other, 1.0))
        ],
    )
    step = Pair(by="judge")
    made, _ = gathered(step.makes(Kind.SFT), step.gather([rows], bench()))
    assert (made[0]["chosen"], made[0]["rejected"], made[0]["tools"]) == ([CALLING], [other], TOOLS)


def test_an_answer_that_calls_is_not_revised_as_a_text(make, bench, scripted, gathered):
    rows = make(Kind.SFT, [{"messages": TALK[:2], "language": "sw"}])
    step = Revise(model="m", by="none")
    made, bad = gathered(step.makes(Kind.SFT), step.make(rows, bench({"m": scripted(lambda request: "x")})))
    assert not made and [row.reason for row in bad] == ["its answer calls tools, and only texts are revised"]


def test_a_rewritten_answer_keeps_tools_and_earlier_calls(make, bench, scripted, gathered):
    rows = make(Kind.SFT, [{"messages": TALK, "language": "en", "tools": TOOLS}])
    step = Rewrite(model="m", prompt="{conversation}", field="response")
    model = scripted(lambda request: "Joto.")
    made, _ = gathered(Kind.SFT, step.make(rows, bench({"m": model})))
    assert made[0]["messages"][:3] == TALK[:3] and made[0]["messages"][3]["content"] == "Joto."
    assert made[0]["tools"] == TOOLS and plain(rows.table["messages"][0].as_py()) == TALK
    assert 'assistant: hali_ya_hewa({"mji":"Mombasa"})' in model.requests[0].messages[-1][1]


NOTHING_SHOWN = "it has images, which the model is not shown"


def test_no_step_asks_a_model_about_what_it_does_not_see(make, bench, scripted, gathered):
    ask, answer = {"role": "user", "content": "<image> Nini hiki?"}, {"role": "assistant", "content": "Mbuni."}
    rows = make(
        Kind.SFT,
        [
            {"messages": [ask, answer], "language": "sw", "images": ["a.png"], "tools": TOOLS},
            {"messages": [{**ask, "content": "Nani?"}, CALLING], "language": "sw"},
        ],
    )
    steps = [
        (
            Rewrite(model="m", prompt="{response}"),
            [NOTHING_SHOWN, "its response calls tools, and only texts are replaced"],
        ),
        (
            Revise(model="m", by="none"),
            ["it has tools, which the model is not shown", "its answer calls tools, and only texts are revised"],
        ),
        (ToolUse(assistant="m"), [NOTHING_SHOWN, "it has no tools"]),
        (Converse(assistant="m", user="m"), ["it has tools, which the model is not shown"]),
    ]
    for step, reasons in steps:
        model = scripted(lambda request: "Sijui.")
        made, bad = gathered(Kind.SFT, step.make(rows.take([True, len(reasons) > 1]), bench({"m": model})))
        assert not made and not model.requests and [row.reason for row in bad] == reasons, step.tag
    # A rewritten attribute replaces no text, so the call may be read.
    model = scripted(lambda request: "hali ya hewa")
    step = Rewrite(model="m", prompt="{response}", into={"attribute.topic": "answer"})
    ((row,), _) = gathered(Kind.SFT, step.make(rows, bench({"m": model})))
    assert row["attributes"]["rewrite.topic"] == "hali ya hewa" and row["messages"][1] == CALLING
    assert "hali_ya_hewa(" in model.requests[0].messages[-1][1]


def test_judges_and_reward_models_do_not_score_what_they_do_not_see(make, bench, scripted):
    ask, answer = {"role": "user", "content": "Nini?"}, {"role": "assistant", "content": "Mbuni wa Afrika."}
    seen = {"messages": [ask, answer], "language": "sw"}
    rows = make(Kind.SFT, [{**seen, "videos": ["a.mp4"]}, seen, {**seen, "tools": TOOLS}])
    model = scripted(
        lambda request: {"reason": "x", **{key: 4 for key in request.schema["properties"] if key != "reason"}}
    )
    context = bench({"m": model})
    frame = Judge(model="m", method="direct", audit_rows=0, probes=0).score(rows, context, None)
    assert frame["unjudged"].to_list() == ["media", None, None] and frame["score"].is_null().to_list()[0]
    assert all("<video>" not in str(request.messages) for request in model.requests) and len(model.requests) == 1
    assert context.warnings == ["judge: 1 rows have images, audios or videos, which judges are not shown; not judged"]
    context = bench({"m": Length()})
    frame = Reward(model="m").score(rows, context, None)
    assert frame["unassessed"].to_list() == ["media", None, None] and frame["score"].to_list() == [None, 16.0, 16.0]
    assert context.warnings == [
        "reward: rows with images, audios or videos, which the model is not shown, have no score (attribute "
        "'unassessed': media)"
    ]


def test_rows_with_other_media_or_tools_answer_other_prompts(make):
    ask, answer = {"role": "user", "content": "Nini?"}, {"role": "assistant", "content": "Mbuni."}
    beside = [{}, {}, {"images": ["a.png"]}, {"images": ["b.png"]}, {"images": ["b.png"]}, {"tools": TOOLS}]
    rows = make(Kind.SFT, [{"messages": [ask, answer], "language": "sw", **one} for one in beside])
    keys = prompt_keys(rows)
    assert len(set(keys)) == 4 and keys[0] == keys[1] and keys[3] == keys[4]
    assert [one is None for one in question_and_answer(rows)] == [False, False, True, True, True, False]
