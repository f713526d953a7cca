"""torchtune's own data sets, made of the YAML that we write, take every exported row; the mask covers the answers and
nothing else."""

from __future__ import annotations

import json
from typing import Any
from unicodedata import normalize

import pytest
import trainer_bench
from trainer_bench import chatml
from version_bench import ASKED

from curate.rows import Kind

pytestmark = pytest.mark.heavy(env="trainers")
# As Qwen's own, this tokeniser composes letters (NFC); nothing else of a text may change.
SFT = [
    {"messages": [{**turn, "content": normalize("NFC", turn["content"])} for turn in row["messages"]]}
    for row in trainer_bench.SFT
]
PAIRS = [
    {
        name: [{**turn, "content": normalize("NFC", turn["content"])} for turn in row[name]]
        for name in ("prompt", "chosen", "rejected")
    }
    for row in trainer_bench.PAIRS
]


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    """torchtune's tokeniser for Qwen 2.5, which writes ChatML, over bytes."""
    models = pytest.importorskip("torchtune.models.qwen2_5")
    folder = tmp_path_factory.mktemp("vocabulary")
    from tokenizers.pre_tokenizers import ByteLevel

    letters = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    (folder / "vocab.json").write_text(json.dumps(letters), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return models.qwen2_5_tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


@pytest.fixture
def made(monkeypatch, qwen):
    """``made(found, key)``: the data set that a recipe makes of this part of its configuration, from the export's
    folder."""

    def make(found: Any, key: str = "dataset") -> Any:
        from omegaconf import OmegaConf
        from torchtune import config

        monkeypatch.chdir(found.folder)
        (found.folder.parent / f"cache-{key}").mkdir()
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", found.folder.parent / f"cache-{key}")
        return config.instantiate(OmegaConf.load("torchtune.yaml")[key], qwen)

    return make


def text_of(qwen: Any, ids: Any) -> str:
    return str(qwen.decode([int(one) for one in ids], skip_special_tokens=False))


def learned(qwen: Any, labels: Any) -> str:
    return text_of(qwen, [one for one in labels if one != -100])


def answers(row: dict[str, Any]) -> str:
    """What torchtune masks: all but the assistant's turns, whose header it learns as well."""
    said = [
        f"<|im_start|>assistant\n{turn['content']}<|im_end|>" for turn in row["messages"] if turn["role"] == "assistant"
    ]
    return "\n".join(said)


@pytest.mark.parametrize(("format", "size"), [("parquet", None), ("parquet", 9), ("jsonl", None)])
def test_torchtune_trains_on_every_answer(version, written, made, qwen, format, size):
    found = written(version(Kind.SFT, train=SFT, test=SFT[:3]), "torchtune", format=format, rows_per_file=size)
    for row, read in zip(SFT, list(made(found)), strict=True):
        assert text_of(qwen, read["tokens"]) == chatml(row["messages"]).removesuffix("\n")
        assert learned(qwen, read["labels"]) == answers(row)
    assert len(made(found, "dataset_val")) == 3


def test_torchtune_prefers_the_chosen_answers(version, written, made, qwen):
    rows = made(written(version(Kind.PREFERENCE, train=PAIRS), "torchtune"))
    for row, read in zip(PAIRS, list(rows), strict=True):
        for side in ("chosen", "rejected"):
            talk = row["prompt"] + row[side]
            assert text_of(qwen, read[f"{side}_input_ids"]) == chatml(talk).removesuffix("\n")
            assert learned(qwen, read[f"{side}_labels"]) == answers({"messages": talk})


def test_torchtune_reads_running_text(version, written, made, qwen):
    texts = [{"language": tag, "text": one[2]} for tag, one in ASKED.items()]
    rows = made(written(version(Kind.DOCUMENT, train=texts), "torchtune"))
    for row, read in zip(texts, list(rows), strict=True):
        assert learned(qwen, read["labels"]) == text_of(qwen, read["tokens"]) == row["text"] + "<|im_end|>"
