"""The funnel: for each language, rows in, rows dropped by each step and reason, and alarms for outlying languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from curate.notebook import table

Counts = dict[str, dict[str, int]]
_LEAST_ROWS = 20
_LEAST_POINTS = 0.10


@dataclass
class Funnel:
    """Rows by language: read, dropped by each step and reason, kept."""

    read: dict[str, int] = field(default_factory=dict)
    steps: list[tuple[str, Counts]] = field(default_factory=list)
    """(step, language → {``kept`` or reason: rows}), in order; nothing for a step that makes rows."""
    made: dict[str, dict[str, int]] = field(default_factory=dict)
    """Step that makes rows → language → rows it made; they take the place of what it was given."""
    kept: dict[str, int] = field(default_factory=dict)
    unassessed: dict[str, dict[str, int]] = field(default_factory=dict)
    """Step → language → rows that it saw but could not assess, where there are any."""
    not_asked: dict[str, dict[str, int]] = field(default_factory=dict)
    """Step → language → rows that it left out because the build was finished before all answers were there."""
    prompts: Funnel | None = None
    """The same of the rows whose prompt is in another language than the answer, by both: ``sw (prompt en)``."""

    def add_read(self, languages: Mapping[str, int]) -> None:
        for language, count in languages.items():
            self.read[language] = self.read.get(language, 0) + count

    def add_step(self, label: str, results: Iterable[Mapping[str, Any]]) -> None:
        """Adds what a step's tasks say: each ``funnel`` (language → reason → rows), ``unassessed`` (language →
        rows) and ``prompts`` (the same as ``funnel``, by both languages)."""
        results = list(results)
        if self.prompts is not None:
            self.prompts.add_step(label, [{"funnel": result.get("prompts", {})} for result in results])
        total: Counts = {}
        lacking: dict[str, int] = {}
        for result in results:
            for language, reasons in result["funnel"].items():
                mine = total.setdefault(language, {})
                for reason, count in reasons.items():
                    mine[reason] = mine.get(reason, 0) + count
            for language, count in result.get("unassessed", {}).items():
                lacking[language] = lacking.get(language, 0) + count
        self.steps.append((label, total))
        if lacking:
            self.unassessed[label] = lacking

    def never_assessed(self, label: str) -> dict[str, int]:
        """Language → rows, of the languages in which a step saw rows and could assess none."""
        counts = next((counts for one, counts in self.steps if one == label), {})
        return {
            language: count
            for language, count in sorted(self.unassessed.get(label, {}).items())
            if count == sum(counts.get(language, {}).values())
        }

    def add_made(self, label: str, results: Iterable[Mapping[str, int]]) -> None:
        made = self.made.setdefault(label, {})
        self.steps.append((label, {}))
        for languages in results:
            for language, count in languages.items():
                made[language] = made.get(language, 0) + count

    def dropped(self, language: str) -> dict[str, int]:
        """``step: reason`` → rows dropped in a language."""
        found: dict[str, int] = {}
        for label, counts in self.steps:
            for reason, count in counts.get(language, {}).items():
                if reason != "kept":
                    found[f"{label}: {reason}"] = found.get(f"{label}: {reason}", 0) + count
        return found

    def languages(self) -> list[str]:
        """All languages, the one with most rows first."""
        every = {*self.read, *self.kept, *(language for _, counts in self.steps for language in counts)}
        every |= {language for made in self.made.values() for language in made}
        return sorted(every, key=lambda tag: (-max(self.read.get(tag, 0), self.kept.get(tag, 0)), tag))

    def alarms(self, factor: float) -> list[str]:
        """Steps that treat a language very differently from the others.

        A language with at least 20 rows is named when a step drops more than ``factor`` times the median share of the
        other languages, and at least 10 points more than it.
        """
        found = []
        for label, counts in self.steps:
            rates = {}
            for language, reasons in counts.items():
                seen = sum(reasons.values())
                if seen >= _LEAST_ROWS:
                    rates[language] = 1 - reasons.get("kept", 0) / seen
            for language, rate in sorted(rates.items()):
                others = [other for tag, other in rates.items() if tag != language]
                if not others:
                    continue
                usual = median(others)
                if rate > factor * usual and rate - usual >= _LEAST_POINTS:
                    reasons = {reason: count for reason, count in counts[language].items() if reason != "kept"}
                    worst = max(reasons, key=lambda reason: reasons[reason])
                    found.append(
                        f"{label} drops {rate:.0%} of {language} (others: {usual:.0%} in the median), mostly "
                        f"for '{worst}'"
                    )
        return found

    def _repr_html_(self) -> str:
        return table("rows by language", *render(self))

    def to_json(self) -> dict[str, Any]:
        asked = self.prompts.to_json() if self.prompts is not None and self.prompts.languages() else None
        return {
            "read": self.read,
            "steps": [{"step": label, "languages": counts} for label, counts in self.steps],
            "made": self.made,
            "kept": self.kept,
            "unassessed": self.unassessed,
            **({"not_asked": self.not_asked} if self.not_asked else {}),
            **({"prompts": asked} if asked is not None else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Funnel:
        return cls(
            dict(value["read"]),
            [(one["step"], one["languages"]) for one in value["steps"]],
            dict(value["made"]),
            dict(value["kept"]),
            dict(value.get("unassessed", {})),
            dict(value.get("not_asked", {})),
            cls.from_json(value["prompts"]) if "prompts" in value else None,
        )


def split_languages(both: str) -> tuple[str, str]:
    """``sw (prompt en)`` → ``sw``, ``en``."""
    language, _, prompt = both.removesuffix(")").partition(" (prompt ")
    return language, prompt


def render(funnel: Funnel) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table: language, read, one column a step (rows dropped, or ``=`` rows made), kept, share
    kept of what there was last. Rows with a prompt in another language are counted again below."""
    labels = [label for label, _ in funnel.steps]
    header = ["language", "read", *labels, "kept", "share"]
    rows = []
    for language in funnel.languages():
        read, kept = funnel.read.get(language, 0), funnel.kept.get(language, 0)
        came, cells = read, []
        for label, counts in funnel.steps:
            if label in funnel.made:
                came = funnel.made[label].get(language, 0)
                cells.append(f"={came:,}" + _not_asked(funnel, label, language))
                continue
            drop = sum(count for reason, count in counts.get(language, {}).items() if reason != "kept")
            lacking = funnel.unassessed.get(label, {}).get(language, 0)
            note = _not_asked(funnel, label, language) or (f" ({lacking:,} not assessed)" if lacking else "")
            cells.append((f"−{drop:,}" if drop else "·") + note)
        rows.append(
            [
                language,
                f"{read:,}",
                *cells,
                f"{kept:,}",
                f"{kept / came:.0%}" if came else "–",
            ]
        )
    return header, rows if funnel.prompts is None else [*rows, *render(funnel.prompts)[1]]


def _not_asked(funnel: Funnel, label: str, language: str) -> str:
    rows = funnel.not_asked.get(label, {}).get(language, 0)
    return f" ({rows:,} not asked)" if rows else ""
