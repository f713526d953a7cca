"""What servers answer that is no plain answer: told for what it is, never taken for one, and asked again where that may
help.
"""

from __future__ import annotations

import json

import pytest
from questions import ask, echo, load
from servers.llm import FaultServer, Reply, last_turn, refusal

from curate.errors import ModelError
from curate.models.openai.model import OpenAI
from curate.steps.models import Request, Sampling

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def one(reply, cache=None, request=None, **more):
    """The answer that a server's reply comes to, and how often it was asked."""
    with FaultServer(lambda body, times: reply(body, times) if callable(reply) else reply) as server:
        model = load(server, cache, **more)
        (answer,) = model.generate([request or ask("a")])
        model.close()
        return answer, len(server.calls)


def body(**about) -> Reply:
    return Reply(body=json.dumps(about).encode())


# ---------------------------------------------------------------------------------------------- errors with status 200
@pytest.mark.parametrize("finish", [None, "stop", "error"])
def test_half_an_answer_with_an_error_is_a_failure_and_never_kept(finish, hurry, tmp_path):
    half = Reply("The answer is bl", finish=finish, choice={"error": {"code": 502, "message": "Upstream idle timeout"}})
    answer, calls = one(half, tmp_path)
    assert (answer.finish, answer.transient, answer.text, calls) == ("failed", True, "", 3)
    assert "Upstream idle timeout" in answer.problem
    with FaultServer(echo) as server:
        assert load(server, tmp_path).generate([ask("a")])[0].cached is False


def test_half_an_answer_that_an_older_version_kept_is_asked_again(tmp_path):
    with FaultServer(echo) as server:
        model = load(server, tmp_path)
        question = model._body(ask("a"))
        half = {"choices": [{"message": {"content": "bl"}, "finish_reason": "stop", "error": {"message": "x"}}]}
        model._answers.put({question.key: half})
        assert model.generate([ask("a")])[0].text == "you said a"


@pytest.mark.parametrize(
    ("reply", "finish", "transient", "calls", "said"),
    [
        (
            body(choices=None, error={"message": "Provider returned error", "code": 502}),
            "failed",
            True,
            3,
            "Provider returned error",
        ),
        (body(choices=[], error={"message": "no room", "code": "503"}), "failed", True, 3, "no room"),
        (body(error={"message": "at capacity", "code": "overloaded"}), "failed", True, 3, "at capacity"),
        (
            body(object="error", message="NETWORK ERROR DUE TO HIGH TRAFFIC.", code=50002),
            "failed",
            True,
            1,
            "HIGH TRAFFIC",
        ),
        (
            body(object="error", message="max_tokens is too large", code=40302),
            "failed",
            False,
            1,
            "max_tokens is too large",
        ),
        (body(error={"message": "something odd", "code": "E-17"}), "failed", True, 1, "E-17"),
        (body(error="it broke"), "failed", True, 1, "it broke"),
        (body(error={"message": "bad 'top_k'", "type": "invalid_request_error"}), "failed", False, 1, "bad 'top_k'"),
        (body(error={"message": "flagged", "code": "content_filter"}), "filtered", False, 1, "flagged"),
        (
            body(error={"message": "too long", "code": "context_length_exceeded"}),
            "failed",
            False,
            1,
            "the context is too long",
        ),
    ],
)
def test_an_error_in_place_of_an_answer_is_told_in_the_servers_words(reply, finish, transient, calls, said, hurry):
    answer, times = one(reply)
    assert (answer.finish, answer.transient, times) == (finish, transient, calls)
    assert said in answer.problem and "has no 'choices'" not in answer.problem


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"message": "no", "code": "invalid_api_key"}, "refuses the key"),
        ({"message": "no", "code": "model_not_found"}, "no such model"),
        ({"message": "no", "code": "insufficient_quota"}, "quota"),
    ],
)
def test_what_concerns_every_question_stops_the_line_with_status_200_too(error, said):
    with pytest.raises(ModelError, match=said):
        one(body(error=error))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            refusal(400, "This model's maximum context length is 2048 tokens. However, you requested 3100 tokens."),
            "ContextWindowError",
        ),
        (
            refusal(400, "the request exceeds the available context size", "exceed_context_size_error"),
            "ContextWindowError",
        ),
        (refusal(413, "prompt is too long: 9000 tokens"), "ContextWindowError"),
        (refusal(422, "unknown field 'x'"), "BadRequestError"),
        (refusal(400, "flagged", "content_filter"), "ContentFilterError"),
        (refusal(500, "oops"), "ServerUnavailableError"),
        (Reply(hang=True), "ServerTimeoutError"),
    ],
)
def test_failures_are_told_apart_by_name(reply, error, hurry):
    answer, _ = one(reply, timeout=0.4 if reply.hang else 60, retries=0)
    assert answer.error == error
    assert answer.transient == (error in ("ServerUnavailableError", "ServerTimeoutError"))
    if error == "ContextWindowError":
        assert answer.problem.startswith("the context is too long: HTTP ")


# ------------------------------------------------------------------------------------------- bodies that are no JSON
def test_a_stream_of_events_is_named(hurry):
    stream = Reply(
        headers={"Content-Type": "text/event-stream"},
        body=b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: [DONE]\n\n',
    )
    answer, calls = one(stream)
    assert "sent an event stream" in answer.problem and 'data: {"choices"' in answer.problem
    assert (answer.finish, answer.transient, calls) == ("failed", True, 1)


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/json"])
def test_an_html_page_is_named(kind, hurry):
    page = Reply(headers={"Content-Type": kind}, body=b"<!DOCTYPE html><html><title>Anmeldung</title></html>")
    answer, calls = one(page)
    assert "sent an HTML page" in answer.problem and "Anmeldung" in answer.problem
    assert (answer.finish, answer.transient, calls) == ("failed", True, 3)


# ------------------------------------------------------------------------------------------------------------- endings
@pytest.mark.parametrize("reason", ["", "eos2", "DONE", "<|im_end|>", None])
def test_an_unusual_end_of_a_whole_answer_is_a_remark(reason, tmp_path):
    answer, _ = one(Reply("Ja, das stimmt.", finish=reason), tmp_path)
    assert (answer.finish, answer.text, answer.transient) == ("stop", "Ja, das stimmt.", False)
    [remark] = answer.remarks
    assert "taken as complete" in remark and (reason is None or repr(reason) in remark)
    with FaultServer(echo) as server:
        (again,) = load(server, tmp_path).generate([ask("a")])
        assert again.cached and again.remarks == answer.remarks, "it is kept, and what is odd about it told again"


@pytest.mark.parametrize("reason", ["stop", "length", "eos", "end_turn", "max_tokens", "STOP"])
def test_a_usual_end_is_no_remark(reason):
    assert one(Reply("Ja.", finish=reason))[0].remarks == ()


@pytest.mark.parametrize("reason", ["abort", "error", "cancelled", "insufficient_system_resource"])
def test_an_answer_that_the_server_gave_up_is_asked_again(reason, hurry):
    answer, calls = one(lambda body, times: Reply("half an ans", finish=reason) if times == 1 else Reply("whole"))
    assert (answer.text, calls) == ("whole", 2)


@pytest.mark.parametrize("text", ["", "  \n", None])
def test_an_empty_answer_is_not_kept(text, tmp_path):
    reply = Reply(message={"content": text})
    answer, _ = one(reply, tmp_path)
    assert (answer.text.strip(), answer.finish, answer.transient) == ("", "stop", True)
    with FaultServer(echo) as server:
        assert load(server, tmp_path).generate([ask("a")])[0].text == "you said a"


@pytest.mark.parametrize("finish", ["tool_calls", "stop", "function_call"])
def test_a_tool_call_is_no_answer(finish):
    calls = [{"id": "c", "type": "function", "function": {"name": "farbe", "arguments": "{}"}}]
    answer, _ = one(Reply(message={"content": None, "tool_calls": calls}, finish=finish))
    assert (answer.finish, answer.transient) == ("failed", False) and "calls a tool (farbe)" in answer.problem


# ------------------------------------------------------------------------------------------------------ whose answer
@pytest.mark.parametrize(
    ("told", "served"),
    [("other/tiny.Q2_K.gguf", "other/tiny.Q2_K.gguf"), ("m-2026-01-01", ""), ("/srv/models/m.gguf", "")],
)
def test_another_models_name_is_a_remark_and_goes_with_the_answer(told, served):
    answer, _ = one(Reply(model=told))
    assert answer.served == served
    assert [served in remark for remark in answer.remarks] == ([True] if served else [])


def test_the_name_by_which_a_server_knows_a_model_is_no_other_model():
    assert one(Reply(model="served-name"), served_as="served-name")[0].served == ""
    assert one(Reply(model="m"), served_as="served-name")[0].served == ""


# ------------------------------------------------------------------------------------------------------------ thoughts
@pytest.mark.parametrize(
    "reply",
    [
        Reply("<think>hm</think>Blau."),
        Reply("Blau.\n<think>hm</think>"),
        Reply("Blau.", message={"reasoning_content": "hm"}),
        Reply("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Blau."),
        Reply("[THINK]hm[/THINK]Blau."),
        Reply("<think>hm</think>Blau.", message={"reasoning": "hm"}),
        Reply("◁think▷hm◁/think▷Blau."),
    ],
)
def test_thoughts_are_no_part_of_an_answer(reply):
    answer, _ = one(reply)
    assert answer.text.strip() == "Blau." and set(answer.reasoning.split()) == {"hm"}


@pytest.mark.parametrize(
    "reply",
    [
        Reply("<think>only this</think>"),
        Reply("<think>only this"),
        Reply(message={"content": None, "reasoning_content": "only this"}),
        Reply("<|channel|>analysis<|message|>only this"),
    ],
)
def test_thoughts_alone_are_refused(reply):
    answer, _ = one(reply)
    assert (answer.finish, answer.text, answer.reasoning) == ("invalid", "", "only this")
    assert "thoughts only" in answer.problem and not answer.transient


def test_json_with_marks_in_its_texts_stays_whole():
    said = json.dumps({"a": "<think>x</think>y"})
    answer, _ = one(Reply(said), request=ask("a", schema=SCHEMA))
    assert answer.value == {"a": "<think>x</think>y"}
    answer, _ = one(Reply(f"<think>[1]</think>{said}"), request=ask("a", schema=SCHEMA))
    assert answer.value == {"a": "<think>x</think>y"} and answer.reasoning == "[1]"


# --------------------------------------------------------------------------------------------------------- temperature
def test_a_model_that_refuses_a_temperature_is_sent_none(tmp_path):
    def script(body, times):
        return (
            refusal(400, "`temperature` is deprecated for this model.") if "temperature" in body else echo(body, times)
        )

    with FaultServer(script) as server:
        with pytest.raises(ModelError, match=r"set 'temperature: null' in the model.*is deprecated for this model"):
            load(server).generate([ask("a")])
        assert load(server, temperature=None).generate([ask("a")])[0].ok
        assert load(server).generate([ask("a", sampling=Sampling(temperature=None))])[0].ok
        with pytest.raises(ModelError):
            load(server, temperature=1).generate([ask("b")])
        assert server.calls[-1]["temperature"] == 1


def test_no_temperature_is_another_question_and_another_model(tmp_path):
    def identity(**more):
        return json.dumps(OpenAI(url="http://a", model="m", **more).model_identity())

    assert len({identity(), identity(temperature=None), identity(temperature=0), identity(temperature=1)}) == 4
    with FaultServer(echo) as server:
        model = load(server, tmp_path)
        requests = [Request((("user", "a"),), Sampling(temperature=warmth)) for warmth in (0, None, 1)]
        assert len(model.generate(requests)) == 3 and len(server.calls) == 3
        assert "seed" in server.calls[1] or "seed" in server.calls[2], "without a temperature answers are drawn"


# -------------------------------------------------------------------------------------------------------------- memory
def test_an_endless_body_is_left_before_it_fills_the_memory(hurry):
    with FaultServer(lambda body, times: Reply(endless=True)) as server:
        answers = load(server, retries=5).generate([ask(str(n), sampling=Sampling(max_tokens=100)) for n in range(4)])
        assert {answer.error for answer in answers} == {"AnswerTooLargeError"}
        assert (
            not any(answer.transient for answer in answers)
            and "more than the requested tokens can" in answers[0].problem
        )
        assert len(server.calls) == 4, "it is not tried again"
        assert server.sent < 4 * (8 << 20), "the connection is closed at once, but for what the kernel holds"


def test_a_body_that_says_how_long_it_is_is_not_read_at_all(hurry):
    with FaultServer(lambda body, times: Reply(headers={"Content-Length": str(1 << 40)}, body=b"{")) as server:
        (answer,) = load(server, timeout=10).generate([ask("a")])
    assert answer.error == "AnswerTooLargeError"


def test_many_tokens_and_log_probabilities_need_more():
    tops = [{"token": f"t{n}", "logprob": -1.5, "bytes": list(range(20))} for n in range(20)]
    content = [{"token": "wort", "logprob": -0.5, "bytes": [1, 2], "top_logprobs": tops} for _ in range(1000)]
    long = Reply("wort " * 1000, choice={"logprobs": {"content": content}})
    answer, _ = one(long, request=ask("a", top_logprobs=20, sampling=Sampling(max_tokens=1000)), logprobs=True)
    assert answer.ok and len(answer.logprobs) == 1000
    text = "ภาษาไทย" * 40_000  # in JSON six bytes a character
    answer, _ = one(Reply(text), request=ask("a", sampling=Sampling(max_tokens=100_000)))
    assert answer.text == text


# ------------------------------------------------------------------------------------------------------------- proxies
@pytest.mark.parametrize(
    "proxy", ["socks5://user:geheim99@127.0.0.1:9", "socks4://127.0.0.1:9", "odd://user:geheim99@127.0.0.1:9"]
)
def test_a_proxy_that_cannot_be_used_is_a_sentence(proxy, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", proxy)
    model = OpenAI(url="http://models.example.invalid", model="m").load(cache=None, threads=1)
    with pytest.raises(
        ModelError,
        match=r"the proxy that the environment names cannot be used \(ALL_PROXY=.*NO_PROXY=models.example.invalid",
    ) as caught:
        model.generate([ask("a")])
    assert "geheim99" not in str(caught.value)


def test_asking_anew_takes_the_place_of_the_kept_answer(tmp_path):
    with FaultServer(lambda body, times: Reply(f"{last_turn(body)} {times}")) as server:
        model = load(server, tmp_path)
        assert model.generate([ask("a")])[0].text == model.generate([ask("a")])[0].text == "a 1"
        assert model.generate([ask("a", fresh=True)])[0].text == "a 2"
        model.close()
        assert load(server, tmp_path).generate([ask("a")])[0].text == "a 2" and len(server.calls) == 2
