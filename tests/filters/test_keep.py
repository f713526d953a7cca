"""Rows are kept by what they already have, and each that is dropped says which condition it does not meet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from settling import settle

import curate
from curate.rows import Kind
from curate.steps import StepError
from filters.keep import Keep


def row(language: str, number: int, source: str = "test", **more: Any) -> dict[str, Any]:
    scores = [{"name": name, "value": value} for name, value in more.get("scores", {}).items()]
    attributes = [{"name": name, "value": value} for name, value in more.get("attributes", {}).items()]
    return {
        "language": language,
        "text": more.get("text", f"{language} {number}"),
        "group_id": f"item:{number}",
        "source_name": source,
        "scores": scores,
        "attributes": attributes,
    }


@pytest.fixture
def few(make: Any) -> Any:
    return make(
        Kind.DOCUMENT,
        [
            row("ar", 0, text="مرحبا", scores={"agreement": 0.2}, attributes={"class": "ambiguous"}),
            row("hi", 0, "b", text="नमस्ते", scores={"agreement": 0.4}, attributes={"class": "plain"}),
            row("th", 1, text="สวัสดี", scores={"agreement": 0.41, "other": 1}, attributes={"class": "ambiguous"}),
            row("zh-Hant", 1, "b", text="你好", scores={"agreement": 0.9}),
            row("sw", 2, text="", attributes={"class": "futuristic"}),
        ],
    )


@pytest.fixture
def reasons(context: Any, tmp_path: Path) -> Any:
    def run(rows: Any, **params: Any) -> list[str | None]:
        context.warnings.clear()
        shards = rows if isinstance(rows, list) else [rows]
        found = settle(Keep(**params), shards, context, tmp_path / f"k{len(list(tmp_path.iterdir()))}")
        assert all(one["keep"] == (one["reason"] is None) for one in found)
        return [one["reason"] for one in found]

    return run


def test_a_score_has_to_lie_between_both_ends(few: Any, reasons: Any, context: Any) -> None:
    assert reasons(few, scores={"agreement": {"max": 0.4}}) == [
        None,
        None,
        "agreement above 0.4",
        "agreement above 0.4",
        None,
    ]
    assert context.warnings == ["keep: 1 of 5 rows have no score 'agreement' and are not assessed by it: kept"]
    found = reasons(few, scores={"agreement": {"min": 0.4, "max": {"default": 0.5, "zh": 1.0}}}, unassessed="drop")
    assert found == ["agreement below 0.4", None, None, None, "no score 'agreement'"]
    assert context.warnings[0].endswith("dropped")
    # A language without a limit has none; the first condition that is not met is the reason.
    found = reasons(few, scores={"agreement": {"max": {"th": 0.1, "ar": None}}, "other": {"min": 2}})
    assert found == [None, None, "agreement above 0.1", None, None]


def test_an_attribute_is_one_of_a_list_or_none_of_it(few: Any, reasons: Any) -> None:
    another, no = "attribute class is none of those kept", "no attribute class"
    assert reasons(few, attributes={"class": ["ambiguous", "futuristic"]}) == [None, another, None, no, None]
    assert reasons(few, attributes={"class": "plain"}) == [another, None, another, no, another]
    assert reasons(few, attributes={"class": {"not": ["ambiguous", "plain"]}}) == [
        "attribute class ambiguous",
        "attribute class plain",
        "attribute class ambiguous",
        None,
        None,
    ]


def test_languages_and_sources(few: Any, reasons: Any) -> None:
    assert reasons(few, language=["zh", "th"]) == ["language ar", "language hi", None, None, "language sw"]
    assert reasons(few, language={"not": "zh"}) == [None, None, None, "language zh-Hant", None]
    assert reasons(few, source="b") == ["source is none of those kept", None] * 2 + ["source is none of those kept"]
    assert reasons(few, source={"not": ["b"]}) == [None, "source b", None, "source b", None]


def test_languages_of_prompts(make: Any, reasons: Any) -> None:
    pairs = [("en", "sw"), ("zh-Hant", "ar"), ("hi", "sw")]
    rows = make(
        Kind.PARALLEL,
        [{"source_language": a, "source": f"{a} {b}", "language": b, "target": b} for a, b in pairs],
    )
    assert reasons(rows, prompt_language=["zh", "en"], language=["sw"]) == [None, "language ar", "prompt_language hi"]
    assert reasons(rows, prompt_language={"not": ["zh"]}) == [None, "prompt_language zh-Hant", None]
    assert Keep(prompt_language=["en"]).check(Kind.DOCUMENT) == ["prompt_language: document rows have no prompt"]
    assert Keep(prompt_language=["en"]).check(Kind.SFT) == []


def test_one_of_several_alternatives_is_enough(few: Any, reasons: Any, context: Any) -> None:
    high, people = {"scores": {"agreement": {"min": 0.5}}}, {"source": ["b"], "language": {"not": ["zh"]}}
    low = "agreement below 0.5, and source is none of those kept"
    # The last row has no score, so that the first alternative says nothing about it.
    assert reasons(few, any=[high, people]) == [low, None, low, None, None]
    assert context.warnings == ["keep: 1 of 5 rows have no score 'agreement' and are not assessed by it: kept"]
    assert reasons(few, any=[high, people], unassessed="drop")[4] == (
        "no score 'agreement', and source is none of those kept"
    )
    # Conditions beside them are met as well, and are the first reason.
    found = reasons(few, any=[high, people], language={"not": ["ar", "hi"]})
    assert found == ["language ar", "language hi", low, None, None]
    found = reasons(few, any=[{"attributes": {"class": "plain"}}, {"scores": {"other": {"min": 1}}}], unassessed="drop")
    assert [one is None for one in found] == [False, True, True, False, False]


def test_alternatives_are_checked_as_conditions_are() -> None:
    step = Keep(any=[{"prompt_language": ["en"], "scores": {"a": {"min": 1}}}, {"attributes": {"b": ["x"]}}])
    assert step.check(Kind.DOCUMENT) == ["prompt_language: document rows have no prompt"]
    assert step.reads == ("a", "b")
    both = frozenset({"en", "sw", "zh-Hant"})
    assert step.languages_after(Kind.SFT, both) == both
    step = Keep(any=[{"language": ["zh"]}, {"language": ["en"], "source": ["a"]}])
    assert step.languages_after(Kind.SFT, both) == {"en", "zh-Hant"}
    for wrong in ({"any": [{}]}, {"any": []}, {"any": [{"complete": ["en"]}]}):
        with pytest.raises(ValidationError):
            Keep(**wrong)


def test_the_latest_of_several_values_counts(make: Any, reasons: Any) -> None:
    one = row("en", 0)
    one["scores"] = [{"name": "judge", "value": 1.0}, {"name": "judge", "value": 5.0}]
    assert reasons(make(Kind.DOCUMENT, [one]), scores={"judge": {"min": 3}}) == [None]


def test_only_complete_items_with_each_language_once(make: Any, reasons: Any) -> None:
    rows = [
        row("en", 0), row("sw", 0), row("hi", 0), row("sw", 0, text="again"),
        row("en", 1), row("sw", 1),
        row("en", 2), row("zh-Hant", 2), row("sw", 2, scores={"judge": 1.0}), row("hi", 2),
        row("sw", 3, scores={"judge": 1.0}), row("hi", 3), row("sw", 3, text="good", scores={"judge": 4.0}),
        row("en", 3),
    ]  # fmt: skip
    again, incomplete, outside = (
        "another row of its item in its language",
        "its item is not in all languages",
        "its language is not in 'complete'",
    )
    low = "judge below 3"
    found = reasons(make(Kind.DOCUMENT, rows), complete=["hi", "en", "sw"], scores={"judge": {"min": 3}})
    assert [one and one.replace("3.0", "3") for one in found] == [
        None, None, None, again,
        incomplete, incomplete,
        incomplete, outside, low, incomplete,
        low, None, None, None,
    ]  # fmt: skip


def test_completeness_may_be_the_only_condition(make: Any, reasons: Any) -> None:
    rows = make(Kind.DOCUMENT, [row("en", 0), row("sw", 0), row("en", 1), row("hi", 1)])
    incomplete, outside = "its item is not in all languages", "its language is not in 'complete'"
    assert reasons([rows, make(Kind.DOCUMENT, [])], complete=["en", "sw"]) == [None, None, incomplete, outside]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["en", "sw", "hi", "th"]), st.integers(0, 5), st.sampled_from([None, 0.0, 0.5, 1.0])),
        max_size=40,
        unique=True,
    ),
    st.integers(0, 40),
    st.sampled_from(["keep", "drop"]),
)
def test_what_is_kept_meets_the_conditions_however_rows_are_cut(
    make: Any, context: Any, tmp_path_factory: Any, rows: Any, cut: int, unassessed: Any
) -> None:
    made = [
        row(tag, item, text=f"{tag} {value}", scores={} if value is None else {"judge": value})
        for tag, item, value in rows
    ]
    step = Keep(scores={"judge": {"min": 0.5}}, complete=["en", "sw"], unassessed=unassessed)
    full = make(Kind.DOCUMENT, made)
    parts = [make(Kind.DOCUMENT, made[:cut]), make(Kind.DOCUMENT, made[cut:])]
    if made and not any(value is not None for *_, value in rows):
        with pytest.raises(StepError):
            settle(step, [full], context, tmp_path_factory.mktemp("k"))
        return
    found = settle(step, parts, context, tmp_path_factory.mktemp("k"))
    assert found == settle(step, [full], context, tmp_path_factory.mktemp("k"))
    kept = [one for one, told in zip(rows, found, strict=True) if told["keep"]]
    counts = Counter((item, tag) for tag, item, _ in kept)
    assert set(counts.values()) <= {1}
    assert all(counts[item, tag] == 1 for _, item, _ in kept for tag in ("en", "sw"))
    assert all(unassessed == "keep" if value is None else value >= 0.5 for *_, value in kept)


def test_a_score_that_no_row_has_is_an_error_with_the_nearest_name(few: Any, reasons: Any) -> None:
    with pytest.raises(
        StepError, match=r"no row has the score 'agremeent'; did you mean 'agreement'\?; there are agreement, other"
    ):
        reasons(few, scores={"agremeent": {"max": 0.4}})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "there is no condition"),
        ({"scores": {"judge": {}}}, "write 'min', 'max' or both"),
        ({"scores": {"judge": {"min": 2, "max": 1}}}, "at least 2 and at most 1"),
        ({"scores": {"judge": {"min": {"sw": 2, "default": 0}, "max": 1}}}, "at least 2 and at most 1"),
        ({"scores": {"judge": {"mn": 2}}}, "mn"),
        ({"language": ["klingonish"]}, "klingonish"),
        ({"language": []}, "at least 1"),
        ({"attributes": {"class": {"not": []}}}, "at least 1"),
        ({"complete": ["en", "en"]}, "named twice"),
        ({"complete": []}, "at least 1"),
        ({"unassessed": "drop"}, "there is no condition"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Keep(**params)


CATALOG = """\
version: 1
sources:
  talks: {use: jsonl, path: talks.jsonl, kind: sft, language: "{tag}", license: CC0-1.0, key: "{n}",
          columns: {prompt: "{q}", response: "{a}"}, scores: {rating: stars}, attributes: [class]}
datasets:
  checked:
    from: talks
    steps:
      - shape: {as: form}
      - keep: {scores: {rating: {min: 3}, form.response_chars: {max: 40}}, attributes: {class: [a]}, complete: [en, th]}
  again:
    from: checked
    steps: [{keep: {scores: {rating: {min: 4}}}}]
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    (tmp_path / "talks.jsonl").write_text(
        '{"n": 1, "tag": "en", "q": "Hi?", "a": "Hello.", "stars": 4, "class": "a"}\n'
        '{"n": 1, "tag": "th", "q": "สวัสดี", "a": "สวัสดีครับ", "stars": 3, "class": "a"}\n'
        '{"n": 2, "tag": "en", "q": "Bye?", "a": "Bye.", "stars": 5, "class": "a"}\n'
        '{"n": 2, "tag": "th", "q": "ลาก่อน", "a": "ลาก่อนครับ", "stars": 1, "class": "a"}\n'
        '{"n": 3, "tag": "en", "q": "So?", "a": "So.", "stars": 5, "class": "b"}\n'
    )
    path = tmp_path / "catalog.yaml"
    path.write_text(CATALOG)
    return path


def test_a_build_keeps_and_says_why_not(catalog: Path) -> None:
    checked, again = curate.build(catalog)
    assert (checked.rows, again.rows) == (2, 1)
    told = curate.query(
        "SELECT language, group_id, reason FROM checked.rejected ORDER BY group_id, language", catalog=catalog
    ).rows()
    assert told == [
        ("en", "talks:2", "its item is not in all languages"),
        ("th", "talks:2", "rating below 3.0"),
        ("en", "talks:3", "attribute class is none of those kept"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "rating: {min: 3}",
            "ratng: {min: 3}",
            "no step or source before gives the score 'ratng'; did you mean 'rating'?",
        ),
        (
            "form.response_chars",
            "form.respnse_chars",
            "the score 'form.respnse_chars'; did you mean 'form.response_chars'?",
        ),
        ("class: [a]", "clas: [a]", "the attribute 'clas'; did you mean 'class'?"),
        ("{rating: {min: 4}}", "{shape.response_chars: {min: 4}}", "the score 'shape.response_chars'"),
    ],
)
def test_a_name_that_nothing_gives_is_found_before_the_build(catalog: Path, old: str, new: str, said: str) -> None:
    catalog.write_text(CATALOG.replace(old, new))
    with pytest.raises(curate.CatalogError) as caught:
        curate.check(catalog)
    assert said in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_after_rows_were_made_an_unknown_name_is_a_note_only(catalog: Path) -> None:
    compose = "      - compose: {into: {prompt: '{prompt}!', score.x: 1}}\n"
    catalog.write_text(
        CATALOG.replace("      - keep", compose + "      - keep").replace("rating: {min: 3}", "compose.x: {min: 1}")
    )
    assert not [note for note in curate.check(catalog, "checked") if "compose.x" in note]
    catalog.write_text(
        CATALOG.replace("      - keep", compose + "      - keep").replace("rating: {min: 3}", "ratng: {min: 3}")
    )
    [note] = [note for note in curate.check(catalog, "checked") if "ratng" in note]
    assert "did you mean 'rating'?" in note and "it must be in the rows" in note
