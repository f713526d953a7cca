"""``use: vllm`` in a catalog: what identifies the model, what cannot be said, and what is read from an answer. No
engine here: see tests/vllm."""

from __future__ import annotations

import json
import os
import sys

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.errors import ModelError
from curate.models.vllm.model import Vllm
from curate.models.vllm.outputs import read, relax_schema
from curate.steps.models import Request

ASKED = Request((("user", "a"),))


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "model"
    place.mkdir()
    (place / "config.json").write_text("{}")
    (place / "model.safetensors").write_bytes(b"weights")
    return place


def raw(text, finish="stop", **more):
    return {"text": text, "finish": finish, "prompt_tokens": 3, "completion_tokens": 2, **more}


# ------------------------------------------------------------------------------------------------------------ identity
def test_a_folder_counts_by_its_contents_wherever_it_is(folder, tmp_path):
    first = Vllm(path=folder).model_identity()
    other = tmp_path / "elsewhere"
    folder.rename(other)
    assert Vllm(path=other).model_identity() == first == Vllm(model=str(other)).model_identity()
    assert str(tmp_path) not in json.dumps(first)
    (other / "model.safetensors").write_bytes(b"Weights")
    os.utime(other / "model.safetensors", ns=(1, 1))
    assert Vllm(path=other).model_identity() != first


def test_a_hub_model_counts_by_its_commit():
    commit = "0123456789abcdef" * 2 + "01234567"
    assert Vllm(model="some/model", revision=commit).name_and_revision() == f"some/model@{commit}"


def test_what_says_how_to_work_changes_no_identity(folder):
    plain = Vllm(path=folder).model_identity()
    moved = Vllm(
        path=folder,
        tensor_parallel_size=4,
        gpu_memory_utilization=0.5,
        max_num_seqs=7,
        enforce_eager=True,
        separate_process=True,
        options={"max_num_batched_tokens": 4096, "enable_prefix_caching": False, "download_dir": "/elsewhere"},
    )
    assert moved.model_identity() == plain


@pytest.mark.parametrize(
    "changed",
    [
        {"dtype": "bfloat16"},
        {"quantization": "fp8"},
        {"max_model_len": 64},
        {"chat_template": "{{ messages }}"},
        {"seed": 1},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"options": {"kv_cache_dtype": "fp8"}},
        {"batch_invariant": True},
        {"reasoning": "keep"},
        {"options": {"something_new": 1}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_may_change_answers_changes_identity(folder, changed):
    assert Vllm(path=folder, **changed).model_identity() != Vllm(path=folder).model_identity()


def test_a_template_counts_by_its_text(folder, tmp_path):
    text = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    (tmp_path / "template.jinja").write_text(text)
    given_as = [
        Vllm(path=folder, chat_template=one).model_identity() for one in (text, str(tmp_path / "template.jinja"))
    ]
    assert given_as[0] == given_as[1]
    with pytest.raises(ModelError, match="chat_template"):
        Vllm(path=folder, chat_template=str(tmp_path / "missing.jinja")).model_identity()


# ------------------------------------------------------------------------------------------------------------- mistakes
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give 'model'"),
        ({"model": "a/b", "options": {"trust_remote_code": True}}, "run code"),
        ({"model": "a/b", "options": {"worker_cls": "os.system"}}, "run code"),
        ({"model": "a/b", "options": {"dtype": "float16"}}, "parameter of its own"),
        ({"model": "a/b", "options": {"hf_token": "x"}}, "HF_TOKEN"),
        ({"model": "a/b", "options": {"--max-num-batched-tokens": 1}}, "write 'max_num_batched_tokens'"),
        ({"model": "a/b", "options": {"distributed_executor_backend": "my.Executor"}}, "mp, ray or uni"),
        ({"model": "a/b", "options": {"tokenizer_mode": "mistral"}}, "auto or hf"),
        ({"path": "/a", "revision": "main"}, "belongs to a model on the Hub"),
        ({"model": "a/b", "trust_remote_code": True}, "Extra inputs"),
        ({"model": "a/b", "tensor_parallel_size": 0}, "greater than or equal to 1"),
        ({"model": "a/b", "gpu_memory_utilization": 1.5}, "less than or equal to 1"),
    ],
)
def test_mistakes_are_told_when_the_catalog_is_read(given, said):
    with pytest.raises(ValidationError, match=said):
        Vllm(**given)


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"config\.json"):
        Vllm(path=tmp_path).name_and_revision()
    with pytest.raises(ModelError, match="neither a folder"):
        Vllm(model="./nowhere").name_and_revision()


def test_without_vllm_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ModelError, match=r"polycurate\[vllm\]"):
        Vllm(path=folder).load(cache=None, threads=1)


def test_nothing_heavy_is_imported_before_it_is_loaded(folder):
    Vllm(path=folder).model_identity()
    assert "vllm" not in sys.modules and "torch" not in sys.modules


def test_it_serves_the_whole_build_alone(folder):
    assert Vllm(path=folder).exclusive


# ------------------------------------------------------------------------------------------------------------- answers
def test_thoughts_are_told_apart_unless_they_are_to_be_kept():
    text = "<think>\nhm\n</think>\n\n42"
    split = read(raw(text), ASKED, split=True, cached=False)
    assert (split.text, split.reasoning, split.finish) == ("42", "hm", "stop")
    assert read(raw(text), ASKED, split=False, cached=False).text == text


def test_a_schema_is_checked_after_the_thoughts():
    asked = Request((("user", "a"),), schema={"type": "integer"})
    answer = read(raw("<think>7?</think>8"), asked, split=True, cached=True)
    assert answer.value == 8 and answer.cached and answer.ok
    assert read(raw('"8"'), asked, split=True, cached=False).finish == "invalid"
    assert read(raw("8", "length"), asked, split=True, cached=False).value is None


def test_log_probabilities_are_read_back():
    kept = json.loads(json.dumps(raw("ab", logprobs=[["a", -0.5, [["a", -0.5], ["c", -1.5]]], ["b", -2.0, []]])))
    answer = read(kept, ASKED, split=True, cached=True)
    assert [(one.token, one.logprob) for one in answer.logprobs] == [("a", -0.5), ("b", -2.0)]
    assert answer.logprobs[0].top == (("a", -0.5), ("c", -1.5))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "x1"]), inner, max_size=3),
    max_leaves=6,
)
SCHEMAS = st.recursive(
    st.sampled_from(
        [
            True,
            {"type": "string"},
            {"type": "integer", "minimum": 0},
            {"enum": ["a", 1]},
            {"const": None},
            {"uniqueItems": True},
            {"not": {"type": "string"}},
            {"pattern": "^a"},
            {"minProperties": 1},
        ]
    ),
    lambda inner: st.one_of(
        st.builds(lambda one: {"type": "array", "items": one, "uniqueItems": True}, inner),
        st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner),
        st.builds(
            lambda one, other: {"allOf": [one, other], "additionalProperties": False, "properties": {"a": one}},
            inner,
            inner,
        ),
        st.builds(
            lambda one: {"type": "object", "properties": {"a": one}, "additionalProperties": False, "required": ["a"]},
            inner,
        ),
        st.builds(
            lambda one: {"patternProperties": {"^x": one}, "additionalProperties": False, "properties": {"b": one}},
            inner,
        ),
        st.builds(lambda one: {"if": one, "then": {"type": "integer"}, "prefixItems": [one]}, inner),
    ),
    max_leaves=4,
)


@given(SCHEMAS, VALUES)
def test_a_loosened_schema_allows_all_that_the_schema_allows(schema, value):
    if jsonschema.Draft202012Validator(schema).is_valid(value):
        assert jsonschema.Draft202012Validator(relax_schema(schema)).is_valid(value)


def test_a_loosened_schema_keeps_what_a_grammar_can_say():
    schema = {
        "type": "object",
        "properties": {"pattern": {"type": "string", "pattern": "a", "format": "date"}},
        "required": ["pattern"],
        "minProperties": 1,
    }
    assert relax_schema(schema) == {
        "type": "object",
        "properties": {"pattern": {"type": "string"}},
        "required": ["pattern"],
    }
