"""The plan: for each stage what is cached, what will run, and why; a build does exactly that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.engine.store.fingerprint import explain
from curate.notebook import table


@dataclass
class StagePlan:
    """What becomes of one stage (one step on all shards, or one source)."""

    dataset: str
    stage: str
    action: str
    """``read``, ``link``, ``score``, ``decide``, ``make``, ``write`` …"""
    reuse: int = 0
    """Shards (or files) whose result is there."""
    run: int = 0
    waits: int = 0
    """Shards that are not known before an earlier stage has run."""
    rows: int = 0
    """Rows that the running part will see, where known."""
    reasons: list[str] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        return not self.run and not self.waits

    def __str__(self) -> str:
        if self.idle:
            return f"{self.stage}: cached"
        what = []
        if self.run:
            rows = f" ({self.rows:,} rows)" if self.rows else ""
            what.append(f"{self.action} {self.run} of {self.reuse + self.run + self.waits}{rows}")
        if self.waits and not self.run:
            what.append(f"{self.action}, waits for the step before it")
        return f"{self.stage}: {', '.join(what)}" + (f"; {'; '.join(self.reasons)}" if self.reasons else "")


@dataclass
class Plan:
    """What building would do."""

    stages: list[StagePlan] = field(default_factory=list)
    versions: dict[str, str | None] = field(default_factory=dict)
    """Dataset → the version that is already there and complete, or None if something must run."""
    notes: dict[str, None] = field(default_factory=dict)
    """What else there is to know, once each: the columns that nothing uses."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return all(stage.idle for stage in self.stages) and all(self.versions.values())

    def _repr_html_(self) -> str:
        busy = {str(one): one for one in self.stages if not one.idle}.values()
        rows = [
            (one.stage, one.action, f"{one.run:,}" if one.run else "waits", f"{one.reuse:,}", "; ".join(one.reasons))
            for one in busy
        ]
        there = [f"{name}: up to date, version {version}" for name, version in self.versions.items() if version]
        caption = "nothing to do" if self.idle else "what a build will do"
        return table(caption, ("stage", "action", "to run", "cached", "why"), rows, [*there, *self.notes])

    def __str__(self) -> str:
        # A source that several datasets use is planned for each, and shown once.
        lines = list(dict.fromkeys(str(stage) for stage in self.stages if not stage.idle))
        for dataset, version in self.versions.items():
            if version:
                lines.append(f"{dataset}: up to date, version {version}")
            elif all(stage.idle for stage in self.stages if stage.dataset == dataset):
                lines.append(f"{dataset}: point 'latest' at a version that is already there")
        return "\n".join([*(lines or ["nothing to do"]), *self.notes])


def reasons(
    old: Mapping[str, Any] | None,
    recipe: Mapping[str, Any],
    inputs: Sequence[str],
    *,
    waits: bool,
    rescored: int | None = None,
) -> list[str]:
    """Why a stage must run, by comparing with what the last build recorded for it.

    Args:
        old: ``{recipe, inputs}`` of the last finished build; None if there was none.
        waits: whether some inputs are not known yet.
        rescored: for score steps, how many rows have no score yet (0: only decisions are made anew).
    """
    if old is None:
        found = ["new"]
    else:
        found = explain(old["recipe"], recipe)
        if not found and not waits:
            known = set(old["inputs"])
            fresh = [one for one in inputs if one not in known]
            if fresh:
                found = [f"{len(fresh)} of {len(inputs)} inputs changed"]
            elif len(inputs) != len(old["inputs"]):
                found = ["fewer inputs"]
            else:
                found = ["its result is not in the store"]
    if rescored is not None:
        found.append("scores are cached, no model call" if rescored == 0 else f"{rescored:,} rows to score")
    return found
