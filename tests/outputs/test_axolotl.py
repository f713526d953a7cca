"""Axolotl's own loading, from the YAML that we write, takes every exported row; its loss mask covers the answers and
nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from trainer_bench import LABELLED, PAIRS, SFT, chatml, text_of, trained
from version_bench import ASKED, preference_rows

from curate.rows import Kind

pytestmark = pytest.mark.heavy(env="axolotl")
# All else of a training, which a person adds to the part that we write.
REST = {"micro_batch_size": 1, "gradient_accumulation_steps": 1, "num_epochs": 1, "learning_rate": 1e-4,
        "sequence_len": 4096,
        "shuffle_merged_datasets": False, "dataset_num_proc": 1}  # fmt: skip
# Answers with blanks at their ends are not exported for DPO: its strategy would cut them at the wrong place.
FINDABLE = [row for row in PAIRS if row["chosen"][0]["content"].strip() == row["chosen"][0]["content"]]


@pytest.fixture
def read(written, monkeypatch, model):
    """``read(found)``: the datasets as ``axolotl train axolotl.yaml --base-model MODEL`` loads them from the export's
    folder."""
    pytest.importorskip("axolotl")

    def load(found: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        from axolotl.cli.config import load_cfg
        from axolotl.common.datasets import load_datasets, load_preference_datasets

        monkeypatch.chdir(found.folder)
        for name in ("out", "prepared", "cache"):
            (found.folder.parent / name).mkdir()
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", found.folder.parent / "cache")
        places = {
            "output_dir": str(found.folder.parent / "out"),
            "dataset_prepared_path": str(found.folder.parent / "prepared"),
        }
        cfg = load_cfg("axolotl.yaml", base_model=str(model), **REST, **places)
        made = (load_preference_datasets if cfg.rl else load_datasets)(cfg=cfg)
        return list(made.train_dataset), list(made.eval_dataset or [])

    return load


@pytest.mark.parametrize("size", [None, 9])
def test_axolotl_trains_on_every_answer(version, written, read, tokenizer, size):
    train, test = read(written(version(Kind.SFT, train=SFT, test=SFT[:3]), "axolotl", rows_per_file=size))
    seen = [(text_of(tokenizer, row["input_ids"]), trained(tokenizer, row["labels"])) for row in train]
    assert seen == [
        (
            chatml(row["messages"]),
            "".join(turn["content"] + "<|im_end|>" for turn in row["messages"] if turn["role"] == "assistant"),
        )
        for row in SFT
    ]
    assert len(test) == 3


@pytest.mark.parametrize(("format", "size"), [("parquet", None), ("parquet", 9), ("jsonl", 9)])
def test_axolotl_prefers_the_chosen_answers(version, written, read, format, size):
    found = written(version(Kind.PREFERENCE, train=PAIRS, test=PAIRS[:2]), "axolotl", format=format, rows_per_file=size)
    assert found.skipped == len(PAIRS) - len(FINDABLE) == 2
    train, test = read(found)
    for row, one in zip(FINDABLE, train, strict=True):
        assert one["prompt"] == chatml(row["prompt"], answer=True)
        assert [one[side] for side in ("chosen", "rejected")] == [
            row[side][0]["content"] + "<|im_end|>" for side in ("chosen", "rejected")
        ]
    assert len(test) == 2


@pytest.mark.parametrize("size", [None, 9])
def test_axolotl_learns_from_labels(version, written, read, size):
    train, test = read(
        written(version(Kind.UNPAIRED, train=LABELLED, test=LABELLED[:2]), "axolotl", rows_per_file=size)
    )
    assert [(row["prompt"], row["completion"], row["label"]) for row in train] == [
        (chatml(row["prompt"], answer=True), row["completion"][0]["content"] + "<|im_end|>", row["label"])
        for row in LABELLED
    ]
    assert len(test) == 2


@pytest.mark.parametrize("system", [True, False])
def test_axolotl_rewards_without_a_system_message_of_its_own(version, written, read, tokenizer, system):
    rows = preference_rows() if system else [*preference_rows(system=False), *PAIRS[len(preference_rows()) :]]
    found = written(version(Kind.PREFERENCE, train=rows), "axolotl", task="reward")
    assert found.written.notes == []
    train, _ = read(found)
    for row, one in zip(rows, train, strict=True):
        for side in ("chosen", "rejected"):
            assert text_of(tokenizer, one[f"{side}_ids"]) == chatml(row["prompt"] + row[side])


def test_axolotl_reads_running_text(version, written, read, tokenizer):
    texts = [{"language": tag, "text": one[2]} for tag, one in ASKED.items()]
    train, _ = read(written(version(Kind.DOCUMENT, train=texts), "axolotl"))
    for row, one in zip(texts, train, strict=True):
        assert text_of(tokenizer, one["input_ids"]) == trained(tokenizer, one["labels"]) == row["text"] + "<|im_end|>"


def test_conversations_with_and_without_a_system_message_are_told_of(version, written):
    found = written(version(Kind.PREFERENCE, train=PAIRS), "axolotl", task="reward")
    [note] = found.written.notes
    assert note.startswith("18 rows have no system message and 5 have one") and "add_system" in note
    told = yaml.safe_load((found.folder / "axolotl.yaml").read_text())
    assert "drop_system_message" not in told["datasets"][0]
    added = written(version(Kind.PREFERENCE, name="added", train=PAIRS), "axolotl", task="reward", system="drop")
    assert added.written.notes == []
    assert yaml.safe_load((added.folder / "axolotl.yaml").read_text())["datasets"][0]["drop_system_message"] is True
