"""An export is a folder for one reader, whole or not at all: its data, its configuration, and an account of every row.

``export.json`` beside the data says which version it was made of, by which output, how many rows went in and came out,
and which were left out and why.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from curate._version import __version__
from curate.catalog import StepUse
from curate.engine.store.store import Store
from curate.errors import ExportError
from curate.steps.outputs import Version, Written

REPORT = "export.json"


@dataclass(frozen=True)
class Exported:
    """What was exported."""

    dataset: str
    version: str
    output: str
    """Its label."""
    folder: Path
    written: Written

    @property
    def rows(self) -> int:
        """How many rows were written."""
        return sum(self.written.rows.values())

    @property
    def skipped(self) -> int:
        """How many were left out."""
        return sum(self.written.skipped.values())


def open_version(store: Store, name: str) -> Version:
    """A finished version by ``name`` or ``name@ref``, every file of which is as its manifest says.

    Raises:
        DamagedError: one is not.
        StoreError: there is no such version.
    """
    dataset, _, ref = name.partition("@")
    version = store.resolve(dataset, ref or "latest")
    return Version(
        dataset, version, store.dataset(dataset) / version, store.check_version(dataset, version, digests=True)
    )


def export(version: Version, uses: Sequence[StepUse], to: Path, *, force: bool = False) -> list[Exported]:
    """Writes a version in each of these forms, a folder below ``to`` for each.

    Args:
        force: replace a folder that is there already, if it is an export.

    Raises:
        ExportError: a form is not for rows of this kind, or a folder is in the way.
    """
    problems = []
    for use in uses:
        if version.kind not in use.params.kinds:
            fits = ", ".join(sorted(use.params.kinds))
            problems.append(f"{use.label}: '{use.name}' cannot write {version.kind} rows (it can write {fits})")
        problems += [f"{use.label}: {problem}" for problem in use.params.check(version.kind)]
        folder = to / use.label
        if folder.exists() and not (force and (folder / REPORT).is_file()):
            what = (
                "is there already; write --force to replace it"
                if (folder / REPORT).is_file()
                else "is there and is no export"
            )
            problems.append(f"{folder} {what}")
    if problems:
        raise ExportError("\n".join(problems))
    return [_export(version, use, to / use.label) for use in uses]


def _export(version: Version, use: StepUse, folder: Path) -> Exported:
    temporary = folder.parent / f".tmp-{folder.name}-{uuid.uuid4().hex[:8]}"
    temporary.mkdir(parents=True)
    try:
        written: Written = use.params.write(version, temporary)
        (temporary / REPORT).write_bytes(orjson.dumps(_account(version, use, written), option=orjson.OPT_INDENT_2))
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Exported(version.name, version.version, use.label, folder, written)


def _account(version: Version, use: StepUse, written: Written) -> dict[str, Any]:
    return {
        "dataset": version.name,
        "version": version.version,
        "kind": version.kind.value,
        "output": {
            "name": use.name,
            "version": use.params.version,
            **use.params.model_dump(mode="json", exclude_defaults=True),
        },
        "rows_in": version.manifest["rows"],
        "rows": written.rows,
        "skipped": written.skipped,
        "skipped_examples": written.examples,
        "notes": written.notes,
        "files": written.files,
        "digest": written.digest,
        "licenses": version.manifest["licenses"],
        "curate": __version__,
    }
