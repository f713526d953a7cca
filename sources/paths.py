"""Resolves a ``path`` parameter to files; each file is one unit, named by its path below their common folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from glob import has_magic
from pathlib import Path

from curate.files import expand, folders_below, regular
from curate.steps import SourceError, Unit

COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


def bare(name: str) -> str:
    """A file name without a compression suffix."""
    return next((name[: -len(suffix)] for suffix in COMPRESSED if name.lower().endswith(suffix)), name)


def find(path: str | Sequence[str], suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a path, pattern or folder (or several), each once: in the given order, by name within each.

    A folder stands for its files with one of ``suffixes`` (compressed or not) at any depth; hidden files and folders
    are skipped. A file reachable by several names counts once, by its real path if that is one of them.

    Raises:
        SourceError: one of them matches no file, or a pipe, socket or device.
    """
    files: dict[tuple[int, int], Path] = {}
    for one in [path] if isinstance(path, str) else path:
        for file in _find(one, suffixes):
            try:
                str(file).encode()
                about = regular(file).stat()
            except UnicodeEncodeError:
                shown = str(file).encode("utf-8", "backslashreplace").decode()
                raise SourceError(f"the name of {shown} is not UTF-8; rename it") from None
            except OSError as error:
                raise SourceError(f"{file} cannot be read: {error.strerror}") from error
            place = (about.st_dev, about.st_ino)
            if place not in files or (_is_real(file) and not _is_real(files[place])):
                files[place] = file
    if not files:
        raise SourceError("'path' names no file")
    return list(files.values())


def _is_real(file: Path) -> bool:
    return os.path.realpath(file) == str(file.absolute())


def _find(path: str, suffixes: tuple[str, ...]) -> Iterable[Path]:
    place = Path(path).expanduser()
    if place.is_dir():
        files = _inside(place, suffixes)
        if not files:
            others = sorted(entry.name for entry in place.iterdir() if not entry.name.startswith("."))[:8]
            raise SourceError(
                f"the folder {path} has no file ending in {', '.join(suffixes)} (or one of them and "
                f"{', '.join(COMPRESSED)}); "
                f"it has {', '.join(others) or 'nothing'}"
            )
        return files
    if place.exists():
        return [place]
    if has_magic(path):
        files = [file for match in expand(place) for file in (_inside(match, suffixes) if match.is_dir() else [match])]
        if files:
            return files
        raise SourceError(f"no file matches the pattern {path}{_nearest(place)}")
    raise SourceError(f"there is no file {path}{_nearest(place)}")


def _inside(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    files = [
        file
        for here in folders_below(folder)
        for file in here.iterdir()
        if not file.name.startswith(".") and bare(file.name).lower().endswith(suffixes) and not file.is_dir()
    ]
    return sorted(files, key=lambda file: file.relative_to(folder).as_posix())


def _nearest(path: Path) -> str:
    """Advice about similar names near a path that does not exist."""
    folder = path.parent
    part = path
    while not folder.is_dir() and folder != folder.parent:
        part, folder = folder, folder.parent
    try:
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        return ""
    near = get_close_matches(part.name, names, n=1, cutoff=0.5)
    missing = "" if folder == path.parent else f" (there is no '{part.name}' in {folder})"
    if near:
        return f"{missing}; did you mean {folder / near[0]}?"
    return f"{missing}; {folder} has {', '.join(names[:8]) or 'nothing'}{' …' if len(names) > 8 else ''}"


def units(files: Sequence[Path]) -> list[Unit]:
    """One unit a file, named by its path below the folder all files share."""
    if len(files) == 1:
        return [Unit(files[0].name, (files[0],))]
    base = Path(os.path.commonpath([file.parent for file in files]))
    return [Unit(file.relative_to(base).as_posix(), (file,)) for file in files]
