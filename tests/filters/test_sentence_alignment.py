"""Sentence alignment: unaligned sentences, and which sentences are aligned."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.text import segmentation as text
from filters.translation_quality import sentence_alignment
from filters.translation_quality.sentence_alignment import LONGEST, MOST, align, align_sizes, aligned_texts, split

ENGLISH = [
    "The ferry to the island leaves at seven in the morning.",
    "Tickets are sold on board by a friendly old man.",
    "Bring warm clothes, for the wind on the water is cold.",
    "There is a small café on the pier.",
]
GERMAN = [
    "Die Fähre zur Insel legt um sieben Uhr morgens ab.",
    "Fahrkarten verkauft ein freundlicher alter Mann an Bord.",
    "Bringen Sie warme Kleidung mit, denn der Wind auf dem Wasser ist kalt.",
    "Am Pier gibt es ein kleines Café.",
]


def laid(source: list[str], target: list[str], usual: float = 1.1) -> sentence_alignment.SentenceAlignment:
    return align(([source], [target]), [usual])[0]


def test_sentences_that_go_one_to_one_leave_none_over() -> None:
    found = laid(ENGLISH, GERMAN)
    assert found.missing_sentence < 0.5
    assert found.beads == ((1, 1),) * 4


@pytest.mark.parametrize("gone", range(4))
def test_a_sentence_without_a_counterpart_is_told_whichever_it_is_and_on_either_side(gone: int) -> None:
    rest = [one for place, one in enumerate(GERMAN) if place != gone]
    assert laid(ENGLISH, rest).missing_sentence > 1.5
    assert laid(rest, ENGLISH, 1 / 1.1).missing_sentence > 1.5


def test_two_sentences_in_one_are_none_too_few() -> None:
    found = laid(ENGLISH, [GERMAN[0], f"{GERMAN[1][:-1]}, und {GERMAN[2]}", GERMAN[3]])
    assert found.missing_sentence < 1
    assert found.beads == ((1, 1), (2, 1), (1, 1))


def test_cosines_tell_what_lengths_do_not() -> None:
    sizes = np.full(4, 50.0), np.full(3, 50.0)
    meanings = np.eye(4)
    # All are of one length: which one is gone is only in what they mean.
    last, first = (align_sizes(sizes, 1.0, (meanings, meanings[which])) for which in ([0, 1, 2], [1, 2, 3]))
    assert last.missing_sentence > 2.5 and first.missing_sentence > 2.5
    assert last.beads == ((1, 1), (1, 1), (2, 1))
    assert first.beads == ((2, 1), (1, 1), (1, 1))


def test_nothing_is_laid_where_there_is_too_much_or_nothing() -> None:
    many = ["A sentence that is long enough."] * (LONGEST + 1)
    assert np.isnan(laid(many, many).missing_sentence)
    assert np.isnan(laid([], GERMAN).missing_sentence)
    assert np.isnan(laid(ENGLISH, GERMAN, float("nan")).missing_sentence)
    assert np.isnan(laid(ENGLISH * 3, GERMAN[:1]).missing_sentence)  # twelve in one are beyond what is tried


def test_short_pieces_go_with_the_one_before() -> None:
    pieces = split(
        text.sentences(
            pl.Series(["He came late. Yes. Then all of them went home.", "他来了。好。然后大家都回家了。", ""])
        )
    )
    assert pieces == [
        ["He came late. Yes.", "Then all of them went home."],
        ["他来了。 好。", "然后大家都回家了。"],
        [],
    ]


def test_what_goes_together_is_all_there_is() -> None:
    rows = ([ENGLISH, []], [GERMAN[:3], GERMAN])
    sides = aligned_texts(
        rows, align(rows, [1.1, 1.1]), (pl.Series([" ".join(ENGLISH), ""]), pl.Series([" ".join(GERMAN[:3]), "all"]))
    )
    assert [len(one) for one in sides[0]] == [len(one) for one in sides[1]] == [3, 1]
    assert " ".join(sides[0][0]) == " ".join(ENGLISH) and " ".join(sides[1][0]) == " ".join(GERMAN[:3])
    assert sides[1][1].to_list() == ["all"]


def by_trying_all(sizes: tuple[np.ndarray, np.ndarray], usual: float) -> float:
    """The gap from every way there is."""
    costs = {
        bead: sentence_alignment._costs(bead, sizes, usual, None) + dear
        for bead, dear in sentence_alignment._BEADS.items()
    }

    @cache
    def ways(i: int, j: int) -> tuple[tuple[float, bool], ...]:
        if (i, j) == (len(sizes[0]), len(sizes[1])):
            return ((0.0, False),)
        found = []
        for (up, back), cost in costs.items():
            if i + up <= len(sizes[0]) and j + back <= len(sizes[1]):
                found += [(rest + cost[i, j], over) for rest, over in ways(i + up, j + back)]
        for up, back in ((1, 0), (0, 1)):
            if i + up <= len(sizes[0]) and j + back <= len(sizes[1]):
                found += [(rest + sentence_alignment._LEFT_OVER, True) for rest, _ in ways(i + up, j + back)]
        return tuple(found)

    every = ways(0, 0)
    whole = min((cost for cost, over in every if not over), default=float("inf"))
    if whole == float("inf"):
        return float("nan")
    left = min(cost for cost, over in every if over)
    return float(np.clip(whole - left + sentence_alignment._LEFT_OVER, 0, MOST))


LETTERS = st.lists(st.floats(5, 200), min_size=1, max_size=4).map(np.asarray)


@given(LETTERS, LETTERS, st.floats(0.5, 2))
@settings(max_examples=60, deadline=None)
def test_the_gap_is_that_of_all_ways_and_the_beads_hold_every_sentence(
    one: np.ndarray, other: np.ndarray, usual: float
) -> None:
    found = align_sizes((one, other), usual)
    wanted = by_trying_all((one, other), usual)
    assert found.missing_sentence == pytest.approx(wanted, abs=1e-9) or (
        np.isnan(found.missing_sentence) and np.isnan(wanted)
    )
    if found.beads:
        assert [sum(side) for side in zip(*found.beads, strict=True)] == [len(one), len(other)]
        assert all(bead in sentence_alignment._BEADS for bead in found.beads)


def test_no_row_depends_on_the_rows_beside_it() -> None:
    rows = list(itertools.product((ENGLISH, ENGLISH[:2], [ENGLISH[0]]), (GERMAN, GERMAN[1:], [GERMAN[3]])))
    every = align(([one for one, _ in rows], [other for _, other in rows]), [1.1] * len(rows))
    alone = [laid(one, other) for one, other in rows]
    assert [(one.missing_sentence, one.beads) for one in every if one.beads] == [
        (one.missing_sentence, one.beads) for one in alone if one.beads
    ]
    assert [bool(one.beads) for one in every] == [bool(one.beads) for one in alone]
