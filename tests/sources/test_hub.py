from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from servers import running
from servers.hub_reader import ROWS, HubReader, lines

from curate.rows import Kind
from curate.steps import SourceError
from sources.hub import Hub

Read = Callable[..., Any]
GIVEN: dict[str, Any] = {"language": "sw", "license": "cc-by-4.0"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset folder as the Hub has them: two splits of one form."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    data = tmp_path / "maswali" / "data"
    data.mkdir(parents=True)
    (data / "train-0.jsonl").write_bytes(lines(ROWS[:2]))
    (data / "train-1.jsonl").write_bytes(lines(ROWS[2:4]))
    (data / "test.jsonl").write_bytes(lines(ROWS[4:]))
    return data.parent


# -------------------------------------------------------------------------------------------------------- local folders
def test_a_local_folder_is_read_split_by_split(read: Read, folder: Path) -> None:
    source = Hub(dataset=str(folder), split=["test", "train"], scores={"grade": "{meta.grade}"}, **GIVEN)
    assert source.makes is Kind.SFT
    units = source.units()
    assert [(unit.name, [file.name for file in unit.files], unit.state) for unit in units] == [
        ("maswali/test", ["test.jsonl"], ""),
        ("maswali/train", ["train-0.jsonl", "train-1.jsonl"], ""),
    ]
    out = read(source)
    assert [turns[1][1] for turns in out.said()] == ["Jibu 4.", "Jibu 0.", "Jibu 1.", "Jibu 2.", "Jibu 3."]
    assert [row["lineage"]["source_id"] for row in out.rows][:2] == ["maswali/test#0", "maswali/train#0"]
    assert out.rows[0]["scores"] == [{"name": "grade", "value": 4.0}]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_folder_of_parquet_or_csv_is_read(read: Read, tmp_path: Path, form: str) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    place = tmp_path / "d"
    place.mkdir()
    table = pa.table({"question": ["Wer?", "Wo?"], "answer": ["Ich", "Hier"], "n": [1, None]})
    if form == "parquet":
        pa.parquet.write_table(table, place / "train.parquet")
    else:
        pa.csv.write_csv(table, place / "train.csv")
    out = read(Hub(dataset=str(place), key="n", language="de", license="x"))
    assert out.said() == [[("user", "Wer?"), ("assistant", "Ich")], [("user", "Wo?"), ("assistant", "Hier")]]
    assert [row["group_id"] for row in out.rows] == ["src:1", ""]


def test_chosen_files_and_saved_datasets_are_read(read: Read, folder: Path, tmp_path: Path) -> None:
    import datasets

    one = read(Hub(dataset=str(folder), data_files="data/train-1.jsonl", **GIVEN))
    assert [turns[1][1] for turns in one.said()] == ["Jibu 2.", "Jibu 3."]
    saved = tmp_path / "saved"
    datasets.DatasetDict({"dev": datasets.Dataset.from_list(ROWS[:1])}).save_to_disk(str(saved))
    source = Hub(dataset=str(saved), split="dev", **GIVEN)
    assert [turns[1][1] for turns in read(source).said()] == ["Jibu 0."]
    assert any(file.suffix == ".arrow" for file in source.units()[0].files)


def test_what_a_folder_does_not_have_is_said(read: Read, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no split 'dev'; it has train, test"):
        Hub(dataset=str(folder), split="dev", **GIVEN).units()
    with pytest.raises(SourceError, match=r"'nope'.*'default'"):
        Hub(dataset=str(folder), config="nope", **GIVEN).units()
    with pytest.raises(SourceError, match="there is no folder"):
        Hub(dataset=str(tmp_path / "absent"), **GIVEN).units()
    with pytest.raises(SourceError, match="use: parquet"):
        Hub(dataset=str(folder / "data" / "test.jsonl"), **GIVEN).units()
    with pytest.raises(SourceError, match="neither a repository"):
        Hub(dataset="a/b/c", **GIVEN).units()
    with pytest.raises(SourceError, match=r"no column 'instructon' \(did you mean 'instruction'\?\).*meta\.grade"):
        read(Hub(dataset=str(folder), columns={"prompt": "instructon", "response": "output"}, **GIVEN))
    (folder / "data" / "test.jsonl").write_bytes(b'{"instruction": "a", "output"')
    with pytest.raises(SourceError, match="maswali/test"):
        read(
            Hub(
                dataset=str(folder),
                split="test",
                kind="sft",
                columns={"prompt": "instruction", "response": "output"},
                **GIVEN,
            )
        )


def test_a_token_is_named_and_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="never the token itself"):
        Hub(dataset="a/b", token_env="hf_" + "x" * 34, **GIVEN)
    with pytest.raises(ValidationError, match="name of an environment variable"):
        Hub(dataset="a/b", token_env="not a name", **GIVEN)
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    with pytest.raises(SourceError, match="variable NO_SUCH_TOKEN"):
        Hub(dataset="a/b", token_env="NO_SUCH_TOKEN", **GIVEN).units()
    given = Hub(dataset="a/b", token_env="T", revision="0" * 40, columns={"text": "t"}, **GIVEN)
    assert not {"dataset", "token_env", "revision", "streaming"} & set(
        given.identity()
    )  # the unit's state says which commit


def test_a_pinned_repository_is_listed_without_the_network() -> None:
    units = Hub(dataset="owner/name", config="sw", split=["train", "test"], revision="a" * 40, **GIVEN).units()
    assert [(unit.name, unit.state, unit.files) for unit in units] == [
        ("owner/name/sw/train", "owner/name@" + "a" * 40, ()),
        ("owner/name/sw/test", "owner/name@" + "a" * 40, ()),
    ]


# ---------------------------------------------------------------------------------------------------- a Hub on loopback
@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with running(HubReader) as address:
        yield address


CASES = """
import json, sys, time
from sources.hub import Hub
from curate.steps import SourceError
def go(**given):
    begin = time.monotonic()
    source = Hub(language="sw", license="x", **given)
    try:
        units = source.units()
        rows = [row for unit in units for batch in source.read(unit, "s", None) for row in batch.table.to_pylist()]
        answers = [row["messages"][1]["content"] for row in rows]
        out = {"kind": source.makes, "state": [unit.state for unit in units], "said": answers}
    except SourceError as error:
        out = {"error": str(error)}
    return {**out, "seconds": time.monotonic() - begin}
print("RESULT" + json.dumps({name: go(**given) for name, given in json.loads(sys.argv[1]).items()}))
"""


def elsewhere(tmp_path: Path, cases: dict[str, dict[str, Any]], **environment: str) -> dict[str, Any]:
    """What these sources give in a process of its own: the library reads its environment once, when it is imported."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("HF_", "HTTP_", "HTTPS_", "http_", "https_"))
    }
    full = {
        **kept,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", CASES, json.dumps(cases)],
        capture_output=True,
        text=True,
        env=full,
        timeout=600,
        check=False,
    )
    assert "RESULT" in done.stdout, done.stderr[-3000:]
    out: dict[str, Any] = json.loads(done.stdout.partition("RESULT")[2])
    return out


def test_a_repository_is_read_at_one_commit(hub: str, tmp_path: Path) -> None:
    got = elsewhere(
        tmp_path,
        {
            "branch": {"dataset": "mtu/maswali"},
            "tag": {"dataset": "mtu/maswali", "revision": "v1"},
            "commit": {"dataset": "mtu/maswali", "revision": "1" * 40},
            "cached": {"dataset": "mtu/maswali", "revision": "1" * 40, "streaming": False},
            "token": {"dataset": "mtu/siri", "token_env": "SIRI"},
            "private": {"dataset": "mtu/siri"},
            "absent": {"dataset": "mtu/nothing"},
            "revision": {"dataset": "mtu/maswali", "revision": "v9"},
            "split": {"dataset": "mtu/maswali", "split": "dev"},
        },
        HF_ENDPOINT=hub,
        SIRI="hf_siri",
    )
    first = [f"Jibu {i}." for i in range(2)]
    assert got["branch"]["said"] == got["token"]["said"] == [f"Jibu {i}." for i in range(5)]
    assert got["branch"]["state"] == ["mtu/maswali@" + "2" * 40] and got["branch"]["kind"] == "sft"
    assert got["tag"]["said"] == got["commit"]["said"] == got["cached"]["said"] == first
    assert got["tag"]["state"] == got["commit"]["state"] == ["mtu/maswali@" + "1" * 40]
    assert "private and needs 'token_env'" in got["private"]["error"] and "does not exist" in got["absent"]["error"]
    assert "no revision 'v9'" in got["revision"]["error"]
    assert "dev" in got["split"]["error"] and "train" in got["split"]["error"]
    assert "hf_siri" not in json.dumps(got)
    # What the cache has is read offline, and what it has not is one sentence.
    again = elsewhere(
        tmp_path,
        {
            "cached": {"dataset": "mtu/maswali", "revision": "1" * 40, "streaming": False},
            "branch": {"dataset": "mtu/maswali"},
        },
        HF_ENDPOINT=hub,
        HF_HUB_OFFLINE="1",
    )
    assert again["cached"]["said"] == first
    assert "pin 'revision'" in again["branch"]["error"]


def test_an_unreachable_hub_is_said_in_seconds(tmp_path: Path) -> None:
    got = elsewhere(
        tmp_path,
        {"branch": {"dataset": "a/b"}, "pinned": {"dataset": "a/b", "revision": "0" * 40}},
        HF_ENDPOINT="http://127.0.0.1:9",
    )
    assert "cannot be reached" in got["branch"]["error"] and "pin 'revision'" in got["branch"]["error"]
    assert "cannot be reached" in got["pinned"]["error"] and "pin 'revision'" not in got["pinned"]["error"]
    assert got["branch"]["seconds"] + got["pinned"]["seconds"] < 20
