"""``translation_quality`` beside the judgements of people and of a model, and what the sections share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pyarrow as pa
from agreement import SEED, auc, auc_within, share, spearman, table
from pair_corpora import Pair
from workbench import World, conversation, lines, make_rows, needing, values

from curate.rows import Kind
from curate.steps import Rows
from filters.translation_quality.step import TranslationQuality

Flags = npt.NDArray[np.bool_]
WITH: dict[str, dict[str, Any]] = {
    "no model": {},
    "aligner": {"aligner": "systran-align", "min_pool": 300},
    "encoder": {"encoder": "use-multilingual"},
    "all three": {"aligner": "systran-align", "min_pool": 300, "encoder": "use-multilingual", "identifier": "fasttext"},
}
CAP = 1500
LEAST = 0.4
"""``similarity.min`` beside this step: single sentences are less alike than whole rows, for which the default of 0.5
was set.
"""


def rows_of(pairs: Sequence[Pair]) -> Rows:
    return make_rows(
        Kind.PARALLEL,
        [
            {
                "source_language": one.source_language,
                "language": one.target_language,
                "source": one.source,
                "target": one.target,
            }
            for one in pairs
        ],
    )


def judged_by(step: Any, rows: Rows, world: World, fitted: pa.Table | None) -> pl.DataFrame:
    """The step's columns, ``dropped`` and the first ``reason``."""
    found = step.score(rows, world, fitted).with_columns(language=rows.language)
    reason: pl.Expr = pl.lit(None, dtype=pl.String)
    for name, test in reversed(step.drop_rules(rows.kind).items()):
        reason = pl.when(test).then(pl.lit(name)).otherwise(reason)
    # The first column, which the tables read: the probability, whether or not the meaning was assessed.
    probability = pl.coalesce("score", "form") if "form" in found.columns else pl.col("score")
    return found.with_columns(reason=reason).with_columns(
        probability.alias("score"), dropped=pl.col("reason").is_not_null()
    )


def judged(world: World, data: Path) -> None:
    print("\n### Judgements of others")
    estimated(world, data / "parallel" / "mlqe_pe_da")
    graded(world, data / "alpaca" / "alpaca_en_zh_scored_00000_29999.parquet")
    edited(world, data / "preference" / "zh_translation_human_edits_part00.jsonl.gz")


def estimated(world: World, folder: Path) -> None:
    found = []
    for name, source, target in (("ende", "en", "de"), ("enzh", "en", "zh"), ("ruen", "ru", "en")):
        path = folder / f"dev.{name}.df.short.tsv.gz"
        with needing(path) as there:
            if not there:
                continue
        header, *body = (line.split("\t") for line in lines(path) if line)
        at = {column: number for number, column in enumerate(header)}
        rows = make_rows(
            Kind.PARALLEL,
            [
                {
                    "language": target,
                    "source_language": source,
                    "source": row[at["original"]],
                    "target": row[at["translation"]],
                }
                for row in body
            ],
        )
        human = np.asarray([float(row[at["mean"]]) for row in body])
        first, last = np.quantile(human, (0.25, 0.75))
        every = {"similarity (the step)": judged_by(world.step("similarity"), rows, world, None)}
        for how in ("no model", "aligner", "encoder", "all three"):
            step = TranslationQuality(**WITH[how])
            fitted = (
                step.fit([part for part in [step.sample(rows, world)] if part is not None], world)
                if step.requires_fit
                else None
            )
            every[how] = judged_by(step, rows, world, fitted)
        scores = [(how, values(frame), frame["dropped"].to_numpy()) for how, frame in every.items()]
        full = every["all three"]
        scores += [(f"{column} alone", values(full, column), None) for column in ("alignment", "similarity")]
        for how, score, dropped in scores:
            drops = ["–", "–"] if dropped is None else [share(dropped[human >= last]), share(dropped[human <= first])]
            found.append(
                [
                    f"{source}→{target}",
                    how,
                    spearman(score, human),
                    auc(score[human <= first], score[human >= last]),
                    *drops,
                ]
            )
    if found:
        table(
            "MLQE-PE, 1,000 machine translations a pair graded by people",
            [
                "pair",
                "score",
                "Spearman",
                "AUC, lowest against highest quarter",
                "% of highest quarter dropped",
                "% of lowest quarter dropped",
            ],
            found,
        )


def graded(world: World, path: Path) -> None:
    with needing(path) as there:
        if not there:
            return
    whole = pl.read_parquet(path).unnest("metadata").sort("alpaca_id")
    bad, good = whole.filter(pl.col("score") <= 2), whole.filter(pl.col("score") >= 4)
    size = min(CAP, len(bad), len(good))
    picked = pl.concat([part.sample(size, seed=SEED).sort("alpaca_id") for part in (bad, good)])
    sides = {
        tag: [
            conversation(tag, *row)
            for row in picked.select(f"{tag}_{name}" for name in ("instruction", "input", "output")).iter_rows()
        ]
        for tag in ("en", "zh")
    }
    parents = make_rows(Kind.SFT, sides["en"])
    rows = make_rows(Kind.SFT, sides["zh"], parents)
    world._parents = parents
    is_bad = np.arange(2 * size) < size
    letters = np.asarray((rows.text("prompt") + rows.text("response")).str.len_chars(), float)
    found = []
    for how, parameters in WITH.items():
        step = TranslationQuality(**parameters)
        fitted = (
            step.fit([part for part in [step.sample(rows, world)] if part is not None], world)
            if step.requires_fit
            else None
        )
        frame = judged_by(step, rows, world, fitted)
        score, dropped = values(frame), frame["dropped"].to_numpy()
        found.append(
            [
                how,
                auc(score[is_bad], score[~is_bad]),
                auc_within(score, is_bad, letters),
                share(dropped[~is_bad]),
                share(dropped[is_bad]),
            ]
        )
    table(
        f"Alpaca, English to Chinese: {size:,} rows that GPT-4o graded 1 or 2 and {size:,} that it graded 4 or 5",
        [
            "models",
            "AUC, 1–2 against 4–5",
            "the same among rows of like length",
            "good rows dropped (%)",
            "bad rows dropped (%)",
        ],
        found,
    )


def edited(world: World, path: Path) -> None:
    with needing(path) as there:
        if not there:
            return
    items = [orjson.loads(line) for line in lines(path)]
    parts = ("instruction", "input", "output")
    parents = make_rows(Kind.SFT, [conversation("en", *(item["en"][part] for part in parts)) for item in items])
    versions = [
        conversation("zh", *(item[when][part] for part in parts)) for when in ("before", "after") for item in items
    ]
    both = Rows(Kind.SFT, pa.concat_tables([parents.table, parents.table]))
    rows = make_rows(Kind.SFT, versions, both)
    world._parents = parents
    found = []
    for how in ("no model", "encoder"):
        frame = judged_by(TranslationQuality(**WITH[how]), rows, world, None)
        score, dropped = values(frame), frame["dropped"].to_numpy()
        before, after = score[: len(items)], score[len(items) :]
        found.append(
            [
                how,
                auc(before, after, paired=True),
                share(after > before),
                share(after == before),
                share(after < before),
                share(dropped[: len(items)]),
                share(dropped[len(items) :]),
            ]
        )
    table(
        f"{len(items)} Chinese rows before and after a person's correction",
        ["models", "AUC", "% after higher", "% equal", "% after lower", "% dropped before", "% dropped after"],
        found,
    )
