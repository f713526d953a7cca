"""``translate``: translates rows as a whole and keeps their turns, lines, marks and protected spans.

A translator gets single sentences, a language model whole rows. What must not change (program code, addresses,
formulas, placeholders) is masked before, or checked after, the translation. A translation that fails its checks is
requested again; one that fails twice is quarantined with the reason and the raw answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.generation.translate.params import TranslateParams
from curate.generation.translate.worker import TranslateBatch, slices
from curate.steps import Context, RowBatch, Rows


class Translate(TranslateParams):
    """Translates rows into other languages.

    Scores: ``length_ratio`` (letters of the translation divided by the usual length for the language pair; 1 is usual),
    ``back`` (see ``back_translation``). Attributes: ``problem`` (what a check reported about a part of the row, either
    fixed by a second attempt or too small to quarantine the row), ``same`` (``nothing to translate``: the row has only
    numbers, code or the like), ``fields`` and ``to`` (where only a part of the row was translated), ``back`` (the
    back-translation).
    """

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        work = TranslateBatch(self, rows.kind, context)
        for part in slices(rows):
            yield work.made(part)
