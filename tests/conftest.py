"""What several tests share: the plug-in's parts in a registry, a catalog in a folder, tiny shards."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import typer.main
from hypothesis import is_hypothesis_test, settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# A killed process loses nothing that it has written; only a power cut would, and no test cuts the power.
os.fsync = lambda file: None


class _Hasty(sqlite3.Connection):
    """A database that does not wait for the disk either."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        with contextlib.suppress(sqlite3.Error):  # damaged: whoever opened it will notice
            super().execute("PRAGMA synchronous=OFF")

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        if sql == "PRAGMA synchronous=NORMAL":
            sql = "PRAGMA synchronous=OFF"
        return super().execute(sql, *given)


sqlite3.connect = functools.partial(sqlite3.connect, factory=_Hasty)
# The command line is made out of its functions once, not (30 ms) for each command.
typer.main.get_command = functools.cache(typer.main.get_command)
# Commands that tests start would else compile every module anew, and pytest every test.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# The same examples in every run, so that a failure is never luck; `make test-random` looks for new ones, many more.
settings.register_profile("steady", derandomize=True, database=None, deadline=None)
settings.register_profile("random", print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
_RANDOM_EXAMPLES = 20
"""How many times as many examples a random run tries."""
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "plugin")]


def pytest_configure(config: pytest.Config) -> None:
    """Gives each worker of pytest-xdist a CPU of its own: builds then run in one process unless a test asks for more,
    and no library starts threads for CPUs that the other workers use."""
    worker = getattr(config, "workerinput", {}).get("workerid")
    if worker and hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[int(worker.removeprefix("gw")) % len(cpus)]})


@pytest.fixture(scope="session")
def registry():
    """Everything installed, and the plug-in's parts without installing it."""
    import curate_letters as letters
    from curate_letters import making

    from curate.steps import Registry

    found = Registry.installed()
    found.add("source", "numbered", letters.Numbered)
    found.add("model", "counter", letters.Counter)
    found.add("model", "echo", making.Echo)
    found.add("model", "chain", making.Chain)
    for step in (letters.Letters, letters.Shout, letters.Most, making.Reply, making.Lexicon, making.Marked):
        found.add("step", step.tag, step)
    return found


@pytest.fixture
def shared() -> Path:
    """The development data beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the development data is not here")
    return folder


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        made = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
        # What is made once for a file is made in one worker; but for the quick start, which all of them share.
        if "clone" not in made and any(found[-1].scope == "module" for found in made.values()):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    if os.environ.get("HYPOTHESIS_PROFILE") != "random":
        return
    for item in items:
        test = getattr(item, "obj", None)
        test = getattr(test, "__func__", test)
        if test is not None and is_hypothesis_test(test) and not hasattr(test, "random_examples"):
            test.random_examples = True
            own = test._hypothesis_internal_use_settings
            test._hypothesis_internal_use_settings = settings(
                own, max_examples=_RANDOM_EXAMPLES * own.max_examples, deadline=None
            )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Sees to the garbage, and begins with the quick start at once, in one worker, where a test will ask for it: its
    models take longer than all else."""
    # Looking through seven thousand tests again and again takes a fifth of the time of short tests.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    worker = getattr(session.config, "workerinput", {}).get("workerid", "master")
    asked = any("clone" in getattr(item, "fixturenames", ()) for item in session.items)
    if not asked or worker not in ("master", "gw0") or session.config.option.collectonly:
        return
    if worker == "master" and (session.config.getoption("numprocesses", None) or len(session.items) < 500):
        return
    from quick_start import build, shared_folder

    shared = shared_folder(session.config._tmp_path_factory.getbasetemp(), worker)

    def begin() -> None:
        with contextlib.suppress(AssertionError):  # told by the tests that ask for it
            build(shared)

    threading.Thread(target=begin, daemon=True).start()
