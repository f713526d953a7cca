"""A parameter is changed in the catalog's text, and nothing else: by what the changed file loads as, and its diff."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.catalog.edit import EditError, change_parameter
from curate.catalog.load import load_catalog
from curate.catalog.params import PerLanguage
from curate.steps import Registry

HEAD = """\
# My catalog: ครับ
version: 1
variables: {most: 90, filters: [shape]}
sources:
  s: {use: jsonl, path: s.jsonl, kind: sft, language: en, license: CC0-1.0, columns: {prompt: "{q}", response: "{a}"}}
datasets:
  d:
    from: [s]   # one source
"""
STEPS = {
    "word in a list": "[shape]",
    "word in a line": "\n      - shape   # all of it",
    "quoted word": '\n      - "shape"',
    "nothing behind it": "\n      - shape:\n      - language: {model: lid}   # later",
    "nothing but a comment": "\n      - shape:   # no limits yet",
    "null": "\n      - shape: null",
    "empty": "\n      - shape: {}   # empty",
    "flow": "\n      - shape: {max_loop: 8, max_chars: 100}   # flow",
    "flow without it": "\n      - shape: {max_loop: 8}   # flow",
    "block": "\n      - shape:   # block\n          # above\n          max_chars: 100   # why\n          max_loop: 8",
    "block without it": "\n      - shape:\n          # above\n          max_loop: 8   # why",
    "no value": "\n      - shape:\n          max_chars:   # to be found\n          max_loop: 8",
    "by language, flow": "\n      - shape: {max_chars: {default: 100, th: 50}}   # two",
    "by language, block": "\n      - shape:\n          max_chars:\n            default: 9  # a\n            TH: 5 # b",
    "an older tag": "\n      - shape: {max_chars: {no: 50}}   # nb today",
    "several lines": "\n      - shape: {\n          max_chars:\n            9,   # a\n          max_loop: 8 }",
    "second of two": "\n      - shape: {as: first, max_chars: 7}\n      - shape: {max_chars: 100}",
}
LAYOUTS = {name: f"    steps: {steps}\n" for name, steps in STEPS.items()}
REGISTRY = Registry.installed()


def shape(file: Path):
    catalog = load_catalog(file, REGISTRY)
    [found] = [one.params for one in catalog.datasets["d"].steps if one.label == "shape"]
    return found


def written(folder: Path, layout: str) -> Path:
    file = folder / "catalog.yaml"
    text = HEAD + layout
    if "lid" in layout:
        text = text.replace("sources:\n", "models: {lid: {use: fasttext}}\nsources:\n", 1)
    file.write_bytes(text.encode())
    return file


@pytest.mark.parametrize("language", ["", "th", "nb"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_the_value_changes(tmp_path, layout, language):
    file = written(tmp_path, LAYOUTS[layout])
    before = shape(file)
    old = before.max_chars
    new = PerLanguage(old.default, {**old.values, language: 321}) if language else PerLanguage(321, old.values)
    edit = change_parameter(file, "d", "shape", "max_chars", new, language)
    assert file.read_text() == edit.old
    file.write_text(edit.new)
    after = shape(file)
    assert after.max_chars == new
    assert after.max_loop == before.max_loop
    comments = re.compile(r"#.*")
    assert comments.findall(edit.new) == comments.findall(edit.old)
    changes = [line for line in edit.diff.splitlines()[2:] if line[0] in "+-"]
    assert len(changes) <= 2, edit.diff
    again = change_parameter(file, "d", "shape", "max_chars", new, language)
    assert again.diff == "" or language


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(LAYOUTS)), st.integers(0, 10**6), st.sampled_from(["", "ar", "zh-Hant", "nb", "sw"]))
def test_any_value_in_any_layout_is_what_the_catalog_then_says(tmp_path_factory, layout, value, language):
    file = written(tmp_path_factory.mktemp("edit"), LAYOUTS[layout])
    old = shape(file).max_chars
    new = PerLanguage(old.default, {**old.values, language: value}) if language else PerLanguage(value, old.values)
    file.write_text(change_parameter(file, "d", "shape", "max_chars", new, language).new)
    assert shape(file).max_chars == new


def test_line_ends_and_a_byte_order_mark_stay(tmp_path):
    file = tmp_path / "catalog.yaml"
    text = ("\ufeff" + HEAD + LAYOUTS["block without it"]).replace("\n", "\r\n").encode()
    file.write_bytes(text)
    edit = change_parameter(file, "d", "shape", "max_chars", PerLanguage(5))
    file.write_bytes(edit.new.encode())
    assert shape(file).max_chars == PerLanguage(5)
    assert edit.new.encode().replace(b"          max_chars: 5\r\n", b"") == text


def test_a_value_that_may_not_differ_by_language(tmp_path):
    file = written(tmp_path, "    steps:\n      - labels: {files: l.jsonl, min_annotators: 1}   # people\n")
    (tmp_path / "l.jsonl").write_text("")
    edit = change_parameter(file, "d", "labels", "min_annotators", 2)
    assert "-      - labels: {files: l.jsonl, min_annotators: 1}   # people\n" in edit.diff
    assert "+      - labels: {files: l.jsonl, min_annotators: 2}   # people\n" in edit.diff


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("\n      - shape: {max_chars: '${variables.most}'}", r":10: it comes from \$\{variables.most\}"),
        ("['${variables.filters}']", ":9: no step 'shape' is written here; it comes from a variable"),
        ("${variables.filters}", ":9: its steps are no list here"),
        ("\n      - shape: &one {max_chars: 3}\n  e: {from: [s], steps: [shape: *one]}", ":10: an alias"),
        ("&all\n      - shape: {max_chars: 3}\n  e: {from: [s], steps: *all}", ":9: an alias"),
        ("\n      - shape: {as: other}", ":9: no step 'shape'"),
    ],
)
def test_a_place_that_cannot_be_told_is_refused(tmp_path, layout, message):
    file = written(tmp_path, f"    steps: {layout}\n")
    before = file.read_bytes()
    with pytest.raises(EditError, match="catalog.yaml" + message):
        change_parameter(file, "d", "shape", "max_chars", PerLanguage(5))
    assert file.read_bytes() == before


def test_a_file_that_is_included_is_refused_and_named(tmp_path):
    file = written(tmp_path, LAYOUTS["flow"])
    (tmp_path / "mine.yaml").write_text("version: 1\ninclude: catalog.yaml\n")
    with pytest.raises(EditError, match=r"catalog\.yaml:7: 'd' stands in a file that mine.yaml includes"):
        change_parameter(tmp_path / "mine.yaml", "d", "shape", "max_chars", PerLanguage(5))
    with pytest.raises(EditError, match="has no dataset 'e'"):
        change_parameter(file, "e", "shape", "max_chars", PerLanguage(5))
    with pytest.raises(EditError, match="no such file"):
        change_parameter(tmp_path / "other.yaml", "d", "shape", "max_chars", PerLanguage(5))


def test_a_comment_stays_in_its_column_if_there_is_room(tmp_path):
    file = tmp_path / "catalog.yaml"
    text = """\
version: 1
sources: {s: {use: jsonl, path: a.jsonl, license: CC0-1.0}}
datasets:
  d:
    from: [s]
    steps:
      - shape                              # drops broken conversations
      - language   # near
"""
    file.write_text(text)
    new = change_parameter(file, "d", "shape", "min_chars", 20).new
    assert "      - shape: {min_chars: 20}             # drops broken conversations\n" in new
    near = change_parameter(file, "d", "language", "min", 0.4).new
    assert "      - language: {min: 0.4}  # near\n" in near
