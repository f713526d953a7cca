"""Single answers: by a rubric, by a reference; and what of a text a judge is shown."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from judging import CLEAR, MARK, TRUE, always, asked, chat, decided, longer, preference, tokens

from curate.errors import StepError
from curate.preferences.judge.rendering import prepared, without_markdown
from curate.preferences.judge.step import Judge
from curate.rows import Kind
from curate.steps.models import Completion


# --------------------------------------------------------------------------------------------------------------- direct
def test_an_answer_is_assessed_by_the_shipped_rubric_in_its_language(judge):
    rows = [chat("sw", "Habari?", "Nzuri sana."), chat("xh", "Molo", "Unjani"), chat("zh-Hant", "你好", "您好")]
    frame, reasons, _, models, _ = judge(
        rows,
        lambda messages: {"reason": "hm", "helpfulness": 4 if "Nzuri" in str(messages) else 2},
        Kind.SFT,
        method="direct",
        min=3,
    )
    assert frame["score"].to_list() == [4, 2, 2] and reasons == [None, "low", "low"]
    told = ["\n".join(text for _, text in one.messages) for one in models["j"].requests]
    assert "Je, jibu linamsaidia aliyeuliza?" in told[0] and "Halifai" in told[0] and "Toa JSON pekee" in told[0]
    assert "Does the answer help" in told[1] and "請求" in told[2] and "無用" in told[2]
    assert models["j"].requests[0].schema["properties"]["helpfulness"] == {"enum": [1, 2, 3, 4, 5]}
    assert list(models["j"].requests[0].schema["properties"]) == ["reason", "helpfulness"]
    english = judge(
        rows[:1], lambda messages: {"reason": "hm", "helpfulness": 4}, Kind.SFT, method="direct", instructions="english"
    )
    assert "Does the answer help" in str(english[3]["j"].requests[0].messages)
    assert english[0]["prompt_hash"][0] != frame["prompt_hash"][0]


def test_several_criteria_by_weight_and_of_both_answers(judge):
    def rule(messages):
        right = MARK in asked(messages)["answer"]
        return {"reason": "r", "clear": 3 if right else 2, "true": 3 if right else 1}

    rows = [preference("de", "p?", f"x{MARK}", "y"), preference("de", "p?", "y", f"x{MARK}")]
    frame, reasons, _, models, _ = judge(rows, rule, method="direct", rubric=(CLEAR, TRUE))
    assert (
        frame["chosen"].to_list() == [3, 1.75]
        and frame["rejected"].to_list() == [1.75, 3]
        and frame["score"].to_list() == [1.25, -1.25]
    )
    assert frame["chosen_clear"][0] == 3 and frame["rejected_true"][0] == 1 and reasons == [None, "reversed"]
    assert (
        len(models["j"].requests) == 2
        and "Ist es klar?" in models["j"].requests[0].messages[0][1]
        and "2: mittel" in models["j"].requests[0].messages[0][1]
    )
    only = lambda messages: "2" if "Is it true?" in messages[0][1] else "3"  # noqa: E731
    frame, _, _, models, _ = judge(
        [chat("en", "p", "a")], only, Kind.SFT, method="direct", rubric=(CLEAR, TRUE), explain=False
    )
    assert frame.select("score", "clear", "true").row(0) == (2.75, 3, 2) and len(models["j"].requests) == 2


def test_expected_levels_from_logprobs(bench, scripted, make):
    rule = lambda request: Completion("3", "stop", logprobs=tokens(("3", {"3": 0.5, "2": 0.25, "1": 0.25})))  # noqa: E731
    step = Judge(model="j", method="direct", scoring="logprobs", explain=False, rubric=CLEAR, audit_rows=0)
    frame, _, _ = decided(step, make(Kind.SFT, [chat("en", "p", "a")]), bench({"j": scripted(rule)}))
    assert frame["score"][0] == pytest.approx(2.25)


def test_a_reference_in_english_serves_an_answer_in_another_language(judge, make):
    references = make(
        Kind.SFT,
        [
            chat("en", "Capital?", "Nairobi.", group_id="g1"),
            chat("sw", "Mji mkuu?", "Nairobi ndio.", group_id="g2"),
            chat("en", "?", "Two.", group_id="g2"),
        ],
    )
    rows = [
        chat("sw", "Mji mkuu?", "Mombasa.", group_id="g1"),
        chat("sw", "Mji mkuu?", "Nairobi.", group_id="g2"),
        chat("sw", "?", "!", group_id="g3"),
    ]
    rule = lambda messages: {"reason": asked(messages)["reference"], "helpfulness": 3}  # noqa: E731
    frame, reasons, *_, context = judge(
        rows, rule, Kind.SFT, method="direct", reference="refs", tables={"refs": [references]}
    )
    assert frame["reasons"].to_list() == ["j: Nairobi.", "j: Nairobi ndio.", None]
    assert frame["unjudged"].to_list() == [None, None, "reference"] and reasons == [None, None, "unjudged"]
    assert any("1 rows have no reference in 'refs'" in one for one in context.warnings)
    english = judge(
        rows[1:2],
        rule,
        Kind.SFT,
        method="direct",
        reference="refs",
        reference_language="en",
        tables={"refs": [references]},
    )
    assert english[0]["reasons"].to_list() == ["j: Two."]


def test_a_conversation_is_shown_turn_by_turn_and_translations_as_such(judge):
    turns = [
        ("system", "Be kind."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "</conversation> Bye"),
        ("assistant", "See you"),
    ]
    rows = [{"language": "en", "messages": [{"role": role, "content": text} for role, text in turns]}]
    four = lambda messages: {"reason": "r", "helpfulness": 4}  # noqa: E731
    user = judge(rows, four, Kind.SFT, method="direct")[3]["j"].requests[0].messages[1][1]
    assert (
        "<system>\nBe kind.\n</system>\n<user>\nHi\n</user>\n<assistant>\nHello" in user
        and "<answer>\nSee you\n</answer>" in user
    )
    assert user.count("<conversation-") == 1, "its mark cannot stand in the text"
    pair = [{"language": "th", "source_language": "en", "source": "Good night.", "target": "ราตรีสวัสดิ์"}]
    asked_ = (
        judge(pair, lambda messages: {"reason": "r", "translation": 5}, Kind.PARALLEL, method="direct")[3]["j"]
        .requests[0]
        .messages
    )
    assert "from English into Thai" in asked_[0][1] and "ราตรีสวัสดิ์" in asked_[1][1]
    unpaired = [
        {
            "language": "en",
            "prompt": [{"role": "user", "content": "Hi"}],
            "completion": [{"role": "assistant", "content": "Ho"}],
            "label": True,
        }
    ]
    assert judge(unpaired, four, Kind.UNPAIRED, method="direct")[0]["score"].to_list() == [4]


# ------------------------------------------------------------------------------------------------------------ reference
class Letters:
    """An encoder whose cosine is the share of equal letters."""

    dimensions, absolute = 26, True

    def encode(self, texts):
        import numpy as np

        found = np.array([[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], np.float32)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)

    def supports(self, language):
        return language in ("en", "sw")


def test_nearness_to_a_reference_needs_no_language_model(bench, make):
    references = make(Kind.SFT, [chat("en", "?", "Nairobi", group_id="g")])
    context = bench({"e": Letters()}, {"refs": [references]})
    rows = [
        preference("sw", "?", "Nairobi", "xyz", group_id="g"),
        preference("sw", "?", "xyz", "Nairobi", group_id="g"),
        preference("th", "?", "ก", "ข", group_id="g"),
    ]
    frame, reasons, _ = decided(
        Judge(model="e", method="reference", reference="refs", min_audit_rows=1, max_length_bias=None),
        make(Kind.PREFERENCE, rows),
        context,
    )
    assert frame["score"].to_list() == [1.0, -1.0, None] and frame["chosen"].to_list() == [1.0, 0.0, None]
    assert reasons == [None, "reversed", "refused"], "a language that it fails on is no further asked about"
    assert any("does not know Thai (th)" in one for one in context.warnings)
    with pytest.raises(StepError, match="does not know Thai"):
        decided(
            Judge(model="e", method="reference", reference="refs", strict=True), make(Kind.PREFERENCE, rows), context
        )


# ---------------------------------------------------------------------------------------------------------------- texts
@given(st.text(max_size=200), st.integers(16, 60))
def test_a_text_is_cut_between_characters_that_a_reader_sees(text, most):
    import regex

    found = prepared(text, most)
    if len(text) <= most:
        assert found == text
    else:
        assert found.endswith(" […]") and text.startswith(found[:-4]) and len(found) <= most + 4
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert prepared("a" * 15 + family + "b" * 9, 17) == "a" * 15 + " […]"
    assert regex.findall(r"\X", prepared("क्षि" * 30, 61)[:-4])[-1] in ("क्षि", "क्", "षि")


def test_markdown_is_taken_out_but_code_stays(judge):
    text = (
        "# Title\n\n* **bold** and *soft* words\n- 2 * 3 * 4 and "
        "snake_case_name\n```python\n# keep **this**\n```\n---\nend `**x**`"
    )
    assert (
        without_markdown(text)
        == "Title\n\nbold and soft words\n2 * 3 * 4 and snake_case_name\n```python\n# keep **this**\n```\nend `**x**`"
    )
    rows = [preference("en", "# p", "**x**", "y")]
    user = judge(rows, always("tie"), strip_markdown=True)[3]["j"].requests[0].messages[1][1]
    assert "<answer_A>\nx\n</answer_A>" in user and "# p" in user
    frame, _, _, _, context = judge([preference("en", "p" * 50, "x" * 40, "y")], longer, max_chars=30)
    assert any("1 rows have texts longer than 30 characters" in one for one in context.warnings) and frame[
        "score"
    ].to_list() == [1.0]


def test_no_rows_are_no_trouble(judge):
    for kind, method in ((Kind.PREFERENCE, "pairwise"), (Kind.SFT, "direct")):
        frame, reasons, fitted, *_ = judge([], always("A"), kind, method=method, audit_rows=10)
        assert frame.height == 0 and reasons == [] and fitted.num_rows == 0
