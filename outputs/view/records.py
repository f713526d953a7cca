"""A row as a record: its texts in their scripts and directions, why it was kept or dropped, translations and parents
beside it, scores with their thresholds, origin.

Everything is put in as text by :mod:`outputs.report.markup`, which escapes it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import regex

from curate.preferences.review.labels_file import Label
from curate.rows import Kind
from curate.rows.kinds import MEDIA
from outputs.report import language_name
from outputs.report.charts import number
from outputs.report.markup import Html, direction, html_language, joined, table, tag, text, words
from outputs.report.rows import first_words
from outputs.report.thresholds import Limit, owner

_SHORT = 160
_BESIDE = 1_200
_LONGEST_COMPARED = 4_000
_WORD = regex.compile(r"\p{Han}|\p{Thai}\p{M}*|[\p{L}\p{N}\p{M}_]+|\s+|.", regex.DOTALL)
"""A word, or a letter of a script without spaces, whitespace, or any other character."""
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
    for parent in row["lineage"]["parents"]:
        beside.append(_relative("Parent", parent, relatives.get(parent), base))
    parents = set(row["lineage"]["parents"])
    twins = {one["value"] for one in row["attributes"] if one["name"].endswith(".duplicate_of")}
    beside += [_relative("Duplicate of", one, relatives.get(one), base) for one in sorted(twins)]
    for one in siblings:
        if one["id"] not in parents | twins:
            translated = one["language"] != row["language"]
            beside.append(_relative("Translation" if translated else "Same item", one["id"], one, base))
    return joined(
        why(row, limits, base),
        tag("div", conversation(row), class_="texts"),
        tag("section", tag("h4", "Beside it"), tag("div", beside, class_="beside"), class_="siblings")
        if beside
        else None,
        _scores(row, limits, labels),
        _attributes(row),
        _origin(row),
    )


# ------------------------------------------------------------------------------------------------------------ texts
def conversation(row: Mapping[str, Any], most: int | None = None, marked: Mapping[str, Html] | None = None) -> Html:
    """The texts of a row: turns one below the other, the two answers of a preference beside each other, source and
    target of a pair too.

    Args:
        most: cut each text after so many characters, and say so.
        marked: texts with marks in them, by column, in place of those of the last message there.
    """
    kind, language = row["kind"], row["language"]
    if kind is Kind.PARALLEL:
        sides = [("source", row["source"], row["source_language"]), ("target", row["target"], language)]
        return tag(
            "div", [_column(name, [_turn(name, said, spoken, most)]) for name, said, spoken in sides], class_="sides"
        )
    if kind is Kind.DOCUMENT:
        return _turn("text", row["text"], language, most)
    if kind is Kind.PREFERENCE:
        answers = _differing(row) if most is None else {}
        return joined(
            _turns(row["prompt"], language, most),
            tag(
                "div",
                [
                    _column(name, _turns(row[name], language, most, answers.get(name)), name)
                    for name in ("chosen", "rejected")
                ],
                class_="sides",
            ),
            _parts(row),
        )
    turns = [*(row.get("messages") or ()), *(row.get("prompt") or ()), *(row.get("completion") or ())]
    verdict = None
    if row.get("label") is not None:
        verdict = tag("p", "Label: ", tag("strong", "good" if row["label"] else "bad"))
    return joined(_turns(turns, language, most), verdict, _parts(row))


def _column(name: str, content: object, sort: str = "") -> Html:
    return tag("div", tag("h4", name), content, class_=f"side {sort}".strip())


def _turns(turns: Iterable[Mapping[str, Any]], language: str, most: int | None, last: Html | None = None) -> list[Html]:
    listed = list(turns)
    return [
        joined(
            _folded(f"{turn['role']}: reasoning", turn["reasoning"], language) if turn.get("reasoning") else None,
            _turn(_speaker(turn), turn["content"], language, most, last if place == len(listed) - 1 else None)
            if turn["content"] or not turn.get("tool_calls")
            else None,
            [_call(call) for call in turn.get("tool_calls") or ()],
        )
        for place, turn in enumerate(listed)
    ]


def _speaker(turn: Mapping[str, Any]) -> str:
    name = f" ({turn['name']})" if turn.get("name") else ""
    return f"{turn['role']}{name}{', not trained on' if turn.get('weight') == 0 else ''}"


def _turn(label: str, content: str, language: str, most: int | None, marked: Html | None = None) -> Html:
    role = label.split(" ")[0].rstrip(",")
    body = (
        words(content, language, len(content) if most is None else most)
        if marked is None
        else tag("div", marked, class_="text", **language_and_direction(content, language))
    )
    return tag("div", tag("div", label, class_="role"), body, class_=f"turn of-{role}" if role.isalpha() else "turn")


def language_and_direction(content: str, language: str) -> dict[str, str | None]:
    """The attributes of an element with a text in a language."""
    return {"lang": html_language(language), "dir": direction(content, language)}


def _call(call: Mapping[str, Any]) -> Html:
    function = call["function"]
    return tag(
        "details",
        tag("summary", "Calls ", tag("code", function["name"]), f" · {call['id']}" if call["id"] else None),
        tag("pre", _indented(function["arguments"]), dir="ltr", tabindex="0"),
        class_="call",
    )


def _parts(row: Mapping[str, Any]) -> Html:
    """Tools and media, folded."""
    parts = [_folded("Tools", _indented(row["tools"]), "en", "pre")] if row.get("tools") else []
    parts += [
        _folded(f"{name} ({len(row[name])})", "\n".join(row[name]), "en", "pre") for name in MEDIA if row.get(name)
    ]
    return joined(parts)


def _folded(title: str, content: str, language: str, name: str = "div") -> Html:
    body = (
        tag("pre", content, dir="ltr", tabindex="0")
        if name == "pre"
        else tag("div", content, class_="text", **language_and_direction(content, language))
    )
    return tag("details", tag("summary", title), body, class_="call")


def _indented(given: str) -> str:
    try:
        return orjson.dumps(orjson.loads(given), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return given


# ------------------------------------------------------------------------------------------------------ differences
def _differing(row: Mapping[str, Any]) -> dict[str, Html]:
    """The last messages of the two answers, with the words that only one of them has marked."""
    sides = [row[name][-1]["content"] if row[name] else "" for name in ("chosen", "rejected")]
    old, new = compared(sides[1], sides[0])
    return {"chosen": new, "rejected": old}


def compared(old: str, new: str) -> tuple[Html, Html]:
    """Two texts, in each the words marked that the other does not have there; unmarked if they are very long or have
    little in common."""
    if max(len(old), len(new)) > _LONGEST_COMPARED:
        return text(old), text(new)
    left, right = _WORD.findall(old), _WORD.findall(new)
    match = difflib.SequenceMatcher(None, left, right, autojunk=False)
    if match.ratio() < 0.3:
        return text(old), text(new)
    parts: tuple[list[object], list[object]] = ([], [])
    for what, *ends in match.get_opcodes():
        for side, (words_, start, end) in enumerate(((left, ends[0], ends[1]), (right, ends[2], ends[3]))):
            piece = "".join(words_[start:end])
            if piece:
                parts[side].append(piece if what == "equal" else tag("del" if side == 0 else "ins", piece))
    return joined(parts[0]), joined(parts[1])


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
    lines = [[one["name"], tag("span", one["value"], dir="auto")] for one in row["attributes"]]
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
    return tag("div", tag("h5", f"{title}: ", link, " ", dropped), conversation(row, _BESIDE), class_="relative")
