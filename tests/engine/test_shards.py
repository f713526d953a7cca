"""ChunkLimits: every row once and in order, sizes within bounds, and an insertion changes little."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.engine.store.columns import decide, expand, mask_digest, merge_scores
from curate.engine.store.shards import ChunkLimits, cut
from curate.engine.tasks.output_files import assign_splits
from curate.rows import Kind, schema, with_ids

CUTS = ChunkLimits(least=8, mean=8, most=40)


def table(texts: list[str]) -> pa.Table:
    lineage = {"source": "s", "source_id": "", "license": "mit", "parents": [], "makers": []}
    rows = [
        {"id": "", "text": text, "language": "en", "group_id": "", "scores": [], "attributes": [], "lineage": lineage}
        for text in texts
    ]
    return with_ids(Kind.DOCUMENT, pa.Table.from_pylist(rows, schema(Kind.DOCUMENT)))


@given(st.lists(st.integers(0, 60), max_size=12), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_cutting_loses_nothing_and_does_not_depend_on_batches(sizes, seed):
    texts = [f"{seed} {n}" for n in range(sum(sizes))]
    whole = table(texts)
    batches, at = [], 0
    for size in sizes:
        batches.append(whole.slice(at, size))
        at += size
    shards = list(cut(batches, CUTS))
    assert [text for shard in shards for text in shard["text"].to_pylist()] == texts
    assert all(CUTS.least <= shard.num_rows <= CUTS.most for shard in shards[:-1])
    assert [shard.num_rows for shard in shards] == [shard.num_rows for shard in cut([whole], CUTS)]


def test_an_inserted_row_changes_few_shards():
    texts = [f"row {n}" for n in range(2000)]
    before = {tuple(shard["id"].to_pylist()) for shard in cut([table(texts)], CUTS)}
    after = {tuple(shard["id"].to_pylist()) for shard in cut([table([*texts[:700], "new", *texts[700:]])], CUTS)}
    assert len(before) > 60 and len(after - before) <= 3


def test_large_rows_end_a_shard_by_bytes():
    shards = list(
        cut(
            [table(["x" * 10_000 + str(n) for n in range(50)])],
            ChunkLimits(least=8, mean=1 << 20, most=1000, most_bytes=100_000),
        )
    )
    assert len(shards) >= 5 and sum(shard.num_rows for shard in shards) == 50


@given(
    st.lists(
        st.tuples(st.booleans(), st.one_of(st.none(), st.floats(0, 1)), st.one_of(st.none(), st.text(max_size=3))),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=60, deadline=None)
def test_findings_of_living_rows_only_are_merged_and_nulls_are_left_out(items):
    import polars as pl

    rows = table([str(n) for n in range(len(items))])
    kept = np.array([item[0] for item in items])
    scores = pl.DataFrame(
        {"score": [item[1] for item in items], "note": [item[2] for item in items]},
        schema={"score": pl.Float64, "note": pl.String},
    )
    columns = decide(
        scores,
        rows,
        {"low": pl.col("score") < 0.5, "bad": pl.col("note") == "x"},
        kept,
    )
    merged = merge_scores(rows, [("step", columns)]).to_pylist()
    for index, (lives, score, note) in enumerate(items):
        row = merged[index]
        assert row["scores"] == ([{"name": "step", "value": score}] if lives and score is not None else [])
        assert row["attributes"] == ([{"name": "step.note", "value": note}] if lives and note is not None else [])
        reason = "low" if score is not None and score < 0.5 else "bad" if note == "x" else None
        assert columns["keep"][index].as_py() == ((reason is None) if lives else None)
        assert columns["reason"][index].as_py() == (reason if lives else None)
    assert expand(columns.filter(pa.array(kept)), kept).to_pylist() == columns.to_pylist()


def test_masks_have_one_digest_each():
    assert mask_digest(np.ones(5, bool)) == "all"
    digests = {mask_digest(np.array([bool(n >> k & 1) for k in range(5)])) for n in range(31)}
    assert len(digests) == 31


def test_splits_follow_groups_and_shares_and_never_move():
    groups = [f"g{n}" for n in range(20_000)]
    splits = assign_splits(groups, {"train": 0.9, "dev": 0.02, "test": 0.08}, seed=1)
    assert abs(splits.count("train") / 20_000 - 0.9) < 0.01 and abs(splits.count("test") / 20_000 - 0.08) < 0.01
    assert assign_splits(groups[::-1], {"train": 0.9, "dev": 0.02, "test": 0.08}, seed=1) == splits[::-1]
    assert assign_splits(groups, {"train": 0.9, "dev": 0.02, "test": 0.08}, seed=2) != splits
