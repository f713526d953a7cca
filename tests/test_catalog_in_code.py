"""Catalogs built in code: what they say, where their mistakes are, and what editors know of them."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import curate
from curate.api.components import DatasetMethods
from curate.catalog import CatalogError
from curate.errors import BuildError
from curate.steps import Registry
from tests.stubs import STUB, stub

HERE = Path(__file__).name
ROWS = """\
{"prompt": "Habari ya asubuhi, rafiki yangu?", "response": "Nzuri sana, asante. Leo nitakwenda sokoni."}
{"prompt": "كيف حالك اليوم؟", "response": "أنا بخير والحمد لله، شكرا لك على السؤال."}
{"prompt": "ทำไมท้องฟ้าเป็นสีฟ้า", "response": ""}
"""


@pytest.fixture
def catalog(tmp_path, monkeypatch) -> curate.Catalog:
    """One source in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(ROWS, encoding="utf-8")
    made = curate.Catalog(run={"workers": 1})
    return made.source("talk", "jsonl", path=Path("rows.jsonl"), language="detect", license="CC0-1.0")


def line(mark: str) -> int:
    """The line of this file that ends with a mark."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, one in enumerate(lines, 1) if one.endswith(f"# {mark}"))


def test_what_is_said_in_code_is_what_its_file_says(catalog, tmp_path):
    first = catalog.dataset("first", splits={"train": 0.9, "test": 0.1}, seed=3).from_("talk").shape()
    second = (
        catalog.dataset("second")
        .from_(first)
        .language(min={"default": 0.3, "sw": None}, as_="lid")
        .keep(language=["sw", "ar"])
        .output("trl")
    )
    catalog.to_yaml("catalog.yaml")
    read = curate.load_catalog("catalog.yaml")
    assert read.datasets["first"].splits == {"train": 0.9, "test": 0.1} and read.datasets["first"].seed == 3
    assert read.datasets["second"].inputs == ("first",)
    assert [use.label for use in read.datasets["second"].steps] == ["lid", "keep"]
    assert read.datasets["second"].steps[0].params.min["sw"] is None
    assert [use.params for use in read.datasets["second"].steps] == [
        use.params for use in catalog.datasets["second"].steps
    ]
    assert read.to_yaml() == catalog.to_yaml()
    built = second.build(progress=False)
    assert curate.dataset(built).to_polars()["language"].sort().to_list() == ["ar", "sw"]
    (tmp_path / "catalog.yaml").rename(tmp_path / "other.yaml")
    assert [one.version for one in curate.build("other.yaml")][-1] == built.version


def test_a_mistake_is_told_where_it_was_made_and_with_the_word_that_was_meant(catalog):
    made = catalog.dataset("mine").from_("talk")
    with pytest.raises(CatalogError) as found:
        (
            made.shape().language(mim=0.5)  # wrong parameter
        )
    assert str(found.value).startswith(
        f"{Path(__file__)}:{line('wrong parameter')}, mine.language: unknown key 'mim'; did you mean 'min'?"
    )
    assert [use.label for use in catalog.datasets["mine"].steps] == ["detect_language", "shape"]  # it was not added
    with pytest.raises(CatalogError, match=rf"{HERE}:\d+, source rows: no source is called 'jsonlines'; did you mean"):
        catalog.source("rows", "jsonlines", path="x")
    with pytest.raises(CatalogError, match=rf"{HERE}:\d+, mine.language: min: 'english' is not a BCP-47"):
        made.language(min={"english": 0.5})
    with pytest.raises(CatalogError, match=rf"{HERE}:\d+, mine.shape: this dataset already has a step 'shape'"):
        made.shape()
    with pytest.raises(CatalogError, match=rf"{HERE}:\d+, dataset odd: splits: the shares add up to 0.3, not 1"):
        catalog.dataset("odd", splits={"train": 0.3})
    with pytest.raises(
        CatalogError, match=r"dataset mine: 'mine' is already the name of one of the datasets .*, dataset"
    ):
        catalog.dataset("mine")
    with pytest.raises(CatalogError, match=r"mine\.keep: a catalog holds only texts"):
        made.keep(min_tokens=object())
    with pytest.raises(CatalogError, match=rf"{HERE}:\d+, run: workers: Input should be greater"):
        curate.Catalog(run={"workers": 0})
    with pytest.raises(AttributeError, match="no step is called 'translat'; did you mean 'translate'"):
        made.translat()
    with pytest.raises(AttributeError, match="a catalog has no 'soruce'; did you mean 'source'"):
        catalog.soruce  # noqa: B018


def test_mistakes_between_calls_are_told_when_the_catalog_is_used(catalog):
    catalog.dataset("mine").from_("tlak")  # unknown input
    problem = f"{Path(__file__)}:{line('unknown input')}, mine.from: no source or dataset is called 'tlak'"
    for used in (lambda: catalog.datasets, catalog.build, lambda: curate.plan(catalog), catalog.to_yaml):
        with pytest.raises(CatalogError) as found:
            used()
        assert str(found.value).startswith(problem)
    assert problem in repr(catalog) and "not valid yet" in catalog._repr_html_()


def test_variables_stay_in_the_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    made = curate.Catalog(languages={"targets": ["sw", "ar"]}, variables={"least": 0.4})
    made.source("talk", "jsonl", path="rows.jsonl", language="en", license="CC0-1.0")
    made.dataset("mine").from_("talk").language(min="${variables.least}").translate(
        to="${languages.targets}", model="bergamot"
    )
    assert made.datasets["mine"].steps[1].params.to == ("sw", "ar")
    assert made.datasets["mine"].steps[0].params.min["sw"] == 0.4
    assert "to: '${languages.targets}'" in made.to_yaml()
    with pytest.raises(CatalogError, match="min: Input should be less than or equal to 1"):
        curate.Catalog(variables={"least": 4}).dataset("other").language(min="${variables.least}")


def test_a_file_is_read_and_added_to(catalog):
    catalog.dataset("first").from_("talk").shape()
    catalog.to_yaml("catalog.yaml")
    read = curate.load_catalog()
    assert isinstance(read, curate.Catalog) and read.file.name == "catalog.yaml"
    read.dataset("more").from_("first").language()
    assert list(read.datasets) == ["first", "more"] and "include: catalog.yaml" in read.to_yaml()
    assert list(curate.Catalog(include="catalog.yaml").datasets) == ["first"]


def test_a_file_in_another_folder_names_the_same_files(catalog, tmp_path):
    (tmp_path / "lengths.py").write_text(
        "import curate\n\n@curate.filter(min=3)\ndef letters(text):\n    return len(text)\n"
    )
    (tmp_path / "deep").mkdir()
    catalog.to_yaml("base.yaml")
    made = curate.Catalog(include="base.yaml", plugins="./lengths.py", run={"store": "store"})
    made.dataset("mine").from_("talk").letters(min=4)
    made.to_yaml("deep/catalog.yaml")
    read = curate.load_catalog("deep/catalog.yaml")
    assert read.sources["talk"].path == made.sources["talk"].path and read.store.resolve() == made.store.resolve()
    assert {"include: ../base.yaml", "plugins: ../lengths.py"} <= {
        *(tmp_path / "deep/catalog.yaml").read_text().split("\n")
    }
    catalog.to_yaml("deep/alone.yaml")
    assert "path: ../rows.jsonl" in (tmp_path / "deep/alone.yaml").read_text()
    with pytest.raises(BuildError, match="cannot be written"):
        catalog.to_yaml("nowhere/catalog.yaml")


def test_a_cell_that_runs_again_replaces_what_it_made(catalog, monkeypatch):
    monkeypatch.setattr("curate.api.catalog.in_notebook", lambda: True)
    for least in (1, 2):
        catalog.source("talk", "jsonl", path="rows.jsonl", language="detect", license="CC0-1.0")
        catalog.dataset("mine").from_("talk").shape(min_chars=least)
    (step,) = [use for use in catalog.datasets["mine"].steps if use.name == "shape"]
    assert step.params.min_chars[""] == 2


def test_forgotten_rows_stay_away_from_a_catalog_that_is_in_memory(catalog):
    made = catalog.dataset("mine").from_("talk").shape()
    row = curate.dataset(made.build(progress=False)).to_polars()["id"][0]
    curate.forget(rows=[row], catalog=catalog)
    again = made.build(progress=False)
    assert again.rows == 1 and row not in curate.dataset(again).to_polars()["id"]


def test_notebooks_complete_steps_and_their_parameters(catalog):
    made = catalog.dataset("mine").from_("talk")
    assert {"language", "translate", "output", "from_"} <= set(dir(made))
    signature = inspect.signature(made.language)
    assert signature.parameters["min"].default.default == 0.3 and signature.parameters["as_"].default == "language"
    assert inspect.signature(made.translate).parameters["to"].default is inspect.Parameter.empty
    assert (inspect.getdoc(made.translate) or "").startswith("Translates rows into other languages.")
    made.language(min=0.5, as_="lid")
    assert repr(made) == "<DatasetSteps mine: lid>" and "min=0.5" in made._repr_html_()


# -------------------------------------------------------------------------------------------------------------- editors
def test_the_stub_is_fresh_and_has_every_installed_step():
    """After a change of parameters: `python -m tests.stubs`."""
    assert STUB.read_text(encoding="utf-8") == stub(Registry.installed())
    for name in Registry.installed().names("step"):
        assert not hasattr(DatasetMethods, name), f"the step '{name}' is hidden by a method; use another name"


@pytest.mark.slow
def test_a_type_checker_knows_steps_parameters_and_their_values(tmp_path):
    (tmp_path / "typed.py").write_text(
        """\
import curate
cat = curate.Catalog(run={"workers": 1})
cat.source("talk", "jsonl", path="rows.jsonl", language="detect", license="CC0-1.0").model("mt", "bergamot")
ds = cat.dataset("x").from_("talk").shape().language(min={"default": 0.5, "sw": None}, as_="lid").output("trl")
ds.translate(to=["sw"], model="mt", sampling={"temperature": 0.5}).step("of_a_plugin", min=1).build()
reveal_type(ds)
ds.languag()
ds.language(mim=0.5)
ds.language(min="high")
cat.source("s", "jsonlines", path="x")
cat.soruce
""",
        encoding="utf-8",
    )
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", "--config-file=", "typed.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    ).stdout  # fmt: skip
    said = {int(one.split(":")[1]): one for one in found.splitlines() if ": error:" in one}
    assert list(said) == [7, 8, 9, 10, 11], found
    assert 'Revealed type is "curate.api.catalog.DatasetSteps"' in found
    assert 'no attribute "languag"' in said[7] and 'keyword argument "mim" for "language"' in said[8]
    assert 'expected "float | Mapping[str, float | None] | None"' in said[9] and 'no attribute "soruce"' in said[11]
