"""Lines that slipped against each other are put together again, and what has no partner is told."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

import curate
from curate.generation.realign import Realign
from curate.rows import Kind

SYLLABLES = {
    "en": ["ba", "ko", "ri", "stan", "mel", "tu"],
    "th": ["กา", "มือ", "เรน", "สตู"],
    "ar": ["با", "كو", "رين", "ست"],
}


def lines(count: int, tag: str, seed: int = 5) -> list[tuple[str, str]]:
    """Pairs whose lengths go together, every third with a number."""
    chance = random.Random(seed)
    found = []
    for place in range(count):
        words = chance.randrange(2, 24)
        one, other = (
            " ".join("".join(chance.choices(SYLLABLES[one], k=2)) for _ in range(words)) for one in ("en", tag)
        )
        mark = f" {1000 + 17 * place}" if place % 3 == 0 else ""
        found.append((one + mark, other + mark))
    return found


def rows_of(make, given, places, tag, **more):
    """Each source beside the target of the row that ``places`` names."""
    return make(
        Kind.PARALLEL,
        [
            {
                "source_language": "en",
                "language": tag,
                "source": given[at][0],
                "target": given[one][1],
                "group_id": f"g:{at}",
                **more,
            }
            for at, one in enumerate(places)
        ],
    )


def realigned(make, bench, gathered, given, places, tag, parts=1):
    context = bench({})
    whole = rows_of(make, given, places, tag)
    size = max(1, -(-len(whole) // parts))
    cut = [whole.take([start <= at < start + size for at in range(len(whole))]) for start in range(0, len(whole), size)]
    made, bad = gathered(Kind.PARALLEL, Realign().gather(cut, context))
    return whole, made, bad, context.warnings


@pytest.mark.parametrize("tag", ["th", "ar"])
def test_a_block_of_fifty_lines_too_few_costs_no_row(make, bench, gathered, tag):
    given = lines(400, tag)
    places = [*range(120), *range(170, 400)]
    _, made, bad, warnings = realigned(make, bench, gathered, given, places, tag)
    pairs = {(row["source"], row["target"]) for row in made}
    right = {pair for at, pair in enumerate(given[: len(places)]) if at in set(places)}
    assert len(right - pairs) <= 1
    assert len(pairs - right) <= 1
    # The sources of the last 50 targets are not among the rows.
    assert 49 <= len(bad) <= 52
    assert "no source fits its target" in bad[0].reason
    assert "are shifted by +50" in warnings[0]
    assert any("targets got another source" in one and "50 sources have no target" in one for one in warnings), warnings


def test_rows_say_what_they_are_made_of(make, bench, gathered):
    given = lines(200, "ar")
    places = [*range(80), *range(81, 200)]
    whole, made, bad, _ = realigned(make, bench, gathered, given, places, "ar", parts=3)
    ids = whole.ids.to_list()
    row = next(one for one in made if one["target"] == given[150][1])
    assert row["source"] == given[150][0]
    assert row["group_id"] == "g:150"
    assert row["lineage"]["parents"] == [ids[149], ids[150]]
    assert row["lineage"]["makers"][-1]["step"] == "realign"
    assert row["attributes"] == {"realign.shift": "+1"}
    kept = next(one for one in made if one["target"] == given[20][1])
    assert kept["id"] == ids[20] and not kept["attributes"] and not kept["lineage"]["parents"]
    assert [row["target"] for row in made] == [
        given[one][1] for one in places if given[one][1] in {r["target"] for r in made}
    ]
    assert [one.where for one in bad] == [ids[-1]]


def test_swapped_blocks_come_back_and_each_source_is_used_once(make, bench, gathered):
    given = lines(600, "th")
    places = [*range(100), *range(300, 400), *range(200, 300), *range(100, 200), *range(400, 600)]
    _, made, bad, _ = realigned(make, bench, gathered, given, places, "th")
    assert sum((row["source"], row["target"]) in set(given) for row in made) >= 590
    assert max(Counter(row["source"] for row in made).values()) == 1
    assert len(made) + len(bad) == 600


def test_rows_in_step_and_few_rows_stay_as_they_are(make, bench, gathered):
    for count in (0, 1, 7, 200):
        whole, made, bad, warnings = realigned(make, bench, gathered, lines(count, "ar"), range(count), "ar")
        assert [row["id"] for row in made] == whole.ids.to_list()
        assert not bad and not warnings


def test_languages_and_sources_are_aligned_apart(make, bench, gathered):
    thai, arabic = lines(90, "th"), lines(90, "ar", seed=9)
    one = rows_of(make, thai, [*range(30), *range(31, 90)], "th")
    other = rows_of(make, arabic, range(90), "ar")
    made, bad = gathered(Kind.PARALLEL, Realign().gather([one, other], bench({})))
    assert [row["id"] for row in made[-90:]] == other.ids.to_list()
    shifts = Counter(row["attributes"].get("realign.shift") for row in made)
    assert shifts["+1"] >= 56 and len(bad) == 1


def test_a_build_tells_what_became_of_each_row(tmp_path: Path):
    given = lines(150, "ar")
    places = [*range(60), *range(63, 150)]
    text = "".join(f"{given[at][0]}\t{given[one][1]}\n" for at, one in enumerate(places))
    (tmp_path / "pairs.tsv").write_text(text)
    (tmp_path / "catalog.yaml").write_text(
        """\
version: 1
sources:
  pairs: {use: parallel-tsv, path: pairs.tsv, source: 0, target: 1, source_language: en, target_language: ar,
          license: CC0-1.0}
datasets:
  straight: {from: pairs, steps: [realign, misalignment]}
run: {workers: 1}
"""
    )
    [built] = curate.build(tmp_path / "catalog.yaml")
    assert not any("misalignment" in warning and "shifted" in warning for warning in built.warnings), built.warnings
    rows = curate.dataset("straight", catalog=tmp_path / "catalog.yaml").to_polars()
    right = set(given)
    assert sum(pair in right for pair in zip(rows["source"], rows["target"], strict=True)) >= len(rows) - 1 >= 142
    assert any("3 sources have no target" in warning for warning in built.warnings)
    lost = curate.why("pairs.tsv:147", catalog=tmp_path / "catalog.yaml")
    told = " ".join(str(lost).split())
    assert "realign could not make a row of it: no source fits its target" in told
