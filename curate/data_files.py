"""Data files that the packages carry (word lists, weights, registries): read in one place, and known by their
content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a package, or a folder of such files.

    A step or model whose results depend on one names it in its ``package_data``: its content is then part of every
    key, so that a
    changed list scores anew without a raised version.
    """

    package: str
    path: str
    """Below the package's folder, with ``/`` between the parts."""

    def __str__(self) -> str:
        return f"{self.package}/{self.path}"

    def texts(self) -> dict[str, str]:
        """File name → text; of a folder all its files, by name."""
        place = files(self.package).joinpath(*self.path.split("/"))
        if place.is_dir():
            found = sorted((one for one in place.iterdir() if one.is_file()), key=lambda one: one.name)
            return {one.name: one.read_text("utf-8") for one in found}
        return {place.name: place.read_text("utf-8")}

    def text(self) -> str:
        """The text of a single file."""
        [text] = self.texts().values()
        return text

    def yaml(self) -> Any:
        """What the YAML of a single file says; read once a process."""
        return _yaml(self)

    def languages(self) -> tuple[str, ...]:
        """The languages of a list by language: the keys of its ``languages``; empty for other files."""
        values = self.yaml() if self.path.endswith(".yaml") else None
        listed = values.get("languages") if isinstance(values, dict) else None
        return tuple(listed) if isinstance(listed, dict) else ()

    @property
    def digest(self) -> str:
        """24 hexadecimal digits of the content."""
        return _digest(self)


@cache
def _yaml(file: DataFile) -> Any:
    import yaml

    return yaml.safe_load(file.text())


@cache
def _digest(file: DataFile) -> str:
    whole = hashlib.blake2b(digest_size=12)
    for name, text in file.texts().items():
        data = text.encode()
        whole.update(f"{name}:{len(data)}:".encode() + data)
    return whole.hexdigest()
