"""How many rows ``misalignment`` finds in files with lines left out, put in and moved, and how many rows in step it
accuses.

    python benchmarks/misalignment.py --data FOLDER --half held [--encoder use-multilingual] [--only swh]

Each file is a corpus in one language pair. The files are split in two by a digest: rules were made on ``tune``, and
``held`` is what the docs report. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - the thread counts must be set first
import polars as pl  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from agreement import table  # noqa: E402
from pair_corpora import number, tatoeba, tico, xquad  # noqa: E402
from workbench import World, make_rows  # noqa: E402

from curate.rows import Kind  # noqa: E402
from curate.text.row_alignment import align_rows  # noqa: E402
from filters.misalignment import Misalignment  # noqa: E402

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
Texts = list[tuple[str, str]]
Damage = Callable[[int, random.Random], list[int]]
"""Number of rows → for each row the row that its target is of."""


def moved(by: int) -> Damage:
    """From a third on, each source beside the target of the row ``by`` further on."""

    def damage(rows: int, rng: random.Random) -> list[int]:
        start = rows // 3
        return [*range(start), *(one for one in range(start + by, rows + by) if 0 <= one < rows)]

    return damage


def swapped(rows: int, rng: random.Random) -> list[int]:
    size = rows // 6
    return [
        *range(size),
        *range(3 * size, 4 * size),
        *range(2 * size, 3 * size),
        *range(size, 2 * size),
        *range(4 * size, rows),
    ]


def deleted(rows: int, rng: random.Random) -> list[int]:
    return [*range(rows // 4), *range(rows // 4 + 40, rows)]


def inserted(rows: int, rng: random.Random) -> list[int]:
    """A block of lines whose sources are not in the file."""
    end = rows - 60
    return [*range(rows // 4), *rng.sample(range(end, rows), 60), *range(rows // 4, end - 60)]


def often(rows: int, rng: random.Random) -> list[int]:
    """A line left out or put in every 70 rows or so."""
    found: list[int] = []
    at = 0
    while at < rows:
        size = rng.randrange(40, 100)
        found += range(at, min(rows, at + size))
        at += size
        if rng.random() < 0.5:
            at += 1
        else:
            found.append(rng.randrange(rows))
    return found


def shuffled(rows: int, rng: random.Random) -> list[int]:
    start, end = rows // 3, 2 * rows // 3
    middle = list(range(start, end))
    rng.shuffle(middle)
    return [*range(start), *middle, *range(end, rows)]


DAMAGE: dict[str, Damage] = {
    "none": lambda rows, rng: list(range(rows)),
    **{f"by {by:+d}": moved(by) for by in (1, -1, 3, 50, 500)},
    "40 lines left out": deleted,
    "60 lines put in": inserted,
    "two blocks swapped": swapped,
    "a line left out or put in every 70": often,
    "a third in no order": shuffled,
}


def files(data: Path) -> Iterator[tuple[str, str, Texts]]:
    groups: dict[tuple[str, str], Texts] = defaultdict(list)
    for pair in [*tatoeba(data / "parallel" / "tatoeba"), *xquad(data / "bench" / "xquad")]:
        if pair.corpus != "xquad paragraphs":
            groups[pair.corpus, pair.target_language].append((pair.source, pair.target))
    for pair in tico(data / "parallel" / "tico19"):
        groups["tico", pair.target_language].append((pair.source, pair.target))
    frame = pl.read_parquet(data / "parallel" / "en_32_languages.parquet").filter(pl.col("src") != "udhr")
    for (corpus, language), part in frame.group_by(["src", "lang"], maintain_order=True):
        if len(part) >= 600:
            rows = part.head(3000)
            groups[str(corpus), str(language)] = list(zip(rows["en"].to_list(), rows["xx"].to_list(), strict=True))
    for (corpus, language), texts in sorted(groups.items()):
        yield corpus, language, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--half", choices=["tune", "held"], default="held")
    parser.add_argument("--encoder")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--corpora", nargs="+")
    parser.add_argument("--damage", nargs="+", default=list(DAMAGE), choices=list(DAMAGE))
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="parameters of the step")
    arguments = parser.parse_args()
    parameters = {name: float(value) for name, _, value in (one.partition("=") for one in arguments.set)}
    step = Misalignment(encoder=arguments.encoder, **parameters)
    counts: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * 10)
    with tempfile.TemporaryDirectory() as scratch:
        world, names = World(arguments.cache or Path(scratch), 1), []
        for corpus, language, texts in files(arguments.data):
            if arguments.corpora and corpus not in arguments.corpora:
                continue
            if number(f"{corpus} {language}") % 2 != ("tune", "held").index(arguments.half):
                continue
            if arguments.encoder and not world.model(arguments.encoder).supports(language):
                continue
            names.append(f"{corpus} {language}")
            for damage in arguments.damage:
                found = _count(step, texts, language, DAMAGE[damage], world)
                for key in (("all", damage), (corpus, damage)):
                    counts[key] = [a + b for a, b in zip(counts[key], found, strict=True)]
    print(
        f"\n### {arguments.half}: {len(names)} files ({', '.join(names)}) {step.encoder or 'no encoder'} {parameters}\n"
    )
    lines = []
    for corpus, damage in sorted(counts, key=lambda key: (key[0] != "all", key[0])):
        rows, out, right, silent, wrong, false, unsure, known, again, seconds = counts[corpus, damage]
        shown = [100 * one / out if out else float("nan") for one in (right, silent, wrong)]
        kept = rows - out
        more = [100 * false / kept, 100 * unsure / rows, 100 * again / known]
        lines.append(
            [
                corpus,
                damage,
                int(rows),
                int(out),
                *(f"{one:.2f}" for one in (*shown, *more)),
                f"{1e6 * seconds / rows:.0f}",
            ]
        )
    table(
        "Lines left out, put in and moved",
        [
            "corpus",
            "damage",
            "rows",
            "out of step",
            "found, right partner",
            "called in step",
            "other partner",
            "of rows in step: accused",
            "of all: unsure",
            "realign: right pairs",
            "µs a row",
        ],
        lines,
    )


def _count(step: Misalignment, texts: Texts, language: str, damage: Damage, world: World) -> Sequence[float]:
    places = damage(len(texts), random.Random(f"{language} {len(texts)}"))[: len(texts)]
    rows = make_rows(
        Kind.PARALLEL,
        [
            {"source_language": "en", "language": language, "source": texts[at][0], "target": texts[one][1]}
            for at, one in enumerate(places)
        ],
    )
    start, path = time.process_time(), world.scratch / "summary.parquet"
    pq.write_table(step.summarize(rows, world), path)
    found = next(iter(step.decide([path], world)))
    seconds = time.process_time() - start
    shift = np.array([np.nan if one is None else one for one in found["shift"].to_pylist()])
    state = np.array(found["state"].to_pylist(), dtype=object)
    true = np.array(places) - np.arange(len(places))
    # A text that stands in several rows has several sources, and one that is the same in the right row is in step.
    same = np.array([texts[at][1] == texts[one][1] for at, one in enumerate(places)])
    out = (true != 0) & ~same
    # Of a target whose source is not in the file the answer is that it has none.
    right = out & np.where(np.array(places) < len(places), shift == true, np.isnan(shift))
    silent, wrong = out & (shift == 0), out & ~np.isnan(shift) & (shift != 0) & (shift != true)
    false = ~out & (~np.isnan(shift) & (shift != 0) & (shift != true) | (state == "disordered"))
    # What `realign` makes of the same: of the rows whose source is in the file, those that are pairs again.
    partner = align_rows(pq.read_table(path)).partner
    known = np.array(places) < len(places)
    again = known & np.array(
        [at >= 0 and texts[at][1] == texts[one][1] for at, one in zip(partner, places, strict=True)]
    )
    each = [out, right, silent, wrong, false, state == "unsure", known, again]
    return [len(places), *(float(one.sum()) for one in each), seconds]


if __name__ == "__main__":
    main()
