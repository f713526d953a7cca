"""A word that was meant is found: old names, words of the field, slips of the pen; and every word that is offered
exists."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.main import get_command

import curate
from curate.catalog.suggestions import FIELD, RENAMED, nearest
from curate.cli.main import app
from curate.steps import Registry

ROOT = Path(__file__).resolve().parents[2]
CATALOG = """\
version: 1
models: {{lid: {{use: fasttext}}}}
sources: {{s: {{use: jsonl, path: a.jsonl, language: en, license: CC0-1.0{source}}}}}
datasets: {{d: {{from: s, steps: [{step}]}}}}
"""


def problems(tmp_path, source="", step="shape"):
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n')
    (tmp_path / "catalog.yaml").write_text(CATALOG.format(source=source, step=step))
    with pytest.raises(curate.CatalogError) as failed:
        curate.load_catalog(tmp_path / "catalog.yaml")
    return str(failed.value)


@pytest.mark.parametrize("old", ["pair_quality", "drift", "word_table", "imbalance", "vote"])
def test_an_old_step_is_an_error_that_says_the_new_name(tmp_path, old):
    assert f"it is called '{RENAMED[old]}' now" in problems(tmp_path, step=old)


def test_an_old_key_is_an_error_that_says_the_new_name(tmp_path):
    assert "unknown key 'max_bad'; it is called 'max_error_rate' now" in problems(tmp_path, source=", max_bad: 0.1")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("dedup", "duplicates"),
        ("langid", "language"),
        ("decontaminate", "contamination"),
        ("minhash", "duplicates"),
        ("labse", "similarity"),
        ("bitext", "mine"),
        ("Dedup", "duplicates"),
        ("evol-instruct", "instruct"),
    ],
)
def test_a_word_of_the_field_leads_to_the_step(tmp_path, word, meant):
    assert f"no step is called '{word}'; did you mean '{meant}'?" in problems(tmp_path, step=word)


def test_threshold_leads_to_the_limit_of_the_step(tmp_path):
    assert "unknown key 'threshold'; did you mean 'min'?" in problems(
        tmp_path, step="{language: {model: lid, threshold: 0.5}}"
    )


def test_every_word_that_is_offered_is_one_of_ours():
    registry = Registry.installed()
    ours = {
        *get_command(app).commands,
        "sources",
        "models",
        "datasets",
        "steps",
        "from",
        "outputs",
        "splits",
        "workers",
        "exclusive",
    }
    for what in ("source", "step", "model", "output"):
        for name in registry.names(what):
            ours |= {name, *registry.get(what, name).model_fields}
    assert set(RENAMED.values()) <= ours
    assert {word for words in FIELD.values() for word in words} <= ours


def test_no_old_name_is_still_in_use():
    registry = Registry.installed()
    fields = {
        field
        for what in ("source", "step", "model", "output")
        for name in registry.names(what)
        for field in registry.get(what, name).model_fields
    }
    assert not fields & RENAMED.keys() - {"marks"}
    assert not {*registry.names("step"), *get_command(app).commands} & RENAMED.keys()


def test_what_is_near_nothing_has_no_suggestion():
    assert nearest("xyzzy", ["shape", "language"]) == ""
    assert nearest("shpae", ["shape", "language"]) == "; did you mean 'shape'?"


def test_the_glossary_has_every_new_name():
    renamed = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").partition("## Renamed")[2]
    rows = [line.split("|")[1:3] for line in renamed.splitlines() if line.startswith("|")]
    for old, new in RENAMED.items():
        assert [old in before and new in after for before, after in rows].count(True) >= 1, old
