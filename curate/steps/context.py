"""What a step gets from the engine when it runs, and from the catalog when it is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from curate.rows import Kind
from curate.steps.models import Model
from curate.steps.names import Names
from curate.steps.rows import Rows


class Context(Protocol):
    """What a running step gets from the engine."""

    threads: int
    """Number of threads the step may use."""
    memory: int
    """Bytes of memory a global step may use before it spills to disk."""
    seed: int
    """The dataset's seed. All randomness must derive from it and the row. It is 0 in ``score`` and ``summarize``, whose
    results are shared by datasets with different seeds."""
    draw: int
    """How often this dataset has already processed these rows (``target:`` repeats them to get more): draw other
    samples than before."""

    origins: Sequence[str]
    """In ``decide``: for each summary the source or dataset in ``from`` that its rows came from; empty if from
    several, behind a step that makes rows of all rows at once."""

    @property
    def scratch(self) -> Path:
        """A folder for temporary files, removed afterwards."""
        ...

    def model(self, name: str) -> Any:
        """The loaded model of that catalog name (or of that ``use:`` with its defaults)."""
        ...

    def model_name(self, name: str) -> str:
        """``name@revision`` of that model, for lineage."""
        ...

    def rows_by_id(self, ids: pl.Series) -> Rows:
        """The rows with these ids among all earlier rows of this dataset, once each, in any order."""
        ...

    def rows(self, name: str) -> Iterator[Rows]:
        """All rows of a side input (a source or dataset that a ``RowsName`` parameter names), in batches, in order."""
        ...

    def is_open(self, language: str) -> bool:
        """Whether rows in this language are still needed; false once its ``target:`` is reached."""
        ...

    def advance(self, rows: int) -> None:
        """Reports progress inside a batch; rows not reported are counted when the batch is done."""
        ...

    def warn(self, message: str) -> None:
        """Warns the user; the warning is stored with the result and repeated when the result is reused."""
        ...


class CatalogFacts(Protocol):
    """What is known about a step's models and rows before anything runs."""

    @property
    def kind(self) -> Kind:
        """The kind of the step's input rows."""
        ...

    @property
    def languages(self) -> frozenset[str] | None:
        """The languages of the input rows; None if only the data tell."""
        ...

    @property
    def scores(self) -> Names:
        """The scores of the input rows."""
        ...

    @property
    def attributes(self) -> Names:
        """The attributes of the input rows."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """The sources and datasets in ``from``; empty if nothing tells from which one a row came."""
        ...

    def kind_of(self, name: str) -> Kind | None:
        """The kind of the rows of a source or dataset; None if only the data tell."""
        ...

    def model(self, name: str) -> Model:
        """The model with that name, not loaded."""
        ...

    def instead(self, source: str, target: str) -> str:
        """Which models translate a pair, for a message: ``'wide' would``."""
        ...

    def note(self, message: str) -> None:
        """Adds a note that does not stop the build."""
        ...
