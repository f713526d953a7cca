"""Output for sentence-transformers, whose losses take columns of text in order, and a last one ``label`` or ``score``.

After ``training_overview`` and ``loss_overview`` of sentence-transformers 5: the names of the columns do not matter,
their order does, and every column but ``label`` and ``score`` is an input.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from curate.rows import Kind
from curate.rows.kinds import STRING
from curate.steps.outputs import Version, Written
from outputs.formats.forms import ExportFormat, attribute_of, score_of
from outputs.formats.readme import UsageGuide
from outputs.formats.turns import EQUAL, MULTI, PROMPT_EMPTY, TEXT_EMPTY, Turn, UnsupportedRow

KINDS = (Kind.PARALLEL, Kind.SFT, Kind.PREFERENCE)
_LABELS = {"true": 1, "1": 1, "yes": 1, "false": 0, "0": 0, "no": 0}
_LOSSES = {
    "score": "CoSENTLoss",
    "label": "ContrastiveLoss",
    "": "MultipleNegativesRankingLoss",
}


class SentenceTransformers(ExportFormat):
    """Pairs, triplets and n-tuples of texts for sentence-transformers: ``anchor``, ``positive``, ``negative`` …; with
    ``score`` or ``label`` ``sentence1``, ``sentence2`` and that column.

    The anchor is the source side, or the user's one message; the positive is the target side, the answer, or the chosen
    one. Negatives are the rejected answer of preferences, and the attributes that `negatives` made. There is no column
    ``meta``, because every column is an input; row ids are in ``rows/<split>.jsonl``, line by line.
    """

    tag: ClassVar[str] = "sentence-transformers"
    kinds: ClassVar[frozenset[Kind]] = frozenset(KINDS)
    summary: ClassVar[str] = (
        "sentence-transformers: pairs, triplets, n-tuples, scored and labelled pairs, in column order."
    )
    formats = ("parquet", "jsonl")
    reader: ClassVar[str] = "sentence-transformers"

    negatives: Annotated[int, Field(ge=0, le=100)] = 0
    """The number of negatives of each row out of its attributes; a row with fewer is skipped."""
    negatives_from: str = "negatives"
    """Label of the step that made them."""
    score: str | None = None
    """The score for the column ``score``, such as ``similarity.score``; a row without it is skipped."""
    label: str | None = None
    """The attribute for the column ``label`` (``true`` or ``false``, 1 or 0), such as ``negatives.label``; a row
    without it is skipped."""
    meta_in: Literal["column", "file"] = "file"
    """``file``: in ``rows/<split>.jsonl``, line by line as the data. A column would be an input of the loss."""

    def check(self, kind: Kind) -> list[str]:
        problems = super().check(kind)
        if self.meta_in == "column" and self.meta:
            problems.append("meta_in: every column is an input of the loss; write 'file', or 'meta: []'")
        if self.score and self.label:
            problems.append("score, label: a loss takes one of them")
        if (self.score or self.label) and (self.negatives or kind is Kind.PREFERENCE):
            problems.append("score, label: they are of a pair of texts, without negatives")
        return problems

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        if self.score or self.label:
            last: dict[str, pa.DataType] = {"score": pa.float64()} if self.score else {"label": pa.int64()}
            return {"sentence1": STRING, "sentence2": STRING, **last}
        return dict.fromkeys(("anchor", "positive", *self._names(kind)), STRING)

    def _names(self, kind: Kind) -> list[str]:
        count = self.negatives + (kind is Kind.PREFERENCE)
        return ["negative"] if count == 1 else [f"negative_{number}" for number in range(1, count + 1)]

    def needs(self, kind: Kind) -> tuple[str, ...]:
        return ("scores", "attributes")

    def trained(self, kind: Kind, row: Mapping[str, Any]) -> list[Turn]:
        return []  # no message is trained on as such

    def drops(self, kind: Kind) -> frozenset[str]:
        return super().drops(kind) | {"reasoning", "tools"}

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        texts = contrasted(kind, row)
        for number in range(1, self.negatives + 1):
            name = f"{self.negatives_from}.{number}"
            if (text := attribute_of(row, name)) is None:
                raise UnsupportedRow(f"no attribute '{name}'")
            texts.append(text)
        if not all(text.strip() for text in texts):
            raise UnsupportedRow(TEXT_EMPTY)
        if texts[1] in texts[2:]:
            raise UnsupportedRow(EQUAL if kind is Kind.PREFERENCE else "a negative is the same text as the positive")
        values: list[Any] = [*texts]
        if self.score:
            if (value := score_of(row, self.score)) is None:
                raise UnsupportedRow(f"no score '{self.score}'")
            values.append(value)
        if self.label:
            given = attribute_of(row, self.label)
            if given is None or given.lower() not in _LABELS:
                raise UnsupportedRow(f"the attribute '{self.label}' is not there, or neither true nor false")
            values.append(_LABELS[given.lower()])
        return dict(zip(self.columns(kind), values, strict=True))

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        loss = _LOSSES["score" if self.score else "label" if self.label else ""]
        train, test = self.train_and_test(version, written)
        evaluation = f', eval_dataset=data["{test}"]' if test else ""
        code = (
            "from datasets import load_dataset\n"
            "from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, losses\n\n"
            'data = load_dataset(".")\n'
            'model = SentenceTransformer("sentence-transformers/LaBSE")\n'
            f"loss = losses.{loss}(model)\n"
            f'SentenceTransformerTrainer(model, train_dataset=data["{train}"]{evaluation}, loss=loss).train()\n'
        )
        columns = ", ".join(self.columns(version.kind))
        return UsageGuide(steps=[(f"The columns {columns}, in this order, fit {loss}:", "python", code)])


def contrasted(kind: Kind, row: Mapping[str, Any]) -> list[str]:
    """Question and right answer of a row; of preferences, then the rejected one.

    Raises:
        UnsupportedRow: it has more than one question or answer.
    """
    if kind is Kind.PARALLEL:
        return [row["source"], row["target"]]
    if kind is Kind.SFT:
        return [_question(row["messages"][:-1]), _answer(row["messages"][-1:])]
    return [_question(row["prompt"]), _answer(row["chosen"]), _answer(row["rejected"])]


def _question(turns: list[Turn]) -> str:
    """The text of the only user message; a system message is no part of it.

    Raises:
        UnsupportedRow: there is none, or more than one turn.
    """
    asked = [turn for turn in turns if turn["role"] != "system"]
    if not asked:
        raise UnsupportedRow(PROMPT_EMPTY)
    if len(asked) > 1 or asked[0]["role"] != "user":
        raise UnsupportedRow(MULTI)
    return str(asked[0]["content"])


def _answer(turns: list[Turn]) -> str:
    if len(turns) != 1 or turns[0]["role"] != "assistant":
        raise UnsupportedRow("an answer that is not one assistant message")
    return str(turns[0]["content"])
