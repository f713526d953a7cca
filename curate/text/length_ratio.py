"""Length of each language relative to English, in letters (``data/lengths.yaml``, measured on parallel texts)."""

from __future__ import annotations

from functools import lru_cache

from curate.data_files import DataFile
from curate.rows import languages

LENGTHS = DataFile("curate.text", "data/lengths.yaml")


@lru_cache(maxsize=4096)
def usual_length(language: str) -> float | None:
    """Length in Latin-letter equivalents (:func:`curate.text.segmentation.letter_weights`) relative to English; None
    if not measured."""
    known, tag = LENGTHS.yaml()["lengths"], language
    while tag:
        if tag in known:
            return float(known[tag])
        shorter = tag.rpartition("-")[0]
        # Romanised text is no measure for the language's own script.
        tag = shorter if shorter and languages.script(shorter) == languages.script(tag) else ""
    return None
