"""What near-duplicate detection costs at scale: `duplicates: {method: minhash}` in a build, beside the bare hashing and
other tools.

    python benchmarks/minhash_scale.py --rows 100000 --peers /path/to/venv/bin/python …
    python benchmarks/minhash_scale.py --rows 1000000 --only ours "ours, the step" "rensa, hashing only"

Rows are short texts (eight to twenty words, drawn by Zipf's law from made-up words of one to four syllables), of which
one in five is a near copy of an earlier one (one or two words changed) and one in twenty an exact copy. Every contender
gets the same parquet file and two processes or threads where it can use them, runs alone, and ends with the number of
rows it keeps. Times begin after imports, and CPU time is of all processes, which tells more than seconds on a machine
that does other things; memory is the greatest sum of resident memory over all its processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

BEFORE = """
import json, sys, time
from pathlib import Path

rows, folder = sys.argv[1], Path(sys.argv[2])
import resource


def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def texts():
    return [json.loads(line)["text"] for line in open(rows.replace(".parquet", ".jsonl"), encoding="utf-8")]


def tell(kept, more=0.0):
    result = {"seconds": time.perf_counter() - started, "cpu": cpu() - before + more, "kept": kept}
    print("\\nRESULT " + json.dumps(result))
"""
SHINGLES = """
def shingles(text):
    bare = "".join(text.split())
    return {bare[at:at + 5].encode() for at in range(max(1, len(bare) - 4))}
"""
OURS = """
import yaml, curate

if __name__ == "__main__":
    started, before = time.perf_counter(), cpu()
    source = {
        "use": "parquet",
        "path": rows,
        "kind": "document",
        "columns": {"text": "text"},
        "language": "en",
        "license": "CC0-1.0",
    }
    off = {"numbers": "ignore", "negation": "ignore", "words": "ignore"}
    steps = [{"duplicates": {"method": "minhash", "measure": "jaccard", "similarity": 0.8, **off}}]
    (folder / "catalog.yaml").write_text(
        yaml.safe_dump(
            {
                "version": 1,
                "sources": {"s": source},
                "datasets": {"d": {"from": "s", "steps": steps}},
                "run": {"workers": 2},
            }
        )
    )
    (built,) = (
        curate.build(folder / "catalog.yaml", quiet=True)
        if "quiet" in curate.build.__code__.co_varnames
        else curate.build(folder / "catalog.yaml")
    )
    tell(built.rows)
"""
STEP = """
import os

os.environ["POLARS_MAX_THREADS"] = "1"
from concurrent.futures import ProcessPoolExecutor
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from curate.engine.store.shards import write_parquet
from curate.rows import Kind, schema, with_ids
from curate.steps import Rows
from filters.duplicates.step import Duplicates

STEP = Duplicates(
    method="minhash", measure="jaccard", similarity=0.8, numbers="ignore", negation="ignore", words="ignore"
)


class Context:
    threads, memory, seed, draw = 2, 1 << 30, 0, 0

    def __init__(self, scratch):
        self.scratch = scratch

    def warn(self, message):
        print(message, file=sys.stderr)


LINEAGE = {"source": "s", "source_id": "", "license": "CC0-1.0", "parents": [], "makers": []}


def summary(place):
    start, size, path = place
    texts = pq.read_table(rows)["text"].slice(start, size).to_pylist()
    target = pa.schema([field for field in schema(Kind.DOCUMENT) if field.name != "id"])
    table = pa.Table.from_pylist(
        [
            {"language": "en", "group_id": "", "scores": [], "attributes": [], "lineage": LINEAGE, "text": one}
            for one in texts
        ],
        schema=target,
    )
    table = with_ids(Kind.DOCUMENT, table)
    begun, spent = time.perf_counter(), time.process_time()
    parts = [
        STEP.summarize(Rows(Kind.DOCUMENT, table.slice(at, 2048)), Context(folder)) for at in range(0, len(table), 2048)
    ]
    write_parquet(pa.concat_tables(parts), path)
    return time.perf_counter() - begun, time.process_time() - spent


if __name__ == "__main__":
    count = pq.read_metadata(rows).num_rows
    places = [(start, 25_000, folder / f"{start:09d}.parquet") for start in range(0, count, 25_000)]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(abs, [1, 2]))
        # Rows are made besides; what counts is the step's own time, spread over two processes.
        walls, spent = zip(*pool.map(summary, places))
    started, before = time.perf_counter() - sum(walls) / 2, cpu()
    kept = sum(
        sum(part["keep"].to_pylist())
        for part in STEP.decide([path for _, _, path in places], Context(folder / "scratch"))
    )
    tell(kept, sum(spent))
"""
RENSA = (
    SHINGLES
    + """
import numpy as np
from concurrent.futures import ProcessPoolExecutor
from rensa import RMinHash
from curate_shingles import flat


def part(texts):
    begun, spent = time.perf_counter(), time.process_time()
    hashes, offsets = flat(texts)
    for start in range(0, len(offsets) - 1, 128):
        some = offsets[start : start + 129]
        np.array(
            RMinHash.digest_matrix_from_flat_token_hashes(
                hashes[some[0] : some[-1]], (some - some[0]).astype(np.uint64), 128, 42
            ).to_rows(),
            np.uint32,
        )
    return time.perf_counter() - begun, time.process_time() - spent


if __name__ == "__main__":
    every = texts()
    with ProcessPoolExecutor(2) as pool:
        walls, spent = zip(*pool.map(part, [every[at : at + 25_000] for at in range(0, len(every), 25_000)]))
    started, before = time.perf_counter() - sum(walls) / 2, cpu()
    tell(None, sum(spent))
"""
)
# Vectorised shingle hashes for the bare hashing, no more than it needs: five code points, one 64-bit hash.
FLAT = """
import numpy as np


def flat(texts):
    bare = ["".join(one.split()) for one in texts]
    points = np.frombuffer("".join(bare).encode("utf-32-le"), np.uint32).astype(np.uint64)
    ends = np.cumsum([len(one) for one in bare])
    starts = ends - [len(one) for one in bare]
    padded = np.concatenate([points, np.zeros(4, np.uint64)])
    hashes = np.zeros(len(points), np.uint64)
    for at in range(5):
        hashes = (hashes ^ padded[at : at + len(points)]) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    counts = np.maximum(np.array([len(one) for one in bare]) - 4, 1)
    keep = np.arange(len(points)) - np.repeat(starts, [len(one) for one in bare]) < np.repeat(
        counts, [len(one) for one in bare]
    )
    return hashes[keep], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
"""
CONTENDERS = {
    "ours": OURS,
    "ours, the step": STEP,
    "rensa, hashing only": RENSA,
    "rensa, own deduplicator": SHINGLES
    + """
from rensa import RMinHash, RMinHashDeduplicator

if __name__ == "__main__":
    every = texts()
    started, before = time.perf_counter(), cpu()
    found, kept = RMinHashDeduplicator(threshold=0.8, num_perm=128, use_lsh=True, num_bands=16), 0
    for number, one in enumerate(every):
        sketch = RMinHash(num_perm=128, seed=42)
        sketch.update([each.decode("utf-8", "replace") for each in shingles(one)])
        kept += bool(found.add(str(number), sketch))
    tell(kept)
""",
    "datasketch": SHINGLES
    + """
from datasketch import MinHash, MinHashLSH
if __name__ == "__main__":
    every = texts(); started, before = time.perf_counter(), cpu()
    index, kept = MinHashLSH(num_perm=128, params=(16, 8)), 0
    for number, one in enumerate(every):
        sketch = MinHash(num_perm=128); sketch.update_batch(shingles(one))
        if not index.query(sketch):
            index.insert(str(number), sketch, check_duplication=False); kept += 1
    tell(kept)
""",
    "datatrove": (
        """
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
import glob, gzip, logging

if __name__ == "__main__":
    from loguru import logger

    logger.remove()
    started, before = time.perf_counter(), cpu()
    config = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=16, hashes_per_bucket=8, n_grams=3)
    (folder / "in").mkdir()
    lines = open(rows.replace(".parquet", ".jsonl"), encoding="utf-8").readlines()
    half = len(lines) // 2
    for number, part in enumerate((lines[:half], lines[half:])):
        (folder / "in" / f"{number}.jsonl").write_text("".join(part), encoding="utf-8")
    read = lambda: JsonlReader(str(folder / "in"), text_key="text", id_key="id")
    run = lambda steps, tasks: LocalPipelineExecutor(
        pipeline=steps, tasks=tasks, workers=2, logging_dir=str(folder / f"log{time.time_ns()}")
    ).run()
    run([read(), MinhashDedupSignature(output_folder=str(folder / "signs"), config=config)], 2)
    run(
        [MinhashDedupBuckets(input_folder=str(folder / "signs"), output_folder=str(folder / "buckets"), config=config)],
        16,
    )
    run(
        [
            MinhashDedupCluster(
                input_folder=str(folder / "buckets"), output_folder=str(folder / "remove"), config=config
            )
        ],
        1,
    )
    run([read(), MinhashDedupFilter(input_folder=str(folder / "remove")), JsonlWriter(str(folder / "out"))], 2)
    tell(sum(sum(1 for _ in gzip.open(one)) for one in glob.glob(str(folder / "out" / "*.gz"))))
"""
    ),
    "text-dedup": (
        """
import subprocess, os

if __name__ == "__main__":
    started, before = time.perf_counter(), cpu()
    out = folder / "out"
    command = [
        sys.executable,
        "-m",
        "text_dedup.minhash",
        "--path",
        "parquet",
        "--data_files",
        rows,
        "--split",
        "train",
        "--column",
        "text",
        "--threshold",
        "0.8",
        "--num_perm",
        "128",
        "--b",
        "16",
        "--r",
        "8",
        "--ngram",
        "3",
        "--min_length",
        "1",
        "--num_proc",
        "2",
        "--output",
        str(out),
        "--cache_dir",
        str(folder / "cache"),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if ran.returncode:
        sys.exit(ran.stderr[-1500:])
    import datasets

    tell(len(datasets.load_from_disk(str(out))))
"""
    ),
}
OWN = ("ours", "ours, the step", "rensa, hashing only")


def make(rows: int, path: Path) -> None:
    """Writes the rows, some hundred thousand at a time."""
    rng = np.random.default_rng(7)
    syllables = [
        c + v
        for c in ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "sh", "ch", "tr"]
        for v in ["a", "e", "i", "o", "u", "ai"]
    ]
    words = np.array(["".join(rng.choice(syllables, size=rng.integers(1, 5))) for _ in range(40_000)])
    weights = 1 / np.arange(10, len(words) + 10)
    cumulated = np.cumsum(weights) / weights.sum()
    columns = pa.schema([("id", pa.string()), ("text", pa.string())])
    lines = path.with_suffix(".jsonl").open("w", encoding="utf-8")
    with pq.ParquetWriter(path, columns) as writer, lines:
        for start in range(0, rows, 100_000):
            count = min(100_000, rows - start)
            lengths = rng.integers(8, 21, count)
            drawn = np.searchsorted(cumulated, rng.random(int(lengths.sum())))
            ends = np.cumsum(lengths)
            given = [drawn[end - length : end] for end, length in zip(ends, lengths, strict=True)]
            chance = rng.random(count)
            texts: list[str] = []
            for number in range(count):
                mine = given[number]
                if number > 100 and chance[number] < 0.25:
                    mine = given[int(rng.integers(0, number))].copy()
                    if chance[number] < 0.2:
                        mine[rng.integers(0, len(mine))] = rng.integers(0, len(words))
                    given[number] = mine
                texts.append(" ".join(words[mine]))
            ids = [str(start + number) for number in range(count)]
            writer.write_table(pa.table({"id": ids, "text": texts}))
            lines.writelines(json.dumps({"id": one, "text": text}) + "\n" for one, text in zip(ids, texts, strict=True))


def run(name: str, python: str, rows: Path) -> dict[str, Any] | str:
    """Seconds, rows kept and peak memory (MiB) of a contender, or why there is none."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "contender.py").write_text(BEFORE + CONTENDERS[name])
        (folder / "curate_shingles.py").write_text(FLAT)
        environment = {
            **os.environ,
            "POLARS_MAX_THREADS": "2",
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        with (folder / "said").open("w+") as said:
            process = subprocess.Popen(
                [python, "contender.py", str(rows.resolve()), str(folder)],
                cwd=folder,
                stdout=said,
                stderr=said,
                env=environment,
            )
            peak = [0.0]
            watch = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
            watch.start()
            process.wait()
            said.seek(0)
            text = said.read()
        line = next((one for one in reversed(text.splitlines()) if one.startswith("RESULT ")), None)
        return {**json.loads(line[7:]), "memory": peak[0]} if line else text.strip()[-600:]


def _watch(pid: int, peak: list[float]) -> None:
    while psutil.pid_exists(pid):
        try:
            parent = psutil.Process(pid)
            whole = sum(one.memory_info().rss for one in [parent, *parent.children(recursive=True)])
        except psutil.Error:
            continue
        peak[0] = max(peak[0], whole / 2**20)
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--peers", nargs="+", default=[], help="Python programs of environments with the other tools")
    arguments = parser.parse_args()
    modules = {
        "rensa, own deduplicator": "rensa",
        "datasketch": "datasketch",
        "datatrove": "datatrove",
        "text-dedup": "text_dedup",
    }
    with tempfile.TemporaryDirectory() as scratch:
        for count in arguments.rows:
            rows = Path(scratch) / f"{count}.parquet"
            make(count, rows)
            print(
                f"\n{count:,} rows\n\n| | seconds | CPU seconds | rows a CPU second | rows kept | peak memory"
                " |\n|---|---:|---:|---:|---:|---:|",
                flush=True,
            )
            for name in arguments.only:
                module = modules.get(name, "curate")
                python = next(
                    (
                        one
                        for one in [sys.executable, *arguments.peers]
                        if not subprocess.run([one, "-c", f"import {module}"], capture_output=True).returncode
                    ),
                    None,
                )
                if python is None:
                    print(f"| {name} | not installed | | | | |", flush=True)
                    continue
                found = run(name, python, rows)
                if isinstance(found, str):
                    print(f"| {name} | failed: {found.splitlines()[-1] if found else ''} | | | | |", flush=True)
                    continue
                kept = "–" if found["kept"] is None else f"{found['kept']:,}"
                print(
                    f"| {name} | {found['seconds']:.1f} | {found['cpu']:.1f} | {count / found['cpu']:,.0f} | {kept} |"
                    f" {found['memory']:,.0f} MiB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
