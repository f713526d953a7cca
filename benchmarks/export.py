"""What exporting costs beside reading and writing the same rows with pyarrow: CPU time, and memory, which must not
follow the rows.

    python benchmarks/export.py                # 1,000,000 conversations (about 2 GB of text) below a temporary folder
    python benchmarks/export.py --rows 100000 --output trl --output openai

Each export runs in a process of its own on one thread, at a tenth of the rows and at all of them: what its memory grows
by is told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.catalog import Mark, StepUse
from curate.rows import Kind, narrow, schema, with_ids
from curate.steps import Registry
from curate.steps.outputs import Version
from outputs.export import export

BARE = "pyarrow"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "trl": ("trl", {}),
    "axolotl": ("axolotl", {}),
    "verl": ("verl", {}),
    "torchtune": ("torchtune", {}),
    "llama-factory, parquet": ("llama-factory", {}),
    "llama-factory, jsonl": ("llama-factory", {"format": "jsonl"}),
    "llama-factory, json": ("llama-factory", {"format": "json"}),
    "openai": ("openai", {}),
    "alpaca": ("alpaca", {}),
    "parquet, native": ("parquet", {}),
}
# Words of five scripts; texts are strung together of all their triples.
WORDS = {
    "ar": "الماء السماء مدينة كتاب طريق شجرة بيت نهر جبل صباح",
    "th": "น้ำ ท้องฟ้า เมือง หนังสือ ถนน ต้นไม้ บ้าน แม่น้ำ ภูเขา เช้า",
    "zh": "水 天空 城市 书 道路 树 房子 河流 山 早晨",
    "hi": "पानी आकाश शहर किताब सड़क पेड़ घर नदी पहाड़ सुबह",
    "en": "water sky city book road tree house river mountain morning",
}
_CHUNK = 50_000


def texts(random: np.random.Generator, words: pa.Array, low: int, high: int, count: int) -> pa.Array:
    """So many texts of so many words."""
    ends = np.concatenate([[0], np.cumsum(random.integers(low, high, count))]).astype(np.int32)
    drawn = words.take(pa.array(random.integers(0, len(words), ends[-1])))
    return pa.compute.binary_join(pa.ListArray.from_arrays(pa.array(ends), drawn), " ")


def conversations(language: str, start: int, count: int, random: np.random.Generator) -> pa.Table:
    """Rows of system, user and assistant, no two alike."""
    few = WORDS[language].split()
    words = pa.array([one + two + three for one in few for two in few for three in few])
    number = pa.array([f" {one}" for one in range(start, start + count)])
    system = pa.array([" ".join(few[:3])] * count)
    asked = pa.compute.binary_join_element_wise(texts(random, words, 4, 20, count), number, "")
    said = pa.compute.binary_join_element_wise(texts(random, words, 15, 70, count), number, "")
    order = np.arange(3 * count).reshape(3, count).T.ravel()
    roles = pa.array(["system", "user", "assistant"]).take(pa.array(np.tile([0, 1, 2], count)))
    content = pa.concat_arrays([system, asked, said]).take(pa.array(order))
    target = schema(Kind.SFT, ())
    message = target.field("messages").type.value_type
    turns = pa.StructArray.from_arrays([roles, content], fields=list(message))
    offsets = pa.array(np.arange(0, 3 * count + 1, 3, dtype=np.int32))
    empty = pa.array(np.zeros(count + 1, np.int32))
    made: dict[str, pa.Array] = {
        "messages": pa.ListArray.from_arrays(offsets, turns, type=target.field("messages").type)
    }
    made["language"] = pa.array([language] * count)
    made["group_id"] = pa.compute.binary_join_element_wise(pa.scalar("letters:"), number, "")
    for name in ("scores", "attributes"):
        kind = target.field(name).type
        made[name] = pa.ListArray.from_arrays(empty, pa.array([], kind.value_type), type=kind)
    lineage = target.field("lineage").type
    parts = [pa.array(["letters"] * count), made["group_id"], pa.array(["CC0-1.0"] * count)]
    parts += [
        pa.ListArray.from_arrays(
            empty, pa.array([], lineage.field(name).type.value_type), type=lineage.field(name).type
        )
        for name in ("parents", "makers")
    ]
    made["lineage"] = pa.StructArray.from_arrays(parts, fields=list(lineage))
    names = [field for field in target if field.name != "id"]
    # The files of a version have no optional part that no row has.
    return narrow(
        with_ids(Kind.SFT, pa.Table.from_arrays([made[field.name] for field in names], schema=pa.schema(names))).select(
            target.names
        )
    )


def make(folder: Path, rows: int) -> Version:
    """A finished version of so many rows, as a build leaves it."""
    (folder / "data").mkdir(parents=True)
    random = np.random.default_rng(0)
    files = []
    for number, start in enumerate(range(0, rows, _CHUNK)):
        tag = list(WORDS)[number % len(WORDS)]
        files.append(f"data/train-{number:05d}.parquet")
        table = conversations(tag, start, min(_CHUNK, rows - start), random)
        pq.write_table(table, folder / files[-1], compression="zstd")
    manifest = {
        "kind": "sft",
        "rows": rows,
        "splits": {"train": {"rows": rows, "languages": {}, "files": files}},
        "languages": {"en": rows},
        "licenses": {"CC0-1.0": rows},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return read(folder)


def read(folder: Path) -> Version:
    """The version in a folder."""
    return Version("letters", "0123456789abcdef0123", folder, json.loads((folder / "manifest.json").read_text()))


def bare(version: Version, to: Path) -> None:
    """Reads every row and writes its messages, batch by batch: the least that an export into Parquet must do."""
    columns = ["messages"]
    with pq.ParquetWriter(to, pa.schema([schema(Kind.SFT, ()).field("messages")]), compression="zstd") as writer:
        for path in version.manifest["splits"]["train"]["files"]:
            with pq.ParquetFile(version.folder / path) as file:
                for part in file.iter_batches(8_192, columns=columns):
                    writer.write_batch(part)


def work(case: str, folder: Path) -> None:
    """One export in this process; prints its CPU seconds and the most memory that it held."""
    version = read(folder)
    with tempfile.TemporaryDirectory() as scratch:
        before = time.process_time()
        if case == BARE:
            bare(version, Path(scratch) / "rows.parquet")
        else:
            name, params = CASES[case]
            use = StepUse(name, name, Registry.installed().get("output", name)(**params), Mark("benchmark", 1))
            [found] = export(version, [use], Path(scratch))
            assert found.rows == version.manifest["rows"]
        spent = time.process_time() - before
        size = sum(path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file())
    print(json.dumps({"cpu": spent, "peak": most_memory(), "size": size / 1e6}))


def most_memory() -> float:
    """The most MiB that this process held (``ru_maxrss`` would count its parent's)."""
    [told] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(told.split()[1]) / 1024


def measured(case: str, folder: Path) -> dict[str, float]:
    """What :func:`work` tells in a process of its own."""
    quiet = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    asked = [sys.executable, __file__, "--case", case, "--folder", str(folder)]
    told = subprocess.run(asked, check=True, capture_output=True, text=True, env={**os.environ, **quiet})
    return dict(json.loads(told.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--output", action="append", help="only these", choices=list(CASES))
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        work(asked.case, asked.folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        few, many = Path(scratch) / "few", Path(scratch) / "many"
        make(few, asked.rows // 10)
        make(many, asked.rows)
        base = measured(BARE, many)
        print(
            f"{asked.rows:,} rows; {BARE} reads and writes them in {base['cpu']:.1f} s of CPU time, {base['peak']:.0f}"
            " MiB\n",
            flush=True,
        )
        print(
            "| output | CPU µs a row | × pyarrow | MB | peak MiB | at a tenth of the rows |\n|---|---|---|---|---|---|"
        )
        for case in asked.output or CASES:
            small, full = measured(case, few), measured(case, many)
            each = full["cpu"] / asked.rows * 1e6
            print(
                f"| {case} | {each:.1f} | {full['cpu'] / base['cpu']:.1f} | {full['size']:,.0f} | {full['peak']:.0f} |"
                f" {small['peak']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
