"""Rows in an order for trainers: each once, unchanged, in batches of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import curate
from curate.generation.arrange import Arrange
from curate.rows import Kind
from curate.text.segmentation import salted


@pytest.fixture
def many(make):
    return make(
        Kind.DOCUMENT,
        [
            {"language": language, "text": f"{language} {n}", "group_id": f"i:{n}"}
            for language, count in (("en", 70), ("sw", 33), ("th", 9))
            for n in range(count)
        ],
    )


def arranged(step: Arrange, parts: list[Any], context: Any) -> list[dict[str, Any]]:
    return [row for table in step.gather(parts, context) for row in table.to_pylist()]


def batched(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def runs(texts: list[str], size: int) -> list[set[str]]:
    return [{text.split()[0] for text in run} for run in batched(texts, size)]


def test_each_batch_holds_one_language_and_what_is_left_comes_last(many, bench):
    rows = arranged(Arrange(batch=8), [many], bench({}))
    texts = [row["text"] for row in rows]
    assert sorted(texts) == sorted(many.table["text"].to_pylist()) and texts != many.table["text"].to_pylist()
    found = runs(texts, 8)
    assert [len(one) for one in found[:13]] == [1] * 13  # 8 of en, 4 of sw, 1 of th
    assert Counter(next(iter(one)) for one in found[:13]) == {"en": 8, "sw": 4, "th": 1}
    assert [next(iter(one)) for one in found[:13]] != sorted(next(iter(one)) for one in found[:13])
    by_turns = runs([row["text"] for row in arranged(Arrange(batch=8, order="turns"), [many], bench({}))], 8)
    assert [next(iter(one)) for one in by_turns[:5]] == ["en", "sw", "th", "en", "sw"]
    kept = arranged(Arrange(batch=8, order="keep", within="keep"), [many], bench({}))
    assert [row["text"] for row in kept[:8]] == [f"en {n}" for n in range(8)]
    assert arranged(Arrange(), [], bench({})) == []


def test_rows_of_an_item_are_neighbours_in_their_order(many, bench):
    texts = [row["text"] for row in arranged(Arrange(by="item"), [many], bench({}))]
    numbers = [text.split()[1] for text in texts]
    assert len([n for at, n in enumerate(numbers) if at == 0 or numbers[at - 1] != n]) == 70
    at = texts.index("en 3")
    assert texts[at : at + 3] == ["en 3", "sw 3", "th 3"]
    assert numbers != sorted(numbers, key=int)


def test_neither_shards_nor_memory_matter_but_the_seed_does(many, bench):
    whole = arranged(Arrange(batch=4), [many], bench({}))
    parts = [many.take([a <= n < b for n in range(len(many))]) for a, b in ((0, 1), (1, 60), (60, 60), (60, len(many)))]
    assert arranged(Arrange(batch=4), parts, bench({})) == whole
    other = bench({})
    other.seed = 5
    assert arranged(Arrange(batch=4), [many], other) != whole


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.integers(1, 9),
    st.sampled_from(["shuffle", "turns", "keep"]),
    st.sampled_from(["language", "item", "nothing"]),
)
def test_places_are_a_permutation_with_whole_batches_first(groups, batch, order, by):
    import numpy as np

    group = np.unique(np.array(groups, np.int32), return_inverse=True)[1].astype(np.int32)
    if by == "nothing":
        group[:] = 0
    drawn = salted(np.arange(len(group), dtype=np.uint64), "test")
    place = Arrange(batch=batch, order=order, by=by)._places(group, drawn)
    assert sorted(place) == list(range(len(group)))
    arrangement = np.empty_like(group)
    arrangement[place] = group
    if by == "language":
        whole = sum(int((group == one).sum()) // batch for one in set(group.tolist()))
        assert all(len(set(run)) == 1 for run in list(batched(arrangement.tolist(), batch))[:whole])
    if by == "item":
        assert len([1 for a, b in pairwise(arrangement) if a != b]) == len(set(group.tolist())) - 1


def test_a_version_has_the_order_and_the_rows_their_ids_and_scores(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "the river and the road, number {n}"}}\n' for n in range(40)))
    (tmp_path / "b.jsonl").write_text("".join(f'{{"text": "mto na barabara, namba {n}"}}\n' for n in range(24)))

    def source(name: str, language: str) -> dict[str, Any]:
        return {
            "use": "jsonl",
            "path": name,
            "language": language,
            "license": "CC0-1.0",
            "kind": "document",
            "columns": {"text": "{text}"},
        }

    datasets = {
        "plain": {"from": ["a", "b"], "steps": ["shape"]},
        "batches": {"from": ["a", "b"], "steps": ["shape", {"arrange": {"batch": 8}}]},
    }
    catalog = {
        "version": 1,
        "sources": {"a": source("a.jsonl", "en"), "b": source("b.jsonl", "sw")},
        "datasets": datasets,
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    curate.build(curate.load_catalog(tmp_path / "catalog.yaml"))
    plain, ordered = (curate.query(f"SELECT * FROM {name}", catalog=tmp_path / "catalog.yaml") for name in datasets)
    assert all(len(set(run)) == 1 for run in batched(ordered["language"].to_list(), 8))
    assert plain["language"].to_list() != ordered["language"].to_list()
    columns = ["id", "group_id", "text", "scores", "lineage"]
    assert plain.select(columns).sort("id").equals(ordered.select(columns).sort("id"))
