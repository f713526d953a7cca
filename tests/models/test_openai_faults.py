"""Whatever a server does, each question ends: in an answer, in a failure of its own, or in the end of the line; and
soon.
"""

from __future__ import annotations

import _thread
import json
import signal
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from questions import KEY, ask, echo, load
from servers.llm import FaultServer, Reply, last_turn, refusal

from curate.errors import ModelError
from curate.models.openai.model import OpenAI

TRUNCATED = json.dumps({"choices": [{"message": {"content": "hello"}}]}).encode()[:-9]


def once(fault):
    """The first time each question gets the fault, then an answer."""
    return lambda body, times: fault if times == 1 else Reply(f"you said {last_turn(body)}")


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize(
    "fault",
    [
        refusal(500, "oops"),
        refusal(502, "bad gateway"),
        refusal(503, "loading model"),
        refusal(529, "overloaded"),
        refusal(408, "timeout"),
        refusal(409, "conflict"),
        refusal(425, "too early"),
        refusal(429, "slow down"),
        Reply(status=503, body=b"<html>nginx</html>"),
        Reply(hang=True),
        Reply(trickle=0.05),
        Reply(cut=-1),
        Reply(cut=0),
        Reply(cut=40),
        Reply(body=TRUNCATED),
        Reply(body=b""),
        Reply(body=b"\xff\xfe\x00garbage"),
        Reply(body=b"[1, 2]"),
        Reply(body=b"[" * 5000),
        Reply(body=b'{"choices": []}'),
        Reply(body=b'{"choices": [{"message": {"content": 7}}]}'),
        Reply(body=b'{"error": {"message": "upstream died", "code": 502}}'),
        Reply(headers={"Content-Encoding": "gzip"}),
        Reply(finish="abort"),
    ],
    ids=lambda reply: (
        f"{reply.status}{'-hang' if reply.hang else ''}{'-trickle' if reply.trickle else ''}"
        f"{'' if reply.cut is None else f'-cut{reply.cut}'}-{(reply.body or b'')[:12]!r}"
    ),
)
def test_trouble_that_passes_is_tried_again(fault):
    with FaultServer(once(fault)) as server:
        answers = load(server, timeout=0.7 if fault.hang or fault.trickle else 60).generate(
            [ask("a"), ask("b"), ask("c")]
        )
        assert [answer.text for answer in answers] == ["you said a", "you said b", "you said c"]
        assert server.asked == {"a": 2, "b": 2, "c": 2}


@pytest.mark.usefixtures("hurry")
def test_trouble_that_does_not_pass_is_a_failure_of_that_question():
    def script(body, times):
        return refusal(500, "I hate this one") if last_turn(body) == "bad" else echo(body, times)

    with FaultServer(script) as server:
        answers = load(server).generate([ask("a"), ask("bad"), ask("b")])
        assert [answer.finish for answer in answers] == ["stop", "failed", "stop"]
        assert "I hate this one" in answers[1].problem and "tried 3 times" in answers[1].problem
        assert server.asked == {"a": 1, "bad": 3, "b": 1}


@pytest.mark.parametrize("status", [400, 413, 422, 501])
def test_a_refused_question_fails_alone_and_at_once(status, tmp_path):
    def script(body, times):
        return refusal(status, "the context is 4096 tokens") if last_turn(body) == "long" else echo(body, times)

    with FaultServer(script) as server:
        model = load(server, tmp_path)
        answers = model.generate([ask("a"), ask("long"), ask("b")])
        assert [answer.finish for answer in answers] == ["stop", "failed", "stop"]
        assert "4096 tokens" in answers[1].problem
        model.generate([ask("long")])
        assert server.asked == {"a": 1, "long": 2, "b": 1}, "a failure is no answer, and is not kept"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (refusal(401, f"Incorrect API key provided: {KEY}"), "refuses the key"),
        (refusal(403, "forbidden"), "refuses the key"),
        (refusal(402, "pay"), "quota"),
        (refusal(429, "You exceeded your current quota", "insufficient_quota"), "quota"),
        (refusal(404, "The model `m` does not exist"), "no such model"),
        (refusal(405, "method not allowed"), "no address of an OpenAI"),
        (Reply(status=301, headers={"Location": "https://elsewhere/v1"}, body=b""), "elsewhere"),
        (Reply(body=json.dumps({"error": {"code": 401, "message": f"bad {KEY}"}}).encode()), "refuses the key"),
    ],
)
def test_what_concerns_every_question_stops_the_line(reply, told):
    with FaultServer(lambda body, times: reply) as server:
        model = load(server, api_key=KEY, concurrency=2, start_concurrency=2)
        with pytest.raises(ModelError, match=told) as caught:
            model.generate([ask(str(number)) for number in range(50)])
        assert len(server.calls) <= 4
        assert KEY not in str(caught.value) and KEY not in repr(caught.value)


def test_retry_after_is_heeded_by_everybody(hurry):
    def script(body, times):
        return refusal(429, "wait", Retry_After="0.6") if len(server.calls) == 1 else Reply()

    with FaultServer(script) as server:
        model = load(server, concurrency=1)
        assert all(answer.ok for answer in model.generate([ask(str(number)) for number in range(5)]))
        assert server.times[1] - server.times[0] >= 0.6


def test_retry_after_may_be_a_date(hurry):
    def script(body, times):
        when = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        return refusal(503, "wait", Retry_After=when) if times == 1 else Reply()

    with FaultServer(script) as server:
        assert load(server, retries=0).generate([ask("a")])[0].ok
        assert 0.9 <= server.times[1] - server.times[0] <= 4


def test_being_told_to_come_later_uses_up_no_retries(hurry):
    with FaultServer(lambda body, times: Reply() if times > 8 else refusal(429, "later")) as server:
        assert load(server, retries=1).generate([ask("a")])[0].ok
        assert len(server.calls) == 9


def test_patience_has_an_end():
    with FaultServer(lambda body, times: refusal(429, "later", Retry_After="60")) as server:
        begun = time.monotonic()
        (answer,) = load(server, deadline=2).generate([ask("a")])
        assert answer.finish == "failed" and time.monotonic() - begun < 50  # it was told to come back in 60
        assert len(server.calls) == 1


def test_a_server_that_complains_is_asked_less_at_once(hurry):
    bears = 4

    def script(body, times):
        return refusal(429, "too many") if server._now > bears else Reply(delay=0.01)

    with FaultServer(script) as server:
        model = load(server, concurrency=32, start_concurrency=32)
        assert all(answer.ok for answer in model.generate([ask(str(number)) for number in range(150)]))
        complaints = len(server.calls) - 150
    assert complaints < 100


def test_a_storm_of_failures_stops_the_line():
    def script(body, times):
        return refusal(400, f"bad request number {last_turn(body)}")

    with FaultServer(script) as server:
        with pytest.raises(ModelError, match=r"requests failed for good.*'max_failed'.*bad request number") as caught:
            load(server).generate([ask(str(number)) for number in range(500)])
        assert 20 <= len(server.calls) <= 40
        assert str(caught.value).count("bad request number") == 3


def test_some_failures_are_no_storm():
    def script(body, times):
        return refusal(400, "no") if int(last_turn(body)) % 3 == 0 else Reply()

    with FaultServer(script) as server:
        answers = load(server).generate([ask(str(number)) for number in range(120)])
        assert sum(answer.finish == "failed" for answer in answers) == 40
        with pytest.raises(ModelError, match="max_failed"):
            load(server, max_failed=0.1).generate([ask(str(number)) for number in range(120)])


def test_a_storm_is_forgotten_when_asked_again():
    with FaultServer(lambda body, times: refusal(400, "no")) as server:
        model = load(server)
        with pytest.raises(ModelError):
            model.generate([ask(str(number)) for number in range(100)])
        server.script = echo
        assert model.generate([ask("a")])[0].ok


def test_answers_under_way_when_the_line_stops_are_kept(tmp_path):
    def script(body, times):
        return refusal(401, "no") if last_turn(body) == "3" else Reply(delay=0.3)

    with FaultServer(script) as server:
        model = load(server, tmp_path)
        with pytest.raises(ModelError):
            model.generate([ask(str(number)) for number in range(8)])
        assert len(server.calls) == 8
        server.script = echo
        answers = model.generate([ask(str(number)) for number in range(8)])
        assert [answer.cached for answer in answers] == [number != 3 for number in range(8)]


def test_nobody_there_is_told(hurry):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    model = OpenAI(url=f"http://127.0.0.1:{port}", model="m", retries=1).load(cache=None, threads=1)
    with pytest.raises(ModelError, match="is the server running"):
        model.generate([ask("a")])


def test_a_server_that_is_restarted_is_found_again(hurry, tmp_path):
    with FaultServer(echo) as server:
        model = load(server, tmp_path, retries=50)
        assert model.generate([ask("a")])[0].ok
    again = FaultServer(echo)
    again.port = server.port
    waiter = threading.Timer(0.2, again.__enter__)
    waiter.start()
    try:
        assert model.generate([ask("b")])[0].ok
    finally:
        waiter.join()
        again.__exit__()


@pytest.fixture
def interruptible():
    """In a job in the background, shells turn Ctrl-C off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_it_promptly_and_keeps_what_was_answered(tmp_path):
    def script(body, times):
        return Reply() if int(last_turn(body)) < 4 else Reply(hang=True)

    with FaultServer(script) as server:
        model = load(server, tmp_path, timeout=60)
        timer = threading.Timer(0.8, _thread.interrupt_main)
        timer.start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            model.generate([ask(str(number)) for number in range(8)])
        timer.join()
        assert time.monotonic() - begun < 50  # the servers answer in 60, if at all
        known = model.generate([ask(str(number)) for number in range(4)])
        assert all(answer.cached for answer in known)


def test_an_error_of_the_caller_ends_it_too():
    def done(count):
        raise ZeroDivisionError

    with FaultServer(lambda body, times: Reply(hang=last_turn(body) != "0")) as server:
        model = load(server, timeout=60)
        begun = time.monotonic()
        with pytest.raises(ZeroDivisionError):
            model.generate([ask(str(number)) for number in range(4)], done)
        assert time.monotonic() - begun < 50  # the servers answer in 60, if at all
        # What was cut off does not stay under way: the same question can be asked anew.
        server.script = echo
        assert model.generate([ask("1")])[0].ok


def test_a_body_without_end_is_given_up(monkeypatch, hurry):
    monkeypatch.setattr("curate.models.endpoint.http.LARGEST_ANSWER", 1 << 20)
    with FaultServer(lambda body, times: Reply("x" * (2 << 20))) as server:
        (answer,) = load(server, retries=0).generate([ask("a")])
    assert answer.finish == "failed" and "more than 1 MiB" in answer.problem


@pytest.mark.parametrize(
    "reply", [refusal(400, "flagged", "content_filter"), refusal(403, "Your input was flagged by moderation")]
)
def test_a_question_whose_content_is_refused_is_withheld_and_no_storm(reply):
    with FaultServer(lambda body, times: reply) as server:
        answers = load(server).generate([ask(str(number)) for number in range(60)])
    assert {answer.finish for answer in answers} == {"filtered"}
    assert "flagged" in answers[0].problem


def test_retry_after_may_be_milliseconds(hurry):
    with FaultServer(
        lambda body, times: refusal(429, "wait", retry_after_ms="400") if times == 1 else Reply()
    ) as server:
        assert load(server).generate([ask("a")])[0].ok
        assert 0.4 <= server.times[1] - server.times[0] < 3


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (
            "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is"
            " supported.",
            "temperature: null",
        ),
        ("Unsupported parameter: 'temperature' is not supported with this model.", "temperature: null"),
        ("Unsupported parameter: 'max_tokens' is not supported with this model.", "max_completion_tokens"),
        ("`top_p` is deprecated for this model.", "'top_p: null' in 'sampling'"),
        ("Unsupported parameter: 'seed'", "seeds: false"),
    ],
)
def test_a_parameter_that_the_model_does_not_take_stops_the_build_and_is_named(message, remedy):
    with FaultServer(lambda body, times: refusal(400, message, "unsupported_value")) as server:
        with pytest.raises(ModelError, match=remedy) as caught:
            load(server, concurrency=1).generate([ask(str(number)) for number in range(5)])
        assert type(caught.value) is ModelError and message in str(caught.value) and len(server.calls) == 1


@pytest.mark.parametrize("message", ["'temperature' must be at most 2", "Unsupported value: 'banana'", "temperature?"])
def test_another_refusal_that_names_a_parameter_fails_its_request(message):
    with FaultServer(lambda body, times: refusal(400, message, "invalid_value")) as server:
        assert load(server).generate([ask("a")])[0].error == "BadRequestError"
