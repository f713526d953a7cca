"""What each task of a build reads, holds and writes per row: the steps that decide over all rows, at two sizes.

    python benchmarks/global_steps.py --rows 100000 1000000 --steps exact mix split keep
    python benchmarks/global_steps.py --rows 100000 --steps minhash

Every task runs in a process of its own, one after the other. Told are, for each action, how many tasks there were, CPU
microseconds, bytes read and written per row (as the process asked for them, caches included), and the most memory that
one task had, above that of a task that does nothing. Bytes per row that one task *holds* are the difference between
two sizes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from executors import synthetic

import curate
from curate.engine.build import build_context
from curate.engine.dataset import DatasetBuilder
from curate.engine.store.lock import StoreLock
from curate.engine.store.shards import ChunkLimits
from curate.engine.store.store import Store
from curate.engine.tasks.run import run_task
from curate.engine.tasks.task import Task, WorkerConfig
from curate.steps import Registry

STEPS = {
    "exact": {"duplicates": {"method": "exact"}},
    "minhash": {"duplicates": {"method": "minhash", "similarity": 0.9}},
    "mix": {"mix": {"by": "source", "balance": "uniform"}},
    "split": {"split": {"shares": {"train": 0.9, "test": 0.1}}},
    "keep": {"keep": {"language": ["en"]}},
}
ACTIONS = ("read", "summarize", "settle", "part")


@dataclass
class Cost:
    """What the tasks of an action cost together, and the most that one held."""

    tasks: int = 0
    cpu: float = 0.0
    read: int = 0
    written: int = 0
    peak: int = 0


class Measuring:
    """An executor that runs each task in a process of its own and notes what it costs."""

    def __init__(self, setting: WorkerConfig) -> None:
        self._setting = setting
        self.costs: dict[str, Cost] = defaultdict(Cost)

    def run(self, tasks: Sequence[Task], report: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        spawn = multiprocessing.get_context("spawn")
        for index, task in enumerate(tasks):
            here, there = spawn.Pipe(duplex=False)
            process = spawn.Process(target=_do, args=(there, self._setting, task))
            process.start()
            result, cpu, read, written = json.loads(here.recv())
            assert process.pid is not None
            _, _, used = os.wait4(process.pid, 0)
            cost = self.costs[task.action]
            cost.tasks += 1
            cost.cpu += cpu
            cost.read += read
            cost.written += written
            cost.peak = max(cost.peak, used.ru_maxrss * 1024)
            yield index, result

    def close(self) -> None:
        return


def _do(pipe: Any, setting: WorkerConfig, task: Task) -> None:
    began = time.process_time()  # what a process imports first is not of the task
    result = run_task(setting, task, lambda rows: None) if task.action != "nothing" else {}
    told = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    pipe.send(json.dumps([result, time.process_time() - began, int(told["rchar"]), int(told["wchar"])]))


def measured(folder: Path, rows: int, name: str, registry: Registry) -> dict[str, Cost]:
    """The costs of building synthetic rows with one step."""
    file = synthetic(folder, rows, 8)
    written = yaml.safe_load(file.read_text())
    written["datasets"] = {"kept": {"from": "rows", "steps": [STEPS[name]]}}
    file.write_text(yaml.safe_dump(written))
    catalog = curate.load_catalog(file, registry=registry)
    store = Store(catalog.store).open()
    executor = Measuring(WorkerConfig(str(catalog.store), 1, 1_000_000_000, ChunkLimits()))
    list(executor.run([Task("nothing", "", "", "", {}, 0)], None))
    with StoreLock(store.root):
        DatasetBuilder(build_context(catalog, registry, store, executor, build="1")).build("kept")
    return executor.costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=list(STEPS))
    arguments = parser.parse_args()
    registry = Registry.installed()
    print("| step | rows | action | tasks | CPU µs / row | B read / row | B written / row | peak of one task, MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.steps:
        for rows in arguments.rows:
            with tempfile.TemporaryDirectory() as folder:
                costs = measured(Path(folder), rows, name, registry)
            nothing = costs.pop("nothing")
            for action in ACTIONS:
                cost = costs[action]
                cpu = cost.cpu / rows * 1e6
                read = (cost.read - nothing.read * cost.tasks) / rows
                told = f"{cpu:.1f} | {read:,.0f} | {cost.written / rows:,.0f} | {(cost.peak - nothing.peak) / 1e6:,.0f}"
                print(f"| {name} | {rows:,} | {action} | {cost.tasks} | {told} |", flush=True)


if __name__ == "__main__":
    main()
