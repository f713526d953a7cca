"""The documents' own examples, run as a reader would: commands, Python, SQL and catalogs of every page."""

from __future__ import annotations

import contextlib
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from quick_start import build, shared_folder
from typer.testing import CliRunner

import curate
from curate.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def examples(language: str) -> list:
    return [
        pytest.param(match[2], id=f"{page.name}-{index}")
        for page in PAGES
        for index, match in enumerate(BLOCK.finditer(page.read_text()))
        if match[1] == language
    ]


@pytest.fixture(scope="module")
def clone(tmp_path_factory, worker_id) -> Path:
    """The catalog and its data in a folder of their own, built: once for all workers, and a copy for each."""
    built = build(shared_folder(tmp_path_factory.getbasetemp(), worker_id))
    return Path(shutil.copytree(built, tmp_path_factory.mktemp("clone") / "quick-start"))


WALKED = ("tutorial.md", "first-dataset.md")
"""Pages whose commands need those before them."""


def lines() -> list:
    """Each command once, however many pages have it."""
    found = {}
    for block in examples("console"):
        if block.id.startswith(WALKED):  # walked as a whole, below
            continue
        for line in block.values[0].splitlines():
            command = line.removeprefix("$ ").split("  #")[0].strip()
            if line.startswith("$ curate"):
                found[command] = pytest.param(command, id=command[:60])
    return list(found.values())


# These start servers: they get a process of their own, the others the one that runs the tests.
HEAVY = {"models"}


def say(folder: Path, command: str) -> tuple[int, str, str]:
    """What a command says in a folder: (exit code, what it prints, what it complains of)."""
    program, *arguments = shlex.split(command)
    assert program == "curate"
    if arguments[0] in HEAVY:
        run = subprocess.run(
            [sys.executable, "-m", "curate.cli", *arguments], cwd=folder, capture_output=True, text=True
        )
        return run.returncode, run.stdout, run.stderr
    with contextlib.chdir(folder):
        done = CliRunner().invoke(app, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("command", lines())
def test_commands_run(clone, command):
    code, printed, complained = say(clone, command)
    assert code == 0, complained
    assert printed.strip() or complained.strip()


def walk(folder: Path, page: str) -> dict[str, list[str]]:
    """Commands and edits (```diff) of a page in their order; those in ```console in order need what stands before them.

    Returns:
        Each command, and what it printed each time.
    """
    said: dict[str, list[str]] = {}
    for word, block in re.findall(
        r"^```(console|console in order|diff)\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S
    ):
        if word == "diff":
            catalog = (folder / "catalog.yaml").read_text()
            old, new = ("".join(line[1:] for line in block.splitlines(True) if line[0] == sign) for sign in "-+")
            assert catalog.count(old) == 1
            (folder / "catalog.yaml").write_text(catalog.replace(old, new))
            continue
        for line in block.splitlines():
            code, printed, complained = say(folder, line.removeprefix("$ "))
            assert code == 0, f"{line}: {complained}"
            said.setdefault(line.removeprefix("$ "), []).append(printed)
    return said


def test_the_way_from_a_file_to_a_dataset_can_be_walked(clone, tmp_path):
    said = walk(shutil.copytree(clone, tmp_path / "clone"), "first-dataset.md")
    assert "ar: Alpaca, sft rows" in said["curate new data/everyday/ar.jsonl --folder first-dataset"][0]
    assert "ar.jsonl:1; licence unknown" in said["curate head clean -n 2 -c first-dataset/catalog.yaml"][0]
    assert (tmp_path / "clone" / "preview.html").read_text().startswith("<!doctype html>")


def test_the_tutorial_can_be_walked_from_its_beginning_to_its_end(clone, tmp_path):
    folder = shutil.copytree(clone, tmp_path / "clone", ignore=shutil.ignore_patterns("tutorial"))
    said = walk(folder, "tutorial.md")
    assert "0.45 → 0.6; scores are cached, no model call" in said["curate plan everyday"][1]
    assert "dropped by similarity" in said["curate diff everyday"][0]
    assert "nothing to do" in said["curate publish everyday --to ./tutorial/published"][1]


PRINTS = re.compile(r"^<!-- prints: (.+?) -->\n\n```text\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize(
    ("command", "shown"),
    [pytest.param(*match.groups(), id=match[1]) for page in PAGES for match in PRINTS.finditer(page.read_text())],
)
def test_output_that_a_page_shows_is_what_the_command_prints(clone, command, shown):
    """Line by line in this order; ``…`` stands for lines left out, and what follows on a line may be left out too."""
    code, printed, complained = say(clone, command)
    assert code == 0, complained
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    for line in shown.splitlines():
        wanted = " ".join(line.split())
        assert wanted == "…" or any(one.startswith(wanted) for one in lines), line


@pytest.mark.parametrize(
    "target", sorted({match for page in PAGES for match in re.findall(r"\$ make (\w+)", page.read_text())})
)
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("code", examples("python"))
def test_python_runs(clone, code):
    (clone / "example.py").write_text(code, encoding="utf-8")
    with contextlib.chdir(clone):
        runpy.run_path("example.py", run_name="__main__")


@pytest.mark.parametrize("sql", examples("sql"))
def test_sql_answers(clone, sql):
    assert curate.query(sql, store=clone / ".curate").height > 0


@pytest.mark.parametrize("text", examples("yaml"))
def test_catalogs_build(clone, tmp_path, text):
    shutil.copytree(clone / "data", tmp_path / "data")
    (tmp_path / "catalog.yaml").write_text(text)
    for built in curate.build(tmp_path / "catalog.yaml"):
        assert built.rows > 0


PART = re.compile(r"^```yaml part\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(match[1], id=f"{page.name}-{index}")
        for page in PAGES
        for index, match in enumerate(PART.finditer(page.read_text()))
    ],
)
def test_parts_of_catalogs_keep_to_the_schema(text, validator):
    assert list(validator.iter_errors({"version": 1, **yaml.safe_load(text)})) == []


@pytest.fixture(scope="module")
def validator():
    """By the catalog's schema; made once, for it is large."""
    import jsonschema

    return jsonschema.Draft202012Validator(curate.schema())


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_installed_part_is_in_the_documents():
    from curate.steps import Registry

    text = "\n".join(page.read_text() for page in PAGES)
    registry = Registry.installed()
    for what in ("source", "step", "model"):
        for name in registry.names(what):
            if registry.get(what, name).__module__.split(".")[0] in ("curate", "sources", "filters"):
                assert f"`{name}`" in text, f"{what} {name}"


def test_every_extra_is_told_of():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (ROOT / "docs" / "install.md").read_text()
    assert [extra for extra in extras if f"`{extra}`" not in text] == []
