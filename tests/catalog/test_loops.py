"""``for:``: one entry of a catalog makes several sources or datasets, and mistakes have their line."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

import curate
from curate.catalog import CatalogError
from curate.catalog.files import defines_dataset
from curate.cli.main import app

LOOPS = """\
version: 1
languages: {targets: [sw, hi]}
sources:
  answers_${lang}:
    for: {lang: "${languages.targets}"}
    use: jsonl
    path: rows_${lang}.jsonl
    kind: sft
    language: ${lang}
    license: CC0-1.0
datasets:
  part_${lang}_${size}:
    for: {lang: "${languages.targets}", size: [1, 2]}
    from: answers_${lang}
    steps:
      - mix:
          rows: ${size}
  named_${name}:
    for:
      - {name: a, tag: zh-Hant}
      - {name: b, tag: ar}
    from: answers_sw
    description: "in ${tag}, $${name}"
  all:
    from: [answers_hi, answers_sw]
"""


@pytest.fixture
def load(tmp_path: Path):
    def write(text: str, **options):
        (tmp_path / "catalog.yaml").write_text(text, encoding="utf-8")
        for tag, texts in {"sw": "moja mbili tatu", "hi": "एक दो तीन"}.items():
            lines = (f'{{"prompt": "{one}?", "response": "{one}."}}\n' for one in texts.split())
            (tmp_path / f"rows_{tag}.jsonl").write_text("".join(lines), "utf-8")
        return curate.load_catalog(tmp_path / "catalog.yaml", **options)

    return write


def problems(load, text: str) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_an_entry_makes_several(load, tmp_path):
    catalog = load(LOOPS)
    assert list(catalog.sources) == ["answers_sw", "answers_hi"]
    parts = ["part_sw_1", "part_sw_2", "part_hi_1", "part_hi_2"]
    assert list(catalog.datasets) == [*parts, "named_a", "named_b", "all"]
    assert catalog.made["datasets", "part_${lang}_${size}"] == parts
    assert catalog.sources["answers_hi"].path == str(tmp_path / "rows_hi.jsonl")
    assert catalog.sources["answers_hi"].language == "hi"
    assert catalog.datasets["part_hi_2"].inputs == ("answers_hi",)
    assert catalog.datasets["named_a"].description == "in zh-Hant, ${name}"
    assert catalog.datasets["part_hi_2"].mark.line == 12
    [two, one] = curate.build(catalog, "part_hi_2", "part_sw_1")
    assert (two.rows, one.rows) == (2, 1)
    texts = curate.query("SELECT messages[1].content AS text FROM part_hi_2", catalog=tmp_path / "catalog.yaml")
    assert set(texts["text"]) < {"एक?", "दो?", "तीन?"}


def test_a_variable_sets_what_is_made(load):
    catalog = load(LOOPS, variables={"languages.targets": ["hi", "sw", "de"]})
    assert list(catalog.sources) == ["answers_hi", "answers_sw", "answers_de"]


def test_check_lists_the_names(load, tmp_path):
    load(LOOPS)
    said = CliRunner().invoke(app, ["check", "--catalog", str(tmp_path / "catalog.yaml")])
    assert said.exit_code == 0 and "named_${name}: named_a, named_b" in said.output
    assert jsonschema.Draft202012Validator(curate.schema()).is_valid(yaml.safe_load(LOOPS))


def test_what_a_loop_makes_belongs_to_its_catalog(load, tmp_path):
    load(LOOPS)
    there = tmp_path / "catalog.yaml"
    assert defines_dataset(there, "part_hi_2") and defines_dataset(there, "all")
    assert not defines_dataset(there, "part_") and not defines_dataset(there, "other")


WRONG = {
    "not in the name": ("part_${lang}_${size}", "part_${lang}", ":12: for: 'part_sw' is there twice; put ${lang} or"),
    "a typo": ("from: answers_${lang}", "from: answers_${lagn}", ":14: '${lagn}' is neither .* did you mean 'lang'"),
    "a typo in the name": ("named_${name}:", "named_${nmae}:", ":18: 'for:' does not set 'nmae'; did you mean 'name'"),
    "no list": ("size: [1, 2]", "size: 3", ":13: for: 'size' needs a list of values; write 'for: {lang: [de, sw]}'"),
    "nothing": ("size: [1, 2]", "size: []", ":13: for: 'size' needs a list"),
    "other names": ("{name: b, tag: ar}", "{name: b}", ":21: for: all of the list have the same names (name, tag)"),
    "twice": ("{name: b, tag: ar}", "{name: a, tag: zh-Hant}", ":19: for: name: a, tag: zh-Hant is there twice"),
    "a bad name": ("{name: b, tag: ar}", "{name: B, tag: ar}", ":18: 'named_B' is no name"),
    "a name of another": ("  all:", "  named_a:", ":18: for: 'named_a' is there twice"),
    "too many": (
        '{lang: "${languages.targets}", size: [1, 2]}',
        "{" + ", ".join(f"n{n}: {[*range(30)]}" for n in range(9)) + "}",
        ":13: for: makes 19,683,000,000,000 entries; at most 1,000",
    ),
    "a value": ("rows: ${size}", 'rows: "x${size}"', ":17: .*rows"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_have_their_line(case, load):
    import re

    old, new, message = WRONG[case]
    assert old in LOOPS
    found = problems(load, LOOPS.replace(old, new, 1))
    start, _, rest = message.partition(".*")
    pattern = re.escape(start) + (f".*{re.escape(rest)}" if rest else "")
    assert any(re.search(pattern, one) for one in found), found


@pytest.mark.parametrize(
    ("written", "inputs"),
    [
        ("from: answers_${lang}", ("answers_sw", "answers_hi")),
        ("from: [named_a, 'answers_${lang}']", ("named_a", "answers_sw", "answers_hi")),
        ("from: part_${lang}_${size}", ("part_sw_1", "part_sw_2", "part_hi_1", "part_hi_2")),
        ("from: named_${name}", ("named_a", "named_b")),
    ],
)
def test_from_names_all_that_an_entry_makes(load, written, inputs):
    text = LOOPS.replace("  all:\n    from: [answers_hi, answers_sw]", f"  all:\n    {written}")
    assert load(text).datasets["all"].inputs == inputs


def test_from_inside_a_loop_names_those_with_its_values(load):
    loaded = load(LOOPS + "  both_${lang}: {for: {lang: [hi]}, from: 'part_${lang}_${size}'}\n")
    assert loaded.datasets["both_hi"].inputs == ("part_hi_1", "part_hi_2")


def test_a_name_that_no_entry_has_is_an_error_where_it_is_written(load):
    text = LOOPS.replace("from: [answers_hi, answers_sw]", "from: answer_${lang}")
    assert any("'${lang}' is neither a variable" in told for told in problems(load, text))
