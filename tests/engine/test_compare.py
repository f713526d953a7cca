"""What became of a dataset from one version to the next: each difference with the step or source that is
responsible."""

from __future__ import annotations

import pytest
from house import CUTS, text

from curate.api.datasets import rebuild
from curate.engine.store.diff import compare, sides
from curate.engine.store.gc import verify_version
from curate.engine.store.history import remove_tag, tag_version, version_log
from curate.engine.store.integrity import seal
from curate.errors import StoreError


def difference(house, first, second=None):
    return compare(house.store, *sides(house.store, first, second))


def test_a_stricter_threshold_is_named_with_the_rows_it_took(house):
    house.catalog["datasets"]["duo"]["steps"].pop()  # no limit that lets others in
    [old] = house.build()
    house.letters["min"] = {"default": 12, "sw": 30}
    [new] = house.build()
    found = difference(house, f"duo@{old.version}", "duo")
    gone = house.query(f"""SELECT count(*) AS n FROM "duo@{old.version}" WHERE id NOT IN (SELECT id FROM duo)""")["n"][
        0
    ]
    assert gone > 0 and found.count("removed") == gone == old.rows - new.rows
    assert found.count("added") == found.count("changed") == 0
    assert found.changes["because"].unique().to_list() == ["dropped by letters (too short)"]
    assert found.changes["language"].unique().to_list() == ["sw"]
    assert found.recipe == ["letters.min: 12 → " + '{"default":12,"sw":30}'] or all(
        "letters" in line for line in found.recipe
    )
    back = difference(house, "duo", f"duo@{old.version}")
    assert back.count("added") == gone
    assert back.changes["because"].unique().to_list() == ["no longer dropped by letters (too short)"]


def test_lines_that_came_went_and_changed_are_told_with_their_source(house):
    house.build()
    lines = [f"en\t{n}\t{text('en', n)}" for n in range(120)]
    lines[50] = "en\t50\tThis line says something else now 50"
    house.catalog["datasets"]["duo"]["steps"].pop()  # no limit: all English rows are kept
    [old] = house.build()
    house.write("en", [*lines[:100], "en\t500\tA line that was not there before"])
    house.build()
    found = difference(house, f"duo@{old.version}", "duo")
    told = {(row["change"], row["because"]): row["rows"] for row in found.changes.filter(language="en").to_dicts()}
    assert told["changed", "changed in english"] >= 1
    assert ("added", "new in english") in told or told["changed", "changed in english"] > 1
    assert sum(rows for (change, _), rows in told.items() if change == "removed") > 0
    assert any("en.txt" in line for line in found.recipe)
    known = set(house.query(f"""SELECT id FROM "duo@{old.version}" UNION SELECT id FROM duo""")["id"])
    assert set(found.examples["id"]) <= known and found.examples.height


def test_rows_whose_source_left_the_dataset_say_so(house):
    [old] = house.build()
    house.catalog["datasets"]["duo"]["from"] = ["english"]
    house.build()
    found = difference(house, f"duo@{old.version}", "duo")
    swahili = found.changes.filter(language="sw")
    assert swahili["because"].unique().to_list() == ["no longer in the dataset: source swahili"]
    assert any(line.startswith("from") for line in found.recipe)


def test_equal_versions_have_no_difference_and_scores_that_moved_have_a_mean(house):
    [old] = house.build()
    found = difference(house, "duo", "duo")
    assert found.same and not found.recipe and found.shifts.is_empty() and found.examples.is_empty()
    house.letters["as"] = "letters"
    house.letters["model"] = "ruler"
    house.catalog["datasets"]["duo"]["steps"].insert(
        0, {"letters": {"as": "first", "model": "ruler", "min": 1, "journal": str(house.journal)}}
    )
    house.build()
    again = difference(house, f"duo@{old.version}", "duo")
    assert again.same  # the same rows pass; the recipe tells the new step
    assert any(line.startswith("first") or "order of steps" in line for line in again.recipe)


def test_without_a_second_name_the_version_before_is_meant(house):
    [old] = house.build()
    with pytest.raises(StoreError, match="no other version"):
        sides(house.store, "duo", None)
    house.letters["min"] = 20
    [new] = house.build()
    assert sides(house.store, "duo", None) == (("duo", old.version), ("duo", new.version))
    with pytest.raises(StoreError, match="no dataset 'trio'"):
        sides(house.store, "trio", None)


def test_tags_name_versions_move_only_when_told_and_go(house):
    [old] = house.build()
    assert tag_version(house.store, "duo", "v1.0", note="first try") == old.version
    house.letters["min"] = 20
    [new] = house.build()
    assert house.store.resolve("duo", "v1.0") == old.version
    with pytest.raises(StoreError, match="names duo@"):
        tag_version(house.store, "duo", "v1.0")
    assert tag_version(house.store, "duo", "v1.0", move=True) == new.version
    remove_tag(house.store, "duo", "v1.0")
    with pytest.raises(StoreError, match=r"has no tag 'v1\.0'"):
        remove_tag(house.store, "duo", "v1.0")
    with pytest.raises(StoreError, match="has no tag 'latest'"):
        remove_tag(house.store, "duo", "latest")
    for wrong in ("latest", "abc1", "1.0", "a/b", "", "-x", "é"):
        with pytest.raises(StoreError, match="cannot be a tag"):
            tag_version(house.store, "duo", wrong)


def test_the_story_tells_versions_newest_first_with_what_changed(house):
    [old] = house.build()
    house.letters["min"] = 20
    [new] = house.build()
    tag_version(house.store, "duo", "good")
    entries = version_log(house.store, "duo")
    assert [entry.version for entry in entries] == [new.version, old.version]
    assert {"good", "latest"} <= set(entries[0].refs) and not entries[1].changes
    assert entries[0].changes == tuple(line for line in entries[0].changes if line.startswith("letters.min")) != ()
    assert (entries[0].rows, entries[1].rows) == (new.rows, old.rows)


def test_building_again_from_nothing_proves_the_digest_and_tells_a_changed_catalog(house):
    [built] = house.build()
    assert rebuild("duo", catalog=house.load(), registry=house.registry, chunk_limits=CUTS) == (
        built.version,
        built.version,
        [],
    )
    assert rebuild("duo", catalog=house.load(), registry=house.registry) == (
        built.version,
        built.version,
        [],
    )  # other shards
    house.letters["min"] = 20
    there, again, said = rebuild("duo", catalog=house.load(), registry=house.registry, chunk_limits=CUTS)
    assert there == built.version != again
    assert said and all(line.startswith("letters.min") for line in said)
    assert house.store.versions("duo") == [built.version] and not list((house.store.root / "scratch").glob("*"))


def test_verify_notices_rows_that_say_they_come_from_elsewhere(house):
    [built] = house.build()
    assert verify_version(house.store, "duo") == []
    path = built.path / "manifest.json"
    manifest = house.store.manifest("duo", built.version)
    manifest["sources"] = [one for one in manifest["sources"] if one["name"] != "swahili"]
    path.write_bytes(seal(manifest))
    assert any("rows come from swahili" in problem for problem in verify_version(house.store, "duo"))
