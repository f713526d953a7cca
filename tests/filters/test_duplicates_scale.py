"""Near duplicates of many rows: memory does not grow with them, and little of it changes no decision."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settling import settle

from curate.rows import Kind
from filters.duplicates import columns, edits, minhash, near
from filters.duplicates.clusters import link
from filters.duplicates.step import Duplicates

WORDS = [
    "ferry",
    "harbour",
    "market",
    "island",
    "海",
    "山道",
    "قارب",
    "не",
    "café",
    "lantern",
    "orchard",
    "7",
    "12",
    "not",
]


def crowded_rows(make: Any, seed: int) -> list[Any]:
    """Three shards of texts, most of them changed copies of a few: clusters of more rows than a bucket compares."""
    random = np.random.default_rng(seed)
    texts: list[list[str]] = []
    for number in range(90):
        words = list(texts[random.integers(2)]) if number > 3 else list(random.choice(WORDS, 25))
        for _ in range(random.integers(0, 4)):
            words[random.integers(len(words))] = str(random.choice(WORDS))
        texts.append(words)
    items = [
        {"language": "en" if number % 7 else "de", "text": " ".join(words), "group_id": f"g{number % 9}"}
        for number, words in enumerate(texts)
    ]
    return [make(Kind.DOCUMENT, items[start:end]) for start, end in ((0, 40), (40, 51), (51, 90))]


@pytest.mark.parametrize(
    "params",
    [
        {"measure": "jaccard", "similarity": 0.7, "numbers": "ignore", "words": "ignore"},
        {"words": "ignore", "keep": "longest", "across": "all"},
        {"linkage": "connected", "similarity": 0.6, "scope": "group", "words": "ignore"},
    ],
)
def test_little_memory_changes_no_decision(
    make: Any, context: Any, tmp_path: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, shards = Duplicates(method="minhash", **params), crowded_rows(make, 3)
    monkeypatch.setattr(minhash, "CROWD", 20)
    whole = settle(step, shards, context, tmp_path / "whole")
    assert max(one["size"] for one in whole) > 3
    # 4 KB: rows are sorted, and bands searched, in parts; candidates are compared a few at a time.
    monkeypatch.setattr(context, "memory", 16_384)
    for module, name, value in ((minhash, "_PAIRS", 3000), (minhash, "_BYTES", 5000), (near, "CHUNK", 64)):
        monkeypatch.setattr(module, name, value)
    assert settle(step, shards, context, tmp_path / "parts") == whole


def summary(path: Path, rows: int) -> Path:
    """A summary of so many different texts, as the step writes it."""
    random = np.random.default_rng(rows)
    numbers = {
        name: random.integers(0, 2**63, rows).astype(np.uint64)
        for name in ("high", "low", "id_high", "id_low", "group")
    }
    nothing = np.zeros(rows, np.uint64)
    signatures = random.integers(0, 2**16, (rows, 128)).astype(np.uint16)
    table = {
        **numbers,
        "language": ["en"] * rows,
        "source": ["s"] * rows,
        "chars": np.full(rows, 9),
        "scores": pa.array([[]] * rows, pa.list_(pa.struct([("name", pa.string()), ("value", pa.float64())]))),
        **dict.fromkeys(("numbers", "number_count", "negation"), nothing),
        "text_0": pa.array([f"text {number}" for number in range(rows)], pa.large_string()),
        "signature": pa.array([one.tobytes() for one in signatures], pa.binary(256)),
    }
    pq.write_table(pa.table(table), path)
    return path


def test_memory_of_the_decision_does_not_grow_with_the_rows(
    context: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (near, columns):
        monkeypatch.setattr(module, "CHUNK", 1024)
    monkeypatch.setattr(minhash, "_CHUNK", 1024)
    monkeypatch.setattr(columns, "BATCH", 1024)
    monkeypatch.setattr(context, "memory", 1 << 20)
    step = Duplicates(method="minhash", measure="jaccard")
    list(step.decide([summary(tmp_path / "first", 1000)], context))  # tables that are made once
    peaks = []
    for rows in (4_000, 24_000):
        # Shards of a fixed size, as the engine has them.
        paths = [summary(tmp_path / f"{rows}-{start}", 2_000) for start in range(0, rows, 2_000)]
        tracemalloc.start()
        for table in step.decide(paths, context):
            del table
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 20,000 rows more: less than 4 bytes each, where a hundred were held before.
    assert peaks[1] - peaks[0] < 80_000, peaks


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=120), st.integers(0, 5))
def test_links_are_decided_as_one_by_one(count: int, pairs: list[tuple[int, int]], never: int) -> None:
    never = min(never, count)
    found = sorted({(max(a, b), min(a, b)) for a, b in pairs if a != b and max(a, b) < count})
    star = list(range(count))
    for later in range(never, count):
        kept = [one for other, one in found if other == later and star[one] == one]
        star[later] = min(kept, default=later)
    connected = list(range(count))
    for _ in range(count):
        for later, earlier in found:
            connected[later] = connected[earlier] = min(connected[later], connected[earlier])
    connected[:never] = range(never)
    links = np.array([later << 32 | earlier for later, earlier in found], np.uint64)
    assert link(np.zeros(count, np.int64), links, "star", never).tolist() == star
    assert link(np.zeros(count, np.int64), links, "connected", never).tolist() == connected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab c天मि\u3000\t"), max_size=12), min_size=2, max_size=8), st.floats(0, 1))
def test_a_similarity_that_is_enough_is_exact(texts: list[str], enough: float) -> None:
    series = pl.Series(texts)
    left, right = (side.ravel() for side in np.indices((len(texts), len(texts))))
    exact, quick = edits.similarity(series, left, right), edits.similarity(series, left, right, enough)
    assert ((exact >= enough) == (quick >= enough)).all()
    assert (quick[exact >= enough] == exact[exact >= enough]).all()
