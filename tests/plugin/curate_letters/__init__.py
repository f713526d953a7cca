"""A source, a step of each contract and a model, each as small as can be while doing its real work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curate.catalog import Decision, LanguageTag, ModelName, PerLanguage, Runtime, SourceName
from curate.rows import Kind, schema
from curate.steps import Context, FailedRow, GlobalStep, Model, RowBatch, Rows, RowStep, ScoreStep, Source, Unit


def note(journal: str | None, line: str) -> None:
    """Appends a line to a journal, so that a test can see what really ran."""
    if journal:
        with Path(journal).open("a") as file:
            file.write(line + "\n")


class Counter(Model):
    """Counts characters; stands for any model."""

    use: ClassVar[str] = "counter"
    weight: float = 1.0
    address: Runtime[str] = "nowhere"
    takes: Runtime[float] = 0.0
    """Seconds to load."""
    gpus: Runtime[int] = 0

    @property
    def accelerators(self) -> int:
        return self.gpus

    def name_and_revision(self) -> str:
        return "counter@1"

    def load(self, *, cache: Path | None, threads: int) -> Any:
        weight = self.weight
        time.sleep(self.takes)
        return lambda texts: [weight * len(text) for text in texts]


class Numbered(Source):
    """Documents from text files, one a line: ``language<TAB>key<TAB>text``; a line without tabs cannot be read."""

    tag: ClassVar[str] = "numbered"
    path: Runtime[list[str]]
    journal: Runtime[str | None] = None
    language: LanguageTag = "en"
    translation_of: SourceName | None = None
    group: str = ""
    batch: Runtime[int] = 500

    @property
    def makes(self) -> Kind:
        return Kind.DOCUMENT

    def parent(self) -> str | None:
        return self.translation_of

    def units(self) -> Sequence[Unit]:
        return [Unit(Path(path).name, (Path(path),)) for path in self.path]

    def read(self, unit: Unit, name: str, context: Context) -> Iterator[RowBatch]:
        note(self.journal, f"read {unit.name}")
        target = schema(Kind.DOCUMENT)
        rows: list[dict[str, Any]] = []
        bad: list[FailedRow] = []
        for number, line in enumerate(unit.files[0].read_text(encoding="utf-8").splitlines(), 1):
            language, _, rest = line.partition("\t")
            key, tab, text = rest.partition("\t")
            if not tab:
                bad.append(FailedRow(f"line {number}", "no tab in this line", line))
                continue
            group = f"{self.group or self.translation_of or name}:{key}" if key else ""
            lineage = {
                "source": name,
                "source_id": f"{unit.name}:{number}",
                "license": self.license,
                "parents": [],
                "makers": [],
            }
            rows.append(
                {
                    "id": "",
                    "text": text,
                    "language": language or self.language,
                    "group_id": group,
                    "scores": [],
                    "attributes": [],
                    "lineage": lineage,
                }
            )
            if len(rows) == self.batch:
                yield RowBatch(pa.Table.from_pylist(rows, target), tuple(bad))
                rows, bad = [], []
        yield RowBatch(pa.Table.from_pylist(rows, target), tuple(bad))


class Letters(ScoreStep):
    """Keeps texts that are long enough; looks at the parent too."""

    tag: ClassVar[str] = "letters"
    model: ModelName = "counter"
    min: Decision[PerLanguage[float]] = PerLanguage(1.0)
    batch: Runtime[int] = 16
    scale: float = 1.0
    fitted: bool = False
    journal: Runtime[str | None] = None
    die_after: Runtime[int] = 0

    @property
    def requires_fit(self) -> bool:
        return self.fitted

    def sample(self, rows: Rows, context: Context) -> pa.Table:
        return pa.table({"length": rows.text("text").str.len_chars().cast(pl.Int64).to_arrow()})

    def fit(self, samples: Sequence[pa.Table], context: Context) -> pa.Table:
        return pa.table({"longest": [max(max(sample["length"].to_pylist(), default=0) for sample in samples)]})

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"score": pa.float64(), "parent": pa.float64(), "first": pa.string()}

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        note(self.journal, f"score {len(rows)}")
        if self.die_after and len(Path(self.journal or "").read_text().splitlines()) >= self.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        text = rows.text("text")
        lengths = pl.Series(context.model(self.model)(text.to_list()), dtype=pl.Float64) * self.scale
        if fitted is not None:
            lengths = lengths / fitted["longest"][0].as_py()
        parents = rows.parents()
        known = context.rows_by_id(parents)
        by_id = dict(zip(known.ids.to_list(), known.text("text").to_list(), strict=True)) if len(known) else {}
        found = [float(len(by_id[parent])) if parent in by_id else None for parent in parents.to_list()]
        if None in parents.to_list():
            context.warn("some rows have no parent")
        return pl.DataFrame(
            {"score": lengths, "parent": pl.Series(found, dtype=pl.Float64), "first": text.str.slice(0, 1)}
        )

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        return {"too short": pl.col("score") < self.min.expr()}


class Shout(RowStep):
    """Adds each text in capitals, as a child of its row."""

    tag: ClassVar[str] = "shout"
    mark: str = "!"

    def make(self, rows: Rows, context: Context) -> Iterator[pa.Table]:
        yield rows.table
        made = []
        for row in rows.table.to_pylist():
            lineage = {
                **row["lineage"],
                "parents": [row["id"]],
                "makers": [*row["lineage"]["makers"], {"step": "shout", "model": "", "prompt_hash": "", "key": ""}],
            }
            made.append(
                {**row, "text": row["text"].upper() + self.mark, "scores": [], "attributes": [], "lineage": lineage}
            )
        yield pa.Table.from_pylist(made, schema(rows.kind))


class Most(GlobalStep):
    """Keeps at most ``count`` rows of each language, the first ones."""

    tag: ClassVar[str] = "most"
    count: Decision[int]

    def summarize(self, rows: Rows, context: Context) -> pa.Table:
        return pa.table({"language": rows.table["language"].combine_chunks()})

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"score": pa.float64()}

    def decide(self, summaries: Sequence[Path], context: Context) -> Iterator[pa.Table]:
        seen: dict[str, int] = {}
        for path in summaries:
            places = []
            for language in pq.read_table(path)["language"].to_pylist():
                seen[language] = seen.get(language, 0) + 1
                places.append(seen[language])
            reasons = [None if place <= self.count else "one too many" for place in places]
            yield pa.table(
                {
                    "keep": pa.array([reason is None for reason in reasons], pa.bool_()),
                    "reason": pa.array(reasons, pa.string()),
                    "score": pa.array([float(place) for place in places], pa.float64()),
                }
            )
