"""What is no language is found, marked, put back, and missed when it is gone; layout joined is the text."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.text.layout import by_line, by_paragraph, same_lines
from curate.text.placeholders import (
    PROTECTABLE,
    Span,
    code_blocks,
    differences,
    has_term,
    marked,
    restored,
    spans,
    with_terms,
)


def found(text: str, language: str = "en", what=PROTECTABLE) -> list[str]:
    return [text[one.start : one.end] for one in spans(text, what, language)]


@pytest.mark.parametrize(
    "text, kept",
    [
        ("Go to https://example.org/a?b=c&d=(e).", ["https://example.org/a?b=c&d=(e)"]),
        ("Write to ann.lee+x@mail.example.com, please.", ["ann.lee+x@mail.example.com"]),
        ("Use `x = 1` or ``a`b``.", ["`x = 1`", "``a`b``"]),
        (
            "Dear {name}, {{ city }} has %d of %(what)s, ${sum} <NAME> %1$s.",
            ["{name}", "{{ city }}", "%d", "%(what)s", "${sum}", "<NAME>", "%1$s"],
        ),
        ("A <b>bold</b> &amp; <br/> word", ["<b>", "</b>", "&amp;", "<br/>"]),
        ("So $x^2 + y$ and \\(a_1\\) cost $5 and $6.", ["$x^2 + y$", "\\(a_1\\)"]),
        ("[a link](https://example.org) and ![a picture](p.png)", ["[", "](https://example.org)", "![", "](p.png)"]),
        (
            "Call user_name or __init__ or main(), in C# with #tag by @ann.",
            ["user_name", "__init__", "main()", "C#", "#tag", "@ann"],
        ),
        ("Fun 😀👩‍👧 and x → y, x^2+1", ["😀👩‍👧", "→", "x^2+1"]),
        ("Look in /usr/share/dict but not and/or.", ["/usr/share/dict"]),
        ("100°C, €50, 50%, 3/4, a*b", []),
        ("<|im_start|> and [INST] are marks", ["<|im_start|>", "[INST]"]),
        ("<|im_start|>system\nBe kind<|im_end|>", ["<|im_start|>system", "<|im_end|>"]),
        ("Type ```pip install x``` now, not ``y``.", ["```pip install x```", "``y``"]),
        (
            'Answer {"say": "a word", "more": {"n": 1}} and {no json}.',
            ['{"say": "a word", "more": {"n": 1}}', "{no", "json}"],
        ),
        ("Take (A && !B), then night :: day", ["&&", "::"]),
    ],
)
def test_spans_are_found(text, kept):
    assert found(text) == kept


def test_letters_of_foreign_scripts_are_kept_but_not_latin_ones():
    assert found("The word 猫 means кошка there.") == ["猫", "кошка"]
    assert found("使用 Python 编程。", "zh") == []
    assert found("Слово cat и 猫.", "ru") == ["猫"]
    assert found("漢字とかな", "ja") == []


def test_only_what_is_asked_for_is_protected():
    assert found("`a` https://example.org {b}", what=("url",)) == ["https://example.org"]


PYTHON = (
    "import os\nfrom typing import List\n\n\ndef f(xs: List[int]) -> int:\n    '''Adds up.'''\n\n    return sum(xs)\n"
)
SQL = "CREATE TABLE people (\n    name VARCHAR(50),\n    age INT\n);\n"


@pytest.mark.parametrize(
    "text, blocks",
    [
        (f"Write it.\n\n```python\n{PYTHON}```\nThanks.", [f"```python\n{PYTHON}```\n"]),
        ("Before\n~~~\nx\n", ["~~~\nx\n"]),
        (SQL, [SQL]),
        (
            "Scala:\nval xs = List (1, 2)\n// twice\nval ys = xs.map(twice)\nGood luck.",
            ["val xs = List (1, 2)\n// twice\nval ys = xs.map(twice)\n"],
        ),
        ('{"name": "Ann", "age": 3}', ['{"name": "Ann", "age": 3}']),
        ('["apples", "pears"]', []),
        ("<script>\nlet a = 1\nfoo bar\n</script>\n<p>Hello</p>\n", ["<script>\nlet a = 1\nfoo bar\n</script>\n"]),
        ("Do so: ```py\nx is the word\n```\nGood luck.", ["```py\nx is the word\n```\n"]),
        (
            "Do so: ```\nx is the word\n``` and then ```sh\nls the word\n```",
            ["```\nx is the word\n```", "```sh\nls the word\n```"],
        ),
        (
            "Do so:\n```\nx is the word}```\nGood luck.\n```c\na word\n```\n",
            ["```\nx is the word}```\n", "```c\na word\n```\n"],
        ),
        ("Do so: ```py\nit was cut off\nhere", ["```py\nit was cut off\nhere"]),
        ("Write ```pip install``` now\nand wait.", []),
        ("A block begins with ```\nas you know.", []),
        ("> 1. ```\n> a word\n> ```\nend", ["> 1. ```\n> a word\n> ```\n"]),
        ("Do so:\ndef hello (name): print (“Hello”+name)", ["def hello (name): print (“Hello”+name)"]),
        ("With the following things:\n- milk\nfor you and me.\nelse we go.\n", []),
        ("# Heading\n\nA text about return of the king.\n", []),
    ],
)
def test_program_text_is_found_by_lines(text, blocks):
    assert [text[start:end] for start, end in code_blocks([text])[0]] == blocks


def test_python_with_blank_lines_is_all_code():
    start, end = code_blocks([PYTHON])[0][0][0], code_blocks([PYTHON])[0][-1][1]
    assert PYTHON[start:end].strip() == PYTHON.strip()


def test_markers_come_back_as_spans_wherever_the_translator_puts_them():
    text = "Use `a` with {b} now"
    there = spans(text)
    assert marked(text, there) == "Use %X1 with %X2 now"
    assert restored("Agora use %X2 com % x1", text, there) == "Agora use {b} com `a`"
    assert restored("Use %X1 agora", text, there) is None
    assert restored("Use %X1 %X1 %X2", text, there) is None


def test_a_marker_never_runs_into_a_word():
    text = "the [name](x.html)s are"
    there = spans(text)
    assert marked(text, there) == "the %X1 name %X2 s are"
    assert restored("die %X1 Namen %X2 s sind", text, there) == "die [Namen](x.html)s sind"


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab `{}%X1<>/@.$\\_^#é中😀|*()[]:"), max_size=80))
def test_marking_and_restoring_is_the_text(text):
    there = spans(text)
    assert all(one.start < one.end for one in there)
    assert all(one.end <= other.start for one, other in pairwise(there))
    if "%X" not in text.replace("%X1", ""):
        back = restored(marked(text, there), text, there)
        assert back is None or back == text


def test_lost_and_doubled_spans_are_told():
    text = "See {a} and {b}."
    there = spans(text)
    assert differences(text, "Ver {a} e {b}.", there) == []
    assert differences(text, "Ver {a}.", there) == ["'{b}' is missing"]
    assert differences(text, "Ver {a} {a} {b}.", there) == ["'{a}' is there 2 times, not 1"]


def test_terms_are_whole_words_in_any_case_longest_first():
    text = "Deep Learning is not learning deeply."
    there = with_terms(text, [], [("learning", "aprender"), ("deep learning", "aprendizado profundo")])
    assert [(text[one.start : one.end], one.said) for one in there] == [
        ("Deep Learning", "aprendizado profundo"),
        ("learning", "aprender"),
    ]
    assert has_term("机器学习很好", "学习")
    assert not has_term("relearning", "learning")


LAID = (
    "# Title\n\nIntro:\n\n- one\n  * [ ] two\n1. three\n\n| Name "
    "| Age |\n|------|-----|\n| Ann | 3 |\n\n> said\n\nEnd.  \n\n"
)


def test_layout_is_taken_off_line_by_line():
    pieces = by_line(LAID, [])
    assert "".join(one.text for one in pieces) == LAID
    assert [one.source for one in pieces if one.translated] == [
        "Title",
        "Intro:",
        "one",
        "two",
        "three",
        "Name",
        "Age",
        "Ann",
        "said",
        "End.",
    ]


def test_a_sentence_broken_over_lines_is_one_and_broken_again():
    text = (
        "This sentence was broken by an editor that likes short\n    lines, as old ones do, and went on here.\nNew one."
    )
    first, *_ = [one for one in by_line(text, []) if one.translated]
    assert (
        first.source
        == "This sentence was broken by an editor that likes short lines, as old ones do, and went on here."
    )
    laid = first.laid_out(
        "Esta frase foi quebrada por um editor que gosta de linhas curtas, como os antigos, e continuou aqui."
    )
    assert laid.count("\n    ") == 1
    assert (
        laid.replace("\n    ", " ")
        == "Esta frase foi quebrada por um editor que gosta de linhas curtas, como os antigos, e continuou aqui."
    )
    assert "".join(one.text for one in by_line(text, [])) == text


def test_a_pipe_in_code_is_no_border_of_a_cell():
    text = "| use `a|b` here | second |"
    keep = [(one.start, one.end) for one in spans(text)]
    assert [one.text for one in by_line(text, [], keep) if one.translated] == ["use `a|b` here", "second"]


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from("ab. \t\n\r|-*#>1)`~{}:é中ก😀[]x/\"'"), max_size=150), st.booleans())
def test_pieces_are_the_text_whatever_it_is(text, unwrap):
    blocks = code_blocks([text])[0]
    assert "".join(one.text for one in by_line(text, blocks, unwrap=unwrap)) == text
    assert "".join(one.text for one in by_paragraph(text, blocks, 40, "en")) == text
    for one in by_line(text, blocks, unwrap=unwrap):
        assert not one.translated or "\n" not in one.source
        assert not one.translated or not one.breaks or one.laid_out(one.source).split() == one.source.split()


def test_lines_of_a_paragraph_keep_their_marks():
    assert same_lines("- one  \n  - two", "- um\n- dois") == "- um  \n  - dois"
    assert same_lines("- one\n- two", "- um e dois") is None
    assert same_lines("- one\n- two", "um\ndois") is None
    assert same_lines("a | b", "c") is None


@pytest.mark.parametrize(
    "unit",
    [
        "`",
        "<a ",
        "a.b.",
        "$x",
        "{",
        "(",
        "\\(",
        "<!--",
        "a@",
        "x^",
        "_a",
        "/a",
        "😀",
        "猫, ",
        "%(",
        "a_",
        "[](",
        " ",
        "a:",
        "- ",
        "| a",
        '{"a":',
        "```",
        "``` ",
        "```a",
        "x ```\n",
        "x ```py\n",
        "```py\n",
        "}```\n",
        "::",
        "\n",
        ">",
    ],
)
def test_hostile_texts_cost_no_more_than_their_length(unit):
    text = unit * (200_000 // len(unit))
    began = time.monotonic()
    spans(text, language="en")
    blocks = code_blocks([text])[0]
    assert "".join(one.text for one in by_line(text, blocks)) == text
    assert "".join(one.text for one in by_paragraph(text, blocks, 3_000)) == text
    assert time.monotonic() - began < 120  # a search that is not linear takes minutes


def test_a_span_of_many_lines_is_found_whole():
    text = "Solve\n\\[\nx = 1\n\\]\nnow"
    assert spans(text) == [Span(6, 17, "latex")]
