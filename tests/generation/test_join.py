"""Rows that belong together make rows of both, in the languages that are asked for; what has no partner is counted."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making_bench import Bench, all_made, make_rows, spoken
from pydantic import ValidationError

import curate
from curate.generation.join.step import Join
from curate.rows import Kind
from curate.rows.kinds import payload
from curate.steps import StepError

CROSS = {"response": "{other.response}", "language": "{other.language}"}
SAID = {
    "en": "Hello {n}",
    "sw": "Habari {n}",
    "hi": "नमस्ते {n}",
    "th": "สวัสดี {n}",
    "zh-Hant": "你好 {n}",
    "ar": "مرحبا {n}",
}


def talk(language: str, number: int, more: str = "", **columns):
    said = SAID[language].replace("{n}", f"{number}{more}")
    return {
        "messages": spoken(f"user: {said}?", f"assistant: {said}!"),
        "language": language,
        "group_id": f"item:{number}",
        **columns,
    }


def joined(step, rows, context):
    parts = rows if isinstance(rows, list) else [rows]
    assert step.check(parts[0].kind) == []
    return all_made(step.makes(parts[0].kind), step.gather(parts, context))


@pytest.fixture
def talks(make):
    return make(
        Kind.SFT, [talk("en", 0), talk("sw", 0), talk("hi", 0), talk("th", 1), talk("zh-Hant", 1), talk("ar", 2)]
    )


def test_the_prompt_of_one_language_gets_the_answer_of_another(talks, bench):
    context = bench()
    made, bad = joined(Join(into=CROSS, pairs=["en/sw", "th/zh", "sw/hi"]), talks, context)
    assert not bad
    assert [row["messages"] for row in made] == [
        spoken("user: Hello 0?", "assistant: Habari 0!"),
        spoken("user: Habari 0?", "assistant: नमस्ते 0!"),
        spoken("user: สวัสดี 1?", "assistant: 你好 1!"),
    ]
    assert [row["language"] for row in made] == ["sw", "hi", "zh-Hant"]
    if "prompt_language" in payload(Kind.SFT):
        assert [row["prompt_language"] for row in made] == ["en", "sw", "th"]
    assert made[0]["lineage"]["parents"] == [talks.ids[0], talks.ids[1]] and made[0]["group_id"] == "item:0"
    assert [maker["step"] for maker in made[0]["lineage"]["makers"]] == ["join"]
    assert context.warnings == [
        "join: 1 of 6 rows have no partner and make no row (ar 1)",
        "join: 2 of 6 rows have no partner in the languages of 'pairs' and make no row (hi 1, zh-Hant 1)",
    ]


def test_all_rows_of_an_item_by_default_and_a_few_if_so_asked(talks, bench):
    made, _ = joined(Join(into=CROSS), talks, bench())
    assert len(made) == 3 * 2 + 2 and {len(row["lineage"]["parents"]) for row in made} == {2}
    few, _ = joined(Join(into=CROSS, per_row=1), talks, bench())
    assert [row["messages"][0]["content"] for row in few] == [
        "Hello 0?", "Habari 0?", "नमस्ते 0?", "สวัสดี 1?", "你好 1?"
    ]  # fmt: skip
    assert {row["id"] for row in few} < {row["id"] for row in made}


def test_pairs_are_drawn_by_weight_among_those_that_an_item_has(make, bench):
    rows = make(
        Kind.SFT, [talk(tag, n) for n in range(1_500) for tag in ("en", "sw", "hi") if tag != "hi" or n % 3 == 0]
    )
    into = {**CROSS, "attribute.pair": "{language}/{other.language}"}
    made, _ = joined(Join(into=into, pairs={"en/sw": 1, "sw/en": 2, "en/hi": 3}), rows, bench())
    assert len(made) == 1_500 == len({row["group_id"] for row in made})
    every, few = Counter(), Counter()
    for row in made:
        whole = int(row["group_id"].removeprefix("item:")) % 3 == 0
        (every if whole else few)[row["attributes"]["join.pair"]] += 1
    assert 215 < every["en/hi"] < 285 and 132 < every["sw/en"] < 202 and 57 < every["en/sw"] < 111
    assert set(few) == {"en/sw", "sw/en"} and 620 < few["sw/en"] < 715
    other, _ = joined(Join(into=into, pairs={"en/sw": 1, "sw/en": 2, "en/hi": 3}), rows, bench(seed=1))
    assert {row["id"] for row in other} != {row["id"] for row in made}


def test_a_row_is_not_its_own_partner_in_a_pair_of_one_language(make, bench):
    rows = make(Kind.SFT, [talk("en", 0), talk("en", 0, "b"), talk("en", 1), talk("sw", 1)])
    made, _ = joined(Join(into=CROSS, pairs={"en/en": 5, "en/sw": 1}), rows, bench())
    assert [[turn["content"] for turn in row["messages"]] for row in made] == [
        ["Hello 0?", "Hello 0b!"], ["Hello 0b?", "Hello 0!"], ["Hello 1?", "Habari 1!"]
    ]  # fmt: skip


def test_another_dataset_by_item_key_prompt_or_attribute(make, bench, turns):
    questions = make(
        Kind.PROMPT,
        [
            {"prompt": turns("user: 天气？"), "language": "zh", "group_id": "a:1",
             "attributes": [{"name": "topic", "value": "weather"}]},
            {"prompt": turns("user: อะไร"), "language": "th", "group_id": "a:2"},
        ],
    )  # fmt: skip
    answers = make(
        Kind.SFT,
        [
            {"messages": turns("user: 天气？", "assistant: 晴。"), "language": "zh", "group_id": "a:2",
             "lineage": {"license": "MIT"}},
            {"messages": turns("user: weather?", "assistant: Sunny."), "language": "en", "group_id": "b:1",
             "attributes": [{"name": "topic", "value": "weather"}]},
            {"messages": turns("user: 天气？", "assistant: 雨。"), "language": "zh", "group_id": "c:7"},
        ],
    )  # fmt: skip

    def said(by):
        context = bench(rows={"answers": [answers.take([True, False, False]), answers.take([False, True, True])]})
        step = Join(
            other="answers", by=by, kind="sft", into={"response": "{other.response}", "language": "{other.language}"}
        )
        made, _ = joined(step, questions, context)
        return [[turn["content"] for turn in row["messages"]] for row in made], made, context.warnings

    texts, made, warnings = said("item")
    assert texts == [["อะไร", "晴。"]] and made[0]["language"] == "zh"
    assert made[0]["lineage"]["license"] == "CC0-1.0 AND MIT"
    assert warnings == ["join: 1 of 2 rows have no partner and make no row (zh 1)"]
    assert said("key")[0] == [["天气？", "Sunny."], ["อะไร", "晴。"]]
    assert said("{prompt}")[0] == [["天气？", "晴。"], ["天气？", "雨。"]]
    texts, _, warnings = said("{attribute.topic}")
    assert texts == [["天气？", "Sunny."]]
    assert warnings == ["join: 1 of 2 rows have nothing to be joined by and make no row (th 1)"]
    with pytest.raises(
        StepError, match=r"no row has a partner in 'answers' by '\{prompt\}!\{attribute.topic\}': .*1 have no"
    ):
        said("{prompt}!{attribute.topic}")


def test_a_preference_is_made_of_two_answers_with_their_scores(make, bench, turns):
    rows = make(
        Kind.SFT,
        [
            {"messages": turns("system: x", "user: سؤال", "assistant: جواب"), "language": "ar", "group_id": "i",
             "scores": [{"name": "judge", "value": 5.0}]},
            {"messages": turns("user: question", "assistant: answer"), "language": "en", "group_id": "i",
             "scores": [{"name": "judge", "value": 2.0}]},
        ],
    )  # fmt: skip
    into = {"chosen": "{response}", "rejected": "{other.response}", "score.margin": "{other.score.judge}"}
    made, _ = joined(Join(kind="preference", into=into, pairs=["ar/en"]), rows, bench())
    assert made[0]["prompt"] == spoken("system: x", "user: سؤال") and made[0]["rejected"] == spoken("assistant: answer")
    assert made[0]["scores"] == {"join.margin": 2.0}


def test_an_empty_answer_is_quarantined_by_the_rows_id(make, bench, turns):
    rows = make(Kind.SFT, [talk("en", 0), {**talk("sw", 0), "messages": turns("user: a", "assistant: ")}])
    made, bad = joined(Join(into=CROSS, pairs=["en/sw", "sw/en"]), rows, bench())
    assert len(made) == 1 and bad[0].where == rows.ids[0] and bad[0].reason == "'response' is empty"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(SAID)), st.integers(0, 4)), min_size=1, max_size=30, unique=True),
    st.lists(st.integers(0, 30), max_size=3),
    st.sampled_from([None, ("en/sw", "hi/th"), {"en/sw": 1, "sw/en": 3, "hi/zh": 1}]),
    st.sampled_from([None, 1, 2]),
)
def test_partners_are_of_one_item_in_the_languages_asked_for_however_rows_are_cut(
    tmp_path_factory, cells, cuts, pairs, per_row
):
    rows = make_rows(Kind.SFT, [talk(tag, number) for tag, number in cells])
    ends = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    parts = [rows.take([a <= n < b for n in range(len(rows))]) for a, b in pairwise(ends)]
    step = Join(into={**CROSS, "attribute.pair": "{language}/{other.language}"}, pairs=pairs, per_row=per_row)
    context = Bench(tmp_path_factory.mktemp("join"))
    wanted = None if pairs is None else {pair.replace("hi/zh", "hi/zh-Hant") for pair in pairs}
    possible = {
        (a, b, number)
        for a, number in cells
        for b, other in cells
        if number == other and a != b and (wanted is None or f"{a}/{b}" in wanted)
    }
    if not possible:
        with pytest.raises(StepError):
            joined(step, parts, context)
        return
    made, _ = joined(step, parts, context)
    found = [(*row["attributes"]["join.pair"].split("/"), int(row["group_id"].removeprefix("item:"))) for row in made]
    assert len(found) == len(set(found)) and set(found) <= possible
    if isinstance(pairs, dict):
        assert sorted(number for *_, number in found) == sorted({number for *_, number in possible})
    elif per_row is None:
        assert set(found) == possible
    else:
        each = Counter((a, number) for a, _, number in possible)
        assert Counter((a, number) for a, _, number in found) == {
            key: min(per_row, count) for key, count in each.items()
        }
    assert [row["id"] for row in joined(step, [rows], context)[0]] == [row["id"] for row in made]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"into": {"response": "{othr.response}"}},
            "unknown placeholder '{othr.response}'; did you mean 'other.response'?",
        ),
        ({"into": {"response": "{other.target}"}}, "unknown placeholder '{other.target}'"),
        ({"into": CROSS, "by": "items"}, "by: 'items' is neither item nor key; did you mean 'item'?"),
        ({"into": CROSS, "by": "prompt"}, "a template such as '{prompt}'"),
        ({"into": CROSS, "by": "{promt}"}, "by: unknown placeholder '{promt}'; did you mean 'prompt'?"),
        ({"into": CROSS, "by": "{{x}}"}, "is the same text for all rows"),
        ({"into": CROSS, "by": "{prompt"}, "by: a single '{'"),
    ],
)
def test_mistakes_are_found_before_anything_runs(given, said):
    problems = Join(**given).check(Kind.SFT)
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "into"),
        ({"into": CROSS, "pairs": ["en-sw"]}, "no pair of languages"),
        ({"into": CROSS, "pairs": ["en/nope-nope-nope"]}, "nope"),
        ({"into": CROSS, "pairs": {"en/sw": 0}}, "greater than 0"),
        ({"into": CROSS, "pairs": []}, "at least 1"),
        ({"into": CROSS, "per_row": 0}, "greater than 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        Join(**given)


CATALOG = """\
version: 1
sources:
  english: {use: jsonl, path: en.jsonl, kind: sft, language: en, license: CC0-1.0, key: "{n}",
            columns: {prompt: "{q}", response: "{a}"}}
  hindi: {use: jsonl, path: hi.jsonl, kind: document, language: hi, license: CC-BY-4.0, key: "{n}",
          columns: {text: "{a}"}}
datasets:
  crossed:
    from: english
    steps:
      - join: {other: hindi, by: key, into: {response: "{other.text}", language: "{other.language}"}}
"""


def test_a_build_joins_two_sources_and_check_knows_what_the_other_has(tmp_path: Path):
    (tmp_path / "en.jsonl").write_text(
        '{"n": 1, "q": "How are you?", "a": "Well."}\n{"n": 2, "q": "Rain?", "a": "No."}\n'
        '{"n": 3, "q": "Why?", "a": "So."}\n'
    )
    (tmp_path / "hi.jsonl").write_text('{"n": 2, "a": "नहीं।"}\n{"n": 1, "a": "ठीक।"}\n')
    path = tmp_path / "catalog.yaml"
    path.write_text(CATALOG)
    [built] = curate.build(path)
    assert built.rows == 2 and "1 of 3 rows have no partner and make no row (en 1)" in " ".join(built.warnings)
    rows = curate.query(
        "SELECT messages[1].content, messages[2].content, language, lineage.license, len(lineage.parents) FROM crossed",
        catalog=path,
    )
    assert rows.rows() == [
        ("How are you?", "ठीक।", "hi", "CC0-1.0 AND CC-BY-4.0", 2),
        ("Rain?", "नहीं।", "hi", "CC0-1.0 AND CC-BY-4.0", 2),
    ]
    path.write_text(CATALOG.replace("{other.text}", "{other.response}").replace("by: key", 'by: "{prompt}"'))
    with pytest.raises(curate.CatalogError) as caught:
        curate.check(path)
    told = str(caught.value).splitlines()
    assert any("into: the document rows of 'hindi' have no 'response'" in line for line in told)
    assert any("by: the document rows of 'hindi' have no 'prompt'" in line for line in told)


# --------------------------------------------------------------------------------------------------------------- lines
INTERLINEAR = {"text": "{source}\n{target}"}
DOCUMENT = {"by": "{attribute.document}", "lines": True}


def line(document, source, target, language="th", **columns):
    attributes = [{"name": "document", "value": document}] if document else []
    attributes += [{"name": name, "value": value} for name, value in columns.pop("more", {}).items()]
    return {
        "source_language": "ar", "source": source, "language": language, "target": target, "attributes": attributes,
        "group_id": f"g:{source}", **columns,
    }  # fmt: skip


def test_the_lines_of_a_document_become_one_row(make, bench):
    rows = make(
        Kind.PARALLEL,
        [
            line("b", "صباح الخير", "อรุณสวัสดิ์", more={"author": "x", "page": "1"}),
            line("a", "شكرا", "ขอบคุณ"),
            line("b", "إلى اللقاء", "ลาก่อน", more={"author": "x", "page": "2"}, lineage={"license": "CC-BY-4.0"}),
            line("b", "شكرا", "谢谢", "zh"),
            line("", "نعم", "ใช่"),
        ],
    )
    context = bench()
    made, bad = joined(Join(**DOCUMENT, kind="document", into=INTERLINEAR), [rows.take([True] * 5)], context)
    assert not bad and [(row["language"], row["text"]) for row in made] == [
        ("th", "صباح الخير\nอรุณสวัสดิ์\nإلى اللقاء\nลาก่อน"), ("th", "شكرا\nขอบคุณ"), ("zh", "شكرا\n谢谢"),
    ]  # fmt: skip
    assert made[0]["lineage"]["parents"] == [rows.ids[0], rows.ids[2]]
    assert made[0]["lineage"]["license"] == "CC0-1.0 AND CC-BY-4.0"
    assert made[0]["attributes"] == {"document": "b", "author": "x"}  # 'page' is of a line, not of the document
    assert made[0]["group_id"] == "g:صباح الخير"
    assert context.warnings == ["join: 1 of 5 rows have nothing to be joined by and make no row"]


def test_lines_become_any_kind_and_long_texts_several_rows(make, bench):
    rows = make(Kind.PARALLEL, [line("d", f"س{number}", f"ท{number}") for number in range(5)])
    into = {"source": "{source}", "target": "- {target}", "attribute.first": "{source}"}
    made, _ = joined(Join(**DOCUMENT, per_row=2, into=into), rows, bench())
    assert [(row["source"], row["target"]) for row in made] == [
        ("س0\nس1", "- ท0\n- ท1"), ("س2\nس3", "- ท2\n- ท3"), ("س4", "- ท4"),
    ]  # fmt: skip
    assert [row["attributes"]["join.first"] for row in made] == ["س0", "س2", "س4"]
    asked = {"prompt": {"ar": "{source}", "default": "x"}, "response": "{target}"}
    [row], _ = joined(Join(**DOCUMENT, kind="sft", into=asked), rows, bench())
    assert row["messages"] == spoken("user: س0\nس1\nس2\nس3\nس4", "assistant: ท0\nท1\nท2\nท3\nท4")
    assert (row["language"], row.get("prompt_language")) == ("th", "ar")
    forms = Join(**DOCUMENT, per_row=1, kind="document", into=[INTERLINEAR, {"text": "{target}"}])
    made, _ = joined(forms, rows, bench())
    assert {row["text"].count("\n") for row in made} == {0, 1}


def test_a_line_without_a_placeholder_or_no_line_at_all(make, bench):
    rows = make(Kind.PARALLEL, [line("d", "س", "ท", more={"n": "1"}), line("d", "ش", "ธ"), line("e", "ص", "น")])
    step = Join(**DOCUMENT, kind="document", into={"text": "{attribute.n}: {source}"})
    made, bad = joined(step, rows, bench())
    assert not made and [one.where for one in bad] == [rows.ids[0], rows.ids[2]]
    assert "there is no 'attribute.n'" in bad[0].reason
    assert joined(Join(**DOCUMENT, kind="document", into=INTERLINEAR), make(Kind.PARALLEL, []), bench()) == ([], [])


@given(st.lists(st.sampled_from("abcd"), max_size=30), st.integers(1, 9), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_every_line_is_in_one_row_in_its_order(tmp_path_factory, documents, cut, most):
    lines = [line(name, f"{name}{number}", "x") for number, name in enumerate(documents)]
    parts = [make_rows(Kind.PARALLEL, lines[at : at + cut]) for at in range(0, len(lines), cut)]
    step = Join(**DOCUMENT, per_row=most, kind="document", into={"text": "{source}"})
    made, _ = all_made(Kind.DOCUMENT, step.gather(parts, Bench(tmp_path_factory.mktemp("lines"))))
    texts = [row["text"].split("\n") for row in made]
    assert all(len(text) <= most and len({one[0] for one in text}) == 1 for text in texts)
    for name in set(documents):
        assert [one for text in texts for one in text if one[0] == name] == [
            one["source"] for one in lines if one["source"][0] == name
        ]


@pytest.mark.parametrize(
    ("more", "kind", "told"),
    [
        ({"pairs": ["en/sw"]}, Kind.PARALLEL, "lines: rows become lines of one text; leave 'other' and 'pairs' out"),
        ({"into": {"target": "{target}"}}, Kind.PARALLEL, "no text is carried over; set source too"),
        (
            {"into": {"source": "{source}", "target": "{other.target}"}},
            Kind.PARALLEL,
            "unknown placeholder '{other.target}'",
        ),
        (
            {"kind": "prompt", "into": {"prompt": [{"user": "{source}"}]}},
            Kind.PARALLEL,
            "a list of turns is made of one row",
        ),
        (
            {"into": {"response": "{response}", "prompt": "{prompt}"}},
            Kind.SFT,
            "lines: sft rows have turns; only parallel and document rows",
        ),
    ],
)
def test_what_lines_cannot_be_made_of(more, kind, told):
    given = {"lines": True, "into": {"source": "{source}", "target": "{target}"}, **more}
    assert any(told in one for one in Join(**given).check(kind)), Join(**given).check(kind)
