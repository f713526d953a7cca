"""Runs tasks in actors of a Ray cluster; any actor or node may be lost.

A task that was lost is done anew elsewhere: results are written whole or not at all, so doing one twice does no harm.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from curate._version import __version__
from curate.caches import empty_logs, machine, node_folder, settle
from curate.catalog import RunConfig
from curate.engine.executors.base import Report
from curate.engine.executors.ray_cluster import Cluster
from curate.engine.store.store import Store
from curate.engine.tasks.task import Task, WorkerConfig
from curate.errors import DamagedError, ExecutorError

_PULSE = 0.5
"""Seconds between two looks at how far busy workers are (more where there are hundreds)."""
_FAREWELL = 10.0
"""Seconds that an actor has for a short answer."""
_SIGHT = 90.0
"""Seconds until a network file system must show what another machine wrote; caches of names live up to a minute."""


@dataclass(eq=False)
class _Actor:
    """An actor, as seen from here."""

    handle: Any
    exclusive: bool
    hello: Any
    """The reference to what it says first; None once it was said."""
    about: dict[str, Any] = field(default_factory=dict)
    job: Any = None
    """The reference to the result under way."""
    task: int = -1
    run: int = 0
    """Which call of :meth:`RayExecutor.run` it works for."""
    pulse: Any = None
    """The reference to how far it is."""
    felt: float = 0.0
    told: dict[str, int] = field(default_factory=dict)
    """What was reported of the task under way."""

    @property
    def idle(self) -> bool:
        return self.hello is None and self.job is None

    def references(self) -> list[Any]:
        return [one for one in (self.hello, self.job, self.pulse) if one is not None]


class RayExecutor:
    """Actors on a Ray cluster, started when first needed, which keep their models from task to task."""

    def __init__(self, setting: WorkerConfig, run: RunConfig) -> None:
        self._setting, self._run_config = setting, run
        self._cluster: Cluster | None = None
        self._actors: list[_Actor] = []
        self._runs = 0
        self._nonce = f".tmp-ray-{uuid.uuid4().hex}"
        self._word = uuid.uuid4().hex
        self._false_starts = 0
        self._unserved: dict[bool, float] = {}
        """Lane → since when it has work and nobody for it."""
        self._most = 1

    # -------------------------------------------------------------------------------------------------------------- run
    def run(self, tasks: Sequence[Task], report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
        """See :class:`curate.engine.executors.local.Executor`.

        Raises:
            ExecutorError: the cluster cannot be used, a node lacks something, or a task was lost too often.
        """
        if not tasks:
            return
        cluster = self._connected()
        ray = cluster.ray
        self._runs += 1
        self._unserved.clear()
        self._most = self._run_config.workers or cluster.room()
        waiting = {
            lane: deque(index for index, task in enumerate(tasks) if task.exclusive is lane) for lane in (True, False)
        }
        lost: dict[int, int] = {}
        left = len(tasks)
        while left:
            for lane in (True, False):
                self._hand_out(tasks, waiting[lane], lane)
            references = [one for actor in self._actors for one in actor.references()]
            done, _ = ray.wait(references, num_returns=1, timeout=_PULSE)
            if done:
                done, _ = ray.wait(references, num_returns=len(references), timeout=0)
            for actor in list(self._actors):
                if actor.hello in done:
                    self._greet(actor)
                if actor.pulse is not None and actor.pulse in done:
                    self._feel(actor, report)
                if actor.job is not None and actor.job in done:
                    outcome = self._collect(actor, tasks, waiting, lost, report)
                    if outcome is not None:
                        left -= 1
                        yield outcome
            self._ask_how_far()

    def _hand_out(self, tasks: Sequence[Task], waiting: deque[int], exclusive: bool) -> None:
        """Work for the idle of one lane, and more actors where work is left and they are allowed."""
        mine = [actor for actor in self._actors if actor.exclusive is exclusive]
        for actor in mine:
            if waiting and actor.idle:
                actor.task, actor.run, actor.told, actor.felt = waiting.popleft(), self._runs, {}, time.monotonic()
                actor.job = actor.handle.run_task.remote(json.dumps(asdict(tasks[actor.task])))
        coming = sum(actor.hello is not None for actor in mine)
        for _ in range(min(len(waiting) - coming, (1 if exclusive else self._most) - len(mine))):
            self._actors.append(self._start(exclusive))
        if waiting and not any(actor.hello is None for actor in mine):
            self._check_deadline(exclusive)
        else:
            self._unserved.pop(exclusive, None)

    def _collect(
        self,
        actor: _Actor,
        tasks: Sequence[Task],
        waiting: dict[bool, deque[int]],
        lost: dict[int, int],
        report: Report,
    ) -> tuple[int, dict[str, Any]] | None:
        """What an actor's task came to; None if it has to be done anew, or nobody waits for it any more."""
        cluster, job, index = self._connected(), actor.job, actor.task
        if actor.pulse is not None:  # what it says now is not said again with the result
            self._feel(actor, report)
        actor.job = None
        current = actor.run == self._runs
        try:
            result, told = json.loads(cluster.ray.get(job))
        except Exception as error:
            if not _is_loss(cluster.ray, error):
                raise
            self._dismiss(actor)
            if not current:
                return None
            task = tasks[index]
            found = Store(Path(self._setting.root)).result(task.step, task.key)
            if found is not None and not task.again:  # done; only the word of it was lost
                return index, found
            lost[index] = lost.get(index, 0) + 1
            if lost[index] > cluster.config.retries:
                times = "once" if lost[index] == 1 else f"{lost[index]} times"
                raise ExecutorError(
                    f"a Ray worker died {times} while working on {task.stage}, the last one on {_where(actor)}: "
                    f"{_reason(error)}. "
                    "If a node ran out of memory, let fewer workers share it ('run: {ray: {worker: {memory: 8GB}}}')"
                ) from None
            for stage, rows in actor.told.items():
                report(stage, -rows)
            waiting[actor.exclusive].appendleft(index)
            return None
        if not current:
            return None
        for stage, rows in told.items():
            report(stage, rows)
        if actor.about["machine"] != machine():
            if "error" in result:
                advice = "; install the same packages on every node" if result["kind"] == "ModuleNotFoundError" else ""
                result = {**result, "error": f"on {_where(actor)}: {result['error']}{advice}"}
            else:
                self._see(actor, tasks[index], result)
        return index, result

    def _see(self, actor: _Actor, task: Task, result: dict[str, Any]) -> None:
        """Waits until this machine sees what another one wrote."""
        folder = Path(self._setting.root) / "work" / task.step / task.key
        until = time.monotonic() + _SIGHT
        while not self._is_seen(task, result):
            if time.monotonic() > until:
                raise ExecutorError(
                    f"{_where(actor)} wrote {folder}, which is not seen here after {_SIGHT:.0f} s; the store "
                    "must be in a folder "
                    "that all nodes share"
                )
            with contextlib.suppress(OSError):
                next(folder.parent.iterdir(), None)  # asks the file server anew
            time.sleep(0.05)

    def _is_seen(self, task: Task, result: dict[str, Any]) -> bool:
        try:
            found = Store(Path(self._setting.root)).result(task.step, task.key)
        except DamagedError:  # a part of it has not arrived
            return False
        return found is not None and (not task.again or found == result)

    # --------------------------------------------------------------------------------------------------------- progress
    def _ask_how_far(self) -> None:
        now = time.monotonic()
        busy = [actor for actor in self._actors if actor.job is not None and actor.run == self._runs]
        for actor in busy:
            if actor.pulse is None and now - actor.felt > max(_PULSE, len(busy) / 200):
                actor.felt = now
                actor.pulse = actor.handle.told.remote()

    def _feel(self, actor: _Actor, report: Report) -> None:
        pulse, actor.pulse = actor.pulse, None
        with contextlib.suppress(Exception):  # a dead actor's task says so itself
            for stage, rows in json.loads(self._connected().ray.get(pulse, timeout=_FAREWELL)).items():
                if actor.run == self._runs:
                    actor.told[stage] = actor.told.get(stage, 0) + rows
                    report(stage, rows)

    # ------------------------------------------------------------------------------------------------------------
    # actors
    def _start(self, exclusive: bool) -> _Actor:
        from curate.engine.executors.ray_worker import CONTROL, Worker

        cluster = self._connected()
        options: dict[str, Any] = dict(cluster.exclusive if exclusive else cluster.worker)
        if not exclusive:
            options["scheduling_strategy"] = "SPREAD"
        made = cluster.ray.remote(max_restarts=0, max_task_retries=0, concurrency_groups={CONTROL: 1}, **options)(
            Worker
        )
        handle = made.remote()
        return _Actor(handle, exclusive, handle.begin.remote(json.dumps(self._order(exclusive, options))))

    def _order(self, exclusive: bool, options: dict[str, Any]) -> dict[str, Any]:
        cluster = self._connected()
        environment: dict[str, str | None] = {}
        for name in cluster.config.environment:
            if name not in os.environ:
                raise ExecutorError(f"run.ray.environment: the variable {name} is not set here")
            environment[name] = os.environ[name]
        if not options["num_gpus"]:
            # Nobody reserved one: on a cluster it is somebody else's; an instance of our own is as this process.
            environment.setdefault(
                "CUDA_VISIBLE_DEVICES", "" if cluster.spread else os.environ.get("CUDA_VISIBLE_DEVICES")
            )
        lock = Path(self._setting.root) / "lock.json"
        return {
            "setting": asdict(self._setting),
            "environment": environment,
            "path": sys.path,
            "python": list(sys.version_info[:2]),
            "version": __version__,
            "nonce": self._nonce,
            "word": self._word,
            "node": None if cluster.spread and not exclusive else "exclusive" if cluster.spread else "",
            "lock": lock.read_text() if lock.exists() else None,
        }

    def _greet(self, actor: _Actor) -> None:
        hello, actor.hello = actor.hello, None
        cluster = self._connected()
        try:
            actor.about = json.loads(cluster.ray.get(hello))
        except Exception as error:
            if not _is_loss(cluster.ray, error):
                raise
            self._dismiss(actor)
            self._false_starts += 1
            if "No module named" in str(error) or self._false_starts > cluster.config.retries:
                raise ExecutorError(
                    f"a Ray worker could not be started: {_reason(error)}; every node needs the same Python and "
                    "the same "
                    "packages as this machine"
                ) from error
            return
        self._false_starts = 0
        if "error" in actor.about:
            raise ExecutorError(f"node {_where(actor)} cannot work on this build: {actor.about['error']}")
        if not cluster.spread and actor.about["machine"] != machine():
            raise ExecutorError(
                f"node {_where(actor)} is another machine, and the connection to Ray that this program had did "
                "not tell of it; "
                "write the cluster's address ('run: {ray: {address: …}}')"
            )

    def _check_deadline(self, exclusive: bool) -> None:
        cluster, now = self._connected(), time.monotonic()
        since = self._unserved.setdefault(exclusive, now)
        lacking = (
            cluster.lacking(cluster.exclusive if exclusive else cluster.worker)
            if cluster.ours or now - since > cluster.config.deadline
            else ""
        )
        name = "exclusive" if exclusive else "worker"
        if lacking:
            raise ExecutorError(f"run.ray.{name} asks for {lacking}")
        if now - since > cluster.config.deadline:
            raise ExecutorError(
                f"the Ray cluster had no room for a process of curate (run.ray.{name}) within "
                f"{cluster.config.deadline:g} s "
                "('deadline'): others hold what it asks for, or run.workers is too high"
            )

    def _dismiss(self, actor: _Actor) -> None:
        with contextlib.suppress(Exception):
            self._connected().ray.kill(actor.handle, no_restart=True)
        self._actors.remove(actor)

    # --------------------------------------------------------------------------------------------------------
    # connection
    def _connected(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self._run_config)
            root = Path(self._setting.root)
            (root / self._nonce).write_text(self._word)
            if self._cluster.spread:
                node_folder(root / "cache", "exclusive").mkdir(parents=True, exist_ok=True)
                empty_logs(root / "cache")
        return self._cluster

    def close(self) -> None:
        """Ends the actors, and Ray itself where it was started for this build."""
        if self._cluster is None:
            return
        cluster, self._cluster = self._cluster, None
        ray, root = cluster.ray, Path(self._setting.root)
        try:
            with contextlib.suppress(Exception):
                ends = [actor.handle.end.remote() for actor in self._actors if actor.hello is None]
                if ends:
                    ray.wait(ends, num_returns=len(ends), timeout=_FAREWELL)
            gone = []
            for actor in self._actors:
                with contextlib.suppress(Exception):
                    ray.kill(actor.handle, no_restart=True)
                    gone.append(actor.handle.told.remote())
            with contextlib.suppress(Exception):
                if gone:
                    ray.wait(
                        gone, num_returns=len(gone), timeout=_FAREWELL
                    )  # a call to the dead returns at once, as a failure
        finally:
            self._actors = []
            cluster.close()
            (root / self._nonce).unlink(missing_ok=True)
            if cluster.spread:
                settle(root / "cache")


def _is_loss(ray: Any, error: Exception) -> bool:
    """Whether an actor or what it answered is gone, as against a mistake of ours in it."""
    names = (
        "RayActorError",
        "WorkerCrashedError",
        "NodeDiedError",
        "ObjectLostError",
        "OutOfMemoryError",
        "LocalRayletDiedError",
    )
    kinds = tuple(kind for name in names if (kind := getattr(ray.exceptions, name, None)) is not None)
    return isinstance(error, kinds)


def _reason(error: BaseException) -> str:
    """What Ray says of a death, in a line."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    for pattern in (
        r"No module named [^\s,)]+",
        r"exit detail: (.*?)(?: Some common causes|$)",
        r"(The (?:actor|node|worker)[^.]* (?:because|died|dead)[^.]*)",
    ):
        if found := re.search(pattern, text):
            return found[found.lastindex or 0].strip(" .")[:300]
    return text[:300] or type(error).__name__


def _where(actor: _Actor) -> str:
    return f"{actor.about['node']} (process {actor.about['pid']})" if actor.about else "a node"
