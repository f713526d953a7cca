"""The sections on licences, judges, cost and recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from curate.records.markup import Html, table, tag
from curate.steps.outputs import Version
from outputs.licensing.gate import Verdict, lines
from outputs.report.sections import MOST, count, cut, language_cell, section, to_rows

_UNITS = 20


def licenses(version: Version, verdict: Verdict) -> Html:
    """Sources, licences, and whether the dataset may be published."""
    rows = []
    for one in version.manifest["sources"]:
        units = one.get("units", [])
        here = sum(part.rows for part in verdict.shares if part.source == one["name"])
        own = sorted({part.license for part in verdict.shares if part.source == one["name"]})
        rows.append(
            [
                one["name"],
                one.get("use", ""),
                ", ".join(own) or one.get("license", ""),
                count(sum(unit.get("rows", 0) for unit in units)) if units else "",
                count(sum(unit.get("bad", 0) for unit in units)) if units else "",
                count(here),
                _units(units),
            ]
        )
    shares: dict[tuple[str, str], int] = {}
    for part in verdict.shares:
        shares[part.license, ", ".join(part.models)] = shares.get((part.license, ", ".join(part.models)), 0) + part.rows
    by_license = [
        [license_, models or "–", count(number)]
        for (license_, models), number in sorted(shares.items(), key=lambda pair: -pair[1])
    ]
    status = [tag("p", f"Combined licence: {verdict.joined.expression or 'none'}. It permits publishing the dataset.")]
    if not verdict.rows:
        status = [tag("p", "The dataset has no rows, so there is nothing to publish.")]
    if not verdict.free:
        status = [
            tag("p", tag("strong", f"{verdict.blocked:,} of {verdict.rows:,} rows may not be published:")),
            tag("ul", [tag("li", one.strip()) for one in lines(verdict)]),
        ]
    shown, more = cut(by_license)
    return section(
        "licences",
        "Licences and sources",
        status,
        tag("ul", [tag("li", note) for note in verdict.notes]) if verdict.notes else None,
        table(
            "Sources",
            ["source", "kind", "licence", "rows read", "unreadable", "rows in dataset", "units and revisions"],
            rows,
            numbers=(3, 4, 5),
        ),
        table(
            "Rows by licence and by the models that made or rewrote them",
            ["licence", "models", "rows"],
            shown,
            numbers=(2,),
        ),
        more,
    )


def _units(units: Sequence[Mapping[str, Any]]) -> Html | None:
    if not units:
        return None
    items = [tag("li", unit.get("name", ""), " ", tag("code", _short(unit.get("state")))) for unit in units[:_UNITS]]
    more = tag("li", f"… and {len(units) - _UNITS:,} more") if len(units) > _UNITS else None
    return tag("details", tag("summary", f"{len(units):,}"), tag("ul", items, more))


def _short(state: Any) -> str:
    text = state if isinstance(state, str) else orjson.dumps(state).decode()
    return text if len(text) <= 90 else f"{text[:89]}…"


def audits(version: Version) -> Html | None:
    """How far judges and scores can be trusted, with intervals; which judges failed."""
    rows = []
    for step, listed in (version.manifest.get("audits") or {}).items():
        for one in listed:
            refused = bool(one.get("refused"))
            low, high, value = one.get("low"), one.get("high"), one.get("value")
            rows.append(
                [
                    step,
                    one.get("subject", ""),
                    _rows_in(one.get("language", "")),
                    one.get("figure", ""),
                    _figure(value),
                    _interval(low, high, value),
                    count(one.get("rows")),
                    _figure(one.get("limit")),
                    tag("strong", "failed", class_="bad") if refused else "",
                    one.get("note", ""),
                ]
            )
    if not rows:
        return None
    shown, more = cut(rows)
    away = sum(isinstance(row[8], Html) for row in rows)
    status = (
        f"Over the limit: {away:,} of {len(rows):,} metrics; the judge is disabled in these languages."
        if away
        else "No judge failed its audit."
    )
    return section(
        "judges",
        "Judge audits",
        tag("p", status),
        table(
            "Metrics with 95 % intervals",
            ["step", "subject", "language", "metric", "value", "95 % interval", "rows", "limit", "", "note"],
            shown,
            numbers=(4, 6, 7),
        ),
        more,
    )


def _rows_in(language: str) -> object:
    return to_rows(language, f"rows in {language}", language=language) if language else ""


def _figure(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else ""


def _interval(low: Any, high: Any, value: Any) -> object:
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return ""
    text = f"{low:.3g} – {high:.3g}"
    if not (0 <= low <= high <= 1):
        return text
    mark = f"--low:{low:.3f};--high:{high:.3f};--value:{value if isinstance(value, int | float) else low:.3f}"
    return tag("span", tag("span", class_="interval", style=mark, aria_hidden="true"), text, class_="range")


def cost(version: Version, estimate: Mapping[str, Any] | None, names: Mapping[str, str]) -> Html:
    """Calls, tokens and money of the build that made the version, next to the estimate."""
    spent = version.manifest.get("spending") or []
    estimated_calls = {str(name): figures for name, figures in ((estimate or {}).get("calls") or {}).items()}
    rows: list[list[object]] = []
    for one in spent:
        guess = estimated_calls.pop(f"{one['stage']}: {one['model']}", None)
        rows.append(
            [
                one["stage"],
                tag("code", one["model"]),
                count(one["calls"]),
                count(one["prompt_tokens"]),
                count(one["completion_tokens"]),
                _money(one["money"]),
                *_guess(guess),
            ]
        )
    rows += [[name, "", "", "", "", "", *_guess(guess)] for name, guess in estimated_calls.items()]
    sums = [
        "all",
        "",
        *(count(sum(one[key] for one in spent)) for key in ("calls", "prompt_tokens", "completion_tokens")),
        _money(sum(one["money"] for one in spent)),
        "",
        "",
        "",
    ]
    head = [
        "stage",
        "model",
        "calls",
        "prompt tokens",
        "completion tokens",
        "money",
        "calls estimated",
        "tokens estimated",
        "money estimated",
    ]
    if estimate is None:
        head, rows, sums = head[:6], [row[:6] for row in rows], sums[:6]
    body = (
        table(
            "Model calls of the build that made this version; cached responses cost nothing and are not counted",
            head,
            rows,
            numbers=range(2, len(head)),
            foot=sums,
        )
        if rows
        else tag("p", "No paid model calls: nothing was spent, or all responses were cached.")
    )
    return section("cost", "Cost", body, _estimated(version, estimate, names) if estimate else None)


def _guess(figures: Mapping[str, Any] | None) -> list[str]:
    if not figures:
        return ["", "", ""]
    return [*(_spread(figures.get(what)) for what in ("calls", "tokens")), _spread(figures.get("money"), 2)]


def _spread(figure_: Any, digits: int = 0) -> str:
    if not isinstance(figure_, Sequence) or len(figure_) != 3:
        return ""
    value, low, high = figure_
    return (
        f"{value:,.{digits}f}"
        if high - low < 10**-digits
        else f"{value:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"
    )


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount else "0"


def _estimated(version: Version, estimate: Mapping[str, Any], names: Mapping[str, str]) -> Html:
    rows = [
        [
            "all" if language == "*" else language_cell(language, names),
            _spread(figure_),
            count(version.manifest["rows"] if language == "*" else version.manifest["languages"].get(language, 0)),
        ]
        for language, figure_ in sorted((estimate.get("rows") or {}).items(), key=lambda pair: pair[0] != "*")
    ]
    return table(
        f"Rows: estimated from {estimate.get('sampled', 0):,} of {estimate.get('rows_in', 0):,}, and actual",
        ["language", "estimated (95 % interval)", "actual"],
        rows[:MOST],
        numbers=(1, 2),
    )


def recipe(version: Version, about: Mapping[str, str]) -> Html:
    """The steps with their parameters, models and prompts, and the software versions."""
    built_from = version.manifest["recipe"]
    steps = []
    for step in built_from["steps"]:
        label = step["label"] if step["label"] == step["step"] else f"{step['label']} ({step['step']})"
        params = {
            name: value
            for name, value in step["params"].items()
            if name != "prompts" and value not in (None, [], {}, "")
        }
        rows: list[list[object]] = [[name, tag("code", _json(value))] for name, value in params.items()]
        rows += [[name, tag("code", _json(models))] for name, models in step["models"].items()]
        rows += [
            [f"prompt {name}", tag("code", digest)] for name, digest in (step["params"].get("prompts") or {}).items()
        ]
        body = table(f"Parameters of {step['label']}", ["parameter", "value"], rows) if rows else None
        steps.append(
            tag(
                "li",
                tag("strong", label),
                f" version {step['version']}. ",
                about.get(step["step"], ""),
                tag("details", tag("summary", "parameters"), body) if body else None,
            )
        )
    software = version.manifest["software"]
    built = ", ".join(f"{name} {number}" for name, number in software["packages"].items())
    whole = orjson.dumps(
        {"recipe": built_from, "models": version.manifest["models"]}, option=orjson.OPT_INDENT_2
    ).decode()
    return section(
        "recipe",
        "Recipe",
        tag("p", f"From {', '.join(built_from['from'])}; seed {built_from.get('seed')}."),
        tag("ol", steps) if steps else tag("p", "No steps."),
        tag("p", f"Built on Python {software['python']} with {built}.", class_="note"),
        tag("details", tag("summary", "Complete recipe as JSON"), tag("pre", whole, tabindex="0")),
    )


def _json(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
