"""Calibration: measures for each language pair whether an encoder can be trusted, on sentences with known translations.

A pair is **trusted** if nine of ten true pairs reach the threshold that keeps the required precision against the
nearest wrong sentences (and four of five in 97.5 % of resamples), and retrieval finds the partner in 95 of 100 cases;
**weak** if half of the true pairs reach the threshold; otherwise the encoder **cannot judge** it. If the model does not
support a language, or there are too few anchors, the pair is **not checked**. The metrics are those of
:mod:`filters.calibration.metrics`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from curate.catalog.suggestions import nearest
from curate.errors import StepError
from curate.rows import languages
from curate.steps import Encoder, Model
from filters.calibration.anchors import Anchors, listed, read_anchors, shipped_anchors
from filters.calibration.file import AnchorsUsed, Calibration, CalibrationSettings, PairCalibration, Verdict, split_pair
from filters.calibration.metrics import DIGITS, Cosines, PairMetrics, measure

TRUSTED_RECALL, TRUSTED_RECALL_LOW, TRUSTED_RETRIEVAL = 0.9, 0.8, 0.95
WEAK_RECALL = 0.5
PIVOT = "en"


def calibrate(
    encoder: Encoder,
    model: str,
    anchors: Anchors | None = None,
    *,
    pairs: Sequence[str] = (),
    pivot: str = PIVOT,
    asked: CalibrationSettings | None = None,
    unsupported: bool = False,
    tell: Callable[[str, PairCalibration], None] | None = None,
) -> Calibration:
    """Measures an encoder on anchors.

    Args:
        encoder: the loaded encoder.
        model: its ``name@revision``.
        anchors: parallel sentences. Default: the shipped ones.
        pairs: ``en-sw``, …; ``all`` for all combinations. Default: ``pivot`` with each other language.
        pivot: the language on one side.
        asked: precision, assumed share of bad pairs, numbers of anchors.
        unsupported: also measure languages that the model does not claim to support.
        tell: called with each pair when it is done.

    Returns:
        The calibration; the same for the same anchors and encoder.

    Raises:
        StepError: an invalid pair, or no anchors in one of its languages.
    """
    anchors = anchors or shipped_anchors()
    asked = asked or CalibrationSettings()
    chosen = choose_pairs(anchors, pairs, pivot)
    vectors = _Vectors(encoder)
    results: dict[str, PairCalibration] = {}
    for left, right in chosen:
        name = f"{left}-{right}"
        missing = [tag for tag in (left, right) if not encoder.supports(tag)]
        if missing and not unsupported:
            results[name] = PairCalibration(
                verdict="not checked", reason=f"the model does not support {' and '.join(missing)}", supported=False
            )
        else:
            results[name] = _checked(anchors.pair(left, right, asked.most), vectors, asked, supported=not missing)
        if tell is not None:
            tell(name, results[name])
    used = AnchorsUsed(
        name=anchors.name,
        license=anchors.license,
        version=anchors.version,
        digest=anchors.digest(),
        languages=len(anchors.languages),
        sentences=anchors.sentences,
    )
    return Calibration(model=model, anchors=used, asked=asked, pairs=results)


def calibrate_model(
    params: Model,
    name: str,
    asked: Mapping[str, float],
    *,
    anchors: Sequence[Path] = (),
    license: str = "unknown",
    pairs: Sequence[str] = (),
    pivot: str = PIVOT,
    unsupported: bool = False,
    cache: Path | None = None,
) -> Calibration:
    """:func:`calibrate` for a model that is not loaded yet.

    Args:
        name: its name in error messages.
        asked: the fields of :class:`CalibrationSettings`.
        cache: where its vectors may be cached.

    Raises:
        StepError: it is not an encoder, or an argument is invalid.
    """
    try:
        settings = CalibrationSettings.model_validate(dict(asked))
    except ValidationError as error:
        first = error.errors()[0]
        raise StepError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {first['input']!r}") from None
    parallel = read_anchors(anchors, license) if anchors else shipped_anchors()
    choose_pairs(parallel, pairs, pivot)  # before weights are loaded
    encoder = params.load(cache=cache, threads=min(8, os.cpu_count() or 1))
    try:
        if not isinstance(encoder, Encoder):
            raise StepError(f"the model '{name}' ({params.use}) is not a sentence encoder")
        return calibrate(
            encoder,
            params.name_and_revision(),
            parallel,
            pairs=pairs,
            pivot=pivot,
            asked=settings,
            unsupported=unsupported,
        )
    finally:
        if hasattr(encoder, "close"):
            encoder.close()


def choose_pairs(anchors: Anchors, pairs: Sequence[str], pivot: str = PIVOT) -> list[tuple[str, str]]:
    """The selected language pairs, each once, the pivot first.

    Raises:
        StepError: one is not a pair, is a single language, or has a language without anchors.
    """
    known = anchors.languages
    if list(pairs) == ["all"]:
        ordered = sorted(known, key=lambda tag: (tag != pivot, tag))
        return list(combinations(ordered, 2))
    if not pairs:
        try:
            pivot = _require_anchors(languages.normalize(pivot), known, "pivot")
        except languages.InvalidLanguage as error:
            raise StepError(f"pivot: {error}") from None
        return [(pivot, tag) for tag in known if tag != pivot]
    chosen: dict[frozenset[str], tuple[str, str]] = {}
    for text in pairs:
        try:
            left, right = split_pair(text)
        except ValueError as error:
            raise StepError(
                "pairs: 'all' cannot be combined with others" if text == "all" else f"pairs: {error}"
            ) from None
        if left == right:
            raise StepError(f"pairs: '{text}' is a single language")
        _require_anchors(left, known, f"pairs: '{text}'")
        _require_anchors(right, known, f"pairs: '{text}'")
        chosen.setdefault(frozenset((left, right)), (left, right))
    return list(chosen.values())


def judge(metrics: PairMetrics) -> tuple[Verdict, str]:
    """The verdict by the rules of this module, and the reason if it is not trusted."""
    if metrics.threshold is None:
        return "cannot judge", "no threshold has the required precision"
    recall, low = metrics.threshold.recall, metrics.recall_interval[0]
    if recall < WEAK_RECALL:
        return "cannot judge", f"only {recall:.0%} of true pairs reach the threshold"
    retrieval = sum(metrics.retrieval) / 2
    against = []
    if recall < TRUSTED_RECALL:
        against.append(f"{recall:.0%} of true pairs reach the threshold")
    elif low < TRUSTED_RECALL_LOW:
        against.append(f"the share of true pairs that reach the threshold may be as low as {low:.0%}")
    if retrieval < TRUSTED_RETRIEVAL:
        against.append(f"{retrieval:.0%} of partners are found")
    return ("weak", "; ".join(against)) if against else ("trusted", "")


# ---------------------------------------------------------------------------------------------------------------- parts
class _Vectors:
    """Encodes each text once, whatever the pairs it is in."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Any] = {}

    def __call__(self, texts: Sequence[str]) -> Any:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._encoder.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def _checked(
    texts: tuple[list[str], list[str]], vectors: _Vectors, asked: CalibrationSettings, *, supported: bool
) -> PairCalibration:
    count = len(texts[0])
    if count < asked.least:
        reason = f"{count} anchors, and {asked.least} are needed"
        return PairCalibration(verdict="not checked", reason=reason, anchors=count, supported=supported)
    if not Cosines(np.eye(count), min(asked.among, count - 1)).can_show(asked.precision, asked.bad):
        reason = f"{count} anchors are too few to show a precision of {asked.precision:g}"
        return PairCalibration(verdict="not checked", reason=reason, anchors=count, supported=supported)
    metrics = measure(vectors(texts[0]), vectors(texts[1]), precision=asked.precision, bad=asked.bad, among=asked.among)
    verdict, reason = judge(metrics)
    fields = asdict(metrics)
    threshold = fields.pop("threshold")
    if threshold is not None:
        fields.update(threshold=threshold["value"], recall=threshold["recall"], precision=threshold["precision"])
    if verdict == "cannot judge":
        # No step may use the threshold.
        fields.update(threshold=None, threshold_interval=None)
    return PairCalibration(verdict=verdict, reason=reason, anchors=count, supported=supported, **_rounded(fields))


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return round(value, DIGITS) + 0.0  # no -0.0
        return tuple(rounded(one) for one in value) if isinstance(value, tuple) else value

    return {name: rounded(value) for name, value in fields.items()}


def _require_anchors(tag: str, known: Iterable[str], where: str) -> str:
    if tag not in set(known):
        raise StepError(
            f"{where}: there are no anchors in '{tag}'{nearest(tag, list(known))} (available: {listed(known)})"
        )
    return tag
