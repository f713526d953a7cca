"""Renders rows for a judge: the conversation, the answers and a reference, each cut to size and fenced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import regex

from curate.generation.common.conversations import not_shown
from curate.generation.common.prompts import fence
from curate.preferences.judge.params import JudgeParams
from curate.preferences.pair.candidates import split_turns
from curate.rows import Kind, message_text
from curate.steps import Context, Rows

Turn = Mapping[str, Any]
_REFERENCES: WeakKeyDictionary[Context, dict[str, References]] = WeakKeyDictionary()
_MARKDOWN = (
    (regex.compile(r"^[ \t]{0,3}#{1,6}[ \t]+", regex.M), ""),
    (regex.compile(r"^([ \t]*)[*+-][ \t]+", regex.M), r"\1"),
    (regex.compile(r"^[ \t]{0,3}(?:[-*_][ \t]*+){3,}$\n?", regex.M), ""),
    (regex.compile(r"(?<![\w*])(\*\*|__)(?=\S)((?:(?!\1)[^\n])*+)\1(?!\w)"), r"\2"),
    (regex.compile(r"(?<![\w*])([*_])(?=\S)((?:(?!\1)[^\n])*+)\1(?!\w)"), r"\2"),
)
_CODE = regex.compile(r"(?ms)(^```.*?^```[^\n]*$|`[^`\n]+`)")


@dataclass(frozen=True, slots=True)
class Item:
    """A row as shown to a judge."""

    place: int
    id: str
    language: str
    source_language: str
    prompt: tuple[tuple[str, str], ...]
    """(role, text); for parallel rows, the source as one user turn."""
    answers: Mapping[str, str]
    """``chosen`` and ``rejected`` of a preference row, ``answer`` of any other."""
    reference: str | None = None
    reference_language: str = ""
    why_not: str = ""
    """Why it cannot be judged: ``empty`` (an answer has no text), ``media`` (it has images and the like, which a judge
    is not shown), ``reference`` (it has none)."""

    @property
    def same(self) -> bool:
        """Whether both answers are equal, so that there is nothing to compare."""
        return len(self.answers) == 2 and len(set(self.answers.values())) == 1

    @property
    def shown(self) -> str:
        """The conversation, fenced."""
        if len(self.prompt) == 1 and self.prompt[0][0] == "user":
            return fence(self.prompt[0][1], "request")
        return fence("\n".join(fence(text, role) for role, text in self.prompt), "conversation")

    def with_answer(self, side: str, text: str) -> Item:
        """A copy with another text for one answer."""
        return replace(self, answers={**self.answers, side: text})


def items_of(step: JudgeParams, rows: Rows, context: Context) -> list[Item]:
    """The items of all rows; warns if texts were cut."""
    references = None if step.reference is None else references_of(step.reference, context)
    groups = rows.table["group_id"].to_pylist()
    unseen = [None] * len(rows) if step.method == "reference" else not_shown(rows, tools=False)
    cut = 0
    items = []
    for place, (prompt, answers, language, source) in enumerate(_contents(rows)):
        ready = {
            side: prepared(text, step.max_chars, markdown=not step.strip_markdown) for side, text in answers.items()
        }
        turns = tuple((role, prepared(text, step.max_chars)) for role, text in prompt)
        cut += any(len(text) > step.max_chars for text in (*answers.values(), *(text for _, text in prompt)))
        reference, tag, why_not = None, "", ""
        if any(not text.strip() for text in ready.values()):
            why_not = "empty"
        elif unseen[place] is not None:
            why_not = "media"
        elif references is not None:
            reference_of_row = references.find(groups[place], language, step.reference_language)
            if reference_of_row is not None:
                reference, tag = prepared(reference_of_row[0], step.max_chars), reference_of_row[1]
            why_not = "reference" if reference is None or not reference.strip() else ""
        items.append(Item(place, str(rows.ids[place]), language, source, turns, ready, reference, tag, why_not))
    if cut:
        context.warn(
            f"{step.tag}: {cut:,} rows have texts longer than {step.max_chars:,} characters, which are cut for the "
            "judge ('max_chars')"
        )
    return items


def prepared(text: str, max_chars: int, *, markdown: bool = True) -> str:
    """The text as it is shown: without Markdown if requested, and cut between two graphemes."""
    if not markdown:
        text = without_markdown(text)
    if len(text) <= max_chars:
        return text
    # A grapheme (letter with marks, emoji with joiners) across the limit is dropped as a whole.
    start = max(0, max_chars - 64)
    clusters = regex.findall(r"\X", text[start : max_chars + 64])
    kept, at = [], start
    for cluster in clusters:
        at += len(cluster)
        if at > max_chars:
            break
        kept.append(cluster)
    return text[:start] + "".join(kept) + " […]"


def without_markdown(text: str) -> str:
    """The text without headings, bullets, emphasis and rules, so that formatting cannot decide; code is unchanged."""
    parts = _CODE.split(text)
    for index in range(0, len(parts), 2):
        for pattern, into in _MARKDOWN:
            parts[index] = pattern.sub(into, parts[index])
    return "".join(parts)


class References:
    """The reference answers of all items, by group and language."""

    def __init__(self, name: str, context: Context) -> None:
        self._texts: dict[str, dict[str, str]] = {}
        for rows in context.rows(name):
            groups = rows.table["group_id"].to_pylist()
            for group, (_, answers, language, _) in zip(groups, _contents(rows), strict=True):
                text = answers.get("chosen", answers.get("answer", ""))
                if group and text.strip():
                    self._texts.setdefault(group, {}).setdefault(language, text)
        if not self._texts:
            context.warn(f"judge: '{name}' has no reference answers")

    def find(self, group: str, language: str, requested: str | None) -> tuple[str, str] | None:
        """The reference of an item and its language: the requested one, else the row's own, else English."""
        known = self._texts.get(group, {})
        for tag in [requested] if requested is not None else [language, "en"]:
            if tag in known:
                return known[tag], tag
        return None


def references_of(name: str, context: Context) -> References:
    """The references, loaded once for all batches."""
    kept = _REFERENCES.setdefault(context, {})
    if name not in kept:
        kept[name] = References(name, context)
    return kept[name]


def _contents(rows: Rows) -> list[tuple[tuple[tuple[str, str], ...], dict[str, str], str, str]]:
    """(prompt turns, answers by side, language of the answer, language of the prompt) of each row."""
    table, kind = rows.table, rows.kind
    languages, asked = table["language"].to_pylist(), rows.prompt_language.to_list()
    if kind is Kind.PARALLEL:
        columns = (table[name].to_pylist() for name in ("source", "target", "source_language"))
        return [
            ((("user", source),), {"answer": target}, language, source_language)
            for source, target, source_language, language in zip(*columns, languages, strict=True)
        ]
    if kind is Kind.DOCUMENT:
        return [
            ((), {"answer": text}, tag, tag) for text, tag in zip(table["text"].to_pylist(), languages, strict=True)
        ]
    if kind is Kind.SFT:
        split = [split_turns(turns) for turns in table["messages"].to_pylist()]
        return [
            (_turns(one.prompt), {"answer": one.answer}, tag, prompted)
            for one, tag, prompted in zip(split, languages, asked, strict=True)
        ]
    if kind is Kind.PROMPT:
        return [
            (_turns(turns), {"answer": ""}, tag, tag)
            for turns, tag in zip(table["prompt"].to_pylist(), languages, strict=True)
        ]
    sides = ("chosen", "rejected") if kind is Kind.PREFERENCE else ("completion",)
    names = sides if kind is Kind.PREFERENCE else ("answer",)
    columns_of_sides = [table[name].to_pylist() for name in sides]
    return [
        (_turns(prompt), {name: _answer(one) for name, one in zip(names, answers, strict=True)}, tag, prompted)
        for prompt, tag, prompted, *answers in zip(
            table["prompt"].to_pylist(), languages, asked, *columns_of_sides, strict=True
        )
    ]


def _turns(turns: Sequence[Turn]) -> tuple[tuple[str, str], ...]:
    return tuple((turn["role"], message_text(turn)) for turn in turns)


def _answer(turns: Sequence[Turn]) -> str:
    """The text of an answer; several turns are fenced with their roles."""
    texts = [message_text(turn) for turn in turns]
    if len(turns) == 1:
        return texts[0]
    if any(text.strip() for text in texts):
        return "\n".join(fence(text, turn["role"]) for text, turn in zip(texts, turns, strict=True))
    return ""


def contents(rows: Rows) -> list[tuple[tuple[tuple[str, str], ...], dict[str, str], str, Any]]:
    """As in :class:`Item`, but uncut: (prompt turns, answers by side, language, source language)."""
    return list(_contents(rows))
