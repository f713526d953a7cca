"""What the rows of a source had and nothing used: it is counted and said, so that nothing is dropped without a word."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass
class Unused:
    """What a source's rows had and nothing used, with how often: it is told, so that nothing is dropped unsaid."""

    rows: int = 0
    """How many rows were looked at."""
    messages: int = 0
    """How many messages they had."""
    columns: dict[str, int] = field(default_factory=dict)
    """Column → in how many rows it had a value."""
    fields: dict[str, int] = field(default_factory=dict)
    """Field of a message → in how many messages it had a value."""

    MOST: ClassVar[int] = 1_000
    """Names of each that are told apart."""

    def add(self, other: Unused) -> None:
        """Counts what another part of the source had."""
        self.rows += other.rows
        self.messages += other.messages
        for mine, theirs in ((self.columns, other.columns), (self.fields, other.fields)):
            for name, count in theirs.items():
                if name in mine or len(mine) < self.MOST:
                    mine[name] = mine.get(name, 0) + count

    def __str__(self) -> str:
        """The names with their shares, most first; empty if everything was used."""
        found = [(count / max(1, self.rows), "column", name, "rows") for name, count in self.columns.items()]
        found += [
            (count / max(1, self.messages), "message field", name, "messages") for name, count in self.fields.items()
        ]
        found.sort(key=lambda one: (one[1], -one[0], one[2]))
        shown = [f"{what} '{name}' (in {_percent(share)} of {of})" for share, what, name, of in found[:12]]
        return ", ".join([*shown, f"{len(found) - 12:,} more"] if len(found) > 12 else shown)


def _percent(share: float) -> str:
    return "under 1 %" if share < 0.01 else f"{100 if share >= 1 else min(99, round(100 * share))} %"
