"""Files of the Hub by ``hf://`` URLs, through ``huggingface_hub`` as it is, on a Hub on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from servers.hub import READER, STRANGER, Hub

ROOT = Path(__file__).resolve().parents[2]
CLIENT = """
import json, sys
from curate.errors import CurateError
from sources.files import JsonLines
out = []
for path in sys.argv[1:]:
    source = JsonLines(path=path, language="sw", license="x", columns={"text": "t"})
    try:
        units = source.units()
        batches = [batch for unit in units for batch in source.read(unit, "s", None)]
        rows = [text for batch in batches for text in batch.table["text"].to_pylist()]
        out.append([[unit.name, unit.state, unit.note] for unit in units] + rows)
    except CurateError as error:
        out.append(str(error))
print("ANSWER" + json.dumps(out))
"""


def ask(hub: Hub, home: Path, *paths: str, token: str = "", **more: str) -> Any:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    given |= {
        "HF_ENDPOINT": hub.address,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(home / "hf"),
        "CURATE_CACHE": str(home / "cache"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **({"HF_TOKEN": token} if token else {}),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, *paths],
        env=given,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "ANSWER" in done.stdout, done.stderr
    return json.loads(done.stdout.rpartition("ANSWER")[2])


def test_files_of_a_repository_are_read_by_their_checksums(tmp_path: Path) -> None:
    with Hub() as hub:
        hub.create("asha/maneno")
        hub.push("asha/maneno", {"a/1.jsonl": b'{"t": "moja"}\n', "a/2.jsonl": b'{"t": "mbili"}\n', "b.txt": b""})
        where = "hf://datasets/asha/maneno"
        pattern, folder, none, private = ask(
            hub,
            tmp_path,
            f"{where}/a/*.jsonl",
            where,
            f"{where}/c.jsonl",
            "hf://datasets/asha/siri/a.jsonl",
            token=READER,
        )
        assert [row for row in pattern if isinstance(row, str)] == ["moja", "mbili"]
        assert pattern[0][0] == "1.jsonl" and pattern[0][1].startswith(("blob ", "sha256 "))
        assert folder[2:] == pattern[2:] and folder[0][1] == pattern[0][1]
        assert "hf://datasets/asha/maneno/c.jsonl: there is no such file" in none
        assert "hf://datasets/asha/siri/a.jsonl: " in private and READER not in private
        (stranger,) = ask(hub, tmp_path, f"{where}/a/1.jsonl", token=STRANGER)
        assert isinstance(stranger, str) and STRANGER not in stranger
        assert "HF_TOKEN" in private and "HF_TOKEN" in stranger
        hub.push("asha/maneno", {"a/1.jsonl": b'{"t": "tatu"}\n'})
        (changed,) = ask(hub, tmp_path, f"{where}/a/*.jsonl", token=READER)
        assert changed[2:] == ["tatu", "mbili"] and changed[1] == pattern[1] and changed[0][1] != pattern[0][1]
        (offline,) = ask(hub, tmp_path, f"{where}/a/*.jsonl", HF_HUB_OFFLINE="1")
        assert offline[2:] == ["tatu", "mbili"] and "the copy of" in offline[0][2]
