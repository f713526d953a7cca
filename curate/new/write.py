"""Writes the catalog: one source for the files that are alike, one dataset for each kind, with the usual steps."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from curate.catalog import CatalogError, load_catalog
from curate.errors import BuildError, SourceError
from curate.models.langid.language_data import doubtful_languages
from curate.new.guess import Guess
from curate.new.licences import licence_beside
from curate.new.parallels import Translation, find_translations
from curate.new.places import find_places
from curate.new.similar import compared, thresholds
from curate.new.sniff import SAMPLE, Sniffed, sniff
from curate.rows import Kind
from curate.steps import Registry
from curate.terminal import visible
from filters.language import Language
from sources.remote.addresses import is_url

_LISTED = 8
"""How many paths of a source are written one by one in a line."""
_ALLOWED = 0.01
"""The share of unreadable rows that a source allows unless told otherwise."""
_LANGUAGE = Language().min.default
_COSINE = 0.5
_FEW = 0.1
"""With a larger share the mapping is rather wrong: nothing is allowed, so that a build stops and says so."""
_FILE = "catalog.yaml"


@dataclass
class _Group:
    """Files that one source reads."""

    name: str
    files: list[Sniffed]
    licence: str
    licence_from: str
    translates: Translation | None = None
    """How its rows belong to those of another source."""
    translated: Translation | None = None
    """How rows of another source belong to its own."""

    @property
    def first(self) -> Sniffed:
        return self.files[0]


@dataclass
class NewCatalog:
    """A catalog that was written for some files."""

    file: Path
    text: str
    datasets: list[str]
    found: list[str] = field(default_factory=list)
    """What was found out, a line a source."""
    notes: list[str] = field(default_factory=list)
    """What the user has to look after."""

    def __str__(self) -> str:
        lines = [*self.found, *(f"! {note}" for note in self.notes), f"written: {self.file}"]
        return "\n".join(visible(line) for line in lines)


def new_catalog(
    files: Sequence[str],
    folder: Path = Path(),
    given: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> NewCatalog:
    """Writes ``catalog.yaml`` for some files, by their first rows.

    Args:
        files: files, folders, patterns, URLs or archives.
        folder: where to write it; made if it is not there.
        given: parameters of the sources that are not to be guessed, such as ``{"language": "sw"}``.

    Raises:
        SourceError: there is no such file, or its form or language cannot be told.
        BuildError: there is a catalog already, or it cannot be written.
    """
    path = folder / _FILE
    if path.exists():
        raise BuildError(f"{path} is there already; write elsewhere with --folder DIR, or add the source to it by hand")
    found = find_places(files)
    if not found:
        raise SourceError("name at least one file")
    given = dict(given or {})
    for name in ("use", "path"):
        if name in given:
            raise SourceError(f"--set {name}: this is detected from the files; leave it out")
    groups = _grouped([sniff(one, given) for one in found], given)
    text, datasets = _written(groups, folder, given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BuildError(f"{path} cannot be written: {error.strerror}") from None
    try:
        load_catalog(path, registry or Registry.installed())
    except CatalogError:
        path.unlink()
        raise
    return NewCatalog(path, text, datasets, [_line(group) for group in groups], _notes(groups))


def _grouped(sniffed: Sequence[Sniffed], given: Mapping[str, Any]) -> list[_Group]:
    """Files with the same parameters, kind and folder share a source."""
    by_key: dict[Any, list[Sniffed]] = {}
    for one in sniffed:
        key = (yaml.safe_dump(one.params), one.kind, one.form, one.licence, one.found.path.rpartition("/")[0])
        by_key.setdefault(key, []).append(one)
    names: dict[str, None] = {}
    groups = []
    for files in by_key.values():
        name = _name(files, names)
        names[name] = None
        licence, where = str(given.get("license", "")), ""
        if not licence and files[0].licence:
            licence = files[0].licence
        elif not licence and is_url(files[0].found.path):
            licence = "unknown"
        elif not licence:
            licence, where = licence_beside(Path(files[0].found.path).parent)
        groups.append(_Group(name, files, licence, where))
    by_name = {group.name: group for group in groups}
    translations = {} if "key" in given else find_translations({group.name: group.files for group in groups})
    for name, found in sorted(translations.items(), key=lambda one: not one[1].sure):
        original = by_name[found.original]
        original.translated = original.translated or found
        if original.translated.key == found.key:  # a source has one key
            by_name[name].translates = found
    return groups


def _name(files: Sequence[Sniffed], taken: Mapping[str, None]) -> str:
    stems = [re.split(r"[?#]", one.found.path.rpartition("/")[2])[0].partition(".")[0] for one in files]
    folder = Path(files[0].found.path).parent.name
    plain = re.sub(r"[^a-z0-9]+", "-", (stems[0] if len(files) == 1 else folder or stems[0]).lower()).strip("-")
    name = plain if re.match(r"[a-z]", plain) else f"data-{plain}".rstrip("-")
    if name in taken:
        tags = files[0].tags
        name = f"{name}-{tags[0].lower()}" if len(tags) == 1 else name
    number, whole = 2, name
    while name in taken:
        name, number = f"{whole}-{number}", number + 1
    return name


# ------------------------------------------------------------------------------------------------------------ the text
def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _comment(text: str) -> str:
    """For the end of a line: without what would end the line."""
    return "# " + " ".join(visible(text).split())


def _written(groups: Sequence[_Group], folder: Path, given: Mapping[str, Any]) -> tuple[str, list[str]]:
    lines = [
        _comment(
            f"Written by `curate new` after a look at the first {SAMPLE} rows of each file. Read it and change it:"
        ),
        "# `curate preview` shows what it does to a few rows, `curate components NAME` the parameters of a component.",
        "version: 1",
        "",
        "sources:",
    ]
    for group in groups:
        lines += _source(group, folder, given)
    kinds = list(dict.fromkeys(group.first.kind for group in groups))
    lines += ["datasets:"]
    datasets = []
    for kind in kinds:
        name = "clean" if len(kinds) == 1 else f"clean-{kind}"
        datasets.append(name)
        lines += _dataset(name, kind, [group for group in groups if group.first.kind is kind])
    return "\n".join(lines).rstrip() + "\n", datasets


def _source(group: _Group, folder: Path, given: Mapping[str, Any]) -> list[str]:
    one = group.first
    size = sum(file.found.size or 0 for file in group.files)
    about = f"{_form(one)}: {one.kind} rows; {_many(len(group.files), 'file')}"
    about += f", {size / 1e6:,.1f} MB" if size >= 1e5 else f", {size / 1e3:,.1f} kB" if size else ""
    lines = [f"  {group.name}:", f"    {_comment(about)}"]
    guessed = sum((file.guessed.counts for file in group.files), Counter[str]())
    params = dict(one.params)
    paths = [_path(file.found.path, folder) for file in group.files]
    comments = {"language": _comment(f"found: {Guess(guessed)}")} if guessed and "language" not in given else {}
    if params.get("use") == "csv" and params.get("header") == ["text"]:
        comments["use"] = "# each line is a document: a table of one column, with a delimiter that no line has"
    if params.get("language") == "detect":
        comments["language"] += "; each row gets the language that is found in it"
    params.pop("license", None)
    ordered = {"use": params.pop("use"), "path": paths[0] if len(paths) == 1 else paths, **params}
    ordered["license"] = group.licence
    if group.licence == "unknown":
        comments["license"] = "# name it before you publish"
        comments["license"] += f"; {group.licence_from} may say" if group.licence_from else ""
    elif group.licence_from:
        comments["license"] = _comment(f"from {group.licence_from}")
    bad = [place for file in group.files for place in file.bad]
    rows = sum(file.rows for file in group.files)
    if _ALLOWED * rows < len(bad) <= _FEW * rows and "max_error_rate" not in given:
        ordered["max_error_rate"] = round(2 * len(bad) / rows + 0.005, 2)
        comments["max_error_rate"] = _comment(
            f"{len(bad):,} of the first {rows:,} rows cannot be read: {_short(bad[0])}"
        )
    for name, value in ordered.items():
        if name == "path" and isinstance(value, list) and len(value) > _LISTED:
            lines += ["    path:", *(f"      - {_flow(path)}" for path in value)]
            continue
        comment = f"   {comments[name]}" if name in comments else ""
        lines.append(f"    {name}: {_flow(value)}{comment}")
    return [*lines, *_joined(group), ""]


def _joined(group: _Group) -> list[str]:
    """The lines that say which rows of two sources are one item; as comments where that is a guess."""
    found = group.translates or group.translated
    if found is None:
        return []
    lines = [f"key: {_flow(found.key)}   # what identifies an item in several languages"]
    if group.translates:
        lines[0] = f"key: {_flow(found.key)}   {_comment(found.why)}"
        lines.append(f"translation_of: {found.original}   # the rows there are the parents; splits keep items together")
    return [f"    {'' if found.sure else '# '}{line}" for line in lines]


def _short(text: str, most: int = 90) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _path(path: str, folder: Path) -> str:
    """As the catalog has it: from its folder, unless it is an absolute path to elsewhere."""
    if is_url(path) or (Path(path).is_absolute() and folder.resolve() not in Path(path).resolve().parents):
        return path
    return Path(os.path.relpath(path, folder)).as_posix()


def _form(one: Sniffed) -> str:
    names = {"text": "text file", "moses": "aligned text files", "tmx": "translation memory", "parallel-tsv": "pairs"}
    return "text file" if one.params.get("header") == ["text"] else names.get(one.form, one.form)


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _dataset(name: str, kind: Kind, groups: Sequence[_Group]) -> list[str]:
    from_ = [group.name for group in groups]
    lines = [f"  {name}:", f"    from: {_flow(from_ if len(from_) > 1 else from_[0])}", "    steps:"]
    steps = [("shape", "drops empty, very long and repetitive texts, and broken conversations")]
    labelled = [group for group in groups if group.first.params.get("language") != "detect"]
    if labelled:
        files = [file for group in labelled for file in group.files]
        lossy = {tag: share for tag, share in doubtful_languages().items() if any(tag in file.tags for file in files)}
        unsure = dict.fromkeys([*(tag for file in files for tag in file.unsure), *lossy])
        step = f"language: {_flow({'min': {'default': _LANGUAGE, **unsure}})}" if unsure else "language"
        why = "drops rows in another language; one may have its own threshold: {min: {default: 0.3, sw: 0.2}}"
        if unsure:
            named = ", ".join(
                f"{tag} (it drops {lossy[tag]:.0%} of right rows)" if tag in lossy else tag for tag in unsure
            )
            why = f"drops rows in another language; the identifier is unsure of {named}: no limit for it"
        steps.append((step, why))
    if kind is Kind.PARALLEL:
        steps.append(("translation_quality", "drops pairs with missing numbers, copies, odd lengths, lost negation"))
    pairs = [pair for group in groups for pair in _pairs(group, {one.name: one for one in groups})]
    if any(compared(*pair) for pair in pairs):
        measured = thresholds(pairs)
        least = _flow({"default": _COSINE, **measured}) if measured else f"{_COSINE:g}"
        what = "pairs" if kind is Kind.PARALLEL else "translations"
        why = f"drops {what} that mean something else; by an embedded encoder"
        if measured:
            why += f"; measured for {', '.join(measured)} (`curate calibrate`)"
        steps.append((f"similarity: {{min: {least}}}", why))
    steps.append(("duplicates", "keeps the first of equal rows"))
    width = max(len(step) for step, _ in steps)
    lines += [f"      - {step.ljust(width)}   # {why}" for step, why in steps]
    return [*lines, "    splits: {train: 0.95, test: 0.05}   # rows of one item fall into one split", ""]


def _pairs(group: _Group, others: Mapping[str, _Group]) -> list[tuple[str, str]]:
    """The languages that a source's rows are compared in: source or original, and target."""
    if group.first.kind is Kind.PARALLEL:
        sources = [str(group.first.params.get("source_language"))]
    else:
        sure = group.translates is not None and group.translates.sure
        sources = others[group.translates.original].first.tags if sure and group.translates else []
    return [(one, tag) for one in sources for file in group.files for tag in file.tags]


# --------------------------------------------------------------------------------------------------------- the summary
def _line(group: _Group) -> str:
    rows = sum(file.rows for file in group.files)
    guessed = sum((file.guessed.counts for file in group.files), Counter[str]())
    source = group.first.params.get("source_language")
    pairs = f" from {source}" if source else ""
    if group.translates and group.translates.sure:
        pairs = f", translations of {group.translates.original}"
    return (
        f"{group.name}: {_form(group.first)}, {group.first.kind} rows{pairs}; {_many(len(group.files), 'file')}; "
        f"languages of the first {rows:,} rows: {str(Guess(guessed)) or 'none found'}; licence {group.licence}"
    )


def _notes(groups: Sequence[_Group]) -> list[str]:
    notes = []
    for group in groups:
        if group.translates and not group.translates.sure:
            told = f"{group.translates.why} of the same items; if so, uncomment 'key' and 'translation_of'"
            notes.append(f"{group.name}: {told}")
        if group.licence == "unknown":
            read = (
                f" ({group.licence_from} lies beside the data, and is no licence known here)"
                if group.licence_from
                else ""
            )
            notes.append(f"{group.name}: no licence was found{read}; name it in the catalog before you publish")
        bad = [place for file in group.files for place in file.bad]
        if bad:
            rows = sum(file.rows for file in group.files)
            notes.append(f"{group.name}: {len(bad):,} of the {rows:,} rows looked at cannot be read, such as {bad[0]}")
        for file in group.files:
            if file.guessed.named:
                notes.append(
                    f"{file.found.path}: the identifier is unsure of its texts; {file.guessed.named} is from "
                    f"{file.guessed.named_by}"
                )
            if file.contradicted:
                notes.append(
                    f"{file.found.path}: its language is said to be {file.tags[0]}, but in most rows the identifier "
                    f"finds another: {file.guessed}"
                )
    return notes
