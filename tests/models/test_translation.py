"""What all translators share: cutting, carrying over, keeping answers; with an engine that the test can see into."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import ModelError
from curate.models.cache.responses import AnswerCache
from curate.models.translation.base import SentenceTranslator, Translated, cut_text, glue, halve
from curate.models.translation.language_pairs import Pairs, parse_pair
from curate.models.translation.vocabulary_fallback import OovNormalizer
from curate.steps.models import Translator

ANY = st.text(st.characters(exclude_categories=()), max_size=120)


class Shouting:
    """An engine that says everything in capitals, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, pieces: list[str], source: str, target: str) -> list[Translated]:
        self.asked += pieces
        for piece in pieces:
            assert piece == piece.strip()
            assert not set(piece) & set("\n\r\x00\u2028")
        return [Translated(piece.upper(), "too long" if "fail" in piece else "") for piece in pieces]


def build(engine: Shouting, folder: Path | None = None, **more: object) -> SentenceTranslator:
    return SentenceTranslator(
        engine,
        name="shouting",
        pairs=more.pop("pairs", None)
        or Pairs([("en", "de"), ("de", "fr"), ("ja", "en"), ("en", "ja"), ("en", "pt-BR"), ("en", "pt")]),
        revision=more.pop("revision", lambda source, target: f"shout-{source}-{target}@1"),
        cache=AnswerCache(folder, "shout", {"use": "shout"}),
        **{"longest": 40, **more},
    )


def test_it_is_a_translator() -> None:
    assert isinstance(build(Shouting()), Translator)


def test_order_is_kept_equal_sentences_are_asked_once_and_blank_ones_never() -> None:
    engine = Shouting()
    sentences = ["two birds", "", "a tree", "two birds", "  \t", "12 + 3 = 15", "…", "😀"]
    assert build(engine).translate(sentences, "en", "de") == [
        "TWO BIRDS",
        "",
        "A TREE",
        "TWO BIRDS",
        "  \t",
        "12 + 3 = 15",
        "…",
        "😀",
    ]
    assert engine.asked == ["two birds", "a tree"]


def test_blanks_around_and_line_breaks_inside_stay_where_they_are() -> None:
    assert build(Shouting()).translate(["  one tree \n\n two\r\ntrees\u2028end "], "en", "de") == [
        "  ONE TREE \n\n TWO\r\nTREES\u2028END "
    ]


def test_a_second_process_finds_what_the_first_has_paid_for(tmp_path: Path) -> None:
    first, second = Shouting(), Shouting()
    build(first, tmp_path).translate(["one tree", "two trees"], "en", "de")
    assert build(second, tmp_path).translate(["two trees", "three"], "en", "de") == ["TWO TREES", "THREE"]
    assert second.asked == ["three"]


def test_another_revision_or_direction_is_asked_anew(tmp_path: Path) -> None:
    engine = Shouting()
    build(engine, tmp_path).translate(["one tree"], "en", "de")
    build(engine, tmp_path, revision=lambda source, target: "shout@2").translate(["one tree"], "en", "de")
    build(engine, tmp_path).translate(["one tree"], "en", "pt")
    assert engine.asked == ["one tree"] * 3


def test_a_failure_is_told_and_not_kept(tmp_path: Path) -> None:
    engine = Shouting()
    translator = build(engine, tmp_path)
    found = translator.translate_checked(["we fail", "we do"], "en", "de")
    assert [(one.text, one.problem) for one in found] == [("WE FAIL", "too long"), ("WE DO", "")]
    translator.translate(["we fail", "we do"], "en", "de")
    assert engine.asked == ["we fail", "we do", "we fail"]


def test_done_counts_every_sentence_once() -> None:
    told: list[int] = []
    translator = build(Shouting(), chunk=2)
    sentences = ["one", "", "two", "three", "one", "four", "five", "1"]
    translator.translate(sentences, "en", "de", told.append)
    assert sum(told) == len(sentences)
    assert len(told) > 1
    told.clear()
    translator.translate(sentences, "en", "de", told.append)
    assert told == [len(sentences)]


def test_a_region_is_answered_by_the_language_and_the_nearest_comes_first() -> None:
    translator = build(Shouting())
    assert translator.supports("en-GB", "de-CH")
    assert translator.maker("en-GB", "pt-BR") == "shout-en-pt-BR@1"
    assert translator.maker("en", "pt-PT") == "shout-en-pt@1"
    assert not translator.supports("en", "sr-Latn")
    assert not translator.supports("en", "en-GB")
    assert not translator.supports("no such language", "de")


def test_an_unsupported_pair_says_what_there_is_and_what_comes_nearest() -> None:
    translator = build(Shouting())
    with pytest.raises(ModelError, match=r"shouting does not translate en→fr, but en→de→fr: .*use: route"):
        translator.translate(["x"], "en", "fr")
    with pytest.raises(
        ModelError, match=r"sw is no language it translates from; into de it translates from en \(it has de→fr, "
    ):
        translator.translate(["x"], "sw", "de")


def test_long_sentences_are_cut_at_clauses_and_joined_again() -> None:
    engine = Shouting()
    text = "the first tree is old, the second tree is young; the third one has fallen"
    assert build(engine).translate([text], "en", "de") == [text.upper()]
    assert engine.asked == ["the first tree is old,", "the second tree is young;", "the third one has fallen"]


def test_endless_text_without_blanks_is_cut_and_kept_whole() -> None:
    engine = Shouting()
    assert build(engine).translate(["x" * 100_000], "en", "de") == ["X" * 100_000]
    assert max(map(len, engine.asked)) == 40


def test_pieces_of_an_unspaced_language_get_blanks_in_a_spaced_one_and_lose_them_the_other_way() -> None:
    engine = Shouting()
    cut = build(engine, longest=6).translate(["木は古い。川は長い。"], "ja", "en")
    assert cut == ["木は古い。 川は長い。"]
    assert build(engine, longest=9).translate(["old tree long river"], "en", "ja") == ["OLD TREELONGRIVER"]


@settings(max_examples=100, deadline=None)
@given(ANY, st.integers(1, 50))
def test_pieces_together_are_the_text(text: str, longest: int) -> None:
    pieces = cut_text(text, longest)
    assert "".join(pieces) == text
    assert all(len(piece) <= longest for piece in pieces)


def test_halves_are_about_equal_and_cut_where_a_reader_would() -> None:
    text = "The river rose in the night, and the lower fields were covered."
    left, right = halve(text) or ("", "")
    assert (left, right) == ("The river rose in the night, ", "and the lower fields were covered.")
    assert halve("too short") is None
    assert glue("Der Fluss", "stieg", "en", "de") == "Der Fluss stieg"
    assert glue("川は", "長い", "en", "ja") == "川は長い"


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY, max_size=6))
def test_any_text_is_safe_and_a_sentence_never_touches_its_neighbours(texts: list[str]) -> None:
    normalizer = OovNormalizer(lambda char: char.isascii() and char not in "{<#")
    translator = build(Shouting(), normalizer=lambda source, target: normalizer)
    together = translator.translate(texts, "en", "de")
    assert together == [
        build(Shouting(), normalizer=lambda source, target: normalizer).translate([text], "en", "de")[0]
        for text in texts
    ]
    for text, translated in zip(texts, together, strict=True):
        assert translated.count("\n") == text.count("\n")


# ------------------------------------------------------------------------------------------------------------ spelling
@pytest.fixture
def plain() -> OovNormalizer:
    """A vocabulary of ASCII and a few small letters."""
    return OovNormalizer(lambda char: (char.isascii() and char not in "{}<@#") or char in "éãç")


def test_what_cannot_be_spelt_is_carried_over_whole(plain: OovNormalizer) -> None:
    assert plain.runs("see 🎉 now") == [("see ", False), ("🎉", True), (" now", False)]
    assert plain.runs("in {name}, now") == [("in ", False), ("{name}", True), (", now", False)]
    assert plain.runs("C# or a@b.org.") == [("C#", True), (" or ", False), ("a@b.org", True), (".", False)]
    assert plain.runs("the word नमस्ते means") == [("the word ", False), ("नमस्ते", True), (" means", False)]
    assert plain.runs("all is well") == [("all is well", False)]


def test_marks_are_made_plain_and_rare_letters_put_back(plain: OovNormalizer) -> None:
    spelt, changed = plain.spell("“Élan” — Müller’s café")
    assert spelt == '"élan" - Muller\'s café'
    assert (
        plain.restore('o "élan" de Muller no café', "“Élan” — Müller’s café", changed) == 'o "Élan" de Müller no café'
    )
    assert plain.spell("EDUCAÇÃO") == ("educação", {})
    assert plain.restore("education", "EDUCAÇÃO", {}) == "Education"
    assert plain.spell("plain") == ("plain", {})


@settings(max_examples=100, deadline=None)
@given(ANY)
def test_runs_together_are_the_text_and_what_is_spelt_is_covered(text: str) -> None:
    plain = OovNormalizer(lambda char: char.isascii() and char not in "{}<@#")
    runs = plain.runs(text)
    assert "".join(run for run, _ in runs) == text
    for run, carried in runs:
        if not carried:
            assert plain.spell(run)[0].isascii()


# --------------------------------------------------------------------------------------------------------------- pairs
@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("en-pt", ("en", "pt")),
        ("zh-Hant-en", ("zh-Hant", "en")),
        ("pt-BR→es", ("pt-BR", "es")),
        ("pt_BR -> es", ("pt-BR", "es")),
        ("eng>spa", ("en", "es")),
    ],
)
def test_a_pair_is_read(text: str, pair: tuple[str, str]) -> None:
    assert parse_pair(text) == pair


@pytest.mark.parametrize("text", ["en", "pt-BR-es", "en-xqx", ""])
def test_what_is_no_pair_or_could_be_two_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="arrow"):
        parse_pair(text)


def test_a_product_of_languages_is_every_pair_of_two_different_ones() -> None:
    pairs = Pairs(sources=["en", "sw"], targets=["en", "sw", "zh-Hant"])
    assert list(pairs) == [("en", "sw"), ("en", "zh-Hant"), ("sw", "en"), ("sw", "zh-Hant")]
    assert pairs.find("en", "zh-TW") == ("en", "zh-Hant")
    assert pairs.find("en", "zh") is None
    assert pairs.describe() == "en, sw, zh-Hant"
