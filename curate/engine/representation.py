"""Representation: rows of a dataset by language, source and model after each step, and how many are in the language
asked for (language adherence)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

KEY = ("language", "asked_language", "prompt_language", "source", "models", "adherent")
"""What rows are counted by. ``adherent``: whether the row is in the language asked for; None if not assessed."""
COLUMNS: Mapping[str, type] = MappingProxyType(
    {
        "position": int,
        "step": str,
        "language": str,
        "script": str,
        "region": str,
        "speakers": int,
        "asked_language": str,
        "prompt_language": str,
        "source": str,
        "models": str,
        "rows": int,
        "adherent": int,
        "not_assessed": int,
    }
)
"""The columns of the table ``curate.representation``."""
GROUPS = ("language", "script", "region", "source", "models")
"""What :meth:`Representation.groups` can group by."""
NOT_RECORDED = "not recorded: this version was built by a curate that did not count this"
READ = "read"
UNASSESSED = (
    "not assessed: no step identified the languages of these rows; `language` does (with `min: null, min_script: null` "
    "it drops none)"
)
_SHOWN = 3
_FEW_ROWS = 20
_LEAST_POINTS = 0.05


@dataclass
class Tally:
    """How many rows there are, and of those asked for (of a language: whatever they are labelled now) how many were
    assessed and are in the language asked for."""

    rows: int = 0
    asked: int = 0
    assessed: int = 0
    adherent: int = 0

    def add(self, rows: int, adherent: bool | None) -> None:
        """Adds rows that were asked for."""
        self.asked += rows
        self.assessed += rows if adherent is not None else 0
        self.adherent += rows if adherent else 0

    @property
    def adherence(self) -> float | None:
        """The share of assessed rows that are in the language asked for; None if none was assessed."""
        return self.adherent / self.assessed if self.assessed else None

    @property
    def not_assessed(self) -> int:
        return self.asked - self.assessed


@dataclass
class Group:
    """The rows of one language, script, region, source or list of models: as they were read or made, and kept."""

    name: str
    before: Tally = field(default_factory=Tally)
    kept: Tally = field(default_factory=Tally)

    @property
    def share_kept(self) -> float:
        return self.kept.rows / self.before.rows if self.before.rows else 1.0

    def falls_behind(self, whole: Group) -> bool:
        """Whether its share of rows that are kept, or in the language asked for, is far below that of all rows."""
        mine, theirs = self.kept.adherence, whole.kept.adherence
        less = mine is not None and theirs is not None and mine <= theirs - _LEAST_POINTS
        return less or self.share_kept <= whole.share_kept - _LEAST_POINTS


@dataclass
class Representation:
    """Rows by :data:`KEY` after each step."""

    steps: list[str]
    """``read``, then the label of each step."""
    made: list[str]
    """The steps that make rows: what comes out of them takes the place of what went in."""
    identifying: list[str]
    """The scores of languages that adherence is computed from; none: no step identifies languages."""
    counts: dict[tuple[Any, ...], list[int]] = field(default_factory=dict)
    """Key → rows at each of ``steps``."""

    def add(self, entered: int, counted: Mapping[str, Any]) -> None:
        """Adds the rows of one piece (:func:`curate.engine.tasks.count_rows.count_rows`).

        Args:
            entered: the place in ``steps`` where they were read or made.
        """
        places = [entered, *(self.steps.index(label, 1) for label in counted["steps"])]
        for *key, counts in counted["rows"]:
            mine = self.counts.setdefault(tuple(key), [0] * len(self.steps))
            for place, count in zip(places, counts, strict=True):
                mine[place] += count

    @property
    def first(self) -> int:
        """The place in ``steps`` where the rows of the version were read, or made last: what came before are others."""
        return max((place for place, label in enumerate(self.steps) if label in self.made), default=0)

    def groups(self, by: str) -> list[Group]:
        """The rows of each language, script, region, source or list of models, most first.

        Adherence of a language is that of the rows that were asked for in it.
        """
        found: dict[str, Group] = {}
        first = self.first
        for key, counts in self.counts.items():
            one = dict(zip(KEY, key, strict=True))
            adherent = one.pop("adherent")
            group = found.setdefault(name := _name(one, by), Group(name))
            group.before.rows += counts[first]
            group.kept.rows += counts[-1]
            asked = _name(one | {"language": one["asked_language"]}, by)
            group = found.setdefault(asked, Group(asked))
            group.before.add(counts[first], adherent)
            group.kept.add(counts[-1], adherent)
        groups = [one for one in found.values() if one.before.rows or one.before.asked]
        return sorted(groups, key=lambda one: (-one.before.rows, -one.kept.rows, one.name))

    def all(self) -> Group:
        """All rows together."""
        whole = Group("all")
        for key, counts in self.counts.items():
            for tally, count in ((whole.before, counts[self.first]), (whole.kept, counts[-1])):
                tally.add(count, key[-1])
                tally.rows += count
        return whole

    @property
    def taken(self) -> str:
        """How the rows came in that the version was taken from: ``read``, or ``made by`` a step."""
        return f"made by {self.steps[self.first]}" if self.first else READ

    def languages(self) -> list[Group]:
        """All languages: those that fall behind first, then the others."""
        whole, groups = self.all(), self.groups("language")
        late = sorted((one for one in groups if one.falls_behind(whole)), key=_worst_first)
        return [*late, *(one for one in groups if one not in late)]

    def behind(self) -> list[tuple[str, Group]]:
        """The scripts, sources and models that fall behind, where there are several."""
        whole = self.all()
        several = {by: groups for by in ("script", "source", "models") if len(groups := self.groups(by)) > 1}
        late = ((by, one) for by, groups in several.items() for one in groups if one.falls_behind(whole))
        return sorted(late, key=lambda pair: _worst_first(pair[1]))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of the table ``curate.representation``: one for each step and key without ``adherent``."""
        for place, step in enumerate(self.steps):
            tallies: dict[tuple[Any, ...], Tally] = {}
            for whole, counts in self.counts.items():
                if counts[place]:
                    tallies.setdefault(whole[:-1], Tally()).add(counts[place], whole[-1])
            for key, tally in tallies.items():
                one = dict(zip(KEY, key, strict=False))
                counted = {"rows": tally.asked, "adherent": tally.adherent, "not_assessed": tally.not_assessed}
                models = {"models": one["models"] or None}
                yield {"position": place, "step": step, **one, **models, **about(one["language"]), **counted}

    def to_json(self) -> dict[str, Any]:
        rows = [[*key, counts] for key, counts in self.counts.items()]
        return {"steps": self.steps, "made": self.made, "identifying": self.identifying, "rows": rows}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Representation:
        counts = {tuple(key): list(counts) for *key, counts in value["rows"]}
        return cls(list(value["steps"]), list(value["made"]), list(value["identifying"]), counts)


def representation_of(manifest: Mapping[str, Any]) -> Representation | None:
    """That of a version; None if it was not recorded."""
    return Representation.from_json(manifest["representation"]) if "representation" in manifest else None


def about(language: str) -> dict[str, Any]:
    """What CLDR says about a language: its script, region and speakers; None for what it does not say."""
    from curate.rows import languages  # not for a statement that does not ask

    known = {"script": languages.known_script(language), "region": languages.region(language)}
    return {**known, "speakers": languages.speakers(language)}


def _worst_first(one: Group) -> tuple[bool, float, int, str]:
    """The order of groups that fall behind: least kept first; those of few rows, of which that says little, last."""
    return one.before.rows < _FEW_ROWS, one.share_kept, -one.before.rows, one.name


def _name(one: Mapping[str, Any], by: str) -> str:
    value = about(one["language"])[by] if by in ("script", "region") else one[by]
    return value or ("none" if by == "models" else "unknown")


# ---------------------------------------------------------------------------------------------------------------- shown
def percent(share: float | None) -> str:
    """``97.2%``; never ``100.0%`` of less than all, nor ``0.0%`` of more than none."""
    if share is None:
        return "–"
    text = f"{share:.1%}"
    return "> 99.9%" if text == "100.0%" and share < 1 else "< 0.1%" if text == "0.0%" and share > 0 else text


def summary(found: Representation | None) -> list[str]:
    """At most three lines: who is represented, what is kept of those that lose most, and language adherence."""
    if found is None:
        return [f"representation: {NOT_RECORDED}"]
    whole = found.all()
    if not whole.before.rows:
        return []
    counts, losing = [], []
    for by in GROUPS:
        groups = [one for one in found.groups(by) if one.name not in ("none", "unknown", "und")]
        kept, before = sum(one.kept.rows > 0 for one in groups), sum(one.before.rows > 0 for one in groups)
        if before:
            word = by if by != "models" else "model"
            plural = "" if max(kept, before) == 1 else "s"
            counts.append(f"{kept}{f' of {before}' if kept < before else ''} {word}{plural}")
        if by in ("language", "source", "models"):
            losing += [one for one in groups if one.share_kept <= whole.share_kept - _LEAST_POINTS]
    lines = [f"represented: {', '.join(counts)}"]
    if losing:
        losing.sort(key=_worst_first)
        some = _some([(one.name, one.share_kept) for one in losing])
        lines.append(f"kept of the rows {found.taken}: {percent(whole.share_kept)}, but {some}")
    return [*lines, f"in the language asked for: {_adherence(found, whole)}"]


def _adherence(found: Representation, whole: Group) -> str:
    if not whole.before.assessed:
        return UNASSESSED.replace("`", "'")
    line = f"{_share(whole.before, f'rows {found.taken}')}, {_share(whole.kept, 'kept')}"
    shares = [(one.name, one.kept.adherence) for one in found.groups("language") if one.kept.adherence is not None]
    low = sorted((share, name) for name, share in shares if share < 1)
    return f"{line}; least: {_some([(name, share) for share, name in low])}" if low and len(shares) > 1 else line


def _share(tally: Tally, what: str) -> str:
    lacking = f" ({tally.not_assessed:,} more not assessed)" if tally.not_assessed else ""
    return f"{percent(tally.adherence)} of {tally.assessed:,} {what}{lacking}"


def _some(shares: Sequence[tuple[str, float]]) -> str:
    more = f" and {len(shares) - _SHOWN} more" if len(shares) > _SHOWN else ""
    return ", ".join(f"{name} {percent(share)}" for name, share in shares[:_SHOWN]) + more


def columns(found: Representation) -> list[str]:
    """The headers of :func:`cells`."""
    asked = ["in the language asked for", "kept, not assessed"] if found.all().before.assessed else []
    return [found.taken, "kept", "share", *asked]


def cells(one: Group, whole: Group) -> list[str]:
    """What a table says of a group: rows, its share of all rows, and language adherence if any row was assessed."""
    sides = ((one.before, whole.before), (one.kept, whole.kept))
    shares = [percent(mine.rows / theirs.rows if theirs.rows else None) for mine, theirs in sides]
    row = [f"{one.before.rows:,}", f"{one.kept.rows:,}", " → ".join(shares)]
    asked = [f"{percent(one.before.adherence)} → {percent(one.kept.adherence)}", f"{one.kept.not_assessed:,}"]
    return [*row, *asked] if whole.before.assessed else row


def language_facts(language: str) -> list[str]:
    """Script, region and speakers of a language, for a table."""
    known = about(language)
    spoken = known["speakers"]
    people = "" if not spoken else f"{spoken / 1e6:,.0f} M" if spoken >= 1e7 else f"{spoken:,}"
    return [known["script"] or "", known["region"] or "", people]
