"""Rows made by hand, and a context with real models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from curate.rows import Kind, schema, with_ids
from curate.steps import Registry, Rows

sys.path.insert(0, str(Path(__file__).parent))

LINEAGE = {"source": "test", "source_id": "", "license": "unknown", "parents": [], "makers": []}
_loaded: dict[str, Any] = {}


class WorkContext:
    """What a step may ask of the world, with the installed models."""

    threads = 1
    seed = 0
    memory = 256 * 1024 * 1024

    def __init__(self, scratch: Path, parents: Rows | None = None, models: dict[str, Any] | None = None) -> None:
        self.scratch = scratch
        self.warnings: list[str] = []
        self._parents = parents
        self._models = models or {}

    def model(self, name: str) -> Any:
        if name in self._models:
            return self._models[name]
        if name not in _loaded:
            _loaded[name] = Registry.installed().get("model", name)().load(cache=None, threads=1)
        return _loaded[name]

    def model_name(self, name: str) -> str:
        return f"{name}@test"

    def rows_by_id(self, ids: pl.Series) -> Rows:
        assert self._parents is not None
        return self._parents.take(self._parents.ids.is_in(ids.to_list()).to_list())

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def context(tmp_path: Path) -> WorkContext:
    return WorkContext(tmp_path)


@pytest.fixture
def work_context(tmp_path: Path) -> Callable[..., WorkContext]:
    return lambda **given: WorkContext(tmp_path, **given)


def turns(*spoken: str) -> list[dict[str, str]]:
    """``turns("user: hello", "assistant: hi")``"""
    return [dict(zip(("role", "content"), each.split(": ", 1), strict=True)) for each in spoken]


def make_rows(kind: Kind, rows: Sequence[dict[str, Any]]) -> Rows:
    """Rows of a kind from dicts with ``language`` and the payload; ``parents``, ``source`` and ``scores`` if needed."""
    full = []
    for row in rows:
        row = dict(row)
        lineage = {**LINEAGE, "parents": row.pop("parents", []), "source": row.pop("source_name", "test")}
        full.append({"group_id": "", "scores": [], "attributes": [], "lineage": lineage, **row})
    target = pa.schema([field for field in schema(kind) if field.name != "id"])
    return Rows(kind, with_ids(kind, pa.Table.from_pylist(full, schema=target)))


def sft(prompt: str, response: str, language: str = "en", **more: Any) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}],
        "language": language,
        **more,
    }


def decide(step: Any, rows: Rows, context: Any, fitted: pa.Table | None = None) -> list[str | None]:
    """The reason for which each row is dropped, None where it is kept: what the engine does with scores and
    verdicts."""
    frame = step.score(rows, context, fitted).with_columns(language=rows.language, prompt_language=rows.prompt_language)
    expression = pl.lit(None, dtype=pl.String)
    for reason, test in reversed(step.drop_rules(rows.kind).items()):
        expression = pl.when(test).then(pl.lit(reason)).otherwise(expression)
    return frame.select(reason=expression).to_series().to_list()


@pytest.fixture
def make() -> Callable[..., Rows]:
    return make_rows


@pytest.fixture
def decided() -> Callable[..., list[str | None]]:
    return decide
