"""Base class of language identifiers whose Python package includes the weights (``eld``, ``cld2``, ``lingua``,
``heliport``).

They are identified by package and version, and nothing is downloaded. A package is imported when the model is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from math import exp
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from curate.catalog.params import Role
from curate.data_files import DataFile
from curate.errors import ModelError
from curate.models.langid.labels import Guess, TagTable, identify_each, in_script, tag_of
from curate.models.langid.language_data import DATA, weak_languages
from curate.models.loading.supported import Supported
from curate.rows import languages
from curate.steps.models import Identified, Model


class WheelIdentifier(Model):
    """A language identifier whose weights are inside its Python package."""

    role: ClassVar[Role | None] = Role.IDENTIFIER
    package_data: ClassVar[tuple[DataFile, ...]] = DATA
    package: ClassVar[str]
    """Its name on the package index."""
    module: ClassVar[str]
    """Its module."""
    license: ClassVar[str]
    """Licence of code and weights."""
    extra: ClassVar[str] = "lid"

    max_chars: Annotated[int, Field(ge=16)] = 4000
    """Maximum number of characters read from the start of a text."""

    def name_and_revision(self) -> str:
        """``package@version``.

        Raises:
            ModelError: it is not installed.
        """
        try:
            return f"{self.package}@{version(self.package)}"
        except PackageNotFoundError:
            raise self._missing() from None

    def _missing(self) -> ModelError:
        return ModelError(f"'{self.use}' needs the package {self.package}: pip install 'polycurate[{self.extra}]'")

    def _imported(self) -> Any:
        try:
            return import_module(self.module)
        except ImportError as error:
            if getattr(error, "name", None) == self.module:
                raise self._missing() from None
            raise ModelError(f"the package {self.package} cannot be used here: {error}") from error

    def labels(self) -> Collection[str]:
        """Its labels, read from the package without loading the weights.

        Raises:
            ModelError: its package is not installed, or its binary does not fit this system.
        """
        raise NotImplementedError

    def supported(self) -> Supported:
        """The languages that it can identify, and recognises mostly."""
        return Supported(sorted(_tags(self.labels()) - weak_languages(self.package)))

    def _identifier(self, guess: Guess) -> WheelClassifier:
        return WheelClassifier(self.labels(), guess, self.supported(), max_chars=self.max_chars)

    def load(self, *, cache: Path | None, threads: int) -> WheelClassifier:
        """The identifier.

        Raises:
            ModelError: its package is not installed, or its binary does not fit this system.
        """
        raise NotImplementedError


class WheelClassifier:
    """A loaded identifier that classifies one text at a time."""

    def __init__(self, labels: Iterable[str], guess: Guess, supported: Supported, *, max_chars: int) -> None:
        self._guess = guess
        self._max_chars = max_chars
        self._supported = supported
        self._bases = frozenset(map(languages.base, _tags(labels)))
        self._table = TagTable(_in_script)

    def names(self, language: str) -> bool:
        """Whether it has a label for this language at all, in whatever script, be it seldom right."""
        return languages.base(language) in self._bases

    def supports(self, language: str) -> bool:
        """Whether it can identify this language in this script, and recognises it mostly."""
        return language in self._supported

    def identify(self, texts: Sequence[str], k: int = 1) -> Identified:
        """The k most likely languages of each text, with probabilities in [0, 1]; empty for a text without letters.

        Raises:
            ValueError: ``k`` is less than 1.
        """
        return identify_each(texts, k, self._max_chars, self._guess, self._table)


def _in_script(label: str, script: str, no_kana: bool) -> tuple[str, ...]:
    tag = tag_of(label)
    return () if tag == languages.UNKNOWN else (in_script("zh" if tag == "ja" and no_kana else tag, script),)


def _tags(labels: Iterable[str]) -> set[str]:
    return {tag_of(label) for label in labels} - {languages.UNKNOWN}


def shares(scores: Iterable[tuple[str, float]], sharpness: float) -> list[tuple[str, float]]:
    """Scores as shares of 1, a difference of 1 / ``sharpness`` being a factor of e."""
    pairs = list(scores)
    if not pairs:
        return []
    best = max(score for _, score in pairs)
    weights = [exp(max(-60.0, (score - best) * sharpness)) for _, score in pairs]
    total = sum(weights)
    return [(label, weight / total) for (label, _), weight in zip(pairs, weights, strict=True)]
