"""The section on who is in the dataset, before and after its filters, and how much is in the language asked for."""

from __future__ import annotations

from collections.abc import Mapping

from curate.engine.representation import (
    NOT_RECORDED,
    UNASSESSED,
    cells,
    columns,
    language_facts,
    representation_of,
)
from curate.records.markup import Html, table, tag
from curate.steps.outputs import Version
from outputs.report.sections import MOST, cut, language_cell, section


def representation(version: Version, names: Mapping[str, str]) -> Html:
    """Languages with their rows, shares and adherence; scripts, sources and models that lose more than all."""
    found = representation_of(version.manifest)
    if found is None:
        return section("representation", "Representation", tag("p", f"{NOT_RECORDED[:1].upper()}{NOT_RECORDED[1:]}."))
    whole, late, head = found.all(), found.behind(), columns(found)
    rows = [
        [language_cell(one.name, names), *language_facts(one.name), *cells(one, whole)] for one in found.languages()
    ]
    shown, more = cut(rows)
    unassessed = tag("p", f"In the language asked for: {UNASSESSED.replace('`', '')}.")
    return section(
        "representation",
        "Representation",
        None if whole.before.assessed else unassessed,
        table(
            f"Rows of each language, {found.taken} and kept, those that fall behind first; region and speakers by CLDR",
            ["language", "script", "region", "speakers", *head],
            shown,
            numbers=range(3, 4 + len(head)),
            foot=["all", "", "", "", *cells(whole, whole)],
        ),
        more,
        table(
            "These fall behind: fewer of their rows are kept, or in the language asked for, than of all",
            ["", "by", *head],
            [[one.name, by, *cells(one, whole)] for by, one in late[:MOST]],
            numbers=range(2, 2 + len(head)),
        )
        if late
        else None,
    )
