"""What each step did, who made what, and what is not known of a version, as sections of Markdown out of its
manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from curate.engine.funnel import Funnel, render
from curate.engine.store.fingerprint import model_names
from curate.errors import CurateError
from curate.steps import Registry
from curate.steps.outputs import Version
from outputs.card.markdown import code, prose, table, value
from outputs.licensing.gate import Share, Verdict
from outputs.licensing.licenses import Book
from outputs.licensing.model_terms import claims, hops

_MOST = 200
_REASONS = 8
_BATCH = 32_768


def recipe(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps of a version, in order."""
    return list(manifest["recipe"]["steps"])


def steps(manifest: Mapping[str, Any], registry: Registry) -> list[str]:
    """One numbered item a step: what it is, what it did, with which parameters, models and prompts."""
    funnel = Funnel.from_json(manifest["funnel"])
    counts = dict(funnel.steps)
    alive = sum(funnel.read.values())
    lines = []
    for number, step in enumerate(recipe(manifest), 1):
        label = step["label"]
        did, alive = _did(label, counts, funnel.made, alive)
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
            lines.append("   - with " + ", ".join(f"{code(name)} = {value(given)}" for name, given in params.items()))
        for parameter, names in model_names(step).items():
            some = [names] if isinstance(names, str) else names
            lines.append(f"   - {code(parameter)}: {', '.join(map(code, some))}")
        if step["params"].get("prompts"):
            told = ", ".join(f"{code(name)} {code(digest)}" for name, digest in step["params"]["prompts"].items())
            lines.append(f"   - prompts, with the digests of their texts: {told}")
    return lines or ["No steps: the rows are those of the sources."]


def _did(label: str, counts: Mapping[str, Any], made: Mapping[str, Mapping[str, int]], alive: int) -> tuple[str, int]:
    if label in made:
        now = sum(made[label].values())
        return f"It made {now:,} rows out of {alive:,}.", now
    reasons: dict[str, int] = {}
    for languages in counts.get(label, {}).values():
        for reason, rows in languages.items():
            reasons[reason] = reasons.get(reason, 0) + rows
    kept = reasons.pop("kept", 0)
    seen, dropped = kept + sum(reasons.values()), sum(reasons.values())
    if not seen:
        return "It decided on no row.", alive
    if not dropped:
        return f"It kept all {seen:,} rows.", kept
    most = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    why = ", ".join(f"{prose(reason, 80)} {rows:,}" for reason, rows in most[:_REASONS])
    rest = f" and {len(most) - _REASONS} more reasons" if len(most) > _REASONS else ""
    return f"It dropped {dropped:,} of {seen:,} rows ({dropped / seen:.1%}): {why}{rest}.", kept


def _summary(registry: Registry, name: str) -> str:
    """What an installed step says of itself; nothing of one that is not installed here."""
    try:
        text = str(registry.get("step", name).summary).strip()
    except (KeyError, CurateError):
        return ""
    return prose(text[:1].upper() + text[1:].rstrip(".")) + "." if text else ""


def models(manifest: Mapping[str, Any], verdict: Verdict) -> list[str]:
    """A table of the models: what they are, where they were used, which terms their answers come under."""
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
    return (
        table(["model", "kind", "identity", "steps", "terms of its answers"], rows)
        if rows
        else ["No model had a part in it."]
    )


def _terms(hops_: Sequence[str], verdict: Verdict, members: Sequence[str] = ()) -> str:
    if members:
        return f"those of {', '.join(map(prose, members))}"
    if not hops_:
        return "no row names it"
    if any(hop not in verdict.terms for hop in hops_):
        return "**not known**"
    terms = dict.fromkeys(one for hop in hops_ for one in verdict.terms[hop])
    shown = [f"[{prose(one.name or one.id)}]({one.url})" if one.url else prose(one.name or one.id) for one in terms]
    return ", ".join(shown) or "none"


def funnel(manifest: Mapping[str, Any]) -> list[str]:
    """Rows by language: read, dropped by each step, kept."""
    found = Funnel.from_json(manifest["funnel"])
    head, rows = render(found)
    return [
        "`−` rows that a step dropped, `=` rows that it made in place of what it was given; the share is of what "
        "there was last.",
        "",
        *table([prose(cell) for cell in head], [[prose(cell) for cell in row] for row in rows], range(1, len(head))),
    ]


def audits(manifest: Mapping[str, Any]) -> list[str]:
    """How far the judges and scores can be trusted, as measured in the build; empty if nothing was."""
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
    head = ["step", "subject", "language", "figure", "value", "95 % interval", "rows", "note"]
    return _cut(table(head, rows, (4, 6))) if rows else []


def _number(given: Any) -> str:
    return "" if given is None else f"{given:.4g}" if isinstance(given, float) else prose(given)


def sources(manifest: Mapping[str, Any], shares: Iterable[Share], book: Book) -> list[str]:
    """Where the rows come from, under which licences, and how many of them are here."""
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
    return _cut(table(["source", "kind", "taken at", "licence", "read", "unreadable", "rows here"], rows, (4, 5, 6)))


def _license(text: str, book: Book) -> str:
    if "{" in text:
        return "each row's own"
    found = [one for way in book.alternatives(text) for one in way]
    if len(found) == 1 and found[0].url:
        return f"[{prose(found[0].id)}]({found[0].url})"
    return prose(text, 120)


def unassessed(version: Version) -> dict[str, dict[str, int]]:
    """Step → language → rows that are here although the step could not assess them: they have none of its scores.

    Only steps after the last that made rows are looked at, for made rows have no scores from before.
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
    """What a user has to know: alarms, warnings, what was not assessed, what was left out, what binds him."""
    manifest = version.manifest
    lines = [f"- **{prose(alarm)}**" for alarm in manifest.get("alarms", [])]
    lines += [f"- {prose(warning)}" for warning in manifest.get("warnings", [])]
    for label, counts in unassessed(version).items():
        told = ", ".join(f"{prose(language)} {rows:,}" for language, rows in list(counts.items())[:40])
        more = f" and {len(counts) - 40} more languages" if len(counts) > 40 else ""
        lines.append(
            f"- *{prose(label)}* could not assess {sum(counts.values()):,} rows, which are here all the same: "
            f"{told}{more}"
        )
    lines += [f"- {prose(note)}" for note in verdict.notes]
    if manifest["quarantined"]:
        one = manifest["quarantined"] == 1
        lines.append(
            f"- {manifest['quarantined']:,} {'row' if one else 'rows'} could not be read or made, and "
            f"{'is' if one else 'are'} not here"
        )
    made = sum(share.rows for share in verdict.shares if share.models)
    if made:
        lines.append(
            f"- {made:,} of {verdict.rows:,} rows ({made / verdict.rows:.0%}) were written or rewritten by models and "
            "checked by nobody but the steps above"
        )
    return lines or ["Nothing was reported."]


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= _MOST + 2:
        return lines
    return [*lines[: _MOST + 2], "", f"… and {len(lines) - _MOST - 2:,} more, in `manifest.json`."]
