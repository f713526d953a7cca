"""Output for LLaMA-Factory, which reads what ``dataset_info.json`` describes and skips other rows with a log line.

After ``src/llamafactory/data/{parser,converter,loader}.py`` and ``processor/`` of 0.9.5: roles must alternate strictly;
preferences are single objects; ``kto_tag`` is a boolean, and the label is recovered from which side is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import PrivateAttr

from curate.rows import Kind
from curate.rows.kinds import STRING
from curate.steps.outputs import Version, Written
from outputs.formats.files import Format
from outputs.formats.forms import ExportFormat, conversation, unfit
from outputs.formats.readme import UsageGuide, write_yaml
from outputs.formats.turns import (
    ANSWER_EMPTY,
    Turn,
    UnsupportedRow,
    need_alternation,
    need_answer,
    need_pair,
    need_text,
    split_system,
)

TAGS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
SAID = pa.struct([pa.field("from", STRING, nullable=False), pa.field("value", STRING, nullable=False)])
SAYINGS = pa.list_(pa.field("element", SAID, nullable=False))
Stage = Literal["sft", "dpo", "rm", "kto", "pt"]
_STAGES: Mapping[Kind, tuple[Stage, ...]] = {
    Kind.SFT: ("sft",),
    Kind.PREFERENCE: ("dpo", "rm"),
    Kind.UNPAIRED: ("kto",),
    Kind.DOCUMENT: ("pt",),
}
_PLACEHOLDERS = ("<image>", "<video>", "<audio>")
_PLACEHOLDER = re.compile("|".join(_PLACEHOLDERS))


def said(turn: Turn) -> dict[str, str]:
    """A turn as ``{from, value}``."""
    return {"from": TAGS[turn["role"]], "value": turn["content"]}


class LlamaFactory(ExportFormat):
    """Data for LLaMA-Factory: ``conversations`` of ``{from, value}``, with ``chosen`` and ``rejected`` objects for
    preferences and ``kto_tag`` for KTO, ``text`` for pre-training; ``dataset_info.json`` describes each split."""

    tag: ClassVar[str] = "llama-factory"
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset(_STAGES)
    summary: ClassVar[str] = "LLaMA-Factory: SFT, DPO, reward, KTO, pre-training, with dataset_info.json."
    packed_json: ClassVar[bool] = False
    formats: ClassVar[tuple[Format, ...]] = ("parquet", "jsonl", "json")
    reader: ClassVar[str] = "LLaMA-Factory"

    stage: Stage | None = None
    """The training stage. Default: ``sft``, ``dpo`` (preferences; or ``rm``), ``kto`` (unpaired), ``pt``
    (documents)."""
    template: str | None = None
    """LLaMA-Factory's name of the model's template (``qwen3``, ``llama3`` …), for the configuration. Default: left for
    you to set there."""
    _placeholders: int = PrivateAttr(default=0)

    def check(self, kind: Kind) -> list[str]:
        return [*super().check(kind), *unfit("stage", self.stage, kind, _STAGES)]

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        if kind is Kind.DOCUMENT:
            return {"text": STRING}
        more: dict[str, pa.DataType] = {}
        if kind is Kind.PREFERENCE:
            more = {"chosen": SAID, "rejected": SAID}
        if kind is Kind.UNPAIRED:
            more = {"kto_tag": pa.bool_()}
        return {"conversations": SAYINGS, **more}

    def begin(self) -> None:
        self._placeholders = 0

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        fields = self._converted(kind, row)
        if kind is not Kind.DOCUMENT:
            turns = [*fields["conversations"], *(fields[side] for side in ("chosen", "rejected") if side in fields)]
            self._placeholders += any(_PLACEHOLDER.search(turn["value"]) for turn in turns)
        return fields

    def _converted(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.DOCUMENT:
            return need_text(row)
        if kind is Kind.SFT:
            turns = conversation(row)
            need_alternation(split_system(turns, empty=False)[1], ends_with="assistant")
            return {"conversations": [said(turn) for turn in turns]}
        need_alternation(split_system(row["prompt"], empty=False)[1], ends_with="prompt")
        prompt = [said(turn) for turn in row["prompt"]]
        if kind is Kind.PREFERENCE:
            need_pair(row, single=True)
            return {"conversations": prompt, "chosen": said(row["chosen"][0]), "rejected": said(row["rejected"][0])}
        need_answer(row["completion"], single=True)
        if not row["completion"][0]["content"]:
            raise UnsupportedRow(ANSWER_EMPTY)
        return {"conversations": [*prompt, said(row["completion"][0])], "kto_tag": row["label"]}

    def describe(self, kind: Kind, place: str) -> dict[str, Any]:
        """The entry of ``dataset_info.json`` for the files at ``place``."""
        if kind is Kind.DOCUMENT:
            return {"file_name": place, "columns": {"prompt": "text"}}
        columns = {"messages": "conversations"}
        if kind is Kind.PREFERENCE:
            columns |= {"chosen": "chosen", "rejected": "rejected"}
        if kind is Kind.UNPAIRED:
            columns |= {"kto_tag": "kto_tag"}
        return {
            "file_name": place,
            "formatting": "sharegpt",
            **({"ranking": True} if kind is Kind.PREFERENCE else {}),
            "columns": columns,
            "tags": {
                "role_tag": "from",
                "content_tag": "value",
                "user_tag": "human",
                "assistant_tag": "gpt",
                "observation_tag": "observation",
                "function_tag": "function_call",
                "system_tag": "system",
            },
        }

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        kind = version.kind
        described = {
            f"{version.name}_{split}": self.describe(kind, self.place(split, written))
            for split in version.splits
            if self.spread(split, written)
        }
        info = folder / "dataset_info.json"
        # LLaMA-Factory opens it in the system's encoding: ASCII works everywhere.
        info.write_text(json.dumps(described, indent=2) + "\n", encoding="ascii")
        stage = self.stage or _STAGES[kind][0]
        train, test = self.train_and_test(version, written)
        values: dict[str, Any] = {
            "stage": "rm" if stage == "rm" else stage,
            "do_train": True,
            "dataset_dir": ".",
            "dataset": f"{version.name}_{train}",
            **({"eval_dataset": f"{version.name}_{test}", "eval_strategy": "epoch"} if test else {}),
            **({"template": self.template} if self.template else {}),
            "output_dir": f"{version.name}-{stage}",
        }
        config = write_yaml(folder / "llama_factory.yaml", values, "From this folder; see README.md.")
        missing = "" if self.template or kind is Kind.DOCUMENT else " template=TEMPLATE"
        run = f"llamafactory-cli train llama_factory.yaml model_name_or_path=MODEL{missing} finetuning_type=lora"
        if self._placeholders:
            written.notes.append(
                f"{self._placeholders:,} rows have {', '.join(_PLACEHOLDERS)} in a text; with a multimodal template "
                "LLaMA-Factory expects media for them, and stops"
            )
        return UsageGuide(
            [info, config],
            [
                (
                    "From this folder, with your model for MODEL"
                    + (" and LLaMA-Factory's name of its template for TEMPLATE" if missing else "")
                    + ":",
                    "sh",
                    run,
                )
            ],
        )
