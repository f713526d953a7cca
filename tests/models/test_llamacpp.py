"""A GGUF file answers through its own server, which is there when it is needed and never longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from curate.errors import ModelError
from curate.models.llamacpp.model import LlamaCpp
from curate.models.loading.packaged import PACKAGES
from curate.steps.models import Generator, Request, Sampling

FEW = Sampling(max_tokens=6)
ROOT = Path(__file__).resolve().parents[2]


def ask(text, **more):
    return Request((("user", text),), **{"sampling": FEW, **more})


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pid, seconds=15):
    until = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not is_running(pid)


@pytest.fixture(scope="module")
def model(smollm2, tmp_path_factory):
    """One server for the tests that only ask."""
    loaded = LlamaCpp(path=smollm2, context=256, slots=2, threads=1).load(
        cache=tmp_path_factory.mktemp("cache"), threads=1
    )
    yield loaded
    loaded.close()


# ------------------------------------------------------------------------------------------------------ the parameters
def test_a_file_counts_by_its_content_wherever_it_lies(tmp_path):
    one, other = tmp_path / "a" / "tiny.gguf", tmp_path / "b" / "tiny.gguf"
    for path in (one, other):
        path.parent.mkdir()
        path.write_bytes(b"GGUF one")
    assert (
        LlamaCpp(path=one).model_identity() == LlamaCpp(path=other, slots=9, gpu_layers=0, threads=3).model_identity()
    )
    assert LlamaCpp(path=one).name_and_revision().startswith("tiny@")
    before = LlamaCpp(path=one).name_and_revision()
    other.write_bytes(b"GGUF two!")
    assert LlamaCpp(path=other).name_and_revision() != before
    assert LlamaCpp(path=one, context=512).model_identity() != LlamaCpp(path=one).model_identity()


def test_all_parts_of_a_split_file_count(tmp_path):
    for number in (1, 2):
        (tmp_path / f"big-0000{number}-of-00002.gguf").write_bytes(b"GGUF" + bytes([number]))
    model = LlamaCpp(path=tmp_path / "big-00001-of-00002.gguf")
    before = model.name_and_revision()
    assert before.startswith("big@")
    (tmp_path / "big-00002-of-00002.gguf").write_bytes(b"GGUF and more")
    assert model.name_and_revision() != before
    (tmp_path / "big-00002-of-00002.gguf").unlink()
    with pytest.raises(ModelError, match=r"big-00002-of-00002\.gguf"):
        model.name_and_revision()


def test_the_packaged_model_is_known_before_it_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("nothing may be fetched"))
    model = LlamaCpp()
    assert model.name_and_revision() == f"SmolLM2-135M-Instruct.Q4_1@{PACKAGES['smollm2'].sha256[:32]}"
    assert model.license == "Apache-2.0" and model.exclusive


def test_a_model_with_terms_of_its_own_is_not_loaded_without_them(monkeypatch, tmp_path):
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="Gemma Terms of Use"):
        LlamaCpp(packaged="gemma3-270m").load(cache=None, threads=1)


@pytest.mark.parametrize(
    "wrong", [{"packaged": "gpt"}, {"path": "x.gguf", "packaged": "smollm2"}, {"slots": 0}, {"extra_body": {"n": 2}}]
)
def test_senseless_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        LlamaCpp(**wrong)


def test_what_is_no_gguf_is_told(tmp_path):
    pytest.importorskip("xllamacpp")
    with pytest.raises(ModelError, match="no GGUF file"):
        LlamaCpp(path=tmp_path / "absent.gguf").load(cache=None, threads=1)
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(ModelError, match="is not a GGUF file"):
        LlamaCpp(path=tmp_path / "text.gguf").load(cache=None, threads=1)


def test_a_broken_file_is_told_with_the_servers_own_words(tmp_path):
    pytest.importorskip("xllamacpp")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + b"\0" * 4096)
    model = LlamaCpp(path=tmp_path / "broken.gguf").load(cache=None, threads=1)
    with pytest.raises(
        ModelError, match=r"(?s)broken.gguf cannot be served.*last lines:\n.*bad GGUF version"
    ) as caught:
        model.generate([ask("a")])
    assert len(str(caught.value)) < 4000


# -------------------------------------------------------------------------------------------------------- real answers
def test_it_answers_and_known_answers_start_no_server(model, smollm2):
    assert isinstance(model, Generator)
    answers = model.generate([ask("Say hello."), ask("Say hello."), ask("Name a colour.")])
    assert all(answer.text.strip() and answer.finish in ("stop", "length") for answer in answers)
    assert answers[0].text == answers[1].text and answers[1].cached
    assert answers[0].prompt_tokens > 5 and 0 < answers[0].completion_tokens <= 6
    folder = model._answers.file.parent.parent
    again = LlamaCpp(path=smollm2, context=256).load(cache=folder, threads=1)
    assert [one.text for one in again.generate([ask("Name a colour."), ask("Say hello.")])] == [
        answers[2].text,
        answers[0].text,
    ]
    assert again.server is None


def test_json_keeps_to_its_schema(model):
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}, "n": {"type": "integer", "minimum": 1, "maximum": 3}},
        "required": ["colour", "n"],
        "additionalProperties": False,
    }
    (answer,) = model.generate(
        [ask("A colour and a number in JSON, please.", sampling=Sampling(max_tokens=60), schema=schema)]
    )
    assert answer.ok, answer
    assert (
        answer.value == json.loads(answer.text)
        and answer.value["colour"] in ("red", "blue")
        and 1 <= answer.value["n"] <= 3
    )


def test_a_base_model_keeps_to_a_schema_too(model, smollm2):
    base = LlamaCpp(path=smollm2, endpoint="completions", context=256, slots=1, threads=1).load(cache=None, threads=1)
    schema = {"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"], "additionalProperties": False}
    try:
        (answer,) = base.generate([ask("A number:", sampling=Sampling(max_tokens=40), schema=schema)])
    finally:
        base.close()
    assert answer.value == {"n": 7}


def test_logprobs_are_natural_and_sorted(model):
    (answer,) = model.generate([ask("Yes or no?", top_logprobs=3)])
    assert "".join(one.token for one in answer.logprobs) == answer.text
    for one in answer.logprobs:
        assert len(one.top) == 3 and one.logprob <= 0
        assert [value for _, value in one.top] == sorted((value for _, value in one.top), reverse=True)
        assert one.logprob == one.top[0][1]


def test_a_started_answer_is_continued(model):
    (answer,) = model.generate([Request((("user", "Count to five."), ("assistant", "One, two,")), FEW)])
    assert "three" in answer.text and not answer.text.startswith("One")


def test_samples_differ_and_come_again(model, smollm2):
    warm = Sampling(max_tokens=6, temperature=1.5, seed=3)
    requests = [ask("Tell me a story.", sampling=warm, sample=number) for number in range(3)]
    texts = [answer.text for answer in model.generate(requests)]
    assert len(set(texts)) > 1
    fresh = LlamaCpp(path=smollm2, context=256, slots=1, threads=1).load(cache=None, threads=1)
    try:
        assert fresh.generate(requests[:1])[0].text == texts[0]
    finally:
        fresh.close()


@pytest.mark.parametrize(
    "text", ["nul \0 inside", "\ud800 lone", "مرحبا بالعالم", "สวัสดีชาวโลก", "<|im_end|>\n<|im_start|>system"]
)
def test_odd_texts_are_no_obstacle(model, text):
    assert model.generate([ask(text)])[0].finish in ("stop", "length")


def test_a_text_that_does_not_fit_fails_alone(model):
    long, short = model.generate([ask("word " * 200_000), ask("Say hello.")])
    assert long.finish == "failed" and "context" in long.problem
    assert short.finish in ("stop", "length")


def test_only_who_has_the_key_is_served(model):
    import urllib.error
    import urllib.request

    model.generate([ask("Wake up.")])
    address = model.server.address
    assert address.startswith("http://127.0.0.1:")
    request = urllib.request.Request(
        f"{address}/v1/chat/completions", b'{"messages": []}', {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
    assert caught.value.code == 401


# -------------------------------------------------------------------------------------------------------- the server
def test_a_server_that_dies_is_told_and_started_anew(smollm2):
    model = LlamaCpp(path=smollm2, context=256, slots=1, threads=1).load(cache=None, threads=1)
    try:
        model.generate([ask("One.")])
        os.kill(model.server.pid, 9)
        with pytest.raises(ModelError, match=r"killed by signal 9. Its last lines:"):
            model.generate([ask("Two.")])
        assert model.generate([ask("Two.")])[0].text
    finally:
        pid = model.server.pid
        model.close()
    assert wait_until_gone(pid)


OWNER = """
import sys, time
from pathlib import Path
from curate.steps.models import Request, Sampling
from curate.models.llamacpp.model import LlamaCpp
model = LlamaCpp(path=sys.argv[1], context=256, slots=1, threads=1).load(cache=None, threads=1)
model.generate([Request((("user", "Hi"),), Sampling(max_tokens=2))])
print(model.server.pid, flush=True)
if sys.argv[2] == "wait":
    time.sleep(60)
"""


@pytest.mark.parametrize("how", ["wait", "end"])
def test_no_server_outlives_its_owner(smollm2, how):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(smollm2), how], stdout=subprocess.PIPE, text=True, env=environment
    )
    pid = int(owner.stdout.readline())
    if how == "wait":
        assert is_running(pid)
        owner.kill()
    owner.wait(30)
    owner.stdout.close()
    assert wait_until_gone(pid)


def test_a_server_that_takes_too_long_is_given_up(smollm2):
    model = LlamaCpp(path=smollm2, start_timeout=0.05).load(cache=None, threads=1)
    with pytest.raises(ModelError, match="start_timeout"):
        model.generate([ask("Hi")])
    assert model.server is None
