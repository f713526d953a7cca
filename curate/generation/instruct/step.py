"""``instruct``: writes new instructions from old ones, personas or passages, without near-duplicates.

It is a dataset-level step because each new instruction is compared with every other. It reads all rows first, then
sends requests in rounds, and accepts the items of each answer in order if they differ from everything accepted so far.
A request depends on the seed, its number and the rows only (with ``own``, also on the rounds before), never on other
answers of its round. So the requests of a round go out together, and after a crash the cached answers restore the state
without a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from curate.generation.common.requests import check_languages
from curate.generation.instruct.params import InstructParams
from curate.generation.instruct.rounds import Rounds
from curate.steps import Context, RowBatch, Rows


class Instruct(InstructParams):
    """Writes new instructions from seeds, personas or passages, and refuses near-duplicates."""

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | RowBatch]:
        work = Rounds(self, rows, context)
        check_languages(context, self.tag, [self.model], work.languages, strict=self.strict)
        yield from work.run()
