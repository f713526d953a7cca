"""Publishes to any file system of fsspec, file by file, the manifest and the card last; a journal records the progress.

Such stores have no renames and no digests: the state is known from the last manifest and from the journal of an
interrupted upload, as long as the sizes agree. The journal also records the files of the previous version, whose
manifest may be gone already. While the journal exists, the folder is between two versions.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import orjson

from curate.errors import PublishError
from outputs.publishing.layout import Item
from outputs.publishing.targets import MANIFEST, README, PublishTarget, RemoteFile, State, read_manifest, shown

JOURNAL = ".publishing.json"
# Stores without folders: creating the first part of a path there would create a bucket, which a typo must not do.
_FLAT = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "cos", "obs", "tos"))


# The journal is rewritten after this much: the most that a kill can lose.
_NOTED_FILES = 16
_NOTED_BYTES = 64 * 1024 * 1024
_HINTS: Mapping[type[BaseException], str] = {
    NotImplementedError: "; files of this file system cannot be written and deleted: publish to a folder, and copy it "
    "by other means",
    PermissionError: "; its credentials do not permit it",
    FileNotFoundError: "; does the bucket (share, host) exist? curate creates none",
}


class Remote(PublishTarget):
    """A folder of an fsspec file system."""

    form: ClassVar[Literal["hub", "folder", "url"]] = "url"

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(shown(url))
        import fsspec  # type: ignore[import-untyped]

        try:
            self.system, root = fsspec.core.url_to_fs(url, **(options or {}))
        except ImportError as error:
            raise PublishError(f"{self.address}: {error}") from None
        except Exception as error:  # noqa: BLE001 - each file system raises its own
            raise self._failed("cannot be reached", error) from None
        self.root = str(root).rstrip("/")
        self._unfinished = False
        if not self.root.strip("/"):
            raise PublishError(f"{self.address} has no folder; write one: {self.address}/name")

    def _failed(self, what: str, error: BaseException) -> PublishError:
        # Only the type of error: messages of such libraries may repeat addresses with credentials.
        number = getattr(error, "errno", None)
        hint = next((text for kind, text in _HINTS.items() if isinstance(error, kind)), "")
        return PublishError(f"{self.address} {what}: {type(error).__name__}{f' ({number})' if number else ''}{hint}")

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}"

    def _read(self, path: str) -> bytes:
        try:
            data = self.system.cat_file(self._at(path))
        except FileNotFoundError:
            return b""
        return bytes(data)

    def state(self) -> State:
        try:
            self.system.invalidate_cache()
            listed = self.system.find(self.root, detail=True) if self.system.exists(self.root) else {}
            if not listed:
                return State(exists=False)
            sizes = {
                str(name)[len(self.root) :].lstrip("/")
                if str(name).startswith(self.root)
                else str(name).lstrip("/")[len(self.root.lstrip("/")) :].lstrip("/"): int(about.get("size") or 0)
                for name, about in listed.items()
            }
            manifest = read_manifest(self._read(MANIFEST)) if MANIFEST in sizes else {}
            card = self._read(README) if README in sizes else b""
            journal = self._journal() if JOURNAL in sizes else None
            self._unfinished = JOURNAL in sizes
        except PublishError:
            raise
        except Exception as error:  # noqa: BLE001 - each file system raises its own
            raise self._failed("cannot be read", error) from None
        # Files that the journal does not confirm may be incomplete.
        done, cut_off = journal or (State(manifest=manifest).ours, {})
        digests = {path: digest for path, digest in done.items() if path in sizes}
        files = {path: RemoteFile(size, digests.get(path)) for path, size in sizes.items() if path != JOURNAL}
        if README in files:
            files[README] = RemoteFile(len(card), hashlib.sha256(card).hexdigest())
        if MANIFEST in files and manifest:
            files[MANIFEST] = RemoteFile(files[MANIFEST].size, hashlib.sha256(self._read(MANIFEST)).hexdigest())
        return State(files, card=card.decode("utf-8", "replace"), manifest=manifest, cut_off=cut_off)

    def _journal(self) -> tuple[dict[str, str], dict[str, list[str]]]:
        """(completed files, path → digests of previous and intended files); both empty if the journal is broken."""
        try:
            content = orjson.loads(self._read(JOURNAL))
        except orjson.JSONDecodeError:
            content = None
        entries = content if isinstance(content, dict) else {}
        done, files = (part if isinstance(part := entries.get(name), dict) else {} for name in ("done", "files"))
        return (
            {str(path): str(digest) for path, digest in done.items()},
            {str(path): [str(digest) for digest in given] for path, given in files.items() if isinstance(given, list)},
        )

    def apply(self, items: Sequence[Item], remove: Sequence[str], state: State, message: str) -> str:
        last = [MANIFEST, README]
        order = sorted(items, key=lambda item: (item.path in last, item.path != MANIFEST, item.path))
        todo = [item for item in order if not ((known := state.files.get(item.path)) and known.same(item))]
        # Before a file is written it is removed from the journal: it may be left incomplete.
        touched = {item.path for item in todo}
        done = {path: known.sha256 for path, known in state.files.items() if known.sha256 and path not in touched}
        # What a killed publication may leave: files of the previous version, and of this one.
        files = {path: list(digests) for path, digests in state.cut_off.items()}
        for path, digest in [*state.ours.items(), *((item.path, item.sha256) for item in items)]:
            files[path] = [*(one for one in files.get(path, ()) if one != digest), digest]
        try:
            self._folder(self.root)
            # Test that files can be written and deleted before changing anything.
            if not self._unfinished:
                self._note({}, files)
                self.system.rm_file(self._at(JOURNAL))
            self._note(done, files)
            try:
                fresh = size = 0
                for item in todo:
                    self._put(item)
                    done[item.path] = item.sha256
                    fresh, size = fresh + 1, size + item.size
                    if fresh >= _NOTED_FILES or size >= _NOTED_BYTES:
                        self._note(done, files)
                        fresh = size = 0
            except BaseException:
                with contextlib.suppress(Exception):
                    self._note(done, files)
                raise
            for path in remove:
                self.system.rm_file(self._at(path))
            self.system.rm_file(self._at(JOURNAL))
            self._unfinished = False
        except PublishError:
            raise
        except Exception as error:  # noqa: BLE001 - each file system raises its own
            raise self._failed("cannot be written", error) from None
        return ""

    def settle(self, state: State) -> list[str]:
        # All files are in place: the journal was left by a publication interrupted at the very end.
        if not self._unfinished:
            return []
        try:
            self.system.rm_file(self._at(JOURNAL))
        except FileNotFoundError:
            return []
        except Exception as error:  # noqa: BLE001 - each file system raises its own
            raise self._failed("cannot be written", error) from None
        return ["the interrupted upload is complete"]

    def _folder(self, path: str) -> None:
        protocols = self.system.protocol if isinstance(self.system.protocol, tuple) else (self.system.protocol,)
        if _FLAT.isdisjoint(protocols):
            self.system.makedirs(path, exist_ok=True)

    def _note(self, done: Mapping[str, str], files: Mapping[str, Sequence[str]]) -> None:
        self.system.pipe_file(self._at(JOURNAL), orjson.dumps({"done": done, "files": files}))

    def _put(self, item: Item) -> None:
        target = self._at(item.path)
        self._folder(target.rpartition("/")[0])
        if isinstance(item.content, bytes):
            self.system.pipe_file(target, item.content)
        else:
            self.system.put_file(str(item.content), target)
        size = self.system.size(target)
        if size is not None and size != item.size:
            raise PublishError(
                f"{self.address}: {item.path} arrived with {size:,} of {item.size:,} bytes; publish again"
            )
