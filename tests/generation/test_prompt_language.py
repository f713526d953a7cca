"""Steps that make rows say where the prompt is in another language than the answer, as far as they know it."""

from __future__ import annotations

import pytest

from curate.generation.code_switch.step import CodeSwitch
from curate.generation.converse import Converse
from curate.generation.redact import Redact
from curate.generation.respond.step import Respond
from curate.generation.rewrite.step import Rewrite
from curate.generation.translate.step import Translate
from curate.preferences.judge.rendering import contents
from curate.rows import Kind


class Shouting:
    """A translator of sentences."""

    longest = 200

    def __init__(self):
        self.pairs = set()

    def supports(self, source, target):
        return True

    def translate(self, sentences, source, target, done=None):
        self.pairs.add((source, target))
        return [f"{target} {sentence}" for sentence in sentences]

    def maker(self, source, target):
        return "shouting@1"


ROW = ("user: Ninaweza kupika wali vipi? ann@kupika.co.ke", "assistant: Chemsha maji kwanza.")


def both(row):
    return row["language"], row.get("prompt_language")


@pytest.fixture
def rows(make, turns):
    def build(**more):
        return make(Kind.SFT, [{"messages": turns(*ROW), "language": "sw", **more}])

    return build


@pytest.mark.parametrize(
    ("fields", "said", "source", "expected"),
    [
        (None, None, "sw", ("hi", None)),
        (["response"], None, "sw", ("hi", "sw")),
        (["prompt"], None, "sw", ("sw", "hi")),
        (["prompt"], "en", "en", ("sw", "hi")),
        (["response"], "hi", "sw", ("hi", None)),
        (["system", "response"], "en", "sw", ("hi", "en")),
    ],
)
def test_translation_of_one_side(rows, bench, gathered, fields, said, source, expected):
    model = Shouting()
    step = Translate(to=["hi"], model="mt", fields=fields, keep_original=False, checks=[])
    made, bad = gathered(Kind.SFT, step.make(rows(prompt_language=said), bench({"mt": model})))
    assert not bad and [both(row) for row in made] == [expected] and model.pairs == {(source, "hi")}


def test_sides_in_two_languages_are_not_translated_as_one(rows, bench, gathered):
    step = Translate(to=["hi"], model="mt", keep_original=False, checks=[])
    made, bad = gathered(Kind.SFT, step.make(rows(prompt_language="en"), bench({"mt": Shouting()})))
    assert not made and [one.reason for one in bad] == [
        "its prompt is in en and its answer in sw: translate one side at a time ('fields')"
    ]
    step = Translate(to=["hi"], model="mt", source="sw", keep_original=False, checks=[])
    ((row,), bad) = gathered(Kind.SFT, step.make(rows(prompt_language="en"), bench({"mt": Shouting()})))
    assert both(row) == ("hi", None) and not bad


def test_an_answer_in_another_language(rows, bench, scripted, gathered):
    model = scripted(lambda request: "Koche zuerst Wasser.")
    made, _ = gathered(Kind.SFT, Respond(model="m", language=("sw", "de")).make(rows(), bench({"m": model})))
    assert [both(row) for row in made] == [("sw", None), ("de", "sw")]
    # The prompt's language, not the row's, says whether the model must be told which one to answer in.
    asked = rows(prompt_language="de")
    made, _ = gathered(Kind.SFT, Respond(model="m", language="de").make(asked, bench({"m": model})))
    assert both(made[0]) == ("de", None) and len(model.requests[-1].messages) == 1


def test_code_switching_by_the_words_of_each_side(make, turns, bench, gathered):
    words = make(
        Kind.PARALLEL,
        [
            {"source_language": "en", "source": one, "language": "hi", "target": other}
            for one, other in (("big", "बड़ा"), ("house", "घर"), ("book", "किताब"))
        ],
    )
    rows = make(Kind.SFT, [{"messages": turns("user: Big house, book", "assistant: House book."), "language": "en"}])
    for fields, expected in ((["prompt"], ("en", "hi")), (["response"], ("hi", "en")), ("all", ("hi", None))):
        step = CodeSwitch(to="hi", table="words", ratio=1.0, fields=fields, least=0)
        ((row,), _) = gathered(Kind.SFT, step.make(rows, bench(rows={"words": [words]})))
        assert both(row) == expected, fields


def test_romanised_prompts(make, turns, bench, gathered):
    pytest.importorskip("indic_transliteration")
    from curate.generation.romanise.step import Romanise

    native = {"messages": turns("user: घर बड़ा है", "assistant: किताब अच्छी है"), "language": "hi"}
    english = {"messages": turns("user: Is the house big?", "assistant: घर बड़ा है"), "language": "hi"}
    rows = make(Kind.SFT, [native, {**english, "prompt_language": "en"}])
    for fields, expected in (
        (["prompt"], [("hi", "hi-Latn")]),
        (["response"], [("hi-Latn", "hi"), ("hi-Latn", "en")]),
        (None, [("hi-Latn", None), ("hi-Latn", "en")]),
    ):
        made, bad = gathered(Kind.SFT, Romanise(fields=fields, keep_original=False).make(rows, bench()))
        changed = [both(row) for row in made if row["lineage"]["parents"]]
        assert not bad and changed == expected, fields


def test_steps_that_keep_the_prompt_keep_its_language_and_new_prompts_have_their_own(
    rows, make, turns, bench, scripted, gathered
):
    given = rows(prompt_language="en")
    ((row,), _) = gathered(Kind.SFT, Redact(fields=["prompt"]).make(given, bench()))
    assert both(row) == ("sw", "en") and "ann@" not in row["messages"][0]["content"]
    model = scripted(lambda request: "Wie kocht man Reis?")
    ((row,), _) = gathered(Kind.SFT, Rewrite(model="m", prompt="{prompt}", field="prompt", language="de").make(
        given, bench({"m": model})
    ))  # fmt: skip
    assert both(row) == ("de", None)
    talk = Converse(user="m", assistant="m", user_language="en", rounds=1, start="user")
    ((row,), _) = gathered(Kind.SFT, talk.make(rows(), bench({"m": model})))
    assert both(row) == ("sw", "en")


def test_a_judge_is_told_both_languages(rows):
    ((_, _, language, asked),) = contents(rows(prompt_language="en"))
    assert (language, asked) == ("sw", "en")
