"""Sections of the card: steps, models, funnel, audits, sources and limitations, from the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from curate.engine.funnel import Funnel, render
from curate.engine.representation import (
    NOT_RECORDED,
    UNASSESSED,
    cells,
    columns,
    language_facts,
    representation_of,
)
from curate.engine.store.fingerprint import model_names
from curate.errors import CurateError
from curate.steps import Registry
from curate.steps.outputs import Version
from outputs.card.markdown import code, prose, table, value
from outputs.licensing.gate import Share, Verdict
from outputs.licensing.licenses import LicenseDatabase
from outputs.licensing.model_terms import claims, hops

_MOST = 200
_LANGUAGES = 30
_REASONS = 8
_BATCH = 32_768


def recipe(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps of a version, in order."""
    return list(manifest["recipe"]["steps"])


def steps(manifest: Mapping[str, Any], registry: Registry) -> list[str]:
    """One numbered item a step: description, effect, parameters, models and prompts."""
    funnel = Funnel.from_json(manifest["funnel"])
    counts = dict(funnel.steps)
    alive = sum(funnel.read.values())
    lines = []
    for number, step in enumerate(recipe(manifest), 1):
        label = step["label"]
        did, alive = _effect(label, counts, funnel.made, alive)
        named = (
            f" ({code(step['step'])}, version {step['version']})"
            if label != step["step"]
            else f" (version {step['version']})"
        )
        about = _summary(registry, step["step"])
        lines.append(f"{number}. **{prose(label)}**{named}: {about + ' ' if about else ''}{did}")
        params = {
            name: given
            for name, given in step["params"].items()
            if name != "prompts" and given not in (None, [], {}, "")
        }
        if params:
            lines.append(
                "   - parameters: " + ", ".join(f"{code(name)} = {value(given)}" for name, given in params.items())
            )
        for parameter, names in model_names(step).items():
            some = [names] if isinstance(names, str) else names
            lines.append(f"   - {code(parameter)}: {', '.join(map(code, some))}")
        if step["params"].get("prompts"):
            prompts = ", ".join(f"{code(name)} {code(digest)}" for name, digest in step["params"]["prompts"].items())
            lines.append(f"   - prompts, with digests of their texts: {prompts}")
    return lines or ["No steps: the rows are those of the sources, unchanged."]


def _effect(
    label: str, counts: Mapping[str, Any], made: Mapping[str, Mapping[str, int]], alive: int
) -> tuple[str, int]:
    if label in made:
        now = sum(made[label].values())
        return f"Made {now:,} rows from {alive:,}.", now
    reasons: dict[str, int] = {}
    for languages in counts.get(label, {}).values():
        for reason, rows in languages.items():
            reasons[reason] = reasons.get(reason, 0) + rows
    kept = reasons.pop("kept", 0)
    seen, dropped = kept + sum(reasons.values()), sum(reasons.values())
    if not seen:
        return "No rows reached it.", alive
    if not dropped:
        return f"Kept all {seen:,} rows.", kept
    most = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    why = ", ".join(f"{prose(reason, 80)} {rows:,}" for reason, rows in most[:_REASONS])
    rest = f" and {len(most) - _REASONS} more reasons" if len(most) > _REASONS else ""
    return f"Dropped {dropped:,} of {seen:,} rows ({dropped / seen:.1%}): {why}{rest}.", kept


def _summary(registry: Registry, name: str) -> str:
    """The summary of an installed step; empty if the step is not installed."""
    try:
        text = str(registry.get("step", name).summary).strip()
    except (KeyError, CurateError):
        return ""
    return prose(text[:1].upper() + text[1:].rstrip(".")) + "." if text else ""


def models(manifest: Mapping[str, Any], verdict: Verdict) -> list[str]:
    """A table of the models: what they are, where they were used, the terms of their outputs."""
    used: dict[str, list[str]] = {}
    for step in recipe(manifest):
        for names in model_names(step).values():
            for one in [names] if isinstance(names, str) else names:
                used.setdefault(one, []).append(step["label"])
    made = list(dict.fromkeys(hop for share in verdict.shares for model in share.models for hop in hops(model)))
    rows = []
    for name, about in manifest["models"].items():
        model = str(about.get("model", about.get("use", "")))
        rows.append(
            [
                prose(name),
                code(about.get("use", "")),
                code(model),
                ", ".join(map(prose, dict.fromkeys(used.get(model, [])))),
                _terms([hop for hop in made if claims(about, hop)], verdict, about.get("members", ())),
            ]
        )
    for hop in made:  # by a step of the dataset this one was built on
        if not any(claims(about, hop) for about in manifest["models"].values()):
            rows.append(["", "", code(hop), "", _terms([hop], verdict)])
    return table(["model", "kind", "identity", "steps", "output terms"], rows) if rows else ["No models were used."]


def _terms(hops_: Sequence[str], verdict: Verdict, members: Sequence[str] = ()) -> str:
    if members:
        return f"as {', '.join(map(prose, members))}"
    if not hops_:
        return "not applicable: no row contains its output"
    if any(hop not in verdict.terms for hop in hops_):
        return "**unknown**"
    terms = dict.fromkeys(one for hop in hops_ for one in verdict.terms[hop])
    shown = [f"[{prose(one.name or one.id)}]({one.url})" if one.url else prose(one.name or one.id) for one in terms]
    return ", ".join(shown) or "none"


def funnel(manifest: Mapping[str, Any]) -> list[str]:
    """Rows by language: read, dropped by each step, kept."""
    stages = Funnel.from_json(manifest["funnel"])
    head, rows = render(stages)
    asked = (
        ""
        if stages.prompts is None
        else " The last lines count the rows whose prompt is in another language than the answer once more."
    )
    return [
        "`−`: rows dropped by a step; `=`: rows that a step made from its input. Shares refer to the rows before the "
        f"step.{asked}",
        "",
        *table([prose(cell) for cell in head], [[prose(cell) for cell in row] for row in rows], range(1, len(head))),
    ]


def representation(manifest: Mapping[str, Any]) -> list[str]:
    """Languages with their rows, shares and adherence; scripts, sources and models that lose more than all."""
    found = representation_of(manifest)
    if found is None:
        return [f"{NOT_RECORDED[:1].upper()}{NOT_RECORDED[1:]}."]
    whole, groups, head = found.all(), found.languages(), [prose(one) for one in columns(found)]
    if not groups:
        return []
    lines = [f"Rows as {prose(found.taken)}, and kept. Region and speakers of a language are those of CLDR."]
    if not whole.before.assessed:
        lines.append(f"In the language asked for: {UNASSESSED}.")
    rows = [[one.name, *language_facts(one.name), *cells(one, whole)] for one in groups[:_LANGUAGES]]
    body = [list(map(prose, row)) for row in rows] + [["**all**", "", "", "", *map(prose, cells(whole, whole))]]
    lines += ["", *table(["language", "script", "region", "speakers", *head], body, range(3, 4 + len(head)))]
    if len(groups) > _LANGUAGES:
        lines += ["", f"… and {len(groups) - _LANGUAGES:,} more languages, in `manifest.json`."]
    if late := found.behind()[:_LANGUAGES]:
        lines += ["", "These fall behind: fewer of their rows are kept, or in the language asked for, than of all.", ""]
        body = [[by, prose(one.name), *map(prose, cells(one, whole))] for by, one in late]
        lines += table(["by", "", *head], body, range(2, 2 + len(head)))
    return lines


def audits(manifest: Mapping[str, Any]) -> list[str]:
    """How far the judges and scores can be trusted, as measured in the build; empty if nothing was measured."""
    rows = []
    for step, listed in (manifest.get("audits") or {}).items():
        for one in listed:
            interval = f"{_number(one.get('low'))} – {_number(one.get('high'))}" if one.get("low") is not None else ""
            rows.append(
                [
                    prose(step),
                    prose(one.get("subject", "")),
                    prose(one.get("language", "")),
                    prose(one.get("figure", "")),
                    _number(one.get("value")),
                    interval,
                    f"{one['rows']:,}" if one.get("rows") is not None else "",
                    prose(one.get("note", "")),
                ]
            )
    head = ["step", "subject", "language", "metric", "value", "95 % interval", "rows", "note"]
    return _cut(table(head, rows, (4, 6))) if rows else []


def _number(given: Any) -> str:
    return "" if given is None else f"{given:.4g}" if isinstance(given, float) else prose(given)


def sources(manifest: Mapping[str, Any], shares: Iterable[Share], book: LicenseDatabase) -> list[str]:
    """The sources: their licences, and how many of their rows were read and are in the dataset."""
    here: dict[tuple[str, str], int] = {}
    for share in shares:
        here[share.source, share.license] = here.get((share.source, share.license), 0) + share.rows
    about = {one["name"]: one for one in manifest["sources"]}
    rows = []
    for (name, license_), count in sorted(here.items(), key=lambda pair: (-pair[1], pair[0])):
        one = about.get(name, {})
        units = one.get("units", [])
        read = sum(unit.get("rows", 0) for unit in units)
        places = sorted({str(unit["state"]) for unit in units if isinstance(unit.get("state"), str) and unit["state"]})
        rows.append(
            [
                prose(name),
                code(one.get("use", "")),
                ", ".join(code(place) for place in places[:3]),
                _license(license_, book),
                f"{read:,}" if units else "",
                f"{sum(unit.get('bad', 0) for unit in units):,}" if units else "",
                f"{count:,}",
            ]
        )
    for name, one in about.items():
        if not any(name == source for source, _ in here):
            read = sum(unit.get("rows", 0) for unit in one.get("units", []))
            rows.append(
                [
                    prose(name),
                    code(one.get("use", "")),
                    "",
                    _license(str(one.get("license", "")), book),
                    f"{read:,}",
                    "",
                    "0",
                ]
            )
    head = ["source", "kind", "revision", "licence", "rows read", "unreadable", "rows in dataset"]
    return _cut(table(head, rows, (4, 5, 6)))


def _license(text: str, book: LicenseDatabase) -> str:
    if "{" in text:
        return "per row"
    terms = [one for way in book.alternatives(text) for one in way]
    if len(terms) == 1 and terms[0].url:
        return f"[{prose(terms[0].id)}]({terms[0].url})"
    return prose(text, 120)


def unassessed(version: Version) -> dict[str, dict[str, int]]:
    """Step → language → rows that are kept although the step could not assess them: they have none of its scores.

    Only steps after the last one that made rows count, because new rows have no earlier scores.
    """
    made = version.manifest["funnel"]["made"]
    labels: list[str] = []
    for step in version.manifest["funnel"]["steps"]:
        labels = [] if step["step"] in made else [*labels, step["step"]]
    if not labels:
        return {}
    total: dict[str, dict[str, int]] = {label: {} for label in labels}
    scored: set[str] = set()
    for about in version.manifest["splits"].values():
        for path in about["files"]:
            with pq.ParquetFile(version.folder / path) as file:
                for batch in file.iter_batches(_BATCH, columns=["language", "scores"]):
                    _count(
                        pl.DataFrame({name: pl.Series(batch.column(name)) for name in ("language", "scores")}),
                        labels,
                        total,
                        scored,
                    )
    return {
        label: dict(sorted(counts.items(), key=lambda pair: -pair[1]))
        for label, counts in total.items()
        if label in scored and counts
    }


def _count(frame: pl.DataFrame, labels: list[str], total: dict[str, dict[str, int]], scored: set[str]) -> None:
    name = pl.element().struct.field("name")
    has = frame.select(
        "language",
        *(
            pl.col("scores")
            .list.eval((name == label) | name.str.starts_with(f"{label}."))
            .list.any()
            .alias(f"={label}")
            for label in labels
        ),
    )
    for label in labels:
        if has[f"={label}"].any():
            scored.add(label)
        for language, rows in has.filter(~pl.col(f"={label}"))["language"].value_counts().iter_rows():
            total[label][language] = total[label].get(language, 0) + rows


def limits(version: Version, verdict: Verdict) -> list[str]:
    """What users must know: alarms, warnings, rows not assessed, rows missing, licence obligations."""
    manifest = version.manifest
    lines = [f"- **{prose(alarm)}**" for alarm in manifest.get("alarms", [])]
    lines += [f"- {prose(warning)}" for warning in manifest.get("warnings", [])]
    for label, counts in unassessed(version).items():
        counts_by_language = ", ".join(f"{prose(language)} {rows:,}" for language, rows in list(counts.items())[:40])
        more = f" and {len(counts) - 40} more languages" if len(counts) > 40 else ""
        lines.append(
            f"- *{prose(label)}* could not assess {sum(counts.values()):,} rows; they are included: "
            f"{counts_by_language}{more}"
        )
    lines += [f"- {prose(note)}" for note in verdict.notes]
    if manifest["quarantined"]:
        one = manifest["quarantined"] == 1
        lines.append(
            f"- {manifest['quarantined']:,} {'row' if one else 'rows'} could not be read or generated and "
            f"{'is' if one else 'are'} not included"
        )
    made = sum(share.rows for share in verdict.shares if share.models)
    if made:
        lines.append(
            f"- {made:,} of {verdict.rows:,} rows ({made / verdict.rows:.0%}) were written or rewritten by models and "
            "checked only by the steps above, not by humans"
        )
    return lines or ["No limitations were reported."]


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= _MOST + 2:
        return lines
    return [*lines[: _MOST + 2], "", f"… and {len(lines) - _MOST - 2:,} more, in `manifest.json`."]
