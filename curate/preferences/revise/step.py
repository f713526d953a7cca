"""``revise``: a first answer, what is wrong with it, and the answer corrected; kept where a check says that the correction is better.

*critique* has an answer reviewed (by one model or several, from one point of view or several) and corrected, over rounds;
*inject* puts an error into a good answer, by rule or by a model, so that the right answer is known; *contrast* has the
request answered from several points of view and makes of the differences a list of what to check (Self-Contrast, Zhang et al.
2024). Correcting oneself without a check makes answers worse about as often as better: hence ``by``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.preferences.revise.params import ReviseParams
from curate.preferences.revise.worker import Work
from curate.steps import Context, NewRows, Rows


class Revise(ReviseParams):
    """Answers and their corrections.

    Of an ``sft`` row the last answer is revised. Of a ``preference`` row ``critique`` and ``contrast`` revise the rejected answer, and
    ``inject`` puts errors into the chosen one.

    Scores: ``first``, ``corrected`` and ``margin`` by the check. Attributes: ``verdict`` (``better``, ``worse``, ``same``: not better by
    ``min_margin``, ``unchanged``, ``unassessed``, ``unchecked``), ``mode``, ``rounds``, ``critique`` (what was found wrong),
    ``error`` (which error was put in), ``step`` (where, from 1), ``by`` (who criticised), ``reason`` (the judges' words).
    """

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | NewRows]:
        yield from Work(self, rows, context).run()
