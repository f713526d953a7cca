"""Mixtures: what shares come out, which rows they are, and that neither shards nor sizes change the choice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from settling import settle

import curate
from curate.rows import Kind
from curate.steps import StepError
from filters.mix.shares import allot
from filters.mix.step import Mix
from filters.mix.turns import turns


@pytest.fixture
def many(make: Any) -> Any:
    """100 English items, 40 of them in Swahili, 60 in Hindi, 10 in traditional Chinese."""
    rows = [
        {"language": language, "text": f"{language} {n}", "group_id": f"item:{n}", "source_name": f"from-{language}"}
        for language, count in (("en", 100), ("sw", 40), ("hi", 60), ("zh-Hant", 10))
        for n in range(count)
    ]
    return make(Kind.DOCUMENT, rows)


@pytest.fixture
def mixed(many: Any, context: Any, tmp_path: Path) -> Any:
    def run(given: Any = many, seed: int = 0, **params: Any) -> Any:
        context.seed = seed
        context.warnings.clear()
        found = settle(Mix(**params), [given], context, tmp_path / f"s{len(list(tmp_path.iterdir()))}")
        kept = [row for row, one in zip(given.table.to_pylist(), found, strict=True) if one["keep"]]
        return Counter(row["language"] for row in kept), {(row["language"], row["group_id"]) for row in kept}, found

    return run


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {"en": 100, "sw": 40, "hi": 60, "zh-Hant": 10}),
        ({"rows": 21}, {"en": 10, "sw": 4, "hi": 6, "zh-Hant": 1}),
        ({"weights": {"en": 90, "sw": 10}, "rows": 50}, {"en": 45, "sw": 5}),
        ({"weights": {"en": 1, "default": 1}, "rows": 40}, {"en": 10, "sw": 10, "hi": 10, "zh-Hant": 10}),
        # Without a size, as many as keep the shares.
        ({"weights": {"en": 1, "sw": 1}}, {"en": 40, "sw": 40}),
        ({"weights": {"en": 1, "zh": 1}}, {"en": 10, "zh-Hant": 10}),
        # UniMax: whoever has too few gives the rest to the others.
        ({"balance": "uniform", "rows": 100}, {"en": 30, "sw": 30, "hi": 30, "zh-Hant": 10}),
        ({"balance": "uniform", "rows": 170}, {"en": 60, "sw": 40, "hi": 60, "zh-Hant": 10}),
        ({"balance": "uniform", "rows": 100, "only": ["en", "hi"]}, {"en": 50, "hi": 50}),
        ({"balance": "uniform", "rows": 100, "caps": {"default": 25}}, {"en": 25, "sw": 25, "hi": 25, "zh-Hant": 10}),
        ({"balance": "temperature", "temperature": 1, "rows": 21}, {"en": 10, "sw": 4, "hi": 6, "zh-Hant": 1}),
        # 100^.5 : 40^.5 : 60^.5 : 10^.5 = 10 : 6.32 : 7.75 : 3.16
        ({"balance": "temperature", "temperature": 2, "rows": 27}, {"en": 10, "sw": 6, "hi": 8, "zh-Hant": 3}),
        ({"weights": {"en": 1, "sw": 1}, "rows": 100, "shortage": "short"}, {"en": 50, "sw": 40}),
        ({"weights": {"en": 1, "sw": 1}, "rows": 100, "shortage": "shrink"}, {"en": 40, "sw": 40}),
        ({"weights": {"en": 1, "sw": 1}, "rows": 100}, {"en": 60, "sw": 40}),
        ({"by": "source", "weights": {"from-en": 3, "from-hi": 1}, "rows": 40}, {"en": 30, "hi": 10}),
    ],
)
def test_the_shares_are_those_asked_for(mixed: Any, params: dict[str, Any], expected: dict[str, int]) -> None:
    assert mixed(**params)[0] == expected


def test_a_larger_mixture_holds_the_smaller_one_and_equal_numbers_are_the_same_items(mixed: Any) -> None:
    small, large = mixed(balance="uniform", rows=20)[1], mixed(balance="uniform", rows=40)[1]
    assert small < large
    by_language = {tag: {item for language, item in large if language == tag} for tag in ("en", "zh-Hant")}
    assert len(by_language["en"]) == 10 and len(mixed(seed=1, balance="uniform", rows=40)[1] & large) < 40
    # Of the items that there are in all four languages each language takes the same first ones.
    alike = mixed(balance="uniform", rows=20)[1]
    english = {item for language, item in mixed(only=["en"], rows=100)[1] if language == "en"}
    assert {item for _, item in alike} <= english
    # Nested in languages at constant size: what is in English with three languages is there with two.
    two, three = mixed(weights={"en": 1, "hi": 1}, rows=36)[1], mixed(weights={"en": 1, "hi": 1, "sw": 1}, rows=36)[1]
    assert {one for one in three if one[0] in ("en", "hi")} < two


def test_what_is_dropped_says_why(mixed: Any) -> None:
    _, _, found = mixed(weights={"en": 1, "sw": 1}, rows=20)
    assert Counter(one["reason"] for one in found) == {"beyond its share": 120, "not in the mixture": 70, None: 20}


def test_rows_may_count_more_than_once_without_being_written_twice(mixed: Any) -> None:
    counts, _, found = mixed(balance="uniform", rows=200, max_repeats=4)
    assert counts == {"en": 54, "sw": 40, "hi": 53, "zh-Hant": 10}
    repeats = Counter()
    for one, language in zip(found, ["en"] * 100 + ["sw"] * 40 + ["hi"] * 60 + ["zh-Hant"] * 10, strict=True):
        repeats[language] += one["repeats"] or 0
        assert (one["repeats"] is None) == (not one["keep"])
    # 200 over four: 50 each, but ten rows of Chinese count 40 at most, so the others take 160 between them.
    assert sum(repeats.values()) == 200 and repeats["zh-Hant"] == 40
    assert sorted(repeats.values()) == [40, 53, 53, 54]
    assert {one["repeats"] for one in found[-10:]} == {4.0}


def test_an_item_may_be_in_one_language_only(mixed: Any, context: Any) -> None:
    counts, chosen, found = mixed(balance="uniform", items="once", rows=40)
    assert counts == {"en": 10, "sw": 10, "hi": 10, "zh-Hant": 10}
    assert len({item for _, item in chosen}) == 40
    assert "its item is in another language" in {one["reason"] for one in found}
    counts, _, _ = mixed(balance="uniform", items="once", only=["sw", "zh-Hant"], rows=500)
    assert sum(counts.values()) < 500
    assert any(f"{sum(counts.values())} rows instead of 500" in message for message in context.warnings)


def parallel(make: Any, **items: range) -> Any:
    """Rows of these items in each language."""
    rows = [
        {"language": language, "text": f"{language} {n}", "group_id": f"item:{n}"}
        for language, numbers in items.items()
        for n in numbers
    ]
    return make(Kind.DOCUMENT, rows)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {"am": 100, "sw": 100, "yo": 100}),
        ({"balance": "uniform"}, {"am": 100, "sw": 100, "yo": 100}),
        ({"weights": {"am": 1, "sw": 2, "yo": 3}}, {"am": 50, "sw": 100, "yo": 150}),
        ({"balance": "uniform", "only": ["am", "yo"]}, {"am": 150, "yo": 150}),
        ({"balance": "uniform", "caps": {"am": 30}}, {"am": 30, "sw": 135, "yo": 135}),
    ],
)
def test_without_a_size_shares_are_of_the_items_there_are(make: Any, mixed: Any, params: Any, expected: Any) -> None:
    """Every item is there in every language: each gets its share of the items, not one of them nearly all."""
    counts, chosen, _ = mixed(parallel(make, am=range(300), sw=range(300), yo=range(300)), items="once", **params)
    assert counts == expected
    assert len({item for _, item in chosen}) == 300


ORDER = ["th", "am", "hi", "sw"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(ORDER), st.frozensets(st.integers(0, 20), min_size=1), min_size=1),
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from([{"balance": "uniform"}, {"weights": {"th": 5, "default": 2}}, {"balance": "natural"}]),
)
def test_a_larger_mixture_leaves_every_item_in_its_language(
    make: Any, mixed: Any, held: Any, rows: int, more: int, params: Any
) -> None:
    """Whatever items a language lacks."""
    given = parallel(make, **{tag: sorted(items) for tag, items in held.items()})
    small = mixed(given, items="once", rows=rows, **params)[1]
    large = mixed(given, items="once", rows=rows + more, **params)[1]
    assert small <= large


@pytest.mark.parametrize("params", [{"balance": "uniform"}, {"weights": {"am": 3, "hi": 2, "default": 1}}])
@pytest.mark.parametrize("rows", [9, 40, 100])
def test_another_language_takes_items_and_moves_none(make: Any, mixed: Any, params: Any, rows: int) -> None:
    """One, two, three, four languages at constant size, of items that are there in all of them."""
    given = parallel(make, am=range(100), hi=range(100), sw=range(100), th=range(100))
    before: dict[str, str] = {}
    for count in range(1, 5):
        only = ORDER[:count]
        counts, chosen, _ = mixed(given, items="once", only=only, rows=rows, **params)
        now = {item: language for language, item in chosen}
        assert len(now) == rows and set(counts) == set(only)
        weights = [params.get("weights", {}).get(tag, 1) for tag in only]
        for tag, weight in zip(only, weights, strict=True):
            assert abs(counts[tag] - rows * weight / sum(weights)) < 2
        assert not before or now.keys() == before.keys()
        assert all(language in (before[item], only[-1]) for item, language in now.items() if before)
        before = now


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8), st.integers(0, 300))
def test_turns_keep_to_the_weights_and_are_nested(weights: list[float], count: int) -> None:
    whose = list(turns(weights, count))
    assert list(turns(weights, count + 5))[:count] == whose
    for number in range(count + 1):
        for part, weight in enumerate(weights):
            assert abs(whose[:number].count(part) - number * weight / sum(weights)) < len(weights)
    if len(weights) > 1:
        without = list(turns(weights[:-1], count))
        last = len(weights) - 1
        assert all(now in (before, last) for now, before in zip(whose, without, strict=True))


@pytest.fixture
def tagged(make: Any) -> Any:
    """Pairs into three languages, half of them with a class."""
    return make(
        Kind.PARALLEL,
        [
            {"source_language": source, "source": f"{source} {n}", "language": target, "target": f"{target} {n}",
             "attributes": [{"name": "harm", "value": ("local", "local-global")[n % 4 == 0]}] if n % 2 == 0 else []}
            for source, target in (("en", "sw"), ("zh-Hant", "sw"), ("en", "ar"))
            for n in range(40)
        ],
    )  # fmt: skip


def test_shares_of_an_attribute_or_of_the_languages_of_prompts(tagged: Any, context: Any, tmp_path: Path) -> None:
    def kept(**params: Any) -> list[dict[str, Any]]:
        context.warnings.clear()
        found = settle(Mix(**params), [tagged], context, tmp_path / f"m{len(list(tmp_path.iterdir()))}")
        return [row for row, one in zip(tagged.table.to_pylist(), found, strict=True) if one["keep"]]

    def harm(rows: list[dict[str, Any]]) -> Counter[str]:
        return Counter(next((one["value"] for one in row["attributes"]), "") for row in rows)

    assert harm(kept(by="attribute.harm", weights={"local": 1, "": 3}, rows=40)) == {"local": 10, "": 30}
    # A value is no language: 'local' does not stand for 'local-global'.
    assert harm(kept(by="attribute.harm", weights={"local": 1}, rows=60)) == {"local": 30}
    assert harm(kept(by="attribute.harm", caps={"local": 5, "default": 7})) == {"local": 5, "local-global": 7, "": 7}
    kept(by="attribute.harm", weights={"global": 1, "local": 1}, rows=4)
    assert context.warnings[0] == "mix: no rows of 'global' (attribute.harm)"
    rows = kept(by="prompt_language", weights={"zh": 1, "en": 2}, rows=30)
    assert Counter(row["source_language"] for row in rows) == {"zh-Hant": 10, "en": 20}


def test_what_a_language_finds_taken_goes_to_the_others(make: Any, mixed: Any, context: Any) -> None:
    """All Amharic items are Swahili ones too, and half of the Yoruba ones: no item is left over, none is there
    twice."""
    counts, chosen, _ = mixed(
        parallel(make, am=range(60), sw=range(60), yo=range(40, 80)), items="once", balance="uniform"
    )
    assert sum(counts.values()) == len({item for _, item in chosen}) == 80
    assert min(counts.values()) >= 20 and context.warnings == []


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["am", "sw", "yo", "hi"]), st.frozensets(st.integers(0, 12), min_size=1), min_size=1
    ),
    st.sampled_from([None, 1, 5, 40]),
    st.sampled_from(["fill", "shrink", "short"]),
)
def test_an_item_is_never_in_two_languages_and_none_is_left_over(held: Any, rows: Any, shortage: str) -> None:
    languages = [language for language, numbers in held.items() for _ in numbers]
    item = np.array([n for numbers in held.values() for n in sorted(numbers)], np.uint64)
    names = {language: at for at, language in enumerate(held)}
    kind = np.array([names[language] for language in languages], np.int32)
    step = Mix(items="once", balance="uniform", rows=rows, shortage=shortage)
    repeats, _ = step._shared(item, kind, names, np.arange(len(item)), Silent())
    kept = item[repeats > 0].tolist()
    assert len(kept) == len(set(kept)) and repeats.max() <= 1
    every = len({n for numbers in held.values() for n in numbers})
    if shortage == "fill":
        assert len(kept) == min(every, rows or every)


class Silent:
    def warn(self, message: str) -> None: ...


def test_english_rows_are_replaced_by_translations_spread_evenly(mixed: Any, context: Any) -> None:
    counts, chosen, found = mixed(replace={"language": "en", "rows": 30})
    assert counts == {"en": 70, "sw": 10, "hi": 10, "zh-Hant": 10}
    assert len({item for _, item in chosen}) == 100
    assert Counter(one["reason"] for one in found)["replaced by a translation"] == 30
    counts, _, _ = mixed(replace={"language": "en", "rows": 50, "by": ["sw"]})
    assert counts == {"en": 60, "sw": 40}
    assert any("only 40 of 50" in message for message in context.warnings)
    assert mixed(replace={"language": "en", "rows": 5}, rows=20)[0].total() == 20


def test_the_best_come_first_if_asked(make: Any, mixed: Any) -> None:
    rows = make(
        Kind.DOCUMENT,
        [
            {"language": "en", "text": f"t{n}", "scores": [{"name": "grade", "value": n % 7}] if n else []}
            for n in range(50)
        ],
    )
    _, _, found = mixed(rows, choose="grade", rows=14)
    assert [n % 7 for n, one in enumerate(found) if one["keep"]].count(6) == 7
    assert not found[0]["keep"]
    assert [one["keep"] for one in mixed(rows, choose="first", rows=3)[2]][:4] == [True, True, True, False]


def test_too_little_is_told_or_refused(mixed: Any, context: Any) -> None:
    mixed(weights={"en": 1, "sw": 9}, rows=100)
    assert any("'sw' has 40.0% of the rows instead of 90.0%" in message for message in context.warnings)
    mixed(weights={"en": 1, "th": 1}, rows=10)
    assert any("no rows of 'th'" in message for message in context.warnings)
    mixed(rows=1000)
    assert any("210 rows instead of 1000" in message for message in context.warnings)
    with pytest.raises(StepError, match="'sw' has 40 rows, too few for its share of 90"):
        mixed(weights={"en": 1, "sw": 9}, rows=100, shortage="error")


def test_shards_do_not_matter_and_nothing_is_nothing(make: Any, many: Any, context: Any, tmp_path: Path) -> None:
    step = Mix(balance="uniform", rows=50)
    whole = settle(step, [many], context, tmp_path / "one")
    cut = [many.take([a <= n < b for n in range(len(many))]) for a, b in ((0, 30), (30, 30), (30, 31), (31, len(many)))]
    assert settle(step, cut, context, tmp_path / "cut") == whole
    assert settle(step, [make(Kind.SFT, [])], context, tmp_path / "none") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"balance": "weights"},
        {"balance": "uniform", "weights": {"en": 1}},
        {"weights": {"en": 0}},
        {"weights": {"en": -1}},
        {"temperature": 0.5},
        {"rows": 0},
        {"by": "langauge"},
        {"by": "attribute."},
        {"caps": {"sw": -1}},
        {"replace": {"language": "en", "rows": 3}, "weights": {"en": 1}},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Mix(**wrong)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.just(0.0), st.floats(0.001, 100)), st.integers(0, 500)), min_size=1, max_size=8),
    st.one_of(st.none(), st.integers(0, 3000)),
    st.sampled_from(["fill", "shrink", "short"]),
)
def test_allotments_keep_their_promises(parts: list[tuple[float, int]], rows: int | None, short: str) -> None:
    weights = np.array([weight for weight, _ in parts])
    limits = np.array([limit for _, limit in parts])
    found = allot(rows, weights, limits, short)
    assert (found >= 0).all() and (found <= limits).all() and (found[weights == 0] == 0).all()
    usable = int(limits[weights > 0].sum())
    if rows is not None:
        assert found.sum() <= rows
    if short == "fill":
        assert found.sum() == (usable if rows is None else min(rows, usable))
        # Whoever is not full has, for its weight, no less than anybody else (but for one row of rounding).
        per = [
            (found[at] + 1) / weights[at] for at in range(len(parts)) if weights[at] > 1e-6 and found[at] < limits[at]
        ]
        most = max(((found[at] - 1) / weights[at] for at in range(len(parts)) if weights[at] > 1e-6), default=0)
        assert not per or min(per) >= most * (1 - 1e-9)


def test_what_rows_do_not_have_is_found_before_anything_runs() -> None:
    assert Mix(by="prompt_language").check(Kind.DOCUMENT) == ["by: document rows have no prompt"]
    assert Mix(by="prompt_language").check(Kind.SFT) == []
    with pytest.raises(ValidationError, match="did you mean 'language'"):
        Mix(by="langage")


def test_names_of_scores_and_attributes_are_checked(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"t": "مرحبا", "harm": "local"}\n')
    catalog = """\
version: 1
sources: {rows: {use: jsonl, path: rows.jsonl, kind: document, language: ar, license: CC0-1.0, columns: {text: t},
                 attributes: [harm]}}
datasets:
  mixed: {from: rows, steps: [{mix: {by: attribute.harm}}]}
"""
    path = tmp_path / "catalog.yaml"
    path.write_text(catalog)
    assert [built.rows for built in curate.build(path)] == [1]
    path.write_text(catalog.replace("attribute.harm", "attribute.ham, choose: qualty"))
    with pytest.raises(curate.CatalogError) as caught:
        curate.check(path)
    assert "by: no step or source before gives the attribute 'ham'; did you mean 'harm'?" in str(caught.value)
    assert "choose: no step or source before gives the score 'qualty'; there are none" in str(caught.value)


PARTS = """\
version: 1
sources: {rows: {use: jsonl, path: rows.jsonl, kind: prompt, language: th, license: CC0-1.0, columns: {prompt: q}}}
datasets:
  asked: {from: rows}
  told: {from: rows, steps: [{compose: {kind: prompt, into: {prompt: "บอก: {prompt}"}}}]}
  mixed:
    from: [asked, told]
    steps:
      - compose: {into: {prompt: "{prompt}!"}}
      - mix: {by: dataset, weights: {asked: 1, told: 3}, rows: 20}
"""


def test_shares_of_the_datasets_that_rows_come_from(tmp_path: Path) -> None:
    """Of one source, also behind steps that make rows of rows."""
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"q": "คำถาม {n}"}}\n' for n in range(30)))
    path = tmp_path / "catalog.yaml"
    path.write_text(PARTS)

    def told() -> int:
        [count] = curate.query("SELECT count(*) FILTER (prompt[1].content LIKE 'บอก:%') FROM mixed", catalog=path).row(
            0
        )
        return int(count)

    assert [built.rows for built in curate.build(path)] == [30, 30, 20] and told() == 15
    path.write_text(PARTS.replace("{asked: 1, told: 3}", "{asked: 3, told: 1}"))
    assert [built.rows for built in curate.build(path)] == [30, 30, 20] and told() == 5
    # The same rows under other names are other shares.
    path.write_text(PARTS.replace("[asked, told]", "[told, asked]"))
    assert [built.rows for built in curate.build(path)] == [30, 30, 20] and told() == 15
    for old, new, said in (
        ("asked: 1, told", "askd: 1, told", "weights: 'askd' is not in 'from'; did you mean 'asked'?"),
        ("      - mix", "      - arrange\n      - mix", "put mix before it"),
    ):
        path.write_text(PARTS.replace(old, new))
        with pytest.raises(curate.CatalogError) as caught:
            curate.check(path)
        assert said in str(caught.value)
