"""Translation quality as one probability: a logistic model over all findings, with a few dozen weights.

The weights are data (``data/translation_quality/weights.yaml``), with the script that trained them. There is a set for
each combination of what is known about the meaning of a pair (by an aligner, an encoder, both, neither). Another
finding that could not be made counts as the mean of good pairs, so that nothing is held against a pair for what could
not be assessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.data_files import DataFile

Floats = npt.NDArray[np.float64]
SETS = ("plain", "aligned", "encoded", "aligned_encoded")


@dataclass(frozen=True)
class Weights:
    """One logistic model."""

    features: tuple[str, ...]
    usual: Floats
    """Mean of each feature over good pairs."""
    weights: Floats
    bias: float


def design(findings: Mapping[str, Floats]) -> dict[str, Floats]:
    """The model's features from the findings of pairs (see :mod:`filters.translation_quality.features`); NaN where a
    finding was not made.

    Counts are capped where more carry no more information; ratios enter as logarithms, split into deficit and excess.
    """
    some = next(iter(findings.values()))
    nothing = np.full(len(some), np.nan)

    def get(name: str) -> Floats:
        return findings.get(name, nothing)

    deviation = get("deviation")
    ratio = np.log(np.clip(get("sentences_target"), 0, 60) + 0.5) - np.log(
        np.clip(get("sentences_source"), 0, 60) + 0.5
    )
    lost, added = get("numbers_lost"), get("numbers_added")
    names_lost, names_added = get("names_lost"), get("names_added")
    many = np.log1p(np.fmax(get("sentences_source"), 1.0))
    return {
        "short": np.clip(-deviation, 0, 6),
        "very_short": np.clip(-deviation - 2, 0, 4),
        "long": np.clip(deviation, 0, 6),
        "very_long": np.clip(deviation - 2, 0, 4),
        "sentence_missing": np.where(np.isnan(ratio), np.nan, ratio < 0),
        "sentence_added": np.where(np.isnan(ratio), np.nan, ratio > 0),
        "fewer_sentences": np.clip(-ratio, 0, 2),
        "more_sentences": np.clip(ratio, 0, 2),
        "fewer_and_short": np.clip(-ratio, 0, 2) * np.clip(-np.nan_to_num(deviation), 0, 4),
        "missing_sentence": np.clip(get("missing_sentence") - 1, 0, 5),
        "missing_and_short": np.where(ratio < 0, np.clip(-np.nan_to_num(deviation) - 0.5, 0, 3), 0 * ratio),
        "missing_and_numbers": np.where(
            ratio < 0, np.clip(np.nan_to_num(lost) + np.nan_to_num(names_lost) / 2, 0, 2), 0 * ratio
        ),
        "copied": get("copied"),
        "left": get("left"),
        "script": 1 - get("script"),
        "language": 1 - get("identified"),
        "loop": np.log(np.clip(get("loop"), 1, 32)),
        "repetition": get("repetition"),
        "numbers_changed": np.clip(np.minimum(lost, added), 0, 2),
        "numbers_missing": np.clip(lost - added, 0, 3),
        "numbers_extra": np.clip(added - lost, 0, 3) / many,
        "names_changed": np.clip(np.minimum(names_lost, names_added), 0, 2) / many,
        # A name that another script keeps in Latin letters is the source's, or it is wrong.
        "names_foreign": np.where(np.isnan(get("names_foreign")), 0 * names_added, np.clip(get("names_foreign"), 0, 2)),
        "names_unrelated": np.where(
            np.isnan(get("name_similarity")), 0 * get("similarity"), np.clip(0.5 - get("name_similarity"), 0, 0.2)
        ),
        "names_missing": np.clip(np.abs(names_lost - names_added), 0, 3) / many,
        "placeholders": 1 - get("placeholders"),
        "negation": np.clip(4 * get("negation"), 0, 2),
        "turned": np.clip(get("turned"), 0, 2),
        "damage": np.log1p(np.clip(get("damage"), 0, 20)),
        "commentary": get("commentary"),
        "ending": 1 - get("ending"),
        "alignment": 1 - get("alignment"),
        "unaligned": np.clip(0.25 - get("alignment"), 0, 0.25),
        "similarity": 1 - get("similarity"),
        "dissimilar": np.clip(0.6 - get("similarity"), 0, 0.6),
        "coverage": 1 - get("coverage"),
        "uncovered": np.clip(0.55 - get("coverage"), 0, 0.55),
        "missing_uncovered": np.where(
            ratio < 0, np.clip(0.6 - get("coverage"), 0, 0.6), np.clip(0 * ratio + get("coverage"), 0, 0)
        ),
    }


ALIGNED = ("alignment", "unaligned")
ENCODED = ("names_unrelated", "similarity", "dissimilar", "coverage", "uncovered", "missing_uncovered")


WEIGHTS = DataFile("filters.translation_quality", "data/weights.yaml")


@cache
def _sets() -> Mapping[str, Weights]:
    data: Mapping[str, Any] = WEIGHTS.yaml()
    return {
        name: Weights(
            tuple(given["weights"]),
            np.asarray([one[1] for one in given["weights"].values()], np.float64),
            np.asarray([one[0] for one in given["weights"].values()], np.float64),
            float(given["bias"]),
        )
        for name, given in data["sets"].items()
    }


def apply(weights: Weights, features: Mapping[str, Floats]) -> Floats:
    """The probability that each pair is good."""
    matrix = np.stack([features[name] for name in weights.features], axis=1)
    matrix = np.where(np.isnan(matrix), 0.0, matrix - weights.usual)
    logit = matrix @ weights.weights + weights.bias
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))), np.float64)


def probability(found: Mapping[str, Floats]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The probability (0 to 1) that nothing is wrong with each pair, by the set of weights for what is known of it, and
    whether something about its meaning is known.

    Where nothing is (neither ``alignment`` nor ``similarity``), an unrelated sentence of the right length looks good.
    """
    features = design(found)
    known = ~np.isnan(features["alignment"]), ~np.isnan(features["similarity"])
    result = np.empty(len(known[0]))
    for name, aligned, encoded in (
        ("plain", False, False),
        ("aligned", True, False),
        ("encoded", False, True),
        ("aligned_encoded", True, True),
    ):
        at = np.flatnonzero((known[0] == aligned) & (known[1] == encoded))
        if len(at):
            result[at] = apply(_sets()[name], {key: value[at] for key, value in features.items()})
    return result, known[0] | known[1]
