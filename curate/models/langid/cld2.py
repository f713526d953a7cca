"""``cld2``: Google's Compact Language Detector 2, with more than 150 languages, many of which others lack.

The package ``pycld2`` (Apache-2.0, 10 MB, includes weights). The probability is computed from the share of the text per
language and from CLD2's own reliability flag. It is weak on two and three words.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

import regex

from curate.models.langid.wheel import WheelClassifier, WheelIdentifier

_SURE, _UNSURE = 0.95, 0.5
# What its check of "interchange-valid UTF-8" refuses.
_UNFIT = regex.compile(r"[\p{Cc}\p{Cn}\p{Co}\p{Cs}]")
# Codes of its own: languages that are none, and Montenegrin under a region.
_CODES = {"sr-ME": "cnr", "blu": "hmn", "sit-np": "lif", "un": ""}


class Cld2(WheelIdentifier):
    """Compact Language Detector 2."""

    use: ClassVar[str] = "cld2"
    summary: ClassVar[str] = "more than 150 languages, light and very fast (pycld2)"
    package: ClassVar[str] = "pycld2"
    module: ClassVar[str] = "pycld2"
    license: ClassVar[str] = "Apache-2.0"

    def labels(self) -> Collection[str]:
        pycld2 = self._imported()
        codes = dict(pycld2.LANGUAGES)
        known = (codes.get(name) or codes.get(name.upper()) or "" for name in pycld2.DETECTED_LANGUAGES)
        more = {"zh", "zh-Hant", "ja", "ko"}
        return {_code(code) for code in known if code and not code.startswith("xx")} | more

    def load(self, *, cache: Path | None, threads: int) -> WheelClassifier:
        pycld2 = self._imported()

        def guess(line: str) -> list[tuple[str, float]]:
            try:
                reliable, _, found = pycld2.detect(line, isPlainText=True, bestEffort=True)
            except pycld2.error:
                try:
                    reliable, _, found = pycld2.detect(_UNFIT.sub(" ", line), isPlainText=True, bestEffort=True)
                except pycld2.error:
                    return []
            believed = _SURE if reliable else _UNSURE
            return [(_code(code), percent / 100 * believed) for _, code, percent, _ in found if percent and _code(code)]

        return self._identifier(guess)


def _code(code: str) -> str:
    return _CODES.get(code, "" if code.startswith("xx") else code)
