"""``translate``: each row once more in other languages, whole: every turn in its place, every line, mark and protected span as it was.

A sentence translator is given sentences, a language model whole rows; what neither may touch (program text, addresses,
formulas, placeholders) is kept out of their hands or checked afterwards. What fails its checks is asked again; what fails
twice is no row: it is kept apart with the reason and the raw answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.generation.translate.params import TranslateParams
from curate.generation.translate.worker import Work, slices
from curate.steps import Context, NewRows, Rows


class Translate(TranslateParams):
    """Rows in other languages.

    Scores: ``length_ratio`` (letters of the translation over what is usual for the pair; 1 is usual), ``back`` (see
    ``back_translation``). Attributes: ``problem`` (what spoke against a part, mended by a second try or too little to lose the row for), ``same`` (``nothing
    to translate``: numbers, code or the like only), ``fields`` and ``to`` (where only a part of the row was translated),
    ``back`` (the back-translation).
    """

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | NewRows]:
        work = Work(self, rows.kind, context)
        for part in slices(rows):
            yield work.made(part)
