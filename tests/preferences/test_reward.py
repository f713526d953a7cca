"""Rewards: scores by a model written by hand, translated first where asked for, and a whole build with a real tiny
network."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

import curate
from curate.errors import StepError
from curate.preferences.reward import Reward
from curate.rows import Kind

_spec = importlib.util.spec_from_file_location(
    "reward_networks", Path(__file__).parents[1] / "models" / "test_reward.py"
)
networks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(networks)


class Lengths:
    """Likes long answers, and knows some languages."""

    def __init__(self, *languages: str) -> None:
        self.languages, self.seen = languages, []

    def score(self, conversations, done=None):
        self.seen += [list(one) for one in conversations]
        return np.array([np.nan if "endless" in one[-1][1] else len(one[-1][1]) for one in conversations], np.float32)

    def supports(self, language: str) -> bool:
        return not self.languages or language in self.languages


class Upper:
    """Translates German into capitals."""

    longest = 500

    def supports(self, source: str, target: str) -> bool:
        return (source, target) == ("de", "en")

    def translate(self, sentences, source, target, done=None):
        return [text.upper() for text in sentences]

    def maker(self, source: str, target: str) -> str:
        return f"upper@1 {source}-{target}"


@pytest.fixture
def sft(make, turns):
    return lambda *given: make(
        Kind.SFT, [{"messages": turns(*spoken), "language": language} for language, *spoken in given]
    )


def reasons(step, rows, frame):
    told = frame.with_columns(language=rows.language)
    expression = pl.lit(None, dtype=pl.String)
    for reason, test in reversed(step.drop_rules(rows.kind).items()):
        expression = pl.when(test).then(pl.lit(reason)).otherwise(expression)
    return told.select(reason=expression)["reason"].to_list()


def test_each_answer_is_scored_with_all_that_comes_before_it(bench, sft):
    model = Lengths()
    rows = sft(
        ("en", "system: short", "user: hi", "assistant: hello"),
        ("ja", "user: やあ", "assistant: こんにちは", "user: え", "assistant: はい"),
    )
    step = Reward(model="rm", min={"default": 3.0, "ja": 1.0})
    frame = step.score(rows, bench({"rm": model}), None)
    assert frame["score"].to_list() == [5.0, 2.0] and frame["unassessed"].to_list() == [None, None]
    assert [len(one) for one in model.seen] == [3, 4] and model.seen[0][0] == ("system", "short")
    assert reasons(step, rows, frame) == [None, None]
    assert reasons(Reward(model="rm", min=3.0), rows, frame) == [None, "reward"]
    assert reasons(Reward(model="rm", max=4.0), rows, frame) == ["too good", None]


def test_a_preference_has_the_margin_and_reversed_ones_go(bench, make, turns):
    def pair(chosen, rejected, language="en"):
        return {
            "prompt": turns("user: q"),
            "chosen": turns(f"assistant: {chosen}"),
            "rejected": turns(f"assistant: {rejected}"),
            "language": language,
        }

    rows = make(
        Kind.PREFERENCE,
        [pair("long enough", "no"), pair("no", "long enough"), pair("same", "size"), pair("endless", "no")],
    )
    step = Reward(model="rm", min_margin=1.0)
    frame = step.score(rows, bench({"rm": Lengths()}), None)
    assert frame["score"].to_list() == [9.0, -9.0, 0.0, None]
    assert frame["chosen"].to_list() == [11.0, 2.0, 4.0, None] and frame["rejected"].to_list() == [2.0, 11.0, 4.0, 2.0]
    assert reasons(step, rows, frame) == [None, "reversed", "small margin", None]
    assert reasons(Reward(model="rm", reversed="keep", unassessed="drop"), rows, frame) == [
        None,
        None,
        None,
        "unassessed",
    ]


def test_unpaired_answers_are_scored_as_well(bench, make, turns):
    rows = make(
        Kind.UNPAIRED,
        [{"prompt": turns("user: q"), "completion": turns("assistant: yes"), "label": False, "language": "sw"}],
    )
    assert Reward(model="rm").score(rows, bench({"rm": Lengths()}), None)["score"].to_list() == [3.0]


def test_what_cannot_be_scored_says_why(bench, sft):
    rows = sft(
        ("en", "user: hi"),
        ("en", "user: hi", "assistant:  "),
        ("en", "user: hi", "tool: {}", "assistant: yes"),
        ("sw", "user: hi", "assistant: ndiyo"),
        ("en", "user: hi", "assistant: endless"),
        ("en", "user: hi", "assistant: " + "x" * 200),
        ("en", "user: hi", "assistant: good"),
    )
    context = bench({"rm": Lengths("en")})
    frame = Reward(model="rm", max_chars=100).score(rows, context, None)
    assert frame["unassessed"].to_list() == [
        "no answer",
        "no answer",
        "turns",
        "language",
        "too long",
        "too long",
        None,
    ]
    assert frame["score"].to_list() == [None] * 6 + [4.0]
    assert context.warnings == ["reward: 'rm' does not know sw: its rows are not assessed"]
    with pytest.raises(StepError, match=r"does not know sw; use other models, or write 'strict: false'"):
        Reward(model="rm", strict=True).score(rows, context, None)


def test_rows_are_translated_into_the_language_of_the_model(bench, sft):
    model = Lengths("en")
    rows = sft(
        ("de", "user: wie geht es?", "assistant: gut, `code` bleibt."),
        ("en", "user: how?", "assistant: fine"),
        ("sw", "user: je?", "assistant: nzuri"),
    )
    context = bench({"rm": model, "mt": Upper()})
    frame = Reward(model="rm", translator="mt", translate_to="en").score(rows, context, None)
    assert model.seen == [
        [("user", "WIE GEHT ES?"), ("assistant", "GUT, `code` BLEIBT.")],
        [("user", "how?"), ("assistant", "fine")],
    ]
    assert frame["translated"].to_list() == ["upper@1 de-en", None, None] and frame["unassessed"].to_list() == [
        None,
        None,
        "language",
    ]
    assert context.warnings == [
        "reward: 'rm' does not know sw and 'mt' does not translate it into en: its rows are not assessed"
    ]
    both = Lengths("en", "de")
    Reward(model="rm", translator="mt", translate_to="en", translate="unsupported").score(
        rows, bench({"rm": both, "mt": Upper()}), None
    )
    assert both.seen[0] == [("user", "wie geht es?"), ("assistant", "gut, `code` bleibt.")]


def test_a_row_cannot_speak_in_the_turn_of_another(bench, sft):
    model = Lengths()
    Reward(model="rm").score(sft(("en", "user: hi", "assistant: a <|im_end|> b")), bench({"rm": model}), None)
    assert model.seen == [[("user", "hi"), ("assistant", "a < |im_end|> b")]]


def test_what_does_not_fit_is_refused(bench, sft):
    with pytest.raises(ValueError, match="needs 'translate_to'"):
        Reward(model="rm", translator="mt")
    assert Reward(model="rm", min_margin=1.0).check(Kind.SFT) and not Reward(model="rm", min_margin=1.0).check(
        Kind.PREFERENCE
    )
    with pytest.raises(StepError, match="'mt' is not a reward model"):
        Reward(model="mt").score(sft(("en", "user: a", "assistant: b")), bench({"mt": Upper()}), None)
    with pytest.raises(StepError, match="'rm' is not a translator"):
        Reward(model="rm", translator="rm", translate_to="en").score(
            sft(("de", "user: a", "assistant: b")), bench({"rm": Lengths()}), None
        )


def test_no_rows_have_no_scores(bench, make):
    for kind in (Kind.SFT, Kind.PREFERENCE):
        frame = Reward(model="rm").score(make(kind, []), bench({"rm": Lengths()}), None)
        assert len(frame) == 0 and list(frame.columns) == list(Reward(model="rm").columns(kind))


# ---------------------------------------------------------------------------------------------------------- whole build
def catalog_with(folder: Path, model: Path) -> Path:
    lines = [("hello", "good cat", "en"), ("hello", "bad", "en"), ("नमस्ते", "水", "hi"), ("नमस्ते", "سلام", "hi")]
    (folder / "samples.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}],
                    "language": language,
                },
                ensure_ascii=False,
            )
            + "\n"
            for prompt, text, language in lines
        ),
        "utf-8",
    )
    catalog = {
        "version": 1,
        "models": {"rm": {"use": "reward", "model": str(model), "device": "cpu", "languages": ["en", "hi"]}},
        "sources": {
            "samples": {
                "use": "jsonl",
                "path": "samples.jsonl",
                "kind": "sft",
                "language": "{language}",
                "license": "CC0-1.0",
            }
        },
        "datasets": {"scored": {"from": "samples", "steps": [{"reward": {"model": "rm"}}]}},
    }
    (folder / "catalog.yaml").write_text(yaml.safe_dump(catalog, allow_unicode=True), "utf-8")
    return folder / "catalog.yaml"


@pytest.mark.heavy(env="common")
def test_a_build_with_a_real_reward_model_keeps_its_scores(tmp_path):
    model = networks.save(tmp_path / "model")
    catalog = catalog_with(tmp_path, model)
    [built] = curate.build(catalog)
    assert built.rows == 4
    rows = curate.query(
        "SELECT messages[1].content AS asked, messages[2].content "
        "AS said, score(scores, 'reward') AS score FROM scored",
        catalog=catalog,
    )
    loaded = networks.load(model)
    for asked, said, score in rows.rows():
        [expected] = loaded.score([[("user", asked), ("assistant", said)]])
        assert score == pytest.approx(float(expected), abs=2e-4)


def test_a_build_without_the_packages_stops_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    with pytest.raises(curate.CurateError, match=r"pip install 'polycurate\[torch\]'"):
        curate.build(catalog_with(tmp_path, model))


def test_a_prompt_in_another_language_is_translated_from_its_own(make, turns, bench):
    rows = make(
        Kind.SFT,
        [
            {"messages": turns("user: Hi, who?", "assistant: Ich."), "language": "de", "prompt_language": "en"},
            {"messages": turns("user: Wer da?", "assistant: Ich."), "language": "de"},
            {"messages": turns("user: Nani?", "assistant: Ich."), "language": "de", "prompt_language": "sw"},
        ],
    )
    model = Lengths("en")
    step = Reward(model="m", translator="t", translate_to="en")
    frame = step.score(rows, bench({"m": model, "t": Upper()}), None)
    assert frame["unassessed"].to_list() == [None, None, "translation"]
    assert model.seen == [[("user", "Hi, who?"), ("assistant", "ICH.")], [("user", "WER DA?"), ("assistant", "ICH.")]]
