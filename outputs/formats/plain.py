"""Three widely read formats: OpenAI's fine-tuning files, ShareGPT, Alpaca."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import PositiveInt, PrivateAttr

from curate.rows import Kind, message_columns
from curate.rows.kinds import PLACEHOLDERS, STRING, Role, messages_type
from curate.steps.outputs import Version, Written
from outputs.formats.files import Format
from outputs.formats.forms import ExportFormat, conversation
from outputs.formats.llama_factory import SAID, SAYINGS, TAGS, ShareGptForm
from outputs.formats.readme import UsageGuide
from outputs.formats.structure import JSON, OBJECTS, need_places, need_single_results, pieces, tools_of
from outputs.formats.turns import (
    ENDS,
    MULTI,
    NO_TURNS,
    TOOL,
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


UNANSWERED = "a call without its result before the next message"
NAME = "the name of a function that OpenAI does not take (letters, digits, _ and -)"
NOT_URL = "an image that is neither a URL nor a data URL"
NOT_ASKED = "an image in a message that is not the user's"
TWICE = "two calls of one id"
UNTRAINED = "all answers have weight 0"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_URL = re.compile(r"https?://|data:image/")


class OpenAIFineTuning(ExportFormat):
    """Files for OpenAI's fine-tuning and compatible servers: ``messages`` and ``tools``, or for preferences ``input``,
    ``preferred_output`` and ``non_preferred_output``.

    A line has no other fields, because servers may reject unknown ones; row ids are in ``rows/<split>.jsonl``, line by
    line. Calls without ids are given some; images are ``image_url`` parts.
    """

    tag: ClassVar[str] = "openai"
    version: ClassVar[int] = 2
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
    _unnamed: int = PrivateAttr(default=0)

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        objects = bool(self._extras - {"reasoning"})
        messages = OBJECTS if objects else _MESSAGES
        if kind is Kind.SFT:
            return {"messages": messages, **({"tools": OBJECTS} if self.has("tools") else {})}
        return {
            "input": JSON if objects else pa.struct([pa.field("messages", _MESSAGES, nullable=False)]),
            "preferred_output": messages,
            "non_preferred_output": messages,
        }

    def keeps(self, kind: Kind) -> frozenset[str]:
        parts = frozenset({"tool_calls", "tool_call_id", "name", "tools", "images"})
        return parts | {"weight"} if kind is Kind.SFT else parts

    def drops(self, kind: Kind) -> frozenset[str]:
        return frozenset({"reasoning"})

    def begin(self) -> None:
        self._unnamed = 0

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        tools = tools_of(row)
        for tool in tools or ():
            _need_name(str(tool["function"]["name"]))
        fields = self._fields(kind, row, {"tools": tools} if tools else {})
        self._unnamed += any(_unnamed(turn) for name in message_columns(kind) for turn in row[name])
        return fields

    def _fields(self, kind: Kind, row: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        if kind is Kind.SFT:
            turns = conversation(row)
            if not turns:
                raise UnsupportedRow(NO_TURNS)
            [messages] = self._messages(row, turns)
            if turns[-1]["role"] != "assistant":
                raise UnsupportedRow(ENDS)
            if all(turn.get("weight") == 0 for turn in turns if turn["role"] == "assistant"):
                raise UnsupportedRow(UNTRAINED)
            return {"messages": messages, **more}
        sides = [self._messages(row, row["prompt"], row[side]) for side in ("chosen", "rejected")]
        need_prompt(row["prompt"])
        need_pair(row, single=True)
        return {
            "input": {"messages": sides[0][0], **more},
            "preferred_output": sides[0][1],
            "non_preferred_output": sides[1][1],
        }

    def _messages(self, row: Mapping[str, Any], *parts: list[Turn]) -> list[list[dict[str, Any]]]:
        """The messages of a prompt and its answer, or of a conversation, in OpenAI's form."""
        if not self._extras:
            need_no_tools(parts[0])
            return list(parts)
        whole = [turn for turns in parts for turn in turns]
        need_places(row, whole)
        ids, images = _Ids(whole), list(row.get("images", ()))
        made: list[list[dict[str, Any]]] = []
        for turns in parts:
            made.append([])
            for turn in turns:
                message = {"role": turn["role"], **_content(turn, images), **ids.of(turn)}
                if "name" in turn and not _unnamed(turn):
                    message["name"] = turn["name"]
                if "weight" in turn and turn["role"] == "assistant":
                    message["weight"] = turn["weight"]
                made[-1].append(message)
        return made

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        train, test = self.train_and_test(version, written)
        for split in version.splits:
            if 0 < written.rows[split] < _FEWEST:
                written.notes.append(f"{split} has {written.rows[split]} rows; OpenAI takes files of {_FEWEST} or more")
        if self._unnamed:
            written.notes.append(
                f"{self._unnamed:,} rows are without names of tools' messages, or of speakers that OpenAI does not take"
            )
        names = [split for split in (train, test) if split]
        code = "from openai import OpenAI\n\nclient = OpenAI()\n" + "".join(
            f'{split} = client.files.create(file=open("{self.spread(split, written)[0]}", "rb"), purpose="fine-tune")\n'
            for split in names
        )
        method = ', method={"type": "dpo"}' if version.kind is Kind.PREFERENCE else ""
        validation = f", validation_file={test}.id" if test else ""
        code += f'client.fine_tuning.jobs.create(model="MODEL", training_file={train}.id{validation}{method})'
        return UsageGuide([], [("From this folder, with the model to tune for MODEL:", "python", code)])


class _Ids:
    """Gives calls and their results the ids that OpenAI requires."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        given = {call["id"] for turn in turns for call in turn.get("tool_calls", ())}
        self._free = (name for name in map("call_{}".format, count(1)) if name not in given)
        self._open: list[str] = []

    def of(self, turn: Turn) -> dict[str, Any]:
        """The fields of a message that concern calls.

        Raises:
            UnsupportedRow: a result without a call, or a call without a result.
        """
        if turn["role"] == "tool":
            given = turn.get("tool_call_id", next(iter(self._open), ""))
            if given not in self._open:
                raise UnsupportedRow(TOOL)
            self._open.remove(given)
            return {"tool_call_id": given}
        if self._open:
            raise UnsupportedRow(UNANSWERED)
        calls = []
        for call in turn.get("tool_calls", ()):
            _need_name(call["function"]["name"])
            made = call["id"] or next(self._free)
            if made in self._open:
                raise UnsupportedRow(TWICE)
            self._open.append(made)
            calls.append({"id": made, "type": "function", "function": dict(call["function"])})
        return {"tool_calls": calls} if calls else {}


def _unnamed(turn: Turn) -> bool:
    """Whether a message has a name that OpenAI does not take."""
    return "name" in turn and (turn["role"] == "tool" or not _NAME.fullmatch(turn["name"]))


def _content(turn: Turn, images: list[str]) -> dict[str, Any]:
    """The content of a message, none if it only calls; places of images become parts."""
    text = turn["content"]
    place = PLACEHOLDERS["images"]
    if not images or place not in text:
        return {} if "tool_calls" in turn and not text else {"content": text}
    if turn["role"] != "user":
        raise UnsupportedRow(NOT_ASKED)
    parts: list[dict[str, Any]] = []
    for piece in pieces(text):
        if piece != place:
            parts.append({"type": "text", "text": piece})
            continue
        if not _URL.match(images[0]):
            raise UnsupportedRow(NOT_URL)
        parts.append({"type": "image_url", "image_url": {"url": images.pop(0)}})
    return {"content": parts}


def _need_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UnsupportedRow(NAME)


class ShareGpt(ShareGptForm):
    """``conversations`` of ``{from: system | human | gpt | function_call | observation, value}``, ``tools`` as JSON;
    preferences with ``chosen`` and ``rejected`` objects."""

    tag: ClassVar[str] = "sharegpt"
    version: ClassVar[int] = 2
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
        pair = {"chosen": SAID, "rejected": SAID} if kind is Kind.PREFERENCE else {}
        return {"conversations": SAYINGS, **pair, **self.more_columns()}

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        turns = conversation(row) if kind is Kind.SFT else row["prompt"]
        need_single_results(turns)
        need_alternation(split_system(turns)[1], ends_with="assistant" if kind is Kind.SFT else "prompt")
        fields: dict[str, Any] = {"conversations": self.said(turns)}
        if kind is Kind.PREFERENCE:
            need_pair(row, single=True)
            fields |= {side: self.said(row[side])[0] for side in ("chosen", "rejected")}
        return fields | self.more(kind, row)

    def tags(self) -> Mapping[str, str]:
        return {**TAGS, **{str(role): name for role, name in self.names.items()}}

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        self.remark(written)
        return _loading(self, version, written)


class Alpaca(ExportFormat):
    """``instruction``, ``input`` (empty: the whole request is in ``instruction``), ``output``, ``system``, ``history``
    of earlier turns; preferences with ``chosen`` and ``rejected``."""

    tag: ClassVar[str] = "alpaca"
    version: ClassVar[int] = 2
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
