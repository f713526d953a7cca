"""Which publish target a text names: a repository of the Hub, a folder, a URL."""

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
from outputs.publishing.targets import Place

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")


def place_of(
    to: str,
    *,
    private: bool | None = None,
    token_env: str | None = None,
    deadline: float = 600.0,
    options: Mapping[str, Any] | None = None,
) -> Place:
    """The place that a text names.

    Args:
        to: ``org/name`` (the Hub), a folder (absolute, ``./…``, ``../…``, ``~/…``) or a URL that fsspec knows
            (``s3://…``, ``memory://…``).
        private: who may read it, on the Hub; new ones are private unless said, others stay as they are.
        token_env: the *name* of the environment variable with the token for the Hub; unset, the library's own login is
            used.
        deadline: seconds to wait altogether while the Hub is busy.
        options: for fsspec (credentials and the like); kept nowhere.

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
        raise PublishError(
            f"'{to}' is no place: a repository of the Hub is called owner/name, a folder is written ./{to}"
        )
    raise PublishError(
        f"'{to}' is no place: write owner/name for the Hub (letters, digits, '-', '_', '.', at most 96 each, no '--' "
        "or '..'), ./folder, or a URL such as s3://bucket/folder"
    )
