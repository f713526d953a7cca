"""The context of a step in a worker: models loaded once per process, ancestors by id, warnings."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.engine.store.fingerprint import digest
from curate.engine.store.shards import read_parquet
from curate.engine.store.store import Store
from curate.engine.tasks.finish import KeptAnswers
from curate.engine.tasks.recorder import Recorder
from curate.redact import Redactor
from curate.rows import Kind, widen
from curate.rows.kinds import kind_of
from curate.steps import Model, Rows, StepError
from curate.steps.models import Generator
from curate.unanswered import Unanswered

_MODELS: dict[str, Any] = {}
Bits = npt.NDArray[np.uint64]
_INDEXES: OrderedDict[tuple[Any, ...], tuple[Bits, npt.NDArray[np.int32], npt.NDArray[np.int32]]] = OrderedDict()
_MOST_INDEXES = 2
_BATCH = 8_192


def close_models() -> None:
    """Ends servers and frees devices that this process holds; the models load again when they are asked for."""
    for key, loaded in list(_MODELS.items()):
        if hasattr(loaded, "close"):
            loaded.close()
            del _MODELS[key]


def drop_models() -> None:
    """Lets go of every model that this process holds, for who will not ask for the same ones again."""
    close_models()
    _MODELS.clear()


class WorkerContext:
    """The :class:`curate.steps.Context` of one task."""

    def __init__(
        self,
        root: Path,
        models: Mapping[str, Model],
        *,
        threads: int,
        memory: int,
        scratch: Callable[[], Path],
        ancestors: Sequence[str] = (),
        seed: int = 0,
        draw: int = 0,
        wanted: Sequence[str] | None = None,
        tables: Mapping[str, Sequence[str]] = MappingProxyType({}),
        ledger: Any = None,
        tick: Callable[[int], None] = lambda rows: None,
        cache: Path | None = None,
        unanswered: Unanswered | None = None,
        redact: Redactor | None = None,
        recording: Path | None = None,
        finish: bool = False,
    ) -> None:
        self.threads = threads
        self.memory = memory
        self._make_scratch = scratch
        self.seed, self.draw = seed, draw
        self.origins: Sequence[str] = ()
        self.told = 0
        self.loading = 0.0
        """Seconds that loading models took."""
        self.accelerators = 0
        """How many GPUs the models hold that were asked for."""
        self.batched = any(model.batched for model in models.values())
        """Whether a model is asked through a batch interface."""
        self.warnings: list[str] = []
        self.unanswered = unanswered or Unanswered()
        self.redact = redact or Redactor()
        """For every text that is written but is no text of a row."""
        self._root = root
        self._store = Store(root)
        self._cache = cache or root / "cache"
        self._models = models
        self._recording, self._finish = recording, finish
        self._ancestors = ancestors
        self._key: tuple[Any, ...] | None = None
        self._wanted, self._tables, self._ledger, self._tick = wanted, tables, ledger, tick

    @cached_property
    def scratch(self) -> Path:
        """A folder for temporary files; made when it is first asked for, since most tasks need none."""
        return self._make_scratch()

    def model(self, name: str) -> Any:
        spec = self._spec(name)
        key = digest([spec.model_identity(), spec.model_dump(mode="json"), self.threads, str(self._root), self._finish])
        if key not in _MODELS:
            started = time.perf_counter()
            _MODELS[key] = spec.load(cache=self._cache, threads=self.threads)
            if self._recording is not None and isinstance(_MODELS[key], Generator):
                _MODELS[key] = Recorder(_MODELS[key], spec.name_and_revision(), self._recording)
            if self._finish and isinstance(_MODELS[key], Generator):
                _MODELS[key] = KeptAnswers(_MODELS[key])
            self.loading += time.perf_counter() - started
        loaded = _MODELS[key]
        self.accelerators = max(self.accelerators, spec.accelerators)
        if hasattr(loaded, "set_budget"):
            loaded.set_budget(self._ledger)
        return loaded

    def model_name(self, name: str) -> str:
        return self._spec(name).name_and_revision()

    def _spec(self, name: str) -> Model:
        if name not in self._models:
            raise StepError(f"no model is called '{name}'")
        return self._models[name]

    def rows_by_id(self, ids: pl.Series) -> Rows:
        wanted = ids.drop_nulls().unique()
        known, shards, places = self._index()
        bits = _bits(wanted)
        first, last = np.searchsorted(known, bits), np.searchsorted(known, bits, side="right")
        hits = np.concatenate(
            [np.arange(start, end) for start, end in zip(first, last, strict=True) if end > start]
            or [np.empty(0, np.int64)]
        )
        found: list[pa.Table] = []
        for shard in np.unique(shards[hits]):
            rows = np.sort(places[hits[shards[hits] == shard]])
            table = read_parquet(self._store.checked(self._ancestors[shard])).take(pa.array(rows))
            found.append(widen(table))
        if not found:
            return Rows(Kind.DOCUMENT, pa.table({}))
        kinds = {kind_of(table.column_names) for table in found}
        if len(kinds) > 1:
            raise StepError(
                f"the parents of these rows are of several kinds ({', '.join(sorted(kinds))}); they cannot be "
                "looked at together"
            )
        whole = pa.concat_tables(found)
        chosen = (
            pl.DataFrame({"id": pl.Series(whole["id"])})
            .with_row_index("place")
            .filter(pl.col("id").is_in(wanted.implode()))
            .unique("id", keep="first", maintain_order=True)
        )
        return Rows(kinds.pop(), whole.take(pa.array(chosen["place"].to_numpy())))

    def _index(self) -> tuple[Bits, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The first 60 bits of every ancestor's id, sorted, with shard and row: 16 bytes a row, made once a process."""
        if self._key is None:
            # A result that was made anew has another content under the same name.
            stamps = ((path, self._store.checked(path).stat().st_mtime_ns) for path in self._ancestors)
            self._key = (str(self._root), *stamps)
        key = self._key
        if key not in _INDEXES:
            columns = [
                _bits(pl.Series("id", read_parquet(self._store.checked(path), columns=["id"])["id"].combine_chunks()))
                for path in self._ancestors
            ]
            bits = np.concatenate([*columns, np.empty(0, np.uint64)])
            shards = np.repeat(np.arange(len(columns), dtype=np.int32), [len(column) for column in columns])
            places = np.concatenate(
                [*(np.arange(len(column), dtype=np.int32) for column in columns), np.empty(0, np.int32)]
            )
            order = np.argsort(bits, kind="stable")
            while len(_INDEXES) >= _MOST_INDEXES:
                _INDEXES.popitem(last=False)
            _INDEXES[key] = (bits[order], shards[order], places[order])
        _INDEXES.move_to_end(key)
        return _INDEXES[key]

    def rows(self, name: str) -> Iterator[Rows]:
        if name not in self._tables:
            raise StepError(f"'{name}' is not among the sources and datasets that this step names")
        for path in self._tables[name]:
            with pq.ParquetFile(self._store.checked(path)) as file:
                kind = kind_of(file.schema_arrow.names)
                for batch in file.iter_batches(_BATCH):
                    yield Rows(kind, pa.Table.from_batches([batch]))

    def is_open(self, language: str) -> bool:
        return self._wanted is None or language in self._wanted

    def advance(self, rows: int) -> None:
        self.told += rows
        self._tick(rows)

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


def _bits(ids: pl.Series) -> Bits:
    if not len(ids):
        return np.empty(0, np.uint64)
    return ids.str.slice(0, 15).str.to_integer(base=16).to_numpy().astype(np.uint64)
