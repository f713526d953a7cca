"""The Python face of ``curate review``: a sample of a dataset for people to look at, what they say as labels of its
rows, and thresholds out of labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from curate.engine.store.store import Store

if TYPE_CHECKING:
    from curate.catalog import Catalog
    from curate.preferences.review.api import Exported, Imported
    from outputs.view.labelled_thresholds import ReviewedThreshold


def review_export(
    name: str,
    to: str | Path,
    *,
    sample: int | None = 200,
    by: Sequence[str] = ("language",),
    share: Literal["equal", "proportional"] = "equal",
    format: str | None = None,
    rejected: bool = False,
    blind: bool = True,
    seed: int = 0,
    instructions: str | None = None,
    overwrite: bool = False,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
) -> Exported:
    """Writes a stratified sample of a finished version for annotators: a spreadsheet, Argilla or Label Studio.

    Args:
        name: ``name`` or ``name@ref``.
        to: the file; for ``argilla`` a folder.
        sample: number of rows; None for all.
        by: the strata: ``language``, ``status``, ``step``, ``reason``, ``split``, ``source``, ``maker``,
            ``attribute.NAME``.
        share: ``equal``: the same number of rows from each stratum, where it has them; ``proportional``: by its size.
        format: ``csv``, ``tsv``, ``jsonl``, ``xlsx``, ``argilla``, ``label-studio``; by default from the file's name.
        rejected: whether to include rows that steps dropped (of the dataset's own kind).
        blind: whether to hide the scores and verdicts that rows have.
        seed: selects the sample and the order of answers.
        instructions: the instructions for annotators, instead of the package's.
        overwrite: whether to overwrite existing files, including annotations in them.
        store: a store's folder; by default that of the catalog.

    Raises:
        StepError: there are no rows, the format is unknown, or a file exists.
        StoreError: there is no such version.
    """
    from curate.api.store import open_store
    from curate.preferences.review.api import export

    return export(
        open_store(store, catalog),
        name,
        to,
        sample=sample,
        by=by,
        share=share,
        format=format,
        rejected=rejected,
        blind=blind,
        seed=seed,
        instructions=instructions,
        overwrite=overwrite,
    )


def review_import(
    files: str | Path | Iterable[str | Path],
    into: str | Path,
    *,
    of: str | None = None,
    annotator: str | None = None,
    gold: str | Path | None = None,
    pairs: str | Path | None = None,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
) -> Imported:
    """Reads annotated files and merges them by row id into a file of labels, for the step ``labels``.

    Args:
        files: the annotated files (a file or an Argilla folder for each annotator, or several annotators in one).
        into: the file of labels (.jsonl or .parquet). Its labels are kept, unless the same annotator labels the same
            row anew.
        of: the dataset (``name`` or ``name@ref``), to detect ids that it does not have; needed for ``gold`` and
            ``pairs``.
        annotator: the annotator of files without that column; by default the file's name.
        gold: a file for rows with the human verdict: the better answer of a preference row as ``chosen``, any other row
            with the score ``gold``.
        pairs: a file for preference rows with a correction chosen over the original answer.
        store: a store's folder; by default that of the catalog.

    Raises:
        StepError: a file cannot be read, or has no rows.
        StoreError: there is no such version.
    """
    from curate.api.store import open_store
    from curate.preferences.review.api import import_

    listed = [files] if isinstance(files, str | Path) else files
    return import_(
        listed,
        into,
        of=of,
        store=None if of is None else open_store(store, catalog),
        annotator=annotator,
        gold=gold,
        pairs=pairs,
    )


def review_thresholds(
    name: str,
    labels: str | Path | Iterable[str | Path],
    threshold: str,
    *,
    precision: float = 0.98,
    least: int = 30,
    write: bool = False,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
) -> ReviewedThreshold:
    """Finds for each language the value of a threshold that labels of a version's rows speak for: the one that keeps
    most right rows, while the wanted share of the labelled rows it keeps is right.

    Args:
        name: ``name`` or ``name@ref``.
        labels: files of labels, as ``curate view`` and ``curate review import`` write them; of all annotators.
        threshold: ``step.parameter``, such as ``similarity.min``.
        precision: the wanted share of right rows among those kept.
        least: with fewer labels a language gets no value.
        write: write the values into the catalog (a file), where they differ from those of the version.

    Raises:
        StepError: a file is no file of labels.
        StoreError: there is no such version.
        ExportError: there is no such threshold, or ``precision`` is no share.
        EditError: where the value stands in the catalog cannot be told.
    """
    from curate.api.store import open_store
    from outputs.view.labelled_thresholds import review

    listed = [labels] if isinstance(labels, str | Path) else list(labels)
    file = Path(catalog) if isinstance(catalog, str | Path) else None
    return review(open_store(store, catalog), name, listed, threshold, precision, least, file if write else None)
