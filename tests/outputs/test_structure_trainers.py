"""The trainers' own code takes conversations with calls, and trains on the calls: TRL, LLaMA-Factory, verl and Axolotl,
where installed."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from structure_bench import IMAGES, PAIRS, QWEN, ROWS, chat, learned, said
from test_axolotl import REST
from test_trainers import factory_rows, need_llama_factory, trainer_of
from trainer_bench import text_of, trained

from curate.rows import Kind


@pytest.fixture
def talking(tokenizer):
    """The tokeniser with a template that knows calls."""
    made = copy.deepcopy(tokenizer)
    made.chat_template = QWEN
    return made


@pytest.fixture
def model_of_calls(model, talking, tmp_path) -> Path:
    """The tiny model with this tokeniser."""
    folder = tmp_path / "model-of-calls"
    shutil.copytree(model, folder)
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)
    talking.save_pretrained(folder)
    return folder


def names(found: Any, among: dict[str, Any], *without: str) -> list[str]:
    assert found.rows == len(among) - len(without)
    return [name for name in among if name not in without]


def whole(name: str) -> str:
    return chat(ROWS[name]["messages"], ROWS[name].get("tools"))


@pytest.mark.heavy(env="common")
@pytest.mark.parametrize("params", [{}, {"format": "jsonl", "rows_per_file": 4}])
def test_trl_renders_calls_and_tools(built, written, monkeypatch, model_of_calls, talking, params):
    pytest.importorskip("trl")
    found = written(built(ROWS), "trl", **params)
    trainer = trainer_of(monkeypatch, found, model_of_calls, "SFTTrainer", "SFTConfig")
    assert [text_of(talking, row["input_ids"]) for row in trainer.train_dataset] == [
        whole(name) for name in names(found, ROWS, "weight")
    ]


@pytest.mark.heavy(env="common")
def test_trl_trains_on_the_last_call(built, written, monkeypatch, model_of_calls, talking):
    pytest.importorskip("trl")
    found = written(built(ROWS), "trl", messages="prompt_completion")
    trainer = trainer_of(monkeypatch, found, model_of_calls, "SFTTrainer", "SFTConfig")
    for name, row in zip(names(found, ROWS), trainer.train_dataset, strict=True):
        assert text_of(talking, row["input_ids"]) == whole(name)
        assert trained(talking, row["labels"]) == said(ROWS[name]["messages"][-1])


@pytest.mark.heavy(env="common")
@pytest.mark.parametrize("prompt", ["explicit", "implicit"])
def test_trl_prefers_calls(built, written, monkeypatch, model_of_calls, talking, prompt):
    pytest.importorskip("trl")
    found = written(built(PAIRS, kind=Kind.PREFERENCE), "trl", prompt=prompt)
    trainer = trainer_of(monkeypatch, found, model_of_calls, "DPOTrainer", "DPOConfig")
    for name, row in zip(names(found, PAIRS), trainer.train_dataset, strict=True):
        asked = chat(PAIRS[name]["prompt"], PAIRS[name].get("tools"), answer=True)
        assert text_of(talking, row["prompt_ids"]) == asked
        for side in ("chosen", "rejected"):
            assert text_of(talking, row[f"{side}_ids"]) == said(PAIRS[name][side][0])


@pytest.mark.heavy(env="common")
def test_trl_rewards_calls(built, written, monkeypatch, model_of_calls, talking):
    pytest.importorskip("trl")
    found = written(built(PAIRS, kind=Kind.PREFERENCE), "trl", trainer="reward")
    trainer = trainer_of(monkeypatch, found, model_of_calls, "RewardTrainer", "RewardConfig")
    for name, row in zip(names(found, PAIRS), trainer.train_dataset, strict=True):
        for side in ("chosen", "rejected"):
            talk = PAIRS[name]["prompt"] + PAIRS[name][side]
            assert text_of(talking, row[f"{side}_ids"]) == chat(talk, PAIRS[name].get("tools"))


@pytest.mark.heavy(env="common")
def test_trl_learns_from_labelled_calls(built, written, monkeypatch, model_of_calls, talking):
    pytest.importorskip("trl")
    rows = {name: {**{key: row[key] for key in ("language", "prompt", "tools") if key in row},
                   "completion": row["chosen"], "label": True} for name, row in PAIRS.items()}  # fmt: skip
    found = written(built(rows, kind=Kind.UNPAIRED), "trl")
    trainer = trainer_of(monkeypatch, found, model_of_calls, "KTOTrainer", "KTOConfig")
    for name, row in zip(names(found, rows), trainer.train_dataset, strict=True):
        asked = chat(PAIRS[name]["prompt"], PAIRS[name].get("tools"), answer=True)
        assert text_of(talking, row["prompt_ids"]) == asked
        assert text_of(talking, row["completion_ids"]) == said(PAIRS[name]["chosen"][0])


@pytest.mark.heavy(env="common")
def test_trl_fills_the_places_of_images(built, written):
    data_utils = pytest.importorskip("trl.data_utils")
    from datasets import load_dataset

    found = written(built(IMAGES), "trl")
    rows = load_dataset(str(found.folder), split="train", cache_dir=str(found.folder.parent / "cache"))
    for name, row in zip(names(found, IMAGES, "no place"), rows, strict=True):
        made = data_utils.prepare_multimodal_messages(row["messages"], images=row["images"])
        parts = [part for turn in made for part in turn["content"]]
        assert [part["image"] for part in parts if part["type"] == "image"] == IMAGES[name].get("images", [])
        text = "".join(part.get("text", "<image>") for part in parts)
        assert text == "".join(turn["content"] for turn in IMAGES[name]["messages"])


def answers(turns: Any, *, thinking: bool) -> str:
    """What LLaMA-Factory trains on; its templates of thinking models begin each answer with thoughts, if empty ones."""
    text = ""
    for turn in turns:
        if turn["role"] == "assistant":
            empty = thinking and "reasoning_content" not in turn
            text += ("<think>\n\n</think>\n\n" if empty else "") + said(turn)
    return text


@pytest.mark.heavy(env="trainers")
@pytest.mark.parametrize("template", ["qwen", "qwen3"])
@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_llama_factory_trains_on_calls(built, written, talking, template, format):
    found = written(built(ROWS), "llama-factory", format=format)
    read = factory_rows(found, talking, "sft", template)
    kept = names(found, ROWS, "weight")
    seen = {trained(talking, row["labels"]): text_of(talking, row["input_ids"]) for row in read}
    assert set(seen) == {answers(ROWS[name]["messages"], thinking=template == "qwen3") for name in kept}
    for name in kept:
        text = seen[answers(ROWS[name]["messages"], thinking=template == "qwen3")]
        for tool in ROWS[name].get("tools", ()):
            assert f'"name": "{tool["function"]["name"]}"' in text
        for turn in ROWS[name]["messages"]:
            assert turn["content"] in text


@pytest.mark.heavy(env="trainers")
def test_llama_factory_prefers_calls(built, written, talking):
    found = written(built(PAIRS, kind=Kind.PREFERENCE), "llama-factory", stage="rm")
    read = factory_rows(found, talking, "rm", "qwen")
    told = sorted(tuple(trained(talking, row[f"{side}_labels"]) for side in ("chosen", "rejected")) for row in read)
    assert told == sorted(
        tuple(said(PAIRS[name][side][0]) for side in ("chosen", "rejected")) for name in names(found, PAIRS)
    )


@pytest.mark.heavy(env="trainers")
def test_llama_factory_finds_media_beside_the_data(built, written):
    need_llama_factory()
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams import DataArguments, ModelArguments

    found = written(built(IMAGES), "llama-factory")
    there = found.folder / IMAGES["file"]["images"][0]
    there.parent.mkdir()
    there.touch()
    data = DataArguments(template="qwen2_vl", dataset="talk_train", dataset_dir=str(found.folder), overwrite_cache=True)
    model = ModelArguments(model_name_or_path="none", cache_dir=str(found.folder.parent / "cache"))
    [described] = get_dataset_list(data.dataset, data.dataset_dir)
    rows = _load_single_dataset(described, model, data, SimpleNamespace(local_process_index=0))
    images = {"picture": IMAGES["picture"]["images"], "file": [str(there)], "no picture": None}
    assert [row["_images"] for row in rows] == [images[name] for name in names(found, IMAGES, "no place")]


@pytest.mark.heavy(env="trainers")
def test_verl_trains_on_calls_but_not_on_weight_0(built, written, monkeypatch, model_of_calls, talking):
    pytest.importorskip("verl")
    from hydra import compose, initialize_config_dir
    from verl.trainer.sft_trainer import create_sft_dataset

    found = written(built(ROWS), "verl", rows_per_file=4)
    monkeypatch.chdir(found.folder)
    with initialize_config_dir(config_dir=str(found.folder), version_base=None):
        config = compose("verl", overrides=[f"model.path={model_of_calls}", "data.max_length=4096"])
    rows = create_sft_dataset(config.data.train_files, config.data, talking, None)
    assert type(rows).__name__ == "JsonRows"
    for place, name in enumerate(names(found, ROWS)):
        for _ in range(2):  # reading it changes nothing
            read = rows[place]
            assert text_of(talking, read["input_ids"]) == whole(name)
            assert text_of(talking, read["input_ids"][read["loss_mask"].bool()]) == learned(ROWS[name]["messages"])


@pytest.mark.heavy(env="axolotl")
@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_axolotl_trains_on_calls_but_not_on_weight_0(built, written, monkeypatch, model_of_calls, talking, format):
    pytest.importorskip("axolotl")
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets

    found = written(built(ROWS), "axolotl", format=format)
    monkeypatch.chdir(found.folder)
    for name in ("out", "prepared", "cache"):
        (found.folder.parent / name).mkdir()
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", found.folder.parent / "cache")
    places = {"output_dir": str(found.folder.parent / "out"),
              "dataset_prepared_path": str(found.folder.parent / "prepared")}  # fmt: skip
    assert yaml.safe_load((found.folder / "axolotl.yaml").read_text())["datasets"][0]["message_field_training"]
    made = load_datasets(cfg=load_cfg("axolotl.yaml", base_model=str(model_of_calls), **REST, **places))
    for name, row in zip(names(found, ROWS), list(made.train_dataset), strict=True):
        assert text_of(talking, row["input_ids"]) == whole(name)
        # The line break after an answer is not trained on.
        assert trained(talking, row["labels"]) == learned(ROWS[name]["messages"]).replace("<|im_end|>\n", "<|im_end|>")
