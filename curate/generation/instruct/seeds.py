"""The roots of new instructions: example instructions by language, personas, and passages cut to fit into a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import regex

from curate.generation.common.conversations import last_prompts, question_and_answer
from curate.generation.common.derived_rows import random_numbers
from curate.generation.common.few_shot import Example, Examples
from curate.generation.common.prompts import load_data
from curate.rows import Kind, schema, with_ids
from curate.steps import Rows

PEOPLE = "instruct/people"
ORIGIN = ("id", "group_id", "attributes", "lineage")
"""The columns of a row that derived rows need."""
_ENDS = regex.compile(r"\n\s*\n|\n|[.!?…]+[\x22'”’»)\]]*\s|[。！？｡।॥؟۔։።៕]+[”’」』）】\x22']*")


@dataclass(frozen=True)
class Root:
    """The row that a request is based on."""

    id: str
    language: str
    text: str
    """The persona or the passage; empty for seeds."""
    origin: pa.Table
    """Its columns :data:`ORIGIN`, as one row."""
    part: int = 0


def with_answers(rows: Rows) -> list[tuple[str, str] | None]:
    """(prompt, answer or "") of each row with a prompt."""
    pairs = zip(last_prompts(rows), question_and_answer(rows), strict=True)
    return [pair or ((text, "") if text.strip() else None) for text, pair in pairs]


class Seeds:
    """Example instructions, in a pool of bounded size per language."""

    def __init__(self, walk: Callable[[], Iterable[Rows]], seed: int, pool: int, longest: int) -> None:
        """Reads all rows twice, so that only the pools are in memory."""
        self._examples = Examples(walk(), seed, pool, longest=longest, answered=with_answers)
        kept = [one.id for language in self.languages for one in self.of(language)]
        self._origins: dict[str, pa.Table] = {}
        for rows in walk():
            if len(rows):
                origins = rows.take(rows.ids.is_in(kept)).table.select(list(ORIGIN))
                self._origins |= {str(name): origins.slice(place, 1) for place, name in enumerate(origins["id"])}

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that have seeds."""
        return self._examples.languages

    def of(self, language: str) -> Sequence[Example]:
        """The seeds in a language."""
        return self._examples.of(language)

    def draw(self, k: int, language: str, key: str, seed: int, *, same: bool) -> list[Example]:
        """``k`` seeds for a request, of its language first and (unless ``same``) of others if there are too few."""
        tags = [language] if same else [language, *(other for other in self.languages if other != language)]
        start = random_numbers(seed, [language], "seeds", key)[0]
        seeds: list[Example] = []
        for tag in tags:
            if len(seeds) < k and (pool := self.of(tag)):
                seeds += [pool[place] for place in self._examples.shuffled(tag, start)[: k - len(seeds)]]
        return seeds

    def root(self, example: Example) -> Root:
        """The root of a seed."""
        return Root(example.id, example.language, "", self._origins[example.id])


def shipped_people(languages: Sequence[str]) -> Iterator[Root]:
    """The personas of the package in each of these languages, or in English if there are none."""
    data: dict[str, list[str]] = load_data(PEOPLE)
    for language in languages:
        tag = language
        while tag not in data and "-" in tag:
            tag = tag.rpartition("-")[0]
        tag = tag if tag in data else "en"
        people = _documents(tag, data[tag])
        for place, text in enumerate(data[tag]):
            row = people.slice(place, 1)
            yield Root(str(row["id"][0]), language, text, row.select(list(ORIGIN)))


def _documents(tag: str, texts: Sequence[str]) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "text": text,
            "language": tag,
            "group_id": "",
            "scores": [],
            "attributes": [],
            "lineage": {
                "source": "curate personas",
                "source_id": f"{tag}#{place}",
                "license": "CC0-1.0",
                "parents": [],
                "makers": [],
            },
        }
        for place, text in enumerate(texts)
    ]
    columns = pa.schema([one for one in schema(Kind.DOCUMENT) if one.name != "id"])
    return with_ids(Kind.DOCUMENT, pa.Table.from_pylist(rows, columns))


def roots_of(batches: Iterable[Rows], chars: int, parts: int) -> Iterator[Root]:
    """The texts of rows (documents, or prompts), each in up to ``parts`` pieces of at most ``chars`` characters."""
    for rows in batches:
        if not len(rows):
            continue
        origin, languages = rows.table.select(list(ORIGIN)), rows.language.to_list()
        for place, text in enumerate(last_prompts(rows)):
            for part, piece in enumerate(pieces(text, chars)):
                if part == parts:
                    break
                yield Root(str(rows.ids[place]), languages[place], piece, origin.slice(place, 1), part)


def pieces(text: str, chars: int) -> Iterator[str]:
    """Cuts a text into pieces of at most ``chars`` characters: after a paragraph, else a sentence, else a space, else
    anywhere."""
    start = 0
    while start < len(text):
        end = start + chars
        if end < len(text):
            window = text[start:end]
            ends = [match.end() for match in _ENDS.finditer(window, chars // 2)]
            paragraph = window.rfind("\n\n", chars // 2)
            space = window.rfind(" ", chars // 2)
            end = start + (paragraph + 2 if paragraph >= 0 else ends[-1] if ends else space + 1 if space > 0 else chars)
        piece = text[start:end].strip()
        if piece:
            yield piece
        start = end
