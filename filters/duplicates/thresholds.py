"""From which cosine or similarity on two rows are alike is said for all, for a language, for a pair of languages, or by
a calibration."""

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
from filters.duplicates.near import Gathered


@dataclass(frozen=True)
class Least:
    """The least similarity of two rows by their languages."""

    by_language: PerLanguage[float]
    """A language whose value is null has no duplicates; of two languages the greater counts."""
    pairs: Mapping[frozenset[str], float] = field(default_factory=dict)
    """Of two languages, before anything else."""
    calibration: Thresholds | None = None
    """Of two languages, before ``by_language``; those that it does not trust have no duplicates."""
    trust: str = "weak"
    """The least that the calibration must say of a pair: ``weak`` or ``trusted``."""

    def calibrated(self, left: str, right: str) -> PairThreshold | None:
        """What the calibration says of two languages; None where it cannot be acted on."""
        found = self.calibration.find(left, right) if self.calibration is not None else None
        if found is None or found[1].threshold is None or found[1].verdict not in ("trusted", self.trust):
            return None
        return found[1]

    def of(self, left: str, right: str) -> float:
        """The threshold of two languages; infinite where they have no duplicates."""
        both = frozenset((left, right))
        if both in self.pairs:
            return self.pairs[both]
        if self.calibration is not None and left != right:
            found = self.calibrated(left, right)
            return np.inf if found is None or found.threshold is None else found.threshold
        values = [self.by_language[tag] for tag in (left, right)]
        return max((np.inf if value is None else value for value in values), default=np.inf)

    def each(self, found: Gathered, a: Places, b: Places) -> npt.NDArray[np.float64]:
        """The threshold of each pair of rows."""
        tags = found.languages
        table = np.full((len(tags) + 1, len(tags) + 1), np.inf)
        for one, other in product(range(len(tags)), repeat=2):
            table[one, other] = self.of(tags[one], tags[other])
        result: npt.NDArray[np.float64] = table[found.language[a], found.language[b]]
        return result

    def lowest(self, found: Gathered) -> float:
        """The lowest of all that may count."""
        given = [value for tag in found.languages if (value := self.by_language[tag]) is not None]
        if self.calibration is not None:
            given += [one.threshold for one in self.calibration.pairs.values() if one.threshold is not None]
        return min([*given, *self.pairs.values()], default=1.0)

    def check(self, model: str, found: Gathered, warn: Callable[[str], None], *, strict: bool) -> None:
        """Tells which pairs of languages the calibration says nothing of, or nothing good.

        Args:
            model: the encoder's ``name@revision``.

        Raises:
            StepError: the calibration is of another model, or ``strict`` and there is such a pair.
        """
        if self.calibration is None:
            return
        if self.calibration.model != model:
            raise StepError(
                f"duplicates: the calibration is of {self.calibration.model}, and the model is {model}; "
                "make one of it with 'curate calibrate'"
            )
        rows = Counter(found.language[found.there & found.assessed].tolist())
        for one, other in combinations(sorted(rows), 2):
            left, right = found.languages[one], found.languages[other]
            if frozenset((left, right)) in self.pairs or self.calibrated(left, right) is not None:
                continue
            known = self.calibration.find(left, right)
            said = f"says '{known[1].verdict}' of" if known is not None else "says nothing of"
            message = (
                f"duplicates: the calibration {said} {left}-{right}: {rows[one] + rows[other]} rows not "
                "compared across them"
            )
            if strict:
                raise StepError(f"{message}; calibrate that pair, give it in 'pairs', or write 'strict: false'")
            warn(message)
