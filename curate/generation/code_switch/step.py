"""``code_switch``: replaces words, phrases or sentences of a row by their translations, up to a given ratio.

The language of a row is that of its answer: where the answer is switched, that of most of its words. Scores and
attributes say what was mixed and how much. Word forms are not adapted to the sentence (no agreement, no articles): a
word table has no such information.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.generation.code_switch.params import CodeSwitchParams
from curate.steps import Context, RowBatch, Rows

_SLICE = 2_048


class CodeSwitch(CodeSwitchParams):
    """Makes code-switched rows from a word table, or from the same rows in other languages."""

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        """Yields the switched rows in the order of the input (variants and languages of one row together).

        Raises:
            StepError: the table's rows are of the wrong kind, or lack the requested score.
        """
        from curate.generation.code_switch.worker import CodeSwitchBatch

        work = CodeSwitchBatch(self, rows, context)
        for start in range(0, len(rows), _SLICE):
            yield from work.slice(start, min(start + _SLICE, len(rows)))
            context.advance(min(_SLICE, len(rows) - start))
        work.warn()
