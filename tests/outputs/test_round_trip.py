"""Every text comes back as it was, through the reader that trainers use: ``datasets.load_dataset`` on the export's
folder."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from version_bench import HOSTILE, data_of, preference_rows, sft_rows, turns, unpaired_rows

from curate.rows import Kind
from outputs.formats.files import digest_of, dump_line

TEXT = st.one_of(st.text(min_size=1, max_size=40), st.sampled_from(HOSTILE))
_names = (f"v{number}" for number in count())


def loaded(folder: Any, cache: Any) -> dict[str, list[dict[str, Any]]]:
    """The rows by split. Each time with a cache of its own: datasets takes files of the same name and moment for the
    same."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    found = datasets.load_dataset(str(folder), cache_dir=str(cache / next(_names)))
    return {split: list(rows) for split, rows in found.items()}


@pytest.mark.parametrize(
    "output", ["trl", "llama-factory", "axolotl", "verl", "torchtune", "openai", "sharegpt", "alpaca", "parquet"]
)
def test_each_split_is_found_and_whole(version, written, tmp_path, output):
    made = version(Kind.SFT, train=sft_rows() * 2, test=sft_rows()[:2], held_out=sft_rows()[2:])
    found = written(made, output, rows_per_file=3)
    assert loaded(found.folder, tmp_path) == {split: data_of(found, split) for split in ("train", "test", "held_out")}
    assert found.written.rows == {"train": 10, "test": 2, "held_out": 3}


@pytest.mark.parametrize(
    ("output", "params"),
    [
        ("trl", {}),
        ("llama-factory", {}),
        ("llama-factory", {"format": "jsonl"}),
        ("alpaca", {}),
        ("sharegpt", {"compression": "gzip"}),
        ("openai", {}),
    ],
)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.tuples(TEXT, TEXT), min_size=20, max_size=60))
def test_any_text_comes_back_as_it_was(version, written, tmp_path, output, params, texts):
    # A plain row besides, so that no field is dates only: that is told of, and has a test of its own.
    texts = [*texts, ("plain", "words")]
    rows = [
        {"messages": [{"role": "user", "content": one}, {"role": "assistant", "content": two}]} for one, two in texts
    ]
    found = written(version(Kind.SFT, name=next(_names), train=rows), output, **params)
    assert found.written.skipped == {} and found.rows == len(texts)
    read = []
    for row in loaded(found.folder, tmp_path)["train"]:
        if output == "alpaca":
            read.append((row["instruction"], row["output"]))
        else:
            said = row.get("conversations") or row.get("messages")
            read.append(tuple(turn.get("value", turn.get("content")) for turn in said))
    assert read == texts


@pytest.mark.parametrize(("output", "inside"), [("trl", "data"), ("alpaca", "")])
def test_no_export_is_taken_for_an_earlier_one_of_the_same_name(
    version, written, tmp_path, monkeypatch, output, inside
):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    for rows in (sft_rows(), sft_rows()[:2], sft_rows(system=False)):
        found = written(version(Kind.SFT, name=next(_names), train=rows), output)
        monkeypatch.chdir(found.folder.parent if not inside else found.folder)
        # By a name that all these exports have, as TRL's configuration does.
        read = datasets.load_dataset(inside or found.folder.name, split="train", cache_dir=str(tmp_path / "cache"))
        assert list(read) == data_of(found)
    names = found.written.files
    assert found.written.digest == digest_of([name for name in names if name.startswith("data/train")], found.folder)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_of_json_is_one_line_to_every_reader(text):
    line = dump_line({"text": text}).decode()
    assert len(line.splitlines()) == 1 and json.loads(line) == {"text": text}


def test_letters_stay_readable_in_json(version, written):
    found = written(version(Kind.SFT, train=sft_rows()), "openai")
    text = (found.folder / "data" / "train.jsonl").read_text(encoding="utf-8")
    assert "عاصمة المغرب هي الرباط." in text and "你是一位有礼貌的助手。" in text and "\\u" not in text


def test_preferences_and_labels_come_back(version, written, tmp_path):
    pairs = [
        *preference_rows(),
        *(
            {
                "prompt": turns("user: q"),
                "chosen": [{"role": "assistant", "content": text}],
                "rejected": turns("assistant: no"),
            }
            for text in HOSTILE
        ),
    ]
    for output in ("trl", "llama-factory", "torchtune", "openai"):
        found = written(version(Kind.PREFERENCE, name=next(_names), train=pairs), output)
        assert found.skipped == 0 and loaded(found.folder, tmp_path) == {"train": data_of(found)}
    labelled = [
        *unpaired_rows(),
        *(
            {"prompt": turns("user: q"), "completion": [{"role": "assistant", "content": text}], "label": False}
            for text in HOSTILE
        ),
    ]
    for output in ("trl", "llama-factory", "axolotl"):
        found = written(version(Kind.UNPAIRED, name=next(_names), train=labelled), output)
        read = loaded(found.folder, tmp_path)["train"]
        assert found.skipped == 0 and read == data_of(found)
        assert [row.get("label", row.get("kto_tag")) for row in read] == [row["label"] for row in labelled]
