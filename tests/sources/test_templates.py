from __future__ import annotations

import datetime
import decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.templates import MISSING, BadValue, as_key, as_text, parse

VALUES = st.text(max_size=30)


def fill(text: str, row: dict[str, Any], *empty: str) -> Any:
    return parse(text).getter(frozenset(empty))(row)


@given(VALUES, VALUES)
def test_what_a_value_holds_is_never_read_as_a_template(left: str, right: str) -> None:
    assert fill("<{a}|{b}>", {"a": left, "b": right}) == f"<{left}|{right}>"


@given(st.text(max_size=40))
def test_any_text_with_its_braces_doubled_is_that_text(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert fill(f"{doubled}{{a}}.", {"a": "!"}) == f"{text}!."


def test_python_format_fields_and_attributes_mean_nothing() -> None:
    assert fill("{a.__class__}", {"a": "x"}) is MISSING
    assert fill("{a!r}", {"a!r": "odd name"}) == "odd name"


def test_one_column_passes_its_value_as_it_is() -> None:
    value = [{"role": "user", "content": "Habari?"}]
    assert fill("{messages}", {"messages": value}) is value
    assert fill("messages", {"messages": value}) is value


def test_paths_go_into_objects_and_lists_and_names_with_dots_go_first() -> None:
    row = {"meta": {"scores": [1, 2, 3]}, "meta.scores": None, "turns": ["erste", "zweite"], "nothing": None}
    assert fill("{meta.scores}", row) is None
    assert fill("{meta.scores.-1}", row) == 3
    assert fill("{turns.1}", row) == "zweite"
    assert fill("{turns.2}", row) is MISSING
    assert fill("{turns.first}", row) is MISSING
    assert fill("{nothing.inside}", row) is None


def test_places_in_lists_may_be_in_brackets() -> None:
    row = {
        "turns": [{"role": "user", "content": "Jambo?"}, {"role": "assistant", "content": "Jambo sana!"}],
        "grid": [[1, 2], [3, 4]],
        "price [EUR]": "3,50",
        "x[0]": "a column of that name",
        "x": ["an element"],
        "by": {"0": "a key"},
    }
    assert fill("{turns[0].content} {turns[-1].content}", row) == "Jambo? Jambo sana!"
    assert fill("turns[-2].role", row) == "user"
    assert fill("{grid[1][0]}", row) == fill("{grid.1.0}", row) == fill("{grid[1].0}", row) == 3
    assert fill("{turns[2]}", row) is fill("{turns[-3].content}", row) is MISSING
    assert fill("{turns[2]?}", row) is MISSING
    assert fill("{by[0]}", row) is MISSING  # an index is of a list, a key of an object
    assert fill("{by.0}", row) == "a key"
    assert fill("{price [EUR]}", row) == "3,50"
    assert fill("{x[0]}", row) == "a column of that name"
    assert {column.root for column in parse("{turns[0].content}{grid[1][0]}").columns} == {"turns", "grid"}


@given(st.lists(VALUES, min_size=1, max_size=5), st.integers(-6, 5))
def test_an_index_is_that_of_a_list(values: list[str], at: int) -> None:
    expected = values[at] if -len(values) <= at < len(values) else MISSING
    assert fill(f"{{v[{at}]}}", {"v": values}) == fill(f"{{v.{at}}}", {"v": values}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{t[}",
        "{t[]}",
        "{t[0}",
        "{t[x}",
        "{t[0]x}",
        "{t[1:2]}",
        "{t[--1]}",
        "{t[+1]}",
        "{t[ 0 ]}",
        "{[0]}",
        "{a.[0]}",
        "t[*]",
    ],
)
def test_a_malformed_index_is_an_error_that_shows_the_right_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"malformed index; .* turns\[0\]"):
        parse(text)


def test_null_lacking_and_empty_values_leave_nothing_in_a_text() -> None:
    template = "{instruction}\n\n{input}"
    assert fill(template, {"instruction": "Sag was.", "input": None}) == "Sag was.\n\n"
    assert fill(template, {"instruction": "Sag was."}) == "Sag was.\n\n"
    assert fill(template, {"instruction": "Sag was.", "input": " <noinput> "}, "<noinput>") == "Sag was.\n\n"
    assert fill(template, {"other": 1}) is MISSING
    assert fill("{input}", {"input": "<noinput>\n"}, "<noinput>") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("{a", "without '}'"),
        ("a}", "without '{'"),
        ("{}", "no column"),
        ("{a{b}}", "without '}'"),
        ("{?}", "no column"),
    ],
)
def test_a_broken_template_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"character|empty") as error:
        parse(text)
    assert said in str(error.value)


def test_values_become_text_as_json_has_them() -> None:
    assert as_text(True) == "true"
    assert as_text(None) == as_text(float("nan")) == ""
    assert as_text({"город": ["Київ", 1.5, None]}) == '{"город":["Київ",1.5,null]}'
    assert as_text(datetime.date(2026, 1, 31)) == "2026-01-31"
    assert as_text(decimal.Decimal("1.50")) == "1.50"
    assert as_text("ภาษาไทย".encode()) == "ภาษาไทย"
    assert as_text(10**30) == str(10**30)
    assert as_text([datetime.datetime(2026, 1, 1, 12), b"x", decimal.Decimal("2")]) == '["2026-01-01T12:00:00","x","2"]'
    with pytest.raises(BadValue, match="byte 1"):
        as_text(b"a\xff")


def test_whole_numbers_read_as_real_ones_are_the_same_key() -> None:
    assert as_key(12) == as_key(12.0) == as_key(" 12 ") == "12"
    assert as_key(12.5) == "12.5"
    assert as_key(float("nan")) == ""


def test_a_text_in_single_quotes_is_that_text_for_every_row():
    for text in ("true", "هل هذا صحيح؟", "a column", "it's"):
        assert parse(f"'{text}'").columns == () and parse(f" '{text}' ").getter()({"a column": "x"}) == text
    assert parse("{'true'}").getter()({"'true'": "a header in quotes"}) == "a header in quotes"
    assert parse("'{prompt}'").getter()({"prompt": "x"}) == "'x'"
    assert parse("'").columns[0].name == "'" and parse("''").columns[0].name == "''"
