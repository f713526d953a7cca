"""A step can be asked for its scores without a catalog or a store: models by name, rows from dicts, parents in hand."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from agreement import Floats

from curate.rows import Kind, schema, with_ids
from curate.steps import Model, Registry, Rows, ScoreStep

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
NO_INPUT = ("<noinput>", "<no input>", "no input", "n/a")


class World:
    """The context of the steps: models by name, loaded once, and the parents of the rows in hand."""

    def __init__(self, scratch: Path, threads: int) -> None:
        self.threads = threads
        self.memory = 1 << 30
        self.scratch = scratch
        self.warnings: list[str] = []
        self._registry = Registry.installed()
        self._models: dict[str, Any] = {}
        self._parents: Rows | None = None

    def step(self, name: str, **parameters: Any) -> ScoreStep:
        """The installed step of that name."""
        step = self._registry.get("step", name)(**parameters)
        assert isinstance(step, ScoreStep)
        return step

    def model(self, name: str) -> Any:
        if name not in self._models:
            made: Model = self._registry.get("model", name)()
            self._models[name] = made.load(cache=self.scratch / "cache", threads=self.threads)
        return self._models[name]

    def model_name(self, name: str) -> str:
        made: Model = self._registry.get("model", name)()
        return made.name_and_revision()

    def rows_by_id(self, ids: pl.Series) -> Rows:
        assert self._parents is not None
        known = self._parents.ids
        return self._parents.take(known.is_in(ids.to_list()) & known.is_first_distinct())

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def judge(self, step: ScoreStep, rows: Rows, parents: Rows | None = None) -> pl.DataFrame:
        """The columns of ``score``, and ``dropped``, of each row."""
        self._parents = parents
        fitted = None
        if step.requires_fit:
            sample = step.sample(rows, self)
            fitted = step.fit([sample] if sample is not None else [], self)
        found = step.score(rows, self, fitted).with_columns(
            language=rows.language, prompt_language=rows.prompt_language
        )
        reasons = [reason.fill_null(False) for reason in step.drop_rules(rows.kind).values()]
        return found.with_columns(dropped=pl.any_horizontal(reasons) if reasons else pl.lit(False))


def make_rows(kind: Kind, items: Sequence[Mapping[str, Any]], parents: Rows | None = None) -> Rows:
    """Rows of these payloads, each with the parent at its place, if any."""
    ids = parents.ids.to_list() if parents is not None else [None] * len(items)
    common = [
        {
            "group_id": "",
            "scores": [],
            "attributes": [],
            "lineage": {
                "source": "quality",
                "source_id": str(number),
                "license": "unknown",
                "makers": [],
                "parents": [parent] if parent else [],
            },
        }
        for number, parent in enumerate(ids)
    ]
    fields = [field for field in schema(kind) if field.name != "id"]
    whole = [{**one, **other} for one, other in zip(common, items, strict=True)]
    columns = [pa.array([item.get(field.name) for item in whole], field.type) for field in fields]
    return Rows(kind, with_ids(kind, pa.Table.from_arrays(columns, schema=pa.schema(fields))))


def conversation(language: str, instruction: str, given: str | None, output: str | None) -> dict[str, Any]:
    """An SFT row's payload as the Alpaca catalog makes it."""
    given = "" if (given or "").strip().lower() in NO_INPUT else given or ""
    turns = {"user": f"{instruction}\n\n{given}".strip(), "assistant": (output or "").strip()}
    return {"language": language, "messages": [{"role": role, "content": said} for role, said in turns.items()]}


def documents(language: Sequence[str], texts: Sequence[str]) -> Rows:
    return make_rows(Kind.DOCUMENT, [{"language": tag, "text": one} for tag, one in zip(language, texts, strict=True)])


def values(frame: pl.DataFrame, column: str = "score") -> Floats:
    """A column as floats; null is nan."""
    return frame[column].cast(pl.Float64).fill_null(np.nan).to_numpy()


def lines(path: Path) -> list[str]:
    """The lines of a text file, gzipped or not."""
    data = path.read_bytes()
    found = (gzip.decompress(data) if path.suffix == ".gz" else data).decode().split("\n")
    return [line.removesuffix("\r") for line in (found[:-1] if found and not found[-1] else found)]


@contextmanager
def needing(*paths: Path) -> Iterator[bool]:
    """Whether all these files are there; says which are not."""
    missing = [path for path in paths if not path.exists()]
    for path in missing:
        print(f"left out: there is no {path.parent.name}/{path.name} in the data folder", file=sys.stderr)
    yield not missing


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def shown(value: float) -> str:
    return "–" if value != value else "1" if value == 1 else f"{value:.3f}".lstrip("0")
