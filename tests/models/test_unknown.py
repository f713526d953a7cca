"""Texts in languages that no identifier knows, here invented ones, are not called by another language's name."""

from __future__ import annotations

import numpy as np
import pytest

from curate.models.langid import language_data as data
from curate.models.langid.ensemble import LanguageIdEnsemble
from curate.models.langid.triples import BUCKETS, Triples, bucket, find_triples, shipped

pytest.importorskip("eldc")
pytest.importorskip("pycld2")

INVENTED = (
    "Wuklo nagbé tsivu akpéto mi, dzofe kwami yéto gbla nu wokpo fé hlodzi la me kpakple sronu.",
    "Ochik munakwel tzupaj rixkam chuqla, k'oxtaj nimaqen wuchinel rech taq winaqib' pa kujtzij.",
    "Mbwoku yangarha tjindi ngopuno, warrkaji ngurntu pijakarra nyampurla kurdungurlu yirdijarlu.",
    "Žvolni drakesh topilqa venoch, smurtaq belvonik grashtulo pimeq zuvorna koltish brenaq.",
)
KNOWN = {
    "de": "Die Nachbarin brachte uns gestern Kuchen, weil sie zu viel gebacken hatte.",
    "sw": "Watoto walikwenda sokoni asubuhi kununua matunda na mboga za jioni.",
    "yo": "Àwọn ọmọdé náà ń ṣeré ní ẹ̀bá odò, wọ́n sì padà sílé ní ìrọ̀lẹ́.",
    "cs": "Sousedka nám včera přinesla koláč, protože ho upekla příliš mnoho.",
    "ru": "Соседка вчера принесла нам пирог, потому что испекла слишком много.",
}


def test_invented_languages_get_no_name_and_known_ones_keep_theirs() -> None:
    ensemble = LanguageIdEnsemble().load(cache=None, threads=1)
    assert ensemble.identify(INVENTED).languages == [[]] * len(INVENTED)
    assert ensemble.identify(list(KNOWN.values())).languages == [[tag] for tag in KNOWN]
    # A catalog that lists its languages says that there are no others.
    told = LanguageIdEnsemble(languages=("ak", "yo", "qu", "en"), abstain=0.0).load(cache=None, threads=1)
    assert all(told.identify(INVENTED).languages)


def test_triples_are_those_of_each_text_s_words() -> None:
    buckets, own, numbers = find_triples([["ab", "c"], [], ["é\ud800"], ["ab"]])

    def of(letters: str) -> int:
        return int(bucket(*np.asarray([list(map(ord, letters))], np.uint32).T)[0])

    found = list(zip(own.tolist(), buckets.tolist(), strict=True))
    assert found == [
        (0, of(" ab")),
        (0, of("ab ")),
        (0, of(" c ")),
        (2, of(" é\ud800")),
        (2, of("é\ud800 ")),
        (3, of(" ab")),
        (3, of("ab ")),
    ]
    assert numbers.tolist() == [3, 0, 2, 2]
    assert [find_triples(texts).numbers.tolist() for texts in ([], [[]])] == [[], [0]]
    assert buckets.max() < BUCKETS


def test_oddness_is_the_distance_from_what_is_usual() -> None:
    usual = Triples(
        {"x": {"usual": 2.0, "absent": -8, "triples": {"8": " abab "}}, "y": {"usual": 0.0, "absent": 0, "triples": {}}}
    )
    odd = usual.oddness(find_triples([["ab"], ["q"], ["ab"], [], ["ab"]]), ["x", "x", "y", "x", "z"])
    assert odd.tolist() == [0.0, 4.0, 0.0, 2.0, 0.0]


def test_the_letters_of_short_texts_support_languages() -> None:
    usual = Triples(
        {
            "x": {"usual": 0.0, "absent": -8, "triples": {"8": " abab "}},
            "y": {"usual": 0.0, "absent": -8, "triples": {}},
        }
    )
    scores = np.asarray([[1.0, 2.0, 3.0, -np.inf], [1.0, 2.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]], np.float32)
    texts = [["ab"], [f"{at}ab" for at in "abcdefghijklmn"], []]
    added = usual.support(find_triples(texts), ["x", "y", "z", "y"], scores)
    assert added[0, 0] == 0 > added[0, 1] and added[0, 2] == pytest.approx(added[0, 1] / 2)
    assert not added[1:].any()


def test_a_word_in_its_language_s_letters_is_named() -> None:
    ensemble = LanguageIdEnsemble().load(cache=None, threads=1)
    words = {"Freundschaft": "de", "zawsze": "pl", "watoto": "sw", "bonjour": "fr"}
    found = ensemble.identify(list(words))
    assert [tags[:1] for tags in found.languages] == [[tag] for tag in words.values()]


def test_the_data_are_whole() -> None:
    whole = data.triples()["languages"]
    assert len(whole) > 200 and {"en", "sw", "ru", "ar", "hi", "yo", "qu"} <= set(whole)
    for tag, one in whole.items():
        assert tag in shipped() and all(len(letters) % 3 == 0 for letters in one["triples"].values()), tag
        assert 200 < sum(map(len, one["triples"].values())) / 3 <= 2500 and one["absent"] < 0, tag
