"""A sheet is what people get to see of rows: texts in readable columns, questions to answer, and nothing that tells what was thought of them before.

The two answers of a preference row stand as A and B in an order of the row's own; the ``key`` beside the id says which is which, and
shows on the way back whether id and row still belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

from curate.preferences.pair.candidates import split_turns
from curate.preferences.review.labels_file import RATINGS, VERDICTS
from curate.rows import Kind, languages

RTL = frozenset({"Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg", "Mand", "Samr", "Mend", "Yezi", "Aran"})
SIDES = ("A", "B")
Turn = Mapping[str, str]

INSTRUCTIONS: Mapping[bool, str] = {
    True: "For each request say which answer is better for the person who asked: A, B or tie. Judge correctness, completeness, clarity and naturalness in the "
    "language of the request; neither length nor order should decide. Write a comment where it was hard. Leave the choice empty where you "
    "cannot judge.",
    False: "For each row say whether it is good, bad or unsure: would it make good training data as it stands? Rate it from 1 (useless) to 5 (excellent) if you "
    "like. If you can mend it, write the whole text as it should be into 'correction'. Leave the verdict empty where you cannot judge.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to be answered for each row."""

    name: str
    title: str
    kind: Literal["choice", "rating", "text"]
    options: tuple[str, ...] = ()
    required: bool = False


COMPARED = (
    Asked("choice", "Which answer is better?", "choice", (*SIDES, "tie"), True),
    Asked("comment", "Comment", "text"),
)
ASSESSED = (
    Asked("verdict", "Is it good as it stands?", "choice", VERDICTS, True),
    Asked("rating", "How good is it?", "rating", tuple(map(str, range(RATINGS[0], RATINGS[1] + 1)))),
    Asked("correction", "The text as it should be", "text"),
    Asked("comment", "Comment", "text"),
)
TITLES = {
    "system": "System", "prompt": "Request", "response": "Answer", "answer_a": "Answer A", "answer_b": "Answer B", "completion": "Answer",
    "source_language": "Language of the source", "source": "Source", "target": "Translation", "text": "Text",
}  # fmt: skip
_COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.SFT: ("prompt", "response"), Kind.PREFERENCE: ("prompt", "answer_a", "answer_b"), Kind.UNPAIRED: ("prompt", "completion"),
    Kind.PARALLEL: ("source_language", "source", "target"), Kind.DOCUMENT: ("text",), Kind.PROMPT: ("prompt",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One row on a sheet."""

    id: str
    key: str
    language: str
    texts: Mapping[str, str]
    shown: Mapping[str, str] = field(default_factory=dict)
    """What was thought of it before; empty on a blind sheet."""

    @property
    def rtl(self) -> bool:
        """Whether its language is written from right to left."""
        return languages.script(self.language) in RTL


@dataclass(frozen=True)
class Sheet:
    """Rows for people to look at."""

    name: str
    kind: Kind
    entries: Sequence[Entry]
    instructions: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the texts."""
        return _COLUMNS[self.kind]

    @property
    def questions(self) -> tuple[Asked, ...]:
        """What is asked of each row."""
        return COMPARED if self.kind is Kind.PREFERENCE else ASSESSED

    @property
    def shown(self) -> tuple[str, ...]:
        """What else is shown."""
        return tuple(dict.fromkeys(name for one in self.entries for name in one.shown))

    @property
    def header(self) -> tuple[str, ...]:
        """All columns of a table, those to be filled last."""
        asked = (one.name for one in self.questions)
        return ("id", "key", "language", *self.columns, *self.shown, *asked, "annotator")


def token(row: str, side: str) -> str:
    """``k`` and 8 hexadecimal digits that belong to a row and to what stands as A in it (``chosen``, ``rejected``; ``row`` of other kinds).

    Without the letter, spreadsheets would take one in thirty for a number, and write it as 1.2E+07.
    """
    return "k" + blake2b(f"{row}:{side}".encode(), digest_size=4, person=b"curate-review").hexdigest()


def side_of(row: str, key: str) -> str | None:
    """What a key says stands as A; None where id and key do not belong together."""
    return next((side for side in ("row", "chosen", "rejected") if token(row, side) == key.strip().casefold()), None)


def entry_of(kind: Kind, row: Mapping[str, Any], seed: int, *, shown: Mapping[str, str] | None = None) -> Entry:
    """A row as it stands on a sheet.

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
    """Turns as a text: one alone as it is, several with who speaks."""
    if len(turns) == 1 and turns[0]["role"] in ("user", "assistant"):
        return turns[0]["content"]
    return "\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in turns)
