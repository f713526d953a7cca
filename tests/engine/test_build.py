"""Building: what comes out, what is reused, what is kept of rows that were dropped."""

from __future__ import annotations

import pytest
from house import CUTS, text

import curate
from curate.engine.build import build_datasets, make_plan
from curate.engine.store.gc import collect_garbage, verify_version
from curate.engine.store.shards import ChunkLimits
from curate.errors import BuildError


def test_every_row_is_kept_or_rejected_with_its_reason_and_scores(house):
    [built] = house.build()
    kept = house.query(
        "SELECT text, language, split, score(scores, 'letters') AS length, lineage.license AS license FROM duo"
    )
    dropped = house.query("SELECT text, language, step, reason, score(scores, 'letters') AS length FROM duo.rejected")
    everything = {text("en", n) for n in range(120)} | {text("sw", n) for n in range(90)}
    assert set(kept["text"]) | set(dropped["text"]) == everything
    assert kept.height + dropped.height == 210 == built.rows + dropped.height
    assert (kept["length"] == kept["text"].str.len_chars()).all()
    assert (dropped.filter(step="letters")["length"] < 12).all() and dropped.filter(step="letters").height > 0
    assert dropped.filter(step="letters")["reason"].unique().to_list() == ["too short"]
    long_english = [text("en", n) for n in range(120) if len(text("en", n)) >= 12]
    assert kept.filter(language="en")["text"].sort().to_list() == sorted(long_english[:70])
    assert dropped.filter(step="most")["reason"].unique().to_list() == ["one too many"]
    assert set(kept.filter(language="sw")["license"]) == {"cc-by-4.0"}


def test_translations_share_group_split_and_know_their_parent(house):
    house.build()
    pairs = house.query(
        "SELECT child.text AS child, parent.text AS parent, child.split = parent.split AS together, child.group_id = parent.group_id AS same, "  # noqa: E501
        "score(child.scores, 'letters.parent') AS seen FROM duo child JOIN (SELECT id, text, group_id, split FROM duo) parent "  # noqa: E501
        "ON child.lineage.parents[1] = parent.id WHERE child.language = 'sw'"
    )
    assert pairs.height > 30
    assert pairs["together"].all() and pairs["same"].all()
    assert (pairs["seen"] == pairs["parent"].str.len_chars()).all()
    assert all(child.split()[-1] == parent.split()[-1] for child, parent in pairs.select("child", "parent").rows())


def test_building_again_runs_nothing_and_says_so(house):
    [first] = house.build()
    assert house.ran()
    plan = house.plan()
    assert plan.idle and str(plan) == f"duo: up to date, version {first.version}"
    [second] = house.build()
    assert not second.changed and second.version == first.version and house.ran() == []


def test_a_threshold_decides_again_without_scoring(house):
    [first] = house.build()
    house.ran()
    house.letters["min"] = {"default": 14, "sw": 20}
    plan = str(house.plan())
    assert "scores are cached, no model call" in plan and "params.min: 12" in plan
    [second] = house.build()
    assert house.ran() == [] and second.version != first.version
    assert house.query("SELECT min(score(scores, 'letters')) AS low FROM duo WHERE language = 'sw'").item() >= 20
    house.letters["min"] = 12
    [third] = house.build()
    assert third.version == first.version and house.ran() == []


def test_loosening_an_earlier_filter_scores_only_the_rows_it_lets_through(house):
    house.catalog["datasets"]["duo"]["steps"] = [
        {"letters": {"min": 15, "as": "first"}},
        {"letters": {"min": 1, "scale": 2.0, "as": "second", "journal": str(house.journal)}},
    ]
    house.build()
    before = sum(int(line.split()[1]) for line in house.ran() if line.startswith("score"))
    house.catalog["datasets"]["duo"]["steps"][0]["letters"]["min"] = 13
    plan = str(house.plan())
    assert "duo/first: apply thresholds" in plan and "duo/second: score, waits for the step before it" in plan
    house.build()
    more = sum(int(line.split()[1]) for line in house.ran() if line.startswith("score"))
    texts = [text("en", n) for n in range(120)] + [text("sw", n) for n in range(90)]
    assert before == sum(len(one) >= 15 for one in texts)
    assert more == sum(13 <= len(one) < 15 for one in texts)
    late = house.query("SELECT score(scores, 'second') AS doubled, text FROM duo")
    assert (late["doubled"] == 2 * late["text"].str.len_chars()).all()


def test_changing_one_file_reads_only_that_file(house):
    house.build()
    house.ran()
    lines = (house.folder / "sw.txt").read_text().splitlines()
    lines[40] = "sw\t40\tsw a new sentence in the middle 40"
    house.write("sw", lines)
    assert "1 of 1 inputs changed" in str(house.plan())
    house.build()
    ran = house.ran()
    assert [line for line in ran if line.startswith("read")] == ["read sw.txt"]
    assert 0 < sum(int(line.split()[1]) for line in ran if line.startswith("score")) < 90
    assert house.query("SELECT count(*) FROM duo WHERE text LIKE '%new sentence%'").item() == 1


def test_an_inserted_line_rescores_one_shard_and_moves_every_place(house):
    house.build()
    house.ran()
    lines = (house.folder / "en.txt").read_text().splitlines()
    house.write("en", ["en\t\ten a first line that nobody knew", *lines])
    house.build()
    rescored = sum(int(line.split()[1]) for line in house.ran() if line.startswith("score"))
    assert 0 < rescored <= CUTS.most
    assert house.query("SELECT lineage.source_id FROM duo WHERE text LIKE 'en % 41'").item() == "en.txt:43"
    assert verify_version(house.store, "duo") == []


def test_names_addresses_and_batch_sizes_rerun_nothing(house):
    [first] = house.build()
    house.ran()
    house.catalog["models"] = {"measure": {"use": "counter", "address": "elsewhere"}}
    house.letters.update(model="measure", batch=512)
    [second] = house.build()
    assert house.ran() == [] and second.version == first.version and not second.changed


def test_another_model_reruns_its_step_and_says_why(house):
    house.build()
    house.ran()
    house.catalog["models"]["ruler"]["weight"] = 2.0
    assert "models.model.weight: (default) → 2.0" in str(house.plan())
    house.build()
    assert sum(int(line.split()[1]) for line in house.ran() if line.startswith("score")) == 210


def test_the_plan_of_a_first_build_knows_what_waits(house):
    plan = house.plan()
    assert not plan.idle
    told = {stage.stage: (stage.run, stage.waits) for stage in plan.stages}
    assert told["read english"] == (1, 0) and told["duo/letters"][1] > 0 and told["duo/write"][1] > 0
    assert not house.store.root.exists(), "a plan leaves nothing behind"


def test_unreadable_rows_are_kept_apart_counted_and_limited(house):
    lines = (house.folder / "sw.txt").read_text().splitlines()
    house.write("sw", [*lines[:50], "no tab here ✗", *lines[50:]])
    with pytest.raises(BuildError, match=r"(?s)1 of 91 rows cannot be read \(1.1%, allowed: 1.0%\).*sw.txt:51: no tab"):
        house.build()
    house.catalog["sources"]["swahili"]["max_error_rate"] = 0.05
    house.ran()
    [built] = house.build()
    assert "read sw.txt" not in house.ran(), "raising max_error_rate does not read again"
    rows = house.query("SELECT * FROM duo.quarantined").rows(named=True)
    assert rows == [
        {
            "source": "swahili",
            "unit": "sw.txt",
            "place": "line 51",
            "reason": "no tab in this line",
            "raw": "no tab here ✗",
        }
    ]
    assert any("cannot be read" in warning for warning in built.warnings)


def test_a_row_step_makes_children_with_parents_and_the_key_that_made_them(house):
    house.catalog["datasets"]["loud"] = {
        "from": "english",
        "steps": [{"letters": {"min": 14}}, "shout", {"letters": {"as": "again"}}],
    }
    [built] = house.build("loud")
    rows = house.query(
        "SELECT text, lineage.parents AS parents, lineage.makers AS makers, id, score(scores, 'letters.parent') p, "
        "score(scores, 'again.parent') AS q FROM loud"
    ).to_dicts()
    by_id = {row["id"]: row for row in rows}
    loud = [row for row in rows if row["makers"]]
    assert len(loud) == len(rows) / 2 == built.rows / 2
    for row in loud:
        parent = by_id[row["parents"][0]]
        assert row["text"] == parent["text"].upper() + "!" and row["q"] == len(parent["text"])
        assert len(row["makers"][0]["key"]) == 40
    assert house.query("SELECT DISTINCT step FROM loud.rejected").to_series().to_list() == ["letters"]
    house.ran()
    house.catalog["datasets"]["loud"]["steps"][1] = {"shout": {"mark": "?"}}
    assert "params.mark: (default) → ?" in str(house.plan())


def test_a_dataset_can_be_made_from_a_dataset(house):
    house.catalog["datasets"]["few"] = {"from": "duo", "steps": [{"most": {"count": 5, "as": "cap"}}]}
    built = {one.dataset: one for one in house.build("few")}
    assert built["few"].rows == 10 and set(built) == {"duo", "few"}
    assert house.query("SELECT count(*) FROM few WHERE score(scores, 'letters') >= 12").item() == 10
    assert house.query("SELECT count(*) FROM few.rejected").item() == built["duo"].rows - 10


def test_fitting_looks_at_all_shards_first(house):
    house.letters.update(fitted=True, min=0.5)
    house.build()
    longest = max(len(text(language, n)) for language, rows in (("en", 120), ("sw", 90)) for n in range(rows))
    scores = house.query("SELECT score(scores, 'letters') AS s, text FROM duo")
    assert scores.height and all(abs(s - len(t) / longest) < 1e-12 for s, t in scores.rows())


def test_a_second_catalog_does_not_take_over_a_dataset_of_the_same_name(house, tmp_path):
    [first] = house.build()
    text = (house.folder / "catalog.yaml").read_text()
    (house.folder / "other.yaml").write_text(text.replace("min: 12", "min: 13"))
    other = curate.load_catalog(house.folder / "other.yaml", registry=house.registry)
    for go in (lambda: build_datasets(other, house.registry), lambda: make_plan(other, house.registry)):
        with pytest.raises(
            BuildError,
            match=r"other.yaml:\d+: the dataset 'duo' in .* was built from catalog.yaml, which still defines it",
        ):
            go()
    assert house.store.resolve("duo") == first.version
    # Another name or another store is all it takes; an included file defines its datasets for whoever includes it.
    (house.folder / "renamed.yaml").write_text(text.replace("duo:", "trio:"))
    assert (
        build_datasets(curate.load_catalog(house.folder / "renamed.yaml", registry=house.registry), house.registry)[
            0
        ].rows
        == first.rows
    )
    (house.folder / "wide.yaml").write_text("version: 1\ninclude: catalog.yaml\n")
    assert (
        build_datasets(
            curate.load_catalog(house.folder / "wide.yaml", registry=house.registry), house.registry, ["duo"]
        )[0].version
        == first.version
    )
    # A catalog that was renamed goes on with its datasets, and so does a folder that was moved.
    (house.folder / "catalog.yaml").rename(house.folder / "new-name.yaml")
    renamed = curate.load_catalog(house.folder / "new-name.yaml", registry=house.registry)
    assert build_datasets(renamed, house.registry, ["duo"])[0].version == first.version


def test_cuts_do_not_change_the_version(house):
    [first] = house.build()
    other = build_datasets(house.load(), house.registry, chunk_limits=ChunkLimits(least=16, mean=16, most=30))[0]
    assert other.version == first.version


def test_workers_and_inline_give_the_same_version(house, tmp_path):
    [inline] = house.build()
    house.catalog["run"] = {"workers": 2, "store": "elsewhere"}
    [spread] = house.build()
    assert spread.version == inline.version and spread.path != inline.path


def test_garbage_is_what_no_last_build_stands_on(house):
    house.build()
    house.letters["min"] = 20
    house.build()
    kept = house.query("SELECT count(*) FROM duo").item()
    versions = house.store.versions("duo")
    assert len(versions) == 2
    found = collect_garbage(house.store, dry_run=True)
    assert found.results and len(house.store.versions("duo")) == 2
    found = collect_garbage(house.store)
    assert [name.split("@")[1] for name in found.versions] == [v for v in versions if v != house.store.resolve("duo")]
    assert house.query("SELECT count(*) FROM duo").item() == kept
    house.ran()
    [again] = house.build()
    assert not again.changed and house.ran() == []


def test_verify_notices_a_changed_byte_and_a_lost_file(house):
    [built] = house.build()
    assert verify_version(house.store, "duo") == []
    path = next(built.path.glob("data/train-*.parquet"))
    data = bytearray(path.read_bytes())
    path.unlink()
    assert any("it is gone" in problem for problem in verify_version(house.store, "duo"))
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert any("bytes" in problem for problem in verify_version(house.store, "duo"))


def test_an_empty_source_makes_an_empty_version(house):
    house.write("en", [])
    house.write("sw", [])
    (house.folder / "en.txt").write_text("")
    (house.folder / "sw.txt").write_text("")
    [built] = house.build()
    assert built.rows == 0 and house.query("SELECT count(*) FROM duo").item() == 0
    assert verify_version(house.store, "duo") == []


def test_a_failing_step_names_stage_and_shard(house):
    house.letters["journal"] = "/nowhere/at/all"
    with pytest.raises(BuildError, match=r"duo/letters \(shard work/.*nowhere"):
        house.build()


def test_steps_that_do_not_fit_the_kind_are_told_before_anything_runs(house):
    house.catalog["datasets"]["duo"]["from"] = ["english", "nobody"]
    with pytest.raises(curate.CatalogError, match="no source or dataset is called 'nobody'"):
        house.build()
