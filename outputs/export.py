"""Exports: a version in the format of one trainer, with its configuration, written completely or not at all.

``export.json`` next to the data records the version, the output, how many rows went in and out, and which were skipped
and why.
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
    """A finished export."""

    dataset: str
    version: str
    output: str
    """The output's label."""
    folder: Path
    written: Written

    @property
    def rows(self) -> int:
        """How many rows were written."""
        return sum(self.written.rows.values())

    @property
    def skipped(self) -> int:
        """How many rows were skipped."""
        return sum(self.written.skipped.values())


def open_version(store: Store, name: str) -> Version:
    """A finished version by ``name`` or ``name@ref``, with every file verified against its manifest.

    Raises:
        DamagedError: a file does not match.
        StoreError: there is no such version.
    """
    dataset, _, ref = name.partition("@")
    version = store.resolve(dataset, ref or "latest")
    return Version(
        dataset, version, store.dataset(dataset) / version, store.check_version(dataset, version, digests=True)
    )


def export(version: Version, uses: Sequence[StepUse], to: Path, *, force: bool = False) -> list[Exported]:
    """Writes a version with each of these outputs, into a folder below ``to`` for each.

    Args:
        force: replace an existing folder if it is an export.

    Raises:
        ExportError: an output does not support rows of this kind, or a folder is in the way.
    """
    if problems := check(version, uses, to, force=force):
        raise ExportError("\n".join(problems))
    return [_export(version, use, to / use.label) for use in uses]


def check(version: Version, uses: Sequence[StepUse], to: Path, *, force: bool = False) -> list[str]:
    """Why a version cannot be written: an output does not support its rows, or a folder is in the way."""
    problems = []
    for use in uses:
        if version.kind not in use.params.kinds:
            fits = ", ".join(sorted(use.params.kinds))
            problems.append(f"{use.label}: '{use.name}' cannot write {version.kind} rows (it can write {fits})")
        problems += [f"{use.label}: {problem}" for problem in use.params.check(version.kind)]
        folder = to / use.label
        if folder.exists() and not (force and (folder / REPORT).is_file()):
            what = (
                "already exists; use --force to replace it"
                if (folder / REPORT).is_file()
                else "already exists and is not an export"
            )
            problems.append(f"{folder} {what}")
    return problems


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
