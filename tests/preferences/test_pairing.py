"""Which pairs are made of the candidates of one prompt, against all pairs there are."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.preferences.pair.merge import RowIndex
from curate.preferences.pair.pairless import Pairless
from curate.preferences.pair.rules import CandidatePair, Entry, Rule, balanced

ENTRIES = st.lists(
    st.builds(
        Entry,
        place=st.integers(0, 10**6),
        score=st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]),
        length=st.integers(0, 400),
        text=st.sampled_from([b"a", b"b", b"c", b"d"]),
        chance=st.integers(0, 2**64 - 1),
        may_win=st.booleans(),
        may_lose=st.booleans(),
        translated=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one.place,
)
CHOOSE = ["best_worst", "best_random", "best_rest", "neighbours", "threshold", "all"]


def entry(place, score, *, text=None, length=10, chance=0, **more):
    return Entry(place, score, length, text or str(place).encode(), chance, **more)


@pytest.mark.parametrize("choose", CHOOSE)
@given(
    entries=ENTRIES,
    margin=st.sampled_from([0.0, 0.5, 1.5]),
    ratio=st.sampled_from([None, 2.0]),
    translated=st.sampled_from(["any", "same", "never_chosen"]),
)
def test_no_pair_is_undecided_equal_or_forbidden_whatever_the_choice(choose, entries, margin, ratio, translated):
    rule = Rule(choose, True, margin, good=1.0, bad=2.0, max_ratio=ratio, translated=translated)
    pairs = rule.pairs(entries)
    for pair in pairs:
        assert pair.chosen.score > pair.rejected.score
        assert pair.margin >= margin - 1e-9
        assert pair.chosen.text != pair.rejected.text
        assert pair.chosen.may_win and pair.rejected.may_lose
        assert ratio is None or max(pair.chosen.length, 1) <= ratio * max(pair.rejected.length, 1)
        assert ratio is None or max(pair.rejected.length, 1) <= ratio * max(pair.chosen.length, 1)
        if translated == "same":
            assert pair.chosen.translated == pair.rejected.translated
        if translated == "never_chosen":
            assert not (pair.chosen.translated and not pair.rejected.translated)
        if choose == "threshold":
            assert pair.chosen.score >= 1 and pair.rejected.score <= 2
    assert len({(pair.chosen.place, pair.rejected.place) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("choose", CHOOSE)
@given(entries=ENTRIES, data=st.data())
def test_the_order_of_candidates_does_not_matter(choose, entries, data):
    shuffled = data.draw(st.permutations(entries))
    rule = Rule(choose, True, most=1)
    unique = len({one.chance for one in entries}) == len(entries)
    if unique:
        assert rule.pairs(shuffled) == rule.pairs(entries)


@given(entries=ENTRIES)
def test_best_against_worst_is_the_widest_margin_there_is(entries):
    rule = Rule("best_worst", True, most=1)
    every = [CandidatePair(a, b) for a, b in permutations(entries, 2) if rule.allows(a, b)]
    found = rule.pairs(entries)
    assert len(found) == bool(every)
    if every:
        assert found[0].margin == max(one.margin for one in every)


@given(entries=ENTRIES)
def test_all_without_scores_gives_each_two_both_ways_round(entries):
    found = {(one.chosen.place, one.rejected.place) for one in Rule("all", False).pairs(entries)}
    free = [one for one in entries if one.may_win and one.may_lose]
    for a, b in permutations(free, 2):
        assert ((a.place, b.place) in found) == (a.text != b.text)


def test_each_choice_by_hand():
    five = [entry(place, score, chance=place) for place, score in enumerate([3.0, 1.0, 5.0, 4.0, 1.5])]

    def pairs(choose, **more):
        found = Rule(choose, True, **more).pairs(five)
        return [(one.chosen.score, one.rejected.score) for one in found]

    assert pairs("best_worst", most=1) == [(5, 1)]
    assert pairs("best_worst", most=2) == [(5, 1), (4, 1.5)]  # each answer once
    assert pairs("best_worst", most=2, reuse=True) == [(5, 1), (5, 1.5)]
    assert pairs("best_rest") == [(5, 1), (5, 1.5), (5, 3), (5, 4)]
    assert pairs("neighbours") == [(5, 4), (4, 3), (3, 1.5), (1.5, 1)]
    assert pairs("neighbours", min_margin=1.0) == [(5, 4), (4, 3), (3, 1.5)]
    assert pairs("threshold", good=4.0, bad=1.0) == [(5, 1)]
    assert pairs("best_random", most=1) == [(5, 3)]  # the least chance
    assert len(pairs("all")) == 10


def test_equal_best_scores_are_decided_by_chance_and_not_by_length_or_order():
    chances = [7, 3, 9]
    tied = [entry(place, 1.0, length=100 - place, chance=chance) for place, chance in enumerate(chances)]
    (pair,) = Rule("best_worst", True, most=1).pairs([*tied, entry(9, 0.0)])
    assert pair.chosen.place == 1


@given(lengths=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["sw", "th"])), max_size=60))
def test_balanced_pairs_choose_the_longer_answer_as_often_as_the_shorter_one(lengths):
    pairs = [CandidatePair(entry(n, 1, length=a), entry(n + 1000, 0, length=b)) for n, (a, b, _) in enumerate(lengths)]
    languages = [language for _, _, language in lengths]
    kept = balanced(pairs, languages, list(range(len(pairs))))
    assert kept == sorted(set(kept))
    for language in ("sw", "th"):
        mine = [pairs[place] for place in kept if languages[place] == language]
        assert sum(one.ratio > 1 for one in mine) == sum(one.ratio < 1 for one in mine)
    assert {place for place, one in enumerate(pairs) if one.ratio == 1} <= set(kept)


@pytest.mark.parametrize(
    ("entries", "rule", "reason"),
    [
        ([entry(1, 1.0)], Rule("all", False), "they have one answer only"),
        ([entry(1, 1.0), entry(2, 1.0)], Rule("best_worst", True), "no answer is better than another by enough"),
        ([entry(1, 1.0), entry(2, 1.4)], Rule("best_rest", True, 0.5), "no answer is better than another by enough"),
        ([entry(1, 1.0), entry(2, 3.0)], Rule("threshold", True, good=4), "no answer is better than another by enough"),
        ([entry(1, 1.0, text=b"a"), entry(2, 2.0, text=b"a")], Rule("best_worst", True), "their answers are equal"),
        ([entry(1, 1, length=9), entry(2, 2, length=99)], Rule("all", True, max_ratio=3), "differ too much in length"),
        (
            [entry(1, 1.0), entry(2, 2.0, translated=True)],
            Rule("best_worst", True, translated="never_chosen"),
            "their answers are translated and direct ones",
        ),
        (
            [entry(1, 1.0, may_lose=False), entry(2, 2.0, may_lose=False)],
            Rule("all", False),
            "no answer that may be chosen has another that may be rejected",
        ),
        ([entry(1, 1.0), entry(2, 2.0)], Rule("best_worst", True), "by models that 'same_model' keeps apart"),
    ],
)
def test_prompts_without_a_pair_are_counted_by_reason_and_language(bench, entries, rule, reason):
    index = RowIndex({b"1": entries, b"2": entries, b"3": []}, {b"1": "sw", b"2": "th", b"3": "en"}, [])
    pairless, context = Pairless("pair"), bench()
    for language, some in index.prompts(8):
        pairless.add(language, some, rule)
    pairless.tell(index, context)
    [told] = context.warnings
    assert told.startswith("pair: 2 of 3 prompts make no pair: ") and told.endswith("(sw 1, th 1)")
    assert reason in told
