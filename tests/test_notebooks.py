"""The notebooks of the documentation run from top to bottom in an empty folder, and show what their text says."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import curate

NOTEBOOKS = Path(__file__).resolve().parents[1] / "docs" / "notebooks"


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each code cell shows: the value of its last line, if that is an expression."""
    notebook = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    assert [cell["outputs"] for cell in notebook["cells"] if cell.get("outputs")] == []
    monkeypatch.chdir(folder)
    monkeypatch.setattr("curate.api.catalog.in_notebook", lambda: True)
    space: dict[str, Any] = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]), cell["id"])
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, cell["id"], "exec"), space)
        shown.append(last and eval(compile(ast.Expression(last.value), cell["id"], "eval"), space))
    return shown


def test_the_tour(tmp_path, monkeypatch):
    shown = run("tour.ipynb", tmp_path, monkeypatch)
    built = next(one for one in shown if isinstance(one, curate.Built))
    assert built.rows == 6 and sum(built.funnel.read.values()) == 8
    rejected = next(one for one in shown if hasattr(one, "columns") and "reason" in one.columns)
    assert {(row["language"], row["step"]) for row in rejected.to_dicts()} == {("de", "language"), ("en", "shape")}
    plans = [one for one in shown if isinstance(one, curate.Plan)]
    assert "scores are cached" in str(plans[-1])
    assert shown[-3].to_dicts()[0]["change"] == "removed" and shown[-3]["language"].to_list() == ["zh"]
    assert shown[-2][0].version == built.version
    assert not curate.build(tmp_path / "catalog.yaml")[0].changed
    for one in shown:
        assert not hasattr(one, "_repr_html_") or one._repr_html_()


def test_a_filter_and_its_threshold(tmp_path, monkeypatch):
    shown = run("filter.ipynb", tmp_path, monkeypatch)
    assert any("it offers step variety" in str(one) for one in shown)
    rejected, asked = (one for one in shown if hasattr(one, "columns"))
    assert rejected["language"].to_list() == ["en", "hi", "th"] and {*rejected["reason"]} == {"below min"}
    assert asked["error"][0] == "ZeroDivisionError: division by zero" and asked["language"][0] == "sw"
    assert "scores are cached" in str(next(one for one in shown if isinstance(one, curate.Plan)))
    assert shown[-1].dropped("zh") == {"variety: below min": 1}
