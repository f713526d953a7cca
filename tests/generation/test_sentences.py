"""Sentences and gaps are the text, in every script; a full stop is not always an end."""

from __future__ import annotations

import time

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.text.sentences import between, chop, split

CASES = [
    (
        "en",
        ["Dr. Ada Moss met J. R. Hill at 3.5 p.m. in Leeds.", "Really?", "Yes!", "It cost e.g. 4.20 dollars… or less."],
    ),
    ("en", ['"Come in!" she said.', "He (the cook) did not.", "We ate, etc.", "Then we left."]),
    ("de", ["Am 3. Mai kam Frau Dr. Lang z.B. nach Bonn.", "Es war ca. 8 Uhr usw.", "Danach schlief sie."]),
    ("es", ["¿Quién es?", "¡Es la Sra. Gil!", "Vive en la pág. 4."]),
    ("ru", ["Это, т.е. дом, стоит на ул. Мира.", "Он был построен в 1903 г. рабочими.", "Да!"]),
    ("el", ["Τι κάνεις;", "Είμαι καλά."]),
    ("ar", ["هل أنت هنا؟", "نعم.", "شكراً لك!"]),
    ("ur", ["یہ کتاب ہے۔", "وہ قلم ہے۔"]),
    ("hi", ["यह एक घर है।", "क्या आप आएँगे?", "हाँ॥"]),
    ("hy", ["Սա տուն է։", "Այո։"]),
    ("am", ["ይህ ቤት ነው።", "አዎ።"]),
    ("my", ["ဒါက အိမ်ပါ။", "ဟုတ်တယ်။"]),
    ("km", ["នេះជាផ្ទះ។", "បាទ។"]),
]


def texts(found):
    return [one.text for one in found if one.text]


@pytest.mark.parametrize("language, sentences", CASES)
def test_sentences_of_spaced_scripts_are_found(language, sentences):
    assert texts(split(" ".join(sentences), language)) == sentences


@pytest.mark.parametrize(
    "language, sentences",
    [
        ("zh", ["你好。", "今天很好！", "“真的？”", "他说了3.5次。"]),
        ("ja", ["これは家です。", "本当？", "はい。"]),
        ("bo", ["བཀྲ་ཤིས།", "བདེ་ལེགས།"]),
    ],
)
def test_sentences_of_unspaced_scripts_need_no_blank(language, sentences):
    assert texts(split("".join(sentences), language)) == sentences


def test_thai_is_cut_at_blanks_in_pieces_long_enough_to_be_understood():
    phrase = "วันนี้อากาศดีมากเราไปเดินเล่นกันเถอะ"
    found = split(" ".join([phrase] * 6), "th")
    assert len(found) == 3
    assert all(one.text.count(" ") == 1 for one in found)


def test_no_cut_falls_into_what_is_to_be_kept():
    text = "See A. B. Then go."
    assert texts(split(text, "en", keep=[(4, 15)])) == ["See A. B. Then go."]


def test_line_breaks_end_sentences_and_are_gaps():
    found = split("One line\n\n  another line \t\nthird", "en")
    assert [(one.text, one.gap) for one in found] == [("One line", "\n\n  "), ("another line", " \t\n"), ("third", "")]


# Letters and marks of many scripts, controls, joiners, emoji, surrogate-free anything.
ANY = st.text(
    st.one_of(
        st.sampled_from(
            ".!?…。！？।॥؟۔։።།၊ \t\n\r\u2028\u00a0\u3000\"'”)»*_;:,"
            "-0123abcDEÄßяЖабв中文かなกขคاب\u0301\u200d😀\U0001f469"
        ),
        st.characters(codec="utf-8"),
    ),
    max_size=200,
)
LANGUAGES = st.sampled_from(["en", "de", "el", "hy", "th", "lo", "zh", "ja", "ar", "hi", "bo", "und", "sr-Latn"])


@settings(max_examples=400, deadline=None)
@given(ANY, LANGUAGES)
def test_sentences_and_gaps_are_the_text(text, language):
    found = split(text, language)
    assert "".join(one.text + one.gap for one in found) == text
    assert all(one.gap == "" or one.gap.isspace() for one in found)


@settings(max_examples=300, deadline=None)
@given(ANY, st.integers(1, 60))
def test_chopped_pieces_are_the_text_and_short(text, longest):
    found = chop(text, longest)
    assert "".join(one.text + one.gap for one in found) == text
    assert all(len(one.text) <= max(longest, 64) for one in found)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["é", "ก\u0e33", "क्षि", "👩\u200d👩\u200d👧", "🇧🇷", "a", "한", "ö\u0323"]),
        min_size=1,
        max_size=60,
    ),
    st.integers(12, 30),
)
def test_no_character_is_cut_in_two(characters, longest):
    text = "".join(characters)
    borders = {0, *(match.end() for match in regex.finditer(r"\X", text))}
    place = 0
    for one in chop(text, longest):
        assert place in borders
        place += len(one.text) + len(one.gap)


def test_a_long_sentence_is_cut_after_a_clause_rather_than_at_a_blank():
    text = "When the long rain had ended at last, the old farmer went out to look at the field."
    assert [one.text for one in chop(text, 60)] == [
        "When the long rain had ended at last,",
        "the old farmer went out to look at the field.",
    ]


def test_chop_goes_around_what_is_to_be_kept():
    text = "aaa bbb " + "x" * 30 + " ccc"
    assert any("x" * 30 in one.text for one in chop(text, 20, keep=[(8, 38)]))


@pytest.mark.parametrize(
    "gap, before, after, source, target, between_them",
    [
        (" ", "你好。", "再见。", "en", "zh", ""),
        ("", "Hello.", "Bye.", "zh", "en", " "),
        ("", "Hello,", "dear", "ja", "fr", " "),
        ("\n", "你好。", "再见。", "en", "zh", "\n"),
        ("  ", "Oi.", "Tchau.", "en", "pt", "  "),
        (" ", "ОК.", "Да.", "en", "ru", " "),
        (" ", "Windows.", "苹果", "en", "zh", " "),
        (" ", "สวัสดี", "ลาก่อน", "en", "th", " "),
        ("", "", "x", "zh", "en", ""),
    ],
)
def test_the_gap_between_sentences_fits_the_target_script(gap, before, after, source, target, between_them):
    assert between(gap, before, after, source, target) == between_them


@pytest.mark.parametrize(
    "text",
    ["a. " * 100_000, "." * 300_000, "x" * 300_000, "\n " * 100_000, " " * 300_000, "(" * 200_000, "e\u0301" * 100_000],
)
def test_a_hostile_text_costs_no_more_than_its_length(text):
    began = time.monotonic()
    assert "".join(one.text + one.gap for one in split(text, "en")) == text
    assert "".join(one.text + one.gap for one in chop(text, 300)) == text
    assert time.monotonic() - began < 120  # a search that is not linear takes minutes
