"""A preview follows rows through every kind of step, and costs what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from house import CUTS
from servers.llm import FaultServer, Reply
from typer.testing import CliRunner

import curate
from curate.cli.main import app
from curate.engine.preview import preview_dataset
from curate.errors import BuildError

ROWS = [
    ("en", "My number is +44 20 7946 0958, call me tomorrow morning please"),
    ("ar", "السماء صافية اليوم ونحن ذاهبون إلى السوق لشراء الخبز"),
    ("hi", "आज आसमान साफ़ है और हम बाज़ार जा रहे हैं"),
    ("th", "วันนี้ท้องฟ้าแจ่มใส เรากำลังจะไปตลาดเพื่อซื้อขนมปัง"),
    ("zh", "今天天气晴朗，我们要去市场买面包和水果，然后回家做饭。"),
    ("zh", "短"),
]


@pytest.fixture
def catalog(tmp_path: Path):
    lines = [json.dumps({"text": text, "lang": tag}, ensure_ascii=False) for tag, text in ROWS]
    (tmp_path / "a.jsonl").write_text("\n".join([*lines, "{cut off"]) + "\n", encoding="utf-8")
    source = {"use": "jsonl", "path": "a.jsonl", "language": "{lang}", "license": "CC0-1.0"}

    def write(*steps, **more) -> Path:
        told = {"version": 1, "sources": {"mine": source}, "datasets": {"d": {"from": "mine", "steps": [*steps]}}}
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump({**told, "run": {"workers": 1}, **more}))
        return tmp_path / "catalog.yaml"

    return write


def effects(found) -> dict[str, list[tuple[str, str]]]:
    return {
        row.row.get("text", ""): [(one.step, one.outcome) for one in row.effects]
        for root in found.rows
        for row in root.walk()
    }


def test_each_step_tells_what_it_did_to_each_row(catalog):
    path = catalog({"shape": {"min_chars": 5}}, "redact", "duplicates")
    found = curate.preview(path, rows=10)
    told = effects(found)
    assert set(told) > {text for _, text in ROWS}
    assert told["短"] == [("shape", "dropped")]
    assert told[ROWS[4][1]] == [("shape", "kept"), ("redact", "unchanged"), ("duplicates", "kept")]
    assert told[ROWS[0][1]] == [("shape", "kept"), ("redact", "made")]
    [new] = next(row for row in found.rows if row.row["language"] == "en").effects[1].made
    assert "+44 20" not in new.row["text"] and [one.step for one in new.effects] == ["duplicates"]
    [short] = [row for row in found.rows if row.row["text"] == "短"]
    assert short.effects[0].reason and short.effects[0].thresholds["min_chars"] == 5
    assert short.effects[0].scores["chars"] == 1
    said = str(found)
    assert "[-+44 20 7946 0958-]{+" in said.replace("\n          ", " ")
    assert "a.jsonl, line 7: not JSON" in said and "duplicates works on all rows" in said
    assert not (path.parent / ".curate" / "datasets").exists() and not list(path.parent.glob(".curate/scratch/*"))


def test_thresholds_are_those_of_the_rows_language(catalog):
    found = curate.preview(catalog({"shape": {"min_chars": {"default": 3, "zh": 2, "hi": None}}}), rows=10)
    limits = {row.row["language"]: row.effects[0].thresholds.get("min_chars") for row in found.rows}
    assert limits == {"en": 3, "ar": 3, "th": 3, "zh": 2, "hi": None}


def test_rows_are_of_as_many_languages_as_there_are_and_the_same_each_time(catalog):
    path = catalog("shape")
    found = curate.preview(path, rows=5)
    assert sorted(row.row["language"] for row in found.rows) == ["ar", "en", "hi", "th", "zh"]
    assert [row.row["id"] for row in found.rows] == [row.row["id"] for row in curate.preview(path, rows=5).rows]


def test_models_are_asked_only_as_often_as_allowed_and_the_build_does_not_ask_again(tmp_path):
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"p": f"habari {n}"}) + "\n" for n in range(8)))
    with FaultServer(lambda body, _: Reply(text="Sawa.")) as server:
        source = {"use": "jsonl", "path": "p.jsonl", "kind": "prompt", "language": "sw", "license": "CC0-1.0"}
        told = {
            "version": 1,
            "models": {"writer": {"use": "openai", "url": server.url, "model": "tests/yes"}},
            "sources": {"s": {**source, "columns": {"prompt": "{p}"}}},
            "datasets": {
                "d": {"from": "s", "steps": ["shape", {"respond": {"model": "writer"}}], "target": {"rows": 500}}
            },
            "run": {"workers": 1},
        }
        path = tmp_path / "catalog.yaml"
        path.write_text(yaml.safe_dump(told))
        found = curate.preview(path, rows=3)
        assert not server.calls and [one.step for one in found.rows[0].effects] == ["shape"]
        assert "before the step 'respond' of d: it asks writer about 3 rows" in str(found).replace("\n        ", " ")
        assert "the target of d is not applied" in str(found)
        found = curate.preview(path, rows=3, calls=3)
        assert len(server.calls) == 3 and found.spending[0]["calls"] == 3
        made = [one.row["messages"][-1]["content"] for row in found.rows for one in row.effects[1].made]
        assert made == ["Sawa."] * 3
        assert "3 calls of" in str(found)
        again = curate.preview(path, rows=3)  # kept answers cost nothing
        assert len(server.calls) == 3 and again.rows[0].effects[1].made and not again.spending
        curate.build(path)
        assert len(server.calls) == 8


def test_rows_that_a_step_fails_on_are_told_with_the_reason(house):
    house.catalog["models"] |= {"echo": {"use": "echo"}}
    house.catalog["datasets"]["duo"]["steps"] = [{"reply": {"trouble": "river"}}]
    found = preview_dataset(house.load(), house.registry, "duo", rows=20, calls=20, chunk_limits=CUTS)
    outcomes = {("river" in row.row["text"], row.effects[0].outcome, row.effects[0].reason) for row in found.rows}
    assert outcomes == {(True, "failed", "in trouble"), (False, "made", "")}
    english = {row.row["id"] for row in found.rows if row.row["language"] == "en"}
    swahili = [row for row in found.rows if row.row["language"] == "sw"]
    assert english and all(row.parents[0]["language"] == "en" for row in swahili if row.row["lineage"]["parents"])


def test_datasets_of_datasets_are_followed_from_the_sources(house):
    house.catalog["datasets"]["more"] = {"from": ["duo"], "steps": [{"letters": {"model": "ruler", "min": 30}}]}
    found = preview_dataset(house.load(), house.registry, "more", rows=12, chunk_limits=CUTS)
    ways = {tuple((one.dataset, one.outcome) for one in row.effects) for row in found.rows}
    assert (("duo", "dropped"),) in ways
    assert any(way[0][0] == "duo" and way[-1][0] == "more" for way in ways)
    assert "duo: letters" in str(found)


def test_what_cannot_be_previewed_is_an_error(catalog):
    path = catalog("shape", datasets={"one": {"from": "mine"}, "two": {"from": "mine"}})
    with pytest.raises(BuildError, match=r"2 datasets; name the one to preview \(one, two\)"):
        curate.preview(path)
    with pytest.raises(BuildError, match="did you mean 'one'"):
        curate.preview(path, "onw")
    with pytest.raises(BuildError, match="needs the environment variable NOT_SET_HERE"):
        path.write_text(path.read_text().replace("path: a.jsonl", "path: ${NOT_SET_HERE}"))
        curate.preview(path, "one")
    path = catalog("shape", datasets={"one": {"from": "mine"}, "two": {"from": "mine"}})
    with pytest.raises(BuildError, match="rows: 0 is less than 1"):
        curate.preview(path, "one", rows=0)
    assert "1 of 6" in str(curate.preview(path, "one", rows=9))


def test_the_command_prints_records_or_writes_a_page(catalog, tmp_path):
    path = catalog("shape")
    shown = CliRunner().invoke(app, ["preview", "-n", "5", "-c", str(path)])
    assert shown.exit_code == 0 and "السماء" in shown.stdout and "1 of 5" in shown.stdout
    page = tmp_path / "p.html"
    done = CliRunner().invoke(app, ["preview", "-n", "5", "-c", str(path), "--html", str(page)])
    assert done.exit_code == 0 and 'lang="ar" dir="rtl"' in page.read_text(encoding="utf-8")
    failed = CliRunner().invoke(app, ["preview", "-c", str(path), "--html", str(tmp_path / "no" / "p.html")])
    assert failed.exit_code == 1 and "--html" in failed.output
