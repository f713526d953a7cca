"""Looking at built rows: head, why, diff --rows and query --wide, over rows in several scripts and every fate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import curate
from curate.cli.main import app
from curate.errors import BuildError, StoreError
from curate.looking.changes import _shares

ENGLISH = {
    "sky": "Why is the sky blue today, and why does it turn so red in the evening?",
    "water": "Name three ways to save water at home without spending any money at all.",
    "twin": "why is the sky blue today, and why does it turn so red in the evening?",
    "tiny": "Hi",
    "leak": "What is the tallest mountain on the continent of Africa, measured from the sea?",
    "phone": "Please call me on +44 20 7946 0958 tomorrow morning before nine o'clock.",
}
ARABIC = {
    "sky": "لماذا السماء زرقاء اليوم، ولماذا تصبح حمراء في المساء؟",
    "water": "اذكر ثلاث طرق لتوفير الماء في المنزل.",
}
THAI = {"sky": "ทำไมวันนี้ท้องฟ้าจึงเป็นสีฟ้า และทำไมตอนเย็นจึงเป็นสีแดง"}


def lines(texts: dict[str, str]) -> str:
    return "".join(json.dumps({"key": key, "text": text}, ensure_ascii=False) + "\n" for key, text in texts.items())


def source(name: str, language: str, **more) -> dict:
    return {"use": "jsonl", "path": f"{name}.jsonl", "language": language, "license": "CC0-1.0", "key": "{key}", **more}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Three versions of a dataset, and one made of it."""
    folder = tmp_path_factory.mktemp("looking")
    (folder / "en.jsonl").write_text(lines(ENGLISH) + "{cut off\n")
    (folder / "ar.jsonl").write_text(lines(ARABIC))
    (folder / "th.jsonl").write_text(lines(THAI))
    (folder / "bench.jsonl").write_text(lines({"q1": ENGLISH["leak"]}))
    (folder / "notes.jsonl").write_text(lines({"n": "โทร +44 20 7946 0958 พรุ่งนี้"}))
    catalog = {
        "version": 1,
        "sources": {
            "english": source("en", "en", max_error_rate=0.5),
            "arabic": source("ar", "ar", translation_of="english"),
            "thai": source("th", "th", translation_of="english"),
            "bench": source("bench", "en"),
            "notes": source("notes", "th"),
        },
        "datasets": {
            "talk": {
                "from": ["english", "arabic", "thai"],
                "steps": [
                    {"shape": {"min_chars": {"default": 10, "ar": 7}}},
                    {"contamination": {"against": "bench"}},
                    {"duplicates": {"case": "fold"}},
                ],
                "splits": {"train": 0.5, "test": 0.5},
            },
            "clean": {"from": "talk", "steps": ["redact"]},
            "masked": {"from": "notes", "steps": ["redact"]},
        },
        "run": {"workers": 1},
    }
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump(catalog))
    curate.build(path)
    (folder / "en.jsonl").write_text(
        lines({**ENGLISH, "water": ENGLISH["water"].replace("three", "four")}) + "{cut off\n"
    )
    catalog["datasets"]["talk"]["steps"][0]["shape"]["min_chars"]["th"] = 1000
    path.write_text(yaml.safe_dump(catalog))
    curate.build(path)
    return path


def row_of(catalog: Path, text: str, part: str = "kept", dataset: str = "talk") -> str:
    rows = curate.head(dataset, rows=50, part=part, catalog=catalog).rows
    return next(row["id"] for row in rows if row["text"].startswith(text))


def test_why_tells_steps_scores_and_the_thresholds_of_the_language(built):
    found = curate.why(row_of(built, ARABIC["sky"]), catalog=built)
    assert {fate.dataset for fate in found.fates} == {"talk", "clean"}
    latest = next(fate for fate in found.fates if fate.dataset == "talk" and "latest" in fate.refs)
    steps = dict(latest.steps)
    assert latest.outcome.startswith("kept in t") and list(steps) == ["shape", "contamination", "duplicates"]
    assert "min_chars 7" in steps["shape"] and f"chars {len(ARABIC['sky'])}" in steps["shape"]
    assert [one["text"] for one in found.parents] == [ENGLISH["sky"]]
    said = str(found)
    assert "ar.jsonl:1; licence CC0-1.0" in said and "parent " in said and "english:sky" in said
    assert 'lang="ar" dir="rtl"' in found._repr_html_()
    older = [fate for fate in found.fates if fate.dataset == "talk" and "latest" not in fate.refs]
    assert len(older) == 1 and not older[0].steps


def test_why_shows_children_and_siblings_of_an_original(built):
    found = curate.why("en.jsonl:1", catalog=built)
    assert found.row["text"] == ENGLISH["sky"]
    assert {one["language"] for one in found.children} == {"ar", "th"}
    thai = curate.why(next(one["id"] for one in found.children if one["language"] == "th"), catalog=built)
    assert thai.fates[0].outcome == "dropped by shape: min_chars"
    assert [one["text"] for one in thai.siblings] == [ARABIC["sky"]]


def test_why_shows_the_duplicate_and_the_benchmark_item_that_a_row_met(built):
    twin = curate.why(row_of(built, ENGLISH["twin"], "rejected"), catalog=built)
    assert twin.fates[0].outcome == "dropped by duplicates: duplicate"
    assert [(step, other["text"]) for step, other in twin.duplicates] == [("duplicates", ENGLISH["sky"])]
    assert "[-Why-]{+why+}" in str(twin)
    leak = curate.why(row_of(built, ENGLISH["leak"], "rejected"), catalog=built)
    [(name, text, language)] = leak.met
    assert name.startswith("bench ") and (text, language) == (ENGLISH["leak"], "en")
    assert leak.fates[0].outcome.startswith("dropped by contamination")


def test_why_marks_what_a_step_changed_in_the_parent(built):
    made = row_of(built, "Please call", dataset="clean")
    found = curate.why(made, catalog=built)
    assert "[-+44 20 7946 0958-]" in str(found).replace("\n", " ").replace("  ", "")
    assert [one["text"] for one in found.parents] == [ENGLISH["phone"]]
    original = curate.why(row_of(built, ENGLISH["phone"]), catalog=built)
    assert made in [one["id"] for one in original.children]


def test_a_row_that_only_others_were_made_of_is_found_too(built):
    found = curate.why("notes.jsonl:1", catalog=built)
    assert found.row["text"].startswith("โทร +44") and not found.fates
    assert [one["lineage"]["source"] for one in found.children] == ["notes"]
    assert "it is in no version: a step made other rows of it" in str(found).replace("\n        ", " ")


def test_an_id_may_be_short_but_must_name_one_row(built):
    whole = row_of(built, ARABIC["sky"])
    assert curate.why(whole[:12], catalog=built).row["id"] == whole
    ids = [
        row["id"]
        for part in ("kept", "rejected")
        for row in curate.head("talk", rows=50, part=part, catalog=built).rows
    ]
    letter = max("0123456789abcdef", key=lambda one: sum(id_.startswith(one) for id_ in ids))
    with pytest.raises(StoreError, match=f"'{letter}' names . rows: .*give more of the id"):
        curate.why(letter, catalog=built)
    with pytest.raises(StoreError, match="begins with 'xyz'"):
        curate.why("xyz", catalog=built)
    with pytest.raises(StoreError, match=r"en\.jsonl:7 could not be read; in talk@.* quarantined: not JSON"):
        curate.why("en.jsonl:7", catalog=built)


def test_why_passes_over_damaged_files_and_says_so(built, tmp_path):
    folder = Path(shutil.copytree(built.parent, tmp_path / "copy"))
    wanted = row_of(built, ARABIC["sky"])
    for path in folder.glob(".curate/datasets/talk/*/data/*.parquet"):
        path.write_bytes(b"PAR1 no parquet")
    found = curate.why(wanted, catalog=folder / "catalog.yaml")
    assert [fate.dataset for fate in found.fates] == ["clean"] * len(found.fates) and found.fates
    assert any("cannot be read and was skipped" in note for note in found.notes)


def test_head_shows_rows_of_a_language_dropped_rows_and_unreadable_ones(built):
    found = curate.head("talk", language="ar", catalog=built)
    assert [row["text"] for row in found.rows] == [*ARABIC.values()] and {row["split"] for row in found.rows} <= {
        "train",
        "test",
    }
    assert ARABIC["water"] in str(found) and f"2 of {found.total} kept rows" in str(found)
    dropped = curate.head("talk", rows=50, part="rejected", catalog=built)
    assert ("tiny", "shape: min_chars") in [
        (key, f"{row['step']}: {row['reason']}")
        for row in dropped.rows
        for key, text in ENGLISH.items()
        if text == row["text"]
    ]
    bad = curate.head("talk", part="quarantined", catalog=built)
    assert "{cut off" in str(bad) and "en.jsonl" in str(bad)
    with pytest.raises(StoreError, match=r"no kept rows in 'sw'.*it has ar, en"):
        curate.head("talk", language="sw", catalog=built)
    with pytest.raises(StoreError, match="has no language"):
        curate.head("talk", language="en", part="quarantined", catalog=built)
    with pytest.raises(BuildError, match="rows: 0 is less than 1"):
        curate.head("talk", rows=0, catalog=built)
    with pytest.raises(StoreError, match="--language"):
        curate.head("talk", language="not a tag", catalog=built)


def test_changed_rows_are_shown_beside_each_other_and_counted(built):
    found = curate.diff_rows("talk", catalog=built)
    assert found.counts == {"changed": 1, "removed": 1, "added": 0}
    changed, removed = found.rows
    assert (changed.old["text"], changed.new["language"]) == (ENGLISH["water"], "en")
    assert removed.old["text"] == THAI["sky"] and removed.because == "dropped by shape (min_chars)"
    assert "[-three-]{+four+}" in str(found) and "not shown" not in str(found)
    assert "1 of them not shown" in str(curate.diff_rows("talk", rows=1, catalog=built))
    back = curate.diff_rows(found.new, found.old, catalog=built)
    assert back.counts == {"changed": 1, "removed": 0, "added": 1}
    assert back.rows[1].because == "no longer dropped by shape (min_chars)"


@pytest.mark.parametrize(
    ("counts", "most", "shares"), [([9, 9, 9], 6, [2, 2, 2]), ([0, 9, 1], 6, [0, 5, 1]), ([1, 0, 0], 6, [1, 0, 0])]
)
def test_what_one_change_does_not_need_goes_to_the_others(counts, most, shares):
    assert _shares(counts, most) == shares


def test_the_commands_print_records(built, monkeypatch):
    monkeypatch.chdir(built.parent)

    def run(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == code, done.output
        return done.output

    assert ARABIC["sky"][:20] in run("head", "talk", "--language", "ar", "-n", "1")
    assert "dropped by" in run("head", "talk", "--rejected")
    assert "english:sky" in run("why", row_of(built, ARABIC["sky"])[:10])
    assert "{+four+}" in run("diff", "talk", "--rows", "-n", "2")
    wide = run("query", "--wide", "SELECT id, text FROM talk WHERE language = 'ar' ORDER BY text")
    assert "row 2\n" in wide and "│" not in wide and ARABIC["water"] in wide
    assert "two tables" in run("head", "talk", "--rejected", "--quarantined", code=1)
    assert "--wide prints records" in run("query", "--wide", "-f", "csv", "SELECT 1 AS a", code=1)
    assert "leave out" in run("diff", "talk", "--rows", "--json", code=1)
    assert "no dataset 'tal'" in run("head", "tal", code=1)
