from __future__ import annotations

import copy
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from curate.errors import PublishError, StoreError
from curate.rows import narrow, schema
from curate.steps.outputs import Version
from outputs.card.card import about, card
from outputs.card.header import check, languages, parse, size_category
from outputs.card.markdown import code, plain, prose, table
from outputs.card.sections import unassessed
from outputs.licensing.licenses import load_licenses
from outputs.publishing.layout import plan_layout
from outputs.publishing.targets import TargetAddress

sys.path.insert(0, str(Path(__file__).parent))
from shop import Shop, shared_shop

BOOK = load_licenses()
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    yield shared_shop(tmp_path_factory.getbasetemp())


def texts(markdown: str) -> list[str]:
    """What a reader sees, block by block; markup that was let through shows as tags."""
    found = []
    for token in MARKDOWN.parse(markdown):
        if token.type == "inline":
            found.append(
                "".join(
                    child.content if child.type in ("text", "code_inline") else f"<{child.type}>"
                    for child in token.children or []
                )
            )
        elif token.type not in ("paragraph_open", "paragraph_close"):
            found.append(f"<{token.type}>")
    return found


def body(made: str) -> str:
    return made.split("\n---\n", 1)[1]


def cells(made: str, title: str) -> list[list[str]]:
    """The first table of a section, cell by cell, markup taken off."""
    part = re.split(r"^## ", body(made), flags=re.M)
    [section] = [one for one in part if one.startswith(f"{title}\n")]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in rows if not set(line) <= set("|-: ")
    ]


# ------------------------------------------------------------------------------------------------------------- markdown
@given(st.text(max_size=80))
@example("# a | b `c` *d* _e_ <script>x</script> [f](javascript:g) &amp; ~~h~~ $i$")
@example("1. x")
@example("- x")
@example("===")
@example("    indented")
@example("![a](b) <!-- c --> http://evil.example www.evil.example a@b.example")
@example("ما هذا؟ \u202e`|`")
def test_any_text_is_shown_as_it_is_and_nothing_else(text: str) -> None:
    said = plain(text)
    if said:
        shown = [one.translate({0x2068: None, 0x2069: None}) for one in texts(prose(text))]
        assert shown == [said.translate({0x2068: None, 0x2069: None})]
        row = "\n".join(table(["a", "b"], [[prose(text), code(text)], ["x", "y"]]))
        inside = [one for one in texts(row) if not one.startswith("<t")]
        assert len(inside) == 6 and inside[4:] == ["x", "y"]
        assert inside[3].translate({0x2068: None, 0x2069: None}).split() == said.split()


def test_addresses_in_data_become_no_links() -> None:
    gfm = MarkdownIt("gfm-like", {"linkify": False}).enable("table")
    assert "<a" not in gfm.render(prose("see http://evil.example or www.evil.example"))
    assert "://" not in prose("http://evil.example") and "www." not in prose("www.evil.example")


def test_text_from_right_to_left_stands_between_isolates() -> None:
    assert prose("مرحبا") == "\u2068مرحبا\u2069" and code("שלום") == "\u2068`שלום`\u2069" and prose("hi") == "hi"
    assert "\u202e" not in prose("a\u202eb") and plain("a\u2066b\u2069c") == "abc"


# --------------------------------------------------------------------------------------------------------------- header
@pytest.mark.parametrize(
    ("rows", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (10**6, "1M<n<10M"), (10**13, "n>1T")],
)
def test_the_size_category_is_the_one_of_the_rows(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_languages_are_codes_of_the_hub_and_tags_where_these_say_more() -> None:
    assert languages(["sw", "en"]) == {"language": ["sw", "en"]}
    assert languages(["hi-Latn", "hi", "und", "no"]) == {
        "language": ["hi", "no"],
        "language_bcp47": ["hi-Latn", "hi", "no"],
    }
    assert languages(["und"]) == {}


def test_the_header_is_computed_and_the_library_reads_it(shop: Shop) -> None:
    from huggingface_hub import DatasetCard

    made = card(about(shop.store, "talk"))
    read = DatasetCard(made).data.to_dict()
    assert read == parse(made)
    assert (
        sorted(read["language"]) == ["ar", "th", "zh"]
        and read["license"] == "cc0-1.0"
        and read["multilinguality"] == ["multilingual"]
    )
    assert (
        read["size_categories"] == ["n<1K"]
        and read["task_categories"] == ["text-generation"]
        and "synthetic" not in read["tags"]
    )
    assert [one["config_name"] for one in read["configs"]] == ["default", *sorted(["ar", "th", "zh"])]
    assert read["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/*/train-*.parquet"},
        {"split": "test", "path": "data/*/test-*.parquet"},
    ]
    assert check(made, BOOK) == []


def test_one_language_is_one_configuration_and_no_code_becomes_a_truth_value(shop: Shop, tmp_path: Path) -> None:
    read = parse(card(about(shop.store, "plain")))
    assert [one["config_name"] for one in read["configs"]] == ["default"] and read["configs"][0]["data_files"][0][
        "path"
    ] == "data/train-*.parquet"
    version = about(shop.store, "plain")
    other = replace(version, manifest={**version.manifest, "languages": {"no": 15}, "name": "on"})
    assert parse(card(other))["language"] == ["no"]


def test_what_the_hub_would_refuse_is_found_before(shop: Shop) -> None:
    made = card(about(shop.store, "talk"))
    for old, new, said in (
        ("- ar\n", "- arabic\n", "ISO 639"),
        ("cc0-1.0", "cc-zero", "'cc-zero' is not a licence name"),
        ("n<1K", "small", "size_categories"),
        ("config_name: th", "config_name: a/b", "cannot be a name"),
        ("config_name: th", "config_name: ar", "twice"),
        ("license: cc0-1.0", "license: other", "license_name"),
    ):
        assert said in " ".join(check(made.replace(old, new, 1), BOOK)), new
    assert check("no header", BOOK) and check("---\n{\n---\n", BOOK)


# ----------------------------------------------------------------------------------------------------------------- body
def test_the_numbers_are_those_of_the_manifest(shop: Shop) -> None:
    version = about(shop.store, "talk")
    made = card(version)
    splits = version.manifest["splits"]
    counts = {row[0]: [int(cell) for cell in row[1:]] for row in cells(made, "Languages and splits")[1:]}
    for language, total in version.manifest["languages"].items():
        assert counts[language] == [
            splits["train"]["languages"].get(language, 0),
            splits["test"]["languages"].get(language, 0),
            total,
        ]
    assert (
        counts["**all**"]
        == [splits["train"]["rows"], splits["test"]["rows"], version.manifest["rows"]]
        == [*counts["**all**"][:2], 45]
    )
    assert [[row[0], row[-1]] for row in cells(made, "Sources")[1:]] == [
        ["arabic", "15"],
        ["chinese", "15"],
        ["thai", "15"],
    ]
    assert [row[0] for row in cells(made, "Rows kept per language")[1:]] == ["ar", "th", "zh"]
    assert "Kept all 45 rows" in made and "`max_chars` = `400`" in made and version.version in made
    assert "Questions in &lt;three&gt; scripts \\|" in made and "عربي" in made


def test_the_same_version_gives_the_same_card(shop: Shop) -> None:
    version = about(shop.store, "talk")
    assert card(version) == card(version) != card(version, place=TargetAddress("hub", "mtu/talk"))


def test_a_card_says_how_to_load_it_from_where_it_stands(shop: Shop) -> None:
    version = about(shop.store, "talk")
    hub, url, folder = (
        card(version, place=TargetAddress(form, address))
        for form, address in (("hub", "mtu/talk"), ("url", "s3://b/talk"), ("folder", "./talk"))
    )  # type: ignore[arg-type]
    assert f'load_dataset("mtu/talk", split="train", revision="v-{version.version}")' in hub
    assert f"hf://datasets/mtu/talk@v-{version.version}/data/*/train-*.parquet" in hub and "author = {{mtu}}" in hub
    assert (
        'data_files="s3://b/talk/data/*/train-*.parquet"' in url and 'load_dataset("./talk", split="train")' in folder
    )
    assert "revision" not in folder.split("## Columns")[0]


def test_licences_that_stand_against_it_are_told_with_the_reason(shop: Shop) -> None:
    version = about(shop.store, "mixed")
    made = card(version)
    assert parse(made)["license"] == "other" and check(made, BOOK) == []
    assert (
        "licences do not permit publishing this dataset as it is" in made and "3 rows of 'web' under 'unknown'" in made
    )
    told = card(version, override="the *owner* wrote to us")
    assert "the \\*owner\\* wrote to us" in told and "may not be published" not in told


def hostile(version: Version) -> Version:
    manifest: dict[str, Any] = copy.deepcopy(dict(version.manifest))
    bad = "</td><script>alert(1)</script> | `x` \n# heading\n[a](javascript:b) \u202e![i](http://evil.example/x.png)"
    manifest["description"] = bad
    manifest["warnings"], manifest["alarms"] = [bad], [bad]
    manifest["audits"] = {
        bad: [
            {
                "subject": bad,
                "language": "ar",
                "figure": bad,
                "value": 0.25,
                "low": 0.1,
                "high": 0.4,
                "rows": 7,
                "note": bad,
            }
        ]
    }
    manifest["recipe"]["steps"][0]["params"] = {bad: bad, "list": [bad]}
    manifest["models"] = {bad: {"use": bad, "model": bad}}
    manifest["software"]["packages"] = {bad: bad}
    return replace(version, manifest=manifest)


def test_hostile_names_and_messages_stay_text(shop: Shop) -> None:
    made = card(hostile(about(shop.store, "talk")))
    tokens = MARKDOWN.parse(body(made))
    inline = [child for token in tokens for child in (token.children or [])]
    assert not [token for token in [*tokens, *inline] if token.type.startswith("html")]
    assert not [child for child in inline if child.type == "image"]
    links = {str(child.attrs["href"]) for child in inline if child.type == "link_open"}
    assert links == {"https://creativecommons.org/publicdomain/zero/1.0/"}
    headings = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]
    assert "heading" not in headings and "Judge audits" in headings
    assert cells(made, "Judge audits")[1][4:7] == ["0.25", "0.1 – 0.4", "7"]
    assert parse(made) == parse(card(about(shop.store, "talk")))


def test_rows_that_a_step_could_not_assess_are_told(shop: Shop, tmp_path: Path) -> None:
    """Scores are asked for of steps after the last that made rows, and of those that give any."""
    version = about(shop.store, "plain")
    rows = [row for batch in version.rows("train") for row in narrow(batch.table, version.extras).to_pylist()]
    for number, row in enumerate(rows):
        row["scores"] = [
            {"name": name, "value": 1.0}
            for name in (["lid"] if number % 3 else []) + (["sim.a", "other"] if number < 5 else [])
        ]
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema(version.kind)), tmp_path / "data" / "train-00000.parquet")
    steps = [{"step": label, "languages": {}} for label in ("lid0", "make", "lid", "sim", "never")]
    manifest = {
        **version.manifest,
        "funnel": {**version.manifest["funnel"], "steps": steps, "made": {"make": {"en": 15}}},
    }
    told = replace(version, folder=tmp_path, manifest=manifest)
    assert unassessed(told) == {"lid": {"en": 5}, "sim": {"en": 10}}
    assert "*lid* could not assess 5 rows; they are included: en 5" in card(told)


def test_an_empty_or_unknown_version_has_no_card(shop: Shop) -> None:
    version = about(shop.store, "plain")
    with pytest.raises(PublishError, match="no rows"):
        card(replace(version, manifest={**version.manifest, "rows": 0, "splits": {}, "languages": {}}))
    with pytest.raises(StoreError):
        about(shop.store, "nothing")
    odd = {**version.manifest, "splits": {"a-b": version.manifest["splits"]["train"]}}
    with pytest.raises(PublishError, match="cannot be loaded"):
        plan_layout(replace(version, manifest=odd))


def test_parallel_rows_are_laid_out_by_pairs(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.source("en-ar", "ar", times=1, sort="parallel")
    shop.source("en-zh", "zh", times=2, sort="parallel")
    shop.dataset("pairs", ["en-ar", "en-zh"])
    made = card(about(shop.build(), "pairs"))
    read = parse(made)
    assert [one["config_name"] for one in read["configs"]] == ["default", "en-zh", "en-ar"] and read[
        "multilinguality"
    ] == ["translation"]
    assert read["language"] == ["en", "zh", "ar"] and read["task_categories"] == ["translation"]
    assert yaml.safe_load(made.split("---\n")[1])["tags"][0] == "parallel-corpus"
