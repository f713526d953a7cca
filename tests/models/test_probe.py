"""Each model proves itself by one real call, and what it cannot do is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from servers.llm import FaultServer, Reply, last_turn, refusal

from curate.models.embedding.use_multilingual import UseMultilingual
from curate.models.langid.fasttext import FastText
from curate.models.llamacpp.model import LlamaCpp
from curate.models.openai.model import OpenAI
from curate.models.probe import SENTENCES, probe
from curate.steps.models import Alignment, Model


class Ready(Model):
    """A model that is loaded already."""

    use = "ready"
    loaded: object = None

    def name_and_revision(self):
        return "ready@1"

    def load(self, *, cache, threads):
        assert cache is None, "a probe asks the model, not a cache"
        return self.loaded


def found(*models, **named):
    return {
        (one.model, one.check): one for one in probe({**named, **{str(n): m for n, m in enumerate(models)}}, threads=1)
    }


def openai(server, **more):
    return OpenAI(url=server.url, model="m", retries=0, **more)


def test_the_packaged_models_pass():
    findings = found(lid=FastText(), use=UseMultilingual())
    assert {key: one.ok for key, one in findings.items()} == {
        ("lid", "load"): True,
        ("lid", "identify"): True,
        ("use", "load"): True,
        ("use", "encode"): True,
    }
    assert findings["lid", "identify"].message == f"{len(SENTENCES)} of {len(SENTENCES)} languages named"
    assert all(one.seconds >= 0 for one in findings.values())


def test_the_embedded_llm_passes(smollm2):
    findings = found(llm=LlamaCpp(path=smollm2, context=512, slots=1, threads=1))
    assert [key[1] for key in findings] == ["load", "answer", "structured", "logprobs"]
    assert all(one.ok for one in findings.values()), findings


def answers(structured='{"colour": "red", "number": 3}', logprobs=True):
    def script(body, times):
        if "messages" in body and "max_tokens" not in body:
            return Reply(body=json.dumps({"tokens": [1, *map(ord, last_turn(body))]}).encode())
        if "prompt" in body:
            tokens = [chr(token) for token in body["prompt"]]
            values = [None, *[-1.0] * (len(tokens) - 1)]
            return Reply(
                "",
                choice={
                    "logprobs": {
                        "tokens": ["The sun" if one == "T" else one for one in tokens],
                        "token_logprobs": values,
                    }
                },
                usage={"prompt_tokens": len(tokens), "completion_tokens": 0},
            )
        if "response_format" in body:
            return Reply(structured)
        told = {"content": [{"token": "Y", "logprob": -0.1, "top_logprobs": [{"token": "Y", "logprob": -0.1}]}]}
        return Reply("Yes.", choice={"logprobs": told} if logprobs else {})

    return script


def test_only_what_is_claimed_is_tried():
    with FaultServer(answers()) as server:
        some = found(openai(server, structured="none"))
        whole = found(openai(server, logprobs=True, prompt_logprobs=True))
    assert [key[1] for key in some] == ["load", "answer"]
    assert [key[1] for key in whole] == ["load", "answer", "structured", "logprobs", "prompt_logprobs"]
    assert all(one.ok for one in [*some.values(), *whole.values()]), whole


def test_what_is_claimed_in_vain_is_told():
    with FaultServer(answers(structured="I like red and three.", logprobs=False)) as server:
        findings = found(openai(server, logprobs=True))
    assert findings["0", "answer"].ok
    assert not findings["0", "structured"].ok and "not JSON" in findings["0", "structured"].message
    assert not findings["0", "logprobs"].ok and "log-probabilities" in findings["0", "logprobs"].message


def test_one_that_fails_keeps_no_other_from_being_tried():
    told = []
    with FaultServer(lambda body, times: refusal(401, "no")) as server:
        findings = probe(
            {"bad": openai(server), "worse": OpenAI(url="nowhere", model="m"), "lid": FastText()},
            threads=1,
            tell=told.append,
        )
    assert [(one.model, one.check, one.ok) for one in findings] == [
        ("bad", "load", True),
        ("bad", "answer", False),
        ("worse", "load", False),
        ("lid", "load", True),
        ("lid", "identify", True),
    ]
    assert "refuses the key" in findings[1].message and findings == told


class Copier:
    longest = 100
    pairs = ()

    def __init__(self, text=None):
        self.text = text

    def supports(self, source, target):
        return (source, target) == ("en", "de")

    def translate(self, sentences, source, target, done=None):
        return list(sentences) if self.text is None else [self.text] * len(sentences)

    def maker(self, source, target):
        return "copier@1"


class Blind:
    dimensions = 4
    absolute = True

    def encode(self, texts):
        return np.tile(np.float32([1, 0, 0, 0]), (len(texts), 1))

    def supports(self, language):
        return True


class Joiner:
    def __init__(self, links):
        self.links = links

    def align(self, sources, targets):
        return [Alignment(self.links, (1.0,) * len(self.links), 0.0, 0.0) for _ in sources]


@pytest.mark.parametrize(
    ("loaded", "check", "ok", "message"),
    [
        (Copier("Die Brücke ist zu."), "translate", True, "en → de: “Die Brücke ist zu.” (copier@1)"),
        (Copier(), "translate", False, "is the sentence itself"),
        (Copier("  "), "translate", False, "is empty"),
        (Blind(), "encode", False, "no nearer than a stranger"),
        (Joiner(((0, 0), (1, 1), (2, 2), (3, 3))), "align", True, "144 of 144"),
        (Joiner(((0, 3),)), "align", False, "0 of 144"),
        (object(), "use", False, "none of the contracts"),
    ],
)
def test_each_kind_is_tried_by_what_it_is(loaded, check, ok, message):
    one = found(Ready(loaded=loaded))["0", check]
    assert one.ok is ok and message in one.message
