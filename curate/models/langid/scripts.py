"""What the script of a text says about the labels that an identifier gives it, and text as identifiers expect it."""

from __future__ import annotations

from functools import lru_cache

import polars as pl

from curate.models.langid import language_data
from curate.rows import languages
from curate.text import segmentation
from curate.text.masks import lower_capitals


def as_trained(texts: pl.Series) -> pl.Series:
    """Text as identifiers are trained on it: without vowel points, and lower-cased where most letters are capitals."""
    return lower_capitals(segmentation.strip_marks(texts))


@lru_cache(maxsize=65_536)
def contradicted(label: str, system: tuple[str, ...]) -> bool:
    """Whether a text in these scripts (see :func:`curate.text.segmentation.writing`) cannot be in this language."""
    names = languages.letters(label)
    # Japanese without any kana and Korean without any Hangul are Chinese.
    needed = {"Japanese"} if "Hiragana" in names else {"Hangul"} if "Hangul" in names else set(names)
    wrong = bool(system and needed) and needed.isdisjoint(system)
    # The label of a language group has no script of its own.
    return not language_data.is_group(label) and (wrong or _is_impossible(label))


def _is_impossible(label: str) -> bool:
    """Whether a label names a language in a script it is never written in (``pt-Hans``).

    Such labels arise when an identifier without scripts is wrong and the script of the text is added to its label.
    """
    written, usual = languages.letters(label), languages.letters(languages.base(label))
    if written == usual or not written or not usual:
        return False
    return "Han" in written or ("Latin" in usual and not {"Cyrillic", "Arabic"} & set(written))


def in_own_script(label: str, system: tuple[str, ...]) -> str:
    """The label without another script than usual (``ko-Latn`` → ``ko``) for a text that has letters of the usual one:
    a Korean and an English sentence are no Korean in Latin letters."""
    base = languages.base(label)
    usual, written = languages.letters(base), languages.letters(label)
    own = bool(usual) and usual != written and "Han" not in written
    return base if own and not contradicted(base, system) else label


def romanised(label: str, system: tuple[str, ...]) -> str:
    """The label for Latin letters: ``hi`` in Latin letters is ``hi-Latn``."""
    if system != ("Latin",) or label == languages.UNKNOWN or "Latin" in languages.letters(label):
        return label
    return languages.normalize(f"{languages.base(label)}-Latn")
