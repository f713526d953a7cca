"""Whether memory is flat: the greatest resident memory of all processes in each stage of a usual catalog, and its CPU
time, for ever more rows.

    python benchmarks/memory.py --rows 100000 1000000
    python benchmarks/memory.py --rows 10000000 --folder /a/folder/with/30/GB

Rows are short questions and answers in three languages, of words drawn by Zipf's law; one in ten is a near copy of an
earlier one and one in twenty an exact one. Each command runs in a process of its own, as a user would call it: build
(read → shape → language → exact duplicates → near duplicates → mix → split), another version with fewer rows, export,
report, diff, and a query to a file. Memory is what processes hold by themselves (anonymous) and what they have mapped
of files and share besides (resident), which the system takes back when it needs it; looked at ten times a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import psutil

CATALOG = """\
version: 1
sources:
  rows: {use: jsonl, path: "rows-*.jsonl", language: "{language}", license: CC0-1.0}
models: {lid: {use: fasttext}}
datasets:
  texts:
    from: rows
    steps:
      - shape
      - language: {model: lid, min: null, min_script: null}
      - duplicates: {as: exact}
      - duplicates: {as: near, method: minhash}
      - mix: {by: language, balance: temperature, temperature: 2}
      - split: {shares: {train: 0.98, test: 0.02}}
run: {workers: 2, memory: 1GB}
"""
LANGUAGES = ("en", "de", "ru")
_EVERY = 0.1
_FILE_ROWS = 1_000_000


def make(rows: int, folder: Path) -> None:
    """Writes the rows, a file for each million, some ten thousand rows at a time."""
    random = np.random.default_rng(5)
    letters = {"en": "etaoinshrdlu", "de": "enisratdhulö", "ru": "оеаинтсрвлкм"}
    words = {
        tag: np.array(["".join(random.choice([*letters[tag]], random.integers(2, 9))) for _ in range(30_000)])
        for tag in LANGUAGES
    }
    weights = np.cumsum(1 / np.arange(10, 30_010))
    weights /= weights[-1]
    for first in range(0, rows, _FILE_ROWS):
        with (folder / f"rows-{first // _FILE_ROWS:04d}.jsonl").open("w", encoding="utf-8") as file:
            for start in range(first, min(rows, first + _FILE_ROWS), 20_000):
                _write(file, random, words, weights, min(20_000, rows - start))


def _write(file: TextIO, random: np.random.Generator, words: dict[str, Any], weights: Any, count: int) -> None:
    lengths, chance = random.integers(16, 32, count), random.random(count)
    drawn = np.searchsorted(weights, random.random(int(lengths.sum())))
    ends = np.cumsum(lengths)
    made: list[tuple[str, Any]] = []
    lines = []
    for number, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True)):
        tag, mine = LANGUAGES[number % 3], drawn[end - length : end]
        if number > 100 and chance[number] < 0.15:
            tag, mine = made[int(random.integers(number))]
            if chance[number] < 0.1:
                mine = np.roll(mine, 1) if chance[number] < 0.05 else mine[1:]
        made.append((tag, mine))
        text = words[tag][mine].tolist()
        row = {"prompt": " ".join(text[:8]), "response": " ".join(text[8:]), "language": tag}
        lines.append(json.dumps(row, ensure_ascii=False))
    file.write("\n".join(lines) + "\n")


@dataclass
class Peak:
    """What a stage took, all processes together."""

    anonymous: int = 0
    resident: int = 0
    cpu: float = 0.0
    seconds: float = 0.0


class Watch:
    """What a process and all it starts take, stage by stage."""

    def __init__(self, pid: int, name: str, log: Path) -> None:
        self.peaks: dict[str, Peak] = {}
        self._pid, self._stage, self._log, self._read = pid, name, log, log.stat().st_size
        self._spent: dict[int, float] = {}

    def look(self, seconds: float) -> None:
        """Adds what is taken now to the stage that began last."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            for line in file.read().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                told = json.loads(line)
                if told["message"] == "stage begins":
                    self._stage = told["stage"].rpartition("/")[2]
        peak = self.peaks.setdefault(self._stage, Peak())
        peak.seconds += seconds
        anonymous = resident = 0
        for one in _family(self._pid):
            with contextlib.suppress(psutil.Error):
                held = one.memory_info()
                anonymous, resident = anonymous + held.rss - held.shared, resident + held.rss
                spent = sum(one.cpu_times()[:2])
                peak.cpu += spent - self._spent.get(one.pid, 0.0)
                self._spent[one.pid] = spent
        peak.anonymous, peak.resident = max(peak.anonymous, anonymous), max(peak.resident, resident)


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def measure(name: str, arguments: list[str], folder: Path) -> dict[str, Peak]:
    """Runs a command of curate and tells what each of its stages took; what comes before the first has ``name``."""
    log = folder / "log.jsonl"
    log.touch()
    environment = {**os.environ, "CURATE_LOG": str(log), "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "curate.cli", *arguments]
    with (folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)
        watch = Watch(process.pid, name, log)
        before = time.perf_counter()
        while process.poll() is None:
            time.sleep(_EVERY)
            now = time.perf_counter()
            watch.look(now - before)
            before = now
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"curate {' '.join(arguments)}: {said.read()[-2000:]}")
    return watch.peaks


def run(rows: int, folder: Path) -> Iterator[tuple[str, Peak]]:
    """What every stage took, with so many rows."""
    make(rows, folder)
    (folder / "catalog.yaml").write_text(CATALOG)
    yield from measure("start", ["build", "--quiet"], folder).items()
    yield "build: nothing to do", _whole(measure("", ["build", "--quiet"], folder))
    (folder / "catalog.yaml").write_text(CATALOG.replace("temperature: 2", f"temperature: 2, rows: {rows // 2}"))
    yield "build: another mixture", _whole(measure("", ["build", "--quiet"], folder))
    for name, arguments in (
        ("export", ["export", "texts", "trl"]),
        ("report", ["report", "texts"]),
        ("diff", ["diff", "texts"]),
        (
            "query to a file",
            ["query", "select * from texts", "-o", "rows.parquet", "-f", "parquet", "--timeout", "36000"],
        ),
    ):
        yield name, _whole(measure(name, arguments, folder))


def _whole(peaks: dict[str, Peak]) -> Peak:
    every = peaks.values()
    return Peak(
        max(one.anonymous for one in every),
        max(one.resident for one in every),
        sum(one.cpu for one in every),
        sum(one.seconds for one in every),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--folder", type=Path, help="where rows and stores go, and stay; by default nothing stays")
    asked = parser.parse_args()
    print("| rows | stage | MiB, anonymous | MiB, resident | CPU s | s |\n|---|---|---:|---:|---:|---:|", flush=True)
    for count in asked.rows:
        with tempfile.TemporaryDirectory() as scratch:
            folder = (asked.folder or Path(scratch)) / str(count)
            folder.mkdir(parents=True)
            for stage, peak in run(count, folder):
                held = f"{peak.anonymous / 2**20:,.0f} | {peak.resident / 2**20:,.0f}"
                print(f"| {count:,} | {stage} | {held} | {peak.cpu:,.1f} | {peak.seconds:,.1f} |", flush=True)
            size = sum(one.lstat().st_size for one in folder.rglob("*") if one.is_file())
            print(f"| {count:,} | disk at the end: {size / 2**30:.1f} GiB | | | | |", flush=True)


if __name__ == "__main__":
    main()
