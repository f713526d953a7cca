"""Labels say which value a threshold should have, and are the gold of judges, without a step by hand."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner
from view_bench import serving

import curate
from curate.cli.main import app
from curate.engine.store.store import Store
from curate.errors import ExportError
from curate.preferences.review.labels_file import Label, write_labels
from outputs.view import View
from outputs.view.labelled import Counts

UNIT = {"th": "น้ำเค็ม", "ar": "ملح ", "sw": "chumvi "}
CATALOG = """\
version: 1
run: {workers: 1}
sources:
  salt: {use: jsonl, path: salt.jsonl, kind: sft, language: "{lang}", license: CC0-1.0, key: "{item}",
         columns: {prompt: "{ask}", response: "{answer}"}}
datasets:
  sea:
    from: [salt]
    steps:
      - shape:
          min_response_chars: 30  # short answers
          max_repetition: 1.0
          max_loop: 1000
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Answers of 1 to 40 words in three languages: in Thai those below 70 characters are wrong, in Arabic those
    below 25, in Swahili there are only few labels."""
    tmp_path = tmp_path_factory.mktemp("labelled") / "sea"
    tmp_path.mkdir()
    rows = [
        {"item": f"{lang}{n}", "lang": lang, "ask": f"{unit}? {n}", "answer": unit * n + "."}
        for lang, unit in UNIT.items()
        for n in range(1, 41)
    ]
    (tmp_path / "salt.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    curate.build(tmp_path / "catalog.yaml")
    write_labels(tmp_path / "labels.jsonl", labels_of(tmp_path))
    return tmp_path


def labels_of(folder: Path) -> list[Label]:
    least = {"th": 70, "ar": 25, "sw": 0}
    found = []
    for table in ("sea", '"sea".rejected'):
        sql = f"SELECT id, language, score(scores, 'shape.response_chars') AS c FROM {table} ORDER BY c"
        for row in curate.query(sql, catalog=folder / "catalog.yaml").rows(named=True):
            if row["language"] != "sw" or row["c"] > 250:
                verdict = "good" if row["c"] >= least[row["language"]] else "bad"
                found.append(Label(row["id"], "mary", verdict=verdict, language=row["language"]))
    found += [Label(found[0].id, "john", verdict="good" if found[0].verdict == "bad" else "bad")]  # they differ
    return [*found, Label("0" * 32, "mary", verdict="good")]


def test_labels_speak_for_the_value_that_keeps_what_is_right(folder):
    found = curate.review_thresholds(
        "sea", folder / "labels.jsonl", "shape.min_response_chars", catalog=folder / "catalog.yaml"
    )
    by = {one.language: one for one in found.languages}
    assert (by["th"].value, by["th"].at_value.wrong) == (71, 0)  # ten words of seven characters, and a full stop
    assert by["th"].now == 30 and by["th"].at_now.wrong == 5
    assert by["ar"].value == 25 and by["ar"].at_value.recall == 1.0
    assert by["sw"].value is None and by["sw"].reason == "5 labels, and 30 are needed"
    assert (found.unsure, found.without, found.elsewhere) == (1, 0, 1)


def test_what_labels_say_is_written_into_the_catalog_and_built(folder, tmp_path, monkeypatch):
    folder = shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.chdir(folder)
    command = ["review", "thresholds", "sea", "labels.jsonl", "--threshold", "shape.min_response_chars"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    assert re.search(r"^th +\d+ +30 +0\.86 +71 +1\.00 +0\.\d\d–1\.00 +1\.00$", told.output, re.M), told.output
    assert "sw: 5 labels, and 30 are needed" in told.output
    assert (folder / "catalog.yaml").read_text() == CATALOG
    told = CliRunner().invoke(app, [*command, "--write"])
    line = "min_response_chars: {ar: 25, default: 30, th: 71}  # short answers"
    assert f"+          {line}" in told.output and line in (folder / "catalog.yaml").read_text()
    curate.build(folder / "catalog.yaml")
    left = curate.query(
        "SELECT min(score(scores, 'shape.response_chars')) AS c FROM sea WHERE language = 'th'",
        catalog=folder / "catalog.yaml",
    )
    assert left["c"][0] == 71
    told = CliRunner().invoke(app, [*command, "--write"])
    assert "nothing to write" in told.output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["review", "thresholds", "sea", "labels.jsonl"], "name one of shape."),
        (["review", "thresholds", "sea", "labels.jsonl", "--threshold", "shape.min_respons_chars"], "did you mean"),
        (["review", "thresholds", "sea", "none.jsonl", "--threshold", "shape.min_response_chars"], "cannot be read"),
        (["review", "thresholds", "see", "labels.jsonl", "--threshold", "shape.max_chars"], "no dataset 'see'"),
        (["calibrate", "sea", "--labels", "labels.jsonl"], "'curate review thresholds DATASET LABELS"),
        (
            ["calibrate", "sea", "--labels", "labels.jsonl", "--threshold", "shape.min_chars", "--write"],
            "'curate review",
        ),
    ],
)
def test_mistakes_are_told(folder, monkeypatch, given, said):
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, given)
    assert done.exit_code != 0 and said in " ".join(done.output.replace("│", " ").split())


def test_a_share_that_is_none_is_told(folder):
    with pytest.raises(ExportError, match=r"precision: 1\.5 must be"):
        curate.review_thresholds(
            "sea", folder / "labels.jsonl", "shape.max_chars", precision=1.5, catalog=folder / "catalog.yaml"
        )


def test_intervals_are_those_of_wilson():
    assert Counts(38, 2, 40).interval == pytest.approx((0.8350, 0.9862), abs=1e-4)
    assert Counts(0, 0, 3).interval == (0.0, 1.0) and Counts(0, 0, 3).precision is None


def test_the_page_of_thresholds_shows_what_labels_say(folder):
    with serving(View(Store(folder / ".curate"), "sea", labels=folder / "labels.jsonl", annotator="eve")) as client:
        text = client.get("/thresholds?threshold=shape.min_response_chars&value=50")
        line = re.search(r'<th scope="row">Thai</th>(.*?)</tr>', text[text.index("Labels in labels.jsonl") :])[1]
        assert "language=th&amp;value=71" in line and ">71</a>" in line
        assert "86 % (" in line and "91 % (" in line
        assert "1 labels are of rows that this version does not have" in text
        assert "5 labels, and 30 are needed" in text
