"""How items are planted into conversations: verbatim, edited, cut in two, numbered, inside a longer text."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import regex
from contamination_items import Item
from duplicates_plants import edited

UNSPACED = {"zh": "", "ja": "", "th": ""}


@dataclass(frozen=True)
class Plant:
    """A row with an item in it, or one that only looks like that."""

    sort: str
    item: Item
    payload: dict[str, Any]


def words_changed(share: float) -> Callable[[Item, random.Random, Sequence[str]], str | None]:
    """So many of a hundred words left out, doubled, exchanged with the next, or replaced by one of another item;
    numbers stay as they are.
    """

    def change(item: Item, rng: random.Random, foreign: Sequence[str]) -> str | None:
        joint = UNSPACED.get(item.language, " ")
        words = _words_of(item)
        free = [number for number, word in enumerate(words) if not FIGURES.search(word)]
        count = max(1, round(len(words) * share))
        if len(free) < count or len(words) < 4:
            return None
        for number in sorted(rng.sample(free, count), reverse=True):
            kind = rng.choice(["drop", "double", "swap", "replace"])
            if kind == "drop":
                words[number] = ""
            elif kind == "double":
                words[number] = f"{words[number]}{joint}{words[number]}"
            elif kind == "swap" and number + 1 in free:
                words[number], words[number + 1] = words[number + 1], words[number]
            else:
                words[number] = rng.choice(foreign)
        told = joint.join(word for word in words if word)
        return told if told != item.question else None

    return change


FIGURES = regex.compile(r"[\p{N}\p{Sc}\p{Sm}%〇零一二两三四五六七八九十百千万億亿]")


def _words_of(item: Item) -> list[str]:
    if UNSPACED.get(item.language, " ") == "":
        found: list[str] = regex.findall(r"\p{L}\p{M}*|[^\p{L}\p{M}]+\p{M}*", item.question)
        return found
    return item.question.split()


def halves(item: Item, rng: random.Random) -> tuple[str, str] | None:
    """The item cut between two words somewhere in the middle."""
    places = [
        match.start()
        for match in regex.finditer(
            r"\s" if item.language not in UNSPACED else r"(?<=\p{L}\p{M}*)(?=\p{L})", item.question
        )
    ]
    places = [place for place in places if 0.3 * len(item.question) <= place <= 0.7 * len(item.question)]
    if not places:
        return None
    at = rng.choice(places)
    return item.question[:at].strip(), item.question[at:].strip()


def chat(language: str, *said: str) -> dict[str, Any]:
    return {
        "language": language,
        "messages": [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(said)],
    }


def plant(
    item: Item, sort: str, hosts: Sequence[str], rng: random.Random, foreign: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The payloads of the row, or rows, with the item in it.

    Args:
        foreign: words of other items, for those that are replaced.
    """
    host = rng.choice(hosts)
    if sort == "verbatim":
        yield chat(item.language, item.question, host)
    elif sort == "surface":
        wide = "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in item.question)
        yield chat(
            item.language,
            rng.choice(
                [
                    item.question.upper(),
                    wide,
                    regex.sub(r"(?V1)[\p{P}--[%&*/#@'’]](?!\p{N})", " ", item.question),
                    f"<p>{item.question}</p>",
                ]
            ),
            host,
        )
    elif sort == "numbered parts":
        yield chat(item.language, numbered(item, rng), host)
    elif sort in ("split, two user turns", "split, two speakers"):
        both = halves(item, rng)
        if both:
            more = rng.choice(hosts)
            yield (
                chat(item.language, both[0], host, both[1], more)
                if sort.endswith("turns")
                else chat(item.language, f"{host}\n{both[0]}", f"{both[1]} {more}")
            )
    elif sort == "split, two rows":
        both = halves(item, rng)
        if both:
            yield chat(item.language, both[0], host)
            yield chat(item.language, both[1], rng.choice(hosts))
    elif sort == "embedded":
        texts = [rng.choice(hosts) for _ in range(6)]
        texts.insert(rng.randrange(1, 6), item.question)
        long = rng.choice(["\n", " "]).join(texts)
        yield chat(item.language, long, host) if rng.random() < 0.5 else chat(item.language, host, long)
    elif sort.startswith("edited") and "paragraph" in sort:
        changed = words_changed(0.1)(item, rng, foreign)
        if changed and item.context:
            yield chat(item.language, f"{item.context}\n\n{changed}", host)
    elif sort.startswith("edited"):
        share = int(sort.split()[-2]) / 100
        changed = words_changed(share)(item, rng, foreign) if "words" in sort else edited(share)(item.question, rng)
        if changed:
            yield chat(item.language, changed, host)


def numbered(item: Item, rng: random.Random) -> str:
    """The sentences of an item as a numbered list; a single sentence is cut in two."""
    parts = [one for one in regex.split(r"(?<=[.!?。！？؟।])\s*(?=[^\s\p{N}])", item.question) if one.strip()]
    if len(parts) == 1:
        words = item.question.split(" ")
        cut = len(words) // 2
        parts = [" ".join(words[:cut]), " ".join(words[cut:])] if cut else [item.question[:6], item.question[6:]]
    marker = rng.choice(["{}. ", "{}: ", "({}) ", "{}) "])
    return rng.choice([" ", "\n"]).join(f"{marker.format(number)}{one}" for number, one in enumerate(parts, 1))


def foreign_words(some: Sequence[Item]) -> list[str]:
    """What stands in the place of a replaced word."""
    return [
        word for one in some for word in _words_of(one) if not FIGURES.search(word) and regex.search(r"\p{L}", word)
    ]


SORTS = (
    "verbatim",
    "surface",
    "embedded",
    "numbered parts",
    "split, two user turns",
    "split, two speakers",
    "split, two rows",
    "edited, words 5 %",
    "edited, words 10 %",
    "edited, words 20 %",
    "edited, signs 5 %",
    "edited, signs 10 %",
    "edited, signs 20 %",
    "edited, words 10 %, below its paragraph",
)
