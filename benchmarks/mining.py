"""How much of Tatoeba `mine` finds again: precision and recall of each language, with and without distractors.

    python benchmarks/mining.py DATA [--languages de,zh] [--model use-multilingual] [--cache FOLDER] [--neighbours
        exact]

DATA is a folder with files ``tatoeba.XXX-eng.eng`` and ``tatoeba.XXX-eng.XXX`` (LASER's Tatoeba test set). Sentences of
both sides are shuffled together. ``all``: every sentence has a partner. ``half``: half of each side, drawn apart, is
taken away, so that half of what is left has none (the setting of BUCC). ``crowd``: to that come the English sentences
of all the other languages' files, so that one in fifteen or so has a partner.

Right is every pair that the set implies: two sentences that share a translation are the same sentence (*I am fine*,
*I'm fine*), so any translation of one is right for the other. Precision: right pairs among those found. Recall: English
sentences paired rightly, among those with a right partner in the heap.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curate.generation.mine.step import _LEAST, Mine
from curate.rows import Kind, schema, with_ids
from curate.rows.languages import iso639_3
from curate.steps import Registry, Rows
from curate.vectors import knn as neighbours

GRID = {
    "ratio": (1.0, 1.005, 1.01, 1.015, 1.02, 1.03, 1.04, 1.06, 1.08, 1.1, 1.12, 1.15, 1.2, 1.25),
    "distance": (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12),
    "absolute": (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9),
}


class Context:
    """What the step may ask for, and how long the encoder took."""

    threads, memory, seed, draw = 2, 1 << 30, 0, 0

    def __init__(self, encoder: Any) -> None:
        self._encoder, self.seconds = encoder, 0.0
        self.dimensions, self.absolute, self.supports = encoder.dimensions, encoder.absolute, encoder.supports
        self.scratch = Path(tempfile.mkdtemp())

    def encode(self, texts: list[str]) -> Any:
        start = time.perf_counter()
        try:
            return self._encoder.encode(texts)
        finally:
            self.seconds += time.perf_counter() - start

    def model(self, name: str) -> Any:
        return self

    def model_name(self, name: str) -> str:
        return name

    def advance(self, rows: int) -> None: ...

    def warn(self, message: str) -> None:
        print("  !", message)


def read(folder: Path, language: str) -> list[tuple[str, str]]:
    code = iso639_3(language)
    stem = folder / f"tatoeba.{code}-eng"
    sides = [stem.with_name(f"{stem.name}.{end}").read_text("utf-8").splitlines() for end in ("eng", code)]
    return list(zip(*sides, strict=True))


def meanings(pairs: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """(side, sentence) → the number of what it says: sentences linked by translations say the same."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def top(one: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(one, one) != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for source, target in pairs:
        parent[top(("s", source.strip()))] = top(("t", target.strip()))
    numbers: dict[tuple[str, str], int] = {}
    return {one: numbers.setdefault(top(one), len(numbers)) for one in list(parent)}


def documents(texts: list[tuple[str, str]]) -> Rows:
    lineage = {"source": "tatoeba", "source_id": "", "license": "CC-BY-2.0", "parents": [], "makers": []}
    rows = [
        {"text": text, "language": language, "group_id": "", "scores": [], "attributes": [], "lineage": lineage}
        for text, language in texts
    ]
    target = pa.schema([field for field in schema(Kind.DOCUMENT) if field.name != "id"])
    return Rows(Kind.DOCUMENT, with_ids(Kind.DOCUMENT, pa.Table.from_pylist(rows, schema=target)))


def measure(
    pairs: list[tuple[str, str]], language: str, encoder: Any, setting: str, crowd: list[str], **given: Any
) -> dict[float, float]:
    draw = random.Random(1)
    says = meanings(pairs)
    sources = sorted({source.strip() for source, _ in pairs})
    targets = sorted({target.strip() for _, target in pairs})
    if setting != "all":
        sources, targets = draw.sample(sources, len(sources) // 2), draw.sample(targets, len(targets) // 2)
    reachable = {says["t", target] for target in targets}
    partnered = sum(says["s", source] in reachable for source in sources)
    least = _LEAST[encoder.absolute][given["score"]]
    if setting == "crowd":
        # A sentence of the heap's own that was taken away stays away.
        sources += sorted({one for one in crowd if ("s", one) not in says})
    heap = [(source, "en") for source in sources] + [(target, language) for target in targets]
    draw.shuffle(heap)
    context = Context(encoder)
    start = time.perf_counter()
    made = [
        row
        for table in Mine(min=0, min_letters=0, model="encoder", **given).gather([documents(heap)], context)
        for row in table.to_pylist()
    ]
    seconds = time.perf_counter() - start
    scores = np.asarray([{one["name"]: one["value"] for one in row["scores"]}["mine"] for row in made])
    right = np.asarray([says.get(("s", row["source"])) == says["t", row["target"]] for row in made])

    def at(least: float) -> tuple[float, float, float]:
        found, good = (scores >= least).sum(), (right & (scores >= least)).sum()
        precision, recall = good / max(found, 1), good / max(partnered, 1)
        return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)

    best = max(np.unique(scores), key=lambda one: at(one)[2])
    cells = [f"{at(one)[0]:.3f} / {at(one)[1]:.3f} / {at(one)[2]:.3f}" for one in (-9, least, best)]
    print(
        f"| {language} | {setting} | {len(sources)} + {len(targets)} | {partnered} | {cells[0]} | {cells[1]} |"
        f" {cells[2]} at {best:.3f} | {context.seconds:.1f} s, {seconds - context.seconds:.1f} s |",
        flush=True,
    )
    return {one: at(one)[2] for one in GRID[given["score"]]}


def approximate(count: int, threads: int) -> None:
    """Recall of the graph against the exact search: random vectors, and vectors that lie near a surface as real ones
    do.
    """
    draw = np.random.default_rng(0)
    for name, inner in (("random", 512), ("40 dimensions and noise", 40)):
        base = draw.standard_normal((inner, 512), np.float32)
        hidden = draw.standard_normal((count, inner), np.float32)
        sides = []
        for _ in range(2):
            vectors = hidden @ base if inner < 512 else hidden + draw.standard_normal((count, 512), np.float32)
            vectors += draw.standard_normal((count, 512), np.float32)
            sides.append(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
        start = time.perf_counter()
        true = neighbours.exact(*sides, 4, threads=threads)[0]
        middle = time.perf_counter()
        found = neighbours.approximate(*sides, 4, threads=threads)[0]
        end = time.perf_counter()
        same = np.mean(
            [len(set(a) & set(b)) / 4 for a, b in zip(true.places.tolist(), found.places.tolist(), strict=True)]
        )
        first = np.mean(true.places[:, 0] == found.places[:, 0])
        print(
            f"{name}, {count} vectors a side: exact {middle - start:.0f} s, approximate {end - middle:.0f} s, "
            f"{same:.4f} of the neighbours, {first:.4f} of the nearest"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--languages", default="de,fr,es,ru,ja,zh,th")
    parser.add_argument("--model", default="use-multilingual")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--score", default="ratio")
    parser.add_argument("--direction", default="max")
    parser.add_argument("--neighbours", default="auto")
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--settings", default="all,half,crowd")
    parser.add_argument("--vectors", type=int, default=0, help="also compare the searches on so many vectors a side")
    given = parser.parse_args()
    encoder = Registry.installed().get("model", given.model)().load(cache=given.cache, threads=2)
    print(
        "| language | setting | sentences | with a partner | P / R / F1, all pairs | at the default | at the best |"
        " encode, search |\n|---|---|---|---|---|---|---|---|"
    )
    everything = [path.name.split(".")[1].split("-")[0] for path in sorted(given.data.glob("tatoeba.*-eng.eng"))]
    by_least: dict[str, dict[float, list[float]]] = {}
    for language in given.languages.split(","):
        own = iso639_3(language)
        crowd = [
            line.strip()
            for code in everything
            if code != own
            for line in (given.data / f"tatoeba.{code}-eng.eng").read_text("utf-8").splitlines()
        ]
        for setting in given.settings.split(","):
            found = measure(
                read(given.data, language),
                language,
                encoder,
                setting,
                crowd,
                score=given.score,
                direction=given.direction,
                neighbours=given.neighbours,
                k=given.k,
            )
            for least, f1 in found.items():
                by_least.setdefault(setting, {}).setdefault(least, []).append(f1)
    print("\nMean F1 by threshold:")
    for setting, values in by_least.items():
        print(f"  {setting:6}", "  ".join(f"{least}: {np.mean(f1):.3f}" for least, f1 in values.items()))
    if given.vectors:
        approximate(given.vectors, 2)


if __name__ == "__main__":
    main()
