"""``recorded`` and ``curate record``: a version built with a server is built again without it, and what has no answer
is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.llm import FaultServer, Reply
from typer.testing import CliRunner

import curate
from curate.cli.main import app
from curate.errors import ModelError
from curate.models.recorded.model import Recorded
from curate.models.recorded.recording import Recording, line_of, write
from curate.steps.models import Completion, Request, Sampling, TokenLogprob

PROMPTS = ["Name a river.", "اذكر نهرا.", "किसी नदी का नाम बताओ।", "บอกชื่อแม่น้ำ", "说出一条河的名字。"]
KEY = "sk-very-secret-key-0123456789"


def catalog(folder: Path, model: dict, prompts=PROMPTS, workers=1, **step) -> Path:
    lines = (json.dumps({"prompt": prompt}, ensure_ascii=False) + "\n" for prompt in prompts)
    (folder / "prompts.jsonl").write_text("".join(lines), "utf-8")
    source = {"use": "jsonl", "path": "prompts.jsonl", "kind": "prompt", "language": "en", "license": "CC0-1.0"}
    text = {
        "version": 1,
        "models": {"m": model},
        "sources": {"prompts": {**source, "columns": {"prompt": "{prompt}"}}},
        "datasets": {
            "answers": {
                "from": "prompts",
                "steps": [
                    {"respond": {"model": "m", "n": 2, "sampling": {"temperature": 0.7}, **step}},
                    {"rewrite": {"model": "m", "field": "response", "prompt": "Shorter: {response}"}},
                ],
            }
        },
        "run": {"workers": workers},
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(text, allow_unicode=True), "utf-8")
    return folder / "catalog.yaml"


def server(folder: Path, url: str, **step) -> Path:
    about = {"use": "openai", "url": url, "model": "tests/m", "revision": "1", "api_key": KEY, "retries": 0}
    return catalog(folder, about, **step)


def recording(folder: Path, name: str = "answers.jsonl", **step) -> Path:
    return catalog(folder, {"use": "recorded", "path": name, "model": "tests/m", "revision": "1"}, **step)


def say(*arguments: str, code: int = 0):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.output


def answer_of(body, times) -> Reply:
    *_, last = body["messages"]
    return Reply(f"<think>hm</think>{last['content'][-20:]} № {body.get('seed', 0) % 97}", model="other")


@pytest.mark.parametrize(("name", "workers"), [("answers.jsonl", 1), ("answers.jsonl.zst", 2)])
def test_a_version_is_built_again_without_its_server(name, workers, tmp_path):
    live, replayed = tmp_path / "live", tmp_path / "replayed"
    live.mkdir()
    replayed.mkdir()
    with FaultServer(answer_of) as there:
        [built] = curate.build(server(live, there.url))
        asked = len(there.calls)
        path = server(live, there.url, workers=workers)
        found = curate.record(replayed / name, catalog=path)
        assert len(there.calls) == asked
    assert (found.requests, found.added, found.unanswered, found.stopped) == (20, 20, 0, "")
    data = (replayed / name).read_bytes()
    assert KEY.encode() not in data and b"127.0.0.1" not in data

    [again] = curate.build(recording(replayed, name))
    assert again.version == built.version
    sql = "SELECT id, lineage.makers[1].model AS maker, messages FROM answers ORDER BY id"
    rows = curate.query(sql, catalog=replayed / "catalog.yaml").to_dicts()
    assert rows == curate.query(sql, catalog=path).to_dicts() and len(rows) == 10
    assert {row["maker"] for row in rows} == {"tests/m@1+other"}
    assert all("№" in row["messages"][-1]["content"] for row in rows)

    once_more = curate.record(replayed / name, catalog=replayed / "catalog.yaml")
    assert (once_more.there, once_more.added) == (20, 0)
    assert (replayed / name).read_bytes() == data


def test_a_request_that_is_not_recorded_is_an_error(tmp_path):
    with FaultServer(answer_of) as there:
        path = server(tmp_path, there.url)
        curate.build(path)
        curate.record(tmp_path / "answers.jsonl", catalog=path)
    path = recording(tmp_path, sampling={"temperature": 0.8})
    with pytest.raises(curate.NotRecordedError, match=r"no answer of tests/m@1 to 10 of 10 requests") as caught:
        curate.build(path)
    assert "«Name a river.»" in str(caught.value) and "curate record answers.jsonl" in str(caught.value)


def test_answers_are_written_by_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recording(tmp_path)
    with pytest.raises(curate.CatalogError, match=r"catalog\.yaml:\d+: .*there is no recording"):
        curate.check("catalog.yaml")
    with pytest.raises(
        curate.CurateError, match=r"there is no recording .*answers\.jsonl; 'curate record answers\.jsonl"
    ):
        curate.build("catalog.yaml")

    def fill() -> None:
        lines = [json.loads(line) for line in Path("answers.jsonl").read_text("utf-8").splitlines()]
        for number, line in enumerate(lines):
            if line["answer"] is None:
                line["answer"] = f"Ruaha {number}"
                line.pop("sampling")  # what is left out need not be the same
        Path("answers.jsonl").write_text("\n\n".join(json.dumps(line) for line in lines), "utf-8")

    said = say("record", "answers.jsonl", code=1)
    assert "10 requests: 0 were answered there, 0 added with their answers, 10 without an answer" in said
    assert "the steps after this one were not reached" in said
    assert say("record", "answers.jsonl", code=1).startswith("answers.jsonl: 10 requests: 0 were")
    assert len(Path("answers.jsonl").read_text("utf-8").splitlines()) == 10
    fill()
    assert "20 requests: 10 were answered there, 0 added" in say("record", "answers.jsonl", code=1)
    fill()
    assert "20 requests: 20 were answered there" in say("record", "answers.jsonl")
    curate.build("catalog.yaml")
    texts = curate.query("SELECT messages[-1].content AS text FROM answers", catalog="catalog.yaml")["text"]
    assert set(texts) == {f"Ruaha {number}" for number in range(10, 20)}


WRONG = {
    "no JSON": ("{", r"a\.jsonl:2: not JSON"),
    "a typo": ('{"mesages": []}', r"a\.jsonl:2: messages: Field required; a record has no 'mesages'.*messages"),
    "a number": ('{"messages": [{"role": "user", "content": "x"}], "sample": -1}', r":2: sample: .*greater"),
    "two answers": (
        '{"messages": [{"role": "user", "content": "a"}], "answer": "other"}',
        r":2: line 1 has another answer to this request; keep one",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_in_a_recording_have_their_line(case, tmp_path):
    line, message = WRONG[case]
    there = recording(tmp_path, "a.jsonl")
    path = tmp_path / "a.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "a"}], "answer": "yes"}\n' + line, "utf-8")
    with pytest.raises(ModelError, match=message):
        Recorded(path=path, model="m").load(cache=None, threads=1)
    with pytest.raises(curate.CatalogError, match=r"catalog\.yaml:\d+: respond: model: the model 'm': .*" + message):
        curate.check(there)


def test_the_record_that_says_most_is_taken(tmp_path):
    lines = [
        {"answer": "any"},
        {"model": "m", "answer": "m"},
        {"model": "m@2", "sampling": {"temperature": 1}, "answer": "m@2, 1"},
        {"answer": {"river": "نيل"}, "sample": 1},
    ]
    path = tmp_path / "a.jsonl"
    asked = {"messages": [{"role": "user", "content": "?"}]}
    path.write_text("\n".join(json.dumps({**asked, **line}) for line in lines), "utf-8")

    def answers(model, revision, **request):
        loaded = Recorded(path=path, model=model, revision=revision).load(cache=None, threads=1)
        return loaded.generate([Request((("user", "?"),), **request)])[0]

    assert answers("o", "2").text == "any"
    assert answers("m", "1").text == "m"
    assert answers("m", "2", sampling=Sampling(temperature=1)).text == "m@2, 1"
    schema = {"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]}
    assert answers("o", "2", sample=1, schema=schema).value == {"river": "نيل"}
    assert answers("o", "2", schema=schema).finish == "invalid"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), texts), min_size=1, max_size=3),
    st.integers(0, 5),
    st.floats(0, 2, allow_nan=False),
    texts,
    st.sampled_from(["stop", "length", "filtered", "failed"]),
    texts,
)
def test_what_was_written_is_read_again(tmp_path_factory, messages, sample, temperature, text, finish, reasoning):
    request = Request(tuple(messages), Sampling(temperature=temperature), sample, top_logprobs=1)
    tokens = (TokenLogprob("x", -0.5, (("x", -0.5), ("y", -1.0))),)
    answer = Completion(
        text, finish, problem="why", prompt_tokens=3, completion_tokens=4, logprobs=tokens, reasoning=reasoning
    )
    if finish == "stop" and not text.strip() and reasoning:
        return  # no answer at all; it is checked as any other
    path = tmp_path_factory.mktemp("r") / "a.jsonl.zst"
    write(path, [line_of("m@1", request, answer)])
    found = Recording.read(path)
    record = found.find("m@1", request)
    assert record is not None
    expected = answer if finish in ("stop", "length") else answer.replace(logprobs=())
    assert record.to(request).replace(logprobs=expected.logprobs) == expected.replace(cached=True)
    assert finish not in ("stop", "length") or record.to(request).logprobs == tokens
    assert found.find("m@2", request) is None
    assert found.find("m@1", Request(tuple(messages), Sampling(temperature=temperature), sample + 1)) is None
