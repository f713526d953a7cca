"""On a Ray cluster the same catalog makes the same versions, whatever dies meanwhile; what a node lacks is said in
one sentence."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import psutil
import pytest
import yaml
from house import CUTS, House

pytest.importorskip("ray")
os.environ["RAY_AUTH_MODE"] = "disabled"

from ray_house import FAR, TwoNodes, can_unshare, wait_for

from curate.catalog import CatalogError
from curate.engine.build import build_datasets
from curate.engine.store.gc import verify_version
from curate.errors import BuildError, ExecutorError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]
ROOT = Path(__file__).resolve().parents[2]
ONLY_FAR = {"resources": {FAR: 0.1}}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    if not can_unshare():
        pytest.skip("a second machine is played by mounts of its own, which this user may not have")
    found = TwoNodes(tmp_path_factory.mktemp("nodes"))
    found.add_far()
    yield found
    found.close()


@pytest.fixture
def wide(house: House, nodes: TwoNodes) -> House:
    """A catalog with steps of each kind, to be built on the cluster."""
    from curate_letters import places

    if "vectors" not in house.registry.names("model"):
        house.registry.add("model", "vectors", places.Vectors)
        house.registry.add("step", "vowels", places.Vowels)
    journal = str(house.journal)
    house.catalog["models"] |= {
        "parrot": {"use": "echo", "journal": journal},
        "vectors": {"use": "vectors", "journal": journal},
        "device": {"use": "vectors", "journal": journal, "shared": False},
    }
    house.catalog["datasets"] = {
        "duo": {
            "from": ["english", "swahili"],
            "splits": {"train": 0.8, "test": 0.2},
            "steps": [
                {"vowels": {"journal": journal}},
                {"letters": {"model": "ruler", "min": 0.1, "fitted": True}},
                {"most": {"count": 70}},
            ],
        },
        "answers": {
            "from": "duo",
            "steps": [{"reply": {"model": "parrot"}}, {"vowels": {"model": "device", "journal": journal}}],
        },
    }
    house.catalog["run"] = {
        "executor": "ray",
        "workers": 2,
        "ray": {"address": nodes.address, "exclusive": {"gpus": 1}},
    }
    return house


class Counted:
    """A progress that adds up."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()

    def begin(self, stage: str, rows: int) -> None:
        return

    def advance(self, stage: str, rows: int) -> None:
        self.done[stage] += rows

    def end(self, stage: str) -> None:
        return

    def say(self, message: str) -> None:
        return


def workers(lines: list[str]) -> dict[int, str]:
    """Process → machine of all that scored."""
    return {int(line.split()[2]): line.split()[1] for line in lines if line.startswith("score")}


def gone(pids) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def test_a_cluster_makes_the_same_versions_with_the_same_keys_and_one_cache(wide, nodes, monkeypatch):
    monkeypatch.setenv("VECTORS_SECRET", "a-secret-of-mine")
    wide.catalog["run"]["ray"]["environment"] = ["VECTORS_SECRET"]
    wide.catalog["run"]["workers"] = 3  # as many as both nodes have room for together
    both, hold = {os.uname().nodename, FAR}, held(wide)

    def let_go() -> None:
        """Once both nodes work."""
        try:
            wait_for(lambda: set(workers(wide.journal.read_text().splitlines()).values()) == both, 180)
        finally:
            hold.unlink()

    told, watch = Counted(), threading.Thread(target=let_go)
    watch.start()
    built = build_datasets(wide.load(), wide.registry, chunk_limits=CUTS, progress=told)
    watch.join()
    lines = wide.ran()
    assert set(workers(lines).values()) == both
    assert told.done["duo/vowels"] == told.done["duo/letters"] == 210 and told.done["answers/reply"] == 140
    # The one process for what is alone has the GPU, nobody else sees one; a variable that is named reaches all.
    encoded = [line.split(" ", 4) for line in lines if line.startswith("encode")]
    assert {tuple(one[1:4]) for one in encoded if one[4].endswith("~0")} == {(FAR, "0", "a-secret-of-mine")}
    assert {one[2] for one in encoded if not one[4].endswith("~0")} == {""}
    assert len({line.split()[1] for line in lines if line.startswith(("ask", "close"))}) == 1
    assert sum(line.startswith("close") for line in lines) == 1
    assert len(encoded) == 210 + 140 and built[1].spending[0]["calls"] == 140
    wait_for(lambda: gone(workers(lines)))
    store = wide.folder / ".curate"
    assert not [path for path in store.iterdir() if path.name.startswith(".tmp")]
    found = subprocess.run(
        ["grep", "-rl", "a-secret-of-mine", store, nodes.sessions, nodes.folder], capture_output=True, text=True
    )
    assert found.stdout == ""
    # In this process nothing is left to do, and what both machines encoded is known.
    wide.catalog["run"] = {"workers": 1}
    assert wide.plan().idle
    assert not (store / "cache" / "nodes").exists()
    assert verify_version(wide.store, "duo") == verify_version(wide.store, "answers") == []
    wide.catalog["run"]["store"] = "another"
    assert [one.version for one in wide.build()] == [one.version for one in built]


def test_a_task_that_kills_its_worker_every_time_stops_the_build(wide):
    wide.catalog["datasets"]["duo"]["steps"][0]["vowels"]["deadly"] = "en river"
    wide.catalog["run"] |= {"workers": 1}
    wide.catalog["run"]["ray"] |= {"retries": 1}
    with pytest.raises(
        ExecutorError,
        match=r"a Ray worker died 2 times while working on duo/vowels, the last one on \S+ \(process \d+\): ",
    ):
        wide.build("duo")
    wait_for(lambda: gone(workers(wide.ran())))


def test_a_file_that_a_node_does_not_see_is_named_with_the_node(wide, nodes):
    path = nodes.hidden / "en.txt"
    path.write_text("en\t1\triver\n")
    wide.catalog["sources"]["english"]["path"] = [str(path)]
    wide.catalog["run"]["workers"] = 1
    wide.catalog["run"]["ray"]["worker"] = ONLY_FAR
    with pytest.raises(BuildError, match=rf"read english: on {FAR} \(process \d+\): .*No such file.*{path}"):
        wide.build("duo")


def test_a_store_that_a_node_does_not_see_is_told_with_the_node(wide, nodes):
    store = nodes.hidden / "store"
    (nodes.folder / "elsewhere" / "store").mkdir()  # a folder of that name is not the store
    wide.catalog["run"] |= {"workers": 1, "store": str(store)}
    wide.catalog["run"]["ray"]["worker"] = ONLY_FAR
    with pytest.raises(
        ExecutorError, match=rf"node {FAR} \(process \d+\) cannot work on this build: it does not see the store {store}"
    ):
        wide.build("duo")


def test_what_no_node_has_is_told_and_what_is_not_set_here_too(wide):
    wide.catalog["run"]["ray"] |= {"worker": {"gpus": 3}, "deadline": 0.5}
    with pytest.raises(ExecutorError, match=r"run.ray.worker asks for 3 GPU \(the most that a node has: 1 GPU\)"):
        wide.build("duo")
    wide.catalog["run"]["ray"] = {**wide.catalog["run"]["ray"], "worker": {}, "environment": ["NOBODY_SET_THIS"]}
    with pytest.raises(ExecutorError, match=r"run\.ray\.environment: the variable NOBODY_SET_THIS is not set here"):
        wide.build("duo")


def held(wide: House) -> Path:
    """The file that keeps work in ``vowels`` while it is there."""
    hold = wide.folder / "hold"
    hold.touch()
    wide.catalog["datasets"]["duo"]["steps"][0]["vowels"]["hold"] = str(hold)
    return hold


SCRIPT = """
import sys
sys.path[:0] = [{plugin!r}, {root!r}]
import curate_letters as letters
from curate_letters import places
from curate import load_catalog
from curate.engine.build import build_datasets
from curate.engine.store.shards import ChunkLimits
from curate.steps import Registry
registry = Registry.installed()
registry.add("source", "numbered", letters.Numbered); registry.add("model", "vectors", places.Vectors); registry.add("step", "vowels", places.Vowels)
build_datasets(load_catalog("catalog.yaml", registry=registry), registry, chunk_limits=ChunkLimits(16, 16, 64))
"""  # noqa: E501


def start(wide: House, **run) -> subprocess.Popen[str]:
    """A build in a process of its own, up to where it waits."""
    wide.catalog["models"] = {"vectors": wide.catalog["models"]["vectors"]}
    wide.catalog["datasets"] = {"duo": {"from": ["english"], "steps": [wide.catalog["datasets"]["duo"]["steps"][0]]}}
    wide.catalog["run"] = run
    held(wide)
    (wide.folder / "catalog.yaml").write_text(yaml.safe_dump(wide.catalog))
    (wide.folder / "build.py").write_text(SCRIPT.format(plugin=str(ROOT / "tests" / "plugin"), root=str(ROOT)))
    return subprocess.Popen(
        [sys.executable, "build.py"], cwd=wide.folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def scoring(wide: House, process: subprocess.Popen[str]) -> dict[int, str]:
    return wait_for(
        lambda: (
            workers(wide.journal.read_text().splitlines())
            or (process.poll() is not None and {0: process.communicate()[1]})
        )
    )


def test_workers_on_a_cluster_end_when_the_build_is_killed(wide, nodes):
    process = start(wide, executor="ray", workers=1, ray={"address": nodes.address, "worker": ONLY_FAR})
    pids = scoring(wide, process)
    assert list(pids.values()) == [FAR]
    process.kill()
    process.wait()
    wait_for(lambda: gone(pids), 30)
    (wide.folder / "hold").unlink()
    wide.catalog["run"] = {"workers": 1}
    assert wide.build()[0].rows == 120, "the next build takes over what was done, and the lock"


def test_a_worker_and_a_whole_node_may_be_lost(wide, nodes):
    del wide.catalog["datasets"]["answers"]
    wide.catalog["run"]["workers"] = 3
    hold = held(wide)
    told, results = Counted(), []
    build = threading.Thread(
        target=lambda: results.append(build_datasets(wide.load(), wide.registry, chunk_limits=CUTS, progress=told))
    )
    build.start()
    try:
        here = wait_for(
            lambda: {pid for pid, node in workers(wide.journal.read_text().splitlines()).items() if node != FAR}
        )
        wait_for(lambda: FAR in workers(wide.journal.read_text().splitlines()).values())
        os.kill(here.pop(), signal.SIGKILL)
        nodes.remove_far()
    finally:
        hold.unlink()
        build.join(90)
    [[built]] = results
    assert told.done["duo/vowels"] == 210, "what was told of lost work is taken back"
    wide.catalog["run"] = {"workers": 1, "store": "another"}
    assert [one.version for one in wide.build()] == [built.version]


def test_a_ray_of_our_own_is_not_reached_from_outside_and_ends_with_the_build(wide, monkeypatch):
    folder = Path(tempfile.mkdtemp(prefix="r-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    wide.catalog["run"] = {"executor": "ray", "workers": 1}
    hold = held(wide)
    wide.catalog["datasets"]["duo"]["steps"][0]["vowels"]["fail"] = "river"
    before = {one.pid for one in psutil.Process().children(recursive=True)}
    failed = []

    def build() -> None:
        try:
            wide.build("duo")
        except BuildError as error:
            failed.append(str(error))

    thread = threading.Thread(target=build)
    thread.start()
    try:
        wait_for(lambda: workers(wide.journal.read_text().splitlines()))
        family = [one for one in psutil.Process().children(recursive=True) if one.pid not in before]
        assert any(one.name() == "raylet" for one in family) and any(folder.iterdir())
        heard = {
            connection.laddr.ip.removeprefix("::ffff:")
            for one in family
            for connection in one.net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
        assert heard == {"127.0.0.1"}
    finally:
        hold.unlink()
        thread.join(60)
    [said] = failed
    assert re.match(r"duo/vowels \(shard \S+\): 'river' is a word I cannot stand\n(?s:.*)ValueError", said)
    assert psutil.wait_procs(family, timeout=120)[1] == []
    assert not any(folder.iterdir()), "Ray's own files are gone too"
    folder.rmdir()


def test_without_the_package_it_is_named(house, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    house.catalog["run"] = {"executor": "ray"}
    with pytest.raises(ExecutorError, match=r"'executor: ray' needs a package: pip install 'polycurate\[ray\]'"):
        house.build()


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ({"executor": "rey"}, r"catalog.yaml:\d+: executor: .*; did you mean 'ray'\?"),
        (
            {"ray": {"address": "auto"}},
            "'ray' says how to work on a Ray cluster, but this catalog runs in local processes; add 'executor: ray'",
        ),
        ({"executor": "ray", "ray": {"adress": "auto"}}, "unknown key 'adress'; did you mean 'address'"),
        (
            {"executor": "ray", "ray": {"exclusive": {"gpu": 1}}},
            r"unknown key 'gpu'; did you mean 'gpus'\? \(known: cpus, gpus, memory, resources\)",
        ),
        (
            {"executor": "ray", "ray": {"address": "my cluster"}},
            "'my cluster' is no address of a Ray cluster: write auto",
        ),
        ({"executor": "ray", "ray": {"worker": {"resources": {"GPU": 1}}}}, "'GPU' is no custom resource"),
        ({"executor": "ray", "ray": {"environment": ["A=1"]}}, r"ray.environment.0: String should match"),
        ({"workers": 300}, "at most 256 processes run on one machine"),
    ],
)
def test_mistakes_in_run_are_told_at_loading(house, run, said):
    house.catalog["run"] = run
    with pytest.raises(CatalogError, match=said):
        house.load()


@pytest.mark.parametrize("what", ["another build holds the store", "the lock is gone", "its heart stands still"])
def test_a_worker_ends_itself_when_the_build_no_longer_holds_the_store(tmp_path, monkeypatch, what):
    from curate.engine.executors import ray_worker

    class Ended(BaseException):
        pass

    def end(code: int) -> None:
        raise Ended

    lock = tmp_path / "lock.json"
    lock.write_text("mine")
    monkeypatch.setattr(ray_worker, "_ORPHANED", 10.0)
    monkeypatch.setattr(ray_worker.os, "_exit", end)
    looks = 0

    def look(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks < 50 or what == "its heart stands still":
            os.utime(lock, ns=(min(looks, 50), min(looks, 50)))
        elif what == "the lock is gone":
            lock.unlink(missing_ok=True)
        else:
            lock.write_text("theirs")

    monkeypatch.setattr(ray_worker.time, "sleep", look)
    monkeypatch.setattr(ray_worker.time, "monotonic", lambda: float(looks))
    with pytest.raises(Ended):
        ray_worker._end_with_build(lock, "mine")
    assert looks == (61 if what == "its heart stands still" else 51), "not while the lock is there and its heart beats"
