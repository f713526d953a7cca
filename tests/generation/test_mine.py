"""Sentences of two languages find each other: real encoder, rows by hand, and a build."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import curate
from curate.catalog.params import PerLanguage
from curate.errors import StepError
from curate.generation.mine.margins import Candidates, margin
from curate.generation.mine.step import Mine
from curate.rows import Kind
from curate.steps import Registry
from curate.vectors.knn import exact

# English, German, Chinese; written for this test.
PAIRS = [
    ("The bakery opens at six in the morning.", "Die Bäckerei öffnet um sechs Uhr morgens.", "面包店早上六点开门。"),
    (
        "My sister plays the violin every evening.",
        "Meine Schwester spielt jeden Abend Geige.",
        "我姐姐每天晚上拉小提琴。",
    ),
    ("Water boils at one hundred degrees.", "Wasser kocht bei hundert Grad.", "水在一百度沸腾。"),
    ("The train to Vienna is late again.", "Der Zug nach Wien hat wieder Verspätung.", "去维也纳的火车又晚点了。"),
    ("He forgot his umbrella in the office.", "Er hat seinen Regenschirm im Büro vergessen.", "他把雨伞忘在办公室了。"),
    ("Plants need light, air and water.", "Pflanzen brauchen Licht, Luft und Wasser.", "植物需要光、空气和水。"),
    ("The children are building a snowman.", "Die Kinder bauen einen Schneemann.", "孩子们在堆雪人。"),
    ("How much does this bicycle cost?", "Wie viel kostet dieses Fahrrad?", "这辆自行车多少钱？"),
    ("The doctor told me to sleep more.", "Der Arzt hat mir geraten, mehr zu schlafen.", "医生叫我多睡觉。"),
    ("We crossed the mountains on foot.", "Wir haben die Berge zu Fuß überquert.", "我们徒步翻过了山。"),
]


@pytest.fixture(scope="session")
def encoder():
    return Registry.installed().get("model", "use-multilingual")().load(cache=None, threads=1)


@pytest.fixture
def world(bench, encoder):
    return bench({"use-multilingual": encoder})


def shuffled(make, *extra, split=None):
    rows = [
        {"text": text, "language": tag} for pair in PAIRS for text, tag in zip(pair, ("en", "de", "zh"), strict=True)
    ]
    rows += [{"text": text, "language": tag} for text, tag in extra]
    random.Random(3).shuffle(rows)
    return make(Kind.DOCUMENT, rows)


def test_the_translations_are_found_again_among_shuffled_rows(world, make, gathered):
    rows = shuffled(make)
    made, bad = gathered(Kind.PARALLEL, Mine().gather([rows], world))
    found = {(row["source"], row["target"]) for row in made}
    true = {(pair[0], pair[at]) for pair in PAIRS for at in (1, 2)}
    assert bad == []
    assert found <= true
    assert len(found) >= 18
    by_id = dict(zip(rows.ids, rows.table["text"].to_pylist(), strict=True))
    for row in made:
        assert [by_id[one] for one in row["lineage"]["parents"]] == [row["source"], row["target"]]
        assert row["source_language"] == "en"
        assert row["scores"]["mine"] >= 1.15
        assert 0 < row["scores"]["mine.cosine"] <= 1
        assert row["lineage"]["makers"][-1]["step"] == "mine"
        assert row["lineage"]["makers"][-1]["model"] == "use-multilingual@test"
    for tag in ("de", "zh"):
        ranked = sorted((row for row in made if row["language"] == tag), key=lambda row: row["scores"]["mine.rank"])
        assert [row["scores"]["mine.rank"] for row in ranked] == list(range(1, len(ranked) + 1))
        scores = [row["scores"]["mine"] for row in ranked]
        assert scores == sorted(scores, reverse=True)


def test_pairs_come_in_the_order_of_their_source_rows_whatever_the_batches(world, make, gathered, bench, encoder):
    rows = shuffled(make)
    whole, _ = gathered(Kind.PARALLEL, Mine().gather([rows], world))
    parts = [type(rows)(rows.kind, rows.table.slice(at, 7)) for at in range(0, len(rows), 7)]
    again, _ = gathered(Kind.PARALLEL, Mine().gather(parts, bench({"use-multilingual": encoder})))
    assert again == whole
    texts = rows.table["text"].to_pylist()
    places = [texts.index(row["source"]) for row in whole]
    assert places == sorted(places)


def test_one_sentence_is_one_item_in_all_languages(world, make, gathered):
    made, _ = gathered(Kind.PARALLEL, Mine(min=PerLanguage(0.0)).gather([shuffled(make)], world))
    groups = {}
    for row in made:
        groups.setdefault(row["source"], set()).add(row["group_id"])
    assert all(len(group) == 1 for group in groups.values())
    assert len({one for group in groups.values() for one in group}) == len(groups)


def test_a_sentence_that_stands_in_many_rows_is_mined_once_with_all_of_them_as_parents(world, make, gathered):
    twice = [("Water  boils at one hundred degrees. ", "en"), ("Wasser kocht bei hundert Grad.", "de")]
    rows = make(
        Kind.DOCUMENT,
        [
            {"text": text, "language": tag, "lineage": {"source": f"s{at}"}}
            for at, (text, tag) in enumerate(
                [*((pair[0], "en") for pair in PAIRS), *((pair[1], "de") for pair in PAIRS), *twice]
            )
        ],
    )
    made, _ = gathered(Kind.PARALLEL, Mine().gather([rows], world))
    [row] = [row for row in made if row["source"].startswith("Water")]
    # The German row is the same row twice (one id), the English one is written with other blanks.
    assert len(row["lineage"]["parents"]) == 3
    assert row["attributes"] == {"mine.target_source": "s12"}


def test_texts_are_cut_into_sentences_or_lines(world, make, gathered):
    rows = make(
        Kind.DOCUMENT,
        [
            {"text": " ".join(pair[0] for pair in PAIRS), "language": "en"},
            {"text": "".join(pair[2] for pair in PAIRS[::-1]), "language": "zh"},
            {"text": "\n".join(pair[1] for pair in PAIRS), "language": "de"},
        ],
    )
    made, _ = gathered(Kind.PARALLEL, Mine(split="sentence", to=("zh", "de")).gather([rows], world))
    true = {(pair[0], pair[at]) for pair in PAIRS for at in (1, 2)}
    found = {(row["source"], row["target"]) for row in made}
    assert len(found & true) >= 17
    assert len(found - true) <= 1
    assert len({row["group_id"] for row in made}) == len({row["source"] for row in made})
    assert gathered(Kind.PARALLEL, Mine(split="line", to=("de",)).gather([rows], world))[0] == []


def test_sentences_without_a_partner_stay_alone(world, make, gathered):
    lonely = [("Der Vulkan ist seit dem Mittelalter erloschen.", "de"), ("Kaninchen graben tiefe Gänge.", "de")]
    rows = make(
        Kind.DOCUMENT,
        [
            {"text": text, "language": tag}
            for text, tag in [
                *((pair[0], "en") for pair in PAIRS[:8]),
                *((pair[1], "de") for pair in PAIRS[2:]),
                *lonely,
            ]
        ],
    )
    made, _ = gathered(Kind.PARALLEL, Mine().gather([rows], world))
    found = {row["source"]: row["target"] for row in made}
    assert not set(found.values()) & {text for text, _ in lonely}
    assert all(found.get(pair[0]) in (None, pair[1]) for pair in PAIRS[:8])
    assert len(found) >= 5


def test_prompts_can_be_mined(world, make, gathered, turns):
    rows = make(
        Kind.SFT,
        [
            {"messages": turns(f"user: {text}", "assistant: -"), "language": tag}
            for pair in PAIRS
            for text, tag in zip(pair[:2], ("en", "de"), strict=True)
        ],
    )
    made, _ = gathered(Kind.PARALLEL, Mine().gather([rows], world))
    assert {(row["source"], row["target"]) for row in made} <= {pair[:2] for pair in PAIRS}
    assert len(made) >= 9


def test_regional_rows_count_as_their_language_and_keep_their_tag(world, make, gathered):
    rows = make(
        Kind.DOCUMENT,
        [
            {"text": text, "language": tag}
            for pair in PAIRS
            for text, tag in zip(pair[:2], ("en-GB", "de-AT"), strict=True)
        ],
    )
    made, _ = gathered(Kind.PARALLEL, Mine(to=("de",)).gather([rows], world))
    assert {(row["source_language"], row["language"]) for row in made} == {("en-GB", "de-AT")}


def test_unsupported_languages_are_not_mined_and_it_says_so(world, make, gathered, bench, encoder):
    rows = make(
        Kind.DOCUMENT,
        [{"text": "Habari ya asubuhi, rafiki yangu.", "language": "sw"}, {"text": PAIRS[0][0], "language": "en"}],
    )
    assert gathered(Kind.PARALLEL, Mine().gather([rows], world)) == ([], [])
    assert "does not support 'sw': 1 sentences not mined" in world.warnings[0]
    with pytest.raises(StepError, match="does not support 'sw'"):
        list(Mine(strict=True).gather([rows], bench({"use-multilingual": encoder})))


@pytest.mark.parametrize("languages", [(), ("de",), ("en",)])
def test_a_heap_without_one_side_makes_nothing(world, make, gathered, languages):
    rows = make(Kind.DOCUMENT, [{"text": PAIRS[0][0], "language": tag} for tag in languages])
    assert gathered(Kind.PARALLEL, Mine(to=("de",)).gather([rows], world)) == ([], [])
    assert "no sentences in" in world.warnings[-1]


def test_rows_of_other_languages_and_long_and_empty_ones_are_told_of(world, make, gathered):
    rows = shuffled(
        make,
        ("La boulangerie ouvre à six heures.", "fr"),
        ("x" * 50_000, "en"),
        ("", "de"),
        ("？！", "zh"),
        ("\u200b", "en"),
    )
    made, _ = gathered(Kind.PARALLEL, Mine(to=("de",)).gather([rows], world))
    assert len(made) >= 9
    assert any("1 rows in fr" in one for one in world.warnings)
    assert any("1 sentences in en are longer than 1000 characters" in one for one in world.warnings)


def test_copies_are_no_translations(world, make, gathered):
    rows = shuffled(make, ("Curate 2.0 README", "en"), ("curate 2.0 – Readme!", "de"))
    made, _ = gathered(Kind.PARALLEL, Mine(to=("de",)).gather([rows], world))
    assert not any("README" in row["source"] for row in made)
    made, _ = gathered(Kind.PARALLEL, Mine(to=("de",), copies="keep").gather([rows], world))
    assert any("README" in row["source"] for row in made)


def test_thresholds_and_limits_are_by_language(world, make, gathered):
    rows = shuffled(make)
    made, _ = gathered(Kind.PARALLEL, Mine(min=PerLanguage(0.0, {"de": 99.0})).gather([rows], world))
    assert {row["language"] for row in made} == {"zh"}
    made, _ = gathered(Kind.PARALLEL, Mine(most=PerLanguage(None, {"de": 3})).gather([rows], world))
    assert sorted(row["scores"]["mine.rank"] for row in made if row["language"] == "de") == [1, 2, 3]
    assert sum(row["language"] == "zh" for row in made) > 3


def test_the_licence_of_a_pair_is_that_of_both_rows(world, make, gathered):
    rows = make(
        Kind.DOCUMENT,
        [
            {"text": text, "language": tag, "lineage": {"license": {"en": "CC0-1.0", "de": "CC-BY-4.0"}[tag]}}
            for pair in PAIRS
            for text, tag in zip(pair[:2], ("en", "de"), strict=True)
        ],
    )
    made, _ = gathered(Kind.PARALLEL, Mine().gather([rows], world))
    assert {row["lineage"]["license"] for row in made} == {"CC0-1.0 AND CC-BY-4.0"}


# -------------------------------------------------------------------------------------------------------------- margins
def vectors(draw: np.random.Generator, count: int) -> np.ndarray:
    found = draw.standard_normal((count, 6)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 5),
    st.integers(0, 99),
    st.sampled_from(["ratio", "distance", "absolute"]),
)
def test_margins_are_those_of_the_paper(left, right, k, seed, score):
    draw = np.random.default_rng(seed)
    x, y = vectors(draw, left), vectors(draw, right)
    pairs = Candidates(*exact(x, y, k), score).choose("forward")
    cosines = (x @ y.T).astype(np.float64)
    to_y = -np.sort(-cosines, axis=1)[:, :k].mean(axis=1)
    to_x = -np.sort(-cosines.T, axis=1)[:, :k].mean(axis=1)
    near = (to_y[:, None] + to_x[None, :]) / 2
    table = margin(cosines, near, score)
    near_ones = np.argsort(-cosines, axis=1)[:, :k]
    assert pairs.left.tolist() == list(range(left))
    for place in range(left):
        assert pairs.score[place] == pytest.approx(table[place, near_ones[place]].max(), abs=3e-5)
        assert pairs.cosine[place] == pytest.approx(cosines[place, pairs.right[place]], abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 99))
def test_the_directions_contain_each_other_as_they_should(left, right, seed):
    draw = np.random.default_rng(seed)
    candidates = Candidates(*exact(vectors(draw, left), vectors(draw, right), 3), "ratio")
    found = {
        name: set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
        for name in ("forward", "backward", "both", "intersection", "max")
        for pairs in [candidates.choose(name)]
    }
    assert found["both"] == found["forward"] | found["backward"]
    assert found["intersection"] == found["forward"] & found["backward"]
    assert found["max"] <= found["both"]
    assert len({one for one, _ in found["max"]}) == len({other for _, other in found["max"]}) == len(found["max"])
    assert len(found["forward"]) == left
    assert len(found["backward"]) == right


def test_lengths_that_do_not_fit_make_no_pair():
    draw = np.random.default_rng(0)
    x = vectors(draw, 2)
    candidates = Candidates(*exact(x, x, 1), "absolute")
    candidates.forbid_lengths(np.asarray([10, 100], np.float32), np.asarray([12, 20], np.float32), 3.0)
    assert candidates.choose("both").left.tolist() == [0]


# ----------------------------------------------------------------------------------------------------------- parameters
def test_what_makes_no_sense_is_refused():
    assert "'txt'" in Mine(field="txt").check(Kind.DOCUMENT)[0]
    assert "source language" in Mine(to=("en",)).check(Kind.DOCUMENT)[0]
    assert "twice" in Mine(to=("de", "de")).check(Kind.DOCUMENT)[0]
    assert "is empty" in Mine(to=()).check(Kind.DOCUMENT)[0]
    assert Mine(field="prompt").check(Kind.SFT) == []
    assert Kind.PARALLEL not in Mine.kinds


def test_cosines_without_a_scale_need_a_threshold(make, bench):
    class Crowded:
        dimensions, absolute = 2, False

        def encode(self, texts):
            return np.tile(np.asarray([[1, 0]], np.float32), (len(texts), 1))

        def supports(self, language):
            return True

    rows = shuffled(make)
    with pytest.raises(StepError, match="no absolute meaning"):
        list(Mine(model="crowded", score="absolute").gather([rows], bench({"crowded": Crowded()})))
    assert sum(table.num_rows for table in Mine(model="crowded").gather([rows], bench({"crowded": Crowded()}))) == 0


def test_a_catalog_mines(tmp_path: Path):
    (tmp_path / "en.txt.jsonl").write_text("\n".join(f'{{"t": "{pair[0]}"}}' for pair in PAIRS), "utf-8")
    (tmp_path / "zh.jsonl").write_text("\n".join(f'{{"t": "{pair[2]}"}}' for pair in PAIRS[::-1]), "utf-8")
    (tmp_path / "catalog.yaml").write_text("""
version: 1
sources:
  english: {use: jsonl, path: en.txt.jsonl, kind: document, language: en, license: CC0-1.0, columns: {text: "{t}"}}
  chinese: {use: jsonl, path: zh.jsonl, kind: document, language: zh, license: CC-BY-4.0, columns: {text: "{t}"}}
datasets:
  mined:
    from: [english, chinese]
    steps: [mine: {to: [zh]}]
""")
    [built] = curate.build(tmp_path / "catalog.yaml")
    assert built.rows >= 8
    frame = curate.query(
        "select source, target, language, lineage.license as license from mined", store=tmp_path / ".curate"
    )
    assert set(zip(frame["source"], frame["target"], strict=True)) <= {(pair[0], pair[2]) for pair in PAIRS}
    assert frame["license"].unique().to_list() == ["CC0-1.0 AND CC-BY-4.0"]
