"""Judges by hand: what they are shown is read back out of the question, and each decides by a rule of its own."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import polars as pl
import pytest

from curate.preferences.judge.step import Judge
from curate.rows import Kind
from curate.steps.models import TokenLogprob

PAIRS = [
    ("en", "What boils at 100 degrees?", "Water does, at sea level.", "Wood."),
    ("ar", "ما عاصمة مصر؟", "القاهرة هي عاصمة مصر.", "لا"),
    ("th", "เมืองหลวงของไทยคืออะไร", "กรุงเทพมหานครเป็นเมืองหลวง", "ไม่"),
    ("zh", "中国最长的河是哪一条？", "长江是中国最长的河。", "山。"),
    ("hi", "भारत की राजधानी क्या है?", "नई दिल्ली भारत की राजधानी है।", "नहीं"),
]
MARK = "✓"
"""What a good judge goes by in made-up answers."""


def shown(text: str) -> dict[str, str]:
    """What stands between the marks of a question: ``request``, ``answer_A``, ``answer_B``, ``answer``,
    ``reference``."""
    return {one[2]: one[3] for one in re.finditer(r"<((\w+)(?:-[0-9a-f]{6})?)>\n(.*?)\n</\1>", text, re.S)}


def asked(messages: Any) -> dict[str, str]:
    """The same of a request's or a body's messages, the user turns of them."""
    turns = [one if isinstance(one, dict) else dict(zip(("role", "content"), one, strict=True)) for one in messages]
    return shown("\n".join(turn["content"] for turn in turns if turn["role"] == "user"))


def verdict(label: str, reason: str = "so it is") -> dict[str, str]:
    return {"reason": reason, "verdict": label}


def by(better):
    """A judge that prefers the answer with the higher ``better(text)``."""

    def said(messages: Any) -> dict[str, str]:
        texts = asked(messages)
        one, two = better(texts["answer_A"]), better(texts["answer_B"])
        return verdict("A" if one > two else "B" if two > one else "tie")

    return said


def echo(messages: Any) -> dict[str, str]:
    """A judge that repeats the first verdict it reads in an answer, and does what a note in one tells it; else it
    ties."""
    texts = asked(messages)
    for label in ("A", "B"):
        text = texts[f"answer_{label}"]
        if found := re.search(r"verdict: (A|B)", text):
            return verdict(found[1])
        if "Note for the judge" in text:
            return verdict(label)
    return verdict("tie")


good = by(lambda text: MARK in text)
longer = by(len)


def always(label: str):
    return lambda messages: verdict(label)


def garbage(messages: Any) -> str:
    return "I am sorry, as a model of words I cannot"


def as_reply(said: Any) -> str:
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


def decided(step, rows, context) -> tuple[pl.DataFrame, list[str | None], Any]:
    """The columns, the reason for which each row is dropped (None: kept), and what was fitted."""
    fitted = step.fit([step.sample(rows, context)], context) if step.requires_fit else None
    frame = step.score(rows, context, fitted)
    assert list(frame.columns) == list(step.columns(rows.kind))
    flags = frame.with_columns(language=rows.language).select(
        **{name: reason.fill_null(False) for name, reason in step.drop_rules(rows.kind).items()}
    )
    return frame, [next((name for name, value in row.items() if value), None) for row in flags.to_dicts()], fitted


def preference(language: str, prompt: str, chosen: str, rejected: str, **more: Any) -> dict[str, Any]:
    return {
        "language": language,
        "prompt": [{"role": "user", "content": prompt}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
        **more,
    }


def made_pairs(language: str, count: int, *, long_is_good: bool | None = None) -> list[dict[str, Any]]:
    """Pairs of which ``chosen`` is good; which is longer is by turns, unless said."""
    rows = []
    for number in range(count):
        longer_one = number % 2 == 0 if long_is_good is None else long_is_good
        one, two = f"yes {number} {MARK}", f"no {number}"
        rows.append(
            preference(
                language, f"is it {number}?", one + " and so on" * longer_one, two + " and so on" * (not longer_one) * 3
            )
        )
    return rows


def figure(step, fitted, name: str, language: str = "en", judge: str = "j") -> dict[str, Any] | None:
    return next(
        (
            row
            for row in step.diagnostics(fitted)
            if (row["subject"], row["language"], row["figure"]) == (judge, language, name)
        ),
        None,
    )


@pytest.fixture
def judge(bench, scripted, make):
    """Runs judges (name → rule over the messages) over preference rows or others."""

    def run(rows, rules, kind=Kind.PREFERENCE, context=None, **params):
        params = {"method": "pairwise", "audit_rows": 0, **params}
        rules = rules if isinstance(rules, dict) else {"j": rules}
        models = {name: scripted(lambda request, rule=rule: rule(request.messages)) for name, rule in rules.items()}
        params.setdefault("model", next(iter(models)) if len(models) == 1 else tuple(models))
        table = context or bench(models, params.pop("tables", {}))
        table.models |= models
        step = Judge(**params)
        assert step.check(kind) == []
        return (*decided(step, make(kind, rows), table), models, table)

    return run


LEVELS = {1: "bad", 2: {"default": "fair", "de": "mittel"}, 3: "good"}
CLEAR = {
    "name": "clear",
    "description": {"default": "Is it clear?", "de": "Ist es klar?"},
    "levels": LEVELS,
    "weight": 3,
}
TRUE = {"name": "true", "description": "Is it true?", "levels": LEVELS}


def chat(language, prompt, answer, **more):
    return {
        "language": language,
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
        **more,
    }


def tokens(*named):
    return tuple(
        TokenLogprob(text, math.log(0.5), tuple((one, math.log(p)) for one, p in top.items())) for text, top in named
    )
