"""What two near texts in different languages may differ in and still be translations of each other."""

from __future__ import annotations

import polars as pl
import pytest

from filters.duplicates.translation_veto import TranslationVeto

CASES = [
    ("de", "Name three causes of the war in 1914.", "Nennen Sie drei Ursachen des Krieges von 1914.", ""),
    ("de", "Name three causes of the war in 1914.", "Nennen Sie drei Ursachen des Krieges von 1918.", "numbers"),
    ("de", "Name three causes of the war in 1914.", "Nennen Sie drei Ursachen des Krieges.", "numbers"),
    ("ru", "Drive 100 miles to the north.", "Проезжайте 160 км на север.", ""),
    ("ja", "I need your help.", "君の助けが必要なんだ。", ""),
    ("ja", "I didn't need your help.", "君の助けが必要だった。", "negation"),
    ("ru", "Open the Firefox settings.", "Откройте настройки Firefox.", ""),
    ("ru", "Open the Firefox settings.", "Откройте настройки Chrome.", "words"),
    ("ar", "Wash the apples and cut them into pieces. Then cook them for an hour.",
     "اغسل التفاح وقطعه إلى قطع. ثم اطبخه لمدة ساعة.", ""),
    ("ar", "Wash the apples and cut them into pieces. Then cook them for an hour.",
     "اغسل التفاح وقطعه إلى قطع صغيرة.", "words"),
]  # fmt: skip


@pytest.mark.parametrize("without", ["", "numbers", "negation", "words"])
def test_what_has_no_counterpart_speaks_against_a_translation(without: str) -> None:
    veto = TranslationVeto(**{without: False} if without else {})
    left, right = (pl.Series([case[side] for case in CASES]) for side in (1, 2))
    found = veto.differ(left, right, (["en"] * len(CASES), [case[0] for case in CASES]))
    assert found.tolist() == [bool(case[3]) and case[3] != without for case in CASES]


def test_empty_texts_and_none_differ_in_nothing() -> None:
    nothing = pl.Series([], dtype=pl.String)
    assert TranslationVeto().differ(nothing, nothing, ([], [])).tolist() == []
    assert TranslationVeto().differ(pl.Series([""]), pl.Series(["…"]), (["en"], ["th"])).tolist() == [False]
