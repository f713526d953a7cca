"""Loading: what a catalog may say, and that everything wrong with it is told at once, where it is and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

import curate
from curate.catalog import CatalogError, PerLanguage

GOOD = """\
version: 1
languages: {targets: [sw, "no"], pair: "${languages.targets}"}
variables: {floor: 0.7, label: x}
models:
  ruler: {use: counter, address: "${SERVER:-http://localhost}"}
sources:
  one: {use: numbered, path: ["data/a.txt"], license: cc0-1.0}
datasets:
  first:
    from: one
    steps:
      - letters: {model: ruler, min: {default: "${variables.floor}", no: 0.5, zh_Hant: 0.9}}
      - shout
      - letters: {as: again}
    splits: {train: 0.9, test: 0.1}
"""


@pytest.fixture
def load(tmp_path: Path, registry):
    def write(text: str, name: str = "catalog.yaml", **options):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
        return curate.load_catalog(tmp_path / "catalog.yaml", registry=registry, **options)

    return write


def problems(load, text: str) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_good_catalog_is_resolved(load, tmp_path):
    catalog = load(GOOD)
    [dataset] = catalog.datasets.values()
    assert [step.label for step in dataset.steps] == ["letters", "shout", "again"]
    assert dataset.steps[0].params.min == PerLanguage(0.7, {"nb": 0.5, "zh-Hant": 0.9})
    assert catalog.sources["one"].path == [str(tmp_path / "data/a.txt")]
    assert catalog.models["ruler"].address == "http://localhost"
    assert dataset.splits == {"train": 0.9, "test": 0.1}


def test_norwegian_is_a_language_and_not_false(load):
    catalog = load(GOOD)
    assert catalog.variables["languages"]["targets"] == ["sw", "no"]
    assert load(GOOD.replace('"no"', "no")).variables["languages"]["targets"] == ["sw", "no"]


def test_what_a_missing_key_is_for_is_a_whole_sentence(load):
    [found] = problems(load, "version: 1\nsources: {a: {use: jsonl, path: a.jsonl, license: CC0-1.0}}\n")
    assert found.startswith("catalog.yaml:2: 'language' is missing: Language of the answer")
    assert found.endswith("or ``detect`` to label rows by the step ``detect_language``")


def test_every_problem_is_told_at_once_with_line_and_nearest_word(load):
    text = """\
version: 1
modles: {}
sources:
  one: {use: nubmered, path: [a.txt], license: mit}
  two: {use: numbered, path: [a.txt]}
  three: {use: numbered, path: [a.txt], license: mit, langauge: en}
  four: {use: numbered, path: [a.txt], license: mit, language: english}
datasets:
  first:
    from: tow
    steps:
      - leters: {min: 1}
      - letters: {mim: 1}
      - letters: {min: many}
      - letters: {model: rulre}
    splits: {train: 0.9, test: 0.2}
"""
    found = problems(load, text)
    for expected in (
        "catalog.yaml:2: unknown key 'modles'; did you mean 'models'?",
        "catalog.yaml:4: no source is called 'nubmered'; did you mean 'numbered'?",
        "catalog.yaml:5: 'license' is missing: Licence of the data (an SPDX identifier, or ``unknown``)",
        "catalog.yaml:6: unknown key 'langauge'; did you mean 'language'?",
        "catalog.yaml:7: language: 'english' is not a BCP-47 language tag",
        "catalog.yaml:12: no step is called 'leters'; did you mean 'letters'?",
        "catalog.yaml:13: unknown key 'mim'; did you mean 'min'?",
        "catalog.yaml:14: min: Input should be a valid number",
        "catalog.yaml:16: splits: the shares add up to 1.1, not 1",
    ):
        assert any(line.startswith(expected) for line in found), f"{expected}\nnot in\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("from: one", "from: [one, first]"), "made from each other in a circle: first → first"),
        (("from: one", "from: [one, one]"), "'one' is named twice"),
        (("first:", "curate:"), "SQL needs for itself"),
        (("version: 1", "version: 2"), "version 2 is not known"),
        (("as: again", "as: letters"), "already has a step 'letters'"),
        (
            ("${variables.floor}", "${variables.flor}"),
            "there is no variable 'variables.flor'; did you mean 'variables.floor'?",
        ),
        (("floor: 0.7", "floor: '${variables.floor}'"), "circle"),
        (("license: cc0-1.0", "license: cc0-1.0, license: mit"), "'license' is given twice"),
        (("first:", "First:"), "'First' is no name"),
        (("  ruler:", "  one: {use: counter}\n  ruler:"), None),
        (
            ("use: counter", "use: counter, weight: '${SERVER:-2}'"),
            "'weight' decides which rows come out, so it may not depend on the environment",
        ),
        (("shout", "shout:\n          mark: !!python/object:os.system x"), "makes an object"),
        (("- shout", "- {shout: {}, most: {count: 1}}"), "a step is 'name' or 'name: {parameters}'"),
    ],
)
def test_one_mistake_one_message(load, change, message):
    text = GOOD.replace(*change)
    if message is None:
        load(text)
        return
    found = problems(load, text)
    assert any(message in line for line in found), found


def test_what_a_part_finds_wrong_with_itself_is_one_problem_among_others(load):
    """A validator that raises an error of ours hides neither its place nor what else is wrong."""
    said = problems(
        load,
        GOOD.replace(
            "      - shout\n",
            "      - duplicates: {method: cross_lingual, model: ruler, pairs: {sw: 0.9}}\n      - shuot\n",
        ),
    )
    assert len(said) == 2
    assert said[0].startswith("catalog.yaml:13") and "two languages" in said[0]
    assert "shuot" in said[1]


def test_includes_bring_in_sources_and_their_own_folder(load, tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "more.yaml").write_text(
        "version: 1\nsources:\n  two: {use: numbered, path: [b.txt], license: mit}\n"
    )
    catalog = load("include: parts/more.yaml\n" + GOOD.replace("from: one", "from: [one, two]"))
    assert catalog.sources["two"].path == [str(tmp_path / "parts/b.txt")]
    (tmp_path / "parts" / "more.yaml").write_text(
        "version: 1\nsources:\n  one: {use: numbered, path: [b.txt], license: mit}\n"
    )
    found = problems(load, "include: parts/more.yaml\n" + GOOD)
    assert found == ["catalog.yaml:8: 'one' is already the name of one of the sources (parts/more.yaml:3)"]
    (tmp_path / "parts" / "more.yaml").write_text("version: 1\ninclude: ../catalog.yaml\n")
    assert any("includes itself" in line for line in problems(load, "include: parts/more.yaml\n" + GOOD))
    assert any("did you mean" in line for line in problems(load, "include: parts/mroe.yaml\n" + GOOD))


def test_variables_can_be_set_from_outside(load):
    catalog = load(GOOD, variables={"variables.floor": 0.2})
    assert catalog.datasets["first"].steps[0].params.min.default == 0.2
    with pytest.raises(CatalogError, match=r"no variable 'variables.flor'; did you mean"):
        load(GOOD, variables={"variables.flor": 1})


def test_an_unset_environment_variable_stops_only_what_needs_it(load, tmp_path, registry):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("en\t1\tsome text\n")
    text = GOOD.replace("${SERVER:-http://localhost}", "${NOT_SET_ANYWHERE}") + "  second: {from: one}\n"
    catalog = load(text)
    assert catalog.missing == {("models", "ruler"): ["NOT_SET_ANYWHERE"]}
    assert curate.build(catalog, "second", registry=registry)[0].rows == 1
    with pytest.raises(curate.BuildError, match="NOT_SET_ANYWHERE"):
        curate.plan(catalog, "first", registry=registry)


def test_secrets_reach_neither_store_nor_keys(load, tmp_path, registry, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("en\t1\tsome text\n")
    monkeypatch.setenv("SERVER", "http://user:hunter2@host")
    first = curate.build(load(GOOD), registry=registry)[0]
    monkeypatch.setenv("SERVER", "http://user:other@host")
    again = curate.build(load(GOOD), registry=registry)[0]
    assert first.version == again.version and not again.changed
    for path in (tmp_path / ".curate").rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


@pytest.mark.parametrize(
    "text", ["a: &a [*a]", "a: &a {b: *a}", "version: 1\nmodels: [1", "version: 1\n\tmodels: {}", "[]", "\x00"]
)
def test_broken_or_hostile_yaml_is_a_message(load, text):
    assert problems(load, text)


def test_an_alias_bomb_is_refused_quickly(load):
    text = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    assert any("unfold without end" in line for line in problems(load, text))


def test_the_json_schema_accepts_what_loads_and_refuses_what_does_not(registry):
    schema = curate.schema(registry)
    validator = jsonschema.Draft202012Validator(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    good = yaml.safe_load(GOOD.replace(", no: 0.5", ', "no": 0.5'))
    assert list(validator.iter_errors(good)) == []
    for change in (
        ("letters: {model", "leters: {model"),
        ("min: {default", "mim: {default"),
        ("license: cc0-1.0", "lisence: cc0-1.0"),
        ("version: 1", "version: 2"),
        ("use: counter", "use: conter"),
        ("from: one", "form: one"),
    ):
        bad = yaml.safe_load(GOOD.replace(", no: 0.5", "").replace(*change))
        assert list(validator.iter_errors(bad)), change
    assert json.dumps(schema)
