"""Tells texts in a language that no identifier knows, by their letters: such a text gets the name of a language that it
shares few triples of letters with.

A text whose triples are far rarer than usual in the language of its label, and whose label few identifiers agree on, is
in an unknown language. The weights of this evidence were fitted on languages and texts apart from those of the
measurement (``benchmarks/language_unknown.py fit``); they are data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from curate.models.langid import language_data as data
from curate.models.langid.triples import Floats, Found, Ints, Triples, shipped
from curate.rows import languages

LEAST_TRIPLES = 8
"""Fewer, those of one or two words, tell nothing."""
_MOST_ODD, _MOST_AGREEING, _USUAL_LENGTH = 6.0, 3, 25


def gather_evidence(
    found: Found,
    labels: Sequence[str],
    shares: Floats,
    said: Sequence[Sequence[str]],
    knows: npt.NDArray[np.bool_],
    usual: Triples | None = None,
) -> tuple[Ints, Floats]:
    """The places of the texts that can be checked, and for each the evidence, (B, 10).

    Args:
        found: the triples of the texts.
        labels: the label of each text; ``shares`` their probabilities.
        said: what each identifier called each text; empty for nothing.
        knows: (B, M): which identifiers have the label.
    """
    usual = usual or shipped()
    enough = found.numbers >= LEAST_TRIPLES
    at = np.asarray([place for place, label in enumerate(labels) if enough[place] and label in usual], np.int64)
    if not len(at):
        return at, np.zeros((0, len(data.triples()["weights"])), np.float32)
    names = np.asarray([[_agrees(labels[place], name) for name in said[place]] for place in at], bool)
    agreeing = np.minimum(names.sum(axis=1), _MOST_AGREEING)
    dissenting = (knows[at] & ~names).sum(axis=1)
    odd = np.clip(usual.oddness(found, labels)[at], -_MOST_ODD, _MOST_ODD)
    length = np.log(found.numbers[at] / _USUAL_LENGTH)
    likely = np.clip(shares[at], 1e-4, 1 - 1e-4)
    columns = (
        odd,
        odd * length,
        length,
        agreeing,
        agreeing == _MOST_AGREEING,
        dissenting,
        odd * agreeing,
        odd * (agreeing == _MOST_AGREEING),
        np.log(likely / (1 - likely)),
        np.ones(len(at)),
    )
    return at, np.stack([np.asarray(column, np.float32) for column in columns], axis=1)


@lru_cache(maxsize=65_536)
def _agrees(label: str, said: str) -> bool:
    return bool(said) and (label == said or languages.accepts(label, said))


def probabilities(
    found: Found,
    labels: Sequence[str],
    shares: Floats,
    said: Sequence[Sequence[str]],
    knows: npt.NDArray[np.bool_],
) -> Floats:
    """The probability of each text to be in a language that no identifier knows, with the arguments of
    :func:`gather_evidence`; 0 for a label without triples in the data."""
    likely = np.zeros(len(labels), np.float32)
    at, given = gather_evidence(found, labels, shares, said, knows)
    likely[at] = 1 / (1 + np.exp(-(given @ np.asarray(data.triples()["weights"], np.float32))))
    return likely
