"""A choice is the place of a label in its sequence: (ข), Б, ②, ب and B are all the second option, written ``B``.

Which sequence is used is read from the prompt, where its options stand; only without that the language says which letters may be labels.
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
_OPEN, _CLOSE = r"[(（\[【「『\"“«'*_\s]*", r"[)）\]】」』\"”»'*_\s]*"
_LONGEST = 300
_ALIKE = {"A": "АΑ", "B": "ВΒ", "C": "С", "E": "ЕΕ", "H": "НΗ", "I": "ІΙ"}
"""Latin labels typed on another keyboard."""


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    labels: tuple[tuple[str, int], ...]
    """Label (normal form) and place, those of the prompt's own sequence first."""
    texts: tuple[str, ...] = ()
    """What stands behind each label of the prompt, normalised; empty without a prompt that has them."""


@cache
def _sequences() -> dict[str, tuple[str, ...]]:
    return {
        str(name): tuple(_normal_label(str(label)) for label in given) for name, given in load_words()["labels"].items()
    }


def _normal_label(text: str) -> str:
    """Full-width letters narrow, no tatweel; circled figures stay."""
    return "".join(
        unicodedata.normalize("NFKC", char) if "\uff00" <= char <= "\uffef" else char for char in text
    ).replace("\u0640", "")


@lru_cache(maxsize=4096)
def options_of(prompt: str, language: str) -> Options:
    """The options that a prompt shows, or those that a language would use."""
    text = _normal_label(prompt)
    best: list[tuple[int, int]] = []
    chosen: tuple[str, ...] = ()
    for labels in _sequences().values():
        for given in dict.fromkeys((labels, tuple(label.lower() for label in labels))):
            found = _shown(text, given)
            if len(found) > max(1, len(best)):
                best, chosen = found, given
    latin = _sequences()["latin"]
    if best:
        ends = [start for start, _ in best[1:]] + [len(text)]
        texts = tuple(
            normal(text[end:stop].split("\n")[0] if at == len(best) - 1 else text[end:stop], language)
            for at, ((_, end), stop) in enumerate(zip(best, ends, strict=True))
        )
        own = [(label, place) for place, label in enumerate(chosen[: len(best)])]
        if chosen[0] != chosen[0].upper():
            own += [(label.upper(), place) for label, place in own]
        known = {label for label, _ in own}
        if chosen == latin:
            own += [(alike, place) for label, place in own for alike in _ALIKE.get(label, "")]
        # A model may answer in Latin letters what was asked with others.
        return Options(
            (*own, *((latin[place], place) for place in range(len(best)) if latin[place] not in known)), texts
        )
    usual: dict[str, int] = {}
    for name in ("latin", *load_words()["labels_of"].get(languages.base(language), ()), "circled", "circled-latin"):
        for place, label in enumerate(_sequences()[name]):
            usual.setdefault(label, place)
    return Options(tuple(usual.items()))


def _shown(text: str, labels: Sequence[str]) -> list[tuple[int, int]]:
    """Where the labels stand one after the other from the first on, each marked as a label: ``A)``, ``(b)``, ``ก.`` or at the head of a line."""
    found: list[tuple[int, int]] = []
    position = 0
    for label in labels:
        match = _marked(label).search(text, position)
        if match is None:
            break
        found.append((match.start(), match.end()))
        position = match.end()
    return found


@cache
def _marked(label: str) -> regex.Pattern[str]:
    body = regex.escape(label)
    circled = "①" <= label[0] <= "ⓩ"
    return regex.compile(
        body
        if circled
        else rf"(?<![\p{{L}}\p{{M}}\p{{N}}])[(（\[]?\*{{0,2}}{body}(?:\*{{0,2}}[)）\].．、:：]\*{{0,2}}(?![0-9])|\s[-–—]\s)"
    )


@lru_cache(maxsize=4096)
def _patterns(options: Options) -> tuple[regex.Pattern[str], regex.Pattern[str], regex.Pattern[str]]:
    body = "|".join(
        regex.escape(label)
        for label in sorted((label for label, _ in options.labels), key=lambda one: (-len(one), one))
    )
    words = "|".join(map(regex.escape, sorted(load_words()["option_words"], key=lambda one: (-len(one), one))))
    tails = "|".join(map(regex.escape, sorted(load_words()["option_tails"], key=lambda one: (-len(one), one))))
    latin, any_ = (
        rf"(?:{body})(?<=[A-Za-z0-9])(?![A-Za-z0-9\p{{M}}])",
        rf"(?:{body})(?<![A-Za-z0-9])(?:(?=(?:{tails}))|(?![\p{{L}}\p{{M}}]))",
    )
    label = rf"({latin}|{any_})"
    return (
        # right after an announcement, or the whole answer's beginning
        regex.compile(rf"{_OPEN}(?:(?i:(?:the |an? |die |la |el |le |a )?(?:{words})){_OPEN})?{label}"),
        # marked as a label anywhere: (B), **B**, «B.» at the head of a line
        regex.compile(rf"(?i)[(（\[【「『*]\s*{label}\s*[)）\]】」』*.．:：]|^\s*{label}\s*[)）.．:：、]", regex.M),
        # alone somewhere
        regex.compile(
            rf"(?<![\p{{L}}\p{{M}}\p{{N}}'’-]){label}(?=\s*(?:[.。!！)）,،;:]|$)|(?![\p{{L}}\p{{M}}\p{{N}}'’ ]))",
            regex.M,
        ),
    )


def _stands_in(text: str, shown: str) -> bool:
    start = shown.find(text)
    if start < 0:
        return False
    before, after = shown[:start][-1:], shown[start + len(text) :][:1]
    if not text.isascii() and not regex.search(
        r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}\p{Devanagari}\p{Bengali}]", text
    ):
        return True
    return not (before.isalnum() or after.isalnum())


class Chooser:
    """Finds which of some options a text names."""

    def __init__(self, options: Options) -> None:
        self._places = dict(options.labels)
        self._texts = {text: place for place, text in enumerate(options.texts) if text}
        self._first, self._marked, self._alone = _patterns(options)

    def announced(self, segment: str, language: str) -> str | None:
        """The option that a segment begins with, by its label or by its text."""
        segment = _normal_label(segment)
        bare = segment.strip(" \t\n()（）[]【】「」『』.。*_`'\"“”«»:：")
        if bare in self._places or bare.upper() in self._places:
            return self._name(bare)
        match = self._first.match(segment)
        if match is not None and not self._is_article(segment, match):
            return self._name(match[1])
        return self.by_text(segment, language)

    def by_text(self, segment: str, language: str) -> str | None:
        """The option whose text a segment is, or the only one whose text stands in it."""
        if not self._texts or len(segment) > _LONGEST:
            return None
        shown = normal(segment, language)
        if shown in self._texts:
            return NAMES[self._texts[shown]]
        inside = [text for text in self._texts if _stands_in(text, shown)]
        # «New York» is said where «York» is another option.
        longest = [text for text in inside if not any(text != other and text in other for other in inside)]
        return NAMES[self._texts[longest[0]]] if len(longest) == 1 else None

    def last(self, text: str) -> str | None:
        """The last label that is marked as one, else the last that stands alone."""
        text = _normal_label(text)
        for pattern in (self._marked, self._alone):
            found = [next(group for group in match.groups() if group) for match in pattern.finditer(text)]
            if found:
                return self._name(found[-1])
        return None

    def _name(self, label: str) -> str:
        return NAMES[self._places[label] if label in self._places else self._places[label.upper()]]

    @staticmethod
    def _is_article(segment: str, match: regex.Match[str]) -> bool:
        """«A train leaves»: a letter that is a word of its own, with another after it."""
        return (
            match[1] in ("A", "I", "E", "a", "i", "e", "أ", "ا", "А", "В", "И", "О")
            and regex.match(r"\s+[\p{L}]", segment[match.end(1) :]) is not None
        )
