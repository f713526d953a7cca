"""The lists of what two texts must share: every language of every list can be used, and whoever asks gets the same
answer."""

from __future__ import annotations

import polars as pl
import pytest

from curate.data_files import DataFile
from curate.generation.translate.checks import lost_numbers
from curate.rows import languages
from curate.text import negation
from curate.text.length_ratio import usual_length
from curate.text.markup import kept, spans
from filters.duplicates import mismatch_veto


@pytest.mark.parametrize("name", ["commentary", "lengths", "negation", "number_words"])
def test_each_list_has_an_owner_a_licence_and_a_version(name: str) -> None:
    found = DataFile("curate.text", f"data/{name}.yaml").yaml()
    assert found["owner"] and found["license"] == "CC0-1.0" and found["version"] >= 1
    for tag in found.get("languages", found.get("lengths")):
        assert languages.normalize(tag) == tag


def test_every_list_of_negations_compiles_and_names_a_language() -> None:
    for tag, given in negation.NEGATION.yaml()["languages"].items():
        assert negation.is_listed(tag) == ("words" in given)
        negation.words_in(pl.Series(["x"]), pl.Series([tag]))
    assert negation.is_listed("no") and negation.is_listed("zh-Hant")
    assert not negation.is_listed("sw")  # it has words that tell its own texts apart, and no more


@pytest.mark.parametrize(
    ("tag", "affirmed", "denied"),
    [
        ("en", "The shop is open.", "The shop isn’t open."),
        ("ko", "가게는 오늘 엽니다.", "가게는 오늘 열지 않습니다."),
        ("th", "วันนี้ร้านเปิด", "วันนี้ร้านไม่เปิด"),
        ("sw", "Duka limefunguliwa.", "Hakuna duka lililofunguliwa."),
        ("et", "Pood on avatud.", "Pood ei ole avatud."),
        ("yue", "間舖頭開門。", "間舖頭唔開門。"),
        ("de", "Der Laden hat Brot.", "Der Laden hat kein Brot."),
        ("ru", "Магазин открыт.", "Магазин не открыт."),
    ],
)
def test_a_text_and_its_denial_are_told_apart_in_one_language(tag: str, affirmed: str, denied: str) -> None:
    one, other = mismatch_veto.negations(pl.Series([affirmed, denied]), pl.Series([tag, tag]))
    assert one == "" and other != ""


def test_usual_lengths_follow_the_script() -> None:
    assert usual_length("en") == 1.0
    assert (usual_length("he") or 9) < 0.8 < 1.4 < (usual_length("ta") or 0)
    assert usual_length("de") and usual_length("de-CH") == usual_length("de")
    assert usual_length("hi-Latn") is None
    assert usual_length("tlh") is None


@pytest.mark.parametrize(
    "mark", ["{name}", "%-5d", "%5.2f", "%%", "%ld", "\\n", "{{ user }}", "<b>", "`run()`", "/usr/share/dict", "$x^2$"]
)
def test_what_a_translator_must_keep_is_what_a_judge_looks_for(mark: str) -> None:
    text = f"Type {mark} now."
    assert [text[span.start : span.end] for span in spans(text)] == [mark]
    found = kept(pl.Series([text, text]), pl.Series([f"输入 {mark}。", "输入。"]))
    assert found.tolist() == [1.0, 0.0]


def test_an_object_within_a_line_may_have_its_words_translated_but_is_kept_by_translators() -> None:
    text = 'Send {"say": "good day"} now.'
    assert [span.kind for span in spans(text)] == ["inline_code"]
    assert str(kept(pl.Series([text]), pl.Series(['Sende {"say": "guten Tag"} jetzt.']))[0]) == "nan"


def test_the_translator_forgives_a_small_number_where_the_judge_only_notes_it() -> None:
    assert lost_numbers("Take 4 eggs.", "Nimm ein paar Eier.", "en", "de") == []
    assert lost_numbers("Take 44 eggs.", "Nimm ein paar Eier.", "en", "de") == ["44"]
    assert lost_numbers("Take 3 eggs, 4 spoons and 5 cups.", "Nimm das alles.", "en", "de") == ["3", "4", "5"]
