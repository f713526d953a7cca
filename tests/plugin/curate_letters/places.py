"""Parts that tell where they work, and can be held there: for tests of work on several machines."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pyarrow as pa

from curate.catalog import Decision, ModelName, Runtime
from curate.models.cache.embeddings import cached
from curate.rows import Kind
from curate.steps import Context, Model, Rows, ScoreStep
from curate_letters import note


class Vectors(Model):
    """Encodes a text as how often it has each vowel, and keeps that."""

    use: ClassVar[str] = "vectors"
    journal: Runtime[str | None] = None
    shared: Runtime[bool] = True
    """Whether there may be as many as there are workers."""
    secret: Runtime[str] = "VECTORS_SECRET"

    def name_and_revision(self) -> str:
        return "vectors@1"

    @property
    def exclusive(self) -> bool:
        return not self.shared

    def load(self, *, cache: Path | None, threads: int) -> Any:
        def encode(texts: list[str]) -> Any:
            for text in texts:
                note(
                    self.journal,
                    f"encode {socket.gethostname()} {os.environ.get('CUDA_VISIBLE_DEVICES')} "
                    f"{os.environ.get(self.secret)} {text}",
                )
            counts = np.array([[1 + text.count(vowel) for vowel in "aeiou"] for text in texts], np.float32)
            return counts / np.linalg.norm(counts, axis=1, keepdims=True)

        return cached(
            encode,
            folder=cache,
            identity={"model": "vectors@1"},
            dimensions=5,
            supports=lambda language: True,
            absolute=True,
            batch_size=64,
        )


class Vowels(ScoreStep):
    """The share of ``a`` among the vowels; may be held while a file is there, and may die or fail at a text."""

    tag: ClassVar[str] = "vowels"
    model: ModelName = "vectors"
    min: Decision[float] = 0.0
    journal: Runtime[str | None] = None
    hold: Runtime[str | None] = None
    """While this file is there, batches wait."""
    fail: Runtime[str] = ""
    deadly: Runtime[str] = ""

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"score": pa.float64()}

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        texts = rows.text("text").to_list()
        note(self.journal, f"score {socket.gethostname()} {os.getpid()} {len(texts)}")
        while self.hold and Path(self.hold).exists():
            time.sleep(0.02)
        if self.fail and any(self.fail in text for text in texts):
            raise ValueError(f"'{self.fail}' is a word I cannot stand")
        if self.deadly and any(self.deadly in text for text in texts):
            os._exit(3)
        return pl.DataFrame({"score": context.model(self.model).encode(texts)[:, 0].astype(float)})

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        return {"few": pl.col("score") < self.min}
