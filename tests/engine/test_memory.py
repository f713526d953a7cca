"""Memory does not grow with the data: ten times the rows need nowhere near ten times the memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

SCRIPT = """
import sys
import curate
built = curate.build(sys.argv[1])[0]
print(built.rows, int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]))
"""
CATALOG = """\
version: 1
sources: {rows: {use: jsonl, path: rows.jsonl, language: en, license: cc0-1.0}}
datasets:
  all:
    from: rows
    steps:
      - shape
      - duplicates
      - duplicates: {as: near, method: minhash}
      - mix: {by: language}
      - split: {shares: {train: 0.9, test: 0.1}}
run: {workers: 1, memory: 256MB}
"""


def peak(folder: Path, rows: int) -> int:
    """Peak memory in MB of building so many rows."""
    folder.mkdir()
    with (folder / "rows.jsonl").open("wb") as file:
        for number in range(rows):
            words = " ".join(hex(number * 7919 + 104729 * place)[2:] for place in range(60))
            file.write(orjson.dumps({"prompt": f"question number {number}", "response": words}) + b"\n")
    (folder / "catalog.yaml").write_text(CATALOG)
    run = subprocess.run([sys.executable, "-c", SCRIPT, str(folder / "catalog.yaml")], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    kept, kilobytes = run.stdout.split()
    assert int(kept) == rows
    return int(kilobytes) // 1024


@pytest.mark.slow
def test_ten_times_the_rows_need_less_than_twice_the_memory(tmp_path):
    small, large = peak(tmp_path / "small", 6_000), peak(tmp_path / "large", 60_000)
    assert large < 2 * small, f"{small} MB for 6,000 rows, {large} MB for 60,000"
