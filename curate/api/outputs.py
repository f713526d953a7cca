"""What is made of a version: exports, cards, reports, publications."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from curate.catalog import Catalog
from curate.catalog.suggestions import nearest
from curate.engine.store.copies import note_copy
from curate.engine.store.store import Store
from curate.steps import Registry

if TYPE_CHECKING:
    from outputs.export import Exported
    from outputs.publishing.publish import Publication
    from outputs.report import Reported

from curate.api.datasets import as_catalog
from curate.api.store import open_store


def publish(
    name: str,
    to: str,
    *,
    private: bool | None = None,
    dry_run: bool = False,
    override: str = "",
    per_language: bool | None = None,
    replace_others: bool = False,
    token_env: str | None = None,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
) -> Publication:
    """Publishes a finished version: its files, a card, a tag; at one stroke, and only what is not there yet.

    Args:
        name: ``name`` or ``name@ref``.
        to: ``org/name`` on the Hub, a folder or an fsspec URL.
        private: who may read it on the Hub; a new repository is private unless said.
        dry_run: only work out what would happen.
        override: why it may be published although its licences stand against it; told in the card.
        per_language: a configuration for each language; unless said, where there are several.
        replace_others: take the place of what somebody else put there, a card edited by hand included.
        token_env: the *name* of the environment variable with the Hub's token.

    Raises:
        PublishError: its licences stand against it, something is in the way, or the place cannot be reached or written.
        StoreError: there is no such version.
    """
    from outputs.publishing.publish import publish as go

    return go(
        open_store(store, catalog),
        name,
        to,
        private=private,
        dry_run=dry_run,
        override=override,
        per_language=per_language,
        replace_others=replace_others,
        token_env=token_env,
    )


def card(name: str, *, store: str | Path | Store | None = None, catalog: Catalog | str | Path = "catalog.yaml") -> str:
    """The dataset card of a finished version, computed from its manifest: Markdown with a YAML header.

    Raises:
        StoreError: there is no such version.
    """
    from outputs.card.card import about
    from outputs.card.card import card as make

    return make(about(open_store(store, catalog), name))


def export(
    name: str,
    *outputs: str,
    to: str | Path = "exports",
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
    by: Literal["language"] | None = None,
    force: bool = False,
    registry: Registry | None = None,
) -> list[Exported]:
    """Writes a finished version in the forms that trainers read, each with the trainer's configuration.

    Args:
        name: ``name`` or ``name@ref``.
        outputs: names of outputs (``trl``, ``llama-factory`` …) or labels of the dataset's ``outputs:``; those
            unless given.
        to: the folder; the export of an output is in ``to/<dataset>/<output>``.
        by: ``language`` makes an export of each language, in ``to/<dataset>/<language>/<output>``. The rows are first
            divided below ``to``, in one pass, and removed from there afterwards.
        force: replace an export that is there already.

    Raises:
        ExportError: an output is unknown or not for this kind of rows, or a folder is in the way. With ``by``, the
            languages that can be written are written before it is raised.
        StoreError: there is no such version.
    """
    from curate.catalog import Mark, StepUse
    from curate.errors import ExportError
    from outputs.export import check, open_version
    from outputs.export import export as write
    from outputs.publishing.layout import by_language

    registry = registry or Registry.installed()
    loaded = as_catalog(catalog, registry) if isinstance(catalog, Catalog) or Path(catalog).exists() else None
    opened = open_store(store, loaded or catalog)
    version = open_version(opened, name)
    dataset = loaded.datasets.get(version.name) if loaded else None
    listed = {use.label: use for use in (dataset.outputs if dataset else ())}
    known = [*listed, *(one for one in registry.names("output") if one not in listed)]
    if not outputs and not listed:
        raise ExportError(f"dataset '{version.name}' lists no outputs: name some ({', '.join(known)})")
    uses = []
    for one in outputs or listed:
        if one not in known:
            raise ExportError(f"no output is called '{one}'{nearest(one, known)} (known: {', '.join(known)})")
        uses.append(listed.get(one) or StepUse(one, one, registry.get("output", one)(), Mark("command line", 1)))
    below = Path(to) / version.name
    written: list[Exported] = []
    problems: list[str] = []
    if by is None:
        written = write(version, uses, below, force=force)
    else:
        wrong = {one: check(version, uses, below / one, force=force) for one in version.manifest["languages"]}
        problems = [f"{language}: {problem}" for language, found in wrong.items() for problem in found]
        languages = [language for language, found in wrong.items() if not found]
        below.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".tmp-", dir=below) as rows:
            for language, part in zip(languages, by_language(version, languages, Path(rows)), strict=True):
                try:
                    written += write(part, uses, below / language, force=force)
                except ExportError as error:
                    problems.append(f"{language}: {error}")
    for exported in written:
        note_copy(opened, version.name, version.version, exported.folder)
    if problems:
        raise ExportError("\n".join(problems))
    return written


def report(
    name: str,
    to: str | Path | None = None,
    *,
    rows: Sequence[str] = (),
    sample: int = 300,
    seed: int = 0,
    store: str | Path | Store | None = None,
    catalog: Catalog | str | Path = "catalog.yaml",
) -> Reported:
    """Writes one self-contained HTML file about a finished version: funnel, thresholds, duplicates, judges, rows
    kept and dropped.

    Args:
        name: ``name`` or ``name@ref``.
        to: the file; ``<name>.html`` here unless given.
        rows: ids of rows that must be among the sampled ones.
        sample: how many kept and dropped rows to show, about.

    Raises:
        StoreError: there is no such version.
        ExportError: a row is not there, or the file cannot be written.
    """
    from outputs.report import report as write

    opened = open_store(store, catalog)
    written = write(opened, name, Path(to) if to else None, rows=rows, sample=sample, seed=seed)
    note_copy(opened, written.dataset, written.version, written.path)
    return written
