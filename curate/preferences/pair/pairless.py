"""Counts the prompts that make no pair, by reason and language, so that none is lost without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from curate.preferences.pair.merge import RowIndex
from curate.preferences.pair.rules import Entry, Rule
from curate.steps import Context

_RELAXED = (
    ("their answers differ too much in length", {"max_ratio": None}),
    ("their answers are translated and direct ones, which 'translated' keeps apart", {"translated": "any"}),
    ("no answer is better than another by enough", {"scored": False, "choose": "all"}),
)
"""What is left out of a rule in turn, and the reason if it then makes a pair."""


class Pairless:
    """The prompts without a pair that were seen."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._counts: dict[str, Counter[str]] = {}

    def add(self, language: str, entries: Sequence[Entry], rule: Rule) -> None:
        """Counts a prompt with two or more answers of which none make a pair by this rule, or by its models."""
        self._counts.setdefault(_why(entries, rule), Counter())[language] += 1

    def tell(self, index: RowIndex, context: Context) -> None:
        """Warns of each reason once, and of prompts with one answer only."""
        alone = Counter(index.languages[key] for key, entries in index.keys.items() if len(entries) == 1)
        counts = {**self._counts, "they have one answer only": alone}
        for reason, languages in sorted(counts.items()):
            if count := sum(languages.values()):
                told = ", ".join(f"{tag} {number:,}" for tag, number in sorted(languages.items()))
                context.warn(f"{self._step}: {count:,} of {len(index.keys):,} prompts make no pair: {reason} ({told})")


def _why(entries: Sequence[Entry], rule: Rule) -> str:
    if _makes_pair(entries, rule):
        return "their answers are by models that 'same_model' keeps apart"
    for reason, change in _RELAXED:
        rule = replace(rule, **change)
        if _makes_pair(entries, rule):
            return reason
    if len({one.text for one in entries}) == 1:
        return "their answers are equal"
    return "no answer that may be chosen has another that may be rejected"


def _makes_pair(entries: Sequence[Entry], rule: Rule) -> bool:
    return any(rule.allows(one, other) for one in entries for other in entries if one is not other)


__all__ = ["Pairless"]
