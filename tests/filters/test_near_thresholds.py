"""Thresholds by language, by pair of languages, by a calibration; and that across languages each must be the other's
nearest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settling import settle

from curate.catalog.docstrings import documented
from curate.catalog.params import PerLanguage
from curate.rows import Kind
from curate.steps import StepError
from filters.calibration.file import AnchorsUsed, Calibration, PairCalibration, Thresholds
from filters.duplicates.params import SIMILARITY
from filters.duplicates.semantic import _nearest
from filters.duplicates.step import Duplicates
from filters.duplicates.thresholds import MinSimilarity


def calibration(model: str = "some@1", **pairs: tuple[str, float | None]) -> Thresholds:
    used = AnchorsUsed(name="own", license="CC0-1.0", digest="0", languages=2, sentences=50)
    every = {
        name.replace("_", "-"): PairCalibration(verdict=verdict, threshold=value)
        for name, (verdict, value) in pairs.items()
    }  # type: ignore[arg-type]
    return Calibration(model=model, anchors=used, pairs=every).thresholds()


def rows_of(*languages: str) -> Any:
    """What :class:`MinSimilarity` looks at of gathered rows."""
    tags = tuple(sorted(set(languages)))
    codes = np.array([tags.index(tag) for tag in languages], np.int32)
    return SimpleNamespace(
        languages=tags, language=codes, there=np.ones(len(codes), bool), assessed=np.ones(len(codes), bool)
    )


def test_a_pair_counts_before_the_calibration_and_that_before_the_language() -> None:
    least = MinSimilarity(
        PerLanguage(0.5, {"de": 0.7, "sw": None}),
        {frozenset(("en", "zh")): 0.4},
        calibration(en_de=("trusted", 0.44), en_zh=("trusted", 0.6), en_fr=("weak", 0.5), en_ja=("cannot judge", None)),
    )
    found = rows_of("en", "de", "zh", "fr", "ja", "sw")
    at = {tag: np.flatnonzero(found.language == found.languages.index(tag)) for tag in found.languages}
    told = {tag: float(least.each(found, at["en"], at[tag])[0]) for tag in ("de", "zh", "fr", "ja", "sw", "en")}
    assert told == {"de": 0.44, "zh": 0.4, "fr": 0.5, "ja": np.inf, "sw": np.inf, "en": 0.5}
    assert least.lowest(found) == 0.4
    strict = MinSimilarity(least.by_language, least.pairs, least.calibration, "trusted")
    assert strict.of("en", "fr") == np.inf and strict.of("de", "en") == 0.44
    plain = MinSimilarity(least.by_language)
    assert [plain.of("en", "de"), plain.of("en", "sw"), plain.of("de", "de")] == [0.7, np.inf, 0.7]
    assert plain.each(rows_of(), np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_pairs_that_the_calibration_does_not_trust_are_told_and_another_model_is_refused() -> None:
    found, told = rows_of("en", "de", "sw"), []
    least = MinSimilarity(PerLanguage(0.5), {}, calibration(en_de=("trusted", 0.4), en_sw=("cannot judge", None)))
    least.check("some@1", found, told.append, strict=False)
    assert [message.split(": ", 1)[1] for message in told] == [
        "the calibration does not cover de-sw: 2 rows not compared across these languages",
        "the calibration says 'cannot judge' for en-sw: 2 rows not compared across these languages",
    ]
    with pytest.raises(StepError, match="calibrate that pair, set it in 'pairs'"):
        least.check("some@1", found, told.append, strict=True)
    with pytest.raises(StepError, match="the calibration was made for some@1, and the model is other@2"):
        least.check("other@2", found, told.append, strict=False)


cosines = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(-50, 100)), max_size=25, unique_by=lambda one: one[:2]
)


@settings(max_examples=80, deadline=None)
@given(cosines)
def test_the_nearest_of_both_sides_are_those_that_looking_at_all_gives(pairs: list[tuple[int, int, int]]) -> None:
    left, right, cosine = (
        np.array([one[place] for one in pairs], kind) for place, kind in ((0, np.int64), (1, np.int64), (2, np.float64))
    )
    cosine = cosine / 100
    good = _nearest(left, right, cosine, 5, 5).tolist()
    for number, (a, b, _) in enumerate(pairs):
        others = [cosine[other] for other, (x, y, _) in enumerate(pairs) if x == a or y == b]
        assert good[number] == (cosine[number] >= max(others) - 0.02)


def test_of_two_texts_near_one_only_the_nearer_goes(make: Any, context: Any, tmp_path: Path) -> None:
    rows = make(
        Kind.DOCUMENT,
        [
            {"language": tag, "text": text, "group_id": f"g{number}"}
            for number, (tag, text) in enumerate(
                [
                    ("en", "The blacksmith mends the garden gate in the morning."),
                    ("de", "Der Schmied repariert am Morgen das Gartentor."),
                    ("de", "Der Schmied repariert am Abend die Gartenbank."),
                    ("en", "A heavy rain has flooded the cellar."),
                    ("de", "Der Bäcker verkauft warmes Brot."),
                    ("en", "My aunt collects old stamps from Norway."),
                ]
            )
        ],
    )
    loose = Duplicates(method="cross_lingual", similarity=0.4, margin=0, mutual=False)
    found = [one["keep"] for one in settle(loose, [rows], context, tmp_path / "a")]
    assert found[:3] == [True, False, False]
    found = [one["keep"] for one in settle(loose.model_copy(update={"mutual": True}), [rows], context, tmp_path / "b")]
    assert found[:3] == [True, False, True]


def test_duplicates_take_their_thresholds_from_a_calibration(make: Any, context: Any, tmp_path: Path) -> None:
    texts = [
        ("en", "Where is the nearest harbour?"),
        ("de", "Wo ist der nächste Hafen?"),
        ("fr", "Où est le port le plus proche ?"),
    ]
    rows = make(Kind.DOCUMENT, [{"language": tag, "text": text, "group_id": tag} for tag, text in texts])
    name = context.model_name("use-multilingual")
    step = Duplicates(
        method="cross_lingual",
        margin=0,
        calibration=calibration(name, de_en=("trusted", 0.5), en_fr=("cannot judge", None)),
    )
    assert [one["keep"] for one in settle(step, [rows], context, tmp_path / "a")] == [True, False, True]
    assert any("says 'cannot judge' for en-fr" in message for message in context.warnings)
    high = step.model_copy(update={"calibration": calibration(name, de_en=("trusted", 0.99))})
    assert [one["keep"] for one in settle(high, [rows], context, tmp_path / "b")] == [True, True, True]
    assert step.identity(decisions=False) == high.identity(decisions=False)
    with pytest.raises(ValueError, match="calibration: it holds language pairs"):
        Duplicates(method="minhash", calibration=calibration())


def test_what_components_tells_of_the_usual_thresholds_is_what_they_are() -> None:
    described = documented(Duplicates).model_fields["similarity"].description or ""
    assert all(f"({usual:g})" in described or f"default {usual:g}" in described for usual in SIMILARITY.values())
