from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ModelError
from curate.models.alignment import systran_align
from curate.models.alignment.symmetrize import symmetrize
from curate.models.alignment.systran_align import SystranAlign
from curate.steps.models import Aligner

pytest.importorskip("systran_align")
WORDS = {
    "the": "el",
    "cat": "gato",
    "dog": "perro",
    "sleeps": "duerme",
    "eats": "come",
    "here": "aquí",
    "and": "y",
    "white": "blanco",
}
ENGLISH = [
    "the cat sleeps",
    "the dog eats",
    "the cat eats here",
    "the dog sleeps here",
    "the white cat sleeps and the dog eats",
    "the cat and the dog",
    "the white dog",
    "the dog and the white cat",
    "here sleeps the cat",
    "the white cat eats",
]
LEFT = [line.split() for line in ENGLISH] * 6
RIGHT = [[WORDS[word] for word in line] for line in LEFT]


def load(**given: Any) -> Aligner:
    return SystranAlign(**given).load(cache=None, threads=1)


def test_words_that_go_together_are_learned_from_the_pairs() -> None:
    found = load().align(LEFT, RIGHT)
    assert len(found) == len(LEFT)
    links = [(LEFT[at][i], RIGHT[at][j]) for at, one in enumerate(found) for i, j in one.links]
    assert len(links) > 180
    assert sum(WORDS[source] == target for source, target in links) / len(links) > 0.97
    assert all(0 <= score <= 1 for one in found for score in one.scores)
    assert all(one.forward <= 0 and one.backward <= 0 for one in found)


def test_a_wrong_pair_is_less_likely_than_a_right_one() -> None:
    wrong = load().align([*LEFT, ["the", "cat", "sleeps"]], [*RIGHT, ["perro", "come", "aquí"]])[-1]
    right = load().align([*LEFT, ["the", "cat", "sleeps"]], [*RIGHT, ["el", "gato", "duerme"]])[-1]
    assert wrong.forward < right.forward - 0.5
    assert wrong.backward < right.backward - 0.5


def test_the_same_pairs_give_the_same_alignment() -> None:
    assert repr(load().align(LEFT, RIGHT)) == repr(load().align(LEFT, RIGHT))


def test_no_text_breaks_the_format() -> None:
    units = ["|||", "<eps>", "a b", "\n", "\0", "\ud800", "", "ก", "🙂", "s1", "t1"]
    found = load().align([units] * 20, [units] * 20)
    assert found[0].links == tuple((place, place) for place in range(len(units)))


def test_empty_and_overlong_sides_have_no_links_and_no_mean() -> None:
    found = load(longest=5).align([[], ["a"], ["b"] * 6, *LEFT], [["x"], [], ["y"], *RIGHT])
    assert [one.links for one in found[:3]] == [(), (), ()]
    assert all(math.isnan(one.forward) and math.isnan(one.backward) for one in found[:3])
    assert found[3].links
    assert load().align([[]], [[]])[0].links == ()
    assert load().align([], []) == []


def test_more_complete_joins_have_more_links() -> None:
    right = [[*side, "ya"] for side in RIGHT]
    links = {
        how: sum(len(one.links) for one in load(symmetrize=how).align(LEFT, right))
        for how in ("intersection", "grow-diag", "grow-diag-final", "union")
    }
    assert links["intersection"] <= links["grow-diag"] <= links["grow-diag-final"] <= links["union"]
    assert links["intersection"] < links["union"]


def test_sides_must_pair_up() -> None:
    with pytest.raises(ModelError, match="2 source sides but 1 target"):
        load().align([["a"], ["b"]], [["x"]])


def test_failing_and_hanging_learners_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systran_align, "_TRAIN", "import time; time.sleep(600)")
    with pytest.raises(ModelError, match=r"did not learn 60 pairs in 0\.3 s"):
        load(timeout=0.3).align(LEFT, RIGHT)
    monkeypatch.setattr(systran_align, "_TRAIN", "raise SystemExit('out of memory')")
    with pytest.raises(ModelError, match=r"fast_align failed on 60 pairs \(exit 1\): out of memory"):
        load().align(LEFT, RIGHT)
    monkeypatch.setattr(
        systran_align,
        "_TRAIN",
        "import sys; [open(p, 'wb').write(b'\\x03\\0\\0\\0\\0\\0\\0\\0') for p in sys.argv[2:4]]",
    )
    with pytest.raises(ModelError, match=r"tables of this systran-align cannot be read \(format 3\)"):
        load().align(LEFT, RIGHT)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systran_align, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"polycurate\[align\]"):
        load()


def test_the_identity_holds_what_changes_links() -> None:
    assert SystranAlign().name_and_revision().startswith("fast_align@systran-align-3")
    assert SystranAlign(symmetrize="union").model_identity() != SystranAlign().model_identity()
    assert SystranAlign(timeout=5).model_identity() == SystranAlign().model_identity()


def test_ten_thousand_pairs_do_not_take_long() -> None:
    start = time.process_time()
    assert len(load(iterations=1).align(LEFT * 80, RIGHT * 80)) == 4_800
    assert time.process_time() - start < 120


# ------------------------------------------------------------------------------------------------------------ symmetry
LINKS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=16)
ORDER = ("intersection", "grow-diag", "grow-diag-final-and", "grow-diag-final", "union")


@given(forward=LINKS, backward=LINKS)
def test_each_join_lies_between_intersection_and_union(
    forward: set[tuple[int, int]], backward: set[tuple[int, int]]
) -> None:
    joined = [set(symmetrize(forward, backward, 7, 7, how)) for how in ORDER]  # type: ignore[arg-type]
    assert joined[0] == forward & backward
    assert joined[-1] == forward | backward
    assert joined[0] <= joined[1] <= joined[2] <= joined[4]
    assert joined[1] <= joined[3] <= joined[4]
    turned = symmetrize({(j, i) for i, j in forward}, {(j, i) for i, j in backward}, 7, 7, "intersection")
    assert {(i, j) for j, i in turned} == joined[0]


def test_holes_beside_sure_links_are_filled() -> None:
    forward, backward = {(0, 0), (1, 1), (2, 1)}, {(0, 0), (1, 1), (3, 3)}
    assert symmetrize(forward, backward, 4, 4, "grow-diag") == ((0, 0), (1, 1), (2, 1))
    assert symmetrize(forward, backward, 4, 4, "grow-diag-final") == ((0, 0), (1, 1), (2, 1), (3, 3))
    assert symmetrize({(0, 0), (3, 1)}, {(0, 0)}, 4, 2, "grow-diag-final-and") == ((0, 0), (3, 1))
    assert symmetrize({(0, 0), (3, 0)}, {(0, 0)}, 4, 2, "grow-diag-final-and") == ((0, 0),)
    assert symmetrize({(0, 0), (3, 0)}, {(0, 0)}, 4, 2, "grow-diag-final") == ((0, 0), (3, 0))
