"""Finds which option an answer names, by the position of its label: (ข), Б, ②, ب and B are all the second option,
``B``.

The sequence of labels is read from the options in the prompt; without them the language decides which letters may be
labels.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import regex

from curate.preferences.self_consistency.answer_phrases import load_words
from curate.preferences.self_consistency.normalize import normal
from curate.rows import languages

NAMES = "ABCDEFGHIJ"
_OPEN = r"[(（\[【「『\"“«'*_\s]*"
_LONGEST = 300
_ALIKE = {"A": "АΑ", "B": "ВΒ", "C": "С", "E": "ЕΕ", "H": "НΗ", "I": "ІΙ"}
"""Latin labels typed on another keyboard."""


@dataclass(frozen=True)
class Options:
    """The options of a prompt."""

    labels: tuple[tuple[str, int], ...]
    """Label (normal form) and position, those of the prompt's own sequence first."""
    texts: tuple[str, ...] = ()
    """The normalised text of each option; empty without a prompt that has them."""


@cache
def _sequences() -> dict[str, tuple[str, ...]]:
    return {
        str(name): tuple(_normal_label(str(label)) for label in labels)
        for name, labels in load_words()["labels"].items()
    }


def _normal_label(text: str) -> str:
    """Narrows full-width letters and removes tatweel; circled digits stay."""
    return "".join(
        unicodedata.normalize("NFKC", char) if "\uff00" <= char <= "\uffef" else char for char in text
    ).replace("\u0640", "")


@lru_cache(maxsize=4096)
def options_of(prompt: str, language: str) -> Options:
    """The options in a prompt, or those usual in a language."""
    text = _normal_label(prompt)
    best: list[tuple[int, int]] = []
    chosen: tuple[str, ...] = ()
    for sequence in _sequences().values():
        for labels in dict.fromkeys((sequence, tuple(label.lower() for label in sequence))):
            places = _places(text, labels)
            if len(places) > max(1, len(best)):
                best, chosen = places, labels
    latin = _sequences()["latin"]
    if best:
        ends = [start for start, _ in best[1:]] + [len(text)]
        parts = [text[end:stop] for (_, end), stop in zip(best, ends, strict=True)]
        parts[-1] = parts[-1].split("\n")[0]
        texts = tuple(normal(part, language) for part in parts)
        own = [(label, place) for place, label in enumerate(chosen[: len(best)])]
        if chosen[0] != chosen[0].upper():
            own += [(label.upper(), place) for label, place in own]
        known = {label for label, _ in own}
        if chosen == latin:
            own += [(alike, place) for label, place in own for alike in _ALIKE.get(label, "")]
        # A model may answer in Latin letters even if the prompt has others.
        own += [(latin[place], place) for place in range(len(best)) if latin[place] not in known]
        return Options(tuple(own), texts)
    usual: dict[str, int] = {}
    for name in ("latin", *load_words()["labels_of"].get(languages.base(language), ()), "circled", "circled-latin"):
        for place, label in enumerate(_sequences()[name]):
            usual.setdefault(label, place)
    return Options(tuple(usual.items()))


def _places(text: str, labels: Sequence[str]) -> list[tuple[int, int]]:
    """The places of labels in sequence, each marked as a label: ``A)``, ``(b)``, ``ก.`` or at the start of a line."""
    places: list[tuple[int, int]] = []
    position = 0
    for label in labels:
        match = _marked(label).search(text, position)
        if match is None:
            break
        places.append((match.start(), match.end()))
        position = match.end()
    return places


@cache
def _marked(label: str) -> regex.Pattern[str]:
    body = regex.escape(label)
    if "①" <= label[0] <= "ⓩ":  # circled labels need no mark
        return regex.compile(body)
    return regex.compile(
        rf"(?<![\p{{L}}\p{{M}}\p{{N}}])[(（\[]?\*{{0,2}}{body}"
        r"(?:\*{0,2}[)）\].．、:：]\*{0,2}(?![0-9])|\s[-–—]\s)"
    )


@lru_cache(maxsize=4096)
def _patterns(options: Options) -> tuple[regex.Pattern[str], regex.Pattern[str], regex.Pattern[str]]:
    labels = sorted((label for label, _ in options.labels), key=lambda one: (-len(one), one))
    body = "|".join(map(regex.escape, labels))
    words, tails = (
        "|".join(map(regex.escape, sorted(load_words()[name], key=lambda one: (-len(one), one))))
        for name in ("option_words", "option_tails")
    )
    latin = rf"(?:{body})(?<=[A-Za-z0-9])(?![A-Za-z0-9\p{{M}}])"
    other = rf"(?:{body})(?<![A-Za-z0-9])(?:(?=(?:{tails}))|(?![\p{{L}}\p{{M}}]))"
    label = rf"({latin}|{other})"
    return (
        # right after an announcement, or at the beginning of the answer
        regex.compile(rf"{_OPEN}(?:(?i:(?:the |an? |die |la |el |le |a )?(?:{words})){_OPEN})?{label}"),
        # marked as a label anywhere: (B), **B**, «B.» at the start of a line
        regex.compile(rf"(?i)[(（\[【「『*]\s*{label}\s*[)）\]】」』*.．:：]|^\s*{label}\s*[)）.．:：、]", regex.M),
        # by itself somewhere
        regex.compile(
            rf"(?<![\p{{L}}\p{{M}}\p{{N}}'’-]){label}(?=\s*(?:[.。!！)）,،;:]|$)|(?![\p{{L}}\p{{M}}\p{{N}}'’ ]))",
            regex.M,
        ),
    )


def _contains(text: str, answer: str) -> bool:
    start = answer.find(text)
    if start < 0:
        return False
    before, after = answer[:start][-1:], answer[start + len(text) :][:1]
    if not text.isascii() and not regex.search(
        r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}\p{Devanagari}\p{Bengali}]", text
    ):
        return True
    return not (before.isalnum() or after.isalnum())


class Chooser:
    """Finds which of the options a text names."""

    def __init__(self, options: Options) -> None:
        self._places = dict(options.labels)
        self._texts = {text: place for place, text in enumerate(options.texts) if text}
        self._first, self._marked, self._alone = _patterns(options)

    def announced(self, segment: str, language: str) -> str | None:
        """The option that a segment begins with, by its label or its text."""
        segment = _normal_label(segment)
        bare = segment.strip(" \t\n()（）[]【】「」『』.。*_`'\"“”«»:：")
        if bare in self._places or bare.upper() in self._places:
            return self._name(bare)
        match = self._first.match(segment)
        if match is not None and not self._is_article(segment, match):
            return self._name(match[1])
        return self.by_text(segment, language)

    def by_text(self, segment: str, language: str) -> str | None:
        """The option whose text is the segment, or the only one whose text is in it."""
        if not self._texts or len(segment) > _LONGEST:
            return None
        answer = normal(segment, language)
        if answer in self._texts:
            return NAMES[self._texts[answer]]
        inside = [text for text in self._texts if _contains(text, answer)]
        # «New York» is named even if «York» is another option.
        longest = [text for text in inside if not any(text != other and text in other for other in inside)]
        return NAMES[self._texts[longest[0]]] if len(longest) == 1 else None

    def last(self, text: str) -> str | None:
        """The last label that is marked as one, else the last label by itself."""
        text = _normal_label(text)
        for pattern in (self._marked, self._alone):
            labels = [next(group for group in match.groups() if group) for match in pattern.finditer(text)]
            if labels:
                return self._name(labels[-1])
        return None

    def _name(self, label: str) -> str:
        return NAMES[self._places[label] if label in self._places else self._places[label.upper()]]

    @staticmethod
    def _is_article(segment: str, match: regex.Match[str]) -> bool:
        """Whether a letter is a word of its own before another word: «A train leaves»."""
        return (
            match[1] in ("A", "I", "E", "a", "i", "e", "أ", "ا", "А", "В", "И", "О")
            and regex.match(r"\s+[\p{L}]", segment[match.end(1) :]) is not None
        )
