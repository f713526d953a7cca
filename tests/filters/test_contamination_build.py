"""Contamination in a whole build: items made once, rejects with benchmark, item and place, a changed threshold that
scores nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import curate

ITEMS = [
    "Which harbour did the blind cartographer leave on the morning her brass compass failed?",
    "Who repaired the bells of the drowned chapel after the second flood?",
]
ROWS = [
    ("Tell me how to cook rice.", "Rinse it, then simmer it in twice as much water."),
    ("Here is a question for you. " + ITEMS[0], "She left Dunkel Bay."),
    ("Who repaired the bell of the drowned chapels after second flood?", "The smith did."),
    ("Name three colours.", "Red, green and blue."),
]


@pytest.fixture
def catalog(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"q": q, "a": a}) + "\n" for q, a in ROWS))
    (tmp_path / "mgsm_en.jsonl").write_text(
        "".join(json.dumps({"question": q, "answer_number": 1}) + "\n" for q in ITEMS)
    )
    return {
        "version": 1,
        "sources": {
            "rows": {
                "use": "jsonl",
                "path": "rows.jsonl",
                "kind": "sft",
                "language": "en",
                "license": "CC0-1.0",
                "columns": {"prompt": "{q}", "response": "{a}"},
            },
            "own": {
                "use": "jsonl",
                "path": "mgsm_en.jsonl",
                "kind": "prompt",
                "language": "en",
                "license": "CC0-1.0",
                "columns": {"prompt": "{question}"},
            },
        },
        "datasets": {
            "clean": {
                "from": "rows",
                "steps": [
                    {
                        "contamination": {
                            "against": ["mgsm"],
                            "files": {"mgsm": str(tmp_path / "mgsm_en.jsonl")},
                            "model": None,
                        }
                    }
                ],
            }
        },
    }


def build(folder: Path, catalog: dict[str, Any]) -> Any:
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    [built] = curate.build(folder / "catalog.yaml")
    return built


REPORT = """
SELECT attribute(attributes, 'contamination.benchmark') AS benchmark,
       attribute(attributes, 'contamination.item_language') AS language,
       attribute(attributes, 'contamination.hit') AS hit, attribute(attributes, 'contamination.item') AS item,
       attribute(attributes, 'contamination.spans') AS spans, reason
FROM clean.rejected ORDER BY item
"""


def test_a_build_drops_items_and_tells_which(tmp_path, catalog):
    built = build(tmp_path, catalog)
    assert built.rows == 2
    found = curate.query(REPORT, store=tmp_path / ".curate")
    assert found["benchmark"].to_list() == ["mgsm"] * 2 and found["language"].to_list() == ["en"] * 2
    assert found["hit"].to_list() == ["verbatim", "edited"] and found["item"].to_list() == ["0", "1"]
    assert found["reason"].to_list() == ["verbatim", "edited"]
    [[field, start, end]] = json.loads(found["spans"][0])
    assert field == "prompt" and ROWS[1][0][start:end] == ITEMS[0].removesuffix("?")


def test_a_changed_threshold_scores_nothing_again_and_changed_items_do(tmp_path, catalog):
    build(tmp_path, catalog)
    parameters = catalog["datasets"]["clean"]["steps"][0]["contamination"]
    parameters["containment"] = 0.99
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    told = [stage.action for stage in curate.plan(tmp_path / "catalog.yaml").stages if stage.run]
    assert "score" not in told and "fit" not in told and "apply thresholds" in told
    assert build(tmp_path, catalog).rows == 3
    (tmp_path / "mgsm_en.jsonl").write_text(
        json.dumps({"question": "Name three colours that the drowned chapel had on its bells."}) + "\n"
    )
    assert build(tmp_path, catalog).rows == 4


def test_a_source_of_the_catalog_is_a_benchmark_too(tmp_path, catalog):
    catalog["datasets"]["clean"]["steps"] = [{"contamination": {"against": ["own"], "model": None}}]
    assert build(tmp_path, catalog).rows == 2
    found = curate.query(REPORT, store=tmp_path / ".curate")
    assert found["benchmark"].to_list() == ["own", "own"]
