from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import curate
from curate.generation.code_switch import tables as switch_tables
from curate.generation.code_switch.candidates import Table
from curate.generation.code_switch.rewrite import Mixture, Style, cased, rewrite
from curate.generation.code_switch.step import CodeSwitch
from curate.rows import Kind
from curate.steps import Rows, StepError

Make = Callable[..., Rows]
HINDI = {
    "water": "पानी",
    "house": "घर",
    "big": "बड़ा",
    "small": "छोटा",
    "red": "लाल",
    "book": "किताब",
    "good": "अच्छा",
    "day": "दिन",
    "rice": "चावल",
    "write": "लिखो",
    "good day": "शुभ दिन",
    "taj mahal": "ताज महल",
    "agra": "आगरा",
    "i": "मैं",
}
SPANISH = {"water": "agua", "house": "casa", "book": "libro", "big": "grande", "red": "rojo", "day": "día"}


def words(
    make: Make, table: dict[str, str], source: str = "en", target: str = "hi", scores: list[float] | None = None
) -> Rows:
    rows = [
        {"source_language": source, "language": target, "source": left, "target": right}
        for left, right in table.items()
    ]
    for row, score in zip(rows, scores or (), strict=bool(scores)):
        row["scores"] = [{"name": "lexicon", "value": score}]  # type: ignore[assignment]
    return make(Kind.PARALLEL, rows)


def prompts(make: Make, *texts: str, language: str = "en", **more: Any) -> Rows:
    return make(
        Kind.PROMPT, [{"prompt": [{"role": "user", "content": text}], "language": language, **more} for text in texts]
    )


@pytest.fixture
def switch(make: Make, bench: Any, gathered: Any) -> Callable[..., Any]:
    def run(rows: Rows, *tables: Rows, seed: int = 0, draw: int = 0, beside: Rows | None = None, **given: Any) -> Any:
        context = bench(rows={"words": list(tables), "beside": [beside] if beside else []}, seed=seed, draw=draw)
        given = {
            "to": "hi",
            **({"table": "words"} if tables else {}),
            **({"siblings": "beside"} if beside else {}),
            **given,
        }
        step = CodeSwitch(**given)
        assert not step.check(rows.kind)
        made, bad = gathered(step.makes(rows.kind), step.make(rows, context))
        return made, bad, context

    return run


def said(rows: list[dict[str, Any]]) -> list[str]:
    return [row["prompt"][0]["content"] if "prompt" in row else row["text"] for row in rows]


# ---------------------------------------------------------------------------------------------------------------- words
def test_words_give_way_and_everything_between_them_stays(make: Make, switch: Any) -> None:
    rows = prompts(make, "  Big house,\twith the (red)  book!\n\n- rice: good…")
    made, _, _ = switch(rows, words(make, HINDI), ratio=1.0, record=True)
    assert said(made) == ["  बड़ा घर,\twith the (लाल)  किताब!\n\n- चावल: अच्छा…"]
    assert made[0]["attributes"]["code_switch.languages"] == "en+hi"
    for field, turn, start, before, after in json.loads(made[0]["attributes"]["code_switch.switched"]):
        assert (field, turn, made[0]["prompt"][0]["content"][start : start + len(after)]) == ("prompt", 0, after)
        assert HINDI[before.lower()] == after


def test_the_share_is_kept_row_by_row_and_exact_over_many(make: Make, switch: Any) -> None:
    rows = prompts(
        make,
        *[
            " ".join(["water", "house", "big", "small", "red", "book", "rice"][: 3 + number % 5]) + f" x{number}"
            for number in range(400)
        ],
    )
    for ratio in (0.25, 0.5):
        made, _, _ = switch(rows, words(make, HINDI), ratio=ratio, least=0, unswitched="keep")
        able = [3 + number % 5 for number in range(400)]
        switched = [
            len(re.findall(r"[ऀ-ॿ]+", text))
            for text in said(sorted(made, key=lambda row: int(said([row])[0].rsplit("x")[1])))
        ]
        assert all(abs(count - ratio * could) < 1 for count, could in zip(switched, able, strict=True))
        assert sum(switched) / sum(able) == pytest.approx(ratio, abs=0.02)
        scored = [row for row in made if "code_switch.ratio" in row["scores"]]
        assert len(scored) == sum(count > 0 for count in switched)


def test_a_range_of_shares_is_drawn_from(make: Make, switch: Any) -> None:
    rows = prompts(make, *[f"water house big small red book rice good day write {number}" for number in range(300)])
    made, _, _ = switch(rows, words(make, HINDI), ratio=(0.2, 0.8))
    ratios = [row["scores"]["code_switch.ratio"] for row in made]
    assert min(ratios) < 0.3
    assert max(ratios) > 0.7
    assert mean(ratios) == pytest.approx(0.5, abs=0.05)


def test_a_row_comes_out_the_same_whatever_stands_beside_it(make: Make, switch: Any) -> None:
    texts = [f"water house big small red book {number}" for number in range(50)]
    rows = prompts(make, *texts)
    whole = said(switch(rows, words(make, HINDI))[0])
    some = said(switch(rows.take([number % 3 == 0 for number in range(50)]), words(make, HINDI))[0])
    assert some == whole[::3]
    assert said(switch(rows, words(make, HINDI))[0]) == whole
    assert said(switch(rows, words(make, HINDI), seed=1)[0]) != whole
    assert said(switch(rows, words(make, HINDI), draw=1)[0]) != whole


def test_the_longest_entry_wins_and_phrases_do_not_cross_lines(make: Make, switch: Any) -> None:
    made, _, _ = switch(prompts(make, "good day", "good\nday", "good  day", "good, day"), words(make, HINDI), ratio=1.0)
    assert said(made) == ["शुभ दिन", "अच्छा\nदिन", "शुभ दिन", "अच्छा, दिन"]


PROTECTED = [
    "\n```\nbig house\n```\n",
    "`big house`",
    "https://big.house/red?book=good",
    "big@house.com",
    "$big_house = red$",
    "<big>",
    "\n~~~\nred\n~~~\n",
    "```red house```",
    "{big}",
    "{{ house }}",
    "%(big)s",
    "#house",
    "@house",
    "big_house",
    "3 big5 2red",
    "big-house",
    "$x^{big}$",
    "\\frac{big}{red}",
]


@pytest.mark.parametrize("text", PROTECTED)
def test_what_is_protected_is_never_touched(make: Make, switch: Any, text: str) -> None:
    made, _, _ = switch(prompts(make, f"water {text} rice"), words(make, HINDI), ratio=1.0)
    assert said(made) == [f"पानी {text} चावल"]


def test_code_is_never_touched(make: Make, switch: Any) -> None:
    program = "def red(big):\n    # a good house\n    return book(big, red)\n"
    made, _, _ = switch(
        prompts(make, f"Explain the red program:\n\n{program}\nA good one!", "big ```\nred house"),
        words(make, HINDI),
        ratio=1.0,
    )
    assert said(made) == [f"Explain the लाल program:\n\n{program}\nA अच्छा one!", "बड़ा ```\nred house"]


def test_protection_can_be_lifted(make: Make, switch: Any) -> None:
    made, _, _ = switch(prompts(make, "water `big house`"), words(make, HINDI), ratio=1.0, protect=["url"])
    assert said(made) == ["पानी `बड़ा घर`"]


def test_names_are_left_alone_unless_asked_for(make: Make, switch: Any) -> None:
    text = "Good day. Write to Agra about Red Day, the BIG iHouse. I WRITE RED"
    made, _, _ = switch(prompts(make, text), words(make, HINDI), ratio=1.0)
    assert said(made) == ["शुभ दिन. लिखो to Agra about Red Day, the BIG iHouse. मैं लिखो लाल"]
    made, _, _ = switch(prompts(make, "go to Agra"), words(make, HINDI), ratio=1.0, names=True)
    assert said(made) == ["go to आगरा"]


def test_a_heading_is_not_all_names(make: Make, switch: Any) -> None:
    made, _, _ = switch(prompts(make, "The Big Red Book"), words(make, SPANISH, target="es"), to="es", ratio=1.0)
    assert said(made) == ["The Grande Rojo Libro"]


def test_german_nouns_are_no_names(make: Make, switch: Any) -> None:
    german = words(make, {"Haus": "house", "Wasser": "water"}, source="de", target="en")
    made, _, _ = switch(prompts(make, "das Wasser im Haus", language="de"), german, to="en", ratio=1.0)
    assert said(made) == ["das water im house"]


@pytest.mark.parametrize(
    ("word", "target", "language", "begins", "written"),
    [
        ("Word", "palabra", "es", True, "Palabra"),
        ("WORD", "palabra", "es", False, "PALABRA"),
        ("word", "Wort", "de", False, "Wort"),
        ("Word", "शब्द", "hi", True, "शब्द"),
        ("I", "ich", "de", False, "ich"),
        ("I", "ich", "de", True, "Ich"),
        ("Is", "ist", "tr", True, "İst"),
        ("ICE", "ijs", "nl", True, "IJS"),
        ("Ice", "ijs", "nl", True, "IJs"),
        ("Word", "слово", "ru", True, "Слово"),
        ("STREET", "straße", "de", True, "STRASSE"),
        ("WORD", "სიტყვა", "ka", True, "სიტყვა"),
        ("Word", "λέξη", "el", True, "Λέξη"),
    ],
)
def test_capitals_are_carried_over(word: str, target: str, language: str, begins: bool, written: str) -> None:
    assert cased(word, target, "en", language, begins) == written


def test_capitals_of_german_nouns_are_not_carried_over() -> None:
    assert cased("Haus", "house", "de", "en", False) == "house"
    assert cased("Haus", "house", "de", "en", True) == "House"


def test_words_may_be_kept_out(make: Make, switch: Any) -> None:
    made, _, _ = switch(prompts(make, "the Big red water"), words(make, HINDI), ratio=1.0, never=["big", "RED"])
    assert said(made) == ["the Big red पानी"]


def test_neighbours_go_together_at_the_phrase_level(make: Make, switch: Any) -> None:
    rows = prompts(make, *[f"water house big small red book rice write {number}" for number in range(200)])
    single, _, _ = switch(rows, words(make, HINDI), ratio=0.5)
    runs, _, _ = switch(rows, words(make, HINDI), ratio=0.5, level="phrase")
    assert {row["scores"]["code_switch.ratio"] for row in runs} == {0.5}
    assert mean(row["scores"]["code_switch.switch_points"] for row in runs) < 0.75 * mean(
        row["scores"]["code_switch.switch_points"] for row in single
    )


# -------------------------------------------------------------------------------------------------------------- scripts
def test_chinese_words_go_into_english_and_blanks_stay(make: Make, switch: Any) -> None:
    made, _, _ = switch(
        prompts(make, "the red house, please"),
        words(make, {"red": "红色", "house": "房子"}, target="zh"),
        to="zh",
        ratio=1.0,
    )
    assert said(made) == ["the 红色 房子, please"]


def test_english_words_go_into_chinese_by_segmentation_and_do_not_run_together(make: Make, switch: Any) -> None:
    table = words(make, {"like": "喜欢", "drink": "喝", "tea": "茶", "colour": "色", "technology": "技术"}, target="zh")
    rows = prompts(make, "我喜欢喝茶，AI技术。", language="zh")
    made, _, _ = switch(rows, table, to="en", ratio=1.0)
    assert said(made) == ["我like drink tea，AI technology。"]
    made, _, _ = switch(rows, table, to="en", ratio=1.0, whitespace=True)
    assert said(made) == ["我 like drink tea，AI technology。"]


def test_a_character_beside_unknown_ones_may_be_part_of_a_word(make: Make, switch: Any) -> None:
    table = words(make, {"茶": "tea"}, source="zh", target="en")
    made, _, _ = switch(prompts(make, "茶", "红茶", language="zh"), table, to="en", ratio=1.0)
    assert said(made) == ["tea"]


def test_thai_is_cut_by_the_table_and_foreign_words_are_set_off(make: Make, switch: Any) -> None:
    table = words(make, {"ฉัน": "I", "รัก": "love", "ประเทศ": "country", "ทศ": "ten"}, source="th", target="en")
    made, _, _ = switch(prompts(make, "ฉันรักประเทศไทย", language="th"), table, to="en", ratio=1.0)
    # ประเทศ has ไทย beside it, which the table does not know; ทศ is inside a longer word.
    assert said(made) == ["I loveประเทศไทย"] or said(made) == ["I love ประเทศไทย"]


def test_endings_of_japanese_are_no_words(make: Make, switch: Any) -> None:
    table = words(make, {"学生": "student", "です": "be", "いて": "ouch", "それ": "that"}, source="ja", target="en")
    made, _, _ = switch(prompts(make, "それは学生です。泣いている", language="ja"), table, to="en", ratio=1.0)
    assert said(made) == ["それはstudentです。泣いている"]


def test_right_to_left_words_stay_in_logical_order_with_or_without_marks(make: Make, switch: Any) -> None:
    arabic = words(make, {"water": "ماء", "book": "كتاب"}, target="ar")
    made, _, _ = switch(prompts(make, "the book and water."), arabic, to="ar", ratio=1.0)
    assert said(made) == ["the كتاب and ماء."]
    made, _, _ = switch(prompts(make, "the book and water."), arabic, to="ar", ratio=1.0, isolates=True, record=True)
    assert said(made) == ["the \u2068كتاب\u2069 and \u2068ماء\u2069."]
    made, _, _ = switch(prompts(make, "هذا كِتاب جديد", language="ar"), arabic, to="en", ratio=1.0)
    assert said(made) == ["هذا book جديد"]


def test_elisions_and_tibetan_syllables_are_matched(make: Make, switch: Any) -> None:
    french = words(make, {"eau": "water", "aujourd'hui": "today", "l'": "the"}, source="fr", target="en")
    made, _, _ = switch(prompts(make, "l’eau d’aujourd’hui", language="fr"), french, to="en", ratio=1.0)
    assert said(made) == ["l’water d’today"]
    tibetan = words(make, {"བཀྲ་ཤིས": "luck"}, source="bo", target="en")
    made, _, _ = switch(prompts(make, "བཀྲ་ཤིས་ བདེ", language="bo"), tibetan, to="en", ratio=1.0)
    assert said(made) == ["luck་ བདེ"]


def test_translations_in_another_script_are_not_used(make: Make, switch: Any) -> None:
    noisy = words(make, {"house": "house boat", "book": "किताब"})
    made, _, _ = switch(prompts(make, "house book"), noisy, ratio=1.0)
    assert said(made) == ["house किताब"]
    made, _, _ = switch(prompts(make, "house book"), noisy, ratio=1.0, same_script=False)
    assert said(made) == ["house boat किताब"]


# ------------------------------------------------------------------------------------------------------------ languages
def test_a_language_is_drawn_for_each_row_by_weight(make: Make, switch: Any) -> None:
    rows = prompts(make, *[f"water house book {number}" for number in range(300)])
    tables = words(make, HINDI), words(make, SPANISH, target="es")
    made, _, _ = switch(rows, *tables, to={"hi": 3, "es": 1}, ratio=0.5)
    labels = pl.Series([row["attributes"]["code_switch.languages"] for row in made]).value_counts()
    counts = dict(labels.iter_rows())
    assert set(counts) == {"en+hi", "en+es"}
    assert 195 < counts["en+hi"] < 255


def test_the_order_of_weights_changes_nothing(make: Make, switch: Any) -> None:
    rows = prompts(make, *[f"water house book {number}" for number in range(40)])
    tables = words(make, HINDI), words(make, SPANISH, target="es")
    one, _, _ = switch(rows, *tables, to={"hi": 3, "es": 1})
    other, _, _ = switch(rows, *tables, to={"es": 1, "hi": 3})
    assert said(one) == said(other)


def test_every_language_or_several_at_once(make: Make, switch: Any) -> None:
    rows = prompts(make, *[f"water house book big red day {number}" for number in range(40)])
    tables = words(make, HINDI), words(make, SPANISH, target="es")
    made, _, _ = switch(rows, *tables, to=["hi", "es"], each=True)
    assert [row["attributes"]["code_switch.languages"] for row in made] == ["en+hi", "en+es"] * 40
    made, _, _ = switch(rows, *tables, to=["hi", "es"], mix=True, ratio=1.0)
    assert {row["attributes"]["code_switch.languages"] for row in made} >= {"en+hi+es", "en+es+hi"}


def test_a_table_serves_both_directions_each_by_its_score(make: Make, switch: Any) -> None:
    scores = [[("lexicon", 0.9), ("lexicon.backward", 0.1)], [("lexicon", 0.2), ("lexicon.backward", 0.8)]]
    table = make(
        Kind.PARALLEL,
        [
            {
                "source_language": "en",
                "language": "hi",
                "source": source,
                "target": "घर",
                "scores": [{"name": name, "value": value} for name, value in given],
            }
            for source, given in zip(("house", "home"), scores, strict=True)
        ],
    )
    made, _, _ = switch(prompts(make, "घर", language="hi"), table, to="en", ratio=1.0)
    assert said(made) == ["home"]
    made, _, _ = switch(prompts(make, "house home"), table, ratio=1.0, min_score=0.5)
    assert said(made) == ["घर home"]


def test_the_best_translation_or_one_by_weight(make: Make, switch: Any) -> None:
    table = make(
        Kind.PARALLEL,
        [
            {
                "source_language": "en",
                "language": "hi",
                "source": "red",
                "target": target,
                "scores": [{"name": "lexicon", "value": value}],
            }
            for target, value in (("लाल", 0.75), ("रक्त", 0.25))
        ],
    )
    rows = prompts(make, *[f"red {number}" for number in range(300)])
    assert {text.split()[0] for text in said(switch(rows, table, ratio=1.0)[0])} == {"लाल"}
    drawn = [text.split()[0] for text in said(switch(rows, table, ratio=1.0, choice="sample")[0])]
    assert 195 < drawn.count("लाल") < 255
    with pytest.raises(StepError, match="no row of 'words' has the score 'p'"):
        switch(rows, table, score="p")


def test_rows_in_other_languages_are_left_out_kept_or_switched_all_the_same(make: Make, switch: Any) -> None:
    rows = Rows(
        Kind.PROMPT,
        pa.concat_tables([prompts(make, "red house").table, prompts(make, "red book", language="sw").table]),
    )
    made, _, context = switch(rows, words(make, HINDI), matrix="en", ratio=1.0)
    assert said(made) == ["लाल घर"]
    assert context.warnings == ["code_switch: 1 of 2 rows are not in en; dropped"]
    made, _, _ = switch(rows, words(make, HINDI), matrix="en", ratio=1.0, others="keep")
    assert sorted(said(made)) == ["red book", "लाल घर"]
    made, _, _ = switch(rows, words(make, HINDI), matrix="en", ratio=1.0, others="switch")
    assert said(made) == ["लाल घर", "लाल किताब"]
    assert [row["language"] for row in made] == ["en", "sw"]


# ---------------------------------------------------------------------------------------------------------- rows, kinds
def chat(make: Make, turns: Any) -> Rows:
    return make(
        Kind.SFT,
        [
            {
                "messages": turns(
                    "system: red rules",
                    "user: red house",
                    "assistant: big house",
                    "user: small book",
                    "assistant: good",
                ),
                "language": "en",
                "group_id": "g",
                "attributes": [{"name": "topic", "value": "home"}],
                "scores": [{"name": "language", "value": 1.0}],
            }
        ],
    )


def test_only_the_input_side_is_switched_unless_told_otherwise(make: Make, switch: Any, turns: Any) -> None:
    rows = chat(make, turns)
    (row,), _, _ = switch(rows, words(make, HINDI), ratio=1.0)
    assert [turn["content"] for turn in row["messages"]] == ["red rules", "लाल घर", "big house", "छोटा किताब", "good"]
    (row,), _, _ = switch(rows, words(make, HINDI), ratio=1.0, fields="all")
    assert [turn["content"] for turn in row["messages"]] == ["red rules", "लाल घर", "बड़ा घर", "छोटा किताब", "अच्छा"]
    (row,), _, _ = switch(rows, words(make, HINDI), ratio=1.0, fields=["response", "messages"], record=True)
    assert [turn["content"] for turn in row["messages"]] == ["लाल rules", "लाल घर", "बड़ा घर", "छोटा किताब", "अच्छा"]


def test_a_row_keeps_its_item_language_and_attributes_but_no_scores_of_another_text(
    make: Make, switch: Any, turns: Any
) -> None:
    rows = chat(make, turns)
    (row,), _, _ = switch(rows, words(make, HINDI), ratio=1.0)
    assert (row["language"], row["group_id"], row["attributes"]["topic"]) == ("en", "g", "home")
    assert row["lineage"]["parents"] == rows.ids.to_list()
    assert row["lineage"]["makers"][-1]["step"] == "code_switch"
    assert set(row["scores"]) == {
        "code_switch.ratio",
        "code_switch.share",
        "code_switch.cmi",
        "code_switch.switch_points",
    }


def test_every_kind_can_be_switched(make: Make, switch: Any, turns: Any) -> None:
    payloads: dict[Kind, dict[str, Any]] = {
        Kind.PREFERENCE: {
            "prompt": turns("user: red"),
            "chosen": turns("assistant: red"),
            "rejected": turns("assistant: big"),
        },
        Kind.UNPAIRED: {"prompt": turns("user: red"), "completion": turns("assistant: red"), "label": False},
        Kind.PARALLEL: {"source_language": "en", "source": "red", "target": "nyekundu"},
        Kind.DOCUMENT: {"text": "red"},
        Kind.PROMPT: {"prompt": turns("user: red")},
    }
    for kind, payload in payloads.items():
        language = "sw" if kind is Kind.PARALLEL else "en"
        (row,), _, _ = switch(make(kind, [{**payload, "language": language}]), words(make, HINDI), ratio=1.0)
        assert "लाल" in json.dumps(row, ensure_ascii=False)
        for column in ("chosen", "rejected", "completion", "label", "target"):
            if column in payload:
                assert row[column] == payload[column]
        assert row["language"] == language


def test_variants_are_different_and_the_original_may_go_on(make: Make, switch: Any) -> None:
    rows = prompts(make, "water house big small red book rice", "water")
    made, _, _ = switch(rows, words(make, HINDI), variants=4, keep_original=True)
    texts = said(made)
    assert texts[:2] == ["water house big small red book rice", "water"]
    assert len(set(texts)) == len(texts)
    assert texts.count("पानी") == 1
    assert len(texts) > 5


@pytest.mark.parametrize("what", ["drop", "keep", "quarantine"])
def test_rows_in_which_nothing_can_be_switched_never_pass_as_switched(make: Make, switch: Any, what: str) -> None:
    rows = prompts(make, "xyzzy plugh", "", "🙂 42", "red")
    made, bad, context = switch(rows, words(make, HINDI), ratio=1.0, unswitched=what)
    assert "लाल" in said(made)
    unscored = [said([row])[0] for row in made if not row["scores"]]
    if what == "keep":
        assert unscored == ["xyzzy plugh", "", "🙂 42"]
    else:
        assert len(made) == 1
    if what == "quarantine":
        assert [(one.where, one.raw) for one in bad] == list(
            zip(rows.ids.to_list(), ["xyzzy plugh", "", "🙂 42"], strict=False)
        )
    else:
        assert context.warnings[0].startswith("code_switch: 3 of 4 rows have nothing that can be switched")


def test_pairs_for_the_way_back(make: Make, switch: Any, turns: Any) -> None:
    rows = chat(make, turns)
    made, _, _ = switch(rows, words(make, HINDI), ratio=1.0, restore=True)
    assert [(row["source_language"], row["source"], row["language"], row["target"]) for row in made] == [
        ("en", "लाल घर", "en", "red house"),
        ("en", "छोटा किताब", "en", "small book"),
    ]
    made, _, _ = switch(rows, words(make, HINDI), ratio=1.0, restore=True, instruction="Say it in English: {text}")
    assert made[0]["messages"] == turns("user: Say it in English: लाल घर", "assistant: red house")
    assert made[0]["lineage"]["makers"][-1]["prompt_hash"]


# ------------------------------------------------------------------------------------------------------------ sentences
def test_sentences_come_from_the_same_row_in_another_language(make: Make, switch: Any) -> None:
    rows = prompts(make, "Where is it?\n\nI do not know. Tell me!", group_id="a")
    siblings = make(
        Kind.PROMPT,
        [
            {
                "prompt": [{"role": "user", "content": "यह कहाँ है?\nमुझे नहीं पता। मुझे बताओ!"}],
                "language": "hi",
                "group_id": "a",
            },
            {"prompt": [{"role": "user", "content": "¿Dónde?"}], "language": "es", "group_id": "a"},
            {"prompt": [{"role": "user", "content": "कुछ और"}], "language": "hi", "group_id": "b"},
        ],
    )
    made, _, _ = switch(rows, beside=siblings, level="sentence", ratio=1.0, to=["hi", "es"])
    assert said(made) == ["यह कहाँ है?\n\nमुझे नहीं पता। मुझे बताओ!"]
    assert made[0]["lineage"]["parents"] == [rows.ids[0], siblings.ids[0]]
    assert made[0]["attributes"]["code_switch.languages"] == "en+hi"


def test_sentences_of_a_table_are_found_whatever_their_capitals(make: Make, switch: Any) -> None:
    table = words(make, {"Good day.": "शुभ दिन।", "Where is it?": "यह कहाँ है?"})
    made, _, _ = switch(
        prompts(make, "GOOD DAY. Nobody knows. Where is it?"), table, level="sentence", ratio=0.5, of="words"
    )
    text = said(made)[0]
    assert "Nobody knows." in text
    assert ("शुभ दिन।" in text) + ("यह कहाँ है?" in text) >= 1


# --------------------------------------------------------------------------------------------------------------- scores
def test_the_mixture_is_measured_as_published() -> None:
    table = Table("en", ["hi"])
    for word in ("red", "house"):
        table.add(word, 0, HINDI[word], 1.0)
    table.finish()
    text = "the red car and Bob at the red house 42"
    elements = table.scan(text, [], names=False)
    assert [text[one.start : one.end] for one in elements] == ["the", "red", "car", "and", "at", "the", "red", "house"]
    chosen = {1: (0, "लाल"), 7: (0, "घर")}
    new, _, mixture = rewrite(text, elements, chosen, "en", ["hi"], Style())
    assert new == "the लाल car and Bob at the red घर 42"
    mixture.able = 3
    # 8 words of a language, 6 of them English: 100 · (1 - 6/8); changes at 3 of 7 borders.
    assert mixture.scores() == {"ratio": 2 / 3, "share": 0.25, "cmi": 25.0, "switch_points": 3 / 7}


def test_nothing_mixed_is_zero() -> None:
    assert Mixture().scores() == {"ratio": 0.0, "share": 0.0, "cmi": 0.0, "switch_points": 0.0}
    assert Mixture(words={-1: 5}, borders=4).scores()["cmi"] == 0.0
    assert Mixture(words={0: 5}, able=5, switched=5, borders=4).scores()["cmi"] == 0.0


# -------------------------------------------------------------------------------------------------------------- hostile
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(st.text(max_size=80), st.text("red book Bog day.`{}$@#-'’\n水茶กلह ", max_size=80)),
    ratio=st.floats(0, 1),
)
def test_undoing_the_recorded_switches_gives_the_original(make: Make, text: str, ratio: float) -> None:
    table = Table("en", ["hi"])
    for word, target in HINDI.items():
        table.add(word, 0, target, 1.0)
    table.finish()
    elements = table.scan(text, [], names=True)
    able = [place for place, one in enumerate(elements) if one.entry]
    chosen = {
        place: (0, table.entries[table.fold(text[elements[place].start : elements[place].end])][0][0][0])
        for place in able[: int(ratio * len(able) + 1)]
    }
    new, switches, _ = rewrite(text, elements, chosen, "en", ["hi"], Style())
    for start, before, after in reversed(switches):
        assert new[start : start + len(after)] == after
        new = new[:start] + before + new[start + len(after) :]
    # Blanks may have been put in where words would have run together.
    assert new.replace(" ", "") == text.replace(" ", "")


def test_hostile_texts_change_no_other_row_and_end_nothing(make: Make, switch: Any) -> None:
    hostile = [
        "red " * 50_000,
        "`" * 50_000,
        "{" * 20_000 + "red",
        "\u202e red \u2066",
        "red\0red",
        "<" * 30_000,
        "a\u0301" * 20_000,
        "茶" * 50_000,
        "'" * 50_000,
    ]
    alone, _, _ = switch(prompts(make, "a red book"), words(make, HINDI))
    made, _, _ = switch(prompts(make, *hostile, "a red book"), words(make, HINDI))
    assert said(made)[-1] == said(alone)[0]
    assert said(made)[0].count("लाल") == 15_000


def test_an_empty_or_foreign_table_is_told(make: Make, switch: Any) -> None:
    made, _, context = switch(prompts(make, "red"), words(make, {"rouge": "लाल"}, source="fr"))
    assert made == []
    assert "'words' has no translations from en into hi; it has fr-hi (1)" in context.warnings[0]
    with pytest.raises(StepError, match="'words' has prompt rows"):
        switch(prompts(make, "red"), prompts(make, "red"))


def test_the_table_is_read_once_for_the_same_content_and_anew_for_another(
    make: Make, switch: Any, monkeypatch: Any
) -> None:
    read: list[str] = []
    real = switch_tables._read
    monkeypatch.setattr(switch_tables, "_read", lambda *given: read.append("") or real(*given))
    switch_tables._KEPT.clear()
    rows = prompts(make, "red")
    switch(rows, words(make, {"red": "लाल"}), ratio=1.0)
    switch(rows, words(make, {"red": "लाल"}), ratio=1.0)
    assert len(read) == 1
    assert said(switch(rows, words(make, {"red": "सुर्ख़"}), ratio=1.0)[0]) == ["सुर्ख़"]
    switch(rows, words(make, {"red": "सुर्ख़"}, scores=[0.5]), ratio=1.0)
    assert len(read) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"to": "hi"}, "'table' is missing"),
        ({"to": [], "table": "w"}, "names no language"),
        ({"to": "hi", "table": "w", "ratio": 1.5}, "less than or equal"),
        ({"to": "hi", "table": "w", "ratio": [0.5, 0.2]}, "lower share comes first"),
        ({"to": "hi", "table": "w", "siblings": "s"}, "level: sentence"),
        ({"to": "hi", "table": "w", "instruction": "{text}"}, "restore: true"),
        ({"to": "hi", "table": "w", "restore": True, "instruction": "x"}, "must have {text}"),
        ({"to": "hi", "table": "w", "restore": True, "keep_original": True}, "unchanged rows"),
        ({"to": "qqq-x", "table": "w"}, "language"),
        ({"to": "hi", "level": "sentence"}, r"or 'siblings'"),
    ],
)
def test_wrong_parameters_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CodeSwitch(**given)


def test_a_field_of_another_kind_is_named() -> None:
    assert "no field 'text'" in CodeSwitch(to="hi", table="w", fields=["text"]).check(Kind.SFT)[0]


# --------------------------------------------------------------------------------------------------------------- engine
CATALOG = """
version: 1
sources:
  prompts: {use: jsonl, path: prompts.jsonl, kind: prompt, language: en, license: CC0-1.0, columns: {prompt: "{text}"}}
  words: {use: dictionary, path: words.txt, source_language: en, target_language: hi, license: CC0-1.0}
datasets:
  table:
    from: words
    steps: [{lexicon: {method: dictionary}}]
  mixed:
    from: prompts
    steps: [{code_switch: {to: hi, table: table, ratio: 0.5, record: true}}]
"""


def test_a_catalog_makes_a_table_and_switches_by_it(tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    (tmp_path / "words.txt").write_text("".join(f"{left}\t{right}\n" for left, right in HINDI.items()))
    (tmp_path / "prompts.jsonl").write_text(
        "".join(
            json.dumps({"text": f"the red house has {number} big books of good rice"}) + "\n" for number in range(20)
        )
    )
    built = {one.dataset: one for one in curate.build(tmp_path / "catalog.yaml")}
    assert (built["table"].rows, built["mixed"].rows) == (len(HINDI), 20)
    rows = curate.query("SELECT * FROM mixed", store=tmp_path / ".curate").to_dicts()
    for row in rows:
        switched = [
            one[4]
            for one in json.loads(
                next(each["value"] for each in row["attributes"] if each["name"] == "code_switch.switched")
            )
        ]
        assert switched
        assert all(one in row["prompt"][0]["content"] for one in switched)
        assert [maker["step"] for maker in row["lineage"]["makers"]] == ["code_switch"]
        assert row["lineage"]["makers"][0]["key"]


@pytest.mark.parametrize("kind", [Kind.SFT, Kind.PREFERENCE, Kind.UNPAIRED, Kind.PARALLEL])
@pytest.mark.parametrize(
    ("answer", "ratio", "language"),
    [
        ("red house water", 1.0, "hi"),
        ("red house of stone and glass and wood", 1.0, "en"),  # two words of eight
        ("red", 1.0, "hi"),
        ("red of", 1.0, "en"),  # as many of one as of the other
    ],
)
def test_the_language_of_a_row_is_that_of_most_words_of_its_answer(
    kind, answer, ratio, language, make: Make, switch: Any, turns: Any
) -> None:
    told = turns(f"assistant: {answer}")
    payload: dict[str, Any] = {
        Kind.SFT: {"messages": [*turns("user: red house"), *told]},
        Kind.PREFERENCE: {"prompt": turns("user: red house"), "chosen": told, "rejected": turns("assistant: big")},
        Kind.UNPAIRED: {"prompt": turns("user: red house"), "completion": told, "label": True},
        Kind.PARALLEL: {"source_language": "de", "source": "rot", "target": answer},
    }[kind]
    field = {Kind.SFT: "response", Kind.PREFERENCE: "chosen", Kind.UNPAIRED: "completion", Kind.PARALLEL: "target"}[
        kind
    ]
    (row,), _, _ = switch(make(kind, [{**payload, "language": "en"}]), words(make, HINDI), ratio=ratio, fields=[field])
    assert row["language"] == language
    assert row["attributes"]["code_switch.languages"] == "en+hi", "and the mixture is told"
    if kind is not Kind.PARALLEL:
        (row,), _, _ = switch(make(kind, [{**payload, "language": "en"}]), words(make, HINDI), ratio=ratio)
        assert row["language"] == "en", "the answer was not touched"


def test_switched_prompts_do_not_decide_the_language_of_a_row(make: Make, switch: Any, turns: Any) -> None:
    rows = make(
        Kind.SFT,
        [{"language": "en", "messages": turns("user: red house big water small book", "assistant: of stone and red")}],
    )
    for fields in ("all", ["messages"]):
        (row,), _, _ = switch(rows, words(make, HINDI), ratio=1.0, fields=fields)
        assert "लाल" in row["messages"][1]["content"] and row["language"] == "en"
