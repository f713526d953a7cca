from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from curate.engine.store.store import Store
from curate.errors import PublishError, StoreError
from curate.rows import narrow
from outputs.publishing.layout import Item, files, plan_layout
from outputs.publishing.open_target import open_target
from outputs.publishing.publish import publish, records
from outputs.publishing.targets import RemoteFile, State, compare, read_manifest, shown

sys.path.insert(0, str(Path(__file__).parent))
from servers.hub import READER, STRANGER, WRITER, Hub, Trouble
from servers.hub_client import Client, Rows
from shop import SAID, Shop, shared_shop


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return shared_shop(tmp_path_factory.getbasetemp())


@pytest.fixture
def shop(built: Shop, tmp_path: Path) -> Shop:
    """A copy to change."""
    shutil.copytree(built.folder, tmp_path / "shop")
    mine = Shop(tmp_path / "shop")
    mine.catalog = copy.deepcopy(built.catalog)
    return mine


def stored(store: Store, name: str, split: str, language: str | None = None) -> Rows:
    from outputs.export import open_version

    version = open_version(store, name)
    rows = [row for batch in version.rows(split) for row in narrow(batch.table, version.extras).to_pylist()]
    return [row for row in rows if language in (None, row["language"])]


def by_id(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: str(row["id"]))


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --------------------------------------------------------------------------------------------------------------- places
@pytest.mark.parametrize(
    ("to", "form", "address"),
    [
        ("mtu/talk", "hub", "mtu/talk"),
        ("hf://datasets/mtu/talk", "hub", "mtu/talk"),
        ("./x/y", "folder", "x/y"),
        ("memory://a/b", "url", "memory://a/b"),
        ("file:///tmp/some/where", "folder", "/tmp/some/where"),
    ],
)
def test_a_place_is_known_by_how_it_is_written(to: str, form: str, address: str) -> None:
    place = open_target(to)
    assert (place.form, place.address) == (form, address)


@pytest.mark.parametrize(
    "to",
    [
        "talk",
        "a/b/c",
        "a/b--c",
        "a/..",
        "a/.b",
        "a/b.git",
        "-a/b",
        "مرحبا/b",
        "a/" + "b" * 97,
        "",
        "nosuch://x/y",
        "/",
        "memory://",
    ],
)
def test_what_is_no_place_is_said(to: str) -> None:
    with pytest.raises(PublishError):
        open_target(to)


def test_addresses_are_shown_without_anything_secret() -> None:
    assert shown("s3://key:secret@bucket/folder/?token=1#x") == "s3://bucket/folder"


def test_a_token_is_named_and_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (WRITER, "not a name", "NO_SUCH_TOKEN"):
        with pytest.raises(PublishError) as caught:
            open_target("a/b", token_env=name)
        assert WRITER not in str(caught.value)
    monkeypatch.setenv("MY_TOKEN", WRITER)
    open_target("a/b", token_env="MY_TOKEN")


def test_a_file_that_is_there_is_known_by_its_digest() -> None:
    item = Item.of("a.txt", b"hello\n")
    assert RemoteFile(6, item.sha256).same(item) and RemoteFile(
        6, blob="ce013625030ba8dba906f756967f9e9ca394464a"
    ).same(item)
    assert (
        not RemoteFile(7, item.sha256).same(item)
        and not RemoteFile(6, "0" * 64).same(item)
        and not RemoteFile(6).same(item)
    )
    state = State(
        {"a.txt": RemoteFile(6, item.sha256), "old": RemoteFile(1), "theirs": RemoteFile(1)},
        manifest={"publication": {"files": [{"path": "old", "sha256": "x"}]}},
    )
    assert [(one.path, one.action) for one in compare([item, Item.of("new", b"")], state)] == [
        ("a.txt", "same"),
        ("new", "add"),
        ("old", "remove"),
    ]
    assert read_manifest(b"[]") == read_manifest(b"{") == read_manifest(b'{"publication": 1}') == {}


# --------------------------------------------------------------------------------------------------------------- folder
def test_a_folder_holds_every_row_as_it_was(built: Shop, tmp_path: Path) -> None:
    to = tmp_path / "out"
    done = publish(built.store, "talk", str(to))
    assert (
        done.fresh
        and done.count("add") == 8
        and done.license == "CC0-1.0"
        and done.private is None
        and done.commit == done.tag == ""
    )
    for split in ("train", "test"):
        for language in ("ar", "th", "zh"):
            assert pl.read_parquet(to / "data" / language / f"{split}-*.parquet").to_dicts() == stored(
                built.store, "talk", split, language
            )
        [(count,)] = duckdb.sql(f"SELECT count(*) FROM '{to}/data/*/{split}-*.parquet'").fetchall()
        assert count == len(stored(built.store, "talk", split))
    says = json.loads((to / "manifest.json").read_bytes())
    assert {one["path"]: one["sha256"] for one in says["publication"]["files"]} == {
        path: digest for path, digest in tree(to).items() if path != "manifest.json"
    }
    answers = {
        message["content"] for row in pl.read_parquet(to / "data/*/*.parquet").to_dicts() for message in row["messages"]
    }
    assert all(any(answer in one for one in answers) for language in ("ar", "th", "zh") for _, answer in SAID[language])


def test_what_is_loaded_from_a_folder_is_what_was_published_last(shop: Shop, tmp_path: Path) -> None:
    """``datasets`` caches folders; a version of as many rows in files of the same names must not be taken for the one
    before."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    for seed in (3, 99):
        shop.catalog["datasets"]["talk"]["seed"] = seed
        shop.build("talk")
        publish(shop.store, "talk", str(tmp_path / "out"))
        for split in ("train", "test"):
            loaded = datasets.load_dataset(str(tmp_path / "out"), split=split, cache_dir=str(tmp_path / "cache"))
            assert by_id(list(loaded)) == by_id(stored(shop.store, "talk", split))


def test_publishing_again_changes_nothing_and_writes_no_record(built: Shop, tmp_path: Path) -> None:
    to = tmp_path / "out"
    publish(built.store, "talk", str(to))
    before, known = tree(to), len(records(built.store))
    again = publish(built.store, "talk", str(to))
    assert (
        not again.fresh
        and again.count("same") == 8
        and again.card_diff == ""
        and tree(to) == before
        and len(records(built.store)) == known
    )


def test_a_dry_run_says_all_and_does_nothing(built: Shop, tmp_path: Path) -> None:
    to = tmp_path / "out"
    planned = publish(built.store, "talk", str(to), dry_run=True)
    assert not to.exists() and planned.dry_run and planned.fresh and "+# talk" in planned.card_diff
    done = publish(built.store, "talk", str(to))
    assert planned.changes == done.changes and {one.path: one.sha256 for one in done.changes} == tree(to)
    assert [path.name for path in (built.store.root / "publish").iterdir() if path.name.startswith(".tmp")] == []


def test_one_configuration_takes_the_files_of_the_store(built: Shop, tmp_path: Path) -> None:
    publish(built.store, "talk", str(tmp_path / "out"), per_language=False)
    version = built.store.dataset("talk") / built.store.resolve("talk")
    assert {path: digest for path, digest in tree(tmp_path / "out").items() if path.startswith("data")} == {
        path: digest for path, digest in tree(version).items() if path.startswith("data")
    }
    # Files of the other layout go when it changes.
    done = publish(built.store, "talk", str(tmp_path / "out"))
    assert sorted(one.path for one in done.changes if one.action == "remove") == [
        "data/test-00000.parquet",
        "data/train-00000.parquet",
    ]
    assert not (tmp_path / "out" / "data" / "train-00000.parquet").exists()


def test_files_are_written_the_same_each_time_and_cut_where_they_are_full(
    built: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outputs.export import open_version
    from outputs.publishing import layout

    version = open_version(built.store, "talk")
    one, two = (files(version, plan_layout(version), tmp_path / name) for name in ("one", "two"))
    assert [(item.path, item.sha256, item.rows) for item in one] == [
        (item.path, item.sha256, item.rows) for item in two
    ]
    monkeypatch.setattr(layout, "_FILE_BYTES", 1)
    monkeypatch.setattr(layout, "_GROUP_BYTES", 1)
    monkeypatch.setattr(layout, "_OPEN_AT_ONCE", 2)
    whole = type(version).rows
    monkeypatch.setattr(type(version), "rows", lambda self, split, batch=2: whole(self, split, batch))
    cut = files(version, plan_layout(version), tmp_path / "cut")
    names = [item.path for item in cut if item.path.startswith("data/ar/train")]
    assert names[:2] == ["data/ar/train-00000.parquet", "data/ar/train-00001.parquet"] and names == sorted(names)
    rows = pl.read_parquet(tmp_path / "cut" / "data" / "ar" / "train-*.parquet").to_dicts()
    assert rows == stored(built.store, "talk", "train", "ar") and sum(item.rows or 0 for item in cut) == 45


def test_what_others_put_there_stays_or_stops_it(built: Shop, tmp_path: Path) -> None:
    to = tmp_path / "out"
    publish(built.store, "plain", str(to))
    (to / "LICENSE").write_text("mine")
    (to / "notes").mkdir()
    (to / "notes" / "a.txt").write_text("mine")
    done = publish(built.store, "talk", str(to))
    assert (to / "LICENSE").read_text() == (to / "notes" / "a.txt").read_text() == "mine" and done.count("remove") == 1
    (to / "data" / "ar" / "train-99999.parquet").write_bytes(b"x")
    (to / "README.md").write_text("# my own words")
    with pytest.raises(
        PublishError, match=r"README\.md was edited by hand.*train-99999\.parquet would be read as data"
    ):
        publish(built.store, "plain", str(to), per_language=True)
    planned = publish(built.store, "talk", str(to), dry_run=True)
    assert "-# my own words" in planned.card_diff and any("--replace would be needed" in note for note in planned.notes)
    publish(built.store, "talk", str(to), replace_others=True)
    assert (
        not (to / "data" / "ar" / "train-99999.parquet").exists()
        and (to / "LICENSE").exists()
        and "# talk" in (to / "README.md").read_text()
    )


def test_a_folder_that_is_not_curates_is_not_taken_over(built: Shop, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# my thesis")
    with pytest.raises(PublishError, match=r"README\.md was not written by curate"):
        publish(built.store, "plain", str(tmp_path))
    assert tree(tmp_path).keys() == {"README.md"}
    (tmp_path / "file").write_text("x")
    with pytest.raises(PublishError, match="is a file"):
        publish(built.store, "plain", str(tmp_path / "file"))


def test_a_folder_is_old_or_new_and_never_between(built: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from outputs.publishing import folder

    to = tmp_path / "out"
    publish(built.store, "plain", str(to))
    before, calls = tree(to), iter(range(100))
    real = folder._place

    def fail(item: Item, target: Path) -> None:
        if next(calls) == 3:
            raise OSError(28, "No space left on device")
        real(item, target)

    monkeypatch.setattr(folder, "_place", fail)
    with pytest.raises(PublishError, match="No space left"):
        publish(built.store, "talk", str(to))
    assert tree(to) == before and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_damaged_version_is_not_published(shop: Shop, tmp_path: Path) -> None:
    [path] = (shop.store.dataset("plain") / shop.store.resolve("plain")).glob("data/*.parquet")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-9] + b"x" + data[-8:])
    with pytest.raises(StoreError, match="damaged"):
        publish(shop.store, "plain", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


# --------------------------------------------------------------------------------------------------------- the licences
def test_a_version_whose_licences_stand_against_it_stays_in_the_house(built: Shop, tmp_path: Path) -> None:
    for dry_run in (False, True):
        with pytest.raises(PublishError, match=r"may not be published: .* 12 of 27 rows") as caught:
            publish(built.store, "mixed", str(tmp_path / "out"), dry_run=dry_run)
    message = str(caught.value)
    assert (
        "3 rows of 'web' under 'unknown'" in message
        and "6 rows of 'wiki' under 'CC-BY-SA-3.0'" in message
        and "3 rows of 'code' under 'GPL-3.0'" in message
    )
    assert not (tmp_path / "out").exists()
    with pytest.raises(PublishError, match="needs a reason"):
        publish(built.store, "mixed", str(tmp_path / "out"), override="  ")


def test_an_override_is_recorded_in_card_manifest_and_store(built: Shop, tmp_path: Path) -> None:
    done = publish(built.store, "mixed", str(tmp_path / "out"), override="the owners\nwrote to us")
    assert done.override == "the owners wrote to us"
    assert "the owners wrote to us" in (tmp_path / "out" / "README.md").read_text()
    told = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["publication"]["override"]
    [record] = [one for one in records(built.store, "mixed") if one["to"] == str(tmp_path / "out")]
    assert (
        told == record["override"]
        and told["reason"] == "the owners wrote to us"
        and any("'web'" in line for line in told["against"])
    )
    # Where nothing stands against it, a reason is not kept.
    free = publish(built.store, "plain", str(tmp_path / "free"), override="just in case")
    assert (
        free.override == ""
        and "not needed" in free.notes[0]
        and "just in case" not in (tmp_path / "free" / "README.md").read_text()
    )


# ----------------------------------------------------------------------------------------------------------------- URLs
def test_a_url_holds_what_a_folder_would(built: Shop, memory: Any) -> None:
    assert publish(built.store, "talk", "memory://shelf/talk").count("add") == 8
    names = {str(name).removeprefix("/shelf/talk/") for name in memory.find("/shelf/talk")}
    assert "README.md" in names and ".publishing.json" not in names and len(names) == 8
    with memory.open("/shelf/talk/data/th/train-00000.parquet") as file:
        assert pl.read_parquet(file.read()).to_dicts() == stored(built.store, "talk", "train", "th")
    assert not publish(built.store, "talk", "memory://shelf/talk").fresh
    changed = publish(built.store, "plain", "memory://shelf/talk")
    assert changed.count("remove") == 6 and "data/th/train-00000.parquet" not in {
        str(name).removeprefix("/shelf/talk/") for name in memory.find("/shelf/talk")
    }


def test_an_upload_that_was_cut_off_goes_on(built: Shop, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put, sent = type(memory).put_file, []

    def counted(self: Any, local: str, target: str, **more: Any) -> Any:
        if len(sent) == 3:
            raise OSError(5, "the wire was cut, secret=abc")
        sent.append(target)
        return put(self, local, target, **more)

    monkeypatch.setattr(type(memory), "put_file", counted)
    with pytest.raises(PublishError) as caught:
        publish(built.store, "talk", "memory://shelf/cut")
    assert (
        "secret" not in str(caught.value)
        and memory.exists("/shelf/cut/.publishing.json")
        and not memory.exists("/shelf/cut/README.md")
    )
    first = list(sent)
    sent.clear()
    sent[:] = []
    monkeypatch.setattr(
        type(memory),
        "put_file",
        lambda self, local, target, **more: (sent.append(target), put(self, local, target, **more))[1],
    )
    publish(built.store, "talk", "memory://shelf/cut")
    assert (
        len(first) == 3
        and len(sent) == 3
        and not set(first) & set(sent)
        and not memory.exists("/shelf/cut/.publishing.json")
    )


# -------------------------------------------------------------------------------------------------- the Hub on loopback
@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as server:
        yield server
        assert server.unhandled == []


@pytest.fixture(scope="module")
def client(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("hub-home")
    one = Client(hub, home)
    yield one
    assert one.process.stdin
    one.process.stdin.close()
    one.process.wait(30)
    one.log.seek(0)
    assert not re.search(r"hf_\w{10}|secretsignature", one.log.read())
    one.log.close()


@pytest.fixture(autouse=True)
def calm(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "hub" in request.fixturenames:
        server: Hub = request.getfixturevalue("hub")
        assert all(one.times == 0 for one in server.troubles), "trouble that never came"
        server.troubles.clear()


def test_a_dataset_comes_back_from_the_hub_row_by_row(built: Shop, hub: Hub, client: Client, tmp_path: Path) -> None:
    planned = client.publish(built.store, "talk", "mtu/talk", dry_run=True)
    assert "mtu/talk" not in hub.repos and planned["private"] and planned["fresh"] and planned["tag"].startswith("v-")
    done = client.publish(built.store, "talk", "mtu/talk")
    assert done.get("error") is None and done["changes"] == planned["changes"]
    repo = hub.repos["mtu/talk"]
    assert repo.private and [commit.message for commit in repo.commits][1:] == [f"talk {done['version']}: 45 rows"]
    assert repo.tags == {f"v-{done['version']}": repo.commits[-1].sha} and done["commit"] == repo.commits[-1].sha
    assert {
        path: hashlib.sha256(data).hexdigest()
        for path, data in hub.content("mtu/talk").items()
        if path != ".gitattributes"
    } == {one["path"]: one["sha256"] for one in done["changes"]}
    for language in ("ar", "th", "zh"):
        assert client.load("mtu/talk", config=language, split="test") == stored(built.store, "talk", "test", language)
    everything = stored(built.store, "talk", "train")
    assert by_id(client.load("mtu/talk", revision=done["tag"])) == by_id(everything)
    assert by_id(client.load("mtu/talk", streaming=True)) == by_id(everything)
    assert by_id(client.ask("remote", path="datasets/mtu/talk/data/*/train-*.parquet", token=WRITER)) == by_id(
        everything
    )
    folder = client.ask(
        "fetch", repository="mtu/talk", folder=str(tmp_path / "snap"), revision=done["tag"], token=WRITER
    )
    assert {row[0] for row in duckdb.sql(f"SELECT id FROM '{folder}/data/*/train-*.parquet'").fetchall()} == {
        row["id"] for row in everything
    }


def test_nobody_reads_a_private_dataset_without_a_token(built: Shop, hub: Hub, client: Client) -> None:
    client.publish(built.store, "talk", "mtu/secret")
    for token in ("", STRANGER):
        assert "error" in client.ask("load", repository="mtu/secret", config="ar", token=token)
    assert (
        len(client.load("mtu/secret", config="ar", token=READER))
        + len(client.load("mtu/secret", config="ar", split="test", token=READER))
        == 15
    )


def test_publishing_the_same_again_makes_no_commit(built: Shop, hub: Hub, client: Client) -> None:
    client.publish(built.store, "plain", "mtu/again")
    commits, puts, known = len(hub.repos["mtu/again"].commits), len(hub.puts), len(records(built.store))
    again = client.publish(built.store, "plain", "mtu/again")
    assert (
        not again["fresh"]
        and len(hub.repos["mtu/again"].commits) == commits
        and len(hub.puts) == puts
        and len(records(built.store)) == known
    )
    # A tag that got lost (a run killed between commit and tag) is set again.
    hub.repos["mtu/again"].tags.clear()
    client.publish(built.store, "plain", "mtu/again")
    assert len(hub.repos["mtu/again"].commits) == commits and list(hub.repos["mtu/again"].tags) == [again["tag"]]


def test_a_new_version_takes_the_place_of_the_old_one(shop: Shop, hub: Hub, client: Client) -> None:
    first = client.publish(shop.store, "talk", "mtu/versions")
    old = by_id(client.load("mtu/versions"))
    hub.push("mtu/versions", {"LICENSE": b"CC0", "docs/figure.txt": b"x"})
    shop.catalog["datasets"]["talk"]["from"] = ["arabic", "english"]
    shop.build("talk")
    second = client.publish(shop.store, "talk", "mtu/versions")
    assert {one["path"]: one["action"] for one in second["changes"]} == {
        "README.md": "change",
        "manifest.json": "change",
        "data/ar/train-00000.parquet": "same",
        "data/ar/test-00000.parquet": "same",
        "data/en/train-00000.parquet": "add",
        "data/en/test-00000.parquet": "add",
        "data/th/train-00000.parquet": "remove",
        "data/th/test-00000.parquet": "remove",
        "data/zh/train-00000.parquet": "remove",
        "data/zh/test-00000.parquet": "remove",
    }
    assert "-- th" in second["card_diff"] and "+- en" in second["card_diff"]
    assert {"LICENSE", "docs/figure.txt"} < set(hub.content("mtu/versions")) and not [
        path for path in hub.content("mtu/versions") if path.startswith("data/th")
    ]
    assert by_id(client.load("mtu/versions")) == by_id(stored(shop.store, "talk", "train"))
    # The tag of the first still gives the first.
    assert by_id(client.load("mtu/versions", revision=first["tag"])) == old and set(hub.repos["mtu/versions"].tags) == {
        first["tag"],
        second["tag"],
    }


@pytest.mark.parametrize(
    ("token", "said"),
    [("", "publishing needs a token"), (READER, "needs write access"), ("hf_wrong_0123456789abcdefgh", "token")],
)
def test_without_the_right_to_write_nothing_happens(
    built: Shop, hub: Hub, client: Client, token: str, said: str
) -> None:
    found = client.publish(built.store, "plain", "mtu/closed", token=token)
    assert said in found["error"] and "mtu/closed" not in hub.repos and not (token and token in json.dumps(found))


def test_trouble_that_passes_is_waited_out(built: Shop, hub: Hub, client: Client) -> None:
    hub.troubles += [
        Trouble("POST", "/api/repos/create", status=429, headers={"Retry-After": "1"}),
        Trouble("POST", "/preupload/", status=503),
        Trouble("PUT", "/lfs/", status=500),
        Trouble("POST", "/commit/", status=429, headers={"Retry-After": "1"}),
        Trouble("POST", "/tag/", status=502),
    ]
    done = client.publish(built.store, "plain", "mtu/busy")
    assert (
        done.get("error") is None
        and len(hub.repos["mtu/busy"].commits) == 2
        and list(hub.repos["mtu/busy"].tags) == [done["tag"]]
    )
    assert any("creating the repository: the Hub answered 429; retrying in 1 s" in line for line in done["said"])
    assert hub.asked("POST", "mtu/busy/commit/")[-2:] == [429, 200]


def test_patience_ends(built: Shop, hub: Hub, client: Client) -> None:
    hub.troubles.append(Trouble("POST", "/commit/", status=429, headers={"Retry-After": "3600"}))
    found = client.publish(built.store, "plain", "mtu/hours", deadline=5)
    assert (
        "the Hub answered 429, and waiting would take longer than 5 s" in found["error"]
        and len(hub.repos["mtu/hours"].commits) == 1
    )
    puts = len(hub.puts)
    assert client.publish(built.store, "plain", "mtu/hours").get("error") is None and len(hub.puts) == puts


@pytest.mark.parametrize("happened", [True, False])
def test_a_commit_whose_answer_was_lost_is_made_once(built: Shop, hub: Hub, client: Client, happened: bool) -> None:
    name = f"mtu/lost{int(happened)}"
    hub.troubles.append(Trouble("POST", "/commit/", lost=True) if happened else Trouble("POST", "/commit/", status=500))
    done = client.publish(built.store, "plain", name)
    assert (
        done.get("error") is None
        and len(hub.repos[name].commits) == 2
        and list(hub.repos[name].tags.values()) == [hub.repos[name].commits[-1].sha]
    )


def test_a_commit_of_somebody_else_meanwhile_is_kept(built: Shop, hub: Hub, client: Client) -> None:
    client.publish(built.store, "plain", "mtu/race")
    hub.troubles.append(
        Trouble("POST", "/commit/", before=lambda: hub.push("mtu/race", {"notes.txt": b"theirs"}) and None)
    )
    done = client.publish(built.store, "talk", "mtu/race")
    assert (
        done.get("error") is None
        and 412 in hub.asked("POST", "mtu/race/commit/")
        and any("comparing again" in line for line in done["said"])
    )
    content = hub.content("mtu/race")
    assert (
        content["notes.txt"] == b"theirs"
        and "data/train-00000.parquet" not in content
        and "data/th/train-00000.parquet" in content
    )


def test_a_version_published_by_somebody_else_meanwhile_stands(built: Shop, hub: Hub, client: Client) -> None:
    client.publish(built.store, "plain", "mtu/duel")

    def other() -> None:
        manifest = json.loads(hub.content("mtu/duel")["manifest.json"])
        hub.push("mtu/duel", {"manifest.json": json.dumps({**manifest, "version": "0123456789"}).encode()})

    hub.troubles.append(Trouble("POST", "/commit/", before=other))
    found = client.publish(built.store, "talk", "mtu/duel")
    assert "somebody else published version 0123456789 in the meantime" in found[
        "error"
    ] and "data/train-00000.parquet" in hub.content("mtu/duel")


def test_two_who_publish_the_same_at_once_are_both_content(built: Shop, hub: Hub, client: Client) -> None:
    client.publish(built.store, "plain", "mtu/twin")
    files = hub.repos["mtu/twin"].commits[-1].files
    del hub.repos["mtu/twin"]
    hub.create("mtu/twin")
    hub.troubles.append(
        Trouble("POST", "/commit/", before=lambda: hub.repos["mtu/twin"].commit(files, [], "the other's") and None)
    )
    done = client.publish(built.store, "plain", "mtu/twin")
    assert done.get("error") is None and [commit.message for commit in hub.repos["mtu/twin"].commits] == [
        "initial commit",
        "the other's",
    ]
    assert list(hub.repos["mtu/twin"].tags.values()) == [hub.repos["mtu/twin"].commits[-1].sha]


def test_what_was_put_there_by_hand_is_not_lost(built: Shop, hub: Hub, client: Client) -> None:
    hub.create("mtu/by-hand")
    hub.push(
        "mtu/by-hand",
        {"README.md": b"---\nlicense: mit\n---\n# My corpus\n", "data/train-00000-of-00001.parquet": b"old"},
    )
    found = client.publish(built.store, "plain", "mtu/by-hand")
    assert (
        "README.md was not written by curate" in found["error"]
        and "would be read as data" in found["error"]
        and "--replace" in found["error"]
    )
    planned = client.publish(built.store, "plain", "mtu/by-hand", dry_run=True)
    assert "-# My corpus" in planned["card_diff"] and len(hub.repos["mtu/by-hand"].commits) == 2
    assert client.publish(built.store, "plain", "mtu/by-hand", replace_others=True).get("error") is None
    assert by_id(client.load("mtu/by-hand")) == by_id(stored(built.store, "plain", "train"))


def test_who_may_read_it_is_changed_only_when_asked(built: Shop, hub: Hub, client: Client) -> None:
    client.publish(built.store, "plain", "mtu/open", private=False)
    assert not hub.repos["mtu/open"].private
    looked = client.publish(built.store, "plain", "mtu/open", dry_run=True, token="")
    assert looked.get("error") is None and not looked["fresh"] and looked["private"] is False
    client.publish(built.store, "talk", "mtu/open")
    assert not hub.repos["mtu/open"].private
    done = client.publish(built.store, "talk", "mtu/open", private=True)
    assert hub.repos["mtu/open"].private and not done["fresh"] and "it is private now" in done["notes"]


def test_the_licence_gate_stands_before_any_request(built: Shop, hub: Hub, client: Client) -> None:
    asked = len(hub.log)
    found = client.publish(built.store, "mixed", "mtu/mixed")
    assert "may not be published" in found["error"] and len(hub.log) == asked
    done = client.publish(built.store, "mixed", "mtu/mixed", override="they wrote to us")
    assert done["override"] == "they wrote to us" and b"they wrote to us" in hub.content("mtu/mixed")["README.md"]
    assert b"license: other" in hub.content("mtu/mixed")["README.md"]


def test_an_upload_that_was_killed_goes_on_where_it_stopped(
    built: Shop, hub: Hub, client: Client, tmp_path: Path
) -> None:
    """The process is killed while its last file is on the way; what had arrived is not sent again."""
    shutil.copytree(built.folder, tmp_path / "shop")
    store = Store(tmp_path / "shop" / ".curate")
    stuck, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        stuck.set()
        go_on.wait(60)

    hub.puts.clear()
    waiting = Trouble("PUT", "/lfs/", before=hold, status=503)
    hub.troubles.append(waiting)
    code = (
        "from pathlib import Path\nfrom curate.engine.store.store import Store\nfrom "
        f"outputs.publishing.publish import publish\npublish(Store(Path({str(store.root)!r})), 'talk', 'mtu/killed')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=hub.environment(tmp_path / "home"),
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
    )
    try:
        assert stuck.wait(60), process.communicate()
        for _ in range(600):
            if len(hub.puts) == 5:
                break
            threading.Event().wait(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    finally:
        with contextlib.suppress(OSError):
            process.kill()
        go_on.set()
    assert (
        len(hub.puts) == 5
        and len(hub.repos["mtu/killed"].commits) == 1
        and list((store.root / "publish").glob(".tmp-*"))
    )
    first = list(hub.puts)
    hub.puts.clear()
    done = client.publish(store, "talk", "mtu/killed")
    assert done.get("error") is None and len(hub.puts) == 1 and not set(first) & set(hub.puts)
    assert len(hub.repos["mtu/killed"].commits) == 2 and not list((store.root / "publish").glob(".tmp-*"))
    assert by_id(client.load("mtu/killed")) == by_id(stored(built.store, "talk", "train"))


def test_no_secret_is_in_any_file_record_or_answer(built: Shop, hub: Hub, client: Client) -> None:
    client.publish(built.store, "plain", "mtu/quiet")
    for path in (built.store.root / "publish").rglob("*.json"):
        assert not re.search(r"hf_\w{10}|secretsignature", path.read_text())
    for name in hub.repos:
        for data in hub.content(name).values():
            assert b"hf_writer" not in data and str(Path.home()).encode() + b"/" not in data
    # By name: records of one second have no order.
    [record] = [one for one in records(built.store, "plain") if one["to"] == "mtu/quiet"]
    assert (
        record["form"] == "hub"
        and record["commit"] == hub.repos["mtu/quiet"].commits[-1].sha
        and record["private"] is True
    )


# --------------------------------------------------------------------------------------------------------- command line
def test_the_command_line_says_what_it_did(built: Shop, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from curate.cli.publish import app

    runner, store = CliRunner(), str(built.store.root)
    to = str(tmp_path / "out")

    def run(*arguments: str, code: int = 0) -> str:
        done = runner.invoke(app, [*arguments, "--store", store])
        assert done.exit_code == code, done.output
        return done.output

    assert "+ data/ar/train-00000.parquet" in run("publish", "talk", "--to", to, "--dry-run") and not Path(to).exists()
    assert "(8 new); licence CC0-1.0" in re.sub(r"\s+", " ", run("publish", "talk", "--to", to))
    assert "nothing to do, all 8 files are there" in run("publish", "talk", "--to", to)
    assert json.loads(run("publish", "talk", "--to", to, "--json"))["fresh"] is False
    assert "--override-license 'REASON'" in run("publish", "mixed", "--to", to, code=1)
    assert "removed" in run("publish", "mixed", "--to", to, "--one-config", "--override-license", "they said yes")
    assert run("card", "talk", "--to", "mtu/talk").startswith("---\npretty_name: talk\n")
    assert "as a whole: CC0-1.0" in run("licenses", "talk") and "12 of 27 rows may not be published" in run(
        "licenses", "mixed", code=1
    )
    assert "is not a target" in run("publish", "talk", "--to", "talk", code=1) and "no dataset 'none'" in run(
        "card", "none", code=1
    )
