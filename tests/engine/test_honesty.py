"""What comes out is always what a build in an empty store would give, whatever was built before."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from house import CUTS, House, text

import curate
from curate.engine.build import build_datasets
from curate.engine.planning import inputs
from curate.engine.store.gc import collect_garbage, verify_version
from curate.engine.store.store import FileDigests
from curate.errors import BuildError


def fresh_version(house: House, name: str = "duo") -> str:
    """The version that the same catalog gives in an empty store."""
    kept = house.store.root.rename(house.folder / "aside")
    built = {one.dataset: one.version for one in house.build(name)}
    shutil.rmtree(house.store.root)
    kept.rename(house.store.root)
    return built[name]


@pytest.mark.slow
def test_random_changes_end_where_a_fresh_build_ends(house):
    chance = random.Random(11)
    steps = house.catalog["datasets"]["duo"]["steps"]
    steps.insert(1, {"letters": {"as": "second", "min": 1, "scale": 2.0, "fitted": False}})
    for _ in range(8):
        change = chance.randrange(6)
        if change == 0:
            house.letters["min"] = chance.choice([5, 12, 15, {"default": 10, "sw": 25}])
        elif change == 1:
            steps[1]["letters"].update(min=chance.choice([0.1, 0.5]), fitted=chance.choice([True, False]))
        elif change == 2:
            lines = (house.folder / "sw.txt").read_text().splitlines()
            lines.insert(chance.randrange(len(lines)), f"sw\t{chance.randrange(200)}\tsw inserted {chance.random()}")
            house.write("sw", lines)
        elif change == 3:
            steps[2]["most"]["count"] = chance.choice([10, 70, 200])
        elif change == 4:
            house.catalog["datasets"]["duo"]["from"] = chance.choice(
                [["english", "swahili"], ["swahili", "english"], ["swahili"]]
            )
        else:
            collect_garbage(house.store) if house.store.root.is_dir() else None
        [built] = house.build("duo")
        assert built.version == fresh_version(house)
        assert verify_version(house.store, "duo") == []


def test_a_row_step_does_not_keep_old_places(house):
    house.catalog["datasets"] = {"duo": {"from": "english", "steps": ["shout"]}}
    house.build()
    lines = (house.folder / "en.txt").read_text().splitlines()
    house.write("en", ["en\t\ten a first line", *lines])
    [built] = house.build()
    assert built.version == fresh_version(house)
    assert (
        house.query(f"SELECT DISTINCT lineage.source_id FROM duo WHERE text = '{text('en', 110)}'").item()
        == "en.txt:112"
    )


def test_the_order_of_splits_counts(house):
    house.catalog["datasets"]["duo"]["splits"] = {"train": 0.8, "test": 0.2}
    house.build()
    house.catalog["datasets"]["duo"]["splits"] = {"test": 0.2, "train": 0.8}
    [built] = house.build()
    assert built.version == fresh_version(house)


def test_a_file_that_changes_while_it_is_read_leaves_no_result(house, monkeypatch):
    real = inputs._read_tasks

    def meddle(*arguments):
        found = real(*arguments)
        house.write("en", ["en\t1\tsomething quite different now"])
        return found

    monkeypatch.setattr(inputs, "_read_tasks", meddle)
    with pytest.raises(BuildError, match=r"en.txt changed while it was being read; build again"):
        house.build()
    monkeypatch.undo()
    house.build()
    assert house.query("SELECT count(*) FROM duo WHERE text LIKE 'something%'").item() == 1


def test_a_file_written_this_moment_is_digested_again(tmp_path):
    file = tmp_path / "a"
    digests = FileDigests(tmp_path / "known.json")
    file.write_text("one")
    first = digests(file)
    stamp = file.stat()
    with file.open("r+") as opened:
        opened.write("two")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert digests(file) != first


def test_a_hole_in_a_chain_of_translations_does_not_split_an_item(house):
    house.write(
        "sw", [line for line in (house.folder / "sw.txt").read_text().splitlines() if not line.startswith("sw\t7\t")]
    )
    house.write("ar", [f"ar\t{n}\tar نص {n}" for n in range(60)])
    house.catalog["sources"]["arabic"] = {
        "use": "numbered",
        "path": ["ar.txt"],
        "license": "mit",
        "language": "ar",
        "translation_of": "swahili",
    }
    house.catalog["datasets"]["duo"] = {"from": ["english", "swahili", "arabic"], "splits": {"train": 0.5, "test": 0.5}}
    house.build()
    groups = house.query(
        "SELECT group_id, count(DISTINCT split) AS splits, list(language) AS languages FROM duo GROUP BY group_id"
    )
    assert groups["splits"].max() == 1
    assert sorted(groups.filter(group_id="english:7")["languages"][0].to_list()) == ["ar", "en"]


def test_each_dataset_stands_on_its_own_results_and_warnings(house):
    house.write("sw", [*(house.folder / "sw.txt").read_text().splitlines(), "sw\t999\tsw no such key in english"])
    house.catalog["datasets"] = {"one": {"from": ["english", "swahili"]}, "two": {"from": ["english", "swahili"]}}
    both = house.build()
    assert all(any("no row with the same key" in warning for warning in built.warnings) for built in both)
    house.catalog["datasets"]["one"]["from"] = ["english"]
    house.build("one")
    collect_garbage(house.store)
    house.ran()
    [again] = house.build("two")
    assert not again.changed and house.ran() == []


def test_spoilt_scores_are_scored_again(house):
    [first] = house.build()
    for path in (house.store.root / "work" / "letters").glob("*/scores-*.parquet"):
        path.write_bytes(b"PAR1 not whole")
    house.letters["min"] = 13
    assert "rows to score" in str(house.plan())
    house.build()
    house.letters["min"] = 12
    assert house.build()[0].version == first.version


def test_a_parent_without_rows_and_a_fit_over_nothing_are_no_trouble(house):
    (house.folder / "en.txt").write_text("")
    [built] = house.build()
    assert 0 < built.rows <= 90 and any("no row with the same key" in warning for warning in built.warnings)
    (house.folder / "sw.txt").write_text("")
    house.letters["fitted"] = True
    assert house.build()[0].rows == 0


def test_going_back_to_an_earlier_catalog_moves_latest_and_says_so(house):
    [first] = house.build()
    house.letters["min"] = 15
    [second] = house.build()
    house.letters["min"] = 12
    assert "point 'latest' at a version that is already there" in str(house.plan()) and not house.plan().idle
    [third] = house.build()
    assert third.version == first.version != second.version and third.changed
    assert house.store.resolve("duo") == first.version
    assert house.plan().idle


def test_the_ref_tells_the_recipe_that_was_asked_for_last(house):
    house.letters["min"] = 0.5
    [first] = house.build()
    house.letters["min"] = 0.6
    [second] = house.build()
    assert first.version == second.version
    assert house.store.refs("duo")["latest"]["recipe"]["steps"][0]["params"]["min"] == 0.6
    assert house.plan().idle


def test_leftovers_of_a_kill_are_no_versions_and_no_refs(house):
    [built] = house.build()
    folder = house.store.dataset("duo")
    shutil.copytree(folder / built.version, folder / f".tmp-{built.version}-1-2")
    (folder / "refs" / ".tmp-abc-latest.json").write_text("{")
    assert house.store.versions("duo") == [built.version] and set(house.store.refs("duo")) >= {"latest"}
    assert house.query("SELECT count(*) FROM duo").item() == built.rows
    house.build()
    assert not list(folder.rglob(".tmp-*"))


def test_a_dataset_of_a_dataset_tells_all_sources_and_licences(house):
    house.catalog["datasets"]["few"] = {"from": "duo", "steps": [{"most": {"count": 5, "as": "cap"}}]}
    house.build("few")
    found = house.query("SELECT source, license FROM curate.sources WHERE dataset = 'few' ORDER BY source").rows()
    assert found == [("english", "cc0-1.0"), ("swahili", "cc-by-4.0")]


def test_ordinary_failures_are_messages(house, registry):
    house.build()
    (house.folder / "sw.txt").unlink()
    with pytest.raises(curate.CurateError, match=r"sw\.txt"):
        house.build()
    house.catalog["run"]["store"] = "/proc/nowhere"
    with pytest.raises(curate.StoreError, match="/proc/nowhere"):
        build_datasets(house.load(), registry, chunk_limits=CUTS)
    house.catalog["sources"]["swahili"]["use"] = "jsonl"
    house.catalog["sources"]["swahili"] |= {
        "path": "sw.jsonl",
        "key": "{k}",
        "kind": "sft",
        "columns": {"prompt": "{p}", "response": "{r}"},
    }
    house.catalog["sources"]["swahili"].pop("journal")
    (house.folder / "sw.jsonl").write_text('{"k": 1, "p": "swali", "r": "jibu"}\n')
    house.catalog["run"]["store"] = ".curate"
    with pytest.raises(
        curate.CatalogError, match=r"'swahili' has sft rows and cannot be a translation of 'english' \(document rows\)"
    ):
        house.build()


def test_a_result_that_is_made_anew_takes_the_others_place_whole_or_not_at_all(house):
    store = house.store.open()
    final = store.work("step", "key")

    def fill(text: str):
        def write(folder):
            (folder / f"{text}.txt").write_text(text)
            if text == "broken":
                raise ZeroDivisionError
            return {"text": text, "key": "key"}

        return write

    store.commit(final, fill("one"))
    assert store.commit(final, fill("two")) and store.result("step", "key")["text"] == "one", "a finished result stays"
    with pytest.raises(ZeroDivisionError):
        store.commit(final, fill("broken"), replace=True)
    assert store.result("step", "key")["text"] == "one"
    store.commit(final, fill("three"), replace=True)
    assert sorted(path.name for path in final.iterdir()) == ["result.json", "three.txt"]
    assert [path.name for path in final.parent.iterdir()] == ["key"]
    # Killed between the two renames: nothing is there, and the next build makes it again.
    final.rename(final.parent / ".tmp-old-key-1")
    store.sweep()
    assert store.result("step", "key") is None and list(final.parent.iterdir()) == []


def test_rows_are_looked_up_in_what_a_result_holds_now(tmp_path):
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    from curate.engine.store.store import Store
    from curate.engine.tasks.context import WorkerContext
    from curate.rows import Kind, schema, with_ids

    store = Store(tmp_path).open()

    def shard(text: str):
        row = {
            "text": text,
            "language": "en",
            "group_id": "g",
            "scores": [],
            "attributes": [],
            "lineage": {"source": "s", "source_id": "", "license": "", "parents": [], "makers": []},
        }
        plain = pa.schema([field for field in schema(Kind.DOCUMENT) if field.name != "id"])
        table = with_ids(Kind.DOCUMENT, pa.Table.from_pylist([row], schema=plain))

        def fill(folder):
            pq.write_table(table, folder / "rows.parquet")
            return {"key": "key"}

        store.commit(store.work("step", "key"), fill, replace=True)
        return table["id"].to_pylist()

    def found(ids):
        context = WorkerContext(
            tmp_path, {}, threads=1, memory=1, scratch=lambda: tmp_path, ancestors=["work/step/key/rows.parquet"]
        )
        return context.rows_by_id(pl.Series("id", ids, dtype=pl.String)).table.num_rows

    first = shard("one")
    assert found(first) == 1
    second = shard("three")
    assert (found(second), found(first)) == (1, 0)
