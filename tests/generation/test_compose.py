"""A row made by templates has what the templates say, in the languages that they say, and says what it lost."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making_bench import Bench, all_made, make_rows, spoken
from plain import plain
from pydantic import ValidationError

import curate
from curate.generation.compose import Compose
from curate.rows import Kind
from curate.rows.kinds import payload
from curate.steps import Rows

ASKED = "prompt_language" in payload(Kind.SFT)


@pytest.fixture
def pairs(make):
    return make(
        Kind.PARALLEL,
        [
            {"source_language": "en", "source": "Open {the} door.", "language": "sw", "target": "Fungua mlango."},
            {"source_language": "hi", "source": "मौसम कैसा है?", "language": "ar", "target": "كيف الطقس؟"},
            {"source_language": "zh", "source": "天气怎么样？", "language": "th", "target": "อากาศเป็นอย่างไร"},
        ],
    )


@pytest.fixture
def talks(make, turns):
    return make(
        Kind.SFT,
        [
            {
                "messages": turns(
                    "system: Be kind.", "user: Hi.", "assistant: Hello.", "user: मौसम?", "assistant: अच्छा।"
                ),
                "language": "hi",
                "attributes": [{"name": "judge.reasons", "value": "Short, {response}."}],
                "scores": [{"name": "judge", "value": 3.123456789}],
            },
            {"messages": turns("user: 天气？", "assistant: 很好。"), "language": "zh"},
        ],
    )


def composed(step, rows, context):
    assert step.check(rows.kind) == []
    return all_made(step.makes(rows.kind), step.make(rows, context))


TRANSLATE = {
    "prompt": "Translate from {source_language_name} to {language_name}.\n\n{source}",
    "response": "{target}",
}


def test_parallel_rows_become_translation_tasks_in_both_directions(pairs, bench):
    made, bad = composed(Compose(kind="sft", into=TRANSLATE, directions="both"), pairs, bench())
    assert not bad
    assert [row["messages"] for row in made[:2]] == [
        spoken("user: Translate from English to Swahili.\n\nOpen {the} door.", "assistant: Fungua mlango."),
        spoken("user: Translate from Swahili to English.\n\nFungua mlango.", "assistant: Open {the} door."),
    ]
    assert [row["language"] for row in made] == ["sw", "en", "ar", "hi", "th", "zh"]
    assert made[3]["messages"][0]["content"].endswith("Arabic to Hindi.\n\nكيف الطقس؟")
    assert [row["group_id"] for row in made[::2]] == [row["group_id"] for row in made[1::2]]
    assert made[4]["lineage"]["parents"] == [pairs.ids[2]]
    maker = made[0]["lineage"]["makers"][-1]
    assert (maker["step"], maker["model"]) == ("compose", "") and len(maker["prompt_hash"]) == 16
    if ASKED:
        assert [row["prompt_language"] for row in made[:2]] == ["en", "sw"]


def test_an_instruction_is_in_the_language_of_its_prompt(pairs, bench):
    into = {
        **TRANSLATE,
        "prompt": {"default": "To {language}: {source}", "hi": "{language} में: {source}", "zh": "译：{source}"},
    }
    made, _ = composed(Compose(kind="sft", into=into), pairs, bench())
    assert [row["messages"][0]["content"] for row in made] == [
        "To sw: Open {the} door.",
        "ar में: मौसम कैसा है?",
        "译：天气怎么样？",
    ]
    # Without a default the other languages are quarantined, and told apart.
    into["prompt"] = {"zh": "译：{source}"}
    made, bad = composed(Compose(kind="sft", into=into), pairs, bench())
    assert [row["language"] for row in made] == ["th"]
    assert bad[0].where == pairs.ids[0] and "no template for 'en' and no default; it has zh" in bad[0].reason


def test_prompts_of_parallel_rows_are_in_the_language_of_the_source(pairs, bench):
    made, _ = composed(Compose(kind="prompt", into={"prompt": "{source}"}), pairs, bench())
    assert [row["language"] for row in made] == ["en", "hi", "zh"]
    made, _ = composed(Compose(kind="document", into={"text": "{source}\n{target}"}), pairs, bench())
    assert [(row["language"], row["text"]) for row in made][2] == ("th", "天气怎么样？\nอากาศเป็นอย่างไร")


def test_fields_that_are_not_set_are_carried_over(talks, bench):
    made, _ = composed(
        Compose(into={"prompt": "Restate in English, then answer in {language_name}: {prompt}"}), talks, bench()
    )
    assert made[0]["messages"] == spoken(
        "system: Be kind.",
        "user: Hi.",
        "assistant: Hello.",
        "user: Restate in English, then answer in Hindi: मौसम?",
        "assistant: अच्छा।",
    )
    made, _ = composed(Compose(kind="prompt", into={"system": "{language_own_name}"}), talks, bench())
    assert made[1]["prompt"] == spoken("system: 中文", "user: 天气？")
    made, _ = composed(
        Compose(into={"prompt": ({"system": "{system?}"}, {"user": "a"}, {"assistant": "b"}, {"user": "{prompt}"})}),
        talks,
        bench(),
    )
    assert made[0]["messages"][:-1] == spoken("system: Be kind.", "user: a", "assistant: b", "user: मौसम?")
    assert made[1]["messages"][:-1] == spoken("user: a", "assistant: b", "user: 天气？")


def test_attributes_and_scores_can_be_read_and_written(talks, bench):
    step = Compose(
        into={
            "prompt": "{prompt}\n{response}\nGrade?",
            "response": "{attribute.judge.reasons} {score.judge}",
            "language": "en",
            "prompt_language": "{language}",
            "attribute.kind": "judgment of {language}",
            "score.grade": "{score.judge}",
            "score.one": 1,
        }
    )
    made, bad = composed(step, talks, bench())
    assert made[0]["messages"][-2:] == spoken("user: मौसम?\nअच्छा।\nGrade?", "assistant: Short, {response}. 3.12346")
    assert made[0]["attributes"] == {"judge.reasons": "Short, {response}.", "compose.kind": "judgment of hi"}
    assert made[0]["scores"] == {"compose.grade": 3.123456789, "compose.one": 1.0}
    assert made[0]["language"] == "en" and (not ASKED or made[0]["prompt_language"] == "hi")
    # The other row has no such attribute: it is not made, and says why.
    assert len(made) == 1 and bad[0].where == talks.ids[1]
    assert "there is no 'attribute.judge.reasons'" in bad[0].reason and "{attribute.judge.reasons?}" in bad[0].reason


def test_any_kind_from_any_kind(talks, pairs, bench):
    made, _ = composed(Compose(kind="unpaired", into={"completion": "{response}", "label": True}), talks, bench())
    assert made[0]["label"] is True and made[0]["completion"] == spoken("assistant: अच्छा।")
    assert made[0]["prompt"] == spoken("system: Be kind.", "user: Hi.", "assistant: Hello.", "user: मौसम?")
    step = Compose(kind="preference", into={"chosen": "{response}", "rejected": {"default": "No.", "hi": "नहीं।"}})
    made, _ = composed(step, talks, bench())
    assert [row["rejected"] for row in made] == [spoken("assistant: नहीं।"), spoken("assistant: No.")]
    into = {"source": "{prompt}", "target": "{response}", "source_language": "en"}
    made, _ = composed(Compose(kind="parallel", into=into), talks, bench())
    assert [(row["source_language"], row["source"], row["language"], row["target"]) for row in made] == [
        ("en", "मौसम?", "hi", "अच्छा।"),
        ("en", "天气？", "zh", "很好。"),
    ]


def test_a_template_that_is_one_text_passes_calls_and_reasoning_and_losses_are_told(make, bench):
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    rows = make(
        Kind.SFT,
        [
            {
                "messages": [
                    {"role": "user", "content": "<image> ما هذا؟", "name": "Amina"},
                    {"role": "assistant", "content": "", "tool_calls": [call], "reasoning": "فكر"},
                    {"role": "tool", "content": "sun", "tool_call_id": "1"},
                    {"role": "assistant", "content": "شمس"},
                ],
                "images": ["a.png"],
                "tools": "[]",
                "language": "ar",
            }
        ],
    )
    context = bench()
    made, _ = composed(Compose(kind="preference", into={"chosen": "{response}", "rejected": "لا"}), rows, context)
    assert made[0]["chosen"] == plain(rows.table["messages"][0].as_py())[1:] and not context.warnings
    assert made[0]["prompt"][0]["name"] == "Amina" and made[0]["images"] == ["a.png"] and made[0]["tools"] == "[]"
    made, _ = composed(Compose(kind="prompt", into={"prompt": "About: {response}"}), rows, context)
    assert made[0].get("images") is None
    assert context.warnings == [
        "compose: new rows lack optional parts of the rows they are made from: images (1), reasoning (1), "
        "tool_call_id (1), tool_calls (1)"
    ]
    made, bad = composed(Compose(into={"prompt": "{prompt} {prompt}"}), rows, context)
    assert not made and bad[0].reason == "its texts have 2 places for 1 images"


def test_what_the_parent_said_can_be_used_and_the_parent_is_named(make, bench, turns):
    parents = make(Kind.SFT, [{"messages": turns("user: 天气？", "assistant: 很好。"), "language": "zh"}])
    rows = make(
        Kind.SFT,
        [
            {
                "messages": turns("user: weather？", "assistant: 很 good。"),
                "language": "en",
                "lineage": {"parents": [parents.ids[0]], "license": "MIT"},
            },
            {"messages": turns("user: a", "assistant: b"), "language": "en"},
        ],
    )
    into = {
        "prompt": "Restore in {parent.language_name}: {response}",
        "response": "{parent.response}",
        "language": "{parent.language}",
    }
    made, bad = composed(Compose(into=into), rows, bench(parents=[parents]))
    assert made[0]["messages"] == spoken("user: Restore in Chinese: 很 good。", "assistant: 很好。")
    assert made[0]["language"] == "zh" and made[0]["lineage"]["parents"] == [rows.ids[0], parents.ids[0]]
    assert made[0]["lineage"]["license"] == "MIT AND CC0-1.0"
    assert [one.where for one in bad] == [rows.ids[1]] and "parent." in bad[0].reason


def test_an_empty_field_and_an_unknown_language_of_a_row_are_quarantined(make, bench, turns):
    rows = make(
        Kind.SFT,
        [
            {
                "messages": turns("user: a", "assistant:  "),
                "language": "th",
                "attributes": [{"name": "to", "value": "xx-nope"}],
            },
            {
                "messages": turns("user: a", "assistant: ไป"),
                "language": "th",
                "attributes": [{"name": "to", "value": "tha_Thai"}],
            },
        ],
    )
    made, bad = composed(Compose(into={"prompt": "{response}", "response": "x"}), rows, bench())
    assert len(made) == 1 and bad[0].reason == "'prompt' is empty"
    made, bad = composed(Compose(into={"response": "x", "language": "{attribute.to}"}), rows, bench())
    assert [row["language"] for row in made] == ["th"] and "into.language: 'xx-nope'" in bad[0].reason


FORMS = ({"prompt": "one: {prompt}"}, {"prompt": "two: {prompt}"}, {"prompt": "three: {prompt}"})


def many(count: int):
    return make_rows(
        Kind.SFT, [{"messages": spoken(f"user: q{n}", f"assistant: a{n}"), "language": "sw"} for n in range(count)]
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 3), st.lists(st.integers(0, 60), max_size=4), st.permutations(range(3)))
def test_the_form_depends_on_the_row_and_the_seed_only(tmp_path_factory, seed, cuts, order):
    rows = many(60)
    step = Compose(into=FORMS, weights=(2, 1, 1))
    context = Bench(tmp_path_factory.getbasetemp(), seed=seed)
    whole = {row["id"] for row in all_made(Kind.SFT, step.make(rows, context))[0]}
    assert len(whole) == 60
    ends = [0, *sorted(cuts), 60]
    pieces = [rows.take([a <= n < b for n in range(60)]) for a, b in pairwise(ends)]
    pieces = pieces[::-1] if order[0] else pieces
    assert {row["id"] for piece in pieces for row in all_made(Kind.SFT, step.make(piece, context))[0]} == whole


def test_forms_are_drawn_by_their_weights_and_anew_for_more_rows(bench):
    rows = many(2_000)

    def drawn(**more):
        made, _ = composed(Compose(into=FORMS, **more), rows, bench(draw=more.pop("draw", 0)))
        return [row["messages"][0]["content"].split(":")[0] for row in made]

    counts = Counter(drawn(weights=(6, 3, 1)))
    assert 1140 < counts["one"] < 1260 and 530 < counts["two"] < 670 and 150 < counts["three"] < 250
    assert 600 < Counter(drawn())["three"] < 735
    first, again = (
        [row["messages"][0]["content"] for row in composed(Compose(into=FORMS), rows, bench(draw=draw))[0]]
        for draw in (0, 1)
    )
    assert first != again


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"into": {"promt": "x"}}, "sft", "sft rows have no 'promt'; did you mean 'prompt'?"),
        ({"into": {"messages": "x"}}, "sft", "turns before the answer go to 'prompt'"),
        ({"into": {"prompt": "{sorce}"}}, "parallel", "unknown placeholder '{sorce}'; did you mean 'source'?"),
        ({"into": {"prompt": "{parent.sorce}"}}, "sft", "did you mean 'parent.source'?"),
        ({"into": {"prompt": "{other.response}"}}, "sft", "unknown placeholder '{other.response}'"),
        ({"into": {"prompt": "a { b"}}, "sft", "a single '{' near 'a { b'"),
        ({"into": {"prompt": " "}}, "sft", "into.prompt: the template is empty"),
        ({"into": {"response": "target"}}, "parallel", "for the row's text write '{target}'"),
        ({"into": {"prompt": "{source}"}}, "parallel", "new sft rows need response"),
        ({"into": {"response": "x", "language": "xx-nope"}}, "sft", "into.language: 'xx-nope'"),
        ({"into": {"response": {"default": "x", "sw": "{nope}"}}}, "sft", "unknown placeholder '{nope}'"),
        ({"into": {"score.a": "high"}}, "sft", "a score is a number, not 'high'"),
        ({"into": {"score.": 1}}, "sft", "sft rows have no 'score.'"),
        ({"into": {"response": ({"user": "x"},)}}, "sft", "only 'prompt' may be a list of turns"),
        ({"into": {"prompt": ({"usr": "x"},)}}, "sft", "unknown role 'usr'; did you mean 'user'?"),
        ({"into": {"prompt": ({"user": "x"}, {"assistant": "y"})}}, "sft", "turns end with the user's"),
        ({"into": [{"prompt": "x"}, {"prompt": "{y}"}]}, "sft", "into[1].prompt: unknown placeholder '{y}'"),
        ({"into": {"prompt": "x"}, "directions": "both"}, "sft", "directions: sft rows have one direction"),
        ({"into": {"source_language": "en"}}, "sft", "sft rows have no 'source_language'"),
    ],
)
def test_mistakes_are_found_before_anything_runs(given, kind, said):
    step = Compose(kind="sft", **given)
    assert any(said in problem for problem in step.check(Kind(kind))), step.check(Kind(kind))


def test_a_label_is_true_or_false():
    step = Compose(kind="unpaired", into={"completion": "{response}", "label": "good"})
    assert step.check(Kind.SFT) == ["into.label: a label is true or false, not 'good'"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "into"),
        ({"into": {}}, "at least 1"),
        ({"into": []}, "at least 1"),
        ({"into": FORMS, "weights": [1, 2]}, "2 weights for 3 forms"),
        ({"into": FORMS, "weights": [1, 2, 0]}, "greater than 0"),
        ({"into": {"prompt": {"klingonish": "x"}}}, "klingonish"),
        ({"into": {"prompt": "x"}, "form": 1}, "form"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        Compose(**given)


CATALOG = """\
version: 1
sources:
  pairs: {use: parallel-tsv, path: pairs.tsv, header: true, source: en, target: th, source_language: en,
          target_language: th, license: CC0-1.0}
datasets:
  translation:
    from: pairs
    steps:
      - compose:
          kind: sft
          directions: both
          into:
            prompt: {en: "Translate to {language_name}: {source}", th: "แปลเป็นภาษา{language_own_name}: {source}"}
            response: "{target}"
"""


def test_a_build_makes_the_rows_and_check_knows_the_mistakes(tmp_path: Path):
    (tmp_path / "pairs.tsv").write_text("en\tth\nOpen the door.\tเปิดประตู\nIt rains.\tฝนตก\n")
    path = tmp_path / "catalog.yaml"
    path.write_text(CATALOG)
    [built] = curate.build(path)
    assert built.rows == 4
    rows = curate.query("select messages[1].content as said from translation", store=tmp_path / ".curate")
    assert rows["said"].to_list() == [
        "Translate to Thai: Open the door.",
        "แปลเป็นภาษาEnglish: เปิดประตู",
        "Translate to Thai: It rains.",
        "แปลเป็นภาษาEnglish: ฝนตก",
    ]
    path.write_text(CATALOG.replace("{target}", "{traget}"))
    with pytest.raises(curate.CatalogError) as caught:
        curate.check(path)
    assert str(caught.value).endswith(
        "catalog.yaml:9: compose: into.response: unknown placeholder '{traget}'; did you mean 'target'?; there are "
        "language, language_name, language_own_name, source, source_language, source_language_name, "
        "source_language_own_name, target, attribute.…, score.…, parent.…"
    )


def test_the_parent_of_a_redacted_row_is_that_of_the_row_before_and_its_text_comes_nowhere(make, bench):
    def row(text: str, *steps: str, parents: list[str]) -> Rows:
        makers = [{"step": step, "model": "", "prompt_hash": "", "key": ""} for step in steps]
        lineage = {"parents": parents, "makers": makers}
        return make(Kind.DOCUMENT, [{"text": text, "language": "de", "lineage": lineage}])

    original = make(Kind.DOCUMENT, [{"text": "The river is old.", "language": "en"}])
    read = row("Mail an hans@beispiel.de.", "translate", parents=[original.ids[0]])
    redacted = row("Mail an [EMAIL_1].", "translate", "redact", parents=[read.ids[0]])
    alone = row("Mail an [EMAIL_1]!", "redact", parents=[row("Mail an a@b.de!", parents=[]).ids[0]])
    into = {"kind": "document", "into": {"text": "{parent.text} / {text}"}}
    made, bad = composed(Compose(**into), redacted, bench(parents=[original, read]))
    assert [one["text"] for one in made] == ["The river is old. / Mail an [EMAIL_1]."] and not bad
    assert made[0]["lineage"]["parents"] == [redacted.ids[0], original.ids[0]]
    made, bad = composed(Compose(**into), alone, bench(parents=[row("Mail an a@b.de!", parents=[])]))
    assert not made and "parent." in bad[0].reason
