"""What the embedded encoder tells of languages: which it knows, measured thresholds, whether texts go together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from curate.models.embedding.use_multilingual import UseMultilingual
from curate.rows.languages import base
from curate.steps import Encoder
from filters.calibration.anchors import shipped_anchors
from filters.calibration.calibrate import calibrate
from filters.calibration.file import CalibrationSettings

_COMPARED = 40
"""How many rows of two files are compared."""
_ALIGNED = 0.6
"""The share of rows whose most similar one in the other file is that of the same place."""


def compared(*tags: object) -> bool:
    """Whether the encoder knows all of these languages."""
    return all(isinstance(tag, str) and UseMultilingual().knows_language(tag) for tag in tags)


def thresholds(pairs: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Target language → least cosine of a good pair, measured on the shipped sentences; only what can be trusted."""
    anchors = shipped_anchors()
    known = {base(tag) for tag in anchors.languages}
    wanted = {(base(one), base(other)) for one, other in pairs if compared(one, other)}
    wanted = {pair for pair in wanted if pair[0] != pair[1] and known.issuperset(pair)}
    if not wanted:
        return {}
    found = calibrate(
        _encoder(),
        UseMultilingual().name_and_revision(),
        anchors,
        pairs=[f"{one}-{other}" for one, other in sorted(wanted)],
        asked=CalibrationSettings(),
    )
    least: dict[str, float] = {}
    for one, other in wanted:
        measured = found.pairs.get(f"{one}-{other}") or found.pairs[f"{other}-{one}"]
        if measured.verdict == "trusted" and measured.threshold is not None:
            # Rows are told apart by their own language only: of several originals the highest counts.
            least[other] = max(least.get(other, -1.0), round(measured.threshold, 2))
    return dict(sorted(least.items()))


def aligned(left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether texts of the same place mean the same."""
    count = min(len(left), len(right), _COMPARED)
    if count < 4:
        return False
    cosines = _encoder().encode(list(left[:count])) @ _encoder().encode(list(right[:count])).T
    return float(np.mean(np.argmax(cosines, axis=1) == np.arange(count))) >= _ALIGNED


@cache
def _encoder() -> Encoder:
    loaded = UseMultilingual().load(cache=None, threads=1)
    assert isinstance(loaded, Encoder)
    return loaded
