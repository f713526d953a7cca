"""Three widely read formats: OpenAI's fine-tuning files, ShareGPT, Alpaca."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import PositiveInt

from curate.rows import Kind
from curate.rows.kinds import STRING, Role, messages_type
from curate.steps.outputs import Version, Written
from outputs.formats.files import Format
from outputs.formats.forms import ExportFormat, conversation
from outputs.formats.llama_factory import SAID, SAYINGS, TAGS
from outputs.formats.readme import UsageGuide
from outputs.formats.turns import (
    ENDS,
    MULTI,
    NO_TURNS,
    Turn,
    UnsupportedRow,
    need_alternation,
    need_no_tools,
    need_pair,
    need_prompt,
    split_system,
)

_MESSAGES = messages_type()
_STRINGS = pa.list_(pa.field("element", STRING, nullable=False))
_HISTORY = pa.list_(pa.field("element", _STRINGS, nullable=False))
_FEWEST = 10


class OpenAIFineTuning(ExportFormat):
    """Files for OpenAI's fine-tuning and compatible servers: ``messages``, or for preferences ``input``,
    ``preferred_output`` and ``non_preferred_output``.

    A line has no other fields, because servers may reject unknown ones; row ids are in ``rows/<split>.jsonl``, line by
    line.
    """

    tag: ClassVar[str] = "openai"
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.PREFERENCE})
    summary: ClassVar[str] = "OpenAI's fine-tuning files (JSON Lines), supervised and preference."
    formats: ClassVar[tuple[Format, ...]] = ("jsonl",)
    packed_json: ClassVar[bool] = False
    reader: ClassVar[str] = "OpenAI's fine-tuning"

    format: Format = "jsonl"
    """The server accepts only JSON Lines."""
    rows_per_file: PositiveInt | None = None
    """Maximum rows of a file; null: each split is one file."""
    meta_in: Literal["column", "file"] = "file"
    """``file``: in ``rows/<split>.jsonl``, line by line as the data. ``column``: ``meta`` in each row, for servers that
    accept it."""

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        if kind is Kind.SFT:
            return {"messages": _MESSAGES}
        return {
            "input": pa.struct([pa.field("messages", _MESSAGES, nullable=False)]),
            "preferred_output": _MESSAGES,
            "non_preferred_output": _MESSAGES,
        }

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.SFT:
            turns = conversation(row)
            need_no_tools(turns)  # a tool message must name its call, which rows do not store
            if not turns:
                raise UnsupportedRow(NO_TURNS)
            if turns[-1]["role"] != "assistant":
                raise UnsupportedRow(ENDS)
            return {"messages": turns}
        need_no_tools(row["prompt"])
        need_prompt(row["prompt"])
        need_pair(row, single=True)
        return {
            "input": {"messages": row["prompt"]},
            "preferred_output": row["chosen"],
            "non_preferred_output": row["rejected"],
        }

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        train, test = self.train_and_test(version, written)
        for split in version.splits:
            if 0 < written.rows[split] < _FEWEST:
                written.notes.append(f"{split} has {written.rows[split]} rows; OpenAI takes files of {_FEWEST} or more")
        names = [split for split in (train, test) if split]
        code = "from openai import OpenAI\n\nclient = OpenAI()\n" + "".join(
            f'{split} = client.files.create(file=open("{self.spread(split, written)[0]}", "rb"), purpose="fine-tune")\n'
            for split in names
        )
        method = ', method={"type": "dpo"}' if version.kind is Kind.PREFERENCE else ""
        validation = f", validation_file={test}.id" if test else ""
        code += f'client.fine_tuning.jobs.create(model="MODEL", training_file={train}.id{validation}{method})'
        return UsageGuide([], [("From this folder, with the model to tune for MODEL:", "python", code)])


class ShareGpt(ExportFormat):
    """``conversations`` of ``{from: system | human | gpt | observation, value}``; preferences with ``chosen`` and
    ``rejected`` objects."""

    tag: ClassVar[str] = "sharegpt"
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.PREFERENCE})
    summary: ClassVar[str] = "ShareGPT: conversations of from and value."
    reader: ClassVar[str] = "readers of ShareGPT"

    format: Format = "jsonl"
    """``jsonl``, ``json`` (one array), or ``parquet``."""
    rows_per_file: PositiveInt | None = None
    """Maximum rows of a file; null: each split is one file."""
    names: Mapping[Role, str] = {}
    """Names of the roles, if not ``system``, ``human``, ``gpt`` and ``observation``."""

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"conversations": SAYINGS, **({"chosen": SAID, "rejected": SAID} if kind is Kind.PREFERENCE else {})}

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        turns = conversation(row) if kind is Kind.SFT else row["prompt"]
        need_alternation(split_system(turns)[1], ends_with="assistant" if kind is Kind.SFT else "prompt")
        fields: dict[str, Any] = {"conversations": [self._said(turn) for turn in turns]}
        if kind is Kind.PREFERENCE:
            need_pair(row, single=True)
            fields |= {side: self._said(row[side][0]) for side in ("chosen", "rejected")}
        return fields

    def _said(self, turn: Turn) -> dict[str, str]:
        names = {**TAGS, **{str(role): name for role, name in self.names.items()}}
        return {"from": names[turn["role"]], "value": turn["content"]}

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        return _loading(self, version, written)


class Alpaca(ExportFormat):
    """``instruction``, ``input`` (empty: the whole request is in ``instruction``), ``output``, ``system``, ``history``
    of earlier turns; preferences with ``chosen`` and ``rejected``."""

    tag: ClassVar[str] = "alpaca"
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT, Kind.PREFERENCE})
    summary: ClassVar[str] = "Alpaca: instruction, input, output, with system and history."
    reader: ClassVar[str] = "readers of Alpaca"

    format: Format = "json"
    """``json`` (one array, as in Alpaca itself), ``jsonl``, or ``parquet``."""
    rows_per_file: PositiveInt | None = None
    """Maximum rows of a file; null: each split is one file."""
    history: bool = True
    """Write earlier turns into ``history`` (pairs of request and answer). If false, there is no such column, and
    conversations of several turns are skipped."""
    system_column: bool = True
    """Write system messages into ``system``. If false, there is no such column, and rows with one are skipped (see also
    ``system``)."""

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        answers = ("output",) if kind is Kind.SFT else ("chosen", "rejected")
        types = dict.fromkeys(("instruction", "input", *answers), STRING)
        types |= {"system": STRING} if self.system_column else {}
        return types | ({"history": _HISTORY} if self.history else {})

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        turns = conversation(row) if kind is Kind.SFT else row["prompt"]
        system, turns = split_system(turns, empty=False)
        need_no_tools(turns)
        need_alternation(turns, ends_with="assistant" if kind is Kind.SFT else "prompt")
        if kind is Kind.SFT:
            turns, answers = turns[:-1], {"output": turns[-1]["content"]}
        else:
            need_pair(row, single=True)
            answers = {side: row[side][0]["content"] for side in ("chosen", "rejected")}
        if len(turns) > 1 and not self.history:
            raise UnsupportedRow(MULTI)
        if system is not None and not self.system_column:
            raise UnsupportedRow("a system message, for which there is no column")
        fields: dict[str, Any] = {"instruction": turns[-1]["content"], "input": "", **answers}
        fields |= {"system": system or ""} if self.system_column else {}
        pairs = [[turns[at]["content"], turns[at + 1]["content"]] for at in range(0, len(turns) - 1, 2)]
        return fields | ({"history": pairs} if self.history else {})

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        return _loading(self, version, written)


def _loading(form: ExportFormat, version: Version, written: Written) -> UsageGuide:
    train, _ = form.train_and_test(version, written)
    code = f'from datasets import load_dataset\n\nrows = load_dataset("path/to/this/folder", split="{train}")'
    return UsageGuide([], [(f"Data to train on: `{form.place(train, written)}`. In Python:", "python", code)])
