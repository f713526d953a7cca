"""What a step sees of the world while it runs in a worker: models loaded once a process, ancestors by id, warnings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.engine.fingerprint import digest
from curate.rows import Kind
from curate.rows.kinds import kind_of
from curate.steps import Model, Rows, StepError

_MODELS: dict[str, Any] = {}
_IDS: OrderedDict[str, np.ndarray[Any, np.dtype[np.uint64]]] = OrderedDict()
_MOST_IDS = 20_000_000


class WorkerContext:
    """The :class:`curate.steps.Context` of one task."""

    def __init__(self, root: Path, models: Mapping[str, Model], *, threads: int, memory: int, scratch: Path,
                 ancestors: Sequence[str] = ()) -> None:  # fmt: skip
        self.threads = threads
        self.memory = memory
        self.scratch = scratch
        self.warnings: list[str] = []
        self._root = root
        self._models = models
        self._ancestors = ancestors

    def model(self, name: str) -> Any:
        spec = self._spec(name)
        key = digest([spec.model_identity(), spec.model_dump(mode="json"), self.threads])
        if key not in _MODELS:
            _MODELS[key] = spec.load(cache=self._root / "cache", threads=self.threads)
        return _MODELS[key]

    def model_name(self, name: str) -> str:
        return self._spec(name).name_and_revision()

    def _spec(self, name: str) -> Model:
        if name not in self._models:
            raise StepError(f"no model is called '{name}'")
        return self._models[name]

    def look_up(self, ids: pl.Series) -> Rows:
        wanted = ids.drop_nulls().unique()
        bits = np.sort(_bits(wanted))
        found: list[pa.Table] = []
        seen: set[str] = set()
        for path in self._ancestors:
            known = self._ids(path)
            at = np.searchsorted(bits, known)
            at[at == len(bits)] = 0
            rows = np.flatnonzero(bits[at] == known) if len(bits) else np.empty(0, np.int64)
            if not len(rows):
                continue
            table = pq.read_table(self._root / path).take(pa.array(rows))
            fresh = []
            for index, row in enumerate(table["id"].to_pylist()):
                if row not in seen:
                    seen.add(row)
                    fresh.append(index)
            found.append(table.take(pa.array(fresh, pa.int64())))
        if not found:
            return Rows(Kind.DOCUMENT, pa.table({}))
        return Rows(kind_of(found[0].column_names), pa.concat_tables(found))

    def _ids(self, path: str) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """The first 60 bits of each id in a shard: enough to find the shard, 8 bytes a row."""
        if path not in _IDS:
            _IDS[path] = _bits(pl.Series("id", pq.read_table(self._root / path, columns=["id"])["id"].combine_chunks()))
            while sum(map(len, _IDS.values())) > _MOST_IDS and len(_IDS) > 1:
                _IDS.popitem(last=False)
        _IDS.move_to_end(path)
        return _IDS[path]

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


def _bits(ids: pl.Series) -> np.ndarray[Any, np.dtype[np.uint64]]:
    if not len(ids):
        return np.empty(0, np.uint64)
    return ids.str.slice(0, 15).str.to_integer(base=16).to_numpy().astype(np.uint64)
