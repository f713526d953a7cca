"""Labels of rows, given by keyboard or button, in the file that the step ``labels`` reads.

Every label is written at once, over the file as it then is, so that nothing is lost and work goes on where it stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from curate.catalog.suggestions import nearest
from curate.errors import StepError
from curate.preferences.review.labels_file import CHOICES, VERDICTS, Choice, Label, Verdict, read_labels, write_labels
from curate.rows import Kind
from outputs.report.markup import Html, tag

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

    def of(self, row: str) -> Label | None:
        """The label of a row, if it has one."""
        return self._mine.get(row)

    def give(self, row: Mapping[str, Any], word: str | None, comment: str | None) -> None:
        """Labels a row. What is None stays as it was.

        Args:
            word: a verdict; for a preference row a choice.
            comment: a note; an empty one takes it away.

        Raises:
            StepError: there is no such label for rows of this kind, or the file cannot be written.
        """
        pair = row["kind"] is Kind.PREFERENCE
        allowed: tuple[str, ...] = CHOICES if pair else VERDICTS
        if word is not None and word not in allowed:
            raise StepError(f"label: '{word}'{nearest(word, allowed)} (known: {', '.join(allowed)})")
        with self._lock:
            self._mine = self._read()
            old = self._mine.get(row["id"])
            new = old or Label(row["id"], self.annotator, kind=str(row["kind"]), language=row["language"])
            if word is not None:
                new = replace(new, choice=cast(Choice, word)) if pair else replace(new, verdict=cast(Verdict, word))
            if comment is not None:
                new = replace(new, comment=comment.strip() or None)
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
        with self._lock:
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
    return tag(
        "form",
        tag("span", "Label", class_="role", id=f"label-{row['id']}"),
        buttons,
        tag(
            "label",
            tag("span", "Note", class_="role"),
            tag("input", name="comment", value=note, dir="auto", autocomplete="off", maxlength="2000"),
            class_="note-of",
        ),
        tag("button", "Save note", type="submit", name="label", value=""),
        tag("span", "Saved" if label is not None else "", class_="note", role="status"),
        method="post",
        action=f"{base}/label/{row['id']}",
        class_="labels",
        data_row=row["id"],
        aria_labelledby=f"label-{row['id']}",
    )
