"""Items over two rows, other questions about the same, and words against words: what the evidence of a row by itself
does not tell."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.rows import Kind
from filters.contamination.items import Item, make_table
from filters.contamination.normalize import word_count
from filters.contamination.question_type import ask_differently, question_types
from filters.contamination.split_items import add_halves, cuts, find, lines_of, split
from filters.contamination.step import Contamination
from filters.contamination.word_coverage import compare, tokens

QUESTIONS = {
    "en": "Which harbour did the blind cartographer leave when her brass compass failed?",
    "zh": "盲人制图师在她的黄铜罗盘失灵的那个早晨离开了哪个港口？",
    "th": "นักเขียนแผนที่ตาบอดออกจากท่าเรือใดในเช้าวันที่เข็มทิศทองเหลืองของเธอเสีย",
    "ar": "من أي ميناء أبحرت رسامة الخرائط الكفيفة في الصباح الذي تعطلت فيه بوصلتها النحاسية؟",
    "hi": "जिस सुबह उसका पीतल का कम्पास खराब हुआ उस दिन नेत्रहीन मानचित्रकार किस बंदरगाह से निकली थी?",
}
FILLER = "Soup is best when it has simmered slowly for a while."
CONTEXT = (
    "Ilse Varnholt was a blind cartographer from the island of Hemmersand. In 1871 she left the harbour of Dunkel Bay "
    "on board of the "
    "schooner Petrel, although her brass compass had failed that very morning. Her maps were printed in Tolmin by the "
    "brothers Rasch, "
    "bound in sealskin by the widow Oke and used by fishermen for sixty years."
)


def chat(language: str, *said: str) -> dict[str, Any]:
    return {
        "language": language,
        "messages": [{"role": ("user", "assistant")[n % 2], "content": one} for n, one in enumerate(said)],
    }


@pytest.fixture
def judged(tmp_path, make, work_context):
    """Scores and reasons of rows that one build would see together, against items of XQuAD's shape."""

    def judge(
        items: list[dict[str, Any]], rows: list[dict[str, Any]], **parameters: Any
    ) -> tuple[Any, pl.DataFrame, list[str | None]]:
        files: dict[str, str] = {}
        for language in {one.get("language", "en") for one in items}:
            path = tmp_path / f"xquad.{language}.jsonl"
            path.write_text(
                "".join(
                    json.dumps({"id": f"i{n}", "context": "", **one}) + "\n"
                    for n, one in enumerate(items)
                    if one.get("language", "en") == language
                )
            )
            files[language] = str(path)
        step = Contamination(against=["xquad"], files={"xquad": files}, **{"model": None, **parameters})
        context, some = work_context(), make(Kind.SFT, rows)
        fitted = step.fit([step.sample(some, context)], context)
        frame = step.score(some, context, fitted).with_columns(language=some.language)
        reason = pl.lit(None, dtype=pl.String)
        for name, test in reversed(step.drop_rules(Kind.SFT).items()):
            reason = pl.when(test.fill_null(False)).then(pl.lit(name)).otherwise(reason)
        return some, frame, frame.select(reason=reason).to_series().to_list()

    return judge


# ------------------------------------------------------------------------------------------------------------- two rows
@pytest.mark.parametrize("language", QUESTIONS)
def test_an_item_cut_in_two_over_two_rows_is_found_in_both(judged, language):
    question = QUESTIONS[language]
    middle = len(question) // 2 if " " not in question else question.index(" ", 2 * len(question) // 5)
    first, second = question[:middle].strip(), question[middle:].strip()
    rows = [
        chat(language, first, FILLER),
        chat("en", FILLER, FILLER),
        chat(language, f"{FILLER}\n{second.upper()}", FILLER),
    ]
    some, frame, reasons = judged([{"question": question, "language": language}], rows)
    assert reasons == ["split", None, "split"] and frame["score"].to_list()[::2] == [1.0, 1.0]
    ids = some.ids.to_list()
    assert [json.loads(frame["others"][row])[0]["row"] for row in (0, 2)] == [ids[2], ids[0]]
    assert frame["item_language"].to_list() == [language, None, language]
    _, _, alone = judged([{"question": question, "language": language}], rows[:2])
    assert alone == [None, None]
    _, frame, off = judged([{"question": question, "language": language}], rows, halves=False)
    assert off == [None] * 3 and "split" not in frame["hit"].to_list()


def test_halves_with_a_gap_another_number_or_of_two_items_are_none(judged):
    items = [
        {
            "question": "Oksana packs fourteen jars of plum and quince jam into each of 6 crates. How many jars are "
            "left?"
        },
        {
            "question": "Oksana packs fourteen jars of plum and quince jam for her brother Pavlo in Dunkel Bay every "
            "week."
        },
    ]
    rows = [
        chat("en", "Oksana packs fourteen jars of plum and quince", FILLER),
        chat("en", "each of 6 crates. How many jars are left?", FILLER),
        chat("en", "jam into each of 7 crates. How many jars are left?", FILLER),
        chat("en", "Pavlo in Dunkel Bay every week", FILLER),
    ]
    assert judged(items, rows)[2] == [None] * 4
    told = judged(items, [*rows, chat("en", "jam into each of 6 crates. How many jars are left?", FILLER)])[2]
    assert [told[0], told[-1]] == ["split", "split"] and told[1:4] == [None] * 3


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.sampled_from(["amber", "birch", "盲人", "制图", "ออกจาก", "нить", "7", "छाया"]), min_size=5, max_size=12
    ),
    st.data(),
)
def test_every_cut_between_a_quarter_and_three_quarters_is_found(words, data):
    text = " ".join(words)
    every = cuts(text)
    assert all("".join((a + b).split()) == "".join(words) for a, b in every)
    size = len("".join(words))
    assert all(0.25 * size <= len("".join(a.split())) <= 0.75 * size for a, _ in every)
    if not every:
        return
    halves = data.draw(st.sampled_from(every))
    table = make_table([Item("mine", "x", "en", text)])
    ids = pl.Series([f"{number:032x}" for number in (1, 2)])
    lines = lines_of(ids, [pl.Series([[halves[0]], [halves[1]]])], [pl.Series(["en", "en"])])
    found = find(table, [lines])
    if min(word_count(pl.Series(halves))) >= 2:
        assert (0, ids[0], ids[1]) in found
    items, of = split(add_halves(table, found))
    assert items.equals(table) and set(of) <= set(ids)


def test_no_lines_and_no_items_have_no_halves():
    empty = lines_of(
        pl.Series([], dtype=pl.String), [pl.Series([], dtype=pl.List(pl.String))], [pl.Series([], dtype=pl.String)]
    )
    assert empty.num_rows == 0 and find(make_table([]), [empty]) == [] and cuts("") == [] and cuts("one") == []


# ------------------------------------------------------------------------------------------------------ other questions
@pytest.mark.parametrize(
    ("item", "other", "again"),
    [
        (
            "Who drew the reefs of Hemmersand by touch on wet sailcloth?",
            "When did she draw the reefs of Hemmersand by touch on wet sailcloth?",
            "Who drew the reefs off Hemmersand by touch on wet sailclot?",
        ),
        (
            "Who printed the maps of the cartographer Ilse Varnholt?",
            "Who was the widow that bound in sealskin the maps of Ilse Varnholt?",
            "Who printed maps of the the cartographer Ilse Varnhold?",
        ),
    ],
)
def test_another_question_about_the_same_is_kept_and_an_edit_is_not(judged, item, other, again):
    items = [{"question": item, "context": CONTEXT}]
    rows = [chat("en", one, "?") for one in (other, again, item, f"{CONTEXT}\n{other}", f"{CONTEXT}\n{item}")]
    _, frame, reasons = judged(items, rows)
    assert reasons == [None, "edited", "verbatim", None, "embedded"]
    assert frame["context"][3] > 0.9 and frame["score"][0] < 0.6


def test_below_its_paragraph_more_of_a_question_is_asked_for(judged):
    items = [{"question": "Which schooner did Ilse Varnholt take from the harbour of Dunkel Bay?", "context": CONTEXT}]
    near = "Which schooner did Ilse Varnholt see from the small harbour of Dunkel Bay?"
    rows = [chat("en", near, "?"), chat("en", f"{CONTEXT}\n{near}", "?")]
    _, frame, reasons = judged(items, rows)
    assert reasons == ["edited", None] and 0.6 < frame["score"][1] < 0.85
    assert judged(items, rows, beside=0.6)[2] == ["edited", "edited"]


@pytest.mark.parametrize(
    ("language", "one", "what"),
    [
        ("en", "When was it built?", {"time"}),
        ("de", "In welchem Jahr wurde es gebaut?", {"time"}),
        ("zh", "谁建造了它？", {"person"}),
        ("zh", "这称为什么？", set()),
        ("th", "ใครสร้างมัน", {"person"}),
        ("ar", "متى بني؟", {"time"}),
        ("hi", "यह कब बना?", {"time"}),
        ("ja", "なぜ建てられましたか。", {"reason"}),
        ("ru", "Сколько их было?", {"amount"}),
        ("tr", "Ne zaman yapıldı?", {"time"}),
        ("vi", "Ai đã xây nó?", {"person"}),
        ("el", "Πού βρίσκεται;", {"place"}),
        ("sw", "Nani alijenga?", {"person"}),
        ("en", "Name the whole series.", set()),
        ("am", "ማን ሠራው?", set()),
        ("en", "Those who came early sat down. Where did they sit?", {"place"}),
    ],
)
def test_what_a_question_asks_for_is_known_in_many_languages(language, one, what):
    assert question_types(one, language) == what


def test_only_questions_that_both_say_what_they_ask_for_differ():
    person, time, nothing = frozenset({"person"}), frozenset({"time"}), frozenset[str]()
    assert ask_differently(person, time)
    assert not ask_differently(person, nothing) and not ask_differently(nothing, nothing)
    assert not ask_differently(person | time, time)


# --------------------------------------------------------------------------------------------------------- word by word
def test_words_are_compared_with_their_nearest():
    vectors = {"night": (1.0, 0.0), "nacht": (0.8, 0.6), "day": (0.0, 1.0), "tag": (0.0, 1.0)}
    found = compare(
        [("Nacht", "night"), ("Nacht Tag", "night day"), ("Tag", "night"), ("", "night"), ("...", "day")],
        lambda word: 0.9,
        lambda words: [vectors[word] for word in words],
    )
    assert found.tolist() == [[0.8, 0.8, 0.8], [0.9, 0.9, 0.9], [0.0, 0.0, 0.0], [0.0] * 3, [0.0] * 3]
    assert tokens("Night, NIGHT 12") == (["night", "12"], False)
    runs, windows = tokens("罗盘失灵")
    assert windows and {"罗盘", "失灵", "罗盘失灵"} <= set(runs) and all(2 <= len(one) <= 4 for one in runs)
    assert np.isfinite(compare([("ก" * 3000, "x")], lambda word: 0.0, lambda words: np.zeros((len(words), 2)))).all()
