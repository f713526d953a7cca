"""Parquet files: all columns as in the store, or only the payload and ``meta``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa

from curate.rows import Kind, narrow, payload, schema
from curate.rows.kinds import EXTRAS
from curate.steps.outputs import Version, Written
from outputs.formats.files import Format, SplitFiles, digest_of, relative
from outputs.formats.forms import DATA, ExportFormat
from outputs.formats.readme import UsageGuide, write_readme


class Parquet(ExportFormat):
    """Parquet files of any kind of rows, with every row of the version.

    ``native`` has all columns of :doc:`rows`, some of which (``language``, ``scores`` …) no trainer uses; ``payload``
    has the columns that trainers read, and ``meta``. Both have the optional parts that the version has.
    """

    tag: ClassVar[str] = "parquet"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "Parquet files, all columns or payload and meta; read by datasets, DuckDB, Polars, pandas."
    formats: ClassVar[tuple[Format, ...]] = ("parquet",)
    reader: ClassVar[str] = "readers of Parquet"

    layout: Literal["native", "payload"] = "native"
    """All columns unchanged (``system``, ``meta``, ``scores`` and ``attributes`` are then ignored), or payload and
    ``meta``."""

    def check(self, kind: Kind) -> list[str]:
        problems = super().check(kind)
        if self.layout == "native":
            defaults = {name: field.default for name, field in ExportFormat.model_fields.items()}
            odd = [
                name
                for name in ("meta", "scores", "attributes", "system", "add_system")
                if getattr(self, name) != defaults[name]
            ]
            if odd:
                problems.append(f"{', '.join(odd)}: native rows stay unchanged; use layout: payload")
        return problems

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return payload(kind, self._extras)

    def keeps(self, kind: Kind) -> frozenset[str]:
        return frozenset(EXTRAS)

    def render(self, kind: Kind, row: dict[str, Any]) -> dict[str, Any]:
        return row

    def write(self, version: Version, folder: Path) -> Written:
        if self.layout == "payload":
            return super().write(version, folder)
        written = Written()
        for split in version.splits:
            files = SplitFiles(
                folder / DATA,
                split,
                schema(version.kind, version.extras),
                "parquet",
                self.compression,
                self.rows_per_file,
                keep_empty=True,
            )
            try:
                for rows in version.rows(split):
                    files.write(narrow(rows.table, version.extras))
            except BaseException:
                files.abandon()
                raise
            written.files += relative(files.close(), folder)
            written.rows[split] = files.rows
            if not files.rows:
                written.notes.append(f"the split '{split}' has no rows; its file has columns only")
        written.digest = digest_of(written.files, folder)
        written.files += relative(
            write_readme(self, version, folder, written, self.configure(version, folder, written)), folder
        )
        return written

    def configure(self, version: Version, folder: Path, written: Written) -> UsageGuide:
        split = next((split for split in version.splits if written.rows[split]), version.splits[0])
        return UsageGuide(
            steps=[
                (
                    "In Python:",
                    "python",
                    f'from datasets import load_dataset\n\nrows = load_dataset("path/to/this/folder", split="{split}")',
                ),
                (
                    "In SQL, with DuckDB:",
                    "sql",
                    "SELECT count(*) FROM "
                    f"'data/{split}{'/*' if len(self.spread(split, written)) > 1 else ''}.parquet'",
                ),
            ]
        )
