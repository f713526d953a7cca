"""Fixtures for steps that make rows: rows from dicts, models by name, and a generator that answers by a function."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import polars as pl
import pyarrow as pa
import pytest
from plain import plain

from curate.rows import Kind, schema, with_ids
from curate.steps import RowBatch, Rows
from curate.steps.models import Completion, Request

LINEAGE = {"source": "test", "source_id": "", "license": "CC0-1.0", "parents": [], "makers": []}


class Bench:
    """A fake context of a step: models and rows by name."""

    threads = 1
    memory = 256 * 1024 * 1024

    def __init__(
        self,
        scratch: Path,
        models: dict[str, Any] | None = None,
        rows: dict[str, list[Rows]] | None = None,
        *,
        seed: int = 0,
        draw: int = 0,
        parents: Sequence[Rows] = (),
        wanted: Sequence[str] | None = None,
    ) -> None:
        self.scratch, self.seed, self.draw = scratch, seed, draw
        self.warnings: list[str] = []
        self.ticks = 0
        self.models = models or {}
        self._rows, self._parents, self._wanted = rows or {}, parents, wanted

    def model(self, name: str) -> Any:
        return self.models[name]

    def model_name(self, name: str) -> str:
        return f"{name}@test"

    def rows_by_id(self, ids: pl.Series) -> Rows:
        parents = [rows.take(rows.ids.is_in(ids.to_list()).to_list()) for rows in self._parents]
        return Rows(parents[0].kind, pa.concat_tables([rows.table for rows in parents]))

    def rows(self, name: str) -> Iterator[Rows]:
        yield from self._rows[name]

    def is_open(self, language: str) -> bool:
        return self._wanted is None or language in self._wanted

    def advance(self, rows: int) -> None:
        self.ticks += rows

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


class Scripted:
    """A generator that answers by a function; it records its requests, equal ones once, as real ones do."""

    def __init__(self, answer: Callable[[Request], Any], languages: Sequence[str] | None = None) -> None:
        self._answer, self._languages = answer, languages
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self.batches: list[int] = []

    def generate(self, requests: Sequence[Request], done: Callable[[int], None] | None = None) -> list[Completion]:
        kept: dict[Any, Completion] = {}
        answers = []
        with self._lock:
            self.batches.append(len(requests))
        for request in requests:
            key = (request.messages, request.sampling, request.sample, orjson.dumps(request.schema))
            if key not in kept:
                with self._lock:
                    self.requests.append(request)
                kept[key] = self._checked(request, self._answer(request))
            answers.append(kept[key])
            if done is not None:
                done(1)
        return answers

    @staticmethod
    def _checked(request: Request, answer: Any) -> Completion:
        if not isinstance(answer, Completion):
            text = answer if isinstance(answer, str) else orjson.dumps(answer).decode()
            answer = Completion(text, "stop", completion_tokens=len(text))
        if request.schema is None or answer.finish != "stop":
            return answer
        try:
            value = orjson.loads(answer.text)
            jsonschema.validate(value, request.schema)
        except (orjson.JSONDecodeError, jsonschema.ValidationError) as error:
            return answer.replace(
                finish="invalid", problem=f"not what the schema asks for: {str(error).splitlines()[0]}"
            )
        return answer.replace(value=value)

    def supports(self, language: str) -> bool:
        return self._languages is None or language in self._languages


def make_rows(kind: Kind, rows: Sequence[dict[str, Any]]) -> Rows:
    """Rows of a kind from dicts with ``language`` and the payload; other columns are optional."""
    full = [
        {"group_id": "", "scores": [], "attributes": [], **row, "lineage": {**LINEAGE, **row.get("lineage", {})}}
        for row in rows
    ]
    target = pa.schema([field for field in schema(kind) if field.name != "id"])
    return Rows(kind, with_ids(kind, pa.Table.from_pylist(full, schema=target)))


def spoken(*turns: str) -> list[dict[str, str]]:
    """``spoken("user: hello", "assistant: hi")``"""
    return [dict(zip(("role", "content"), each.split(": ", 1), strict=True)) for each in turns]


def all_made(kind: Kind, made: Iterator[pa.Table | RowBatch]) -> tuple[list[dict[str, Any]], list[Any]]:
    """The rows (with ids, attributes and scores as dicts) and the bad ones that a step yields; checks the schema."""
    rows, bad = [], []
    for one in made:
        new = one if isinstance(one, RowBatch) else RowBatch(one)
        bad += new.bad
        table = with_ids(kind, new.table)
        assert table.schema.equals(schema(kind))
        for row in plain(table.to_pylist()):
            row["attributes"] = {each["name"]: each["value"] for each in row["attributes"]}
            row["scores"] = {each["name"]: each["value"] for each in row["scores"]}
            rows.append(row)
    return rows, bad


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda *args, **kwargs: Bench(tmp_path, *args, **kwargs)


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def make() -> Callable[..., Rows]:
    return make_rows


@pytest.fixture
def turns() -> Callable[..., list[dict[str, str]]]:
    return spoken


@pytest.fixture
def gathered() -> Callable[..., tuple[list[dict[str, Any]], list[Any]]]:
    return all_made
