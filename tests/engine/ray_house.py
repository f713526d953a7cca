"""A Ray cluster of two nodes on this machine, the second of which is as another machine: its own name, kernel and
mounts."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

FAR = "far"
_OBJECTS = 80_000_000


def wait_for(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What a question answers as soon as that is true."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "this takes too long"
        time.sleep(0.05)
    return found


def can_unshare() -> bool:
    """Whether this user may have mounts of their own."""
    tried = (
        subprocess.run(["unshare", "-m", "-u", "true"], capture_output=True, check=False)
        if os.name == "posix"
        else None
    )
    return tried is not None and tried.returncode == 0


class TwoNodes:
    """A head with two CPUs, and the node ``far`` with one CPU and (as Ray is told) a GPU, to which ``hidden`` is
    another folder."""

    def __init__(self, folder: Path) -> None:
        from ray._common.utils import get_default_ray_temp_dir
        from ray.cluster_utils import Cluster

        Path(get_default_ray_temp_dir()).mkdir(parents=True, exist_ok=True)  # the cluster's address is noted there
        self.folder = folder
        self.hidden = folder / "hidden"
        for path in (self.hidden, folder / "elsewhere"):
            path.mkdir()
        (folder / "boot").write_text("another-kernel\n")
        self.sessions = Path(tempfile.mkdtemp(prefix="rays-", dir="/tmp"))  # a short name: sockets stand below it
        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 2,
                "object_store_memory": _OBJECTS,
                "temp_dir": str(self.sessions),
                "include_dashboard": False,
                "include_log_monitor": False,
                "no_monitor": True,
                "_system_config": {"enable_worker_prestart": False, "prestart_worker_first_driver": False},
            },
        )
        self.address = self.cluster.address
        self.far: subprocess.Popen[bytes] | None = None

    def add_far(self) -> None:
        quoted = {
            name: shlex.quote(str(path))
            for name, path in {
                "elsewhere": self.folder / "elsewhere",
                "hidden": self.hidden,
                "boot": self.folder / "boot",
                "ray": Path(sys.executable).with_name("ray"),
            }.items()
        }
        script = (
            f"mount --bind {quoted['elsewhere']} {quoted['hidden']} && mount --bind {quoted['boot']} "
            "/proc/sys/kernel/random/boot_id && "
            f"hostname {FAR} && exec {quoted['ray']} start --block --address={self.address} --num-cpus=1 --num-gpus=1 "
            f"--resources='{{\"{FAR}\": 1}}' --node-ip-address=127.0.0.2 --object-store-memory={_OBJECTS} "
            "--disable-usage-stats --include-log-monitor=false"
        )
        with (self.folder / "far.log").open("wb") as log:
            self.far = subprocess.Popen(
                ["unshare", "-m", "-u", "sh", "-c", script], stdout=log, stderr=log, start_new_session=True
            )
        assert (
            wait_for(
                lambda: (
                    "block forever" in (self.folder / "far.log").read_text()
                    or (self.far and self.far.poll() is not None)
                )
            )
            is True
        ), (self.folder / "far.log").read_text()

    def remove_far(self) -> None:
        """Kills every process of the node at once, as a power cut would."""
        if self.far is not None:
            for process in [*psutil.Process(self.far.pid).children(recursive=True), psutil.Process(self.far.pid)]:
                process.send_signal(signal.SIGKILL)
            self.far.wait()
            self.far = None

    def close(self) -> None:
        self.remove_far()
        self.cluster.shutdown()
        shutil.rmtree(self.sessions, ignore_errors=True)
