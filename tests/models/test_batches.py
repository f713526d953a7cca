"""Requests through the providers' batch interfaces end as live ones do, are paid at half the price, and are found again
after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque

import pytest
from questions import KEY, ask, echo
from servers.batches import BatchServer
from servers.llm import Reply, anthropic_error, gemini_error, last_turn, refusal
from test_openai import Purse

from curate.errors import AddressError, AuthenticationError, BudgetError, ModelError, RateLimitError, ServerError
from curate.models.anthropic.batches import AnthropicBatches
from curate.models.anthropic.model import Anthropic
from curate.models.gemini.batches import GeminiBatches
from curate.models.gemini.model import Gemini
from curate.models.openai.batches import OpenAIBatches
from curate.models.openai.model import OpenAI
from curate.steps.models import Request, Sampling

WIRES = {"anthropic": Anthropic, "gemini": Gemini, "openai": OpenAI}
ERRORS = {"anthropic": anthropic_error, "gemini": gemini_error, "openai": refusal}
INTERFACES = {"anthropic": AnthropicBatches, "gemini": GeminiBatches, "openai": OpenAIBatches}
# Equal in all three protocols, and no number is equal to a text.
QUESTIONS = ["What is a river?", "ما هو النهر؟", "नदी क्या है?", "แม่น้ำคืออะไร", "河流是什么？"]


@pytest.fixture(params=sorted(WIRES))
def name(request):
    return request.param


@pytest.fixture
def kind(name):
    return WIRES[name]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch, hurry):
    monkeypatch.setattr("curate.models.endpoint.batch_dispatcher.FIRST_POLL", 0.01)
    monkeypatch.setattr("curate.models.endpoint.batch_dispatcher.LONGEST_POLL", 0.01)


def load(kind, server, cache, **more):
    given = {"model": "m-1", "api_key": KEY, "timeout": 20, "retries": 2, "batch": True, **more}
    return kind(url=server.url, **given).load(cache=cache, threads=1)


def records(cache):
    return sorted((cache / "batches").glob("*.json"))


class Ledger(Purse):
    """A purse that also counts what was paid before."""

    def reserve(self, model, tokens, money, *, paid=False):
        most, self.most = self.most, (float("inf"),) * 3 if paid else self.most
        try:
            return super().reserve(model, tokens, money)
        finally:
            self.most = most


def test_results_out_of_order_reach_their_requests_and_are_cached_as_live_answers(kind, tmp_path):
    requests = [ask(text) for text in [*QUESTIONS, QUESTIONS[0]]]
    with BatchServer(echo) as server:
        model = load(kind, server, tmp_path)
        answers = model.generate(requests)
        assert [answer.text for answer in answers] == [f"you said {last}" for last in [*QUESTIONS, QUESTIONS[0]]]
        assert server.asked_by_batch == [QUESTIONS] and not server.calls, "equal requests are sent once"
        live = load(kind, server, tmp_path, batch=False)
        again = live.generate([*requests, ask("new")])
        assert [answer.cached for answer in again] == [True] * 6 + [False]
        assert [answer.text for answer in again[:6]] == [answer.text for answer in answers]
        assert server.asked == {"new": 1} and len(server.batches) == 1
    assert not records(tmp_path) and (model.spent.calls, model.spent.answers) == (5, 5)
    assert KEY in " ".join(server.sent_headers[0].values())


def test_the_bodies_are_those_of_live_requests(kind, tmp_path):
    request = Request((("user", "a"),), Sampling(max_tokens=7, stop=("x",)))
    with BatchServer(echo) as server:
        load(kind, server, tmp_path / "batch").generate([request])
        load(kind, server, tmp_path / "live", batch=False).generate([request])
    ((_, body),) = server.batches.popitem()[1].requests
    assert body == server.calls[0]


def test_without_a_cache_requests_are_sent_live(kind):
    with BatchServer(echo) as server:
        model = load(kind, server, None)
        assert model.generate([ask("a")])[0].ok and not model.batched
        assert not server.batches and server.asked == {"a": 1}


def test_a_batch_of_a_build_that_stopped_is_collected_and_not_sent_again(name, kind, tmp_path):
    refused = ERRORS[name](401, "no such key", "authentication_error")
    with BatchServer(echo, at_poll=deque([refused])) as server:
        with pytest.raises(AuthenticationError) as caught:
            load(kind, server, tmp_path).generate([ask("a"), ask("b")])
        assert caught.value.model == "m-1@unknown"
        (record,) = records(tmp_path)
        told = record.read_text("utf-8")
        assert set(json.loads(told)) == {"id", "keys", "name", "server", "submitted"}
        assert KEY not in told and '"a"' not in told, "neither secrets nor texts"
        # What is new is sent; what only the old batch asked is cached.
        answers = load(kind, server, tmp_path).generate([ask("c"), ask("b")])
        assert [answer.text for answer in answers] == ["you said c", "you said b"]
        assert server.asked_by_batch == [["a", "b"], ["c"]]
        assert load(kind, server, tmp_path).generate([ask("a")])[0].cached
        assert len(server.batches) == 2 and not records(tmp_path)


def test_a_killed_process_pays_nothing_twice(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from curate.models.openai.model import OpenAI\n"
        "from curate.steps.models import Request\n"
        "model = OpenAI(url=sys.argv[1], model='m-1', batch=True).load(cache=Path(sys.argv[2]), threads=1)\n"
        "model.generate([Request((('user', text),)) for text in ('a', 'b')])\n"
    )
    with BatchServer(echo, polls=10**9) as server:
        process = subprocess.Popen([sys.executable, "-c", script, server.url, str(tmp_path)])
        try:
            deadline = time.monotonic() + 60
            while not server.batches and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        server.wanted.polls = 0
        answers = load(OpenAI, server, tmp_path).generate([ask("a"), ask("b")])
        assert [answer.text for answer in answers] == ["you said a", "you said b"]
        assert server.asked_by_batch == [["a", "b"]] and not records(tmp_path)


def test_one_failed_request_fails_its_row_only(name, kind, tmp_path):
    error = ERRORS[name]

    def script(body, times):
        bad = {"b": error(400, "bad words"), "c": error(500, "trouble", "api_error" if name == "anthropic" else "")}
        return bad.get(last_turn(body)) or echo(body, times)

    with BatchServer(script) as server:
        model = load(kind, server, tmp_path)
        good, bad, trouble = model.generate([ask("a"), ask("b"), ask("c")])
        assert good.text == "you said a"
        assert (bad.finish, bad.error, bad.transient) == ("failed", "BadRequestError", False)
        assert "bad words" in bad.problem and "batch" in bad.problem
        assert (trouble.error, trouble.transient) == ("ServerUnavailableError", True) and "trouble" in trouble.problem
        model.generate([ask("a"), ask("b"), ask("c")])
    assert server.asked_by_batch == [["a", "b", "c"], ["b", "c"]]


def test_requests_that_expired_fail_in_passing_and_the_others_are_kept(kind, tmp_path):
    with BatchServer(echo, state="expired", lost={"b": "expired"}) as server:
        first, second = load(kind, server, tmp_path).generate([ask("a"), ask("b")])
        assert (second.finish, second.error, second.transient) == ("failed", "ServerTimeoutError", True)
        # Of an expired batch Gemini has no results at all.
        assert first.ok is (kind is not Gemini)
        server.wanted.state, server.wanted.lost = "ended", {}
        assert all(answer.ok for answer in load(kind, server, tmp_path).generate([ask("a"), ask("b")]))
    assert server.asked_by_batch[1] == (["a", "b"] if kind is Gemini else ["b"])


def test_requests_of_a_cancelled_batch_fail_in_passing(kind, tmp_path):
    with BatchServer(echo, state="cancelled", lost={"a": "cancelled"}) as server:
        (answer,) = load(kind, server, tmp_path).generate([ask("a")])
    assert (answer.error, answer.transient) == ("ServerError", True) and "cancelled" in answer.problem


def test_a_result_that_is_missing_is_asked_for_by_the_next_build(kind, tmp_path):
    with BatchServer(echo, lost={"b": "missing"}) as server:
        first, second = load(kind, server, tmp_path).generate([ask("a"), ask("b")])
    assert first.ok and (second.finish, second.transient) == ("failed", True) and "have none" in second.problem


def test_lines_that_belong_to_no_request_are_counted_and_said(kind, tmp_path):
    strange = ['{"custom_id": "00", "result": {"type": "expired"}}', "not JSON", "[1]", '{"custom_id": 5}']
    with BatchServer(echo, strange=strange) as server:
        first, second = load(kind, server, tmp_path).generate([ask("a"), ask("b")])
    assert (first.text, second.text) == ("you said a", "you said b")
    (remark,) = set(first.remarks)
    assert remark.startswith("4 results of batch") and remark in second.remarks


def test_a_rate_limit_at_submission_is_waited_for(name, kind, tmp_path):
    slow = ERRORS[name](429, "slow down", "rate_limit_error", retry_after="0")
    with BatchServer(echo, at_submit=deque([slow, slow])) as server:
        assert load(kind, server, tmp_path).generate([ask("a")])[0].ok
        assert len(server.batches) == 1
        server.wanted.at_submit.extend([slow] * 50)
        with pytest.raises(RateLimitError, match="slow down") as caught:
            load(kind, server, tmp_path, deadline=0.05).generate([ask("b")])
        assert caught.value.model == "m-1@unknown"
        assert not records(tmp_path)


def test_a_batch_whose_submission_was_not_answered_is_found_by_the_next_build(kind, tmp_path):
    with BatchServer(echo) as server:
        load(kind, server, tmp_path).generate([ask("another")])
        server.wanted.cut_after = 1
        with pytest.raises(ServerError, match=r"not known whether the server made a batch of 2 requests.*was cut"):
            load(kind, server, tmp_path).generate([ask("a"), ask("b")])
        (record,) = records(tmp_path)
        assert json.loads(record.read_text("utf-8"))["id"] == ""
        answers = load(kind, server, tmp_path).generate([ask("a"), ask("b")])
        assert [answer.text for answer in answers] == ["you said a", "you said b"]
        assert server.asked_by_batch == [["another"], ["a", "b"]] and not records(tmp_path)


class Odd(BatchServer):
    """Lists batches of others too, which are not as its protocol describes them."""

    def other(self, method, path, headers, data):
        reply = super().other(method, path, headers, data)
        if method == "GET" and "?" in path:
            told = json.loads(reply.body)
            counts = {"request_counts": {"processing": 2}}
            odd = [{"metadata": "none", **counts}, {"created_at": "soon", **counts}, 4]
            odd.append({"id": "batch_9", "created_at": "2020-01-01T00:00:00", **counts})
            told = {key: [*odd, *value] if isinstance(value, list) else value for key, value in told.items()}
            return Reply(body=json.dumps(told).encode())
        return reply


def test_other_batches_in_the_list_may_be_of_any_form(kind, tmp_path):
    with Odd(echo, cut_after=1) as server:
        with pytest.raises(ServerError, match="not known"):
            load(kind, server, tmp_path).generate([ask("a"), ask("b")])
        answers = load(kind, server, tmp_path).generate([ask("a"), ask("b")])
        assert [answer.text for answer in answers] == ["you said a", "you said b"] and len(server.batches) == 1


def test_a_batch_that_the_server_never_made_is_submitted_again(kind, tmp_path):
    with BatchServer(echo, at_submit=deque([Reply(body=b"{}", cut=-1)])) as server:
        with pytest.raises(ServerError, match="not known"):
            load(kind, server, tmp_path).generate([ask("a")])
        assert records(tmp_path) and not server.batches
        assert load(kind, server, tmp_path).generate([ask("a")])[0].ok
        assert server.asked_by_batch == [["a"]] and not records(tmp_path)


def test_trouble_while_waiting_is_tried_again(name, kind, tmp_path):
    busy = ERRORS[name](503, "busy", "overloaded_error")
    with BatchServer(echo, at_poll=deque([busy, busy])) as server:
        assert load(kind, server, tmp_path).generate([ask("a")])[0].ok
    assert len(server.batches) == 1


@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_trouble_while_results_come_is_tried_again_from_their_beginning(name, kind, tmp_path):
    line = json.dumps({"custom_id": "0" * 32, "result": {"type": "expired"}}).encode() + b"\n"
    faults = deque([Reply(body=line * 3, cut=len(line) + 5), Reply(hang=True), Reply(status=503, body=b"{}")])
    with BatchServer(echo, at_results=faults) as server:
        answers = load(kind, server, tmp_path, timeout=0.5, retries=3).generate([ask("a"), ask("b")])
        assert [answer.text for answer in answers] == ["you said a", "you said b"]
        assert not answers[0].remarks and not faults and len(server.batches) == 1
        assert {one["accept"] for one in server.sent_headers[-2:]} == {"*/*"}


@pytest.mark.parametrize("name", ["gemini", "openai"])
def test_a_batch_that_is_refused_stops_the_build_with_the_reason(name, tmp_path):
    with BatchServer(echo, state="failed") as server:
        with pytest.raises(ModelError, match=r"none of it was charged.*the model is not one for batches"):
            load(WIRES[name], server, tmp_path).generate([ask("a")])
        assert not records(tmp_path)


def test_a_batch_that_the_server_does_not_have_is_an_error_with_its_file(kind, tmp_path):
    with BatchServer(echo, polls=10**9) as server:
        server.wanted.at_poll.append(Reply(status=401, body=b"{}"))
        with pytest.raises(AuthenticationError):
            load(kind, server, tmp_path).generate([ask("a")])
        server.batches.clear()
        (record,) = records(tmp_path)
        with pytest.raises(AddressError, match="build again") as caught:
            load(kind, server, tmp_path).generate([ask("a")])
        assert str(record) in str(caught.value)
        record.unlink()
        server.wanted.polls = 0
        assert load(kind, server, tmp_path).generate([ask("a")])[0].ok


def test_a_damaged_record_is_an_error_with_its_file(tmp_path):
    with BatchServer(echo, at_poll=deque([Reply(status=401, body=b"{}")])) as server:
        with pytest.raises(AuthenticationError):
            load(OpenAI, server, tmp_path).generate([ask("a")])
        (record,) = records(tmp_path)
        record.write_bytes(record.read_bytes()[:20])
        with pytest.raises(ModelError, match="is damaged") as caught:
            load(OpenAI, server, tmp_path).generate([ask("a")])
        assert str(record) in str(caught.value) and len(server.batches) == 1


def test_a_server_without_the_interface_is_named(tmp_path):
    gone = Reply(status=404, body=b'{"error": {"message": "no such path"}}')
    with (
        BatchServer(echo, at_submit=deque([gone])) as server,
        pytest.raises(AddressError, match="has this server a batch interface"),
    ):
        load(OpenAI, server, tmp_path).generate([ask("a")])


def test_limits_of_the_provider_split_batches(name, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(INTERFACES[name], "most_requests", 2)
    with BatchServer(echo) as server:
        answers = load(kind, server, tmp_path).generate([ask(str(number)) for number in range(5)])
        assert [answer.text for answer in answers] == [f"you said {number}" for number in range(5)]
        assert server.asked_by_batch == [["0", "1"], ["2", "3"], ["4"]]
        monkeypatch.setattr(INTERFACES[name], "most_requests", 100)
        monkeypatch.setattr(INTERFACES[name], "most_bytes", 3_000)
        texts = ["a" * 1_000, "b" * 1_000, "c" * 1_000, "d" * 9_000]
        *good, large = load(kind, server, tmp_path).generate([ask(text) for text in texts])
        assert all(answer.ok for answer in good)
        assert server.asked_by_batch[3:] == [[text] for text in texts[:3]]
        assert (large.error, large.transient) == ("ContextWindowError", False) and "too large" in large.problem


def test_half_the_price_is_paid(kind, tmp_path):
    ledger = Ledger()
    with BatchServer(echo) as server:
        model = load(kind, server, tmp_path, price={"input": 3, "output": 15, "cached": 1})
        model.set_budget(ledger)
        model.generate([ask("a"), ask("b")])
    assert ledger.spent == [2, 30, pytest.approx(2 * 0.000105 / 2)] and not ledger.open


def test_the_budget_is_used_up_in_several_batches_and_never_exceeded(kind, tmp_path):
    request = [Request((("user", str(number)),), Sampling(max_tokens=50)) for number in range(10)]
    ledger = Ledger(tokens=300)  # two calls are reserved at a time, and each costs 15
    with BatchServer(echo) as server:
        model = load(kind, server, tmp_path)
        model.set_budget(ledger)
        assert all(answer.ok for answer in model.generate(request))
        assert len(server.batches) > 1 and ledger.spent[:2] == [10, 150]
        with pytest.raises(BudgetError):
            model.generate([Request((("user", "x" * 500),), Sampling(max_tokens=500))])
        assert len(server.asked_by_batch[-1]) < 10 and not ledger.open


def test_what_a_killed_build_asked_is_counted_whatever_the_budget_is(name, kind, tmp_path):
    refused = ERRORS[name](401, "no", "authentication_error")
    with BatchServer(echo, at_poll=deque([refused])) as server:
        with pytest.raises(AuthenticationError):
            load(kind, server, tmp_path).generate([ask("a"), ask("b")])
        model, ledger = load(kind, server, tmp_path), Ledger(calls=1)
        model.set_budget(ledger)
        assert model.generate([ask("a")])[0].ok
    assert ledger.spent[:2] == [2, 30], "also the request that nobody asks for now"


def test_many_failures_stop_the_build_after_the_answers_are_kept(name, kind, tmp_path):
    def script(body, times):
        return echo(body, times) if int(last_turn(body)) < 5 else ERRORS[name](400, f"bad {last_turn(body)}")

    with BatchServer(script) as server:
        with pytest.raises(ModelError, match=r"35 of the 40 requests of batch .* failed"):
            load(kind, server, tmp_path).generate([ask(str(number)) for number in range(40)])
        assert not records(tmp_path)
        assert all(answer.cached for answer in load(kind, server, tmp_path).generate([ask(str(n)) for n in range(5)]))


def test_the_parameter_changes_no_identity(kind):
    assert (
        kind(url="http://a", model="m").model_identity() == kind(url="http://a", model="m", batch=True).model_identity()
    )


def test_prompts_have_no_logprobs_in_a_batch():
    with pytest.raises(ValueError, match="exclude each other"):
        OpenAI(url="http://a", model="m", batch=True, prompt_logprobs=True)
