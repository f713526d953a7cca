"""Switching takes some words of a text for their translations: which shall, how they are written, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

import regex

from curate.generation.code_switch.candidates import CASED, NOUNS, Element, Targets, can
from curate.rows import languages
from curate.text.words import count_words, estimate_words, is_run, touches

_RIGHT_TO_LEFT = frozenset({"Arabic", "Hebrew", "Syriac", "Thaana", "Nko", "Adlam", "Hanifi_Rohingya"})
_WHOLE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}ー々〆〇]")
_SIGN = regex.compile(r"[\p{L}\p{M}\p{N}]")
ISOLATE, END = "\u2068", "\u2069"


# ----------------------------------------------------------------------------------------------------------------- choosing
def choose(
    elements: Sequence[Sequence[Element]], allowed: frozenset[int], count: int, longest: int, random: Random
) -> list[list[int]]:
    """Which elements shall be switched: for each text, groups of places flattened in order.

    Args:
        elements: of each text of a row.
        allowed: numbers of the languages that may be switched to.
        count: how many in all.
        longest: up to so many neighbours go together (1: each for itself).
    """
    able = [
        (one, place)
        for one, list_ in enumerate(elements)
        for place, element in enumerate(list_)
        if can(element, allowed)
    ]
    chosen: list[list[int]] = [[] for _ in elements]
    if longest == 1:
        for one, place in random.sample(able, count):
            chosen[one].append(place)
    else:
        left, taken = set(able), 0
        order = random.sample(able, len(able))
        while taken < count:
            one, place = order.pop()
            if (one, place) not in left:
                continue
            for _ in range(min(random.randint(2, longest), count - taken)):
                if (one, place) not in left:
                    break
                left.discard((one, place))
                chosen[one].append(place)
                taken += 1
                place += 1
    return [sorted(places) for places in chosen]


def how_many(able: int, ratio: float, least: int, random: Random) -> int:
    """``ratio`` of ``able``, the fraction rounded up as often as it is large, at least ``least`` where there are so many."""
    wanted = able * ratio
    count = int(wanted) + (random.random() < wanted - int(wanted))
    return min(able, max(count, min(least, able)))


def pick(targets: Targets, sample: bool, random: Random) -> str:
    """The best translation, or one drawn by weight."""
    if not sample or len(targets) == 1:
        return targets[0][0]
    whole = sum(weight for _, weight in targets)
    if whole <= 0:
        return random.choice(targets)[0]
    point = random.random() * whole
    for text, weight in targets:
        point -= weight
        if point < 0:
            return text
    return targets[-1][0]


# ---------------------------------------------------------------------------------------------------------------- rewriting
@dataclass
class Mixture:
    """What a switched text, or several, came to."""

    able: int = 0
    """Elements that could have been switched."""
    switched: int = 0
    words: dict[int, int] = field(default_factory=dict)
    """Number of the language (-1: the matrix language) → words."""
    borders: int = 0
    """Borders between two words of the same text."""
    points: int = 0
    """Those at which the language changes."""

    def add(self, other: Mixture) -> None:
        """Adds another text's."""
        self.able += other.able
        self.switched += other.switched
        self.borders += other.borders
        self.points += other.points
        for number, count in other.words.items():
            self.words[number] = self.words.get(number, 0) + count

    def scores(self) -> dict[str, float]:
        """``ratio``: of what could be switched, what was; ``share``: of all words, those switched; ``cmi``: the code-mixing index of
        Das and Gambäck (2014), 100 · (1 - max wᵢ / (n - u)), with wᵢ words of language i, n - u words of any language, 0 where there
        are none; ``switch_points``: of all borders between words, those where the language changes."""
        whole = sum(self.words.values())
        return {
            "ratio": self.switched / self.able if self.able else 0.0,
            "share": 1 - self.words.get(-1, 0) / whole if whole else 0.0,
            "cmi": 100 * (1 - max(self.words.values()) / whole) if whole else 0.0,
            "switch_points": self.points / self.borders if self.borders else 0.0,
        }

    def label(self, matrix: str, to: Sequence[str]) -> str:
        """The languages, the matrix language first, then by words: ``en+hi``."""
        others = sorted(
            (number for number in self.words if number >= 0), key=lambda number: (-self.words[number], to[number])
        )
        return "+".join([matrix, *(to[number] for number in others)])


@dataclass(frozen=True)
class Style:
    """How a switched word is written."""

    isolates: bool = False
    """Whether a word of the other direction is put between isolating marks (U+2068, U+2069)."""
    whitespace: bool | None = None
    """Whether a blank parts words of spaced and unspaced scripts; None: but for Han and kana."""
    case: bool = True
    """Whether capitals are carried over."""


Switch = tuple[int, str, str]
"""Where it begins in the new text, what was there, what is there now."""


def rewrite(
    text: str,
    elements: Sequence[Element],
    chosen: Mapping[int, tuple[int, str]],
    matrix: str,
    to: Sequence[str],
    style: Style,
    *,
    sentences: bool = False,
) -> tuple[str, list[Switch], Mixture]:
    """The text with the chosen elements (place → language and translation) switched, the switches, and the mixture.

    Everything between the elements stays as it is; a blank is put in only where two words would otherwise run together.
    """
    parts: list[str] = []
    switches: list[Switch] = []
    mixture = Mixture(switched=len(chosen))
    words = mixture.words
    done = length = 0
    last: int | None = None
    for place, element in enumerate(elements):
        number, count = -1, element.words
        if place in chosen:
            number, target = chosen[place]
            said = text[element.start : element.end]
            if style.case and not sentences:
                target = cased(said, target, matrix, to[number], element.begins)
            count = estimate_words(target, to[number]) if sentences else count_words(target, to[number])
            between = text[done : element.start]
            before = between[-1:] or (parts[-1][-1:] if parts else "")
            after = text[element.end : element.end + 1]
            written = (
                f"{ISOLATE}{target}{END}" if style.isolates and _leftward(matrix) != _leftward(to[number]) else target
            )
            front = " " if _parted(before, target[0], style.whitespace) else ""
            back = " " if _parted(target[-1], after, style.whitespace) else ""
            for part in (between, front):
                if part:
                    parts.append(part)
                    length += len(part)
            switches.append((length, said, written))
            parts.append(written + back)
            length += len(written) + len(back)
            done = element.end
        words[number] = words.get(number, 0) + count
        mixture.borders += count - (last is None)
        mixture.points += last is not None and last != number
        last = number
    parts.append(text[done:])
    return "".join(parts), switches, mixture


def _parted(left: str, right: str, whitespace: bool | None) -> bool:
    """Whether a blank has to come between two characters."""
    if not left or not right:
        return False
    if touches(left, right):
        return True
    if whitespace is False or not (_SIGN.match(left) and _SIGN.match(right)) or is_run(left) == is_run(right):
        return False
    return whitespace is True or not (_WHOLE.match(left) or _WHOLE.match(right))


@lru_cache(maxsize=512)
def _leftward(language: str) -> bool:
    return not _RIGHT_TO_LEFT.isdisjoint(languages.letters(language))


@lru_cache(maxsize=512)
def _has_case(language: str) -> bool:
    names = languages.letters(language)
    return not names or not CASED.isdisjoint(names)


def cased(said: str, target: str, matrix: str, language: str, begins: bool) -> str:
    """The translation with the capitals of what it stands for: WORD → WORT, Word → Wort; none are taken away.

    Mid-sentence capitals of languages that write all nouns so are not carried over. Scripts without case stay as they are.
    """
    if not said[:1].isupper() or not _has_case(language):
        return target
    dotted = languages.base(language) in ("tr", "az", "crh")
    if len(said) > 1 and said.isupper():
        return target.translate({ord("i"): "İ"}).upper() if dotted else target.upper()
    if not begins and (languages.base(matrix) in NOUNS or said == "I"):
        return target
    if dotted and target.startswith("i"):
        return f"İ{target[1:]}"
    if languages.base(language) == "nl" and target.startswith("ij"):
        return f"IJ{target[2:]}"
    return target[:1].title() + target[1:]
