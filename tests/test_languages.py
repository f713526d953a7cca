"""What can be done in a language: the parts' own word, for one language and for all."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from typer.testing import CliRunner

import curate
from curate.api.languages import InLanguage
from curate.cli.main import app
from curate.models.langid.language_data import recognised
from curate.rows.languages import InvalidLanguage
from curate.steps import Registry

ROOT = Path(__file__).resolve().parents[1]


def covered(found: InLanguage) -> dict[tuple[str, str], bool]:
    return {(one.part, one.name): one.covers for one in found.coverage}


@pytest.fixture(scope="module")
def every() -> dict[str, InLanguage]:
    return {one.language: one for one in curate.languages()}


def test_parts_say_themselves_what_they_cover(every):
    swahili, hindi = covered(every["sw"]), covered(every["hi"])
    assert swahili["identifier", "fasttext"] and not swahili["identifier", "eld"]
    assert swahili["encoder", "e5-multilingual"] and not swahili["encoder", "use-multilingual"]
    assert hindi["quality pack", "quality"] and hindi["word list", "number words"]
    assert not covered(every["yo"])["quality pack", "quality"]
    assert covered(every["pt"])["translator", "bergamot"] and not hindi["translator", "bergamot"]


@pytest.mark.parametrize("name", ["fasttext", "eld", "cld2"])
def test_an_identifier_covers_what_it_supports_when_it_is_loaded(every, name):
    loaded = Registry.installed().get("model", name)().load(cache=None, threads=1)
    told = {tag: covered(found)["identifier", name] for tag, found in every.items()}
    assert told == {tag: loaded.supports(tag) for tag in every}
    assert {True, False} == {*told.values()}


def test_figures_are_those_of_the_ensembles_data(every):
    by_name = {one.name: one for one in every["sw"].coverage}
    assert by_name["fasttext"].share == recognised("lid.176", "sw") == pytest.approx(0.569)
    assert (
        by_name["fasttext"].note == "right about 57% of the texts for the ensemble"
        and by_name["fasttext"].mark == "57%"
    )
    assert recognised("lid.176", "tlh") is None and recognised("none", "sw") is None
    for found in every.values():
        assert all(one.share is None or 0 <= one.share <= 1.01 for one in found.coverage)


def test_tags_are_taken_in_any_spelling_and_unknown_ones_are_errors():
    assert [one.language for one in curate.languages("swh_Latn", "zho_Hant")] == ["sw", "zh-Hant"]
    with pytest.raises(InvalidLanguage, match="'klingonese'"):
        curate.languages("klingonese")
    done = CliRunner().invoke(app, ["languages", "klingonese"])
    assert done.exit_code == 1 and "'klingonese'" in done.stderr


def test_the_command_prints_one_language_or_a_table_of_all(every):
    one = CliRunner().invoke(app, ["languages", "th"]).stdout
    assert one.startswith("th, Thai\n") and "identifier" in one and "lexicon" in one
    whole = CliRunner().invoke(app, ["languages"]).stdout
    lines = {line.split()[0]: line for line in whole.splitlines() if line.strip() and line[0].isalpha()}
    assert {*every} <= {*lines} and " 57 " in lines["sw"]


def test_a_model_without_its_package_is_named_and_the_others_are_there(monkeypatch):
    from curate.errors import ModelError
    from curate.models.langid.eld import Eld

    def missing(self):
        raise ModelError("'eld' needs the package eldc: pip install 'polycurate[lid]'")

    monkeypatch.setattr(Eld, "labels", missing)
    (found,) = curate.languages("hi")
    assert [message for message in found.missing if "'eld'" in message and "pip install" in message]
    assert ("identifier", "eld") not in covered(found) and covered(found)["identifier", "cld2"]


def test_the_page_of_the_site_has_a_row_for_every_language(every):
    spec = importlib.util.spec_from_file_location("languages_of_the_site", ROOT / "website" / "languages.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    table = [line for line in page.text().splitlines() if line.startswith("|")]
    assert len(table) == len(every) + 2 and len({line.count("|") for line in table}) == 1
    assert any(line.startswith("| `sw` Swahili |") and " 57% " in line for line in table)
