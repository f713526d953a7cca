"""Output for training by distillation from log-probabilities that a teacher gave beforehand.

Trainers differ in how they read them (some want token ids, some their own alignment with the chat template); this is
the table that they are made from, a row for each conversation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from curate.generation.respond.logprobs import NAME, read_logprobs
from curate.rows import Kind
from curate.rows.kinds import STRING, messages_type
from curate.steps.outputs import Version, Written
from outputs.formats.forms import ExportFormat, attribute_of, conversation
from outputs.formats.readme import UsageGuide
from outputs.formats.turns import UnsupportedRow

_NUMBER = pa.float32()


def _lists(dtype: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", dtype, nullable=False))


class Distillation(ExportFormat):
    """Conversations with the log-probabilities of their last answer, and of the most likely other tokens.

    ``messages``; ``tokens`` and ``logprobs`` of the answer, as the teacher wrote it; ``top_tokens`` and
    ``top_logprobs``, for each of these tokens a list of the most likely ones at its place, best first. Natural
    logarithms; -9999 stands for the logarithm of 0.
    """

    tag: ClassVar[str] = "distillation"
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.SFT})
    summary: ClassVar[str] = "Conversations with the teacher's log-probabilities, for distillation."
    reader: ClassVar[str] = "distillation"

    logprobs_from: str = "respond"
    """Label of the step that kept them."""

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {
            "messages": messages_type(),
            "tokens": _lists(STRING),
            "logprobs": _lists(_NUMBER),
            "top_tokens": _lists(_lists(STRING)),
            "top_logprobs": _lists(_lists(_NUMBER)),
        }

    def needs(self, kind: Kind) -> tuple[str, ...]:
        return ("attributes",)

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        name = f"{self.logprobs_from}.{NAME}"
        if (text := attribute_of(row, name)) is None:
            raise UnsupportedRow(f"no log-probabilities (attribute '{name}')")
        messages = conversation(row)
        try:
            found = read_logprobs(text, messages[-1]["content"])
        except ValueError as error:
            raise UnsupportedRow(f"the attribute '{name}' is {error}") from None
        if found is None:
            raise UnsupportedRow("its log-probabilities are of another text: the answer was changed since")
        return {"messages": messages, **vars(found)}

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        train, _ = self.train_and_test(version, written)
        code = (
            "from datasets import load_dataset\n\n"
            f'for row in load_dataset(".", split="{train}"):\n'
            '    for token, logprob, others in zip(row["tokens"], row["logprobs"], row["top_tokens"]):\n'
            "        ...\n"
        )
        said = "`tokens` and `logprobs` are of the last message; `top_tokens[i]` and `top_logprobs[i]` of the place of"
        return UsageGuide(steps=[(f"{said} `tokens[i]`:", "python", code)])


__all__ = ["Distillation"]
