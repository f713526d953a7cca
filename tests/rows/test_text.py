"""Text units: letters and scripts, sentences and segments, countable units."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.rows import languages
from curate.text import segmentation as text


def test_letters_are_weighed_and_the_share_of_the_expected_script_is_known() -> None:
    given = pl.Series(
        ["abc 你好", "你好吗朋友这说", "這說們朋友", "ひらカナ漢字", "한국어 abc", "हिन्दी", "123 !?", "", None]
    )
    tags = pl.Series(["en", "zh", "zh", "ja", "ko", "hi", "en", "en", "en"])
    frame = text.letter_weights(given, tags)
    assert frame["letters"].to_list() == [9, 21, 15, 14, 9, 6, 0, 0, 0]
    assert frame["share"].to_list() == [
        pytest.approx(1 / 3),
        1.0,
        1.0,
        1.0,
        pytest.approx(2 / 3),
        1.0,
        None,
        None,
        None,
    ]
    both = pl.Series(["這說們學習語言", "这说们学习语言"])
    assert text.letter_weights(both, pl.Series(["zh", "zh"]))["share"].to_list() == [0.0, 1.0]
    assert text.letter_weights(both, pl.Series(["zh-Hant"] * 2))["share"].to_list() == [1.0, 0.0]
    assert text.letter_weights(both, pl.Series(["und"] * 2))["share"].to_list() == [None, None]


def test_the_writing_of_a_text_names_its_scripts() -> None:
    given = pl.Series(["Hello there", "你好", "今日は雨です", "用 pandas 分析数据", "", "Привет"])
    assert text.writing(text.script_counts(given)) == [
        ("Latin",),
        ("Han",),
        ("Japanese",),
        ("Han", "Latin"),
        (),
        ("Cyrillic",),
    ]


def test_every_script_of_the_language_table_has_letters() -> None:
    table = text.script_table()
    missing = [name for number, name in enumerate(languages.script_names(), 2) if not (table == number).any()]
    assert missing == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=8))
def test_script_counts_are_what_unicode_says(texts: list[str | None]) -> None:
    texts = [one.encode("utf-8", "ignore").decode() if one is not None else None for one in texts]
    counts = text.script_counts(pl.Series(texts, dtype=pl.String))
    for one, row in zip(texts, counts, strict=True):
        assert row.sum() == len(regex.findall(r"\p{L}", one or ""))
        for number, name in enumerate(languages.script_names(), 2):
            assert row[number] == len(regex.findall(rf"(?V1)[\p{{Script={name}}}&&\p{{L}}]", one or ""))
            if number > 12:
                break


def test_batches_are_all_the_texts_in_order_and_of_bounded_size() -> None:
    given = pl.Series(["a" * n for n in (5, 0, 30, 1, 1, 1, 7)] + [None])
    parts = list(text.batches(given, 10))
    assert pl.concat(parts).equals(given)
    assert all(part.str.len_chars().sum() <= 10 or len(part) == 1 for part in parts)
    assert list(text.batches(pl.Series([], dtype=pl.String))) == []


def test_sentences_end_in_every_script() -> None:
    given = pl.Series(
        [
            "One. Two! 3.14 is pi? Yes",
            "你好。再见！好吗？",
            "यह एक है। वह दो है।",
            "هل هذا صحيح؟ نعم۔ جيد",
            "Line one\nLine two",
            "",
            "։",
        ]
    )
    assert text.sentences(given).to_list() == [
        ["One.", "Two!", "3.14 is pi?", "Yes"],
        ["你好。", "再见！", "好吗？"],
        ["यह एक है।", "वह दो है।"],
        ["هل هذا صحيح؟", "نعم۔", "جيد"],
        ["Line one", "Line two"],
        [],
        ["։"],
    ]


def test_segments_are_cut_where_clause_or_script_changes_and_short_ones_are_joined() -> None:
    given = pl.Series(
        [
            "Ich gehe morgen ins Kino, because I want to see that film. मैं जा रहा हूँ",
            "a, b, c, d",
            "",
            "我喜欢ラーメン very much",
        ]
    )
    frame = text.segments(given, 15)
    assert frame.select("row", "segment", "script").rows() == [
        (0, "Ich gehe morgen ins Kino,", "Latin"),
        (0, "because I want to see that film.", "Latin"),
        (0, "मैं जा रहा हूँ", "Devanagari"),
        (1, "a, b, c, d", "Latin"),
        (3, "我喜欢ラーメン ", "Han"),
        (3, "very much", "Latin"),
    ]
    assert frame["letters"].to_list() == [20, 25, 10, 4, 16, 8]
    assert text.segments(pl.Series([], dtype=pl.String)).is_empty()


def test_units_are_words_or_single_characters_by_script() -> None:
    given = pl.Series(["Ha ha HA! no1", "哈哈 ok", "สวัสดี", "", None, "a" * 45, "👍👍", "naïve nai\u0308ve"])
    found = text.units(given)
    assert np.diff(found.offsets).tolist() == [4, 3, 6, 0, 0, 3, 2, 2]
    assert found.singles.tolist() == [0, 2, 6, 0, 0, 0, 2, 0]
    assert found.hashes[0] == found.hashes[1] == found.hashes[2] != found.hashes[3]
    assert found.hashes[4] == found.hashes[5]
    assert found.lengths.tolist()[:7] == [2, 2, 2, 3, 1, 1, 2]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.sampled_from("aB1 ,中क्याาनก่👍é\n"), max_size=25), max_size=5))
def test_units_are_what_a_regular_expression_finds(texts: list[str]) -> None:
    found = text.units(pl.Series(texts, dtype=pl.String))
    seen: dict[str, int] = {}
    names: dict[int, str] = {}
    for number, one in enumerate(texts):
        hashes = found.hashes[found.offsets[number] : found.offsets[number + 1]].tolist()
        pieces = regex.findall(r"(?V1)[\p{Han}\p{Thai}👍]|[[\p{L}\p{M}\p{N}]--[\p{Han}\p{Thai}]]{1,20}", one.lower())
        assert len(hashes) == len(pieces)
        for piece, value in zip(pieces, hashes, strict=True):
            assert seen.setdefault(piece, value) == value and names.setdefault(value, piece) == piece


def test_graphemes_and_emptiness_are_as_people_see_them() -> None:
    assert text.graphemes("👩‍👩‍👧e\u0301क्षि한") == ["👩‍👩‍👧", "e\u0301", "क्षि", "한"]
    frame = pl.DataFrame({"text": ["", "\u200b\ufeff", "\u3164", "x", "👍", "\u0301"]})
    assert frame.select(text.is_empty(pl.col("text"))).to_series().to_list() == [True, True, True, False, False, False]
    assert text.strip_marks(pl.Series(["كَتَبَـ", "שָׁלוֹם", "कि", "é"])).to_list() == ["كتب", "שלום", "कि", "é"]
