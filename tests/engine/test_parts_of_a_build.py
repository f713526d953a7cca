"""A build that goes on after a dataset has failed, and one that stops after a step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import curate
from curate.cli.main import app

CATALOG = """\
version: 1
sources:
  good: {use: jsonl, path: good.jsonl, language: sw, license: CC0-1.0, kind: document, columns: {text: "{t}"}}
  bad: {use: jsonl, path: bad.jsonl, language: sw, license: CC0-1.0, kind: document, columns: {text: "{t}"}}
datasets:
  first: {from: bad, steps: [shape]}
  second: {from: first, steps: [duplicates: {method: exact}]}
  third: {from: good, steps: [{shape: {max_chars: 12}}, {duplicates: {method: exact}}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    texts = ["habari", "habari", "asubuhi", "habari za asubuhi"]
    (tmp_path / "good.jsonl").write_text("".join(json.dumps({"t": text}) + "\n" for text in texts))
    (tmp_path / "bad.jsonl").write_text("broken\n" * 3)
    return tmp_path


def versions(folder: Path) -> set[str]:
    return set(curate.query("SELECT dataset FROM curate.datasets", store=folder / ".curate")["dataset"])


def run(folder: Path, *arguments: str):
    return CliRunner().invoke(app, ["build", "-q", *arguments, "--catalog", str(folder / "catalog.yaml")])


def test_a_failure_stops_the_build_unless_it_keeps_going(folder):
    with pytest.raises(curate.BuildError, match=r"bad\.jsonl:1"):
        curate.build(folder / "catalog.yaml")
    with pytest.raises(curate.DatasetsFailedError) as caught:
        curate.build(folder / "catalog.yaml", keep_going=True)
    error = caught.value
    assert [one.dataset for one in error.built] == ["third"] and error.built[0].rows == 2
    assert "bad.jsonl:1" in str(error.failed["first"])
    assert "made of first" in str(error.failed["second"]) and list(error.failed) == ["first", "second"]
    assert versions(folder) == {"third"}


def test_what_was_built_and_what_failed_is_shown_and_the_exit_code_is_1(folder):
    done = run(folder, "--keep-going")
    assert done.exit_code == 1
    assert "third" in done.stdout and "2 rows" in done.stdout
    assert "2 of 3 datasets failed" in done.stderr and "second: not built, since it is made of first" in done.stderr
    (folder / "bad.jsonl").write_text('{"t": "mchana mwema"}\n')
    done = run(folder, "--keep-going")
    assert done.exit_code == 0 and versions(folder) == {"first", "second", "third"}


def test_a_build_that_fails_shows_the_warnings_before_it(folder):
    (folder / "good.jsonl").write_text('{"t": "habari"}\n' * 140 + "broken\n")
    done = run(folder, "third", "first")
    assert done.exit_code == 1
    assert done.stderr.count("1 of 141 rows of good cannot be read") == 1
    assert done.stderr.index("! read good:") < done.stderr.index("bad")


def test_a_build_stops_after_a_step_and_goes_on_later(folder):
    [stopped] = curate.build(folder / "catalog.yaml", "third", until="shape")
    assert (stopped.version, stopped.rows, stopped.changed) == ("", 3, True)
    assert [label for label, _ in stopped.funnel.steps] == ["shape"] and stopped.funnel.kept == {"sw": 3}
    assert "without a version" in repr(stopped)
    assert versions(folder) == set()
    waiting = {stage.stage for stage in curate.plan(folder / "catalog.yaml", "third").stages if not stage.idle}
    assert {"third/duplicates", "third/write"} <= waiting and "third/shape" not in waiting
    [again] = curate.build(folder / "catalog.yaml", "third", until="shape")
    assert not again.changed
    [whole] = curate.build(folder / "catalog.yaml", "third")
    assert whole.rows == 2 and whole.version and versions(folder) == {"third"}


def test_datasets_below_are_built_whole(folder):
    (folder / "bad.jsonl").write_text('{"t": "mchana"}\n{"t": "mchana"}\n')
    done = run(folder, "second", "--until", "duplicates")
    assert done.exit_code == 0 and "second: stopped after duplicates with 1 rows" in done.stdout
    assert versions(folder) == {"first"}


@pytest.mark.parametrize(
    ("names", "step", "said"),
    [
        (["third"], "duplicate", "did you mean 'duplicates'"),
        ([], "shape", "wants one dataset"),
        (["second", "third"], "shape", "wants one dataset"),
        (["thrid"], "shape", "did you mean 'third'"),
    ],
)
def test_a_step_that_is_not_there(folder, names, step, said):
    with pytest.raises(curate.BuildError, match=said):
        curate.build(folder / "catalog.yaml", *names, until=step)


def test_a_dataset_with_a_target_has_no_place_to_stop(folder):
    text = CATALOG.replace("third: {from: good", "third: {target: {rows: 1}, from: good")
    (folder / "catalog.yaml").write_text(text)
    with pytest.raises(curate.BuildError, match="has a target"):
        curate.build(folder / "catalog.yaml", "third", until="shape")
