"""Splits conversations into prompt and last answer; answers to the same prompt in the same language are candidates."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from curate.rows import Kind, message_text
from curate.rows.fields import latest_value
from curate.rows.ids import finish
from curate.rows.kinds import MEDIA
from curate.steps import Rows

Turn = dict[str, Any]
TRANSLATE = "translate"
"""The step whose rows have translated texts."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A prompt and an answer to it."""

    prompt: tuple[Turn, ...]
    answer: str
    """The last turn's text with its calls of tools (see :func:`curate.rows.message_text`); empty if the conversation
    does not end with an answer."""
    turns: tuple[Turn, ...] = ()
    """The answer as it is in the row."""

    @property
    def calls(self) -> bool:
        """Whether the answer calls tools: its text alone is not the answer."""
        return any(turn.get("tool_calls") for turn in self.turns)


def split_turns(turns: Sequence[Turn]) -> Candidate:
    """Splits a conversation into prompt and last answer, which is empty if the last turn is not an answer."""
    if turns and turns[-1]["role"] == "assistant":
        return Candidate(tuple(turns[:-1]), message_text(turns[-1]), (turns[-1],))
    return Candidate(tuple(turns), "")


def candidates(rows: Rows) -> list[Candidate]:
    """Each row as a candidate: the conversation of an ``sft`` row, prompt and completion of an ``unpaired`` one.

    Raises:
        ValueError: rows of another kind, which have no single answer.
    """
    if rows.kind is Kind.SFT:
        return [split_turns(turns) for turns in rows.table["messages"].to_pylist()]
    if rows.kind is Kind.UNPAIRED:
        pairs = zip(rows.table["prompt"].to_pylist(), rows.table["completion"].to_pylist(), strict=True)
        return [Candidate(tuple(prompt), _joined(answer), tuple(answer)) for prompt, answer in pairs]
    raise ValueError(f"{rows.kind} rows are not candidates")


def prompt_keys(rows: Rows, *, across: bool = False) -> list[bytes]:
    """16 bytes for each row, equal for rows that answer the same prompt, with the same tools and media, in the same
    language.

    Args:
        across: treat the same item in any language as the same prompt (``group_id``).
    """
    if across:
        begun = hashlib.blake2b(digest_size=16, person=b"curate-item")
        return [finish(begun, group.encode()) for group in rows.table["group_id"].to_pylist()]
    begun = hashlib.blake2b(digest_size=16, person=b"curate-prompt")
    beside: list[dict[str, Any]] = rows.table.select(["tools", *MEDIA]).to_pylist()
    given = [{name: value for name, value in one.items() if value is not None} for one in beside]
    return [
        finish(begun, _packed(language, one.prompt) + (orjson.dumps(more) if more else b""))
        for language, one, more in zip(rows.language.to_list(), candidates(rows), given, strict=True)
    ]


def makers_of(rows: Rows) -> list[str]:
    """``name@revision`` of the last model in the lineage of each row; empty if there is none."""
    return [
        next((maker["model"] for maker in reversed(lineage["makers"]) if maker["model"]), "")
        for lineage in rows.table["lineage"].to_pylist()
    ]


def _joined(turns: Sequence[Turn]) -> str:
    return "\n\n".join(message_text(turn) for turn in turns if turn["role"] == "assistant")


def _packed(language: str, turns: Sequence[Turn]) -> bytes:
    parts = [language, *(part for turn in turns for part in (turn["role"], message_text(turn)))]
    data = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join([len(part).to_bytes(8, "little") + part for part in data])


def score_column(rows: Rows, name: str) -> npt.NDArray[np.float64]:
    """The last value of the score of that name in each row; NaN if there is none."""
    if not len(rows):
        return np.zeros(0)
    scores = pl.Series("scores", pl.from_arrow(rows.table["scores"].combine_chunks()))
    return np.array(latest_value(scores, name).fill_null(float("nan")).to_list(), np.float64)


def score_names(rows: Rows) -> set[str]:
    """The names of all scores in the rows."""
    if not len(rows):
        return set()
    scores = pl.Series("scores", pl.from_arrow(rows.table["scores"].combine_chunks()))
    return set(scores.explode().drop_nulls().struct.field("name").unique().to_list())


def attribute_column(rows: Rows, name: str) -> list[str | None]:
    """The last value of the attribute of that name in each row."""
    attributes = rows.table["attributes"].to_pylist()
    return [next((one["value"] for one in reversed(own) if one["name"] == name), None) for own in attributes]


def was_translated(rows: Rows) -> list[bool]:
    """Whether each row's text is a translation: the last in its lineage to write it was `translate`."""
    lineages = rows.table["lineage"].to_pylist()
    return [last_step(lineage) == TRANSLATE for lineage in lineages]


def last_step(lineage: Mapping[str, Any]) -> str:
    """The last step in the lineage that wrote the text, by a model; empty if there is none.

    Where nothing needs translation (a name, code), `translate` has no model; the text is from the other row all the
    same.
    """
    made = (maker["step"] for maker in reversed(lineage["makers"]) if maker["model"] or maker["step"] == TRANSLATE)
    return str(next(made, ""))


def plain(answer: str) -> str:
    """The text by which answers are compared: without differences in whitespace, width or case."""
    return " ".join(unicodedata.normalize("NFKC", answer).casefold().split())
