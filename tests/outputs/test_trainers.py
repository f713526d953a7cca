"""The trainers' own code takes every exported row, and what it would train on is the row's text: TRL and LLaMA-Factory,
where installed."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from trainer_bench import LABELLED, PAIRS, SFT, chatml, text_of, trained
from version_bench import ASKED

from curate.rows import Kind


# ------------------------------------------------------------------------------------------------------------------ TRL
def trainer_of(monkeypatch, found, model, name, settings, **more):
    """A trainer as ``trl NAME --config trl.yaml --model_name_or_path MODEL`` makes it, from the export's folder."""
    trl = pytest.importorskip("trl")
    from datasets import load_dataset

    monkeypatch.chdir(found.folder)
    parser = trl.TrlParser((trl.ScriptArguments, getattr(trl, settings), trl.ModelConfig, trl.DatasetMixtureConfig))
    script, arguments, chosen, _ = parser.parse_args_and_config(
        [
            "--config",
            "trl.yaml",
            "--model_name_or_path",
            str(model),
            "--use_cpu",
            "True",
            "--bf16",
            "False",
            "--report_to",
            "none",
            "--max_length",
            "4096",
        ]
    )
    rows = load_dataset(script.dataset_name, cache_dir=str(model / found.folder.parent.parent.name))
    test = rows[script.dataset_test_split] if arguments.eval_strategy != "no" else None
    return getattr(trl, name)(
        model=chosen.model_name_or_path,
        args=arguments,
        train_dataset=rows[script.dataset_train_split],
        eval_dataset=test,
        **more,
    )


@pytest.mark.heavy(env="common")
def test_trl_trains_on_every_conversation(version, written, monkeypatch, model, tokenizer):
    pytest.importorskip("trl")
    found = written(version(Kind.SFT, train=SFT, test=SFT[:3]), "trl")
    trainer = trainer_of(monkeypatch, found, model, "SFTTrainer", "SFTConfig")
    assert [text_of(tokenizer, ids) for ids in trainer.train_dataset["input_ids"]] == [
        chatml(row["messages"]) for row in SFT
    ]
    assert len(trainer.eval_dataset) == 3


@pytest.mark.heavy(env="common")
def test_trl_trains_on_completions_alone(version, written, monkeypatch, model, tokenizer):
    pytest.importorskip("trl")
    found = written(version(Kind.SFT, train=SFT), "trl", messages="prompt_completion")
    trainer = trainer_of(monkeypatch, found, model, "SFTTrainer", "SFTConfig")
    for row, read in zip(SFT, trainer.train_dataset, strict=True):
        assert text_of(tokenizer, read["input_ids"]) == chatml(row["messages"])
        assert trained(tokenizer, read["labels"]) == row["messages"][-1]["content"] + "<|im_end|>\n"


@pytest.mark.heavy(env="common")
@pytest.mark.parametrize("prompt", ["explicit", "implicit"])
def test_trl_prefers_the_chosen_answers(version, written, monkeypatch, model, tokenizer, prompt):
    pytest.importorskip("trl")
    found = written(version(Kind.PREFERENCE, train=PAIRS), "trl", prompt=prompt)
    trainer = trainer_of(monkeypatch, found, model, "DPOTrainer", "DPOConfig")
    assert len(trainer.train_dataset) == len(PAIRS)
    for row, read in zip(PAIRS, trainer.train_dataset, strict=True):
        assert text_of(tokenizer, read["prompt_ids"]) == chatml(row["prompt"], answer=True)
        for side in ("chosen", "rejected"):
            assert text_of(tokenizer, read[f"{side}_ids"]) == row[side][0]["content"] + "<|im_end|>\n"


@pytest.mark.heavy(env="common")
def test_trl_learns_from_labels(version, written, monkeypatch, model, tokenizer):
    pytest.importorskip("trl")
    found = written(version(Kind.UNPAIRED, train=LABELLED), "trl")
    trainer = trainer_of(monkeypatch, found, model, "KTOTrainer", "KTOConfig")
    assert [bool(read["label"]) for read in trainer.train_dataset] == [row["label"] for row in LABELLED]
    for row, read in zip(LABELLED, trainer.train_dataset, strict=True):
        assert text_of(tokenizer, read["prompt_ids"]) == chatml(row["prompt"], answer=True)
        assert text_of(tokenizer, read["completion_ids"]) == row["completion"][0]["content"] + "<|im_end|>\n"


@pytest.mark.heavy(env="common")
def test_trl_rewards_with_a_margin(version, written, monkeypatch, model, tokenizer):
    pytest.importorskip("trl")
    rows = [{**row, "scores": [{"name": "pair.margin", "value": place / 4}]} for place, row in enumerate(PAIRS)]
    found = written(version(Kind.PREFERENCE, train=rows), "trl", margin="pair.margin")
    trainer = trainer_of(monkeypatch, found, model, "RewardTrainer", "RewardConfig")
    assert [read["margin"] for read in trainer.train_dataset] == [place / 4 for place in range(len(PAIRS))]
    for row, read in zip(PAIRS, trainer.train_dataset, strict=True):
        for side in ("chosen", "rejected"):
            assert text_of(tokenizer, read[f"{side}_ids"]).rstrip("\n") == chatml(row["prompt"] + row[side]).rstrip(
                "\n"
            )


@pytest.mark.heavy(env="common")
def test_trl_renders_prompts_for_rl(version, written, tokenizer):
    data_utils = pytest.importorskip("trl.data_utils")
    from datasets import load_dataset

    found = written(version(Kind.PROMPT, train=[{"prompt": row["prompt"]} for row in PAIRS]), "trl")
    rows = load_dataset(str(found.folder), split="train", cache_dir=str(found.folder.parent / "cache"))
    assert [data_utils.apply_chat_template({"prompt": row["prompt"]}, tokenizer)["prompt"] for row in rows] == [
        chatml(row["prompt"], answer=True) for row in PAIRS
    ]


# -------------------------------------------------------------------------------------------------------- LLaMA-Factory
def need_llama_factory() -> None:
    pytest.importorskip("llamafactory")
    if find_spec("torchaudio") is None:  # loads only beside the torch that it was built for; these rows have no sound
        silent = ModuleType("torchaudio")
        silent.__spec__ = ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = silent


def factory_rows(found: Any, tokenizer: Any, stage: str, template: str = "chatml") -> list[dict[str, Any]]:
    """What LLaMA-Factory's ``get_dataset`` makes of the export, by its own ``dataset_info.json``."""
    need_llama_factory()
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.data.loader import get_dataset
    from llamafactory.hparams import DataArguments, ModelArguments

    settings = yaml.safe_load((found.folder / "llama_factory.yaml").read_text())
    assert settings["stage"] == stage and settings["dataset_dir"] == "."
    data = DataArguments(
        template=template,
        dataset=settings["dataset"],
        eval_dataset=settings.get("eval_dataset"),
        dataset_dir=str(found.folder),
        cutoff_len=4096,
        overwrite_cache=True,
    )
    fixed = get_template_and_fix_tokenizer(tokenizer, data)
    training = SimpleNamespace(
        main_process_first=lambda **_: nullcontext(),
        seed=0,
        should_log=False,
        local_process_index=0,
        predict_with_generate=False,
    )
    model = ModelArguments(model_name_or_path="none", cache_dir=str(found.folder.parent / "cache"))
    made = get_dataset(fixed, model, data, training, stage, tokenizer)
    if settings.get("eval_dataset"):
        assert len(made["eval_dataset"]) > 0
    return list(made["train_dataset"])


@pytest.mark.heavy(env="trainers")
def test_llama_factory_trains_on_every_conversation(version, written, tokenizer):
    found = written(version(Kind.SFT, train=SFT, test=SFT[:2]), "llama-factory", rows_per_file=9)
    read = factory_rows(found, tokenizer, "sft")
    seen = sorted(
        (text_of(tokenizer, row["input_ids"]).rstrip("\n"), trained(tokenizer, row["labels"]).rstrip("\n"))
        for row in read
    )
    expected = sorted(
        (
            chatml(row["messages"]).rstrip("\n"),
            "<|im_end|>\n".join([turn["content"] for turn in row["messages"] if turn["role"] == "assistant"])
            + "<|im_end|>",
        )
        for row in SFT
    )
    assert seen == expected


@pytest.mark.heavy(env="trainers")
def test_llama_factory_prefers_the_chosen_answers(version, written, tokenizer):
    read = factory_rows(written(version(Kind.PREFERENCE, train=PAIRS), "llama-factory", stage="rm"), tokenizer, "rm")
    assert len(read) == len(PAIRS)
    for row, one in zip(PAIRS, read, strict=True):
        for side in ("chosen", "rejected"):
            assert text_of(tokenizer, one[f"{side}_input_ids"]).rstrip("\n") == chatml(
                row["prompt"] + row[side]
            ).rstrip("\n")
            assert trained(tokenizer, one[f"{side}_labels"]).rstrip("\n") == row[side][0]["content"] + "<|im_end|>"


@pytest.mark.heavy(env="trainers")
def test_llama_factory_learns_from_labels(version, written, tokenizer):
    read = factory_rows(written(version(Kind.UNPAIRED, train=LABELLED), "llama-factory"), tokenizer, "kto")
    assert [row["kto_tags"] for row in read] == [row["label"] for row in LABELLED]
    for row, one in zip(LABELLED, read, strict=True):
        assert text_of(tokenizer, one["input_ids"]).rstrip("\n") == chatml(row["prompt"] + row["completion"]).rstrip(
            "\n"
        )


@pytest.mark.heavy(env="trainers")
def test_llama_factory_reads_running_text(version, written, tokenizer):
    found = written(
        version(Kind.DOCUMENT, train=[{"language": tag, "text": one[2]} for tag, one in ASKED.items()]), "llama-factory"
    )
    assert [text_of(tokenizer, row["input_ids"]) for row in factory_rows(found, tokenizer, "pt")] == [
        f"{one[2]}<|im_end|>" for one in ASKED.values()
    ]
