"""Counts fields of a source's rows that nothing used, so that nothing is dropped unreported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol


class Unit(Protocol):
    """As :class:`curate.steps.Unit`."""

    @property
    def beside(self) -> tuple[str, ...]: ...


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

    members: list[str] = field(default_factory=list)
    """Members of archives that are not read."""

    MOST: ClassVar[int] = 1_000
    """Names of each that are told apart."""

    @classmethod
    def beside(cls, units: Iterable[Unit]) -> Unused:
        """What lies beside the units of a source."""
        return cls(members=list(dict.fromkeys(name for unit in units for name in unit.beside)))

    def to_json(self) -> dict[str, Any]:
        """What is stored of it."""
        about = asdict(self)
        return about if self.members else {name: value for name, value in about.items() if name != "members"}

    def add(self, other: Unused) -> None:
        """Counts what another part of the source had."""
        self.rows += other.rows
        self.messages += other.messages
        for mine, theirs in ((self.columns, other.columns), (self.fields, other.fields)):
            for name, count in theirs.items():
                if name in mine or len(mine) < self.MOST:
                    mine[name] = mine.get(name, 0) + count
        self.members += [name for name in other.members if name not in self.members][: self.MOST - len(self.members)]

    def __str__(self) -> str:
        """The names with their shares, most first; empty if everything was used."""
        found = [(count / max(1, self.rows), "column", name, "rows") for name, count in self.columns.items()]
        found += [
            (count / max(1, self.messages), "message field", name, "messages") for name, count in self.fields.items()
        ]
        found.sort(key=lambda one: (one[1], -one[0], one[2]))
        shown = [f"{what} {name!r} (in {_percent(share)} of {of})" for share, what, name, of in found[:12]]
        shown += [f"{len(found) - 12:,} more"] if len(found) > 12 else []
        members = [f"member {name!r}" for name in self.members[:5]]
        members += [f"{len(self.members) - 5:,} more members"] if len(self.members) > 5 else []
        return ", ".join([*shown, *members])


def _percent(share: float) -> str:
    return "under 1 %" if share < 0.01 else f"{100 if share >= 1 else min(99, round(100 * share))} %"
