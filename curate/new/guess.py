"""The languages of texts, by the embedded identifier; where it is unsure, by the name of the file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import polars as pl

from curate.generation.detect_language import DetectLanguage
from curate.models.langid.ensemble import LanguageIdEnsemble
from curate.rows.languages import UNKNOWN, InvalidLanguage, base, normalize
from curate.steps import LanguageIdentifier
from curate.text import segmentation

_RARE = 0.05
"""With a smaller share of the rows another language counts as the identifier's mistake, or as rows to be dropped."""
_LEAST_CLEAR = 0.5
"""With a smaller share of clear rows, the name of the file is asked too."""
_WORDS = re.compile(r"[A-Za-z]{2,3}(?:[-_](?:[A-Z][a-z]{3}|[A-Z]{2}))?(?![A-Za-z])")


@dataclass
class Guess:
    """What languages some texts are in."""

    counts: Counter[str] = field(default_factory=Counter)
    """Tag → texts; ``und`` for those that are unclear."""
    named: str = ""
    """The language that something else gives, such as the name of the file, where the texts do not contradict it."""

    named_by: str = "its name"
    """What gives it."""

    @property
    def clear(self) -> int:
        """Texts with a language."""
        return self.counts.total() - self.counts[UNKNOWN]

    @property
    def tags(self) -> list[str]:
        """The languages, most frequent first; none if nothing tells, or most texts are unclear."""
        if self.named:
            return [self.named]
        if self.clear < _LEAST_CLEAR * self.counts.total():
            return []
        found = [(tag, count) for tag, count in self.counts.most_common() if tag != UNKNOWN]
        # One text beside a language that most are in is rather a mistake, or a row to be dropped.
        least = 2 if found and found[0][1] > self.clear / 2 else 1
        return [tag for at, (tag, count) in enumerate(found) if not at or count >= max(least, _RARE * self.clear)]

    def __str__(self) -> str:
        return ", ".join(
            f"{'unclear' if tag == UNKNOWN else tag} {count:,}"
            for tag, count in sorted(self.counts.items(), key=lambda one: (one[0] == UNKNOWN, -one[1], one[0]))
        )


@cache
def _identifier() -> LanguageIdentifier:
    """The one that the steps ``language`` and ``detect_language`` use unless told otherwise."""
    return LanguageIdEnsemble().load(cache=None, threads=1)


def guess(texts: Sequence[str], name: str = "") -> Guess:
    """The languages of some texts.

    Args:
        name: of their file; ``sw.jsonl`` and ``train.sw.jsonl`` say Swahili, unless the texts are clearly something
            else.
    """
    wanted = [text for text in texts if text.strip()]
    found = DetectLanguage().detect(pl.Series(wanted, dtype=pl.String), _identifier()) if wanted else []
    counts = Counter(one.language for one in found)
    told = Guess(counts)
    if wanted and told.clear < _LEAST_CLEAR * len(wanted):
        told.named = next((tag for tag in _tags(name) if _fits(tag, counts, wanted)), "")
    return told


def _tags(name: str) -> Iterable[str]:
    """The languages that a file name may mean."""
    stem = Path(name).name
    for part in re.split(r"[.\s]|(?<=[a-z])_(?=[a-z])", stem)[:-1] or [stem]:
        match = _WORDS.fullmatch(part)
        if match:
            try:
                yield normalize(match[0].replace("_", "-"))
            except InvalidLanguage:
                continue


def _fits(tag: str, counts: Counter[str], texts: Sequence[str]) -> bool:
    """Whether texts may be in a language: no other is found more often, and they are in its script."""
    clear = {base(one): count for one, count in counts.items() if one != UNKNOWN}
    if any(count > clear.get(base(tag), 0) for one, count in clear.items() if one != base(tag)):
        return False
    weights = segmentation.letter_weights(pl.Series(texts), pl.Series([tag] * len(texts)))
    shares = weights["share"].drop_nulls().to_list()  # numbers have no script
    return bool(shares) and sum(shares) / len(shares) > 0.5
