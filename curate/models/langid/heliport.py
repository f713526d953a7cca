"""``heliport``: 220 languages, many with few speakers; GPL, so it is used only where a catalog names it.

HeLI-OTS in Rust (the package ``heliport``, **GPL-3.0**, 85 MB, includes weights, 0.9 GB of memory). It has one label
for Bosnian, Croatian and Serbian and one for Malay and Indonesian. A score is the mean negative logarithm of a word's
frequency.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from curate.models.langid.wheel import WheelClassifier, WheelIdentifier, shares

_SHARPNESS = 4.5
_MOST = 10
_LABELS = "confidenceThresholds"


class Heliport(WheelIdentifier):
    """HeLI-OTS."""

    use: ClassVar[str] = "heliport"
    summary: ClassVar[str] = "220 languages, GPL-3.0 (heliport)"
    package: ClassVar[str] = "heliport"
    module: ClassVar[str] = "heliport"
    license: ClassVar[str] = "GPL-3.0-only"
    extra: ClassVar[str] = "lid-gpl"

    def labels(self) -> Collection[str]:
        # They stand in a table of the package: a label, a space, a threshold.
        table = (Path(self._imported().__file__).parent / _LABELS).read_text(encoding="utf-8")
        return [line.split()[0].split("_")[0] for line in table.splitlines() if line.strip()]

    def load(self, *, cache: Path | None, threads: int) -> WheelClassifier:
        identifier = self._imported().Identifier()

        def guess(line: str) -> list[tuple[str, float]]:
            found = identifier.identify_topk_with_score(line, _MOST)
            return shares(((label, -score) for label, score in found if label not in ("zxx", "und")), _SHARPNESS)

        return self._identifier(guess)
