"""``code_switch``: rows whose input mixes languages: words, phrases or sentences give way to their translations, so many as asked.

The language of a row is that of its answer: where the answer is switched, that of most of its words. What was mixed, and how
much, is told by scores and attributes. Word
forms are not adapted to the sentence around them (no agreement, no articles): that is what a word table can do.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.generation.code_switch.params import CodeSwitchParams
from curate.steps import Context, NewRows, Rows

_SLICE = 2_048


class CodeSwitch(CodeSwitchParams):
    """Makes code-switched rows by a word table, or by the same rows in other languages."""

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | NewRows]:
        """The switched rows, in the order of the rows (variants and languages of one row together).

        Raises:
            StepError: the table's rows are of another kind, or lack the score that is asked for.
        """
        from curate.generation.code_switch.worker import Work

        work = Work(self, rows, context)
        for start in range(0, len(rows), _SLICE):
            yield from work.slice(start, min(start + _SLICE, len(rows)))
            context.tick(min(_SLICE, len(rows) - start))
        work.tell()
