"""Pair quality: good translations stay, each kind of damage is dropped for its reason, and what cannot be assessed is
said so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import curate
from curate.catalog.params import Mark
from curate.rows import Kind
from curate.steps import Rows, StepError
from curate.steps.models import Alignment, Identified
from filters.translation_quality import alignment as pair_align
from filters.translation_quality.features import Findings
from filters.translation_quality.step import TranslationQuality

GOOD = [
    ("en", "de", "The shop opens at 9:30 on Saturdays.", "Der Laden öffnet samstags um 9.30 Uhr."),
    ("en", "zh", "Two boys carried 15 heavy boxes up the stairs.", "两个男孩把15个沉重的箱子搬上了楼梯。"),
    ("en", "ar", "My grandmother bakes bread every morning.", "جدتي تخبز الخبز كل صباح."),
    ("en", "hi", "The train to the village does not stop here.", "गाँव जाने वाली रेलगाड़ी यहाँ नहीं रुकती।"),
    ("en", "th", "The fish in this river are very large.", "ปลาในแม่น้ำสายนี้ตัวใหญ่มาก"),
    ("ru", "en", "Библиотека закрыта по понедельникам.", "The library is closed on Mondays."),
    ("ja", "en", "彼は毎朝公園を走る。", "He runs in the park every morning."),
    ("en", "sw", "The children are playing outside the house.", "Watoto wanacheza nje ya nyumba."),
    ("en", "ko", "Please close the door behind you.", "나가실 때 문을 닫아 주세요."),
    ("en", "tr", "Her brother works in a small bakery.", "Erkek kardeşi küçük bir fırında çalışıyor."),
]  # fmt: skip


def parallel(make: Any, pairs: Sequence[tuple[str, str, str, str]]) -> Rows:
    return make(
        Kind.PARALLEL,
        [
            {"source_language": one, "language": other, "source": source, "target": target}
            for one, other, source, target in pairs
        ],
    )


def test_good_translations_stay_in_every_script(make: Any, decided: Any, context: Any) -> None:
    assert decided(TranslationQuality(), parallel(make, GOOD), context) == [None] * len(GOOD)


@pytest.mark.parametrize(
    ("reason", "target"),
    [
        ("commentary", "Sicher! Hier ist die Übersetzung: Der alte Mann hat 12 Ziegen und wohnt am Fluss."),
        ("encoding", "Der alte Mann hat 12 Ziegen und wohnt am FluÃŸ."),
        ("copied", "The old man has 12 goats and lives by the river."),
        ("omission", "Der."),
        (
            "loop",
            "Der alte Mann hat 12 Ziegen und wohnt am Fluss am Fluss am Fluss am Fluss am Fluss am Fluss am Fluss am "
            "Fluss.",
        ),
        ("omission", ""),
        (
            "left",
            "The old man has 12 goats and lives by the river. Das heißt: Der alte Mann hat also 12 Ziegen und wohnt "
            "am Fluss, wo er immer gern war.",
        ),
        ("script", "Старик держит 12 коз и живёт у реки."),
        ("translation_quality", "Der alte Mann hat 17 Ziegen und wohnt am Fluss."),
        ("translation_quality", "Der alte Mann hat 12"),
    ],
)
def test_each_kind_of_damage_is_dropped_for_its_reason(
    make: Any, decided: Any, context: Any, reason: str, target: str
) -> None:
    source = "The old man has 12 goats and lives by the river."
    good = "Der alte Mann hat 12 Ziegen und wohnt am Fluss."
    assert decided(
        TranslationQuality(), parallel(make, [("en", "de", source, good), ("en", "de", source, target)]), context
    ) == [None, reason]


def test_every_check_can_be_left_out_and_has_a_column_of_its_own(make: Any, context: Any) -> None:
    rows = parallel(make, [("en", "de", "He has 3 dogs and no {name}.", "Er hat 4 {x} Hunde und")])
    whole = TranslationQuality().score(rows, context, None)
    assert list(whole.columns) == list(TranslationQuality().columns(Kind.PARALLEL))
    assert (
        whole["numbers"][0] == 1
        and whole["placeholders"][0] == 0
        and whole["negation"][0] == 1
        and whole["ending"][0] == 0
    )
    for check, columns in {
        "numbers": ["numbers"],
        "placeholders": ["placeholders"],
        "negation": ["negation"],
        "copied": ["copied", "left"],
        "repetition": ["loop", "repetition"],
        "length": ["length"],
    }.items():
        only = TranslationQuality(checks=(check,)).score(rows, context, None)
        told = {name for name in only.columns if only[name][0] is not None} - {"form", "evidence", "unassessed"}
        assert told == set(columns), check
        without = TranslationQuality(checks=tuple(one for one in TranslationQuality().checks if one != check)).score(
            rows, context, None
        )
        assert all(without[name][0] is None for name in columns)
        assert without["form"][0] >= whole["form"][0]


def test_a_changed_threshold_is_a_decision_and_may_differ_by_language(make: Any, decided: Any, context: Any) -> None:
    assert {
        name
        for name in TranslationQuality.model_fields
        if name.startswith(("min_", "max_")) and name not in ("max_chars", "min_pool")
    } <= TranslationQuality.marked(Mark.DECISION)
    assert "min" in TranslationQuality.marked(Mark.DECISION) and "checks" not in TranslationQuality.marked(
        Mark.DECISION
    )
    rows = parallel(
        make, [("en", "de", "I have 4 cats.", "Ich habe 5 Katzen."), ("en", "fr", "I have 4 cats.", "J'ai 5 chats.")]
    )
    assert decided(TranslationQuality(min=None), rows, context) == [None, None]
    assert decided(TranslationQuality(min=None, max_numbers={"de": 0}), rows, context) == ["numbers", None]
    assert decided(TranslationQuality(min={"default": 0.999, "fr": None}), rows, context) == [
        "translation_quality",
        None,
    ]


def test_the_evidence_says_what_was_found(make: Any, context: Any) -> None:
    frame = TranslationQuality().score(
        parallel(make, [("en", "de", "I have 4 cats.", "Ich habe 5 Katzen."), GOOD[2]]), context, None
    )
    assert "numbers: 4 / 5" in frame["evidence"][0]
    assert frame["evidence"][1] is None


def chat(tag: str, prompt: str, response: str, **more: Any) -> dict[str, Any]:
    return {
        "language": tag,
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}],
        **more,
    }


def test_rows_are_compared_with_their_parents_field_by_field_and_the_worst_counts(
    make: Any, decided: Any, work_context: Any
) -> None:
    parents = make(
        Kind.SFT,
        [
            chat("en", "How many legs do 3 dogs have together?", "Three dogs have 12 legs together."),
            chat("en", "Name a river.", "The Danube is a river."),
        ],
    )
    one, two = parents.ids.to_list()
    rows = make(
        Kind.SFT,
        [
            chat("de", "Wie viele Beine haben 3 Hunde zusammen?", "Drei Hunde haben zusammen 12 Beine.", parents=[one]),
            chat("de", "Wie viele Beine haben 3 Hunde zusammen?", "Drei Hunde haben zusammen 14 Beine.", parents=[one]),
            chat("de", "Name a river.", "Die Donau ist ein Fluss.", parents=[two]),
            chat("de", "Nenne einen Fluss.", "Kein Elternteil."),
        ],
    )
    context = work_context(parents=parents)
    assert decided(TranslationQuality(), rows, context) == [None, "translation_quality", "copied", None]
    assert decided(TranslationQuality(fields=("prompt",)), rows, context) == [None, None, "copied", None]
    frame = TranslationQuality().score(rows, context, None)
    assert frame["form"][3] is None and frame["length"][3] is None
    assert frame["score"].null_count() == 4


def test_a_language_without_a_list_is_not_assessed_and_said_so(make: Any, decided: Any, context: Any) -> None:
    rows = parallel(
        make,
        [
            ("en", "sw", "The door is not open.", "Mlango uko wazi."),
            ("en", "de", "The door is open.", "Die Tür ist offen."),
        ],
    )
    frame = TranslationQuality().score(rows, context, None)
    assert frame["negation"].to_list() == [None, 0.0]
    assert frame["unassessed"].to_list() == ["negation", None]
    told = "translation_quality: the list of negations does not support 'sw': its texts are not assessed by it"
    assert context.warnings == [told]
    assert decided(TranslationQuality(), rows, context) == [None, None]
    assert decided(TranslationQuality(require=("negation",)), rows, context) == ["unassessed", None]


def test_capitals_are_neither_names_nor_code(make: Any, decided: Any, context: Any) -> None:
    shouted = [(one, other, source.upper(), target.upper()) for one, other, source, target in GOOD]
    half = [(one, other, source.upper(), target) for one, other, source, target in GOOD]
    assert decided(TranslationQuality(), parallel(make, [*shouted, *half]), context) == [None] * 2 * len(GOOD)
    plain = TranslationQuality().score(parallel(make, GOOD), context, None)
    for given in (shouted, half):
        frame = TranslationQuality().score(parallel(make, given), context, None)
        assert frame["names"].to_list() == plain["names"].to_list()
    wrong = [("en", "de", "I HAVE 4 CATS.", "ICH HABE 5 KATZEN."), ("en", "de", GOOD[0][2].upper(), GOOD[0][2].upper())]
    assert decided(TranslationQuality(), parallel(make, wrong), context) == ["translation_quality", "copied"]


def test_an_encoder_reads_capitals_as_small_letters(make: Any, work_context: Any) -> None:
    context = work_context(models={"sense": Vectors({"the garden": (1, 0, 0), "der garten": (1, 0, 0)})})
    rows = parallel(make, [("en", "de", "THE GARDEN IS OLD.", "DER GARTEN IST ALT.")])
    assert TranslationQuality(encoder="sense").score(rows, context, None)["similarity"].to_list() == [1.0]


def test_a_negation_is_evidence_and_drops_by_itself_only_if_asked(make: Any, decided: Any, context: Any) -> None:
    source = "He came home late. It did not rain. The dog slept by the fire. We ate soup and bread."
    target = "Er kam spät heim. Es blieb trocken. Der Hund schlief am Feuer. Wir aßen Suppe und Brot."
    rows = parallel(make, [("en", "de", source, target)])
    frame = TranslationQuality().score(rows, context, None)
    assert frame["negation"][0] == 0.25 and "negation" in frame["evidence"][0]
    assert frame["form"][0] < TranslationQuality(checks=("length",)).score(rows, context, None)["form"][0]
    assert decided(TranslationQuality(), rows, context) == [None]
    assert decided(TranslationQuality(max_negation=0.08), rows, context) == ["negation"]


def test_a_row_whose_meaning_nothing_compared_is_not_assessed(make: Any, decided: Any, work_context: Any) -> None:
    unrelated = [
        ("en", "de", "The shop opens at nine on Saturdays.", "Der Hund schläft gern auf dem Sofa."),
        ("en", "hi", "The children are playing outside.", "मेरी दादी हर सुबह रोटी बनाती हैं।"),
        ("en", "zh", "He runs in the park every morning.", "这条河里的鱼非常大，很多人来看。"),
        ("en", "th", "Please close the door behind you.", "ปลาในแม่น้ำสายนี้ตัวใหญ่มาก"),
        ("en", "ar", "The library is closed on Mondays.", "جدتي تخبز الخبز كل صباح."),
    ]
    rows = parallel(make, unrelated)
    context = work_context(models={"sense": Vectors({})})
    plain = TranslationQuality().score(rows, context, None)
    assert plain["score"].null_count() == 5 and plain["form"].min() > 0.5
    assert decided(TranslationQuality(), rows, context) == [None] * 5
    assert decided(TranslationQuality(unassessed="drop"), rows, context) == ["unassessed"] * 5
    frame = TranslationQuality(encoder="sense").score(rows, context, None)
    assert (
        frame["score"].is_null().to_list() == frame["form"].is_not_null().to_list() == [False, True, True, True, True]
    )
    assert decided(TranslationQuality(encoder="sense", unassessed="drop"), rows, context)[1:] == ["unassessed"] * 4
    # What is wrong for another reason is dropped for that reason, whatever is not assessed.
    changed = parallel(make, [("en", "de", "I have 4 cats.", "Ich habe 5 Katzen.")])
    assert decided(TranslationQuality(unassessed="drop"), changed, context) == ["translation_quality"]


@pytest.mark.parametrize(
    ("scores", "forms", "row"),
    [
        ((0.9, 0.2), (None, None), (0.2, None)),
        ((0.9, None), (None, 0.8), (None, 0.8)),
        ((0.1, None), (None, 0.8), (None, 0.1)),
        ((0.9, None), (None, None), (0.9, None)),
        ((None, None), (None, None), (None, None)),
    ],
)
def test_one_field_without_meaning_leaves_the_row_without_a_score(scores: Any, forms: Any, row: Any) -> None:
    fields = [
        Findings(
            {name: np.asarray([np.nan if one is None else one]) for name, one in (("score", score), ("form", form))},
            {"evidence": [str(number)], "unassessed": [None]},
        )
        for number, (score, form) in enumerate(zip(scores, forms, strict=True))
    ]
    frame = TranslationQuality()._frame(fields, 1)
    assert frame.select("score", "form").row(0) == row
    worst = (
        min((one, str(number)) for number, pair in enumerate(zip(scores, forms, strict=True)) for one in pair if one)
        if any(row)
        else (0, "0")
    )
    assert frame["evidence"][0] == worst[1]


class Vectors:
    """An encoder that knows a few texts."""

    dimensions = 3
    absolute = True

    def __init__(self, vectors: dict[str, Sequence[float]]) -> None:
        self.vectors = vectors

    def encode(self, texts: Sequence[str]) -> Any:
        found = np.asarray(
            [
                next((vector for start, vector in self.vectors.items() if text.startswith(start)), (0, 0, 1))
                for text in texts
            ],
            np.float32,
        )
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def supports(self, language: str) -> bool:
        return language in ("en", "de")


def test_an_encoder_sees_the_wrong_row_and_the_sentence_that_is_missing(
    make: Any, decided: Any, work_context: Any
) -> None:
    encoder = Vectors({"The garden": (1, 0, 0), "Der Garten": (1, 0, 0), "It rained": (0, 1, 0), "Es hat": (0, 1, 0)})
    context = work_context(models={"sense": encoder})
    source = "The garden behind our house is green. It rained for a whole week in May."
    rows = parallel(
        make,
        [
            ("en", "de", source, "Der Garten hinter unserem Haus ist grün. Es hat im Mai eine ganze Woche geregnet."),
            (
                "en",
                "de",
                source,
                "Der Garten hinter unserem Haus ist grün. Die Katze schläft seit Tagen auf dem warmen Ofen.",
            ),
            ("en", "de", "The garden is very old.", "Morgen kommt mein Onkel."),
            ("en", "sw", source, "Bustani ni ya kijani. Mvua ilinyesha wiki nzima."),
        ],
    )
    step = TranslationQuality(encoder="sense", min_coverage=0.3)
    frame = step.score(rows, context, None)
    assert frame["coverage"][0] == 1 and frame["coverage"][1] < 0.2
    assert frame["similarity"].to_list()[2:] == [0.0, None]
    assert decided(step, rows, context)[1:3] == ["coverage", "translation_quality"]
    assert "similarity" in frame["unassessed"][3]
    with pytest.raises(StepError, match="'sw'"):
        TranslationQuality(encoder="sense", strict=True).score(rows, context, None)
    encoder.absolute = False
    with pytest.raises(StepError, match="absolute"):
        step.score(rows, context, None)


class Names:
    """An identifier that goes by one word."""

    def identify(self, texts: Sequence[str], k: int = 1) -> Identified:
        return Identified([["de" if " und " in text else "nl"] for text in texts], [[0.99] for _ in texts])

    def supports(self, language: str) -> bool:
        return language == "de"


def test_an_identifier_is_asked_for_the_target_only(make: Any, decided: Any, work_context: Any) -> None:
    context = work_context(models={"who": Names()})
    rows = parallel(
        make,
        [
            ("en", "de", "The dog and the cat sleep in the kitchen.", "Der Hund und die Katze schlafen in der Küche."),
            ("en", "de", "The dog and the cat sleep in the kitchen.", "De hond en de kat slapen in de keuken, ja."),
        ],
    )
    step = TranslationQuality(identifier="who")
    assert decided(step, rows, context) == [None, "language"]
    assert step.score(rows, context, None)["identified"].to_list() == [0.99, 0.0]


# ------------------------------------------------------------------------------------------------------------ alignment
WORDS = {
    "dog": "koira",
    "cat": "kissa",
    "house": "talo",
    "river": "joki",
    "mother": "äiti",
    "red": "punainen",
    "old": "vanha",
    "sees": "näkee",
    "eats": "syö",
    "bread": "leipää",
    "fish": "kalaa",
    "boy": "poika",
}


class ByPlace:
    """An aligner that links the words at the same places, and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def align(self, sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]]) -> list[Alignment]:
        self.calls += 1
        return [
            Alignment(
                links := tuple((at, at) for at in range(min(len(one), len(other)))), (1.0,) * len(links), -1.0, -1.0
            )
            for one, other in zip(sources, targets, strict=True)
        ]


def corpus(count: int) -> list[tuple[str, str, str, str]]:
    chance = np.random.default_rng(4)
    found = []
    for _ in range(count):
        words = chance.choice(sorted(WORDS), 5).tolist()
        found.append(("en", "fi", " ".join(words), " ".join(WORDS[word] for word in words)))
    return found


def test_word_translations_are_learnt_once_and_tell_right_rows_from_wrong_ones(make: Any, work_context: Any) -> None:
    aligner = ByPlace()
    context = work_context(models={"words": aligner})
    step = TranslationQuality(checks=("alignment",), aligner="words", min_pool=50, min_alignment=0.5)
    pairs = corpus(300)
    rows = parallel(make, pairs)
    fitted = step.fit(
        [
            step.sample(rows.take([at < 150 for at in range(300)]), context),
            step.sample(rows.take([at >= 150 for at in range(300)]), context),
        ],
        context,
    )
    assert aligner.calls == 2  # one for each half
    right = step.score(rows, context, fitted)["alignment"]
    wrong = step.score(
        parallel(
            make, [(one, other, source, pairs[(at + 1) % 300][3]) for at, (one, other, source, _) in enumerate(pairs)]
        ),
        context,
        fitted,
    )["alignment"]
    assert right.min() > 0.75
    assert wrong.mean() < right.mean() - 0.2


def test_no_row_vouches_for_itself_and_shards_change_nothing(make: Any, work_context: Any) -> None:
    context = work_context(models={"words": ByPlace()})
    step = TranslationQuality(checks=("alignment",), aligner="words", min_pool=50)
    # Three rows say the same nonsense together: they would teach each other, if they were judged by what they taught.
    pairs = corpus(300)
    rows = parallel(make, pairs)
    one = step.fit([step.sample(rows, context)], context)
    parts = [step.sample(rows.take([at % 3 == part for at in range(300)]), context) for part in (2, 0, 1)]
    other = step.fit(parts, context)
    assert one.equals(other)
    frame = step.score(rows, context, one)
    assert [
        step.score(Rows(rows.kind, rows.table.slice(at, 1)), context, one)["alignment"][0] for at in (0, 7, 33)
    ] == [frame["alignment"][at] for at in (0, 7, 33)]
    halves = [pair_align.half(row) for row in rows.ids]
    assert 0.35 < np.mean(halves) < 0.65


def test_too_few_rows_teach_nothing_and_a_word_table_stands_in(make: Any, work_context: Any) -> None:
    entries = make(
        Kind.PARALLEL,
        [{"source_language": "en", "language": "fi", "source": left, "target": right} for left, right in WORDS.items()],
    )
    context = work_context(models={"words": ByPlace()})
    context.rows = lambda name: iter([entries])
    few = parallel(
        make,
        [
            *corpus(10),
            ("en", "fi", "dog cat house river", "joki talo kissa koira"),
            ("en", "fi", "dog cat house river", "leipää kalaa poika äiti"),
        ],
    )
    poor = TranslationQuality(checks=("alignment",), aligner="words")
    found = poor.score(few, context, poor.fit([poor.sample(few, context)], context))
    assert found["alignment"].null_count() == 12
    assert set(found["unassessed"].to_list()) == {"alignment"}
    assert any("too few" in warning for warning in context.warnings)
    step = TranslationQuality(checks=("alignment",), table="dictionary")
    frame = step.score(few, context, step.fit([step.sample(few, context)], context))
    assert frame["alignment"][10] > 0.8 and frame["alignment"][11] < 0.3


def test_a_table_of_other_rows_is_refused(make: Any, work_context: Any) -> None:
    context = work_context()
    context.rows = lambda name: iter([make(Kind.DOCUMENT, [{"language": "en", "text": "dog"}])])
    step = TranslationQuality(table="documents")
    with pytest.raises(StepError, match="not a lexicon"):
        step.fit([], context)


@pytest.mark.parametrize(
    "text",
    ["the old house", "老房子很旧", "บ้านเก่าหลังใหญ่", "오래된 집", "古い家はとても大きい", "البيت القديم", "पुराना घर"],
)
def test_every_script_has_units_to_align(text: str) -> None:
    assert len(pair_align.units(text)) >= 2


def test_the_real_aligner_learns_from_its_sample(make: Any, context: Any) -> None:
    pytest.importorskip("systran_align")
    step = TranslationQuality(checks=("alignment",), aligner="systran-align", min_pool=100)
    pairs = corpus(400)
    rows = parallel(make, pairs)
    fitted = step.fit([step.sample(rows, context)], context)
    right = step.score(rows, context, fitted)["alignment"].mean()
    wrong = step.score(
        parallel(make, [(one, other, source, pairs[at - 1][3]) for at, (one, other, source, _) in enumerate(pairs)]),
        context,
        fitted,
    )["alignment"].mean()
    assert right > wrong + 0.15


# ---------------------------------------------------------------------------------------------------------------- edges
def test_empty_rows_nulls_and_no_rows_are_borne(make: Any, decided: Any, context: Any) -> None:
    assert TranslationQuality().score(parallel(make, []), context, None).height == 0
    rows = parallel(
        make,
        [
            ("en", "de", "", ""),
            ("en", "de", "   ", "\u200b"),
            ("en", "de", "Hello there.", ""),
            ("en", "de", "", "Hallo."),
            ("und", "und", "x", "y"),
            ("en", "de", "A" * 30_000, "B" * 30_000),
        ],
    )
    frame = TranslationQuality().score(rows, context, None)
    assert frame["form"].to_list()[:2] == [None, None] and frame["score"].null_count() == 6
    assert decided(TranslationQuality(), rows, context)[:3] == [None, None, "omission"]


def test_wrong_parameters_are_told(make: Any) -> None:
    with pytest.raises(ValidationError, match="does not contain"):
        TranslationQuality(checks=("length",), encoder="use-multilingual")
    with pytest.raises(ValidationError):
        TranslationQuality(checks=())
    with pytest.raises(ValidationError):
        TranslationQuality(checks=("lenght",))
    assert "parallel" in TranslationQuality(between="sides").check(Kind.SFT)[0]
    assert "prompt" in TranslationQuality(fields=("promt",)).check(Kind.SFT)[0]
    assert TranslationQuality(fields=("source",)).check(Kind.PARALLEL) == ["fields: does not apply to pairs; remove it"]


def test_a_catalog_with_both_steps_builds_and_a_changed_threshold_scores_nothing_again(tmp_path: Path) -> None:
    nouns = [
        "Haus:house",
        "Hund:dog",
        "Fluss:river",
        "Garten:garden",
        "Zug:train",
        "Brief:letter",
        "Vogel:bird",
        "Tisch:table",
    ]
    lines = []
    for at in range(64):
        (german, english), (other, another) = nouns[at % 8].split(":"), nouns[(at // 8 + 3) % 8].split(":")
        lines.append(
            f"The {english} and the {another} cost {at + 20} coins in the old shop.\tDer Preis für {german} und "
            f"{other} im alten Laden ist {at + 20} Münzen."
        )
    lines[5] = lines[5].split("\t")[0] + "\t" + lines[5].split("\t")[0]
    lines[9] = lines[9].replace("29 Münzen", "72 Münzen")
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    catalog = """
version: 1
sources:
  shop: {use: parallel-tsv, path: pairs.tsv, source_language: en, target_language: de, license: CC0-1.0}
datasets:
  good:
    from: shop
    steps:
      - misalignment
      - translation_quality: {min: MIN}
"""
    (tmp_path / "catalog.yaml").write_text(catalog.replace("MIN", "0.5"))
    built = curate.build(tmp_path / "catalog.yaml")[0]
    assert built.rows == 62
    rejected = curate.query("select reason, source from good.rejected order by reason", store=tmp_path / ".curate")
    assert [reason.rpartition(".")[2].rpartition(":")[2] for reason in rejected["reason"]] == [
        "copied",
        "translation_quality",
    ]
    assert "29 coins" in rejected["source"][1]
    (tmp_path / "catalog.yaml").write_text(catalog.replace("MIN", "0"))
    assert curate.build(tmp_path / "catalog.yaml")[0].rows == 63
