"""Parses a judge's answer: a label, a level, or their probabilities. Ambiguous answers are invalid."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import regex

from curate.generation.common.requests import InvalidResponse
from curate.steps.models import Completion, TokenLogprob

PAIR = {"A": 1.0, "B": -1.0, "tie": 0.0}
"""Meaning of a label: the first answer shown is better, the second, neither."""
_MARKS = regex.compile(r"[\s*_`\"'“”«»„()\[\]{}<>#:：.。.،,、!！।]+")
_LABEL = regex.compile(r"(?:^|[:：=])[\s*_`\"'“”«»„(\[]*(A|B|tie)[\s*_`\"'“”«»„)\].。।!！]*$", regex.I | regex.M)
_NUMBER = regex.compile(r"(?<![\p{Nd}.,/-])(-?\p{Nd}+)(?:[.,]\p{Nd}+)?(?:\s*/\s*(\p{Nd}+))?(?![\p{Nd}])")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of one judge on one row."""

    score: float | None = None
    """Pairwise: in [-1, 1], above 0 if ``chosen`` is better. Otherwise the level (the similarity) of the answer, for a
    pair the difference of its two answers. None: no usable verdict."""
    sides: Mapping[str, float] = field(default_factory=dict)
    """Direct: the level of each answer."""
    criteria: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Direct: side → criterion → level."""
    orders: tuple[float, float] | None = None
    """Pairwise: how far the answer shown first was preferred, with ``chosen`` first and with ``rejected`` first."""
    labels: tuple[str, ...] = ()
    """Pairwise: the labels, one text per order."""
    first: int = 0
    """Pairwise: number of answers that call the one shown first better."""
    decided: int = 0
    """Pairwise: number of answers that call one better."""
    reason: str = ""
    problem: str = ""

    @property
    def consistent(self) -> bool | None:
        """Whether both orders agree; None if nothing was compared."""
        if self.orders is None:
            return None
        one, two = self.orders
        return (one > 0) - (one < 0) == (two < 0) - (two > 0)


def of_orders(one: float, two: float) -> float:
    """The verdict of both orders: their mean if they agree, else a tie.

    Args:
        one: how far the first shown was preferred when it was ``chosen``; ``two``: when it was ``rejected``.
    """
    if one * two >= 0:  # the same position in both orders, or one of them undecided
        return 0.0
    return (one - two) / 2


# ---------------------------------------------------------------------------------------------------------------- words
def read_label(text: str, labels: Sequence[str]) -> str:
    """The one label in the text.

    Raises:
        InvalidResponse: it has none, or several, or other text.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    bare = _MARKS.sub("", plain).casefold()
    by_name = {label.casefold(): label for label in labels}
    if bare in by_name:
        return by_name[bare]
    matches = {match[1].casefold() for match in _LABEL.finditer(plain[-_LONGEST:])}
    if len(matches) == 1 and (label := by_name.get(matches.pop())) is not None:
        return label
    raise InvalidResponse(f"it must be {_either(labels)} and nothing else")


def read_level(text: str, levels: Sequence[int]) -> int:
    """The one level in the text, in any digits; ``4``, ``**4**``, ``Score: 4``, ``4/5``.

    Raises:
        InvalidResponse: it has none, or several.
    """
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").strip()[-_LONGEST:]
    invalid = InvalidResponse(f"it must be one of {', '.join(map(str, levels))} and nothing else")
    numbers = set()
    for match in _NUMBER.finditer(plain):
        if "." in match[0] or "," in match[0] or (match[2] and int(match[2]) != max(levels)):
            raise invalid
        numbers.add(int(match[1]))
    if len(numbers) != 1 or not numbers <= set(levels):
        raise invalid
    return numbers.pop()


def _either(labels: Sequence[str]) -> str:
    return f"{', '.join(labels[:-1])} or {labels[-1]}"


# ---------------------------------------------------------------------------------------------------- log-probabilities
def probabilities(answer: Completion, labels: Sequence[str], key: str | None) -> dict[str, float]:
    """The probability of each label at the verdict, normalised to a sum of 1 (as in G-Eval, Liu et al. 2023).

    Args:
        key: the JSON key whose value is the label; None if the answer is the label alone.

    Raises:
        InvalidResponse: the model returns no likely tokens, or none of them begins a label.
    """
    token = _token(answer, labels, key)
    if token is None or not (token.top or token.token):
        raise InvalidResponse("the model tells no log-probabilities where its verdict stands", again=False)
    mass = dict.fromkeys(labels, 0.0)
    for text, logprob in dict([(token.token, token.logprob), *token.top]).items():
        label = _begun(text, labels)
        if label is not None:
            mass[label] += math.exp(min(0.0, logprob))
    total = sum(mass.values())
    if total <= 0:
        raise InvalidResponse(f"none of the likeliest tokens is {_either(labels)}", again=False)
    return {label: one / total for label, one in mass.items()}


def _token(answer: Completion, labels: Sequence[str], key: str | None) -> TokenLogprob | None:
    """The token with the verdict."""
    if key is None:
        tokens = [one for one in answer.logprobs if one.token.strip()]
        return next((one for one in tokens if _begun(one.token, labels) is not None), tokens[0] if tokens else None)
    text = "".join(one.token for one in answer.logprobs)
    at = [match.end() for match in re.finditer(rf'"{re.escape(key)}"\s*:\s*"?', text)]
    end = 0
    for one in answer.logprobs:
        end += len(one.token)
        if at and end > at[-1] and one.token.strip(" \"'\n:{"):
            return one
    return None


def _begun(token: str, labels: Sequence[str]) -> str | None:
    """The label that a token is, or that it alone begins."""
    plain = _MARKS.sub("", unicodedata.normalize("NFKC", token)).casefold()
    if not plain:
        return None
    for label in labels:
        if plain == label.casefold():
            return label
    matches = [label for label in labels if not label.lstrip("-").isdecimal() and label.casefold().startswith(plain)]
    return matches[0] if len(matches) == 1 else None
