"""Templates are read once, and what is put in is never read as a template."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.text.templates import UnpairedBraceError, fill, parse

ANY = st.text(st.sampled_from("{}abя1. \n"), max_size=30)


def test_a_template_is_names_with_the_text_before_them() -> None:
    assert parse("a {b}{c} {{d}}") == (("a ", "b"), ("", "c"), (" {d}", None))
    assert parse("") == () and parse("x") == (("x", None),)


@given(ANY, ANY)
def test_doubled_braces_and_values_are_taken_as_they_are(text: str, value: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert fill(f"{doubled}{{a}}.", {"a": value}.__getitem__) == f"{text}{value}."


@pytest.mark.parametrize(
    ("text", "brace", "place"), [("a}", "}", 1), ("{a", "{", 0), ("{a{b}", "{", 0), ("{a}}", "}", 3), ("x {1}", "{", 2)]
)
def test_an_unpaired_brace_is_told_with_its_place(text: str, brace: str, place: int) -> None:
    with pytest.raises(UnpairedBraceError, match=f"character {place + 1}") as error:
        parse(text, r"[a-z]")
    assert (error.value.brace, error.value.place) == (brace, place)
