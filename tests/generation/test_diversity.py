"""Alike is measured in pieces that every script has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.generation.instruct.diversity import Known, Overlaps, dice, grams, normalized

TEXT = st.text(st.sampled_from("abcd éß ก ข 水火木 한국 ـَ .,!१२"), max_size=30)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Write a poem about rain.", "  write a POEM about rain!!"),
        ("اكتب قصيدة عن المطر", "اُكْتُبْ قَصِيدَةً عَنِ المَطَرِ"),
        ("ﾃﾞｰﾀを書く", "データを書く"),
        ("Straße", "STRASSE"),
    ],
)
def test_form_is_not_what_makes_texts_differ(one, other):
    assert normalized(one) == normalized(other)
    known = Known(1.0)
    known.add(one, "first")
    assert known.nearest(other).id == "first"


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        (
            "Write a short poem about the first rain of the year.",
            "Write a poem about the first rain of the year.",
            "Explain how a kettle switches itself off.",
        ),
        ("写一首关于今年第一场雨的短诗。", "写一首关于今年第一场雨的诗。", "解释电热水壶怎样自动断电。"),
        (
            "今年初めての雨について短い詩を書いてください。",
            "今年初めての雨について詩を書いてください。",
            "電気ケトルが自動で切れる仕組みを説明してください。",
        ),
        ("จงแต่งกลอนสั้นเกี่ยวกับฝนแรกของปี", "จงแต่งกลอนเกี่ยวกับฝนแรกของปี", "อธิบายว่ากาต้มน้ำไฟฟ้าตัดไฟเองได้อย่างไร"),
        (
            "올해 첫 비에 대한 짧은 시를 써 주세요.",
            "올해 첫 비에 대한 시를 써 주세요.",
            "전기 주전자가 저절로 꺼지는 원리를 설명하세요.",
        ),
        (
            "साल की पहली बारिश पर एक छोटी कविता लिखो।",
            "साल की पहली बारिश पर एक कविता लिखो।",
            "समझाओ कि बिजली की केतली अपने आप कैसे बंद होती है।",
        ),
        (
            "اكتب قصيدة قصيرة عن أول مطر في السنة.",
            "اكتب قصيدة عن أول مطر في السنة.",
            "اشرح كيف تنطفئ الغلاية الكهربائية وحدها.",
        ),
    ],
)
def test_one_word_more_is_the_same_in_every_script(text, near, far):
    assert dice(grams(text), grams(near)) >= 0.7
    assert dice(grams(text), grams(far)) < 0.35


@settings(deadline=None)
@given(TEXT, TEXT)
def test_the_measure_is_symmetric_between_0_and_1_and_1_for_itself(one, other):
    a, b = grams(one), grams(other)
    assert dice(a, b) == dice(b, a) and 0 <= dice(a, b) <= 1
    assert dice(a, a) == (1.0 if normalized(one) else 0.0)
    assert (np.diff(a.astype(np.int64)) > 0).all()


@settings(deadline=None)
@given(st.lists(TEXT, max_size=30), TEXT, st.sampled_from([0.3, 0.5, 0.7, 0.9]))
def test_the_index_finds_what_comparing_with_each_finds(texts, new, limit):
    known = Known(limit)
    for place, text in enumerate(texts):
        known.add(text, str(place))
        if place % 3 == 0:
            known.nearest(new)
    every = [dice(grams(text), grams(new)) for text in texts]
    found = known.nearest(new)
    same = [
        place
        for place, text in enumerate(texts)
        if (normalized(text) or text.strip()) == (normalized(new) or new.strip())
    ]
    if same:
        assert found.id == str(same[0]) and found.similarity == 1
    elif every and max(every) >= limit:
        assert found.id == str(every.index(max(every))) and found.similarity == pytest.approx(max(every))
    else:
        assert found is None
    assert np.allclose(Overlaps([grams(text) for text in texts]).dice(grams(new)), every)


def test_texts_without_letters_are_compared_exactly():
    known = Known(0.5)
    known.add("🎉🎉", "party")
    assert known.nearest(" 🎉🎉 ").id == "party" and known.nearest("🎈") is None and known.nearest("") is None


def test_hostile_texts_cost_little():
    known = Known(0.7)
    for text in ("a" * 1_000_000, "\ud800x", "漢" * 100_000, "\0", "﷽" * 1000):
        known.add(text, "x")
        assert known.nearest(text).similarity == 1
