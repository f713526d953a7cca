"""Writes a version: rows by split, rejected rows with step and reason, and quarantined rows.

Parts are made by workers and cached like any result; a version is a folder of links to parts with a manifest, and its
name is the digest of its rows in order, however they are cut.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.engine.store.integrity import file_digest
from curate.engine.store.shards import QUARANTINED, read_parquet, write_parquet
from curate.engine.store.store import Store
from curate.rows import Kind, content_digest

ID_LENGTH = 20
_TOLD = ("rows", "digest", "places", "languages", "licenses", "prompts")


def version_digest(
    store: Store, kind: Kind, parts: Sequence[tuple[str, dict[str, Any]]], splits: Sequence[str], bad: str
) -> str:
    """The name of a version: digest of its rows split by split in order, of its rejects, of its unreadable rows."""
    whole = hashlib.blake2b(f"curate-version-1:{kind}:{bad}".encode(), digest_size=32)
    for split in splits:
        whole.update(f"\0split {split}\0".encode())
        for folder, part in parts:
            if split in part["data"]:
                whole.update(store.checked(f"{folder}/{part['data'][split]['digests']}").read_bytes())
    whole.update(b"\0rejected\0")
    for folder, part in parts:
        if part["rejected"]:
            whole.update(store.checked(f"{folder}/{part['rejected']['digests']}").read_bytes())
    return whole.hexdigest()[:ID_LENGTH]


def bad_rows(store: Store, folders: Sequence[str]) -> pa.Table:
    """All unreadable rows of a dataset's sources."""
    tables = [read_parquet(store.checked(f"{folder}/bad.parquet")).cast(QUARANTINED) for folder in folders]
    return pa.concat_tables(tables) if tables else QUARANTINED.empty_table()


def fill_version(
    store: Store, folder: Path, parts: Sequence[tuple[str, dict[str, Any]]], bad: pa.Table
) -> Iterator[dict[str, Any]]:
    """Puts a version's files into a folder and tells what each is."""
    numbers: dict[str, int] = {}
    for source, part in parts:
        named = [(split, f"data/{split}-{{:05d}}.parquet", about) for split, about in part["data"].items()]
        if part["rejected"]:
            named.append(("rejected", f"rejected/{part['kind']}-{{:05d}}.parquet", part["rejected"]))
        for name, pattern, about in named:
            number = numbers.get(pattern, 0)
            numbers[pattern] = number + 1
            path = folder / pattern.format(number)
            path.parent.mkdir(exist_ok=True)
            _link(store.checked(f"{source}/{about['path']}"), path)
            size, sha256 = part["files"][about["path"]]
            told = {key: about[key] for key in _TOLD if key in about}
            yield {"path": pattern.format(number), "part": name, "bytes": size, "sha256": sha256, **told}
    if bad.num_rows:
        path = folder / "quarantined" / "00000.parquet"
        path.parent.mkdir()
        write_parquet(bad, path)
        yield {
            "path": "quarantined/00000.parquet",
            "part": "quarantined",
            "rows": bad.num_rows,
            "bytes": path.stat().st_size,
            "sha256": file_digest(path),
            "digest": content_digest(bad),
        }


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)  # the same bytes, once on disk: neither side is ever changed
    except OSError:
        shutil.copyfile(source, target)
