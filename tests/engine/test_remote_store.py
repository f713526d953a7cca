"""A store in S3: machines with a working copy each build in it by turns; answers get lost and machines die."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from house import write_small

import curate
from curate import load_catalog
from curate.api.datasets import rebuild
from curate.caches import ANSWERS, write_ahead
from curate.engine.build import build_datasets, make_plan
from curate.engine.planning import runner
from curate.engine.preview import preview_dataset
from curate.engine.store.gc import collect_garbage, verify_version
from curate.engine.store.history import remove_tag, tag_version
from curate.engine.store.remote import lease
from curate.engine.store.remote import objects as objects_module
from curate.engine.store.remote import push as push_module
from curate.engine.store.remote import session as session_module
from curate.engine.store.remote.fetch import known, object_name
from curate.engine.store.remote.head import read_head, swap_head
from curate.engine.store.remote.objects import Conflict, Objects
from curate.engine.store.repair import find_damage, repair_store
from curate.engine.store.shards import ChunkLimits
from curate.erase import forget
from curate.errors import CurateError, DamagedError, StoreError

pytest.importorskip("obstore")
pytest.importorskip("moto")

from servers.s3_proxy import Proxy, s3_server

pytestmark = pytest.mark.heavy(env="common")
KEY, SECRET = "AKIALOOPBACKONLY1234", "nobody/should+ever+see+this+5678"


@pytest.fixture(scope="module")
def server() -> Iterator[Proxy]:
    with s3_server() as proxy:
        yield proxy


@pytest.fixture
def bucket(server: Proxy, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (
        ("ENDPOINT_URL", server.url),
        ("ACCESS_KEY_ID", KEY),
        ("SECRET_ACCESS_KEY", SECRET),
        ("DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    server.seen.clear()
    server.lose.clear()
    server.unconditional, server.forbidden, server.away_after = False, False, None
    monkeypatch.setattr(objects_module, "RETRIES", {"max_retries": 2})
    name = f"shelf-{abs(hash(request.node.name)) % 10**8}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


class Machine:
    """A machine: a working copy of its own, and the same catalog."""

    def __init__(self, name: str, folder: Path, registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = folder.parent / f"cache-{name}"
        self._folder, self._registry, self._monkeypatch = folder, registry, monkeypatch

    def catalog(self, **changes: Any) -> Any:
        self._monkeypatch.setenv("CURATE_CACHE", str(self.cache))
        values = yaml.safe_load((self._folder / "catalog.yaml").read_text())
        values["datasets"]["loud"] |= changes
        (self._folder / "catalog.yaml").write_text(yaml.safe_dump(values))
        return load_catalog(self._folder / "catalog.yaml", registry=self._registry)

    def build(self, **changes: Any) -> Any:
        return build_datasets(self.catalog(**changes), self._registry, chunk_limits=ChunkLimits(32, 32, 64))[-1]

    def plan(self) -> Any:
        return make_plan(self.catalog(), self._registry, chunk_limits=ChunkLimits(32, 32, 64))

    def store(self) -> Any:
        return curate.open_store(catalog=self.catalog())

    @property
    def root(self) -> Path:
        [root] = (self.cache / "stores").iterdir()
        return root


Machines = Callable[[str], Machine]


@pytest.fixture
def url(bucket: str) -> str:
    return f"s3://{bucket}/team/store"


@pytest.fixture
def machine(url: str, tmp_path: Path, registry: Any, monkeypatch: pytest.MonkeyPatch) -> Machines:
    folder = tmp_path / "project"
    folder.mkdir()
    write_small(folder, 26, store=url)
    return lambda name: Machine(name, folder, registry, monkeypatch)


def objects_in(url: str) -> dict[str, int]:
    return dict(Objects(url).listed(""))


def test_two_machines_share_results_and_versions(machine: Machines, url: str, tmp_path: Path, server: Proxy) -> None:
    one, two = machine("one"), machine("two")
    first = one.build()
    assert first.changed
    local = tmp_path / "project" / "local.yaml"
    values = yaml.safe_load((tmp_path / "project" / "catalog.yaml").read_text())
    values["run"]["store"] = "local-store"
    local.write_text(yaml.safe_dump(values))
    here = build_datasets(
        load_catalog(local, registry=one._registry), one._registry, chunk_limits=ChunkLimits(32, 32, 64)
    )[-1]
    assert here.version == first.version, "where a store is changes no digest"
    assert two.plan().idle, "all results are there"
    assert not list(two.root.rglob("*.parquet")), "a plan fetches descriptions only"
    server.seen.clear()
    again = two.build()
    assert (again.version, again.changed) == (first.version, False)
    sent = [Path(path).suffix for path in server.writes("/objects/")]
    assert sent == [".sqlite"], "nothing new is sent but that there was a build"
    server.seen.clear()
    two.build()
    assert len(server.seen) <= 8, "a build with nothing to do is cheap"
    rows = curate.query("SELECT count(*) AS n FROM loud", store=two.store())["n"][0]
    assert rows == first.rows
    changed = two.build(splits={"train": 0.5, "test": 0.5})
    assert changed.version != first.version
    curate.dataset("loud", store=one.store())
    assert curate.dataset("loud", store=one.store()).version == changed.version
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in one.cache.rglob("*") if path.is_file())
    assert all(size for size in objects_in(url).values())


def test_everything_can_be_read_on_a_machine_that_has_nothing_yet(
    machine: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine("one")
    first = one.build()
    one.build(splits={"train": 0.5, "test": 0.5})
    row = curate.dataset("loud", store=one.store()).head(1)["id"][0]
    wanted = {
        "query": lambda store: curate.query("SELECT * FROM loud ORDER BY id", store=store).height,
        "tables": lambda store: curate.query("SHOW ALL TABLES", store=store).height,
        "listed": lambda store: curate.query(
            "SELECT count(*) FROM loud WHERE 'loud' IN (SELECT table_name FROM information_schema.tables)", store=store
        ).item(),
        "head": lambda store: str(curate.head("loud", store=store)),
        "rows": lambda store: curate.dataset(f"loud@{first.version}", store=store).to_polars()["id"].to_list(),
        "why": lambda store: str(curate.why(row, store=store, registry=one._registry)),
        "diff": lambda store: repr(curate.diff("loud", store=store).changes.rows()),
        "verify": lambda store: verify_version(store, "loud"),
        "damage": lambda store: [str(damage.error) for damage in find_damage(store)],
        "report": lambda store: curate.report("loud", tmp_path / "report.html", store=store).path.stat().st_size > 0,
        "export": lambda store: len(curate.export("loud", "parquet", to=tmp_path / "out", store=store, force=True)),
    }
    for name, read in wanted.items():
        here, there = read(one.store()), read(machine(f"reads-{name}").store())
        assert here == there, name
    two = machine("lists")
    wanted["tables"](two.store())
    assert not list(two.root.rglob("*.parquet")), "the names of tables need no rows"


def test_answers_that_get_lost_are_no_second_write(machine: Machines, url: str, server: Proxy) -> None:
    server.lose += [("PUT", "/store.json"), ("PUT", "/store.json"), ("PUT", ".parquet"), ("PUT", ".gz")]
    one = machine("one")
    first = one.build()
    assert not server.lose, "all were lost"
    state = read_head(Objects(url))
    assert state is not None and state.head.holder is None
    server.lose += [("PUT", "/store.json")] * 3
    assert machine("two").build().version == first.version


def test_what_could_not_be_sent_stays_here_and_is_sent_the_next_time(
    machine: Machines, url: str, server: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = machine("one"), machine("two")
    server.away_after = 5
    with pytest.raises(
        StoreError, match=r"cannot be .*it cannot be reached\. Not everything was sent to s3://.*kept in"
    ):
        one.build()
    version = one.root.joinpath("datasets/loud").glob("[!.r]*").__next__().name
    server.away_after = None
    with pytest.raises(StoreError, match="no dataset 'loud' has been built in s3://"):
        two.store().resolve("loud")
    again = one.build()
    assert (again.version, again.changed) == (version, False)
    assert two.plan().idle and two.store().resolve("loud") == version


KILLED = """
import os, signal, sys
sys.path.insert(0, {plugin!r})
import curate_letters as letters
from curate import load_catalog
from curate.api.datasets import rebuild
from curate.engine.build import build_datasets
from curate.engine.store.remote.objects import Objects
from curate.engine.store.shards import ChunkLimits
from curate.steps import Registry
left, put = int(sys.argv[2]), Objects.put
def dying(self, *args):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, *args)
Objects.put = dying
registry = Registry.installed()
registry.add("source", "numbered", letters.Numbered); registry.add("model", "counter", letters.Counter)
for step in (letters.Letters, letters.Shout, letters.Most):
    registry.add("step", step.tag, step)
build_datasets(load_catalog(sys.argv[1], registry=registry), registry, chunk_limits=ChunkLimits(32, 32, 64))
"""


@pytest.mark.parametrize("sent", [7, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 15, 30, -2, -1))])
def test_a_machine_that_dies_while_it_sends_leaves_a_sound_store(
    machine: Machines, url: str, tmp_path: Path, server: Proxy, sent: int
) -> None:
    if sent < 0:  # counted from the end: the list of files is the last
        machine("counts").build()
        sent += len([path for path in server.writes() if "/objects/" in path or "/lists/" in path])
        Objects(url).delete(list(objects_in(url)))
    one, two = machine("one"), machine("two")
    one.catalog()
    script = KILLED.format(plugin=str(Path(__file__).parents[1] / "plugin"))
    catalog = str(tmp_path / "project" / "catalog.yaml")
    died = subprocess.run(
        [sys.executable, "-c", script, catalog, str(sent)], capture_output=True, text=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    state = read_head(Objects(url))
    assert state is not None and state.head.holder is not None and not state.head.index, "it holds it still"
    other = two.build()  # the dead process was of this machine: nobody waits for it
    assert other.changed
    again = one.build()
    assert (again.version, again.changed) == (other.version, False)
    assert not list(find_damage(machine("three").store()))


def test_nobody_else_works_in_it_meanwhile(machine: Machines, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = machine("one")
    first = one.build()
    objects = Objects(url)
    elsewhere = {"pid": 1, "host": "far-away", "born": "7", "machine": "x", "id": "y"}
    held = swap_head(objects, read_head(objects), holder=elsewhere)
    for change in (one.build, lambda: curate.tag("loud", "v1") if hasattr(curate, "tag") else one.build()):
        with pytest.raises(StoreError, match=r"another build works in s3://.* \(process 1 on far-away\); wait for it"):
            change()
    assert curate.query("SELECT count(*) AS n FROM loud", store=one.store())["n"][0] == first.rows, "reading is free"
    monkeypatch.setattr(lease, "DEAD", -1.0)  # its last sign of life is too old now, by the server's clock
    assert one.build().version == first.version
    with pytest.raises(Conflict):
        swap_head(objects, held, index="overtaken")


def test_a_build_that_was_taken_over_ends_and_changes_nothing(
    machine: Machines, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine("one")
    one.build()
    objects, before = Objects(url), read_head(Objects(url))
    assert before is not None
    monkeypatch.setattr(lease, "BEAT", 0.05)
    done = runner.TaskRunner._run

    def overtaken(self: Any, *args: Any) -> None:
        elsewhere = {"pid": 1, "host": "far-away", "born": "7", "machine": "x", "id": "y"}
        for _ in range(20):
            with contextlib.suppress(Conflict):
                swap_head(objects, read_head(objects), holder=elsewhere)
                break
        time.sleep(0.3)
        done(self, *args)

    monkeypatch.setattr(runner.TaskRunner, "_run", overtaken)
    with pytest.raises(StoreError, match=r"process 1 on far-away has taken over s3://.*goes on from there"):
        one.build(steps=["shout"])
    now = read_head(objects)
    assert now is not None and now.head.index == before.head.index and now.head.holder is not None
    assert list((one.root / "work").glob("shout/[!.]*/result.json")), "what was finished is kept"


def results(machine: Machine) -> set[str]:
    return {path.relative_to(machine.root).as_posix() for path in machine.root.glob("work/*/[!.]*/result.json")}


def test_gc_deletes_there_too(machine: Machines, url: str) -> None:
    one, two = machine("one"), machine("two")
    old = one.build()
    two.build()
    new = two.build(steps=["shout"])
    before = objects_in(url)
    Objects(url).put("objects/readme.txt", b"of somebody else")
    found = collect_garbage(two.store())
    assert found.results and found.versions == [f"loud@{old.version}"] and found.bytes
    left = objects_in(url)
    assert len(left) < len(before) and "objects/readme.txt" in left
    one_store = one.store()
    assert one_store.resolve("loud") == new.version
    assert not list(find_damage(one_store)), "what is left is whole"
    assert one_store.versions("loud") == [new.version]
    assert results(one) == results(two), "and gone from the other copy"


def test_what_is_forgotten_is_on_no_machine_and_not_in_the_bucket(machine: Machines, url: str) -> None:
    import boto3

    one, two = machine("one"), machine("two")
    one.build()
    boto3.client("s3").put_bucket_versioning(Bucket=url.split("/")[2], VersioningConfiguration={"Status": "Enabled"})
    catalog = two.catalog()
    curate.dataset("loud", store=two.store()).to_polars()
    with pytest.MonkeyPatch.context() as patch:  # a build of this machine that was never sent
        patch.setattr(session_module, "push", lambda *args, **more: None)
        two.build(steps=["shout"])
    word = "sw words words words words 25"
    assert holds(two.root, word.upper()), "its results have the text"
    done = forget(one.catalog(), one._registry, "loud", where=f"text ILIKE '%{word}%'", purge=True)
    assert done.rows and done.removed and not done.versions
    assert done.old_objects == url, "the bucket keeps old versions, which is said"
    objects = Objects(url)
    for name in objects_in(url):
        found = objects.get(name)
        assert found is not None and not has_text(found[0], name, word), name
    two.build()
    assert not holds(two.root, word) and not holds(two.root, word.upper())
    assert catalog.store == two.root
    for name in objects_in(url):
        found = objects.get(name)
        assert found is not None and not has_text(found[0], name, word), name


def has_text(data: bytes, name: str, word: str) -> bool:
    if name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(data))
        data = json.dumps(table.to_pylist(), default=str).encode()
    return word.encode() in data or word.upper().encode() in data


def holds(root: Path, word: str) -> bool:
    return any(has_text(path.read_bytes(), path.name, word) for path in root.rglob("*") if path.is_file())


def test_damage_there_is_found_and_mended(machine: Machines, url: str, caplog: pytest.LogCaptureFixture) -> None:
    one = machine("one")
    first = one.build()
    objects = Objects(url)
    store = one.store()
    [listed, *_] = [file for file in store.manifest("loud", first.version)["files"] if file["path"].startswith("data/")]
    name = f"objects/{listed['sha256']}.parquet"
    for damage, said in (
        (lambda: objects.put(name, b"nothing"), "bytes instead of"),
        (lambda: objects.delete([name]), "gone from s3://"),
    ):
        damage()
        with pytest.raises(DamagedError, match=said):
            curate.dataset("loud", store=machine(f"reads-{said[:4]}").store()).to_polars()
        repair_store(one.store())
        assert curate.dataset("loud", store=machine(f"again-{said[:4]}").store()).to_polars().height == first.rows
    # Where nobody has it any more, the build makes it again.
    objects.delete([name])
    two = machine("two")
    shutil.rmtree(one.cache)
    with pytest.raises(DamagedError):
        curate.dataset("loud", store=two.store()).to_polars()
    repair_store(two.store())
    two.build()
    assert curate.dataset("loud", store=machine("last").store()).to_polars().height == first.rows


def test_kept_answers_of_two_machines_are_put_together(machine: Machines, url: str) -> None:
    one, two = machine("one"), machine("two")

    def answer(to: Machine, key: bytes) -> None:
        file = to.root / "cache" / "answers" / "someone.sqlite"
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
            write_ahead(connection)
            connection.execute(ANSWERS)
            connection.execute("INSERT INTO answers (key, value) VALUES (?, ?)", (key, b"said"))

    def answers(of: Machine) -> list[bytes]:
        with contextlib.closing(sqlite3.connect(of.root / "cache" / "answers" / "someone.sqlite")) as connection:
            return [key for (key,) in connection.execute("SELECT key FROM answers ORDER BY key")]

    one.build()
    answer(one, b"a")
    one.build()
    two.build()
    assert answers(two) == [b"a"]
    answer(one, b"b")
    answer(two, b"c")
    one.build()
    two.build()
    kept = [name for name in objects_in(url) if name.endswith(".sqlite")]
    assert len(kept) == 2, "of each cache, and of what was spent, only the present state"
    assert answers(two) == [b"a", b"b", b"c"]
    one.build()
    assert answers(one) == [b"a", b"b", b"c"]
    assert not (two.root / "cache" / "nodes").exists()


def test_a_cleared_cache_is_no_order_to_delete(machine: Machines, url: str) -> None:
    one = machine("one")
    first = one.build()
    before = objects_in(url)
    shutil.rmtree(one.root / "work")
    shutil.rmtree(one.root / "datasets")
    again = one.build()
    assert (again.version, again.changed) == (first.version, False)
    assert objects_in(url).keys() >= {name for name in before if name.endswith((".parquet", ".json"))} - {"store.json"}


def test_what_was_removed_here_and_could_not_be_sent_does_not_come_back(
    machine: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine("one")
    one.build()
    tag_version(one.store(), "loud", "v1")

    def away(*given: Any, **more: Any) -> None:
        raise StoreError("the server is away")

    with monkeypatch.context() as patch:
        patch.setattr(session_module, "push", away)
        with pytest.raises(StoreError, match="the next build on this machine sends it"):
            remove_tag(one.store(), "loud", "v1")
    one.build()
    assert "v1" not in {path.stem for path in (one.root / "datasets" / "loud" / "refs").iterdir()}
    two = machine("two")
    two.build()
    assert "v1" not in {path.stem for path in (two.root / "datasets" / "loud" / "refs").iterdir()}


def test_a_sign_of_life_whose_answer_was_lost_is_no_takeover(machine: Machines, url: str) -> None:
    machine("one").build()
    held = lease.Lease(Objects(url), {"id": "mine", "pid": 1, "host": "here"}, lambda holder: False)
    held.acquire(0.0)
    before = held._state
    held.commit()  # this one's answer is lost:
    held._state = before
    held.commit()
    held.check()
    held.release()
    assert read_head(Objects(url)).head.holder is None


def test_tags_are_shared(machine: Machines) -> None:
    one, two = machine("one"), machine("two")
    first = one.build()
    tag_version(two.store(), "loud", "v1")
    assert one.store().resolve("loud", "v1") == first.version
    remove_tag(one.store(), "loud", "v1")
    assert "v1" not in two.store().refs("loud")


def test_what_stands_in_the_way_is_said(
    machine: Machines, url: str, server: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine("one")
    server.unconditional = True
    with pytest.raises(StoreError, match="does not heed conditional writes"):
        one.build()
    server.unconditional, server.forbidden = False, True
    with pytest.raises(StoreError, match=r"^s3://\S+ cannot be read: its credentials do not permit it$"):
        one.build()
    server.forbidden = False
    with pytest.raises(StoreError, match=r"^s3://nowhere-at-all/x cannot be read: there is no such bucket"):
        curate.open_store("s3://nowhere-at-all/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"^s3://\S+ cannot be read: it cannot be reached$"):
        curate.open_store(url)


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("s4://bucket/path", r"a store cannot be at s4://; did you mean 's3://'\?"),
        ("s3:/bucket/path", "lacks a slash: write s3://bucket/path"),
        ("s3://bucket", "is a whole bucket; name a folder of it for the store: s3://bucket/curate"),
        ("s3://key:secret@bucket/path", "has no credentials in it; they come from the environment"),
        ("s3://bucket/a b", "is no place for a store"),
        ("s3://bucket/a/../b", "is no place for a store"),
    ],
)
def test_a_url_that_is_none_is_found_by_the_check(store: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "run": {"store": store}}))
    with pytest.raises(CurateError, match=said) as error:
        load_catalog(file)
    assert "catalog.yaml:" in str(error.value) and "secret" not in str(error.value)
    with pytest.raises(StoreError, match=said):
        curate.open_store(store)


def test_finished_results_are_sent_while_the_build_runs(
    machine: Machines, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machine("one"), machine("two")
    monkeypatch.setattr(session_module, "SEND", 0.1)
    seen: list[int] = []
    done = runner.TaskRunner._run

    def slowly(self: Any, missing: Any, results: Any) -> None:
        if any(task.step == "shout" for _, _, task in missing):
            for _ in range(100):
                two.store()
                if found := list(two.root.glob("work/letters/[!.]*/result.json")):
                    break
                time.sleep(0.1)
            seen.append(len(found))
            raise StoreError("this machine is lost")
        done(self, missing, results)

    monkeypatch.setattr(runner.TaskRunner, "_run", slowly)
    with pytest.raises(StoreError, match="is lost"):
        one.build()
    assert seen and seen[0], "scores are there before the build has ended"


def test_an_erasure_that_could_not_be_sent_is_carried_on(machine: Machines, url: str) -> None:
    one, two = machine("one"), machine("two")
    one.build()
    word = "sw words words words words 25"
    with pytest.MonkeyPatch.context() as patch:

        def away(self: Any) -> None:
            raise StoreError(f"{url} cannot be listed: it cannot be reached")

        patch.setattr(push_module._Push, "_sweep", away)
        with pytest.raises(StoreError, match=r"cannot be listed.*the next build on this machine sends it"):
            forget(one.catalog(), one._registry, "loud", where=f"text ILIKE '%{word}%'", purge=True)
    one.build()
    objects = Objects(url)
    for name in objects_in(url):
        found = objects.get(name)
        assert found is not None and not has_text(found[0], name, word), name
    two.build()


def test_a_lost_cache_or_description_stops_nobody(
    machine: Machines, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = machine("one")
    first = one.build()
    objects = Objects(url)
    files = known(one.root).files
    lost = [
        object_name("spending.sqlite", files[""]["spending.sqlite"]),
        *(
            object_name("result.json", listed["result.json"])
            for unit, listed in files.items()
            if unit.startswith("work/shout/")
        ),
    ]
    objects.delete(lost)
    two = machine("two")
    again = two.build()
    assert again.version == first.version and again.changed
    assert caplog.text.count("gone from s3://") >= len(lost)
    three = machine("three")
    assert not three.build().changed
    assert not list(find_damage(three.store()))


def test_a_version_that_is_read_by_name_is_fetched_where_it_is_needed(machine: Machines) -> None:
    one = machine("one")
    first = one.build()
    tag_version(one.store(), "loud", "v1")
    again = one.build(**{"from": ["loud@v1"], "steps": [{"letters": {"model": "ruler", "min": 9}}]})
    assert again.rows
    for name, do in {
        "check": lambda catalog: make_plan(catalog, one._registry),
        "preview": lambda catalog: preview_dataset(catalog, one._registry, "loud", rows=3),
        "rebuild": lambda catalog: rebuild("loud", catalog=catalog, registry=one._registry),
    }.items():
        assert do(machine(name).catalog()), name
    assert first.version != again.version
    two = machine("two")
    looser = two.catalog(
        steps=[
            {"letters": {"model": "ruler", "min": 12}},
            "shout",
            {"letters": {"as": "again", "model": "ruler", "min": 12}},
        ]
    )
    assert not make_plan(looser, one._registry, chunk_limits=ChunkLimits(32, 32, 64)).idle
    assert two.build().rows


def test_a_list_that_names_files_outside_of_the_store_is_refused(machine: Machines, url: str, tmp_path: Path) -> None:
    one = machine("one")
    one.build()
    objects, state = Objects(url), read_head(Objects(url))
    assert state is not None
    entry = known(one.root).files[""]["store.json"]
    for unit, name in (("", "../../../evil.json"), ("", "/tmp/evil.json"), ("work/../../x", "result.json")):
        data = json.dumps({unit: {name: list(entry)}}).encode()
        index = f"lists/{hashlib.sha256(data).hexdigest()}-0.json.gz"
        objects.put(index, gzip.compress(data))
        state = swap_head(objects, read_head(objects), index=index)
        with pytest.raises(StoreError, match="is no place in a store; nothing was read"):
            machine("two").store()
    assert not list(tmp_path.rglob("evil.json"))


def test_of_many_at_once_one_builds_and_the_others_wait(machine: Machines, url: str) -> None:
    """Of several that see the same head, one gets the store; the others wait, and have nothing to do."""
    machine("one").build()
    objects = Objects(url)
    taken: list[str] = []
    shared = threading.Barrier(4)

    def take(name: str) -> None:
        mine = lease.Lease(objects, {"pid": 1, "host": name, "id": name}, lambda holder: False)
        shared.wait()
        mine.acquire(30)
        taken.append(name)
        assert mine.head.holder is not None and mine.head.holder["id"] == name
        time.sleep(0.05)
        assert taken[-1] == name, "nobody else has it meanwhile"
        mine.release()

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(take, str(number)) for number in range(4)]:
            one.result()
    assert sorted(taken) == ["0", "1", "2", "3"]


def test_a_file_that_is_damaged_here_is_fetched_again(
    machine: Machines, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = machine("one")
    first = one.build()
    before = objects_in(url)
    for number, damage in enumerate((lambda data: data[:-9], lambda data: data[:-9] + b"X" + data[-8:])):
        for pattern in ("datasets/*/*/data/*.parquet", "work/*/*/rows-*.parquet"):
            for path in one.root.glob(pattern):
                data = path.read_bytes()
                path.unlink()
                path.write_bytes(damage(data))
        assert curate.dataset("loud", store=one.store()).to_polars().height == first.rows
        again = one.build()
        assert (again.version, again.changed, again.mended) == (first.version, False, [])
        assert not list(find_damage(one.store())), number
    assert "was damaged on this machine and is fetched again from s3://" in caplog.text
    assert {name for name in objects_in(url) if name.endswith(".parquet")} == {
        name for name in before if name.endswith(".parquet")
    }
