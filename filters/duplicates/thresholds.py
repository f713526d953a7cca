"""Similarity thresholds of two rows: global, by language, by language pair, or from a calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np
import numpy.typing as npt

from curate.catalog.params import PerLanguage
from curate.errors import StepError
from filters.calibration.file import PairThreshold, Thresholds
from filters.duplicates.clusters import Places
from filters.duplicates.columns import SummaryColumns


@dataclass(frozen=True)
class MinSimilarity:
    """The minimum similarity of two rows by their languages."""

    by_language: PerLanguage[float]
    """A language whose value is null has no duplicates; for two languages the greater value applies."""
    pairs: Mapping[frozenset[str], float] = field(default_factory=dict)
    """Thresholds of language pairs; they override all others."""
    calibration: Thresholds | None = None
    """Thresholds of language pairs that override ``by_language``; pairs that it does not trust have no duplicates."""
    trust: str = "weak"
    """The minimum trust that the calibration must give a pair: ``weak`` or ``trusted``."""

    def calibrated(self, left: str, right: str) -> PairThreshold | None:
        """The calibration of a language pair; None if there is none or it is not trusted."""
        match = self.calibration.find(left, right) if self.calibration is not None else None
        if match is None or match[1].threshold is None or match[1].verdict not in ("trusted", self.trust):
            return None
        return match[1]

    def of(self, left: str, right: str) -> float:
        """The threshold of two languages; infinite if they have no duplicates."""
        both = frozenset((left, right))
        if both in self.pairs:
            return self.pairs[both]
        if self.calibration is not None and left != right:
            match = self.calibrated(left, right)
            return np.inf if match is None or match.threshold is None else match.threshold
        values = [self.by_language[tag] for tag in (left, right)]
        return max((np.inf if value is None else value for value in values), default=np.inf)

    def each(self, columns: SummaryColumns, a: Places, b: Places) -> npt.NDArray[np.float64]:
        """The threshold of each pair of rows."""
        tags = columns.languages
        table = np.full((len(tags) + 1, len(tags) + 1), np.inf)
        for one, other in product(range(len(tags)), repeat=2):
            table[one, other] = self.of(tags[one], tags[other])
        result: npt.NDArray[np.float64] = table[columns.language[a], columns.language[b]]
        return result

    def lowest(self, columns: SummaryColumns) -> float:
        """The lowest threshold of all."""
        thresholds = [value for tag in columns.languages if (value := self.by_language[tag]) is not None]
        if self.calibration is not None:
            thresholds += [one.threshold for one in self.calibration.pairs.values() if one.threshold is not None]
        return min([*thresholds, *self.pairs.values()], default=1.0)

    def check(self, model: str, columns: SummaryColumns, warn: Callable[[str], None], *, strict: bool) -> None:
        """Warns of language pairs that the calibration does not cover or does not trust.

        Args:
            model: the encoder's ``name@revision``.

        Raises:
            StepError: the calibration was made for another model, or ``strict`` and there is such a pair.
        """
        if self.calibration is None:
            return
        if self.calibration.model != model:
            raise StepError(
                f"duplicates: the calibration was made for {self.calibration.model}, and the model is {model}; "
                "make one for it with 'curate calibrate'"
            )
        rows = Counter(columns.language[columns.there & columns.assessed].tolist())
        for one, other in combinations(sorted(rows), 2):
            left, right = columns.languages[one], columns.languages[other]
            if frozenset((left, right)) in self.pairs or self.calibrated(left, right) is not None:
                continue
            known = self.calibration.find(left, right)
            verdict = f"says '{known[1].verdict}' for" if known is not None else "does not cover"
            message = (
                f"duplicates: the calibration {verdict} {left}-{right}: {rows[one] + rows[other]} rows not "
                "compared across these languages"
            )
            if strict:
                raise StepError(f"{message}; calibrate that pair, set it in 'pairs', or write 'strict: false'")
            warn(message)
