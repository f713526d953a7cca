"""Opens the publish target named by a text: a repository of the Hub, a folder, a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from curate.errors import PublishError
from outputs.publishing.folder import Folder
from outputs.publishing.fsspec import Remote
from outputs.publishing.hub import Hub
from outputs.publishing.targets import PublishTarget

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")


def open_target(
    to: str,
    *,
    private: bool | None = None,
    token_env: str | None = None,
    deadline: float = 600.0,
    options: Mapping[str, Any] | None = None,
) -> PublishTarget:
    """The target named by a text.

    Args:
        to: ``org/name`` (the Hub), a folder (absolute, ``./…``, ``../…``, ``~/…``) or a URL that fsspec knows
            (``s3://…``, ``memory://…``).
        private: visibility on the Hub. Default: private for a new repository, unchanged for an existing one.
        token_env: the *name* of the environment variable with the token for the Hub. Default: the library's own login.
        deadline: total seconds to wait while the Hub is busy.
        options: for fsspec (credentials and the like); not stored anywhere.

    Raises:
        PublishError: it is none of these.
    """
    if to.startswith("hf://datasets/"):
        to = to.removeprefix("hf://datasets/").rstrip("/")
    if to.startswith("file://"):
        return Folder(Path(urlsplit(to).path))
    if "://" in to:
        return Remote(to, options)
    if to.startswith(("/", "./", "../", "~")) or to in (".", "..") or Path(to).is_absolute():
        return Folder(Path(to).expanduser())
    name = to.partition("/")[2]
    if (
        _REPOSITORY.fullmatch(to)
        and "--" not in to
        and ".." not in to
        and not to.endswith((".git", ".", "-"))
        and not name.startswith(".")
    ):
        return Hub(to, private=private, token_env=token_env, deadline=deadline)
    if "/" not in to and to:
        raise PublishError(f"'{to}' is not a target: write owner/name for a repository of the Hub, ./{to} for a folder")
    raise PublishError(
        f"'{to}' is not a target: write owner/name for the Hub (letters, digits, '-', '_', '.', at most 96 each, no "
        "'--' or '..'), ./folder, or a URL such as s3://bucket/folder"
    )
