"""Whether an encoder can be trusted is measured on sentences whose translations are known, for each pair of languages.

A pair is **trusted** if nine of ten true pairs reach the threshold that keeps the wanted precision against the nearest
wrong sentences (in 97.5 % of resamples four of five), and partners are found at first try in 95 of 100 cases; **weak**
if half of them reach it; else the encoder **cannot judge** it. Where the model does not support a language, or there
are too few anchors, the pair is **not checked**. The figures are those of :mod:`filters.calibration.metrics`.
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
from filters.calibration.file import AnchorsUsed, Asked, Calibration, PairCalibration, Verdict, split_pair
from filters.calibration.metrics import DIGITS, Cosines, Figures, measure

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
    asked: Asked | None = None,
    unsupported: bool = False,
    tell: Callable[[str, PairCalibration], None] | None = None,
) -> Calibration:
    """Measures an encoder on anchors.

    Args:
        encoder: the loaded encoder.
        model: its ``name@revision``.
        anchors: parallel sentences; the shipped ones unless given.
        pairs: ``en-sw``, …; ``all`` for each with each; unless given, ``pivot`` with each other language.
        pivot: the language on one side.
        asked: precision, assumed share of bad pairs, numbers of anchors.
        unsupported: also measure languages that the model does not say it supports.
        tell: called with each pair as it is done.

    Returns:
        What was found, the same for the same anchors and encoder.

    Raises:
        StepError: a pair is no pair, or there are no anchors in one of its languages.
    """
    anchors = anchors or shipped_anchors()
    asked = asked or Asked()
    wanted = choose_pairs(anchors, pairs, pivot)
    vectors = _Vectors(encoder)
    found: dict[str, PairCalibration] = {}
    for left, right in wanted:
        name = f"{left}-{right}"
        missing = [tag for tag in (left, right) if not encoder.supports(tag)]
        if missing and not unsupported:
            found[name] = PairCalibration(
                verdict="not checked", reason=f"the model does not support {' and '.join(missing)}", supported=False
            )
        else:
            found[name] = _checked(anchors.pair(left, right, asked.most), vectors, asked, supported=not missing)
        if tell is not None:
            tell(name, found[name])
    used = AnchorsUsed(
        name=anchors.name,
        license=anchors.license,
        version=anchors.version,
        digest=anchors.digest(),
        languages=len(anchors.languages),
        sentences=anchors.sentences,
    )
    return Calibration(model=model, anchors=used, asked=asked, pairs=found)


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
        name: what it is called in errors.
        asked: the fields of :class:`Asked`.
        cache: where its vectors may be kept.

    Raises:
        StepError: it is no encoder, or something asked or given makes no sense.
    """
    try:
        wanted = Asked.model_validate(dict(asked))
    except ValidationError as error:
        first = error.errors()[0]
        raise StepError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}, not {first['input']!r}") from None
    found = read_anchors(anchors, license) if anchors else shipped_anchors()
    choose_pairs(found, pairs, pivot)  # before weights are loaded
    encoder = params.load(cache=cache, threads=min(8, os.cpu_count() or 1))
    try:
        if not isinstance(encoder, Encoder):
            raise StepError(f"the model '{name}' ({params.use}) is no sentence encoder")
        return calibrate(
            encoder, params.name_and_revision(), found, pairs=pairs, pivot=pivot, asked=wanted, unsupported=unsupported
        )
    finally:
        if hasattr(encoder, "close"):
            encoder.close()


def choose_pairs(anchors: Anchors, pairs: Sequence[str], pivot: str = PIVOT) -> list[tuple[str, str]]:
    """The pairs of languages that are meant, each once, the pivot first.

    Raises:
        StepError: one is no pair, of one language, or of a language without anchors.
    """
    known = anchors.languages
    if list(pairs) == ["all"]:
        ordered = sorted(known, key=lambda tag: (tag != pivot, tag))
        return list(combinations(ordered, 2))
    if not pairs:
        try:
            pivot = _there(languages.normalize(pivot), known, "pivot")
        except languages.InvalidLanguage as error:
            raise StepError(f"pivot: {error}") from None
        return [(pivot, tag) for tag in known if tag != pivot]
    chosen: dict[frozenset[str], tuple[str, str]] = {}
    for text in pairs:
        try:
            left, right = split_pair(text)
        except ValueError as error:
            raise StepError("pairs: 'all' stands by itself" if text == "all" else f"pairs: {error}") from None
        if left == right:
            raise StepError(f"pairs: '{text}' is one language")
        _there(left, known, f"pairs: '{text}'")
        _there(right, known, f"pairs: '{text}'")
        chosen.setdefault(frozenset((left, right)), (left, right))
    return list(chosen.values())


def judge(figures: Figures) -> tuple[Verdict, str]:
    """The verdict that the module's rules give, and what speaks against trust."""
    if figures.threshold is None:
        return "cannot judge", "no threshold has the wanted precision"
    recall, low = figures.threshold.recall, figures.recall_interval[0]
    if recall < WEAK_RECALL:
        return "cannot judge", f"only {recall:.0%} of true pairs reach the threshold"
    retrieval = sum(figures.retrieval) / 2
    against = []
    if recall < TRUSTED_RECALL:
        against.append(f"{recall:.0%} of true pairs reach the threshold")
    elif low < TRUSTED_RECALL_LOW:
        against.append(f"the share of true pairs that reach the threshold may be {low:.0%}")
    if retrieval < TRUSTED_RETRIEVAL:
        against.append(f"{retrieval:.0%} of partners are found")
    return ("weak", "; ".join(against)) if against else ("trusted", "")


# ---------------------------------------------------------------------------------------------------------------- parts
class _Vectors:
    """Each text is encoded once, whatever the pairs it is in."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Any] = {}

    def __call__(self, texts: Sequence[str]) -> Any:
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._encoder.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])


def _checked(
    texts: tuple[list[str], list[str]], vectors: _Vectors, asked: Asked, *, supported: bool
) -> PairCalibration:
    count = len(texts[0])
    if count < asked.least:
        reason = f"{count} anchors, and {asked.least} are needed"
        return PairCalibration(verdict="not checked", reason=reason, anchors=count, supported=supported)
    if not Cosines(np.eye(count), min(asked.among, count - 1)).can_show(asked.precision, asked.bad):
        reason = f"{count} anchors are too few to show a precision of {asked.precision:g}"
        return PairCalibration(verdict="not checked", reason=reason, anchors=count, supported=supported)
    figures = measure(vectors(texts[0]), vectors(texts[1]), precision=asked.precision, bad=asked.bad, among=asked.among)
    verdict, reason = judge(figures)
    told = asdict(figures)
    threshold = told.pop("threshold")
    if threshold is not None:
        told.update(threshold=threshold["value"], recall=threshold["recall"], precision=threshold["precision"])
    if verdict == "cannot judge":
        # Nothing may be decided by it.
        told.update(threshold=None, threshold_interval=None)
    return PairCalibration(verdict=verdict, reason=reason, anchors=count, supported=supported, **_rounded(told))


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return round(value, DIGITS) + 0.0  # no -0.0
        return tuple(rounded(one) for one in value) if isinstance(value, tuple) else value

    return {name: rounded(value) for name, value in told.items()}


def _there(tag: str, known: Iterable[str], where: str) -> str:
    if tag not in set(known):
        raise StepError(
            f"{where}: there are no anchors in '{tag}'{nearest(tag, list(known))} (there are: {listed(known)})"
        )
    return tag
