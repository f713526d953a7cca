"""``respond``: answers prompts by one or several models, n answers each.

A prompt row, a preference or unpaired row (its prompt) or a conversation (its last user turn, with all turns before it)
becomes one ``sft`` row for each answer. A language instruction, a system prompt, a template around the last turn and
few-shot examples are seen by the model only; the new row has the turns of the original row. A row's tools are given to
the model, and its calls of them are in the new row.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.generation.respond.params import RespondParams
from curate.generation.respond.worker import RespondBatch
from curate.steps import Context, RowBatch, Rows


class Respond(RespondParams):
    """Answers prompts with language models, and makes one ``sft`` row for each answer."""

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        yield from RespondBatch(self, rows, context).run()
