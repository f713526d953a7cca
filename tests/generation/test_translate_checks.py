"""Each check catches the failure it is for, in several scripts, and leaves good translations alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.generation.translate.checks import (
    Limits,
    Pair,
    chrf,
    commentary_in,
    copied,
    lost_numbers,
    repeated,
    verdicts,
    wrong_language,
)
from curate.text.boilerplate import without_asides
from curate.text.placeholders import spans

GOOD = [
    (
        "en",
        "pt",
        "The old bridge was built in 1907 and carries 12,500 cars a day.",
        "A velha ponte foi construída em 1907 e leva 12.500 carros por dia.",
    ),
    (
        "en",
        "zh",
        "The old bridge was built in 1907 and carries 12,500 cars a day.",
        "这座老桥建于1907年，每天通行1.25万辆汽车。",
    ),
    (
        "en",
        "ar",
        "The old bridge was built in 1907 and carries 12,500 cars a day.",
        "بُني الجسر القديم عام ١٩٠٧ ويعبره ١٢٬٥٠٠ سيارة يوميًا.",
    ),
    ("en", "hi", "The old bridge was built in 1907 and is 3.5 km long.", "पुराना पुल १९०७ में बना था और ३.५ किमी लंबा है।"),
    ("en", "th", "The old bridge was built in 1907 and is very long.", "สะพานเก่าถูกสร้างขึ้นในปี 2450 และยาวมาก"),
    (
        "en",
        "ru",
        "We meet at 5 pm on the 21st floor, as in the 1980s.",
        "Мы встречаемся в 17:00 на 21-м этаже, как в 80-х.",
    ),
    (
        "en",
        "es",
        "In the 19th century, Paris had 1 000 000 people.",
        "En el siglo XIX, París tenía 1.000.000 de personas.",
    ),
    (
        "pt",
        "es",
        "A agenda não está configurada para uso desconectado.",
        "La agenda no está configurada para uso desconectado.",
    ),
    ("es", "en", "A partir de los años 30 hubo cine.", "From the 1930s on there was cinema."),
    ("de", "en", "Bitte kaufen Sie drei Äpfel und 1,5 Liter Milch.", "Please buy three apples and 1.5 litres of milk."),
    ("en", "pt", 'a) the board is 5" wide :)', 'a) a tábua tem 5" de largura :)'),
    ("en", "zh", 'Say "good day" (or [sic] nothing).', "说“你好”（或者什么都不说［原文如此］）。"),
    (
        "en",
        "sw",
        "Ann Lee and Bob Hill met Cid Moss in Rome.",
        "Ann Lee na Bob Hill walikutana na Cid Moss mjini Roma.",
    ),
]


def problems(source: str, target: str, pair=("en", "pt"), **limits) -> list[str]:
    found = verdicts([Pair(source, target, tuple(spans(source, language=pair[0])))], *pair, Limits(**limits))
    return [what.split(":")[0] for what in found[0].problems]


@pytest.mark.parametrize("source, target, text, translation", GOOD)
def test_good_translations_pass(source, target, text, translation):
    assert problems(text, translation, (source, target)) == []


LONG = (
    "The farmer took his old cart to the market. He sold apples "
    "there. Then he met a friend. They talked until the evening came."
)


@pytest.mark.parametrize(
    "check, source, target",
    [
        ("omission", LONG, "O agricultor vendeu maçãs."),
        ("omission", LONG, ""),
        (
            "runaway",
            "Say hello to the farmer.",
            "Diga olá ao agricultor. " + "Ele é um homem muito bom que vive perto do rio com as suas vacas. " * 3,
        ),
        ("copy", LONG, LONG),
        (
            "copy",
            LONG,
            "O agricultor foi ao mercado. He sold apples there. Then "
            "he met a friend. They talked until the evening came.",
        ),
        ("numbers", "The bridge is 342 metres long.", "A ponte tem muitos metros de comprimento."),
        ("numbers", "Take 3 eggs, 4 spoons, 5 cups.", "Pegue alguns ovos, colheres e copos."),
        ("brackets", 'Say "good day" (once) now.', 'Diga "bom dia"" (uma vez) agora.'),
        ("brackets", "Say it (once) now.", "Diga isso (uma vez agora."),
        ("brackets", "Say it now.", "Diga isso agora)."),
        (
            "script",
            LONG,
            "Фермер поехал на старой телеге на рынок. Там он продал "
            "яблоки. Потом встретил друга. Они говорили до вечера.",
        ),
        (
            "repetition",
            "The rain fell on the roof of the house all night long.",
            "A chuva caiu no telhado do telhado do telhado do telhado do telhado do telhado da casa.",
        ),
        ("commentary", "The rain fell all night.", "Claro! Aqui está a tradução: A chuva caiu a noite toda."),
        (
            "spans",
            "Run `make all` and see https://example.org/x now.",
            "Execute `make tudo` e veja https://example.org/x agora.",
        ),
        ("text", "The rain fell.", "A chuva \ud83d caiu."),
        ("text", "The rain fell.", "A chuva ca\ufffdu."),
    ],
)
def test_each_failure_is_caught_and_its_check_can_be_switched_off(check, source, target):
    assert check in problems(source, target)
    assert check not in problems(source, target, checks=Limits().checks - {check})


def test_limits_of_length_can_be_moved_and_lifted():
    target = "O agricultor vendeu maçãs no mercado e depois falou."
    assert problems(LONG, target) == ["omission"]
    assert problems(LONG, target, min_ratio=0.2) == []
    assert problems(LONG, target, min_ratio=None) == []


def test_lengths_are_measured_by_what_a_language_needs():
    ratio = verdicts([Pair(GOOD[1][2], GOOD[1][3])], "en", "zh", Limits())[0].ratio
    assert ratio is not None and 0.7 < ratio < 1.3


def test_a_code_only_text_is_no_copy():
    text = "`for x in range(10): print(x)` and https://example.org/with/many/words/in/it"
    assert problems(text, text.replace("and", "e")) == []


def test_names_and_near_languages_are_no_copies():
    assert (
        copied(
            "Tom Hanks, Meg Ryan, Bill Pullman, Rosie O'Donnell",
            "Tom Hanks, Meg Ryan, Bill Pullman, Rosie O'Donnell",
            "en",
            "pt",
        )
        is None
    )
    assert copied("dobar dan svima ovdje danas", "dobar dan svima ovdje danas", "hr", "bs") is None
    assert copied("the cat sat on the mat", "the cat sat on the mat", "en", "hi") is None


@pytest.mark.parametrize(
    "source, target, language, lost",
    [
        ("It has 1,234,567 parts", "Tem 1 234 567 peças", "pt", []),
        ("It has 1,234,567 parts", "Tem peças", "pt", ["1,234,567"]),
        ("২৫ জন", "25 people", "en", []),
        ("10:30 to 11:45", "10h30 às 11h45", "pt", []),
        ("in the 18th century", "au XVIIIe siècle, soit XVIII", "fr", []),
        ("50 million yen", "5000万円", "ja", []),
        ("2 cats", "dois gatos", "pt", []),
        ("2.50 euros", "2,5 euros", "pt", []),
        ("in 2019", "ใน พ.ศ. 2562", "th", []),
    ],
)
def test_numbers_are_the_same_number_in_any_writing(source, target, language, lost):
    assert lost_numbers(source, target, "und", language) == lost


def test_loops_are_found_in_words_and_in_unspaced_scripts_and_not_in_poems():
    assert repeated("a chuva de chuva de chuva de chuva de chuva", "pt")[1] >= 4
    assert repeated("我们我们我们我们我们走", "zh")[0] == "我们"
    assert repeated("row row row your boat gently down the stream", "en") is None
    assert problems("He laughed: ha ha ha ha ha ha", "Ele riu: ha ha ha ha ha ha") == []


def test_chatter_is_known_in_many_languages_but_not_where_the_original_talks_so():
    assert commentary_in([("The rain fell.", "Hier ist die Übersetzung: Der Regen fiel.")])[0]
    assert commentary_in([("The rain fell.", "以下是翻译：下雨了。")])[0]
    assert commentary_in([("The rain fell.", "A chuva (em inglês) caiu.")]) == ["(em inglês)"]
    assert commentary_in([("Here is the translation: rain", "Aqui está a tradução: chuva")]) == [None]
    assert commentary_in([("The rain fell.", "A chuva caiu.")]) == [None]
    assert without_asides("Jane Doe", "Jane Doe (em inglês)") == "Jane Doe"
    assert without_asides("Jane Doe (in English)", "Jane Doe (em inglês)") == "Jane Doe (em inglês)"
    assert without_asides("Sporty", "Sporty (") == "Sporty"
    assert without_asides("Tolkien wrote it.", "Tolkien (a) escreveu isso.") == "Tolkien escreveu isso."
    assert without_asides("Tolkien", "(o)") == "(o)"
    long = "A casa (que o velho homem construiu com as mãos) é grande."
    assert without_asides("The house that the old man built with his hands is big.", long) == long


class OneLanguage:
    """An identifier that takes every text for one language."""

    def __init__(self, tag):
        self.tag = tag

    def identify(self, texts, k=1):
        from curate.steps.models import Identified

        return Identified([[self.tag]] * len(texts), [[0.9]] * len(texts))

    def supports(self, language):
        return language != "kl"


def test_the_wrong_language_is_told_where_there_is_enough_to_tell():
    pairs = [(LONG, LONG), ("Hi", "Oi")]
    assert wrong_language(pairs, "en", "pt", OneLanguage("en")) == ["it looks like en (the original's)", None]
    assert wrong_language(pairs, "en", "pt", OneLanguage("pt-BR")) == [None, None]
    assert wrong_language(pairs, "en", "kl", OneLanguage("en")) == [None, None]


@given(st.text(max_size=40), st.text(max_size=40))
def test_chrf_is_between_none_and_all(one, other):
    assert 0.0 <= chrf(one, other) <= 1.0
    assert chrf(one, one) == 1.0


def test_chrf_is_the_published_one():
    assert chrf("the cat sat on the mat", "the cat sat on a mat") == pytest.approx(
        0.65980, abs=1e-4
    )  # sacrebleu 2.6: 65.980


@given(
    st.text(max_size=60),
    st.text(max_size=60),
    st.sampled_from([("en", "pt"), ("zh", "en"), ("und", "th"), ("en", "ja")]),
)
def test_no_text_breaks_a_check(source, target, pair):
    verdicts([Pair(source, target, tuple(spans(source, language=pair[0])))], *pair, Limits())
