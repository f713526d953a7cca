"""The Python face of ``curate review``: a sample of a dataset for people to look at, and what they say as labels of
its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from curate.engine.store.store import Store

if TYPE_CHECKING:
    from curate.catalog import Catalog
    from curate.preferences.review.api import Exported, Imported


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
    """Writes a stratified sample of a finished version for a spreadsheet, Argilla or Label Studio.

    Args:
        name: ``name`` or ``name@ref``.
        to: the file; for ``argilla`` a folder.
        sample: how many rows; None for all.
        by: of what each value has its share: ``language``, ``status``, ``step``, ``reason``, ``split``, ``source``,
            ``maker``, ``attribute.NAME``.
        share: ``equal``: as many rows of each as far as it has them; ``proportional``: by its size.
        format: ``csv``, ``tsv``, ``jsonl``, ``xlsx``, ``argilla``, ``label-studio``; by the file's name if left out.
        rejected: also rows that steps dropped (of the dataset's own kind).
        blind: not to show scores and verdicts that rows have already.
        seed: other rows, and another order of answers.
        instructions: what people are asked to do, in place of the shipped words.
        overwrite: write over files that are there, with whatever people filled in.
        store: a store's folder; by default that of the catalog.

    Raises:
        StepError: there are no rows, the format is not known, a file is there already.
        StoreError: there is no such version.
    """
    from curate.api.datasets import open_store
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
    """Reads what people filled in, and merges it by row id into a file of labels, for the step ``labels``.

    Args:
        files: what came back, one file or several.
        into: the file of labels (.jsonl or .parquet); what it holds stays, unless the same person says something
            else of the same row.
        of: the dataset that was reviewed, to find ids that it does not have; needed for ``gold`` and ``pairs``.
        annotator: who filled it in, where the files do not say; by default the file's name.
        gold: a file for rows with people's verdict: the better answer of a preference row as ``chosen``, other rows
            with the score ``gold``.
        pairs: a file for preference rows in which a person's correction is chosen over the answer as it was.
        store: a store's folder; by default that of the catalog.

    Raises:
        StepError: a file cannot be read at all.
        StoreError: there is no such version.
    """
    from curate.api.datasets import open_store
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
