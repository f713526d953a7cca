"""Vetoes: similar texts that differ in one figure, negation or word are not duplicates.

The two texts of a pair are aligned word by word. A figure or word counts only where another stands in its place between
equal words, or a whole stretch of words in place of another, as in two requests in one prompt; a negation counts where
it is added or left out by itself. What stands in an added or cut stretch does not count, so a heading before a text or
a missing end makes no other text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import regex

from curate.text import negation
from curate.text import segmentation as text
from filters.duplicates import mismatch_veto

Flags = npt.NDArray[np.bool_]
_SINGLE = "".join(rf"\p{{Script={name}}}" for name in text.UNSPACED if name != "Hangul")
# A figure with what belongs to it, a word (c++ and c# are figures), or a grapheme of a script without spaces.
_TOKENS = regex.compile(
    rf"(?V1){mismatch_veto.SIGN}|\p{{Nd}}+(?:[.,:/^*-]\p{{Nd}}+)*|{mismatch_veto.OTHER_NUMERALS}"
    rf"|[[\p{{L}}\p{{M}}']--[{_SINGLE}]]+(?:\+\+|\#)?|{mismatch_veto.OPERATOR}|\X",
)
_FIGURE = regex.compile(rf"(?V1)[\p{{N}}\p{{Sc}}[\p{{Sm}}--[|~⁓]]%‰٪-].*|[{mismatch_veto.HAN}]+|.*[+#]")
_ALONE = regex.compile(rf"(?V1)[[{_SINGLE}]&&\p{{L}}].*")
_HAN = regex.compile(r"\p{Han}")
_SOUND = regex.compile(rf"(?V1)[[{_SINGLE}]&&\p{{L}}--\p{{Han}}].*")
# Another word, not a mistyped one, has at least this share of its letters changed, and at least two.
_MISTYPED, _LEAST = 0.4, 2
# Two texts differ in words if at least this share of their changes are other words: a copy with random errors has
# changes of several kinds.
_MOST = 0.75
_LONGEST = 400
# Equal graphemes between two changes that are taken for chance, in scripts without spaces other than Han.
_CHANCE = 2
# A stretch of so many words on both sides, less similar than this in letters and in words, is another text in a shared
# prompt.
_STRETCH, _UNLIKE = 3.0, 0.5
# Words of an addition that is more than a negation: inside a text, and at its ends. Two graphemes count as a word.
_INSIDE, _AT_END = 3.0, 1.0
_CONTEXT = 4


@dataclass(frozen=True)
class Change:
    """A place where two texts differ, without the stretch that one of them has more at its start or end."""

    left: Sequence[str]
    right: Sequence[str]
    more: Sequence[str]
    """The stretch that one text has more, at its start or end."""
    places: tuple[int, int, int, int]
    """First and last token (exclusive) in the left text, and in the right one, the stretch included."""
    start: bool
    end: bool

    @property
    def doubled(self) -> bool:
        """Whether there is nothing but words in another order."""
        return bool(self.left) and Counter(self.left) == Counter(self.right)


@dataclass(frozen=True)
class Vetoes:
    """Which substitutions keep two texts apart; see :class:`filters.duplicates.step.Duplicates`."""

    numbers: bool = True
    negation: bool = True
    words: bool = True

    @property
    def any(self) -> bool:
        """Whether any pair can be kept apart."""
        return self.numbers or self.negation or self.words

    def of(
        self,
        left: Sequence[str],
        right: Sequence[str],
        languages: Sequence[str],
        same_numbers: Flags,
        same_negations: Flags,
    ) -> Flags:
        """Whether each pair of normal forms differs in a figure, a negation or a word.

        Args:
            languages: of the left text.
            same_numbers: pairs known to have the same numbers in the same order.
            same_negations: pairs known to have the same negations.
        """
        tokens = {one: tokens_of(one) for one in {*left, *right}}
        return np.fromiter(
            (
                self._veto(tokens[a], tokens[b], tag, self.numbers and not figures, self.negation and not denials)
                for a, b, tag, figures, denials in zip(
                    left, right, languages, same_numbers.tolist(), same_negations.tolist(), strict=True
                )
            ),
            bool,
            len(left),
        )

    def _veto(self, left: list[str], right: list[str], language: str, numbers: bool, negations: bool) -> bool:
        if left == right:
            # Only punctuation differs: 7 - 3 and 7 3.
            return numbers
        words = self.words and len(left) + len(right) <= _LONGEST
        if not (numbers or negations or words):
            return False
        if words and _other_stretch(left, right):
            return True
        other = every = 0
        for change in changes(left, right):
            if numbers and _other_figure(change):
                return True
            if negations and _other_negation(change, left, right, language):
                return True
            if change.left or change.right:
                every += 1
                other += _other_word(change)
        return words and other > 0 and other >= _MOST * every


def tokens_of(normal: str) -> list[str]:
    """The figures, words and, in scripts without spaces, graphemes of a normal form, in order."""
    plain = normal if normal.isascii() else "".join(map(mismatch_veto.plain_digit, normal))
    return [one for one in _TOKENS.findall(mismatch_veto.GROUPS.sub("", plain)) if not one.isspace()]


def changes(left: list[str], right: list[str]) -> Iterator[Change]:
    """The places where two lists of tokens differ, in order."""
    from rapidfuzz.distance import Levenshtein

    blocks: list[list[int]] = []
    for code in Levenshtein.opcodes(left, right):
        if code.tag == "equal":
            continue
        start, end = code.src_start, code.src_end
        if blocks:
            between = left[blocks[-1][1] : start]
            if len(between) <= (_CHANCE if all(map(_SOUND.fullmatch, between)) else 0):
                blocks[-1][1], blocks[-1][3] = end, code.dest_end
                continue
        blocks.append([start, end, code.dest_start, code.dest_end])
    for a1, a2, b1, b2 in blocks:
        start, end = a1 == b1 == 0, a2 == len(left) and b2 == len(right)
        a, b = left[a1:a2], right[b1:b2]
        more: list[str] = []
        if start or end:
            size = min(len(a), len(b))
            longer = a if len(a) > len(b) else b
            more = longer[size:] if end else longer[: len(longer) - size]
            a, b = (a[:size], b[:size]) if end else (a[len(a) - size :], b[len(b) - size :])
            # The word at which a text was cut is a part of the other's; a figure only if more is missing.
            if end and size and _is_cut(a[-1], b[-1]) and (more or not _FIGURE.fullmatch(a[-1])):
                a, b = a[:-1], b[:-1]
        yield Change(a, b, more, (a1, a2, b1, b2), start, end)


def _is_cut(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _figures(tokens: Sequence[str]) -> list[str]:
    return [one for one in tokens if _FIGURE.fullmatch(one)]


def _other_stretch(left: list[str], right: list[str]) -> bool:
    """Whether all that differs is one stretch of words in place of another: two requests in the same prompt."""
    from rapidfuzz.distance import OSA

    least = min(len(left), len(right))
    start = next((at for at in range(least) if left[at] != right[at]), least)
    end = next((at for at in range(least - start) if left[-1 - at] != right[-1 - at]), least - start)
    one, other = left[start : len(left) - end], right[start : len(right) - end]
    if min(_size(one), _size(other)) < _STRETCH:
        return False
    # The same words in another order are an edit.
    if sum((Counter(one) & Counter(other)).values()) >= _UNLIKE * max(len(one), len(other)):
        return False
    first, second = _letters("".join(one)), _letters("".join(other))
    return 1 - OSA.distance(first, second) / max(len(first), len(second)) < _UNLIKE


def _other_figure(change: Change) -> bool:
    a, b = _figures(change.left), _figures(change.right)
    if a == b:
        # A figure that is all that was added: a marker of a list at the start, another sum elsewhere.
        return bool(change.more) and not change.start and len(_figures(change.more)) == len(change.more)
    if a and b:
        return True
    mine, theirs = (change.left, change.right) if a else (change.right, change.left)
    return bool(theirs) or len(a or b) == len(mine)


def _size(tokens: Sequence[str]) -> float:
    return sum(0.5 if _ALONE.fullmatch(one) else 1.0 for one in tokens)


def _other_negation(change: Change, left: list[str], right: list[str], language: str) -> bool:
    from rapidfuzz.distance import OSA

    if change.doubled:
        return False
    a1, a2, b1, b2 = change.places
    if change.start or change.end:
        added = change.more
        stretch = _size(added) > _AT_END
        if stretch and not (change.left or change.right):
            return False
    else:
        added = change.left or change.right
        if not (change.left and change.right) and _size(added) > _INSIDE:
            return False
    if not negation.stands_alone(language):
        # A negation may be aligned with a part of itself: the graphemes around the change are looked at too.
        near = [
            "".join(side[max(0, first - _CONTEXT) : last + _CONTEXT])
            for side, first, last in ((left, a1, a2), (right, b1, b2))
        ]
        return len(negation.found(near[0], language)) != len(negation.found(near[1], language))
    sides = [left[a1:a2], right[b1:b2]]
    if (change.start or change.end) and stretch:
        sides = [list(change.left), list(change.right)]
    denials = [negation.negators(side, language) for side in sides]
    if len(denials[0]) == len(denials[1]):
        return False
    first, second = "".join(sides[0]), "".join(sides[1])
    if not first or not second:
        return True
    # Joined with a neighbour (cannot, can not) or mistyped (nto); but can and can't differ in an ending.
    if first.startswith(second) or second.startswith(first):
        return first != second
    distance = OSA.distance(first, second)
    words = {word for side in denials for word in side}
    return distance >= _MISTYPED * max(len(first), len(second)) or any(distance >= len(word) for word in words)


def _other_word(change: Change) -> bool:
    from rapidfuzz.distance import OSA

    if not change.left or not change.right or change.doubled:
        return False
    a, b = "".join(change.left), "".join(change.right)
    if all(map(_ALONE.fullmatch, (*change.left, *change.right))):
        size, distance = max(len(change.left), len(change.right)), OSA.distance(change.left, change.right)
        return (size > 1 or bool(_HAN.match(a) and _HAN.match(b))) and distance >= _MISTYPED * size
    first, second = _letters(a), _letters(b)
    return OSA.distance(first, second) >= max(_LEAST, _MISTYPED * max(len(first), len(second)))


def _letters(word: str) -> Sequence[str]:
    return word if word.isascii() else text.graphemes(word)
