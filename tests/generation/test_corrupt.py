"""``corrupt``: what changes is what was asked for, in every script; protected text stays, and nothing else moves."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.generation.corrupt import Corrupt
from curate.rows import Kind

TEXTS = {
    "en": "The quick brown fox jumps over the lazy dog near the old river bank",
    "ar": "الثعلب البني السريع يقفز فوق الكلب الكسول قرب ضفة النهر القديم",
    "hi": "तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर से नदी के पास कूदती है",
    "th": "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ",
    "zh": "敏捷的棕色狐狸跳过河边那只懒惰的狗",
}


def words_of(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("tag", TEXTS)
def test_shuffled_words_are_the_same_words_near_their_place(tag):
    new, share = Corrupt(shuffle=3).damaged(TEXTS[tag], tag, 7)
    assert new != TEXTS[tag] and 0 < share <= 1
    assert Counter(new) == Counter(TEXTS[tag])
    if " " in TEXTS[tag]:
        old, moved = words_of(TEXTS[tag]), words_of(new)
        assert sorted(old) == sorted(moved)
        unique = [word for word in old if old.count(word) == 1]
        assert all(abs(old.index(word) - moved.index(word)) <= 3 for word in unique)


@pytest.mark.parametrize("tag", ["en", "ar", "hi"])
def test_dropped_and_masked_words_are_counted(tag):
    old = words_of(TEXTS[tag])
    new, share = Corrupt(drop=0.5).damaged(TEXTS[tag], tag, 1)
    left = words_of(new)
    assert len(old) - len(left) == pytest.approx(0.5 * len(old), abs=1)
    assert share == pytest.approx((len(old) - len(left)) / len(old)) and "  " not in new
    rest = iter(old)
    assert all(word in rest for word in left)  # in their order
    new, share = Corrupt(mask=0.4).damaged(TEXTS[tag], tag, 1)
    assert words_of(new).count("<mask>") == pytest.approx(0.4 * len(old), abs=1)
    assert [word for word in words_of(new) if word != "<mask>"] == [
        word for word, other in zip(old, words_of(new), strict=True) if other != "<mask>"
    ]


def test_spans_get_one_numbered_mask_each():
    step = Corrupt(mask=0.5, span=3, mask_text="<extra_id_{number}>")
    for seed in range(20):
        new, share = step.damaged(TEXTS["en"], "en", seed)
        numbers = re.findall(r"<extra_id_(\d+)>", new)
        assert numbers == [str(number) for number in range(len(numbers))] and numbers
        kept = [word for word in words_of(new) if not word.startswith("<extra")]
        assert len(kept) == 14 - 7 and share == pytest.approx(0.5)
        assert "> <extra" not in new  # spans do not touch


def test_replaced_words_are_of_the_same_text():
    new, _ = Corrupt(replace=0.5).damaged(TEXTS["hi"], "hi", 3)
    old, now = words_of(TEXTS["hi"]), words_of(new)
    assert len(old) == len(now) and set(now) <= set(old)
    assert sum(one != two for one, two in zip(old, now, strict=True)) == pytest.approx(0.5 * len(old), abs=1)


PROTECTED = "See `x = 1` and https://example.org/a?b=c for {name} or <image> then 世界 mail ana@posteo.de please now"


def test_words_of_a_long_text_are_replaced_without_looking_at_all_words_for_each():
    text = " ".join(f"neno{number}" for number in range(40_000))
    new, share = Corrupt(replace=0.5).damaged(text, "sw", 3)
    old, new = text.split(), new.split()
    assert len(new) == len(old) and set(new) <= set(old)
    assert share == pytest.approx(0.5, abs=1e-4) == sum(a != b for a, b in zip(old, new, strict=True)) / len(old)


def test_protected_text_stays_in_place():
    for seed in range(20):
        new, _ = Corrupt(shuffle=5, drop=0.3, replace=0.2, mask=0.3, span=2).damaged(PROTECTED, "en", seed)
        kept = ["`x = 1`", "https://example.org/a?b=c", "{name}", "<image>", "ana@posteo.de"]
        places = [new.find(one) for one in kept]
        assert -1 not in places and places == sorted(places), new
    code = "Run this\n```\nprint('a b c')\n```\nand see what it prints there"
    assert "```\nprint('a b c')\n```" in Corrupt(drop=1.0).damaged(code, "en", 1)[0]


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=80), st.sampled_from(["en", "th", "zh", "ar", "und"]), st.integers(0, 2**64 - 1), st.integers(0, 4)
)
def test_any_text_can_be_damaged_and_comes_out_the_same_again(text, tag, seed, shuffle):
    step = Corrupt(shuffle=shuffle, drop=0.2, replace=0.2, mask=0.3, span=2)
    new, share = step.damaged(text, tag, seed)
    assert step.damaged(text, tag, seed) == (new, share) and 0 <= share <= 1
    assert (new == text) or share > 0
    if shuffle:
        assert Counter(Corrupt(shuffle=shuffle).damaged(text, tag, seed)[0]) == Counter(text)


def test_rows_keep_their_order_and_the_original(make, bench, gathered, turns):
    rows = make(
        Kind.PARALLEL,
        [
            {"source_language": tag, "language": "en", "source": text, "target": TEXTS["en"]}
            for tag, text in [*TEXTS.items(), ("en", ""), ("en", "One")]
        ],
    )
    context = bench(seed=4)
    made, bad = gathered(Kind.PARALLEL, Corrupt(shuffle=3).make(rows, context))
    assert not bad and len(made) == 7 and {row["target"] for row in made} == {TEXTS["en"]}
    assert [row["attributes"].get("corrupt.original", row["source"]) for row in made] == [*TEXTS.values(), "", "One"]
    assert all(
        row["scores"]["corrupt"] > 0 and row["source"] != text for row, text in zip(made, TEXTS.values(), strict=False)
    )
    assert context.warnings == ["corrupt: nothing changed in 2 of 7 rows"]
    other, _ = gathered(Kind.PARALLEL, Corrupt(shuffle=3).make(rows, bench(seed=5)))
    assert [row["source"] for row in other] != [row["source"] for row in made]
    half = rows.take([place % 2 == 0 for place in range(7)])
    alone, _ = gathered(Kind.PARALLEL, Corrupt(shuffle=3).make(half, bench(seed=4)))
    assert [row["source"] for row in alone] == [row["source"] for row in made[::2]]


def test_the_last_turn_of_a_conversation_is_damaged(make, bench, gathered, turns):
    chat = turns(f"user: {TEXTS['en']}", "assistant: yes", f"user: {TEXTS['hi']}", "assistant: no")
    rows = make(Kind.SFT, [{"language": "hi", "messages": chat}])
    [row], _ = gathered(Kind.SFT, Corrupt(drop=0.5).make(rows, bench()))
    contents = [turn["content"] for turn in row["messages"]]
    assert contents[:2] == [TEXTS["en"], "yes"] and contents[3] == "no"
    assert 0 < len(contents[2]) < len(TEXTS["hi"]) and row["attributes"]["corrupt.original"] == TEXTS["hi"]
    [answer], _ = gathered(Kind.SFT, Corrupt(drop=1.0, field="response").make(rows, bench()))
    assert answer["messages"][-1]["content"] == ""


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({}, "all are 0"), ({"drop": 0.1, "span": 3}, "needs 'mask'"), ({"mask": 1.5}, "less than or equal to 1")],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(ValidationError, match=message):
        Corrupt(**parameters)


def test_an_unknown_field():
    assert "have no field 'text'" in Corrupt(drop=0.1, field="text").check(Kind.SFT)[0]
