"""Which scores and attributes rows may have, as far as it is known before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from curate.catalog.suggestions import nearest


@dataclass(frozen=True)
class Names:
    """The names of scores, or of attributes, at one place of a dataset."""

    known: frozenset[str] = frozenset()
    """What sources and scoring steps give."""
    scored: frozenset[str] = frozenset()
    """Labels of scoring steps: no other name begins with one of them."""
    made: frozenset[str] = frozenset()
    """Tags of steps that made rows: they may have given any name that begins with theirs."""
    closed: bool = True
    """Whether there are no names but these."""

    def with_scored(self, label: str, columns: Iterable[str]) -> Names:
        """After a scoring step with these columns."""
        new = {label if name == "score" else f"{label}.{name}" for name in columns}
        return replace(self, known=self.known | new, scored=self.scored | {label})

    def with_made(self, tag: str) -> Names:
        """After a step that makes rows."""
        return replace(self, made=self.made | {tag}, closed=False)

    def __or__(self, other: Names) -> Names:
        return Names(
            self.known | other.known,
            self.scored | other.scored,
            self.made | other.made,
            self.closed and other.closed,
        )

    def problem(self, name: str, what: str) -> tuple[str, bool]:
        """What is wrong with a name, and whether that is certain; empty if nothing.

        Args:
            what: ``score`` or ``attribute``.
        """
        label = name.partition(".")[0]
        if name in self.known or label in self.made:
            return "", False
        names = sorted(self.known)
        said = f"no step or source before gives the {what} '{name}'{nearest(name, names)}; there are "
        said += ", ".join([*names, *(f"{tag}.…" for tag in sorted(self.made))]) or "none"
        return said, self.closed or label in self.scored
