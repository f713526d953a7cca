"""``huggingface_hub`` and ``datasets`` as they are, in a process of their own, with :mod:`servers.hub` for the Hub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from curate.engine.store.store import Store
from servers.hub import WRITER, Hub

Rows = list[dict[str, Any]]

CLIENT = """
import dataclasses, json, os, sys, time
from pathlib import Path
from types import SimpleNamespace
import outputs.publishing.hub
from curate.engine.store.store import Store
from curate.errors import CurateError
from outputs.publishing.publish import publish
# Of a pause nobody learns more in its last nineteen twentieths.
outputs.publishing.hub.time = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(seconds / 20))
def go(store, name, to, token="", **more):
    os.environ.pop("HF_TOKEN", None)
    if token: os.environ["HF_TOKEN"] = token
    said = []
    try:
        done = dataclasses.asdict(publish(Store(Path(store)), name, to, tell=said.append, **more))
    except CurateError as error:
        done = {"error": str(error)}
    return {**done, "said": said}
def load(repository, config=None, split="train", revision=None, streaming=False, token=""):
    import datasets
    datasets.disable_progress_bars()
    os.environ.pop("HF_TOKEN", None)
    if token: os.environ["HF_TOKEN"] = token
    try:
        return {"rows": list(datasets.load_dataset(repository, config, split=split, revision=revision, streaming=streaming))}
    except Exception as error:
        return {"error": type(error).__name__ + ": " + str(error)}
def fetch(repository, folder, revision, token):
    from huggingface_hub import snapshot_download
    return snapshot_download(repository, repo_type="dataset", revision=revision, local_dir=folder, token=token)
def remote(path, token):
    import polars as pl
    from huggingface_hub import HfFileSystem
    system = HfFileSystem(token=token)
    return pl.concat([pl.read_parquet(system.cat_file(one)) for one in sorted(system.glob(path))]).to_dicts()
for line in sys.stdin:
    asked = json.loads(line)
    print("ANSWER" + json.dumps(globals()[asked.pop("do")](**asked)), flush=True)
"""  # noqa: E501


class Client:
    """Asks that process; tokens are given for each question, so that none stays in it."""

    def __init__(self, hub: Hub, home: Path) -> None:
        self.log = (home / "stderr").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=hub.environment(home, None, HF_DATASETS_CACHE=str(home / "datasets")),
            cwd=Path(__file__).parents[1],
        )

    def ask(self, do: str, **given: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("ANSWER"):
                return json.loads(line[6:])
        raise AssertionError((self.log.seek(0), self.log.read())[1])

    def publish(self, store: Store, name: str, to: str, *, token: str = WRITER, **more: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("go", store=str(store.root), name=name, to=to, token=token, **more)
        return found

    def load(self, repository: str, **more: Any) -> Rows:
        found = self.ask("load", repository=repository, **{"token": WRITER, **more})
        assert "rows" in found, found
        rows: Rows = found["rows"]
        return rows
