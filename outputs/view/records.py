"""A row as a record: its texts in their scripts and directions, why it was kept or dropped, translations and parents
beside it, scores with their thresholds, origin.

Everything is put in as text by :mod:`outputs.report.markup`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curate.preferences.review.labels_file import Label
from curate.rows.fields import parents_of
from outputs.report import language_name
from outputs.report.charts import number
from outputs.report.markup import Html, joined, table, tag, words
from outputs.report.rows import first_words
from outputs.report.thresholds import Limit, owner
from outputs.view.conversation import BESIDE, WHOLE, Own, conversation, shortened

_SHORT = 160
_SILENT = ("cluster_id", "spans")


def summary(row: Mapping[str, Any], base: str, label: Label | None = None) -> Html:
    """One line of a row: state, language, first words, label."""
    said, language = first_words(row)
    return joined(
        state(row),
        " ",
        tag("span", language_name(row["language"]), class_="language"),
        " ",
        labelled(label) if label is not None else None,
        " ",
        tag(
            "a",
            words(said.strip() or "(empty)", language, _SHORT, "span", tell=False),
            href=f"{base}/row/{row['id']}",
            class_="to-row",
        ),
    )


def state(row: Mapping[str, Any]) -> Html:
    """Whether it was kept, and in which split, or by which step it was dropped and for what."""
    if row.get("outside"):
        return tag("span", "made into others", class_="state")
    if row.get("step"):
        return tag("span", f"{row['step']}: {row['reason']}", class_="state dropped")
    return tag("span", row.get("split") or "kept", class_="state kept")


def labelled(label: Label) -> Html:
    """A label in one word."""
    return tag(
        "span",
        label.choice or label.verdict or "note",
        class_="state labelled",
        data_label=label.choice or label.verdict or "note",
    )


def record(
    row: Mapping[str, Any],
    limits: Sequence[Limit],
    siblings: Sequence[Mapping[str, Any]],
    relatives: Mapping[str, Mapping[str, Any]],
    base: str,
    labels: Sequence[str],
    own: Own,
) -> Html:
    """The whole record.

    Args:
        limits: thresholds for the row's language.
        siblings: rows of the same item.
        relatives: its parents and the row it is a duplicate of, by id.
        base: what addresses of this version begin with.
        labels: of the steps.
    """
    beside: list[Html] = []
    for parent in parents_of(row):
        beside.append(_relative("Parent", parent, relatives.get(parent), base))
    parents = set(parents_of(row))
    twins = {one["value"] for one in row["attributes"] if one["name"].endswith(".duplicate_of")}
    beside += [_relative("Duplicate of", one, relatives.get(one), base) for one in sorted(twins)]
    for one in siblings:
        if one["id"] not in parents | twins:
            translated = one["language"] != row["language"]
            beside.append(_relative("Translation" if translated else "Same item", one["id"], one, base))
    return joined(
        why(row, limits, base),
        tag("div", conversation(row, WHOLE, own), class_="texts"),
        tag("section", tag("h4", "Beside it"), tag("div", beside, class_="beside"), class_="siblings")
        if beside
        else None,
        _scores(row, limits, labels),
        _attributes(row),
        _origin(row),
    )


# -------------------------------------------------------------------------------------------------------------- why
def why(row: Mapping[str, Any], limits: Sequence[Limit], base: str) -> Html:
    """Why it was kept or dropped, in a sentence."""
    if row.get("outside"):
        return tag("p", "Not a row of this version: rows of it were made of this one.", class_="why kept")
    step = row.get("step")
    if not step:
        split = f" in {row['split']}" if row.get("split") else ""
        return tag("p", tag("strong", "Kept"), f"{split}: no step dropped it.", class_="why kept")
    said: list[object] = [tag("strong", f"Dropped by {step}"), " for ", tag("strong", row["reason"]), ". "]
    for one in row["scores"]:
        for limit in limits:
            if (
                limit.score == one["name"]
                and limit.reason == row["reason"]
                and owner(limit.score, [step])
                and beyond(limit, one["value"])
            ):
                said.append(
                    f"{one['name']} is {number(one['value'])}, {limit.side} the threshold {number(limit.value)} for "
                    f"{language_name(row['language'])}{'' if limit.alone else ' (in combination with other scores)'}. "
                )
    for one in row["attributes"]:
        if one["name"] == f"{step}.duplicate_of":
            said += [
                "Duplicate of ",
                tag("a", one["value"][:12], href=f"{base}/row/{one['value']}"),
                ", which is kept. ",
            ]
        elif owner(one["name"], [step]) and not one["name"].endswith(_SILENT):
            said.append(f"{one['name'].removeprefix(f'{step}.')} = {one['value'][:120]}. ")
    return tag("p", said, class_="why")


def beyond(limit: Limit, value: float) -> bool:
    """Whether a score is on the side where rows are dropped."""
    return value < limit.value if limit.side == "below" else value > limit.value


def _scores(row: Mapping[str, Any], limits: Sequence[Limit], labels: Sequence[str]) -> Html | None:
    if not row["scores"]:
        return None
    lines = []
    for one in row["scores"]:
        mine = [limit for limit in limits if limit.score == one["name"]]
        step = owner(one["name"], labels)
        # A rule over several scores has its threshold here only if it was the one that dropped the row.
        met = [
            limit for limit in mine if limit.alone or (limit.reason == row.get("reason") and step == row.get("step"))
        ]
        bad = any(beyond(limit, one["value"]) for limit in met)
        told = "; ".join(f"{limit.reason}: dropped {limit.side} {number(limit.value)}" for limit in mine)
        lines.append(
            [
                one["name"],
                number(one["value"]),
                told,
                tag("td", "beyond", class_="bad") if bad else ("met" if met else ""),
            ]
        )
    return tag(
        "details",
        tag("summary", f"Scores ({len(lines)})"),
        table("Scores and their thresholds", ["score", "value", "threshold", ""], lines, numbers=(1,)),
        open=bool(row.get("step")),
        class_="facts-of",
    )


def _attributes(row: Mapping[str, Any]) -> Html | None:
    if not row["attributes"]:
        return None
    lines = [[one["name"], tag("span", shortened(one["value"]), dir="auto")] for one in row["attributes"]]
    return tag(
        "details",
        tag("summary", f"Attributes ({len(lines)})"),
        table("Attributes", ["attribute", "value"], lines),
        class_="facts-of",
    )


def _origin(row: Mapping[str, Any]) -> Html:
    lineage = row["lineage"]
    facts = [
        ("id", row["id"]),
        ("item", row["group_id"]),
        ("source", lineage["source"]),
        ("place", lineage["source_id"]),
        ("licence", lineage["license"]),
    ]
    made = ", then ".join(
        f"{one['step']} with {one['model']}" if one["model"] else one["step"] for one in lineage["makers"]
    )
    return tag(
        "details",
        tag("summary", "Origin"),
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts], class_="facts"),
        tag("p", f"Made by {made}.") if made else None,
        class_="facts-of",
    )


def _relative(title: str, row_id: str, row: Mapping[str, Any] | None, base: str) -> Html:
    if row is None:
        return tag(
            "div",
            tag("h5", f"{title} {row_id[:12]}"),
            tag("p", "It is no longer in the store.", class_="note"),
            class_="relative",
        )
    link = tag("a", language_name(row["language"]), href=f"{base}/row/{row_id}")
    dropped = state(row) if row.get("step") else None
    return tag("div", tag("h5", f"{title}: ", link, " ", dropped), conversation(row, BESIDE), class_="relative")
