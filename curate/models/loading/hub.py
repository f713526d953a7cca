"""Resolves a Hub repository to one commit before any cache key is made, and computes digests of local models.

The local Hub cache is consulted first, because planning must not need the network nor change its result.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import regex

from curate.files import stamp
from curate.models.cache.digests import remembered
from curate.steps import StepError

_COMMIT = regex.compile(r"[0-9a-f]{40}")
# What a model folder holds besides the model.
_NOT_MODEL = (".md", ".gitattributes", ".png", ".jpg", ".lock", ".metadata")


@cache
def resolve_commit(repository: str, revision: str | None) -> str:
    """The commit (40 hexadecimal digits) of a branch, tag or abbreviated commit of a model repository.

    Raises:
        StepError: it is not in the local cache, and the Hub is unreachable or does not have it.
    """
    if revision and _COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import (
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = revision or "main"
    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    reference = folder / "refs" / wanted
    if reference.is_file():
        return reference.read_text().strip()
    commits = [path.name for path in folder.glob("snapshots/*") if path.name.startswith(wanted)]
    if len(commits) == 1:
        return commits[0]
    pin = f"pin it with 'revision:' and a full commit of https://huggingface.co/{repository}/commits/main"
    if constants.HF_HUB_OFFLINE:
        raise StepError(
            f"the model {repository} at '{wanted}' is not in the local Hub cache and HF_HUB_OFFLINE is set: {pin}, or"
            " give the path of a local folder as 'model:'"
        )
    try:
        found = HfApi().model_info(repository, revision=wanted, timeout=15).sha
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise StepError(f"the Hub has no model {repository} at '{wanted}' (or it needs a token): {error}") from error
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        raise StepError(
            f"the Hub cannot be asked which commit '{wanted}' of {repository} is ({error}): {pin}"
        ) from error
    if not found:
        raise StepError(f"the Hub names no commit for '{wanted}' of {repository}: {pin}")
    return str(found)


def digest_folder(folder: Path) -> str:
    """Content digest of a model folder: names and bytes of its files, without documentation and hidden files."""
    whole = hashlib.blake2b(digest_size=32)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if any(part.startswith((".", "__")) for part in name.parts) or path.name.endswith(_NOT_MODEL):
            continue
        whole.update(f"{name.as_posix()}\0{digest_file(path)}\0".encode())
    return whole.hexdigest()


def digest_file(path: Path) -> str:
    """Content digest of a file; read again only if its size or modification time changed."""
    return _digest_file(path.resolve(), stamp(path.stat()))


@cache
def _digest_file(path: Path, state: tuple[int, ...]) -> str:
    return remembered(path, path.stat(), _read)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
