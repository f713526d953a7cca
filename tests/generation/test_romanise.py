"""Rows in Latin letters: Indic words come back letter for letter, what is no language stays, every kind of row is
served."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import plain

import curate
from curate.errors import StepError
from curate.generation.romanise import indic, latin
from curate.generation.romanise.step import Romanise, latin_tag
from curate.rows import Kind

pytest.importorskip("uroman")
pytest.importorskip("indic_transliteration")
pytestmark = pytest.mark.xdist_group("romanise")  # uroman takes two seconds to load


# ------------------------------------------------------------------------------------------------------- there and back
@pytest.mark.parametrize(
    ("word", "script", "written"),
    [
        ("संस्कृत", "Devanagari", "saṁskr̥ta"),
        ("कई", "Devanagari", "kaī"),
        ("अइसन", "Devanagari", "a:isana"),
        ("क्हा", "Devanagari", "k:hā"),
        ("ज़मीन", "Devanagari", "zamīna"),
        ("হয়েছে", "Bengali", "haẏēchē"),
        ("উৎসব", "Bengali", "ut:saba"),
        ("ਮਨੁੱਖੀ", "Gurmukhi", "manukkhī"),
        ("ਨੂੰ", "Gurmukhi", "nūṃ"),
        ("தமிழ்", "Tamil", "tamiḻ"),
        ("అక్షరం", "Telugu", "akṣaraṁ"),
        ("അവൻ", "Malayalam", "avan"),
        ("അത്", "Malayalam", "atŭ"),
        ("സർക്കാർ", "Malayalam", "sarkkār"),
        ("අකුරු", "Sinhala", "akuru"),
        ("කඳු", "Sinhala", "kan̆du"),
        ("ಕನ್ನಡ", "Kannada", "kannaḍa"),
        ("ଓଡ଼ିଆ", "Oriya", "ōṛiā"),
        ("ગુજરાતી", "Gujarati", "gujarātī"),
    ],
)
def test_iso_15919_spells_words_and_reads_them_back(word, script, written):
    assert indic.to_latin(word, script, "iso15919") == unicodedata.normalize("NFC", written)
    assert indic.from_latin(written, script, "iso15919") == indic.plain(word)


def words(script: str) -> st.SearchStrategy[str]:
    """Well-formed words of a script: vowels, consonants with signs, conjuncts, final consonants, marks."""
    table = indic._table(script, "")
    consonant = st.sampled_from(sorted(table.consonants))
    vowel, sign = st.sampled_from(sorted(table.vowels)), st.sampled_from(["", *sorted(table.signs)])
    mark = st.sampled_from(["", "", "", *sorted(table.marks)])
    conjunct = st.lists(consonant, min_size=1, max_size=3).map(table.virama.join)
    syllable = st.tuples(st.one_of(vowel, st.tuples(conjunct, sign).map("".join)), mark).map("".join)
    final = st.one_of(st.just(""), consonant.map(lambda one: one + table.virama))
    dead = st.sampled_from(["", "", *sorted(table.dead)])
    return st.tuples(
        st.lists(syllable, min_size=1, max_size=5).map("".join),
        dead,
        st.lists(syllable, max_size=2).map("".join),
        final,
    ).map("".join)


@pytest.mark.parametrize("script", sorted(indic.SCRIPTS))
def test_every_well_formed_word_comes_back_from_iso_15919(script):
    @settings(deadline=None, max_examples=150)
    @given(words(script))
    def comes_back(word):
        word = indic.plain(word)
        written = indic.to_latin(word, script, "iso15919")
        assert indic.from_latin(written, script, "iso15919") == word
        assert not latin.foreign(written)
        assert written == unicodedata.normalize("NFC", written)

    comes_back()


def test_assamese_has_an_r_of_its_own():
    assert indic.to_latin("ৰাতি", "Bengali", "iso15919", "as") == "rāti"
    assert indic.from_latin("rāti", "Bengali", "iso15919", "as") == "ৰাতি"
    assert indic.from_latin("rāti", "Bengali", "iso15919", "bn") == "রাতি"


@pytest.mark.parametrize(
    ("scheme", "written"),
    [
        ("iast", "saṃskṛta"),
        ("itrans", "saMskRRita"),
        ("hk", "saMskRta"),
        ("slp1", "saMskfta"),
        ("velthuis", "sa.msk.rta"),
        ("wx", "saMskqwa"),
    ],
)
def test_other_schemes_are_to_be_had(scheme, written):
    assert indic.to_latin("संस्कृत", "Devanagari", scheme) == written
    assert indic.from_latin(written, "Devanagari", scheme) == "संस्कृत"


# ---------------------------------------------------------------------------------------------------------------- texts
def text(given: str, language: str, scheme: str = "auto", digits: str = "latin") -> str:
    return latin.romanise(given, language, scheme, digits).text


@pytest.mark.parametrize(
    ("given", "language", "written"),
    [
        ("Привет, мир! «Да»", "ru", "Privet, mir! «Da»"),
        ("안녕하세요 여러분", "ko", "annyeonghaseyo yeoreobun"),
        ("你好，世界。\n再见", "zh", "nihao, shijie.\nzaijian"),
        ("一个人", "zh", "yigeren"),
        ("iPhone手机和café", "zh", "iPhoneshoujihecafé"),
        ("١٢٣ كتاب", "ar", "123 ktab"),
        ("नमस्ते 2024 २३", "hi", "namastē 2024 23"),
        ("ΑΒΓ　αβγ", "el", "AVG avg"),
        ("English only – café 😀", "en", "English only – café 😀"),
        ("", "hi", ""),
    ],
)
def test_texts_are_written_in_latin_letters(given, language, written):
    assert text(given, language) == written


def test_native_digits_stay_if_asked():
    assert text("२३ लोग", "hi", digits="native") == "२३ lōga"
    assert text("٢٣ كتاب", "ar", "uroman", digits="native") == "٢٣ ktab"


WORDS = [
    "мир",
    "Їжак",
    "κόσμος",
    "שלום",
    "سلام",
    "می‌روم",
    "नमस्ते",
    "বাংলা",
    "தமிழ்",
    "สวัสดี",
    "ประเทศ",
    "ລາວ",
    "ខ្មែរ",
    "မြန်မာ",
    "བོད་སྐད་",
    "ሰላም",
    "ქართული",
    "հայերեն",
    "한국어",
    "ދިވެހި",
    "cat",
    "ʻokina",
    "don't",
    "(",
    "»",
    "—",
    "...",
    "እንዴት፣",
    "ᓄᓇᕗᑦ",
]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6))
def test_uroman_reads_nothing_across_blanks(given):
    """What makes it right to keep each piece between blanks."""
    whole = latin._uroman().romanize_string(" ".join(given), lcode=None)
    assert text(" ".join(given), "und", "uroman").split() == unicodedata.normalize("NFC", whole).split()


@settings(deadline=None, max_examples=80)
@given(st.text(max_size=60), st.sampled_from(["auto", "uroman", "iso15919"]))
def test_any_text_survives_and_what_is_protected_is_untouched(given, scheme):
    given = given.encode("utf-8", "ignore").decode()
    third = len(given) // 3
    made = latin.romanise(given, "und", scheme, "latin", [(third, 2 * third)])
    # Where there was nothing to romanise, the text keeps its own normal form.
    assert unicodedata.normalize("NFC", given[third : 2 * third]) in unicodedata.normalize("NFC", made.text)
    assert 0 <= made.returned <= made.native
    assert 0 <= made.left <= made.letters


def test_a_huge_text_without_blanks_is_no_trouble():
    made = latin.romanise("语" * 20_000 + "。" * 1000, "zh", "auto", "latin")
    assert made.text.startswith("yuyuyu")
    assert made.left == 0


# ----------------------------------------------------------------------------------------------------------------- rows
def test_a_row_goes_on_with_one_in_latin_letters_beside_it(bench, make, gathered, turns):
    world = bench()
    rows = make(
        Kind.SFT,
        [{"messages": turns("system: शांत रहो।", "user: नाम क्या है?", "assistant: मेरा नाम कमल है।"), "language": "hi"}],
    )
    made, bad = gathered(Kind.SFT, Romanise().make(rows, world))
    assert bad == []
    assert made[0]["messages"] == plain(rows.table["messages"].to_pylist()[0])
    assert [turn["content"] for turn in made[1]["messages"]] == ["शांत रहो।", "nāma kyā hai?", "mērā nāma kamala hai।"]
    assert [turn["role"] for turn in made[1]["messages"]] == ["system", "user", "assistant"]
    assert (made[1]["language"], made[1]["group_id"]) == ("hi-Latn", made[0]["group_id"])
    assert made[1]["scores"] == {"romanise.left": 0, "romanise.round_trip": 1}
    assert made[1]["attributes"] == {"romanise.scheme": "iso15919"}
    assert made[1]["lineage"]["parents"] == [made[0]["id"]]


@pytest.mark.parametrize(
    ("kind", "payload", "fields"),
    [
        (Kind.DOCUMENT, {"text": "дом"}, ("text",)),
        (Kind.PROMPT, {"prompt": ["user: дом"]}, ("prompt",)),
        (
            Kind.PREFERENCE,
            {"prompt": ["user: дом"], "chosen": ["assistant: сад"], "rejected": ["assistant: лес"]},
            None,
        ),
        (Kind.UNPAIRED, {"prompt": ["user: дом"], "completion": ["assistant: сад"], "label": True}, None),
    ],
)
def test_every_kind_of_row_can_be_romanised(bench, make, gathered, turns, kind, payload, fields):
    row = {name: turns(*value) if isinstance(value, list) else value for name, value in payload.items()}
    made, _ = gathered(
        kind, Romanise(fields=fields, keep_original=False).make(make(kind, [{**row, "language": "ru"}]), bench())
    )
    said = str({name: made[0][name] for name in payload})
    assert "dom" in said
    assert ("sad" in said) == ("сад" in str(row))
    assert not latin.foreign(said)
    assert made[0]["language"] == "ru-Latn"
    assert made[0]["lineage"]["makers"][-1]["model"].startswith("uroman@")


def test_the_sides_of_a_pair_have_languages_of_their_own(bench, make, gathered):
    rows = make(Kind.PARALLEL, [{"source_language": "ru", "source": "дом", "target": "घर", "language": "hi"}])
    made, _ = gathered(Kind.PARALLEL, Romanise(keep_original=False).make(rows, bench()))
    assert (made[0]["source"], made[0]["source_language"], made[0]["target"], made[0]["language"]) == (
        "dom",
        "ru-Latn",
        "ghara",
        "hi-Latn",
    )
    made, _ = gathered(Kind.PARALLEL, Romanise(keep_original=False, fields=("source",)).make(rows, bench()))
    assert (made[0]["source_language"], made[0]["target"], made[0]["language"]) == ("ru-Latn", "घर", "hi")
    assert made[0]["attributes"] == {"romanise.scheme": "uroman"}


def test_pairs_of_native_and_latin_text(bench, make, gathered, turns):
    rows = make(
        Kind.SFT,
        [
            {"messages": turns("user: नमस्ते", "assistant: कैसे हो?"), "language": "hi"},
            {"messages": turns("user: hello", "assistant: hi"), "language": "en"},
        ],
    )
    made, bad = gathered(Kind.PARALLEL, Romanise(form="pair").make(rows, bench()))
    assert bad == []
    assert [(row["source"], row["target"]) for row in made] == [("नमस्ते", "namastē"), ("कैसे हो?", "kaisē hō?")]
    assert {(row["source_language"], row["language"]) for row in made} == {("hi", "hi-Latn")}
    assert {row["lineage"]["parents"][0] for row in made} == {rows.ids[0]}


def test_a_prompt_in_both_scripts_keeps_its_answer(bench, make, gathered, turns):
    rows = make(
        Kind.SFT,
        [
            {"messages": turns("user: {x} नमस्ते", "assistant: हाँ"), "language": "hi"},
            {"messages": turns("user: hello", "assistant: hi"), "language": "en"},
        ],
    )
    made, _ = gathered(Kind.SFT, Romanise(form="prompt-both", template="{native} ({latin})").make(rows, bench()))
    assert [row["messages"][0]["content"] for row in made] == ["hello", "{x} नमस्ते ({x} namastē)"]
    assert made[1]["messages"][1]["content"] == "हाँ"
    assert made[1]["language"] == "hi"


def test_what_is_in_latin_letters_already_is_passed_over(bench, make, gathered):
    rows = make(
        Kind.DOCUMENT,
        [
            {"text": "Was heißt «мир» auf Deutsch, bitte sehr?", "language": "de"},
            {"text": "OK 42", "language": "ru"},
            {"text": "Здравствуйте, как дела?", "language": "de"},
        ],
    )
    made, bad = gathered(Kind.DOCUMENT, Romanise(keep_original=False).make(rows, bench()))
    assert bad == []
    assert [row["text"] for row in made] == [rows.table["text"][0].as_py(), "OK 42", "Zdravstvuite, kak dela?"]
    assert [row["language"] for row in made] == ["de", "ru", "de"]


def test_only_the_languages_asked_for_are_romanised(bench, make, gathered):
    rows = make(Kind.DOCUMENT, [{"text": "дом", "language": "ru"}, {"text": "घर", "language": "hi-IN"}])
    made, _ = gathered(Kind.DOCUMENT, Romanise(keep_original=False, only=("hi",)).make(rows, bench()))
    assert [(row["text"], row["language"]) for row in made] == [("дом", "ru"), ("ghara", "hi-Latn-IN")]


def test_code_addresses_and_placeholders_stay_as_they_are(bench, make, gathered):
    given = "देखो `मान = 1` और https://example.org/राम तथा {नाम}:\n```\nछापो('घर')\n```\nबस"
    rows = make(Kind.DOCUMENT, [{"text": given, "language": "hi"}])
    made, _ = gathered(Kind.DOCUMENT, Romanise(keep_original=False).make(rows, bench()))
    assert made[0]["text"] == "dēkhō `मान = 1` aura https://example.org/राम tathā {नाम}:\n```\nछापो('घर')\n```\nbasa"
    made, _ = gathered(Kind.DOCUMENT, Romanise(keep_original=False, protect=()).make(rows, bench()))
    assert "`māna = 1`" in made[0]["text"]
    assert "chāpō" in made[0]["text"]


def test_a_greek_question_is_no_program_line(bench, make, gathered):
    rows = make(Kind.DOCUMENT, [{"text": "Τι έγινε το 2015;", "language": "el"}])
    made, _ = gathered(Kind.DOCUMENT, Romanise(keep_original=False).make(rows, bench()))
    assert made[0]["text"].startswith("Ti ")


def test_kanji_are_refused_unless_they_may_be_read_as_chinese(bench, make, gathered):
    rows = make(Kind.DOCUMENT, [{"text": "さくら", "language": "ja"}, {"text": "東京へ", "language": "ja"}])
    with pytest.raises(StepError, match="kanji as Chinese"):
        list(Romanise().make(rows, bench()))
    made, _ = gathered(Kind.DOCUMENT, Romanise(keep_original=False, kanji="chinese").make(rows, bench()))
    assert [row["text"] for row in made] == ["sakura", "dongjinghe"]
    assert made[0]["language"] == "ja-Latn"


def test_what_cannot_be_written_or_does_not_come_back_is_kept_apart(bench, make, gathered):
    rows = make(
        Kind.DOCUMENT,
        [{"text": "дом", "language": "ru"}, {"text": "ಕನ್ನಡ ಹೊಸ", "language": "kn"}, {"text": "घर", "language": "hi"}],
    )
    made, bad = gathered(Kind.DOCUMENT, Romanise(scheme="iast", keep_original=False).make(rows, bench()))
    assert [row["text"] for row in made] == ["ghara"]
    assert [one.where for one in bad] == [rows.ids[0], rows.ids[1]]
    assert "100% of the letters are not Latin" in bad[0].reason
    assert "come back (scheme iast)" in bad[1].reason
    made, bad = gathered(
        Kind.DOCUMENT, Romanise(scheme="iast", keep_original=False, min_round_trip=0, max_left=1).make(rows, bench())
    )
    assert bad == []
    assert made[1]["scores"]["romanise.round_trip"] < 1


def test_no_row_depends_on_its_neighbours(bench, make, gathered):
    texts = [("дом", "ru"), ("घर २", "hi"), ("hi", "en"), ("语", "zh")]
    rows = make(Kind.DOCUMENT, [{"text": given, "language": tag} for given, tag in texts])
    whole, _ = gathered(Kind.DOCUMENT, Romanise(keep_original=False).make(rows, bench()))
    single = []
    for at in range(len(rows)):
        single += gathered(
            Kind.DOCUMENT, Romanise(keep_original=False).make(type(rows)(rows.kind, rows.table.slice(at, 1)), bench())
        )[0]
    assert sorted(whole, key=lambda row: row["id"]) == sorted(single, key=lambda row: row["id"])
    assert gathered(Kind.DOCUMENT, Romanise().make(make(Kind.DOCUMENT, []), bench())) == ([], [])


# ----------------------------------------------------------------------------------------------------------- parameters
@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (Kind.SFT, {"fields": ("text",)}, "no field 'text'"),
        (Kind.SFT, {"fields": ()}, "is empty"),
        (Kind.SFT, {"form": "pair", "keep_original": True}, "keep_original"),
        (Kind.DOCUMENT, {"form": "prompt-both"}, "have no prompt"),
        (Kind.SFT, {"form": "prompt-both", "fields": ("response",)}, "about the prompt"),
        (Kind.SFT, {"form": "prompt-both", "template": "{native}"}, "latin"),
        (Kind.SFT, {"form": "prompt-both", "template": "{native} {latin} {other}"}, "other"),
        (Kind.SFT, {"form": "prompt-both", "template": "{native} {latin} {"}, "single"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, given, said):
    assert any(said in one for one in Romanise(**given).check(kind))


def test_good_parameters_are_accepted():
    assert Romanise().check(Kind.SFT) == []
    assert Romanise(form="pair").check(Kind.DOCUMENT) == []
    assert Romanise(form="prompt-both", keep_original=True).check(Kind.PREFERENCE) == []


def test_tags_of_latin_writing():
    assert [latin_tag(tag) for tag in ("hi", "zh-Hant", "sr", "ar-EG", "sr-Latn")] == [
        "hi-Latn",
        "zh-Latn",
        "sr-Latn",
        "ar-Latn-EG",
        "sr-Latn",
    ]


def test_a_catalog_romanises(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text('{"t": "नमस्ते दुनिया"}\n{"t": "घर"}\n', "utf-8")
    (tmp_path / "catalog.yaml").write_text("""
version: 1
sources:
  hindi: {use: jsonl, path: rows.jsonl, kind: document, language: hi, license: CC0-1.0, columns: {text: "{t}"}}
datasets:
  scripts: {from: hindi, steps: [romanise]}
""")
    [built] = curate.build(tmp_path / "catalog.yaml")
    assert built.rows == 4
    frame = curate.query("select text, language from scripts order by language, text", store=tmp_path / ".curate")
    assert frame["text"].to_list()[2:] == ["ghara", "namastē duniyā"]
