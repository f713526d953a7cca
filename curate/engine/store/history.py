"""Names of versions, and the version history of a dataset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from curate.engine.store.diff import made_at, recipe_difference
from curate.engine.store.lock import changing
from curate.engine.store.store import Store
from curate.errors import StoreError

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_HEXADECIMAL = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True)
class LogEntry:
    """One version in the story of a dataset."""

    version: str
    created_at: str
    rows: int
    rejected: int
    refs: tuple[str, ...]
    changes: tuple[str, ...]
    """What differs in its recipe from the version before it."""
    damage: str = ""
    """Why nothing else is known of it."""


def tag_version(store: Store, name: str, tag: str, *, note: str = "", move: bool = False) -> str:
    """Names a version; a tagged version is kept by ``gc``.

    Args:
        name: ``name`` (its latest) or ``name@ref``.
        move: whether a tag that names another version may be moved.

    Returns:
        The version.

    Raises:
        StoreError: the name cannot be a tag, or names another version.
    """
    with changing(store.root):
        return _tag_version(store, name, tag, note, move)


def _tag_version(store: Store, name: str, tag: str, note: str, move: bool) -> str:
    dataset, _, ref = name.partition("@")
    version = store.resolve(dataset, ref or "latest")
    if not _TAG.fullmatch(tag) or tag == "latest" or _HEXADECIMAL.fullmatch(tag):
        raise StoreError(
            f"'{tag}' cannot be a tag: a letter first, then letters, digits, '.', '_' or '-', at most 64; not "
            "'latest', and not "
            "what could be the beginning of a version"
        )
    known = store.refs(dataset).get(tag)
    if known is not None and known["version"] != version and not move:
        raise StoreError(f"'{tag}' names {dataset}@{known['version']} already; write --move to let it name {version}")
    about: dict[str, Any] = {"version": version, "tagged_at": datetime.now(UTC).isoformat(timespec="seconds")}
    store.set_ref(dataset, tag, {**about, **({"note": note} if note else {})})
    return version


def remove_tag(store: Store, name: str, tag: str) -> None:
    """Takes a tag away; the version stays.

    Raises:
        StoreError: there is no such tag, or it is no tag but the record of a build.
    """
    with changing(store.root):
        found = store.refs(name).get(tag)
        if found is None or "tagged_at" not in found:
            known = ", ".join(ref for ref, about in store.refs(name).items() if "tagged_at" in about) or "none"
            raise StoreError(f"'{name}' has no tag '{tag}' (tags: {known})")
        (store.dataset(name) / "refs" / f"{tag}.json").unlink()


def version_log(store: Store, name: str) -> list[LogEntry]:
    """All versions of a dataset, the newest first.

    Raises:
        StoreError: it has not been built.
    """
    store.resolve(name)
    refs: dict[str, list[str]] = {}
    for ref, about in store.refs(name).items():
        refs.setdefault(str(about["version"]), []).append(ref)
    sound, damaged = store.manifests(name)
    order = sorted(sound, key=lambda version: made_at(store, name, version))
    manifests = [sound[version] for version in order]
    entries = [
        LogEntry(version, "", 0, 0, tuple(sorted(refs.get(version, ()))), (), str(error))
        for version, error in sorted(damaged.items())
    ]
    for number, one in enumerate(manifests):
        changes = recipe_difference(manifests[number - 1], one) if number else []
        entries.append(
            LogEntry(
                one["version"],
                one["created_at"],
                one["rows"],
                one["rejected"],
                tuple(sorted(refs.get(one["version"], ()))),
                tuple(changes),
            )
        )
    return entries[::-1]
