"""What `curate review thresholds` does: opens the version, asks the labels, writes the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.catalog.edit import Edit
from curate.engine.store.store import Store
from curate.errors import ExportError
from curate.preferences.review.labels_file import read_labels
from curate.steps import Registry
from outputs.view.labelled import LabelledThreshold, from_labels, labelled_rows
from outputs.view.reading import Reader
from outputs.view.threshold_write import digest, edit_of, write
from outputs.view.thresholds import find, thresholds


@dataclass(frozen=True)
class ReviewedThreshold:
    """What labels say about a threshold of a version."""

    dataset: str
    version: str
    threshold: str
    languages: tuple[LabelledThreshold, ...]
    """One for each language with labels (if the threshold may differ by language), then one for all together."""
    unsure: int
    """Labels that say neither right nor wrong."""
    without: int
    """Labels of rows that have not got the score."""
    elsewhere: int
    """Labels of rows that the version has not got."""
    diff: str = ""
    """The change of the catalog, if it was written."""


def review(
    store: Store,
    name: str,
    labels: Sequence[str | Path],
    threshold: str,
    precision: float,
    least: int,
    catalog: Path | None,
) -> ReviewedThreshold:
    """Does what :func:`curate.review_thresholds` says.

    Args:
        catalog: the file to write into; None to write nothing.
    """
    registry, reader = Registry.installed(), Reader(store)
    try:
        read = reader.version(name)
        known = thresholds(read, registry)
        if not threshold:
            raise ExportError(f"threshold: name one of {', '.join(one.key for one in known) or 'none: there is none'}")
        one = find(known, threshold)
        rows = labelled_rows(read, one, read_labels(labels))
        found = tuple(from_labels(one, rows, precision, least))
        diff = ""
        if catalog is not None:
            wanted = [each for each in found if each.value is not None and each.value != each.now]
            # A value for all together would judge languages by the labels of others.
            wanted = [each for each in wanted if bool(each.language) == one.by_language]
            edits = []
            for each in wanted:
                edit = edit_of(read, one, each.value, each.language, catalog, registry)
                write(edit, digest(edit))
                edits.append(edit)
            diff = Edit(edits[0].file, edits[0].old, edits[-1].new).diff if edits else ""
        return ReviewedThreshold(
            read.version.name, read.version.version, one.key, found, rows.unsure, rows.without, rows.elsewhere, diff
        )
    finally:
        reader.close()
