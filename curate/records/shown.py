"""What is shown as records: printed in a terminal, as HTML in a notebook."""

from __future__ import annotations

from abc import abstractmethod

from curate.records.html import html
from curate.records.record import Record
from curate.records.terminal import plain


class Shown:
    """Base of results that print as records and that notebooks show as HTML."""

    @abstractmethod
    def records(self) -> list[Record]:
        """The records, in order."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What they are about, for the title of a page."""

    def html(self) -> str:
        """A page that needs nothing else."""
        return html(self.records(), self.title)

    def __str__(self) -> str:
        return plain(self.records())

    def _repr_html_(self) -> str:
        return html(self.records())
