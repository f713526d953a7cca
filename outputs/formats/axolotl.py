"""Axolotl reads each kind of rows by a strategy that its YAML names: conversations for SFT and DPO, rendered text for KTO, three strings
for reward models.

After ``docs/`` and ``src/axolotl/prompt_strategies/`` of 0.19.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from curate.exports import Version, Written
from curate.rows import Kind
from curate.rows.kinds import MESSAGES, STRING
from outputs.formats.forms import DATA, conversation
from outputs.formats.readme import Guide, write_yaml
from outputs.formats.rendered import RenderedForm
from outputs.formats.template import shared_beginning
from outputs.formats.turns import (
    MULTI,
    TEXT_EMPTY,
    Misread,
    Turn,
    need_answer,
    need_no_tools,
    need_pair,
    need_prompt,
    need_trained,
    split_system,
)

Task = Literal["sft", "dpo", "kto", "reward", "completion"]
_TASKS: Mapping[Kind, tuple[Task, ...]] = {
    Kind.SFT: ("sft",),
    Kind.PREFERENCE: ("dpo", "reward"),
    Kind.UNPAIRED: ("kto",),
    Kind.DOCUMENT: ("completion",),
}
UNFINDABLE = "an answer that Axolotl does not find again in the rendered conversation"
# Axolotl renders an answer after this turn and searches for the answer's text from the beginning.
_DUMMY: Turn = {"role": "user", "content": "[[dummy_message]]"}


class Axolotl(RenderedForm):
    """Data for Axolotl: ``messages`` (SFT), ``prompt``, ``chosen``, ``rejected`` (DPO), rendered ``prompt`` and ``completion`` with
    ``label`` (KTO), ``system``, ``input``, ``chosen``, ``rejected`` (reward models), ``text`` (completion); and the YAML part that reads it.
    """

    tag: ClassVar[str] = "axolotl"
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset(_TASKS)
    summary: ClassVar[str] = "Axolotl: SFT, DPO, KTO, reward models, completion, with the YAML part."
    packed_json: ClassVar[bool] = False
    reader: ClassVar[str] = "Axolotl"

    task: Task | None = None
    """What for: by default ``sft``, ``dpo`` (preferences; or ``reward``), ``kto`` (unpaired), ``completion`` (documents)."""
    template_file: str | None = None
    """The chat template that KTO's text is rendered with, and in which the answers of DPO must be found: a Jinja file, a
    ``tokenizer_config.json``, or a model's folder. ChatML unless given. Axolotl's own setting stays ``tokenizer_default``."""

    def check(self, kind: Kind) -> list[str]:
        found = super().check(kind)
        if self.task is not None and self.task not in _TASKS.get(kind, ()):
            found.append(f"task: {kind} rows are for {' or '.join(_TASKS.get(kind, ('none',)))}, not {self.task}")
        return found

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        if kind is Kind.SFT:
            return {"messages": MESSAGES}
        if kind is Kind.DOCUMENT:
            return {"text": STRING}
        if kind is Kind.UNPAIRED:
            return {"prompt": STRING, "completion": STRING, "label": pa.bool_()}
        if self.task == "reward":
            return {"system": STRING, "input": STRING, "chosen": STRING, "rejected": STRING}
        return {"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES}

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.DOCUMENT:
            if not row["text"]:
                raise Misread(TEXT_EMPTY)
            return row
        if kind is Kind.SFT:
            turns = conversation(row)
            need_trained(turns)  # it drops samples without a token to train on
            return {"messages": turns}
        need_prompt(row["prompt"])
        if kind is Kind.UNPAIRED:
            need_answer(row["completion"])
            prompt, completion = self.template.pair(row["prompt"], row["completion"])
            return {"prompt": prompt, "completion": completion, "label": row["label"]}
        need_pair(row, single=True)
        if self.task == "reward":
            return self._reward(row)
        for side in ("chosen", "rejected"):
            self._need_findable(row[side][0])
        return row

    @staticmethod
    def _reward(row: dict[str, Any]) -> dict[str, Any]:
        system, turns = split_system(row["prompt"], empty=False)
        need_no_tools(turns)
        if len(turns) != 1:
            raise Misread(MULTI)
        return {"system": system or "", "input": turns[0]["content"],
                "chosen": row["chosen"][0]["content"], "rejected": row["rejected"][0]["content"]}  # fmt: skip

    def _need_findable(self, answer: Turn) -> None:
        """Its DPO strategy takes all from where the answer's text first stands; not found, that is the last character."""
        content = answer["content"]
        if content != content.strip() and self.template_file is None:
            raise Misread(UNFINDABLE)  # many templates trim, and then it is not there
        rendered = self.template.render([_DUMMY, answer], answer=False)
        head = self.template.render([_DUMMY], answer=True)
        if rendered.find(content) < len(shared_beginning(head, rendered)):
            raise Misread(UNFINDABLE)

    def configure(self, version: Version, folder: Path, written: Written) -> Guide:
        kind = version.kind
        task = self.task or _TASKS[kind][0]
        train, test = self.train_and_test(version, written)
        strategies: dict[Task, dict[str, Any]] = {
            "sft": {"type": "chat_template", "field_messages": "messages", "roles_to_train": ["assistant"]},
            "dpo": {"type": "chat_template.default", "field_messages": "prompt", "field_chosen": "chosen", "field_rejected": "rejected"},
            "kto": {"type": {"field_prompt": "prompt", "field_completion": "completion", "field_label": "label"}},
            "reward": {"type": "bradley_terry.chat_template"},
            "completion": {"type": "completion", "field": "text"},
        }  # fmt: skip
        strategy = strategies[task]
        values: dict[str, Any] = {"datasets": [{**_place(self.spread(train, written), train, self.format), **strategy}]}
        if test:
            values["test_datasets"] = [{**_place(self.spread(test, written), test, self.format), **strategy}]
        if task in ("dpo", "kto"):
            values |= {"rl": task, "remove_unused_columns": False}
        if task == "reward":
            values |= {"reward_model": True, "model_type": "AutoModelForSequenceClassification", "num_labels": 1}
        if task in ("sft", "dpo", "reward"):
            values["chat_template"] = "tokenizer_default"
        if task == "kto":
            written.notes.append(
                f"prompts and completions are text, rendered with {self.template.name}; "
                "a model with another chat template needs template_file"
            )
        config = write_yaml(
            folder / "axolotl.yaml",
            values,
            "Put this part into your configuration; the paths are relative to this folder.",
        )
        run = "axolotl train axolotl.yaml --base-model MODEL"
        return Guide([config], [("From this folder, with your model for MODEL (and all else of a training in `axolotl.yaml`):", "sh", run)])  # fmt: skip


def _place(files: Sequence[str], split: str, format: str) -> dict[str, Any]:
    kind = "parquet" if format == "parquet" else "json"
    if len(files) == 1:
        return {"path": files[0], "ds_type": kind, "split": "train"}
    return {"path": f"{DATA}/{split}", "ds_type": kind, "data_files": list(files), "split": "train"}
