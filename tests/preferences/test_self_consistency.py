"""Votes are counted as by hand, in whatever order rows come."""

from __future__ import annotations

import importlib.util
import json
import random
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import curate
from curate.errors import StepError
from curate.preferences.self_consistency.step import SelfConsistency
from curate.rows import Kind
from curate.steps import Rows

_spec = importlib.util.spec_from_file_location("settling", Path(__file__).parents[1] / "filters" / "settling.py")
settling = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(settling)


@pytest.fixture
def vote(bench, make, turns, tmp_path):
    """The verdicts on (prompt, answer, language, more) rows."""
    number = iter(range(100_000))

    def run(rows, step=None, *, cut=1_000, context=None, tables=None, **params):
        full = [
            {"messages": turns(f"user: {prompt}", f"assistant: {answer}"), "language": language, **more}
            for prompt, answer, language, more in rows
        ]
        whole = make(Kind.SFT, full)
        shards = [Rows(Kind.SFT, whole.table.slice(start, cut)) for start in range(0, max(1, len(whole)), cut)]
        context = context or bench(rows=tables or {})
        return settling.settle(step or SelfConsistency(**params), shards, context, tmp_path / str(next(number)))

    return run


def row(prompt, answer, language="en", **more):
    return (prompt, answer, language, more)


def test_each_row_has_the_share_of_its_answer(vote):
    told = vote(
        [
            row("six by three?", "The answer is 18."),
            row("six by three?", "= 18"),
            row("six by three?", "I say 12"),
            row("six by three?", "no idea"),
            row("two by two?", "4"),
            row("two by two?", "Four: 4.0"),
        ]
    )
    assert [one["score"] for one in told] == [2 / 3, 2 / 3, 1 / 3, None, 1.0, 1.0]
    assert [one["answer"] for one in told] == ["18", "18", "12", None, "4", "4"]
    assert {one["agreement"] for one in told[:4]} == {2 / 3} and {one["margin"] for one in told[:4]} == {1 / 3}
    assert [one["votes"] for one in told] == [3.0] * 4 + [2.0] * 2
    assert [one["reason"] for one in told] == [None, None, None, "no answer", None, None]
    assert [one["keep"] for one in told] == [True, True, True, False, True, True]


def test_one_prompt_in_two_languages_is_two_prompts_unless_items_vote_together(vote):
    rows = [
        row("?", "18", "en", group_id="a"),
        row("?", "answer: 18", "en", group_id="a"),
        row("？", "十八", "zh", group_id="a"),
        row("؟", "الجواب: ١٩", "ar", group_id="a"),
        row("?", "7", "en", group_id="b"),
    ]
    alone = vote(rows, min_votes=1)
    assert [one["score"] for one in alone] == [2 / 3, 2 / 3, 1.0, 1.0, 1 / 3]
    together = vote(rows, across="group", min_votes=1)
    assert [one["score"] for one in together] == [0.75, 0.75, 0.75, 0.25, 1.0]
    fair = vote(rows, across="group", count="languages", min_votes=1)
    assert [round(one["score"], 6) for one in fair] == [0.666667, 0.666667, 0.666667, 0.333333, 1.0]


def test_prompts_without_agreement_are_dropped_by_language(vote):
    rows = [
        row(prompt, text, language)
        for prompt, language in (("a", "en"), ("b", "de"))
        for text in ("1", "1", "2", "3", "3.")
    ]
    told = vote(rows, min_agreement={"default": 0.4, "de": 0.5})
    assert [one["reason"] for one in told] == [None] * 5 + ["low agreement"] * 5
    assert {one["reason"] for one in vote(rows, min_margin=0.1)} == {"small margin"}
    assert {one["reason"] for one in vote(rows, min_votes=6)} == {"too few votes"}
    assert [one["reason"] for one in vote([*rows[:3]], losers="drop")] == [None, None, "not the most voted"]
    tied = vote([row("a", "1"), row("a", "2")], losers="drop")
    assert {one["reason"] for one in tied} == {"not the most voted"}, "a tie has no winner"


def test_an_answer_with_two_readings_is_read_as_the_others_mean_it(vote):
    told = vote([row("?", "Antwort: 1,234", "de"), row("?", "Antwort: 1234", "de"), row("?", "Antwort: 1 234", "de")])
    assert [one["answer"] for one in told] == ["1234"] * 3 and {one["score"] for one in told} == {1.0}
    told = vote([row("?", "Antwort: 1,234", "de"), row("?", "Antwort: 1,2340", "de")])
    assert [one["answer"] for one in told] == ["1.234"] * 2


def test_votes_may_be_weighted_by_a_score(vote):
    def scored(text, value):
        return row("?", text, scores=[{"name": "sure", "value": value}])

    told = vote(
        [scored("1", 3.0), scored("2", 1.0), scored("2", 1.0), scored("3", -4.0), row("?", "4")], weights="sure"
    )
    assert [round(one["score"], 6) for one in told] == [0.6, 0.4, 0.4, 0.0, 0.0]
    assert told[0]["votes"] == 3.0 and round(told[0]["margin"], 6) == 0.2
    with pytest.raises(StepError, match="no row has a score 'surely'"):
        vote([scored("1", 3.0)], weights="surely")


def test_right_answers_come_from_an_attribute_or_from_other_rows(vote, make, turns):
    def told_by(text, value, language="en", item="i"):
        return row("?", text, language, group_id=item, attributes=[{"name": "gold", "value": value}])

    told = vote(
        [told_by("it is 70.000", "70,000", "de"), told_by("7", "70,000"), told_by("none", "70,000")],
        gold_attribute="gold",
        wrong="drop",
        min_votes=1,
    )
    assert [one["correct"] for one in told] == [1.0, 0.0, None]
    assert [one["reason"] for one in told] == [None, "wrong answer", "no answer"]
    gold = make(
        Kind.SFT,
        [
            {"messages": turns("user: ?", "assistant: Answer: 18"), "language": "en", "group_id": "i"},
            {"messages": turns("user: ？", "assistant: 答案是19。"), "language": "zh", "group_id": "i"},
        ],
    )
    rows = [
        row("?", "18", "en", group_id="i"),
        row("？", "18", "zh", group_id="i"),
        row("؟", "١٨", "ar", group_id="i"),
        row("?", "1", "en", group_id="j"),
    ]
    told = vote(rows, gold="answers", tables={"answers": [gold]}, min_votes=1)
    assert [one["correct"] for one in told] == [1.0, 0.0, 1.0, None]


def test_what_is_missing_is_told(vote, bench):
    context = bench()
    vote([row("?", "nothing", "sw")] * 12, context=context)
    assert any("12 of 12 rows in sw have no final answer" in said for said in context.warnings)
    context = bench()
    vote([row("?", "5")], gold_attribute="solution", context=context)
    assert any("no row has an attribute 'solution'" in said for said in context.warnings)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"field": "value"}, "answer: json"),
        ({"count": "languages"}, "across: group"),
        ({"wrong": "drop"}, "gold"),
        ({"min_agreement": 1.5}, "less than or equal"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(params, said):
    with pytest.raises(ValueError, match=said):
        SelfConsistency(**params)


def test_no_rows_are_no_trouble(vote, bench, tmp_path):
    assert vote([]) == []
    assert [*SelfConsistency().decide([], bench())] == []


def test_other_kinds_of_candidates_vote_too(bench, make, turns, tmp_path):
    rows = make(
        Kind.UNPAIRED,
        [
            {"prompt": turns("user: ?"), "completion": turns(f"assistant: so {n}"), "label": True, "language": "en"}
            for n in (5, 5.0, 6)
        ],
    )
    told = settling.settle(SelfConsistency(), [rows], bench(), tmp_path)
    assert [one["score"] for one in told] == [2 / 3, 2 / 3, 1 / 3]


# ----------------------------------------------------------------------------------------------------------- properties
ANSWERS = st.sampled_from(["1", "Answer: 2", "= 2", "3.0", "nothing", "It is 3", "1,234", "1234", "٢"])
ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), ANSWERS, st.sampled_from(["en", "de", "ar"]), st.sampled_from("xy")), max_size=25
)


@given(
    ROWS,
    st.integers(1, 7),
    st.randoms(use_true_random=False),
    st.sampled_from([{}, {"across": "group"}, {"across": "group", "count": "languages"}]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neither_the_order_of_rows_nor_the_cut_of_shards_changes_a_vote(vote, rows, cut, chance, params):
    given_ = [row(prompt, text, language, group_id=item) for prompt, text, language, item in rows]
    one = vote(given_, **params)
    order = list(range(len(rows)))
    chance.shuffle(order)
    other = vote([given_[place] for place in order], cut=cut, **params)
    assert [one[place] for place in order] == other


@given(ROWS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_votes_are_those_counted_by_hand(vote, rows):
    told = vote([row(prompt, text, language, group_id=item) for prompt, text, language, item in rows])
    counts: dict = defaultdict(lambda: defaultdict(int))
    for (prompt, _, language, _), one in zip(rows, told, strict=True):
        if one["answer"] is not None:
            counts[prompt, language][one["answer"]] += 1
    for (prompt, _, language, _), one in zip(rows, told, strict=True):
        mine = counts[prompt, language]
        total, ranked = sum(mine.values()), sorted(mine.values(), reverse=True)
        assert one["votes"] == total
        assert one["score"] == (None if one["answer"] is None else mine[one["answer"]] / total)
        assert one["agreement"] == (ranked[0] / total if total else None)
        second = ranked[1] if len(ranked) > 1 else 0
        assert one["margin"] == ((ranked[0] - second) / total if total else None)
    for mine in filter(None, counts.values()):
        assert sum(Fraction(n, sum(mine.values())) for n in mine.values()) == 1


def test_the_shares_of_a_prompts_answers_add_up_to_one_with_any_weights(vote):
    chance = random.Random(5)
    rows = [
        row(
            "?",
            str(n % 7),
            "en",
            scores=[{"name": "w", "value": chance.expovariate(1.0) * 10 ** chance.randint(-9, 9)}],
        )
        for n in range(60)
    ]
    shares = {one["answer"]: one["score"] for one in vote(rows, weights="w")}
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-12)


# ---------------------------------------------------------------------------------------------------------- whole build
def test_a_catalog_with_votes_builds_and_the_dropped_can_be_asked_for(tmp_path):
    samples = [
        ("Was ist 3 mal 6?", "de", ["Antwort: 18", "Das ist 18.", "Es sind 9."]),
        ("3かける6は？", "ja", ["答えは１８です。", "十八", "答え：12"]),
        ("2 + 2?", "en", ["4", "5", "6"]),
    ]
    lines = [
        {
            "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}],
            "language": language,
        }
        for prompt, language, texts in samples
        for text in texts
    ]
    (tmp_path / "samples.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8"
    )
    catalog = {
        "version": 1,
        "sources": {
            "samples": {
                "use": "jsonl",
                "path": "samples.jsonl",
                "kind": "sft",
                "language": "{language}",
                "license": "CC0-1.0",
            }
        },
        "datasets": {"voted": {"from": "samples", "steps": [{"self_consistency": {"min_agreement": 0.5}}]}},
    }
    (tmp_path / "catalog.yaml").write_text(yaml.safe_dump(catalog, allow_unicode=True), "utf-8")
    [built] = curate.build(tmp_path / "catalog.yaml")
    assert built.rows == 6
    kept = curate.query(
        "SELECT language, score(scores, 'self_consistency') AS share, attribute(attributes,"
        " 'self_consistency.answer') AS answer FROM voted ORDER BY 1, 2, 3",
        catalog=tmp_path / "catalog.yaml",
    )
    assert [(language, round(share, 3), answer) for language, share, answer in kept.rows()] == [
        ("de", 0.333, "9"),
        ("de", 0.667, "18"),
        ("de", 0.667, "18"),
        ("ja", 0.333, "12"),
        ("ja", 0.667, "18"),
        ("ja", 0.667, "18"),
    ]
    left = curate.query("SELECT reason, count(*) FROM voted.rejected GROUP BY 1", catalog=tmp_path / "catalog.yaml")
    assert left.rows() == [("self_consistency: low agreement", 3)] or left.rows() == [("low agreement", 3)]
