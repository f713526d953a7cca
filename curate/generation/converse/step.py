"""``converse``: a simulated user talks with a model; each row gives the beginning, or the goal, of a conversation.

All conversations of a batch go on together, turn by turn. Answers are cached by what was asked, so a killed build goes
on where it was without asking again.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from curate.generation.converse.params import ConverseParams
from curate.generation.converse.worker import ConverseBatch
from curate.steps import Context, RowBatch, Rows


class Converse(ConverseParams):
    """Makes conversations of several turns: one model plays a user with a goal, a persona and a language, another one
    answers. Scores: ``converse.rounds``, ``converse.tokens``. Attributes: ``converse.ended`` (``rounds``; ``user``: it
    had nothing left to ask; ``repeats``: it asked the same again; ``broken``), ``converse.user`` (the model that played
    the user), ``converse.user_language``, ``converse.mix``."""

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table | RowBatch]:
        if len(rows):
            yield from ConverseBatch(self, rows, context).run()
