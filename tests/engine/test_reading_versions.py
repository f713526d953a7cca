"""``from: name@ref``: a dataset reads a version that was built before, also one of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import curate
from curate.api.datasets import rebuild
from curate.catalog import CatalogError
from curate.cli.main import app

TEXTS = ["moja", "اثنان", "तीन", "สี่", "五"]


@pytest.fixture
def catalog(tmp_path: Path):
    """Writes a catalog and its rows; ``seeds`` is the source."""

    def write(texts=TEXTS, **datasets) -> Path:
        lines = (json.dumps({"prompt": f"{one}?", "response": one}) + "\n" for one in texts)
        (tmp_path / "rows.jsonl").write_text("".join(lines), "utf-8")
        source = {"use": "jsonl", "path": "rows.jsonl", "kind": "sft", "language": "en", "license": "CC0-1.0"}
        text = {"version": 1, "sources": {"seeds": source}, "datasets": datasets, "run": {"workers": 1}}
        (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(text), "utf-8")
        return tmp_path / "catalog.yaml"

    return write


def texts(path: Path, name: str) -> list[str]:
    return sorted(curate.query(f"SELECT messages[2].content AS text FROM {name}", catalog=path)["text"])


def tag(path: Path, name: str, word: str) -> None:
    done = CliRunner().invoke(app, ["tag", name, word, "--move", "--catalog", str(path)])
    assert done.exit_code == 0, done.output


def test_rounds_read_the_version_of_the_round_before(catalog):
    path = catalog(pool={"from": "seeds"})
    [first] = curate.build(path)
    tag(path, "pool", "round-1")
    # The dataset itself goes on, and the next round mixes its own earlier version with new rows.
    path = catalog(["sita"], pool={"from": ["pool@round-1", "seeds"]}, one={"from": "pool@round-1"})
    [again, second] = curate.build(path)
    assert texts(path, "pool") == sorted([*TEXTS, "sita"]) and second.version != first.version
    assert texts(path, "one") == sorted(TEXTS)
    assert again.version == first.version  # the same rows
    [_, about] = curate.build(path)
    sources = json.loads((about.path / "manifest.json").read_text("utf-8"))["sources"]
    assert {"name": "pool", "use": "dataset", "version": first.version} in sources
    assert {one["name"] for one in sources} == {"pool", "seeds"}
    assert not any(one.changed for one in curate.build(path))
    assert curate.plan(path).idle


def test_a_version_is_proved_by_building_it_again(catalog):
    path = catalog(pool={"from": "seeds"})
    curate.build(path)
    tag(path, "pool", "round-1")
    path = catalog(["sita"], pool={"from": ["pool@round-1", "seeds"], "steps": ["shape"]})
    [built] = curate.build(path)
    there, again, said = rebuild("pool", catalog=path)
    assert there == again == built.version and said == []
    assert texts(path, "pool") == sorted([*TEXTS, "sita"])
    assert curate.estimate(path, "pool", sample=4)[0].rows_in == 1


def test_another_version_under_the_same_name_is_built_anew(catalog):
    path = catalog(pool={"from": "seeds"}, one={"from": "seeds"})
    curate.build(path)
    tag(path, "pool", "best")
    path = catalog([*TEXTS, "sita"], pool={"from": "seeds"}, one={"from": "pool@best"})
    curate.build(path, "pool", "one")
    assert texts(path, "one") == sorted(TEXTS)
    tag(path, "pool", "best")
    [built] = curate.build(path, "one")
    assert built.changed and texts(path, "one") == sorted([*TEXTS, "sita"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pol@x", r"catalog\.yaml:\d+: from: pol@x: no dataset 'pol' has been built .*built: pool.*; build 'pol'"),
        ("pool@x", r"catalog\.yaml:\d+: from: pool@x: 'x' names no version of 'pool' .*curate tag pool x"),
        ("pool@", r"catalog\.yaml:\d+: no source or dataset is called 'pool@'; did you mean 'pool'"),
    ],
)
def test_what_is_not_there_is_an_error_of_the_check(catalog, name, message):
    path = catalog(pool={"from": "seeds"})
    curate.build(path)
    path = catalog(pool={"from": "seeds"}, one={"from": name})
    with pytest.raises(CatalogError, match=message):
        curate.check(path)
