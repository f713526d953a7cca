"""Records what the steps of datasets ask language models, with the kept answers, for the model ``recorded``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from curate.api.datasets import as_catalog
from curate.catalog import Catalog
from curate.engine.build import build_datasets
from curate.engine.planning.estimate import aside
from curate.engine.progress import Progress, progress_or_default
from curate.engine.store.store import Store
from curate.engine.tasks.recorder import recorded
from curate.errors import BuildError
from curate.models.recorded.recording import Recording, line_of, raw_lines, write
from curate.steps import Registry
from curate.steps.models import Completion, Request


@dataclass(frozen=True)
class Recorded:
    """What :func:`record` found and wrote."""

    requests: int
    """Different requests that the steps make."""
    there: int
    """Of them, those that the file had an answer to."""
    added: int
    """Of them, those that were added with their kept answer."""
    unanswered: int
    """Of them, those without an answer; they are in the file with ``"answer": null``."""
    stopped: str = ""
    """Why the build went no further, where requests without an answer ended it: more will be asked after it."""


def record(
    file: str | Path,
    *datasets: str,
    catalog: Catalog | str | Path = "catalog.yaml",
    progress: Progress | Literal[False] | None = None,
    registry: Registry | None = None,
) -> Recorded:
    """Writes the requests that building datasets makes, with their kept answers, to a file for ``use: recorded``.

    The datasets are built again in a folder of their own, out of sources and kept answers; no server is asked. Records
    that the file has already stay as they are, and new ones are appended.

    Args:
        file: ``.jsonl`` or ``.jsonl.zst``.
        datasets: names; all of the catalog's if none is given.

    Raises:
        ModelError: the file cannot be read or written.
        BuildError: a dataset is unknown, or cannot be built for another reason than missing answers.
    """
    registry, path = registry or Registry.installed(), Path(file)
    loaded = as_catalog(catalog, registry)
    if not path.exists():
        write(path, [])
    recording, stopped = Recording.read(path), None
    store = Store(loaded.store).open()
    with store.scratch() as folder, TemporaryDirectory(dir=folder) as lines:
        there = aside(loaded, folder)
        there = there.changed(run=there.run.model_copy(update={"executor": "local", "ray": None}))
        try:
            build_datasets(there, registry, datasets, progress=progress_or_default(progress), recording=lines)
        except BuildError as error:
            stopped = error
        asked = recorded(Path(lines))
    found = _add(path, recording, asked)
    if stopped is not None and not found.unanswered:
        raise stopped
    return replace(found, stopped=str(stopped or ""))


def _add(path: Path, recording: Recording, asked: list[tuple[str, Request, Completion | None]]) -> Recorded:
    """Appends what the file does not have."""
    kept: dict[bytes, bytes] = {}
    """The line of each request without an answer → its line."""
    for model, request, answer in asked:
        bare = line_of(model, request, None)
        if answer is not None or bare not in kept:
            kept[bare] = line_of(model, request, answer)
    there = unanswered = 0
    lines = []
    for model, request, _ in asked:
        bare = line_of(model, request, None)
        if (line := kept.pop(bare, None)) is None:
            continue
        record = recording.find(model, request)
        if record is not None and record.answered:
            there += 1
            continue
        unanswered += line == bare
        if record is None or line != bare:
            lines.append(line)
    total = there + unanswered + sum(b'"answer":null' not in line for line in lines)
    if lines:
        write(path, [*raw_lines(path), *lines])
    return Recorded(total, there, total - there - unanswered, unanswered)
