"""Masks: what is in no human language goes, everything else stays."""

from __future__ import annotations

import time

import polars as pl
import pytest

from curate.text import masks


def masked(one: str, *what: masks.Maskable) -> str:
    return " ".join(masks.mask(pl.Series([one]), what or masks.MASKABLE)[0].split())


@pytest.mark.parametrize(
    ("what", "given", "left"),
    [
        ("code", "Siehe:\n```py\nx = 1\n```\nFertig.", "Siehe: Fertig."),
        ("code", "Offen ```js\nlet a = 1", "Offen"),
        ("code", 'So geht es:\ndef f(x):\n    """Give x back."""\n    return x\n\nEnde.', "So geht es: Ende."),
        ("code", "#include <stdio.h>\nint main() {\n  // say hello\n  return 0;\n}", ""),
        ("code", "SELECT name\nFROM people\nWHERE age > 3;", ""),
        (
            "code",
            "# Überschrift\nText\n- Punkt; noch einer;\n(Klammer)",
            "# Überschrift Text - Punkt; noch einer; (Klammer)",
        ),
        ("code", "Die Liste:\n- erstens;\n- zweitens;\n- drittens.", "Die Liste: - erstens; - zweitens; - drittens."),
        ("inline_code", "nimm `pip install x` dafür", "nimm dafür"),
        ("url", "siehe https://example.com/a?b=c(d) und www.example.org, ok", "siehe und ok"),
        ("url", "看https://example.com/页。好", "看 。好"),
        ("url", "[Text](https://example.com) hier", "[Text hier"),
        ("email", "an jo.doe+x@mail.example.org bitte", "an bitte"),
        ("markup", '<p class="a">Text &amp; mehr<br/></p> 3 < 4 > 2', "Text mehr 3 < 4 > 2"),
        ("latex", "Sei $x_1 = \\frac{1}{2}$ und \\alpha. Es kostet $5 und $6.", "Sei und . Es kostet $5 und $6."),
        ("placeholder", "Ich bin {{name}} von ${firma}, %s <noinput> [YOUR NAME]", "Ich bin von ,"),
    ],
)
def test_what_is_no_language_is_masked_and_the_rest_stays(what: masks.Maskable, given: str, left: str) -> None:
    assert masked(given, what) == left
    assert masked(given, *(name for name in masks.MASKABLE if name != what)) != left or left == masked(given)


def test_an_unknown_mask_is_refused_and_nulls_pass() -> None:
    with pytest.raises(KeyError, match="there are code"):
        masks.mask(pl.Series(["x"]), ["kode"])  # type: ignore[list-item]
    assert masks.mask(pl.Series([None, "`x` ok", ""], dtype=pl.String)).to_list() == [None, "  ok", ""]
    assert masks.mask(pl.Series([], dtype=pl.String)).to_list() == []


@pytest.mark.parametrize(
    "hostile",
    [
        "<a " * 50_000,
        "```" + "`" * 100_000,
        "$" * 100_000,
        "{{" * 50_000,
        "a@" * 50_000,
        "\\[" * 50_000,
        "x.y" * 50_000,
        "(" * 100_000,
    ],
)
def test_masks_take_linear_time_on_hostile_text(hostile: str) -> None:
    start = time.perf_counter()
    masks.mask(pl.Series([hostile]))
    assert time.perf_counter() - start < 120  # a search that is not linear takes minutes


def test_the_texts_given_stay_as_they_are():
    given = pl.Series(
        ["plain words", "call `f(x)` at https://example.org", "x = {1: 2};\nif (a) { b(); }", "more words"]
    )
    before = given.to_list()
    masks.mask(given)
    assert given.to_list() == before
