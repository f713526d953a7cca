"""Calibration: what an encoder can judge, measured on anchors, written to a file, and acted on by ``similarity``."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import regex
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

import curate
from curate.cli.main import app
from curate.rows import Kind, languages
from curate.steps import Rows, StepError
from filters.calibration.anchors import Anchors, read_anchors, shipped_anchors
from filters.calibration.calibrate import calibrate, choose_pairs
from filters.calibration.file import Calibration, CalibrationSettings, Thresholds, read_calibration, split_pair
from filters.calibration.metrics import Cosines, cka, measure, reach
from filters.similarity.step import Similarity

USE = "use-multilingual"
Vectors = npt.NDArray[np.float32]


def unit(vectors: Any) -> Vectors:
    array = np.asarray(vectors, np.float32)
    return array / np.maximum(np.linalg.norm(array, axis=-1, keepdims=True), 1e-9)


class Planted:
    """An encoder that puts the sentences of the languages it knows where their key is, and all others anywhere."""

    dimensions = 64
    absolute = True

    def __init__(
        self, anchors: Anchors, knows: Sequence[str], noise: float = 0.6, claims: Sequence[str] | None = None
    ) -> None:
        self._claims = anchors.languages if claims is None else claims
        self.encoded: list[str] = []
        self._known: dict[str, Vectors] = {}
        for tag in knows:
            for key, text in anchors.texts[tag].items():
                self._known[text] = unit(self._draw(key) + noise * self._draw(text))

    def _draw(self, text: str) -> Any:
        seed = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
        return np.random.default_rng(seed).normal(size=self.dimensions)

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.encoded += texts
        return np.stack([self._known[text] if text in self._known else unit(self._draw(text)) for text in texts])

    def supports(self, language: str) -> bool:
        return language in self._claims


# -------------------------------------------------------------------------------------------------------------- anchors
def test_the_shipped_anchors_say_the_same_in_many_scripts() -> None:
    anchors = shipped_anchors()
    assert len(anchors.languages) >= 24 and anchors.license == "CC0-1.0" and anchors.version
    assert {tuple(sorted(texts)) for texts in anchors.texts.values()} == {tuple(sorted(anchors.texts["en"]))}
    assert len(anchors.texts["en"]) >= 48
    scripts = set()
    for tag, texts in anchors.texts.items():
        names = languages.letters(tag)
        scripts.add(names)
        assert len(set(texts.values())) == len(texts), tag
        own = regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in names) + "]")
        for text in texts.values():
            letters = regex.findall(r"\p{L}", text)
            assert len([one for one in letters if own.match(one)]) >= 0.8 * len(letters), (tag, text)
    assert len(scripts) >= 12
    assert anchors.digest() == shipped_anchors().digest()


def texts_of(anchors: Anchors, tag: str) -> list[str]:
    return [text for _, text in sorted(anchors.texts[tag].items())]


def test_a_folder_with_a_file_of_lines_for_each_language_is_read(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "eng_Latn.dev").write_text("One.\n\nThree.\n")
    (tmp_path / "dev" / "swh_Latn.dev").write_text("Moja.\nMbili.\nTatu.\n")
    (tmp_path / "dev" / "README").write_text("nothing to read")
    with gzip.open(tmp_path / "zho_Hant.devtest.gz", "wt") as file:
        file.write("四\n")
    (tmp_path / "eng_Latn.devtest").write_text("Four.\r\n")
    anchors = read_anchors([tmp_path])
    assert anchors.languages == ("en", "sw", "zh-Hant")
    left, right = anchors.pair("en", "sw", 9)
    assert sorted(zip(left, right, strict=True)) == [("One.", "Moja."), ("Three.", "Tatu.")], (
        "a blank line is nobody's partner"
    )
    assert anchors.pair("zh-Hant", "en", 9) == (["四"], ["Four."])
    (tmp_path / "dev" / "hin_Deva.dev").write_text("एक।\n")
    with pytest.raises(StepError, match="hi has 1 where the others have 3 lines"):
        read_anchors([tmp_path])


def test_pairs_of_files_tables_and_tmx_are_read(tmp_path: Path) -> None:
    pairs = tmp_path / "tatoeba"
    pairs.mkdir()
    (pairs / "tatoeba.swh-eng.swh").write_text("Moja.\nMbili.\nMoja tena.\n")
    (pairs / "tatoeba.swh-eng.eng").write_text("One.\nTwo.\none.\n")
    (pairs / "tatoeba.tha-eng.tha").write_text("หนึ่ง\n")
    (pairs / "tatoeba.tha-eng.eng").write_text("One.\n")
    found = read_anchors([pairs])
    assert found.languages == ("en", "sw", "th")
    left, right = found.pair("en", "sw", 9)
    assert len(left) == 2 and "Mbili." in right, "of two translations of one sentence one is taken"
    assert found.pair("sw", "th", 9) == ([], [])

    (tmp_path / "table.tsv").write_text('# license: CC0-1.0\nkey\ten\tid\tnote\na\tOne "x".\tSatu.\t?\nb\tTwo.\t\t?\n')
    table = read_anchors([tmp_path / "table.tsv"])
    assert table.texts == {"en": {"a": 'One "x".', "b": "Two."}, "id": {"a": "Satu."}} and table.license == "CC0-1.0"
    (tmp_path / "rows.jsonl").write_text(
        '{"id": 7, "en": "One.", "hi-Latn": "Ek."}\n\n{"id": 8, "en": null, "hi-Latn": "Do."}\n'
    )
    assert read_anchors([tmp_path / "rows.jsonl"]).texts == {"en": {"7": "One."}, "hi-Latn": {"7": "Ek.", "8": "Do."}}
    (tmp_path / "x.csv").write_text('en,ar\n"One, two.",واحد\n')
    assert read_anchors([tmp_path / "x.csv"], license="MIT").texts["ar"] == {"0": "واحد"}
    unit_of = "<tu><tuv xml:lang='{}'><seg>{}</seg></tuv><tuv xml:lang='{}'><seg>B <ph/>b.</seg></tuv></tu>"
    (tmp_path / "m.tmx").write_text(f"<tmx><body>{unit_of.format('en', 'A.', 'fr')}</body></tmx>")
    both = read_anchors([tmp_path / "m.tmx", tmp_path / "x.csv"])
    assert both.texts["en"] == {"0/0": "A.", "1/0": "One, two."} and both.texts["fr"] == {"0/0": "B b."}


def test_what_is_no_anchor_is_told(tmp_path: Path) -> None:
    def written(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    for path, message in [
        (tmp_path / "none", "there are no anchors at"),
        (written("a.doc", "x"), "unknown format of anchors"),
        (written("b.jsonl", "{"), "line 1"),
        (written("b2.jsonl", "[1]"), "not an object with a field"),
        (written("c.tsv", "name\tage\nx\t3\n"), "at least two languages"),
        (written("d.tmx", "<tmx><tu>"), "not valid TMX"),
        (written("e.en-sw.en", "x\n"), "other side, e.en-sw.sw, is missing"),
        (written("f.tsv", "en\teng\nx\ty\n"), "two columns are in one language"),
        (written("g.tmx", '<!DOCTYPE x [<!ENTITY a "b">]><tmx>&a;</tmx>'), "not valid TMX"),
    ]:
        with pytest.raises(StepError, match=message):
            read_anchors([path])
    written("h.en-sw.en", "x\ny\n")
    with pytest.raises(StepError, match="2 lines, but 1 in sw"):
        read_anchors([written("h.en-sw.sw", "x\n").with_suffix(".en")])


def test_the_declaration_is_aligned_article_by_article(tmp_path: Path) -> None:
    def edition(code: str, tag: str, heading: Any, odd: int, word: str) -> str:
        paragraphs = [f"{word} o"]
        for article in range(1, 31):
            paragraphs += [
                heading(article),
                *[f"{word} {'o' * article}{part}" for part in ("a", "b" * (article == odd)) if part],
            ]
        return json.dumps({"code": code, "bcp47": tag, "paragraphs": paragraphs})

    def han(number: int) -> str:
        digits = " 一二三四五六七八九"
        tens, ones = divmod(number, 10)
        return f"第{digits[tens] if tens > 1 else ''}{'十' if tens else ''}{digits[ones] if ones else ''}条"

    lines = [
        edition("062", "sw", lambda n: f"Qodobu {n}", 0, "dialect"),
        edition("swh", "sw", lambda n: f"Kifungu cha {n}.", 5, "neno"),
        edition("eng", "en", lambda n: f"Article {n}", 5, "word"),
        edition("hin", "hi", lambda n: f"अनुच्छेद {n}".translate({48 + i: 0x966 + i for i in range(10)}), 7, "शब्द"),
        edition("cmn", "zh", han, 5, "词"),
        edition("fra", "fr", lambda n: "Article premier" if n == 1 else f"Article {n}", 5, "mot"),
        edition("xho", "xh", lambda n: "Inqaku", 5, "x"),
    ]
    (tmp_path / "udhr.jsonl").write_text("\n".join(lines))
    anchors = read_anchors([tmp_path / "udhr.jsonl"])
    assert anchors.languages == ("en", "fr", "hi", "sw", "zh") and "xh" in anchors.notes[0]
    for tag, word in (("sw", "neno"), ("zh", "词"), ("hi", "शब्द"), ("fr", "mot")):
        pairs = list(zip(*anchors.pair("en", tag, 99), strict=True))
        assert all(left.replace("word", word) == right for left, right in pairs), tag
        assert len(pairs) == {"sw": 32, "zh": 32, "hi": 29, "fr": 30}[tag]


# -------------------------------------------------------------------------------------------------------------- figures
@given(st.integers(1, 7), st.integers(0, 7), st.data())
def test_the_chance_of_a_hard_negative_is_that_of_all_choices(wrong: int, among: int, data: Any) -> None:
    among = min(among, wrong)
    values = data.draw(st.lists(st.integers(0, 3), min_size=wrong, max_size=wrong))
    at = data.draw(st.integers(0, 4))
    chosen = list(combinations(values, among))
    expected = np.mean([any(value >= at for value in choice) for choice in chosen])
    assert reach(wrong, among)[sum(value >= at for value in values)] == pytest.approx(expected)


cosines = st.integers(5, 7).flatmap(
    lambda n: st.lists(st.lists(st.integers(-8, 8), min_size=n, max_size=n), min_size=n, max_size=n)
)


@settings(max_examples=60, deadline=None)
@given(cosines, st.integers(1, 4), st.sampled_from([0.5, 0.7, 0.8, 0.9]), st.sampled_from([0.1, 0.3, 0.5]))
def test_thresholds_and_figures_are_what_brute_force_finds(grid: Any, among: int, precision: float, bad: float) -> None:
    values = np.asarray(grid) / 10
    n = len(values)
    found = Cosines(values, among)

    def hard(i: int) -> list[float]:
        """The hard negative of each way to choose some wrong ones, of left and of right sentence i."""
        row = [values[i, j] for j in range(n) if j != i]
        column = [values[j, i] for j in range(n) if j != i]
        return [max(choice) for side in (row, column) for choice in combinations(side, among)]

    negatives = [hard(i) for i in range(n)]
    true = [values[i, i] for i in range(n)]

    def at(value: float) -> tuple[float, float]:
        recall = float(np.mean([one >= value - 1e-9 for one in true]))
        passed = float(np.mean([np.mean([one >= value - 1e-9 for one in some]) for some in negatives]))
        estimate = (1 - bad) * recall / ((1 - bad) * recall + bad * (passed * n + 1) / (n + 1))
        return recall, estimate

    threshold = found.threshold(precision, bad)
    # Between tenths nothing changes but just above one, so these are all the thresholds there are.
    every = sorted({value for tenth in range(-8, 9) for value in (tenth / 10, tenth / 10 + 0.0001)} | {-1.0})
    good = [value for value in every if at(value)[0] > 0 and at(value)[1] >= precision]
    if not good:
        assert threshold is None
    else:
        best = max(at(value)[0] for value in good)
        assert threshold is not None and threshold.recall == pytest.approx(best)
        assert threshold.value == pytest.approx(min(value for value in good if at(value)[0] == best))
        assert (threshold.recall, threshold.precision) == pytest.approx(at(threshold.value))
    wins = [np.mean([(t > one) + (t == one) / 2 for t in true for one in some]) for some in negatives]
    assert found.hard_wins().mean() == pytest.approx(np.mean(wins))
    half = [hard(i)[: len(negatives[i]) // 2] for i in range(n)]
    assert found.retrieval()[0] == pytest.approx([np.mean([true[i] > one for one in half[i]]) for i in range(n)])
    wrong = [values[i, j] for i in range(n) for j in range(n) if i != j]
    assert found.auc_random() == pytest.approx(np.mean([(t > w) + (t == w) / 2 for t in true for w in wrong]))
    mutual = [all(true[i] > values[i, j] and true[i] > values[j, i] for j in range(n) if j != i) for i in range(n)]
    assert found.mutual().tolist() == mutual


def test_the_margin_retrieves_as_its_formula_says() -> None:
    random = np.random.default_rng(5)
    x = unit(random.normal(size=(12, 4)))
    y = unit(x + 0.9 * random.normal(size=(12, 4)))
    values = np.round(x.astype(float) @ y.T.astype(float), 4)

    def margin(i: int, j: int) -> float:
        near = np.sort(values[i])[-4:].mean() + np.sort(values[:, j])[-4:].mean()
        return float(values[i, j] / max(near / 2, 0.05))

    forward = np.mean([max(range(12), key=lambda j: margin(i, j)) != i for i in range(12)])
    backward = np.mean([max(range(12), key=lambda i: margin(i, j)) != j for j in range(12)])
    assert Cosines(values, 5).margin_errors() == pytest.approx((forward, backward))
    assert 0 < forward < 1, "a test that could fail"


def test_cka_sees_through_rotation_and_not_into_noise() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(52, 96))
    rotation, _ = np.linalg.qr(random.normal(size=(96, 96)))
    assert cka(x, 3 * x @ rotation + 1) == pytest.approx((1.0, 1.0))
    plain, unbiased = cka(x, random.normal(size=(52, 96)))
    assert plain > 0.5 and abs(unbiased) < 0.1, "few sentences look alike by plain CKA whatever they are"
    a, b = x - x.mean(axis=0), x[:, :40] - x[:, :40].mean(axis=0)
    expected = np.linalg.norm(a.T @ b) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    assert cka(x, x[:, :40])[0] == pytest.approx(expected)
    assert cka(np.ones((6, 3)), np.ones((6, 3))) == (0.0, 0.0)


def test_figures_hardly_depend_on_how_many_anchors_there_are() -> None:
    random = np.random.default_rng(11)
    x = random.normal(size=(600, 24))
    y = unit(x + 1.2 * random.normal(size=(600, 24)))
    x = unit(x)
    small = [measure(x[at : at + 60], y[at : at + 60], precision=0.95, bad=0.2, among=50) for at in range(0, 600, 60)]
    large = measure(x, y, precision=0.95, bad=0.2, among=50)
    assert np.mean([one.auc_hard for one in small]) == pytest.approx(large.auc_hard, abs=0.01)
    assert np.mean([sum(one.retrieval) for one in small]) == pytest.approx(sum(large.retrieval), abs=0.04)
    assert sum(large.xsim_cosine) > 2 * np.mean([sum(one.xsim_cosine) for one in small]), "which of xsim cannot be said"
    covered = [
        one.recall_interval[0] <= large.threshold.recall <= one.recall_interval[1] for one in small if large.threshold
    ]
    assert sum(covered) >= 8
    with pytest.raises(ValueError, match="five"):
        measure(x[:4], y[:4], precision=0.9, bad=0.2, among=3)


# ------------------------------------------------------------------------------------------------------------- verdicts
@pytest.fixture(scope="module")
def use_calibration() -> Calibration:
    return curate.calibrate(USE, pairs=["en-de", "zh-en", "en-ar", "th-en", "fr-de", "en-hi", "en-yo"])


def test_the_shipped_encoder_is_trusted_where_it_is_at_home(use_calibration: Calibration) -> None:
    verdicts = {name: one.verdict for name, one in use_calibration.pairs.items()}
    assert verdicts == {
        **dict.fromkeys(["en-de", "zh-en", "en-ar", "th-en", "fr-de"], "trusted"),
        "en-hi": "not checked",
        "en-yo": "not checked",
    }
    for one in use_calibration.pairs.values():
        if one.verdict == "trusted":
            assert (
                one.threshold is not None
                and 0.3 < one.threshold < 0.7
                and one.xsim == (0.0, 0.0)
                and (one.mexa or 0) > 0.95
            )
            assert (one.precision or 0) >= 0.98 and (one.cka_unbiased or 0) > 0.5
        else:
            assert one.threshold is None and "does not support" in one.reason and not one.supported
    assert use_calibration.model.startswith("universal-sentence-encoder-multilingual-3@")
    forced = curate.calibrate(USE, pairs=["en-hi"], unsupported=True).pairs["en-hi"]
    assert forced.verdict == "cannot judge" and forced.threshold is None and (forced.mexa or 0) < 0.2


def test_an_encoder_that_knows_nothing_cannot_judge_anything() -> None:
    anchors = shipped_anchors()
    found = calibrate(Planted(anchors, []), "noise@1", anchors)
    assert {one.verdict for one in found.pairs.values()} == {"cannot judge"}
    assert all(
        one.threshold is None and one.auc_hard is not None and one.auc_hard < 0.3 for one in found.pairs.values()
    )


def test_half_the_languages_known_is_half_the_pairs_trusted() -> None:
    whole = shipped_anchors()
    tags = ("am", "de", "en", "hi", "ka", "sw", "th", "zh")
    anchors = Anchors({tag: whole.texts[tag] for tag in tags}, "some")
    knows = tags[:4]
    encoder = Planted(anchors, knows)
    found = calibrate(encoder, "half@1", anchors, pairs=["all"])
    assert len(found.pairs) == len(anchors.languages) * (len(anchors.languages) - 1) // 2
    for name, one in found.pairs.items():
        known = all(tag in knows for tag in split_pair(name))
        assert one.verdict == ("trusted" if known else "cannot judge"), name
    assert len(encoder.encoded) == len(set(encoder.encoded)), "each text is encoded once"
    assert next(iter(found.pairs)).startswith("en-")


def test_noise_makes_a_pair_weak() -> None:
    anchors = shipped_anchors()
    verdicts = []
    for noise in (0.5, 1.0, 1.2, 4.0):
        one = calibrate(Planted(anchors, anchors.languages, noise), "n@1", anchors, pairs=["en-ka"]).pairs["en-ka"]
        verdicts.append(one.verdict)
        assert bool(one.reason) == (one.verdict != "trusted")
    assert verdicts[0] == "trusted" and verdicts[-1] == "cannot judge" and "weak" in verdicts


def test_too_few_anchors_check_nothing() -> None:
    whole = shipped_anchors()
    few = Anchors({tag: dict(list(texts.items())[:29]) for tag, texts in whole.texts.items()}, "few")
    encoder = Planted(whole, whole.languages)
    one = calibrate(encoder, "n@1", few, pairs=["en-sw"]).pairs["en-sw"]
    assert (one.verdict, one.reason, one.anchors) == ("not checked", "29 anchors, and 30 are needed", 29)
    strict = calibrate(encoder, "n@1", whole, pairs=["en-sw"], asked=CalibrationSettings(precision=0.999)).pairs[
        "en-sw"
    ]
    assert strict.verdict == "not checked" and "too few to show a precision of 0.999" in strict.reason
    assert not encoder.encoded


def test_equal_anchors_give_equal_files_whatever_the_order(tmp_path: Path) -> None:
    anchors = shipped_anchors()
    turned = Anchors(
        {tag: dict(reversed(texts.items())) for tag, texts in reversed(anchors.texts.items())},
        anchors.name,
        anchors.license,
        anchors.version,
    )
    encoder = Planted(anchors, anchors.languages, 1.2)
    one, two = (
        calibrate(encoder, "n@1", some, pairs=["en-sw", "de-zh", "ka-am"], asked=CalibrationSettings(most=40))
        for some in (anchors, turned)
    )
    assert one.to_yaml() == two.to_yaml()
    one.write(tmp_path / "deep" / "a.yaml")
    assert read_calibration(tmp_path / "deep" / "a.yaml") == one
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.yaml"]
    other = Anchors({**anchors.texts, "sw": {**anchors.texts["sw"], "boil": "Maji."}}, "other")
    assert other.digest() != anchors.digest()


def test_files_that_are_no_calibration_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    for text, message in [
        ("{", "not valid YAML"),
        ("a: 1", "not a calibration"),
        ("[]", "not a calibration"),
        ("", "not a calibration"),
    ]:
        path.write_text(text)
        with pytest.raises(StepError, match=message):
            read_calibration(path)
    path.write_bytes(b"\xff")
    with pytest.raises(StepError, match="not valid YAML"):
        read_calibration(path)
    with pytest.raises(StepError, match=r"there is no calibration .*curate calibrate"):
        read_calibration(tmp_path / "none.yaml")
    (tmp_path / "file").write_text("")
    with pytest.raises(StepError, match="cannot be written"):
        Calibration.model_validate(
            {
                "model": "a@1",
                "anchors": {"name": "x", "license": "x", "digest": "x", "languages": 2, "sentences": 3},
                "pairs": {},
            }
        ).write(tmp_path / "file" / "b.yaml")


def test_pairs_are_read_in_every_spelling() -> None:
    for text, pair in {
        "en-sw": ("en", "sw"),
        "en-zh-Hant": ("en", "zh-Hant"),
        "zh-Hant-en": ("zh-Hant", "en"),
        "pt-BR-fil": ("pt-BR", "fil"),
        "eng_Latn:swh_Latn": ("en", "sw"),
        "hi-Latn-hi": ("hi-Latn", "hi"),
        "en→th": ("en", "th"),
    }.items():
        assert split_pair(text) == pair
    for text in ("en", "", "en-", "en-xx", "english-german"):
        with pytest.raises(ValueError, match="not a language pair"):
            split_pair(text)
    anchors = shipped_anchors()
    assert choose_pairs(anchors, ["en-sw", "sw-en", "de-fr"]) == [("en", "sw"), ("de", "fr")]
    for pairs, message in [
        (["en-sv"], "no anchors in 'sv'"),
        (["en-en"], "a single language"),
        (["all", "en-de"], "cannot be combined"),
        (["x"], "not a language pair"),
    ]:
        with pytest.raises(StepError, match=message):
            choose_pairs(anchors, pairs)
    with pytest.raises(StepError, match="pivot"):
        choose_pairs(anchors, [], "sv")


# ----------------------------------------------------------------------------------------------------------------- step
def thresholds(model: str = f"{USE}@test", **pairs: Any) -> Thresholds:
    """``en_de=("trusted", 0.5)``"""
    found = {
        name.replace("_", "-"): {"verdict": verdict, "threshold": value, "recall": 0.7}
        for name, (verdict, value) in pairs.items()
    }
    return Thresholds.model_validate({"model": model, "precision": 0.98, "pairs": found})


class Angles:
    """A text ``x.6`` lies at cosine .6 from every ``a``."""

    dimensions = 2
    absolute = True

    def __init__(self, absolute: bool = True) -> None:
        self.absolute = absolute

    def encode(self, texts: Sequence[str]) -> Vectors:
        near = [1.0 if text == "a" else float(text[1:]) for text in texts]
        return np.asarray([[one, np.sqrt(1 - one * one)] for one in near], np.float32)

    def supports(self, language: str) -> bool:
        return language in ("en", "de", "pt", "pt-BR", "zh")


def rows_of(make: Any, *pairs: tuple[str, str]) -> Rows:
    return make(
        Kind.PARALLEL,
        [{"source_language": "en", "language": tag, "source": "a", "target": text} for tag, text in pairs],
    )


def test_each_pair_has_its_own_threshold(make: Any, work_context: Any, decided: Any) -> None:
    context = work_context(models={USE: Angles()})
    rows = rows_of(
        make,
        ("de", "x.6"),
        ("de", "x.55"),
        ("pt-BR", "x.6"),
        ("pt-BR", "x.7"),
        ("sw", "x.4"),
        ("zh", "x.1"),
        ("hi", "x.1"),
    )
    known = thresholds(
        en_de=("trusted", 0.58), pt_en=("weak", 0.65), en_sw=("trusted", 0.3), en_zh=("cannot judge", None)
    )
    step = Similarity(min="calibrated", calibration=known)
    frame = step.score(rows, context, None)
    assert frame["pair"].to_list() == ["en-de", "en-de", "en-pt-BR", "en-pt-BR", "en-sw", "en-zh", "en-hi"]
    assert frame["score"].to_list() == pytest.approx([0.6, 0.55, 0.6, 0.7, 0.4, None, None])
    assert frame["unassessed"].to_list() == [None] * 5 + ["encoder"] * 2
    assert decided(step, rows, context) == [None, "similarity", "similarity", None, None, None, None]
    assert list(frame.columns) == list(step.columns(Kind.PARALLEL))
    assert context.warnings[:3] == [
        f"similarity: by its calibration model '{USE}' is not checked for en-hi: its rows are not assessed",
        f"similarity: by its calibration model '{USE}' is weak for pt-en: about 30% of good pairs are dropped",
        f"similarity: by its calibration model '{USE}' cannot judge en-zh: its rows are not assessed",
    ]
    careful = Similarity(min="calibrated", calibration=known, trust="trusted", unassessed="drop")
    assert decided(careful, rows, context) == [
        None,
        "similarity",
        "unassessed",
        "unassessed",
        None,
        "unassessed",
        "unassessed",
    ]
    with pytest.raises(StepError, match=r"cannot judge en-zh|not checked for en-hi"):
        Similarity(min="calibrated", calibration=known, strict=True).score(rows, context, None)


def test_numbers_and_calibrated_thresholds_stand_side_by_side(make: Any, work_context: Any, decided: Any) -> None:
    context = work_context(models={USE: Angles()})
    known = thresholds(en_de=("trusted", 0.58), en_sw=("trusted", 0.3))
    rows = rows_of(make, ("de", "x.55"), ("zh", "x.55"), ("zh", "x.65"), ("sw", "x.1"), ("pt", "x.1"))
    mixed = Similarity(min={"default": "calibrated", "zh": 0.6, "pt": None}, calibration=known)
    assert decided(mixed, rows, context) == ["similarity", "similarity", None, "similarity", None]
    some = Similarity(min={"de": "calibrated"}, calibration=known)
    assert decided(some, rows, context) == ["similarity", None, None, None, "similarity"], (
        "0.5 elsewhere, and sw is not supported"
    )
    assert some.score(rows, context, None)["unassessed"].to_list() == [None, None, None, "language", None]


def test_other_scripts_and_other_pairs_are_not_answered_for(make: Any, work_context: Any) -> None:
    known = thresholds(en_hi=("trusted", 0.4), en_de=("trusted", 0.4))
    assert known.find("hi", "en") and known.find("en", "de-AT")
    assert known.find("en", "hi-Latn") is None and known.find("de", "hi") is None and known.find("en", "en") is None
    rows = rows_of(make, ("hi-Latn", "x.9"))
    context = work_context(models={USE: Angles()})
    frame = Similarity(min="calibrated", calibration=known).score(rows, context, None)
    assert frame["unassessed"].to_list() == ["encoder"]


def test_calibrated_cosines_need_no_absolute_meaning_but_the_right_model(make: Any, work_context: Any) -> None:
    rows = rows_of(make, ("de", "x.9"))
    relative = work_context(models={USE: Angles(absolute=False)})
    known = thresholds(en_de=("trusted", 0.58))
    assert Similarity(min="calibrated", calibration=known).score(rows, relative, None)["score"].to_list() == [0.9]
    with pytest.raises(StepError, match="no absolute meaning"):
        Similarity(min={"de": "calibrated"}, calibration=known).score(rows, relative, None)
    other = thresholds("another@2", en_de=("trusted", 0.58))
    with pytest.raises(
        StepError,
        match=f"calibration was made for another@2, and model '{USE}' is {USE}@test; .*curate calibrate {USE}",
    ):
        Similarity(min="calibrated", calibration=other).score(rows, relative, None)


def test_what_does_not_go_together_is_an_error(tmp_path: Path) -> None:
    known = thresholds(en_de=("trusted", 0.5))
    for parameters, message in [
        ({"min": "calibrated"}, "needs 'calibration'"),
        ({"calibration": known}, "not used"),
        ({"calibration": known, "min": 0.4}, "not used"),
        ({"calibration": known, "min": "calibrated", "measure": "margin"}, "is a cosine"),
        ({"calibration": str(tmp_path / "none.yaml"), "min": "calibrated"}, "there is no calibration"),
        ({"min": "calibratd"}, "calibrated"),
    ]:
        with pytest.raises(ValidationError, match=message):
            Similarity(**parameters)


def test_only_what_is_judged_is_identity_and_the_path_is_nowhere(tmp_path: Path, use_calibration: Calibration) -> None:
    use_calibration.write(tmp_path / "a.yaml")
    use_calibration.write(tmp_path / "b" / "c.yaml")
    one, two = (Similarity(min="calibrated", calibration=str(tmp_path / path)) for path in ("a.yaml", "b/c.yaml"))
    assert one == two and hash(one.calibration) == hash(two.calibration)
    beside = Similarity.model_validate(
        {"min": "calibrated", "calibration": "c.yaml"}, context={"folder": tmp_path / "b"}
    )
    assert beside == one and "yaml" not in json.dumps(one.model_dump(mode="json"))
    assert Similarity.model_validate(one.model_dump(mode="json")) == one, "a worker needs no file"
    changed = use_calibration.thresholds().model_dump()
    changed["pairs"]["en-de"]["threshold"] += 0.1
    other = Similarity(min="calibrated", calibration=Thresholds.model_validate(changed))
    assert other.identity(decisions=False) == one.identity(decisions=False)
    assert other.decision() != one.decision()
    changed["pairs"]["en-de"].update(verdict="cannot judge", threshold=None)
    less = Similarity(min="calibrated", calibration=Thresholds.model_validate(changed))
    assert less.identity(decisions=False) != one.identity(decisions=False)
    assert "calibrated" not in Similarity().identity()


# ------------------------------------------------------------------------------------------------------ catalog and CLI
GERMAN = [
    ("The dog sleeps by the door.", "Der Hund schläft vor der Tür."), ("We still need milk and eggs.",
    "Wir brauchen noch Milch und Eier."),
    ("School starts again tomorrow.", "Morgen beginnt die Schule wieder."), ("The soup is too salty.",
    "Sein Fahrrad ist kaputt."),
]  # fmt: skip
SWAHILI = [("Good morning, teacher.", "Habari za asubuhi, mwalimu."), ("I want to buy fish.", "Nataka kununua samaki.")]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    for tag, pairs in (("de", GERMAN), ("sw", SWAHILI)):
        (tmp_path / f"{tag}.tsv").write_text("".join(f"{left}\t{right}\n" for left, right in pairs))
    sources = {
        tag: {
            "use": "parallel-tsv",
            "path": f"{tag}.tsv",
            "source_language": "en",
            "target_language": tag,
            "license": "CC0-1.0",
        }
        for tag in ("de", "sw")
    }
    step = {"model": "encoder", "calibration": str(tmp_path / "encoder.yaml"), "min": "calibrated"}
    (tmp_path / "catalog.yaml").write_text(
        yaml.safe_dump(
            {
                "version": 1,
                "models": {"encoder": {"use": USE}},
                "sources": sources,
                "run": {"workers": 1},
                "datasets": {"pairs": {"from": ["de", "sw"], "steps": [{"similarity": step}]}},
            }
        )
    )
    return tmp_path / "catalog.yaml"


def test_a_catalog_acts_on_its_calibration_and_other_thresholds_score_nothing_again(
    catalog: Path, use_calibration: Calibration
) -> None:
    file = catalog.parent / "encoder.yaml"
    with pytest.raises(curate.CatalogError, match=r"catalog.yaml:.*there is no calibration"):
        curate.load_catalog(catalog)
    use_calibration.write(file)
    built = curate.build(catalog)[0]
    assert built.rows == 5
    assert sum("not checked for en-sw: its rows are not assessed" in message for message in built.warnings) == 1
    told = curate.query('SELECT target, reason FROM "pairs".rejected', catalog=catalog)
    assert told.rows() == [("Sein Fahrrad ist kaputt.", "similarity")]
    noted = curate.query("SELECT target, unnest(attributes) AS a FROM pairs ORDER BY target", catalog=catalog)
    said = {(row["target"], row["a"]["name"]): row["a"]["value"] for row in noted.to_dicts()}
    assert said["Nataka kununua samaki.", "similarity.unassessed"] == "encoder"
    assert said["Der Hund schläft vor der Tür.", "similarity.pair"] == "en-de"

    # Another place, the same content: nothing to do.
    moved = catalog.parent / "moved.yaml"
    file.rename(moved)
    catalog.write_text(catalog.read_text().replace("/encoder.yaml", "/moved.yaml"))
    assert not curate.build(catalog)[0].changed
    # Other thresholds: decided again, no text encoded.
    data = yaml.safe_load(moved.read_text())
    data["pairs"]["en-de"]["threshold"] = 0.99
    moved.write_text(yaml.safe_dump(data))
    plan = str(curate.plan(catalog))
    assert "scores are cached, no model call" in plan and "en-de.threshold" in plan and "rows to score" not in plan
    assert curate.build(catalog)[0].rows == 2
    # Another encoder's file.
    data["model"] = "another@1"
    moved.write_text(yaml.safe_dump(data))
    with pytest.raises(curate.BuildError, match="calibration was made for another@1"):
        curate.build(catalog)


def test_the_command_prints_writes_and_explains(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["calibrate", *arguments])
        assert result.exit_code == code, result.output
        return result

    shown = run(USE, "--pairs", "en-de,hi-en", "--out", "c/x.yaml").output
    assert "en-de  trusted" in shown and "1 trusted, 1 not checked" in shown and "does not support hi" in shown
    assert read_calibration(tmp_path / "c" / "x.yaml").pairs["en-de"].verdict == "trusted"
    told = json.loads(run(USE, "--pairs", "en-de", "--json").stdout)
    assert told["pairs"]["en-de"]["verdict"] == "trusted" and told["anchors"]["license"] == "CC0-1.0"
    assert "did you mean 'use-multilingual'" in run("use-multilingul", code=1).output
    assert "not a sentence encoder" in run("fasttext", code=1).output
    assert "precision" in run(USE, "--precision", "2", code=1).output
    assert "there are no anchors at" in run(USE, "--anchors", "nowhere", code=1).output
    Path("catalog.yaml").write_text("version: 1\nmodels: {mine: {use: use-multilingual, languages: [ca]}}\n")
    anchors = shipped_anchors()
    Path("own.tsv").write_text(
        "en\tde\n"
        + "".join(f"{a}\t{b}\n" for a, b in zip(texts_of(anchors, "en"), texts_of(anchors, "de"), strict=True))
    )
    assert (
        "own.tsv (52 sentences, 2 languages, CC0-1.0)"
        in run("mine", "--anchors", "own.tsv", "--license", "CC0-1.0").output
    )
