"""Chooses the words to switch, writes their translations into the text, and measures the mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

import regex

from curate.generation.code_switch.candidates import CASED, NOUNS, Element, Targets, is_switchable
from curate.rows import languages
from curate.text.words import count_words, estimate_words, is_run, touches

_RIGHT_TO_LEFT = frozenset({"Arabic", "Hebrew", "Syriac", "Thaana", "Nko", "Adlam", "Hanifi_Rohingya"})
_LOGOGRAPHIC = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}ー々〆〇]")
_CHARACTER = regex.compile(r"[\p{L}\p{M}\p{N}]")
ISOLATE, END = "\u2068", "\u2069"


# ------------------------------------------------------------------------------------------------------------- choosing
def choose(
    elements: Sequence[Sequence[Element]], allowed: frozenset[int], count: int, longest: int, random: Random
) -> list[list[int]]:
    """Chooses the elements to switch; returns the places for each text, in order.

    Args:
        elements: of each text of a row.
        allowed: numbers of the languages that may be switched to.
        count: total number to switch.
        longest: maximum number of neighbours switched together (1: each by itself).
    """
    able = [
        (one, place)
        for one, list_ in enumerate(elements)
        for place, element in enumerate(list_)
        if is_switchable(element, allowed)
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


def switch_count(able: int, ratio: float, least: int, random: Random) -> int:
    """``ratio`` of ``able``, rounded up with the probability of its fraction; at least ``least`` where possible."""
    exact = able * ratio
    count = int(exact) + (random.random() < exact - int(exact))
    return min(able, max(count, min(least, able)))


def pick(targets: Targets, sample: bool, random: Random) -> str:
    """The best translation, or one drawn by weight."""
    if not sample or len(targets) == 1:
        return targets[0][0]
    total = sum(weight for _, weight in targets)
    if total <= 0:
        return random.choice(targets)[0]
    point = random.random() * total
    for text, weight in targets:
        point -= weight
        if point < 0:
            return text
    return targets[-1][0]


# ------------------------------------------------------------------------------------------------------------ rewriting
@dataclass
class Mixture:
    """The counts of a switched text, or of several."""

    able: int = 0
    """Elements that could have been switched."""
    switched: int = 0
    words: dict[int, int] = field(default_factory=dict)
    """Number of the language (-1: the matrix language) → words."""
    borders: int = 0
    """Boundaries between two words of the same text."""
    points: int = 0
    """Boundaries at which the language changes."""

    def add(self, other: Mixture) -> None:
        """Adds the counts of another text."""
        self.able += other.able
        self.switched += other.switched
        self.borders += other.borders
        self.points += other.points
        for number, count in other.words.items():
            self.words[number] = self.words.get(number, 0) + count

    def scores(self) -> dict[str, float]:
        """``ratio``: the switched share of what can be switched. ``share``: the switched share of all words. ``cmi``:
        the code-mixing index of Das and Gambäck (2014), 100 · (1 - max wᵢ / (n - u)), with wᵢ words of language i and n
        - u words of any language, 0 if there are none. ``switch_points``: the share of boundaries between words where
        the language changes."""
        total = sum(self.words.values())
        return {
            "ratio": self.switched / self.able if self.able else 0.0,
            "share": 1 - self.words.get(-1, 0) / total if total else 0.0,
            "cmi": 100 * (1 - max(self.words.values()) / total) if total else 0.0,
            "switch_points": self.points / self.borders if self.borders else 0.0,
        }

    def label(self, matrix: str, to: Sequence[str]) -> str:
        """The languages, the matrix language first, then by number of words: ``en+hi``."""
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
    """Whether to put a space between words of spaced and unspaced scripts; None: except for Han and kana."""
    case: bool = True
    """Whether capitals are carried over."""


Switch = tuple[int, str, str]
"""Start in the new text, old text, new text."""


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
    """Switches the chosen elements (place → language and translation); returns the text, the switches and the mixture.

    Everything between the elements is unchanged; a space is inserted only where two words would otherwise run together.
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
            original = text[element.start : element.end]
            if style.case and not sentences:
                target = cased(original, target, matrix, to[number], element.begins)
            count = estimate_words(target, to[number]) if sentences else count_words(target, to[number])
            between = text[done : element.start]
            before = between[-1:] or (parts[-1][-1:] if parts else "")
            after = text[element.end : element.end + 1]
            isolate = style.isolates and _is_right_to_left(matrix) != _is_right_to_left(to[number])
            written = f"{ISOLATE}{target}{END}" if isolate else target
            front = " " if _needs_space(before, target[0], style.whitespace) else ""
            back = " " if _needs_space(target[-1], after, style.whitespace) else ""
            for part in (between, front):
                if part:
                    parts.append(part)
                    length += len(part)
            switches.append((length, original, written))
            parts.append(written + back)
            length += len(written) + len(back)
            done = element.end
        words[number] = words.get(number, 0) + count
        mixture.borders += count - (last is None)
        mixture.points += last is not None and last != number
        last = number
    parts.append(text[done:])
    return "".join(parts), switches, mixture


def _needs_space(left: str, right: str, whitespace: bool | None) -> bool:
    """Whether a space is needed between two characters."""
    if not left or not right:
        return False
    if touches(left, right):
        return True
    is_mixed = is_run(left) != is_run(right)
    if whitespace is False or not is_mixed or not (_CHARACTER.match(left) and _CHARACTER.match(right)):
        return False
    return whitespace is True or not (_LOGOGRAPHIC.match(left) or _LOGOGRAPHIC.match(right))


@lru_cache(maxsize=512)
def _is_right_to_left(language: str) -> bool:
    return not _RIGHT_TO_LEFT.isdisjoint(languages.letters(language))


@lru_cache(maxsize=512)
def _has_case(language: str) -> bool:
    names = languages.letters(language)
    return not names or not CASED.isdisjoint(names)


def cased(original: str, target: str, matrix: str, language: str, begins: bool) -> str:
    """The translation with the capitals of the original: WORD → WORT, Word → Wort; capitals are never removed.

    Mid-sentence capitals of languages that capitalise nouns are not carried over. Scripts without case are unchanged.
    """
    if not original[:1].isupper() or not _has_case(language):
        return target
    dotted = languages.base(language) in ("tr", "az", "crh")
    if len(original) > 1 and original.isupper():
        return target.translate({ord("i"): "İ"}).upper() if dotted else target.upper()
    if not begins and (languages.base(matrix) in NOUNS or original == "I"):
        return target
    if dotted and target.startswith("i"):
        return f"İ{target[1:]}"
    if languages.base(language) == "nl" and target.startswith("ij"):
        return f"IJ{target[2:]}"
    return target[:1].title() + target[1:]
