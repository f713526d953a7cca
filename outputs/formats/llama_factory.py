"""Output for LLaMA-Factory, which reads what ``dataset_info.json`` describes and skips other rows with a log line.

After ``src/llamafactory/data/{parser,converter,loader}.py`` and ``processor/`` of 0.9.5: roles must alternate strictly;
preferences are single objects; ``kto_tag`` is a boolean, and the label is recovered from which side is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import PrivateAttr

from curate.rows import Kind, message_columns
from curate.rows.kinds import MEDIA, STRING, STRINGS
from curate.steps.outputs import Version, Written
from outputs.formats.files import Format
from outputs.formats.forms import ExportFormat, conversation, unfit
from outputs.formats.readme import UsageGuide, write_yaml
from outputs.formats.structure import (
    BESIDE,
    MARKS,
    arguments_of,
    dump,
    need_places,
    tools_of,
)
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
_SHOWN = ("<image>", "<video>", "<audio>")
_PLACEHOLDER = re.compile("|".join(_SHOWN))
CALL = "function_call"
_MARKS = re.compile(r"</?think>|</?tool_call>")
BETWEEN_RESULTS = "\n</tool_response>\n<tool_response>\n"
"""Between several results in one turn: what LLaMA-Factory writes between those of OpenAI's form."""


class ShareGptForm(ExportFormat):
    """Base of the outputs that write turns as ``{from, value}``: calls are JSON in a turn ``function_call``, reasoning
    stands before the text, tools and media have columns."""

    beside: ClassVar[bool] = False
    """Whether the reader takes a call beside text."""
    _beside: int = PrivateAttr(default=0)

    def begin(self) -> None:
        self._beside = 0

    def keeps(self, kind: Kind) -> frozenset[str]:
        return frozenset({"tool_calls", "tools", "reasoning", *MEDIA})

    def tags(self) -> Mapping[str, str]:
        """Role → its name."""
        return TAGS

    def said(self, turns: Sequence[Turn]) -> list[dict[str, str]]:
        """Turns as ``{from, value}``.

        Raises:
            UnsupportedRow: there is no such form for one of them.
        """
        tags = self.tags()
        if not self._extras:
            return [{"from": tags[turn["role"]], "value": turn["content"]} for turn in turns]
        return [
            {"from": CALL if "tool_calls" in turn else tags[turn["role"]], "value": self._value(turn)} for turn in turns
        ]

    def _value(self, turn: Turn) -> str:
        thought, text = turn.get("reasoning"), str(turn["content"])
        if "tool_calls" in turn:
            calls = [{"name": call["function"]["name"], "arguments": arguments_of(call)} for call in turn["tool_calls"]]
            told = dump(calls if len(calls) > 1 else calls[0])
            # LLaMA-Factory finds reasoning and calls by these marks.
            if any(_MARKS.search(one) for one in (told, text, thought or "")):
                raise UnsupportedRow(MARKS)
            if text and not self.beside:
                raise UnsupportedRow(BESIDE)
            text = f"{text}\n<tool_call>\n{told}\n</tool_call>" if text else told
        if thought is None:
            return text
        if "</think>" in thought:
            raise UnsupportedRow(MARKS)
        return f"<think>\n{thought}\n</think>\n\n{text}"

    def more_columns(self) -> dict[str, pa.DataType]:
        """The columns of tools and media."""
        tools: dict[str, pa.DataType] = {"tools": STRING} if self.has("tools") else {}
        return tools | {name: STRINGS for name in MEDIA if self.has(name)}

    def more(self, kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
        """The values of these columns; called when all else of the row is fine.

        Raises:
            UnsupportedRow: the media do not fit the texts.
        """
        if not self._extras:
            return {}
        columns = message_columns(kind)
        need_places(row, _alternatives(row, columns))
        tools = tools_of(row)
        turns = (turn for name in columns for turn in row[name])
        self._beside += any(turn["content"] and "tool_calls" in turn for turn in turns)
        bare = {"tools": dump([tool["function"] for tool in tools])} if tools else {}
        return bare | {name: row[name] for name in MEDIA if name in row}

    def remark(self, written: Written) -> None:
        """Notes on the optional parts."""
        if self._beside:
            written.notes.append(
                f"{self._beside:,} rows have text beside a call, written as text<tool_call>calls</tool_call>: the "
                "template of Llama 2 stops at it"
            )
        if self.has("reasoning"):
            written.notes.append(
                "reasoning stands before the answer as <think>, line break, reasoning, line break, </think>, two line "
                "breaks"
            )
        if self.has(*MEDIA):
            written.notes.append(f"media are as in the rows; {self.media}")

    media: ClassVar[str] = "a path is relative to what it was relative to where the rows were read"
    """What paths of media are relative to."""


def _alternatives(row: Mapping[str, Any], columns: Iterable[str]) -> list[Turn]:
    """The turns of a row; of two answers, the first."""
    return [turn for name in columns if name != "rejected" for turn in row[name]]


def _one_result(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with results of tools that follow each other in one.

    Raises:
        UnsupportedRow: one of them has a mark that stands between results.
    """
    made: list[Turn] = []
    for is_result, group in groupby(turns, lambda turn: turn["role"] == "tool"):
        run = list(group)
        if not is_result or len(run) == 1:
            made += run
            continue
        texts = [turn["content"] for turn in run]
        if any("tool_response>" in text for text in texts):
            raise UnsupportedRow(MARKS)
        made.append({**run[0], "content": BETWEEN_RESULTS.join(texts)})
    return made


class LlamaFactory(ShareGptForm):
    """Data for LLaMA-Factory: ``conversations`` of ``{from, value}``, with ``chosen`` and ``rejected`` objects for
    preferences and ``kto_tag`` for KTO, ``text`` for pre-training; ``dataset_info.json`` describes each split."""

    tag: ClassVar[str] = "llama-factory"
    version: ClassVar[int] = 3
    kinds: ClassVar[frozenset[Kind]] = frozenset(_STAGES)
    summary: ClassVar[str] = "LLaMA-Factory: SFT, DPO, reward, KTO, pre-training, with dataset_info.json."
    packed_json: ClassVar[bool] = False
    formats: ClassVar[tuple[Format, ...]] = ("parquet", "jsonl", "json")
    reader: ClassVar[str] = "LLaMA-Factory"
    beside: ClassVar[bool] = True
    media: ClassVar[str] = "paths are relative to this folder (its media_dir, by default dataset_dir)"

    stage: Stage | None = None
    """The training stage. Default: ``sft``, ``dpo`` (preferences; or ``rm``), ``kto`` (unpaired), ``pt``
    (documents)."""
    template: str | None = None
    """LLaMA-Factory's name of the model's template (``qwen3``, ``llama3`` …), for the configuration. Default: left for
    you to set there."""
    _placeholders: int = PrivateAttr(default=0)
    _joined: int = PrivateAttr(default=0)

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
        return {"conversations": SAYINGS, **more, **self.more_columns()}

    def begin(self) -> None:
        super().begin()
        self._placeholders = self._joined = 0

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        several = False
        if kind is not Kind.DOCUMENT:
            column = "messages" if kind is Kind.SFT else "prompt"
            turns = _one_result(row[column])
            several, row = len(turns) < len(row[column]), {**row, column: turns}
        fields = self._converted(kind, row)
        if kind is Kind.DOCUMENT:
            return fields
        fields |= self.more(kind, row)
        self._joined += several
        if not any(name in row for name in MEDIA):
            turns = [*fields["conversations"], *(fields[side] for side in ("chosen", "rejected") if side in fields)]
            self._placeholders += any(_PLACEHOLDER.search(turn["value"]) for turn in turns)
        return fields

    def _converted(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.DOCUMENT:
            return need_text(row)
        if kind is Kind.SFT:
            turns = conversation(row)
            need_alternation(split_system(turns, empty=False)[1], ends_with="assistant")
            return {"conversations": self.said(turns)}
        need_alternation(split_system(row["prompt"], empty=False)[1], ends_with="prompt")
        prompt = self.said(row["prompt"])
        if kind is Kind.PREFERENCE:
            need_pair(row, single=True)
            return {"conversations": prompt, **{side: self.said(row[side])[0] for side in ("chosen", "rejected")}}
        need_answer(row["completion"], single=True)
        [answer] = self.said(row["completion"])
        if not answer["value"]:
            raise UnsupportedRow(ANSWER_EMPTY)
        return {"conversations": [*prompt, answer], "kto_tag": row["label"]}

    def describe(self, kind: Kind, place: str) -> dict[str, Any]:
        """The entry of ``dataset_info.json`` for the files at ``place``."""
        if kind is Kind.DOCUMENT:
            return {"file_name": place, "columns": {"prompt": "text"}}
        columns = {"messages": "conversations"}
        if kind is Kind.PREFERENCE:
            columns |= {"chosen": "chosen", "rejected": "rejected"}
        if kind is Kind.UNPAIRED:
            columns |= {"kto_tag": "kto_tag"}
        columns |= {name: name for name in self.more_columns()}
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
        self.remark(written)
        if self._joined:
            written.notes.append(
                f"{self._joined:,} rows have several results in a row, written into one turn with </tool_response>, "
                "<tool_response> between, as LLaMA-Factory does: templates without these marks show them as text"
            )
        if self._placeholders:
            written.notes.append(
                f"{self._placeholders:,} rows have {', '.join(_SHOWN)} in a text; with a multimodal template "
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
