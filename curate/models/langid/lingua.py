"""``lingua``: 75 languages, designed for short texts; accurate, large and slow.

Lingua (the package ``lingua-language-detector``, Apache-2.0, 94 MB, includes weights; n-grams of one to five letters
from the Leipzig Corpora). All languages together take 1.3 GB of memory and seconds to load: list those you need.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from curate.catalog.params import LanguageTag
from curate.catalog.suggestions import nearest
from curate.errors import ModelError
from curate.models.langid.labels import tag_of
from curate.models.langid.wheel import WheelClassifier, WheelIdentifier
from curate.rows import languages as tags

_MOST = 12


class Lingua(WheelIdentifier):
    """Lingua."""

    use: ClassVar[str] = "lingua"
    summary: ClassVar[str] = "75 languages, accurate on short texts, 1.3 GB of memory (lingua-language-detector)"
    package: ClassVar[str] = "lingua-language-detector"
    module: ClassVar[str] = "lingua"
    license: ClassVar[str] = "Apache-2.0"

    languages: tuple[LanguageTag, ...] | None = None
    """Restricts it to these languages (at least two), which saves memory; by default all 75."""
    accuracy: Literal["high", "low"] = "high"
    """``low`` uses trigrams only: a fraction of the memory, much less accurate on short texts."""
    max_chars: Annotated[int, Field(ge=16)] = 1000
    """Maximum number of characters read from the start of a text; the time is proportional to it."""

    def labels(self) -> Collection[str]:
        return self._chosen().keys()

    def load(self, *, cache: Path | None, threads: int) -> WheelClassifier:
        chosen = self._chosen()
        builder = self._imported().LanguageDetectorBuilder.from_languages(*chosen.values())
        if self.accuracy == "low":
            builder = builder.with_low_accuracy_mode()
        detector = builder.build()
        codes = {one: tag for tag, one in chosen.items()}

        def guess(line: str) -> list[tuple[str, float]]:
            found = detector.compute_language_confidence_values(line)[:_MOST]
            return [(codes[one.language], one.value) for one in found if one.value > 0]

        return self._identifier(guess)

    def _chosen(self) -> dict[str, Any]:
        known = {tag_of(one.iso_code_639_1.name.lower()): one for one in self._imported().Language.all()}
        if self.languages is None:
            return known
        chosen = {}
        for tag in self.languages:
            name = tag if tag in known else tags.base(tag)
            if name not in known:
                raise ModelError(
                    f"lingua does not know '{tag}'{nearest(tag, list(known))} (known: {_listed(list(known))})"
                )
            chosen[name] = known[name]
        if len(chosen) < 2:
            raise ModelError("lingua chooses between languages: name two or more in 'languages'")
        return chosen


def _listed(names: Sequence[str]) -> str:
    return ", ".join(sorted(names))
