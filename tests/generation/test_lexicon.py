from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.generation.lexicon.counts import Counts, components
from curate.generation.lexicon.step import LexiconStep, score_of
from curate.models.alignment.systran_align import SystranAlign
from curate.rows import Kind
from curate.steps import Rows, StepError
from curate.steps.models import Alignment

Make = Callable[..., Rows]
GERMAN = {
    "the": "das",
    "house": "Haus",
    "dog": "Hund",
    "is": "ist",
    "big": "groß",
    "small": "klein",
    "here": "hier",
    "and": "und",
    "tree": "Baum",
}


class Straight:
    """An aligner that links the same places, and those it is told besides."""

    def __init__(self, more: tuple[tuple[int, int], ...] = ()) -> None:
        self.more = more
        self.seen: list[tuple[list[str], list[str]]] = []

    def align(self, sources: Any, targets: Any) -> list[Alignment]:
        found = []
        for left, right in zip(sources, targets, strict=True):
            self.seen.append((left, right))
            links = {(i, i) for i in range(min(len(left), len(right)))}
            links |= {(i, j) for i, j in self.more if i < len(left) and j < len(right)}
            found.append(Alignment(tuple(sorted(links)), (1.0,) * len(links), 0.0, 0.0))
        return found


def pairs(make: Make, *texts: tuple[str, str], source: str = "en", target: str = "de", **more: Any) -> Rows:
    return make(
        Kind.PARALLEL,
        [
            {"source_language": source, "language": target, "source": left, "target": right, **more}
            for left, right in texts
        ],
    )


def shown(rows: list[dict[str, Any]]) -> list[tuple[str, str, float, float]]:
    return [
        (row["source"], row["target"], round(row["scores"]["lexicon"], 3), row["scores"]["lexicon.count"])
        for row in rows
    ]


@pytest.fixture
def table(bench: Any, gathered: Any) -> Callable[..., Any]:
    def run(step: LexiconStep, *rows: Rows, dictionary: Rows | None = None, aligner: Any = None) -> Any:
        context = bench(
            models={"systran-align": aligner or Straight()}, rows={"words": [dictionary]} if dictionary else {}
        )
        made, bad = gathered(Kind.PARALLEL, step.gather(rows, context))
        assert not bad
        return made, context

    return run


# ------------------------------------------------------------------------------------------------------- sentence pairs
def test_words_are_learned_from_sentences_with_their_spelling(make: Make, table: Any) -> None:
    pytest.importorskip("systran_align")
    chance, texts = random.Random(1), []
    for _ in range(150):
        nouns = chance.sample(["house", "dog", "tree"], 2)
        english = ["the", nouns[0], "is", chance.choice(["big", "small"]), "and", "the", nouns[1], "is", "here"]
        german = [GERMAN[word] for word in english]
        texts.append((" ".join(english).capitalize() + ".", " ".join([german[0].capitalize(), *german[1:]]) + "."))
    aligner = SystranAlign().load(cache=None, threads=1)
    made, _ = table(LexiconStep(), pairs(make, *texts), aligner=aligner)
    best: dict[str, str] = {}
    for row in made:
        best.setdefault(row["source"], row["target"])
    assert best == GERMAN
    one = made[0]
    assert (one["source_language"], one["language"]) == ("en", "de")
    assert one["lineage"]["makers"][0] == {
        "step": "lexicon",
        "model": "systran-align@test",
        "prompt_hash": "",
        "key": "",
    }
    assert one["attributes"] == {"lexicon.origin": "induced"}


def test_scores_are_what_they_are_said_to_be(make: Make, table: Any) -> None:
    rows = pairs(make, ("ja", "yes"), ("ja", "yes"), ("ja", "well"), ("doch", "yes"), source="de", target="en")
    made, _ = table(LexiconStep(min_count=1, min_score=0), rows)
    scores = {(row["source"], row["target"]): row["scores"] for row in made}
    assert scores["ja", "yes"] == {
        "lexicon": pytest.approx(2 * 2 / (3 + 3)),
        "lexicon.forward": pytest.approx(2 / 3),
        "lexicon.backward": pytest.approx(2 / 3),
        "lexicon.count": 2,
    }
    assert scores["ja", "well"]["lexicon"] == pytest.approx(2 / 4)
    for measure, value in (("forward", 1 / 3), ("backward", 1.0), ("geometric", (1 / 3) ** 0.5)):
        made, _ = table(LexiconStep(min_count=1, min_score=0, measure=measure), rows)
        assert next(row for row in made if row["target"] == "well")["scores"]["lexicon"] == pytest.approx(value)


def test_rare_weak_and_further_translations_are_left_out(make: Make, table: Any) -> None:
    rows = pairs(make, *[("a", "x")] * 6, *[("a", "y")] * 3, *[("a", "z")] * 1)
    assert [one[:2] for one in shown(table(LexiconStep(min_count=1, min_score=0), rows)[0])] == [
        ("a", "x"),
        ("a", "y"),
        ("a", "z"),
    ]
    assert [one[1] for one in shown(table(LexiconStep(min_score=0), rows)[0])] == ["x", "y"]
    assert [one[1] for one in shown(table(LexiconStep(min_score=0.5), rows)[0])] == ["x"]
    assert [one[1] for one in shown(table(LexiconStep(min_count=1, min_score=0, top=1), rows)[0])] == ["x"]


def test_numbers_signs_and_identical_words_are_no_entries(make: Make, table: Any) -> None:
    rows = pairs(make, *[("Taxi 12 mp3 eins", "taxi 12 mp4 one")] * 3, source="de", target="en")
    assert [one[:2] for one in shown(table(LexiconStep(), rows)[0])] == [("eins", "one")]
    assert [one[:2] for one in shown(table(LexiconStep(drop_identical=False), rows)[0])] == [
        ("eins", "one"),
        ("Taxi", "taxi"),
    ]


def test_capitals_at_the_beginning_of_a_sentence_say_nothing(make: Make, table: Any) -> None:
    rows = pairs(
        make,
        *[("Yesterday rain fell. Berlin slept", "Gestern Regen fiel. Berlin schlief")] * 2,
        ("see Berlin", "sehe Berlin"),
    )
    made, _ = table(LexiconStep(drop_identical=False), rows)
    assert {one[0]: one[1] for one in shown(made)} == {
        "Berlin": "Berlin",
        "fell": "fiel",
        "rain": "Regen",
        "slept": "schlief",
        # German writes nouns so: without other evidence the capital stays.
        "yesterday": "Gestern",
    }


def test_each_language_pair_is_a_table_of_its_own(make: Make, table: Any) -> None:
    german, hindi = pairs(make, *[("rice", "Reis")] * 2), pairs(make, *[("rice", "चावल")] * 2, target="hi")
    mixed = Rows(Kind.PARALLEL, pa.concat_tables([hindi.table, german.table]))
    made, _ = table(LexiconStep(), mixed, pairs(make, ("same", "same"), target="en"))
    assert [(row["language"], row["target"], row["scores"]["lexicon.forward"]) for row in made] == [
        ("de", "Reis", 1.0),
        ("hi", "चावल", 1.0),
    ]


def test_an_entry_names_the_row_it_was_first_seen_in(make: Make, table: Any) -> None:
    first = pairs(make, ("sun", "Sonne"), lineage={"source": "corpus-a", "license": "CC0-1.0"})
    second = pairs(
        make,
        ("sun", "Sonne"),
        ("moon", "Mond"),
        ("moon", "Mond"),
        lineage={"source": "corpus-b", "license": "CC-BY-4.0"},
    )
    made, _ = table(LexiconStep(), first, second)
    lineage = {row["source"]: row["lineage"] for row in made}
    assert (lineage["sun"]["source"], lineage["moon"]["source"], lineage["moon"]["license"]) == (
        "corpus-a",
        "corpus-b",
        "CC-BY-4.0",
    )
    assert lineage["sun"]["parents"] == first.ids.to_list()
    assert lineage["moon"]["parents"] == [second.ids[1]]


def test_large_corpora_are_aligned_in_lots_that_count_together(make: Make, table: Any) -> None:
    texts = [("red house", "rotes Haus"), ("red dog", "roter Hund")] * 4
    whole, _ = table(LexiconStep(min_score=0), pairs(make, *texts))
    lots, _ = table(LexiconStep(min_score=0, chunk=3), pairs(make, *texts))
    assert shown(whole) == shown(lots)
    assert [row["lineage"]["parents"] for row in whole] == [row["lineage"]["parents"] for row in lots]


# ------------------------------------------------------------------------------------------------- unspaced and phrases
def test_a_dictionary_says_what_the_words_of_chinese_are(make: Make, table: Any) -> None:
    aligner = Straight()
    rows = pairs(make, *[("tea good", "茶叶不错")] * 2, target="zh")
    words = pairs(make, ("tea", "茶叶"), ("not bad", "不错"), target="zh")
    made, context = table(LexiconStep(dictionary="words"), rows, dictionary=words, aligner=aligner)
    assert aligner.seen[0] == (["tea", "good"], ["茶叶", "不错"])
    assert {(row["source"], row["target"]): row["attributes"]["lexicon.origin"] for row in made} == {
        ("good", "不错"): "induced",
        ("tea", "茶叶"): "both",
    }
    assert not context.warnings
    only, _ = table(LexiconStep(dictionary="words", confirmed=True), rows, dictionary=words)
    assert [(row["source"], row["target"], row["scores"]["lexicon.count"]) for row in only] == [("tea", "茶叶", 3)]


def test_the_dictionary_counts_in_either_direction_and_its_rows_are_the_parents(make: Make, table: Any) -> None:
    words = pairs(make, ("Mond", "moon"), ("Stern", "star"), source="de", target="en")
    made, _ = table(LexiconStep(dictionary="words"), pairs(make, *[("sun", "Sonne")] * 2), dictionary=words)
    assert [(row["source"], row["target"], row["attributes"]["lexicon.origin"]) for row in made] == [
        ("moon", "Mond", "dictionary"),
        ("star", "Stern", "dictionary"),
        ("sun", "Sonne", "induced"),
    ]
    assert [row["lineage"]["parents"] for row in made][:2] == [[words.ids[0]], [words.ids[1]]]
    assert [row["lineage"]["makers"][0]["model"] for row in made] == ["", "", "systran-align@test"]
    none, _ = table(
        LexiconStep(dictionary="words", dictionary_weight=0), pairs(make, *[("sun", "Sonne")] * 2), dictionary=words
    )
    assert [row["source"] for row in none] == ["sun"]


def test_without_a_dictionary_characters_are_joined_by_their_links_and_a_warning_says_so(
    make: Make, table: Any
) -> None:
    rows = pairs(make, *[("tea good", "茶叶好")] * 2, target="zh")
    aligner = Straight(more=())
    aligner.align = lambda left, right: [Alignment(((0, 0), (0, 1), (1, 2)), (1.0,) * 3, 0.0, 0.0) for _ in left]  # type: ignore[method-assign]
    made, context = table(LexiconStep(), rows, aligner=aligner)
    assert {(row["source"], row["target"]) for row in made} == {("tea", "茶叶"), ("good", "好")}
    assert "zh is written without spaces and no 'dictionary'" in context.warnings[0]


def test_phrases_are_entries_where_asked_for(make: Make, table: Any) -> None:
    rows = pairs(
        make,
        *[("New York schläft", "Nueva York duerme"), ("gut, nein dann", "bien no entonces")] * 2,
        source="de",
        target="es",
    )
    aligner = Straight(more=((0, 1), (1, 0)))
    made, _ = table(LexiconStep(max_words=2, min_score=0, drop_identical=False), rows, aligner=aligner)
    phrases = {(row["source"], row["target"]) for row in made if " " in row["source"]}
    assert phrases == {("New York", "Nueva York")}  # a comma is between the others


@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_components_are_linked_to_nothing_else(links: set[tuple[int, int]]) -> None:
    for i, k, j, m in components(sorted(links)):
        inside = {(a, b) for a, b in links if i <= a <= k or j <= b <= m}
        assert inside
        assert all(i <= a <= k and j <= b <= m for a, b in inside)
        assert {a for a, _ in inside} == set(range(i, k + 1))
        assert {b for _, b in inside} == set(range(j, m + 1))


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8), max_size=4))
def test_counts_are_the_same_in_any_lots(lots: list[list[tuple[int, int]]]) -> None:
    split, whole = Counts(), Counts()
    row, rows = 0, []
    for lot in lots:
        split.add([s for s, _ in lot], [t for _, t in lot], list(range(row, row + len(lot))))
        rows += lot
        row += len(lot)
    whole.add([s for s, _ in rows], [t for _, t in rows], list(range(row)))
    assert split.frame().equals(whole.frame())


# --------------------------------------------------------------------------------------------------------- dictionaries
def test_dictionaries_are_merged_and_cleaned(make: Make, table: Any) -> None:
    one = pairs(
        make,
        ("rice", "Reis"),
        ("Rice", "Reis"),
        ("salt", "Salz"),
        ("taxi", "Taxi"),
        ("a very long thing indeed", "Ding"),
        (" to  go ", "gehen"),
    )
    other = pairs(make, ("rice", "Reis"), ("rice", "Paddy"), ("2nd", "zweiter"), ("...", "…"))
    made, _ = table(LexiconStep(method="dictionary"), one, other)
    assert shown(made) == [
        ("rice", "Reis", round(2 * 3 / 7, 3), 3),
        ("rice", "Paddy", round(2 / 5, 3), 1),
        ("salt", "Salz", 1.0, 1),
        ("to go", "gehen", 1.0, 1),
    ]
    assert made[0]["lineage"]["makers"][0]["model"] == ""
    assert made[0]["attributes"] == {"lexicon.origin": "dictionary"}


def test_entries_count_by_a_score_where_asked(make: Make, table: Any) -> None:
    scored = [
        {
            "source_language": "en",
            "language": "sw",
            "source": "water",
            "target": target,
            "scores": [{"name": "p", "value": value}],
        }
        for target, value in (("maji", 3.0), ("majimaji", 1.0))
    ]
    made, _ = table(LexiconStep(method="dictionary", weight="p"), make(Kind.PARALLEL, scored))
    assert [(row["target"], row["scores"]["lexicon.forward"]) for row in made] == [
        ("maji", 0.75),
        ("majimaji", 0.25),
    ]
    with pytest.raises(StepError, match=r"no row of en-sw has the score 'q'; there is p"):
        table(LexiconStep(method="dictionary", weight="q"), make(Kind.PARALLEL, scored))


def test_nothing_gives_nothing_and_says_so(make: Make, table: Any) -> None:
    made, context = table(LexiconStep(), pairs(make, ("one", "eins")))
    assert made == []
    assert "no entries for en-de" in context.warnings[0]
    made, context = table(LexiconStep(), pairs(make, ("...", "???")))
    assert made == []
    assert any("1 pairs of en-de have no word on one side" in warning for warning in context.warnings)
    assert table(LexiconStep())[0] == []


def test_wrong_parts_are_refused(make: Make, table: Any, bench: Any) -> None:
    with pytest.raises(StepError, match="is not a word aligner"):
        list(LexiconStep().gather([pairs(make, ("a", "b"))], bench(models={"systran-align": object()})))
    documents = make(Kind.DOCUMENT, [{"text": "a", "language": "en"}])
    with pytest.raises(StepError, match="'words' has document rows"):
        table(LexiconStep(dictionary="words"), pairs(make, ("a", "b")), dictionary=documents)
    assert LexiconStep(confirmed=True).check(Kind.PARALLEL)
    assert LexiconStep(method="dictionary", dictionary="x").check(Kind.PARALLEL)
    assert LexiconStep(weight="p").check(Kind.PARALLEL)
    assert not LexiconStep(dictionary="x", confirmed=True).check(Kind.PARALLEL)


def test_the_latest_of_two_scores_of_a_name_counts(make: Make) -> None:
    rows = make(Kind.PARALLEL, [{"source_language": "en", "source": "dog", "target": "mbwa", "language": "sw"}]).table
    place, kind = rows.column_names.index("scores"), rows.schema.field("scores")
    twice = rows.set_column(
        place, kind, pa.array([[{"name": "s", "value": 0.2}, {"name": "s", "value": 0.9}]], kind.type)
    )
    assert score_of(twice, "s").to_list() == [0.9]
    assert score_of(twice, "t").to_list() == [None] and score_of(twice.slice(0, 0), "s").to_list() == []
