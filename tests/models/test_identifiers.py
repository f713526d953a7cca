"""The identifiers that come with their weights in a wheel."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from curate.errors import ModelError
from curate.models.langid.cld2 import Cld2
from curate.models.langid.eld import Eld
from curate.models.langid.heliport import Heliport
from curate.models.langid.labels import ReadTexts, find_scripts, in_script, read_line, tag_of
from curate.models.langid.lingua import Lingua
from curate.models.langid.wheel import WheelIdentifier, shares
from curate.steps.models import LanguageIdentifier

TEXTS = {
    "en": "Nobody knew why the lamp in the harbour had gone out.",
    "de": "Niemand wusste, warum die Lampe am Hafen ausgegangen war.",
    "es": "Nadie sabía por qué se había apagado la lámpara del puerto.",
    "ru": "Никто не знал, почему погас фонарь в гавани.",
    "ar": "لم يعرف أحد لماذا انطفأ المصباح في الميناء.",
    "hi": "कोई नहीं जानता था कि बंदरगाह का दीपक क्यों बुझ गया।",
    "ja": "港の灯りがなぜ消えたのか、だれも知らなかった。",
    "zh": "没有人知道港口的灯为什么熄灭了。",
    "tr": "Limandaki lambanın neden söndüğünü kimse bilmiyordu.",
}


def _model(name: str) -> WheelIdentifier:
    module, model = {
        "eld": ("eldc", Eld()),
        "cld2": ("pycld2", Cld2()),
        "lingua": ("lingua", Lingua(languages=tuple(TEXTS), accuracy="low")),
        "heliport": ("heliport", Heliport()),
    }[name]
    pytest.importorskip(module)
    return model


@pytest.fixture(scope="module", params=["eld", "cld2", "lingua", "heliport"])
def model(request: Any) -> WheelIdentifier:
    return _model(request.param)


@pytest.fixture(scope="module")
def identifier(model: WheelIdentifier) -> Any:
    return model.load(cache=None, threads=1)


def test_it_names_languages_in_many_scripts(identifier: Any) -> None:
    assert isinstance(identifier, LanguageIdentifier)
    found = identifier.identify(list(TEXTS.values()), k=3)
    assert [tags[0] for tags in found.languages] == list(TEXTS)
    for tags, values in zip(found.languages, found.probabilities, strict=True):
        assert len(tags) == len(set(tags)) == len(values) <= 3
        assert values == sorted(values, reverse=True)
        assert 0.3 < values[0] <= 1
        assert sum(values) <= 1.001
    assert all(identifier.supports(tag) and identifier.names(tag) for tag in TEXTS)
    assert not identifier.supports("und")
    assert not identifier.supports("hi-Latn")


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n\n", "😀 🎉", "12 + 30 = 42", "\x00", "\ud800", "।", "-- ... !!", "\u0301", "\ufdd0", "\x1b[0m"],
)
def test_a_text_without_letters_is_not_identified(identifier: Any, text: str) -> None:
    found = identifier.identify([text])
    assert found.languages == found.probabilities == [[]] or text == "\x1b[0m"


@pytest.mark.parametrize("dirt", ["\n", "\x00", "\ud83d", "\r\n\t", "\ufdd0", "\x07"])
def test_dirt_changes_nothing(identifier: Any, dirt: str) -> None:
    assert identifier.identify([TEXTS["de"].replace(" ", f" {dirt} ")]).languages == [["de"]]


def test_its_identity_is_package_and_version(model: WheelIdentifier) -> None:
    name, _, version = model.name_and_revision().partition("@")
    assert name == model.package
    assert version[0].isdigit()
    assert model.license in ("Apache-2.0", "GPL-3.0-only")
    assert (model.license == "Apache-2.0") == (model.extra != "lid-gpl")


def test_only_the_start_of_a_long_text_is_read() -> None:
    short = Eld(max_chars=60)
    pytest.importorskip("eldc")
    assert short.load(cache=None, threads=1).identify([TEXTS["de"] + TEXTS["ru"] * 50]).languages == [["de"]]


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Eld, "package", "no-such-package")
    with pytest.raises(ModelError, match=r"no-such-package.*polycurate\[lid\]"):
        Eld().name_and_revision()
    monkeypatch.setitem(sys.modules, "heliport", None)
    with pytest.raises(ModelError, match=r"heliport.*polycurate\[lid-gpl\]"):
        Heliport().load(cache=None, threads=1)


def test_lingua_chooses_among_the_languages_named() -> None:
    pytest.importorskip("lingua")
    two = Lingua(languages=("de", "nb"), accuracy="low").load(cache=None, threads=1)
    assert two.identify([TEXTS["en"]], k=5).languages[0][0] in {"de", "nb"}
    assert not two.supports("en")
    with pytest.raises(ModelError, match=r"does not know 'yue'"):
        Lingua(languages=("de", "yue")).load(cache=None, threads=1)
    with pytest.raises(ModelError, match="two or more"):
        Lingua(languages=("de",)).load(cache=None, threads=1)


def test_scores_become_shares() -> None:
    assert shares([], 3.0) == []
    assert dict(shares([("a", 1.0), ("b", 1.0)], 3.0)) == pytest.approx({"a": 0.5, "b": 0.5})
    found = dict(shares([("a", 0.9), ("b", 0.1), ("c", -1e9)], 50.0))
    assert sum(found.values()) == pytest.approx(1)
    assert found["a"] > 0.999


def test_labels_are_mapped_by_the_language_module() -> None:
    assert [tag_of(label) for label in ("iw", "no", "cmn", "bh", "zxx", "tlh", "nonsense!", "fil", "tl")] == [
        "he",
        "nb",
        "zh",
        "bho",
        "und",
        "und",
        "und",
        "fil",
        "fil",
    ]
    assert in_script("sr", "Latin") == "sr-Latn"
    assert find_scripts(["abc", "абв", "漢字文章", "漢字の文", "", "12"]) == [
        ("Latin", False),
        ("Cyrillic", False),
        ("Han", True),
        ("Han", False),
        ("Latin", False),
        ("Latin", False),
    ]
    latin_names = ["TypeScriptのinterfaceとは何ですか？", "什么是TypeScript interface？", "Python의 list란?",
                   "Что такое TypeScript interface?", "TypeScriptคืออะไร", "ReactJS क्या है?"]  # fmt: skip
    assert [script for script, _ in find_scripts(latin_names)] == [
        "Hiragana", "Han", "Hangul", "Cyrillic", "Thai", "Devanagari",
    ]  # fmt: skip
    quoted = ["The word 心 means heart.", "We say привет to our friends.", "Der Name Ελένη ist schön, nicht?"]
    assert [script for script, _ in find_scripts(quoted)] == ["Latin"] * 3
    assert read_line("BREAKING\n NEWS") == "breaking news"
    assert read_line("A\tline") == "A line"


def test_texts_that_are_read_already_are_not_read_again_unless_they_are_too_long() -> None:
    texts = ReadTexts(["ein Text\nüber zwei Zeilen\0", "ЗАГОЛОВОК НОВОСТЕЙ", "12 + 3", ""], 100)
    assert list(texts) == ["ein Text\nüber zwei Zeilen ", "ЗАГОЛОВОК НОВОСТЕЙ", "12 + 3", ""]
    assert texts.lines == ["ein Text über zwei Zeilen", "заголовок новостей", "", ""]
    assert [script for script, _ in texts.some([1, 0]).scripts] == ["Cyrillic", "Latin"]
    assert texts.some([1, 2]).lines == ["заголовок новостей", ""]
    assert [id(one) for one in ReadTexts.of(texts, 100)] == [id(texts)]
    assert [list(one) for one in ReadTexts.of(texts, 4)] == [["ein ", "ЗАГО", "12 +", ""]]
    assert [len(one) for one in ReadTexts.of(["a"] * 2049, 4)] == [2048, 1]
