"""``align``: links between the words of a pair, kept with the pair or as rows of two words."""

from __future__ import annotations

import random

import pytest

from curate.generation.align import Align
from curate.models.alignment.systran_align import SystranAlign
from curate.rows import Kind
from curate.steps import StepError
from curate.steps.models import Alignment

SWAHILI = {"dog": "mbwa", "house": "nyumba", "tree": "mti", "sees": "anaona", "sells": "anauza", "child": "mtoto"}


class Scripted:
    """An aligner that gives what it is told for each pair; it notes the words it is given."""

    def __init__(self, *links: dict[tuple[int, int], float]) -> None:
        self.links, self.seen = links, []

    def align(self, sources, targets):
        self.seen += zip(sources, targets, strict=True)
        every = [*self.links, *[{}] * (len(sources) - len(self.links))]
        return [Alignment(tuple(sorted(one)), tuple(one[key] for key in sorted(one)), 0.0, 0.0) for one in every]


def pairs(make, *texts, source="en", target="sw", **more):
    return make(
        Kind.PARALLEL,
        [
            {"source_language": source, "language": target, "source": one, "target": two,
             "group_id": f"g{place}", **more}
            for place, (one, two) in enumerate(texts)
        ],
    )  # fmt: skip


@pytest.fixture
def aligned(bench, gathered):
    def run(step, aligner, *rows, words=None):
        context = bench({"systran-align": aligner}, {"words": [words]} if words else {})
        made, bad = gathered(Kind.PARALLEL, step.gather(rows, context))
        assert not bad
        return made, context

    return run


def test_links_are_kept_with_the_pair_and_nothing_of_it_changes(make, aligned):
    rows = pairs(
        make,
        ("The dog sleeps.", "Mbwa analala."),
        ("Hello!", "…"),
        ("One two", "Moja mbili"),
        scores=[{"name": "similarity", "value": 0.5}],
        attributes=[{"name": "topic", "value": "x"}],
        lineage={"parents": ["9" * 32]},
    )
    made, context = aligned(Align(), Scripted({(1, 0): 0.9, (2, 1): 0.7}), rows)
    assert [row["id"] for row in made] == rows.ids.to_list()
    assert made[0]["attributes"] == {
        "topic": "x",
        "align.source_words": "The dog sleeps",
        "align.target_words": "Mbwa analala",
        "align.links": "1-0 2-1",
        "align.scores": "0.900 0.700",
    }
    assert made[0]["scores"] == {"similarity": 0.5, "align": pytest.approx(0.8), "align.linked": pytest.approx(4 / 5)}
    assert made[0]["lineage"]["parents"] == ["9" * 32]
    assert made[0]["lineage"]["makers"][-1]["model"] == "systran-align@test"
    assert [row["attributes"]["align.links"] for row in made[1:]] == ["", ""]
    assert [set(row["scores"]) for row in made[1:]] == [{"similarity"}, {"similarity"}]
    assert context.warnings == [
        "align: 1 pairs have no word on one side (en-sw)",
        "align: 1 pairs have words but no link (en-sw)",
    ]


def test_each_link_becomes_a_row_of_two_words(make, aligned):
    rows = pairs(make, ("Juma buys 12 bags of rice, rice!", "Juma ananunua mifuko 12 ya mchele, mchele!"))
    # Juma-Juma is equal, 12-12 a number; 'bags of' and 'mifuko … ya' are not neighbours on both sides; rice comes twice
    links = {(0, 0): 1.0, (1, 1): 0.8, (2, 3): 0.9, (3, 2): 0.5, (4, 4): 0.6, (5, 5): 0.7, (6, 6): 0.4}
    made, context = aligned(Align(into="rows"), Scripted(links), rows)
    assert [(row["source"], row["target"], row["scores"]) for row in made] == [
        ("buys", "ananunua", {"align": pytest.approx(0.8)}),
        ("bags", "mifuko", {"align": pytest.approx(0.5)}),
        ("of", "ya", {"align": pytest.approx(0.6)}),
        ("rice", "mchele", {"align": pytest.approx(0.7)}),
    ]
    sentence = rows.table.to_pylist()[0]
    for row in made:
        assert row["attributes"] == {"align.source": sentence["source"], "align.target": sentence["target"]}
        assert row["lineage"]["parents"] == [sentence["id"]] and row["group_id"] == "g0"
        assert (row["source_language"], row["language"]) == ("en", "sw")
    assert context.warnings == ["align: 2 links of numbers or of equal words make no row (en-sw)"]


def test_words_linked_among_themselves_are_a_phrase_if_they_are_neighbours(make, aligned):
    rows = pairs(make, ("good morning, teacher", "habari za asubuhi mwalimu"), ("a b c", "x, y"))
    links = [{(0, 0): 0.5, (1, 1): 0.7, (1, 2): 0.9, (0, 1): 0.5, (2, 3): 1.0}, {(0, 0): 0.5, (2, 0): 0.5, (1, 1): 0.5}]
    made, context = aligned(Align(into="rows"), Scripted(*links), rows)
    assert [(row["source"], row["target"], round(row["scores"]["align"], 2)) for row in made] == [
        ("good morning", "habari za asubuhi", 0.65), ("teacher", "mwalimu", 1.0), ("b", "y", 0.5),
    ]  # fmt: skip
    assert context.warnings == ["align: 2 links are between words that are no neighbours and make no row (en-sw)"]


def test_words_of_scripts_without_spaces_are_those_of_the_dictionary(make, aligned):
    rows = pairs(make, ("أين المكتبة؟", "图书馆在哪里？"), source="ar", target="zh")
    words = pairs(make, ("图书馆", "مكتبة"), ("哪里", "أين"), source="zh", target="ar")
    aligner = Scripted({(0, 2): 0.9, (1, 0): 0.8})
    made, context = aligned(Align(dictionary="words"), aligner, rows, words=words)
    assert made[0]["attributes"]["align.source_words"] == "أين المكتبة"
    assert made[0]["attributes"]["align.target_words"] == "图书馆 在 哪里"
    assert len(made) == 1 and not context.warnings
    assert aligner.seen[1:] == [(["مكتبة"], ["图书馆"]), (["أين"], ["哪里"])]  # it learns from the entries too
    made, _ = aligned(Align(dictionary="words", into="rows"), Scripted({(0, 2): 0.9, (1, 0): 0.8}), rows, words=words)
    assert [(row["source"], row["target"], row["attributes"]["align.in_dictionary"]) for row in made] == [
        ("أين", "哪里", "true"), ("المكتبة", "图书馆", "false"),
    ]  # fmt: skip
    _, context = aligned(Align(), Scripted({}), rows)
    assert "zh is written without spaces and no 'dictionary' defines its words" in context.warnings[0]


def test_each_language_pair_is_aligned_by_itself_and_in_its_order(make, aligned):
    one, two = pairs(make, ("a", "b"), ("c", "d")), pairs(make, ("e", "f"), target="de")
    aligner = Scripted()
    made, _ = aligned(Align(), aligner, one, two, one)
    assert [(row["language"], row["source"]) for row in made] == [
        ("de", "e"), ("sw", "a"), ("sw", "c"), ("sw", "a"), ("sw", "c"),
    ]  # fmt: skip
    assert len(aligner.seen) == 5
    assert aligned(Align(into="rows"), Scripted(), pairs(make))[0] == []


def test_chunks_change_neither_order_nor_texts(make, aligned, monkeypatch):
    rows = [pairs(make, *[(f"w{number} x", f"v{number} y") for number in range(at, at + 3)]) for at in (0, 3, 6)]
    links = [{(0, 0): number / 10} for number in range(9)]
    whole, _ = aligned(Align(), Scripted(*links), *rows)

    class Cut(Scripted):
        def align(self, sources, targets):
            start = len(self.seen)
            self.seen += zip(sources, targets, strict=True)
            return Scripted(*links[start : start + len(sources)]).align(sources, targets)

    monkeypatch.setattr("curate.generation.align._CHUNK", 4)
    assert aligned(Align(), Cut(), *rows)[0] == whole
    assert [row["attributes"]["align.scores"] for row in whole] == [f"{number / 10:.3f}" for number in range(9)]


def test_a_statistical_aligner_finds_the_words(make, aligned):
    pytest.importorskip("systran_align")
    chance, texts = random.Random(1), []
    for _ in range(120):
        who, what = chance.sample(["dog", "house", "tree", "child"], 2)
        verb = chance.choice(["sees", "sells"])
        texts.append((f"{who} {verb} {what}", " ".join(SWAHILI[word] for word in (who, verb, what))))
    made, _ = aligned(Align(into="rows"), SystranAlign().load(cache=None, threads=1), pairs(make, *texts))
    assert len(made) > 340 and {(row["source"], row["target"]) for row in made} == set(SWAHILI.items())
    assert all(row["source"] in row["attributes"]["align.source"] for row in made)
    assert all(0.5 < row["scores"]["align"] <= 1 for row in made)


def test_what_cannot_align_is_an_error(make, aligned, turns):
    with pytest.raises(StepError, match="align: the model 'systran-align' is not a word aligner"):
        aligned(Align(), object(), pairs(make, ("a", "b")))
    prompts = make(Kind.PROMPT, [{"language": "en", "prompt": turns("user: x")}])
    with pytest.raises(StepError, match="align: 'words' has prompt rows; a dictionary needs parallel rows"):
        aligned(Align(dictionary="words"), Scripted(), pairs(make, ("a", "b")), words=prompts)
