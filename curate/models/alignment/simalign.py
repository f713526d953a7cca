"""``simalign``: aligns words by the similarity of their vectors in a multilingual language model, without training.

The method of Jalili Sabet et al. (2020, SimAlign): contextual vectors of one layer, cosines of all subwords of both
sides, links by mutual best (``argmax``), iterated (``itermax``), or by maximum matching (``match``). Needs the extra
``torch``. Code from the Hub is never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from curate.catalog.params import Role, Runtime
from curate.errors import ModelError
from curate.models.loading.devices import OnDevice
from curate.models.loading.weights import Weights
from curate.steps.models import Aligner, Alignment

_NOTHING = float("nan")
Grid = npt.NDArray[np.float64]


class SimAlign(OnDevice, Weights):
    """A word aligner by the vectors of a multilingual encoder (mBERT, XLM-R, LaBSE)."""

    use: ClassVar[str] = "simalign"
    role: ClassVar[Role | None] = Role.ALIGNER
    summary: ClassVar[str] = "word aligner by contextual vectors of a multilingual model (SimAlign); learns nothing"

    model: Annotated[str, Field(min_length=1)]
    """A local folder with a transformers model (identified by its files' contents), or ``organisation/name`` on the
    Hub, such as ``google-bert/bert-base-multilingual-cased``."""
    revision: str | None = None
    """Commit of the Hub repository; a branch or tag is resolved, as for ``sentence-transformers``."""
    method: Literal["argmax", "itermax", "match"] = "argmax"
    """``argmax``: mutually best links, the most precise; ``itermax``: repeated on the remaining units, up to
    ``rounds`` times; ``match``: the matching with the maximum sum, the most complete."""
    rounds: Annotated[int, Field(ge=1, le=10)] = 2
    """Rounds of ``itermax``."""
    layer: Annotated[int, Field(ge=0)] = 8
    """Layer whose vectors are compared (0: before the first); the published choice for 12 layers is 8."""
    by: Literal["subword", "word"] = "subword"
    """Whether to compare subwords, linking words if any of their subwords are linked, or the means of words."""
    min_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """Links with a lower cosine are left out."""
    distortion: Annotated[float, Field(ge=0)] = 0.0
    """Penalty on the distance from the diagonal (0: none)."""
    device: Runtime[str | None] = None
    """``cpu``, ``cuda``, ``mps``; by default the fastest available."""
    batch_size: Runtime[Annotated[int, Field(ge=1)]] = 32
    """Pairs per forward pass."""

    def load(self, *, cache: Path | None, threads: int) -> Aligner:
        """The aligner.

        Raises:
            ModelError: the packages are not installed, the model cannot be loaded, or has fewer layers.
        """
        name = self.name_and_revision()
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise ModelError(f"the model simalign needs packages: pip install 'polycurate[torch]' ({error})") from error
        torch.set_num_threads(threads)
        folder = self._folder()
        where: dict[str, Any] = {"trust_remote_code": False, "local_files_only": folder is not None}
        if folder is None:
            where["revision"] = name.rpartition("@")[2]
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder or self.model), **where)
            network = AutoModel.from_pretrained(str(folder or self.model), **where)
        except (OSError, ValueError) as error:
            raise ModelError(f"the model {self.model} cannot be loaded: {error}") from error
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(
                f"the tokenizer of {self.model} has no fast form (tokenizer.json), which tells the words of its pieces"
            )
        layers = int(getattr(network.config, "num_hidden_layers", 0))
        if self.layer > layers:
            raise ModelError(
                f"{self.model} has {layers} layers, so none of number {self.layer}; give 'layer:' up to {layers}"
            )
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        return _ByVectors(self, tokenizer, network.to(device).eval(), device)


class _ByVectors:
    def __init__(self, given: SimAlign, tokenizer: Any, network: Any, device: str) -> None:
        self.given, self.tokenizer, self.network, self.device = given, tokenizer, network, device
        longest = int(getattr(network.config, "max_position_embeddings", 512))
        self.longest = max(8, min(longest - 2, 512, int(getattr(tokenizer, "model_max_length", 512))))

    def align(self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> list[Alignment]:
        """The alignment of each pair; units beyond the model's length have no links, and no means are given (NaN)."""
        if len(sources) != len(targets):
            raise ModelError(f"{len(sources):,} source sides but {len(targets):,} target sides: they must pair up")
        found: list[Alignment] = []
        size = self.given.batch_size
        for start in range(0, len(sources), size):
            left = [list(sources[place]) for place in range(start, min(start + size, len(sources)))]
            right = [list(targets[place]) for place in range(start, min(start + size, len(sources)))]
            for one, other in zip(self._vectors(left), self._vectors(right), strict=True):
                found.append(self._pair(*one, *other))
        return found

    def _vectors(self, lists: Sequence[list[str]]) -> list[tuple[Grid, list[int]]]:
        """For each list the unit-length vectors of its pieces (or words), and the unit each belongs to."""
        import torch

        full = [place for place, units in enumerate(lists) if units]
        made: list[tuple[Grid, list[int]]] = [(np.zeros((0, 1)), []) for _ in lists]
        if not full:
            return made
        encoded = self.tokenizer(
            [lists[place] for place in full],
            is_split_into_words=True,
            padding=True,
            truncation=True,
            max_length=self.longest,
            return_tensors="pt",
        )
        with torch.inference_mode():
            states = self.network(**encoded.to(self.device), output_hidden_states=True).hidden_states[self.given.layer]
        array = states.float().cpu().numpy().astype(np.float64)
        for row, place in enumerate(full):
            words = encoded.word_ids(row)
            pieces = [at for at, word in enumerate(words) if word is not None]
            vectors, owners = array[row, pieces], [int(words[at]) for at in pieces]
            if self.given.by == "word":
                units = sorted(set(owners))
                vectors = np.array(
                    [vectors[[at for at, owner in enumerate(owners) if owner == unit]].mean(axis=0) for unit in units]
                )
                owners = units
            if len(owners):
                made[place] = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), owners)
        return made

    def _pair(self, left: Grid, here: list[int], right: Grid, there: list[int]) -> Alignment:
        if not here or not there:
            return Alignment((), (), _NOTHING, _NOTHING)
        cosines = left @ right.T
        grid = (
            cosines * (1 - self.given.distortion * _off_diagonal(*cosines.shape)) if self.given.distortion else cosines
        )
        best: dict[tuple[int, int], float] = {}
        for i, j in _links(grid, self.given.method, self.given.rounds):
            link, value = (here[i], there[j]), float(cosines[i, j])
            if value >= self.given.min_similarity:
                best[link] = max(value, best.get(link, -1.0))
        links = tuple(sorted(best))
        return Alignment(links, tuple(min(1.0, max(0.0, best[link])) for link in links), _NOTHING, _NOTHING)


def _off_diagonal(rows: int, columns: int) -> Grid:
    """How far each cell is from the diagonal, squared, 0 to 1."""
    down, right = np.arange(rows) / max(1, rows - 1), np.arange(columns) / max(1, columns - 1)
    far: Grid = (down[:, None] - right[None, :]) ** 2
    return far


def _links(grid: Grid, method: str, rounds: int) -> list[tuple[int, int]]:
    """The linked cells of a grid of similarities."""
    if method == "match":
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(grid, maximize=True)
        return list(zip(rows.tolist(), columns.tolist(), strict=True))
    mutual = _mutual(grid)
    if method == "argmax":
        return mutual
    found = list(mutual)
    for _ in range(rounds - 1):
        # What has a link on both sides is done; what has one on a side counts a little less than what has none.
        taken_rows, taken_columns = {i for i, _ in found}, {j for _, j in found}
        weights = np.ones_like(grid)
        weights[sorted(taken_rows), :] *= 0.9
        weights[:, sorted(taken_columns)] *= 0.9
        weights[np.ix_(sorted(taken_rows), sorted(taken_columns))] = 0.0
        fresh = [(i, j) for i, j in _mutual(grid * weights) if (i, j) not in found and weights[i, j] > 0]
        if not fresh:
            break
        found += fresh
    return found


def _mutual(grid: Grid) -> list[tuple[int, int]]:
    """Cells that are the greatest of their row and of their column."""
    by_row, by_column = grid.argmax(axis=1), grid.argmax(axis=0)
    return [(i, int(j)) for i, j in enumerate(by_row) if by_column[j] == i]
