"""Forgotten rows are gone with all that was made of them, stay gone, and cost the others nothing."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import yaml
from house import text
from servers.llm import FaultServer, Reply, last_turn

import curate
from curate import forget
from curate.catalog import CatalogError
from curate.catalog.forgotten import FILE, read_forgotten, remember_to_forget
from curate.engine.store.gc import verify_version
from curate.errors import BuildError, QueryError, StoreError


def everything(house) -> set[str]:
    return set(house.query("SELECT text FROM duo UNION SELECT text FROM duo.rejected")["text"])


def test_a_row_is_gone_from_data_and_rejects_and_no_other_row_is_scored_again(house):
    house.build()
    victim = house.query("SELECT id, text FROM duo WHERE language = 'sw' ORDER BY text LIMIT 1").to_dicts()[0]
    house.ran()
    erased = forget(rows=[victim["id"]], reason="asked to", catalog=house.load(), registry=house.registry)
    [built], held = erased.built, erased.versions
    assert (erased.rows, erased.added, erased.datasets) == (1, 1, ("duo",))
    assert victim["text"] not in everything(house) and len(everything(house)) == 209
    assert len(house.ran()) < 60  # one shard, not ten
    assert not verify_version(house.store, "duo")
    assert list(held.values()) == [1] and built.version not in next(iter(held))
    [line] = (house.folder / FILE).read_text().splitlines()
    assert json.loads(line)["row"] == victim["id"] and json.loads(line)["reason"] == "asked to"
    assert victim["text"] not in line


def test_a_forgotten_row_stays_away_when_the_store_is_built_anew(house, tmp_path):
    house.build()
    victim = house.query("SELECT id, text FROM duo.rejected ORDER BY id LIMIT 1").to_dicts()[0]
    forget(rows=[victim["id"]], catalog=house.load(), registry=house.registry)
    import shutil

    shutil.rmtree(tmp_path / ".curate")
    house.build()
    assert victim["text"] not in everything(house) and len(everything(house)) == 209


def test_a_condition_takes_kept_and_rejected_rows_and_purge_leaves_no_version_with_them(house):
    house.build()
    erased = forget("duo", where="text LIKE '%lamp%'", purge=True, catalog=house.load(), registry=house.registry)
    held = erased.versions
    gone = {
        text(language, n)
        for language, rows in (("en", 120), ("sw", 90))
        for n in range(rows)
        if "lamp" in text(language, n)
    }
    assert erased.rows == len(gone) > 10
    assert not any("lamp" in one for one in everything(house))
    assert held == {} and len(house.store.versions("duo")) == 1
    # Nor lies a text anywhere in the store.
    for path in house.store.root.rglob("*.parquet"):
        table = pq.read_table(path)
        if "text" in table.column_names:
            assert not any("lamp" in one for one in table["text"].to_pylist()), path


def test_a_whole_source_goes_and_its_translations_lose_their_parents(house):
    house.build()
    [built] = forget(sources=["english"], catalog=house.load(), registry=house.registry).built
    assert set(built.funnel.kept) == {"sw"}
    assert house.query("SELECT count(*) AS n FROM duo.rejected WHERE language = 'en'")["n"][0] == 0


def test_what_was_made_of_a_row_goes_with_it_and_answers_that_stay_cost_no_call(tmp_path):
    prompts = [{"p": f"Swali la {number}"} for number in range(6)]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(one) + "\n" for one in prompts))
    with FaultServer(lambda body, _: Reply(text=f"Jibu: {last_turn(body)}")) as server:
        catalog = {
            "version": 1,
            "models": {"m": {"use": "openai", "url": server.url, "model": "tests/echo"}},
            "sources": {
                "s": {
                    "use": "jsonl",
                    "path": "p.jsonl",
                    "kind": "prompt",
                    "language": "sw",
                    "license": "CC0-1.0",
                    "columns": {"prompt": "{p}"},
                }
            },
            "datasets": {"d": {"from": "s", "steps": [{"respond": {"model": "m"}}]}},
            "run": {"workers": 1},
        }
        path = tmp_path / "catalog.yaml"
        path.write_text(yaml.safe_dump(catalog))
        curate.build(path)
        calls = len(server.calls)
        assert calls == 6
        answered = curate.query(
            "SELECT id, lineage.parents[1] AS parent FROM d ORDER BY messages[1].content", catalog=path
        )
        erased = forget(rows=[answered["parent"][2]], purge=True, catalog=path)
        [built], held = erased.built, erased.versions
        assert built.rows == 5 and held == {}
        left = curate.query("SELECT messages[1].content AS p, messages[2].content AS r FROM d ORDER BY 1", catalog=path)
        assert left["p"].to_list() == [f"Swali la {number}" for number in (0, 1, 3, 4, 5)]
        assert all(row["r"] == f"Jibu: {row['p']}" for row in left.to_dicts())
        # The origin of a made row, named by the made row.
        victim = answered["id"][0]
        erased = forget("d", where=f"id = '{victim}'", origins=True, purge=True, catalog=path)
        assert erased.rows == 2 and erased.built[0].rows == 4
        assert len(server.calls) == calls


def test_what_is_unknown_is_an_error_and_nothing_is_written(house):
    house.build()
    catalog = house.load()
    for error, given in (
        (BuildError, {"sources": ["englsh"]}),
        (StoreError, {"rows": ["0" * 32]}),
        (BuildError, {}),
        (BuildError, {"where": "true"}),
        (QueryError, {"name": "duo", "where": "colour = 1"}),
        (BuildError, {"name": "duo", "where": "false"}),
        (StoreError, {"name": "trio", "where": "true"}),
    ):
        with pytest.raises(error):
            forget(**{"catalog": catalog, "registry": house.registry, **given})
    assert not (house.folder / FILE).exists()


def test_a_list_that_cannot_be_read_stops_everything(house):
    house.load()
    (house.folder / FILE).write_text('{"row": "abc"}\nnonsense\n{"source": "english"}\n')
    with pytest.raises(CatalogError) as raised:
        house.load()
    assert (
        f"{FILE}:1" in str(raised.value) and f"{FILE}:2" in str(raised.value) and f"{FILE}:3" not in str(raised.value)
    )


def test_the_list_is_added_to_once(tmp_path):
    assert remember_to_forget(tmp_path, rows=["a" * 32, "b" * 32], sources=["x"]) == 3
    assert remember_to_forget(tmp_path, rows=["a" * 32, "c" * 32]) == 1
    found, problems = read_forgotten(tmp_path)
    assert not problems and found.rows == {"a" * 32, "b" * 32, "c" * 32} and found.sources == {"x"}
    assert len((tmp_path / FILE).read_text().splitlines()) == 4


def test_what_was_made_of_it_two_steps_later_goes_too_and_every_dataset_that_holds_it_is_built_again(tmp_path):
    rows = [{"q": f"Swali {number}", "a": f"Jibu la kwanza {number}"} for number in range(5)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    with FaultServer(lambda body, _: Reply(text=f"Sawa: {last_turn(body)}")) as server:
        source = {
            "use": "jsonl",
            "path": "s.jsonl",
            "kind": "sft",
            "language": "sw",
            "license": "CC0-1.0",
            "columns": {"prompt": "{q}", "response": "{a}"},
        }
        catalog = {
            "version": 1,
            "models": {"m": {"use": "openai", "url": server.url, "model": "tests/echo"}},
            "sources": {"s": source},
            "datasets": {
                "plain": {"from": "s"},
                "deep": {
                    "from": "s",
                    "steps": [
                        {"respond": {"model": "m"}},
                        {"respond": {"as": "again", "model": "m", "system": "Once more."}},
                    ],
                },
                "deeper": {
                    "from": "deep",
                    "steps": [{"respond": {"as": "third", "model": "m", "system": "And again."}}],
                },
            },
            "run": {"workers": 1},
        }
        path = tmp_path / "catalog.yaml"
        path.write_text(yaml.safe_dump(catalog))
        curate.build(path)
        calls = len(server.calls)
        [source_id] = curate.query("SELECT id FROM plain WHERE messages[1].content = 'Swali 3'", catalog=path)["id"]
        assert (
            source_id
            not in curate.query("SELECT unnest(lineage.parents) AS p FROM deeper", catalog=path)["p"].to_list()
        )
        erased = forget(rows=[source_id], purge=True, catalog=path)
        built, held = erased.built, erased.versions
        assert set(erased.datasets) == {"plain", "deep", "deeper"} and held == {}
        assert {one.dataset: one.rows for one in built} == {"plain": 4, "deep": 4, "deeper": 4}
        for name in ("plain", "deep", "deeper"):
            assert (
                "Swali 3"
                not in curate.query(f"SELECT messages[1].content AS q FROM {name}", catalog=path)["q"].to_list()
            )
        # From the far end up to the source.
        [far] = curate.query("SELECT id FROM deeper WHERE messages[1].content = 'Swali 1'", catalog=path)["id"]
        forget("deeper", where=f"id = '{far}'", origins=True, purge=True, catalog=path)
        assert curate.query("SELECT count(*) AS n FROM plain", catalog=path)["n"][0] == 3
        assert len(server.calls) == calls
