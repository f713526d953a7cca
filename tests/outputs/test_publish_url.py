"""Publishing to file systems that take files one by one: killed anywhere, it is whole after the next time."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from curate.errors import PublishError
from outputs.publishing.fsspec import JOURNAL
from outputs.publishing.open_target import open_target
from outputs.publishing.publish import publish
from outputs.publishing.targets import shown

sys.path.insert(0, str(Path(__file__).parent))
from shop import Shop, shared_shop


class Dead(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return shared_shop(tmp_path_factory.getbasetemp())


def tree(memory: Any, root: str) -> dict[str, bytes]:
    return {str(name).removeprefix(root).lstrip("/"): memory.cat_file(name) for name in memory.find(root)}


def die_after(patch: pytest.MonkeyPatch, memory: Any, calls: int) -> None:
    """Lets so many changes happen; after the last the process is gone, and nothing that it tries in its death throes
    gets through."""
    count = 0
    for name in ("put_file", "pipe_file", "rm_file"):
        real = getattr(type(memory), name)

        def changed(self: Any, *args: Any, real: Any = real, **more: Any) -> Any:
            nonlocal count
            if count >= calls:
                raise OSError(5, "no process, no upload")
            count += 1
            done = real(self, *args, **more)
            if count == calls:
                raise Dead
            return done

        patch.setattr(type(memory), name, changed)


@pytest.mark.parametrize("then", ["talk", "plain"])
def test_killed_after_any_change_it_is_whole_after_the_next_time(built: Shop, memory: Any, then: str) -> None:
    publish(built.store, then, "memory://shelf/wanted")
    wanted = {name: data for name, data in tree(memory, "/shelf/wanted").items() if name != "README.md"}
    deaths = 0
    while True:
        memory.store.clear()
        publish(built.store, "plain", "memory://shelf/wanted")
        memory.pipe_file("/shelf/wanted/LICENSE", b"mine")
        with pytest.MonkeyPatch.context() as patch:
            die_after(patch, memory, deaths + 1)
            try:
                publish(built.store, "talk", "memory://shelf/wanted")
            except Dead:
                deaths += 1
            else:
                break
        done = publish(built.store, then, "memory://shelf/wanted")
        left = tree(memory, "/shelf/wanted")
        assert left.pop("LICENSE") == b"mine" and JOURNAL not in left, deaths
        assert f"# {then}" in left.pop("README.md").decode()
        assert {name: data for name, data in left.items() if name != "manifest.json"} == {
            name: data for name, data in wanted.items() if name != "manifest.json"
        }, deaths
        told = orjson.loads(left["manifest.json"])
        assert {one["path"] for one in told["publication"]["files"]} == {*left, "README.md"} - {"manifest.json"}
        assert not publish(built.store, then, "memory://shelf/wanted").fresh and not done.dry_run
    assert deaths > 10


def test_what_was_there_before_a_kill_is_not_taken_for_anothers(built: Shop, memory: Any) -> None:
    publish(built.store, "talk", "memory://shelf/x")
    with pytest.MonkeyPatch.context() as patch:
        die_after(
            patch, memory, 6
        )  # journal put, taken, put; data, manifest, card are there; none of the old files is gone
        with pytest.raises(Dead):
            publish(built.store, "plain", "memory://shelf/x")
    assert len(tree(memory, "/shelf/x")) == 10
    again = publish(built.store, "plain", "memory://shelf/x")
    assert again.count("remove") == 6 and set(tree(memory, "/shelf/x")) == {
        "README.md",
        "manifest.json",
        "data/train-00000.parquet",
    }


def test_a_card_edited_between_two_versions_still_stops_it(built: Shop, memory: Any) -> None:
    publish(built.store, "talk", "memory://shelf/x")
    with pytest.MonkeyPatch.context() as patch:
        die_after(patch, memory, 5)
        with pytest.raises(Dead):
            publish(built.store, "plain", "memory://shelf/x")
    memory.pipe_file("/shelf/x/README.md", b"# my words")
    with pytest.raises(PublishError, match=r"README\.md was edited by hand"):
        publish(built.store, "plain", "memory://shelf/x")


@pytest.mark.parametrize("missing", ["pipe_file", "rm_file"])
def test_a_place_that_cannot_write_or_take_away_is_left_as_it_is(
    built: Shop, memory: Any, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    publish(built.store, "plain", "memory://shelf/x")
    before = tree(memory, "/shelf/x")

    def refuse(self: Any, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(type(memory), missing, refuse)
    with pytest.raises(PublishError, match="cannot be written and deleted: publish to a folder"):
        publish(built.store, "talk", "memory://shelf/x")
    assert {name: data for name, data in tree(memory, "/shelf/x").items() if name != JOURNAL} == before


def test_an_archive_is_no_place(built: Shop, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/LICENSE", "mine")
    data = (tmp_path / "a.zip").read_bytes()
    with pytest.raises(PublishError, match=r"a\.zip cannot be written"):
        publish(built.store, "plain", f"zip://x::file://{tmp_path}/a.zip")
    assert (tmp_path / "a.zip").read_bytes() == data


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("zip://x::s3://key:secret@bucket/a.zip", "zip://x::s3://bucket/a.zip"),
        ("simplecache::s3://key:secret@bucket/a?token=secret", "simplecache::s3://bucket/a"),
        ("s3://key:sec/ret@bucket/a", "s3://bucket/a"),
        ("sftp://me:secret@host:22/a@b", "sftp://host:22/a@b"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
    ],
)
def test_no_part_of_an_address_shows_a_password(url: str, seen: str) -> None:
    assert shown(url) == seen


def test_a_folder_by_its_url_is_a_folder(built: Shop, tmp_path: Path) -> None:
    assert open_target(f"file://{tmp_path}/out").form == "folder"
    publish(built.store, "plain", f"file://{tmp_path}/out")
    assert (tmp_path / "out" / "README.md").exists() and not (tmp_path / "out" / JOURNAL).exists()
