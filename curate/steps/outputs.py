"""An output writes a finished version in the form that somebody outside reads; it changes no row, and tells each that
would get lost.

A version is read batch by batch from its files. What a trainer would skip or misread is counted by reason and named by
row id, so that nobody finds out from a loss curve.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from curate.catalog.params import Params
from curate.rows import Kind
from curate.steps import Rows

_BATCH = 8_192
_NAMED = 20


@dataclass(frozen=True)
class Version:
    """A finished version of a dataset."""

    name: str
    version: str
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        """The kind of its rows."""
        return Kind(self.manifest["kind"])

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of its splits, in order."""
        return tuple(self.manifest["splits"])

    def rows(self, split: str, batch: int = _BATCH) -> Iterator[Rows]:
        """The rows of a split in order, in batches."""
        for path in self.manifest["splits"][split]["files"]:
            with pq.ParquetFile(self.folder / path) as file:
                for part in file.iter_batches(batch):
                    yield Rows(self.kind, pa.Table.from_batches([part]))


@dataclass
class Written:
    """What an output wrote."""

    rows: dict[str, int] = field(default_factory=dict)
    """By split."""
    files: list[str] = field(default_factory=list)
    """Relative to the folder it was given, in order."""
    digest: str = ""
    """Of the bytes of all data files."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Reason → rows that were left out because the reader would skip or misread them."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """Reason → ids of some of these rows."""
    notes: list[str] = field(default_factory=list)
    """What a person should know before training."""

    def skip(self, reason: str, row: str) -> None:
        """Counts a row that was left out."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        named = self.examples.setdefault(reason, [])
        if len(named) < _NAMED:
            named.append(row)


class Output(Params):
    """What all outputs share."""

    tag: ClassVar[str]
    """Name in the catalog (``outputs: [trl, …]``) and on the command line."""
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind)
    """The kinds of rows that it can write."""
    summary: ClassVar[str] = ""
    """One line for lists and documentation."""

    def check(self, kind: Kind) -> Sequence[str]:
        """What is wrong with these parameters for rows of this kind; empty if nothing."""
        return []

    @abstractmethod
    def write(self, version: Version, folder: Path) -> Written:
        """Writes the version into an empty folder: data, and the configuration that its reader needs.

        Raises:
            ExportError: it cannot be written in this form.
        """
