"""What can be known before anything runs is said before anything runs: all of it, with file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import curate
from curate.catalog import CatalogError
from curate.cli.main import app

HEAD = """\
version: 1
models:
  neural: {use: bergamot}
  writer: {use: openai, url: "http://127.0.0.1:9", model: lab/w, languages: [en, pt]}
  encoder: {use: use-multilingual}
sources:
  english: {use: jsonl, path: en.jsonl, kind: sft, language: en, license: CC0-1.0, columns: {prompt: "{q}", response: "{a}"}}
  yoruba: {use: jsonl, path: yo.jsonl, kind: sft, language: yo, license: CC0-1.0, columns: {prompt: "{q}", response: "{a}"}}
  words: {use: jsonl, path: en.jsonl, kind: document, language: en, license: CC0-1.0, columns: {text: "{q}"}}
  any: {use: jsonl, path: en.jsonl, kind: sft, language: "{l}", license: CC0-1.0, columns: {prompt: "{q}", response: "{a}"}}
run: {workers: 1}
datasets:
"""  # noqa: E501


def notes(catalog: Path) -> list[str]:
    """What is no reason not to build, but for what of the sources nothing uses."""
    return [note for note in curate.check(catalog) if "not used" not in note]


@pytest.fixture
def check(tmp_path: Path, monkeypatch):
    for name in ("en", "yo"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"q": "Bread?", "a": "Bread.", "l": name}) + "\n")
    monkeypatch.chdir(tmp_path)

    def run(datasets: str) -> list[str]:
        """What is wrong, without the number of the line; and that check, plan and build say the same and build
        nothing."""
        (tmp_path / "catalog.yaml").write_text(HEAD + datasets)
        said = []
        for go in (curate.check, curate.plan, curate.build):
            with pytest.raises(CatalogError) as caught:
                go(tmp_path / "catalog.yaml")
            said.append([str(one) for one in caught.value.problems])
        assert said[0] == said[1] == said[2]
        assert not (tmp_path / ".curate" / "datasets").exists()
        assert all(one.startswith("catalog.yaml:") for one in said[0])
        return said[0]

    return run


def test_a_target_that_no_translator_reaches_is_known_and_what_would_do_is_said(check):
    [problem] = check("  d: {from: english, steps: [{translate: {to: [pt, sw], model: neural}}]}\n")
    assert "does not translate en → sw (it has en→pt, pt→en)" in problem
    assert "no model of this catalog does; a language model (use: openai) or a wide translator such as NLLB" in problem
    [problem] = check("  d: {from: yoruba, steps: [{translate: {to: [pt], model: neural}}]}\n")
    assert "does not translate yo → pt" in problem and "the language model 'writer' may" in problem


def test_some_rows_that_cannot_be_translated_are_a_note_or_with_strict_a_problem(check, tmp_path):
    step = "  d: {from: [english, yoruba], steps: [{translate: {to: [pt], model: neural%s}}]}\n"
    [problem] = check(step % ", strict: true")
    assert "does not translate yo → pt" in problem
    (tmp_path / "catalog.yaml").write_text(HEAD + step % "")
    assert ["does not translate yo → pt" in note for note in notes(tmp_path / "catalog.yaml")] == [True]
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 0 and "these rows have no translation into pt" in result.output


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            "similarity: {model: neural}",
            "similarity.model: 'neural' is a translator, and an encoder is needed (such are: encoder, ",
        ),
        (
            "respond: {model: encoder}",
            "respond.model: 'encoder' is an encoder, and a language model is needed (such are: writer, ",
        ),
        (
            "language: {model: writer}",
            "language.model: 'writer' is a language model, and a language identifier is needed (such are: ",
        ),
        (
            "judge: {model: writer, method: reference, reference: english}",
            "judge.model: 'writer' is a language model, and an encoder is needed",
        ),
        ("translate: {to: [pt], model: encoder}", "a language model or a translator is needed"),
        ("reward: {model: writer}", "a reward model is needed"),
    ],
)
def test_a_model_that_is_for_something_else_is_a_problem(check, step, said):
    problems = check(f"  d: {{from: english, steps: [{{{step}}}]}}\n")
    assert any(said in problem for problem in problems), problems


def test_everything_is_said_at_once(check):
    problems = check(
        """\
  mixed: {from: [english, words]}
  fields:
    from: english
    steps:
      - shape: {max_chars: 100}
      - language: {fields: [answer]}
      - misalignment: {between: sides}
      - similarity: {fields: [respons]}
  later:
    from: english
    steps:
      - pair
      - language_imbalance
      - similarity: {fields: [text]}
"""
    )
    said = {
        13: "mixes rows of several kinds",
        18: "sft rows have no field 'answer'",
        19: "sides needs parallel rows",
        20: "'respons'",
        24: "which answer is better",
        25: "step 'language_imbalance' cannot work on preference rows (it can on sft)",
        26: "preference rows have no field 'text'",
    }
    assert [int(problem.split(":")[1]) for problem in problems] == list(said), problems
    for problem, words in zip(problems, said.values(), strict=True):
        assert words in problem


def test_languages_that_models_do_not_know_are_notes(tmp_path, check):
    steps = """\
  d:
    from: [english, yoruba]
    steps:
      - similarity: {model: encoder%s}
      - respond: {model: writer}
"""
    (tmp_path / "catalog.yaml").write_text(HEAD + steps % "")
    said = notes(tmp_path / "catalog.yaml")
    assert any(
        "similarity: model: the model 'encoder' does not know yo; rows in it are not assessed" in note for note in said
    )
    assert any("respond: model: the model 'writer' does not know yo; it is used anyway" in note for note in said)
    [problem] = check(steps % ", strict: true")
    assert "the model 'encoder' does not know yo" in problem
    (tmp_path / "catalog.yaml").write_text(HEAD + "  d: {from: any, steps: [{similarity: {model: encoder}}]}\n")
    assert notes(tmp_path / "catalog.yaml") == []


def test_what_is_made_of_a_dataset_knows_its_kind_and_languages(check):
    problems = check(
        """\
  below: {from: english, steps: [{translate: {to: [pt], model: neural, keep_original: false}}]}
  above: {from: below, steps: [{translate: {to: [sw], model: neural}}, misalignment: {between: sides}]}
""".replace("misalignment: {between: sides}", "{misalignment: {between: sides}}")
    )
    text = "\n".join(problems)
    assert "does not translate pt → sw" in text and "sides needs parallel rows, and these are sft rows" in text


def test_a_missing_package_or_file_is_said(check, tmp_path):
    (tmp_path / "nothing").mkdir()
    (tmp_path / "more.yaml").write_text(
        "version: 1\nmodels: {own: {use: bergamot, path: nothing, source: en, target: pt}}\n"
    )
    [problem] = check("  d: {from: english, steps: [{translate: {to: [pt], model: own}}]}\ninclude: more.yaml\n")
    assert "translate: " in problem and "nothing" in problem


def test_files_of_a_benchmark_are_looked_at_before_the_build(check, tmp_path):
    (tmp_path / "question.jsonl").write_text(
        json.dumps({"question_id": 81, "turns": ["Describe a harbour town.", "Now in three words."]}) + "\n"
    )
    good = "  d: {from: english, steps: [{contamination: {against: [mt-bench], model: null, files: {mt-bench: question.jsonl}}}]}\n"  # noqa: E501
    (tmp_path / "catalog.yaml").write_text(HEAD + good)
    assert notes(tmp_path / "catalog.yaml") == []
    [built] = curate.build(tmp_path / "catalog.yaml")
    assert built.rows == 1
    import shutil

    shutil.rmtree(tmp_path / ".curate")
    (tmp_path / "question.jsonl").write_text(json.dumps({"question_id": 81, "text": "Describe a harbour town."}) + "\n")
    [problem] = check(good)
    assert "mt-bench: question.jsonl has no field 'prompt|turns' (it has question_id, text)" in problem
    [problem] = check(good.replace("question.jsonl", "nowhere.jsonl"))
    assert "there is no file" in problem


def test_variables_that_are_not_set_stop_no_check(tmp_path, monkeypatch):
    monkeypatch.delenv("SOME_URL", raising=False)
    (tmp_path / "catalog.yaml").write_text(
        """\
version: 1
models: {w: {use: openai, url: "${SOME_URL}", model: lab/w}}
sources: {s: {use: jsonl, path: a.jsonl, kind: prompt, language: en, license: x, columns: {prompt: "{q}"}}}
datasets: {d: {from: s, steps: [{respond: {model: w}}]}}
"""
    )
    assert notes(tmp_path / "catalog.yaml") == []
