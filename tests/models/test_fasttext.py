"""The packaged lid.176, and classifiers with other styles of labels."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.models.langid.fasttext import FastText, FastTextIdentifier
from curate.steps import LanguageIdentifier, StepError

TEXTS = {
    "en": "The river had risen during the night and covered the lower fields.",
    "de": "Der Fluss war in der Nacht gestiegen und bedeckte die unteren Felder.",
    "pt": "O rio subiu durante a noite e cobriu os campos mais baixos.",
    "sw": "Mto ulikuwa umefurika usiku na kufunika mashamba ya chini.",
    "ru": "Ночью река поднялась и залила нижние поля.",
    "ar": "ارتفع النهر أثناء الليل وغطى الحقول السفلى.",
    "hi": "रात में नदी का पानी बढ़ गया और निचले खेत डूब गए।",
    "zh": "夜里河水上涨，淹没了低处的田地。",
    "ja": "夜のうちに川の水かさが増し、低い畑は水に浸かった。",
    "th": "แม่น้ำเอ่อขึ้นในตอนกลางคืนและท่วมทุ่งนาด้านล่าง",
    "he": "הנהר עלה במהלך הלילה וכיסה את השדות הנמוכים.",
    "sr-Latn": "Reka je tokom noći nabujala i prekrila niža polja, a seljaci su pobegli.",
}


@pytest.fixture(scope="module")
def lid() -> FastTextIdentifier:
    return FastText().load(cache=None, threads=1)


def test_it_names_languages_in_many_scripts(lid: FastTextIdentifier) -> None:
    found = lid.identify(list(TEXTS.values()))
    names = dict(zip(TEXTS, (tags[0] for tags in found.languages), strict=True))
    latin_serbian = names.pop("sr-Latn")
    assert names == {tag: tag for tag in TEXTS if tag != "sr-Latn"}
    assert latin_serbian in {"sr-Latn", "hr", "bs", "sh"}
    assert all(0.3 < best[0] <= 1 for best in found.probabilities)


def test_the_likeliest_come_first_and_their_probabilities_are_shares(lid: FastTextIdentifier) -> None:
    found = lid.identify([TEXTS["pt"], "???"], k=5)
    assert found.languages[0][0] == "pt"
    assert len(found.languages[0]) == len(set(found.languages[0])) == 5
    assert found.probabilities[0] == sorted(found.probabilities[0], reverse=True)
    assert sum(found.probabilities[0]) <= 1.001
    assert found.languages[1] == found.probabilities[1] == []


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "😀 🎉", "12 + 30 = 42", "\x00", "\ud800", "।", "-- ... !!", "\u0301"]
)
def test_a_text_without_letters_is_not_identified(lid: FastTextIdentifier, text: str) -> None:
    assert lid.identify([text]).languages == [[]]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=30), max_size=5), st.integers(1, 3))
def test_any_text_is_safe_and_does_not_touch_its_neighbours(texts: list[str], k: int) -> None:
    lid = FastText().load(cache=None, threads=1)
    found = lid.identify(texts, k)
    assert len(found.languages) == len(found.probabilities) == len(texts)
    for text, tags, probabilities in zip(texts, found.languages, found.probabilities, strict=True):
        assert lid.identify([text], k).languages == [tags]
        assert len(tags) == len(probabilities) <= k
        assert all(0 <= probability <= 1 for probability in probabilities)


@pytest.mark.parametrize("dirt", ["\n", "\x00", "\ud83d", "\r\n\t"])
def test_line_ends_nul_and_lone_surrogates_change_nothing(lid: FastTextIdentifier, dirt: str) -> None:
    assert lid.identify([TEXTS["de"].replace(" ", f" {dirt} ")]).languages == [["de"]]


def test_capitals_are_read_as_small_letters(lid: FastTextIdentifier) -> None:
    upper = [TEXTS[tag].upper() for tag in ("en", "de", "pt", "ru", "sw")]
    assert [tags[0] for tags in lid.identify(upper).languages] == ["en", "de", "pt", "ru", "sw"]


class Scripted:
    """A classifier that answers what the test says (C++ classifiers of those styles weigh a gigabyte)."""

    def __init__(self, *answers: tuple[float, str]) -> None:
        self.answers = answers

    def predict(self, text: str, k: int, threshold: float, on_unicode_error: str) -> list[tuple[float, str]]:
        assert text.endswith("\n")
        assert text.count("\n") == 1
        return list(self.answers[:k])


def _identifier(*answers: tuple[float, str]) -> FastTextIdentifier:
    return FastTextIdentifier(Scripted(*answers), [label for _, label in answers], packaged=False, max_chars=100)


def test_labels_of_one_language_share_their_probability() -> None:
    found = _identifier((0.4, "__label__en"), (0.35, "__label__no"), (0.25, "__label__nb")).identify(["Hei på deg"])
    assert found.languages == [["nb"]]
    assert found.probabilities[0] == pytest.approx([0.6])


def test_labels_with_scripts_are_taken_at_their_word() -> None:
    found = _identifier((0.6, "__label__hin_Latn"), (0.3, "__label__cmn_Hani"), (0.1, "__label__zho_Hant")).identify(
        ["नमस्ते"], k=3
    )
    assert found.languages == [["hi-Latn", "zh", "zh-Hant"]]


@pytest.mark.parametrize(
    ("label", "tags"),
    [
        ("arb_Arab", ["ar"]),
        ("cmn_Hani", ["zh"]),
        ("zho_Hant", ["zh-Hant"]),
        ("yue_Hani", ["yue"]),
        ("kor_Hang", ["ko"]),
        ("srp_Latn", ["sr-Latn"]),
        ("als_Latn", ["sq"]),
        ("swh_Latn", ["sw"]),
        ("azj_Cyrl", ["az-Cyrl"]),
        ("hin_Latn", ["hi-Latn"]),
        ("other", ["und"]),
        ("tam_Tamil", ["und"]),
        ("zxx_Zzzz", ["und"]),
    ],
)
def test_labels_of_glotlid_openlid_indiclid_and_lid_176_are_known(label: str, tags: list[str]) -> None:
    assert _identifier((0.9, f"__label__{label}")).identify(["漢字 abc"]).languages == [tags]


@pytest.mark.parametrize("label", ["hin_Latn-eng_Latn", "hin_Latn+eng_Latn", "hi-Latn+en"])
def test_a_label_for_code_switched_text_is_shared_by_its_languages(label: str) -> None:
    lid = _identifier((0.8, f"__label__{label}"), (0.2, "__label__eng_Latn"))
    found = lid.identify(["yaar this is bahut accha"], k=3)
    assert found.languages == [["en", "hi-Latn"]]
    assert found.probabilities[0] == pytest.approx([0.6, 0.4])
    assert lid.supports("hi-Latn")
    assert lid.supports("en")
    assert _identifier((0.8, "__label__hin-eng")).identify(["bahut accha"]).languages == [["hi-Latn"]]


def test_a_label_without_script_gets_the_text_s_script_where_it_is_not_the_usual_one() -> None:
    assert _identifier((0.9, "__label__hi")).identify(["aap kaise hain", "आप कैसे हैं"]).languages == [["hi-Latn"], ["hi"]]
    assert _identifier((0.9, "__label__sr")).identify(["Kako ste", "Како сте"]).languages == [["sr-Latn"], ["sr"]]
    assert _identifier((0.9, "__label__ja")).identify(["漢字", "カタカナ", "ひらがな"]).languages == [["ja"]] * 3
    assert _identifier((0.9, "__label__zh")).identify(["我用 Python 写程序"]).languages == [["zh"]]
    assert _identifier((0.9, "__label__ko")).identify(["한국어"]).languages == [["ko"]]
    assert _identifier((0.9, "__label__de")).identify(["Das Wort мир heißt Frieden"]).languages == [["de"]]


def test_japanese_without_kana_is_chinese() -> None:
    found = _identifier((0.6, "__label__ja"), (0.3, "__label__zh")).identify(
        ["三原色是红色、蓝色和黄色。", "夜のうちに川の水"], k=2
    )
    assert found.languages == [["zh"], ["ja", "zh"]]
    assert found.probabilities[0] == pytest.approx([0.9])


def test_a_probability_above_one_is_cut() -> None:
    assert _identifier((1.00007, "__label__de")).identify(["Haus"]).probabilities == [[1.0]]


def test_labels_that_mean_nothing_are_undetermined() -> None:
    assert _identifier((0.9, "__label__zxx_Zzzz")).identify(["abc"]).languages == [["und"]]
    assert not _identifier((0.9, "__label__zxx_Zzzz")).supports("und")


def test_it_says_which_languages_it_can_name(lid: FastTextIdentifier) -> None:
    assert isinstance(lid, LanguageIdentifier)
    assert all(lid.supports(tag) for tag in ("de", "pt-BR", "sw", "zh", "zh-Hant", "sr-Latn", "hi", "fil", "nb", "nn"))
    assert not any(lid.supports(tag) for tag in ("yo", "am", "so", "hi-Latn", "uz-Cyrl", "kab", "und"))


def test_only_the_start_of_a_long_text_is_read() -> None:
    lid = FastText(max_chars=60).load(cache=None, threads=1)
    assert lid.identify([TEXTS["de"] + TEXTS["ru"] * 50]).languages == [["de"]]


def test_a_file_counts_by_its_content(tmp_path: Path) -> None:
    packaged = FastText()
    copy = tmp_path / "some-name.ftz"
    copy.write_bytes(packaged._file().read_bytes())
    given = FastText(path=copy, model="lid.176")
    assert given.model_identity() == packaged.model_identity()
    assert str(tmp_path) not in str(given.model_identity())
    assert given.load(cache=None, threads=1).supports(
        "yo"
    )  # what is known of the packaged file is not assumed of another


def test_a_missing_or_wrong_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"no fastText model .*lid\.bin"):
        FastText(path=tmp_path / "lid.bin").name_and_revision()
    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(b"no model at all, whatever its name says" * 20)
    with pytest.raises(StepError, match=r"wrong\.bin is no fastText classifier"):
        FastText(path=wrong).load(cache=None, threads=1)


def test_a_path_and_a_repository_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="not both"):
        FastText(path=tmp_path, repository="a/b")
    with pytest.raises(ValidationError, match="belongs to"):
        FastText(revision="main")


def test_k_must_be_positive(lid: FastTextIdentifier) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        lid.identify(["a"], k=0)
