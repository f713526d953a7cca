"""The llama.cpp server in a child process, which ends when its standard input is closed.

:class:`ServerProcess` runs ``python -m curate.models.llamacpp.server`` and writes one line of JSON to its standard
input; the child answers with one line, its address. When the pipe closes, because its owner ended or was killed, the
child ends, so no orphan is left. It listens on 127.0.0.1 only, on a port that the system chose, and requires a key
generated for this process.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.errors import ModelError

EXTRA = "pip install 'polycurate[llm]'"
_TAIL = 4000
_PROMPT_CACHE_MIB = 256


@dataclass(frozen=True)
class ServerSettings:
    """The settings that are sent to the child."""

    path: str
    slots: int
    context: int
    """Tokens per slot."""
    threads: int
    gpu_layers: int | None = None
    chat_template: str | None = None
    batch: int | None = None


class ServerProcess:
    """A running server."""

    def __init__(self, settings: ServerSettings, *, deadline: float) -> None:
        """Starts it and waits until it is healthy.

        Args:
            deadline: maximum seconds for loading the model.

        Raises:
            ModelError: it did not start; the message ends with the last lines of its log.
        """
        self.key = secrets.token_hex(16)
        self._log = tempfile.TemporaryFile(prefix="curate-llamacpp-")  # noqa: SIM115 - lives as long as the process
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "curate.models.llamacpp.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C in the terminal is for us; it ends when the pipe closes
        )
        try:
            self.address = self._wait_until_ready(settings, time.monotonic() + deadline, deadline)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def log_tail(self) -> str:
        """The last lines of its log; only the errors, if there are any."""
        try:
            size = os.fstat(self._log.fileno()).st_size
            data = os.pread(self._log.fileno(), _TAIL, max(0, size - _TAIL))
        except (OSError, ValueError):
            return ""
        lines = data.decode(errors="replace").strip().splitlines()
        errors = [line for line in lines[:-1] if re.match(r"[\d.]+ E ", line)]
        return "\n".join([*errors[-8:], *lines[-1:]] if errors else lines[-15:])

    def describe_death(self) -> str:
        """A message on how it ended, with the last lines of its log."""
        code = self._process.poll()
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        return f"the llama.cpp server {how}. Its last lines:\n{self.log_tail()}"

    def stop(self) -> None:
        """Ends it; can be called repeatedly."""
        with self._lock:
            process = self._process
            if process.stdin is not None and not process.stdin.closed:
                with suppress(OSError):
                    process.stdin.close()
            for end in (None, process.terminate, process.kill):
                if end is not None:
                    end()
                try:
                    process.wait(5)
                    break
                except subprocess.TimeoutExpired:
                    continue
            if process.stdout is not None:
                process.stdout.close()

    def _wait_until_ready(self, settings: ServerSettings, until: float, deadline: float) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):  # it already ended; its log says why
            self._process.stdin.write(json.dumps({**asdict(settings), "key": self.key}).encode() + b"\n")
            self._process.stdin.flush()
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self._process.stdout], [], [], max(0.0, min(1.0, until - time.monotonic())))[0]:
                if time.monotonic() >= until:
                    raise ModelError(
                        f"the llama.cpp server did not load {Path(settings.path).name} within {deadline:.0f} s "
                        f"('start_timeout'). Its last lines:\n{self.log_tail()}"
                    )
                continue
            part = os.read(self._process.stdout.fileno(), 65536)
            if not part:
                self._process.wait(10)
                raise ModelError(f"{Path(settings.path).name} cannot be served: {self.describe_death()}")
            line += part
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ModelError(reply["error"])
        address = str(reply["address"])
        while not _is_healthy(address):
            if not self.alive or time.monotonic() >= until:
                raise ModelError(f"the llama.cpp server is not healthy. {self.describe_death()}")
            time.sleep(0.05)
        return address


def _is_healthy(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


# ---------------------------------------------------------------------------------------------------------- the child
def _serve() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    owner = os.getppid()
    settings = json.loads(sys.stdin.buffer.readline() or b"null")
    if settings is None:
        return 0
    threading.Thread(target=_end_with_owner, args=(owner,), daemon=True).start()
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # so that output of libraries does not reach the reply
    try:
        import xllamacpp
    except ImportError as error:
        print(json.dumps({"error": f"'llamacpp' needs xllamacpp ({error}): {EXTRA}"}), file=answer, flush=True)
        return 1
    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["context"] * settings["slots"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    # Threads that wait by spinning starve whatever else computes on the machine.
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.ui = params.endpoint_slots = False
    params.n_threads_http = settings["slots"] + 8
    if settings["gpu_layers"] is not None:
        params.n_gpu_layers = settings["gpu_layers"]
    if settings["batch"] is not None:
        params.n_batch = settings["batch"]
    if settings["chat_template"] is not None:
        params.chat_template = settings["chat_template"]
    try:
        server = xllamacpp.Server(params)
    except Exception as error:  # noqa: BLE001 - reported to the owner
        time.sleep(0.5)  # llama.cpp writes its log from a thread of its own
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 1
    print(json.dumps({"address": server.listening_address}), file=answer, flush=True)
    threading.Event().wait()
    return 0


def _end_with_owner(owner: int) -> None:
    """Ends this process when the pipe closes, or when the owner is gone (if a fork of it holds the pipe open)."""
    while True:
        ready = select.select([sys.stdin.fileno()], [], [], 1.0)[0]
        if (ready and not os.read(sys.stdin.fileno(), 1)) or os.getppid() != owner:
            os._exit(0)


if __name__ == "__main__":
    sys.exit(_serve())
