"""``use: openai`` with vLLM's own server gives the same answers as the engine in this process."""

from __future__ import annotations

import json
import urllib.request

import pytest
from small_model import LONGEST, ask

from curate.steps.models import Sampling

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
SHORT = Sampling(max_tokens=10)
ASKED = [
    "user: What is the capital of France?",
    "user: Cuéntame algo del mar.",
    "user: पानी क्यों गीला है?",
    "user: 東京はどこですか。",
]


@pytest.fixture(scope="module")
def remote(server, tmp_path_factory):
    from curate.models.openai.model import OpenAI

    spec = OpenAI(url=server, model="smollm2", context_length=LONGEST, logprobs=True, prompt_logprobs=True)
    generator = spec.load(cache=tmp_path_factory.mktemp("remote"), threads=2)
    yield generator
    generator.close()


def test_the_server_answers_what_the_engine_answers(remote, fresh):
    asked = [ask(text, sampling=SHORT) for text in ASKED]
    there, here = remote.generate(asked), fresh.generate(asked)
    assert [(one.text, one.finish, one.prompt_tokens, one.completion_tokens) for one in there] == [
        (one.text, one.finish, one.prompt_tokens, one.completion_tokens) for one in here
    ]
    assert "Paris" in there[0].text


def test_a_question_has_the_same_seed_on_both_ways(remote, fresh):
    warm = Sampling(max_tokens=10, temperature=0.8, top_p=0.95, seed=3)
    asked = [ask(ASKED[0], sampling=warm, sample=number) for number in range(3)]
    there = [one.text for one in remote.generate(asked)]
    assert len(set(there)) == 3
    assert there == [one.text for one in fresh.generate(asked)]


def test_what_was_answered_is_not_asked_again(remote, server):
    asked = [ask(text, sampling=SHORT) for text in ASKED]
    remote.generate(asked)
    before = _served(server)
    assert all(one.cached for one in remote.generate(asked))
    assert _served(server) == before > 0


def test_answers_keep_to_a_schema(remote):
    asked = [
        ask("user: Invent a person.", schema=PERSON, sampling=Sampling(max_tokens=60, temperature=1.0), sample=number)
        for number in range(3)
    ]
    for answer in remote.generate(asked):
        assert answer.finish == "stop" and answer.value == json.loads(answer.text)
        assert set(answer.value) == {"name", "age"}


def test_probabilities_are_the_same_on_both_ways(remote, fresh):
    asked = ask(ASKED[0], sampling=SHORT, top_logprobs=3)
    (there,), (here,) = remote.generate([asked]), fresh.generate([asked])
    assert [one.token for one in there.logprobs if one.token] == [one.token for one in here.logprobs][
        : len(there.logprobs)
    ]
    for far, near in zip(there.logprobs, here.logprobs, strict=True):
        assert far.logprob == pytest.approx(near.logprob, abs=2e-3)
        assert [value for _, value in far.top] == pytest.approx([value for _, value in near.top], abs=2e-3)


def test_the_last_turn_is_scored_alike_on_both_ways(remote, fresh):
    asked = [
        ask(ASKED[0], f"assistant: {text}", prompt_logprobs=True)
        for text in ("The capital of France is Paris.", "पेरिस फ्रांस की राजधानी है।")
    ]
    for far, near in zip(remote.generate(asked), fresh.generate(asked), strict=True):
        assert far.finish == near.finish == "stop"
        assert len(far.logprobs) == len(near.logprobs) > 5
        assert [one.logprob for one in far.logprobs] == pytest.approx([one.logprob for one in near.logprobs], abs=2e-3)


def test_a_last_assistant_turn_is_continued(remote, fresh):
    asked = ask(ASKED[0], "assistant: The capital of France is", sampling=Sampling(max_tokens=3))
    (there,), (here,) = remote.generate([asked]), fresh.generate([asked])
    assert there.text == here.text and there.text.strip().startswith("Paris")


def test_a_prompt_that_is_too_long_fails_alone(remote):
    long, short = remote.generate(
        [ask("user: " + "word " * 2 * LONGEST, sampling=SHORT), ask(ASKED[0], sampling=SHORT)]
    )
    assert long.finish == "failed" and str(LONGEST) in long.problem
    assert short.finish == "stop"


def _served(server: str) -> int:
    """How many requests the server says it finished."""
    text = urllib.request.urlopen(f"{server}/metrics", timeout=10).read().decode()
    lines = [line for line in text.splitlines() if line.startswith("vllm:request_success_total")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines))
