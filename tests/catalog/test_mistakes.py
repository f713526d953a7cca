"""Odd catalogs: whatever stands in the file, the answer is a message with file and line, soon, and never a
traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

import curate
from curate.catalog import CatalogError, find_store
from curate.catalog.document import read_value

BASE = """\
version: 1
sources: {one: {use: numbered, path: [a.txt], license: x}}
datasets:
  first: {from: one, steps: [letters]}
"""


@pytest.fixture
def load(tmp_path: Path, registry):
    def write(text: str, **options):
        (tmp_path / "catalog.yaml").write_text(text, encoding="utf-8")
        return curate.load_catalog(tmp_path / "catalog.yaml", registry=registry, **options)

    return write


def told(load, text: str, **options) -> str:
    with pytest.raises(CatalogError) as caught:
        load(text, **options)
    return str(caught.value)


@pytest.mark.parametrize("given", ["5", "true", "{a: b}", "[5]", "[[a.yaml]]", '"a\\0b"'])
def test_includes_that_name_no_file(load, given):
    assert "catalog.yaml:1: " in told(load, f"include: {given}\n{BASE}")


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nx: " + "[" * 3000 + "]" * 3000,
        "version: 1\nx: " + "{a: " * 3000 + "1" + "}" * 3000,
        "\n".join(" " * depth + "a:" for depth in range(2000)),
        "version: 1\nx: " + "[" * 60 + "]" * 60,
    ],
)
def test_deep_nesting_is_a_message(load, text):
    assert "nested" in told(load, text)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("9" * 5000, "too large"),
        ("99999999999999999999", "too large"),
        (".nan", "not finite"),
        ("-.inf", "not finite"),
        ("1e999", "not finite"),
        ("!!int abc", "'abc' is no number"),
        ("!!float abc", "'abc' is no number"),
        ("!!binary aGk=", "makes an object"),
        ("!!python/name:os.system x", "makes an object"),
        ("!!bool yes", "'yes' is no boolean"),
        ("!!null x", "'x' is no null"),
        ('"\\ud83d x"', "surrogate"),
        ('"a\\0b"', "NUL"),
    ],
)
def test_values_that_no_key_or_manifest_can_hold(load, value, message):
    found = told(load, f"{BASE}variables: {{a: {value}}}\n")
    assert "catalog.yaml:5: " in found and message in found


def test_escaped_pairs_are_the_character_they_stand_for(load):
    catalog = load(BASE.replace("steps:", 'description: "\\ud83d\\ude00 \\u0645", steps:'))
    assert catalog.datasets["first"].description == "😀 م"


def test_keys_with_odd_characters_are_told(load):
    assert "catalog.yaml:5: " in told(load, f'{BASE}variables: {{"\\ud800": 1}}\n')


def test_variables_that_double_or_nest_without_end_are_refused_quickly(load):
    double = "".join(f"  v{n}: '${{variables.v{n + 1}}}${{variables.v{n + 1}}}'\n" for n in range(40))
    nested = "".join(f"  v{n}: '${{variables.v{n + 1}}}'\n" for n in range(1500))
    for variables, last in ((double, 40), (nested, 1500)):
        text = (
            f"version: 1\nvariables:\n{variables}  v{last}: x\nsources: {{s: {{use: numbered, path: "
            "['${variables.v0}'], license: x}}\n"
        )
        assert "variables unfold without end" in told(load, text)


def test_datasets_made_of_many_others_are_checked_quickly(load, registry):
    layers = "".join(
        f"  a{n}: {{from: [a{n - 1}, b{n - 1}]}}\n  b{n}: {{from: [a{n - 1}, b{n - 1}]}}\n" for n in range(1, 40)
    )
    catalog = load(BASE.replace("  first", "  a0: {from: one}\n  b0: {from: one}\n" + layers + "  first"))
    order = catalog.closure("b39")
    assert len(order) == 79 and order[-1] == "b39" and order.index("a3") < order.index("a4")
    assert catalog.needs("b39") == {("sources", "one")}


def test_datasets_in_a_circle_are_still_found(load):
    found = told(load, BASE + "  a: {from: b}\n  b: {from: [one, c]}\n  c: {from: a}\n")
    assert "a → b → c → a" in found


@pytest.mark.parametrize("name", ["rejected", "quarantined"])
def test_a_split_has_no_name_that_means_something_else(load, name):
    assert f"'{name}' is the name of rows that were left out" in told(
        load, BASE.replace("steps: [letters]", f"splits: {{{name}: 0.5, train: 0.5}}")
    )


def test_a_dataset_has_no_name_that_sql_needs(load):
    assert "'memory' is a name that SQL needs" in told(load, BASE.replace("  first", "  memory"))


def test_a_name_too_long_for_a_folder_is_told(load):
    assert "this name has 300 characters; at most 100 fit" in told(load, BASE.replace("  first", f"  {'a' * 300}"))


def test_a_home_that_does_not_exist_is_a_path_like_another(load):
    path = load(BASE.replace("[a.txt]", '["~nobody-of-this-name/x", "~/x"]')).sources["one"].path
    assert path[0].endswith("/~nobody-of-this-name/x") and path[1] == str(Path("~/x").expanduser())
    assert load(f"{BASE}run: {{store: ~/store}}\n").store == Path("~/store").expanduser()


def test_a_store_is_no_folder_with_the_name_of_a_variable(load, monkeypatch):
    text = f"{BASE}run: {{store: '${{CURATE_STORE}}'}}\n"
    assert "the environment variable CURATE_STORE is not set" in told(load, text)
    monkeypatch.setenv("CURATE_STORE", "/somewhere")
    assert load(text).store == Path("/somewhere")


def test_the_store_is_found_though_something_else_is_wrong(tmp_path):
    file = tmp_path / "catalog.yaml"
    (tmp_path / "shared.yaml").write_text(
        "version: 1\nrun: {store: '${variables.where}/store'}\nvariables: {where: /data}\n"
    )
    wrong = f"{BASE.replace('letters', 'lettres')}include: shared.yaml\n"
    file.write_text(wrong)
    assert find_store(file) == Path("/data/store")
    file.write_text(f"{wrong}run: {{stroe: x}}\n")
    with pytest.raises(CatalogError, match="stroe"):
        find_store(file)
    file.write_text("version: 1\n")
    assert find_store(file) == tmp_path / ".curate"


def test_the_environment_may_set_what_changes_no_row_and_nothing_else(load):
    step = BASE.replace("[letters]", "[{letters: {journal: '${JOURNAL:-x}'}}]")
    assert load(step).datasets["first"].steps[0].params.journal == "x"
    for text in (
        BASE.replace("[letters]", "[{letters: {scale: '${SCALE:-2}'}}]"),
        BASE.replace("[letters]", "[{letters: {as: '${NAME:-x}'}}]"),
        BASE.replace("from: one", "from: '${FROM:-one}'"),
        BASE.replace("use: numbered", "use: '${USE:-numbered}'"),
    ):
        assert "may not depend on the environment" in told(load, text)


@pytest.mark.parametrize("given", ["null", "[1]", "5"])
def test_parameters_that_are_no_mapping_are_told_in_plain_words(load, given):
    assert "catalog.yaml:5: parameters are a mapping" in told(load, f"{BASE}  second: {given}\n")


def test_variables_inside_variables_can_be_set(load):
    text = (
        BASE.replace("path: [a.txt]", "path: ['${variables.files.one}']")
        + "variables: {files: {one: a.txt, two: b.txt}}\n"
    )
    assert load(text, variables={"variables.files.one": "c.txt"}).sources["one"].path[0].endswith("/c.txt")
    for name in ("variables.files.three", "variables", "files.one", "variables.files.one.x", "", "run.workers"):
        assert f"there is no variable '{name}'" in told(load, text, variables={name: 1})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[sw, no]", ["sw", "no"]),
        ("1:30", "1:30"),
        ("0.5", 0.5),
        ("", None),
        ("2026-01-01", "2026-01-01"),
        ("a: b", {"a": "b"}),
    ],
)
def test_one_value_follows_the_rules_of_the_file(text, value):
    assert read_value(text, "--set x") == value
    with pytest.raises(CatalogError, match="--set x:1: not valid YAML"):
        read_value("[", "--set x")


TAGS = (
    "!!python/object/apply:os.system",
    "!!python/name:os.system",
    "!!python/tuple",
    "!!set",
    "!!omap",
    "!!pairs",
    "!mine",
    "!!str",
    "!!int",
    "!<tag:else.org,2002:map>",
)
PLACES = {
    "a list": "datasets: {first: {from: %s [one]}}",
    "a mapping": "datasets: %s {first: {from: one}}",
    "a list in a list": "variables: {x: [1,\n [2, %s [3]]]}",
    "a mapping in a list": "variables: {x: [1, %s {a: 1}]}",
    "a key": "variables: {%s x: 1}",
    "a merge": "variables: {<<: %s {a: 1}}",
    "the whole": "%s {a: 1}",
    "an alias": "variables: {x: &a %s [1], y: *a}",
}


@pytest.mark.parametrize(
    ("place", "tag"),
    # A key is a text, whatever these two say.
    [(place, tag) for place in PLACES for tag in TAGS if place != "a key" or tag not in ("!!str", "!!int")],
)
def test_tags_are_errors_wherever_they_stand(load, place, tag):
    text = (
        (PLACES[place] % tag)
        if place == "the whole"
        else f"{BASE.replace('datasets:', 'unused:').partition('unused:')[0]}{PLACES[place] % tag}\n"
    )
    line = text[: text.index(tag)].count("\n") + 1
    shown = tag.removeprefix("!<").removesuffix(">")
    assert f"catalog.yaml:{line}: the tag {shown} makes an object" in told(load, text)


def test_tags_that_say_what_is_there_anyway_are_none(load):
    assert read_value("!!map {a: !!seq [!!str 5, !!int 5, !!float 5, !!bool true, !!null null]}", "x") == {
        "a": ["5", 5, 5.0, True, None]
    }


@pytest.mark.parametrize("point", [1, 7, 27, 127, 0x9B, 0xFFFE])
def test_a_character_that_yaml_does_not_allow_is_told_with_its_line(load, point):
    text = BASE.replace("first", f"fi{chr(point)}rst")
    assert f"catalog.yaml:4: not valid YAML: the character U+{point:04X} may not stand here" in told(load, text)
