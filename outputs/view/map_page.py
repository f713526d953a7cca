"""The page of the map: points that the script draws, and the same as a table of clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from curate.records.markup import Html, direction, html_language, joined, language_name, table, tag, words, written_out
from outputs.view.embedding_map import Cluster, EmbeddingMap, Point, map_of
from outputs.view.filters import chooser
from outputs.view.pages import page
from outputs.view.reading import ReadVersion

_TEXT, _TYPICAL = 90, 160
_LANGUAGES = 4
COLOURS = (("language", "language"), ("outcome", "kept or dropped"), ("source", "source"), ("cluster", "cluster"))


def map_page(read: ReadVersion) -> str:
    """The map of a version, or what it takes to have one."""
    title = f"{read.version.name}: map"
    found = map_of(read)
    if found.layout is None:
        return page(title, _nothing(found), read=read, here="/map")
    return page(title, _lead(found), _drawn(read, found), _clusters(read, found), read=read, here="/map")


def _nothing(found: EmbeddingMap) -> Html:
    if not found.rows:
        return tag("p", "This version has no rows.")
    steps = ("similarity", "duplicates with method: semantic", "retrieve")
    return joined(
        tag("p", f"None of {found.looked_at:,} rows looked at has a vector in the store's cache, so there is no map."),
        tag(
            "p",
            "Steps that ask an encoder leave one for each text: ",
            [joined(", " if place else None, tag("code", step)) for place, step in enumerate(steps)],
            ". Add one of them to the dataset and build again. If it has one, its vectors were removed since (",
            tag("code", "curate cache prune"),
            "), or the encoder does not know the languages.",
        ),
    )


def _lead(found: EmbeddingMap) -> Html:
    without = found.looked_at - found.shown
    notes = []
    if found.drawn < found.rows:
        notes.append("These are the items with the smallest digests: a random sample, the same every time.")
    if same := found.drawn - found.looked_at:
        notes.append(f"{same:,} dropped ones are equal to another dropped row and share its point.")
    if without:
        notes.append(
            f"{without:,} more were looked at and have no vector: a step dropped them before they were compared, or "
            "the encoder does not know their language."
        )
    return joined(
        tag(
            "p",
            tag("strong", f"{found.shown:,} of {found.rows:,} rows shown"),
            f", by vectors of {found.model}. "
            "Rows that mean alike are near each other, translations too; distances between far points say little.",
            class_="moves",
        ),
        tag("p", " ".join(notes), class_="note") if notes else None,
    )


def _drawn(read: ReadVersion, found: EmbeddingMap) -> Html:
    buttons = (("in", "+", "Nearer"), ("out", "−", "Further away"), ("whole", "Whole map", None))
    keys = "Arrows move the map, + and − zoom, 0 shows all of it, Enter opens the row in the middle."
    return tag(
        "section",
        tag(
            "div",
            chooser("Colours by", "colours", COLOURS, "language", every=False),
            [tag("button", said, type="button", data_zoom=name, aria_label=about) for name, said, about in buttons],
            tag("button", "Select a region", type="button", id="select", aria_pressed="false"),
            class_="filters",
        ),
        tag(
            "div",
            tag(
                "canvas",
                id="map",
                tabindex="0",
                role="application",
                aria_describedby="map-keys",
                aria_label=f"Map of {found.shown:,} rows; the table of clusters below says the same in words",
                data_src=f"{read.base}/map/points",
                data_base=read.base,
            ),
            tag("div", id="near", class_="near", hidden=True),
            class_="canvas",
        ),
        tag("p", "Loading the points …", id="said", role="status", class_="note"),
        tag("div", id="legend", class_="legend", role="group", aria_label="Colours"),
        tag("p", f"{keys} A click opens a row, a drag with Shift selects a region.", id="map-keys", class_="note"),
        class_="scripted-only map",
        aria_label="Map",
    )


def _clusters(read: ReadVersion, found: EmbeddingMap) -> Html:
    lead = (
        "Clusters, the largest first: keywords are words that its texts have more often than others of their language; "
        "the number leads to the kept rows"
    )
    head = ["cluster", "points", "dropped", "languages", "keywords", "most typical texts"]
    return table(lead, head, [_cluster(read, one) for one in found.clusters], numbers=(1, 2), class_="clusters")


def _cluster(read: ReadVersion, one: Cluster) -> list[object]:
    number = one.number + 1
    rows = f"{read.base}/rows?region={number}"
    shown = [f"{language_name(tag_)} {count:,}" for tag_, count in one.languages[:_LANGUAGES]]
    more = len(one.languages) - _LANGUAGES
    keywords = [
        tag("span", word, class_="keyword", lang=html_language(language), dir=direction(word, language))
        for word, language in one.keywords
    ]
    typical = [
        tag(
            "li",
            tag(
                "a",
                words(point.text.strip(), point.language, _TYPICAL, "span", tell=False),
                href=f"{read.base}/row/{point.id}",
                class_="to-row",
            ),
        )
        for point in one.typical
    ]
    gone: object = tag("a", f"{one.dropped:,}", href=f"{rows}&state=dropped") if one.dropped else "·"
    return [
        tag("a", str(number), href=rows, aria_label=f"Kept rows of cluster {number}"),
        f"{one.points:,}",
        gone,
        ", ".join([*shown, *([f"{more:,} more"] if more > 0 else [])]),
        joined([joined(word, " ") for word in keywords]),
        tag("ul", typical),
    ]


def points(read: ReadVersion) -> str:
    """What the script draws, as JSON: places, indices of names, texts, and which points belong to one item."""
    found = map_of(read)
    if found.layout is None:
        return "{}"

    def named(of: Callable[[Point], str], name: Callable[[str], str] = str) -> dict[str, Any]:
        """The names, those of most points first, and the index of each point's."""
        values = [of(point) for point in found.points]
        order = [one for one, _ in sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))]
        index = {one: place for place, one in enumerate(order)}
        return {"names": [name(one) for one in order], "of": [index[one] for one in values]}

    items = {item: place for place, item in enumerate(dict.fromkeys(point.item for point in found.points))}
    tags = [point.language for point in found.points]
    return orjson.dumps(
        {
            "x": [round(one, 4) for one in found.layout.points[:, 0].tolist()],
            "y": [round(one, 4) for one in found.layout.points[:, 1].tolist()],
            "id": [point.id for point in found.points],
            "text": [_short(point.text) for point in found.points],
            "tag": [html_language(one) or "" for one in tags],
            "item": [items[point.item] for point in found.points],
            "colours": {
                "language": named(lambda point: point.language, language_name),
                "outcome": named(lambda point: f"dropped by {point.step}" if point.step else "kept"),
                "source": named(lambda point: point.source),
                "cluster": {
                    "names": [f"Cluster {one.number + 1}" for one in found.clusters],
                    "of": found.layout.clusters.tolist(),
                },
            },
            "labels": [[*one.centre, written_out(_label(one))] for one in found.clusters],
        }
    ).decode()


def _label(one: Cluster) -> str:
    """A keyword to stand on the map; an English one if there is one, since the page is in English."""
    return next(
        (word for word, language in one.keywords if language == "en"), one.keywords[0][0] if one.keywords else ""
    )


def _short(text: str) -> str:
    said = " ".join(text[: 4 * _TEXT].split())
    return written_out(said if len(said) <= _TEXT else f"{said[:_TEXT]}…")
