"""The best-known public sets are read by one line of a catalog; the rows here have their forms and texts of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from curate.rows import Kind
from sources.files import JsonLines

Read = Callable[..., Any]
Write = Callable[..., str]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


HI, HO, BAD = user("Habari gani?"), assistant("Nzuri, asante."), assistant("Sijui.")
# Set → a row of its form, other parameters, the kind, and what the row becomes.
SETS: dict[str, tuple[dict[str, Any], dict[str, str], Kind, dict[str, Any]]] = {
    "UltraChat": (
        {"prompt": "Habari gani?", "prompt_id": "f0", "messages": [HI, HO]}, {}, Kind.SFT, {"messages": [HI, HO]}
    ),
    "UltraFeedback, binarized": (
        {"prompt": "Habari gani?", "prompt_id": "f0", "chosen": [HI, HO], "rejected": [HI, BAD], "messages": [HI, HO],
         "score_chosen": 8.0, "score_rejected": 3.0},
        {}, Kind.PREFERENCE, {"prompt": [HI], "chosen": [HO], "rejected": [BAD]},
    ),
    "UltraFeedback": (
        {"source": "evol", "instruction": "Habari gani?", "models": ["a", "b", "c"], "completions": [
            {"model": "a", "response": "Sijui.", "overall_score": 2.5, "annotations": {}},
            {"model": "b", "response": "Nzuri, asante.", "overall_score": 9.0, "annotations": {}},
            {"model": "c", "response": "Sawa.", "overall_score": 5.0, "annotations": {}}]},
        {}, Kind.PREFERENCE, {"prompt": [HI], "chosen": [HO], "rejected": [BAD]},
    ),
    "HH-RLHF": (
        {"chosen": "\n\nHuman: Habari gani?\n\nAssistant: Nzuri, asante.",
         "rejected": "\n\nHuman: Habari gani?\n\nAssistant: Sijui."},
        {}, Kind.PREFERENCE, {"prompt": [HI], "chosen": [HO], "rejected": [BAD]},
    ),
    "Aya": (
        {"inputs": "Habari gani?", "targets": "Nzuri, asante.", "language": "Swahili", "language_code": "swa",
         "annotation_type": "original-annotations", "user_id": "u1"},
        {"language": "{language}"}, Kind.SFT, {"messages": [HI, HO], "language": "sw"},
    ),
    "Dolly": (
        {"instruction": "Habari gani?", "context": "", "response": "Nzuri, asante.", "category": "chat"},
        {}, Kind.SFT, {"messages": [HI, HO]},
    ),
    "Tulu": ({"id": "t1", "messages": [HI, HO], "source": "own"}, {}, Kind.SFT, {"messages": [HI, HO]}),
    "SmolTalk": ({"messages": [HI, HO], "source": "own"}, {}, Kind.SFT, {"messages": [HI, HO]}),
    "WildChat": (
        {"conversation_hash": "h", "model": "m", "timestamp": "t", "turn": 1, "language": "Swahili", "toxic": False,
         "conversation": [{**HI, "language": "Swahili", "toxic": False}, {**HO, "turn_identifier": 7}]},
        {"language": "{language}"}, Kind.SFT, {"messages": [HI, HO], "language": "sw"},
    ),
    "LMSYS-Chat": (
        {"conversation_id": "c", "model": "m", "conversation": [HI, HO], "turn": 1, "language": "Portuguese",
         "openai_moderation": [{"flagged": False}], "redacted": False},
        {"language": "{language}"}, Kind.SFT, {"messages": [HI, HO], "language": "pt"},
    ),
    "Nectar": (
        {"prompt": "\n\nHuman: Habari gani?\n\nAssistant: ", "turns": 1, "num_responses": 3, "answers": [
            {"answer": "Sawa.", "model": "a", "rank": 2.0}, {"answer": "Nzuri, asante.", "model": "b", "rank": 1.0},
            {"answer": "Sijui.", "model": "c", "rank": 7.0}]},
        {}, Kind.PREFERENCE, {"prompt": [HI], "chosen": [HO], "rejected": [BAD]},
    ),
    "HelpSteer": (
        {"prompt": "Habari gani?", "response": "Nzuri, asante.", "helpfulness": 4, "correctness": 4, "coherence": 4,
         "complexity": 0, "verbosity": 1},
        {}, Kind.SFT, {"messages": [HI, HO]},
    ),
    "OpenOrca": (
        {"id": "flan.1", "system_prompt": "Jibu kwa ufupi.", "question": "Habari gani?", "response": "Nzuri, asante."},
        {}, Kind.SFT, {"messages": [{"role": "system", "content": "Jibu kwa ufupi."}, HI, HO]},
    ),
    "OpenHermes": (
        {"conversations": [{"from": "human", "value": "Habari gani?", "weight": None},
                           {"from": "gpt", "value": "Nzuri, asante.", "weight": None}], "source": "own", "title": None},
        {}, Kind.SFT, {"messages": [HI, HO]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_a_row_of_a_public_set_is_read_without_a_mapping(read: Read, jsonl: Write, name: str) -> None:
    row, given, kind, expected = SETS[name]
    source = JsonLines(path=jsonl(row, row), **{"language": "sw", "license": "x", **given})
    out = read(source)
    assert source.makes is kind and not out.bad
    assert [{key: one[key] for key in expected} for one in out.rows] == [expected] * 2


def oasst(name: str, parent: str | None, role: str, text: str, lang: str = "de", tree: str = "m1") -> dict[str, Any]:
    return {"message_id": name, "parent_id": parent, "message_tree_id": tree, "text": text, "role": role, "lang": lang,
            "rank": None, "deleted": False}  # fmt: skip


FLAT = [
    oasst("m1", None, "prompter", "Wie geht es?"),
    oasst("m2", "m1", "assistant", "Gut."),
    oasst("m3", "m1", "assistant", "Schlecht."),
    oasst("m4", "m2", "prompter", "Warum?"),
    oasst("m5", "m4", "assistant", "Sonne."),
    oasst("m6", "m3", "prompter", "Weshalb?"),
    oasst("n1", None, "prompter", "Habari?", "sw", "n1"),
    oasst("n2", "n1", "assistant", "Nzuri.", "sw", "n1"),
    oasst("o2", "gone", "assistant", "Verloren.", "de", "o1"),
]
PATHS = [
    ("de", ["Wie geht es?", "Schlecht."]),
    ("de", ["Wie geht es?", "Gut.", "Warum?", "Sonne."]),
    ("sw", ["Habari?", "Nzuri."]),
]


def nested(name: str) -> dict[str, Any]:
    (row,) = [one for one in FLAT if one["message_id"] == name]
    return {**row, "replies": [nested(one["message_id"]) for one in FLAT if one["parent_id"] == name]}


def test_oasst_messages_become_the_conversations_that_end_with_an_answer(read: Read, jsonl: Write) -> None:
    out = read(JsonLines(path=jsonl(*FLAT), language="{lang}", license="x"))
    assert [(row["language"], [turn["content"] for turn in row["messages"]]) for row in out.rows] == PATHS
    assert [turn["role"] for turn in out.rows[1]["messages"]] == ["user", "assistant"] * 2
    assert [row["group_id"].rpartition(":")[2] for row in out.rows] == ["m1", "m1", "n1"]
    assert len(out.reasons) == 1 and "the message gone that it answers is not in the file" in out.reasons[0]


def test_oasst_trees_give_the_same_conversations(read: Read, jsonl: Write) -> None:
    trees = [
        {"message_tree_id": name, "tree_state": "ready_for_export", "prompt": nested(name)} for name in ("m1", "n1")
    ]
    out = read(JsonLines(path=jsonl(*trees), language="{lang}", license="x"))
    made = [(row["language"], [turn["content"] for turn in row["messages"]]) for row in out.rows]
    assert sorted(made) == sorted(PATHS)
    assert [row["group_id"].rpartition(":")[2] for row in out.rows] == ["m1", "m1", "n1"]


def test_a_circle_of_messages_is_no_conversation(read: Read, jsonl: Write) -> None:
    circle = [oasst("a", "b", "assistant", "x"), oasst("b", "a", "prompter", "y"), oasst("c", "c", "assistant", "z")]
    rows = [*FLAT[:2], *circle, oasst("d", "b", "assistant", "w"), oasst("e", "d", "prompter", "v")]
    out = read(JsonLines(path=jsonl(*rows), language="{lang}", license="x"))
    assert [[turn["content"] for turn in row["messages"]] for row in out.rows] == [["Wie geht es?", "Gut."]]
    assert [one.partition(": ")[2] or one for one in out.reasons] == [
        "the message a answers itself, through 2 messages",
        "the message b answers itself, through 2 messages",
        "the message c answers itself, through 1 messages",
        "the message b that it answers answers itself",
    ]


@pytest.mark.parametrize(
    "completions",
    [
        [{"response": "a", "overall_score": 5}] * 2,
        [{"response": "a"}, {"response": "b"}],
        json.dumps([{"response": "a"}] * 2),
    ],
)  # fmt: skip
def test_answers_that_are_rated_the_same_are_no_pair(read: Read, jsonl: Write, completions: Any) -> None:
    good = SETS["UltraFeedback"][0]
    rows = [good] * 9 + [{**good, "completions": completions}]
    out = read(JsonLines(path=jsonl(*rows), language="sw", license="x"))
    assert len(out.rows) == 9 and "no two answers with different ratings" in out.reasons[0]


def test_the_mean_of_the_aspects_rates_an_answer_without_an_overall_score(read: Read, jsonl: Write) -> None:
    def rated(text: str, *ratings: str) -> dict[str, Any]:
        return {"response": text, "annotations": {str(n): {"Rating": one} for n, one in enumerate(ratings)}}

    completions = [rated("Sijui.", "1", "3"), rated("Nzuri, asante.", "5", "N/A", "4"), rated("Sawa.", "3")]
    out = read(
        JsonLines(path=jsonl({"instruction": "Habari gani?", "completions": completions}), language="sw", license="x")
    )
    assert (out.rows[0]["chosen"], out.rows[0]["rejected"]) == ([HO], [BAD])
