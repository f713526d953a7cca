"""The sections with sample rows: scores and thresholds, clusters of duplicates, contamination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from curate.records.markup import Html, direction, html_language, joined, table, tag, words
from outputs.report import charts
from outputs.report.charts import number
from outputs.report.data import Score, Survey
from outputs.report.rows import field_text, first_words
from outputs.report.sections import count, cut, figure, section, share, to_rows
from outputs.report.thresholds import Limit

Rows = Mapping[tuple[int, int], Mapping[str, Any]]
_SHORT = 160
_AROUND = 120
_CHARTS = 100


def link(row: Mapping[str, Any], most: int = _SHORT) -> Html:
    """The first words of a row, as a link to the complete row."""
    text, language = first_words(row)
    return tag(
        "a", words(text or "(empty)", language, most, "span", tell=False), href=f"#row={row['id']}", class_="to-row"
    )


# --------------------------------------------------------------------------------------------------------------- scores
def scores(
    survey: Survey, limits: Sequence[Limit], languages: Sequence[str], names: Mapping[str, str], rows: Rows
) -> Html | None:
    """For each score its distribution, its thresholds, and rows next to them."""
    if not survey.scores:
        return None
    chosen = [one for one in languages if any(one in score.counts for score in survey.scores.values())]
    # The number of charts is limited: if there are more, only the larger languages have their own.
    most = max(1, _CHARTS // max(1, sum(score.low < score.high for score in survey.scores.values())) - 1)
    own = chosen[:most]
    blocks = []
    for score in survey.scores.values():
        parts: list[Html] = []
        for language in ("*", *own) if score.low < score.high else ():
            if language in score.counts:
                parts.append(
                    tag(
                        "div",
                        _spread(score, language, limits, names),
                        data_language=language,
                        class_="of-language",
                        hidden=language != "*",
                    )
                )
        body = joined(
            _threshold_list(score, limits, names),
            parts,
            _missing(score, own, names),
            _borders(survey, score, limits, names, rows),
        )
        title = joined(
            tag("h3", score.name),
            tag(
                "span",
                f"{score.rows:,} rows · {number(score.low)} to {number(score.high)}"
                if score.low < score.high
                else f"{score.rows:,} rows · always {number(score.low)}",
                class_="note",
            ),
        )
        open_ = any(limit.score == score.name and _reached(limit, score) for limit in limits)
        blocks.append(tag("details", tag("summary", title), body, class_="score", open=open_))
    options = [tag("option", "all languages", value="*"), *(tag("option", names[one], value=one) for one in own)]
    choice = tag(
        "p",
        tag("label", "Language of the charts ", tag("select", options, id="chart-language")),
        class_="choice scripted",
    )
    notes = [f"{survey.left_out:,} more scores are not shown."] if survey.left_out else []
    if len(chosen) > len(own):
        notes.append(f"Separate charts are shown for the {len(own)} largest of {len(chosen)} languages.")
    legend = tag(
        "p",
        tag("span", "kept", class_="key kept"),
        tag("span", "dropped by this step", class_="key dropped"),
        tag("span", "dropped by another step", class_="key other"),
        tag("span", "threshold", class_="key line"),
    )
    return section(
        "scores",
        "Scores and thresholds",
        tag(
            "p",
            "Thresholds were determined by probing the steps. The outermost bars include all values beyond them. ",
            " ".join(notes),
        ),
        legend,
        choice,
        tag("div", blocks, class_="scores"),
    )


def _reached(limit: Limit, score: Score) -> bool:
    """Whether any row is beyond the threshold."""
    return score.low < limit.value if limit.side == "below" else score.high > limit.value


def _spread(score: Score, language: str, limits: Sequence[Limit], names: Mapping[str, str]) -> Html:
    mine = [one for one in limits if one.score == score.name and language in ("*", one.language)]
    counts, edges = score.counts[language], score.edges
    kept, gone, other = (int(one) for one in counts.sum(axis=0))
    whom = "all languages" if language == "*" else names.get(language, language)
    about = f"{score.name} in {whom}: {kept:,} rows kept, {gone:,} dropped by this step, {other:,} by another."
    rows = [
        [_bin(score, edges[place], edges[place + 1]), *(count(one) for one in counts[place])]
        for place in range(len(counts))
        if counts[place].any()
    ]
    data_table = table(
        f"{score.name}, {whom}",
        ["from – to", "kept", "dropped by this step", "dropped by another"],
        rows,
        numbers=(1, 2, 3),
    )
    lines = [(value, "present") for value in sorted({limit.value for limit in mine})]
    return figure(charts.columns(edges, counts, lines, about), about, data_table)


def _bin(score: Score, low: float, high: float) -> str:
    return number(high - 0.5) if score.whole and high - low == 1 else f"{number(low)} – {number(high)}"


def _threshold_list(score: Score, limits: Sequence[Limit], names: Mapping[str, str]) -> Html | None:
    """The thresholds as text; languages with the same threshold are listed together."""
    by: dict[tuple[str, str, float, bool], list[str]] = {}
    for limit in limits:
        if limit.score == score.name:
            by.setdefault((limit.reason, limit.side, limit.value, limit.alone), []).append(limit.language)
    if not by:
        return tag(
            "p",
            "No step drops rows by this score alone." if score.step else "This score comes from the source.",
            class_="note",
        )
    every = {limit.language for limit in limits}
    items = []
    for (reason, side, value, alone), some in sorted(by.items(), key=lambda pair: (pair[0][0], -len(pair[1]))):
        whom = (
            "all languages"
            if set(some) >= every and len(every) > 1
            else ", ".join(names.get(one, one) for one in some[:20])
            + (f" and {len(some) - 20} more" if len(some) > 20 else "")
        )
        items.append(
            tag(
                "li",
                tag("strong", reason),
                f": dropped {side} {number(value)}{'' if alone else ', in combination with other scores'} ({whom})",
            )
        )
    return tag("ul", items)


def _missing(score: Score, own: Sequence[str], names: Mapping[str, str]) -> Html | None:
    none = [names[one] for one in own if one not in score.counts]
    return tag("p", f"No row in {', '.join(none)} has this score.", class_="note") if none else None


def _borders(
    survey: Survey, score: Score, limits: Sequence[Limit], names: Mapping[str, str], rows: Rows
) -> Html | None:
    if survey.borders.is_empty():
        return None
    tables: dict[int, list[list[object]]] = {}
    for file, row, number_, value, gone in survey.borders.select("file", "row", "limit", "value", "dropped").rows():
        if limits[number_].score == score.name and _reached(limits[number_], score) and (file, row) in rows:
            state = tag("span", "dropped" if gone else "kept", class_="state dropped" if gone else "state kept")
            tables.setdefault(number_, []).append([number(value), state, link(rows[file, row])])
    parts = []
    for number_, listed in tables.items():
        limit = limits[number_]
        title = (
            f"At the threshold {number(limit.value)} in {names.get(limit.language, limit.language)} ({limit.reason})"
        )
        parts.append(
            tag(
                "div",
                table(title, [score.name, "", "row"], listed, numbers=(0,)),
                data_language=limit.language,
                class_="of-language-or-all",
            )
        )
    return (
        tag("details", tag("summary", f"Rows at the threshold ({sum(map(len, tables.values()))})"), parts)
        if parts
        else None
    )


# ----------------------------------------------------------------------------------------------------------- duplicates
def duplicates(survey: Survey, names: Mapping[str, str], rows: Rows) -> Html | None:
    """The largest clusters with their rows, and the number of clusters of each size."""
    if not survey.clusters:
        return None
    parts = []
    for label, sizes in survey.cluster_sizes.items():
        by_size = sorted(sizes.items())
        clusters = sum(round(members / size) for size, members in by_size)
        size_rows, more = cut(
            [[count(size), count(round(members / size)), count(members)] for size, members in by_size], 40
        )
        parts += [
            tag("h3", label),
            tag(
                "p",
                f"{sum(sizes.values()):,} rows are in {clusters:,} {'cluster' if clusters == 1 else 'clusters'} of "
                "two or more.",
            ),
            tag(
                "details",
                tag("summary", "Cluster sizes"),
                table(
                    f"Clusters of {label} by size",
                    ["rows in the cluster", "clusters", "rows"],
                    size_rows,
                    numbers=(0, 1, 2),
                ),
                more,
            ),
        ]
        for one in survey.clusters:
            if one["label"] == label:
                parts.append(_cluster(one, names, rows))
    return section(
        "duplicates",
        "Duplicates",
        tag("p", "The largest clusters of each step; one row of each cluster is kept."),
        parts,
    )


def _cluster(one: Mapping[str, Any], names: Mapping[str, str], rows: Rows) -> Html:
    label, members = one["label"], [rows[place] for place in one["members"].rows() if place in rows]
    listed = []
    for row in sorted(
        members, key=lambda row: any(given["name"] == f"{label}.duplicate_of" for given in row["attributes"])
    ):
        gone = any(given["name"] == f"{label}.duplicate_of" for given in row["attributes"])
        alike = next((given["value"] for given in row["scores"] if given["name"] == f"{label}.similarity"), None)
        state = tag("span", "dropped" if gone else "kept", class_="state dropped" if gone else "state kept")
        listed.append(
            [
                state,
                names.get(row["language"], row["language"]),
                number(alike) if alike is not None else "",
                link(row, 300),
            ]
        )
    more = one["size"] - len(listed)
    first = words(first_words(members[0])[0], members[0]["language"], 90, "span", tell=False) if members else one["id"]
    note = tag("p", f"… and {more:,} more.", class_="note") if more > 0 else None
    return tag(
        "details",
        tag("summary", f"{one['size']:,} rows: ", first),
        table(f"Cluster {one['id']}", ["", "language", "similarity", "row"], listed, numbers=(2,)),
        note,
    )


# -------------------------------------------------------------------------------------------------------- contamination
def contamination(survey: Survey, names: Mapping[str, str], rows: Rows) -> Html | None:
    """How much of which benchmark was found, and sample rows with the matches marked."""
    if not survey.hit_counts:
        return None
    counted: list[list[object]] = []
    for (label, benchmark, hit, language), (kept, gone) in sorted(
        survey.hit_counts.items(), key=lambda pair: -sum(pair[1])
    ):
        link_ = (
            to_rows(f"{gone:,}", f"rows dropped by {label}", state="dropped", step=label, language=language)
            if gone
            else "·"
        )
        counted.append([benchmark, hit, names.get(language, language), link_, count(kept), label])
    shown, more = cut(counted)
    examples = []
    for file, row, label in survey.hits.select("file", "row", "label").rows():
        if (file, row) in rows:
            examples.append(_hit(rows[file, row], label, names))
    gone = sum(pair[1] for pair in survey.hit_counts.values())
    whole = sum(sum(pair) for pair in survey.hit_counts.values())
    return section(
        "contamination",
        "Contamination",
        tag(
            "p",
            f"Benchmark content was found in {whole:,} {'row' if whole == 1 else 'rows'}; {gone:,} of them "
            f"({share(gone, whole)}) were dropped for it.",
        ),
        table(
            "Rows with benchmark content",
            ["benchmark", "match", "language", "dropped", "kept", "step"],
            shown,
            numbers=(3, 4),
        ),
        more,
        tag("h3", "Examples with the match marked"),
        examples,
    )


def _hit(row: Mapping[str, Any], label: str, names: Mapping[str, str]) -> Html:
    given = {
        one["name"].removeprefix(f"{label}."): one["value"]
        for one in row["attributes"]
        if one["name"].startswith(f"{label}.")
    }
    gone = row.get("step") == label
    title = (
        f"{given.get('benchmark', '')} · {given.get('item', '')} · {given.get('hit', '')} · "
        f"{names.get(row['language'], row['language'])}"
    )
    score = next((one["value"] for one in row["scores"] if one["name"] == label), None)
    state = tag("span", "dropped" if gone else "kept", class_="state dropped" if gone else "state kept")
    marked = [_marked(row, name, spans) for name, spans in _spans(given.get("spans", "")).items()]
    extra = f" · score {number(score)}" if score is not None else ""
    return tag(
        "details",
        tag("summary", state, " ", title, extra),
        marked or link(row),
        tag("p", tag("a", "complete row", href=f"#row={row['id']}")),
    )


def _spans(given: str) -> dict[str, list[tuple[int, int]]]:
    try:
        read = orjson.loads(given) if given else []
        found: dict[str, list[tuple[int, int]]] = {}
        for name, start, end in read:
            found.setdefault(str(name), []).append((int(start), int(end)))
    except (ValueError, TypeError):
        return {}
    return found


def _marked(row: Mapping[str, Any], name: str, spans: Sequence[tuple[int, int]]) -> Html:
    """The field's text with the matches marked and some context around them."""
    try:
        text = field_text(row, name)
    except (KeyError, ValueError, TypeError):
        return joined()
    parts: list[object] = []
    at = 0
    for start, end in sorted(spans):
        start, end = max(at, min(start, len(text))), min(end, len(text))
        if end <= start:
            continue
        before = text[at:start]
        if len(before) > 2 * _AROUND:
            before = f"{before[:_AROUND] if at else ''} … {before[-_AROUND:]}"
        parts += [before, tag("mark", text[start : min(end, start + 2_000)], "…" if end > start + 2_000 else None)]
        at = end
    after = text[at:]
    parts.append(after if len(after) <= _AROUND else f"{after[:_AROUND]} …")
    return tag(
        "div",
        tag("strong", f"{name}: "),
        tag("span", parts, class_="text", lang=html_language(row["language"]), dir=direction(text, row["language"])),
        class_="hit",
    )
