"""``apertium``: rule-based translators from Debian packages: no weights, no GPU, a thousand sentences per second and
core.

Good between related languages (Spanish, Portuguese, Catalan, French, Italian), and as the second hop of a route.
Unknown words stay as they are. The programs are GPL-2/3 and run as separate processes.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import regex
from pydantic import Field, field_validator

from curate.catalog.params import Role, Runtime
from curate.catalog.suggestions import nearest
from curate.errors import ModelError
from curate.models.loading.hub import digest_file
from curate.models.translation.apertium_pipeline import Pipeline, PipelineError
from curate.models.translation.base import SentenceTranslator, Translated, open_cache
from curate.models.translation.language_pairs import Pair, Pairs, parse_pair
from curate.models.translation.vocabulary_fallback import OovNormalizer
from curate.rows import languages
from curate.steps import Model

# The translators in Debian 12, by their packages' names.
DEBIAN = (
    "afr-nld", "arg-cat", "bel-rus", "br-fr", "cat-ita", "cat-srd", "dan-nor", "en-gl", "eng-cat", "eng-spa", "eo-ca",
    "eo-en", "eo-es",
    "eo-fr", "es-gl", "es-pt", "es-ro", "eu-en", "eu-es", "fr-es", "fra-cat", "fra-frp", "hbs-eng", "hbs-mkd",
    "hbs-slv", "ind-zlm",
    "is-sv", "isl-eng", "mk-bg", "mkd-bul", "mkd-eng", "nno-nob", "oc-ca", "oc-es", "oci-fra", "pol-szl", "por-cat",
    "pt-gl", "rus-ukr",
    "spa-arg", "spa-ast", "spa-cat", "spa-ita", "srd-ita", "swe-dan", "swe-nor", "urd-hin",
)  # fmt: skip
_MODE = regex.compile(r"([a-z]{2,3})-([a-z]{2,3})((?:_[A-Za-z0-9]+)*)")
_PROGRAM = regex.compile(r"(?:lt|lrx|lsx|cg|hfst|rtx|apertium)-[a-z-]+")
_SHARE = "/usr/share/apertium"
_ENGINE = (
    "apertium",
    "lttoolbox",
    "cg3",
    "apertium-lex-tools",
    "apertium-separable",
    "apertium-anaphora",
    "apertium-recursive",
    "hfst-ospell",
)
_STORM = 3
_SPELLING = OovNormalizer(lambda char: char != "~")
_SPACES = regex.compile(" {2,}")


@dataclass(frozen=True)
class Mode:
    """One direction: a file that names programs and their data."""

    name: str
    pair: Pair
    commands: tuple[tuple[str, ...], ...]
    revision: str
    """``apertium-eng-spa@0.8.1-2``: package and version."""


class Apertium(Model):
    """Rule-based translators, installed or in an unpacked tree."""

    use: ClassVar[str] = "apertium"
    role: ClassVar[Role | None] = Role.TRANSLATOR
    summary: ClassVar[str] = "Debian's rule-based translators, very fast; best between related languages"

    pairs: tuple[Annotated[str, Field(min_length=3)], ...] | None = None
    """Restricts it to these directions (``en-es``, ``pt-BR→es``); by default all installed ones. With it, results
    stay valid when another package is installed."""
    modes: dict[str, str] = Field(default_factory=dict)
    """Other modes for directions, such as ``{en-ca: eng-cat_iec2017}``. Modes named ``xxx-yyy``, also with a country
    or ``valencia`` appended, are found without it."""
    mark_unknown: bool = False
    """Whether to put ``*`` before words that the dictionary lacks."""
    path: Runtime[Path | None] = None
    """A folder with unpacked packages (``apt-get download …; dpkg -x … tree``), for machines without root. It is
    identified by the packages' versions, as installed ones are."""
    timeout: Runtime[Annotated[float, Field(gt=0)]] = 60.0
    """Maximum seconds per sentence; then the programs are restarted."""
    longest: Annotated[int, Field(ge=40, le=20_000)] = 2_000
    """Maximum number of characters per segment; longer sentences are split at a clause or space."""

    @field_validator("pairs", "modes")
    @classmethod
    def _are_pairs(cls, value: Any) -> Any:
        for text in value or ():
            parse_pair(text)
        return value

    def found(self) -> dict[Pair, Mode]:
        """The installed directions, restricted by ``pairs``.

        Raises:
            ModelError: nothing is installed, or a requested direction is missing.
        """
        root = self.path.expanduser() if self.path is not None else Path("/")
        folder = root / _SHARE.lstrip("/") / "modes"
        if not folder.is_dir():
            where = (
                f"{root} holds no unpacked Apertium ({_SHARE}/modes)"
                if self.path is not None
                else "no Apertium is installed"
            )
            raise ModelError(f"{where}: {_advice([parse_pair(pair) for pair in self.pairs or ()])}")
        files = {file.stem: file for file in sorted(folder.glob("*.mode"))}
        chosen: dict[Pair, str] = {}
        for name in files:
            pair = _pair_of(name)
            if pair is not None:
                chosen.setdefault(pair, name)
        for text, name in self.modes.items():
            if name not in files:
                raise ModelError(f"modes.{text}: Apertium has no mode '{name}'{nearest(name, list(files))}")
            chosen[parse_pair(text)] = name
        if self.pairs is not None:
            known = Pairs(chosen)
            wanted: dict[Pair, str] = {}
            missing = []
            for text in self.pairs:
                pair = known.find(*parse_pair(text))
                if pair is None:
                    missing.append(parse_pair(text))
                else:
                    wanted[pair] = chosen[pair]
            if missing:
                names = ", ".join(f"{source}→{target}" for source, target in missing)
                raise ModelError(f"Apertium has no mode for {names}: {_advice(missing)} (it has {known.describe()})")
            chosen = wanted
        modes = {pair: _read(files[name], pair, root) for pair, name in chosen.items()}
        if not modes:
            raise ModelError(f"Apertium has no translator in {folder}: {_advice([])}")
        return modes

    def name_and_revision(self) -> str:
        """``apertium@`` and a digest of the versions of packages and programs."""
        root = self.path.expanduser() if self.path is not None else Path("/")
        lines = [
            f"{source} {target} {mode.name} {mode.revision}" for (source, target), mode in sorted(self.found().items())
        ]
        return "apertium@" + _digest("\n".join([*lines, _programs(root)]))

    def makers(self) -> tuple[str, ...]:
        """Rows record the package that made them: ``apertium-eng-spa@0.8.1-2``."""
        return tuple(sorted({mode.revision for mode in self.found().values()}))

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without ``pairs`` and ``modes``, which :meth:`name_and_revision` covers."""
        given = super().identity(decisions=decisions)
        return {name: value for name, value in given.items() if name not in ("pairs", "modes")}

    def language_pairs(self) -> Pairs:
        return Pairs(self.found())

    def load(self, *, cache: Path | None, threads: int) -> SentenceTranslator:
        """The translator; the programs of a direction start with its first sentence.

        Raises:
            ModelError: nothing is installed, or a requested direction is missing.
        """
        modes = self.found()
        root = self.path.expanduser() if self.path is not None else Path("/")
        engine = _Engine(modes, _environment(root), self)
        programs = _programs(root)
        return SentenceTranslator(
            engine.ask,
            name="apertium",
            pairs=Pairs(modes),
            revision=lambda source, target: f"{modes[source, target].revision}+{modes[source, target].name}+{programs}",
            longest=self.longest,
            cache=open_cache(cache, self, {"mark_unknown": self.mark_unknown, "longest": self.longest}),
            refusal=lambda source, target: _advice([(source, target)], only=True),
            # The last stage takes a tilde for its own mark, escaped or not.
            normalizer=lambda source, target: _SPELLING,
            chunk=512,
        )


class _Engine:
    """The pipelines of one model, started on first use."""

    def __init__(self, modes: Mapping[Pair, Mode], environment: Mapping[str, str], model: Apertium) -> None:
        self._modes = modes
        self._environment = environment
        self._model = model
        self._pipelines: dict[Pair, Pipeline] = {}
        self._lock = threading.Lock()

    def pipeline(self, pair: Pair) -> Pipeline:
        with self._lock:
            if pair not in self._pipelines:
                mode = self._modes[pair]
                mark = "-g" if self._model.mark_unknown else "-n"
                # $1 is how unknown words are shown, $2 is for tracing.
                filled = [
                    [mark if word == "$1" else word for word in command if word != "$2"] for command in mode.commands
                ]
                commands = [[program, "-z", *rest] for program, *rest in filled]
                self._pipelines[pair] = Pipeline(mode.name, commands, self._environment, deadline=self._model.timeout)
            return self._pipelines[pair]

    def ask(self, pieces: list[str], source: str, target: str) -> list[Translated]:
        """Translates all segments at once. If the programs die, it continues from there; a segment that kills them
        twice is left out."""
        pipeline = self.pipeline((source, target))
        found: dict[int, Translated] = {}
        alone = False
        failures = 0
        while len(found) < len(pieces):
            start = len(found)
            rest = pieces[start : start + 1] if alone else pieces[start:]
            try:

                def got(place: int, text: str, start: int = start) -> None:
                    # Rules that drop a word leave its two spaces.
                    text = text if "  " in pieces[start + place] else _SPACES.sub(" ", text)
                    found[start + place] = Translated(text.strip())

                pipeline.translate(rest, got)
                alone, failures = False, 0
            except PipelineError as error:
                if not alone:
                    alone = True  # it may be any of those under way: the first unanswered one is tried by itself
                    continue
                failures += 1
                place = len(found)
                found[place] = Translated(pieces[place], f"apertium {pipeline.name}: {error}")
                if failures >= _STORM:
                    raise ModelError(f"Apertium's mode {pipeline.name} fails again and again: {error}") from error
        return [found[place] for place in range(len(pieces))]


# --------------------------------------------------------------------------------------------------------------- modes
def _pair_of(name: str) -> Pair | None:
    """The pair of a mode's name; None for variants without a tag and for modes that are not translators."""
    match = _MODE.fullmatch(name)
    if match is None:
        return None
    variant = [part for part in match[3].split("_") if part]
    tail = ""
    if variant == ["valencia"]:
        tail = "-valencia"
    elif len(variant) == 1 and regex.fullmatch("[A-Z]{2}", variant[0]):
        tail = "-" + variant[0]
    elif variant:
        return None
    try:
        return languages.normalize(match[1]), languages.normalize(match[2] + tail)
    except languages.InvalidLanguage:
        return None


def _read(file: Path, pair: Pair, root: Path) -> Mode:
    lines = [
        line for line in file.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")
    ]
    commands = []
    packages = []
    for stage in (lines[-1] if lines else "").split("|"):
        try:
            words = shlex.split(stage)
        except ValueError as error:
            raise ModelError(f"{file.name} cannot be read as a mode: {error}") from error
        if not words or not _PROGRAM.fullmatch(words[0]):
            raise ModelError(
                f"{file.name} is no mode that can be run here: '{' '.join(words)[:80]}' is no program of Apertium"
            )
        placed = [str(root / word.lstrip("/")) if word.startswith(_SHARE) else word for word in words[1:]]
        packages += [Path(word).relative_to(_SHARE).parts[0] for word in words if word.startswith(_SHARE + "/")]
        commands.append((_program(words[0], root, file), *placed))
    package = packages[0] if packages else file.stem
    return Mode(file.stem, pair, tuple(commands), f"{package}@{_version(package, root)}")


def _program(name: str, root: Path, file: Path) -> str:
    own = root / "usr" / "bin" / name
    found = str(own) if own.is_file() else shutil.which(name)
    if found is None:
        raise ModelError(f"the mode {file.stem} needs the program {name}: apt-get install {file.parents[1].name}")
    return found


def _environment(root: Path) -> dict[str, str]:
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
    if root != Path("/"):
        libraries = [root / "usr" / "lib" / f"{platform.machine()}-linux-gnu", root / "usr" / "lib"]
        environment["PATH"] = f"{root / 'usr' / 'bin'}:{environment['PATH']}"
        environment["LD_LIBRARY_PATH"] = ":".join(str(folder) for folder in libraries)
    return environment


@cache
def _version(package: str, root: Path) -> str:
    """The Debian version: from the changelog, otherwise the package manager, otherwise a digest of the data."""
    for name in ("changelog.Debian.gz", "changelog.gz"):
        try:
            with gzip.open(
                root / "usr" / "share" / "doc" / package / name, "rt", encoding="utf-8", errors="replace"
            ) as file:
                match = regex.match(r"\S+ \(([^)\s]+)\)", file.readline())
                if match:
                    return str(match[1])
        except OSError:
            continue
    if root == Path("/") and shutil.which("dpkg-query"):
        asked = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
        )
        if asked.returncode == 0 and asked.stdout.strip():
            return asked.stdout.strip()
    data = root / _SHARE.lstrip("/") / package
    files = sorted(file for file in data.glob("*") if file.is_file())
    if not files:
        return "none"
    return _digest("".join(digest_file(file) for file in files))


def _programs(root: Path) -> str:
    """A digest of the versions of the programs that interpret the data."""
    versions = [f"{name} {_version(name, root)}" for name in _ENGINE]
    return _digest("\n".join(versions))[:8]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _advice(wanted: list[Pair], *, only: bool = False) -> str:
    """The command that installs the packages for some pairs.

    Args:
        only: return nothing if no package is known.
    """
    packages = []
    for source, target in wanted:
        for name in DEBIAN:
            one, _, other = name.partition("-")
            ways = Pairs(
                [
                    (languages.normalize(one), languages.normalize(other)),
                    (languages.normalize(other), languages.normalize(one)),
                ]
            )
            if ways.find(source, target):
                packages.append(f"apertium-{name}")
                break
    if packages:
        return f"apt-get install {' '.join(dict.fromkeys(packages))}"
    if only:
        return ""
    return "apt-get install apertium-eng-spa (or another of Debian's pairs: apt-cache search ^apertium-)"
