"""Output for Axolotl: conversations for SFT and DPO, rendered text for KTO, three strings for reward models.

Axolotl reads each with the strategy that its YAML names. After ``docs/`` and ``src/axolotl/prompt_strategies/`` of
0.19.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import PrivateAttr

from curate.rows import Kind
from curate.rows.kinds import FUNCTION, MEDIA, PLACEHOLDERS, STRING, messages_type
from curate.steps.outputs import Version, Written
from outputs.formats.forms import conversation, unfit
from outputs.formats.readme import UsageGuide, write_yaml
from outputs.formats.rendered import RENDERED, RenderedForm
from outputs.formats.structure import arguments_of, need_places, pieces, tools_of
from outputs.formats.template import shared_beginning
from outputs.formats.turns import (
    MULTI,
    Turn,
    UnsupportedRow,
    need_answer,
    need_no_tools,
    need_pair,
    need_prompt,
    need_text,
    need_trained,
    split_system,
)

Task = Literal["sft", "multimodal", "dpo", "kto", "reward", "completion"]
_MESSAGES = messages_type()
_CALL = pa.struct([pa.field("id", STRING), pa.field("type", STRING), pa.field("function", FUNCTION)])
# Optional part → Axolotl's field. It removes nulls, and parses arguments that are text.
_FIELDS: Mapping[str, tuple[str, pa.DataType]] = {
    "tool_calls": ("tool_calls", pa.list_(pa.field("element", _CALL, nullable=False))),
    "tool_call_id": ("tool_call_id", STRING),
    "name": ("name", STRING),
    "reasoning": ("reasoning_content", STRING),
    "weight": ("train", pa.bool_()),
}
_PART = pa.struct([pa.field(name, STRING, nullable=name != "type") for name in ("type", "text", "path", "url")])
_PARTS = pa.list_(pa.field("element", pa.struct([("role", STRING), ("content", pa.list_(_PART))]), nullable=False))
"""Messages with media: Axolotl removes nulls."""
_TASKS: Mapping[Kind, tuple[Task, ...]] = {
    Kind.SFT: ("sft", "multimodal"),
    Kind.PREFERENCE: ("dpo", "reward"),
    Kind.UNPAIRED: ("kto",),
    Kind.DOCUMENT: ("completion",),
}
UNFINDABLE = "an answer that Axolotl does not find again in the rendered conversation"
# Axolotl renders an answer after this turn and searches for the answer's text from the beginning.
_DUMMY: Turn = {"role": "user", "content": "[[dummy_message]]"}


def _message(turn: Turn) -> dict[str, Any]:
    """A message with Axolotl's names of its optional parts."""
    named = {_FIELDS[name][0] if name in _FIELDS else name: value for name, value in turn.items()}
    if "tool_calls" in turn:
        for call in turn["tool_calls"]:
            arguments_of(call)
        named["tool_calls"] = [{**call, "id": call["id"] or None} for call in turn["tool_calls"]]
    return {**named, "train": False} if "weight" in turn else named


def _in_parts(turns: Sequence[Turn], row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Messages whose contents are lists of texts and media, as a multimodal model's processor reads them."""
    media = {PLACEHOLDERS[name]: iter(row.get(name, ())) for name in MEDIA}
    shown = any(name in row for name in MEDIA)
    for turn in turns:
        parts = []
        for piece in pieces(turn["content"]) if shown else [turn["content"]]:
            if shown and piece in media:
                place = next(media[piece])
                where = "url" if "://" in place or place.startswith("data:") else "path"
                parts.append({"type": piece.strip("<>"), where: place})
            else:
                parts.append({"type": "text", "text": piece})
        yield {"role": turn["role"], "content": parts or [{"type": "text", "text": ""}]}


class Axolotl(RenderedForm):
    """Data for Axolotl: ``messages`` (SFT), ``prompt``, ``chosen``, ``rejected`` (DPO), rendered ``prompt`` and
    ``completion`` with ``label`` (KTO), ``system``, ``input``, ``chosen``, ``rejected`` (reward models), ``text``
    (completion); and the YAML part that reads it."""

    tag: ClassVar[str] = "axolotl"
    version: ClassVar[int] = 3
    kinds: ClassVar[frozenset[Kind]] = frozenset(_TASKS)
    summary: ClassVar[str] = "Axolotl: SFT, DPO, KTO, reward models, completion, with the YAML part."
    packed_json: ClassVar[bool] = False
    reader: ClassVar[str] = "Axolotl"

    task: Task | None = None
    """The task. Default: ``sft`` (conversations; or ``multimodal``, with media and without tools), ``dpo``
    (preferences; or ``reward``), ``kto`` (unpaired), ``completion`` (documents)."""
    template_file: str | None = None
    """The chat template that renders the text for KTO, and in which DPO answers must be found: a Jinja file, a
    ``tokenizer_config.json``, or a model's folder. Default: ChatML. Axolotl's own setting stays
    ``tokenizer_default``."""
    _systems: dict[bool, int] = PrivateAttr(default_factory=dict)

    def begin(self) -> None:
        super().begin()
        self._systems = {True: 0, False: 0}

    def check(self, kind: Kind) -> list[str]:
        return [*super().check(kind), *unfit("task", self.task, kind, _TASKS)]

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        if self.task == "multimodal":
            return {"messages": _PARTS}
        if kind is Kind.SFT:
            return {"messages": self._messages(), **({"tools": STRING} if self.has("tools") else {})}
        if kind is Kind.DOCUMENT:
            return {"text": STRING}
        if kind is Kind.UNPAIRED:
            return {"prompt": STRING, "completion": STRING, "label": pa.bool_()}
        if self.task == "reward":
            return {"system": STRING, "input": STRING, "chosen": STRING, "rejected": STRING}
        return {"prompt": _MESSAGES, "chosen": _MESSAGES, "rejected": _MESSAGES}

    def _messages(self) -> pa.DataType:
        """Messages with the optional fields that the version needs."""
        more = [pa.field(*_FIELDS[name], nullable=True) for name in _FIELDS if self.has(name)]
        dtype = pa.struct([*_MESSAGES.value_type, *more])
        return pa.list_(pa.field("element", dtype, nullable=False)) if more else _MESSAGES

    def keeps(self, kind: Kind) -> frozenset[str]:
        if self.task == "multimodal":  # its collator reads role and content only
            return frozenset(MEDIA)
        if kind is Kind.SFT:
            return RENDERED | {"weight"}
        # Its strategies for DPO and reward models read role and content only.
        return RENDERED if kind is Kind.UNPAIRED else frozenset()

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.DOCUMENT:
            return need_text(row)
        if kind is Kind.SFT:
            turns = conversation(row)
            need_trained(turns)  # it drops samples without a token to train on
            if self.task == "multimodal":
                need_no_tools(turns)
                need_places(row, turns)
                return {"messages": list(_in_parts(turns, row))}
            tools_of(row)
            return {
                "messages": [_message(turn) for turn in turns] if self._extras else turns,
                "tools": row.get("tools"),
            }
        need_prompt(row["prompt"])
        if kind is Kind.UNPAIRED:
            need_answer(row["completion"])
            prompt, completion = self.pair(row, "completion")
            return {"prompt": prompt, "completion": completion, "label": row["label"]}
        need_pair(row, single=True)
        if self.task == "reward":
            return self._reward(row)
        for side in ("chosen", "rejected"):
            self._need_findable(row[side][0])
        return row

    def _reward(self, row: dict[str, Any]) -> dict[str, Any]:
        system, turns = split_system(row["prompt"], empty=False)
        need_no_tools(turns)
        if len(turns) != 1:
            raise UnsupportedRow(MULTI)
        self._systems[system is not None] += 1
        return {
            "system": system or "",
            "input": turns[0]["content"],
            "chosen": row["chosen"][0]["content"],
            "rejected": row["rejected"][0]["content"],
        }

    def _need_findable(self, answer: Turn) -> None:
        """Refuses an answer whose text Axolotl's DPO strategy would not find in the right place: it takes everything
        from the first occurrence."""
        content = answer["content"]
        if content != content.strip() and self.template_file is None:
            raise UnsupportedRow(UNFINDABLE)  # many templates trim, so the text would not be found
        rendered = self.template.render([_DUMMY, answer], answer=False)
        head = self.template.render([_DUMMY], answer=True)
        if rendered.find(content) < len(shared_beginning(head, rendered)):
            raise UnsupportedRow(UNFINDABLE)

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        kind = version.kind
        task = self.task or _TASKS[kind][0]
        train, test = self.train_and_test(version, written)
        strategies: dict[Task, dict[str, Any]] = {
            "sft": {"type": "chat_template", "field_messages": "messages", "roles_to_train": ["assistant"]},
            "multimodal": {"type": "chat_template", "field_messages": "messages", "roles_to_train": ["assistant"]},
            "dpo": {
                "type": "chat_template.default",
                "field_messages": "prompt",
                "field_chosen": "chosen",
                "field_rejected": "rejected",
            },
            "kto": {"type": {"field_prompt": "prompt", "field_completion": "completion", "field_label": "label"}},
            "reward": {"type": "bradley_terry.chat_template"},
            "completion": {"type": "completion", "field": "text"},
        }
        if task == "sft" and self.has("weight"):
            strategies["sft"]["message_field_training"] = "train"
        strategy = strategies[task]
        if task == "reward":
            strategy |= self._systemless(written)
        values: dict[str, Any] = {"datasets": [{**self._place(train, written), **strategy}]}
        if test:
            values["test_datasets"] = [{**self._place(test, written), **strategy}]
        if task in ("dpo", "kto"):
            values |= {"rl": task, "remove_unused_columns": False}
        if task == "reward":
            values |= {"reward_model": True, "model_type": "AutoModelForSequenceClassification", "num_labels": 1}
        if task in ("sft", "dpo", "reward"):
            values["chat_template"] = "tokenizer_default"
        if task == "multimodal":
            values |= {
                "processor_type": "AutoProcessor",
                "skip_prepare_dataset": True,
                "remove_unused_columns": False,
                "sample_packing": False,
            }
            written.notes.append(
                "media are parts of the messages: paths relative to the folder where the training starts, or URLs, "
                "which the model's processor opens; Axolotl names the chat_template of some models"
            )
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
        return UsageGuide(
            [config],
            [
                (
                    "From this folder, with your model for MODEL (and all else of a training in `axolotl.yaml`):",
                    "sh",
                    run,
                )
            ],
        )

    def _systemless(self, written: Written) -> dict[str, Any]:
        """Axolotl's reward strategy adds an empty system message to conversations without one, unless all are
        dropped."""
        if self._systems[True] and self._systems[False]:
            written.notes.append(
                f"{self._systems[False]:,} rows have no system message and {self._systems[True]:,} have one: Axolotl "
                "adds an empty one to those without; use system: merge, system: drop, or add_system"
            )
        return {} if self._systems[True] else {"drop_system_message": True}

    def _place(self, split: str, written: Written) -> dict[str, Any]:
        """The location of a split. For several files only the folder: for DPO and KTO Axolotl ignores ``ds_type`` and
        would read ``data_files`` of Parquet as JSON."""
        place = self.place(split, written)
        kind = {} if place.endswith(f"/{split}") else {"ds_type": "parquet" if self.format == "parquet" else "json"}
        return {"path": place, **kind, "split": "train"}
