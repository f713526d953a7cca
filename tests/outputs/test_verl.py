"""verl's own configuration, data sets and reward loop take every exported row; its loss mask covers the answers and
nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
import yaml
from trainer_bench import PAIRS, SFT, chatml, text_of

from curate.rows import Kind

pytestmark = pytest.mark.heavy(env="trainers")
RL = {"task": "rl", "ground_truth": "response", "ability": "chat"}


@pytest.fixture
def composed(monkeypatch, model):
    """``composed(found, key)``: verl's configuration with ours upon it, from the export's folder; the model's path goes
    to ``key``."""
    pytest.importorskip("verl")

    def compose(found: Any, key: str) -> Any:
        from hydra import compose, initialize_config_dir

        monkeypatch.chdir(found.folder)
        (found.folder.parent / "cache").mkdir()
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", found.folder.parent / "cache")
        with initialize_config_dir(config_dir=str(found.folder), version_base=None):
            return compose("verl", overrides=[f"{key}={model}"])

    return compose


@pytest.mark.parametrize("size", [None, 9])
def test_verl_trains_on_every_answer(version, written, composed, model, tokenizer, size):
    config = composed(written(version(Kind.SFT, train=SFT, test=SFT[:3]), "verl", rows_per_file=size), "model.path")
    from verl.trainer.sft_trainer import create_sft_dataset

    assert config.model.path == str(model) and config.data.messages_key == "messages"
    rows = create_sft_dataset(config.data.train_files, config.data, tokenizer, None)
    for place, row in enumerate(SFT):
        read = rows[place]
        assert text_of(tokenizer, read["input_ids"]) == chatml(row["messages"])
        answers = [turn["content"] + "<|im_end|>\n" for turn in row["messages"] if turn["role"] == "assistant"]
        assert text_of(tokenizer, read["input_ids"][read["loss_mask"].bool()]) == "".join(answers)
    assert len(rows) == len(SFT)
    assert len(create_sft_dataset(config.data.val_files, config.data, tokenizer, None)) == 3


@pytest.mark.parametrize("tested", [True, False])
def test_verls_reward_function_is_told_of_every_row(version, written, composed, tokenizer, tested):
    splits = {"train": SFT, **({"test": SFT[:2]} if tested else {})}
    config = composed(written(version(Kind.SFT, **splits), "verl", **RL), "actor_rollout_ref.model.path")
    import numpy as np
    import torch
    from verl import DataProto
    from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
    from verl.trainer.ppo.utils import create_rl_dataset
    from verl.utils.dataset.rl_dataset import collate_fn

    assert config.trainer.val_before_train == tested
    assert len(create_rl_dataset(config.data.val_files, config.data, tokenizer, None)) == (2 if tested else len(SFT))
    rows = create_rl_dataset(config.data.train_files, config.data, tokenizer, None)
    told = []

    def score(**given: Any) -> float:
        told.append({**given, "extra_info": dict(given["extra_info"])})
        return float(given["solution_str"] == given["ground_truth"])

    async def rewarded() -> list[float]:
        manager = NaiveRewardManager(config, tokenizer, score)
        scores = []
        for place, row in enumerate(SFT):
            batch = collate_fn([rows[place]])
            said = tokenizer(row["messages"][-1]["content"], return_tensors="pt")["input_ids"]
            batch |= {"responses": said, "attention_mask": torch.ones_like(said), "__num_turns__": np.array([2])}
            scores.append((await manager.run_single(DataProto.from_single_dict(batch)))["reward_score"])
        return scores

    assert asyncio.run(rewarded()) == [1.0] * len(SFT) == [1.0] * len(rows)
    for place, (row, one) in enumerate(zip(SFT, told, strict=True)):
        assert rows[place]["raw_prompt"] == row["messages"][:-1]
        assert (one["data_source"], one["ground_truth"]) == ("letters", row["messages"][-1]["content"])
        assert (one["extra_info"]["split"], one["extra_info"]["index"]) == ("train", place)
        assert one["extra_info"]["id"] == rows[place]["meta"]["id"]


def test_verl_rewards_models_with_both_answers(version, written, monkeypatch, tokenizer):
    rm_dataset = pytest.importorskip("verl.utils.dataset.rm_dataset")
    found = written(version(Kind.PREFERENCE, train=PAIRS), "verl")
    monkeypatch.chdir(found.folder)
    rows = rm_dataset.RMDataset(
        ["data/train.parquet"], tokenizer, max_length=1024, add_eos=False, cache_dir=str(found.folder.parent)
    )
    assert len(rows) == len(PAIRS)
    for row, place in zip(PAIRS, range(len(rows)), strict=True):
        ids, mask = rows[place]["input_ids"], rows[place]["attention_mask"].bool()
        for side, one, real in zip(("chosen", "rejected"), ids, mask, strict=True):
            assert text_of(tokenizer, one[real]) == chatml(row["prompt"] + row[side]).removesuffix("\n")


@pytest.mark.parametrize(
    ("module", "params", "key"),
    [("verl.trainer.sft_trainer", {}, "model.path"), ("verl.trainer.main_ppo", RL, "actor_rollout_ref.model.path")],
)
def test_verls_commands_take_our_configuration(version, written, model, module, params, key):
    pytest.importorskip("verl")
    found = written(version(Kind.SFT, train=SFT, test=SFT[:2]), "verl", **params)
    asked = [
        sys.executable,
        "-m",
        module,
        f"--config-path={found.folder}",
        "--config-name=verl",
        f"{key}={model}",
        "--cfg",
        "job",
        "--resolve",
    ]
    told = subprocess.run(asked, cwd=found.folder, capture_output=True, text=True, timeout=600, check=True)
    data = yaml.safe_load(told.stdout)["data"]
    assert (data["train_files"], data["val_files"]) == (["data/train.parquet"], ["data/test.parquet"])
    assert f"-m {module} " in (found.folder / "README.md").read_text()
