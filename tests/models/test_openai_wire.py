"""Requests become bodies and raw answers become answers, without a server."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ModelError
from curate.models.endpoint.wire import MalformedAnswer
from curate.models.generation.logprobs import LEAST_LOGPROB
from curate.models.openai.replies import check_shape, read_reply
from curate.models.openai.wire import OpenAIWire, RequestOptions, build_request
from curate.steps.models import Request, Sampling

HELLO = (("user", "Hello"),)
VLLM = RequestOptions("m")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


def chat(content, finish="stop", **more):
    return {
        "choices": [{"message": {"role": "assistant", "content": content, **more}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }


def read(raw, request=None, options=VLLM):
    request = request or Request(HELLO)
    check_shape("chat", raw)
    return OpenAIWire(options).parse(build_request(request, options), raw, request)


def test_the_plain_body_is_the_protocol_and_nothing_more():
    body = build_request(Request((("system", "Be brief."), ("user", "Hi"))), VLLM).body
    assert body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "temperature": 0.0,
        "max_tokens": 1024,
    }


def test_every_sampling_parameter_goes_by_the_name_its_server_knows():
    sampling = Sampling(
        temperature=0.7,
        top_p=0.9,
        top_k=40,
        min_p=0.05,
        max_tokens=5,
        stop=("\n",),
        presence_penalty=0.1,
        frequency_penalty=0.2,
        repetition_penalty=1.1,
    )
    request = Request(HELLO, sampling)
    vllm = dict(build_request(request, VLLM).body)
    llamacpp = dict(build_request(request, RequestOptions("m", dialect="llamacpp")).body)
    assert vllm.pop("repetition_penalty") == llamacpp.pop("repeat_penalty") == 1.1
    assert vllm == llamacpp
    assert vllm["stop"] == ["\n"] and vllm["top_k"] == 40 and vllm["min_p"] == 0.05
    with pytest.raises(ModelError, match="top_k"):
        build_request(request, RequestOptions("m", dialect="openai"))
    assert build_request(Request(HELLO), RequestOptions("m", max_tokens_field="max_completion_tokens")).body[
        "max_completion_tokens"
    ]


def test_seeds_differ_by_sample_question_and_seed_and_are_left_out_at_temperature_0():
    def seed(request, options=VLLM):
        return build_request(request, options).body.get("seed")

    warm = Sampling(temperature=1)
    seeds = [
        seed(Request(HELLO, warm)),
        seed(Request(HELLO, warm, sample=1)),
        seed(Request((("user", "Hullo"),), warm)),
        seed(Request(HELLO, Sampling(temperature=1, seed=1))),
    ]
    assert len(set(seeds)) == 4 and all(0 <= one < 2**31 for one in seeds)
    assert seed(Request(HELLO, warm)) == seeds[0]
    assert seed(Request(HELLO)) is None
    assert seed(Request(HELLO, warm), RequestOptions("m", seeds=False)) is None


def test_the_key_is_all_that_is_asked_but_the_servers_name_for_the_model():
    base = Request(HELLO)
    key = build_request(base, VLLM).key
    assert build_request(base, RequestOptions("alias")).key == key
    assert build_request(Request(HELLO, row="other row"), VLLM).key == key
    others = [
        Request(HELLO, sample=1),
        Request((("user", "Hello "),)),
        Request((("system", "Hello"),)),
        Request(HELLO, Sampling(max_tokens=5)),
        Request(HELLO, schema=SCHEMA),
        Request(HELLO, top_logprobs=1),
    ]
    keys = {build_request(one, VLLM).key for one in others} | {
        build_request(base, RequestOptions("m", extra_body={"x": 1})).key,
        build_request(Request((("user", "a"), ("assistant", "b")), prompt_logprobs=True), VLLM).key,
        build_request(Request((("user", "a"), ("assistant", "b"))), VLLM).key,
    }
    assert len(keys) == 9 and key not in keys


def test_a_schema_is_asked_for_in_the_way_the_catalog_says():
    request = Request((("system", "s"), ("user", "u")), schema=SCHEMA)
    formats = {
        way: build_request(request, RequestOptions("m", structured=way)).body
        for way in ("json_schema", "json_object", "prompt", "none")
    }
    assert formats["json_schema"]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert formats["json_object"]["response_format"] == {"type": "json_object"}
    assert "response_format" not in formats["prompt"] and "response_format" not in formats["none"]
    for way, told in (("json_schema", False), ("json_object", True), ("prompt", True), ("none", False)):
        assert (json.dumps(SCHEMA, separators=(",", ":")) in formats[way]["messages"][1]["content"]) is told


def test_strict_schemas_are_promised_to_openai_only_where_it_takes_them():
    def strict(schema):
        body = build_request(Request(HELLO, schema=schema), RequestOptions("m", dialect="openai")).body
        return body["response_format"]["json_schema"]["strict"]

    assert strict(SCHEMA) is True
    assert strict({**SCHEMA, "required": []}) is False
    assert strict({"type": "array", "items": {"type": "object", "properties": {"b": {}}}}) is False


def test_system_turns_go_into_the_next_user_turn_where_the_template_has_none():
    request = Request((("system", "Be brief."), ("user", "Hi"), ("assistant", "Yes?"), ("user", "Go")))
    turns = build_request(request, RequestOptions("m", system_role=False)).body["messages"]
    assert turns[0] == {"role": "user", "content": "Be brief.\n\nHi"}
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]


def test_an_assistant_turn_is_continued():
    request = Request((("user", "Count"), ("assistant", "One, two,")))
    body = build_request(request, VLLM).body
    assert body["continue_final_message"] is True and body["add_generation_prompt"] is False
    assert read(chat(" three"), request).text == " three"
    llamacpp = RequestOptions("m", dialect="llamacpp")
    assert "continue_final_message" not in build_request(request, llamacpp).body
    assert read(chat("One, two, three"), request, llamacpp).text == " three"
    with pytest.raises(ModelError, match="continues no assistant turn"):
        build_request(request, RequestOptions("m", dialect="openai"))


@given(
    st.lists(
        st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(st.characters())), min_size=1, max_size=4
    )
)
def test_any_text_can_be_asked(messages):
    question = build_request(Request(tuple(messages)), VLLM)
    told = json.loads(question.data)["messages"]
    assert [turn["role"] for turn in told] == [role for role, _ in messages]
    assert [len(turn["content"]) for turn in told] == [len(content) for _, content in messages]


def test_nothing_to_ask_is_an_error():
    with pytest.raises(ModelError, match="row r7 has no messages"):
        build_request(Request((), row="r7"), VLLM)


# ------------------------------------------------------------------------------------------------------------- answers
def test_an_answer_is_read():
    answer = read(chat("Good day."))
    assert (answer.text, answer.finish, answer.prompt_tokens, answer.completion_tokens) == ("Good day.", "stop", 7, 3)


@pytest.mark.parametrize(
    ("raw", "finish", "kept"),
    [
        (chat("x"), "stop", True),
        (chat("x", "eos_token"), "stop", True),
        (chat("x", None), "stop", True),
        (chat("x", "length"), "length", True),
        (chat("x", "content_filter"), "filtered", False),
        (chat(None, "stop", refusal="I cannot help with that."), "filtered", False),
        (chat("x", "tool_calls"), "failed", False),
    ],
)
def test_how_it_ended_decides_what_is_kept(raw, finish, kept):
    assert read_reply("chat", raw).finish == finish
    assert read_reply("chat", raw).cacheable is kept
    assert read(raw).finish == finish


def test_a_refusal_is_told():
    assert read(chat(None, refusal="I cannot help with that.")).problem == "I cannot help with that."


def test_a_cut_off_answer_is_not_checked_against_the_schema():
    answer = read(chat('{"a": 1', "length"), Request(HELLO, schema=SCHEMA))
    assert (answer.finish, answer.value, answer.problem) == ("length", None, "")


def test_the_schema_is_checked_whatever_the_server_promised():
    request = Request(HELLO, schema=SCHEMA)
    good, bad = read(chat('{"a": 1}'), request), read(chat('{"a": "one"}'), request)
    assert (good.finish, good.value) == ("stop", {"a": 1})
    assert (bad.finish, bad.value, bad.text) == ("invalid", None, '{"a": "one"}')
    assert "a: 'one' is not of type 'integer'" in bad.problem
    assert read(chat(""), request).finish == "invalid"


@pytest.mark.parametrize(
    ("raw", "text", "reasoning"),
    [
        (chat("Yes.", reasoning_content="Let me see."), "Yes.", "Let me see."),
        (chat("Yes.", reasoning="Let me see."), "Yes.", "Let me see."),
        (chat("<think>\nLet me see.\n</think>\n\nYes."), "Yes.", "Let me see."),
        (chat("Let me see.</think>Yes."), "Yes.", "Let me see."),
        (chat("<think>never ends", "length"), "", "never ends"),
        (chat("Use <think> tags. </think>"), "Use <think> tags. </think>", ""),
        (chat([{"type": "text", "text": "Y"}, {"type": "image"}, {"type": "text", "text": "es."}]), "Yes.", ""),
        (chat(None, "length", reasoning_content="hm"), "", "hm"),
    ],
)
def test_thoughts_are_no_part_of_the_answer(raw, text, reasoning):
    answer = read(raw)
    assert (answer.text, answer.reasoning) == (text, reasoning)


def test_thoughts_stay_where_the_catalog_says_so():
    assert read(chat("<think>a</think>b"), options=RequestOptions("m", reasoning="keep")).text == "<think>a</think>b"


def test_logprobs_of_both_forms():
    request = Request(HELLO, top_logprobs=2)
    raw = chat("Yes")
    raw["choices"][0]["logprobs"] = {
        "content": [
            {
                "token": "Yes",
                "logprob": -0.1,
                "top_logprobs": [{"token": "No", "logprob": -3.0}, {"token": "Yes", "logprob": -0.1}],
            },
            {"token": "", "logprob": None},
        ]
    }
    first, second = read(raw, request).logprobs
    assert first.top == (("Yes", -0.1), ("No", -3.0))
    assert second.logprob == LEAST_LOGPROB
    raw["choices"][0]["logprobs"] = {
        "tokens": ["Yes"],
        "token_logprobs": [-0.1],
        "top_logprobs": [{"No": -3.0, "Yes": -0.1}],
    }
    assert read(raw, request).logprobs == (first,)
    assert read(chat("Yes"), request).finish == "failed"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "x",
        5,
        {},
        {"choices": []},
        {"choices": [5]},
        {"choices": [{}]},
        {"choices": [{"message": "x"}]},
        {"choices": [{"message": {"content": 5}}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": 3}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]},
        {"choices": [{"message": {"content": "x"}}], "usage": 3},
    ],
)
def test_other_shapes_are_malformed(raw):
    with pytest.raises(MalformedAnswer):
        check_shape("chat", raw)


LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "message",
                    "content",
                    "finish_reason",
                    "usage",
                    "logprobs",
                    "text",
                    "top_logprobs",
                    "token",
                    "prompt_tokens",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(LOOSE, LOOSE, LOOSE)
def test_whatever_has_the_shape_can_be_read(logprobs, message, usage):
    raw = {"choices": [{"message": message, "logprobs": logprobs, "finish_reason": "stop"}], "usage": usage}
    request = Request(HELLO, top_logprobs=1, schema=SCHEMA)
    try:
        check_shape("chat", raw)
    except MalformedAnswer:
        return
    OpenAIWire(VLLM).parse(build_request(request, VLLM), raw, request)


def test_prompt_logprobs_are_those_of_the_last_turn():
    request = Request((("user", "Say"), ("assistant", "a cat")), prompt_logprobs=True)
    question = build_request(request, VLLM)
    assert question.kind == "score"
    choice = {
        "text": "",
        "logprobs": {
            "tokens": ["<s>", "Say", "\n", "a", " cat", "!"],
            "token_logprobs": [None, -1.0, -2.0, -3.0, -4.0, -5.0],
        },
    }
    raw = {"scored": {"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}, "start": 3}
    answer = OpenAIWire(VLLM).parse(question, raw, request)
    assert [(one.token, one.logprob) for one in answer.logprobs] == [("a", -3.0), (" cat", -4.0)]
    by_text = OpenAIWire(VLLM).parse(question, {**raw, "start": None}, request)
    assert by_text.logprobs == answer.logprobs
