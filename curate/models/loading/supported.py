"""The set of languages that a model supports: ``pt-BR`` is in it if ``pt`` is, but not ``hi-Latn`` if ``hi`` is."""

from __future__ import annotations

from collections.abc import Iterable

from curate.rows import languages


class Supported:
    """A set of languages that includes their regional variants."""

    def __init__(self, tags: Iterable[str]) -> None:
        self._known = {_base_and_script(languages.normalize(tag)) for tag in tags}

    def __contains__(self, tag: str) -> bool:
        try:
            return _base_and_script(languages.normalize(tag)) in self._known
        except languages.InvalidLanguage:
            return False


def _base_and_script(tag: str) -> tuple[str, str]:
    return languages.base(tag), languages.script(tag)
