"""Connects to Ray: the connection this process already has, a cluster by address, or a local instance that ends with
the build.

An instance of our own listens on the loopback interface only, has no dashboard, tells nobody anything, and leaves
no files.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.catalog.model import RayConfig, RayPlace, RunConfig
from curate.cpus import available_cpus
from curate.errors import ExecutorError

_OBJECTS = 80_000_000
"""Bytes of Ray's object store: what we send are short texts."""
_LONGEST_FOLDER = 40
"""Ray puts sockets below its folder, whose whole names may have 107 bytes."""


_FOLDER = "curate-ray-"
_TOKEN = secrets.token_hex(32)
"""What processes of a Ray of our own show each other, in place of one that Ray would keep in the home folder."""
_REACH = 10.0
"""Seconds to find out whether anybody listens at an address."""


class Cluster:
    """A Ray that actors can be started on."""

    def __init__(self, run: RunConfig) -> None:
        """Connects.

        Raises:
            ExecutorError: Ray is not installed, cannot be started, or the cluster cannot be reached.
        """
        try:
            import ray
        except ImportError as error:
            raise ExecutorError(f"'executor: ray' needs a package: pip install 'polycurate[ray]' ({error})") from error
        self.ray: Any = ray
        self.run = run
        self.config = run.ray or RayConfig()
        self.worker = place(self.config.worker, run.threads)
        self.exclusive = place(self.config.exclusive, 0)
        self._folder: str | None = None
        self._handler: Any = None
        self._token = False
        self.ours = self._connected = False
        """Whether the instance, and the connection, are ours to end."""
        if not ray.is_initialized():
            self.ours = self.config.address is None
            self._connect()
            self._connected = True
        try:
            nodes = self.nodes()
        except BaseException:
            self.close()
            raise
        self.spread = not self.ours and (
            self.config.address is not None
            or any(node["NodeManagerHostname"] != socket.gethostname() for node in nodes)
        )
        """Whether workers may be on other machines than this."""

    def _connect(self) -> None:
        address = self.config.address
        if address not in (None, "auto"):
            _check_reachable(str(address))
        options: dict[str, Any] = {"address": address or "local"}
        if address is None:
            options |= self._own_instance()
        if address is None or not address.startswith("ray://"):
            options |= {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}
        try:
            if threading.current_thread() is threading.main_thread():
                self._handler = signal.getsignal(
                    signal.SIGTERM
                )  # Ray's own, meanwhile, ends this process in good order
            with _quiet(), _loopback() if self.ours else contextlib.nullcontext(), _few_processes():
                self.ray.init(**options)
        except Exception as error:
            self.close()
            said = str(error).strip() or type(error).__name__
            if address is None:
                raise ExecutorError(f"Ray could not be started on this machine: {said}") from error
            raise ExecutorError(
                f"no connection to the Ray cluster at '{address}' (run.ray.address): {said}{_advice(address, said)}"
            ) from error

    def _own_instance(self) -> dict[str, Any]:
        workers = self.run.workers or available_cpus()
        if "RAY_AUTH_MODE" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", _TOKEN)  # Ray, where it knows tokens, then asks for it by itself
            self._token = True
        temporary = tempfile.gettempdir()
        short = temporary if len(temporary) < _LONGEST_FOLDER else "/tmp"  # noqa: S108 - mkdtemp makes a folder of our own in it
        _sweep(Path(short))
        self._folder = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=short)
        asked = (self.worker, workers), (self.exclusive, 1)
        resources: dict[str, float] = {}
        for options, count in asked:
            for name, amount in options["resources"].items():
                resources[name] = resources.get(name, 0) + amount * count
        return {
            "num_cpus": max(1, math.ceil(sum(options["num_cpus"] * count for options, count in asked))),
            "resources": resources or None,
            "include_dashboard": False,
            "object_store_memory": _OBJECTS,
            "_temp_dir": self._folder,
        }

    def nodes(self) -> list[dict[str, Any]]:
        """The living nodes, as Ray tells of them."""
        return [node for node in self.ray.nodes() if node["Alive"]]

    def room(self) -> int:
        """How many workers fit on the cluster as it is, beside the exclusive process; at least one."""
        asked, reserved = _amounts(self.worker), _amounts(self.exclusive)
        places = 0
        for node in self.nodes():
            has = node["Resources"]
            counts = [int((has.get(name, 0.0) + 1e-9) // amount) for name, amount in asked.items()]
            places += min(counts) if counts else int(has.get("CPU", 0))
        taken = max(
            (math.ceil(reserved[name] / amount) for name, amount in asked.items() if name in reserved), default=0
        )
        return max(1, places - taken)

    def lacking(self, options: Mapping[str, Any]) -> str:
        """What no node has enough of, of all that a process reserves, in words; empty if one has all of it."""
        asked = _amounts(options)
        nodes = [node["Resources"] for node in self.nodes()]
        if any(all(has.get(name, 0.0) >= amount for name, amount in asked.items()) for has in nodes):
            return ""
        short = {name: max((has.get(name, 0.0) for has in nodes), default=0.0) for name in asked}
        told = [
            f"{_told(name, amount)} (the most that a node has: {_told(name, short[name])})"
            for name, amount in asked.items()
            if short[name] < amount
        ]
        return (
            " and ".join(told)
            or "all of " + ", ".join(_told(name, amount) for name, amount in asked.items()) + " at once"
        )

    def close(self) -> None:
        """Ends what was begun here; may be called again."""
        if self._connected or self.ours:
            with contextlib.suppress(Exception):
                self.ray.shutdown()
        self._connected = self.ours = False
        if self._handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)
            self._handler = None
        if self._token:
            self._token = False
            os.environ.pop("RAY_AUTH_MODE", None)
            if os.environ.get("RAY_AUTH_TOKEN") == _TOKEN:
                del os.environ["RAY_AUTH_TOKEN"]
            from ray import _raylet

            if (config := getattr(_raylet, "Config", None)) is not None:
                config.initialize("")  # or the next cluster would be shown a token, too
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _sweep(folder: Path) -> None:
    """Removes what builds that were killed left of their Ray's files."""
    for path in folder.glob(f"{_FOLDER}*-*"):
        number = path.name.removeprefix(_FOLDER).partition("-")[0]
        if number.isdigit() and not _lives(int(number)):
            shutil.rmtree(path, ignore_errors=True)


def _leave(number: int, frame: Any) -> None:
    """Ends this process in good order, actors and Ray included."""
    raise SystemExit(128 + number)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def keep_connected(run: RunConfig) -> Iterator[None]:
    """Builds inside use one connection (and instance, where it is ours) in place of one each."""
    cluster = Cluster(run)
    try:
        yield
    finally:
        cluster.close()


def place(asked: RayPlace, cpus: float) -> dict[str, Any]:
    """What a process reserves, as Ray's options say it."""
    from curate.engine.resources import parse_bytes

    options: dict[str, Any] = {
        "num_cpus": cpus if asked.cpus is None else asked.cpus,
        "num_gpus": asked.gpus,
        "resources": dict(asked.resources),
    }
    if asked.memory is not None:
        options["memory"] = parse_bytes(asked.memory)
    return options


def _amounts(options: Mapping[str, Any]) -> dict[str, float]:
    named = {
        "CPU": options["num_cpus"],
        "GPU": options["num_gpus"],
        "memory": options.get("memory", 0),
        **options["resources"],
    }
    return {name: float(amount) for name, amount in named.items() if amount}


def _told(name: str, amount: float) -> str:
    return f"{amount / 1e9:.1f} GB of memory" if name == "memory" else f"{amount:g} {name}"


def _check_reachable(address: str) -> None:
    """Whether anybody listens there; Ray would try for five minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH).close()
    except (OSError, OverflowError) as error:
        raise ExecutorError(f"no connection to the Ray cluster at '{address}' (run.ray.address): {error}") from error


def _advice(address: str, said: str) -> str:
    if "grpc" in said or "ray[client]" in said:
        return "; ray:// needs pip install 'polycurate[ray]'"
    if "ersion mismatch" in said:
        return ""
    if address == "auto":
        return "; 'auto' is for a machine that is a node of the cluster: run 'ray start' there first, or write the cluster's address"  # noqa: E501
    return ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray says nothing and tells nobody."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.util")]
    levels, before = [logger.level for logger in loggers], os.environ.get("RAY_USAGE_STATS_ENABLED")
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if before is None:
            os.environ.pop("RAY_USAGE_STATS_ENABLED", None)
        else:
            os.environ["RAY_USAGE_STATS_ENABLED"] = before


@contextlib.contextmanager
def _few_processes() -> Iterator[None]:
    """A Ray that is started here starts no helpers that a build has no use for (autoscaler, dashboard, reader of log
    files): half of what it costs. Ray has no options for that; a connection to a cluster starts none of them."""
    from ray._private.node import Node

    names = ("start_monitor", "start_api_server", "start_log_monitor")
    before = {name: getattr(Node, name) for name in names if hasattr(Node, name)}
    for name in before:
        setattr(Node, name, lambda self, **_: None)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(Node, name, method)


@contextlib.contextmanager
def _loopback() -> Iterator[None]:
    """Ray's processes listen on the loopback interface: Ray has that for systems with firewalls that ask, and no
    option for it."""
    from ray._private import ray_constants

    name = "ENABLE_RAY_CLUSTER"
    before = getattr(ray_constants, name, None)
    if before is None:
        yield
        return
    setattr(ray_constants, name, False)
    try:
        yield
    finally:
        setattr(ray_constants, name, before)
