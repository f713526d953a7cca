"""Labels of rows, given by keyboard or button, in the file that the step ``labels`` reads.

Every label is written at once, over the file as it then is, by one process at a time, so that nothing is lost and work
goes on where it stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from curate.catalog.suggestions import nearest
from curate.errors import StepError
from curate.preferences.review.labels_file import (
    CHOICES,
    VERDICTS,
    Choice,
    ErrorSpan,
    Label,
    Verdict,
    exclusive_labels,
    read_labels,
    write_labels,
)
from curate.records.markup import Html, tag
from curate.rows import Kind
from curate.rows.kinds import message_columns, required_columns

_QUOTED = 120
_WORDS: Mapping[Kind | None, tuple[tuple[str, str], ...]] = {
    None: (("good", "Right"), ("bad", "Wrong"), ("unsure", "Unsure")),
    Kind.PREFERENCE: (("chosen", "Chosen is better"), ("rejected", "Rejected is better"), ("tie", "Tie")),
}
"""Label → what its button says; the keys are 1, 2 and 3."""


class Labels:
    """The labels of one annotator.

    Args:
        path: the file (.jsonl or .parquet); it is made with the first label.

    Raises:
        StepError: the file is there and holds something else.
    """

    def __init__(self, path: Path, annotator: str) -> None:
        self.path, self.annotator = path, annotator
        self._lock = threading.Lock()
        self._before: list[tuple[str, Label | None]] = []
        """What each change of this session replaced."""
        self._mine = self._read()

    def _read(self) -> dict[str, Label]:
        labels = read_labels([self.path]) if self.path.exists() else []
        self._others = [one for one in labels if one.annotator != self.annotator]
        return {one.id: one for one in labels if one.annotator == self.annotator}

    def __len__(self) -> int:
        return len(self._mine)

    def every(self) -> list[Label]:
        """The labels of all annotators."""
        return [*self._others, *self._mine.values()]

    def of(self, row: str) -> Label | None:
        """The label of a row, if it has one."""
        return self._mine.get(row)

    def marked(self, word: str) -> list[str]:
        """The rows with this label; ``any``, ``none``: with whatever label."""
        return [one.id for one in self._mine.values() if word in ("any", "none", one.choice, one.verdict)]

    def give(
        self, row: Mapping[str, Any], word: str | None, comment: str | None, error: ErrorSpan | None = None
    ) -> None:
        """Labels a row. What is None stays as it was.

        Args:
            word: a verdict; for a preference row a choice.
            comment: a note; an empty one takes it away.
            error: a stretch to add; one that is there already is taken away.

        Raises:
            StepError: there is no such label for rows of this kind, no such stretch in it, or the file cannot be
                written.
        """
        pair = row["kind"] is Kind.PREFERENCE
        allowed: tuple[str, ...] = CHOICES if pair else VERDICTS
        if word is not None and word not in allowed:
            raise StepError(f"label: '{word}'{nearest(word, allowed)} (known: {', '.join(allowed)})")
        with self._lock, exclusive_labels(self.path):
            self._mine = self._read()
            old = self._mine.get(row["id"])
            new = old or Label(row["id"], self.annotator, kind=str(row["kind"]), language=row["language"])
            if word is not None:
                new = replace(new, choice=cast(Choice, word)) if pair else replace(new, verdict=cast(Verdict, word))
            if comment is not None:
                new = replace(new, comment=comment.strip() or None)
            if error is not None:
                quoted(row, error)
                left = [
                    one for one in new.errors if (one.text, one.start, one.end) != (error.text, error.start, error.end)
                ]
                added = [error] if len(left) == len(new.errors) else []
                new = replace(new, errors=tuple(sorted([*left, *added])))
            if new.has_content and new != old:
                self._write({**self._mine, row["id"]: new})
                self._before.append((row["id"], old))
            elif old is not None and not new.has_content:
                self._write({key: one for key, one in self._mine.items() if key != row["id"]})
                self._before.append((row["id"], old))

    def undo(self) -> str | None:
        """Takes the last change of this session back.

        Returns:
            The row that it concerned; None if there is nothing to take back.
        """
        with self._lock, exclusive_labels(self.path):
            if not self._before:
                return None
            row, old = self._before[-1]
            left = {key: one for key, one in self._read().items() if key != row}
            self._write(left if old is None else {**left, row: old})
            self._before.pop()
            return row

    def _write(self, mine: dict[str, Label]) -> None:
        write_labels(self.path, [*self._others, *mine.values()])
        self._mine = mine


def spans(row: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a row that an error can be in, by their names: ``messages[1]``, ``target`` …"""
    if row["kind"] in (Kind.PARALLEL, Kind.DOCUMENT):
        return {name: row[name] for name in required_columns(row["kind"]) if name in ("text", "source", "target")}
    columns = message_columns(row["kind"])
    return {f"{name}[{place}]": turn["content"] for name in columns for place, turn in enumerate(row[name])}


def quoted(row: Mapping[str, Any], error: ErrorSpan) -> str:
    """The stretch of the row.

    Raises:
        StepError: it has none there.
    """
    text = spans(row).get(error.text, "")
    if not 0 <= error.start < error.end <= len(text):
        raise StepError(f"error: row {row['id']} has no characters {error.start} to {error.end} in '{error.text}'")
    return text[error.start : error.end]


def asked_error(form: Mapping[str, str]) -> ErrorSpan | None:
    """The stretch that a form names as ``messages[1]:3:9``.

    Raises:
        StepError: it names none.
    """
    given = form.get("error", "")
    if not given:
        return None
    text, *ends = given.rsplit(":", 2)
    if len(ends) != 2 or not all(one.isascii() and one.isdecimal() and len(one) < 10 for one in ends):
        raise StepError(f"error: '{given}' is no stretch; write messages[1]:3:9")
    return ErrorSpan(text, int(ends[0]), int(ends[1]), form.get("error_note", "").strip())


def form(row: Mapping[str, Any], label: Label | None, base: str) -> Html:
    """The buttons and the note of a row."""
    given = (label.choice or label.verdict) if label is not None else None
    words = _WORDS.get(row["kind"], _WORDS[None])
    buttons = [
        tag(
            "button",
            said,
            " ",
            tag("kbd", str(key), aria_hidden="true"),
            name="label",
            value=word,
            type="submit",
            aria_pressed="true" if word == given else "false",
            aria_keyshortcuts=str(key),
        )
        for key, (word, said) in enumerate(words, 1)
    ]
    note = label.comment if label is not None and label.comment else ""
    wrong = tag(
        "label",
        tag("span", "What is wrong there", class_="role"),
        tag("input", type="hidden", name="error"),
        tag("input", name="error_note", dir="auto", autocomplete="off", maxlength="2000"),
        class_="error-of",
        hidden=True,
    )
    return tag(
        "form",
        # Enter in a field presses the first button of a form.
        tag(
            "button", "Save", type="submit", name="label", value="", class_="default", tabindex="-1", aria_hidden="true"
        ),
        tag("span", "Label", class_="role", id=f"label-{row['id']}"),
        buttons,
        tag(
            "button",
            "Error in selected text ",
            tag("kbd", "e", aria_hidden="true"),
            type="button",
            class_="mark-error scripted-only",
            aria_keyshortcuts="e",
        ),
        tag(
            "label",
            tag("span", "Note", class_="role"),
            tag("input", name="comment", value=note, dir="auto", autocomplete="off", maxlength="2000"),
            class_="note-of",
        ),
        tag("button", "Save note", type="submit", name="label", value=""),
        tag("span", "Saved" if label is not None else "", class_="note", role="status"),
        wrong,
        _errors(row, label.errors) if label is not None and label.errors else None,
        method="post",
        action=f"{base}/label/{row['id']}",
        class_="labels",
        data_row=row["id"],
        aria_labelledby=f"label-{row['id']}",
    )


def _errors(row: Mapping[str, Any], errors: Sequence[ErrorSpan]) -> Html:
    """The marked stretches, each with a button that takes it away."""
    texts = spans(row)
    items = []
    for one in errors:
        said = texts.get(one.text, "")[one.start : one.end]
        name = f"{one.text}:{one.start}:{one.end}"
        items.append(
            tag(
                "li",
                tag("mark", said[:_QUOTED], "…" if len(said) > _QUOTED else None, dir="auto", class_="error"),
                " ",
                tag("span", one.note, dir="auto") if one.note else None,
                " ",
                tag("code", name, class_="note"),
                " ",
                tag("button", "Remove", type="submit", name="error", value=name, aria_label=f"Remove the error {name}"),
            )
        )
    return tag("ul", items, class_="errors")
