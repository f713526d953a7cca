"""A seeded sample of a file: exact, in order, the same again, and changed by new rows only where they enter it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.steps import FailedRow, Unit
from sources.detection import DetectedSchema
from sources.dictionaries import Dictionary
from sources.files import Csv, JsonLines, Parquet
from sources.hub import Hub
from sources.mapping import Mapper, Spec
from sources.parallel import ParallelTsv

Read = Callable[..., Any]
GIVEN: dict[str, Any] = {"language": "sw", "license": "x", "columns": {"text": "t"}}


def texts(out: Any) -> list[str]:
    return [row["text"] for row in out.rows]


def test_a_sample_is_exact_in_order_and_the_same_again(read: Read, jsonl: Callable[..., str]) -> None:
    path = jsonl(*({"t": f"{i:04d}"} for i in range(2_500)))
    drawn = texts(read(JsonLines(path=path, sample=300, **GIVEN)))
    assert len(drawn) == 300 and drawn == sorted(drawn)
    assert drawn == texts(read(JsonLines(path=path, sample=300, **GIVEN)))
    other = texts(read(JsonLines(path=path, sample=300, seed=7, **GIVEN)))
    assert len(other) == 300 and other != drawn
    # Not the head, and no part of the file is left out: each quarter has 75 of 300, give or take five deviations.
    quarters = [sum(int(text) // 625 == quarter for text in drawn) for quarter in range(4)]
    assert all(35 < count < 115 for count in quarters)
    # A larger sample has the smaller one in it.
    assert set(drawn) < set(texts(read(JsonLines(path=path, sample=400, **GIVEN))))
    assert len(read(JsonLines(path=path, sample=9_999, **GIVEN)).rows) == 2_500


def test_appended_rows_change_a_sample_only_where_they_enter_it(read: Read, jsonl: Callable[..., str]) -> None:
    before = set(texts(read(JsonLines(path=jsonl(*({"t": f"{i:04d}"} for i in range(500))), sample=50, **GIVEN))))
    after = set(texts(read(JsonLines(path=jsonl(*({"t": f"{i:04d}"} for i in range(600))), sample=50, **GIVEN))))
    entered = {text for text in after if int(text) >= 500}
    assert 0 < len(entered) < 30
    assert after - entered < before and len(before - after) == len(entered)


def test_positions_are_those_of_the_file(read: Read, jsonl: Callable[..., str]) -> None:
    path = jsonl(*({"t": f"{i}"} for i in range(200)))
    out = read(JsonLines(path=path, sample=20, attributes={"at": "{@row}", "line": "{@line}"}, **GIVEN))
    for row in out.rows:
        noted = {one["name"]: one["value"] for one in row["attributes"]}
        assert noted == {"at": row["text"], "line": str(int(row["text"]) + 1)}
        assert row["lineage"]["source_id"] == f"rows.jsonl:{int(row['text']) + 1}"


def test_it_is_drawn_after_only_and_unreadable_rows_are_part_of_it(read: Read, jsonl: Callable[..., str]) -> None:
    rows: list[Any] = [{"t": f"{i}", "k": i % 4} for i in range(400)]
    rows[8::40] = ["{broken"] * 10
    path = jsonl(*rows)
    out = read(JsonLines(path=path, sample=60, only={"k": 0}, **GIVEN))
    assert len(out.rows) + len(out.bad) == 60
    assert out.bad and all(int(row["text"]) % 4 == 0 for row in out.rows)


def test_every_format_samples_and_both_directions_of_a_pair_are_two_rows(read: Read, tmp_path: Path) -> None:
    rows = [f"{i:03d}" for i in range(300)]
    (tmp_path / "a.csv").write_text("\n".join(["t", *rows]), "utf-8")
    pq.write_table(pa.table({"t": rows, "u": rows}), tmp_path / "a.parquet", row_group_size=50)
    (tmp_path / "a.tsv").write_text("".join(f"{row}\tx{row}\n" for row in rows), "utf-8")
    for source in (
        Csv(path=str(tmp_path / "a.csv"), sample=30, **GIVEN),
        Parquet(path=str(tmp_path / "a.parquet"), sample=30, **GIVEN),
    ):
        drawn = texts(read(source))
        assert len(drawn) == 30 and drawn == sorted(drawn) and drawn != rows[:30]
    pairs = ParallelTsv(
        path=str(tmp_path / "a.tsv"),
        source_language="en",
        target_language="sw",
        license="x",
        direction="both",
        sample=41,
    )
    assert len(read(pairs).rows) == 41


def test_a_dataset_of_the_hub_is_sampled_by_split(read: Read, tmp_path: Path) -> None:
    for split in ("train", "test"):
        rows = [{"t": f"{split}{i:03d}"} for i in range(80)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    out = texts(read(Hub(dataset=str(tmp_path), split=["train", "test"], sample=9, **GIVEN)))
    assert [sum(text.startswith(split) for text in out) for split in ("train", "test")] == [9, 9]
    assert out != [f"{split}{i:03d}" for split in ("train", "test") for i in range(9)]


def test_what_there_is_to_warn_of_is_told_once(read: Read, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"w{i} w{i}\n" if i % 2 else f"w{i} n{i}\n" for i in range(100)), "utf-8")
    given: dict[str, Any] = {"source_language": "en", "target_language": "sw", "license": "x"}
    whole = read(Dictionary(path=str(tmp_path / "a.txt"), **given))
    part = read(Dictionary(path=str(tmp_path / "a.txt"), sample=5, **given))
    assert len(whole.warnings) == 1 and part.warnings == whole.warnings and len(part.rows) == 5


def test_each_file_has_a_sample_of_its_own(read: Read, jsonl: Callable[..., str], tmp_path: Path) -> None:
    for name in ("a", "b"):
        jsonl(*({"t": f"{i}"} for i in range(100)), name=f"{name}.jsonl")
    out = read(JsonLines(path=str(tmp_path), sample=10, **GIVEN))
    ids = [row["lineage"]["source_id"] for row in out.rows]
    assert [sum(one.startswith(name) for one in ids) for name in ("a", "b")] == [10, 10]
    assert {one.partition(":")[2] for one in ids[:10]} != {one.partition(":")[2] for one in ids[10:]}


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 30), st.integers(-3, 3))
def test_a_drawn_sample_has_so_many_or_all(readable: list[bool], count: int, seed: int) -> None:
    records = [(i, {"t": "x"}, 1) if good else FailedRow(f"row {i}", "bad", "") for i, good in enumerate(readable)]
    form = DetectedSchema("columns", JsonLines(path="x", **GIVEN).makes, {"text": "t"}, told=True)
    spec = Spec(form=form, language="sw", source_language="", prompt_language="", license="x", group="g")
    drawn = Mapper(spec, "s", Unit("u"), lines=False).draw(iter(records), count, seed)
    assert len(drawn) == min(count, len(records)) and drawn <= set(range(len(records)))


def test_memory_does_not_grow_with_the_rows_of_the_file(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for i in range(20_000):
            file.write(json.dumps({"t": f"{i} " + "maneno " * 200}) + "\n")
    assert path.stat().st_size > 25_000_000
    source = JsonLines(path=str(path), sample=5, **GIVEN)
    tracemalloc.start()
    assert len(read(source).rows) == 5
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24_000_000  # one batch of rows before the columns are known to be there


@pytest.mark.parametrize(
    ("given_too", "said"),
    [
        ({"sample": 3, "limit": 3}, "'limit' takes the first rows and 'sample' any"),
        ({"seed": 3}, "'seed' is that of 'sample'"),
        ({"sample": 0}, "greater than or equal to 1"),
    ],
)
def test_contradictions_are_errors_at_load(given_too: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        JsonLines(path="x.jsonl", **given_too, **GIVEN)


def test_the_sample_is_part_of_the_identity_and_its_absence_is_not() -> None:
    plain = JsonLines(path="x.jsonl", **GIVEN).identity()
    assert "sample" not in plain and "seed" not in plain
    assert JsonLines(path="x.jsonl", sample=3, **GIVEN).identity() == {**plain, "sample": 3}
    assert JsonLines(path="x.jsonl", sample=3, seed=1, **GIVEN).identity()["seed"] == 1
