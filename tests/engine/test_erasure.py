"""After an erasure nothing in the store, and no copy that it knows of, holds the text: looked for byte by byte,
whatever it lay in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from servers.llm import FaultServer, Reply, last_turn
from typer.testing import CliRunner

import curate
from curate import forget
from curate.catalog.forgotten import FILE
from curate.cli.main import app
from curate.engine.store.history import tag_version
from curate.engine.store.store import Store
from curate.errors import BuildError, QueryError, StoreError

SECRETS = {
    "sw": "Zawadi Mwangi anaishi mtaa wa Kilimani",
    "ar": "تسكن زينب في شارع الزيتون رقم ٧",
    "th": "สมชายอยู่บ้านเลขที่เก้าสิบสาม",
    "zh": "王小明住在柳树街十七号三楼",
    "en": "Odalys lives at 12 Kelp Lane",
}


def lies(folder: Path, text: str) -> list[Path]:
    """The files in which a text lies: Parquet decoded, everything else byte by byte, as UTF-8 and as JSON may
    escape it."""
    forms = [text.encode(), json.dumps(text)[1:-1].encode()]
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                try:
                    content += orjson.dumps(pq.read_table(path).to_pylist())
                except Exception:  # noqa: BLE001 - damaged: its bytes are looked through all the same
                    content += b""
            if any(form in content for form in forms):
                found.append(path)
    return found


def texts(language: str) -> list[str]:
    return [f"{SECRETS[language] if number == 3 else f'{language} {number}'}: {number * 7919}" for number in range(8)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A catalog with a source in five languages whose answers come from a server that repeats what it is told, and
    a file with bad lines."""
    for language in SECRETS:
        lines = [json.dumps({"p": text}, ensure_ascii=language == "ar") for text in texts(language)]
        (tmp_path / f"{language}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with FaultServer(lambda body, _: Reply(text=f"Sawa! {last_turn(body)}")) as server:
        source = {
            "use": "jsonl",
            "kind": "prompt",
            "license": "CC0-1.0",
            "columns": {"prompt": "{p}"},
            "max_error_rate": 1.0,
        }
        catalog: dict[str, Any] = {
            "version": 1,
            "models": {"m": {"use": "openai", "url": server.url, "model": "tests/echo"}},
            "sources": {
                language: {**source, "path": f"{language}.jsonl", "language": language} for language in SECRETS
            },
            "datasets": {
                "d": {"from": list(SECRETS), "steps": [{"respond": {"model": "m"}}]},
                "again": {"from": "d", "steps": [{"respond": {"model": "m", "system": "Again."}}]},
            },
            "run": {"workers": 1},
        }

        class Home:
            folder, file, calls = tmp_path, tmp_path / "catalog.yaml", server.calls
            raw = catalog

            def write(self) -> None:
                self.file.write_text(yaml.safe_dump(catalog, allow_unicode=True))

            @property
            def store(self) -> Store:
                return Store(tmp_path / ".curate").open()

            def ids(self, table: str, text: str) -> list[str]:
                return curate.query(
                    f"SELECT id FROM {table} WHERE messages[1].content LIKE '%{text}%'", catalog=self.file
                )["id"].to_list()

        found = Home()
        found.write()
        monkeypatch.chdir(tmp_path)
        yield found


@pytest.mark.parametrize("language", SECRETS)
def test_no_byte_of_a_forgotten_row_is_left(home, language):
    secret = SECRETS[language]
    curate.build(home.file)
    assert len(lies(home.store.root, secret)) > 4
    calls = len(home.calls)
    done = forget("d", where=f"messages[1].content LIKE '{secret}%'", origins=True, purge=True, catalog=home.file)
    assert lies(home.store.root, secret) == [] and done.versions == {} and done.answers >= 1
    assert set(done.datasets) == {"d", "again"} and {one.rows for one in done.built} == {39}
    assert secret not in (home.folder / FILE).read_text() and len(home.calls) == calls
    # What stays is whole, and no answer is paid for again when all has to be made anew.
    for other in SECRETS.values():
        assert bool(lies(home.store.root, other)) == (other != secret)
    [first, second] = curate.build(home.file)
    assert not first.changed and not second.changed and len(home.calls) == calls


@pytest.fixture
def beside(home):
    """Texts of other rows stand beside each row, and one dataset writes them into its texts."""
    pick = [{"negatives": {"n": 2, "among": "{language}"}}]
    home.raw["datasets"] = {
        "beside": {"from": list(SECRETS), "steps": [{"respond": {"model": "m"}}, *pick]},
        "within": {
            "from": "beside",
            "steps": [{"compose": {"into": {"prompt": "{prompt}", "response": "{attribute.negatives.1}"}}}],
        },
        "apart": {
            "from": list(SECRETS),
            "steps": [{"respond": {"model": "m"}}, {"corrupt": {"field": "response", "shuffle": 3}}],
        },
    }
    home.write()
    curate.build(home.file)
    return home


def test_texts_beside_other_rows_go_and_these_rows_stay(beside):
    secret = SECRETS["en"]
    apart = beside.store.refs("apart")["latest"]["version"]
    assert len(lies(beside.store.dataset("within"), secret)) > 0
    done = forget("apart", where=f"messages[1].content LIKE '{secret}%'", origins=True, purge=True, catalog=beside.file)
    assert done.rows == 3, "the prompt, the answer and its damaged form; none that merely stood beside others"
    assert lies(beside.store.root, secret) == [] and done.versions == {}
    assert {one.dataset: one.rows for one in done.built} == {"beside": 39, "within": 39, "apart": 39}
    assert f"apart@{apart}" in done.removed


def test_what_has_nothing_of_a_row_stays_though_texts_stood_beside_rows_it_was_made_of(beside):
    beside.raw["datasets"]["swahili"] = {
        "from": "sw",
        "steps": [
            {"respond": {"model": "m", "prompt": "Say {prompt}"}},
            {"corrupt": {"field": "response", "shuffle": 3}},
        ],
    }
    beside.write()
    [built] = [one for one in curate.build(beside.file) if one.dataset == "swahili"]
    [row] = beside.ids("beside", "sw 5")
    done = forget(rows=[row], purge=True, catalog=beside.file)
    assert "swahili" not in done.datasets and done.versions == {}
    assert beside.store.refs("swahili")["latest"]["version"] == built.version
    again = forget("beside", where="messages[1].content LIKE 'th 1%'", purge=True, catalog=beside.file)
    assert f"swahili@{built.version}" not in again.removed and again.versions == {}


def test_what_could_not_be_made_of_a_row_beside_which_it_stood_goes_too(beside):
    beside.raw["datasets"] = {
        "lost": {
            **beside.raw["datasets"]["beside"],
            "steps": [
                *beside.raw["datasets"]["beside"]["steps"],
                {
                    "rewrite": {
                        "model": "m",
                        "prompt": "{attribute.negatives.1} {attribute.negatives.2}",
                        "into": {"response": "answer.a"},
                        "response_format": {
                            "type": "object",
                            "properties": {"a": {"type": "string"}},
                            "required": ["a"],
                        },
                        "retries": 0,
                        "max_error_rate": 1.0,
                    }
                },
            ],
        }
    }
    beside.write()
    curate.build(beside.file)
    secret = SECRETS["zh"]
    assert any("quarantined" in path.parts for path in lies(beside.store.dataset("lost"), secret))
    done = forget("lost", where=f"messages[1].content LIKE '{secret}%'", origins=True, purge=True, catalog=beside.file)
    assert lies(beside.store.root, secret) == [] and done.versions == {}


def test_a_row_of_which_nothing_could_be_made_goes_by_what_it_says_or_by_the_answer(home):
    """It is in no table of rows: only its id is, beside the raw answer in 'quarantined'."""
    home.raw["datasets"] = {
        "d": {
            "from": list(SECRETS),
            "steps": [
                {
                    "respond": {
                        "model": "m",
                        "response_format": {
                            "type": "object",
                            "properties": {"a": {"type": "string"}},
                            "required": ["a"],
                        },
                        "max_error_rate": 1.0,
                        "retries": 0,
                    }
                }
            ],
        }
    }
    home.write()
    curate.build(home.file)
    assert curate.query("SELECT count(*) AS n FROM d", catalog=home.file)["n"][0] == 0
    for where, secret in (
        (f"prompt[1].content LIKE '{SECRETS['th']}%'", SECRETS["th"]),
        (f"raw LIKE '%{SECRETS['zh']}%'", SECRETS["zh"]),
    ):
        assert lies(home.store.root, secret)
        done = forget("d", where=where, purge=True, catalog=home.file)
        assert done.rows == 1 and done.datasets == ("d",) and lies(home.store.root, secret) == []
    [row] = curate.query(f"SELECT place FROM d.quarantined WHERE raw LIKE '%{SECRETS['sw']}%'", catalog=home.file)[
        "place"
    ]
    forget(rows=[row], purge=True, catalog=home.file)
    assert lies(home.store.root, SECRETS["sw"]) == [] and lies(home.store.root, SECRETS["ar"])
    assert curate.query("SELECT count(*) AS n FROM d.quarantined", catalog=home.file)["n"][0] == 37


def test_unreadable_lines_go_by_file_and_line_or_by_a_condition(home):
    for language, secret in SECRETS.items():
        with (home.folder / f"{language}.jsonl").open("a", encoding="utf-8") as file:
            file.write(f'{{"p": "{secret}\n')
            file.write('{"p": "harmless\n')
    home.raw["datasets"] = {"d": {"from": list(SECRETS)}}
    home.write()
    curate.build(home.file)
    row = curate.query("SELECT id FROM d WHERE prompt[1].content LIKE '%Kelp%'", catalog=home.file)["id"].to_list()
    forget(rows=row, purge=True, catalog=home.file)
    assert lies(home.store.root, SECRETS["en"])  # in the raw text of the line
    for given, wrong in (
        ("en.jsonl:line 900", r"unreadable there are 9, 10|unreadable there are 10, 9"),
        ("no.jsonl:9", "quarantined lists them"),
        ("x", "FILE:LINE"),
    ):
        with pytest.raises(StoreError, match=wrong):
            forget(lines=[given], catalog=home.file)
    done = forget(lines=["en.jsonl:9"], purge=True, reason="a letter", catalog=home.file)
    assert (done.rows, done.added, done.datasets) == (1, 1, ("d",)) and lies(home.store.root, SECRETS["en"]) == []
    told = curate.query("SELECT unit, place FROM d.quarantined WHERE unit LIKE 'en%'", catalog=home.file).rows()
    assert told == [("en.jsonl", "line 10")]
    # The line is known by what it says: another place in the file does not bring it back.
    lines = (home.folder / "en.jsonl").read_text().splitlines()
    (home.folder / "en.jsonl").write_text("\n".join([lines[-2], *lines]) + "\n")
    curate.build(home.file)
    assert lies(home.store.root, SECRETS["en"]) == []
    done = forget("d", where=f"unit = 'ar.jsonl' AND raw LIKE '%{SECRETS['ar']}%'", purge=True, catalog=home.file)
    assert done.rows == 1 and not any("ar.jsonl:9" in str(path) for path in lies(home.store.root, SECRETS["ar"]))
    assert (
        curate.query("SELECT count(*) AS n FROM d.quarantined WHERE unit = 'ar.jsonl'", catalog=home.file)["n"][0] == 1
    )


def spoil(home, how: str) -> None:
    store = home.store
    old = next(one for one in store.versions("d") if one != store.resolve("d"))
    folder = store.dataset("d") / old
    if how == "no manifest":
        (folder / "manifest.json").unlink()
    elif how == "damaged manifest":
        (folder / "manifest.json").write_text('{"rows": ')
    elif how == "damaged rows":
        [path, *_] = sorted(folder.glob("data/*.parquet"))
        path.write_bytes(path.read_bytes()[:-9])
    elif how == "set aside":
        store.set_aside(folder)
    elif how == "left by a kill":
        folder.rename(folder.with_name(f".tmp-{folder.name}-1-x"))
    elif how == "tagged":
        tag_version(store, f"d@{old}", "v1")


@pytest.mark.parametrize(
    "how", ["whole", "tagged", "no manifest", "damaged manifest", "damaged rows", "set aside", "left by a kill"]
)
def test_versions_in_whatever_state_are_reached(home, how):
    import curate.engine.store.history

    home.raw["datasets"] = {"d": {"from": list(SECRETS)}}
    home.write()
    curate.build(home.file)
    home.raw["datasets"]["d"]["steps"] = [{"shape": {"min_chars": 1}}]
    home.write()
    curate.build(home.file)
    assert len(home.store.versions("d")) == 2
    secret = SECRETS["sw"]
    [row] = curate.query(f"SELECT id FROM d WHERE prompt[1].content LIKE '{secret}%'", catalog=home.file)["id"]
    spoil(home, how)
    done = forget(rows=[row], purge=True, catalog=home.file)
    assert lies(home.store.root, secret) == [] and done.versions == {}
    assert curate.query("SELECT count(*) AS n FROM d", catalog=home.file)["n"][0] == 39


def test_innocent_versions_stay(home):
    home.raw["datasets"] = {"d": {"from": ["sw"]}, "e": {"from": ["en"]}}
    home.write()
    curate.build(home.file)
    home.raw["datasets"]["e"]["steps"] = [{"shape": {"min_chars": 1}}]
    home.write()
    curate.build(home.file)
    before = home.store.versions("e")
    assert len(before) == 2
    [row] = curate.query("SELECT id FROM d WHERE prompt[1].content LIKE 'Zawadi%'", catalog=home.file)["id"]
    done = forget(rows=[row], purge=True, catalog=home.file)
    assert home.store.versions("e") == before and done.datasets == ("d",) and len(done.removed) == 1


def test_a_dataset_that_no_catalog_builds_any_more_goes_with_its_rows(home):
    home.raw["datasets"] = {"d": {"from": ["sw"]}, "old": {"from": ["sw"], "steps": [{"shape": {"min_chars": 1}}]}}
    home.write()
    curate.build(home.file)
    del home.raw["datasets"]["old"]
    home.write()
    [row] = curate.query("SELECT id FROM d WHERE prompt[1].content LIKE 'Zawadi%'", catalog=home.file)["id"]
    done = forget(rows=[row], catalog=home.file)
    assert any(one.startswith("old@") for one in done.versions)
    done = forget(purge=True, catalog=home.file)
    assert done.versions == {} and lies(home.store.root, SECRETS["sw"]) == [] and home.store.versions("old") == []


def test_exports_reports_and_sheets_go_unless_somebody_changed_them(home):
    home.raw["datasets"] = {"d": {"from": list(SECRETS), "steps": [{"respond": {"model": "m"}}]}}
    home.write()
    curate.build(home.file)
    curate.export("d", "trl", "openai", catalog=home.file)
    curate.report("d", "d.html", catalog=home.file, sample=10_000)
    curate.review_export("d", "sheet.csv", sample=None, catalog=home.file)
    curate.review_export("d", "filled.csv", sample=None, catalog=home.file)
    with Path("filled.csv").open("a") as file:
        file.write("checked by Amina\n")
    Path("exports/d/trl/checkpoint").mkdir()
    Path("exports/d/trl/checkpoint/weights").write_text("mine")
    curate.publish("d", str(home.folder / "public"), override="ours", catalog=home.file)
    secret = SECRETS["en"]
    outside = {path.relative_to(home.folder).parts[0] for path in lies(home.folder, secret)}
    assert outside == {".curate", "en.jsonl", "exports", "d.html", "sheet.csv", "filled.csv", "public"}
    row = home.ids("d", secret)
    done = forget(rows=row, origins=True, catalog=home.file)
    assert len(done.copies) == 5 and len(done.published) == 1 and "public" in done.published[0]
    done = forget(purge=True, catalog=home.file)
    outside = {path.relative_to(home.folder).parts[0] for path in lies(home.folder, secret)}
    assert outside == {"en.jsonl", "filled.csv", "public"}
    assert len(done.copies) == 1 and "filled.csv" in done.copies[0] and "was changed since" in done.copies[0]
    assert Path("exports/d/trl/checkpoint/weights").read_text() == "mine" and not Path("exports/d/openai").exists()
    # An export of the new version is none of these.
    curate.export("d", "trl", catalog=home.file, to="fresh")
    forget(rows=home.ids("d", SECRETS["sw"]), catalog=home.file)
    assert lies(home.folder / "fresh", SECRETS["th"])


KILLED = """
import os, sys
import curate.erase.places as places, curate.erase as erase
from curate import forget
name, where, secret = sys.argv[1:]
module = erase if hasattr(erase, name) else places
setattr(module, name, lambda *a, **k: os._exit(9))
forget("d", where=where, origins=True, purge=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "where",
    ["build_datasets", "forget_cached", "remove_versions", "remove_leftovers", "results_with", "remove_copies"],
)
def test_an_erasure_that_was_killed_is_carried_on(home, where):
    """The condition holds for no row of the new version any more; what was begun is known all the same."""
    curate.build(home.file)
    curate.export("d", "trl", catalog=home.file)
    condition = f"messages[1].content LIKE '{SECRETS['ar']}%'"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, where, condition, SECRETS["ar"]], env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 9, done.stderr
    if where == "results_with":  # it is asked before anything is written, too
        forget("d", where=condition, origins=True, purge=False, catalog=home.file)
    assert (home.store.root / "erasure.json").exists()
    carried = forget(purge=True, catalog=home.file)
    assert (
        carried.versions == {}
        and lies(home.store.root, SECRETS["ar"]) == []
        and not lies(home.folder / "exports", SECRETS["ar"])
    )
    assert curate.query("SELECT count(*) AS n FROM again", catalog=home.file)["n"][0] == 39
    assert not (home.store.root / "erasure.json").exists()


def test_the_same_command_again_carries_it_on_too(home):
    curate.build(home.file)
    condition = f"messages[1].content LIKE '{SECRETS['zh']}%'"
    forget("d", where=condition, origins=True, catalog=home.file)
    done = forget("d", where=condition, origins=True, purge=True, catalog=home.file)
    assert done.rows == 0 and done.versions == {} and lies(home.store.root, SECRETS["zh"]) == []
    with pytest.raises(BuildError, match="nothing to forget"):
        forget("d", where=condition, purge=True, catalog=home.file)


def test_what_was_made_of_a_row_long_ago_is_found_when_what_lay_between_is_gone(home):
    home.raw["datasets"] = {
        "d": {
            "from": list(SECRETS),
            "steps": [{"respond": {"model": "m"}}, {"respond": {"as": "more", "model": "m", "system": "More."}}],
        }
    }
    home.write()
    curate.build(home.file)
    tag_version(home.store, "d", "v1")
    sources = [pl.read_parquet(path) for path in home.store.root.glob("work/read-jsonl/*/rows-*.parquet")]
    [origin] = [
        row["id"] for frame in sources for row in frame.to_dicts() if SECRETS["th"] in row["prompt"][0]["content"]
    ]
    home.raw["datasets"]["d"]["steps"] = [{"shape": {"min_chars": 1}}]
    home.write()
    curate.build(home.file)
    from curate.engine.store.gc import collect_garbage

    collect_garbage(home.store)
    assert home.store.versions("d") and lies(home.store.dataset("d"), f"Sawa! {SECRETS['th']}")
    done = forget(rows=[origin], purge=True, catalog=home.file)
    assert done.versions == {} and lies(home.store.root, SECRETS["th"]) == []


def test_vectors_of_its_texts_go_and_a_damaged_cache_with_all_it_holds(home):
    import numpy as np

    from curate.models.cache.embeddings import EmbeddingCache
    from curate.rows.ids import hash_texts

    curate.build(home.file)
    [prompt] = [text for text in texts("th") if text.startswith(SECRETS["th"])]
    keys = hash_texts([f"Sawa! {prompt}", prompt, "another"])
    cache = EmbeddingCache(home.store.root / "cache", {"model": "m"}, 4)
    cache.put(keys, np.ones((3, 4), np.float16))
    cache.close()
    broken = home.store.root / "cache" / "answers" / "broken.sqlite"
    broken.write_text(f"no database, but {prompt}" * 50)
    done = forget("d", where=f"messages[1].content = '{prompt}'", origins=True, purge=True, catalog=home.file)
    assert done.vectors == 2 and set(cache.get(keys)) == {keys[2]} and not broken.exists()
    assert lies(home.store.root, SECRETS["th"]) == []


def test_an_erasure_waits_for_no_build_and_disturbs_none(home):
    from curate.engine.store.lock import StoreLock

    curate.build(home.file)
    with StoreLock(home.store.root):
        code = "import curate,sys; curate.forget(rows=[sys.argv[1]])"
        row = home.ids("d", SECRETS["sw"])[0]
        done = subprocess.run([sys.executable, "-c", code, row], capture_output=True, text=True)
    assert done.returncode == 1 and "another build works in" in done.stderr and not (home.folder / FILE).exists()


def test_recordings_that_repeat_its_texts_are_named(home):
    curate.build(home.file)
    for name, datasets in (("d.jsonl", ["d"]), ("both.jsonl.zst", ["d", "again"]), ("other.jsonl", ["d"])):
        curate.record(home.folder / name, *datasets, catalog=home.file)
    other = (home.folder / "other.jsonl").read_text().splitlines(keepends=True)
    (home.folder / "other.jsonl").write_text("".join(line for line in other if SECRETS["th"] not in line))
    home.raw["models"] |= {
        name.partition(".")[0]: {"use": "recorded", "path": name, "model": "tests/echo"}
        for name in ("d.jsonl", "both.jsonl.zst", "other.jsonl")
    }
    home.write()
    [row] = home.ids("d", SECRETS["th"])
    before = (home.folder / "d.jsonl").read_bytes()
    said = CliRunner().invoke(app, ["forget", "--row", row, "--origins", "--purge"]).output
    assert f"! recording {home.folder / 'd.jsonl'}: 1 of its lines repeat" in said
    assert f"! recording {home.folder / 'both.jsonl.zst'}: 2 of its lines repeat" in said
    assert "other.jsonl" not in said
    assert (home.folder / "d.jsonl").read_bytes() == before


def test_the_command_says_what_it_did_and_what_it_cannot_reach(home):
    curate.build(home.file)
    curate.export("d", "trl", catalog=home.file)
    curate.publish("d", str(home.folder / "public"), override="ours", catalog=home.file)
    [row] = home.ids("d", SECRETS["en"])
    old = home.store.resolve("d")
    said = CliRunner().invoke(app, ["forget", "--row", row, "--origins", "--reason", "a letter"]).output
    assert (
        f"! d@{old} still holds 1 such rows; --purge removes it" in said
        and "trl" in said
        and "--purge removes it" in said
    )
    said = CliRunner().invoke(app, ["forget", "--purge"]).output
    assert f"removed: d@{old}" in said and "removed: " + str(home.folder / "exports" / "d" / "trl") in said
    assert (
        "! published with such rows: " in said
        and "delete the old one there" in said
        and "cached answers of models and 0 vectors of texts removed" in said
    )
    assert CliRunner().invoke(app, ["forget"]).exit_code == 1
    with pytest.raises(QueryError):
        forget("d", where="no such column = 1", catalog=home.file)
