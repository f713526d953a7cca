"""Batches for annotation: texts in readable columns and questions about them, without earlier scores and verdicts.

The two answers of a preference row are A and B in an order of each row's own. The ``key`` beside the id tells the
import which is which, and whether id and row still belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

from curate.preferences.pair.candidates import split_turns
from curate.preferences.review.labels_file import RATINGS, VERDICTS
from curate.rows import Kind, languages, message_text

RTL = frozenset({"Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg", "Mand", "Samr", "Mend", "Yezi", "Aran"})
SIDES = ("A", "B")
Turn = Mapping[str, Any]

INSTRUCTIONS: Mapping[bool, str] = {
    True: "For each request say which answer is better for the person who asked: A, B or tie. Judge correctness, "
    "completeness, clarity and naturalness in the language of the request; neither length nor order should decide. "
    "Write a comment where it was hard. Leave the choice empty where you cannot judge.",
    False: "For each row say whether it is good, bad or unsure: would it make good training data as it stands? Rate it "
    "from 1 (useless) to 5 (excellent) if you like. If you can correct it, write the full corrected text into "
    "'correction'. Leave the verdict empty where you cannot judge.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A question about each row."""

    name: str
    title: str
    kind: Literal["choice", "rating", "text"]
    options: tuple[str, ...] = ()
    required: bool = False


COMPARED = (
    Question("choice", "Which answer is better?", "choice", (*SIDES, "tie"), True),
    Question("comment", "Comment", "text"),
)
ASSESSED = (
    Question("verdict", "Is it good as it stands?", "choice", VERDICTS, True),
    Question("rating", "How good is it?", "rating", tuple(map(str, range(RATINGS[0], RATINGS[1] + 1)))),
    Question("correction", "The text as it should be", "text"),
    Question("comment", "Comment", "text"),
)
TITLES = {
    "system": "System", "prompt": "Request", "response": "Answer", "answer_a": "Answer A", "answer_b": "Answer B",
    "completion": "Answer", "source_language": "Language of the source", "source": "Source", "target": "Translation",
    "text": "Text",
}  # fmt: skip
_COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.SFT: ("prompt", "response"),
    Kind.PREFERENCE: ("prompt", "answer_a", "answer_b"),
    Kind.UNPAIRED: ("prompt", "completion"),
    Kind.PARALLEL: ("source_language", "source", "target"),
    Kind.DOCUMENT: ("text",),
    Kind.PROMPT: ("prompt",),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a batch."""

    id: str
    key: str
    language: str
    texts: Mapping[str, str]
    shown: Mapping[str, str] = field(default_factory=dict)
    """Earlier scores and verdicts; empty in a blind batch."""

    @property
    def rtl(self) -> bool:
        """Whether its language is written from right to left."""
        return languages.script(self.language) in RTL


@dataclass(frozen=True)
class AnnotationBatch:
    """Rows for annotation."""

    name: str
    kind: Kind
    entries: Sequence[Entry]
    instructions: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the texts."""
        return _COLUMNS[self.kind]

    @property
    def questions(self) -> tuple[Question, ...]:
        """The questions about each row."""
        return COMPARED if self.kind is Kind.PREFERENCE else ASSESSED

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns of earlier scores and verdicts."""
        return tuple(dict.fromkeys(name for one in self.entries for name in one.shown))

    @property
    def header(self) -> tuple[str, ...]:
        """All columns of a table, the annotator's last."""
        questions = (one.name for one in self.questions)
        return ("id", "key", "language", *self.columns, *self.shown, *questions, "annotator")


def token(row: str, side: str) -> str:
    """``k`` and 8 hexadecimal digits for a row and its answer A (``chosen``, ``rejected``; ``row`` for other kinds).

    Without the letter, spreadsheets would read one in thirty as a number, and write it as 1.2E+07.
    """
    return "k" + blake2b(f"{row}:{side}".encode(), digest_size=4, person=b"curate-review").hexdigest()


def side_of(row: str, key: str) -> str | None:
    """The answer A by a key; None if id and key do not belong together."""
    return next((side for side in ("row", "chosen", "rejected") if token(row, side) == key.strip().casefold()), None)


def entry_of(kind: Kind, row: Mapping[str, Any], seed: int, *, shown: Mapping[str, str] | None = None) -> Entry:
    """A row as an entry of a batch.

    Args:
        seed: decides which answer of a preference row is A.
    """
    side = "row"
    texts: dict[str, str]
    if kind is Kind.SFT:
        one = split_turns(row["messages"])
        texts = {"prompt": conversation(one.prompt), "response": one.answer}
    elif kind is Kind.PREFERENCE:
        side = ("chosen", "rejected")[blake2b(f"{seed}:{row['id']}".encode(), digest_size=1).digest()[0] % 2]
        other = "rejected" if side == "chosen" else "chosen"
        texts = {
            "prompt": conversation(row["prompt"]),
            "answer_a": conversation(row[side]),
            "answer_b": conversation(row[other]),
        }
        if shown is not None:
            shown = {**shown, "chosen": "A" if side == "chosen" else "B"}
    elif kind is Kind.UNPAIRED:
        texts = {"prompt": conversation(row["prompt"]), "completion": conversation(row["completion"])}
        if shown is not None:
            shown = {**shown, "label": "good" if row["label"] else "bad"}
    elif kind is Kind.PROMPT:
        texts = {"prompt": conversation(row["prompt"])}
    else:
        texts = {name: row[name] for name in _COLUMNS[kind]}
    return Entry(row["id"], token(row["id"], side), row["language"], texts, shown or {})


def conversation(turns: Sequence[Turn]) -> str:
    """Turns as a text: a single turn as it is, several with their roles."""
    if len(turns) == 1 and turns[0]["role"] in ("user", "assistant"):
        return message_text(turns[0])
    return "\n\n".join(f"[{turn['role']}]\n{message_text(turn)}" for turn in turns)
