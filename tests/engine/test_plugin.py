"""Plug-ins: a real package, installed by pip, whose parts a catalog names like any other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from curate.errors import StepError

ROOT = Path(__file__).resolve().parents[2]
CATALOG = """\
version: 1
models: {ruler: {use: counter, weight: 1.0}}
sources: {words: {use: numbered, path: [a.txt], license: cc0-1.0}}
datasets: {loud: {from: words, steps: [letters: {model: ruler, min: 8}, shout, most: {count: 3}]}}
run: {workers: 2}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the plug-in as pip installs it."""
    target = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(target),
            str(ROOT / "tests" / "plugin"),
        ],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return target


def curate(arguments: list[str], folder: Path, site: Path | None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(part) for part in (ROOT, site) if part)
    return subprocess.run(
        [sys.executable, "-m", "curate.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.slow
def test_an_installed_plug_in_is_listed_described_and_used(installed, tmp_path):
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    (tmp_path / "a.txt").write_text("\n".join(f"en\t{n}\tword number {n}" for n in range(9)) + "\nsw\t\tndiyo\n")
    listed = curate(["components"], tmp_path, installed).stdout
    assert "Keeps texts that are long enough" in listed and "numbered" in listed and "counter" in listed
    assert '"step:letters"' in curate(["schema"], tmp_path, installed).stdout
    run = curate(["build"], tmp_path, installed)
    assert run.returncode == 0, run.stderr
    shown = curate(
        ["query", "SELECT text, lineage.makers[1].step AS maker FROM loud ORDER BY text", "-f", "csv"],
        tmp_path,
        installed,
    ).stdout
    assert shown.splitlines() == ["text,maker", "word number 0,", "word number 1,", "word number 2,"]
    told = curate(
        ["query", "SELECT count(*) AS n FROM loud.rejected WHERE reason = 'one too many'", "-f", "csv"],
        tmp_path,
        installed,
    ).stdout
    assert told.split() == ["n", "15"]


def test_without_it_the_names_are_unknown(tmp_path):
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    run = curate(["check"], tmp_path, None)
    assert run.returncode == 1
    assert (
        "catalog.yaml:3: no source is called 'numbered'" in run.stderr
        and "catalog.yaml:2: no model is called 'counter'" in run.stderr
    )


def test_two_plug_ins_of_one_name_are_an_error(tmp_path, monkeypatch):
    from importlib.metadata import EntryPoint, EntryPoints

    from curate.steps import registry as steps

    points = [
        EntryPoint("shape", "filters.shape:Shape", "curate.steps"),
        EntryPoint("shape", "other:Shape", "curate.steps"),
    ]
    monkeypatch.setattr(steps, "entry_points", lambda: EntryPoints(points))
    steps._announced.cache_clear()
    try:
        with pytest.raises(StepError, match="two installed packages offer a step 'shape'"):
            steps.Registry.installed()
    finally:
        steps._announced.cache_clear()


def test_a_new_part_of_a_checkout_is_found_without_installing_anew(monkeypatch):
    from curate.steps import registry as steps

    written = steps._checkout()
    assert written["curate.steps"]["shape"]
    more = {**written, "curate.steps": {**written["curate.steps"], "new": "filters.shape:Shape"}}
    monkeypatch.setattr(steps, "_checkout", lambda: more)
    steps._announced.cache_clear()
    try:
        registry = steps.Registry.installed()
        assert registry.get("step", "new") is registry.get("step", "shape")
    finally:
        steps._announced.cache_clear()
