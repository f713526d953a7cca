"""``eld``: sixty languages by n-grams, in C; small, fast, and the most accurate of the light identifiers on few words.

Nito-ELD (the package ``eldc``, Apache-2.0, 26 MB, includes weights). Its scores are similarities between 0 and 1, not
probabilities. They are sharpened so that the probability of the best label is calibrated (UDHR and message catalogues).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from curate.models.langid.wheel import WheelClassifier, WheelIdentifier, shares

_SHARPNESS = 50.0
_MOST = 20


class Eld(WheelIdentifier):
    """Nito-ELD."""

    use: ClassVar[str] = "eld"
    summary: ClassVar[str] = "sixty languages, light and very fast (eldc)"
    package: ClassVar[str] = "eldc"
    module: ClassVar[str] = "eldc"
    license: ClassVar[str] = "Apache-2.0"

    def labels(self) -> Collection[str]:
        known: Collection[str] = self._imported().LANGUAGES
        return known

    def load(self, *, cache: Path | None, threads: int) -> WheelClassifier:
        eldc = self._imported()
        eldc.init()
        detector = eldc.instance()
        detector.set_scores(_MOST)

        def guess(line: str) -> list[tuple[str, float]]:
            return shares(detector.detect_details(line).scores.items(), _SHARPNESS)

        return self._identifier(guess)
