"""Near texts in two languages that cannot be translations of each other: a number, a negation, a name or a whole
sentence of one has no counterpart in the other.

The checks are those of ``translation_quality`` that need no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.translation_quality import features
from filters.translation_quality.features import Check

_LEAST_NEGATION = 0.5
_LEAST_MISSING = 1.0
"""Evidence for a sentence without counterpart, in nats; single translations are judged at 2.9, but few near texts are
translations."""
_BATCH = 4096


@dataclass(frozen=True)
class TranslationVeto:
    """What may not differ."""

    numbers: bool = True
    negation: bool = True
    words: bool = True
    """Sentences, and names in Latin letters beside another script."""

    def differ(
        self, left: pl.Series, right: pl.Series, tags: tuple[Sequence[str], Sequence[str]]
    ) -> npt.NDArray[np.bool_]:
        """Whether each pair of texts cannot be translations of each other."""
        found = np.zeros(len(left), bool)
        checks: list[Check] = ["numbers"] if self.numbers else []
        checks += ["negation"] if self.negation else []
        checks += ["sentences", "names"] if self.words else []
        for start in range(0, len(left) if checks else 0, _BATCH):
            part = slice(start, start + _BATCH)
            languages = pl.Series(tags[0][part], dtype=pl.String), pl.Series(tags[1][part], dtype=pl.String)
            values = features.find(left[part], right[part], languages, checks, {}).values
            limits = {
                "numbers_lost": 1,
                "numbers_added": 1,
                "negation": _LEAST_NEGATION,
                "missing_sentence": _LEAST_MISSING,
                "names_foreign": 1,
            }
            for name, least in limits.items():
                if name in values:
                    # What was not assessed is nan.
                    found[part] |= np.nan_to_num(values[name]) >= least
        return found
