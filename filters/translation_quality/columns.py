"""The columns of the step ``translation_quality``: a number for each check, the worst over several fields, and
evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.translation_quality import classifier
from filters.translation_quality.features import Findings

Floats = npt.NDArray[np.float64]
# Column → which end is bad. `length` is bad at both ends.
WORST: Mapping[str, Literal["min", "max"]] = {
    "score": "min",
    "form": "min",
    "sentences": "min",
    "missing_sentence": "max",
    "ending": "min",
    "copied": "max",
    "left": "max",
    "script": "min",
    "identified": "min",
    "loop": "max",
    "repetition": "max",
    "numbers": "max",
    "names": "max",
    "placeholders": "min",
    "negation": "max",
    "encoding": "max",
    "commentary": "max",
    "alignment": "min",
    "similarity": "min",
    "name_similarity": "min",
    "coverage": "min",
}
PROBABILITIES = ("score", "form")
COLUMNS = (*PROBABILITIES, "length", *(name for name in WORST if name not in PROBABILITIES))
ABOUT = {"identified": "language"}
"""Columns whose check has another name: the column ``language`` is the row's language."""
_ANY = float("inf")
_EVIDENCE_RANGES: Mapping[str, tuple[float, float]] = {
    "length": (0.6, 1.8),
    "sentences": (0.75, _ANY),
    "missing_sentence": (0, 2.5),
    "ending": (1, _ANY),
    "copied": (0, 0.3),
    "script": (0.6, _ANY),
    "identified": (0.3, _ANY),
    "loop": (0, 2.9),
    "placeholders": (1, _ANY),
    "negation": (0, 0),
    "encoding": (0, 0),
    "numbers": (0, 0),
    "names": (0, 0),
    "commentary": (0, 0),
    "alignment": (0.25, _ANY),
    "similarity": (0.5, _ANY),
    "name_similarity": (0.42, _ANY),
    "coverage": (0.4, _ANY),
}
"""Values outside of the range (low, high) are reported as evidence."""


def worst(name: str, stacked: Floats) -> Floats:
    """The worst over several fields (rows of ``stacked``) for each pair."""
    if name == "length":  # the one farthest from 1, either way
        away = np.where(np.isnan(stacked), -1.0, np.abs(np.log(np.maximum(stacked, 1e-6))))
        return np.asarray(np.take_along_axis(stacked, away.argmax(axis=0)[None], axis=0)[0], np.float64)
    pick = np.fmin if WORST[name] == "min" else np.fmax
    return np.asarray(pick.reduce(stacked, axis=0), np.float64)


def result_of(findings: Findings, source: pl.Series, target: pl.Series, missing: list[list[str]]) -> Findings:
    """The step's columns: findings, probability (as ``score``, or as ``form`` where nothing about the meaning was
    assessed) and evidence."""
    values, size = findings.values, len(source)
    empty = (source == "").to_numpy(), (target == "").to_numpy()
    if "length" in values:
        lost = empty[1] & ~empty[0]
        values["length"] = np.where(lost, 0.0, values["length"])
        values["deviation"] = np.where(lost, -8.0, values["deviation"])
    columns = {name: values[name] for name in WORST if name in values}
    columns["length"] = values.get("length", np.full(size, np.nan))
    probability, meant = classifier.probability(values) if size else (np.zeros(0), np.zeros(0, bool))
    columns["score"] = np.where(meant, probability, np.nan)
    columns["form"] = np.where(meant, np.nan, probability)
    if "sentences_source" in values:
        columns["sentences"] = np.divide(
            values["sentences_target"],
            values["sentences_source"],
            out=np.full(size, np.nan),
            where=values["sentences_source"] > 0,
        )
    for name in ("numbers", "names"):
        if f"{name}_lost" in values:
            columns[name] = np.maximum(values[f"{name}_lost"], values[f"{name}_added"])
    if "damage" in values:
        columns["encoding"] = values["damage"]
    nothing = empty[0] & empty[1]
    for name, column in columns.items():
        columns[name] = np.where(nothing, np.nan, column)
    return Findings(
        columns,
        {
            "evidence": _evidence(columns, findings.notes, size),
            "unassessed": [" ".join(one) or None for one in missing],
        },
    )


def _evidence(columns: Mapping[str, Floats], notes: Mapping[str, list[str | None]], size: int) -> list[str | None]:
    """The findings that count against a pair, as text."""
    evidence: list[list[str]] = [[] for _ in range(size)]
    for name, (low, high) in _EVIDENCE_RANGES.items():
        if name in columns:
            with np.errstate(invalid="ignore"):
                rows = np.flatnonzero((columns[name] < low) | (columns[name] > high))
            for row in rows.tolist():
                note = notes.get(name, [])
                what = note[row] if note and note[row] else f"{columns[name][row]:.2g}"
                evidence[row].append(f"{name}: {what}")
    return ["; ".join(one)[:500] or None for one in evidence]


def spread(findings: Findings, at: npt.NDArray[np.int64], size: int) -> Findings:
    """Extends findings to all rows; rows that were not compared have nulls."""
    if len(at) == size:
        return findings
    values = {}
    for name, column in findings.values.items():
        values[name] = np.full(size, np.nan)
        values[name][at] = column
    notes: dict[str, list[str | None]] = {}
    for name, note in findings.notes.items():
        notes[name] = [None] * size
        for row, one in zip(at.tolist(), note, strict=True):
            notes[name][row] = one
    return Findings(values, notes)
