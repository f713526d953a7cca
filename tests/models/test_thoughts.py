"""What a model thinks aloud never passes for its answer, whatever marks it stands between; what only looks like a mark
stays.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.models.generation.reasoning import field_thoughts, split_thoughts

THOUGHT, ANSWER = "मुझे सोचने दो कि यह क्या है", "Il fiume è lungo. 河很长。"
MARKS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<THINK>", "</THINK>"),
    ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"),
    ('<think duration="3">', "</think>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<unused94>", "<unused95>"),
    ("<|channel>", "<channel|>"),
]


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_thoughts_are_taken_off_wherever_they_stand(opening, closing):
    block = f"{opening}\n{THOUGHT}\n{closing}"
    assert split_thoughts(f"{block}\n\n{ANSWER}") == (ANSWER, THOUGHT)
    assert split_thoughts(f"{THOUGHT}{closing}{ANSWER}") == (ANSWER, THOUGHT), "the chat template opened them"
    assert split_thoughts(f"{opening}{THOUGHT}") == ("", THOUGHT), "they have no end"
    assert split_thoughts(f"{ANSWER}\n{block}") == (ANSWER, THOUGHT)
    assert split_thoughts(f"{ANSWER}{block}{ANSWER}") == (ANSWER + ANSWER, THOUGHT)
    assert split_thoughts(f"{ANSWER}\n{opening}{THOUGHT}") == (ANSWER, THOUGHT)
    assert split_thoughts(f"{block}{ANSWER}\n{block}\n{ANSWER}") == (f"{ANSWER}\n{ANSWER}", f"{THOUGHT}\n\n{THOUGHT}")
    assert split_thoughts(f"{opening}{closing}{ANSWER}")[0] == ANSWER


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<|channel|>analysis<|message|>T<|end|><|start|>assistant<|channel|>final<|message|>A", "A"),
        ("<|channel|>analysis<|message|>T<|end|><|start|>assistant<|channel|>final<|message|>A<|return|>", "A"),
        ("T<|end|><|start|>assistant<|channel|>final<|message|>A", "A"),
        (
            (
                "<|channel|>commentary to=f"
                " <|constrain|>json<|message|>T<|call|><|start|>assistant<|channel|>final<|message|>A"
            ),
            "A",
        ),
        ("<|channel|>analysis<|message|>T", ""),
        ("analysisThe user wants it. TassistantfinalA", "A"),
        ("analysis用户想要这个 TassistantfinalA", "A"),
    ],
)
def test_of_channels_the_final_one_is_the_answer(text, answer):
    said, thoughts = split_thoughts(text)
    assert said == answer and "T" in thoughts and "A" not in thoughts


@pytest.mark.parametrize(
    "text",
    [
        "Use <think> tags. </think>",
        "The <think> tag opens a thought.",
        "Use <think> and </think> around it.",
        "The tag </think> ends it.",
        "```\n<think>x</think>\n```\nSo it looks.",
        "Write `<reasoning>` first, then `</reasoning>`.",
        "~~~xml\n[THINK]a[/THINK]\n~~~",
        "analysis of the assistantfinal word",
        "I am <thinker>",
        "नमस्ते",
        "",
    ],
)
def test_what_is_a_word_of_the_answer_or_code_stays(text):
    assert split_thoughts(text) == (text, "")


@given(st.text(st.characters(exclude_characters="<>[]◁▷|`~"), max_size=40), st.sampled_from(MARKS))
def test_no_word_of_a_thought_is_left_and_no_word_of_an_answer_lost(answer, marks):
    said, thoughts = split_thoughts(f"{marks[0]}{THOUGHT}{marks[1]}{answer}")
    assert (said.strip(), thoughts) == (answer.strip(), THOUGHT)


@given(
    st.text(st.sampled_from("a <>/`\n|[]◁▷think"))
    | st.lists(
        st.sampled_from(
            [mark for pair in MARKS for mark in pair] + ["a", ". ", "\n", "`", "```", "<|channel|>", "<|message|>"]
        ),
        max_size=12,
    ).map("".join)
)
def test_any_text_can_be_split_and_nothing_is_made_up(text):
    said, thoughts = split_thoughts(text)
    assert len(said) + len(thoughts) <= len(text) + 2 * text.count("think") + 100
    assert set(said) | set(thoughts) <= set(text) | {"\n"}


@pytest.mark.parametrize(
    "piece",
    [
        "<think>",
        "</think>",
        "<think></think>",
        "a <think> b ",
        "x.<think>a</think>",
        "` ``",
        "<|channel|>analysis<|message|>",
        "analysisX",
        "[THINK]",
        "a [THINK] ",
        "a </think> b ",
    ],
)
def test_a_hostile_answer_takes_no_longer_than_its_length(piece):
    begun = time.perf_counter()
    split_thoughts(piece * (400_000 // len(piece)))
    assert time.perf_counter() - begun < 120  # a search that is not linear takes minutes


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"thinking": "hm"},
        {"reasoning": {"content": "hm"}},
        {"reasoning_content": "hm", "reasoning": "hm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "x"}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "yes"},
            ]
        },
    ],
)
def test_thoughts_in_fields_of_their_own_are_found(message):
    assert field_thoughts(message) == "hm"


def test_fields_without_thoughts_are_none():
    assert (
        field_thoughts(
            {"content": "yes", "reasoning": None, "thinking": [], "reasoning_details": [{"type": "x", "data": 3}]}
        )
        == ""
    )
