"""Output for torchtune, which reads whole conversations and stops with an error at the first invalid one.

After ``torchtune/datasets/{_chat,_preference}.py`` and ``torchtune/data/_messages.py`` of 0.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from curate.rows import Kind
from curate.rows.kinds import STRING, messages_type
from curate.steps.outputs import Version, Written
from outputs.formats.forms import ExportFormat, conversation
from outputs.formats.readme import UsageGuide, write_yaml
from outputs.formats.turns import (
    Turn,
    need_alternation,
    need_no_tools,
    need_pair,
    need_prompt,
    need_text,
    split_system,
)

_MESSAGES = messages_type()


class Torchtune(ExportFormat):
    """Data for torchtune: ``messages`` (chat), ``chosen`` and ``rejected`` conversations (preference), ``text``
    (completion)."""

    tag: ClassVar[str] = "torchtune"
    version: ClassVar[int] = 2
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.PREFERENCE, Kind.DOCUMENT})
    summary: ClassVar[str] = "torchtune: chat, preference and completion datasets, with the YAML part."
    reader: ClassVar[str] = "torchtune"

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        if kind is Kind.SFT:
            return {"messages": _MESSAGES}
        return {"text": STRING} if kind is Kind.DOCUMENT else {"chosen": _MESSAGES, "rejected": _MESSAGES}

    def trained(self, kind: Kind, row: Mapping[str, Any]) -> list[Turn]:
        turns = super().trained(kind, row)
        return [*row["prompt"], *turns] if kind is Kind.PREFERENCE else turns  # it trains on all of both conversations

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.DOCUMENT:
            return need_text(row)
        if kind is Kind.SFT:
            turns = conversation(row)
            _need_plain(turns)
            return {"messages": turns}
        need_prompt(row["prompt"])
        need_pair(row)
        conversations = {side: row["prompt"] + row[side] for side in ("chosen", "rejected")}
        for turns in conversations.values():
            _need_plain(turns)
        return conversations

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        component, more = {
            Kind.SFT: ("chat_dataset", {"conversation_column": "messages", "conversation_style": "openai"}),
            Kind.PREFERENCE: ("preference_dataset", {}),
            Kind.DOCUMENT: ("text_completion_dataset", {"column": "text"}),
        }[version.kind]
        source = "parquet" if self.format == "parquet" else "json"
        train, test = self.train_and_test(version, written)
        values = {
            key: {
                "_component_": f"torchtune.datasets.{component}",
                "source": source,
                **more,
                "data_files": self.spread(split, written),
                "split": "train",
            }
            for key, split in (("dataset", train), ("dataset_val", test))
            if split
        }
        config = write_yaml(
            folder / "torchtune.yaml",
            values,
            "Put this part into your recipe's configuration; the paths are relative to this folder.",
            *(["torchtune 0.6 has no recipe that reads dataset_val."] if test else []),
        )
        run = "tune run RECIPE --config CONFIG   # with this part in CONFIG"
        return UsageGuide(
            [config], [("From this folder, with `torchtune.yaml` in your recipe's configuration:", "sh", run)]
        )


def _need_plain(turns: list[dict[str, str]]) -> None:
    _, rest = split_system(turns)
    need_no_tools(rest)
    need_alternation(rest, ends_with="assistant")
