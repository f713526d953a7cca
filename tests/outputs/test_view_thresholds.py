"""A moved threshold says what a build with it then does, and the catalog is changed as it was shown."""

from __future__ import annotations

import contextlib
import html
import json
import re
import shutil
from pathlib import Path

import pytest
from view_bench import Client, make_store, serving

import curate
from curate.catalog.params import PerLanguage
from curate.engine.store.store import Store
from curate.errors import ExportError
from curate.records.markup import language_name
from curate.steps import Registry
from outputs.view import View
from outputs.view.reading import Filter, Reader
from outputs.view.thresholds import changed, find, thresholds, untried
from outputs.view.what_if import WhatIf


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("thresholds") / "sea"
    make_store(path)
    return path


@pytest.fixture(scope="module")
def read(folder):
    reader = Reader(Store(folder / ".curate"))
    yield reader.version("sea")
    reader.close()


@pytest.fixture(scope="module")
def known(read):
    return thresholds(read, Registry.installed())


@pytest.fixture
def client(folder, tmp_path):
    """A view of a copy, which a test may write to."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    with serving(View(Store(copy / ".curate"), "sea", catalog=copy / "catalog.yaml", labels=tmp_path / "l")) as one:
        one.catalog = copy / "catalog.yaml"
        yield one


def test_thresholds_are_the_decisions_that_use_scores(known):
    names = {one.key: (one.reasons, one.columns) for one in known}
    assert names["shape.min_response_chars"] == (("min_response_chars",), ("response_chars",))
    assert names["shape.max_repetition"] == (("repetition",), ("repetition",))
    assert not {"shape.roles", "shape.allow_empty", "duplicates.similarity"} & set(names)


def test_without_a_move_nothing_comes_or_goes(read, known):
    for one in known:
        move = WhatIf(read, one).move(one.present.default)
        assert (move.by_language["go"].sum(), move.by_language["come"].sum(), move.astray) == (0, 0, 0), one.key


def test_examples_are_the_nearest_on_each_side(read, known):
    what_if = WhatIf(read, find(known, "shape.min_response_chars"))
    move = what_if.move(60)
    chars = {row["id"]: one["value"] for row in read.page(Filter(), 1) for one in row["scores"]
             if one["name"] == "shape.response_chars"}  # fmt: skip
    above, below = (sorted(one for one in chars.values() if (one >= 60) == side) for side in (True, False))
    assert [value for _, value, _ in move.kept_side] == above[:5]
    assert [value for _, value, _ in move.dropped_side] == below[::-1][:5]
    assert {moves for _, _, moves in move.dropped_side} == {True}
    thai = what_if.move(60, "th")
    assert {row["language"] for row in read.rows([one for one, _, _ in thai.dropped_side], "kept").values()} == {"th"}
    assert move.later == ("duplicates",)


def test_languages_with_a_value_of_their_own_are_left_alone(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    catalog = copy / "catalog.yaml"
    catalog.write_text(catalog.read_text().replace("_chars: 20", "_chars: {default: 20, zh: 3}"))
    curate.build(catalog, "sea")
    reader = Reader(Store(copy / ".curate"))
    read = reader.version("sea")
    what_if = WhatIf(read, find(thresholds(read, Registry.installed()), "shape.min_response_chars"))
    everywhere = what_if.move(60)
    gone = dict(everywhere.by_language.select("language", "go").rows())
    assert gone["zh"] == 0 and gone["th"] == 2
    shown = read.rows([one for one, _, _ in everywhere.kept_side + everywhere.dropped_side], "kept")
    assert "zh" not in {row["language"] for row in shown.values()}
    assert dict(what_if.move(60, "zh").by_language.select("language", "go").rows())["zh"] == 3
    off = what_if.move(None)
    assert off.by_language["come"].sum() == 1 and [moves for _, _, moves in off.kept_side] == [True]
    reader.close()


def test_the_histogram_holds_every_row_once(read, known):
    for key in ("shape.min_response_chars", "shape.max_repetition", "shape.max_turns"):
        what_if = WhatIf(read, find(known, key))
        _, counts = what_if.histogram()
        assert counts.sum() == 20
        assert what_if.histogram(language="ar")[1].sum() == 2
    assert WhatIf(read, find(known, "shape.min_response_chars")).histogram()[1].sum(axis=0).tolist() == [18, 2, 0]
    assert what_if.histogram(language="sw") is None


def test_a_value_that_the_step_does_not_take_is_told(read, known):
    what_if = WhatIf(read, find(known, "shape.max_repetition"))
    with pytest.raises(ExportError, match=r"max_repetition: Input should be less than or equal to 1"):
        what_if.move(3.5)


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("threshold=shape.min_response_chars&value=3", "+          min_response_chars: 3  # a short answer"),
        (
            "threshold=shape.min_response_chars&value=58&language=th",
            "+          min_response_chars: {default: 20, th: 58}  # a short answer",
        ),
        ("threshold=shape.max_chars&value=90", "+          max_chars: 90"),
        (
            "threshold=shape.max_prompt_chars&value=25&language=en",
            "+          max_prompt_chars: {en: 25}",
        ),
    ],
)
def test_what_is_shown_is_written_and_what_was_told_is_built(client: Client, query, line):
    before = dict(client_version(client).manifest["languages"])
    told = client.get(f"/thresholds?part=1&{query}")
    rows = {name: (int(come.strip("+") or 0), int(go.strip("−") or 0)) for name, come, go in re.findall(
        r'<th scope="row">([^<]+)</th>(?:<td[^>]*>[^<]*</td>){3}<td class="number come">([^<]*)</td>'
        r'<td class="number go">([^<]*)</td>', told.replace("·", "")
    )}  # fmt: skip
    assert any(come or go for come, go in rows.values())
    link = html.unescape(re.search(r'href="[^"]*(/thresholds/write\?[^"]*)"', told)[1])
    shown = client.get(link)
    assert line in html.unescape(shown)
    seen = re.search(r'name="seen" value="(\w+)"', shown)[1]
    assert client.ask(client.base + link, {"seen": "0" * 64})[0] == 400
    old = client.catalog.read_text()
    assert client.ask(client.base + link, {"seen": seen})[0] == 200
    assert [one for one in client.catalog.read_text().splitlines() if one not in old.splitlines()] == [line[1:]]
    assert client.ask(client.base + link, {"seen": seen})[0] == 400  # it is another file now
    [built] = curate.build(client.catalog, "sea")
    after = client_version(client).manifest
    for language, count in before.items():
        come, go = rows[language_name(language)]
        assert after["languages"].get(language, 0) == count + come - go, language
    assert built.rows == sum(before.values()) + sum(come - go for come, go in rows.values())


def client_version(client: Client):
    reader = Reader(Store(client.catalog.parent / ".curate"))
    version = reader.version("sea").version
    reader.close()
    return version


def test_a_place_that_cannot_be_told_is_said_and_nothing_is_written(client):
    text = client.catalog.read_text()
    client.catalog.write_text(
        text.replace("run:", "variables: {least: 20}\nrun:").replace("_chars: 20", "_chars: '${variables.least}'")
    )
    status, _, said = client.ask(f"{client.base}/thresholds/write?threshold=shape.min_response_chars&value=3")
    assert status == 400 and "it comes from ${variables.least}; change that" in said
    client.catalog.write_text(text.replace("- shape:", "- shapes:"))
    status, _, said = client.ask(f"{client.base}/thresholds/write?threshold=shape.min_response_chars&value=3")
    assert status == 400 and "did you mean" in said


def test_mistakes_in_the_address_are_told(client):
    for query, message in (
        ("threshold=shape.max_char", "did you mean"),
        ("value=nan", "is no number"),
        ("score=chars&threshold=shape.max_turns", "known: turns"),
    ):
        status, _, said = client.ask(f"{client.base}/thresholds?{query}")
        assert status == 404 and message in said
    assert "shape: min_response_chars" in client.get("/thresholds")  # what dropped most comes first
    assert "Input should be" in client.get("/thresholds?part=1&threshold=shape.max_repetition&value=7")
    assert "decides by a score" in client.ask("/pairs/thresholds")[2]


def test_changed_values_keep_those_of_other_languages():
    assert changed(PerLanguage(0.5, {"ar": 0.3}), 0.4, "th") == PerLanguage(0.5, {"ar": 0.3, "th": 0.4})
    assert changed(PerLanguage(0.5, {"ar": 0.3}), 0.4, "") == PerLanguage(0.4, {"ar": 0.3})


def test_similarity_of_duplicates_is_tried_upwards_and_a_build_agrees(tmp_path):
    words = [
        "salt",
        "river",
        "stone",
        "cloud",
        "harbour",
        "lantern",
        "meadow",
        "copper",
        "willow",
        "anchor",
        "velvet",
        "mirror",
        "cactus",
        "pepper",
    ]
    thai = [
        "เกลือ",
        "แม่น้ำ",
        "ก้อนหิน",
        "เมฆขาว",
        "ท่าเรือ",
        "โคมไฟ",
        "ทุ่งหญ้า",
        "ทองแดง",
        "ต้นหลิว",
        "สมอเรือ",
        "กำมะหยี่",
        "กระจก",
        "พริกไทย",
        "อานม้า",
    ]
    rows = []
    # In Swahili each text has one shorter copy, in the others two, which are copies of each other too.
    for language, known, glue, cuts in (
        ("sw", words[::-1], " ", (2,)),
        ("en", words, " ", (1, 2)),
        ("th", thai, "", (1, 2)),
    ):
        for place in range(4):
            base = [known[(place * 5 + step * 3) % 14] for step in range(14)]
            texts = [base, *(base[: 14 - cut] for cut in cuts)]
            rows += [{"lang": language, "ask": f"{place}?", "answer": glue.join(one)} for one in texts]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    (tmp_path / "catalog.yaml").write_text("""\
version: 1
run: {workers: 1}
sources:
  rows: {use: jsonl, path: rows.jsonl, kind: sft, language: "{lang}", license: CC0-1.0,
         columns: {prompt: "{ask}", response: "{answer}"}}
datasets:
  near: {from: [rows], steps: [duplicates: {method: minhash, fields: [response], numbers: ignore, words: ignore}]}
  chain: {from: [rows], steps: [duplicates: {method: minhash, fields: [response], linkage: connected}]}
""")
    curate.build(tmp_path / "catalog.yaml")
    reader = Reader(Store(tmp_path / ".curate"))
    assert not thresholds(reader.version("chain"), Registry.installed())  # a chain is not kept
    read = reader.version("near")
    before = read.version.manifest["languages"]
    one = find(thresholds(read, Registry.installed()), "duplicates.similarity")
    assert one.present == PerLanguage(0.8) and one.columns == ("similarity",)
    what_if = WhatIf(read, one)
    still = what_if.move(0.8)
    assert (still.by_language["go"].sum(), still.by_language["come"].sum(), still.astray) == (0, 0, 0)
    with pytest.raises(ExportError, match=r"below 0\.8 it cannot be tried"):
        what_if.move(0.7)
    assert dict(what_if.move(0.97, "th").by_language.select("language", "come").rows())["en"] == 0
    moved = dict(what_if.move(0.97).by_language.select("language", "come").rows())
    text = (tmp_path / "catalog.yaml").read_text()
    (tmp_path / "catalog.yaml").write_text(text.replace("words: ignore", "words: ignore, similarity: 0.97"))
    curate.build(tmp_path / "catalog.yaml", "near")
    after = reader.version("near").version.manifest["languages"]
    reader.close()
    assert after["sw"] == before["sw"] + moved["sw"] == 8
    assert all(before[one] < after[one] <= before[one] + moved[one] for one in ("en", "th"))


def test_votes_are_tried_both_ways_and_a_build_agrees_and_what_cannot_be_tried_says_why(tmp_path):
    # How many of five answers are 4: all, four, three, two.
    said = {"en": ("How much is two and two", "It is"), "th": ("สองบวกสองได้เท่าไร", "คำตอบคือ")}
    rows = [
        {"lang": language, "ask": f"{ask} ({most})?", "answer": f"{reply} {4 if place < most else 5 + place}."}
        for language, (ask, reply) in said.items()
        for most in (5, 4, 3, 2)
        for place in range(5)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    votes = "{from: [rows], steps: [self_consistency: {%s}]}"
    (tmp_path / "catalog.yaml").write_text(f"""\
version: 1
run: {{workers: 1}}
sources:
  rows: {{use: jsonl, path: rows.jsonl, kind: sft, language: "{{lang}}", license: CC0-1.0,
         columns: {{prompt: "{{ask}}", response: "{{answer}}"}}}}
datasets:
  every: {votes % "min_agreement: 0.1"}
  few: {votes % "min_agreement: {default: 0.7, th: 0.5}"}
  chain: {{from: [rows], steps: [duplicates: {{method: minhash, linkage: connected}}, mix: {{rows: 4}}]}}
""")
    curate.build(tmp_path / "catalog.yaml")
    registry = Registry.installed()
    with contextlib.closing(Reader(Store(tmp_path / ".curate"))) as reader:
        for name, other, moves in (
            ("every", "few", ((0.7, "en", "go", 10), (0.5, "th", "go", 5))),
            ("few", "every", ((0.1, "", "come", 10), (0.1, "th", "come", 5))),
        ):
            read = reader.version(name)
            one = find(thresholds(read, registry), "self_consistency.min_agreement")
            what_if = WhatIf(read, one)
            assert what_if.astray == 0 and one.columns == ("agreement",)
            for value, language, change, count in moves:
                moved = what_if.move(value, language).by_language
                assert moved[change].sum() == count
            assert (
                read.version.manifest["rows"] + (-15 if name == "every" else 15)
                == reader.version(other).version.manifest["rows"]
            )
        chain = reader.version("chain")
        assert not thresholds(chain, registry)
        told = {f"{one.label}.{one.name}": one.why for one in untried(chain, registry, [])}
        assert set(told) == {"duplicates.linkage", "mix.rows"}
        assert "linkage: star" in told["duplicates.linkage"] and "depends on all others" in told["mix.rows"]
    with serving(View(Store(tmp_path / ".curate"), "chain")) as client:
        page = client.get("/thresholds")
        assert "mix: rows" in page and "depends on all others" in page
