"""κ, rank correlation and intervals, against their definitions (and scipy where it is there)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.preferences.agreement import bootstrap, cohen_kappa, mean, ranks, spearman

labels = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40)
values = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=40)


@given(labels)
def test_kappa_is_what_its_definition_says(pairs):
    a, b = zip(*pairs, strict=True)
    n = len(pairs)
    agreed = sum(x == y for x, y in pairs) / n
    chance = sum(a.count(one) / n * (b.count(one) / n) for one in "abc")
    found = cohen_kappa(a, b)
    if chance == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx((agreed - chance) / (1 - chance))
        assert found == pytest.approx(cohen_kappa(b, a)) and found <= 1
        assert found == pytest.approx(cohen_kappa(a, b, labels="abcz"))  # a label that nobody gives changes nothing


@given(labels)
def test_weighted_kappa_counts_near_misses_less(pairs):
    a, b = ([" abc".index(one) for one in side] for side in zip(*pairs, strict=True))
    for weights, power in (("linear", 1), ("quadratic", 2)):
        expected = np.mean([[abs(x - y) ** power for y in b] for x in a])
        found = cohen_kappa(a, b, weights, labels=(1, 2, 3))
        if expected == 0:
            assert math.isnan(found)
        else:
            assert found == pytest.approx(
                1 - np.mean([abs(x - y) ** power for x, y in zip(a, b, strict=True)]) / expected
            )


def test_a_constant_judge_has_no_agreement_beyond_chance():
    assert cohen_kappa("aaaa", "abab") == 0
    assert cohen_kappa("abab", "abab") == 1
    assert cohen_kappa("abab", "baba") == -1
    assert math.isnan(cohen_kappa("", "")) and math.isnan(cohen_kappa("aa", "aa"))
    with pytest.raises(ValueError, match="2 ratings of one rater, 1 of the other"):
        cohen_kappa("ab", "a")
    with pytest.raises(ValueError, match="'c' is none of the labels"):
        cohen_kappa("ac", "aa", labels="ab")


@settings(deadline=None)
@given(values)
def test_spearman_is_pearson_of_mean_ranks(pairs):
    x, y = (np.array(side, float) for side in zip(*pairs, strict=True))
    slow = [sum(v < w for v in x) + (sum(v == w for v in x) + 1) / 2 for w in x]
    assert ranks(x).tolist() == pytest.approx(slow)
    found = spearman(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(ranks(x), ranks(y))[0, 1], abs=1e-12)
        assert spearman(x, -y) == pytest.approx(-found) and spearman(np.exp(x), y) == pytest.approx(found)


@settings(deadline=None)
@given(values)
def test_spearman_is_that_of_scipy(pairs):
    stats = pytest.importorskip("scipy.stats")
    x, y = zip(*pairs, strict=True)
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
        assert ranks(x).tolist() == stats.rankdata(x).tolist()


@given(st.integers(2, 60), st.integers(0, 2**31))
def test_an_interval_holds_its_figure_and_depends_on_the_seed_alone(n, seed):
    generator = np.random.default_rng(seed)
    flags = generator.integers(0, 2, n).astype(float)
    found = bootstrap(mean, flags, seed=seed, resamples=200)
    assert found == bootstrap(mean, flags, seed=seed, resamples=200)
    assert found.low <= found.value <= found.high and found.n == n and found.value == flags.mean()


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(5)
    hits = 0
    for number in range(200):
        found = bootstrap(mean, (generator.random(80) < 0.3).astype(float), seed=number, resamples=300)
        hits += found.low <= 0.3 <= found.high
    assert 180 <= hits <= 199


def test_what_varies_together_is_drawn_together():
    flags = np.repeat([0.0, 1.0] * 10, 20)
    alone = bootstrap(mean, flags, seed=1)
    together = bootstrap(mean, flags, seed=1, groups=np.repeat(np.arange(20), 20).tolist())
    assert together.high - together.low > 3 * (alone.high - alone.low)
    nothing = bootstrap(mean, flags, seed=1, groups=[0] * 400)
    assert nothing.value == 0.5 and math.isnan(nothing.low)
    assert math.isnan(bootstrap(mean, [], seed=1).value)
