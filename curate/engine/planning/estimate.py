"""Estimates what a build will cost from a sample built in four parts, whose spread gives the interval.

The parts are disjoint and drawn by a digest of the item, so that translations of one item stay together. They are
built in a
folder of their own, with the kept answers of models of the real store: what the sample asks is not asked again by
the build.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from curate.catalog import Catalog
from curate.engine.store.store import Store, lend_version
from curate.errors import DamagedError, StoreError

FOLDS = 4
# Of Student's distribution with three degrees of freedom: 95 % lie within so many standard errors.
_WIDE = 3.182


@dataclass(frozen=True)
class IntervalEstimate:
    """A quantity of the whole build."""

    value: float
    low: float
    """95 % interval."""
    high: float

    @classmethod
    def of(cls, parts: Sequence[float], rows: Sequence[int], total: int) -> IntervalEstimate:
        """The ratio estimator (Cochran, Sampling Techniques, 1977, ch. 6): what a source row comes to, times all
        source rows.

        Args:
            parts: the quantity in each part.
            rows: the source rows in each part; parts of few rows, by chance, say little.
            total: all source rows.
        """
        made, given = np.array(parts, np.float64), np.array(rows, np.float64)
        if not given.sum():
            return cls(0.0, 0.0, 0.0)
        ratio = float(made.sum() / given.sum())
        # The parts are a small share of the whole, but where they are not, what was built is certain.
        left = max(0.0, 1 - float(given.sum()) / total)
        spread = float(np.sqrt(((made - ratio * given) ** 2).sum() / max(1, len(made) - 1)))
        error = total * math.sqrt(left / len(made)) * spread / float(given.mean())
        return cls(ratio * total, max(float(made.sum()), ratio * total - _WIDE * error), ratio * total + _WIDE * error)

    def to_json(self) -> list[float]:
        return [round(one, 4) for one in (self.value, self.low, self.high)]


@dataclass(frozen=True)
class ComputeTime:
    """What processes were busy with, in seconds."""

    work: float = 0.0
    """All but reading sources and loading models."""
    loading: float = 0.0
    accelerators: float = 0.0
    """Of one GPU: work that held two counts twice."""

    @classmethod
    def of(cls, results: Iterable[Mapping[str, Any]]) -> ComputeTime:
        """Of some tasks, by their results."""
        work = loading = accelerators = 0.0
        for one in results:
            pure = float(one.get("seconds", 0)) - float(one.get("loading", 0))
            work, loading = work + pure, loading + float(one.get("loading", 0))
            accelerators += pure * int(one.get("accelerators", 0))
        return cls(work, loading, accelerators)

    def __sub__(self, other: ComputeTime) -> ComputeTime:
        return ComputeTime(self.work - other.work, self.loading - other.loading, self.accelerators - other.accelerators)


@dataclass
class Estimate:
    """What building a dataset will come to."""

    dataset: str
    sampled: int
    """Rows of its sources that were built."""
    rows_in: int
    """Rows of its sources."""
    rows: dict[str, IntervalEstimate] = field(default_factory=dict)
    """By language, and ``*`` for all."""
    calls: dict[str, dict[str, IntervalEstimate]] = field(default_factory=dict)
    """Stage and model → ``calls``, ``tokens``, ``money``."""
    seconds: IntervalEstimate = field(default_factory=lambda: IntervalEstimate(0, 0, 0))
    """Of work, over all processes."""
    loading: float = 0.0
    """Seconds to load models, which more rows do not change."""
    accelerators: IntervalEstimate = field(default_factory=lambda: IntervalEstimate(0, 0, 0))
    """Seconds of one GPU, for models in the build's own process."""
    bytes: IntervalEstimate = field(default_factory=lambda: IntervalEstimate(0, 0, 0))
    """On disk: the version and the results it stands on."""

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "sampled": self.sampled,
            "rows_in": self.rows_in,
            "rows": {name: one.to_json() for name, one in self.rows.items()},
            "calls": {name: {what: one.to_json() for what, one in told.items()} for name, told in self.calls.items()},
            "seconds": self.seconds.to_json(),
            "loading": round(self.loading, 3),
            "accelerators": self.accelerators.to_json(),
            "bytes": self.bytes.to_json(),
        }


Paid = Mapping[tuple[str, str], tuple[float, float, float]]
"""(stage, model) → calls, tokens, money."""


def paid(spending: Iterable[Mapping[str, Any]], before: Paid = MappingProxyType({})) -> Paid:
    """What was spent, less what had been spent before."""
    sums = {
        (str(one["stage"]), str(one["model"])): (
            one["calls"],
            one["prompt_tokens"] + one["completion_tokens"],
            one["money"],
        )
        for one in spending
    }
    return {
        key: (now[0] - then[0], now[1] - then[1], now[2] - then[2])
        for key, now in sums.items()
        for then in [before.get(key, (0, 0, 0))]
    }


@dataclass(frozen=True)
class Fold:
    """What one part came to."""

    rows_in: int
    """Rows of sources."""
    rows: Mapping[str, int]
    paid: Paid
    compute_time: ComputeTime
    bytes: int


def whole_sources(catalog: Catalog, names: Sequence[str]) -> set[str]:
    """The sources that steps look into (word tables, references, examples): a part of these would not do."""
    whole: set[str] = set()

    def all_of(name: str) -> None:
        if name in catalog.datasets:
            for inner in catalog.datasets[name].upstream:
                all_of(inner)
        else:
            whole.add(name)

    for name in {inner for one in names for inner in catalog.closure(one)}:
        for inner in catalog.datasets[name].side_inputs:
            all_of(inner)
    return whole


def estimate(name: str, folds: Sequence[Fold], rows_in: int) -> Estimate:
    """The whole, which has ``rows_in`` source rows, by its parts."""
    each = [fold.rows_in for fold in folds]
    found = Estimate(name, sum(each), rows_in)

    def figure(parts: Iterable[float]) -> IntervalEstimate:
        return IntervalEstimate.of(list(parts), each, rows_in)

    languages = sorted({language for fold in folds for language in fold.rows})
    found.rows = {language: figure(fold.rows.get(language, 0) for fold in folds) for language in languages}
    found.rows["*"] = figure(sum(fold.rows.values()) for fold in folds)
    for stage, model in sorted({key for fold in folds for key in fold.paid}):
        sums = [fold.paid.get((stage, model), (0, 0, 0)) for fold in folds]
        found.calls[f"{stage}: {model}"] = {
            what: figure(one[at] for one in sums) for at, what in enumerate(("calls", "tokens", "money"))
        }
    found.seconds = figure(fold.compute_time.work for fold in folds)
    found.loading = sum(fold.compute_time.loading for fold in folds)  # models stay loaded from part to part
    found.accelerators = figure(fold.compute_time.accelerators for fold in folds)
    found.bytes = figure(fold.bytes for fold in folds)
    return found


def aside(catalog: Catalog, folder: Path) -> Catalog:
    """The catalog with its store in another folder, that shares the kept answers of models and the versions that are
    read by name."""
    cache = catalog.store / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    if not (folder / "cache").exists():
        (folder / "cache").symlink_to(cache.resolve(), target_is_directory=True)
    for name in {name for spec in catalog.datasets.values() for name in spec.versions}:
        with contextlib.suppress(StoreError):  # of a dataset that is not wanted now; for the others the check says it
            lend_version(Store(catalog.store), name, folder)
    return catalog.changed(run=catalog.run.model_copy(update={"store": str(folder.resolve())}))


def render(one: Estimate) -> list[str]:
    """An estimate for people, a line a figure."""

    def told(figure: IntervalEstimate, unit: str = "", digits: int = 0) -> str:
        if figure.high - figure.low < 10**-digits:
            return f"{figure.value:,.{digits}f}{unit}"
        return f"{figure.value:,.{digits}f}{unit} ({figure.low:,.{digits}f}–{figure.high:,.{digits}f})"

    lines = [f"{one.dataset}: estimated from {one.sampled:,} of {one.rows_in:,} rows"]
    lines.append(
        f"  rows: {told(one.rows['*'])}: "
        + ", ".join(f"{language} {told(figure)}" for language, figure in one.rows.items() if language != "*")
    )
    for name, figures in one.calls.items():
        money = f", {told(figures['money'], digits=2)} spent" if figures["money"].value else ""
        lines.append(f"  {name}: {told(figures['calls'])} calls, {told(figures['tokens'])} tokens{money}")
    for figure, what in ((one.seconds, "process"), (one.accelerators, "GPU")):
        if figure.value:
            unit, name = _unit(figure.value)
            scaled = IntervalEstimate(*(value / unit for value in (figure.value, figure.low, figure.high)))
            lines.append(f"  work: {told(scaled, digits=1)} {name} of one {what}")
    if one.loading >= 1:
        lines.append(f"  loading models: {one.loading:,.0f} seconds")
    megabytes = IntervalEstimate(*(value / 1e6 for value in (one.bytes.value, one.bytes.low, one.bytes.high)))
    lines.append(f"  disk: {told(megabytes, digits=1)} MB")
    return lines


def _unit(seconds: float) -> tuple[int, str]:
    return (3600, "hours") if seconds >= 7200 else (60, "minutes")


def beside(
    told: Mapping[str, Any], rows: int, spending: Sequence[Mapping[str, Any]], compute_time: ComputeTime | None = None
) -> list[str]:
    """What was estimated, beside what happened."""
    value, low, high = told["rows"]["*"]
    lines = [f"estimated {value:,.0f} rows ({low:,.0f}–{high:,.0f}), it is {rows:,}"]
    for figure, happened, what in (("seconds", "work", "process"), ("accelerators", "accelerators", "GPU")):
        value, low, high = told.get(figure, (0, 0, 0))
        if compute_time is not None and value:
            unit, name = _unit(value)
            lines.append(
                f"estimated {value / unit:,.1f} {name} of one {what} ({low / unit:,.1f}–{high / unit:,.1f}), it "
                f"was {getattr(compute_time, happened) / unit:,.1f}"
            )
    paid = {f"{one['stage']}: {one['model']}": one for one in spending}
    for name, figures in told["calls"].items():
        one = paid.get(name)
        if one is None:
            continue
        calls, tokens = figures["calls"], figures["tokens"]
        lines.append(
            f"{name}: estimated {calls[0]:,.0f} calls and {tokens[0]:,.0f} tokens "
            f"({tokens[1]:,.0f}–{tokens[2]:,.0f}), it was "
            f"{one['calls']:,} and {one['prompt_tokens'] + one['completion_tokens']:,} (the sample's not counted again)"
        )
    return lines


def compute_time_of(store: Store, results: Iterable[str]) -> ComputeTime:
    """What results took, by their folders below ``work/``."""
    found = []
    for one in results:
        with contextlib.suppress(DamagedError):  # whoever needs it finds out
            found.append(store.result(*one.split("/")))
    return ComputeTime.of(one for one in found if one)


def size_of(*folders: Path) -> int:
    """Bytes below some folders, each file once however often it is linked."""
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                about = path.stat()
                seen[about.st_dev, about.st_ino] = about.st_size
    return sum(seen.values())


def last_estimate(store: Store, name: str, build_key: str) -> dict[str, Any] | None:
    """What was last estimated for a dataset, if it was for this very build: nothing in catalog or sources has
    changed since."""
    found = store.note(f"{name}.estimate.json")
    return found if found.get("build_key") == build_key else None
