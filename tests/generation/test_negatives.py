"""``negatives``: wrong answers of other rows, never right ones, in the row's language and with balanced labels."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.generation.negatives import Negatives, _Known
from curate.rows import Kind
from curate.steps import Registry

ITEMS = {
    "cat": {
        "en": "The cat sleeps on the warm stove.",
        "de": "Die Katze schläft auf dem Ofen.",
        "hi": "बिल्ली चूल्हे पर सोती है।",
    },
    "rain": {"en": "It will rain tomorrow.", "de": "Morgen wird es regnen.", "hi": "कल बारिश होगी।"},
    "bread": {
        "en": "She bakes bread every Sunday.",
        "de": "Sie backt jeden Sonntag Brot.",
        "hi": "वह हर रविवार रोटी पकाती है।",
    },
    "train": {
        "en": "The train to Lagos is late.",
        "de": "Der Zug nach Lagos kommt zu spät.",
        "hi": "लागोस की ट्रेन देर से है।",
    },
}


def pairs(make, languages=("de", "hi"), items=ITEMS):
    rows = [
        {
            "source_language": "en",
            "language": tag,
            "source": texts["en"],
            "target": texts[tag],
            "group_id": item,
            "scores": [{"name": "similarity", "value": 0.5}],
            "lineage": {"license": "CC0-1.0" if item != "rain" else "CC-BY-4.0"},
        }
        for item, texts in items.items()
        for tag in languages
    ]
    return make(Kind.PARALLEL, rows)


@pytest.fixture(scope="module")
def encoder():
    return Registry.installed().get("model", "use-multilingual")().load(cache=None, threads=1)


def test_random_negatives_are_other_items_in_the_same_language(make, bench, gathered):
    rows = pairs(make)
    made, bad = gathered(Kind.PARALLEL, Negatives(n=3).gather([rows], bench()))
    assert not bad and len(made) == len(rows)
    for row, item in zip(made, rows.table["group_id"].to_pylist(), strict=True):
        found = {row["attributes"][f"negatives.{number}"] for number in (1, 2, 3)}
        assert found == {texts[row["language"]] for name, texts in ITEMS.items() if name != item}
        others = row["attributes"]["negatives.ids"].split()
        assert row["lineage"]["parents"] == [row["id"], *others] and len(set(others)) == 3
        assert row["scores"] == {"similarity": 0.5}
        assert set(row["lineage"]["license"].split(" AND ")) == {"CC0-1.0", "CC-BY-4.0"}


def test_one_answer_among_very_many_equal_ones_is_found_for_each_row(bench):
    """The work is by texts, not by rows: looking at all rows for each row would take long."""
    known = _Known("all")
    for number in range(10_000):
        known.ids.append(f"{number:032x}")
        known.groups.append(str(number))
        known.answers.append("No." if number == 77 else "Ndiyo." if number % 2 else "ndiyo.")
        known.questions.append(f"Question {number}?")
    known.languages, known.common = ["sw"] * 10_000, [""] * 10_000
    known._pools["sw", ""] = list(range(10_000))
    chosen = Negatives()._random(known, bench())
    assert [one for mine in chosen[:77] + chosen[78:] for one in mine] == [77] * 9_999
    assert len(chosen[77]) == 1 and chosen[77] != [77]


def test_labelled_rows_are_balanced_and_false_ones_are_misaligned(make, bench, gathered):
    rows = pairs(make)
    made, bad = gathered(Kind.PARALLEL, Negatives(into="rows").gather([rows], bench()))
    assert not bad and Counter(row["attributes"]["negatives.label"] for row in made) == {"true": 8, "false": 8}
    right = {(texts["en"], texts[tag]) for texts in ITEMS.values() for tag in ("de", "hi")}
    for row in made:
        assert ((row["source"], row["target"]) in right) == (row["attributes"]["negatives.label"] == "true")
    assert [row["attributes"]["negatives.label"] for row in made] == ["true", "false"] * 8
    assert all(one["source"] == two["source"] for one, two in zip(made[::2], made[1::2], strict=True))


def test_negatives_of_conversations_replace_the_last_answer(make, bench, gathered, turns):
    rows = make(
        Kind.SFT,
        [
            {
                "language": "ar",
                "group_id": name,
                "messages": turns("user: مرحبا", "assistant: x", f"user: {name}", f"assistant: {text}"),
            }
            for name, text in {"a": "جواب أول", "b": "جواب ثان"}.items()
        ],
    )
    made, _ = gathered(Kind.SFT, Negatives(into="rows").gather([rows], bench()))
    said = [[turn["content"] for turn in row["messages"]] for row in made]
    assert said[1] == ["مرحبا", "x", "a", "جواب ثان"] and said[3] == ["مرحبا", "x", "b", "جواب أول"]


def test_hard_negatives_are_the_nearest_that_are_not_right(make, bench, gathered, encoder):
    near = {
        **ITEMS,
        "dog": {
            "en": "The dog sleeps on the warm stove.",
            "de": "Der Hund schläft auf dem Ofen.",
            "hi": "कुत्ता चूल्हे पर सोता है।",
        },
        "copy": {"en": "A cat is asleep on the stove.", "de": "Die Katze schläft auf dem Ofen.", "hi": "बिल्ली सोती है।"},
    }
    rows = pairs(make, ("de",), near)
    context = bench({"use-multilingual": encoder})
    made, bad = gathered(Kind.PARALLEL, Negatives(choice="nearest", max_share=1.0).gather([rows], context))
    assert not bad
    first = made[0]
    assert first["attributes"]["negatives.1"] == near["dog"]["de"]  # 'copy' has the right answer itself
    assert first["scores"]["similarity"] == 0.5
    vectors = encoder.encode([near["cat"]["en"], near["cat"]["de"], near["dog"]["de"]])
    assert first["scores"]["negatives"] == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)
    assert first["scores"]["negatives.1"] == pytest.approx(float(vectors[0] @ vectors[2]), abs=1e-5)
    assert all(row["scores"]["negatives.1"] <= row["scores"]["negatives"] + 1e-6 for row in made)
    strict = Negatives(choice="nearest", max_share=0.3)
    kept, bad = gathered(Kind.PARALLEL, strict.gather([rows], context))
    assert all(row["scores"]["negatives.1"] <= 0.3 * row["scores"]["negatives"] + 1e-6 for row in kept)
    assert len(kept) + len(bad) == len(rows)


def test_negatives_of_the_same_sentence(make, bench, gathered):
    words = [("p", "house", "nyumba"), ("p", "big", "kubwa"), ("q", "dog", "mbwa"), ("", "sun", "jua")]
    rows = make(
        Kind.PARALLEL,
        [
            {"source_language": "en", "language": "sw", "source": one, "target": two, "group_id": parent,
             "lineage": {"parents": [parent * 32] if parent else []}}
            for parent, one, two in words
        ],
    )  # fmt: skip
    made, bad = gathered(Kind.PARALLEL, Negatives(among="parent", into="rows").gather([rows], bench()))
    assert [(row["source"], row["target"]) for row in made] == [
        ("house", "nyumba"), ("house", "kubwa"), ("big", "kubwa"), ("big", "nyumba"),
    ]  # fmt: skip
    assert [one.where for one in bad] == rows.ids.to_list()[2:]
    assert "only 0 of 1 negatives: no more rows made from the same parent" in bad[0].reason


def test_negatives_of_rows_with_the_same_attribute(make, bench, gathered):
    words = [
        ("s1", "घर", "nyumba"),
        ("s1", "बड़ा", "kubwa"),
        ("s2", "कुत्ता", "mbwa"),
        (None, "सूरज", "jua"),
        (None, "चाँद", "mwezi"),
    ]
    rows = make(
        Kind.PARALLEL,
        [
            {"source_language": "hi", "language": "sw", "source": one, "target": two, "group_id": "g",
             "attributes": [{"name": "sentence", "value": sentence}] if sentence else []}
            for sentence, one, two in words
        ],
    )  # fmt: skip
    step = Negatives(among="{attribute.sentence}", into="rows")
    made, bad = gathered(Kind.PARALLEL, step.gather([rows], bench()))
    assert [(row["source"], row["target"]) for row in made] == [
        ("घर", "nyumba"), ("घर", "kubwa"), ("बड़ा", "kubwa"), ("बड़ा", "nyumba"),
    ]  # fmt: skip
    assert [one.where for one in bad] == rows.ids.to_list()[2:]
    assert "no more rows with the same {attribute.sentence}" in bad[0].reason


@pytest.mark.parametrize(("among", "wrong"), [("all", "roho"), ("parent", "roho"), ("{attribute.s}", "roho")])
def test_another_translation_of_the_same_source_is_no_negative(make, bench, gathered, among, wrong):
    words = [("مفتاح", "ufunguo", "a"), ("مفتاح ", "kitufe", "b"), ("روح", "roho", "c")]
    rows = make(
        Kind.PARALLEL,
        [
            {"source_language": "ar", "language": "sw", "source": one, "target": two, "group_id": group,
             "attributes": [{"name": "s", "value": "x"}], "lineage": {"parents": ["1" * 32]}}
            for one, two, group in words
        ],
    )  # fmt: skip
    made, bad = gathered(Kind.PARALLEL, Negatives(among=among).gather([rows], bench()))
    assert not bad and [row["attributes"]["negatives.1"] for row in made[:2]] == [wrong, wrong]
    _, bad = gathered(Kind.PARALLEL, Negatives(among=among).gather([rows.take([True, True, False])], bench()))
    assert len(bad) == 2  # there is no wrong one


@pytest.mark.parametrize(
    ("among", "message"),
    [
        ("parents", "among: 'parents' is neither all nor parent; did you mean 'parent'?"),
        ("{sourse}", "among: unknown placeholder '{sourse}'; did you mean 'source'?"),
        ("{source", "among:"),
    ],
)
def test_what_negatives_may_be_out_of_is_checked(among, message):
    [told] = Negatives(among=among).check(Kind.PARALLEL)
    assert message in told


def test_rows_without_an_answer_or_without_others_are_quarantined(make, bench, gathered):
    rows = make(
        Kind.PARALLEL,
        [
            {"source_language": "en", "language": tag, "source": f"{text}?", "target": text, "group_id": text or "none"}
            for tag, text in [("th", "หนึ่ง"), ("th", "สอง"), ("th", ""), ("zh", "一")]
        ],
    )
    made, bad = gathered(Kind.PARALLEL, Negatives().gather([rows], bench()))
    assert [row["target"] for row in made] == ["หนึ่ง", "สอง"]
    assert [one.where for one in bad] == rows.ids.to_list()[2:]
    assert "has no answer, or no other item" in bad[0].reason


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["yi", "er", "san", "si", ""])), max_size=12),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(1, 12),
)
def test_no_negative_is_right_and_batches_do_not_matter(make, bench, gathered, items, n, seed, cut):
    rows = [
        {"source_language": "en", "language": "zh", "source": f"{place}", "target": text, "group_id": group}
        for place, (group, text) in enumerate(items)
    ]
    whole = [make(Kind.PARALLEL, rows)] if rows else []
    parts = [make(Kind.PARALLEL, rows[at : at + cut]) for at in range(0, len(rows), cut)]
    made, bad = gathered(Kind.PARALLEL, Negatives(n=n).gather(whole, bench(seed=seed)))
    assert gathered(Kind.PARALLEL, Negatives(n=n).gather(parts, bench(seed=seed))) == (made, bad)
    assert len(made) + len(bad) == len(rows)
    groups = {row["target"]: {group for group, text in items if text == row["target"]} for row in rows}
    for row in made:
        found = [row["attributes"][f"negatives.{number}"] for number in range(1, n + 1)]
        assert len(set(found)) == n and row["target"] not in found and "" not in found
        assert all(groups[text] - {row["group_id"]} for text in found)


def test_wrong_parameters():
    assert Negatives(max_share=0.9).check(Kind.SFT) == ["model, max_share: only for 'choice: nearest'"]
    with pytest.raises(ValueError, match="n"):
        Negatives(n=0)
