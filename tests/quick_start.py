"""The quick start, built once for all workers of a test run, from its beginning on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]


def build(shared: Path) -> Path:
    """The built folder; whoever comes first builds it, the others wait.

    Raises:
        AssertionError: it cannot be built; the message is what the build said.
    """
    built = shared / "quick-start"
    with FileLock(shared / "quick-start.lock"):
        if not (built / "done").exists():
            built.mkdir()
            for catalog in ("catalog.yaml", "catalog-llm.yaml"):
                shutil.copy(ROOT / catalog, built)
            shutil.copytree(ROOT / "data", built / "data")
            command = [sys.executable, "-m", "curate.cli", "build", "--catalog", "catalog-llm.yaml"]
            # Newer CPUs add up in another order, and the last digits of a similarity are part of a version.
            run = subprocess.run(
                command, cwd=built, capture_output=True, text=True, env={**os.environ, "OPENBLAS_CORETYPE": "Haswell"}
            )
            (built / "done").write_text(run.stderr if run.returncode else "", encoding="utf-8")
    said = (built / "done").read_text(encoding="utf-8")
    assert not said, said
    return built


def shared_folder(base: Path, worker: str) -> Path:
    """The folder that all workers of a run have."""
    return base if worker == "master" else base.parent
