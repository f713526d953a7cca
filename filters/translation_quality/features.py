"""The features of a pair of texts: a number for each check and each pair, NaN where the check was not made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.rows import languages
from curate.steps import Encoder, LanguageIdentifier
from curate.text import boilerplate as commentary
from curate.text import negation, number_match
from curate.text import segmentation as text
from curate.text.markup import kept
from curate.text.masks import lower_capitals, mask
from filters.calibration.encoders import Encoders, at_most_one
from filters.translation_quality import names as name_check
from filters.translation_quality import sentence_alignment, shape
from filters.translation_quality import text as text_checks
from filters.translation_quality.commands import without_commands

Floats = npt.NDArray[np.float64]
Check = Literal[
    "length", "sentences", "ending", "copied", "script", "language", "repetition", "numbers", "names", "placeholders",
    "negation", "encoding",
    "commentary", "alignment", "similarity",
]  # fmt: skip
CHECKS: tuple[Check, ...] = get_args(Check)
_MASKED = ("code", "inline_code", "url", "email", "markup", "latex", "placeholder")
_LABELS = 5
_LEAST_LETTERS = 30.0


@dataclass
class Findings:
    """The findings of some pairs."""

    values: dict[str, Floats] = field(default_factory=dict)
    notes: dict[str, list[str | None]] = field(default_factory=dict)
    """For some checks, what was found, as text."""
    names: name_check.Unmatched | None = None


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
        own: length ratios of language pairs, measured in the data.
    """
    findings = Findings()
    values, notes = findings.values, findings.notes
    both = (tags[0].to_list(), tags[1].to_list())
    marks = np.asarray(
        [shape.has_marks(one) and shape.has_marks(other) for one, other in zip(*both, strict=True)], bool
    )
    plain = [language_only(side) for side in (source, target)]
    measures = shape.lengths(plain[0], plain[1], tags, own)
    split, alignments = plain, []
    if not {"sentences", "negation"}.isdisjoint(checks):
        split = [text.sentences(side) for side in plain]
        pieces = sentence_alignment.split(split[0]), sentence_alignment.split(split[1])
        alignments = sentence_alignment.align(pieces, _usual(both, own))
    if "length" in checks:
        values["length"], values["deviation"] = measures.ratio, measures.deviation
    if "sentences" in checks:
        values["sentences_source"], values["sentences_target"] = shape.sentence_counts((split[0], split[1]), marks)
        values["missing_sentence"] = np.asarray([one.missing_sentence for one in alignments], np.float64)
    if "ending" in checks:
        values["ending"] = text_checks.endings(source, target, marks)
    if "copied" in checks:
        values["copied"], values["left"] = shape.copied(plain[0], plain[1], shape.are_comparable(both))
    if "script" in checks:
        values["script"] = measures.script
    if "repetition" in checks:
        values["loop"], values["repetition"] = shape.loops(source, target)
    if "numbers" in checks:
        # Code is not masked here: it contains numbers too, and may be recognised as code on one side only.
        counted = [mask(side.clone(), ("url", "email", "markup", "placeholder")) for side in (source, target)]
        compared = number_match.compared(counted[0], counted[1], both)
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
        findings.names = name_check.names(plain[0], plain[1], both)
        values["names_lost"], values["names_added"] = findings.names.counts()
        notes["names"] = findings.names.examples()
        latin = [np.asarray([name_check.is_latin(tag) for tag in side], bool) for side in both]
        # Words in Latin letters in a text of another script.
        values["names_foreign"] = np.select(
            [latin[0] & ~latin[1], latin[1] & ~latin[0]], [values["names_added"], values["names_lost"]], np.nan
        )
    if "placeholders" in checks:
        values["placeholders"] = kept(source, target)
    if "negation" in checks:
        units = sentence_alignment.aligned_texts(pieces, alignments, (plain[0], plain[1]))
        values["turned"] = negation.turned(units, both)
        counts = [side.list.len().fill_null(0).to_numpy() for side in (units[0], *split)]
        parts = np.where([bool(one.beads) for one in alignments], counts[0], np.maximum(counts[1], counts[2]))
        values["negation"] = values["turned"] / np.maximum(parts, 1)
    if "encoding" in checks:
        values["damage"] = text_checks.damage(source, target, both)
    if "commentary" in checks:
        values["commentary"], notes["commentary"] = commentary.commentary(source, target)
    return findings


def language_only(texts: pl.Series) -> pl.Series:
    """The texts without what is in no language (code, command lines, addresses, markup), which is rightly copied;
    lower-cased where most letters are capitals."""
    # mask() writes into the series it is given.
    return without_commands(mask(lower_capitals(texts).clone(), _MASKED))


def identified(target: pl.Series, tags: tuple[Sequence[str], Sequence[str]], identifier: LanguageIdentifier) -> Floats:
    """The probability that each target is in its language; NaN where the text is short or the identifier does not
    support the language."""
    result = np.full(len(target), np.nan)
    plain = language_only(target)
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


_BY_ENCODER = ("similarity", "coverage", "missing_sentence", "name_similarity")


def encoded(
    source: pl.Series,
    target: pl.Series,
    tags: tuple[Sequence[str], Sequence[str]],
    assessed: npt.NDArray[np.bool_],
    own: Mapping[tuple[str, str], float],
    names: name_check.Unmatched | None,
    encoders: Encoders,
) -> dict[str, Floats]:
    """The findings of the encoders, each for its language pairs; NaN where not assessed.

    ``similarity``: the cosine of both sides. ``coverage``: the lowest, over all their sentences, of the highest cosine
    with a sentence of the other side (or two consecutive ones); NaN where both have one sentence. ``missing_sentence``:
    see :mod:`filters.translation_quality.sentence_alignment`. ``name_similarity``: see
    :func:`filters.translation_quality.names.name_similarity`.
    """
    source, target = lower_capitals(source), lower_capitals(target)
    found: dict[str, Floats] = {}
    for encoder, places in encoders.groups(list(zip(*tags, strict=True))):
        mine = np.isin(np.arange(len(source)), places)
        for name, values in _encoded(source, target, tags, assessed & mine, own, names, encoder).items():
            found[name] = np.where(mine, values, found.get(name, np.nan))
    return found or dict.fromkeys(_BY_ENCODER, np.full(len(source), np.nan))


def _encoded(
    source: pl.Series,
    target: pl.Series,
    tags: tuple[Sequence[str], Sequence[str]],
    assessed: npt.NDArray[np.bool_],
    own: Mapping[tuple[str, str], float],
    names: name_check.Unmatched | None,
    encoder: Encoder,
) -> dict[str, Floats]:
    name_similarity = np.full(len(source), np.nan)
    if names is not None:
        latin = [np.asarray([name_check.is_latin(tag) for tag in side], bool) for side in tags]
        name_similarity = name_check.name_similarity(
            names, source, target, np.flatnonzero(assessed & latin[0] & latin[1]), encoder
        )
    whole, least, gap = (np.full(len(source), np.nan) for _ in range(3))
    at = np.flatnonzero(assessed & (source != "").to_numpy() & (target != "").to_numpy())
    whole[assessed & ~((source != "") & (target != "")).to_numpy()] = 0.0
    if len(at):
        pieces = [sentence_alignment.split(text.sentences(side.gather(at))) for side in (source, target)]
        texts = [side.gather(at).to_list() for side in (source, target)]
        several = [number for number in range(len(at)) if max(len(side[number]) for side in pieces) > 1]
        distinct = dict.fromkeys((*texts[0], *texts[1]))
        for number in several:
            for side in pieces:
                distinct.update(dict.fromkeys(sentence_alignment.windows(side[number])))
        # A text of one sentence has been encoded already.
        distinct.update(dict.fromkeys(one for side in pieces for row in side for one in row))
        vectors = dict(zip(distinct, encoder.encode(list(distinct)), strict=True))
        left, right = (np.stack([vectors[one] for one in side]) for side in texts)
        whole[at] = at_most_one(encoder, np.einsum("ij,ij->i", left, right, dtype=np.float64))
        for number in several:
            sides = [side[number] for side in pieces]
            if sides[0] and sides[1]:
                singles = [np.stack([vectors[one] for one in side]) for side in sides]
                both = [np.stack([vectors[one] for one in sentence_alignment.windows(side)]) for side in sides]
                best = [(singles[one] @ both[1 - one].T).max(axis=1).min() for one in (0, 1)]
                least[at[number]] = at_most_one(encoder, np.array(best, np.float64)).min()
        usual = _usual(tags, own)
        alignments = sentence_alignment.align((pieces[0], pieces[1]), [usual[row] for row in at.tolist()], vectors)
        gap[at] = [one.missing_sentence for one in alignments]
    return dict(zip(_BY_ENCODER, (whole, least, gap, name_similarity), strict=True))


def _usual(tags: tuple[Sequence[str], Sequence[str]], own: Mapping[tuple[str, str], float]) -> list[float]:
    """For each pair, the letters of the target per letter of the source; NaN where a side does not end sentences with
    marks."""
    known = {
        pair: shape.expected(pair, own) if all(map(shape.has_marks, pair)) else float("nan")
        for pair in set(zip(*tags, strict=True))
    }
    return [known[pair] for pair in zip(*tags, strict=True)]
