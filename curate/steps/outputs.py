"""Base class of outputs, which write a finished version in the format of a trainer or another reader.

A version is read batch by batch from its files. An output changes no row. Rows that the reader would skip or misread
are left out, counted by reason and listed by id.
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
_EXAMPLES = 20


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
    def extras(self) -> tuple[str, ...]:
        """The optional parts that its rows have (:data:`curate.rows.kinds.EXTRAS`)."""
        return tuple(self.manifest.get("extras", ()))

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
    """The result of an output."""

    rows: dict[str, int] = field(default_factory=dict)
    """Split → number of rows."""
    files: list[str] = field(default_factory=list)
    """Paths relative to the output folder, in order."""
    digest: str = ""
    """Digest of the bytes of all data files."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Reason → number of rows left out because the reader would skip or misread them."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """Reason → ids of some of these rows."""
    notes: list[str] = field(default_factory=list)
    """Notes for whoever trains on it."""

    def skip(self, reason: str, row: str) -> None:
        """Counts a row as left out."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(row)


class Output(Params):
    """Base of all outputs."""

    tag: ClassVar[str]
    """Name in the catalog (``outputs: [trl, …]``) and on the command line."""
    version: ClassVar[int] = 1
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind)
    """The kinds of rows it can write."""
    summary: ClassVar[str] = ""
    """One line for listings and documentation."""

    def check(self, kind: Kind) -> Sequence[str]:
        """The problems of these parameters for rows of this kind; empty if there are none."""
        return []

    @abstractmethod
    def write(self, version: Version, folder: Path) -> Written:
        """Writes the version into an empty folder: the data and the configuration that its reader needs.

        Raises:
            ExportError: it cannot be written in this format.
        """
