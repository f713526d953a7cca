"""Any file system that fsspec knows takes the files one by one, each whole, the card and the manifest last; a journal says how far it came.

Such stores have no renames and no digests of their own: what is there is known from the last manifest and from the journal of
an upload that was cut off, as long as the sizes agree. While the journal is there, the folder is between two versions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import orjson

from curate.errors import PublishError
from outputs.layout import Item
from outputs.places import MANIFEST, README, Known, Place, State, read_manifest, shown

JOURNAL = ".publishing.json"


class Remote(Place):
    """A folder of a file system that fsspec knows."""

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
        if not self.root.strip("/"):
            raise PublishError(f"{self.address} has no folder; write one: {self.address}/name")

    def _failed(self, what: str, error: BaseException) -> PublishError:
        # Only the kind of error: messages of such libraries like to repeat addresses with credentials.
        number = getattr(error, "errno", None)
        return PublishError(f"{self.address} {what}: {type(error).__name__}{f' ({number})' if number else ''}")

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
            sizes = {str(name)[len(self.root) :].lstrip("/") if str(name).startswith(self.root) else str(name).lstrip("/")[len(self.root.lstrip("/")) :].lstrip("/"):
                     int(about.get("size") or 0) for name, about in listed.items()}  # fmt: skip
            manifest = read_manifest(self._read(MANIFEST)) if MANIFEST in sizes else {}
            card = self._read(README) if README in sizes else b""
            journal = self._journal() if JOURNAL in sizes else {}
        except PublishError:
            raise
        except Exception as error:  # noqa: BLE001 - each file system raises its own
            raise self._failed("cannot be read", error) from None
        digests = {**State(manifest=manifest).ours, **journal}
        files = {path: Known(size, digests.get(path)) for path, size in sizes.items() if path != JOURNAL}
        if README in files:
            files[README] = Known(len(card), hashlib.sha256(card).hexdigest())
        if MANIFEST in files and manifest:
            files[MANIFEST] = Known(files[MANIFEST].size, hashlib.sha256(self._read(MANIFEST)).hexdigest())
        return State(files, card=card.decode("utf-8", "replace"), manifest=manifest)

    def _journal(self) -> dict[str, str]:
        try:
            found = orjson.loads(self._read(JOURNAL))
        except orjson.JSONDecodeError:
            return {}
        done = found.get("done") if isinstance(found, dict) else None
        return {str(path): str(digest) for path, digest in done.items()} if isinstance(done, dict) else {}

    def apply(self, items: Sequence[Item], remove: Sequence[str], state: State, message: str) -> str:
        last = [MANIFEST, README]
        done = {path: known.sha256 for path, known in state.files.items() if known.sha256}
        order = sorted(items, key=lambda item: (item.path in last, item.path != MANIFEST, item.path))
        try:
            self.system.makedirs(self.root, exist_ok=True)
            for item in order:
                known = state.files.get(item.path)
                if known is not None and known.same(item):
                    continue
                # Before a file is touched it is struck from the journal: half of it may be there afterwards.
                done.pop(item.path, None)
                self._note(done)
                self._put(item)
                done[item.path] = item.sha256
            self._note(done)
            for path in remove:
                self.system.rm_file(self._at(path))
            self.system.rm_file(self._at(JOURNAL))
        except PublishError:
            raise
        except Exception as error:  # noqa: BLE001 - each file system raises its own
            raise self._failed("cannot be written", error) from None
        return ""

    def _note(self, done: Mapping[str, str | None]) -> None:
        self.system.pipe_file(self._at(JOURNAL), orjson.dumps({"done": done}))

    def _put(self, item: Item) -> None:
        target = self._at(item.path)
        self.system.makedirs(target.rpartition("/")[0], exist_ok=True)
        if isinstance(item.content, bytes):
            self.system.pipe_file(target, item.content)
        else:
            self.system.put_file(str(item.content), target)
        size = self.system.size(target)
        if size is not None and size != item.size:
            raise PublishError(
                f"{self.address}: {item.path} arrived with {size:,} of {item.size:,} bytes; publish again"
            )
