"""Records what happens to a few rows in a dataset's steps: created, changed, scored and dropped, with reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from curate.records import Entry, Record, beside, facts, texts
from curate.records.record import number, title_of
from curate.records.shown import Shown


@dataclass
class Effect:
    """What one step did to a row."""

    dataset: str
    step: str
    outcome: str
    """``kept``, ``dropped``, ``unchanged``, ``made``, ``made nothing``, ``failed``."""
    reason: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)
    """Of the row's language."""
    made: list[FollowedRow] = field(default_factory=list)
    """The rows that the step made of it."""


@dataclass
class FollowedRow:
    """A row and what became of it."""

    row: dict[str, Any]
    effects: list[Effect] = field(default_factory=list)
    parents: list[dict[str, Any]] = field(default_factory=list)
    """For a source's row, the rows that it is a translation of."""

    def walk(self) -> Iterator[FollowedRow]:
        """This row and all that were made of it."""
        yield self
        for effect in self.effects:
            for one in effect.made:
                yield from one.walk()


@dataclass
class Preview(Shown):
    """A few rows of a dataset's sources on their way through its steps."""

    dataset: str
    rows: list[FollowedRow]
    notes: list[str]
    """What a few rows cannot tell, what was not run and why, what steps warned of."""
    spending: list[dict[str, Any]]
    """Calls of models that this made: stage, model, calls, tokens, money."""

    @property
    def title(self) -> str:
        return f"Preview of {self.dataset}"

    def records(self) -> list[Record]:
        """A record for each row, and one of what is to be said about all of them."""
        several = len({effect.dataset for row in self.rows for one in row.walk() for effect in one.effects}) > 1
        found = [
            _record(row, f"{place} of {len(self.rows)}  ", several=several) for place, row in enumerate(self.rows, 1)
        ]
        calls = [
            Entry.of("calls", f"{one['stage']}: {one['calls']:,} calls of {one['model']}; the build does not ask again")
            for one in self.spending
        ]
        notes = [*calls, *(Entry.of("note", note) for note in self.notes)]
        if not self.rows:
            notes.insert(0, Entry.of("note", f"the sources of {self.dataset} have no rows"))
        return [*found, Record(f"about this preview of {self.dataset}", tuple(notes))] if notes else found


def _record(followed: FollowedRow, before: str, *, several: bool, old: dict[str, Any] | None = None) -> Record:
    row = followed.row
    entries: list[Entry | Record] = [
        Entry.of(f"parent: {label}", text, language)
        for parent in followed.parents
        for label, text, language in texts(parent)
    ]
    if old is None:
        entries += [Entry.of(label, text, language) for label, text, language in texts(row)] + facts(row)
    else:
        entries += beside(old, row, before=False) or [
            Entry.of("language tag", f"{old['language']} → {row['language']}")
        ]
    for effect in followed.effects:
        label = f"{effect.dataset}: {effect.step}" if several else effect.step
        entries.append(Entry.of(label, _told(effect)))
        for place, made in enumerate(effect.made, 1):
            title = f"{effect.step} {place} of {len(effect.made)}  "
            entries.append(_record(made, title, several=several, old=row))
    return Record(f"{before}{title_of(row)}", tuple(entries))


def _told(effect: Effect) -> str:
    """What a step did, in a line, and in further lines what it found and what it held that against."""
    said = f"{effect.outcome}: {effect.reason}" if effect.reason else effect.outcome
    if effect.made:
        said = f"made {len(effect.made):,} row{'s' if len(effect.made) > 1 else ''}" + (
            f"; failed: {effect.reason}" if effect.reason else ""
        )
    scores = ", ".join(f"{name} {number(value)}" for name, value in effect.scores.items())
    found = [scores, *(f"{name}: {value}" for name, value in effect.attributes.items())]
    limits = ", ".join(f"{name} {number(value)}" for name, value in effect.thresholds.items())
    return "\n".join([said, *(line for line in found if line), *([f"thresholds: {limits}"] if limits else [])])
