"""What a build will come to, by a sample that is built for real and paid once."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from house import CUTS
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.llm import FaultServer, Reply

import curate
from curate import estimate
from curate.engine.planning.estimate import ComputeTime, IntervalEstimate, beside, last_estimate, render
from curate.engine.sampling import estimate_datasets
from curate.errors import BuildError


def test_the_interval_holds_what_the_build_then_comes_to(house):
    house.catalog["datasets"]["duo"]["steps"].pop()  # a limit by language is not proportional to anything
    [found] = estimate_datasets(house.load(), house.registry, ["duo"], sample=160, chunk_limits=CUTS)
    [built] = house.build()
    assert found.rows_in == 210 and 145 <= found.sampled <= 175
    assert found.rows["*"].low <= built.rows <= found.rows["*"].high
    assert found.rows["*"].value == pytest.approx(built.rows, rel=0.15)
    for language, rows in built.funnel.kept.items():
        assert found.rows[language].value == pytest.approx(rows, rel=0.3)
    assert found.bytes.value > 0 and found.seconds.value > 0
    assert not house.catalog["models"].get("other") and not list((house.store.root / "scratch").glob("*"))
    told = last_estimate(house.store, "duo", house.build("duo")[0].build_key)
    assert told and told["rows"]["*"][0] == round(found.rows["*"].value, 4)
    assert any(f"it is {built.rows:,}" in line for line in beside(built.estimate or {}, built.rows, built.spending))


@pytest.mark.parametrize("change", ["rows", "step", "seed", "batch"])
def test_an_estimate_is_not_shown_beside_a_build_that_it_was_not_made_for(house, change):
    estimate_datasets(house.load(), house.registry, ["duo"], sample=40, chunk_limits=CUTS)
    if change == "rows":
        house.write("en", [f"en\t{n}\tbread {n}" for n in range(60)])
    elif change == "step":
        house.letters["min"] = 14
    elif change == "seed":
        house.catalog["datasets"]["duo"]["seed"] = 3
    else:
        house.catalog["sources"]["english"]["batch"] = 11  # how it is read changes no row: still the same build
    [built] = house.build("duo")
    assert (built.estimate is not None) == (change == "batch")


def test_with_as_many_rows_as_there_are_the_estimate_is_exact(house):
    house.catalog["datasets"]["duo"]["steps"].pop()
    [found] = estimate_datasets(house.load(), house.registry, ["duo"], sample=10_000, chunk_limits=CUTS)
    [built] = house.build()
    assert found.rows["*"] == IntervalEstimate(built.rows, built.rows, built.rows)
    assert {language: figure.value for language, figure in found.rows.items() if language != "*"} == built.funnel.kept


def test_calls_and_tokens_are_estimated_and_the_samples_answers_are_not_asked_for_again(tmp_path):
    rows = [{"p": "word " * (number % 7 + 1) + str(number)} for number in range(200)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    with FaultServer(lambda body, _: Reply(text="Sawa.")) as server:
        catalog = {
            "version": 1,
            "models": {"m": {"use": "openai", "url": server.url, "model": "tests/yes"}},
            "sources": {
                "s": {
                    "use": "jsonl",
                    "path": "p.jsonl",
                    "kind": "prompt",
                    "language": "sw",
                    "license": "CC0-1.0",
                    "columns": {"prompt": "{p}"},
                }
            },
            "datasets": {"d": {"from": "s", "steps": [{"respond": {"model": "m"}}]}},
            "run": {"workers": 1},
        }
        path = tmp_path / "catalog.yaml"
        path.write_text(yaml.safe_dump(catalog))
        [found] = estimate(path, sample=80)
        asked = len(server.calls)
        assert 50 <= asked <= 110
        figures = next(iter(found.calls.values()))
        assert figures["calls"].low <= 200 <= figures["calls"].high
        [built] = curate.build(path)
        assert built.rows == 200 and len(server.calls) == 200  # the sample's answers were there
        assert built.spending[0]["calls"] == 200 - asked
        assert figures["tokens"].value > 0
        assert any("calls" in line for line in render(found))


def test_loading_models_and_the_time_of_gpus_are_told_apart(house):
    house.catalog["models"]["ruler"] |= {"takes": 0.3, "gpus": 2}
    [found] = estimate_datasets(house.load(), house.registry, ["duo"], sample=40, chunk_limits=CUTS)
    assert found.loading >= 0.3
    assert 0 < found.accelerators.value < 2 * found.seconds.value
    said = render(found)
    assert any("of one process" in line for line in said) and any("of one GPU" in line for line in said)
    assert "  loading models: 2 seconds" in render(replace(found, loading=1.6))  # under a second it is not worth a line
    [built] = house.build()
    assert built.compute_time and built.compute_time.accelerators > 0
    assert [
        line
        for line in beside(built.estimate or {}, built.rows, built.spending, built.compute_time)
        if "of one GPU" in line
    ]


def test_work_that_holds_two_gpus_counts_twice():
    results = [
        {"seconds": 5.0, "loading": 3.0, "accelerators": 2},
        {"seconds": 1.0},
        {"seconds": 4.0, "loading": 0.0, "accelerators": 0},
    ]
    assert ComputeTime.of(results) == ComputeTime(work=7.0, loading=3.0, accelerators=4.0)


def test_tables_that_steps_look_into_are_built_whole(tmp_path):
    words = [f"w{number}\tv{number}" for number in range(50)]
    (tmp_path / "words.tsv").write_text("\n".join(words) + "\n")
    (tmp_path / "p.jsonl").write_text(
        "".join(json.dumps({"q": f"w{number} and w{49 - number}", "a": "yes"}) + "\n" for number in range(50))
    )
    catalog = {
        "version": 1,
        "sources": {
            "dict": {
                "use": "dictionary",
                "path": "words.tsv",
                "source_language": "en",
                "target_language": "sw",
                "license": "CC0-1.0",
            },
            "s": {
                "use": "jsonl",
                "path": "p.jsonl",
                "kind": "sft",
                "language": "en",
                "license": "CC0-1.0",
                "columns": {"prompt": "{q}", "response": "{a}"},
            },
        },
        "datasets": {
            "table": {"from": "dict", "steps": [{"lexicon": {"method": "dictionary"}}]},
            "d": {
                "from": "s",
                "steps": [{"code_switch": {"table": "table", "to": ["sw"], "ratio": 1.0, "each": True}}],
            },
        },
        "run": {"workers": 1},
    }
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(catalog))
    [found] = estimate(path, "d", sample=40)
    built = curate.build(path, "d")[-1]
    assert found.rows_in == 50
    assert found.rows["*"].low <= built.rows <= found.rows["*"].high


def test_what_a_dataset_is_made_of_is_estimated_too_unless_it_is_up_to_date(tmp_path):
    (tmp_path / "p.jsonl").write_text(
        "".join(json.dumps({"p": "word " * (number % 7 + 1) + str(number)}) + "\n" for number in range(120))
    )
    with FaultServer(lambda body, _: Reply(text="Sawa.")) as server:
        catalog = {
            "version": 1,
            "models": {"m": {"use": "openai", "url": server.url, "model": "tests/yes"}},
            "sources": {
                "s": {
                    "use": "jsonl",
                    "path": "p.jsonl",
                    "kind": "prompt",
                    "language": "sw",
                    "license": "CC0-1.0",
                    "columns": {"prompt": "{p}"},
                }
            },
            "datasets": {
                "first": {"from": "s", "steps": [{"respond": {"model": "m"}}]},
                "second": {"from": "first", "steps": ["shape"]},
            },
            "run": {"workers": 1},
        }
        path = tmp_path / "catalog.yaml"
        path.write_text(yaml.safe_dump(catalog))
        first, second = estimate(path, "second", sample=60)
        assert (first.dataset, second.dataset) == ("first", "second")
        [figures] = first.calls.values()
        assert figures["calls"].low <= 120 <= figures["calls"].high and second.calls == {}
        assert second.rows["*"].value == first.rows["*"].value and second.bytes.value < first.bytes.value
        curate.build(path, "first")
        assert [one.dataset for one in estimate(path, "second", sample=60)] == ["second"]


def test_too_small_a_sample_and_an_unknown_dataset_are_errors(house):
    with pytest.raises(BuildError, match="at least 4"):
        estimate_datasets(house.load(), house.registry, ["duo"], sample=2)
    with pytest.raises(BuildError, match="no dataset is called 'dou'"):
        estimate_datasets(house.load(), house.registry, ["dou"])
    assert not (house.folder / ".curate" / "state" / "duo.estimate.json").exists()


def test_parts_of_uneven_size_are_weighed_by_their_rows():
    # Two rows for each source row, whatever the draw: there is nothing uncertain about the whole.
    assert IntervalEstimate.of([2, 20, 8, 10], [1, 10, 4, 5], 1_000) == IntervalEstimate(2_000, 2_000, 2_000)
    assert (
        IntervalEstimate.of([0, 0, 0, 0], [3, 0, 1, 2], 100)
        == IntervalEstimate(0, 0, 0)
        == IntervalEstimate.of([0, 0], [0, 0], 10)
    )
    uneven = IntervalEstimate.of([1, 4, 2, 3], [5, 5, 5, 5], 1_000)
    assert uneven.value == 500 and uneven.low < 400 and uneven.high > 600
    assert IntervalEstimate.of([1, 4, 2, 3], [5, 5, 5, 5], 20) == IntervalEstimate(10, 10, 10), "all rows were built"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_the_interval_holds_the_truth_nineteen_times_in_twenty(seed):
    """Nearly: over 200 draws of parts, of rows that each come to 0 to 3 rows."""
    random = np.random.default_rng(seed)
    made = random.integers(0, 4, 2_000)
    held = 0
    for _ in range(200):
        parts = np.array_split(random.permutation(2_000)[:200], np.sort(random.integers(30, 170, 3)))
        found = IntervalEstimate.of([int(made[part].sum()) for part in parts], [len(part) for part in parts], 2_000)
        held += found.low <= made.sum() <= found.high
    assert held >= 170
