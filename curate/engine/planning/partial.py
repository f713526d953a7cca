"""What a version lacks that was made of the answers there were (``curate build --finish``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from curate.engine.planning.runner import DatasetRecord


def partial_stages(record: DatasetRecord, below: Iterable[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The stages that left rows out: ``stage``, ``not_asked`` (rows) and ``rows`` (that it saw); those of the datasets
    below first. It stands in the manifest under ``partial``; empty if nothing is missing."""
    own = [
        {"stage": stage, "not_asked": sum(left.languages.values()), "rows": left.rows}
        for stage, left in record.not_asked.items()
    ]
    return list({one["stage"]: one for one in [*(one for listed in below for one in listed), *own]}.values())


def partial_alarms(partial: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each of these stages."""
    return [
        f"partial: {one['stage']} was not asked about {one['not_asked']:,}{of} rows (--finish); 'curate build' goes on"
        for one in partial
        for of in [f" of {one['rows']:,}" if one["rows"] else ""]
    ]
