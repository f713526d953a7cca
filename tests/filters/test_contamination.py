"""Contamination: items found in every script and disguise, and nothing that only looks like one."""

from __future__ import annotations

import gzip
import json
import random
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.catalog.params import Reference
from curate.rows import Kind
from curate.steps import StepError
from filters.contamination import left_out
from filters.contamination.index import Index
from filters.contamination.items import Item, make_table
from filters.contamination.loading import Unreachable, find_files, language_of, read_file, read_hub
from filters.contamination.match import match
from filters.contamination.normalize import SAME, characters_of, without_markers
from filters.contamination.registry import expanded, registry
from filters.contamination.step import Contamination

FEATURE = {name: number for number, name in enumerate(left_out.FEATURES)}
# Own sentences; a person, a thing and a place that no other item has.
QUESTIONS = {
    "en": "Which harbour did the blind cartographer Ilse Varnholt leave on the morning her brass compass failed?",
    "de": "Aus welchem Hafen lief die blinde Kartografin Ilse Varnholt aus, als ihr Messingkompass versagte?",
    "zh": "盲人制图师伊尔莎在她的黄铜罗盘失灵的那个早晨离开了哪个港口？",
    "ja": "盲目の地図職人イルゼは真鍮の羅針盤が壊れた朝にどの港を出発しましたか。",
    "th": "นักเขียนแผนที่ตาบอดชื่ออิลเซออกจากท่าเรือใดในเช้าวันที่เข็มทิศทองเหลืองของเธอเสีย",
    "ar": "من أي ميناء أبحرت رسامة الخرائط الكفيفة إلسا في الصباح الذي تعطلت فيه بوصلتها النحاسية؟",
    "hi": "जिस सुबह उसका पीतल का कम्पास खराब हुआ उस दिन नेत्रहीन मानचित्रकार इल्से किस बंदरगाह से निकली थी?",
    "ru": "Из какой гавани вышла слепая картографиня Ильзе в то утро, когда отказал её латунный компас?",
    "tr": "Kör haritacı İlse, pirinç pusulasının bozulduğu sabah hangi ISSIZ limandan ayrıldı?",
    "ko": "눈먼 지도 제작자 일제는 황동 나침반이 고장 난 아침에 어느 항구를 떠났습니까?",
    "el": "Από ποιο λιμάνι απέπλευσε η τυφλή χαρτογράφος Ίλζε το πρωί που χάλασε η ορειχάλκινη πυξίδα της;",
    "he": "מאיזה נמל הפליגה הקרטוגרפית העיוורת אילזה בבוקר שבו התקלקל מצפן הפליז שלה?",
    "ta": "பித்தளைத் திசைகாட்டி பழுதான காலையில் பார்வையற்ற வரைபடக் கலைஞர் இல்சே எந்தத் துறைமுகத்தை விட்டுச் சென்றார்?",
    "am": "የናስ ኮምፓሷ በተበላሸበት ጠዋት ዓይነ ስውሯ የካርታ ሠሪ ኢልሴ ከየትኛው ወደብ ተነሳች?",
    "vi": "Nữ họa đồ mù Ilse đã rời bến cảng nào vào buổi sáng chiếc la bàn bằng đồng của bà bị hỏng?",
    "sw": "Mchora ramani kipofu Ilse aliondoka bandari gani asubuhi ambayo dira yake ya shaba iliharibika?",
}
SUM = (
    "Oksana packs 14 jars of plum jam into each of 6 crates and gives 9 jars to her neighbour. How many jars are left?"
)
FILLER = (
    "Soup is best when it has simmered slowly for a while. Add the herbs at the end, and serve it with warm bread. "
)
MANY = [
    Item("mine", f"q{number}", "en", f"Who taught the {animal} of the {place} to count in {metal} coins?")
    for number, (animal, place, metal) in enumerate(
        (a, p, m)
        for a in ("heron", "badger", "otter", "lynx")
        for p in ("Marrow fen", "Tilling hill", "Oster quay")
        for m in ("copper", "silver", "nickel")
    )
]


def write(path: Any, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def bench(tmp_path, make, work_context):
    """Scores and reasons of SFT rows against items of MGSM's and XQuAD's shape."""

    class Bench:
        def __init__(self) -> None:
            self.context = work_context()

        def step(
            self, items: dict[str, str] | None = None, contexts: list[dict[str, Any]] | None = None, **parameters: Any
        ) -> Contamination:
            files: dict[str, Any] = {}
            if items is not None:
                files["mgsm"] = {
                    tag: write(tmp_path / f"m-{number}.jsonl", [{"question": one, "answer_number": 1}])
                    for number, (tag, one) in enumerate(items.items())
                }
            if contexts is not None:
                files["xquad"] = {"en": write(tmp_path / "x.jsonl", contexts)}
            return Contamination(against=tuple(files), files=files, **{"model": None, **parameters})

        def judge(self, step: Contamination, *rows: dict[str, Any]) -> tuple[pl.DataFrame, list[str | None]]:
            fitted = step.fit([], self.context)
            some = make(Kind.SFT, rows)
            frame = step.score(some, self.context, fitted).with_columns(language=some.language)
            reason = pl.lit(None, dtype=pl.String)
            for name, test in reversed(step.drop_rules(Kind.SFT).items()):
                reason = pl.when(test.fill_null(False)).then(pl.lit(name)).otherwise(reason)
            return frame, frame.select(reason=reason).to_series().to_list()

    return Bench()


def row(prompt: str, response: str, language: str = "en") -> dict[str, Any]:
    return {
        "language": language,
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}],
    }


def chat(language: str, *said: str) -> dict[str, Any]:
    return {
        "language": language,
        "messages": [{"role": ("user", "assistant")[n % 2], "content": one} for n, one in enumerate(said)],
    }


# ---------------------------------------------------------------------------------------------------------------- found
@pytest.mark.parametrize("language", QUESTIONS)
def test_an_item_is_found_verbatim_embedded_and_over_two_turns_in_every_script(bench, language):
    question = QUESTIONS[language]
    middle = len(question) // 2 if " " not in question else question.index(" ", len(question) // 2)
    step = bench.step(QUESTIONS)
    frame, reasons = bench.judge(
        step,
        row(question, "?", language),
        row("?", f"{FILLER}{FILLER}\n{question}\n{FILLER}", language),
        chat(language, question[:middle].strip(), FILLER, question[middle:].strip(), FILLER),
        row(FILLER, FILLER, language),
    )
    assert reasons == ["verbatim", "embedded", "split", None]
    assert frame["benchmark"].to_list() == ["mgsm"] * 3 + [None]
    assert frame["item"].to_list() == ["0"] * 3 + [None]
    assert frame["item_language"].to_list() == [language] * 3 + [None]
    assert frame["score"].to_list() == [1.0, 1.0, 1.0, 0.0]
    [[field, start, end]] = json.loads(frame["spans"][1])
    told = f"{FILLER}{FILLER}\n{question}\n{FILLER}"[start:end]
    assert field == "response"
    assert characters_of(told, language).letters == characters_of(question, language).letters


def test_case_width_marks_entities_and_other_digits_hide_nothing(bench):
    wide = "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in SUM)
    arabic = SUM.translate({ord("0") + n: 0x0660 + n for n in range(10)})
    step = bench.step({"en": SUM, "tr": QUESTIONS["tr"]})
    _, reasons = bench.judge(
        step,
        row(SUM.upper(), "?"),
        row(wide, "?"),
        row(arabic, "?"),
        row(f"&quot;{SUM.replace(' ', '  ')}&quot;", "?"),
        row(SUM.replace("jam", "j\u00adam\u200b"), "?"),
        row("kör haritacı ilse, pirinç pusulasının bozulduğu sabah hangi ıssız limandan ayrıldı", "?", "tr"),
    )
    assert reasons == ["verbatim"] * 6


@pytest.mark.parametrize(
    ("language", "item", "numbered"),
    [
        (
            "en",
            "Which harbour has 14 piers? Teal Cove, Amber Bay, Rust Point",
            "Which harbour has 14 piers? 1: Teal Cove 2: Amber Bay 3: Rust Point",
        ),
        (
            "en",
            "Which harbour has 14 piers? (A) Teal Cove (B) Amber Bay",
            "Which harbour has 14 piers? (A) Teal Cove (B) Amber Bay",
        ),
        (
            "de",
            "Drei Segler brachten 14 Kisten. Jede Kiste wog 9 Pfund. Was wogen alle zusammen?",
            "1. Drei Segler brachten 14 Kisten.\n2. Jede Kiste wog 9 Pfund.\n3. Was wogen alle zusammen?",
        ),
        ("zh", "哪个港口有14座码头？青湾、琥珀湾、铁锈角", "哪个港口有14座码头？(1)青湾(2)琥珀湾(3)铁锈角"),
        ("ar", "أي ميناء له 14 رصيفا؟ خليج العنبر، رأس الصدأ", "أي ميناء له 14 رصيفا؟ ١) خليج العنبر ٢) رأس الصدأ"),
        ("hi", "किस बंदरगाह में 14 घाट हैं? नीली खाड़ी, लाल अंतरीप", "किस बंदरगाह में 14 घाट हैं? १. नीली खाड़ी २. लाल अंतरीप"),
        ("th", "ท่าเรือใดมีสะพานเทียบ 14 แห่ง อ่าวเขียว แหลมสนิม", "ท่าเรือใดมีสะพานเทียบ 14 แห่ง ① อ่าวเขียว ② แหลมสนิม"),
    ],
)
def test_markers_of_a_list_are_no_numbers(bench, language, item, numbered):
    for one, other in ((item, numbered), (numbered, item)):
        _, reasons = bench.judge(
            bench.step({language: one}),
            row(other, "?", language),
            row(f"{FILLER}\n{other}\n{FILLER}", "?", language),
            row(other.replace("14", "15"), "?", language),
        )
        assert reasons == ["verbatim", "embedded", None]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("2. Oktober", "2. Oktober"),
        ("1. Mai", "1. Mai"),
        ("f(1) = 3 and f(2) = 5", "f(1) = 3 and f(2) = 5"),
        ("ratio 1:2 and 2:3", "ratio 1:2 and 2:3"),
        ("1. a 2. b", "   a    b"),
        ("(1) a (3) b", "(1) a (3) b"),
        ("(1) 80 sacks (2) 90 sacks", "    80 sacks     90 sacks"),
        ("1: 2 or 2: 3", "1: 2 or 2: 3"),
        ("", ""),
    ],
)
def test_only_two_or_more_numbers_in_order_are_markers(text, kept):
    assert without_markers(text) == kept


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_edits_are_found_in_every_script(bench, share):
    rng = random.Random(7)
    step = bench.step(QUESTIONS)
    rows = []
    for language, question in QUESTIONS.items():
        signs = list(question)
        for at in rng.sample(range(len(signs)), round(len(signs) * share)):
            signs[at] = rng.choice([sign for sign in signs if sign.isalpha()])
        rows.append(row("".join(signs), FILLER, language))
    _, reasons = bench.judge(step, *rows)
    assert reasons == ["edited"] * len(rows)


def test_half_an_item_in_a_row_of_its_own_is_a_part_when_the_run_is_long(bench):
    long = (
        "The lighthouse keeper counted every crate of lemons twice before the storm carried the northern pier "
        "away and then wrote a letter to the harbour master about it."
    )
    half = long[: len(long) // 2 + 10]
    frame, reasons = bench.judge(bench.step({"en": long}), row(half, FILLER), row(half[:30], FILLER))
    assert reasons == ["part", None]
    assert frame["hit"][0] == "part" and 0.3 < frame["score"][0] < 0.65 and frame["run"][0] >= 13
    _, reasons = bench.judge(bench.step({"en": long}, part=None), row(half, FILLER))
    assert reasons == [None]


# ------------------------------------------------------------------------------------------------------------ not found
def test_other_numbers_or_operators_are_another_item(bench):
    step = bench.step({"en": SUM, "de": "Berechne bitte sorgfältig den Wert von 17 + 4 mal 3 im Kopf ohne Papier"})
    frame, reasons = bench.judge(
        step,
        row(SUM.replace("14", "15"), "?"),
        row(SUM.replace("6 crates", "60 crates"), "?"),
        row(SUM.replace("9 jars", "jars"), "?"),
        row(SUM.replace("each of 6", "each of 3 of 6"), "?"),
        row("Berechne bitte sorgfältig den Wert von 17 - 4 mal 3 im Kopf ohne Papier", "?", "de"),
        row(SUM, "?"),
    )
    assert reasons == [None] * 5 + ["verbatim"]
    assert frame["score"].to_list()[:5] == [0.0] * 5
    _, reasons = bench.judge(bench.step({"en": SUM}, numbers="ignore"), row(SUM.replace("14", "15"), "?"))
    assert reasons == ["edited"]


def test_a_number_is_compared_as_a_whole_and_however_it_is_grouped(bench):
    text = "A barge carries {} sacks of rye from the upper mill to the lower mill each week of autumn"
    step = bench.step({"en": text.format("1,250")})
    _, reasons = bench.judge(
        step, *(row(text.format(one), "?") for one in ("1,250", "1250", "1,2501", "125", "12,50", "1.250"))
    )
    assert reasons[:2] == ["verbatim", "verbatim"] and reasons[2:] == [None] * 4


def test_a_negation_more_is_another_question(bench):
    text = "Which of these harbours did the blind cartographer visit in spring?"
    _, reasons = bench.judge(
        bench.step({"en": text}),
        row(text.replace("visit", "never visit"), "?"),
        row(text.replace("visit", "visited"), "?"),
    )
    assert reasons == [None, "edited"]


def test_short_items_count_only_where_they_stand_alone(bench):
    step = bench.step({"en": "Who is he?", "de": "2 + 2 = ?"})
    _, reasons = bench.judge(
        step,
        row("Who is he?", "?"),
        row("Please answer.\nWho is he?\nThank you.", "?"),
        row("She asked who is he talking to.", "?"),
        row("Who is she?", "?"),
        row("2 + 2 = ?", "?", "de"),
        row("2 - 2 = ?", "?", "de"),
        row("12 + 2 = ?", "?", "de"),
    )
    assert reasons == ["verbatim", "embedded", None, None, "verbatim", None, None]


CONTEXT = (
    "Ilse Varnholt was a blind cartographer from the island of Hemmersand. In 1871 she left the harbour of Dunkel Bay "
    "on board of the "
    "schooner Petrel, although her brass compass had failed that very morning. She drew the reefs by touch on wet "
    "sailcloth. "
    "Her maps were printed in Tolmin by the brothers Rasch and used by fishermen for sixty years."
)


def test_the_same_paragraph_with_another_question_is_told_and_kept(bench):
    known = [
        {"id": "a", "context": CONTEXT, "question": "In which year did she leave the harbour of Dunkel Bay?"},
        {"id": "b", "context": CONTEXT, "question": "Who printed the maps of Ilse Varnholt in the town of Tolmin?"},
    ]
    step = bench.step(contexts=known)
    other = row(f"{CONTEXT}\n\nWhat did fishermen use for sixty years?", "Her maps.")
    frame, reasons = bench.judge(step, other, row(f"{CONTEXT}\n\n{known[1]['question']}", "Rasch"), row(FILLER, FILLER))
    assert reasons == [None, "embedded", None]
    assert frame["context"].to_list() == [1.0, 1.0, 0.0]
    assert frame["hit"].to_list() == ["context", "embedded", None]
    assert frame["item"][1] == "b" and '"hit":"context"' in frame["others"][1]
    assert json.loads(frame["spans"][0]) == [["prompt", 0, len(CONTEXT) - 1]]
    _, reasons = bench.judge(bench.step(contexts=known, context="drop"), other, row(FILLER, FILLER))
    assert reasons == ["context", None]


def test_a_question_that_several_items_ask_needs_what_tells_them_apart(bench):
    asked = "What is the main idea of the passage that you have just read?"
    known = [{"id": "a", "context": CONTEXT, "question": asked}, {"id": "b", "context": FILLER * 3, "question": asked}]
    _, reasons = bench.judge(bench.step(contexts=known), row(asked, "?"), row(f"{CONTEXT}\n{asked}", "?"))
    assert reasons == [None, "embedded"]


# ----------------------------------------------------------------------------------------------------------- by meaning
def test_translations_are_found_and_other_numbers_are_none(bench):
    items = {"en": QUESTIONS["en"]}
    step = bench.step(items, model="use-multilingual")
    told = ("de", "ru", "zh", "ja", "th", "ar")
    frame, reasons = bench.judge(
        step, *(row(QUESTIONS[tag], "?", tag) for tag in told), row("Wie kocht man eine gute Suppe?", "?", "de")
    )
    assert reasons[-1] is None and sum(one == "translated" for one in reasons[:-1]) >= 5
    assert frame["hit"][0] == "translated" and frame["item_language"][0] == "en"
    assert json.loads(frame["spans"][0]) == [["prompt", 0, len(QUESTIONS["de"])]]
    german = (
        "Oksana packt je 14 Gläser Pflaumenmarmelade in 6 Kisten und gibt ihrer Nachbarin 9 Gläser. Wie "
        "viele Gläser bleiben übrig?"
    )
    frame, reasons = bench.judge(
        bench.step({"en": SUM}, model="use-multilingual"),
        row(german, "?", "de"),
        row(german.replace("14", "12"), "?", "de"),
    )
    assert reasons == ["translated", None]


def test_another_question_about_the_topic_is_no_translation_and_no_paraphrase(bench):
    step = bench.step({"en": "Which river flows through the city of London?"}, model="use-multilingual")
    frame, reasons = bench.judge(
        step,
        row("Welcher Fluss fließt durch die Stadt London?", "?", "de"),
        row("¿Qué río atraviesa la ciudad de Londres?", "?", "es"),
        row("Welcher große Fluss fließt durch Ägypten?", "?", "de"),
        row("¿Qué mares rodean la ciudad de Estambul?", "?", "es"),
        row("Which major river runs through Egypt?", "?"),
        row("What river is it that runs through London, the city?", "?"),
    )
    assert reasons == ["translated", "translated", None, None, None, "paraphrased"]
    assert frame["similarity"][4] > 0.6 and frame["paraphrase"][4] < 0.3


def test_leaving_out_the_word_that_differs_brings_another_question_nearer(bench):
    encoder = bench.context.model("use-multilingual")
    item = "Which river flows through the city of London?"
    pairs = [("Welcher Fluss fließt durch die Stadt London?", item), ("Welcher Fluss fließt durch Ägypten?", item)]
    same, other = left_out.compare(pairs, encoder.encode)
    assert other[FEATURE["text, nearest"]] > 0.03 > same[FEATURE["text, nearest"]]
    assert left_out.compare([("", item), ("?!", "…")], encoder.encode).shape == (2, 6)
    assert left_out.compare([], encoder.encode).shape == (0, 6)
    assert left_out.shortened("伦敦有什么河？") == ["有什么河？", "伦敦么河？", "伦敦有什？"]


def test_common_words_of_a_short_item_in_a_longer_sentence_are_not_the_item():
    asked = [f"What are the {one} in the {other}?" for one in ("kings", "rooms", "keys") for other in ("story", "hall")]
    item = "Which planets are in the solar system?"
    index = Index(make_table([Item("mine", str(n), "en", one) for n, one in enumerate([item, *asked])]), 4.0)

    def share(one: str) -> float:
        found = match(index.item(0), characters_of(one, "en"), one, "en")
        return found.containment if found is not None else 0.0

    assert share("Which plants are in the solar system?") >= 0.6
    assert share("Explain this: which plants are in the solar system?") >= 0.6
    assert share("Make up a mnemonic that helps a child remember the planets in the solar system.") < 0.6


def test_a_language_the_encoder_does_not_know_is_not_assessed(bench):
    step = bench.step({"en": QUESTIONS["en"]}, model="use-multilingual")
    frame, reasons = bench.judge(step, row(QUESTIONS["hi"], "?", "hi"), row(FILLER, "?"))
    assert reasons == [None, None]
    assert frame["unassessed"].to_list() == ["language", None]
    assert frame["translation"][0] is None and frame["score"][0] == 0.0
    bench.judge(step, row(QUESTIONS["hi"], "?", "hi"), row(QUESTIONS["hi"], "!", "hi"))
    # The same words whatever the number of rows, so that the engine says them once.
    assert len({warning for warning in bench.context.warnings if "'hi'" in warning}) == 1
    _, reasons = bench.judge(
        bench.step({"en": QUESTIONS["en"]}, model="use-multilingual", unassessed="drop"),
        row(QUESTIONS["hi"], "?", "hi"),
    )
    assert reasons == ["unassessed"]
    with pytest.raises(StepError, match="does not support 'hi'"):
        bench.judge(
            bench.step({"en": QUESTIONS["en"]}, model="use-multilingual", strict=True), row(QUESTIONS["hi"], "?", "hi")
        )


# --------------------------------------------------------------------------------------------------------- independence
def test_what_a_row_gets_does_not_depend_on_its_neighbours(bench):
    step = bench.step(
        QUESTIONS, contexts=[{"id": "a", "context": CONTEXT, "question": QUESTIONS["en"]}], model="use-multilingual"
    )
    rows = [row(question, FILLER, language) for language, question in QUESTIONS.items()]
    rows += [row(FILLER, f"{FILLER}{question[:30]}", language) for language, question in QUESTIONS.items()]
    together, _ = bench.judge(step, *rows)
    apart = pl.concat([bench.judge(step, one)[0] for one in rows])
    assert together.equals(apart)


# ---------------------------------------------------------------------------------------------------------- brute force
words = st.sampled_from(
    [
        "amber",
        "birch",
        "cedar",
        "delta",
        "ember",
        "frost",
        "grove",
        "haven",
        "inlet",
        "jetty",
        "knoll",
        "ledge",
        "marsh",
        "north",
        "ochre",
        "prism",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=6, max_size=14), st.lists(words, max_size=30), st.lists(words, max_size=30))
def test_whatever_stands_word_for_word_in_a_text_is_found_there(item, before, after):
    text = " ".join([*before, *item, *after])
    table = make_table([Item("mine", "x", "en", " ".join(item)), *MANY])
    index = Index(table, 4.0)
    found = index.candidates(SAME.normalize(pl.Series([text]), pl.Series(["en"])))
    assert 0 in found.items.tolist()
    hit = match(index.item(0), characters_of(text, "en"), text, "en")
    assert hit is not None and hit.containment == 1.0 and hit.hit in ("verbatim", "embedded")
    [(start, end)] = hit.spans
    assert text[start:end] == " ".join(item)


@settings(max_examples=40, deadline=None)
@given(st.lists(words, max_size=60))
def test_candidates_have_the_share_that_counting_gives(said):
    text = " ".join([*said, *MANY[3].question.split()[:5], *said[:3]])
    index = Index(make_table(MANY), 4.0)
    found = index.candidates(SAME.normalize(pl.Series([text]), pl.Series(["en"])), 0.0)
    have = set(index_hashes(text).tolist())
    for item, share in zip(found.items.tolist(), found.shares.tolist(), strict=True):
        kept = [
            place
            for place in range(len(index._table))
            if item in index._postings[index._first[place] : index._first[place + 1]].tolist()
        ]
        weights = {place: float(index._weights[index._first[place]]) for place in kept}
        there = sum(weight for place, weight in weights.items() if int(index._table[place]) in have)
        assert share == pytest.approx(there / sum(weights.values()))


def index_hashes(text: str) -> np.ndarray:
    from filters.contamination.index import _SIZES
    from filters.duplicates.shingles import shingles

    return shingles(SAME.normalize(pl.Series([text]), pl.Series(["en"])), _SIZES).hashes


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_signs_of_any_text_know_their_places(text):
    signs = characters_of(text, "en")
    assert len(signs.letters) == len(signs.starts) == len(signs.units) == len(signs.numeric)
    assert (signs.ends > signs.starts).all() and (np.diff(signs.starts) >= 0).all()
    assert (signs.starts >= 0).all() and (signs.ends <= len(text)).all()
    assert "".join(signs.words) == signs.letters


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=300))
def test_no_text_is_too_strange(text):
    index = Index(make_table([Item("mine", "x", "en", text or "a"), *MANY]), 4.0)
    found = index.candidates(SAME.normalize(pl.Series([text, "", text * 2]), pl.Series(["en", "und", "th"])))
    for number, item in zip(found.rows.tolist(), found.items.tolist(), strict=True):
        one = [text, "", text * 2][number]
        hit = match(index.item(item), characters_of(one, "en"), one, "en")
        assert hit is None or all(0 <= start < end <= len(one) for start, end in hit.spans)


# --------------------------------------------------------------------------------------------------- files and registry
def test_the_registry_is_whole():
    known = registry()
    assert {
        "xtreme",
        "xquad",
        "mlqa",
        "xnli",
        "americasnli",
        "mgsm",
        "msvamp",
        "mmmlu",
        "eu20",
        "include",
        "hkmmlu",
        "eclektic",
        "hrm8k",
        "mmwp",
        "mela",
        "ocnli",
        "belebele",
        "flores",
        "xcopa",
        "scandeval",
        "oneruler",
        "multitat",
        "mtempreason",
        "country-facts",
        "recon",
        "xgqa",
        "m3gia",
        "multi-ophthalingua",
        "mcif",
        "viexam",
        "knowrecall",
        "visrecall",
        "alignmmbench",
        "winogrande-african",
    } <= set(known)
    for name, entry in known.items():
        assert entry.license and entry.title, name
        assert all(other in known for other in entry.of)
        assert entry.hub is None or entry.languages or entry.note or entry.of, name
    assert expanded(["xtreme", "xquad", "other"]) == ["xnli", "paws-x", "xquad", "mlqa", "tydiqa", "other"]
    assert (
        known["mgsm"].config_of("sw") == "sw"
        and known["belebele"].config_of("zh-Hant") == "zho_Hant"
        and known["xwinograd"].config_of("ja") == "jp"
    )


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("xquad.de.json.gz", ["de", "en"], "de"),
        ("mgsm_sw.tsv", ["sw"], "sw"),
        ("questions_Arabic.jsonl", ["ar", "de"], "ar"),
        ("mHumanEval-zho_Hans-python.json.gz", ["zh", "en"], "zh"),
        ("test.jsonl", ["ko"], "ko"),
        ("test.jsonl", ["ko", "ja"], None),
    ],
)
def test_the_name_of_a_file_tells_the_language(name, known, expected):
    assert language_of(name, known) == expected


def test_files_of_all_kinds_are_read(tmp_path):
    rows = [{"question": "Where is the „old“ mill?", "answer": "1"}, {"question": "Who, then?", "answer": "2"}]
    squad = {
        "data": [
            {
                "title": "t",
                "paragraphs": [
                    {
                        "context": "C",
                        "qas": [{"id": "7", "question": "Q", "answers": [{"text": "A", "answer_start": 0}]}],
                    }
                ],
            }
        ]
    }
    write(tmp_path / "a.jsonl", rows)
    (tmp_path / "b.json").write_text(json.dumps(rows))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps(squad).encode()))
    (tmp_path / "d.csv").write_text('question,answer\n"Where is the „old“ mill?",1\n"Who, then?",2\n')
    (tmp_path / "e.tsv").write_text("".join(f"{one['question']}\t{one['answer']}\n" for one in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "f.parquet")
    (tmp_path / "g.json").write_text(json.dumps({"question": [one["question"] for one in rows], "answer": ["1", "2"]}))
    for name in ("a.jsonl", "b.json", "d.csv", "e.tsv", "f.parquet", "g.json"):
        assert [dict(one) for one in read_file(tmp_path / name, ("question", "answer"))] == rows, name
    [one] = read_file(tmp_path / "c.json.gz")
    assert one["context"] == "C" and one["question"] == "Q" and one["id"] == "7"
    assert [path.name for path in find_files(str(tmp_path / "*.json"))] == ["b.json", "g.json"]
    for content in (b"{", b"[1, 2]"):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(Unreachable, match=r"bad\.json"):
            list(read_file(tmp_path / "bad.json"))
    with pytest.raises(Unreachable, match="unknown file type"):
        (tmp_path / "x.exe").write_bytes(b"")
        list(read_file(tmp_path / "x.exe"))


def test_a_folder_like_a_repository_of_the_hub_is_read(tmp_path, bench):
    folder = tmp_path / "repository"
    (folder / "data").mkdir(parents=True)
    pq.write_table(
        pa.Table.from_pylist([{"question": SUM, "answer_number": 75}]), folder / "data" / "test-00000.parquet"
    )
    assert [one["question"] for one in read_hub(str(folder), config=None, split="test")] == [SUM]
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: en\n  data_files:\n  - split: test\n    path: data/test-*.parquet\n---\n"
    )
    entry = registry()["mgsm"].model_copy(update={"data_files": None, "languages": ("en",)})
    from filters.contamination.items import read_benchmark

    [item] = read_benchmark("mgsm", entry, str(folder), None)
    assert (item.question, item.answer, item.language, item.name) == (SUM, "75", "en", "0")


def test_a_benchmark_that_cannot_be_had_stops_or_is_told(bench, tmp_path):
    with pytest.raises(
        StepError, match=r"'mgsm' cannot be read: there is no file .*gone.*files: \{mgsm: path\}.*missing: skip"
    ):
        Contamination(against=["mgsm"], files={"mgsm": str(tmp_path / "gone.jsonl")}, model=None).fit([], bench.context)
    with pytest.raises(StepError, match="'hkmmlu' cannot be read: it is not on the Hub"):
        Contamination(against=["hkmmlu"], model=None).fit([], bench.context)
    step = bench.step({"en": SUM}).model_copy(update={"against": ("mgsm", "hkmmlu"), "missing": "skip"})
    frame, reasons = bench.judge(step, row(SUM, "?"), row(FILLER, "?"))
    assert reasons == ["verbatim", None]
    assert frame["unassessed"].to_list() == ["benchmark:hkmmlu"] * 2
    assert any("'hkmmlu' was not checked" in warning for warning in bench.context.warnings)


def test_a_file_with_other_fields_is_an_error_that_names_those_it_has(bench, tmp_path):
    path = write(tmp_path / "mgsm_en.jsonl", [{"questions": "?", "answer": "1"}])
    with pytest.raises(StepError, match=r"no field 'question'; did you mean 'questions'.*it has questions, answer"):
        Contamination(against=["mgsm"], files={"mgsm": path}, model=None).fit([], bench.context)
    path = write(tmp_path / "some.jsonl", [{"question": "?"}])
    with pytest.raises(StepError, match=r"the language of some\.jsonl is unknown"):
        Contamination(against=["mgsm"], files={"mgsm": path}, model=None).fit([], bench.context)


# ----------------------------------------------------------------------------------------------------------- parameters
def test_parameters_are_checked():
    with pytest.raises(ValidationError, match="unknown benchmark 'xqaud'; did you mean 'xquad'"):
        Contamination(against=["xquad"], files={"xqaud": "x"})
    with pytest.raises(ValidationError, match="'mgsm' is not among 'against'"):
        Contamination(against=["xquad"], files={"mgsm": "x"})
    with pytest.raises(ValidationError):
        Contamination(against=[])
    step = Contamination(against=["xquad", "my-tests"])
    assert step.named(Reference.ROWS) == {"against": ("my-tests",)}
    assert (
        step.check(Kind.SFT) == []
        and "no field 'promt'" in Contamination(against="xquad", fields=("promt",)).check(Kind.SFT)[0]
    )


def test_content_of_files_is_identity_and_their_place_is_not(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here, there = (write(tmp_path / name / "mgsm_en.jsonl", [{"question": SUM}]) for name in "ab")
    one, two = (Contamination(against=["mgsm"], files={"mgsm": place}) for place in (here, there))
    assert one.identity() == two.identity()
    write(tmp_path / "b" / "mgsm_en.jsonl", [{"question": f"{SUM}!"}])
    assert one.identity() != two.identity()
    assert one.identity(decisions=False) == one.model_copy(update={"containment": 0.9}).identity(decisions=False)


def test_rows_of_the_catalog_are_items_too(make, work_context):
    tests = make(Kind.PROMPT, [{"language": "en", "prompt": [{"role": "user", "content": SUM}]}])

    class Looking(type(work_context())):  # type: ignore[misc]
        def rows(self, name):
            assert name == "my-tests"
            yield tests

    base = work_context()
    context = Looking(base.scratch)
    step = Contamination(against=["my-tests"], model=None)
    fitted = step.fit([], context)
    frame = step.score(make(Kind.DOCUMENT, [{"language": "en", "text": f"{FILLER * 3}{SUM}"}]), context, fitted)
    assert frame["benchmark"].to_list() == ["my-tests"] and frame["hit"].to_list() == ["embedded"]
    assert json.loads(frame["spans"][0])[0][0] == "text"


def test_no_rows_and_no_items_are_no_trouble(make, work_context, tmp_path):
    context = work_context()
    (tmp_path / "mgsm_en.jsonl").write_text("")
    step = Contamination(against=["mgsm"], files={"mgsm": str(tmp_path / "mgsm_en.jsonl")}, missing="skip")
    fitted = step.fit([], context)
    frame = step.score(make(Kind.SFT, [row("hello there", "hi")]), context, fitted)
    assert frame["score"].to_list() == [0.0] and frame["unassessed"].to_list() == ["benchmark:mgsm"]
    empty = step.score(make(Kind.SFT, []), context, fitted)
    assert empty.columns == list(step.columns(Kind.SFT)) and not len(empty)


SPELLINGS = """
XTREME, XQuAD, MLQA, XNLI, AmericasNLI, MGSM, MSVAMP, MMLU, Winogrande-African, EU20-MMLU, EU20-HellaSwag,
EU20-ARC, EU20-TruthfulQA, EU20-GSM8K, INCLUDE, HKMMLU, ECLeKTic, HRM8K, MMWP, MELA, OCNLI, Belebele,
FLORES-200, XCOPA, ScandEval, ONERULER, MULTITAT, mTEMPREASON, country-facts, Recon, xGQA, M3GIA,
Multi-OphthaLingua, MCIF, ViExam, KnowRecall, VisRecall, AlignMMBench, MMLU translations, Winogrande
(African), TyDi QA, FLORES+, EuroEval
"""


def test_benchmarks_are_found_as_papers_spell_them():
    names = [" ".join(name.split()) for name in SPELLINGS.split(",")]
    step = Contamination(against=names, model=None)
    assert not step.named(Reference.ROWS)["against"]
    assert set(step.against) <= set(registry())
    found = dict(zip(names, step.against, strict=True))
    assert (found["FLORES-200"], found["EuroEval"], found["TyDi QA"]) == ("flores", "scandeval", "tydiqa")
    assert (found["mTEMPREASON"], found["Winogrande-African"]) == ("mtempreason", "winogrande-african")
    assert (
        Contamination(against=["XQuAD"], model=None).identity() == Contamination(against="xquad", model=None).identity()
    )


def test_earlier_misspellings_are_still_known():
    assert Contamination(against=["mtemprreason", "multi-opthalingua"], model=None).against == (
        "mtempreason",
        "multi-ophthalingua",
    )


def test_a_name_that_may_be_a_source_is_no_spelling():
    step = Contamination(against=["x_quad", "winogrande_african"], model=None)
    assert step.named(Reference.ROWS)["against"] == ("x_quad", "winogrande_african")


def test_an_unknown_benchmark_lists_the_registry():
    with pytest.raises(ValidationError, match=r"unknown benchmark 'xqad'; did you mean 'xquad'\? \(xtreme, .*alignmmb"):
        Contamination(against=["xquad"], files={"xqad": "x.jsonl"}, model=None)


def test_every_benchmark_says_what_it_takes_to_have_its_items():
    for name, entry in registry().items():
        assert entry.license and (entry.of or entry.hub or entry.note), name
