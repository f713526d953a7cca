"""``systran-align``: a statistical word aligner (fast_align), trained on the pairs to be aligned.

fast_align (Dyer, Chahuneau and Smith 2013: IBM model 2 with a diagonal prior) learns the probability of each word given
each word of the other side. The wheel ``systran-align`` does the training; this module takes the most likely links and
merges the two directions. It is independent of languages: anything that can be split into units can be aligned, from
about a thousand pairs on.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from curate.catalog.params import Role, Runtime
from curate.errors import ModelError
from curate.models.alignment.symmetrize import Symmetry, symmetrize
from curate.steps import Model
from curate.steps.models import Aligner, Alignment

_NULL = 0.08
"""fast_align's probability that a word is aligned to nothing."""
_UNSEEN = 1e-9
_NOTHING = float("nan")
# One thread: the sums of several come out in another order each time, and the tables with them.
_TRAIN = (
    "import sys, systran_align as s; s.generate_alignment_probabilities(sys.argv[1], sys.argv[2], sys.argv[3],"
    " iterations=int(sys.argv[4]), favor_diagonal=sys.argv[5] == '1', diagonal_tension=float(sys.argv[6]),"
    " optimize_tension=sys.argv[7] == '1', variational_bayes=sys.argv[8] == '1', alpha=float(sys.argv[9]))"
)


class SystranAlign(Model):
    """A statistical word aligner (fast_align), trained on the pairs to be aligned."""

    use: ClassVar[str] = "systran-align"
    role: ClassVar[Role | None] = Role.ALIGNER
    summary: ClassVar[str] = "statistical word aligner (fast_align), learned from the pairs it is given; any language"

    symmetrize: Symmetry = "intersection"
    """How the links of both directions are merged: ``intersection`` is the most precise, ``union`` the most
    complete; ``grow-diag``, ``grow-diag-final`` and ``grow-diag-final-and`` (Koehn et al. 2005) are between;
    ``forward`` and ``backward`` use one direction only."""
    iterations: Annotated[int, Field(ge=1, le=50)] = 5
    """Iterations of expectation maximisation."""
    favor_diagonal: bool = True
    """Whether words at similar positions are more likely to be aligned."""
    tension: Annotated[float, Field(gt=0, le=100)] = 4.0
    """Initial strength of that preference."""
    optimize_tension: bool = True
    """Whether the strength is optimised during training."""
    variational_bayes: bool = True
    """Whether a Dirichlet prior keeps rare words from aligning to everything."""
    alpha: Annotated[float, Field(gt=0)] = 0.01
    """Strength of the Dirichlet prior."""
    longest: Annotated[int, Field(ge=1)] = 200
    """Maximum number of units per side; longer pairs are not aligned."""
    timeout: Runtime[Annotated[float, Field(gt=0)]] = 7200.0
    """Timeout of the training in seconds."""

    def name_and_revision(self) -> str:
        """``fast_align@`` and the version of the wheel."""
        try:
            return f"fast_align@systran-align-{installed_version('systran-align')}"
        except PackageNotFoundError:
            return "fast_align@not-installed"

    def load(self, *, cache: Path | None, threads: int) -> Aligner:
        """The aligner; it learns anew at each call and keeps nothing.

        Raises:
            ModelError: the package is not installed.
        """
        if find_spec("systran_align") is None:
            raise ModelError(
                "the model systran-align needs a package: pip install 'polycurate[align]' (Linux wheels for Python"
                " 3.11)"
            )
        return _FastAlign(self)


class _FastAlign:
    def __init__(self, given: SystranAlign) -> None:
        self.given = given

    def align(self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> list[Alignment]:
        """The alignment of each pair; a pair with an empty or overlong side has no links and NaN for both means.

        Raises:
            ModelError: the sides are of different number, or learning failed.
        """
        if len(sources) != len(targets):
            raise ModelError(f"{len(sources):,} source sides but {len(targets):,} target sides: they must pair up")
        left, right = _Numbered(), _Numbered()
        fit: list[bool] = []
        for source, target in zip(sources, targets, strict=True):
            inside = 0 < len(source) <= self.given.longest and 0 < len(target) <= self.given.longest
            fit.append(inside)
            left.add(source if inside else ())
            right.add(target if inside else ())
        if not any(fit):
            return [Alignment((), (), _NOTHING, _NOTHING) for _ in fit]
        with tempfile.TemporaryDirectory(prefix="align-") as folder:
            forward, backward = self._learn(Path(folder), left, right, fit)
        found = []
        for place, inside in enumerate(fit):
            if inside:
                found.append(self._pair(left.get(place), right.get(place), forward, backward))
            else:
                found.append(Alignment((), (), _NOTHING, _NOTHING))
        return found

    def _learn(self, folder: Path, left: _Numbered, right: _Numbered, fit: Sequence[bool]) -> tuple[_Table, _Table]:
        """The probability tables of both directions, learned in a process of its own."""
        text, forward, backward = folder / "text", folder / "forward", folder / "backward"
        with text.open("w", encoding="ascii", newline="\n") as file:
            for place, inside in enumerate(fit):
                if inside:
                    # Units are written as numbers: no text can then break the format.
                    here = " ".join(f"s{number}" for number in left.get(place))
                    there = " ".join(f"t{number}" for number in right.get(place))
                    file.write(f"{here} ||| {there}\n")
        given = self.given
        numbers = (
            given.iterations,
            int(given.favor_diagonal),
            given.tension,
            int(given.optimize_tension),
            int(given.variational_bayes),
            given.alpha,
        )
        command = [sys.executable, "-P", "-c", _TRAIN, str(text), str(forward), str(backward), *map(str, numbers)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=given.timeout,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        except subprocess.TimeoutExpired:
            raise ModelError(
                f"fast_align did not learn {sum(fit):,} pairs in {given.timeout:g} s; give it fewer pairs or a longer"
                " 'timeout'"
            ) from None
        if done.returncode or not forward.is_file() or not backward.is_file():
            said = " ".join((done.stderr or done.stdout).split())[-500:]
            raise ModelError(
                f"fast_align failed on {sum(fit):,} pairs (exit {done.returncode}): {said or 'no message'}"
            )
        return _Table(forward, "s", "t", left, right), _Table(backward, "t", "s", right, left)

    def _pair(
        self, source: npt.NDArray[np.int32], target: npt.NDArray[np.int32], forward: _Table, backward: _Table
    ) -> Alignment:
        diagonal = _diagonal(len(target), len(source), self.given.tension) if self.given.favor_diagonal else None
        back = _diagonal(len(source), len(target), self.given.tension) if self.given.favor_diagonal else None
        there, posterior_there, forward_mean = forward.best(source, target, diagonal)
        here, posterior_here, backward_mean = backward.best(target, source, back)
        links = symmetrize(
            {(int(i), j) for j, i in enumerate(there) if i >= 0},
            {(i, int(j)) for i, j in enumerate(here) if j >= 0},
            len(source),
            len(target),
            self.given.symmetrize,
        )
        scores = tuple(float(np.sqrt(posterior_there[j, i] * posterior_here[i, j])) for i, j in links)
        return Alignment(links, scores, forward_mean, backward_mean)


class _Numbered:
    """Lists of units as numbers: four bytes a unit, however many lists there are."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self._flat = array("i")
        self._ends = array("q", [0])

    def add(self, units: Iterable[str]) -> None:
        numbers = self.numbers
        self._flat.extend(numbers.setdefault(unit, len(numbers)) for unit in units)
        self._ends.append(len(self._flat))

    def get(self, place: int) -> npt.NDArray[np.int32]:
        """The numbers of one list."""
        start, end = self._ends[place], self._ends[place + 1]
        return np.frombuffer(self._flat, np.int32, end - start, start * 4) if end > start else np.empty(0, np.int32)


class _Table:
    """p(word | given word), as fast_align learned it for one direction, looked up by numbers."""

    def __init__(self, path: Path, given: str, made: str, givens: _Numbered, mades: _Numbered) -> None:
        """Reads a table (format 2: words, then for each given word the words made of it, with probabilities).

        Raises:
            ModelError: the file is of another format.
        """
        data = path.read_bytes()
        try:
            form, count = struct.unpack_from("<II", data)
            if form != 2:
                raise ValueError(f"format {form}")
            place, names = 8, list[str]()
            for _ in range(count):
                end = data.index(b"\0", place)
                names.append(data[place:end].decode())
                place = end + 1
            numbers = np.frombuffer(data, np.uint32, offset=place + 4, count=(len(data) - place - 4) // 4)
        except (struct.error, ValueError, UnicodeDecodeError) as error:
            raise ModelError(
                f"the tables of this systran-align cannot be read ({error}); install the version this release was made"
                " for: pip install 'polycurate[align]'"
            ) from error
        # Word n of the file (from 1): its number on the side it is of; -1 for the null word.
        own = np.full(count + 1, -2, np.int64)
        for number, name in enumerate(names, 1):
            if name == "<eps>":
                own[number] = -1
            elif name[0] in (given, made) and name[1:].isdigit():
                own[number] = int(name[1:])
        values = numbers.view(np.float32)
        keys: list[npt.NDArray[np.int64]] = []
        found: list[npt.NDArray[np.float32]] = []
        self._width = max(1, len(mades.numbers))
        at, last = 0, len(numbers)
        while at < last:
            word, length = int(numbers[at]), int(numbers[at + 1])
            block = slice(at + 2, at + 2 + 2 * length)
            keys.append((own[word] + 1) * self._width + own[numbers[block][::2]])
            found.append(values[block][1::2])
            at += 2 + 2 * length
        key = np.concatenate([*keys, np.empty(0, np.int64)])
        order = np.argsort(key, kind="stable")
        self._keys, self._values = key[order], np.concatenate([*found, np.empty(0, np.float32)])[order]

    def best(
        self, given: npt.NDArray[np.int32], made: npt.NDArray[np.int32], prior: npt.NDArray[np.float64] | None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], float]:
        """For each word made: the place of the likeliest given word (-1: none), the posterior of each, and the mean
        log-probability.
        """
        rows = np.concatenate([[0], given.astype(np.int64) + 1]) * self._width
        wanted = rows[None, :] + made.astype(np.int64)[:, None]
        if len(self._keys):
            places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
            chance = np.where(self._keys[places] == wanted, self._values[places], _UNSEEN).astype(np.float64)
        else:
            chance = np.full(wanted.shape, _UNSEEN)
        np.maximum(chance, _UNSEEN, out=chance)
        chance[:, 0] *= _NULL
        chance[:, 1:] *= (1 - _NULL) / len(given) if prior is None else (1 - _NULL) * prior
        whole = chance.sum(axis=1, keepdims=True)
        return np.argmax(chance, axis=1) - 1, chance[:, 1:] / whole, float(np.log(whole).mean())


def _diagonal(made: int, given: int, tension: float) -> npt.NDArray[np.float64]:
    """The prior of fast_align: for each place of the side made, how likely each place of the other one is; rows sum to
    1.
    """
    here, there = (np.arange(made) + 1) / made, (np.arange(given) + 1) / given
    weights = np.exp(-tension * np.abs(here[:, None] - there[None, :]))
    normal: npt.NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return normal
