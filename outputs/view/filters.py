"""The filters of the pages of rows: what an address names, and the form that names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from curate.preferences.review.labels_file import CHOICES, VERDICTS
from curate.records.markup import Html, language_name, tag
from curate.rows import Kind
from outputs.view.embedding_map import map_of
from outputs.view.labelling import Labels
from outputs.view.reading import STATES, Filter, ReadVersion
from outputs.view.server import Request


def filter_of(read: ReadVersion, request: Request, labels: Labels) -> Filter:
    """The filter that an address names, with the rows that have its label and are in its region of the map.

    Raises:
        NotFound: it names something that there is not.
    """
    given = Filter.of(request.query)
    marked = tuple(labels.marked(given.label)) if given.label else ()
    inside = map_of(read).inside(given.region, given.state) if given.region else frozenset()
    return replace(given, labelled=marked, inside=inside)


def filters(read: ReadVersion, given: Filter) -> Html:
    """The form, with the number of rows of each language, source, step and reason."""
    dropped = given.state == "dropped"
    fits = [one for one in read.counts if bool(one[2]) == dropped] if given.state != "quarantined" else []

    def summed(place: int, **within: str) -> dict[str, int]:
        sums: dict[str, int] = {}
        for language, source, step, reason, number in fits:
            have = {"language": language, "source": source, "step": step, "reason": reason}
            if all(have[name] == value for name, value in within.items() if value):
                key = (language, source, step, reason)[place]
                sums[key] = sums.get(key, 0) + number
        return sums

    manifest = read.version.manifest
    numbers = {"kept": manifest["rows"], "dropped": manifest["rejected"], "quarantined": manifest["quarantined"]}
    parts = [chooser("Rows", "state", [(one, f"{one} ({numbers[one]:,})") for one in STATES], given.state, every=False)]
    if given.state != "quarantined":
        parts += [
            chooser("Language", "language", counted(summed(0), language_name), given.language),
            chooser("Source", "source", counted(summed(1)), given.source),
        ]
        if dropped:
            parts += [
                chooser("Dropped by", "step", counted(summed(2)), given.step),
                chooser("Reason", "reason", counted(summed(3, step=given.step)), given.reason),
            ]
        parts += [
            chooser("Score", "score", [(one, one) for one in read.scores(given.state)], given.score, none="any"),
            *(
                tag(
                    "label",
                    said,
                    tag("input", name=name, value=value, inputmode="decimal", size="6", autocomplete="off"),
                )
                for name, value, said in (("min", given.min, "from"), ("max", given.max, "to"))
            ),
            chooser("My label", "label", _label_options(read), given.label, none="with or without"),
            chooser("Order", "order", [("random", "random")], given.order, none="as in the files"),
        ]
        if given.region:
            named = f"cluster {given.region}" if given.region.isdecimal() else "the selected region"
            parts.append(chooser("On the map", "region", [(given.region, named)], given.region, none="anywhere"))
    parts.append(
        tag(
            "label",
            "Text, place or row id",
            tag(
                "input",
                name="text",
                type="search",
                value=given.text,
                dir="auto",
                autocomplete="off",
                spellcheck="false",
            ),
            class_="wide",
        )
    )
    clear = tag("a", "Clear", href=f"{read.base}/rows")
    return tag(
        "form",
        parts,
        tag("button", "Show", type="submit"),
        clear,
        class_="filters auto",
        role="search",
        aria_label="Filter rows",
        action=f"{read.base}/rows",
    )


def _label_options(read: ReadVersion) -> list[tuple[str, str]]:
    words = CHOICES if read.version.kind is Kind.PREFERENCE else VERDICTS
    return [("any", "any"), ("none", "none yet"), *((one, one) for one in words)]


def chooser(
    label: str, name: str, options: Iterable[tuple[str, str]], chosen: str, *, every: bool = True, none: str = "all"
) -> Html:
    """A select with a label; a chosen value that is not among the options is one too."""
    listed = list(options)
    if chosen and chosen not in [value for value, _ in listed]:
        listed.append((chosen, chosen))
    return tag(
        "label",
        label,
        tag(
            "select",
            tag("option", none, value="") if every else None,
            [tag("option", said, value=value, selected=value == chosen) for value, said in listed],
            name=name,
        ),
    )


def counted(sums: Mapping[str, int], name: Any = str) -> list[tuple[str, str]]:
    """Options with their number of rows, the most first."""
    return [
        (key, f"{name(key)} ({number:,})") for key, number in sorted(sums.items(), key=lambda one: (-one[1], one[0]))
    ]
