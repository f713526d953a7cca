"""What docs/security.md promises of the code itself, and that the tests it names are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("curate", "sources", "filters", "outputs")
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "cPickle.loads",
    "dill.load",
    "dill.loads",
    "joblib.load",
    "marshal.loads",
    "shelve.open",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "torch.load",
    "numpy.load",
    "np.load",
    "pandas.read_pickle",
    "pd.read_pickle",
}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "shelve", "marshal", "joblib", "cloudpickle"}
FORBIDDEN_TRUE = {"shell", "trust_remote_code", "allow_pickle"}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def findings(tree: ast.AST) -> list[str]:
    """What a module does that could run code out of data."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            safe = name in ("np.load", "numpy.load") and not any(word.arg == "allow_pickle" for word in node.keywords)
            if name in FORBIDDEN_CALLS and not safe:
                found.append(f"line {node.lineno}: {name}()")
            found += [
                f"line {node.lineno}: {word.arg}"
                for word in node.keywords
                if word.arg in FORBIDDEN_TRUE
                and not (isinstance(word.value, ast.Constant) and word.value.value is False)
            ]
        if isinstance(node, ast.Dict):
            found += [
                f"line {node.lineno}: {key.value}"
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
                and key.value in FORBIDDEN_TRUE
                and not (isinstance(value, ast.Constant) and value.value is False)
            ]
        if isinstance(node, ast.Import):
            found += [
                f"line {node.lineno}: import {one.name}"
                for one in node.names
                if one.name.split(".")[0] in FORBIDDEN_MODULES
            ]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(f"line {node.lineno}: from {node.module}")
    return found


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_no_module_runs_code_that_data_brings():
    assert len(modules()) > 200
    told = {
        path.relative_to(ROOT).as_posix(): found
        for path in modules()
        if (found := findings(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert told == {}


@pytest.mark.parametrize(
    "code",
    [
        "eval(x)",
        "import pickle",
        "from pickle import loads",
        "yaml.load(x, Loader=y)",
        "subprocess.run(x, shell=True)",
        "f(trust_remote_code=given)",
        "g = {'trust_remote_code': True}",
        "np.load(p, allow_pickle=True)",
        "os.system('ls')",
    ],
)
def test_what_is_forbidden_would_be_found(code):
    assert findings(ast.parse(code))


def test_every_test_that_the_promises_name_is_there():
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 20 and text.count("tests/") == len(named)
    for file, name in named:
        functions = {
            node.name
            for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef)
        }
        assert name in functions, f"{file}::{name}"


def test_the_policy_leads_to_the_promises():
    assert "docs/security.md" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "docs/security.md" in (ROOT / "README.md").read_text(encoding="utf-8")
