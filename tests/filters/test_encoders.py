"""Several encoders as one: each language pair has the first that knows both languages, and all cosines one scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from curate.models.embedding.use_multilingual import UseMultilingual
from curate.rows import Kind
from curate.steps import StepError
from filters.calibration.anchors import shipped_anchors
from filters.calibration.encoders import TRANSLATED, UNRELATED, Encoders
from filters.duplicates.step import Duplicates
from filters.similarity.step import Similarity
from filters.translation_quality.step import TranslationQuality

KEYS = {text: key for texts in shipped_anchors().texts.values() for key, text in texts.items()}


class Narrow:
    """An encoder whose cosines are all high, as those of the e5 family are; translations are a little nearer."""

    dimensions = 64
    absolute = False

    def __init__(self, languages: Sequence[str], common: float) -> None:
        self._languages, self._common = languages, common
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Any:
        self.encoded += texts
        vectors = np.zeros((len(texts), 64), np.float32)
        for row, text in enumerate(texts):
            if text.strip():
                seed = sum(map(ord, KEYS.get(text, text))) + 31 * len(KEYS.get(text, text))
                own = np.random.default_rng(seed).standard_normal(64)
                noise = np.random.default_rng(sum(map(ord, text))).standard_normal(64)
                vectors[row] = own + 0.5 * noise
                vectors[row, 0] += self._common
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    def supports(self, language: str) -> bool:
        return language in self._languages


def pairs(make: Any, tag: str, shift: int = 0) -> Any:
    left, right = shipped_anchors().pair("en", tag, 40)
    return make(
        Kind.PARALLEL,
        [
            {"source_language": "en", "language": tag, "source": left[at], "target": right[(at + shift) % len(left)]}
            for at in range(len(left))
        ],
    )


@pytest.fixture
def models() -> dict[str, Narrow]:
    return {"few": Narrow(["en", "de"], 2), "wide": Narrow(["en", "de", "sw", "hi", "gl"], 25)}


@pytest.fixture
def several(work_context: Any, models: dict[str, Narrow]) -> Any:
    return work_context(models=models)


def test_each_pair_has_the_first_encoder_that_knows_it_and_all_have_one_scale(
    make: Any, several: Any, models: dict[str, Narrow]
) -> None:
    step = Similarity(model=("few", "wide"))
    for tag, encoder in (("de", "few"), ("sw", "wide"), ("hi", "wide")):
        for model in models.values():
            model.encoded.clear()
        good, wrong = (step.score(pairs(make, tag, by), several, None)["score"].to_numpy() for by in (0, 7))
        assert {name for name, model in models.items() if model.encoded} == {encoder}
        assert good.mean() == pytest.approx(TRANSLATED, abs=0.03)
        assert wrong.mean() == pytest.approx(UNRELATED, abs=0.05)
        assert (good <= 1).all() and (good > wrong).mean() > 0.95


def test_equal_texts_have_one_and_empty_ones_zero(make: Any, several: Any) -> None:
    rows = make(
        Kind.PARALLEL,
        [
            {"source_language": "en", "language": "sw", "source": "Same", "target": "Same"},
            {"source_language": "en", "language": "sw", "source": "Same", "target": " "},
        ],
    )
    assert Similarity(model=("few", "wide")).score(rows, several, None)["score"].to_list() == [1.0, 0.0]


def test_what_none_of_them_knows_is_not_assessed_and_told_once(make: Any, several: Any) -> None:
    rows = make(Kind.PARALLEL, [{"source_language": "en", "language": "yo", "source": "One", "target": "Kan"}] * 3)
    found = Similarity(model=("few", "wide")).score(rows, several, None)
    assert found["score"].to_list() == [None] * 3
    assert several.warnings == ["similarity: model 'few', 'wide' does not support 'yo': its rows are not assessed"]


def test_a_language_without_anchors_has_the_scale_of_others(several: Any) -> None:
    encoder = Encoders(("few", "wide"), several).find("en", "gl")
    assert encoder is not None
    one, other = encoder.encode(["A text", "Another"])
    assert abs(float(one @ other)) < 0.5


def test_translation_quality_takes_the_same_list(make: Any, several: Any) -> None:
    step = TranslationQuality(encoder=("few", "wide"))
    good, wrong = (step.score(pairs(make, "sw", by), several, None) for by in (0, 7))
    assert good["similarity"].mean() > 0.7 and wrong["similarity"].mean() < 0.2
    assert good["score"].mean() > wrong["score"].mean() + 0.2


def test_the_embedded_encoder_keeps_its_scale(make: Any, work_context: Any, tmp_path: Any) -> None:
    use = UseMultilingual().load(cache=None, threads=1)
    context = work_context(models={"use-multilingual": use})
    rows = pairs(make, "de")
    alone = Similarity().score(rows, context, None)["score"].to_numpy()
    listed = Similarity(model=("use-multilingual",)).score(rows, context, None)["score"].to_numpy()
    assert np.abs(alone - listed).max() < 0.12
    assert np.corrcoef(alone, listed)[0, 1] > 0.97


def test_a_margin_and_a_calibration_are_for_one_encoder() -> None:
    with pytest.raises(ValidationError, match="measure: margin: it is for one encoder"):
        Similarity(model=("few", "wide"), measure="margin")


def test_translations_are_duplicates_by_the_encoder_of_their_languages(
    make: Any, several: Any, models: dict[str, Narrow], tmp_path: Path
) -> None:
    texts = shipped_anchors().texts
    keys = sorted(texts["en"].keys() & texts["de"].keys() & texts["sw"].keys())[:30]
    rows = [{"language": "en", "text": texts["en"][key]} for key in keys]
    # Ten of them again, in other languages, as other items; and thirty that are translations of nothing.
    rows += [{"language": "de", "text": texts["de"][key], "group_id": f"d{key}"} for key in keys[:10]]
    rows += [{"language": "sw", "text": texts["sw"][key], "group_id": f"s{key}"} for key in keys[10:20]]
    rows += [{"language": "hi", "text": f"वाक्य {number}", "group_id": f"h{number}"} for number in range(10)]
    step = Duplicates(method="cross_lingual", model=("few", "wide"), numbers="ignore")
    path = tmp_path / "summary.parquet"
    pq.write_table(step.summarize(make(Kind.DOCUMENT, rows), several), path)
    found = next(iter(step.decide([path], several))).to_pylist()
    assert [row["keep"] for row in found] == [True] * 30 + [False] * 20 + [True] * 10
    assert all(0.6 < row["similarity"] <= 1 for row in found[30:50])
    assert {*models["few"].encoded} == {row["text"] for row in rows[:40]} | {
        *texts["en"].values(),
        *texts["de"].values(),
    }


def test_duplicates_within_a_language_take_one_encoder() -> None:
    with pytest.raises(ValidationError, match="method: semantic: it is for one encoder"):
        Duplicates(method="semantic", model=("few", "wide"))


def decided(step: Duplicates, kind: Kind, rows: list[dict[str, Any]], make: Any, world: Any, path: Path) -> list[Any]:
    pq.write_table(step.summarize(make(kind, rows), world), path)
    decision: list[Any] = next(iter(step.decide([path], world))).to_pylist()
    return decision


def test_rows_without_a_vector_of_the_encoder_are_no_duplicates(make: Any, work_context: Any, tmp_path: Path) -> None:
    world = work_context(models={"few": Narrow(["en", "de"], 2), "wide": Narrow(["en", "de", "sw"], 25)})
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"swali ya {word}"},
                {"role": "assistant", "content": f"Completely {word} matter"},
            ],
            "language": "en" if number < 3 else "de",
            "prompt_language": "sw",
            "group_id": f"g{number}",
        }
        for number, word in enumerate(["apple", "river", "cloud", "Haus", "Garten", "Lampe"])
    ]
    step = Duplicates(method="cross_lingual", model=("few", "wide"))
    assert all(row["keep"] for row in decided(step, Kind.SFT, rows, make, world, tmp_path / "s.parquet"))


def test_languages_without_a_common_encoder_are_named(make: Any, work_context: Any, tmp_path: Path) -> None:
    world = work_context(models={"few": Narrow(["en", "de"], 2), "wide": Narrow(["sw", "hi"], 25)})
    texts = shipped_anchors().texts
    rows = [
        {"language": tag, "text": texts[tag][key], "group_id": f"{tag}{key}"}
        for tag in ("en", "sw")
        for key in sorted(texts["en"])[:20]
    ]
    step = Duplicates(method="cross_lingual", model=("few", "wide"))
    assert all(row["keep"] for row in decided(step, Kind.DOCUMENT, rows, make, world, tmp_path / "s.parquet"))
    [said] = [one for one in world.warnings if "knows both languages of en-sw" in one]
    assert said.endswith("are not compared with each other")
    strict = Duplicates(method="cross_lingual", model=("few", "wide"), strict=True)
    with pytest.raises(StepError, match="en-sw"):
        decided(strict, Kind.DOCUMENT, rows, make, world, tmp_path / "s.parquet")


def test_a_weak_encoder_gives_way_and_a_row_needs_one_encoder_for_all_its_languages(
    make: Any, work_context: Any, tmp_path: Path
) -> None:
    class Random(Narrow):
        def encode(self, texts: Sequence[str]) -> Any:
            self.encoded += texts
            return np.random.default_rng(len(self.encoded)).standard_normal((len(texts), 64)).astype(np.float32)

    world = work_context(models={"bad": Random(["en", "sw"], 1), "wide": Narrow(["en", "sw"], 25)})
    assert Encoders(("bad", "wide"), world).place("en", "sw") == 1
    with pytest.raises(StepError, match="'bad': translations in en-sw are no nearer"):
        Encoders(("bad",), world).find("en", "sw")
    world = work_context(models={"few": Narrow(["en", "de"], 2), "wide": Narrow(["sw", "hi"], 25)})
    rows = [
        {
            "messages": [{"role": "user", "content": "swali"}, {"role": "assistant", "content": f"An answer, {n}"}],
            "language": "en",
            "prompt_language": "sw",
        }
        for n in range(2)
    ]
    step = Duplicates(method="cross_lingual", model=("few", "wide"))
    found = decided(step, Kind.SFT, rows, make, world, tmp_path / "s.parquet")
    assert [row["unassessed"] for row in found] == ["language", "language"]
    assert any("knows all of sw, en" in one for one in world.warnings)


def test_anchors_are_encoded_once(work_context: Any) -> None:
    wide = Narrow(["en", "de", "gl", "eu"], 25)
    encoders = Encoders(("wide",), work_context(models={"wide": wide}))
    for pair in (("en", "de"), ("en", "gl"), ("gl", "eu")):
        encoders.find(*pair)
    assert len(wide.encoded) == len(set(wide.encoded))
