"""The build report: one self-contained HTML file about what a build did to every language, why, and with sample
rows."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from curate.engine.planning.estimate import last_estimate
from curate.engine.store.store import Store
from curate.errors import CurateError, ExportError
from curate.records.conversation import Own
from curate.records.markup import Html, language_name, tag
from curate.rows import Kind
from curate.steps import Registry
from curate.steps.outputs import Version
from outputs.card.card import about
from outputs.card.sections import unassessed
from outputs.licensing.gate import judge
from outputs.licensing.licenses import LicenseDatabase, load_licenses
from outputs.report import accounts, findings, sections
from outputs.report.data import Survey, first_pass, second_pass
from outputs.report.examples import examples
from outputs.report.page import page, rows_section
from outputs.report.records import record, summary
from outputs.report.representation import representation
from outputs.report.rows import fetch, look_up, related
from outputs.report.thresholds import Limit, ProbedRow, limits

SAMPLE = 300
_OWN_LANGUAGES = 12
_TEXT = 6_000
"""Characters shown of each text of a row."""


@dataclass(frozen=True)
class Reported:
    """A written report."""

    dataset: str
    version: str
    path: Path
    bytes: int
    kept: int
    """Kept rows in the sample."""
    dropped: int
    """Dropped rows in the sample."""


def report(
    store: Store,
    name: str,
    to: Path | None = None,
    *,
    rows: Sequence[str] = (),
    sample: int = SAMPLE,
    seed: int = 0,
    book: LicenseDatabase | None = None,
    registry: Registry | None = None,
) -> Reported:
    """Writes the report of a version.

    Args:
        name: ``name`` or ``name@ref``.
        to: the file. Default: ``<name>-report.html`` in the current folder. An existing file is replaced.
        rows: ids of rows (or prefixes of at least 6 digits) to include in addition to the sample.
        sample: how many kept and how many dropped rows are drawn, evenly over languages, steps and reasons.
        seed: of the sample.

    Raises:
        StoreError: there is no such version.
        ExportError: a row does not exist, or the file cannot be written.
    """
    if sample < 0:
        raise ExportError(f"sample: {sample} rows cannot be drawn")
    rows = [one.lower() for one in rows]
    for one in rows:
        if not 6 <= len(one) <= 32 or set(one) - set("0123456789abcdef"):
            raise ExportError(f"rows: '{one}' is not a row id (32 hexadecimal digits; the first 6 are enough)")
    version = about(store, name)
    registry = registry or Registry.installed()
    path = to or Path(f"{version.name}-report.html")
    if path.is_dir():
        raise ExportError(f"{path} is a folder; name a file (--to {path}/report.html)")
    labels = [step["label"] for step in version.manifest["recipe"]["steps"]]
    survey = first_pass(version, labels, sample=sample, seed=seed, rows=rows)
    missing = [one for one in rows if one not in set(survey.asked["key"].to_list())]
    if missing:
        raise ExportError(f"'{name}' has no row {', '.join(missing)}, neither kept nor dropped")
    languages = _languages(survey)
    thresholds = _limits(version, survey, registry)
    second_pass(survey, thresholds, languages[:_OWN_LANGUAGES])
    text, drawn = _page(
        store, version, survey, thresholds, languages, name, seed, book or load_licenses(), registry, labels
    )
    data = text.encode("utf-8", "replace")
    _write(path, data)
    return Reported(version.name, version.version, path, len(data), *drawn)


def _languages(survey: Survey) -> list[str]:
    counts: dict[str, int] = {}
    for (language, _, _), count in survey.strata.items():
        counts[language] = counts.get(language, 0) + count
    return sorted(counts, key=lambda one: (-counts[one], one))


def _limits(version: Version, survey: Survey, registry: Registry) -> list[Limit]:
    fetched = fetch(survey.files, survey.tried.select("file", "row").rows())
    asked = [
        ProbedRow(
            row["language"],
            {one["name"]: one["value"] for one in row["scores"]},
            {one["name"]: one["value"] for one in row["attributes"]},
            row.get("step") or "",
            row.get("reason") or "",
            row.get("prompt_language"),
        )
        for row in fetched.values()
    ]
    kinds = list(dict.fromkeys([*(file.kind for file in survey.files), version.kind, *Kind]))
    ranges = {name: (score.low, score.high) for name, score in survey.scores.items()}
    return limits(version.manifest["recipe"]["steps"], asked, ranges, kinds, registry)


def _page(
    store: Store,
    version: Version,
    survey: Survey,
    thresholds: Sequence[Limit],
    languages: Sequence[str],
    name: str,
    seed: int,
    book: LicenseDatabase,
    registry: Registry,
    labels: Sequence[str],
) -> tuple[str, tuple[int, int]]:
    places = [survey.sample, survey.asked, survey.hits, survey.borders, *(one["members"] for one in survey.clusters)]
    places_shown = list(
        dict.fromkeys(place for frame in places if not frame.is_empty() for place in frame.select("file", "row").rows())
    )
    rows = fetch(survey.files, places_shown)
    sampled = [rows[place] for place in survey.sample.select("file", "row").rows()] if survey.sample.height else []
    relatives = look_up(store, version, survey.files, related(rows.values()))
    funnel = version.manifest["funnel"]
    tags = {
        *languages,
        *funnel["read"],
        *(one for step in funnel["steps"] for one in step["languages"]),
        *(one for made in funnel["made"].values() for one in made),
    }
    names = {one: language_name(one) for one in sorted(tags)}
    verdict = judge(version, book)
    parts: list[tuple[str, str, Html | None]] = [
        ("summary", "Summary", sections.summary(version, verdict, unassessed(version), names)),
        ("examples", "Examples", examples(sampled, names)),
        ("funnel", "Funnel", sections.funnel(version, names)),
        ("representation", "Representation", representation(version, names)),
        ("sources", "Languages", sections.sources(survey.sources, names)),
        ("scores", "Scores", findings.scores(survey, thresholds, languages[:_OWN_LANGUAGES], names, rows)),
        ("duplicates", "Duplicates", findings.duplicates(survey, names, rows)),
        ("contamination", "Contamination", findings.contamination(survey, names, rows)),
        ("judges", "Judges", accounts.audits(version)),
        (
            "cost",
            "Cost",
            accounts.cost(version, last_estimate(store, version.name, version.manifest.get("build_key", "")), names),
        ),
        ("licences", "Licences", accounts.licenses(version, verdict)),
        ("recipe", "Recipe", accounts.recipe(version, _summaries(version, registry))),
    ]
    drawn = (survey.sample.filter(pl.col("step") == "").height, survey.sample.filter(pl.col("step") != "").height)
    counts = [[*key, count] for key, count in sorted(survey.strata.items())]
    records = _records([rows[place] for place in places_shown], relatives, thresholds, labels)
    lead = (
        f"{version.manifest['rows']:,} rows in {len(version.manifest['languages']):,} languages, version "
        f"{version.version}."
    )
    shown = [(key, title, content) for key, title, content in parts if content is not None]
    sources = sorted({source for source, _ in survey.sources})
    section = rows_section(survey.strata, names, sources, records, drawn, name, seed)
    return page(version, shown, section, {"counts": counts}, [lead]), drawn


def _records(
    rows: Sequence[Mapping[str, Any]],
    relatives: Mapping[str, Mapping[str, Any]],
    thresholds: Sequence[Limit],
    labels: Sequence[str],
) -> dict[str, list[Html]]:
    """The records of kept and of dropped rows, with what the script filters them by."""
    of_language: dict[str, list[Limit]] = {}
    for limit in thresholds:
        of_language.setdefault(limit.language, []).append(limit)
    own = Own(most=_TEXT)
    ids = {row["id"] for row in rows}
    made: dict[str, list[Html]] = {"kept": [], "dropped": []}
    for row in rows:
        limits = of_language.get(row["language"], [])
        box = tag(
            "details",
            tag("summary", summary(row)),
            record(row, limits, (), relatives, lambda one: f"#row={one}" if one in ids else None, labels, own),
            class_="row",
            data_id=row["id"],
            data_language=row["language"],
            data_step=row.get("step") or "",
            data_reason=row.get("reason") or "",
            data_source=row["lineage"]["source"],
            data_place=f"{row['lineage']['source_id']} {row['group_id']}",
        )
        made["dropped" if row.get("step") else "kept"].append(box)
    return made


def _summaries(version: Version, registry: Registry) -> dict[str, str]:
    summaries = {}
    for step in version.manifest["recipe"]["steps"]:
        try:
            summaries[step["step"]] = str(registry.get("step", step["step"]).summary)
        except (KeyError, CurateError):
            continue
    return summaries


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ExportError(f"{path} cannot be written: {error.strerror or error}") from None


__all__ = ["Reported", "report"]
