"""Publishing: makes a target have exactly one version, after a licence check, with all changes applied atomically where
possible.

The version in the store is authoritative. Files that are already there, byte for byte, are not sent; if nothing
differs, nothing happens. Every publication is recorded in the store (``publish/<dataset>/*.json``), with the reason if
a licence check was overridden.
"""

from __future__ import annotations

import difflib
import logging
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from curate._version import __version__
from curate.engine.store.integrity import read_sealed, seal
from curate.engine.store.lock import changing
from curate.engine.store.store import Store, write_atomically
from curate.errors import CurateError, PublishError, StoreError
from curate.redact import Redactor, secrets_of_environment, secrets_of_url
from curate.steps.outputs import Version
from outputs.card import card as cards
from outputs.card.header import check
from outputs.licensing.gate import Verdict, judge, lines, refusal
from outputs.licensing.licenses import LicenseDatabase, load_licenses
from outputs.publishing.layout import Item, Layout, files, plan_layout
from outputs.publishing.targets import (
    MANIFEST,
    README,
    Change,
    Conflict,
    PublishTarget,
    State,
    UnknownState,
    compare,
    in_the_way,
    target_address,
)

_LOG = logging.getLogger("curate.engine")
_TRIES = 6
_KEPT = (
    "format",
    "dataset",
    "description",
    "version",
    "kind",
    "created_at",
    "rows",
    "languages",
    "licenses",
    "rejected",
    "quarantined",
    "recipe",
    "sources",
    "models",
    "funnel",
    "representation",
    "audits",
    "alarms",
    "warnings",
    "software",
)


@dataclass(frozen=True)
class Publication:
    """What publishing did, or would do."""

    dataset: str
    version: str
    to: str
    """The target, without secrets."""
    form: str
    """``hub``, ``folder`` or ``url``."""
    changes: tuple[Change, ...]
    """File by file, in the order of their names."""
    card_diff: str
    """The diff of the existing card; empty if it does not change."""
    license: str
    """The combined licence, as an SPDX expression."""
    override: str
    """The reason given for publishing against the licences; empty if none was needed."""
    notes: tuple[str, ...]
    dry_run: bool
    fresh: bool
    """Whether anything was (or would be) changed."""
    commit: str = ""
    tag: str = ""
    private: bool | None = None

    def count(self, action: str) -> int:
        """How many files are added, changed, unchanged (``same``) or removed."""
        return sum(change.action == action for change in self.changes)


def publish(
    store: Store,
    name: str,
    to: str | PublishTarget,
    *,
    private: bool | None = None,
    dry_run: bool = False,
    override: str = "",
    per_language: bool | None = None,
    replace_others: bool = False,
    token_env: str | None = None,
    licenses: Sequence[Path] = (),
    deadline: float = 600.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Publication:
    """Publishes a finished version.

    Args:
        name: ``name`` or ``name@ref``.
        to: ``org/name`` on the Hub, a folder or a URL; see :func:`outputs.publishing.open_target.open_target`.
        private: visibility on the Hub. Default: private for a new repository, unchanged for an existing one.
        dry_run: only report what would happen.
        override: why to publish although the licences do not permit it.
        per_language: a configuration for each language. Default: if there are several.
        replace_others: overwrite files that curate did not write, including a manually edited card.
        token_env: the *name* of the environment variable with the Hub's token.
        licenses: further licence lists, see :mod:`outputs.licensing.licenses`.
        deadline: total seconds to wait while the Hub is busy.
        tell: receives progress messages.

    Raises:
        PublishError: its licences do not permit it, foreign files are in the way, or the target cannot be reached or
            written.
        StoreError: there is no such version.
    """
    with _without_secrets(to if isinstance(to, str) else to.address):
        return _publish(
            store,
            name,
            to,
            private,
            dry_run,
            override,
            per_language,
            replace_others,
            token_env,
            licenses,
            deadline,
            tell,
        )


def _publish(
    store: Store,
    name: str,
    to: str | PublishTarget,
    private: bool | None,
    dry_run: bool,
    override: str,
    per_language: bool | None,
    replace_others: bool,
    token_env: str | None,
    licenses: Sequence[Path],
    deadline: float,
    tell: Callable[[str], None],
) -> Publication:
    from outputs.publishing.hub import Hub
    from outputs.publishing.open_target import open_target

    place = (
        to
        if isinstance(to, PublishTarget)
        else open_target(to, private=private, token_env=token_env, deadline=deadline)
    )
    if isinstance(place, Hub):
        place.tell = tell
    version = cards.about(store, name)
    book = load_licenses(*licenses)
    verdict = judge(version, book)
    reason = " ".join(override.split())
    if override and not reason:
        raise PublishError("--override-license needs a reason")
    if verdict.problems and not reason:
        raise refusal(name, verdict, book)
    notes = (
        []
        if verdict.problems or not reason
        else ["the licences permit publishing: the reason was not needed and is not recorded"]
    )
    reason = reason if verdict.problems else ""
    layout = plan_layout(version, per_language)
    with _staging(store) as folder:
        items = _items(version, layout, verdict, place, reason, book, folder)
        wrong = check(items[-1].read().decode(), book)
        if wrong:
            raise PublishError("the Hub would reject the card: " + "; ".join(wrong))
        result = _settle(place, items, layout, version, dry_run=dry_run, replace_others=replace_others, tell=tell)
    state, changes, commit, more = result
    tag = f"v-{version.version}"
    tagged = not dry_run and place.tag(tag, commit, state)
    if not dry_run:
        more = [*more, *place.settle(state)]
    done = Publication(
        version.name,
        version.version,
        place.address,
        place.form,
        tuple(changes),
        _diff(state.card, items[-1].read().decode()),
        verdict.joined.expression,
        reason,
        (*notes, *more),
        dry_run,
        any(change.action != "same" for change in changes),
        commit,
        tag if tagged or (dry_run and place.form == "hub") else "",
        (private if private is not None else True if not state.exists else state.private)
        if place.form == "hub"
        else None,
    )
    if not dry_run and (done.fresh or more or (tagged and tag not in state.tags)):
        _record(store, done, verdict, items)
        try:
            with changing(store.root):
                pass  # a store behind a URL gets the record
        except StoreError as error:
            _LOG.warning(f"{done.to} is published; its record is only on this machine so far: {error}")
    return done


def _settle(
    place: PublishTarget,
    items: Sequence[Item],
    layout: Layout,
    version: Version,
    *,
    dry_run: bool,
    replace_others: bool,
    tell: Callable[[str], None],
) -> tuple[State, list[Change], str, list[str]]:
    """Reads, compares and changes until the target is up to date: (initial state, changes, commit, notes)."""
    patterns = [config.pattern(split) for config in layout.configs for split in config.splits]
    first = state = place.state()
    changes = compare(items, state)
    notes: list[str] = []
    for number in range(_TRIES):
        now = compare(items, state)
        if all(change.action == "same" for change in now):
            return first, changes, state.head or "", notes
        others = in_the_way(items, patterns, state)
        if others and not replace_others:
            if not dry_run:
                raise PublishError(
                    f"{place.address} has files that curate did not write and that would be lost: "
                    f"{'; '.join(others[:10])}; check with --dry-run, and use --replace to overwrite them"
                )
            notes = [f"{other}; --replace would be needed" for other in others]
        if dry_run:
            return first, changes, "", notes
        remove = [change.path for change in now if change.action == "remove"]
        extra = [
            path
            for path in state.files
            if replace_others and f"{path} would be read as data and was not put there by curate" in others
        ]
        try:
            commit = place.apply(items, [*remove, *extra], state, _message(version, now))
            return first, changes, commit, notes
        except Conflict:
            tell(f"{place.address}: another commit was made in the meantime; comparing again")
            again = place.state()
            theirs = again.files.get(MANIFEST)
            mine = theirs is not None and any(item.path == MANIFEST and theirs.same(item) for item in items)
            if again.version and again.manifest != first.manifest and not mine:
                raise PublishError(
                    f"{place.address}: somebody else published version {again.version} in the meantime; check it, "
                    "and publish again to replace it"
                ) from None
            state = again
        except UnknownState as lost:
            tell(f"{place.address}: {lost}; checking whether the change was made")
            time.sleep(min(30, 2**number))
            state = place.state()
    raise PublishError(
        f"{place.address} keeps changing; {_TRIES} attempts failed. Publish again later: uploaded files are kept"
    )


def _wanted(items: Sequence[Item]) -> str:
    return next(item.sha256 for item in items if item.path == MANIFEST)


def _message(version: Version, changes: Sequence[Change]) -> str:
    counts = {action: sum(change.action == action for change in changes) for action in ("add", "change", "remove")}
    return (
        f"{version.name} {version.version}: {version.manifest['rows']:,} rows\n"
        f"{counts['add']} files added, {counts['change']} changed, {counts['remove']} removed; published with curate "
        f"{__version__}"
    )


# ---------------------------------------------------------------------------------------------------------------- files
def _items(
    version: Version,
    layout: Layout,
    verdict: Verdict,
    place: PublishTarget,
    override: str,
    book: LicenseDatabase,
    folder: Path,
) -> list[Item]:
    """All files: data, manifest, and the card last."""
    data = files(version, layout, folder)
    text = cards.card(
        version, layout=layout, verdict=verdict, place=target_address(place), override=override, book=book
    )
    readme = Item.of(README, _clean(text).encode())
    about = {key: version.manifest[key] for key in _KEPT if key in version.manifest}
    about["splits"] = {
        split: {key: one[key] for key in ("rows", "languages")} for split, one in version.manifest["splits"].items()
    }
    about["publication"] = {
        "configs": [
            {
                "name": config.name,
                "splits": {split: config.pattern(split) for split in config.splits},
                "rows": config.rows,
            }
            for config in layout.configs
        ],
        "license": verdict.joined.expression,
        "override": {"reason": override, "against": lines(verdict)} if override else None,
        "files": [
            {"path": item.path, "bytes": item.size, "sha256": item.sha256, "rows": item.rows}
            for item in [*data, readme]
        ],
    }
    manifest = _clean(orjson.dumps(about, option=orjson.OPT_INDENT_2).decode())
    return [*data, Item.of(MANIFEST, manifest.encode()), readme]


def _clean(text: str) -> str:
    """Removes tokens and the home folder of this machine."""
    text = Redactor(_secrets(), sure=True)(text)
    home = str(Path.home())
    return text.replace(f"{home}/", "~/") if len(home) > 4 else text


def _secrets() -> list[str]:
    """The known credentials of this machine."""
    from huggingface_hub import get_token

    return [*secrets_of_environment(), *([token] if (token := get_token()) else [])]


@contextmanager
def _without_secrets(to: str) -> Iterator[None]:
    """Removes credentials from error messages, which may repeat them."""
    try:
        yield
    except CurateError as error:
        error.args = (Redactor([*_secrets(), *secrets_of_url(to)], sure=True)(str(error)),)
        raise


@contextmanager
def _staging(store: Store) -> Iterator[Path]:
    """A temporary folder for files to send; leftovers of killed publications are deleted."""
    root = store.root / "publish"
    root.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname()
    for left in root.glob(".tmp-*"):
        _, _, rest = left.name.partition(f".tmp-{host}-")
        if rest and not _alive(rest.partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = root / f".tmp-{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _alive(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:
        return True
    return True


def _diff(old: str, new: str) -> str:
    return "\n".join(
        difflib.unified_diff(old.splitlines(), new.splitlines(), "README.md (there)", "README.md (new)", lineterm="")
    )


# -------------------------------------------------------------------------------------------------------------- records
def _record(store: Store, done: Publication, verdict: Verdict, items: Sequence[Item]) -> None:
    now = datetime.now(UTC)
    about: dict[str, Any] = {
        "dataset": done.dataset,
        "version": done.version,
        "to": done.to,
        "form": done.form,
        "at": now.isoformat(timespec="seconds"),
        "commit": done.commit,
        "tag": done.tag,
        "private": done.private,
        "manifest": _wanted(items),
        "bytes": sum(item.size for item in items),
        "files": {action: done.count(action) for action in ("add", "change", "same", "remove")},
        "license": done.license,
        "override": {"reason": done.override, "against": lines(verdict)} if done.override else None,
        "notes": list(done.notes),
        "curate": __version__,
    }
    name = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}.json"
    data = _clean(orjson.dumps(about, option=orjson.OPT_INDENT_2).decode())
    write_atomically(store.root / "publish" / done.dataset / name, seal(orjson.loads(data)))


def records(store: Store, dataset: str | None = None) -> list[Mapping[str, Any]]:
    """Records of publications, oldest first.

    Args:
        dataset: only this dataset.

    Raises:
        DamagedError: a record was altered.
    """
    folder = store.root / "publish"
    entries = [read_sealed(path) for path in folder.glob(f"{dataset or '*'}/[!.]*.json")]
    return sorted((one for one in entries if one), key=lambda one: (one["at"], one["dataset"]))


__all__ = ["Publication", "publish", "records"]
