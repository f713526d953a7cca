"""``respond``: answers to prompts, by one model or several, n of each: what was asked stays as it is, the answer is the model's.

A prompt row, a preference or unpaired row (its prompt) or a conversation (its last user turn anew, all turns before it
kept) becomes one ``sft`` row for each answer. An instruction to answer in some language, a system prompt, a template around
the last turn and few-shot examples are told to the model only; the made row has the turns of the row it came from.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.generation.respond.params import RespondParams
from curate.generation.respond.worker import Work
from curate.steps import Context, NewRows, Rows


class Respond(RespondParams):
    """Answers to prompts."""

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | NewRows]:
        yield from Work(self, rows, context).run()
