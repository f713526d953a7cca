"""Everything that is looked at about two texts, gathered in one place: a number for each finding and each pair, nan where it was not made."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.rows import languages, text
from curate.rows.masks import mask
from curate.steps import Encoder, LanguageIdentifier
from filters import pair_numbers, pair_shape, pair_text, pair_words

Floats = npt.NDArray[np.float64]
Check = Literal[
    "length", "sentences", "ending", "copied", "script", "language", "repetition", "numbers", "names", "placeholders", "negation", "encoding",
    "chatter", "alignment", "similarity",
]  # fmt: skip
CHECKS: tuple[Check, ...] = get_args(Check)
_MASKED = ("code", "inline_code", "url", "email", "markup", "latex", "placeholder")
_LABELS = 5
_LEAST_LETTERS = 30.0
_SENTENCE_LETTERS = 12.0


@dataclass
class Findings:
    """What was found about some pairs."""

    values: dict[str, Floats] = field(default_factory=dict)
    notes: dict[str, list[str | None]] = field(default_factory=dict)
    """For some checks, what was found, to be shown."""


def find(
    source: pl.Series,
    target: pl.Series,
    tags: tuple[pl.Series, pl.Series],
    checks: Collection[str],
    own: Mapping[tuple[str, str], float],
) -> Findings:
    """All findings that need no model.

    Args:
        source: texts without nulls.
        tags: languages of both sides.
        own: usual ratios of lengths of language pairs that were found in the data.
    """
    found = Findings()
    values, notes = found.values, found.notes
    both = (tags[0].to_list(), tags[1].to_list())
    marks = np.asarray(
        [pair_shape.has_marks(one) and pair_shape.has_marks(other) for one, other in zip(*both, strict=True)], bool
    )
    # mask() writes into the series it is given
    plain = [mask(side.clone(), _MASKED) for side in (source, target)]
    sizes = pair_shape.lengths(plain[0], plain[1], tags, own)
    split = (
        (text.sentences(plain[0]), text.sentences(plain[1]))
        if not {"sentences", "negation"}.isdisjoint(checks)
        else (plain[0], plain[1])
    )
    if "length" in checks:
        values["length"], values["deviation"] = sizes.ratio, sizes.deviation
    if "sentences" in checks:
        values["sentences_source"], values["sentences_target"] = pair_shape.sentence_counts(split, marks)
    if "ending" in checks:
        values["ending"] = pair_text.endings(source, target, marks)
    if "copied" in checks:
        values["copied"], values["left"] = pair_shape.copied(plain[0], plain[1], pair_shape.are_comparable(both))
    if "script" in checks:
        values["script"] = sizes.script
    if "repetition" in checks:
        values["loop"], values["repetition"] = pair_shape.loops(source, target)
    if "numbers" in checks:
        # Program text has numbers too, and what is taken for it on one side may not be on the other.
        counted = [mask(side.clone(), ("url", "email", "markup", "placeholder")) for side in (source, target)]
        compared = pair_numbers.compared(counted[0], counted[1], both)
        values["numbers_lost"] = np.asarray([np.nan if one is None else len(one.lost) for one in compared], np.float64)
        values["numbers_added"] = np.asarray(
            [np.nan if one is None else len(one.added) for one in compared], np.float64
        )
        notes["numbers"] = [
            None
            if one is None or not (one.lost or one.added)
            else f"{', '.join(one.lost[:3])} / {', '.join(one.added[:3])}"
            for one in compared
        ]
    if "names" in checks:
        values["names_lost"], values["names_added"], notes["names"] = pair_words.names(plain[0], plain[1], both)
        values["names_cross"] = np.asarray(
            [pair_words.is_latin(one) != pair_words.is_latin(other) for one, other in zip(*both, strict=True)],
            np.float64,
        )
    if "placeholders" in checks:
        values["placeholders"] = pair_text.kept(source, target)
    if "negation" in checks:
        values["negation"] = pair_words.negations(plain[0], plain[1], both, split)
    if "encoding" in checks:
        values["damage"] = pair_text.damage(source, target, both)
    if "chatter" in checks:
        values["chatter"], notes["chatter"] = pair_text.chatter(source, target)
    return found


def identified(target: pl.Series, tags: tuple[Sequence[str], Sequence[str]], identifier: LanguageIdentifier) -> Floats:
    """The probability that each target is in its language rather than in another; nan where it is short or the identifier does not know the language."""
    result = np.full(len(target), np.nan)
    plain = mask(target.clone(), _MASKED)
    letters = text.letter_weights(plain)["letters"].to_numpy()
    known = {tag: identifier.supports(tag) for tag in set(tags[1])}
    at = np.flatnonzero((letters >= _LEAST_LETTERS) & np.asarray([known[tag] for tag in tags[1]], bool))
    if not len(at):
        return result
    answer = identifier.identify([" ".join(one.split()) for one in plain.gather(at).to_list()], _LABELS)
    for row, labels, shares in zip(at.tolist(), answer.languages, answer.probabilities, strict=True):
        if labels:
            result[row] = min(
                1.0, sum(share for label, share in zip(labels, shares, strict=True) if _same(tags[1][row], label))
            )
    return result


def _same(expected: str, label: str) -> bool:
    return languages.base(expected) == languages.base(label) or languages.accepts(expected, label)


def encoded(
    source: pl.Series, target: pl.Series, assessed: npt.NDArray[np.bool_], encoder: Encoder
) -> tuple[Floats, Floats]:
    """The cosine of both sides, and the least, over all their sentences, of the greatest cosine with a sentence of the other side (or two
    that follow one another); nan where not assessed, the second also where both have one sentence."""
    whole, least = np.full(len(source), np.nan), np.full(len(source), np.nan)
    at = np.flatnonzero(assessed & (source != "").to_numpy() & (target != "").to_numpy())
    whole[assessed & ~((source != "") & (target != "")).to_numpy()] = 0.0
    if not len(at):
        return whole, least
    pieces = [_sentences(side.gather(at)) for side in (source, target)]
    texts = [side.gather(at).to_list() for side in (source, target)]
    distinct: dict[str, int] = {}
    for one in (*texts[0], *texts[1]):
        distinct.setdefault(one, len(distinct))
    several = [number for number in range(len(at)) if max(len(pieces[0][number]), len(pieces[1][number])) > 1]
    for number in several:
        for side in pieces:
            for one in _windows(side[number]):
                distinct.setdefault(one, len(distinct))
    vectors = encoder.encode(list(distinct))
    left, right = (vectors[[distinct[one] for one in side]] for side in texts)
    whole[at] = np.einsum("ij,ij->i", left, right, dtype=np.float64)
    for number in several:
        sides = [side[number] for side in pieces]
        if not sides[0] or not sides[1]:
            continue
        singles = [vectors[[distinct[one] for one in side]] for side in sides]
        windows = [vectors[[distinct[one] for one in _windows(side)]] for side in sides]
        best = [float((singles[one] @ windows[1 - one].T).max(axis=1).min()) for one in (0, 1)]
        least[at[number]] = min(best)
    return whole, least


def _sentences(texts: pl.Series) -> list[list[str]]:
    """Sentences that say something; short ones go with the one before."""
    found = []
    for pieces in text.sentences(texts).to_list():
        joined: list[str] = []
        for one in pieces:
            if joined and _worth(one) < _SENTENCE_LETTERS:
                joined[-1] += " " + one
            else:
                joined.append(one)
        found.append(joined[:64])
    return found


def _worth(one: str) -> float:
    """About how many letters' worth a text has."""
    return len(one) if one.isascii() else sum(3 if char > "\u2e80" else 1 for char in one)


def _windows(pieces: Sequence[str]) -> list[str]:
    """Sentences, and each two that follow one another."""
    return [*pieces, *(f"{one} {other}" for one, other in itertools.pairwise(pieces))]
