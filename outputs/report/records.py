"""A row as a record: its texts in their scripts and directions, why it was kept or dropped, translations and parents
beside it, scores with their thresholds, origin.

Everything is put in as text by :mod:`curate.records.markup`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from curate.preferences.review.labels_file import Label
from curate.records.conversation import BESIDE, Own, conversation, shortened
from curate.records.markup import Html, joined, language_name, table, tag, words
from curate.rows.fields import parents_of
from outputs.report.charts import number
from outputs.report.rows import PARENTS, first_words
from outputs.report.thresholds import Limit, owner

Address = Callable[[str], str | None]
_SHORT = 160
_GENERATIONS = ("Parent", "Parent of the parent", "Further back")
_SILENT = ("cluster_id", "spans")


def summary(row: Mapping[str, Any], address: str | None = None, label: Label | None = None) -> Html:
    """One line of a row: state, language, first words, label.

    Args:
        address: of the row, if the line is to lead there.
    """
    said, language = first_words(row)
    first = words(said.strip() or "(empty)", language, _SHORT, "span", tell=False)
    return joined(
        state(row),
        " ",
        tag("span", language_name(row["language"]), class_="language"),
        " ",
        labelled(label) if label is not None else None,
        " ",
        _to(first, address, class_="to-row"),
    )


def _to(said: str, address: str | None, **attributes: object) -> Html:
    """A link, if there is somewhere to lead to."""
    return tag("a", said, href=address, **attributes) if address else joined(said)


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
    rows: Address,
    labels: Sequence[str],
    own: Own,
) -> Html:
    """The whole record.

    Args:
        limits: thresholds for the row's language.
        siblings: rows of the same item.
        relatives: its parents, what they were made of, and the row it is a duplicate of, by id.
        rows: the address of a row by its id; None if there is no page of it.
        labels: of the steps.
    """
    beside: list[Html] = []
    shown = {row["id"]}

    def add(title: str, row_id: str, other: Mapping[str, Any] | None) -> None:
        if row_id not in shown:
            shown.add(row_id)
            beside.append(_relative(title, row_id, other, rows))

    generation = [row]
    for title in _GENERATIONS:
        every = list(dict.fromkeys(parent for one in generation for parent in parents_of(one)))
        older = every[:PARENTS]
        for parent in older:
            add(title, parent, relatives.get(parent))
        if more := len(every) - len(older):
            beside.append(tag("p", f"{title}: {more:,} more rows, not shown.", class_="note"))
        generation = [relatives[parent] for parent in older if parent in relatives]
    for one in sorted({one["value"] for one in row["attributes"] if one["name"].endswith(".duplicate_of")}):
        add("Duplicate of", one, relatives.get(one))
    for other in siblings:
        add("Translation" if other["language"] != row["language"] else "Same item", other["id"], other)
    return joined(
        why(row, limits, rows),
        tag("div", conversation(row, own.most, own), class_="texts"),
        tag("div", tag("h4", "Beside it"), tag("div", beside, class_="beside"), class_="siblings") if beside else None,
        _scores(row, limits, labels),
        _attributes(row),
        _origin(row),
    )


# -------------------------------------------------------------------------------------------------------------- why
def why(row: Mapping[str, Any], limits: Sequence[Limit], rows: Address) -> Html:
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
                _to(one["value"][:12], rows(one["value"])),
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


def _relative(title: str, row_id: str, row: Mapping[str, Any] | None, rows: Address) -> Html:
    if row is None:
        return tag(
            "div",
            tag("h5", f"{title} {row_id[:12]}"),
            tag("p", "It is no longer in the store.", class_="note"),
            class_="relative",
        )
    link = _to(language_name(row["language"]), rows(row_id))
    dropped = state(row) if row.get("step") else None
    return tag("div", tag("h5", f"{title}: ", link, " ", dropped), conversation(row, BESIDE), class_="relative")
