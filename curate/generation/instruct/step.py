"""``instruct``: new instructions out of old ones, out of people, or out of passages, each unlike all that there are.

It gathers, since each new instruction is compared with every other: the rows it grows from are walked first, then requests go out
in rounds, and each answer's items are taken in order if they are unlike what is there by then. A request depends on the seed, its
number and the rows only (with ``own``: on the rounds before), never on its neighbours' answers, so all of a round go out
at once, and after a crash the kept answers bring a build back to where it was without one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from curate.generation.common.requests import check_languages
from curate.generation.instruct.params import InstructParams
from curate.generation.instruct.rounds import Rounds
from curate.steps import Context, NewRows, Rows


class Instruct(InstructParams):
    """New instructions from seeds, personas or passages."""

    def gather(self, rows: Iterable[Rows], context: Context) -> Iterator[pa.Table | NewRows]:
        work = Rounds(self, rows, context)
        check_languages(context, self.tag, [self.model], work.languages, strict=self.strict)
        yield from work.run()
