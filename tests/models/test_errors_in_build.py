"""What goes wrong with a model server reaches whoever calls ``curate.build`` as a class of its own, also out of a
worker process.
"""

from __future__ import annotations

import errno
import json
import socket
from pathlib import Path

import pytest
import yaml
from servers.llm import FaultServer, Reply, refusal

import curate
from curate.engine.store.store import Store
from curate.errors import CurateError, ModelError, RequestError, from_record, to_record

KEY = "sk-very-secret-key-0123456789"


@pytest.fixture
def catalog(tmp_path):
    """Writes a catalog whose only step asks the server for an answer to each of so many prompts."""

    def write(url: str, *, rows: int = 24, workers: int = 2, budget=None, **model) -> Path:
        lines = (json.dumps({"prompt": f"Name river {number}."}) + "\n" for number in range(rows))
        (tmp_path / "prompts.jsonl").write_text("".join(lines), "utf-8")
        server = {"use": "openai", "url": url, "model": "tests/m", "revision": "1", "api_key": KEY, "retries": 0}
        source = {"use": "jsonl", "path": "prompts.jsonl", "kind": "prompt", "language": "en", "license": "CC0-1.0"}
        text = {
            "version": 1,
            "models": {"m": {**server, **model}},
            "sources": {"prompts": {**source, "columns": {"prompt": "{prompt}"}}},
            "datasets": {"answers": {"from": "prompts", "steps": [{"respond": {"model": "m"}}]}},
            "run": {"workers": workers},
            **({"budget": budget} if budget else {}),
        }
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(text), "utf-8")
        return tmp_path / "catalog.yaml"

    return write


def failure_of(path: Path) -> CurateError:
    with pytest.raises(curate.BuildError, match=r"answers/respond|respond' failed") as caught:
        curate.build(path)
    assert KEY not in str(caught.value)
    return caught.value


SLOW = refusal(429, "slow down", Retry_After="0.6")
LONG = refusal(400, "This model's maximum context length is 2048 tokens", "context_length_exceeded")
CASES = {
    "401": (refusal(401, "wrong key"), {}, curate.AuthenticationError, 401, "refuses the key"),
    "quota": (refusal(429, "pay", "insufficient_quota"), {}, curate.QuotaExceededError, 429, "the quota is used up"),
    "429": (SLOW, {"deadline": 0.5}, curate.RateLimitError, 429, "requests failed for good.*slow down"),
    "context": (LONG, {}, curate.ContextWindowError, 400, "maximum context length is 2048"),
    "503": (refusal(503, "loading"), {}, curate.ServerUnavailableError, 503, "HTTP 503.*loading"),
    "late": (Reply(hang=True), {"timeout": 0.5}, curate.ServerTimeoutError, None, r"no answer within 0\.5 s"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_worker_raises_the_class(case, catalog):
    reply, model, kind, status, message = CASES[case]
    with FaultServer(lambda body, times: reply) as server:
        error = failure_of(catalog(server.url, **model))
    assert type(error) is kind and isinstance(error, ModelError)
    assert (error.model, error.status) == ("tests/m@1", status)
    assert getattr(error, "retry_after", None) == (0.6 if kind is curate.RateLimitError else None)
    with pytest.raises(kind, match=message):
        raise error


def test_nobody_there_is_unavailable(catalog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        path = catalog(f"http://127.0.0.1:{taken.getsockname()[1]}")
        error = failure_of(path)
    assert isinstance(error, curate.ServerUnavailableError)
    assert "is the server running" in str(error) and error.model == "tests/m@1"


def test_the_inline_executor_raises_it_too(catalog):
    with FaultServer(lambda body, times: refusal(403, "forbidden")) as server:
        error = failure_of(catalog(server.url, workers=1, rows=2))
    assert type(error) is curate.AuthenticationError and error.status == 403


def test_too_few_rows_to_stop_early_raise_it_at_the_end_of_the_step(catalog):
    with FaultServer(lambda body, times: LONG) as server:
        error = failure_of(catalog(server.url, workers=1, rows=3))
    assert type(error) is curate.ContextWindowError
    assert "failed on 3 of 3 rows" in str(error)


def test_rows_that_fail_in_different_ways_are_a_build_error(catalog):
    replies = {"0": LONG, "1": refusal(422, "unknown field"), "2": Reply("")}

    def script(body, times):
        return replies[body["messages"][-1]["content"].split()[-1].strip(".")]

    with FaultServer(script) as server:
        error = failure_of(catalog(server.url, workers=1, rows=3))
    assert type(error) is curate.BuildError


def test_a_spent_budget_is_a_budget_error(catalog):
    with FaultServer() as server:
        error = failure_of(catalog(server.url, workers=1, rows=3, budget={"calls": 1}))
    assert type(error) is curate.BudgetError
    assert "the budget of 1 calls does not allow another call" in str(error)


@pytest.mark.parametrize("place", ["worker", "planner"])
def test_a_full_disk_is_named(place, catalog, monkeypatch):
    commit = Store.commit

    def full(self, final, fill, *, name="result.json", **more):
        if (name == "result.json") == (place == "worker"):
            raise OSError(errno.ENOSPC, "No space left on device", str(final))
        return commit(self, final, fill, name=name, **more)

    monkeypatch.setattr(Store, "commit", full)
    with FaultServer() as server, pytest.raises(curate.DiskFullError, match="No space left on device") as caught:
        curate.build(catalog(server.url, workers=1, rows=3))
    assert isinstance(caught.value, curate.StoreError) and "Traceback" not in str(caught.value)


def test_answers_that_a_full_disk_cannot_keep_are_named(catalog, monkeypatch):
    import sqlite3

    from curate.models.cache.responses import AnswerCache

    def full(self, answers, replace=()):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(AnswerCache, "put", full)
    with FaultServer() as server, pytest.raises(curate.DiskFullError, match=r"answers cannot be kept.*free some space"):
        curate.build(catalog(server.url, workers=1, rows=3))


class Plugin(curate.RateLimitError):
    """As a plug-in defines one."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Plugin("later", retry_after=2.5), curate.RateLimitError),
        (RequestError("no"), RequestError),
        (curate.SourceError("no"), curate.SourceError),
        (curate.QueryError("raised in a step, where it stops no build as such"), curate.BuildError),
        (ValueError("a bug"), curate.BuildError),
        (OSError(errno.ENOSPC, "full"), curate.DiskFullError),
    ],
)
def test_an_error_survives_json(error, kind):
    again = from_record(json.loads(json.dumps(to_record(error))), "dataset/step: later")
    assert type(again) is kind and str(again) == "dataset/step: later"
    assert getattr(again, "retry_after", None) == getattr(error, "retry_after", None)
