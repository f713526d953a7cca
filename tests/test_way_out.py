"""The README's way out of the house, from the quick start's store: report, exports, the Hub and back, two versions
compared."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from quick_start import build, shared_folder
from servers.hub import Hub
from servers.hub_client import Client

import curate

Row = dict[str, Any]
ASKED, CHOSEN, REJECTED = "asked", "chosen", "rejected"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A copy of the quick start to work in: a stricter version of it is made below."""
    built = build(shared_folder(tmp_path_factory.getbasetemp(), worker_id))
    return Path(shutil.copytree(built, tmp_path_factory.mktemp("way-out") / "quick-start"))


def run(clone: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "curate.cli", *arguments],
        cwd=clone,
        capture_output=True,
        text=True,
        env=environment or None,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def stored(clone: Path, name: str) -> list[Row]:
    rows: list[Row] = curate.query(f'SELECT * FROM "{name}" ORDER BY id', store=clone / ".curate").to_dicts()
    return rows


def text_of(messages: Any) -> list[tuple[str, str]]:
    """Any trainer's turns as (role, text)."""
    roles = {"human": "user", "gpt": "assistant"}
    return [
        (roles.get(said := turn.get("role", turn.get("from")), said), turn.get("content", turn.get("value")))
        for turn in messages
    ]


def one(message: Any) -> list[tuple[str, str]]:
    return text_of([message] if isinstance(message, dict) else message)


# What a trainer's row says, in one form for all.
SFT: dict[str, Callable[[Row], Any]] = {
    "trl": lambda row: text_of(row["messages"]),
    "axolotl": lambda row: text_of(row["messages"]),
    "verl": lambda row: text_of(row["messages"]),
    "torchtune": lambda row: text_of(row["messages"]),
    "openai": lambda row: text_of(row["messages"]),
    "parquet": lambda row: text_of(row["messages"]),
    "llama-factory": lambda row: text_of(row["conversations"]),
    "sharegpt": lambda row: text_of(row["conversations"]),
    "alpaca": lambda row: [
        ("user", row["instruction"] + (row["input"] and "\n\n" + row["input"])),
        ("assistant", row["output"]),
    ],
}
PREFERENCE: dict[str, Callable[[Row], Any]] = {
    "trl": lambda row: (text_of(row["prompt"]), one(row["chosen"]), one(row["rejected"])),
    "axolotl": lambda row: (text_of(row["prompt"]), one(row["chosen"]), one(row["rejected"])),
    "parquet": lambda row: (text_of(row["prompt"]), one(row["chosen"]), one(row["rejected"])),
    "llama-factory": lambda row: (text_of(row["conversations"]), one(row["chosen"]), one(row["rejected"])),
    "sharegpt": lambda row: (text_of(row["conversations"]), one(row["chosen"]), one(row["rejected"])),
    "torchtune": lambda row: (text_of(row["chosen"])[:-1], text_of(row["chosen"])[-1:], text_of(row["rejected"])[-1:]),
    "openai": lambda row: (
        text_of(row["input"]["messages"]),
        text_of(row["preferred_output"]),
        text_of(row["non_preferred_output"]),
    ),
    "alpaca": lambda row: (
        [("user", row["instruction"])],
        [("assistant", row["chosen"])],
        [("assistant", row["rejected"])],
    ),
}


def told(row: Row) -> Any:
    """The same of a row of the store."""
    if "messages" in row:
        return text_of(row["messages"])
    return text_of(row["prompt"]), text_of(row["chosen"]), text_of(row["rejected"])


@pytest.mark.parametrize(("name", "readers"), [("everyday", SFT), ("everyday-imbalance", PREFERENCE)])
def test_every_trainer_gets_every_row(
    clone: Path, tmp_path: Path, name: str, readers: dict[str, Callable[[Row], Any]]
) -> None:
    run(clone, "export", name, *readers, "--to", str(tmp_path))
    rows = {row["id"]: row for row in stored(clone, name)}
    assert len({row["language"] for row in rows.values()}) == (12 if name == "everyday" else 2)
    datasets.disable_progress_bars()
    for output, read in readers.items():
        folder = tmp_path / name / output
        account = json.loads((folder / "export.json").read_text())
        skipped = {row for ids in account["skipped_examples"].values() for row in ids}
        assert len(skipped) == sum(account["skipped"].values()) <= 2
        splits = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache" / output))
        ids = (
            {
                split: [
                    json.loads(line)["id"] for line in (folder / "rows" / f"{split}.jsonl").read_text().splitlines()
                ]
                for split in splits
            }
            if output == "openai"
            else {}
        )
        found = {}
        for split, loaded in splits.items():
            for number, row in enumerate(loaded):
                meta = row.get("meta") or row
                found[ids[split][number] if ids else meta["id"]] = read(row)
        assert found == {id_: told(row) for id_, row in rows.items() if id_ not in skipped}, output
        assert (folder / "README.md").stat().st_size > 200


def test_the_report_tells_of_every_language_and_every_drop(clone: Path, tmp_path: Path) -> None:
    run(clone, "report", "everyday", "--to", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    dropped = curate.query(
        "SELECT id, step, reason, language FROM everyday.rejected", store=clone / ".curate"
    ).to_dicts()
    assert len(dropped) > 10
    for row in dropped:  # few enough for the sample to be all of them
        assert row["id"] in page and f"state=dropped&amp;language={row['language']}&amp;step={row['step']}" in page
    assert page.count("<svg") > 2
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", re.sub(r"<a [^>]*>", "", page))


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as server:
        yield server
        assert server.unhandled == []


@pytest.mark.slow
def test_two_versions_go_to_the_hub_and_come_back(clone: Path, hub: Hub, tmp_path: Path) -> None:
    environment = hub.environment(tmp_path / "home")
    (tmp_path / "client").mkdir()
    client = Client(hub, tmp_path / "client")

    def published() -> str:
        said = run(clone, "publish", "everyday", "--to", "mtu/everyday", **environment)
        return re.search(r"tag (v-\w+)", said)[1]  # type: ignore[index]

    def loaded(**more: Any) -> dict[str, Row]:
        return {row["id"]: row for row in client.load("mtu/everyday", **more)}

    def in_store(where: str = "true") -> dict[str, Row]:
        found = curate.query(
            f"SELECT * EXCLUDE (split) FROM everyday WHERE {where}", store=clone / ".curate"
        ).to_dicts()
        return {row["id"]: row for row in found}

    assert "would send" in run(clone, "publish", "everyday", "--to", "mtu/everyday", "--dry-run", **environment)
    assert hub.repos == {}
    first = published()
    assert hub.repos["mtu/everyday"].private
    whole = {**loaded(split="train"), **loaded(split="test")}
    assert whole == in_store()
    for language in ("ar", "hi", "ja", "ko", "ru", "sw", "th", "zh"):
        assert loaded(split="train", config=language) == in_store(f"language = '{language}' AND split = 'train'")

    # As the tutorial has it: a stricter threshold, and what became of the rows.
    catalog = (clone / "catalog.yaml").read_text()
    assert catalog.count("default: 0.45") == 1
    (clone / "catalog.yaml").write_text(catalog.replace("default: 0.45", "default: 0.6"))
    assert "scores are cached, no model call" in run(clone, "plan", "everyday")
    run(clone, "build", "everyday")
    gone = set(whole) - set(in_store())
    assert len(gone) >= 1 and not set(in_store()) - set(whole)
    said = run(clone, "diff", "everyday")
    assert "similarity.min.default: 0.45 → 0.6" in said and "dropped by similarity" in said
    told = json.loads(run(clone, "diff", "everyday", "--json"))
    assert {row["id"] for row in told["examples"]} == gone
    assert [(each["rows"], each["because"]) for each in told["changes"]] == [
        (len(gone), "dropped by similarity (similarity)")
    ]
    assert run(clone, "log", "everyday").count("similarity.min.default: 0.45 → 0.6") == 1

    second = published()
    assert second != first
    assert loaded(split="train", revision=first).keys() | loaded(split="test", revision=first).keys() == set(whole)
    assert loaded(split="train").keys() | loaded(split="test").keys() == set(whole) - gone
    assert "nothing to do" in run(clone, "publish", "everyday", "--to", "mtu/everyday", **environment)
    run(clone, "verify")
