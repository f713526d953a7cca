"""Output for TRL, which reads conversations directly and recognises data by column names: there are no others but
``meta``.

After ``docs/source/dataset_formats.md`` and the trainers of TRL 1.16.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from curate.rows import Kind, message_columns
from curate.rows.kinds import MESSAGE_EXTRAS, PLACEHOLDERS, STRING, STRINGS, messages_type
from curate.steps.outputs import Version, Written
from outputs.formats.forms import ExportFormat, conversation, score_of, unfit
from outputs.formats.readme import UsageGuide, data_readme, write_yaml
from outputs.formats.structure import OBJECTS, need_exact, need_places, pieces, spoken, tools_of
from outputs.formats.turns import (
    NO_TURNS,
    PREFIX,
    Turn,
    UnsupportedRow,
    need_answer,
    need_pair,
    need_prompt,
    need_text,
)

Trainer = Literal["sft", "dpo", "kto", "reward", "grpo", "rloo"]
_MESSAGES = messages_type()
_TRAINERS: Mapping[Kind, tuple[Trainer, ...]] = {
    Kind.SFT: ("sft",),
    Kind.DOCUMENT: ("sft",),
    Kind.PREFERENCE: ("dpo", "kto", "reward"),
    Kind.UNPAIRED: ("kto",),
    Kind.PROMPT: ("grpo", "rloo"),
}
_ASKED = ("messages", "prompt")
_ANSWERS = ("completion", "chosen", "rejected")


def _message(turn: Turn, images: bool) -> dict[str, Any]:
    """A message as chat templates read it; with images, its text is cut at their places."""
    message = spoken(turn)
    for call in message.get("tool_calls", ()):
        need_exact(call["function"]["arguments"])
    if images and turn["content"]:
        place = PLACEHOLDERS["images"]
        message["content"] = [
            {"type": "image"} if piece == place else {"type": "text", "text": piece}
            for piece in pieces(turn["content"])
        ]
    return message


class Trl(ExportFormat):
    """Data for TRL's trainers: SFT (``messages``, ``prompt`` and ``completion``, or ``text``), DPO and Reward
    (``prompt``, ``chosen``, ``rejected``), KTO (``prompt``, ``completion``, ``label``), GRPO and RLOO (``prompt``).

    Messages are lists of ``{role, content}``; TRL applies the model's own chat template. If a row has calls, reasoning,
    names or images, messages are objects that ``datasets`` 4.7 and newer read with their own keys only.
    """

    tag: ClassVar[str] = "trl"
    version: ClassVar[int] = 2
    kinds: ClassVar[frozenset[Kind]] = frozenset(_TRAINERS)
    summary: ClassVar[str] = "TRL: SFT, DPO, KTO, Reward, GRPO, in the conversational form."
    reader: ClassVar[str] = "TRL"

    trainer: Trainer | None = None
    """The trainer to configure. Default: ``sft``, ``dpo`` (preferences), ``kto`` (unpaired), ``grpo`` (prompts).
    Preference rows are the same for ``dpo``, ``reward`` and ``kto`` (which splits pairs itself)."""
    messages: Literal["messages", "prompt_completion"] = "messages"
    """SFT rows as whole conversations, or as ``prompt`` (everything before the last answer) and ``completion`` (only
    this is trained on)."""
    prompt: Literal["explicit", "implicit"] = "explicit"
    """Preferences with the prompt in its own column, or as the beginning of both conversations."""
    margin: str | None = None
    """The score for the column ``margin``, used by the Reward trainer's loss (``pair.margin``). Default: no such
    column. Rows without this score are skipped."""

    def check(self, kind: Kind) -> list[str]:
        problems = [*super().check(kind), *unfit("trainer", self.trainer, kind, _TRAINERS)]
        if self.messages != "messages" and kind is not Kind.SFT:
            problems.append(f"messages: applies to sft rows, and these are {kind} rows")
        if kind is not Kind.PREFERENCE:
            for name in ("prompt", "margin"):
                if getattr(self, name) not in (None, "explicit"):
                    problems.append(f"{name}: only for preferences, these are {kind} rows")
        return problems

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        if kind is Kind.DOCUMENT:
            return {"text": STRING}
        messages = OBJECTS if self._structured else _MESSAGES
        more: dict[str, pa.DataType] = {"tools": STRING} if self.has("tools") and "tools" in self.keeps(kind) else {}
        more |= {"images": STRINGS} if self.has("images") else {}
        if kind is Kind.SFT:
            whole = self.messages == "messages"
            names = ("messages",) if whole else ("prompt", "completion")
            return dict.fromkeys(names, messages) | more
        if kind is Kind.PROMPT:
            return {"prompt": messages, **more}
        if kind is Kind.UNPAIRED:
            return {"prompt": messages, "completion": messages, "label": pa.bool_(), **more}
        own: dict[str, pa.DataType] = {"prompt": messages} if self.prompt == "explicit" else {}
        margin: dict[str, pa.DataType] = {"margin": pa.float64()} if self.margin else {}
        return own | {"chosen": messages, "rejected": messages} | margin | more

    @property
    def _structured(self) -> bool:
        """Whether messages have other keys than role and content."""
        return self.has("images", *(name for name in MESSAGE_EXTRAS if name != "weight"))

    def keeps(self, kind: Kind) -> frozenset[str]:
        parts = frozenset({"tool_calls", "tool_call_id", "name", "reasoning", "images"})
        return parts if kind is Kind.PROMPT else parts | {"tools"}  # GRPO and RLOO read no column of tools

    def trained(self, kind: Kind, row: Mapping[str, Any]) -> list[Turn]:
        turns = super().trained(kind, row)
        return turns if self.messages == "messages" else turns[-1:]

    def needs(self, kind: Kind) -> tuple[str, ...]:
        return ("scores",) if self.margin else ()

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        fields = self._fields(kind, row)
        return self._with_structure(kind, row, fields) if self._extras else fields

    def _with_structure(self, kind: Kind, row: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
        columns = [name for name in (*_ASKED, *_ANSWERS) if name in fields]
        # TRL fills the places of images in the prompt; answers must have none.
        need_places(row, [turn for name in message_columns(kind) for turn in row[name]])
        need_places(row, row["prompt"] if "prompt" in row else fields[columns[0]])
        if self._structured:
            fields = fields | {name: [_message(turn, "images" in row) for turn in fields[name]] for name in columns}
        tools_of(row)
        return fields | {"tools": row.get("tools"), "images": row.get("images", [])}

    def _fields(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.DOCUMENT:
            return need_text(row)
        if kind is Kind.SFT:
            return self._conversation(row)
        need_prompt(row["prompt"])
        if kind is Kind.UNPAIRED:
            need_answer(row["completion"])
        return self._preference(row) if kind is Kind.PREFERENCE else row

    def _conversation(self, row: dict[str, Any]) -> dict[str, Any]:
        turns = conversation(row)
        if not turns:
            raise UnsupportedRow(NO_TURNS)
        if self.messages == "messages":
            return {"messages": turns}
        need_prompt(turns[:-1])
        need_answer(turns[-1:])
        return {"prompt": turns[:-1], "completion": turns[-1:]}

    def _preference(self, row: dict[str, Any]) -> dict[str, Any]:
        need_pair(row)
        prompt, chosen, rejected = row["prompt"], row["chosen"], row["rejected"]
        columns = {"chosen": chosen, "rejected": rejected}
        if self.prompt == "explicit":
            columns = {"prompt": prompt, **columns}
        else:
            # TRL uses the longest common beginning as the prompt.
            if all(one == other for one, other in zip(chosen, rejected, strict=False)):
                raise UnsupportedRow(PREFIX)
            columns = {"chosen": prompt + chosen, "rejected": prompt + rejected}
        if self.margin:
            margin = score_of(row, self.margin)
            if margin is None:
                raise UnsupportedRow(f"no score '{self.margin}' for the margin")
            return {**columns, "margin": margin}
        return columns

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        kind = version.kind
        trainer = self.trainer or ("reward" if self.margin else _TRAINERS[kind][0])
        train, test = self.train_and_test(version, written)
        values: dict[str, Any] = {"dataset_name": "data", "dataset_train_split": train}
        if test:
            values |= {"dataset_test_split": test, "eval_strategy": "epoch"}
        values["output_dir"] = f"{version.name}-{trainer}"
        remarks = ["From this folder; see README.md."]
        if trainer == "sft" and "messages" in self.columns(kind):
            remarks += [
                "Trains on every turn; with 'assistant_only_loss: true' only on the assistant's, if the model's chat "
                "template",
                "marks them.",
            ]
        config = write_yaml(folder / "trl.yaml", values, *remarks)
        run = f"trl {trainer} --config trl.yaml --model_name_or_path MODEL"
        if trainer in ("grpo", "rloo"):
            run += " --reward_funcs REWARD"
        written.notes += self._remarks()
        load = f'from datasets import load_dataset\n\ntrain = load_dataset("data", split="{train}")'
        return UsageGuide(
            [config, data_readme(self, version, folder, written)],
            [
                ("From this folder, with your model for MODEL:", "sh", run),
                ("Or in Python, for your own trainer:", "python", load),
            ],
        )

    def _remarks(self) -> list[str]:
        remarks = []
        if self._structured:
            remarks.append("messages are objects with their own keys only: reading them needs datasets 4.7 or newer")
        if self.has("reasoning"):
            remarks.append(
                "reasoning is in reasoning_content, which the model's chat template must read (Qwen3's does)"
            )
        if self.has("images"):
            remarks.append(
                "images are paths relative to the folder where the training starts, URLs, or data URLs: the model's "
                "processor opens them"
            )
        return remarks
