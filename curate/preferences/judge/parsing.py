"""An answer of a judge is a verdict only if it says one thing plainly: a label, a level, or how likely each of them was."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import regex

from curate.generation.common.requests import InvalidResponse
from curate.steps.models import Answer, TokenLogprob

PAIR = {"A": 1.0, "B": -1.0, "tie": 0.0}
"""What a label says: the answer shown first is better, the one shown second, neither."""
_MARKS = regex.compile(r"[\s*_`\"'“”«»„()\[\]{}<>#:：.。.،,、!！।]+")
_SAID = regex.compile(r"(?:^|[:：=])[\s*_`\"'“”«»„(\[]*(A|B|tie)[\s*_`\"'“”«»„)\].。।!！]*$", regex.I | regex.M)
_NUMBER = regex.compile(r"(?<![\p{Nd}.,/-])(-?\p{Nd}+)(?:[.,]\p{Nd}+)?(?:\s*/\s*(\p{Nd}+))?(?![\p{Nd}])")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judge says of one row."""

    score: float | None = None
    """Pairwise: in [-1, 1], above 0 where ``chosen`` is better. Else the level (the similarity) of the answer, for a pair the difference of
    its two answers. None: no usable verdict."""
    sides: Mapping[str, float] = field(default_factory=dict)
    """Direct: the level of each answer."""
    criteria: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Direct: side → criterion → level."""
    orders: tuple[float, float] | None = None
    """Pairwise: how far the answer shown first was preferred, with ``chosen`` first and with ``rejected`` first."""
    said: tuple[str, ...] = ()
    """Pairwise: the labels, one text an order."""
    first: int = 0
    """Pairwise: of how many answers the one shown first was called better."""
    decided: int = 0
    """Of so many that called one better."""
    reason: str = ""
    problem: str = ""

    @property
    def consistent(self) -> bool | None:
        """Whether both orders say the same; None where nothing was compared."""
        if self.orders is None:
            return None
        one, two = self.orders
        return (one > 0) - (one < 0) == (two < 0) - (two > 0)


def of_orders(one: float, two: float) -> float:
    """The verdict of both orders: their mean where they agree, and a tie where they do not.

    Args:
        one: how far the first shown was preferred where that was ``chosen``; ``two``: where it was ``rejected``.
    """
    if one * two >= 0:  # the same place in both orders, or one of them undecided
        return 0.0
    return (one - two) / 2


# ------------------------------------------------------------------------------------------------------------------ words
def read_label(text: str, labels: Sequence[str]) -> str:
    """The one label that the text says.

    Raises:
        InvalidResponse: it says none, or several, or tells a story.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    bare = _MARKS.sub("", plain).casefold()
    for label in labels:
        if bare == label.casefold():
            return label
    found = {match[1].casefold() for match in _SAID.finditer(plain[-_LONGEST:])}
    if len(found) == 1:
        said = found.pop()
        for label in labels:
            if said == label.casefold():
                return label
    raise InvalidResponse(f"it must be {_either(labels)} and nothing else")


def read_level(text: str, levels: Sequence[int]) -> int:
    """The one level that the text says, in any digits; ``4``, ``**4**``, ``Score: 4``, ``4/5``.

    Raises:
        InvalidResponse: it says none, or several.
    """
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").strip()[-_LONGEST:]
    found = set()
    for match in _NUMBER.finditer(plain):
        if "." in match[0] or "," in match[0] or (match[2] and int(match[2]) != max(levels)):
            raise InvalidResponse(f"it must be one of {', '.join(map(str, levels))} and nothing else")
        found.add(int(match[1]))
    if len(found) != 1 or not found <= set(levels):
        raise InvalidResponse(f"it must be one of {', '.join(map(str, levels))} and nothing else")
    return found.pop()


def _either(labels: Sequence[str]) -> str:
    return f"{', '.join(labels[:-1])} or {labels[-1]}"


# --------------------------------------------------------------------------------------------------------- log-probabilities
def probabilities(answer: Answer, labels: Sequence[str], key: str | None) -> dict[str, float]:
    """How likely each label was where the answer says one, together 1 (as in G-Eval, Liu et al. 2023).

    Args:
        key: the JSON key whose value is the label; None where the answer is the label alone.

    Raises:
        InvalidResponse: the model tells no likely tokens, or none of them begins a label.
    """
    token = _token(answer, labels, key)
    if token is None or not (token.top or token.token):
        raise InvalidResponse("the model tells no log-probabilities where its verdict stands", again=False)
    mass = dict.fromkeys(labels, 0.0)
    for text, logprob in dict([(token.token, token.logprob), *token.top]).items():
        label = _begun(text, labels)
        if label is not None:
            mass[label] += math.exp(min(0.0, logprob))
    whole = sum(mass.values())
    if whole <= 0:
        raise InvalidResponse(f"none of the likeliest tokens is {_either(labels)}", again=False)
    return {label: one / whole for label, one in mass.items()}


def _token(answer: Answer, labels: Sequence[str], key: str | None) -> TokenLogprob | None:
    """The token that says the verdict."""
    if key is None:
        spoken = [one for one in answer.logprobs if one.token.strip()]
        return next((one for one in spoken if _begun(one.token, labels) is not None), spoken[0] if spoken else None)
    whole = "".join(one.token for one in answer.logprobs)
    at = [match.end() for match in re.finditer(rf'"{re.escape(key)}"\s*:\s*"?', whole)]
    end = 0
    for one in answer.logprobs:
        end += len(one.token)
        if at and end > at[-1] and one.token.strip(" \"'\n:{"):
            return one
    return None


def _begun(token: str, labels: Sequence[str]) -> str | None:
    """The label that a token is, or begins where no other does."""
    plain = _MARKS.sub("", unicodedata.normalize("NFKC", token)).casefold()
    if not plain:
        return None
    for label in labels:
        if plain == label.casefold():
            return label
    begun = [label for label in labels if not label.lstrip("-").isdecimal() and label.casefold().startswith(plain)]
    return begun[0] if len(begun) == 1 else None
