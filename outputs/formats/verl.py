"""Output for verl: conversations for SFT, prompts with reward data for RL, rendered text for reward models, as Parquet.

After ``verl/utils/dataset/`` and ``verl/trainer/config/`` of 0.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from curate.rows import Kind
from curate.rows.kinds import MESSAGE_EXTRAS, PLACEHOLDERS, STRING, messages_type
from curate.steps.outputs import Version, Written
from outputs.formats.files import Format
from outputs.formats.forms import INDEX, SPLIT, attribute_of, conversation, unfit
from outputs.formats.readme import UsageGuide, write_yaml
from outputs.formats.rendered import RENDERED, RenderedForm
from outputs.formats.structure import COUNT, dump, spoken, tools_of
from outputs.formats.turns import ENDS, Turn, UnsupportedRow, need_pair, need_prompt, need_trained

Task = Literal["sft", "rl", "reward"]
_MESSAGES = messages_type()
_MEDIA: Mapping[str, str] = {"images": "image", "videos": "video"}
"""Column of media that verl reads → the key of a reference."""
_TASKS: Mapping[Kind, tuple[Task, ...]] = {
    Kind.SFT: ("sft", "rl"),
    Kind.PROMPT: ("rl",),
    Kind.PREFERENCE: ("reward",),
}
# verl reads conversations with pandas, which gives each call the arguments of all. With structure they are therefore
# JSON as text, and this class of the export's own, which verl.yaml names, makes objects of it.
MODULE, CLASS = "json_rows.py", "JsonRows"
_SOURCE = f'''"""Conversations and tools that are JSON, for verl's SFT trainer: data.custom_cls in verl.yaml."""

import json

from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset


class {CLASS}(MultiTurnSFTDataset):
    def _read_files_and_process(self):
        super()._read_files_and_process()
        self.dataframe[self.messages_key] = [json.loads(text) for text in self.dataframe[self.messages_key]]
        if self.tools is not None:
            self.tools = [json.loads(text) if isinstance(text, str) else None for text in self.tools]

    def _process_single_message(self, **given):
        weight = given["message"].pop("weight", 1)
        ids, loss_mask, *others = super()._process_single_message(**given)
        return ids, loss_mask * weight, *others
'''


def _struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct([pa.field(name, dtype, nullable=False) for name, dtype in fields.items()])


class Verl(RenderedForm):
    """Data for verl: ``messages`` (multi-turn SFT); ``data_source``, ``prompt``, ``ability``, ``reward_model``,
    ``extra_info`` (RL); rendered ``prompt``, ``chosen``, ``rejected`` (reward models)."""

    tag: ClassVar[str] = "verl"
    version: ClassVar[int] = 3
    kinds: ClassVar[frozenset[Kind]] = frozenset(_TASKS)
    summary: ClassVar[str] = "verl: multi-turn SFT, RL with ground truth, reward models."
    formats: ClassVar[tuple[Format, ...]] = ("parquet",)
    reader: ClassVar[str] = "verl"

    task: Task | None = None
    """The task. Default: ``sft``, ``rl`` (prompts; also SFT rows), ``reward`` (preferences)."""
    ground_truth: str | None = None
    """RL: the reference that the reward compares an answer with: ``response`` (the last answer of an SFT row) or the
    name of an attribute. Rows without it are skipped."""
    reward_style: Literal["rule", "model"] = "rule"
    """RL: ``rule``, which needs ``ground_truth``, or ``model``, which does not."""
    data_source: str | None = None
    """RL: the name by which verl selects the reward function (``openai/gsm8k`` …). Default: the row's source."""
    ability: str = ""
    """RL: the skill (``math`` …); verl passes it on."""

    def check(self, kind: Kind) -> list[str]:
        problems = [*super().check(kind), *(odd := unfit("task", self.task, kind, _TASKS))]
        if not odd and kind in _TASKS:
            rl = self._task(kind) == "rl"
            if rl and self.reward_style == "rule" and self.ground_truth is None:
                problems.append(
                    "ground_truth: a rule needs it: name an attribute"
                    + (" or write response" if kind is Kind.SFT else "")
                )
            if rl and kind is Kind.PROMPT and self.ground_truth == "response":
                problems.append("ground_truth: prompts have no response; name an attribute")
            if not rl and (self.ground_truth is not None or self.data_source is not None):
                problems.append(f"ground_truth, data_source: only for task: rl, this is {self._task(kind)}")
        return problems

    def _task(self, kind: Kind) -> Task:
        return self.task or _TASKS[kind][0]

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        task = self._task(kind)
        if task == "sft":
            messages = STRING if self._as_json else _MESSAGES
            return {"messages": messages, **({"tools": STRING} if self.has("tools") else {}), **self._media()}
        if task == "reward":
            return {"prompt": STRING, "chosen": STRING, "rejected": STRING}
        return {
            "data_source": STRING,
            "prompt": _MESSAGES,
            "ability": STRING,
            "reward_model": _struct(style=STRING, ground_truth=STRING),
            "extra_info": _struct(split=STRING, index=pa.int64(), id=STRING),
            **self._media(),
        }

    def _media(self) -> dict[str, pa.DataType]:
        """The columns of media: each reference in an object, which verl passes on to the model's processor."""
        return {
            name: pa.list_(pa.field("element", _struct(**{key: STRING}), nullable=False))
            for name, key in _MEDIA.items()
            if self.has(name)
        }

    def _shown(self, row: Mapping[str, Any], turns: Sequence[Turn]) -> dict[str, Any]:
        """The values of these columns; an empty list where a row has none.

        Raises:
            UnsupportedRow: the media do not fit the texts, in which verl counts places once a file has media.
        """
        names = self._media()
        text = "\0".join(turn["content"] for turn in turns)
        if any(text.count(PLACEHOLDERS[name]) != len(row.get(name, ())) for name in names):
            raise UnsupportedRow(COUNT)
        return {name: [{_MEDIA[name]: one} for one in row.get(name, ())] for name in names}

    @property
    def _as_json(self) -> bool:
        """Whether the conversations have structure."""
        return self.has("tools", *MESSAGE_EXTRAS)

    def keeps(self, kind: Kind) -> frozenset[str]:
        task = self._task(kind)
        if task == "rl":  # its tools are those of the configuration
            return frozenset(_MEDIA)
        return RENDERED | {"weight", *_MEDIA} if task == "sft" else RENDERED

    def drops(self, kind: Kind) -> frozenset[str]:
        return super().drops(kind) | {"reasoning"} if self._task(kind) == "rl" else super().drops(kind)

    def trained(self, kind: Kind, row: Mapping[str, Any]) -> list[Turn]:
        return [] if self._task(kind) == "rl" else super().trained(kind, row)

    def needs(self, kind: Kind) -> tuple[str, ...]:
        return ("id", "attributes", "lineage") if self._task(kind) == "rl" else ()

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        task = self._task(kind)
        if task == "sft":
            turns = conversation(row)
            need_trained(turns)
            tools_of(row)
            messages = dump([spoken(turn) for turn in turns]) if self._as_json else turns
            return {"messages": messages, "tools": row.get("tools"), **self._shown(row, turns)}
        if task == "reward":
            return self._reward(row)
        return self._rl(kind, row)

    def _reward(self, row: dict[str, Any]) -> dict[str, Any]:
        need_prompt(row["prompt"])
        need_pair(row)
        prompt, chosen = self.pair(row, "chosen")
        other, rejected = self.pair(row, "rejected")
        if prompt != other:  # a template that begins answers differently: the prompt ends where they diverge
            raise UnsupportedRow("the chat template writes the prompt differently for the two answers")
        return {"prompt": prompt, "chosen": chosen, "rejected": rejected}

    def _rl(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        turns = conversation(row) if kind is Kind.SFT else row["prompt"]
        truth: str | None = None
        if kind is Kind.SFT:
            if not turns or turns[-1]["role"] != "assistant":
                raise UnsupportedRow(ENDS)
            truth, turns = turns[-1]["content"], turns[:-1]
        if self.ground_truth != "response" or kind is not Kind.SFT:
            truth = attribute_of(row, self.ground_truth) if self.ground_truth is not None else ""
        need_prompt(turns)
        if truth is None:
            raise UnsupportedRow(f"no attribute '{self.ground_truth}' for the ground truth")
        return {
            "data_source": self.data_source or row["lineage"]["source"],
            "prompt": turns,
            "ability": self.ability,
            "reward_model": {"style": self.reward_style, "ground_truth": truth},
            "extra_info": {"split": row[SPLIT], "index": row[INDEX], "id": row["id"]},
            **self._shown(row, turns),
        }

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        task = self._task(version.kind)
        train, test = self.train_and_test(version, written)
        key: dict[str, Any]
        files = {"train_files": self.spread(train, written), "val_files": self.spread(test, written) if test else None}
        more: dict[str, Any] = {}
        own: list[Path] = []
        if task == "reward":
            name = self.template.name
            written.notes.append(
                f"the text is rendered with {name}, ends of turns included: verl's RMDataset needs add_eos=False"
            )
            code = (
                "from verl.utils.dataset.rm_dataset import RMDataset\n\n"
                f'train = RMDataset({files["train_files"]!r}, "MODEL", max_length=1024, add_eos=False)'
            )
            return UsageGuide([], [("From this folder, with your model for MODEL:", "python", code)])
        if task == "sft":
            base, key = "sft_trainer_engine", {"messages_key": "messages"}
            if self._as_json:
                own = [folder / MODULE]
                own[0].write_text(_SOURCE, encoding="utf-8")
                key |= {"custom_cls": {"path": MODULE, "name": CLASS}}
                written.notes.append(
                    f"conversations are JSON as text, which {MODULE} makes objects of for verl (data.custom_cls)"
                )
            run = (
                "torchrun --standalone --nproc_per_node=1 -m verl.trainer.sft_trainer --config-path=$PWD "
                "--config-name=verl model.path=MODEL"
            )
        else:
            base, key = "ppo_trainer", {"prompt_key": "prompt", "reward_fn_key": "data_source"}
            run = (
                "python3 -m verl.trainer.main_ppo --config-path=$PWD --config-name=verl "
                "actor_rollout_ref.model.path=MODEL"
            )
            written.notes.append(
                "verl has reward functions only for data sources it knows by name; for others set "
                "reward.custom_reward_function.path"
            )
            if not test:  # its RL trainer does not start without prompts to test on
                files["val_files"] = files["train_files"]
                more = {"trainer": {"val_before_train": False, "test_freq": -1}}
                written.notes.append(
                    "there are no test prompts: verl.yaml uses the training prompts, because verl requires some, and "
                    "turns testing off"
                )
        if media := [name for name in _MEDIA if self.has(name)]:
            written.notes.append(
                f"{' and '.join(media)} are paths relative to the folder where the training starts, URLs or data URLs, "
                "which the processor of a multimodal model opens; a model without one cannot be trained on these files"
            )
        values = {
            "hydra": {"searchpath": ["pkg://verl.trainer.config"]},
            "defaults": [base, "_self_"],
            "data": {**files, **key},
            **more,
        }
        config = write_yaml(folder / "verl.yaml", values, "verl's own configuration with this data; from this folder.")
        return UsageGuide([config, *own], [("From this folder, with your model for MODEL:", "sh", run)])
