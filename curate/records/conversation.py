"""The texts of a row in their scripts and directions: turns, calls, the two answers of a preference with their
differences, stretches marked as errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from curate.records.marks import ALIKE, Mark, differences, likeness
from curate.records.markup import Html, direction, html_language, joined, tag, text, words
from curate.rows import Kind
from curate.rows.kinds import MEDIA, message_columns

BESIDE = 1_200
"""Characters shown of each text of a row beside another."""
WHOLE = 20_000
"""Characters shown of each text of a row; the rest has pages of its own, since browsers stand still over a megabyte."""
LONGEST_COMPARED = 4_000
"""Characters of two texts up to which their differences are marked."""


class Stretch(Protocol):
    """Some characters of a text of a row."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def note(self) -> str: ...


@dataclass(frozen=True)
class Own:
    """What the record of a row has beyond its texts as they are shown beside others."""

    address: str = ""
    """Leads to the rest of long texts; without one the rest is counted."""
    start: int = 0
    """The character that long texts are shown from."""
    errors: Sequence[Stretch] = ()
    """Stretches to mark."""
    most: int = WHOLE
    """Characters shown of each text."""


def conversation(row: Mapping[str, Any], most: int, own: Own | None = None) -> Html:
    """The texts of a row: turns one below the other, the two answers of a preference beside each other, source and
    target of a pair too.

    Args:
        most: cut each text after so many characters, and say so.
        own: on the row's own page.
    """
    kind, language = row["kind"], row["language"]
    if kind is Kind.PARALLEL:
        sides = [("source", row["source"], row["source_language"]), ("target", row["target"], language)]
        return tag(
            "div",
            [_column(name, [_turn(name, name, said, spoken, most, own)]) for name, said, spoken in sides],
            class_="sides",
        )
    if kind is Kind.DOCUMENT:
        return _turn("text", "text", row["text"], language, most, own)
    if kind is Kind.PREFERENCE:
        answers = _differing(row) if own is not None else {}
        return joined(
            _turns(row, "prompt", most, own),
            tag(
                "div",
                [
                    _column(name, _turns(row, name, most, own, answers.get(name)), name)
                    for name in ("chosen", "rejected")
                ],
                class_="sides",
            ),
            _parts(row),
        )
    verdict = None
    if row.get("label") is not None:
        verdict = tag("p", "Label: ", tag("strong", "good" if row["label"] else "bad"))
    return joined([_turns(row, name, most, own) for name in message_columns(kind)], verdict, _parts(row))


def _column(name: str, content: object, sort: str = "") -> Html:
    return tag("div", tag("h4", name), content, class_=f"side {sort}".strip())


def _turns(row: Mapping[str, Any], column: str, most: int, own: Own | None, last: Html | None = None) -> list[Html]:
    """The messages of a column.

    Args:
        last: the text of the last one, with marks in it.
    """
    turns, language = row[column], row["language"]
    return [
        joined(
            _folded(f"{turn['role']}: reasoning", turn["reasoning"], language) if turn.get("reasoning") else None,
            _turn(
                _speaker(turn),
                f"{column}[{place}]",
                turn["content"],
                language,
                most,
                own,
                last if place == len(turns) - 1 else None,
            )
            if turn["content"] or not turn.get("tool_calls")
            else None,
            [_call(call) for call in turn.get("tool_calls") or ()],
        )
        for place, turn in enumerate(turns)
    ]


def _speaker(turn: Mapping[str, Any]) -> str:
    name = f" ({turn['name']})" if turn.get("name") else ""
    return f"{turn['role']}{name}{', not trained on' if turn.get('weight') == 0 else ''}"


def _turn(
    label: str, name: str, content: str, language: str, most: int, own: Own | None, marked: Html | None = None
) -> Html:
    """A text below who says it.

    Args:
        name: of the text, as errors in it are named.
        marked: the text with marks in it.
    """
    role = label.split(" ")[0].rstrip(",")
    if own is None:
        body = words(content, language, most)
    else:
        errors = [one for one in own.errors if one.text == name]
        shown = content[own.start : own.start + most]
        body = joined(
            tag(
                "div",
                _with_errors(content, own.start, len(shown), errors) if errors or marked is None else marked,
                class_="text",
                data_text=name if own.address else None,
                data_start=own.start if own.address else None,
                **language_and_direction(shown, language),
            ),
            _rest(len(content), own.start, most, own.address) if len(content) > most else None,
        )
    return tag("div", tag("div", label, class_="role"), body, class_=f"turn of-{role}" if role.isalpha() else "turn")


def _with_errors(content: str, start: int, length: int, errors: Sequence[Stretch]) -> Html:
    """Some characters of a text, with the errors in them marked."""
    parts: list[object] = []
    at, end = start, start + length
    for one in sorted(errors, key=lambda one: (one.start, one.end)):
        first, last = (min(max(place, at), end) for place in (one.start, one.end))
        if first < last:
            parts += [content[at:first], tag("mark", content[first:last], class_="error", title=one.note or "error")]
            at = last
    return joined(parts, content[at:end])


def _rest(whole: int, start: int, most: int, address: str) -> Html:
    """Which characters of a long text are shown, with links to those before and after if there are pages of them."""
    if not address:
        return tag("p", f"… {whole - most:,} more characters", class_="note")
    shown = (
        f"Characters {start + 1:,} to {min(start + most, whole):,} of {whole:,}" if start < whole else "It ends before"
    )
    return tag(
        "p",
        tag("a", "← before", href=f"{address}?from={max(0, start - most)}") if start else None,
        f" {shown} ",
        tag("a", "more →", href=f"{address}?from={start + most}") if start + most < whole else None,
        class_="note",
    )


def language_and_direction(content: str, language: str) -> dict[str, str | None]:
    """The attributes of an element with a text in a language."""
    return {"lang": html_language(language), "dir": direction(content, language)}


def _call(call: Mapping[str, Any]) -> Html:
    function = call["function"]
    return tag(
        "details",
        tag("summary", "Calls ", tag("code", function["name"]), f" · {call['id']}" if call["id"] else None),
        tag("pre", shortened(_indented(function["arguments"])), dir="ltr", tabindex="0"),
        class_="call",
    )


def _parts(row: Mapping[str, Any]) -> Html:
    """Tools and media, folded."""
    parts = [_folded("Tools", _indented(row["tools"]), "en", "pre")] if row.get("tools") else []
    parts += [
        _folded(f"{name} ({len(row[name])})", "\n".join(row[name]), "en", "pre") for name in MEDIA if row.get(name)
    ]
    return joined(parts)


def _folded(title: str, content: str, language: str, name: str = "div") -> Html:
    body = tag("pre", shortened(content), dir="ltr", tabindex="0") if name == "pre" else words(content, language, WHOLE)
    return tag("details", tag("summary", title), body, class_="call")


def shortened(content: str) -> Html:
    """A text that is no sentence, cut if it is very long, and how much is missing."""
    more = len(content) - WHOLE
    return joined(content[:WHOLE], tag("span", f" … {more:,} more characters", class_="more") if more > 0 else None)


def _indented(given: str) -> str:
    try:
        return orjson.dumps(orjson.loads(given), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return given


# ------------------------------------------------------------------------------------------------------ differences
def _differing(row: Mapping[str, Any]) -> dict[str, Html]:
    """The last messages of the two answers, with the words that only one of them has marked."""
    sides = [row[name][-1]["content"] if row[name] else "" for name in ("chosen", "rejected")]
    if max(map(len, sides)) > LONGEST_COMPARED:
        return {}
    old, new = compared(sides[1], sides[0], row["language"])
    return {"chosen": new, "rejected": old}


def compared(old: str, new: str, language: str) -> tuple[Html, Html]:
    """Two texts, in each the words marked that the other does not have there; unmarked if they are very long or have
    little in common."""
    if max(len(old), len(new)) > LONGEST_COMPARED or likeness(old, new, language) < ALIKE:
        return text(old), text(new)
    pieces = differences(old, new, language)
    left = [tag("del", said) if mark is Mark.REMOVED else said for mark, said in pieces if mark is not Mark.ADDED]
    right = [tag("ins", said) if mark is Mark.ADDED else said for mark, said in pieces if mark is not Mark.REMOVED]
    return joined(left), joined(right)
