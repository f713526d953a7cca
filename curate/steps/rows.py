"""Rows as a step gets them and as it returns them: a batch, new rows, failed rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl
import pyarrow as pa

from curate.rows import Kind, field_language, field_text, field_turns, prompt_language, widen
from curate.unused import Unused


@dataclass(frozen=True)
class Rows:
    """A batch of rows of one kind, in the schema of :func:`curate.rows.schema`, with every optional part."""

    kind: Kind
    table: pa.Table

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", widen(self.table))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def ids(self) -> pl.Series:
        return pl.Series("id", self.table["id"].combine_chunks() if len(self) else [], dtype=pl.String)

    @cached_property
    def language(self) -> pl.Series:
        """The language of each row's answer."""
        return pl.Series("language", self.table["language"].combine_chunks() if len(self) else [], dtype=pl.String)

    @cached_property
    def prompt_language(self) -> pl.Series:
        """The language of each row's prompt: ``language``, unless the prompt is in another."""
        return prompt_language(self.table)

    def text(self, name: str, *, calls: bool = False) -> pl.Series:
        """The text of a field (see :mod:`curate.rows.fields`), one string per row.

        Args:
            calls: include calls of tools, as :func:`curate.rows.message_text` writes them.
        """
        return field_text(self.kind, self.table, name, calls=calls)

    def turns(self, name: str, *, calls: bool = False) -> pl.Series:
        """The turns of a field, a list of strings per row."""
        return field_turns(self.kind, self.table, name, calls=calls)

    def field_language(self, name: str) -> pl.Series:
        """The expected language of a field in each row."""
        return field_language(self.kind, self.table, name)

    def parents(self) -> pl.Series:
        """The id of each row's first parent; null where there is none, or only rows whose texts stand beside it."""
        parents = self.table["lineage"].combine_chunks().field("parents")
        first = pl.Series("parent", parents, dtype=pl.List(pl.String)).list.first()
        return first.set(first == self.ids, None)

    def take(self, keep: Sequence[bool] | pl.Series) -> Rows:
        """The rows where ``keep`` is true."""
        return Rows(self.kind, self.table.filter(pa.array(list(keep), pa.bool_())))


@dataclass(frozen=True)
class FailedRow:
    """A row that could not be read or made. It is quarantined, counted and shown."""

    where: str
    """The place inside the unit (``line 17``, ``row 3``); for a row that could not be made, the id of its parent."""
    reason: str
    raw: str
    """The raw text (of a file or a model's answer), truncated to 2,000 characters."""
    transient: bool = False
    """Whether a server failure is the cause, so that the next build tries again. Steps that use
    :func:`curate.generation.common.requests.ask` need not set it."""


@dataclass(frozen=True)
class RowBatch:
    """A batch of new rows without ids, and the rows that could not be read or made."""

    table: pa.Table
    """Columns of the kind's schema without ``id``; ``group_id`` may be empty strings."""
    bad: tuple[FailedRow, ...] = ()
    unused: Unused | None = None
    """For a source: columns and values of its data that nothing used."""
