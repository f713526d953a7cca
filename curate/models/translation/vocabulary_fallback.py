"""Handles text outside a translator's vocabulary: replaces it by an equivalent, or copies it untranslated.

A neural translator turns an emoji, a word in another script, ``{`` or ``É`` that its vocabulary lacks into arbitrary
words. Here quotation marks and dashes get their plain forms, and rare letters the nearest covered ones (restored where
the word is unchanged in the translation). Everything else is cut out of the sentence and put back afterwards.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import regex

_PLAIN = {
    "’": "'", "‘": "'", "‚": "'", "‛": "'", "ʼ": "'", "′": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"',
    "«": '"',
    "»": '"', "″": '"', "‹": "'", "›": "'", "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "−": "-", "…": "...",
    "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u00ad": "", "\u200b": "", "\ufeff": "",
    "。": ".", "，": ",", "！": "!",
    "？": "?", "：": ":", "；": ";", "、": ",", "।": ".", "۔": ".", "؟": "?", "،": ",",
}  # fmt: skip
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_ASCII_AROUND = regex.compile(r"[\x21-\x7e]*")
_TRAILING = ".,;:!?"
_KEEP = 4096


class OovNormalizer:
    """The fallback for one vocabulary."""

    def __init__(self, covers: Callable[[str], bool]) -> None:
        """
        Args:
            covers: whether the vocabulary has a piece for a character; asked once a character.
        """
        self._covers = covers
        self._known: dict[str, bool] = {" ": True}
        self._near: dict[str, str | None] = {}

    def _covered(self, text: str) -> bool:
        known = self._known
        for char in text:
            if char not in known:
                known[char] = self._covers(char)
            if not known[char]:
                return False
        return True

    def _nearest(self, char: str) -> str | None:
        """An equivalent text of covered characters; None if there is none."""
        if char not in self._near:
            self._near[char] = next((one for one in self._candidates(char) if self._covered(one)), None)
        return self._near[char]

    @staticmethod
    def _candidates(char: str) -> list[str]:
        found = [char]
        if char in _PLAIN:
            found.append(_PLAIN[char])
        if char.isalpha():
            found.append(char.lower())
            bare = "".join(one for one in unicodedata.normalize("NFKD", char) if not unicodedata.combining(one))
            # A letter of the Latin, Greek or Cyrillic alphabet without its accent is the same word misspelt; elsewhere
            # marks are vowels.
            if bare and bare != char and unicodedata.name(char, "").startswith(("LATIN", "GREEK", "CYRILLIC")):
                found += [bare, bare.lower()]
        return found

    def runs(self, text: str) -> list[tuple[str, bool]]:
        """The parts of the text, in order: (text, whether it is copied untranslated)."""
        if self._covered(text):
            return [(text, False)]
        carried = bytearray(len(text))
        for place, char in enumerate(text):
            if carried[place] or self._nearest(char) is not None:
                continue
            start, end = place, place + 1
            if unicodedata.category(char) in ("Sc", "Sm", "Po", "Ps", "Pe", "Pc", "Sk", "Pd"):
                # Part of a token such as {name}, C#, €50: the whole of it.
                before = _ASCII_AROUND.match(text[:place][::-1])
                after = _ASCII_AROUND.match(text, end)
                start -= len(before[0]) if before else 0
                tail = after[0] if after else ""
                end += len(tail.rstrip(_TRAILING))
            carried[start:end] = b"\1" * (end - start)
        runs: list[tuple[str, bool]] = []
        start = 0
        for place in range(1, len(text) + 1):
            if place == len(text) or carried[place] != carried[start]:
                runs.append((text[start:place], bool(carried[start])))
                start = place
        return runs

    def spell(self, text: str) -> tuple[str, dict[str, str]]:
        """The text in covered characters, and for each changed word its own normalizer."""
        text = unicodedata.normalize("NFC", text)
        if self._covered(text):
            return text, {}
        changed: dict[str, str] = {}

        def word(match: regex.Match[str]) -> str:
            own = match[0]
            if self._covered(own):
                return own
            if len(own) > 1 and own.isupper() and self._covered(own.lower()):
                return own.lower()
            other = "".join(self._nearest(char) or "" for char in own)
            if other != own:
                changed[other] = own
            return other

        text = _WORD.sub(word, text)
        return "".join(char if self._covered(char) else self._nearest(char) or "" for char in text), changed

    @staticmethod
    def restore(translation: str, source: str, changed: dict[str, str]) -> str:
        """Restores the original normalizer of words that are unchanged in the translation."""
        if not translation:
            return translation
        if changed:
            translation = _WORD.sub(lambda match: changed.get(match[0], match[0]), translation)
        if source[:1].isupper() and translation[0].islower():
            return translation[0].upper() + translation[1:]
        return translation
