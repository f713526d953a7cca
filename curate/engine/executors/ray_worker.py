"""The Ray actor: runs the same tasks as a local worker, after checking that its machine sees the same store.

Everything comes and goes as JSON.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray

from curate.caches import machine

CONTROL = "control"
"""The threads for calls beside the one that works."""
_LOOK = 5.0
_ORPHANED = 60.0
"""Seconds without a heartbeat of the build's lock after which an actor ends itself."""


class Worker:
    """Does tasks one after another; ``told`` and ``end`` are called beside them, in a thread of their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, int] = {}
        self._setting: Any = None
        self._node = socket.gethostname()

    def begin(self, order: str) -> str:
        """The first call: what a build is about, checked against what this machine has.

        Args:
            order: JSON of the executor's ``_Order``.

        Returns:
            JSON: ``node``, ``machine``, ``pid``; or ``error``, a sentence without the node's name.
        """
        told = json.loads(order)
        about: dict[str, Any] = {"node": self._node, "machine": machine(), "pid": os.getpid()}
        # Before anything of ours is imported: some libraries look at the environment once.
        for name, value in told["environment"].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        python = list(sys.version_info[:2])
        if python != told["python"]:
            return json.dumps(
                {
                    **about,
                    "error": f"Python {_dotted(python)} runs there, Python {_dotted(told['python'])} here; a cluster needs one",  # noqa: E501
                }
            )
        # A plug-in that lies beside the catalog's script is found where that folder is shared, as in a local process.
        sys.path.extend(
            folder for folder in told["path"] if folder and folder not in sys.path and Path(folder).exists()
        )
        problem = _store_problem(Path(told["setting"]["root"]), told["nonce"], told["word"])
        if problem:
            return json.dumps({**about, "error": problem})
        try:
            from curate._version import __version__
            from curate.engine.store.shards import ChunkLimits
            from curate.engine.tasks.context import close_models  # noqa: F401 - now, while it may fail, and not when it is needed
            from curate.engine.tasks.run import run_task  # noqa: F401
            from curate.engine.tasks.task import WorkerConfig
        except ImportError as error:
            return json.dumps(
                {
                    **about,
                    "error": f"curate cannot be imported there ({error}); install the same packages on every node",
                }
            )
        if __version__ != told["version"]:
            return json.dumps(
                {
                    **about,
                    "error": f"curate {__version__} is installed there, curate {told['version']} here; install the same on every node",  # noqa: E501
                }
            )
        setting = told["setting"]
        node = (
            told["node"]
            if told["node"] is not None
            else f"{re.sub(r'[^A-Za-z0-9_-]+', '-', self._node)[:60]}-{about['machine'][:8]}"
        )
        self._setting = WorkerConfig(
            **{**setting, "chunk_limits": ChunkLimits(**setting["chunk_limits"]), "node": node}
        )
        if told["lock"] is not None:
            path = Path(setting["root"]) / "lock.json"
            threading.Thread(
                target=_end_with_build, args=(path, told["lock"]), name="curate-fence", daemon=True
            ).start()
        return json.dumps(about)

    def run_task(self, task: str) -> str:
        """Does a task.

        Returns:
            JSON: its result, and what was not :meth:`told` yet.
        """
        from curate.engine.budget import release_ledgers
        from curate.engine.tasks.run import run_task
        from curate.engine.tasks.task import Task

        this = Task(**json.loads(task))

        def tick(rows: int) -> None:
            with self._lock:
                self._told[this.stage] = self._told.get(this.stage, 0) + rows

        result = run_task(self._setting, this, tick)
        if this.exclusive:
            release_ledgers()
        return json.dumps([result, self._take()])

    @ray.method(concurrency_group=CONTROL)
    def told(self) -> str:
        """JSON: stage → rows done since the last time."""
        return json.dumps(self._take())

    def _take(self) -> dict[str, int]:
        with self._lock:
            told, self._told = self._told, {}
        return told

    @ray.method(concurrency_group=CONTROL)
    def end(self) -> None:
        """Ends servers and frees devices before the process is ended."""
        from curate.engine.tasks.context import close_models

        close_models()


def _dotted(version: list[int]) -> str:
    return ".".join(map(str, version))


def _store_problem(root: Path, nonce: str, word: str) -> str:
    """Why this machine does not see the store of the build, or cannot write in it; empty if all is well."""
    try:
        found = (root / nonce).read_text()
    except OSError as error:
        return (
            f"it does not see the store {root} ({error.strerror or error}); the store must be in a folder that "
            "every node has "
            "at the same path"
        )
    if found != word:
        return f"{root} is another folder there than here; the store must be in a folder that all nodes share"
    mine = root / f"{nonce}-{socket.gethostname()}-{os.getpid()}"
    try:
        mine.write_text(word)
        mine.unlink()
    except OSError as error:
        return (
            f"it may not write in the store {root} ({error.strerror or error}); run Ray as the same user on every node"
        )
    return ""


def _end_with_build(path: Path, lock: str) -> None:
    """Ends this process when the build no longer holds the store: another may, and must not find us at work."""
    seen, since, missed = 0, time.monotonic(), 0
    while True:
        time.sleep(_LOOK)
        try:
            with path.open("rb") as file:  # opening asks the file server, where looking would not
                mine = file.read().decode() == lock
                beat = os.fstat(file.fileno()).st_mtime_ns
        except OSError:
            mine, beat = False, seen
        missed = 0 if mine else missed + 1
        if beat != seen:
            seen, since = beat, time.monotonic()
        if missed > 1 or time.monotonic() - since > _ORPHANED:
            os._exit(1)
