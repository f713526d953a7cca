"""Languages: every way of naming one becomes the same tag, and nothing that is no language becomes one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.rows.languages import (
    _PLAIN,
    InvalidLanguage,
    _canonical,
    accepts,
    flores,
    from_fasttext,
    iso639_3,
    known_script,
    letters,
    normalize,
    region,
    script,
    speakers,
)


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("en", "en"),
        ("EN-us", "en-US"),
        ("eng", "en"),
        ("eng_Latn", "en"),
        ("zho_Hans", "zh"),
        ("cmn_Hani", "zh"),
        ("zho_Hant", "zh-Hant"),
        ("zh-TW", "zh-Hant"),
        ("zh-CN", "zh-CN"),
        ("arb_Arab", "ar"),
        ("swh", "sw"),
        ("npi_Deva", "ne"),
        ("hin_Latn", "hi-Latn"),
        ("hi-Deva", "hi"),
        ("srp_Cyrl", "sr"),
        ("sr-Latn", "sr-Latn"),
        ("nob", "nb"),
        ("no", "nb"),
        ("iw", "he"),
        ("ekk_Latn", "et"),
        ("prs_Arab", "fa-AF"),
        ("yue_Hant", "yue"),
        ("pt_BR", "pt-BR"),
        ("jpn_Jpan", "ja"),
        ("tl", "fil"),
        ("uzn_Cyrl", "uz-Cyrl"),
        ("kas_Deva", "ks-Deva"),
        ("und", "und"),
        ("taq_Tfng", "taq-Tfng"),
        ("ydd_Hebr", "yi"),
        ("lvs", "lv"),
        ("__label__deu_Latn", "de"),
    ],
)
def test_one_language_has_one_tag(code, tag):
    assert normalize(code) == tag
    assert normalize(tag) == tag


@pytest.mark.parametrize("code", ["", "english", "xx", "deutsch", "x-foo", "12", "e", "zz-Latn", "🙂"])
def test_what_names_no_language_is_an_error(code):
    with pytest.raises(InvalidLanguage):
        normalize(code)


@given(st.text(max_size=12))
def test_any_text_is_a_tag_or_an_error(text):
    try:
        tag = normalize(text)
    except InvalidLanguage:
        return
    assert normalize(tag) == tag


def test_lid_176_labels_that_mean_something_else_in_iso():
    assert (
        from_fasttext("__label__als") == "gsw"
        and from_fasttext("__label__no") == "nb"
        and from_fasttext("__label__zxx_Zzzz") == "und"
    )


def test_scripts_and_codes_out():
    assert [script(tag) for tag in ("sw", "hi-Latn", "zh", "zh-Hant", "ja", "ko", "sr", "ur", "und")] == [
        "Latn",
        "Latn",
        "Hans",
        "Hant",
        "Jpan",
        "Kore",
        "Cyrl",
        "Arab",
        "Zyyy",
    ]
    assert letters("und") == ()
    assert letters("ja") == ("Han", "Hiragana", "Katakana") and letters("am") == ("Ethiopic",)
    assert [flores(tag) for tag in ("sw", "zh", "zh-Hant", "ar", "hi-Latn")] == [
        "swh_Latn",
        "zho_Hans",
        "zho_Hant",
        "arb_Arab",
        "hin_Latn",
    ]
    assert [iso639_3(tag) for tag in ("sw", "zh", "de", "yue", "fa-AF")] == ["swh", "cmn", "deu", "yue", "prs"]


@pytest.mark.parametrize(
    ("tag", "written", "where"),
    [
        ("sw", "Latn", "TZ"), ("pt", "Latn", "BR"), ("pt-PT", "Latn", "PT"), ("zh-Hant", "Hant", "TW"),
        ("hi-Latn", "Latn", "IN"), ("nv", "Latn", "US"), ("und", None, None), ("und-Latn", "Latn", None),
        # CLDR does not know Evenki and Assyrian, which are not written in Latin letters in the United States.
        ("evn", None, None), ("aii", None, None), ("aii-Syrc", "Syrc", None),
    ],
)  # fmt: skip
def test_what_cldr_knows_of_a_language(tag, written, where):
    assert (known_script(tag), region(tag)) == (written, where)
    assert (speakers(tag) is None) == (where is None)


def test_speakers_are_those_of_the_region_that_a_tag_names():
    assert 1e9 < speakers("en") < 3e9 and speakers("pt-PT") < 2e7 < 2e8 < speakers("pt")


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("pt-BR", "pt", True),
        ("zh-Hant", "zh", True),
        ("zh", "zh-Hant", False),
        ("hi", "hi-Latn", False),
        ("nb", "nn", True),
        ("hr", "sr", True),
        ("hr", "sr-Latn", True),
        ("id", "ms", False),
        ("sw", "en", False),
        ("zh", "yue", False),
        ("sr", "sr-Latn", False),
    ],
)
def test_what_counts_as_the_expected_language(expected, found, same):
    assert accepts(expected, found) is same


def test_codes_that_are_taken_as_they_stand_are_canonical():
    assert [code for code in sorted(_PLAIN) if _canonical(code) != code] == []
    assert len(_PLAIN) > 150 and not {"iw", "no", "tl", "zz"} & _PLAIN
