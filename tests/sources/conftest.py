"""Reading a source as the engine does, and files made on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from plain import plain

from curate.rows import schema, with_ids
from curate.steps import FailedRow, Source


@dataclass
class Reading:
    """What a source gave."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    bad: list[tuple[str, FailedRow]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    batches: int = 0

    @property
    def reasons(self) -> list[str]:
        return [f"{row.where}: {row.reason}" for _, row in self.bad]

    def said(self, column: str = "messages") -> list[list[tuple[str, str]]]:
        """The turns of a column as (role, content)."""
        return [[(turn["role"], turn["content"]) for turn in row[column]] for row in self.rows]


@dataclass
class ReadContext:
    """What a source may ask of the world."""

    scratch: Path
    warnings: list[str]
    threads: int = 1
    memory: int = 1 << 28

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def model(self, name: str) -> Any:
        raise AssertionError("a source asks for no model")

    model_name = look_up = model


Read = Callable[..., Reading]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads all units of a source; every batch must be in the kind's schema."""

    def read(source: Source, name: str = "src") -> Reading:
        out = Reading()
        context = ReadContext(tmp_path, out.warnings)
        for unit in source.units():
            for batch in source.read(unit, name, context):
                table = with_ids(source.makes, batch.table)
                table.validate(full=True)
                assert table.schema.equals(schema(source.makes))
                out.rows += plain(batch.table.to_pylist())
                out.bad += [(unit.name, row) for row in batch.bad]
                out.batches += 1
        return out

    return read


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., str]:
    """Writes objects (or raw text) as a JSON Lines file and gives its path."""

    def write(*rows: Any, name: str = "rows.jsonl") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return str(path)

    return write
