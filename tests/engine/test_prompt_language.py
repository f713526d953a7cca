"""Rows whose prompt is in another language than the answer: read, filtered, mixed, counted and told by both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

import curate
from curate.engine.funnel import Funnel, render

ASKED = {
    "en": "Please explain in a few sentences how rice is cooked on a small fire.",
    "th": "ช่วยอธิบายวิธีหุงข้าวด้วยไฟอ่อนให้ฟังหน่อยได้ไหมครับ",
    "ar": "اشرح لي من فضلك كيف يطبخ الأرز على نار هادئة في البيت.",
}
ANSWERED = {
    "th": "ล้างข้าวให้สะอาด ใส่น้ำสองเท่าแล้วหุงด้วยไฟอ่อนโดยปิดฝาไว้จนสุก",
    "ar": "اغسل الأرز جيدا ثم أضف ضعف كميته من الماء واتركه على نار هادئة حتى ينضج.",
}
# (prompt's language, answer's language, rows)
PAIRS = [("en", "th", 6), ("th", "th", 4), ("ar", "ar", 5), ("en", "ar", 2)]


@pytest.fixture
def build(tmp_path: Path):
    rows = [
        {"question": f"{ASKED[asked]} {n}", "answer": f"{ANSWERED[tag]} {n}", "to": tag, "from": asked}
        for asked, tag, count in PAIRS
        for n in range(count)
    ]
    rows[6]["from"] = None  # nothing said: that of the answer
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    source = {
        "use": "jsonl",
        "path": "rows.jsonl",
        "language": "{to}",
        "prompt_language": "{from}",
        "license": "CC0-1.0",
        "columns": {"prompt": "question", "response": "answer"},
    }

    def run(*steps, **more):
        catalog = {
            "version": 1,
            "sources": {"mixed": {**source, **more}},
            "datasets": {"made": {"from": "mixed", "steps": list(steps), "splits": {"train": 1.0}}},
        }
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
        (built,) = curate.build(curate.load_catalog(tmp_path / "catalog.yaml"))
        return built

    return run


def query(built, sql: str) -> list[tuple]:
    return curate.query(sql, store=built.path.parents[2]).rows()


def test_files_have_the_column_and_the_funnel_counts_both_languages(build, tmp_path):
    built = build({"language": {"level": "row"}})
    counted = "SELECT language, prompt_language, count(*) FROM made GROUP BY ALL ORDER BY ALL"
    assert query(built, counted) == [("ar", "en", 2), ("ar", None, 5), ("th", "en", 6), ("th", None, 4)]
    assert built.funnel.prompts is not None
    assert built.funnel.prompts.kept == {"th (prompt en)": 6, "ar (prompt en)": 2} == built.funnel.prompts.read
    header, rows = render(built.funnel)
    assert [[row[0], row[1], row[3]] for row in rows] == [
        ["th", "10", "10"], ["ar", "7", "7"], ["th (prompt en)", "6", "6"], ["ar (prompt en)", "2", "2"]
    ]  # fmt: skip
    manifest = json.loads((built.path / "manifest.json").read_text())
    assert render(Funnel.from_json(manifest["funnel"])) == (header, rows) and manifest["extras"] == ["prompt_language"]
    card = curate.card("made", store=built.path.parents[2])
    assert "| th (prompt en) | 6 |" in card.replace("\\", "") and "| `prompt_language` |" in card
    report = curate.report("made", tmp_path / "report.html", store=built.path.parents[2]).path.read_text()
    assert "th (prompt en)" in report


def test_a_threshold_is_that_of_the_prompts_language(build):
    # No prompt in English passes, and rows that have none are judged as ever.
    built = build({"language": {"min": {"default": 0.1, "en": 1.0}, "sure": 0.0}})
    assert query(built, "SELECT language, count(*) FROM made GROUP BY ALL ORDER BY ALL") == [("ar", 5), ("th", 4)]
    dropped = query(
        built,
        "SELECT prompt_language, step, attribute(attributes, 'language.prompt_found'), count(*) "
        "FROM made.rejected GROUP BY ALL",
    )
    assert dropped == [("en", "language", "en", 8)]
    assert built.funnel.prompts is not None
    assert built.funnel.prompts.dropped("th (prompt en)") == {"language: language": 6}
    # In SQL they are apart, and the sum is that of the language.
    counted = "SELECT language, prompt_language, reason, rows FROM curate.funnel WHERE position = 1 ORDER BY ALL"
    assert query(built, counted) == [
        ("ar", "en", "language", 2), ("ar", None, "kept", 5), ("th", "en", "language", 6), ("th", None, "kept", 4)
    ]  # fmt: skip
    assert query(built, "SELECT sum(rows)::INT FROM curate.funnel WHERE position = 0 AND language = 'th'") == [(10,)]
    assert query(
        built, "SELECT step, sum(rows)::INT FROM curate.representation WHERE prompt_language = 'en' GROUP BY ALL"
    ) == [("read", 8)]
    built = build({"shape": {"min_prompt_chars": {"default": 1, "en": 1_000}}})
    assert built.rows == 9


def test_a_prompt_labelled_wrong_is_dropped_and_one_that_says_its_language_is_not(build):
    assert build("language").rows == 17
    assert build("language", prompt_language=None).rows == 9


def test_mixtures_are_by_the_language_of_prompts(build):
    built = build({"mix": {"by": "prompt_language", "weights": {"en": 1, "ar": 1}, "rows": 8}})
    counted = query(
        built, "SELECT coalesce(prompt_language, language) AS asked, count(*) FROM made GROUP BY ALL ORDER BY ALL"
    )
    assert counted == [("ar", 4), ("en", 4)]


def test_exports_say_it_in_meta_and_leave_nothing_out(build, tmp_path):
    built = build()
    store = built.path.parents[2]
    with_meta = tmp_path / "catalog.yaml"
    text = yaml.safe_load(with_meta.read_text())
    text["datasets"]["made"]["outputs"] = [{"trl": {"format": "jsonl", "meta": ["language", "prompt_language"]}}]
    with_meta.write_text(yaml.safe_dump(text))
    (made,) = curate.export("made", to=tmp_path / "out", catalog=with_meta, store=store)
    assert made.rows == 17 and not made.skipped
    rows = [json.loads(line) for line in (made.folder / "data" / "train.jsonl").read_text().splitlines()]
    assert set(rows[0]) == {"messages", "meta"} and rows[0]["meta"] == {"language": "th", "prompt_language": "en"}
    assert rows[6]["meta"] == {"language": "th", "prompt_language": "th"}
    for name in ("llama-factory", "axolotl", "openai", "sharegpt", "verl", "torchtune"):
        (made,) = curate.export("made", name, to=tmp_path / name, catalog=with_meta, store=store)
        assert made.rows == 17 and not made.skipped, name


def test_versions_of_rows_without_it_do_not_change(build):
    plain = build("shape", prompt_language=None)
    said = build("shape", prompt_language="{to}")
    assert plain.version == said.version and "prompts" not in plain.funnel.to_json()


def test_it_is_refused_where_there_is_no_prompt_with_an_answer(build):
    with pytest.raises(curate.CatalogError, match="prompt_language: it is for prompts with an answer"):
        build(kind="prompt", columns={"prompt": "question"})
    with pytest.raises(curate.CatalogError, match="'xx-yy-zz'"):
        build(prompt_language="xx-yy-zz")
