"""Every recipe builds, its rows pass its statements, each statement can fail, and its README shows rows that it has."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

import curate
from curate.api import recipes as api
from curate.api.recipes import new_from_recipe, recipe, recipes
from curate.cli.main import app
from curate.errors import RecipeError
from tests.recipes import ROWS, BuiltRecipe
from tests.servers.llm import FaultServer, Reply

ROOT = Path(__file__).resolve().parents[1]
IDS = [one.id for one in recipes()]
FEW = ("code-switch-input", "self-consistency", "translation-following")
"""Those that `make test` builds."""


@pytest.mark.parametrize("name", [pytest.param(one, marks=[] if one in FEW else [pytest.mark.recipes]) for one in IDS])
def test_a_recipe_builds_what_it_says(tmp_path, name):
    built = BuiltRecipe(name, tmp_path)
    assert built.verified.failed == ()
    assert built.that_cannot_fail() == []
    [(_, block)] = ROWS.findall(built.recipe.text)
    lines = [json.loads(line) for line in block.splitlines()]
    assert len(lines) == 3
    every = [row for one in built.verified.built for row in built.rows(one.dataset)]
    for line in lines:
        assert any(line.items() <= row.items() for row in every), f"README shows a row that is not built: {line}"


@pytest.mark.parametrize("name", [pytest.param(one, marks=[] if one in FEW else [pytest.mark.recipes]) for one in IDS])
def test_a_recipe_can_be_written_as_a_catalog_of_ones_own(tmp_path, name):
    catalog = new_from_recipe(name, tmp_path / "made")
    assert "../.." not in catalog.read_text(encoding="utf-8")
    assert not curate.plan(catalog).idle


def test_recorded_answers_give_way_to_a_server(tmp_path):
    with pytest.raises(RecipeError, match="the recorded answers are to the demo data only; give a server and a model"):
        new_from_recipe("self-translate", tmp_path / "made", language="hi")
    with pytest.raises(RecipeError, match="give both, a server"):
        new_from_recipe("self-translate", tmp_path / "made", writer="http://127.0.0.1:1")
    with pytest.raises(RecipeError, match="there is no 'writr'; did you mean 'writer'"):
        new_from_recipe("self-translate", tmp_path / "made", writer="http://127.0.0.1:1", models=["writr=m"])
    catalog = new_from_recipe("self-translate", tmp_path / "made", writer="http://127.0.0.1:1", models=["owner/model"])
    model = curate.load_catalog(catalog).models["writer"]
    assert (model.use, model.url, model.model) == ("openai", "http://127.0.0.1:1", "owner/model")
    assert not (tmp_path / "made" / "answers.jsonl").exists()


@pytest.mark.parametrize("name", IDS)
def test_a_recipe_is_described_and_has_slots_that_can_be_set(name):
    found = recipe(name)
    assert found.head.papers and found.head.kinds and found.text.startswith(f"# {name}\n")
    assert "**At scale.**" in found.text and "**Ours differs.**" in found.text
    assert all(one.says for one in found.expectations) and len(found.expectations) >= 2
    assert len({one.says for one in found.expectations}) == len(found.expectations)
    values = yaml.safe_load(found.catalog)
    again = yaml.safe_load(api._with_slots(found.catalog, dict.fromkeys(found.slots, "set")))
    assert again["variables"] == dict.fromkeys(found.slots, "set")
    assert again == {**values, "variables": again["variables"]}
    assert {match[2] for match in api._RECORDED.finditer(found.catalog)} == set(found.models)
    assert (found.head.needs == "language model") == bool(found.models)
    assert (found.folder / "answers.jsonl").exists() == bool(found.models)


def test_recipes_are_found_by_any_word_of_their_heads():
    assert [one.id for one in recipes("LinguaLIFT")] == ["code-switch-input"]
    assert {one.id for one in recipes()} == {path.parent.name for path in ROOT.glob("recipes/*/README.md")}
    assert recipes("no such method") == []
    with pytest.raises(RecipeError, match="no recipe is called 'code-swich-input'; did you mean 'code-switch-input'"):
        recipe("code-swich-input")


def test_a_new_catalog_reads_ones_own_rows_and_builds(tmp_path):
    rows = [
        {"instruction": "Quelle est la capitale du Kenya ?", "output": "Nairobi."},
        {"instruction": "Pourquoi le ciel est-il bleu ?", "output": "La lumière bleue est diffusée."},
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "mots.tsv").write_text("ciel\tanga\ncapitale\tmji mkuu\n")
    catalog = new_from_recipe(
        "code-switch-input",
        tmp_path / "made",
        data=str(tmp_path / "mine.jsonl"),
        language="fr",
        to=["sw"],
        slots={"words": str(tmp_path / "mots.tsv")},
    )
    assert "# rows with prompt and response" in catalog.read_text()
    built = {one.dataset: one for one in curate.build(catalog)}
    assert built["code-switch-input"].rows == 2
    switched = curate.query('SELECT messages[1].content AS prompt, language FROM "code-switch-input"', catalog=catalog)
    assert set(switched["prompt"]) == {"Quelle est la mji mkuu du Kenya ?", "Pourquoi le anga est-il bleu ?"}
    assert set(switched["language"]) == {"fr"}
    assert set(curate.query("SELECT license FROM curate.sources", catalog=catalog)["license"]) == {"unknown"}
    # It can be moved: nothing in it but the two files that were named.
    assert not (tmp_path / "made" / "data").exists()


@pytest.mark.parametrize("file", ["mine.csv", "mine.parquet", "mine.jsonl.gz", "mine.TSV"])
def test_the_source_reads_what_the_file_is(tmp_path, file):
    rows = pl.DataFrame({"instruction": ["ทำไมท้องฟ้าจึงเป็นสีฟ้า", "What is the sky?"], "output": ["เพราะอากาศ", "Air."]})
    path = tmp_path / file
    match file.lower().split(".")[1]:
        case "csv":
            rows.write_csv(path)
        case "tsv":
            rows.write_csv(path, separator="\t")
        case "parquet":
            rows.write_parquet(path)
        case "jsonl":
            path.write_bytes(gzip.compress(rows.write_ndjson().encode()))
    catalog = new_from_recipe("code-switch-input", tmp_path / "made", data=str(path), slots={"license": "CC-BY-4.0"})
    assert {one.dataset: one.rows for one in curate.build(catalog)} == {"original": 2, "code-switch-input": 1}
    sources = curate.query("SELECT license, unit FROM curate.sources WHERE dataset = 'original'", catalog=catalog)
    assert sources.rows() == [("CC-BY-4.0", file)]


def test_a_new_catalog_without_own_rows_has_the_demo_data_beside_it(tmp_path):
    catalog = new_from_recipe("code-switch-input", tmp_path / "made")
    assert "../.." not in catalog.read_text()
    shutil.move(tmp_path / "made", tmp_path / "moved")
    assert all(one.rows for one in curate.build(tmp_path / "moved" / "catalog.yaml"))


def test_a_new_catalog_asks_ones_own_server_about_ones_own_rows(tmp_path):
    rows = [
        {"question": "Ilé mẹ́ta ní ìlẹ̀kùn méjì. Mélòó ni?", "solution": "6"},
        {"question": "有五个苹果，吃了两个。还有几个？", "solution": "3"},
    ]
    (tmp_path / "mine.jsonl").write_text(
        "".join(json.dumps(row | {"lang": lang}) + "\n" for row, lang in zip(rows, ("yo", "zh"), strict=True))
    )
    answer = Reply("Understand: a sum.\nSolve: 2 × 3 = 6.\nTranslate: 6")
    with FaultServer(lambda body, times: answer) as server:
        catalog = new_from_recipe(
            "understand-solve-translate",
            tmp_path / "made",
            data=str(tmp_path / "mine.jsonl"),
            language="{lang}",
            to=["yo", "zh"],
            writer=server.url,
            models=["some/model"],
            slots={"samples": 1},
        )
        [built] = curate.build(catalog)
    assert server.asked == {row["question"]: 1 for row in rows}
    assert not (tmp_path / "made" / "answers.jsonl").exists()
    # Six is right for the first question only.
    assert built.rows == 1
    kept = curate.query(
        'SELECT language, messages[1].content AS asked FROM "understand-solve-translate"', catalog=catalog
    )
    assert kept.rows() == [("yo", rows[0]["question"])]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"language": "sw"}, "the recorded answers are to the demo data only"),
        ({"writer": "http://127.0.0.1:1"}, "give both, a server"),
        ({"writer": "http://127.0.0.1:1", "models": ["techer=a", "student=b"]}, "no 'techer'; did you mean 'teacher'"),
        ({"writer": "http://127.0.0.1:1", "models": ["teacher=a"]}, "no model is given for student"),
    ],
)
def test_a_recipe_with_language_models_says_what_it_wants(tmp_path, arguments, message):
    with pytest.raises(RecipeError, match=message):
        new_from_recipe("iterative-gap", tmp_path / "made", **arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slots": {"wrods": "x"}}, "has no slot 'wrods'; did you mean 'words'"),
        ({"data": "nowhere.jsonl"}, "there is no file or folder nowhere.jsonl"),
        ({"writer": "http://127.0.0.1:1"}, "asks no language model"),
    ],
)
def test_what_a_recipe_does_not_have_is_an_error_and_writes_nothing(tmp_path, arguments, message):
    with pytest.raises(RecipeError, match=message):
        new_from_recipe("code-switch-input", tmp_path / "made", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_value_is_found_when_it_is_written(tmp_path):
    with pytest.raises(curate.CatalogError, match="qqqqq"):
        new_from_recipe("code-switch-input", tmp_path / "made", to=["qqqqq-nonsense"])
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RecipeError, match="is there already"):
        new_from_recipe("code-switch-input", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    assert all(name in run.invoke(app, ["recipes"]).stdout for name in IDS)
    assert run.invoke(app, ["recipes", "lingualift"]).stdout.split()[:3] == ["code-switch-input", "sft", "nothing"]
    said = run.invoke(app, ["recipes", "code-switch-input"]).stdout
    assert said.startswith("# code-switch-input\n") and "code_switch: {table: words" in said
    assert "did you mean" in run.invoke(app, ["recipes", "code-switch-inputs"]).stderr
    done = run.invoke(app, ["new", "code-switch-input", "--set", "ratio=0.5", "--folder", "mine"])
    assert done.exit_code == 0, done.stderr
    assert "ratio: 0.5 " in Path("mine/catalog.yaml").read_text()
    assert "next: read mine/catalog.yaml, then: curate build -c mine/catalog.yaml" in done.stdout
    assert "read english: read 1 of 1; new" in done.stdout  # the plan


def test_a_new_catalog_of_a_recipe_on_the_command_line(tmp_path, monkeypatch):
    """``curate new RECIPE --data … --language … --to …`` writes a folder of the recipe's name; a file comes first."""
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    for tag, text in {"sw": "Habari ya asubuhi", "hi": "सुप्रभात", "ta": "காலை வணக்கம்"}.items():
        Path("mine").mkdir(exist_ok=True)
        row = {"item": 1, "instruction": text, "output": f"{text}!"}
        Path(f"mine/{tag}.jsonl").write_text(json.dumps(row) + "\n")
    asked = ["--data", "mine", "--language", "sw", "--to", "hi, ta"]
    done = run.invoke(app, ["new", "pinch", *asked, "--set", "rows=1"])
    assert done.exit_code == 0, done.stderr
    variables = yaml.safe_load(Path("pinch/catalog.yaml").read_text())["variables"]
    assert (variables["language"], variables["to"], variables["rows"]) == ("sw", ["hi", "ta"], 1)
    assert curate.load_catalog("pinch/catalog.yaml").sources.keys() == {"rows_sw", "rows_hi", "rows_ta"}
    wrong = run.invoke(app, ["new", "pinch", *asked, "--to", "hi,am", "--folder", "b"])
    assert wrong.exit_code == 1 and "am.jsonl" in wrong.stderr and not Path("b").exists()
    wrong = run.invoke(app, ["new", "pinch", *asked, "--writer", "http://127.0.0.1:1", "--model", "m", "--folder", "b"])
    assert "pinch asks no language model" in wrong.stderr
    assert "is called 'curate new' now" in run.invoke(app, ["recipes", "new", "pinch"]).stderr
    wrong = run.invoke(app, ["new", "pinc", *asked])
    assert "no recipe is called 'pinc'; did you mean 'pinch'" in wrong.stderr
    assert "no file or recipe 'pinc'; did you mean 'pinch'" in run.invoke(app, ["new", "pinc"]).stderr
    wrong = run.invoke(app, ["new", "mine/sw.jsonl", "mine/hi.jsonl", "--to", "b"])
    assert "--to is for one recipe, not for files; the folder is --folder" in wrong.stderr
    Path("romanise").mkdir()
    shutil.copy("mine/sw.jsonl", "romanise")
    done = run.invoke(app, ["new", "romanise", "--language", "sw", "--folder", "c"])
    assert done.exit_code == 0, done.stderr
    assert "romanise" in Path("c/catalog.yaml").read_text() and "language: sw" in Path("c/catalog.yaml").read_text()
    assert not Path("b").exists()


def test_verify_says_what_does_not_hold(tmp_path, monkeypatch):
    home = tmp_path / "home"
    shutil.copytree(ROOT / "data", home / "data")
    shutil.copytree(ROOT / "recipes" / "code-switch-input", home / "recipes" / "code-switch-input")
    monkeypatch.setattr(api, "HOME", home)
    with (home / "recipes" / "code-switch-input" / "expect.sql").open("a") as file:
        file.write("\n-- There are no rows.\nSELECT language FROM original;\n")
    done = CliRunner().invoke(app, ["recipes", "--verify", "code-switch-input"])
    assert done.exit_code == 1
    assert "5 of 6 statements hold" in done.stdout
    assert "does not hold: There are no rows. (28 rows)" in done.stderr and '{"language": "en"}' in done.stderr


def test_a_recipe_takes_another_installed_model_and_says_which_there_are(tmp_path):
    # es-pt is packaged for Apertium; Bergamot, which the recipe uses, has en-pt.
    made = new_from_recipe("translate-train", tmp_path / "es", language="es", to=["pt"], models=["translator=apertium"])
    assert "  translator: {use: apertium}\n" in made.read_text(encoding="utf-8")
    with pytest.raises(RecipeError, match=r"'apertum' is not a translator that is installed; did you mean 'apertium'"):
        new_from_recipe("translate-train", tmp_path / "b", models=["translator=apertum"])
    with pytest.raises(RecipeError, match=r"--model sets translator=NAME"):
        new_from_recipe("translate-train", tmp_path / "c", models=["writer=x"])
    with pytest.raises(curate.CatalogError, match=r"does not translate en → sw .* a wide translator such as NLLB"):
        new_from_recipe("translate-train", tmp_path / "d", to=["sw"])
    assert not (tmp_path / "d").exists()
