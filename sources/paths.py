"""Resolves a ``path`` parameter to files, here, behind URLs or in archives; each is one unit, named by its path below
their common folder."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from glob import has_magic
from pathlib import Path, PurePosixPath

from curate.files import digest_files, expand, folders_below, regular
from curate.models.cache.digests import remembered
from curate.steps import SourceError, Unit
from sources.archives import is_archive_name, split_inside
from sources.members import Entry, select
from sources.remote.addresses import file_name, is_url
from sources.remote.cache import RemoteFile, local, locate

_AT_ONCE = 8
"""URLs that are asked about side by side."""
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


@dataclass(frozen=True)
class Member:
    """A member of an archive, here or behind a URL."""

    archive: Path | RemoteFile
    entry: Entry
    state: str
    """The archive's."""
    beside: tuple[str, ...] = ()
    """On the first member of an archive: the names of those that are not read."""


Found = Path | RemoteFile | Member


def bare(name: str) -> str:
    """A file name without a compression suffix."""
    return next((name[: -len(suffix)] for suffix in COMPRESSED if name.lower().endswith(suffix)), name)


def resolve(path: str | Sequence[str], suffixes: tuple[str, ...]) -> list[Found]:
    """The files of a path as :func:`find` gives them, those behind URLs and the members of archives, each once.

    Raises:
        SourceError: one of them stands for no file, or cannot be asked.
    """
    places = [one[len("file://") :] if one.startswith("file:///") else one for one in _listed(path)]
    if not any(is_url(one) or split_inside(one)[1] for one in places):
        found = find(places, suffixes)
        if not any(is_archive_name(file.name) for file in found):
            return list(found)
    every: dict[Path, Found] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # servers take their time to answer
        found_of = list(pool.map(lambda one: list(_resolved(one, suffixes)), places))
    for files in found_of:
        for file in files:
            every.setdefault(Path(os.path.realpath(place_of(file))), file)
    return list(every.values())


def _resolved(path: str, suffixes: tuple[str, ...]) -> Iterator[Found]:
    """The files of one path; in place of archives their members."""
    whole, inside = split_inside(path)
    if not is_url(path) and Path(path).expanduser().exists():
        whole, inside = path, ""  # a folder whose name is that of an archive
    files: Sequence[Path | RemoteFile]
    files = locate(whole, lambda name: _fits(name, suffixes)) if is_url(whole) else find(whole, suffixes)
    for file in files:
        name = file_name(file.url) if isinstance(file, RemoteFile) else file.name
        if inside or is_archive_name(name):
            yield from members(file, inside, lambda name: _fits(name, suffixes))
        else:
            yield file


def members(archive: Path | RemoteFile, pattern: str, accepts: Callable[[str], bool]) -> Iterator[Member]:
    """The members of an archive; one behind a URL is fetched, because only all of it tells them.

    Raises:
        SourceError: it has none of them, or cannot be read.
    """
    if isinstance(archive, RemoteFile):
        file, state, shown = local(archive.place, [archive.url]), archive.version, file_name(archive.url)
    else:
        file, shown = archive, archive.name
        real = Path(os.path.realpath(archive))
        state = f"blake2b {remembered(real, real.stat(), lambda path: digest_files([path]))}"
    try:
        taken, others = select(file, shown, pattern, accepts)
    except OSError as error:
        raise SourceError(f"{shown}: {error}") from error
    for number, entry in enumerate(taken):
        yield Member(archive, entry, state, () if number else tuple(others))


def resolve_archive(path: str) -> Path | RemoteFile:
    """The one file of a path."""
    files: Sequence[Path | RemoteFile] = locate(path, lambda _: False) if is_url(path) else find(path, ())
    if len(files) != 1:
        raise SourceError(f"{len(files)} archives match {path}; name one")
    return files[0]


def place_of(file: Found) -> Path:
    """What a unit calls a file."""
    if isinstance(file, Member):
        return file.entry.place(place_of(file.archive))
    return file.place if isinstance(file, RemoteFile) else file


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
    """One unit a file, named by its path below the folder all files share (those here, those behind URLs); of members
    of archives the archive's name goes first."""
    whole = [file.archive if isinstance(file, Member) else file for file in files]
    here = list(dict.fromkeys(file for file in whole if isinstance(file, Path)))
    there = list(dict.fromkeys(file for file in whole if isinstance(file, RemoteFile)))
    names: dict[Found, str] = dict(zip(here, _names(here), strict=True))
    known = set(names.values())
    for file, name in zip(there, _remote_names(there), strict=True):
        # The query of a URL is in no name; two files may differ only there.
        names[file] = name if name not in known else f"{file.place.parts[1][:8]}/{name}"
        known.add(names[file])
    read = {f"{names[file.archive]}/{file.entry.name}" for file in files if isinstance(file, Member)}
    return [_unit(file, names, read) for file in files]


def _unit(file: Found, names: Mapping[Found, str], read: Collection[str]) -> Unit:
    if isinstance(file, Member):
        archive = names[file.archive]
        note = file.archive.note if isinstance(file.archive, RemoteFile) else ""
        # Another path may have taken them.
        beside = tuple(other for one in file.beside if (other := f"{archive}/{one}") not in read)
        return Unit(f"{archive}/{file.entry.name}", (place_of(file),), file.state, note, beside)
    if isinstance(file, RemoteFile):
        return Unit(names[file], (file.place,), file.version, file.note)
    return Unit(names[file], (file,))


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
