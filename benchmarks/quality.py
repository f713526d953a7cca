"""How far the filters can be believed: every score against a judgement made elsewhere or a known truth, with an
interval.

    python benchmarks/quality.py all                            # every section
    python benchmarks/quality.py similarity language            # some of them
    python benchmarks/quality.py encoders --data FOLDER         # the data elsewhere

Prints Markdown. All scores come from the public parts (models by name, the steps' own ``score`` and ``drop_rules``); only
the statistics are computed here. The same data and versions give the same tables. What a file of the data folder is
needed for and not there is named and left out.
"""  # noqa: E501

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - the thread counts must be set first
import orjson  # noqa: E402
import polars as pl  # noqa: E402
import pyarrow as pa  # noqa: E402
from agreement import RESAMPLES, SEED, Floats, auc, auc_within, share, spearman, table  # noqa: E402
from quality_language import TATOEBA, language  # noqa: E402
from workbench import DATA, World, conversation, lines, make_rows, needing, values  # noqa: E402

from curate import __version__  # noqa: E402
from curate.rows import Kind, languages  # noqa: E402
from curate.steps import Encoder, Rows  # noqa: E402

CAP = 1500
"""Most rows of each class of the graded Alpaca."""
E5_LINES = 120
"""Lines a language for the slow encoder."""
NEIGHBOURS = 4


# ---------------------------------------------------------------------------------------------------------- similarity
def similarity(world: World, data: Path) -> None:
    print("\n### Similarity against judgements of quality")
    graded(world, data / "alpaca" / "alpaca_en_zh_scored_00000_29999.parquet")
    edited(world, data / "preference" / "zh_translation_human_edits_part00.jsonl.gz")
    estimated(world, data / "parallel" / "mlqe_pe_da")


def graded(world: World, path: Path) -> None:
    with needing(path) as there:
        if not there:
            return
    whole = pl.read_parquet(path).unnest("metadata").sort("alpaca_id")
    bad = whole.filter(pl.col("score") <= 2)
    good = whole.filter(pl.col("score") >= 4)
    size = min(CAP, len(bad), len(good))
    chosen = pl.concat([part.sample(size, seed=SEED).sort("alpaca_id") for part in (bad, good)])
    sides = {
        tag: [
            conversation(tag, *row)
            for row in chosen.select(f"{tag}_{name}" for name in ("instruction", "input", "output")).iter_rows()
        ]
        for tag in ("en", "zh")
    }
    parents = make_rows(Kind.SFT, sides["en"])
    rows = make_rows(Kind.SFT, sides["zh"], parents)
    is_bad = np.arange(2 * size) < size
    # The well translated rows with the next one's original: what any measure must see.
    other = np.roll(np.arange(size, 2 * size), -1)
    strange_parents = Rows(Kind.SFT, parents.table.take(pa.array(other)))
    strange = make_rows(Kind.SFT, sides["zh"][size:], strange_parents)
    letters = np.asarray((rows.text("prompt") + rows.text("response")).str.len_chars(), float)
    areas, losses = [], []
    for measure in ("cosine", "margin"):
        for combine in ("mean", "min"):
            step = world.step("similarity", measure=measure, combine=combine)
            found = world.judge(step, rows, parents)
            shuffled = world.judge(step, strange, strange_parents)
            score = values(found)
            areas.append(
                [
                    measure,
                    combine,
                    "both",
                    auc(score[is_bad], score[~is_bad]),
                    auc_within(score, is_bad, letters),
                    auc(values(shuffled), score[~is_bad]),
                ]
            )
            dropped = found["dropped"].to_numpy()
            default = 0.5 if measure == "cosine" else 1.05
            steps = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8) if measure == "cosine" else (1.0, 1.05, 1.1, 1.2, 1.3, 1.5)
            for least in steps if combine == "mean" else ():
                below = score < least
                assert least != default or bool((below == dropped).all())
                losses.append(
                    [
                        measure,
                        f"**{least}**" if least == default else least,
                        share(below[~is_bad]),
                        share(below[is_bad]),
                        share(values(shuffled) < least),
                    ]
                )
            if combine == "min":
                losses.append(
                    [
                        f"{measure}, min",
                        f"**{default}**",
                        share(dropped[~is_bad]),
                        share(dropped[is_bad]),
                        share(shuffled["dropped"].to_numpy()),
                    ]
                )
                for field in ("prompt", "response"):
                    one, wrong = values(found, field), values(shuffled, field)
                    areas.append(
                        [
                            measure,
                            "–",
                            field,
                            auc(one[is_bad], one[~is_bad]),
                            auc_within(one, is_bad, letters),
                            auc(wrong, one[~is_bad]),
                        ]
                    )
    areas.append(
        [
            "length of the Chinese (no model)",
            "–",
            "both",
            auc(letters[is_bad], letters[~is_bad]),
            auc_within(letters, is_bad, letters),
            "–",
        ]
    )
    table(
        f"Alpaca, English to Chinese: {size:,} rows that GPT-4o graded 1 or 2 and {size:,} that it graded 4 or 5",
        [
            "measure",
            "combine",
            "field",
            "AUC, graded 1–2 against 4–5",
            "the same among rows of like length",
            "AUC, another row's original against 4–5",
        ],
        areas,
    )
    table(
        "The same rows by threshold (the default in bold), per cent dropped",
        ["measure", "threshold", "good rows lost (4–5)", "bad rows caught (1–2)", "another row's original caught"],
        losses,
    )


def edited(world: World, path: Path) -> None:
    with needing(path) as there:
        if not there:
            return
    items = [orjson.loads(line) for line in lines(path)]
    parts = ("instruction", "input", "output")
    parents = make_rows(Kind.SFT, [conversation("en", *(item["en"][part] for part in parts)) for item in items])
    # Both versions in one dataset, so that a margin is taken against the same neighbours.
    versions = [
        conversation("zh", *(item[when][part] for part in parts)) for when in ("before", "after") for item in items
    ]
    count = len(items)
    rows = make_rows(Kind.SFT, versions, Rows(Kind.SFT, pa.concat_tables([parents.table, parents.table])))
    said = {field: rows.text(field) for field in ("prompt", "response")}
    changed = {field: (both[:count] != both[count:]).to_numpy() for field, both in said.items()}
    either = changed["prompt"] | changed["response"]
    found = []
    for measure in ("cosine", "margin"):
        for combine in ("mean", "min"):
            step = world.step("similarity", measure=measure, combine=combine)
            judged = world.judge(step, rows, parents)
            cases = [("both", "score", either)]
            if combine == "min":
                cases += [(field, field, changed[field]) for field in changed]
            for name, column, where in cases:
                before, after = (values(half, column)[where] for half in (judged[:count], judged[count:]))
                assessed = ~np.isnan(before) & ~np.isnan(after)
                before, after = before[assessed], after[assessed]
                how = combine if name == "both" else "–"
                found.append(
                    [
                        measure,
                        how,
                        name,
                        len(before),
                        auc(before, after, paired=True),
                        share(after > before),
                        share(after == before),
                        share(after < before),
                    ]
                )
    table(
        "Chinese before and after a person's correction",
        [
            "measure",
            "combine",
            "field",
            "pairs changed there",
            "AUC, before against after",
            "% after higher",
            "% equal",
            "% after lower",
        ],
        found,
    )


def estimated(world: World, folder: Path) -> None:
    with needing(folder) as there:
        if not there:
            return
    found = []
    for name, source, target in (("ende", "en", "de"), ("enzh", "en", "zh"), ("ruen", "ru", "en")):
        path = folder / f"dev.{name}.df.short.tsv.gz"
        with needing(path) as there:
            if not there:
                continue
        header, *body = (line.split("\t") for line in lines(path) if line)
        at = {column: number for number, column in enumerate(header)}
        pairs = [
            {
                "language": target,
                "source_language": source,
                "source": row[at["original"]],
                "target": row[at["translation"]],
            }
            for row in body
        ]
        human = np.asarray([float(row[at["mean"]]) for row in body])
        first, last = np.quantile(human, (0.25, 0.75))
        rows = make_rows(Kind.PARALLEL, pairs)
        scores = {
            measure: world.judge(world.step("similarity", measure=measure), rows) for measure in ("cosine", "margin")
        }
        length = -np.asarray([len(pair["source"]) for pair in pairs], float)
        every = [(measure, values(frame), frame["dropped"].to_numpy()) for measure, frame in scores.items()]
        for measure, score, dropped in [*every, ("short source (no model)", length, None)]:
            low, high = score[human <= first], score[human >= last]
            drops = ["–", "–"] if dropped is None else [share(dropped[human >= last]), share(dropped[human <= first])]
            found.append([f"{source}→{target}", measure, len(rows), spearman(score, human), auc(low, high), *drops])
    if found:
        table(
            "Machine translation graded by people (MLQE-PE, mean of the direct assessments)",
            [
                "pair",
                "measure",
                "pairs",
                "Spearman",
                "AUC, lowest against highest quarter",
                "% of highest quarter dropped",
                "% of lowest quarter dropped",
            ],
            found,
        )


# ------------------------------------------------------------------------------------------------------------ encoders
def encoders(world: World, data: Path) -> None:
    print("\n### Encoders: finding the translation among all")
    folder = data / "parallel" / "tatoeba"
    with needing(folder) as there:
        if not there:
            return
    for name, most in (("use-multilingual", None), ("use-multilingual", E5_LINES), ("e5-multilingual", E5_LINES)):
        encoder: Encoder = world.model(name)
        found = []
        for code in TATOEBA:
            sides = [folder / f"tatoeba.{code}-eng.{side}" for side in (code, "eng")]
            with needing(*sides) as there:
                if not there:
                    continue
            left, right = (lines(path)[:most] for path in sides)
            tag = languages.normalize(code)
            supported = encoder.supports(tag) and encoder.supports("en")
            x, y = (encoder.encode(side).astype(np.float64) for side in (left, right))
            cosine = x @ y.T
            near = [
                np.sort(cosine, axis=axis).take(range(-NEIGHBOURS, 0), axis=axis).mean(axis=axis) for axis in (1, 0)
            ]
            margin = cosine / np.maximum((near[0][:, None] + near[1][None, :]) / 2, 0.05)
            cells: list[Any] = []
            for measured in (cosine, margin):
                true = np.diagonal(measured)
                other = measured[np.arange(len(left)), np.roll(np.arange(len(left)), -1)]
                cells += [retrieval(measured, right), retrieval(measured.T, left), auc(other, true)]
            mean = (
                f"{np.diagonal(cosine).mean():.2f} /"
                f" {(cosine.sum() - np.trace(cosine)) / (cosine.size - len(left)):.2f}"
            )
            found.append([tag, "yes" if supported else "**no**", len(left), *cells, mean])
        if found:
            title = f"{name}, {'all lines' if most is None else f'the first {most} lines'} of Tatoeba"
            table(
                title,
                [
                    "language",
                    "supported",
                    "pairs",
                    "cosine: to en",
                    "from en",
                    "AUC",
                    "margin: to en",
                    "from en",
                    "AUC",
                    "mean cosine, true / other",
                ],
                found,
            )


def retrieval(measured: Floats, targets: Sequence[str]) -> float:
    """Share of rows whose highest column is theirs, or one with the same text."""
    best = measured.argmax(axis=1)
    return float(np.mean([targets[one] == targets[number] for number, one in enumerate(best.tolist())]))


SECTIONS: Mapping[str, Callable[[World, Path], None]] = {
    "similarity": similarity,
    "language": language,
    "encoders": encoders,
}
MODELS = {
    "similarity": ("use-multilingual",),
    "language": ("ensemble", "fasttext"),
    "encoders": ("use-multilingual", "e5-multilingual"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sections", nargs="+", choices=[*SECTIONS, "all"], metavar="SECTION", help=", ".join([*SECTIONS, "all"])
    )
    parser.add_argument(
        "--data", type=Path, default=DATA, help="the data folder (default: ../shared/data beside the checkout)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of the embedded models (OMP_NUM_THREADS is respected, too)"
    )
    given = parser.parse_args()
    if not given.data.is_dir():
        parser.error(f"there is no data folder {given.data}; say where it is with --data")
    chosen = [name for name in SECTIONS if name in given.sections or "all" in given.sections]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), given.threads)
        models = dict.fromkeys(model for name in chosen for model in MODELS[name])
        print(
            f"curate {__version__}, Python {platform.python_version()}, numpy {np.__version__}; "
            + ", ".join(world.model_name(model) for model in models)
            + f"; intervals: {RESAMPLES} bootstrap resamples, 95 %"
        )
        for name in chosen:
            SECTIONS[name](world, given.data)
        for warning in dict.fromkeys(world.warnings):
            print(f"warning: {warning}", file=sys.stderr)
    print(f"{time.perf_counter() - started:.0f} seconds", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
