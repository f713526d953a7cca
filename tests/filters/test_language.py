"""Language: real sentences in many scripts, against the identifier that is shipped."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from curate.rows import Kind
from curate.steps import Identified
from filters.language import Language

SENTENCES = {
    "en": "I would like to know how the weather is going to be tomorrow.",
    "de": "Bitte erkläre mir, warum der Himmel am Abend rot aussieht.",
    "fr": "Pouvez-vous m'expliquer comment fonctionne un moteur électrique ?",
    "es": "¿Cuál es la mejor época del año para visitar el sur de España?",
    "zh": "请用简单的语言解释什么是机器学习，并举一个例子。",
    "zh-Hant": "請用簡單的語言解釋什麼是機器學習，並舉一個例子。",
    "ja": "明日の天気予報を教えてください。雨が降りそうですか。",
    "ko": "내일 아침에 비가 올 것 같으니 우산을 챙기세요.",
    "th": "กรุณาอธิบายวิธีทำต้มยำกุ้งแบบง่ายๆ ให้หน่อยครับ",
    "hi": "कृपया मुझे बताइए कि चाय कैसे बनाई जाती है और उसमें क्या डालते हैं।",
    "ur": "براہ کرم مجھے بتائیں کہ چائے کیسے بنائی جاتی ہے۔",
    "ar": "ذهب الولد إلى المدرسة صباحا ثم عاد إلى بيته.",
    "fa": "لطفاً به من بگویید که چگونه می‌توان چای خوب درست کرد.",
    "he": "אפשר להסביר לי למה השמיים כחולים במשך היום?",
    "el": "Μπορείς να μου εξηγήσεις πώς λειτουργεί ένας κινητήρας;",
    "ru": "Объясните, пожалуйста, почему осенью листья становятся жёлтыми.",
    "sr-Latn": "Molim vas objasnite mi kako radi električni motor.",
    "sr": "Зашто лишће у јесен постаје жуто и шта се са њим дешава када падне?",
    "nb": "Jeg lurer på hvorfor bladene blir gule om høsten, og hva som skjer med dem etterpå.",
    "nn": "Eg lurer på kvifor blada vert gule om hausten, og kva som skjer med dei etterpå.",
    "vi": "Hãy giải thích cho tôi tại sao bầu trời có màu xanh.",
    "tr": "Lütfen bana gökyüzünün neden mavi olduğunu açıkla.",
    "sw": "Tafadhali nieleze jinsi ya kupika wali wa nazi nyumbani.",
    "ta": "வானம் ஏன் நீல நிறமாக இருக்கிறது என்று விளக்கவும்.",
    "ka": "გთხოვთ, ამიხსნათ, რატომ არის ცა ლურჯი.",
    "my": "ကောင်းကင်ဘာကြောင့်ပြာသလဲ ရှင်းပြပါ။",
    "bn": "দয়া করে আমাকে বুঝিয়ে বলুন আকাশ কেন নীল দেখায়।",
}


def documents(make: Any, *texts: tuple[str, str]) -> Any:
    return make(Kind.DOCUMENT, [{"language": tag, "text": text} for tag, text in texts])


def test_sentences_in_twenty_seven_languages_are_kept(make: Any, decided: Any, context: Any) -> None:
    rows = documents(make, *SENTENCES.items())
    assert dict(zip(SENTENCES, decided(Language(), rows, context), strict=True)) == dict.fromkeys(SENTENCES)
    frame = Language().score(rows, context, None)
    assert frame["abstained"].null_count() == len(frame)
    assert (frame["score"] > 0.3).all() and (frame["script"] == 1.0).all()


def test_every_sentence_is_dropped_under_another_language(make: Any, decided: Any, context: Any) -> None:
    alike = {"nb", "nn"}, {"sr", "sr-Latn"}, {"zh", "zh-Hant"}
    for wrong in ("de", "zh", "ru", "ar", "hi"):
        others = [(wrong, text) for tag, text in SENTENCES.items() if not any({tag, wrong} <= group for group in alike)]
        others = [(tag, text) for tag, text in others if SENTENCES[wrong] != text]
        found = decided(Language(), documents(make, *others), context)
        assert [each for each, reason in zip(others, found, strict=True) if reason not in ("language", "script")] == []


def test_a_script_that_nobody_knows_is_not_checked(make: Any, decided: Any, context: Any) -> None:
    # CLDR has neither Evenki nor Assyrian; their usual script would be Latin, as that of an unknown language.
    rows = documents(make, ("evn", SENTENCES["ru"]), ("aii", SENTENCES["ar"]))
    assert Language().score(rows, context, None)["script"].to_list() == [None, None]
    assert decided(Language(), rows, context) == [None] * 2
    named = documents(make, ("evn-Cyrl", SENTENCES["ru"]), ("evn-Cyrl", SENTENCES["el"]), ("aii-Syrc", SENTENCES["ar"]))
    assert decided(Language(), named, context) == [None, "script", "script"]


def test_the_script_is_part_of_the_language(make: Any, decided: Any, context: Any) -> None:
    romanised = "kripya mujhe bataiye ki chai kaise banayi jati hai aur usme kya dalte hain"
    rows = documents(
        make,
        ("sr", SENTENCES["sr-Latn"]),
        ("sr-Latn", SENTENCES["sr"]),
        ("zh", SENTENCES["zh-Hant"]),
        ("zh-Hant", SENTENCES["zh"]),
        ("hi", romanised),
        ("hi-Latn", romanised),
    )
    assert decided(Language(), rows, context) == ["script"] * 5 + [None]
    light = Language(model="fasttext", unsupported="drop")  # it has no label for romanised Hindi
    assert decided(light, rows, context)[5] == "unsupported"
    assert decided(Language(unsupported="drop"), rows, context)[5] is None
    assert decided(Language(min_script=None), rows, context)[0] is None


def test_a_row_in_a_language_that_no_member_knows_is_unclear(make: Any, decided: Any, context: Any) -> None:
    invented = (
        "Wuklo nagbé tsivu akpéto mi, dzofe kwami yéto gbla nu wokpo fé hlodzi la me kpakple sronu.",
        "Mbwoku yangarha tjindi ngopuno, warrkaji ngurntu pijakarra nyampurla kurdungurlu yirdijarlu.",
    )
    rows = documents(make, *(("sw", text) for text in (*invented, SENTENCES["sw"], SENTENCES["de"])))
    assert Language().score(rows, context, None)["abstained"].to_list() == ["unclear", "unclear", None, None]
    assert decided(Language(), rows, context) == [None, None, None, "language"]
    assert decided(Language(abstain="drop"), rows, context)[:3] == ["abstained", "abstained", None]


def test_one_or_two_words_are_in_no_other_language_unless_in_other_letters(
    make: Any, decided: Any, context: Any
) -> None:
    rows = documents(
        make,
        ("en", "Fantasy"),
        ("en", "Albert Einstein"),
        ("en", "Bonjour !"),
        ("en", "Heute ist Samstag."),
        ("en", "Спасибо!"),
        ("de", "Freundschaft"),
    )
    assert decided(Language(), rows, context) == [None, None, None, "language", "language", None]
    frame = Language().score(rows, context, None)
    assert frame["abstained"].to_list() == ["letters", "letters", "letters", None, None, None]
    assert frame["score"][5] > 0.98


def test_vowel_points_and_capitals_change_nothing(make: Any, context: Any) -> None:
    rows = documents(
        make,
        ("ar", SENTENCES["ar"]),
        ("ar", "ذَهَبَ الْوَلَدُ إِلَى الْمَدْرَسَةِ صَبَاحًا ثُمَّ عَادَ إِلَى بَيْتِهِ."),
        ("de", "WARUM IST DER HIMMEL AM ABEND ROT?"),
        ("de", "warum ist der himmel am abend rot?"),
    )
    score = Language().score(rows, context, None)["score"]
    assert score[0] == score[1] > 0.9
    assert score[2] == score[3] > 0.9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "3.14 + 2.72 = 5.86",
        "👍👍👍",
        "Oui.",
        "def f(x):\n    return x + 1",
        "https://example.com/a/very/long/path/in/english",
        "```python\n# read all the lines of the file\nfor line in open(path): print(line)\n```",
        "mail the-author@example.org",
        "<div class='note'><br/></div>",
        "$$\\frac{a}{b} = \\sqrt{c}$$",
        "{{name}} {{author}} ${value}",
    ],
)
def test_what_is_no_language_is_not_judged_and_kept(make: Any, decided: Any, context: Any, text: str) -> None:
    rows = documents(make, ("de", text))
    assert decided(Language(), rows, context) == [None]
    assert decided(Language(abstain="drop"), rows, context) == ["abstained"]
    frame = Language().score(rows, context, None)
    assert frame["score"].is_null().all() and frame["abstained"].to_list() == ["letters"]


def test_a_code_answer_does_not_count_against_the_language_of_the_row(make: Any, decided: Any, context: Any) -> None:
    code = (
        'def largest(numbers):\n    """Return the largest of the numbers in the list."""\n    best = '
        "numbers[0]\n    return best"
    )
    asked = {"role": "user", "content": "请写一个函数，返回列表中最大的数字，并说明它是如何工作的。"}
    rows = make(
        Kind.SFT,
        [
            {"language": "zh", "messages": [asked, {"role": "assistant", "content": code}]},
            {"language": "zh", "messages": [asked, {"role": "assistant", "content": f"```\n{code}\n```"}]},
            {
                "language": "zh",
                "messages": [
                    asked,
                    {"role": "assistant", "content": "The largest number is found by looking at each of them."},
                ],
            },
        ],
    )
    assert decided(Language(), rows, context) == [None, None, "script"]
    assert decided(Language(fields=("prompt",)), rows, context) == [None] * 3
    assert decided(Language(mask=()), rows, context)[0] == "script"


def test_a_language_is_dropped_only_where_another_is_likely(make: Any, decided: Any, context: Any) -> None:
    names = ("de", "Angela Merkel, Helmut Kohl, Gerhard Schröder, Willy Brandt")
    english = ("de", "There is no direct translation for this word in German.")
    rows = documents(make, names, english)
    assert decided(Language(), rows, context) == [None, "language"]
    # The names fit no label of the light identifier well, and that alone is no reason.
    assert decided(Language(model="fasttext"), rows, context) == [None, "language"]
    assert decided(Language(model="fasttext", sure=0), rows, context) == ["language", "language"]
    assert decided(Language(min={"default": 0.5, "de": None}), rows, context) == [None, None]


def test_each_side_of_a_pair_has_its_own_language_and_the_worst_one_counts(make: Any, context: Any) -> None:
    rows = make(
        Kind.PARALLEL,
        [
            {"source_language": "en", "language": "fr", "source": SENTENCES["en"], "target": SENTENCES["fr"]},
            {"source_language": "en", "language": "fr", "source": SENTENCES["fr"], "target": SENTENCES["fr"]},
            {"source_language": "en", "language": "fr", "source": "OK", "target": SENTENCES["es"]},
        ],
    )
    frame = Language().score(rows, context, None)
    assert frame["found"].to_list() == ["en", "fr", "es"] or frame["found"].to_list() == ["fr", "fr", "es"]
    assert frame["score"][0] > 0.9 and frame["score"][1] < 0.1 and frame["score"][2] < 0.1


def test_message_by_message_one_foreign_turn_is_found(make: Any, decided: Any, context: Any) -> None:
    turns = [
        ("user", SENTENCES["de"]),
        ("assistant", "Das liegt daran, dass das Licht einen langen Weg durch die Luft nimmt."),
        ("user", "Und warum ist der Himmel am Tag blau und nicht auch rot oder gelb?"),
        ("assistant", SENTENCES["fr"]),
    ]
    rows = make(
        Kind.SFT,
        [
            {"language": "de", "messages": [{"role": r, "content": c} for r, c in turns]},
            {"language": "de", "messages": []},
        ],
    )
    frame = Language(level="message").score(rows, context, None)
    assert frame["found"].to_list() == ["fr", None]
    assert decided(Language(level="message"), rows, context) == ["language", None]
    assert frame["abstained"].to_list() == [None, "letters"]


def test_a_mixture_is_named_by_share_and_can_be_allowed(make: Any, decided: Any, context: Any) -> None:
    mixed = SENTENCES["en"] + " " + SENTENCES["en"] + " " + SENTENCES["hi"]
    clause = (
        "Ich gehe morgen mit meinen Freunden ins Kino, because I have always wanted to see that film on a big screen."
    )
    rows = documents(
        make, ("hi", mixed), ("de", clause), ("de", SENTENCES["de"]), ("ja", "日本語"), ("hi", SENTENCES["en"])
    )
    step = Language(mixture=True)
    frame = step.score(rows, context, None)
    assert frame["mixture"].to_list() == ["en+hi", "en+de", "de", None, "en"]
    assert 0.2 < frame["expected_share"][0] < 0.6
    assert frame["expected_share"].to_list()[2:] == [1.0, None, 0.0]
    assert decided(step, rows, context)[0] in ("language", "script", None)
    allowed = Language(mixture=True, min=0.9, allow_mixture=[["hi", "en"], ["de", "en"]])
    assert decided(allowed, rows, context) == [None, None, None, None, "script"]
    assert (
        decided(Language(mixture=True, min=0.0, min_script=0.0, min_expected_share=0.7), rows, context)[0] == "mixture"
    )
    assert allowed.identity(decisions=False) == step.identity(decisions=False)
    with pytest.raises(ValidationError, match="mixture: true"):
        Language(allow_mixture=[["hi", "en"]])


def test_indonesian_and_malay_count_as_each_other_unless_told_apart(make: Any, decided: Any, context: Any) -> None:
    indonesian = "Tolong jelaskan kepada saya mengapa daun-daun menjadi kuning karena musim gugur telah tiba."
    malay = "Tolong terangkan kepada saya kenapa awak tidak boleh pergi ke pejabat kerana hujan lebat petang tadi."
    rows = documents(make, ("id", malay), ("ms", indonesian), ("de", malay))
    assert decided(Language(), rows, context) == [None, None, "language"]
    assert decided(Language(accept={}), rows, context) == ["language"] * 3


def test_further_labels_can_be_accepted(make: Any, decided: Any, context: Any) -> None:
    danish = ("nb", "Kan du forklare mig, hvorfor himlen er blå om dagen og rød om aftenen?")
    rows = documents(make, danish)
    assert decided(Language(), rows, context) == ["language"]
    assert decided(Language(accept={"nb": ["da"]}), rows, context) == [None]


class Says:
    """An identifier that always gives the same labels."""

    def __init__(self, labels: dict[str, float], supported: set[str]) -> None:
        self._labels, self._supported = labels, supported

    def identify(self, texts: Any, k: int = 1) -> Identified:
        return Identified([list(self._labels)] * len(texts), [list(self._labels.values())] * len(texts))

    def supports(self, language: str) -> bool:
        return language in self._supported


def test_labels_that_the_writing_contradicts_are_left_out(make: Any, work_context: Any) -> None:
    def score(labels: dict[str, float], tag: str, text: str) -> tuple[Any, ...]:
        context = work_context(models={"ensemble": Says(labels, {"zh", "ja", "de", "hr", "hi"})})
        return (
            Language().score(documents(make, (tag, text)), context, None).select("score", "other", "abstained").row(0)
        )

    chinese = SENTENCES["zh"]
    assert score({"ja": 0.9, "zh": 0.1}, "zh", chinese) == (1.0, 0.0, None)
    assert score({"pt": 0.6, "wuu": 0.2, "ko": 0.1, "zh": 0.1}, "zh", chinese) == (1.0, 0.0, None)
    assert score({"yue": 0.6, "zh": 0.4}, "ja", chinese) == (0.0, 0.6, None)
    assert score({"pt": 0.995}, "zh", chinese) == (None, None, "unclear")
    assert score({"zh": 0.9, "ja": 0.1}, "ja", SENTENCES["ja"]) == (1.0, 0.0, None)
    assert score({"sr": 0.5, "hr": 0.25, "sl": 0.25}, "hr", SENTENCES["sr-Latn"]) == (0.75, 0.25, None)
    assert score({"sr-Latn": 0.3, "hr": 0.3, "bs": 0.3, "de": 0.1}, "de", SENTENCES["sr-Latn"]) == (0.1, 0.9, None)
    assert score({}, "de", SENTENCES["de"])[0] is None


def test_a_romanised_language_is_supported_only_under_its_own_name(make: Any, work_context: Any) -> None:
    rows = documents(make, ("hi-Latn", "kripya mujhe bataiye ki chai kaise banayi jati hai"))
    wikipedia = work_context(models={"ensemble": Says({"hi": 0.9}, {"hi"})})
    assert Language().score(rows, wikipedia, None)["abstained"].to_list() == ["unsupported"]
    glotlid = work_context(models={"ensemble": Says({"hi-Latn": 0.9, "en": 0.1}, {"hi-Latn", "en"})})
    assert Language().score(rows, glotlid, None)["score"].to_list() == [0.9]


def test_scores_of_a_row_do_not_depend_on_its_neighbours_and_none_are_needed(make: Any, context: Any) -> None:
    step = Language(mixture=True)
    whole = step.score(documents(make, *SENTENCES.items()), context, None)
    single = pl.concat([step.score(documents(make, each), context, None) for each in SENTENCES.items()])
    assert whole.equals(single)
    for kind in Kind:
        assert step.score(make(kind, []), context, None).columns == list(step.columns(kind))
    assert Language(fields=("chosen",)).check(Kind.SFT)


def test_a_text_with_few_letters_is_judged_only_where_a_language_is_certain(
    make: Any, decided: Any, context: Any
) -> None:
    rows = documents(
        make,
        ("en", "Je déteste ça."),
        ("fr", "Je déteste ça."),
        ("de", "Schönes Wetter!"),
        ("th", "สวัสดีครับ"),
        ("en", "Tom 3"),
        ("zh", "ok"),
        ("de", "Anna, Paul"),
        ("en", "C"),
    )
    frame = Language().score(rows, context, None)
    assert frame["abstained"].to_list() == [None, None, None, None, "letters", "letters", "letters", "letters"]
    assert frame["found"].to_list()[:4] == ["fr", "fr", "de", "th"]
    assert decided(Language(), rows, context) == ["language", *[None] * 7]


def test_words_that_hindi_shares_with_other_languages_make_no_hindi(make: Any, context: Any) -> None:
    texts = [
        ("nl", "De naam van de straat is onbekend."),
        ("nl", "Geef me de naam van de hoofdstad."),
        ("de", "Auf der Karte den Weg suchen."),
        ("gl", "Na aldea hai de todo un pouco."),
    ]
    step = Language()
    found = step.score(documents(make, *texts), context, None)
    for rule in step.drop_rules(Kind.DOCUMENT).values():
        assert (
            not found.with_columns(language=pl.Series([tag for tag, _ in texts]))
            .select(rule.fill_null(False))
            .to_series()
            .any()
        )
