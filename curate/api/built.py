"""A built version as an object: its rows as tables, what was left out of it, its funnel and its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.api.store import open_store
from curate.catalog.suggestions import nearest
from curate.engine.dataset import Built
from curate.engine.funnel import Funnel, render
from curate.engine.representation import COLUMNS, NOT_RECORDED, representation_of, summary
from curate.engine.store.integrity import check_digest
from curate.engine.store.shards import QUARANTINED
from curate.engine.store.store import Store
from curate.errors import StoreError
from curate.notebook import table
from curate.rows import Kind, schema

if TYPE_CHECKING:
    import datasets
    import polars as pl
    import pyarrow as pa

    from curate.catalog import Catalog
    from curate.looking import Explanation
    from outputs.report import Reported

_SHOWN = 3


def dataset(
    name: str | Built, *, store: str | Path | Store | None = None, catalog: Catalog | str | Path = "catalog.yaml"
) -> Dataset:
    """A built version of a dataset.

    Args:
        name: ``name``, ``name@ref``, or what :func:`curate.build` returned.
        store: a store's folder; by default that of the catalog, or ``.curate`` here if there is no catalog.

    Raises:
        StoreError: there is no such version; ``DamagedError`` if a file of it is not as it was written.
    """
    if isinstance(name, Built):
        return Dataset(Store(name.path.parents[2]), name.dataset, name.version)
    opened = open_store(store, catalog)
    known, _, ref = name.partition("@")
    return Dataset(opened, known, opened.resolve(known, ref or "latest"))


class Dataset:
    """A built version of a dataset, made by :func:`dataset`. Rows are read when they are asked for, each file checked
    against its checksum.
    """

    def __init__(self, store: Store, name: str, version: str) -> None:
        self._store = store
        self.name = name
        self.version = version
        """Digest of its rows; ``name@version`` names it for good."""
        self.manifest: Mapping[str, Any] = store.check_version(name, version)
        """All that is known about it: recipe, sources, models, licences, files."""
        self.path = store.dataset(name) / version
        """Its folder, with parquet files."""

    @property
    def kind(self) -> Kind:
        """The kind of its rows."""
        return Kind(self.manifest["kind"])

    @property
    def splits(self) -> dict[str, int]:
        """Split → rows."""
        return {split: about["rows"] for split, about in self.manifest["splits"].items()}

    @property
    def languages(self) -> dict[str, int]:
        """Language → rows."""
        return dict(self.manifest["languages"])

    @property
    def funnel(self) -> Funnel:
        """Rows by language: read, dropped by each step and reason, kept."""
        return Funnel.from_json(self.manifest["funnel"])

    @property
    def representation(self) -> pl.DataFrame:
        """Rows by language, script, region, source and models after each step, and how many are in the language asked
        for: what ``curate.representation`` has in SQL.

        Raises:
            StoreError: it was not recorded.
        """
        import polars as pl

        found = representation_of(self.manifest)
        if found is None:
            raise StoreError(f"{self.name}@{self.version}: {NOT_RECORDED}")
        return pl.DataFrame(list(found.rows()), schema=COLUMNS)

    def __len__(self) -> int:
        return int(self.manifest["rows"])

    def __repr__(self) -> str:
        return f"<Dataset {self.name}@{self.version}: {len(self):,} {self.kind} rows, {len(self.languages)} languages>"

    # ------------------------------------------------------------------------------------------------------------ rows
    def head(self, n: int = 5, split: str | None = None) -> pl.DataFrame:
        """The first rows, as :meth:`to_polars` gives them; no more files are read than these need."""
        import polars as pl

        parts, left = [], n
        for part in self._parts(split):
            if left <= 0:
                break
            parts.append(part.slice(0, left))
            left -= len(parts[-1])
        return pl.DataFrame(pl.from_arrow(self._joined(parts)))

    def to_polars(self, split: str | None = None) -> pl.DataFrame:
        """The rows in order, with their split in the column ``split``; the others are those of the kind (docs/rows.md).

        Args:
            split: only this one.

        Raises:
            StoreError: there is no such split.
        """
        import polars as pl

        return pl.DataFrame(pl.from_arrow(self.to_arrow(split)))

    def to_arrow(self, split: str | None = None) -> pa.Table:
        """The same as an Arrow table."""
        return self._joined(list(self._parts(split)))

    def to_hf(self, split: str | None = None) -> datasets.DatasetDict | datasets.Dataset:
        """The rows as a ``datasets.DatasetDict`` of the splits, or as a ``datasets.Dataset`` of one; in memory."""
        import datasets

        def made(one: str) -> datasets.Dataset:
            return datasets.Dataset(self.to_arrow(one).drop_columns("split"), split=datasets.NamedSplit(one))

        return made(split) if split is not None else datasets.DatasetDict({one: made(one) for one in self.splits})

    def rejected(self, reason: str | None = None) -> pl.DataFrame:
        """The rows that a step dropped, in order, with ``step`` and ``reason``; columns that a kind lacks are null.

        Args:
            reason: only those dropped for this reason, or by the step of this label.

        Raises:
            StoreError: no row was dropped for it.
        """
        import polars as pl

        files = [self._read(file) for file in self._files("rejected/")]
        if not files:
            extra = {"step": pl.String, "reason": pl.String}
            empty = pl.DataFrame(pl.from_arrow(schema(self.kind, self.manifest.get("extras", ())).empty_table()))
            frame = empty.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in extra.items())
        else:
            frame = pl.concat([pl.DataFrame(pl.from_arrow(one)) for one in files], how="diagonal_relaxed")
        if reason is None:
            return frame
        known = sorted({*frame["step"].unique(), *frame["reason"].unique()})
        if reason not in known:
            raise StoreError(
                f"{self.name}: no row was dropped for '{reason}'{nearest(reason, known)} "
                f"(steps and reasons: {', '.join(known) or 'none'})"
            )
        return frame.filter((pl.col("step") == reason) | (pl.col("reason") == reason))

    def quarantined(self) -> pl.DataFrame:
        """What could not be read or made: ``source``, ``unit``, ``place``, ``reason``, ``raw`` …"""
        import polars as pl
        import pyarrow as pa

        return pl.DataFrame(
            pl.from_arrow(pa.concat_tables([QUARANTINED.empty_table(), *map(self._read, self._files("quarantined/"))]))
        )

    def why(self, row: str) -> Explanation:
        """All that is known about a row, kept or not (:func:`curate.why`).

        Args:
            row: its id, the beginning of it that no other row has, or its place in a source, such as ``en.jsonl:12``.
        """
        from curate.api.looking import why

        return why(row, store=self._store)

    # ----------------------------------------------------------------------------------------------------------- shown
    def report(self, to: str | Path | None = None, **more: Any) -> Reported:
        """Writes its report (:func:`curate.report`)."""
        from curate.api.outputs import report

        return report(f"{self.name}@{self.version}", to, store=self._store, **more)

    def _repr_html_(self) -> str:
        from curate.records import html, row_record

        manifest = self.manifest
        licenses = ", ".join(f"{name} {rows:,}" for name, rows in manifest["licenses"].items())
        notes = [
            f"splits: {', '.join(f'{split} {rows:,}' for split, rows in self.splits.items())}",
            f"{manifest['rejected']:,} rejected, {manifest['quarantined']:,} quarantined",
            f"licences: {licenses or 'none'}",
            *summary(representation_of(manifest)),
            *(f"alarm: {message}" for message in manifest["alarms"]),
            *manifest["warnings"],
        ]
        records = html(row_record(row, row["split"]) for row in self.head(_SHOWN).to_dicts())
        return table(repr(self)[1:-1], *render(self.funnel), notes) + records

    # --------------------------------------------------------------------------------------------------------- reading
    def _files(self, below: str) -> Iterator[Mapping[str, Any]]:
        return (file for file in self.manifest["files"] if file["path"].startswith(below))

    def _read(self, file: Mapping[str, Any]) -> pa.Table:
        import pyarrow.parquet as pq

        return pq.read_table(check_digest(self.path / file["path"], file["bytes"], file["sha256"]))

    def _parts(self, split: str | None) -> Iterator[pa.Table]:
        """The kept rows file by file, with their split."""
        import pyarrow as pa

        if split is not None and split not in self.splits:
            raise StoreError(
                f"{self.name}: no split is called '{split}'{nearest(split, self.splits)} ({', '.join(self.splits)})"
            )
        for file in self._files("data/"):
            if split in (None, file["part"]):
                part = self._read(file)
                yield part.append_column("split", pa.array([file["part"]] * len(part), pa.string()))

    def _joined(self, parts: list[pa.Table]) -> pa.Table:
        import pyarrow as pa

        empty = schema(self.kind, self.manifest.get("extras", ())).append(pa.field("split", pa.string())).empty_table()
        return pa.concat_tables(parts or [empty])
