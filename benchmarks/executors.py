"""What Ray costs beside processes on one machine: the same catalog with both executors, in turn, each in a store of its
own.

    python benchmarks/executors.py                                   # synthetic rows, anyone can run it
    python benchmarks/executors.py --catalog benchmarks/alpaca.yaml  # a real catalog, whose files must be there

Told are seconds and CPU seconds of all processes, Ray's own included, as ratios of the same run; start and end of Ray
count.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import psutil
import yaml

import curate
from curate.catalog import Catalog, RunConfig
from curate.engine.build import build_datasets
from curate.steps import Registry

WORDS = ["the", "a", "one", "my", "your", "this", "that", "old", "new", "small", "large", "red", "green", "warm",
"cold", "quiet", "early", "late", "river", "stone", "lamp", "bread", "cloud", "winter", "road", "house", "garden",
"train", "letter", "window", "table", "water", "morning", "evening", "friend", "teacher", "song", "keeps", "finds",
"makes", "takes", "gives", "reads", "writes", "opens", "closes", "carries", "under", "over", "near", "with", "without",
"before", "after", "because", "while"]  # fmt: skip


class Meter(threading.Thread):
    """Adds up the CPU seconds of this process and of all below it, those that end meanwhile as they were last seen."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._seen: dict[int, float] = {}
        self._done = threading.Event()
        self._first = self._own()

    def _own(self) -> float:
        return sum(psutil.Process().cpu_times()[:2])

    def run(self) -> None:
        while not self._done.wait(0.25):
            for child in psutil.Process().children(recursive=True):
                try:
                    self._seen[child.pid] = sum(child.cpu_times()[:2])
                except psutil.Error:
                    continue

    def stop(self) -> float:
        self._done.set()
        self.join()
        return self._own() - self._first + sum(self._seen.values())


def synthetic(folder: Path, rows: int, files: int) -> Path:
    """A catalog over JSON lines of about 300 characters of word salad."""
    numbers = random.Random(7)
    for number in range(files):
        with (folder / f"{number}.jsonl").open("wb") as file:
            for _ in range(rows // files):
                question, answer = (" ".join(numbers.choices(WORDS, k=length)) for length in (10, 45))
                file.write(orjson.dumps({"q": f"{question}?", "a": f"{answer}."}) + b"\n")
    catalog = {
        "version": 1,
        "models": {"lid": {"use": "fasttext"}},
        "sources": {
            "rows": {
                "use": "jsonl",
                "path": "*.jsonl",
                "kind": "sft",
                "language": "en",
                "license": "cc0-1.0",
                "columns": {"prompt": "{q}", "response": "{a}"},
            }
        },
        "datasets": {
            "kept": {
                "from": "rows",
                "steps": [
                    {"shape": {"max_chars": 8000}},
                    {"language": {"model": "lid", "min": 0.0}},
                    {"duplicates": {"method": "minhash", "similarity": 0.9}},
                ],
            }
        },
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    return folder / "catalog.yaml"


def build(catalog: Catalog, registry: Registry, store: Path, workers: int, executor: str) -> tuple[float, float, Any]:
    """Seconds, CPU seconds, and what came of it."""
    run = RunConfig.model_validate({"executor": executor, "workers": workers, "store": str(store)})
    meter = Meter()
    meter.start()
    started = time.perf_counter()
    built = build_datasets(catalog.changed(run=run), registry)
    return time.perf_counter() - started, meter.stop(), [(one.dataset, one.version, one.rows) for one in built]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    registry = Registry.installed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = arguments.catalog or synthetic(folder, arguments.rows, arguments.files)
        catalog = curate.load_catalog(file, registry=registry)
        print("| round | executor | seconds | CPU seconds | version |\n|---|---|---|---|---|")
        for turn in range(arguments.rounds):
            found = {}
            for executor in ("local", "ray"):
                seconds, cpu, built = build(
                    catalog, registry, folder / f"{executor}-{turn}", arguments.workers, executor
                )
                found[executor] = (seconds, cpu, built)
                print(
                    f"| {turn + 1} | {executor} | {seconds:.1f} | {cpu:.1f} |"
                    f" {' '.join(version for _, version, _ in built)} |",
                    flush=True,
                )
            (one, one_cpu, first), (other, other_cpu, second) = found["local"], found["ray"]
            assert first == second, "the same catalog must make the same versions"
            print(
                f"| {turn + 1} | ray / local | {other / one:.2f} | {other_cpu / one_cpu:.2f} | equal:"
                f" {', '.join(f'{name}, {rows:,} rows' for name, _, rows in first)} |"
            )


if __name__ == "__main__":
    main()
