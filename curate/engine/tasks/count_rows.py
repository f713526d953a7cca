"""Counts the rows of a piece by language, source and models after each step, and those in the language asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from curate.engine.representation import KEY
from curate.rows import languages
from curate.rows.fields import latest_value

# As the step ``language`` decides by default: a text is in another language if the identifier is so sure of it, or if
# so few letters are in the script of its own. Between the two it is not assessed.
_SURE = 0.5
_LEAST_SCRIPT = 0.3


def count_rows(rows: pa.Table, columns: Sequence[tuple[str, pa.Table]], identifying: Sequence[str]) -> dict[str, Any]:
    """``steps``, those that decided about the rows, and ``rows``: each :data:`KEY`, then how many rows came in and how
    many each of these steps left.

    Args:
        rows: with all their scores.
        columns: (label, column shard) in step order.
        identifying: the scores of languages (``Step.identifies``), in the order in which they were given.
    """
    steps = [label for label, _ in columns]
    if not rows.num_rows:
        return {"steps": steps, "rows": []}
    passed = np.zeros(rows.num_rows, np.int64)
    for _, table in columns:
        passed += np.asarray(table["keep"].combine_chunks().fill_null(False).to_numpy(zero_copy_only=False), np.int64)
    lineage = pl.Series(rows["lineage"].combine_chunks())
    model = pl.element().struct.field("model")
    models = pl.col("makers").list.eval(model.filter(model != "").unique(maintain_order=True)).list.join(", ")
    asked = rows["prompt_language"].to_pylist() if "prompt_language" in rows.column_names else None
    frame = pl.DataFrame(
        {
            "language": pl.Series(rows["language"].combine_chunks(), dtype=pl.String),
            "prompt_language": pl.Series(asked or [None] * rows.num_rows, dtype=pl.String),
            "source": lineage.struct.field("source"),
            "makers": lineage.struct.field("makers"),
            "passed": passed,
        }
    ).with_columns(models=models)
    frame = frame.with_columns(_adherence(rows, frame["language"], identifying))
    left: dict[tuple[Any, ...], list[int]] = {}
    for *key, survived, count in frame.group_by(*KEY, "passed").len().sort(*KEY, "passed", nulls_last=True).rows():
        counts = left.setdefault(tuple(key), [0] * (len(columns) + 1))
        counts[: survived + 1] = [before + count for before in counts[: survived + 1]]
    return {"steps": steps, "rows": [[*key, counts] for key, counts in left.items()]}


def _adherence(rows: pa.Table, language: pl.Series, identifying: Sequence[str]) -> list[pl.Series]:
    """``asked_language``, the language asked for, and ``adherent``, whether the row is in it; null if not assessed."""
    frame = pl.DataFrame({"language": language}).with_columns(
        pl.col("language").alias("asked_language"), pl.lit(None, pl.Boolean).alias("adherent")
    )
    scores, attributes = (pl.Series(rows[name].combine_chunks()) for name in ("scores", "attributes"))
    for name in identifying:
        frame = frame.with_columns(
            latest_value(scores, name).alias("own"),
            latest_value(scores, f"{name}.other").fill_null(0.0).alias("other"),
            latest_value(scores, f"{name}.script").fill_null(1.0).alias("script"),
            latest_value(attributes, f"{name}.from").alias("before"),
        )
        another = (pl.col("script") < _LEAST_SCRIPT) | ((pl.col("other") >= _SURE) & (pl.col("other") > pl.col("own")))
        found = pl.when(another).then(False).when(pl.col("own") >= pl.col("other")).then(True)
        scored = pl.col("own").is_not_null()
        frame = frame.with_columns(
            asked_language=pl.when(scored).then(pl.coalesce("before", "asked_language")).otherwise("asked_language"),
            adherent=pl.when(scored).then(found).otherwise("adherent"),
        )
    labels = frame.filter(pl.col("asked_language") != pl.col("language")).select("asked_language", "language").unique()
    accepted = [[*pair, languages.accepts(*pair)] for pair in labels.rows()]
    relabelled = pl.DataFrame(accepted, schema=["asked_language", "language", "accepted"], orient="row")
    relabelled = relabelled.cast({"asked_language": pl.String, "language": pl.String, "accepted": pl.Boolean})
    frame = frame.join(relabelled, on=["asked_language", "language"], how="left", maintain_order="left")
    unknown = (pl.col("asked_language") == languages.UNKNOWN) | (pl.col("language") == languages.UNKNOWN)
    frame = frame.with_columns(adherent=pl.when(unknown).then(None).otherwise(pl.coalesce("accepted", "adherent")))
    return [frame["asked_language"], frame["adherent"]]
