"""Resolves a ``path`` parameter to files, here or behind URLs; each is one unit, named by its path below their common
folder."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from glob import has_magic
from pathlib import Path, PurePosixPath

from curate.files import expand, folders_below, regular
from curate.steps import SourceError, Unit
from sources.remote.addresses import file_name, is_url
from sources.remote.cache import RemoteFile, locate

COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
Found = Path | RemoteFile


def bare(name: str) -> str:
    """A file name without a compression suffix."""
    return next((name[: -len(suffix)] for suffix in COMPRESSED if name.lower().endswith(suffix)), name)


def resolve(path: str | Sequence[str], suffixes: tuple[str, ...]) -> list[Found]:
    """The files of a path as :func:`find` gives them, and those behind URLs, each once.

    Raises:
        SourceError: one of them stands for no file, or cannot be asked.
    """
    places = [one[len("file://") :] if one.startswith("file:///") else one for one in _listed(path)]
    if not any(is_url(one) for one in places):
        return list(find(places, suffixes))
    found: dict[Path, Found] = {}
    for one in places:
        files: Sequence[Found] = locate(one, lambda name: _fits(name, suffixes)) if is_url(one) else find(one, suffixes)
        for file in files:
            found.setdefault(file.place if isinstance(file, RemoteFile) else file, file)
    return list(found.values())


def _listed(path: str | Sequence[str]) -> list[str]:
    return [path] if isinstance(path, str) else list(path)


def _fits(name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether the file of a folder is read: by its suffix, and neither it nor a folder above it hidden."""
    hidden = any(part.startswith(".") for part in name.split("/"))
    return not hidden and bare(name).lower().endswith(suffixes)


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


def units(files: Sequence[Found]) -> list[Unit]:
    """One unit a file, named by its path below the folder all files share (those here, those behind URLs)."""
    here = [file for file in files if isinstance(file, Path)]
    there = [file for file in files if isinstance(file, RemoteFile)]
    names: dict[Found, str] = dict(zip(here, _names(here), strict=True))
    known = set(names.values())
    for file, name in zip(there, _remote_names(there), strict=True):
        # The query of a URL is in no name; two files may differ only there.
        names[file] = name if name not in known else f"{file.place.parts[1][:8]}/{name}"
        known.add(names[file])
    return [
        Unit(names[file], (file.place,), file.version, file.note)
        if isinstance(file, RemoteFile)
        else Unit(names[file], (file,))
        for file in files
    ]


def _names(files: Sequence[Path]) -> list[str]:
    if len(files) == 1:
        return [files[0].name]
    base = Path(os.path.commonpath([file.parent for file in files])) if files else Path()
    return [file.relative_to(base).as_posix() for file in files]


def _remote_names(files: Sequence[RemoteFile]) -> list[str]:
    if len(files) == 1:
        return [file_name(files[0].url)]
    common = posixpath.commonpath(["/".join(file.parts[:-1]) for file in files]) if files else ""
    depth = len(PurePosixPath(common).parts)
    return ["/".join((*file.parts[depth:-1], file_name(file.url))) for file in files]
