"""What models see of a text."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.models.embedding.preprocess import count_scripts, encode_in_pieces, make_fit, split_text, strip_tashkeel
from curate.models.loading.supported import Supported


@given(st.text(), st.integers(1, 40))
def test_pieces_are_short_and_together_are_the_text(text: str, most: int) -> None:
    pieces = split_text(text, most)
    assert "".join(pieces) == text
    assert all(len(piece) <= most for piece in pieces)
    assert all(pieces) or text == ""


def test_a_long_text_is_cut_after_a_sentence_of_its_own_script() -> None:
    assert split_text("Eins zwei drei. Vier fünf sechs. Sieben.", 34) == [
        "Eins zwei drei. Vier fünf sechs. ",
        "Sieben.",
    ]
    assert split_text("今日は雨です。明日は晴れるでしょう。", 12) == ["今日は雨です。", "明日は晴れるでしょう。"]
    assert split_text("यह पहला है। यह दूसरा वाक्य है।", 20)[0] == "यह पहला है। "


def test_a_number_with_a_point_is_no_end_of_sentence() -> None:
    assert split_text("the value is 3.14159 here", 18) == ["the value is ", "3.14159 here"]


def test_a_word_longer_than_a_piece_is_cut_before_a_letter_not_before_its_vowel_sign() -> None:
    pieces = split_text("กิ" * 20, 7)
    assert all(piece[0] == "ก" for piece in pieces)


def test_arabic_loses_its_vowel_signs_but_not_its_hamza() -> None:
    assert strip_tashkeel("ٱلْحَمْدُ لِلَّهِ") == "الحمد لله"
    assert strip_tashkeel("أُسْتَاذٌ آمِنٌ") == "أستاذ آمن"
    assert strip_tashkeel("مرحبـــا") == "مرحبا"


@given(st.text(st.characters(exclude_categories=("Cs",), max_codepoint=0x5FF)))
def test_text_without_arabic_signs_is_left_alone(text: str) -> None:
    assert strip_tashkeel(text) == text


def test_accents_of_other_scripts_stay() -> None:
    assert strip_tashkeel("Čeština, żółć, ξένος, हिन्दी, cafe\u0301") == "Čeština, żółć, ξένος, हिन्दी, cafe\u0301"


def test_nul_and_lone_surrogates_become_blanks() -> None:
    assert make_fit("a\x00b\ud800c\udfffd 😀") == "a b c d 😀"


def test_letters_are_counted_by_script() -> None:
    counts, names = count_scripts(["Hallo мир 12", "नमस्ते", "漢字とカナ", "", "Ｗｉｄｅ", "😀\ud800"])
    found = [{names[i]: int(n) for i, n in enumerate(row) if n and i} for row in counts]
    assert found == [
        {"Latin": 5, "Cyrillic": 3},
        {"Devanagari": 4},
        {"Han": 2, "Hiragana": 1, "Katakana": 2},
        {},
        {"Latin": 4},
        {},
    ]


def test_pieces_are_averaged_by_length_and_blank_texts_are_zero() -> None:
    def encode(pieces: list[str]) -> np.ndarray:
        return np.array([[1.0, 0.0] if piece[0] == "a" else [0.0, 1.0] for piece in pieces], np.float32)

    vectors = encode_in_pieces(["aaaa", "aaa bb", "  \n", ""], 4, 2, encode)
    assert vectors[0].tolist() == [1, 0]
    assert np.allclose(vectors[1], np.array([4, 2]) / np.hypot(4, 2))
    assert vectors[2:].tolist() == [[0, 0], [0, 0]]


def test_a_language_is_supported_with_its_regions_but_in_its_script_only() -> None:
    some = Supported(["pt", "hi", "zh", "sr-Latn"])
    assert all(tag in some for tag in ("pt", "pt-BR", "hi", "zh", "zh-CN", "zh-Hans", "sr-Latn", "sr-Latn-RS"))
    assert not any(tag in some for tag in ("hi-Latn", "zh-Hant", "zh-TW", "sr", "es", "und", "no such", ""))
