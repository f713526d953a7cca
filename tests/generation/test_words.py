from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.text import words
from curate.text.words import (
    FIXED,
    RUN,
    WORD,
    Lexicon,
    count_words,
    estimate_words,
    fold_of,
    pieces,
    sentence_places,
    spans,
    tokens,
    touches,
)

LEXICON = Lexicon(["喜欢", "喝", "茶", "技术", "ประเทศ", "ไทย", "รัก", "ฉัน", "ในนา", "นา", "ใน", "not a run"])
SCRIPTS = "aé'’-.,3１ ไทยกานา茶喝喜ー々カがはहिंदी\u200dعَر한국བ་ལ\u0301\u00ad\U000e0100🙂\n"
texts = st.one_of(st.text(max_size=60), st.text(SCRIPTS, max_size=60))


@pytest.mark.parametrize("lexicon", [None, LEXICON], ids=["characters", "lexicon"])
@pytest.mark.parametrize("language", ["en", "fr", "zh", "th", "und"])
@given(text=texts)
def test_the_pieces_of_a_text_are_the_text(text: str, language: str, lexicon: Lexicon | None) -> None:
    cut = pieces(text, language, lexicon)
    assert "".join(piece for piece, _ in cut) == text
    assert all(piece for piece, _ in cut)


@given(text=st.text(st.sampled_from("abZ'01.,:/ -_"), max_size=40))
def test_the_quick_way_for_ascii_finds_the_same_words(text: str) -> None:
    # One letter that is not ASCII, apart from everything, takes the general way.
    assert spans(text) == spans(text + "\n é")[:-1]


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("Don't re-use the mp3, 3.14 or 10:30!", "en", ["Don't", "re", "use", "the", "mp3", "3.14", "or", "10:30"]),
        ("Qu’il boive l’eau d'ici", "fr", ["Qu’", "il", "boive", "l’", "eau", "d'", "ici"]),
        ("col·laborar", "ca", ["col·laborar"]),
        ("क्षमा करें, नमस्ते।", "hi", ["क्षमा", "करें", "नमस्ते"]),
        ("می‌خواهم بروم", "fa", ["می‌خواهم", "بروم"]),
        ("בְּרֵאשִׁית צה״ל", "he", ["בְּרֵאשִׁית", "צה״ל"]),
        ("안녕하세요 세계", "ko", ["안녕하세요", "세계"]),
        ("བཀྲ་ཤིས།", "bo", ["བཀྲ", "ཤིས"]),
        ("ሰላም፡ዓለም", "am", ["ሰላም", "ዓለም"]),
        ("我喝茶，AI技术。", "zh", ["我", "喝", "茶", "AI", "技术"]),
    ],
)
def test_words_are_found_in_every_script(text: str, language: str, found: list[str]) -> None:
    assert [text[start:end] for start, end, _ in tokens(text, language, LEXICON)] == found


def test_numbers_and_words_with_digits_are_of_no_language() -> None:
    assert [kind for _, _, kind in spans("two 2 3rd H2O ２ 3.14")] == [WORD, FIXED, FIXED, FIXED, FIXED, FIXED]
    assert [kind for _, _, kind in spans("两 a")] == [RUN, WORD]


def test_a_lexicon_leaves_fewest_characters_over_and_then_takes_fewest_words() -> None:
    assert LEXICON.segment("我喜欢喝茶") == [(0, 1, False), (1, 3, True), (3, 4, True), (4, 5, True)]
    # Greedy cutting would take "ab" and leave the rest.
    lexicon = Lexicon(["天地", "天", "地玄黄", "玄"])
    assert [("天地玄黄"[a:b], known) for a, b, known in lexicon.segment("天地玄黄")] == [("天", True), ("地玄黄", True)]
    assert "not a run" not in LEXICON.words


def test_unknown_letters_of_thai_stay_together_and_vowels_with_their_consonant() -> None:
    assert [("ฉันเกมรัก"[a:b], known) for a, b, known in LEXICON.segment("ฉันเกมรัก")] == [
        ("ฉัน", True),
        ("เกม", False),
        ("รัก", True),
    ]
    characters = [text for text, _ in pieces("เกาะไป", "th")]
    assert characters == ["เกาะ", "ไป"]
    assert next(text for text, _ in pieces("ខ្មែរ", "km")).startswith("ខ្ម")


@pytest.mark.parametrize(
    ("language", "left", "right"),
    [
        ("de", "Straße", "STRASSE"),
        ("en", "Don’t", "don't"),
        ("en", "New\u00a0 York", "new york"),
        ("ar", "كِتَاب", "كتاب"),
        ("he", "סֵפֶר", "ספר"),
        ("tr", "IŞIK", "ışık"),
        ("tr", "İzmir", "izmir"),
        ("az", "QIZ", "qız"),
        ("vi", "tiê\u0301ng", "tiếng"),
        ("en", "well‑known", "well-known"),
    ],
)
def test_what_is_written_differently_is_looked_up_alike(language: str, left: str, right: str) -> None:
    assert fold_of(language)(left) == fold_of(language)(right)


def test_what_differs_stays_different() -> None:
    assert fold_of("en")("I") == "i"
    assert fold_of("tr")("I") == "ı"
    assert fold_of("fr")("du") != fold_of("fr")("dû")
    assert fold_of("hi")("कि") != fold_of("hi")("की")


def test_words_are_counted_and_estimated() -> None:
    assert (count_words("New York", "en"), count_words("纽约", "zh"), count_words("tiếng Việt", "vi")) == (2, 1, 2)
    assert estimate_words("我喜欢喝茶", "zh") == 2
    assert estimate_words("one two three", "en") == 3


def test_sentences_have_places_and_cover_all_words() -> None:
    text = "  Good day. How are you?\n今天好。明天？\n"
    found = [text[start:end] for start, end in sentence_places(text, "en", ())]
    assert found == ["Good day.", "How are you?", "今天好。", "明天？"]


def test_only_letters_of_spaced_scripts_run_together() -> None:
    assert touches("ab", "cd")
    assert touches("a", "ह")
    assert not touches("a", "茶")
    assert not touches("a", ".")
    assert not touches("", "a")


def test_hostile_texts_cost_no_more_than_their_length() -> None:
    start = time.process_time()
    for sign in ("'", "a'", "1.", ".", " ", "e\u0301", "\u0301", "é", "ก", "เ", "茶"):
        text = sign * (200_000 // len(sign))
        assert "".join(piece for piece, _ in words.pieces(text, "fr", LEXICON)) == text
    assert time.process_time() - start < 120
