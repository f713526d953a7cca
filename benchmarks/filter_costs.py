"""What the filters that most catalogs have cost beside the bare calls that they cannot do without, in CPU time.

    python benchmarks/filter_costs.py                      # 20,000 made-up conversations in four scripts
    python benchmarks/filter_costs.py --rows ROWS.parquet  # rows of a version (a file below its data/)

Each is run in turn with its limit, in one process on one thread, several times; the best of each counts, and ratios
are within the run. The limit of ``language`` is what its identifiers' own libraries take for the same lines, that of
``shape`` is one pass of a regular expression over the texts and a count of their characters, that of ``minhash`` the
hashing by rensa of the same shingles.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - the thread counts must be set first
import pyarrow.parquet as pq  # noqa: E402
from workbench import World, conversation, make_rows  # noqa: E402

from curate.rows import Kind, main_fields  # noqa: E402
from curate.steps import Rows  # noqa: E402
from filters.duplicates.shingles import shingles  # noqa: E402
from filters.duplicates.step import Duplicates  # noqa: E402

TEXTS = {
    "en": "the bread that we bake in this town keeps fresh for not more than three days",
    "de": "das Brot das wir in dieser Stadt backen bleibt nicht länger als drei Tage frisch",
    "ru": "хлеб который мы печём в этом городе остаётся свежим не больше чем три дня",
    "zh": "我 们 在 这 座 城 市 烤 的 面 包 最 多 只 能 保 持 三 天 的 新 鲜 不 会 更 久",
}
WORDS = {tag: one.split() for tag, one in TEXTS.items()}
_BATCH = 2048
_TURNS = 4


def made_up(count: int) -> Rows:
    """Conversations of 20 to 120 words drawn at random, a number in every other."""
    random = np.random.default_rng(3)
    items = []
    for number in range(count):
        tag = list(WORDS)[number % len(WORDS)]
        blank = "" if tag == "zh" else " "
        asked, said = (blank.join(random.choice(WORDS[tag], size)) for size in random.integers(20, 120, 2))
        items.append(conversation(tag, f"{asked} {number}" if number % 2 else asked, None, said))
    return make_rows(Kind.SFT, items)


def best(call: Callable[[Rows], Any], batches: list[Rows]) -> float:
    """CPU seconds of one pass over the batches."""
    before = time.process_time()
    for batch in batches:
        call(batch)
    return time.process_time() - before


def texts_of(batch: Rows) -> list[str]:
    return [one for name in main_fields(batch.kind) for one in batch.text(name).to_list()]


def bare_language(models: tuple[str, ...]) -> Callable[[Rows], Any]:
    """Only what the libraries of these identifiers do."""
    import eldc
    import fasttext
    import pycld2

    from curate.steps import Registry

    lid = fasttext.load_model(str(Registry.installed().get("model", "fasttext")()._file())).f
    eldc.init()
    detector = eldc.instance()
    detector.set_scores(20)

    def call(batch: Rows) -> None:
        lines = [" ".join(one.split())[:4000] for one in texts_of(batch)]
        for line in lines:
            lid.predict(line + "\n", 9, 0.0, "strict")
        if "eld" in models:
            for line in lines:
                detector.detect_details(line)
                pycld2.detect(line, isPlainText=True, bestEffort=True)

    return call


def bare_shape(batch: Rows) -> None:
    for name in main_fields(batch.kind):
        one = batch.text(name)
        one.str.len_chars()
        one.str.count_matches(r"\p{L}+")


def bare_hashing(batch: Rows) -> None:
    from rensa import RMinHash

    parts = [shingles(batch.text(name)) for name in main_fields(batch.kind)]
    flat = parts[0].joined(parts[1:])
    RMinHash.digest_matrix_from_flat_token_hashes(flat.hashes, flat.offsets.astype(np.uint64), 128, 42)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, help="a parquet file of rows (default: made-up ones)")
    parser.add_argument("--count", type=int, default=20_000)
    asked = parser.parse_args()
    if asked.rows:
        table = pq.read_table(asked.rows).slice(0, asked.count)
        rows = Rows(Kind.SFT if "messages" in table.column_names else Kind.DOCUMENT, table)
    else:
        rows = made_up(asked.count)
    batches = [Rows(rows.kind, rows.table.slice(at, _BATCH)) for at in range(0, len(rows), _BATCH)]
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch), 1)
        ensemble, light, shape = world.step("language"), world.step("language", model="fasttext"), world.step("shape")
        minhash = Duplicates(method="minhash")
        cases: dict[str, tuple[Callable[[Rows], Any], Callable[[Rows], Any]]] = {
            "language, ensemble": (lambda one: ensemble.score(one, world, None), bare_language(("fasttext", "eld"))),
            "language, fasttext": (lambda one: light.score(one, world, None), bare_language(("fasttext",))),
            "shape": (lambda one: shape.score(one, world, None), bare_shape),
            "duplicates, minhash: summary": (lambda one: minhash.summarize(one, world), bare_hashing),
        }
        print(f"{len(rows):,} rows\n\n| step | µs a row | limit, µs a row | × |\n|---|---|---|---|", flush=True)
        for name, calls in cases.items():
            for call in calls:
                call(batches[0])
            runs = [[best(call, batches) for call in calls] for _ in range(_TURNS)]
            ours, limit = (min(run[side] for run in runs) / len(rows) * 1e6 for side in (0, 1))
            print(f"| {name} | {ours:.1f} | {limit:.1f} | {ours / limit:.1f} |", flush=True)


if __name__ == "__main__":
    main()
