"""Puts chosen rows into a file, so that any of them can be looked at again without holding all rows in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.rows import Kind
from curate.steps import Context, Rows

Places = npt.NDArray[np.int64]


class ChosenRows:
    """Rows by their place among all rows."""

    def __init__(self, kind: Kind, table: pa.Table, places: Places) -> None:
        self._kind, self._table, self._places = kind, table, places

    def at(self, places: Sequence[int] | Places) -> tuple[Rows, list[int]]:
        """The rows at these places, each once, and for each place which of them it is."""
        wanted = np.searchsorted(self._places, np.asarray(places, np.int64))
        here, back = np.unique(wanted, return_inverse=True)
        return Rows(self._kind, self._table.take(pa.array(here)).combine_chunks()), back.reshape(-1).tolist()


@contextmanager
def chosen_rows(rows: Iterable[Rows], places: Places, context: Context) -> Iterator[ChosenRows]:
    """The rows at ``places`` (at least one), from a file in the context's scratch folder.

    Args:
        rows: all rows, in batches, in order.
        places: which of them.
    """
    needed = np.unique(places)
    context.scratch.mkdir(parents=True, exist_ok=True)
    path = Path(mkdtemp(dir=context.scratch)) / "rows.arrow"
    kind, start = Kind.DOCUMENT, 0
    writer: Any = None
    for part in rows:
        kind = part.kind
        here = needed[np.searchsorted(needed, start) : np.searchsorted(needed, start + len(part))] - start
        if len(here):
            table = part.table.take(pa.array(here))
            writer = writer or pa.ipc.new_file(str(path), table.schema)
            writer.write_table(table)
        start += len(part)
    assert writer is not None
    writer.close()
    with pa.memory_map(str(path)) as file:
        yield ChosenRows(kind, pa.ipc.open_file(file).read_all(), needed)
