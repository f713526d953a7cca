"""Misalignment: rows shifted against each other are told once, with the shift and where; in one shard or many, with or
without an encoder."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from curate.catalog.params import Mark
from curate.rows import Kind
from filters.misalignment import Misalignment

# Words of a made-up language on both sides: lengths go together, nothing else does.
SYLLABLES = {
    "en": ["ba", "ko", "ri", "stan", "mel", "tu"],
    "ru": ["жа", "мо", "рин", "ску", "пель"],
    "th": ["กา", "มือ", "เรน", "สตู"],
    "ar": ["با", "كو", "رين", "ست"],
}


def pairs(count: int, tag: str, numbers: bool = True, seed: int = 7) -> list[tuple[str, str]]:
    chance = random.Random(seed)
    found = []
    for place in range(count):
        words = chance.randrange(2, 24)
        sides = [" ".join("".join(chance.choices(SYLLABLES[one], k=2)) for _ in range(words)) for one in ("en", tag)]
        mark = f" {1000 + 17 * place}" if numbers and place % 3 == 0 else ""
        found.append((sides[0] + mark, sides[1] + mark))
    return found


def shift(rows: Sequence[tuple[str, str]], by: int, start: int) -> list[tuple[str, str]]:
    """From ``start`` on each source beside the target of the row ``by`` further on."""
    return [
        (source, rows[at + by][1] if at >= start and 0 <= at + by < len(rows) else target)
        for at, (source, target) in enumerate(rows)
    ]


def decide(
    step: Misalignment,
    make: Any,
    rows: Sequence[tuple[str, str]],
    tag: str,
    context: Any,
    folder: Path,
    shards: int = 1,
) -> list[dict[str, Any]]:
    paths = []
    for number, at in enumerate(np.array_split(np.arange(len(rows)), shards)):
        made = make(
            Kind.PARALLEL,
            [{"source_language": "en", "language": tag, "source": rows[one][0], "target": rows[one][1]} for one in at],
        )
        paths.append(folder / f"{number}.parquet")
        pq.write_table(step.summarize(made, context), paths[-1])
    return pa.concat_tables(list(step.decide(paths, context))).to_pylist()


@pytest.mark.parametrize("tag", ["ru", "th", "ar"])
@pytest.mark.parametrize("by", [1, -2, 7])
def test_a_constant_shift_is_told_once_with_its_place(
    make: Any, context: Any, tmp_path: Path, tag: str, by: int
) -> None:
    rows = shift(pairs(300, tag), by, 120)
    found = decide(Misalignment(), make, rows, tag, context, tmp_path)
    shifts = [row["shift"] for row in found]
    assert shifts[:110] == [0.0] * 110
    assert sum(one == by for one in shifts[130:290]) >= 155
    assert all(row["keep"] for row in found)
    assert len(context.warnings) == 1
    assert f"shifted by {by:+d}" in context.warnings[0]
    assert "en→" + tag in context.warnings[0]


def test_rows_in_step_are_left_alone_in_every_script(make: Any, context: Any, tmp_path: Path) -> None:
    for tag in ("ru", "th", "ar"):
        found = decide(Misalignment(action="drop"), make, pairs(300, tag, numbers=False), tag, context, tmp_path)
        assert [row["shift"] for row in found] == [0.0] * 300
        assert all(row["keep"] and row["reason"] is None and row["state"] is None for row in found)
    assert context.warnings == []


def test_lengths_alone_are_enough(make: Any, context: Any, tmp_path: Path) -> None:
    found = decide(Misalignment(), make, shift(pairs(300, "th", numbers=False), 2, 100), "th", context, tmp_path)
    assert sum(row["shift"] == 2 for row in found[110:290]) >= 170


def test_how_rows_are_cut_into_shards_changes_nothing(make: Any, context: Any, tmp_path: Path) -> None:
    rows = shift(pairs(240, "ru"), -1, 90)
    whole = decide(Misalignment(), make, rows, "ru", context, tmp_path)
    assert decide(Misalignment(), make, rows, "ru", context, tmp_path, shards=7) == whole


def test_rows_in_no_order_are_told_as_such(make: Any, context: Any, tmp_path: Path) -> None:
    rows = pairs(400, "ru")
    targets = [target for _, target in rows[150:280]]
    random.Random(3).shuffle(targets)
    spoilt = [
        *rows[:150],
        *((source, target) for (source, _), target in zip(rows[150:280], targets, strict=True)),
        *rows[280:],
    ]
    found = decide(Misalignment(action="drop"), make, spoilt, "ru", context, tmp_path)
    assert sum(row["state"] == "disordered" for row in found[150:280]) >= 115
    assert all(row["keep"] for row in found[:140] + found[290:])
    assert {row["reason"] for row in found if not row["keep"]} == {"misalignment"}
    assert "out of order" in context.warnings[0]


@pytest.mark.parametrize("max_shift", [None, 300, 500])
def test_a_drift_of_hundreds_of_rows_is_found_and_none_of_it_counts_as_aligned(
    make: Any, context: Any, tmp_path: Path, max_shift: int | None
) -> None:
    rows = shift(pairs(900, "th", numbers=False), 240, 200)[:660]
    found = decide(Misalignment(max_shift=max_shift), make, rows, "th", context, tmp_path)
    shifts = [row["shift"] for row in found]
    # From row 420 on the sources are not in the file.
    assert sum(one == 240 for one in shifts[200:420]) >= 200
    assert not any(one == 0 for one in shifts[205:])
    assert all(one == 0 for one in shifts[:195])


def test_a_drift_beyond_max_shift_is_told_but_not_as_a_shift(make: Any, context: Any, tmp_path: Path) -> None:
    rows = shift(pairs(900, "th", numbers=False), 240, 200)[:660]
    found = decide(Misalignment(max_shift=10), make, rows, "th", context, tmp_path)
    assert sum(row["state"] == "disordered" for row in found[200:]) >= 440
    assert not any(row["shift"] for row in found)


def test_blocks_that_changed_places_are_two_stretches(make: Any, context: Any, tmp_path: Path) -> None:
    given = pairs(600, "ru")
    places = [*range(100), *range(300, 400), *range(200, 300), *range(100, 200), *range(400, 600)]
    rows = [(given[at][0], given[one][1]) for at, one in enumerate(places)]
    found = decide(Misalignment(), make, rows, "ru", context, tmp_path)
    assert sum(row["shift"] == one - at for at, (row, one) in enumerate(zip(found, places, strict=True))) >= 590
    assert [one.partition("shifted by ")[2].partition(":")[0] for one in context.warnings] == ["+200", "-200"]


def test_a_short_stretch_and_the_rows_beside_a_change_are_unsure_not_aligned(
    make: Any, context: Any, tmp_path: Path
) -> None:
    given = pairs(300, "ru")
    places = [*range(100), *range(105, 117), *range(112, 300)]
    rows = [(given[at][0], given[one][1]) for at, one in enumerate(places)][:300]
    found = decide(Misalignment(action="drop"), make, rows, "ru", context, tmp_path)
    assert [row["state"] for row in found[100:112]] == ["unsure"] * 12
    assert [row["shift"] for row in found[100:112]] == [None] * 12
    assert all(row["keep"] for row in found)
    assert len(context.warnings) == 1 and "rows are unsure" in context.warnings[0]


class Meaning:
    """An encoder that knows which row a text is of."""

    dimensions = 80
    absolute = True

    def encode(self, texts: Sequence[str]) -> Any:
        vectors = np.stack([np.random.default_rng(int(text[1:])).standard_normal(80) for text in texts]).astype(
            np.float32
        )
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def supports(self, language: str) -> bool:
        return True


def test_an_encoder_sees_what_lengths_do_not(make: Any, work_context: Any, tmp_path: Path) -> None:
    context = work_context(models={"meaning": Meaning()})
    rows = shift([(f"a{at + 1000}", f"я{at + 1000}") for at in range(200)], 3, 80)
    blind = decide(Misalignment(), make, rows, "ru", context, tmp_path)
    # Numbers would tell; letters and digits glued together are none.
    assert len(blind) == 200
    context.warnings.clear()
    found = decide(Misalignment(encoder="meaning"), make, rows, "ru", context, tmp_path)
    assert sum(row["shift"] == 3 for row in found[85:190]) >= 100
    assert len(context.warnings) == 1


def test_an_encoder_that_does_not_know_a_language_changes_nothing(make: Any, work_context: Any, tmp_path: Path) -> None:
    class English(Meaning):
        def encode(self, texts: Sequence[str]) -> Any:
            return super().encode([f"a{sum(map(ord, text))}" for text in texts])

        def supports(self, language: str) -> bool:
            return language == "en"

    letters = "กขคงจฉชซฌญฐณดตถทธนบป"
    rows = [
        (
            f"The number of this house is not known to me, it is {chr(97 + at % 26)}{chr(97 + at // 26)}",
            letters[at % 20] * 61,
        )
        for at in range(100)
    ]
    context = work_context(models={"meaning": English()})
    blind = decide(Misalignment(), make, rows, "th", context, tmp_path)
    assert decide(Misalignment(encoder="meaning"), make, rows, "th", context, tmp_path) == blind
    assert not any(row["reason"] for row in blind)


def test_children_are_compared_with_their_parents(make: Any, work_context: Any, tmp_path: Path) -> None:
    rows = pairs(200, "ru")
    parents = make(Kind.DOCUMENT, [{"language": "en", "text": source} for source, _ in rows])
    ids = parents.ids.to_list()
    moved = [
        {"language": "ru", "text": rows[(at + 1) % 200][1] if at >= 60 else rows[at][1], "parents": [ids[at]]}
        for at in range(200)
    ]
    context = work_context(parents=parents)
    made = make(Kind.DOCUMENT, [*moved, {"language": "ru", "text": "сирота"}])
    pq.write_table(Misalignment().summarize(made, context), tmp_path / "one.parquet")
    found = next(iter(Misalignment().decide([tmp_path / "one.parquet"], context)))["shift"].to_pylist()
    assert sum(one == 1 for one in found[65:195]) >= 125
    assert found[-1] is None


def test_few_rows_and_none_are_not_assessed(make: Any, context: Any, tmp_path: Path) -> None:
    assert [row["shift"] for row in decide(Misalignment(), make, pairs(12, "ru"), "ru", context, tmp_path)] == [
        None
    ] * 12
    assert list(Misalignment().decide([], context)) == []
    empty = make(Kind.PARALLEL, [])
    pq.write_table(Misalignment().summarize(empty, context), tmp_path / "empty.parquet")
    assert next(iter(Misalignment().decide([tmp_path / "empty.parquet"], context))).num_rows == 0


def test_parameters_say_what_they_change() -> None:
    assert {"max_shift", "min_rows", "change", "action"} <= Misalignment.marked(Mark.DECISION)
    assert Misalignment().check(Kind.DOCUMENT) == []
    assert "parallel" in Misalignment(between="sides").check(Kind.DOCUMENT)[0]
    with pytest.raises(ValidationError):
        Misalignment(max_shift=0)
