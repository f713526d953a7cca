"""What was lost because a server was in trouble is asked again by the next build, and nothing else is, unless somebody
says so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from servers.llm import FaultServer, Reply, refusal
from typer.testing import CliRunner

import curate

WORDS = ["river", "मौसम", "天気", "سؤال", "ช้าง", "дорога", "nyumba", "שיר"]
LOST = (2, 5)
"""The rows whose answers are lost."""


def row_of(body) -> int:
    """Which row a question is about: its number stands behind ``Nr``."""
    return int(re.search(r"Nr(\d+)", json.dumps(body["messages"]))[1])


def answer(body) -> str:
    """What a sound server says to any of the steps."""
    number = row_of(body)
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {}).get("properties", {})
    if "translations" in schema:
        return json.dumps({"translations": [f"Satz {n} {number}" for n in range(schema["translations"]["minItems"])]})
    if "items" in schema:
        return json.dumps(
            {"items": [{"instruction": f"Wie geht {WORDS[number]} Nr{number} mit {WORDS[-1 - number]} {number**3}?"}]}
        )
    if "critique" in schema:
        return json.dumps({"critique": f"Es fehlt etwas in Nr{number}.", "flawed": True})
    if "reason" in schema:
        names = [name for name in schema if name != "reason"]
        return json.dumps({"reason": f"So ist Nr{number}.", **dict.fromkeys(names, 3)})
    return f"Über {WORDS[number]}: Nr{number}."


STEPS = {
    "respond": {"respond": {"model": "m", "max_error_rate": 1.0}},
    "rewrite": {
        "rewrite": {"model": "m", "prompt": "Neu: {prompt}", "into": {"prompt": "answer"}, "max_error_rate": 1.0}
    },
    "translate": {"translate": {"to": "de", "model": "m", "checks": [], "max_error_rate": 1.0}},
    "instruct": {
        "instruct": {
            "model": "m",
            "method": "personas",
            "personas": "people",
            "languages": ["de"],
            "seeds": 0,
            "max_failed": 1.0,
            "max_error_rate": 1.0,
        }
    },
}
FAULTS = {
    "500": refusal(500, "oops"),
    "cut": Reply(cut=40),
    "garbled": Reply(body=b"{"),
    "no choices": Reply(body=b'{"choices": null}'),
    "half": Reply("Über", choice={"error": {"code": 502, "message": "idle"}}),
    "empty": Reply(""),
    "page": Reply(body=b"<html>busy</html>"),
    "given up": Reply("Üb", finish="abort"),
    "late": Reply(hang=True),
    "later": refusal(429, "later", Retry_After="1.2"),
}


@pytest.fixture
def house(tmp_path):
    rows = [{"prompt": f"{word} Nr{n}?", "text": f"Ich mag {word} Nr{n}."} for n, word in enumerate(WORDS)]
    for folder in (tmp_path, tmp_path / "clean"):
        folder.mkdir(exist_ok=True)
        (folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")

    def write(server: FaultServer, steps, folder: Path = tmp_path, source=None, **more) -> Path:
        model = {
            "use": "openai",
            "url": server.url,
            "model": "tests/m",
            "revision": "1",
            "retries": 0,
            "timeout": 60,
            "deadline": 1,
            **more,
        }
        shared = {"use": "jsonl", "path": "rows.jsonl", "language": "und", "license": "CC0-1.0"}
        catalog = {
            "version": 1,
            "models": {"m": model, "k": {**model, "model": "tests/k"}},
            "sources": {
                "rows": {**shared, "kind": "prompt", "columns": {"prompt": "{prompt}"}, **(source or {})},
                "people": {**shared, "kind": "document", "columns": {"text": "{text}"}},
            },
            "datasets": {"made": {"from": "rows", "steps": steps}},
            "run": {"workers": 1},
        }
        (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, allow_unicode=True, sort_keys=False), "utf-8")
        return folder / "catalog.yaml"

    return write


def sound(house, tmp_path, steps, **more) -> str:
    """The version that a build comes to whose server is never in trouble."""
    with FaultServer(lambda body, times: Reply(answer(body))) as server:
        [built] = curate.build(house(server, steps, tmp_path / "clean", **more), "made")
    return built.version


class Trouble:
    """A server that is in trouble at some rows until it is well."""

    def __init__(self, fault: Reply, rows=LOST) -> None:
        self.fault, self.rows = fault, rows
        self.well = False

    def __call__(self, body, times) -> Reply:
        return self.fault if not self.well and row_of(body) in self.rows else Reply(answer(body))


def asked_rows(server: FaultServer) -> list[int]:
    found = sorted({row_of(body) for body in server.calls})
    server.calls.clear()
    return found


def check(house, tmp_path, steps, fault: Reply, *, source=None) -> None:
    trouble = Trouble(fault)
    with FaultServer(trouble) as server:
        patience = {"timeout": 1} if fault.hang else {}
        catalog = house(server, steps, source=source, **patience)
        [first] = curate.build(catalog, "made")
        assert any(
            re.search(r"rows? failed because a server was in trouble; the next build asks again", warning)
            for warning in first.warnings
        )
        assert asked_rows(server) == list(range(8))
        assert "failed because a server was in trouble; asked again" in str(curate.plan(catalog, "made"))
        # The server is still in trouble: the build ends, and comes to the same.
        [second] = curate.build(catalog, "made")
        assert second.version == first.version and asked_rows(server) == list(LOST)
        trouble.well = True
        [third] = curate.build(catalog, "made")
        assert asked_rows(server) == list(LOST)
        assert not [warning for warning in third.warnings if "trouble" in warning or "failed" in warning]
        [fourth] = curate.build(catalog, "made")
        assert not fourth.changed and fourth.version == third.version and asked_rows(server) == []
        assert curate.plan(catalog, "made").idle
    assert third.version == sound(house, tmp_path, steps, source=source) != first.version


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lost_answer_is_asked_for_again_whatever_was_in_its_way(fault, house, tmp_path):
    check(house, tmp_path, [STEPS["respond"]], FAULTS[fault])


@pytest.mark.parametrize("fault", ["500", "empty"])
@pytest.mark.parametrize("step", ["rewrite", "translate", "instruct"])
def test_every_step_that_makes_rows_asks_again(step, fault, house, tmp_path):
    check(house, tmp_path, [STEPS[step]], FAULTS[fault])


CHAT = {"kind": "sft", "columns": {"prompt": "{prompt}", "response": "{text}"}}


@pytest.mark.parametrize("fault", ["500", "empty"])
@pytest.mark.parametrize(
    "step",
    [
        {"judge": {"model": "m", "method": "direct", "audit_rows": 0}},
        {"judge": {"model": "m", "method": "direct", "min": 1}},
        {"judge": {"model": ["m", "k"], "method": "direct", "audit_rows": 0, "unjudged": "keep"}},
        {"revise": {"model": "m", "critics": ["k"], "by": "none", "max_error_rate": 1.0}},
    ],
    ids=["judge", "judge with an audit", "two judges", "revise"],
)
def test_steps_that_look_at_answers_ask_again(step, fault, house, tmp_path):
    check(house, tmp_path, [step], FAULTS[fault], source=CHAT)


def test_a_null_score_is_not_kept_for_the_next_threshold(house, tmp_path):
    trouble = Trouble(FAULTS["500"])
    with FaultServer(trouble) as server:
        step = {"judge": {"model": "m", "method": "direct", "audit_rows": 0, "unjudged": "keep"}}
        curate.build(house(server, [step], source=CHAT), "made")
        trouble.well = True
        step["judge"]["min"] = 1
        catalog = house(server, [step], source=CHAT)
        curate.build(catalog, "made")
        found = curate.query("SELECT count(score(scores, 'judge')) FROM made", catalog=catalog)
        assert found.item() == 8


# ------------------------------------------------------------------------------------------------------------- for good
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


class Refusing:
    """Of eight rows one is refused, one withheld, one never right, one cut off, one lost, until the server is well."""

    def __init__(self) -> None:
        self.well = self.back = False

    def __call__(self, body, times) -> Reply:
        number = row_of(body)
        good = Reply(json.dumps({"a": number}))
        if self.well or (self.back and number == 5):
            return good
        return {
            1: refusal(400, "your prompt is odd"),
            2: refusal(400, "flagged", "content_filter"),
            3: Reply('{"a": "three"}'),
            4: Reply('{"a": 4', finish="length"),
            5: refusal(500, "oops"),
            6: refusal(400, "maximum context length is 5 tokens"),
        }.get(number, good)


def test_what_failed_for_good_is_asked_again_only_if_somebody_says_so(house, tmp_path):
    steps = [{"respond": {"model": "m", "max_error_rate": 1.0, "response_format": SCHEMA}}]
    with FaultServer(refusing := Refusing()) as server:
        catalog = house(server, steps, max_failed=1.0)
        [first] = curate.build(catalog)
        assert first.rows == 2 and asked_rows(server) == list(range(8))
        reasons = dict(
            curate.query(
                "SELECT split_part(reason, ':', 1), count(*) FROM made.quarantined GROUP BY ALL", catalog=catalog
            ).rows()
        )
        assert reasons == {
            "no answer": 3,
            "withheld by the server": 1,
            "not what the schema asks for": 1,
            "cut off after 5 tokens": 1,
        }
        refusing.back = True
        [second] = curate.build(catalog)
        assert second.rows == 3 and asked_rows(server) == [5], (
            "what failed for good is not asked again beside what was lost"
        )
        assert not curate.build(catalog)[0].changed and asked_rows(server) == []
        # Nor does it get better by being asked again, as long as the server says the same.
        [third] = curate.build(catalog, retry_failed=True)
        assert third.version == second.version and asked_rows(server) == [1, 2, 3, 4, 6]
        refusing.well = True
        said = CliRunner().invoke(cli(), ["build", "-q", "--retry-failed", "-c", str(catalog)])
        assert said.exit_code == 0 and asked_rows(server) == [1, 2, 3, 4, 6], said.output
        [last] = curate.build(catalog)
        assert last.rows == 8 and asked_rows(server) == []
        assert curate.build(catalog, retry_failed=True)[0].version == last.version and asked_rows(server) == []
    with FaultServer(lambda body, times: Reply(json.dumps({"a": row_of(body)}))) as server:
        [clean] = curate.build(house(server, steps, tmp_path / "clean", max_failed=1.0))
    assert last.version == clean.version


def cli():
    from curate.cli.main import app

    return app


def test_verdicts_that_failed_for_good_are_asked_again_only_if_somebody_says_so(house, tmp_path):
    state = {"well": False}

    def script(body, times):
        return Reply(answer(body)) if state["well"] or row_of(body) != 3 else Reply("no verdict from me")

    steps = [{"judge": {"model": "m", "method": "direct", "audit_rows": 0}}]
    with FaultServer(script) as server:
        catalog = house(server, steps, source=CHAT)
        assert curate.build(catalog, "made")[0].rows == 7
        asked_rows(server)
        state["well"] = True
        assert curate.build(catalog, "made")[0].rows == 7 and asked_rows(server) == []
        [built] = curate.build(catalog, "made", retry_failed=True)
        assert built.rows == 8 and asked_rows(server) == [3]
    assert built.version == sound(house, tmp_path, steps, source=CHAT)


def test_too_many_lost_rows_stop_the_build_and_the_next_asks_again(house):
    trouble = Trouble(FAULTS["500"])
    with FaultServer(trouble) as server:
        catalog = house(server, [{"respond": {"model": "m"}}])
        for _ in range(2):
            with pytest.raises(curate.BuildError, match="failed on 2 of 8 rows"):
                curate.build(catalog)
        trouble.well = True
        assert curate.build(catalog)[0].rows == 8
        assert server.asked.most_common(1)[0][1] == 3


def test_a_dataset_made_of_one_with_lost_rows_gets_them_too(house):
    trouble = Trouble(FAULTS["half"])
    with FaultServer(trouble) as server:
        catalog = house(server, [STEPS["respond"]])
        about = yaml.safe_load(catalog.read_text("utf-8"))
        about["datasets"]["again"] = {"from": "made", "steps": ["shape"]}
        catalog.write_text(yaml.safe_dump(about, allow_unicode=True), "utf-8")
        assert [one.rows for one in curate.build(catalog)] == [6, 6]
        trouble.well = True
        assert [one.rows for one in curate.build(catalog)] == [8, 8]


@pytest.mark.parametrize("step", [*STEPS, "revise"])
def test_rows_that_another_model_answered_are_signed_with_its_name(step, house):
    revise = {"revise": {"model": "m", "critics": ["k"], "by": "none", "max_error_rate": 1.0}}
    with FaultServer(lambda body, times: Reply(answer(body), model="other/tiny-1.1b@q2")) as server:
        catalog = house(server, [STEPS.get(step, revise)], source=CHAT if step == "revise" else None)
        [built] = curate.build(catalog, "made")
        models = curate.query(
            "SELECT DISTINCT lineage.makers[1].model FROM made WHERE len(lineage.makers) > 0", catalog=catalog
        )
        assert models.rows() == [("tests/m@1+other/tiny-1.1b-q2",)]
        [warning] = [warning for warning in built.warnings if "'tests/m' was requested" in warning]
        assert "the server reports 'other/tiny-1.1b@q2'" in warning
        assert curate.build(catalog, "made")[0].version == built.version
