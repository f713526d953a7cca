"""The page of differences between two versions of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from curate.engine.store.diff import Difference, compare, made_at, sides
from curate.records.conversation import (
    BESIDE,
    LONGEST_COMPARED,
    compared,
    conversation,
    language_and_direction,
)
from curate.records.markup import Html, joined, language_name, table, tag
from outputs.report.charts import number
from outputs.report.rows import texts
from outputs.report.sections import cut
from outputs.view.filters import chooser
from outputs.view.pages import page
from outputs.view.reading import ReadVersion, literal
from outputs.view.server import Request

_SHOWN = 12
"""Examples of each change."""
_WHERE = "which `curate diff --json` has"
_BEFORE = 200
"""Characters shown of a long text before the first that changed."""
_CHANGES = (("added", "Rows that came"), ("removed", "Rows that went"), ("changed", "Rows that changed"))


def compare_page(read: ReadVersion, request: Request) -> str:
    """What became of the rows from another version to this one."""
    name, title = read.version.name, f"{read.version.name}: compare"
    store = read.reader.store
    others = [one for one in store.versions(name) if one != read.version.version]
    if not others:
        said = tag("p", "This is the only version of ", tag("code", name), "; build it again after a change.")
        return page(title, said, read=read, here="/compare")
    old = read.reader.version(f"{name}@{request.query.get('with') or _before(read)}")
    difference: Difference = read.reader.remembered(
        ("compare", old.name, read.name),
        lambda: compare(store, (name, old.version.version), (name, read.version.version)),
    )
    options = [(one, f"{one} · {made_at(store, name, one)[0].replace('T', ' ')[:16]}") for one in others]
    form = tag(
        "form",
        chooser("Compare with", "with", options, old.version.version, every=False),
        tag("button", "Show", type="submit"),
        class_="filters auto",
        action=f"{read.base}/compare",
        aria_label="Versions",
    )
    counts = ", ".join(f"{difference.count(change):,} {change}" for change, _ in _CHANGES)
    same = "The rows are the same. " if difference.same else ""
    lead = tag(
        "p", f"{same}{difference.old_rows:,} → {difference.new_rows:,} rows: {counts}.", class_="moves", role="status"
    )
    return page(
        title,
        form,
        lead,
        _recipe(difference),
        _changes(difference),
        [_examples(read, old, difference, change, said) for change, said in _CHANGES],
        _shifts(difference),
        read=read,
        here="/compare",
    )


def _before(read: ReadVersion) -> str:
    """The version before this one; of the first, the next."""
    (_, old), (_, new) = sides(read.reader.store, read.name, None)
    return old if new == read.version.version else new


def _recipe(difference: Difference) -> Html | None:
    if not difference.recipe:
        return None
    shown, more = cut([tag("li", tag("code", line)) for line in difference.recipe], 30, _WHERE)
    return tag("section", tag("h3", "What was done otherwise"), tag("ul", shown), more)


def _changes(difference: Difference) -> Html | None:
    if difference.same:
        return None
    rows = [
        [because, change, language_name(language), source, f"{count:,}"]
        for change, language, source, because, count in difference.changes.select(
            "change", "language", "source", "because", "rows"
        ).rows()
    ]
    shown, more = cut(rows, 60, _WHERE)
    head = ["because", "change", "language", "source", "rows"]
    return joined(table("Changes, and which step or source is responsible", head, shown, numbers=(4,)), more)


def _examples(read: ReadVersion, old: ReadVersion, difference: Difference, change: str, title: str) -> Html | None:
    listed = [one for one in difference.examples.rows(named=True) if one["change"] == change]
    if not listed:
        return None
    here = old if change == "removed" else read
    found = here.rows(list(dict.fromkeys(one["id"] for one in listed))[:_SHOWN], "kept")
    items = []
    for one in listed:
        row = found.pop(one["id"], None)
        if row is None:
            continue
        before = _counterpart(old, row) if change == "changed" else None
        body = changed_texts(before, row) if before is not None else conversation(row, BESIDE)
        head = tag(
            "h4",
            tag("a", language_name(row["language"]), href=f"{here.base}/row/{row['id']}"),
            f" · {one['because']}",
        )
        items.append(tag("div", head, body, class_="relative"))
    more = difference.count(change) - len(items)
    note = tag("p", f"… and {more:,} more.", class_="note") if more > 0 else None
    return tag(
        "section",
        tag("h3", title),
        tag("div", items, class_=None if change == "changed" else "beside"),
        note,
        class_="siblings",
    )


def _counterpart(old: ReadVersion, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row of the other version from the same place in the same source, in the same language."""
    lineage = row["lineage"]
    sql = (
        f"SELECT id FROM {old.table('kept')} WHERE language = {literal(row['language'])} "
        f"AND lineage.source = {literal(lineage['source'])} AND lineage.source_id = {literal(lineage['source_id'])} "
        "LIMIT 1"
    )
    ids = old.ask(sql)["id"].to_list()
    return next(iter(old.rows(ids, "kept").values()), None)


def changed_texts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Html:
    """The texts of a row before and after, beside each other, with the words marked that only one of them has."""
    return tag("div", list(_pairs(old, new)), class_="changes")


def _pairs(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Html]:
    for before, after in zip_longest(texts(old), texts(new)):
        label = (after or before)[0]
        was, now = (one[1] if one else "" for one in (before, after))
        # Of long texts the part that begins shortly before the first difference.
        long = max(len(was), len(now)) > LONGEST_COMPARED
        start = max(0, _same(was, now) - _BEFORE) if long else 0
        parts = [one[start : start + LONGEST_COMPARED] for one in (was, now)]
        cut = tag("p", f"Characters {start + 1:,} to {start + LONGEST_COMPARED:,}.", class_="note") if long else None
        marked = compared(parts[0], parts[1], new["language"])
        yield tag("div", label, class_="role")
        yield joined(
            tag(
                "div",
                [
                    tag("div", tag("div", one, class_="text", **language_and_direction(said, language)), class_="side")
                    for one, said, language in zip(marked, parts, (old["language"], new["language"]), strict=True)
                ],
                class_="sides",
            ),
            cut,
        )


def _same(old: str, new: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(old), len(new)))


def _shifts(difference: Difference) -> Html | None:
    if difference.shifts.is_empty():
        return None
    rows = [
        [score, language_name(language), f"{count:,}", number(old), number(new), f"{shift:+.4g}"]
        for score, language, count, old, new, shift in difference.shifts.select(
            "score", "language", "rows", "old", "new", "shift"
        ).rows()
    ]
    shown, more = cut(rows, 60, _WHERE)
    head = ["score", "language", "rows", "before", "after", "shift"]
    return joined(table("Means of scores that moved, of rows in both", head, shown, numbers=(2, 3, 4, 5)), more)
