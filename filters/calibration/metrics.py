"""Metrics of how well an encoder separates true pairs of two languages from hard negatives.

The metrics do not depend on the number of anchors. With n pairs of sentences and S the cosines of all left with all
right sentences, S_ii is *true* and everything else in row and column i is *wrong*. The hard negative of a sentence is
the nearest of ``among`` wrong ones; metrics are expectations over all ways to choose these, computed exactly. With N
wrong ones, m of which reach a value, one of h chosen ones reaches it with probability 1 - C(N-m, h) / C(N, h). So
results from 52 and from 1,000 anchors are comparable.

* ``retrieval``: a sentence's true partner is nearer than each of ``among`` wrong ones (mean, in either direction).
* ``xsim``: error rate of retrieval among *all* anchors, by the ratio margin with k = 4 (Artetxe and Schwenk 2019,
  *Margin-based parallel corpus mining*; as LASER's xsim on FLORES), and by plain cosine.
* ``mexa``: share of pairs with S_ii above everything else in row and column i (Kargaran et al. 2024, *MEXA:
  Multilingual Evaluation of English-Centric LLMs via Cross-Lingual Alignment*).
* ``cka``: linear centred kernel alignment (Kornblith et al. 2019, *Similarity of Neural Network Representations
  Revisited*). With fewer sentences than dimensions it is near 1 for any encoder, so ``cka_unbiased`` uses the unbiased
  estimator of HSIC instead (Song et al. 2012; Nguyen et al. 2021, *Do Wide and Deep Networks Learn the Same Things?*):
  0 for unrelated vectors.
* ``auc``: probability that a true pair has a higher cosine than a wrong one (hard negatives or random ones); ties count
  half.

Intervals are 95 % percentile bootstraps over sentences with a fixed seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DIGITS = 4
"""Cosines are rounded to this many digits, as in the scores of the step ``similarity``."""
_STEP = 10**DIGITS
_NEIGHBOURS = 4
_FLOOR = 0.05
"""Lower bound of mean cosines to neighbours in the margin, as in :mod:`filters.similarity.margin`."""
_SAMPLES = 500
_SEED = 20_240_229
_GRID = 201


@dataclass(frozen=True)
class Threshold:
    """The threshold that separates true pairs from hard negatives."""

    value: float
    """The lowest cosine (to four digits) from which kept pairs have the required precision."""
    recall: float
    """Share of true pairs at or above it."""
    passed: float
    """Share of hard negatives at or above it."""
    precision: float
    """Estimated share of good pairs among the kept ones."""


@dataclass(frozen=True)
class PairMetrics:
    """The metrics of one language pair; intervals are (2.5 %, 97.5 %)."""

    retrieval: tuple[float, float]
    retrieval_interval: tuple[float, float]
    xsim: tuple[float, float]
    xsim_cosine: tuple[float, float]
    auc_hard: float
    auc_hard_interval: tuple[float, float]
    auc_random: float
    mexa: float
    mexa_interval: tuple[float, float]
    cka: float
    cka_unbiased: float
    true_mean: float
    wrong_mean: float
    threshold: Threshold | None
    """None: no threshold has the required precision."""
    threshold_interval: tuple[float, float] | None
    recall_interval: tuple[float, float]


def measure(left: npt.ArrayLike, right: npt.ArrayLike, *, precision: float, bad: float, among: int) -> PairMetrics:
    """The metrics of one language pair.

    Args:
        left: unit-length vectors, shape (n, dimensions), n at least 5; row i of ``right`` is its translation.
        precision: the required share of good pairs among the kept ones.
        bad: the assumed share of bad pairs in the data.
        among: how many wrong sentences compete with the true one; at most n - 1 are used.

    Raises:
        ValueError: the shapes differ, or there are fewer than five sentences.
    """
    x, y = np.asarray(left, np.float64), np.asarray(right, np.float64)
    if x.shape != y.shape or x.ndim != 2 or len(x) < 5:
        raise ValueError(f"vectors of at least five pairs are needed, not of shapes {x.shape} and {y.shape}")
    cosines = Cosines(x @ y.T, min(among, len(x) - 1))
    random = np.random.default_rng(_SEED)
    weights = random.multinomial(len(x), np.full(len(x), 1 / len(x)), size=_SAMPLES) / len(x)
    threshold = cosines.threshold(precision, bad)
    thresholds, recalls = cosines.resampled(weights, precision, bad)
    retrieval = cosines.retrieval()
    mutual = cosines.mutual().astype(np.float64)
    hard = cosines.hard_wins()
    known = thresholds[~np.isnan(thresholds)]
    off = cosines.values[~np.eye(len(x), dtype=bool)]
    plain, unbiased = cka(x, y)
    return PairMetrics(
        retrieval=(float(retrieval[0].mean()), float(retrieval[1].mean())),
        retrieval_interval=_interval(weights @ retrieval.mean(axis=0)),
        xsim=cosines.margin_errors(),
        xsim_cosine=cosines.errors(),
        auc_hard=float(hard.mean()),
        auc_hard_interval=_interval(np.einsum("bi,ij,bj->b", weights, hard, weights, optimize=True)),
        auc_random=cosines.auc_random(),
        mexa=float(mutual.mean()),
        mexa_interval=_interval(weights @ mutual),
        cka=plain,
        cka_unbiased=unbiased,
        true_mean=float(cosines.true.mean()),
        wrong_mean=float(off.mean()),
        threshold=threshold,
        threshold_interval=_interval(known) if threshold is not None and len(known) else None,
        recall_interval=_interval(recalls),
    )


class Cosines:
    """The cosines of n left with n right sentences; the diagonal holds the true pairs."""

    def __init__(self, values: Floats, among: int) -> None:
        self.values: Floats = np.round(values, DIGITS)
        self.n = len(values)
        self.true: Floats = np.ascontiguousarray(self.values.diagonal())
        # Row i: the wrong partners of left sentence i; row n + i: of right sentence i.
        off = ~np.eye(self.n, dtype=bool)
        self._wrong: Floats = np.sort(
            np.concatenate([self.values[off], self.values.T[off]]).reshape(2 * self.n, self.n - 1), axis=1
        )
        self._reach = reach(self.n - 1, among)

    def _passed(self, at: Floats, *, strictly: bool = False) -> Floats:
        """For each sentence pair and each value, the probability that its hard negative reaches the value; shape (n,
        len(at))."""
        side = "right" if strictly else "left"
        reached = np.stack([self.n - 1 - np.searchsorted(row, at, side=side) for row in self._wrong])  # type: ignore[call-overload]
        passed = self._reach[reached]
        both: Floats = (passed[: self.n] + passed[self.n :]) / 2
        return both

    def hard_wins(self) -> Floats:
        """For sentences j and i, the probability that true pair i beats the hard negative of j (ties: half)."""
        wins: Floats = 1 - (self._passed(self.true) + self._passed(self.true, strictly=True)) / 2
        return wins

    def retrieval(self) -> Floats:
        """For each left (row 0) and right (row 1) sentence, the probability that its partner is nearer than ``among``
        others."""
        twice = np.concatenate([self.true, self.true])[:, None]
        probabilities: Floats = (1 - self._reach[(self._wrong >= twice).sum(axis=1)]).reshape(2, self.n)
        return probabilities

    def errors(self) -> tuple[float, float]:
        """Share of left, and of right, sentences whose nearest sentence is not their partner."""
        twice = np.concatenate([self.true, self.true])
        wrong = (self._wrong[:, -1] >= twice).reshape(2, self.n)
        return float(wrong[0].mean()), float(wrong[1].mean())

    def mutual(self) -> npt.NDArray[np.bool_]:
        """Which true pairs are nearer than everything else in their row and column."""
        best = self._wrong[:, -1].reshape(2, self.n).max(axis=0)
        return np.asarray(self.true > best, bool)

    def margin_errors(self) -> tuple[float, float]:
        """Like :meth:`errors`, by the ratio margin."""
        k = min(_NEIGHBOURS, self.n)
        forward = -np.sort(-self.values, axis=1)[:, :k].mean(axis=1)
        backward = -np.sort(-self.values, axis=0)[:k].mean(axis=0)
        margins = self.values / np.maximum((forward[:, None] + backward[None, :]) / 2, _FLOOR)
        right = np.arange(self.n)
        return float((margins.argmax(axis=1) != right).mean()), float((margins.argmax(axis=0) != right).mean())

    def auc_random(self) -> float:
        """Probability that a true pair beats a wrong one (ties: half)."""
        every = np.sort(self._wrong[: self.n].ravel())
        below = np.searchsorted(every, self.true, side="left") + np.searchsorted(every, self.true, side="right")
        return float(below.mean() / 2 / len(every))

    # -------------------------------------------------------------------------------------------------------- threshold
    def precision(self, recall: Floats | float, passed: Floats | float, bad: float) -> Floats:
        """Share of good pairs among the kept ones, if a share ``bad`` of all pairs are as bad as a hard negative.

        One passing negative more than observed is assumed, so that few anchors promise little.
        """
        recall, passed = np.asarray(recall, np.float64), np.asarray(passed, np.float64)
        good = (1 - bad) * recall
        share: Floats = good / (good + bad * (passed * self.n + 1) / (self.n + 1))
        return share

    def can_show(self, precision: float, bad: float) -> bool:
        """Whether a perfect encoder would reach that precision with so many anchors."""
        return bool(self.precision(1.0, 0.0, bad) >= precision)

    def threshold(self, precision: float, bad: float) -> Threshold | None:
        """The lowest threshold with that precision; between the values at which recall changes, found by bisection."""
        values = np.unique(self.true)
        recalls = (self.true[:, None] >= values).mean(axis=0)
        enough = np.flatnonzero(self.precision(recalls, self._passed(values).mean(axis=0), bad) >= precision)
        if not len(enough):
            return None
        first, recall = int(enough[0]), float(recalls[enough[0]])
        # Recall is constant down to the next lower true value (exclusive); the higher the value, the fewer pass.
        high = round(values[first] * _STEP)
        low = round(values[first - 1] * _STEP) if first else -_STEP - 1
        while high - low > 1:
            middle = (high + low) // 2
            if self.precision(recall, self._passed_at(middle / _STEP), bad) >= precision:
                high = middle
            else:
                low = middle
        passed = self._passed_at(high / _STEP)
        return Threshold(high / _STEP, recall, passed, float(self.precision(recall, passed, bad)))

    def _passed_at(self, value: float) -> float:
        return float(self._passed(np.asarray([value])).mean())

    def resampled(self, weights: Floats, precision: float, bad: float) -> tuple[Floats, Floats]:
        """Threshold (nan: none) and recall (then 0) in each resample, on a grid of values."""
        low = min(float(self.true.min()), float(np.quantile(self._wrong[:, -1], 0.5)))
        grid = np.unique(np.concatenate([self.true, np.linspace(low, float(self.true.max()), _GRID)]))
        recalls = weights @ (self.true[:, None] >= grid).astype(np.float64)
        enough = self.precision(recalls, weights @ self._passed(grid), bad) >= precision
        first = enough.argmax(axis=1)
        some = enough.any(axis=1)
        return np.where(some, grid[first], np.nan), np.where(some, recalls[np.arange(len(weights)), first], 0.0)


def reach(wrong: int, among: int) -> Floats:
    """For m = 0 … ``wrong``: the probability that at least one of ``among`` drawn from ``wrong`` is among m; shape
    (wrong + 1,)."""
    missed = np.zeros(wrong + 1)
    missed[0] = 1.0
    for m in range(min(wrong, wrong - among)):
        missed[m + 1] = missed[m] * (wrong - m - among) / (wrong - m)
    return 1 - missed


def cka(x: Floats, y: Floats) -> tuple[float, float]:
    """Linear CKA of two sets of vectors, shape (n, dimensions), n at least 4: with the biased and the unbiased HSIC."""
    n = len(x)
    gram = [side @ side.T for side in (x, y)]
    centred = [one - one.mean(axis=0) - one.mean(axis=1)[:, None] + one.mean() for one in gram]
    hollow = [one - np.diag(one.diagonal()) for one in gram]

    def unbiased(k: Floats, l: Floats) -> float:  # noqa: E741 - as in the paper
        mixed = k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k.sum(axis=0) @ l.sum(axis=0))
        return float(((k * l).sum() + mixed) / (n * (n - 3)))

    def normal(both: float, one: float, other: float) -> float:
        return float(both / np.sqrt(one * other)) if one > 0 and other > 0 else 0.0

    (a, b), (c, d) = centred, hollow
    plain = normal(float((a * b).sum()), float((a * a).sum()), float((b * b).sum()))
    return plain, normal(unbiased(c, d), unbiased(c, c), unbiased(d, d))


def _interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
