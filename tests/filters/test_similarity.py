"""Similarity: translations against their originals, with the encoder that is shipped and with made-up vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from curate.catalog.params import Mark
from curate.rows import Kind
from curate.steps import Rows, StepError
from filters.similarity.margin import Pools, merge_samples
from filters.similarity.sides import sides, tags
from filters.similarity.step import Similarity

PAIRS = {
    "de": [
        ("Why does the sky look red in the evening?", "Warum sieht der Himmel am Abend rot aus?"),
        (
            "The train to Hamburg leaves at seven from platform nine.",
            "Der Zug nach Hamburg fährt um sieben von Gleis neun ab.",
        ),
    ],
    "zh": [
        ("Please explain what machine learning is.", "请解释什么是机器学习。"),
        ("My grandmother bakes bread every Sunday.", "我奶奶每个星期天都烤面包。"),
    ],
    "ar": [
        ("The boy went to school in the morning.", "ذهب الولد إلى المدرسة في الصباح."),
        ("The coffee in this town is very good.", "القهوة في هذه المدينة جيدة جدا."),
    ],
    "th": [
        ("It will rain tomorrow, take an umbrella.", "พรุ่งนี้ฝนจะตก เอาร่มไปด้วย"),
        ("How much does this fish cost?", "ปลาตัวนี้ราคาเท่าไหร่"),
    ],
    "ru": [
        ("The library is closed on Mondays.", "По понедельникам библиотека закрыта."),
        ("She has three brothers and no sister.", "У неё три брата и ни одной сестры."),
    ],
}


def parallel(make: Any, pairs: Sequence[tuple[str, str, str]], source_language: str = "en") -> Rows:
    return make(
        Kind.PARALLEL,
        [{"source_language": source_language, "language": tag, "source": a, "target": b} for tag, a, b in pairs],
    )


class Table:
    """An encoder that looks vectors up: as many texts as wanted, and no surprises."""

    dimensions = 3

    def __init__(self, vectors: dict[str, Sequence[float]], absolute: bool = True, languages: str = "en de zh") -> None:
        self._vectors = {text: np.asarray(v, np.float32) / np.linalg.norm(v) for text, v in vectors.items()}
        self._languages = languages.split()
        self.absolute = absolute
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.encoded += texts
        return np.stack([self._vectors[text] for text in texts])

    def supports(self, language: str) -> bool:
        return language in self._languages


def test_translations_are_near_and_the_wrong_ones_are_dropped(make: Any, decided: Any, context: Any) -> None:
    good = [(tag, a, b) for tag, pairs in PAIRS.items() for a, b in pairs]
    wrong = [(tag, pairs[0][0], pairs[1][1]) for tag, pairs in PAIRS.items()]
    assert decided(Similarity(), parallel(make, good), context) == [None] * len(good)
    assert decided(Similarity(), parallel(make, wrong), context) == ["similarity"] * len(wrong)
    assert decided(Similarity(min={"default": 0.5, "de": -1}), parallel(make, wrong), context)[0] is None


def test_copies_are_found_by_the_upper_threshold(make: Any, decided: Any, context: Any) -> None:
    rows = parallel(make, [("de", PAIRS["de"][0][0], PAIRS["de"][0][0]), ("de", *PAIRS["de"][0])])
    assert decided(Similarity(), rows, context) == [None, None]
    assert decided(Similarity(max=0.99), rows, context) == ["copied", None]


def conversations(make: Any, vectors: dict[str, Sequence[float]]) -> tuple[Rows, Rows]:
    def chat(tag: str, prompt: str, response: str, **more: Any) -> dict[str, Any]:
        return {
            "language": tag,
            "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}],
            **more,
        }

    parents = make(Kind.SFT, [chat("en", "p1", "r1-long-one"), chat("en", "p2", "")])
    one, two = parents.ids.to_list()
    children = [
        chat("de", "P1", "R1", parents=[one]),
        chat("zh", "P1", "R-off", parents=[one]),
        chat("de", "P1", "", parents=[one]),
        chat("de", "P2", " ", parents=[two]),
        chat("de", "P1", "R1"),
        chat("sw", "P1", "R1", parents=[one]),
    ]
    return parents, make(Kind.SFT, children)


VECTORS = {
    "p1": (1, 0, 0),
    "P1": (1, 0, 0),
    "r1-long-one": (0, 1, 0),
    "R1": (0, 4, 3),
    "R-off": (0, 0, 1),
    "p2": (1, 0, 0),
    "P2": (3, 4, 0),
}


def test_fields_are_compared_with_the_parents_and_weighted_by_length(
    make: Any, work_context: Any, decided: Any
) -> None:
    parents, rows = conversations(make, VECTORS)
    encoder = Table(VECTORS)
    context = work_context(parents=parents, models={"use-multilingual": encoder})
    frame = Similarity().score(rows, context, None)
    assert frame.columns == ["score", "prompt", "response", "unassessed"]
    assert frame["prompt"].to_list() == [1.0, 1.0, 1.0, 0.6, None, None]
    assert frame["response"].to_list() == [0.8, 0.0, 0.0, None, None, None]
    assert frame["score"].to_list() == [
        round((4 * 1.0 + 13 * 0.8) / 17, 4),
        round(4 / 20, 4),
        round(4 / 15, 4),
        0.6,
        None,
        None,
    ]
    assert frame["unassessed"].to_list() == [None] * 5 + ["language"]
    assert context.warnings == ["similarity: model 'use-multilingual' does not support 'sw': its rows are not assessed"]
    assert sorted(encoder.encoded) == sorted(set(encoder.encoded)), "each text once"
    assert Similarity(combine="min").score(rows, context, None)["score"].to_list()[:4] == [0.8, 0.0, 0.0, 0.6]
    assert Similarity(fields=("prompt",)).score(rows, context, None).columns == ["score", "prompt", "unassessed"]
    assert decided(Similarity(unassessed="drop"), rows, context) == [
        None,
        "similarity",
        "similarity",
        None,
        None,
        "unassessed",
    ]
    with pytest.raises(StepError, match="'sw'"):
        Similarity(strict=True).score(rows, context, None)


def test_a_parent_of_another_kind_lends_the_fields_it_has(make: Any, work_context: Any) -> None:
    parents = make(Kind.PROMPT, [{"language": "en", "prompt": [{"role": "user", "content": "p1"}]}])
    chat = [{"role": "user", "content": "P1"}, {"role": "assistant", "content": "R1"}]
    rows = make(Kind.SFT, [{"language": "de", "messages": chat, "parents": [parents.ids[0]]}])
    context = work_context(parents=parents, models={"use-multilingual": Table(VECTORS)})
    assert Similarity().score(rows, context, None).row(0) == (1.0, 1.0, None, None)


def test_cosines_without_absolute_meaning_are_refused(make: Any, work_context: Any) -> None:
    rows = parallel(make, [("de", "p1", "P1")])
    context = work_context(models={"use-multilingual": Table(VECTORS, absolute=False)})
    with pytest.raises(StepError, match="measure: margin"):
        Similarity().score(rows, context, None)
    assert Similarity(allow_uncalibrated=True).score(rows, context, None)["score"].to_list() == [1.0]


def random_pairs(make: Any, count: int, noise: float) -> tuple[Rows, Table]:
    random = np.random.default_rng(7)
    vectors: dict[str, Any] = {}
    pairs = []
    for n in range(count):
        left = random.normal(size=3)
        vectors[f"l{n}"], vectors[f"r{n}"] = left, left + noise * random.normal(size=3)
        pairs.append(("de" if n % 3 else "zh", f"l{n}", f"r{n}"))
    pairs += pairs[:2]  # exact copies
    return parallel(make, pairs), Table(vectors)


def test_the_margin_is_what_its_formula_says(make: Any, work_context: Any) -> None:
    rows, encoder = random_pairs(make, 40, 0.4)
    context = work_context(models={"use-multilingual": encoder})
    step = Similarity(measure="margin", neighbours=3, pool=20)
    shards = [Rows(rows.kind, rows.table.slice(0, 13)), Rows(rows.kind, rows.table.slice(13))]
    fitted = step.fit([step.sample(shard, context) for shard in shards], context)
    assert fitted.equals(step.fit([step.sample(rows, context)], context)), "cutting shards otherwise changes nothing"
    found = step.score(rows, context, fitted)["score"].to_list()
    table = rows.table.to_pylist()
    for row, score in zip(table, found, strict=True):
        pool = {(r["source"], r["target"]): r["id"] for r in table if r["language"] == row["language"]}
        chosen = sorted(pool, key=lambda pair, pool=pool: pool[pair])[:20]
        others = [pair for pair in chosen if pair[0] != row["source"]]
        x, y = encoder.encode([row["source"]])[0], encoder.encode([row["target"]])[0]
        near = [
            np.sort([float(x @ encoder.encode([r])[0]) for _, r in others])[-3:],
            np.sort([float(y @ encoder.encode([left])[0]) for left, _ in others])[-3:],
        ]
        expected = float(x @ y) / max((near[0].mean() + near[1].mean()) / 2, 0.05)
        assert score == pytest.approx(expected, abs=2e-4)


def test_a_pool_that_is_too_small_gives_no_margin_but_a_reason(make: Any, work_context: Any, decided: Any) -> None:
    rows, encoder = random_pairs(make, 6, 0.1)
    context = work_context(models={"use-multilingual": encoder})
    step = Similarity(measure="margin", neighbours=4)
    fitted = step.fit([step.sample(rows, context)], context)
    frame = step.score(rows, context, fitted)
    assert frame["score"].null_count() == len(rows)
    assert set(frame["unassessed"]) == {"pool"}
    assert set(decided(step, rows, context, fitted)) == {None}
    empty = step.sample(parallel(make, []), context)
    assert empty is not None and empty.num_rows == 0
    assert merge_samples([empty, step.sample(rows, context)], 99).num_rows == 6
    with pytest.raises(ValueError, match="sample"):
        Pools(None, 4)


def test_the_margin_works_with_the_shipped_encoder(make: Any, context: Any, decided: Any) -> None:
    good = [("de", a, b) for pairs in PAIRS.values() for a, b in pairs][:2]
    german = [
        "Der Hund schläft vor der Tür.",
        "Wir brauchen noch Milch und Eier.",
        "Im Winter ist der See zugefroren.",
        "Sein Fahrrad ist kaputt.",
        "Die Suppe ist zu salzig.",
        "Morgen beginnt die Schule wieder.",
    ]
    english = [
        "The dog sleeps by the door.",
        "We still need milk and eggs.",
        "In winter the lake is frozen.",
        "His bicycle is broken.",
        "The soup is too salty.",
        "School starts again tomorrow.",
    ]
    pairs = [*good, *(("de", a, b) for a, b in zip(english, german, strict=True)), ("de", english[0], german[4])]
    rows = parallel(make, pairs)
    step = Similarity(measure="margin")
    fitted = step.fit([step.sample(rows, context)], context)
    assert decided(step, rows, context, fitted) == [None] * 8 + ["similarity"]


def test_thresholds_are_decisions_and_no_rows_are_no_problem(make: Any, work_context: Any) -> None:
    assert Similarity.marked(Mark.DECISION) == {"min", "max", "unassessed", "calibration"}
    context = work_context(parents=make(Kind.SFT, []), models={"use-multilingual": Table(VECTORS)})
    for kind in Kind:
        step = Similarity()
        assert step.score(make(kind, []), context, None).columns == list(step.columns(kind))
    assert Similarity(between="sides").check(Kind.SFT)
    assert Similarity(fields=("target",)).check(Kind.SFT)
    assert not Similarity().requires_fit and Similarity(measure="margin").requires_fit
    assert isinstance(
        Similarity(measure="margin").fit([Similarity(measure="margin").sample(parallel(make, []), context)], context),
        pa.Table,
    )


def made_by(*steps: str, parents: Sequence[str] = ()) -> dict[str, Any]:
    makers = [{"step": step, "model": "", "prompt_hash": "", "key": ""} for step in steps]
    return {"source": "s", "source_id": "1", "license": "CC0-1.0", "parents": list(parents), "makers": makers}


def test_a_row_is_not_compared_with_what_it_was_before_a_label_or_redaction(make: Any, work_context: Any) -> None:
    def row(text: str, tag: str, *steps: str, parents: Sequence[str] = ()) -> Rows:
        given = {"text": text, "language": tag, "lineage": made_by(*steps, parents=parents)}
        return make(Kind.DOCUMENT, [given])

    original = row("The river is old.", "en")
    read = row("Mail an hans@beispiel.de.", "und", parents=original.ids)
    labelled = row("Mail an hans@beispiel.de.", "de", "detect_language", parents=read.ids)
    redacted = row("Mail an [EMAIL_1].", "de", "detect_language", "redact", parents=labelled.ids)
    alone = row("Mail an [EMAIL_1]!", "de", "redact", parents=row("Mail an a@b.de!", "de").ids)
    rewritten = row("Eine Mail an [EMAIL_1].", "de", "detect_language", "redact", "rewrite", parents=redacted.ids)
    known = [original, read, labelled, redacted, row("Mail an a@b.de!", "de")]
    context = work_context(parents=Rows(Kind.DOCUMENT, pa.concat_tables(one.table for one in known)))
    rows = Rows(Kind.DOCUMENT, pa.concat_tables(one.table for one in (labelled, redacted, alone, rewritten)))
    [found] = sides(rows, False, ("text",), 1000, context)
    left, _ = found.texts["text"]
    assert left.to_list() == ["The river is old.", "The river is old.", None, "Mail an [EMAIL_1]."]
    assert tags(rows, False, ("text",), context)[0].to_list() == ["en", "en", None, "de"]
