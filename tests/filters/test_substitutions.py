"""Substitutions: what stands in place of something else keeps two texts apart; what was added or cut does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.duplicates import mismatch_veto
from filters.duplicates.normalize import Normalization
from filters.duplicates.step import _NEAR, Duplicates
from filters.duplicates.substitutions import Vetoes

NORMAL = Normalization(**_NEAR)
OFF = {"numbers": False, "negation": False, "words": False}


def vetoed(language: str, left: str, right: str, **only: bool) -> bool:
    """Whether two texts are kept apart, by all vetoes or only by those named."""
    tags = pl.Series([language, language])
    clean = NORMAL.clean(pl.Series([left, right]), tags)
    numbers, denials = mismatch_veto.numbers(clean), mismatch_veto.negations(clean, tags)
    a, b = NORMAL.finish(clean).to_list()
    found = Vetoes(**({**OFF, **only} if only else {})).of(
        [a], [b], [language], np.array([numbers[0] == numbers[1]]), np.array([denials[0] == denials[1]])
    )
    return bool(found[0])


@pytest.mark.parametrize(
    ("veto", "language", "left", "right"),
    [
        ("numbers", "en", "The tram has 14 stops on its way", "The tram has 15 stops on its way"),
        ("numbers", "en", "It costs $5 to cross the bridge", "It costs €5 to cross the bridge"),
        ("numbers", "en", "Is a < b if both are positive", "Is a > b if both are positive"),
        ("numbers", "en", "Work out 7 - 3 step by step", "Work out 7 3 step by step"),
        ("numbers", "en", "What is 12 + 30 in all", "What is 12 + 30 + 4 in all"),
        ("numbers", "en", "Sort the list in C++ with care", "Sort the list in C# with care"),
        ("numbers", "en", "They sold 20 of the boats", "They sold some of the boats"),
        ("numbers", "ar", "في الحديقة ١٢ شجرة تفاح قديمة", "في الحديقة ١٣ شجرة تفاح قديمة"),
        ("numbers", "zh", "院子里有三十二棵苹果树", "院子里有三十五棵苹果树"),
        ("numbers", "th", "ในสวนมีต้นแอปเปิล 12 ต้น", "ในสวนมีต้นแอปเปิล 13 ต้น"),
        ("negation", "en", "The bakery can open on Monday", "The bakery can't open on Monday"),
        ("negation", "en", "The bakery is open on Monday", "The bakery is not open on Monday"),
        ("negation", "de", "Der Bäcker hat am Montag Brot", "Der Bäcker hat am Montag kein Brot"),
        ("negation", "hi", "यह दुकान सोमवार को खुली है", "यह दुकान सोमवार को खुली नहीं है"),
        ("negation", "zh", "这家面包店星期一开门", "这家面包店星期一不开门"),
        ("negation", "th", "ร้านนี้เปิดวันจันทร์ตอนเช้า", "ร้านนี้ไม่เปิดวันจันทร์ตอนเช้า"),
        ("words", "en", "Describe a day in the life of Shelley", "Describe a day in the life of Miller"),
        ("words", "ru", "Опиши один день из жизни собаки в деревне", "Опиши один день из жизни кошки в деревне"),
        ("words", "ar", "صف يوما في حياة كلب في القرية", "صف يوما في حياة قطة في القرية"),
        ("words", "zh", "请描述一只小狗在乡下的一天", "请描述一只小猫在乡下的一天"),
        ("words", "ja", "田舎のロボットの一日を書いてください", "田舎のトラクターの一日を書いてください"),
        ("words", "th", "เล่าเรื่องวันหนึ่งของหุ่นยนต์ในชนบท", "เล่าเรื่องวันหนึ่งของชาวนาในชนบท"),
    ],
)
def test_another_figure_negation_or_word_in_its_place_keeps_texts_apart(
    veto: str, language: str, left: str, right: str
) -> None:
    assert vetoed(language, left, right, **{veto: True}) and vetoed(language, right, left, **{veto: True})
    assert not vetoed(language, left, right, **{one: one != veto for one in OFF} | {"words": False})


@pytest.mark.parametrize(
    ("language", "left", "right"),
    [
        ("en", "The tram stops at the old mill", "> The tram stops at the old mill"),
        ("en", "The tram stops at the old mill", "- The tram stops at the old mill"),
        ("en", "The tram stops at the old mill", "3. The tram stops at the old mill"),
        ("en", "The tram stops at the old mill", "Question 12: The tram stops at the old mill"),
        ("en", "The tram stops at the old mill", "Do not translate: The tram stops at the old mill"),
        ("en", "See a -> b on the old map", "See a b on the old map"),
        ("en", "The tram stops at the mill and passes 14 farms before noon", "The tram stops at the mill and pas"),
        ("en", "The tram was built from 1321 to 1323", "The tram was built from 13"),
        ("en", "The tram stops at the old mill", "The trma stops stops at old the mill"),
        ("en", "The tram can not stop at the mill", "The tram cannot stop at the mill"),
        ("de", "Die Bahn hält nicht an der Mühle", "Die Bahn hält nihct an der Mühle"),
        ("fa", "قطار کنار آسیاب کهنه می‌ایستد", "پرسش ۱۲: قطار کنار آسیاب کهنه می‌ایستد"),
        ("hi", "ट्राम पुरानी चक्की के पास रुकती है", "प्रश्न ३: ट्राम पुरानी चक्की के पास रुकती है"),
        ("zh", "电车停在老磨坊旁边的广场上", "问题三：电车停在老磨坊旁边的广场上"),
        ("zh", "电车停在老磨坊旁边的广场上", "电车停在老磨磨坊边旁的广场"),
        ("th", "รถรางจอดใกล้โรงสีเก่าริมน้ำ", "1. รถรางจอดใกล้โรงสีเก่าริมน้"),
        ("en", "", ""),
    ],
)
def test_what_is_added_cut_moved_or_mistyped_keeps_nothing_apart(language: str, left: str, right: str) -> None:
    assert not vetoed(language, left, right) and not vetoed(language, right, left)


SAID = st.lists(
    st.sampled_from(["river", "stone", "lamp", "моря", "दीपक", "سوق", "天", "气", "12", "3.5", "น้ำ"]), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(SAID, st.lists(st.sampled_from(["please", "answer", "7", "問", "सवाल"]), min_size=2, max_size=5))
def test_a_heading_in_words_never_keeps_texts_apart_and_a_text_is_like_itself(
    words: list[str], head: list[str]
) -> None:
    head = [*head, "thus:"]
    text = " ".join(words)
    for left, right in ((text, text), (text, f"{' '.join(head)} {text}"), (f"{' '.join(head)} {text}", text)):
        assert not vetoed("en", left, right)


@settings(max_examples=40, deadline=None)
@given(SAID, SAID, st.integers(10, 10**6), st.integers(10, 10**6))
def test_one_other_number_between_equal_words_always_keeps_texts_apart(
    before: list[str], after: list[str], one: int, other: int
) -> None:
    left, right = (" ".join([*before, "bridge", str(number), "bridge", *after]) for number in (one, other))
    assert vetoed("en", left, right, numbers=True) == (one != other)


def test_a_long_document_may_differ_in_words_but_not_in_a_number() -> None:
    words = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}word" for n in range(300)]
    text = " ".join(words)
    assert not vetoed("en", text, text.replace(words[150], "hippopotamus"))
    assert vetoed("en", f"{text} 12 boats", f"{text} 13 boats")


def test_a_copy_with_a_heading_or_without_its_end_is_found_by_default(make: Any, context: Any, tmp_path: Any) -> None:
    from settling import settle

    from curate.rows import Kind

    texts = [
        ("en", "The ferry leaves at 7 and carries 40 people to the island behind the lighthouse."),
        ("en", "Question 5: The ferry leaves at 7 and carries 40 people to the island behind the lighthouse."),
        ("en", "The ferry leaves at 7 and carries 40 people to the island behind the lig"),
        ("en", "The ferry leaves at 7 and carries 60 people to the island behind the lighthouse."),
        ("en", "The ferry leaves at 7 and carries 40 people to the island behind the monastery."),
        ("ar", "يغادر القارب في الساعة ٧ ويحمل ٤٠ راكبا إلى الجزيرة خلف المنارة القديمة."),
        ("ar", "١. يغادر القارب في الساعة ٧ ويحمل ٤٠ راكبا إلى الجزيرة خلف المنارة القديمة."),
        ("ar", "يغادر القارب في الساعة ٧ ويحمل ٦٠ راكبا إلى الجزيرة خلف المنارة القديمة."),
        ("zh", "渡轮早上七点出发，载着四十个人去灯塔后面的小岛。"),
        ("zh", "渡轮早上七点出发，载着四十个人去灯塔后面的"),
        ("zh", "渡轮早上七点出发，载着六十个人去灯塔后面的小岛。"),
    ]
    rows = make(
        Kind.DOCUMENT, [{"language": tag, "text": text, "group_id": f"g:{n}"} for n, (tag, text) in enumerate(texts)]
    )
    found = settle(Duplicates(method="minhash"), [rows], context, tmp_path)
    assert [one["keep"] for one in found] == [True, False, False, True, True, True, False, True, True, False, True]
    assert {one["duplicate_of"] for one in found[1:3]} == {rows.ids[0]}


SIGNS = st.text(st.sampled_from("aÄжक\u0941中一三 \n.,;'’:!-−*/+=<>$%#^()|12३,٣²½"), max_size=40)


@given(st.lists(SIGNS, max_size=4))
@settings(max_examples=300, deadline=None)
def test_numbers_are_the_same_whatever_the_letters_between_them(texts: list[str]) -> None:
    assert mismatch_veto.numbers(pl.Series(texts, dtype=pl.String)) == [mismatch_veto._numbers_in(one) for one in texts]


PARTS = st.sampled_from(["no", "not", "n't", "t", "never", "'", "’", " ", "1", ".", "K", "ot", "É", "\u0301"])
NEGATED = st.lists(PARTS, max_size=12).map("".join)


@given(st.lists(NEGATED, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_no_negation_is_missed_by_the_first_look(texts: list[str]) -> None:
    tags = ["en"] * len(texts)
    few = mismatch_veto.negations(pl.Series(texts), pl.Series(tags))
    many = mismatch_veto.negations(pl.Series(texts * 200), pl.Series(tags * 200))
    assert many == few * 200


PROMPT = "You are a patient helper who answers in whole sentences and says what is not known. The request: "
PROMPT_ZH = "你是一位有耐心的助手，请用完整的句子回答，并说明你不知道的事情。请求："


@pytest.mark.parametrize(
    ("language", "prompt", "left", "right"),
    [
        ("en", PROMPT, "Write a poem about a lighthouse", "Explain why bread dough rises overnight"),
        ("en", PROMPT, "Name one fish", "Tell me the rules of the offside trap in football"),
        ("zh", PROMPT_ZH, "写一首关于灯塔的小诗", "解释面团为什么会发酵"),
        ("ar", "أجب عن الطلب التالي بجمل كاملة ومهذبة: ", "اكتب قصيدة عن منارة قديمة", "اشرح سبب اختمار العجين ليلا"),
    ],
)
def test_two_requests_in_one_prompt_are_no_duplicates(language: str, prompt: str, left: str, right: str) -> None:
    assert vetoed(language, prompt + left, prompt + right)
    assert vetoed(language, f"{left}. {prompt}", f"{right}. {prompt}")
    assert not vetoed(language, prompt + left, prompt + right, numbers=True)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Write a short poem about a lighthouse", "Write a about short a lighthouse poem"),
        ("Write a short poem about a lighthouse", "Wirte a shrot peom abuot a lihgthouse"),
        ("Write a short poem about a lighthouse", "Question 3: Write a short poem about a lighthouse"),
        ("Write a short poem about a lighthouse in the north", "Write a short poem about a light"),
        ("Write a short poem", "Write a poem"),
    ],
)
def test_an_edited_request_in_the_same_prompt_is_a_duplicate(left: str, right: str) -> None:
    assert not vetoed("en", PROMPT + left, PROMPT + right)
