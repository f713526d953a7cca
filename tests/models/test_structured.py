"""JSON in answers is found where models put it and checked against the schema."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ModelError
from curate.models.generation.structured_output import compile_schema, fit_for_wire, read_json

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ada", "age": 36}',
        '\n  {"name": "Ada", "age": 36}\n',
        '```json\n{"name": "Ada", "age": 36}\n```',
        'Here you are:\n```\n{"name": "Ada", "age": 36}\n```\nAnything else?',
        'Sure! {"name": "Ada", "age": 36} Does that help?',
        'First I thought of {"name": "Ada"} but then: {"name": "Ada", "age": 36}',
        '```json {"name": "Ada", "age": 36}```',
        '[1] See: {"name": "Ada", "age": 36}',
    ],
)
def test_the_value_is_found(text):
    assert compile_schema(PERSON).read(text) == ({"name": "Ada", "age": 36}, "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("I would rather not.", "not JSON"),
        ('{"name": "Ada", "age": 36', "not JSON"),
        ('{"name": "Ada", "age": -1}', "age"),
        ('{"name": "Ada", "age": "36"}', "age"),
        ('{"name": "Ada", "age": 36, "town": "London"}', "town"),
        ("null", "None is not of type 'object'"),
        ('{"name": "Ada", "age": NaN}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{" * 100_000, "not JSON"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "not JSON"),
    ],
)
def test_what_is_not_what_was_asked_for_is_told(text, problem):
    value, told = compile_schema(PERSON).read(text)
    assert value is None
    assert problem in told


def test_the_whole_answer_counts_before_parts_of_it():
    listed = {"type": "array", "items": {"type": "integer"}}
    assert compile_schema(listed).read("[[1], [2]]")[0] is None


def test_surrogates_become_replacement_characters():
    value, problem = compile_schema({"type": "object"}).read('{"a\\ud800": "\\udfff b"}')
    assert (value, problem) == ({"a\ufffd": "\ufffd b"}, "")
    assert read_json(b'{"a": "\\ud83d"}') == {"a": "\ufffd"}
    assert read_json(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_a_schema_that_is_none_is_refused():
    with pytest.raises(ModelError, match="no JSON Schema"):
        compile_schema({"type": "objekt"})
    with pytest.raises(ModelError, match="not JSON"):
        compile_schema({"const": object()})


def test_references_are_never_fetched():
    schema = compile_schema({"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(ModelError, match="not in it"):
        schema.read("1")


def test_references_inside_a_schema_hold():
    schema = compile_schema(
        {"$defs": {"n": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 1}
    )
    assert schema.read("[1, 2]") == ([1, 2], "")
    assert schema.read('[1, "x"]')[0] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_back(value):
    assert compile_schema(True).read(json.dumps(value)) == (value, "")
    assert compile_schema(True).read(json.dumps(value, ensure_ascii=False)) == (value, "")


@given(st.text(), st.booleans())
def test_no_text_is_too_odd_to_be_read(text, fenced):
    compile_schema(PERSON).read(f"```json\n{text}\n```" if fenced else text)


@given(st.text(st.characters()))
def test_whatever_goes_over_the_wire_can_be_encoded(text):
    fit = fit_for_wire(text)
    fit.encode()
    assert len(fit) == len(text)
    assert all(a == b or "\ud800" <= a <= "\udfff" for a, b in zip(text, fit, strict=True))
