"""Erasure: adds rows to the takedown list, rebuilds without them, and removes every other copy.

The list lies beside the catalog (:mod:`curate.catalog.forgotten`); building leaves out what is on it from the first
shard on
(:mod:`curate.engine.planning.erasure`). What was begun is noted in the store with all that was made of it, so that
an erasure that was
interrupted is carried on, whatever the store still shows then.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from curate.caches import empty_logs, settle
from curate.catalog import Catalog
from curate.catalog.forgotten import read_forgotten, remember_to_forget
from curate.catalog.suggestions import nearest
from curate.engine.build import build_datasets
from curate.engine.dataset import Built
from curate.engine.progress import Progress
from curate.engine.store.gc import discard
from curate.engine.store.integrity import read_sealed, seal
from curate.engine.store.lock import StoreLock, sweep
from curate.engine.store.remote.fetch import bring_all
from curate.engine.store.remote.session import session_of
from curate.engine.store.store import Store, write_atomically
from curate.erase import places
from curate.erase.descent import Descent
from curate.erase.places import Gone
from curate.erase.select import all_quarantined, files, find_lines, find_rows
from curate.errors import BuildError, DamagedError, StoreError
from curate.steps import Registry

_LOG = logging.getLogger("curate.engine")


@dataclass
class Erasure:
    """What came of it."""

    rows: int
    """Rows and lines named by this call."""
    added: int
    """Lines that the list beside the catalog did not have yet."""
    datasets: tuple[str, ...]
    """Datasets of the catalog that stood on such rows: they were built again, or are to be."""
    built: list[Built] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    """``name@version`` → rows: versions that still hold such rows; 0 where files are damaged, so that it cannot be
    known."""
    removed: list[str] = field(default_factory=list)
    """Versions, exports, reports and review sheets that were removed."""
    answers: int = 0
    """Cached answers of models that were removed,"""
    vectors: int = 0
    """and cached vectors of texts."""
    copies: list[str] = field(default_factory=list)
    """Exports, reports and review sheets that still hold such rows."""
    published: list[str] = field(default_factory=list)
    """Where versions that held such rows were published; what lies there cannot be reached."""
    recordings: list[str] = field(default_factory=list)
    """Recordings of the catalog's models that repeat texts of such rows; they are not changed."""
    old_objects: str = ""
    """The store's URL where its bucket keeps old versions of objects, which cannot be reached."""
    unreadable: tuple[Path, ...] = ()
    """Damaged files: of rows that only they hold it is not known what was made of what."""


def forget(
    catalog: Catalog,
    registry: Registry,
    name: str | None = None,
    *,
    rows: Sequence[str] = (),
    sources: Sequence[str] = (),
    lines: Sequence[str] = (),
    where: str | None = None,
    origins: bool = False,
    reason: str = "",
    rebuild: bool = True,
    purge: bool = False,
    progress: Progress | None = None,
    wait: float = 0.0,
) -> Erasure:
    """Takes rows out of all datasets; see :func:`curate.forget`."""
    for source in sources:
        if source not in catalog.sources:
            raise BuildError(
                f"no source is called '{source}'{nearest(source, catalog.sources)} (known: "
                f"{', '.join(catalog.sources)})"
            )
    if where is not None and name is None:
        raise BuildError("a condition needs a dataset: curate forget NAME --where '…'")
    store = Store(catalog.store).open()
    with StoreLock(store.root, wait=wait):
        store.sweep()
        settle(store.root / "cache")
        empty_logs(store.root / "cache")
        lost = bring_all(store.root, "*.parquet")
        begun = _begun(store)
        bad = all_quarantined(files(store, "bad.parquet", "quarantined/*.parquet"))
        named = dict.fromkeys(rows, "")
        if lines:
            named |= find_lines(bad, lines)
        if where is not None:
            dataset, _, ref = str(name).partition("@")
            named |= find_rows(store, dataset, store.resolve(dataset, ref or "latest"), where)
        goes_on = begun is not None or (purge and where is None and bool(catalog.forgotten))
        if not named and not sources and not goes_on:
            raise BuildError("nothing to forget: name rows, lines, sources, or a condition that holds for some rows")
        tree = Descent.of(store)
        if unknown := sorted(set(rows) - tree.ids - set(bad["id"])):
            raise StoreError(
                f"no row of this store is called {unknown[0]}"
                + (f" (nor {len(unknown) - 1} more)" if len(unknown) > 1 else "")
                + "; ids are those of the column 'id' or among lineage.parents"
            )
        every = tree.above(named) if origins else frozenset(named)
        added = remember_to_forget(
            catalog.file.parent,
            rows={one: named.get(one) or tree.source(one) for one in every},
            sources=sources,
            reason=reason,
        )
        listed, _ = read_forgotten(catalog.file.parent)
        roots = frozenset({*listed.rows, *tree.of_sources([*listed.sources])})
        gone = Gone(roots, listed.sources, tree.below(roots)) | (begun or Gone())
        lies = places.versions_with(store, gone)
        held = sorted({*lies, *_held(store)})
        write_atomically(
            _note(store), seal({**{name: sorted(one) for name, one in asdict(gone).items()}, "versions": held})
        )
        erasure = Erasure(
            len(every), added, _standing_on(store, catalog, lies, gone), unreadable=(*tree.unreadable, *lost)
        )
        # The texts first: they are known only as long as the rows are there.
        texts = places.texts_of(store, gone)
        erasure.recordings = places.recordings_with(catalog, texts)
        if rebuild and erasure.datasets:
            erasure.built = build_datasets(
                catalog.changed(forgotten=listed), registry, erasure.datasets, progress=progress
            )
        if purge:
            _purge(store, catalog, gone, held, erasure, texts, rebuilt=rebuild)
            sweep(store.root, erased=True)
            session = session_of(store.root)
            if session is not None and session.versioned:
                erasure.old_objects = store.place
        erasure.versions = _still_with(store, gone, {f"{one.dataset}@{one.version}" for one in erasure.built})
        erasure.copies += [] if purge else places.copies_of(store, held)
        erasure.published = places.publications_of(store, held)
        if purge and not erasure.versions:
            _note(store).unlink(missing_ok=True)
    return erasure


def _still_with(store: Store, gone: Gone, built: set[str]) -> dict[str, int]:
    """The versions that still hold such rows."""
    found = places.versions_with(store, gone)
    if built & found.keys():
        # What was built without them was made of nothing of theirs, even where it is as before: a row beside which
        # such a text stood stays, with another one.
        sure = places.versions_with(store, Gone(gone.rows, gone.sources))
        found = {name: count for name, count in found.items() if name not in built or name in sure}
    return found


def _purge(
    store: Store, catalog: Catalog, gone: Gone, held: Sequence[str], erasure: Erasure, texts: set[str], *, rebuilt: bool
) -> None:
    erasure.answers, erasure.vectors = places.forget_cached(store, texts)
    erasure.removed = places.remove_versions(store, catalog, places.versions_with(store, gone))
    places.remove_leftovers(store)
    if rebuilt:  # what is left is of datasets that are not in the catalog
        used = {result for one in erasure.built for result in one.results}
        for one in places.results_with(store, gone).keys() - used:
            discard(store.root / "work" / one)
    removed, erasure.copies = places.remove_copies(store, held)
    erasure.removed += removed


def _standing_on(store: Store, catalog: Catalog, lies: dict[str, int], gone: Gone) -> tuple[str, ...]:
    """The datasets of the catalog whose latest version holds such rows, or that was made by results that do."""
    results = places.results_with(store, gone)
    found = []
    for name in catalog.datasets:
        latest = store.refs(name).get("latest", {}).get("version")
        used = store.state(name).get("used") or []
        if f"{name}@{latest}" in lies or not results.keys().isdisjoint(used):
            found.append(name)
    return tuple(found)


def _note(store: Store) -> Path:
    return store.root / "erasure.json"


def _noted(store: Store) -> dict[str, Any]:
    try:
        return read_sealed(_note(store)) or {}
    except DamagedError as error:
        _LOG.warning(
            f"{error.path} is damaged: an erasure that was begun is carried on by the list beside the catalog alone"
        )
        return {}


def _begun(store: Store) -> Gone | None:
    """An erasure that was not carried to its end."""
    noted = _noted(store)
    return Gone(*(frozenset(noted.get(one.name, ())) for one in fields(Gone))) if noted else None


def _held(store: Store) -> list[str]:
    """The versions that held such rows when it was begun."""
    return list(_noted(store).get("versions", ()))


__all__ = ["Erasure", "forget"]
