"""Leads addresses of thresholds to their pages, and writes a threshold into the catalog: the change as a diff, then its
confirmation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from curate.catalog.edit import Edit, change_parameter
from curate.catalog.load import load_catalog
from curate.catalog.params import PerLanguage
from curate.engine.store.store import write_atomically
from curate.errors import ExportError
from curate.records.markup import Html, table, tag
from curate.steps import Registry
from outputs.view.labelling import Labels
from outputs.view.pages import page
from outputs.view.reading import ReadVersion
from outputs.view.server import NotFound, Request
from outputs.view.threshold_pages import Asked, moved, thresholds_page
from outputs.view.thresholds import Threshold, Untried, changed, untried
from outputs.view.what_if import WhatIf


def edit_of(
    read: ReadVersion, threshold: Threshold, value: float | None, language: str, catalog: Path, registry: Registry
) -> Edit:
    """The change of the catalog, from the value that it has now.

    Raises:
        CatalogError: the catalog cannot be loaded.
        EditError: where the value stands cannot be told.
        ExportError: the catalog has no such step now.
    """
    loaded = load_catalog(catalog, registry)
    dataset = loaded.datasets.get(read.version.name)
    found = [one for one in dataset.steps if one.label == threshold.label] if dataset is not None else []
    if not found or found[0].name != threshold.step.tag:
        raise ExportError(f"{catalog.name} has no step '{threshold.label}' in '{read.version.name}' now")
    given: Any = found[0].params.in_force(threshold.name)
    given = changed(given, value, language) if isinstance(given, PerLanguage) else value
    return change_parameter(catalog, read.version.name, threshold.label, threshold.name, given, language)


def digest(edit: Edit) -> str:
    """What stands for the file as it was when the change was shown."""
    return hashlib.sha256(edit.old.encode("utf-8", "surrogatepass")).hexdigest()


def write_page(read: ReadVersion, asked: Asked, edit: Edit) -> str:
    """The change, to be confirmed."""
    lines = [
        tag("span", line, class_={"+": "plus", "-": "minus"}.get(line[:1]) if line[:3] not in ("+++", "---") else None)
        for line in edit.diff.splitlines(keepends=True)
    ]
    confirm = tag(
        "form",
        tag("input", type="hidden", name="seen", value=digest(edit)),
        tag("button", f"Write {edit.file.name}", type="submit"),
        " ",
        tag("a", "Back", href=f"{read.base}/thresholds?{asked.address()}"),
        method="post",
        aria_label="Confirm the change",
        action=f"{read.base}/thresholds/write?{asked.address()}",
    )
    content = (
        [tag("pre", lines, class_="diff", tabindex="0", dir="ltr"), confirm]
        if edit.diff
        else tag("p", f"{edit.file.name} has this value already.")
    )
    return page(
        f"{read.version.name}: {asked.threshold.key}",
        tag("h2", f"Change of {edit.file}"),
        content,
        read=read,
        here="/thresholds",
    )


def write(edit: Edit, seen: str) -> None:
    """Writes the change, if the file is still as it was shown.

    Raises:
        ExportError: it is not, or cannot be written.
    """
    if digest(edit) != seen:
        raise ExportError(f"{edit.file} has changed since; look at the change again")
    target = edit.file.resolve()
    try:
        mode = target.stat().st_mode
        write_atomically(target, edit.new.encode("utf-8"))
        target.chmod(mode)
    except OSError as error:
        raise ExportError(f"{edit.file} cannot be written: {error.strerror or error}") from None


def written_page(read: ReadVersion, edit: Edit) -> str:
    """What to do after it."""
    said = tag(
        "p",
        f"{edit.file} is written. ",
        tag("code", f"curate build {read.version.name}"),
        " makes the version; no score is computed again.",
    )
    return page(f"{read.version.name}: written", said, read=read, here="/thresholds")


def untried_table(others: Sequence[Untried]) -> Html | None:
    """What else decides, and why it cannot be tried."""
    if not others:
        return None
    lines = [[f"{one.label}: {one.name}", one.value, one.why] for one in others]
    return tag(
        "details",
        tag(
            "summary", f"Cannot be tried here ({len(lines)}): change the catalog and build, no score is computed again"
        ),
        table("What else decides, and why it cannot be moved", ["parameter", "value", "why"], lines),
        id="untried",
    )


def answer(
    read: ReadVersion,
    labels: Labels,
    path: tuple[str, ...],
    request: Request,
    known: Sequence[Threshold],
    what_if: Callable[[Threshold], WhatIf],
    catalog: Path | None,
    registry: Registry,
) -> Html | str:
    """The answer to an address below ``thresholds``.

    Args:
        what_if: the scores of a threshold.

    Raises:
        NotFound: there is no such page.
    """
    others = untried_table(untried(read, registry, known))
    if not known:
        return thresholds_page(read, labels, known, None, None, catalog, others)
    asked = Asked(read, known, request.query)
    match path:
        case () if "part" in request.query:
            return moved(read, labels, asked, what_if(asked.threshold), catalog)
        case ():
            return thresholds_page(read, labels, known, asked, what_if(asked.threshold), catalog, others)
        case ("write",) if catalog is not None:
            edit = edit_of(read, asked.threshold, asked.value, asked.language, catalog, registry)
            if request.form is None:
                return write_page(read, asked, edit)
            write(edit, request.form.get("seen", ""))
            return written_page(read, edit)
    raise NotFound(f"there is no page '{'/'.join(path)}' of thresholds, or no catalog to write")
