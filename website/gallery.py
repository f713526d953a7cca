"""The gallery of recipes and the table of papers, out of ``recipes/``: they follow ``docs/recipes.md`` on its page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from curate.api.recipes import Recipe, recipes

_LINK = re.compile(r"\]\(\.\./([\w-]+)/README\.md\)")
_DOCS = re.compile(r"\]\(\.\./\.\./docs/")
"""A page of the documentation, as a recipe's README links to it."""
_COMMENT = re.compile(r"<!-- rows:.*?-->\n\n")


PLACE = "<!-- list of recipes -->"
"""Where the page has the overview."""


def overview() -> str:
    """A line for each recipe, which leads to its entry."""
    rows = [f"| [`{one.id}`](#{one.id}) | {one.head.line} | {one.head.needs} |" for one in recipes()]
    return "\n".join(["| recipe | builds | needs |", "|---|---|---|", *rows])


def text() -> str:
    """An entry for each recipe, and the papers."""
    every = recipes()
    return (
        "\n\n".join(["## Gallery", *(part for one in every for part in _entry(one)), "## Papers", _papers(every)])
        + "\n"
    )


def _entry(recipe: Recipe) -> Iterator[str]:
    head = recipe.head
    yield f"### {recipe.id}"
    yield f"{head.line}. Kinds: {', '.join(f'`{kind}`' for kind in head.kinds)}. Needs: {head.needs}."
    yield "```text\n" + "\n".join(_ways(yaml.safe_load(recipe.catalog))) + "\n```"
    body = recipe.text.partition("\n")[2].strip()
    yield _DOCS.sub("](", _LINK.sub(r"](#\1)", _COMMENT.sub("", body)))
    yield f"Papers: {'; '.join(f'*{title}*' for title in head.papers)}."
    yield f"```text\ncurate new {recipe.id}\n```"


def _ways(catalog: Mapping[str, Any]) -> Iterator[str]:
    """What each dataset's rows go through: ``english → duplicates → code_switch → switched``."""
    for name, dataset in catalog["datasets"].items():
        origin = dataset["from"]
        steps = [step if isinstance(step, str) else next(iter(step)) for step in dataset.get("steps", ())]
        yield " → ".join([" + ".join([origin] if isinstance(origin, str) else origin), *steps, name])


def _papers(every: list[Recipe]) -> str:
    found = sorted({(title, one.id) for one in every for title in one.head.papers})
    rows = [f"| {title} | [`{name}`](#{name}) | `curate recipes --verify {name}` |" for title, name in found]
    return "\n".join(["| paper | recipe | test |", "|---|---|---|", *rows])
