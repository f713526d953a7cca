"""The difference of two versions is what a plain comparison, row by row, finds: with rows that come twice, moved
scores, rejects and all."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.engine.store import diff as module
from curate.engine.store.diff import Difference, compare
from curate.engine.store.integrity import file_digest, seal
from curate.engine.store.store import Store
from curate.rows import Kind, schema

SCHEMA = schema(Kind.DOCUMENT)
REJECTS = SCHEMA.append(pa.field("step", pa.string())).append(pa.field("reason", pa.string()))
IDS = [f"{n:040x}" for n in range(12)]


def write(store: Store, version: str, rows: list[dict], rejects: list[dict], sources: list[str], per_file: int) -> None:
    """A version with these rows."""
    folder = store.dataset("d") / version
    files = []
    for part, columns, listed in (("data/train", SCHEMA, rows), ("rejected/document", REJECTS, rejects)):
        for number, start in enumerate(range(0, len(listed), per_file)):
            path = folder / f"{part}-{number:05}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(listed[start : start + per_file], columns), path)
            files.append(
                {"path": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "sha256": file_digest(path)}
            )
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "dataset": "d",
        "version": version,
        "files": files,
        "sources": [{"name": name} for name in sources],
        "recipe": {"steps": []},
        "software": {"curate": "1"},
        "created_at": "2026-01-01",
    }
    (folder / "manifest.json").write_bytes(seal(about))


# ------------------------------------------------------------------------------------------------------------------
# plainly
def missing(here: list[dict], there: list[dict]) -> list[int]:
    """The places of rows that the other side has not; of equal rows the first are those that both have."""
    left = Counter(row["id"] for row in there)
    found = []
    for place, row in enumerate(here):
        left[row["id"]] -= 1
        if left[row["id"]] < 0:
            found.append(place)
    return found


def key(row: dict) -> tuple[str, str, str]:
    return row["lineage"]["source"], row["lineage"]["source_id"], row["language"]


def numbered(rows: list[dict], places: list[int]) -> dict[tuple, int]:
    counts: Counter = Counter()
    found = {}
    for place in places:
        found[(*key(rows[place]), counts[key(rows[place])])] = place
        counts[key(rows[place])] += 1
    return found


def reason(row: dict, rejects: dict[str, str], sources: list[str], words: tuple[str, str, str]) -> str:
    dropped, making, inside = words
    lineage = row["lineage"]
    parent = lineage["parents"][0] if lineage["parents"] else ""
    if row["id"] in rejects:
        return f"{dropped} {rejects[row['id']]}"
    if parent in rejects:
        return f"its parent {dropped} {rejects[parent]}"
    if lineage["source"] not in sources:
        return f"{inside} the dataset: source {lineage['source']}"
    return f"{making} {lineage['makers'][-1]['step']}" if lineage["makers"] else f"{inside} {lineage['source']}"


def plainly(old, new) -> tuple[set, set, dict]:
    """Changes, examples, and shifts."""
    told: dict[tuple[str, str, str, str], int] = Counter()
    named = defaultdict(list)
    gone, fresh = numbered(old[0], missing(old[0], new[0])), numbered(new[0], missing(new[0], old[0]))
    changed = {one for one in fresh if one in gone and one[1] != ""}
    rejects = [{row["id"]: f"{row['step']} ({row['reason']})" for row in reversed(side[1])} for side in (old, new)]
    for change, rows, places in (("removed", old[0], gone), ("added", new[0], fresh), ("changed", new[0], fresh)):
        for one, place in sorted(places.items(), key=lambda pair: pair[1]):
            if (one in changed) != (change == "changed"):
                continue
            row = rows[place]
            if change == "removed":
                because = reason(row, rejects[1], new[2], ("dropped by", "not made any more by", "no longer in"))
            elif change == "added":
                because = reason(row, rejects[0], old[2], ("no longer dropped by", "made by", "new in"))
            else:
                makers = row["lineage"]["makers"]
                because = f"made anew by {makers[-1]['step']}" if makers else f"changed in {row['lineage']['source']}"
            told[change, row["language"], row["lineage"]["source"], because] += 1
            named[change, because, row["language"]].append(row["id"])
    shifts = {}
    values = [
        {(row["id"], row["language"], score["name"]): score["value"] for row in side[0] for score in row["scores"]}
        for side in (old, new)
    ]
    groups = defaultdict(list)
    for one in values[0].keys() & values[1]:
        groups[one[2], one[1]].append((values[0][one], values[1][one]))
    for group, pairs in groups.items():
        if any(before != after for before, after in pairs):
            shifts[group] = (
                len(pairs),
                math.fsum(one for one, _ in pairs) / len(pairs),
                math.fsum(one for _, one in pairs) / len(pairs),
            )
    examples = {(*group, one) for group, listed in named.items() for one in listed[:5]}
    return {(*group, count) for group, count in told.items()}, examples, shifts


def check(found: Difference, old, new) -> None:
    changes, examples, shifts = plainly(old, new)
    assert set(found.changes.iter_rows()) == changes and found.changes.height == len(changes)
    assert set(found.examples.unique().iter_rows()) == examples
    assert [row["rows"] for row in found.changes.to_dicts()] == sorted(
        (row["rows"] for row in found.changes.to_dicts()), reverse=True
    )
    told = {(row["score"], row["language"]): row for row in found.shifts.to_dicts()}
    assert told.keys() == shifts.keys()
    for group, (rows, before, after) in shifts.items():
        assert told[group]["rows"] == rows
        assert math.isclose(told[group]["old"], before, abs_tol=1e-12) and math.isclose(
            told[group]["new"], after, abs_tol=1e-12
        )
        assert math.isclose(told[group]["shift"], after - before, abs_tol=1e-12)
    assert (found.old_rows, found.new_rows, found.same) == (len(old[0]), len(new[0]), not changes)


SCORE = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "c.d"]), "value": st.sampled_from([0.0, 0.25, 0.5, -1.0])}
)
LINEAGE = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["one", "two", "three"]),
        "source_id": st.sampled_from(["", "f:1", "f:2", "f:3"]),
        "license": st.just("x"),
        "parents": st.lists(st.sampled_from(IDS), max_size=2),
        "makers": st.lists(
            st.fixed_dictionaries(
                {
                    "step": st.sampled_from(["translate", "respond"]),
                    "model": st.just("m"),
                    "prompt_hash": st.just(""),
                    "key": st.just(""),
                }
            ),
            max_size=2,
        ),
    }
)
ROW = {
    "id": st.sampled_from(IDS),
    "text": st.just("t"),
    "language": st.sampled_from(["sw", "zh-Hant", "ar"]),
    "group_id": st.just("g"),
    "scores": st.lists(SCORE, max_size=3),
    "attributes": st.just([]),
    "lineage": LINEAGE,
}
REJECT = {**ROW, "step": st.sampled_from(["shape", "language"]), "reason": st.sampled_from(["too long", "other"])}
SIDE = st.tuples(
    st.lists(st.fixed_dictionaries(ROW), max_size=14),
    st.lists(st.fixed_dictionaries(REJECT), max_size=6),
    st.lists(st.sampled_from(["one", "two", "three"]), unique=True),
)


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(old=SIDE, new=SIDE, per_file=st.integers(1, 5), at_once=st.sampled_from([1, 64 << 20]))
def test_any_two_versions(tmp_path_factory, monkeypatch, old, new, per_file, at_once):
    monkeypatch.setattr(module, "_SCORES_BYTES", at_once)
    store = Store(tmp_path_factory.mktemp("compare"))
    write(store, "v1", *old, per_file)
    write(store, "v2", *new, per_file)
    check(compare(store, ("d", "v1"), ("d", "v2")), old, new)


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(side=SIDE, moved=st.lists(st.booleans(), min_size=14, max_size=14), per_file=st.integers(1, 5))
def test_versions_that_differ_in_scores_only(tmp_path_factory, side, moved, per_file):
    rows = [
        {**row, "scores": [{**score, "value": score["value"] + 0.125 * change} for score in row["scores"]]}
        for row, change in zip(side[0], moved, strict=False)
    ]
    store = Store(tmp_path_factory.mktemp("compare"))
    write(store, "v1", *side, per_file)
    write(store, "v2", rows, *side[1:], per_file)
    check(compare(store, ("d", "v1"), ("d", "v2")), side, (rows, *side[1:]))


MEASURE = """
import sys
from pathlib import Path
from curate.engine.store.diff import compare
from curate.engine.store.store import Store
compare(Store(Path(sys.argv[1])), ("d", "v1"), ("d", "v1"))
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])  # ru_maxrss begins at the size of the process that forked
before = peak()
found = compare(Store(Path(sys.argv[1])), ("d", "v1"), ("d", "v2"))
print(found.count("changed"), found.shifts.height, (peak() - before) >> 10)
"""  # noqa: E501


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_memory_does_not_grow_with_texts_and_lineage(tmp_path):
    """Of 40,000 rows with 4 kB of lineage and 10 scores each, a tenth changed: held at once they would be half a
    gigabyte."""
    store = Store(tmp_path)
    maker = {"step": "translate", "model": "m" * 1000, "prompt_hash": "p" * 1000, "key": "k" * 1000}
    for version in range(2):
        rows = [
            {
                "id": f"{n + (version * 10**6 if n % 10 == 0 else 0):040x}",
                "text": "t",
                "language": ("sw", "ar")[n % 2],
                "group_id": "g",
                "attributes": [],
                "scores": [
                    {"name": f"s{score}", "value": float(n % 7 + version * (score == 3))} for score in range(10)
                ],
                "lineage": {
                    "source": "one",
                    "source_id": f"f:{n}",
                    "license": "x",
                    "parents": ["a" * 1000],
                    "makers": [maker],
                },
            }
            for n in range(40_000)
        ]
        write(store, f"v{version + 1}", rows, [], ["one"], 2000)
    run = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True)
    changed, shifts, megabytes = map(int, run.stdout.split())
    assert (changed, shifts) == (4000, 2)
    assert megabytes < 150
