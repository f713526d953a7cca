"""``detect_language``: unlabelled rows get the language of their answer, and say what they were and what is unclear."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import curate
from curate.generation.detect_language import DetectLanguage
from curate.rows import Kind
from curate.steps import Registry

TEXTS = {
    "de": ("Wie kocht man Reis?", "Man wäscht ihn und lässt ihn bei kleiner Hitze zugedeckt ziehen, bis er weich ist."),
    "ar": ("كيف أطبخ الأرز؟", "اغسل الأرز جيدا ثم أضف ضعف كميته من الماء واتركه على نار هادئة حتى ينضج."),
    "th": ("หุงข้าวอย่างไร", "ล้างข้าวให้สะอาด ใส่น้ำสองเท่าแล้วหุงด้วยไฟอ่อนโดยปิดฝาไว้จนสุก"),
    "ko": ("밥은 어떻게 짓나요?", "쌀을 깨끗이 씻은 다음 두 배의 물을 넣고 약한 불에서 뚜껑을 덮고 익히면 됩니다."),
    "zh": ("怎么煮饭？", "先把米洗干净，加入两倍的水，用小火盖上锅盖慢慢煮熟就可以了，不会烧焦。"),
    "zh-Hant": ("怎麼煮飯？", "先把米洗乾淨，加入兩倍的水，用小火蓋上鍋蓋慢慢煮熟就可以了，不會燒焦。"),
    "ja": ("ご飯はどう炊きますか？", "お米をよく洗ってから水を加えて、ふたをして弱火でゆっくり炊きます。"),
}


@pytest.fixture(scope="module")
def identifier():
    return Registry.installed().get("model", "ensemble")().load(cache=None, threads=1)


def chat(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


@pytest.fixture
def label(bench, gathered, identifier):
    def run(rows, **given):
        step = DetectLanguage(**given)
        assert not step.check(rows.kind)
        return gathered(rows.kind, step.make(rows, bench({"ensemble": identifier})))

    return run


def test_each_row_gets_the_language_of_its_answer_and_keeps_its_order_group_and_parent(make, label):
    rows = make(Kind.SFT, [{"messages": chat(*pair), "language": "und"} for pair in TEXTS.values()])
    made, bad = label(rows)
    assert not bad and [row["language"] for row in made] == list(TEXTS)
    assert [row["lineage"]["parents"] for row in made] == [[one] for one in rows.ids]
    assert [row["group_id"] for row in made] == rows.table["group_id"].to_pylist()
    assert all(row["attributes"]["detect_language.from"] == "und" for row in made)
    assert all(0.5 <= row["scores"]["detect_language"] <= 1 for row in made)


def test_rows_that_are_labelled_right_are_unchanged_and_only_says_which_are_looked_at(make, label):
    rows = make(Kind.SFT, [{"messages": chat(*TEXTS["de"]), "language": tag} for tag in ("de", "th", "und")])
    made, _ = label(rows)
    assert [row["language"] for row in made] == ["de"] * 3
    assert made[0]["id"] == rows.ids[0] and 0.5 <= made[0]["scores"]["detect_language"] <= 1
    made, _ = label(rows, only=["und"])
    assert [row["language"] for row in made] == ["de", "th", "de"]
    assert [set(row["scores"]) for row in made] == [set(), set(), {"detect_language"}]


def test_japanese_with_latin_words_is_japanese(make, label):
    texts = (
        "CとRustの文字列の違いを教えて。",
        "LinuxでPostgreSQLを起動する方法は？",
        "TypeScriptのinterfaceとは何ですか？",
    )
    made, _ = label(make(Kind.DOCUMENT, [{"text": text, "language": "und"} for text in texts]))
    assert [row["language"] for row in made] == ["ja"] * 3


def test_a_prompt_in_another_language_is_told(make, label):
    made, _ = label(
        make(Kind.SFT, [{"messages": chat("Explain in Thai how rice is cooked.", TEXTS["th"][1]), "language": "und"}])
    )
    assert made[0]["language"] == "th" and made[0]["prompt_language"] == "en"


def test_a_prompt_in_another_language_is_told_of_rows_that_are_labelled_right(make, label):
    asked = "Explain in Thai how rice is cooked."
    texts = [(asked, TEXTS["th"][1]), (TEXTS["th"][1],) * 2, ("4+4", TEXTS["th"][1])]
    rows = make(Kind.SFT, [{"messages": chat(*one), "language": "th"} for one in texts])
    made, _ = label(rows)
    assert [row.get("prompt_language") for row in made] == ["en", None, None]
    assert made[0]["lineage"]["parents"] == [rows.ids[0]] and "detect_language.from" not in made[0]["attributes"]
    assert [row["id"] for row in made[1:]] == rows.ids.to_list()[1:]
    # What is unclear stays as the source said; what is wrong is mended.
    said = [{"messages": chat(*one), "language": "th", "prompt_language": "en"} for one in texts]
    assert [row.get("prompt_language") for row in label(make(Kind.SFT, said))[0]] == ["en", None, "en"]
    assert label(make(Kind.SFT, said), only=["und"])[0][1]["prompt_language"] == "en"


def test_attributes_are_on_every_row_that_is_looked_at(make, label):
    turns = [*chat("?", TEXTS["de"][1]), *chat("?", TEXTS["th"][1])]
    rows = make(
        Kind.SFT,
        [
            {"messages": turns, "language": "de", "attributes": [{"name": "topic", "value": "rice"}]},
            {"messages": chat("?", "4"), "language": "und"},
            {"messages": chat("?", "4"), "language": "fr"},
        ],
    )
    made, _ = label(rows, by="message", unclear="keep")
    assert [row["id"] for row in made] == rows.ids.to_list()
    assert [set(row["scores"]) for row in made] == [{"detect_language"}, set(), set()]
    assert made[0]["attributes"] == {"topic": "rice", "detect_language.languages": "de:1 th:1"}
    unclear = {"detect_language.languages": "und:1", "detect_language.unclear": "letters"}
    assert made[1]["attributes"] == made[2]["attributes"] == unclear
    made, _ = label(rows, only=["und"])
    assert [row["attributes"] for row in made] == [{"topic": "rice"}, {"detect_language.unclear": "letters"}, {}]


@pytest.mark.parametrize(
    ("text", "why"),
    [("4", "letters"), ("", "letters"), ("😀😀😀", "letters"), ("Zxqv brrkt wmpf jjxq vvlt qqrz ntkl", "probability")],
)
def test_what_is_unclear_is_und_or_kept_or_quarantined(make, label, text, why):
    rows = make(
        Kind.SFT, [{"messages": chat("?", text), "language": "fr"}, {"messages": chat(*TEXTS["de"]), "language": "fr"}]
    )
    made, bad = label(rows, min=0.8)
    assert [row["language"] for row in made] == ["und", "de"] and not bad
    assert made[0]["attributes"]["detect_language.unclear"] == why
    made, bad = label(rows, min=0.8, unclear="keep")
    assert [row["language"] for row in made] == ["fr", "de"]
    made, bad = label(rows, min=0.8, unclear="quarantine")
    assert [row["language"] for row in made] == ["de"]
    assert [(row.where, row.reason) for row in bad] == [(rows.ids[0], f"its language is unclear ({why})")]


def test_two_scripts_in_a_text_are_two_languages_and_no_transliteration(make, label):
    text = TEXTS["ko"][1] + " You can also use an electric rice cooker for this purpose."
    made, _ = label(make(Kind.DOCUMENT, [{"text": text, "language": "und"}]))
    assert made[0]["language"] in ("ko", "en")


def test_messages_one_by_one_name_all_languages_and_the_most_letters_win(make, label):
    turns = [*chat("?", TEXTS["de"][1]), *chat("?", TEXTS["th"][1]), *chat("?", TEXTS["de"][1]), *chat("?", "4")]
    made, _ = label(make(Kind.SFT, [{"messages": turns, "language": "und"}]), by="message")
    assert made[0]["language"] == "de"
    assert made[0]["attributes"]["detect_language.languages"] == "de:2 th:1 und:1"


def test_both_sides_of_a_pair_are_labelled(make, label):
    rows = make(
        Kind.PARALLEL,
        [
            {"source": TEXTS["de"][1], "target": TEXTS["th"][1], "source_language": "und", "language": "und"},
            {"source": TEXTS["de"][1], "target": "4", "source_language": "en", "language": "th"},
        ],
    )
    made, _ = label(rows, only=["und"])
    assert [(row["source_language"], row["language"]) for row in made] == [("de", "th"), ("en", "th")]


def test_unlabelled_conversations_become_a_folder_for_each_language(tmp_path: Path) -> None:
    rows = [{"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]} for q, a in TEXTS.values()]
    (tmp_path / "mixed.json").write_text(json.dumps(rows, ensure_ascii=False))
    (tmp_path / "catalog.yaml").write_text(
        "version: 1\nsources:\n  mixed: {use: json, path: mixed.json, language: detect, license: CC0-1.0}\n"
        "datasets:\n  labelled: {from: mixed, outputs: [trl]}\n"
    )
    catalog = curate.load_catalog(tmp_path / "catalog.yaml")
    (use,) = catalog.datasets["labelled"].steps
    assert (use.name, use.params.only, use.mark.line) == ("detect_language", ("und",), 3)
    curate.build(catalog, "labelled")
    made = curate.export("labelled", to=tmp_path / "out", by="language", catalog=catalog)
    assert sorted(one.folder.relative_to(tmp_path / "out").as_posix() for one in made) == sorted(
        f"labelled/{tag}/trl" for tag in TEXTS
    )
    for one in made:
        tag = one.folder.parent.name
        (file,) = (one.folder / "data").glob("*.parquet")
        frame = pl.read_parquet(file)
        assert [turn["content"] for turn in frame["messages"][0]] == list(TEXTS[tag])
        assert one.written.rows == {"train": 1} and json.loads((one.folder / "export.json").read_text())["rows_in"] == 1


def test_own_detection_in_the_steps_is_not_doubled(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Guten Morgen, liebe Leute."}\n')
    (tmp_path / "catalog.yaml").write_text(
        "version: 1\nsources:\n  a: {use: jsonl, path: a.jsonl, language: detect, license: CC0-1.0}\n"
        "datasets:\n  one: {from: a, steps: [{shape: {}}, {detect_language: {min: 0.9}}]}\n  two: {from: one}\n"
    )
    catalog = curate.load_catalog(tmp_path / "catalog.yaml")
    assert [use.name for use in catalog.datasets["one"].steps] == ["shape", "detect_language"]
    assert [use.name for use in catalog.datasets["two"].steps] == []
