"""A build killed anywhere, then run again, ends at the same version as one that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from house import write_small

from curate.engine.store.gc import verify_version
from curate.engine.store.store import Store
from curate.errors import StoreError

ROOT = Path(__file__).resolve().parents[2]
KILLS, TRIES = 8, 40
SCRIPT = """
import sys
sys.path.insert(0, {plugin!r})
import curate_letters as letters
from curate import load_catalog
from curate.engine.build import build_datasets
from curate.engine.store.shards import ChunkLimits
from curate.steps import Registry
if __name__ == "__main__":
    registry = Registry.installed()
    registry.add("source", "numbered", letters.Numbered); registry.add("model", "counter", letters.Counter)
    for step in (letters.Letters, letters.Shout, letters.Most):
        registry.add("step", step.tag, step)
    print("ready", flush=True)
    built = build_datasets(load_catalog(sys.argv[1], registry=registry), registry, chunk_limits=ChunkLimits(16, 16, 64), wait=20)
    print(built[0].version, flush=True)
"""  # noqa: E501


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_small(tmp_path, 240)
    (tmp_path / "build.py").write_text(SCRIPT.format(plugin=str(ROOT / "tests" / "plugin")))
    return tmp_path


def start(place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "build.py", "catalog.yaml"],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def finish(place: Path) -> str:
    process = start(place)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out.split()[-1]


@pytest.mark.slow
def test_killed_at_random_moments_a_build_still_ends_at_the_same_version(place, tmp_path_factory):
    process = start(place)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    began = time.monotonic()
    calm = process.communicate(timeout=600)[0].split()[-1]
    (place / ".curate").rename(place / "calm")
    took = time.monotonic() - began
    random_moment = random.Random(7)
    landed = results_before = tries = 0
    while landed < KILLS and tries < TRIES:
        tries += 1
        process = start(place)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(random_moment.uniform(0.0, took))
        hit = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        landed += hit
        if not hit:
            took *= 0.9  # a machine that is faster now than at first
        store = Store(place / ".curate")
        results = (
            sum(1 for _ in (store.root / "work").glob("*/[!.]*/result.json")) if (store.root / "work").is_dir() else 0
        )
        assert results >= results_before, "a finished result is never lost"
        results_before = results
        for version in store.versions("loud"):
            assert verify_version(store, "loud", version) == [], "a version that exists is whole"
        if not hit or tries % 4 == 0:
            (place / ".curate").rename(place / f"aside-{tries}")  # begin afresh, so that early stages are hit again
            results_before = 0
    assert landed == KILLS, f"only {landed} of {tries} kills hit a running build"
    assert finish(place) == calm
    store = Store(place / ".curate")
    assert verify_version(store, "loud") == []
    assert not list(store.root.rglob(".tmp-*")), "nothing half-done is left"


@pytest.mark.slow
def test_workers_die_with_their_parent(place):
    catalog = yaml.safe_load((place / "catalog.yaml").read_text())
    catalog["run"]["workers"] = 2
    (place / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    process = start(place)
    children: list[psutil.Process] = []
    deadline = time.monotonic() + 600
    while len(children) < 2 and process.poll() is None and time.monotonic() < deadline:
        children = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "spawn_main" in " ".join(child.cmdline())
        ]
        time.sleep(0.02)
    assert len(children) >= 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not alive
    assert len(finish(place)) == 20


def test_a_second_build_is_refused_while_one_works_and_a_dead_ones_lock_is_taken_over(place):
    from curate.engine.store.lock import StoreLock

    root = place / ".curate"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from curate.engine.store.lock import StoreLock\n"
            "with StoreLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)",
            str(root),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=f"process {holder.pid}"), StoreLock(root):
        raise AssertionError("two builds at once")
    holder.kill()
    holder.wait()
    with StoreLock(root):
        assert (root / "lock.json").exists()
    assert not (root / "lock.json").exists()


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_lock_of_another_host_is_judged_by_the_clock_of_the_file_server(tmp_path, monkeypatch, hours):
    from curate.engine.store import lock

    path = tmp_path / "lock.json"
    path.write_text('{"pid": 1, "host": "far", "born": "1", "since": 0}')
    monkeypatch.setattr(lock.time, "time", lambda now=time.time: now() + 3600 * hours)
    with pytest.raises(StoreError, match="process 1 on far"), lock.StoreLock(tmp_path):
        raise AssertionError("its heart has just beaten")
    os.utime(path, (0, path.stat().st_mtime - 31))
    with lock.StoreLock(tmp_path):
        assert "far" not in path.read_text()
    assert not list(tmp_path.iterdir())


def test_a_dying_worker_is_reported_with_what_it_did(place):
    catalog = yaml.safe_load((place / "catalog.yaml").read_text())
    catalog["run"]["workers"] = 2
    catalog["datasets"]["loud"]["steps"][0]["letters"].update(journal=str(place / "journal"), die_after=3)
    (place / "catalog.yaml").write_text(yaml.safe_dump(catalog))
    process = start(place)
    _, err = process.communicate(timeout=600)
    assert process.returncode != 0 and "a worker process died while working on loud/letters" in err


def test_a_script_without_a_main_guard_is_told_so(place):
    script = (
        (place / "build.py").read_text().replace('if __name__ == "__main__":', "if True:").replace("wait=20", "wait=0")
    )
    (place / "build.py").write_text(script)
    catalog = yaml.safe_load((place / "catalog.yaml").read_text())
    (place / "catalog.yaml").write_text(yaml.safe_dump({**catalog, "run": {"workers": 2}}))
    ran = subprocess.run(
        [sys.executable, "build.py", "catalog.yaml"],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode != 0
    assert "keeps its calls below 'if __name__ == \"__main__\":'" in ran.stderr.splitlines()[-1], ran.stderr[-2000:]


def test_what_an_attempt_to_get_the_lock_left_is_swept_once_its_process_is_dead(tmp_path):
    from curate.engine.store.lock import StoreLock

    store = Store(tmp_path).open()
    lock = StoreLock(tmp_path)
    mine = lock._temporary("mine")
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}-", "-99999999-"))
    for path in (mine, dead):
        path.touch()
    with lock:
        mine.touch()
        store.sweep()
    assert mine.exists() and not dead.exists()


def test_a_store_that_two_begin_at_once_is_swept_by_neither(tmp_path, monkeypatch):
    """The first writes down the format when the second, further on, removes what killed builds left."""
    from curate.engine.store import store as module

    first, second = Store(tmp_path), Store(tmp_path)
    written = module.write_atomically

    def interrupted(path: Path, data: bytes) -> None:
        monkeypatch.setattr(module, "write_atomically", written)
        (tmp_path / ".tmp-1-.gitignore").touch()
        second.open().sweep()
        (tmp_path / ".tmp-1-.gitignore").replace(path)

    monkeypatch.setattr(module, "write_atomically", interrupted)
    first.open()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "store.json"]


def test_a_full_disk_is_an_error_that_names_the_store(tmp_path):
    import errno

    from curate.engine.store.lock import StoreLock
    from curate.errors import DiskFullError

    with pytest.raises(DiskFullError, match=rf"{tmp_path}: No space left on device"), StoreLock(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")
    with pytest.raises(OSError, match="is a directory"), StoreLock(tmp_path):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    with StoreLock(tmp_path):
        assert (tmp_path / "lock.json").exists()
