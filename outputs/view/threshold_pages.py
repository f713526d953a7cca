"""The page of thresholds: how a score is spread, which rows another threshold would take and leave, the catalog's
change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import polars as pl

from curate.catalog.docstrings import documented
from curate.errors import ExportError
from curate.records.markup import Html, joined, language_name, table, tag
from outputs.report.charts import columns, number
from outputs.report.records import summary
from outputs.report.sections import cut, share
from outputs.view.filters import chooser
from outputs.view.labelled import (
    LEAST,
    PRECISION,
    Counts,
    LabelledRows,
    LabelledThreshold,
    counts_by_language,
    from_labels,
    labelled_rows,
)
from outputs.view.labelling import Labels
from outputs.view.pages import page
from outputs.view.reading import ReadVersion
from outputs.view.scores import bin_links
from outputs.view.server import NotFound
from outputs.view.thresholds import Threshold, describe, find
from outputs.view.what_if import Move, WhatIf

_LANGUAGES = 60
"""Languages in the table of added and removed rows."""
_SIDES = (("kept_side", "Would be kept", "added"), ("dropped_side", "Would be dropped", "removed"))


class Asked:
    """What the page is asked for: a threshold, a language, a score, a value.

    Args:
        known: the thresholds of the version.

    Raises:
        NotFound: there is no such threshold or score, or the value is no number.
    """

    def __init__(self, read: ReadVersion, known: Sequence[Threshold], query: Mapping[str, str]) -> None:
        self.threshold = find(known, query["threshold"]) if query.get("threshold") else _busiest(read, known)
        self.language = query.get("language", "") if self.threshold.by_language else ""
        self.column = query.get("score") or self.threshold.columns[0]
        if self.column not in self.threshold.columns:
            raise NotFound(f"score: '{self.column}' (known: {', '.join(self.threshold.columns)})")
        present = self.threshold.present
        self.present = present[self.language] if self.language else present.default
        given = query.get("value", "").strip()
        self.open = not given and isinstance(self.present, str)
        """Whether the present value is a word (``calibrated``) and no number is given yet."""
        try:
            self.value: float | None = _number(given) if given else self.present if _is_number(self.present) else None
        except ValueError:
            raise NotFound(f"value: '{given}' is no number") from None

    def address(self) -> str:
        """The query that asks for it."""
        given = {"threshold": self.threshold.key, "language": self.language, "score": self.column}
        return urlencode({**given, "value": "" if self.value is None else number_text(self.value)})


def _busiest(read: ReadVersion, known: Sequence[Threshold]) -> Threshold:
    """The threshold that dropped most rows."""
    gone: dict[tuple[str, str], int] = {}
    for _, _, step, reason, rows in read.counts:
        gone[step, reason] = gone.get((step, reason), 0) + rows
    return max(known, key=lambda one: sum(gone.get((one.label, reason), 0) for reason in one.reasons))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return int(value) if value == int(value) and "." not in text and "e" not in text.lower() else value


def number_text(value: float) -> str:
    """A number for a form."""
    return str(value)


def thresholds_page(
    read: ReadVersion,
    labels: Labels,
    known: Sequence[Threshold],
    asked: Asked | None,
    what_if: WhatIf | None,
    catalog: Path | None,
    others: Html | None,
) -> str:
    """The page; without ``asked`` the version has no threshold that can be moved.

    Args:
        others: what else decides and cannot be moved.
    """
    if asked is None or what_if is None:
        said = tag("p", "No step of this version decides by a score that its rows have.")
        return page(f"{read.version.name}: thresholds", said, others, read=read, here="/thresholds")
    languages = sorted({language for language, *_ in read.counts}, key=language_name)
    ends = what_if.histogram(asked.column)
    low, high = (float(ends[0][0]), float(ends[0][-1])) if ends else (0.0, 1.0)
    whole = ends is not None and float(ends[0][1] - ends[0][0]) == 1.0
    step = 1.0 if whole else 10 ** math.floor(math.log10(max(high - low, 1e-9) / 100))
    low, high = (math.floor(low / step) * step, math.ceil(high / step) * step)
    value = "" if asked.value is None else number_text(asked.value)
    doc = documented(type(asked.threshold.step)).model_fields[asked.threshold.name].description
    form = tag(
        "form",
        tag(
            "div",
            chooser(
                "Threshold",
                "threshold",
                [(one.key, f"{one.label}: {one.name}") for one in known],
                asked.threshold.key,
                every=False,
            ),
            chooser(
                "Language",
                "language",
                [(one, language_name(one)) for one in languages],
                asked.language,
                none="all others" if asked.threshold.present.values else "all",
            )
            if asked.threshold.by_language
            else None,
            chooser(
                "Score",
                "score",
                [(one, asked.threshold.score(one)) for one in asked.threshold.columns],
                asked.column,
                every=False,
            )
            if len(asked.threshold.columns) > 1
            else None,
            class_="filters",
        ),
        tag("p", doc.replace("``", ""), class_="note") if doc else None,
        tag(
            "div",
            tag("label", "Value ", tag("input", type="number", name="value", value=value, step="any", id="value")),
            tag(
                "input",
                type="range",
                min=number_text(low),
                max=number_text(high),
                step=number_text(step),
                value=value or number_text(low),
                aria_label="Value",
                id="slide",
                class_="scripted-only",
            ),
            tag("button", "Show", type="submit"),
            class_="value",
        ),
        class_="threshold",
        aria_label="Move a threshold",
        action=f"{read.base}/thresholds",
        data_moved=f"{read.base}/thresholds?part=1",
    )
    return page(
        f"{read.version.name}: thresholds",
        tag("h2", f"{asked.threshold.label}: {asked.threshold.name}"),
        form,
        tag("div", moved(read, labels, asked, what_if, catalog), id="moved", aria_live="polite"),
        others,
        read=read,
        here="/thresholds",
    )


def moved(read: ReadVersion, labels: Labels, asked: Asked, what_if: WhatIf, catalog: Path | None) -> Html:
    """What changes as the value moves."""
    if asked.open:
        said = f"Now it is {asked.present}. Give a number to see what it would change."
        return joined(tag("p", said, class_="moves", role="status"), _chart(read, asked, what_if))
    try:
        move = what_if.move(asked.value, asked.language, asked.column)
    except ExportError as error:
        return tag("p", str(error), class_="why")
    return joined(
        _sentence(asked, move),
        _chart(read, asked, what_if),
        tag(
            "div",
            [_side(read, getattr(move, name), title, word, asked) for name, title, word in _SIDES],
            class_="examples",
        ),
        _table(asked, move),
        _labelled(read, labels, asked),
        _write(read, asked, catalog),
    )


def _sentence(asked: Asked, move: Move) -> Html:
    go, come = (int(move.by_language[name].sum()) for name in ("go", "come"))
    kept = int(move.by_language["kept"].sum())
    parts: list[object] = [
        "Now ",
        tag("strong", _told(asked.present)),
        ", at ",
        tag("strong", _told(asked.value)),
        ": ",
        tag("strong", f"{'at most ' if asked.threshold.upwards else ''}{come:,} added", class_="come"),
        ", ",
        tag("strong", f"{go:,} removed", class_="go"),
        f"; {kept:,} → {kept + come - go:,} rows.",
    ]
    notes = []
    if come and move.later:
        notes.append(
            f"Steps behind this one ({', '.join(move.later)}) have not seen the added rows, and may drop some."
        )
    if asked.threshold.upwards:
        notes.append(
            "Added rows are less similar than this to the row they were dropped for. Some of them may be copies of "
            "each other, and then fewer are added: the build decides. Lower values cannot be tried."
        )
    own = {one: value for one, value in describe(asked.threshold.present).items() if one and not asked.language}
    if own:
        told = ", ".join(f"{language_name(one)} {_told(value)}" for one, value in own.items())
        notes.append(f"Languages with a value of their own keep it: {told}.")
    if move.astray:
        notes.append(
            f"For {move.astray:,} rows the rules installed here decide otherwise than the version; they count as "
            "coming or going."
        )
    return joined(tag("p", parts, class_="moves", role="status"), [tag("p", one, class_="note") for one in notes])


def _told(value: Any) -> str:
    return "no limit" if value is None else number(value) if _is_number(value) else str(value)


def _chart(read: ReadVersion, asked: Asked, what_if: WhatIf) -> Html:
    found = what_if.histogram(asked.column, asked.language)
    if found is None:
        return tag("p", "No row in this language has this score.", class_="note")
    edges, counts = found
    values = (("present", asked.present), ("moved", asked.value))
    lines = [(float(value), sort) for sort, value in values if _is_number(value)]  # type: ignore[arg-type]
    kept, dropped, other = (int(one) for one in counts.sum(axis=0))
    whom = language_name(asked.language) if asked.language else "all languages"
    about = (
        f"{asked.threshold.score(asked.column)} in {whom}: {kept:,} rows kept, {dropped:,} dropped by this threshold, "
        f"{other:,} otherwise"
    )
    links = bin_links(read, asked.threshold.score(asked.column), edges, counts, {"language": asked.language})
    lined = [
        [f"{number(float(edges[place]))} – {number(float(edges[place + 1]))}", *(f"{one:,}" for one in line)]
        for place, line in enumerate(counts.tolist())
        if any(line)
    ]
    return tag(
        "figure",
        tag(
            "p",
            tag("span", "kept", class_="key kept"),
            tag("span", "dropped by this threshold", class_="key dropped"),
            tag("span", "dropped otherwise", class_="key other"),
            tag("span", "threshold", class_="key line"),
        ),
        columns(edges, counts, lines, about, links),
        tag("figcaption", f"{about}. The outermost columns hold all beyond them."),
        tag(
            "details",
            tag("summary", "The same as a table"),
            table(about, ["from – to", "kept", "dropped", "otherwise"], lined, numbers=(1, 2, 3)),
        ),
    )


def _side(read: ReadVersion, side: Sequence[tuple[str, float, bool]], title: str, word: str, asked: Asked) -> Html:
    kept, dropped = (read.rows([one for one, _, _ in side], state) for state in ("kept", "dropped"))
    items = []
    for row, value, moves in side:
        found = kept.get(row) or dropped.get(row)
        if found is not None:
            badge = tag("strong", f" {word} ", class_=word) if moves else " "
            items.append(tag("li", tag("code", number(value)), badge, summary(found, read.row_address(row))))
    return tag(
        "section",
        tag("h3", f"{title}, next to the threshold"),
        tag("ul", items) if items else tag("p", "No row.", class_="note"),
    )


def _table(asked: Asked, move: Move) -> Html:
    present = asked.threshold.present
    lines = []
    order = move.by_language.sort(pl.col("go") + pl.col("come"), "kept", "language", descending=[True, True, False])
    for language, kept, dropped, go, come in order.select("language", "kept", "dropped", "go", "come").rows():
        lines.append(
            [
                language_name(language),
                _told(present[language]),
                f"{kept:,}",
                f"{dropped:,}",
                tag("td", f"+{come:,}" if come else "·", class_="number come"),
                tag("td", f"−{go:,}" if go else "·", class_="number go"),
                f"{kept + come - go:,}",
            ]
        )
    shown, more = cut(lines, _LANGUAGES, "in which less changes")
    head = ["language", "now", "kept", "dropped by it", "added", "removed", "then"]
    return joined(table("By language", head, shown, numbers=(1, 2, 3, 4, 5, 6)), more)


def _labelled(read: ReadVersion, labels: Labels, asked: Asked) -> Html | None:
    """What the labels of these rows say of the threshold, in each language."""
    every = labels.every()
    if not every:
        return None

    def said() -> tuple[LabelledRows, list[LabelledThreshold]]:
        rows = labelled_rows(read, asked.threshold, every)
        return rows, from_labels(asked.threshold, rows)

    # It stays the same while the value moves.
    rows, found = read.reader.remembered(("labelled", read.name, asked.threshold.key, hash(tuple(every))), said)
    try:
        moved_to = counts_by_language(asked.threshold.moved(asked.value, asked.language), rows.frame)
    except ExportError:
        return None  # the page says it
    head = ["language", "labels", "right share now", "at the value above", "right rows kept", "labels speak for"]
    lines: list[list[object]] = []
    for one in found:
        at = moved_to[one.language]
        address = urlencode({"threshold": asked.threshold.key, "language": one.language, "value": str(one.value)})
        link = f"{read.base}/thresholds?{address}"
        told = one.reason if one.value is None else tag("a", number(one.value), href=link)
        name = language_name(one.language) if one.language else "all together"
        lines.append([name, f"{one.labels:,}", _share(one.at_now), _share(at), share(at.recall or 0, 1), told])
    shown, more = cut(lines, _LANGUAGES, "with fewer labels")
    left = (
        (rows.unsure, "say neither right nor wrong"),
        (rows.without, "are of rows without this score"),
        (rows.elsewhere, "are of rows that this version does not have"),
    )
    notes = "; ".join(f"{count:,} labels {what}" for count, what in left if count)
    lead = (
        f"Labels in {labels.path.name}: which share of the labelled rows that a value keeps is right (95 % interval), "
        f"and the value that keeps most right rows with at least {PRECISION:.0%} right ones, from {LEAST} labels on"
    )
    return joined(
        table(lead, head, shown, numbers=(1, 2, 3, 4, 5)),
        more,
        tag("p", f"Not counted: {notes}.", class_="note") if notes else None,
    )


def _share(at: Counts) -> str:
    if at.precision is None:
        return "none kept"
    low, high = at.interval
    return f"{share(at.precision, 1)} ({low:.0%}–{high:.0%})"


def _write(read: ReadVersion, asked: Asked, catalog: Path | None) -> Html | None:
    if catalog is None:
        return tag("p", "There is no catalog here to write it into (--catalog).", class_="note")
    if asked.value == asked.present:
        return None
    return tag(
        "p",
        tag(
            "a",
            f"Write it into {catalog.name} …",
            href=f"{read.base}/thresholds/write?{asked.address()}",
            class_="button",
        ),
    )
