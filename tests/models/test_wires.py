"""Anthropic's and Gemini's protocols have the same engine room as OpenAI's: whatever a server does in any of them ends
in an answer, a failure of one request, or the end of the line."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from questions import KEY, ask, echo
from servers.llm import FaultServer, Reply, anthropic_error, gemini_error, last_turn

from curate.errors import (
    AddressError,
    AuthenticationError,
    BudgetError,
    ModelError,
    QuotaExceededError,
    RateLimitError,
)
from curate.models.anthropic.model import Anthropic
from curate.models.gemini.model import Gemini
from curate.models.openai.model import OpenAI
from curate.steps.models import Request, Sampling

WIRES = {"anthropic": Anthropic, "gemini": Gemini}
ERRORS = {"anthropic": anthropic_error, "gemini": gemini_error}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def load(kind, server, cache=None, **more):
    given = {"model": "m-1", "concurrency": 8, "start_concurrency": 8, "timeout": 20, "retries": 2, **more}
    return kind(url=server.url, **given).load(cache=cache, threads=1)


@pytest.fixture(params=sorted(WIRES))
def name(request):
    return request.param


@pytest.fixture
def kind(name):
    return WIRES[name]


@pytest.fixture
def error(name):
    return ERRORS[name]


def test_a_question_is_answered_and_the_answer_kept(kind, tmp_path):
    with FaultServer(echo) as server:
        model = load(kind, server, tmp_path, api_key=KEY)
        first = model.generate([ask("a"), ask("b"), ask("a")])
        again = load(kind, server, tmp_path).generate([ask("a"), ask("b")])
    assert [answer.text for answer in first] == ["you said a", "you said b", "you said a"]
    assert all(answer.cached for answer in again) and server.asked == {"a": 1, "b": 1}
    assert (first[0].prompt_tokens, first[0].completion_tokens, first[0].served) == (10, 5, "")


def test_headers_and_paths_are_those_of_the_protocol():
    with FaultServer(echo) as server:
        load(Anthropic, server, api_key=KEY, served_as="claude-x").generate([ask("a")])
        load(Gemini, server, api_key=KEY).generate([ask("a")])
        load(Gemini, server, model="tunedModels/mine").generate([ask("a")])
    claude, gemini = server.headers[:2]
    assert server.paths == [
        "/v1/messages",
        "/v1beta/models/m-1:generateContent",
        "/v1beta/tunedModels/mine:generateContent",
    ]
    assert claude["x-api-key"] == gemini["x-goog-api-key"] == KEY and claude["anthropic-version"] == "2023-06-01"
    with FaultServer(echo) as newer:
        load(Anthropic, newer, headers={"anthropic-version": "2026-10-21"}).generate([ask("a")])
    assert newer.headers[0]["anthropic-version"] == "2026-10-21"
    assert "authorization" not in claude and "key=" not in server.paths[1]
    assert server.calls[0]["model"] == "claude-x"


def test_the_key_may_be_named_by_its_variable(kind, monkeypatch):
    monkeypatch.setenv("T_KEY", KEY)
    with FaultServer(echo) as server:
        assert load(kind, server, api_key_env="T_KEY").generate([ask("a")])[0].ok
        assert KEY in server.headers[0].values()
        monkeypatch.delenv("T_KEY")
        with pytest.raises(AuthenticationError, match=r"'T_KEY'.*is not set"):
            load(kind, server, api_key_env="T_KEY")
    with pytest.raises(ValueError, match="two places for one key"):
        kind(model="m", api_key="x", api_key_env="T_KEY")


def test_answers_of_different_protocols_never_mix(tmp_path):
    with FaultServer(lambda body, times: Reply("by " + ("c" if "contents" in body else "m"))) as server:
        for model in (Anthropic, Gemini, OpenAI, Anthropic, Gemini, OpenAI):
            (answer,) = load(model, server, tmp_path).generate([ask("a")])
            assert answer.text == ("by c" if model is Gemini else "by m")
        assert len(server.calls) == 3
    identities = {
        json.dumps(model(url="http://a", model="m").model_identity()) for model in (Anthropic, Gemini, OpenAI)
    }
    assert len(identities) == 3


def once(fault):
    return lambda body, times: fault if times == 1 else Reply(f"you said {last_turn(body)}")


TRANSIENT = {
    "anthropic": [
        anthropic_error(429, "slow down", "rate_limit_error"),
        anthropic_error(500, "internal", "api_error"),
        anthropic_error(504, "timed out", "timeout_error"),
        anthropic_error(529, "Overloaded", "overloaded_error"),
        Reply(body=b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'),
        Reply(body=b'{"type": "message", "content": "text"}'),
        Reply(body=b'{"type": "message", "content": [5]}'),
        Reply(body=b'{"type": "message", "content": [], "stop_reason": 3}'),
    ],
    "gemini": [
        gemini_error(429, "Resource has been exhausted", "RESOURCE_EXHAUSTED"),
        gemini_error(500, "internal", "INTERNAL"),
        gemini_error(503, "The model is overloaded", "UNAVAILABLE"),
        gemini_error(504, "deadline", "DEADLINE_EXCEEDED"),
        Reply(status=503, body=b'[{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}]'),
        Reply(body=b'{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}'),
        Reply(body=b'{"candidates": []}'),
        Reply(body=b'{"candidates": [{"content": {"parts": "x"}}]}'),
        Reply(body=b'{"candidates": [{"content": {"parts": []}, "finishReason": "MALFORMED_RESPONSE"}]}'),
    ],
}
BROKEN = [
    Reply(status=502, body=b"<html>nginx</html>"),
    Reply(hang=True),
    Reply(cut=-1),
    Reply(cut=10),
    Reply(body=b""),
    Reply(body=b"[1, 2]"),
    Reply(body=b"\xff\xfe"),
    Reply(body=b'"text"'),
    Reply(headers={"Content-Encoding": "gzip"}),
]


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    ("name", "fault"),
    [(name, fault) for name in WIRES for fault in TRANSIENT[name] + BROKEN],
    ids=lambda one: str(one)[:40],
)
def test_trouble_that_passes_is_tried_again(name, fault):
    with FaultServer(once(fault)) as server:
        answers = load(WIRES[name], server, timeout=0.7 if fault.hang or fault.trickle else 60).generate(
            [ask("a"), ask("b")]
        )
        assert [answer.text for answer in answers] == ["you said a", "you said b"]
        assert server.asked == {"a": 2, "b": 2}


FINAL = [
    ("anthropic", anthropic_error(401, f"invalid x-api-key {KEY}", "authentication_error"), AuthenticationError),
    ("anthropic", anthropic_error(403, "not allowed", "permission_error"), AuthenticationError),
    ("anthropic", anthropic_error(402, "pay", "billing_error"), QuotaExceededError),
    ("anthropic", anthropic_error(400, "Your credit balance is too low to access the API"), QuotaExceededError),
    ("anthropic", anthropic_error(400, "You have reached your specified API usage limits."), QuotaExceededError),
    (
        "anthropic",
        Reply(
            status=429,
            body=b'{"type": "error", "error": {"type": "rate_limit_error", "message": "m", "details": '
            b'{"error_code": "enforced_spend_limit_reached"}}}',
        ),
        QuotaExceededError,
    ),
    ("anthropic", anthropic_error(404, "model: m-1", "not_found_error"), AddressError),
    ("anthropic", Reply(status=405, body=b""), AddressError),
    ("anthropic", Reply(status=301, headers={"Location": "https://elsewhere/v1"}, body=b""), AddressError),
    ("anthropic", anthropic_error(400, "`temperature` is deprecated for this model."), ModelError),
    ("anthropic", anthropic_error(400, "temperature: Extra inputs are not permitted"), ModelError),
    ("anthropic", anthropic_error(400, "This model does not support assistant message prefill."), ModelError),
    ("anthropic", Reply(body=b'{"type": "error", "error": {"type": "authentication_error"}}'), AuthenticationError),
    (
        "gemini",
        gemini_error(
            400,
            f"API key not valid. {KEY}",
            "INVALID_ARGUMENT",
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
        ),
        AuthenticationError,
    ),
    ("gemini", gemini_error(401, "no credentials", "UNAUTHENTICATED"), AuthenticationError),
    ("gemini", gemini_error(403, "no", "PERMISSION_DENIED"), AuthenticationError),
    ("gemini", gemini_error(400, "User location is not supported", "FAILED_PRECONDITION"), AuthenticationError),
    (
        "gemini",
        gemini_error(
            429,
            "You exceeded your current quota",
            "RESOURCE_EXHAUSTED",
            {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
        ),
        QuotaExceededError,
    ),
    ("gemini", gemini_error(404, "models/m-1 is not found", "NOT_FOUND"), AddressError),
    (
        "gemini",
        Reply(body=b'{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}'),
        AuthenticationError,
    ),
]


@pytest.mark.parametrize(("name", "reply", "expected"), FINAL)
def test_what_concerns_every_question_stops_the_line(name, reply, expected):
    with FaultServer(lambda body, times: reply) as server:
        model = load(WIRES[name], server, api_key=KEY, concurrency=2, start_concurrency=2)
        with pytest.raises(expected) as caught:
            model.generate([ask(str(number)) for number in range(50)])
        assert type(caught.value) is expected and caught.value.model == "m-1@unknown"
        assert len(server.calls) <= 4
        assert KEY not in str(caught.value) and KEY not in repr(caught.value)


def test_what_to_do_about_a_refused_temperature_is_told():
    refused = anthropic_error(400, "`temperature` is deprecated for this model.")
    with FaultServer(lambda body, times: refused if "temperature" in body else Reply()) as server:
        with pytest.raises(ModelError, match="set 'temperature: null' in the model"):
            load(Anthropic, server).generate([ask("a")])
        assert load(Anthropic, server, temperature=None).generate([ask("a")])[0].ok
    both = anthropic_error(400, "`temperature` and `top_p` cannot both be specified for this model.")
    told = "or 'top_p: null' in 'sampling'"
    with FaultServer(lambda body, times: both) as server, pytest.raises(ModelError, match=told):
        load(Anthropic, server).generate([ask("a")])


ALONE = [
    ("anthropic", anthropic_error(400, "messages: bad"), "BadRequestError", "failed"),
    (
        "anthropic",
        anthropic_error(413, "Request exceeds the maximum size", "request_too_large"),
        "ContextWindowError",
        "failed",
    ),
    ("anthropic", anthropic_error(400, "prompt is too long: 9 tokens > 8 maximum"), "ContextWindowError", "failed"),
    (
        "anthropic",
        anthropic_error(400, "input length and `max_tokens` exceed context limit: 9 + 9 > 10"),
        "ContextWindowError",
        "failed",
    ),
    ("gemini", gemini_error(400, "Invalid value at 'contents'"), "BadRequestError", "failed"),
    (
        "gemini",
        gemini_error(400, "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        "ContextWindowError",
        "failed",
    ),
    ("anthropic", Reply("x", finish="refusal"), "ContentFilterError", "filtered"),
    ("gemini", Reply("x", finish="SAFETY"), "ContentFilterError", "filtered"),
    ("gemini", Reply(body=b'{"promptFeedback": {"blockReason": "SAFETY"}}'), "ContentFilterError", "filtered"),
    ("gemini", Reply("", finish="OTHER"), "BadRequestError", "failed"),
    ("gemini", Reply("", finish="MALFORMED_FUNCTION_CALL"), "BadRequestError", "failed"),
]


@pytest.mark.parametrize(("name", "reply", "expected", "finish"), ALONE)
def test_a_refused_question_fails_alone_and_is_not_kept(name, reply, expected, finish, tmp_path):
    with FaultServer(lambda body, times: reply if last_turn(body) == "bad" else echo(body, times)) as server:
        model = load(WIRES[name], server, tmp_path)
        answers = model.generate([ask("a"), ask("bad"), ask("b")])
        assert [answer.finish for answer in answers] == ["stop", finish, "stop"]
        assert answers[1].error == expected and answers[1].problem
        model.generate([ask("bad")])
        assert server.asked == {"a": 1, "bad": 2, "b": 1}


def test_retry_after_is_heeded_wherever_it_stands(hurry):
    waits = [
        (Anthropic, lambda: anthropic_error(429, "wait", "rate_limit_error", retry_after="0.3"), 0.3),
        (
            Anthropic,
            lambda: anthropic_error(
                429,
                "wait",
                "rate_limit_error",
                **{
                    "anthropic-ratelimit-requests-remaining": "0",
                    "anthropic-ratelimit-requests-reset": (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat(),
                    "anthropic-ratelimit-tokens-remaining": "5",
                    "anthropic-ratelimit-tokens-reset": "2100-01-01T00:00:00Z",
                },
            ),
            0.4,
        ),
        (
            Gemini,
            lambda: gemini_error(
                429,
                "wait",
                "RESOURCE_EXHAUSTED",
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.4s"},
            ),
            0.4,
        ),
    ]
    for model, reply, least in waits:
        with FaultServer(lambda body, times, reply=reply: reply() if times == 1 else Reply("fine")) as server:
            assert load(model, server, retries=0).generate([ask("a")])[0].ok
            assert least <= server.times[1] - server.times[0]


def test_a_limit_that_lasts_is_a_failure_of_its_class(kind, error, name):
    code = "rate_limit_error" if name == "anthropic" else "RESOURCE_EXHAUSTED"
    with FaultServer(lambda body, times: error(429, "later", code, retry_after="60")) as server:
        begun = time.monotonic()
        (answer,) = load(kind, server, deadline=1).generate([ask("a")])
    assert (answer.error, answer.transient) == (RateLimitError.__name__, True)
    assert time.monotonic() - begun < 50  # it was told to come back in 60


def test_a_storm_of_failures_stops_the_line(kind, error):
    with FaultServer(lambda body, times: error(400, f"bad number {last_turn(body)}")) as server:
        with pytest.raises(ModelError, match=r"requests failed for good.*bad number"):
            load(kind, server).generate([ask(str(number)) for number in range(200)])
        assert 20 <= len(server.calls) <= 40


def test_tokens_are_paid_for(kind):
    class Ledger:
        def __init__(self, most):
            self.most, self.spent = most, []

        def reserve(self, model, tokens, money):
            if len(self.spent) >= self.most:
                raise BudgetError("spent")
            return 1

        def settle(self, number, prompt, completion, money):
            self.spent.append((prompt, completion, round(money, 9)))

    with FaultServer(echo) as server:
        model = load(kind, server, price={"input": 3, "output": 15})
        ledger = Ledger(2)
        model.set_budget(ledger)
        model.generate([ask("a"), ask("b")])
        with pytest.raises(BudgetError):
            model.generate([ask("c")])
    assert ledger.spent == [(10, 5, 0.000105)] * 2


def test_another_models_name_is_told(kind):
    with FaultServer(lambda body, times: Reply(model="m-1-20260101" if last_turn(body) == "a" else "other")) as server:
        same, other = load(kind, server).generate([ask("a"), ask("b")])
    assert (same.served, other.served) == ("", "other") and "reports 'other'" in other.remarks[0]


def test_a_schema_is_checked_whatever_the_server_promised(kind):
    with FaultServer(lambda body, times: Reply('{"a": 1}' if last_turn(body) == "a" else '{"a": "x"}')) as server:
        good, bad = load(kind, server).generate([ask("a", schema=SCHEMA), ask("b", schema=SCHEMA)])
    assert (good.finish, good.value, bad.finish) == ("stop", {"a": 1}, "invalid")


@pytest.mark.parametrize(
    ("model", "sampling", "told"),
    [
        (Anthropic, {"min_p": 0.1}, "'min_p' is unknown"),
        (Anthropic, {"presence_penalty": 1}, "'presence_penalty' is unknown"),
        (Anthropic, {"temperature": 1.5}, "0 to 1"),
        (Anthropic, {"seed": 3}, "no seed"),
        (Anthropic, {"stop": ["\n"]}, "whitespace only"),
        (Gemini, {"repetition_penalty": 1.1}, "'repetition_penalty' is unknown"),
        (Gemini, {"temperature": 2.5}, "0 to 2"),
        (Gemini, {"stop": list("abcdef")}, "up to 5"),
    ],
)
def test_what_a_protocol_does_not_take_is_told_before_anything_is_sent(model, sampling, told):
    given = Sampling(**sampling)
    (problem,) = model(model="m").request_problems(given)
    assert told in problem
    with FaultServer(echo) as server:
        with pytest.raises(ModelError, match=told):
            load(model, server).generate([ask("a", sampling=given)])
        assert not server.calls


def test_log_probabilities_and_prefixes_are_refused_where_there_are_none(kind):
    assert kind(model="m").request_problems(Sampling(), top_logprobs=1)
    with FaultServer(echo) as server:
        with pytest.raises(ModelError, match="log-probabilities"):
            load(kind, server).generate([ask("a", top_logprobs=1)])
        with pytest.raises(ModelError, match="log-probabilities of a prompt"):
            load(kind, server).generate([Request((("user", "a"), ("assistant", "b")), prompt_logprobs=True)])
        with pytest.raises(ModelError, match="assistant turn"):
            load(kind, server).generate([Request((("user", "a"), ("assistant", "b")))])
    assert not server.calls
