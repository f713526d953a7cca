"""``revise``: makes rows from a first answer, a critique and a corrected answer, if a check says the correction is
better.

*Critique* has an answer reviewed (by one or several models, from one or several points of view) and corrected, over
rounds.
*Inject* inserts an error into a good answer, by rule or by a model, so that the right answer is known. *Contrast* has
the request answered from several points of view and turns the differences into a checklist (Self-Contrast, Zhang et al.
2024). Self-correction without a check makes answers worse about as often as better; hence ``by``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.preferences.revise.params import ReviseParams
from curate.preferences.revise.worker import Reviser
from curate.steps import Context, RowBatch, Rows


class Revise(ReviseParams):
    """Makes rows from answers and their corrections.

    For an ``sft`` row the last answer is revised. For a ``preference`` row ``critique`` and ``contrast`` revise the
    rejected answer, and ``inject`` inserts errors into the chosen one.

    Scores: ``first``, ``corrected`` and ``margin`` by the check. Attributes: ``verdict`` (``better``, ``worse``,
    ``same``: not better by ``min_margin``, ``unchanged``, ``unassessed``, ``unchecked``), ``mode``, ``rounds``,
    ``critique`` (what was found wrong), ``error`` (the kind of inserted error), ``step`` (its place, from 1), ``by``
    (the critics), ``reason`` (of the judges).
    """

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        yield from Reviser(self, rows, context).run()
