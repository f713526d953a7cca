"""``tool_use``: a request, calls of the row's tools with arguments that their schemas allow, results, and an answer.

Results are made up by a model that plays the tools. All conversations of a batch go on together; answers are cached by
what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.generation.tool_use.params import ToolUseParams
from curate.generation.tool_use.worker import ToolUseBatch
from curate.steps import Context, RowBatch, Rows


class ToolUse(ToolUseParams):
    """Makes conversations with calls of each row's ``tools``: request, calls, results, answer. Calls of unknown tools
    and arguments that a tool's JSON Schema does not allow are requested again. Score: ``tool_use.calls``. Attributes:
    ``tool_use.case`` (``single``, ``parallel``, ``no_tool``, ``missing``), ``tool_use.user``, ``tool_use.simulator``,
    ``tool_use.tools`` (the model that made the tools), ``tool_use.sample``."""

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        if len(rows):
            yield from ToolUseBatch(self, rows, context).run()
