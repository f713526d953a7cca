"""Catalogs with Anthropic's and Gemini's models are checked, built, built again from cache, and fail by class."""

from __future__ import annotations

import json

import pytest
import yaml
from servers.batches import BatchServer
from servers.llm import FaultServer, Reply, anthropic_error, gemini_error, last_turn

import curate
from curate.engine.planning.check import check_catalog
from curate.steps import Registry

WIRES = ("anthropic", "gemini")


@pytest.fixture
def catalog(tmp_path):
    """Writes a catalog whose only step asks the server for an answer to each of so many prompts."""

    def write(use, url, *, rows=6, workers=1, respond=None, **model):
        lines = (json.dumps({"prompt": f"Name river {number}."}) + "\n" for number in range(rows))
        (tmp_path / "prompts.jsonl").write_text("".join(lines), "utf-8")
        source = {"use": "jsonl", "path": "prompts.jsonl", "kind": "prompt", "language": "en", "license": "CC0-1.0"}
        text = {
            "version": 1,
            "models": {"m": {"use": use, "url": url, "model": "m-1", "revision": "1", "retries": 0, **model}},
            "sources": {"prompts": {**source, "columns": {"prompt": "{prompt}"}}},
            "datasets": {"answers": {"from": "prompts", "steps": [{"respond": {"model": "m", **(respond or {})}}]}},
            "run": {"workers": workers},
        }
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(text), "utf-8")
        return tmp_path / "catalog.yaml"

    return write


def answer(body, times):
    """A whole answer with thoughts, in the form of the protocol of the call."""
    said = f"The Rhine, to {last_turn(body)[-8:].strip()}"
    if "contents" in body:
        return Reply(choice={"content": {"parts": [{"text": "Hm.", "thought": True}, {"text": said}]}}, model="m-1-001")
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
    return Reply(choice={"content": [thinking, {"type": "text", "text": said}]}, model="m-1-001")


@pytest.mark.parametrize("use", WIRES)
def test_a_build_answers_and_the_next_asks_nothing(use, catalog):
    with FaultServer(answer) as server:
        path = catalog(use, server.url, respond={"reasoning": "message"}, api_key="sk-0123456789abcdef")
        curate.build(path)
        assert len(server.calls) == 6
        rows = curate.query("SELECT * FROM answers", catalog=path).to_dicts()
        last = [row["messages"][-1] for row in rows]
        assert {turn["reasoning"] for turn in last} == {"Hm."}
        assert {turn["content"] for turn in last} == {f"The Rhine, to river {number}." for number in range(6)}
        assert {maker["model"] for row in rows for maker in row["lineage"]["makers"]} == {"m-1@1"}
        curate.build(catalog(use, server.url, respond={"reasoning": "message", "strip": False}))
        assert len(server.calls) == 6, "the answers are kept, whatever is made of them"


def test_a_build_by_batch_makes_the_rows_of_a_live_one(catalog):
    price = {"price": {"input": 1000, "output": 1000}}
    with BatchServer(answer, polls=0) as server:
        plan = curate.plan(catalog("openai", server.url, batch=True, **price))
        assert "answers/respond: make, waits for the step before it; new; model 'm' is asked by batch" in str(plan)
        (made,) = curate.build(catalog("openai", server.url, batch=True, **price))
        assert [len(batch) for batch in server.asked_by_batch] == [6] and not server.calls
        (spent,) = made.spending
        assert (spent["calls"], spent["money"]) == (6, pytest.approx(6 * 15 * 1000 / 1e6 / 2))
        (live,) = curate.build(catalog("openai", server.url, batch=False))
        assert live.version == made.version and not server.calls
        assert "batch" not in str(curate.plan(catalog("openai", server.url, batch=True)))


def test_all_rows_of_a_shard_are_asked_in_one_batch(catalog):
    """A step is given 512 conversations at once otherwise."""
    with BatchServer(answer, polls=0) as server:
        path = catalog("anthropic", server.url, rows=520, batch=True)
        text = yaml.safe_load(path.read_text("utf-8"))
        text["datasets"]["answers"]["steps"] = [{"converse": {"assistant": "m", "user": "m", "rounds": 1}}]
        path.write_text(yaml.safe_dump(text), "utf-8")
        curate.build(path)
        assert [len(batch) for batch in server.asked_by_batch] == [520] and not server.calls


@pytest.mark.parametrize("use", WIRES)
def test_a_worker_raises_the_class(use, catalog):
    refusals = {
        "anthropic": [
            (anthropic_error(401, "invalid x-api-key", "authentication_error"), curate.AuthenticationError),
            (anthropic_error(400, "Your credit balance is too low"), curate.QuotaExceededError),
            (anthropic_error(400, "prompt is too long: 9 > 8"), curate.ContextWindowError),
            (anthropic_error(529, "Overloaded", "overloaded_error"), curate.ServerUnavailableError),
        ],
        "gemini": [
            (gemini_error(400, "API key not valid. Please pass a valid API key."), curate.AuthenticationError),
            (gemini_error(400, "The input token count (9) exceeds the maximum number (8)"), curate.ContextWindowError),
            (gemini_error(503, "overloaded", "UNAVAILABLE"), curate.ServerUnavailableError),
            (gemini_error(504, "late", "DEADLINE_EXCEEDED"), curate.ServerTimeoutError),
        ],
    }
    for number, (reply, kind) in enumerate(refusals[use]):
        with FaultServer(lambda body, times, reply=reply: reply) as server, pytest.raises(curate.BuildError) as caught:
            # The first in a process of its own; how an error comes out of one does not depend on the protocol.
            curate.build(catalog(use, server.url, rows=24, workers=1 if number else 2))
        assert type(caught.value) is kind and caught.value.model == "m-1@1"


@pytest.mark.parametrize(
    ("use", "respond", "told"),
    [
        ("anthropic", {"sampling": {"min_p": 0.1}}, "'min_p' is unknown to Anthropic"),
        ("anthropic", {"sampling": {"temperature": 1.2}}, "temperature of 0 to 1"),
        ("anthropic", {"sampling": {"seed": 4}}, "no seed"),
        ("anthropic", {"logprob": True}, "no log-probabilities"),
        ("gemini", {"sampling": {"repetition_penalty": 1.1}}, "'repetition_penalty' is unknown to Gemini"),
        ("gemini", {"logprob": True}, "set 'logprobs: true'"),
    ],
)
def test_what_the_protocol_does_not_take_is_found_by_a_check(use, respond, told, catalog):
    found = check_catalog(
        curate.load_catalog(catalog(use, "http://127.0.0.1:1", respond=respond)), Registry.installed()
    )
    (problem,) = found.problems
    assert told in problem.message and "the model 'm'" in problem.message


@pytest.mark.parametrize("use", WIRES)
def test_what_it_takes_is_no_problem(use, catalog):
    more = {"logprobs": True} if use == "gemini" else {}
    respond = {"sampling": {"temperature": 0.7, "top_k": 5}, "logprob": use == "gemini"}
    path = catalog(use, "http://127.0.0.1:1", respond=respond, **more)
    assert not check_catalog(curate.load_catalog(path), Registry.installed()).problems


def test_each_model_of_a_step_is_checked_with_its_own_sampling(catalog):
    path = catalog("anthropic", "http://127.0.0.1:1")
    text = yaml.safe_load(path.read_text("utf-8"))
    converse = {"assistant": "m", "user": "m", "user_sampling": {"temperature": 1.5}}
    text["datasets"]["answers"]["steps"] = [{"converse": converse}]
    path.write_text(yaml.safe_dump(text), "utf-8")
    (problem,) = check_catalog(curate.load_catalog(path), Registry.installed()).problems
    assert "user: the model 'm'" in problem.message and "not 1.5" in problem.message
