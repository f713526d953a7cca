"""What a release is made of: wheel and sdist that work alone, citation, forms and workflows of the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import polars as pl
import pytest
import yaml
from test_quick_start import VERSIONS

import curate

ROOT = Path(__file__).resolve().parents[1]
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def run(command: list[str | Path], folder: Path, **settings: str) -> str:
    """What a command prints, run where nothing of the checkout can be imported."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, env={**kept, **settings}
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.slow
def test_a_wheel_alone_builds_the_quick_start_and_a_recipe(tmp_path):
    """The sdist is built from the checkout, the wheel from the sdist; the wheel is installed where nothing else is."""
    maker, clean, dist = tmp_path / "maker", tmp_path / "clean", tmp_path / "dist"
    pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    run([sys.executable, "-m", "venv", maker], tmp_path)
    run([maker / "bin" / "python", *pip, "build"], tmp_path)
    run([maker / "bin" / "python", "-m", "build", "--outdir", dist, ROOT], tmp_path)
    [sdist], [wheel] = dist.glob("*.tar.gz"), dist.glob("*.whl")
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"README.md", "Makefile", "docs/catalog.md", "CITATION.cff", "tests/test_release.py"} <= names
    assert not [name for name in names if name.startswith((".venv", ".curate", "build/", "shared"))]

    run([sys.executable, "-m", "venv", clean], tmp_path)
    constraints = ["--constraint", ROOT / "constraints.txt"]
    run([clean / "bin" / "python", *pip, *constraints, f"{wheel}[translate]"], tmp_path)
    program = clean / "bin" / "curate"
    assert run([program, "--version"], tmp_path).strip().endswith(curate.__version__)
    run([program, "new", "--demo", "--folder", "demo"], tmp_path)
    run([program, "check", "-c", "catalog-llm.yaml"], tmp_path / "demo")
    # Newer CPUs add up in another order, and the last digits of a similarity are part of a version.
    run([program, "build", "--quiet"], tmp_path / "demo", HF_HUB_OFFLINE="1", OPENBLAS_CORETYPE="Haswell")
    sql = "SELECT dataset, version FROM curate.datasets WHERE ref = 'latest'"
    said = run([program, "query", sql], tmp_path / "demo")
    assert [name for name, version in VERSIONS.items() if not re.search(rf"{name}\b.*{version}", said)] == []
    verified = run([program, "recipes", "--verify", "code-switch-input"], tmp_path)
    assert re.search(r"(\d+) of \1 statements hold", verified)
    run([program, "export", "everyday", "trl", "--to", "out"], tmp_path / "demo")
    exported = pl.read_parquet(tmp_path / "demo" / "out" / "everyday" / "trl" / "data" / "*.parquet")
    asked = [turns[0]["content"] for turns in exported["messages"]]
    assert len(asked) == 310 and any(re.search(r"[\u0e00-\u0e7f]{8}", text) for text in asked)


def test_the_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == curate.__version__ and citation["license"] == "Apache-2.0"
    assert citation["cff-version"] == "1.2.0" and citation["authors"] and citation["title"] and citation["message"]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_what_github_takes(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(form) == {"name", "description", "labels", "body"}
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]+", name) for name in ids)
    for field in form["body"]:
        assert field["type"] in ("input", "textarea", "dropdown", "checkboxes") and field["attributes"]["label"]
    assert any(field.get("validations", {}).get("required") for field in form["body"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_is_here_with_no_more_rights_than_it_needs(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v1"))
            command = step.get("run", "make docs")
            program, *target = command.split()
            if program == "make":
                assert re.search(rf"^{target[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
            else:
                assert os.access(ROOT / command, os.X_OK)


def test_the_dockerfile_names_what_there_is():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    [extras] = [line.removeprefix("ARG EXTRAS=") for line in lines if line.startswith("ARG EXTRAS=")]
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= known.keys()
    assert (ROOT / "constraints.txt").is_file() and any("--constraint /src/constraints.txt" in line for line in lines)
